/* From the text of an expression to a tree: a lexer, and a parser by precedence (postfix, !, relational, equality, &&, ||).
 *
 * The text comes from a file that anybody may have written, so nothing in it may cost more than its length: it is capped, recursion is
 * counted (EXPR_DEPTH_MAX, for the parser's own recursion as for the tree's depth, which later bounds evaluation and freeing), and the
 * first error ends it. What can be known without values is refused here: unknown contexts, functions and fixed members, wrong numbers of
 * arguments. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "expression-internal.h"
#include "i18n.h"
#include "utf8.h"

typedef enum TokenType {
        TOKEN_END,
        TOKEN_LITERAL,
        TOKEN_NAME,
        TOKEN_OPEN,
        TOKEN_CLOSE,
        TOKEN_OPEN_INDEX,
        TOKEN_CLOSE_INDEX,
        TOKEN_DOT,
        TOKEN_COMMA,
        TOKEN_NOT,
        TOKEN_AND,
        TOKEN_OR,
        TOKEN_EQ,
        TOKEN_NE,
        TOKEN_LT,
        TOKEN_LE,
        TOKEN_GT,
        TOKEN_GE,
} TokenType;

typedef struct Parser {
        Expr *expr;
        const char *text;
        size_t n, at;
        TokenType token;                         /* the one that is looked at */
        size_t token_start, token_end, last_end; /* last_end: where the token before it ended */
        Json *value;                             /* of a literal */
        unsigned depth;
        char *error;
        size_t error_offset;
} Parser;

static const char *const root_names[_EXPR_ROOT_MAX + 1] = {
                [EXPR_INPUTS] = "inputs",   [EXPR_ENV] = "env",         [EXPR_RUN] = "run",
                [EXPR_TRIGGER] = "trigger", [EXPR_PHASES] = "phases",   [EXPR_ACTIVITIES] = "activities",
                [EXPR_STEPS] = "steps",     [EXPR_FAILURE] = "failure",
};

/* Members that are the same in every run, by how many keys stand before them. */
static const struct FixedMembers {
        ExprRoot root;
        size_t level;
        const char *names[5];
} fixed_members[] = {
                {EXPR_RUN, 0, {"id", "name", "attempt", "startedBy"}},
                {EXPR_FAILURE, 0, {"step", "attempt", "error", "log"}},
                {EXPR_PHASES, 1, {"state"}},
                {EXPR_ACTIVITIES, 1, {"state", "attempt", "outputs", "error"}},
                {EXPR_STEPS, 1, {"state", "outputs", "error"}},
};

const char *expr_root_to_string(ExprRoot r) {
        return r >= 0 && r < _EXPR_ROOT_MAX ? root_names[r] : NULL;
}

ExprNode *expr_node_free(ExprNode *n) {
        if (!n)
                return NULL;
        for (size_t i = 0; i < n->n_args; i++)
                expr_node_free(n->args[i]);
        free(n->args);
        json_unref(n->literal);
        free(n);
        return NULL;
}

Expr *expr_free(Expr *e) {
        if (!e)
                return NULL;
        expr_node_free(e->node);
        free(e->refs);
        free(e->text);
        free(e);
        return NULL;
}

const ExprRef *expr_refs(const Expr *e, size_t *ret_n) {
        *ret_n = e->n_refs;
        return e->refs;
}

unsigned expr_status_used(const Expr *e) {
        return e->status;
}

