/* builtin:gate: a step without a process that looks at what came before it and sends the attempt on, to its failure, or back. It takes no
 * time: its decision is one event. */
#include "run-private.h"

#include "fd-util.h"
#include "i18n.h"

static const GateRoute *find_route(const GateSpec *g, const char *value) {
        for (size_t i = 0; i < g->n_routes; i++)
                if (!g->routes[i].value || streq(g->routes[i].value, value))
                        return &g->routes[i];           /* the default is the last one */
        return NULL;
}

/* NULL and no error: it may go on. */
static int gate_error(const Decision *d, const GateSpec *g, const GateRoute *route, const StepRun *s, const char *value, Json **ret) {
        usec_t at = d->now->wall;

        *ret = NULL;
        if (!route)
                *ret = error_new("GATE", at, _("the gate has no route for “%s” and no default"), value);
        else if (route->action == GATE_FAIL)
                *ret = error_new("GATE", at, _("the gate leads to a failure for “%s”"), value);
        else if (route->action == GATE_RESTART && s->iterations >= g->max_iterations)
                *ret = error_new("GATE", at, P_("the gate has gone back %u time already (maxIterations)",
                                                "the gate has gone back %u times already (maxIterations)", s->iterations), s->iterations);
        else
                return 0;
        return *ret ? 0 : -ENOMEM;
}

static int gate_outputs(const GateRoute *route, const StepRun *s, const char *value, Json **ret) {
        _cleanup_json_ Json *j = json_new_object();

        if (!j || json_set_string(j, "decision", value) < 0 || json_set_string(j, "route", route ? gate_action_to_string(route->action) : NULL) < 0 ||
            json_set_uint(j, "iteration", s->iterations) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(j);
        return 0;
}

static int set_restart(const Decision *d, Activity *a, int step, const GateRoute *route, Event *e, char **ret_error) {
        Json *context = NULL;
        int r;

        if (!route || route->action != GATE_RESTART || e->error)
                return 0;
        r = resolve_context(a, step, route, d->limits, &context, ret_error);
        if (r < 0)
                return r;
        e->data = json_new_object();
        if (!e->data || json_set_string(e->data, "restartFrom", route->restart_from) < 0) {
                json_unref(context);
                return -ENOMEM;
        }
        return context ? json_set(e->data, "context", context) : 0;
}

int pass_gate(const Decision *d, Activity *a, int step) {
        const GateSpec *g = &a->def->steps[step].gate;
        const StepRun *s = &activity_attempt(a)->steps[step];
        _cleanup_(event_freep) Event *e = NULL;
        _cleanup_free_ char *value = NULL, *message = NULL;
        const GateRoute *route;
        int r = resolve_decision(a, step, d->limits, &value, &message);

        if (r == -EINVAL)
                return expression_failed(d, a, step, message);
        if (r < 0)
                return r;
        route = find_route(g, value);
        e = activity_event(d, a, EVENT_STEP_FINISHED, step);
        if (!e)
                return -ENOMEM;
        e->started = false;
        r = gate_error(d, g, route, s, value, &e->error);
        if (r >= 0)
                r = gate_outputs(route, s, value, &e->outputs);
        if (r >= 0)
                r = set_restart(d, a, step, route, e, &message);
        if (r == -EINVAL)
                return expression_failed(d, a, step, message);
        if (r < 0)
                return r;
        e->step_state = e->error ? STEP_FAILED : STEP_SUCCESS;
        return decision_apply(d, TAKE_PTR(e));
}
