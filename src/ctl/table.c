/* libsmartcols gets text that is already clean and in the locale's character set, so that it has nothing to escape. */
#include "table.h"

#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>

#include "i18n.h"
#include "utf8.h"

/* What a column that shrinks keeps of the terminal's width while others can still give: without it the first ones would lose all. */
#define SHARE 0.2

struct Table {
        struct libscols_table *scols;
        struct libscols_line *line;
        size_t column;
        bool failed;
};

static int add_columns(Table *t, const TableColumn *columns, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int flags = (columns[i].right ? SCOLS_FL_RIGHT : 0) | (columns[i].shrinks ? SCOLS_FL_TRUNC : 0);
                double share = columns[i].shrinks ? SHARE : 0;
                _cleanup_free_ char *heading = text_for_locale(_(columns[i].heading));
                struct libscols_column *column = heading ? scols_table_new_column(t->scols, heading, share, flags) : NULL;
                if (!column)
                        return -ENOMEM;
                if (style_has_colours())
                        (void) scols_cell_set_color(scols_column_get_header(column), tone_on(TONE_BOLD));
        }
        return 0;
}

int table_new(Ctl *c, const TableColumn *columns, size_t n, Table **ret) {
        _cleanup_table_ Table *t = calloc(1, sizeof(Table));

        if (t)
                t->scols = scols_new_table();
        if (!t || !t->scols || add_columns(t, columns, n) < 0)
                return ctl_oom(c);
        (void) scols_table_enable_colors(t->scols, style_has_colours());
        (void) scols_table_enable_noheadings(t->scols, c->options.no_legend);
        if (style_is_terminal()) {
                (void) scols_table_set_termforce(t->scols, SCOLS_TERMFORCE_ALWAYS);
                (void) scols_table_set_termwidth(t->scols, style_width());
        } else
                (void) scols_table_set_termforce(t->scols, SCOLS_TERMFORCE_NEVER);
        *ret = TAKE_PTR(t);
        return 0;
}

Table *table_free(Table *t) {
        if (!t)
                return NULL;
        scols_unref_table(t->scols);
        free(t);
        return NULL;
}

void table_row(Table *t) {
        t->line = scols_table_new_line(t->scols, NULL);
        t->column = 0;
        t->failed = t->failed || !t->line;
}

void table_cell(Table *t, Tone tone, const char *text) {
        _cleanup_free_ char *clean = text_one_line(text), *local = clean ? text_for_locale(clean) : NULL;

        if (!local || t->failed || scols_line_set_data(t->line, t->column, local) < 0) {
                t->failed = true;
                return;
        }
        if (tone != TONE_NONE && style_has_colours())
                (void) scols_cell_set_color(scols_line_get_cell(t->line, t->column), tone_on(tone));
        t->column++;
}

void table_cellf(Table *t, Tone tone, const char *fmt, ...) {
        _cleanup_free_ char *s = NULL;
        va_list ap;

        va_start(ap, fmt);
        if (vasprintf(&s, fmt, ap) < 0)
                s = NULL;
        va_end(ap);
        if (s)
                table_cell(t, tone, s);
        else
                t->failed = true;
}

void table_time(Table *t, usec_t when) {
        _cleanup_free_ char *s = format_timestamp(when);
        if (s)
                table_cell(t, TONE_NONE, s);
        else
                t->failed = true;
}

/* Ends what is too long for its column in a mark: text that was just cut off would be taken for the whole. How wide the columns are is only
 * known when the table has been printed once. */
static int mark_cuts(struct libscols_table *scols) {
        _cleanup_free_ char *trial = NULL;

        int r = scols_print_table_to_string(scols, &trial);
        for (size_t i = 0; r >= 0 && i < scols_table_get_nlines(scols); i++)
                for (size_t k = 0; r >= 0 && k < scols_table_get_ncols(scols); k++) {
                        struct libscols_cell *cell = scols_line_get_cell(scols_table_get_line(scols, i), k);
                        size_t width = scols_column_get_width(scols_table_get_column(scols, k));
                        const char *s = strempty(scols_cell_get_data(cell));
                        if (!utf8_is_valid(s, strlen(s)) || utf8_width(s) <= width)
                                continue;
                        char *cut = text_ellipsize(s, width);
                        r = cut ? scols_cell_refer_data(cell, cut) : -ENOMEM;
                }
        return r;
}

int table_print(Ctl *c, Table *t) {
        if (t->failed)
                return ctl_oom(c);
        if (scols_table_is_empty(t->scols))
                return 0;
        if (style_is_terminal() && mark_cuts(t->scols) < 0)
                return ctl_oom(c);
        (void) scols_table_set_stream(t->scols, stdout);
        int r = scols_print_table(t->scols);
        return r < 0 ? ctl_error(c, _("The table can't be printed: %s"), strerror(-r)) : 0;
}
