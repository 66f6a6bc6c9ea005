/* What people and programs see of a run: the object of `status --json` and Describe (sections 10 and 11 of the contract), made from the run's state. */
#include "run-private.h"

#include "fd-util.h"
#include "utf8.h"

#define OUTPUT_SHOWN_MAX 4096u

static int set_time(Json *j, const char *key, usec_t t) {
        return json_set_uint(j, key, t);
}

static int set_ref(Json *j, const char *key, const Json *v) {
        return json_set(j, key, json_ref((Json *) v));
}

/* An output that is too long to show keeps its head and says so. */
static Json *shown_output(Json *v) {
        _cleanup_free_ char *text = NULL, *cut = NULL;
        const char *s = json_string(v);

        if (json_size(v, OUTPUT_SHOWN_MAX + 1) <= OUTPUT_SHOWN_MAX)
                return json_ref(v);
        if (!s)
                s = text = json_to_string(v, false);
        cut = s ? utf8_make_valid(s, MIN(strlen(s), (size_t) OUTPUT_SHOWN_MAX), OUTPUT_SHOWN_MAX) : NULL;
        if (!cut)
                return NULL;
        _cleanup_free_ char *marked = xasprintf("%s… (cut)", cut);
        return marked ? json_new_string(marked) : NULL;
}

static int set_outputs(Json *j, const Json *outputs) {
        _cleanup_json_ Json *shown = json_new_object();

        if (!shown)
                return -ENOMEM;
        JSON_OBJECT_FOREACH(outputs, key, value) {
                if (streq(key, "stdout"))
                        continue;
                Json *v = shown_output(value);
                if ((value && !v) || json_set(shown, key, v) < 0)
                        return -ENOMEM;
        }
        return json_set(j, "outputs", TAKE_PTR(shown));
}

static int describe_step(const StepDef *d, const StepRun *s, Json *steps) {
        _cleanup_json_ Json *j = json_new_object();
        int r = j ? json_set_string(j, "name", d->name ? d->name : d->id) : -ENOMEM;

        if (r >= 0)
                r = json_set_string(j, "id", d->id);
        if (r >= 0)
                r = json_set_string(j, "hook", step_list_to_string(d->list));
        if (r >= 0)
                r = json_set_string(j, "state", step_state_to_string(s->state));
        if (r >= 0)
                r = json_set(j, "exitCode", s->exit_code >= 0 ? json_new_int(s->exit_code) : NULL);
        if (r >= 0)
                r = set_ref(j, "error", s->error);
        if (r >= 0 && s->reused)
                r = json_set_bool(j, "reused", true);
        if (r >= 0)
                r = set_outputs(j, s->outputs);
        if (r >= 0)
                r = set_time(j, "startedAt", s->started_at);
        if (r >= 0)
                r = set_time(j, "finishedAt", s->finished_at);
        return r < 0 ? r : json_append(steps, TAKE_PTR(j));
}

static int describe_attempt(const Attempt *t, Json *attempts) {
        _cleanup_json_ Json *j = json_new_object(), *steps = json_new_array();
        int r = j && steps ? json_set_uint(j, "number", t->number) : -ENOMEM;

        if (r >= 0)
                r = json_set_string(j, "cause", cause_to_string(t->cause));
        if (r >= 0)
                r = json_set_string(j, "state", attempt_state_to_string(t->state));
        if (r >= 0)
                r = set_ref(j, "error", t->error);
        if (r >= 0)
                r = set_time(j, "startedAt", t->started_at);
        if (r >= 0)
                r = set_time(j, "finishedAt", t->finished_at);
        /* Hooks of a list that did not run are not part of the attempt. */
        for (unsigned i = 0; r >= 0 && i < t->def->n_steps; i++)
                if (step_list_is_main(t->def->steps[i].list) || t->steps[i].state != STEP_PENDING)
                        r = describe_step(&t->def->steps[i], &t->steps[i], steps);
        if (r >= 0)
                r = json_set(j, "steps", TAKE_PTR(steps));
        return r < 0 ? r : json_append(attempts, TAKE_PTR(j));
}

