/* Tokens and their positions, and what the errors say was expected. */
#include "test.h"

#include "json-reader.h"

static void test_tokens(void **state) {
        static const char text[] = "{\n  \"\xc3\xa9\": [1, \"\xf0\x9f\x98\x80\", -2.5e1],\r\n\t\"b\": {}, \"c\": 18446744073709551615 }";
        static const struct {
                JsonTokenType type;
                unsigned line, column;
                const char *text;
        } expected[] = {
                {JSON_TOKEN_OBJECT_BEGIN, 1, 1, NULL}, {JSON_TOKEN_KEY, 2, 3, "\xc3\xa9"}, {JSON_TOKEN_ARRAY_BEGIN, 2, 8, NULL},
                {JSON_TOKEN_INT, 2, 9, "1"}, {JSON_TOKEN_STRING, 2, 12, "\xf0\x9f\x98\x80"}, {JSON_TOKEN_DOUBLE, 2, 17, "-2.5e1"},
                {JSON_TOKEN_ARRAY_END, 0, 0, NULL}, {JSON_TOKEN_KEY, 3, 2, "b"}, {JSON_TOKEN_OBJECT_BEGIN, 3, 7, NULL},
                {JSON_TOKEN_OBJECT_END, 0, 0, NULL}, {JSON_TOKEN_KEY, 3, 11, "c"}, {JSON_TOKEN_UINT, 3, 16, "18446744073709551615"},
                {JSON_TOKEN_OBJECT_END, 0, 0, NULL}, {JSON_TOKEN_END, 0, 0, NULL},
        };
        _cleanup_(json_reader_done) JsonReader r;
        json_reader_init(&r, text, strlen(text), NULL);
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                JsonToken t;
                assert_ok(json_reader_next(&r, &t));
                assert_int_equal(t.type, expected[i].type);
                if (expected[i].line > 0) {
                        assert_int_equal(t.line, expected[i].line);
                        assert_int_equal(t.column, expected[i].column);
                }
                if (expected[i].text)
                        assert_string_equal(t.text, expected[i].text);
        }
}

static void test_numbers(void **state) {
        static const char text[] = "[9223372036854775807, -9223372036854775808, 9223372036854775808, 18446744073709551616, "
                                   "-9223372036854775809, 0, -0, 1.5]";
        static const JsonTokenType types[] = {JSON_TOKEN_INT,  JSON_TOKEN_INT, JSON_TOKEN_UINT, JSON_TOKEN_HUGE,
                                              JSON_TOKEN_HUGE, JSON_TOKEN_INT, JSON_TOKEN_INT,  JSON_TOKEN_DOUBLE};
        _cleanup_(json_reader_done) JsonReader r;
        JsonToken t;
        json_reader_init(&r, text, strlen(text), NULL);
        assert_ok(json_reader_next(&r, &t));
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                assert_ok(json_reader_next(&r, &t));
                assert_int_equal(t.type, types[i]);
        }
        assert_true(t.number == 1.5);
}

static void check_error(const char *text, unsigned line, unsigned column, const char *part) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(json_reader_done) JsonReader r;
        JsonToken t;
        int k;

        json_reader_init(&r, text, strlen(text), &d);
        do
                k = json_reader_next(&r, &t);
        while (k == 0 && t.type != JSON_TOKEN_END);
        assert_int_equal(k, -EINVAL);
        assert_int_equal(d.n_errors, 1);
        if (d.items[0].line != line || d.items[0].column != column || !strstr(d.items[0].message, part))
                fail_msg("%s: %u:%u: %s", text, d.items[0].line, d.items[0].column, d.items[0].message);
}

static void test_errors(void **state) {
        check_error("", 1, 1, "a value");
        check_error("{", 1, 2, "a key in double quotes or '}'");
        check_error("[", 1, 2, "a value or ']'");
        check_error("[1", 1, 3, "',' or ']'");
        check_error("{\"a\":1 \"b\":2}", 1, 8, "',' or '}'");
        check_error("{\"a\" 1}", 1, 6, "':'");
        check_error("{\"a\":\n x}", 2, 2, "a value");
        check_error("{\"\xc3\xa9\": yes}", 1, 7, "'yes'");
        check_error("[1,]", 1, 3, "comma");
        check_error("{\"a\":1,}", 1, 7, "comma");
        check_error("{\"a\":1,b:2}", 1, 8, "'b'");
        check_error("1 2", 1, 3, "the end of the file");
        check_error("'a'", 1, 1, "double quotes");
        check_error("[\n\"abc\n]", 2, 1, "closing quote");
        check_error("\"a\tb\"", 1, 3, "escape");
        check_error("\"ab\\q\"", 1, 4, "no such escape");
        check_error("\"\\u12g4\"", 1, 2, "four hexadecimal");
        check_error("\"x\\ud83dy\"", 1, 3, "surrogate");
        check_error("\"\\ude00\"", 1, 2, "surrogate");
        check_error("[007]", 1, 2, "begin with 0");
        check_error("[-]", 1, 2, "digits");
        check_error("[1.]", 1, 2, "digits");
        check_error("[1e+]", 1, 2, "exponent");
        check_error("[1e400]", 1, 2, "too large");
        check_error("[\"a\", \"\xff\"]", 1, 8, "UTF-8");
        check_error("{\"a\\u0000\":1}", 1, 2, "NUL");
        check_error("[\x02]", 1, 2, "may not stand here");
}

static void test_depth_cap(void **state) {
        char text[JSON_DEPTH_MAX + 2] = {};
        memset(text, '[', JSON_DEPTH_MAX + 1);
        check_error(text, 1, JSON_DEPTH_MAX + 1, "deeper than 64");
        text[JSON_DEPTH_MAX] = 0;
        check_error(text, 1, JSON_DEPTH_MAX + 1, "a value or ']'");
}

/* The bit that says "object" must not stay behind when an array takes its place. */
static void test_container_bits(void **state) {
        check_error("[{\"a\":1},[1}", 1, 12, "']'");
        check_error("[[1],{\"a\":1]", 1, 12, "'}'");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_depth_cap),
        cmocka_unit_test(test_container_bits),
};
TEST_MAIN(tests)