static int parser_error(Parser *p, size_t offset, const char *fmt, ...) _printf_(3, 4);
static int parser_error(Parser *p, size_t offset, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        char *s = NULL;
        int r = vasprintf(&s, fmt, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        free(p->error);
        p->error = s;
        p->error_offset = offset;
        return -EINVAL;
}

/* --- lexer --- */

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool is_name_start(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_char(char c) {
        return is_name_start(c) || is_digit(c) || c == '-';
}

static size_t digits_end(const char *s, size_t n, size_t i) {
        while (i < n && is_digit(s[i]))
                i++;
        return i;
}

size_t expr_number_span(const char *s, size_t n) {
        size_t i = n > 0 && s[0] == '-' ? 1 : 0, from = i;
        i = digits_end(s, n, i);
        if (i == from || (s[from] == '0' && i - from > 1))
                return 0;
        if (i + 1 < n && s[i] == '.' && is_digit(s[i + 1]))
                i = digits_end(s, n, i + 1);
        if (i < n && (s[i] == 'e' || s[i] == 'E')) {
                size_t j = i + 1;
                if (j < n && (s[j] == '+' || s[j] == '-'))
                        j++;
                size_t k = digits_end(s, n, j);
                if (k > j)
                        i = k;
        }
        return i;
}

static int take_literal(Parser *p, Json *value, size_t end) {
        p->token = TOKEN_LITERAL;
        p->value = value;
        p->at = end;
        return 0;
}

static int lex_number(Parser *p) {
        const char *s = p->text + p->at;
        size_t n = expr_number_span(s, p->n - p->at), end = p->at + n;
        if (n == 0 || (end < p->n && (is_name_char(p->text[end]) || p->text[end] == '.')))
                return parser_error(p, p->at, _("This is not a number as JSON writes them; text stands in 'single quotes'."));
        Json *value = NULL;
        int r = json_parse(s, n, &value);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || (json_type(value) == JSON_DOUBLE && !isfinite(json_double(value)))) {
                json_unref(value);
                return parser_error(p, p->at, _("The number %.*s is too large."), (int)MIN(n, EXPR_SOURCE_MAX), s);
        }
        return take_literal(p, value, end);
}

static int lex_single_quoted(Parser *p) {
        _cleanup_strbuf_ StrBuf b = {0};
        for (size_t i = p->at + 1; i < p->n; i++) {
                if (p->text[i] == '\'' && !(i + 1 < p->n && p->text[i + 1] == '\'')) {
                        size_t n = b.n;
                        _cleanup_free_ char *s = strbuf_take(&b);
                        Json *value = s ? json_new_string_n(s, n) : NULL;
                        return value ? take_literal(p, value, i + 1) : -ENOMEM;
                }
                strbuf_append_c(&b, p->text[i]);
                if (p->text[i] == '\'')
                        i++;
        }
        return parser_error(p, p->at, _("This text has no closing quote (a quote in it is written twice: '')."));
}

static int lex_double_quoted(Parser *p) {
        size_t i = p->at + 1;
        while (i < p->n && p->text[i] != '"')
                i += p->text[i] == '\\' ? 2 : 1;
        if (i >= p->n)
                return parser_error(p, p->at, _("This text has no closing double quote."));
        Json *value = NULL;
        int r = json_parse(p->text + p->at, i + 1 - p->at, &value);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || json_type(value) != JSON_STRING) {
                json_unref(value);
                return parser_error(p, p->at,
                                    _("In double quotes, text is written as in JSON, and this is not; 'single quotes' take any character "
                                      "as it is."));
        }
        return take_literal(p, value, i + 1);
}

static int lex_name(Parser *p) {
        size_t i = p->at;
        while (i < p->n && is_name_char(p->text[i]))
                i++;
        p->token = TOKEN_NAME;
        p->at = i;
        return 0;
}

static int unexpected_character(Parser *p) {
        char c = p->text[p->at];
        switch (c) {
        case '=':
                return parser_error(p, p->at, _("A comparison is written '=='."));
        case '&':
                return parser_error(p, p->at, _("'and' is written '&&'."));
        case '|':
                return parser_error(p, p->at, _("'or' is written '||'."));
        case '$':
                return parser_error(p, p->at,
                                    _("Unexpected '$': inside an expression names stand alone, and one pair of braces goes around the "
                                      "whole of it."));
        default:
                if (c > ' ' && c < 0x7f)
                        return parser_error(p, p->at, _("Unexpected '%c'."), c);
                return parser_error(p, p->at, _("Unexpected character; text stands in 'single quotes'."));
        }
}

