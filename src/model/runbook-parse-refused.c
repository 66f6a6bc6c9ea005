/* Fields and handlers that the format has and this version can't carry out: they are read here and nothing of them is kept, so that a file
 * gets the same messages about its form today and on the day when they work. The refusal itself is in runbook-features.c. */
#include "i18n.h"
#include "runbook-parse.h"

static const char *const exclusive_ends[] = { "continue", "fail", NULL };
static const char *const http_methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", NULL };
static const char *const child_modes[] = { "wait", "detach", NULL };
static const char *const catch_ups[] = { "none", "last", "all", NULL };
static const char *const concurrency_policies[] = { "queue", "skip", "replace", NULL };

#define GATE_ITERATIONS_MAX 1000u
#define CONCURRENCY_MAX 1000u
#define TRIGGERS_MAX 100u
#define SECRETS_MAX 100u

static int check_template(Reader *r, const Field *f, const Node *node, void *target) {
        _cleanup_(template_freep) Template *t = NULL;

        return template_compile(r->tree, node, r->d, &t);
}

static int check_text(Reader *r, const Field *f, const Node *node, void *target) {
        _cleanup_(template_freep) Template *t = NULL;

        return text_template_parse(r->userdata, node, &t);
}

static int check_expression(Reader *r, const Field *f, const Node *node, void *target) {
        _cleanup_(expr_freep) Expr *e = NULL;

        return condition_compile(r->tree, node, r->d, &e);
}

static int check_map_of(Reader *r, const Node *node, FieldRead read) {
        int result = expect_type(r, node, NODE_MAP), k;

        for (size_t i = 0; result >= 0 && i < node->n_children; i++) {
                k = read(r, NULL, node->children[i], NULL);
                result = k < 0 ? k : result;
        }
        return result;
}

static int check_texts(Reader *r, const Field *f, const Node *node, void *target) {
        return check_map_of(r, node, check_text);
}

static int check_values(Reader *r, const Field *f, const Node *node, void *target) {
        return check_map_of(r, node, check_template);
}

static const Field route_fields[] = {
        FIELD_CHECKED("restartFrom", field_string, .required = true, .valid = object_name_is_valid, .form = N_("the id of a step")),
        FIELD_CHECKED("context", check_template),
};
DEFINE_FIELD_TABLE(route_table, "route", N_("a route of a gate"), route_fields);

static int check_route(Reader *r, const Field *f, const Node *node, void *target) {
        static const Field end = { .names = exclusive_ends };

        return node->type == NODE_MAP ? fields_read(r, &route_table, node, NULL) : field_enum(r, &end, node, NULL);
}

static int check_routes(Reader *r, const Field *f, const Node *node, void *target) {
        return check_map_of(r, node, check_route);
}

static const Field gate_fields[] = {
        FIELD_CHECKED("decision", check_expression, .required = true),
        FIELD_CHECKED("routes", check_routes, .required = true),
        FIELD_CHECKED("default", check_route),
        FIELD_CHECKED("maxIterations", field_unsigned, .max = GATE_ITERATIONS_MAX),
};
DEFINE_FIELD_TABLE(gate_table, "gate", N_("\"with\" of builtin:gate"), gate_fields);

static const Field wait_fields[] = {
        FIELD_CHECKED("for", field_timespan, .group = GROUP_ACTION),
        FIELD_CHECKED("until", check_text, .group = GROUP_ACTION),
};
DEFINE_FIELD_TABLE(wait_table, "wait", N_("\"with\" of builtin:wait"), wait_fields);

static int check_status(Reader *r, const Field *f, const Node *node, void *target) {
        static const Field code = { .min = 100, .max = 599 };
        int result = 0, k;

        if (node->type != NODE_LIST)
                return field_unsigned(r, &code, node, NULL);
        for (size_t i = 0; i < node->n_children; i++) {
                k = field_unsigned(r, &code, node->children[i], NULL);
                result = k < 0 ? k : result;
        }
        return result;
}

