/* What the parser, the functions and the evaluation of expressions share: the tree that a text is parsed into. For expression*.c only. */
#pragma once

#include "expression.h"
#include "strbuf.h"

typedef enum ExprKind {
        EXPR_LITERAL, /* literal */
        EXPR_CONTEXT, /* root: the whole of it where it isn't the base of a member */
        EXPR_MEMBER,  /* args[0] is what has the member, args[1] its name or index */
        EXPR_NOT,
        EXPR_AND,
        EXPR_OR, /* two or more args: a chain of the same operator is one node, so it adds no depth */
        EXPR_EQ,
        EXPR_NE,
        EXPR_LT,
        EXPR_LE,
        EXPR_GT,
        EXPR_GE,
        EXPR_CALL,
} ExprKind;

typedef struct ExprNode ExprNode;
typedef struct ExprCall ExprCall;

typedef struct ExprFunction {
        const char *name;
        size_t min_args, max_args;
        ExprStatus status; /* the bit of a status function, else 0 */
        int (*call)(ExprCall *c, Json *const *args, size_t n_args, Json **ret);
} ExprFunction;

struct ExprNode {
        ExprKind kind;
        unsigned depth;    /* of the tree below, this node included */
        size_t start, end; /* of its text, in bytes; parentheses around it are not in it */
        Json *literal;
        ExprRoot root;
        const ExprFunction *function;
        ExprNode **args;
        size_t n_args, n_allocated;
};

struct Expr {
        char *text;
        ExprNode *node;
        ExprRef *refs;
        size_t n_refs, n_allocated;
        unsigned status;
};

/* One evaluation, or one call in it. */
struct ExprCall {
        const Expr *expr;
        const ExprScope *scope;
        const ExprNode *node; /* that is evaluated now: its text stands in messages */
        char *error;
};

ExprNode *expr_node_free(ExprNode *n);
DEFINE_CLEANUP(ExprNode *, expr_node_free)
int expr_call_error(ExprCall *c, const char *fmt, ...) _printf_(2, 3); /* -EINVAL, or -ENOMEM; the first message stays */

#define EXPR_SOURCE_MAX 60u /* of an expression's own text in messages */
char *expr_node_source(const Expr *e, const ExprNode *n);

/* The table of functions; NULL: none of that name. */
const ExprFunction *expr_function_find(const char *name, size_t n);
const char *expr_function_nearest(const char *name);
/* Checks the text that format() is given: 0; -EINVAL: broken braces, or a number of which there is no argument; both with a translated
 * message. */
int expr_format_check(const char *s, size_t n, size_t n_args, char **ret_error);

size_t expr_number_span(const char *s, size_t n);       /* length of the JSON number that s begins with, or 0 */
bool expr_equal(Json *a, Json *b);                      /* what == says */
const char *expr_type_name(const Json *v);              /* translated: "a number" */
