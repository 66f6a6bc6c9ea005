/* The order of a commit, and what it costs. */
#include "engine-fixture.h"

#include <stdio.h>

/* Section 9: nothing is executed or told before it is on disk; and children are prepared before the write, launched before anything is
 * told. */
static void test_order(void **state) {
        World *w = *state;
        FakeJob *j;

        world_start(w, "chain");
        j = fake_find(w->fake, 1, "a");
        assert_non_null(j);
        assert_int_equal(j->flushes_at_launch, j->flushes_at_prepare + 1);
        assert_true(world_trace_find(w, "prepare 1/a/1") < world_trace_find(w, "launch 1/a/1"));
        assert_true(world_trace_find(w, "launch 1/a/1") < world_trace_find(w, "committed 1 0"));
        assert_true(world_trace_find(w, "committed 1 0") < world_trace_find(w, "added 1"));
        assert_true(world_trace_find(w, "added 1") < world_trace_find(w, "activity 1/a running"));
        assert_true(world_trace_find(w, "activity 1/a running") < world_trace_find(w, "run 1 running"));
        assert_true(world_trace_find(w, "run 1 running") < world_trace_find(w, "counts 1 0 0"));
}

static void test_nothing_before_the_turn_ends(void **state) {
        World *w = *state;
        Ticket ticket;
        _cleanup_free_ char *message = NULL;

        assert_int_equal(world_try_start(w, "chain", NULL, &ticket, &message), VERDICT_OK);
        assert_int_equal(w->trace.n, strlen("clean-up 0\n"));
        assert_int_equal(world_events(w, 1, NULL), 0);
        world_turn(w);
        assert_int_equal(w->committed, ticket);
        assert_true(world_events(w, 1, NULL) > 0);
}

/* One flush for each step of a chain: the end of one and the start of the next are one commit. */
static void test_chain_flushes(void **state) {
        World *w = *state;
        uint64_t before;

        world_start(w, "chain");
        before = fault_syncs();
        fake_exit(w->fake, 1, "a", 0);
        world_turn(w);
        assert_int_equal(fault_syncs() - before, 1);
        fake_exit(w->fake, 1, "b", 0);
        world_turn(w);
        fake_exit(w->fake, 1, "c", 0);
        world_turn(w);
        assert_int_equal(fault_syncs() - before, 3);
        assert_int_equal(world_stored_state(w, 1), RUN_SUCCESS);
        assert_true(world_trace_find(w, "finished 1 success") < world_trace_find(w, "removed 1"));
        assert_true(world_trace_find(w, "run 1 success") < world_trace_find(w, "finished 1 success"));
        assert_true(world_traced(w, "counts 0 0 0"));
}

/* The identity of the process stands in the step-started event, so that recovery finds what is left of it. */
static int has_process(void *userdata, const EventRow *row) {
        if (streq(row->type, "step-started"))
                *(bool *) userdata = row->data && strstr(row->data, "\"process\":{\"run\":1,\"activity\":\"a\"");
        return 0;
}

static void test_identity(void **state) {
        World *w = *state;
        bool found = false;

        world_start(w, "chain");
        assert_ok(store_load_events(w->store, 1, 1, 0, has_process, &found));
        assert_true(found);
}

static void test_many_verbs_one_commit(void **state) {
        World *w = *state;
        Ticket ticket = 0;
        uint64_t before = fault_syncs();

        for (unsigned i = 0; i < 20; i++) {
                _cleanup_free_ char *message = NULL;
                assert_int_equal(world_try_start(w, "sign", NULL, &ticket, &message), VERDICT_OK);
        }
        assert_int_equal(ticket, 20);
        assert_ok(engine_flush(w->engine));
        assert_int_equal(fault_syncs() - before, 1);
        assert_int_equal(world_trace_count(w, "committed 20 0"), 1);
        assert_int_equal(world_events(w, 20, "run-created"), 1);
}

/* A read commits first; flushing when nothing waits is free. */
static void test_flush(void **state) {
        World *w = *state;
        Ticket ticket;
        _cleanup_free_ char *message = NULL;
        uint64_t before = fault_syncs();

        assert_ok(engine_flush(w->engine));
        assert_int_equal(fault_syncs(), before);
        assert_int_equal(world_try_start(w, "chain", NULL, &ticket, &message), VERDICT_OK);
        assert_ok(engine_flush(w->engine));
        assert_int_equal(w->committed, ticket);
        assert_int_equal(fault_syncs(), before + 1);
        world_turn(w);
        assert_int_equal(fault_syncs(), before + 1);
}

/* The row of a run is written when it says something new, and is complete at the end. */
static int take_row(void *userdata, const RunRow *row) {
        *(uint32_t *) userdata = row->n_events;
        return 0;
}

