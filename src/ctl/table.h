/* Tables, by libsmartcols: aligned columns, headings in bold, cut to the terminal's width. */
#pragma once

#include "ctl.h"
#include "style.h"

typedef struct Table Table;

typedef struct TableColumn {
        const char *heading;                            /* untranslated, N_() */
        bool right;                                     /* right-aligned */
        bool shrinks;                                   /* may be cut where the terminal is narrow */
} TableColumn;

int table_new(Ctl *c, const TableColumn *columns, size_t n, Table **ret);
Table *table_free(Table *t);
DEFINE_CLEANUP(Table *, table_free)
#define _cleanup_table_ _cleanup_(table_freep)
/* Starts a new row; its cells are then set from left to right. Text is made fit for one line of a terminal. After a failure the table
 * stays failed, which table_print tells. */
void table_row(Table *t);
void table_cell(Table *t, Tone tone, const char *text);
void table_cellf(Table *t, Tone tone, const char *fmt, ...) _printf_(3, 4);
void table_time(Table *t, usec_t when);                 /* "-" for 0 */
int table_print(Ctl *c, Table *t);
