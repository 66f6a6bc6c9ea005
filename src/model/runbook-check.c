/* What the expressions of a runbook name, checked when the file is read: that it is there, and that it must have ended before the place where
 * it is named. (That the fixed members of a context are right is said by the parser of expressions.) What can only be known later, a key that
 * is computed or an output that a command writes, is left to the evaluation. On the way, steps whose standard output is read are marked, so
 * that others need not have theirs captured, and it is noted which inputs an activity can't begin without.
 *
 * Lookups go through maps that are made when they are first needed, so that the cost stays linear in the file. */
#include "runbook-parse.h"

#include "i18n.h"
#include "template.h"

/* Names of one place (its inputs, its variables, its steps), for whom the map was made last. */
typedef struct Index {
        const void *owner;
        Hashmap *map;
} Index;

/* Sets of graph nodes that have ended before one node. */
typedef struct Ancestors {
        const Graph *graph;
        unsigned node;
        uint8_t *set;
} Ancestors;

#define NEEDS_SEARCHED_MAX 16u                          /* longer lists of needs are not searched for a short cut */

typedef struct Checker {
        Parser *p;
        Runbook *rb;
        /* The place that is looked at; NULL: outside of one. */
        const PhaseDef *phase;
        ActivityDef *activity;
        const StepDef *step;
        unsigned env_levels;                            /* how many levels of `env` can be seen, from the runbook's */
        Index inputs, env[3], steps;
        Ancestors phases, activities;
        const ActivityDef *all_captured;
        /* By input: is it named in the runbook's env, in the condition, in the activity that is looked at? `noted` is one of these. */
        uint8_t *in_env, *in_condition, *in_activity, *noted;
        int result;
} Checker;

typedef struct Where {
        Checker *c;
        const ExprRef *ref;
        const Node *condition; /* where the reference stands in an `if`: line and column are found when they are needed */
        size_t at;
        unsigned line, column;
} Where;

/* Finding a place in a text costs its length, so it is done for errors that will be shown. */
static Diagnostics *located(Where *w) {
        Diagnostics *d = w->c->p->r.d;

        if (w->condition && d->n_items < DIAGNOSTICS_MAX)
                node_position(w->c->p->r.tree, w->condition, w->at, &w->line, &w->column);
        return d;
}

static int say_unknown(Where *w, const char *format, const char *name, const char *const *candidates) {
        _cleanup_free_ char *hint = did_you_mean(w->c->p->r.d, name, candidates);
        Diagnostics *d = located(w);

        return hint ? diag_error(d, w->line, w->column, format, name, hint) : -ENOMEM;
}

/* Located first: the order of arguments is nobody's. */
#define ref_error(w, ...) ((void) located(w), diag_error((w)->c->p->r.d, (w)->line, (w)->column, __VA_ARGS__))

static int index_for(Index *x, const void *owner) {
        if (x->owner == owner)
                return 0;
        hashmap_free(x->map);
        x->owner = NULL;
        x->map = hashmap_new();
        if (!x->map)
                return -ENOMEM;
        x->owner = owner;
        return 1;
}

static int put_quietly(Hashmap *m, const char *key, const void *value) {
        int k = key ? hashmap_put(m, key, (void *) value) : 0;

        return k == -EEXIST ? 0 : k;
}

/* NULL: which one is only known when it is evaluated. */
static void note_input(Checker *c, const InputSpec *spec) {
        if (spec)
                c->noted[spec - c->rb->inputs] = 1;
        else
                memset(c->noted, 1, c->rb->n_inputs);
}

static int check_input(Where *w) {
        Checker *c = w->c;
        _cleanup_free_ const char **names = NULL;
        const InputSpec *spec;
        int k;

        if (w->ref->n_path == 0) {
                note_input(c, NULL);
                return 0;
        }
        k = index_for(&c->inputs, c->rb);
        for (size_t i = 0; k > 0 && i < c->rb->n_inputs; i++)
                if (put_quietly(c->inputs.map, c->rb->inputs[i].name, c->rb->inputs + i) < 0)
                        k = -ENOMEM;
        if (k < 0)
                return k;
        spec = hashmap_get(c->inputs.map, w->ref->path[0]);
        if (spec) {
                note_input(c, spec);
                return 0;
        }
        names = calloc(c->rb->n_inputs + 1, sizeof(char *));
        if (!names)
                return -ENOMEM;
        for (size_t i = 0, n = 0; i < c->rb->n_inputs; i++)
                if (c->rb->inputs[i].name)
                        names[n++] = c->rb->inputs[i].name;
        return say_unknown(w, _("there is no input \"%s\"%s"), w->ref->path[0], names);
}

