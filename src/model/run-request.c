/* What an activity asks people, and what follows from their answers and from their silence: approvals, and decisions about a failure
 * (section 5 of the contract, rules 5, 6 and 8; section 7). */
#include "run-private.h"

#include "i18n.h"

/* ---- approvals ---- */

/* How: unless people have answered it, of which they were told then. */
static int request_ended(const Decision *d, Activity *a, StepState state, Json *error, Json *outputs, const char *how, uint32_t uid) {
        int r = a->request ? outcome_resolved(d->outcome, a, how, uid) : 0;

        return r < 0 ? r : step_over(d, a, activity_running_step(a), state, error, outputs, true);
}

/* Every field is an output: what is not given has its default, or is null. */
static int set_field_outputs(const RequestSpec *spec, const Json *given, Json *outputs) {
        for (size_t i = 0; i < spec->n_fields; i++) {
                const InputSpec *f = &spec->fields[i];
                Json *v = json_has(given, f->name) ? json_get(given, f->name) : f->has_default ? f->default_value : NULL;
                int r = json_has(outputs, f->name) ? 0 : json_set(outputs, f->name, json_ref(v));
                if (r < 0)
                        return r;
        }
        return 0;
}

static Json *answer_outputs(const RequestSpec *spec, const Request *q, bool approved) {
        _cleanup_json_ Json *j = json_new_object(), *by = json_new_array();
        const Answer *last = q->n_answers > 0 ? &q->answers[q->n_answers - 1] : NULL;
        int r = j && by ? json_set_bool(j, "approved", approved) : -ENOMEM;

        if (r >= 0)
                r = json_set_string(j, "action", approved ? "approve" : "reject");
        if (r >= 0)
                r = json_set_string(j, "comment", last ? last->comment : NULL);
        for (size_t i = 0; r >= 0 && i < q->n_answers; i++)
                r = json_append(by, json_new_string(strempty(q->answers[i].user)));
        if (r >= 0)
                r = json_set(j, "by", TAKE_PTR(by));
        if (r >= 0)
                r = set_field_outputs(spec, last ? last->fields : NULL, j);
        return r < 0 ? NULL : TAKE_PTR(j);
}

static Json *rejection(const Answer *last, usec_t at) {
        if (!last)
                return error_new("APPROVAL_REJECTED", at, "%s", _("nobody approved in time"));
        if (isempty(last->comment))
                return error_new("APPROVAL_REJECTED", at, _("rejected by %s"), strempty(last->user));
        return error_new("APPROVAL_REJECTED", at, _("rejected by %s: %s"), strempty(last->user), last->comment);
}

static int approval_ended(const Decision *d, Activity *a, const Request *q, bool approved) {
        const Answer *last = q->n_answers > 0 ? &q->answers[q->n_answers - 1] : NULL;
        _cleanup_json_ Json *outputs = answer_outputs(&a->def->steps[activity_running_step(a)].request, q, approved), *error = NULL;

        if (!outputs)
                return -ENOMEM;
        if (!approved) {
                error = rejection(last, d->now->wall);
                if (!error)
                        return -ENOMEM;
        }
        return request_ended(d, a, approved ? STEP_SUCCESS : STEP_FAILED, error, outputs, "timeout", last ? last->uid : UID_ENGINE);
}

static int input_given(const Decision *d, Activity *a, const Request *q) {
        _cleanup_json_ Json *outputs = json_new_object();

        if (!outputs || set_field_outputs(&a->def->steps[activity_running_step(a)].request, q->answers[0].fields, outputs) < 0)
                return -ENOMEM;
        return request_ended(d, a, STEP_SUCCESS, NULL, outputs, NULL, UID_ENGINE);
}

static int request_decide(const Decision *d, Activity *a) {
        const Request *q = a->answered;

        if (!q)
                return 0;
        return q->kind == WAITING_INPUT ? input_given(d, a, q) : approval_ended(d, a, q, q->answers[q->n_answers - 1].approve);
}

static int request_stopped(const Decision *d, Activity *a, StopReason why) {
        _cleanup_json_ Json *error = stop_error(a, activity_running_step(a), why, d->now->wall);

        if (!error)
                return -ENOMEM;
        return request_ended(d, a, why >= STOP_RUN_TIMEOUT ? STEP_CANCELLED : STEP_FAILED, error, NULL,
                        why >= STOP_CANCEL ? "cancelled" : "timeout", UID_ENGINE);
}

/* Approving in silence means the default of each field here; where one has none, nobody has given it in time. */
static int input_expired(const Decision *d, Activity *a, const RequestSpec *spec) {
        _cleanup_json_ Json *error = NULL, *outputs = spec->on_timeout == ON_TIMEOUT_APPROVE ? json_new_object() : NULL;

        for (size_t i = 0; outputs && i < spec->n_fields; i++)
                if (spec->fields[i].required && !spec->fields[i].has_default)
                        outputs = json_unref(outputs);
        if (outputs && set_field_outputs(spec, NULL, outputs) < 0)
                return -ENOMEM;
        if (outputs)
                return request_ended(d, a, STEP_SUCCESS, NULL, outputs, "timeout", UID_ENGINE);
        error = error_new("INPUT_TIMEOUT", d->now->wall, "%s", _("nobody gave the input in time"));
        return error ? request_ended(d, a, STEP_FAILED, error, NULL, "timeout", UID_ENGINE) : -ENOMEM;
}

