/* A runbook after parsing: reference counting, lookups and its public form. Immutable, so it can be shared by any number of runs. */
#include "runbook.h"

#include "fd-util.h"
#include "json-text.h"
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

#define NAME_LENGTH_MAX 64u

static bool is_letter_or_digit(char c, bool capitals) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (capitals && c >= 'A' && c <= 'Z');
}

static bool name_is_of(const char *s, bool capitals) {
        size_t n = 0;

        while (n <= NAME_LENGTH_MAX && (is_letter_or_digit(s[n], capitals) || s[n] == '.' || s[n] == '_' || s[n] == '-'))
                n++;
        return n <= NAME_LENGTH_MAX && s[n] == 0 && is_letter_or_digit(s[0], capitals);
}

bool runbook_name_is_valid(const char *s) {
        return name_is_of(s, false);
}

bool object_name_is_valid(const char *s) {
        return name_is_of(s, true);
}

static void write_names(StrBuf *b, const char *key, char *const *names) {
        json_text_open(b, key, '[');
        for (char *const *n = names; n && *n; n++)
                json_text_string(b, NULL, *n);
        json_text_close(b, ']');
}

static void write_input(StrBuf *b, const InputSpec *s) {
        json_text_open(b, NULL, '{');
        json_text_string(b, "name", s->name);
        json_text_string(b, "type", input_type_to_string(s->type));
        json_text_string(b, "description", s->description);
        json_text_bool(b, "required", s->required);
        json_text_bool(b, "secret", s->secret);
        json_text_bool(b, "fixed", s->fixed);
        if (s->has_default)
                json_text_value(b, "default", s->default_value);
        if (s->pattern_text)
                json_text_string(b, "pattern", s->pattern_text);
        if (s->options)
                write_names(b, "options", s->options);
        if (s->minimum)
                json_text_value(b, "minimum", s->minimum);
        if (s->maximum)
                json_text_value(b, "maximum", s->maximum);
        json_text_close(b, '}');
}

static void write_step(StrBuf *b, const StepDef *s) {
        json_text_open(b, NULL, '{');
        json_text_string(b, "name", s->name);
        json_text_string(b, "id", s->id);
        json_text_string(b, "hook", step_list_to_string(s->list));
        json_text_string(b, "kind", step_kind_to_string(s->kind));
        json_text_close(b, '}');
}

static void write_activity(StrBuf *b, const ActivityDef *a) {
        json_text_open(b, NULL, '{');
        json_text_string(b, "name", a->name);
        json_text_string(b, "description", a->description);
        json_text_string(b, "failurePolicy", failure_policy_to_string(a->failure_policy));
        json_text_uint(b, "retries", a->retry.max);
        json_text_string(b, "onInterrupt", on_interrupt_to_string(a->on_interrupt));
        json_text_string(b, "resume", a->resume_step ? "step" : "activity");
        json_text_open(b, "steps", '[');
        for (unsigned i = 0; i < a->n_steps; i++)
                write_step(b, a->steps + i);
        json_text_close(b, ']');
        json_text_close(b, '}');
}

static void write_phase(StrBuf *b, const Runbook *r, const PhaseDef *p) {
        json_text_open(b, NULL, '{');
        json_text_string(b, "name", p->name);
        json_text_string(b, "description", p->description);
        json_text_bool(b, "critical", p->critical);
        json_text_open(b, "activities", '[');
        for (unsigned i = 0; i < p->n_activities; i++)
                write_activity(b, r->activities + p->first_activity + i);
        json_text_close(b, ']');
        json_text_close(b, '}');
}

/* What follows failures; a list, since a runbook may have triggers of other kinds. */
static void write_triggers(StrBuf *b, const Runbook *r) {
        json_text_open(b, "triggers", '[');
        if (r->on_failure) {
                json_text_open(b, NULL, '{');
                write_names(b, "onFailureOf", r->on_failure_of);
                if (r->on_failure_inputs)
                        json_text_value(b, "inputs", r->on_failure_inputs);
                else {
                        json_text_open(b, "inputs", '{');
                        json_text_close(b, '}');
                }
                json_text_close(b, '}');
        }
        json_text_close(b, ']');
}

static void write_lists(StrBuf *b, const Runbook *r) {
        write_triggers(b, r);
        json_text_open(b, "inputs", '[');
        for (size_t i = 0; i < r->n_inputs; i++)
                write_input(b, r->inputs + i);
        json_text_close(b, ']');
        json_text_open(b, "phases", '[');
        for (unsigned i = 0; i < r->n_phases; i++)
                write_phase(b, r, r->phases + i);
        json_text_close(b, ']');
}

char *runbook_to_json(const Runbook *r, const char *file) {
        _cleanup_strbuf_ StrBuf b = {};

        json_text_open(&b, NULL, '{');
        json_text_string(&b, "name", r->name);
        json_text_string(&b, "description", r->description);
        json_text_string(&b, "version", r->version);
        json_text_uint(&b, "retries", r->retry.max);
        json_text_string(&b, "partialSuccess", partial_success_to_string(r->partial_success));
        write_lists(&b, r);
        json_text_string(&b, "format", r->format == TREE_JSON ? "json" : "yaml");
        json_text_string(&b, "text", r->text);
        if (file)
                json_text_string(&b, "file", file);
        json_text_close(&b, '}');
        return strbuf_take(&b);
}
