/* Names of the D-Bus interface, shared by the daemon, the command line and the agent.
 *
 * GetHistory's `data` is one JSON object: what the event's type has (section `data` of docs/history.md), with the members that place the
 * event beside them where they apply: "activity" or "phase", "attempt", "step" (its id), "user" (name at the time). `subject` is the
 * activity's or phase's name, or "". runbookctl history --json takes activity, attempt, step and user out of it into members of their own;
 * the rest is `data`. */
#pragma once

#define BUS_NAME "org.runbookd1"
#define BUS_PATH "/org/runbookd1"
#define BUS_RUN_PREFIX "/org/runbookd1/run/"
#define BUS_MANAGER "org.runbookd1.Manager"
#define BUS_RUN "org.runbookd1.Run"
#define BUS_ACTIVITY "org.runbookd1.Activity"
#define BUS_ERROR_PREFIX "org.runbookd1.Error."
