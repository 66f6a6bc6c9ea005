/* Shared by the files of the engine: engine.c engine-verbs.c engine-start.c engine-again.c engine-read.c turn.c commit.c publish.c
 * run-rows.c storage.c job.c recover.c park.c triggers.c workspace.c definitions.c. */
#pragma once

#include "commit-pace.h"
#include "engine.h"
#include "hashmap.h"
#include "list.h"
#include "scheduler.h"
#include "spawn.h"
#include "timers.h"

#define ENGINE_RUNS_MAX 100000u                         /* unfinished runs */
#define ENGINE_LABELS_MAX 64u
#define ENGINE_LABEL_SIZE_MAX 1024u                     /* of a name and of a value */
#define ENGINE_DEDUP_KEY_MAX 256u
#define ENGINE_DEDUP_WINDOW (5 * USEC_PER_MINUTE)
#define ENGINE_FINISHED_CACHE 4u                        /* ended runs kept folded for readers */
#define TURN_EVENTS_MAX 512u                            /* then the commit goes before all other sources */
#define TURN_AGE_MAX (10 * USEC_PER_MSEC)               /* likewise */
#define STARTS_PER_TURN 2u /* runs that start without needing a slot within one turn; more wait … */
#define STARTS_QUIET (2 * USEC_PER_MSEC)                /* … until nobody was answered for so long … */
#define STARTS_AGE_MAX (500 * USEC_PER_MSEC)            /* … but not longer than this; then … */
#define STARTS_BATCH 16u                                /* … so many are taken at once */
#define ERROR_CODE_LENGTH_MAX 64u                       /* of a code that a step gives */
#define FAILURE_LOG_MAX 4096u                            /* bytes of failure.log */
#define PREPARE_TRIES_MAX 5u
#define PREPARE_BACKOFF (100 * USEC_PER_MSEC)           /* doubles */
#define COPIES_MAX 4u                                   /* workspaces that are copied at once */
#define COPY_ERROR_MAX 1024u                            /* bytes of what cp says that are kept */
#define TRIGGER_PAYLOAD_MAX (1024u * 1024u)             /* bytes of trigger.payload as compact JSON; then its attempts are cut */
#define START_AT_MAX UINT64_C(253402300799999999)       /* the end of the year 9999 */
#define STORAGE_RETRY_MIN USEC_PER_SEC                  /* doubles */
#define STORAGE_RETRY_MAX (30 * USEC_PER_SEC)
#define COMPLETE_STEP 512u /* runs: how far what the store knows to have rows may lag; a start of the daemon looks at these one by one */

enum {                                                  /* priorities of event sources; I/O has 0 */
        PRIORITY_COMMIT_NOW = -50,
        PRIORITY_DEADLINES = -10,
        PRIORITY_COMMIT = 50,
        PRIORITY_STARTS = 90,
};

#define container_of(p, type, member) ((type *) ((char *) (p) - offsetof(type, member)))

typedef struct EngineRun EngineRun;
typedef struct Job Job;

/* A definition by its hash, shared by the runs that have it. */
typedef struct Definition {
        char hash[65];
        Runbook *runbook;                               /* a reference while n_users > 0 */
        unsigned n_users;
        bool stored;
        uint64_t put_in;                                /* the turn that puts it into the store */
} Definition;

/* All definitions that a run has had, each with a user. */
typedef struct DefinitionList {
        Definition *first;                              /* what its events begin with */
        Definition **later;                             /* what it went over to */
        size_t n_later, n_later_allocated;
} DefinitionList;

typedef enum JobState {
        JOB_STARTING,                                   /* not prepared yet, or its prepare is tried again */
        JOB_PREPARED,                                   /* within a commit only */
        JOB_RUNNING,
        JOB_ENDED,                                      /* the fact that it has; kept until it is on disk */
        JOB_GIVEN_UP,                                   /* likewise: it could not be started */
} JobState;

/* One running step, and then the fact of its end. It outlives its run's memory: the activity is found again by its name, and what it
 * executes stands in a definition that it holds itself. */
