/* run_apply: folds one event into the run. Everything that a run is, it is by this function: it is called for each event when it happens
 * and again, in the same order, when the run is read back from the store. So it may look at nothing but the run and the event, and it
 * refuses an event that is not possible in the run's state before it changes anything. Clocks (deadlines), queues of work and effects
 * are not part of the fold: run-deadline.c and run_resume make them anew. */
#include "run-private.h"

static Activity *event_activity(Run *r, const Event *e) {
        return e->activity >= 0 && (unsigned) e->activity < r->runbook->n_activities ? &r->activities[e->activity] : NULL;
}

static Phase *event_phase(Run *r, const Event *e) {
        return e->phase >= 0 && (unsigned) e->phase < r->runbook->n_phases ? &r->phases[e->phase] : NULL;
}

/* The attempt that an event speaks of: the newest one, and only while it runs. */
static Attempt *event_attempt(Run *r, const Event *e) {
        Activity *a = event_activity(r, e);
        Attempt *t = a ? activity_attempt(a) : NULL;

        return t && t->number == e->attempt && t->state == ATTEMPT_RUNNING ? t : NULL;
}

static int replace_string(char **p, const char *s) {
        char *n = s ? strdup(s) : NULL;

        if (s && !n)
                return -ENOMEM;
        free(*p);
        *p = n;
        return 0;
}

static void replace_json(Json **p, Json *j) {
        json_unref(*p);
        *p = json_ref(j);
}

/* ---- counters ---- */

static bool activity_moves(ActivityState s) {
        return s == ACTIVITY_RUNNING || s == ACTIVITY_BACKOFF || s == ACTIVITY_INTERRUPTED;
}

static void activity_set_state(Activity *a, ActivityState s) {
        Phase *p = activity_phase(a);
        Run *r = a->run;

        activity_set_ready(a, false);
        if (activity_moves(a->state))
                p->n_moving--, r->n_moving--;
        if (a->state == ACTIVITY_ON_HOLD)
                p->n_waiting--, r->n_waiting--;
        r->counts[a->state]--;
        a->state = s;
        r->counts[s]++;
        if (activity_moves(s))
                p->n_moving++, r->n_moving++;
        if (s == ACTIVITY_ON_HOLD)
                p->n_waiting++, r->n_waiting++;
        if (activity_state_is_terminal(s)) {
                p->n_ended++;
                phase_mark(p);
        }
        activity_mark(a);
}

/* ---- runs ---- */

static bool is_object_or_none(const Json *j) {
        return !j || json_type(j) == JSON_OBJECT;
}

static int apply_run_created(Run *r, Event *e) {
        int k;

        if (r->created_at > 0 || !is_object_or_none(json_get(e->data, "inputs")) || !is_object_or_none(json_get(e->data, "labels")))
                return -EBADMSG;
        r->created_at = e->at.wall;
        r->started_by = e->uid;
        k = replace_string(&r->started_by_name, e->user);
        if (k >= 0)
                k = replace_string(&r->trigger, json_string(json_get(e->data, "trigger")));
        if (k >= 0)
                k = replace_string(&r->dedup_key, json_string(json_get(e->data, "dedupKey")));
        replace_json(&r->inputs, json_get(e->data, "inputs"));
        replace_json(&r->labels, json_get(e->data, "labels"));
        r->start_wanted = true;
        return k;
}

static int apply_run_started(Run *r, Event *e) {
        if (!run_state_may_become(r->state, RUN_RUNNING) || !r->start_wanted)
                return -EBADMSG;
        r->state = RUN_RUNNING;
        r->start_wanted = false;
        r->started_at = e->at.wall;
        r->timeout_since = e->at;
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                if (graph_is_ready(&r->graph, i))
                        phase_mark(&r->phases[i]);
        return 0;
}

