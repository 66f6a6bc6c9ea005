/* What people decide about a failure, and the other verbs on a run that goes on: what they do, what they answer, and that they survive. */
#include "engine-fixture.h"

#include <stdio.h>

static const char held[] = "inputs:\n"
                           "  version: {type: string, default: '1'}\n"
                           "  where: {type: string, default: here, fixed: true}\n"
                           "phases:\n"
                           "  - name: main\n"
                           "    activities:\n"
                           "      - {name: a, run: 'echo ${{ inputs.version }}'}\n"
                           "      - {name: b, run: 'echo ${{ inputs.version }}'}\n"
                           "      - {name: c, run: 'true'}\n";

/* a has succeeded, b is held for a decision. */
static uint32_t start_held(World *w) {
        uint32_t run;

        world_write(w, "held.yaml", held);
        run = world_start(w, "held");
        fake_exit(w->fake, run, "a", 0);
        world_turn(w);
        fake_exit(w->fake, run, "b", 1);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_ON_HOLD);
        assert_int_equal(activity_waiting_for(run_activity(world_run(w, run), "b")), WAITING_DECISION);
        return run;
}

static Json *parse(const char *text) {
        Json *j = NULL;

        if (text)
                assert_ok(json_parse(text, strlen(text), &j));
        return j;
}

typedef struct Result {
        int verdict;
        Ticket ticket;
        char message[512];
} Result;

static Result result(World *w, int r, Ticket ticket, char *takes) {
        Result x = { .verdict = r, .ticket = ticket };

        assert_int_equal(takes != NULL, r != VERDICT_OK);
        (void) snprintf(x.message, sizeof x.message, "%s", strempty(takes));
        free(takes);
        world_turn(w);
        return x;
}

static Result retry(World *w, uint32_t run, const char *activity, const char *inputs) {
        _cleanup_json_ Json *j = parse(inputs);
        char *message = NULL;
        Ticket ticket = 0;
        int r = engine_retry(w->engine, run, activity, &world_actor, &(RetryRequest) { .inputs = j, .comment = "fixed it" }, &ticket,
                             &message);

        return result(w, r, ticket, message);
}

static Result ignore(World *w, uint32_t run, const char *activity, const char *outputs) {
        _cleanup_json_ Json *j = parse(outputs);
        char *message = NULL;
        Ticket ticket = 0;
        int r = engine_ignore(w->engine, run, activity, &world_actor, j, "never mind", &ticket, &message);

        return result(w, r, ticket, message);
}

static Result abort_it(World *w, uint32_t run, const char *activity) {
        char *message = NULL;
        Ticket ticket = 0;
        int r = engine_abort(w->engine, run, activity, &world_actor, NULL, &ticket, &message);

        return result(w, r, ticket, message);
}

static Result set_inputs(World *w, uint32_t run, const char *inputs) {
        _cleanup_json_ Json *j = parse(inputs);
        char *message = NULL;
        Ticket ticket = 0;
        int r = engine_set_inputs(w->engine, run, &world_actor, j, NULL, &ticket, &message);

        return result(w, r, ticket, message);
}

typedef int (*PlainVerb)(Engine *e, uint32_t run, const Actor *who, const char *comment, Ticket *ret, char **ret_message);

static Result plain(World *w, PlainVerb verb, uint32_t run) {
        char *message = NULL;
        Ticket ticket = 0;
        int r = verb(w->engine, run, &world_actor, NULL, &ticket, &message);

        return result(w, r, ticket, message);
}

static void assert_refused(Result x, Verdict v, const char *part) {
        if (x.verdict != (int) v || !strstr(x.message, part))
                fail_msg("%s “%s”, not %s with “%s”", strempty(verdict_to_string((Verdict) x.verdict)), x.message, verdict_to_string(v),
                         part);
        assert_int_equal(x.ticket, 0);
}

