/* A runbook's definition: immutable after parsing, reference counted, shared by the runs that were started from the same text. The
 * shape is section 3 of the contract. All strings are owned by the runbook. */
#pragma once

#include "graph.h"
#include "hashmap.h"
#include "inputs.h"
#include "retry-policy.h"
#include "states.h"
#include "template.h"
#include "time-util.h"

#define RUNBOOK_PHASES_MAX 1000u
#define RUNBOOK_ACTIVITIES_MAX 10000u
#define RUNBOOK_STEPS_MAX 100000u
#define ACTIVITY_TIMEOUT_MAX USEC_PER_DAY
#define REQUEST_TIMEOUT_MAX (53 * USEC_PER_WEEK)
#define SHELL_TIMEOUT_DEFAULT (5 * USEC_PER_MINUTE)     /* builtin:shell; `run:` has none */

typedef enum FailurePolicy { FAILURE_HOLD, FAILURE_FAIL, FAILURE_CONTINUE, _FAILURE_POLICY_MAX, _FAILURE_POLICY_INVALID = -EINVAL } FailurePolicy;
typedef enum PartialSuccess { PARTIAL_SUCCESS, PARTIAL_ALLOW, PARTIAL_FAIL, _PARTIAL_MAX, _PARTIAL_INVALID = -EINVAL } PartialSuccess;
typedef enum OnInterrupt { INTERRUPT_RESUME, INTERRUPT_HOLD, INTERRUPT_FAIL, _INTERRUPT_MAX, _INTERRUPT_INVALID = -EINVAL } OnInterrupt;
typedef enum OnTimeout { ON_TIMEOUT_FAIL, ON_TIMEOUT_REJECT, ON_TIMEOUT_APPROVE, _ON_TIMEOUT_MAX, _ON_TIMEOUT_INVALID = -EINVAL } OnTimeout;
DECLARE_NAME_TABLE(FailurePolicy, failure_policy);
DECLARE_NAME_TABLE(PartialSuccess, partial_success);
DECLARE_NAME_TABLE(OnInterrupt, on_interrupt);
DECLARE_NAME_TABLE(OnTimeout, on_timeout);

typedef struct EnvVar {
        char *name;
        Template *value;
} EnvVar;

/* Who may answer: NAME and user:NAME are users, group:NAME a group. */
typedef struct Principal {
        bool is_group;
        char *name;                                     /* without prefix */
        char *text;                                     /* as written */
} Principal;

typedef enum StepKind {
        STEP_SHELL,                                     /* run, builtin:shell */
        STEP_EXEC,                                      /* builtin:exec */
        STEP_APPROVAL,                                  /* approval, builtin:approval */
        STEP_INPUT, STEP_GATE, STEP_WAIT, STEP_HTTP, STEP_RUNBOOK, STEP_PLUGIN,
        _STEP_KIND_MAX, _STEP_KIND_INVALID = -EINVAL,
} StepKind;
DECLARE_NAME_TABLE(StepKind, step_kind);

/* A question to a person. */
typedef struct RequestSpec {
        Template *title, *message, *context;            /* title has no expressions; each may be NULL */
        Principal *approvers;
        size_t n_approvers;
        unsigned required;                              /* N of M; default 1 */
        bool allow_starter;                             /* default true */
        InputSpec *fields;
        size_t n_fields;
        usec_t timeout;                                 /* USEC_INFINITY: none */
        OnTimeout on_timeout;
} RequestSpec;

/* Where a gate sends the attempt on. */
typedef enum GateAction { GATE_CONTINUE, GATE_FAIL, GATE_RESTART, _GATE_ACTION_MAX, _GATE_ACTION_INVALID = -EINVAL } GateAction;
DECLARE_NAME_TABLE(GateAction, gate_action);            /* continue fail restart */
#define GATE_ITERATIONS_DEFAULT 3u
#define GATE_ITERATIONS_MAX 1000u

typedef struct GateRoute {
        char *value;                                    /* of the decision as text; NULL: the default */
        GateAction action;
        char *restart_from;                             /* id of a step before the gate, in its list */
        unsigned restart_step;                          /* its index in the activity's steps */
        Template *context;                              /* given to the steps that run again; or NULL */
        unsigned line, column;                          /* of restart_from */
} GateRoute;

typedef struct GateSpec {
        Expr *decision;
        GateRoute *routes;                              /* with the default last */
        size_t n_routes;
        unsigned max_iterations;                        /* how often it may send back */
} GateSpec;

