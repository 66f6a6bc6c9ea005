/* Dead letters: damaged runs that are parked without the model, what they trigger, and cancelling them, read or unread. */
#include "engine-fixture.h"

#include <stdio.h>

static void append_raw(World *w, uint32_t run, uint32_t seq, const char *type, const char *data) {
        assert_ok(store_begin(w->store));
        assert_ok(store_append_event(w->store, &(EventRow) { .run = run, .seq = seq, .at = 1, .boot_at = 1, .boot = store_boot(w->store),
                                                             .uid = UINT32_MAX, .type = type, .data = data }));
        assert_ok(store_commit(w->store));
}

/* A run with an entry that nobody can read, found at the start of the daemon. */
static uint32_t park_one(World *w) {
        uint32_t run = world_start(w, "chain");

        fake_exit(w->fake, run, "a", 0);
        world_turn(w);
        append_raw(w, run, world_run(w, run)->last_seq + 1, "no-such-type", NULL);
        world_again(w);
        assert_int_equal(world_stored_state(w, run), RUN_DLQ);
        return run;
}

/* One that the engine gave up, which can be read. */
static uint32_t give_up_one(World *w) {
        uint32_t run;
        char line[32];

        w->fake->fail_with = -EAGAIN;
        w->fake->fail_times = PREPARE_TRIES_MAX;
        run = world_start(w, "chain");
        (void) snprintf(line, sizeof line, "finished %u dlq", run);
        world_wait(w, line);
        return run;
}

static int cancel(World *w, uint32_t run, Ticket *ret, char **ret_message) {
        int r = engine_cancel(w->engine, run, &world_actor, "not worth it", ret, ret_message);

        world_turn(w);
        return r;
}

typedef struct Last {
        char types[2][32], user[32], data[256];
        uint32_t uid, seq;
} Last;

static int take_last(void *userdata, const EventRow *e) {
        Last *l = userdata;

        memcpy(l->types[0], l->types[1], sizeof l->types[0]);
        (void) snprintf(l->types[1], sizeof l->types[1], "%s", e->type);
        if (streq(e->type, "run-cancel")) {
                l->uid = e->uid;
                (void) snprintf(l->user, sizeof l->user, "%s", strempty(e->user));
                (void) snprintf(l->data, sizeof l->data, "%s", strempty(e->data));
        }
        assert_int_equal(e->seq, ++l->seq);
        return 0;
}

/* The history ends with who cancelled it and the end. */
static void assert_cancelled(World *w, uint32_t run) {
        Last l = { 0 };

        assert_int_equal(world_stored_state(w, run), RUN_CANCELLED);
        assert_ok(store_load_events(w->store, run, 1, 0, take_last, &l));
        assert_string_equal(l.types[0], "run-cancel");
        assert_string_equal(l.types[1], "run-finished");
        assert_int_equal(l.uid, 1000);
        assert_string_equal(l.user, "alice");
        assert_non_null(strstr(l.data, "not worth it"));
        assert_int_equal(world_run(w, run)->state, RUN_CANCELLED);
        assert_int_equal(world_run(w, run)->last_seq, world_events(w, run, NULL));
        assert_false(engine_run_is_live(w->engine, run));
}

static void assert_not_again(World *w, uint32_t run) {
        _cleanup_free_ char *message = NULL;
        Ticket ticket = 0;

        assert_int_equal(cancel(w, run, &ticket, &message), VERDICT_WRONG_STATE);
        assert_non_null(strstr(message, "cancelled"));
}

/* S3.31: the only move out of a terminal state. */
static void test_cancel(void **state) {
        World *w = *state;
        uint32_t run = give_up_one(w);
        _cleanup_free_ char *message = NULL;
        Ticket ticket = 0;
        Run *before = world_run(w, run);

        assert_int_equal(before->state, RUN_DLQ);
        assert_int_equal(w->engine->counts.dead_letter, 1);
        world_trace_clear(w);
        assert_int_equal(cancel(w, run, &ticket, &message), VERDICT_OK);
        assert_int_equal(w->committed, ticket);
        assert_true(world_trace_find(w, "run 1 cancelled") < world_trace_find(w, "finished 1 cancelled"));
        assert_true(world_traced(w, "removed 1"));
        assert_true(world_traced(w, "counts 0 0 0"));
        assert_false(world_traced(w, "added 1"));
        assert_cancelled(w, run);
        assert_not_again(w, run);
        world_again(w);
        assert_cancelled(w, run);
        assert_int_equal(w->engine->counts.dead_letter, 0);
}

