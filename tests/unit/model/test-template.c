/* Values with expressions in their strings, and conditions. */
#include <stdio.h>

#include "template.h"
#include "test.h"

static int give_value(void *userdata, ExprRoot root, const char *key, Json **ret, bool *ret_lenient) {
        static const char text[] = "{\"n\": 5, \"s\": \"a b\", \"l\": [1, {\"k\": null}], \"nil\": null, \"t\": true, \"nul\": "
                                   "\"a\\u0000b\", \"d\": 2.0}";
        _cleanup_json_ Json *all = NULL;
        int r = json_parse(text, strlen(text), &all);
        if (r < 0)
                return r;
        if (key && !json_has(all, key))
                return -ENOENT;
        *ret = json_ref(key ? json_get(all, key) : all);
        return 0;
}

static bool give_status(void *userdata, ExprStatus s) {
        return s == EXPR_STATUS_SUCCESS;
}

static const ExprScope scope = {.lookup = give_value, .status = give_status};

typedef struct Compiled {
        Diagnostics d;
        Tree *tree;
        Template *template;
        Expr *condition;
        int result;
} Compiled;

static void compiled_done(Compiled *c) {
        template_free(c->template);
        expr_free(c->condition);
        tree_free(c->tree);
        diag_done(&c->d);
}
#define _cleanup_compiled_ _cleanup_(compiled_done)

static const Node *parse(Compiled *c, const char *text, size_t n, TreeFormat format) {
        *c = (Compiled){0};
        assert_ok(tree_parse(text, n, format, &c->d, &c->tree));
        return node_get(tree_root(c->tree), "v");
}

static void compile(Compiled *c, const char *yaml) {
        const Node *node = parse(c, yaml, strlen(yaml), TREE_YAML);
        c->result = template_compile(c->tree, node, &c->d, &c->template);
}

static void test_values(void **state) {
        static const struct {
                const char *yaml, *result;
                bool constant;
        } cases[] = {
                        {"v: plain\n", "\"plain\"", true},
                        {"v: 5\n", "5", true},
                        {"v: [1, {a: b}, null]\n", "[1,{\"a\":\"b\"},null]", true},
                        {"v: {}\n", "{}", true},
                        /* exactly one expression keeps its type */
                        {"v: ${{ inputs.n }}\n", "5", false},
                        {"v: ${{ inputs.l }}\n", "[1,{\"k\":null}]", false},
                        {"v: ${{ inputs.nil }}\n", "null", false},
                        {"v: ${{ inputs.s }}\n", "\"a b\"", false},
                        {"v: ' ${{ inputs.n }}'\n", "\" 5\"", false},
                        {"v: |\n  ${{ inputs.n }}\n", "\"5\\n\"", false},
                        {"v: ${{ inputs.n }}${{ inputs.n }}\n", "\"55\"", false},
                        /* in text: null is empty, true/false, whole numbers without a point, lists and objects compact JSON */
                        {"v: '[${{ inputs.nil }}|${{ inputs.t }}|${{ inputs.d }}|${{ inputs.l }}]'\n", "\"[|true|2|[1,{\\\"k\\\":null}]]\"",
                         false},
                        {"v: {a: [x, '${{ inputs.n }}', 'n=${{ inputs.n }}'], '${{ inputs.n }}': 1}\n",
                         "{\"a\":[\"x\",5,\"n=5\"],\"${{ inputs.n }}\":1}", false},
                        {"v: \"${{ '}}' }} ${{ '${{' }} ${{ \\\"}}\\\\\\\"\\\" }}\"\n", "\"}} ${{ }}\\\"\"", false},
                        {"v: a $${{ 1 }} $\n", "\"a $1 $\"", false},
                        {"v: ${{ 'it''s }}' }}\n", "\"it's }}\"", false},
                        {"v: $ {{ a }} ${ b }\n", "\"$ {{ a }} ${ b }\"", true},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_compiled_ Compiled c;
                _cleanup_json_ Json *v = NULL;
                char *error = NULL;
                compile(&c, cases[i].yaml);
                assert_ok(c.result);
                assert_int_equal(template_is_constant(c.template), cases[i].constant);
                assert_ok(template_eval(c.template, &scope, &v, &error));
                _cleanup_free_ char *text = json_to_string(v, false);
                assert_string_equal(text, cases[i].result);
        }
}

