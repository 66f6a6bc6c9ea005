/* Inside of the store: what its files share. Included by src/store and by the tests of it, by nobody else. */
#pragma once

#include <sqlite3.h>

#include "store.h"

#define STORE_FILE "runbookd.db"
#define STORE_LOCK "lock"
#define STORE_APPLICATION_ID 0x72756e62                 /* "runb", in the header of the database: it is ours */

/* Pages in the WAL at which a commit also copies them into the database, which costs three flushes: 1,000 commits of two events fill it about six times. */
#define STORE_WAL_PAGES 500
/* What the WAL file is filled up to beforehand: a flush of blocks that are there already takes half as long as one that makes the file longer. */
#define STORE_WAL_READY ((STORE_WAL_PAGES + 50) * (4096 + 24))
/* The WAL file is overwritten in place; what one huge transaction made of it beyond this is given back at the next turn-over. */
#define STORE_WAL_FILE_MAX (16 * 1024 * 1024)
#define STORE_CACHE_KIB 256
#define STORE_ERROR_MAX 512
#define SEQ_BITS 31                                     /* the low bits of an event's key; with the 32 of its run: a positive 64-bit integer */

/* The slots of the prepared statements; the text stands with its one user. */
typedef enum Sql {
        SQL_BEGIN, SQL_COMMIT, SQL_BOOT_PUT, SQL_PROBE,
        SQL_EVENT_APPEND, SQL_EVENT_LOAD, SQL_DEFINITION_PUT, SQL_DEFINITION_GET,
        SQL_RUN_TOUCH, SQL_RUN_MOVE, SQL_RUN_CHANGE, SQL_RUN_NEW, SQL_RUN_GET, SQL_RUN_UNFINISHED, SQL_RUN_DEDUP, SQL_COUNT, SQL_COUNT_NEW,
        SQL_COMPLETE,
        _SQL_MAX,
} Sql;

typedef enum ColumnType {
        COLUMN_TEXT,                                    /* a NULL is a NULL */
        COLUMN_STATE,                                   /* of a run, by its name */
        COLUMN_BOOL, COLUMN_U32, COLUMN_U64,            /* USEC_INFINITY is stored as -1 and comes back whole */
        COLUMN_UID,                                     /* UINT32_MAX is NULL */
} ColumnType;

typedef struct Column {
        ColumnType type;
        size_t offset;                                  /* in the struct of a row */
} Column;

typedef struct RowTable {
        const Column *columns;                          /* in the order of the table in the database */
        int n_columns;
        const char *source, *declaration;               /* the virtual table that rows are read from, and its columns */
        Sql slot;
        const char *insert;                             /* all that the source has */
} RowTable;

/* Rows that are made while they are written. What a row points to stays until the next one is asked for. */
typedef struct NewRows NewRows;
struct NewRows {
        int (*next)(NewRows *rows);                     /* 1: there is a row, 0: no more, negative: it can't be made */
        const void *row;
        bool more;
        int error;
};

typedef enum RowKind { ROW_RUN, ROW_EVENT, _ROW_KIND_MAX } RowKind;

typedef struct RowFeed {
        const RowTable *table;
        NewRows *rows;                                  /* while they are written */
} RowFeed;

typedef enum Transaction { TRANSACTION_NONE, TRANSACTION_OPEN, TRANSACTION_FAILED /* rolled back; commit will say so */ } Transaction;

struct Store {
        sqlite3 *db;
        sqlite3_stmt *statements[_SQL_MAX];
        RowFeed feeds[_ROW_KIND_MAX];
        int lock_fd;
        char *path;                                     /* of the database */
        char id[33];
        char boot_id[37];
        uint32_t boot;
        bool boot_stored;                               /* its row is made by the first commit of this boot, so that opening needs no write */
        uint32_t last_run, last_run_stored;             /* the second is what a rollback goes back to, as is: */
        uint32_t complete, complete_stored;
        Transaction transaction;
        int failure;                                    /* of a failed transaction */
        char error[STORE_ERROR_MAX];
};

/* Prepares on first use. -EBUSY: this statement is delivering rows right now (a visitor called the function that called it). */
int store_statement(Store *s, Sql which, const char *sql, sqlite3_stmt **ret);
/* The errno of the failure that the database has just had; its text goes to store_error(). */
int store_fail_read(Store *s);
/* The same, and the open transaction is rolled back. */
int store_fail_write(Store *s, int r);                  /* r: 0, or an errno that is known better than the database does */
int store_writable(const Store *s);                     /* is there an open transaction? 0, or what a write must return */
int store_execute(Store *s, sqlite3_stmt *st, int bound); /* one write, to its end; `bound` is what the binds returned, ORed */

/* Steps through a query. The statement is reset at the end. */
typedef int (*RowHandler)(sqlite3_stmt *st, void *userdata);
int store_query(Store *s, sqlite3_stmt *st, int bound, RowHandler handler, void *userdata);
int store_query_u32(Store *s, sqlite3_stmt *st, int bound, uint32_t *ret); /* the first column of the first row; -ENOENT */
int store_errno(int rc, int system_errno);

static inline int bind_text(sqlite3_stmt *st, int i, const char *s) {
        return sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC);
}
static inline int bind_u64(sqlite3_stmt *st, int i, uint64_t v) {
        return sqlite3_bind_int64(st, i, (sqlite3_int64) v);
}
static inline const char *column_text(sqlite3_stmt *st, int i) {
        return (const char *) sqlite3_column_text(st, i);
}
static inline uint64_t column_u64(sqlite3_stmt *st, int i) {
        return (uint64_t) sqlite3_column_int64(st, i);
}
static inline uint32_t column_u32(sqlite3_stmt *st, int i) {
        return (uint32_t) sqlite3_column_int64(st, i);
}

/* rows.c */
extern const RowTable run_table, event_table;           /* runs.c, journal.c */
int store_prepare_rows(Store *s);                       /* once for a connection */
int store_write_rows(Store *s, RowKind kind, NewRows *rows);
int bind_row(sqlite3_stmt *st, const RowTable *t, const void *row); /* ?1 is the first column */

/* schema.c */
typedef struct Migration {
        const char *name;
        const char *sql;
} Migration;
extern const Migration schema_migrations[];             /* entry i brings version i to version i + 1 */
extern const unsigned schema_version;
/* -EPROTO: newer than the table; -EUCLEAN: a database of another program; -EBADMSG and the like of SQLite: see store_errno. Nothing has been written then. */
int schema_check(sqlite3 *db, unsigned newest, unsigned *ret_version);
/* Each migration is one transaction: it happens as a whole, with its version number, or not at all. */
int schema_migrate(sqlite3 *db, const Migration *table, unsigned n, unsigned version);
int schema_pragma_int(sqlite3 *db, const char *pragma, int *ret);
