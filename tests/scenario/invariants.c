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

static void watched_done(Watched *w, unsigned n) {
        for (unsigned i = 0; w && i < n; i++)
                free(w[i].starts);
        free(w);
}

/* An activity that another definition has, too, keeps what is known of it. */
static int watch_definition(Invariants *v, const Runbook *old, const Runbook *new) {
        Watched *all = calloc(MAX(new->n_activities, 1u), sizeof *all);
        int r = all ? 0 : -ENOMEM;

        for (unsigned i = 0; r >= 0 && i < new->n_activities; i++) {
                const ActivityDef *was = old ? runbook_activity(old, new->activities[i].name) : NULL;
                Watched *w = was ? &v->watched[was->index] : NULL;

                if (w)
                        all[i] = *w;
                all[i].n_steps = new->activities[i].n_steps;
                all[i].starts = calloc(MAX(all[i].n_steps, 1u), sizeof *all[i].starts);
                if (!all[i].starts)
                        r = -ENOMEM;
                else if (w)
                        memcpy(all[i].starts, w->starts, MIN(w->n_steps, all[i].n_steps) * sizeof *w->starts);
        }
        watched_done(v->watched, v->n_watched);
        v->watched = all;
        v->n_watched = all ? new->n_activities : 0;
        return r;
}

int invariants_init(Invariants *v, uint32_t id, Runbook *runbook) {
        int r;

        *v = (Invariants) { 0 };
        r = watch_definition(v, NULL, runbook);
        return r < 0 ? r : run_new(id, runbook, &v->shadow);
}

void invariants_done(Invariants *v) {
        run_free(v->shadow);
        watched_done(v->watched, v->n_watched);
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
        const Activity *a = e->activity >= 0 ? r->activities[e->activity] : NULL;
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

        if (e->type == EVENT_RUN_CREATED)
                return y->run == (e->until > 0 ? RUN_SCHEDULED : RUN_QUEUED) ? 0 : broken(v, "a new run is %s", run_state_to_string(y->run));
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
        const Phase *p = &r->phases[i];

        return (p->state == PHASE_FAILED && p->def->critical) || p->state == PHASE_CANCELLED || phase_needs_failed(r, i);
}

static bool activity_chain_failed(const Invariants *v, const Run *r, const PhaseDef *p, unsigned node);
static bool activity_needs_failed(const Invariants *v, const Run *r, const PhaseDef *p, unsigned node) {
        const GraphNode *n = &p->graph.nodes[node];
        bool failed = false;

        for (unsigned k = 0; k < (n->explicit_needs ? n->n_needs : node); k++)
                failed = failed || activity_chain_failed(v, r, p, n->explicit_needs ? n->needs[k] : k);
        return failed;
}

static bool activity_chain_failed(const Invariants *v, const Run *r, const PhaseDef *p, unsigned node) {
        return v->watched[p->first_activity + node].bad || r->activities[p->first_activity + node]->state == ACTIVITY_CANCELLED ||
               activity_needs_failed(v, r, p, node);
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
                ended = ended && activity_state_is_terminal(r->activities[p->first_activity + (n->explicit_needs ? n->needs[k] : k)]->state);
        return ended;
}

static bool names_failure(const Expr *e) {
        return e && expr_status_used(e) & (EXPR_STATUS_FAILURE | EXPR_STATUS_ALWAYS);
}

/* Nothing starts in a pause, nor in a run that stops. */
static int check_may_start(Invariants *v, const Run *r, const char *what) {
        if (r->state != RUN_RUNNING && r->state != RUN_ON_HOLD)
                return broken(v, "%s started in a run that is %s", what, run_state_to_string(r->state));
        return v->cancel_asked || v->timed_out ? broken(v, "%s started in a run that stops", what) : 0;
}

