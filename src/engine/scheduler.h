/* Slots for processes: at most max at once, given to the runs that wait for one in fair order. */
#pragma once

#include "list.h"

typedef struct SchedulerItem SchedulerItem;
struct SchedulerItem {                                  /* one per run, embedded */
        bool queued;
        LIST_FIELDS(SchedulerItem, queue);
};

typedef struct Scheduler {
        unsigned max, used;
        bool closed;                                    /* nothing starts: the storage fails, or the daemon stops */
        QUEUE_HEAD(SchedulerItem) queue;                /* runs that wait, the longest waiting first */
} Scheduler;

unsigned scheduler_free_slots(const Scheduler *s);
/* How many slots a run may take that is being looked at anyway: all that are free, but none while others wait for theirs. */
unsigned scheduler_grant(const Scheduler *s);
void scheduler_take(Scheduler *s, unsigned n);
void scheduler_release(Scheduler *s);
void scheduler_wait(Scheduler *s, SchedulerItem *item, bool wants);    /* into the queue's end where it isn't in it, or out of it */
SchedulerItem *scheduler_next(Scheduler *s);            /* whose turn it is, taken out of the queue; NULL: nobody's, or no slot is free */
