/* The store: one SQLite database in the state directory, in WAL mode, with the journal of events, the frozen definitions and one index row per run
 * for lists, which may come later than the run's first event. One writer, one transaction per turn of the daemon's loop. Nothing here knows what an event means.
 *
 * After any failing write the transaction is rolled back and the caller is told once, by store_commit or the call itself; the store stays usable for reads. */
#pragma once

#include "states.h"
#include "time-util.h"

typedef struct Store Store;

typedef enum Durability { DURABILITY_FULL /* fsync at every commit */, DURABILITY_NORMAL /* at checkpoints: power loss may lose the last commits, a kill none */,
                          _DURABILITY_MAX, _DURABILITY_INVALID = -EINVAL } Durability;
DECLARE_NAME_TABLE(Durability, durability);

typedef struct StoreOptions {
        const char *directory;                          /* made (0700 below; the directory itself 0711) where missing */
        Durability durability;
        const char *vfs;                                /* SQLite VFS, NULL: the default; tests fail writes with it */
} StoreOptions;

/* Takes the exclusive lock for the store's life. -EBUSY: another process holds it (*ret_error says who); -EPROTO: the schema is newer than this program; -EUCLEAN: not a
 * database or damaged; else errno. *ret_error: a translated sentence, new. */
int store_open(const StoreOptions *o, Store **ret, char **ret_error);
Store *store_close(Store *s);                           /* checkpoints the WAL */
DEFINE_CLEANUP(Store *, store_close)

const char *store_id(const Store *s);                   /* random, 32 hex digits, made with the store */
uint32_t store_boot(const Store *s);                    /* the number of this boot of the machine in the store; events carry it */
uint32_t store_last_run(const Store *s);                /* the highest run number ever given */
uint32_t store_complete(const Store *s);                /* no run up to this number is still to get its row */
void store_release_memory(Store *s);                    /* what is kept for the next read or write */
const char *store_error(const Store *s);                /* text of the last failure, for logs and replies */

typedef struct EventRow {
        uint32_t run, seq;                              /* seq from 1, without gaps in a run */
        usec_t at;                                      /* wall clock */
        usec_t boot_at;                                 /* CLOCK_BOOTTIME */
        uint32_t boot;
        uint32_t uid;                                   /* UINT32_MAX: the engine */
        const char *user;                               /* NULL: the engine */
        const char *type;
        const char *activity;                           /* or the phase, where `type` begins with "phase-"; NULL */
        uint32_t attempt;                               /* 0: none */
        const char *step;                               /* NULL: none */
        const char *data;                               /* compact JSON object, or NULL for {} */
} EventRow;

typedef struct RunRow {
        uint32_t id;
        const char *runbook, *definition;               /* definition: its hash */
        RunState state;
        const char *status_text;
        usec_t created_at, started_at, finished_at, scheduled_for;
        uint32_t started_by;                            /* uid */
        bool had_errors;
        uint32_t pending_requests, attempt, replay_of, root_run, n_events;
        const char *trigger;                            /* "manual", … */
        const char *labels;                             /* compact JSON object or NULL */
        const char *dedup_key;                          /* or NULL */
} RunRow;

int store_begin(Store *s);
int store_put_definition(Store *s, const char *hash, const char *name, const char *format, const void *text, size_t n); /* no-op where it is there */
int store_put_run(Store *s, const RunRow *row);         /* insert or replace */
int store_append_event(Store *s, const EventRow *row);
/* The same for many, which costs less: `next` makes one after the other while they are written. 1: there is one, and what it points to stays
 * until the next call; 0: there are no more; negative: it can't be made, and that is the transaction's failure. It must not touch the store. */
typedef int (*RunSource)(void *userdata, RunRow *ret);
typedef int (*EventSource)(void *userdata, EventRow *ret);
int store_add_runs(Store *s, RunSource next, void *userdata); /* runs that have no row yet */
int store_append_events(Store *s, EventSource next, void *userdata);
int store_set_complete(Store *s, uint32_t run);         /* what store_complete says from this transaction on */
int store_commit(Store *s);                             /* on failure everything since store_begin is rolled back; -ENOSPC, -EIO, … */
void store_rollback(Store *s);
int store_probe(Store *s);                              /* one tiny durable write: is the storage back? */

/* Rows given to callbacks are valid during the call only; a non-zero return ends the iteration and is returned. */
typedef int (*RunVisitor)(void *userdata, const RunRow *row);
typedef int (*EventVisitor)(void *userdata, const EventRow *row);

typedef struct RunFilter {
        uint32_t states;                                /* bits 1 << RunState; 0: all */
        const char *runbook;                            /* NULL: all */
        uint32_t before;                                /* ids below; 0: all */
        uint32_t limit;                                 /* 0: no limit */
} RunFilter;

int store_list_runs(Store *s, const RunFilter *f, RunVisitor visit, void *userdata);    /* newest first */
int store_get_run(Store *s, uint32_t id, RunVisitor visit, void *userdata);             /* -ENOENT */
int store_unfinished_runs(Store *s, RunVisitor visit, void *userdata);                  /* oldest first */
/* Numbers of runs that have their first event and nothing else; oldest first. Reads no further back than to what is complete. */
typedef int (*NumberVisitor)(void *userdata, uint32_t run);
int store_runs_without_row(Store *s, NumberVisitor visit, void *userdata);
int store_count_state(Store *s, RunState state, uint32_t *ret);                         /* of dead letters (else -EINVAL): kept by triggers, never count(*) */
int store_load_events(Store *s, uint32_t run, uint32_t from_seq, uint32_t max, EventVisitor visit, void *userdata); /* max 0: all */
int store_get_definition(Store *s, const char *hash, char **ret_name, char **ret_format, char **ret_text, size_t *ret_n);
/* The newest run of this runbook with this key created at or after `since`: 0 and its number, -ENOENT. */
int store_find_dedup(Store *s, const char *runbook, const char *key, usec_t since, uint32_t *ret);
