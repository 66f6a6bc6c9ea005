/* The reader behind the tables of fields.h. It goes on after an error, so that a person sees all that is wrong with a file at once; only
 * being out of memory ends it early. Messages name the key, say what stands there and what would be right.
 *
 * What this version does not support is well-formed all the same: the error goes to the list, and reading goes on as if it were supported.
 * So a return value of 0 speaks of the form only; whoever gives a result to others counts the errors. */
#include "fields.h"

#include "fd-util.h"
#include "hashmap.h"
#include "i18n.h"
#include "strbuf.h"
#include "utf8.h"

/* "Did you mean" costs an edit distance per candidate: a hostile file must not be able to buy many of them. */
#define SUGGESTIONS_MAX 20u
#define SUGGESTION_CANDIDATES_MAX 2000u
#define SHOWN_MAX 80u                                   /* bytes of a text in a message */
#define LISTED_MAX 8u                                   /* an object with so few fields names them all to who wrote another */
#define LIST_PAIRWISE_MAX 8u                            /* longer lists are searched for duplicates with a hash map */

const char *node_label(const Node *n) {
        return n->key ? n->key : _("this element");
}

char *did_you_mean(const Diagnostics *d, const char *s, const char *const *candidates) {
        const char *nearest = NULL;
        size_t n = 0;

        while (candidates[n] && n <= SUGGESTION_CANDIDATES_MAX)
                n++;
        if (d->n_errors < SUGGESTIONS_MAX && n <= SUGGESTION_CANDIDATES_MAX)
                nearest = nearest_name(s, candidates);
        return nearest ? xasprintf(_("; did you mean \"%s\"?"), nearest) : strdup("");
}

/* Long texts and texts with control characters are not repeated in messages. */
static bool is_presentable(const char *s) {
        size_t n = 0;

        for (; s[n] && n <= SHOWN_MAX; n++)
                if ((unsigned char) s[n] < 0x20 || s[n] == 0x7f)
                        return false;
        return n <= SHOWN_MAX;
}

int expect_type(Reader *r, const Node *n, NodeType type) {
        if (n->type == type)
                return 0;
        return node_error(r, n, _("\"%s\" must be %s, not %s"), node_label(n), node_type_name(type), node_type_name(n->type));
}

int expect_text(Reader *r, const Node *n) {
        switch (n->type) {
        case NODE_STRING:
        case NODE_INT:
        case NODE_DOUBLE:
                return 0;
        case NODE_NULL:
        case NODE_BOOL:
        case NODE_LIST:
        case NODE_MAP:
                break;
        }
        return node_error(r, n, _("\"%s\" must be %s, not %s"), node_label(n), node_type_name(NODE_STRING), node_type_name(n->type));
}

static char *join_names(const char *const *names) {
        _cleanup_strbuf_ StrBuf b = {};

        for (const char *const *n = names; *n; n++) {
                strbuf_append(&b, n == names ? "" : ", ");
                strbuf_append(&b, *n);
        }
        return strbuf_take(&b);
}

static int unknown_key(Reader *r, const FieldTable *t, const Node *member) {
        const char *keys[FIELDS_MAX + 1];
        _cleanup_free_ char *hint = NULL;

        for (size_t i = 0; i < t->n_fields; i++)
                keys[i] = t->fields[i].key;
        keys[t->n_fields] = NULL;
        hint = did_you_mean(r->d, member->key, keys);
        if (hint && !*hint && t->n_fields <= LISTED_MAX) {
                _cleanup_free_ char *all = join_names(keys);
                free(hint);
                hint = all ? xasprintf(_("; it has %s"), all) : NULL;
        }
        if (!hint)
                return -ENOMEM;
        return node_key_error(r, member, _("%s has no field \"%s\"%s"), _(t->what), member->key, hint);
}

static const Field *find_field(const FieldTable *t, const char *key, size_t *ret_index) {
        for (size_t i = 0; i < t->n_fields; i++)
                if (streq(t->fields[i].key, key)) {
                        *ret_index = i;
                        return t->fields + i;
                }
        return NULL;
}

/* Which rows are written, and whether keys stand together that say the same or exclude each other. */
static int collect(Reader *r, const FieldTable *t, const Node *node, const Node **found) {
        const Field *of_group[FIELDS_MAX + 1] = {};
        int result = 0;

        for (size_t i = 0; i < node->n_children; i++) {
                const Node *member = node->children[i];
                size_t index;
                const Field *f = find_field(t, member->key, &index);
                int k = 0;

                if (!f)
                        k = unknown_key(r, t, member);
                else if (f->group && of_group[f->group])
                        k = node_key_error(r, member, _("\"%s\" and \"%s\" cannot stand together: keep one of them"),
                                           of_group[f->group]->key, f->key);
                else {
                        found[index] = member;
                        if (f->group)
                                of_group[f->group] = f;
                }
                if (k == -ENOMEM)
                        return k;
                result = k < 0 ? k : result;
        }
        return result;
}

