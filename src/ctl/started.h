/* What the commands that make a run have in common: they print which, and stay with it where that is asked for. */
#pragma once

#include "client.h"

/* Reads (u run, o path) of a reply; *ret_path is a new string. */
int started_read(Ctl *c, sd_bus_message *reply, uint32_t *ret_run, char **ret_path);
typedef enum Beginning { BEGINNING_START, BEGINNING_REPLAY, BEGINNING_RERUN } Beginning;
/* Prints that it is there, or {id, path}; then --follow and --wait. `of`: of which run it is the replay or rerun. An exit status. */
int started(Ctl *c, uint32_t run, const char *path, const char *runbook, Beginning how, uint32_t of);
