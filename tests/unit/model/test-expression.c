/* The grammar and the semantics of ${{ … }}: what parses to what, what is refused where, and what each operator and function gives. */
#include "expression.h"
#include "test.h"

static const char world_text[] = "{\"inputs\": {\"s\": \"text\", \"empty\": \"\", \"n\": 5, \"big\": 9007199254740993, \"d\": 2.5, \"t\": "
                                 "true, \"f\": false, \"nil\": null, \"list\": [1, \"2\", null],"
                                 " \"o\": {\"a-b\": 1, \"odd name\": 2, \"x\": {\"y\": \"deep\"}}, \"a-b\": \"dash\", \"true\": \"kw\", "
                                 "\"five\": \"5\", \"nul\": \"a\\u0000b\"},"
                                 " \"run\": {\"id\": 7, \"name\": \"r\", \"attempt\": 1, \"startedBy\": \"alice\"}, \"env\": {\"HOME\": "
                                 "\"/root\"}, \"trigger\": {\"runId\": 7},"
                                 " \"activities\": {\"ok\": {\"state\": \"success\", \"attempt\": 1, \"outputs\": {\"tarball\": \"x.tar\", "
                                 "\"list\": [1]}, \"error\": null},"
                                 "                  \"lax\": {\"state\": \"skipped\", \"attempt\": 0, \"outputs\": {\"here\": [1]}, "
                                 "\"error\": null}, \"1.2\": {\"state\": \"success\", \"outputs\": {}}},"
                                 " \"steps\": {\"a\": {\"state\": \"success\", \"outputs\": {\"ok\": true}, \"error\": null}}, \"phases\": "
                                 "{\"build\": {\"state\": \"failed\"}}}";

typedef struct World {
        Json *data;
        unsigned n_lookups;
        unsigned status;
        int fail;
} World;

static int world_lookup(void *userdata, ExprRoot root, const char *key, Json **ret, bool *ret_lenient) {
        World *w = userdata;
        w->n_lookups++;
        if (w->fail < 0)
                return w->fail;
        Json *context = json_get(w->data, expr_root_to_string(root));
        if (key && !json_has(context, key))
                return -ENOENT;
        if (!key && !context)
                return -ENOENT;
        *ret_lenient = key && streq(key, "lax");
        *ret = json_ref(key ? json_get(context, key) : context);
        return 0;
}

static bool world_status(void *userdata, ExprStatus s) {
        return ((World *)userdata)->status & s;
}

static World world;
static const ExprScope scope = {world_lookup, world_status, &world};

static int setup(void **state) {
        world = (World){.status = EXPR_STATUS_SUCCESS};
        return json_parse(world_text, strlen(world_text), &world.data);
}

static int teardown(void **state) {
        world.data = json_unref(world.data);
        return 0;
}

/* 0 and the result as JSON text, or the error and its message. */
static int run(const char *text, char **ret) {
        _cleanup_(expr_freep) Expr *e = NULL;
        _cleanup_json_ Json *v = NULL;
        size_t offset = 0;
        int r = expr_parse(text, strlen(text), &e, ret, &offset);
        if (r >= 0)
                r = expr_eval(e, &scope, &v, ret);
        if (r >= 0)
                *ret = json_to_string(v, false);
        return r;
}

typedef struct Case {
        const char *text, *result;
} Case;

static void check_values(const Case *cases, size_t n) {
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *result = NULL;
                int r = run(cases[i].text, &result);
                if (r < 0 || !streq(strempty(result), cases[i].result))
                        print_error("%s: %s, expected %s\n", cases[i].text, strempty(result), cases[i].result);
                assert_ok(r);
                assert_string_equal(result, cases[i].result);
        }
}

