/* Evaluation of parsed expressions: a walk over the tree, as deep as the parser allowed. All names come from the scope.
 *
 * A member that is missing is an error that says what exists, unless the scope said that its owner is one whose members may be missing
 * (skipped, ignored, failed, cancelled): then it is null. Null has every member, and each is null. */
#include <stdarg.h>
#include <stdio.h>

#include "expression-internal.h"
#include "i18n.h"
#include "utf8.h"

#define NAMES_SHOWN_MAX 10u
#define NAMES_COMPARED_MAX 1000u /* an edit distance is not free */
#define NAME_SHOWN_MAX 64u

/* How what was read relates to a context: whether a missing member is null. */
typedef struct Origin {
        ExprRoot root;  /* _EXPR_ROOT_INVALID: not from a context */
        unsigned level; /* keys since the root */
        bool lenient;
} Origin;

static int evaluate(ExprCall *c, const ExprNode *n, Json **ret);

int expr_call_error(ExprCall *c, const char *fmt, ...) {
        if (c->error)
                return -EINVAL;
        va_list ap;
        va_start(ap, fmt);
        char *s = NULL;
        int r = vasprintf(&s, fmt, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        c->error = s;
        return -EINVAL;
}

char *expr_node_source(const Expr *e, const ExprNode *n) {
        size_t length = n->end - n->start;
        _cleanup_free_ char *s = utf8_make_valid(e->text + n->start, length, EXPR_SOURCE_MAX);
        if (!s || length <= EXPR_SOURCE_MAX)
                return TAKE_PTR(s);
        char *t = NULL;
        return asprintf(&t, "%s…", s) < 0 ? NULL : t;
}

/* --- members --- */

static void append_name(StrBuf *b, const char *name, size_t i) {
        _cleanup_free_ char *s = utf8_make_valid(name, strlen(name), NAME_SHOWN_MAX);
        if (s)
                strbuf_appendf(b, "%s%s", i > 0 ? ", " : "", s);
}

static char *names_of(const Json *object) {
        _cleanup_strbuf_ StrBuf b = {0};
        size_t i = 0;
        JSON_OBJECT_FOREACH(object, k, v) {
                if (i == NAMES_SHOWN_MAX) {
                        strbuf_append(&b, ", …");
                        break;
                }
                append_name(&b, k, i++);
        }
        return strbuf_take(&b);
}

static const char *nearest_member(const Json *object, const char *key) {
        size_t n = 0;
        JSON_OBJECT_FOREACH(object, k, v) {
                const char *const candidates[] = {k, NULL};
                if (nearest_name(key, candidates))
                        return k;
                if (++n == NAMES_COMPARED_MAX)
                        break;
        }
        return NULL;
}

static int no_such_member(ExprCall *c, const char *of, const char *key, const Json *object) {
        _cleanup_free_ char *names = names_of(object), *shown = utf8_make_valid(key, strlen(key), NAME_SHOWN_MAX);
        if (!names || !shown)
                return -ENOMEM;
        const char *near = nearest_member(object, key);
        if (near)
                return expr_call_error(c, _("%s has no member '%s'. Did you mean '%s'? There are: %s."), of, shown, near, names);
        if (isempty(names))
                return expr_call_error(c, _("%s has no member '%s'; it is empty."), of, shown);
        return expr_call_error(c, _("%s has no member '%s'; there are: %s."), of, shown, names);
}

static int lookup(ExprCall *c, ExprRoot root, const char *key, Json **ret, bool *ret_lenient) {
        const char *name = expr_root_to_string(root);
        int r = c->scope->lookup(c->scope->userdata, root, key, ret, ret_lenient);
        if (r >= 0 || r == -ENOMEM)
                return MIN(r, 0);
        if (r != -ENOENT)
                return expr_call_error(c, _("%s can't be read: %s"), name, strerror(-r));
        if (!key)
                return expr_call_error(c, _("There is no '%s' here."), name);
        _cleanup_json_ Json *all = NULL;
        bool lenient = false;
        r = c->scope->lookup(c->scope->userdata, root, NULL, &all, &lenient);
        return r == -ENOMEM ? r : no_such_member(c, name, key, r < 0 ? NULL : all);
}

static int wrong_key(ExprCall *c, const ExprNode *n, const Json *value, const Json *key) {
        _cleanup_free_ char *of = expr_node_source(c->expr, n->args[0]);
        if (!of)
                return -ENOMEM;
        JsonType t = json_type(value);
        if (t == JSON_OBJECT)
                return expr_call_error(c, _("%s is an object, whose members have names, but the key is %s."), of, expr_type_name(key));
        if (t == JSON_ARRAY)
                return expr_call_error(c, _("%s is a list, whose members have whole numbers from 0, but the key is %s."), of,
                                       expr_type_name(key));
        return expr_call_error(c, _("%s is %s, which has no members."), of, expr_type_name(value));
}

/* A key as a C string: NULL where it isn't one. */
static const char *key_name(const Json *key) {
        const char *s = json_string(key);
        return s && strlen(s) == json_string_length(key) ? s : NULL;
}

static int missing(ExprCall *c, const ExprNode *n, const Origin *o, const Json *value, const Json *key) {
        bool shape = o->level == 1 && (o->root == EXPR_ACTIVITIES || o->root == EXPR_STEPS || o->root == EXPR_PHASES);
        if (o->lenient && !shape)
                return 0;
        _cleanup_free_ char *of = expr_node_source(c->expr, n->args[0]);
        if (!of)
                return -ENOMEM;
        if (json_type(value) == JSON_ARRAY)
                return expr_call_error(c,
                                       P_("%s has no element %lld; it has %zu, counted from 0.",
                                          "%s has no element %lld; it has %zu, counted from 0.", json_length(value)),
                                       of, (long long)json_int(key), json_length(value));
        return no_such_member(c, of, json_string(key), value);
}

static int member_of(ExprCall *c, const ExprNode *n, const Origin *o, Json *value, const Json *key, Json **ret) {
        JsonType t = json_type(value);
        if (t == JSON_NULL)
                return 0;
        if (t == JSON_OBJECT && key_name(key)) {
                if (!json_has(value, key_name(key)))
                        return missing(c, n, o, value, key);
                *ret = json_ref(json_get(value, key_name(key)));
                return 0;
        }
        if (t == JSON_ARRAY && json_type(key) == JSON_INT) {
                if (json_int(key) < 0 || (uint64_t)json_int(key) >= json_length(value))
                        return missing(c, n, o, value, key);
                *ret = json_ref(json_at(value, (size_t)json_int(key)));
                return 0;
        }
        return wrong_key(c, n, value, key);
}

static int context_member(ExprCall *c, const ExprNode *n, const Json *key, Origin *o, Json **ret) {
        const char *name = key_name(key);
        ExprRoot root = n->args[0]->root;
        if (!name)
                return expr_call_error(c, _("The members of %s have names, but the key is %s."), expr_root_to_string(root),
                                       expr_type_name(key));
        *o = (Origin){.root = root, .level = 1};
        return lookup(c, root, name, ret, &o->lenient);
}

/* *ret_origin: how the result relates to a context. */
static int evaluate_member(ExprCall *c, const ExprNode *n, Json **ret, Origin *ret_origin) {
        const ExprNode *base = n->args[0];
        _cleanup_json_ Json *key = NULL, *value = NULL;
        Origin o = {.root = _EXPR_ROOT_INVALID};
        int r = evaluate(c, n->args[1], &key);
        if (r < 0)
                return r;
        if (base->kind == EXPR_CONTEXT)
                return context_member(c, n, key, ret_origin, ret);
        r = base->kind == EXPR_MEMBER ? evaluate_member(c, base, &value, &o) : evaluate(c, base, &value);
        if (r >= 0)
                r = member_of(c, n, &o, value, key, ret);
        if (r < 0)
                return r;
        o.level++;
        *ret_origin = o;
        return 0;
}

/* --- operators --- */

static int give_bool(bool b, Json **ret) {
        Json *v = json_new_bool(b);
        if (!v)
                return -ENOMEM;
        *ret = v;
        return 0;
}

static int compare_order(ExprCall *c, const ExprNode *n, const Json *a, const Json *b, int *ret) {
        JsonType t = json_type(a), u = json_type(b);
        bool numbers = (t == JSON_INT || t == JSON_DOUBLE) && (u == JSON_INT || u == JSON_DOUBLE);
        if (numbers) {
                *ret = json_compare_numbers(a, b);
                return 0;
        }
        if (t == JSON_STRING && u == JSON_STRING) {
                size_t x = json_string_length(a), y = json_string_length(b);
                int d = memcmp(json_string(a), json_string(b), MIN(x, y));
                *ret = d != 0 ? d : x < y ? -1 : x > y;
                return 0;
        }
        _cleanup_free_ char *source = expr_node_source(c->expr, n);
        if (!source)
                return -ENOMEM;
        return expr_call_error(c,
                               _("'%s' compares %s with %s; an order exists between two numbers or two texts (fromJSON() makes a number of "
                                 "a text)."),
                               source, expr_type_name(a), expr_type_name(b));
}

static int compare(ExprCall *c, const ExprNode *n, Json *a, Json *b, bool *ret) {
        int d = 0, r = 0;
        if (n->kind != EXPR_EQ && n->kind != EXPR_NE)
                r = compare_order(c, n, a, b, &d);
        if (r < 0)
                return r;
        switch (n->kind) {
        case EXPR_EQ:
                *ret = expr_equal(a, b);
                break;
        case EXPR_NE:
                *ret = !expr_equal(a, b);
                break;
        case EXPR_LT:
                *ret = d < 0;
                break;
        case EXPR_LE:
                *ret = d <= 0;
                break;
        case EXPR_GT:
                *ret = d > 0;
                break;
        case EXPR_GE:
                *ret = d >= 0;
                break;
        case EXPR_LITERAL:
        case EXPR_CONTEXT:
        case EXPR_MEMBER:
        case EXPR_NOT:
        case EXPR_AND:
        case EXPR_OR:
        case EXPR_CALL:
                return -EINVAL;
        }
        return 0;
}

static int evaluate_comparison(ExprCall *c, const ExprNode *n, Json **ret) {
        _cleanup_json_ Json *a = NULL, *b = NULL;
        bool result = false;
        int r = evaluate(c, n->args[0], &a);
        if (r >= 0)
                r = evaluate(c, n->args[1], &b);
        if (r >= 0)
                r = compare(c, n, a, b, &result);
        return r < 0 ? r : give_bool(result, ret);
}

/* Gives the operand that decides; what follows it is not evaluated. */
static int evaluate_chain(ExprCall *c, const ExprNode *n, Json **ret) {
        for (size_t i = 0;; i++) {
                _cleanup_json_ Json *v = NULL;
                int r = evaluate(c, n->args[i], &v);
                if (r < 0)
                        return r;
                if (i + 1 == n->n_args || expr_truthy(v) == (n->kind == EXPR_OR)) {
                        *ret = TAKE_PTR(v);
                        return 0;
                }
        }
}

static int evaluate_call(ExprCall *c, const ExprNode *n, Json **ret) {
        Json **args = calloc(MAX(n->n_args, 1u), sizeof(Json *));
        int r = args ? 0 : -ENOMEM;
        for (size_t i = 0; i < n->n_args && r >= 0; i++)
                r = evaluate(c, n->args[i], args + i);
        if (r >= 0) {
                c->node = n;
                r = n->function->call(c, args, n->n_args, ret);
        }
        for (size_t i = 0; args && i < n->n_args; i++)
                json_unref(args[i]);
        free(args);
        return r;
}

static int evaluate_not(ExprCall *c, const ExprNode *n, Json **ret) {
        _cleanup_json_ Json *v = NULL;
        int r = evaluate(c, n->args[0], &v);
        return r < 0 ? r : give_bool(!expr_truthy(v), ret);
}

static int evaluate(ExprCall *c, const ExprNode *n, Json **ret) {
        Origin origin;
        bool lenient;
        switch (n->kind) {
        case EXPR_LITERAL:
                *ret = json_ref(n->literal);
                return 0;
        case EXPR_CONTEXT:
                return lookup(c, n->root, NULL, ret, &lenient);
        case EXPR_MEMBER:
                return evaluate_member(c, n, ret, &origin);
        case EXPR_NOT:
                return evaluate_not(c, n, ret);
        case EXPR_AND:
        case EXPR_OR:
                return evaluate_chain(c, n, ret);
        case EXPR_EQ:
        case EXPR_NE:
        case EXPR_LT:
        case EXPR_LE:
        case EXPR_GT:
        case EXPR_GE:
                return evaluate_comparison(c, n, ret);
        case EXPR_CALL:
                return evaluate_call(c, n, ret);
        }
        return -EINVAL;
}

int expr_eval(const Expr *e, const ExprScope *scope, Json **ret, char **ret_error) {
        ExprCall c = {.expr = e, .scope = scope};
        Json *v = NULL;
        int r = evaluate(&c, e->node, &v);
        if (r >= 0) {
                *ret = v;
                return 0;
        }
        json_unref(v);
        if (r == -EINVAL)
                *ret_error = TAKE_PTR(c.error);
        free(c.error);
        return r;
}
