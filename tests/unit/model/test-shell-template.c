/* No injection (section 3): an expression in a shell command is a reference to a variable that holds the value, and where that would not be safe it is a load
 * error with its position. The accepted forms are run for real, by every shell that they are for, with values that try to break out. */
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "template.h"
#include "test.h"

#ifndef RANDOM_SCRIPTS
#define RANDOM_SCRIPTS 500u
#endif
#ifndef HOSTILE_PER_FORM
#define HOSTILE_PER_FORM 4u
#endif

/* Who can run a script that is compiled for a kind: /bin/sh may be either. */
static const struct Runner {
        ShellKind kind;
        const char *path, *name;
} runners[] = {
        { SHELL_SH, "/bin/sh", "sh" }, { SHELL_SH, "/bin/bash", "sh" }, { SHELL_DASH, "/bin/dash", "dash" }, { SHELL_BASH, "/bin/bash", "bash" },
};

#define ON_SH (1u << SHELL_SH)
#define ON_DASH (1u << SHELL_DASH)
#define ON_BASH (1u << SHELL_BASH)
#define ON_ALL (ON_SH | ON_DASH | ON_BASH)

static char directory[] = "/tmp/test-shell-XXXXXX";
static const char *value;                               /* of inputs.v */
static size_t value_length;

static int give_value(void *userdata, ExprRoot root, const char *key, Json **ret, bool *ret_lenient) {
        if (!key)
                return -ENOENT;
        *ret = streq(key, "v") ? json_new_string_n(value, value_length) : json_new_string(key);
        return *ret ? 0 : -ENOMEM;
}

static const ExprScope scope = { .lookup = give_value };

/* --- compiling --- */

typedef struct Compiled {
        Diagnostics d;
        Tree *tree;
        ShellTemplate *template;
        int result;
} Compiled;

static void compiled_done(Compiled *c) {
        shell_template_free(c->template);
        tree_free(c->tree);
        diag_done(&c->d);
}
#define _cleanup_compiled_ _cleanup_(compiled_done)

/* The script as a literal block of a YAML file: its first byte is at line 2, column 3. */
static void compile_yaml(Compiled *c, const char *script, ShellKind kind) {
        _cleanup_strbuf_ StrBuf b = { 0 };
        strbuf_append(&b, "run: |2+\n");
        for (const char *p = script; *p;) {
                size_t n = strcspn(p, "\n");
                strbuf_append(&b, n > 0 ? "  " : "");
                strbuf_append_n(&b, p, n);
                strbuf_append_c(&b, '\n');
                p += n + (p[n] == '\n');
        }
        *c = (Compiled) { 0 };
        assert_ok(tree_parse(b.s, b.n, TREE_YAML, &c->d, &c->tree));
        c->result = shell_template_compile(c->tree, node_get(tree_root(c->tree), "run"), kind, &c->d, &c->template);
}

static void compile_json(Compiled *c, const char *script, size_t n, ShellKind kind) {
        _cleanup_json_ Json *v = json_new_string_n(script, n);
        _cleanup_free_ char *text = json_to_string(v, false);
        *c = (Compiled) { 0 };
        assert_ok(tree_parse(text, strlen(text), TREE_JSON, &c->d, &c->tree));
        c->result = shell_template_compile(c->tree, tree_root(c->tree), kind, &c->d, &c->template);
}

/* --- running --- */

static char *read_all(int fd, size_t *ret_n) {
        StrBuf b = { 0 };
        char buffer[4096];
        for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;)
                strbuf_append_n(&b, buffer, (size_t) n);
        *ret_n = b.n;
        return strbuf_take(&b);
}

/* The environment: PATH and the template's variables. */
static char **environment(const ShellTemplate *t) {
        size_t n = shell_template_n_variables(t);
        char **env = calloc(n + 3, sizeof(char *));
        assert_non_null(env);
        env[0] = strdup("PATH=/usr/bin:/bin");
        env[1] = strdup("HOME=/nonexistent");
        for (size_t i = 0; i < n; i++) {
                char *error = NULL;
                assert_ok(shell_template_eval(t, i, &scope, env + i + 2, &error));
        }
        return env;
}

static void free_strings(char **s) {
        for (size_t i = 0; s[i]; i++)
                free(s[i]);
        free(s);
}

/* Runs the script in the test's directory with no input; gives what it printed. */
static char *run_script(const struct Runner *runner, const ShellTemplate *t, bool quiet, size_t *ret_n) {
        int fds[2];
        assert_ok(pipe2(fds, O_CLOEXEC));
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
        if (quiet)
                posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addchdir_np(&actions, directory);
        char *argv[] = { (char *) runner->name, (char *) "-c", (char *) shell_template_script(t), NULL };
        char **env = environment(t);
        pid_t pid;
        assert_ok(posix_spawn(&pid, runner->path, &actions, NULL, argv, env));
        posix_spawn_file_actions_destroy(&actions);
        close(fds[1]);
        char *output = read_all(fds[0], ret_n);
        close(fds[0]);
        while (waitpid(-1, NULL, 0) > 0)                /* also what it left in the background */
                ;
        free_strings(env);
        return output;
}

