/* Fields and handlers that the format has and this version can't carry out: they are read here and nothing of them is kept, so that a file
 * gets the same messages about its form today and on the day when they work. The refusal itself is in runbook-features.c. */
#include "i18n.h"
#include "runbook-parse.h"

static const char *const http_methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", NULL };
static const char *const child_modes[] = { "wait", "detach", NULL };
static const char *const concurrency_policies[] = { "queue", "skip", "replace", NULL };

#define CONCURRENCY_MAX 1000u
#define SECRETS_MAX 100u

static int check_template(Reader *r, const Field *f, const Node *node, void *target) {
        _cleanup_(template_freep) Template *t = NULL;

        return template_compile(r->tree, node, r->d, &t);
}

static int check_text(Reader *r, const Field *f, const Node *node, void *target) {
        _cleanup_(template_freep) Template *t = NULL;

        return text_template_parse(r->userdata, node, &t);
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

int field_secrets(Reader *r, const Field *f, const Node *node, void *target) {
        static const Field secret = { .max = SECRETS_MAX,
                                      .valid = env_name_is_valid,
                                      .form = N_("a name of a secret: letters, digits and _") };

        return names_check(r, &secret, node);
}
