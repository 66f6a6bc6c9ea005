/* A runbook after parsing: reference counting, lookups and its public form. Immutable, so it can be shared by any number of runs. */
#include "runbook.h"

#include "fd-util.h"
#include "number.h"
#include "runbook-parse.h"

const char *const failure_policy_names[] = { [FAILURE_HOLD] = "hold", [FAILURE_FAIL] = "fail", [FAILURE_CONTINUE] = "continue", NULL };
const char *const partial_success_names[] = { [PARTIAL_SUCCESS] = "success", [PARTIAL_ALLOW] = "allow", [PARTIAL_FAIL] = "fail", NULL };
const char *const on_interrupt_names[] = { [INTERRUPT_RESUME] = "resume", [INTERRUPT_HOLD] = "hold", [INTERRUPT_FAIL] = "fail", NULL };
const char *const on_timeout_names[] = { [ON_TIMEOUT_FAIL] = "fail", [ON_TIMEOUT_REJECT] = "reject", [ON_TIMEOUT_APPROVE] = "approve", NULL };
static const char *const step_kind_names[_STEP_KIND_MAX] = {
        [STEP_SHELL] = "shell", [STEP_EXEC] = "exec", [STEP_APPROVAL] = "approval", [STEP_INPUT] = "input", [STEP_GATE] = "gate",
        [STEP_WAIT] = "wait", [STEP_HTTP] = "http", [STEP_RUNBOOK] = "runbook", [STEP_PLUGIN] = "plugin",
};

DEFINE_NAME_TABLE(FailurePolicy, failure_policy, failure_policy_names);
DEFINE_NAME_TABLE(PartialSuccess, partial_success, partial_success_names);
DEFINE_NAME_TABLE(OnInterrupt, on_interrupt, on_interrupt_names);
DEFINE_NAME_TABLE(OnTimeout, on_timeout, on_timeout_names);
static const char *const gate_action_names[_GATE_ACTION_MAX] = { [GATE_CONTINUE] = "continue", [GATE_FAIL] = "fail", [GATE_RESTART] = "restart" };
DEFINE_NAME_TABLE(GateAction, gate_action, gate_action_names);
DEFINE_NAME_TABLE(StepKind, step_kind, step_kind_names);

static void env_free(EnvVar *env, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(env[i].name);
                template_free(env[i].value);
        }
        free(env);
}

static void principals_free(Principal *l, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(l[i].name);
                free(l[i].text);
        }
        free(l);
}

static void specs_free(InputSpec *l, size_t n) {
        for (size_t i = 0; i < n; i++)
                input_spec_done(l + i);
        free(l);
}

static void request_done(RequestSpec *q) {
        template_free(q->title);
        template_free(q->message);
        template_free(q->context);
        principals_free(q->approvers, q->n_approvers);
        specs_free(q->fields, q->n_fields);
}

static void gate_done(GateSpec *g) {
        expr_free(g->decision);
        for (size_t i = 0; i < g->n_routes; i++) {
                free(g->routes[i].value);
                free(g->routes[i].restart_from);
                template_free(g->routes[i].context);
        }
        free(g->routes);
}

static void action_done(StepDef *s) {
        switch (s->kind) {
        case STEP_SHELL:
                shell_template_free(s->shell.command);
                free(s->shell.shell);
                break;
        case STEP_EXEC:
                for (size_t i = 0; i < s->exec.n_argv; i++)
                        template_free(s->exec.argv[i]);
                free(s->exec.argv);
                break;
        case STEP_APPROVAL:
        case STEP_INPUT:
                request_done(&s->request);
                break;
        case STEP_GATE:
                gate_done(&s->gate);
                break;
        case STEP_WAIT:
        case STEP_HTTP:
        case STEP_RUNBOOK:
        case STEP_PLUGIN:
        case _STEP_KIND_MAX:
        case _STEP_KIND_INVALID:
                break;
        }
}

static void step_done(StepDef *s) {
        free(s->name);
        free(s->id);
        expr_free(s->condition);
        action_done(s);
        env_free(s->env, s->n_env);
}

static void activity_done(ActivityDef *a) {
        free(a->name);
        free(a->description);
        expr_free(a->condition);
        retry_policy_done(&a->retry);
        for (unsigned i = 0; i < a->n_steps; i++)
                step_done(a->steps + i);
        free(a->steps);
        env_free(a->env, a->n_env);
        free(a->working_directory_text);
        template_free(a->working_directory);
        free(a->user);
        free(a->condition_inputs.items);
        free(a->inputs.items);
}

static void phase_done(PhaseDef *p) {
        free(p->name);
        free(p->description);
        expr_free(p->condition);
        graph_done(&p->graph);
        free(p->condition_inputs.items);
}