static int lex_operator(Parser *p) {
        static const struct {
                char text[3];
                TokenType token;
        } operators[] = {
                        /* the longer ones first */
                        {"&&", TOKEN_AND},  {"||", TOKEN_OR},        {"==", TOKEN_EQ},         {"!=", TOKEN_NE}, {"<=", TOKEN_LE},
                        {">=", TOKEN_GE},   {"<", TOKEN_LT},         {">", TOKEN_GT},          {"!", TOKEN_NOT}, {"(", TOKEN_OPEN},
                        {")", TOKEN_CLOSE}, {"[", TOKEN_OPEN_INDEX}, {"]", TOKEN_CLOSE_INDEX}, {".", TOKEN_DOT}, {",", TOKEN_COMMA},
        };
        for (size_t i = 0; i < ELEMENTSOF(operators); i++) {
                size_t n = strlen(operators[i].text);
                if (p->n - p->at >= n && memcmp(p->text + p->at, operators[i].text, n) == 0) {
                        p->token = operators[i].token;
                        p->at += n;
                        return 0;
                }
        }
        return unexpected_character(p);
}

static int lex_token(Parser *p) {
        char c = p->text[p->at];
        if (is_name_start(c))
                return lex_name(p);
        if (is_digit(c) || c == '-')
                return lex_number(p);
        if (c == '\'')
                return lex_single_quoted(p);
        if (c == '"')
                return lex_double_quoted(p);
        return lex_operator(p);
}

/* Goes to the next token. */
static int advance(Parser *p) {
        p->value = json_unref(p->value);
        p->last_end = p->token_end;
        while (p->at < p->n && strchr(" \t\r\n", p->text[p->at]) && p->text[p->at])
                p->at++;
        p->token_start = p->token_end = p->at;
        if (p->at >= p->n) {
                p->token = TOKEN_END;
                return 0;
        }
        int r = lex_token(p);
        p->token_end = p->at;
        return r;
}

static int unexpected_token(Parser *p, const char *wanted) {
        if (p->token == TOKEN_END)
                return parser_error(p, p->token_start, _("The expression ends here, but %s is missing."), wanted);
        size_t n = MIN(p->token_end - p->token_start, EXPR_SOURCE_MAX);
        _cleanup_free_ char *s = utf8_make_valid(p->text + p->token_start, n, SIZE_MAX);
        if (!s)
                return -ENOMEM;
        return parser_error(p, p->token_start, _("Unexpected '%s': %s is missing here."), s, wanted);
}

static int expect(Parser *p, TokenType token, const char *wanted) {
        return p->token == token ? advance(p) : unexpected_token(p, wanted);
}

/* --- tree --- */

static ExprNode *node_new(ExprKind kind, size_t start, size_t end) {
        ExprNode *n = calloc(1, sizeof(ExprNode));
        if (!n)
                return NULL;
        *n = (ExprNode){.kind = kind, .depth = 1, .start = start, .end = end};
        return n;
}

static int node_add(Parser *p, ExprNode *n, ExprNode *takes) {
        _cleanup_(expr_node_freep) ExprNode *arg = takes;
        if (!GREEDY_REALLOC(n->args, n->n_allocated, n->n_args + 1))
                return -ENOMEM;
        n->depth = MAX(n->depth, arg->depth + 1);
        n->args[n->n_args++] = TAKE_PTR(arg);
        if (n->depth > EXPR_DEPTH_MAX)
                return parser_error(p, n->start, _("The expression is nested deeper than %u levels; compute a part of it in a step."),
                                    EXPR_DEPTH_MAX);
        return 0;
}

static int parse_or(Parser *p, ExprNode **ret);

/* For everything that comes back to the whole grammar: parentheses, arguments, indexes, !. */
static int enter(Parser *p) {
        if (++p->depth > EXPR_DEPTH_MAX)
                return parser_error(p, p->token_start, _("The expression is nested deeper than %u levels; compute a part of it in a step."),
                                    EXPR_DEPTH_MAX);
        return 0;
}

static int parse_nested(Parser *p, ExprNode **ret) {
        int r = enter(p);
        if (r >= 0)
                r = parse_or(p, ret);
        p->depth--;
        return r;
}

static int parse_literal(Parser *p, ExprNode **ret) {
        ExprNode *n = node_new(EXPR_LITERAL, p->token_start, p->token_end);
        if (!n)
                return -ENOMEM;
        n->literal = TAKE_PTR(p->value);
        *ret = n;
        return advance(p);
}

