/* JSON values in whose strings expressions stand, and conditions. Keys of objects are not templated.
 *
 * A subtree without expressions is one constant. Results may share parts with the template and with what the scope gave: they are not to be
 * changed. Nothing that is built may be larger than EXPR_VALUE_MAX. */
#include "template.h"

#include <stdarg.h>
#include <stdio.h>

#include "i18n.h"
#include "strbuf.h"
#include "template-internal.h"

#define TEMPLATE_TEXT_MAX (4u * 1024u * 1024u) /* of all strings of one template: aliases can make much of a small file */

typedef enum TemplateKind { TEMPLATE_CONSTANT, TEMPLATE_TEXT, TEMPLATE_LIST, TEMPLATE_MAP } TemplateKind;

/* A piece of a string: constant text, or an expression. */
typedef struct Part {
        char *text;
        size_t n;
        PlacedExpr expr;
} Part;

struct Template {
        TemplateKind kind;
        Json *constant;
        Part *parts;
        size_t n_parts, n_parts_allocated;
        Template **children;
        char **keys; /* of a map, as many as children */
        size_t n_children;
};

typedef struct Compiler {
        TemplateSource source;
        size_t text; /* bytes of strings so far */
} Compiler;

typedef struct Evaluation {
        const ExprScope *scope;
        size_t built; /* bytes of strings so far */
        char *error;
} Evaluation;

/* --- places --- */

Place template_place(TemplateSource *s, size_t at) {
        Place p = {s->node->line, s->node->column};
        s->walked += MIN(at, (size_t)TEMPLATE_WALK_MAX);
        if (s->walked <= TEMPLATE_WALK_MAX)
                node_position(s->tree, s->node, at, &p.line, &p.column);
        return p;
}

int template_error(TemplateSource *s, size_t at, const char *fmt, ...) {
        Place p = template_place(s, at);
        va_list ap;
        va_start(ap, fmt);
        _cleanup_free_ char *message = NULL;
        int r = vasprintf(&message, fmt, ap);
        va_end(ap);
        if (r < 0) {
                message = NULL;
                return -ENOMEM;
        }
        return diag_error(s->d, p.line, p.column, "%s", message);
}

size_t template_span_end(const char *text, size_t n, size_t at) {
        char quote = '\0';
        for (size_t i = at + strlen("${{"); i < n; i++) {
                char c = text[i];
                if (quote) {
                        if (c == '\\' && quote == '"')
                                i++;
                        else if (c == quote)
                                quote = '\0'; /* '' in single quotes closes and opens again */
                } else if (c == '\'' || c == '"')
                        quote = c;
                else if (c == '}' && i + 1 < n && text[i + 1] == '}')
                        return i + 2;
        }
        return 0;
}

void placed_expr_done(PlacedExpr *e) {
        e->expr = expr_free(e->expr);
        free(e->places);
        e->places = NULL;
}

int placed_expr_parse(TemplateSource *s, size_t start, size_t end, PlacedExpr *ret) {
        _cleanup_(placed_expr_done) PlacedExpr e = {0};
        _cleanup_free_ char *error = NULL;
        size_t offset = 0, n_refs = 0;
        int r = expr_parse(s->node->string + start, end - start, &e.expr, &error, &offset);
        if (r == -EINVAL)
                return template_error(s, start + offset, "%s", error);
        if (r < 0)
                return r;
        const ExprRef *refs = expr_refs(e.expr, &n_refs);
        e.places = calloc(MAX(n_refs, 1u), sizeof(Place));
        if (!e.places)
                return -ENOMEM;
        for (size_t i = 0; i < n_refs; i++)
                e.places[i] = template_place(s, start + refs[i].offset);
        *ret = e;
        e = (PlacedExpr){0};
        return 0;
}

void placed_expr_visit(const PlacedExpr *e, RefVisitor visit, void *userdata) {
        size_t n = 0;
        const ExprRef *refs = expr_refs(e->expr, &n);
        for (size_t i = 0; i < n; i++)
                visit(userdata, refs + i, e->places[i].line, e->places[i].column);
}

