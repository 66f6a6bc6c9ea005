/* Shared by the files of the engine: engine.c engine-verbs.c engine-read.c turn.c commit.c storage.c job.c recover.c definitions.c. */
#pragma once

#include "commit-pace.h"
#include "engine.h"
#include "hashmap.h"
#include "list.h"
#include "scheduler.h"
#include "timers.h"

#define ENGINE_RUNS_MAX 100000u                         /* unfinished runs */
#define ENGINE_LABELS_MAX 64u
#define ENGINE_LABEL_SIZE_MAX 1024u                     /* of a name and of a value */
#define ENGINE_DEDUP_KEY_MAX 256u
#define ENGINE_DEDUP_WINDOW (5 * USEC_PER_MINUTE)
#define ENGINE_FINISHED_CACHE 4u                        /* ended runs kept folded for readers */
#define TURN_EVENTS_MAX 512u                            /* then the commit goes before all other sources */
#define TURN_AGE_MAX (10 * USEC_PER_MSEC)               /* likewise */
#define STARTS_PER_TURN 2u /* runs that start without needing a slot within one turn; more wait for a quiet moment … */
#define STARTS_AGE_MAX (50 * USEC_PER_MSEC)             /* … but not longer than this, then … */
#define STARTS_BATCH 16u                                /* so many are taken at once */
#define ERROR_CODE_LENGTH_MAX 64u                       /* of a code that a step gives */
#define FAILURE_LOG_MAX 4096u                            /* bytes of failure.log */
#define PREPARE_TRIES_MAX 5u
#define PREPARE_BACKOFF (100 * USEC_PER_MSEC)           /* doubles */
#define STORAGE_RETRY_MIN USEC_PER_SEC                  /* doubles */
#define STORAGE_RETRY_MAX (30 * USEC_PER_SEC)

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

typedef enum JobState {
        JOB_STARTING,                                   /* not prepared yet, or its prepare is tried again */
        JOB_PREPARED,                                   /* within a commit only */
        JOB_RUNNING,
        JOB_ENDED,                                      /* the fact that it has; kept until it is on disk */
        JOB_GIVEN_UP,                                   /* likewise: it could not be started */
} JobState;

/* One running step, and then the fact of its end. Found again after its run was dropped and folded anew, by numbers and not by pointers. */
struct Job {
        Engine *engine;
        EngineRun *run;                                 /* NULL: nobody waits for it any more */
        unsigned activity;
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
        Definition *definition;
        SchedulerItem waiting;
        TimerItem timers[_DEADLINE_CLOCK_MAX];
        Job *jobs;
        uint64_t turn;                                  /* the last turn that touched it */
        bool is_new;                                    /* not in the store yet */
        bool recovering;                                /* what was running when the daemon died is not stored as interrupted yet */
        bool workspace_made;
        bool in_starts, in_stale;
        RowCopy row;                                    /* as it is in the store */
        LIST_FIELDS(EngineRun, starts);
        LIST_FIELDS(EngineRun, stale);
};

typedef struct Segment {                                /* consecutive events of one run */
        EngineRun *run;
        size_t end;                                     /* index in Outcome.events past its last */
} Segment;

typedef struct Touched {
        EngineRun *run;
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
        uint64_t iteration;                             /* of the event loop, when it was last asked for */
} CachedRun;

struct Engine {
        sd_event *event;
        Store *store;
        Executor *executor;
        Library *library;
        char *state_directory;
        Limits limits;
        const Observer *observer;
        void *observer_userdata;
        unsigned cpus;

        IntMap *runs;                                   /* unfinished, by number */
        Hashmap *definitions;
        Job *jobs;
        Scheduler scheduler;
        Timers *timers;
        QUEUE_HEAD(EngineRun) starts;                   /* created, and not decided yet */
        usec_t starts_since;
        QUEUE_HEAD(EngineRun) stale;                    /* facts wait to be fed, or it must be decided again */
        sd_event_source *starts_source;

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
int commit_on_event(sd_event_source *s, void *userdata);
int commit_on_time(sd_event_source *s, uint64_t usec, void *userdata);
void row_copy(const RunRow *row, RowCopy *ret);

/* publish.c */
void publish_turn(Engine *e, Turn *t);
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
void definitions_free(Engine *e);

/* recover.c */
typedef struct Folded {
        Run *run;
        Definition *definition;                         /* with a user more */
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
/* Ends a damaged run as dlq in the store, without asking the model. */
int run_park(Engine *e, uint32_t id, uint32_t last_seq, const char *reason);

/* engine.c */
int engine_run_new(Engine *e, uint32_t id, Definition *takes, EngineRun **ret);
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
void cache_drop(Engine *e, uint32_t id);
void cache_free(Engine *e);
