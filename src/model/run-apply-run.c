/* The part of run_apply that speaks of the run as a whole: how it comes to be, begins, is paused, cancelled, tried again and ends, and
 * how its inputs and its definition change under way. The rules are those of run-apply.c. */
#include "run-private.h"

static bool is_object_or_none(const Json *j) {
        return !j || json_type(j) == JSON_OBJECT;
}

static bool names(const Json *only, const char *phase) {
        for (size_t i = 0; i < json_length(only); i++)
                if (streq_ptr(json_string(json_at(only, i)), phase))
                        return true;
        return false;
}

/* The members of a run-created, borrowed. Most have few of them, and there are many runs: one look at what is there instead of a search for each. */
typedef struct Created {
        Json *inputs, *labels, *payload, *only, *trigger, *dedup_key, *replay_of, *root_run, *workspace_from;
} Created;

static Created read_created(const Json *data) {
        static const struct {
                const char *key;
                size_t offset;
        } members[] = {
                { "trigger", offsetof(Created, trigger) },       { "inputs", offsetof(Created, inputs) },
                { "labels", offsetof(Created, labels) },         { "dedupKey", offsetof(Created, dedup_key) },
                { "only", offsetof(Created, only) },             { "payload", offsetof(Created, payload) },
                { "replayOf", offsetof(Created, replay_of) },    { "rootRun", offsetof(Created, root_run) },
                { "workspaceFrom", offsetof(Created, workspace_from) },
        };
        Created c = { 0 };

        JSON_OBJECT_FOREACH(data, key, value)
                for (size_t i = 0; i < ELEMENTSOF(members); i++)
                        if (streq(members[i].key, key))
                                *(Json **) ((uint8_t *) &c + members[i].offset) = value;
        return c;
}

static void take_created(Run *r, const Event *e, const Created *c) {
        r->created_at = e->at.wall;
        r->started_by = e->uid;
        r->replay_of = json_u32(c->replay_of);
        r->root_run = r->replay_of > 0 ? json_u32(c->root_run) : r->id;
        r->workspace_from = json_u32(c->workspace_from);
        r->workspace_wanted = r->workspace_from > 0;
        r->scheduled_for = e->until;
        if (e->until > 0)
                r->state = RUN_SCHEDULED;
        for (unsigned i = 0; c->only && i < r->runbook->n_phases; i++)
                r->phases[i].not_selected = !names(c->only, r->phases[i].def->name);
        replace_json(&r->inputs, c->inputs);
        replace_json(&r->labels, c->labels);
        replace_json(&r->payload, c->payload);
        r->start_wanted = true;
}

int apply_run_created(Run *r, Event *e) {
        Created c = read_created(e->data);
        int k;

        if (r->created_at > 0 || !is_object_or_none(c.inputs) || !is_object_or_none(c.labels))
                return -EBADMSG;
        r->started_from = login_free(r->started_from);
        k = login_copy(e->login, &r->started_from);
        if (k >= 0)
                k = replace_string(&r->started_by_name, e->user);
        if (k >= 0)
                k = replace_string(&r->trigger, json_string(c.trigger));
        if (k >= 0)
                k = replace_string(&r->dedup_key, json_string(c.dedup_key));
        if (k >= 0)
                take_created(r, e, &c);
        return k;
}

int apply_run_workspace(Run *r, Event *e) {
        if (!r->workspace_wanted || run_state_is_terminal(r->state))
                return -EBADMSG;
        r->workspace_wanted = false;
        if (!e->error)
                return 0;
        r->gave_up = true;
        run_mark_all(r);
        return replace_string(&r->reason, json_string(json_get(e->error, "message")));
}

int apply_run_start_now(Run *r, Event *e) {
        if (!r->start_wanted || (r->state != RUN_SCHEDULED && !(r->state == RUN_QUEUED && r->retry_span > 0)))
                return -EBADMSG;
        r->state = RUN_QUEUED;
        r->retry_span = 0;
        r->next_retry_at = 0;
        return 0;
}

int apply_run_rescheduled(Run *r, Event *e) {
        if (r->state != RUN_SCHEDULED || e->until == 0)
                return -EBADMSG;
        r->scheduled_for = e->until;
        return 0;
}

