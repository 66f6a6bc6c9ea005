/* Shared by the files of the run's state machine: run.c run-apply.c run-apply-run.c run-decide.c run-attempt.c run-gate.c run-inputs.c run-request.c run-deadline.c run-scope.c
 * run-verbs.c run-fix.c run-describe.c. */
#pragma once

#include "run.h"

/* run.c */
int activities_new(Run *r, size_t n, Activity **ret);  /* in a slab of the run's */
void activity_done(Activity *a);
int run_take_definition(Run *r, Runbook *runbook);      /* takes a reference of its own */
void activity_close_request(Activity *a);
void activity_mark(Activity *a);                        /* run_decide will look at it */
void phase_mark(Phase *p);
void run_mark_all(Run *r);
Activity *run_next_marked_activity(Run *r);
Phase *run_next_marked_phase(Run *r);
void activity_set_ready(Activity *a, bool ready);
Phase *activity_phase(const Activity *a);
Event *outcome_event(Outcome *o, Run *r, EventType type, const Stamp *now);     /* of the engine; not applied yet */
Event *outcome_event_by(Outcome *o, Run *r, EventType type, const Stamp *now, const Actor *who);
int outcome_apply(Outcome *o, Run *r, Event *e);        /* applies, appends; takes the event, also on failure */
Effect *outcome_effect(Outcome *o, EffectType type, Activity *a, int step);
int outcome_resolved(Outcome *o, Activity *a, const char *how, uint32_t uid); /* its request is over; `how` is borrowed for good */
usec_t stamp_elapsed(const Stamp *from, const Stamp *to); /* on the boot clock where both are of one boot */
usec_t stamp_elapsed_awake(const Stamp *from, const Stamp *to); /* without the time that the machine slept, where that is known: not from stored stamps */

static inline StepList activity_step_list(const Activity *a, int step) {
        return a->def->steps[step].list;
}
static inline bool step_list_is_main(StepList l) {
        return l == LIST_PRE || l == LIST_MAIN;
}
static inline bool step_state_waits(StepState s) {
        return s == STEP_WAITING_APPROVAL || s == STEP_WAITING_INPUT;
}
/* Its step asks people: they have not answered, or have, and it is not carried out yet. */
static inline bool activity_asks(const Activity *a) {
        int step = activity_running_step(a);

        return step >= 0 && step_state_waits(activity_attempt(a)->steps[step].state);
}
static inline bool step_kind_is_process(StepKind k) {
        return k == STEP_SHELL || k == STEP_EXEC;
}
/* Was this list of hooks cut: by its time, by a second cancel, or because the engine gave up? */
static inline bool hooks_are_cut(const Activity *a, const Attempt *t, StepList l) {
        return a->given_up || a->run->stop >= STOP_CANCEL_HOOKS || t->hooks_timed_out & (1u << l);
}

/* run-apply.c */
Activity *event_activity(Run *r, const Event *e);       /* NULL: the event names none */
int replace_string(char **p, const char *s);
void replace_json(Json **p, Json *j);                   /* takes a reference of its own */
bool activity_breaks_chain(const Activity *a);          /* it failed for good, or something that it needs did */
bool phase_breaks_chain(const Phase *p);
void run_recount(Run *r);                               /* all counters of the run and its phases, from the states */
bool request_wants(const Request *q, const Run *r);     /* is one of the inputs that it asks for still without a value? */
void activity_release(Activity *a);                     /* it has what it waited for, and begins as it would have */
void attempt_clock_stop(Attempt *t, const Stamp *at);

/* run-apply-run.c */
int apply_run_created(Run *r, Event *e);
int apply_run_workspace(Run *r, Event *e);
int apply_run_start_now(Run *r, Event *e);
int apply_run_rescheduled(Run *r, Event *e);
int apply_run_started(Run *r, Event *e);
int apply_run_state(Run *r, Event *e);
int apply_run_paused(Run *r, Event *e);
int apply_run_resumed(Run *r, Event *e);
int apply_run_backoff(Run *r, Event *e);
int apply_run_cancel(Run *r, Event *e);
int apply_run_timed_out(Run *r, Event *e);
int apply_run_gave_up(Run *r, Event *e);
int apply_run_finished(Run *r, Event *e);
int apply_inputs_changed(Run *r, Event *e);
int apply_definition_changed(Run *r, Event *e);

/* run-deadline.c */
int activity_arm(Activity *a, const Stamp *now, const Limits *limits);
bool activity_wait_is_over(const Activity *a, const Stamp *now);        /* a backoff's */
/* Has the activity's timeout, or that of its list of hooks, passed when this step would begin? */
bool step_comes_too_late(const Activity *a, int step, const Stamp *now, const Limits *limits);
int run_arm(Run *r, const Stamp *now);

