/* What must hold in every run whatever its runbook and whatever happens to it. A Watcher: it folds each stored event into a run of its
 * own and looks at the move that it made; after each turn it compares that run with the live one and counts again what the live one
 * counts as it goes. */
#pragma once

#include "world.h"

/* What is known of an activity besides its state. */
typedef struct Watched {
        unsigned *starts;                               /* of each step in its newest attempt */
        unsigned n_steps;
        bool attempted, succeeded;                      /* in this try of the run */
        bool bad;                                       /* failed for good and not tolerated */
} Watched;

typedef struct Invariants {
        Run *shadow;
        Watched *watched;                               /* of each activity */
        unsigned n_watched;
        uint32_t last_seq;
        bool cancel_asked, timed_out, gave_up, aborted;
        const Activity *deciding;                       /* of the deciding failure; the shadow's */
        char *broken;                                   /* the first thing that did not hold */
} Invariants;

int invariants_init(Invariants *v, uint32_t id, Runbook *runbook);
void invariants_done(Invariants *v);
void invariants_watch(Invariants *v, World *w);
