#include "fixture.h"

static void compare_text(const char *a, const char *b) {
        if (!a || !b)
                assert_ptr_equal(a, b);
        else
                assert_string_equal(a, b);
}

static int compare_run(void *userdata, const RunRow *row) {
        const RunRow *want = userdata;

        assert_int_equal(row->id, want->id);
        compare_text(row->runbook, want->runbook);
        compare_text(row->definition, want->definition);
        assert_int_equal(row->state, want->state);
        compare_text(row->status_text, want->status_text);
        assert_true(row->created_at == want->created_at);
        assert_true(row->started_at == want->started_at);
        assert_true(row->finished_at == want->finished_at);
        assert_true(row->scheduled_for == want->scheduled_for);
        assert_int_equal(row->started_by, want->started_by);
        assert_int_equal(row->had_errors, want->had_errors);
        assert_int_equal(row->pending_requests, want->pending_requests);
        assert_int_equal(row->attempt, want->attempt);
        assert_int_equal(row->replay_of, want->replay_of);
        assert_int_equal(row->root_run, want->root_run);
        assert_int_equal(row->n_events, want->n_events);
        compare_text(row->trigger, want->trigger);
        compare_text(row->labels, want->labels);
        compare_text(row->dedup_key, want->dedup_key);
        return 0;
}

static const RunRow full_row = {
        .id = 3, .runbook = "re'lease", .definition = "abc", .state = RUN_ON_HOLD, .status_text = "2 activities require your input", .created_at = 10,
        .started_at = 20, .finished_at = 30, .scheduled_for = USEC_INFINITY, .started_by = UINT32_MAX, .had_errors = true, .pending_requests = 2, .attempt = 4,
        .replay_of = 1, .root_run = 1, .n_events = UINT32_MAX, .trigger = "schedule", .labels = "{\"a\":\"b\"}", .dedup_key = "k",
};

static void test_round_trip(void **state) {
        Fixture *f = *state;
        RunRow bare = { .id = 9, .runbook = "x", .definition = "y" };

        put_run(f->store, &full_row);
        put_run(f->store, &bare);
        fixture_reopen(f);
        assert_ok(store_get_run(f->store, 3, compare_run, (void *) &full_row));
        assert_ok(store_get_run(f->store, 9, compare_run, &bare));
        assert_int_equal(store_get_run(f->store, 4, compare_run, NULL), -ENOENT);
}

/* Whatever is changed, alone or together, the row is afterwards what was put. */
static void test_every_change(void **state) {
        Fixture *f = *state;
        RunRow rows[19];
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                rows[i] = full_row;
        rows[n++].runbook = "other";
        rows[n++].definition = "other";
        rows[n++].state = RUN_SUCCESS;
        rows[n++].status_text = NULL;
        rows[n++].created_at = 99;
        rows[n++].started_at = 99;
        rows[n++].finished_at = 99;
        rows[n++].scheduled_for = 99;
        rows[n++].started_by = 99;
        rows[n++].had_errors = false;
        rows[n++].pending_requests = 99;
        rows[n++].attempt = 99;
        rows[n++].replay_of = 99;
        rows[n++].root_run = 99;
        rows[n++].n_events = 99;
        rows[n++].trigger = NULL;
        rows[n++].labels = NULL;
        rows[n++].dedup_key = NULL;
        rows[n++] = (RunRow) { .id = 3, .runbook = "x", .definition = "y" };
        assert_int_equal(n, ELEMENTSOF(rows));

        for (size_t i = 0; i < n; i++) {
                put_run(f->store, &full_row);
                if (i % 2)
                        store_release_memory(f->store);
                put_run(f->store, rows + i);
                assert_ok(store_get_run(f->store, 3, compare_run, rows + i));
        }
        f->store = store_close(f->store);
        run_raw(f->database, "CREATE TEMP TABLE t(x CHECK(x = 'ok')); INSERT INTO t SELECT * FROM pragma_integrity_check");
}

