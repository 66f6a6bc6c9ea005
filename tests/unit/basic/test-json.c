/* Values, text in and out, comparison. */
#include "test.h"

#include <math.h>
#include <stdio.h>

#include "json.h"

static Json *parse(const char *text) {
        Json *j = NULL;
        assert_ok(json_parse(text, strlen(text), &j));
        return j;
}

static void check_text(const char *text, const char *expected) {
        _cleanup_json_ Json *j = parse(text);
        _cleanup_free_ char *s = json_to_string(j, false);
        assert_string_equal(s, expected);
        assert_int_equal(json_size(j, SIZE_MAX), strlen(expected));
}

static void test_text(void **state) {
        check_text(" { \"b\" : [ 1 , 2.50 , true , null ] , \"a\" : \"x\" } ", "{\"b\":[1,2.5,true,null],\"a\":\"x\"}");
        check_text("[]", "[]");
        check_text("{}", "{}");
        check_text("null", "null");
        check_text("false", "false");
        check_text("\"a/b\\/\"", "\"a/b/\"");
        check_text("\"\\u0001\\n\\\"\\\\\\u00e9\\ud83d\\ude00\\u0000\"", "\"\\u0001\\n\\\"\\\\\xc3\xa9\xf0\x9f\x98\x80\\u0000\"");
        check_text("-9223372036854775808", "-9223372036854775808");
        check_text("18446744073709551615", "18446744073709551615");
        check_text("18446744073709551616", "1.8446744073709552e19");
        check_text("-9223372036854775809", "-9.223372036854776e18");
        check_text("[1.0,1e2,-0]", "[1,100,0]");
}

/* Every byte at every place of a longer text: what needs it is escaped, and nothing else. */
static void test_escapes(void **state) {
        for (unsigned c = 0; c <= UINT8_MAX; c++)
                for (size_t at = 0; at < 19; at++) {
                        char text[] = "0123456789abcdef~\x7f!", expected[32], escape[8] = {(char) c};
                        static const char shorts[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
                        const char *s = c ? strchr(shorts, (int) c) : NULL;
                        if (s)
                                (void) snprintf(escape, sizeof(escape), "\\%c", letters[s - shorts]);
                        else if (c < 0x20)
                                (void) snprintf(escape, sizeof(escape), "\\u%04x", c);
                        (void) snprintf(expected, sizeof(expected), "\"%.*s%s%s\"", (int) at, text, escape, text + at + 1);
                        text[at] = (char) c;
                        _cleanup_json_ Json *j = json_new_string_n(text, sizeof(text) - 1);
                        _cleanup_free_ char *written = json_to_string(j, false);
                        assert_string_equal(written, expected);
                        assert_int_equal(json_size(j, SIZE_MAX), strlen(expected));
                }
}

static void test_pretty(void **state) {
        _cleanup_json_ Json *j = parse("{\"a\":[1,{}],\"b\":{\"c\":[]}}");
        _cleanup_free_ char *s = json_to_string(j, true);
        assert_string_equal(s, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": []\n  }\n}");
}

static void test_parse_refuses(void **state) {
        static const char *const bad[] = {"",
                                          " ",
                                          "[1,]",
                                          "{\"a\":1,}",
                                          "{\"a\":1,\"a\":2}",
                                          "{a:1}",
                                          "'x'",
                                          "01",
                                          "1.",
                                          ".5",
                                          "+1",
                                          "NaN",
                                          "Infinity",
                                          "nul",
                                          "truex",
                                          "[1 2]",
                                          "1 2",
                                          "\"\n\"",
                                          "\"\t\"",
                                          "\"\\x41\"",
                                          "\"\\ud800\"",
                                          "\"\\udc00\"",
                                          "\"\\ud800\\u0041\"",
                                          "\"\\u12\"",
                                          "1e999",
                                          "1e",
                                          "-",
                                          "[",
                                          "{\"a\"}",
                                          "{\"a\":}",
                                          "// c\n1",
                                          "\"\xff\"",
                                          "{\"\\u0000\":1}",
                                          "\"abc",
                                          "[1}",
                                          ("\xef\xbb\xbf"
                                           "1")};
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                Json *j = NULL;
                if (json_parse(bad[i], strlen(bad[i]), &j) != -EINVAL || j)
                        fail_msg("taken: %s", bad[i]);
        }
        Json *j = NULL;
        assert_int_equal(json_parse("1\0", 2, &j), -EINVAL);
}

static void test_parse_depth_cap(void **state) {
        char text[131];
        Json *j = NULL;
        memset(text, '[', 65);
        memset(text + 65, ']', 65);
        assert_int_equal(json_parse(text, 130, &j), -EINVAL);
        assert_ok(json_parse(text + 1, 128, &j));
        json_unref(j);
}

