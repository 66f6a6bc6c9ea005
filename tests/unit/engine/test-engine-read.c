/* Reads: live runs, ended ones folded from the store, lists, histories, logs. */
#include "engine-fixture.h"

#include <stdio.h>

static uint32_t run_to_end(World *w, const char *runbook) {
        uint32_t run = world_start(w, runbook);

        while (fake_count(w->fake, run) > 0) {
                fake_exit(w->fake, run, NULL, 0);
                world_turn(w);
        }
        return run;
}

static void test_get_run(void **state) {
        World *w = *state;
        Run *run;

        assert_int_equal(engine_get_run(w->engine, 1, &run), VERDICT_NO_SUCH_RUN);
        world_start(w, "chain");
        assert_int_equal(engine_get_run(w->engine, 1, &run), VERDICT_OK);
        assert_true(engine_run_is_live(w->engine, 1));
        assert_int_equal(run->state, RUN_RUNNING);
        run_to_end(w, "wide");
        assert_false(engine_run_is_live(w->engine, 2));
        assert_int_equal(engine_get_run(w->engine, 2, &run), VERDICT_OK);
        assert_int_equal(run->state, RUN_SUCCESS);
}

/* What is folded from the store is what was in memory. */
static void test_folded_is_the_same(void **state) {
        World *w = *state;
        _cleanup_json_ Json *before = NULL, *after = NULL;
        _cleanup_free_ char *x = NULL, *y = NULL;

        run_to_end(w, "chain");
        assert_ok(run_describe(world_run(w, 1), &before));
        world_again(w);
        assert_int_equal(w->engine->n_cache, 0);
        assert_ok(run_describe(world_run(w, 1), &after));
        assert_int_equal(w->engine->n_cache, 1);
        x = json_to_string(before, true);
        y = json_to_string(after, true);
        assert_string_equal(x, y);
}

/* A few stay in memory; those somebody may hold in this round of the loop all do. */
static void test_cache(void **state) {
        World *w = *state;
        Run *first, *again;

        for (unsigned i = 0; i < 8; i++)
                run_to_end(w, "chain");
        world_again(w);
        world_turn(w);
        first = world_run(w, 1);
        for (uint32_t run = 2; run <= 8; run++)
                (void) world_run(w, run);
        again = world_run(w, 1);
        assert_ptr_equal(first, again);
        assert_int_equal(first->id, 1);
        assert_int_equal(w->engine->n_cache, 8);
        run_to_end(w, "chain");                         /* the loop goes on */
        assert_true(w->engine->n_cache <= ENGINE_FINISHED_CACHE);
}

/* Nothing is kept but what somebody may hold, and all of it can still be read. */
static void test_release_memory(void **state) {
        World *w = *state;
        Run *held;

        run_to_end(w, "chain");
        run_to_end(w, "wide");
        world_start(w, "chain");
        held = world_run(w, 1);
        engine_release_memory(w->engine);
        assert_ptr_equal(world_run(w, 1), held);
        world_turn(w);
        run_to_end(w, "wide");
        engine_release_memory(w->engine);
        assert_true(w->engine->n_cache <= 1);
        assert_int_equal(world_run(w, 2)->state, RUN_SUCCESS);
        fake_exit(w->fake, 3, NULL, 0);
        world_turn(w);
        assert_int_equal(world_events(w, 3, "step-finished"), 1);
}

static void test_iterate(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        unsigned seen = 0;
        Ticket ticket;
        Run *run;

        world_start(w, "chain");
        run_to_end(w, "wide");
        world_start(w, "sign");
        assert_int_equal(world_try_start(w, "chain", NULL, &ticket, &message), VERDICT_OK); /* not on disk: not shown */
        for (size_t i = 0; engine_iterate_live(w->engine, &i, &run);)
                seen |= 1u << run->id;
        assert_int_equal(seen, 1u << 1 | 1u << 3);
}

static int append_id(void *userdata, const RunRow *row) {
        strbuf_appendf(userdata, "%u:%s ", row->id, row->status_text);
        return 0;
}

