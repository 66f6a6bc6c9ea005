/* builtin:gate: a decision, and where each of its values leads. */
#include "i18n.h"
#include "runbook-parse.h"

typedef struct RouteDraft {
        const Node *restart, *context;
} RouteDraft;

static const Field route_fields[] = {
        FIELD("restartFrom", field_string_node, RouteDraft, restart, .required = true, .valid = object_name_is_valid, .form = N_("the id of a step")),
        FIELD("context", field_any, RouteDraft, context),
};
DEFINE_FIELD_TABLE(route_table, "route", N_("a route of a gate"), route_fields);

typedef struct GateDraft {
        const Node *decision, *routes, *fallback;
        unsigned max_iterations;
} GateDraft;

static const Field gate_fields[] = {
        FIELD("decision", field_any, GateDraft, decision, .required = true),
        FIELD("routes", field_map, GateDraft, routes, .required = true),
        FIELD("default", field_any, GateDraft, fallback),
        FIELD("maxIterations", field_unsigned, GateDraft, max_iterations, .max = GATE_ITERATIONS_MAX),
};
DEFINE_FIELD_TABLE(gate_table, "gate", N_("\"with\" of builtin:gate"), gate_fields);

static int restart_parse(Parser *p, const Node *node, GateRoute *ret) {
        RouteDraft d = {};
        int k = fields_read(&p->r, &route_table, node, &d), f = 0;

        if (k == -ENOMEM)
                return k;
        ret->action = GATE_RESTART;
        if (d.restart) {
                ret->line = d.restart->line;
                ret->column = d.restart->column;
                ret->restart_from = strdup(d.restart->string);
                if (!ret->restart_from)
                        return -ENOMEM;
        }
        if (d.context)
                f = template_compile(p->r.tree, d.context, p->r.d, &ret->context);
        return f < 0 ? f : k;
}

static int route_parse(Parser *p, const Node *node, GateRoute *ret) {
        static const char *const ends[] = { [GATE_CONTINUE] = "continue", [GATE_FAIL] = "fail", NULL };
        static const Field end = { .names = ends };
        unsigned action = GATE_CONTINUE;
        int k;

        if (node->type == NODE_MAP)
                return restart_parse(p, node, ret);
        k = field_enum(&p->r, &end, node, &action);
        ret->action = (GateAction) action;
        return k;
}

static int routes_parse(Parser *p, const GateDraft *d, GateSpec *ret) {
        size_t n = d->routes->n_children;
        int result = 0, k;

        ret->routes = calloc(n + 1, sizeof(GateRoute));
        if (!ret->routes)
                return -ENOMEM;
        for (size_t i = 0; i < n + (d->fallback != NULL); i++) {
                const Node *node = i < n ? d->routes->children[i] : d->fallback;
                GateRoute *route = &ret->routes[i];

                ret->n_routes = i + 1;
                if (i < n && !(route->value = strdup(node->key)))
                        return -ENOMEM;
                k = route_parse(p, node, route);
                if (k == -ENOMEM)
                        return k;
                result = k < 0 ? k : result;
        }
        return result;
}

int gate_parse(Parser *p, const Node *with, GateSpec *ret) {
        GateDraft d = { .max_iterations = GATE_ITERATIONS_DEFAULT };
        int k = fields_read(&p->r, &gate_table, with, &d), f = 0;

        if (k == -ENOMEM)
                return k;
        ret->max_iterations = d.max_iterations;
        if (d.decision)
                f = condition_parse(p, d.decision, &ret->decision);
        if (f != -ENOMEM && d.routes) {
                int j = routes_parse(p, &d, ret);
                f = j < 0 ? j : f;
        }
        return f < 0 ? f : k;
}
