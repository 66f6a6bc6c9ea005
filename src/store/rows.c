/* How rows of ours become rows of the database. Which column is which member of a struct stands in one table a struct, for the statements
 * that are bound to one row and for those that write many.
 *
 * The latter read from a virtual table whose rows the caller makes one by one. So a turn's events are one statement, which opens the table
 * and its indexes once: two thirds of the price of a statement for each row, and no more for a single one. Nothing is copied on the way.
 *
 * They say OR FAIL because SQLite then keeps nothing for taking such a statement back alone: what fails here is taken back with its whole
 * transaction. */
#include "store-internal.h"

typedef struct RowSource {
        sqlite3_vtab base;
        RowFeed *feed;
} RowSource;

static RowFeed *feed_of(sqlite3_vtab_cursor *c) {
        return ((RowSource *) c->pVtab)->feed;
}

/* ---- columns ---- */

static const char *text_of(const Column *c, const void *p) {
        return c->type == COLUMN_STATE ? run_state_to_string(*(const RunState *) p) : *(const char *const *) p;
}

static sqlite3_int64 number_of(const Column *c, const void *p) {
        if (c->type == COLUMN_BOOL)
                return *(const bool *) p;
        return c->type == COLUMN_U64 ? (sqlite3_int64) *(const uint64_t *) p : *(const uint32_t *) p;
}

static bool is_null(const Column *c, const void *p) {
        return c->type == COLUMN_UID && *(const uint32_t *) p == UINT32_MAX;
}

static bool is_text(const Column *c) {
        return c->type == COLUMN_TEXT || c->type == COLUMN_STATE;
}

int bind_row(sqlite3_stmt *st, const RowTable *t, const void *row) {
        int bound = SQLITE_OK;

        for (int i = 0; i < t->n_columns; i++) {
                const Column *c = t->columns + i;
                const uint8_t *p = (const uint8_t *) row + c->offset;

                if (is_text(c))
                        bound |= bind_text(st, i + 1, text_of(c, p));
                else
                        bound |= is_null(c, p) ? sqlite3_bind_null(st, i + 1) : sqlite3_bind_int64(st, i + 1, number_of(c, p));
        }
        return bound;
}

static int source_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int i) {
        const RowFeed *f = feed_of(cursor);
        const Column *c = f->table->columns + i;
        const uint8_t *p = (const uint8_t *) f->rows->row + c->offset;

        if (is_text(c))
                sqlite3_result_text(context, text_of(c, p), -1, SQLITE_STATIC);
        else if (!is_null(c, p))
                sqlite3_result_int64(context, number_of(c, p));
        return SQLITE_OK;
}

/* ---- rows ---- */

static int advance(sqlite3_vtab_cursor *c) {
        NewRows *rows = feed_of(c)->rows;
        int r = rows->next(rows);

        rows->more = r > 0;
        rows->error = MIN(r, 0);
        return r < 0 ? SQLITE_ABORT : SQLITE_OK;
}

static int source_filter(sqlite3_vtab_cursor *c, int number, const char *name, int n, sqlite3_value **values) {
        return advance(c);
}

static int source_eof(sqlite3_vtab_cursor *c) {
        return !feed_of(c)->rows->more;
}

static int source_rowid(sqlite3_vtab_cursor *c, sqlite3_int64 *ret) {
        *ret = 0;                                       /* nobody asks */
        return SQLITE_OK;
}

static int source_open(sqlite3_vtab *t, sqlite3_vtab_cursor **ret) {
        *ret = calloc(1, sizeof(**ret));
        return *ret ? SQLITE_OK : SQLITE_NOMEM;
}

static int source_close(sqlite3_vtab_cursor *c) {
        free(c);
        return SQLITE_OK;
}

static int source_best_index(sqlite3_vtab *t, sqlite3_index_info *info) {
        return SQLITE_OK;                               /* there is one way: from the first row to the last */
}

static int source_connect(sqlite3 *db, void *feed, int n, const char *const *arguments, sqlite3_vtab **ret, char **ret_error) {
        RowSource *source;
        int rc = sqlite3_declare_vtab(db, ((RowFeed *) feed)->table->declaration);

        if (rc != SQLITE_OK)
                return rc;
        source = calloc(1, sizeof(*source));
        if (!source)
                return SQLITE_NOMEM;
        source->feed = feed;
        *ret = &source->base;
        return SQLITE_OK;
}

static int source_disconnect(sqlite3_vtab *t) {
        free(t);
        return SQLITE_OK;
}

static const sqlite3_module source_module = {
        .xConnect = source_connect,
        .xBestIndex = source_best_index,
        .xDisconnect = source_disconnect,
        .xOpen = source_open,
        .xClose = source_close,
        .xFilter = source_filter,
        .xNext = advance,
        .xEof = source_eof,
        .xColumn = source_column,
        .xRowid = source_rowid,
};

static const RowTable *const row_tables[_ROW_KIND_MAX] = { [ROW_RUN] = &run_table, [ROW_EVENT] = &event_table };

int store_prepare_rows(Store *s) {
        int rc = SQLITE_OK;

        for (size_t i = 0; i < _ROW_KIND_MAX && rc == SQLITE_OK; i++) {
                s->feeds[i].table = row_tables[i];
                rc = sqlite3_create_module(s->db, row_tables[i]->source, &source_module, s->feeds + i);
        }
        return rc == SQLITE_OK ? 0 : store_errno(rc, 0);
}

int store_write_rows(Store *s, RowKind kind, NewRows *rows) {
        RowFeed *f = s->feeds + kind;
        sqlite3_stmt *st = NULL;
        int r;

        r = store_writable(s);
        if (r < 0)
                return r;
        r = store_statement(s, f->table->slot, f->table->insert, &st);
        if (r < 0)
                return store_fail_write(s, r);
        f->rows = rows;
        if (sqlite3_step(st) != SQLITE_DONE)
                r = store_fail_write(s, rows->error);
        (void) sqlite3_reset(st);
        f->rows = NULL;
        return r;
}
