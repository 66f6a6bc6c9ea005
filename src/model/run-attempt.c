/* What an activity does next: its attempts, their lists of steps and its retries (section 5 of the contract, rules 2–5, 8, 11, 12). What
 * it asks people is in run-request.c.
 *
 * decide_activity looks at one activity and appends the events that follow from its state until it has to wait: for a process, a person,
 * a time or a slot. The order of an attempt is pre → main → onSuccess|onFailure → post; attempt_next_step is the one place that knows
 * which step of these comes next. */
#include "run-private.h"

#include <stdio.h>

#include "i18n.h"

Event *activity_event(const Decision *d, Activity *a, EventType type, int step) {
        Event *e = outcome_event(d->outcome, a->run, type, d->now);
        const Attempt *t = activity_attempt(a);

        if (!e)
                return NULL;
        e->activity = (int) a->def->index;
        e->attempt = t ? t->number : 0;
        e->step = step;
        return e;
}

int decision_apply(const Decision *d, Event *e) {
        return e ? outcome_apply(d->outcome, d->run, e) : -ENOMEM;
}

int finish_activity(const Decision *d, Activity *a, ActivityState state, Json *error, const char *reason) {
        Event *e = activity_event(d, a, EVENT_ACTIVITY_FINISHED, -1);

        if (!e)
                return -ENOMEM;
        e->activity_state = state;
        e->error = json_ref(error);
        if (reason && !(e->reason = strdup(reason))) {
                event_free(e);
                return -ENOMEM;
        }
        return decision_apply(d, e);
}

/* ---- steps ---- */

int step_over(const Decision *d, Activity *a, int step, StepState state, Json *error, Json *outputs, bool started) {
        Event *e = activity_event(d, a, EVENT_STEP_FINISHED, step);

        if (!e)
                return -ENOMEM;
        e->step_state = state;
        e->error = json_ref(error);
        e->outputs = json_ref(outputs);
        e->started = started;
        return decision_apply(d, e);
}

/* A step whose expressions can't be carried out fails without having started. */
int expression_failed(const Decision *d, Activity *a, int step, const char *message) {
        _cleanup_json_ Json *error = error_new("EXPRESSION", d->now->wall, "%s", strempty(message));

        return error ? step_over(d, a, step, STEP_FAILED, error, NULL, false) : -ENOMEM;
}

static bool names_failure(const Expr *e) {
        return e && expr_status_used(e) & (EXPR_STATUS_FAILURE | EXPR_STATUS_ALWAYS);
}

/* Does the policy allow a retry after the failure of this attempt? */
static bool retry_is_left(const Activity *a, const Attempt *t) {
        /* The error of an attempt that was interrupted is written when it ends. */
        const char *code = t->stop == STOP_INTERRUPTED ? "INTERRUPTED" : error_code(t->error);

        return !a->given_up && !streq(code, "APPROVAL_REJECTED") && !streq(code, "APPROVAL_TIMEOUT") && !streq(code, "INPUT_TIMEOUT") &&
               retry_policy_allows(&a->def->retry, a->series_retries + 1, code);
}

static bool may_retry(const Activity *a, const Attempt *t) {
        return a->run->stop == STOP_NOTHING && retry_is_left(a, t);
}

static bool attempt_failed(const Attempt *t) {
        return t->failed || t->stop == STOP_TIMEOUT || t->stop >= STOP_RUN_TIMEOUT;
}

/* An interruption is a failure like any other where the activity says so. */
static bool fails(const Activity *a, const Attempt *t) {
        return t->stop == STOP_INTERRUPTED ? a->def->on_interrupt == INTERRUPT_FAIL : attempt_failed(t);
}