static int apply_run_state(Run *r, Event *e) {
        if (r->state != (e->run_state == RUN_ON_HOLD ? RUN_RUNNING : RUN_ON_HOLD) ||
                        (e->run_state != RUN_RUNNING && e->run_state != RUN_ON_HOLD))
                return -EBADMSG;
        if (e->run_state == RUN_ON_HOLD) {
                r->timeout_used += stamp_elapsed(&r->timeout_since, &e->at);
                r->timeout_since = (Stamp) { 0 };
        } else
                r->timeout_since = e->at;
        r->state = e->run_state;
        return 0;
}

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
                if (r->activities[i].state == ACTIVITY_RUNNING || r->activities[i].state == ACTIVITY_ON_HOLD)
                        attempt_stop(&r->activities[i], r->stop);
        run_mark_all(r);
}

static int apply_run_cancel(Run *r, Event *e) {
        if (run_state_is_terminal(r->state))
                return -EBADMSG;
        run_stop_all(r, r->stop >= STOP_CANCEL ? STOP_CANCEL_HOOKS : STOP_CANCEL);
        return 0;
}

static int apply_run_timed_out(Run *r, Event *e) {
        if (r->state != RUN_RUNNING || r->stop != STOP_NOTHING)
                return -EBADMSG;
        run_stop_all(r, STOP_RUN_TIMEOUT);
        return 0;
}

static int apply_run_gave_up(Run *r, Event *e) {
        Activity *a = event_activity(r, e);

        if (!a || activity_state_is_terminal(a->state))
                return -EBADMSG;
        r->gave_up = a->given_up = true;
        activity_mark(a);
        return replace_string(&r->reason, e->reason);
}

static int apply_run_finished(Run *r, Event *e) {
        if (!run_state_may_become(r->state, e->run_state) || !run_state_is_terminal(e->run_state))
                return -EBADMSG;
        /* Nothing ends before all in it has; but a damaged run is parked as it is. */
        if (r->n_phases_ended < r->runbook->n_phases && e->run_state != RUN_DLQ)
                return -EBADMSG;
        r->state = e->run_state;
        r->finished_at = e->at.wall;
        r->start_wanted = false;
        return replace_string(&r->reason, e->reason);
}

/* ---- phases ---- */

static void activity_ready(void *userdata, unsigned node) {
        Phase *p = userdata;
        activity_mark(&p->run->activities[p->def->first_activity + node]);
}

static void phase_ready(void *userdata, unsigned node) {
        Run *r = userdata;
        phase_mark(&r->phases[node]);
}

static int apply_phase_started(Run *r, Event *e) {
        Phase *p = event_phase(r, e);

        if (!p || p->state != PHASE_PENDING || (r->state != RUN_RUNNING && r->state != RUN_ON_HOLD) ||
                        !graph_is_ready(&r->graph, p->def->index))
                return -EBADMSG;
        p->state = PHASE_RUNNING;
        p->started_at = e->at.wall;
        for (unsigned i = 0; i < p->def->n_activities; i++)
                if (graph_is_ready(&p->graph, i))
                        activity_ready(p, i);
        phase_mark(p);
        return 0;
}

static int apply_phase_finished(Run *r, Event *e) {
        Phase *p = event_phase(r, e);
        bool bad;

        if (!p || !phase_state_may_become(p->state, e->phase_state) || !phase_state_is_terminal(e->phase_state) ||
                        p->n_ended < p->def->n_activities)
                return -EBADMSG;
        p->state = e->phase_state;
        p->finished_at = e->at.wall;
        bad = p->state == PHASE_CANCELLED || (p->state == PHASE_FAILED && p->def->critical);
        if (p->state == PHASE_FAILED && !p->def->critical)
                r->had_errors = true;
        if (p->state == PHASE_FAILED && p->def->critical)
                r->phase_failed = true;
        r->n_phases_ended++;
        graph_end(&r->graph, p->def->index, bad || graph_chain_failed(&r->graph, p->def->index, NULL), phase_ready, r);
        return replace_string(&p->reason, e->reason);
}

/* ---- attempts ---- */

/* Has the activity no attempt under way? */
static bool is_between_attempts(const Activity *a) {
        const Attempt *t = activity_attempt(a);
        return !t || t->state != ATTEMPT_RUNNING;
}