static int read_one(Reader *r, const FieldTable *t, const Field *f, const Node *node, const Node *member, void *object) {
        void *target = object && f->offset != FIELD_CHECK_ONLY ? (uint8_t *) object + f->offset : NULL;
        int k;

        if (!member)
                return node_error(r, node, _("%s needs \"%s\""), _(t->what), f->key);
        k = f->read(r, f, member, target);
        if (k >= 0 && f->feature_values == 0)
                (void) feature_check(f->feature, member, r->d);
        return k;
}

int fields_read(Reader *r, const FieldTable *t, const Node *node, void *object) {
        const Node *found[FIELDS_MAX] = {};
        int result, k;

        if (node->type != NODE_MAP)
                return node_error(r, node, _("%s is written as %s, not %s"), _(t->what), node_type_name(NODE_MAP),
                                  node_type_name(node->type));
        result = collect(r, t, node, found);
        for (size_t i = 0; i < t->n_fields && result != -ENOMEM; i++) {
                if (!found[i] && !t->fields[i].required)
                        continue;
                k = read_one(r, t, t->fields + i, node, found[i], object);
                result = k < 0 ? k : result;
        }
        return result;
}

static int check_valid(Reader *r, const Field *f, const Node *node) {
        if (!f->valid || f->valid(node->string))
                return 0;
        if (!is_presentable(node->string))
                return node_error(r, node, _("\"%s\" is not %s"), node_label(node), _(f->form));
        return node_error(r, node, _("\"%s\" is not %s"), node->string, _(f->form));
}

static int store_text(Reader *r, const Field *f, const Node *node, void *target) {
        char *copy;
        int k;

        k = check_valid(r, f, node);
        if (k < 0 || !target)
                return k;
        copy = strdup(node->string);
        if (!copy)
                return -ENOMEM;
        free(*(char **) target);
        *(char **) target = copy;
        return 0;
}

int field_string(Reader *r, const Field *f, const Node *node, void *target) {
        int k = expect_type(r, node, NODE_STRING);

        return k < 0 ? k : store_text(r, f, node, target);
}

int field_text(Reader *r, const Field *f, const Node *node, void *target) {
        int k = expect_text(r, node);

        return k < 0 ? k : store_text(r, f, node, target);
}

static int check_value_feature(Reader *r, const Field *f, const Node *node, unsigned value) {
        if (f->feature_values & (1u << value))
                (void) feature_check(f->feature, node, r->d);
        return 0;
}

int field_bool(Reader *r, const Field *f, const Node *node, void *target) {
        int k = expect_type(r, node, NODE_BOOL);

        if (k < 0)
                return k;
        if (target)
                *(bool *) target = node->boolean;
        return check_value_feature(r, f, node, node->boolean);
}

int field_unsigned(Reader *r, const Field *f, const Node *node, void *target) {
        int k = expect_type(r, node, NODE_INT);

        if (k < 0)
                return k;
        if (node->integer < 0 || (uint64_t) node->integer < f->min || (uint64_t) node->integer > f->max)
                return node_error(r, node, _("\"%s\" must be from %" PRIu64 " to %" PRIu64 ", not %s"), node_label(node), f->min, f->max,
                                  node->string);
        if (target)
                *(unsigned *) target = (unsigned) node->integer;
        return 0;
}

int field_enum(Reader *r, const Field *f, const Node *node, void *target) {
        _cleanup_free_ char *all = NULL;

        for (unsigned i = 0; f->names[i]; i++)
                if (node->type == NODE_STRING && streq(f->names[i], node->string)) {
                        if (target)
                                *(unsigned *) target = i;
                        return check_value_feature(r, f, node, i);
                }
        all = join_names(f->names);
        if (!all)
                return -ENOMEM;
        if (node->type != NODE_STRING || !is_presentable(node->string))
                return node_error(r, node, _("\"%s\" must be one of %s, not %s"), node_label(node), all, node_type_name(node->type));
        return node_error(r, node, _("\"%s\" must be one of %s, not \"%s\""), node_label(node), all, node->string);
}

static int check_span(Reader *r, const Field *f, const Node *node, usec_t t, void *target) {
        _cleanup_free_ char *low = NULL, *high = NULL;

        if (t >= MAX(f->min, (uint64_t) 1) && (f->max == 0 || t <= f->max)) {
                if (target)
                        *(usec_t *) target = t;
                return 0;
        }
        if (t == 0)
                return node_error(r, node, _("\"%s\" must be longer than 0"), node_label(node));
        low = format_timespan(MAX(f->min, USEC_PER_MSEC), USEC_PER_MSEC);
        /* Weeks stay weeks: no unit above is a whole number of them. */
        high = f->max % USEC_PER_WEEK == 0 ? xasprintf("%" PRIu64 "w", f->max / USEC_PER_WEEK) : format_timespan(f->max, USEC_PER_MSEC);
        if (!low || !high)
                return -ENOMEM;
        return node_error(r, node, _("\"%s\" must be from %s to %s"), node_label(node), low, high);
}

