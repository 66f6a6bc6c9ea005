/* See invariants.h. The rules are written a second time here, slowly and from the contract: nothing is asked of the code that they check
 * but its state. */
#include "invariants.h"

#include <stdarg.h>
#include <stdio.h>

#include "fd-util.h"

static int broken(Invariants *v, const char *fmt, ...) _printf_(2, 3);
static int broken(Invariants *v, const char *fmt, ...) {
        va_list ap;

        if (!v->broken) {
                va_start(ap, fmt);
                if (vasprintf(&v->broken, fmt, ap) < 0)
                        v->broken = NULL;
                va_end(ap);
        }
        return -EBADMSG;
}

int invariants_init(Invariants *v, const Runbook *runbook) {
        *v = (Invariants) { .deciding = -1 };
        v->starts = calloc(runbook->n_steps + 1, sizeof *v->starts);
        v->first = calloc(runbook->n_activities + 1, sizeof *v->first);
        if (!v->starts || !v->first)
                return -ENOMEM;
        for (unsigned i = 0, n = 0; i < runbook->n_activities; n += runbook->activities[i++].n_steps)
                v->first[i] = n;
        return run_new(7, (Runbook *) runbook, &v->shadow);
}

void invariants_done(Invariants *v) {
        run_free(v->shadow);
        free(v->starts);
        free(v->first);
        free(v->broken);
        *v = (Invariants) { 0 };
}

/* ---- moves ---- */

typedef struct States {
        RunState run;
        PhaseState phase;
        ActivityState activity;
        AttemptState attempt;
        StepState step;
        size_t n_attempts;
} States;

static States states_at(const Run *r, const Event *e) {
        const Activity *a = e->activity >= 0 ? &r->activities[e->activity] : NULL;
        const Attempt *t = a ? activity_attempt(a) : NULL;

        return (States) {
                .run = r->state,
                .phase = e->phase >= 0 ? r->phases[e->phase].state : PHASE_PENDING,
                .activity = a ? a->state : ACTIVITY_PENDING,
                .attempt = t ? t->state : ATTEMPT_RUNNING,
                .step = t && e->step >= 0 ? t->steps[e->step].state : STEP_PENDING,
                .n_attempts = a ? a->n_attempts : 0,
        };
}

/* A hook step that goes back to pending has ended for a moment in between. */
static bool step_move_is_legal(StepState from, StepState to) {
        return from == to || step_state_may_become(from, to);
}

static int check_moves(Invariants *v, const Event *e, const States *x, const States *y) {
        const char *type = event_type_to_string(e->type);

        if (x->run != y->run && !run_state_may_become(x->run, y->run))
                return broken(v, "%s moved the run from %s to %s", type, run_state_to_string(x->run), run_state_to_string(y->run));
        if (x->phase != y->phase && !phase_state_may_become(x->phase, y->phase))
                return broken(v, "%s moved a phase from %s to %s", type, phase_state_to_string(x->phase), phase_state_to_string(y->phase));
        if (x->activity != y->activity && !activity_state_may_become(x->activity, y->activity))
                return broken(v, "%s moved an activity from %s to %s", type, activity_state_to_string(x->activity),
                                activity_state_to_string(y->activity));
        if (x->n_attempts != y->n_attempts)
                return 0;
        if (x->attempt != y->attempt && !attempt_state_may_become(x->attempt, y->attempt))
                return broken(v, "%s moved an attempt from %s to %s", type, attempt_state_to_string(x->attempt),
                                attempt_state_to_string(y->attempt));
        if (!step_move_is_legal(x->step, y->step))
                return broken(v, "%s moved a step from %s to %s", type, step_state_to_string(x->step), step_state_to_string(y->step));
        return 0;
}

/* ---- needs ---- */

