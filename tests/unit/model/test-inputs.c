/* Inputs: declarations, values, and what people are told (S2.6 for `fixed`; section 3 of the contract). */
#include "test.h"

#include <stdio.h>

#include "input-pattern.h"
#include "inputs-parse.h"
#include "strbuf.h"

typedef struct Specs {
        InputSpec *specs;
        size_t n;
        Diagnostics d;
        int r;
} Specs;

static Specs parse_as(int (*read)(Reader *r, const Node *node, InputSpec **ret, size_t *ret_n), const char *text) {
        _cleanup_(tree_freep) Tree *tree = NULL;
        Specs s = {};
        Reader r = { .d = &s.d };

        s.r = tree_parse(text, strlen(text), TREE_YAML, &s.d, &tree);
        r.tree = tree;
        if (s.r >= 0)
                s.r = read(&r, tree_root(tree), &s.specs, &s.n);
        return s;
}

/* The text is the map under `inputs:`, as JSON or flow YAML. */
static Specs parse(const char *text) {
        return parse_as(input_specs_parse, text);
}

static void specs_done(Specs *s) {
        for (size_t i = 0; i < s->n; i++)
                input_spec_done(s->specs + i);
        free(s->specs);
        diag_done(&s->d);
}
#define _cleanup_specs_ _cleanup_(specs_done)

static void must_say(const Specs *s, const char *text, const char *message) {
        bool said = false;

        assert_int_equal(s->r, -EINVAL);
        for (size_t i = 0; i < s->d.n_items; i++)
                said = said || strstr(s->d.items[i].message, message);
        if (!said)
                fail_msg("\"%s\" does not say \"%s\"", text, message);
}

static void expect_error(const char *text, const char *message) {
        _cleanup_specs_ Specs s = parse(text);

        must_say(&s, text, message);
}

static void expect_field_error(const char *text, const char *message) {
        _cleanup_specs_ Specs s = parse_as(field_specs_parse, text);

        must_say(&s, text, message);
        for (size_t i = 0; i < s.d.n_items; i++)
                assert_null(strstr(s.d.items[i].message, "input \""));
}

static Json *json(const char *text) {
        Json *j = NULL;

        assert_ok(json_parse(text, strlen(text), &j));
        return j;
}

/* The value that is kept, as JSON text, or the message. */
static char *check(const char *declaration, const char *value) {
        _cleanup_free_ char *map = NULL, *error = NULL;
        _cleanup_json_ Json *given = json(value), *kept = NULL;
        int r;

        assert_true(asprintf(&map, "{x: %s}", declaration) > 0);
        _cleanup_specs_ Specs s = parse(map);
        assert_ok(s.r);
        r = input_check(s.specs, given, &kept, &error);
        if (r < 0) {
                assert_int_equal(r, -EINVAL);
                assert_non_null(error);
                return TAKE_PTR(error);
        }
        assert_null(error);
        return json_to_string(kept, false);
}

static void expect(const char *declaration, const char *value, const char *expected) {
        _cleanup_free_ char *got = check(declaration, value);

        if (!got || !streq(got, expected))
                fail_msg("%s with %s: \"%s\", not \"%s\"", declaration, value, got, expected);
}

static void from_text(const char *declaration, const char *text, const char *expected) {
        _cleanup_free_ char *map = NULL, *error = NULL, *got = NULL;
        _cleanup_json_ Json *kept = NULL;
        int r;

        assert_true(asprintf(&map, "{x: %s}", declaration) > 0);
        _cleanup_specs_ Specs s = parse(map);
        r = input_from_text(s.specs, text, &kept, &error);
        got = r < 0 ? TAKE_PTR(error) : json_to_string(kept, false);
        assert_string_equal(got, expected);
}

static void test_type_names(void **state) {
        for (InputType t = 0; t < _INPUT_TYPE_MAX; t++)
                assert_int_equal(input_type_from_string(input_type_to_string(t)), t);
        assert_true((int) input_type_from_string("date") < 0);
        assert_true((int) input_type_from_string(NULL) < 0);
        assert_null(input_type_to_string(_INPUT_TYPE_MAX));
}