static void test_values(void **state) {
        _cleanup_json_ Json *j = parse("{\"i\":-5,\"d\":2.75,\"s\":\"a\\u0000b\",\"t\":true,\"n\":null,\"l\":[1,2],\"o\":{\"k\":1}}");
        assert_int_equal(json_type(j), JSON_OBJECT);
        assert_int_equal(json_type(NULL), JSON_NULL);
        assert_int_equal(json_int(json_get(j, "i")), -5);
        assert_int_equal(json_int(json_get(j, "d")), 2);
        assert_true(json_double(json_get(j, "i")) == -5 && json_double(json_get(j, "d")) == 2.75);
        assert_int_equal(json_int(json_get(j, "s")), 0);
        assert_true(json_double(json_get(j, "t")) == 0);
        assert_int_equal(json_string_length(json_get(j, "s")), 3);
        assert_memory_equal(json_string(json_get(j, "s")), "a\0b", 4);
        assert_null(json_string(json_get(j, "i")));
        assert_true(json_bool(json_get(j, "t")));
        assert_false(json_bool(json_get(j, "i")));
        assert_true(json_has(j, "n") && !json_get(j, "n"));
        assert_false(json_has(j, "x"));
        assert_int_equal(json_length(json_get(j, "l")), 2);
        assert_int_equal(json_length(j), 7);
        assert_int_equal(json_length(json_get(j, "s")), 0);
        assert_int_equal(json_int(json_at(json_get(j, "l"), 1)), 2);
        assert_null(json_at(json_get(j, "l"), 2));
        assert_null(json_at(j, 0));
        assert_null(json_get(json_get(j, "l"), "k"));
        json_del(j, "i");
        assert_false(json_has(j, "i"));
}

static void test_u32(void **state) {
        static const struct {
                const char *text;
                uint32_t n;
        } table[] = {{"1", 1}, {"4294967295", UINT32_MAX}, {"4294967296", 0}, {"0", 0}, {"-1", 0}, {"7.5", 7}, {"\"7\"", 0}, {"[]", 0}};

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_json_ Json *j = NULL;
                assert_ok(json_parse(table[i].text, strlen(table[i].text), &j));
                assert_int_equal(json_u32(j), table[i].n);
        }
        assert_int_equal(json_u32(NULL), 0);
}

static void test_numbers(void **state) {
        static const struct {
                double d;
                int64_t i;
        } table[] = {{1e300, INT64_MAX}, {-1e300, INT64_MIN},  {9.9, 9}, {-9.9, -9}, {9223372036854775808.0, INT64_MAX},
                     {NAN, 0},           {INFINITY, INT64_MAX}};
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_json_ Json *j = json_new_double(table[i].d);
                assert_true(json_int(j) == table[i].i);
        }
        _cleanup_json_ Json *big = json_new_uint(UINT64_MAX), *nan = json_new_double(NAN);
        _cleanup_free_ char *s = json_to_string(big, false), *n = json_to_string(nan, false);
        assert_string_equal(s, "18446744073709551615");
        assert_string_equal(n, "null");
        assert_true(json_int(big) == INT64_MAX);
        assert_true(json_double(big) == 0x1p64);
}

static void test_build(void **state) {
        _cleanup_json_ Json *o = json_new_object();
        Json *l = json_new_array();
        assert_ok(json_append(l, json_new_int(1)));
        assert_ok(json_append(l, NULL));
        assert_ok(json_set(o, "l", l));
        assert_ok(json_set_string(o, "s", "x"));
        assert_ok(json_set_string(o, "n", NULL));
        assert_ok(json_set_int(o, "i", INT64_MIN));
        assert_ok(json_set_uint(o, "u", UINT64_MAX));
        assert_ok(json_set_bool(o, "b", true));
        assert_ok(json_set_string(o, "s", "again"));    /* replaces, in its place */
        _cleanup_free_ char *s = json_to_string(o, false);
        assert_string_equal(s,
                            "{\"l\":[1,null],\"s\":\"again\",\"n\":null,\"i\":-9223372036854775808,\"u\":18446744073709551615,\"b\":true}");
        assert_ok(json_set(o, "ref", json_ref(l)));
        assert_ptr_equal(json_get(o, "ref"), json_get(o, "l"));
        assert_int_equal(json_set(o, "self", json_ref(o)), -ENOMEM);    /* json-c refuses; the reference is gone nevertheless */
}

static void test_iterate(void **state) {
        _cleanup_json_ Json *j = parse("{\"c\":1,\"a\":null,\"b\":3}");
        char order[4] = {};
        size_t n = 0;
        JSON_OBJECT_FOREACH(j, k, v) {
                order[n++] = k[0];
                assert_int_equal(json_type(v), n == 2 ? JSON_NULL : JSON_INT);
        }
        assert_string_equal(order, "cab");
        JSON_OBJECT_FOREACH(NULL, k2, v2)
                fail_msg("%s %p", k2, (void *) v2);
}

