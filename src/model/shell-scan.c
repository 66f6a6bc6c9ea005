/* The shell scanner: goes over a command for sh, dash or bash byte by byte, keeps the stack of what is open (quotes, substitutions,
 * here-documents …), and says for each expression whether a value is only a string there.
 *
 * Rules: it never executes and never recurses; it is linear in the text. An expression may stand where no open frame, from the bottom to
 * the top, refuses it. Where the text can be read in two ways (shells differ, or it is broken), the scanner is in doubt from there on, and
 * every later expression is refused; text without expressions is never an error. What is found out too late (an unclosed quote, a
 * here-document that feeds a shell) is written into the spots that were already recorded. */
#include "shell-scan-internal.h"

#include "i18n.h"

static const char *unusual(void) {
        return _("From here on the shell's quoting can't be followed with certainty, because shells read this text differently or it is "
                 "not complete. "
                 "Write it more plainly, or put the value into a variable before it.");
}

void scan_doubt(Scanner *s, const char *why) {
        if (s->doubt)
                return;
        s->doubt = why ? why : unusual();
        s->doubt_at = MIN(s->at, s->n);
}

Frame *scan_push(Scanner *s, FrameType type, size_t length) {
        Frame *f = top(s);
        if (s->n_frames == SHELL_NESTING_MAX) {
                scan_doubt(s, _("The command is nested too deeply from here on."));
                return f;
        }
        bool quoted = !has_words(f->type) && (f->type != FRAME_BRACE || f->in_quotes);
        f = s->frames + s->n_frames++;
        *f = (Frame){.type = type,
                     .start = s->at,
                     .in_quotes = quoted,
                     .first_heredoc = s->n_heredocs,
                     .first_here_string = SIZE_MAX,
                     .first_spot = s->spots->n_items,
                     .piped_spot = SIZE_MAX};
        s->at += length;
        return f;
}

void scan_pop(Scanner *s, size_t length) {
        s->n_heredoc_frames -= top(s)->type == FRAME_HEREDOC;
        s->n_frames--;
        s->at += length;
}

/* The word that text at the top belongs to, where it is constant text of it. */
static Word *open_word(Scanner *s) {
        Frame *f = top(s);
        if (f->type == FRAME_DOUBLE_QUOTES)
                f--;
        return has_words(f->type) ? &f->word : NULL;
}

void scan_append(Scanner *s, char c, bool quoted) {
        Word *w = open_word(s);
        if (w)
                word_append(w, c, quoted);
}

void scan_quoted(Scanner *s) {
        Word *w = open_word(s);
        if (w)
                w->started = w->quoted = true;
}

void scan_unknown(Scanner *s, bool expression) {
        Word *w = open_word(s);
        if (w)
                word_unknown(w, expression);
}

void scan_list(Scanner *s) {
        Word *w = open_word(s);
        if (w)
                w->list = true;
}

size_t scan_after(const Scanner *s, size_t at) {
        if (!at_expression(s, at))
                return at + 1;
        size_t end = template_span_end(s->text, s->n, at);
        return end > 0 ? end : s->n;
}

/* --- expressions --- */

static const char *frame_refusal(const Scanner *s, const Frame *f, bool in_process) {
        switch (f->type) {
        case FRAME_COMMANDS:
        case FRAME_SUBSHELL:
        case FRAME_CASE:
        case FRAME_ARRAY:
                return word_refusal(&f->command, &f->word, in_process, &s->attributes);
        case FRAME_COND:
                return _("Inside [[ ]] bash can execute a value. Use [ ] or case, with the expression in double quotes.");
        case FRAME_DOUBLE_QUOTES:
                return f->locale ? _("The text of $\"…\" is translated by bash before it is used. Write it without the '$'.") : NULL;
        case FRAME_BRACE:
                return _("Inside ${…} a value can be computed or executed. Put the expression into a variable first, outside of it.");
        case FRAME_ARITHMETIC:
        case FRAME_BRACKET:
                return _("In arithmetic bash can execute a value. Check that it is a number first, in a variable, or compute in a "
                         "program.");
        case FRAME_SUBSCRIPT:
                return _("A subscript is arithmetic, in which bash can execute a value. Use a constant one.");
        case FRAME_HEREDOC:
                return f->feeds_shell ? _("This here-document is executed by a shell, and so would be the value. Pass the value as an "
                                          "argument or in the environment.")
                                      : NULL;
        }
        return NULL;
}

