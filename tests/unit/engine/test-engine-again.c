/* Replay and rerun: a new run, and the original stays as it is, to the byte. */
#include "engine-fixture.h"

#include <stdio.h>

#include "fd-util.h"

static const char parts[] = "failurePolicy: fail\n"
                            "inputs:\n"
                            "  version: {type: string, default: '1'}\n"
                            "  where: {type: string, default: here, fixed: true}\n"
                            "phases:\n"
                            "  - name: one\n"
                            "    activities: [{name: a, run: 'echo ${{ inputs.version }}'}]\n"
                            "  - name: two\n"
                            "    activities: [{name: b, run: 'echo ${{ inputs.version }}'}, {name: c, run: 'true'}]\n"
                            "  - name: three\n"
                            "    activities: [{name: d, run: 'true'}]\n";

static void end_with(World *w, uint32_t run, const char *activity, int status) {
        fake_exit(w->fake, run, activity, status);
        world_turn(w);
}

/* a has succeeded, b has failed. */
static uint32_t start_failed(World *w) {
        _cleanup_free_ char *message = NULL;
        _cleanup_json_ Json *labels = json_new_object();
        uint32_t run;
        Ticket ticket;

        world_write(w, "parts.yaml", parts);
        assert_ok(json_set_string(labels, "team", "red"));
        assert_int_equal(engine_start_run(w->engine, &(StartRequest) { .runbook = "parts", .labels = labels }, &world_actor, &run, &ticket,
                                          &message), VERDICT_OK);
        world_turn(w);
        end_with(w, run, "a", 0);
        end_with(w, run, "b", 1);
        assert_int_equal(world_stored_state(w, run), RUN_FAILED);
        return run;
}

static uint32_t start_good(World *w) {
        uint32_t run;

        world_write(w, "parts.yaml", parts);
        run = world_start(w, "parts");
        for (const char *a = "abcd"; *a; a++)
                end_with(w, run, NULL, 0);
        assert_int_equal(world_stored_state(w, run), RUN_SUCCESS);
        return run;
}

/* ---- everything that the store knows of a run ---- */

static int dump_event(void *userdata, const EventRow *e) {
        strbuf_appendf(userdata, "%u %u %" PRIu64 " %" PRIu64 " %u %u %s ", e->run, e->seq, e->at, e->boot_at, e->boot, e->uid,
                       strempty(e->user));
        strbuf_appendf(userdata, "%s %s %u %s %s\n", e->type, strempty(e->activity), e->attempt, strempty(e->step), strempty(e->data));
        return 0;
}

static int dump_row(void *userdata, const RunRow *r) {
        strbuf_appendf(userdata, "%u %s %s %d %s ", r->id, r->runbook, r->definition, r->state, strempty(r->status_text));
        strbuf_appendf(userdata, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " ", r->created_at, r->started_at, r->finished_at,
                       r->scheduled_for);
        strbuf_appendf(userdata, "%u %d %u %u %u %u %u ", r->started_by, r->had_errors, r->pending_requests, r->attempt, r->replay_of,
                       r->root_run, r->n_events);
        strbuf_appendf(userdata, "%s %s %s\n", strempty(r->trigger), strempty(r->labels), strempty(r->dedup_key));
        return 0;
}

static char *dump(World *w, uint32_t run) {
        StrBuf b = { 0 };

        assert_ok(store_get_run(w->store, run, dump_row, &b));
        assert_ok(store_load_events(w->store, run, 1, 0, dump_event, &b));
        return strbuf_take(&b);
}

/* ---- asking ---- */

static int replay(World *w, uint32_t run, const ReplayRequest *q, uint32_t *ret, char **ret_message) {
        Ticket ticket = 0;
        int r = engine_replay(w->engine, run, &world_actor, q, ret, &ticket, ret_message);

        assert_int_equal(ticket > 0, r == VERDICT_OK);
        assert_int_equal(*ret_message != NULL, r != VERDICT_OK);
        world_turn(w);
        if (r == VERDICT_OK)
                assert_int_equal(w->committed, ticket);
        return r;
}