static void check_equal(const char *a, const char *b, bool equal) {
        _cleanup_json_ Json *x = parse(a), *y = parse(b);
        assert_int_equal(json_equal(x, y), equal);
        assert_int_equal(json_equal(y, x), equal);
}

static void test_equal(void **state) {
        check_equal("1", "1.0", true);
        check_equal("1", "2", false);
        check_equal("9007199254740993", "9007199254740992.0", false);
        check_equal("18446744073709551615", "9223372036854775807", false);
        check_equal("1", "\"1\"", false);
        check_equal("1", "true", false);
        check_equal("null", "null", true);
        check_equal("null", "false", false);
        check_equal("{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", true);
        check_equal("{\"a\":null}", "{\"b\":null}", false);
        check_equal("{\"a\":1}", "{\"a\":1,\"b\":1}", false);
        check_equal("[1,2]", "[2,1]", false);
        check_equal("[1]", "[1,1]", false);
        check_equal("\"a\\u0000b\"", "\"a\\u0000c\"", false);
        check_equal("true", "false", false);
}

static void check_order(const char *a, const char *b, int expected) {
        _cleanup_json_ Json *x = parse(a), *y = parse(b);
        if (json_compare_numbers(x, y) != expected || json_compare_numbers(y, x) != -expected)
                fail_msg("%s and %s are not %d but %d, %d", a, b, expected, json_compare_numbers(x, y), json_compare_numbers(y, x));
}

/* Doubles have 53 bits for digits; what is between two of them keeps its place. */
static void test_order_of_numbers(void **state) {
        static const char *const ascending[] = {
                "-1e300", "-9223372036854777856.0", "-9223372036854775808", "-9223372036854775807", "-9007199254740993", "-9007199254740992.0",
                "-1", "-0.5", "0", "0.5", "9007199254740992.0", "9007199254740993", "9223372036854774784.0", "9223372036854775807",
                "9223372036854775808.0", "9223372036854775809", "18446744073709549568.0", "18446744073709551615", "18446744073709551616.0", "1e300",
        };
        _cleanup_json_ Json *nan = json_new_double(NAN), *big = parse("18446744073709551615"), *one = parse("1"), *large = parse("1e308");

        for (size_t i = 0; i < ELEMENTSOF(ascending); i++)
                for (size_t k = i; k < ELEMENTSOF(ascending); k++)
                        check_order(ascending[i], ascending[k], i == k ? 0 : -1);
        check_order("-9223372036854775808", "-9223372036854775808.0", 0);
        check_order("9223372036854775808", "9223372036854775808.0", 0);
        check_order("-0", "-0.0", 0);
        assert_int_equal(json_compare_numbers(nan, nan), 0);
        assert_true(json_compare_numbers(nan, big) > 0 && json_compare_numbers(nan, one) > 0 && json_compare_numbers(nan, large) > 0);
        assert_true(json_compare_numbers(big, nan) < 0 && json_compare_numbers(one, nan) < 0 && json_compare_numbers(large, nan) < 0);
}

static void test_copy(void **state) {
        _cleanup_json_ Json *j = parse("{\"a\":[1,2.5,\"x\\u0000y\",null,18446744073709551615]}"), *copy = json_copy(j);
        assert_true(json_equal(j, copy));
        assert_ok(json_append(json_get(copy, "a"), NULL));
        assert_int_equal(json_length(json_get(j, "a")), 5);
        assert_null(json_copy(NULL));
}

static void test_size_stops(void **state) {
        _cleanup_json_ Json *l = json_new_array();
        for (unsigned i = 0; i < 1000; i++)
                assert_ok(json_append(l, json_new_string("0123456789")));
        assert_int_equal(json_size(l, SIZE_MAX), 13001);
        assert_int_equal(json_size(l, 13001), 13001);
        size_t n = json_size(l, 100);
        assert_true(n > 100 && n < 130);
}

/* One object of two, either of which may be missing or empty. */
static void test_members(void **state) {
        static const struct {
                const char *a, *b, *text;
        } cases[] = {
                { "{\"a\":1,\"b\":{\"c\":[]}}", "{\"d\":\"x\\n\",\"e\":null}", "{\"a\":1,\"b\":{\"c\":[]},\"d\":\"x\\n\",\"e\":null}" },
                { "{\"a\":1}", "{}", "{\"a\":1}" },
                { NULL, "{\"a\":1}", "{\"a\":1}" },
                { "{}", NULL, "{}" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ Json *a = NULL, *b = NULL;
                if (cases[i].a)
                        assert_ok(json_parse(cases[i].a, strlen(cases[i].a), &a));
                if (cases[i].b)
                        assert_ok(json_parse(cases[i].b, strlen(cases[i].b), &b));
                _cleanup_free_ char *text = json_members_to_string(a, b);
                assert_string_equal(text, cases[i].text);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_pretty),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_parse_depth_cap),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_u32),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_iterate),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_order_of_numbers),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_size_stops),
};
TEST_MAIN(tests)
