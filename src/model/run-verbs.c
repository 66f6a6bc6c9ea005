/* Facts and people's decisions: each becomes one event (a step's end, an answer, a cancel) in the outcome. What follows from it is
 * run_decide's. */
#include "run-private.h"

#include <stdio.h>

#include "fd-util.h"
#include "i18n.h"
#include "utf8.h"

static int refuse(char **ret_error, int r, const char *text) {
        *ret_error = strdup(text);
        return *ret_error ? r : -ENOMEM;
}

static int set_comment(Event *e, const char *comment) {
        if (isempty(comment))
                return 0;
        e->reason = utf8_make_valid(comment, strlen(comment), EVENT_COMMENT_MAX);
        return e->reason ? 0 : -ENOMEM;
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
        if (k < 0)
                return k;
        *ret = TAKE_PTR(j);
        return 0;
}

int run_create(Run *r, const Stamp *now, const Actor *who, const RunOptions *options, Outcome *o) {
        Event *e = outcome_event_by(o, r, EVENT_RUN_CREATED, now, who);

        if (!e)
                return -ENOMEM;
        int k = created_data(r, options, &e->data);
        if (k >= 0)
                k = set_comment(e, options->comment);
        if (k < 0) {
                event_free(e);
                return k;
        }
        return outcome_apply(o, r, e);
}

/* What the step was told to stop for overrules how its processes ended: one that traps the signal and exits with 0 was stopped all the
 * same. */
static int stopped_end(const Activity *a, int step, const Stamp *now, StepEnd *end, Json **ret_error) {
        if (a->stopping == STOP_NOTHING || end->interrupted)
                return 0;
        *ret_error = stop_error(a, step, a->stopping, now->wall);
        if (!*ret_error)
                return -ENOMEM;
        end->error = *ret_error;
        end->state = a->stopping >= STOP_RUN_TIMEOUT ? STEP_CANCELLED : STEP_FAILED;
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

int run_cancel(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error) {
        Event *e;

        if (run_state_is_terminal(r->state)) {
                if (asprintf(ret_error, _("Run %u has ended (%s); there is nothing to cancel"), r->id, run_state_to_string(r->state)) < 0)
                        return -ENOMEM;
                return -ESTALE;
        }
        e = outcome_event_by(o, r, EVENT_RUN_CANCEL, now, who);
        if (!e)
                return -ENOMEM;
        if (set_comment(e, comment) < 0) {
                event_free(e);
                return -ENOMEM;
        }
        return outcome_apply(o, r, e);
}

/* ---- answers ---- */

bool activity_was_answered(const Activity *a) {
        const Attempt *t = activity_attempt(a);

        for (unsigned i = 0; t && i < a->def->n_steps; i++)
                if (a->def->steps[i].kind == STEP_APPROVAL && step_state_is_terminal(t->steps[i].state) &&
                                t->steps[i].state != STEP_SKIPPED &&
                    t->steps[i].state != STEP_CANCELLED)
                        return true;
        return false;
}

static int check_answer(const Run *r, const Activity *a, const Actor *who, char **ret_error) {
        const Request *q = a->request;
        const StepDef *d;

        if (!q || q->kind != WAITING_APPROVAL) {
                if (asprintf(ret_error, _("Activity %s of run %u does not wait for an approval (it is %s); see: runbookctl status %u"),
                                a->def->name, r->id,
                             activity_state_to_string(a->state), r->id) < 0)
                        return -ENOMEM;
                return activity_was_answered(a) ? -EALREADY : -ESTALE;
        }
        d = &a->def->steps[activity_running_step(a)];
        if (!d->request.allow_starter && who->uid == r->started_by)
                return refuse(ret_error, -EPERM,
                                _("Who started the run may not answer this request (allowStarter: false); somebody else has to"));
        for (size_t i = 0; i < q->n_answers; i++)
                if (q->answers[i].uid == who->uid)
                        return refuse(ret_error, -EALREADY, _("You have answered this request already; it waits for others"));
        return 0;
}

static int check_fields(const StepDef *d, bool approve, const Json *given, Json **ret, char **ret_error) {
        char **missing = NULL;
        int r;

        if (!approve) {
                *ret = json_new_object();
                return *ret ? 0 : -ENOMEM;
        }
        r = inputs_check(d->request.fields, d->request.n_fields, given, ret, &missing, ret_error);
        if (r < 0)
                return r;
        if (missing && missing[0]) {
                json_unref(*ret);
                *ret = NULL;
                r = asprintf(ret_error, _("The field “%s” needs a value; give it with -i %s=VALUE"), missing[0], missing[0]) < 0 ? -ENOMEM
                                : -EINVAL;
        }
        for (char **m = missing; m && *m; m++)
                free(*m);
        free(missing);
        return r;
}

int run_answer(Run *r, Activity *a, const Stamp *now, const Actor *who, bool approve, Json *given, const char *comment, Outcome *o,
                char **ret_error) {
        _cleanup_json_ Json *fields = NULL;
        _cleanup_(event_freep) Event *e = NULL;
        int k = check_answer(r, a, who, ret_error);

        if (k < 0)
                return k;
        k = check_fields(&a->def->steps[activity_running_step(a)], approve, given, &fields, ret_error);
        if (k < 0)
                return k;
        e = outcome_event_by(o, r, EVENT_REQUEST_ANSWERED, now, who);
        if (!e || !(e->data = json_new_object()))
                return -ENOMEM;
        e->activity = (int) a->def->index;
        e->attempt = activity_attempt(a)->number;
        e->step = activity_running_step(a);
        if (json_set_string(e->data, "action", approve ? "approve" : "reject") < 0 || json_set(e->data, "fields", TAKE_PTR(fields)) < 0 ||
                        set_comment(e, comment) < 0)
                return -ENOMEM;
        return outcome_apply(o, r, TAKE_PTR(e));
}