/* Did this node fail for good, or anything that it needs? Straight from the definition, without the graph's own counters. */
static bool phase_chain_failed(const Run *r, unsigned i);
static bool phase_needs_failed(const Run *r, unsigned i) {
        const GraphNode *n = &r->runbook->graph.nodes[i];
        bool failed = false;

        for (unsigned k = 0; k < (n->explicit_needs ? n->n_needs : i); k++)
                failed = failed || phase_chain_failed(r, n->explicit_needs ? n->needs[k] : k);
        return failed;
}

static bool phase_chain_failed(const Run *r, unsigned i) {
        return r->phases[i].state == PHASE_FAILED || r->phases[i].state == PHASE_CANCELLED || phase_needs_failed(r, i);
}

static bool activity_chain_failed(const Run *r, const PhaseDef *p, unsigned node);
static bool activity_needs_failed(const Run *r, const PhaseDef *p, unsigned node) {
        const GraphNode *n = &p->graph.nodes[node];
        bool failed = false;

        for (unsigned k = 0; k < (n->explicit_needs ? n->n_needs : node); k++)
                failed = failed || activity_chain_failed(r, p, n->explicit_needs ? n->needs[k] : k);
        return failed;
}

static bool activity_chain_failed(const Run *r, const PhaseDef *p, unsigned node) {
        const Activity *a = &r->activities[p->first_activity + node];

        return (a->state == ACTIVITY_FAILED && a->def->failure_policy != FAILURE_CONTINUE) ||
                        (a->state == ACTIVITY_FAILED && a->given_up) || a->state == ACTIVITY_CANCELLED ||
               activity_needs_failed(r, p, node);
}

static bool phase_needs_ended(const Run *r, unsigned i) {
        const GraphNode *n = &r->runbook->graph.nodes[i];
        bool ended = true;

        for (unsigned k = 0; k < (n->explicit_needs ? n->n_needs : i); k++)
                ended = ended && phase_state_is_terminal(r->phases[n->explicit_needs ? n->needs[k] : k].state);
        return ended;
}

static bool activity_needs_ended(const Run *r, const Activity *a) {
        const PhaseDef *p = &r->runbook->phases[a->def->phase];
        const GraphNode *n = &p->graph.nodes[a->def->node];
        bool ended = true;

        for (unsigned k = 0; k < (n->explicit_needs ? n->n_needs : a->def->node); k++)
                ended = ended && activity_state_is_terminal(r->activities[p->first_activity + (n->explicit_needs ? n->needs[k] : k)].state);
        return ended;
}

static bool names_failure(const Expr *e) {
        return e && expr_status_used(e) & (EXPR_STATUS_FAILURE | EXPR_STATUS_ALWAYS);
}

static int check_phase_started(Invariants *v, const Run *r, const Event *e) {
        const PhaseDef *p = &r->runbook->phases[e->phase];

        if (r->state != RUN_RUNNING && r->state != RUN_ON_HOLD)
                return broken(v, "phase %s started in a run that is %s", p->name, run_state_to_string(r->state));
        if (!phase_needs_ended(r, p->index))
                return broken(v, "phase %s started before what it needs had ended", p->name);
        if (phase_needs_failed(r, p->index) && !names_failure(p->condition))
                return broken(v, "phase %s started although what it needs failed", p->name);
        return v->cancel_asked || v->timed_out ? broken(v, "phase %s started in a run that stops", p->name) : 0;
}

static int check_attempt_started(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = &r->activities[e->activity];
        const PhaseDef *p = &r->runbook->phases[a->def->phase];

        memset(v->starts + v->first[e->activity], 0, a->def->n_steps * sizeof *v->starts);
        if (v->cancel_asked || v->timed_out)
                return broken(v, "%s began an attempt in a run that stops", a->def->name);
        if (r->phases[a->def->phase].state != PHASE_RUNNING)
                return broken(v, "%s began an attempt in a phase that does not run", a->def->name);
        if (!activity_needs_ended(r, a))
                return broken(v, "%s began before what it needs had ended", a->def->name);
        if (activity_needs_failed(r, p, a->def->node) && !names_failure(a->def->condition))
                return broken(v, "%s began although what it needs failed", a->def->name);
        if ((e->cause == CAUSE_INITIAL) != (a->n_attempts == 0))
                return broken(v, "attempt %u of %s has the cause %s", e->attempt, a->def->name, cause_to_string(e->cause));
        return 0;
}

