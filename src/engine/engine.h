/* The engine: feeds facts and people's decisions into runs, stores the events, and only then lets anything be seen or done.
 *
 *      verb or fact → apply → (one commit per turn of the event loop) → publish, reply, act
 *
 * Verbs return a ticket; the observer's committed() tells when it may be answered. Nothing here knows the bus. */
#pragma once

#include <systemd/sd-event.h>

#include "executor.h"
#include "library.h"
#include "run.h"
#include "store.h"

typedef struct Engine Engine;
typedef uint64_t Ticket;                                /* ascending; 0: nothing to wait for */

/* What a verb says when it does not do it; 0 is success, negative errno means the engine itself is broken. The names are those of the bus errors. */
typedef enum Verdict {
        VERDICT_OK,
        VERDICT_NO_SUCH_RUNBOOK, VERDICT_NO_SUCH_RUN, VERDICT_NO_SUCH_ACTIVITY, VERDICT_NO_SUCH_STEP, VERDICT_INVALID_RUNBOOK, VERDICT_INVALID_INPUT,
        VERDICT_INPUT_FIXED, VERDICT_WRONG_STATE, VERDICT_ALREADY_SUCCEEDED, VERDICT_ALREADY_ANSWERED, VERDICT_NOT_APPROVER, VERDICT_TOO_OLD,
        VERDICT_DEFINITION_CHANGED, VERDICT_TOO_MANY, VERDICT_TOO_LARGE, VERDICT_STORAGE_UNAVAILABLE,
        _VERDICT_MAX, _VERDICT_INVALID = -EINVAL,
} Verdict;
const char *verdict_to_string(Verdict v);               /* "NoSuchRunbook" … */

/* All are called from the event loop, after the commit, except run_removed. A NULL member is not called. They may read, but not call verbs. */
typedef struct Observer {
        /* Tickets up to and including this one are decided: r 0, or the negative errno of the failed commit. */
        void (*committed)(void *userdata, Ticket ticket, int r);
        void (*run_added)(void *userdata, Run *run);
        void (*run_changed)(void *userdata, Run *run);                          /* once per commit, whatever changed */
        void (*definition_changed)(void *userdata, Run *run);                   /* before those: activities came, went or have other numbers */
        void (*activity_changed)(void *userdata, Activity *activity);           /* likewise; state, attempt, request or deadline */
        void (*request_opened)(void *userdata, Activity *activity);
        void (*request_resolved)(void *userdata, Activity *activity, const char *how, uint32_t uid);
        void (*run_finished)(void *userdata, Run *run);
        /* The run's memory is about to be freed (it ended, or a failed commit dropped it; then `again` is true and it comes back folded anew): forget every pointer into it. */
        void (*run_removed)(void *userdata, Run *run, bool again);
        void (*counts_changed)(void *userdata);
} Observer;

typedef struct EngineOptions {
        sd_event *event;
        Store *store;                                   /* borrowed, like all here */
        Executor *executor;
        Library *library;
        const char *state_directory;
        unsigned max_steps;                             /* processes at once */
        Limits limits;
        usec_t retry_window;                            /* RetryWindowSec: how old the first run of a replay may be */
        const Observer *observer;
        void *observer_userdata;
} EngineOptions;

int engine_new(const EngineOptions *o, Engine **ret);
/* Loads unfinished runs, cleans up what earlier steps left, marks interruptions, commits, goes on. A run that can't be read goes to dlq with the reason. */
int engine_recover(Engine *e);
/* Clean stop: running steps are stopped with grace and recorded as interrupted (clean); calls done when all is committed. */
int engine_stop(Engine *e, void (*done)(void *userdata), void *userdata);
Engine *engine_free(Engine *e);                         /* kills what still runs; free the executor next, without a round of the event loop in between */
DEFINE_CLEANUP(Engine *, engine_free)

int engine_flush(Engine *e);                            /* commits what waits, for a read that must not see more than is on disk; 0 also when nothing waits */
int engine_set_max_steps(Engine *e, unsigned n);

typedef struct StartRequest {
        const char *runbook;
        const Json *inputs;                             /* object or NULL */
        const Json *labels;                             /* object of strings or NULL */
        const char *dedup_key;                          /* or NULL; within 5min the first run is returned */
        const char *comment;                            /* or NULL; the reason of run-created */
        usec_t start_at;                                /* wall clock; 0: now */
        char **only;                                    /* phases, or NULL: all */
        bool strict;                                    /* a required input without a value refuses the start */
} StartRequest;

