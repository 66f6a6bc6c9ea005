/* Where things are: for the system under /etc, /run, /usr and /var; for one user by the XDG variables. */
#pragma once

#include "macros.h"

#define PLACES_MAX 32u                                  /* directories of one kind */

typedef struct Places {
        char *state;                                    /* made where missing, absolute */
        char **config; /* where runbookd.conf and runbookd.conf.d/ are looked for, NULL-terminated, the first wins */
        char **runbooks;                                /* likewise for runbooks */
} Places;

/* state_directory: from the command line, or NULL. -ENXIO: in user mode, the home directory isn't known. */
int places_init(bool user_mode, const char *state_directory, Places *ret);
void places_done(Places *p);
