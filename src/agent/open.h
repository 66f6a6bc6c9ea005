/* Open: a terminal with runbookctl in it, or what agent.conf says. */
#pragma once

#include <systemd/sd-event.h>

#include "text.h"

typedef struct Opener Opener;

#define OPEN_MAX_CHILDREN 32u                           /* that were opened and have not ended */

/* failed: what was opened could not be started after all. */
typedef void (*OpenFailed)(void *userdata, const char *typed, const char *why);
int opener_new(sd_event *event, OpenFailed failed, void *userdata, Opener **ret);
Opener *opener_free(Opener *o);                         /* what was opened stays open */
DEFINE_CLEANUP(Opener *, opener_free)

/* Where a person goes on. */
typedef struct Place {
        uint32_t run;                                   /* 0: no run, but the inbox */
        const char *activity, *runbook, *kind;          /* NULL: not known */
        bool user_mode;
} Place;
/* Failures are told to `failed` as well. */
void opener_open(Opener *o, const Place *place, const char *token);
char *place_command(const Place *p);                    /* what one would type; new string */
