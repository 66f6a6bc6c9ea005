/* The words of a simple command: which command it is, and which of its words a shell would execute or compute again.
 *
 * Found by experiment with bash 5.2: it executes a[$(cmd)] out of a *value* in arithmetic, as the name for unset, read, printf -v, test -v,
 * wait -p and declare, in what is assigned to a variable with the integer or the name reference attribute (RANDOM, SECONDS, OPTIND … have
 * it), and in the keys of unset; it expands the word after >& twice; it evaluates the value of PS4 and BASH_ENV as a text in double quotes,
 * and a value that looks like (…) when declare assigns it to an array. sh may be bash, so no shell is believed to be better. Where it can't
 * be known, the answer is no: every refusal says what to write instead. */
#include "shell-words.h"

#include "i18n.h"

static bool is_name_start(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(const char *s, size_t n) {
        if (n == 0 || !is_name_start(s[0]))
                return false;
        for (size_t i = 1; i < n; i++)
                if (!is_name_start(s[i]) && !(s[i] >= '0' && s[i] <= '9'))
                        return false;
        return true;
}

/* --- building a word --- */

static void set_equals(Word *w, bool quoted) {
        w->equals = true;
        w->name_dynamic = w->dynamic;
        if (!w->subscript)
                w->name_n = w->n;
        if (w->name_n > 0 && w->text[w->name_n - 1] == '+')
                w->name_n--;
        w->assignment = !quoted && !w->quoted && !w->too_long && (!w->dynamic || w->subscript) && is_name(w->text, w->name_n);
}

void word_append(Word *w, char c, bool quoted) {
        w->started = true;
        w->quoted = w->quoted || quoted;
        if (w->lead == WORD_LEAD_NONE)
                w->lead = (unsigned char)c;
        if (w->equals && w->value_lead == WORD_LEAD_NONE)
                w->value_lead = (unsigned char)c;
        if (c == '=' && !w->equals)
                set_equals(w, quoted);
        if (c == '/') { /* only what follows matters for the name of a program */
                w->base_dynamic = false;
                w->base = w->n + 1;
        }
        if (w->n < WORD_TEXT_MAX)
                w->text[w->n++] = c;
        else
                w->too_long = true;
}

void word_unknown(Word *w, bool expression) {
        w->started = w->dynamic = w->base_dynamic = true;
        w->expression = w->expression || expression;
        w->quoted = w->quoted || expression; /* it is written in quotes */
        if (w->lead == WORD_LEAD_NONE)
                w->lead = WORD_LEAD_UNKNOWN;
        if (w->equals && w->value_lead == WORD_LEAD_NONE)
                w->value_lead = WORD_LEAD_UNKNOWN;
}

static bool text_is(const Word *w, size_t from, size_t to, const char *s) {
        return strlen(s) == to - from && memcmp(w->text + from, s, to - from) == 0;
}

bool word_is(const Word *w, const char *s) {
        return !w->dynamic && !w->too_long && text_is(w, 0, w->n, s);
}

bool word_is_plain(const Word *w, const char *s) {
        return !w->quoted && word_is(w, s);
}

bool word_is_io_number(const Word *w) {
        if (w->quoted || w->dynamic || w->too_long || w->n == 0)
                return false;
        if (w->text[0] == '{' && w->n > 2 && w->text[w->n - 1] == '}')
                return is_name(w->text + 1, w->n - 2);
        for (size_t i = 0; i < w->n; i++)
                if (w->text[i] < '0' || w->text[i] > '9')
                        return false;
        return true;
}

static bool word_begins(const Word *w, const char *s) {
        return w->n >= strlen(s) && memcmp(w->text, s, strlen(s)) == 0;
}

static bool may_be_option(const Word *w) {
        return w->dynamic && (w->lead == WORD_LEAD_UNKNOWN || w->lead == '-');
}

/* An expansion that may become no word at all, so that the next word takes its place. */
static bool may_vanish(const Word *w) {
        return w->dynamic && w->n == 0 && (!w->quoted || w->list);
}

/* Expansions in front of the '-' may be empty. */
static bool is_option(const Word *w) {
        return w->n > 0 && (w->text[0] == '-' || w->text[0] == '+');
}

/* Its constant text is s, so it is s where its expansions are empty. */
static bool word_may_be(const Word *w, const char *s) {
        return !w->too_long && w->n > 0 && text_is(w, 0, w->n, s);
}

bool word_may_begin_subscript(const Command *c, const Word *w) {
        bool assignable = c->redirect == REDIRECT_NONE && (c->phase == PHASE_MAYBE || c->phase == PHASE_START || c->phase == PHASE_PREFIX ||
                                                           c->rule == RULE_DECLARE || c->rule == RULE_EXPORT);
        return assignable && !w->quoted && !w->dynamic && !w->equals && !w->too_long && is_name(w->text, w->n);
}

/* --- tables --- */

static const struct {
        const char *name;
        CommandRule rule;
} rules[] = {
                {"eval", RULE_EVAL},       {"trap", RULE_TRAP},       {"alias", RULE_ALIAS},   {"let", RULE_ARITHMETIC},
                {"unset", RULE_NAMES},     {"read", RULE_NAMES},      {"mapfile", RULE_NAMES}, {"readarray", RULE_NAMES},
                {"getopts", RULE_NAMES},   {"complete", RULE_NAMES},  {"compgen", RULE_NAMES}, {"bind", RULE_NAMES},
                {"declare", RULE_DECLARE}, {"typeset", RULE_DECLARE}, {"local", RULE_DECLARE}, {"export", RULE_EXPORT},
                {"readonly", RULE_EXPORT}, {"test", RULE_TEST},       {"[", RULE_TEST},        {"printf", RULE_PRINTF},
                {"wait", RULE_WAIT},       {".", RULE_SOURCE},        {"source", RULE_SOURCE},
};

static const struct {
        const char *name;
        ShellCall call;
        bool reads_stdin;
} shells[] = {
                {"sh", SHELL_CALL_OPTIONS, true},      {"bash", SHELL_CALL_OPTIONS, true},   {"dash", SHELL_CALL_OPTIONS, true},
                {"ash", SHELL_CALL_OPTIONS, true},     {"rbash", SHELL_CALL_OPTIONS, true},  {"ksh", SHELL_CALL_OPTIONS, true},
                {"mksh", SHELL_CALL_OPTIONS, true},    {"zsh", SHELL_CALL_OPTIONS, true},    {"su", SHELL_CALL_PERMUTE, true},
                {"runuser", SHELL_CALL_PERMUTE, true}, {"flock", SHELL_CALL_PERMUTE, false},
};

/* Variables whose value a shell evaluates, computes, or takes a list from. */
static const char *const evaluated_names[] = {
                "PS0",      "PS1",        "PS2",        "PS4",       "PROMPT_COMMAND", "RANDOM",       "SRANDOM",
                "SECONDS",  "HISTCMD",    "OPTIND",     "OPTERR",    "LINENO",         "EPOCHSECONDS", "EPOCHREALTIME",
                "DIRSTACK", "PIPESTATUS", "COMP_WORDS", "COMPREPLY", "MAPFILE",        "COPROC",
};

static const char *const reserved[] = {
                /* after which a command comes */
                "!", "{", "}", "if", "then", "elif", "else", "fi", "while", "until", "do", "done", "esac",
};

static bool name_is_evaluated(const char *s, size_t n) {
        if (n >= 5 && memcmp(s, "BASH_", 5) == 0)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(evaluated_names); i++)
                if (strlen(evaluated_names[i]) == n && memcmp(s, evaluated_names[i], n) == 0)
                        return true;
        return false;
}

