/* A run: what its events have made of it. All changes go through run_apply, which folds one event into it: pure, total, no clock, no
 * file, no bus. run_decide looks at the state and says what happens next. The same fold over the stored events rebuilds the run after a crash. */
#pragma once

#include "event.h"
#include "list.h"
#include "prioq.h"

typedef struct Run Run;
typedef struct Activity Activity;

/* What an attempt has been told to stop for. Ordered: a later one overrules an earlier. */
typedef enum StopReason { STOP_NOTHING, STOP_INTERRUPTED, STOP_TIMEOUT, STOP_RUN_TIMEOUT, STOP_CANCEL, STOP_CANCEL_HOOKS } StopReason;

typedef enum DeadlineKind {
        DEADLINE_STEP, DEADLINE_ATTEMPT, DEADLINE_REQUEST, DEADLINE_BACKOFF,
        DEADLINE_RUN, DEADLINE_RUN_RETRY, DEADLINE_RUN_START,
} DeadlineKind;
/* Step and attempt timeouts count on CLOCK_MONOTONIC, what waits (backoffs, requests, the run) on CLOCK_BOOTTIME, and a start at a date and time is
 * a date on CLOCK_REALTIME, however often that is set; one heap each. */
typedef enum DeadlineClock { CLOCK_OF_STEPS, CLOCK_OF_WAITS, CLOCK_OF_DATES, _DEADLINE_CLOCK_MAX } DeadlineClock;


typedef struct Deadline {
        usec_t when;                                    /* on its clock; USEC_INFINITY: not armed */
        size_t position;                                /* in the run's heap */
        DeadlineKind kind;
        Activity *activity;                             /* NULL: the run's */
} Deadline;

typedef struct StepRun {
        StepState state;
        int exit_code;                                  /* -1: none */
        bool rerun;                                     /* a hook step that was interrupted once */
        unsigned iterations;                            /* of a gate: how often it has sent the attempt back */
        bool reused;                                    /* resume: step; it had succeeded in an earlier attempt and did not run again */
        usec_t started_at, finished_at;
        uint64_t log_start, log_end;
        Json *outputs, *error;
} StepRun;

typedef struct Attempt {
        const ActivityDef *def;                         /* what ran; the activity's own may have been changed since */
        uint32_t number;
        Cause cause;
        AttemptState state;
        usec_t started_at, finished_at;
        Json *error;                                    /* the deciding one */
        StepRun *steps;                                 /* n_steps of the activity, all lists; shown are those of lists that were entered */
        unsigned cursor;                                /* the step after the last one that ended */
        Json *context;                                  /* of the last gate that sent it back */
        StopReason stop;                                /* what its pre and main steps were told to stop for */
        bool pre_failed, failed;                        /* an untolerated step of pre; of pre or main */
        bool clean;                                     /* interrupted by a clean stop */
        bool step_timed_out;                            /* the running step was told to stop for its timeout */
        uint8_t hooks_timed_out;                        /* bits 1 << StepList */
        StepList hook_list;                             /* the hook list that is running, LIST_MAIN: none */
        Stamp step_started;                             /* of the running step */
        usec_t hooks_used;                              /* of HookTimeoutSec by the steps of the running hook list that are over */
        usec_t used;                                    /* of the activity's timeout, up to the last hold */
        Stamp clock_since;                              /* since when that clock runs; wall 0: it stands (on hold) */
} Attempt;

/* One person's answer. */
typedef struct Answer {
        uint32_t uid;
        char *user;
        bool approve;
        char *comment;
        Json *fields;
} Answer;

typedef struct Request {
        WaitingFor kind;
        char *title, *message, *context;
        unsigned required;
        Json *wanted;                                   /* input without a step: names of the run's inputs that have no value */
        Answer *answers;
        size_t n_answers, n_answers_allocated;
        usec_t opened_at, deadline;                     /* wall; 0: never */
} Request;

