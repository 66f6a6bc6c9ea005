/* Parts of a definition that stand in several places: retry policies, environments, people, requests, and texts that may hold expressions. */
#include "i18n.h"
#include "inputs-parse.h"
#include "runbook-parse.h"

#include "fd-util.h"
#include "utf8.h"

/* The last is another spelling of the first. */
static const char *const backoff_fields[] = {
        [BACKOFF_EXP] = "exp", [BACKOFF_LIN] = "lin", [BACKOFF_FIXED] = "fixed", "exponential", NULL
};
static const char *const strategy_fields[] = { "fixed", "exponential", NULL };

typedef struct RetryDraft {
        unsigned max, attempts, backoff, strategy;
        usec_t initial, maximum;
        char **on, **not_on;
} RetryDraft;

static bool error_code_is_valid(const char *s) {
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

        return n > 0 && n <= 64 && s[n] == 0;
}

#define CODE_LIST .max = RETRY_CODES_MAX, .valid = error_code_is_valid, .form = N_("an error code such as EXIT or TIMEOUT")

static const Field retries_fields[] = {
        FIELD("max", field_unsigned, RetryDraft, max, .required = true, .max = RETRIES_MAX),
        FIELD("backoff", field_enum, RetryDraft, backoff, .names = backoff_fields),
        FIELD("initialInterval", field_timespan, RetryDraft, initial, .group = GROUP_INITIAL, .max = RETRY_WAIT_MAX),
        FIELD("initialIntervalMs", field_milliseconds, RetryDraft, initial, .group = GROUP_INITIAL, .max = RETRY_WAIT_MAX),
        FIELD("maxInterval", field_timespan, RetryDraft, maximum, .group = GROUP_MAXIMUM, .max = RETRY_WAIT_MAX),
        FIELD("maxIntervalMs", field_milliseconds, RetryDraft, maximum, .group = GROUP_MAXIMUM, .max = RETRY_WAIT_MAX),
        FIELD("on", field_names, RetryDraft, on, CODE_LIST),
        FIELD("notOn", field_names, RetryDraft, not_on, CODE_LIST),
};
DEFINE_FIELD_TABLE(retries_table, "retries", N_("a \"retries\" policy"), retries_fields);

static const Field retry_fields[] = {
        FIELD("maxAttempts", field_unsigned, RetryDraft, attempts, .required = true, .min = 1, .max = RETRY_ATTEMPTS_MAX),
        FIELD("delay", field_timespan, RetryDraft, initial, .group = GROUP_INITIAL, .min = RETRY_DELAY_MIN, .max = RETRY_DELAY_MAX),
        FIELD("delayMs", field_milliseconds, RetryDraft, initial, .group = GROUP_INITIAL, .min = RETRY_DELAY_MIN, .max = RETRY_DELAY_MAX),
        FIELD("strategy", field_enum, RetryDraft, strategy, .names = strategy_fields),
        FIELD("on", field_names, RetryDraft, on, CODE_LIST),
        FIELD("notOn", field_names, RetryDraft, not_on, CODE_LIST),
};
DEFINE_FIELD_TABLE(retry_table, "retry", N_("a \"retry\" policy"), retry_fields);

int retries_parse(Parser *p, const Node *retries, const Node *retry, RetryPolicy *ret) {
        RetryDraft d = { .initial = RETRY_INITIAL_DEFAULT, .maximum = USEC_INFINITY };
        int k = fields_read(&p->r, retries ? &retries_table : &retry_table, retries ? retries : retry, &d);

        *ret = (RetryPolicy) { .initial = d.initial, .maximum = d.maximum, .on = d.on, .not_on = d.not_on };
        if (retries) {
                ret->max = d.max;
                ret->backoff = d.backoff > BACKOFF_FIXED ? BACKOFF_EXP : (Backoff) d.backoff;
        } else {
                ret->max = d.attempts > 0 ? d.attempts - 1 : 0;
                ret->backoff = d.strategy == 1 ? BACKOFF_EXP : BACKOFF_FIXED;
        }
        return k;
}

static int strv_copy(char *const *l, char ***ret) {
        size_t n = 0;

        if (!l)
                return 0;
        while (l[n])
                n++;
        *ret = calloc(n + 1, sizeof(char *));
        if (!*ret)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                if (!((*ret)[i] = strdup(l[i])))
                        return -ENOMEM;
        return 0;
}