static void test_list(void **state) {
        World *w = *state;
        _cleanup_strbuf_ StrBuf b = { 0 };

        run_to_end(w, "chain");
        world_start(w, "sign");
        world_start(w, "chain");
        assert_ok(engine_list_runs(w->engine, &(RunFilter) { .limit = 2 }, append_id, &b));
        assert_string_equal(b.s, "3:running 2:1 activity requires your input ");
        strbuf_done(&b);
        b = (StrBuf) { 0 };
        assert_ok(engine_list_runs(w->engine, &(RunFilter) { .runbook = "chain", .states = 1u << RUN_SUCCESS }, append_id, &b));
        assert_string_equal(b.s, "1:success ");
}

static int append_type(void *userdata, const EventRow *row) {
        strbuf_appendf(userdata, "%u:%s ", row->seq, row->type);
        return 0;
}

static void test_history(void **state) {
        World *w = *state;
        _cleanup_strbuf_ StrBuf b = { 0 };

        assert_int_equal(engine_history(w->engine, 1, 1, 0, append_type, &b), VERDICT_NO_SUCH_RUN);
        world_start(w, "sign");
        assert_int_equal(engine_history(w->engine, 1, 1, 2, append_type, &b), VERDICT_OK);
        assert_string_equal(b.s, "1:run-created 2:run-started ");
        strbuf_done(&b);
        b = (StrBuf) { 0 };
        assert_int_equal(engine_history(w->engine, 1, 3, 1, append_type, &b), VERDICT_OK);
        assert_string_equal(b.s, "3:phase-started ");
}

static void test_log_location(void **state) {
        World *w = *state;
        _cleanup_free_ char *path = NULL, *first = NULL, *second = NULL, *whole = NULL, *newest = NULL;
        uint64_t start, end;
        bool running;

        world_write(w, "two.yaml", "phases:\n  - name: main\n    activities:\n      - {name: a, steps: [{run: one}, {run: two}]}\n");
        world_start(w, "two");
        assert_int_equal(engine_log_location(w->engine, 9, "a", 1, 0, &path, &start, &end, &running), VERDICT_NO_SUCH_RUN);
        assert_int_equal(engine_log_location(w->engine, 1, "b", 1, 0, &path, &start, &end, &running), VERDICT_NO_SUCH_ACTIVITY);
        assert_int_equal(engine_log_location(w->engine, 1, "a", 2, 0, &path, &start, &end, &running), VERDICT_NO_SUCH_STEP);
        assert_int_equal(engine_log_location(w->engine, 1, "a", 1, 2, &path, &start, &end, &running), VERDICT_NO_SUCH_STEP);
        assert_int_equal(engine_log_location(w->engine, 1, "a", 1, -2, &path, &start, &end, &running), VERDICT_NO_SUCH_STEP);
        assert_null(path);
        assert_int_equal(engine_log_location(w->engine, 1, "a", 1, 1, &path, &start, &end, &running), VERDICT_OK);
        assert_int_equal(end, 0);
        assert_true(running);                           /* nothing yet, but it is not over: who follows it waits */
        free(TAKE_PTR(path));

        fake_end(fake_find(w->fake, 1, "a"), &(ExecResult) { .outcome = EXEC_EXITED, .log_end = 100 });
        world_turn(w);
        assert_int_equal(engine_log_location(w->engine, 1, "a", 1, 0, &first, &start, &end, &running), VERDICT_OK);
        assert_int_equal(start, 0);
        assert_int_equal(end, 100);
        assert_false(running);
        path = exec_log_path(w->state, 1, "a", 1);
        assert_string_equal(first, path);
        assert_int_equal(engine_log_location(w->engine, 1, "a", 0, 1, &second, &start, &end, &running), VERDICT_OK);
        assert_int_equal(start, 100);
        assert_true(end == UINT64_MAX);
        assert_true(running);
        assert_int_equal(engine_log_location(w->engine, 1, "a", 0, -1, &whole, &start, &end, &running), VERDICT_OK);
        assert_int_equal(start, 0);
        assert_true(end == UINT64_MAX && running);

        fake_end(fake_find(w->fake, 1, "a"), &(ExecResult) { .outcome = EXEC_EXITED, .log_end = 250 });
        world_turn(w);
        assert_int_equal(engine_log_location(w->engine, 1, "a", 0, -1, &newest, &start, &end, &running), VERDICT_OK);
        assert_int_equal(start, 0);
        assert_int_equal(end, 250);
        assert_false(running);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_get_run),
                engine_test(test_folded_is_the_same),
                engine_test(test_cache),
                engine_test(test_release_memory),
                engine_test(test_iterate),
                engine_test(test_list),
                engine_test(test_history),
                engine_test(test_log_location),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