struct Activity {
        const ActivityDef *def;
        Run *run;
        ActivityState state;
        char *reason;                                   /* why skipped, failed, cancelled */
        Attempt *attempts;
        size_t n_attempts, n_attempts_allocated;
        size_t n_earlier;                               /* of those, how many belong to earlier tries of the whole run */
        unsigned series_retries;                        /* automatic retries used in this series */
        unsigned resumes;                               /* after a death, counted to MaxResumes */
        usec_t next_retry_at;                           /* wall; 0 */
        Request *request;                               /* open, or NULL */
        Request *answered;                              /* by as many as it takes, to be carried out; the activity is running until then */
        uint64_t log_end;                               /* of the running attempt: where its next step's log starts */
        Stamp wait_from;                                /* of the backoff or the request */
        usec_t wait_span;                               /* 0: none */
        Json *outputs;
        Json *error;                                    /* of a failure without an attempt, or of a decision that nobody took in time */
        uint32_t reused_from;                           /* the run it was carried over from; 0: none */
        Json *reused_steps;                             /* resume: step in a replay: {ID: outputs} of those that had succeeded there … */
        const ActivityDef *reused_def;                  /* … and said what they say here */
        Resolution resolution;                          /* of a held failure, to be carried out; the activity is pending until then */
        Json *given_outputs;                            /* with the decision to ignore */
        bool aborted;                                   /* a person did, or nobody decided in time */
        bool tolerated;                                 /* failed, but continue */
        bool given_up;                                  /* by the engine */
        bool condition_holds;                           /* its `if` was true: evaluated once in each attempt of the run */
        StopReason stopping;                            /* its running step has been told to stop, for this (not stored) */
        bool ready, dirty;                              /* in the run's queues */
        Deadline step_deadline, attempt_deadline, wait_deadline; /* wait: backoff or request */
        LIST_FIELDS(Activity, ready);
        LIST_FIELDS(Activity, dirty);
        void *job;                                      /* the engine's: what executes its running step */
};

typedef struct Phase {
        const PhaseDef *def;
        Run *run;
        PhaseState state;                               /* never on-hold: that is derived, phase_shown_state() */
        char *reason;
        bool not_selected;                              /* the run is one of some phases only */
        usec_t started_at, finished_at;
        GraphState graph;                               /* of its activities */
        unsigned n_moving, n_waiting, n_ended;          /* activities that move, that wait for a person, that have ended */
        unsigned n_ready;                               /* pending ones that wait for a slot */
        unsigned n_bad, n_skipped, n_cancelled;         /* failed for good and not tolerated; … */
        bool dirty;
        LIST_FIELDS(struct Phase, dirty);
} Phase;

struct Run {
        uint32_t id;
        Runbook *runbook;                               /* the definition that it follows now: the last of these */
        Runbook **definitions;                          /* all it has had, in order; references. The first is what its events begin with */
        size_t n_definitions, n_definitions_allocated;
        RunState state;
        Json *inputs, *labels;
        Json *payload;                                  /* trigger.payload; NULL: none */
        char *trigger, *dedup_key;
        uint32_t started_by;                            /* uid */
        char *started_by_name;
        Login *started_from;                            /* NULL: not known */
        uint32_t replay_of, root_run, attempt;
        usec_t created_at, started_at, finished_at, scheduled_for, next_retry_at;
        uint32_t workspace_from;                        /* its workspace begins as a copy of this run's; 0: empty */
        bool workspace_wanted;                          /* the copy isn't made yet: the run waits for it */
        uint32_t last_seq;
        char *reason;                                   /* of the end */
        Phase *phases;
        Activity **activities;                          /* in the order of the definition; an Activity stays where it is while the run lives */
        void **slabs;                                   /* what they live in */
        size_t n_slabs, n_slabs_allocated;
        GraphState graph;                               /* of its phases */
        unsigned n_moving, n_waiting;                   /* activities, in all */
        unsigned n_phases_ended;
        unsigned counts[_ACTIVITY_STATE_MAX];           /* activities by state, for progress */
        bool had_errors;
        StopReason stop;                                /* run-wide: cancel or run timeout */
        bool gave_up;                                   /* the engine did: dlq */
        bool phase_failed;                              /* a critical phase did */
        bool aborted;                                   /* a person aborted a held failure: the run is not tried again */
        Activity *deciding;                             /* of the deciding failure */
        usec_t timeout_used;                            /* of the run's timeout, up to the last hold */
        Stamp timeout_since;                            /* wall 0: that clock stands */
        RunState paused_from;                           /* what it goes back to from `paused` */
        Stamp paused_at;
        Stamp pause_since;                              /* the same, on the clocks of this boot (not stored) */
        Stamp retry_from;                               /* of the wait before the next try of the whole run */
        usec_t retry_span;                              /* 0: none */
        Deadline deadline, retry_deadline, start_deadline;
        Prioq deadlines[_DEADLINE_CLOCK_MAX];
        QUEUE_HEAD(Activity) ready;                     /* their next step is a process and waits for a slot */
        QUEUE_HEAD(Activity) dirty;                     /* something about them changed; run_decide looks at them */
        QUEUE_HEAD(Phase) dirty_phases;
        bool start_wanted;                              /* created or to be tried again, not started yet */
        void *userdata;                                 /* the engine's */
};