/* Does this list of hooks run in this attempt? onSuccess and onFailure belong to the deciding attempt of a series; post to every one. */
static bool list_runs(const Activity *a, const Attempt *t, StepList l) {
        if (a->given_up || (!step_list_is_main(l) && hooks_are_cut(a, t, l)))
                return false;
        switch (l) {
        case LIST_PRE:
        case LIST_MAIN:
                return t->stop == STOP_NOTHING && !t->pre_failed;
        case LIST_ON_SUCCESS:
                return !attempt_failed(t) && t->stop != STOP_INTERRUPTED;
        case LIST_ON_FAILURE:
                return fails(a, t) && !may_retry(a, t);
        case LIST_POST:
                return true;
        case _STEP_LIST_MAX:
        case _STEP_LIST_INVALID:
                break;
        }
        return false;
}

/* Steps that are passed over here need no event: they are skipped when the attempt ends. */
int attempt_next_step(const Activity *a, const Attempt *t) {
        unsigned i = t->cursor;

        while (i < a->def->n_steps) {
                const StepDef *s = &a->def->steps[i];

                if (!list_runs(a, t, s->list))
                        i = a->def->list_start[s->list + 1];
                else if (t->steps[i].reused || (s->list == LIST_MAIN && t->failed && !names_failure(s->condition)))
                        i++;
                else
                        return (int) i;
        }
        return -1;
}

bool attempt_main_is_over(const Activity *a, const Attempt *t) {
        int running = activity_running_step(a), step = running >= 0 ? running : attempt_next_step(a, t);

        return step < 0 || !step_list_is_main(activity_step_list(a, step));
}

/* A process needs a slot, and its turn: who waits longer comes first. */
static bool may_start_process(const Decision *d, Activity *a) {
        if (*d->slots > 0 && (a == d->granted || !a->run->ready.first))
                return true;
        activity_set_ready(a, true);
        return false;
}

static int start_process(const Decision *d, Activity *a, int step) {
        _cleanup_free_ char *error = NULL, *directory = NULL;
        char **argv = NULL, **env = NULL;
        Effect *f;
        Event *e;
        int r = resolve_command(a, step, d->limits, &argv, &env, &directory, &error);

        if (r == -EINVAL)
                return expression_failed(d, a, step, error);
        if (r < 0)
                return r;
        f = outcome_effect(d->outcome, EFFECT_START_STEP, a, step);
        if (!f)
                return -ENOMEM;
        f->argv = argv;
        f->env = env;
        f->working_directory = TAKE_PTR(directory);
        e = activity_event(d, a, EVENT_STEP_STARTED, step);
        r = decision_apply(d, e);
        if (r < 0)
                return r;
        f->event = e;
        --*d->slots;
        return 0;
}

static int open_request(const Decision *d, Activity *a, int step) {
        /* Who waits for a person has two clocks, the question's and the step's own. */
        usec_t span = MIN(a->def->steps[step].request.timeout, a->def->steps[step].timeout);
        _cleanup_free_ char *error = NULL;
        _cleanup_json_ Json *data = NULL;
        Event *e;
        int r = resolve_request(a, step, d->limits, &data, &error);

        if (r == -EINVAL)
                return expression_failed(d, a, step, error);
        if (r < 0)
                return r;
        e = activity_event(d, a, EVENT_REQUEST_OPENED, step);
        if (!e)
                return -ENOMEM;
        e->data = TAKE_PTR(data);
        if (span != USEC_INFINITY) {
                e->span = span;
                e->until = d->now->wall + span;
        }
        r = decision_apply(d, e);
        if (r < 0)
                return r;
        return outcome_effect(d->outcome, EFFECT_REQUEST, a, step) ? 0 : -ENOMEM;
}

/* Evaluates the step's `if`. 1: it runs; 0: it was skipped, or failed, and there may be a next one. */
static int step_condition(const Decision *d, Activity *a, int step) {
        const StepDef *s = &a->def->steps[step];
        _cleanup_free_ char *error = NULL;
        bool holds = true;
        int r;

        if (!s->condition)
                return 1;
        r = condition_holds(a->run, NULL, a, step, s->condition, d->limits, &holds, &error);
        if (r == -EINVAL)
                r = expression_failed(d, a, step, error);
        else if (r >= 0 && !holds)
                r = step_over(d, a, step, STEP_SKIPPED, NULL, NULL, false);
        return r < 0 ? r : holds && !error;
}