static void test_declaration(void **state) {
        _cleanup_specs_ Specs s =
                parse("{v: {type: string, pattern: '^[0-9]+$', required: true, description: A number, minimum: 1, maximum: 3, fixed: true},"
                      " c: {type: choice, options: [beta, stable], default: beta}, d: {}}");

        assert_ok(s.r);
        assert_int_equal(s.n, 3);
        assert_string_equal(s.specs[0].name, "v");
        assert_string_equal(s.specs[0].description, "A number");
        assert_true(s.specs[0].required && s.specs[0].fixed && s.specs[0].pattern_text && s.specs[0].minimum && s.specs[0].maximum);
        assert_false(s.specs[0].has_default);
        assert_string_equal(s.specs[1].options[1], "stable");
        assert_null(s.specs[1].options[2]);
        assert_string_equal(json_string(s.specs[1].default_value), "beta");
        assert_int_equal(s.specs[2].type, INPUT_STRING);
}

static void test_declaration_errors(void **state) {
        expect_error("{x: {type: text}}", "\"type\" must be one of string, number, integer, boolean, choice, list, object, not \"text\"");
        expect_error("{x: {typ: string}}", "an input has no field \"typ\"; did you mean \"type\"?");
        expect_error("{x: string}", "an input is written as");
        expect_error("{1x: {}}", "\"1x\" is not a name of an input");
        expect_error("{x: {type: choice}}", "needs \"options\"");
        expect_error("{x: {type: choice, options: []}}", "at least one entry");
        expect_error("{x: {type: choice, options: [a, a]}}", "\"a\" is named twice");
        expect_error("{x: {type: choice, options: [1]}}", "is a list of names");
        expect_error("{x: {options: [a]}}", "\"options\" is for inputs of type choice");
        expect_error("{x: {type: integer, pattern: a}}", "\"pattern\" is for inputs of type string");
        expect_error("{x: {type: boolean, minimum: 1}}", "\"minimum\" is for inputs of type");
        expect_error("{x: {type: object, maximum: 1}}", "\"maximum\" is for inputs of type");
        expect_error("{x: {type: integer, minimum: 2, maximum: 1}}", "\"maximum\" is less than \"minimum\"");
        expect_error("{x: {type: integer, minimum: '1'}}", "\"minimum\" must be a number");
        expect_error("{x: {minimum: -1}}", "is a length");
        expect_error("{x: {type: list, maximum: 1.5}}", "is a length");
        expect_error("{x: {pattern: '('}}", "is not an extended regular expression");
        expect_error("{x: {type: integer, default: one}}", "the default does not fit: input \"x\" must be a whole number, not \"one\"");
        expect_error("{x: {default: ~}}", "the default does not fit");
        expect_error("{x: {secret: true, default: hunter2}}", "a secret input cannot have a default");
        expect_error("{x: {secret: true}}", "\"secret: true\" is not supported by this version of runbookd");
}

static void test_secret_false_is_fine(void **state) {
        _cleanup_specs_ Specs s = parse("{x: {secret: false}}");

        assert_ok(s.r);
}

/* Patterns are searched in texts of INPUT_PATTERN_TEXT_MAX bytes at most; all patterns of a file share INPUT_PATTERNS_STATES_MAX. What a single pattern may
 * be is in test-input-pattern. */
static void test_pattern_caps(void **state) {
        _cleanup_free_ char *fits = calloc(1, INPUT_PATTERN_TEXT_MAX + 2), *error = NULL;
        _cleanup_specs_ Specs s = parse("{x: {pattern: ^x}}");
        _cleanup_json_ Json *good = NULL, *bad = NULL, *kept = NULL;

        memset(fits, 'x', INPUT_PATTERN_TEXT_MAX);
        good = json_new_string(fits);
        fits[INPUT_PATTERN_TEXT_MAX] = 'x';
        bad = json_new_string(fits);
        assert_ok(input_check(s.specs, good, &kept, NULL));
        assert_int_equal(input_check(s.specs, bad, &kept, &error), -EINVAL);
        assert_string_equal(error, "input \"x\" has a pattern, and is longer than the 4096 bytes that can be matched");
        expect_error("{x: {pattern: '(a*)\\1'}}", "\"pattern\" cannot be used: back references are not supported");
        expect_error("{a: {pattern: 'a{9000}'}, b: {pattern: 'b{9000}'}, c: {pattern: 'c{9000}'}}", "together with the patterns before it, it is too large");
}

