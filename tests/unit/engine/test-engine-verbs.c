/* Every verdict, with a sentence that helps, and what verbs do when they do it. */
#include "engine-fixture.h"

#include <stdio.h>

static void test_names(void **state) {
        for (int v = 0; v < _VERDICT_MAX; v++) {
                assert_non_null(verdict_to_string(v));
                for (int u = 0; u < v; u++)
                        assert_string_not_equal(verdict_to_string(u), verdict_to_string(v));
        }
        assert_null(verdict_to_string(_VERDICT_MAX));
        assert_null(verdict_to_string(_VERDICT_INVALID));
}

static void assert_refused(World *w, const char *runbook, const char *inputs, Verdict v, const char *part) {
        _cleanup_free_ char *message = NULL;
        Ticket ticket = 4711;

        assert_int_equal(world_try_start(w, runbook, inputs, &ticket, &message), v);
        assert_non_null(message);
        if (!strstr(message, part))
                fail_msg("no “%s” in “%s”", part, message);
        world_turn(w);
        assert_int_equal(ticket, 4711);
        assert_int_equal(store_last_run(w->store), 0);  /* no trace */
        assert_false(engine_run_is_live(w->engine, 1));
}

static void test_no_such_runbook(void **state) {
        World *w = *state;

        assert_refused(w, "chian", NULL, VERDICT_NO_SUCH_RUNBOOK, "did you mean “chain”?");
        assert_refused(w, "frobnicate", NULL, VERDICT_NO_SUCH_RUNBOOK, "runbookctl runbooks");
        assert_refused(w, "../chain", NULL, VERDICT_NO_SUCH_RUNBOOK, "../chain");
        assert_refused(w, "", NULL, VERDICT_NO_SUCH_RUNBOOK, "no runbook");
}

static void test_invalid_runbook(void **state) {
        World *w = *state;

        world_write(w, "bad.yaml", "phases:\n  - name: main\n    activities:\n      - {name: a, rnu: 'true'}\n");
        assert_refused(w, "bad", NULL, VERDICT_INVALID_RUNBOOK, "/bad.yaml:4:19: ");
}

static void assert_strict_refused(World *w, const char *inputs, const char *part) {
        _cleanup_json_ Json *j = NULL;
        _cleanup_free_ char *message = NULL;
        Ticket ticket = 4711;
        uint32_t run;

        assert_ok(json_parse(inputs, strlen(inputs), &j));
        assert_int_equal(engine_start_run(w->engine, &(StartRequest) { .runbook = "asks", .inputs = j, .strict = true }, &world_actor, &run, &ticket,
                                          &message),
                         VERDICT_INVALID_INPUT);
        if (!strstr(message, part))
                fail_msg("no “%s” in “%s”", part, message);
        assert_int_equal(store_last_run(w->store), 0);
}

