/* Replay and rerun (section 6 of the contract): which activities of an ended run a new one takes over, and which it does again. Pure: it looks at the
 * original, which is never changed, and at the definition that the new run will have. */
#pragma once

#include "run.h"

typedef struct ReplayPlan {
        Carried *carried;                               /* for RunOptions; owned, with their outputs and steps */
        size_t n_carried;
        Json *inputs;                                   /* of the new run, checked; owned */
        char **only;                                    /* likewise: the phases of a replay of a run of some phases only, else NULL; owned */
} ReplayPlan;
void replay_plan_done(ReplayPlan *p);

/* Errors: -ESTALE: WrongState (a run of this state is not replayed, and what to do instead); -ENOENT: `from` names nothing that there is; -ESRCH: it names
 * something that was never executed (WrongState); -EINVAL: InvalidInput; -EROFS: InputFixed; -EPROTO: DefinitionChanged. Always with a sentence. */

/* from: an activity or a phase, or NULL: what failed. runbook: original->runbook, or what it reads today. changed: inputs to be changed, or NULL. */
int replay_plan(const Run *original, const Runbook *runbook, const char *from, bool all_parallel, const Json *changed, ReplayPlan *ret, char **ret_error);
/* only: names of phases, or NULL: all. What is not selected is carried as skipped, with the outputs that it had. */
int rerun_plan(const Run *original, const Runbook *runbook, char **only, const Json *changed, ReplayPlan *ret, char **ret_error);
/* Is each of them a phase? -EINVAL and a sentence with the nearest. */
int check_selection(const Runbook *runbook, char **only, char **ret_error);
