/* From a file's text to a runbook. In passes: the tree (which knows positions), the objects by their tables, the names that `needs` speak
 * of, and at last what expressions speak of. Each pass goes on after errors; only a name that can't be used stops the passes that would
 * have to guess about it.
 *
 * Costs are linear in the file, and what aliases can multiply is bounded before anything is copied. */
#include "runbook-parse.h"

#include "digest.h"
#include "fd-util.h"
#include "i18n.h"
#include "inputs-parse.h"
#include "step-digest.h"
#include "strbuf.h"

static int field_inputs(Reader *r, const Field *f, const Node *node, void *target);
static int field_owners(Reader *r, const Field *f, const Node *node, void *target);
static int field_run_env(Reader *r, const Field *f, const Node *node, void *target);
static int field_defaults(Reader *r, const Field *f, const Node *node, void *target);

#define RUNBOOK_FORM N_("a name of a runbook: a small letter or digit, then at most 63 small letters, digits, \".\", \"_\" and \"-\"")
#define NAME_FORM N_("a name: a letter or digit, then at most 63 letters, digits, \".\", \"_\" and \"-\"")

static const char *const executor_names[] = { "process", "unit", NULL };
static const char *const resume_names[] = { "activity", "step", NULL };

typedef struct RunbookDraft {
        const Node *name, *retries, *retry, *triggers, *phases;
        char *description, *version;
        usec_t timeout;
        unsigned failure_policy, partial_success;
} RunbookDraft;

static const Field runbook_fields[] = {
        FIELD("name", field_string_node, RunbookDraft, name, .valid = runbook_name_is_valid, .form = RUNBOOK_FORM),
        FIELD("description", field_text, RunbookDraft, description),
        FIELD("version", field_text, RunbookDraft, version),
        FIELD_CHECKED("owners", field_owners),
        FIELD_CHECKED("inputs", field_inputs),
        FIELD_CHECKED("env", field_run_env),
        FIELD_CHECKED("secrets", field_secrets, .feature = FEATURE_SECRETS),
        FIELD("timeout", field_timespan, RunbookDraft, timeout, .group = GROUP_TIMEOUT),
        FIELD("timeoutMs", field_milliseconds, RunbookDraft, timeout, .group = GROUP_TIMEOUT),
        FIELD("retries", field_map, RunbookDraft, retries, .group = GROUP_RETRY),
        FIELD("retry", field_map, RunbookDraft, retry, .group = GROUP_RETRY),
        FIELD("failurePolicy", field_enum, RunbookDraft, failure_policy, .names = failure_policy_names),
        FIELD("partialSuccess", field_enum, RunbookDraft, partial_success, .names = partial_success_names),
        FIELD_CHECKED("concurrency", field_concurrency, .feature = FEATURE_CONCURRENCY),
        FIELD("triggers", field_list, RunbookDraft, triggers),
        FIELD_CHECKED("defaults", field_defaults),
        FIELD("phases", field_list, RunbookDraft, phases, .required = true),
};
DEFINE_FIELD_TABLE(runbook_table, "runbook", N_("a runbook"), runbook_fields);