static int check_phase_started(Invariants *v, const Run *r, const Event *e) {
        const PhaseDef *p = &r->runbook->phases[e->phase];

        if (!phase_needs_ended(r, p->index))
                return broken(v, "phase %s started before what it needs had ended", p->name);
        if (phase_needs_failed(r, p->index) && !names_failure(p->condition))
                return broken(v, "phase %s started although what it needs failed", p->name);
        if (r->phases[e->phase].not_selected)
                return broken(v, "phase %s started and was not selected", p->name);
        return check_may_start(v, r, p->name);
}

static Cause expected_cause(const Invariants *v, const Run *r, const Activity *a) {
        if (a->state == ACTIVITY_BACKOFF)
                return CAUSE_RETRY;
        if (a->state == ACTIVITY_INTERRUPTED)
                return CAUSE_RESUME;
        if (v->watched[a->def->index].attempted && a->resolution == RESOLUTION_RETRY)
                return CAUSE_MANUAL;
        return r->attempt > 1 ? CAUSE_RUN_RETRY : CAUSE_INITIAL;
}

static int check_attempt_started(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = r->activities[e->activity];
        const PhaseDef *p = &r->runbook->phases[a->def->phase];
        Watched *w = &v->watched[e->activity];

        memset(w->starts, 0, w->n_steps * sizeof *w->starts);
        if (r->phases[a->def->phase].state != PHASE_RUNNING)
                return broken(v, "%s began an attempt in a phase that does not run", a->def->name);
        if (!activity_needs_ended(r, a))
                return broken(v, "%s began before what it needs had ended", a->def->name);
        if (activity_needs_failed(v, r, p, a->def->node) && !names_failure(a->def->condition))
                return broken(v, "%s began although what it needs failed", a->def->name);
        if (e->cause != expected_cause(v, r, a))
                return broken(v, "attempt %u of %s has the cause %s", e->attempt, a->def->name, cause_to_string(e->cause));
        if (w->succeeded)
                return broken(v, "%s began again although it had succeeded", a->def->name);
        w->attempted = true;
        return check_may_start(v, r, a->def->name);
}

/* ---- attempts ---- */

static bool hooks_were_stopped(const Invariants *v, const Run *r, const Activity *a) {
        return r->stop == STOP_CANCEL_HOOKS || a->given_up;
}

static bool list_ran(const Attempt *t, StepList l) {
        for (unsigned i = t->def->list_start[l]; i < t->def->list_start[l + 1]; i++)
                if (t->steps[i].state != STEP_PENDING)
                        return true;
        return false;
}

static bool list_is_complete(const Attempt *t, StepList l) {
        for (unsigned i = t->def->list_start[l]; i < t->def->list_start[l + 1]; i++)
                if (!step_state_is_terminal(t->steps[i].state))
                        return false;
        return true;
}

/* Called with the state before the attempt ends. */
static int check_attempt_finished(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = r->activities[e->activity];
        const Attempt *t = activity_attempt(a);

        for (unsigned i = 0; i < t->def->n_steps; i++)
                if (t->steps[i].state != STEP_PENDING && !step_state_is_terminal(t->steps[i].state))
                        return broken(v, "an attempt of %s ended while %s was not over", a->def->name, a->def->steps[i].id);
        if (!hooks_were_stopped(v, r, a) && !(t->hooks_timed_out & (1u << LIST_POST)) && !list_is_complete(t, LIST_POST))
                return broken(v, "post of %s attempt %u did not run", a->def->name, t->number);
        if (list_ran(t, LIST_ON_SUCCESS) && list_ran(t, LIST_ON_FAILURE))
                return broken(v, "onSuccess and onFailure of %s both ran", a->def->name);
        if (e->attempt_state != ATTEMPT_SUCCESS && !a->given_up && list_ran(t, LIST_ON_SUCCESS))
                return broken(v, "onSuccess of %s ran in an attempt that ended %s", a->def->name,
                                attempt_state_to_string(e->attempt_state));
        if (e->attempt_state != ATTEMPT_FAILED && e->attempt_state != ATTEMPT_CANCELLED && list_ran(t, LIST_ON_FAILURE) &&
                        !(e->attempt_state == ATTEMPT_INTERRUPTED && t->def->on_interrupt == INTERRUPT_FAIL))
                return broken(v, "onFailure of %s ran in an attempt that ended %s", a->def->name,
                                attempt_state_to_string(e->attempt_state));
        return 0;
}

