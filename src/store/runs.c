/* One row per run, for lists, counts and the search for a run of the same key. The truth is the journal; a row says what the last commit left.
 *
 * Most updates are progress of a run whose state stays: such a one must touch one page and no index. Hence several statements for one verb,
 * tried in this order: the one that needs everything indexed to be unchanged, the one that also moves the state, the one that takes anything,
 * and then the one for rows that are not there yet (rows.c), where one begins with a new run. None is an upsert and none but the ones that
 * move a state has a trigger: SQLite keeps the pages of such a statement so that it can be taken back alone, and here what fails is taken back
 * with its whole transaction. */
#include "store-internal.h"
#include "strbuf.h"

#define RUN_COLUMNS "id, runbook, definition, state, status_text, created_at, started_at, finished_at, scheduled_for, started_by, had_errors," \
                    " pending_requests, attempt, replay_of, root_run, n_events, \"trigger\", labels, dedup_key"
/* The columns that no index knows. */
#define RUN_PROGRESS "definition = ?3, status_text = ?5, started_at = ?7, finished_at = ?8, scheduled_for = ?9, started_by = ?10, had_errors = ?11," \
                     " pending_requests = ?12, attempt = ?13, replay_of = ?14, root_run = ?15, n_events = ?16, \"trigger\" = ?17, labels = ?18"
#define RUN_SAME_KEYS "id = ?1 AND runbook = ?2 AND created_at = ?6 AND dedup_key IS ?19"

typedef struct RunStatement {
        Sql slot;
        const char *sql;
} RunStatement;

static const RunStatement run_updates[] = {
        { SQL_RUN_TOUCH, "UPDATE runs SET " RUN_PROGRESS " WHERE " RUN_SAME_KEYS " AND state = ?4" },
        { SQL_RUN_MOVE, "UPDATE runs SET state = ?4, " RUN_PROGRESS " WHERE " RUN_SAME_KEYS },
        { SQL_RUN_CHANGE, "UPDATE runs SET runbook = ?2, state = ?4, created_at = ?6, dedup_key = ?19, " RUN_PROGRESS " WHERE id = ?1" },
};

#define RUN_COLUMN(type, member) { type, offsetof(RunRow, member) }

static const Column run_columns[] = {
        RUN_COLUMN(COLUMN_U32, id),
        RUN_COLUMN(COLUMN_TEXT, runbook),
        RUN_COLUMN(COLUMN_TEXT, definition),
        RUN_COLUMN(COLUMN_STATE, state),
        RUN_COLUMN(COLUMN_TEXT, status_text),
        RUN_COLUMN(COLUMN_U64, created_at),
        RUN_COLUMN(COLUMN_U64, started_at),
        RUN_COLUMN(COLUMN_U64, finished_at),
        RUN_COLUMN(COLUMN_U64, scheduled_for),
        RUN_COLUMN(COLUMN_U32, started_by),
        RUN_COLUMN(COLUMN_BOOL, had_errors),
        RUN_COLUMN(COLUMN_U32, pending_requests),
        RUN_COLUMN(COLUMN_U32, attempt),
        RUN_COLUMN(COLUMN_U32, replay_of),
        RUN_COLUMN(COLUMN_U32, root_run),
        RUN_COLUMN(COLUMN_U32, n_events),
        RUN_COLUMN(COLUMN_TEXT, trigger),
        RUN_COLUMN(COLUMN_TEXT, labels),
        RUN_COLUMN(COLUMN_TEXT, dedup_key),
};

const RowTable run_table = {
        .columns = run_columns,
        .n_columns = ELEMENTSOF(run_columns),
        .source = "new_runs",
        .declaration = "CREATE TABLE new_runs(" RUN_COLUMNS ")",
        .slot = SQL_RUN_NEW,
        .insert = "INSERT OR FAIL INTO runs SELECT * FROM new_runs",
};

static bool row_is_valid(const RunRow *row) {
        return row->id != 0 && row->runbook && row->definition && run_state_to_string(row->state);
}

/* ---- new ones ---- */