static int apply_attempt_started(Run *r, Event *e) {
        Activity *a = event_activity(r, e);
        Attempt *t;

        if (!a || e->attempt != a->n_attempts + 1 || !activity_state_may_become(a->state, ACTIVITY_RUNNING) || !is_between_attempts(a))
                return -EBADMSG;
        if (activity_phase(a)->state != PHASE_RUNNING || !graph_is_ready(&activity_phase(a)->graph, a->def->node) ||
                        (e->cause == CAUSE_INITIAL) != (a->n_attempts == 0))
                return -EBADMSG;
        if (!GREEDY_REALLOC(a->attempts, a->n_attempts_allocated, a->n_attempts + 1))
                return -ENOMEM;
        t = &a->attempts[a->n_attempts];
        *t = (Attempt) { .number = e->attempt, .cause = e->cause, .state = ATTEMPT_RUNNING, .started_at = e->at.wall,
                        .hook_list = LIST_MAIN };
        t->steps = calloc(MAX(a->def->n_steps, 1u), sizeof *t->steps);
        if (!t->steps)
                return -ENOMEM;
        for (unsigned i = 0; i < a->def->n_steps; i++)
                t->steps[i].exit_code = -1;
        if (e->cause == CAUSE_RETRY)
                a->series_retries++;
        if (e->cause == CAUSE_RESUME && a->n_attempts > 0 && !a->attempts[a->n_attempts - 1].clean)
                a->resumes++;
        t->clock_since = e->at;
        a->log_end = 0;
        a->n_attempts++;
        a->next_retry_at = 0;
        a->wait_span = 0;
        activity_set_state(a, ACTIVITY_RUNNING);
        return 0;
}

static int apply_attempt_timed_out(Run *r, Event *e) {
        Attempt *t = event_attempt(r, e);

        if (!t || t->stop >= STOP_TIMEOUT || t->hook_list != LIST_MAIN)
                return -EBADMSG;
        t->stop = MAX(t->stop, STOP_TIMEOUT);
        replace_json(&t->error, e->error);
        activity_mark(event_activity(r, e));
        return 0;
}

static int apply_hook_timed_out(Run *r, Event *e) {
        Attempt *t = event_attempt(r, e);

        if (!t || t->hook_list == LIST_MAIN || t->hooks_timed_out & (1u << t->hook_list))
                return -EBADMSG;
        t->hooks_timed_out |= (uint8_t) (1u << t->hook_list);
        activity_mark(event_activity(r, e));
        return 0;
}

static bool list_ran(const Activity *a, const Attempt *t, StepList l) {
        for (unsigned i = a->def->list_start[l]; i < a->def->list_start[l + 1]; i++)
                if (t->steps[i].state != STEP_PENDING)
                        return true;
        return false;
}

/* What was never started stays visible as skipped: the main steps, and of the hooks the lists that ran. */
static void skip_pending(Activity *a, Attempt *t) {
        for (StepList l = 0; l < _STEP_LIST_MAX; l++) {
                if (!step_list_is_main(l) && !list_ran(a, t, l))
                        continue;
                for (unsigned i = a->def->list_start[l]; i < a->def->list_start[l + 1]; i++)
                        if (t->steps[i].state == STEP_PENDING)
                                t->steps[i].state = STEP_SKIPPED;
        }
}

static int apply_attempt_finished(Run *r, Event *e) {
        Activity *a = event_activity(r, e);
        Attempt *t = event_attempt(r, e);

        if (!t || !attempt_state_may_become(t->state, e->attempt_state) || activity_running_step(a) >= 0)
                return -EBADMSG;
        t->state = e->attempt_state;
        t->finished_at = e->at.wall;
        t->clock_since = (Stamp) { 0 };
        replace_json(&t->error, e->error);
        skip_pending(a, t);
        if (t->state == ATTEMPT_INTERRUPTED)
                activity_set_state(a, ACTIVITY_INTERRUPTED);
        else
                activity_mark(a);
        return 0;
}

/* ---- steps ---- */

static StepRun *event_step(Run *r, const Event *e, Attempt **ret) {
        Activity *a = event_activity(r, e);
        Attempt *t = event_attempt(r, e);

        if (!t || e->step < 0 || (unsigned) e->step >= a->def->n_steps || (unsigned) e->step < t->cursor)
                return NULL;
        *ret = t;
        return &t->steps[e->step];
}

