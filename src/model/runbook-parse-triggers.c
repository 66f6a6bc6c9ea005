/* What starts a runbook without anybody asking for it. Several entries that follow failures are one: the names that they list together, and
 * one set of inputs, because nobody could say which entry a run was started for.
 *
 * Inputs stand here as values: there is no run yet that an expression could speak of. What failed, and how, the run reads from
 * trigger.payload. */
#include "i18n.h"
#include "runbook-parse.h"

#define TRIGGERS_MAX 100u

static const char *const catch_ups[] = { "none", "last", "all", NULL };

typedef struct TriggerDraft {
        const Node *cron, *calendar, *failed, *timezone, *inputs;
} TriggerDraft;

/* No names, written as an empty list or as nothing at all, are all of them. */
static int field_failed(Reader *r, const Field *f, const Node *node, void *target) {
        return node->type == NODE_NULL ? field_any(r, f, node, target) : field_names_node(r, f, node, target);
}

static const Field trigger_fields[] = {
        FIELD("cron", field_string_node, TriggerDraft, cron, .group = GROUP_ACTION),
        FIELD("calendar", field_string_node, TriggerDraft, calendar, .group = GROUP_ACTION),
        FIELD("onFailureOf", field_failed, TriggerDraft, failed, .group = GROUP_ACTION, .valid = runbook_name_is_valid,
              .form = N_("a name of a runbook")),
        FIELD("timezone", field_string_node, TriggerDraft, timezone),
        FIELD_CHECKED("catchUp", field_enum, .names = catch_ups),
        FIELD("inputs", field_map, TriggerDraft, inputs),
};
DEFINE_FIELD_TABLE(trigger_table, "trigger", N_("a trigger"), trigger_fields);

typedef struct Failures {
        Hashmap *seen;
        size_t n, allocated;
        bool any;                                       /* one of the entries names none */
        const Node *first;                              /* the first entry */
} Failures;

static int add_failed(Parser *p, const Node *name, bool named, Failures *f) {
        char **l = p->rb->on_failure_of;
        int k;

        if (named && streq_ptr(name->string, p->rb->name))
                return node_error(&p->r, name, _("a runbook cannot be started by its own failure: let another one follow it, or use \"retries\""));
        k = hashmap_put(f->seen, name->string, (void *) name);
        if (k < 0)
                return k == -EEXIST ? 0 : k;            /* in another entry too */
        if (!GREEDY_REALLOC(l, f->allocated, f->n + 2))
                return -ENOMEM;
        p->rb->on_failure_of = l;
        l[f->n + 1] = NULL;
        l[f->n] = strdup(name->string);
        return l[f->n++] ? 0 : -ENOMEM;
}

/* Out of memory ends everything; of all else the last stays. */
static bool fatal(int *result, int k) {
        *result = k < 0 ? k : *result;
        return k == -ENOMEM;
}

static int unknown_input(Parser *p, const Node *value) {
        _cleanup_free_ const char **names = calloc(p->rb->n_inputs + 1, sizeof(char *));
        _cleanup_free_ char *hint = NULL;

        for (size_t i = 0; names && i < p->rb->n_inputs; i++)
                names[i] = p->rb->inputs[i].name;
        hint = names ? did_you_mean(p->r.d, value->key, names) : NULL;
        return hint ? node_key_error(&p->r, value, _("there is no input \"%s\"%s"), value->key, hint) : -ENOMEM;
}

static bool holds_expression(const Node *n) {
        if (n->string && strstr(n->string, "${{"))
                return true;
        for (size_t i = 0; i < n->n_children; i++)
                if (holds_expression(n->children[i]))
                        return true;
        return false;
}

static int input_value(Parser *p, const Node *value, Json *all) {
        _cleanup_json_ Json *given = NULL, *checked = NULL;
        _cleanup_free_ char *error = NULL;
        const InputSpec *s = inputs_find(p->rb->inputs, p->rb->n_inputs, value->key);
        int k;

        if (!s)
                return unknown_input(p, value);
        if (holds_expression(value))
                return node_error(&p->r, value, _("inputs of a trigger are values, without expressions: the steps find what failed in trigger.payload"));
        k = node_to_json(value, &given);
        if (k >= 0)
                k = input_check(s, given, &checked, &error);
        if (k == -EINVAL)
                return node_error(&p->r, value, "%s", error);
        return k < 0 ? k : json_set(all, s->name, TAKE_PTR(checked));
}

