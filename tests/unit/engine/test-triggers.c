/* Runs that are started because others failed: one for each failure, whatever happens around it. */
#include "engine-fixture.h"

#include <stdio.h>

static const char notify[] = "inputs: {level: {type: string, default: low}, text: {type: string}}\n"
                             "triggers:\n"
                             "  - {onFailureOf: [chain, again, whole, tells, sign], inputs: {text: bad}}\n"
                             "failurePolicy: fail\n"
                             "phases:\n"
                             "  - name: main\n"
                             "    activities:\n"
                             "      - {name: tell, run: 'echo ${{ trigger.payload.run }} ${{ trigger.payload.state }} ${{ inputs.text }}'}\n";

static int setup(void **state) {
        int r = world_setup(state);

        if (r >= 0)
                world_write(*state, "notify.yaml", notify);
        return r;
}

static uint32_t start_failed(World *w) {
        uint32_t run = world_start(w, "chain");

        fake_exit(w->fake, run, "a", 1);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_FAILED);
        return run;
}

static unsigned count_triggered(World *w, uint32_t of) {
        unsigned n = 0;

        for (uint32_t i = 1; i <= store_last_run(w->store); i++) {
                const Run *r = world_run(w, i);
                n += streq(r->trigger, "failure") && (uint32_t) json_int(json_get(r->payload, "run")) == of;
        }
        return n;
}

/* ---- */

/* S4.14: it is handed the number, the state, the reason and the attempts of what failed. */
static void test_fires(void **state) {
        World *w = *state;
        uint32_t run = start_failed(w), new = run + 1;
        const Json *payload;
        Run *r;

        assert_int_equal(count_triggered(w, run), 1);
        r = world_run(w, new);
        assert_string_equal(r->runbook->name, "notify");
        assert_int_equal(r->started_by, UID_ENGINE);
        assert_null(r->started_by_name);
        assert_string_equal(json_string(json_get(r->inputs, "text")), "bad");
        assert_string_equal(json_string(json_get(r->inputs, "level")), "low");
        payload = r->payload;
        assert_string_equal(json_string(json_get(payload, "runbook")), "chain");
        assert_string_equal(json_string(json_get(payload, "state")), "failed");
        assert_string_equal(json_string(json_get(payload, "reason")), world_run(w, run)->reason);
        assert_int_equal(json_length(json_get(payload, "attempts")), 1);
        assert_string_equal(json_string(json_get(json_at(json_get(payload, "attempts"), 0), "activity")), "a");
        assert_false(json_has(payload, "cut"));
        assert_non_null(fake_find(w->fake, new, "tell"));
        world_again(w);
        world_turn(w);
        assert_int_equal(json_int(json_get(world_run(w, new)->payload, "run")), run);
        fake_exit(w->fake, new, "tell", 0);
        world_turn(w);
        assert_int_equal(world_stored_state(w, new), RUN_SUCCESS);
}

/* One that was started so never triggers another. */
static void test_no_chain(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;
        uint32_t again;

        world_write(w, "any.yaml",
                    "triggers: [{onFailureOf: [notify]}]\nphases:\n  - name: main\n    activities: [{name: x, run: 'true'}]\n");
        start_failed(w);
        fake_exit(w->fake, 2, "tell", 1);
        world_turn(w);
        assert_int_equal(world_stored_state(w, 2), RUN_FAILED);
        assert_int_equal(store_last_run(w->store), 2);
        assert_int_equal(world_start(w, "notify"), 3);  /* started by a person it does */
        fake_exit(w->fake, 3, "tell", 1);
        world_turn(w);
        assert_int_equal(count_triggered(w, 3), 1);
        /* A replay of the one that a failure started is as little as that one. */
        assert_int_equal(engine_replay(w->engine, 2, &world_actor, &(ReplayRequest) { .fresh_workspace = true }, &again, &ticket, &message), VERDICT_OK);
        world_turn(w);
        fake_exit(w->fake, again, "tell", 1);
        world_turn(w);
        assert_int_equal(world_stored_state(w, again), RUN_FAILED);
        assert_int_equal(store_last_run(w->store), again);
}

static void test_states(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL, *rejected = NULL;
        Ticket ticket;
        uint32_t run = world_start(w, "chain");

        assert_int_equal(engine_cancel(w->engine, run, &world_actor, NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        fake_signal(w->fake, run, "a", 15);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_CANCELLED);
        run = world_start(w, "chain");
        for (const char *a = "abc"; *a; a++) {
                fake_exit(w->fake, run, NULL, 0);
                world_turn(w);
        }
        assert_int_equal(world_stored_state(w, run), RUN_SUCCESS);
        assert_int_equal(store_last_run(w->store), 2);
        run = world_start(w, "sign");
        assert_int_equal(engine_answer(w->engine, run, "qa", &world_actor, false, NULL, NULL, &ticket, &rejected), VERDICT_OK);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_REJECTED);
        assert_int_equal(count_triggered(w, run), 1);
}