static void test_literals(void **state) {
        static const Case cases[] = {
                        {"1", "1"},
                        {" -0 ", "0"},
                        {"-12.5", "-12.5"},
                        {"1e3", "1000"},
                        {"1.5E-1", "0.15"},
                        {"9223372036854775807", "9223372036854775807"},
                        {"-9223372036854775808", "-9223372036854775808"},
                        {"'it''s'", "\"it's\""},
                        {"''", "\"\""},
                        {"''''", "\"'\""},
                        {"'}}'", "\"}}\""},
                        {"\"a\\n\\u00e4\\\"\"", "\"a\\nä\\\"\""},
                        {"'a\\n'", "\"a\\\\n\""},
                        {"true", "true"},
                        {"false", "false"},
                        {"null", "null"},
                        {"(((1)))", "1"},
                        {"\t1\n", "1"},
        };
        check_values(cases, ELEMENTSOF(cases));
}

static void test_members(void **state) {
        static const Case cases[] = {
                        {"inputs.s", "\"text\""},
                        {"inputs . s", "\"text\""},
                        {"inputs['s']", "\"text\""},
                        {"inputs[\"s\"]", "\"text\""},
                        {"inputs.a-b", "\"dash\""},
                        {"inputs.true", "\"kw\""},
                        {"inputs.o.a-b", "1"},
                        {"inputs.o['odd name']", "2"},
                        {"inputs.o.x.y", "\"deep\""},
                        {"inputs['o']['x']['y']", "\"deep\""},
                        {"inputs.list[0]", "1"},
                        {"inputs.list[1]", "\"2\""},
                        {"inputs.list[inputs.list[0]]", "\"2\""},
                        {"inputs[inputs.true && 's']", "\"text\""},
                        {"(inputs).s", "\"text\""},
                        {"inputs.nil.anything.at['all'][0]", "null"},
                        {"fromJSON('{\"k\":[1,2]}').k[1]", "2"},
                        {"run.id", "7"},
                        {"trigger.runId", "7"},
                        {"env.HOME", "\"/root\""},
                        {"activities['1.2'].state", "\"success\""},
                        {"activities.ok.error.message", "null"},
                        {"phases.build.state", "\"failed\""},
                        {"steps.a.outputs.ok", "true"},
                        {"toJSON(phases)", "\"{\\\"build\\\":{\\\"state\\\":\\\"failed\\\"}}\""},
        };
        check_values(cases, ELEMENTSOF(cases));
}

/* A missing key is null where the owner was skipped, ignored, failed or cancelled; its own members are always the four. */
static void test_lenient_members(void **state) {
        static const Case cases[] = {
                        {"activities.lax.outputs.none", "null"},
                        {"activities.lax.outputs.none.deeper[3]", "null"},
                        {"activities.lax.outputs.here[7]", "null"},
                        {"activities.lax.outputs.here[0]", "1"},
                        {"activities.lax.outputs['none'] || 'other'", "\"other\""},
        };
        check_values(cases, ELEMENTSOF(cases));
}

static void test_operators(void **state) {
        static const Case cases[] = {
                        {"!inputs.t", "false"},
                        {"!!1", "true"},
                        {"!'' && !0 && !null && !false", "true"},
                        {"! '0'", "false"},
                        {"!0.0", "true"},
                        /* && and || give the deciding operand */
                        {"inputs.empty || 'default'", "\"default\""},
                        {"0 || null", "null"},
                        {"1 && 'x'", "\"x\""},
                        {"0 && 'x'", "0"},
                        {"'a' || 'b' || 'c'", "\"a\""},
                        {"fromJSON('[]') && 1", "1"},
                        {"fromJSON('{}') && 1", "1"},
                        /* precedence: !, relations, equality, &&, || */
                        {"1 || 0 && 0", "1"},
                        {"0 && 1 || 2", "2"},
                        {"1 < 2 == true", "true"},
                        {"true == 1 < 2", "true"},
                        {"!1 == false", "true"},
                        {"1 == 1 && 2 == 2", "true"},
                        {"(1 || 0) && 0", "0"},
                        {"!(1 == 2)", "true"},
                        {"1 == 1 == true", "true"},
                        {"1 < 2", "true"},
                        {"2 <= 2", "true"},
                        {"2 > 2", "false"},
                        {"2 >= 2.0", "true"},
                        {"1.5 < 2", "true"},
                        {"'a' < 'b'", "true"},
                        {"'a' < 'ab'", "true"},
                        {"'B' < 'a'", "true"},
                        {"'' < 'a'", "true"},
                        {"'10' < '9'", "true"},
        };
        check_values(cases, ELEMENTSOF(cases));
}