/* ---- clocks ---- */

static void timeout_clock_stop(Run *r, const Stamp *at) {
        if (r->timeout_since.wall > 0)
                r->timeout_used += stamp_elapsed(&r->timeout_since, at);
        r->timeout_since = (Stamp) { 0 };
}

static void timeout_clock_start(Run *r, const Stamp *at) {
        if (r->started_at > 0 && r->timeout_since.wall == 0)
                r->timeout_since = *at;
}

/* ---- beginning, and beginning again ---- */

/* What is not selected keeps the outputs that another run had. */
static void activity_begin_again(Activity *a, bool not_selected) {
        activity_set_ready(a, false);
        activity_close_request(a);
        a->state = ACTIVITY_PENDING;
        free(TAKE_PTR(a->reason));
        if (not_selected)
                return;
        a->n_earlier = a->n_attempts;
        a->series_retries = a->resumes = 0;
        a->next_retry_at = a->wait_span = 0;
        a->outputs = json_unref(a->outputs);
        a->error = json_unref(a->error);
        a->given_outputs = json_unref(a->given_outputs);
        a->reused_steps = json_unref(a->reused_steps);
        a->reused_from = 0;
        a->resolution = RESOLUTION_NONE;
        a->tolerated = a->given_up = a->aborted = a->condition_holds = false;
}

static int phase_begin_again(Phase *p) {
        GraphState graph;
        int k;

        k = graph_state_init(&graph, &p->def->graph);
        if (k < 0)
                return k;
        graph_state_done(&p->graph);
        p->graph = graph;
        p->state = PHASE_PENDING;
        free(TAKE_PTR(p->reason));
        p->started_at = p->finished_at = 0;
        for (unsigned i = 0; i < p->def->n_activities; i++)
                activity_begin_again(p->run->activities[p->def->first_activity + i], p->not_selected);
        return 0;
}

/* All phases start again, in the same run: attempts, inputs and the workspace stay, what came out of the last try does not. */
static int run_begin_again(Run *r) {
        GraphState graph;
        int k = graph_state_init(&graph, &r->runbook->graph);

        if (k < 0)
                return k;
        graph_state_done(&r->graph);
        r->graph = graph;
        for (unsigned i = 0; i < r->runbook->n_phases; i++) {
                k = phase_begin_again(&r->phases[i]);
                if (k < 0)
                        return k;
        }
        r->attempt++;
        r->deciding = NULL;
        r->had_errors = r->phase_failed = false;
        r->next_retry_at = r->retry_span = 0;
        run_recount(r);
        return 0;
}

int apply_run_started(Run *r, Event *e) {
        if (!r->start_wanted || r->workspace_wanted || !run_state_may_become(r->state, RUN_RUNNING) ||
                        e->attempt != r->attempt + (r->started_at > 0))
                return -EBADMSG;
        if (r->started_at > 0) {
                int k = run_begin_again(r);
                if (k < 0)
                        return k;
        } else
                r->started_at = e->at.wall;
        r->state = RUN_RUNNING;
        r->start_wanted = false;
        timeout_clock_start(r, &e->at);
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (graph_is_ready(&r->graph, i))
                        phase_mark(&r->phases[i]);
        return 0;
}

int apply_run_state(Run *r, Event *e) {
        if (r->state != (e->run_state == RUN_ON_HOLD ? RUN_RUNNING : RUN_ON_HOLD) ||
                        (e->run_state != RUN_RUNNING && e->run_state != RUN_ON_HOLD))
                return -EBADMSG;
        if (e->run_state == RUN_ON_HOLD)
                timeout_clock_stop(r, &e->at);
        else
                timeout_clock_start(r, &e->at);
        r->state = e->run_state;
        return 0;
}

int apply_run_backoff(Run *r, Event *e) {
        if (r->state != RUN_RUNNING || r->n_phases_ended < r->runbook->n_phases || r->stop != STOP_NOTHING)
                return -EBADMSG;
        r->state = RUN_QUEUED;
        r->start_wanted = true;
        r->next_retry_at = e->until;
        r->retry_from = e->at;
        r->retry_span = MAX(e->span, (usec_t) 1);
        return 0;
}

/* ---- pause ---- */