typedef struct NewRuns {
        NewRows rows;
        Store *store;
        RunSource next;
        void *userdata;
        RunRow run;
        uint32_t n[_RUN_STATE_MAX];
} NewRuns;

static int next_run(NewRows *rows) {
        NewRuns *n = (NewRuns *) rows;
        int r = n->next(n->userdata, &n->run);

        if (r <= 0)
                return r;
        if (!row_is_valid(&n->run))
                return -EINVAL;
        n->n[n->run.state]++;
        n->store->last_run = MAX(n->store->last_run, n->run.id);
        return 1;
}

/* Moves between states are counted by triggers; rows that come by this. */
static int count_new(Store *s, RunState state, uint32_t n) {
        sqlite3_stmt *st = NULL;
        int r;

        if (n == 0)
                return 0;
        r = store_statement(s, SQL_COUNT_NEW, "UPDATE counts SET n = n + ?2 WHERE state = ?1", &st);
        if (r < 0)
                return store_fail_write(s, r);
        return store_execute(s, st, bind_text(st, 1, run_state_to_string(state)) | sqlite3_bind_int64(st, 2, n));
}

int store_add_runs(Store *s, RunSource next, void *userdata) {
        NewRuns n = { .rows = { .next = next_run, .row = &n.run }, .store = s, .next = next, .userdata = userdata };
        int r;

        r = store_write_rows(s, ROW_RUN, &n.rows);
        if (r >= 0)
                r = count_new(s, RUN_EXHAUSTED, n.n[RUN_EXHAUSTED]);
        return r < 0 ? r : count_new(s, RUN_DLQ, n.n[RUN_DLQ]);
}

static int the_run(void *userdata, RunRow *ret) {
        const RunRow **row = userdata;

        if (!*row)
                return 0;
        *ret = **row;
        *row = NULL;
        return 1;
}

/* ---- any ---- */

/* 1: the row was written, 0: the statement did not fit it. */
static int update_run(Store *s, const RunStatement *u, const RunRow *row) {
        sqlite3_stmt *st = NULL;
        int r;

        r = store_statement(s, u->slot, u->sql, &st);
        if (r < 0)
                return store_fail_write(s, r);
        r = store_execute(s, st, bind_row(st, &run_table, row));
        if (r < 0)
                return r;
        return sqlite3_changes(s->db) > 0;
}

int store_put_run(Store *s, const RunRow *row) {
        int r;

        r = store_writable(s);
        if (r < 0)
                return r;
        if (!row_is_valid(row))
                return store_fail_write(s, -EINVAL);

        /* A number beyond the last one is a new run: nothing to update. */
        for (size_t i = 0; row->id <= s->last_run && i < ELEMENTSOF(run_updates); i++) {
                r = update_run(s, run_updates + i, row);
                if (r != 0)
                        return MIN(r, 0);
        }
        return store_add_runs(s, the_run, &row);
}

typedef struct RunQuery {
        RunVisitor visit;
        void *userdata;
        bool found;
} RunQuery;

static int run_row(sqlite3_stmt *st, void *userdata) {
        RunQuery *q = userdata;
        const char *state = column_text(st, 3);
        const RunRow row = {
                .id = column_u32(st, 0),
                .runbook = column_text(st, 1),
                .definition = column_text(st, 2),
                /* A state that nobody has heard of is a run that can't be read: that is what dlq says. */
                .state = run_state_from_string(state) < 0 ? RUN_DLQ : run_state_from_string(state),
                .status_text = column_text(st, 4),
                .created_at = column_u64(st, 5),
                .started_at = column_u64(st, 6),
                .finished_at = column_u64(st, 7),
                .scheduled_for = column_u64(st, 8),
                .started_by = column_u32(st, 9),
                .had_errors = sqlite3_column_int(st, 10) != 0,
                .pending_requests = column_u32(st, 11),
                .attempt = column_u32(st, 12),
                .replay_of = column_u32(st, 13),
                .root_run = column_u32(st, 14),
                .n_events = column_u32(st, 15),
                .trigger = column_text(st, 16),
                .labels = column_text(st, 17),
                .dedup_key = column_text(st, 18),
        };

        if (!row.runbook || !row.definition || !state || sqlite3_errcode(sqlite3_db_handle(st)) == SQLITE_NOMEM)
                return -ENOMEM;
        q->found = true;
        return q->visit(q->userdata, &row);
}