/* --- attributes of the whole text --- */

static bool is_blank(char c) {
        return c == ' ' || c == '\t';
}

static bool is_quote(char c) {
        return c == '\'' || c == '"' || c == '\\';
}

/* The options that follow a declaring command; quotes around them are looked through. */
static void declare_options(const char *s, size_t n, ShellAttributes *a) {
        size_t i = 0;
        while (i < n && is_quote(s[i]))
                i++;
        while (i < n && is_blank(s[i])) {
                while (i < n && (is_blank(s[i]) || is_quote(s[i])))
                        i++;
                if (i >= n || (s[i] != '-' && s[i] != '+'))
                        return;
                for (; i < n && !is_blank(s[i]) && !strchr("\n;&|", s[i]); i++) {
                        a->computed = a->computed || s[i] == 'i' || s[i] == 'n';
                        a->arrays = a->arrays || s[i] == 'a' || s[i] == 'A';
                }
        }
}

static bool contains(const char *text, size_t n, const char *s) {
        return memmem(text, n, s, strlen(s));
}

ShellAttributes shell_attributes(const char *text, size_t n) {
        static const char *const declaring[] = {"declare", "typeset", "local", "readonly", "export"};
        ShellAttributes a = {
                        .arrays = contains(text, n, "=(") || contains(text, n, "]=") || contains(text, n, "mapfile") ||
                                  contains(text, n, "readarray") || (contains(text, n, "read") && contains(text, n, "-a")),
        };
        for (size_t i = 0; i < ELEMENTSOF(declaring); i++) {
                size_t m = strlen(declaring[i]);
                const char *p = text;
                while ((p = memmem(p, n - (size_t)(p - text), declaring[i], m))) {
                        bool begins = p == text || strchr(" \t\n;&|({!'\"\\`", p[-1]);
                        p += m;
                        if (begins)
                                declare_options(p, n - (size_t)(p - text), &a);
                }
        }
        return a;
}

