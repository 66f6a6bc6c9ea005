/* What is wrong with a file, where, and what to do: a list of errors and warnings with positions. */
#pragma once

#include "macros.h"

typedef enum Severity { SEVERITY_ERROR, SEVERITY_WARNING, _SEVERITY_MAX, _SEVERITY_INVALID = -EINVAL } Severity;
const char *severity_to_string(Severity s);

typedef struct Diagnostic {
        Severity severity;
        unsigned line, column;                          /* from 1; columns count characters, not bytes; 0: the whole file */
        char *message;                                  /* translated, without position */
} Diagnostic;

#define DIAGNOSTICS_MAX 100                             /* further ones are counted and dropped; n_errors still counts them */

typedef struct Diagnostics {
        Diagnostic *items;
        size_t n_items, n_allocated;
        unsigned n_errors, n_warnings;
} Diagnostics;

/* Both return -EINVAL / 0, so that `return diag_error(d, …)` reads well. */
int diag_error(Diagnostics *d, unsigned line, unsigned column, const char *fmt, ...) _printf_(4, 5);
int diag_warning(Diagnostics *d, unsigned line, unsigned column, const char *fmt, ...) _printf_(4, 5);
void diag_sort(Diagnostics *d);                         /* by position, stable */
void diag_done(Diagnostics *d);
#define _cleanup_diag_ _cleanup_(diag_done)
