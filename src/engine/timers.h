/* Deadlines of all runs: for each clock one heap of runs by their next deadline, and one timer. */
#pragma once

#include <systemd/sd-event.h>

#include "prioq.h"
#include "run.h"

typedef struct TimerItem {                              /* one per run and clock, embedded */
        usec_t when;                                    /* USEC_INFINITY: in no heap */
        size_t position;
} TimerItem;

/* The item's deadline has passed; it is in no heap any more. Negative errno ends the event loop. */
typedef int (*TimersExpired)(void *userdata, TimerItem *item, DeadlineClock clock);

typedef struct Timers Timers;

int timers_new(sd_event *event, int64_t priority, TimersExpired expired, void *userdata, Timers **ret);
Timers *timers_free(Timers *t);                         /* items stay, their positions are reset */
DEFINE_CLEANUP(Timers *, timers_free)

void timer_item_init(TimerItem *i);
int timers_set(Timers *t, DeadlineClock clock, TimerItem *item, usec_t when);   /* USEC_INFINITY takes it out. -ENOMEM */
int timers_arm(Timers *t);                              /* after changes; cheap when the earliest deadlines are what they were */
int timers_suspend(Timers *t, bool suspended);          /* nothing expires while suspended */
usec_t timers_first(const Timers *t, DeadlineClock clock); /* the earliest deadline, USEC_INFINITY: none */
usec_t timers_accuracy(usec_t span) _const_;            /* how late a timer that far ahead may be */