static int find_env(Index *x, const void *owner, const EnvVar *env, size_t n, const char *name) {
        int k = index_for(x, owner);

        for (size_t i = 0; k > 0 && i < n; i++)
                if (put_quietly(x->map, env[i].name, env + i) < 0)
                        return -ENOMEM;
        return k < 0 ? k : hashmap_get(x->map, name) != NULL;
}

static int check_env(Where *w) {
        Checker *c = w->c;
        const char *name = w->ref->path[0];
        int k = 0;

        if (w->ref->n_path == 0)
                return 0;
        if (c->env_levels > 0)
                k = find_env(&c->env[0], c->rb, c->rb->env, c->rb->n_env, name);
        if (k == 0 && c->env_levels > 1)
                k = find_env(&c->env[1], c->activity, c->activity->env, c->activity->n_env, name);
        if (k == 0 && c->env_levels > 2)
                k = find_env(&c->env[2], c->step, c->step->env, c->step->n_env, name);
        if (k != 0)
                return MIN(k, 0);
        return ref_error(w, _("no \"env\" around this place sets \"%s\" (one \"env\" cannot use its own variables)"), name);
}

static int check_failure(Where *w) {
        const StepDef *s = w->c->step;

        if (s && (s->list == LIST_ON_FAILURE || s->list == LIST_POST))
                return 0;
        return ref_error(w, _("\"failure\" is known in onFailure and post only"));
}

static bool needs_directly(const GraphNode *v, unsigned a) {
        for (unsigned i = 0; v->explicit_needs && i < v->n_needs && i < NEEDS_SEARCHED_MAX; i++)
                if (v->needs[i] == a)
                        return true;
        return false;
}

/* Puts what precedes node b into x: from what precedes one of its needs, where x has that (files mostly go from need to need). */
static int ancestors_of(Ancestors *x, const Graph *g, unsigned b) {
        unsigned known = x->graph == g && needs_directly(g->nodes + b, x->node) ? x->node : g->n_nodes;
        uint8_t *set;

        if (x->graph != g) {
                x->graph = NULL;
                set = realloc(x->set, g->n_nodes);
                if (!set)
                        return -ENOMEM;
                x->set = set;
        }
        if (graph_ancestors(g, b, known, x->set) < 0) {
                x->graph = NULL;
                return -ENOMEM;
        }
        x->graph = g;
        x->node = b;
        return 0;
}

/* Must node a have ended before node b of g starts? */
static int has_ended_before(Ancestors *x, const Graph *g, unsigned a, unsigned b) {
        const GraphNode *v = g->nodes + b;

        if ((!v->explicit_needs && a < b) || needs_directly(v, a))
                return 1;
        if ((x->graph != g || x->node != b) && ancestors_of(x, g, b) < 0)
                return -ENOMEM;
        return x->set[a];
}

static int phase_has_ended(Checker *c, const PhaseDef *ph) {
        return c->phase ? has_ended_before(&c->phases, &c->rb->graph, ph->index, c->phase->index) : 0;
}

static int activity_has_ended(Checker *c, const ActivityDef *a) {
        if (!c->phase || a->phase != c->phase->index)
                return phase_has_ended(c, c->rb->phases + a->phase);
        return c->activity ? has_ended_before(&c->activities, &c->phase->graph, a->node, c->activity->node) : 0;
}

static int unknown_phase(Where *w) {
        const Runbook *rb = w->c->rb;
        _cleanup_free_ const char **names = calloc(rb->n_phases + 1, sizeof(char *));

        for (unsigned i = 0; names && i < rb->n_phases; i++)
                names[i] = rb->phases[i].name;
        return names ? say_unknown(w, _("there is no phase \"%s\"%s"), w->ref->path[0], names) : -ENOMEM;
}