static uint32_t replayed(World *w, uint32_t run, const char *from) {
        _cleanup_free_ char *message = NULL;
        uint32_t new = 0;
        int r = replay(w, run, &(ReplayRequest) { .from = from, .fresh_workspace = true, .comment = "again" }, &new, &message);

        if (r != VERDICT_OK)
                fail_msg("%d %s", r, strempty(message));
        return new;
}

static void assert_refused(World *w, uint32_t run, const ReplayRequest *q, Verdict v, const char *part) {
        _cleanup_free_ char *message = NULL;
        uint32_t last = store_last_run(w->store), new;
        int r = replay(w, run, q, &new, &message);

        if (r != (int) v || !strstr(strempty(message), part))
                fail_msg("%s “%s”, not %s with “%s”", strempty(verdict_to_string((Verdict) r)), strempty(message), verdict_to_string(v),
                         part);
        assert_int_equal(store_last_run(w->store), last);
}

static uint32_t rerun(World *w, uint32_t run, const RerunRequest *q) {
        _cleanup_free_ char *message = NULL;
        uint32_t new = 0;
        Ticket ticket;
        int r = engine_rerun(w->engine, run, &world_actor, q, &new, &ticket, &message);

        if (r != VERDICT_OK)
                fail_msg("%d %s", r, strempty(message));
        world_turn(w);
        return new;
}

/* ---- replay ---- */

/* S2.4, S4.16, S4.17: a new run resumes where the old one failed, and the old one's rows are what they were. */
static void test_replay(void **state) {
        World *w = *state;
        uint32_t run = start_failed(w), new;
        _cleanup_free_ char *before = dump(w, run), *after = NULL;
        Run *r;

        new = replayed(w, run, NULL);
        r = world_run(w, new);
        assert_int_equal(r->replay_of, run);
        assert_int_equal(r->root_run, run);
        assert_string_equal(r->trigger, "replay");
        assert_string_equal(json_string(json_get(r->labels, "team")), "red");
        assert_int_equal(run_activity(r, "a")->state, ACTIVITY_SUCCESS);
        assert_int_equal(run_activity(r, "a")->reused_from, run);
        assert_int_equal(run_activity(r, "a")->n_attempts, 0);
        assert_int_equal(fake_count(w->fake, new), 1);
        for (const char *a = "bcd"; *a; a++)
                end_with(w, new, (char[]) { *a, 0 }, 0);
        assert_int_equal(world_stored_state(w, new), RUN_SUCCESS);
        assert_int_equal(world_stored_state(w, run), RUN_FAILED);
        after = dump(w, run);
        assert_string_equal(after, before);
}

/* A replay of a replay: the root is the first, what that did is still its. */
static void test_replay_of_replay(void **state) {
        World *w = *state;
        uint32_t run = start_failed(w), second, third;

        second = replayed(w, run, NULL);
        end_with(w, second, "b", 0);
        end_with(w, second, "c", 1);
        world_again(w);                                 /* both are read from the store */
        third = replayed(w, second, NULL);
        assert_int_equal(world_run(w, third)->replay_of, second);
        assert_int_equal(world_run(w, third)->root_run, run);
        assert_int_equal(run_activity(world_run(w, third), "a")->reused_from, run);
        assert_int_equal(run_activity(world_run(w, third), "b")->reused_from, second);
        assert_non_null(fake_find(w->fake, third, "c"));
        world_again(w);
        world_turn(w);
        assert_int_equal(run_activity(world_run(w, third), "a")->reused_from, run);
        assert_int_equal(fake_find(w->fake, third, "c")->attempt, 2);
}

static void test_replay_from(void **state) {
        World *w = *state;
        uint32_t run = start_failed(w), new = replayed(w, run, "one");

        assert_int_equal(run_activity(world_run(w, new), "a")->reused_from, 0);
        assert_non_null(fake_find(w->fake, new, "a"));
}

