/* The tables, as a list of numbered migrations. A new database goes through all of them, an older one through those it has not seen, so that there is one way
 * to get to any version. An entry that has once been released is never edited: a change is a new entry at the end.
 *
 * What is stored must mean the same to a later program, hence names of states and not the numbers of an enum. The list of unfinished states
 * in runs_unfinished is the one copy of what states.c knows; the unit test holds the two against each other. */
#include <stdio.h>

#include "store-internal.h"

/* Events are clustered by run: a run's history is one range of pages, and appending touches one page per run.
 * An index over columns that a plain progress update changes would cost a page write per commit, so there is none. */
#define MIGRATION_1                                                                                                     \
        "CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"                                     \
        "CREATE TABLE boots(id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL UNIQUE) STRICT;"                              \
        "CREATE TABLE definitions("                                                                                     \
        " hash TEXT PRIMARY KEY, name TEXT NOT NULL, format TEXT NOT NULL, text BLOB NOT NULL) STRICT;"                 \
        /* A start costs what its rows and indexes cost: what can be read at little cost without an index of its own has none. */ \
        "CREATE TABLE runs("                                                                                            \
        " id INTEGER PRIMARY KEY,"                                                                                      \
        " runbook TEXT NOT NULL, definition TEXT NOT NULL, state TEXT NOT NULL, status_text TEXT,"                      \
        " created_at INTEGER NOT NULL, started_at INTEGER NOT NULL, finished_at INTEGER NOT NULL, scheduled_for INTEGER NOT NULL," \
        " started_by INTEGER NOT NULL, had_errors INTEGER NOT NULL, pending_requests INTEGER NOT NULL, attempt INTEGER NOT NULL," \
        " replay_of INTEGER NOT NULL, root_run INTEGER NOT NULL, n_events INTEGER NOT NULL,"                            \
        " \"trigger\" TEXT, labels TEXT, dedup_key TEXT) STRICT;"                                                       \
        "CREATE INDEX runs_by_runbook ON runs(runbook, id);"                                                            \
        "CREATE INDEX runs_by_state ON runs(state, id);"                                                                \
        "CREATE INDEX runs_by_dedup_key ON runs(runbook, dedup_key, created_at) WHERE dedup_key IS NOT NULL;"           \
        /* A number is never used again, also when the run that had the highest is deleted. Not AUTOINCREMENT: that writes a row of its own for  \
         * each run. */                                                                                                 \
        "INSERT INTO meta VALUES('last_deleted_run', 0);"                                                               \
        "CREATE TRIGGER runs_keep_number AFTER DELETE ON runs BEGIN"                                                    \
        " UPDATE meta SET value = max(value, old.id) WHERE key = 'last_deleted_run'; END;"                              \
        "CREATE TABLE events("                                                                                          \
        " run INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, boot_at INTEGER NOT NULL, boot INTEGER NOT NULL," \
        " uid INTEGER, user TEXT, type TEXT NOT NULL, activity TEXT, attempt INTEGER NOT NULL, step TEXT, data TEXT,"   \
        " PRIMARY KEY(run, seq)) STRICT, WITHOUT ROWID;"                                                                \
        /* Dead letters are counted as they come and go, because there may be very many; other ends touch nothing here. */ \
        "CREATE TABLE counts(state TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT;"                                       \
        "INSERT INTO counts VALUES('exhausted',0),('dlq',0);"                                                           \
        "CREATE TRIGGER runs_count_insert AFTER INSERT ON runs WHEN new.state = 'exhausted' OR new.state = 'dlq' BEGIN"  \
        " UPDATE counts SET n = n + 1 WHERE state = new.state; END;"                                                    \
        "CREATE TRIGGER runs_count_delete AFTER DELETE ON runs WHEN old.state = 'exhausted' OR old.state = 'dlq' BEGIN"  \
        " UPDATE counts SET n = n - 1 WHERE state = old.state; END;"                                                    \
        "CREATE TRIGGER runs_count_move AFTER UPDATE OF state ON runs WHEN new.state <> old.state AND"                  \
        " (new.state = 'exhausted' OR new.state = 'dlq' OR old.state = 'exhausted' OR old.state = 'dlq') BEGIN"          \
        " UPDATE counts SET n = n - 1 WHERE state = old.state;"                                                         \
        " UPDATE counts SET n = n + 1 WHERE state = new.state; END;"

