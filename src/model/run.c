/* The run as an object: making and freeing it, its work queues, and the outcome that decisions are collected in. What events mean is in
 * run-apply.c; what follows from a state is in run-decide.c and run-attempt.c. */
#include "run-private.h"

#include <stdio.h>

#include "i18n.h"

static int deadline_compare(const void *a, const void *b) {
        const Deadline *x = a, *y = b;
        return x->when < y->when ? -1 : x->when > y->when;
}

static void deadline_init(Deadline *d, DeadlineKind kind, Activity *a) {
        *d = (Deadline) { .when = USEC_INFINITY, .position = PRIOQ_NONE, .kind = kind, .activity = a };
}

int activities_new(Run *r, size_t n, Activity **ret) {
        Activity *slab;

        if (!GREEDY_REALLOC(r->slabs, r->n_slabs_allocated, r->n_slabs + 1))
                return -ENOMEM;
        slab = calloc(MAX(n, (size_t) 1), sizeof *slab);
        if (!slab)
                return -ENOMEM;
        r->slabs[r->n_slabs++] = slab;
        for (size_t i = 0; i < n; i++) {
                slab[i].run = r;
                deadline_init(&slab[i].step_deadline, DEADLINE_STEP, &slab[i]);
                deadline_init(&slab[i].attempt_deadline, DEADLINE_ATTEMPT, &slab[i]);
                deadline_init(&slab[i].wait_deadline, DEADLINE_BACKOFF, &slab[i]);
        }
        *ret = slab;
        return 0;
}

static int run_init_phases(Run *r) {
        Activity *slab;
        int k;

        r->phases = calloc(r->runbook->n_phases, sizeof *r->phases);
        r->activities = calloc(r->runbook->n_activities, sizeof *r->activities);
        if (!r->phases || !r->activities)
                return -ENOMEM;
        k = activities_new(r, r->runbook->n_activities, &slab);
        if (k < 0)
                return k;
        for (unsigned i = 0; i < r->runbook->n_phases; i++) {
                r->phases[i].def = &r->runbook->phases[i];
                r->phases[i].run = r;
                k = graph_state_init(&r->phases[i].graph, &r->phases[i].def->graph);
                if (k < 0)
                        return k;
        }
        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                r->activities[i] = &slab[i];
                slab[i].def = &r->runbook->activities[i];
        }
        r->counts[ACTIVITY_PENDING] = r->runbook->n_activities;
        return 0;
}

int run_take_definition(Run *r, Runbook *runbook) {
        if (!GREEDY_REALLOC(r->definitions, r->n_definitions_allocated, r->n_definitions + 1))
                return -ENOMEM;
        r->definitions[r->n_definitions++] = runbook_ref(runbook);
        r->runbook = runbook;
        return 0;
}

int run_new(uint32_t id, Runbook *runbook, Run **ret) {
        _cleanup_(run_freep) Run *r = calloc(1, sizeof *r);
        int k;

        if (!r)
                return -ENOMEM;
        r->id = id;
        k = run_take_definition(r, runbook);
        if (k < 0)
                return k;
        r->state = RUN_QUEUED;
        r->started_by = UID_ENGINE;
        r->root_run = id;
        r->attempt = 1;
        for (unsigned c = 0; c < _DEADLINE_CLOCK_MAX; c++)
                prioq_init(&r->deadlines[c], deadline_compare, offsetof(Deadline, position));
        deadline_init(&r->deadline, DEADLINE_RUN, NULL);
        deadline_init(&r->retry_deadline, DEADLINE_RUN_RETRY, NULL);
        deadline_init(&r->start_deadline, DEADLINE_RUN_START, NULL);
        k = run_init_phases(r);
        if (k >= 0)
                k = graph_state_init(&r->graph, &runbook->graph);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(r);
        return 0;
}

static void request_free(Request *q) {
        if (!q)
                return;
        for (size_t i = 0; i < q->n_answers; i++) {
                free(q->answers[i].user);
                free(q->answers[i].comment);
                json_unref(q->answers[i].fields);
        }
        free(q->answers);
        free(q->title);
        free(q->message);
        free(q->context);
        json_unref(q->wanted);
        free(q);
}

