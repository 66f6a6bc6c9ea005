/* A run as far as everybody may see it: of the shape of Run.Describe, with names and states and times, and nothing of what its steps do. */
#pragma once

#include "client.h"

/* The error is the caller's. */
int outline_read(Ctl *c, const char *run_path, Json **ret, sd_bus_error *error);
/* What Describe says of the run or, where the target names one, the activity. Who may not read it without a password gets the outline,
 * which has a member `outline`; with --all he is asked for the password. From then on no call asks for one. Prints what is wrong. */
int outline_describe(Ctl *c, const Target *t, Json **ret);
static inline bool is_outline(const Json *description) {
        return json_has(description, "outline");
}
/* What an outline leaves out, and why; ret_command: what to type to see it, or NULL. New strings; 0 or -ENOMEM. */
int outline_note(const Ctl *c, const Target *t, const Json *outline, char **ret_text, char **ret_command);