int run_new(uint32_t id, Runbook *runbook, Run **ret);  /* takes a reference; before its first event */
Run *run_free(Run *r);
DEFINE_CLEANUP(Run *, run_free)
Activity *run_activity(const Run *r, const char *name); /* NULL: none of that name */
static inline Attempt *activity_attempt(const Activity *a) {
        return a->n_attempts ? &a->attempts[a->n_attempts - 1] : NULL;
}
/* The newest attempt in this try of the run; NULL: there is none. */
static inline Attempt *activity_current_attempt(const Activity *a) {
        return a->n_attempts > a->n_earlier ? activity_attempt(a) : NULL;
}
PhaseState phase_shown_state(const Phase *p);           /* on-hold where at least one activity waits for a person and none moves */
const Json *activity_error(const Activity *a);          /* of its last attempt, or its own; NULL: none */
bool run_attempts_exhausted(const Activity *a);         /* its policy allowed more than one attempt and all were used */
WaitingFor activity_waiting_for(const Activity *a);     /* WAITING_NOTHING where it does not wait for a person */
int activity_running_step(const Activity *a);           /* index of the step that is running or waiting, -1: none */

/* Folds one event. -EBADMSG: the event is not possible in this state (a damaged store; nothing is changed); -ENOMEM: the run must be dropped and folded again. */
int run_apply(Run *r, Event *e);

/* ---- deciding ---- */

typedef enum EffectType {
        EFFECT_START_STEP,              /* a process: prepare before the commit, launch after it */
        EFFECT_STOP_STEP,               /* a running process must end; again: without grace */
        EFFECT_REQUEST,                 /* a request was opened (step -1: for a decision): tell people */
        EFFECT_REQUEST_RESOLVED,        /* how: reason */
        EFFECT_FINISHED,                /* the run ended */
} EffectType;

typedef struct Effect {
        EffectType type;
        Activity *activity;
        int step;
        Event *event;                                   /* START_STEP: its step-started event, to which the engine adds the identity. Borrowed */
        const char *how;                                /* REQUEST_RESOLVED: approved rejected provided retried ignored aborted timeout cancelled */
        uint32_t uid;
        char **argv, **env, *working_directory;         /* START_STEP, resolved; owned */
        bool again;                                     /* STOP_STEP */
} Effect;

/* Out-parameter of run_decide and of all verbs: grows; owned by the caller, who stores the events (already applied) and then acts. */
typedef struct Outcome {
        Event **events;
        size_t n_events, n_events_allocated;
        Effect *effects;
        size_t n_effects, n_effects_allocated;
} Outcome;
void outcome_clear(Outcome *o);                         /* frees contents, keeps the arrays */
void outcome_done(Outcome *o);

typedef struct Limits {
        unsigned max_resumes;                           /* MaxResumes */
        usec_t hook_timeout;                            /* HookTimeoutSec, for each of onSuccess, onFailure, post */
        usec_t hold_timeout;                            /* HoldTimeoutSec, for a decision about a failure; 0, USEC_INFINITY: never */
        char *(*log_tail)(void *userdata, const Activity *a, const Attempt *t, uint64_t start, uint64_t end); /* for failure.log: a new string, or NULL; may be NULL */
        uint64_t (*log_size)(void *userdata, const Activity *a, const Attempt *t); /* how far the attempt's log goes now, for a step whose end nobody saw; may be NULL */
        void *userdata;
} Limits;

/* Brings the run as far as it can go: expired deadlines, ended steps, what is ready. Starts at most *slots processes and lowers *slots by those it started; what is
 * left waits in r->ready. Call after every event and at run_next_deadline. 0 or -ENOMEM. */
int run_decide(Run *r, const Stamp *now, const Limits *limits, unsigned *slots, Outcome *o);
usec_t run_next_deadline(const Run *r, DeadlineClock clock); /* USEC_INFINITY: none */

/* ---- facts and verbs: each appends its events to o (applied); run_decide must follow ---- */

typedef struct Actor {
        uint32_t uid;
        const char *user;
        const Login *login;                             /* NULL: not known */
        bool override;                                  /* answers although not asked, by a right of its own: kept in the history */
        usec_t opened_at;                               /* of the request that was looked at before it is answered; 0: whichever is open */
} Actor;

/* An activity of a new run that another run did already. */
typedef struct Carried {
        unsigned activity;                              /* index in the new run's definition */
        ActivityState state;                            /* success or ignored; skipped: not selected, only its outputs count; pending: only its steps do */
        uint32_t run;                                   /* which did it; that it had carried over itself keeps its number */
        Json *outputs;                                  /* owned; or NULL */
        Json *steps;                                    /* owned; state pending: {ID: outputs} of the main steps that `resume: step` skips */
} Carried;

