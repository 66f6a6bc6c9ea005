/* What happens at the daemon, as a reason to look again: its signals, and that it comes and goes. */
#pragma once

#include <systemd/sd-event.h>

#include "ctl.h"

typedef struct Monitor Monitor;

/* Subscribes to the signals of everything below the path prefix (and to the manager's), on an event loop of its own. Prints what is wrong.
 */
int monitor_new(Ctl *c, const char *path, Monitor **ret);
Monitor *monitor_free(Monitor *m);
DEFINE_CLEANUP(Monitor *, monitor_free)

typedef enum MonitorWake {
        WAKE_CHANGED = 1 << 0,                          /* a signal of the daemon, or it came back: look again */
        WAKE_TICK = 1 << 1,                             /* nothing happened for as long as was asked */
        WAKE_INTERRUPTED = 1 << 2,                      /* SIGINT, SIGTERM or SIGHUP; once each */
        WAKE_RESIZED = 1 << 3,                          /* the terminal's size changed */
        WAKE_INPUT = 1 << 4,                            /* standard input has something to read */
        WAKE_AWAY = 1 << 5,                             /* the daemon went away */
        WAKE_BUS_GONE = 1 << 6,                         /* the bus itself did; nothing more will come */
} MonitorWake;

/* Waits for the next reasons, at most `usec`. Negative errno when the loop itself fails (printed). */
int monitor_wait(Monitor *m, usec_t usec);
/* The exit status of one who was told to end: 128 and the number of the signal that came last. */
int monitor_interrupted_status(const Monitor *m);
void monitor_watch_input(Monitor *m, bool on);          /* standard input, which must be a terminal */
