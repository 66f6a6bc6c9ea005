/* Staying with a run until it ends: what --follow, --wait, watch and logs -f have in common. */
#pragma once

#include "client.h"
#include "monitor.h"

#define AWAY_MAX (30 * USEC_PER_SEC)                    /* how long a daemon may be away before we give up */

typedef struct AttendOps {
        /* Looks again and shows what is new; `wake` says why (WAKE_CHANGED the first time). 1: it is over; 0: not yet; negative with
         * *error, where the daemon failed to answer, or without, after the error was said. */
        int (*look)(void *userdata, unsigned wake, sd_bus_error *error);
        usec_t (*interval)(void *userdata);             /* until the next look where nothing happens */
        /* Ctrl-C and the like: 0 to go on, anything else is what attend returns. */
        int (*interrupted)(void *userdata);
        void (*away)(void *userdata, bool away);        /* the daemon is away, or it is back; NULL: nothing is said */
} AttendOps;

#define ATTEND_INTERRUPTED 2
/* 0: over; ATTEND_INTERRUPTED or what interrupted() returned; negative after it was said. The monitor is borrowed. */
int attend(Ctl *c, Monitor *m, const AttendOps *ops, void *userdata);

ExitStatus status_of_state(const char *state);          /* of a run's end */
bool state_is_terminal(const char *state);
void attend_say_come_back(Ctl *c, uint32_t run);        /* "Run 12 goes on. …" */
int attend_on_hold(Ctl *c, uint32_t run);               /* says that it waits for a person; STATUS_ON_HOLD */
void attend_say_away(Ctl *c, bool away);
