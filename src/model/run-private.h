/* Shared by the files of the run's state machine: run.c run-apply.c run-decide.c run-attempt.c run-deadline.c run-scope.c run-verbs.c run-describe.c. */
#pragma once

#include "run.h"

/* run.c */
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
usec_t stamp_elapsed(const Stamp *from, const Stamp *to); /* on the boot clock where both are of one boot */
usec_t stamp_elapsed_awake(const Stamp *from, const Stamp *to); /* without the time that the machine slept, where that is known: not from stored stamps */

static inline StepList activity_step_list(const Activity *a, int step) {
        return a->def->steps[step].list;
}
static inline bool step_list_is_main(StepList l) {
        return l == LIST_PRE || l == LIST_MAIN;
}
static inline bool step_kind_is_process(StepKind k) {
        return k == STEP_SHELL || k == STEP_EXEC;
}
/* Was this list of hooks cut: by its time, by a second cancel, or because the engine gave up? */
static inline bool hooks_are_cut(const Activity *a, const Attempt *t, StepList l) {
        return a->given_up || a->run->stop >= STOP_CANCEL_HOOKS || t->hooks_timed_out & (1u << l);
}

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
int request_ended(const Decision *d, Activity *a, StepState state, Json *error, Json *outputs, const char *how, uint32_t uid);
int request_decide(const Decision *d, Activity *a);     /* enough answers? */

/* run-scope.c */
int condition_holds(Run *r, const Phase *p, Activity *a, int step, const Expr *e, const Limits *limits, bool *ret, char **ret_error);
/* argv, env and working directory of a process step. -EINVAL: EXPRESSION, with the message. */
int resolve_command(Activity *a, int step, const Limits *limits, char ***ret_argv, char ***ret_env, char **ret_directory, char **ret_error);
/* The members of a request-opened event. */
int resolve_request(Activity *a, int step, const Limits *limits, Json **ret, char **ret_error);
