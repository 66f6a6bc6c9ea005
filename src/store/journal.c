/* Events and the definitions that they were made under. Rows are only ever added; what they mean is the engine's business.
 *
 * An event's key is its run's number and, in the low bits, its own: events are clustered by run, and a new one at the end of the table, which
 * those of new runs are, costs SQLite no look at its neighbours.
 *
 * A definition is stored once, whatever number of runs share it, and is found by its hash. */
#include "store-internal.h"

#define SEQ_MAX INT32_MAX

static sqlite3_int64 event_id(uint32_t run, uint32_t seq) {
        return (sqlite3_int64) ((uint64_t) run << SEQ_BITS | seq);
}

#define EVENT_COLUMNS "id, at, boot_at, boot, uid, user, type, activity, attempt, step, data"

typedef struct NewEvents {
        NewRows rows;
        EventSource next;
        void *userdata;
        Store *store;
        sqlite3_int64 id;
        EventRow event;
} NewEvents;

#define EVENT_COLUMN(type, member) { type, offsetof(NewEvents, member) }

static const Column event_columns[] = {
        EVENT_COLUMN(COLUMN_U64, id),
        EVENT_COLUMN(COLUMN_U64, event.at),
        EVENT_COLUMN(COLUMN_U64, event.boot_at),
        EVENT_COLUMN(COLUMN_U32, event.boot),
        EVENT_COLUMN(COLUMN_UID, event.uid),
        EVENT_COLUMN(COLUMN_TEXT, event.user),
        EVENT_COLUMN(COLUMN_TEXT, event.type),
        EVENT_COLUMN(COLUMN_TEXT, event.activity),
        EVENT_COLUMN(COLUMN_U32, event.attempt),
        EVENT_COLUMN(COLUMN_TEXT, event.step),
        EVENT_COLUMN(COLUMN_TEXT, event.data),
};

const RowTable event_table = {
        .columns = event_columns,
        .n_columns = ELEMENTSOF(event_columns),
        .source = "new_events",
        .declaration = "CREATE TABLE new_events(" EVENT_COLUMNS ")",
        .slot = SQL_EVENT_APPEND,
        .insert = "INSERT OR FAIL INTO events SELECT * FROM new_events",
};

static int next_event(NewRows *rows) {
        NewEvents *n = (NewEvents *) rows;
        EventRow *e = &n->event;
        int r = n->next(n->userdata, e);

        if (r <= 0)
                return r;
        if (e->run == 0 || e->seq == 0 || e->seq > SEQ_MAX || !e->type)
                return -EINVAL;
        n->id = event_id(e->run, e->seq);
        n->store->last_run = MAX(n->store->last_run, e->run);
        return 1;
}

int store_append_events(Store *s, EventSource next, void *userdata) {
        NewEvents n = { .rows = { .next = next_event, .row = &n }, .next = next, .userdata = userdata, .store = s };

        return store_write_rows(s, ROW_EVENT, &n.rows);
}

static int the_event(void *userdata, EventRow *ret) {
        const EventRow **row = userdata;

        if (!*row)
                return 0;
        *ret = **row;
        *row = NULL;
        return 1;
}

int store_append_event(Store *s, const EventRow *row) {
        return store_append_events(s, the_event, &row);
}

typedef struct EventQuery {
        EventVisitor visit;
        void *userdata;
        uint32_t run;
} EventQuery;

static int event_row(sqlite3_stmt *st, void *userdata) {
        const EventQuery *q = userdata;
        const EventRow row = {
                .run = q->run,
                .seq = (uint32_t) (sqlite3_column_int64(st, 0) & SEQ_MAX),
                .at = column_u64(st, 1),
                .boot_at = column_u64(st, 2),
                .boot = column_u32(st, 3),
                .uid = sqlite3_column_type(st, 4) == SQLITE_NULL ? UINT32_MAX : column_u32(st, 4),
                .user = column_text(st, 5),
                .type = column_text(st, 6),
                .activity = column_text(st, 7),
                .attempt = column_u32(st, 8),
                .step = column_text(st, 9),
                .data = column_text(st, 10),
        };

        if (!row.type || sqlite3_errcode(sqlite3_db_handle(st)) == SQLITE_NOMEM)
                return -ENOMEM;
        return q->visit(q->userdata, &row);
}

int store_load_events(Store *s, uint32_t run, uint32_t from_seq, uint32_t max, EventVisitor visit, void *userdata) {
        EventQuery q = { visit, userdata, run };
        sqlite3_stmt *st = NULL;
        int r, bound;

        if (from_seq > SEQ_MAX)
                return 0;
        r = store_statement(s, SQL_EVENT_LOAD,
                            "SELECT " EVENT_COLUMNS " FROM events"
                            " WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3", &st);
        if (r < 0)
                return r;
        bound = sqlite3_bind_int64(st, 1, event_id(run, from_seq));
        bound |= sqlite3_bind_int64(st, 2, event_id(run, SEQ_MAX));
        bound |= sqlite3_bind_int64(st, 3, max == 0 ? -1 : (sqlite3_int64) max);
        return store_query(s, st, bound, event_row, &q);
}

int store_put_definition(Store *s, const char *hash, const char *name, const char *format, const void *text, size_t n) {
        sqlite3_stmt *st = NULL;
        int r, bound;

        r = store_writable(s);
        if (r < 0)
                return r;
        r = store_statement(s, SQL_DEFINITION_PUT, "INSERT INTO definitions VALUES(?,?,?,?) ON CONFLICT(hash) DO NOTHING", &st);
        if (r < 0)
                return store_fail_write(s, r);
        bound = bind_text(st, 1, hash);
        bound |= bind_text(st, 2, name);
        bound |= bind_text(st, 3, format);
        bound |= sqlite3_bind_blob64(st, 4, n > 0 ? text : "", n, SQLITE_STATIC);
        return store_execute(s, st, bound);
}

typedef struct DefinitionCopy {
        char *name, *format, *text;
        size_t n;
} DefinitionCopy;

static void definition_copy_done(DefinitionCopy *d) {
        free(d->name);
        free(d->format);
        free(d->text);
}

static int definition_row(sqlite3_stmt *st, void *userdata) {
        DefinitionCopy *d = userdata;
        const char *name = column_text(st, 0), *format = column_text(st, 1);
        const void *text = sqlite3_column_blob(st, 2);

        if (!name || !format || sqlite3_errcode(sqlite3_db_handle(st)) == SQLITE_NOMEM)
                return -ENOMEM;
        d->n = (size_t) sqlite3_column_bytes(st, 2);
        d->name = strdup(name);
        d->format = strdup(format);
        d->text = malloc(d->n + 1);
        if (!d->name || !d->format || !d->text)
                return -ENOMEM;
        if (d->n > 0)
                memcpy(d->text, text, d->n);
        d->text[d->n] = 0;
        return 0;
}

int store_get_definition(Store *s, const char *hash, char **ret_name, char **ret_format, char **ret_text, size_t *ret_n) {
        _cleanup_(definition_copy_done) DefinitionCopy d = {};
        sqlite3_stmt *st = NULL;
        int r;

        r = store_statement(s, SQL_DEFINITION_GET, "SELECT name, format, text FROM definitions WHERE hash = ?1", &st);
        if (r < 0)
                return r;
        r = store_query(s, st, bind_text(st, 1, hash), definition_row, &d);
        if (r < 0)
                return r;
        if (!d.text)
                return -ENOENT;
        *ret_name = TAKE_PTR(d.name);
        *ret_format = TAKE_PTR(d.format);
        *ret_text = TAKE_PTR(d.text);
        *ret_n = d.n;
        return 0;
}
