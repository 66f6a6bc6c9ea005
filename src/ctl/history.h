/* The history of a run, as section 11 of the contract shows it, and each kind of event in words. */
#pragma once

#include "ctl.h"

/* Reads events from seq `from` on: at most `max` (0: all), appended to the array as {seq, at, type, activity, attempt, step, uid, user,
 * data}. Where the error is not printed it is left in *error (may be NULL: printed). Returns 0 or negative errno. */
int history_read(Ctl *c, const char *run_path, uint32_t from, uint32_t max, Json *events, sd_bus_error *error);

/* What happened, in words and without the subject: "finished: success". An unknown type is its own word. */
const char *history_words(const char *type);
/* Why, or how it ended: what the event's data says, in one clean line; "" where it says nothing. New string. */
char *history_detail(const Json *event);
/* What it happened to: "qa", "dist/coverage", a phase's name, "" for the run. New string. */
char *history_subject(const Json *event);
/* Who did it: a name, else a number; "runbookd" for the engine; "alice (as bob)" where alice had logged in. New string. */
char *history_who(const Json *event);
/* The same with the number: "alice (1000)", "alice (as bob, 1001)". New string. */
char *history_who_uid(const Json *event);
const char *history_session(const Json *event);         /* in which it was done; NULL: not known */
/* Did he do it, or was it done from his login: by the number, or by the name that was written down then? */
bool history_is_by(const Json *event, const char *name_or_uid);
