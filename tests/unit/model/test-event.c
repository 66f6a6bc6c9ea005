/* The codec of events: every type goes into the store and comes back the same; no row from a damaged store becomes an event that it
 * should not be. */
#include "run-fixture.h"

static const char *const runbook_text =
        "phases:\n"
        "  - {name: p, activities: [{name: a, steps: [{name: first, run: 'true'}, {uses: 'builtin:approval'}], hooks: {post: [{run: "
        "'true'}]}}]}\n"
        "  - {name: q, activities: [{name: b, run: 'true'}]}\n";

static Json *parse(const char *text) {
        Json *j = NULL;
        assert_ok(json_parse(text, strlen(text), &j));
        return j;
}

static void assert_same(const Event *a, const Event *b) {
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->seq, b->seq);
        assert_int_equal(a->at.wall, b->at.wall);
        assert_int_equal(a->at.boottime, b->at.boottime);
        assert_int_equal(a->at.boot, b->at.boot);
        assert_int_equal(a->uid, b->uid);
        assert_true(streq_ptr(a->user, b->user));
        assert_true(!a->login == !b->login);
        assert_true(!a->login || (a->login->uid == b->login->uid && streq_ptr(a->login->session, b->login->session) &&
                                  streq_ptr(a->login->user, b->login->user)));
        assert_int_equal(a->phase, b->phase);
        assert_int_equal(a->activity, b->activity);
        assert_int_equal(a->attempt, b->attempt);
        assert_int_equal(a->step, b->step);
        assert_int_equal(a->run_state, b->run_state);
        assert_int_equal(a->phase_state, b->phase_state);
        assert_int_equal(a->activity_state, b->activity_state);
        assert_int_equal(a->attempt_state, b->attempt_state);
        assert_int_equal(a->step_state, b->step_state);
        assert_int_equal(a->cause, b->cause);
        assert_int_equal(a->interrupted, b->interrupted);
        assert_int_equal(a->clean, b->clean);
        assert_int_equal(a->started, b->started);
        assert_int_equal(a->exit_code, b->exit_code);
        assert_int_equal(a->log_end, b->log_end);
        assert_int_equal(a->until, b->until);
        assert_int_equal(a->span, b->span);
        assert_true(streq_ptr(a->reason, b->reason));
        assert_true(json_equal(a->error, b->error));
        assert_true(json_equal(a->outputs, b->outputs));
        assert_true(json_equal(a->data, b->data));
}

static Event *round_trip(const Event *e, const Runbook *rb) {
        _cleanup_free_ char *data = NULL;
        Event *again = NULL;

        assert_ok(event_encode(e, &data));
        const EventText row = { .seq = e->seq, .at = e->at, .uid = e->uid, .user = e->user, .type = event_type_to_string(e->type),
                        .subject = event_subject(e, rb),
                                .attempt = e->attempt, .step = event_step_id(e, rb), .data = data };
        assert_ok(event_decode(&row, rb, &again));
        return again;
}

static Event *full_event(EventType type) {
        static const Stamp at = { .wall = 1800000000000001, .boottime = 77, .mono = 66, .boot = 3 };
        Event *e = event_new(type, &at, 1000, "alice");

        assert_non_null(e);
        e->seq = 12;
        if (type == EVENT_PHASE_STARTED || type == EVENT_PHASE_FINISHED)
                e->phase = 1;
        else if (type >= EVENT_ATTEMPT_STARTED || type == EVENT_RUN_GAVE_UP)
                e->activity = 0;
        if (type >= EVENT_ATTEMPT_STARTED)
                e->attempt = 4;
        if (type >= EVENT_STEP_STARTED && type <= EVENT_REQUEST_ANSWERED)
                e->step = 2;
        return e;
}