static void test_refused(void **state) {
        Fixture *f = *state;
        RunRow rows[] = { full_row, full_row, full_row, full_row, full_row };

        rows[0].id = 0;
        rows[1].runbook = NULL;
        rows[2].definition = NULL;
        rows[3].state = _RUN_STATE_MAX;
        rows[4].state = _RUN_STATE_INVALID;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_ok(store_begin(f->store));
                assert_int_equal(store_put_run(f->store, rows + i), -EINVAL);
                assert_int_equal(store_commit(f->store), -EINVAL);
        }
        assert_int_equal(store_last_run(f->store), 0);
}

/* Progress of a run must cost one page: a frame of the WAL is two writes. */
static void test_progress_is_one_page(void **state) {
        Fixture *f = *state;
        RunRow row = full_row;

        put_run(f->store, &row);
        for (unsigned i = 0; i < 5; i++) {
                fault_reset_counts();
                row.n_events = i;
                row.pending_requests = i;
                row.status_text = i % 2 ? "a" : "another text";
                put_run(f->store, &row);
                assert_int_equal(fault_writes(), 2);
                assert_int_equal(fault_syncs(), 1);
        }
}

#define N_RUNS 300

typedef struct Listed {
        uint32_t ids[N_RUNS];
        size_t n;
} Listed;

static int collect(void *userdata, const RunRow *row) {
        Listed *l = userdata;

        assert_true(l->n < N_RUNS);
        l->ids[l->n++] = row->id;
        return 0;
}

static const char *const books[] = { "a", "b", "c" };

static RunRow nth(uint32_t id) {
        RunRow row = run_of(id, (RunState) (id * 7 % 31 % _RUN_STATE_MAX));

        row.runbook = books[id * 5 % 11 % ELEMENTSOF(books)];
        return row;
}

static void fill(Store *s) {
        assert_ok(store_begin(s));
        for (uint32_t id = 1; id <= N_RUNS; id++) {
                RunRow row = nth(id);

                assert_ok(store_put_run(s, &row));
        }
        assert_ok(store_commit(s));
}

static void expect_list(Store *s, const RunFilter *filter) {
        Listed got = {}, want = {};

        for (uint32_t id = N_RUNS; id > 0; id--) {
                RunRow row = nth(id);

                if (filter->states != 0 && (filter->states & (1u << row.state)) == 0)
                        continue;
                if (filter->runbook && !streq(filter->runbook, row.runbook))
                        continue;
                if (filter->before != 0 && id >= filter->before)
                        continue;
                if (filter->limit != 0 && want.n >= filter->limit)
                        break;
                want.ids[want.n++] = id;
        }
        assert_ok(store_list_runs(s, filter, collect, &got));
        assert_int_equal(got.n, want.n);
        assert_memory_equal(got.ids, want.ids, want.n * sizeof(uint32_t));
}

/* Every combination of filters against the obvious way to do it. */
static void test_lists(void **state) {
        Fixture *f = *state;
        static const uint32_t states[] = { 0, 1u << RUN_SUCCESS, 1u << RUN_FAILED | 1u << RUN_DLQ, (1u << _RUN_STATE_MAX) - 1, UINT32_MAX, 1u << 31 };
        static const char *const runbooks[] = { NULL, "a", "b", "c", "d", "' OR 1=1 --" };
        static const uint32_t before[] = { 0, 1, 2, 100, N_RUNS, N_RUNS + 1, UINT32_MAX }, limits[] = { 0, 1, 10, N_RUNS, UINT32_MAX };

        fill(f->store);
        for (size_t a = 0; a < ELEMENTSOF(states); a++)
                for (size_t b = 0; b < ELEMENTSOF(runbooks); b++)
                        for (size_t c = 0; c < ELEMENTSOF(before); c++)
                                for (size_t d = 0; d < ELEMENTSOF(limits); d++)
                                        expect_list(f->store, &(RunFilter) { states[a], runbooks[b], before[c], limits[d] });
}

static int stop_at_second(void *userdata, const RunRow *row) {
        return ++*(unsigned *) userdata == 2 ? -ELOOP : 0;
}