static int check_backoff(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = r->activities[e->activity];
        const Attempt *t = activity_attempt(a);

        if (list_ran(t, LIST_ON_FAILURE) || list_ran(t, LIST_ON_SUCCESS))
                return broken(v, "%s is retried after an attempt that ran as the deciding one", a->def->name);
        if (a->series_retries >= a->def->retry.max)
                return broken(v, "%s is retried more than %u times", a->def->name, a->def->retry.max);
        if (v->cancel_asked || v->timed_out)
                return broken(v, "%s waits for a retry in a run that stops", a->def->name);
        return 0;
}

/* The hooks of the deciding attempt of a series are over before anything is done about its end. */
static int check_series_is_over(Invariants *v, const Run *r, const Activity *a, StepList l) {
        const Attempt *t = activity_attempt(a);

        if (!v->watched[a->def->index].attempted || hooks_were_stopped(v, r, a) || t->state == ATTEMPT_INTERRUPTED || t->hooks_timed_out & (1u << l))
                return 0;
        return list_is_complete(t, l) ? 0 : broken(v, "%s ended and %s did not run", a->def->name, step_list_to_string(l));
}

static bool is_of_a_person(const char *code) {
        return streq(code, "APPROVAL_REJECTED") || streq(code, "APPROVAL_TIMEOUT") || streq(code, "INPUT_TIMEOUT");
}

static int note_failed(Invariants *v, const Run *r, const Activity *a, const Event *e) {
        const char *code = error_code(e->error ? e->error : activity_error(a));
        bool expired = e->error && streq(code, "INPUT_TIMEOUT"); /* HoldTimeoutSec aborts like a person */

        v->aborted = v->aborted || expired;
        if (a->def->failure_policy == FAILURE_HOLD && !a->aborted && !v->gave_up && r->stop == STOP_NOTHING && !is_of_a_person(code))
                return broken(v, "%s failed and nobody was asked", a->def->name);
        v->watched[e->activity].bad = a->def->failure_policy != FAILURE_CONTINUE || a->given_up || a->aborted || expired;
        if (v->watched[e->activity].bad && r->runbook->phases[a->def->phase].critical && !v->deciding)
                v->deciding = a;
        return check_series_is_over(v, r, a, LIST_ON_FAILURE);
}

static int check_activity_finished(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = r->activities[e->activity];
        const PhaseDef *p = &r->runbook->phases[a->def->phase];

        if (e->activity_state == ACTIVITY_FAILED)
                return note_failed(v, r, a, e);
        if (e->activity_state == ACTIVITY_SKIPPED && !a->def->condition && r->phases[a->def->phase].state == PHASE_RUNNING &&
                        !activity_needs_failed(v, r, p, a->def->node))
                return broken(v, "%s was skipped without a reason", a->def->name);
        if (e->activity_state == ACTIVITY_IGNORED && a->resolution != RESOLUTION_IGNORE)
                return broken(v, "%s was ignored by nobody", a->def->name);
        if (e->activity_state != ACTIVITY_SUCCESS)
                return 0;
        v->watched[e->activity].succeeded = true;
        return check_series_is_over(v, r, a, LIST_ON_SUCCESS);
}

static int check_held(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = r->activities[e->activity];
        const Attempt *t = activity_attempt(a);
        bool interrupted = t && t->state == ATTEMPT_INTERRUPTED && a->def->on_interrupt == INTERRUPT_HOLD;

        if (a->def->failure_policy != FAILURE_HOLD && !interrupted)
                return broken(v, "%s is held and its failurePolicy is %s", a->def->name, failure_policy_to_string(a->def->failure_policy));
        if (v->cancel_asked || v->timed_out || v->gave_up)
                return broken(v, "%s is held in a run that stops", a->def->name);
        return check_series_is_over(v, r, a, LIST_ON_FAILURE);
}