/* --- refusals --- */

static const char *computed_value(void) {
        return _("A variable with declare -i or -n in this command has its value computed by bash, which can execute it. Use a plain "
                 "variable for the expression.");
}

static const char *evaluated_variable(void) {
        return _("The value of this variable is evaluated or computed by the shell. Put the expression into a variable with another name.");
}

static const char *declare_refusal(const Command *c, const Word *w, const ShellAttributes *a) {
        if (!w->equals || w->name_dynamic)
                return _("An expression can't be the name of a variable here: bash executes what stands in its brackets. Write a name, and "
                         "the expression after '='.");
        if (c->risky_value || c->unknown_option)
                return computed_value();
        if (w->array)
                return NULL;
        bool may_be_list = w->value_lead == WORD_LEAD_NONE || w->value_lead == WORD_LEAD_UNKNOWN || w->value_lead == '(';
        if (c->array_value || (c->rule == RULE_DECLARE && a->arrays && may_be_list))
                return _("Where the variable is an array, bash evaluates the value of a declaration again. Declare the name first, and "
                         "assign the expression in a "
                         "command of its own.");
        return NULL;
}

static const char *shell_call_refusal(const Command *c, const Word *w) {
        bool attached = c->shell == SHELL_CALL_PERMUTE &&
                        (word_begins(w, "-c") || word_begins(w, "--command=") || word_begins(w, "--session-command="));
        if (c->shell != SHELL_CALL_DOUBT && c->shell != SHELL_CALL_STRING && !attached)
                return NULL;
        if (c->shell == SHELL_CALL_STRING && c->shell_skip)
                return NULL;
        if (c->shell == SHELL_CALL_DOUBT)
                return _("The word before it may become an option such as -c, and the value would be executed. Write '--' before that "
                         "word, and put it into double quotes.");
        return _("This text is executed as a command of its own, and so would be the value. Pass the value as an argument: sh -c 'command "
                 "\"$1\"' sh ${{ … }}");
}

static const char *rule_refusal(const Command *c, const Word *w, const ShellAttributes *a) {
        switch (c->rule) {
        case RULE_NONE:
        case RULE_SOURCE:
                return NULL;
        case RULE_EVAL:
                return _("eval executes its words, and so would it the value. Use the expression without eval.");
        case RULE_TRAP:
                return _("trap executes its text later, and so would it the value. Put the expression into a variable, and name that in "
                         "'single quotes' in the trap.");
        case RULE_ALIAS:
                return _("An alias is executed as text, and so would be the value. Write a function.");
        case RULE_ARITHMETIC:
                return _("In arithmetic bash can execute a value. Check that it is a number first, in a variable, or compute in a "
                         "program.");
        case RULE_NAMES:
                return _("This command takes names of variables, and bash executes what stands in the brackets of one. Write the name "
                         "itself.");
        case RULE_DECLARE:
        case RULE_EXPORT:
                return declare_refusal(c, w, a);
        case RULE_TEST:
        case RULE_PRINTF:
        case RULE_WAIT:
                if (c->name_next || (c->maybe_option && !c->settled) || (c->rule == RULE_PRINTF && !c->settled && word_begins(w, "-v")))
                        return _("This may be read as the name of a variable, and bash executes what stands in the brackets of one. Write "
                                 "the word before it as constant text.");
                return NULL;
        case RULE_FOR:
                return c->evaluated_name ? evaluated_variable() : a->computed ? computed_value() : NULL;
        }
        return NULL;
}

