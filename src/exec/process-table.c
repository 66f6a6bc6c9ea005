/* Reading /proc. A pid may be given to another process at any moment, so a process is known by pid and start time, and signalled through a
 * descriptor that was compared with both after it was opened. */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "fd-util.h"
#include "process-table.h"

#define STAT_SIZE 1024u
#define ENVIRONMENT_MAX (8u * 1024u * 1024u)
#define ENVIRONMENT_TRIES 10u
#define FIELD_CODE_END 27u                              /* of stat */
#define FIELD_ENVIRONMENT_START 50u
#define FIELD_ENVIRONMENT_END 51u
#define FLAG_KERNEL_THREAD 0x00200000u                  /* PF_KTHREAD of the kernel */

DEFINE_CLEANUP(DIR *, closedir)

/* "PID (COMM) STATE PPID PGRP SESSION TTY TPGID FLAGS …"; COMM may hold anything, parentheses too. */
static int parse_stat(char *s, Process *ret) {
        char *p = strrchr(s, ')'), state;
        long parent, group, session, threads;
        unsigned long flags;
        uint64_t start;

        if (!p || sscanf(p + 1, " %c %ld %ld %ld %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %" SCNu64, &state, &parent,
                         &group, &session, &flags, &threads, &start) != 7)
                return -EIO;
        *ret = (Process) {
                .parent = (pid_t) parent,
                .group = (pid_t) group,
                .session = (pid_t) session,
                .start = start,
                .dead = (state == 'Z' || state == 'X') && threads <= 1, /* else only its first thread is */
                .kernel = flags & FLAG_KERNEL_THREAD,
        };
        return 0;
}

static int read_stat(pid_t pid, char buf[static STAT_SIZE]) {
        _cleanup_close_ int fd = -1;
        char path[64];
        ssize_t n;

        (void) snprintf(path, sizeof(path), "/proc/%ld/stat", (long) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        n = read(fd, buf, STAT_SIZE - 1);
        if (n <= 0)
                return n < 0 ? -errno : -ESRCH;
        buf[n] = 0;
        return 0;
}

int process_read(pid_t pid, Process *ret) {
        char buf[STAT_SIZE];
        Process p = { 0 };
        int r;

        r = read_stat(pid, buf);
        if (r < 0)
                return r;
        r = parse_stat(buf, &p);
        if (r < 0)
                return r;
        p.pid = pid;
        *ret = p;
        return 0;
}

static int compare_pids(const void *a, const void *b) {
        const Process *x = a, *y = b;

        return (x->pid > y->pid) - (x->pid < y->pid);
}

int process_table_read(ProcessTable *ret) {
        _cleanup_(closedirp) DIR *d = opendir("/proc");
        _cleanup_process_table_ ProcessTable t = { 0 };
        struct dirent *e;

        if (!d)
                return -errno;
        while ((errno = 0, e = readdir(d))) {
                char *end;
                long pid = strtol(e->d_name, &end, 10);

                if (*end || pid <= 0)
                        continue;
                if (!GREEDY_REALLOC(t.items, t.n_allocated, t.n + 1))
                        return -ENOMEM;
                if (process_read((pid_t) pid, t.items + t.n) >= 0)
                        t.n++;
        }
        if (errno != 0)
                return -errno;
        if (t.n > 0)
                qsort(t.items, t.n, sizeof(t.items[0]), compare_pids);
        *ret = t;
        t = (ProcessTable) { 0 };
        return 0;
}

void process_table_done(ProcessTable *t) {
        free(t->items);
        *t = (ProcessTable) { 0 };
}

Process *process_table_find(const ProcessTable *t, pid_t pid) {
        const Process key = { .pid = pid };

        return t->n > 0 ? bsearch(&key, t->items, t->n, sizeof(t->items[0]), compare_pids) : NULL;
}

void process_table_mark_descendants(ProcessTable *t) {
        bool again = true;

        /* A parent mostly has the lower pid and stands before its children, so that few rounds do. */
        while (again) {
                again = false;
                for (size_t i = 0; i < t->n; i++) {
                        const Process *parent = t->items[i].marked ? NULL : process_table_find(t, t->items[i].parent);

                        if (parent && parent->marked)
                                t->items[i].marked = again = true;
                }
        }
}

int process_signal(const Process *p, int sig, int *ret_pidfd) {
        _cleanup_close_ int fd = (int) syscall(SYS_pidfd_open, p->pid, 0);
        Process now;
        int r;

        if (fd < 0)
                return -errno;
        r = process_read(p->pid, &now);
        if (r < 0)
                return r;
        if (now.start != p->start || now.dead)
                return -ESRCH;
        if (syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) < 0)
                return -errno;
        if (ret_pidfd)
                *ret_pidfd = TAKE_FD(fd);
        return 0;
}

static uint64_t stat_field(const char *stat, unsigned field) {
        const char *p = strrchr(stat, ')');

        for (unsigned i = 3; p && i <= field; i++)      /* the one after COMM is 3 */
                p = strchr(p + 1, ' ');
        return p ? strtoull(p, NULL, 10) : 0;
}

/* While a process executes another program the file is empty for a moment, as it is for good where the environment is. Where the code ends
 * is what the kernel notes last of a new program, so as long as that is missing nothing can be told. */
static int environment_is_empty(pid_t pid) {
        char buf[STAT_SIZE];
        int r;

        r = read_stat(pid, buf);
        if (r < 0)
                return r;
        if (stat_field(buf, FIELD_CODE_END) == 0)
                return -EAGAIN;
        return stat_field(buf, FIELD_ENVIRONMENT_START) == stat_field(buf, FIELD_ENVIRONMENT_END);
}

static int read_environment(pid_t pid, char **ret, size_t *ret_n) {
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%ld/environ", (long) pid);
        for (unsigned i = 0; i < ENVIRONMENT_TRIES; i++) {
                _cleanup_free_ char *text = NULL;

                r = read_file(AT_FDCWD, path, ENVIRONMENT_MAX, false, &text, ret_n);
                if (r < 0)
                        return r == -ENOENT ? -ESRCH : r;
                r = *ret_n > 0 ? 1 : environment_is_empty(pid);
                if (r < 0)
                        return r;
                if (r > 0) {
                        *ret = TAKE_PTR(text);
                        return 0;
                }
        }
        return -EAGAIN;
}

int process_environment(pid_t pid, const char *name, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0, length = strlen(name);
        int r;

        r = read_environment(pid, &text, &n);
        if (r < 0)
                return r;
        for (const char *s = text; s < text + n; s += strlen(s) + 1)
                if (strncmp(s, name, length) == 0 && s[length] == '=') {
                        *ret = strdup(s + length + 1);
                        return *ret ? 0 : -ENOMEM;
                }
        return -ENXIO;
}
