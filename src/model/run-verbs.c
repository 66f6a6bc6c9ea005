/* Facts and people's wishes: each becomes one event (a step's end, an answer, a cancel) in the outcome. What follows from it is
 * run_decide's. Decisions about a failure, and what is fixed with them, are in run-fix.c. */
#include "run-private.h"

#include <stdarg.h>
#include <stdio.h>

#include "fd-util.h"
#include "i18n.h"
#include "utf8.h"

int verb_refuse(char **ret_error, int r, const char *fmt, ...) {
        va_list ap;

        va_start(ap, fmt);
        if (vasprintf(ret_error, fmt, ap) < 0)
                *ret_error = NULL;
        va_end(ap);
        return *ret_error ? r : -ENOMEM;
}

int event_set_comment(Event *e, const char *comment) {
        if (isempty(comment))
                return 0;
        e->reason = utf8_make_valid(comment, strlen(comment), EVENT_COMMENT_MAX);
        return e->reason ? 0 : -ENOMEM;
}

static int set_list(Json *j, const char *key, char **names) {
        _cleanup_json_ Json *list = json_new_array();

        if (!list)
                return -ENOMEM;
        for (char **n = names; *n; n++)
                if (json_append(list, json_new_string(*n)) < 0)
                        return -ENOMEM;
        return json_set(j, key, TAKE_PTR(list));
}

static int created_origin(const Run *r, const RunOptions *q, Json *j) {
        int k = 0;

        if (q->replay_of > 0)
                k = json_set_uint(j, "replayOf", q->replay_of);
        if (k >= 0 && q->replay_of > 0)
                k = json_set_uint(j, "rootRun", q->root_run);
        if (k >= 0 && q->workspace_from > 0)
                k = json_set_uint(j, "workspaceFrom", q->workspace_from);
        if (k >= 0 && q->only)
                k = set_list(j, "only", q->only);
        if (k >= 0 && q->payload)
                k = json_set(j, "payload", json_ref(q->payload));
        return k;
}

static int created_data(const Run *r, const RunOptions *q, Json **ret) {
        _cleanup_json_ Json *j = json_new_object();
        int k;

        if (!j)
                return -ENOMEM;
        k = json_set_string(j, "runbook", r->runbook->name);
        if (k >= 0)
                k = json_set_string(j, "definition", r->runbook->hash);
        if (k >= 0)
                k = json_set_string(j, "trigger", q->trigger ? q->trigger : "manual");
        if (k >= 0 && q->dedup_key)
                k = json_set_string(j, "dedupKey", q->dedup_key);
        if (k >= 0)
                k = json_set(j, "inputs", q->inputs ? json_ref(q->inputs) : json_new_object());
        if (k >= 0 && json_length(q->labels) > 0)
                k = json_set(j, "labels", json_ref(q->labels));
        if (k >= 0)
                k = created_origin(r, q, j);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(j);
        return 0;
}

static int carry_over(Run *r, const Stamp *now, const Carried *c, Outcome *o) {
        Event *e = outcome_event(o, r, EVENT_ACTIVITY_REUSED, now);

        if (!e)
                return -ENOMEM;
        e->activity = (int) c->activity;
        e->activity_state = c->state;
        e->outputs = json_ref(c->outputs);
        e->data = json_new_object();
        if (!e->data || json_set_uint(e->data, "run", c->run) < 0 || (c->steps && json_set(e->data, "steps", json_ref(c->steps)) < 0)) {
                event_free(e);
                return -ENOMEM;
        }
        return outcome_apply(o, r, e);
}

int run_create(Run *r, const Stamp *now, const Actor *who, const RunOptions *options, Outcome *o) {
        Event *e = outcome_event_by(o, r, EVENT_RUN_CREATED, now, who);

        if (!e)
                return -ENOMEM;
        e->until = options->scheduled_for;
        int k = created_data(r, options, &e->data);
        if (k >= 0)
                k = event_set_comment(e, options->comment);
        if (k < 0) {
                event_free(e);
                return k;
        }
        k = outcome_apply(o, r, e);
        for (size_t i = 0; k >= 0 && i < options->n_carried; i++)
                k = carry_over(r, now, &options->carried[i], o);
        return k;
}

