/* Runs that wait for their first look have no row yet: nobody sees the difference, none is lost, and each is announced once. */
#include "engine-fixture.h"

#include <stdio.h>

#include "fd-util.h"

/* ---- what is there ---- */

static int count_row(void *userdata, const RunRow *row) {
        ++*(uint32_t *) userdata;
        return 0;
}

/* What a run is made with. */
static int append_origin(void *userdata, const RunRow *r) {
        strbuf_appendf(userdata, "%u %s %s %" PRIu64 " %u ", r->id, r->runbook, r->definition, r->created_at, r->started_by);
        strbuf_appendf(userdata, "%" PRIu64 " %u %u %s %s %s", r->scheduled_for, r->replay_of, r->root_run, r->trigger ? r->trigger : "(none)",
                       r->labels ? r->labels : "(none)", r->dedup_key ? r->dedup_key : "(none)");
        return 0;
}

/* … and what becomes of it. */
static int append_all(void *userdata, const RunRow *r) {
        (void) append_origin(userdata, r);
        strbuf_appendf(userdata, " %d %s %" PRIu64 " %" PRIu64 " ", r->state, r->status_text, r->started_at, r->finished_at);
        strbuf_appendf(userdata, "%d %u %u %u", r->had_errors, r->pending_requests, r->attempt, r->n_events);
        return 0;
}

static char *text_of(World *w, uint32_t run, RunVisitor append) {
        StrBuf b = { 0 };

        assert_ok(rows_get(w->engine, run, append, &b));
        return strbuf_take(&b);
}

/* ---- one that waits ---- */

static int append_type(void *userdata, const EventRow *row) {
        strbuf_appendf(userdata, "%u:%s ", row->seq, row->type);
        return 0;
}

static void test_seen_without_a_row(void **state) {
        World *w = *state;
        _cleanup_strbuf_ StrBuf b = { 0 };
        uint32_t run = world_start_waiting(w, "chain"), n;
        size_t i = 0;
        Run *r;

        assert_false(world_has_row(w, run));
        assert_int_equal(world_stored_state(w, run), RUN_QUEUED);
        assert_int_equal(world_run(w, run)->state, RUN_QUEUED);
        assert_true(engine_run_is_live(w->engine, run));
        assert_true(engine_iterate_live(w->engine, &i, &r));
        assert_int_equal(r->id, run);
        world_assert_list(w, "1:queued ");
        assert_int_equal(engine_history(w->engine, run, 1, 0, append_type, &b), VERDICT_OK);
        assert_string_equal(b.s, "1:run-created ");
        assert_int_equal(world_active(w), 1);
        assert_int_equal(world_added(w, run), 0);
        assert_int_equal(rows_get(w->engine, run + 1, count_row, &n), -ENOENT);
        assert_int_equal(engine_history(w->engine, run + 1, 1, 0, append_type, &b), VERDICT_NO_SUCH_RUN);

        world_turn(w);                                  /* its first look, although it has no slot */
        assert_true(world_has_row(w, run));
        assert_int_equal(world_added(w, run), 1);
        assert_int_equal(world_active(w), 1);
        assert_null(w->engine->owed.first);
        world_finish_all(w);
        assert_int_equal(world_added(w, run), 1);
        world_assert_list(w, "1:success ");
        assert_int_equal(world_active(w), 0);
}

/* One that is not stored yet is not shown at all, and one that a turn has changed is shown as it is stored. */
static void test_only_what_is_stored(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        uint32_t run = world_start_waiting(w, "sign"), n;
        Ticket ticket;

        (void) world_start_with(w, &(StartRequest) { .runbook = "chain" });
        world_assert_list(w, "1:queued ");
        assert_int_equal(rows_get(w->engine, run + 1, count_row, &n), -ENOENT);
        assert_int_equal(engine_cancel(w->engine, run, &world_actor, NULL, &ticket, &message), VERDICT_OK);
        assert_int_equal(world_run(w, run)->state, RUN_CANCELLED);
        world_assert_list(w, "1:queued ");
        assert_int_equal(world_stored_state(w, run), RUN_QUEUED);
        assert_ok(engine_flush(w->engine));
        world_assert_list(w, "2:queued 1:cancelled ");
}