int activity_describe(const Activity *a, Json **ret) {
        _cleanup_json_ Json *j = json_new_object(), *attempts = json_new_array();
        int r = j && attempts ? json_set_string(j, "name", a->def->name) : -ENOMEM;

        if (r >= 0)
                r = json_set_string(j, "phase", a->run->runbook->phases[a->def->phase].name);
        if (r >= 0)
                r = json_set_string(j, "state", activity_state_to_string(a->state));
        if (r >= 0)
                r = json_set_string(j, "waitingFor", waiting_for_to_string(activity_waiting_for(a)));
        if (r >= 0 && a->ready)
                r = json_set_bool(j, "waitsForSlot", true);
        if (r >= 0)
                r = json_set_string(j, "reason", a->reason);
        if (r >= 0)
                r = json_set(j, "reusedFrom", a->reused_from > 0 ? json_new_uint(a->reused_from) : NULL);
        if (r >= 0)
                r = set_ref(j, "error", activity_error(a));
        if (r >= 0)
                r = set_time(j, "nextRetryAt", a->next_retry_at);
        if (r >= 0)
                r = set_outputs(j, a->outputs);
        for (size_t i = 0; r >= 0 && i < a->n_attempts; i++)
                r = describe_attempt(&a->attempts[i], attempts);
        if (r >= 0)
                r = json_set(j, "attempts", TAKE_PTR(attempts));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

static int describe_phases(const Run *r, Json *run) {
        _cleanup_json_ Json *phases = json_new_array();

        if (!phases)
                return -ENOMEM;
        for (unsigned i = 0; i < r->runbook->n_phases; i++) {
                const Phase *p = &r->phases[i];
                _cleanup_json_ Json *j = json_new_object();
                int k = j ? json_set_string(j, "name", p->def->name) : -ENOMEM;

                if (k >= 0)
                        k = json_set_string(j, "state", phase_state_to_string(phase_shown_state(p)));
                if (k >= 0)
                        k = json_set_string(j, "reason", p->reason);
                if (k >= 0)
                        k = set_time(j, "startedAt", p->started_at);
                if (k >= 0)
                        k = set_time(j, "finishedAt", p->finished_at);
                if (k >= 0)
                        k = json_append(phases, TAKE_PTR(j));
                if (k < 0)
                        return k;
        }
        return json_set(run, "phases", TAKE_PTR(phases));
}

static int describe_activities(const Run *r, Json *run) {
        _cleanup_json_ Json *activities = json_new_array();

        if (!activities)
                return -ENOMEM;
        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                Json *j = NULL;
                int k = activity_describe(r->activities[i], &j);
                if (k >= 0)
                        k = json_append(activities, j);
                if (k < 0)
                        return k;
        }
        return json_set(run, "activities", TAKE_PTR(activities));
}

static int describe_head(const Run *r, Json *j) {
        _cleanup_free_ char *text = run_status_text(r);
        int k = text ? json_set_uint(j, "id", r->id) : -ENOMEM;

        if (k >= 0)
                k = json_set_string(j, "runbook", r->runbook->name);
        if (k >= 0)
                k = json_set_string(j, "state", run_state_to_string(r->state));
        if (k >= 0)
                k = json_set_string(j, "statusText", text);
        if (k >= 0)
                k = json_set_bool(j, "hadErrors", r->had_errors);
        if (k >= 0)
                k = json_set_uint(j, "pendingRequests", run_pending_requests(r));
        if (k >= 0)
                k = json_set(j, "inputs", r->inputs ? json_ref(r->inputs) : json_new_object());
        if (k >= 0)
                k = json_set_uint(j, "startedBy", r->started_by);
        if (k >= 0)
                k = json_set_string(j, "startedByName", r->started_by_name);
        if (k >= 0)
                k = json_set(j, "replayOf", r->replay_of ? json_new_uint(r->replay_of) : NULL);
        if (k >= 0)
                k = json_set_uint(j, "rootRun", r->root_run);
        if (k >= 0)
                k = json_set_string(j, "trigger", r->trigger);
        if (k >= 0)
                k = json_set_string(j, "reason", r->reason);
        if (k >= 0)
                k = json_set(j, "labels", r->labels ? json_ref(r->labels) : json_new_object());
        return k;
}