static int wrong_count(Parser *p, const ExprNode *n) {
        const ExprFunction *f = n->function;
        if (f->max_args == 0)
                return parser_error(p, n->start, _("%s() takes no arguments."), f->name);
        if (f->min_args == f->max_args)
                return parser_error(p, n->start,
                                    P_("%s() takes %zu argument, but %zu are given.", "%s() takes %zu arguments, but %zu are given.",
                                       f->min_args),
                                    f->name, f->min_args, n->n_args);
        return parser_error(p, n->start, P_("%s() takes at least %zu argument.", "%s() takes at least %zu arguments.", f->min_args),
                            f->name, f->min_args);
}

static int check_call(Parser *p, const ExprNode *n) {
        if (n->n_args < n->function->min_args || n->n_args > n->function->max_args)
                return wrong_count(p, n);
        p->expr->status |= n->function->status;
        if (!streq(n->function->name, "format") || n->args[0]->kind != EXPR_LITERAL)
                return 0;
        const Json *text = n->args[0]->literal;
        if (json_type(text) != JSON_STRING)
                return parser_error(p, n->args[0]->start, _("The first argument of format() is a text, not %s."), expr_type_name(text));
        _cleanup_free_ char *error = NULL;
        int r = expr_format_check(json_string(text), json_string_length(text), n->n_args - 1, &error);
        return r == -EINVAL ? parser_error(p, n->args[0]->start, "%s", error) : r;
}

/* After the opening parenthesis. */
static int parse_arguments(Parser *p, ExprNode *n) {
        int r = 0;
        while (p->token != TOKEN_CLOSE) {
                ExprNode *arg = NULL;
                r = parse_nested(p, &arg);
                if (r >= 0)
                        r = node_add(p, n, TAKE_PTR(arg));
                else
                        expr_node_free(arg);
                if (r < 0)
                        return r;
                if (p->token == TOKEN_CLOSE)
                        break;
                r = expect(p, TOKEN_COMMA, _("')' or ','"));
                if (r < 0)
                        return r;
                if (p->token == TOKEN_CLOSE)
                        return unexpected_token(p, _("an argument"));
        }
        r = expect(p, TOKEN_CLOSE, "')'");
        n->end = p->last_end;
        return r < 0 ? r : check_call(p, n);
}

static int parse_call(Parser *p, const char *name, size_t start, ExprNode **ret) {
        _cleanup_(expr_node_freep) ExprNode *n = node_new(EXPR_CALL, start, p->token_end);
        if (!n)
                return -ENOMEM;
        n->function = expr_function_find(name, strlen(name));
        if (!n->function) {
                const char *near = expr_function_nearest(name);
                return near ? parser_error(p, start, _("There is no function '%s'. Did you mean '%s'?"), name, near)
                            : parser_error(p, start, _("There is no function '%s'."), name);
        }
        int r = advance(p);
        if (r >= 0)
                r = parse_arguments(p, n);
        if (r >= 0)
                *ret = TAKE_PTR(n);
        return r;
}

static int unknown_name(Parser *p, const char *name, size_t start) {
        static const char *const others[] = {"true", "false", "null", NULL};
        if (expr_function_find(name, strlen(name)))
                return parser_error(p, start, _("'%s' is a function: write %s(…)."), name, name);
        const char *near = nearest_name(name, root_names);
        if (!near)
                near = nearest_name(name, others);
        return near ? parser_error(p, start, _("Unknown name '%s'. Did you mean '%s'?"), name, near)
                    : parser_error(p, start,
                                   _("Unknown name '%s'; a name begins with inputs, env, run, trigger, phases, activities, steps or "
                                     "failure, "
                                     "and text stands in 'single quotes'."),
                                   name);
}

static bool keyword_value(const char *name, Json **ret) {
        if (streq(name, "null"))
                *ret = NULL;
        else if (streq(name, "true") || streq(name, "false"))
                *ret = json_new_bool(name[0] == 't');
        else
                return false;
        return true;
}

static int name_node(Parser *p, const char *name, size_t start, ExprNode **ret) {
        _cleanup_(expr_node_freep) ExprNode *n = node_new(EXPR_CONTEXT, start, start + strlen(name));
        if (!n)
                return -ENOMEM;
        if (keyword_value(name, &n->literal)) {
                if (!n->literal && !streq(name, "null"))
                        return -ENOMEM;
                n->kind = EXPR_LITERAL;
                *ret = TAKE_PTR(n);
                return 0;
        }
        for (ExprRoot i = 0; i < _EXPR_ROOT_MAX; i++)
                if (streq(root_names[i], name)) {
                        n->root = i;
                        *ret = TAKE_PTR(n);
                        return 0;
                }
        return unknown_name(p, name, start);
}

