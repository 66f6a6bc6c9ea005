/* Runs without a row when the daemon dies, the storage fails, or what is stored of them is damaged; and how far the store knows rows to be
 * complete. */
#include "engine-fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>

#include "fd-util.h"

/* ---- a death of the daemon ---- */

/* In the order of their numbers: who came first gets the slot. */
static void test_order(void **state) {
        World *w = *state;

        world_write(w, "one.yaml", "phases:\n  - name: main\n    activities: [{name: a, run: 'true'}]\n");
        assert_ok(engine_set_max_steps(w->engine, 0));
        for (uint32_t run = 1; run <= 3; run++)         /* the second has a row */
                assert_int_equal(world_start_with(w, &(StartRequest) { .runbook = "one", .dedup_key = run == 2 ? "k" : NULL }), run);
        assert_ok(engine_flush(w->engine));
        world_again_with(w, 1);
        world_turn(w);
        for (uint32_t run = 1; run <= 3; run++) {
                fake_exit(w->fake, run, "a", 0);
                world_turn(w);
                assert_int_equal(world_stored_state(w, run), RUN_SUCCESS);
        }
        assert_true(world_trace_find(w, "added 1") < world_trace_find(w, "added 3"));
}

/* A number names one run for ever, also when the last ones have events only, and whatever fails after that. */
static void test_numbers(void **state) {
        World *w = *state;

        assert_int_equal(world_start_waiting(w, "sign"), 1);
        world_again_with(w, 0);
        assert_int_equal(world_start_waiting(w, "sign"), 2);
        world_again_with(w, 0);
        world_fail(w);
        assert_int_equal(world_start_with(w, &(StartRequest) { .runbook = "chain" }), 3);
        assert_ok(engine_flush(w->engine));
        assert_int_equal(w->committed_r, -EIO);
        world_assert_list(w, "2:queued 1:queued ");
        world_again_with(w, 0);
        assert_int_equal(world_start_waiting(w, "chain"), 3);
        world_assert_list(w, "3:queued 2:queued 1:queued ");
        world_again_with(w, 0);
        world_turn(w);
        world_assert_list(w, "3:running 2:1 activity requires your input 1:1 activity requires your input ");
}

/* ---- storage that fails ---- */

static void test_failing(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;
        uint32_t run;

        (void) world_start_waiting(w, "sign");
        (void) world_start_waiting(w, "sign");
        world_fail(w);
        world_turn(w);
        assert_int_equal(w->engine->storage, STORAGE_FAILING);
        for (unsigned i = 0; i < 2; i++) {
                world_assert_list(w, "2:queued 1:queued ");
                assert_int_equal(world_stored_state(w, 1), RUN_QUEUED);
                assert_int_equal(world_run(w, 2)->state, RUN_QUEUED);
                assert_int_equal(world_added(w, 1) + world_added(w, 2), 0);
                assert_int_equal(world_active(w), 2);
                world_assert_complete(w);
                assert_ok(storage_on_retry(NULL, 0, w->engine)); /* still failing */
                world_turn(w);
        }
        assert_int_equal(engine_start_run(w->engine, &(StartRequest) { .runbook = "sign" }, &world_actor, &run, &ticket, &message),
                         VERDICT_STORAGE_UNAVAILABLE);
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        world_turn(w);
        world_assert_list(w, "2:1 activity requires your input 1:1 activity requires your input ");
        assert_int_equal(world_added(w, 1), 1);
        assert_int_equal(world_added(w, 2), 1);
        assert_int_equal(world_trace_count(w, "opened 1/qa Ship it"), 1);
        assert_int_equal(world_events(w, 1, "request-opened"), 1);
        assert_int_equal(world_start_waiting(w, "sign"), 3);
        assert_int_equal(world_active(w), 1);
}

/* At each write of the commit with the first look in its turn: whether it fails or not, they are told of once. */
static void test_failing_at_each_write(void **state) {
        World *w = *state;
        unsigned n_failed = 0;
        bool through = false;

        for (unsigned at = 1; !through && at < 60; at++) {
                uint32_t run = world_start_waiting(w, "sign");

                assert_int_equal(world_start_waiting(w, "chain"), run + 1);
                fault_arm(&(FaultPlan) { .target = FAULT_WRITE, .action = FAULT_FULL, .at = at, .torn = at % 2 });
                world_turn(w);
                through = fault_hits() == 0;
                fault_disarm();
                if (w->engine->storage == STORAGE_FAILING) {
                        n_failed++;
                        assert_false(world_has_row(w, run));
                        assert_int_equal(world_stored_state(w, run + 1), RUN_QUEUED);
                        assert_ok(storage_on_retry(NULL, 0, w->engine));
                }
                world_finish_all(w);
                assert_int_equal(world_stored_state(w, run), RUN_ON_HOLD);
                assert_int_equal(world_stored_state(w, run + 1), RUN_SUCCESS);
                assert_int_equal(world_added(w, run), 1);
                assert_int_equal(world_added(w, run + 1), 1);
                assert_int_equal(world_events(w, run + 1, "run-created"), 1);
        }
        assert_true(through);
        assert_true(n_failed > 2);
}

