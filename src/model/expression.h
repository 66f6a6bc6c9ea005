/* Expressions, ${{ … }}: parser, static facts, evaluation. Section 3 of the contract is the grammar and the semantics. Pure: all names
 * come from a scope that the caller gives. */
#pragma once

#include "json.h"
#include "strbuf.h"

#define EXPR_TEXT_MAX (16u * 1024u)
#define EXPR_DEPTH_MAX 64u
#define EXPR_VALUE_MAX (8u * 1024u * 1024u)             /* no intermediate value may grow beyond */

typedef enum ExprRoot {
        EXPR_INPUTS, EXPR_ENV, EXPR_RUN, EXPR_TRIGGER, EXPR_PHASES, EXPR_ACTIVITIES, EXPR_STEPS, EXPR_FAILURE,
        _EXPR_ROOT_MAX, _EXPR_ROOT_INVALID = -EINVAL,
} ExprRoot;
const char *expr_root_to_string(ExprRoot r);

typedef enum ExprStatus { EXPR_STATUS_SUCCESS = 1, EXPR_STATUS_FAILURE = 2, EXPR_STATUS_ALWAYS = 4, EXPR_STATUS_CANCELLED = 8 } ExprStatus;

/* One reference to a context in an expression's text, for checks at load. */
typedef struct ExprRef {
        ExprRoot root;
        const char *path[3];                            /* the first literal keys after the root: inputs.NAME, activities.A.outputs.KEY; NULL from the first that is computed or absent */
        size_t n_path;                                  /* how many of path are set */
        bool computed;                                  /* the first key that is not in path is computed at run time */
        size_t offset;                                  /* of the root's name, in bytes of the expression's text */
} ExprRef;

typedef struct Expr Expr;                               /* immutable */

/* Parses the text between the braces (or an `if` without them). On error returns -EINVAL, a translated message and the byte offset where it is. */
int expr_parse(const char *text, size_t n, Expr **ret, char **ret_error, size_t *ret_offset);
Expr *expr_free(Expr *e);
DEFINE_CLEANUP(Expr *, expr_free)
const ExprRef *expr_refs(const Expr *e, size_t *ret_n);
unsigned expr_status_used(const Expr *e);               /* bits of ExprStatus named in it */

/* Where names get their values. lookup: gives the value of ROOT.KEY (the whole context as an object where key is NULL): 0 and a new
 * reference; -ENOENT: no such name; else an error. *ret_lenient true: members missing below it are null (the owner was skipped, ignored, failed or
 * cancelled); false: a missing member is an error. status: the value of success(), failure(), cancelled() (always() is true). */
typedef struct ExprScope {
        int (*lookup)(void *userdata, ExprRoot root, const char *key, Json **ret, bool *ret_lenient);
        bool (*status)(void *userdata, ExprStatus s);
        void *userdata;
} ExprScope;

/* 0; -EINVAL with a translated message (the step then fails with EXPRESSION); -ENOMEM. */
int expr_eval(const Expr *e, const ExprScope *scope, Json **ret, char **ret_error);
bool expr_truthy(const Json *v);                        /* false are false, null, 0, '' */
/* How a value stands in text: null is empty, true/false, whole numbers without a point, lists and objects compact JSON. New string. */
char *expr_value_to_text(const Json *v);
/* The same at the end of b, with NULs. 0, -ENOMEM, or -E2BIG past EXPR_VALUE_MAX. */
int expr_append_value(StrBuf *b, const Json *v);
