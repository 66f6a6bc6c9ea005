/* The daemon dies and comes back. */
#include "engine-fixture.h"

#include <stdio.h>

static void finish(World *w, uint32_t run) {
        while (fake_count(w->fake, run) > 0) {
                fake_exit(w->fake, run, NULL, 0);
                world_turn(w);
        }
}

/* S3.34: what was running is interrupted, cleared away, and runs again as a new attempt. */
static void test_running_step(void **state) {
        World *w = *state;
        FakeJob *j;

        world_start(w, "chain");
        fake_exit(w->fake, 1, "a", 0);
        world_turn(w);
        world_trace_clear(w);
        world_again(w);
        world_turn(w);
        assert_int_equal(json_length(w->fake->cleaned), 1);
        assert_string_equal(json_string(json_get(json_at(w->fake->cleaned, 0), "activity")), "b");
        assert_true(world_trace_find(w, "clean-up 1") < world_trace_find(w, "prepare 1/b/1"));
        j = fake_find(w->fake, 1, NULL);
        assert_string_equal(j->activity, "b");
        assert_int_equal(j->attempt, 2);
        assert_int_equal(world_run(w, 1)->activities[1]->attempts[1].cause, CAUSE_RESUME);
        finish(w, 1);
        assert_int_equal(world_stored_state(w, 1), RUN_SUCCESS);
        assert_int_equal(world_events(w, 1, "attempt-finished"), 4);
}

static int count_successes(void *userdata, const EventRow *row) {
        unsigned *n = userdata;

        if (streq(row->type, "step-finished") && row->data && strstr(row->data, "\"state\":\"success\""))
                n[row->activity[0] - 'a']++;
        return 0;
}

/* Dying at any point: before and after each turn; every step succeeds once, none is lost. */
static void test_death_at_any_point(void **state) {
        World *w = *state;

        for (unsigned death = 0; death < 8; death++) {
                uint32_t run = store_last_run(w->store) + 1;
                _cleanup_free_ char *message = NULL;
                unsigned successes[3] = { 0 };
                Ticket ticket;

                assert_int_equal(world_try_start(w, "chain", NULL, &ticket, &message), VERDICT_OK);
                for (unsigned turn = 0; turn < 8; turn++) {
                        if (turn == death)
                                world_again(w);
                        if (turn % 2 == 0)
                                world_turn(w);
                        else if (fake_find(w->fake, run, NULL))
                                fake_exit(w->fake, run, NULL, 0);
                }
                world_turn(w);
                if (death == 0) {                       /* nobody was told of it */
                        assert_int_equal(store_last_run(w->store), run - 1);
                        continue;
                }
                finish(w, run);
                assert_int_equal(world_stored_state(w, run), RUN_SUCCESS);
                assert_ok(store_load_events(w->store, run, 1, 0, count_successes, successes));
                for (unsigned i = 0; i < 3; i++)
                        assert_int_equal(successes[i], 1);
        }
}

