/* Everything that a step is: its main process, what that started, and what of it has left its parent, its process group or its session. */
#pragma once

#include <sys/types.h>

#include "json.h"
#include "step-cgroup.h"
#include "time-util.h"

typedef struct ProcessTree ProcessTree;                 /* all steps' processes below this one */

typedef struct ProcessGroup {                           /* those of one step; the caller's memory, filled by it before process_tree_add */
        pid_t pid;                                      /* of the main process, a session leader; reaped only after process_tree_remove */
        const char *mark;                               /* value of the variable that identifies it; borrowed */
        StepCgroup *cgroup;                             /* or NULL; borrowed */
        bool launched;                                  /* set by process_tree_launched */
        struct ProcessKey *told;                        /* those that were sent SIGTERM; freed by process_tree_remove */
        size_t n_told, n_told_allocated;
} ProcessGroup;

/* Makes this process the one that adopts orphans, until the tree is freed. `mark_prefix`: what all marks of this store begin with. From
 * then on every child of this process that is in another session than itself and in no group is taken for a step's orphan. */
int process_tree_new(const char *mark_prefix, ProcessTree **ret);
ProcessTree *process_tree_free(ProcessTree *t);
DEFINE_CLEANUP(ProcessTree *, process_tree_free)

int process_tree_add(ProcessTree *t, ProcessGroup *g);
void process_tree_launched(ProcessTree *t, ProcessGroup *g);
void process_tree_remove(ProcessTree *t, ProcessGroup *g);

/* Does anything but the main process still run? To be asked when that is over. Ended orphans are reaped on the way. */
bool process_tree_left(ProcessTree *t, const ProcessGroup *g);
/* Sends to all of it, the main process included. */
void process_tree_signal(ProcessTree *t, ProcessGroup *g, int sig);
/* SIGTERM to orphans that were not sent one yet: born or orphaned since, or not to be told at that time. Not to what those that have it
 * start to clean up. */
void process_tree_remind(ProcessTree *t, ProcessGroup *g);
void process_tree_reap(ProcessTree *t);                 /* orphans that have ended */

/* Kills what is left of an earlier process of this store, and waits for it; `identities`: objects with "pid", "start", "boot" (may be
 * NULL). -EBUSY: something is left when the time is over. */
int process_tree_clean_up(const char *mark_prefix, const char *store_id, const CgroupPool *cgroups, const Json *identities, usec_t timeout);
int boot_id_read(char **ret);                           /* of this start of the machine */

#define PROCESS_MARK_VARIABLE "RUNBOOK_OUTPUT"