int store_get_run(Store *s, uint32_t id, RunVisitor visit, void *userdata) {
        RunQuery q = { visit, userdata, false };
        sqlite3_stmt *st = NULL;
        int r;

        r = store_statement(s, SQL_RUN_GET, "SELECT " RUN_COLUMNS " FROM runs WHERE id = ?1", &st);
        if (r < 0)
                return r;
        r = store_query(s, st, sqlite3_bind_int64(st, 1, id), run_row, &q);
        if (r != 0)
                return r;
        return q.found ? 0 : -ENOENT;
}

/* Sorted, not in the order of an index: who is visited may be written meanwhile, and none comes twice. */
int store_unfinished_runs(Store *s, RunVisitor visit, void *userdata) {
        RunQuery q = { visit, userdata, false };
        sqlite3_stmt *st = NULL;
        int r;

        r = store_statement(s, SQL_RUN_UNFINISHED,
                            "SELECT " RUN_COLUMNS " FROM runs"
                            " WHERE state IN ('scheduled', 'queued', 'running', 'on-hold', 'paused') ORDER BY +id", &st);
        if (r < 0)
                return r;
        return store_query(s, st, SQLITE_OK, run_row, &q);
}

/* ---- rows that are still to come ---- */

int store_set_complete(Store *s, uint32_t run) {
        sqlite3_stmt *st = NULL;
        int r;

        r = store_writable(s);
        if (r < 0)
                return r;
        r = store_statement(s, SQL_COMPLETE, "UPDATE meta SET value = ?1 WHERE key = 'rows_complete'", &st);
        if (r < 0)
                return store_fail_write(s, r);
        r = store_execute(s, st, sqlite3_bind_int64(st, 1, run));
        if (r >= 0)
                s->complete = run;
        return r;
}

typedef struct NumberQuery {
        NumberVisitor visit;
        void *userdata;
} NumberQuery;

static int number_row(sqlite3_stmt *st, void *userdata) {
        const NumberQuery *q = userdata;

        return q->visit(q->userdata, column_u32(st, 0));
}

/* From number to number where there are rows, else from one run's events to the next run's: a number that damage has made large is no long
 * way, and of runs that have rows nothing else is read. A second event brings the row with it: who has that has lost the row later. */
#define FIRST_EVENT(run) "((" run ") << " STRINGIFY(SEQ_BITS) " | 1)"
#define NEXT_WITH_EVENTS "((SELECT min(id) FROM events WHERE id >= " FIRST_EVENT("n + 1") ") >> " STRINGIFY(SEQ_BITS) ")"
#define WITHOUT_ROW                                                                                                                     \
        "WITH RECURSIVE numbers(n) AS (SELECT ?1 UNION ALL"                                                                             \
        " SELECT CASE WHEN EXISTS (SELECT 1 FROM runs WHERE id = n + 1) THEN n + 1 ELSE " NEXT_WITH_EVENTS " END"                       \
        " FROM numbers WHERE n < ?2)"                                                                                                   \
        " SELECT n FROM numbers WHERE n > ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE id = n)"                                          \
        " AND EXISTS (SELECT 1 FROM events WHERE id = " FIRST_EVENT("n") ")"                                                            \
        " AND NOT EXISTS (SELECT 1 FROM events WHERE id = " FIRST_EVENT("n") " + 1)"

int store_runs_without_row(Store *s, NumberVisitor visit, void *userdata) {
        NumberQuery q = { visit, userdata };
        sqlite3_stmt *st = NULL;
        int r;

        if (s->complete >= s->last_run)
                return 0;
        if (sqlite3_prepare_v2(s->db, WITHOUT_ROW, -1, &st, NULL) != SQLITE_OK)
                return store_fail_read(s);
        r = store_query(s, st, sqlite3_bind_int64(st, 1, s->complete) | sqlite3_bind_int64(st, 2, s->last_run), number_row, &q);
        (void) sqlite3_finalize(st);
        return r;
}

