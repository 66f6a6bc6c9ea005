/* How a run ended, in a few lines. */
#pragma once

#include "ctl.h"

/* Prints it (unless --quiet) and gives the run's state, a new string. Prints what is wrong. */
int summary_print(Ctl *c, const char *run_path, char **ret_state);