static int unknown_activity(Where *w) {
        const Runbook *rb = w->c->rb;
        _cleanup_free_ const char **names = calloc(rb->n_activities + 1, sizeof(char *));

        for (unsigned i = 0; names && i < rb->n_activities; i++)
                names[i] = rb->activities[i].name;
        return names ? say_unknown(w, _("there is no activity \"%s\"%s"), w->ref->path[0], names) : -ENOMEM;
}

static int check_phase_ref(Where *w) {
        const PhaseDef *ph;
        int k;

        if (w->ref->n_path == 0)
                return 0;
        ph = runbook_phase(w->c->rb, w->ref->path[0]);
        if (!ph)
                return unknown_phase(w);
        k = phase_has_ended(w->c, ph);
        if (k < 0)
                return k;
        if (k == 0)
                return ref_error(w, _("the phase \"%s\" need not have ended before this: only what this waits for can be named"), ph->name);
        return 0;
}

static int check_activity_ref(Where *w) {
        const ActivityDef *a;
        int k;

        if (w->ref->n_path == 0)
                return 0;
        a = runbook_activity(w->c->rb, w->ref->path[0]);
        if (!a)
                return unknown_activity(w);
        k = activity_has_ended(w->c, a);
        if (k < 0)
                return k;
        if (k == 0)
                return ref_error(w, _("the activity \"%s\" need not have ended before this: only what this waits for can be named"),
                                 a->name);
        return 0;
}

/* pre has ended for everything else, the main steps for the other hooks, and of its own list a step knows those before it. */
static bool step_has_ended(const StepDef *other, const StepDef *s) {
        if (other->list == s->list)
                return other->number < s->number;
        return other->list == LIST_PRE || (other->list == LIST_MAIN && s->list != LIST_PRE);
}

static void capture_all(Checker *c) {
        if (c->all_captured == c->activity)
                return;
        c->all_captured = c->activity;
        for (unsigned i = 0; i < c->activity->n_steps; i++)
                c->activity->steps[i].needs_stdout = true;
}

static int unknown_step(Where *w) {
        const ActivityDef *a = w->c->activity;
        _cleanup_free_ const char **names = calloc(a->n_steps + 1, sizeof(char *));

        for (unsigned i = 0, n = 0; names && i < a->n_steps; i++)
                if (a->steps[i].id && step_has_ended(a->steps + i, w->c->step))
                        names[n++] = a->steps[i].id;
        return names ? say_unknown(w, _("there is no step \"%s\" in this activity%s"), w->ref->path[0], names) : -ENOMEM;
}

/* The outputs of a request are known from its declaration; commands may write any. */
static int check_request_output(Where *w, const StepDef *s) {
        static const char *const fixed[] = { "approved", "action", "comment", "by" };
        size_t n = s->kind == STEP_APPROVAL ? ELEMENTSOF(fixed) : 0;
        _cleanup_free_ const char **names = calloc(ELEMENTSOF(fixed) + s->request.n_fields + 1, sizeof(char *));

        if (!names)
                return -ENOMEM;
        memcpy(names, fixed, n * sizeof(char *));
        for (size_t i = 0; i < s->request.n_fields; i++)
                if (s->request.fields[i].name)
                        names[n++] = s->request.fields[i].name;
        for (size_t i = 0; i < n; i++)
                if (streq(names[i], w->ref->path[2]))
                        return 0;
        return say_unknown(w, _("this step has no output \"%s\"%s"), w->ref->path[2], names);
}

static int check_step_outputs(Where *w, StepDef *s) {
        const ExprRef *ref = w->ref;

        if (ref->n_path >= 2 && !streq(ref->path[1], "outputs"))
                return 0;
        if (ref->n_path < 3 || streq(ref->path[2], "stdout"))
                s->needs_stdout = true;
        if (ref->n_path == 3 && (s->kind == STEP_APPROVAL || s->kind == STEP_INPUT))
                return check_request_output(w, s);
        return 0;
}

static int find_step(Checker *c, const char *id, StepDef **ret) {
        int k = index_for(&c->steps, c->activity);

        for (unsigned i = 0; k > 0 && i < c->activity->n_steps; i++)
                if (put_quietly(c->steps.map, c->activity->steps[i].id, c->activity->steps + i) < 0)
                        return -ENOMEM;
        if (k < 0)
                return k;
        *ret = hashmap_get(c->steps.map, id);
        return 0;
}

