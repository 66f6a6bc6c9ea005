/* The tree as its users see it: access, JSON, the index of positions, and what is refused before a format is looked at. */
#include "test.h"

#include "tree-internal.h"

static Tree *parse(const char *text, TreeFormat format) {
        _cleanup_diag_ Diagnostics d = {};
        Tree *t = NULL;
        if (tree_parse(text, strlen(text), format, &d, &t) < 0)
                fail_msg("%u:%u: %s", d.items[0].line, d.items[0].column, d.items[0].message);
        return t;
}

static void check_error(const char *text, size_t n, TreeFormat format, unsigned line, unsigned column, const char *part) {
        _cleanup_diag_ Diagnostics d = {};
        Tree *t = NULL;
        assert_int_equal(tree_parse(text, n, format, &d, &t), -EINVAL);
        assert_null(t);
        assert_int_equal(d.n_errors, 1);
        if (d.items[0].line != line || d.items[0].column != column || !strstr(d.items[0].message, part))
                fail_msg("%u:%u: %s", d.items[0].line, d.items[0].column, d.items[0].message);
}

static void test_access(void **state) {
        _cleanup_(tree_freep) Tree *t = parse("a: 1\nb: [x]\n", TREE_YAML);
        const Node *root = tree_root(t), *a = node_get(root, "a");
        assert_int_equal(root->type, NODE_MAP);
        assert_null(root->key);
        assert_string_equal(a->key, "a");
        assert_int_equal(a->integer, 1);
        assert_true(a->number == 1);
        assert_string_equal(a->string, "1");
        assert_null(node_get(root, "c"));
        assert_null(node_get(a, "a"));
        assert_null(node_get(NULL, "a"));
        assert_null(node_get(node_get(root, "b"), "x"));
        assert_null(tree_free(NULL));
}

static void check_json(const char *text, TreeFormat format, const char *expected) {
        _cleanup_(tree_freep) Tree *t = parse(text, format);
        _cleanup_json_ Json *j = NULL;
        assert_ok(node_to_json(tree_root(t), &j));
        _cleanup_free_ char *s = json_to_string(j, false);
        assert_string_equal(s, expected);
}

static void test_to_json(void **state) {
        check_json("a: [1, 2.50, true, ~, text, \"1\"]\nb: {}\nc: []\n", TREE_YAML,
                   "{\"a\":[1,2.5,true,null,\"text\",\"1\"],\"b\":{},\"c\":[]}");
        check_json("{\"b\":[\"x\\u0000y\",-1,1e2,false,null]}", TREE_JSON, "{\"b\":[\"x\\u0000y\",-1,100,false,null]}");
}

static uint64_t digest(const char *text, TreeFormat format) {
        _cleanup_(tree_freep) Tree *t = parse(text, format);
        return node_digest(tree_root(t));
}

/* What counts is what a text says, not how it is written; but numbers are their texts. */
static void test_digest(void **state) {
        static const char *const others[] = {
                "{a: [1, x], b: {c: ~}}", "{a: [x, 1], b: {c: null}}", "{a: [1, x], b: {d: null}}", "{a: [1, x], b: {c: {}}}", "{a: [1, x], b: {c: []}}",
                "{a: [1, x], b: null, c: null}", "{a: [1.0, x], b: {c: null}}", "{a: ['1', x], b: {c: null}}", "{a: [1, y], b: {c: null}}",
                "{a: [1, x, x], b: {c: null}}", "{b: [1, x], a: {c: null}}", "{a: [1, x], b: {c: true}}", "{a: [1, x], b: {c: false}}", "{a: [1x], b: {c: null}}",
                "{}", "[]", "''", "~", "[[]]", "[{}]", "{a: b, b: a}", "{a: a, b: b}", "{ab: ''}", "{a: b}",
        };
        uint64_t d[ELEMENTSOF(others)];

        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                d[i] = digest(others[i], TREE_YAML);
                for (size_t k = 0; k < i; k++)
                        if (d[i] == d[k])
                                fail_msg("%s and %s are one", others[i], others[k]);
        }
        assert_true(digest("b:\n  c:\na: # first\n  - 1\n  - \"x\"\n", TREE_YAML) == d[0]);
        assert_true(digest("{\"b\": {\"c\": null}, \"a\": [1, \"\\u0078\"]}", TREE_JSON) == d[0]);
}