/* The fields that a type carries, filled. */
static void fill(Event *e) {
        switch (e->type) {
        case EVENT_RUN_CREATED:
                e->reason = strdup("why it was started");
                e->data = parse("{\"inputs\": {\"x\": [1, null, \"ü\"]}, \"trigger\": \"manual\", \"labels\": {\"a\": \"b\"}}");
                break;
        case EVENT_RUN_STATE:
        case EVENT_RUN_FINISHED:
                e->run_state = e->type == EVENT_RUN_STATE ? RUN_ON_HOLD : RUN_TIMED_OUT;
                e->reason = e->type == EVENT_RUN_STATE ? NULL : strdup("why");
                break;
        case EVENT_RUN_WORKSPACE:
                e->error = error_new("START_FAILED", 5, "no space");
                e->data = parse("{\"run\": 3}");
                break;
        case EVENT_RUN_RESCHEDULED:
        case EVENT_RUN_BACKOFF:
                e->until = 1800000000000099;
                e->span = e->type == EVENT_RUN_BACKOFF ? 98 : 0;
                e->reason = strdup("later");
                break;
        case EVENT_INPUTS_CHANGED:
                e->data = parse("{\"changes\": {\"x\": {\"old\": null, \"new\": [1]}}}");
                e->reason = strdup("it was wrong");
                break;
        case EVENT_DEFINITION_CHANGED:
                e->data = parse("{\"definition\": \"aa\", \"previous\": \"bb\"}");
                break;
        case EVENT_ACTIVITY_REUSED:
                e->activity_state = ACTIVITY_IGNORED;
                e->outputs = parse("{\"a\": 1}");
                e->data = parse("{\"run\": 3}");
                break;
        case EVENT_INPUTS_WANTED:
                e->data = parse("{\"inputs\": [\"x\"]}");
                break;
        case EVENT_ACTIVITY_HELD:
                e->until = 1800000000000099;
                e->span = 98;
                e->error = error_new("EXPRESSION", 5, "no such thing");
                break;
        case EVENT_ACTIVITY_DECIDED:
                e->data = parse("{\"action\": \"ignore\"}");
                e->outputs = parse("{\"a\": 1}");
                e->reason = strdup("not needed today");
                break;
        case EVENT_RUN_START_NOW:
        case EVENT_RUN_PAUSED:
        case EVENT_RUN_RESUMED:
        case EVENT_RUN_CANCEL:
        case EVENT_RUN_GAVE_UP:
                e->reason = strdup("a \"reason\"\nof two lines");
                break;
        case EVENT_PHASE_FINISHED:
                e->phase_state = PHASE_SKIPPED;
                e->reason = strdup("because");
                break;
        case EVENT_ATTEMPT_STARTED:
                e->cause = CAUSE_RESUME;
                break;
        case EVENT_ATTEMPT_TIMED_OUT:
                e->error = error_new("TIMEOUT", 5, "late");
                break;
        case EVENT_ATTEMPT_FINISHED:
                e->attempt_state = ATTEMPT_INTERRUPTED;
                e->error = error_new("INTERRUPTED", 5, "gone");
                break;
        case EVENT_STEP_STARTED:
                e->data = parse("{\"process\": {\"pid\": 12, \"start\": 99}}");
                break;
        case EVENT_STEP_FINISHED:
                e->step_state = STEP_FAILED;
                e->error = error_new("EXIT", 5, "exited with status %d", 3);
                e->outputs = parse("{\"exitCode\": 3, \"ok\": false, \"list\": [1.5, true]}");
                e->exit_code = 3;
                e->log_end = 1ull << 40;
                e->started = false;
                e->interrupted = e->clean = true;
                break;
        case EVENT_REQUEST_OPENED:
                e->data = parse("{\"kind\": \"approval\", \"title\": \"t\", \"required\": 2}");
                e->until = 1900000000000000;
                e->span = 3600000000;
                break;
        case EVENT_REQUEST_ANSWERED:
                e->data = parse("{\"action\": \"approve\", \"fields\": {\"n\": 1}}");
                e->reason = strdup("fine");
                break;
        case EVENT_ACTIVITY_BACKOFF:
                e->until = 1900000000000000;
                e->span = 1;
                break;
        case EVENT_ACTIVITY_FINISHED:
                e->activity_state = ACTIVITY_FAILED;
                e->error = error_new("EXPRESSION", 5, "%s", "no");
                e->reason = strdup("");
                break;
        case EVENT_RUN_STARTED:
        case EVENT_RUN_TIMED_OUT:
        case EVENT_PHASE_STARTED:
        case EVENT_HOOK_TIMED_OUT:
        case EVENT_STEP_TIMED_OUT:
        case _EVENT_TYPE_MAX:
        case _EVENT_TYPE_INVALID:
                break;
        }
}

