/* No injection (section 3), for real: the accepted forms are run by every shell that they are for, with values that try to break out, and
 * so are random scripts that were accepted. */
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shell-fixture.h"

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
                {SHELL_SH, "/bin/sh", "sh"},
                {SHELL_SH, "/bin/bash", "sh"},
                {SHELL_DASH, "/bin/dash", "dash"},
                {SHELL_BASH, "/bin/bash", "bash"},
};

static char directory[] = "/tmp/test-shell-XXXXXX";

/* --- running --- */

static char *read_all(int fd, size_t *ret_n) {
        StrBuf b = {0};
        char buffer[4096];
        for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;)
                strbuf_append_n(&b, buffer, (size_t)n);
        *ret_n = b.n;
        return strbuf_take(&b);
}

/* The environment: PATH and the template's variables. */
static char **environment(const ShellTemplate *t) {
        size_t n = shell_template_n_variables(t);
        char **env = calloc(n + 3, sizeof(char *));
        assert_non_null(env);
        env[0] = strdup("PATH=/usr/bin:/bin");
        env[1] = strdup("HOME=/nonexistent/home");         /* a redirection to ~ must not make a file */
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
        char *argv[] = {(char *)runner->name, (char *)"-c", (char *)shell_template_script(t), NULL};
        char **env = environment(t);
        pid_t pid;
        assert_ok(posix_spawn(&pid, runner->path, &actions, NULL, argv, env));
        posix_spawn_file_actions_destroy(&actions);
        close(fds[1]);
        char *output = read_all(fds[0], ret_n);
        close(fds[0]);
        while (waitpid(-1, NULL, 0) > 0) /* also what it left in the background */
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
                "; touch X",
                "; rm -rf / ; touch X",
                "$(touch X)",
                "`touch X`",
                "a[$(touch X)]",
                "x[`touch X`]=1",
                "\ntouch X\n",
                "'; touch X; '",
                "\"; touch X; \"",
                "'$(touch X)'",
                "\"$(touch X)\"",
                "*",
                "?",
                "[a-z]*",
                "-n",
                "-e",
                "-v",
                "--",
                "~",
                "~root",
                "$HOME",
                "${HOME}",
                "${x:=$(touch X)}",
                "$((1+1))",
                "\\",
                "\\\\",
                "\\n",
                "EOF",
                "EOF\ntouch X\n",
                "\nEOF\ntouch X\n",
                "& touch X &",
                "| touch X",
                "> X",
                ">X",
                "<(touch X)",
                "([0]=$(touch X))",
                "(touch X)",
                "{touch,X}",
                "!!",
                "%s%n%d",
                "",
                " ",
                "  two  words  ",
                "\t\t",
                "}",
                "))",
                ")",
                "esac",
                ";;",
                "done; touch X",
                "]; touch X",
                "]] ; touch X",
                "${{ inputs.w }}",
                "$'\\x24(touch X)'",
                "#",
                "# touch X",
                "x=1",
                "x;touch X",
                "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                "\x01\x02\x7f",
                "\r\n",
                "a\nb\n\n",
                "'",
                "\"",
                "'\"'\"'",
};

