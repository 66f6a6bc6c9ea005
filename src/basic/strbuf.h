/* A growing string. After an allocation failure it stays failed (`failed`), further appends do nothing, and strbuf_take returns NULL: check once, at the end. */
#pragma once

#include <stdarg.h>

#include "macros.h"

typedef struct StrBuf {
        char *s;
        size_t n, allocated;
        bool failed;
} StrBuf;

bool strbuf_reserve(StrBuf *b, size_t n);               /* room for n more bytes and the NUL; false when the buffer has failed, now or before */
void strbuf_append(StrBuf *b, const char *s);
void strbuf_append_n(StrBuf *b, const char *s, size_t n);
void strbuf_append_c(StrBuf *b, char c);
void strbuf_appendf(StrBuf *b, const char *fmt, ...) _printf_(2, 3);
char *strbuf_take(StrBuf *b);                           /* NUL-terminated, "" when empty, NULL when failed; the buffer is empty afterwards */
void strbuf_done(StrBuf *b);
#define _cleanup_strbuf_ _cleanup_(strbuf_done)