int store_count_state(Store *s, RunState state, uint32_t *ret) {
        sqlite3_stmt *st = NULL;
        int r;

        if (state != RUN_EXHAUSTED && state != RUN_DLQ)
                return -EINVAL;
        r = store_statement(s, SQL_COUNT, "SELECT n FROM counts WHERE state = ?1", &st);
        if (r < 0)
                return r;
        return store_query_u32(s, st, bind_text(st, 1, run_state_to_string(state)), ret);
}

int store_find_dedup(Store *s, const char *runbook, const char *key, usec_t since, uint32_t *ret) {
        sqlite3_stmt *st = NULL;
        int r, bound;

        if (since > INT64_MAX)
                return -ENOENT;
        r = store_statement(s, SQL_RUN_DEDUP,
                            "SELECT id FROM runs WHERE runbook = ?1 AND dedup_key = ?2 AND created_at >= ?3"
                            " ORDER BY created_at DESC, id DESC LIMIT 1", &st);
        if (r < 0)
                return r;
        bound = bind_text(st, 1, runbook);
        bound |= bind_text(st, 2, key);
        bound |= bind_u64(st, 3, since);
        return store_query_u32(s, st, bound, ret);
}

/* One arm per state, each in the order of its index, merged by SQLite: a list of a few rare states among very many runs reads only what it shows. */
static void append_arms(StrBuf *b, uint32_t states) {
        for (unsigned i = 0; i < _RUN_STATE_MAX; i++)
                if (states & (1u << i))
                        strbuf_appendf(b, "%sSELECT " RUN_COLUMNS " FROM runs WHERE id < ?1 AND state = '%s'", b->n == 0 ? "" : " UNION ALL ",
                                       run_state_to_string((RunState) i));
}

/* With a runbook its own index gives the order, and the states are filtered. */
static void append_of_runbook(StrBuf *b, uint32_t states) {
        strbuf_append(b, "SELECT " RUN_COLUMNS " FROM runs WHERE id < ?1 AND runbook = ?3");
        if (states == 0)
                return;
        strbuf_append(b, " AND state IN (''");
        for (unsigned i = 0; i < _RUN_STATE_MAX; i++)
                if (states & (1u << i))
                        strbuf_appendf(b, ", '%s'", run_state_to_string((RunState) i));
        strbuf_append(b, ")");
}

static char *list_sql(const RunFilter *f, uint32_t states) {
        _cleanup_strbuf_ StrBuf b = {};

        if (f->runbook)
                append_of_runbook(&b, states);
        else if (states != 0)
                append_arms(&b, states);
        else
                strbuf_append(&b, "SELECT " RUN_COLUMNS " FROM runs WHERE id < ?1");
        strbuf_append(&b, " ORDER BY id DESC LIMIT ?2");
        return strbuf_take(&b);
}

static int bind_list(sqlite3_stmt *st, const RunFilter *f) {
        int bound = sqlite3_bind_int64(st, 1, f->before == 0 ? INT64_MAX : (sqlite3_int64) f->before);

        bound |= sqlite3_bind_int64(st, 2, f->limit == 0 ? -1 : (sqlite3_int64) f->limit);
        if (f->runbook)
                bound |= bind_text(st, 3, f->runbook);
        return bound;
}

int store_list_runs(Store *s, const RunFilter *f, RunVisitor visit, void *userdata) {
        uint32_t states = f->states & ((1u << _RUN_STATE_MAX) - 1);
        RunQuery q = { visit, userdata, false };
        _cleanup_free_ char *sql = NULL;
        sqlite3_stmt *st = NULL;
        int r;

        if (f->states != 0 && states == 0)
                return 0;
        sql = list_sql(f, states);
        if (!sql)
                return -ENOMEM;
        if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
                return store_fail_read(s);
        r = store_query(s, st, bind_list(st, f), run_row, &q);
        (void) sqlite3_finalize(st);
        return r;
}