static void test_round_trip(void **state) {
        Runbook *rb = parse_runbook(runbook_text);

        for (EventType t = 0; t < _EVENT_TYPE_MAX; t++)
                for (unsigned filled = 0; filled < 4; filled++) {
                        _cleanup_(event_freep) Event *e = full_event(t), *again = NULL;

                        if (filled & 1)
                                fill(e);
                        if (filled & 2)
                                assert_ok(login_new(t % 2 ? "c12" : NULL, t % 3 ? 1001 : 0, t % 3 ? "bob" : NULL, &e->login));
                        again = round_trip(e, rb);
                        assert_same(e, again);
                }
        runbook_unref(rb);
}

static void test_types(void **state) {
        for (EventType t = 0; t < _EVENT_TYPE_MAX; t++) {
                assert_non_null(event_type_to_string(t));
                assert_int_equal(event_type_from_string(event_type_to_string(t)), t);
        }
        assert_null(event_type_to_string(_EVENT_TYPE_MAX));
        assert_true(event_type_from_string("run-exploded") < 0);
        assert_true(event_type_from_string("") < 0);
        assert_true(event_type_from_string(NULL) < 0);
}

static void test_nothing_to_store(void **state) {
        static const EventType empty[] = { EVENT_RUN_CREATED, EVENT_RUN_STARTED, EVENT_RUN_CANCEL, EVENT_RUN_TIMED_OUT,
                        EVENT_PHASE_STARTED, EVENT_HOOK_TIMED_OUT, EVENT_STEP_STARTED };

        for (size_t i = 0; i < ELEMENTSOF(empty); i++) {
                _cleanup_(event_freep) Event *e = full_event(empty[i]);
                char *data = (char *) "";
                assert_ok(event_encode(e, &data));
                assert_null(data);
        }
}

static void test_names_of_the_history(void **state) {
        _cleanup_(event_freep) Event *e = full_event(EVENT_STEP_FINISHED);
        _cleanup_free_ char *data = NULL;

        e->step_state = STEP_SUCCESS;
        e->exit_code = 0;
        e->log_end = 7;
        assert_ok(event_encode(e, &data));
        assert_string_equal(data, "{\"state\":\"success\",\"exitCode\":0,\"logEnd\":7}");
}

static void test_subject(void **state) {
        Runbook *rb = parse_runbook(runbook_text);
        _cleanup_(event_freep) Event *of_phase = full_event(EVENT_PHASE_STARTED), *of_step = full_event(EVENT_STEP_STARTED),
                        *of_run = full_event(EVENT_RUN_STARTED);

        assert_string_equal(event_subject(of_phase, rb), "q");
        assert_null(event_step_id(of_phase, rb));
        assert_string_equal(event_subject(of_step, rb), "a");
        assert_string_equal(event_step_id(of_step, rb), "post:1");
        assert_null(event_subject(of_run, rb));
        assert_null(event_free(NULL));
        runbook_unref(rb);
}

/* S3.27: {message, code, timestamp}. */
static void test_error(void **state) {
        _cleanup_json_ Json *e = error_new("EXIT", 42, "status %d", 7);

        assert_string_equal(json_string(json_get(e, "message")), "status 7");
        assert_int_equal(json_int(json_get(e, "timestamp")), 42);
        assert_string_equal(error_code(e), "EXIT");
        assert_string_equal(error_code(NULL), "");
}

