/* run_decide: brings a run as far as it can go. It works off what apply has marked (activities whose state or needs changed, phases that
 * may start or end) and what time has brought, one decision after the other, each an event that is applied at once, until only
 * processes, people, clocks or slots can move the run on. So each decision costs what changed, not what the run is large. */
#include "run-private.h"

#include <stdio.h>

#include "fd-util.h"
#include "i18n.h"
#include "utf8.h"

#define NOT_SELECTED "not-selected"                     /* a phase's or activity's reason, as the contract writes it */

static int apply_phase(const Decision *d, Phase *p, EventType type, PhaseState state, const char *reason) {
        Event *e = outcome_event(d->outcome, d->run, type, d->now);

        if (!e)
                return -ENOMEM;
        e->phase = (int) p->def->index;
        e->phase_state = state;
        if (reason && !(e->reason = strdup(reason))) {
                event_free(e);
                return -ENOMEM;
        }
        return outcome_apply(d->outcome, d->run, e);
}

/* A phase that never starts takes its activities with it. */
static int end_unstarted(const Decision *d, Phase *p, PhaseState state, ActivityState activities, const char *reason) {
        for (unsigned i = 0; i < p->def->n_activities; i++) {
                Activity *a = d->run->activities[p->def->first_activity + i];
                int r = activity_state_is_terminal(a->state) ? 0
                                : a->state == ACTIVITY_ON_HOLD  ? end_held(d, a, activities, reason)
                                                                : finish_activity(d, a, activities, NULL, reason);
                if (r < 0)
                        return r;
        }
        return apply_phase(d, p, EVENT_PHASE_FINISHED, state, reason);
}

/* Where the need itself went well it is something further up its chain that failed. */
static int skip_for_need(const Decision *d, Phase *p, unsigned need) {
        const Phase *n = &d->run->phases[need];
        _cleanup_free_ char *reason = NULL;

        while (n->state == PHASE_SUCCESS && graph_chain_failed(&d->run->graph, n->def->index, &need))
                n = &d->run->phases[need];
        if (asprintf(&reason, _("it needs phase %s, which ended as %s"), n->def->name, phase_state_to_string(n->state)) < 0)
                return -ENOMEM;
        return end_unstarted(d, p, PHASE_SKIPPED, ACTIVITY_SKIPPED, reason);
}

/* A phase whose `if` names an input without a value holds its first activity. */
static int phase_wants_inputs(const Decision *d, Phase *p) {
        for (unsigned i = 0; i < p->def->n_activities; i++) {
                Activity *a = d->run->activities[p->def->first_activity + i];

                if (a->state == ACTIVITY_ON_HOLD)
                        return 1;
                if (a->state == ACTIVITY_PENDING)
                        return want_inputs(d, a, &p->def->condition_inputs);
        }
        return 0;
}

static int decide_pending_phase(const Decision *d, Phase *p) {
        _cleanup_free_ char *message = NULL;
        bool holds = true;
        unsigned need;
        int r = 0;

        if (d->run->stop != STOP_NOTHING)
                return end_unstarted(d, p, PHASE_CANCELLED, ACTIVITY_CANCELLED, stop_text(d->run));
        if (d->run->start_wanted)                       /* it gave up before it began */
                return end_unstarted(d, p, PHASE_CANCELLED, ACTIVITY_CANCELLED, d->run->reason);
        if (!graph_is_ready(&d->run->graph, p->def->index))
                return 0;
        if (p->not_selected)                            /* in its place: what comes after it waits for what it would have waited for */
                return end_unstarted(d, p, PHASE_SKIPPED, ACTIVITY_SKIPPED, NOT_SELECTED);
        if (graph_chain_failed(&d->run->graph, p->def->index, &need) &&
            !(p->def->condition && expr_status_used(p->def->condition) & (EXPR_STATUS_FAILURE | EXPR_STATUS_ALWAYS)))
                return skip_for_need(d, p, need);
        /* What was carried over as a whole was asked for its `if` in the run that did it. */
        if (p->def->condition && p->n_ended < p->def->n_activities) {
                r = phase_wants_inputs(d, p);
                if (r != 0)
                        return MIN(r, 0);
                r = condition_holds(d->run, p, NULL, -1, p->def->condition, d->limits, &holds, &message);
        }
        if (r == -EINVAL)
                return end_unstarted(d, p, PHASE_FAILED, ACTIVITY_SKIPPED, message);
        if (r < 0)
                return r;
        return holds ? apply_phase(d, p, EVENT_PHASE_STARTED, PHASE_RUNNING, NULL)
                        : end_unstarted(d, p, PHASE_SKIPPED, ACTIVITY_SKIPPED, _("its `if` is false"));
}