typedef struct RetryRequest {
        const Json *inputs;                             /* to be changed, or NULL */
        bool reload;                                    /* go on with the definition as it is read now */
        const char *comment;
} RetryRequest;

typedef struct ReplayRequest {
        const char *from;                               /* activity or phase; NULL: what failed */
        bool all_parallel, reload, fresh_workspace;
        const Json *inputs;
        const char *comment;
} ReplayRequest;

typedef struct RerunRequest {
        char **only;
        bool reload;
        const Json *inputs;
        const char *comment;
} RerunRequest;
/* Verbs. *ret_message: a translated sentence that says what to do, on a verdict. A ticket of 0 with VERDICT_OK: nothing was changed (dedup), answer at once. */
int engine_start_run(Engine *e, const StartRequest *q, const Actor *who, uint32_t *ret_run, Ticket *ret, char **ret_message);
int engine_cancel(Engine *e, uint32_t run, const Actor *who, const char *comment, Ticket *ret, char **ret_message);
int engine_answer(Engine *e, uint32_t run, const char *activity, const Actor *who, bool approve, const Json *fields, const char *comment, Ticket *ret, char **ret_message);
int engine_provide(Engine *e, uint32_t run, const char *activity, const Actor *who, const Json *fields, const char *comment, Ticket *ret, char **ret_message);
int engine_retry(Engine *e, uint32_t run, const char *activity, const Actor *who, const RetryRequest *q, Ticket *ret, char **ret_message);
int engine_ignore(Engine *e, uint32_t run, const char *activity, const Actor *who, const Json *outputs, const char *comment, Ticket *ret, char **ret_message);
int engine_abort(Engine *e, uint32_t run, const char *activity, const Actor *who, const char *comment, Ticket *ret, char **ret_message);
int engine_set_inputs(Engine *e, uint32_t run, const Actor *who, const Json *inputs, const char *comment, Ticket *ret, char **ret_message);
int engine_pause(Engine *e, uint32_t run, const Actor *who, const char *comment, Ticket *ret, char **ret_message);
int engine_resume(Engine *e, uint32_t run, const Actor *who, const char *comment, Ticket *ret, char **ret_message);
int engine_start_now(Engine *e, uint32_t run, const Actor *who, const char *comment, Ticket *ret, char **ret_message);
int engine_reschedule(Engine *e, uint32_t run, const Actor *who, usec_t at, const char *comment, Ticket *ret, char **ret_message);
int engine_replay(Engine *e, uint32_t run, const Actor *who, const ReplayRequest *q, uint32_t *ret_run, Ticket *ret, char **ret_message);
int engine_rerun(Engine *e, uint32_t run, const Actor *who, const RerunRequest *q, uint32_t *ret_run, Ticket *ret, char **ret_message);

/* Reads. A run that is in memory, or folded from the store into a small cache: valid until control returns to the event loop. VERDICT_NO_SUCH_RUN, negative errno. */
int engine_get_run(Engine *e, uint32_t id, Run **ret);
bool engine_run_is_live(Engine *e, uint32_t id);
bool engine_iterate_live(Engine *e, size_t *i, Run **ret);      /* *i starts at 0 */
/* How long a run that has ended can be replayed: RetryWindowSec after the first of the runs that it replays was made. USEC_INFINITY: for ever. */
int engine_replay_until(Engine *e, const Run *original, usec_t *ret);
int engine_list_runs(Engine *e, const RunFilter *f, RunVisitor visit, void *userdata);
int engine_history(Engine *e, uint32_t run, uint32_t from, uint32_t max, EventVisitor visit, void *userdata);
/* Path and range of a step's log in its attempt's file: *ret_end UINT64_MAX while it runs. step -1: the whole attempt. attempt 0: the newest. */
int engine_log_location(Engine *e, uint32_t run, const char *activity, uint32_t attempt, int step, char **ret_path, uint64_t *ret_start, uint64_t *ret_end, bool *ret_running);
void engine_release_memory(Engine *e);                  /* what is kept for the next change or question */
void engine_counts(Engine *e, uint32_t *ret_active, uint32_t *ret_on_hold, uint32_t *ret_dead_letter);