static void names_free(char **names) {
        for (char **n = names; n && *n; n++)
                free(*n);
        free(names);
}

static void runbook_free(Runbook *r) {
        for (unsigned i = 0; i < r->n_phases; i++)
                phase_done(r->phases + i);
        for (unsigned i = 0; i < r->n_activities; i++)
                activity_done(r->activities + i);
        free(r->phases);
        free(r->activities);
        graph_done(&r->graph);
        hashmap_free(r->activity_by_name);
        hashmap_free(r->phase_by_name);
        free(r->name);
        free(r->description);
        free(r->version);
        free(r->text);
        principals_free(r->owners, r->n_owners);
        specs_free(r->inputs, r->n_inputs);
        env_free(r->env, r->n_env);
        retry_policy_done(&r->retry);
        names_free(r->on_failure_of);
        json_unref(r->on_failure_inputs);
        free(r);
}

Runbook *runbook_ref(Runbook *r) {
        if (r)
                r->n_ref++;
        return r;
}

Runbook *runbook_unref(Runbook *r) {
        if (r && --r->n_ref == 0)
                runbook_free(r);
        return NULL;
}

const ActivityDef *runbook_activity(const Runbook *r, const char *name) {
        return hashmap_get(r->activity_by_name, name);
}

const PhaseDef *runbook_phase(const Runbook *r, const char *name) {
        return hashmap_get(r->phase_by_name, name);
}

/* A number from 1 within a list; 0 where it is none. */
static unsigned list_number(const char *s) {
        unsigned n = 0;

        for (const char *p = s; *p; p++) {
                if (*p < '0' || *p > '9' || n > RUNBOOK_STEPS_MAX)
                        return 0;
                n = n * 10 + (unsigned) (*p - '0');
        }
        return s[0] == '0' ? 0 : n;
}

static int find_by_number(const ActivityDef *a, const char *s) {
        const char *colon = strchr(s, ':');
        StepList l = LIST_MAIN;
        unsigned n;

        if (colon) {
                char list[16] = {};
                if ((size_t) (colon - s) >= sizeof(list))
                        return -ENOENT;
                memcpy(list, s, colon - s);
                l = step_list_from_string(list);
        }
        n = list_number(colon ? colon + 1 : s);
        if (l == _STEP_LIST_INVALID || n == 0 || n > a->list_start[l + 1] - a->list_start[l])
                return -ENOENT;
        return (int) (a->list_start[l] + n - 1);
}

int activity_def_find_step(const ActivityDef *a, const char *s) {
        for (unsigned i = 0; i < a->n_steps; i++)
                if (streq_ptr(a->steps[i].id, s))
                        return (int) i;
        for (unsigned i = 0; i < a->n_steps; i++)
                if (streq_ptr(a->steps[i].name, s))
                        return (int) i;
        return find_by_number(a, s);
}

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789"
#define ALNUM LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool name_is_of(const char *s, const char *first, const char *more) {
        size_t n = strspn(s, more);

        return n >= 1 && n <= 64 && s[n] == 0 && strchr(first, s[0]);
}

bool runbook_name_is_valid(const char *s) {
        return name_is_of(s, LOWER, LOWER "._-");
}

bool object_name_is_valid(const char *s) {
        return name_is_of(s, ALNUM, ALNUM "._-");
}

static int options_to_json(const InputSpec *s, Json *o) {
        _cleanup_json_ Json *l = json_new_array();
        int k = l ? 0 : -ENOMEM;

        for (char **i = s->options; k >= 0 && *i; i++) {
                Json *v = json_new_string(*i);
                k = v ? json_append(l, v) : -ENOMEM;
        }
        return k < 0 ? k : json_set(o, "options", TAKE_PTR(l));
}