static void test_text(void **state) {
        static const char *const cases[][2] = {{"v: ${{ inputs.n }}\n", "5"},     {"v: 7\n", "7"},
                                               {"v: [a, 1]\n", "[\"a\",1]"},      {"v:\n", ""},
                                               {"v: x${{ inputs.s }}\n", "xa b"}, {"v: ''\n", ""}};
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_compiled_ Compiled c;
                _cleanup_free_ char *text = NULL, *error = NULL;
                compile(&c, cases[i][0]);
                assert_ok(template_eval_text(c.template, &scope, &text, &error));
                assert_string_equal(text, cases[i][1]);
        }
}

static void test_eval_errors(void **state) {
        static const char *const cases[][2] = {
                        {"v: a ${{ inputs.none }}\n", "no member 'none'"},
                        {"v: [1, {a: '${{ inputs.s.x }}'}]\n", "no members"},
                        {"v: ${{ inputs.nul }}\n", "NUL"},
                        {"v: x${{ inputs.nul }}\n", "NUL"},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_compiled_ Compiled c;
                _cleanup_free_ char *text = NULL, *error = NULL;
                compile(&c, cases[i][0]);
                assert_ok(c.result);
                assert_int_equal(template_eval_text(c.template, &scope, &text, &error), -EINVAL);
                assert_null(text);
                assert_non_null(strstr(error, cases[i][1]));
        }
}

static void test_load_errors(void **state) {
        static const struct {
                const char *yaml;
                unsigned line, column;
                const char *part;
        } cases[] = {
                        {"v: a ${{ input.x }}\n", 1, 10, "'inputs'"},
                        {"v: a ${{ 1 \n", 1, 6, "not closed"},
                        {"v: ${{ 'a }} b\n", 1, 4, "not closed"},
                        {"v: ${{ }}\n", 1, 8, "empty"},
                        {"v:\n  - ok\n  - b: \"\\u00e4 ${{ 1 + 1 }}\"\n", 3, 22, "'+'"},
                        {"v: |\n  one\n  ä ${{ zzzz }}\n", 3, 9, "Unknown"},
                        {"v: >-\n  folded\n  ${{ 'x' }} ${{ y }}\n", 3, 18, "Unknown"},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_compiled_ Compiled c;
                compile(&c, cases[i].yaml);
                assert_int_equal(c.result, -EINVAL);
                assert_null(c.template);
                assert_int_equal(c.d.n_items, 1);
                if (c.d.items[0].line != cases[i].line || c.d.items[0].column != cases[i].column ||
                    !strstr(c.d.items[0].message, cases[i].part))
                        print_error("%s: %u:%u: %s\n", cases[i].yaml, c.d.items[0].line, c.d.items[0].column, c.d.items[0].message);
                assert_int_equal(c.d.items[0].line, cases[i].line);
                assert_int_equal(c.d.items[0].column, cases[i].column);
                assert_non_null(strstr(c.d.items[0].message, cases[i].part));
        }
        _cleanup_compiled_ Compiled c;
        compile(&c, "v: {a: '${{ x }} ${{ y }}', b: ['${{ z }}']}\n");
        assert_int_equal(c.d.n_errors, 3); /* all of them at once */
}

typedef struct Visits {
        char text[256];
} Visits;

static void visit(void *userdata, const ExprRef *ref, unsigned line, unsigned column) {
        Visits *v = userdata;
        size_t n = strlen(v->text);
        snprintf(v->text + n, sizeof(v->text) - n, "%s.%s %u:%u;", expr_root_to_string(ref->root), ref->n_path > 0 ? ref->path[0] : "",
                 line, column);
}

static void test_references(void **state) {
        _cleanup_compiled_ Compiled c;
        compile(&c, "v:\n  a: x ${{ inputs.a && env.B }}\n  b: [1, '${{ failure() || steps.s.state }}']\n");
        assert_ok(c.result);
        Visits v = {0};
        template_visit(c.template, visit, &v);
        assert_string_equal(v.text, "inputs.a 2:12;env.B 2:24;steps.s 3:28;");
}

static void test_conditions(void **state) {
        static const struct {
                const char *yaml, *result;
        } cases[] = {
                        {"v: inputs.n == 5\n", "true"},
                        {"v: ${{ inputs.n == 5 }}\n", "true"},
                        {"v: '  ${{ inputs.n }}  '\n", "5"},
                        {"v: |\n  success() &&\n  inputs.n\n", "5"},
                        {"v: true\n", "true"},
                        {"v: false\n", "false"},
                        {"v: 0\n", "0"},
                        {"v: 1.5\n", "1.5"},
                        {"v: \"'${{' == '}}'\"\n", "false"},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_compiled_ Compiled c;
                _cleanup_json_ Json *v = NULL;
                char *error = NULL;
                const Node *node = parse(&c, cases[i].yaml, strlen(cases[i].yaml), TREE_YAML);
                assert_ok(condition_compile(c.tree, node, &c.d, &c.condition));
                assert_ok(expr_eval(c.condition, &scope, &v, &error));
                _cleanup_free_ char *text = json_to_string(v, false);
                assert_string_equal(text, cases[i].result);
        }
}