/* S2.9: inputs are the old ones, and those that are not fixed can be changed. */
static void test_replay_inputs(void **state) {
        World *w = *state;
        uint32_t run = start_failed(w), new;
        _cleanup_json_ Json *version = json_new_object(), *where = json_new_object(), *odd = json_new_object();
        _cleanup_free_ char *message = NULL;

        assert_ok(json_set_string(version, "version", "2"));
        assert_ok(json_set_string(where, "where", "there"));
        assert_ok(json_set_int(odd, "version", 2));
        assert_refused(w, run, &(ReplayRequest) { .inputs = where }, VERDICT_INPUT_FIXED, "where");
        assert_refused(w, run, &(ReplayRequest) { .inputs = odd }, VERDICT_INVALID_INPUT, "version");
        assert_int_equal(replay(w, run, &(ReplayRequest) { .inputs = version }, &new, &message), VERDICT_OK);
        assert_string_equal(json_string(json_get(world_run(w, new)->inputs, "version")), "2");
        assert_string_equal(json_string(json_get(world_run(w, run)->inputs, "version")), "1");
        new = rerun(w, run, &(RerunRequest) { .inputs = where });
        assert_string_equal(json_string(json_get(world_run(w, new)->inputs, "where")), "there");
}

static void test_refused_states(void **state) {
        World *w = *state;
        uint32_t failed = start_failed(w), good = start_good(w), live = world_start(w, "chain");
        char comment[EVENT_COMMENT_MAX + 2] = { 0 };

        assert_refused(w, 77, &(ReplayRequest) { 0 }, VERDICT_NO_SUCH_RUN, "runbookctl list");
        assert_refused(w, live, &(ReplayRequest) { 0 }, VERDICT_WRONG_STATE, "runbookctl status 3");
        assert_refused(w, good, &(ReplayRequest) { 0 }, VERDICT_WRONG_STATE, "runbookctl rerun 2");
        assert_refused(w, failed, &(ReplayRequest) { .from = "nothing" }, VERDICT_NO_SUCH_ACTIVITY, "nothing");
        assert_refused(w, failed, &(ReplayRequest) { .from = "d" }, VERDICT_WRONG_STATE, "never executed");
        memset(comment, 'c', EVENT_COMMENT_MAX + 1);
        assert_refused(w, failed, &(ReplayRequest) { .comment = comment }, VERDICT_TOO_LARGE, "comment");
        for (uint64_t i = 0; i < ENGINE_RUNS_MAX; i++)
                assert_ok(intmap_put(w->engine->runs, 1000 + i, w));
        assert_refused(w, failed, &(ReplayRequest) { 0 }, VERDICT_TOO_MANY, "unfinished runs");
        for (uint64_t i = 0; i < ENGINE_RUNS_MAX; i++)
                (void) intmap_remove(w->engine->runs, 1000 + i);
        world_fail(w);
        fake_exit(w->fake, live, "a", 0);
        world_turn(w);
        assert_refused(w, failed, &(ReplayRequest) { 0 }, VERDICT_STORAGE_UNAVAILABLE, "stored");
}

/* S2.12: too old is what began too long ago, and a replay is as old as its first run. */
static void test_too_old(void **state) {
        World *w = *state;
        uint32_t run = start_failed(w), second;
        usec_t first_at = world_run(w, run)->created_at, until;

        while (now_usec(CLOCK_REALTIME) < first_at + 20 * USEC_PER_MSEC)
                (void) usleep(1000);
        second = replayed(w, run, NULL);
        end_with(w, second, "b", 1);
        w->engine->retry_window = 1;
        assert_refused(w, run, &(ReplayRequest) { 0 }, VERDICT_TOO_OLD, "runbookctl rerun 1");
        assert_ok(engine_replay_until(w->engine, world_run(w, second), &until));
        assert_int_equal(until, first_at + 1);
        w->engine->retry_window = now_usec(CLOCK_REALTIME) - world_run(w, second)->created_at + USEC_PER_MINUTE;
        replayed(w, second, NULL);
        /* It is young enough itself, but its root is not. */
        w->engine->retry_window = now_usec(CLOCK_REALTIME) - first_at - USEC_PER_MSEC;
        assert_refused(w, second, &(ReplayRequest) { 0 }, VERDICT_TOO_OLD, "more than");
        w->engine->retry_window = USEC_INFINITY;
        replayed(w, run, NULL);
        assert_ok(engine_replay_until(w->engine, world_run(w, second), &until));
        assert_true(until == USEC_INFINITY);
        w->engine->retry_window = 1;
        rerun(w, run, &(RerunRequest) { 0 });           /* at any age */
}

