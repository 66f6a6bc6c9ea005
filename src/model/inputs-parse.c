/* Declarations of inputs in a definition file. Rules that belong to some types only are errors on the others, and a default obeys its own
 * declaration. */
#include <math.h>

#include "fields.h"
#include "i18n.h"
#include "input-pattern.h"
#include "inputs-parse.h"
#include "utf8.h"

static const char *const type_names[] = { "string", "number", "integer", "boolean", "choice", "list", "object", NULL };

typedef struct Draft {
        unsigned type;
        char *description;
        bool required, secret, fixed;
        bool is_field;
        const Node *default_value, *pattern_node, *options, *minimum, *maximum;
} Draft;

static int field_number_node(Reader *r, const Field *f, const Node *node, void *target) {
        if (node->type != NODE_INT && (node->type != NODE_DOUBLE || !isfinite(node->number)))
                return node_error(r, node, _("\"%s\" must be a number"), node_label(node));
        return field_any(r, f, node, target);
}

static int field_options(Reader *r, const Field *f, const Node *node, void *target) {
        int k = names_check(r, f, node);

        if (k < 0)
                return k;
        if (node->n_children == 0)
                return node_error(r, node, _("\"%s\" needs at least one entry"), node_label(node));
        return field_any(r, f, node, target);
}

static const Field input_fields[] = {
        FIELD("type", field_enum, Draft, type, .names = type_names),
        FIELD("description", field_text, Draft, description),
        FIELD("required", field_bool, Draft, required),
        FIELD("default", field_any, Draft, default_value),
        FIELD("pattern", field_string_node, Draft, pattern_node),
        FIELD("options", field_options, Draft, options, .max = INPUT_OPTIONS_MAX),
        FIELD("minimum", field_number_node, Draft, minimum),
        FIELD("maximum", field_number_node, Draft, maximum),
        FIELD("secret", field_bool, Draft, secret, .feature = FEATURE_SECRET_INPUT, .feature_values = 1u << 1),
        FIELD("fixed", field_bool, Draft, fixed),
};
DEFINE_FIELD_TABLE(input_table, "input", N_("an input"), input_fields);
static DEFINE_FIELD_TABLE(field_table, "input", N_("a field of a request"), input_fields);

/* Only these types take the rule. */
static int only_for(Reader *r, const Node *rule, const Draft *d, unsigned types, const char *which) {
        if (!rule || types & (1u << d->type))
                return 0;
        return node_key_error(r, rule,
                              d->is_field ? _("\"%s\" is for fields of type %s, and this one is of type %s") :
                                            _("\"%s\" is for inputs of type %s, and this one is of type %s"),
                              rule->key, which, type_names[d->type]);
}

static int check_rules(Reader *r, const Node *node, const Draft *d) {
        const unsigned bounded = 1u << INPUT_STRING | 1u << INPUT_NUMBER | 1u << INPUT_INTEGER | 1u << INPUT_LIST;
        int a = only_for(r, d->pattern_node, d, 1u << INPUT_STRING, "string"),
            b = only_for(r, d->options, d, 1u << INPUT_CHOICE, "choice"),
            c = only_for(r, d->minimum, d, bounded, "string, number, integer, list"),
            e = only_for(r, d->maximum, d, bounded, "string, number, integer, list");

        if (d->type == INPUT_CHOICE && !d->options)
                return node_error(r, node, d->is_field ? _("a field of type choice needs \"options\"") :
                                                         _("an input of type choice needs \"options\""));
        if (d->secret && d->default_value)
                return node_key_error(r, d->default_value,
                                      d->is_field ? _("a secret field cannot have a default: the file is no place for a secret") :
                                                    _("a secret input cannot have a default: the file is no place for a secret"));
        return MIN(MIN(a, b), MIN(c, e));
}

/* A length is a whole number from 0. */
static int check_length(Reader *r, const Node *n, unsigned type) {
        if (!n || (type != INPUT_STRING && type != INPUT_LIST))
                return 0;
        if (n->type == NODE_INT && n->integer >= 0)
                return 0;
        return node_error(r, n, _("\"%s\" of a %s is a length: a whole number from 0"), n->key, type_names[type]);
}

static int take_pattern(Reader *r, const Node *n, InputSpec *s) {
        _cleanup_free_ char *reason = NULL;
        const char *trouble;
        unsigned states;
        int k;

        if (!n)
                return 0;
        trouble = input_pattern_trouble(n->string, &states);
        r->pattern_states += trouble ? 0 : states;
        if (r->pattern_states > INPUT_PATTERNS_STATES_MAX)
                trouble = N_("together with the patterns before it, it is too large");
        if (trouble)
                return node_error(r, n, _("\"%s\" cannot be used: %s"), n->key, _(trouble));
        k = input_pattern_match(n->string, "", &reason);
        if (k == -EINVAL)
                return node_error(r, n, _("\"%s\" is not an extended regular expression: %s"), n->key, reason);
        if (k < 0)
                return k;
        s->pattern_text = strdup(n->string);
        return s->pattern_text ? 0 : -ENOMEM;
}

