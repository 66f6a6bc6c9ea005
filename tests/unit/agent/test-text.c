/* The words of notifications: cut, cleaned, escaped; which buttons (S0.19, S5.5). */
#include "test.h"

#include "bus-names.h"
#include "fd-util.h"
#include "text.h"
#include "utf8.h"

#define ELLIPSIS "\xe2\x80\xa6"
#define REPLACEMENT "\xef\xbf\xbd"

static void test_names(void **state) {
        for (RequestKind k = 0; k < _KIND_MAX; k++)
                assert_int_equal(request_kind_from_string(request_kind_to_string(k)), k);
        assert_int_equal(request_kind_from_string("riddle"), _KIND_INVALID);
        assert_null(request_kind_to_string(_KIND_MAX));
        for (Action a = 0; a < _ACTION_MAX; a++) {
                assert_int_equal(action_from_string(action_to_string(a)), a);
                assert_true(*action_label(a));
                assert_int_equal(action_member(a) == NULL, a == ACTION_OPEN);
        }
        assert_int_equal(action_from_string("abort"), _ACTION_INVALID);
        assert_string_equal(action_label(_ACTION_MAX), "");
        assert_string_equal(action_label(_ACTION_INVALID), "");
}

static void test_clean(void **state) {
        static const struct {
                const char *in;
                size_t max;
                unsigned lines;
                const char *out;
        } table[] = {
                {"", 10, 1, ""},
                {"plain", 10, 1, "plain"},
                {"  \n\t plain \n\n", 10, 3, "plain"},
                {"0123456789", 10, 1, "0123456789"},
                {"0123456789a", 10, 1, "0123456789" ELLIPSIS},
                {"one\ntwo\tthree", 100, 1, "one two three"},
                {"one\ntwo", 100, 2, "one\ntwo"},
                {"one\ntwo\nthree", 100, 2, "one\ntwo" ELLIPSIS},
                {"one\ntwo\nthree", 100, 3, "one\ntwo\nthree"},
                {"ab\xc3\xa4", 3, 1, "ab" ELLIPSIS},    /* not cut inside a character */
                {"ab\xc3\xa4", 4, 1, "ab\xc3\xa4"},
                {"a\xff\xfe" "b", 100, 1, "a" REPLACEMENT REPLACEMENT "b"},
                {"a\x1b[31mred\x1b[0m", 100, 1, "a" REPLACEMENT "red" REPLACEMENT},
                {"a\x07" "b\x7f", 100, 1, "a" REPLACEMENT "b" REPLACEMENT},
                {"a\xe2\x80\xae" "b", 100, 1, "a" REPLACEMENT "b"},   /* right-to-left override */
                {"a\r\nb", 100, 2, "a\nb"},
        };
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *s = text_clean(table[i].in, table[i].max, table[i].lines);
                assert_non_null(s);
                assert_string_equal(s, table[i].out);
        }
}

/* However long, and however much of it vanishes. */
static void test_clean_long(void **state) {
        enum { SIZE = 64 * 1024 };
        static const char *const fill[] = {"x", "\n", " ", "\xff", "\x1b[0m", "\xc3\xa4", "a\n", "\xf0\x9f\x98\x80"};
        for (size_t i = 0; i < ELEMENTSOF(fill); i++) {
                _cleanup_free_ char *in = malloc(SIZE + 1);
                size_t k = strlen(fill[i]);
                for (size_t n = 0; n < SIZE; n++)
                        in[n] = fill[i][n % k];
                in[SIZE] = 0;
                for (size_t max = 1; max < 40; max++) {
                        _cleanup_free_ char *s = text_clean(in, max, 3);
                        assert_non_null(s);
                        assert_true(strlen(s) <= max + strlen(ELLIPSIS));
                        assert_true(utf8_is_valid(s, strlen(s)));
                        assert_non_null(endswith(s, ELLIPSIS)); /* something is missing, and it shows */
                }
        }
}

static void test_markup(void **state) {
        _cleanup_free_ char *s = text_escape_markup("<a href=\"x\">&amp;</a> 'q' \xc3\xa4");
        assert_string_equal(s, "&lt;a href=\"x\"&gt;&amp;amp;&lt;/a&gt; 'q' \xc3\xa4");
}