static void step_begin(Activity *a, Attempt *t, StepRun *s, const Event *e) {
        StepList l = activity_step_list(a, e->step);

        s->started_at = e->at.wall;
        s->log_start = s->log_end = a->log_end;
        t->cursor = (unsigned) e->step;
        t->step_started = e->at;
        t->step_timed_out = false;
        if (!step_list_is_main(l) && t->hook_list != l) {
                t->hook_list = l;
                t->hooks_used = 0;
        }
}

static int apply_step_started(Run *r, Event *e) {
        Attempt *t;
        StepRun *s = event_step(r, e, &t);
        Activity *a = event_activity(r, e);

        if (!s || activity_running_step(a) >= 0 || s->state != STEP_PENDING || !step_kind_is_process(a->def->steps[e->step].kind))
                return -EBADMSG;
        s->state = STEP_RUNNING;
        step_begin(a, t, s, e);
        activity_set_ready(a, false);
        return 0;
}

static int apply_step_timed_out(Run *r, Event *e) {
        Attempt *t;
        StepRun *s = event_step(r, e, &t);

        if (!s || s->state != STEP_RUNNING || t->step_timed_out)
                return -EBADMSG;
        t->step_timed_out = true;
        activity_mark(event_activity(r, e));
        return 0;
}

/* The list of hooks goes on with this step once more. */
static void step_again(Attempt *t, StepRun *s, int step) {
        s->rerun = true;
        s->state = STEP_PENDING;
        s->started_at = s->finished_at = 0;
        s->exit_code = -1;
        s->outputs = json_unref(s->outputs);
        s->error = json_unref(s->error);
        t->cursor = (unsigned) step;
}

/* What the end of a step means for its attempt. */
static void step_outcome(Activity *a, Attempt *t, StepRun *s, const Event *e) {
        const StepDef *d = &a->def->steps[e->step];
        bool main_step = step_list_is_main(d->list);

        if (e->interrupted && main_step) {
                t->stop = MAX(t->stop, STOP_INTERRUPTED);
                t->clean = e->clean;
        } else if (e->interrupted && !s->rerun && !hooks_are_cut(a, t, d->list)) {
                step_again(t, s, e->step);
                return;
        }
        t->cursor = (unsigned) e->step + 1;
        if (e->step_state != STEP_FAILED || !main_step || t->stop == STOP_INTERRUPTED)
                return;
        if (d->continue_on_error)
                return;
        t->failed = true;
        t->pre_failed = t->pre_failed || d->list == LIST_PRE;
        if (!t->error)
                replace_json(&t->error, e->error);
}

static int apply_step_finished(Run *r, Event *e) {
        Attempt *t;
        StepRun *s = event_step(r, e, &t);
        Activity *a = event_activity(r, e);
        bool was_waiting = s && (s->state == STEP_WAITING_APPROVAL || s->state == STEP_WAITING_INPUT);

        if (!s || !step_state_is_terminal(e->step_state) || !step_state_may_become(s->state, e->step_state) ||
                        e->started == (s->state == STEP_PENDING) ||
            (!e->started && activity_running_step(a) >= 0))
                return -EBADMSG;
        if (!e->started)
                step_begin(a, t, s, e);
        /* Time in which the daemon was not there is not the hooks'. */
        if (t->hook_list != LIST_MAIN && !e->interrupted)
                t->hooks_used += stamp_elapsed_awake(&t->step_started, &e->at);
        s->state = e->step_state;
        s->finished_at = e->at.wall;
        s->exit_code = e->exit_code;
        if (e->log_end >= s->log_start)
                s->log_end = a->log_end = e->log_end;
        replace_json(&s->outputs, e->outputs);
        replace_json(&s->error, e->error);
        step_outcome(a, t, s, e);
        if (was_waiting) {
                activity_close_request(a);
                a->wait_span = 0;
                t->clock_since = e->at;
                activity_set_state(a, ACTIVITY_RUNNING);
        }
        activity_mark(a);
        return 0;
}

/* ---- requests ---- */