static void test_count_caps(void **state) {
        _cleanup_strbuf_ StrBuf options = {}, inputs = {};

        strbuf_append(&options, "{x: {type: choice, options: [");
        for (unsigned i = 0; i <= INPUT_OPTIONS_MAX; i++)
                strbuf_appendf(&options, "o%u,", i);
        strbuf_append(&options, "]}}");
        expect_error(options.s, "at most 1000 are allowed");
        strbuf_append(&inputs, "{");
        for (unsigned i = 0; i <= INPUTS_MAX; i++)
                strbuf_appendf(&inputs, "i%u: {},", i);
        strbuf_append(&inputs, "}");
        expect_error(inputs.s, "at most 1000 are allowed");
}

static void test_names(void **state) {
        char name[INPUT_NAME_MAX + 2] = {};

        assert_true(input_name_is_valid("version"));
        assert_true(input_name_is_valid("_a-b_2"));
        assert_false(input_name_is_valid(""));
        assert_false(input_name_is_valid("2a"));
        assert_false(input_name_is_valid("-a"));
        assert_false(input_name_is_valid("a.b"));
        memset(name, 'n', INPUT_NAME_MAX);
        assert_true(input_name_is_valid(name));
        name[INPUT_NAME_MAX] = 'n';
        assert_false(input_name_is_valid(name));
}

static void test_strings(void **state) {
        expect("{}", "\"a b\"", "\"a b\"");
        expect("{}", "1", "input \"x\" must be text, not 1");
        expect("{}", "null", "input \"x\" must be text, not null");
        expect("{}", "\"a\\u0000b\"", "input \"x\" must be UTF-8 text without NUL characters");
        expect("{minimum: 2, maximum: 3}", "\"äöü\"", "\"äöü\"");       /* characters, not bytes */
        expect("{minimum: 2, maximum: 3}", "\"a\"", "input \"x\" must have a length from 2 to 3, not 1");
        expect("{minimum: 2}", "\"a\"", "input \"x\" must have a length of at least 2, not 1");
        expect("{maximum: 2}", "\"abc\"", "input \"x\" must have a length of at most 2, not 3");
        expect("{pattern: '^[0-9]+$'}", "\"12\"", "\"12\"");
        expect("{pattern: '^[0-9]+$'}", "\"1x\"", "input \"x\" must match the pattern ^[0-9]+$, and \"1x\" does not");
        expect("{pattern: 'b'}", "\"abc\"", "\"abc\"");                 /* searched, not anchored */
}

static void test_numbers(void **state) {
        expect("{type: number}", "1.5", "1.5");
        expect("{type: number}", "3", "3");
        expect("{type: number}", "\"3\"", "input \"x\" must be a number, not \"3\"");
        expect("{type: number, minimum: 0.5}", "0.25", "input \"x\" must have a value of at least 0.5, not 0.25");
        expect("{type: integer}", "3", "3");
        expect("{type: integer}", "3.0", "3");
        expect("{type: integer}", "1e3", "1000");
        expect("{type: integer}", "-9223372036854775808", "-9223372036854775808");
        expect("{type: integer}", "3.5", "input \"x\" must be a whole number, not 3.5");
        expect("{type: number, minimum: 9007199254740993}", "9007199254740992", "input \"x\" must have a value of at least 9007199254740993, not 9007199254740992");
        expect("{type: integer, minimum: 1, maximum: 9}", "10", "input \"x\" must have a value from 1 to 9, not 10");
        expect("{type: integer, minimum: 1, maximum: 9}", "9", "9");
}

#define INT64_RANGE "-9223372036854775808 to 9223372036854775807"