static int parse_name(Parser *p, ExprNode **ret) {
        size_t start = p->token_start;
        _cleanup_free_ char *name = strndup(p->text + start, p->token_end - start);
        if (!name)
                return -ENOMEM;
        int r = advance(p);
        if (r < 0)
                return r;
        return p->token == TOKEN_OPEN ? parse_call(p, name, start, ret) : name_node(p, name, start, ret);
}

static int parse_primary(Parser *p, ExprNode **ret) {
        if (p->token == TOKEN_LITERAL)
                return parse_literal(p, ret);
        if (p->token == TOKEN_NAME)
                return parse_name(p, ret);
        if (p->token != TOKEN_OPEN)
                return unexpected_token(p, _("a value"));
        int r = advance(p);
        if (r >= 0)
                r = parse_nested(p, ret);
        return r < 0 ? r : expect(p, TOKEN_CLOSE, "')'");
}

/* After the dot. */
static int parse_member_name(Parser *p, ExprNode **ret) {
        if (p->token != TOKEN_NAME)
                return unexpected_token(p, _("a name (names with other characters are written ['…'])"));
        ExprNode *n = node_new(EXPR_LITERAL, p->token_start, p->token_end);
        if (!n)
                return -ENOMEM;
        *ret = n;
        n->literal = json_new_string_n(p->text + p->token_start, p->token_end - p->token_start);
        return n->literal ? advance(p) : -ENOMEM;
}

/* After the bracket. */
static int parse_index(Parser *p, ExprNode **ret) {
        int r = parse_nested(p, ret);
        return r < 0 ? r : expect(p, TOKEN_CLOSE_INDEX, "']'");
}

static int check_key(Parser *p, const ExprNode *base, const ExprNode *key) {
        if (key->kind != EXPR_LITERAL)
                return 0;
        JsonType t = json_type(key->literal);
        if (t == JSON_STRING && strlen(json_string(key->literal)) != json_string_length(key->literal))
                return parser_error(p, key->start, _("A name can't have a NUL in it."));
        if (t != JSON_STRING && base->kind == EXPR_CONTEXT)
                return parser_error(p, key->start, _("The members of %s have names: write ['…']."), expr_root_to_string(base->root));
        if (t != JSON_STRING && t != JSON_INT)
                return parser_error(p, key->start, _("What stands in [ ] is a name or a whole number, not %s."),
                                    expr_type_name(key->literal));
        return 0;
}

static int member_node(Parser *p, ExprNode **base, ExprNode **key) {
        _cleanup_(expr_node_freep) ExprNode *n = node_new(EXPR_MEMBER, (*base)->start, p->last_end);
        if (!n)
                return -ENOMEM;
        int r = check_key(p, *base, *key);
        if (r >= 0)
                r = node_add(p, n, TAKE_PTR(*base));
        if (r >= 0)
                r = node_add(p, n, TAKE_PTR(*key));
        if (r >= 0)
                *base = TAKE_PTR(n);
        return r;
}

static int parse_postfix(Parser *p, ExprNode **ret) {
        _cleanup_(expr_node_freep) ExprNode *n = NULL;
        int r = parse_primary(p, &n);
        while (r >= 0 && (p->token == TOKEN_DOT || p->token == TOKEN_OPEN_INDEX)) {
                _cleanup_(expr_node_freep) ExprNode *key = NULL;
                bool dot = p->token == TOKEN_DOT;
                r = advance(p);
                if (r >= 0)
                        r = dot ? parse_member_name(p, &key) : parse_index(p, &key);
                if (r >= 0)
                        r = member_node(p, &n, &key);
        }
        if (r >= 0)
                *ret = TAKE_PTR(n);
        return r;
}

