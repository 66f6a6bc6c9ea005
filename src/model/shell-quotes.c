/* Quotes, escapes and substitutions of the shell. Where shells read a construct differently (quotes inside "${…}", $'…\'…', $[ ), the
 * scanner is in doubt from there on. */
#include "i18n.h"
#include "shell-scan-internal.h"

/* `x` up to an unescaped backquote. Nothing in it is safe: it is parsed twice. */
static void backquote(Scanner *s) {
        size_t i = s->at + 1;
        while (i < s->n && s->text[i] != '`')
                i = s->text[i] == '\\' ? i + 2 : scan_after(s, i);
        scan_unknown(s, false);
        if (memchr(s->text + s->at, '\n', MIN(i, s->n) - s->at))
                heredoc_inner_newline(s);
        scan_skip(s, MIN(i + 1, s->n), _("Inside backquotes quoting changes its meaning. Write $( … ) instead."));
        if (i >= s->n)
                scan_doubt(s, NULL);
}

void quotes_single(Scanner *s) {
        size_t end = s->at + 1;
        while (end < s->n && s->text[end] != '\'')
                end = scan_after(s, end);
        scan_quoted(s);
        for (size_t i = s->at + 1; i < end; i++)
                scan_append(s, s->text[i], true);
        if (memchr(s->text + s->at, '\n', end - s->at))
                heredoc_inner_newline(s);
        scan_skip(s, MIN(end + 1, s->n),
                  _("Nothing is expanded in single quotes. Use double quotes, or close the quotes around the expression."));
        if (end >= s->n)
                scan_doubt(s, NULL);
}

/* $'…': bash reads escapes in it; another shell takes the '$' as it is and ends at the first quote. */
static void ansi_quotes(Scanner *s) {
        size_t end = s->at + 2;
        bool escapes = false;
        while (end < s->n && s->text[end] != '\'') {
                bool escape = s->text[end] == '\\';
                escapes = escapes || escape;
                if (escape && end + 1 < s->n && s->text[end + 1] == '\'' && s->shell != SHELL_BASH)
                        scan_doubt(s, NULL);
                end = escape ? end + 2 : scan_after(s, end);
        }
        end = MIN(end, s->n);
        scan_quoted(s);
        for (size_t i = s->at + 2; i < end; i++)
                scan_append(s, s->text[i], true);
        if (escapes)
                scan_unknown(s, false);
        if (memchr(s->text + s->at, '\n', end - s->at))
                heredoc_inner_newline(s);
        scan_skip(s, MIN(end + 1, s->n), _("Nothing is expanded in $'…'. Use double quotes, or close the quotes around the expression."));
        if (end >= s->n)
                scan_doubt(s, NULL);
}

static void dollar_brace(Scanner *s) {
        char c = peek(s, 2);
        const char *end = memchr(s->text + s->at, '}', s->n - s->at);
        scan_unknown(s, false);
        if (!end || memchr(s->text + s->at, '@', (size_t)(end - s->text) - s->at))
                scan_list(s);
        if (c == ' ' || c == '\t' || c == '\n' || c == '|' || c == '\0' || c == '\\')
                scan_doubt(s, NULL);
        scan_push(s, FRAME_BRACE, 2);
}

static void dollar_parenthesis(Scanner *s, bool arithmetic) {
        scan_unknown(s, false);
        scan_push(s, arithmetic ? FRAME_ARITHMETIC : FRAME_COMMANDS, arithmetic ? 3 : 2);
}

static void dollar_bracket(Scanner *s) {
        scan_unknown(s, false);
        if (s->shell != SHELL_BASH)
                scan_doubt(s, NULL);
        scan_push(s, FRAME_BRACKET, 2);
}