/* ---- attempts ---- */

static bool hooks_were_stopped(const Invariants *v, const Run *r, const Activity *a) {
        return r->stop == STOP_CANCEL_HOOKS || a->given_up;
}

static bool list_ran(const Activity *a, const Attempt *t, StepList l) {
        for (unsigned i = a->def->list_start[l]; i < a->def->list_start[l + 1]; i++)
                if (t->steps[i].state != STEP_PENDING)
                        return true;
        return false;
}

static bool list_is_complete(const Activity *a, const Attempt *t, StepList l) {
        for (unsigned i = a->def->list_start[l]; i < a->def->list_start[l + 1]; i++)
                if (!step_state_is_terminal(t->steps[i].state))
                        return false;
        return true;
}

/* Called with the state before the attempt ends. */
static int check_attempt_finished(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = &r->activities[e->activity];
        const Attempt *t = activity_attempt(a);

        for (unsigned i = 0; i < a->def->n_steps; i++)
                if (t->steps[i].state == STEP_RUNNING || t->steps[i].state == STEP_WAITING_APPROVAL)
                        return broken(v, "an attempt of %s ended while %s was not over", a->def->name, a->def->steps[i].id);
        if (!hooks_were_stopped(v, r, a) && !(t->hooks_timed_out & (1u << LIST_POST)) && !list_is_complete(a, t, LIST_POST))
                return broken(v, "post of %s attempt %u did not run", a->def->name, t->number);
        if (list_ran(a, t, LIST_ON_SUCCESS) && list_ran(a, t, LIST_ON_FAILURE))
                return broken(v, "onSuccess and onFailure of %s both ran", a->def->name);
        if (e->attempt_state != ATTEMPT_SUCCESS && !a->given_up && list_ran(a, t, LIST_ON_SUCCESS))
                return broken(v, "onSuccess of %s ran in an attempt that ended %s", a->def->name,
                                attempt_state_to_string(e->attempt_state));
        if (e->attempt_state != ATTEMPT_FAILED && e->attempt_state != ATTEMPT_CANCELLED && list_ran(a, t, LIST_ON_FAILURE))
                return broken(v, "onFailure of %s ran in an attempt that ended %s", a->def->name,
                                attempt_state_to_string(e->attempt_state));
        return 0;
}

static int check_backoff(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = &r->activities[e->activity];
        const Attempt *t = activity_attempt(a);

        if (list_ran(a, t, LIST_ON_FAILURE) || list_ran(a, t, LIST_ON_SUCCESS))
                return broken(v, "%s is retried after an attempt that ran as the deciding one", a->def->name);
        if (a->series_retries >= a->def->retry.max)
                return broken(v, "%s is retried more than %u times", a->def->name, a->def->retry.max);
        if (v->cancel_asked || v->timed_out)
                return broken(v, "%s waits for a retry in a run that stops", a->def->name);
        return 0;
}

static int check_activity_finished(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = &r->activities[e->activity];
        const Attempt *t = activity_attempt(a);
        const PhaseDef *p = &r->runbook->phases[a->def->phase];
        StepList l = e->activity_state == ACTIVITY_SUCCESS ? LIST_ON_SUCCESS : LIST_ON_FAILURE;

        if (e->activity_state == ACTIVITY_FAILED && (a->def->failure_policy != FAILURE_CONTINUE || a->given_up) && v->deciding < 0)
                v->deciding = e->activity;
        if (e->activity_state == ACTIVITY_SKIPPED && !a->def->condition && r->phases[a->def->phase].state == PHASE_RUNNING &&
                        !activity_needs_failed(r, p, a->def->node))
                return broken(v, "%s was skipped without a reason", a->def->name);
        if (!t || (e->activity_state != ACTIVITY_SUCCESS && e->activity_state != ACTIVITY_FAILED))
                return 0;
        if (!hooks_were_stopped(v, r, a) && !(t->hooks_timed_out & (1u << l)) && t->state != ATTEMPT_INTERRUPTED &&
                        !list_is_complete(a, t, l))
                return broken(v, "%s ended and %s did not run", a->def->name, step_list_to_string(l));
        return 0;
}