/* A double has 53 bits for a number's digits, and an integer 63. */
static void test_bounds_of_integers_are_exact(void **state) {
        const char *above = "{type: integer, minimum: 9007199254740993}", *below = "{type: integer, maximum: 9223372036854775806}",
                   *between = "{type: integer, minimum: -9223372036854775807, maximum: -9223372036854775807}";

        expect(above, "9007199254740993", "9007199254740993");
        expect(above, "9007199254740992", "input \"x\" must have a value of at least 9007199254740993, not 9007199254740992");
        expect(above, "9007199254740992.0", "input \"x\" must have a value of at least 9007199254740993, not 9007199254740992");
        expect(below, "9223372036854775806", "9223372036854775806");
        expect(below, "9223372036854775807", "input \"x\" must have a value of at most 9223372036854775806, not 9223372036854775807");
        expect(between, "-9223372036854775807", "-9223372036854775807");
        expect(between, "-9223372036854775808",
               "input \"x\" must have a value from -9223372036854775807 to -9223372036854775807, not -9223372036854775808");
        expect("{type: integer, minimum: 1.5}", "1", "input \"x\" must have a value of at least 1.5, not 1");
        expect("{type: integer, minimum: 1.5}", "2", "2");
        expect("{type: integer, minimum: 0, maximum: 0}", "-0", "0");
        expect("{type: integer, minimum: -0, maximum: -0.0}", "-0.0", "0");
        expect("{type: integer, maximum: 1e308}", "9223372036854775807", "9223372036854775807");
        expect_error("{x: {type: integer, minimum: 9007199254740993, maximum: 9007199254740992}}", "\"maximum\" is less than \"minimum\"");
        expect_error("{x: {type: integer, minimum: 9223372036854775807, maximum: 9223372036854775806.0e0, default: 0}}", "the default does not fit");
}

static void test_numbers_beyond_64_bits(void **state) {
        expect("{type: integer}", "9223372036854775807", "9223372036854775807");
        expect("{type: integer}", "9223372036854775808", "input \"x\" must be a whole number from " INT64_RANGE ", not 9223372036854775808");
        expect("{type: integer}", "18446744073709551616", "input \"x\" must be a whole number from " INT64_RANGE ", not 1.8446744073709552e19");
        expect("{type: integer}", "-9223372036854775809",
               "input \"x\" must be a whole number from " INT64_RANGE ", not -9.223372036854776e18");
        expect("{type: integer}", "1e30", "input \"x\" must be a whole number from " INT64_RANGE ", not 1e30");
        expect("{type: number, maximum: 9223372036854775807}", "9223372036854775808",
               "input \"x\" must have a value of at most 9223372036854775807, not 9223372036854775808");
        expect_error("{x: {type: integer, minimum: 9223372036854775808}}", "does not fit in 64 bits");
        expect_error("{x: {type: integer, maximum: 1e400}}", "this number is too large");
        expect_error("{x: {type: number, maximum: .inf}}", "infinity and NaN are no values here");
        from_text("{type: integer}", "1e400", "input \"x\" must be of type integer, written as JSON");
        from_text("{type: number}", "-1e400", "input \"x\" must be of type number, written as JSON");
        from_text("{type: integer}", "-0", "0");
}

static void test_an_integral_double_becomes_an_integer(void **state) {
        _cleanup_specs_ Specs s = parse("{x: {type: integer}}");
        _cleanup_json_ Json *v = json_new_double(5), *kept = NULL;

        assert_ok(input_check(s.specs, v, &kept, NULL));
        assert_int_equal(json_type(kept), JSON_INT);
}

static void test_other_types(void **state) {
        expect("{type: boolean}", "true", "true");
        expect("{type: boolean}", "\"true\"", "input \"x\" must be true or false, not \"true\"");
        expect("{type: boolean}", "0", "input \"x\" must be true or false, not 0");
        expect("{type: choice, options: [a, b]}", "\"b\"", "\"b\"");
        expect("{type: choice, options: [a, b]}", "\"c\"", "input \"x\" must be one of a, b, not \"c\"");
        expect("{type: choice, options: [a, b]}", "\"a\\u0000\"", "input \"x\" must be one of a, b, not \"a\\u0000\"");
        expect("{type: choice, options: [a, b]}", "null", "input \"x\" must be one of a, b, not null");
        expect("{type: list}", "[1,\"a\"]", "[1,\"a\"]");
        expect("{type: list, minimum: 1}", "[]", "input \"x\" must have a length of at least 1, not 0");
        expect("{type: list}", "[1,null]", "input \"x\" must not hold null; leave the member out");
        expect("{type: object}", "{\"a\":[{\"b\":null}]}", "input \"x\" must not hold null; leave the member out");
        expect("{type: list}", "{}", "input \"x\" must be a list, not {}");
        expect("{type: object}", "{\"a\":{}}", "{\"a\":{}}");
        expect("{type: object}", "[]", "input \"x\" must be an object, not []");
}

