/* An engine with a real store in a scratch directory (below the VFS that fails on demand), a library of runbooks that the test writes,
 * a fake executor, and an observer that writes down what it is told. */
#pragma once

#include "engine-private.h"
#include "fake-executor.h"
#include "fault-vfs.h"
#include "test.h"

typedef struct World {
        char top[64], state[96], runbooks[96];
        sd_event *event;
        Store *store;
        Library *library;
        FakeExecutor *fake;
        Engine *engine;
        unsigned max_steps, max_resumes;
        usec_t retry_window;
        StrBuf trace;                                   /* of the executor and the observer, one line a call */
        Ticket committed;                               /* the last one that was told */
        int committed_r;
        unsigned n_stopped;
} World;

#define engine_test(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
int world_setup(void **state);
int world_teardown(void **state);

void world_open(World *w);                              /* both: */
void world_open_store(World *w);
void world_open_engine(World *w);                       /* executor, engine, recovery */
void world_close(World *w);                             /* all at once, as by kill -9 */
void world_again(World *w);                             /* closes and opens */
void world_write(World *w, const char *name, const char *text); /* a runbook */
void world_turn(World *w);                              /* the event loop until nothing is left to do at once */
void world_wait(World *w, const char *line);            /* … until the trace has this line, which may take a timer */
bool world_traced(const World *w, const char *line);
unsigned world_trace_count(const World *w, const char *line);
void world_trace_clear(World *w);
size_t world_trace_find(const World *w, const char *line); /* offset; fails the test where it isn't there */

uint32_t world_start(World *w, const char *runbook);    /* and the turn */
int world_try_start(World *w, const char *runbook, const char *inputs, Ticket *ret, char **ret_message);
Run *world_run(World *w, uint32_t id);
RunState world_stored_state(World *w, uint32_t id);
unsigned world_events(World *w, uint32_t run, const char *type); /* stored ones of this type; NULL: all */
void world_fail(World *w);                              /* every flush fails from now on */

uint32_t world_start_with(World *w, const StartRequest *q); /* not stored yet */
uint32_t world_start_waiting(World *w, const char *runbook); /* no slot is free: it is stored and answered, and waits for the next turn */
bool world_has_row(World *w, uint32_t run);             /* in the store */
unsigned world_added(World *w, uint32_t run);           /* how often the trace has it announced */
uint32_t world_active(World *w);
void world_again_with(World *w, unsigned max_steps);    /* closes, opens with so many slots, and begins a new trace */
void world_finish_all(World *w);                        /* every step that runs ends well, until none does */
void world_assert_list(World *w, const char *expected); /* "3:running 2:queued ", newest first */
void world_assert_complete(World *w);                   /* nothing that the store says to be complete is without a row */

extern const Actor world_actor;
extern const char world_chain[];                        /* chain.yaml: a, b, c, one step each; a failure is the end */
extern const char world_wide[];                         /* wide.yaml: w1 … w6 at once */
extern const char world_sign[];                         /* sign.yaml: an approval, then a step */
