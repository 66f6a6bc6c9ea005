/* start --follow and --wait. */
#pragma once

#include "ctl.h"

int follow_run(Ctl *c, uint32_t run, const char *run_path, const char *runbook);  /* an exit status */
int wait_run(Ctl *c, uint32_t run, const char *run_path, const char *runbook);
