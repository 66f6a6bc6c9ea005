/* Lists of runs and of requests, as JSON objects of the shapes of section 11 of the contract. */
#pragma once

#include "ctl.h"

/* Runs, newest first: [{id, runbook, state, statusText, createdAt, startedAt, finishedAt, path}]. `states`: NULL-terminated, NULL for all.
 * limit LINES_ALL: all. */
int lists_get_runs(Ctl *c, const char *const *states, uint32_t limit, Json **ret);
extern const char *const lists_states_in_progress[];
/* Open requests that the caller may see: [{run, activity, path, kind, title, message, approvers, deadline}]; run 0: of all runs. */
int lists_get_requests(Ctl *c, uint32_t run, Json **ret);
/* The same, leaving errors of the bus in *error instead of printing them. */
int lists_try_runs(Ctl *c, const char *const *states, uint32_t limit, Json **ret, sd_bus_error *error);
int lists_try_requests(Ctl *c, uint32_t run, Json **ret, sd_bus_error *error);

int lists_print_runs(Ctl *c, const Json *runs);
int lists_print_requests(Ctl *c, const Json *requests);

usec_t lists_time(const Json *object, const char *key); /* 0 where it is null or absent */
char *format_span(usec_t span);                         /* "3.2s", "5min 20s", "2h 5min"; new string */
/* How long something took, or takes by now: "3.2s"; "-" before its start. New string. */
char *format_duration(usec_t started, usec_t finished, usec_t now);