struct Job {
        Engine *engine;
        EngineRun *run;                                 /* NULL: nobody waits for it any more */
        Activity *activity;                             /* NULL: its run is not in memory now */
        Runbook *runbook;                               /* a reference, for: */
        const ActivityDef *def;                         /* what its attempt runs */
        int step;
        uint32_t attempt;
        JobState state;
        bool applied;                                   /* the end is among the events of a turn that is not committed yet */
        bool stop_wanted;                               /* the run wants it to stop: timeout, cancel */
        unsigned n_stops;                               /* how often the executor was asked to */
        unsigned n_tries;
        char **argv, **env, *working_directory;         /* while JOB_STARTING */
        sd_event_source *retry;
        ExecJob *exec;
        StepEnd end;                                    /* error and outputs are owned */
        char *given_up_reason;
        Stamp ended_at;
        LIST_FIELDS(Job, jobs);                         /* of its run */
        LIST_FIELDS(Job, all);                          /* of the engine */
};

typedef enum CopyState {
        COPY_STARTING,                                  /* no child could be started yet; it is tried again */
        COPY_REMOVING,                                  /* what an earlier try has left */
        COPY_COPYING,
        COPY_MADE,                                      /* or it can't be made; until that is applied */
} CopyState;

/* The copy of a workspace in the making. */
typedef struct Copy Copy;
struct Copy {
        Engine *engine;
        EngineRun *run;                                 /* NULL: nobody waits for it any more */
        CopyState state;
        uint32_t from;
        char *directory, *source, *target, *workspace;  /* work/N, work/FROM/workspace, work/N/copy-…, work/N/workspace */
        char *argv[7], *env[3];                         /* of the child; some are borrowed from the above */
        Spawn *spawn;
        int output;                                     /* what the child says */
        unsigned n_tries;
        sd_event_source *event_source;                  /* of the child's end, or of the next try */
        char *error;                                    /* why there is none; NULL: it is there */
        LIST_FIELDS(Copy, copies);
};

/* What of a run's row in the store can change. */
typedef struct RowCopy {
        RunState state;
        bool had_errors;
        uint32_t pending_requests, attempt;
        usec_t started_at, finished_at, scheduled_for;
        uint64_t status_text;                           /* a hash */
} RowCopy;

/* An unfinished run, and what the engine knows about it. */
struct EngineRun {
        Engine *engine;
        uint32_t id;
        Run *run;                                       /* NULL: dropped after a failed commit, and not folded again yet */
        DefinitionList definitions;
        SchedulerItem waiting;
        TimerItem timers[_DEADLINE_CLOCK_MAX];
        Job *jobs;
        uint64_t turn;                                  /* the last turn that touched it */
        bool is_new;                                    /* not in the store yet */
        bool row_owed;                                  /* there, without a row (run-rows.c); only who has started it was told of it */
        bool recovering;                                /* what was running when the daemon died is not stored as interrupted yet */
        bool workspace_made;
        bool in_starts, in_stale, in_copies;
        Copy *copy;                                     /* of its workspace, begun or made; NULL: none */
        RowCopy row;                                    /* as it is in the store */
        LIST_FIELDS(EngineRun, starts);
        LIST_FIELDS(EngineRun, owed);
        LIST_FIELDS(EngineRun, stale);
        LIST_FIELDS(EngineRun, copies);
};

typedef struct Segment {                                /* consecutive events of one run */
        EngineRun *run;
        size_t end;                                     /* index in Outcome.events past its last */
} Segment;

typedef enum RowFate {                                  /* what becomes of a run's row in a commit */
        ROW_KEPT,                                       /* it is brought up to date */
        ROW_ADDED,                                      /* it is its first, and the run is announced */
        ROW_OWED,                                       /* there is none yet */
} RowFate;

typedef struct Touched {
        EngineRun *run;
        RowFate fate;
        RowCopy row;
} Touched;