int run_workspace_ready(Run *r, const Stamp *now, const char *error, Outcome *o) {
        Event *e = outcome_event(o, r, EVENT_RUN_WORKSPACE, now);

        if (!e)
                return -ENOMEM;
        e->data = json_new_object();
        if (error)
                e->error = error_new("START_FAILED", now->wall, "%s", error);
        if (!e->data || (error && !e->error) || json_set_uint(e->data, "run", r->workspace_from) < 0) {
                event_free(e);
                return -ENOMEM;
        }
        return outcome_apply(o, r, e);
}

/* Nobody saw the end of a step; but that its time had passed before is on disk, and nobody would have let it go on. */
static StopReason timed_out_before(const Activity *a, int step) {
        const Attempt *t = activity_attempt(a);
        StepList l = activity_step_list(a, step);
        bool timed_out = t->step_timed_out || (step_list_is_main(l) ? t->stop == STOP_TIMEOUT : (t->hooks_timed_out & (1u << l)) != 0);

        return timed_out && step_stop(a, step) == STOP_TIMEOUT ? STOP_TIMEOUT : STOP_NOTHING;
}

/* What the step was told to stop for overrules how its processes ended: one that traps the signal and exits with 0 was stopped all the
 * same. */
static int stopped_end(const Activity *a, int step, const Stamp *now, StepEnd *end, Json **ret_error) {
        StopReason why = end->interrupted ? timed_out_before(a, step) : a->stopping;

        if (why == STOP_NOTHING)
                return 0;
        *ret_error = stop_error(a, step, why, now->wall);
        if (!*ret_error)
                return -ENOMEM;
        end->error = *ret_error;
        end->state = why >= STOP_RUN_TIMEOUT ? STEP_CANCELLED : STEP_FAILED;
        return 0;
}

int run_step_ended(Run *r, Activity *a, const Stamp *now, const StepEnd *given, Outcome *o) {
        _cleanup_json_ Json *error = NULL;
        StepEnd end = *given;
        int step = activity_running_step(a), k;
        Event *e;

        if (step < 0)
                return -EBADMSG;
        k = stopped_end(a, step, now, &end, &error);
        if (k < 0)
                return k;
        a->stopping = STOP_NOTHING;
        e = outcome_event(o, r, EVENT_STEP_FINISHED, now);
        if (!e)
                return -ENOMEM;
        e->activity = (int) a->def->index;
        e->attempt = activity_attempt(a)->number;
        e->step = step;
        e->step_state = end.state;
        e->exit_code = end.exit_code;
        e->log_end = end.log_end;
        e->error = json_ref(end.error);
        e->outputs = json_ref(end.outputs);
        e->interrupted = end.interrupted;
        e->clean = end.clean;
        return outcome_apply(o, r, e);
}

int run_give_up(Run *r, Activity *a, const Stamp *now, const char *reason, Outcome *o) {
        Event *e = outcome_event(o, r, EVENT_RUN_GAVE_UP, now);

        if (!e)
                return -ENOMEM;
        e->activity = (int) a->def->index;
        e->reason = strdup(reason);
        if (!e->reason) {
                event_free(e);
                return -ENOMEM;
        }
        return outcome_apply(o, r, e);
}

/* One event of a person, with a comment and nothing else. */
int verb_event(Run *r, const Stamp *now, const Actor *who, EventType type, usec_t until, const char *comment, Outcome *o) {
        Event *e = outcome_event_by(o, r, type, now, who);

        if (!e)
                return -ENOMEM;
        e->until = until;
        if (event_set_comment(e, comment) < 0) {
                event_free(e);
                return -ENOMEM;
        }
        return outcome_apply(o, r, e);
}