/* --- compiling --- */

Template *template_free(Template *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_children; i++) {
                template_free(t->children[i]);
                if (t->keys)
                        free(t->keys[i]);
        }
        for (size_t i = 0; i < t->n_parts; i++) {
                free(t->parts[i].text);
                placed_expr_done(&t->parts[i].expr);
        }
        free(t->children);
        free(t->keys);
        free(t->parts);
        json_unref(t->constant);
        free(t);
        return NULL;
}

bool template_is_constant(const Template *t) {
        return t->kind == TEMPLATE_CONSTANT;
}

static Part *add_part(Template *t) {
        return GREEDY_REALLOC(t->parts, t->n_parts_allocated, t->n_parts + 1) ? t->parts + t->n_parts++ : NULL;
}

static int add_text(Template *t, const char *text, size_t n) {
        if (n == 0)
                return 0;
        Part *p = add_part(t);
        if (!p)
                return -ENOMEM;
        *p = (Part){.text = malloc(n), .n = n};
        if (!p->text)
                return -ENOMEM;
        memcpy(p->text, text, n);
        return 0;
}

static int add_expression(Compiler *c, Template *t, size_t start, size_t end) {
        PlacedExpr e = {0};
        int r = placed_expr_parse(&c->source, start + strlen("${{"), end - strlen("}}"), &e);
        if (r < 0)
                return r;
        Part *p = add_part(t);
        if (!p) {
                placed_expr_done(&e);
                return -ENOMEM;
        }
        *p = (Part){.expr = e};
        return 0;
}

/* All expressions are looked at, so that all errors are said at once. */
static int compile_text(Compiler *c, Template *t) {
        const Node *node = c->source.node;
        size_t at = 0;
        int result = 0;
        for (;;) {
                const char *p = memmem(node->string + at, node->length - at, "${{", 3);
                size_t start = p ? (size_t)(p - node->string) : node->length;
                int r = add_text(t, node->string + at, start - at);
                if (r < 0)
                        return r;
                if (!p)
                        return result;
                size_t end = template_span_end(node->string, node->length, start);
                if (end == 0)
                        return template_error(&c->source, start, _("'${{' is not closed by '}}'."));
                r = add_expression(c, t, start, end);
                if (r == -ENOMEM)
                        return r;
                result = MIN(result, r);
                at = end;
        }
}

static int compile(Compiler *c, const Node *node, Template **ret);

static int compile_child(Compiler *c, const Node *node, Template *t) {
        if (t->kind == TEMPLATE_MAP) {
                t->keys[t->n_children] = strdup(node->key);
                if (!t->keys[t->n_children])
                        return -ENOMEM;
        }
        int r = compile(c, node, t->children + t->n_children);
        t->n_children++;
        return r;
}

static int add_constant(const Template *t, size_t i, Json *container) {
        Json *v = json_ref(t->children[i]->constant);
        return t->kind == TEMPLATE_MAP ? json_set(container, t->keys[i], v) : json_append(container, v);
}

/* A container of constants is a constant. */
static int fold_container(Template *t) {
        for (size_t i = 0; i < t->n_children; i++)
                if (t->children[i]->kind != TEMPLATE_CONSTANT)
                        return 0;
        _cleanup_json_ Json *v = t->kind == TEMPLATE_MAP ? json_new_object() : json_new_array();
        int r = v ? 0 : -ENOMEM;
        for (size_t i = 0; i < t->n_children && r >= 0; i++)
                r = add_constant(t, i, v);
        if (r < 0)
                return r;
        t->kind = TEMPLATE_CONSTANT;
        t->constant = TAKE_PTR(v);
        return 0;
}