static int request_new(const Event *e, WaitingFor kind, Request **ret) {
        Request *q = calloc(1, sizeof *q);

        if (!q)
                return -ENOMEM;
        *ret = q;
        q->kind = kind;
        q->required = MAX(1u, (unsigned) json_int(json_get(e->data, "required")));
        q->opened_at = e->at.wall;
        q->deadline = e->until;
        int k = replace_string(&q->title, json_string(json_get(e->data, "title")));
        if (k >= 0)
                k = replace_string(&q->message, json_string(json_get(e->data, "message")));
        if (k >= 0)
                k = replace_string(&q->context, json_string(json_get(e->data, "context")));
        return k;
}

/* What a step of this kind waits for; a process waits for nothing that anybody could be asked. */
static WaitingFor step_asks_for(StepKind kind) {
        return kind == STEP_APPROVAL ? WAITING_APPROVAL : kind == STEP_INPUT ? WAITING_INPUT : _WAITING_FOR_MAX;
}

static int apply_request_opened(Run *r, Event *e) {
        Attempt *t;
        StepRun *s = event_step(r, e, &t);
        Activity *a = event_activity(r, e);
        WaitingFor kind = waiting_for_from_string(json_string(json_get(e->data, "kind")));
        int k;

        if (!s || s->state != STEP_PENDING || a->request || activity_running_step(a) >= 0 ||
                        kind != step_asks_for(a->def->steps[e->step].kind))
                return -EBADMSG;
        k = request_new(e, kind, &a->request);
        if (k < 0)
                return k;
        s->state = kind == WAITING_INPUT ? STEP_WAITING_INPUT : STEP_WAITING_APPROVAL;
        step_begin(a, t, s, e);
        /* The activity's timeout does not run while the activity waits for a person. */
        if (t->clock_since.wall > 0)
                t->used += stamp_elapsed_awake(&t->clock_since, &e->at);
        t->clock_since = (Stamp) { 0 };
        a->wait_from = e->at;
        a->wait_span = e->span;
        activity_set_state(a, ACTIVITY_ON_HOLD);
        return 0;
}

static int apply_request_answered(Run *r, Event *e) {
        Activity *a = event_activity(r, e);
        const char *action = json_string(json_get(e->data, "action"));
        Request *q = a ? a->request : NULL;
        Answer *w;

        if (!q || !event_attempt(r, e) || e->step != activity_running_step(a) ||
                        (!streq_ptr(action, "approve") && !streq_ptr(action, "reject")))
                return -EBADMSG;
        if (!GREEDY_REALLOC(q->answers, q->n_answers_allocated, q->n_answers + 1))
                return -ENOMEM;
        w = &q->answers[q->n_answers++];
        *w = (Answer) { .uid = e->uid, .approve = streq(action, "approve"), .fields = json_ref(json_get(e->data, "fields")) };
        activity_mark(a);
        int k = replace_string(&w->user, e->user);
        return k < 0 ? k : replace_string(&w->comment, e->reason);
}

/* ---- activities ---- */

static int apply_activity_backoff(Run *r, Event *e) {
        Activity *a = event_activity(r, e);

        if (!a || !activity_state_may_become(a->state, ACTIVITY_BACKOFF) || !is_between_attempts(a))
                return -EBADMSG;
        a->next_retry_at = e->until;
        a->wait_from = e->at;
        a->wait_span = MAX(e->span, (usec_t) 1);
        activity_set_state(a, ACTIVITY_BACKOFF);
        return 0;
}

/* An activity's outputs: what the main steps of its successful attempt wrote, the last writer wins, without what every step has. */
static int collect_outputs(Activity *a) {
        const Attempt *t = activity_attempt(a);
        _cleanup_json_ Json *all = json_new_object();

        if (!all)
                return -ENOMEM;
        for (unsigned i = a->def->list_start[LIST_MAIN]; t && i < a->def->list_start[LIST_MAIN + 1]; i++) {
                JSON_OBJECT_FOREACH(t->steps[i].outputs, key, value) {
                        if (!streq(key, "exitCode") && !streq(key, "ok") && !streq(key, "stdout") &&
                                        json_set(all, key, json_ref(value)) < 0)
                                return -ENOMEM;
                }
        }
        replace_json(&a->outputs, all);
        return 0;
}

