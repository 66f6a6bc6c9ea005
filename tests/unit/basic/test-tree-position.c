/* Where a character of a text stands in the file. Each text has capital letters, which stand for themselves in every style: the file must
 * have that very letter (or an escape) at the position, and the position is also checked against one written down. */
#include "test.h"

#include <ctype.h>

#include "tree-internal.h"

static Tree *parse(const char *text, TreeFormat format) {
        _cleanup_diag_ Diagnostics d = {};
        Tree *t = NULL;
        if (tree_parse(text, strlen(text), format, &d, &t) < 0)
                fail_msg("%u:%u: %s", d.items[0].line, d.items[0].column, d.items[0].message);
        return t;
}

/* The file is "k: <text>" or {"k": <text>}. */
static void check(const char *text, TreeFormat format, const char *resolved, char letter, unsigned line, unsigned column) {
        _cleanup_(tree_freep) Tree *t = parse(text, format);
        const Node *n = node_get(tree_root(t), "k");
        unsigned l, c;

        assert_string_equal(n->string, resolved);
        for (size_t i = 0; i < n->length; i++) {
                if (!isupper((unsigned char) n->string[i]))
                        continue;
                node_position(t, n, i, &l, &c);
                char source = t->text[tree_offset(t, l, c)];
                if (source != n->string[i] && !(source == '\\' && n->style == NODE_DOUBLE_QUOTED))
                        fail_msg("%s: %c at %u:%u", text, n->string[i], l, c);
        }
        node_position(t, n, (size_t) (strchr(n->string, letter) - n->string), &l, &c);
        if (l != line || c != column)
                fail_msg("%s: %c at %u:%u", text, letter, l, c);
}

static void test_plain(void **state) {
        check("k: AB CD", TREE_YAML, "AB CD", 'D', 1, 8);
        check("k: \xc3\xa9 A \xf0\x9f\x98\x80 B", TREE_YAML, "\xc3\xa9 A \xf0\x9f\x98\x80 B", 'B', 1, 10);
        check("k: A B  \n   C\n\n\n   D E\n", TREE_YAML, "A B C\n\nD E", 'E', 5, 6);
        check("k:\n  A\r\n  \tB\r\n\r\n  C\n", TREE_YAML, "A B\nC", 'C', 5, 3);
        check("k: &anchor A B", TREE_YAML, "A B", 'B', 1, 14);
        check("k: &a:A", TREE_YAML, ":A", 'A', 1, 7);
        check("k: &a # note A\n\n  B C", TREE_YAML, "B C", 'C', 3, 5);
}

static void test_single_quoted(void **state) {
        check("k: 'AB'", TREE_YAML, "AB", 'A', 1, 5);
        check("k: 'A''B''''C'", TREE_YAML, "A'B''C", 'C', 1, 13);
        check("k: 'A\n   ''B  \n\n  C'", TREE_YAML, "A 'B\nC", 'C', 4, 3);
        check("k: ' A '", TREE_YAML, " A ", 'A', 1, 6);
}

static void test_double_quoted(void **state) {
        check("k: \"A\\n\\tB\\\"\\\\\\/C\"", TREE_YAML, "A\n\tB\"\\/C", 'C', 1, 17);
        check("k: \"\\x41B\\u20acC\\U0001F600D\"", TREE_YAML, "AB\xe2\x82\xac" "C\xf0\x9f\x98\x80" "D", 'D', 1, 27);
        check("k: \"\\N\\_\\L\\PA\"", TREE_YAML, "\xc2\x85\xc2\xa0\xe2\x80\xa8\xe2\x80\xa9" "A", 'A', 1, 13);
        check("k: \"A\\\n   B\\\n\n  C\"", TREE_YAML, "AB\nC", 'C', 4, 3);
        check("k: \"A \\\n  \\ B\n  C\"", TREE_YAML, "A  B C", 'C', 3, 3);
        check("k: \"\\u00e9\\e\\aA\"", TREE_YAML, "\xc3\xa9\033\aA", 'A', 1, 15);
}

static void test_literal(void **state) {
        check("k: |\n  A\n    B\n\n  C\n", TREE_YAML, "A\n  B\n\nC\n", 'C', 5, 3);
        check("k: |-   # note A\n\n\n     A\n     \xc3\xa9 B", TREE_YAML, "\n\nA\n\xc3\xa9 B", 'B', 5, 8);
        check("k: |2\n    A\n  B\n", TREE_YAML, "  A\nB\n", 'A', 2, 5);
        check("k: |+\r\n  A\r\n  B\r\n\r\n", TREE_YAML, "A\nB\n\n", 'B', 3, 3);
        check("k: &a |\n  A B\n", TREE_YAML, "A B\n", 'B', 2, 5);
        check("a:\n  k: x\nk: |\n  \n  A\n", TREE_YAML, "\nA\n", 'A', 5, 3);
}

static void test_folded(void **state) {
        check("k: >\n  A B\n  C\n  D\n", TREE_YAML, "A B C D\n", 'D', 4, 3);
        check("k: >-\n  A\n\n\n  B\n  C", TREE_YAML, "A\n\nB C", 'C', 6, 3);
        check("k: >\n\n  A\n    B\n    C\n  D\n  E\n", TREE_YAML, "\nA\n  B\n  C\nD E\n", 'E', 7, 3);
        check("k: >1\n  A\n B\n", TREE_YAML, " A\nB\n", 'B', 3, 2);
        check("k: >\n  A \n  \xc3\xa9" "B\n", TREE_YAML, "A  \xc3\xa9" "B\n", 'B', 3, 4);
}

static void test_json(void **state) {
        check("{\"k\": \"A\\n\\\"B\\/\\u0041C\"}", TREE_JSON, "A\n\"B/AC", 'C', 1, 22);
        check("{\n \"k\": \"\xc3\xa9\\ud83d\\ude00 A\\u00e9\\u20ac\\\\B\"}", TREE_JSON, "\xc3\xa9\xf0\x9f\x98\x80 A\xc3\xa9\xe2\x82\xac\\B",
              'B', 2, 37);
}

static void test_ends(void **state) {
        static const struct {
                const char *text;
                unsigned line, column;
        } table[] = {{"k: AB", 1, 6},      {"k: 'AB'", 1, 7}, {"k: \"AB\"", 1, 7}, {"k: |-\n AB", 2, 4},
                     {"k: >-\n AB", 2, 4}, {"k: ''", 1, 4},   {"k: 15", 1, 6}};
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(tree_freep) Tree *t = parse(table[i].text, TREE_YAML);
                const Node *n = node_get(tree_root(t), "k");
                unsigned l, c, l2, c2;
                node_position(t, n, n->length, &l, &c);
                node_position(t, n, SIZE_MAX, &l2, &c2);        /* beyond the end is the end */
                if (l != table[i].line || c != table[i].column || l2 != l || c2 != c)
                        fail_msg("%s: %u:%u", table[i].text, l, c);
        }
}

static void test_containers(void **state) {
        _cleanup_(tree_freep) Tree *t = parse("a: 1\nk:\n  - x\n", TREE_YAML);
        unsigned l, c;
        node_position(t, node_get(tree_root(t), "k"), 5, &l, &c);
        assert_int_equal(l, 3);
        assert_int_equal(c, 3);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_single_quoted),
        cmocka_unit_test(test_double_quoted),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_folded),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_containers),
};
TEST_MAIN(tests)
