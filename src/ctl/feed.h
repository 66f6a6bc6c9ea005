/* A run as a stream: its history as it grows, and between the events what its steps write. */
#pragma once

#include "ctl.h"

typedef struct FeedPlace {
        const char *activity, *step;                    /* step: its id, NULL where it isn't known */
        uint32_t attempt;
} FeedPlace;

typedef struct FeedHandlers {
        /* All output that came before the event has been delivered. */
        int (*event)(void *userdata, const Json *event);
        /* A whole line, without its newline. */
        int (*line)(void *userdata, const FeedPlace *place, const char *s, size_t n);
        /* So many bytes of the log are no longer kept. */
        int (*gone)(void *userdata, const FeedPlace *place, uint64_t bytes);
} FeedHandlers;                                         /* any may be NULL; without line and gone no log is read */

typedef struct Feed Feed;

int feed_new(Ctl *c, const char *run_path, const FeedHandlers *handlers, void *userdata, Feed **ret);
Feed *feed_free(Feed *f);
DEFINE_CLEANUP(Feed *, feed_free)
/* Delivers what is new. *error is set where the daemon refused or is away. */
int feed_poll(Feed *f, sd_bus_error *error);
bool feed_ended(const Feed *f);                         /* the run's last event was delivered */
bool feed_is_busy(const Feed *f);                       /* a step is running: its output may grow without an event */
