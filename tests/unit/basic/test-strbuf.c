/* Building text, and the error that stays. */
#include "test.h"

#include "strbuf.h"

static void test_append(void **state) {
        _cleanup_strbuf_ StrBuf b = {};
        strbuf_append(&b, "one");
        strbuf_append_c(&b, ' ');
        strbuf_append_n(&b, "two and more", 3);
        strbuf_appendf(&b, " %d%s", 3, "!");
        assert_int_equal(b.n, 10);
        _cleanup_free_ char *s = strbuf_take(&b);
        assert_string_equal(s, "one two 3!");
        assert_null(b.s);
        assert_int_equal(b.n, 0);
}

static void test_empty(void **state) {
        StrBuf b = {};
        _cleanup_free_ char *s = strbuf_take(&b);
        assert_string_equal(s, "");
}

static void test_always_terminated(void **state) {
        _cleanup_strbuf_ StrBuf b = {};
        for (unsigned i = 1; i < 1000; i++) {
                strbuf_append_c(&b, 'x');
                assert_int_equal(strlen(b.s), i);
        }
        strbuf_append_n(&b, "a\0b", 3);
        assert_int_equal(b.n, 1002);
        assert_int_equal(b.s[1002], 0);
}

static void test_failure_stays(void **state) {
        _cleanup_strbuf_ StrBuf b = {};
        strbuf_append(&b, "kept until taken");
        strbuf_append_n(&b, "never read", SIZE_MAX - 4);
        assert_true(b.failed);
        strbuf_append(&b, "x");
        strbuf_appendf(&b, "%d", 1);
        assert_null(strbuf_take(&b));
        assert_false(b.failed);         /* and the buffer is as new */
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_always_terminated),
        cmocka_unit_test(test_failure_stays),
};
TEST_MAIN(tests)