static Note *note_for(RequestInfo i) {
        Note *n = NULL;
        i.activity = (char *) "qa";
        assert_ok(note_of_request(&i, "runbookctl", &n));
        return n;
}

static void assert_buttons(const Note *n, size_t count, const Action *buttons) {
        assert_int_equal(n->n_buttons, count);
        for (size_t i = 0; i < count; i++)
                assert_int_equal(n->buttons[i], buttons[i]);
}

static void test_buttons(void **state) {
        static const struct {
                RequestKind kind;
                bool wants_fields;
                size_t n;
                Action buttons[BUTTONS_MAX];
                uint8_t urgency;
        } table[] = {
                {KIND_APPROVAL, false, 3, {ACTION_APPROVE, ACTION_REJECT, ACTION_OPEN}, 1},
                {KIND_APPROVAL, true, 2, {ACTION_REJECT, ACTION_OPEN}, 1},
                {KIND_DECISION, false, 3, {ACTION_RETRY, ACTION_IGNORE, ACTION_OPEN}, 2},
                {KIND_INPUT, true, 1, {ACTION_OPEN}, 1},
        };
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                RequestInfo info = {.run = 1, .kind = table[i].kind, .wants_fields = table[i].wants_fields};
                _cleanup_(note_freep) Note *n = note_for(info);
                assert_buttons(n, table[i].n, table[i].buttons);
                assert_int_equal(n->urgency, table[i].urgency);
                assert_false(n->transient);
                assert_non_null(strstr(n->summary, "qa"));
        }
}

/* Each way of saying one thing, by what the server can do. */
static void test_render(void **state) {
        RequestInfo info = {.run = 12, .title = (char *) "a <b>", .message = (char *) "x & y", .runbook = (char *) "ship"};
        _cleanup_(note_freep) Note *n = note_for(info);
        static const struct {
                unsigned capabilities;
                const char *summary, *body;
        } table[] = {
                {CAPABILITY_ACTIONS | CAPABILITY_BODY, "a <b>", "Request 12/qa of ship\nx & y"},
                {CAPABILITY_ACTIONS | CAPABILITY_BODY | CAPABILITY_MARKUP, "a <b>", "Request 12/qa of ship\nx &amp; y"},
                {CAPABILITY_BODY, "a <b>",
                 "Request 12/qa of ship\nx & y\nAnswer with: runbookctl approve 12/qa\nor: runbookctl reject 12/qa -m WHY"},
                {0, "a <b> (12/qa)", NULL},
        };
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *summary = note_render_summary(n, table[i].capabilities);
                _cleanup_free_ char *body = note_render_body(n, table[i].capabilities);
                assert_string_equal(summary, table[i].summary);
                if (table[i].body)
                        assert_string_equal(body, table[i].body);
        }
}

static void test_advice(void **state) {
        static const struct {
                RequestKind kind;
                bool wants_fields;
                const char *text;
        } table[] = {
                {KIND_APPROVAL, true, "runbookctl watch 3"},
                {KIND_INPUT, true, "runbookctl provide 3/qa NAME=VALUE"},
                {KIND_DECISION, false, "runbookctl abort 3/qa -m WHY"},
        };
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                RequestInfo info = {.run = 3, .kind = table[i].kind, .wants_fields = table[i].wants_fields};
                _cleanup_(note_freep) Note *n = note_for(info);
                assert_non_null(strstr(n->advice, table[i].text));
        }
}

static void test_deadline(void **state) {
        _cleanup_(note_freep) Note *without = note_for((RequestInfo) {.run = 3});
        _cleanup_(note_freep) Note *with = note_for((RequestInfo) {.run = 3, .deadline = 1700000000 * USEC_PER_SEC});
        _cleanup_(note_freep) Note *never = note_for((RequestInfo) {.run = 3, .deadline = USEC_INFINITY});
        assert_string_equal(without->body, "Request 3/qa");
        assert_string_equal(never->body, "Request 3/qa");
        assert_string_equal(with->body, "Request 3/qa\nUntil 2023-11-14 22:13:20");
        assert_true(note_equal(without, never));
        assert_false(note_equal(without, with));
}