static void test_list_stops(void **state) {
        Fixture *f = *state;
        unsigned n = 0;

        fill(f->store);
        assert_int_equal(store_list_runs(f->store, &(RunFilter) {}, stop_at_second, &n), -ELOOP);
        assert_int_equal(n, 2);
        n = 0;
        assert_int_equal(store_unfinished_runs(f->store, stop_at_second, &n), -ELOOP);
        assert_int_equal(n, 2);
}

static int check_unfinished(void *userdata, const RunRow *row) {
        uint32_t *last = userdata;

        assert_false(run_state_is_terminal(row->state));
        for (uint32_t id = *last + 1; id < row->id; id++)
                assert_true(run_state_is_terminal(nth(id).state));
        *last = row->id;
        return 0;
}

static void test_unfinished(void **state) {
        Fixture *f = *state;
        uint32_t last = 0;

        fill(f->store);
        assert_ok(store_unfinished_runs(f->store, check_unfinished, &last));
        for (uint32_t id = last + 1; id <= N_RUNS; id++)
                assert_true(run_state_is_terminal(nth(id).state));
        assert_true(last > 0);
}

static void expect_counts(Store *s) {
        for (RunState state = 0; state < _RUN_STATE_MAX; state++) {
                Listed l = {};
                uint32_t n = UINT32_MAX;

                assert_ok(store_list_runs(s, &(RunFilter) { .states = 1u << state }, collect, &l));
                if (state != RUN_EXHAUSTED && state != RUN_DLQ) {
                        assert_int_equal(store_count_state(s, state, &n), -EINVAL);
                        continue;
                }
                assert_ok(store_count_state(s, state, &n));
                assert_int_equal(n, l.n);
        }
}

static void test_counts(void **state) {
        Fixture *f = *state;
        uint32_t n = 0;
        RunRow row;

        expect_counts(f->store);
        fill(f->store);
        expect_counts(f->store);
        row = nth(5);
        row.state = RUN_DLQ;
        put_run(f->store, &row);
        row.n_events = 77;
        put_run(f->store, &row);
        row.runbook = "moved";
        row.state = RUN_CANCELLED;
        put_run(f->store, &row);
        expect_counts(f->store);

        f->store = store_close(f->store);
        run_raw(f->database, "DELETE FROM runs WHERE id % 3 = 0");
        fixture_open(f, DURABILITY_FULL, NULL);
        expect_counts(f->store);
        assert_int_equal(store_count_state(f->store, _RUN_STATE_MAX, &n), -EINVAL);
}

static void put_keyed(Store *s, uint32_t id, const char *runbook, const char *key, usec_t created) {
        RunRow row = run_of(id, RUN_SUCCESS);

        row.runbook = runbook;
        row.dedup_key = key;
        row.created_at = created;
        put_run(s, &row);
}

/* S4.18: the newest run of the same key, and only within the window. */
static void test_dedup(void **state) {
        Fixture *f = *state;
        static const struct { const char *runbook, *key; usec_t since; uint32_t id; } cases[] = {
                { "a", "k", 0, 5 }, { "a", "k", 300, 5 }, { "a", "k", 301, 0 }, { "a", "l", 0, 3 }, { "b", "k", 0, 4 }, { "b", "l", 0, 0 }, { "a", "", 0, 0 },
                { "a", "k", USEC_INFINITY, 0 },
        };

        put_keyed(f->store, 1, "a", "k", 100);
        put_keyed(f->store, 2, "a", "k", 300);
        put_keyed(f->store, 3, "a", "l", 200);
        put_keyed(f->store, 4, "b", "k", 200);
        put_keyed(f->store, 5, "a", "k", 300);
        put_keyed(f->store, 6, "a", NULL, 400);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint32_t id = 0;

                assert_int_equal(store_find_dedup(f->store, cases[i].runbook, cases[i].key, cases[i].since, &id), cases[i].id ? 0 : -ENOENT);
                assert_int_equal(id, cases[i].id);
        }
}

