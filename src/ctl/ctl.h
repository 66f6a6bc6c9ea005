/* What every file of runbookctl shares: the options, the verb table's row, the exit statuses. A verb is one function in a file of
 * its own (ctl-VERB.c); it returns an exit status. Everything else returns 0 or a negative errno after it has said what is wrong, and the
 * status to end with is then in Ctl.status (ctl_failed() hands it on). */
#pragma once

#include <systemd/sd-bus.h>

#include "json.h"
#include "options.h"
#include "strbuf.h"
#include "time-util.h"

/* The contract of section 11. Who is ended by a signal ends with 128 and its number, as a shell makes of it. */
typedef enum ExitStatus {
        STATUS_SUCCESS = 0,
        STATUS_FAILURE = 1,
        STATUS_PARTIAL = 2,
        STATUS_ON_HOLD = 3,
        STATUS_UNREACHABLE = 4,
        STATUS_USAGE = 64,
        STATUS_SIGNAL = 128,
} ExitStatus;

typedef struct Ctl {
        Options options;
        const struct Verb *verb;                        /* that is being carried out */
        sd_bus *bus;                                    /* connected at the first call */
        ExitStatus status;                              /* of what failed last */
} Ctl;

/* What the words after a verb name, for completion. */
typedef enum Operand {
        OPERAND_NONE,
        OPERAND_RUN,
        OPERAND_RUN_ACTIVITY,
        OPERAND_RUNBOOK,
        OPERAND_FILE,
        OPERAND_REQUEST,
        OPERAND_DECISION,                               /* an activity that waits for a decision */
        OPERAND_FIELD,                                  /* an activity that waits for input, then NAME=VALUE of what it asks for */
        OPERAND_INPUT,                                  /* a run, then NAME=VALUE of its inputs */
        OPERAND_VERB
} Operand;

typedef enum VerbFlags {
        VERB_HIDDEN = 1 << 0,                           /* not in the help */
        VERB_DEFAULT = 1 << 1,                          /* when no verb is given */
        VERB_NO_JSON = 1 << 2,                          /* its output has no JSON form */
} VerbFlags;

typedef struct Verb {
        const char *name;
        const char *arguments;                          /* for the usage line */
        unsigned min, max;                              /* number of arguments */
        Operand operand;
        OptionSet options;                              /* besides the global ones */
        VerbFlags flags;
        const char *summary;                            /* one line of the help */
        const char *description;                        /* the rest of its own help; NULL: none */
        int (*run)(Ctl *c, const char *const *args, size_t n);
        const char *const *states;                      /* of the runs that are offered for it; NULL: all */
} Verb;

extern const Verb verbs[];                              /* ended by a row without name */
const Verb *verb_find(const char *name);
int verb_unknown(const char *name);                     /* says so, with the nearest one; STATUS_USAGE */

int verb_list(Ctl *c, const char *const *args, size_t n);
int verb_status(Ctl *c, const char *const *args, size_t n);
int verb_show(Ctl *c, const char *const *args, size_t n);
int verb_runbooks(Ctl *c, const char *const *args, size_t n);
int verb_cat(Ctl *c, const char *const *args, size_t n);
int verb_start(Ctl *c, const char *const *args, size_t n);
int verb_watch(Ctl *c, const char *const *args, size_t n);
int verb_logs(Ctl *c, const char *const *args, size_t n);
int verb_history(Ctl *c, const char *const *args, size_t n);
int verb_inbox(Ctl *c, const char *const *args, size_t n);
int verb_answer(Ctl *c, const char *const *args, size_t n);            /* approve reject provide */
int verb_decide(Ctl *c, const char *const *args, size_t n);            /* retry ignore abort */
int verb_act(Ctl *c, const char *const *args, size_t n);               /* pause resume start-now */
int verb_set_input(Ctl *c, const char *const *args, size_t n);
int verb_reschedule(Ctl *c, const char *const *args, size_t n);
int verb_again(Ctl *c, const char *const *args, size_t n);             /* replay rerun */
int verb_dead_letters(Ctl *c, const char *const *args, size_t n);
int verb_explain(Ctl *c, const char *const *args, size_t n);
int verb_cancel(Ctl *c, const char *const *args, size_t n);
int verb_verify(Ctl *c, const char *const *args, size_t n);
int verb_reload(Ctl *c, const char *const *args, size_t n);
int verb_help(Ctl *c, const char *const *args, size_t n);
int verb_complete(Ctl *c, const char *const *args, size_t n);

/* Says something on standard error; sets the status to 1 and returns -EIO, so that `return ctl_error(c, …)` reads well where a helper
 * fails. */
int ctl_error(Ctl *c, const char *fmt, ...) _printf_(2, 3);
int ctl_usage_error(Ctl *c, const char *fmt, ...) _printf_(2, 3);      /* likewise, status 64 */
int ctl_oom(Ctl *c);
static inline int ctl_failed(const Ctl *c) {
        return c->status != STATUS_SUCCESS ? c->status : STATUS_FAILURE;
}

/* "runbookctl", with the options that reach the same daemon: what people can copy and type. New string. */
char *ctl_command(const Ctl *c);
/* Prints one JSON value as --json asks. */
void ctl_print_json(const Ctl *c, const Json *j);
static inline bool ctl_json(const Ctl *c) {
        return c->options.json != JSON_OFF;
}