/* run-attempt.c */
typedef struct Decision {
        Run *run;
        const Stamp *now;
        const Limits *limits;
        unsigned *slots;
        Activity *granted;                              /* taken from the head of the ready queue: it has the next slot */
        Outcome *outcome;
} Decision;
int decide_activity(const Decision *d, Activity *a);
/* The step that comes next in the running attempt, or -1: the attempt is over. */
int attempt_next_step(const Activity *a, const Attempt *t);
/* All pre and main steps are over, or will not start any more. */
bool attempt_main_is_over(const Activity *a, const Attempt *t);
/* The error of a step that had to stop: its attempt, its list, or the step itself had to, for this. NULL: out of memory. */
Json *stop_error(const Activity *a, int step, StopReason why, usec_t at);
int decide_deadline(const Decision *d, Deadline *x);
int finish_activity(const Decision *d, Activity *a, ActivityState state, Json *error, const char *reason); /* takes nothing */
Event *activity_event(const Decision *d, Activity *a, EventType type, int step); /* about its newest attempt; not applied yet */
int decision_apply(const Decision *d, Event *e);        /* takes the event; NULL: -ENOMEM */
int step_over(const Decision *d, Activity *a, int step, StepState state, Json *error, Json *outputs, bool started);
int expression_failed(const Decision *d, Activity *a, int step, const char *message); /* a step's can't be carried out: it fails without having started */
StopReason step_stop(const Activity *a, int step);      /* does something want the running step to stop? */
const char *stop_text(const Run *r);

/* run-inputs.c */
bool input_is_missing(const Run *r, const char *name);
/* All inputs as they would be, not checked yet: those of the run that rb still declares, with the given ones in their place. */
int run_merge_inputs(const Run *r, const Runbook *rb, const Json *given, Json **ret);
/* The first of the given ones that is fixed, by rb or by any definition that the run has had, and would get another value; borrowed. */
const char *run_changes_fixed_input(const Run *r, const Runbook *rb, const Json *given, const Json *checked);

/* run-reuse.c */
typedef struct DoneSteps {
        const ActivityDef *def;                         /* under which they were done */
        const Attempt *attempt;                         /* in which; NULL: in another run */
        const Json *carried;
        unsigned begin, end, next;
} DoneSteps;
/* The main steps of this attempt (NULL: of what the activity was given from another run) that had succeeded before the first that had not. */
DoneSteps done_steps(const Activity *a, const Attempt *t);
int done_steps_find(DoneSteps *s, const StepDef *d);    /* the one that said what d says, by its index in s->def; -1: d has to run */
Json *done_steps_outputs(const DoneSteps *s, int i);    /* borrowed */

/* run-gate.c */
int pass_gate(const Decision *d, Activity *a, int step);

/* run-request.c */
/* 1: it waits for a person now; 0: all have values. */
int want_inputs(const Decision *d, Activity *a, const InputSet *set);
int advance_waiting(const Decision *d, Activity *a);    /* 1: look again; 0: it still waits, or has ended */
int request_expired(const Decision *d, Activity *a);
int end_held(const Decision *d, Activity *a, ActivityState state, const char *reason); /* what waits without a step has its end with the run or its phase */
int hold_activity(const Decision *d, Activity *a, Json *error);
int activity_fails(const Decision *d, Activity *a, Json *error); /* for good, unless it is held; error: of a failure without an attempt */
int carry_out(const Decision *d, Activity *a);          /* what a person decided, but for a retry */

/* run-verbs.c */
int check_same_request(const Activity *a, const Actor *who, char **ret_error); /* -ESTALE: he has read one that is over */
#define GIVEN_OUTPUTS_MAX (256u * 1024u)                /* compact JSON of the outputs that a person gives, by ignore or in fields: as of a step */
int verb_refuse(char **ret_error, int r, const char *fmt, ...) _printf_(3, 4); /* r, with a sentence */
int event_set_comment(Event *e, const char *comment);
int verb_event(Run *r, const Stamp *now, const Actor *who, EventType type, usec_t until, const char *comment, Outcome *o);

/* run-fix.c */
int provide_wanted(Run *r, Activity *a, const Stamp *now, const Actor *who, const Json *given, const char *comment, Outcome *o, char **ret_error);

/* run-scope.c */
int condition_holds(Run *r, const Phase *p, Activity *a, int step, const Expr *e, const Limits *limits, bool *ret, char **ret_error);
/* argv, env and working directory of a process step. -EINVAL: EXPRESSION, with the message. */
int resolve_command(Activity *a, int step, const Limits *limits, char ***ret_argv, char ***ret_env, char **ret_directory, char **ret_error);
/* The value of a gate's decision, as text, and of a route's context (NULL where there is none). -EINVAL: EXPRESSION, with the message. */
int resolve_decision(Activity *a, int step, const Limits *limits, char **ret, char **ret_error);
int resolve_context(Activity *a, int step, const GateRoute *route, const Limits *limits, Json **ret, char **ret_error);
/* The members of a request-opened event. */
int resolve_request(Activity *a, int step, const Limits *limits, Json **ret, char **ret_error);
