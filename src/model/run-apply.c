/* run_apply: folds one event into the run. Everything that a run is, it is by this function: it is called for each event when it happens
 * and again, in the same order, when the run is read back from the store. So it may look at nothing but the run and the event, and it
 * refuses an event that is not possible in the run's state before it changes anything. Clocks (deadlines), queues of work and effects
 * are not part of the fold: run-deadline.c and run_resume make them anew. Here is what happens to phases, activities, attempts and
 * steps; what happens to the run as a whole is in run-apply-run.c. */
#include "run-private.h"

Activity *event_activity(Run *r, const Event *e) {
        return e->activity >= 0 && (unsigned) e->activity < r->runbook->n_activities ? r->activities[e->activity] : NULL;
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

int replace_string(char **p, const char *s) {
        char *n = s ? strdup(s) : NULL;

        if (s && !n)
                return -ENOMEM;
        free(*p);
        *p = n;
        return 0;
}

void replace_json(Json **p, Json *j) {
        json_unref(*p);
        *p = json_ref(j);
}

/* ---- counters ---- */

static bool activity_moves(ActivityState s) {
        return s == ACTIVITY_RUNNING || s == ACTIVITY_BACKOFF || s == ACTIVITY_INTERRUPTED;
}

static bool activity_is_bad(const Activity *a) {
        return a->state == ACTIVITY_CANCELLED || (a->state == ACTIVITY_FAILED && !a->tolerated);
}

static bool phase_is_bad(const Phase *p) {
        return p->state == PHASE_CANCELLED || (p->state == PHASE_FAILED && p->def->critical);
}

bool activity_breaks_chain(const Activity *a) {
        return activity_is_bad(a) || graph_chain_failed(&activity_phase(a)->graph, a->def->node, NULL);
}

bool phase_breaks_chain(const Phase *p) {
        return phase_is_bad(p) || graph_chain_failed(&p->run->graph, p->def->index, NULL);
}

static void count_activity(Run *r, const Activity *a) {
        Phase *p = activity_phase(a);
        bool moves = activity_moves(a->state), waits = a->state == ACTIVITY_ON_HOLD;

        r->counts[a->state]++;
        r->n_moving += moves, p->n_moving += moves;
        r->n_waiting += waits, p->n_waiting += waits;
        p->n_ended += activity_state_is_terminal(a->state);
        p->n_skipped += a->state == ACTIVITY_SKIPPED;
        p->n_cancelled += a->state == ACTIVITY_CANCELLED;
        p->n_bad += a->state == ACTIVITY_FAILED && !a->tolerated;
}

void run_recount(Run *r) {
        memset(r->counts, 0, sizeof r->counts);
        r->n_moving = r->n_waiting = r->n_phases_ended = 0;
        for (unsigned i = 0; i < r->runbook->n_phases; i++) {
                Phase *p = &r->phases[i];

                p->n_moving = p->n_waiting = p->n_ended = p->n_ready = p->n_bad = p->n_skipped = p->n_cancelled = 0;
                r->n_phases_ended += phase_state_is_terminal(p->state);
        }
        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                count_activity(r, r->activities[i]);
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

/* ---- phases ---- */

static void activity_ready(void *userdata, unsigned node) {
        Phase *p = userdata;
        activity_mark(p->run->activities[p->def->first_activity + node]);
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

        if (!p || !phase_state_may_become(p->state, e->phase_state) || !phase_state_is_terminal(e->phase_state) ||
                        p->n_ended < p->def->n_activities)
                return -EBADMSG;
        p->state = e->phase_state;
        p->finished_at = e->at.wall;
        if (p->state == PHASE_FAILED && !p->def->critical)
                r->had_errors = true;
        if (p->state == PHASE_FAILED && p->def->critical)
                r->phase_failed = true;
        r->n_phases_ended++;
        graph_end(&r->graph, p->def->index, phase_breaks_chain(p), phase_ready, r);
        return replace_string(&p->reason, e->reason);
}

/* ---- attempts ---- */

void attempt_clock_stop(Attempt *t, const Stamp *at) {
        if (t->clock_since.wall > 0)
                t->used += stamp_elapsed_awake(&t->clock_since, at);
        t->clock_since = (Stamp) { 0 };
}

/* Has the activity no attempt under way? */
static bool is_between_attempts(const Activity *a) {
        const Attempt *t = activity_attempt(a);
        return !t || t->state != ATTEMPT_RUNNING;
}

static bool cause_fits(const Activity *a, Cause cause) {
        switch (cause) {
        case CAUSE_INITIAL:
                return a->state == ACTIVITY_PENDING && a->n_attempts == 0;
        case CAUSE_RUN_RETRY:
                return a->state == ACTIVITY_PENDING && a->run->attempt > 1;
        case CAUSE_MANUAL:
                return activity_current_attempt(a) && a->resolution == RESOLUTION_RETRY;
        case CAUSE_RETRY:
                return a->state == ACTIVITY_BACKOFF;
        case CAUSE_RESUME:
                return a->state == ACTIVITY_INTERRUPTED;
        case _CAUSE_MAX:
        case _CAUSE_INVALID:
                break;
        }
        return false;
}

static void take_over(StepRun *s, const DoneSteps *done, int i) {
        s->state = STEP_SUCCESS;
        s->reused = true;
        s->outputs = json_ref(done_steps_outputs(done, i));
        if (done->attempt) {
                s->exit_code = done->attempt->steps[i].exit_code;
                s->started_at = done->attempt->steps[i].started_at;
                s->finished_at = done->attempt->steps[i].finished_at;
        }
}

/* resume: step. */
static void reuse_steps(const Activity *a, Attempt *t) {
        DoneSteps done = done_steps(a, activity_attempt(a));

        if (!a->def->resume_step || t->cause == CAUSE_RETRY || t->cause == CAUSE_RUN_RETRY)
                return;
        for (unsigned i = a->def->list_start[LIST_MAIN]; i < a->def->list_start[LIST_MAIN + 1]; i++) {
                int k = done_steps_find(&done, &a->def->steps[i]);

                if (k < 0)
                        return;
                take_over(&t->steps[i], &done, k);
        }
}

static int apply_attempt_started(Run *r, Event *e) {
        Activity *a = event_activity(r, e);
        Attempt *t;

        if (!a || e->attempt != a->n_attempts + 1 || !activity_state_may_become(a->state, ACTIVITY_RUNNING) || !is_between_attempts(a))
                return -EBADMSG;
        if (activity_phase(a)->state != PHASE_RUNNING || !graph_is_ready(&activity_phase(a)->graph, a->def->node) || !cause_fits(a, e->cause))
                return -EBADMSG;
        if (!GREEDY_REALLOC(a->attempts, a->n_attempts_allocated, a->n_attempts + 1))
                return -ENOMEM;
        t = &a->attempts[a->n_attempts];
        *t = (Attempt) { .def = a->def, .number = e->attempt, .cause = e->cause, .state = ATTEMPT_RUNNING, .started_at = e->at.wall,
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
        if (e->cause == CAUSE_MANUAL || e->cause == CAUSE_RUN_RETRY)
                a->series_retries = a->resumes = 0;
        reuse_steps(a, t);
        a->resolution = RESOLUTION_NONE;
        a->condition_holds = true;
        a->error = json_unref(a->error);
        free(TAKE_PTR(a->reason));
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
        bool interrupted = e->interrupted && !t->step_timed_out; /* else it had failed before */

        if (interrupted && main_step) {
                t->stop = MAX(t->stop, STOP_INTERRUPTED);
                t->clean = e->clean;
        } else if (interrupted && !s->rerun && !hooks_are_cut(a, t, d->list)) {
                step_again(t, s, e->step);
                return;
        }
        t->cursor = (unsigned) e->step + 1;
        if (e->step_state != STEP_FAILED || !main_step || t->stop == STOP_INTERRUPTED)
                return;
        if (d->continue_on_error || (d->gated && streq(error_code(e->error), "APPROVAL_REJECTED")))
                return;
        t->failed = true;
        t->pre_failed = t->pre_failed || d->list == LIST_PRE;
        if (!t->error)
                replace_json(&t->error, e->error);
}

/* A gate sends the attempt back: what it has done since that step is done again, and only the history keeps it. */
static int go_back(Activity *a, Attempt *t, const Event *e) {
        const char *id = json_string(json_get(e->data, "restartFrom"));
        int to = id ? activity_def_find_step(a->def, id) : -1;

        if (!id)
                return 0;
        if (to < 0 || to >= e->step || activity_step_list(a, to) != activity_step_list(a, e->step))
                return -EBADMSG;
        t->steps[e->step].iterations++;
        for (int i = to; i <= e->step; i++) {
                StepRun *s = &t->steps[i];

                json_unref(s->outputs);
                json_unref(s->error);
                *s = (StepRun) { .exit_code = -1, .iterations = s->iterations };
        }
        t->cursor = (unsigned) to;
        replace_json(&t->context, json_get(e->data, "context"));
        return 0;
}

static int apply_step_finished(Run *r, Event *e) {
        Attempt *t;
        StepRun *s = event_step(r, e, &t);
        Activity *a = event_activity(r, e);
        bool was_waiting = s && step_state_waits(s->state);

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
        int k = a->def->steps[e->step].kind == STEP_GATE ? go_back(a, t, e) : 0;
        if (k < 0)
                return k;
        if (r->state == RUN_PAUSED)
                attempt_clock_stop(t, &e->at);
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
        attempt_clock_stop(t, &e->at);
        a->wait_from = e->at;
        a->wait_span = e->span;
        activity_set_state(a, ACTIVITY_ON_HOLD);
        return 0;
}

static bool action_fits(WaitingFor kind, const char *action) {
        if (kind == WAITING_INPUT)
                return streq_ptr(action, "provide");
        return streq_ptr(action, "approve") || streq_ptr(action, "reject");
}

/* A rejection is enough; of approvals as many as it takes. */
static bool is_decided(const Request *q) {
        return q->n_answers >= q->required || !q->answers[q->n_answers - 1].approve;
}

/* Nobody is asked any more. What comes of it, run_decide carries out: in a paused run, when that goes on. */
static void request_decided(Activity *a) {
        a->answered = TAKE_PTR(a->request);
        a->wait_span = 0;
        activity_set_state(a, ACTIVITY_RUNNING);
}

static int apply_request_answered(Run *r, Event *e) {
        Activity *a = event_activity(r, e);
        const char *action = json_string(json_get(e->data, "action"));
        Request *q = a ? a->request : NULL;
        Answer *w;

        if (!q || !event_attempt(r, e) || e->step != activity_running_step(a) ||
                        !action_fits(q->kind, action))
                return -EBADMSG;
        if (!GREEDY_REALLOC(q->answers, q->n_answers_allocated, q->n_answers + 1))
                return -ENOMEM;
        w = &q->answers[q->n_answers++];
        *w = (Answer) { .uid = e->uid, .approve = !streq(action, "reject"), .fields = json_ref(json_get(e->data, "fields")) };
        int k = replace_string(&w->user, e->user);
        if (k >= 0)
                k = replace_string(&w->comment, e->reason);
        if (k >= 0 && is_decided(q))
                request_decided(a);
        return k;
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

static int apply_activity_held(Run *r, Event *e) {
        Activity *a = event_activity(r, e);
        int k;

        if (!a || !activity_state_may_become(a->state, ACTIVITY_ON_HOLD) || !is_between_attempts(a) || a->request ||
                        a->resolution > RESOLUTION_RETRY || activity_phase(a)->state != PHASE_RUNNING)
                return -EBADMSG;
        k = request_new(e, WAITING_DECISION, &a->request);
        if (k < 0)
                return k;
        a->resolution = RESOLUTION_NONE;                /* its `if` may fail once more when it is tried again */
        if (e->error)
                replace_json(&a->error, e->error);
        a->wait_from = e->at;
        a->wait_span = e->span;
        activity_set_state(a, ACTIVITY_ON_HOLD);
        return 0;
}

static int apply_inputs_wanted(Run *r, Event *e) {
        Activity *a = event_activity(r, e);
        int k;

        if (!a || a->state != ACTIVITY_PENDING || a->request || a->resolution > RESOLUTION_RETRY || r->start_wanted ||
                        phase_state_is_terminal(activity_phase(a)->state) || json_length(json_get(e->data, "inputs")) == 0)
                return -EBADMSG;
        k = request_new(e, WAITING_INPUT, &a->request);
        if (k < 0)
                return k;
        replace_json(&a->request->wanted, json_get(e->data, "inputs"));
        activity_set_state(a, ACTIVITY_ON_HOLD);
        return 0;
}

bool request_wants(const Request *q, const Run *r) {
        for (size_t i = 0; i < json_length(q->wanted); i++)
                if (input_is_missing(r, json_string(json_at(q->wanted, i))))
                        return true;
        return false;
}

void activity_release(Activity *a) {
        activity_close_request(a);
        activity_set_state(a, ACTIVITY_PENDING);
        phase_mark(activity_phase(a));                  /* its `if` may be what waited */
}

static int apply_activity_decided(Run *r, Event *e) {
        Activity *a = event_activity(r, e);
        Resolution resolution = resolution_from_string(json_string(json_get(e->data, "action")));

        if (!a || activity_waiting_for(a) != WAITING_DECISION || resolution <= RESOLUTION_NONE)
                return -EBADMSG;
        a->resolution = resolution;
        if (resolution == RESOLUTION_ABORT)
                a->aborted = r->aborted = true;
        if (resolution == RESOLUTION_RETRY)
                a->condition_holds = a->condition_holds && a->n_attempts > 0;
        replace_json(&a->given_outputs, e->outputs);
        activity_close_request(a);
        a->wait_span = 0;
        activity_set_state(a, ACTIVITY_PENDING);
        return replace_string(&a->reason, e->reason);
}

static bool may_be_reused(ActivityState s) {
        return s == ACTIVITY_SUCCESS || s == ACTIVITY_IGNORED || s == ACTIVITY_SKIPPED || s == ACTIVITY_PENDING;
}

/* Before the run starts. What is done is done; of the rest, what the other run got out of it is kept for when it is skipped or begins. */
static int apply_activity_reused(Run *r, Event *e) {
        Activity *a = event_activity(r, e);
        int64_t from = json_int(json_get(e->data, "run"));

        if (!a || !r->start_wanted || r->started_at > 0 || a->state != ACTIVITY_PENDING || a->reused_from > 0 || a->reused_steps ||
                        !may_be_reused(e->activity_state) || from <= 0 || from > UINT32_MAX)
                return -EBADMSG;
        if (e->activity_state == ACTIVITY_PENDING) {
                replace_json(&a->reused_steps, json_get(e->data, "steps"));
                a->reused_def = a->def;
                return 0;
        }
        a->reused_from = (uint32_t) from;
        replace_json(&a->outputs, e->outputs);
        if (e->activity_state == ACTIVITY_SKIPPED)
                return 0;
        r->had_errors = r->had_errors || e->activity_state == ACTIVITY_IGNORED;
        activity_set_state(a, e->activity_state);
        graph_end(&activity_phase(a)->graph, a->def->node, false, activity_ready, activity_phase(a));
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

        a->tolerated = a->def->failure_policy == FAILURE_CONTINUE && !a->given_up && !a->aborted;
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
        const Attempt *t = activity_current_attempt(a);

        for (unsigned i = 0; t && i < t->def->list_start[LIST_ON_SUCCESS]; i++)
                if (t->steps[i].state == STEP_FAILED && (t->def->steps[i].continue_on_error || t->def->steps[i].gated))
                        return true;
        return false;
}

static int apply_activity_finished(Run *r, Event *e) {
        Activity *a = event_activity(r, e);
        Phase *p = a ? activity_phase(a) : NULL;

        if (!a || !activity_state_may_become(a->state, e->activity_state) || !activity_state_is_terminal(e->activity_state) ||
                        !is_between_attempts(a))
                return -EBADMSG;
        if (e->activity_state == ACTIVITY_SUCCESS && (!activity_attempt(a) || activity_attempt(a)->state != ATTEMPT_SUCCESS))
                return -EBADMSG;
        if ((e->activity_state == ACTIVITY_IGNORED) != (a->resolution == RESOLUTION_IGNORE && e->activity_state != ACTIVITY_CANCELLED))
                return -EBADMSG;
        if (e->activity_state == ACTIVITY_SUCCESS && collect_outputs(a) < 0)
                return -ENOMEM;
        if (e->activity_state == ACTIVITY_FAILED && e->error && activity_waiting_for(a) == WAITING_DECISION)
                a->aborted = r->aborted = true;         /* HoldTimeoutSec did */
        if (e->activity_state == ACTIVITY_FAILED)
                activity_failed(a);
        if (e->activity_state == ACTIVITY_IGNORED) {
                replace_json(&a->outputs, a->given_outputs);
                r->had_errors = true;
        }
        r->had_errors = r->had_errors || had_tolerated_step(a);
        if (e->activity_state == ACTIVITY_CANCELLED)
                p->n_cancelled++;
        if (e->activity_state == ACTIVITY_SKIPPED)
                p->n_skipped++;
        a->wait_span = 0;
        a->next_retry_at = 0;
        a->resolution = RESOLUTION_NONE;
        activity_close_request(a);
        if (e->error)
                replace_json(&a->error, e->error);
        activity_set_state(a, e->activity_state);
        graph_end(&p->graph, a->def->node, activity_breaks_chain(a), activity_ready, p);
        return replace_string(&a->reason, e->reason);
}

int run_apply(Run *r, Event *e) {
        static int (*const apply[_EVENT_TYPE_MAX])(Run *r, Event *e) = {
                [EVENT_RUN_CREATED] = apply_run_created,
                [EVENT_RUN_WORKSPACE] = apply_run_workspace,
                [EVENT_RUN_START_NOW] = apply_run_start_now,
                [EVENT_RUN_RESCHEDULED] = apply_run_rescheduled,
                [EVENT_RUN_STARTED] = apply_run_started,
                [EVENT_RUN_PAUSED] = apply_run_paused,
                [EVENT_RUN_RESUMED] = apply_run_resumed,
                [EVENT_RUN_BACKOFF] = apply_run_backoff,
                [EVENT_INPUTS_CHANGED] = apply_inputs_changed,
                [EVENT_DEFINITION_CHANGED] = apply_definition_changed,
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
                [EVENT_ACTIVITY_REUSED] = apply_activity_reused,
                [EVENT_INPUTS_WANTED] = apply_inputs_wanted,
                [EVENT_ACTIVITY_HELD] = apply_activity_held,
                [EVENT_ACTIVITY_DECIDED] = apply_activity_decided,
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
