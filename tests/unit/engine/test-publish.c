/* What a commit tells: once for each object, and nothing that isn't so. */
#include "engine-fixture.h"

#include <stdio.h>

/* Steps of processes come and go without a change of their activity. */
static void test_steps_are_no_change(void **state) {
        World *w = *state;

        world_write(w, "two.yaml", "phases:\n  - name: main\n    activities:\n      - {name: a, steps: [{run: one}, {run: two}]}\n");
        world_start(w, "two");
        world_trace_clear(w);
        fake_exit(w->fake, 1, "a", 0);
        world_turn(w);
        assert_string_equal(w->trace.s, "end 1/a/1\nprepare 1/a/2\nlaunch 1/a/2\nrun 1 running\n");
}

static void test_once(void **state) {
        World *w = *state;

        world_start(w, "wide");
        world_trace_clear(w);
        for (unsigned i = 1; i <= 4; i++) {
                char name[8];
                (void) snprintf(name, sizeof name, "w%u", i);
                fake_exit(w->fake, 1, name, 0);
        }
        world_turn(w);
        assert_int_equal(world_trace_count(w, "run 1 running"), 1);
        for (unsigned i = 1; i <= 4; i++) {
                char line[64];
                (void) snprintf(line, sizeof line, "activity 1/w%u success", i);
                assert_int_equal(world_trace_count(w, line), 1);
        }
        assert_int_equal(world_trace_count(w, "activity 1/w5 running"), 1);
}

/* A whole run within one commit: told as added, changed, finished, removed, in this order. */
static void test_short_life(void **state) {
        World *w = *state;

        world_write(w, "none.yaml", "phases:\n  - name: main\n    if: ${{ false }}\n    activities:\n      - {name: a, run: 'true'}\n");
        world_trace_clear(w);
        world_start(w, "none");
        assert_string_equal(w->trace.s, "committed 1 0\nadded 1\nactivity 1/a skipped\nrun 1 skipped\nfinished 1 skipped\nremoved 1\n");
}

/* A request that was opened and is gone in the same commit is not told as open. */
static void test_request_in_one_turn(void **state) {
        World *w = *state;
        _cleanup_free_ char *first = NULL, *second = NULL;
        Ticket ticket;

        assert_int_equal(world_try_start(w, "sign", NULL, &ticket, &first), VERDICT_OK);
        assert_int_equal(engine_answer(w->engine, 1, "qa", &world_actor, false, NULL, NULL, &ticket, &second), VERDICT_OK);
        world_turn(w);
        assert_false(world_traced(w, "opened 1/qa Ship it"));
        assert_true(world_traced(w, "resolved 1/qa rejected 1000"));
        assert_true(world_trace_find(w, "added 1") < world_trace_find(w, "finished 1 rejected"));
        assert_true(world_trace_find(w, "run 1 rejected") < world_trace_find(w, "resolved 1/qa rejected 1000"));
}

static void test_counts(void **state) {
        World *w = *state;
        uint32_t active, on_hold, dead;

        world_start(w, "chain");
        world_start(w, "sign");
        world_write(w, "again.yaml",
                    "failurePolicy: fail\nphases:\n  - name: main\n    activities:\n"
                    "      - {name: a, retries: {max: 1, initialIntervalMs: 1}, run: 'true'}\n");
        world_start(w, "again");
        engine_counts(w->engine, &active, &on_hold, &dead);
        assert_int_equal(active, 2);
        assert_int_equal(on_hold, 1);
        assert_int_equal(dead, 0);
        fake_exit(w->fake, 3, "a", 1);
        world_trace_clear(w);
        world_wait(w, "launch 3/a/1");
        assert_false(world_traced(w, "counts 2 1 0"));  /* said when it changes only */
        fake_exit(w->fake, 3, "a", 1);
        world_turn(w);
        assert_true(world_traced(w, "finished 3 exhausted"));
        assert_true(world_traced(w, "counts 1 1 1"));
        world_again(w);
        engine_counts(w->engine, &active, &on_hold, &dead);
        assert_int_equal(active, 1);
        assert_int_equal(on_hold, 1);
        assert_int_equal(dead, 1);
}

/* A pause moves every deadline: all activities are told of when it is over, and only then. */
static void test_resume_tells_all(void **state) {
        World *w = *state;
        _cleanup_free_ char *pause = NULL, *resume = NULL;
        uint32_t run = world_start(w, "sign");
        Ticket ticket;

        world_trace_clear(w);
        assert_int_equal(engine_pause(w->engine, run, &world_actor, NULL, &ticket, &pause), VERDICT_OK);
        world_turn(w);
        assert_true(world_traced(w, "run 1 paused"));
        assert_false(world_traced(w, "activity 1/qa on-hold"));
        assert_int_equal(engine_resume(w->engine, run, &world_actor, NULL, &ticket, &resume), VERDICT_OK);
        world_turn(w);
        assert_int_equal(world_trace_count(w, "activity 1/qa on-hold"), 1);
        assert_int_equal(world_trace_count(w, "activity 1/go pending"), 1);
        assert_true(world_traced(w, "run 1 on-hold"));
}