static void test_more(void **state) {
        _cleanup_(note_freep) Note *one = NULL, *two = NULL;
        assert_ok(note_of_more(1, "runbookctl --user", &one));
        assert_ok(note_of_more(2, "runbookctl --user", &two));
        assert_string_equal(one->summary, "1 more request waits for you");
        assert_string_equal(two->summary, "2 more requests wait for you");
        assert_non_null(strstr(one->body, "runbookctl --user inbox"));
        assert_buttons(one, 1, (const Action[]) {ACTION_OPEN});
}

/* Every error says what to do; one that isn't known says what the daemon says. */
static void test_refusals(void **state) {
        static const struct {
                const char *error, *text;
        } table[] = {
                {BUS_ERROR_PREFIX "AlreadyAnswered", "Nothing has been changed"},
                {BUS_ERROR_PREFIX "WrongState", "runbookctl status 4"},
                {BUS_ERROR_PREFIX "NotApprover", "runbookctl status 4/qa"},
                {BUS_ERROR_PREFIX "InvalidInput", "Press Open"},
                {"org.freedesktop.DBus.Error.AccessDenied", "ask an administrator"},
                {"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "runbookctl retry 4/qa"},
                {"org.freedesktop.DBus.Error.ServiceUnknown", "Try again"},
                {"org.freedesktop.DBus.Error.Disconnected", "Try again"},
                {BUS_ERROR_PREFIX "StorageUnavailable", "what it " REPLACEMENT "said"},
        };
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(note_freep) Note *n = NULL;
                assert_ok(note_of_refusal(ACTION_RETRY, 4, "qa", table[i].error, "what it \x01said", "runbookctl", &n));
                assert_string_equal(n->summary, "4/qa was not tried again");
                assert_non_null(strstr(n->body, table[i].text));
                assert_true(n->transient);
                assert_int_equal(n->n_buttons, 0);
        }
        for (Action a = 0; a < ACTION_OPEN; a++) {
                _cleanup_(note_freep) Note *n = NULL;
                assert_ok(note_of_refusal(a, 4, "qa", "x", NULL, "runbookctl", &n));
                assert_non_null(strstr(n->summary, "4/qa"));
        }
        _cleanup_(note_freep) Note *n = NULL;           /* what is typed reaches the same daemon */
        assert_ok(note_of_refusal(ACTION_RETRY, 4, "qa", BUS_ERROR_PREFIX "AlreadySucceeded", "again: runbookctl rerun 4", "runbookctl --user", &n));
        assert_string_equal(n->body, "again: runbookctl --user rerun 4");
}

static void test_open_failure(void **state) {
        _cleanup_(note_freep) Note *n = NULL;
        assert_ok(note_of_open_failure("runbookctl watch 4", "There is none.", &n));
        assert_string_equal(n->body, "There is none. Type it yourself: runbookctl watch 4\n"
                                     "Or say in agent.conf, as OpenCommand=, what is to be started.");
}

static void test_capabilities(void **state) {
        assert_int_equal(capability_from_string("actions"), CAPABILITY_ACTIONS);
        assert_int_equal(capability_from_string("body"), CAPABILITY_BODY);
        assert_int_equal(capability_from_string("body-markup"), CAPABILITY_MARKUP);
        assert_int_equal(capability_from_string("body-hyperlinks"), 0);
        assert_int_equal(capability_from_string(""), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),     cmocka_unit_test(test_clean),    cmocka_unit_test(test_clean_long),
                cmocka_unit_test(test_markup),    cmocka_unit_test(test_buttons),  cmocka_unit_test(test_render),
                cmocka_unit_test(test_advice),    cmocka_unit_test(test_deadline), cmocka_unit_test(test_more),
                cmocka_unit_test(test_refusals),  cmocka_unit_test(test_open_failure), cmocka_unit_test(test_capabilities),
        };
        (void) setenv("TZ", "UTC", 1);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