/* ---- steps ---- */

static int check_step_started(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = &r->activities[e->activity];
        const StepRun *s = &activity_attempt(a)->steps[e->step];
        StepList l = a->def->steps[e->step].list;
        unsigned *n = &v->starts[v->first[e->activity] + (unsigned) e->step];

        if (++*n > (s->rerun ? 2u : 1u))
                return broken(v, "step %s of %s ran %u times in one attempt", a->def->steps[e->step].id, a->def->name, *n);
        if (r->stop >= STOP_RUN_TIMEOUT && (l == LIST_PRE || l == LIST_MAIN))
                return broken(v, "step %s of %s started in a run that stops", a->def->steps[e->step].id, a->def->name);
        if (r->stop == STOP_CANCEL_HOOKS)
                return broken(v, "step %s of %s started after a second cancel", a->def->steps[e->step].id, a->def->name);
        return 0;
}

/* ---- the run ---- */

static bool every_phase_was_skipped(const Run *r) {
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (r->phases[i].state != PHASE_SKIPPED)
                        return false;
        return true;
}

static RunState failed_state(const Run *r, int deciding) {
        const Activity *a = &r->activities[deciding];
        const char *code = error_code(activity_error(a));

        if (streq(code, "APPROVAL_TIMEOUT"))
                return RUN_TIMED_OUT;
        if (streq(code, "APPROVAL_REJECTED"))
                return RUN_REJECTED;
        return a->def->retry.max > 0 && a->series_retries == a->def->retry.max ? RUN_EXHAUSTED : RUN_FAILED;
}

static RunState expected_end(const Invariants *v, const Run *r) {
        if (v->gave_up)
                return RUN_DLQ;
        if (v->cancel_asked)
                return RUN_CANCELLED;
        if (v->timed_out)
                return RUN_TIMED_OUT;
        if (v->deciding >= 0)
                return failed_state(r, v->deciding);
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (r->phases[i].state == PHASE_FAILED)
                        return RUN_FAILED;
        return every_phase_was_skipped(r) ? RUN_SKIPPED : RUN_SUCCESS;
}

static int check_run_finished(Invariants *v, const Run *r, const Event *e) {
        RunState end = expected_end(v, r);

        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                if (!activity_state_is_terminal(r->activities[i].state))
                        return broken(v, "the run ended and %s had not", r->activities[i].def->name);
        return end == e->run_state ? 0 : broken(v, "the run ended %s, not %s", run_state_to_string(e->run_state), run_state_to_string(end));
}

static int note_cancel(Invariants *v, const Run *r, const Event *e) {
        v->cancel_asked = true;
        return 0;
}

static int note_timed_out(Invariants *v, const Run *r, const Event *e) {
        v->timed_out = true;
        return r->state == RUN_ON_HOLD ? broken(v, "the run's timeout passed while it was on hold") : 0;
}

static int note_gave_up(Invariants *v, const Run *r, const Event *e) {
        v->gave_up = true;
        return 0;
}

/* What must hold when an event comes, in the state before it. */
static int (*const checks[_EVENT_TYPE_MAX])(Invariants *v, const Run *r, const Event *e) = {
        [EVENT_RUN_CANCEL] = note_cancel,
        [EVENT_RUN_TIMED_OUT] = note_timed_out,
        [EVENT_RUN_GAVE_UP] = note_gave_up,
        [EVENT_RUN_FINISHED] = check_run_finished,
        [EVENT_PHASE_STARTED] = check_phase_started,
        [EVENT_ATTEMPT_STARTED] = check_attempt_started,
        [EVENT_ATTEMPT_FINISHED] = check_attempt_finished,
        [EVENT_STEP_STARTED] = check_step_started,
        [EVENT_REQUEST_OPENED] = check_step_started,
        [EVENT_ACTIVITY_BACKOFF] = check_backoff,
        [EVENT_ACTIVITY_FINISHED] = check_activity_finished,
};

