/* A growing string whose errors are sticky, so that code which builds text has one check at its end instead of one a line. */
#include "strbuf.h"

#include <stdio.h>

bool strbuf_reserve(StrBuf *b, size_t n) {
        size_t need;
        if (b->failed || __builtin_add_overflow(b->n, n, &need) || __builtin_add_overflow(need, 1, &need) ||
            !GREEDY_REALLOC(b->s, b->allocated, need))
                b->failed = true;
        return !b->failed;
}

void strbuf_append_n(StrBuf *b, const char *s, size_t n) {
        bool fits = !b->failed && n < b->allocated - b->n;      /* with the NUL; one that has nothing has no room */
        if (!fits && !strbuf_reserve(b, n))
                return;
        if (n > 0)
                memcpy(b->s + b->n, s, n);
        b->n += n;
        b->s[b->n] = 0;
}

void strbuf_append(StrBuf *b, const char *s) {
        strbuf_append_n(b, s, strlen(s));
}

void strbuf_append_c(StrBuf *b, char c) {
        strbuf_append_n(b, &c, 1);
}

void strbuf_appendf(StrBuf *b, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        int n = vsnprintf(NULL, 0, fmt, ap);
        va_end(ap);
        if (n < 0) {
                b->failed = true;
                return;
        }
        if (!strbuf_reserve(b, (size_t) n))
                return;

        va_start(ap, fmt);
        (void) vsnprintf(b->s + b->n, (size_t) n + 1, fmt, ap);
        va_end(ap);
        b->n += (size_t) n;
}

char *strbuf_take(StrBuf *b) {
        strbuf_append_n(b, "", 0);
        char *s = b->failed ? NULL : TAKE_PTR(b->s);
        strbuf_done(b);
        return s;
}

void strbuf_done(StrBuf *b) {
        free(b->s);
        *b = (StrBuf) {};
}