/* What waits for a person waits on; the counts are there. */
static void test_on_hold(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        uint32_t active, on_hold, dead;
        Ticket ticket;

        world_start(w, "sign");
        world_start(w, "chain");
        world_again(w);
        world_turn(w);
        engine_counts(w->engine, &active, &on_hold, &dead);
        assert_int_equal(active, 1);
        assert_int_equal(on_hold, 1);
        assert_int_equal(world_run(w, 1)->state, RUN_ON_HOLD);
        assert_int_equal(world_run(w, 1)->activities[0]->n_attempts, 1);
        assert_int_equal(engine_answer(w->engine, 1, "qa", &world_actor, true, NULL, NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_non_null(fake_find(w->fake, 1, "go"));
}

/* S3.30: more than MaxResumes=3 interruptions, and the engine gives up. */
static void test_max_resumes(void **state) {
        World *w = *state;

        world_start(w, "chain");
        for (unsigned i = 0; i < 3; i++) {
                world_again(w);
                world_turn(w);
                assert_non_null(fake_find(w->fake, 1, "a"));
        }
        world_again(w);
        world_turn(w);
        assert_null(fake_find(w->fake, 1, NULL));
        assert_int_equal(world_stored_state(w, 1), RUN_DLQ);
}

/* Nothing that is left over from a run that had ended, and runs that were not started yet. */
static void test_queued(void **state) {
        World *w = *state;

        assert_ok(engine_set_max_steps(w->engine, 1));
        world_start(w, "chain");
        w->max_steps = 1;
        for (unsigned i = 0; i < 30; i++) {
                _cleanup_free_ char *message = NULL;
                Ticket ticket;
                assert_int_equal(world_try_start(w, "chain", NULL, &ticket, &message), VERDICT_OK);
        }
        assert_ok(engine_flush(w->engine));
        world_again(w);
        world_turn(w);
        assert_int_equal(json_length(w->fake->cleaned), 1);
        assert_int_equal(intmap_size(w->engine->runs), 31);
        while (fake_count(w->fake, 0) > 0) {
                fake_exit(w->fake, w->fake->jobs->run, NULL, 0);
                world_turn(w);
        }
        for (uint32_t run = 1; run <= 31; run++)
                assert_int_equal(world_stored_state(w, run), RUN_SUCCESS);
}

static void test_definition_is_frozen(void **state) {
        World *w = *state;

        world_start(w, "chain");
        world_write(w, "chain.yaml", "phases:\n  - name: other\n    activities:\n      - {name: x, run: 'true'}\n");
        library_reload(w->library);
        world_start(w, "chain");
        world_again(w);
        world_turn(w);
        assert_non_null(fake_find(w->fake, 1, "a"));
        assert_non_null(fake_find(w->fake, 2, "x"));
}

/* Runs of one text share one definition, before and after. */
static void test_definition_is_shared(void **state) {
        World *w = *state;

        world_start(w, "chain");
        world_start(w, "chain");
        assert_ptr_equal(world_run(w, 1)->runbook, world_run(w, 2)->runbook);
        world_again(w);
        world_start(w, "chain");
        assert_ptr_equal(world_run(w, 1)->runbook, world_run(w, 2)->runbook);
        assert_ptr_equal(world_run(w, 1)->runbook, world_run(w, 3)->runbook);
}

/* ---- damage ---- */

static void append_raw(World *w, uint32_t run, uint32_t seq, const char *type, const char *activity, const char *data) {
        assert_ok(store_begin(w->store));
        assert_ok(store_append_event(w->store, &(EventRow){ .run = run,
                                                            .seq = seq,
                                                            .at = 1,
                                                            .boot_at = 1,
                                                            .boot = store_boot(w->store),
                                                            .uid = UINT32_MAX,
                                                            .type = type,
                                                            .activity = activity,
                                                            .data = data }));
        assert_ok(store_commit(w->store));
}

static void assert_parked(World *w, uint32_t run, const char *reason) {
        Run *r;

        assert_int_equal(world_stored_state(w, run), RUN_DLQ);
        assert_false(engine_run_is_live(w->engine, run));
        assert_int_equal(engine_get_run(w->engine, run, &r), VERDICT_OK);
        assert_int_equal(r->state, RUN_DLQ);
        assert_non_null(strstr(r->reason, reason));
        assert_int_equal(world_events(w, run, "run-finished"), 1);
        assert_int_equal(r->last_seq, world_events(w, run, NULL));
}

/* S3.30, a damaged run goes to dlq with the reason; the others go on. */
static void test_damaged(void **state) {
        static const struct {
                uint32_t ahead;
                const char *type, *activity, *data;
        } cases[] = {
                { 1, "no-such-type", NULL, NULL },
                { 1, "step-finished", "nowhere", "{\"state\":\"success\"}" },
                { 1, "step-finished", "a", "{not json" },
                { 1, "activity-finished", "a", "{\"state\":\"pending\"}" },
                { 2, "run-cancel", NULL, NULL },        /* one is missing */
        };
        World *w = *state;
        uint32_t active, on_hold, dead;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint32_t run = world_start(w, "sign");
                append_raw(w, run, world_run(w, run)->last_seq + cases[i].ahead, cases[i].type, cases[i].activity, cases[i].data);
        }
        world_start(w, "chain");
        world_again(w);
        world_turn(w);
        for (size_t i = 0; i + 1 < ELEMENTSOF(cases); i++)
                assert_parked(w, (uint32_t) i + 1, cases[i].type);
        assert_int_equal(world_stored_state(w, ELEMENTSOF(cases)), RUN_DLQ);
        engine_counts(w->engine, &active, &on_hold, &dead);
        assert_int_equal(active, 1);
        assert_int_equal(on_hold, 0);
        assert_int_equal(dead, ELEMENTSOF(cases));
        assert_non_null(fake_find(w->fake, ELEMENTSOF(cases) + 1, "a"));
        world_again(w);                                 /* parked for good */
        assert_parked(w, 1, "no-such-type");
}

/* A run without events, or whose definition isn't there or can't be read: it is shown all the same, with the reason. */
static void test_damaged_definition(void **state) {
        World *w = *state;
        Run *r;

        assert_ok(store_begin(w->store));
        assert_ok(store_put_definition(w->store, "odd", "odd", "yaml", "phases: 3\n", 10));
        assert_ok(store_put_run(w->store, &(RunRow){ .id = 1,
                                                     .runbook = "lost",
                                                     .definition = "lost",
                                                     .state = RUN_RUNNING,
                                                     .created_at = 1,
                                                     .attempt = 1,
                                                     .root_run = 1,
                                                     .trigger = "manual" }));
        assert_ok(store_put_run(w->store, &(RunRow){ .id = 2,
                                                     .runbook = "odd",
                                                     .definition = "odd",
                                                     .state = RUN_RUNNING,
                                                     .created_at = 1,
                                                     .attempt = 1,
                                                     .root_run = 2,
                                                     .trigger = "manual" }));
        assert_ok(store_commit(w->store));
        world_again(w);
        for (uint32_t run = 1; run <= 2; run++) {
                assert_int_equal(world_stored_state(w, run), RUN_DLQ);
                assert_int_equal(world_events(w, run, "run-finished"), 1);
                assert_int_equal(engine_get_run(w->engine, run, &r), VERDICT_OK);
                assert_string_equal(r->runbook->name, run == 1 ? "lost" : "odd");
                assert_int_equal(r->state, RUN_DLQ);
                assert_int_equal(r->created_at, 1);
                assert_non_null(strstr(r->reason, "definition"));
        }
        assert_int_equal(world_start(w, "chain"), 3);
        world_trace_clear(w);
        assert_ok(store_begin(w->store));
        assert_ok(store_put_run(w->store, &(RunRow){ .id = 4,
                                                     .runbook = "chain",
                                                     .definition = world_run(w, 3)->runbook->hash,
                                                     .state = RUN_RUNNING,
                                                     .created_at = 1,
                                                     .attempt = 1,
                                                     .root_run = 4,
                                                     .trigger = "manual" }));
        assert_ok(store_commit(w->store));
        world_again(w);
        assert_int_equal(world_stored_state(w, 4), RUN_DLQ);
}

/* The commit of the recovery itself fails: what was running is interrupted when the storage is back. */
static void test_storage_fails_in_recovery(void **state) {
        World *w = *state;

        world_start(w, "wide");
        world_start(w, "chain");
        unsigned running = fake_count(w->fake, 0);
        world_close(w);
        world_open_store(w);
        world_fail(w);
        world_open_engine(w);
        world_turn(w);
        assert_int_equal(w->engine->storage, STORAGE_FAILING);
        assert_int_equal(w->fake->n_launched, 0);
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        world_turn(w);
        assert_int_equal(w->engine->storage, STORAGE_FINE);
        assert_int_equal(fake_count(w->fake, 0), running);
        while (fake_count(w->fake, 0) > 0) {
                fake_exit(w->fake, w->fake->jobs->run, NULL, 0);
                world_turn(w);
        }
        assert_int_equal(world_stored_state(w, 1), RUN_SUCCESS);
        assert_int_equal(world_stored_state(w, 2), RUN_SUCCESS);
}

/* Many runs: recovery commits now and then, not once for all. */
static void test_many(void **state) {
        World *w = *state;
        uint64_t before;

        for (unsigned i = 0; i < 300; i++) {
                _cleanup_free_ char *message = NULL;
                Ticket ticket;
                assert_int_equal(world_try_start(w, "sign", NULL, &ticket, &message), VERDICT_OK);
        }
        world_turn(w);
        world_again(w);
        before = fault_syncs();
        world_turn(w);
        assert_int_equal(fault_syncs(), before);        /* nothing was interrupted, so nothing is written */
        assert_int_equal(intmap_size(w->engine->runs), 300);
        assert_int_equal(w->engine->counts.on_hold, 300);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_running_step),
                engine_test(test_death_at_any_point),
                engine_test(test_on_hold),
                engine_test(test_max_resumes),
                engine_test(test_queued),
                engine_test(test_definition_is_frozen),
                engine_test(test_definition_is_shared),
                engine_test(test_damaged),
                engine_test(test_damaged_definition),
                engine_test(test_storage_fails_in_recovery),
                engine_test(test_many),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