static const struct {
        const char *type, *subject, *step, *data;
} hostile[] = {
        { "run-exploded", NULL, NULL, NULL },
        { "", NULL, NULL, NULL },
        { NULL, NULL, NULL, NULL },
        { "phase-started", "a", NULL, NULL },           /* an activity is no phase */
        { "phase-started", "none", NULL, NULL },
        { "attempt-started", "p", NULL, "{\"cause\":\"initial\"}" },
        { "step-started", "a", "step-9", NULL },
        { "step-started", "a", "4", NULL },
        { "step-started", "a", "0", NULL },
        { "step-started", "a", "-1", NULL },
        { "step-started", "b", "first", NULL },         /* a step of another activity */
        { "run-finished", NULL, NULL, NULL },           /* without its state */
        { "run-finished", NULL, NULL, "{}" },
        { "run-finished", NULL, NULL, "{\"state\":\"exploded\"}" },
        { "run-finished", NULL, NULL, "{\"state\":7}" },
        { "run-finished", NULL, NULL, "{\"state\":null}" },
        { "run-finished", NULL, NULL, "{\"state\":\"success\",\"reason\":7}" },
        { "phase-finished", "p", NULL, "{\"state\":\"ignored\"}" },
        { "activity-finished", "a", NULL, "{\"state\":\"dlq\"}" },
        { "activity-finished", "a", NULL, "{\"state\":\"failed\",\"error\":\"EXIT\"}" },
        { "attempt-started", "a", NULL, "{\"cause\":\"whim\"}" },
        { "attempt-finished", "a", NULL, "{\"state\":\"pending\"}" },
        { "step-finished", "a", "first", "{\"state\":\"success\",\"exitCode\":\"0\"}" },
        { "step-finished", "a", "first", "{\"state\":\"success\",\"exitCode\":-1}" },
        { "step-finished", "a", "first", "{\"state\":\"success\",\"exitCode\":4294967296}" },
        { "step-finished", "a", "first", "{\"state\":\"success\",\"exitCode\":1.5}" },
        { "step-finished", "a", "first", "{\"state\":\"success\",\"logEnd\":-1}" },
        { "step-finished", "a", "first", "{\"state\":\"success\",\"outputs\":[1]}" },
        { "step-finished", "a", "first", "{\"state\":\"success\",\"started\":\"no\"}" },
        { "step-finished", "a", "first", "{\"state\":\"failed\",\"interrupted\":1}" },
        { "activity-backoff", "a", NULL, "{\"until\":\"soon\"}" },
        { "activity-backoff", "a", NULL, "{\"span\":-5}" },
        { "run-cancel", NULL, NULL, "{\"session\":\"1\"}" }, /* without whose it is */
        { "run-cancel", NULL, NULL, "{\"loginUser\":\"bob\"}" },
        { "run-cancel", NULL, NULL, "{\"loginUid\":\"1\"}" },
        { "run-cancel", NULL, NULL, "{\"loginUid\":-1}" },
        { "run-cancel", NULL, NULL, "{\"loginUid\":4294967295}" },
        { "run-cancel", NULL, NULL, "{\"loginUid\":1.5}" },
        { "run-cancel", NULL, NULL, "{\"loginUid\":1,\"session\":1}" },
        { "run-cancel", NULL, NULL, "{\"loginUid\":1,\"session\":\"a b\"}" },
        { "run-cancel", NULL, NULL, "{\"loginUid\":1,\"session\":\"\"}" },
        { "run-cancel", NULL, NULL, "{\"loginUid\":1,\"loginUser\":[]}" },
        { "run-cancel", NULL, NULL, "[]" },
        { "run-cancel", NULL, NULL, "\"why\"" },
        { "run-cancel", NULL, NULL, "{\"reason\":\"why\"" },
        { "run-cancel", NULL, NULL, "{\"reason\":\"a\",\"reason\":\"b\"}" },
        { "run-cancel", NULL, NULL, "\x01\xff" },
};

