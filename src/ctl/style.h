/* How things look: colours only on a terminal, symbols that the locale can show, and the one door to standard output and error.
 * All text inside is UTF-8; out() and err() turn it into the locale's. */
#pragma once

#include <stdio.h>

#include "macros.h"
#include "strbuf.h"

typedef enum Tone { TONE_NONE, TONE_BOLD, TONE_DIM, TONE_GOOD, TONE_BAD, TONE_WARN, TONE_BUSY, _TONE_MAX } Tone;

typedef enum Symbol {
        SYMBOL_DOT,
        SYMBOL_GOOD,
        SYMBOL_BAD,
        SYMBOL_BUSY,
        SYMBOL_WAITING,
        SYMBOL_PENDING,
        SYMBOL_SKIPPED,
        SYMBOL_AGAIN,
        SYMBOL_ARROW,
        SYMBOL_DASH,
        SYMBOL_ELLIPSIS,
        SYMBOL_BRANCH,
        SYMBOL_LAST,
        SYMBOL_VERTICAL,
        SYMBOL_BAR_DONE,
        SYMBOL_BAR_LEFT,
        SYMBOL_BECOMES,
        _SYMBOL_MAX,
} Symbol;

void style_init(void);                                  /* after setlocale, before a pager takes standard output away */
bool style_is_terminal(void); /* standard output is (or was, before the pager) a terminal that can move its cursor */
bool style_has_colours(void);
size_t style_width(void);                               /* columns; SIZE_MAX where output isn't a terminal. Asks each time */
size_t style_height(void);                              /* rows; likewise */

const char *tone_on(Tone t);                            /* "" without colours */
const char *tone_off(Tone t);
const char *symbol(Symbol s);

/* How a state of a run, phase, activity, attempt or step is shown. Unknown ones are plain. */
Tone state_tone(const char *state);
Symbol state_symbol(const char *state);

/* Text from outside, fit for a terminal: one line (newlines and tabs become spaces), or with its lines kept. New strings; NULL: out of
 * memory. */
char *text_one_line(const char *s);
char *text_lines(const char *s);
/* Without colour sequences, else as text_for_terminal: for the output of steps. */
char *text_log_line(const char *s, size_t n);
/* At most `width` columns, with an ellipsis where something was cut. */
char *text_ellipsize(const char *s, size_t width);
/* In the locale's character set; what it can't show becomes a question mark. */
char *text_for_locale(const char *s);

void out(const char *fmt, ...) _printf_(1, 2);
void err(const char *fmt, ...) _printf_(1, 2);
/* Words up to the width, further lines indented. `at`: the column where we are. */
void out_wrapped(const char *text, size_t at, size_t indent, size_t width);
void out_raw(const void *p, size_t n);                  /* bytes as they are */
/* 0, or -errno when standard output could not take all of it (said already unless its reader went away). */
int out_finish(void);

/* A line with tones that knows its width and stops at `max` columns. */
typedef struct Line {
        StrBuf text;
        size_t width, max;
} Line;
void line_add(Line *l, Tone tone, const char *text);    /* text is safe already */
void line_addf(Line *l, Tone tone, const char *fmt, ...) _printf_(3, 4);
void line_pad(Line *l, size_t width);                   /* spaces up to this width */
