/* Shell commands with expressions in them. The script that a shell gets holds references to environment variables where the expressions
 * stood, and the values are only ever the values of those variables: none is pasted as text. Where a reference is safe, shell-scan.c
 * decides. Equal expressions share a variable. */
#include "i18n.h"
#include "shell-scan.h"
#include "strbuf.h"
#include "utf8.h"

#define EXPRESSION_SHOWN_MAX 200u /* bytes of an expression's text in messages */
#define SHELL_VARIABLES_MAX 500u  /* different expressions in one command */

typedef struct Variable {
        char *text; /* of the expression, without braces and outer white space */
        size_t n;
        PlacedExpr expr;
} Variable;

struct ShellTemplate {
        char *script;
        Variable *variables;
        size_t n_variables, n_allocated;
};

typedef struct Builder {
        TemplateSource source;
        ShellTemplate *template;
        StrBuf script;
        unsigned n_errors; /* after one, the rest is read only for more of them */
} Builder;

ShellKind shell_kind_from_path(const char *path) {
        static const char *const names[_SHELL_MAX] = {[SHELL_SH] = "sh", [SHELL_DASH] = "dash", [SHELL_BASH] = "bash"};
        const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
        for (ShellKind k = 0; k < _SHELL_MAX; k++)
                if (streq(names[k], base))
                        return k;
        return _SHELL_INVALID;
}

ShellTemplate *shell_template_free(ShellTemplate *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_variables; i++) {
                free(t->variables[i].text);
                placed_expr_done(&t->variables[i].expr);
        }
        free(t->variables);
        free(t->script);
        free(t);
        return NULL;
}