void activity_close_request(Activity *a) {
        request_free(TAKE_PTR(a->request));
        request_free(TAKE_PTR(a->answered));
}

static void attempt_done(Attempt *t) {
        for (unsigned i = 0; t->steps && i < t->def->n_steps; i++) {
                json_unref(t->steps[i].outputs);
                json_unref(t->steps[i].error);
        }
        free(t->steps);
        json_unref(t->context);
        json_unref(t->error);
}

void activity_done(Activity *a) {
        for (size_t i = 0; i < a->n_attempts; i++)
                attempt_done(&a->attempts[i]);
        free(a->attempts);
        free(a->reason);
        activity_close_request(a);
        json_unref(a->outputs);
        json_unref(a->error);
        json_unref(a->given_outputs);
        json_unref(a->reused_steps);
}

Run *run_free(Run *r) {
        if (!r)
                return NULL;
        for (unsigned c = 0; c < _DEADLINE_CLOCK_MAX; c++)      /* they live in activities */
                prioq_done(&r->deadlines[c]);
        for (unsigned i = 0; r->activities && i < r->runbook->n_activities; i++)
                if (r->activities[i])
                        activity_done(r->activities[i]);
        for (size_t i = 0; i < r->n_slabs; i++)
                free(r->slabs[i]);
        free(r->slabs);
        for (unsigned i = 0; r->phases && i < r->runbook->n_phases; i++) {
                graph_state_done(&r->phases[i].graph);
                free(r->phases[i].reason);
        }
        graph_state_done(&r->graph);
        free(r->activities);
        free(r->phases);
        json_unref(r->inputs);
        json_unref(r->labels);
        free(r->trigger);
        free(r->dedup_key);
        free(r->started_by_name);
        login_free(r->started_from);
        free(r->reason);
        json_unref(r->payload);
        for (size_t i = 0; i < r->n_definitions; i++)
                runbook_unref(r->definitions[i]);
        free(r->definitions);
        free(r);
        return NULL;
}

Activity *run_activity(const Run *r, const char *name) {
        const ActivityDef *d = runbook_activity(r->runbook, name);
        return d ? r->activities[d->index] : NULL;
}

Phase *activity_phase(const Activity *a) {
        return &a->run->phases[a->def->phase];
}

int activity_running_step(const Activity *a) {
        const Attempt *t = activity_attempt(a);

        if (!t || t->state != ATTEMPT_RUNNING || t->cursor >= a->def->n_steps)
                return -1;
        /* Steps are strictly in order: the one that runs is at the cursor. */
        StepState s = t->steps[t->cursor].state;
        return s == STEP_RUNNING || s == STEP_WAITING_APPROVAL || s == STEP_WAITING_INPUT ? (int) t->cursor : -1;
}

PhaseState phase_shown_state(const Phase *p) {
        bool holds = p->n_waiting > 0 && p->n_moving == 0 && p->n_ready == 0;

        return holds && !phase_state_is_terminal(p->state) ? PHASE_ON_HOLD : p->state;
}

const Json *activity_error(const Activity *a) {
        const Attempt *t = activity_current_attempt(a);

        if (a->error)
                return a->error;
        return t ? t->error : NULL;
}

WaitingFor activity_waiting_for(const Activity *a) {
        return a->request ? a->request->kind : WAITING_NOTHING;
}

bool run_attempts_exhausted(const Activity *a) {
        return a->def->retry.max > 0 && a->series_retries >= a->def->retry.max;
}

/* ---- queues ---- */

void activity_mark(Activity *a) {
        if (a->dirty)
                return;
        a->dirty = true;
        QUEUE_PUSH(dirty, &a->run->dirty, a);
}

void phase_mark(Phase *p) {
        if (p->dirty)
                return;
        p->dirty = true;
        QUEUE_PUSH(dirty, &p->run->dirty_phases, p);
}

void run_mark_all(Run *r) {
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (!phase_state_is_terminal(r->phases[i].state))
                        phase_mark(&r->phases[i]);
        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                if (!activity_state_is_terminal(r->activities[i]->state) && activity_phase(r->activities[i])->state != PHASE_PENDING)
                        activity_mark(r->activities[i]);
}