static void activity_failed(Activity *a) {
        Phase *p = activity_phase(a);
        Run *r = a->run;

        a->tolerated = a->def->failure_policy == FAILURE_CONTINUE && !a->given_up;
        if (a->tolerated) {
                r->had_errors = true;
                return;
        }
        p->n_bad++;
        if (p->def->critical && !r->deciding)
                r->deciding = a;
}

/* Did a step fail that its activity tolerates, in the attempt that counts? What a retry healed is no error. */
static bool had_tolerated_step(const Activity *a) {
        const Attempt *t = activity_attempt(a);

        for (unsigned i = 0; t && i < a->def->list_start[LIST_ON_SUCCESS]; i++)
                if (t->steps[i].state == STEP_FAILED && a->def->steps[i].continue_on_error)
                        return true;
        return false;
}

static int apply_activity_finished(Run *r, Event *e) {
        Activity *a = event_activity(r, e);
        Phase *p = a ? activity_phase(a) : NULL;
        bool bad;

        if (!a || !activity_state_may_become(a->state, e->activity_state) || !activity_state_is_terminal(e->activity_state) ||
                        !is_between_attempts(a))
                return -EBADMSG;
        if (e->activity_state == ACTIVITY_SUCCESS && activity_attempt(a)->state != ATTEMPT_SUCCESS)
                return -EBADMSG;
        if (e->activity_state == ACTIVITY_SUCCESS && collect_outputs(a) < 0)
                return -ENOMEM;
        if (e->activity_state == ACTIVITY_FAILED)
                activity_failed(a);
        r->had_errors = r->had_errors || had_tolerated_step(a);
        if (e->activity_state == ACTIVITY_CANCELLED)
                p->n_cancelled++;
        if (e->activity_state == ACTIVITY_SKIPPED)
                p->n_skipped++;
        a->wait_span = 0;
        a->next_retry_at = 0;
        replace_json(&a->error, e->error);
        activity_set_state(a, e->activity_state);
        bad = e->activity_state == ACTIVITY_CANCELLED || (e->activity_state == ACTIVITY_FAILED && !a->tolerated);
        graph_end(&p->graph, a->def->node, bad || graph_chain_failed(&p->graph, a->def->node, NULL), activity_ready, p);
        return replace_string(&a->reason, e->reason);
}

int run_apply(Run *r, Event *e) {
        static int (*const apply[_EVENT_TYPE_MAX])(Run *r, Event *e) = {
                [EVENT_RUN_CREATED] = apply_run_created,
                [EVENT_RUN_STARTED] = apply_run_started,
                [EVENT_RUN_STATE] = apply_run_state,
                [EVENT_RUN_CANCEL] = apply_run_cancel,
                [EVENT_RUN_TIMED_OUT] = apply_run_timed_out,
                [EVENT_RUN_GAVE_UP] = apply_run_gave_up,
                [EVENT_RUN_FINISHED] = apply_run_finished,
                [EVENT_PHASE_STARTED] = apply_phase_started,
                [EVENT_PHASE_FINISHED] = apply_phase_finished,
                [EVENT_ATTEMPT_STARTED] = apply_attempt_started,
                [EVENT_ATTEMPT_TIMED_OUT] = apply_attempt_timed_out,
                [EVENT_ATTEMPT_FINISHED] = apply_attempt_finished,
                [EVENT_HOOK_TIMED_OUT] = apply_hook_timed_out,
                [EVENT_STEP_STARTED] = apply_step_started,
                [EVENT_STEP_TIMED_OUT] = apply_step_timed_out,
                [EVENT_STEP_FINISHED] = apply_step_finished,
                [EVENT_REQUEST_OPENED] = apply_request_opened,
                [EVENT_REQUEST_ANSWERED] = apply_request_answered,
                [EVENT_ACTIVITY_BACKOFF] = apply_activity_backoff,
                [EVENT_ACTIVITY_FINISHED] = apply_activity_finished,
        };
        int k;

        if (e->type < 0 || e->type >= _EVENT_TYPE_MAX || (e->seq != 0 && e->seq != r->last_seq + 1))
                return -EBADMSG;
        if ((e->type == EVENT_RUN_CREATED) != (r->last_seq == 0))
                return -EBADMSG;
        k = apply[e->type](r, e);
        if (k < 0)
                return k;
        e->seq = ++r->last_seq;
        return 0;
}