int retry_policy_copy(const RetryPolicy *p, RetryPolicy *ret) {
        *ret = *p;
        ret->on = ret->not_on = NULL;
        if (strv_copy(p->on, &ret->on) < 0 || strv_copy(p->not_on, &ret->not_on) < 0)
                return -ENOMEM;
        return 0;
}

bool step_name_is_valid(const char *s) {
        size_t n = strlen(s);

        for (const char *c = s; *c; c++)
                if ((unsigned char) *c < 0x20 || *c == 0x7f)
                        return false;
        return n > 0 && n <= STEP_NAME_MAX;
}

bool env_name_is_valid(const char *s) {
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

        return n > 0 && s[n] == 0 && strchr("0123456789", s[0]) == NULL;
}

/* Numbers and booleans stand in text as they are written in the file: 1.10 stays 1.10. */
int text_template_parse(Parser *p, const Node *node, Template **ret) {
        Node text = *node;

        switch (node->type) {
        case NODE_STRING:
                return template_compile(p->r.tree, node, p->r.d, ret);
        case NODE_BOOL:
        case NODE_INT:
        case NODE_DOUBLE:
                text.type = NODE_STRING;
                return template_compile(p->r.tree, &text, p->r.d, ret);
        case NODE_NULL:
        case NODE_LIST:
        case NODE_MAP:
                break;
        }
        return node_error(&p->r, node, _("\"%s\" must be %s, not %s"), node_label(node), node_type_name(NODE_STRING),
                          node_type_name(node->type));
}

int condition_parse(Parser *p, const Node *node, Expr **ret) {
        int k = condition_compile(p->r.tree, node, p->r.d, ret);

        return k < 0 ? k : intmap_put(p->conditions, (uint64_t) (uintptr_t) *ret, (void *) node);
}

static int env_var_parse(Parser *p, const Node *member, EnvVar *ret) {
        if (!env_name_is_valid(member->key))
                return node_key_error(
                        &p->r, member,
                        _("\"%s\" is not a name of an environment variable: letters, digits and _, not beginning with a digit"),
                        member->key);
        if (startswith(member->key, "RUNBOOK_"))
                return node_key_error(&p->r, member, _("\"%s\": names that begin with RUNBOOK_ are set by runbookd; choose another"),
                                      member->key);
        ret->name = strdup(member->key);
        return ret->name ? text_template_parse(p, member, &ret->value) : -ENOMEM;
}

int env_parse(Parser *p, const Node *node, EnvVar **env, size_t *n_env) {
        int result = expect_type(&p->r, node, NODE_MAP), k;
        EnvVar *grown;

        if (result < 0)
                return result;
        grown = realloc(*env, (*n_env + node->n_children + 1) * sizeof(EnvVar));
        if (!grown)
                return -ENOMEM;
        *env = grown;
        for (size_t i = 0; i < node->n_children; i++) {
                EnvVar *v = *env + *n_env;
                *v = (EnvVar) {};
                (*n_env)++;
                k = env_var_parse(p, node->children[i], v);
                if (k == -ENOMEM)
                        return k;
                result = k < 0 ? k : result;
        }
        return result;
}

static bool principal_is_valid(const char *s) {
        const char *user = startswith(s, "user:"), *group = startswith(s, "group:"), *name = user ? user : group ? group : s;
        size_t n = strlen(name);

        for (const char *c = name; *c; c++)
                if ((unsigned char) *c <= 0x20 || strchr(":/\x7f", *c))
                        return false;
        return n > 0 && n <= PRINCIPAL_NAME_MAX && name[0] != '-';
}

static const Field principal_field = {
        .max = OWNERS_MAX, .valid = principal_is_valid, .form = N_("a person or a group: NAME, user:NAME or group:NAME"),
};

static int principal_fill(const char *text, Principal *ret) {
        const char *group = startswith(text, "group:"), *user = startswith(text, "user:");

        ret->is_group = group;
        ret->name = strdup(group ? group : user ? user : text);
        ret->text = strdup(text);
        return ret->name && ret->text ? 0 : -ENOMEM;
}

int principals_parse(Reader *r, const Node *node, Principal **ret, size_t *ret_n) {
        int k = names_check(r, &principal_field, node);

        if (k < 0)
                return k;
        *ret = calloc(node->n_children ? node->n_children : 1, sizeof(Principal));
        if (!*ret)
                return -ENOMEM;
        *ret_n = node->n_children;
        for (size_t i = 0; i < node->n_children && k >= 0; i++)
                k = principal_fill(node->children[i]->string, *ret + i);
        return k;
}

