/* Shell commands with expressions: the script and the variables that come of them, and what is refused where (no injection, section 3). */
#include "shell-fixture.h"

static void test_scripts(void **state) {
        static const struct {
                const char *script, *result;
        } cases[] = {
                        {"echo ${{ inputs.v }}", "echo \"${RUNBOOK_EXPR_1}\""},
                        {"echo \"${{ inputs.v }}\"", "echo \"${RUNBOOK_EXPR_1}\""},
                        {"echo ${{inputs.v}} ${{ inputs.w }} ${{ inputs.v }}",
                         "echo \"${RUNBOOK_EXPR_1}\" \"${RUNBOOK_EXPR_2}\" \"${RUNBOOK_EXPR_1}\""},
                        {"cat <<E\n${{ inputs.v }}\nE", "cat <<E\n${RUNBOOK_EXPR_1}\nE"},
                        {"echo a # ${{ inputs.v }} b", "echo a # ${RUNBOOK_EXPR_1} b"},
                        {"echo ${{ '}}' }}a", "echo \"${RUNBOOK_EXPR_1}\"a"},
                        {"echo $$ $? ${x} '$y'", "echo $$ $? ${x} '$y'"},
                        {"", ""},
                        {"echo ${{ format('{0}\n',\n inputs.v) }} b", "echo \"${RUNBOOK_EXPR_1}\" b"},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_compiled_ Compiled c;
                compile_json(&c, cases[i].script, strlen(cases[i].script), SHELL_SH);
                assert_ok(c.result);
                assert_string_equal(shell_template_script(c.template), cases[i].result);
        }
}