static const char *place_refusal(const Scanner *s) {
        const char *why = NULL;
        for (size_t i = 0; i < s->n_frames && !why; i++)
                why = frame_refusal(s, s->frames + i, i + 1 < s->n_frames && s->frames[i + 1].process);
        return why;
}

/* Records the expression at s->at and goes past it. */
static void take_expression(Scanner *s, bool quoted, const char *refusal) {
        ShellSpots *spots = s->spots;
        size_t end = template_span_end(s->text, s->n, s->at);
        if (!GREEDY_REALLOC(spots->items, spots->n_allocated, spots->n_items + 1)) {
                s->error = -ENOMEM;
                return;
        }
        ShellSpot *spot = spots->items + spots->n_items++;
        *spot = (ShellSpot){.start = s->at, .end = end > 0 ? end : s->n, .quoted = quoted, .refusal = refusal, .because = SIZE_MAX};
        if (end == 0)
                spot->refusal = _("'${{' is not closed by '}}'.");
        else if (s->doubt) {
                spot->refusal = s->doubt;
                spot->because = s->doubt_at;
        }
        s->at = spot->end;
}

/* The words that the expression becomes a part of, also through $( ). */
static void mark_words(Scanner *s) {
        for (size_t i = 0; i < s->n_frames; i++) {
                Frame *f = s->frames + i;
                if (!has_words(f->type))
                        continue;
                f->word.expression = f->word.expression || f->word.started;
                if (f->command.redirect == REDIRECT_HERE_STRING && f->first_here_string == SIZE_MAX)
                        f->first_here_string = s->spots->n_items;
        }
}

void scan_expression(Scanner *s) {
        const char *refusal = place_refusal(s);
        mark_words(s);
        take_expression(s, !has_words(top(s)->type), refusal);
        scan_unknown(s, true);
}

void scan_refused_expression(Scanner *s, const char *why) {
        take_expression(s, true, why);
        scan_unknown(s, true);
}

void scan_harmless_expression(Scanner *s) {
        take_expression(s, true, NULL);
}

void scan_skip(Scanner *s, size_t to, const char *why) {
        while (s->at < to && s->error == 0) {
                const char *p = memmem(s->text + s->at, to - s->at, "${{", 3);
                if (!p)
                        break;
                s->at = (size_t)(p - s->text);
                take_expression(s, true, why);
        }
        s->at = MAX(s->at, to);
}

/* Refuses spots that were accepted. */
static void refuse_spots(Scanner *s, size_t first, size_t from_offset, const char *why, size_t because) {
        for (size_t i = first; i < s->spots->n_items; i++)
                if (!s->spots->items[i].refusal && s->spots->items[i].start >= from_offset) {
                        s->spots->items[i].refusal = why;
                        s->spots->items[i].because = because;
                }
}

/* --- words and commands --- */

/* What a shell reads as its commands, in this pipeline. */
static void refuse_shell_input(Scanner *s, const Frame *f) {
        for (size_t i = f->first_heredoc; i < s->n_heredocs; i++)
                s->heredocs[i].feeds_shell = true;
        if (f->first_here_string != SIZE_MAX)
                refuse_spots(s, f->first_here_string, 0,
                             _("This here-string is executed by a shell, and so would be the value. Pass the value as an argument or in "
                               "the "
                               "environment."),
                             SIZE_MAX);
        if (f->piped_spot != SIZE_MAX)
                refuse_spots(s, f->piped_spot, 0,
                             _("What is printed here is executed by a shell, and so would be the value. Pass the value as an argument or "
                               "in "
                               "the environment."),
                             SIZE_MAX);
}