static void test_equality(void **state) {
        static const Case cases[] = {
                        {"1 == 1.0", "true"},
                        {"5 == '5'", "true"},
                        {"inputs.five == inputs.n", "true"},
                        {"'5.0' == 5", "true"},
                        {"'5e0' == 5", "true"},
                        {"5 == ' 5'", "false"},
                        {"5 == '05'", "false"},
                        {"5 == ''", "false"},
                        {"0 == ''", "false"},
                        {"1 == true", "false"},
                        {"'true' == true", "false"},
                        {"null == false", "false"},
                        {"null == ''", "false"},
                        {"null == null", "true"},
                        {"null == 0", "false"},
                        {"'a' == 'A'", "false"},
                        {"'a' != 'b'", "true"},
                        {"1 != '1'", "false"},
                        {"'5' == '5.0'", "false"},
                        {"fromJSON('[1,{\"a\":2}]') == fromJSON('[1.0,{\"a\":2}]')", "true"},
                        {"inputs.list == inputs.o", "false"},
                        /* integers of 64 bits stay exact */
                        {"inputs.big == 9007199254740993", "true"},
                        {"inputs.big == 9007199254740992", "false"},
                        {"inputs.big == '9007199254740993'", "true"},
                        {"inputs.big == 9007199254740992.0", "false"},
                        {"inputs.big > 9007199254740992.0", "true"},
                        {"9223372036854775807 < 9223372036854775808.0", "true"},
                        {"-9223372036854775808 == -9223372036854775808.0", "true"},
                        {"-1e30 < -9223372036854775808", "true"},
                        {"2 < 2.5", "true"},
                        {"-2 > -2.5", "true"},
        };
        check_values(cases, ELEMENTSOF(cases));
}

static void test_functions(void **state) {
        static const Case cases[] = {
                        {"contains(inputs.list, 1)", "true"},
                        {"contains(inputs.list, '1')", "true"},
                        {"contains(inputs.list, 2)", "true"},
                        {"contains(inputs.list, null)", "true"},
                        {"contains(inputs.list, 'x')", "false"},
                        {"contains('abc', 'bc')", "true"},
                        {"contains('abc', '')", "true"},
                        {"contains('abc', 'B')", "false"},
                        {"startsWith('abc', 'ab')", "true"},
                        {"startsWith('a', 'ab')", "false"},
                        {"endsWith('abc', 'bc')", "true"},
                        {"endsWith('abc', 'ab')", "false"},
                        {"endsWith('abc', '')", "true"},
                        {"format('{0}-{1}-{0}', 'a', 2)", "\"a-2-a\""},
                        {"format('{{{0}}}', 1)", "\"{1}\""},
                        {"format('')", "\"\""},
                        {"format('{0},{1},{2},{3},{4}', null, true, 1e3, inputs.list, inputs.d)", "\",true,1000,[1,\\\"2\\\",null],2.5\""},
                        {"format('{00}', 1)", "\"1\""},
                        {"toJSON('a\"/')", "\"\\\"a\\\\\\\"/\\\"\""},
                        {"toJSON(null)", "\"null\""},
                        {"fromJSON(toJSON(inputs)).big", "9007199254740993"},
                        {"fromJSON(' 1 ')", "1"},
                        {"fromJSON('null')", "null"},
        };
        check_values(cases, ELEMENTSOF(cases));
}