static const char *redirect_refusal(const Command *c, const ShellAttributes *a) {
        switch (c->redirect) {
        case REDIRECT_HEREDOC:
        case REDIRECT_HEREDOC_TABS:
                return _("The word that ends a here-document is constant.");
        case REDIRECT_DUPLICATE:
                return _("bash expands the word after '>&' twice, and executes what it finds. Write '> FILE 2>&1'.");
        case REDIRECT_HERE_STRING:
                return a->computed ? computed_value() : NULL;
        case REDIRECT_NONE:
        case REDIRECT_FILE:
                break;
        }
        return NULL;
}

/* NAME=… in any place: as an argument (of env, sudo) only what another shell evaluates when it starts. */
static bool sets_evaluated(const Command *c, const Word *w) {
        if (!w->equals)
                return false;
        if (c->phase == PHASE_ARGUMENTS && c->rule != RULE_DECLARE && c->rule != RULE_EXPORT)
                return text_is(w, 0, w->name_n, "PS4") || text_is(w, 0, w->name_n, "BASH_ENV");
        return name_is_evaluated(w->text, w->name_n);
}

const char *word_refusal(const Command *c, const Word *w, bool in_process, const ShellAttributes *a) {
        if (in_process && (c->shell_stdin || c->shell == SHELL_CALL_WEAK))
                return _("What this process substitution prints is executed, and so would be the value. Pass it as an argument or in a "
                         "variable.");
        if (c->redirect != REDIRECT_NONE)
                return redirect_refusal(c, a);
        if (sets_evaluated(c, w))
                return evaluated_variable();
        switch (c->phase) {
        case PHASE_START:
        case PHASE_PREFIX:
                return w->assignment && a->computed ? computed_value() : NULL;
        case PHASE_MAYBE:
                return shell_call_refusal(c, w);
        case PHASE_ARGUMENTS: {
                const char *s = shell_call_refusal(c, w);
                return s ? s : rule_refusal(c, w, a);
        }
        case PHASE_FOR_NAME:
        case PHASE_FUNCTION_NAME:
                return _("A name can't be an expression here.");
        case PHASE_FOR_IN:
        case PHASE_CASE_IN:
        case PHASE_CASE_WORD:
        case PHASE_PATTERN:
                return NULL;
        }
        return NULL;
}

/* --- a word is complete --- */

/* The shell's own words, after -c or before. */
static void shell_option(Command *c, const Word *w) {
        if (c->shell_skip) {
                c->shell_skip = false;
                return;
        }
        bool wide = w->n > 2 && w->text[1] == '-', c_option = w->text[0] == '-' && memchr(w->text, 'c', w->n);
        char last = w->text[w->n - 1];
        if (word_is(w, "--")) {
                c->shell = c->shell == SHELL_CALL_STRING ? SHELL_CALL_STRING : SHELL_CALL_DONE;
                return;
        }
        if (w->dynamic && !c_option && c->shell == SHELL_CALL_OPTIONS)
                c->shell = SHELL_CALL_DOUBT;
        if (word_is(w, "--rcfile") || word_is(w, "--init-file") || (!wide && (last == 'o' || last == 'O')))
                c->shell_skip = true;
        if (!wide && c_option) {
                c->shell = SHELL_CALL_STRING;
                c->shell_stdin = false;
        } else if (!wide && w->text[0] == '-' && memchr(w->text, 's', w->n))
                c->shell_s = true;
}

