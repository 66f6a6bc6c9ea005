/* With Durability=full a commit costs a flush of the disk, and a flush is as dear as a short step. A chain of steps must pay one for
 * each: the next process may not run before the end of the one before is on disk. Where many short steps run beside each other they
 * can share: while enough other processes keep the CPUs busy, nothing is lost when those that have just ended wait for a few more to
 * end, and all their successors are then started after one flush.
 *
 * Rules:
 *  - Never hold when a person waits for an answer, or when what is left running could not keep the CPUs busy.
 *  - Hold until a good part (5/8) of what was in flight has ended: the rest is still running while the commit is made and the next
 *    ones are launched.
 *  - Hold only where ends are frequent (their mean distance is measured), no longer than twice what the measured rate promises, never
 *    over 10 ms.
 *  - A guess may be wrong: one chain of short steps beside many long ones looks like many short ones. A hold that ran out without
 *    having gathered half of what it wanted is paid for by 1, 2, 4 … 64 turns without a hold, so that what it costs such a chain
 *    vanishes in the mean. */
#include "commit-pace.h"

#define GAP_CEILING (4 * PACE_GAP_MAX)                  /* longer pauses say nothing about the rate, and must be forgotten quickly */

void pace_step_ended(Pace *p, usec_t now) {
        usec_t gap = p->last_end > 0 ? MIN(usec_sub(now, p->last_end), GAP_CEILING) : GAP_CEILING;

        p->gap = p->last_end > 0 ? (3 * p->gap + gap) / 4 : gap;
        p->last_end = now;
}

static unsigned wanted(const PaceInput *in) {
        return MAX((in->running + in->ended) * PACE_SHARE_MULTIPLIER / PACE_SHARE_DIVISOR, 1u);
}

static bool may_hold(const PaceInput *in) {
        return !in->urgent && in->ended > 0 && in->running >= MAX(PACE_RUNNING_MIN, in->cpus) && in->ended < wanted(in);
}

usec_t pace_decide(const Pace *p, const PaceInput *in) {
        usec_t until;

        if (!may_hold(in) || p->skip > 0 || p->gap > PACE_GAP_MAX)
                return 0;
        until = in->began + MIN(2 * p->gap * wanted(in), PACE_HOLD_MAX);
        return until > in->now ? until : 0;
}

void pace_committed(Pace *p, const PaceInput *in, bool held) {
        if (!held) {
                if (p->skip > 0 && may_hold(in))
                        p->skip--;
                return;
        }
        if (in->urgent)                                 /* it was cut short: that says nothing */
                return;
        if (2 * in->ended >= wanted(in)) {
                p->penalty = 0;
                return;
        }
        p->penalty = MIN(MAX(2 * p->penalty, 1u), PACE_PENALTY_MAX);
        p->skip = p->penalty;
}