static void test_status_functions(void **state) {
        static const Case cases[] = {{"success()", "true"},
                                     {"failure()", "false"},
                                     {"always()", "true"},
                                     {"cancelled ( )", "false"},
                                     {"success() && !cancelled()", "true"}};
        check_values(cases, ELEMENTSOF(cases));
        world.status = EXPR_STATUS_FAILURE | EXPR_STATUS_CANCELLED;
        static const Case other[] = {{"success()", "false"}, {"failure()", "true"}, {"always()", "true"}, {"cancelled()", "true"}};
        check_values(other, ELEMENTSOF(other));
        world.status = EXPR_STATUS_SUCCESS;

        _cleanup_(expr_freep) Expr *e = NULL;
        char *error = NULL;
        size_t offset;
        static const char text[] = "failure() || (inputs.t && always())";
        assert_ok(expr_parse(text, strlen(text), &e, &error, &offset));
        assert_int_equal(expr_status_used(e), EXPR_STATUS_FAILURE | EXPR_STATUS_ALWAYS);
}

/* What isn't needed is not evaluated. */
static void test_short_circuit(void **state) {
        static const Case cases[] = {{"1 || inputs.s", "1"}, {"0 && inputs.nothing", "0"}, {"1 || fromJSON('x')", "1"}};
        world.n_lookups = 0;
        check_values(cases, ELEMENTSOF(cases));
        assert_int_equal(world.n_lookups, 0);
}

static void test_parse_errors(void **state) {
        static const struct {
                const char *text;
                size_t offset;
                const char *part; /* of the message */
        } cases[] = {
                        {"", 0, "empty"},
                        {"  ", 2, "empty"},
                        {"1 +", 2, "'+'"},
                        {"1 2", 2, "operator"},
                        {"a -1", 0, "Unknown"},
                        {"inputs.s -1", 9, "operator"},
                        {"input.x", 0, "'inputs'"},
                        {"nul", 0, "'null'"},
                        {"zzzzzz", 0, "Unknown name"},
                        {"success", 0, "success("},
                        {"sucess()", 0, "'success'"},
                        {"inputs('x')", 0, "function"},
                        {"toJson(1)", 0, "'toJSON'"},
                        {"1 = 1", 2, "=="},
                        {"1 & 1", 2, "&&"},
                        {"1 | 1", 2, "||"},
                        {"$inputs", 0, "'$'"},
                        {"'abc", 0, "quote"},
                        {"\"abc", 0, "double quote"},
                        {"\"\\x\"", 0, "JSON"},
                        {"\"a\nb\"", 0, "JSON"},
                        {"(1", 2, "')'"},
                        {"1)", 1, "operator"},
                        {"inputs.", 7, "name"},
                        {"inputs.1", 7, "['"},
                        {"inputs[", 7, "value"},
                        {"inputs['a'", 10, "']'"},
                        {"inputs[0]", 7, "names"},
                        {"inputs.a[1.5]", 9, "whole number"},
                        {"inputs.a[null]", 9, "null"},
                        {"inputs[\"a\\u0000\"]", 7, "NUL"},
                        {"007", 0, "number"},
                        {"1a", 0, "number"},
                        {"1.", 0, "number"},
                        {".5", 0, "value"},
                        {"-", 0, "number"},
                        {"1e999", 0, "too large"},
                        {"1 &&", 4, "value"},
                        {"&& 1", 0, "value"},
                        {"!", 1, "value"},
                        {"contains('a')", 0, "2 arguments"},
                        {"contains('a','b','c')", 0, "3 are given"},
                        {"success(1)", 0, "no arguments"},
                        {"format()", 0, "at least 1"},
                        {"toJSON()", 0, "1 argument"},
                        {"contains('a',)", 13, "argument"},
                        {"contains(,)", 9, "value"},
                        {"contains('a' 'b')", 13, "','"},
                        {"format(1)", 7, "text"},
                        {"format('{0}')", 7, "{0}"},
                        {"format('{')", 7, "{{"},
                        {"format('}')", 7, "{{"},
                        {"format('{x}', 1)", 7, "{{"},
                        {"format('{1}', 1)", 7, "{1}"},
                        {"format('{99999999999999999999}', 1)", 7, "names"},
                        {"run.ident", 4, "startedBy"},
                        {"run.nam", 4, "'name'"},
                        {"1 && failure.stack", 13, "step, attempt, error, log"},
                        {"phases.P.status", 9, "'state'"},
                        {"activities.A.output.x", 13, "'outputs'"},
                        {"steps.S['attempt']", 8, "outputs"},
                        {"\xff", 0, "character"},
                        {"ä", 0, "character"},
                        {"a'b'", 0, "Unknown"},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(expr_freep) Expr *e = NULL;
                _cleanup_free_ char *error = NULL;
                size_t offset = SIZE_MAX;
                int r = expr_parse(cases[i].text, strlen(cases[i].text), &e, &error, &offset);
                if (r != -EINVAL || !strstr(strempty(error), cases[i].part) || offset != cases[i].offset)
                        print_error("%s: %d at %zu: %s\n", cases[i].text, r, offset, strempty(error));
                assert_int_equal(r, -EINVAL);
                assert_int_equal(offset, cases[i].offset);
                assert_non_null(strstr(error, cases[i].part));
        }
}