static void permute_word(Command *c, const Word *w) {
        bool wide = w->n > 2 && w->text[1] == '-';
        if (!is_option(w))
                return;
        if (word_is(w, "--command") || word_is(w, "--session-command") || (!wide && (w->dynamic || w->text[w->n - 1] == 'c'))) {
                c->shell = SHELL_CALL_STRING;
                c->shell_stdin = false;
        }
}

static void shell_operand(Command *c, const Word *w) {
        if (c->shell_skip) {
                c->shell_skip = false;
                return;
        }
        if (c->shell == SHELL_CALL_STRING)
                c->shell = may_vanish(w) ? SHELL_CALL_STRING : SHELL_CALL_DONE;
        else if (c->shell == SHELL_CALL_OPTIONS && ((w->expression && may_be_option(w)) || may_vanish(w)))
                c->shell = SHELL_CALL_DOUBT;
        else if (c->shell == SHELL_CALL_OPTIONS && w->dynamic && may_be_option(w))
                c->shell = SHELL_CALL_WEAK;
        else if (c->shell == SHELL_CALL_WEAK)
                c->shell = SHELL_CALL_NONE; /* what follows may still be a shell: $run time bash -c … */
        else if (c->shell != SHELL_CALL_DOUBT) {
                c->shell = SHELL_CALL_DONE;
                c->shell_stdin = c->shell_stdin && c->shell_s; /* without -s the operand is a script */
        }
}

/* sh, /bin/bash, "$prefix/bin/sh": a shell's name anywhere in a command counts, as in sudo sh -c …, find -exec sh -c …. */
static bool shell_begins(Command *c, const Word *w) {
        if (w->too_long)
                return false;
        if (word_begins(w, "--entrypoint")) { /* of a container: its options may come much later */
                c->shell = SHELL_CALL_PERMUTE;
                return true;
        }
        for (size_t i = 0; i < ELEMENTSOF(shells); i++)
                if (text_is(w, w->base, w->n, shells[i].name)) {
                        c->shell = shells[i].call;
                        c->shell_stdin = shells[i].reads_stdin;
                        return true;
                }
        return false;
}

static void shell_word(Command *c, const Word *w) {
        switch (c->shell) {
        case SHELL_CALL_NONE:
                shell_begins(c, w);
                break;
        case SHELL_CALL_DONE:
                break;
        case SHELL_CALL_PERMUTE:
                permute_word(c, w);
                break;
        case SHELL_CALL_WEAK:
                if (shell_begins(c, w))
                        break;
                __attribute__((fallthrough));
        case SHELL_CALL_OPTIONS:
        case SHELL_CALL_DOUBT:
        case SHELL_CALL_STRING:
                if (is_option(w))
                        shell_option(c, w);
                else
                        shell_operand(c, w);
                break;
        }
}

static void declare_word(Command *c, const Word *w) {
        if (c->settled)
                return;
        if (may_be_option(w) && !w->equals)
                c->unknown_option = true;
        else if (!is_option(w) || word_is(w, "--"))
                c->settled = true;
        else {
                c->risky_value = c->risky_value || memchr(w->text, 'i', w->n) || memchr(w->text, 'n', w->n);
                c->array_value = c->array_value || memchr(w->text, 'a', w->n) || memchr(w->text, 'A', w->n);
        }
}

/* test, printf, wait: options that make the next word a name. */
static void name_option_word(Command *c, const Word *w) {
        bool was_name = c->name_next;
        c->name_next = !c->settled && (c->rule == RULE_TEST     ? word_is(w, "-v") || word_is(w, "-R")
                                       : c->rule == RULE_PRINTF ? word_is(w, "-v")
                                                                : word_is(w, "-p"));
        c->maybe_option = may_be_option(w);
        if (c->rule != RULE_TEST && !was_name && (word_is(w, "--") || (w->lead != '-' && !may_be_option(w))))
                c->settled = true;
}

static void argument_word(Command *c, const Word *w) {
        shell_word(c, w);
        if (c->rule == RULE_DECLARE || c->rule == RULE_EXPORT)
                declare_word(c, w);
        else if (c->rule == RULE_TEST || c->rule == RULE_PRINTF || c->rule == RULE_WAIT)
                name_option_word(c, w);
}