static void test_rows(void **state) {
        World *w = *state;
        uint32_t n_events = 0;

        world_start(w, "chain");
        fake_exit(w->fake, 1, NULL, 0);
        world_turn(w);
        fake_exit(w->fake, 1, NULL, 0);
        world_turn(w);
        fake_exit(w->fake, 1, NULL, 0);
        world_turn(w);
        assert_ok(store_get_run(w->store, 1, take_row, &n_events));
        assert_int_equal(n_events, world_events(w, 1, NULL));
}

/* Many steps that end beside each other share flushes: the commit waits for more of them while enough others run. */
static void test_wide_flushes(void **state) {
        World *w = *state;
        uint64_t before;
        unsigned ended = 0;

        world_close(w);
        w->max_steps = 16;
        world_open(w);
        for (unsigned i = 0; i < 16; i++)
                world_start(w, "chain");
        assert_int_equal(fake_count(w->fake, 0), 16);
        w->engine->cpus = 2;
        w->engine->pace = (Pace) { .gap = PACE_GAP_MAX / 2, .last_end = now_usec(CLOCK_MONOTONIC) };
        before = fault_syncs();
        for (uint32_t run = 1; run <= 9; run++, ended++) {
                fake_exit(w->fake, run, NULL, 0);
                world_turn(w);
                if (!w->engine->held)                   /* this machine was too slow for the hold */
                        break;
        }
        if (ended == 9) {
                assert_int_equal(fault_syncs(), before);
                fake_exit(w->fake, 10, NULL, 0);
                world_turn(w);
        }
        assert_int_equal(fault_syncs(), before + 1);
}

/* A hold ends by itself. */
static void test_hold_runs_out(void **state) {
        World *w = *state;

        world_close(w);
        w->max_steps = 16;
        world_open(w);
        for (unsigned i = 0; i < 16; i++)
                world_start(w, "chain");
        w->engine->cpus = 2;
        w->engine->pace = (Pace) { .gap = 100, .last_end = now_usec(CLOCK_MONOTONIC) };
        fake_exit(w->fake, 1, NULL, 0);
        world_wait(w, "launch 1/b/1");
        assert_false(w->engine->held);
        assert_int_equal(w->engine->pace.skip, 1);
}

/* A turn that is full or old goes before all other sources. */
static void test_hurry(void **state) {
        World *w = *state;
        int64_t priority;

        for (unsigned i = 0; i < TURN_EVENTS_MAX; i++) {
                _cleanup_free_ char *message = NULL;
                Ticket ticket;
                assert_int_equal(world_try_start(w, "sign", NULL, &ticket, &message), VERDICT_OK);
        }
        assert_ok(sd_event_source_get_priority(w->engine->commit_source, &priority));
        assert_int_equal(priority, PRIORITY_COMMIT_NOW);
        world_turn(w);
        assert_ok(sd_event_source_get_priority(w->engine->commit_source, &priority));
        assert_int_equal(priority, PRIORITY_COMMIT);
        assert_int_equal(w->committed, TURN_EVENTS_MAX);
}

/* The cost of a transition does not grow with the number of activities: in processor time, with much room, since a scan of all of them
 * would cost a thousand times more. */
static usec_t transition_cost(World *w, const char *runbook, unsigned n) {
        uint32_t run = world_start(w, runbook);
        usec_t best = USEC_INFINITY;

        for (unsigned i = 0; i < n; i++) {
                usec_t begun = now_usec(CLOCK_THREAD_CPUTIME_ID);

                fake_exit(w->fake, run, NULL, 0);
                world_turn(w);
                best = MIN(best, now_usec(CLOCK_THREAD_CPUTIME_ID) - begun);
        }
        return best;
}

static void write_long(World *w, const char *name, unsigned n) {
        _cleanup_strbuf_ StrBuf b = { 0 };

        strbuf_append(&b, "phases:\n  - name: main\n    activities:\n");
        for (unsigned i = 0; i < n; i++)
                strbuf_appendf(&b, "      - {name: a%u, run: 'true'}\n", i);
        world_write(w, name, b.s);
}

static void test_no_scan(void **state) {
        World *w = *state;
        usec_t small, large;

        write_long(w, "short.yaml", 20);
        write_long(w, "long.yaml", 10000);
        small = transition_cost(w, "short", 19);
        large = transition_cost(w, "long", 40);
        assert_true(large < 20 * small);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_order),
                engine_test(test_nothing_before_the_turn_ends),
                engine_test(test_chain_flushes),
                engine_test(test_identity),
                engine_test(test_many_verbs_one_commit),
                engine_test(test_flush),
                engine_test(test_rows),
                engine_test(test_wide_flushes),
                engine_test(test_hold_runs_out),
                engine_test(test_hurry),
                engine_test(test_no_scan),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