/* A command without expressions is never refused, however broken, and is left as it is. */
static void test_no_expressions(void **state) {
        static const char *const cases[] = {
                        "echo 'open", "echo \"open", "`",         "$(",   "((", "[[",         "case x in", "cat <<EOF",
                        "cat <<",     "eval \"$x\"", ")",         "esac", "a[", "echo $'\\'", "\\",        "coproc x",
                        "${",         "$((",         ";;",        "<<<",  "#",  "x=(",        "[[ ( ]]",   "foo &> bar baz",
                        "@(a|b)",     "{{ x }}",     "$ {{ x }}",
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (ShellKind k = 0; k < _SHELL_MAX; k++) {
                        _cleanup_compiled_ Compiled c;
                        compile_json(&c, cases[i], strlen(cases[i]), k);
                        assert_ok(c.result);
                        assert_string_equal(shell_template_script(c.template), cases[i]);
                        assert_int_equal(shell_template_n_variables(c.template), 0);
                }
        _cleanup_compiled_ Compiled c;
        compile_json(&c, "echo", 4, _SHELL_INVALID);
        assert_ok(c.result);
}

/* --- what is refused --- */

/* ${{ inputs.bad }} stands where it is refused, at its own position; other expressions in the text are accepted. */
static const struct Refusal {
        const char *script, *part;
        unsigned on;
} refusals[] = {
                {"echo '${{ inputs.bad }}'", "single quotes", ON_ALL},
                {"echo ${{ inputs.v }}'a\nb ${{ inputs.bad }}'${{ inputs.v }} '${{ inputs.bad }}'", "single quotes", ON_ALL},
                {"echo \"$(echo '${{ inputs.bad }}')\"", "single quotes", ON_ALL},
                {"echo $'a${{ inputs.bad }}' ${{ inputs.v }}", "$'…'", ON_ALL},
                {"echo $\"${{ inputs.bad }}\"", "translated", ON_ALL},
                {"echo `echo ${{ inputs.bad }}` ${{ inputs.v }}", "backquotes", ON_ALL},
                {"echo \"`echo \\`x ${{ inputs.bad }}\\``\"", "backquotes", ON_ALL},
                {"cat <<'EOF'\n${{ inputs.bad }}\nEOF\necho ${{ inputs.v }}", "quoted delimiter", ON_ALL},
                {"cat <<\"EOF\"\n${{ inputs.bad }}\nEOF\n", "quoted delimiter", ON_ALL},
                {"cat <<\\EOF\n${{ inputs.bad }}\nEOF\n", "quoted delimiter", ON_ALL},
                {"cat <<-E'O'F\n\t${{ inputs.bad }}\n\tEOF\necho ${{ inputs.v }}", "quoted delimiter", ON_ALL},
                {"cat <<A <<'B'\n${{ inputs.v }}\nA\n${{ inputs.bad }}\nB\n", "quoted delimiter", ON_ALL},
                {"cat <<${{ inputs.bad }}\nx\n", "constant", ON_ALL},
                {"echo ${x:-${{ inputs.bad }}} ${{ inputs.v }}", "${…}", ON_ALL},
                {"echo \"${x:-${{ inputs.bad }}}\" \"${{ inputs.v }}\"", "${…}", ON_ALL},
                {"echo ${x:${{ inputs.bad }}}", "${…}", ON_ALL},
                {"echo ${x:-\"${{ inputs.bad }}\"}", "${…}", ON_ALL},
                {"echo ${x:-$(echo ${{ inputs.bad }})}", "${…}", ON_ALL},
                {"echo ${x[${{ inputs.bad }}]}", "${…}", ON_ALL},
                {"cat <<EOF\n${x#${{ inputs.bad }}}\nEOF\n", "${…}", ON_ALL},
                /* arithmetic */
                {"echo $((${{ inputs.bad }} + 1)) ${{ inputs.v }}", "arithmetic", ON_ALL},
                {"echo $((1+(2+${{ inputs.bad }})))", "arithmetic", ON_ALL},
                {"echo \"$(( $(echo ${{ inputs.bad }}) ))\"", "arithmetic", ON_ALL},
                {"((x = ${{ inputs.bad }})); echo ${{ inputs.v }}", "arithmetic", ON_BASH},
                {"for ((i=0; i<${{ inputs.bad }}; i++)); do echo ${{ inputs.v }}; done", "arithmetic", ON_BASH},
                {"echo $[${{ inputs.bad }}] ${{ inputs.v }}", "arithmetic", ON_BASH},
                {"let x=${{ inputs.bad }}", "arithmetic", ON_ALL},
                {"a[${{ inputs.bad }}]=${{ inputs.v }}", "subscript", ON_ALL},
                {"a[ ${{ inputs.bad }} ]=1", "subscript", ON_ALL},
                {"a[\"${{ inputs.bad }}\"]=1", "subscript", ON_ALL},
                {"a=([${{ inputs.bad }}]=1)", "subscript", ON_ALL},
                {"declare a[${{ inputs.bad }}]=1", "name of a variable", ON_ALL},
                {"[[ ${{ inputs.bad }} -eq 1 ]] && echo ${{ inputs.v }}", "[[", ON_BASH},
                {"if [[ \"${{ inputs.bad }}\" == x ]]; then :; fi", "[[", ON_ALL},
                {"[[ a && -n $(echo ${{ inputs.bad }}) ]]", "[[", ON_ALL},
                {"declare -i x=${{ inputs.bad }}", "computed", ON_ALL},
                {"local -ri x=${{ inputs.bad }}", "computed", ON_ALL},
                {"typeset -n x=${{ inputs.bad }}", "computed", ON_ALL},
                {"declare $o x=${{ inputs.bad }}", "computed", ON_ALL},
                {"declare -i x\nx=${{ inputs.bad }}; echo ${{ inputs.v }}", "computed", ON_ALL},
                {"f() { x=${{ inputs.bad }}; }\ndeclare -gi x; f", "computed", ON_ALL},
                {"declare -i x; for x in ${{ inputs.bad }}; do :; done", "computed", ON_ALL},
                {"declare -i x; read x <<< ${{ inputs.bad }}", "computed", ON_ALL},
                {"x=(1); declare x=${{ inputs.bad }}; declare x=a${{ inputs.v }}", "array", ON_ALL},
                {"declare -a x=${{ inputs.bad }}", "array", ON_ALL},
                {"local -A m=\"${{ inputs.bad }}\"", "array", ON_ALL},
                {"RANDOM=${{ inputs.bad }}", "evaluated", ON_ALL},
                {"SECONDS=${{ inputs.bad }} cmd ${{ inputs.v }}", "evaluated", ON_ALL},
                {"PS4=\"${{ inputs.bad }}\"; set -x", "evaluated", ON_ALL},
                {"export BASH_ENV=${{ inputs.bad }}", "evaluated", ON_ALL},
                {"env BASH_ENV=${{ inputs.bad }} bash x.sh ${{ inputs.v }}", "evaluated", ON_ALL},
                {"for PS4 in ${{ inputs.bad }}; do :; done", "evaluated", ON_ALL},
                {"for OPTIND in ${{ inputs.bad }}; do :; done", "evaluated", ON_ALL},
                /* words that are executed, or name what is */
                {"eval ${{ inputs.bad }}; echo ${{ inputs.v }}", "eval", ON_ALL},
                {"eval \"x=${{ inputs.bad }}\" ${{ inputs.bad }}", "eval", ON_ALL},
                {"x=1 eval \"${{ inputs.bad }}\"", "eval", ON_ALL},
                {"2>/dev/null eval \"${{ inputs.bad }}\"", "eval", ON_ALL},
                {"{fd}>/dev/null eval \"${{ inputs.bad }}\"", "eval", ON_ALL},
                {"if eval ${{ inputs.bad }}; then :; fi", "eval", ON_ALL},
                {"a && \\eval ${{ inputs.bad }}", "eval", ON_ALL},
                {"'ev'\"al\" ${{ inputs.bad }}", "eval", ON_ALL},
                {"ev\\\nal ${{ inputs.bad }}", "eval", ON_ALL},
                {"command eval ${{ inputs.bad }}", "eval", ON_ALL},
                {"builtin eval ${{ inputs.bad }}", "eval", ON_ALL},
                {"time -p eval ${{ inputs.bad }}", "eval", ON_ALL},
                {"x=$(eval ${{ inputs.bad }})", "eval", ON_ALL},
                {"eval \"$(echo ${{ inputs.bad }})\"", "eval", ON_ALL},
                {"f() { eval ${{ inputs.bad }}; }", "eval", ON_ALL},
                {"function f () { eval ${{ inputs.bad }}; }", "eval", ON_ALL},
                {"case x in a|b) eval ${{ inputs.bad }};; esac; echo ${{ inputs.v }}", "eval", ON_ALL},
                {"case x in esac; eval ${{ inputs.bad }}", "eval", ON_ALL},
                {"for i in a; do eval ${{ inputs.bad }}; done", "eval", ON_ALL},
                {"for i do eval ${{ inputs.bad }}; done", "eval", ON_ALL},
                {"while eval ${{ inputs.bad }}; do :; done", "eval", ON_ALL},
                {"$'eval' ${{ inputs.bad }}", "eval", ON_ALL},
                {"! eval ${{ inputs.bad }}", "eval", ON_ALL},
                {"{ eval ${{ inputs.bad }}; }", "eval", ON_ALL},
                {"(eval ${{ inputs.bad }}) && echo ${{ inputs.v }}", "eval", ON_ALL},
                {"echo a & eval ${{ inputs.bad }}", "eval", ON_ALL},
                {"cat <(eval ${{ inputs.bad }})", "eval", ON_ALL},
                {"echo # x\neval ${{ inputs.bad }}", "eval", ON_ALL},
                {"((x)) && eval ${{ inputs.bad }}", "eval", ON_BASH},
                {"[[ x ]] && eval ${{ inputs.bad }}", "eval", ON_BASH},
                {"trap \"rm ${{ inputs.bad }}\" EXIT; echo ${{ inputs.v }}", "trap", ON_ALL},
                {"alias x=${{ inputs.bad }}", "alias", ON_ALL},
                {"unset ${{ inputs.bad }}", "names", ON_ALL},
                {"read ${{ inputs.bad }}", "names", ON_ALL},
                {"read -r x < ${{ inputs.v }} ${{ inputs.bad }}", "names", ON_ALL},
                {"mapfile -C ${{ inputs.bad }} -c 1 a", "names", ON_ALL},
                {"compgen -W ${{ inputs.bad }}", "names", ON_ALL},
                {"printf -v ${{ inputs.bad }} %s ${{ inputs.v }}", "name of a variable", ON_ALL},
                {"printf -v\"${{ inputs.bad }}\" x", "name of a variable", ON_ALL},
                {"printf ${{ inputs.v }} ${{ inputs.bad }}", "name of a variable", ON_ALL},
                {"[ -v ${{ inputs.bad }} ]", "name of a variable", ON_ALL},
                {"test -v ${{ inputs.bad }}", "name of a variable", ON_ALL},
                {"[ ${{ inputs.v }} ${{ inputs.bad }} ]", "name of a variable", ON_ALL},
                {"[ $op ${{ inputs.bad }} ]", "name of a variable", ON_ALL},
                {"wait -n -p ${{ inputs.bad }}", "name of a variable", ON_ALL},
                {"declare \"${{ inputs.bad }}\"", "name of a variable", ON_ALL},
                {"declare ${{ inputs.bad }}=1", "name of a variable", ON_ALL},
                {"export x${{ inputs.bad }}=1", "name of a variable", ON_ALL},
                {"export a=${{ inputs.v }} \"${{ inputs.bad }}=x\"", "name of a variable", ON_ALL},
                {"for ${{ inputs.bad }} in a; do :; done", "name can't", ON_ALL},
                /* a command string, or text that a shell reads */
                {"sh -c \"echo ${{ inputs.bad }}\" sh ${{ inputs.v }}", "as an argument", ON_ALL},
                {"bash -euo pipefail -c ${{ inputs.bad }}", "as an argument", ON_ALL},
                {"/bin/bash -lc \"${{ inputs.bad }}\"", "as an argument", ON_ALL},
                {"sudo -u ${{ inputs.v }} sh -c \"${{ inputs.bad }}\"", "as an argument", ON_ALL},
                {"find . -exec sh -c \"${{ inputs.bad }}\" \\;", "as an argument", ON_ALL},
                {"$SHELL -c \"${{ inputs.bad }}\"", "as an argument", ON_ALL},
                {"$sudo bash -x -c \"${{ inputs.bad }}\"", "as an argument", ON_ALL},
                {"sh -c -- \"${{ inputs.bad }}\"", "as an argument", ON_ALL},
                {"sh ${{ inputs.v }} ${{ inputs.bad }}", "such as -c", ON_ALL},
                {"echo a >& \"x${{ inputs.bad }}\" ${{ inputs.v }}", "twice", ON_ALL},
                {"echo a 2>& $(echo ${{ inputs.bad }})", "twice", ON_ALL},
                {"sh -c $1 ${{ inputs.bad }}", "as an argument", ON_ALL},
                {"sh $1 ${{ inputs.bad }}", "such as -c", ON_ALL},
                {"$x eval ${{ inputs.bad }}", "eval", ON_ALL},
                {"$1\\eval ${{ inputs.bad }}", "eval", ON_ALL},
                {"$x\"command\" ev${y}al ${{ inputs.bad }}", "eval", ON_ALL},
                {"$run time bash -c ${{ inputs.bad }}", "as an argument", ON_ALL},
                {"docker run --entrypoint sh image -c ${{ inputs.bad }}", "as an argument", ON_ALL},
                {"bash -c + - ${{ inputs.bad }}", "as an argument", ON_ALL},
                {"sh -c \"$@\" ${{ inputs.bad }}", "as an argument", ON_ALL},
                {"sh -c \"${a[@]}\" ${{ inputs.bad }}", "as an argument", ON_ALL},
                {"\"$@\" eval ${{ inputs.bad }}", "eval", ON_ALL},
                {"sh $x-c ${{ inputs.bad }}", "as an argument", ON_ALL},
                {"sh -$x ${{ inputs.bad }}", "such as -c", ON_ALL},
                {"$(true) $x -n eval ${{ inputs.bad }}", "eval", ON_ALL},
                {"$x -c ${{ inputs.bad }}", "as an argument", ON_ALL},
                {"bash -s -c ${{ inputs.bad }}", "as an argument", ON_ALL},
                {"bash -s a <<EOF\n${{ inputs.bad }}\nEOF\n", "executed by a shell", ON_ALL},
                {"su - ${{ inputs.v }} -c \"${{ inputs.bad }}\"", "as an argument", ON_ALL},
                {"su --command=\"x ${{ inputs.bad }}\"", "as an argument", ON_ALL},
                {"sh -c \"$(echo ${{ inputs.bad }})\"", "as an argument", ON_ALL},
                {"bash <<EOF\necho ${{ inputs.bad }}\nEOF\necho ${{ inputs.v }}", "executed by a shell", ON_ALL},
                {"ssh host sudo bash -s <<EOF\n${{ inputs.bad }}\nEOF\n", "executed by a shell", ON_ALL},
                {"<<EOF bash\n${{ inputs.bad }}\nEOF\n", "executed by a shell", ON_ALL},
                {"bash <<< \"${{ inputs.bad }}\"", "executed by a shell", ON_ALL},
                {"bash <<< \"$(echo ${{ inputs.bad }})\"; echo ${{ inputs.v }}", "executed by a shell", ON_ALL},
                {"echo \"rm ${{ inputs.bad }}\" | bash; echo ${{ inputs.v }} | cat", "printed here", ON_ALL},
                {"printf %s ${{ inputs.bad }} |\n tee x |\nssh host sh -s", "printed here", ON_ALL},
                {"cat <<EOF | ssh host bash\n${{ inputs.bad }}\nEOF\necho ${{ inputs.v }}", "executed by a shell", ON_ALL},
                {"cat <<< ${{ inputs.bad }} |& sh", "executed by a shell", ON_ALL},
                {"cat <<EOF |\n${{ inputs.bad }}\nEOF\nbash", "certainty", ON_ALL},
                {"source <(echo \"x=${{ inputs.bad }}\")", "process substitution", ON_ALL},
                {"bash <(echo ${{ inputs.bad }})", "process substitution", ON_ALL},
                {". /dev/stdin <<EOF\n${{ inputs.bad }}\nEOF\n", "executed by a shell", ON_ALL},
                /* what would change the reference itself */
                {"echo \\${{ inputs.bad }}", "backslash", ON_ALL},
                {"echo \"\\${{ inputs.bad }}\" ${{ inputs.v }}", "backslash", ON_ALL},
                {"cat <<EOF\n\\${{ inputs.bad }}\nEOF\n", "backslash", ON_ALL},
                {"echo $${{ inputs.bad }}", "'$' directly", ON_ALL},
                {"echo \"$${{ inputs.bad }}\" ${{ inputs.v }}", "'$' directly", ON_ALL},
                /* broken or doubtful text: from there on */
                {"echo \"${{ inputs.bad }}", "never closed", ON_ALL},
                {"echo $(echo ${{ inputs.bad }}", "never closed", ON_ALL},
                {"cat <<EOF\n${{ inputs.bad }}\n", "never closed", ON_ALL},
                {"echo ${{ inputs.v }}; case x in x) echo ${{ inputs.bad }}", "never closed", ON_ALL},
                {"echo ${{ inputs.v }}; coproc x\necho ${{ inputs.bad }} ${{ inputs.bad }}", "certainty", ON_ALL},
                {"echo )\n${{ inputs.bad }}", "certainty", ON_ALL},
                {"echo @(a|${{ inputs.bad }})", "certainty", ON_ALL},
                {"((x)${{ inputs.bad }}", "certainty", ON_ALL},
                {"[[ x &${{ inputs.bad }} ]]", "certainty", ON_ALL},
                {"((1)); echo ${{ inputs.bad }}", "certainty", ON_SH | ON_DASH},
                {"echo $[1]; echo ${{ inputs.bad }}", "certainty", ON_SH | ON_DASH},
                {"echo $'\\''; echo ${{ inputs.bad }}", "certainty", ON_SH | ON_DASH},
                {"foo &>log bar ${{ inputs.bad }}", "certainty", ON_SH | ON_DASH},
                {"eval &>log ${{ inputs.bad }}", "eval", ON_BASH},
                {"echo \"${x:-'}'}${{ inputs.bad }}\"", "certainty", ON_ALL},
                {"cat <<EOF\nEO\\\nF\n${{ inputs.bad }}\nEOF\n", "certainty", ON_ALL},
                {"cat <<EOF\n$(echo\nEOF\n${{ inputs.bad }})\nEOF", "certainty", ON_ALL},
                {"x=$(cat <<EOF)\n${{ inputs.bad }}\nEOF\n", "certainty", ON_ALL},
                {"cat <<EOF \"a\nb\"\n${{ inputs.bad }}\nEOF\n", "certainty", ON_ALL},
                {"$((echo a) ); echo ${{ inputs.bad }}", "certainty", ON_ALL},
                {"${ echo a; }; echo ${{ inputs.bad }}", "certainty", ON_ALL},
                {"echo $(( 'a' )) ${{ inputs.bad }}", "certainty", ON_ALL},
};

/* Where the next ${{ inputs.bad }} of the script is in the file. */
static const char *next_bad(const char *script, const char *from, unsigned *ret_line, unsigned *ret_column) {
        const char *p = strstr(from, "${{ inputs.bad }}");
        if (!p)
                return NULL;
        *ret_line = 2;
        *ret_column = 3;
        for (const char *q = script; q < p; q++)
                if (*q == '\n') {
                        (*ret_line)++;
                        *ret_column = 3;
                } else
                        (*ret_column)++;
        return p + 1;
}

static bool check_refusal(const struct Refusal *f, const Compiled *c) {
        unsigned line = 0, column = 0;
        size_t i = 0;
        for (const char *p = f->script; (p = next_bad(f->script, p, &line, &column)); i++)
                if (i >= c->d.n_items || c->d.items[i].line != line || c->d.items[i].column != column ||
                    !strstr(c->d.items[i].message, f->part))
                        return false;
        return i == c->d.n_items && c->result == -EINVAL && !c->template;
}

static void test_refusals(void **state) {
        unsigned n_failed = 0;
        for (size_t i = 0; i < ELEMENTSOF(refusals); i++)
                for (ShellKind k = 0; k < _SHELL_MAX; k++) {
                        if (!(refusals[i].on & (1u << k)))
                                continue;
                        _cleanup_compiled_ Compiled c;
                        compile_yaml(&c, refusals[i].script, k);
                        if (check_refusal(refusals + i, &c))
                                continue;
                        n_failed++;
                        print_error("«%s» (shell %d): %d\n", refusals[i].script, (int)k, c.result);
                        for (size_t j = 0; j < c.d.n_items; j++)
                                print_error("  %u:%u: %s\n", c.d.items[j].line, c.d.items[j].column, c.d.items[j].message);
                }
        assert_int_equal(n_failed, 0);
}

/* The position is one of the file, whatever the scalar's style. */
static void test_positions(void **state) {
        static const struct {
                const char *text;
                unsigned line, column;
        } cases[] = {
                        {"run: echo '${{ x }}'\n", 1, 12},
                        {"run: \"echo \\u00e4 '${{ x }}'\"\n", 1, 20},
                        {"run: >\n  echo\n  ä '${{ x }}'\n", 3, 6},
                        {"run: echo ${{ inputs.a && zzz }}\n", 1, 27},
                        {"run: echo ${{ 'a' \n", 1, 11},
                        {"run: echo ${{ }} x\n", 1, 15},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_compiled_ Compiled c = {0};
                assert_ok(tree_parse(cases[i].text, strlen(cases[i].text), TREE_YAML, &c.d, &c.tree));
                assert_int_equal(shell_template_compile(c.tree, node_get(tree_root(c.tree), "run"), SHELL_SH, &c.d, &c.template), -EINVAL);
                assert_int_equal(c.d.n_items, 1);
                if (c.d.items[0].line != cases[i].line || c.d.items[0].column != cases[i].column)
                        print_error("%s: %u:%u %s\n", cases[i].text, c.d.items[0].line, c.d.items[0].column, c.d.items[0].message);
                assert_int_equal(c.d.items[0].line, cases[i].line);
                assert_int_equal(c.d.items[0].column, cases[i].column);
        }
}

static void test_shell_kinds(void **state) {
        assert_int_equal(shell_kind_from_path("/bin/sh"), SHELL_SH);
        assert_int_equal(shell_kind_from_path("/usr/local/bin/bash"), SHELL_BASH);
        assert_int_equal(shell_kind_from_path("dash"), SHELL_DASH);
        assert_int_equal(shell_kind_from_path("/bin/zsh"), _SHELL_INVALID);
        assert_int_equal(shell_kind_from_path("/bin/"), _SHELL_INVALID);

        _cleanup_compiled_ Compiled c;
        compile_yaml(&c, "echo ${{ inputs.v }}", _SHELL_INVALID);
        assert_int_equal(c.result, -EINVAL);
        assert_int_equal(c.d.items[0].line, 2);
        assert_int_equal(c.d.items[0].column, 8);
        assert_non_null(strstr(c.d.items[0].message, "isn't known"));
}

static void test_nodes_that_are_no_text(void **state) {
        static const struct {
                const char *text, *script;
        } cases[] = {{"run: true\n", "true"}, {"run: 5\n", "5"}, {"run: [a]\n", NULL}, {"run: {a: b}\n", NULL}, {"run:\n", NULL}};
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_compiled_ Compiled c = {0};
                assert_ok(tree_parse(cases[i].text, strlen(cases[i].text), TREE_YAML, &c.d, &c.tree));
                int r = shell_template_compile(c.tree, node_get(tree_root(c.tree), "run"), SHELL_SH, &c.d, &c.template);
                assert_int_equal(r, cases[i].script ? 0 : -EINVAL);
                if (cases[i].script)
                        assert_string_equal(shell_template_script(c.template), cases[i].script);
        }
        _cleanup_compiled_ Compiled c;
        compile_json(&c, "echo \0 a", 8, SHELL_SH);
        assert_int_equal(c.result, -EINVAL);
        assert_non_null(strstr(c.d.items[0].message, "NUL"));
}

