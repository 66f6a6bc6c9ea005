/* A scripted world around one run, with a virtual clock: steps end as the script says, people answer, time passes, the daemon dies. Used
 * by the scenario suite, which reads its script from files, and by the random suite, which makes one up. */
#pragma once

#include "run.h"

typedef struct World World;

typedef struct Stored {                                 /* an event as the store would hold it */
        EventText row;
        char *type, *subject, *step, *user, *data;
} Stored;

typedef struct Process {
        Activity *activity;
        int step;
        unsigned stops;                                 /* how often it was told to stop */
} Process;

/* Who watches a world: called for each event when it is stored, and after each turn. A negative return ends the turn with it. */
typedef struct Watcher {
        int (*event)(void *userdata, const World *w, const EventText *row);
        int (*turn)(void *userdata, const World *w);
        void *userdata;
} Watcher;

typedef enum Crash { CRASH_CLEAN, CRASH_KILL, CRASH_REBOOT } Crash;

struct World {
        Runbook *runbook;                               /* that the run began with; it follows run->runbook */
        Runbook **definitions;                          /* all that it may have been given since, to be found by their hash; references */
        size_t n_definitions, n_definitions_allocated;
        Run *run;
        Stamp now;
        Limits limits;
        unsigned max_slots, slots;
        Outcome outcome;
        Watcher watcher;
        bool time_was_bent;                             /* clocks were set or the machine slept: a fold can't know the same deadlines */
        Stored *stored;
        size_t n_stored, n_stored_allocated;
        /* What was observed, in order. */
        char **order;                                   /* "activity/step" of each process start */
        size_t n_order, n_order_allocated;
        char **stopped;                                 /* "activity/step" of each process that was told to stop */
        size_t n_stopped, n_stopped_allocated;
        Json *env;                                      /* "activity/step" -> array of "K=V" of its newest start */
        Json *argv, *directory;
        Json *resolved;                                 /* how requests ended */
        Json *again;                                    /* "activity/step" of those that were told to stop without grace */
        unsigned n_requests, n_finished;
        /* Processes that run, oldest first. */
        Process *processes;
        size_t n_processes, n_processes_allocated;
};

typedef struct WorldStart {
        uint32_t id;
        Runbook *runbook;
        Stamp now;                                      /* wall 0: some time */
        const Actor *who;                               /* NULL: alice */
        RunOptions options;
        unsigned slots;
} WorldStart;
int world_init(World *w, const WorldStart *start);
void world_done(World *w);
int world_turn(World *w);                               /* decide, store, carry out effects */
int world_know_definition(World *w, Runbook *runbook);  /* takes a reference */
Runbook *world_definition(const World *w, const char *hash); /* borrowed; NULL: not known */
int world_end_process(World *w, size_t i, const StepEnd *end);
int world_cannot_start(World *w, size_t i);             /* the engine tried five times and gives up */
int world_set_slots(World *w, unsigned slots);          /* other runs take or give back slots */
int world_crash(World *w, Crash how, usec_t down);      /* drops the run, folds it again from what was stored, recovers */
usec_t world_next_deadline(const World *w);             /* a span; USEC_INFINITY: there is none */
void world_set_clock(World *w, usec_t wall);            /* somebody sets the wall clock */
void world_pass(World *w, usec_t span);
void world_sleep(World *w, usec_t span);                /* the machine is suspended */
char *world_process_key(const World *w, size_t i);      /* "activity/step", new string */
/* Reads a stored event back, with the definition that the run had or, for definition-changed, gets. */
int world_decode(const World *w, const EventText *row, const Runbook *runbook, Event **ret);
/* Folds the stored events into a new run. */
int world_fold(const World *w, Run **ret);
/* Is the fold of the stored events equal to the live run, and has nothing left to decide that the live run had not? 0, or -EBADMSG and a
 * new string that says the difference. */
int world_check_fold(const World *w, char **ret_difference);
/* Are two runs equal in all that events say? NULL: yes; else what differs, a new string. */
char *run_difference(const Run *a, const Run *b);
