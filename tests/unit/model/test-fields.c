/* The reader of tables by itself: storing, checking without storing, suggestions, and what is not supported. */
#include "test.h"

#include "fields.h"
#include "strbuf.h"

typedef struct Thing {
        char *name, *any_text;
        bool flag;
        unsigned number, colour;
        usec_t span;
        char **names;
        const Node *node;
} Thing;

static bool is_short(const char *s) {
        return strlen(s) < 8;
}

static const char *const colours[] = { "red", "green", NULL };

static const Field thing_fields[] = {
        FIELD("name", field_string, Thing, name, .required = true, .valid = is_short, .form = "short"),
        FIELD("text", field_text, Thing, any_text),
        FIELD("flag", field_bool, Thing, flag, .feature = FEATURE_USER, .feature_values = 1u << 1),
        FIELD("number", field_unsigned, Thing, number, .min = 2, .max = 5),
        FIELD("colour", field_enum, Thing, colour, .names = colours, .feature = FEATURE_LIMITS, .feature_values = 1u << 1),
        FIELD("span", field_timespan, Thing, span, .group = 1, .max = USEC_PER_HOUR),
        FIELD("spanMs", field_milliseconds, Thing, span, .group = 1, .max = USEC_PER_HOUR),
        FIELD("names", field_names, Thing, names, .max = 12),
        FIELD("list", field_list, Thing, node, .group = 2),
        FIELD("map", field_map, Thing, node, .group = 2),
        FIELD_CHECKED("sandbox", field_map, .feature = FEATURE_SANDBOX),
};
static DEFINE_FIELD_TABLE(thing_table, "thing", "a thing", thing_fields);

static void thing_done(Thing *t) {
        free(t->name);
        free(t->any_text);
        for (char **n = t->names; n && *n; n++)
                free(*n);
        free(t->names);
}

/* Returns what fields_read returned; *ret_message, if given, is the first message. */
static int read_thing(const char *text, Thing *ret, char **ret_message) {
        _cleanup_(tree_freep) Tree *tree = NULL;
        _cleanup_diag_ Diagnostics d = {};
        Reader r = { .d = &d };
        int k;

        assert_ok(tree_parse(text, strlen(text), TREE_YAML, &d, &tree));
        r.tree = tree;
        k = fields_read(&r, &thing_table, tree_root(tree), ret);
        if (ret_message)
                *ret_message = strdup(d.n_items > 0 ? d.items[0].message : "");
        return k;
}

static void expect(const char *text, int expected, const char *message) {
        _cleanup_free_ char *said = NULL, *checked = NULL;
        Thing t = {};

        assert_int_equal(read_thing(text, &t, &said), expected);
        assert_string_equal(said, message);
        thing_done(&t);
        /* The same without an object to store into. */
        assert_int_equal(read_thing(text, NULL, &checked), expected);
        assert_string_equal(checked, message);
}

static void test_store(void **state) {
        Thing t = {};

        assert_ok(read_thing("{name: x, text: 1.10, flag: false, number: 5, colour: red, span: 2min, names: [b, a]}", &t, NULL));
        assert_string_equal(t.name, "x");
        assert_string_equal(t.any_text, "1.10");
        assert_false(t.flag);
        assert_int_equal(t.number, 5);
        assert_int_equal(t.colour, 0);
        assert_int_equal(t.span, 2 * USEC_PER_MINUTE);
        assert_string_equal(t.names[0], "b");
        assert_string_equal(t.names[1], "a");
        assert_null(t.names[2]);
        thing_done(&t);
}

static void test_types(void **state) {
        expect("[]", -EINVAL, "a thing is written as a map, not a list");
        expect("{}", -EINVAL, "a thing needs \"name\"");
        expect("{name: 5}", -EINVAL, "\"name\" must be text, not a whole number");
        expect("{name: toolongname}", -EINVAL, "\"toolongname\" is not short");
        expect("{name: x, text: true}", -EINVAL, "\"text\" must be text, not true or false");
        expect("{name: x, flag: 1}", -EINVAL, "\"flag\" must be true or false, not a whole number");
        expect("{name: x, number: 1.5}", -EINVAL, "\"number\" must be a whole number, not a number");
        expect("{name: x, map: []}", -EINVAL, "\"map\" must be a map, not a list");
        expect("{name: x, list: {}}", -EINVAL, "\"list\" must be a list, not a map");
}