static bool is_name_char(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void dollar_name(Scanner *s) {
        char c = peek(s, 1);
        if (!is_name_char(c) && (c == '\0' || !strchr("$?!#*@-", c))) {
                scan_append(s, '$', false);
                s->at++;
                return;
        }
        scan_unknown(s, false);
        if (c == '@')
                scan_list(s);
        s->at += 2;
        if (is_name_char(c) && !(c >= '0' && c <= '9'))
                while (s->at < s->n && is_name_char(s->text[s->at]))
                        s->at++;
}

/* At a '$' that begins no expression. */
static void dollar(Scanner *s) {
        bool in_words = has_words(top(s)->type);
        char c = peek(s, 1);
        if (at_expression(s, s->at + 1)) {
                s->at++;
                scan_refused_expression(s, _("A '$' directly before an expression would become part of another word of the shell. Put "
                                             "something between them, or write '\\$'."));
        } else if (c == '\\' && peek(s, 2) == '\n')
                scan_doubt(s, NULL);
        else if (c == '{')
                dollar_brace(s);
        else if (c == '(')
                dollar_parenthesis(s, peek(s, 2) == '(');
        else if (c == '[')
                dollar_bracket(s);
        else if (c == '\'' && in_words)
                ansi_quotes(s);
        else if (c == '"' && in_words) {
                scan_quoted(s);
                scan_push(s, FRAME_DOUBLE_QUOTES, 2)->locale = true;
        } else
                dollar_name(s);
}

void quotes_backslash(Scanner *s, bool quoted) {
        if (at_expression(s, s->at + 1)) {
                s->at++;
                scan_refused_expression(s, _("A backslash directly before an expression would take its '$' away. Remove the backslash."));
                return;
        }
        char c = peek(s, 1);
        if (c == '\n') { /* joins lines; in the middle of an operator that makes another operator */
                if (quoted)
                        heredoc_inner_newline(s);
                else if (s->at > 0 && strchr("<>&|;(", s->text[s->at - 1]))
                        scan_doubt(s, NULL);
        } else {
                if (quoted && !strchr("$`\"\\", c))
                        scan_append(s, '\\', true);
                if (s->at + 1 < s->n)
                        scan_append(s, c, true);
        }
        s->at = MIN(s->at + 2, s->n);
}

/* What means the same in quotes, substitutions and here-documents. False: an ordinary character. */
bool quotes_expansion(Scanner *s) {
        if (at_expression(s, s->at))
                scan_expression(s);
        else if (s->text[s->at] == '$')
                dollar(s);
        else if (s->text[s->at] == '`')
                backquote(s);
        else
                return false;
        return true;
}

void quotes_step_double(Scanner *s) {
        char c = s->text[s->at];
        if (quotes_expansion(s))
                return;
        if (c == '"')
                scan_pop(s, 1);
        else if (c == '\\')
                quotes_backslash(s, true);
        else {
                if (c == '\n')
                        heredoc_inner_newline(s);
                scan_append(s, c, true);
                s->at++;
        }
}

/* A quote inside "${…}": shells agree only where the text between two of them has nothing special in it. */
static void quote_in_brace(Scanner *s, char c) {
        size_t i = s->at + 1;
        while (i < s->n && s->text[i] != c && !strchr("{}'\"\\$`\n", s->text[i]))
                i++;
        if (i < s->n && s->text[i] == c)
                s->at = i + 1;
        else {
                scan_doubt(s, NULL);
                s->at++;
        }
}

void quotes_step_brace(Scanner *s) {
        Frame *f = top(s);
        char c = s->text[s->at];
        if (quotes_expansion(s))
                return;
        if (c == '}')
                scan_pop(s, 1);
        else if (c == '\\')
                quotes_backslash(s, true);
        else if ((c == '\'' || c == '"') && f->in_quotes)
                quote_in_brace(s, c);
        else if (c == '\'')
                quotes_single(s);
        else if (c == '"')
                scan_push(s, FRAME_DOUBLE_QUOTES, 1);
        else {
                if (c == '\n')
                        heredoc_inner_newline(s);
                s->at++;
        }
}

/* (( )), $(( )), $[ ] and subscripts: brackets are counted. */
void quotes_step_computed(Scanner *s, char open, char close) {
        Frame *f = top(s);
        char c = s->text[s->at];
        if (quotes_expansion(s))
                return;
        bool twice = f->type == FRAME_ARITHMETIC, subscript = f->type == FRAME_SUBSCRIPT;
        if (c == '\\')
                quotes_backslash(s, false);
        else if (c == '"' && subscript)
                scan_push(s, FRAME_DOUBLE_QUOTES, 1);
        else if (c == '\'' && subscript)
                quotes_single(s);
        else if (c == close && f->depth == 0) {
                if (twice && peek(s, 1) != close) /* $( (a); (b) ) in disguise */
                        scan_doubt(s, NULL);
                scan_pop(s, twice ? 2 : 1);
        } else {
                f->depth += c == open;
                f->depth -= c == close;
                if (c == '\'' || c == '"' || (!twice && c == '\n') || (subscript && s->shell != SHELL_BASH && strchr(";&|()<>", c)) ||
                    (subscript && c == '#'))
                        scan_doubt(s, NULL);
                if (c == '\n')
                        heredoc_inner_newline(s);
                s->at++;
        }
}