/* Cancelled before it started, or its workspace can't be made. */
static bool run_ends_unstarted(const Run *r) {
        return r->start_wanted && (r->stop != STOP_NOTHING || r->gave_up);
}

static int decide_phase(const Decision *d, Phase *p) {
        PhaseState state;

        if (d->run->state == RUN_PAUSED || (d->run->start_wanted && !run_ends_unstarted(d->run)))
                return 0;
        if (p->state == PHASE_PENDING)
                return decide_pending_phase(d, p);
        if (p->state != PHASE_RUNNING || p->n_ended < p->def->n_activities)
                return 0;
        state = p->n_bad > 0 ? PHASE_FAILED : p->n_cancelled > 0 ? PHASE_CANCELLED : PHASE_SUCCESS;
        return apply_phase(d, p, EVENT_PHASE_FINISHED, state, NULL);
}

/* ---- the run ---- */

static bool all_skipped(const Run *r) {
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (r->phases[i].state != PHASE_SKIPPED)
                        return false;
        return true;
}

static bool had_partial(const Run *r) {
        if (r->counts[ACTIVITY_IGNORED] > 0)
                return true;
        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                if (r->activities[i]->tolerated)
                        return true;
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (r->phases[i].state == PHASE_FAILED)
                        return true;
        return false;
}

/* The run's own policy allowed more than one try, and all were used. */
static bool run_retries_used(const Run *r) {
        return r->runbook->retry.max > 0 && r->attempt > r->runbook->retry.max;
}

static RunState deciding_state(const Run *r) {
        const char *code = error_code(activity_error(r->deciding));

        if (streq(code, "APPROVAL_TIMEOUT") || streq(code, "INPUT_TIMEOUT"))
                return RUN_TIMED_OUT;
        if (streq(code, "APPROVAL_REJECTED"))
                return RUN_REJECTED;
        return run_attempts_exhausted(r->deciding) || run_retries_used(r) ? RUN_EXHAUSTED : RUN_FAILED;
}

/* How a run ends: the first that applies (section 4). */
static RunState final_state(const Run *r) {
        if (r->gave_up)
                return RUN_DLQ;
        if (r->stop >= STOP_CANCEL)
                return RUN_CANCELLED;
        if (r->stop == STOP_RUN_TIMEOUT)
                return RUN_TIMED_OUT;
        if (r->deciding)
                return deciding_state(r);
        if (r->phase_failed)
                return run_retries_used(r) ? RUN_EXHAUSTED : RUN_FAILED;
        if (had_partial(r) && r->runbook->partial_success != PARTIAL_SUCCESS)
                return r->runbook->partial_success == PARTIAL_ALLOW ? RUN_PARTIAL_SUCCESS
                        : run_retries_used(r)                          ? RUN_EXHAUSTED
                                                                       : RUN_FAILED;
        return all_skipped(r) ? RUN_SKIPPED : RUN_SUCCESS;
}

static const Phase *first_failed_phase(const Run *r) {
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (r->phases[i].state == PHASE_FAILED)
                        return &r->phases[i];
        return NULL;
}

