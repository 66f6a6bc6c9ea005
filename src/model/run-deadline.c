/* Deadlines: which ones a state calls for, and when they are on the clocks of this boot. They are never stored: stamps and spans are (in
 * the events), and this file makes deadlines of them, after each decision and again after a fold. A span is counted on the clock it was
 * begun on where that clock still runs, so that a change of the wall clock doesn't stretch it. Over a reboot the stored wall time says
 * what is left, once, when the run is read back: from then on that rest is counted on the clocks of the new boot. */
#include "run-private.h"

#include "i18n.h"

static DeadlineClock deadline_clock(const Deadline *d) {
        return d->kind == DEADLINE_STEP || d->kind == DEADLINE_ATTEMPT ? CLOCK_OF_STEPS
                : d->kind == DEADLINE_RUN_START                        ? CLOCK_OF_DATES
                                                                       : CLOCK_OF_WAITS;
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
        bool stands = activity_asks(a) && a->run->state == RUN_PAUSED;

        if (step >= 0 && !step_list_is_main(activity_step_list(a, step)))
                return stands || t->hooks_timed_out & (1u << t->hook_list) ? USEC_INFINITY
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
        wait = a->wait_span > 0 && !a->ready && a->run->state != RUN_PAUSED ? usec_add(a->wait_from.boottime, a->wait_span) : USEC_INFINITY;
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

static int arm_start(Run *r) {
        bool waits = r->start_wanted && r->stop == STOP_NOTHING && !r->workspace_wanted;
        int k = deadline_set(r, &r->start_deadline, waits && r->state == RUN_SCHEDULED ? r->scheduled_for : USEC_INFINITY);

        if (k < 0)
                return k;
        waits = waits && r->state == RUN_QUEUED && r->retry_span > 0;
        return deadline_set(r, &r->retry_deadline, waits ? usec_add(r->retry_from.boottime, r->retry_span) : USEC_INFINITY);
}

int run_arm(Run *r, const Stamp *now) {
        bool counts = r->timeout_since.wall > 0 && r->runbook->timeout != USEC_INFINITY && r->stop == STOP_NOTHING &&
                        !run_state_is_terminal(r->state);
        int k = deadline_set(r, &r->deadline,
                        counts ? usec_add(r->timeout_since.boottime, usec_sub(r->runbook->timeout, r->timeout_used)) : USEC_INFINITY);

        return k < 0 ? k : arm_start(r);
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

/* What was left of a wait that began in an earlier boot when its clock last went (before a pause), or now, is counted on the clocks of
 * this one. One microsecond ago, because a span of 0 is none. */
static void wait_goes_on(Stamp *from, usec_t *span, const Stamp *until, const Stamp *now) {
        if (*span == 0 || from->boot == now->boot)
                return;
        *span = usec_add(usec_sub(*span, stamp_elapsed(from, until)), 1);
        *from = until->boot == now->boot ? *until : *now;
        from->boottime = usec_sub(from->boottime, 1);
}

static void activity_go_on(Activity *a, const Stamp *until, const Stamp *now) {
        Attempt *t = activity_attempt(a);

        wait_goes_on(&a->wait_from, &a->wait_span, until, now);
        if (!t || t->state != ATTEMPT_RUNNING)
                return;
        go_on_from(&t->clock_since, &t->used, now);
        if (activity_running_step(a) < 0 || (activity_asks(a) && a->run->state == RUN_PAUSED))
                return;
        /* A process that still runs is one of this boot: its own timeout counts from its start. */
        if (t->step_started.boot == now->boot)
                t->step_started.mono = usec_sub(now->mono, stamp_elapsed(&t->step_started, now));
        else
                go_on_from(&t->step_started, &t->hooks_used, now);
}

int run_resume(Run *r, const Stamp *now, const Limits *limits) {
        Stamp until = r->state == RUN_PAUSED ? r->paused_at : *now;
        int k;

        if (r->timeout_since.boot != now->boot)
                go_on_from(&r->timeout_since, &r->timeout_used, now);
        wait_goes_on(&r->retry_from, &r->retry_span, &until, now);
        k = run_arm(r, now);
        for (unsigned i = 0; k >= 0 && i < r->runbook->n_activities; i++) {
                Activity *a = r->activities[i];

                if (activity_state_is_terminal(a->state))
                        continue;
                activity_go_on(a, &until, now);
                k = activity_arm(a, now, limits);
        }
        /* From here on the pause, too, is measured on the clocks of this boot. */
        if (r->state == RUN_PAUSED && r->pause_since.boot != now->boot)
                r->pause_since = *now;
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
                Activity *a = r->activities[i];
                int step = activity_running_step(a);

                if (step >= 0 && activity_attempt(a)->steps[step].state == STEP_RUNNING) {
                        int k = interrupt_step(r, a, now, limits, o);
                        if (k < 0)
                                return k;
                }
        }
        return run_resume(r, now, limits);
}