static const Field http_fields[] = {
        FIELD_CHECKED("method", field_enum, .names = http_methods),
        FIELD_CHECKED("url", check_text, .required = true),
        FIELD_CHECKED("headers", check_texts),
        FIELD_CHECKED("body", check_template),
        FIELD_CHECKED("expectedStatus", check_status),
        FIELD_CHECKED("timeout", field_timespan, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
        FIELD_CHECKED("timeoutMs", field_milliseconds, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
};
DEFINE_FIELD_TABLE(http_table, "http", N_("\"with\" of builtin:http"), http_fields);

static const Field child_fields[] = {
        FIELD_CHECKED("inputs", check_values),
        FIELD_CHECKED("mode", field_enum, .names = child_modes),
        FIELD_CHECKED("timeout", field_timespan, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
        FIELD_CHECKED("timeoutMs", field_milliseconds, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
};
DEFINE_FIELD_TABLE(child_table, "child", N_("\"with\" of runbook:NAME"), child_fields);

int handler_check_gate(Parser *p, const Node *uses, const Node *with) {
        return fields_read(&p->r, &gate_table, with, NULL);
}

int handler_check_wait(Parser *p, const Node *uses, const Node *with) {
        int k = fields_read(&p->r, &wait_table, with, NULL);

        return k >= 0 && with->n_children == 0 ? node_error(&p->r, with, _("\"builtin:wait\" needs \"for\" or \"until\"")) : k;
}

int handler_check_http(Parser *p, const Node *uses, const Node *with) {
        return fields_read(&p->r, &http_table, with, NULL);
}

int handler_check_runbook(Parser *p, const Node *uses, const Node *with) {
        if (!runbook_name_is_valid(uses->string + strlen("runbook:")))
                return node_error(&p->r, uses, _("\"%s\" does not name a runbook: write runbook:NAME"), uses->string);
        return fields_read(&p->r, &child_table, with, NULL);
}

/* What a plugin takes is the plugin's to say; only the time limit is ours. */
int handler_check_plugin(Parser *p, const Node *uses, const Node *with) {
        const char *id = uses->string + strlen("plugin:"), *colon = strchr(id, ':');
        char plugin[65] = {};

        if (colon && (size_t) (colon - id) < sizeof(plugin))
                memcpy(plugin, id, colon - id);
        if (!colon || !object_name_is_valid(plugin) || !object_name_is_valid(colon + 1))
                return node_error(&p->r, uses, _("\"%s\" does not name a plugin: write plugin:ID:HANDLER"), uses->string);
        return check_map_of(&p->r, with, check_template);
}

static const Field concurrency_fields[] = {
        FIELD_CHECKED("group", check_text, .required = true),
        FIELD_CHECKED("max", field_unsigned, .min = 1, .max = CONCURRENCY_MAX),
        FIELD_CHECKED("policy", field_enum, .names = concurrency_policies),
};
DEFINE_FIELD_TABLE(concurrency_table, "concurrency", N_("\"concurrency\""), concurrency_fields);

int field_concurrency(Reader *r, const Field *f, const Node *node, void *target) {
        return fields_read(r, &concurrency_table, node, NULL);
}

static const Field trigger_fields[] = {
        FIELD_CHECKED("cron", field_string, .group = GROUP_ACTION),
        FIELD_CHECKED("calendar", field_string, .group = GROUP_ACTION),
        FIELD_CHECKED("onFailureOf", field_names, .group = GROUP_ACTION, .valid = runbook_name_is_valid, .form = N_("a name of a runbook")),
        FIELD_CHECKED("timezone", field_string),
        FIELD_CHECKED("catchUp", field_enum, .names = catch_ups),
        FIELD_CHECKED("inputs", field_map),
};
DEFINE_FIELD_TABLE(trigger_table, "trigger", N_("a trigger"), trigger_fields);

static int check_trigger(Reader *r, const Node *node) {
        int k = fields_read(r, &trigger_table, node, NULL);

        if (k >= 0 && !node_get(node, "cron") && !node_get(node, "calendar") && !node_get(node, "onFailureOf"))
                k = node_error(r, node, _("a trigger needs \"cron\", \"calendar\" or \"onFailureOf\""));
        if (k >= 0 && node_get(node, "onFailureOf") && (node_get(node, "timezone") || node_get(node, "catchUp")))
                k = node_error(r, node, _("\"timezone\" and \"catchUp\" do not go with \"onFailureOf\""));
        return k;
}

int field_triggers(Reader *r, const Field *f, const Node *node, void *target) {
        int result = expect_type(r, node, NODE_LIST), k;

        if (result >= 0 && node->n_children > TRIGGERS_MAX)
                return node_error(r, node, _("\"%s\" has %zu entries; at most %u are allowed"), node_label(node), node->n_children,
                                  TRIGGERS_MAX);
        for (size_t i = 0; result != -ENOMEM && node->type == NODE_LIST && i < node->n_children; i++) {
                k = check_trigger(r, node->children[i]);
                result = k < 0 ? k : result;
        }
        return result;
}

int field_secrets(Reader *r, const Field *f, const Node *node, void *target) {
        static const Field secret = { .max = SECRETS_MAX,
                                      .valid = env_name_is_valid,
                                      .form = N_("a name of a secret: letters, digits and _") };

        return names_check(r, &secret, node);
}