/* ---- damage ---- */

static void change_database(World *w, const char *sql) {
        _cleanup_free_ char *path = path_join(w->state, "runbookd.db");
        sqlite3 *db;

        assert_null(w->store);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s", sqlite3_errmsg(db));
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

#define EVENT_1 "id = (1 << 31 | 1)"

/* Run 1 waits, 2 as well; this is done to the first event of 1. */
static void damage(World *w, const char *sql) {
        (void) world_start_waiting(w, "chain");
        (void) world_start_waiting(w, "sign");
        world_close(w);
        change_database(w, sql);
        w->max_steps = 4;
        world_trace_clear(w);
        world_open(w);
        world_turn(w);
        assert_int_equal(world_stored_state(w, 2), RUN_ON_HOLD);
        assert_int_equal(world_added(w, 2), 1);
        assert_int_equal(world_start_waiting(w, "sign"), 3);
}

static int check_parked(void *userdata, const RunRow *row) {
        assert_true(row->created_at > 0);
        assert_int_equal(row->started_by, 1000);
        assert_int_equal(row->replay_of, 0);
        assert_int_equal(row->root_run, 1);
        assert_int_equal(row->n_events, 2);
        return 0;
}

static void assert_parked(World *w, const char *runbook, const char *reason) {
        uint32_t active, on_hold, dead;

        assert_true(world_has_row(w, 1));
        assert_int_equal(world_stored_state(w, 1), RUN_DLQ);
        assert_int_equal(world_run(w, 1)->state, RUN_DLQ);
        assert_string_equal(world_run(w, 1)->runbook->name, runbook);
        if (!strstr(world_run(w, 1)->reason, reason))
                fail_msg("%s", world_run(w, 1)->reason);
        assert_int_equal(world_events(w, 1, "run-finished"), 1);
        world_assert_list(w, "3:queued 2:1 activity requires your input 1:dlq ");
        engine_counts(w->engine, &active, &on_hold, &dead);
        assert_int_equal(dead, 1);
        assert_int_equal(active, 1);
        assert_ok(store_get_run(w->store, 1, check_parked, NULL));
        world_again_with(w, 0);
        assert_int_equal(world_stored_state(w, 1), RUN_DLQ);
        assert_int_equal(world_events(w, 1, "run-finished"), 1);
}

/* Nothing says which runbook it is of. */
static void assert_nameless(World *w, const char *sql) {
        damage(w, sql);
        assert_parked(w, "", "entry 1 of its history (run-created)");
}

static void test_type_damaged(void **state) {
        assert_nameless(*state, "UPDATE events SET type = 'run-crated' WHERE " EVENT_1);
}

static void test_data_missing(void **state) {
        assert_nameless(*state, "UPDATE events SET data = NULL WHERE " EVENT_1);
}

static void test_data_damaged(void **state) {
        assert_nameless(*state, "UPDATE events SET data = substr(data, 2) WHERE " EVENT_1);
}

static void test_data_empty(void **state) {
        assert_nameless(*state, "UPDATE events SET data = '[]' WHERE " EVENT_1);
}

static void test_definition_missing(void **state) {
        assert_nameless(*state, "UPDATE events SET data = json_remove(data, '$.definition') WHERE " EVENT_1);
}

static void test_runbook_damaged(void **state) {
        assert_nameless(*state, "UPDATE events SET data = json_set(data, '$.runbook', 7) WHERE " EVENT_1);
}

/* What it was started with can't be read, but what it is. */
static void test_inputs_damaged(void **state) {
        damage(*state, "UPDATE events SET data = json_set(data, '$.inputs', 7) WHERE " EVENT_1);
        assert_parked(*state, "chain", "(run-created)");
}

static void test_definition_gone(void **state) {
        damage(*state, "DELETE FROM definitions WHERE name = 'chain'");
        assert_parked(*state, "chain", "definition");
}

/* … and that is found out when the storage is back: it was not announced before. */
static void test_damaged_while_failing(void **state) {
        World *w = *state;

        (void) world_start_waiting(w, "chain");
        world_fail(w);
        world_turn(w);
        assert_int_equal(w->engine->storage, STORAGE_FAILING);
        engine_run_detach(engine_run(w->engine, 1));
        fault_disarm();
        assert_ok(store_begin(w->store));
        assert_ok(store_append_event(w->store, &(EventRow) { .run = 1, .seq = 2, .at = 1, .boot_at = 1, .boot = store_boot(w->store),
                                                             .uid = UINT32_MAX, .type = "no-such-type" }));
        assert_ok(store_commit(w->store));
        world_assert_list(w, "1:queued ");                    /* not in memory */
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        world_turn(w);
        assert_int_equal(world_stored_state(w, 1), RUN_DLQ);
        assert_int_equal(world_added(w, 1), 1);
        assert_true(world_trace_find(w, "added 1") < world_trace_find(w, "finished 1 dlq"));
        assert_null(w->engine->owed.first);
        assert_int_equal(world_active(w), 0);
        world_assert_list(w, "1:dlq ");
}

/* ---- how far rows are complete ---- */

#define N_MANY (COMPLETE_STEP + 100u)

static void write_none(World *w) {
        world_write(w, "none.yaml", "phases:\n  - name: main\n    if: ${{ false }}\n    activities:\n      - {name: a, run: 'true'}\n");
}

static void start_many(World *w, const char *runbook, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                (void) world_start_with(w, &(StartRequest) { .runbook = runbook });
                if (i % 64 == 63)
                        assert_ok(engine_flush(w->engine));
        }
        assert_ok(engine_flush(w->engine));
        assert_int_equal(w->committed_r, 0);
        world_assert_complete(w);
}

