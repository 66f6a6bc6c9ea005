/* Starting, stopping and ending of steps. */
#include "engine-fixture.h"

#include <signal.h>

static const char *error_of(World *w, uint32_t run, const char *activity) {
        return error_code(activity_error(run_activity(world_run(w, run), activity)));
}

/* What can't be executed is the step's own fault, and part of the same commit. */
static void test_start_failed(void **state) {
        World *w = *state;
        uint64_t before = fault_syncs();

        w->fake->fail_with = -EACCES;
        w->fake->fail_times = 1;
        world_start(w, "chain");
        assert_int_equal(fault_syncs(), before + 1);
        assert_true(world_traced(w, "finished 1 failed"));
        assert_string_equal(error_of(w, 1, "a"), "START_FAILED");
        assert_int_equal(w->engine->scheduler.used, 0);
}

/* A long list of steps none of which can be executed is spread over several commits. */
static void test_many_start_failed(void **state) {
        World *w = *state;
        _cleanup_strbuf_ StrBuf b = { 0 };

        strbuf_append(&b, "phases:\n  - name: main\n    activities:\n      - name: a\n        steps:\n");
        for (unsigned i = 0; i < 2000; i++)
                strbuf_append(&b, "          - {run: 'true', continueOnError: true}\n");
        world_write(w, "many.yaml", b.s);
        w->fake->fail_with = -ENOENT;
        w->fake->fail_times = UINT32_MAX;
        world_start(w, "many");
        assert_true(world_traced(w, "finished 1 success"));
        assert_true(world_trace_count(w, "run 1 running") > 2);
        assert_int_equal(world_events(w, 1, "step-finished"), 2000);
}

/* The machine can't start a process now: the step stays as it is and is tried again. */
static void test_try_again(void **state) {
        World *w = *state;
        static const int errors[] = { -EAGAIN, -ENOMEM, -EMFILE, -ENFILE };

        for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
                assert_true(errno_is_transient(errors[i]));
                w->fake->fail_with = errors[i];
                w->fake->fail_times = 1;
                uint32_t run = world_start(w, "chain");
                assert_int_equal(world_run(w, run)->state, RUN_RUNNING);
                assert_int_equal(world_events(w, run, "step-started"), 1);
                while (!fake_find(w->fake, run, "a"))
                        assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
                fake_exit(w->fake, run, "a", 0);
                world_turn(w);
                assert_non_null(fake_find(w->fake, run, "b"));
                assert_int_equal(world_events(w, run, "attempt-started"), 2);
        }
        assert_false(errno_is_transient(-ENOENT));
}

/* S3.30: … five times, then the engine gives up, and the run is parked. */
static void test_give_up(void **state) {
        World *w = *state;

        w->fake->fail_with = -EAGAIN;
        w->fake->fail_times = UINT32_MAX;
        world_start(w, "chain");
        world_wait(w, "finished 1 dlq");
        assert_int_equal(world_trace_count(w, "refuse 1/a/1"), PREPARE_TRIES_MAX);
        assert_int_equal(world_events(w, 1, "run-gave-up"), 1);
        assert_true(world_traced(w, "counts 0 0 1"));
        assert_non_null(strstr(world_run(w, 1)->reason, "tried 5 times"));
        assert_int_equal(w->engine->scheduler.used, 0);
        assert_null(w->engine->jobs);
}