/* The one way out of the dead-letter list but a replay: nothing is left to stop, so it ends at once. */
static int cancel_parked(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o) {
        int k = verb_event(r, now, who, EVENT_RUN_CANCEL, 0, comment, o);
        Event *e = k < 0 ? NULL : outcome_event(o, r, EVENT_RUN_FINISHED, now);

        if (k < 0)
                return k;
        if (!e || !(e->reason = strdup(_("cancelled on request")))) {
                event_free(e);
                return -ENOMEM;
        }
        e->run_state = RUN_CANCELLED;
        return outcome_apply(o, r, e);
}

int run_cancel(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error) {
        if (r->state == RUN_DLQ)
                return cancel_parked(r, now, who, comment, o);
        if (run_state_is_terminal(r->state))
                return verb_refuse(ret_error, -ESTALE, _("Run %u has ended (%s); there is nothing to cancel"), r->id, run_state_to_string(r->state));
        return verb_event(r, now, who, EVENT_RUN_CANCEL, 0, comment, o);
}

int run_pause(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error) {
        if (r->state == RUN_PAUSED)
                return verb_refuse(ret_error, -ESTALE, _("Run %u is paused already; to go on: runbookctl resume %u"), r->id, r->id);
        if (r->state == RUN_SCHEDULED)
                return verb_refuse(ret_error, -ESTALE, _("Run %u has not started; to put its start off: runbookctl reschedule %u TIME"), r->id, r->id);
        if (run_state_is_terminal(r->state))
                return verb_refuse(ret_error, -ESTALE, _("Run %u has ended (%s); there is nothing to pause"), r->id, run_state_to_string(r->state));
        if (r->stop != STOP_NOTHING)
                return verb_refuse(ret_error, -ESTALE, _("Run %u is being stopped and can't be paused"), r->id);
        return verb_event(r, now, who, EVENT_RUN_PAUSED, 0, comment, o);
}

int run_unpause(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error) {
        if (r->state != RUN_PAUSED)
                return verb_refuse(ret_error, -ESTALE, _("Run %u is not paused (it is %s)"), r->id, run_state_to_string(r->state));
        return verb_event(r, now, who, EVENT_RUN_RESUMED, 0, comment, o);
}

int run_start_now(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error) {
        if (r->state != RUN_SCHEDULED && !(r->state == RUN_QUEUED && r->retry_span > 0))
                return verb_refuse(ret_error, -ESTALE, _("Run %u does not wait for a time to start (it is %s)"), r->id, run_state_to_string(r->state));
        return verb_event(r, now, who, EVENT_RUN_START_NOW, 0, comment, o);
}

int run_reschedule(Run *r, const Stamp *now, const Actor *who, usec_t at, const char *comment, Outcome *o, char **ret_error) {
        if (r->state != RUN_SCHEDULED)
                return verb_refuse(ret_error, -ESTALE, _("Run %u is not scheduled for later (it is %s)"), r->id, run_state_to_string(r->state));
        if (at <= now->wall)
                return verb_refuse(ret_error, -EINVAL, _("That time has passed; give one to come, or start the run with: runbookctl start-now %u"), r->id);
        if (at == r->scheduled_for)
                return 0;
        return verb_event(r, now, who, EVENT_RUN_RESCHEDULED, at, comment, o);
}

/* ---- answers ---- */

bool activity_was_answered(const Activity *a) {
        const Attempt *t = activity_attempt(a);

        for (unsigned i = 0; t && i < t->def->n_steps; i++)
                if ((t->def->steps[i].kind == STEP_APPROVAL || t->def->steps[i].kind == STEP_INPUT) && step_state_is_terminal(t->steps[i].state) &&
                                t->steps[i].state != STEP_SKIPPED &&
                    t->steps[i].state != STEP_CANCELLED)
                        return true;
        return false;
}