/* What has gathered since the last commit. */
typedef struct Turn {
        uint64_t serial;
        Outcome outcome;
        Segment *segments;
        size_t n_segments, n_segments_allocated;
        Touched *runs;                                  /* each once */
        size_t n_runs, n_runs_allocated;
        Job **ended;                                    /* their ends are among the events */
        size_t n_ended, n_ended_allocated;
        Job **started;                                  /* made for its effects, in their order */
        size_t n_started, n_started_allocated;
        size_t n_effects_prepared;                      /* effects looked at by prepare */
        unsigned n_starts;                              /* runs that were started and needed no slot */
        unsigned n_processes;                           /* processes that ended */
        usec_t began;                                   /* CLOCK_MONOTONIC; 0: nothing yet */
        Ticket ticket;                                  /* the last one that it decides */
        int error;                                      /* it can't be committed: out of memory */
} Turn;

typedef struct Counts {                                 /* of runs, by what the store says */
        uint32_t active, on_hold, dead_letter;
} Counts;

typedef enum StorageState {
        STORAGE_FINE,
        STORAGE_FAILING,                                /* nothing is fed until a probe succeeds */
        STORAGE_TRIED,                                  /* a probe did; the next commit shows */
} StorageState;

typedef struct CachedRun {
        Run *run;
        bool outdated;                                  /* not found any more; somebody may still hold it */
        uint64_t iteration;                             /* of the event loop, when it was last asked for */
} CachedRun;

struct Engine {
        sd_event *event;
        Store *store;
        Executor *executor;
        Library *library;
        char *state_directory;
        Limits limits;
        usec_t retry_window;
        const Observer *observer;
        void *observer_userdata;
        unsigned cpus;

        IntMap *runs;                                   /* unfinished, by number */
        Hashmap *definitions;
        Job *jobs;
        Scheduler scheduler;
        Timers *timers;
        QUEUE_HEAD(EngineRun) starts;                   /* created, and not decided yet */
        usec_t starts_since;                            /* when the first came into an empty queue; CLOCK_MONOTONIC, as is: */
        usec_t last_answer;                              /* when a commit last answered somebody */
        QUEUE_HEAD(EngineRun) owed;                     /* by number: they have no row in the store */
        uint32_t unread;                                /* the first without a row that the next start is to look at again; 0: none */
        QUEUE_HEAD(EngineRun) stale;                    /* facts wait to be fed, or it must be decided again */
        sd_event_source *starts_source;

        Spawner *spawner;                               /* of what copies workspaces; NULL: none was yet */
        QUEUE_HEAD(EngineRun) copies_wanted;            /* they wait for others to be made */
        Copy *copies;
        unsigned n_copies;
        bool starting_copies;

        Turn turns[2], *turn;                           /* the one that gathers */
        uint64_t last_serial;
        Ticket last_ticket, decided_ticket;
        uint32_t last_run;
        bool committing, commit_hurried;
        bool settling; /* the turn is written and its outcome is being told: facts wait, so that only it is told */
        bool held;                                      /* this turn's commit was put off at least once */
        sd_event_source *commit_source, *hold_source;
        Pace pace;
        unsigned n_running;                             /* processes launched and not ended */

        StorageState storage;
        usec_t storage_delay;
        sd_event_source *storage_source;

        bool stopping;
        void (*stopped)(void *userdata);
        void *stopped_userdata;

        Counts counts, counts_told;
        bool dead_letters_dirty;
        CachedRun *cache;
        size_t n_cache, n_cache_allocated;
};

Stamp engine_now(const Engine *e);

/* turn.c: gathering */
int turn_reserve(Engine *e); /* before any model function that appends to the turn's outcome: turn_book can't fail then */
int turn_decide(Engine *e, EngineRun *er, const Stamp *now, unsigned slots); /* run_decide, and all that follows from it for the engine */
int turn_feed_end(Engine *e, Job *j);                   /* a job in state ENDED or GIVEN_UP */
void turn_feed_stale(Engine *e);
/* After a model function that returned r: books the events that it appended to the run. A negative r spoils the turn: it ends like a
 * failed commit. Returns r. */