/* One integer says which event of which run it is (journal.c), so that a start pays for no search among other runs' events. New runs are
 * counted by store_put_run: a trigger makes SQLite keep a copy of each page that the statement writes. */
#define MIGRATION_2                                                                                                     \
        "DROP TRIGGER IF EXISTS runs_count_insert;"                                                                     \
        "ALTER TABLE events RENAME TO events_1;"                                                                        \
        "CREATE TABLE events("                                                                                          \
        " id INTEGER PRIMARY KEY, at INTEGER NOT NULL, boot_at INTEGER NOT NULL, boot INTEGER NOT NULL,"                \
        " uid INTEGER, user TEXT, type TEXT NOT NULL, activity TEXT, attempt INTEGER NOT NULL, step TEXT, data TEXT) STRICT;" \
        "INSERT INTO events SELECT run << 31 | seq, at, boot_at, boot, uid, user, type, activity, attempt, step, data"  \
        " FROM events_1 ORDER BY run, seq;"                                                                             \
        "DROP TABLE events_1;"

/* A run may have events before it has its row (store_runs_without_row); a program that does not know that would lose it. */
#define MIGRATION_3                                                                                                     \
        "INSERT INTO meta SELECT 'rows_complete', max(value, ifnull((SELECT max(id) FROM runs), 0)) FROM meta WHERE key = 'last_deleted_run';"

const Migration schema_migrations[] = {
        { "runs, events and definitions", MIGRATION_1 },
        { "events by one number", MIGRATION_2 },
        { "rows that come after their events", MIGRATION_3 },
};
const unsigned schema_version = ELEMENTSOF(schema_migrations);

static int rc_errno(sqlite3 *db) {
        return store_errno(sqlite3_errcode(db), sqlite3_system_errno(db));
}

int schema_pragma_int(sqlite3 *db, const char *pragma, int *ret) {
        sqlite3_stmt *st = NULL;
        int r = 0;

        if (sqlite3_prepare_v2(db, pragma, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
                r = rc_errno(db);
        else
                *ret = sqlite3_column_int(st, 0);
        (void) sqlite3_finalize(st);
        return r;
}

/* A database that SQLite has only just begun: no version, no owner, no table. */
static int check_empty(sqlite3 *db) {
        int used = 0, r;

        r = schema_pragma_int(db, "SELECT EXISTS (SELECT 1 FROM sqlite_schema)", &used);
        if (r < 0)
                return r;
        return used ? -EUCLEAN : 0;
}

int schema_check(sqlite3 *db, unsigned newest, unsigned *ret_version) {
        int version = 0, owner = 0, r;

        r = schema_pragma_int(db, "PRAGMA user_version", &version);
        if (r >= 0)
                r = schema_pragma_int(db, "PRAGMA application_id", &owner);
        if (r < 0)
                return r;
        if (version == 0 && owner == 0) {
                r = check_empty(db);
                if (r < 0)
                        return r;
        } else if (owner != STORE_APPLICATION_ID || version < 0)
                return -EUCLEAN;
        if ((unsigned) version > newest)
                return -EPROTO;
        *ret_version = (unsigned) version;
        return 0;
}

static int migrate_one(sqlite3 *db, const Migration *m, unsigned version) {
        char mark[128];

        (void) snprintf(mark, sizeof(mark), "PRAGMA application_id = %d; PRAGMA user_version = %u; COMMIT", STORE_APPLICATION_ID, version);
        if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
                return rc_errno(db);
        if (sqlite3_exec(db, m->sql, NULL, NULL, NULL) == SQLITE_OK && sqlite3_exec(db, mark, NULL, NULL, NULL) == SQLITE_OK)
                return 0;

        int r = rc_errno(db);
        if (!sqlite3_get_autocommit(db))
                (void) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        return r;
}

int schema_migrate(sqlite3 *db, const Migration *table, unsigned n, unsigned version) {
        for (unsigned i = version; i < n; i++) {
                int r = migrate_one(db, table + i, i + 1);
                if (r < 0)
                        return r;
        }
        return 0;
}