/* S4.12, S3.30: exhausted, and what the engine gave up. */
static void test_dead_letters(void **state) {
        World *w = *state;
        uint32_t run;

        world_write(w, "again.yaml",
                    "failurePolicy: fail\nphases:\n  - name: main\n    activities:\n"
                    "      - {name: a, retries: {max: 1, initialIntervalMs: 1}, run: 'true'}\n");
        run = world_start(w, "again");
        fake_exit(w->fake, run, "a", 1);
        world_trace_clear(w);
        world_wait(w, "launch 1/a/1");
        assert_int_equal(store_last_run(w->store), run);
        fake_exit(w->fake, run, "a", 1);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_EXHAUSTED);
        assert_int_equal(count_triggered(w, run), 1);
        assert_int_equal(json_length(json_get(json_at(json_get(world_run(w, 2)->payload, "attempts"), 0), "attempts")), 2);
        w->fake->fail_with = -EAGAIN;
        w->fake->fail_times = PREPARE_TRIES_MAX;
        run = world_start(w, "chain");
        world_wait(w, "finished 3 dlq");
        assert_int_equal(count_triggered(w, run), 1);
        assert_string_equal(json_string(json_get(world_run(w, 4)->payload, "state")), "dlq");
}

/* A run that is tried again as a whole fires after its last try. */
static void test_after_the_last_try(void **state) {
        World *w = *state;
        uint32_t run;

        world_write(w, "whole.yaml",
                    "retries: {max: 1, initialIntervalMs: 1}\nphases:\n  - name: main\n    activities: [{name: a, run: 'true'}]\n");
        run = world_start(w, "whole");
        fake_exit(w->fake, run, "a", 1);
        world_trace_clear(w);
        world_wait(w, "launch 1/a/1");
        assert_int_equal(store_last_run(w->store), run);
        fake_exit(w->fake, run, "a", 1);
        world_turn(w);
        assert_int_equal(count_triggered(w, run), 1);
}

/* Death before the commit of the end, and after it. */
static void test_once_over_deaths(void **state) {
        World *w = *state;
        uint32_t run = world_start(w, "chain");

        fake_exit(w->fake, run, "a", 1);                /* known, and not on disk */
        assert_int_equal(w->engine->last_run, 2);
        world_again(w);
        assert_int_equal(store_last_run(w->store), 1);
        world_turn(w);
        fake_exit(w->fake, run, "a", 1);
        assert_ok(engine_flush(w->engine));
        world_again(w);                                 /* before the new one has begun */
        world_turn(w);
        assert_int_equal(store_last_run(w->store), 2);
        assert_int_equal(count_triggered(w, run), 1);
        assert_non_null(fake_find(w->fake, 2, "tell"));
        world_again(w);
        world_turn(w);
        assert_int_equal(store_last_run(w->store), 2);
}

/* The commit fails, as often as it likes. */
static void test_once_over_failed_commits(void **state) {
        World *w = *state;
        uint32_t run = world_start(w, "chain");

        world_fail(w);
        fake_exit(w->fake, run, "a", 1);
        world_turn(w);
        assert_int_equal(w->engine->storage, STORAGE_FAILING);
        assert_int_equal(world_run(w, run)->state, RUN_RUNNING);
        assert_int_equal(intmap_size(w->engine->runs), 1);
        for (unsigned at = 1; w->engine->storage == STORAGE_FAILING; at++) {
                fault_arm(&(FaultPlan) { .target = FAULT_SYNC, .action = FAULT_IOERR, .at = at, .lasting = true });
                assert_ok(storage_on_retry(NULL, 0, w->engine));
                world_turn(w);
                fault_disarm();
        }
        assert_int_equal(world_stored_state(w, run), RUN_FAILED);
        assert_int_equal(count_triggered(w, run), 1);
        assert_int_equal(store_last_run(w->store), 2);
}

/* Without a free slot it waits for one like any other. */
static void test_waits_for_a_slot(void **state) {
        World *w = *state;

        assert_ok(engine_set_max_steps(w->engine, 1));
        world_start(w, "chain");
        world_start(w, "wide");
        fake_exit(w->fake, 1, "a", 1);
        world_turn(w);
        assert_int_equal(fake_count(w->fake, 0), 1);
        while (fake_count(w->fake, 2) > 0) {
                fake_exit(w->fake, 2, NULL, 0);
                world_turn(w);
        }
        assert_non_null(fake_find(w->fake, 3, "tell"));
}

