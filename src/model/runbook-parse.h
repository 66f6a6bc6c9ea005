/* Inside of the runbook parser: what its files share. Nobody else includes this, but the test that holds the tables against the JSON Schema. */
#pragma once

#include <limits.h>

#include "fields.h"
#include "runbook.h"

#define RUNBOOK_EXPANDED_MAX (4u * TREE_FILE_MAX)       /* bytes of all texts after aliases are expanded */
#define RETRIES_MAX 1000u
#define RETRY_ATTEMPTS_MAX 10u
#define RETRY_CODES_MAX 64u                             /* of on and notOn; each activity has a copy of the defaults' */
#define RETRY_DELAY_MIN (100 * USEC_PER_MSEC)
#define RETRY_DELAY_MAX (60 * USEC_PER_SEC)
#define RETRY_INITIAL_DEFAULT USEC_PER_SEC
#define STEP_NAME_MAX 256u                              /* bytes */
#define SHELL_PATH_MAX 255u                             /* bytes; each step has a copy */
#define PRINCIPAL_NAME_MAX 256u
#define OWNERS_MAX 1000u

/* Groups of keys of which one only may stand. */
enum {
        GROUP_NONE,
        GROUP_TIMEOUT,
        GROUP_RETRY,
        GROUP_POLICY,
        GROUP_ACTION,
        GROUP_INITIAL,
        GROUP_MAXIMUM,
};

/* `defaults`, for activities that don't say it themselves. */
typedef struct Defaults {
        const Node *retries, *retry;
        RetryPolicy policy;
        bool has_policy;
        usec_t timeout;                                 /* 0: not written */
        unsigned failure_policy;                        /* UNSET: not written */
        char *shell;
} Defaults;

#define UNSET UINT_MAX

typedef struct Parser {
        Reader r;                                       /* its userdata is this */
        Runbook *rb;
        Defaults defaults;
        const Node **phase_needs, **activity_needs;     /* by index; NULL: not written */
        IntMap *conditions;                             /* Expr → Node of an `if`, for positions of what it names */
        bool names_bad;                                 /* a phase or an activity has no usable name: what refers to it can't be judged */
        bool too_many_steps;
        bool inputs_bad;                                /* values can't be held against them */
} Parser;

/* What a step does, as written in a step or in an activity that has one. */
typedef struct Action {
        const Node *run, *uses, *with, *approval, *input;
} Action;

/* runbook-parse-values.c */
int retries_parse(Parser *p, const Node *retries, const Node *retry, RetryPolicy *ret);
int retry_policy_copy(const RetryPolicy *p, RetryPolicy *ret);
int env_parse(Parser *p, const Node *node, EnvVar **env, size_t *n_env);        /* appends */
int request_parse(Parser *p, const Node *node, RequestSpec *ret);
int principals_parse(Reader *r, const Node *node, Principal **ret, size_t *ret_n);
int text_template_parse(Parser *p, const Node *node, Template **ret);
int condition_parse(Parser *p, const Node *node, Expr **ret);
bool env_name_is_valid(const char *s) _pure_;
bool step_name_is_valid(const char *s) _pure_;

/* runbook-parse-steps.c */
int field_shell(Reader *r, const Field *f, const Node *node, void *target);     /* char*: the absolute path */
int action_parse(Parser *p, const Node *place, const Action *a, StepDef *s);
int steps_parse(Parser *p, const Node *list, StepList which, StepDef *steps);

/* runbook-parse-refused.c: what is checked and then refused. */
int gate_parse(Parser *p, const Node *with, GateSpec *ret);
int handler_check_wait(Parser *p, const Node *uses, const Node *with);
int handler_check_http(Parser *p, const Node *uses, const Node *with);
int handler_check_runbook(Parser *p, const Node *uses, const Node *with);
int handler_check_plugin(Parser *p, const Node *uses, const Node *with);
int field_concurrency(Reader *r, const Field *f, const Node *node, void *target);
int field_secrets(Reader *r, const Field *f, const Node *node, void *target);

/* runbook-parse-triggers.c: named says whether the runbook's name is known. */
int triggers_parse(Parser *p, const Node *list, bool named);

/* runbook-check.c: what expressions name. */
int runbook_check(Parser *p);

/* Names of enums, NULL-terminated, as field_enum wants them; the index is the value. */
extern const char *const failure_policy_names[], *const partial_success_names[], *const on_interrupt_names[], *const on_timeout_names[];

/* All tables, NULL-terminated, for the test. */
extern const FieldTable *const runbook_field_tables[];
extern const FieldTable runbook_table, phase_table, activity_table, defaults_table, hooks_table, step_table, retries_table, retry_table, request_table,
        shell_table, exec_table, gate_table, route_table, wait_table, http_table, child_table, concurrency_table, trigger_table;
