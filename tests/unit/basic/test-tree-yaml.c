/* YAML files: positions, aliases, and each mistake with its place and its advice. */
#include "test.h"

#include "tree.h"

static Tree *parse(const char *text) {
        _cleanup_diag_ Diagnostics d = {};
        Tree *t = NULL;
        if (tree_parse(text, strlen(text), TREE_YAML, &d, &t) < 0)
                fail_msg("%u:%u: %s", d.items[0].line, d.items[0].column, d.items[0].message);
        return t;
}

static void check_at(const Node *n, unsigned line, unsigned column) {
        assert_int_equal(n->line, line);
        assert_int_equal(n->column, column);
}

static void test_positions(void **state) {
        _cleanup_(tree_freep) Tree *t = parse("# \xc3\xa9\r\n\r\nname: ship\r\n'\xc3\xa9 x': {a: \"b\", c: }\r\nsteps:\r\n  - run: |\r\n   "
                                              "   true\r\n  - [1, 'two']\r\nlast:\r\n");
        const Node *root = tree_root(t), *steps = node_get(root, "steps");
        check_at(root, 3, 1);
        check_at(node_get(root, "name"), 3, 7);
        const Node *flow = node_get(root, "\xc3\xa9 x");
        assert_int_equal(flow->key_line, 4);
        assert_int_equal(flow->key_column, 1);
        check_at(flow, 4, 8);
        check_at(node_get(flow, "a"), 4, 12);
        assert_int_equal(node_get(flow, "c")->key_column, 17);
        check_at(steps, 6, 3);
        assert_int_equal(steps->key_line, 5);
        check_at(steps->children[0], 6, 5);
        assert_null(steps->children[0]->key);
        check_at(node_get(steps->children[0], "run"), 6, 10);
        check_at(steps->children[1]->children[1], 8, 9);
        assert_int_equal(node_get(root, "last")->type, NODE_NULL);
        assert_int_equal(node_get(root, "last")->line, 9);
}

static void test_styles(void **state) {
        _cleanup_(tree_freep) Tree *t = parse("p: 1\ns: '1'\nd: \"1\\n\\u00e9\"\nl: |\n  1\n  2\nf: >-\n  1\n  2\n");
        static const struct {
                const char *key, *string;
                NodeStyle style;
        } table[] = {{"s", "1", NODE_SINGLE_QUOTED},
                     {"d", "1\n\xc3\xa9", NODE_DOUBLE_QUOTED},
                     {"l", "1\n2\n", NODE_LITERAL},
                     {"f", "1 2", NODE_FOLDED}};
        assert_int_equal(node_get(tree_root(t), "p")->type, NODE_INT);
        assert_int_equal(node_get(tree_root(t), "p")->style, NODE_PLAIN);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const Node *n = node_get(tree_root(t), table[i].key);
                assert_int_equal(n->type, NODE_STRING);
                assert_int_equal(n->style, table[i].style);
                assert_string_equal(n->string, table[i].string);
        }
}

static void test_document_marks(void **state) {
        _cleanup_(tree_freep) Tree *t = parse("%YAML 1.2\n---\non: no\n...\n# end\n");
        assert_string_equal(node_get(tree_root(t), "on")->string, "no");
        assert_int_equal(node_get(tree_root(t), "on")->type, NODE_STRING);
        _cleanup_(tree_freep) Tree *null = parse("~\n");
        assert_int_equal(tree_root(null)->type, NODE_NULL);
}