/* A number names one run for ever, also after the run is gone. */
static void test_last_run(void **state) {
        Fixture *f = *state;
        RunRow row = run_of(41, RUN_SUCCESS), older = run_of(7, RUN_SUCCESS), lost = run_of(50, RUN_RUNNING);

        assert_int_equal(store_last_run(f->store), 0);
        put_run(f->store, &row);
        put_run(f->store, &older);
        assert_int_equal(store_last_run(f->store), 41);

        assert_ok(store_begin(f->store));
        assert_ok(store_put_run(f->store, &lost));
        assert_int_equal(store_last_run(f->store), 50);
        store_rollback(f->store);
        assert_int_equal(store_last_run(f->store), 41);

        f->store = store_close(f->store);
        run_raw(f->database, "DELETE FROM runs");
        assert_int_equal(store_last_run(fixture_open(f, DURABILITY_FULL, NULL)), 41);
}

/* … also one that has only events. */
static void test_last_run_by_events(void **state) {
        Fixture *f = *state;
        RunRow row = run_of(7, RUN_SUCCESS);
        const EventRow lost = event_of(60, 1);

        put_run(f->store, &row);
        append_event(f->store, 41, 1);
        append_event(f->store, 12, 3);
        assert_int_equal(store_last_run(f->store), 41);
        assert_ok(store_begin(f->store));
        assert_ok(store_append_event(f->store, &lost));
        assert_int_equal(store_last_run(f->store), 60);
        store_rollback(f->store);
        assert_int_equal(store_last_run(f->store), 41);
        assert_int_equal(store_last_run(fixture_reopen(f)), 41);
        append_event(f->store, UINT32_MAX, INT32_MAX);
        assert_int_equal(store_last_run(fixture_reopen(f)), UINT32_MAX);
}

static void set_complete(Store *s, uint32_t run) {
        assert_ok(store_begin(s));
        assert_ok(store_set_complete(s, run));
        assert_ok(store_commit(s));
}

/* It is part of the transaction that makes it true. */
static void test_complete(void **state) {
        Fixture *f = *state;
        const EventRow bad = event_of(0, 1);

        assert_int_equal(store_complete(f->store), 0);
        assert_int_equal(store_set_complete(f->store, 5), -EINVAL);
        assert_int_equal(store_complete(f->store), 0);
        set_complete(f->store, 5);
        assert_int_equal(store_complete(f->store), 5);

        assert_ok(store_begin(f->store));
        assert_ok(store_set_complete(f->store, 6));
        assert_int_equal(store_complete(f->store), 6);
        store_rollback(f->store);
        assert_int_equal(store_complete(f->store), 5);

        assert_ok(store_begin(f->store));
        assert_ok(store_set_complete(f->store, 7));
        assert_int_equal(store_append_event(f->store, &bad), -EINVAL);
        assert_int_equal(store_set_complete(f->store, 8), -EINVAL); /* nothing more goes into a transaction that failed */
        assert_int_equal(store_commit(f->store), -EINVAL);
        assert_int_equal(store_complete(f->store), 5);

        assert_ok(store_begin(f->store));
        assert_ok(store_set_complete(f->store, 9));
        fault_arm(&(FaultPlan) { .target = FAULT_SYNC, .action = FAULT_IOERR, .at = 1 });
        assert_int_equal(store_commit(f->store), -EIO);
        fault_disarm();
        assert_int_equal(store_complete(f->store), 5);
        assert_int_equal(store_complete(fixture_reopen(f)), 5);
        set_complete(f->store, UINT32_MAX);
        assert_int_equal(store_complete(fixture_reopen(f)), UINT32_MAX);
}

static int collect_number(void *userdata, uint32_t run) {
        Listed *l = userdata;

        assert_true(l->n < N_RUNS);
        l->ids[l->n++] = run;
        return 0;
}

static void expect_without_row(Store *s, const uint32_t *ids, size_t n) {
        Listed got = {};

        assert_ok(store_runs_without_row(s, collect_number, &got));
        assert_int_equal(got.n, n);
        assert_memory_equal(got.ids, ids, n * sizeof(uint32_t));
}

static int stop_at_number(void *userdata, uint32_t run) {
        return run == *(uint32_t *) userdata ? 42 : 0;
}