/* ---- attempts ---- */

static int finish_attempt(const Decision *d, Activity *a) {
        Attempt *t = activity_attempt(a);
        Event *e = activity_event(d, a, EVENT_ATTEMPT_FINISHED, -1);

        if (!e)
                return -ENOMEM;
        e->attempt_state = t->stop == STOP_INTERRUPTED                 ? ATTEMPT_INTERRUPTED
                : t->stop >= STOP_RUN_TIMEOUT                           ? ATTEMPT_CANCELLED
                : attempt_failed(t) || a->given_up                      ? ATTEMPT_FAILED
                                                                        : ATTEMPT_SUCCESS;
        if (e->attempt_state == ATTEMPT_INTERRUPTED)
                e->error = error_new("INTERRUPTED", d->now->wall, "%s", _("runbookd was not there to see the end of a step"));
        else if (t->stop == STOP_RUN_TIMEOUT)
                e->error = error_new("TIMEOUT", d->now->wall, "%s", _("the run's timeout passed"));
        else if (t->stop >= STOP_CANCEL)
                e->error = error_new("CANCELLED", d->now->wall, "%s", _("the run was cancelled"));
        else if (a->given_up && !t->error)
                e->error = error_new("START_FAILED", d->now->wall, "%s", strempty(a->run->reason));
        else
                e->error = json_ref(t->error);
        return decision_apply(d, e);
}

static int start_attempt(const Decision *d, Activity *a, Cause cause) {
        bool process = a->def->n_steps > 0 && step_kind_is_process(a->def->steps[0].kind);
        Event *e;

        if (process && !may_start_process(d, a))
                return 0;
        e = outcome_event(d->outcome, a->run, EVENT_ATTEMPT_STARTED, d->now);
        if (!e)
                return -ENOMEM;
        e->activity = (int) a->def->index;
        e->attempt = (uint32_t) a->n_attempts + 1;
        e->cause = cause;
        return decision_apply(d, e);
}

static int back_off(const Decision *d, Activity *a) {
        Event *e = activity_event(d, a, EVENT_ACTIVITY_BACKOFF, -1);

        if (!e)
                return -ENOMEM;
        e->span = retry_policy_wait(&a->def->retry, a->series_retries + 1);
        e->until = activity_attempt(a)->finished_at + e->span;
        return decision_apply(d, e);
}

static int give_up(const Decision *d, Activity *a) {
        _cleanup_free_ char *reason = NULL;

        if (asprintf(&reason, _("Activity %s was interrupted %u times, more often than MaxResumes=%u allows"), a->def->name,
                        a->resumes + 1, d->limits->max_resumes) < 0)
                return -ENOMEM;
        return run_give_up(a->run, a, d->now, reason, d->outcome);
}

const char *stop_text(const Run *r) {
        return r->stop == STOP_RUN_TIMEOUT ? _("the run's timeout passed") : _("the run was cancelled");
}

/* A failure that was not final: the activity is cancelled like in the backoff that would have come. */
static int after_failure(const Decision *d, Activity *a, const Attempt *t) {
        if (may_retry(a, t))
                return back_off(d, a);
        if (retry_is_left(a, t))
                return finish_activity(d, a, ACTIVITY_CANCELLED, NULL, stop_text(a->run));
        return activity_fails(d, a, NULL);
}