/* ---- the row that is made of the event ---- */

/* It says what the run says now, and what the row says later. */
static void assert_row_of_event(World *w, uint32_t run) {
        _cleanup_free_ char *made = NULL, *before = NULL, *after = NULL;
        _cleanup_strbuf_ StrBuf listed = { 0 };

        assert_ok(engine_flush(w->engine));
        assert_false(world_has_row(w, run));
        made = text_of(w, run, append_all);
        before = text_of(w, run, append_origin);
        assert_ok(engine_list_runs(w->engine, &(RunFilter) { .limit = 1 }, append_all, &listed));
        assert_string_equal(made, listed.s);
        world_turn(w);
        assert_true(world_has_row(w, run));
        after = text_of(w, run, append_origin);
        assert_string_equal(before, after);
}

static void test_row_of_event(void **state) {
        World *w = *state;
        _cleanup_json_ Json *labels = json_new_object(), *none = json_new_object(), *inputs = json_new_object();
        char *only[] = { (char *) "main", NULL };

        world_write(w, "given.yaml", "inputs:\n  version: {type: string}\nphases:\n  - name: main\n    activities: [{name: a, run: 'true'}]\n");
        assert_ok(json_set_string(labels, "team", "r\"ed ä"));
        assert_ok(json_set_string(labels, "", ""));
        assert_ok(json_set_string(inputs, "version", "2"));
        assert_ok(engine_set_max_steps(w->engine, 0));
        assert_row_of_event(w, world_start_with(w, &(StartRequest) { .runbook = "chain" }));
        assert_row_of_event(w, world_start_with(w, &(StartRequest) { .runbook = "chain", .labels = labels, .comment = "please" }));
        assert_row_of_event(w, world_start_with(w, &(StartRequest) { .runbook = "sign", .labels = none }));
        assert_row_of_event(w, world_start_with(w, &(StartRequest) { .runbook = "given", .inputs = inputs, .only = only }));
        assert_row_of_event(w, world_start_with(w, &(StartRequest) { .runbook = "given" }));
}

/* What it names is a number of a run, or nothing. */
static void test_row_of_strange_event(void **state) {
        World *w = *state;
        static const char *const data[] = {
                "{\"runbook\":\"chain\",\"definition\":\"d\",\"replayOf\":-1}", "{\"runbook\":\"chain\",\"definition\":\"d\",\"replayOf\":4294967296}",
                "{\"runbook\":\"chain\",\"definition\":\"d\",\"replayOf\":\"1\"}", "{\"runbook\":\"chain\",\"definition\":\"d\",\"rootRun\":7}",
        };

        for (uint32_t run = 1; run <= ELEMENTSOF(data); run++) {
                _cleanup_free_ char *text = NULL, *expected = xasprintf("%u chain d 5 7 0 0 %u (none) (none) (none)", run, run);

                assert_ok(store_begin(w->store));
                assert_ok(store_append_event(w->store, &(EventRow) { .run = run, .seq = 1, .at = 5, .boot = store_boot(w->store), .uid = 7,
                                                                     .type = "run-created", .data = data[run - 1] }));
                assert_ok(store_commit(w->store));
                text = text_of(w, run, append_origin);
                assert_string_equal(text, expected);
        }
}

static uint32_t fail_one(World *w) {
        _cleanup_json_ Json *labels = json_new_object();
        uint32_t run;

        assert_ok(json_set_string(labels, "team", "red"));
        assert_ok(engine_set_max_steps(w->engine, 4));
        run = world_start_with(w, &(StartRequest) { .runbook = "chain", .labels = labels });
        world_turn(w);
        assert_ok(engine_set_max_steps(w->engine, 0));
        fake_exit(w->fake, run, "a", 1);
        return run;
}