int turn_book(Engine *e, EngineRun *er, int r);
int turn_spoil(Engine *e, int r);
int turn_arm(Engine *e);
bool turn_is_empty(const Turn *t);
void turn_clear(Turn *t);
void turn_done(Turn *t);
int turn_on_deadline(void *userdata, TimerItem *item, DeadlineClock clock);

/* commit.c */
int engine_commit(Engine *e);
/* Within a transaction that is no turn's: all of a run that is new. */
int commit_write_run(Engine *e, EngineRun *er, const Outcome *o, RowCopy *ret);
int commit_on_event(sd_event_source *s, void *userdata);
int commit_on_time(sd_event_source *s, uint64_t usec, void *userdata);

/* run-rows.c */
void row_copy(const RunRow *row, RowCopy *ret);
int rows_write(Engine *e, Turn *t);                     /* within the turn's transaction */
int rows_write_first(Engine *e, EngineRun *er, RowCopy *ret); /* within another */
void rows_stored(const Turn *t);
void rows_owe(EngineRun *er);
void rows_forget(EngineRun *er);                        /* it has its row, or it goes away */
/* As store_get_run and store_list_runs, also of runs without a row. The runbook is "" where it can't be read. */
int rows_get(Engine *e, uint32_t id, RunVisitor visit, void *userdata);
int rows_list(Engine *e, const RunFilter *f, RunVisitor visit, void *userdata);

/* publish.c */
void publish_turn(Engine *e, Turn *t);
void publish_new_run(Engine *e, EngineRun *er);         /* one that was stored outside of a turn */
void publish_end(Engine *e, uint32_t id, bool unannounced); /* likewise: one that isn't in memory has another end */
void count_run(Engine *e, RunState state, int change);
void count_dead_letters(Engine *e);

/* storage.c: failed commits */
void storage_failed(Engine *e, Turn *t, int error);
void storage_succeeded(Engine *e);
int storage_on_retry(sd_event_source *s, uint64_t usec, void *userdata);
void engine_mark_stale(Engine *e, EngineRun *er);

/* job.c */
int job_new(Engine *e, EngineRun *er, Effect *f, Job **ret);
Job *job_free(Job *j);
/* 0: prepared; 1: it will be tried again, or was given up; negative: the step's own fault. */
int job_prepare(Job *j);
void job_launch(Job *j);
void job_stop(Job *j, bool again);
void job_fail_start(Job *j, int error);
void job_stop_for_shutdown(Job *j);
void job_await_retry(Job *j);                           /* its run was folded anew while it waited for its next try */
bool errno_is_transient(int error);

/* step-end.c: what an executor's result means for the step */
int step_end_from_result(const StepDef *def, const ExecResult *result, usec_t wall, bool stopping, StepEnd *ret);
int step_end_interrupted(usec_t wall, StepEnd *ret);
void step_end_done(StepEnd *end);

/* definitions.c */
int definition_adopt(Engine *e, Runbook *runbook, Definition **ret);            /* of a runbook from the library; a user more */
int definition_load(Engine *e, const char *hash, Definition **ret, char **ret_reason);  /* from the store; a user more. -EBADMSG and why */
void definition_unuse(Definition *d);
int definition_list_add(DefinitionList *l, Definition *takes);  /* also on failure */
void definition_list_pop(DefinitionList *l);            /* the last of those that it went over to */
void definition_list_done(DefinitionList *l);
void definitions_free(Engine *e);

/* recover.c */
typedef struct Folded {
        Run *run;
        DefinitionList definitions;
        RowCopy row;
        uint32_t last_seq;
        char *reason;                                   /* why it can't be folded to its end */
} Folded;
void folded_done(Folded *f);
/* Folds a run from the store; -ENOENT. -EBADMSG: it is damaged, and f->reason says how; `partly`: then shows what could be read of an
 * ended one. identities: the processes of steps that have no end are appended to it; or NULL. */
int run_fold(Engine *e, uint32_t id, bool partly, Json *identities, Folded *f);
/* The interruptions of a run that was read back at the start, and what follows from them. */
int run_go_on(Engine *e, EngineRun *er);

