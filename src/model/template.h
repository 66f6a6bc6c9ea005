/* Values of a runbook file that may hold expressions: strings, whole JSON values, and shell commands. */
#pragma once

#include "expression.h"
#include "tree.h"

typedef struct Template Template;                       /* immutable: a JSON value in whose strings ${{ … }} may stand */

/* Compiles a node with all below it; errors in expressions go to d with their exact position. 0, -EINVAL (d has it), -ENOMEM. */
int template_compile(const Tree *tree, const Node *node, Diagnostics *d, Template **ret);
Template *template_free(Template *t);
DEFINE_CLEANUP(Template *, template_free)
bool template_is_constant(const Template *t);
/* A string that is exactly one expression keeps the expression's JSON type. Errors as expr_eval. */
int template_eval(const Template *t, const ExprScope *scope, Json **ret, char **ret_error);
/* The same as text (expr_value_to_text of the result); a NUL in it is an error. */
int template_eval_text(const Template *t, const ExprScope *scope, char **ret, char **ret_error);

/* An `if`: text with or without the braces. */
int condition_compile(const Tree *tree, const Node *node, Diagnostics *d, Expr **ret);

/* Calls visit for each reference in the template; line and column are in the file. */
typedef void (*RefVisitor)(void *userdata, const ExprRef *ref, unsigned line, unsigned column);
void template_visit(const Template *t, RefVisitor visit, void *userdata);

/* Shell commands: an expression becomes a reference to an environment variable that holds its value, never text of the command. */
typedef enum ShellKind { SHELL_SH, SHELL_DASH, SHELL_BASH, _SHELL_MAX, _SHELL_INVALID = -EINVAL } ShellKind;
ShellKind shell_kind_from_path(const char *path);       /* by base name; _SHELL_INVALID: a shell whose quoting isn't known */

typedef struct ShellTemplate ShellTemplate;
#define SHELL_VARIABLE_PREFIX "RUNBOOK_EXPR_"
#define SHELL_VALUE_MAX (128u * 1024u)                  /* a value of this size and more, or one with a NUL, fails with EXPRESSION */

/* Where an expression stands in a place that isn't safe (single quotes, $'…', quoted here-documents, backquotes, ${…}, arithmetic, [[ ]], words of eval),
 * or the shell isn't known, that is an error with its position. */
int shell_template_compile(const Tree *tree, const Node *node, ShellKind shell, Diagnostics *d, ShellTemplate **ret);
ShellTemplate *shell_template_free(ShellTemplate *t);
DEFINE_CLEANUP(ShellTemplate *, shell_template_free)
const char *shell_template_script(const ShellTemplate *t); /* the command with "${RUNBOOK_EXPR_n}" in it */
size_t shell_template_n_variables(const ShellTemplate *t);
/* Value of variable i as "RUNBOOK_EXPR_n=value". New string. */
int shell_template_eval(const ShellTemplate *t, size_t i, const ExprScope *scope, char **ret, char **ret_error);
void shell_template_visit(const ShellTemplate *t, RefVisitor visit, void *userdata);
