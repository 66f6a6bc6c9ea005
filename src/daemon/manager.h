/* The daemon: owns everything, starts it in order, and ends it. */
#pragma once

#include "macros.h"

typedef struct Manager Manager;

typedef struct ManagerOptions {
        bool user_mode;
        const char *state_directory, *config_file;      /* or NULL; borrowed for the manager's life */
        int log_level;                                  /* from the command line, or -1 */
} ManagerOptions;

#define EXIT_CONFIGURATION 78                           /* EX_CONFIG: starting again would change nothing; the unit knows it */

/* SIGCHLD, SIGTERM, SIGINT and SIGHUP must be blocked. */
int manager_new(const ManagerOptions *o, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free)
/* Starts all, serves until it is told to stop, and returns the exit status. Says what went wrong. */
int manager_run(Manager *m);
