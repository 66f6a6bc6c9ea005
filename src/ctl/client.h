/* The daemon as runbookctl sees it: the connection, calls that say what went wrong, and the paths of objects. */
#pragma once

#include "bus-names.h"
#include "ctl.h"

#define CALL_TIMEOUT (2 * USEC_PER_MINUTE)              /* somebody may have to type a password */

#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)
#define _cleanup_error_ _cleanup_(sd_bus_error_free)

int client_connect(Ctl *c);                             /* no-op when there is a connection */
/* May calls that are made from now on ask for a password? Never with --no-ask-password. What looks again and again must not. */
void client_allow_questions(Ctl *c, bool allow);
void client_allow_question(const Ctl *c, sd_bus_message *m);    /* this one may, where the command line doesn't forbid it */

/* Calls. 0, or negative errno after the error was printed and c->status set. `ret` may be NULL. */
int client_call(Ctl *c, const char *path, const char *interface, const char *member, sd_bus_message **ret, const char *types, ...);
int client_call_json(Ctl *c, const char *path, const char *interface, const char *member, Json **ret, const char *types,
                     ...); /* a method that returns one JSON text */
int client_new_call(Ctl *c, const char *path, const char *interface, const char *member, sd_bus_message **ret);
int client_send(Ctl *c, sd_bus_message *m, sd_bus_message **ret);
/* The same without printing: the error is the caller's. */
int client_try(Ctl *c, sd_bus_message *m, sd_bus_error *error, sd_bus_message **ret);
int client_try_json(Ctl *c, const char *path, const char *interface, const char *member, Json **ret, sd_bus_error *error);
/* Prints an error of the bus as it is, with advice where the daemon can't be reached; sets the status. Returns a negative errno. */
int client_error(Ctl *c, const sd_bus_error *error, int r);
int client_parse_error(Ctl *c, int r);                  /* a reply that isn't what the interface says */
/* For want of a permission, or of a password. */
bool client_is_refused(const sd_bus_error *error);
/* The daemon is away: gone, restarting, or never there. */
bool client_is_away(const sd_bus_error *error);

int client_get_text(Ctl *c, const char *path, const char *interface, const char *property, char **ret);       /* a property of type s, new */
int client_get_properties(Ctl *c, const char *path, const char *interface, Json **ret);   /* GetAll, as an object */

/* What a person writes to name a run, an activity, a step: "12", "12/qa", "12/dist/coverage". */
typedef struct Target {
        uint32_t run;
        char *activity, *step;                          /* NULL: not given */
        char *run_path, *activity_path;
} Target;
int target_parse(Ctl *c, const char *s, unsigned min_parts, unsigned max_parts, Target *ret);    /* also asks the daemon for the run */
void target_done(Target *t);
#define _cleanup_target_ _cleanup_(target_done)
int client_activity_path(Ctl *c, const char *run_path, const char *activity, char **ret);
/* Says that a run has no such activity, with the nearest one, where that is what the error means; else prints the error. */
int client_activity_error(Ctl *c, const Target *t, const sd_bus_error *error, int r);
