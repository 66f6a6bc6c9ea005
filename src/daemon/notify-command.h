/* NotifyCommand=: tells people of requests on machines where no desktop is, by whatever the administrator has for that (mail, chat). The
 * command gets the request as one JSON object on standard input. It never holds anything up: it runs beside the engine, has a time limit,
 * and is tried again. Nothing is lost by that: what it has not taken (exit 0) is told again after a restart, what it has is not. */
#pragma once

#include <systemd/sd-event.h>

#include "run.h"

typedef struct NotifyCommand NotifyCommand;

#define NOTIFY_AT_ONCE 4u                               /* commands that run at the same time */
#define NOTIFY_WAITING_MAX 1000u                        /* notifications kept; what comes beyond is said in the log, and told later */
#define NOTIFY_TRIES_MAX 3u
#define NOTIFY_RETRY_FIRST (10 * USEC_PER_SEC)          /* doubles */

typedef struct NotifyOptions {
        sd_event *event;
        const char *command;                            /* for /bin/sh -c; NULL or empty: nothing is told */
        usec_t timeout, retry_first;
        bool user_mode;                                 /* how runbookctl finds the daemon */
        const char *state_directory;                    /* where it is noted what was told */
        /* Calls notify_command_request() for every open request that is on disk, the oldest first. Negative: it can't now. */
        int (*look)(void *userdata);
        void *userdata;
} NotifyOptions;

/* Notes the limit of open files that commands get back, so make it before raising it. */
int notify_command_new(const NotifyOptions *o, NotifyCommand **ret);
NotifyCommand *notify_command_free(NotifyCommand *n);   /* kills what runs */
DEFINE_CLEANUP(NotifyCommand *, notify_command_free)
/* For what is not under way. Then all that is open and was not told is, also what was given up. */
int notify_command_change(NotifyCommand *n, const char *command, usec_t timeout);
void notify_command_recover(NotifyCommand *n);          /* once, when the engine has all runs: the first look */

void notify_command_request(NotifyCommand *n, const Activity *a);       /* one that was told is not told again */
/* Answered, or gone: who was not told yet need not be. */
void notify_command_resolved(NotifyCommand *n, const Activity *a);