typedef struct RunOptions {
        Json *inputs;                                   /* checked */
        Json *labels;
        const char *trigger;                            /* "manual", "failure", "replay", "rerun" */
        Json *payload;                                  /* trigger.payload, or NULL */
        const char *dedup_key;
        const char *comment;                            /* of the one who starts it, or NULL: the event's reason */
        usec_t scheduled_for;                           /* wall clock; 0: now */
        char **only;                                    /* names of the selected phases, or NULL: all */
        uint32_t replay_of, root_run;                   /* 0: of none, itself */
        uint32_t workspace_from;                        /* 0: an empty workspace */
        const Carried *carried;
        size_t n_carried;
} RunOptions;
int run_create(Run *r, const Stamp *now, const Actor *who, const RunOptions *options, Outcome *o);
/* The copy of the other run's workspace is made; error: why it can't be made, and the run ends in dlq. */
int run_workspace_ready(Run *r, const Stamp *now, const char *error, Outcome *o);

typedef struct StepEnd {
        StepState state;                                /* success, failed or cancelled */
        int exit_code;                                  /* -1: none */
        uint64_t log_end;
        Json *error, *outputs;                          /* borrowed */
        bool interrupted, clean;
} StepEnd;
/* The running step of the activity is over. The reason that it was told to stop for (timeout, cancel) overrules what the end says. */
int run_step_ended(Run *r, Activity *a, const Stamp *now, const StepEnd *end, Outcome *o);

/* The engine can't go on with this activity (it can't start processes, it was interrupted too often): it fails, the rest finishes as under `fail`, the run ends dlq. */
int run_give_up(Run *r, Activity *a, const Stamp *now, const char *reason, Outcome *o);

/* Verbs of people. Each checks all before it appends anything. -ESTALE: WrongState (always with a sentence in *ret_error, like all that follow);
 * -EALREADY: AlreadyAnswered; -EPERM: NotApprover (allowStarter: false); -EINVAL: InvalidInput; -EEXIST: AlreadySucceeded; -EROFS: InputFixed;
 * -EPROTO: DefinitionChanged. 0 without an event: there was nothing to change. */
int run_cancel(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error); /* also takes a dlq run to cancelled */
int run_answer(Run *r, Activity *a, const Stamp *now, const Actor *who, bool approve, Json *fields, const char *comment, Outcome *o, char **ret_error);
/* The fields that an input request asks for, or values of inputs without which the activity can't begin. */
int run_provide(Run *r, Activity *a, const Stamp *now, const Actor *who, Json *fields, const char *comment, Outcome *o, char **ret_error);
/* What those two would say to him about who he is and what has been answered: 0, or their refusal. Also for what isn't the run's business,
 * as decisions. */
int activity_check_answer(const Activity *a, const Actor *who, char **ret_error);
/* Decisions on a held failure. definition: the runbook as it was read again, or NULL; it must keep what has already run. The caller has stored
 * every earlier event of the run before it gives one, because activities get other numbers. */
int run_retry(Run *r, Activity *a, const Stamp *now, const Actor *who, Runbook *definition, const Json *inputs, const char *comment, Outcome *o, char **ret_error);
int run_ignore(Run *r, Activity *a, const Stamp *now, const Actor *who, Json *outputs, const char *comment, Outcome *o, char **ret_error);
int run_abort(Run *r, Activity *a, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error);
int run_set_inputs(Run *r, const Stamp *now, const Actor *who, const Json *inputs, const char *comment, Outcome *o, char **ret_error);
int run_pause(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error);
int run_unpause(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error);
int run_start_now(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error);
int run_reschedule(Run *r, const Stamp *now, const Actor *who, usec_t at, const char *comment, Outcome *o, char **ret_error);
bool activity_was_answered(const Activity *a) _pure_;   /* was a request of the newest attempt answered, or did its time run out? */

/* After a fold from the store: arms the deadlines on the clocks of this boot and marks all that may move, for run_decide. For a run whose steps still run (a commit failed). */
int run_resume(Run *r, const Stamp *now, const Limits *limits);
/* The same at a start of the daemon: what was running is interrupted first, with its events. */
int run_recover(Run *r, const Stamp *now, const Limits *limits, Outcome *o);

/* ---- what people see ---- */

char *run_status_text(const Run *r);                    /* "2 activities require your input", plural-aware; new string */
unsigned run_pending_requests(const Run *r);
/* The object of `status --json` (section 11): without stdout, long outputs cut. */
int run_describe(const Run *r, Json **ret);
int activity_describe(const Activity *a, Json **ret);
int activity_describe_request(const Activity *a, Json **ret); /* {kind, title, message, context, approvers, allowStarter, required, answers, fields, openedAt, deadline, error}; -ENOENT: none open */
int run_describe_attempts(const Run *r, Json **ret);    /* for trigger.payload: an array of {activity, phase, state, attempts: […]} of all that ran */