static void test_cancel_fails(void **state) {
        World *w = *state;
        uint32_t run = give_up_one(w);
        _cleanup_free_ char *first = NULL, *refused = NULL, *second = NULL;
        Ticket ticket = 0;

        world_fail(w);
        world_trace_clear(w);
        assert_int_equal(cancel(w, run, &ticket, &first), VERDICT_OK);
        assert_int_equal(w->committed_r, -EIO);
        assert_true(world_traced(w, "removed 1"));      /* it does not come back by itself */
        assert_false(engine_run_is_live(w->engine, run));
        assert_int_equal(world_run(w, run)->state, RUN_DLQ);
        assert_int_equal(cancel(w, run, &ticket, &refused), VERDICT_STORAGE_UNAVAILABLE);
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        assert_int_equal(w->engine->counts.dead_letter, 1);
        assert_int_equal(cancel(w, run, &ticket, &second), VERDICT_OK);
        assert_cancelled(w, run);
}

/* Twice in one turn; the second comes too late. */
static void test_cancel_twice(void **state) {
        World *w = *state;
        uint32_t run = give_up_one(w);
        _cleanup_free_ char *first = NULL, *second = NULL;
        Ticket ticket;

        assert_int_equal(engine_cancel(w->engine, run, &world_actor, "not worth it", &ticket, &first), VERDICT_OK);
        assert_int_equal(engine_cancel(w->engine, run, &world_actor, NULL, &ticket, &second), VERDICT_WRONG_STATE);
        world_turn(w);
        assert_cancelled(w, run);
}

/* What can't be read is cancelled all the same; it is on disk when the verb returns. */
static void test_cancel_damaged(void **state) {
        World *w = *state;
        uint32_t run = park_one(w);
        _cleanup_free_ char *message = NULL;
        Ticket ticket = 7;

        assert_int_equal(world_run(w, run)->state, RUN_DLQ); /* somebody has looked at it */
        world_trace_clear(w);
        assert_int_equal(cancel(w, run, &ticket, &message), VERDICT_OK);
        assert_int_equal(ticket, 0);
        assert_true(world_traced(w, "run 1 cancelled"));
        assert_true(world_traced(w, "finished 1 cancelled"));
        assert_true(world_traced(w, "counts 0 0 0"));
        assert_cancelled(w, run);
        assert_not_again(w, run);
        world_again(w);
        assert_cancelled(w, run);
}

static void test_cancel_damaged_fails(void **state) {
        World *w = *state;
        uint32_t run = park_one(w);
        _cleanup_free_ char *message = NULL;
        Ticket ticket = 0;

        world_fail(w);
        assert_int_equal(cancel(w, run, &ticket, &message), VERDICT_STORAGE_UNAVAILABLE);
        assert_non_null(message);
        fault_disarm();
        assert_int_equal(world_stored_state(w, run), RUN_DLQ);
}

/* S3.31: … and both can be replayed, as far as they can be read. */
static void test_replay(void **state) {
        World *w = *state;
        uint32_t given_up = give_up_one(w), damaged = park_one(w), new;
        const ReplayRequest q = { .fresh_workspace = true };
        _cleanup_free_ char *first = NULL, *second = NULL;
        Ticket ticket;

        assert_int_equal(engine_replay(w->engine, given_up, &world_actor, &q, &new, &ticket, &first), VERDICT_OK);
        world_turn(w);
        assert_non_null(fake_find(w->fake, new, "a"));
        assert_int_equal(engine_replay(w->engine, damaged, &world_actor, &q, &new, &ticket, &second), VERDICT_OK);
        world_turn(w);
        assert_int_equal(run_activity(world_run(w, new), "a")->reused_from, damaged);
        assert_non_null(fake_find(w->fake, new, "b"));
}

/* Whose definition can't be read is done again by today's only. */
static void test_without_definition(void **state) {
        World *w = *state;
        _cleanup_free_ char *replay = NULL, *rerun = NULL;
        uint32_t new;
        Ticket ticket;

        assert_ok(store_begin(w->store));
        assert_ok(store_put_run(w->store, &(RunRow) { .id = 1, .runbook = "chain", .definition = "lost", .state = RUN_RUNNING,
                                                      .created_at = 1, .attempt = 1, .root_run = 1, .trigger = "manual" }));
        assert_ok(store_commit(w->store));
        world_again(w);
        assert_int_equal(world_stored_state(w, 1), RUN_DLQ);
        w->engine->retry_window = USEC_INFINITY;
        assert_int_equal(engine_rerun(w->engine, 1, &world_actor, &(RerunRequest) { 0 }, &new, &ticket, &replay), VERDICT_INVALID_RUNBOOK);
        assert_non_null(strstr(replay, "--reload"));
        assert_int_equal(engine_rerun(w->engine, 1, &world_actor, &(RerunRequest) { .reload = true }, &new, &ticket, &rerun), VERDICT_OK);
        world_turn(w);
        assert_non_null(fake_find(w->fake, new, "a"));
}

