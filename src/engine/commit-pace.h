/* When the events of a turn are committed: at once, or a moment later together with those of steps that are about to end. Pure
 * arithmetic. */
#pragma once

#include "time-util.h"

#define PACE_RUNNING_MIN 4u                             /* with fewer processes left running nothing is held back */
#define PACE_SHARE_MULTIPLIER 5u                        /* held until 5/8 of what was in flight has ended … */
#define PACE_SHARE_DIVISOR 8u
#define PACE_GAP_MAX (2 * USEC_PER_MSEC)                /* … unless steps end less often than this */
#define PACE_HOLD_MAX (10 * USEC_PER_MSEC)              /* … and never longer than this */
#define PACE_PENALTY_MAX 64u                            /* turns that are not held after holds that gained nothing */

typedef struct Pace {
        usec_t last_end;                                /* CLOCK_MONOTONIC of the last end of a step; 0: none yet */
        usec_t gap;                                     /* running mean between two of them */
        unsigned penalty, skip;
} Pace;

typedef struct PaceInput {
        usec_t now, began;                              /* CLOCK_MONOTONIC; began: the turn's first event */
        unsigned running;                               /* processes that go on */
        unsigned ended;                                 /* that have ended in this turn and wait for the commit */
        unsigned cpus;
        bool urgent;                                    /* a person or a full turn waits */
} PaceInput;

void pace_step_ended(Pace *p, usec_t now);
/* 0: commit now. Else the time (CLOCK_MONOTONIC) until which to wait for more. */
usec_t pace_decide(const Pace *p, const PaceInput *in);
/* To be told what came of it: a turn is committed, which had been held (or not) for as long as pace_decide wanted. */
void pace_committed(Pace *p, const PaceInput *in, bool held);