static void test_again(void **state) {
        World *w = *state;
        _cleanup_free_ char *first = NULL, *second = NULL, *third = NULL, *text = NULL;
        uint32_t original = fail_one(w), replay, rerun, next;
        const ReplayRequest q = { .fresh_workspace = true };
        Ticket ticket;

        world_turn(w);
        assert_int_equal(engine_replay(w->engine, original, &world_actor, &q, &replay, &ticket, &first), VERDICT_OK);
        assert_row_of_event(w, replay);
        assert_int_equal(engine_rerun(w->engine, original, &world_actor, &(RerunRequest) { 0 }, &rerun, &ticket, &second), VERDICT_OK);
        assert_row_of_event(w, rerun);

        assert_ok(engine_set_max_steps(w->engine, 4));
        world_turn(w);
        fake_exit(w->fake, replay, "a", 1);
        world_turn(w);
        assert_ok(engine_set_max_steps(w->engine, 0));
        assert_int_equal(engine_replay(w->engine, replay, &world_actor, &q, &next, &ticket, &third), VERDICT_OK);
        assert_row_of_event(w, next);                   /* of a replay: its root is another run */
        text = text_of(w, next, append_origin);
        assert_non_null(strstr(text, " 2 1 replay {\"team\":\"red\"} (none)"));
}

/* Its workspace is copied before it has its first look, which may take long. */
static void test_copy(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL, *path = NULL;
        uint32_t original = fail_one(w), replay;
        Ticket ticket;

        world_turn(w);
        path = exec_workspace_path(w->state, original);
        assert_ok(mkdir_parents(path, 0700));
        assert_int_equal(engine_replay(w->engine, original, &world_actor, &(ReplayRequest) { 0 }, &replay, &ticket, &message), VERDICT_OK);
        assert_ok(engine_flush(w->engine));
        assert_true(world_has_row(w, replay));
        assert_int_equal(world_added(w, replay), 1);
}

/* Also one that no person has started. */
static void test_triggered(void **state) {
        World *w = *state;
        _cleanup_free_ char *text = NULL;
        uint32_t run;

        world_write(w, "notify.yaml", "triggers: [{onFailureOf: [chain]}]\nphases:\n  - name: main\n    activities: [{name: tell, run: 'true'}]\n");
        run = fail_one(w);
        assert_ok(engine_flush(w->engine));
        assert_int_equal(store_last_run(w->store), run + 1);
        assert_row_of_event(w, run + 1);
        text = text_of(w, run + 1, append_origin);
        assert_non_null(strstr(text, "failure"));
}

/* ---- what makes it come ---- */

static void assert_row_comes(World *w, uint32_t run, RunState state) {
        assert_false(world_has_row(w, run));
        assert_ok(engine_flush(w->engine));
        assert_true(world_has_row(w, run));
        assert_int_equal(world_stored_state(w, run), state);
        assert_int_equal(world_added(w, run), 1);
        world_turn(w);
        assert_int_equal(world_added(w, run), 1);
        assert_int_equal(world_stored_state(w, run), state);
}

static void test_verbs(void **state) {
        World *w = *state;
        _cleanup_free_ char *first = NULL, *second = NULL, *third = NULL;
        _cleanup_json_ Json *inputs = json_new_object();
        Ticket ticket;
        uint32_t run;

        world_write(w, "given.yaml",
                    "inputs:\n  version: {type: string}\nphases:\n  - name: main\n    activities: [{name: qa, approval: {title: Ship it}}]\n");
        assert_ok(json_set_string(inputs, "version", "2"));
        run = world_start_waiting(w, "sign");
        assert_int_equal(engine_cancel(w->engine, run, &world_actor, NULL, &ticket, &first), VERDICT_OK);
        assert_row_comes(w, run, RUN_CANCELLED);
        assert_int_equal(world_active(w), 0);
        run = world_start_waiting(w, "given");
        assert_int_equal(engine_set_inputs(w->engine, run, &world_actor, inputs, NULL, &ticket, &second), VERDICT_OK);
        assert_row_comes(w, run, RUN_ON_HOLD);
        run = world_start_waiting(w, "sign");
        assert_int_equal(engine_pause(w->engine, run, &world_actor, NULL, &ticket, &third), VERDICT_OK);
        assert_row_comes(w, run, RUN_PAUSED);
}

