/* Runbooks from texts, for the tests of the model. */
#pragma once

#include <stdio.h>

#include "runbook.h"
#include "strbuf.h"

static inline void print_diagnostics(const Diagnostics *d) {
        for (size_t i = 0; i < d->n_items; i++)
                print_error("%u:%u: %s\n", d->items[i].line, d->items[i].column, d->items[i].message);
}

/* Fails the test where the text has errors. */
static inline Runbook *must_parse(const char *text) {
        _cleanup_diag_ Diagnostics d = {};
        Runbook *rb = NULL;

        if (runbook_parse(text, strlen(text), TREE_YAML, NULL, &d, &rb) < 0)
                print_diagnostics(&d);
        assert_non_null(rb);
        assert_int_equal(d.n_errors, 0);
        return rb;
}

/* Fails unless the text has errors and the first is this one. */
static inline void must_fail(const char *text, unsigned line, unsigned column, const char *message) {
        _cleanup_diag_ Diagnostics d = {};
        Runbook *rb = NULL;

        assert_int_equal(runbook_parse(text, strlen(text), TREE_YAML, NULL, &d, &rb), -EINVAL);
        assert_null(rb);
        diag_sort(&d);
        assert_true(d.n_items > 0);
        if (d.items[0].line != line || d.items[0].column != column || !strstr(d.items[0].message, message)) {
                print_diagnostics(&d);
                fail_msg("expected %u:%u: %s", line, column, message);
        }
}

#define _cleanup_runbook_ _cleanup_(runbook_unrefp)