/* --- values and references --- */

static void test_values(void **state) {
        _cleanup_compiled_ Compiled c;
        compile_yaml(&c, "echo ${{ inputs.v }} ${{ fromJSON('[1, null]') }} ${{ null }} ${{ 1e3 }} ${{ inputs.v.x }}", SHELL_SH);
        assert_ok(c.result);
        assert_int_equal(shell_template_n_variables(c.template), 5);
        static const char *const expected[] = {"RUNBOOK_EXPR_1=a\nb", "RUNBOOK_EXPR_2=[1,null]", "RUNBOOK_EXPR_3=", "RUNBOOK_EXPR_4=1000"};
        set_value("a\nb", 3);
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                _cleanup_free_ char *s = NULL;
                char *error = NULL;
                assert_ok(shell_template_eval(c.template, i, &scope, &s, &error));
                assert_string_equal(s, expected[i]);
        }
        char *s = NULL;
        _cleanup_free_ char *error = NULL;
        assert_int_equal(shell_template_eval(c.template, 4, &scope, &s, &error), -EINVAL);
        assert_non_null(strstr(error, "no members"));
}

/* A value with NUL, or of 128 KiB and more, fails. */
static void test_value_max(void **state) {
        _cleanup_compiled_ Compiled c;
        compile_yaml(&c, "echo ${{ inputs.v }}", SHELL_SH);
        _cleanup_free_ char *big = malloc(SHELL_VALUE_MAX), *s = NULL, *error = NULL, *nul_error = NULL;
        memset(big, 'x', SHELL_VALUE_MAX);
        set_value(big, SHELL_VALUE_MAX - 1);
        assert_ok(shell_template_eval(c.template, 0, &scope, &s, &error));
        set_value(big, SHELL_VALUE_MAX);
        char *none = NULL;
        assert_int_equal(shell_template_eval(c.template, 0, &scope, &none, &error), -EINVAL);
        assert_non_null(strstr(error, "${{ inputs.v }}: the value has 128 KiB"));
        set_value("a\0b", 3);
        assert_int_equal(shell_template_eval(c.template, 0, &scope, &none, &nul_error), -EINVAL);
        assert_non_null(strstr(nul_error, "NUL"));
}

