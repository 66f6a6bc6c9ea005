/* JSON files: types, texts and exact positions. */
#include "test.h"

#include "tree.h"

static void test_nodes(void **state) {
        static const char text[] = "{\n"
                                   "  \"name\": \"\\ud83d\\ude00\\/\",\n"
                                   "  \"\xc3\xa9\": -5, \"d\": 1.50,\n"
                                   "  \"list\": [true, false, null]\n"
                                   "}\n";
        static const struct {
                const char *key;
                NodeType type;
                unsigned key_line, key_column, line, column;
                const char *string;
        } expected[] = {
                {"name", NODE_STRING, 2, 3, 2, 11, "\xf0\x9f\x98\x80/"},
                {"\xc3\xa9", NODE_INT, 3, 3, 3, 8, "-5"},
                {"d", NODE_DOUBLE, 3, 12, 3, 17, "1.50"},
                {"list", NODE_LIST, 4, 3, 4, 11, NULL},
        };
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(tree_freep) Tree *t = NULL;

        assert_ok(tree_parse(text, strlen(text), TREE_JSON, &d, &t));
        const Node *root = tree_root(t);
        assert_int_equal(root->n_children, ELEMENTSOF(expected));
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                const Node *n = root->children[i];
                assert_string_equal(n->key, expected[i].key);
                assert_int_equal(n->type, expected[i].type);
                assert_int_equal(n->key_line, expected[i].key_line);
                assert_int_equal(n->key_column, expected[i].key_column);
                assert_int_equal(n->line, expected[i].line);
                assert_int_equal(n->column, expected[i].column);
                if (expected[i].string)
                        assert_string_equal(n->string, expected[i].string);
        }
        assert_int_equal(root->children[0]->style, NODE_DOUBLE_QUOTED);
        assert_int_equal(root->children[1]->integer, -5);
        assert_true(root->children[1]->number == -5 && root->children[2]->number == 1.5);
        const Node *list = root->children[3];
        assert_true(list->children[0]->boolean && !list->children[1]->boolean);
        assert_int_equal(list->children[2]->type, NODE_NULL);
        assert_string_equal(list->children[2]->string, "null");
        assert_null(list->children[0]->key);
}

static void test_nul_in_text(void **state) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(tree_freep) Tree *t = NULL;
        assert_ok(tree_parse("\"a\\u0000b\"", 10, TREE_JSON, &d, &t));
        assert_int_equal(tree_root(t)->length, 3);
        assert_memory_equal(tree_root(t)->string, "a\0b", 4);
}

static void check_error(const char *text, unsigned line, unsigned column, const char *part) {
        _cleanup_diag_ Diagnostics d = {};
        Tree *t = NULL;
        assert_int_equal(tree_parse(text, strlen(text), TREE_JSON, &d, &t), -EINVAL);
        if (d.n_errors != 1 || d.items[0].line != line || d.items[0].column != column || !strstr(d.items[0].message, part))
                fail_msg("%s: %u:%u: %s", text, d.items[0].line, d.items[0].column, d.items[0].message);
}

static void test_errors(void **state) {
        check_error("{\"a\": 1,\n \"b\": [1, 9223372036854775808]}", 2, 11, "64 bits");
        check_error("[-9223372036854775809]", 1, 2, "64 bits");
        check_error("[99999999999999999999999]", 1, 2, "64 bits");
        check_error("{\"a\": yes}", 1, 7, "a value was expected");
        check_error("a: 1\n", 1, 1, "a value was expected");
        check_error("{\"a\": 1}\n{}", 2, 1, "end of the file");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_nul_in_text),
        cmocka_unit_test(test_errors),
};
TEST_MAIN(tests)