static void test_aliases(void **state) {
        _cleanup_(tree_freep) Tree *t = parse("base: &b {k: [1, 2]}\none: *b\n<<: *b\ntext: &t # c\n  'x'\nagain: [*t, *t]\nempty: "
                                              "&e\nafter: *e\nbase2: &b 7\nnew: *b\n");
        const Node *root = tree_root(t), *base = node_get(root, "base"), *one = node_get(root, "one");
        assert_ptr_equal(one->children, base->children);        /* shared, not copied */
        assert_string_equal(one->key, "one");
        assert_int_equal(one->key_line, 2);
        assert_string_equal(base->key, "base");
        check_at(one, base->line, base->column);
        assert_int_equal(node_get(root, "<<")->type, NODE_MAP); /* a key as any other */
        assert_null(node_get(root, "k"));
        check_at(node_get(root, "text"), 5, 3);                 /* behind the anchor and the comment */
        const Node *again = node_get(root, "again");
        assert_string_equal(again->children[1]->string, "x");
        assert_null(again->children[1]->key);
        check_at(again->children[1], 5, 3);
        assert_int_equal(node_get(root, "after")->type, NODE_NULL);
        assert_int_equal(node_get(root, "new")->integer, 7);    /* the nearest anchor of the name */
}

static void check_errors(const char *text, unsigned line, unsigned column, const char *part, unsigned n_errors) {
        _cleanup_diag_ Diagnostics d = {};
        Tree *t = NULL;
        assert_int_equal(tree_parse(text, strlen(text), TREE_YAML, &d, &t), -EINVAL);
        assert_null(t);
        if (d.n_errors != n_errors || d.items[0].line != line || d.items[0].column != column || !strstr(d.items[0].message, part))
                fail_msg("%s: %u errors: %u:%u: %s", text, d.n_errors, d.items[0].line, d.items[0].column, d.items[0].message);
}

static void check_error(const char *text, unsigned line, unsigned column, const char *part) {
        check_errors(text, line, column, part, 1);
}

static void test_tags(void **state) {
        check_error("a: 1\nif: !success()\n", 2, 5, "quote the expression: '!success()'");
        check_error("if: !success()   # why\n", 1, 5, "quote the expression: '!success()'");
        check_error("if: !success() && always()\n", 1, 5, "'!success() && always()'");
        check_error("- !contains(inputs.x, 'b')\n", 1, 3, "'!contains(inputs.x, ''b'')'");
        check_error("if: !inputs.a || steps['x'].ok\n", 1, 5, "'!inputs.a || steps[''x''].ok'");
        check_error("if: !steps['x'].ok\nb: 1\n", 1, 5, "'!steps[''x''].ok'");
        check_error("if: ! failure()\n", 1, 5, "'! failure()'");
        check_error("a: {if: !success(), b: 1}\n", 1, 9, "'!success()'");
        check_error("[!contains(x, 'b')]\n", 1, 2, "'!contains(x, ''b'')'");
        check_error("if: &x !success()\n", 1, 8, "'!success()'");
        check_error("a: !!str 5\n", 1, 4, "remove '!!str'");
        check_error("a: !<tag:yaml.org,2002:str> 5\n", 1, 4, "remove '!<tag:yaml.org,2002:str>'");
        check_error("a: !t\n  b: 1\n", 1, 4, "remove '!t'");
        check_error("!!map {a: 1}\n", 1, 1, "remove '!!map'");
        check_error("a: &x !!seq [1]\n", 1, 7, "remove '!!seq'");
}

static void test_long_expression_is_not_repeated(void **state) {
        char text[300] = "if: !f(";
        memset(text + strlen(text), 'x', 200);
        strcat(text, ")\n");
        check_error(text, 1, 5, "quote the expression: '!…'");
}

static void test_keys(void **state) {
        check_error("a: 1\n2: x\n", 2, 1, "a key must be text; put it in quotes: '2'");
        check_error("true: x\n", 1, 1, "'true'");
        check_error("1.5: x\n", 1, 1, "'1.5'");
        check_error("~: x\n", 1, 1, "'~'");
        check_error("a: {? : x}\n", 1, 7, "no key");
        check_error("? [a]\n: b\n", 1, 3, "not a list or a map");
        check_error("{a: 1}: b\n", 1, 1, "not a list or a map");
        check_error("a: &x b\n*x : c\n", 2, 1, "alias can't be a key");
        check_error("\"a\\0\": 1\n", 1, 1, "NUL");
}

