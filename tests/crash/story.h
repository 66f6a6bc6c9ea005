/* Lives of runs for the crash test: what the executor and the operator do, decided anew each time from what the engine says, so that a
 * story goes on after any death as if nothing had been. */
#pragma once

#include "engine-fixture.h"

typedef struct Story {
        const char *name;
        void (*prepare)(World *w);                      /* runbooks and files, once */
        bool (*act)(World *w);                          /* the operator does one thing; false: there is nothing to do now */
        bool (*succeeds)(World *w, const FakeJob *j);   /* how a main step ends; steps of hooks end well */
        void (*check)(World *w);                        /* what has come of it, at the end */
        unsigned writes;                                /* there are at least so many */
} Story;

extern const Story stories[];
extern const size_t n_stories;

/* A verb was taken up, and this event of it must be there when its ticket has been committed. */
void said(uint32_t run, const char *type, const char *activity, Ticket ticket);

unsigned count_events(World *w, uint32_t run, const char *type, const char *activity);  /* activity NULL: of any, or none */
unsigned count_failure_runs(World *w, uint32_t run);    /* those that its failure has started */

/* One run's whole history keeps the rules. deaths: how often the engine died. */
void check_history(World *w, uint32_t run, unsigned deaths);
/* Runs that ended badly have started one run each that follows failures, others none. */
void check_failure_runs(World *w);