static int parse_unary(Parser *p, ExprNode **ret) {
        if (p->token != TOKEN_NOT)
                return parse_postfix(p, ret);
        _cleanup_(expr_node_freep) ExprNode *n = node_new(EXPR_NOT, p->token_start, p->token_end), *arg = NULL;
        if (!n)
                return -ENOMEM;
        int r = enter(p);
        if (r >= 0)
                r = advance(p);
        if (r >= 0)
                r = parse_unary(p, &arg);
        p->depth--;
        if (r >= 0)
                r = node_add(p, n, TAKE_PTR(arg));
        if (r < 0)
                return r;
        n->end = p->last_end;
        *ret = TAKE_PTR(n);
        return 0;
}

static int binary_node(Parser *p, ExprKind kind, ExprNode **left, ExprNode **right) {
        _cleanup_(expr_node_freep) ExprNode *n = node_new(kind, (*left)->start, p->last_end);
        if (!n)
                return -ENOMEM;
        int r = node_add(p, n, TAKE_PTR(*left));
        if (r >= 0)
                r = node_add(p, n, TAKE_PTR(*right));
        if (r >= 0)
                *left = TAKE_PTR(n);
        return r;
}

static const struct BinaryOperator {
        TokenType token;
        ExprKind kind;
        unsigned level;
} binary_operators[] = {
                {TOKEN_EQ, EXPR_EQ, 0}, {TOKEN_NE, EXPR_NE, 0}, {TOKEN_LT, EXPR_LT, 1},
                {TOKEN_LE, EXPR_LE, 1}, {TOKEN_GT, EXPR_GT, 1}, {TOKEN_GE, EXPR_GE, 1},
};

static const struct BinaryOperator *find_operator(TokenType token, unsigned level) {
        for (size_t i = 0; i < ELEMENTSOF(binary_operators); i++)
                if (binary_operators[i].token == token && binary_operators[i].level == level)
                        return binary_operators + i;
        return NULL;
}

/* Equality (level 0) and relations (level 1, which bind tighter). */
static int parse_comparison(Parser *p, unsigned level, ExprNode **ret) {
        if (level > 1)
                return parse_unary(p, ret);
        _cleanup_(expr_node_freep) ExprNode *left = NULL;
        int r = parse_comparison(p, level + 1, &left);
        const struct BinaryOperator *o;
        while (r >= 0 && (o = find_operator(p->token, level))) {
                _cleanup_(expr_node_freep) ExprNode *right = NULL;
                r = advance(p);
                if (r >= 0)
                        r = parse_comparison(p, level + 1, &right);
                if (r >= 0)
                        r = binary_node(p, o->kind, &left, &right);
        }
        if (r >= 0)
                *ret = TAKE_PTR(left);
        return r;
}

static int parse_and(Parser *p, ExprNode **ret);

/* operand OP operand OP … as one node, or the one operand alone. */
static int parse_chain(Parser *p, TokenType token, ExprKind kind, int (*operand)(Parser *, ExprNode **), ExprNode **ret) {
        _cleanup_(expr_node_freep) ExprNode *first = NULL, *n = NULL;
        int r = operand(p, &first);
        if (r >= 0 && p->token == token) {
                n = node_new(kind, first->start, p->last_end);
                r = n ? node_add(p, n, TAKE_PTR(first)) : -ENOMEM;
        }
        while (r >= 0 && p->token == token) {
                _cleanup_(expr_node_freep) ExprNode *next = NULL;
                r = advance(p);
                if (r >= 0)
                        r = operand(p, &next);
                if (r >= 0)
                        r = node_add(p, n, TAKE_PTR(next));
        }
        if (r < 0)
                return r;
        if (n)
                n->end = p->last_end;
        *ret = n ? TAKE_PTR(n) : TAKE_PTR(first);
        return 0;
}

static int parse_equality(Parser *p, ExprNode **ret) {
        return parse_comparison(p, 0, ret);
}

static int parse_and(Parser *p, ExprNode **ret) {
        return parse_chain(p, TOKEN_AND, EXPR_AND, parse_equality, ret);
}

static int parse_or(Parser *p, ExprNode **ret) {
        return parse_chain(p, TOKEN_OR, EXPR_OR, parse_and, ret);
}

/* --- references --- */