/* S0.17: without a value the activity that needs it will wait; only a strict start is refused. */
static void test_missing_input(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        world_write(w, "asks.yaml",
                    "inputs:\n  version: {type: string, required: true}\n  channel: {type: choice, options: [beta, stable], required: true}\n"
                    "phases:\n  - name: main\n    activities:\n      - {name: a, run: 'echo ${{ inputs.version }}'}\n");
        assert_strict_refused(w, "{}", "version, channel; give them with -i NAME=VALUE");
        assert_strict_refused(w, "{\"version\":\"1\"}", "channel; give it with -i NAME=VALUE");
        assert_int_equal(world_try_start(w, "asks", NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_int_equal(activity_waiting_for(run_activity(world_run(w, 1), "a")), WAITING_INPUT);
}

/* Checked when the run is created: a wrong value is an error and no run is made. */
static void test_invalid_input(void **state) {
        World *w = *state;
        _cleanup_free_ char *large = malloc(INPUTS_SIZE_MAX + 64);

        world_write(w, "asks.yaml",
                    "inputs:\n  version: {type: string, required: true}\n  channel: {type: choice, options: [beta, stable], required: "
                    "true}\n"
                    "  note: {type: string}\nphases:\n  - name: main\n    activities:\n      - {name: a, run: 'echo ${{ inputs.version "
                    "}}'}\n");
        assert_refused(w, "asks", "{\"version\":\"1\",\"channel\":\"odd\"}", VERDICT_INVALID_INPUT, "channel");
        assert_refused(w, "asks", "{\"version\":\"1\",\"channel\":\"beta\",\"nota\":\"x\"}", VERDICT_INVALID_INPUT, "note");
        strcpy(large, "{\"version\":\"1\",\"channel\":\"beta\",\"note\":\"");
        memset(large + strlen(large), 'x', INPUTS_SIZE_MAX);
        strcpy(large + INPUTS_SIZE_MAX, "\"}");
        assert_refused(w, "asks", large, VERDICT_TOO_LARGE, "");
}

static int check_labels(void *userdata, const RunRow *row) {
        assert_true(streq_ptr(row->labels, userdata));
        return 0;
}

static void test_labels(void **state) {
        static const struct {
                const char *labels;
                Verdict verdict;
                const char *stored;
        } cases[] = {
                { "{\"a\":\"b\"}", VERDICT_OK, "{\"a\":\"b\"}" },
                { "{}", VERDICT_OK, NULL },
                { "[\"a\"]", VERDICT_INVALID_INPUT, NULL },
                { "{\"a\":1}", VERDICT_INVALID_INPUT, NULL },
        };
        World *w = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ Json *j = NULL;
                _cleanup_free_ char *message = NULL;
                uint32_t run;
                Ticket ticket;

                assert_ok(json_parse(cases[i].labels, strlen(cases[i].labels), &j));
                assert_int_equal(engine_start_run(w->engine, &(StartRequest){ .runbook = "chain", .labels = j }, &world_actor, &run,
                                                  &ticket, &message),
                                 cases[i].verdict);
                assert_int_equal(message != NULL, cases[i].verdict != VERDICT_OK);
                if (cases[i].verdict != VERDICT_OK)
                        continue;
                assert_ok(engine_flush(w->engine));
                assert_ok(store_get_run(w->store, run, check_labels, (void *) cases[i].stored));
        }
}

static int start_labelled(World *w, Json *labels) {
        _cleanup_free_ char *message = NULL;
        uint32_t run;
        Ticket ticket;

        return engine_start_run(w->engine, &(StartRequest) { .runbook = "chain", .labels = labels }, &world_actor, &run, &ticket, &message);
}

static void test_label_caps(void **state) {
        World *w = *state;
        _cleanup_json_ Json *many = json_new_object(), *long_value = json_new_object(), *long_name = json_new_object();
        char text[ENGINE_LABEL_SIZE_MAX + 2];

        for (unsigned i = 0; i < ENGINE_LABELS_MAX; i++) {
                (void) snprintf(text, sizeof text, "l%u", i);
                assert_ok(json_set_string(many, text, "x"));
        }
        assert_int_equal(start_labelled(w, many), VERDICT_OK);
        assert_ok(json_set_string(many, "one-more", "x"));
        assert_int_equal(start_labelled(w, many), VERDICT_TOO_MANY);
        memset(text, 'x', sizeof text);
        text[ENGINE_LABEL_SIZE_MAX + 1] = 0;
        assert_ok(json_set_string(long_value, "a", text));
        assert_ok(json_set_string(long_name, text, "a"));
        assert_int_equal(start_labelled(w, long_value), VERDICT_TOO_LARGE);
        assert_int_equal(start_labelled(w, long_name), VERDICT_TOO_LARGE);
        text[ENGINE_LABEL_SIZE_MAX] = 0;
        assert_ok(json_set_string(long_value, "a", text));
        assert_int_equal(start_labelled(w, long_value), VERDICT_OK);
}

static void test_too_many(void **state) {
        World *w = *state;

        for (uint64_t i = 0; i < ENGINE_RUNS_MAX; i++)
                assert_ok(intmap_put(w->engine->runs, 1000 + i, w));
        assert_refused(w, "chain", NULL, VERDICT_TOO_MANY, "100000 unfinished runs");
        (void) intmap_remove(w->engine->runs, 1000);
        world_start(w, "chain");
        for (uint64_t i = 1; i < ENGINE_RUNS_MAX; i++)
                (void) intmap_remove(w->engine->runs, 1000 + i);
}

/* ---- dedup ---- */

static uint32_t start_once(World *w, const char *runbook, const char *key, Ticket *ret) {
        _cleanup_free_ char *message = NULL;
        uint32_t run = 0;

        assert_int_equal(engine_start_run(w->engine, &(StartRequest){ .runbook = runbook, .dedup_key = key }, &world_actor, &run, ret,
                                          &message),
                         VERDICT_OK);
        return run;
}

static void test_dedup(void **state) {
        World *w = *state;
        Ticket first, second, third;

        assert_int_equal(start_once(w, "chain", "k", &first), 1);
        assert_int_equal(start_once(w, "chain", "k", &second), 1); /* not on disk yet: to be answered after the same commit */
        assert_int_equal(second, first);
        assert_int_equal(start_once(w, "chain", "other", &third), 2);
        assert_int_equal(start_once(w, "sign", "k", &third), 3); /* another runbook's key */
        world_turn(w);
        assert_int_equal(start_once(w, "chain", "k", &second), 1);
        assert_int_equal(second, 0);                    /* nothing was changed */
        assert_int_equal(start_once(w, "chain", NULL, &third), 4);
        world_again(w);
        assert_int_equal(start_once(w, "chain", "k", &second), 1);
}

static void test_dedup_key_cap(void **state) {
        World *w = *state;
        char key[ENGINE_DEDUP_KEY_MAX + 2] = { 0 };
        _cleanup_free_ char *message = NULL;
        uint32_t run;
        Ticket ticket;

        memset(key, 'k', ENGINE_DEDUP_KEY_MAX + 1);
        assert_int_equal(engine_start_run(w->engine, &(StartRequest){ .runbook = "chain", .dedup_key = key }, &world_actor, &run, &ticket,
                                          &message),
                         VERDICT_TOO_LARGE);
        key[ENGINE_DEDUP_KEY_MAX] = 0;
        assert_int_equal(start_once(w, "chain", key, &ticket), 1);
}

/* ---- cancel ---- */

static int cancel(World *w, uint32_t run, const char *comment, char **ret_message) {
        Ticket ticket;
        int r = engine_cancel(w->engine, run, &world_actor, comment, &ticket, ret_message);

        world_turn(w);
        return r;
}

static void test_cancel(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;

        world_start(w, "chain");
        world_trace_clear(w);
        assert_int_equal(cancel(w, 1, "enough", &message), VERDICT_OK);
        assert_int_equal(fake_find(w->fake, 1, "a")->n_stops, 1);
        assert_true(world_trace_find(w, "stop 1/a/1") < world_trace_find(w, "committed 2 0"));
        fake_signal(w->fake, 1, "a", 15);
        world_turn(w);
        assert_true(world_traced(w, "finished 1 cancelled"));
        assert_int_equal(world_stored_state(w, 1), RUN_CANCELLED);
}

static void test_cancel_refused(void **state) {
        World *w = *state;
        _cleanup_free_ char *no_run = NULL, *ended = NULL, *large = NULL;
        char comment[EVENT_COMMENT_MAX + 2] = { 0 };

        assert_int_equal(cancel(w, 7, NULL, &no_run), VERDICT_NO_SUCH_RUN);
        assert_non_null(strstr(no_run, "runbookctl list"));
        memset(comment, 'c', EVENT_COMMENT_MAX + 1);
        world_start(w, "chain");
        assert_int_equal(cancel(w, 1, comment, &large), VERDICT_TOO_LARGE);
        comment[EVENT_COMMENT_MAX] = 0;
        free(TAKE_PTR(large));
        assert_int_equal(cancel(w, 1, comment, &large), VERDICT_OK);
        fake_signal(w->fake, 1, "a", 15);
        world_turn(w);
        assert_int_equal(cancel(w, 1, NULL, &ended), VERDICT_WRONG_STATE);
        assert_non_null(strstr(ended, "cancelled"));
}

/* ---- answers ---- */

static int answer(World *w, uint32_t run, const char *activity, const Actor *who, bool approve, char **ret_message) {
        Ticket ticket;
        int r = engine_answer(w->engine, run, activity, who, approve, NULL, "fine", &ticket, ret_message);

        world_turn(w);
        return r;
}

/* S0.16, S0.20, S1.13: an approval holds the run, is told, answered, and the run goes on. */
static void test_approve(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        uint32_t active, on_hold, dead;

        world_start(w, "sign");
        assert_true(world_traced(w, "opened 1/qa Ship it"));
        assert_true(world_traced(w, "run 1 on-hold"));
        assert_true(world_traced(w, "counts 0 1 0"));
        engine_counts(w->engine, &active, &on_hold, &dead);
        assert_int_equal(active, 0);
        assert_int_equal(on_hold, 1);
        assert_int_equal(dead, 0);
        world_trace_clear(w);
        assert_int_equal(answer(w, 1, "qa", &world_actor, true, &message), VERDICT_OK);
        assert_true(world_traced(w, "resolved 1/qa approved 1000"));
        assert_true(world_traced(w, "activity 1/qa success"));
        assert_int_equal(world_trace_count(w, "run 1 running"), 1);
        fake_exit(w->fake, 1, "go", 0);
        world_turn(w);
        assert_true(world_traced(w, "finished 1 success"));
}

static void test_reject(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;

        world_start(w, "sign");
        assert_int_equal(answer(w, 1, "qa", &world_actor, false, &message), VERDICT_OK);
        assert_true(world_traced(w, "resolved 1/qa rejected 1000"));
        assert_true(world_traced(w, "finished 1 rejected"));
        _cleanup_free_ char *second = NULL, *cancelled = NULL;      /* who comes second learns that, though the run has ended */
        assert_int_equal(answer(w, 1, "qa", &world_actor, true, &second), VERDICT_ALREADY_ANSWERED);
        assert_non_null(second);
        world_start(w, "sign");
        assert_int_equal(cancel(w, 2, NULL, &cancelled), VERDICT_OK);
        assert_int_equal(answer(w, 2, "qa", &world_actor, true, &cancelled), VERDICT_WRONG_STATE);
}

static void test_answer_refused(void **state) {
        World *w = *state;
        static const Actor bob = { .uid = 1001, .user = "bob" };
        static const struct {
                uint32_t run;
                const char *activity;
                Verdict verdict;
        } cases[] = {
                { 9, "qa", VERDICT_NO_SUCH_RUN },
                { 1, "nothing", VERDICT_NO_SUCH_ACTIVITY },
                { 1, "go", VERDICT_WRONG_STATE },
                { 1, "own", VERDICT_NOT_APPROVER },
                { 1, "qa", VERDICT_OK },
                { 1, "qa", VERDICT_ALREADY_ANSWERED },
        };

        world_write(w, "two.yaml",
                    "phases:\n  - name: main\n    activities:\n      - {name: qa, needs: [], approval: {title: Q, required: 2}}\n"
                    "      - {name: own, needs: [], approval: {title: O, allowStarter: false, fields: {why: {type: string, required: "
                    "true}}}}\n      - {name: go, run: 'true'}\n");
        world_start(w, "two");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *message = NULL;
                assert_int_equal(answer(w, cases[i].run, cases[i].activity, &world_actor, true, &message), cases[i].verdict);
                assert_int_equal(message != NULL, cases[i].verdict != VERDICT_OK);
        }
        _cleanup_free_ char *field = NULL;
        assert_int_equal(answer(w, 1, "own", &bob, true, &field), VERDICT_INVALID_INPUT);
        assert_non_null(strstr(field, "why"));
}