static int not_asked(const Activity *a, WaitingFor kind, char **ret_error) {
        const Run *r = a->run;
        const char *fmt = kind == WAITING_INPUT ? _("Activity %s of run %u does not wait for input (it is %s); see: runbookctl status %u")
                                                : _("Activity %s of run %u does not wait for an approval (it is %s); see: runbookctl status %u");

        *ret_error = xasprintf(fmt, a->def->name, r->id, activity_state_to_string(a->state), r->id);
        return !*ret_error ? -ENOMEM : activity_was_answered(a) ? -EALREADY : -ESTALE;
}

static bool logged_in_as(const Login *l, uint32_t uid) {
        return l && l->uid == uid;
}

static const char *login_name(const Login *l) {
        return l->user ? l->user : _("another user");
}

/* Who started it is known by the account, and by the one behind it, from which su or sudo was used. Neither answers, whichever account it
 * is done with; what is not known of a login refuses nobody. */
static int check_not_starter(const Run *r, const Actor *who, char **ret_error) {
        const Login *from = r->started_from;

        if (who->uid == r->started_by)
                return verb_refuse(ret_error, -EPERM,
                                   _("Who started the run may not answer this request (allowStarter: false); somebody else has to"));
        if (logged_in_as(from, who->uid))
                return verb_refuse(ret_error, -EPERM,
                                   _("The run was started as %s by somebody who had logged in as you, and who started it may not answer this "
                                     "request (allowStarter: false); somebody else has to"), strempty(r->started_by_name));
        if (logged_in_as(who->login, r->started_by) || (from && logged_in_as(who->login, from->uid)))
                return verb_refuse(ret_error, -EPERM,
                                   _("You have logged in as %s, who started the run and may not answer this request (allowStarter: false); "
                                     "somebody else has to, from a login of their own"), login_name(who->login));
        return 0;
}

/* A request that ended and was opened again under the same name is another one: nobody answers it who has read the one before. */
int check_same_request(const Activity *a, const Actor *who, char **ret_error) {
        if (who->opened_at == 0 || !a->request || a->request->opened_at == who->opened_at)
                return 0;
        return verb_refuse(ret_error, -ESTALE, _("What you answer was asked before and is over; activity %s of run %u asks again. Look at it first: runbookctl status %u"),
                           a->def->name, a->run->id, a->run->id);
}

static int check_answer(const Activity *a, WaitingFor kind, const Actor *who, char **ret_error) {
        const StepDef *d;
        int k = 0;

        if (activity_waiting_for(a) != kind || activity_running_step(a) < 0)
                return not_asked(a, kind, ret_error);
        k = check_same_request(a, who, ret_error);
        if (k < 0)
                return k;
        d = &a->def->steps[activity_running_step(a)];
        if (!d->request.allow_starter && !who->override)
                k = check_not_starter(a->run, who, ret_error);
        return k;
}

/* While the run is paused answers are kept, and what they decide is carried out when it goes on. */
static int check_open(const Activity *a, WaitingFor kind, char **ret_error) {
        const Request *q = a->answered;

        if (!q || q->kind != kind)
                return 0;
        if (!q->answers[q->n_answers - 1].approve)
                return verb_refuse(ret_error, -EALREADY, _("Somebody has rejected this request already"));
        return verb_refuse(ret_error, -EALREADY, q->kind == WAITING_INPUT ? _("Somebody has given this input already")
                                                                         : _("Enough people have approved this request already"));
}

static int check_person(const Activity *a, WaitingFor kind, const Actor *who, char **ret_error) {
        const Request *q = a->request;
        int k = check_open(a, kind, ret_error);

        if (k >= 0)
                k = check_answer(a, kind, who, ret_error);
        for (size_t i = 0; k >= 0 && i < q->n_answers; i++)
                if (q->answers[i].uid == who->uid)
                        k = verb_refuse(ret_error, -EALREADY, _("You have answered this request already; it waits for others"));
        return k;
}

