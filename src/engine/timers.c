/* A heap and a timer for each clock. Timeouts of what runs now count on CLOCK_MONOTONIC, which stands still while the machine sleeps, as
 * the processes do; what waits (backoffs, requests, the whole run) counts on CLOCK_BOOTTIME. Dates are moments of CLOCK_REALTIME: when that
 * is set, the kernel moves the timer along, so that a start at noon is at noon, however noon came. A run keeps its own heap of deadlines;
 * here it stands with the earliest of them only, so that a change costs the logarithm of the number of runs.
 *
 * The kernel's timer is touched only when the earliest deadline changed. A deadline that is set while others expire is never due in the
 * same dispatch: whoever computes wrong deadlines makes the daemon busy, but can't lock it up. */
#include "timers.h"

#include <time.h>

#define ACCURACY_EXACT 50u                              /* µs; sd-event sleeps to the end of the window it is given */
#define ACCURACY_COARSE_FROM (10 * USEC_PER_SEC)
#define ACCURACY_MAX USEC_PER_SEC
#define DISPATCH_MAX 128u                               /* runs served before other sources get their turn */
#define FLOOR_AHEAD 200u                                /* µs */

typedef struct Clock {
        Prioq heap;
        sd_event_source *source;
        usec_t armed;                                   /* USEC_INFINITY: off */
        usec_t floor;                                   /* while it dispatches: nothing new is due before it; else 0 */
} Clock;

struct Timers {
        Clock clocks[_DEADLINE_CLOCK_MAX];
        TimersExpired expired;
        void *userdata;
        bool suspended;
};

static const clockid_t clock_ids[_DEADLINE_CLOCK_MAX] = {
        [CLOCK_OF_STEPS] = CLOCK_MONOTONIC,
        [CLOCK_OF_WAITS] = CLOCK_BOOTTIME,
        [CLOCK_OF_DATES] = CLOCK_REALTIME,
};

usec_t timers_accuracy(usec_t span) {
        return span < ACCURACY_COARSE_FROM ? ACCURACY_EXACT : MIN(span / 100, ACCURACY_MAX);
}

static int compare(const void *a, const void *b) {
        const TimerItem *x = a, *y = b;

        return x->when < y->when ? -1 : x->when > y->when;
}

static int dispatch_clock(Timers *t, DeadlineClock clock) {
        usec_t now = now_usec(clock_ids[clock]);
        TimerItem *item;
        int r = 0;

        t->clocks[clock].floor = now + FLOOR_AHEAD;
        for (unsigned n = 0; r >= 0 && n < DISPATCH_MAX && (item = prioq_peek(&t->clocks[clock].heap)) && item->when <= now; n++) {
                prioq_remove(&t->clocks[clock].heap, item);
                item->when = USEC_INFINITY;
                r = t->expired(t->userdata, item, clock);
        }
        t->clocks[clock].floor = 0;
        t->clocks[clock].armed = USEC_INFINITY;         /* it was a one-shot */
        return r < 0 ? r : timers_arm(t);
}

static int on_steps(sd_event_source *s, uint64_t usec, void *userdata) {
        return dispatch_clock(userdata, CLOCK_OF_STEPS);
}

static int on_waits(sd_event_source *s, uint64_t usec, void *userdata) {
        return dispatch_clock(userdata, CLOCK_OF_WAITS);
}

static int on_dates(sd_event_source *s, uint64_t usec, void *userdata) {
        return dispatch_clock(userdata, CLOCK_OF_DATES);
}

static int clock_init(Timers *t, DeadlineClock clock, sd_event *event, int64_t priority) {
        static const sd_event_time_handler_t handlers[_DEADLINE_CLOCK_MAX] = { on_steps, on_waits, on_dates };
        static const char *const names[_DEADLINE_CLOCK_MAX] = { "step-deadlines", "wait-deadlines", "date-deadlines" };
        Clock *c = &t->clocks[clock];
        int r;

        prioq_init(&c->heap, compare, offsetof(TimerItem, position));
        c->armed = USEC_INFINITY;
        r = sd_event_add_time(event, &c->source, clock_ids[clock], USEC_INFINITY, ACCURACY_EXACT, handlers[clock], t);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(c->source, names[clock]);
        r = sd_event_source_set_priority(c->source, priority);
        if (r < 0)
                return r;
        r = sd_event_source_set_exit_on_failure(c->source, true);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(c->source, SD_EVENT_OFF);
}

int timers_new(sd_event *event, int64_t priority, TimersExpired expired, void *userdata, Timers **ret) {
        _cleanup_(timers_freep) Timers *t = calloc(1, sizeof(Timers));
        int r;

        if (!t)
                return -ENOMEM;
        t->expired = expired;
        t->userdata = userdata;
        for (DeadlineClock c = 0; c < _DEADLINE_CLOCK_MAX; c++) {
                r = clock_init(t, c, event, priority);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(t);
        return 0;
}

Timers *timers_free(Timers *t) {
        if (!t)
                return NULL;
        for (DeadlineClock c = 0; c < _DEADLINE_CLOCK_MAX; c++) {
                sd_event_source_disable_unref(t->clocks[c].source);
                if (t->clocks[c].heap.compare)
                        prioq_done(&t->clocks[c].heap);
        }
        free(t);
        return NULL;
}

void timer_item_init(TimerItem *i) {
        *i = (TimerItem) { .when = USEC_INFINITY, .position = PRIOQ_NONE };
}

int timers_set(Timers *t, DeadlineClock clock, TimerItem *item, usec_t when) {
        Prioq *heap = &t->clocks[clock].heap;

        if (when != USEC_INFINITY)
                when = MAX(when, t->clocks[clock].floor);
        if (when == item->when)
                return 0;
        if (when == USEC_INFINITY)
                prioq_remove(heap, item);
        item->when = when;
        if (when == USEC_INFINITY)
                return 0;
        if (item->position != PRIOQ_NONE) {
                prioq_reshuffle(heap, item);
                return 0;
        }
        if (prioq_put(heap, item) < 0) {
                item->when = USEC_INFINITY;
                return -ENOMEM;
        }
        return 0;
}

usec_t timers_first(const Timers *t, DeadlineClock clock) {
        const TimerItem *first = prioq_peek(&t->clocks[clock].heap);

        return first ? first->when : USEC_INFINITY;
}

static int arm_clock(Timers *t, DeadlineClock clock) {
        Clock *c = &t->clocks[clock];
        usec_t when = t->suspended ? USEC_INFINITY : timers_first(t, clock);
        int r;

        if (when == c->armed)
                return 0;
        c->armed = when;
        if (when == USEC_INFINITY)
                return sd_event_source_set_enabled(c->source, SD_EVENT_OFF);
        r = sd_event_source_set_time(c->source, when);
        if (r < 0)
                return r;
        r = sd_event_source_set_time_accuracy(c->source, timers_accuracy(usec_sub(when, now_usec(clock_ids[clock]))));
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(c->source, SD_EVENT_ONESHOT);
}

int timers_arm(Timers *t) {
        for (DeadlineClock c = 0; c < _DEADLINE_CLOCK_MAX; c++) {
                int r = arm_clock(t, c);
                if (r < 0)
                        return r;
        }
        return 0;
}

int timers_suspend(Timers *t, bool suspended) {
        t->suspended = suspended;
        return timers_arm(t);
}