static int compile_container(Compiler *c, const Node *node, Template *t) {
        t->kind = node->type == NODE_MAP ? TEMPLATE_MAP : TEMPLATE_LIST;
        t->children = calloc(MAX(node->n_children, 1u), sizeof(Template *));
        t->keys = t->kind == TEMPLATE_MAP ? calloc(MAX(node->n_children, 1u), sizeof(char *)) : NULL;
        if (!t->children || (t->kind == TEMPLATE_MAP && !t->keys))
                return -ENOMEM;
        int result = 0;
        for (size_t i = 0; i < node->n_children; i++) {
                int r = compile_child(c, node->children[i], t);
                if (r == -ENOMEM)
                        return r;
                result = MIN(result, r);
        }
        return result < 0 ? result : fold_container(t);
}

static int compile_scalar(Compiler *c, const Node *node, Template *t) {
        c->source.node = node;
        if (node->type != NODE_STRING || !memmem(node->string, node->length, "${{", 3))
                return node_to_json(node, &t->constant);
        if (node->length > TEMPLATE_TEXT_MAX - MIN(c->text, TEMPLATE_TEXT_MAX))
                return template_error(&c->source, 0, _("The texts with expressions in one value are longer than %u MiB together."),
                                      TEMPLATE_TEXT_MAX / (1024u * 1024u));
        c->text += node->length;
        t->kind = TEMPLATE_TEXT;
        return compile_text(c, t);
}

static int compile(Compiler *c, const Node *node, Template **ret) {
        _cleanup_(template_freep) Template *t = calloc(1, sizeof(Template));
        if (!t)
                return -ENOMEM;
        bool container = node->type == NODE_LIST || node->type == NODE_MAP;
        int r = container ? compile_container(c, node, t) : compile_scalar(c, node, t);
        if (r >= 0)
                *ret = TAKE_PTR(t);
        return r;
}

int template_compile(const Tree *tree, const Node *node, Diagnostics *d, Template **ret) {
        Compiler c = {.source = {.tree = tree, .d = d}};
        return compile(&c, node, ret);
}

/* --- conditions --- */

/* A condition that YAML or JSON took for a value: `if: false`. */
static int compile_value(TemplateSource *s, Expr **ret) {
        _cleanup_json_ Json *v = NULL;
        _cleanup_free_ char *error = NULL;
        int r = node_to_json(s->node, &v);
        if (r < 0)
                return r;
        _cleanup_free_ char *text = json_to_string(v, false);
        if (!text)
                return -ENOMEM;
        size_t offset = 0;
        r = expr_parse(text, strlen(text), ret, &error, &offset);
        return r == -EINVAL ? template_error(s, 0, "%s", error) : r;
}