static void test_ranges(void **state) {
        expect("{name: x, number: 1}", -EINVAL, "\"number\" must be from 2 to 5, not 1");
        expect("{name: x, number: 6}", -EINVAL, "\"number\" must be from 2 to 5, not 6");
        expect("{name: x, number: -3}", -EINVAL, "\"number\" must be from 2 to 5, not -3");
        expect("{name: x, span: 61min}", -EINVAL, "\"span\" must be from 1ms to 1h");
        expect("{name: x, span: 99999999999999999999y}", -EINVAL, "\"span\" must be from 1ms to 1h");
        expect("{name: x, span: 9223372036854775807}", -EINVAL, "\"span\" must be from 1ms to 1h");
        expect("{name: x, spanMs: 9223372036854775807}", -EINVAL, "\"spanMs\" must be from 1ms to 1h");
        expect("{name: x, span: 0}", -EINVAL, "\"span\" must be longer than 0");
        expect("{name: x, span: -0.5}", -EINVAL, "\"span\" must be longer than 0");
        expect("{name: x, span: []}", -EINVAL, "\"span\" must be a time span such as \"5min 20s\", not a list");
        expect("{name: x, colour: blue}", -EINVAL, "\"colour\" must be one of red, green, not \"blue\"");
        expect("{name: x, colour: 5}", -EINVAL, "\"colour\" must be one of red, green, not a whole number");
        expect("{name: x, colour: \"re\\nd\"}", -EINVAL, "\"colour\" must be one of red, green, not text");
}

static void test_groups(void **state) {
        expect("{name: x, span: 1, spanMs: 1000}", -EINVAL, "\"span\" and \"spanMs\" cannot stand together: keep one of them");
        expect("{name: x, map: {}, list: []}", -EINVAL, "\"map\" and \"list\" cannot stand together: keep one of them");
        expect("{name: x, map: {}, span: 1}", 0, "");
}

static void test_names(void **state) {
        expect("{name: x, names: a}", -EINVAL, "\"names\" must be a list, not text");
        expect("{name: x, names: [1]}", -EINVAL, "\"names\" is a list of names: a whole number cannot stand in it");
        expect("{name: x, names: [a, b, a]}", -EINVAL, "\"a\" is named twice in \"names\"");
        expect("{name: x, names: [a, b, c, d, e, f, g, h, i, j, a]}", -EINVAL, "\"a\" is named twice in \"names\"");
        expect("{name: x, names: [a, b, c, d, e, f, g, h, i, j, k, l, m]}", -EINVAL, "\"names\" has 13 entries; at most 12 are allowed");
        expect("{name: x, names: []}", 0, "");
}

static void test_unknown_keys(void **state) {
        expect("{name: x, nmae: y}", -EINVAL, "a thing has no field \"nmae\"; did you mean \"name\"?");
        expect("{name: x, completely: y}", -EINVAL, "a thing has no field \"completely\"");
}

/* What is not supported is an error in the list, not in the form: reading goes on. */
static void test_features(void **state) {
        expect("{name: x, sandbox: {}}", 0, "\"sandbox\" is not supported by this version of runbookd: remove it");
        expect("{name: x, sandbox: []}", -EINVAL, "\"sandbox\" must be a map, not a list");
        expect("{name: x, flag: false}", 0, "");
        expect("{name: x, flag: true}", 0,
               "\"user\" is not supported by this version of runbookd: remove it and use setpriv or runuser in the command");
        expect("{name: x, colour: red}", 0, "");
        expect("{name: x, colour: green}", 0,
               "\"limits\" is not supported by this version of runbookd: remove it and use ulimit or prlimit in the command");
}

static void test_every_feature_is_refused(void **state) {
        const Node node = { .line = 3, .column = 9, .key = "k", .key_line = 3, .key_column = 5 }, element = { .line = 3, .column = 9 };
        _cleanup_diag_ Diagnostics d = {};

        assert_ok(feature_check(FEATURE_NONE, &node, &d));
        assert_ok(feature_check(_FEATURE_MAX, &node, &d));
        for (Feature f = FEATURE_NONE + 1; f < _FEATURE_MAX; f++)
                assert_int_equal(feature_check(f, f % 2 ? &node : &element, &d), -EINVAL);
        assert_int_equal(d.n_items, _FEATURE_MAX - 1);
        for (size_t i = 0; i < d.n_items; i++) {
                assert_int_equal(d.items[i].column, i % 2 ? 9 : 5);
                assert_non_null(strstr(d.items[i].message, "\" is not supported by this version of runbookd: "));
        }
}

/* Suggestions end after SUGGESTIONS_MAX errors and are not looked for among too many candidates. */
static void test_suggestions_are_bounded(void **state) {
        const char *const candidates[] = { "phases", NULL };
        _cleanup_free_ const char **many = calloc(2003, sizeof(char *));
        _cleanup_free_ char *near = NULL, *none = NULL, *late = NULL;
        Diagnostics d = {};

        near = did_you_mean(&d, "phase", candidates);
        assert_string_equal(near, "; did you mean \"phases\"?");
        for (unsigned i = 0; i < 2001; i++)
                many[i] = "phases";
        none = did_you_mean(&d, "phase", many);
        assert_string_equal(none, "");
        d.n_errors = 20;
        late = did_you_mean(&d, "phase", candidates);
        assert_string_equal(late, "");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_every_feature_is_refused),
        cmocka_unit_test(test_suggestions_are_bounded),
};
TEST_MAIN(tests)