static int take_options(const Node *n, InputSpec *s) {
        if (!n)
                return 0;
        s->options = calloc(n->n_children + 1, sizeof(char *));
        if (!s->options)
                return -ENOMEM;
        for (size_t i = 0; i < n->n_children; i++)
                if (!(s->options[i] = strdup(n->children[i]->string)))
                        return -ENOMEM;
        return 0;
}

static int check_default(Reader *r, const Node *n, InputSpec *s) {
        _cleanup_json_ Json *value = NULL;
        _cleanup_free_ char *error = NULL;
        int k;

        if (!n)
                return 0;
        k = node_to_json(n, &value);
        if (k < 0)
                return k;
        k = input_check(s, value, &s->default_value, &error);
        if (k == -EINVAL)
                return node_error(r, n, _("the default does not fit: %s"), error);
        s->has_default = k >= 0;
        return k;
}

static int take_bounds(Reader *r, const Draft *d, InputSpec *s) {
        int k = d->minimum ? node_to_json(d->minimum, &s->minimum) : 0;

        if (k >= 0 && d->maximum)
                k = node_to_json(d->maximum, &s->maximum);
        if (k >= 0 && s->minimum && s->maximum && json_compare_numbers(s->minimum, s->maximum) > 0)
                return node_error(r, d->maximum, _("\"maximum\" is less than \"minimum\""));
        return k;
}

static int fill_spec(Reader *r, const Node *node, Draft *d, InputSpec *s) {
        int k;

        s->type = (InputType) d->type;
        s->required = d->required;
        s->secret = d->secret;
        s->fixed = d->fixed;
        s->description = TAKE_PTR(d->description);
        s->is_field = d->is_field;
        s->name = strdup(node->key);
        if (!s->name)
                return -ENOMEM;
        k = take_options(d->options, s);
        if (k >= 0)
                k = take_bounds(r, d, s);
        if (k < 0)
                return k;
        k = take_pattern(r, d->pattern_node, s);
        return k < 0 ? k : check_default(r, d->default_value, s);
}

bool input_name_is_valid(const char *s) {
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

        return n > 0 && n <= INPUT_NAME_MAX && s[n] == 0 && strchr("0123456789-", s[0]) == NULL;
}

static int name_error(Reader *r, const Node *node, bool field) {
        return node_key_error(
                r, node,
                field ? _("\"%s\" is not a name of a field: letters, digits, _ and -, not beginning with a digit or -, at most %u") :
                        _("\"%s\" is not a name of an input: letters, digits, _ and -, not beginning with a digit or -, at most %u"),
                node->key, INPUT_NAME_MAX);
}

static int spec_parse(Reader *r, const Node *node, bool field, InputSpec *ret) {
        Draft draft = { .is_field = field };
        InputSpec s = {};
        unsigned errors = r->d->n_errors;
        int k;

        if (!input_name_is_valid(node->key))
                return name_error(r, node, field);
        k = fields_read(r, field ? &field_table : &input_table, node, &draft);
        if (k >= 0)
                k = check_rules(r, node, &draft);
        if (k >= 0)
                k = check_length(r, draft.minimum, draft.type);
        if (k >= 0)
                k = check_length(r, draft.maximum, draft.type);
        if (k >= 0)
                k = fill_spec(r, node, &draft, &s);
        free(draft.description);
        if (k >= 0 && r->d->n_errors == errors)
                *ret = s;
        else
                input_spec_done(&s);
        return k < 0 ? k : r->d->n_errors > errors ? -EINVAL : 0;
}

static int check_count(Reader *r, const Node *node) {
        int k = expect_type(r, node, NODE_MAP);

        if (k < 0)
                return k;
        if (node->n_children > INPUTS_MAX)
                return node_error(r, node, _("\"%s\" has %zu entries; at most %u are allowed"), node_label(node), node->n_children,
                                  INPUTS_MAX);
        return 0;
}

static int specs_parse(Reader *r, const Node *node, bool fields, InputSpec **ret, size_t *ret_n) {
        InputSpec *specs;
        int result = check_count(r, node), k;

        if (result < 0)
                return result;
        specs = calloc(node->n_children ? node->n_children : 1, sizeof(InputSpec));
        if (!specs)
                return -ENOMEM;
        /* Handed over at once: the owner frees all of them, also those that stayed empty after an error. */
        *ret = specs;
        *ret_n = node->n_children;
        for (size_t i = 0; i < node->n_children; i++) {
                k = spec_parse(r, node->children[i], fields, specs + i);
                if (k == -ENOMEM)
                        return k;
                result = k < 0 ? k : result;
        }
        return result;
}

int input_specs_parse(Reader *r, const Node *node, InputSpec **ret, size_t *ret_n) {
        return specs_parse(r, node, false, ret, ret_n);
}

int field_specs_parse(Reader *r, const Node *node, InputSpec **ret, size_t *ret_n) {
        return specs_parse(r, node, true, ret, ret_n);
}