static int count_row(void *userdata, const RunRow *row) {
        ++*(uint32_t *) userdata;
        return 0;
}

static uint32_t count_listed(World *w) {
        uint32_t n = 0;

        assert_ok(engine_list_runs(w->engine, &(RunFilter) { 0 }, count_row, &n));
        return n;
}

/* More of them than what is looked at as a rule. */
static void test_many_wait(void **state) {
        World *w = *state;

        write_none(w);
        assert_ok(engine_set_max_steps(w->engine, 0));
        for (unsigned i = 0; i < N_MANY; i++)           /* in one commit, which sees none that was owed before */
                (void) world_start_with(w, &(StartRequest) { .runbook = "none" });
        assert_ok(engine_flush(w->engine));
        assert_int_equal(store_complete(w->store), 0);
        world_assert_complete(w);
        world_again_with(w, 0);
        assert_int_equal(store_complete(w->store), 0);
        assert_int_equal(world_active(w), N_MANY);
        assert_int_equal(count_listed(w), N_MANY);
        world_assert_complete(w);
        while (w->engine->owed.first) {
                assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
                world_assert_complete(w);
        }
        world_turn(w);
        for (uint32_t run = 1; run <= N_MANY; run++) {
                assert_int_equal(world_added(w, run), 1);
                assert_int_equal(world_stored_state(w, run), RUN_SKIPPED);
        }
        assert_true(store_complete(w->store) >= COMPLETE_STEP);
        assert_int_equal(world_start_waiting(w, "sign"), N_MANY + 1);
}

/* It moves on with those that have rows, in steps; one that has none holds it, and those behind it are looked at. */
static void test_complete(void **state) {
        World *w = *state;

        write_none(w);
        while (store_last_run(w->store) < COMPLETE_STEP - 1)
                (void) world_start(w, "none");
        assert_int_equal(store_complete(w->store), 0);
        (void) world_start(w, "none");
        assert_int_equal(store_complete(w->store), COMPLETE_STEP);
        world_again_with(w, 4);
        assert_int_equal(store_complete(w->store), COMPLETE_STEP);

        (void) world_start_waiting(w, "sign");
        while (store_last_run(w->store) < 2 * COMPLETE_STEP + 10) {
                char key[16];

                (void) snprintf(key, sizeof key, "k%u", store_last_run(w->store));
                (void) world_start_with(w, &(StartRequest) { .runbook = "none", .dedup_key = key });
                assert_ok(engine_flush(w->engine));
        }
        assert_int_equal(store_complete(w->store), COMPLETE_STEP);
        world_assert_complete(w);
        world_again_with(w, 0);
        assert_false(world_has_row(w, COMPLETE_STEP + 1));
        assert_int_equal(world_run(w, COMPLETE_STEP + 1)->state, RUN_QUEUED);
        world_turn(w);
        assert_true(world_has_row(w, COMPLETE_STEP + 1));
        assert_true(store_complete(w->store) > 2 * COMPLETE_STEP);
        world_assert_complete(w);
}

static int see(void *userdata, const EventRow *event) {
        ++*(unsigned *) userdata;
        return 0;
}

