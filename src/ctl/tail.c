/* Reads from the start and throws away what turns out to be too early, so that it works on files and on the bus alike and holds little. */
#include "tail.h"

#define KEEP_MAX (4u * 1024u * 1024u)                   /* of the lines that are held, however long they are */

/* Where the last `lines` lines begin; a newline at the very end ends the last of them. */
static size_t tail_start(const char *s, size_t n, uint32_t lines) {
        size_t i = n;

        if (i > 0 && s[i - 1] == '\n')
                i--;
        for (; i > 0; i--)
                if (s[i - 1] == '\n' && --lines == 0)
                        return i;
        return 0;
}

static void drop(StrBuf *b, size_t from) {
        memmove(b->s, b->s + from, b->n - from);
        b->n -= from;
        b->s[b->n] = 0;
}

static void trim(StrBuf *b, uint32_t lines) {
        if (b->failed || b->n == 0)
                return;
        size_t from = lines == 0 ? b->n : lines == LINES_ALL ? 0 : tail_start(b->s, b->n, lines);
        if (from > 0)
                drop(b, from);
        if (lines != LINES_ALL && b->n > KEEP_MAX)
                drop(b, b->n - KEEP_MAX);
}

int tail_read(LogSource *s, uint32_t lines, StrBuf *b, uint64_t *ret_gone, sd_bus_error *error) {
        *ret_gone = 0;
        for (;;) {
                uint64_t gone;
                int r = log_source_read(s, UINT64_MAX, b, &gone, error);
                if (r < 0)
                        return r;
                *ret_gone += gone;
                if (r == 0 && gone == 0)
                        break;
                trim(b, lines);
        }
        return b->failed ? -ENOMEM : 0;
}
