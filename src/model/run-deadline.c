/* Deadlines: which ones a state calls for, and when they are on the clocks of this boot. They are never stored: stamps and spans are (in the events), and this
 * file makes deadlines of them, after each decision and again after a fold. A span is counted on the clock it was begun on where that clock still
 * runs, so that a change of the wall clock doesn't stretch it; over a reboot the stored wall time says what is left. */
#include "run-private.h"

#include "i18n.h"

static DeadlineClock deadline_clock(const Deadline *d) {
        return d->kind == DEADLINE_STEP || d->kind == DEADLINE_ATTEMPT ? CLOCK_OF_STEPS : CLOCK_OF_WAITS;
}

static int deadline_set(Run *r, Deadline *d, usec_t when) {
        Prioq *q = &r->deadlines[deadline_clock(d)];

        if (d->when == when)
                return 0;
        d->when = when;
        if (when == USEC_INFINITY) {
                prioq_remove(q, d);
                return 0;
        }
        if (d->position != PRIOQ_NONE) {
                prioq_reshuffle(q, d);
                return 0;
        }
        return prioq_put(q, d);
}

/* The moment `span` after `from`, on the clock of steps or of waits. */
static usec_t moment(const Stamp *from, usec_t span, DeadlineClock clock, const Stamp *now) {
        usec_t passed;

        if (span == USEC_INFINITY)
                return USEC_INFINITY;
        if (clock == CLOCK_OF_STEPS && from->mono > 0)
                return usec_add(from->mono, span);
        if (clock == CLOCK_OF_WAITS && from->boot == now->boot)
                return usec_add(from->boottime, span);
        passed = stamp_elapsed(from, now);
        return usec_add(clock == CLOCK_OF_STEPS ? now->mono : now->boottime, usec_sub(span, passed));
}

static usec_t step_moment(const Activity *a, const Attempt *t, int step, const Stamp *now) {
        const StepDef *d = step >= 0 ? &a->def->steps[step] : NULL;

        if (!d || !step_kind_is_process(d->kind) || t->step_timed_out)
                return USEC_INFINITY;
        return moment(&t->step_started, MIN(d->timeout, d->handler_timeout), CLOCK_OF_STEPS, now);
}

static usec_t attempt_moment(const Activity *a, const Attempt *t, const Stamp *now, const Limits *limits) {
        if (t->hook_list != LIST_MAIN)
                return t->hooks_timed_out & (1u << t->hook_list) ? USEC_INFINITY : moment(&t->hooks_started, limits->hook_timeout, CLOCK_OF_STEPS, now);
        if (t->stop != STOP_NOTHING || t->clock_since.wall == 0 || a->def->timeout == USEC_INFINITY || attempt_main_is_over(a, t))
                return USEC_INFINITY;
        return moment(&t->clock_since, usec_sub(a->def->timeout, t->used), CLOCK_OF_STEPS, now);
}

int activity_arm(Activity *a, const Stamp *now, const Limits *limits) {
        Attempt *t = activity_attempt(a);
        bool running = t && t->state == ATTEMPT_RUNNING;
        int step = activity_running_step(a), r;

        r = deadline_set(a->run, &a->step_deadline, running ? step_moment(a, t, step, now) : USEC_INFINITY);
        if (r < 0)
                return r;
        r = deadline_set(a->run, &a->attempt_deadline, running ? attempt_moment(a, t, now, limits) : USEC_INFINITY);
        if (r < 0)
                return r;
        a->wait_deadline.kind = a->state == ACTIVITY_BACKOFF ? DEADLINE_BACKOFF : DEADLINE_REQUEST;
        return deadline_set(a->run, &a->wait_deadline, a->wait_span > 0 && !a->ready ? moment(&a->wait_from, a->wait_span, CLOCK_OF_WAITS, now) : USEC_INFINITY);
}

bool activity_wait_is_over(const Activity *a, const Stamp *now) {
        return moment(&a->wait_from, a->wait_span, CLOCK_OF_WAITS, now) <= now->boottime;
}

int run_arm(Run *r, const Stamp *now) {
        bool counts = r->timeout_since.wall > 0 && r->runbook->timeout != USEC_INFINITY && r->stop == STOP_NOTHING && !run_state_is_terminal(r->state);

        return deadline_set(r, &r->deadline,
                            counts ? moment(&r->timeout_since, usec_sub(r->runbook->timeout, r->timeout_used), CLOCK_OF_WAITS, now) : USEC_INFINITY);
}

usec_t run_next_deadline(const Run *r, DeadlineClock clock) {
        const Deadline *d = prioq_peek(&r->deadlines[clock]);
        return d ? d->when : USEC_INFINITY;
}

int run_resume(Run *r, const Stamp *now, const Limits *limits) {
        int k = run_arm(r, now);

        for (unsigned i = 0; k >= 0 && i < r->runbook->n_activities; i++)
                if (!activity_state_is_terminal(r->activities[i].state))
                        k = activity_arm(&r->activities[i], now, limits);
        run_mark_all(r);
        return k;
}

static int interrupt_step(Run *r, Activity *a, const Stamp *now, const Limits *limits, Outcome *o) {
        _cleanup_json_ Json *error = error_new("INTERRUPTED", now->wall, "%s", _("runbookd was not there to see the end of this step; what was left of it was killed"));
        StepEnd end = { .state = STEP_FAILED, .exit_code = -1, .error = error, .interrupted = true, .log_end = a->log_end };

        if (limits->log_size)
                end.log_end = MAX(end.log_end, limits->log_size(limits->userdata, a, activity_attempt(a)));

        return error ? run_step_ended(r, a, now, &end, o) : -ENOMEM;
}

int run_recover(Run *r, const Stamp *now, const Limits *limits, Outcome *o) {
        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                Activity *a = &r->activities[i];
                int step = activity_running_step(a);

                if (step >= 0 && activity_attempt(a)->steps[step].state == STEP_RUNNING) {
                        int k = interrupt_step(r, a, now, limits, o);
                        if (k < 0)
                                return k;
                }
        }
        return run_resume(r, now, limits);
}