/* A key must be found: by those that come in the same turn, and by those that come later. */
static void test_dedup_key(void **state) {
        World *w = *state;
        const StartRequest q = { .runbook = "sign", .dedup_key = "once" };

        assert_ok(engine_set_max_steps(w->engine, 0));
        assert_int_equal(world_start_with(w, &q), 1);
        assert_int_equal(world_start_with(w, &q), 1);
        assert_ok(engine_flush(w->engine));
        assert_true(world_has_row(w, 1));
        assert_int_equal(world_added(w, 1), 1);
        assert_int_equal(world_start_with(w, &q), 1);
        world_again_with(w, 0);
        assert_int_equal(world_start_with(w, &q), 1);
        world_assert_list(w, "1:queued ");
}

static void test_for_later(void **state) {
        World *w = *state;

        assert_ok(engine_set_max_steps(w->engine, 0));
        assert_int_equal(world_start_with(w, &(StartRequest) { .runbook = "sign", .start_at = now_usec(CLOCK_REALTIME) + USEC_PER_DAY }), 1);
        assert_ok(engine_flush(w->engine));
        assert_true(world_has_row(w, 1));
        assert_int_equal(world_added(w, 1), 1);
        world_turn(w);
        assert_int_equal(world_stored_state(w, 1), RUN_SCHEDULED);
}

/* ---- lists ---- */

#define N_MIXED 12u

/* By number: with a row of its own, and of which runbook. */
static bool mixed_has_row(uint32_t run) {
        return run == 2 || run == 5 || run == 6 || run == 9 || run == 12;
}

static bool mixed_is_later(uint32_t run) {
        return run == 6 || run == 9;
}

static const char *mixed_runbook(uint32_t run) {
        return run % 3 == 0 ? "sign" : "chain";
}

static void start_mixed(World *w) {
        const usec_t later = now_usec(CLOCK_REALTIME) + USEC_PER_DAY;

        assert_ok(engine_set_max_steps(w->engine, 0));
        for (uint32_t run = 1; run <= N_MIXED; run++) {
                char key[8];

                (void) snprintf(key, sizeof key, "k%u", run);
                assert_int_equal(world_start_with(w, &(StartRequest) { .runbook = mixed_runbook(run), .start_at = mixed_is_later(run) ? later : 0,
                                                            .dedup_key = mixed_has_row(run) && !mixed_is_later(run) ? key : NULL }), run);
                if (run % 2 == 0)
                        assert_ok(engine_flush(w->engine));
        }
        for (uint32_t run = 1; run <= N_MIXED; run++)
                assert_int_equal(world_has_row(w, run), mixed_has_row(run));
}

typedef struct Numbers {
        uint32_t items[N_MIXED];
        size_t n, stop_at;                              /* 0: never */
        int stop_with;
} Numbers;

static int take_number(void *userdata, const RunRow *row) {
        Numbers *n = userdata;

        assert_true(n->n < ELEMENTSOF(n->items));
        n->items[n->n++] = row->id;
        return n->n == n->stop_at ? n->stop_with : 0;
}