static void end_command(Scanner *s) {
        Frame *f = top(s);
        if (f->command.redirect != REDIRECT_NONE)
                scan_doubt(s, NULL);
        if (f->command.shell_stdin)
                refuse_shell_input(s, f);
        f->first_heredoc = s->n_heredocs;
        f->first_here_string = SIZE_MAX;
        f->first_spot = s->spots->n_items;
        f->piped_spot = SIZE_MAX;
        f->piped = false;
        f->command = (Command){.phase = PHASE_START};
}

/* Before an operator: complete what the frame was in the middle of. */
static void end_simple_command(Scanner *s) {
        Phase p = top(s)->command.phase;
        if (p == PHASE_CASE_WORD || p == PHASE_CASE_IN || p == PHASE_PATTERN || p == PHASE_FUNCTION_NAME || p == PHASE_FOR_NAME)
                scan_doubt(s, NULL);
        end_command(s);
}

static void start_patterns(Scanner *s) {
        end_command(s);
        top(s)->command = (Command){.phase = PHASE_PATTERN, .pattern_first = true};
}

static void classify_word(Scanner *s, const Word *w) {
        Frame *f = top(s);
        switch (command_word(&f->command, w, f->type == FRAME_CASE)) {
        case WORD_PLAIN:
                break;
        case WORD_CASE:
                f->command = (Command){.phase = PHASE_START};
                scan_push(s, FRAME_CASE, 0);
                start_patterns(s);
                break;
        case WORD_ESAC:
                end_command(s);
                scan_pop(s, 0);
                break;
        case WORD_COND:
                scan_push(s, FRAME_COND, 0);
                break;
        case WORD_DOUBT:
                scan_doubt(s, NULL);
                break;
        }
}

static void cond_word(Scanner *s, const Word *w) {
        if (!word_is_plain(w, "]]"))
                return;
        if (top(s)->depth > 0)
                scan_doubt(s, NULL);
        scan_pop(s, 0);
        top(s)->command.phase = PHASE_START;
}

static void end_word(Scanner *s) {
        Frame *f = top(s);
        Word w = f->word;
        Redirect redirect = f->command.redirect;
        f->word = (Word){0};
        f->command.redirect = REDIRECT_NONE;
        if (redirect == REDIRECT_HEREDOC || redirect == REDIRECT_HEREDOC_TABS)
                heredoc_add(s, &w, redirect == REDIRECT_HEREDOC_TABS);
        else if (f->type == FRAME_COND)
                cond_word(s, &w);
        else if (redirect == REDIRECT_NONE && f->type != FRAME_ARRAY)
                classify_word(s, &w);
}

/* --- commands --- */

static void comment(Scanner *s) {
        if (s->at > 0 && strchr("<>", s->text[s->at - 1]))
                scan_doubt(s, NULL);
        while (s->at < s->n && s->text[s->at] != '\n' && s->error == 0) {
                if (at_expression(s, s->at))
                        scan_harmless_expression(s);
                else
                        s->at++;
        }
}

static void newline(Scanner *s) {
        Frame *f = top(s);
        Phase p = f->command.phase;
        s->at++;
        if (f->type == FRAME_ARRAY || f->type == FRAME_COND) {
                heredoc_inner_newline(s);
                return;
        }
        if (p == PHASE_PATTERN)
                f->command.pattern_first = true;
        else if (p != PHASE_CASE_IN && p != PHASE_FOR_IN && p != PHASE_FUNCTION_NAME) {
                if (p == PHASE_CASE_WORD || p == PHASE_FOR_NAME)
                        scan_doubt(s, NULL);
                if (!f->piped || p != PHASE_START)
                        end_command(s);
                else if (s->n_heredocs > 0) /* the body comes before it is known who reads it */
                        scan_doubt(s, NULL);
        }
        if (s->n_heredocs > 0)
                heredoc_start_all(s);
}