/* What can't be parked at one start is looked at by the next, however many there were since. */
static void test_left_alone(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        unsigned n = 0;
        Ticket ticket;

        write_none(w);
        (void) world_start_waiting(w, "chain");
        (void) world_start_waiting(w, "sign");
        world_close(w);
        change_database(w, "UPDATE events SET type = 'run-crated' WHERE " EVENT_1);
        world_open_store(w);
        fault_arm(&(FaultPlan) { .target = FAULT_WRITE, .action = FAULT_FULL, .at = 1 });
        world_open_engine(w);
        assert_true(fault_hits() == 1);
        fault_disarm();
        assert_false(world_has_row(w, 1));
        assert_ok(engine_history(w->engine, 1, 1, 0, see, &n));
        assert_int_equal(n, 1);
        assert_int_equal(engine_cancel(w->engine, 1, &world_actor, NULL, &ticket, &message), -EIO);
        world_turn(w);
        assert_int_equal(world_stored_state(w, 2), RUN_ON_HOLD);
        start_many(w, "none", N_MANY);
        world_turn(w);
        assert_int_equal(store_complete(w->store), 0);
        world_again_with(w, 4);
        assert_true(world_has_row(w, 1));
        assert_int_equal(world_stored_state(w, 1), RUN_DLQ);
        (void) world_start(w, "none");
        assert_true(store_complete(w->store) > COMPLETE_STEP);
}

/* A page in the middle of the events is nothing but garbage. */
static void damage_page(World *w) {
        _cleanup_free_ char *path = path_join(w->state, "runbookd.db");
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
        char garbage[4096];
        sqlite3_stmt *st;
        int64_t page;
        sqlite3 *db;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, "SELECT pageno FROM dbstat WHERE name = 'events' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 2",
                                            -1, &st, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        page = sqlite3_column_int64(st, 0);
        assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        memset(garbage, 0xff, sizeof garbage);
        assert_int_equal(pwrite(fd, garbage, sizeof garbage, (page - 1) * (int64_t) sizeof garbage), sizeof garbage);
}

#define N_BEHIND 60u                                    /* their events take more than three pages */

/* Runs that have ended, one that is on hold, one that waits. */
static void prepare_many(World *w) {
        for (unsigned i = 0; i < N_BEHIND; i++) {
                (void) world_start(w, "chain");
                world_finish_all(w);
        }
        (void) world_start(w, "sign");
        (void) world_start_waiting(w, "chain");
        world_close(w);
        damage_page(w);
        w->max_steps = 0;
}

/* Of runs that have rows nothing else is read. */
static void test_page_of_ended_runs(void **state) {
        World *w = *state;

        prepare_many(w);
        world_open(w);
        assert_int_equal(w->engine->unread, 0);
        assert_int_equal(world_run(w, N_BEHIND + 1)->state, RUN_ON_HOLD);
        assert_int_equal(world_run(w, N_BEHIND + 2)->state, RUN_QUEUED);
}

/* Who waits can't be looked for: the others go on, and the next start looks again. */
static void test_page_in_the_way(void **state) {
        World *w = *state;

        prepare_many(w);
        change_database(w, "DELETE FROM runs WHERE id BETWEEN 2 AND 60");
        world_open(w);
        assert_int_equal(w->engine->unread, 1);
        assert_int_equal(world_run(w, N_BEHIND + 1)->state, RUN_ON_HOLD);
        write_none(w);
        start_many(w, "none", N_MANY);
        world_turn(w);
        assert_int_equal(store_complete(w->store), 0);
}

/* Its row was lost, not owed: it has ended, and is nobody's any more. */
static void test_row_gone(void **state) {
        World *w = *state;

        for (unsigned i = 0; i < 2; i++) {
                (void) world_start(w, "chain");
                world_finish_all(w);
        }
        world_close(w);
        change_database(w, "DELETE FROM runs WHERE id = 2");
        world_open(w);
        assert_int_equal(world_active(w), 0);
        world_assert_list(w, "1:success ");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_order),
                engine_test(test_numbers),
                engine_test(test_failing),
                engine_test(test_failing_at_each_write),
                engine_test(test_type_damaged),
                engine_test(test_data_missing),
                engine_test(test_data_damaged),
                engine_test(test_data_empty),
                engine_test(test_definition_missing),
                engine_test(test_runbook_damaged),
                engine_test(test_inputs_damaged),
                engine_test(test_definition_gone),
                engine_test(test_damaged_while_failing),
                engine_test(test_many_wait),
                engine_test(test_complete),
                engine_test(test_left_alone),
                engine_test(test_page_of_ended_runs),
                engine_test(test_page_in_the_way),
                engine_test(test_row_gone),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