static void test_nul_in_text(void **state) {
        Expr *e = NULL;
        char *error = NULL;
        size_t offset = 0;
        assert_int_equal(expr_parse("1\0", 2, &e, &error, &offset), -EINVAL);
        assert_int_equal(offset, 1);
        free(error);
}

static void test_eval_errors(void **state) {
        static const struct {
                const char *text, *part;
        } cases[] = {
                        {"inputs.none", "inputs has no member 'none'; there are:"},
                        {"inputs.listt", "Did you mean 'list'"},
                        {"activities.nope.state", "lax"},
                        {"activities.ok.outputs.tarbal", "Did you mean 'tarball'"},
                        {"activities.ok.outputs.zzz", "activities.ok.outputs has no member 'zzz'; there are: tarball, list."},
                        {"activities['1.2'].outputs.x", "empty"},
                        {"activities['1.2'].attempt", "no member"},
                        {"activities.lax['fo' && 'foo']", "no member 'foo'"},
                        {"inputs.list[3]", "has 3"},
                        {"inputs.list[-1]", "-1"},
                        {"inputs.list.x", "whole numbers"},
                        {"inputs.o[0]", "names"},
                        {"inputs.s.x", "a text, which has no members"},
                        {"inputs.n[0]", "a number"},
                        {"inputs[inputs.n]", "names"},
                        {"inputs[inputs.nil]", "null"},
                        {"inputs[inputs.nul]", "names"},
                        {"failure.step", "failure"},
                        {"toJSON(failure)", "failure"},
                        {"1 < '2'", "a number with a text"},
                        {"null < 1", "null with a number"},
                        {"true < false", "compares"},
                        {"inputs.list < inputs.list", "a list with a list"},
                        {"contains(1, 1)", "list or a text"},
                        {"contains('a', 1)", "a number"},
                        {"contains(inputs.o, 'x')", "an object"},
                        {"startsWith(null, 'a')", "startsWith() wants a text"},
                        {"endsWith('a', 1)", "endsWith()"},
                        {"fromJSON('{')", "not JSON"},
                        {"fromJSON('')", "not JSON"},
                        {"fromJSON(1)", "fromJSON()"},
                        {"format(inputs.n, 1)", "format()"},
                        {"format(inputs.s || '', 1) && format(fromJSON('\"{3}\"'), 1)", "{3}"},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *error = NULL;
                int r = run(cases[i].text, &error);
                if (r != -EINVAL || !strstr(strempty(error), cases[i].part))
                        print_error("%s: %d: %s\n", cases[i].text, r, strempty(error));
                assert_int_equal(r, -EINVAL);
                assert_non_null(strstr(error, cases[i].part));
        }
}