/* What can't be started holds nothing up. */
static void test_cannot_start(void **state) {
        World *w = *state;
        uint32_t run;

        world_write(w, "needy.yaml",
                    "inputs: {token: {type: string}}\ntriggers: [{onFailureOf: [chain], inputs: {token: 5}}]\n"
                    "phases:\n  - name: main\n    activities: [{name: x, run: 'echo ${{ inputs.token }}'}]\n");
        world_write(w, "broken.yaml", "triggers: [{onFailureOf: [chain]}]\nphases: 3\n");
        run = start_failed(w);
        assert_int_equal(store_last_run(w->store), run + 1);
        assert_string_equal(world_run(w, run + 1)->runbook->name, "notify");
}

static void test_no_room(void **state) {
        World *w = *state;
        uint32_t run = world_start(w, "chain");

        for (uint64_t i = 0; i < ENGINE_RUNS_MAX; i++)
                assert_ok(intmap_put(w->engine->runs, 1000 + i, w));
        fake_exit(w->fake, run, "a", 1);
        world_turn(w);
        for (uint64_t i = 0; i < ENGINE_RUNS_MAX; i++)
                (void) intmap_remove(w->engine->runs, 1000 + i);
        assert_int_equal(world_stored_state(w, run), RUN_FAILED);
        assert_int_equal(store_last_run(w->store), run);
}

static void test_several(void **state) {
        World *w = *state;
        uint32_t run;

        world_write(w, "all.yaml", "triggers: [{onFailureOf: []}]\nphases:\n  - name: main\n    activities: [{name: x, run: 'true'}]\n");
        world_write(w, "alpha.yaml",
                    "triggers: [{onFailureOf: [chain]}]\nphases:\n  - name: main\n    activities: [{name: x, run: 'true'}]\n");
        run = start_failed(w);
        assert_string_equal(world_run(w, run + 1)->runbook->name, "all");
        assert_string_equal(world_run(w, run + 2)->runbook->name, "alpha");
        assert_string_equal(world_run(w, run + 3)->runbook->name, "notify");
        assert_int_equal(count_triggered(w, run), 3);
        assert_ptr_equal(json_get(world_run(w, run + 1)->payload, "attempts"), json_get(world_run(w, run + 3)->payload, "attempts"));
}

/* S4.14, the bound: more than a payload holds is cut to the last attempts, and it says so. */
static void test_payload_is_cut(void **state) {
        World *w = *state;
        _cleanup_json_ Json *outputs = json_new_object();
        const Json *attempts;
        char value[4000];
        uint32_t run;

        memset(value, 'v', sizeof value);
        value[sizeof value - 1] = 0;
        for (unsigned i = 0; i < 60; i++) {
                char name[16];
                (void) snprintf(name, sizeof name, "o%u", i);
                assert_ok(json_set_string(outputs, name, value));
        }
        world_write(w, "tells.yaml",
                    "failurePolicy: fail\nphases:\n  - name: main\n    activities:\n"
                    "      - {name: a, retries: {max: 7, initialIntervalMs: 1}, run: 'true'}\n");
        run = world_start(w, "tells");
        for (unsigned i = 0; i < 8; i++) {
                while (!fake_find(w->fake, run, "a"))
                        assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
                fake_end(fake_find(w->fake, run, "a"), &(ExecResult) { .outcome = EXEC_EXITED, .status = 1, .outputs = outputs });
                world_turn(w);
        }
        assert_int_equal(world_stored_state(w, run), RUN_EXHAUSTED);
        assert_true(json_bool(json_get(world_run(w, run + 1)->payload, "cut")));
        assert_true(json_size(world_run(w, run + 1)->payload, 2 * TRIGGER_PAYLOAD_MAX) <= TRIGGER_PAYLOAD_MAX);
        attempts = json_get(json_at(json_get(world_run(w, run + 1)->payload, "attempts"), 0), "attempts");
        assert_int_equal(json_length(attempts), 4);
        assert_int_equal(json_int(json_get(json_at(attempts, 3), "number")), 8);
}

#define trigger_test(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                trigger_test(test_fires),
                trigger_test(test_no_chain),
                trigger_test(test_states),
                trigger_test(test_dead_letters),
                trigger_test(test_after_the_last_try),
                trigger_test(test_once_over_deaths),
                trigger_test(test_once_over_failed_commits),
                trigger_test(test_waits_for_a_slot),
                trigger_test(test_cannot_start),
                trigger_test(test_no_room),
                trigger_test(test_several),
                trigger_test(test_payload_is_cut),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
