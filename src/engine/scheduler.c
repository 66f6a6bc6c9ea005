/* At most MaxSteps processes run at once. Runs that have steps ready and found no slot stand in one queue; each slot that becomes free
 * goes to the run at its head, which then, if it has more to start, goes to the end. So a run with a thousand parallel activities and
 * a run with one get slots in turn, and a run whose step has just ended does not keep the slot while another waits. All operations are
 * O(1). */
#include "scheduler.h"

unsigned scheduler_free_slots(const Scheduler *s) {
        return s->closed || s->used >= s->max ? 0 : s->max - s->used;
}

unsigned scheduler_grant(const Scheduler *s) {
        return s->queue.first ? 0 : scheduler_free_slots(s);
}

void scheduler_take(Scheduler *s, unsigned n) {
        s->used += n;
}

void scheduler_release(Scheduler *s) {
        assert(s->used > 0);
        s->used--;
}

void scheduler_wait(Scheduler *s, SchedulerItem *item, bool wants) {
        if (item->queued == wants)
                return;
        item->queued = wants;
        if (wants)
                QUEUE_PUSH(queue, &s->queue, item);
        else
                QUEUE_REMOVE(queue, &s->queue, item);
}

SchedulerItem *scheduler_next(Scheduler *s) {
        SchedulerItem *item = s->queue.first;

        if (!item || scheduler_free_slots(s) == 0)
                return NULL;
        scheduler_wait(s, item, false);
        return item;
}