/* Messages speak of types and names, never of values, which may be private. */
static void test_errors_hold_no_values(void **state) {
        static const char *const cases[] = {"inputs.s.x", "inputs.s < 1", "fromJSON(inputs.s)", "contains(inputs.n, inputs.s)"};
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *error = NULL;
                assert_int_equal(run(cases[i], &error), -EINVAL);
                assert_null(strstr(error, "\"text\""));
                assert_null(strstr(error, "'text'"));
        }
}

static void test_lookup_fails(void **state) {
        _cleanup_free_ char *error = NULL;
        world.fail = -EIO;
        assert_int_equal(run("inputs.s", &error), -EINVAL);
        assert_non_null(strstr(error, "inputs can't be read"));
        world.fail = -ENOMEM;
        char *none = NULL;
        assert_int_equal(run("inputs.s", &none), -ENOMEM);
        assert_null(none);
        world.fail = 0;
}

static void test_refs(void **state) {
        static const char text[] = "inputs.a && activities.A.outputs.K.deep || steps[inputs['i j']].state == toJSON(env) && inputs.l[0] && "
                                   "phases.P[env.X]";
        static const struct {
                ExprRoot root;
                size_t offset, n_path;
                const char *path[3];
                bool computed;
        } expected[] = {
                        {EXPR_INPUTS, 0, 1, {"a"}, false},  {EXPR_ACTIVITIES, 12, 3, {"A", "outputs", "K"}, false},
                        {EXPR_STEPS, 43, 0, {0}, true},     {EXPR_INPUTS, 49, 1, {"i j"}, false},
                        {EXPR_ENV, 80, 0, {0}, false},      {EXPR_INPUTS, 88, 1, {"l"}, false},
                        {EXPR_PHASES, 103, 1, {"P"}, true}, {EXPR_ENV, 112, 1, {"X"}, false},
        };
        _cleanup_(expr_freep) Expr *e = NULL;
        char *error = NULL;
        size_t offset = 0, n = 0;
        assert_ok(expr_parse(text, strlen(text), &e, &error, &offset));
        const ExprRef *refs = expr_refs(e, &n);
        assert_int_equal(n, ELEMENTSOF(expected));
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(refs[i].root, expected[i].root);
                assert_int_equal(refs[i].offset, expected[i].offset);
                assert_int_equal(refs[i].n_path, expected[i].n_path);
                assert_int_equal(refs[i].computed, expected[i].computed);
                for (size_t j = 0; j < 3; j++)
                        assert_true(streq_ptr(refs[i].path[j], expected[i].path[j]));
        }
}

static void repeat(StrBuf *b, const char *s, size_t n) {
        for (size_t i = 0; i < n; i++)
                strbuf_append(b, s);
}

/* open × n, middle, close × n: parses or is refused as too deep. */
static int nested(const char *open, const char *middle, const char *close, size_t n) {
        _cleanup_strbuf_ StrBuf b = {0};
        repeat(&b, open, n);
        strbuf_append(&b, middle);
        repeat(&b, close, n);
        _cleanup_(expr_freep) Expr *e = NULL;
        _cleanup_free_ char *error = NULL;
        size_t offset = 0;
        int r = expr_parse(b.s, b.n, &e, &error, &offset);
        if (r == -EINVAL)
                assert_non_null(strstr(error, "deeper"));
        return r;
}

static void test_depth_max(void **state) {
        static const struct {
                const char *open, *middle, *close;
                size_t most;
        } cases[] = {
                        {"(", "1", ")", EXPR_DEPTH_MAX},
                        {"!", "1", "", EXPR_DEPTH_MAX - 1},
                        {"inputs[", "'a'", "]", EXPR_DEPTH_MAX - 1},
                        {"toJSON(", "1", ")", EXPR_DEPTH_MAX - 1},
                        {"", "inputs", ".a", EXPR_DEPTH_MAX - 1},
                        {"1==", "1", "", EXPR_DEPTH_MAX - 1},
                        {"1<", "1", "", EXPR_DEPTH_MAX - 1},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_ok(nested(cases[i].open, cases[i].middle, cases[i].close, cases[i].most));
                assert_int_equal(nested(cases[i].open, cases[i].middle, cases[i].close, cases[i].most + 1), -EINVAL);
                assert_int_equal(nested(cases[i].open, cases[i].middle, cases[i].close, 1000), -EINVAL);
        }
        assert_ok(nested("1||", "1", "", 3000)); /* chains are flat */
        assert_ok(nested("1&&", "1", "", 3000));
}