static void test_aliases_refused(void **state) {
        check_error("a: *x\n", 1, 4, "no anchor '&x'");
        check_error("a: &a [1, *a]\n", 1, 11, "inside of what it stands for");
        check_error("a: &a\n  b: {c: *a}\n", 2, 10, "inside of what it stands for");
        check_error("a: *x\nb: &x 1\n", 1, 4, "no anchor '&x'");
}

static void test_documents(void **state) {
        check_error("a: 1\n---\nb: 1\n", 2, 1, "a second document");
        check_error("--- a\n--- b\n", 2, 1, "a second document");
        check_error("", 1, 1, "the file is empty");
        check_error("# only this\n", 1, 1, "the file is empty");
        check_error("---\n", 1, 1, "the file is empty");
        check_error("---\n...\n", 1, 1, "the file is empty");
}

static void test_scalars_refused(void **state) {
        check_error("a: .inf\n", 1, 4, "infinity");
        check_error("a:\n  - 99999999999999999999\n", 2, 5, "64 bits");
        check_error("a: 1e999\n", 1, 4, "too large");
}

static void test_characters(void **state) {
        check_error("a: b\x01\n", 1, 5, "U+0001");
        check_error("a: \"b\x1b\"\n", 1, 6, "U+001B");
        check_error("\xc3\xa9: \xc2\x85\n", 1, 4, "U+0085");
        check_error("a: x\xe2\x80\xa8y\n", 1, 5, "U+2028");
        check_error("a: \xef\xbb\xbf\n", 1, 4, "U+FEFF");
        check_error("a: \x7f\n", 1, 4, "U+007F");
        _cleanup_(tree_freep) Tree *t = parse("a: \"\\u2028\"\n");
        assert_string_equal(node_get(tree_root(t), "a")->string, "\xe2\x80\xa8");
}

/* libyaml's own problems, at their place and in words that help. */
static void test_syntax(void **state) {
        check_error("a: b: c\n", 1, 5, "a ':' may not stand here");
        check_error("\xc3\xa9\xc3\xa9: b: c\n", 1, 6, "a ':' may not stand here");
        check_error("a: 'abc\nb: c\n", 1, 4, "no closing quote");
        check_error("a: \"abc\n", 1, 4, "no closing quote");
        check_error("a:\n\tb: 1\n", 2, 1, "a tab");
        check_error("a: @x\n", 1, 4, "can't begin with this character");
        check_error("a: 1\n b: 2\n", 2, 3, "a ':' may not stand here");
        check_error("- a\nb: 1\n", 2, 1, "'- …'");
        check_error("a: [1, 2\nb: 3\n", 2, 2, "',' or ']'");
        check_error("a: {b: 1\nc: 2\n", 2, 2, "',' or '}'");
        check_error("a: 1\nb\nc: 2\n", 3, 1, "no ':' after its key");
        check_error("a: \"\\q\"\n", 1, 5, "no such escape");
        check_error("a: \"\\xg1\"\n", 1, 7, "hexadecimal");
        check_error("a: \"\\ud800\"\n", 1, 7, "stands for no character");
        check_error("a: | x\n  y\n", 1, 6, "nothing but a comment");
        check_error("a: &! b\n", 1, 5, "'&' and '*'");
        check_error("%YAML 2.0\n---\na: 1\n", 1, 1, "version of YAML");
        check_error("a: %x\n", 1, 4, "can't begin with this character");
}

/* One look shows all the mistakes that leave the structure readable. */
static void test_goes_on(void **state) {
        check_errors("a: .inf\n2: x\na: 3\nb: !!int 5\nif: !x\n", 1, 4, "infinity", 5);
        check_errors("a: .inf\nb: c: d\n", 1, 4, "infinity", 2);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_styles),
        cmocka_unit_test(test_document_marks),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_long_expression_is_not_repeated),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_aliases_refused),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_scalars_refused),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_goes_on),
};
TEST_MAIN(tests)
