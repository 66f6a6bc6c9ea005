/* Here-documents. Their bodies begin after the newline that follows them and end at a line that is the delimiter, which is looked for in
 * the raw text, as bash does; dash parses the body while it looks. So what is opened in a body must be closed in it, or the scanner is in
 * doubt. In a body with an unquoted delimiter text is as in double quotes; with a quoted one nothing is expanded, and an expression is
 * refused. */
#include "i18n.h"
#include "shell-scan-internal.h"

/* Subshells and case are no borders for the lexer. */
static unsigned lexical_depth(const Scanner *s) {
        unsigned n = 0;
        for (size_t i = 0; i < s->n_frames; i++)
                n += s->frames[i].type != FRAME_SUBSHELL && s->frames[i].type != FRAME_CASE;
        return n;
}

void heredoc_add(Scanner *s, const Word *w, bool strip_tabs) {
        if (s->n_heredocs == SHELL_HEREDOCS_MAX || w->dynamic || w->too_long) {
                scan_doubt(s, NULL);
                return;
        }
        Heredoc *h = s->heredocs + s->n_heredocs++;
        *h = (Heredoc){.start = s->at, .n = w->n, .strip_tabs = strip_tabs, .quoted = w->quoted, .lexical_depth = lexical_depth(s)};
        memcpy(h->delimiter, w->text, w->n);
}

static size_t line_end(const Scanner *s, size_t at) {
        const char *p = memchr(s->text + at, '\n', s->n - at);
        return p ? (size_t)(p - s->text) : s->n;
}

static size_t skip_tabs(const Scanner *s, size_t at) {
        while (at < s->n && s->text[at] == '\t')
                at++;
        return at;
}

static bool is_delimiter_line(const Scanner *s, const Heredoc *h, size_t at) {
        if (h->strip_tabs)
                at = skip_tabs(s, at);
        return line_end(s, at) - at == h->n && memcmp(s->text + at, h->delimiter, h->n) == 0;
}

/* After the newline that ends the line at `at`; an expression, which may have newlines of its own, is stepped over. */
static size_t next_line(const Scanner *s, size_t at) {
        while (at < s->n && s->text[at] != '\n')
                at = scan_after(s, at);
        return MIN(at + 1, s->n);
}

static bool find_delimiter(const Scanner *s, const Heredoc *h, size_t *ret_line) {
        size_t at = s->at;
        while (at < s->n && !is_delimiter_line(s, h, at))
                at = next_line(s, at);
        *ret_line = at;
        return at < s->n;
}

/* A backslash at a line's end joins lines, and shells look for the delimiter before or after that. `at`: the backslash. */
static bool joins_delimiter(const Scanner *s, const Frame *f, size_t at) {
        size_t begin = at;
        while (begin > f->start && s->text[begin - 1] != '\n')
                begin--;
        begin = skip_tabs(s, begin);
        const char *delimiter = s->text + skip_tabs(s, f->body_end);
        size_t n = line_end(s, f->body_end) - skip_tabs(s, f->body_end), m = at - MIN(begin, at);
        return (m < n && memcmp(s->text + begin, delimiter, m) == 0) || skip_tabs(s, at + 2) >= f->body_end;
}

static void start_heredoc(Scanner *s) {
        Heredoc h = s->heredocs[0];
        s->n_heredocs--;
        memmove(s->heredocs, s->heredocs + 1, s->n_heredocs * sizeof(Heredoc));
        size_t line;
        bool found = find_delimiter(s, &h, &line);
        size_t resume = found ? MIN(line_end(s, line) + 1, s->n) : s->n;
        if (h.quoted) {
                scan_skip(s, line,
                          _("In a here-document with a quoted delimiter nothing is expanded. Write the delimiter without quotes."));
                s->at = MAX(s->at, resume);
                return;
        }
        Frame *f = scan_push(s, FRAME_HEREDOC, 0);
        if (s->doubt)
                return;
        f->feeds_shell = h.feeds_shell;
        f->body_end = line;
        f->resume = resume;
        s->n_heredoc_frames++;
        if (!found)
                f->resume = SIZE_MAX; /* stays open, so that the end of the text refuses what is in it */
}

void heredoc_start_all(Scanner *s) {
        for (size_t i = 0; i < s->n_heredocs; i++)
                if (s->heredocs[i].lexical_depth != lexical_depth(s)) {
                        scan_doubt(s, NULL);
                        return;
                }
        while (s->n_heredocs > 0 && top(s)->type != FRAME_HEREDOC && !s->doubt && s->error == 0)
                start_heredoc(s);
        for (size_t i = 0; i < s->n_frames; i++)
                s->frames[i].first_heredoc = s->n_heredocs;
}

static void end_heredoc(Scanner *s) {
        Frame *f = top(s);
        s->at = f->resume;
        scan_pop(s, 0);
        heredoc_start_all(s);
}

/* A newline in the middle of a word while bodies wait: shells begin them at different places. */
void heredoc_inner_newline(Scanner *s) {
        if (s->n_heredocs > 0)
                scan_doubt(s, NULL);
}

void heredoc_step(Scanner *s) {
        Frame *f = top(s);
        if (s->at == f->body_end && f->resume != SIZE_MAX)
                end_heredoc(s);
        else if (quotes_expansion(s))
                return;
        else if (s->text[s->at] == '\\') {
                if (peek(s, 1) == '\n' && joins_delimiter(s, f, s->at))
                        scan_doubt(s, NULL);
                quotes_backslash(s, true);
        } else
                s->at++;
}

/* Something that was opened in a here-document's body must also be closed in it. */
void heredoc_check_border(Scanner *s) {
        for (size_t i = s->n_frames; i > 0; i--)
                if (s->frames[i - 1].type == FRAME_HEREDOC) {
                        const Frame *f = s->frames + i - 1;
                        if (s->at > f->body_end || (s->at == f->body_end && i < s->n_frames))
                                scan_doubt(s, NULL);
                        return;
                }
}