/* The user's name is stored in the event. */
static int check_user(void *userdata, const EventRow *row) {
        if (streq(row->type, "request-answered")) {
                *(bool *) userdata = true;
                assert_string_equal(row->user, "alice");
                assert_int_equal(row->uid, 1000);
                assert_string_equal(row->activity, "qa");
        }
        return 0;
}

static void test_who(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        bool seen = false;

        world_start(w, "sign");
        assert_int_equal(answer(w, 1, "qa", &world_actor, true, &message), VERDICT_OK);
        assert_ok(store_load_events(w->store, 1, 1, 0, check_user, &seen));
        assert_true(seen);
}

/* Many starts at once: a few are decided at once, all are created and answered by one commit, the others follow in a quiet moment. */
static void test_many_starts(void **state) {
        World *w = *state;

        for (unsigned i = 0; i < 40; i++) {
                _cleanup_free_ char *message = NULL;
                Ticket ticket;
                assert_int_equal(world_try_start(w, "sign", NULL, &ticket, &message), VERDICT_OK);
        }
        assert_ok(engine_flush(w->engine));
        assert_int_equal(w->committed, 40);
        assert_int_equal(world_events(w, 1, "run-started"), 1);
        assert_int_equal(world_events(w, STARTS_PER_TURN, "run-started"), 1);
        assert_int_equal(world_events(w, STARTS_PER_TURN + 1, NULL), 1);
        assert_int_equal(world_stored_state(w, 40), RUN_QUEUED);
        world_turn(w);
        for (uint32_t run = 1; run <= 40; run++)
                assert_int_equal(world_stored_state(w, run), RUN_ON_HOLD);
        assert_true(world_traced(w, "counts 0 40 0"));
}