static int check_step_ref(Where *w) {
        Checker *c = w->c;
        StepDef *other;
        int k;

        if (!c->step)
                return ref_error(w, _("\"steps\" is known in steps only; name an activity's outputs"));
        if (w->ref->n_path == 0) {
                capture_all(c);
                return 0;
        }
        k = find_step(c, w->ref->path[0], &other);
        if (k < 0)
                return k;
        if (!other)
                return unknown_step(w);
        if (!step_has_ended(other, c->step))
                return ref_error(w, _("the step \"%s\" has not run yet at this place"), other->id);
        /* A gate judges the rejection of the request before it. */
        if (c->step->kind == STEP_GATE && other->list == c->step->list && other->number + 1 == c->step->number)
                other->gated = true;
        return check_step_outputs(w, other);
}

/* What a payload holds is known when a run is started with one. */
static int check_trigger(Where *w) {
        static const char *const members[] = { "runId", "type", "payload" };

        if (w->ref->n_path == 0)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                if (streq(members[i], w->ref->path[0]))
                        return 0;
        return ref_error(w, _("\"trigger\" has no member \"%s\"; it has runId, type and payload"), w->ref->path[0]);
}

/* The members of `run` are fixed and known to the parser of expressions. */
static int check_nothing(Where *w) {
        return 0;
}

static int (*const checks[_EXPR_ROOT_MAX])(Where *w) = {
        [EXPR_INPUTS] = check_input,    [EXPR_ENV] = check_env,          [EXPR_RUN] = check_nothing,
        [EXPR_TRIGGER] = check_trigger, [EXPR_PHASES] = check_phase_ref, [EXPR_ACTIVITIES] = check_activity_ref,
        [EXPR_STEPS] = check_step_ref,  [EXPR_FAILURE] = check_failure,
};

static void check_ref(Where *w) {
        int k;

        if (w->c->result == -ENOMEM)
                return;
        k = checks[w->ref->root](w);
        if (k < 0)
                w->c->result = k;
}

static void visit(void *userdata, const ExprRef *ref, unsigned line, unsigned column) {
        check_ref(&(Where) { .c = userdata, .ref = ref, .line = line, .column = column });
}

static void check_template(Checker *c, const Template *t) {
        if (t)
                template_visit(t, visit, c);
}

/* The expression of an `if` begins behind the braces, where there are any. */
static void check_condition(Checker *c, const Expr *e) {
        const Node *n = e ? intmap_get(c->p->conditions, (uint64_t) (uintptr_t) e) : NULL;
        const ExprRef *refs;
        size_t n_refs, base;

        if (!n)
                return;
        base = strspn(n->string, " \t\r\n");
        if (startswith(n->string + base, "${{"))
                base += 3;
        refs = expr_refs(e, &n_refs);
        for (size_t i = 0; i < n_refs; i++)
                check_ref(&(Where){
                        .c = c, .ref = refs + i, .condition = n, .at = base + refs[i].offset, .line = n->line, .column = n->column });
}

static void check_env_values(Checker *c, const EnvVar *env, size_t n, unsigned levels) {
        c->env_levels = levels;
        for (size_t i = 0; i < n; i++)
                check_template(c, env[i].value);
}

/* Back to a step that has run before it, in its own list. */
static int check_restart(Checker *c, const StepDef *s, GateRoute *route) {
        StepDef *to = NULL;
        int k = find_step(c, route->restart_from, &to);

        if (k < 0)
                return k;
        if (to && to->list == s->list && to->number < s->number) {
                route->restart_step = (unsigned) (to - c->activity->steps);
                return 0;
        }
        return diag_error(c->p->r.d, route->line, route->column, _("a gate can go back to a step before it in the same list; \"%s\" is none"),
                          route->restart_from);
}

static void check_gate(Checker *c, const StepDef *s) {
        check_condition(c, s->gate.decision);
        for (size_t i = 0; i < s->gate.n_routes && c->result != -ENOMEM; i++) {
                GateRoute *route = &s->gate.routes[i];
                int k = route->restart_from ? check_restart(c, s, route) : 0;

                if (k < 0)
                        c->result = k;
                check_template(c, route->context);
        }
}