int field_timespan(Reader *r, const Field *f, const Node *node, void *target) {
        usec_t t = 0;
        int k = 0;

        if (node->type != NODE_STRING && node->type != NODE_INT && node->type != NODE_DOUBLE)
                return node_error(r, node, _("\"%s\" must be a time span such as \"5min 20s\", not %s"), node_label(node),
                                  node_type_name(node->type));
        if (node->type != NODE_STRING && node->number < 0)
                return node_error(r, node, _("\"%s\" must be longer than 0"), node_label(node));
        if (node->type == NODE_INT)                     /* may be written 0x10 */
                t = (uint64_t) node->integer > UINT64_MAX / USEC_PER_SEC ? USEC_INFINITY : (usec_t) node->integer * USEC_PER_SEC;
        else
                k = parse_timespan(node->string, &t);
        if (k == -ERANGE)
                t = USEC_INFINITY;
        else if (k < 0)
                return node_error(r, node, _("\"%s\" is not a time span; write seconds, or units as in \"5min 20s\""), node->string);
        return check_span(r, f, node, t, target);
}

int field_milliseconds(Reader *r, const Field *f, const Node *node, void *target) {
        int k = expect_type(r, node, NODE_INT);

        if (k < 0)
                return k;
        if (node->integer <= 0)
                return node_error(r, node, _("\"%s\" must be longer than 0"), node_label(node));
        return check_span(r, f, node,
                          (uint64_t) node->integer > UINT64_MAX / USEC_PER_MSEC ? USEC_INFINITY : (usec_t) node->integer * USEC_PER_MSEC,
                          target);
}

static int is_repeated(const Node *list, size_t i, Hashmap *seen) {
        if (seen) {
                int k = hashmap_put(seen, list->children[i]->string, (void *) list);
                return k == -EEXIST ? 1 : k;
        }
        for (size_t j = 0; j < i; j++)
                if (streq(list->children[j]->string, list->children[i]->string))
                        return 1;
        return 0;
}

static int check_name_at(Reader *r, const Field *f, const Node *list, size_t i) {
        const Node *e = list->children[i];

        if (e->type != NODE_STRING)
                return node_error(r, e, _("\"%s\" is a list of names: %s cannot stand in it"), node_label(list), node_type_name(e->type));
        return check_valid(r, f, e);
}

int names_check(Reader *r, const Field *f, const Node *node) {
        _cleanup_(hashmap_freep) Hashmap *seen = NULL;
        int k = expect_type(r, node, NODE_LIST), result = k;

        if (k < 0)
                return k;
        if (f->max > 0 && node->n_children > f->max)
                return node_error(r, node, _("\"%s\" has %zu entries; at most %" PRIu64 " are allowed"), node_label(node), node->n_children,
                                  f->max);
        for (size_t i = 0; i < node->n_children; i++) {
                k = check_name_at(r, f, node, i);
                result = k < 0 ? k : result;
        }
        if (result < 0)
                return result;
        if (node->n_children > LIST_PAIRWISE_MAX && !(seen = hashmap_new()))
                return -ENOMEM;
        for (size_t i = 0; i < node->n_children; i++) {
                k = is_repeated(node, i, seen);
                if (k < 0)
                        return k;
                if (k > 0)
                        result = node_error(r, node->children[i], _("\"%s\" is named twice in \"%s\""), node->children[i]->string,
                                            node_label(node));
        }
        return result;
}

int field_names(Reader *r, const Field *f, const Node *node, void *target) {
        char **l;
        int k = names_check(r, f, node);

        if (k < 0 || !target)
                return k;
        l = calloc(node->n_children + 1, sizeof(char *));
        if (!l)
                return -ENOMEM;
        *(char ***) target = l;
        for (size_t i = 0; i < node->n_children; i++)
                if (!(l[i] = strdup(node->children[i]->string)))
                        return -ENOMEM;
        return 0;
}

static int store_node(const Node *node, void *target) {
        if (target)
                *(const Node **) target = node;
        return 0;
}

int field_map(Reader *r, const Field *f, const Node *node, void *target) {
        int k = expect_type(r, node, NODE_MAP);

        return k < 0 ? k : store_node(node, target);
}

int field_list(Reader *r, const Field *f, const Node *node, void *target) {
        int k = expect_type(r, node, NODE_LIST);

        return k < 0 ? k : store_node(node, target);
}

int field_string_node(Reader *r, const Field *f, const Node *node, void *target) {
        int k = expect_type(r, node, NODE_STRING);

        if (k >= 0)
                k = check_valid(r, f, node);
        return k < 0 ? k : store_node(node, target);
}

int field_names_node(Reader *r, const Field *f, const Node *node, void *target) {
        int k = names_check(r, f, node);

        return k < 0 ? k : store_node(node, target);
}

int field_any(Reader *r, const Field *f, const Node *node, void *target) {
        return store_node(node, target);
}