/* The definition is the frozen one, or, asked for, today's; which must keep what was done. */
static void test_definition(void **state) {
        World *w = *state;
        uint32_t run = start_failed(w), new;
        _cleanup_free_ char *message = NULL;

        world_write(w, "parts.yaml", "phases:\n  - name: one\n    activities: [{name: a, run: 'echo 7'}]\n");
        new = replayed(w, run, NULL);
        assert_string_equal(world_run(w, new)->runbook->hash, world_run(w, run)->runbook->hash);
        assert_refused(w, run, &(ReplayRequest) { .reload = true }, VERDICT_DEFINITION_CHANGED, "");
        world_write(w, "parts.yaml", "phases: 3\n");
        assert_refused(w, run, &(ReplayRequest) { .reload = true }, VERDICT_INVALID_RUNBOOK, "/parts.yaml:1:");
        _cleanup_free_ char *fixed = xasprintf("# fixed\n%s", parts);
        world_write(w, "parts.yaml", fixed);
        assert_int_equal(replay(w, run, &(ReplayRequest) { .reload = true, .fresh_workspace = true }, &new, &message), VERDICT_OK);
        assert_string_not_equal(world_run(w, new)->runbook->hash, world_run(w, run)->runbook->hash);
        world_again(w);
        world_turn(w);
        assert_non_null(fake_find(w->fake, new, "b"));
}

/* A commit that fails takes the new run back, and its number is given again. */
static void test_commit_fails(void **state) {
        World *w = *state;
        uint32_t run = start_failed(w), new;
        _cleanup_free_ char *before = dump(w, run), *after = NULL, *message = NULL;
        Ticket ticket;

        world_fail(w);
        assert_int_equal(engine_replay(w->engine, run, &world_actor, &(ReplayRequest) { 0 }, &new, &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_int_equal(w->committed_r, -EIO);
        assert_false(engine_run_is_live(w->engine, new));
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        assert_int_equal(replayed(w, run, NULL), new);
        after = dump(w, run);
        assert_string_equal(after, before);
}

/* ---- rerun ---- */

/* S2.2, S2.5: of a good run too, whole or of some phases. */
static void test_rerun(void **state) {
        World *w = *state;
        uint32_t run = start_good(w), whole, part;
        char *two[] = { (char *) "two", NULL };
        _cleanup_free_ char *before = dump(w, run), *after = NULL;
        Run *r;

        whole = rerun(w, run, &(RerunRequest) { .comment = "once more" });
        assert_int_equal(world_run(w, whole)->replay_of, run);
        assert_string_equal(world_run(w, whole)->trigger, "rerun");
        assert_non_null(fake_find(w->fake, whole, "a"));
        part = rerun(w, run, &(RerunRequest) { .only = two });
        r = world_run(w, part);
        assert_int_equal(run_activity(r, "a")->state, ACTIVITY_SKIPPED);
        end_with(w, part, "b", 0);
        end_with(w, part, "c", 0);
        assert_int_equal(world_stored_state(w, part), RUN_SUCCESS);
        after = dump(w, run);
        assert_string_equal(after, before);
}

static void test_rerun_refused(void **state) {
        World *w = *state;
        uint32_t run = start_good(w), live = world_start(w, "chain"), new;
        char *wrong[] = { (char *) "too", NULL };
        _cleanup_free_ char *phase = NULL, *ended = NULL;
        Ticket ticket;

        assert_int_equal(engine_rerun(w->engine, run, &world_actor, &(RerunRequest) { .only = wrong }, &new, &ticket, &phase),
                         VERDICT_INVALID_INPUT);
        assert_non_null(strstr(phase, "two"));
        assert_int_equal(engine_rerun(w->engine, live, &world_actor, &(RerunRequest) { 0 }, &new, &ticket, &ended), VERDICT_WRONG_STATE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_replay),
                engine_test(test_replay_of_replay),
                engine_test(test_replay_from),
                engine_test(test_replay_inputs),
                engine_test(test_refused_states),
                engine_test(test_too_old),
                engine_test(test_definition),
                engine_test(test_commit_fails),
                engine_test(test_rerun),
                engine_test(test_rerun_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