typedef struct Visited {
        unsigned n, line, column;
        const char *key;
} Visited;

static void visit(void *userdata, const ExprRef *ref, unsigned line, unsigned column) {
        Visited *v = userdata;
        *v = (Visited){v->n + 1, line, column, ref->n_path > 0 ? ref->path[0] : NULL};
}

static void test_references(void **state) {
        _cleanup_compiled_ Compiled c;
        compile_yaml(&c, "echo ${{ inputs.a }} ${{ inputs.a }}\necho ${{ 1 && env.B }}", SHELL_SH);
        assert_ok(c.result);
        Visited v = {0};
        shell_template_visit(c.template, visit, &v);
        assert_int_equal(v.n, 2);
        assert_string_equal(v.key, "B");
        assert_int_equal(v.line, 3);
        assert_int_equal(v.column, 17);
}

/* --- caps --- */

static void repeat(StrBuf *b, const char *s, size_t n) {
        for (size_t i = 0; i < n; i++)
                strbuf_append(b, s);
}

static void test_nesting_max(void **state) {
        static const char *const opens[] = {"$(", "\"$(", "(", "${x:-", "case x in a) ", "<(", "x=("};
        for (size_t i = 0; i < ELEMENTSOF(opens); i++) {
                _cleanup_strbuf_ StrBuf b = {0};
                strbuf_append(&b, "echo ${{ inputs.v }}; ");
                repeat(&b, opens[i], 50000);
                _cleanup_compiled_ Compiled plain, c;
                compile_json(&plain, b.s + strlen("echo ${{ inputs.v }}; "), b.n - strlen("echo ${{ inputs.v }}; "), SHELL_BASH);
                assert_ok(plain.result);
                strbuf_append(&b, "${{ inputs.v }}");
                compile_json(&c, b.s, b.n, SHELL_BASH);
                assert_int_equal(c.result, -EINVAL);
        }
        for (size_t n = 62; n <= 64; n++) { /* the text itself is one level */
                _cleanup_strbuf_ StrBuf b = {0};
                repeat(&b, "$(", n);
                strbuf_append(&b, "echo ${{ inputs.v }}");
                repeat(&b, ")", n);
                _cleanup_compiled_ Compiled c;
                compile_json(&c, b.s, b.n, SHELL_SH);
                assert_int_equal(c.result, n < 64 ? 0 : -EINVAL);
                if (c.result < 0)
                        assert_non_null(strstr(c.d.items[0].message, "nested too deeply"));
        }
}