Activity *run_next_marked_activity(Run *r) {
        Activity *a = r->dirty.first;

        if (a) {
                QUEUE_REMOVE(dirty, &r->dirty, a);
                a->dirty = false;
        }
        return a;
}

Phase *run_next_marked_phase(Run *r) {
        Phase *p = r->dirty_phases.first;

        if (p) {
                QUEUE_REMOVE(dirty, &r->dirty_phases, p);
                p->dirty = false;
        }
        return p;
}

void activity_set_ready(Activity *a, bool ready) {
        if (a->ready == ready)
                return;
        a->ready = ready;
        if (ready)
                QUEUE_PUSH(ready, &a->run->ready, a);
        else
                QUEUE_REMOVE(ready, &a->run->ready, a);
        if (ready)
                activity_phase(a)->n_ready++;
        else
                activity_phase(a)->n_ready--;
}

/* ---- outcome ---- */

usec_t stamp_elapsed(const Stamp *from, const Stamp *to) {
        if (from->boot == to->boot && to->boottime >= from->boottime)
                return to->boottime - from->boottime;
        return to->wall > from->wall ? to->wall - from->wall : 0;
}

usec_t stamp_elapsed_awake(const Stamp *from, const Stamp *to) {
        if (from->boot == to->boot && from->mono > 0 && to->mono >= from->mono)
                return to->mono - from->mono;
        return stamp_elapsed(from, to);
}

Event *outcome_event_by(Outcome *o, Run *r, EventType type, const Stamp *now, const Actor *who) {
        if (!GREEDY_REALLOC(o->events, o->n_events_allocated, o->n_events + 1))
                return NULL;
        Event *e = event_new(type, now, who ? who->uid : UID_ENGINE, who ? who->user : NULL);
        return e && login_copy(who ? who->login : NULL, &e->login) < 0 ? event_free(e) : e;
}

Event *outcome_event(Outcome *o, Run *r, EventType type, const Stamp *now) {
        return outcome_event_by(o, r, type, now, NULL);
}

int outcome_apply(Outcome *o, Run *r, Event *e) {
        int k = run_apply(r, e);

        if (k < 0) {
                event_free(e);
                return k;
        }
        o->events[o->n_events++] = e;
        return 0;
}

Effect *outcome_effect(Outcome *o, EffectType type, Activity *a, int step) {
        Effect *f;

        if (!GREEDY_REALLOC(o->effects, o->n_effects_allocated, o->n_effects + 1))
                return NULL;
        f = &o->effects[o->n_effects++];
        *f = (Effect) { .type = type, .activity = a, .step = step, .uid = UID_ENGINE };
        return f;
}

int outcome_resolved(Outcome *o, Activity *a, const char *how, uint32_t uid) {
        Effect *f = outcome_effect(o, EFFECT_REQUEST_RESOLVED, a, -1);

        if (!f)
                return -ENOMEM;
        f->how = how;
        f->uid = uid;
        return 0;
}

void outcome_clear(Outcome *o) {
        for (size_t i = 0; i < o->n_events; i++)
                event_free(o->events[i]);
        for (size_t i = 0; i < o->n_effects; i++) {
                strv_free(o->effects[i].argv);
                strv_free(o->effects[i].env);
                free(o->effects[i].working_directory);
        }
        o->n_events = o->n_effects = 0;
}

void outcome_done(Outcome *o) {
        outcome_clear(o);
        free(o->events);
        free(o->effects);
        *o = (Outcome) { 0 };
}

/* ---- what people see in one line ---- */

unsigned run_pending_requests(const Run *r) {
        return r->n_waiting;
}

/* Everybody may read it, so it holds states and counts and never a reason. */
char *run_status_text(const Run *r) {
        char *s;

        if (run_state_is_terminal(r->state) || (r->n_waiting == 0 && r->stop < STOP_CANCEL))
                return strdup(run_state_to_string(r->state));
        if (r->stop >= STOP_CANCEL)
                return strdup("cancelling");
        if (asprintf(&s, P_("%u activity requires your input", "%u activities require your input", r->n_waiting), r->n_waiting) < 0)
                return NULL;
        return s;
}