static int on_event(void *userdata, const World *w, const EventText *row) {
        Invariants *v = userdata;
        _cleanup_(event_freep) Event *e = NULL;
        Run *r = v->shadow;
        States before, after;

        if (event_decode(row, w->runbook, &e) < 0)
                return broken(v, "a stored %s can't be read", row->type);
        before = states_at(r, e);
        if (run_state_is_terminal(before.run))
                return broken(v, "%s came after the run had ended", row->type);
        if (e->activity >= 0 && activity_state_is_terminal(before.activity))
                return broken(v, "%s came after %s had ended", row->type, row->subject);
        if (checks[e->type] && checks[e->type](v, r, e) < 0)
                return -EBADMSG;
        if (run_apply(r, e) < 0)
                return broken(v, "the stored %s %s does not fold", row->type, strempty(row->subject));
        after = states_at(r, e);
        return check_moves(v, e, &before, &after);
}

/* ---- after a turn ---- */

static int check_counts(Invariants *v, const Run *r) {
        unsigned moving = 0, waiting = 0, counts[_ACTIVITY_STATE_MAX] = { 0 };

        for (unsigned i = 0; i < r->runbook->n_phases; i++) {
                const Phase *p = &r->phases[i];
                unsigned phase_moving = 0, phase_waiting = 0, ended = 0, ready = 0;

                for (unsigned k = 0; k < p->def->n_activities; k++) {
                        const Activity *a = &r->activities[p->def->first_activity + k];
                        phase_moving += a->state == ACTIVITY_RUNNING || a->state == ACTIVITY_BACKOFF || a->state == ACTIVITY_INTERRUPTED;
                        phase_waiting += a->state == ACTIVITY_ON_HOLD;
                        ended += activity_state_is_terminal(a->state);
                        ready += a->ready;
                        counts[a->state]++;
                }
                if (phase_moving != p->n_moving || phase_waiting != p->n_waiting || ended != p->n_ended || ready != p->n_ready)
                        return broken(v, "phase %s counts wrong", p->def->name);
                moving += phase_moving;
                waiting += phase_waiting;
        }
        if (moving != r->n_moving || waiting != r->n_waiting || memcmp(counts, r->counts, sizeof counts) != 0)
                return broken(v, "the run counts wrong");
        return 0;
}

static const Process *process_of(const World *w, const Activity *a) {
        for (size_t i = 0; i < w->n_processes; i++)
                if (w->processes[i].activity == a)
                        return &w->processes[i];
        return NULL;
}

static int check_processes(Invariants *v, const World *w) {
        unsigned running = 0;

        if (w->n_processes > w->max_slots && w->slots > 0)
                return broken(v, "more processes than slots");
        for (unsigned i = 0; i < w->runbook->n_activities; i++) {
                const Activity *a = &w->run->activities[i];
                const Process *p = process_of(w, a);
                int step = activity_running_step(a);
                bool runs = step >= 0 && activity_attempt(a)->steps[step].state == STEP_RUNNING;

                running += runs;
                if (runs != (p != NULL) || (runs && p->step != step))
                        return broken(v, "%s: the step that runs is not the process that runs", a->def->name);
        }
        return running == w->n_processes ? 0 : broken(v, "processes of nobody");
}

