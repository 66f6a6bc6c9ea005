/* The storage fails, and comes back. */
#include "engine-fixture.h"

#include <signal.h>

static void fail_start(World *w, const char *runbook) {
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        assert_int_equal(world_try_start(w, runbook, NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_int_equal(w->committed, ticket);
        assert_int_equal(w->committed_r, -EIO);
}

static void test_new_run_is_dropped(void **state) {
        World *w = *state;

        world_fail(w);
        fail_start(w, "chain");
        assert_int_equal(w->fake->n_prepared, 1);
        assert_int_equal(w->fake->n_abandoned, 1);
        assert_int_equal(w->fake->n_launched, 0);
        assert_false(engine_run_is_live(w->engine, 1));
        assert_false(world_traced(w, "added 1"));
        assert_false(world_traced(w, "removed 1"));
        assert_int_equal(w->engine->scheduler.used, 0);
        fault_disarm();
        world_wait(w, "committed 1 -5");
        while (w->engine->storage != STORAGE_FINE)
                assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
        world_start(w, "chain");
        assert_int_equal(w->fake->n_launched, 1);
}

static void test_refused_until_it_is_back(void **state) {
        World *w = *state;
        _cleanup_free_ char *a = NULL, *b = NULL, *c = NULL;
        Ticket ticket;
        Run *run;

        world_start(w, "sign");
        world_fail(w);
        fail_start(w, "chain");
        assert_int_equal(world_try_start(w, "chain", NULL, &ticket, &a), VERDICT_STORAGE_UNAVAILABLE);
        assert_non_null(strstr(a, store_error(w->store)));
        assert_int_equal(engine_cancel(w->engine, 1, &world_actor, NULL, &ticket, &b), VERDICT_STORAGE_UNAVAILABLE);
        assert_int_equal(engine_answer(w->engine, 1, "qa", &world_actor, true, NULL, NULL, &ticket, &c), VERDICT_STORAGE_UNAVAILABLE);
        assert_int_equal(engine_get_run(w->engine, 1, &run), VERDICT_OK); /* reads go on */
        assert_int_equal(run->state, RUN_ON_HOLD);
        assert_ok(engine_flush(w->engine));
        assert_int_equal(store_last_run(w->store), 1);
}

/* A person's decision that was not stored never happened, and can be made again. */
static void test_answer_is_taken_back(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        world_start(w, "sign");
        world_trace_clear(w);
        world_fail(w);
        assert_int_equal(engine_answer(w->engine, 1, "qa", &world_actor, true, NULL, NULL, &ticket, &message), VERDICT_OK);
        assert_int_equal(world_run(w, 1)->activities[0]->state, ACTIVITY_SUCCESS);
        world_turn(w);
        assert_int_equal(w->committed_r, -EIO);
        assert_true(world_trace_find(w, "committed 2 -5") < world_trace_find(w, "removed 1 again"));
        assert_false(world_traced(w, "resolved 1/qa approved 1000"));
        assert_int_equal(world_run(w, 1)->activities[0]->state, ACTIVITY_ON_HOLD);
        assert_int_equal(world_run(w, 1)->n_waiting, 1);
        assert_int_equal(w->engine->counts.on_hold, 1);
        fault_disarm();
        while (w->engine->storage != STORAGE_FINE)
                assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
        assert_int_equal(engine_answer(w->engine, 1, "qa", &world_actor, true, NULL, NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_true(world_traced(w, "resolved 1/qa approved 1000"));
        assert_non_null(fake_find(w->fake, 1, "go"));
}

/* A fact is kept and fed again; nothing starts meanwhile, and what runs is attached to the run that is folded anew. */
static void test_facts_and_attachment(void **state) {
        World *w = *state;

        assert_ok(engine_set_max_steps(w->engine, 3));
        world_start(w, "wide");
        assert_int_equal(fake_count(w->fake, 1), 3);
        world_trace_clear(w);
        world_fail(w);
        fake_exit(w->fake, 1, "w1", 0);
        world_turn(w);
        assert_true(world_traced(w, "prepare 1/w4/1"));
        assert_true(world_traced(w, "abandon 1/w4/1"));
        assert_true(world_traced(w, "removed 1 again"));
        assert_int_equal(world_run(w, 1)->activities[0]->state, ACTIVITY_RUNNING); /* its end isn't on disk */
        assert_int_equal(w->engine->scheduler.used, 2);
        fake_exit(w->fake, 1, "w2", 3);                 /* another fact, while it fails */
        world_turn(w);
        assert_int_equal(fake_count(w->fake, 1), 1);
        assert_int_equal(world_events(w, 1, "step-finished"), 0);
        fault_disarm();
        world_wait(w, "launch 1/w4/1");
        assert_int_equal(world_events(w, 1, "step-finished"), 2);
        assert_int_equal(world_run(w, 1)->activities[0]->state, ACTIVITY_SUCCESS);
        assert_int_equal(world_run(w, 1)->activities[1]->state, ACTIVITY_FAILED);
        assert_int_equal(fake_count(w->fake, 1), 3);
        fake_exit(w->fake, 1, "w3", 0);                 /* the one that ran all the time */
        world_turn(w);
        assert_int_equal(world_run(w, 1)->activities[2]->state, ACTIVITY_SUCCESS);
        assert_int_equal(w->fake->n_launched, 6);       /* nothing ran twice */
        while (fake_count(w->fake, 1) > 0) {
                fake_exit(w->fake, 1, NULL, 0);
                world_turn(w);
        }
        assert_int_equal(world_stored_state(w, 1), RUN_FAILED);
        assert_null(w->engine->jobs);
}

/* Steps that were told to stop are not told again because their run was folded anew; how they end is still what they were stopped for. */
static void test_stop_is_remembered(void **state) {
        World *w = *state;
        FakeJob *j;

        world_write(w, "slow.yaml",
                    "phases:\n  - name: main\n    activities:\n      - {name: a, needs: [], steps: [{run: 'true', timeoutMs: 20}]}\n      "
                    "- {name: b, needs: [], run: 'true'}\n");
        world_start(w, "slow");
        world_wait(w, "stop 1/a/1");
        j = fake_find(w->fake, 1, "a");
        world_fail(w);
        fake_exit(w->fake, 1, "b", 0);
        world_turn(w);
        assert_int_equal(j->n_stops, 1);
        fault_disarm();
        world_wait(w, "activity 1/b success");
        assert_int_equal(j->n_stops, 1);
        fake_signal(w->fake, 1, "a", SIGTERM);
        world_turn(w);
        assert_string_equal(error_code(activity_error(world_run(w, 1)->activities[0])), "TIMEOUT");
}

/* A step that ended in time did not time out because the disk was slow to come back. */
static void test_deadline_while_failing(void **state) {
        World *w = *state;

        world_write(w, "slow.yaml",
                    "failurePolicy: fail\nphases:\n  - name: main\n    activities:\n"
                    "      - {name: a, steps: [{run: 'true', timeoutMs: 500}]}\n");
        world_start(w, "slow");
        world_fail(w);
        fake_exit(w->fake, 1, "a", 4);
        world_turn(w);
        fault_disarm();
        world_wait(w, "finished 1 failed");
        assert_int_equal(world_events(w, 1, "step-timed-out"), 0);
        assert_string_equal(error_code(activity_error(world_run(w, 1)->activities[0])), "EXIT");
}

/* The deadline of what goes on running passes as soon as the storage is back. */
static void test_deadline_after_failing(void **state) {
        World *w = *state;

        world_write(w, "slow.yaml",
                    "phases:\n  - name: main\n    activities:\n      - {name: a, needs: [], steps: [{run: 'true', timeoutMs: 200}]}\n      "
                    "- {name: b, needs: [], run: 'true'}\n");
        world_start(w, "slow");
        world_fail(w);
        fake_exit(w->fake, 1, "b", 0);
        world_turn(w);
        fault_disarm();
        world_wait(w, "stop 1/a/1");
        assert_int_equal(world_events(w, 1, "step-timed-out"), 1);
}

/* A step that waits for its second try survives the fold. */
static void test_starting_survives(void **state) {
        World *w = *state;

        w->fake->fail_with = -EAGAIN;
        w->fake->fail_times = 1;
        world_start(w, "wide");
        assert_int_equal(fake_count(w->fake, 1), 3);
        world_fail(w);
        fake_exit(w->fake, 1, "w2", 0);
        world_turn(w);
        fault_disarm();
        world_wait(w, "launch 1/w1/1");
        assert_int_equal(world_trace_count(w, "launch 1/w1/1"), 1);
        assert_int_equal(world_events(w, 1, "attempt-started"), 5);
}

/* Failing again and again: the pauses grow to their cap, and the log hears of it twice in all. */
static void test_pauses(void **state) {
        World *w = *state;

        world_fail(w);
        fail_start(w, "chain");
        assert_int_equal(w->engine->storage_delay, STORAGE_RETRY_MIN);
        for (unsigned i = 0; i < 7; i++)
                assert_ok(storage_on_retry(NULL, 0, w->engine));
        assert_int_equal(w->engine->storage_delay, STORAGE_RETRY_MAX);
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        world_turn(w);
        world_start(w, "chain");
        assert_int_equal(w->engine->storage, STORAGE_FINE);
        assert_int_equal(w->engine->storage_delay, 0);
}

/* The probe succeeds and the commit behind it fails again. */
static void test_fails_again(void **state) {
        World *w = *state;
        unsigned again = 0;

        world_start(w, "chain");
        world_fail(w);
        fake_exit(w->fake, 1, "a", 0);
        world_turn(w);
        for (unsigned at = 1; w->engine->storage == STORAGE_FAILING; at++) {
                unsigned prepared = w->fake->n_prepared;

                fault_arm(&(FaultPlan) { .target = FAULT_SYNC, .action = FAULT_IOERR, .at = at, .lasting = true });
                assert_ok(storage_on_retry(NULL, 0, w->engine));
                world_turn(w);
                again += w->fake->n_prepared > prepared && w->engine->storage == STORAGE_FAILING;
        }
        fault_disarm();
        assert_true(again > 0);
        world_wait(w, "launch 1/b/1");
        assert_int_equal(w->fake->n_launched, 2);
        assert_int_equal(world_events(w, 1, "step-finished"), 1);
}

/* A full disk while writing, at each write of a turn in its turn. */
static void test_full_disk_at_each_write(void **state) {
        World *w = *state;
        uint32_t run = 0;

        for (unsigned at = 1; at < 12; at++) {
                _cleanup_free_ char *message = NULL;
                Ticket ticket;

                fault_arm(&(FaultPlan) { .target = FAULT_WRITE, .action = FAULT_FULL, .at = at, .torn = at % 2 });
                assert_int_equal(world_try_start(w, "chain", NULL, &ticket, &message), VERDICT_OK);
                world_turn(w);
                bool struck = fault_hits() > 0;
                fault_disarm();
                if (w->engine->storage == STORAGE_FAILING) {
                        assert_true(struck);
                        assert_int_equal(w->committed_r, -ENOSPC);
                        assert_ok(storage_on_retry(NULL, 0, w->engine));
                }
                run = world_start(w, "chain");
                assert_non_null(fake_find(w->fake, run, "a"));
                while (fake_count(w->fake, 0) > 0) {
                        FakeJob *j = w->fake->jobs;
                        fake_exit(w->fake, j->run, NULL, 0);
                        world_turn(w);
                }
                assert_int_equal(world_stored_state(w, run), RUN_SUCCESS);
        }
}

/* Stopping ends also when nothing can be stored. */
static void on_stopped(void *userdata) {
        ((World *) userdata)->n_stopped++;
}

static void test_stop_while_failing(void **state) {
        World *w = *state;

        world_start(w, "chain");
        world_fail(w);
        fail_start(w, "chain");
        assert_ok(engine_stop(w->engine, on_stopped, w));
        world_turn(w);
        assert_int_equal(w->n_stopped, 0);
        fake_signal(w->fake, 1, "a", SIGTERM);
        world_turn(w);
        assert_int_equal(w->n_stopped, 1);
        world_again(w);                                 /* an interruption like any other */
        assert_non_null(fake_find(w->fake, 1, "a"));
        assert_int_equal(fake_find(w->fake, 1, "a")->attempt, 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_new_run_is_dropped),
                engine_test(test_refused_until_it_is_back),
                engine_test(test_answer_is_taken_back),
                engine_test(test_facts_and_attachment),
                engine_test(test_stop_is_remembered),
                engine_test(test_deadline_while_failing),
                engine_test(test_deadline_after_failing),
                engine_test(test_starting_survives),
                engine_test(test_pauses),
                engine_test(test_fails_again),
                engine_test(test_full_disk_at_each_write),
                engine_test(test_stop_while_failing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