static void test_heredocs_max(void **state) {
        for (size_t n = 16; n <= 17; n++) {
                _cleanup_strbuf_ StrBuf b = {0};
                strbuf_append(&b, "cat");
                repeat(&b, " <<E", n);
                strbuf_append(&b, "\n");
                repeat(&b, "a\nE\n", n);
                strbuf_append(&b, "echo ${{ inputs.v }}");
                _cleanup_compiled_ Compiled c;
                compile_json(&c, b.s, b.n, SHELL_SH);
                assert_int_equal(c.result, n == 16 ? 0 : -EINVAL);
        }
}

static void test_variables_max(void **state) {
        _cleanup_strbuf_ StrBuf b = {0};
        for (unsigned i = 0; i < 500; i++)
                strbuf_appendf(&b, "echo ${{ %u }}\n", i);
        _cleanup_compiled_ Compiled c, more;
        compile_json(&c, b.s, b.n, SHELL_SH);
        assert_ok(c.result);
        assert_int_equal(shell_template_n_variables(c.template), 500);
        strbuf_append(&b, "echo ${{ 1 }}\necho ${{ 500 }}\n");
        compile_json(&more, b.s, b.n, SHELL_SH);
        assert_int_equal(more.result, -EINVAL);
        assert_int_equal(more.d.n_items, 1);
        assert_non_null(strstr(more.d.items[0].message, "500"));
}