static int note_decided(Invariants *v, const Run *r, const Event *e) {
        const char *action = json_string(json_get(e->data, "action"));

        if (e->uid == UID_ENGINE || !e->user)
                return broken(v, "nobody decided about %s", r->activities[e->activity]->def->name);
        v->aborted = v->aborted || streq_ptr(action, "abort");
        return 0;
}

static int note_reused(Invariants *v, const Run *r, const Event *e) {
        v->watched[e->activity].succeeded = e->activity_state == ACTIVITY_SUCCESS;
        return 0;
}

/* ---- steps ---- */

/* A gate sends the attempt back: what it does again it may begin again. */
static int note_step_finished(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = r->activities[e->activity];
        const char *id = json_string(json_get(e->data, "restartFrom"));
        const StepDef *d = &a->def->steps[e->step];
        int to = id ? activity_def_find_step(a->def, id) : -1;

        if (!id)
                return 0;
        if (d->kind != STEP_GATE || to < 0 || to >= e->step || a->def->steps[to].list != d->list)
                return broken(v, "step %s of %s goes back to %s", d->id, a->def->name, id);
        if (activity_attempt(a)->steps[e->step].iterations >= d->gate.max_iterations)
                return broken(v, "the gate %s of %s goes back too often", d->id, a->def->name);
        for (int i = to; i <= e->step; i++)
                v->watched[e->activity].starts[i] = 0;
        return 0;
}

static int check_step_started(Invariants *v, const Run *r, const Event *e) {
        const Activity *a = r->activities[e->activity];
        const StepRun *s = &activity_attempt(a)->steps[e->step];
        StepList l = a->def->steps[e->step].list;
        unsigned *n = &v->watched[e->activity].starts[e->step];

        if (++*n > (s->rerun ? 2u : 1u))
                return broken(v, "step %s of %s ran %u times in one attempt", a->def->steps[e->step].id, a->def->name, *n);
        if (s->reused)
                return broken(v, "step %s of %s ran although it was taken over", a->def->steps[e->step].id, a->def->name);
        if (r->stop >= STOP_RUN_TIMEOUT && (l == LIST_PRE || l == LIST_MAIN))
                return broken(v, "step %s of %s started in a run that stops", a->def->steps[e->step].id, a->def->name);
        if (r->stop == STOP_CANCEL_HOOKS)
                return broken(v, "step %s of %s started after a second cancel", a->def->steps[e->step].id, a->def->name);
        if (r->state != RUN_RUNNING && r->state != RUN_ON_HOLD)
                return broken(v, "step %s of %s started in a run that is %s", a->def->steps[e->step].id, a->def->name, run_state_to_string(r->state));
        return 0;
}

/* ---- the run ---- */

static bool every_phase_was_skipped(const Run *r) {
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (r->phases[i].state != PHASE_SKIPPED)
                        return false;
        return true;
}

static bool was_partial(const Run *r) {
        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                if (r->activities[i]->state == ACTIVITY_IGNORED || (r->activities[i]->state == ACTIVITY_FAILED && r->activities[i]->tolerated))
                        return true;
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (r->phases[i].state == PHASE_FAILED && !r->phases[i].def->critical)
                        return true;
        return false;
}

static RunState failed_or_exhausted(const Run *r, const Activity *a) {
        bool of_run = r->runbook->retry.max > 0 && r->attempt == r->runbook->retry.max + 1;

        return of_run || (a && a->def->retry.max > 0 && a->series_retries == a->def->retry.max) ? RUN_EXHAUSTED : RUN_FAILED;
}