/* Where the declarations are wrong, no value can be held against them. */
static int input_values(Parser *p, const Node *inputs, Json **ret) {
        _cleanup_json_ Json *all = NULL, *whole = NULL;
        _cleanup_free_ char *error = NULL;
        int result = 0;

        if (p->inputs_bad)
                return 0;
        if (inputs->n_children > INPUTS_MAX)
                return node_error(&p->r, inputs, _("\"%s\" has %zu entries; at most %u are allowed"), node_label(inputs), inputs->n_children,
                                  INPUTS_MAX);
        all = json_new_object();
        if (!all)
                return -ENOMEM;
        for (size_t i = 0; i < inputs->n_children; i++)
                if (fatal(&result, input_value(p, inputs->children[i], all)))
                        return result;
        if (result < 0)
                return result;
        result = inputs_check(p->rb->inputs, p->rb->n_inputs, all, &whole, NULL, &error);
        if (result < 0)
                return result == -ENOMEM ? result : node_error(&p->r, inputs, "%s", error);
        *ret = TAKE_PTR(all);
        return 0;
}

static bool same_inputs(const Json *a, const Json *b) {
        return json_length(a) == json_length(b) && (json_length(a) == 0 || json_equal(a, b));
}

static int take_inputs(Parser *p, const Node *entry, const Node *inputs, const Failures *f) {
        _cleanup_json_ Json *values = NULL;
        int k = inputs ? input_values(p, inputs, &values) : 0;

        if (k < 0)
                return k;
        if (f->first == entry)
                p->rb->on_failure_inputs = TAKE_PTR(values);
        else if (!p->inputs_bad && !same_inputs(p->rb->on_failure_inputs, values))
                return node_error(&p->r, inputs ? inputs : entry,
                                  _("triggers of one runbook that follow failures give the same inputs, and those in line %u are others: "
                                    "make them equal, or use two runbooks"),
                                  f->first->line);
        return 0;
}

static int take_failure(Parser *p, const Node *entry, const TriggerDraft *d, bool named, Failures *f) {
        int result = 0;

        if (!f->first) {
                f->first = entry;
                p->rb->on_failure = true;
                p->rb->on_failure_line = entry->line;
                p->rb->on_failure_column = entry->column;
        }
        f->any = f->any || d->failed->n_children == 0;
        for (size_t i = 0; i < d->failed->n_children; i++)
                if (fatal(&result, add_failed(p, d->failed->children[i], named, f)))
                        return result;
        (void) fatal(&result, take_inputs(p, entry, d->inputs, f));
        return result;
}

static int trigger_parse(Parser *p, const Node *node, bool named, Failures *f) {
        TriggerDraft d = {};
        int k = fields_read(&p->r, &trigger_table, node, &d);

        if (k < 0)
                return k;
        if (d.cron || d.calendar)
                return feature_check(FEATURE_TIMED_TRIGGERS, d.cron ? d.cron : d.calendar, p->r.d);
        if (!d.failed)
                return node_error(&p->r, node, _("a trigger needs \"cron\", \"calendar\" or \"onFailureOf\""));
        if (d.timezone || node_get(node, "catchUp"))
                return node_error(&p->r, node, _("\"timezone\" and \"catchUp\" do not go with \"onFailureOf\""));
        return take_failure(p, node, &d, named, f);
}

static void forget_names(Runbook *rb) {
        for (char **n = rb->on_failure_of; n && *n; n++)
                free(*n);
        free(rb->on_failure_of);
        rb->on_failure_of = NULL;
}

int triggers_parse(Parser *p, const Node *list, bool named) {
        _cleanup_(hashmap_freep) Hashmap *seen = hashmap_new();
        Failures f = { .seen = seen };
        int result = 0;

        if (!seen)
                return -ENOMEM;
        if (list->n_children > TRIGGERS_MAX)
                return node_error(&p->r, list, _("\"%s\" has %zu entries; at most %u are allowed"), node_label(list), list->n_children,
                                  TRIGGERS_MAX);
        for (size_t i = 0; i < list->n_children; i++)
                if (fatal(&result, trigger_parse(p, list->children[i], named, &f)))
                        return result;
        if (f.any)
                forget_names(p->rb);
        return result;
}