/* Which deadlines a state calls for. */
static int check_deadlines(Invariants *v, const World *w, const Activity *a) {
        const Attempt *t = activity_attempt(a);
        int step = activity_running_step(a);
        const StepDef *d = step >= 0 ? &a->def->steps[step] : NULL;
        bool runs = d && t->steps[step].state == STEP_RUNNING, in_main = d && (d->list == LIST_PRE || d->list == LIST_MAIN);
        bool of_step = runs && MIN(d->timeout, d->handler_timeout) != USEC_INFINITY && !t->step_timed_out;
        bool of_wait = (a->state == ACTIVITY_BACKOFF && !a->ready) ||
                        (a->request && d && MIN(d->request.timeout, d->timeout) != USEC_INFINITY);
        bool of_main = runs && in_main && a->def->timeout != USEC_INFINITY && t->stop == STOP_NOTHING;
        bool of_hook = runs && !in_main && !(t->hooks_timed_out & (1u << d->list));

        if ((a->step_deadline.when != USEC_INFINITY) != of_step)
                return broken(v, "%s: its step's deadline is %sarmed", a->def->name, of_step ? "not " : "");
        if ((a->wait_deadline.when != USEC_INFINITY) != of_wait)
                return broken(v, "%s: the deadline of its wait is %sarmed", a->def->name, of_wait ? "not " : "");
        if (runs && (a->attempt_deadline.when != USEC_INFINITY) != (of_main || of_hook))
                return broken(v, "%s: its attempt's deadline is %sarmed", a->def->name, of_main || of_hook ? "not " : "");
        if ((!t || t->state != ATTEMPT_RUNNING || a->state == ACTIVITY_BACKOFF || (a->state == ACTIVITY_ON_HOLD && in_main)) &&
                        a->attempt_deadline.when != USEC_INFINITY)
                return broken(v, "%s: the deadline of an attempt that does not run is armed", a->def->name);
        return 0;
}

/* Is the next deadline the earliest of all? */
static int check_heaps(Invariants *v, const World *w) {
        const Run *r = w->run;
        usec_t steps = USEC_INFINITY, waits = r->deadline.when;

        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                steps = MIN(steps, MIN(r->activities[i].step_deadline.when, r->activities[i].attempt_deadline.when));
                waits = MIN(waits, r->activities[i].wait_deadline.when);
        }
        if (run_next_deadline(r, CLOCK_OF_STEPS) != steps || run_next_deadline(r, CLOCK_OF_WAITS) != waits)
                return broken(v, "the next deadline is not the earliest");
        return 0;
}

static int check_run_clock(Invariants *v, const World *w) {
        const Run *r = w->run;
        bool counts = r->state == RUN_RUNNING && r->runbook->timeout != USEC_INFINITY && r->stop == STOP_NOTHING;

        if (run_state_is_terminal(r->state))
                return 0;
        if ((r->deadline.when != USEC_INFINITY) != counts)
                return broken(v, "the run's deadline is %sarmed", counts ? "not " : "");
        if (run_next_deadline(r, CLOCK_OF_STEPS) <= w->now.mono || run_next_deadline(r, CLOCK_OF_WAITS) <= w->now.boottime)
                return broken(v, "a deadline has passed and nothing came of it");
        if ((r->state == RUN_ON_HOLD) != (r->n_waiting > 0 && r->n_moving == 0 && !r->ready.first && r->stop == STOP_NOTHING))
                return broken(v, "the run is %s with %u waiting and %u moving", run_state_to_string(r->state), r->n_waiting, r->n_moving);
        return 0;
}

static int on_turn(void *userdata, const World *w) {
        Invariants *v = userdata;
        int r = check_counts(v, w->run);

        if (r >= 0)
                r = check_processes(v, w);
        if (r >= 0)
                r = check_run_clock(v, w);
        if (r >= 0)
                r = check_heaps(v, w);
        for (unsigned i = 0; r >= 0 && !run_state_is_terminal(w->run->state) && i < w->runbook->n_activities; i++)
                r = check_deadlines(v, w, &w->run->activities[i]);
        if (r >= 0) {
                _cleanup_free_ char *difference = run_difference(w->run, v->shadow);
                if (difference)
                        r = broken(v, "the fold differs from the live run: %s", difference);
        }
        return r;
}

void invariants_watch(Invariants *v, World *w) {
        w->watcher = (Watcher) { .event = on_event, .turn = on_turn, .userdata = v };
}
