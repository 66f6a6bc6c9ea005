/* Text from outside made fit for the bus and for terminals. */
#pragma once

#include "macros.h"

bool utf8_is_valid(const char *s, size_t n);            /* also false where a NUL is in it */
size_t utf8_valid_prefix(const char *s, size_t n);      /* how many bytes of it are valid; n: all */
size_t utf8_count(const char *s, size_t n);             /* characters in n bytes of valid UTF-8 */
/* One character: its length in bytes, 0 where s holds no valid one. */
size_t utf8_decode(const char *s, size_t n, uint32_t *ret);
size_t utf8_encode(uint32_t c, char buf[static 4]);     /* returns the length; c is a valid code point */
/* A new string of at most max bytes (SIZE_MAX: any): invalid sequences and NULs become U+FFFD; never cut inside a character. */
char *utf8_make_valid(const char *s, size_t n, size_t max);
/* The same for the bus: sd-bus refuses the noncharacters too (the last two code points of each plane, U+FDD0 to U+FDEF), which are valid UTF-8. */
bool utf8_is_sendable(const char *s, size_t n);
char *utf8_make_sendable(const char *s, size_t n, size_t max);
/* Control characters but newline and tab, and ESC sequences, replaced, so that text from steps can't drive a terminal. New string. */
char *text_for_terminal(const char *s);
/* Number of terminal columns of a valid UTF-8 string (wcwidth). */
size_t utf8_width(const char *s);
/* The nearest of NULL-terminated candidates by edit distance (Damerau-Levenshtein, at most a third of the length, at least 1), or NULL: for "did you mean". */
const char *nearest_name(const char *s, const char *const *candidates);