static void test_hostile_rows(void **state) {
        Runbook *rb = parse_runbook(runbook_text);

        for (size_t i = 0; i < ELEMENTSOF(hostile); i++) {
                const EventText row = { .seq = 1, .uid = 1, .type = hostile[i].type, .subject = hostile[i].subject, .attempt = 1,
                                .step = hostile[i].step, .data = hostile[i].data };
                Event *e = NULL;
                int r = event_decode(&row, rb, &e);

                if (r != -EBADMSG)
                        print_message("%s %s %s: %d\n", strempty(hostile[i].type), strempty(hostile[i].step), strempty(hostile[i].data), r);
                assert_int_equal(r, -EBADMSG);
                assert_null(e);
        }
        runbook_unref(rb);
}

/* S0.10: what was written before logins were loads as it is, and what is written has them beside what the type has. */
static void test_login(void **state) {
        Runbook *rb = parse_runbook(runbook_text);
        EventText row = { .seq = 1, .uid = 1, .user = "alice", .type = "run-cancel", .data = "{\"reason\":\"why\"}" };
        _cleanup_(event_freep) Event *old = NULL, *new = NULL;
        _cleanup_free_ char *data = NULL;

        assert_ok(event_decode(&row, rb, &old));
        assert_null(old->login);
        assert_ok(login_new("7", 0, "root", &old->login));
        assert_ok(event_encode(old, &data));
        assert_string_equal(data, "{\"reason\":\"why\",\"session\":\"7\",\"loginUid\":0,\"loginUser\":\"root\"}");
        row.data = data;
        assert_ok(event_decode(&row, rb, &new));
        assert_null(new->data);
        assert_same(old, new);
        runbook_unref(rb);
}

static void test_session_ids(void **state) {
        char id[LOGIN_SESSION_MAX + 2];

        memset(id, 'a', sizeof id);
        id[LOGIN_SESSION_MAX + 1] = 0;
        assert_false(login_session_is_valid(id));
        id[LOGIN_SESSION_MAX] = 0;
        assert_true(login_session_is_valid(id));
        assert_true(login_session_is_valid("c1") && login_session_is_valid("A_z-09"));
        static const char *const bad[] = { NULL, "", " ", "1 ", "a/b", "a.b", "\xc3\xbc", "\x1b" };
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(login_session_is_valid(bad[i]));
}

/* A byte of a stored row is not what it was: it is refused, or it is another possible event; never anything else. */
static void test_damaged_bytes(void **state) {
        Runbook *rb = parse_runbook(runbook_text);

        for (EventType t = 0; t < _EVENT_TYPE_MAX; t++) {
                _cleanup_(event_freep) Event *e = full_event(t);
                _cleanup_free_ char *data = NULL;

                fill(e);
                assert_ok(event_encode(e, &data));
                for (size_t i = 0; data && i < strlen(data); i++)
                        for (unsigned bit = 0; bit < 7; bit++) {
                                _cleanup_free_ char *damaged = strdup(data);
                                _cleanup_(event_freep) Event *again = NULL;
                                damaged[i] = (char) (damaged[i] ^ (1 << bit));
                                const EventText row = { .seq = 1, .type = event_type_to_string(t), .subject = event_subject(e, rb),
                                                .step = event_step_id(e, rb), .attempt = 4, .data = damaged };
                                int r = event_decode(&row, rb, &again);
                                assert_true(r == 0 || r == -EBADMSG);
                                assert_true((r == 0) == (again != NULL));
                        }
        }
        runbook_unref(rb);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_types),
                cmocka_unit_test(test_nothing_to_store),
                cmocka_unit_test(test_names_of_the_history),
                cmocka_unit_test(test_subject),
                cmocka_unit_test(test_error),
                cmocka_unit_test(test_login),
                cmocka_unit_test(test_session_ids),
                cmocka_unit_test(test_hostile_rows),
                cmocka_unit_test(test_damaged_bytes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