static int input_to_json(const InputSpec *s, Json **ret) {
        _cleanup_json_ Json *o = json_new_object();

        if (!o || json_set_string(o, "name", s->name) < 0 || json_set_string(o, "type", input_type_to_string(s->type)) < 0 ||
            json_set_string(o, "description", s->description) < 0 || json_set_bool(o, "required", s->required) < 0 ||
            json_set_bool(o, "secret", s->secret) < 0 || json_set_bool(o, "fixed", s->fixed) < 0 ||
            (s->has_default && json_set(o, "default", json_ref(s->default_value)) < 0) ||
            (s->pattern_text && json_set_string(o, "pattern", s->pattern_text) < 0) || (s->options && options_to_json(s, o) < 0) ||
            (s->minimum && json_set(o, "minimum", json_ref(s->minimum)) < 0) ||
            (s->maximum && json_set(o, "maximum", json_ref(s->maximum)) < 0))
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

static int step_to_json(const StepDef *s, Json **ret) {
        _cleanup_json_ Json *o = json_new_object();

        if (!o || json_set_string(o, "name", s->name) < 0 || json_set_string(o, "id", s->id) < 0 ||
            json_set_string(o, "hook", step_list_to_string(s->list)) < 0 || json_set_string(o, "kind", step_kind_to_string(s->kind)) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

/* Sets object[key] to the array of what `make` gives for each of n elements of `size` bytes. */
static int list_to_json(Json *object, const char *key, const void *items, size_t n, size_t size, int (*make)(const void *item, Json **ret)) {
        _cleanup_json_ Json *l = json_new_array();

        if (!l)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                Json *o;
                if (make((const uint8_t *) items + i * size, &o) < 0 || json_append(l, o) < 0)
                        return -ENOMEM;
        }
        return json_set(object, key, TAKE_PTR(l));
}

static int make_step(const void *item, Json **ret) {
        return step_to_json(item, ret);
}

static int make_input(const void *item, Json **ret) {
        return input_to_json(item, ret);
}

static int make_activity(const void *item, Json **ret) {
        const ActivityDef *a = item;
        _cleanup_json_ Json *o = json_new_object();

        if (!o || json_set_string(o, "name", a->name) < 0 || json_set_string(o, "description", a->description) < 0 ||
            json_set_string(o, "failurePolicy", failure_policy_to_string(a->failure_policy)) < 0 || json_set_uint(o, "retries", a->retry.max) < 0 ||
            json_set_string(o, "onInterrupt", on_interrupt_to_string(a->on_interrupt)) < 0 ||
            json_set_string(o, "resume", a->resume_step ? "step" : "activity") < 0 ||
            list_to_json(o, "steps", a->steps, a->n_steps, sizeof(StepDef), make_step) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

static int phase_to_json(const Runbook *r, const PhaseDef *p, Json **ret) {
        _cleanup_json_ Json *o = json_new_object();

        if (!o || json_set_string(o, "name", p->name) < 0 || json_set_string(o, "description", p->description) < 0 ||
            json_set_bool(o, "critical", p->critical) < 0 ||
            list_to_json(o, "activities", r->activities + p->first_activity, p->n_activities, sizeof(ActivityDef), make_activity) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

static int phases_to_json(const Runbook *r, Json *object) {
        _cleanup_json_ Json *l = json_new_array();

        if (!l)
                return -ENOMEM;
        for (unsigned i = 0; i < r->n_phases; i++) {
                Json *o;
                if (phase_to_json(r, r->phases + i, &o) < 0 || json_append(l, o) < 0)
                        return -ENOMEM;
        }
        return json_set(object, "phases", TAKE_PTR(l));
}

/* What follows failures; a list, since a runbook may have triggers of other kinds. */
static int triggers_to_json(const Runbook *r, Json *object) {
        _cleanup_json_ Json *l = json_new_array(), *t = json_new_object(), *names = json_new_array();
        int k = l && t && names ? 0 : -ENOMEM;

        for (char **n = r->on_failure_of; k >= 0 && n && *n; n++) {
                Json *s = json_new_string(*n);
                k = s ? json_append(names, s) : -ENOMEM;
        }
        if (k >= 0)
                k = json_set(t, "onFailureOf", TAKE_PTR(names));
        if (k >= 0)
                k = json_set(t, "inputs", r->on_failure_inputs ? json_ref(r->on_failure_inputs) : json_new_object());
        if (k >= 0 && r->on_failure)
                k = json_append(l, TAKE_PTR(t));
        return k < 0 ? k : json_set(object, "triggers", TAKE_PTR(l));
}

int runbook_to_json(const Runbook *r, Json **ret) {
        _cleanup_json_ Json *o = json_new_object(), *text = json_new_string_n(r->text, r->text_size);

        if (!o || !text || json_set_string(o, "name", r->name) < 0 || json_set_string(o, "description", r->description) < 0 ||
            json_set_string(o, "version", r->version) < 0 || json_set_uint(o, "retries", r->retry.max) < 0 ||
            json_set_string(o, "partialSuccess", partial_success_to_string(r->partial_success)) < 0 || triggers_to_json(r, o) < 0 ||
            list_to_json(o, "inputs", r->inputs, r->n_inputs, sizeof(InputSpec), make_input) < 0 || phases_to_json(r, o) < 0 ||
            json_set_string(o, "format", r->format == TREE_JSON ? "json" : "yaml") < 0 || json_set(o, "text", TAKE_PTR(text)) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}