/* A question in a list of hooks waits at the cost of that list; but nobody's answer counts in a pause. */
static void hook_clock_stop(Activity *a, const Stamp *at) {
        Attempt *t = activity_attempt(a);

        if (!activity_asks(a) || step_list_is_main(activity_step_list(a, activity_running_step(a))))
                return;
        t->hooks_used += stamp_elapsed_awake(&t->step_started, at);
        t->step_started = *at;
}

/* Nothing new starts: what waited for a slot waits for the end of the pause; an attempt's clock stands unless a step of it runs on. */
int apply_run_paused(Run *r, Event *e) {
        if ((r->state != RUN_RUNNING && r->state != RUN_ON_HOLD && r->state != RUN_QUEUED) || r->stop != STOP_NOTHING)
                return -EBADMSG;
        r->paused_from = r->state;
        r->paused_at = r->pause_since = e->at;
        r->state = RUN_PAUSED;
        timeout_clock_stop(r, &e->at);
        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                Activity *a = r->activities[i];

                activity_set_ready(a, false);
                if (a->state == ACTIVITY_RUNNING && activity_running_step(a) < 0)
                        attempt_clock_stop(activity_attempt(a), &e->at);
                hook_clock_stop(a, &e->at);
        }
        run_mark_all(r);                                /* for their deadlines */
        return 0;
}

/* Waits and deadlines move by the length of the pause: the times that people see by what the events say, the spans by what this boot's clock does. */
static void activity_unpause(Activity *a, const Stamp *at, usec_t shown, usec_t measured) {
        if (a->wait_span > 0) {
                a->wait_span = usec_add(a->wait_span, measured);
                if (a->next_retry_at > 0)
                        a->next_retry_at += shown;
                if (a->request && a->request->deadline > 0)
                        a->request->deadline += shown;
        }
        if (a->state == ACTIVITY_RUNNING && activity_attempt(a)->state == ATTEMPT_RUNNING && activity_attempt(a)->clock_since.wall == 0)
                activity_attempt(a)->clock_since = *at;
        if (activity_asks(a))
                activity_attempt(a)->step_started = *at;
}

static void unpause(Run *r, const Stamp *at) {
        usec_t shown = stamp_elapsed(&r->paused_at, at), measured = stamp_elapsed(&r->pause_since, at);

        r->state = r->paused_from;
        if (r->state != RUN_ON_HOLD)
                timeout_clock_start(r, at);
        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                activity_unpause(r->activities[i], at, shown, measured);
        if (r->retry_span > 0) {
                r->retry_span = usec_add(r->retry_span, measured);
                r->next_retry_at += shown;
        }
        run_mark_all(r);
}

int apply_run_resumed(Run *r, Event *e) {
        if (r->state != RUN_PAUSED)
                return -EBADMSG;
        unpause(r, &e->at);
        return 0;
}

/* ---- ends ---- */

/* What runs is told to stop, unless its main steps are over: then its outcome stands and its hooks go on (until the run's own stop says
 * otherwise). */
static void attempt_stop(Activity *a, StopReason reason) {
        Attempt *t = activity_attempt(a);

        if (t && t->state == ATTEMPT_RUNNING && !attempt_main_is_over(a, t))
                t->stop = MAX(t->stop, reason);
}

static void run_stop_all(Run *r, StopReason reason) {
        r->stop = MAX(r->stop, reason);
        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                if (r->activities[i]->state == ACTIVITY_RUNNING || r->activities[i]->state == ACTIVITY_ON_HOLD)
                        attempt_stop(r->activities[i], r->stop);
        run_mark_all(r);
}

/* A dead-lettered run has nothing left to stop: its next event is its other end. */
int apply_run_cancel(Run *r, Event *e) {
        if (run_state_is_terminal(r->state) && r->state != RUN_DLQ)
                return -EBADMSG;
        if (r->state == RUN_DLQ) {
                r->stop = STOP_CANCEL;
                return 0;
        }
        if (r->state == RUN_PAUSED)
                unpause(r, &e->at);
        run_stop_all(r, r->stop >= STOP_CANCEL ? STOP_CANCEL_HOOKS : STOP_CANCEL);
        return 0;
}