int run_describe(const Run *r, Json **ret) {
        _cleanup_json_ Json *j = json_new_object();
        int k = j ? describe_head(r, j) : -ENOMEM;

        if (k >= 0)
                k = set_time(j, "createdAt", r->created_at);
        if (k >= 0)
                k = set_time(j, "startedAt", r->started_at);
        if (k >= 0)
                k = set_time(j, "finishedAt", r->finished_at);
        if (k >= 0)
                k = set_time(j, "scheduledFor", r->scheduled_for);
        if (k >= 0)
                k = set_time(j, "nextRetryAt", r->next_retry_at);
        if (k >= 0)
                k = set_time(j, "pausedAt", r->state == RUN_PAUSED ? r->paused_at.wall : 0);
        if (k >= 0)
                k = json_set_uint(j, "attempt", r->attempt);
        if (k >= 0 && r->workspace_wanted)
                k = json_set_uint(j, "copiesWorkspaceOf", r->workspace_from);
        if (k >= 0)
                k = describe_phases(r, j);
        if (k >= 0)
                k = describe_activities(r, j);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(j);
        return 0;
}

static int describe_tries(const Activity *a, Json *list) {
        _cleanup_json_ Json *j = json_new_object(), *attempts = json_new_array();
        int r = j && attempts ? json_set_string(j, "activity", a->def->name) : -ENOMEM;

        if (r >= 0)
                r = json_set_string(j, "phase", activity_phase(a)->def->name);
        if (r >= 0)
                r = json_set_string(j, "state", activity_state_to_string(a->state));
        if (r >= 0)
                r = json_set_string(j, "reason", a->reason);
        for (size_t i = 0; r >= 0 && i < a->n_attempts; i++)
                r = describe_attempt(&a->attempts[i], attempts);
        if (r >= 0)
                r = json_set(j, "attempts", TAKE_PTR(attempts));
        return r < 0 ? r : json_append(list, TAKE_PTR(j));
}

int run_describe_attempts(const Run *r, Json **ret) {
        _cleanup_json_ Json *list = json_new_array();

        if (!list)
                return -ENOMEM;
        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                int k = r->activities[i]->n_attempts > 0 ? describe_tries(r->activities[i], list) : 0;
                if (k < 0)
                        return k;
        }
        *ret = TAKE_PTR(list);
        return 0;
}

/* ---- requests ---- */

static int describe_field(const InputSpec *f, Json *fields) {
        _cleanup_json_ Json *j = json_new_object(), *options = NULL;
        int r = j ? json_set_string(j, "name", f->name) : -ENOMEM;

        if (r >= 0)
                r = json_set_string(j, "type", input_type_to_string(f->type));
        if (r >= 0)
                r = json_set_string(j, "description", f->description);
        if (r >= 0)
                r = json_set_bool(j, "required", f->required);
        if (r >= 0 && f->has_default)
                r = set_ref(j, "default", f->default_value);
        if (r >= 0 && f->options) {
                if (!(options = json_new_array()))
                        return -ENOMEM;
                for (char **o = f->options; r >= 0 && *o; o++)
                        r = json_append(options, json_new_string(*o));
                if (r >= 0)
                        r = json_set(j, "options", TAKE_PTR(options));
        }
        return r < 0 ? r : json_append(fields, TAKE_PTR(j));
}