static bool is_space(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const Variable *find_variable(const ShellTemplate *t, const char *text, size_t n) {
        for (size_t i = 0; i < t->n_variables; i++)
                if (t->variables[i].n == n && memcmp(t->variables[i].text, text, n) == 0)
                        return t->variables + i;
        return NULL;
}

static int add_variable(Builder *b, size_t start, size_t end, const Variable **ret) {
        ShellTemplate *t = b->template;
        if (t->n_variables == SHELL_VARIABLES_MAX)
                return template_error(&b->source, start,
                                      _("There are more than %u different expressions in the command. Put values into the step's 'env'."),
                                      SHELL_VARIABLES_MAX);
        PlacedExpr e = {0};
        int r = placed_expr_parse(&b->source, start, end, &e);
        if (r < 0)
                return r;
        _cleanup_free_ char *text = strndup(b->source.node->string + start, end - start);
        if (!text || !GREEDY_REALLOC(t->variables, t->n_allocated, t->n_variables + 1)) {
                placed_expr_done(&e);
                return -ENOMEM;
        }
        t->variables[t->n_variables] = (Variable){.text = TAKE_PTR(text), .n = end - start, .expr = e};
        *ret = t->variables + t->n_variables++;
        return 0;
}

/* The variable for the expression between start and end, braces included. */
static int variable_for(Builder *b, size_t start, size_t end, const Variable **ret) {
        const char *s = b->source.node->string;
        size_t from = start + strlen("${{"), to = end - strlen("}}");
        while (from < to && is_space(s[from]))
                from++;
        while (to > from && is_space(s[to - 1]))
                to--;
        *ret = find_variable(b->template, s + from, to - from);
        return *ret ? 0 : add_variable(b, from, to, ret);
}

static int say_refusal(Builder *b, const ShellSpot *spot) {
        if (spot->because == SIZE_MAX)
                return template_error(&b->source, spot->start, "%s", spot->refusal);
        Place p = template_place(&b->source, spot->because);
        return template_error(&b->source, spot->start, _("%s (See line %u, column %u.)"), spot->refusal, p.line, p.column);
}

static int add_spot(Builder *b, const ShellSpot *spot) {
        if (spot->refusal)
                return say_refusal(b, spot);
        const Variable *v = NULL;
        int r = variable_for(b, spot->start, spot->end, &v);
        if (r < 0)
                return r;
        const char *quote = spot->quoted ? "" : "\"";
        strbuf_appendf(&b->script, "%s${" SHELL_VARIABLE_PREFIX "%zu}%s", quote, (size_t)(v - b->template->variables) + 1, quote);
        return 0;
}

/* Text between expressions. No shell may ever see the braces, so the scanner isn't trusted to have found them all. */
static int add_text(Builder *b, size_t start, size_t end) {
        const char *s = b->source.node->string, *p = memmem(s + start, end - start, "${{", 3);
        if (p)
                return template_error(&b->source, (size_t)(p - s),
                                      _("What stands before this expression can't be followed. Put a blank or a newline between them."));
        strbuf_append_n(&b->script, s + start, end - start);
        return 0;
}

static int build(Builder *b, const ShellSpots *spots) {
        size_t at = 0;
        for (size_t i = 0; i < spots->n_items && b->n_errors < DIAGNOSTICS_MAX; i++) {
                int r = add_text(b, at, spots->items[i].start);
                if (r >= 0)
                        r = add_spot(b, spots->items + i);
                if (r == -ENOMEM)
                        return r;
                b->n_errors += r < 0;
                at = spots->items[i].end;
        }
        if (b->n_errors > 0)
                return -EINVAL;
        return add_text(b, at, b->source.node->length);
}

static int compile_expressions(Builder *b, ShellKind shell) {
        const Node *node = b->source.node;
        ShellSpots spots = {0};
        int r = shell_scan(node->string, node->length, shell, &spots);
        if (r >= 0)
                r = build(b, &spots);
        free(spots.items);
        if (r < 0)
                return r;
        b->template->script = strbuf_take(&b->script);
        return b->template->script ? 0 : -ENOMEM;
}

static int compile(Builder *b, ShellKind shell) {
        const Node *node = b->source.node;
        const char *nul = memchr(node->string, '\0', node->length), *p = memmem(node->string, node->length, "${{", 3);
        if (nul)
                return template_error(&b->source, (size_t)(nul - node->string), _("A command can't have a NUL character in it."));
        if (!p) {
                b->template->script = strndup(node->string, node->length);
                return b->template->script ? 0 : -ENOMEM;
        }
        if (shell < 0 || shell >= _SHELL_MAX)
                return template_error(&b->source, (size_t)(p - node->string),
                                      _("The quoting of this shell isn't known, so an expression in its commands may not be safe. Use sh, "
                                        "dash or bash, "
                                        "or put the expression into the step's 'env' and use the variable."));
        return compile_expressions(b, shell);
}

int shell_template_compile(const Tree *tree, const Node *node, ShellKind shell, Diagnostics *d, ShellTemplate **ret) {
        if (node->type == NODE_NULL || node->type == NODE_LIST || node->type == NODE_MAP)
                return diag_error(d, node->line, node->column, _("A command is a text, not %s."), node_type_name(node->type));
        _cleanup_(shell_template_freep) ShellTemplate *t = calloc(1, sizeof(ShellTemplate));
        if (!t)
                return -ENOMEM;
        Builder b = {.source = {.tree = tree, .node = node, .d = d}, .template = t};
        int r = compile(&b, shell);
        strbuf_done(&b.script);
        if (r >= 0)
                *ret = TAKE_PTR(t);
        return r;
}

const char *shell_template_script(const ShellTemplate *t) {
        return t->script;
}

size_t shell_template_n_variables(const ShellTemplate *t) {
        return t->n_variables;
}

static int value_error(const Variable *v, const char *message, char **ret_error) {
        _cleanup_strbuf_ StrBuf b = {0};
        _cleanup_free_ char *text = utf8_make_valid(v->text, v->n, EXPRESSION_SHOWN_MAX);
        if (!text)
                return -ENOMEM;
        strbuf_appendf(&b, "${{ %s }}: %s", text, message);
        char *s = strbuf_take(&b);
        if (!s)
                return -ENOMEM;
        *ret_error = s;
        return -EINVAL;
}

int shell_template_eval(const ShellTemplate *t, size_t i, const ExprScope *scope, char **ret, char **ret_error) {
        const Variable *v = t->variables + i;
        _cleanup_strbuf_ StrBuf b = {0};
        _cleanup_json_ Json *value = NULL;
        int r = expr_eval(v->expr.expr, scope, &value, ret_error);
        if (r < 0)
                return r;
        strbuf_appendf(&b, SHELL_VARIABLE_PREFIX "%zu=", i + 1);
        size_t name = b.n;
        r = expr_append_value(&b, value);
        if (r == -E2BIG || (r >= 0 && b.n - name >= SHELL_VALUE_MAX))
                return value_error(
                                v,
                                _("the value has 128 KiB or more, which can't be given to a command. Write it to a file in a step before."),
                                ret_error);
        if (r < 0)
                return r;
        if (b.n > name && memchr(b.s + name, '\0', b.n - name))
                return value_error(v, _("the value has a NUL character in it, which can't be given to a command."), ret_error);
        *ret = strbuf_take(&b);
        return *ret ? 0 : -ENOMEM;
}

void shell_template_visit(const ShellTemplate *t, RefVisitor visit, void *userdata) {
        for (size_t i = 0; i < t->n_variables; i++)
                placed_expr_visit(&t->variables[i].expr, visit, userdata);
}