/* A step that still waits to be started can be cancelled. */
static void test_cancel_before_start(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        w->fake->fail_with = -EAGAIN;
        w->fake->fail_times = UINT32_MAX;
        world_start(w, "chain");
        assert_int_equal(engine_cancel(w->engine, 1, &world_actor, NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_true(world_traced(w, "finished 1 cancelled"));
        assert_int_equal(world_trace_count(w, "refuse 1/a/1"), 1);
        assert_null(w->engine->jobs);
}

static void test_failure_of_a_step(void **state) {
        World *w = *state;

        world_start(w, "chain");
        fake_exit(w->fake, 1, "a", 2);
        world_turn(w);
        assert_true(world_traced(w, "finished 1 failed"));
        assert_string_equal(error_of(w, 1, "a"), "EXIT");
        assert_int_equal(world_run(w, 1)->activities[1]->state, ACTIVITY_SKIPPED);
}

/* S3.36: a step's timeout stops it, after that the end says what it was. */
static void test_timeout(void **state) {
        World *w = *state;

        world_write(w, "slow.yaml",
                    "failurePolicy: fail\nphases:\n  - name: main\n    activities:\n"
                    "      - {name: a, steps: [{run: 'true', timeoutMs: 20}]}\n");
        world_start(w, "slow");
        world_wait(w, "stop 1/a/1");
        assert_int_equal(world_events(w, 1, "step-timed-out"), 1);
        fake_signal(w->fake, 1, "a", SIGTERM);
        world_turn(w);
        assert_true(world_traced(w, "finished 1 failed"));
        assert_string_equal(error_of(w, 1, "a"), "TIMEOUT");
}

/* A second cancel stops hooks, too, without grace. */
static void test_stop_again(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;
        FakeJob *j;

        world_start(w, "chain");
        j = fake_find(w->fake, 1, "a");
        assert_int_equal(engine_cancel(w->engine, 1, &world_actor, NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_int_equal(j->n_stops, 1);
        assert_int_equal(engine_cancel(w->engine, 1, &world_actor, NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_int_equal(j->n_stops, 2);
}

static void test_retry_after_backoff(void **state) {
        World *w = *state;

        world_write(w, "again.yaml",
                    "phases:\n  - name: main\n    activities:\n      - {name: a, retries: {max: 1, backoff: fixed, initialIntervalMs: 30}, "
                    "run: 'true'}\n");
        world_start(w, "again");
        fake_exit(w->fake, 1, "a", 1);
        world_turn(w);
        assert_true(world_traced(w, "activity 1/a backoff"));
        assert_int_equal(w->engine->scheduler.used, 0);
        world_trace_clear(w);
        world_wait(w, "launch 1/a/1");
        assert_int_equal(fake_find(w->fake, 1, "a")->attempt, 2);
        fake_exit(w->fake, 1, "a", 0);
        world_turn(w);
        assert_true(world_traced(w, "finished 1 success"));
}

/* What the executor is told about a step. */
static void test_command(void **state) {
        World *w = *state;
        FakeJob *j;

        world_write(w, "keys.yaml",
                    "phases:\n  - name: main\n    activities:\n      - name: a\n        hooks: {pre: [{run: one}], post: [{run: three}]}\n"
                    "        steps: [{name: two, run: 'echo hi'}, {uses: 'builtin:exec', with: {argv: [echo, '${{ steps.two.outputs.stdout "
                    "}}']}}]\n");
        world_start(w, "keys");
        j = fake_find(w->fake, 1, "a");
        assert_string_equal(j->key, "pre1");
        assert_string_equal(j->step, "pre:1");
        assert_false(j->capture_stdout);
        fake_exit(w->fake, 1, "a", 0);
        world_turn(w);
        j = fake_find(w->fake, 1, "a");
        assert_string_equal(j->key, "1");
        assert_string_equal(j->step, "two");
        assert_true(j->capture_stdout);
        assert_non_null(strstr(j->argv, "echo hi"));
        fake_end(j, &(ExecResult) { .outcome = EXEC_EXITED, .stdout_tail = "said" });
        world_turn(w);
        j = fake_find(w->fake, 1, "a");
        assert_string_equal(j->key, "2");
        assert_string_equal(j->argv, "echo said");
        fake_exit(w->fake, 1, "a", 0);
        world_turn(w);
        assert_string_equal(fake_find(w->fake, 1, "a")->key, "post1");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_start_failed),
                engine_test(test_many_start_failed),
                engine_test(test_try_again),
                engine_test(test_give_up),
                engine_test(test_cancel_before_start),
                engine_test(test_failure_of_a_step),
                engine_test(test_timeout),
                engine_test(test_stop_again),
                engine_test(test_retry_after_backoff),
                engine_test(test_command),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
