/* Events: what happened to a run, in order. A run is the fold of its events (run_apply). One flat struct serves all types; the codec's table
 * (event.c) says which fields a type has and how they stand in the stored JSON, which is also what people see as `data` in the history. */
#pragma once

#include "login.h"
#include "runbook.h"

#define UID_ENGINE UINT32_MAX                           /* the engine itself did it */
#define EVENT_COMMENT_MAX 4096u
#define EVENT_REASON_MAX 4096u
#define REQUEST_TEXT_MAX (64u * 1024u)                  /* title, message and context of a request, each */

typedef enum EventType {
        EVENT_RUN_CREATED,              /* inputs, labels, trigger, who; until: when it is scheduled for */
        EVENT_RUN_WORKSPACE,            /* its workspace is a copy of another run's now; error: it could not be made */
        EVENT_RUN_START_NOW,            /* someone did not want to wait for the time it is scheduled for, or for its next try */
        EVENT_RUN_RESCHEDULED,          /* until */
        EVENT_RUN_STARTED,              /* attempt: of the run, from 1 */
        EVENT_RUN_STATE,                /* running <-> on-hold, derived and recorded for lists and clocks */
        EVENT_RUN_PAUSED,               /* by a person */
        EVENT_RUN_RESUMED,
        EVENT_RUN_BACKOFF,              /* it failed and will start all its phases again; until */
        EVENT_RUN_CANCEL,               /* someone asked; a second one stops the hooks too */
        EVENT_RUN_TIMED_OUT,            /* the run's timeout passed */
        EVENT_RUN_GAVE_UP,              /* the engine can't go on with an activity: the run will end in dlq */
        EVENT_RUN_FINISHED,             /* run_state, reason */
        EVENT_INPUTS_CHANGED,           /* data: {changes: {NAME: {old, new}}} */
        EVENT_DEFINITION_CHANGED,       /* data: {definition, previous}, hashes; and `runbook`, which who reads it back has to find */
        EVENT_PHASE_STARTED,
        EVENT_PHASE_FINISHED,           /* phase_state, reason */
        EVENT_ATTEMPT_STARTED,          /* cause */
        EVENT_ATTEMPT_TIMED_OUT,        /* the activity's timeout passed; its step is being stopped */
        EVENT_ATTEMPT_FINISHED,         /* attempt_state, error */
        EVENT_HOOK_TIMED_OUT,           /* HookTimeoutSec passed for the list that runs: its step is being stopped, the rest of it skipped */
        EVENT_STEP_STARTED,             /* identity of the process */
        EVENT_STEP_TIMED_OUT,           /* its timeout passed; it is being stopped */
        EVENT_STEP_FINISHED,            /* step_state, exit code, error, outputs, log end */
        EVENT_REQUEST_OPENED,           /* title, message, approvers, fields, deadline */
        EVENT_REQUEST_ANSWERED,         /* one person's answer; the step ends when enough have */
        EVENT_ACTIVITY_REUSED,          /* before the start: taken over from another run; activity_state, outputs, data: {run, steps?} */
        EVENT_ACTIVITY_BACKOFF,         /* until */
        EVENT_INPUTS_WANTED,            /* the activity can't begin without values of inputs; data: {inputs: [NAME …]} */
        EVENT_ACTIVITY_HELD,            /* it failed or was interrupted, and a person has to decide; until, error */
        EVENT_ACTIVITY_DECIDED,         /* data: {action: retry|ignore|abort}, outputs, reason */
        EVENT_ACTIVITY_FINISHED,        /* activity_state, reason, error */
        _EVENT_TYPE_MAX, _EVENT_TYPE_INVALID = -EINVAL,
} EventType;
DECLARE_NAME_TABLE(EventType, event_type);              /* "run-created" … */

/* When: wall clock for people; boot time (with the boot's number in the store) for spans, so that a clock change doesn't stretch them; monotonic for
 * timeouts of what runs now. Events read from the store have mono = 0. */
typedef struct Stamp {
        usec_t wall, boottime, mono;
        uint32_t boot;
} Stamp;

typedef struct Event {
        EventType type;
        uint32_t seq;                                   /* given by run_apply: the run's next */
        Stamp at;
        uint32_t uid;                                   /* who; UID_ENGINE */
        char *user;                                     /* the user's name when it was written; NULL for the engine */
        Login *login;                                   /* where from; NULL: not known */
        int phase;                                      /* index, -1: none */
        int activity;                                   /* index, -1: none */
        uint32_t attempt;                               /* 0: none */
        int step;                                       /* index in the activity's steps, -1: none */
        RunState run_state;
        PhaseState phase_state;
        ActivityState activity_state;
        AttemptState attempt_state;
        StepState step_state;
        Cause cause;
        bool interrupted;                               /* step: the daemon died or stopped under it */
        bool clean;                                     /* … by a clean stop, which doesn't count towards MaxResumes */
        bool started;                                   /* step finished without having started (skipped, or it could not be prepared): false */
        int exit_code;                                  /* -1: none */
        uint64_t log_end;
        usec_t until;                                   /* wall clock: end of a backoff, deadline of a request; 0: none */
        usec_t span;                                    /* the same as a span from `at`, for boot-time measuring; 0: none */
        char *reason;                                   /* for people, translated in the daemon's language; codes are in error */
        Json *error;                                    /* {message, code, timestamp, stack?, details?} */
        Json *outputs;
        Json *data;                                     /* what only this type has: inputs, request, answer, identity */
        Runbook *runbook;                               /* definition-changed: the new one, a reference; not stored, only its hash is */
} Event;

Event *event_new(EventType type, const Stamp *at, uint32_t uid, const char *user); /* NULL: out of memory */
Event *event_free(Event *e);
DEFINE_CLEANUP(Event *, event_free)

/* Codec. encode: the `data` column (compact JSON object; NULL where there is nothing). decode: names are resolved in the runbook; -EBADMSG: not a possible event. */
int event_encode(const Event *e, char **ret);
typedef struct EventText {                              /* a row of the store, borrowed */
        uint32_t seq;
        Stamp at;
        uint32_t uid;
        const char *user, *type, *subject;              /* subject: activity, or phase for phase-* */
        uint32_t attempt;
        const char *step, *data;
} EventText;
int event_decode(const EventText *row, const Runbook *runbook, Event **ret);
const char *event_subject(const Event *e, const Runbook *runbook);      /* the activity's or phase's name, or NULL */
const char *event_step_id(const Event *e, const Runbook *runbook);

/* A {message, code, timestamp} error. NULL: out of memory. */
Json *error_new(const char *code, usec_t timestamp, const char *fmt, ...) _printf_(3, 4);
const char *error_code(const Json *error);              /* "" where there is none */