/* S0.12, S0.14: the release goes on from that point; what was done is not done again. */
static void test_retry(void **state) {
        World *w = *state;
        uint32_t run = start_held(w);
        Result x;

        assert_true(world_traced(w, "run 1 on-hold"));
        assert_true(world_traced(w, "counts 0 1 0"));
        world_trace_clear(w);
        x = retry(w, run, "b", "{\"version\":\"2\"}");
        assert_int_equal(x.verdict, VERDICT_OK);
        assert_int_equal(w->committed, x.ticket);
        assert_true(world_traced(w, "resolved 1/b retried 1000"));
        assert_true(world_traced(w, "run 1 running"));
        assert_int_equal(fake_find(w->fake, run, "b")->attempt, 2);
        assert_int_equal(run_activity(world_run(w, run), "b")->attempts[1].cause, CAUSE_MANUAL);
        assert_string_equal(json_string(json_get(world_run(w, run)->inputs, "version")), "2");
        assert_int_equal(world_events(w, run, "inputs-changed"), 1);
        fake_exit(w->fake, run, "b", 0);
        world_turn(w);
        assert_int_equal(run_activity(world_run(w, run), "a")->n_attempts, 1);
        fake_exit(w->fake, run, "c", 0);
        world_turn(w);
        assert_true(world_traced(w, "finished 1 success"));
}

static void test_ignore(void **state) {
        World *w = *state;
        uint32_t run = start_held(w);

        assert_int_equal(ignore(w, run, "b", "{\"built\":true}").verdict, VERDICT_OK);
        assert_true(world_traced(w, "resolved 1/b ignored 1000"));
        assert_true(world_traced(w, "activity 1/b ignored"));
        assert_true(json_bool(json_get(run_activity(world_run(w, run), "b")->outputs, "built")));
        fake_exit(w->fake, run, "c", 0);
        world_turn(w);
        assert_true(world_traced(w, "finished 1 success"));
        assert_true(world_run(w, run)->had_errors);
}

static void test_abort(void **state) {
        World *w = *state;
        uint32_t run = start_held(w);

        assert_int_equal(abort_it(w, run, "b").verdict, VERDICT_OK);
        assert_true(world_traced(w, "resolved 1/b aborted 1000"));
        assert_true(world_traced(w, "finished 1 failed"));
        assert_int_equal(world_stored_state(w, run), RUN_FAILED);
}

/* A held failure waits for its decision over a restart. */
static void test_held_comes_back(void **state) {
        World *w = *state;
        uint32_t run = start_held(w);

        world_again(w);
        world_turn(w);
        assert_int_equal(fake_count(w->fake, run), 0);
        assert_int_equal(world_run(w, run)->state, RUN_ON_HOLD);
        assert_int_equal(w->engine->counts.on_hold, 1);
        assert_int_equal(retry(w, run, "b", NULL).verdict, VERDICT_OK);
        world_again(w);                                 /* the retry is on disk; its step is interrupted like any other */
        world_turn(w);
        assert_int_equal(fake_find(w->fake, run, "b")->attempt, 3);
}

/* A decision that can't be stored was not taken. */
static void test_decision_is_taken_back(void **state) {
        World *w = *state;
        uint32_t run = start_held(w);

        world_fail(w);
        assert_int_equal(retry(w, run, "b", "{\"version\":\"9\"}").verdict, VERDICT_OK);
        assert_int_equal(w->committed_r, -EIO);
        assert_int_equal(fake_count(w->fake, run), 0);
        assert_string_equal(json_string(json_get(world_run(w, run)->inputs, "version")), "1");
        assert_int_equal(activity_waiting_for(run_activity(world_run(w, run), "b")), WAITING_DECISION);
        assert_refused(retry(w, run, "b", NULL), VERDICT_STORAGE_UNAVAILABLE, "");
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        assert_int_equal(retry(w, run, "b", NULL).verdict, VERDICT_OK);
        assert_non_null(fake_find(w->fake, run, "b"));
}