static void test_byte_order_mark(void **state) {
        _cleanup_(tree_freep) Tree *y = parse("\xef\xbb\xbf" "a: 1\n", TREE_YAML), *j = parse("\xef\xbb\xbf{\"a\": 1}", TREE_JSON);
        assert_int_equal(node_get(tree_root(y), "a")->key_column, 1);
        assert_int_equal(node_get(tree_root(j), "a")->key_column, 2);
        check_error("\xef\xbb\xbf", 3, TREE_YAML, 1, 1, "empty");
}

static void test_encoding(void **state) {
        static const TreeFormat formats[] = {TREE_YAML, TREE_JSON};
        for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
                check_error("[1,\n\xc3\xa9 \xff]", 9, formats[i], 2, 3, "UTF-8");
                check_error("[1,\n\0]", 6, formats[i], 2, 1, "NUL");
                check_error("", 0, formats[i], 1, 1, "empty");
                check_error(" \n\n", 3, formats[i], 1, 1, "empty");
        }
}

static void test_size_cap(void **state) {
        _cleanup_free_ char *text = malloc(TREE_FILE_MAX + 1);
        assert_non_null(text);
        memset(text, ' ', TREE_FILE_MAX + 1);
        text[0] = '1';
        check_error(text, TREE_FILE_MAX + 1, TREE_JSON, 0, 0, "larger than 1024 KiB");

        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(tree_freep) Tree *t = NULL;
        assert_ok(tree_parse(text, TREE_FILE_MAX, TREE_JSON, &d, &t));
}

/* Earlier errors in the list are somebody else's. */
static void test_appends_to_diagnostics(void **state) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(tree_freep) Tree *t = NULL;
        (void) diag_error(&d, 1, 1, "before");
        assert_ok(tree_parse("a: 1", 4, TREE_YAML, &d, &t));
        assert_non_null(t);
        assert_int_equal(d.n_errors, 1);
}

static void test_offsets(void **state) {
        _cleanup_(tree_freep) Tree *t = parse("# \xc3\xa9\xc3\xa9 x\r\n\r\na: \xf0\x9f\x98\x80 b", TREE_YAML);
        unsigned line, column;
        for (size_t i = 0; i < t->n_text; i++) {
                if (((uint8_t) t->text[i] & 0xc0) == 0x80)
                        continue;
                tree_locate(t, i, &line, &column);
                assert_int_equal(tree_offset(t, line, column), i);
        }
        tree_locate(t, (size_t) (strchr(t->text, 'b') - t->text), &line, &column);
        assert_int_equal(line, 3);
        assert_int_equal(column, 6);
        assert_int_equal(tree_offset(t, 4, 1), t->n_text);
        assert_int_equal(tree_offset(t, 0, 0), t->n_text);
}

/* The index of characters has blocks, whose ends may fall inside a character. */
static void test_offsets_on_long_lines(void **state) {
        for (size_t shift = 0; shift < 3; shift++) {
                size_t n = 6 * TREE_INDEX_BLOCK;
                _cleanup_free_ char *text = calloc(1, n + 8);
                text[0] = '"';
                memset(text + 1, 'x', shift);
                for (size_t i = 1 + shift; i + 3 < n; i += 3)
                        memcpy(text + i, "\xe2\x82\xac", 3);
                strcat(text, "\"");
                _cleanup_(tree_freep) Tree *t = parse(text, TREE_JSON);
                for (size_t i = 0; i < t->n_text; i++) {
                        unsigned line, column;
                        if (((uint8_t) t->text[i] & 0xc0) == 0x80)
                                continue;
                        tree_locate(t, i, &line, &column);
                        assert_int_equal(line, 1);
                        assert_int_equal(tree_offset(t, line, column), i);
                }
        }
}

static void test_type_names(void **state) {
        for (NodeType t = NODE_NULL; t <= NODE_MAP; t++)
                assert_true(strlen(node_type_name(t)) > 0);
        assert_string_equal(node_type_name(NODE_LIST), "a list");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_to_json),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_size_cap),
        cmocka_unit_test(test_appends_to_diagnostics),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_offsets_on_long_lines),
        cmocka_unit_test(test_type_names),
};
TEST_MAIN(tests)
