/* What must hold in every run whatever its runbook and whatever happens to it. A Watcher: it folds each stored event into a run of its
 * own and looks at the move that it made; after each turn it compares that run with the live one and counts again what the live one
 * counts as it goes. */
#pragma once

#include "world.h"

typedef struct Invariants {
        Run *shadow;
        unsigned *starts;                               /* of each step of each activity in its newest attempt */
        unsigned *first;                                /* activity -> index of its first step in starts */
        bool cancel_asked, timed_out, gave_up;
        int deciding;                                   /* index of the activity of the deciding failure, -1 */
        char *broken;                                   /* the first thing that did not hold */
} Invariants;

int invariants_init(Invariants *v, const Runbook *runbook);
void invariants_done(Invariants *v);
void invariants_watch(Invariants *v, World *w);