typedef struct RequestDraft {
        const Node *title, *message, *context, *approvers, *fields;
        unsigned required, on_timeout;
        bool allow_starter;
        usec_t timeout;
} RequestDraft;

static const Field request_fields[] = {
        FIELD("title", field_any, RequestDraft, title),
        FIELD("message", field_any, RequestDraft, message),
        FIELD("context", field_any, RequestDraft, context),
        FIELD("approvers", field_list, RequestDraft, approvers),
        FIELD("required", field_unsigned, RequestDraft, required, .min = 1, .max = OWNERS_MAX),
        FIELD("allowStarter", field_bool, RequestDraft, allow_starter),
        FIELD("fields", field_map, RequestDraft, fields),
        FIELD("timeout", field_timespan, RequestDraft, timeout, .group = GROUP_TIMEOUT, .max = REQUEST_TIMEOUT_MAX),
        FIELD("timeoutMs", field_milliseconds, RequestDraft, timeout, .group = GROUP_TIMEOUT, .max = REQUEST_TIMEOUT_MAX),
        FIELD("onTimeout", field_enum, RequestDraft, on_timeout, .names = on_timeout_names),
};
DEFINE_FIELD_TABLE(request_table, "request", N_("a request to a person"), request_fields);

/* A title is shown to everybody, so nothing of the run may get into it. */
static int title_parse(Parser *p, const Node *node, Template **ret) {
        int k = node ? text_template_parse(p, node, ret) : 0;

        if (k >= 0 && *ret && !template_is_constant(*ret))
                return node_error(&p->r, node, _("\"title\" is shown to everybody and cannot hold expressions; put them into \"message\""));
        return k;
}

/* More approvals than people can never be given; groups have any number. */
static int check_required(Parser *p, const Node *written, const RequestSpec *q) {
        if (!written || q->n_approvers == 0)
                return 0;
        for (size_t i = 0; i < q->n_approvers; i++)
                if (q->approvers[i].is_group)
                        return 0;
        if (q->required <= q->n_approvers)
                return 0;
        return node_error(&p->r, written, _("\"required\" is %u, but only %zu may approve"), q->required, q->n_approvers);
}

/* An approval's own outputs would hide a field of the same name. */
static int check_fields(Parser *p, const Node *fields) {
        static const char *const own[] = { "approved", "action", "comment", "by" };
        int result = 0;

        for (size_t i = 0; i < fields->n_children; i++)
                for (size_t k = 0; k < ELEMENTSOF(own); k++)
                        if (streq(fields->children[i]->key, own[k]))
                                result = diag_error(p->r.d, fields->children[i]->key_line, fields->children[i]->key_column, _("a field can't be called \"%s\": every approval has that output; choose another name"), own[k]);
        return result;
}

static int request_fill(Parser *p, const Node *node, const RequestDraft *d, RequestSpec *q) {
        int result = 0;
        const int parts[] = {
                title_parse(p, d->title, &q->title),
                d->message ? text_template_parse(p, d->message, &q->message) : 0,
                d->context ? template_compile(p->r.tree, d->context, p->r.d, &q->context) : 0,
                d->approvers ? principals_parse(&p->r, d->approvers, &q->approvers, &q->n_approvers) : 0,
                d->fields ? field_specs_parse(&p->r, d->fields, &q->fields, &q->n_fields) : 0,
        };

        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                if (parts[i] == -ENOMEM)
                        return -ENOMEM;
                result = MIN(result, parts[i]);
        }
        if (d->fields && check_fields(p, d->fields) < 0)
                result = -EINVAL;
        if (result >= 0)
                result = check_required(p, node_get(node, "required"), q);
        return result;
}

int request_parse(Parser *p, const Node *node, RequestSpec *ret) {
        RequestDraft d = { .required = 1, .allow_starter = true, .timeout = USEC_INFINITY, .on_timeout = ON_TIMEOUT_FAIL };
        int k = fields_read(&p->r, &request_table, node, &d), f;

        *ret = (RequestSpec) {
                .required = d.required, .allow_starter = d.allow_starter, .timeout = d.timeout, .on_timeout = (OnTimeout) d.on_timeout,
        };
        if (k == -ENOMEM)
                return k;
        f = request_fill(p, node, &d, ret);
        return f < 0 ? f : k;
}