static int check_fixed_member(Parser *p, ExprRoot root, size_t level, const ExprNode *key) {
        for (size_t i = 0; i < ELEMENTSOF(fixed_members); i++) {
                const struct FixedMembers *f = fixed_members + i;
                if (f->root != root || f->level != level)
                        continue;
                const char *name = json_string(key->literal);
                for (size_t j = 0; name && f->names[j]; j++)
                        if (streq(f->names[j], name))
                                return 0;
                const char *near = name ? nearest_name(name, f->names) : NULL, *of = expr_root_to_string(root);
                if (near)
                        return parser_error(p, key->start, _("'%s' is not a member of %s. Did you mean '%s'?"), name, of, near);
                _cleanup_strbuf_ StrBuf b = {0};
                for (size_t j = 0; f->names[j]; j++)
                        strbuf_appendf(&b, "%s%s", j > 0 ? ", " : "", f->names[j]);
                _cleanup_free_ char *all = strbuf_take(&b);
                return all ? parser_error(p, key->start, _("'%s' is not a member of %s; there are: %s."), strempty(name), of, all)
                           : -ENOMEM;
        }
        return 0;
}

/* keys: those after the root, the first one first. */
static int add_ref(Parser *p, const ExprNode *root, ExprNode *const *keys, size_t n_keys) {
        ExprRef ref = {.root = root->root, .offset = root->start};
        for (size_t i = 0; i < n_keys && i < ELEMENTSOF(ref.path); i++) {
                if (keys[i]->kind != EXPR_LITERAL) {
                        ref.computed = true;
                        break;
                }
                int r = check_fixed_member(p, root->root, i, keys[i]);
                if (r < 0)
                        return r;
                if (json_type(keys[i]->literal) != JSON_STRING)
                        break;
                ref.path[ref.n_path++] = json_string(keys[i]->literal);
        }
        Expr *e = p->expr;
        if (!GREEDY_REALLOC(e->refs, e->n_allocated, e->n_refs + 1))
                return -ENOMEM;
        e->refs[e->n_refs++] = ref;
        return 0;
}

static int collect_refs(Parser *p, const ExprNode *n) {
        ExprNode *keys[EXPR_DEPTH_MAX];
        size_t n_keys = 0;
        int r = 0;
        for (; n->kind == EXPR_MEMBER; n = n->args[0]) {
                memmove(keys + 1, keys, n_keys * sizeof(keys[0]));
                keys[0] = n->args[1];
                n_keys++;
        }
        if (n->kind == EXPR_CONTEXT)
                r = add_ref(p, n, keys, n_keys);
        for (size_t i = 0; i < n->n_args && r >= 0; i++)
                r = collect_refs(p, n->args[i]);
        for (size_t i = 0; i < n_keys && r >= 0; i++)
                r = collect_refs(p, keys[i]);
        return r;
}

static int parse_all(Parser *p) {
        if (p->n > EXPR_TEXT_MAX)
                return parser_error(p, 0, _("The expression is longer than %u bytes."), EXPR_TEXT_MAX);
        int r = advance(p);
        if (r >= 0 && p->token == TOKEN_END)
                return parser_error(p, p->token_start, _("The expression is empty."));
        if (r >= 0)
                r = parse_or(p, &p->expr->node);
        if (r >= 0 && p->token != TOKEN_END)
                r = unexpected_token(p, _("an operator"));
        return r < 0 ? r : collect_refs(p, p->expr->node);
}

int expr_parse(const char *text, size_t n, Expr **ret, char **ret_error, size_t *ret_offset) {
        _cleanup_(expr_freep) Expr *e = calloc(1, sizeof(Expr));
        if (!e)
                return -ENOMEM;
        e->text = malloc(MIN(n, EXPR_TEXT_MAX) + 1);
        if (!e->text)
                return -ENOMEM;
        if (n > 0)
                memcpy(e->text, text, MIN(n, EXPR_TEXT_MAX));
        e->text[MIN(n, EXPR_TEXT_MAX)] = '\0';
        Parser p = {.expr = e, .text = e->text, .n = n};
        int r = parse_all(&p);
        json_unref(p.value);
        if (r >= 0) {
                *ret = TAKE_PTR(e);
                return 0;
        }
        if (r == -EINVAL) {
                *ret_error = TAKE_PTR(p.error);
                *ret_offset = p.error_offset;
        }
        free(p.error);
        return r;
}