static void set_redirect(Scanner *s, Redirect r, size_t length) {
        Frame *f = top(s);
        if (f->command.redirect != REDIRECT_NONE || f->type == FRAME_ARRAY || f->command.phase == PHASE_PATTERN ||
            f->command.phase == PHASE_CASE_WORD)
                scan_doubt(s, NULL);
        f->command.redirect = r;
        s->at += length;
}

static void process_substitution(Scanner *s) {
        word_unknown(&top(s)->word, false);
        scan_push(s, FRAME_COMMANDS, 2)->process = true;
}

/* At '<' or '>'. */
static void redirection(Scanner *s) {
        char a = s->text[s->at], b = peek(s, 1), c = peek(s, 2);
        if (top(s)->type == FRAME_COND) {
                if (a == b)
                        scan_doubt(s, NULL);
                s->at++;
        } else if (b == '(')
                process_substitution(s);
        else if (a == '<' && b == '<' && c == '<')
                set_redirect(s, REDIRECT_HERE_STRING, 3);
        else if (a == '<' && b == '<')
                set_redirect(s, c == '-' ? REDIRECT_HEREDOC_TABS : REDIRECT_HEREDOC, c == '-' ? 3 : 2);
        else if (b == '&')
                set_redirect(s, REDIRECT_DUPLICATE, 2);
        else
                set_redirect(s, REDIRECT_FILE, b == '>' || (a == '>' && b == '|') ? 2 : 1);
}

/* &> redirects in bash, and ends the command in other shells. */
static void ampersand_redirection(Scanner *s) {
        top(s)->command.split = s->shell != SHELL_BASH;
        set_redirect(s, REDIRECT_FILE, peek(s, 2) == '>' ? 3 : 2);
}

/* At the '|' of a pipeline: the next command reads what this one, or those before it, were given. */
static void end_piped_command(Scanner *s) {
        Frame *f = top(s), before = *f;
        bool prints = f->command.prints && s->spots->n_items > f->first_spot;
        end_simple_command(s);
        f->first_heredoc = MIN(before.first_heredoc, s->n_heredocs);
        f->first_here_string = before.first_here_string;
        f->piped_spot = prints ? MIN(before.first_spot, before.piped_spot) : before.piped_spot;
        f->piped = true;
}

/* ; & | in commands. */
static void separator(Scanner *s) {
        Frame *f = top(s);
        char c = s->text[s->at], next = peek(s, 1);
        if (f->command.phase == PHASE_PATTERN && c == '|') {
                s->at++;
                return;
        }
        if (c == '&' && next == '>') {
                ampersand_redirection(s);
                return;
        }
        if (c == ';' && (next == ';' || next == '&')) {
                if (f->type != FRAME_CASE || f->command.phase == PHASE_PATTERN)
                        scan_doubt(s, NULL);
                s->at += next == ';' && peek(s, 2) == '&' ? 3 : 2;
                if (!s->doubt)
                        start_patterns(s);
                return;
        }
        if (c == '|' && next != c)
                end_piped_command(s);
        else
                end_simple_command(s);
        s->at += next == c || (c == '|' && next == '&') ? 2 : 1;
}

/* NAME() { … }: at the '('. */
static bool function_parentheses(Scanner *s) {
        size_t i = s->at + 1;
        while (i < s->n && (s->text[i] == ' ' || s->text[i] == '\t'))
                i++;
        if (i >= s->n || s->text[i] != ')')
                return false;
        end_command(s);
        s->at = i + 1;
        return true;
}