static void check_action(Checker *c, const StepDef *s) {
        switch (s->kind) {
        case STEP_SHELL:
                if (s->shell.command)
                        shell_template_visit(s->shell.command, visit, c);
                break;
        case STEP_EXEC:
                for (size_t i = 0; i < s->exec.n_argv; i++)
                        check_template(c, s->exec.argv[i]);
                break;
        case STEP_APPROVAL:
        case STEP_INPUT:
                check_template(c, s->request.message);
                check_template(c, s->request.context);
                break;
        case STEP_GATE:
                check_gate(c, s);
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

static void check_step(Checker *c, const StepDef *s) {
        c->step = s;
        check_env_values(c, s->env, s->n_env, 2);
        c->env_levels = 3;
        check_condition(c, s->condition);
        check_action(c, s);
        c->step = NULL;
}

/* Those of the noted ones that may be without a value when the run begins. */
static int input_set(const Checker *c, const uint8_t *a, const uint8_t *b, InputSet *ret) {
        const Runbook *rb = c->rb;
        unsigned n = 0;

        for (unsigned i = 0; i < rb->n_inputs; i++)
                n += (a[i] || b[i]) && rb->inputs[i].required && !rb->inputs[i].has_default;
        if (n == 0)
                return 0;
        ret->items = calloc(n, sizeof(unsigned));
        if (!ret->items)
                return -ENOMEM;
        for (unsigned i = 0; i < rb->n_inputs; i++)
                if ((a[i] || b[i]) && rb->inputs[i].required && !rb->inputs[i].has_default)
                        ret->items[ret->n++] = i;
        return 0;
}

/* What it names is in c->in_condition then. */
static void check_condition_of(Checker *c, const Expr *e, InputSet *ret) {
        memset(c->in_condition, 0, c->rb->n_inputs);
        c->noted = c->in_condition;
        check_condition(c, e);
        if (input_set(c, c->in_condition, c->in_condition, ret) < 0)
                c->result = -ENOMEM;
        c->noted = c->in_activity;
}

static void check_activity(Checker *c, ActivityDef *a) {
        c->activity = a;
        c->env_levels = 2;
        check_condition_of(c, a->condition, &a->condition_inputs);
        memcpy(c->in_activity, c->in_condition, c->rb->n_inputs);
        check_env_values(c, a->env, a->n_env, 1);
        c->env_levels = 2;
        check_template(c, a->working_directory);
        for (unsigned i = 0; i < a->n_steps && c->result != -ENOMEM; i++)
                check_step(c, a->steps + i);
        if (c->result != -ENOMEM && input_set(c, c->in_activity, c->in_env, &a->inputs) < 0)
                c->result = -ENOMEM;
        c->activity = NULL;
}

static void check_phase(Checker *c, PhaseDef *ph) {
        c->phase = ph;
        c->env_levels = 1;
        check_condition_of(c, ph->condition, &ph->condition_inputs);
        for (unsigned i = 0; i < ph->n_activities && c->result != -ENOMEM; i++)
                check_activity(c, c->rb->activities + ph->first_activity + i);
        c->phase = NULL;
}

static int check_all(Checker *c) {
        c->noted = c->in_env;
        check_env_values(c, c->rb->env, c->rb->n_env, 0);
        c->noted = c->in_activity;
        for (unsigned i = 0; i < c->rb->n_phases && c->result != -ENOMEM; i++)
                check_phase(c, c->rb->phases + i);
        return c->result;
}

int runbook_check(Parser *p) {
        size_t n = MAX(p->rb->n_inputs, (size_t) 1);
        _cleanup_free_ uint8_t *notes = calloc(3, n);
        Checker c = { .p = p, .rb = p->rb, .in_env = notes, .in_condition = notes + n, .in_activity = notes + 2 * n };

        if (!notes)
                return -ENOMEM;
        (void) check_all(&c);
        hashmap_free(c.inputs.map);
        hashmap_free(c.steps.map);
        for (size_t i = 0; i < ELEMENTSOF(c.env); i++)
                hashmap_free(c.env[i].map);
        free(c.phases.set);
        free(c.activities.set);
        return c.result;
}