static bool is_space(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int compile_condition(TemplateSource *s, Expr **ret) {
        const char *text = s->node->string;
        size_t start = 0, end = s->node->length;
        while (start < end && is_space(text[start]))
                start++;
        while (end > start && is_space(text[end - 1]))
                end--;
        if (end - start >= 3 && memcmp(text + start, "${{", 3) == 0) {
                size_t close = template_span_end(text, end, start);
                if (close == 0)
                        return template_error(s, start, _("'${{' is not closed by '}}'."));
                if (close != end)
                        return template_error(
                                        s, close,
                                        _("The condition goes on after '}}': one pair of braces goes around the whole of it, or none."));
                start += strlen("${{");
                end -= strlen("}}");
        }
        _cleanup_free_ char *error = NULL;
        size_t offset = 0;
        int r = expr_parse(text + start, end - start, ret, &error, &offset);
        return r == -EINVAL ? template_error(s, start + offset, "%s", error) : r;
}

int condition_compile(const Tree *tree, const Node *node, Diagnostics *d, Expr **ret) {
        TemplateSource s = {.tree = tree, .node = node, .d = d};
        switch (node->type) {
        case NODE_STRING:
                return compile_condition(&s, ret);
        case NODE_BOOL:
        case NODE_INT:
        case NODE_DOUBLE:
                return compile_value(&s, ret);
        case NODE_NULL:
                return diag_error(d, node->line, node->column, _("The condition is empty. Write an expression, or leave 'if' out."));
        case NODE_LIST:
        case NODE_MAP:
                break;
        }
        return diag_error(d, node->line, node->column, _("A condition is an expression, not %s."), node_type_name(node->type));
}

/* --- evaluation --- */

static int evaluation_error(Evaluation *v, const char *message) {
        v->error = strdup(message);
        return v->error ? -EINVAL : -ENOMEM;
}

static int evaluate_part(Evaluation *v, const Part *p, StrBuf *b) {
        if (!p->expr.expr) {
                strbuf_append_n(b, p->text, p->n);
                return b->failed ? -ENOMEM : 0;
        }
        _cleanup_json_ Json *value = NULL;
        int r = expr_eval(p->expr.expr, v->scope, &value, &v->error);
        return r < 0 ? r : expr_append_value(b, value);
}

static int evaluate_text(Evaluation *v, const Template *t, Json **ret) {
        if (t->n_parts == 1 && t->parts[0].expr.expr)
                return expr_eval(t->parts[0].expr.expr, v->scope, ret, &v->error);
        _cleanup_strbuf_ StrBuf b = {0};
        for (size_t i = 0; i < t->n_parts; i++) {
                int r = evaluate_part(v, t->parts + i, &b);
                if (r == -E2BIG || v->built + b.n > EXPR_VALUE_MAX)
                        return evaluation_error(v, _("The text with the values of its expressions would be larger than 8 MiB."));
                if (r < 0)
                        return r;
        }
        v->built += b.n;
        *ret = json_new_string_n(strempty(b.s), b.n);
        return *ret ? 0 : -ENOMEM;
}

static int evaluate(Evaluation *v, const Template *t, Json **ret);

static int evaluate_container(Evaluation *v, const Template *t, Json **ret) {
        _cleanup_json_ Json *container = t->kind == TEMPLATE_MAP ? json_new_object() : json_new_array();
        if (!container)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_children; i++) {
                Json *value = NULL;
                int r = evaluate(v, t->children[i], &value);
                if (r >= 0)
                        r = t->kind == TEMPLATE_MAP ? json_set(container, t->keys[i], value) : json_append(container, value);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(container);
        return 0;
}

static int evaluate(Evaluation *v, const Template *t, Json **ret) {
        switch (t->kind) {
        case TEMPLATE_CONSTANT:
                *ret = json_ref(t->constant);
                return 0;
        case TEMPLATE_TEXT:
                return evaluate_text(v, t, ret);
        case TEMPLATE_LIST:
        case TEMPLATE_MAP:
                return evaluate_container(v, t, ret);
        }
        return -EINVAL;
}

int template_eval(const Template *t, const ExprScope *scope, Json **ret, char **ret_error) {
        Evaluation v = {.scope = scope};
        int r = evaluate(&v, t, ret);
        if (r == -EINVAL)
                *ret_error = TAKE_PTR(v.error);
        free(v.error);
        return r;
}

int template_eval_text(const Template *t, const ExprScope *scope, char **ret, char **ret_error) {
        _cleanup_json_ Json *value = NULL;
        _cleanup_strbuf_ StrBuf b = {0};
        Evaluation v = {.scope = scope};
        int r = template_eval(t, scope, &value, ret_error);
        if (r < 0)
                return r;
        r = expr_append_value(&b, value);
        if (r == -E2BIG)
                r = evaluation_error(&v, _("The text with the values of its expressions would be larger than 8 MiB."));
        else if (r >= 0 && b.n > 0 && memchr(b.s, '\0', b.n))
                r = evaluation_error(&v, _("The value has a NUL character in it, which can't stand in text."));
        if (r >= 0) {
                *ret = strbuf_take(&b);
                return *ret ? 0 : -ENOMEM;
        }
        if (r == -EINVAL)
                *ret_error = TAKE_PTR(v.error);
        return r;
}

/* --- references --- */

void template_visit(const Template *t, RefVisitor visit, void *userdata) {
        for (size_t i = 0; i < t->n_parts; i++)
                if (t->parts[i].expr.expr)
                        placed_expr_visit(&t->parts[i].expr, visit, userdata);
        for (size_t i = 0; i < t->n_children; i++)
                template_visit(t->children[i], visit, userdata);
}