static RunState failed_state(const Run *r, const Activity *a) {
        const char *code = error_code(activity_error(a));

        if (streq(code, "APPROVAL_TIMEOUT") || streq(code, "INPUT_TIMEOUT"))
                return RUN_TIMED_OUT;
        return streq(code, "APPROVAL_REJECTED") ? RUN_REJECTED : failed_or_exhausted(r, a);
}

static RunState expected_end(const Invariants *v, const Run *r) {
        if (v->gave_up && r->state != RUN_DLQ)
                return RUN_DLQ;
        if (v->cancel_asked)
                return RUN_CANCELLED;
        if (v->timed_out)
                return RUN_TIMED_OUT;
        if (v->deciding)
                return failed_state(r, v->deciding);
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (r->phases[i].state == PHASE_FAILED && r->phases[i].def->critical)
                        return failed_or_exhausted(r, NULL);
        if (was_partial(r) && r->runbook->partial_success != PARTIAL_SUCCESS)
                return r->runbook->partial_success == PARTIAL_ALLOW ? RUN_PARTIAL_SUCCESS : failed_or_exhausted(r, NULL);
        return every_phase_was_skipped(r) ? RUN_SKIPPED : RUN_SUCCESS;
}

static int check_all_ended(Invariants *v, const Run *r) {
        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                if (!activity_state_is_terminal(r->activities[i]->state))
                        return broken(v, "the run ended and %s had not", r->activities[i]->def->name);
        return 0;
}

/* Would the run's policy try it again as a whole? */
static bool is_tried_again(const Invariants *v, const Run *r, RunState end) {
        const char *code = v->deciding ? error_code(activity_error(v->deciding)) : "";

        return (end == RUN_FAILED || end == RUN_EXHAUSTED) && !v->aborted && retry_policy_allows(&r->runbook->retry, r->attempt, code);
}

static int check_run_finished(Invariants *v, const Run *r, const Event *e) {
        RunState end = expected_end(v, r);

        if (end != e->run_state)
                return broken(v, "the run ended %s, not %s", run_state_to_string(e->run_state), run_state_to_string(end));
        if (is_tried_again(v, r, end))
                return broken(v, "the run ended %s and could have been tried again", run_state_to_string(end));
        return check_all_ended(v, r);
}

static int check_run_backoff(Invariants *v, const Run *r, const Event *e) {
        RunState end = expected_end(v, r);

        if (!is_tried_again(v, r, end))
                return broken(v, "the run is tried again although it ends %s", run_state_to_string(end));
        return check_all_ended(v, r);
}

/* What was is forgotten, and what was done is done again. */
static int note_run_started(Invariants *v, const Run *r, const Event *e) {
        if (v->cancel_asked || v->timed_out || v->gave_up || r->workspace_wanted)
                return broken(v, "the run started all the same");
        if (r->started_at == 0)
                return 0;
        v->deciding = NULL;
        for (unsigned i = 0; i < v->n_watched; i++)
                v->watched[i].attempted = v->watched[i].succeeded = v->watched[i].bad = false;
        return 0;
}

static int note_workspace(Invariants *v, const Run *r, const Event *e) {
        v->gave_up = v->gave_up || e->error;
        return 0;
}

static int note_cancel(Invariants *v, const Run *r, const Event *e) {
        v->cancel_asked = true;
        return 0;
}

static int note_timed_out(Invariants *v, const Run *r, const Event *e) {
        v->timed_out = true;
        return r->state == RUN_ON_HOLD || r->state == RUN_PAUSED ? broken(v, "the run's timeout passed while it was %s",
                        run_state_to_string(r->state)) : 0;
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
        [EVENT_RUN_WORKSPACE] = note_workspace,
        [EVENT_RUN_STARTED] = note_run_started,
        [EVENT_RUN_BACKOFF] = check_run_backoff,
        [EVENT_RUN_FINISHED] = check_run_finished,
        [EVENT_PHASE_STARTED] = check_phase_started,
        [EVENT_ATTEMPT_STARTED] = check_attempt_started,
        [EVENT_ATTEMPT_FINISHED] = check_attempt_finished,
        [EVENT_STEP_STARTED] = check_step_started,
        [EVENT_STEP_FINISHED] = note_step_finished,
        [EVENT_REQUEST_OPENED] = check_step_started,
        [EVENT_ACTIVITY_BACKOFF] = check_backoff,
        [EVENT_ACTIVITY_REUSED] = note_reused,
        [EVENT_ACTIVITY_HELD] = check_held,
        [EVENT_ACTIVITY_DECIDED] = note_decided,
        [EVENT_ACTIVITY_FINISHED] = check_activity_finished,
};