static int after_interruption(const Decision *d, Activity *a, const Attempt *t) {
        if (a->run->stop != STOP_NOTHING)
                return finish_activity(d, a, ACTIVITY_CANCELLED, NULL, stop_text(a->run));
        if (a->given_up)
                return finish_activity(d, a, ACTIVITY_FAILED, NULL, a->run->reason);
        switch (a->def->on_interrupt) {
        case INTERRUPT_HOLD:
                return a->run->gave_up ? finish_activity(d, a, ACTIVITY_FAILED, NULL, NULL) : hold_activity(d, a, NULL);
        case INTERRUPT_FAIL:
                return after_failure(d, a, t);
        case INTERRUPT_RESUME:
        case _INTERRUPT_MAX:
        case _INTERRUPT_INVALID:
                break;
        }
        return !t->clean && a->resumes >= d->limits->max_resumes ? give_up(d, a) : start_attempt(d, a, CAUSE_RESUME);
}

/* The newest attempt has ended and nothing follows it yet. */
static int after_attempt(const Decision *d, Activity *a) {
        const Attempt *t = activity_attempt(a);

        switch (t->state) {
        case ATTEMPT_SUCCESS:
                return finish_activity(d, a, ACTIVITY_SUCCESS, NULL, NULL);
        case ATTEMPT_CANCELLED:
                return finish_activity(d, a, ACTIVITY_CANCELLED, NULL, stop_text(a->run));
        case ATTEMPT_FAILED:
                return after_failure(d, a, t);
        case ATTEMPT_INTERRUPTED:
                return after_interruption(d, a, t);
        case ATTEMPT_RUNNING:
        case _ATTEMPT_STATE_MAX:
        case _ATTEMPT_STATE_INVALID:
                break;
        }
        return -EBADMSG;
}

/* Does something want the running step to stop? */
StopReason step_stop(const Activity *a, int step) {
        const Attempt *t = activity_attempt(a);
        StepList l = activity_step_list(a, step);
        StopReason why = STOP_NOTHING;

        if (step_list_is_main(l))
                why = t->stop;
        else if (a->run->stop >= STOP_CANCEL_HOOKS)
                why = a->run->stop;
        else if (t->hooks_timed_out & (1u << l))
                why = STOP_TIMEOUT;
        return t->step_timed_out || a->given_up ? MAX(why, STOP_TIMEOUT) : why;
}

Json *stop_error(const Activity *a, int step, StopReason why, usec_t at) {
        if (why >= STOP_CANCEL)
                return error_new("CANCELLED", at, "%s", _("the run was cancelled"));
        if (why == STOP_RUN_TIMEOUT)
                return error_new("TIMEOUT", at, "%s", _("the run's timeout passed"));
        if (activity_attempt(a)->step_timed_out)
                return error_new("TIMEOUT", at, "%s", _("the step's timeout passed"));
        if (!step_list_is_main(activity_step_list(a, step)))
                return error_new("TIMEOUT", at, "%s", _("the time for this list of hooks (HookTimeoutSec) passed"));
        return error_new("TIMEOUT", at, "%s", _("the activity's timeout passed"));
}

/* A process that runs is told each reason once. */
static int stop_process(const Decision *d, Activity *a, int step) {
        StopReason why = step_stop(a, step);
        Effect *f;

        if (why <= a->stopping)
                return 0;
        f = outcome_effect(d->outcome, EFFECT_STOP_STEP, a, step);
        if (!f)
                return -ENOMEM;
        f->again = why == STOP_CANCEL_HOOKS && a->stopping != STOP_NOTHING;
        a->stopping = why;
        return 0;
}

/* ---- one activity ---- */

static int timeout_event(const Decision *d, Activity *a, EventType type) {
        Event *e = activity_event(d, a, type, type == EVENT_STEP_TIMED_OUT ? activity_running_step(a) : -1);

        if (!e)
                return -ENOMEM;
        if (type == EVENT_ATTEMPT_TIMED_OUT && !(e->error = error_new("TIMEOUT", d->now->wall, "%s", _("the activity's timeout passed")))) {
                event_free(e);
                return -ENOMEM;
        }
        return decision_apply(d, e);
}

static int begin_step(const Decision *d, Activity *a, int step) {
        if (step_kind_is_process(a->def->steps[step].kind))
                return start_process(d, a, step);
        return a->def->steps[step].kind == STEP_GATE ? pass_gate(d, a, step) : open_request(d, a, step);
}

