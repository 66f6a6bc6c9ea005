/* Deadlines: which ones a state calls for, and when they are on the clocks of this boot. They are never stored: stamps and spans are (in
 * the events), and this file makes deadlines of them, after each decision and again after a fold. A span is counted on the clock it was
 * begun on where that clock still runs, so that a change of the wall clock doesn't stretch it. Over a reboot the stored wall time says
 * what is left, once, when the run is read back: from then on that rest is counted on the clocks of the new boot. */
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

static usec_t step_moment(const Activity *a, const Attempt *t, int step) {
        const StepDef *d = step >= 0 ? &a->def->steps[step] : NULL;

        if (!d || !step_kind_is_process(d->kind) || t->step_timed_out)
                return USEC_INFINITY;
        return usec_add(t->step_started.mono, MIN(d->timeout, d->handler_timeout));
}

/* Of the pre and main steps the activity's timeout; of a list of hooks HookTimeoutSec, which stands between its steps, when they wait
 * for a slot. */
static usec_t attempt_moment(const Activity *a, const Attempt *t, int step, const Limits *limits) {
        if (step >= 0 && !step_list_is_main(activity_step_list(a, step)))
                return t->hooks_timed_out & (1u << t->hook_list) ? USEC_INFINITY
                                : usec_add(t->step_started.mono, usec_sub(limits->hook_timeout, t->hooks_used));
        if (t->stop != STOP_NOTHING || t->clock_since.wall == 0 || a->def->timeout == USEC_INFINITY || attempt_main_is_over(a, t))
                return USEC_INFINITY;
        return usec_add(t->clock_since.mono, usec_sub(a->def->timeout, t->used));
}

int activity_arm(Activity *a, const Stamp *now, const Limits *limits) {
        Attempt *t = activity_attempt(a);
        bool running = t && t->state == ATTEMPT_RUNNING;
        int step = activity_running_step(a), r;
        usec_t wait;

        r = deadline_set(a->run, &a->step_deadline, running ? step_moment(a, t, step) : USEC_INFINITY);
        if (r < 0)
                return r;
        r = deadline_set(a->run, &a->attempt_deadline, running ? attempt_moment(a, t, step, limits) : USEC_INFINITY);
        if (r < 0)
                return r;
        a->wait_deadline.kind = a->state == ACTIVITY_BACKOFF ? DEADLINE_BACKOFF : DEADLINE_REQUEST;
        wait = a->wait_span > 0 && !a->ready ? usec_add(a->wait_from.boottime, a->wait_span) : USEC_INFINITY;
        return deadline_set(a->run, &a->wait_deadline, wait);
}

bool activity_wait_is_over(const Activity *a, const Stamp *now) {
        return usec_add(a->wait_from.boottime, a->wait_span) <= now->boottime;
}

bool step_comes_too_late(const Activity *a, int step, const Stamp *now, const Limits *limits) {
        const Attempt *t = activity_attempt(a);
        StepList l = activity_step_list(a, step);

        if (step_list_is_main(l))
                return attempt_moment(a, t, -1, limits) <= now->mono;
        return t->hook_list == l && t->hooks_used >= limits->hook_timeout;
}

int run_arm(Run *r, const Stamp *now) {
        bool counts = r->timeout_since.wall > 0 && r->runbook->timeout != USEC_INFINITY && r->stop == STOP_NOTHING &&
                        !run_state_is_terminal(r->state);

        return deadline_set(r, &r->deadline,
                        counts ? usec_add(r->timeout_since.boottime, usec_sub(r->runbook->timeout, r->timeout_used)) : USEC_INFINITY);
}

usec_t run_next_deadline(const Run *r, DeadlineClock clock) {
        const Deadline *d = prioq_peek(&r->deadlines[clock]);
        return d ? d->when : USEC_INFINITY;
}

/* What began at a stamp that was read from the store goes on from now; `*used` grows by what has passed. */
static void go_on_from(Stamp *since, usec_t *used, const Stamp *now) {
        if (since->wall == 0)
                return;
        *used += stamp_elapsed(since, now);
        *since = *now;
}

static void activity_go_on(Activity *a, const Stamp *now) {
        Attempt *t = activity_attempt(a);

        if (a->wait_span > 0 && a->wait_from.boot != now->boot) {
                /* One microsecond ago, because a span of 0 is none. */
                a->wait_span = usec_add(usec_sub(a->wait_span, stamp_elapsed(&a->wait_from, now)), 1);
                a->wait_from = *now;
                a->wait_from.boottime = usec_sub(now->boottime, 1);
        }
        if (!t || t->state != ATTEMPT_RUNNING)
                return;
        go_on_from(&t->clock_since, &t->used, now);
        if (activity_running_step(a) < 0)
                return;
        /* A process that still runs is one of this boot: its own timeout counts from its start. */
        if (t->step_started.boot == now->boot)
                t->step_started.mono = usec_sub(now->mono, stamp_elapsed(&t->step_started, now));
        else
                go_on_from(&t->step_started, &t->hooks_used, now);
}

int run_resume(Run *r, const Stamp *now, const Limits *limits) {
        int k;

        if (r->timeout_since.boot != now->boot)
                go_on_from(&r->timeout_since, &r->timeout_used, now);
        k = run_arm(r, now);
        for (unsigned i = 0; k >= 0 && i < r->runbook->n_activities; i++) {
                Activity *a = &r->activities[i];

                if (activity_state_is_terminal(a->state))
                        continue;
                activity_go_on(a, now);
                k = activity_arm(a, now, limits);
        }
        run_mark_all(r);
        return k;
}

static int interrupt_step(Run *r, Activity *a, const Stamp *now, const Limits *limits, Outcome *o) {
        _cleanup_json_ Json *error = error_new("INTERRUPTED", now->wall, "%s",
                        _("runbookd was not there to see the end of this step; what was left of it was killed"));
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