static void test_condition_errors(void **state) {
        static const struct {
                const char *yaml;
                unsigned line, column;
        } cases[] = {
                        {"v: inputs.n = 5\n", 1, 13},
                        {"v: ${{ a }} && ${{ b }}\n", 1, 12},
                        {"v: 1 && ${{ b }}\n", 1, 9},
                        {"v: ${{ a\n", 1, 4},
                        {"v: ''\n", 1, 4},
                        {"v:\n", 1, 3},
                        {"v: [a]\n", 1, 4},
                        {"v: {a: b}\n", 1, 4},
                        {"v: ${{ inputs.x && q }}\n", 1, 20},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_compiled_ Compiled c;
                const Node *node = parse(&c, cases[i].yaml, strlen(cases[i].yaml), TREE_YAML);
                assert_int_equal(condition_compile(c.tree, node, &c.d, &c.condition), -EINVAL);
                assert_int_equal(c.d.n_items, 1);
                if (c.d.items[0].line != cases[i].line || c.d.items[0].column != cases[i].column)
                        print_error("%s: %u:%u: %s\n", cases[i].yaml, c.d.items[0].line, c.d.items[0].column, c.d.items[0].message);
                assert_int_equal(c.d.items[0].line, cases[i].line);
                assert_int_equal(c.d.items[0].column, cases[i].column);
        }
}

static void repeat(StrBuf *b, const char *s, size_t n) {
        for (size_t i = 0; i < n; i++)
                strbuf_append(b, s);
}

/* A value that would be larger than 8 MiB is an error. */
static void test_value_max(void **state) {
        _cleanup_strbuf_ StrBuf b = {0};
        strbuf_append(&b, "v: \"");
        for (size_t i = 0; i < 9; i++) {
                strbuf_append(&b, "${{ format('");
                repeat(&b, "{0}", 1100);
                strbuf_append(&b, "', '");
                repeat(&b, "x", 1000);
                strbuf_append(&b, "') }}");
        }
        strbuf_append(&b, "\"\n");
        _cleanup_compiled_ Compiled c;
        _cleanup_json_ Json *v = NULL;
        _cleanup_free_ char *error = NULL;
        const Node *node = parse(&c, b.s, b.n, TREE_YAML);
        assert_ok(template_compile(c.tree, node, &c.d, &c.template));
        assert_int_equal(template_eval(c.template, &scope, &v, &error), -EINVAL);
        assert_non_null(strstr(error, "8 MiB"));
}

/* Aliases make many texts of one: the sum is capped. */
static void test_text_max(void **state) {
        _cleanup_strbuf_ StrBuf b = {0};
        strbuf_append(&b, "v:\n  - &a \"${{ 1 }}");
        repeat(&b, "x", 500000);
        strbuf_append(&b, "\"\n");
        repeat(&b, "  - *a\n", 10);
        _cleanup_compiled_ Compiled c;
        const Node *node = parse(&c, b.s, b.n, TREE_YAML);
        assert_int_equal(template_compile(c.tree, node, &c.d, &c.template), -EINVAL);
        assert_non_null(strstr(c.d.items[0].message, "4 MiB"));
}

/* Very many expressions: positions become those of the text, but nothing takes long. */
static void test_many_expressions(void **state) {
        _cleanup_strbuf_ StrBuf b = {0};
        strbuf_append(&b, "v: \"");
        repeat(&b, "${{inputs.n}}", 60000);
        strbuf_append(&b, "\"\n");
        _cleanup_compiled_ Compiled c;
        _cleanup_free_ char *text = NULL;
        char *error = NULL;
        const Node *node = parse(&c, b.s, b.n, TREE_YAML);
        assert_ok(template_compile(c.tree, node, &c.d, &c.template));
        assert_ok(template_eval_text(c.template, &scope, &text, &error));
        assert_int_equal(strlen(text), 60000);
        assert_null(template_free(NULL));
}

static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values),           cmocka_unit_test(test_text),       cmocka_unit_test(test_eval_errors),
                cmocka_unit_test(test_load_errors),      cmocka_unit_test(test_references), cmocka_unit_test(test_conditions),
                cmocka_unit_test(test_condition_errors), cmocka_unit_test(test_value_max),  cmocka_unit_test(test_text_max),
                cmocka_unit_test(test_many_expressions),
};
TEST_MAIN(tests)