/* Inputs without a value and decisions are anybody's who may operate, as far as the run is concerned. */
int activity_check_answer(const Activity *a, const Actor *who, char **ret_error) {
        WaitingFor kind = a->answered ? a->answered->kind : activity_waiting_for(a);

        if (kind == WAITING_NOTHING || kind == WAITING_DECISION || (a->request && a->request->wanted))
                return 0;
        return check_person(a, kind, who, ret_error);
}

static int check_fields(const StepDef *d, const Json *given, Json **ret, char **ret_error) {
        char **missing = NULL;
        int r = request_fields_check(d->request.fields, d->request.n_fields, given, ret, &missing, ret_error);

        if (r < 0)
                return r;
        bool too_large = json_size(*ret, GIVEN_OUTPUTS_MAX + 1) > GIVEN_OUTPUTS_MAX;
        if (too_large)
                r = verb_refuse(ret_error, -EINVAL, _("These fields are larger than 256 KiB; give shorter ones"));
        else if (missing && missing[0]) {
                *ret_error = d->kind == STEP_INPUT ? xasprintf(_("The field “%s” needs a value; give it as %s=VALUE"), missing[0], missing[0])
                                                   : xasprintf(_("The field “%s” needs a value; give it with -i %s=VALUE"), missing[0], missing[0]);
                r = *ret_error ? -EINVAL : -ENOMEM;
        }
        if (r < 0)
                *ret = json_unref(*ret);
        for (char **m = missing; m && *m; m++)
                free(*m);
        free(missing);
        return r;
}

/* Who was told of the request is told at once that it is over, whenever it is carried out. */
static int tell_answered(Activity *a, const Actor *who, Outcome *o) {
        const Request *q = a->answered;

        if (!q)
                return 0;
        return outcome_resolved(o, a, q->kind == WAITING_INPUT ? "provided" : q->answers[q->n_answers - 1].approve ? "approved" : "rejected", who->uid);
}

static int answer_event(Activity *a, const Stamp *now, const Actor *who, const char *action, Json *fields, const char *comment, Outcome *o) {
        _cleanup_(event_freep) Event *e = outcome_event_by(o, a->run, EVENT_REQUEST_ANSWERED, now, who);

        if (!e || !(e->data = json_new_object()))
                return -ENOMEM;
        e->activity = (int) a->def->index;
        e->attempt = activity_attempt(a)->number;
        e->step = activity_running_step(a);
        if (json_set_string(e->data, "action", action) < 0 || json_set(e->data, "fields", json_ref(fields)) < 0 ||
            event_set_comment(e, comment) < 0)
                return -ENOMEM;
        if (who->override && json_set_bool(e->data, "override", true) < 0)
                return -ENOMEM;
        int k = outcome_apply(o, a->run, TAKE_PTR(e));
        return k < 0 ? k : tell_answered(a, who, o);
}

int run_answer(Run *r, Activity *a, const Stamp *now, const Actor *who, bool approve, Json *given, const char *comment, Outcome *o,
                char **ret_error) {
        _cleanup_json_ Json *fields = NULL;
        int k = check_person(a, WAITING_APPROVAL, who, ret_error);

        if (k < 0)
                return k;
        if (approve)
                k = check_fields(&a->def->steps[activity_running_step(a)], given, &fields, ret_error);
        else
                fields = json_new_object();
        if (k < 0)
                return k;
        return fields ? answer_event(a, now, who, approve ? "approve" : "reject", fields, comment, o) : -ENOMEM;
}

int run_provide(Run *r, Activity *a, const Stamp *now, const Actor *who, Json *given, const char *comment, Outcome *o, char **ret_error) {
        _cleanup_json_ Json *fields = NULL;
        int k = check_same_request(a, who, ret_error);

        if (k < 0)
                return k;
        if (a->request && a->request->wanted)
                return provide_wanted(r, a, now, who, given, comment, o, ret_error);
        k = check_person(a, WAITING_INPUT, who, ret_error);
        if (k >= 0)
                k = check_fields(&a->def->steps[activity_running_step(a)], given, &fields, ret_error);
        return k < 0 ? k : answer_event(a, now, who, "provide", fields, comment, o);
}