/* Without a free slot a run that only asks people is started all the same. */
static void test_start_without_slot(void **state) {
        World *w = *state;

        assert_ok(engine_set_max_steps(w->engine, 1));
        world_start(w, "chain");
        world_start(w, "sign");
        assert_int_equal(world_stored_state(w, 2), RUN_ON_HOLD);
}

static void run_loop(World *w) {
        while (sd_event_run(w->event, 0) > 0)
                ;
}

/* While others are answered a start waits, but not for ever: past its age it goes before I/O. */
static void test_starts_age(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;
        int64_t priority;

        assert_ok(engine_set_max_steps(w->engine, 0));
        assert_int_equal(world_try_start(w, "sign", NULL, &ticket, &message), VERDICT_OK);
        assert_ok(engine_flush(w->engine));
        w->engine->last_answer = now_usec(CLOCK_MONOTONIC) + USEC_PER_HOUR;     /* there is always somebody */
        engine_arm_starts(w->engine);
        run_loop(w);
        assert_int_equal(world_stored_state(w, 1), RUN_QUEUED);
        w->engine->starts_since -= STARTS_AGE_MAX + 1;
        engine_arm_starts(w->engine);
        assert_ok(sd_event_source_get_priority(w->engine->starts_source, &priority));
        assert_int_equal(priority, 0);
        run_loop(w);
        assert_int_equal(world_stored_state(w, 1), RUN_ON_HOLD);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                engine_test(test_no_such_runbook),
                engine_test(test_invalid_runbook),
                engine_test(test_missing_input),
                engine_test(test_invalid_input),
                engine_test(test_labels),
                engine_test(test_label_caps),
                engine_test(test_too_many),
                engine_test(test_dedup),
                engine_test(test_dedup_key_cap),
                engine_test(test_cancel),
                engine_test(test_cancel_refused),
                engine_test(test_approve),
                engine_test(test_reject),
                engine_test(test_answer_refused),
                engine_test(test_who),
                engine_test(test_many_starts),
                engine_test(test_start_without_slot),
                engine_test(test_starts_age),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
