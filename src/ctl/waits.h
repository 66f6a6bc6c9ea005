/* What activities want of a person, and what to type. */
#pragma once

#include "client.h"

/* Does a request wait for the one who runs this program? The daemon says so where it can be asked: request is what GetRequest said, or
 * NULL. Else the row of ListRequests must do: does it name nobody, or him, or a group of his? On another machine he is somebody else, so
 * there all do. */
bool waits_for_me(const Ctl *c, const Json *row, const Json *request);
/* "12" alone means the one activity of run 12 that waits for this kind of answer: sets its name and path. Prints what is wrong. */
int waits_find(Ctl *c, Target *t, const char *kind);
/* Appends the commands that answer a request of this kind ("approval", "input", "decision"); their first words are "runbookctl …". fields:
 * of an input, or NULL. 0 or -ENOMEM. */
int waits_commands(const Ctl *c, uint32_t run, const char *activity, const char *kind, const Json *fields, Json *commands);
/* The first of them, and in short that there are others: "runbookctl retry 12/deploy (or ignore, abort)". "" where there is none. New
 * string. */
char *waits_hint(const Ctl *c, uint32_t run, const char *activity, const char *kind);
/* Every request of a run's activities, as Describe gives them: what GetRequest says, with {activity, commands}. Where it can't be read,
 * what the description says must do. Prints what is wrong. */
int waits_read(Ctl *c, const Target *t, const Json *activities, Json **ret);
/* Who can act: "alice, group:qa", or who it is where nobody is named. Not clean. New string. */
char *waits_who(const Json *request);
/* "1 of 2 have approved: alice"; "" where one answer is enough. Not clean. New string. */
char *waits_answers(const Json *request);
