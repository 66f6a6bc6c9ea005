/* An executor without processes: jobs end when the test says so, and whatever is asked of it is written down, with the number of
 * flushes so far. */
#pragma once

#include "executor.h"
#include "strbuf.h"

typedef struct FakeJob FakeJob;
typedef struct FakeExecutor {
        Executor executor;                              /* must be first */
        StrBuf *trace;                                  /* borrowed; lines like "launch 1/build/1" */
        int fail_with;                                  /* the next fail_times prepares return it */
        unsigned fail_times;
        unsigned n_prepared, n_launched, n_abandoned, n_ended, n_clean_ups;
        Json *cleaned;                                  /* what the last clean_up was given */
        FakeJob *jobs;
} FakeExecutor;

struct FakeJob {
        FakeExecutor *executor;
        uint32_t run, attempt;
        char *activity, *step, *key, *argv;             /* argv: joined with spaces */
        bool capture_stdout, launched;
        unsigned n_stops;
        uint64_t flushes_at_prepare, flushes_at_launch;
        ExecDone done;
        void *userdata;
        FakeJob *next;
};

FakeExecutor *fake_new(StrBuf *trace);
FakeExecutor *fake_free(FakeExecutor *f);
/* The launched job, or NULL. activity NULL: any; the oldest. */
FakeJob *fake_find(FakeExecutor *f, uint32_t run, const char *activity);
unsigned fake_count(const FakeExecutor *f, uint32_t run); /* launched and not ended; 0: of all runs */
void fake_end(FakeJob *j, const ExecResult *result);
void fake_exit(FakeExecutor *f, uint32_t run, const char *activity, int status);
void fake_signal(FakeExecutor *f, uint32_t run, const char *activity, int sig);