/* ---- what it triggers ---- */

static void write_notify(World *w) {
        world_write(w, "notify.yaml",
                    "triggers: [{onFailureOf: [chain]}]\nfailurePolicy: fail\nphases:\n  - name: main\n"
                    "    activities: [{name: tell, run: 'true'}]\n");
}

/* S4.14: one, with what is known of it; also when it can't be stored at first, and not again at the next start. */
static void test_triggers(void **state) {
        World *w = *state;
        uint32_t run;
        Run *r;

        write_notify(w);
        run = park_one(w);
        world_turn(w);
        assert_int_equal(store_last_run(w->store), run + 1);
        r = world_run(w, run + 1);
        assert_string_equal(r->trigger, "failure");
        assert_int_equal(json_int(json_get(r->payload, "run")), run);
        assert_string_equal(json_string(json_get(r->payload, "state")), "dlq");
        assert_non_null(strstr(json_string(json_get(r->payload, "reason")), "no-such-type"));
        assert_int_equal(json_length(json_get(r->payload, "attempts")), 2);
        assert_non_null(fake_find(w->fake, run + 1, "tell"));
        assert_int_equal(w->engine->counts.active, 1);
        world_again(w);
        world_turn(w);
        assert_int_equal(store_last_run(w->store), run + 1);
}

/* Parked after a failed commit, when the storage is back. */
static void test_triggers_after_storage(void **state) {
        World *w = *state;
        uint32_t run;

        write_notify(w);
        run = world_start(w, "chain");
        append_raw(w, run, world_run(w, run)->last_seq + 1, "no-such-type", NULL);
        world_fail(w);
        fake_exit(w->fake, run, "a", 0);
        world_turn(w);
        assert_int_equal(w->engine->storage, STORAGE_FAILING);
        assert_ok(storage_on_retry(NULL, 0, w->engine)); /* still failing */
        assert_int_equal(store_last_run(w->store), run);
        fault_disarm();
        world_trace_clear(w);
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_DLQ);
        assert_true(world_traced(w, "finished 1 dlq"));
        assert_true(world_traced(w, "added 2"));
        assert_true(world_traced(w, "launch 2/tell/1"));
        assert_int_equal(store_last_run(w->store), run + 1);
        assert_int_equal(w->engine->counts.active, 1);
        assert_int_equal(w->engine->counts.dead_letter, 1);
}

/* At each write of the parking in its turn: both or none. */
static void test_both_or_none(void **state) {
        World *w = *state;
        bool parked = false;
        unsigned n_failed = 0;

        write_notify(w);
        for (unsigned at = 1; !parked && at < 60; at++) {
                uint32_t run = world_start(w, "chain"), last;

                append_raw(w, run, world_run(w, run)->last_seq + 1, "no-such-type", NULL);
                world_close(w);
                world_open_store(w);
                last = store_last_run(w->store);
                fault_arm(&(FaultPlan) { .target = FAULT_WRITE, .action = FAULT_FULL, .at = at, .torn = at % 2 });
                world_open_engine(w);
                parked = fault_hits() == 0;
                fault_disarm();
                assert_int_equal(world_stored_state(w, run) == RUN_DLQ, store_last_run(w->store) == last + 1);
                n_failed += world_stored_state(w, run) != RUN_DLQ;
                world_again(w);                         /* … and at the next start */
                assert_int_equal(world_stored_state(w, run), RUN_DLQ);
                world_turn(w);
                while (fake_count(w->fake, 0) > 0) {
                        fake_exit(w->fake, w->fake->jobs->run, NULL, 0);
                        world_turn(w);
                }
        }
        assert_true(parked);
        assert_true(n_failed > 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_cancel),
                engine_test(test_cancel_fails),
                engine_test(test_cancel_twice),
                engine_test(test_cancel_damaged),
                engine_test(test_cancel_damaged_fails),
                engine_test(test_replay),
                engine_test(test_without_definition),
                engine_test(test_triggers),
                engine_test(test_triggers_after_storage),
                engine_test(test_both_or_none),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
