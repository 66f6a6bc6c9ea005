/* What both formats share: duplicate keys in small and large maps, depth, and the number of values. */
#include "test.h"

#include <stdio.h>

#include "strbuf.h"
#include "tree.h"

static void check_error(const char *text, TreeFormat format, unsigned line, unsigned column, const char *part) {
        _cleanup_diag_ Diagnostics d = {};
        Tree *t = NULL;
        assert_int_equal(tree_parse(text, strlen(text), format, &d, &t), -EINVAL);
        assert_null(t);
        if (d.n_errors != 1 || d.items[0].line != line || d.items[0].column != column || !strstr(d.items[0].message, part))
                fail_msg("%u errors: %u:%u: %s", d.n_errors, d.items[0].line, d.items[0].column, d.items[0].message);
}

static void test_duplicate_keys(void **state) {
        check_error("a: 1\nb: 2\n\nb: 3\n", TREE_YAML, 4, 1, "'b' stands here twice; the first is in line 2");
        check_error("a: 1\n'a': 2\n", TREE_YAML, 2, 1, "'a'");
        check_error("{\"a\": 1,\n \"\\u0061\": {\"a\": 1}}", TREE_JSON, 2, 2, "'a' stands here twice; the first is in line 1");
}

static void test_same_key_elsewhere(void **state) {
        static const char text[] = "a: {a: 1}\nb: [{a: 1}, {a: 2}]\nc: a\n";
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(tree_freep) Tree *t = NULL;
        assert_ok(tree_parse(text, strlen(text), TREE_YAML, &d, &t));
        assert_int_equal(tree_root(t)->n_children, 3);
}

static void test_duplicates_in_a_large_map(void **state) {
        for (unsigned twice = 0; twice < 30; twice++) {
                _cleanup_strbuf_ StrBuf b = {};
                char part[40];
                for (unsigned i = 0; i < 30; i++)
                        strbuf_appendf(&b, "key-%u: {x: 1}\n", i);
                strbuf_appendf(&b, "key-%u: 1\n", twice);
                (void) snprintf(part, sizeof(part), "the first is in line %u", twice + 1);
                check_error(b.s, TREE_YAML, 31, 1, part);
        }
}

static void check_depth(unsigned depth, TreeFormat format, const char *open, const char *close, bool good) {
        _cleanup_strbuf_ StrBuf b = {};
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(tree_freep) Tree *t = NULL;
        for (unsigned i = 0; i < depth; i++)
                strbuf_append(&b, open);
        strbuf_append(&b, "1");
        for (unsigned i = 0; i < depth; i++)
                strbuf_append(&b, close);
        assert_int_equal(tree_parse(b.s, b.n, format, &d, &t), good ? 0 : -EINVAL);
        if (!good)
                assert_non_null(strstr(d.items[0].message, "deeper than 64"));
}

static void test_depth_cap(void **state) {
        check_depth(TREE_DEPTH_MAX, TREE_JSON, "[", "]", true);
        check_depth(TREE_DEPTH_MAX + 1, TREE_JSON, "[", "]", false);
        check_depth(TREE_DEPTH_MAX, TREE_JSON, "{\"a\":", "}", true);
        check_depth(TREE_DEPTH_MAX + 1, TREE_JSON, "{\"a\":", "}", false);
        check_depth(TREE_DEPTH_MAX, TREE_YAML, "[", "]", true);
        check_depth(TREE_DEPTH_MAX + 1, TREE_YAML, "[", "]", false);
        check_depth(TREE_DEPTH_MAX, TREE_YAML, "- ", "", true);
        check_depth(TREE_DEPTH_MAX + 1, TREE_YAML, "- ", "", false);
        check_depth(100000, TREE_YAML, "[", "]", false);
}

/* An alias counts with all that is below it, in depth and in number. */
static void test_depth_cap_by_alias(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_strbuf_ StrBuf b = {};
                _cleanup_diag_ Diagnostics d = {};
                _cleanup_(tree_freep) Tree *t = NULL;
                strbuf_append(&b, "a: &a [[[1]]]\nb: ");        /* in a map: the alias is three high, and one is above */
                unsigned n = TREE_DEPTH_MAX - 4 + extra;
                for (unsigned i = 0; i < n; i++)
                        strbuf_append(&b, "[");
                strbuf_append(&b, " *a ");
                for (unsigned i = 0; i < n; i++)
                        strbuf_append(&b, "]");
                assert_int_equal(tree_parse(b.s, b.n, TREE_YAML, &d, &t), extra ? -EINVAL : 0);
        }
}

static void laugh(StrBuf *b, unsigned levels) {
        strbuf_append(b, "a: &a [x,x,x,x,x,x,x,x,x,x]\n");
        for (unsigned i = 1; i < levels; i++) {
                strbuf_appendf(b, "%c: &%c [", 'a' + i, 'a' + i);
                for (unsigned k = 0; k < 10; k++)
                        strbuf_appendf(b, "%s*%c", k > 0 ? "," : "", 'a' + i - 1);
                strbuf_append(b, "]\n");
        }
}

static void test_nodes_cap(void **state) {
        _cleanup_strbuf_ StrBuf small = {}, large = {};
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(tree_freep) Tree *t = NULL;
        laugh(&small, 5);
        assert_ok(tree_parse(small.s, small.n, TREE_YAML, &d, &t));
        laugh(&large, 9);
        check_error(large.s, TREE_YAML, 7, 8, "more than 2000000 values");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duplicate_keys),
        cmocka_unit_test(test_same_key_elsewhere),
        cmocka_unit_test(test_duplicates_in_a_large_map),
        cmocka_unit_test(test_depth_cap),
        cmocka_unit_test(test_depth_cap_by_alias),
        cmocka_unit_test(test_nodes_cap),
};
TEST_MAIN(tests)