int apply_run_timed_out(Run *r, Event *e) {
        if ((r->state != RUN_RUNNING && r->state != RUN_QUEUED) || r->started_at == 0 || r->stop != STOP_NOTHING)
                return -EBADMSG;
        run_stop_all(r, STOP_RUN_TIMEOUT);
        return 0;
}

int apply_run_gave_up(Run *r, Event *e) {
        Activity *a = event_activity(r, e);

        if (!a || activity_state_is_terminal(a->state))
                return -EBADMSG;
        r->gave_up = a->given_up = true;
        run_mark_all(r);                                /* what is held goes on as under `fail` */
        return replace_string(&r->reason, e->reason);
}

int apply_run_finished(Run *r, Event *e) {
        if (!run_state_may_become(r->state, e->run_state) || !run_state_is_terminal(e->run_state))
                return -EBADMSG;
        /* Nothing ends before all in it has; but a damaged run is parked as it is, and may be cancelled as it is. */
        if (r->n_phases_ended < r->runbook->n_phases && e->run_state != RUN_DLQ && r->state != RUN_DLQ)
                return -EBADMSG;
        if (r->state == RUN_DLQ && r->stop < STOP_CANCEL)
                return -EBADMSG;
        r->state = e->run_state;
        r->finished_at = e->at.wall;
        r->start_wanted = r->workspace_wanted = false;
        r->retry_span = r->next_retry_at = 0;
        return replace_string(&r->reason, e->reason);
}

/* ---- inputs ---- */

int apply_inputs_changed(Run *r, Event *e) {
        const Json *changes = json_get(e->data, "changes");
        _cleanup_json_ Json *inputs = json_new_object();

        if (run_state_is_terminal(r->state) || json_type(changes) != JSON_OBJECT)
                return -EBADMSG;
        if (!inputs)
                return -ENOMEM;
        JSON_OBJECT_FOREACH(r->inputs, key, value)
                if (json_set(inputs, key, json_ref(value)) < 0)
                        return -ENOMEM;
        JSON_OBJECT_FOREACH(changes, name, change) {
                if (!json_has(change, "new"))
                        return -EBADMSG;
                if (json_set(inputs, name, json_ref(json_get(change, "new"))) < 0)
                        return -ENOMEM;
        }
        replace_json(&r->inputs, inputs);
        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                Activity *a = r->activities[i];

                if (a->request && a->request->wanted && !request_wants(a->request, r))
                        activity_release(a);
        }
        return 0;
}

/* ---- another definition ---- */

/* The run with its new shape, until it is taken over as a whole. */
typedef struct Reshaped {
        Phase *phases;
        Activity **activities;
        unsigned n_phases;
        GraphState graph;
} Reshaped;

static void reshaped_done(Reshaped *n) {
        for (unsigned i = 0; n->phases && i < n->n_phases; i++)
                graph_state_done(&n->phases[i].graph);
        free(n->phases);
        free(n->activities);
        graph_state_done(&n->graph);
}

static bool has_begun(const Activity *a) {
        return a->state != ACTIVITY_PENDING || a->n_attempts > 0 || a->resolution != RESOLUTION_NONE || a->reused_from > 0 || a->reused_steps;
}

/* What has begun must still be there, in its phase. */
static bool still_there(const Run *r, const Runbook *rb) {
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if ((r->phases[i].state != PHASE_PENDING || r->phases[i].not_selected) && !runbook_phase(rb, r->phases[i].def->name))
                        return false;
        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                const Activity *a = r->activities[i];
                const ActivityDef *d = has_begun(a) ? runbook_activity(rb, a->def->name) : NULL;

                if (has_begun(a) && (!d || !streq(rb->phases[d->phase].name, activity_phase(a)->def->name)))
                        return false;
        }
        return true;
}

/* A run of some phases stays one of those: what is new was not selected. */
static bool is_partial(const Run *r) {
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (r->phases[i].not_selected)
                        return true;
        return false;
}