/* Another try of the whole run begins all activities again; the first start tells of those that it changes. */
static void test_run_retry_tells_all(void **state) {
        World *w = *state;

        world_write(w, "twice.yaml",
                    "retries: {max: 1, initialIntervalMs: 1}\nphases:\n  - name: main\n    activities:\n      - {name: a, run: 'true'}\n"
                    "      - {name: b, run: 'true'}\n");
        world_start(w, "twice");
        assert_false(world_traced(w, "activity 1/b pending"));
        fake_exit(w->fake, 1, "a", 1);
        world_trace_clear(w);
        world_wait(w, "launch 1/a/1");
        assert_int_equal(world_trace_count(w, "activity 1/b pending"), 1);
}

/* An observer without members is fine, and so is none. */
static void test_no_observer(void **state) {
        World *w = *state;
        static const Observer empty;

        w->engine->observer = &empty;
        uint32_t run = world_start(w, "sign");
        _cleanup_free_ char *message = NULL;
        Ticket ticket;
        assert_int_equal(engine_answer(w->engine, run, "qa", &world_actor, true, NULL, NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        w->engine->observer = NULL;
        fake_exit(w->fake, run, "go", 0);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_SUCCESS);
}

/* Who starts it is answered at once; everybody else hears of it with what it does first, and only once. */
static void test_start_that_waits(void **state) {
        World *w = *state;

        (void) world_start_waiting(w, "sign");
        (void) world_start_waiting(w, "chain");
        assert_true(world_traced(w, "committed 2 0"));
        assert_false(world_traced(w, "added 1"));
        assert_false(world_traced(w, "run 1 queued"));
        world_turn(w);
        for (uint32_t run = 1; run <= 2; run++) {
                char line[32];
                (void) snprintf(line, sizeof line, "added %u", run);
                assert_int_equal(world_trace_count(w, line), 1);
        }
        assert_true(world_trace_find(w, "added 1") < world_trace_find(w, "run 1 on-hold"));
}

static void test_cancelled_while_it_waits(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        (void) world_start_waiting(w, "sign");
        assert_int_equal(engine_cancel(w->engine, 1, &world_actor, NULL, &ticket, &message), VERDICT_OK);
        assert_ok(engine_flush(w->engine));
        assert_int_equal(world_trace_count(w, "added 1"), 1);
        assert_true(world_trace_find(w, "added 1") < world_trace_find(w, "finished 1 cancelled"));
}

/* What it does first can't be written: it is announced when it can. */
static void test_announced_after_a_failure(void **state) {
        World *w = *state;

        (void) world_start_waiting(w, "sign");
        world_fail(w);
        world_turn(w);
        assert_int_equal(w->engine->storage, STORAGE_FAILING);
        assert_false(world_traced(w, "added 1"));
        fault_disarm();
        world_wait(w, "added 1");
        assert_int_equal(world_trace_count(w, "added 1"), 1);
        assert_int_equal(world_stored_state(w, 1), RUN_ON_HOLD);
}

/* It begins when its time has come, which is too late to hear that it is there. */
static void test_scheduled_without_a_slot(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        StartRequest q = { .runbook = "sign", .start_at = now_usec(CLOCK_REALTIME) + 100 * USEC_PER_MSEC };
        Ticket ticket;
        uint32_t run;

        assert_ok(engine_set_max_steps(w->engine, 0));
        assert_int_equal(engine_start_run(w->engine, &q, &world_actor, &run, &ticket, &message), VERDICT_OK);
        assert_ok(engine_flush(w->engine));
        assert_int_equal(world_trace_count(w, "added 1"), 1);
        world_turn(w);
        assert_int_equal(world_stored_state(w, 1), RUN_SCHEDULED);
        world_wait(w, "run 1 on-hold");                 /* nothing else happens that would ask for the time */
        assert_int_equal(world_trace_count(w, "added 1"), 1);
}

/* What it was made with is to be told, of a run that everybody knows. */
static void test_replay_without_a_slot(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;
        uint32_t run;

        world_start(w, "chain");
        fake_exit(w->fake, 1, "a", 0);
        world_turn(w);
        fake_exit(w->fake, 1, "b", 1);
        world_turn(w);
        assert_int_equal(world_stored_state(w, 1), RUN_FAILED);
        assert_ok(engine_set_max_steps(w->engine, 0));
        world_trace_clear(w);
        assert_int_equal(engine_replay(w->engine, 1, &world_actor, &(ReplayRequest) { .fresh_workspace = true }, &run, &ticket, &message), VERDICT_OK);
        assert_ok(engine_flush(w->engine));
        assert_true(world_trace_find(w, "added 2") < world_trace_find(w, "activity 2/a success"));
        world_turn(w);
        assert_int_equal(world_trace_count(w, "added 2"), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_steps_are_no_change),
                engine_test(test_once),
                engine_test(test_short_life),
                engine_test(test_request_in_one_turn),
                engine_test(test_counts),
                engine_test(test_resume_tells_all),
                engine_test(test_run_retry_tells_all),
                engine_test(test_no_observer),
                engine_test(test_start_that_waits),
                engine_test(test_cancelled_while_it_waits),
                engine_test(test_announced_after_a_failure),
                engine_test(test_scheduled_without_a_slot),
                engine_test(test_replay_without_a_slot),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