static int describe_question(const RequestSpec *q, Json *j) {
        _cleanup_json_ Json *fields = json_new_array(), *approvers = json_new_array();
        int r = fields && approvers ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < q->n_fields; i++)
                r = describe_field(&q->fields[i], fields);
        for (size_t i = 0; r >= 0 && i < q->n_approvers; i++)
                r = json_append(approvers, json_new_string(q->approvers[i].text));
        if (r >= 0)
                r = json_set(j, "approvers", TAKE_PTR(approvers));
        if (r >= 0)
                r = json_set_bool(j, "allowStarter", q->allow_starter);
        return r < 0 ? r : json_set(j, "fields", TAKE_PTR(fields));
}

static int describe_answers(const Request *q, Json *request) {
        _cleanup_json_ Json *answers = json_new_array();

        if (!answers)
                return -ENOMEM;
        for (size_t i = 0; i < q->n_answers; i++) {
                _cleanup_json_ Json *j = json_new_object();
                int r = j ? json_set_string(j, "user", q->answers[i].user) : -ENOMEM;

                if (r >= 0)
                        r = json_set_uint(j, "uid", q->answers[i].uid);
                if (r >= 0)
                        r = json_set_string(j, "action", q->answers[i].approve ? "approve" : "reject");
                if (r >= 0)
                        r = json_set_string(j, "comment", q->answers[i].comment);
                if (r >= 0)
                        r = json_append(answers, TAKE_PTR(j));
                if (r < 0)
                        return r;
        }
        return json_set(request, "answers", TAKE_PTR(answers));
}

static int describe_wanted(const Activity *a, Json *fields) {
        const Runbook *rb = a->run->runbook;
        const Json *wanted = a->request->wanted;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < json_length(wanted); i++) {
                const InputSpec *spec = inputs_find(rb->inputs, rb->n_inputs, json_string(json_at(wanted, i)));

                if (spec && input_is_missing(a->run, spec->name))
                        r = describe_field(spec, fields);
        }
        return r;
}

static int describe_owners(const Runbook *rb, Json *approvers) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < rb->n_owners; i++)
                r = json_append(approvers, json_new_string(rb->owners[i].text));
        return r;
}

/* Not about a step: about a failure, which has an error to show, or about inputs of the run that have no value. */
static int describe_between(const Activity *a, Json *j) {
        _cleanup_json_ Json *fields = json_new_array(), *approvers = json_new_array();
        int r = fields && approvers ? describe_owners(a->run->runbook, approvers) : -ENOMEM;

        if (r >= 0)
                r = describe_wanted(a, fields);
        if (r >= 0)
                r = json_set(j, "approvers", TAKE_PTR(approvers));
        if (r >= 0)
                r = json_set_bool(j, "allowStarter", true);
        if (r >= 0)
                r = json_set(j, "fields", TAKE_PTR(fields));
        return r < 0 ? r : set_ref(j, "error", activity_error(a));
}

int activity_describe_request(const Activity *a, Json **ret) {
        const Request *q = a->request;
        _cleanup_json_ Json *j = q ? json_new_object() : NULL;
        int r;

        if (!q)
                return -ENOENT;
        r = j ? json_set_string(j, "kind", waiting_for_to_string(q->kind)) : -ENOMEM;
        if (r >= 0)
                r = json_set_string(j, "title", q->title);
        if (r >= 0)
                r = json_set_string(j, "message", q->message);
        if (r >= 0)
                r = json_set_string(j, "context", q->context);
        if (r >= 0)
                r = json_set_uint(j, "required", q->required);
        if (r >= 0)
                r = set_time(j, "openedAt", q->opened_at);
        if (r >= 0)
                r = set_time(j, "deadline", q->deadline);
        if (r >= 0)
                r = describe_answers(q, j);
        if (r >= 0 && activity_running_step(a) >= 0)
                r = describe_question(&a->def->steps[activity_running_step(a)].request, j);
        else if (r >= 0)
                r = describe_between(a, j);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}