/* Brings the running attempt on by one step. 1: look again; 0: it waits. */
static int advance_attempt(const Decision *d, Activity *a) {
        const Attempt *t = activity_attempt(a);
        int step, r;

        if (t->state != ATTEMPT_RUNNING) {
                r = after_attempt(d, a);
                return r < 0 ? r : a->state == ACTIVITY_RUNNING;
        }
        step = activity_running_step(a);
        if (step >= 0)
                return activity_asks(a) ? advance_waiting(d, a) : stop_process(d, a, step);
        step = attempt_next_step(a, t);
        if (step < 0) {
                r = finish_attempt(d, a);
                return r < 0 ? r : 1;
        }
        if (step_comes_too_late(a, step, d->now, d->limits)) {
                r = timeout_event(d, a, step_list_is_main(activity_step_list(a, step)) ? EVENT_ATTEMPT_TIMED_OUT : EVENT_HOOK_TIMED_OUT);
                return r < 0 ? r : 1;
        }
        if (step_kind_is_process(a->def->steps[step].kind) && !may_start_process(d, a))
                return 0;
        r = step_condition(d, a, step);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = begin_step(d, a, step);
        return r < 0 ? r : 1;
}

/* Where the need itself went well it is something further up its chain that failed. */
static int skip_for_need(const Decision *d, Activity *a, unsigned need) {
        const Phase *p = activity_phase(a);
        const Activity *n = a->run->activities[p->def->first_activity + need];
        _cleanup_free_ char *reason = NULL;

        while (n->state == ACTIVITY_SUCCESS && graph_chain_failed(&p->graph, n->def->node, &need))
                n = a->run->activities[p->def->first_activity + need];
        if (asprintf(&reason, _("it needs %s, which ended as %s"), n->def->name, activity_state_to_string(n->state)) < 0)
                return -ENOMEM;
        return finish_activity(d, a, ACTIVITY_SKIPPED, NULL, reason);
}

/* 1: its `if` holds; 0: it has ended for it. Evaluated once. */
static int activity_condition(const Decision *d, Activity *a) {
        _cleanup_free_ char *message = NULL;
        _cleanup_json_ Json *error = NULL;
        bool holds = true;
        unsigned need;
        int r;

        /* Also of one that waits to be tried again: another definition may have put something before it. */
        if (graph_chain_failed(&activity_phase(a)->graph, a->def->node, &need) && !names_failure(a->def->condition))
                return skip_for_need(d, a, need);
        if (a->condition_holds)
                return 1;
        r = want_inputs(d, a, &a->def->condition_inputs);
        if (r != 0)
                return MIN(r, 0);
        r = a->def->condition ? condition_holds(a->run, NULL, a, -1, a->def->condition, d->limits, &holds, &message) : 0;
        if (r == -EINVAL) {
                error = error_new("EXPRESSION", d->now->wall, "%s", strempty(message));
                return error ? activity_fails(d, a, error) : -ENOMEM;
        }
        if (r < 0)
                return r;
        if (!holds)
                return finish_activity(d, a, ACTIVITY_SKIPPED, NULL, _("its `if` is false"));
        a->condition_holds = true;
        return 1;
}

/* Of a series of attempts. */
static Cause first_cause(const Activity *a) {
        if (a->resolution == RESOLUTION_RETRY && activity_current_attempt(a))
                return CAUSE_MANUAL;
        return a->run->attempt > 1 ? CAUSE_RUN_RETRY : CAUSE_INITIAL;
}