/* S2.5 and the others: each refusal has its name and says what to do instead. */
static void test_refused(void **state) {
        World *w = *state;
        uint32_t run = start_held(w);
        char comment[EVENT_COMMENT_MAX + 2] = { 0 };
        char *message = NULL;
        Ticket ticket = 0;
        int r;

        assert_refused(retry(w, 7, "b", NULL), VERDICT_NO_SUCH_RUN, "runbookctl list");
        assert_refused(retry(w, run, "z", NULL), VERDICT_NO_SUCH_ACTIVITY, "runbookctl status 1");
        assert_refused(retry(w, run, "a", NULL), VERDICT_ALREADY_SUCCEEDED, "runbookctl rerun 1 --only main");
        assert_refused(retry(w, run, "c", NULL), VERDICT_WRONG_STATE, "pending");
        assert_refused(ignore(w, run, "c", NULL), VERDICT_WRONG_STATE, "pending");
        assert_refused(abort_it(w, run, "c"), VERDICT_WRONG_STATE, "pending");
        assert_refused(retry(w, run, "b", "{\"where\":\"there\"}"), VERDICT_INPUT_FIXED, "where");
        assert_refused(retry(w, run, "b", "{\"version\":2}"), VERDICT_INVALID_INPUT, "version");
        assert_refused(set_inputs(w, run, "{\"where\":\"there\"}"), VERDICT_INPUT_FIXED, "where");
        assert_refused(set_inputs(w, run, "{\"verison\":\"x\"}"), VERDICT_INVALID_INPUT, "version");
        assert_refused(plain(w, engine_resume, run), VERDICT_WRONG_STATE, "not paused");
        assert_refused(plain(w, engine_start_now, run), VERDICT_WRONG_STATE, "on-hold");
        memset(comment, 'c', EVENT_COMMENT_MAX + 1);
        r = engine_pause(w->engine, run, &world_actor, comment, &ticket, &message);
        assert_refused(result(w, r, ticket, message), VERDICT_TOO_LARGE, "comment");
        assert_int_equal(world_events(w, run, "activity-decided"), 0);
}

/* Of an ended run nothing is retried, but there is another way. */
static void test_refused_of_ended(void **state) {
        World *w = *state;
        uint32_t run = start_held(w);

        assert_int_equal(abort_it(w, run, "b").verdict, VERDICT_OK);
        assert_refused(retry(w, run, "b", NULL), VERDICT_WRONG_STATE, "runbookctl replay 1");
        assert_refused(retry(w, run, "c", NULL), VERDICT_WRONG_STATE, "runbookctl replay 1");
        assert_refused(retry(w, run, "a", NULL), VERDICT_ALREADY_SUCCEEDED, "runbookctl rerun 1 --only main");
        assert_refused(retry(w, run, "z", NULL), VERDICT_NO_SUCH_ACTIVITY, "no activity “z”");
        assert_refused(ignore(w, run, "b", NULL), VERDICT_WRONG_STATE, "ended (failed)");
        assert_refused(plain(w, engine_pause, run), VERDICT_WRONG_STATE, "ended (failed)");
        run = world_start(w, "held");
        for (const char *a = "abc"; *a; a++) {
                fake_exit(w->fake, run, NULL, 0);
                world_turn(w);
        }
        assert_refused(retry(w, run, "c", NULL), VERDICT_ALREADY_SUCCEEDED, "runbookctl rerun 2 --only main");
}

/* Nothing to change is no event and nothing to wait for, unless what it was changed by is still to be stored. */
static void test_nothing_to_change(void **state) {
        World *w = *state;
        uint32_t run = start_held(w);
        _cleanup_json_ Json *two = parse("{\"version\":\"2\"}");
        char *message = NULL;
        Ticket first = 0, second = 0;
        unsigned n;
        Result x;

        assert_int_equal(set_inputs(w, run, "{\"version\":\"3\"}").verdict, VERDICT_OK);
        n = world_events(w, run, NULL);
        x = set_inputs(w, run, "{\"version\":\"3\"}");
        assert_int_equal(x.verdict, VERDICT_OK);
        assert_int_equal(x.ticket, 0);
        assert_int_equal(world_events(w, run, NULL), n);
        assert_int_equal(engine_set_inputs(w->engine, run, &world_actor, two, NULL, &first, &message), VERDICT_OK);
        assert_int_equal(engine_set_inputs(w->engine, run, &world_actor, two, NULL, &second, &message), VERDICT_OK);
        assert_true(second > first);
        world_turn(w);
        assert_int_equal(w->committed, second);
        assert_int_equal(world_events(w, run, NULL), n + 1);
}