/* A parked run may still be cancelled. */
static int check_nothing_has_ended(Invariants *v, const Event *e, const States *before, const EventText *row) {
        bool parked = before->run == RUN_DLQ && (e->type == EVENT_RUN_CANCEL || e->type == EVENT_RUN_FINISHED);

        if (row->seq != v->last_seq + 1)
                return broken(v, "event %u is stored after event %u", row->seq, v->last_seq);
        v->last_seq = row->seq;
        if (run_state_is_terminal(before->run) && !parked)
                return broken(v, "%s came after the run had ended", row->type);
        if (e->activity >= 0 && activity_state_is_terminal(before->activity))
                return broken(v, "%s came after %s had ended", row->type, row->subject);
        return 0;
}

static int on_event(void *userdata, const World *w, const EventText *row) {
        Invariants *v = userdata;
        _cleanup_(event_freep) Event *e = NULL;
        Run *r = v->shadow;
        const Runbook *was = r->runbook;
        States before, after;

        if (world_decode(w, row, r->runbook, &e) < 0)
                return broken(v, "a stored %s can't be read", row->type);
        before = states_at(r, e);
        if (check_nothing_has_ended(v, e, &before, row) < 0)
                return -EBADMSG;
        if (checks[e->type] && checks[e->type](v, r, e) < 0)
                return -EBADMSG;
        if (run_apply(r, e) < 0)
                return broken(v, "the stored %s %s does not fold", row->type, strempty(row->subject));
        if (r->runbook != was)
                return watch_definition(v, was, r->runbook);
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
                        const Activity *a = r->activities[p->def->first_activity + k];
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
        for (unsigned i = 0; i < w->run->runbook->n_activities; i++) {
                const Activity *a = w->run->activities[i];
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
        bool paused = a->run->state == RUN_PAUSED;
        bool of_wait = !paused && ((a->state == ACTIVITY_BACKOFF && !a->ready) ||
                        (a->request && d && MIN(d->request.timeout, d->timeout) != USEC_INFINITY) ||
                        (activity_waiting_for(a) == WAITING_DECISION && w->limits.hold_timeout > 0 && a->request->deadline > 0));
        bool of_main = runs && in_main && a->def->timeout != USEC_INFINITY && t->stop == STOP_NOTHING;
        bool of_hook = runs && !in_main && !(t->hooks_timed_out & (1u << d->list));

        if ((a->step_deadline.when != USEC_INFINITY) != of_step)
                return broken(v, "%s: its step's deadline is %sarmed", a->def->name, of_step ? "not " : "");
        if ((a->wait_deadline.when != USEC_INFINITY) != of_wait)
                return broken(v, "%s: the deadline of its wait is %sarmed", a->def->name, of_wait ? "not " : "");
        if (runs && (a->attempt_deadline.when != USEC_INFINITY) != (of_main || of_hook))
                return broken(v, "%s: its attempt's deadline is %sarmed", a->def->name, of_main || of_hook ? "not " : "");
        if ((!t || t->state != ATTEMPT_RUNNING || a->state == ACTIVITY_BACKOFF || (a->state == ACTIVITY_ON_HOLD && in_main) || (paused && !runs)) &&
                        a->attempt_deadline.when != USEC_INFINITY)
                return broken(v, "%s: the deadline of an attempt that does not run is armed", a->def->name);
        return 0;
}

/* Is the next deadline the earliest of all? */
static int check_heaps(Invariants *v, const World *w) {
        const Run *r = w->run;
        usec_t steps = USEC_INFINITY, waits = MIN(r->deadline.when, r->retry_deadline.when);

        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                steps = MIN(steps, MIN(r->activities[i]->step_deadline.when, r->activities[i]->attempt_deadline.when));
                waits = MIN(waits, r->activities[i]->wait_deadline.when);
        }
        if (run_next_deadline(r, CLOCK_OF_STEPS) != steps || run_next_deadline(r, CLOCK_OF_WAITS) != waits ||
                        run_next_deadline(r, CLOCK_OF_DATES) != r->start_deadline.when)
                return broken(v, "the next deadline is not the earliest");
        return 0;
}

