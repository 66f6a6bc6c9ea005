/* A SQLite VFS over the default one that counts writes and flushes, and makes a chosen one of them fail or kill the process. Its name is for StoreOptions.vfs.
 * It offers no shared memory and no mapping, so a WAL needs exclusive locking, which the store uses. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FAULT_VFS "fault"
#define FAULT_EXIT_STATUS 99

typedef enum FaultTarget { FAULT_WRITE /* xWrite and xTruncate */, FAULT_SYNC, _FAULT_TARGET_MAX } FaultTarget;
typedef enum FaultAction { FAULT_NONE, FAULT_IOERR, FAULT_FULL, FAULT_DIE, _FAULT_ACTION_MAX } FaultAction;

typedef struct FaultPlan {
        FaultTarget target;
        FaultAction action;
        unsigned at;                                    /* the how manieth after fault_arm, from 1 */
        bool lasting;                                   /* from then on, until fault_disarm; not for FAULT_DIE */
        bool torn;                                      /* the failing write, or the last one before death, gets half of its bytes out */
        void (*die)(void *userdata);                    /* NULL: _exit(FAULT_EXIT_STATUS) */
        void *userdata;
} FaultPlan;

int fault_vfs_register(void);                           /* 0, or an errno; more than once is fine */
void fault_arm(const FaultPlan *plan);                  /* copied; the count for `at` begins anew */
void fault_disarm(void);
unsigned fault_hits(void);                              /* how often the armed plan has struck */
/* Since the registration or the last fault_reset_counts. */
uint64_t fault_writes(void);
uint64_t fault_syncs(void);
void fault_reset_counts(void);