static int refuse_number(void *userdata, uint32_t run) {
        return -ELOOP;
}

static void test_without_row(void **state) {
        Fixture *f = *state;
        static const uint32_t expected[] = { 2, 3, 11, 40 };
        uint32_t eleven = 11;

        expect_without_row(f->store, NULL, 0);
        for (uint32_t id = 1; id <= 12; id++) {
                RunRow row = run_of(id, id % 2 ? RUN_SUCCESS : RUN_RUNNING);

                if (id != 2 && id != 3 && id != 9 && id != 11)
                        put_run(f->store, &row);
                if (id != 4 && id != 5)                 /* a row without events is no business of this */
                        append_event(f->store, id, 1);
                if (id == 6 || id == 9)
                        append_event(f->store, id, 2);  /* 9 had a row, which is gone: it waits for nothing */
        }
        append_event(f->store, 40, 1);                  /* behind a gap */
        f->store = store_close(f->store);
        run_raw(f->database, "DELETE FROM runs WHERE id IN (7, 12); DELETE FROM events WHERE id >> 31 IN (7, 12)");
        (void) fixture_open(f, DURABILITY_FULL, NULL);
        expect_without_row(f->store, expected, 4);

        assert_int_equal(store_runs_without_row(f->store, stop_at_number, &eleven), 42);
        assert_int_equal(store_runs_without_row(f->store, refuse_number, NULL), -ELOOP);
        set_complete(f->store, 2);
        expect_without_row(f->store, expected + 1, 3);
        set_complete(f->store, 10);
        expect_without_row(f->store, expected + 2, 2);
        expect_without_row(fixture_reopen(f), expected + 2, 2);
        set_complete(f->store, 40);
        expect_without_row(f->store, NULL, 0);
        set_complete(f->store, UINT32_MAX);             /* beyond what there is */
        expect_without_row(f->store, NULL, 0);
}

/* Numbers far away cost nothing, also the last there can be: nobody waits for a start of the daemon. */
static void test_without_row_far_away(void **state) {
        Fixture *f = *state;
        static const uint32_t expected[] = { 3, UINT32_MAX - 1, UINT32_MAX };
        RunRow row = run_of(UINT32_MAX - 2, RUN_SUCCESS);

        append_event(f->store, 3, 1);
        put_run(f->store, &row);
        append_event(f->store, UINT32_MAX - 2, INT32_MAX);
        append_event(f->store, UINT32_MAX - 1, 1);
        append_event(f->store, UINT32_MAX, 1);
        append_event(f->store, UINT32_MAX, INT32_MAX);
        expect_without_row(f->store, expected, 3);
        row.id = UINT32_MAX;
        put_run(f->store, &row);
        expect_without_row(f->store, expected, 2);
}

static int check_dlq(void *userdata, const RunRow *row) {
        assert_int_equal(row->state, RUN_DLQ);
        return 0;
}

/* A state of nobody's is not a reason to lose the list: the run shows as one that can't be read. */
static void test_unknown_state(void **state) {
        Fixture *f = *state;
        RunRow row = run_of(1, RUN_SUCCESS);

        put_run(f->store, &row);
        f->store = store_close(f->store);
        run_raw(f->database, "UPDATE runs SET state = 'dancing'");
        fixture_open(f, DURABILITY_FULL, NULL);
        assert_ok(store_get_run(f->store, 1, check_dlq, NULL));
        assert_ok(store_list_runs(f->store, &(RunFilter) {}, check_dlq, NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                open_store_test(test_round_trip),
                open_store_test(test_every_change),
                open_store_test(test_refused),
                open_store_test(test_progress_is_one_page),
                open_store_test(test_lists),
                open_store_test(test_list_stops),
                open_store_test(test_unfinished),
                open_store_test(test_counts),
                open_store_test(test_dedup),
                open_store_test(test_last_run),
                open_store_test(test_last_run_by_events),
                open_store_test(test_complete),
                open_store_test(test_without_row),
                open_store_test(test_without_row_far_away),
                open_store_test(test_unknown_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