/* S3.29: paused, nothing new starts, over a restart too; what runs goes on; it is counted as active. */
static void test_pause(void **state) {
        World *w = *state;
        uint32_t run = world_start(w, "chain");

        assert_int_equal(plain(w, engine_pause, run).verdict, VERDICT_OK);
        assert_int_equal(world_stored_state(w, run), RUN_PAUSED);
        assert_int_equal(w->engine->counts.active, 1);
        fake_exit(w->fake, run, "a", 0);
        world_turn(w);
        assert_int_equal(fake_count(w->fake, run), 0);
        world_again(w);
        world_turn(w);
        assert_int_equal(world_run(w, run)->state, RUN_PAUSED);
        assert_int_equal(w->engine->counts.active, 1);
        assert_int_equal(fake_count(w->fake, run), 0);
        assert_int_equal(plain(w, engine_resume, run).verdict, VERDICT_OK);
        assert_non_null(fake_find(w->fake, run, "b"));
        assert_int_equal(run_activity(world_run(w, run), "a")->n_attempts, 1);
}

/* What was running when the daemon died under a paused run is interrupted; its next attempt waits for the end of the pause. */
static void test_pause_of_running(void **state) {
        World *w = *state;
        uint32_t run = world_start(w, "chain");

        assert_int_equal(plain(w, engine_pause, run).verdict, VERDICT_OK);
        world_again(w);
        world_turn(w);
        assert_int_equal(fake_count(w->fake, run), 0);
        assert_int_equal(plain(w, engine_resume, run).verdict, VERDICT_OK);
        assert_int_equal(fake_find(w->fake, run, "a")->attempt, 2);
}

/* A paused run that waits for slots gives none of them away and takes none. */
static void test_pause_of_waiting(void **state) {
        World *w = *state;
        uint32_t run;

        assert_ok(engine_set_max_steps(w->engine, 1));
        run = world_start(w, "wide");
        assert_int_equal(plain(w, engine_pause, run).verdict, VERDICT_OK);
        world_start(w, "chain");
        fake_exit(w->fake, run, NULL, 0);
        world_turn(w);
        assert_non_null(fake_find(w->fake, 2, "a"));
        assert_int_equal(plain(w, engine_resume, run).verdict, VERDICT_OK);
        assert_int_equal(fake_count(w->fake, run), 0);
        fake_exit(w->fake, 2, "a", 0);
        world_turn(w);
        assert_int_equal(fake_count(w->fake, run), 1);
}

/* A whole run that will be tried again comes back as it was, and can be hurried. */
static void test_run_backoff(void **state) {
        World *w = *state;
        uint32_t run;

        world_write(w, "twice.yaml",
                    "retries: {max: 1, initialInterval: 10min}\nphases:\n  - name: main\n    activities:\n"
                    "      - {name: a, run: 'true'}\n");
        run = world_start(w, "twice");
        fake_exit(w->fake, run, "a", 1);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_QUEUED);
        assert_int_equal(w->engine->counts.active, 1);
        usec_t at = world_run(w, run)->next_retry_at;
        world_again(w);
        world_turn(w);
        assert_int_equal(world_run(w, run)->state, RUN_QUEUED);
        assert_int_equal(world_run(w, run)->next_retry_at, at);
        assert_int_equal(fake_count(w->fake, run), 0);
        assert_true(engine_run(w->engine, run)->timers[CLOCK_OF_WAITS].when != USEC_INFINITY);
        assert_int_equal(plain(w, engine_start_now, run).verdict, VERDICT_OK);
        assert_int_equal(world_run(w, run)->attempt, 2);
        fake_exit(w->fake, run, "a", 1);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_EXHAUSTED);
}

static void test_run_backoff_passes(void **state) {
        World *w = *state;
        uint32_t run;

        world_write(w, "twice.yaml",
                    "retries: {max: 1, initialIntervalMs: 30}\nphases:\n  - name: main\n    activities:\n      - {name: a, run: 'true'}\n");
        run = world_start(w, "twice");
        fake_exit(w->fake, run, "a", 1);
        world_turn(w);
        world_again(w);
        world_trace_clear(w);
        world_wait(w, "launch 1/a/1");
        assert_int_equal(world_run(w, run)->attempt, 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_retry),
                engine_test(test_ignore),
                engine_test(test_abort),
                engine_test(test_held_comes_back),
                engine_test(test_decision_is_taken_back),
                engine_test(test_refused),
                engine_test(test_refused_of_ended),
                engine_test(test_nothing_to_change),
                engine_test(test_pause),
                engine_test(test_pause_of_running),
                engine_test(test_pause_of_waiting),
                engine_test(test_run_backoff),
                engine_test(test_run_backoff_passes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