static int approval_expired(const Decision *d, Activity *a) {
        const StepDef *s = &a->def->steps[activity_running_step(a)];
        _cleanup_json_ Json *error = NULL;

        if (s->timeout < s->request.timeout) {
                error = error_new("TIMEOUT", d->now->wall, "%s", _("the step's timeout passed"));
                return error ? request_ended(d, a, STEP_FAILED, error, NULL, "timeout", UID_ENGINE) : -ENOMEM;
        }
        if (s->kind == STEP_INPUT)
                return input_expired(d, a, &s->request);
        switch (s->request.on_timeout) {
        case ON_TIMEOUT_APPROVE:
                return approval_ended(d, a, a->request, true);
        case ON_TIMEOUT_REJECT:
                return approval_ended(d, a, a->request, false);
        case ON_TIMEOUT_FAIL:
        case _ON_TIMEOUT_MAX:
        case _ON_TIMEOUT_INVALID:
                break;
        }
        error = error_new("APPROVAL_TIMEOUT", d->now->wall, "%s", _("nobody answered in time"));
        return error ? request_ended(d, a, STEP_FAILED, error, NULL, "timeout", UID_ENGINE) : -ENOMEM;
}

/* ---- decisions about a failure ---- */

/* Who does not answer rejects or is late by the definition: that is retried or held only where the activity itself asks for it (rule 5). */
static bool is_of_a_person(const char *code) {
        return streq(code, "APPROVAL_REJECTED") || streq(code, "APPROVAL_TIMEOUT") || streq(code, "INPUT_TIMEOUT");
}

static bool is_held(const Activity *a, const Json *error) {
        if (a->def->failure_policy != FAILURE_HOLD || a->given_up || a->run->gave_up || a->run->stop != STOP_NOTHING)
                return false;
        return a->def->failure_policy_written || !is_of_a_person(error_code(error));
}

int hold_activity(const Decision *d, Activity *a, Json *error) {
        Event *e = activity_event(d, a, EVENT_ACTIVITY_HELD, -1);
        int r;

        if (!e)
                return -ENOMEM;
        e->error = json_ref(error);
        if (d->limits->hold_timeout > 0 && d->limits->hold_timeout != USEC_INFINITY) {
                e->span = d->limits->hold_timeout;
                e->until = d->now->wall + e->span;
        }
        r = decision_apply(d, e);
        if (r < 0)
                return r;
        return outcome_effect(d->outcome, EFFECT_REQUEST, a, -1) ? 0 : -ENOMEM;
}

int activity_fails(const Decision *d, Activity *a, Json *error) {
        const Json *deciding = error ? error : activity_attempt(a) ? activity_attempt(a)->error : NULL;

        if (is_held(a, deciding))
                return hold_activity(d, a, error);
        return finish_activity(d, a, ACTIVITY_FAILED, error, a->given_up ? a->run->reason : NULL);
}

int carry_out(const Decision *d, Activity *a) {
        return finish_activity(d, a, a->resolution == RESOLUTION_IGNORE ? ACTIVITY_IGNORED : ACTIVITY_FAILED, NULL, a->reason);
}

static int decision_over(const Decision *d, Activity *a, ActivityState state, Json *error, const char *reason, const char *how) {
        int r = outcome_resolved(d->outcome, a, how, UID_ENGINE);

        return r < 0 ? r : finish_activity(d, a, state, error, reason);
}

static int decision_expired(const Decision *d, Activity *a) {
        _cleanup_json_ Json *error = error_new("INPUT_TIMEOUT", d->now->wall, "%s", _("nobody decided about the failure in time (HoldTimeoutSec)"));

        return error ? decision_over(d, a, ACTIVITY_FAILED, error, NULL, "timeout") : -ENOMEM;
}

int end_held(const Decision *d, Activity *a, ActivityState state, const char *reason) {
        return decision_over(d, a, state, NULL, reason, a->run->stop == STOP_RUN_TIMEOUT ? "timeout" : "cancelled");
}

/* Waits between attempts: an end of the run takes it away without hooks. */
static int advance_held(const Decision *d, Activity *a) {
        if (a->run->stop != STOP_NOTHING)
                return end_held(d, a, ACTIVITY_CANCELLED, stop_text(a->run));
        if (a->run->gave_up && activity_waiting_for(a) == WAITING_DECISION)
                return decision_over(d, a, ACTIVITY_FAILED, NULL, NULL, "cancelled");
        return 0;
}

/* ---- inputs without a value ---- */

int want_inputs(const Decision *d, Activity *a, const InputSet *set) {
        _cleanup_json_ Json *names = NULL;
        Event *e;
        int r;

        for (unsigned i = 0; i < set->n; i++) {
                const char *name = a->run->runbook->inputs[set->items[i]].name;

                if (!input_is_missing(a->run, name))
                        continue;
                if ((!names && !(names = json_new_array())) || json_append(names, json_new_string(name)) < 0)
                        return -ENOMEM;
        }
        if (!names)
                return 0;
        e = activity_event(d, a, EVENT_INPUTS_WANTED, -1);
        if (!e)
                return -ENOMEM;
        e->data = json_new_object();
        if (!e->data || json_set(e->data, "inputs", TAKE_PTR(names)) < 0) {
                event_free(e);
                return -ENOMEM;
        }
        r = decision_apply(d, e);
        if (r < 0)
                return r;
        return outcome_effect(d->outcome, EFFECT_REQUEST, a, -1) ? 1 : -ENOMEM;
}

/* ---- all ---- */

int advance_waiting(const Decision *d, Activity *a) {
        StopReason why;
        int r;

        if (activity_running_step(a) < 0)
                return advance_held(d, a);
        why = step_stop(a, activity_running_step(a));
        r = why != STOP_NOTHING ? request_stopped(d, a, why) : request_decide(d, a);
        return r < 0 ? r : a->state == ACTIVITY_RUNNING;
}

int request_expired(const Decision *d, Activity *a) {
        return activity_waiting_for(a) == WAITING_DECISION ? decision_expired(d, a) : approval_expired(d, a);
}