static void test_long_values_are_cut_in_messages(void **state) {
        char value[300];
        _cleanup_free_ char *text = NULL;

        memset(value, 'v', sizeof(value));
        value[0] = value[298] = '"';
        value[299] = 0;
        text = check("{type: integer}", value);
        assert_true(strlen(text) < 150);
        assert_non_null(strstr(text, "…"));
}

/* What is secret is not repeated, not even when it is wrong. */
static void test_secret_values_are_not_shown(void **state) {
        _cleanup_json_ Json *least = json_new_int(1000), *kept = NULL, *text = json_new_string("hunter2"), *number = json_new_int(42);
        InputSpec s = { .name = (char *) "token", .type = INPUT_INTEGER, .secret = true, .minimum = least };
        _cleanup_free_ char *a = NULL, *b = NULL;

        assert_int_equal(input_check(&s, text, &kept, &a), -EINVAL);
        assert_null(strstr(a, "hunter2"));
        assert_non_null(strstr(a, "***"));
        assert_int_equal(input_check(&s, number, &kept, &b), -EINVAL);
        assert_null(strstr(b, "42"));
}

static void test_from_text(void **state) {
        from_text("{}", "1.10", "\"1.10\"");
        from_text("{}", "\"quoted\"", "\"\\\"quoted\\\"\"");
        from_text("{type: choice, options: [a]}", "a", "\"a\"");
        from_text("{type: integer}", "42", "42");
        from_text("{type: integer}", "4x", "input \"x\" must be of type integer, written as JSON");
        from_text("{type: boolean}", "true", "true");
        from_text("{type: boolean}", "yes", "input \"x\" must be of type boolean, written as JSON");
        from_text("{type: list}", "[1, 2]", "[1,2]");
        from_text("{type: object}", "[]", "input \"x\" must be an object, not []");
}

#define RELEASE "{version: {required: true, pattern: '^[0-9.]+$'}, count: {type: integer, default: 3}, note: {}, token: {required: true}}"

static void test_all_inputs(void **state) {
        _cleanup_specs_ Specs s = parse(RELEASE);
        _cleanup_json_ Json *given = json("{\"note\":\"hi\",\"version\":\"1.2\"}"), *values = NULL;
        _cleanup_free_ char *text = NULL;
        char **missing = NULL;

        assert_ok(inputs_check(s.specs, s.n, given, &values, &missing, NULL));
        text = json_to_string(values, false);
        assert_string_equal(text, "{\"version\":\"1.2\",\"count\":3,\"note\":\"hi\"}");      /* in the order of the declaration */
        assert_string_equal(missing[0], "token");
        assert_null(missing[1]);
        free(missing[0]);
        free(missing);
}

static void test_no_inputs_given(void **state) {
        _cleanup_specs_ Specs s = parse(RELEASE);
        _cleanup_json_ Json *values = NULL, *none = NULL;

        assert_ok(inputs_check(s.specs, s.n, NULL, &values, NULL, NULL));
        assert_int_equal(json_length(values), 1);
        assert_ok(inputs_check(NULL, 0, NULL, &none, NULL, NULL));
        assert_int_equal(json_length(none), 0);
}

static void expect_all(const char *given_text, int expected, const char *message) {
        _cleanup_specs_ Specs s = parse(RELEASE);
        _cleanup_json_ Json *given = json(given_text), *values = NULL;
        _cleanup_free_ char *error = NULL;

        assert_int_equal(inputs_check(s.specs, s.n, given, &values, NULL, &error), expected);
        assert_null(values);
        assert_string_equal(error, message);
}

static void test_all_inputs_wrong(void **state) {
        expect_all("{\"versoin\":\"1\"}", -EINVAL, "there is no input \"versoin\"; did you mean \"version\"?");
        expect_all("{\"zzzzzzzz\":1}", -EINVAL, "there is no input \"zzzzzzzz\"");
        expect_all("{\"version\":\"x\"}", -EINVAL, "input \"version\" must match the pattern ^[0-9.]+$, and \"x\" does not");
        expect_all("{\"count\":null}", -EINVAL, "input \"count\" must be a whole number, not null");
}