static void command_name(Command *c, const Word *w) {
        c->phase = PHASE_ARGUMENTS;
        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                if (word_may_be(w, rules[i].name))
                        c->rule = rules[i].rule;
        if (c->rule == RULE_SOURCE)
                c->shell_stdin = true;
        c->prints = c->rule == RULE_PRINTF || word_may_be(w, "echo");
        shell_word(c, w);
        if (c->shell == SHELL_CALL_NONE && w->base_dynamic)
                c->shell = SHELL_CALL_WEAK;
        if (may_vanish(w))
                c->phase = PHASE_MAYBE;
}

static void maybe_word(Command *c, const Word *w) {
        if (is_option(w) || word_may_be(w, "command") || word_may_be(w, "builtin"))
                shell_word(c, w);
        else
                command_name(c, w);
}

static bool reserved_word(Command *c, const Word *w, bool in_case, WordEnd *ret) {
        static const struct {
                const char *name;
                Phase phase;
        } phases[] = {
                        {"case", PHASE_CASE_WORD}, {"for", PHASE_FOR_NAME},   {"select", PHASE_FOR_NAME}, {"function", PHASE_FUNCTION_NAME},
                        {"time", PHASE_PREFIX},    {"command", PHASE_PREFIX}, {"builtin", PHASE_PREFIX},
        };
        *ret = WORD_PLAIN;
        if (word_is_plain(w, "[["))
                *ret = WORD_COND;
        else if (word_is_plain(w, "coproc"))
                *ret = WORD_DOUBT;
        else if (word_is_plain(w, "esac") && in_case)
                *ret = WORD_ESAC;
        if (*ret != WORD_PLAIN)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                if (word_is_plain(w, reserved[i]))
                        return true;
        for (size_t i = 0; i < ELEMENTSOF(phases); i++)
                if (phases[i].phase == PHASE_PREFIX ? word_may_be(w, phases[i].name) : word_is_plain(w, phases[i].name)) {
                        c->phase = phases[i].phase;
                        return true;
                }
        return false;
}

static WordEnd start_word(Command *c, const Word *w, bool in_case) {
        WordEnd end;
        if (w->assignment || reserved_word(c, w, in_case, &end))
                return w->assignment ? WORD_PLAIN : end;
        command_name(c, w);
        return WORD_PLAIN;
}

static WordEnd pattern_word(Command *c, const Word *w) {
        bool first = c->pattern_first;
        c->pattern_first = false;
        return first && word_is_plain(w, "esac") ? WORD_ESAC : WORD_PLAIN;
}

WordEnd command_word(Command *c, const Word *w, bool in_case) {
        if (c->split)
                return WORD_DOUBT;
        switch (c->phase) {
        case PHASE_START:
                return start_word(c, w, in_case);
        case PHASE_PREFIX:
                return is_option(w) ? WORD_PLAIN : start_word(c, w, in_case);
        case PHASE_MAYBE:
                maybe_word(c, w);
                return WORD_PLAIN;
        case PHASE_ARGUMENTS:
                argument_word(c, w);
                return WORD_PLAIN;
        case PHASE_FOR_NAME:
                c->evaluated_name = name_is_evaluated(w->text, w->n);
                c->phase = PHASE_FOR_IN;
                return WORD_PLAIN;
        case PHASE_FOR_IN:
                c->phase = word_is_plain(w, "in") ? PHASE_ARGUMENTS : PHASE_START;
                c->rule = RULE_FOR;
                if (c->phase == PHASE_START)
                        *c = (Command){.phase = PHASE_START};
                return c->phase == PHASE_ARGUMENTS || word_is_plain(w, "do") ? WORD_PLAIN : WORD_DOUBT;
        case PHASE_CASE_WORD:
                c->phase = PHASE_CASE_IN;
                return WORD_PLAIN;
        case PHASE_CASE_IN:
                return word_is_plain(w, "in") ? WORD_CASE : WORD_DOUBT;
        case PHASE_PATTERN:
                return pattern_word(c, w);
        case PHASE_FUNCTION_NAME:
                c->phase = PHASE_START;
                return WORD_PLAIN;
        }
        return WORD_DOUBT;
}