static bool injected(void) {
        _cleanup_free_ char *path = NULL;
        assert_true(asprintf(&path, "%s/X", directory) > 0);
        bool there = access(path, F_OK) == 0;
        if (there)
                assert_ok(unlink(path));
        return there;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static int remove_below(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return ftw->level > 0 ? remove(path) : 0;
}

static int setup(void **state) {
        return mkdtemp(directory) && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 ? 0 : -1;
}

static int teardown(void **state) {
        return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- what is accepted, and does it hold --- */

static const char *const hostile[] = {
        "; touch X", "; rm -rf / ; touch X", "$(touch X)", "`touch X`", "a[$(touch X)]", "x[`touch X`]=1", "\ntouch X\n", "'; touch X; '", "\"; touch X; \"", "'$(touch X)'",
        "\"$(touch X)\"", "*", "?", "[a-z]*", "-n", "-e", "-v", "--", "~", "~root", "$HOME", "${HOME}", "${x:=$(touch X)}", "$((1+1))", "\\", "\\\\", "\\n", "EOF", "EOF\ntouch X\n",
        "\nEOF\ntouch X\n", "& touch X &", "| touch X", "> X", ">X", "<(touch X)", "([0]=$(touch X))", "(touch X)", "{touch,X}", "!!", "%s%n%d", "", " ", "  two  words  ", "\t\t",
        "}", "))", ")", "esac", ";;", "done; touch X", "]; touch X", "]] ; touch X", "${{ inputs.w }}", "$'\\x24(touch X)'", "#", "# touch X", "x=1", "x;touch X", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
        "\x01\x02\x7f", "\r\n", "a\nb\n\n", "'", "\"", "'\"'\"'",
};

/* A script that prints the value, with something around it. */
static const struct Form {
        const char *script, *before, *after;
        unsigned on;
} forms[] = {
        /* one word outside quotes and in double quotes, never split or globbed */
        { "printf '%s' ${{ inputs.v }}", "", "", ON_ALL }, { "printf '%s' \"${{ inputs.v }}\"", "", "", ON_ALL }, { "printf '%s' a${{ inputs.v }}b", "a", "b", ON_ALL },
        { "printf '%s' \"a ${{ inputs.v }} b\"", "a ", " b", ON_ALL }, { "printf '%s' 'a'${{ inputs.v }}'b'", "a", "b", ON_ALL }, { "printf '%s' --x=${{ inputs.v }}", "--x=", "", ON_ALL },
        { "printf \"%s\" ${{ inputs.v }}", "", "", ON_ALL }, { "printf '%s' ~${{ inputs.v }}", "~", "", ON_ALL }, { "printf '%s' {${{ inputs.v }},}", "{", ",}", ON_ALL & ~ON_BASH & ~ON_SH },
        { "printf '%s|' ${{ inputs.v }} ${{ 'b' }}", "", "|b|", ON_ALL }, { "set -- ${{ inputs.v }}; printf '%s' $# \"$1\"", "1", "", ON_ALL },
        { "printf '%s' \"\\\\${{ inputs.v }}\"", "\\", "", ON_ALL }, { "printf '%s' \\\\${{ inputs.v }}", "\\", "", ON_ALL }, { "printf '%s' \"\\$${{ inputs.v }}\"", "$", "", ON_ALL },
        { "printf '%s' \"\\\"${{ inputs.v }}\\\"\"", "\"", "\"", ON_ALL }, { "printf '%s' [${{ inputs.v }}]", "[", "]", ON_ALL },
        /* assignments */
        { "x=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_ALL }, { "x=\"${{ inputs.v }}\"\nprintf '%s' \"$x\"", "", "", ON_ALL }, { "export x=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_ALL },
        { "export x=\"pre${{ inputs.v }}\"; printf '%s' \"$x\"", "pre", "", ON_ALL }, { "readonly x=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_ALL },
        { "f() { local x=${{ inputs.v }}; printf '%s' \"$x\"; }; f", "", "", ON_ALL }, { "declare x=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_BASH },
        { "x=${{ inputs.v }} sh -c 'printf %s \"$x\"'", "", "", ON_ALL }, { "env x=${{ inputs.v }} sh -c 'printf %s \"$x\"'", "", "", ON_ALL },
        { "a=( ${{ inputs.v }} 'z' )\nprintf '%s|' \"${a[@]}\"", "", "|z|", ON_BASH }, { "declare -a a=(${{ inputs.v }}); printf '%s' \"${a[0]}\"", "", "", ON_BASH },
        { "a=([3]=${{ inputs.v }}); printf '%s' \"${a[3]}\"", "", "", ON_BASH }, { "a[3]=${{ inputs.v }}; printf '%s' \"${a[3]}\"", "", "", ON_BASH },
        { "x+=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_BASH }, { "x=(1); x=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_BASH },
        { "x=(1); local_x() { local x=a${{ inputs.v }}; printf '%s' \"$x\"; }; local_x", "a", "", ON_BASH },
        /* substitutions: fresh quoting inside */
        { "x=$(printf '%s.' ${{ inputs.v }}); printf '%s' \"$x\"", "", ".", ON_ALL }, { "x=\"$(printf '%s.' \"${{ inputs.v }}\")\"; printf '%s' \"$x\"", "", ".", ON_ALL },
        { "printf '%s' \"a$(printf '%s.' \"$(printf '%s.' ${{ inputs.v }})\")b\"", "a", "..b", ON_ALL }, { "(printf '%s' ${{ inputs.v }})", "", "", ON_ALL }, { "{ printf '%s' ${{ inputs.v }}; }", "", "", ON_ALL },
        { "x=$(case ${{ inputs.v }} in a) echo a;; *) printf '%s.' ${{ inputs.v }};; esac); printf '%s' \"$x\"", "", ".", ON_ALL },
        { "x=$( # it's a comment )\nprintf '%s.' ${{ inputs.v }}); printf '%s' \"$x\"", "", ".", ON_ALL }, { "cat <(printf '%s' ${{ inputs.v }})", "", "", ON_BASH },
        { "n=$((1 + (2*3))); printf '%s%s' $n ${{ inputs.v }}", "7", "", ON_ALL }, { "x=`echo 'a'`; printf '%s' ${{ inputs.v }}", "", "", ON_ALL },
        { "n=$[1+2]; printf '%s' ${{ inputs.v }}", "", "", ON_BASH }, { "((n=1)); for ((i=0;i<1;i++)); do printf '%s' ${{ inputs.v }}; done", "", "", ON_BASH },
        { "x=${y:-'}'}${z:-\"}\"}; printf '%s' ${{ inputs.v }}", "", "", ON_ALL }, { "[[ a == a && ( b =~ ^(b|c)$ ) ]]; printf '%s' ${{ inputs.v }}", "", "", ON_BASH },
        /* commands of every shape */
        { "if [ ${{ inputs.v }} = ${{ inputs.v }} ]; then printf '%s' ${{ inputs.v }}; fi", "", "", ON_ALL }, { "test -n x${{ inputs.v }} && printf '%s' ${{ inputs.v }}", "", "", ON_ALL },
        { "case ${{ inputs.v }} in ${{ inputs.v }}) printf '%s' \"${{ inputs.v }}\" ;; esac", "", "", ON_ALL }, { "case x in (x) printf '%s' ${{ inputs.v }};; esac", "", "", ON_ALL },
        { "for i in ${{ inputs.v }}; do printf '%s' \"$i\"; done", "", "", ON_ALL }, { "for i in a\ndo\nprintf '%s' ${{ inputs.v }}\ndone", "", "", ON_ALL },
        { "while :; do printf '%s' ${{ inputs.v }}; break; done", "", "", ON_ALL }, { "f() { printf '%s' \"$1\"; }\nf ${{ inputs.v }}", "", "", ON_ALL }, { "f ()\n{\nprintf '%s' ${{ inputs.v }}\n}\nf", "", "", ON_ALL },
        { "function f { printf '%s' \"$1\"; }; f ${{ inputs.v }}", "", "", ON_BASH }, { "! false && printf '%s' ${{ inputs.v }}", "", "", ON_ALL }, { "printf '%s' ${{ inputs.v }} | cat", "", "", ON_ALL },
        { "printf '%s' ${{ inputs.v }} 2>&1 >&1 || :", "", "", ON_ALL }, { "2>/dev/null printf '%s' ${{ inputs.v }}", "", "", ON_ALL }, { "printf '%s' ${{ inputs.v }} &\nwait", "", "", ON_ALL },
        { "printf '%s' ${{ inputs.v }} # it's ${{ inputs.v }}\n", "", "", ON_ALL }, { "# ${{ inputs.v }} `\nprintf '%s' ${{ inputs.v }}", "", "", ON_ALL }, { "printf '%s' a#${{ inputs.v }}", "a#", "", ON_ALL },
        { "printf '%s' \\\n  ${{ inputs.v }}", "", "", ON_ALL }, { "printf '%s' ${{ inputs.v }} \\\n  | cat", "", "", ON_ALL }, { "command printf '%s' ${{ inputs.v }}", "", "", ON_ALL },
        { "sh -c 'printf %s \"$1\"' sh ${{ inputs.v }}", "", "", ON_ALL }, { "x=; $x printf %s ${{ inputs.v }}", "", "", ON_ALL }, { "x='printf %s \"$1\"'; bash -c \"$x\" sh ${{ inputs.v }}", "", "", ON_ALL },
        { "bash -euo pipefail -c 'printf %s \"$1\"' bash ${{ inputs.v }}", "", "", ON_ALL }, { "printf '%s' ${{ inputs.v }} &> /dev/stdout", "", "", ON_BASH },
        { "printf %s ${{ inputs.v }} > \"out ${{ 'x' }}\"; cat 'out x'", "", "", ON_ALL }, { "shopt -s nullglob; printf '%s' ${{ inputs.v }}", "", "", ON_BASH }, { "echo $'it\\'s' >/dev/null; printf '%s' ${{ inputs.v }}", "", "", ON_BASH },
        { "printf '%s' $'a'${{ inputs.v }}", "a", "", ON_BASH }, { "set -x; printf '%s' ${{ inputs.v }} 2>/dev/null", "", "", ON_ALL },
        /* here-documents and here-strings */
        { "cat <<EOF\n${{ inputs.v }}\nEOF\n", "", "\n", ON_ALL }, { "cat <<-EOF\n\ta ${{ inputs.v }} 'b' \"c\n\tEOF\nprintf ok", "a ", " 'b' \"c\nok", ON_ALL },
        { "cat <<EOF; printf '%s' ${{ inputs.v }}\nb\nEOF\n", "b\n", "", ON_ALL }, { "cat <<A <<B\nx ${{ 'a' }}\nA\ny${{ inputs.v }}\nB", "y", "\n", ON_ALL }, { "cat <<EOF | cat\n$(printf '%s.' ${{ inputs.v }})\nEOF\n", "", ".\n", ON_ALL },
        { "cat <<EOF\n\\$x \\`${{ inputs.v }}\\` \\\\${{ 'z' }}\nEOF\n", "$x `", "` \\z\n", ON_ALL }, { "cat <<'EOF' >/dev/null\nit's $( \"\nEOF\nprintf '%s' ${{ inputs.v }}", "", "", ON_ALL },
        { "x=$(cat <<EOF\n${{ inputs.v }}.\nEOF\n)\nprintf '%s' \"$x\"", "", ".", ON_ALL }, { "(cat <<EOF)\n${{ inputs.v }}\nEOF\n", "", "\n", ON_ALL }, { "if :; then cat <<EOF\n${{ inputs.v }}\nEOF\nfi", "", "\n", ON_ALL },
        { "cat <<EOF\n$x\\\n${{ inputs.v }}\nEOF\n", "", "\n", ON_ALL }, { "cat <<< ${{ inputs.v }}", "", "\n", ON_BASH }, { "cat <<< \"a ${{ inputs.v }}\"", "a ", "\n", ON_BASH }, { "read -r x <<< x${{ inputs.v }}; printf '%s' ${{ inputs.v }}", "", "", ON_BASH },
        { "bash -s -- ${{ inputs.v }} <<'EOF'\nprintf %s \"$1\"\nEOF\n", "", "", ON_ALL },
};

static void check_form(const struct Form *f, const struct Runner *runner) {
        _cleanup_compiled_ Compiled c;
        compile_yaml(&c, f->script, runner->kind);
        if (c.result < 0)
                print_error("%s (%s): %s\n", f->script, runner->name, c.d.n_items > 0 ? c.d.items[0].message : "");
        assert_ok(c.result);
        size_t n = 0;
        _cleanup_free_ char *output = run_script(runner, c.template, true, &n);
        size_t before = strlen(f->before), after = strlen(f->after);
        bool same = n == before + value_length + after && memcmp(output, f->before, before) == 0 && memcmp(output + before, value, value_length) == 0 &&
                    memcmp(output + before + value_length, f->after, after) == 0;
        if (!same)
                print_error("%s (%s as %s), value «%s»: script «%s» printed «%s»\n", f->script, runner->path, runner->name, value, shell_template_script(c.template), output);
        assert_true(same);
        assert_false(injected());
}

static void set_value(const char *s, size_t n) {
        value = s;
        value_length = n;
}

/* The plainest forms meet all values; the others a few each, in turn. */
static void test_hostile_values(void **state) {
        size_t turn = 0;
        for (size_t i = 0; i < ELEMENTSOF(forms); i++)
                for (size_t j = 0; j < ELEMENTSOF(runners); j++) {
                        if (!(forms[i].on & (1u << runners[j].kind)))
                                continue;
                        size_t n = i < 4 ? ELEMENTSOF(hostile) : HOSTILE_PER_FORM;
                        for (size_t k = 0; k < n; k++) {
                                const char *s = hostile[turn++ % ELEMENTSOF(hostile)];
                                set_value(s, strlen(s));
                                check_form(forms + i, runners + j);
                        }
                }
}

/* 100 KiB of everything that means something to a shell. */
static void test_large_value(void **state) {
        static const char piece[] = "a'b\"c$(touch X)`touch X`;\\\n*[d] ";
        _cleanup_strbuf_ StrBuf b = { 0 };
        while (b.n < 100u * 1024u)
                strbuf_append(&b, piece);
        set_value(b.s, b.n);
        for (size_t i = 0; i < ELEMENTSOF(forms); i += 5)
                for (size_t j = 0; j < ELEMENTSOF(runners); j++)
                        if (forms[i].on & (1u << runners[j].kind))
                                check_form(forms + i, runners + j);
}

static void test_scripts(void **state) {
        static const struct {
                const char *script, *result;
        } cases[] = {
                { "echo ${{ inputs.v }}", "echo \"${RUNBOOK_EXPR_1}\"" }, { "echo \"${{ inputs.v }}\"", "echo \"${RUNBOOK_EXPR_1}\"" },
                { "echo ${{inputs.v}} ${{ inputs.w }} ${{ inputs.v }}", "echo \"${RUNBOOK_EXPR_1}\" \"${RUNBOOK_EXPR_2}\" \"${RUNBOOK_EXPR_1}\"" },
                { "cat <<E\n${{ inputs.v }}\nE", "cat <<E\n${RUNBOOK_EXPR_1}\nE" }, { "echo a # ${{ inputs.v }} b", "echo a # ${RUNBOOK_EXPR_1} b" },
                { "echo ${{ '}}' }}a", "echo \"${RUNBOOK_EXPR_1}\"a" }, { "echo $$ $? ${x} '$y'", "echo $$ $? ${x} '$y'" }, { "", "" },
                { "echo ${{ format('{0}\n',\n inputs.v) }} b", "echo \"${RUNBOOK_EXPR_1}\" b" },
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
                "echo 'open", "echo \"open", "`", "$(", "((", "[[", "case x in", "cat <<EOF", "cat <<", "eval \"$x\"", ")", "esac", "a[", "echo $'\\'", "\\", "coproc x", "${", "$((", ";;", "<<<", "#",
                "x=(", "[[ ( ]]", "foo &> bar baz", "@(a|b)", "{{ x }}", "$ {{ x }}",
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
        { "echo '${{ inputs.bad }}'", "single quotes", ON_ALL }, { "echo ${{ inputs.v }}'a\nb ${{ inputs.bad }}'${{ inputs.v }} '${{ inputs.bad }}'", "single quotes", ON_ALL },
        { "echo \"$(echo '${{ inputs.bad }}')\"", "single quotes", ON_ALL }, { "echo $'a${{ inputs.bad }}' ${{ inputs.v }}", "$'…'", ON_ALL }, { "echo $\"${{ inputs.bad }}\"", "translated", ON_ALL },
        { "echo `echo ${{ inputs.bad }}` ${{ inputs.v }}", "backquotes", ON_ALL }, { "echo \"`echo \\`x ${{ inputs.bad }}\\``\"", "backquotes", ON_ALL },
        { "cat <<'EOF'\n${{ inputs.bad }}\nEOF\necho ${{ inputs.v }}", "quoted delimiter", ON_ALL }, { "cat <<\"EOF\"\n${{ inputs.bad }}\nEOF\n", "quoted delimiter", ON_ALL },
        { "cat <<\\EOF\n${{ inputs.bad }}\nEOF\n", "quoted delimiter", ON_ALL }, { "cat <<-E'O'F\n\t${{ inputs.bad }}\n\tEOF\necho ${{ inputs.v }}", "quoted delimiter", ON_ALL },
        { "cat <<A <<'B'\n${{ inputs.v }}\nA\n${{ inputs.bad }}\nB\n", "quoted delimiter", ON_ALL }, { "cat <<${{ inputs.bad }}\nx\n", "constant", ON_ALL },
        { "echo ${x:-${{ inputs.bad }}} ${{ inputs.v }}", "${…}", ON_ALL }, { "echo \"${x:-${{ inputs.bad }}}\" \"${{ inputs.v }}\"", "${…}", ON_ALL }, { "echo ${x:${{ inputs.bad }}}", "${…}", ON_ALL },
        { "echo ${x:-\"${{ inputs.bad }}\"}", "${…}", ON_ALL }, { "echo ${x:-$(echo ${{ inputs.bad }})}", "${…}", ON_ALL }, { "echo ${x[${{ inputs.bad }}]}", "${…}", ON_ALL },
        { "cat <<EOF\n${x#${{ inputs.bad }}}\nEOF\n", "${…}", ON_ALL },
        /* arithmetic */
        { "echo $((${{ inputs.bad }} + 1)) ${{ inputs.v }}", "arithmetic", ON_ALL }, { "echo $((1+(2+${{ inputs.bad }})))", "arithmetic", ON_ALL }, { "echo \"$(( $(echo ${{ inputs.bad }}) ))\"", "arithmetic", ON_ALL },
        { "((x = ${{ inputs.bad }})); echo ${{ inputs.v }}", "arithmetic", ON_BASH }, { "for ((i=0; i<${{ inputs.bad }}; i++)); do echo ${{ inputs.v }}; done", "arithmetic", ON_BASH },
        { "echo $[${{ inputs.bad }}] ${{ inputs.v }}", "arithmetic", ON_BASH }, { "let x=${{ inputs.bad }}", "arithmetic", ON_ALL }, { "a[${{ inputs.bad }}]=${{ inputs.v }}", "subscript", ON_ALL },
        { "a[ ${{ inputs.bad }} ]=1", "subscript", ON_ALL }, { "a[\"${{ inputs.bad }}\"]=1", "subscript", ON_ALL }, { "a=([${{ inputs.bad }}]=1)", "subscript", ON_ALL }, { "declare a[${{ inputs.bad }}]=1", "name of a variable", ON_ALL },
        { "[[ ${{ inputs.bad }} -eq 1 ]] && echo ${{ inputs.v }}", "[[", ON_BASH }, { "if [[ \"${{ inputs.bad }}\" == x ]]; then :; fi", "[[", ON_ALL }, { "[[ a && -n $(echo ${{ inputs.bad }}) ]]", "[[", ON_ALL },
        { "declare -i x=${{ inputs.bad }}", "computed", ON_ALL }, { "local -ri x=${{ inputs.bad }}", "computed", ON_ALL }, { "typeset -n x=${{ inputs.bad }}", "computed", ON_ALL }, { "declare $o x=${{ inputs.bad }}", "computed", ON_ALL },
        { "declare -i x\nx=${{ inputs.bad }}; echo ${{ inputs.v }}", "computed", ON_ALL }, { "f() { x=${{ inputs.bad }}; }\ndeclare -gi x; f", "computed", ON_ALL },
        { "declare -i x; for x in ${{ inputs.bad }}; do :; done", "computed", ON_ALL }, { "declare -i x; read x <<< ${{ inputs.bad }}", "computed", ON_ALL },
        { "x=(1); declare x=${{ inputs.bad }}; declare x=a${{ inputs.v }}", "array", ON_ALL }, { "declare -a x=${{ inputs.bad }}", "array", ON_ALL }, { "local -A m=\"${{ inputs.bad }}\"", "array", ON_ALL },
        { "RANDOM=${{ inputs.bad }}", "evaluated", ON_ALL }, { "SECONDS=${{ inputs.bad }} cmd ${{ inputs.v }}", "evaluated", ON_ALL }, { "PS4=\"${{ inputs.bad }}\"; set -x", "evaluated", ON_ALL },
        { "export BASH_ENV=${{ inputs.bad }}", "evaluated", ON_ALL }, { "env BASH_ENV=${{ inputs.bad }} bash x.sh ${{ inputs.v }}", "evaluated", ON_ALL }, { "for PS4 in ${{ inputs.bad }}; do :; done", "evaluated", ON_ALL },
        { "for OPTIND in ${{ inputs.bad }}; do :; done", "evaluated", ON_ALL },
        /* words that are executed, or name what is */
        { "eval ${{ inputs.bad }}; echo ${{ inputs.v }}", "eval", ON_ALL }, { "eval \"x=${{ inputs.bad }}\" ${{ inputs.bad }}", "eval", ON_ALL }, { "x=1 eval \"${{ inputs.bad }}\"", "eval", ON_ALL },
        { "2>/dev/null eval \"${{ inputs.bad }}\"", "eval", ON_ALL }, { "{fd}>/dev/null eval \"${{ inputs.bad }}\"", "eval", ON_ALL }, { "if eval ${{ inputs.bad }}; then :; fi", "eval", ON_ALL }, { "a && \\eval ${{ inputs.bad }}", "eval", ON_ALL },
        { "'ev'\"al\" ${{ inputs.bad }}", "eval", ON_ALL }, { "ev\\\nal ${{ inputs.bad }}", "eval", ON_ALL }, { "command eval ${{ inputs.bad }}", "eval", ON_ALL }, { "builtin eval ${{ inputs.bad }}", "eval", ON_ALL },
        { "time -p eval ${{ inputs.bad }}", "eval", ON_ALL }, { "x=$(eval ${{ inputs.bad }})", "eval", ON_ALL }, { "eval \"$(echo ${{ inputs.bad }})\"", "eval", ON_ALL }, { "f() { eval ${{ inputs.bad }}; }", "eval", ON_ALL },
        { "function f () { eval ${{ inputs.bad }}; }", "eval", ON_ALL }, { "case x in a|b) eval ${{ inputs.bad }};; esac; echo ${{ inputs.v }}", "eval", ON_ALL }, { "case x in esac; eval ${{ inputs.bad }}", "eval", ON_ALL },
        { "for i in a; do eval ${{ inputs.bad }}; done", "eval", ON_ALL }, { "for i do eval ${{ inputs.bad }}; done", "eval", ON_ALL }, { "while eval ${{ inputs.bad }}; do :; done", "eval", ON_ALL }, { "$'eval' ${{ inputs.bad }}", "eval", ON_ALL },
        { "! eval ${{ inputs.bad }}", "eval", ON_ALL }, { "{ eval ${{ inputs.bad }}; }", "eval", ON_ALL }, { "(eval ${{ inputs.bad }}) && echo ${{ inputs.v }}", "eval", ON_ALL }, { "echo a & eval ${{ inputs.bad }}", "eval", ON_ALL },
        { "cat <(eval ${{ inputs.bad }})", "eval", ON_ALL }, { "echo # x\neval ${{ inputs.bad }}", "eval", ON_ALL }, { "((x)) && eval ${{ inputs.bad }}", "eval", ON_BASH }, { "[[ x ]] && eval ${{ inputs.bad }}", "eval", ON_BASH },
        { "trap \"rm ${{ inputs.bad }}\" EXIT; echo ${{ inputs.v }}", "trap", ON_ALL }, { "alias x=${{ inputs.bad }}", "alias", ON_ALL }, { "unset ${{ inputs.bad }}", "names", ON_ALL }, { "read ${{ inputs.bad }}", "names", ON_ALL },
        { "read -r x < ${{ inputs.v }} ${{ inputs.bad }}", "names", ON_ALL }, { "mapfile -C ${{ inputs.bad }} -c 1 a", "names", ON_ALL }, { "compgen -W ${{ inputs.bad }}", "names", ON_ALL },
        { "printf -v ${{ inputs.bad }} %s ${{ inputs.v }}", "name of a variable", ON_ALL }, { "printf -v\"${{ inputs.bad }}\" x", "name of a variable", ON_ALL }, { "printf ${{ inputs.v }} ${{ inputs.bad }}", "name of a variable", ON_ALL },
        { "[ -v ${{ inputs.bad }} ]", "name of a variable", ON_ALL }, { "test -v ${{ inputs.bad }}", "name of a variable", ON_ALL }, { "[ ${{ inputs.v }} ${{ inputs.bad }} ]", "name of a variable", ON_ALL }, { "[ $op ${{ inputs.bad }} ]", "name of a variable", ON_ALL },
        { "wait -n -p ${{ inputs.bad }}", "name of a variable", ON_ALL }, { "declare \"${{ inputs.bad }}\"", "name of a variable", ON_ALL }, { "declare ${{ inputs.bad }}=1", "name of a variable", ON_ALL },
        { "export x${{ inputs.bad }}=1", "name of a variable", ON_ALL }, { "export a=${{ inputs.v }} \"${{ inputs.bad }}=x\"", "name of a variable", ON_ALL }, { "for ${{ inputs.bad }} in a; do :; done", "name can't", ON_ALL },
        /* a command string, or text that a shell reads */
        { "sh -c \"echo ${{ inputs.bad }}\" sh ${{ inputs.v }}", "as an argument", ON_ALL }, { "bash -euo pipefail -c ${{ inputs.bad }}", "as an argument", ON_ALL }, { "/bin/bash -lc \"${{ inputs.bad }}\"", "as an argument", ON_ALL },
        { "sudo -u ${{ inputs.v }} sh -c \"${{ inputs.bad }}\"", "as an argument", ON_ALL }, { "find . -exec sh -c \"${{ inputs.bad }}\" \\;", "as an argument", ON_ALL }, { "$SHELL -c \"${{ inputs.bad }}\"", "as an argument", ON_ALL },
        { "$sudo bash -x -c \"${{ inputs.bad }}\"", "as an argument", ON_ALL }, { "sh -c -- \"${{ inputs.bad }}\"", "as an argument", ON_ALL }, { "sh ${{ inputs.v }} ${{ inputs.bad }}", "such as -c", ON_ALL },
        { "echo a >& \"x${{ inputs.bad }}\" ${{ inputs.v }}", "twice", ON_ALL }, { "echo a 2>& $(echo ${{ inputs.bad }})", "twice", ON_ALL }, { "sh -c $1 ${{ inputs.bad }}", "as an argument", ON_ALL }, { "sh $1 ${{ inputs.bad }}", "such as -c", ON_ALL }, { "$x eval ${{ inputs.bad }}", "eval", ON_ALL },
        { "$1\\eval ${{ inputs.bad }}", "eval", ON_ALL }, { "$x\"command\" ev${y}al ${{ inputs.bad }}", "eval", ON_ALL }, { "$run time bash -c ${{ inputs.bad }}", "as an argument", ON_ALL },
        { "docker run --entrypoint sh image -c ${{ inputs.bad }}", "as an argument", ON_ALL }, { "bash -c + - ${{ inputs.bad }}", "as an argument", ON_ALL }, { "sh -c \"$@\" ${{ inputs.bad }}", "as an argument", ON_ALL },
        { "sh -c \"${a[@]}\" ${{ inputs.bad }}", "as an argument", ON_ALL }, { "\"$@\" eval ${{ inputs.bad }}", "eval", ON_ALL }, { "sh $x-c ${{ inputs.bad }}", "as an argument", ON_ALL }, { "sh -$x ${{ inputs.bad }}", "such as -c", ON_ALL },
        { "$(true) $x -n eval ${{ inputs.bad }}", "eval", ON_ALL }, { "$x -c ${{ inputs.bad }}", "as an argument", ON_ALL }, { "bash -s -c ${{ inputs.bad }}", "as an argument", ON_ALL }, { "bash -s a <<EOF\n${{ inputs.bad }}\nEOF\n", "executed by a shell", ON_ALL },
        { "su - ${{ inputs.v }} -c \"${{ inputs.bad }}\"", "as an argument", ON_ALL }, { "su --command=\"x ${{ inputs.bad }}\"", "as an argument", ON_ALL }, { "sh -c \"$(echo ${{ inputs.bad }})\"", "as an argument", ON_ALL },
        { "bash <<EOF\necho ${{ inputs.bad }}\nEOF\necho ${{ inputs.v }}", "executed by a shell", ON_ALL }, { "ssh host sudo bash -s <<EOF\n${{ inputs.bad }}\nEOF\n", "executed by a shell", ON_ALL },
        { "<<EOF bash\n${{ inputs.bad }}\nEOF\n", "executed by a shell", ON_ALL }, { "bash <<< \"${{ inputs.bad }}\"", "executed by a shell", ON_ALL }, { "bash <<< \"$(echo ${{ inputs.bad }})\"; echo ${{ inputs.v }}", "executed by a shell", ON_ALL },
        { "source <(echo \"x=${{ inputs.bad }}\")", "process substitution", ON_ALL }, { "bash <(echo ${{ inputs.bad }})", "process substitution", ON_ALL }, { ". /dev/stdin <<EOF\n${{ inputs.bad }}\nEOF\n", "executed by a shell", ON_ALL },
        /* what would change the reference itself */
        { "echo \\${{ inputs.bad }}", "backslash", ON_ALL }, { "echo \"\\${{ inputs.bad }}\" ${{ inputs.v }}", "backslash", ON_ALL }, { "cat <<EOF\n\\${{ inputs.bad }}\nEOF\n", "backslash", ON_ALL },
        { "echo $${{ inputs.bad }}", "'$' directly", ON_ALL }, { "echo \"$${{ inputs.bad }}\" ${{ inputs.v }}", "'$' directly", ON_ALL },
        /* broken or doubtful text: from there on */
        { "echo \"${{ inputs.bad }}", "never closed", ON_ALL }, { "echo $(echo ${{ inputs.bad }}", "never closed", ON_ALL }, { "cat <<EOF\n${{ inputs.bad }}\n", "never closed", ON_ALL }, { "echo ${{ inputs.v }}; case x in x) echo ${{ inputs.bad }}", "never closed", ON_ALL },
        { "echo ${{ inputs.v }}; coproc x\necho ${{ inputs.bad }} ${{ inputs.bad }}", "certainty", ON_ALL }, { "echo )\n${{ inputs.bad }}", "certainty", ON_ALL }, { "echo @(a|${{ inputs.bad }})", "certainty", ON_ALL },
        { "((1)); echo ${{ inputs.bad }}", "certainty", ON_SH | ON_DASH }, { "echo $[1]; echo ${{ inputs.bad }}", "certainty", ON_SH | ON_DASH }, { "echo $'\\''; echo ${{ inputs.bad }}", "certainty", ON_SH | ON_DASH },
        { "foo &>log bar ${{ inputs.bad }}", "certainty", ON_SH | ON_DASH }, { "eval &>log ${{ inputs.bad }}", "eval", ON_BASH }, { "echo \"${x:-'}'}${{ inputs.bad }}\"", "certainty", ON_ALL }, { "cat <<EOF\nEO\\\nF\n${{ inputs.bad }}\nEOF\n", "certainty", ON_ALL },
        { "cat <<EOF\n$(echo\nEOF\n${{ inputs.bad }})\nEOF", "certainty", ON_ALL }, { "x=$(cat <<EOF)\n${{ inputs.bad }}\nEOF\n", "certainty", ON_ALL }, { "cat <<EOF \"a\nb\"\n${{ inputs.bad }}\nEOF\n", "certainty", ON_ALL },
        { "$((echo a) ); echo ${{ inputs.bad }}", "certainty", ON_ALL }, { "${ echo a; }; echo ${{ inputs.bad }}", "certainty", ON_ALL }, { "echo $(( 'a' )) ${{ inputs.bad }}", "certainty", ON_ALL },
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
                if (i >= c->d.n_items || c->d.items[i].line != line || c->d.items[i].column != column || !strstr(c->d.items[i].message, f->part))
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
                        print_error("«%s» (shell %d): %d\n", refusals[i].script, (int) k, c.result);
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
                { "run: echo '${{ x }}'\n", 1, 12 }, { "run: \"echo \\u00e4 '${{ x }}'\"\n", 1, 20 }, { "run: >\n  echo\n  ä '${{ x }}'\n", 3, 6 }, { "run: echo ${{ inputs.a && zzz }}\n", 1, 27 },
                { "run: echo ${{ 'a' \n", 1, 11 }, { "run: echo ${{ }} x\n", 1, 15 },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_compiled_ Compiled c = { 0 };
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
        } cases[] = { { "run: true\n", "true" }, { "run: 5\n", "5" }, { "run: [a]\n", NULL }, { "run: {a: b}\n", NULL }, { "run:\n", NULL } };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_compiled_ Compiled c = { 0 };
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
        static const char *const expected[] = { "RUNBOOK_EXPR_1=a\nb", "RUNBOOK_EXPR_2=[1,null]", "RUNBOOK_EXPR_3=", "RUNBOOK_EXPR_4=1000" };
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
        *v = (Visited) { v->n + 1, line, column, ref->n_path > 0 ? ref->path[0] : NULL };
}

static void test_references(void **state) {
        _cleanup_compiled_ Compiled c;
        compile_yaml(&c, "echo ${{ inputs.a }} ${{ inputs.a }}\necho ${{ 1 && env.B }}", SHELL_SH);
        assert_ok(c.result);
        Visited v = { 0 };
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
        static const char *const opens[] = { "$(", "\"$(", "(", "${x:-", "case x in a) ", "<(", "x=(" };
        for (size_t i = 0; i < ELEMENTSOF(opens); i++) {
                _cleanup_strbuf_ StrBuf b = { 0 };
                strbuf_append(&b, "echo ${{ inputs.v }}; ");
                repeat(&b, opens[i], 50000);
                _cleanup_compiled_ Compiled plain, c;
                compile_json(&plain, b.s + strlen("echo ${{ inputs.v }}; "), b.n - strlen("echo ${{ inputs.v }}; "), SHELL_BASH);
                assert_ok(plain.result);
                strbuf_append(&b, "${{ inputs.v }}");
                compile_json(&c, b.s, b.n, SHELL_BASH);
                assert_int_equal(c.result, -EINVAL);
        }
        for (size_t n = 62; n <= 64; n++) {             /* the text itself is one level */
                _cleanup_strbuf_ StrBuf b = { 0 };
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
                _cleanup_strbuf_ StrBuf b = { 0 };
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
        _cleanup_strbuf_ StrBuf b = { 0 };
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
        static const char *const pieces[] = { "${{", "'${{", "`${{ 1 }}", "cat <<E\n${{ 1 }}", "\"", "\\\n", "${{ '", "a[", "declare -i ", "cat <<'E'\n" };
        for (size_t i = 0; i < ELEMENTSOF(pieces); i++) {
                _cleanup_strbuf_ StrBuf b = { 0 };
                repeat(&b, pieces[i], 500000 / strlen(pieces[i]));
                strbuf_append(&b, "'${{ 1 }}");
                _cleanup_compiled_ Compiled c;
                compile_json(&c, b.s, b.n, SHELL_BASH);
                assert_int_equal(c.result, -EINVAL);
        }
}

/* --- random scripts --- */

#ifndef RANDOM_SEED
#define RANDOM_SEED 0x9e3779b97f4a7c15
#endif
static uint64_t random_state = RANDOM_SEED;

static unsigned random_below(unsigned n) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (unsigned) (random_state >> 32) % n;
}

static void random_script(StrBuf *b) {
        static const char *const pieces[] = {
                "\"", "'", "`", "$(", ")", "(", "((", "))", "$((", "${x:-", "${x#", "}", "[[ ", " ]]", "[ ", " ]", "$'", "$\"", "\\", "\n", "\n", ";", "&&", "|", "&", "&>", ">", "<", "<<<", "<<EOF ", "<<-EOF ",
                "<<'EOF' ", "\nEOF\n", "\nEOF\n", "#", " ", " ", " ", "\t", "eval ", "echo ", "echo ", "printf %s ", "printf -v x ", "test -v ", "let x=", "declare x=", "declare -i x=", "local ", "export x=", "x=", "x=(", "a[", "]=", "$[",
                "]", "case x in x) ", ";;", "esac", "if true; then ", "fi", "for i in ", "do ", "done", "{ ", "f() ", "time ", "command ", "sh -c ", "bash -c ", "bash ", "bash -s ", "set -x;", "source ", "<(", "-c ", "-v ", "-n ", "x", "1",
                "$y", "$1", "$$", "in ", "! ", "2>", "trap ", "unset ", "read x ", "PS4=", "RANDOM=", "-eq 1", "=~ ", "@(", "a|b", "\\\n",
        };
        for (unsigned i = 1 + random_below(10); i > 0; i--)
                strbuf_append(b, pieces[random_below(ELEMENTSOF(pieces))]);
}

/* Scripts of a grammar. They expand no variable that they set, print no variables and pipe nothing: what becomes of a value after that is the script's own
 * affair. Nearly all of them are valid, so that what stands in them is reached. */
static void random_words(StrBuf *b, unsigned depth);

static const char *one_of(const char *const *strings, size_t n) {
        return strings[random_below((unsigned) n)];
}
#define ONE_OF(...) one_of((const char *const[]) { __VA_ARGS__ }, ELEMENTSOF(((const char *const[]) { __VA_ARGS__ })))

static void random_command(StrBuf *b, unsigned depth);

static void random_part(StrBuf *b, unsigned depth) {
        switch (random_below(depth > 0 ? 10 : 5)) {
        case 0:
        case 1:
                strbuf_append(b, "${{ inputs.v }}");
                break;
        case 2:
                strbuf_append(b, ONE_OF("a", "x=", "-v", "-c", "-", "1", "[", "]", "a[", "--", "\\a", "'q'", "$'q'", "{", "}", "~", "*", "#", "+", "%s", "=", "eval"));
                break;
        case 3:
                strbuf_append(b, ONE_OF("$y", "\"$y\"", "$1", "$#", "${y}", "${y:-z}", "$((1+2))", "`echo a`", "\"$@\"", "$(true)"));
                break;
        case 4:
                strbuf_append(b, "\"${{ inputs.v }}\"");
                break;
        case 5:
        case 6:
                strbuf_append(b, "\"");
                random_part(b, depth - 1);
                strbuf_append(b, ONE_OF("", " ", "'", "\\$", "#"));
                strbuf_append(b, "\"");
                break;
        case 7:
                strbuf_append(b, ONE_OF("$(", "\"$(", "<("));
                random_command(b, depth - 1);
                strbuf_append(b, b->s[b->n - 1] == '\n' ? ")" : "\n)");
                break;
        case 8:
                strbuf_append(b, ONE_OF("${y:-", "${y#", "$((", "$[", "a[", "(", "[[ "));
                random_part(b, depth - 1);
                strbuf_append(b, ONE_OF("}", "))", "]", ")", " ]]"));
                break;
        default:
                random_part(b, depth - 1);
                random_part(b, depth - 1);
        }
}

static void random_words(StrBuf *b, unsigned depth) {
        for (unsigned i = random_below(4); i > 0; i--) {
                strbuf_append_c(b, ' ');
                if (random_below(6) == 0)
                        strbuf_append(b, ONE_OF("> /dev/null ", ">> /dev/null ", "2> /dev/null ", "< ", "<<< ", ">& ", "&> /dev/null ", "2>&1 ", "<& ", "2>/dev/null ", "\\\n"));
                random_part(b, depth);
        }
}

static void random_simple(StrBuf *b, unsigned depth) {
        strbuf_append(b, ONE_OF("", "", "", "x=1 ", "x=", "2>&1 ", "! ", "time ", "command ", "builtin ", "nice ", "$y ", "exec ", "a[1]=", "\"$y\" "));
        strbuf_append(b, ONE_OF("echo", "printf %s", "printf", "printf -v", "test", "test -n", "[", "eval", "export y", "export x=", "declare y", "declare x=", "declare -i x=", "declare -a x=", "readonly x=", "read", "unset", "let",
                                "trap -", "sh -c", "bash -c", "bash", "sh -s", "source", ".", "wait -p", "mapfile", "x=", "x=(", "x+=", "a[0]=", "PS4=", "shift", "exit", "true", "cat", "return", "type", "hash",
                                "[[ -n x", "RANDOM=", "getopts", "umask", "alias y=", "sh", "sh -c 'echo $1'", "bash -o pipefail", "local x=", "typeset y", "caller", "break", "jobs", "disown", "enable", "bind", "shopt -s",
                                "set -x; echo", "coproc", "select", "compgen -W", "test 1 -eq", "[ x -a", "exec 3<", "ln -s", "OPTIND=", "IFS=", "BASH_ENV=", "HISTFILE=", "TIMEFORMAT=", "PROMPT_COMMAND=", "x= sh", "xargs", "find . -name",
                                "awk 1", "sed -n", "grep -e", "sort", "tr a", "expr", "test -v", "[ -R", "printf '%d' ", "printf '%(%Y)T' ", "history", "fc", "times", "let x=1", "declare -f y", "export -n y",
                                "declare -n r=", "r="));
        random_words(b, depth);
        strbuf_append(b, ONE_OF("", "", "", " ]", " ]]", ")", " &", " # '${{ inputs.v }}"));
}

static void random_compound(StrBuf *b, unsigned depth) {
        static const char *const shapes[][3] = {
                { "if ", "; then ", "; fi" }, { "if true\nthen ", "; else ", "\nfi" }, { "{ ", "; ", "; }" }, { "( ", "; ", " )" }, { "case x in y) ", ";; *) ", ";; esac" }, { "case x in (x) ", "\n;; y|z) ", "\nesac" },
                { "for x in a b; do ", "; ", "; done" }, { "for x in ${{ inputs.v }}; do ", "\n", "\ndone" }, { "f() { ", "; }; f; ", "" }, { "cat <<EOF\n$(", ")\n${{ inputs.v }}\nEOF\n", "" },
                { "cat <<'EOF'\n'\nEOF\n", "; ", "" }, { "case ", " in ", "\n*) echo;; esac" }, { "x=$(", ")\n", "" }, { "[[ x == x ]] && ", " || ", "" }, { "((x=1)); ", "; ", "" }, { "", " && ", "" }, { "while ", "; do break; done\n", "" },
                { "bash <<EOF\n$(", ")\nEOF\n", "" }, { "declare -a x; ", "; ", "" }, { "x=(1 2)\n", "\n", "" }, { "set -x\n", "\n", "" }, { "shopt -s extglob\n", "\n", "" }, { "eval '", "'\n", "" },
                { "x=${{ inputs.v }}; ", "; ", "" }, { "<<-EOF ", "\n\t${{ inputs.v }}\n\tEOF\n", "" },
        };
        const char *const *shape = shapes[random_below(ELEMENTSOF(shapes))];
        strbuf_append(b, shape[0]);
        random_command(b, depth);
        strbuf_append(b, shape[1]);
        random_command(b, depth);
        strbuf_append(b, shape[2]);
}

static void random_command(StrBuf *b, unsigned depth) {
        if (depth > 0 && random_below(2))
                random_compound(b, depth - 1);
        else
                random_simple(b, depth);
}

/* Accepted scripts: no value may ever make the file. */
static void test_random_scripts(void **state) {
        static const char *const values[] = { "a[$(touch X)]", "-v", "; touch X; $(touch X) `touch X` a[$(touch X)]", "([0]=$(touch X))", "'; touch X; '\"; touch X; $(touch X)\"" };
        for (unsigned n_accepted = 0; n_accepted < RANDOM_SCRIPTS;) {
                _cleanup_strbuf_ StrBuf b = { 0 };
                if (random_below(3) > 0)
                        random_command(&b, 3);
                else {
                        random_script(&b);
                        strbuf_append(&b, random_below(2) ? "${{ inputs.v }}" : " ${{ inputs.v }} ${{ inputs.v }}");
                        random_script(&b);
                }
                const struct Runner *runner = runners + random_below(ELEMENTSOF(runners));
                _cleanup_compiled_ Compiled c;
                compile_json(&c, b.s, b.n, runner->kind);
                if (c.result < 0 || shell_template_n_variables(c.template) == 0)
                        continue;
                n_accepted++;
                const char *s = values[random_below(ELEMENTSOF(values))];
                set_value(s, strlen(s));
                size_t n = 0;
                free(run_script(runner, c.template, true, &n));
                bool bad = injected();
                if (bad)
                        print_error("«%s» (%s as %s) with «%s» made the file\n", shell_template_script(c.template), runner->path, runner->name, value);
                assert_false(bad);
                assert_ok(nftw(directory, remove_below, 8, FTW_DEPTH | FTW_PHYS)); /* one script's files are no other's input */
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_values), cmocka_unit_test(test_large_value), cmocka_unit_test(test_scripts), cmocka_unit_test(test_no_expressions), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_positions), cmocka_unit_test(test_shell_kinds), cmocka_unit_test(test_nodes_that_are_no_text), cmocka_unit_test(test_values), cmocka_unit_test(test_value_max),
        cmocka_unit_test(test_references), cmocka_unit_test(test_nesting_max), cmocka_unit_test(test_heredocs_max), cmocka_unit_test(test_variables_max), cmocka_unit_test(test_large_scripts),
        cmocka_unit_test(test_random_scripts),
};

int main(void) {
        return cmocka_run_group_tests(tests, setup, teardown);
}