/* A script that prints the value, with something around it. */
static const struct Form {
        const char *script, *before, *after;
        unsigned on;
} forms[] = {
                /* one word outside quotes and in double quotes, never split or globbed */
                {"printf '%s' ${{ inputs.v }}", "", "", ON_ALL},
                {"printf '%s' \"${{ inputs.v }}\"", "", "", ON_ALL},
                {"printf '%s' a${{ inputs.v }}b", "a", "b", ON_ALL},
                {"printf '%s' \"a ${{ inputs.v }} b\"", "a ", " b", ON_ALL},
                {"printf '%s' 'a'${{ inputs.v }}'b'", "a", "b", ON_ALL},
                {"printf '%s' --x=${{ inputs.v }}", "--x=", "", ON_ALL},
                {"printf \"%s\" ${{ inputs.v }}", "", "", ON_ALL},
                {"printf '%s' ~${{ inputs.v }}", "~", "", ON_ALL},
                {"printf '%s' {${{ inputs.v }},}", "{", ",}", ON_ALL & ~ON_BASH & ~ON_SH},
                {"printf '%s|' ${{ inputs.v }} ${{ 'b' }}", "", "|b|", ON_ALL},
                {"set -- ${{ inputs.v }}; printf '%s' $# \"$1\"", "1", "", ON_ALL},
                {"printf '%s' \"\\\\${{ inputs.v }}\"", "\\", "", ON_ALL},
                {"printf '%s' \\\\${{ inputs.v }}", "\\", "", ON_ALL},
                {"printf '%s' \"\\$${{ inputs.v }}\"", "$", "", ON_ALL},
                {"printf '%s' \"\\\"${{ inputs.v }}\\\"\"", "\"", "\"", ON_ALL},
                {"printf '%s' [${{ inputs.v }}]", "[", "]", ON_ALL},
                /* assignments */
                {"x=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_ALL},
                {"x=\"${{ inputs.v }}\"\nprintf '%s' \"$x\"", "", "", ON_ALL},
                {"export x=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_ALL},
                {"export x=\"pre${{ inputs.v }}\"; printf '%s' \"$x\"", "pre", "", ON_ALL},
                {"readonly x=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_ALL},
                {"f() { local x=${{ inputs.v }}; printf '%s' \"$x\"; }; f", "", "", ON_ALL},
                {"declare x=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_BASH},
                {"x=${{ inputs.v }} sh -c 'printf %s \"$x\"'", "", "", ON_ALL},
                {"env x=${{ inputs.v }} sh -c 'printf %s \"$x\"'", "", "", ON_ALL},
                {"a=( ${{ inputs.v }} 'z' )\nprintf '%s|' \"${a[@]}\"", "", "|z|", ON_BASH},
                {"declare -a a=(${{ inputs.v }}); printf '%s' \"${a[0]}\"", "", "", ON_BASH},
                {"a=([3]=${{ inputs.v }}); printf '%s' \"${a[3]}\"", "", "", ON_BASH},
                {"a[3]=${{ inputs.v }}; printf '%s' \"${a[3]}\"", "", "", ON_BASH},
                {"x+=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_BASH},
                {"x=(1); x=${{ inputs.v }}; printf '%s' \"$x\"", "", "", ON_BASH},
                {"x=(1); local_x() { local x=a${{ inputs.v }}; printf '%s' \"$x\"; }; local_x", "a", "", ON_BASH},
                /* substitutions: fresh quoting inside */
                {"x=$(printf '%s.' ${{ inputs.v }}); printf '%s' \"$x\"", "", ".", ON_ALL},
                {"x=\"$(printf '%s.' \"${{ inputs.v }}\")\"; printf '%s' \"$x\"", "", ".", ON_ALL},
                {"printf '%s' \"a$(printf '%s.' \"$(printf '%s.' ${{ inputs.v }})\")b\"", "a", "..b", ON_ALL},
                {"(printf '%s' ${{ inputs.v }})", "", "", ON_ALL},
                {"{ printf '%s' ${{ inputs.v }}; }", "", "", ON_ALL},
                {"x=$(case ${{ inputs.v }} in a) echo a;; *) printf '%s.' ${{ inputs.v }};; esac); printf '%s' \"$x\"", "", ".", ON_ALL},
                {"x=$( # it's a comment )\nprintf '%s.' ${{ inputs.v }}); printf '%s' \"$x\"", "", ".", ON_ALL},
                {"cat <(printf '%s' ${{ inputs.v }})", "", "", ON_BASH},
                {"n=$((1 + (2*3))); printf '%s%s' $n ${{ inputs.v }}", "7", "", ON_ALL},
                {"x=`echo 'a'`; printf '%s' ${{ inputs.v }}", "", "", ON_ALL},
                {"n=$[1+2]; printf '%s' ${{ inputs.v }}", "", "", ON_BASH},
                {"((n=1)); for ((i=0;i<1;i++)); do printf '%s' ${{ inputs.v }}; done", "", "", ON_BASH},
                {"x=${y:-'}'}${z:-\"}\"}; printf '%s' ${{ inputs.v }}", "", "", ON_ALL},
                {"[[ a == a && ( b =~ ^(b|c)$ ) ]]; printf '%s' ${{ inputs.v }}", "", "", ON_BASH},
                /* commands of every shape */
                {"if [ ${{ inputs.v }} = ${{ inputs.v }} ]; then printf '%s' ${{ inputs.v }}; fi", "", "", ON_ALL},
                {"test -n x${{ inputs.v }} && printf '%s' ${{ inputs.v }}", "", "", ON_ALL},
                {"case ${{ inputs.v }} in ${{ inputs.v }}) printf '%s' \"${{ inputs.v }}\" ;; esac", "", "", ON_ALL},
                {"case x in (x) printf '%s' ${{ inputs.v }};; esac", "", "", ON_ALL},
                {"for i in ${{ inputs.v }}; do printf '%s' \"$i\"; done", "", "", ON_ALL},
                {"for i in a\ndo\nprintf '%s' ${{ inputs.v }}\ndone", "", "", ON_ALL},
                {"while :; do printf '%s' ${{ inputs.v }}; break; done", "", "", ON_ALL},
                {"f() { printf '%s' \"$1\"; }\nf ${{ inputs.v }}", "", "", ON_ALL},
                {"f ()\n{\nprintf '%s' ${{ inputs.v }}\n}\nf", "", "", ON_ALL},
                {"function f { printf '%s' \"$1\"; }; f ${{ inputs.v }}", "", "", ON_BASH},
                {"! false && printf '%s' ${{ inputs.v }}", "", "", ON_ALL},
                {"printf '%s' ${{ inputs.v }} | cat", "", "", ON_ALL},
                {"printf '%s' ${{ inputs.v }} 2>&1 >&1 || :", "", "", ON_ALL},
                {"2>/dev/null printf '%s' ${{ inputs.v }}", "", "", ON_ALL},
                {"printf '%s' ${{ inputs.v }} |\n  cat", "", "", ON_ALL},
                {"echo ${{ inputs.v }} >/dev/null; echo 'echo ok' | sh; printf '%s' ${{ inputs.v }}", "ok\n", "", ON_ALL},
                {"printf '%s' ${{ inputs.v }} &\nwait", "", "", ON_ALL},
                {"printf '%s' ${{ inputs.v }} # it's ${{ inputs.v }}\n", "", "", ON_ALL},
                {"# ${{ inputs.v }} `\nprintf '%s' ${{ inputs.v }}", "", "", ON_ALL},
                {"printf '%s' a#${{ inputs.v }}", "a#", "", ON_ALL},
                {"printf '%s' \\\n  ${{ inputs.v }}", "", "", ON_ALL},
                {"printf '%s' ${{ inputs.v }} \\\n  | cat", "", "", ON_ALL},
                {"command printf '%s' ${{ inputs.v }}", "", "", ON_ALL},
                {"sh -c 'printf %s \"$1\"' sh ${{ inputs.v }}", "", "", ON_ALL},
                {"x=; $x printf %s ${{ inputs.v }}", "", "", ON_ALL},
                {"x='printf %s \"$1\"'; bash -c \"$x\" sh ${{ inputs.v }}", "", "", ON_ALL},
                {"bash -euo pipefail -c 'printf %s \"$1\"' bash ${{ inputs.v }}", "", "", ON_ALL},
                {"printf '%s' ${{ inputs.v }} &> /dev/stdout", "", "", ON_BASH},
                {"printf %s ${{ inputs.v }} > \"out ${{ 'x' }}\"; cat 'out x'", "", "", ON_ALL},
                {"shopt -s nullglob; printf '%s' ${{ inputs.v }}", "", "", ON_BASH},
                {"echo $'it\\'s' >/dev/null; printf '%s' ${{ inputs.v }}", "", "", ON_BASH},
                {"printf '%s' $'a'${{ inputs.v }}", "a", "", ON_BASH},
                {"set -x; printf '%s' ${{ inputs.v }} 2>/dev/null", "", "", ON_ALL},
                /* here-documents and here-strings */
                {"cat <<EOF\n${{ inputs.v }}\nEOF\n", "", "\n", ON_ALL},
                {"cat <<-EOF\n\ta ${{ inputs.v }} 'b' \"c\n\tEOF\nprintf ok", "a ", " 'b' \"c\nok", ON_ALL},
                {"cat <<EOF; printf '%s' ${{ inputs.v }}\nb\nEOF\n", "b\n", "", ON_ALL},
                {"cat <<A <<B\nx ${{ 'a' }}\nA\ny${{ inputs.v }}\nB", "y", "\n", ON_ALL},
                {"cat <<EOF | cat\n$(printf '%s.' ${{ inputs.v }})\nEOF\n", "", ".\n", ON_ALL},
                {"cat <<EOF\n\\$x \\`${{ inputs.v }}\\` \\\\${{ 'z' }}\nEOF\n", "$x `", "` \\z\n", ON_ALL},
                {"cat <<'EOF' >/dev/null\nit's $( \"\nEOF\nprintf '%s' ${{ inputs.v }}", "", "", ON_ALL},
                {"x=$(cat <<EOF\n${{ inputs.v }}.\nEOF\n)\nprintf '%s' \"$x\"", "", ".", ON_ALL},
                {"(cat <<EOF)\n${{ inputs.v }}\nEOF\n", "", "\n", ON_ALL},
                {"if :; then cat <<EOF\n${{ inputs.v }}\nEOF\nfi", "", "\n", ON_ALL},
                {"cat <<EOF\n$x\\\n${{ inputs.v }}\nEOF\n", "", "\n", ON_ALL},
                {"cat <<< ${{ inputs.v }}", "", "\n", ON_BASH},
                {"cat <<< \"a ${{ inputs.v }}\"", "a ", "\n", ON_BASH},
                {"read -r x <<< x${{ inputs.v }}; printf '%s' ${{ inputs.v }}", "", "", ON_BASH},
                {"bash -s -- ${{ inputs.v }} <<'EOF'\nprintf %s \"$1\"\nEOF\n", "", "", ON_ALL},
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
        bool same = n == before + value_length + after && memcmp(output, f->before, before) == 0 &&
                    memcmp(output + before, value, value_length) == 0 && memcmp(output + before + value_length, f->after, after) == 0;
        if (!same)
                print_error("%s (%s as %s), value «%s»: script «%s» printed «%s»\n", f->script, runner->path, runner->name, value,
                            shell_template_script(c.template), output);
        assert_true(same);
        assert_false(injected());
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
        _cleanup_strbuf_ StrBuf b = {0};
        while (b.n < 100u * 1024u)
                strbuf_append(&b, piece);
        set_value(b.s, b.n);
        for (size_t i = 0; i < ELEMENTSOF(forms); i += 5)
                for (size_t j = 0; j < ELEMENTSOF(runners); j++)
                        if (forms[i].on & (1u << runners[j].kind))
                                check_form(forms + i, runners + j);
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
        return (unsigned)(random_state >> 32) % n;
}

static void random_script(StrBuf *b) {
        static const char *const pieces[] = {
                        "\"",
                        "'",
                        "`",
                        "$(",
                        ")",
                        "(",
                        "((",
                        "))",
                        "$((",
                        "${x:-",
                        "${x#",
                        "}",
                        "[[ ",
                        " ]]",
                        "[ ",
                        " ]",
                        "$'",
                        "$\"",
                        "\\",
                        "\n",
                        "\n",
                        ";",
                        "&&",
                        "||",
                        "&",
                        "&>",
                        ">",
                        "<",
                        "<<<",
                        "<<EOF ",
                        "<<-EOF ",
                        "<<'EOF' ",
                        "\nEOF\n",
                        "\nEOF\n",
                        "#",
                        " ",
                        " ",
                        " ",
                        "\t",
                        "eval ",
                        "echo ",
                        "echo ",
                        "printf %s ",
                        "printf -v x ",
                        "test -v ",
                        "let x=",
                        "declare x=",
                        "declare -i x=",
                        "local ",
                        "export x=",
                        "x=",
                        "x=(",
                        "a[",
                        "]=",
                        "$[",
                        "]",
                        "case x in x) ",
                        ";;",
                        "esac",
                        "if true; then ",
                        "fi",
                        "for i in ",
                        "do ",
                        "done",
                        "{ ",
                        "f() ",
                        "time ",
                        "command ",
                        "sh -c ",
                        "bash -c ",
                        "bash ",
                        "bash -s ",
                        "set -x;",
                        "source ",
                        "<(",
                        "-c ",
                        "-v ",
                        "-n ",
                        "x",
                        "1",
                        "$y",
                        "$1",
                        "$$",
                        "in ",
                        "! ",
                        "2>",
                        "trap ",
                        "unset ",
                        "read x ",
                        "PS4=",
                        "RANDOM=",
                        "-eq 1",
                        "=~ ",
                        "@(",
                        "b)",
                        "\\\n",
        };
        for (unsigned i = 1 + random_below(10); i > 0; i--)
                strbuf_append(b, pieces[random_below(ELEMENTSOF(pieces))]);
}

/* Scripts of a grammar. They expand no variable that they set, print no variables and pipe nothing: what becomes of a value after that is
 * the script's own affair. Nearly all of them are valid, so that what stands in them is reached. */
static void random_words(StrBuf *b, unsigned depth);

static const char *one_of(const char *const *strings, size_t n) {
        return strings[random_below((unsigned)n)];
}
#define ONE_OF(...) one_of((const char *const[]){__VA_ARGS__}, ELEMENTSOF(((const char *const[]){__VA_ARGS__})))

static void random_command(StrBuf *b, unsigned depth);

static void random_part(StrBuf *b, unsigned depth) {
        switch (random_below(depth > 0 ? 10 : 5)) {
        case 0:
        case 1:
                strbuf_append(b, "${{ inputs.v }}");
                break;
        case 2:
                strbuf_append(b, ONE_OF("a", "x=", "-v", "-c", "-", "1", "[", "]", "a[", "--", "\\a", "'q'", "$'q'", "{", "}", "~", "*",
                                        "#", "+", "%s", "=", "eval"));
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
                        strbuf_append(b, ONE_OF("> /dev/null ", ">> /dev/null ", "2> /dev/null ", "< ", "<<< ", ">& ", "&> /dev/null ",
                                                "2>&1 ", "<& ", "2>/dev/null ", "\\\n"));
                random_part(b, depth);
        }
}

static void random_simple(StrBuf *b, unsigned depth) {
        strbuf_append(b, ONE_OF("", "", "", "x=1 ", "x=", "2>&1 ", "! ", "time ", "command ", "builtin ", "nice ", "$y ", "exec ",
                                "a[1]=", "\"$y\" "));
        strbuf_append(b, ONE_OF("echo", "printf %s", "printf", "printf -v", "test", "test -n", "[", "eval", "export y",
                                "export x=", "declare y", "declare x=", "declare -i x=", "declare -a x=", "readonly x=", "read", "unset",
                                "let", "trap -", "sh -c", "bash -c", "bash", "sh -s", "source", ".", "wait -p", "mapfile", "x=", "x=(",
                                "x+=", "a[0]=", "PS4=", "shift", "exit", "true", "cat", "return", "type", "hash", "[[ -n x",
                                "RANDOM=", "getopts", "umask", "alias y=", "sh", "sh -c 'echo $1'", "bash -o pipefail",
                                "local x=", "typeset y", "caller", "break", "jobs", "disown", "enable", "bind", "shopt -s", "set -x; echo",
                                "coproc", "select", "compgen -W", "test 1 -eq", "[ x -a", "exec 3<", "ln -s", "OPTIND=", "IFS=",
                                "BASH_ENV=", "HISTFILE=", "TIMEFORMAT=", "PROMPT_COMMAND=", "x= sh", "xargs", "find . -name", "awk 1",
                                "sed -n", "grep -e", "sort", "tr a", "expr", "test -v", "[ -R", "printf '%d' ", "printf '%(%Y)T' ",
                                "history", "fc", "times", "let x=1", "declare -f y", "export -n y", "declare -n r=", "r="));
        random_words(b, depth);
        strbuf_append(b, ONE_OF("", "", "", " ]", " ]]", ")", " &", " # '${{ inputs.v }}"));
}

static void random_compound(StrBuf *b, unsigned depth) {
        static const char *const shapes[][3] = {
                        {"if ", "; then ", "; fi"},
                        {"if true\nthen ", "; else ", "\nfi"},
                        {"{ ", "; ", "; }"},
                        {"( ", "; ", " )"},
                        {"case x in y) ", ";; *) ", ";; esac"},
                        {"case x in (x) ", "\n;; y|z) ", "\nesac"},
                        {"for x in a b; do ", "; ", "; done"},
                        {"for x in ${{ inputs.v }}; do ", "\n", "\ndone"},
                        {"f() { ", "; }; f; ", ""},
                        {"cat <<EOF\n$(", ")\n${{ inputs.v }}\nEOF\n", ""},
                        {"cat <<'EOF'\n'\nEOF\n", "; ", ""},
                        {"case ", " in ", "\n*) echo;; esac"},
                        {"x=$(", ")\n", ""},
                        {"[[ x == x ]] && ", " || ", ""},
                        {"((x=1)); ", "; ", ""},
                        {"", " && ", ""},
                        {"while ", "; do break; done\n", ""},
                        {"bash <<EOF\n$(", ")\nEOF\n", ""},
                        {"declare -a x; ", "; ", ""},
                        {"x=(1 2)\n", "\n", ""},
                        {"set -x\n", "\n", ""},
                        {"shopt -s extglob\n", "\n", ""},
                        {"eval '", "'\n", ""},
                        {"x=${{ inputs.v }}; ", "; ", ""},
                        {"<<-EOF ", "\n\t${{ inputs.v }}\n\tEOF\n", ""},
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
        static const char *const values[] = {"a[$(touch X)]", "-v", "; touch X; $(touch X) `touch X` a[$(touch X)]", "([0]=$(touch X))",
                                             "'; touch X; '\"; touch X; $(touch X)\""};
        for (unsigned n_accepted = 0; n_accepted < RANDOM_SCRIPTS;) {
                _cleanup_strbuf_ StrBuf b = {0};
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
                        print_error("«%s» (%s as %s) with «%s» made the file\n", shell_template_script(c.template), runner->path,
                                    runner->name, value);
                assert_false(bad);
                assert_ok(nftw(directory, remove_below, 8, FTW_DEPTH | FTW_PHYS)); /* one script's files are no other's input */
        }
}

static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hostile_values),
                cmocka_unit_test(test_large_value),
                cmocka_unit_test(test_random_scripts),
};

int main(void) {
        return cmocka_run_group_tests(tests, setup, teardown);
}
