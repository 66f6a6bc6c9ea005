/* The state of the shell scanner, for its parts: shell-scan.c (commands), shell-quotes.c (quotes and substitutions), shell-heredoc.c. */
#pragma once

#include "shell-scan.h"
#include "shell-words.h"

typedef enum FrameType {
        FRAME_COMMANDS, /* the text itself, $( ), <( ) */
        FRAME_SUBSHELL,
        FRAME_CASE,
        FRAME_ARRAY /* NAME=( */,
        FRAME_COND /* [[ */,
        FRAME_DOUBLE_QUOTES,
        FRAME_BRACE /* ${ */,
        FRAME_ARITHMETIC /* (( and $(( */,
        FRAME_BRACKET /* $[ */,
        FRAME_SUBSCRIPT,
        FRAME_HEREDOC,
} FrameType;

typedef struct Frame {
        FrameType type;
        size_t start;
        bool locale;              /* $"…" */
        bool process;             /* <( … ) */
        bool in_quotes;           /* of a ${: shells differ about quotes in it */
        bool feeds_shell;         /* a here-document */
        unsigned depth;           /* of parentheses or brackets that are open in it */
        size_t body_end, resume;  /* of a here-document */
        size_t first_heredoc;     /* of the current command, in the list of those that wait */
        size_t first_here_string; /* spot of the current command; SIZE_MAX: none */
        size_t first_spot;        /* of the current command, in the list of all */
        size_t piped_spot;        /* of what is printed into the current command; SIZE_MAX: nothing */
        bool piped; /* the current command reads what the one before it prints; the heredocs and the here-string are the pipeline's */
        Command command;
        Word word;
} Frame;

typedef struct Heredoc {
        size_t start;
        char delimiter[WORD_TEXT_MAX];
        size_t n;
        bool strip_tabs, quoted, feeds_shell;
        unsigned lexical_depth;
} Heredoc;

typedef struct Scanner {
        const char *text;
        size_t n, at;
        ShellKind shell;
        ShellAttributes attributes;
        ShellSpots *spots;
        Frame frames[SHELL_NESTING_MAX];
        size_t n_frames;
        size_t n_heredoc_frames;
        Heredoc heredocs[SHELL_HEREDOCS_MAX]; /* begun on this line, their bodies still to come */
        size_t n_heredocs;
        const char *doubt; /* translated: why nothing is known from here on */
        size_t doubt_at;
        int error;
} Scanner;

static inline Frame *top(Scanner *s) {
        return s->frames + s->n_frames - 1;
}

static inline char peek(const Scanner *s, size_t offset) {
        return s->at + offset < s->n ? s->text[s->at + offset] : '\0';
}

static inline bool at_expression(const Scanner *s, size_t at) {
        return at < s->n && s->n - at >= 3 && memcmp(s->text + at, "${{", 3) == 0;
}

static inline bool has_words(FrameType t) {
        return t == FRAME_COMMANDS || t == FRAME_SUBSHELL || t == FRAME_CASE || t == FRAME_ARRAY || t == FRAME_COND;
}

/* shell-scan.c */
void scan_doubt(Scanner *s, const char *why); /* why: translated; NULL: shells read it differently */
Frame *scan_push(Scanner *s, FrameType type, size_t length);
void scan_pop(Scanner *s, size_t length);
void scan_append(Scanner *s, char c, bool quoted); /* constant text of the current word */
void scan_quoted(Scanner *s);                      /* quotes begin in it */
void scan_unknown(Scanner *s, bool expression);
void scan_list(Scanner *s);                     /* "$@" is part of it */
size_t scan_after(const Scanner *s, size_t at); /* the next character, or what follows the expression at `at` */
void scan_expression(Scanner *s);               /* at s->at */
void scan_refused_expression(Scanner *s, const char *why);
void scan_harmless_expression(Scanner *s);
void scan_skip(Scanner *s, size_t to, const char *why); /* over text in which every expression is refused */

/* shell-heredoc.c */
void heredoc_add(Scanner *s, const Word *w, bool strip_tabs);
void heredoc_start_all(Scanner *s); /* after a newline */
void heredoc_step(Scanner *s);
void heredoc_check_border(Scanner *s);
void heredoc_inner_newline(Scanner *s);

/* shell-quotes.c */
bool quotes_expansion(Scanner *s); /* an expression, $…, `…`; false: an ordinary character */
void quotes_single(Scanner *s);
void quotes_backslash(Scanner *s, bool quoted);
void quotes_step_double(Scanner *s);
void quotes_step_brace(Scanner *s);
void quotes_step_computed(Scanner *s, char open, char close);