static int advance_pending(const Decision *d, Activity *a) {
        const Phase *p = activity_phase(a);
        int r;

        if (p->state != PHASE_RUNNING)
                return 0;
        if (a->run->stop != STOP_NOTHING)
                return finish_activity(d, a, ACTIVITY_CANCELLED, NULL, stop_text(a->run));
        if (a->given_up)
                return finish_activity(d, a, ACTIVITY_FAILED, NULL, a->run->reason);
        if (a->resolution == RESOLUTION_IGNORE || a->resolution == RESOLUTION_ABORT)
                return carry_out(d, a);
        if (!graph_is_ready(&p->graph, a->def->node))
                return 0;
        r = activity_condition(d, a);
        if (r <= 0 || a->state != ACTIVITY_PENDING)
                return MIN(r, 0);
        /* What was once there can't go away; but another definition may want more. */
        r = want_inputs(d, a, &a->def->inputs);
        if (r != 0)
                return MIN(r, 0);
        r = start_attempt(d, a, first_cause(a));
        return r < 0 ? r : a->state == ACTIVITY_RUNNING;
}

static int advance_backoff(const Decision *d, Activity *a) {
        if (a->run->stop != STOP_NOTHING)
                return finish_activity(d, a, ACTIVITY_CANCELLED, NULL, stop_text(a->run));
        if (!activity_wait_is_over(a, d->now))
                return 0;
        int r = start_attempt(d, a, CAUSE_RETRY);
        return r < 0 ? r : a->state == ACTIVITY_RUNNING;
}

/* Running steps go on under their own timeouts, and nothing else does. */
static int advance_paused(const Decision *d, Activity *a) {
        int step = activity_running_step(a);

        return step >= 0 && activity_attempt(a)->steps[step].state == STEP_RUNNING ? stop_process(d, a, step) : 0;
}

static int advance(const Decision *d, Activity *a) {
        if (a->run->state == RUN_PAUSED)
                return advance_paused(d, a);
        switch (a->state) {
        case ACTIVITY_PENDING:
                return advance_pending(d, a);
        case ACTIVITY_RUNNING:
                return advance_attempt(d, a);
        case ACTIVITY_BACKOFF:
                return advance_backoff(d, a);
        case ACTIVITY_ON_HOLD:
                return advance_waiting(d, a);
        case ACTIVITY_INTERRUPTED: {
                int r = after_attempt(d, a);
                return r < 0 ? r : a->state == ACTIVITY_RUNNING;
        }
        case ACTIVITY_SUCCESS:
        case ACTIVITY_FAILED:
        case ACTIVITY_IGNORED:
        case ACTIVITY_SKIPPED:
        case ACTIVITY_CANCELLED:
        case _ACTIVITY_STATE_MAX:
        case _ACTIVITY_STATE_INVALID:
                break;
        }
        return 0;
}

int decide_activity(const Decision *d, Activity *a) {
        int r;

        do
                r = advance(d, a);
        while (r > 0);
        return r < 0 ? r : activity_arm(a, d->now, d->limits);
}

/* ---- deadlines ---- */

int decide_deadline(const Decision *d, Deadline *x) {
        Activity *a = x->activity;

        switch (x->kind) {
        case DEADLINE_STEP:
                return timeout_event(d, a, EVENT_STEP_TIMED_OUT);
        case DEADLINE_ATTEMPT:
                return timeout_event(d, a, activity_attempt(a)->hook_list == LIST_MAIN ? EVENT_ATTEMPT_TIMED_OUT : EVENT_HOOK_TIMED_OUT);
        case DEADLINE_BACKOFF:
                activity_mark(a);
                return 0;
        case DEADLINE_REQUEST: {
                /* A cancel that came before anybody looked at the clock counts; so does an answer, which took this deadline away. */
                int r = advance_waiting(d, a);

                activity_mark(a);
                return r < 0 || a->state != ACTIVITY_ON_HOLD ? MIN(r, 0) : request_expired(d, a);
        }
        case DEADLINE_RUN_RETRY:
        case DEADLINE_RUN_START:
                return 0;                               /* the run is looked at after this anyway */
        case DEADLINE_RUN:
                break;
        }
        return decision_apply(d, outcome_event(d->outcome, d->run, EVENT_RUN_TIMED_OUT, d->now));
}
