/* A control group of its own for each process that a step is, where we may make one: what is in it is found and killed without fail. */
#pragma once

#include "json.h"

typedef struct CgroupPool CgroupPool;
typedef struct StepCgroup StepCgroup;

/* -EOPNOTSUPP: none can be made here (no unified hierarchy, or our own group was not delegated to us). */
int cgroup_pool_new(const char *store_id, CgroupPool **ret);
CgroupPool *cgroup_pool_free(CgroupPool *p);            /* all groups taken must have been removed */
DEFINE_CLEANUP(CgroupPool *, cgroup_pool_free)

int cgroup_pool_take(CgroupPool *p, StepCgroup **ret);  /* a new group */
void cgroup_pool_make_ahead(CgroupPool *p);             /* makes the next one now, when there is time */
void cgroup_pool_remove(CgroupPool *p, StepCgroup *g);  /* when nothing is left in it */

int step_cgroup_fd(const StepCgroup *g);                /* its directory; borrowed */
const char *step_cgroup_path(const StepCgroup *g);      /* as /proc/PID/cgroup has it; borrowed */
bool step_cgroup_populated(const StepCgroup *g);        /* groups below it included */
int step_cgroup_kill(const StepCgroup *g);              /* SIGKILL to everything in it; -EOPNOTSUPP before Linux 5.14 */
int step_cgroup_pids(const StepCgroup *g, pid_t **ret, size_t *ret_n); /* without those in groups below */

int cgroup_open_memory_events(void);                    /* memory.events of our own group, which counts those below it too; or negative */

/* What an earlier process of this store left: kills groups of this store that stand beside those of the pool (NULL: there is none), and
 * those that `identities` name. Returns how many still hold processes, which may be gone a moment later; empty ones are removed. */
unsigned cgroup_kill_left(const CgroupPool *p, const char *store_id, const Json *identities);