/* A megabyte of whatever may repeat is read in one go over it. */
static void test_large_scripts(void **state) {
        static const char *const pieces[] = {"${{",  "'${{",  "`${{ 1 }}", "cat <<E\n${{ 1 }}", "\"",
                                             "\\\n", "${{ '", "a[",        "declare -i ",       "cat <<'E'\n"};
        for (size_t i = 0; i < ELEMENTSOF(pieces); i++) {
                _cleanup_strbuf_ StrBuf b = {0};
                repeat(&b, pieces[i], 500000 / strlen(pieces[i]));
                strbuf_append(&b, "'${{ 1 }}");
                _cleanup_compiled_ Compiled c;
                compile_json(&c, b.s, b.n, SHELL_BASH);
                assert_int_equal(c.result, -EINVAL);
        }
}

static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scripts),       cmocka_unit_test(test_no_expressions), cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_positions),     cmocka_unit_test(test_shell_kinds),    cmocka_unit_test(test_nodes_that_are_no_text),
                cmocka_unit_test(test_values),        cmocka_unit_test(test_value_max),      cmocka_unit_test(test_references),
                cmocka_unit_test(test_nesting_max),   cmocka_unit_test(test_heredocs_max),   cmocka_unit_test(test_variables_max),
                cmocka_unit_test(test_large_scripts),

};

TEST_MAIN(tests)