static void test_text_max(void **state) {
        _cleanup_strbuf_ StrBuf b = {0};
        Expr *e = NULL;
        char *error = NULL;
        size_t offset;
        strbuf_append(&b, "1");
        repeat(&b, " ", EXPR_TEXT_MAX - 1);
        assert_ok(expr_parse(b.s, b.n, &e, &error, &offset));
        expr_free(e);
        strbuf_append(&b, " ");
        assert_int_equal(expr_parse(b.s, b.n, &e, &error, &offset), -EINVAL);
        assert_non_null(strstr(error, "longer"));
        free(error);
}

/* format() and toJSON() that double their text, nested: stopped at the cap, long before memory. */
static void test_value_max(void **state) {
        static const char *const wraps[][2] = {{"format('{0}{0}{0}{0}', ", ")"}, {"toJSON(", ")"}};
        for (size_t i = 0; i < ELEMENTSOF(wraps); i++) {
                _cleanup_strbuf_ StrBuf b = {0};
                repeat(&b, wraps[i][0], 40);
                strbuf_append(&b, "'\"\"\"\"'");
                repeat(&b, wraps[i][1], 40);
                char *text = strbuf_take(&b);
                _cleanup_free_ char *error = NULL;
                assert_int_equal(run(text, &error), -EINVAL);
                assert_non_null(strstr(error, "8 MiB"));
                free(text);
        }
        _cleanup_free_ char *error = NULL;
        assert_int_equal(run("fromJSON(format('{0}{0}', format('{0}{0}{0}{0}{0}{0}{0}{0}', inputs.s)))", &error), -EINVAL);
        assert_non_null(strstr(error, "not JSON"));
}

static void test_text_of_values(void **state) {
        static const struct {
                const char *json, *text;
                bool truthy;
        } cases[] = {
                        {"null", "", false},
                        {"true", "true", true},
                        {"false", "false", false},
                        {"5", "5", true},
                        {"5.0", "5", true},
                        {"0", "0", false},
                        {"0.0", "0", false},
                        {"2.5", "2.5", true},
                        {"\"\"", "", false},
                        {"\"a b\"", "a b", true},
                        {"[1, \"a/b\"]", "[1,\"a/b\"]", true},
                        {"{}", "{}", true},
                        {"[]", "[]", true},
                        {"{\"a\": null}", "{\"a\":null}", true},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ Json *v = NULL;
                assert_ok(json_parse(cases[i].json, strlen(cases[i].json), &v));
                _cleanup_free_ char *text = expr_value_to_text(v);
                assert_string_equal(text, cases[i].text);
                assert_int_equal(expr_truthy(v), cases[i].truthy);
        }
        assert_null(expr_root_to_string(_EXPR_ROOT_MAX));
        assert_null(expr_free(NULL));
}

static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_literals),         cmocka_unit_test(test_members),       cmocka_unit_test(test_lenient_members),
                cmocka_unit_test(test_operators),        cmocka_unit_test(test_equality),      cmocka_unit_test(test_functions),
                cmocka_unit_test(test_status_functions), cmocka_unit_test(test_short_circuit), cmocka_unit_test(test_parse_errors),
                cmocka_unit_test(test_nul_in_text),      cmocka_unit_test(test_eval_errors),   cmocka_unit_test(test_errors_hold_no_values),
                cmocka_unit_test(test_lookup_fails),     cmocka_unit_test(test_refs),          cmocka_unit_test(test_depth_max),
                cmocka_unit_test(test_text_max),         cmocka_unit_test(test_value_max),     cmocka_unit_test(test_text_of_values),
};

int main(void) {
        return cmocka_run_group_tests(tests, setup, teardown);
}