static const Field defaults_fields[] = {
        FIELD("retries", field_map, Defaults, retries, .group = GROUP_RETRY),
        FIELD("retry", field_map, Defaults, retry, .group = GROUP_RETRY),
        FIELD("timeout", field_timespan, Defaults, timeout, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
        FIELD("timeoutMs", field_milliseconds, Defaults, timeout, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
        FIELD("failurePolicy", field_enum, Defaults, failure_policy, .names = failure_policy_names),
        FIELD_CHECKED("user", field_string, .feature = FEATURE_USER),
        FIELD_CHECKED("executor", field_enum, .names = executor_names, .feature = FEATURE_EXECUTOR_UNIT, .feature_values = 1u << 1),
        FIELD("shell", field_shell, Defaults, shell),
};
DEFINE_FIELD_TABLE(defaults_table, "defaults", N_("\"defaults\""), defaults_fields);

typedef struct PhaseDraft {
        PhaseDef def;
        const Node *needs, *condition, *activities;
} PhaseDraft;

static const Field phase_fields[] = {
        FIELD("name", field_string, PhaseDraft, def.name, .required = true, .valid = object_name_is_valid, .form = NAME_FORM),
        FIELD("description", field_text, PhaseDraft, def.description),
        FIELD("needs", field_names_node, PhaseDraft, needs),
        FIELD("if", field_any, PhaseDraft, condition),
        FIELD("critical", field_bool, PhaseDraft, def.critical),
        FIELD("activities", field_list, PhaseDraft, activities, .required = true),
};
DEFINE_FIELD_TABLE(phase_table, "phase", N_("a phase"), phase_fields);

typedef struct ActivityDraft {
        ActivityDef def;
        Action action;
        const Node *needs, *condition, *retries, *retry, *hooks, *env, *directory, *steps;
        unsigned failure_policy, on_interrupt, resume;
        bool continue_on_error;
} ActivityDraft;

static const Field activity_fields[] = {
        FIELD("name", field_string, ActivityDraft, def.name, .required = true, .valid = object_name_is_valid, .form = NAME_FORM),
        FIELD("description", field_text, ActivityDraft, def.description),
        FIELD("needs", field_names_node, ActivityDraft, needs),
        FIELD("if", field_any, ActivityDraft, condition),
        FIELD("retries", field_map, ActivityDraft, retries, .group = GROUP_RETRY),
        FIELD("retry", field_map, ActivityDraft, retry, .group = GROUP_RETRY),
        FIELD("timeout", field_timespan, ActivityDraft, def.timeout, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
        FIELD("timeoutMs", field_milliseconds, ActivityDraft, def.timeout, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
        FIELD("failurePolicy", field_enum, ActivityDraft, failure_policy, .group = GROUP_POLICY, .names = failure_policy_names),
        FIELD("continueOnError", field_bool, ActivityDraft, continue_on_error, .group = GROUP_POLICY),
        FIELD("hooks", field_map, ActivityDraft, hooks),
        FIELD("env", field_map, ActivityDraft, env),
        FIELD_CHECKED("secrets", field_secrets, .feature = FEATURE_SECRETS),
        FIELD("user", field_string, ActivityDraft, def.user, .feature = FEATURE_USER),
        FIELD("workingDirectory", field_string_node, ActivityDraft, directory),
        FIELD_CHECKED("executor", field_enum, .names = executor_names, .feature = FEATURE_EXECUTOR_UNIT, .feature_values = 1u << 1),
        FIELD_CHECKED("limits", field_map, .feature = FEATURE_LIMITS),
        FIELD_CHECKED("sandbox", field_map, .feature = FEATURE_SANDBOX),
        FIELD("onInterrupt", field_enum, ActivityDraft, on_interrupt, .names = on_interrupt_names),
        FIELD("resume", field_enum, ActivityDraft, resume, .names = resume_names),
        FIELD("approval", field_map, ActivityDraft, action.approval, .group = GROUP_ACTION),
        FIELD("input", field_map, ActivityDraft, action.input, .group = GROUP_ACTION),
        FIELD("run", field_any, ActivityDraft, action.run, .group = GROUP_ACTION),
        FIELD("uses", field_string_node, ActivityDraft, action.uses, .group = GROUP_ACTION),
        FIELD("with", field_map, ActivityDraft, action.with),
        FIELD("steps", field_list, ActivityDraft, steps, .group = GROUP_ACTION),
};
DEFINE_FIELD_TABLE(activity_table, "activity", N_("an activity"), activity_fields);

const FieldTable *const runbook_field_tables[] = {
        &runbook_table, &phase_table,   &activity_table, &defaults_table,    &hooks_table,   &step_table, &retries_table,
        &retry_table,   &request_table, &input_table,    &shell_table,       &exec_table,    &gate_table, &route_table,
        &wait_table,    &http_table,    &child_table,    &concurrency_table, &trigger_table, NULL,
};

static int field_owners(Reader *r, const Field *f, const Node *node, void *target) {
        Parser *p = r->userdata;

        return principals_parse(r, node, &p->rb->owners, &p->rb->n_owners);
}

static int field_inputs(Reader *r, const Field *f, const Node *node, void *target) {
        Parser *p = r->userdata;

        int k = input_specs_parse(r, node, &p->rb->inputs, &p->rb->n_inputs);

        p->inputs_bad = k < 0;
        return k;
}

static int field_run_env(Reader *r, const Field *f, const Node *node, void *target) {
        Parser *p = r->userdata;

        return env_parse(p, node, &p->rb->env, &p->rb->n_env);
}

static int field_defaults(Reader *r, const Field *f, const Node *node, void *target) {
        Parser *p = r->userdata;
        Defaults *d = &p->defaults;
        int k = fields_read(r, &defaults_table, node, d), j = 0;

        if (k != -ENOMEM && (d->retries || d->retry)) {
                d->has_policy = true;
                j = retries_parse(p, d->retries, d->retry, &d->policy);
        }
        return j < 0 ? j : k;
}

/* -ENOMEM wins; else the first error stays. */
static bool fatal(int *result, int k) {
        if (k < 0 && (k == -ENOMEM || *result >= 0))
                *result = k;
        return k == -ENOMEM;
}

static int hooks_collect(Parser *p, const Node *hooks, const Node *lists[static _STEP_LIST_MAX]) {
        int k = fields_read(&p->r, &hooks_table, hooks, NULL);

        for (StepList l = 0; l < _STEP_LIST_MAX; l++) {
                const Node *n = l == LIST_MAIN ? NULL : node_get(hooks, step_list_to_string(l));
                if (n && n->type == NODE_LIST)
                        lists[l] = n;
        }
        return k;
}

/* Makes room for all steps of an activity and says where each list begins. */
static int steps_allocate(Parser *p, ActivityDef *a, const Node *const *lists, const Node *place) {
        size_t n = 0;

        for (StepList l = 0; l < _STEP_LIST_MAX; l++) {
                a->list_start[l] = (unsigned) n;
                n += lists[l] ? lists[l]->n_children : l == LIST_MAIN;
        }
        a->list_start[_STEP_LIST_MAX] = (unsigned) n;
        if (n > RUNBOOK_STEPS_MAX - p->rb->n_steps) {
                memset(a->list_start, 0, sizeof(a->list_start));
                if (p->too_many_steps)
                        return -EINVAL;
                p->too_many_steps = true;
                return node_error(&p->r, place, _("the runbook has more than %u steps"), RUNBOOK_STEPS_MAX);
        }
        a->steps = calloc(n ? n : 1, sizeof(StepDef));
        if (!a->steps)
                return -ENOMEM;
        a->n_steps = (unsigned) n;
        p->rb->n_steps += (unsigned) n;
        return 0;
}

/* The one step of an activity that says itself what it does. */
static int only_step(Parser *p, const Node *place, const Action *action, StepDef *s) {
        s->list = LIST_MAIN;
        s->number = 1;
        s->timeout = USEC_INFINITY;
        s->line = place->line;
        s->column = place->column;
        s->id = strdup("step-1");
        return s->id ? action_parse(p, place, action, s) : -ENOMEM;
}

static int check_ids(Parser *p, const ActivityDef *a) {
        _cleanup_(hashmap_freep) Hashmap *ids = NULL;
        int result = 0;

        if (a->n_steps < 2)
                return 0;
        ids = hashmap_new();
        for (unsigned i = 0; i < a->n_steps; i++) {
                const StepDef *s = a->steps + i, *other;
                int k = ids && s->id ? hashmap_put(ids, s->id, (void *) s) : ids ? 0 : -ENOMEM;

                if (k == -EEXIST) {
                        other = hashmap_get(ids, s->id);
                        k = diag_error(p->r.d, s->line, s->column,
                                       _("two steps of this activity have the id \"%s\" (the other in line %u): give this one an \"id\""),
                                       s->id, other->line);
                }
                if (fatal(&result, k))
                        break;
        }
        return result;
}

static int activity_steps(Parser *p, const Node *node, ActivityDraft *d, ActivityDef *a) {
        const Node *lists[_STEP_LIST_MAX] = { [LIST_MAIN] = d->steps };
        int result = 0, k;

        if (d->hooks && fatal(&result, hooks_collect(p, d->hooks, lists)))
                return result;
        if (d->steps && d->steps->n_children == 0)
                fatal(&result, node_error(&p->r, d->steps, _("\"steps\" needs at least one step")));
        if (d->steps && d->action.with)
                fatal(&result, node_key_error(&p->r, d->action.with, _("\"with\" stands beside \"uses\" only")));
        k = steps_allocate(p, a, lists, node);
        if (k < 0)
                return k;
        for (StepList l = 0; l < _STEP_LIST_MAX; l++) {
                k = lists[l] ? steps_parse(p, lists[l], l, a->steps + a->list_start[l]) : 0;
                if (!lists[l] && l == LIST_MAIN)
                        k = only_step(p, node, &d->action, a->steps + a->list_start[l]);
                if (fatal(&result, k))
                        return result;
        }
        fatal(&result, check_ids(p, a));
        return result;
}

static int activity_retry(Parser *p, const ActivityDraft *d, ActivityDef *a) {
        a->retry_written = d->retry || d->retries;
        if (a->retry_written)
                return retries_parse(p, d->retries, d->retry, &a->retry);
        if (p->defaults.has_policy)
                return retry_policy_copy(&p->defaults.policy, &a->retry);
        return 0;
}

/* What follows a failure where nothing says it: a person decides, but not about what the run can do without, nor before the whole run was
 * tried again. */
static unsigned default_policy(const Parser *p, const ActivityDef *a) {
        if (p->defaults.failure_policy != UNSET)
                return p->defaults.failure_policy;
        return p->rb->phases[a->phase].critical && p->rb->retry.max == 0 ? FAILURE_HOLD : FAILURE_FAIL;
}

static void activity_policies(Parser *p, const ActivityDraft *d, ActivityDef *a) {
        unsigned policy = d->continue_on_error ? FAILURE_CONTINUE : d->failure_policy;

        a->failure_policy_written = policy != UNSET;
        a->failure_policy = (FailurePolicy) (policy == UNSET ? default_policy(p, a) : policy);
        a->on_interrupt = (OnInterrupt) d->on_interrupt;
        a->resume_step = d->resume == 1;
        if (a->timeout == 0)
                a->timeout = p->defaults.timeout > 0 ? p->defaults.timeout : USEC_INFINITY;
}

static int directory_parse(Parser *p, const Node *node, ActivityDef *a) {
        if (node->length == 0)
                return node_error(&p->r, node, _("\"workingDirectory\" is empty: write a path, or leave it out for the run's workspace"));
        a->working_directory_text = strdup(node->string);
        return a->working_directory_text ? text_template_parse(p, node, &a->working_directory) : -ENOMEM;
}

/* 0, -EEXIST: another has this name, -EINVAL: it has none, which is said already, -ENOMEM. */
static int add_name(Parser *p, Hashmap *names, const char *name, void *object) {
        int k = name ? hashmap_put(names, name, object) : -EINVAL;

        if (k == -EINVAL || k == -EEXIST)
                p->names_bad = true;
        return k;
}

static int say_name_taken(Parser *p, const char *what, const Node *node, const char *name, unsigned other_line) {
        return node_error(&p->r, node_get(node, "name"), _("there is already %s \"%s\" in line %u: names are unique in a runbook"), what,
                          name, other_line);
}

static int activity_add(Parser *p, const Node *node, ActivityDef *a) {
        int k = add_name(p, p->rb->activity_by_name, a->name, a);

        return k == -EEXIST ? say_name_taken(p, _("an activity"), node, a->name, runbook_activity(p->rb, a->name)->line) : k;
}

static int phase_add(Parser *p, const Node *node, PhaseDef *ph) {
        int k = add_name(p, p->rb->phase_by_name, ph->name, ph);

        return k == -EEXIST ? say_name_taken(p, _("a phase"), node, ph->name, runbook_phase(p->rb, ph->name)->line) : k;
}

static int activity_parse(Parser *p, const Node *node, ActivityDef *a) {
        ActivityDraft d = { .def = *a, .failure_policy = UNSET };
        int result;

        result = fields_read(&p->r, &activity_table, node, &d);
        *a = d.def;
        a->line = node->line;
        a->column = node->column;
        p->activity_needs[a->index] = d.needs;
        if (result == -ENOMEM)
                return result;
        activity_policies(p, &d, a);
        if (fatal(&result, activity_add(p, node, a)) || fatal(&result, activity_retry(p, &d, a)) ||
            (d.condition && fatal(&result, condition_parse(p, d.condition, &a->condition))) ||
            (d.env && fatal(&result, env_parse(p, d.env, &a->env, &a->n_env))) ||
            (d.directory && fatal(&result, directory_parse(p, d.directory, a))))
                return result;
        if (node->type != NODE_MAP || (result < 0 && !d.steps && !d.action.run && !d.action.uses && !d.action.approval && !d.action.input))
                return result;                          /* a second message about what is missing would only confuse */
        if (!d.steps && !d.action.run && !d.action.uses && !d.action.approval && !d.action.input)
                return node_error(&p->r, node, _("an activity needs one of \"steps\", \"run\", \"uses\", \"approval\" and \"input\""));
        fatal(&result, activity_steps(p, node, &d, a));
        return result;
}

static int activities_parse(Parser *p, const Node *list, PhaseDef *ph) {
        int result = 0;

        for (unsigned i = 0; i < ph->n_activities; i++) {
                ActivityDef *a = p->rb->activities + ph->first_activity + i;

                a->index = ph->first_activity + i;
                a->phase = ph->index;
                a->node = i;
                if (fatal(&result, activity_parse(p, list->children[i], a)))
                        break;
        }
        return result;
}

/* How many activities a phase has, before it is read: a node that is not what it should be has none. */
static size_t count_activities(const Node *phase) {
        const Node *l = node_get(phase, "activities");

        return l && l->type == NODE_LIST ? l->n_children : 0;
}

static int phase_parse(Parser *p, const Node *node, PhaseDef *ph) {
        PhaseDraft d = { .def = *ph };
        int result;

        d.def.critical = true;
        d.def.line = node->line;
        d.def.column = node->column;
        result = fields_read(&p->r, &phase_table, node, &d);
        *ph = d.def;
        p->phase_needs[ph->index] = d.needs;
        if (result == -ENOMEM)
                return result;
        if (fatal(&result, phase_add(p, node, ph)) ||
            (d.condition && fatal(&result, condition_parse(p, d.condition, &ph->condition))))
                return result;
        if (d.activities && d.activities->n_children == 0)
                fatal(&result, node_error(&p->r, d.activities, _("\"activities\" needs at least one activity")));
        if (d.activities)
                fatal(&result, activities_parse(p, d.activities, ph));
        return result;
}

static int check_counts(Parser *p, const Node *phases, size_t *ret_activities) {
        size_t n = 0;

        if (phases->n_children == 0)
                return node_error(&p->r, phases, _("\"phases\" needs at least one phase"));
        if (phases->n_children > RUNBOOK_PHASES_MAX)
                return node_error(&p->r, phases, _("the runbook has %zu phases; at most %u are allowed"), phases->n_children,
                                  RUNBOOK_PHASES_MAX);
        for (size_t i = 0; i < phases->n_children; i++)
                n += count_activities(phases->children[i]);
        if (n > RUNBOOK_ACTIVITIES_MAX)
                return node_error(&p->r, phases, _("the runbook has %zu activities; at most %u are allowed"), n, RUNBOOK_ACTIVITIES_MAX);
        *ret_activities = n;
        return 0;
}

static int phases_allocate(Parser *p, const Node *phases, size_t n_activities) {
        Runbook *rb = p->rb;

        rb->phases = calloc(phases->n_children, sizeof(PhaseDef));
        rb->activities = calloc(n_activities ? n_activities : 1, sizeof(ActivityDef));
        p->phase_needs = calloc(phases->n_children, sizeof(Node *));
        p->activity_needs = calloc(n_activities ? n_activities : 1, sizeof(Node *));
        if (!rb->phases || !rb->activities || !p->phase_needs || !p->activity_needs)
                return -ENOMEM;
        rb->n_phases = (unsigned) phases->n_children;
        rb->n_activities = (unsigned) n_activities;
        return 0;
}

static int phases_parse(Parser *p, const Node *phases) {
        unsigned first = 0;
        size_t n_activities = 0;
        int result = check_counts(p, phases, &n_activities);

        if (result < 0)
                return result;
        result = phases_allocate(p, phases, n_activities);
        for (unsigned i = 0; i < p->rb->n_phases && result != -ENOMEM; i++) {
                PhaseDef *ph = p->rb->phases + i;

                ph->index = i;
                ph->first_activity = first;
                ph->n_activities = (unsigned) count_activities(phases->children[i]);
                first += ph->n_activities;
                fatal(&result, phase_parse(p, phases->children[i], ph));
        }
        return result;
}

static int unknown_need(Parser *p, const Node *need, const char *what, const char *const *candidates) {
        _cleanup_free_ char *hint = did_you_mean(p->r.d, need->string, candidates);

        return hint ? node_error(&p->r, need, _("there is no %s \"%s\"%s"), what, need->string, hint) : -ENOMEM;
}

static int unknown_phase(Parser *p, const Node *need) {
        _cleanup_free_ const char **names = calloc(p->rb->n_phases + 1, sizeof(char *));

        for (unsigned i = 0; names && i < p->rb->n_phases; i++)
                names[i] = p->rb->phases[i].name;
        return names ? unknown_need(p, need, _("phase"), names) : -ENOMEM;
}

static int unknown_activity(Parser *p, const Node *need, const PhaseDef *ph) {
        _cleanup_free_ const char **names = calloc(ph->n_activities + 1, sizeof(char *));

        for (unsigned i = 0; names && i < ph->n_activities; i++)
                names[i] = p->rb->activities[ph->first_activity + i].name;
        return names ? unknown_need(p, need, _("activity"), names) : -ENOMEM;
}

/* The node that a name of `needs` means: among the phases where ph is NULL, else among that phase's activities. */
static int resolve_need(Parser *p, const PhaseDef *ph, const Node *need, unsigned *ret) {
        if (!ph) {
                const PhaseDef *other = runbook_phase(p->rb, need->string);
                if (!other)
                        return unknown_phase(p, need);
                *ret = other->index;
        } else {
                const ActivityDef *other = runbook_activity(p->rb, need->string);
                if (!other)
                        return unknown_activity(p, need, ph);
                if (other->phase != ph->index)
                        return node_error(
                                &p->r, need,
                                _("\"%s\" is an activity of the phase \"%s\"; \"needs\" of an activity names activities of its own phase, "
                                  "\"needs\" of a phase names phases"),
                                need->string, p->rb->phases[other->phase].name);
                *ret = other->node;
        }
        return 0;
}

static int set_needs(Parser *p, const PhaseDef *ph, Graph *g, unsigned node, const Node *needs) {
        _cleanup_free_ unsigned *nodes = NULL;
        int result = 0;

        if (!needs)
                return 0;
        nodes = calloc(needs->n_children ? needs->n_children : 1, sizeof(unsigned));
        if (!nodes)
                return -ENOMEM;
        for (size_t i = 0; i < needs->n_children; i++)
                if (fatal(&result, resolve_need(p, ph, needs->children[i], nodes + i)))
                        return result;
        return result < 0 ? result : graph_set_needs(g, node, nodes, (unsigned) needs->n_children);
}

#define CYCLE_SHOWN_MAX 8u

static int say_cycle(Parser *p, const PhaseDef *ph, const Node *const *needs, const unsigned *cycle, unsigned n) {
        _cleanup_strbuf_ StrBuf b = {};
        _cleanup_free_ char *path = NULL;
        const Node *place = NULL;

        for (unsigned i = 0; i < n; i++) {
                if (!place && needs[cycle[i]])
                        place = needs[cycle[i]];
                if (i < CYCLE_SHOWN_MAX)
                        strbuf_appendf(&b, "%s → ",
                                       ph ? p->rb->activities[ph->first_activity + cycle[i]].name : p->rb->phases[cycle[i]].name);
        }
        strbuf_append(&b, n > CYCLE_SHOWN_MAX ? "… → " : "");
        strbuf_append(&b, ph ? p->rb->activities[ph->first_activity + cycle[0]].name : p->rb->phases[cycle[0]].name);
        path = strbuf_take(&b);
        if (!path)
                return -ENOMEM;
        /* Only written needs can close a cycle, so there is a place. */
        return node_key_error(&p->r, place, _("a cycle: each of these waits for the next: %s"), path);
}

/* The graph of the phases (ph NULL) or of one phase's activities; needs: by node. */
static int graph_build(Parser *p, const PhaseDef *ph, Graph *g, unsigned n, const Node *const *needs) {
        _cleanup_free_ unsigned *cycle = NULL;
        unsigned n_cycle;
        int result = graph_init(g, n);

        for (unsigned i = 0; i < n && result != -ENOMEM; i++)
                fatal(&result, set_needs(p, ph, g, i, needs[i]));
        if (result == -ENOMEM)
                return result;
        switch (graph_finish(g, &cycle, &n_cycle)) {
        case -ENOMEM:
                return -ENOMEM;
        case -ELOOP:
                return say_cycle(p, ph, needs, cycle, n_cycle);
        }
        return result;
}

static int needs_resolve(Parser *p) {
        Runbook *rb = p->rb;
        int result = graph_build(p, NULL, &rb->graph, rb->n_phases, p->phase_needs);

        for (unsigned i = 0; i < rb->n_phases && result != -ENOMEM; i++) {
                PhaseDef *ph = rb->phases + i;
                fatal(&result, graph_build(p, ph, &ph->graph, ph->n_activities, p->activity_needs + ph->first_activity));
        }
        return result;
}

static int runbook_name(Parser *p, const Node *written, const char *file_name) {
        if (file_name && !runbook_name_is_valid(file_name))
                return diag_error(p->r.d, 0, 0, _("the file's name \"%s\" is not %s"), file_name, _(RUNBOOK_FORM));
        if (written && file_name && !streq(written->string, file_name))
                return node_error(&p->r, written, _("the runbook is named \"%s\" and its file \"%s\": they must be the same"),
                                  written->string, file_name);
        p->rb->name = strdup(written ? written->string : file_name ? file_name : "runbook");
        return p->rb->name ? 0 : -ENOMEM;
}

static int runbook_policy(Parser *p, const Node *root, const RunbookDraft *d) {
        if (d->failure_policy == UNSET)
                return 0;
        if (p->defaults.failure_policy != UNSET)
                return node_key_error(&p->r, node_get(root, "failurePolicy"),
                                      _("\"failurePolicy\" stands here and under \"defaults\": keep one of them"));
        p->defaults.failure_policy = d->failure_policy;
        return 0;
}

static int run_retry(Parser *p, const RunbookDraft *d) {
        const Node *n = d->retries ? d->retries : d->retry;

        if (!n)
                return 0;
        p->rb->retry_line = n->key_line;
        p->rb->retry_column = n->key_column;
        return retries_parse(p, d->retries, d->retry, &p->rb->retry);
}

static int runbook_read(Parser *p, const Node *root, const char *file_name) {
        RunbookDraft d = { .failure_policy = UNSET, .timeout = USEC_INFINITY };
        int result;

        p->rb->activity_by_name = hashmap_new();
        p->rb->phase_by_name = hashmap_new();
        p->conditions = intmap_new();
        if (!p->rb->activity_by_name || !p->rb->phase_by_name || !p->conditions)
                return -ENOMEM;
        result = fields_read(&p->r, &runbook_table, root, &d);
        p->rb->description = d.description;
        p->rb->version = d.version;
        p->rb->timeout = d.timeout;
        p->rb->partial_success = (PartialSuccess) d.partial_success;
        if (result == -ENOMEM || fatal(&result, runbook_name(p, d.name, file_name)) || fatal(&result, runbook_policy(p, root, &d)) ||
            fatal(&result, run_retry(p, &d)) ||
            (d.triggers && fatal(&result, triggers_parse(p, d.triggers, d.name || file_name))) ||
            !d.phases || fatal(&result, phases_parse(p, d.phases)) || p->names_bad || p->rb->n_phases == 0 ||
            fatal(&result, needs_resolve(p)))
                return result;
        fatal(&result, runbook_check(p));
        return result;
}

/* Aliases repeat texts that are copied later: their sum is bounded here, in one walk over what the tree shares. NULs have no place in any text of a
 * runbook: it becomes arguments, names and environments. */
static int check_texts(const Node *n, Diagnostics *d, size_t *total) {
        int k = 0;

        *total += n->length + (n->key ? strlen(n->key) : 0);
        if (*total > RUNBOOK_EXPANDED_MAX)
                return diag_error(d, n->line, n->column, _("with its aliases expanded the file is larger than %u bytes"),
                                  RUNBOOK_EXPANDED_MAX);
        if (n->string && memchr(n->string, 0, n->length))
                return diag_error(d, n->line, n->column, _("a text holds a NUL character"));
        for (size_t i = 0; i < n->n_children && k >= 0; i++)
                k = check_texts(n->children[i], d, total);
        return k;
}

static int set_text(Runbook *rb, const char *text, size_t n, TreeFormat format) {
        _cleanup_strbuf_ StrBuf b = {};
        _cleanup_free_ char *all = NULL;
        size_t size;

        rb->format = format;
        rb->text = malloc(n + 1);
        if (!rb->text)
                return -ENOMEM;
        memcpy(rb->text, text, n);
        rb->text[n] = 0;
        rb->text_size = n;
        strbuf_append(&b, format == TREE_JSON ? "json" : "yaml");
        strbuf_append_c(&b, 0);
        strbuf_append(&b, rb->name);
        strbuf_append_c(&b, 0);
        strbuf_append_n(&b, text, n);
        size = b.n;
        all = strbuf_take(&b);
        if (!all)
                return -ENOMEM;
        digest_hex(all, size, rb->hash);
        return 0;
}

static void parser_done(Parser *p) {
        retry_policy_done(&p->defaults.policy);
        free(p->defaults.shell);
        free(p->phase_needs);
        free(p->activity_needs);
        intmap_free(p->conditions);
}

int runbook_parse(const char *text, size_t n, TreeFormat format, const char *name, Diagnostics *d, Runbook **ret) {
        _cleanup_(tree_freep) Tree *tree = NULL;
        _cleanup_(runbook_unrefp) Runbook *rb = NULL;
        Parser p = { .r = { .d = d, .userdata = &p }, .defaults = { .failure_policy = UNSET } };
        unsigned errors = d->n_errors;
        size_t total = 0;
        int k;

        k = tree_parse(text, n, format, d, &tree);
        if (k >= 0)
                k = check_texts(tree_root(tree), d, &total);
        if (k < 0)
                return k;
        rb = calloc(1, sizeof(Runbook));
        if (!rb)
                return -ENOMEM;
        rb->n_ref = 1;
        p.r.tree = tree;
        p.rb = rb;
        k = runbook_read(&p, tree_root(tree), name);
        parser_done(&p);
        if (k >= 0 && d->n_errors > errors)
                k = -EINVAL;
        if (k >= 0)
                k = set_text(rb, text, n, format);
        if (k < 0)
                return k;
        runbook_set_step_digests(rb, tree_root(tree));
        *ret = TAKE_PTR(rb);
        return 0;
}
