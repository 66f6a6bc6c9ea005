/* What NotifyCommand= has become of each open request: taken by the command, which is remembered over restarts, or given up after its last
 * try, which is not. */
#pragma once

#include "time-util.h"

#define TOLD_FILE "notified"                            /* in the state directory */
#define TOLD_FILE_MAX (64u * 1024u * 1024u)             /* that is read; one that is larger counts as none */
#define TOLD_LINES_SLACK 1000u                          /* of requests that are gone, in the file, beside as many as there are of others */

typedef enum ToldState {
        TOLD_NOT,
        TOLD_TAKEN,
        TOLD_GIVEN_UP,
} ToldState;

typedef struct Told Told;

/* A file that can't be read is said in the log and counts as an empty one: then people are told again. -ENOMEM. */
int told_open(const char *directory, Told **ret);
Told *told_free(Told *t);
DEFINE_CLEANUP(Told *, told_free)

/* A request is known by its run, its activity and when it was opened: what an activity asks again is another request. */
ToldState told_state(const Told *t, uint32_t run, const char *activity, usec_t opened_at);
/* Without memory or a file that takes it, people are told again; the file is said in the log. */
void told_set(Told *t, uint32_t run, const char *activity, usec_t opened_at, ToldState state);
void told_forget(Told *t, uint32_t run, const char *activity);  /* it is answered, or gone */
void told_forget_given_up(Told *t);
/* For the first look at all open requests after the start: those that told_keep() was not called for since the file was read are gone. */
void told_keep(Told *t, uint32_t run, const char *activity, usec_t opened_at);
void told_forget_others(Told *t);