static void open_parenthesis(Scanner *s) {
        Frame *f = top(s);
        Phase p = f->command.phase;
        if (f->type == FRAME_CASE && p == PHASE_PATTERN) {
                if (!f->command.pattern_first)
                        scan_doubt(s, NULL);
                f->command.pattern_first = false;
                s->at++;
        } else if (peek(s, 1) == '(' && (p == PHASE_START || p == PHASE_PREFIX || p == PHASE_FOR_NAME)) {
                if (s->shell != SHELL_BASH)
                        scan_doubt(s, NULL);
                f->command.phase = PHASE_START;
                scan_push(s, FRAME_ARITHMETIC, 2);
        } else if (function_parentheses(s))
                return;
        else if (p == PHASE_START || p == PHASE_PREFIX)
                scan_push(s, FRAME_SUBSHELL, 1);
        else
                scan_doubt(s, NULL);
}

static void close_parenthesis(Scanner *s) {
        Frame *f = top(s);
        if (f->type == FRAME_CASE && f->command.phase == PHASE_PATTERN) {
                f->command = (Command){.phase = PHASE_START};
                s->at++;
                return;
        }
        if (f->type == FRAME_CASE || (f->type == FRAME_COMMANDS && s->n_frames == 1)) {
                scan_doubt(s, NULL);
                return;
        }
        FrameType type = f->type;
        if (type == FRAME_ARRAY) {
                scan_pop(s, 1);
                return;
        }
        end_simple_command(s);
        for (size_t i = 0; i < s->n_heredocs && type == FRAME_COMMANDS; i++)
                if (s->heredocs[i].start >= f->start) /* the body would come after its substitution */
                        scan_doubt(s, NULL);
        scan_pop(s, 1);
        if (type == FRAME_SUBSHELL)
                top(s)->command = (Command){.phase = PHASE_START};
}

static void cond_operator(Scanner *s, char c) {
        Frame *f = top(s);
        if (c == '(')
                f->depth++;
        else if (c == ')' && f->depth > 0)
                f->depth--;
        else if (c == ')' || c == ';' || (c == '&' && peek(s, 1) != '&'))
                scan_doubt(s, NULL);
        s->at += c == '&' ? 2 : 1;
}

static void operator_at(Scanner *s, char c) {
        FrameType t = top(s)->type;
        if (c == '<' || c == '>')
                redirection(s);
        else if (t == FRAME_COND)
                cond_operator(s, c);
        else if (c == ')')
                close_parenthesis(s);
        else if (t == FRAME_ARRAY)
                scan_doubt(s, NULL);
        else if (c == '(')
                open_parenthesis(s);
        else
                separator(s);
}

/* A '(' in the middle of a word: NAME=( or a function's name. */
static void word_parenthesis(Scanner *s) {
        Frame *f = top(s);
        char before = s->text[s->at - 1];
        if (f->word.assignment && before == '=' && f->word.value_lead == WORD_LEAD_NONE && f->type != FRAME_ARRAY) {
                f->word.array = true;
                word_unknown(&f->word, false);
                scan_push(s, FRAME_ARRAY, 1);
        } else if (before == '=' || strchr("?*+@!", before))
                scan_doubt(s, NULL);
        else
                end_word(s);
}

/* An operator after a word has begun: it ends the word, unless it belongs to it. */
static void operator_in_word(Scanner *s, char c) {
        Frame *f = top(s);
        if ((c == '<' || c == '>') && word_is_io_number(&f->word))
                f->word = (Word){0};
        else if ((c == '<' || c == '>') && peek(s, 1) == '(' && f->type != FRAME_COND)
                process_substitution(s);
        else if (c == '(' && f->type != FRAME_COND)
                word_parenthesis(s);
        else
                end_word(s);
}

static void word_character(Scanner *s, char c) {
        Frame *f = top(s);
        bool element = f->type == FRAME_ARRAY && !f->word.started;
        if (c == '[' && (element || (f->type != FRAME_ARRAY && f->type != FRAME_COND && word_may_begin_subscript(&f->command, &f->word)))) {
                f->word.started = f->word.subscript = true;
                f->word.name_n = f->word.n;
                scan_push(s, FRAME_SUBSCRIPT, 1);
                return;
        }
        word_append(&f->word, c, false);
        s->at++;
}

