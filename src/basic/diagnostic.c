/* Lists of errors and warnings. A hostile file can hold any number of mistakes, so the list is bounded; the counts are not, because
 * whether a file is good depends on them. */
#include "diagnostic.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const severity_table[_SEVERITY_MAX] = {
        [SEVERITY_ERROR] = "error",
        [SEVERITY_WARNING] = "warning",
};

const char *severity_to_string(Severity s) {
        return (size_t) s < ELEMENTSOF(severity_table) ? severity_table[s] : NULL;
}

static void add(Diagnostics *d, Severity severity, unsigned line, unsigned column, const char *fmt, va_list ap) {
        if (d->n_items >= DIAGNOSTICS_MAX || !GREEDY_REALLOC(d->items, d->n_allocated, d->n_items + 1))
                return;

        char *message;
        if (vasprintf(&message, fmt, ap) < 0)
                return;         /* still counted by the caller: out of memory must not make a bad file look good */
        d->items[d->n_items++] = (Diagnostic) {.severity = severity, .line = line, .column = column, .message = message};
}

int diag_error(Diagnostics *d, unsigned line, unsigned column, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        add(d, SEVERITY_ERROR, line, column, fmt, ap);
        va_end(ap);
        d->n_errors++;
        return -EINVAL;
}

int diag_warning(Diagnostics *d, unsigned line, unsigned column, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        add(d, SEVERITY_WARNING, line, column, fmt, ap);
        va_end(ap);
        d->n_warnings++;
        return 0;
}

static bool is_after(const Diagnostic *a, const Diagnostic *b) {
        return a->line != b->line ? a->line > b->line : a->column > b->column;
}

void diag_sort(Diagnostics *d) {
        /* Insertion keeps equal positions in order, and the list is short by DIAGNOSTICS_MAX. */
        for (size_t i = 1; i < d->n_items; i++) {
                Diagnostic item = d->items[i];
                size_t j = i;
                for (; j > 0 && is_after(d->items + j - 1, &item); j--)
                        d->items[j] = d->items[j - 1];
                d->items[j] = item;
        }
}

void diag_done(Diagnostics *d) {
        for (size_t i = 0; i < d->n_items; i++)
                free(d->items[i].message);
        free(d->items);
        *d = (Diagnostics) {};
}