static int failure_reason(const Run *r, char **ret) {
        _cleanup_free_ char *text = NULL;
        const Phase *p = first_failed_phase(r);

        if (r->stop == STOP_RUN_TIMEOUT)
                text = strdup(_("the run's timeout passed"));
        else if (r->deciding)
                text = xasprintf(_("activity %s failed: %s"), r->deciding->def->name,
                                strempty(json_string(json_get(activity_error(r->deciding), "message"))));
        else if (p)
                text = p->reason ? xasprintf(_("phase %s failed: %s"), p->def->name, p->reason)
                                : xasprintf(_("phase %s failed"), p->def->name);
        else
                text = strdup(_("it had failures, which its partialSuccess: fail does not let pass"));
        *ret = text ? utf8_make_valid(text, strlen(text), EVENT_REASON_MAX) : NULL;
        return *ret ? 0 : -ENOMEM;
}

static int final_reason(const Run *r, RunState state, char **ret) {
        switch (state) {
        case RUN_DLQ:
                *ret = strdup(strempty(r->reason));
                return *ret ? 0 : -ENOMEM;
        case RUN_CANCELLED:
                *ret = strdup(_("cancelled on request"));
                return *ret ? 0 : -ENOMEM;
        case RUN_TIMED_OUT:
        case RUN_REJECTED:
        case RUN_EXHAUSTED:
        case RUN_FAILED:
                return failure_reason(r, ret);
        case RUN_SCHEDULED:
        case RUN_QUEUED:
        case RUN_RUNNING:
        case RUN_ON_HOLD:
        case RUN_PAUSED:
        case RUN_SUCCESS:
        case RUN_PARTIAL_SUCCESS:
        case RUN_SKIPPED:
        case _RUN_STATE_MAX:
        case _RUN_STATE_INVALID:
                break;
        }
        *ret = NULL;
        return 0;
}

/* A run that is about to end failed is tried again as a whole while its policy allows that; not after a person aborted it. */
static bool may_try_again(const Run *r, RunState end) {
        if ((end != RUN_FAILED && end != RUN_EXHAUSTED) || r->aborted)
                return false;
        return retry_policy_allows(&r->runbook->retry, r->attempt, r->deciding ? error_code(activity_error(r->deciding)) : "");
}

static int back_off(const Decision *d) {
        Event *e = outcome_event(d->outcome, d->run, EVENT_RUN_BACKOFF, d->now);
        int r;

        if (!e)
                return -ENOMEM;
        e->span = retry_policy_wait(&d->run->runbook->retry, d->run->attempt);
        e->until = d->now->wall + e->span;
        r = failure_reason(d->run, &e->reason);
        if (r < 0) {
                event_free(e);
                return r;
        }
        return outcome_apply(d->outcome, d->run, e);
}

static int finish_run(const Decision *d) {
        RunState end = final_state(d->run);
        Event *e;
        int r;

        if (may_try_again(d->run, end))
                return back_off(d);
        e = outcome_event(d->outcome, d->run, EVENT_RUN_FINISHED, d->now);
        if (!e)
                return -ENOMEM;
        e->run_state = end;
        r = final_reason(d->run, e->run_state, &e->reason);
        if (r < 0) {
                event_free(e);
                return r;
        }
        r = outcome_apply(d->outcome, d->run, e);
        if (r < 0)
                return r;
        return outcome_effect(d->outcome, EFFECT_FINISHED, NULL, -1) ? 0 : -ENOMEM;
}

/* running <-> on-hold: on hold when at least one activity waits for a person and nothing else can move. */
static int switch_state(const Decision *d) {
        Run *r = d->run;
        bool holds = r->n_waiting > 0 && r->n_moving == 0 && !r->ready.first && r->stop == STOP_NOTHING;
        RunState state = holds ? RUN_ON_HOLD : RUN_RUNNING;
        Event *e;

        if (r->state == state || (r->state != RUN_RUNNING && r->state != RUN_ON_HOLD))
                return 0;
        e = outcome_event(d->outcome, r, EVENT_RUN_STATE, d->now);
        if (!e)
                return -ENOMEM;
        e->run_state = state;
        return outcome_apply(d->outcome, r, e);
}