/* In a frame that holds words. */
static void step_words(Scanner *s) {
        Frame *f = top(s);
        char c = s->text[s->at];
        bool started = f->word.started;
        if (quotes_expansion(s))
                return;
        if (c == '\'')
                quotes_single(s);
        else if (c == '"') {
                f->word.started = f->word.quoted = true;
                scan_push(s, FRAME_DOUBLE_QUOTES, 1);
        } else if (c == '\\')
                quotes_backslash(s, false);
        else if (c == '\n' || c == ' ' || c == '\t') {
                if (started)
                        end_word(s);
                else if (c == '\n')
                        newline(s);
                else
                        s->at++;
        } else if (strchr(";&|<>()", c)) {
                if (started)
                        operator_in_word(s, c);
                else
                        operator_at(s, c);
        } else if (c == '#' && !started) {
                if (f->type == FRAME_COND)
                        scan_doubt(s, NULL);
                comment(s);
        } else
                word_character(s, c);
}

static void step(Scanner *s) {
        switch (top(s)->type) {
        case FRAME_COMMANDS:
        case FRAME_SUBSHELL:
        case FRAME_CASE:
        case FRAME_ARRAY:
        case FRAME_COND:
                step_words(s);
                break;
        case FRAME_DOUBLE_QUOTES:
                quotes_step_double(s);
                break;
        case FRAME_BRACE:
                quotes_step_brace(s);
                break;
        case FRAME_ARITHMETIC:
                quotes_step_computed(s, '(', ')');
                break;
        case FRAME_BRACKET:
        case FRAME_SUBSCRIPT:
                quotes_step_computed(s, '[', ']');
                break;
        case FRAME_HEREDOC:
                heredoc_step(s);
                break;
        }
}

/* Something is still open: what stands in it is in a text that no shell accepts. */
static void refuse_unclosed(Scanner *s) {
        size_t i = 1;
        if (s->doubt)
                while (i < s->n_frames &&
                       (s->frames[i].type == FRAME_COMMANDS || s->frames[i].type == FRAME_SUBSHELL || s->frames[i].type == FRAME_CASE))
                        i++;
        if (i < s->n_frames)
                refuse_spots(s, 0, s->frames[i].start, s->doubt ? s->doubt : _("What is opened here is never closed."),
                             s->doubt ? s->doubt_at : s->frames[i].start);
}

static void finish(Scanner *s) {
        if (!s->doubt && has_words(top(s)->type)) {
                if (top(s)->word.started)
                        end_word(s);
                if (has_words(top(s)->type))
                        end_command(s);
        }
        refuse_unclosed(s);
        if (s->doubt)
                scan_skip(s, s->n, s->doubt);
}

int shell_scan(const char *text, size_t n, ShellKind shell, ShellSpots *ret) {
        Scanner *s = calloc(1, sizeof(Scanner));
        if (!s)
                return -ENOMEM;
        *s = (Scanner){.text = text, .n = n, .shell = shell, .attributes = shell_attributes(text, n), .spots = ret, .n_frames = 1};
        s->frames[0] = (Frame){.type = FRAME_COMMANDS, .first_here_string = SIZE_MAX, .piped_spot = SIZE_MAX};
        while (s->at < n && !s->doubt && s->error == 0) {
                size_t before = s->at;
                step(s);
                if (s->n_heredoc_frames > 0)
                        heredoc_check_border(s);
                if (s->doubt) /* a step may have gone over the beginning of an expression */
                        s->at = ret->n_items > 0 ? MAX(before, ret->items[ret->n_items - 1].end) : before;
        }
        if (s->error == 0)
                finish(s);
        int r = s->error;
        free(s);
        return r;
}
