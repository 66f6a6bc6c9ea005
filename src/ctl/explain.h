/* Why a run does not move, as sentences. */
#pragma once

#include "client.h"

/* run: as Describe gives it; requests: as waits_read does. An array of {waitsFor, activity, since, who, commands, text}: waitsFor is
 * approval, input, decision, backoff, step, slot, paused, scheduled, turn, run-retry, cancel, or null for a run that has ended; activity
 * and who are null where there is none; since is µs, 0 where it isn't known. Texts are not clean. Prints what is wrong. */
int explain_run(Ctl *c, const Target *t, const Json *run, const Json *requests, Json **ret);