typedef struct StepDef {
        StepList list;
        unsigned number;                                /* within its list, from 1 */
        char *name;                                     /* as written, or NULL */
        char *id;                                       /* name where it fits, else step-N; of hook steps "pre:1" */
        Expr *condition;                                /* NULL: success() */
        StepKind kind;
        union {
                struct {
                        ShellTemplate *command;
                        char *shell;                    /* absolute path; /bin/sh by default */
                        bool throw_on_error;
                } shell;
                struct {
                        Template **argv;
                        size_t n_argv;
                } exec;
                RequestSpec request;                    /* STEP_APPROVAL, STEP_INPUT */
                GateSpec gate;
        };
        EnvVar *env;
        size_t n_env;
        usec_t timeout;                                 /* USEC_INFINITY: none */
        usec_t handler_timeout;                         /* builtin:shell's own fence, with.timeout; USEC_INFINITY: none */
        bool continue_on_error;
        bool gated;                                     /* the next step is a gate that decides by this one: a rejection is its to judge */
        bool needs_stdout;                              /* the runbook refers to its outputs.stdout */
        uint64_t digest;                                /* of a main step: of what it says, and of what is said around it (step-digest.h) */
        unsigned line, column;
} StepDef;

/* Inputs of the runbook by index, ascending: of those that may have no value (required, without a default). */
typedef struct InputSet {
        unsigned *items;
        unsigned n;
} InputSet;

typedef struct ActivityDef {
        char *name, *description;
        unsigned index;                                 /* in Runbook.activities */
        unsigned phase;                                 /* in Runbook.phases */
        unsigned node;                                  /* in its phase's graph */
        Expr *condition;
        RetryPolicy retry;
        bool retry_written;                             /* by the activity itself, not by `defaults` */
        usec_t timeout;                                 /* USEC_INFINITY: none */
        FailurePolicy failure_policy;
        bool failure_policy_written;                    /* by the activity itself */
        OnInterrupt on_interrupt;
        bool resume_step;                               /* resume: step */
        StepDef *steps;                                 /* all lists, in the order of StepList */
        unsigned n_steps;
        unsigned list_start[_STEP_LIST_MAX + 1];        /* list l is steps[list_start[l] … list_start[l+1]) */
        EnvVar *env;
        size_t n_env;
        char *working_directory_text;                   /* for messages; NULL: the workspace */
        Template *working_directory;
        char *user;                                     /* NULL: as the daemon */
        InputSet condition_inputs, inputs;              /* named in its `if`; in anything of it, or in what it inherits */
        unsigned line, column;
} ActivityDef;

typedef struct PhaseDef {
        char *name, *description;
        unsigned index;
        bool critical;                                  /* default true */
        Expr *condition;
        unsigned first_activity, n_activities;          /* a slice of Runbook.activities */
        Graph graph;
        InputSet condition_inputs;                      /* named in its `if` */
        unsigned line, column;
} PhaseDef;

typedef struct Runbook {
        unsigned n_ref;
        char *name, *description, *version;
        char hash[65];                                  /* SHA-256 of format, name and text */
        TreeFormat format;
        char *text;                                     /* the file as it was read */
        size_t text_size;
        Principal *owners;
        size_t n_owners;
        InputSpec *inputs;
        size_t n_inputs;
        EnvVar *env;
        size_t n_env;
        usec_t timeout;                                 /* of the run; USEC_INFINITY: none */
        RetryPolicy retry;                              /* of the whole run; max 0: none */
        unsigned retry_line, retry_column;
        bool on_failure;                                /* triggers: {onFailureOf: …}: started after a failure … */
        char **on_failure_of;                           /* … of these runbooks, NULL-terminated; NULL: of any */
        Json *on_failure_inputs;                        /* given to such a run; they fit the declarations. NULL: none */
        unsigned on_failure_line, on_failure_column;
        PartialSuccess partial_success;
        PhaseDef *phases;
        unsigned n_phases;
        ActivityDef *activities;
        unsigned n_activities;
        unsigned n_steps;
        Graph graph;                                    /* among phases */
        Hashmap *activity_by_name, *phase_by_name;
} Runbook;

/* Parses and checks a whole definition. `name`: the file's name without ending, the default of `name:` and what `name:` must equal (NULL: not known, any is fine).
 * 0 (d may hold warnings); -EINVAL with errors in d; -ENOMEM. The lint warnings of section 11 are added by runbook_lint. */
int runbook_parse(const char *text, size_t n, TreeFormat format, const char *name, Diagnostics *d, Runbook **ret);
Runbook *runbook_ref(Runbook *r);
Runbook *runbook_unref(Runbook *r);
DEFINE_CLEANUP(Runbook *, runbook_unref)
void runbook_lint(const Runbook *r, Diagnostics *d);    /* verify's warnings */

const ActivityDef *runbook_activity(const Runbook *r, const char *name);
const PhaseDef *runbook_phase(const Runbook *r, const char *name);
/* By id, name or number from 1 ("pre:1" for hooks); index in a->steps, or -ENOENT. */
int activity_def_find_step(const ActivityDef *a, const char *s);
bool runbook_name_is_valid(const char *s) _pure_;       /* [a-z0-9][a-z0-9._-]{0,63} */
bool object_name_is_valid(const char *s) _pure_;        /* [A-Za-z0-9][A-Za-z0-9._-]{0,63} */
/* JSON text of the definition for GetRunbook: {name, description, version, inputs:[…], phases:[{name, activities:[…]}], text, file?}; file: the path, or
 * NULL. New string, NULL on out of memory. */
char *runbook_to_json(const Runbook *r, const char *file);
