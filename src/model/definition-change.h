/* May a run that has begun go on with another text of its runbook (fix and continue), or a replay with the text of today? What has already run must stay
 * as it was; all else may be changed, added and taken away. */
#pragma once

#include "runbook.h"

typedef enum Frozen {
        FROZEN_NOT,
        FROZEN_PLACE,                                   /* activity: must still be there, in its phase (it is held: what it does may change). Phase: has
                                                         * started: name, needs, if and critical stay; activities that have not run may come and go */
        FROZEN_ALL,                                     /* activity: may not change at all, and must need what it needed. Phase: has ended: nothing may come or go */
} Frozen;

typedef struct Freeze {
        Frozen *phases, *activities;                    /* by index in the old definition */
        bool defaults;                                  /* something that is under way follows them: `defaults` and the runbook's `env` may not change */
} Freeze;

/* 0: it may. -EPROTO: it would change what has already run, and *ret_error names the first differences (at most 5, one a line) as path and values:
 * `phases.build.activities.dist.run: was "make", is "make -j2"`. What is written may move, be reformatted or commented freely. -ENOMEM. */
int definition_change_check(const Runbook *old, const Runbook *new, const Freeze *f, char **ret_error);
