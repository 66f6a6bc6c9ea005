/* Drawing in place: up to where the frame began, every line written over the old one and cleared to its end, what is left below cleared,
 * all in one write. So nothing flickers, and what stands above the frame stays. After a resize the terminal has wrapped the old lines anew:
 * how far up the frame begins is computed from their widths and the width of now. */
#include "progress.h"

#include "i18n.h"
#include "lists.h"
#include "utf8.h"

#define BAR_WIDTH_MAX 30u

void progress_bar(Line *l, const ViewCounts *n, usec_t elapsed) {
        size_t width = MIN((size_t) BAR_WIDTH_MAX, l->max / 3), full = n->total > 0 ? width * n->done / n->total : 0;
        _cleanup_free_ char *took = format_span(elapsed);

        for (size_t i = 0; i < width; i++)
                line_add(l, i < full ? (n->failed > 0 ? TONE_BAD : TONE_GOOD) : TONE_DIM,
                         symbol(i < full ? SYMBOL_BAR_DONE : SYMBOL_BAR_LEFT));
        line_addf(l, TONE_NONE, P_("  %u/%u activity", "  %u/%u activities", n->total), n->done, n->total);
        if (n->running > 0)
                line_addf(l, TONE_BUSY, P_(", %u running", ", %u running", n->running), n->running);
        if (n->waiting > 0)
                line_addf(l, TONE_WARN, P_(", %u waiting", ", %u waiting", n->waiting), n->waiting);
        if (n->failed > 0)
                line_addf(l, TONE_BAD, P_(", %u failed", ", %u failed", n->failed), n->failed);
        line_addf(l, TONE_DIM, "  %s", strempty(took));
}

/* Screen rows between the frame's first and the cursor, which stands in the row below it. */
static size_t rows_above(const Painter *p, size_t width) {
        size_t rows = 0;

        for (size_t i = 0; i < p->n; i++)
                rows += MAX((p->widths[i] + width - 1) / width, (size_t) 1);
        return rows;
}

static int remember(Painter *p, const Frame *f, size_t n, size_t last_width) {
        size_t *w = reallocarray(p->widths, n + 1, sizeof(size_t));

        if (!w)
                return -ENOMEM;
        p->widths = w;
        memcpy(w, f->widths, n * sizeof(size_t));
        if (last_width > 0)
                w[n++] = last_width;
        p->n = n;
        return 0;
}

static void write_frame(StrBuf *b) {
        size_t n = b->n;
        _cleanup_free_ char *s = strbuf_take(b), *t = s ? text_for_locale(s) : NULL;

        if (t && n > 0) {
                out_raw(t, strlen(t));
                (void) fflush(stdout);
        }
}

int painter_draw(Painter *p, const Frame *f) {
        size_t width = style_width(), height = style_height(), room = height > 1 ? height - 1 : 1;
        bool cut = f->n > room;
        size_t n = cut ? room - 1 : f->n, up = MIN(rows_above(p, width), height - 1);
        _cleanup_strbuf_ StrBuf b = {};

        if (!p->cursor_hidden)
                strbuf_append(&b, "\033[?25l");
        p->cursor_hidden = true;
        strbuf_append_c(&b, '\r');
        if (up > 0)
                strbuf_appendf(&b, "\033[%zuA", up);
        for (size_t i = 0; i < n; i++)
                strbuf_appendf(&b, "%s\033[K\n", f->lines[i]);
        if (cut) {
                strbuf_appendf(&b, P_("%zu more line", "%zu more lines", f->n - n), f->n - n);
                strbuf_append(&b, "\033[K\n");
        }
        strbuf_append(&b, "\033[J");
        int r = remember(p, f, n, cut ? 1 : 0);
        write_frame(&b);
        return r;
}

void painter_done(Painter *p) {
        if (p->cursor_hidden) {
                out_raw("\033[?25h", 6);
                (void) fflush(stdout);
        }
        free(p->widths);
        *p = (Painter) {};
}