static int check_run_clock(Invariants *v, const World *w) {
        const Run *r = w->run;
        bool tries_again = r->state == RUN_QUEUED && r->started_at > 0;
        bool counts = (r->state == RUN_RUNNING || tries_again) && r->runbook->timeout != USEC_INFINITY && r->stop == STOP_NOTHING;

        if (run_state_is_terminal(r->state))
                return 0;
        if ((r->deadline.when != USEC_INFINITY) != counts)
                return broken(v, "the run's deadline is %sarmed", counts ? "not " : "");
        if ((r->start_deadline.when != USEC_INFINITY) != (r->state == RUN_SCHEDULED && !r->workspace_wanted))
                return broken(v, "the deadline of the run's start is wrong");
        if ((r->retry_deadline.when != USEC_INFINITY) != tries_again)
                return broken(v, "the deadline of the run's next try is wrong");
        if (run_next_deadline(r, CLOCK_OF_STEPS) <= w->now.mono || run_next_deadline(r, CLOCK_OF_WAITS) <= w->now.boottime ||
                        run_next_deadline(r, CLOCK_OF_DATES) <= w->now.wall)
                return broken(v, "a deadline has passed and nothing came of it");
        return 0;
}

static int check_run_state(Invariants *v, const Run *r) {
        bool holds = r->n_waiting > 0 && r->n_moving == 0 && !r->ready.first && r->stop == STOP_NOTHING;

        if (r->state != RUN_RUNNING && r->state != RUN_ON_HOLD)
                return 0;
        if ((r->state == RUN_ON_HOLD) != holds)
                return broken(v, "the run is %s with %u waiting and %u moving", run_state_to_string(r->state), r->n_waiting, r->n_moving);
        return r->n_waiting + r->n_moving > 0 || r->ready.first ? 0 : broken(v, "the run runs and nothing in it will ever move");
}

/* Whoever was told of a request is told of its end. What comes of an answer comes at once, or after the pause. */
static int check_requests(Invariants *v, const World *w) {
        size_t open = w->n_requests - json_length(w->resolved);

        for (unsigned i = 0; i < w->run->runbook->n_activities; i++) {
                const Activity *a = w->run->activities[i];

                if (a->answered && (a->request || a->state != ACTIVITY_RUNNING || w->run->state != RUN_PAUSED))
                        return broken(v, "%s is %s with a request that has been answered", a->def->name,
                                      activity_state_to_string(a->state));
        }
        return open == w->run->n_waiting ? 0 : broken(v, "%zu requests are open and %u activities wait", open, w->run->n_waiting);
}

static int on_turn(void *userdata, const World *w) {
        Invariants *v = userdata;
        int r = check_counts(v, w->run);

        if (r >= 0)
                r = check_processes(v, w);
        if (r >= 0)
                r = check_run_clock(v, w);
        if (r >= 0)
                r = check_run_state(v, w->run);
        if (r >= 0)
                r = check_requests(v, w);
        if (r >= 0)
                r = check_heaps(v, w);
        for (unsigned i = 0; r >= 0 && !run_state_is_terminal(w->run->state) && i < w->run->runbook->n_activities; i++)
                r = check_deadlines(v, w, w->run->activities[i]);
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