static int reshape_phases(const Run *r, const Runbook *rb, Reshaped *n) {
        bool partial = is_partial(r);

        for (unsigned i = 0; i < rb->n_phases; i++) {
                const PhaseDef *old = runbook_phase(r->runbook, rb->phases[i].name);
                Phase *p = &n->phases[i];
                int k;

                if (old) {
                        const Phase *was = &r->phases[old->index];
                        *p = (Phase) { .state = was->state, .not_selected = was->not_selected,
                                       .started_at = was->started_at, .finished_at = was->finished_at };
                } else
                        p->not_selected = partial;
                p->def = &rb->phases[i];
                p->run = (Run *) r;
                n->n_phases = i + 1;
                k = graph_state_init(&p->graph, &p->def->graph);
                if (k < 0)
                        return k;
                if (old && phase_state_is_terminal(p->state))
                        graph_end(&n->graph, i, phase_breaks_chain(&r->phases[old->index]), NULL, NULL);
        }
        return 0;
}

/* Survivors keep their place in memory; what ended is marked as such in the order of its new phase. */
static int reshape_activities(Run *r, const Runbook *rb, Reshaped *n) {
        unsigned n_new = 0;
        Activity *slab;
        int k;

        for (unsigned i = 0; i < rb->n_activities; i++)
                n_new += !run_activity(r, rb->activities[i].name);
        k = activities_new(r, n_new, &slab);
        if (k < 0)
                return k;
        for (unsigned i = 0; i < rb->n_activities; i++) {
                const ActivityDef *d = &rb->activities[i];
                Activity *a = run_activity(r, d->name);

                if (!a) {
                        a = slab++;
                        a->def = d;
                } else if (activity_state_is_terminal(a->state))
                        graph_end(&n->phases[d->phase].graph, d->node, activity_breaks_chain(a), NULL, NULL);
                n->activities[i] = a;
        }
        return 0;
}

static void drop_activities(Run *r, const Runbook *rb) {
        while (run_next_marked_activity(r))
                ;
        while (run_next_marked_phase(r))
                ;
        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                Activity *a = r->activities[i];

                activity_set_ready(a, false);
                if (!runbook_activity(rb, a->def->name))
                        activity_done(a);
        }
}

/* Nothing can fail any more. */
static void take_shape(Run *r, Runbook *rb, Reshaped *n) {
        drop_activities(r, rb);
        for (unsigned i = 0; i < rb->n_phases; i++) {
                const PhaseDef *old = runbook_phase(r->runbook, rb->phases[i].name);
                if (old)
                        n->phases[i].reason = TAKE_PTR(r->phases[old->index].reason);
        }
        for (unsigned i = 0; i < r->runbook->n_phases; i++) {
                graph_state_done(&r->phases[i].graph);
                free(r->phases[i].reason);
        }
        free(r->phases);
        free(r->activities);
        graph_state_done(&r->graph);
        r->phases = TAKE_PTR(n->phases);
        r->activities = TAKE_PTR(n->activities);
        r->graph = n->graph;
        n->graph = (GraphState) { 0 };
        r->runbook = rb;
        for (unsigned i = 0; i < rb->n_activities; i++) {
                r->activities[i]->def = &rb->activities[i];
                if (r->activities[i]->state == ACTIVITY_PENDING && !has_begun(r->activities[i]))
                        r->activities[i]->condition_holds = false;
        }
        run_recount(r);
        run_mark_all(r);
}

int apply_definition_changed(Run *r, Event *e) {
        _cleanup_(reshaped_done) Reshaped n = { 0 };
        Runbook *rb = e->runbook, *was = r->runbook;
        int k;

        if (!rb || run_state_is_terminal(r->state) || !streq_ptr(json_string(json_get(e->data, "definition")), rb->hash) ||
                        !streq(rb->name, r->runbook->name) || !still_there(r, rb))
                return -EBADMSG;
        n.phases = calloc(rb->n_phases, sizeof *n.phases);
        n.activities = calloc(rb->n_activities, sizeof *n.activities);
        if (!n.phases || !n.activities)
                return -ENOMEM;
        k = graph_state_init(&n.graph, &rb->graph);
        if (k >= 0)
                k = reshape_phases(r, rb, &n);
        if (k >= 0)
                k = reshape_activities(r, rb, &n);
        if (k >= 0)
                k = run_take_definition(r, rb);
        if (k < 0)
                return k;
        r->runbook = was;                               /* until all is taken over */
        take_shape(r, rb, &n);
        return 0;
}