/* park.c: ends of runs that can't be folded, written into the store without asking the model */
/* Ends it as dlq, and makes the runs that this failure triggers, all in one transaction. f: what was read of it. */
int run_park(Engine *e, uint32_t id, const Folded *f);
/* Takes one that was parked to cancelled. -EIO, -ENOSPC …: the store can't be written. */
int run_park_cancel(Engine *e, uint32_t id, uint32_t last_seq, const Actor *who, const char *comment);

/* triggers.c: runs that are started because others failed */
typedef struct Failure {
        uint32_t run;
        const char *runbook, *trigger, *reason;
        RunState state;
        const Run *known;                               /* its attempts; NULL: nothing is known of them */
} Failure;
typedef struct TriggeredRun {
        Runbook *runbook;                               /* a reference */
        Json *inputs;
} TriggeredRun;
typedef struct TriggeredRuns {
        TriggeredRun *items;
        size_t n;
        Json *payload;
} TriggeredRuns;
/* What is to be started; that which can't be started is said in the log. */
int triggers_find(Engine *e, const Failure *f, TriggeredRuns *ret);
void triggered_runs_done(TriggeredRuns *l);
/* For a run that ended in this turn: makes them in it. A negative errno spoilt the turn. */
int triggers_fire(Engine *e, EngineRun *er);
RunOptions trigger_options(const TriggeredRuns *l, const TriggeredRun *run);
extern const Actor engine_actor;                        /* the engine itself */

/* workspace.c: copies of workspaces */
void workspace_want(EngineRun *er);                     /* of a stored run; does nothing where it is wanted already */
void workspace_feed(EngineRun *er);                     /* the fact that the copy is made, or can't be; does nothing where it isn't */
void workspace_forget(EngineRun *er);
void workspace_stop(Engine *e);                         /* kills what is being copied */
void workspace_free(Engine *e);                         /* and waits for it */

/* engine.c */
int engine_run_new(Engine *e, uint32_t id, DefinitionList *takes, EngineRun **ret); /* takes also on failure */
EngineRun *engine_run(const Engine *e, uint32_t id);
void engine_run_attach(EngineRun *er, Run *takes);
void engine_run_detach(EngineRun *er);                  /* out of all queues; frees the Run */
void engine_run_retire(EngineRun *er);                  /* it ended: leaves the table of runs */
EngineRun *engine_run_free(EngineRun *er);
void engine_defer_start(Engine *e, EngineRun *er);
void engine_arm_starts(Engine *e);
void engine_check_stopped(Engine *e);

/* engine-read.c */
void cache_take(Engine *e, Run *takes);
void cache_drop(Engine *e, uint32_t id);                /* what is kept of this run is not what is stored any more */
void cache_trim(Engine *e, size_t keep);                /* and what somebody may hold */
void cache_free(Engine *e);

/* engine-verbs.c: what verbs have in common. All return verdicts. */
int engine_refuse(Verdict v, char **ret_message, const char *fmt, ...) _printf_(3, 4);
int engine_verdict(int r);                               /* the verdict for what the model returned, or r */
int engine_check_storage(const Engine *e, char **ret_message);
int engine_check_comment(const char *comment, char **ret_message);
int engine_find_run(Engine *e, uint32_t id, EngineRun **ret, char **ret_message); /* an unfinished one */

/* engine-start.c: what starts have in common */
int start_check_room(const Engine *e, char **ret_message);
int start_get_runbook(Engine *e, const char *name, Runbook **ret, char **ret_message);
int start_check_time(usec_t at, const Stamp *now, char **ret_message);
/* A required input without a value refuses only a strict start; else what needs it will wait for it. */
int start_check_inputs(const Runbook *rb, const Json *given, bool strict, Json **ret, char **ret_message);
int start_new(Engine *e, Runbook *rb, EngineRun **ret); /* without an event yet */
/* Makes the run in this turn; it begins at once where a slot is free, unless it is deferred. */
int start_create(Engine *e, Runbook *rb, const RunOptions *options, const Actor *who, bool deferred, uint32_t *ret_run);
