/* Which patterns are let through to the C library, and what is said about the others. */
#include "test.h"

#include "input-pattern.h"

static void refused(const char *pattern, const char *reason) {
        unsigned states;
        const char *trouble = input_pattern_trouble(pattern, &states);

        if (!trouble || !strstr(trouble, reason))
                fail_msg("%s: %s, not %s", pattern, trouble ? trouble : "fine", reason);
}

static unsigned fine(const char *pattern) {
        unsigned states;
        const char *trouble = input_pattern_trouble(pattern, &states);

        if (trouble)
                fail_msg("%s: %s", pattern, trouble);
        assert_true(states <= INPUT_PATTERN_STATES_MAX);
        return states;
}

static void test_usual_patterns(void **state) {
        static const char *const patterns[] = {
                "", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$", "^[0-9a-f]{64}$", "[]a]{2}", "[^]{}()]+",
                "[[:alpha:]{]{3}", "a\\{9999999}", "(a|b){100}", "^v?[0-9]+(\\.[0-9]+)*$", "x{,3}", "x{2,}", "^(a|)$", "^(a*)?$", "a{b", "a{1x}", "}",
                "^\\+?[0-9 ()-]{5,20}$", "^[^@ ]+@[^@ ]+\\.[a-z]{2,}$", "\\<word\\>", "^(feat|fix)(\\([a-z]+\\))?: .{1,72}$", "[[.hyphen.]]*", "[[=a=]]*",
        };

        for (size_t i = 0; i < ELEMENTSOF(patterns); i++)
                fine(patterns[i]);
}

/* Caps: INPUT_PATTERN_MAX, INPUT_PATTERN_STATES_MAX, INPUT_PATTERN_NESTING_MAX */
static void test_caps(void **state) {
        char text[INPUT_PATTERN_MAX + 2] = {};

        memset(text, 'a', INPUT_PATTERN_MAX);
        assert_int_equal(fine(text), INPUT_PATTERN_MAX);
        text[INPUT_PATTERN_MAX] = 'a';
        refused(text, "it is too long");
        assert_int_equal(fine("a{10000}"), INPUT_PATTERN_STATES_MAX);
        refused("a{10001}", "its repetitions are too large");
        refused("a{99999999999999999999}", "its repetitions are too large");
        refused("(a{1,99}){1,99}{1,99}", "its repetitions are too large");
        refused("((((a{9}){9}){9}){9}){9}", "its repetitions are too large");
        refused("a{6000}b{6000}", "its repetitions are too large");
        refused("a{6000}|b{6000}", "its repetitions are too large");
        memset(text, 0, sizeof(text));
        memset(text, '(', INPUT_PATTERN_NESTING_MAX);
        memset(text + INPUT_PATTERN_NESTING_MAX, 'a', 1);
        memset(text + INPUT_PATTERN_NESTING_MAX + 1, ')', INPUT_PATTERN_NESTING_MAX);
        fine(text);
        memset(text, '(', INPUT_PATTERN_NESTING_MAX + 1);
        refused(text, "groups are nested too deep");
}

/* The library takes minutes, or all memory, for some of these. */
static void test_repeated_empty(void **state) {
        static const char *const patterns[] = {
                "((a|b|c|)*|){150}", "(a*)*", "(a?)+", "(a?b*){2}", "(|a)*", "(a||b)*", "((a*)?){5}", "(^)*", "(^|$)+", "a**", "a?*", "(a{0,3})*", "(a{,3})+",
                "\\b*", "()*", "(a{0})*", "(a*|b)+", "(x|(y*)){9}",
        };

        for (size_t i = 0; i < ELEMENTSOF(patterns); i++)
                refused(patterns[i], "something that can be empty is repeated");
        fine("(a*b)*");
        fine("(a|b*c)+");
        fine("((a?)?)?");
        fine("(^a|b)*");
        fine("(a?){1}");
        fine("(a?){0,1}");
}

static void test_back_references(void **state) {
        refused("(a)\\1", "back references are not supported");
        refused("(a)(b)\\9", "back references are not supported");
        fine("\\\\1");
        fine("[\\1]");
}

/* What looks like a bracket or a bound but is none hides nothing from the scan. */
static void test_nothing_is_skipped(void **state) {
        refused("a{x(b*)*}", "something that can be empty is repeated");
        refused("a{1,2(b*)*", "something that can be empty is repeated");
        refused("[a](b*)*", "something that can be empty is repeated");
        refused("[]](b*)*", "something that can be empty is repeated");
        refused("[^]](b*)*", "something that can be empty is repeated");
        refused("[[:alpha:]](b*)*", "something that can be empty is repeated");
        refused(")(b*)*", "something that can be empty is repeated");
        fine("[(b*)*]");
        fine("\\(b*\\)*");
        fine("[a");
        fine("\\");
        fine("(");
}

static int match(const char *pattern, const char *text) {
        return input_pattern_match(pattern, text, NULL);
}

static void test_match(void **state) {
        assert_int_equal(match("^[0-9]+$", "123"), 1);
        assert_int_equal(match("^[0-9]+$", "12x"), 0);
        assert_int_equal(match("b", "abc"), 1);
        assert_int_equal(match("", ""), 1);
}

static void test_not_a_pattern(void **state) {
        static const char *const patterns[] = { "(", "[a", "a{2,1}", "\\" };

        for (size_t i = 0; i < ELEMENTSOF(patterns); i++) {
                _cleanup_free_ char *reason = NULL;
                assert_int_equal(input_pattern_match(patterns[i], "x", &reason), -EINVAL);
                assert_non_null(reason);
        }
        assert_int_equal(match("(", "x"), -EINVAL);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual_patterns),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_repeated_empty),
        cmocka_unit_test(test_back_references),
        cmocka_unit_test(test_nothing_is_skipped),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_not_a_pattern),
};
TEST_MAIN(tests)
