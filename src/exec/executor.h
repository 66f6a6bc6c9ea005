/* An executor carries out one step as processes. It is a table of functions; the engine never asks which one it has.
 *
 *      prepare → launch → done          the intent is committed between prepare and launch: before launch nothing of the step has run
 *      prepare → abandon                the commit failed: it never runs
 *      launch → stop → done             stop is SIGTERM to all of it, SIGKILL after the grace, and done only when nothing is left
 *
 * done is called exactly once per launched job, from the event loop, never from inside launch or stop; the job is freed after done returns. */
#pragma once

#include <systemd/sd-event.h>

#include "json.h"
#include "time-util.h"

typedef struct Executor Executor;
typedef struct ExecJob ExecJob;

typedef struct ExecutorOptions {
        sd_event *event;
        const char *state_directory;                    /* absolute; logs/, work/, step/ are below it */
        const char *store_id;
        usec_t kill_grace;                              /* KillGraceSec */
        uint64_t log_max;                               /* bytes of log kept per step, the newest */
} ExecutorOptions;

/* What to execute, fully resolved. Borrowed during prepare only. */
typedef struct StepCommand {
        uint32_t run;
        const char *runbook, *activity, *step;          /* step: its id, "pre:1" for hooks */
        const char *step_key;                           /* fit for a file name: "3", "pre1", "onFailure1" */
        uint32_t attempt;
        char *const *argv;                              /* NULL-terminated; argv[0] is looked up in PATH where it has no slash */
        char *const *env;                               /* "K=V", NULL-terminated; wins over the basic environment */
        const char *working_directory;                  /* relative ones are below the workspace; NULL: the workspace */
        bool capture_stdout;                            /* standard output to a file of its own, added to the log when the step is over; else both streams share the log */
} StepCommand;

typedef enum ExecOutcome { EXEC_EXITED, EXEC_SIGNALED, EXEC_OOM_KILLED, EXEC_START_FAILED, EXEC_LOST, _EXEC_OUTCOME_MAX, _EXEC_OUTCOME_INVALID = -EINVAL } ExecOutcome;

typedef struct ExecResult {
        ExecOutcome outcome;
        int status;                                     /* exit code, signal, or (START_FAILED) errno */
        const char *message;                            /* START_FAILED: what could not be done, e.g. the program's name; may be NULL */
        uint64_t log_end;                               /* size of the attempt's log when the step was over */
        Json *outputs;                                  /* what it wrote to $RUNBOOK_OUTPUT; NULL: nothing. Borrowed */
        Json *error;                                    /* what it wrote to $RUNBOOK_ERROR, checked; NULL: nothing */
        const char *outputs_error;                      /* OUTPUT_INVALID: why what it wrote can't be taken; NULL: fine */
        const char *stdout_tail;                        /* with capture_stdout: the last 64 KiB, valid UTF-8; else NULL */
        usec_t cpu;                                     /* user + system of the main process and its waited-for children */
        uint64_t memory_peak;                           /* bytes, of the main process; 0: not known (no more than the daemon's own) */
} ExecResult;

typedef void (*ExecDone)(void *userdata, ExecJob *job, const ExecResult *result);

typedef struct ExecutorOps {
        const char *name;                               /* "process", "unit" */
        /* 0 and a job; -EAGAIN, -ENOMEM, -EMFILE, -ENFILE: the engine can't start processes now; any other error is the step's own (START_FAILED). */
        int (*prepare)(Executor *e, const StepCommand *c, ExecDone done, void *userdata, ExecJob **ret);
        void (*launch)(ExecJob *job);
        void (*abandon)(ExecJob *job);
        void (*stop)(ExecJob *job);                     /* again: at once, without grace */
        Json *(*identify)(const ExecJob *job);          /* what recovery needs to find what is left of it; a new object, goes into the journal */
        /* At start, before anything goes on: kills and waits for whatever is left of earlier steps. `identities`: array of the objects of identify whose steps had no end. Blocking, bounded. */
        int (*clean_up)(Executor *e, const Json *identities);
        Executor *(*free)(Executor *e);                 /* kills all jobs at once, waits for them, without done */
} ExecutorOps;

struct Executor {
        const ExecutorOps *ops;
};

/* Before the limit of open files is raised: children get back the one it finds. Makes this process adopt orphans; other children of it must stay in its session. */
int exec_process_new(const ExecutorOptions *o, Executor **ret);

/* Where things are, for every executor and for those who read. New strings. */
char *exec_workspace_path(const char *state_directory, uint32_t run);                   /* work/N/workspace; work/N/tmp is TMPDIR */
char *exec_log_path(const char *state_directory, uint32_t run, const char *activity, uint32_t attempt);
int exec_make_workspace(const char *state_directory, uint32_t run);                     /* empty; -EEXIST is success */
/* work/N/trigger.json: what the run was started with, for what is too long for a variable. Its workspace has been made. */
int exec_write_trigger(const char *state_directory, uint32_t run, const Json *payload);
/* The last max bytes of [start, end) of an attempt's log, as valid UTF-8, at line starts where it can; for failure.log. end UINT64_MAX: to the end. */
int exec_log_tail(const char *state_directory, uint32_t run, const char *activity, uint32_t attempt, uint64_t start, uint64_t end, size_t max, char **ret);