/* What a request asks for is called a field, wherever something is wrong with it. */
static void test_fields_are_called_fields(void **state) {
        _cleanup_specs_ Specs s = parse_as(field_specs_parse, "{count: {type: integer, minimum: 3}}");
        _cleanup_json_ Json *unknown = json("{\"coutn\":3}"), *low = json("{\"count\":2}"), *values = NULL;
        _cleanup_free_ char *a = NULL, *b = NULL, *c = NULL, *d = NULL;

        assert_ok(s.r);
        assert_int_equal(request_fields_check(s.specs, s.n, unknown, &values, NULL, &a), -EINVAL);
        assert_string_equal(a, "there is no field \"coutn\"; did you mean \"count\"?");
        assert_int_equal(request_fields_check(s.specs, s.n, low, &values, NULL, &b), -EINVAL);
        assert_string_equal(b, "field \"count\" must have a value of at least 3, not 2");
        assert_int_equal(input_from_text(s.specs, "many", &values, &c), -EINVAL);
        assert_string_equal(c, "field \"count\" must be of type integer, written as JSON");
        assert_int_equal(request_fields_check(NULL, 0, low, &values, NULL, &d), -EINVAL);
        assert_string_equal(d, "there is no field \"count\"");
}

static void test_field_declaration_errors(void **state) {
        expect_field_error("{x: string}", "a field of a request is written as a map, not text");
        expect_field_error("{x: {typ: string}}", "a field of a request has no field \"typ\"; did you mean \"type\"?");
        expect_field_error("{1x: {}}", "\"1x\" is not a name of a field");
        expect_field_error("{x: {type: choice}}", "a field of type choice needs \"options\"");
        expect_field_error("{x: {type: integer, pattern: a}}", "\"pattern\" is for fields of type string, and this one is of type integer");
        expect_field_error("{x: {type: integer, default: one}}", "the default does not fit: field \"x\" must be a whole number, not \"one\"");
        expect_field_error("{x: {secret: true, default: hunter2}}", "a secret field cannot have a default");
}

/* Cap: INPUTS_SIZE_MAX. */
static void test_all_inputs_too_large(void **state) {
        _cleanup_specs_ Specs s = parse("{x: {}}");
        _cleanup_json_ Json *given = json_new_object(), *values = NULL;
        _cleanup_free_ char *big = malloc(INPUTS_SIZE_MAX + 1), *error = NULL;

        assert_non_null(big);
        memset(big, 'x', INPUTS_SIZE_MAX);
        big[INPUTS_SIZE_MAX] = 0;
        assert_ok(json_set_string(given, "x", big));
        assert_int_equal(inputs_check(s.specs, s.n, given, &values, NULL, &error), -E2BIG);
        assert_non_null(error);
        big[INPUTS_SIZE_MAX - 8] = 0;                   /* {"x":""} around it */
        assert_ok(json_set_string(given, "x", big));
        assert_ok(inputs_check(s.specs, s.n, given, &values, NULL, NULL));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type_names),
        cmocka_unit_test(test_declaration),
        cmocka_unit_test(test_declaration_errors),
        cmocka_unit_test(test_secret_false_is_fine),
        cmocka_unit_test(test_pattern_caps),
        cmocka_unit_test(test_count_caps),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bounds_of_integers_are_exact),
        cmocka_unit_test(test_numbers_beyond_64_bits),
        cmocka_unit_test(test_an_integral_double_becomes_an_integer),
        cmocka_unit_test(test_other_types),
        cmocka_unit_test(test_long_values_are_cut_in_messages),
        cmocka_unit_test(test_secret_values_are_not_shown),
        cmocka_unit_test(test_from_text),
        cmocka_unit_test(test_all_inputs),
        cmocka_unit_test(test_no_inputs_given),
        cmocka_unit_test(test_all_inputs_wrong),
        cmocka_unit_test(test_fields_are_called_fields),
        cmocka_unit_test(test_field_declaration_errors),
        cmocka_unit_test(test_all_inputs_too_large),
};
TEST_MAIN(tests)