/* A run that is cancelled before it starts ends without having started. */
static bool may_begin(const Run *r, const Stamp *now) {
        if (!r->start_wanted || r->workspace_wanted || r->stop != STOP_NOTHING || r->gave_up)
                return false;
        if (r->state == RUN_SCHEDULED)
                return r->scheduled_for <= now->wall;
        return r->state == RUN_QUEUED && (r->retry_span == 0 || usec_add(r->retry_from.boottime, r->retry_span) <= now->boottime);
}

static int begin_run(const Decision *d) {
        Run *r = d->run;
        Event *e;

        if (!may_begin(r, d->now))
                return 0;
        e = outcome_event(d->outcome, r, EVENT_RUN_STARTED, d->now);
        if (!e)
                return -ENOMEM;
        e->attempt = r->attempt + (r->started_at > 0);
        return outcome_apply(d->outcome, r, e);
}

/* A deadline that was armed before the last events may have lost its reason: its step has ended meanwhile. */
static int expire(const Decision *d, unsigned clock, Deadline *x, usec_t now) {
        int r = x->activity ? activity_arm(x->activity, d->now, d->limits) : run_arm(d->run, d->now);

        if (r < 0 || x->when > now)
                return r;
        prioq_remove(&d->run->deadlines[clock], x);
        x->when = USEC_INFINITY;
        return decide_deadline(d, x);
}

static int expire_deadlines(const Decision *d) {
        const usec_t clocks[_DEADLINE_CLOCK_MAX] = {
                [CLOCK_OF_STEPS] = d->now->mono, [CLOCK_OF_WAITS] = d->now->boottime, [CLOCK_OF_DATES] = d->now->wall,
        };

        for (unsigned c = 0; c < _DEADLINE_CLOCK_MAX; c++) {
                Deadline *x;
                while ((x = prioq_peek(&d->run->deadlines[c])) && x->when <= clocks[c]) {
                        int r = expire(d, c, x, clocks[c]);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* What waits for a slot, first come first served, while there are slots. */
static Activity *next_ready(const Decision *d) {
        Activity *a = *d->slots > 0 ? d->run->ready.first : NULL;

        if (a)
                activity_set_ready(a, false);
        return a;
}

static int work_off(Decision *d) {
        for (;;) {
                Phase *p = run_next_marked_phase(d->run);
                Activity *a = p ? NULL : run_next_marked_activity(d->run);
                int r;

                d->granted = !p && !a ? next_ready(d) : NULL;
                if (d->granted)
                        a = d->granted;
                if (!p && !a)
                        return 0;
                r = p ? decide_phase(d, p) : decide_activity(d, a);
                if (r < 0)
                        return r;
        }
}

static bool has_passed(const Decision *d) {
        return run_next_deadline(d->run, CLOCK_OF_STEPS) <= d->now->mono || run_next_deadline(d->run, CLOCK_OF_WAITS) <= d->now->boottime ||
               run_next_deadline(d->run, CLOCK_OF_DATES) <= d->now->wall;
}

static int decide_once(Decision *d) {
        Run *r = d->run;
        int k = expire_deadlines(d);

        if (k >= 0)
                k = begin_run(d);
        if (k >= 0)
                k = work_off(d);
        if (k >= 0)
                k = switch_state(d);
        if (k >= 0 && r->n_phases_ended == r->runbook->n_phases && r->state != RUN_PAUSED && (!r->start_wanted || run_ends_unstarted(r)))
                k = finish_run(d);
        return k < 0 ? k : run_arm(r, d->now);
}

int run_decide(Run *r, const Stamp *now, const Limits *limits, unsigned *slots, Outcome *o) {
        Decision d = { .run = r, .now = now, .limits = limits, .slots = slots, .outcome = o };
        int k;

        if (run_state_is_terminal(r->state))
                return 0;
        /* What goes on may find that its time was up before. */
        do
                k = decide_once(&d);
        while (k >= 0 && !run_state_is_terminal(r->state) && has_passed(&d));
        return k;
}
