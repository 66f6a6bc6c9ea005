/* Repairing text, taming it for terminals, and near names. */
#include "test.h"

#include <locale.h>

#include "utf8.h"

#define R "\xef\xbf\xbd"

static void test_valid(void **state) {
        static const struct {
                const char *text;
                size_t n;
                bool valid;
        } table[] = {
                {"", 0, true},
                {"plain", 5, true},
                {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, true},
                {"\xf4\x8f\xbf\xbf", 4, true},
                {"a\0b", 3, false},
                {"\xc3", 1, false},
                {"\x80", 1, false},
                {"\xc0\x80", 2, false},                 /* overlong */
                {"\xe0\x80\xaf", 3, false},
                {"\xed\xa0\x80", 3, false},             /* a surrogate */
                {"\xf4\x90\x80\x80", 4, false},         /* above U+10FFFF */
                {"\xff", 1, false},
        };
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(utf8_is_valid(table[i].text, table[i].n), table[i].valid);
        assert_int_equal(utf8_valid_prefix("ab\xffz", 4), 2);
        assert_int_equal(utf8_count("a\xc3\xa9\xf0\x9f\x98\x80", 7), 3);
}

static void test_encode_all(void **state) {
        for (uint32_t c = 1; c <= 0x10ffff; c++) {
                char buf[4];
                uint32_t back;
                size_t n = utf8_encode(c, buf);
                if (c >= 0xd800 && c <= 0xdfff)
                        assert_int_equal(utf8_decode(buf, n, &back), 0);
                else if (utf8_decode(buf, n, &back) != n || back != c || utf8_decode(buf, n - 1, &back) != 0)
                        fail_msg("U+%04X", c);
        }
}

static void check_make_valid(const char *s, size_t n, size_t max, const char *expected) {
        _cleanup_free_ char *v = utf8_make_valid(s, n, max);
        assert_string_equal(v, expected);
}

static void test_make_valid(void **state) {
        check_make_valid("ok", 2, SIZE_MAX, "ok");
        check_make_valid("a\xff" "b", 3, SIZE_MAX, "a" R "b");
        check_make_valid("a\0b", 3, SIZE_MAX, "a" R "b");
        check_make_valid("\xe2\x82", 2, SIZE_MAX, R R);
        check_make_valid("a\xe2\x82\xac", 4, 3, "a");          /* never cut inside a character */
        check_make_valid("a\xe2\x82\xac", 4, 4, "a\xe2\x82\xac");
        check_make_valid("ab\xff", 3, 4, "ab");
        check_make_valid("abc", 3, 0, "");
}

static void check_sendable(const char *s, const char *expected) {
        _cleanup_free_ char *v = utf8_make_sendable(s, strlen(s), SIZE_MAX);
        assert_string_equal(v, expected);
        assert_int_equal(utf8_is_sendable(s, strlen(s)), streq(s, expected));
        assert_true(utf8_is_sendable(v, strlen(v)));
}

static void test_sendable(void **state) {
        check_sendable("plain \xc3\xa9 \xf0\x9f\x98\x80 \xef\xbf\xbd", "plain \xc3\xa9 \xf0\x9f\x98\x80 \xef\xbf\xbd");
        check_sendable("a\xff" "b", "a" R "b");
        check_sendable("a\xef\xbf\xbe" "b\xef\xbf\xbf" "c", "a" R "b" R "c");       /* U+FFFE, U+FFFF */
        check_sendable("\xf4\x8f\xbf\xbf", R);                                     /* U+10FFFF */
        check_sendable("\xef\xb7\x8f\xef\xb7\x90\xef\xb7\xaf\xef\xb7\xb0", "\xef\xb7\x8f" R R "\xef\xb7\xb0");
        assert_false(utf8_is_sendable("a\0b", 3));
}

static void check_terminal(const char *s, const char *expected) {
        _cleanup_free_ char *v = text_for_terminal(s);
        assert_string_equal(v, expected);
}

static void test_terminal(void **state) {
        check_terminal("tab\tand\nline \xc3\xa9", "tab\tand\nline \xc3\xa9");
        check_terminal("\033[31;1mred\033[0m", R "red" R);
        check_terminal("\033]0;title\a.", R ".");
        check_terminal("\033]8;;http://x\033\\link", R "link");
        check_terminal("\033Pq\nkept", R "Pq\nkept");           /* unterminated: only the ESC goes */
        check_terminal("\033[31\nkept", R "[31\nkept");
        check_terminal("\033", R);
        check_terminal("over\rwrite", "over" R "write");
        check_terminal("dos\r\nline", "dos\nline");
        check_terminal("\x01\x7f\b", R R R);
        check_terminal("\xc2\x9b" "2J", R "2J");                /* C1: a CSI in one character */
        check_terminal("a\xe2\x80\xae" "b\xe2\x81\xa6" "c\xe2\x80\x8f" "d\xd8\x9c", "a" R "b" R "c" R "d" R);
        check_terminal("\xff\xfe", R R);
        check_terminal("\xc2", R);
}

static void test_width(void **state) {
        assert_non_null(setlocale(LC_ALL, "C.UTF-8"));
        assert_int_equal(utf8_width(""), 0);
        assert_int_equal(utf8_width("abc"), 3);
        assert_int_equal(utf8_width("\xc3\xa9"), 1);
        assert_int_equal(utf8_width("e\xcc\x81"), 1);           /* a combining accent */
        assert_int_equal(utf8_width("\xe6\xbc\xa2\xe5\xad\x97"), 4);
        assert_non_null(setlocale(LC_ALL, "C"));
        assert_int_equal(utf8_width("a\xc3\xa9"), 2);
}

static void test_nearest(void **state) {
        static const char *const names[] = {"timeout", "timeoutMs", "retries", "retry", "if", "needs", NULL};
        assert_string_equal(nearest_name("timout", names), "timeout");
        assert_string_equal(nearest_name("timeuot", names), "timeout");         /* two letters swapped are one mistake */
        assert_string_equal(nearest_name("timeoutMS", names), "timeoutMs");
        assert_string_equal(nearest_name("retrys", names), "retry");
        assert_string_equal(nearest_name("fi", names), "if");
        assert_null(nearest_name("x", names));
        assert_null(nearest_name("xy", names));
        assert_null(nearest_name("description", names));
        assert_null(nearest_name("", names));
        assert_null(nearest_name("if", (const char *const[]) {NULL}));
}

static void test_nearest_length_cap(void **state) {
        char longest[65] = {}, too_long[66] = {};
        memset(longest, 'a', 64);
        memset(too_long, 'a', 65);
        assert_ptr_equal(nearest_name(longest, (const char *const[]) {too_long, longest, NULL}), longest);
        assert_null(nearest_name(too_long, (const char *const[]) {longest, too_long, NULL}));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_encode_all),
        cmocka_unit_test(test_make_valid), cmocka_unit_test(test_sendable),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_nearest_length_cap),
};
TEST_MAIN(tests)
