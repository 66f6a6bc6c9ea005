/* What /proc says of processes, read at one moment. */
#pragma once

#include <sys/types.h>

#include "macros.h"

typedef struct Process {
        pid_t pid, parent, group, session;
        uint64_t start;                                 /* clock ticks since the machine started */
        bool dead;                                      /* nothing of it runs any more */
        bool kernel;                                    /* a thread of the kernel */
        bool marked;                                    /* for the caller */
} Process;

typedef struct ProcessTable {
        Process *items;                                 /* in order of pid */
        size_t n, n_allocated;
} ProcessTable;

int process_read(pid_t pid, Process *ret);              /* -ESRCH: gone */
int process_table_read(ProcessTable *ret);
void process_table_done(ProcessTable *t);
#define _cleanup_process_table_ _cleanup_(process_table_done)
Process *process_table_find(const ProcessTable *t, pid_t pid);
void process_table_mark_descendants(ProcessTable *t);   /* of all that are marked */

/* Sends only if it is still the same process. 0 and, where asked for, a new descriptor of it; -ESRCH, -EPERM. */
int process_signal(const Process *p, int sig, int *ret_pidfd);
/* The value of a variable in the environment that it was started with: a new string; -ENXIO: not there; -EACCES, -ESRCH; -EAGAIN: can't be
 * told now, as it is just executing another program, or ending. */
int process_environment(pid_t pid, const char *name, char **ret);
