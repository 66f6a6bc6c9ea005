/* The environment of a step: what it always has, and what the runbook says. Nothing of ours. */
#pragma once

#include "executor.h"

typedef struct StepEnvBase StepEnvBase;                 /* what is the same for all steps */

int step_env_base_new(const char *state_directory, StepEnvBase **ret); /* for the user that we are */
StepEnvBase *step_env_base_free(StepEnvBase *b);
DEFINE_CLEANUP(StepEnvBase *, step_env_base_free)

/* output and error: paths. *ret: a NULL-terminated array, one allocation with its strings. */
int step_env_make(const StepEnvBase *b, const StepCommand *c, const char *output, const char *error, char ***ret);
const char *step_env_get(char *const *env, const char *name); /* NULL: not set */

/* Where the program is: argv[0] as it is where it has a slash, else the first executable file of that name in the PATH. -ENOENT,
 * -EACCES. */
int step_find_program(const char *name, const char *path, const char *directory, char **ret);

#define STEP_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