static void expect_list(World *w, const RunFilter *f) {
        Numbers want = { 0 }, got = { 0 };

        for (uint32_t run = N_MIXED; run > 0; run--) {
                RunState state = mixed_is_later(run) ? RUN_SCHEDULED : RUN_QUEUED;

                if ((f->states == 0 || (f->states & (1u << state))) && (f->before == 0 || run < f->before) &&
                    (!f->runbook || streq(f->runbook, mixed_runbook(run))) && (f->limit == 0 || want.n < f->limit))
                        want.items[want.n++] = run;
        }
        assert_ok(engine_list_runs(w->engine, f, take_number, &got));
        assert_int_equal(got.n, want.n);
        assert_memory_equal(got.items, want.items, want.n * sizeof want.items[0]);
        for (size_t stop = 1; stop <= want.n; stop++) {
                Numbers some = { .stop_at = stop, .stop_with = stop % 2 == 0 ? -ELOOP : 42 };

                assert_int_equal(engine_list_runs(w->engine, f, take_number, &some), some.stop_with);
                assert_int_equal(some.n, stop);
                assert_memory_equal(some.items, want.items, stop * sizeof want.items[0]);
        }
}

/* Every combination of filters against the obvious way to do it. */
static void expect_lists(World *w) {
        static const uint32_t states[] = { 0, 1u << RUN_QUEUED, 1u << RUN_SCHEDULED, 1u << RUN_QUEUED | 1u << RUN_SCHEDULED, 1u << RUN_SUCCESS };
        static const char *const runbooks[] = { NULL, "chain", "sign", "wide" };
        static const uint32_t limits[] = { 0, 1, 2, 3, 5, N_MIXED, UINT32_MAX };

        for (size_t s = 0; s < ELEMENTSOF(states); s++)
                for (size_t b = 0; b < ELEMENTSOF(runbooks); b++)
                        for (size_t l = 0; l < ELEMENTSOF(limits); l++)
                                for (uint32_t before = 0; before <= N_MIXED + 2; before++)
                                        expect_list(w, &(RunFilter) { states[s], runbooks[b], before, limits[l] });
}

static void test_lists(void **state) {
        World *w = *state;

        start_mixed(w);
        expect_lists(w);
        world_again_with(w, 0);
        for (uint32_t run = 1; run <= N_MIXED; run++)
                assert_int_equal(world_has_row(w, run), mixed_has_row(run));
        expect_lists(w);
}

/* ---- a death of the daemon ---- */

static void test_read_back(void **state) {
        World *w = *state;

        start_mixed(w);
        world_again_with(w, 0);
        world_assert_complete(w);
        assert_int_equal(world_active(w), N_MIXED);
        assert_int_equal(store_last_run(w->store), N_MIXED);
        for (uint32_t run = 1; run <= N_MIXED; run++) {
                assert_int_equal(world_run(w, run)->id, run);
                assert_int_equal(world_added(w, run), 0);
        }
        world_turn(w);
        assert_null(w->engine->owed.first);
        for (uint32_t run = 1; run <= N_MIXED; run++) {
                assert_true(world_has_row(w, run));
                assert_int_equal(world_added(w, run), !mixed_has_row(run)); /* it was, by the daemon that died */
        }
        world_finish_all(w);
        for (uint32_t run = 1; run <= N_MIXED; run++) {
                assert_int_equal(world_added(w, run), !mixed_has_row(run));
                assert_int_equal(world_events(w, run, "run-created"), 1);
                assert_int_equal(world_stored_state(w, run),
                                 mixed_is_later(run) ? RUN_SCHEDULED : streq(mixed_runbook(run), "sign") ? RUN_ON_HOLD : RUN_SUCCESS);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_seen_without_a_row),
                engine_test(test_only_what_is_stored),
                engine_test(test_row_of_event),
                engine_test(test_row_of_strange_event),
                engine_test(test_again),
                engine_test(test_copy),
                engine_test(test_triggered),
                engine_test(test_verbs),
                engine_test(test_dedup_key),
                engine_test(test_for_later),
                engine_test(test_lists),
                engine_test(test_read_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
