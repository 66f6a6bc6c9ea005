/* Finding and ending all processes of a step.
 *
 * While we live: we adopt the orphans of our descendants (subreaper). So whatever is left of a step when its main process has ended hangs
 * below a direct child of ours that is no step's main process, and one read of our own list of children tells whether there is any: that is
 * the cheap question asked at the end of each step. Children in our own session are none of a step's (each step has a session of its own,
 * and nothing can come back out of one): other parts of the program may have such children, and must not start children with a session of
 * their own.
 *
 * Whose an orphan is: its session is the step's; or its environment names the step's outputs file; or it has neither, but only one step is
 * launched. One that fits none of these waits until the last one is over. Where there are control groups they are asked as well.
 *
 * The main process is not reaped before the rest is gone. Until then its pid, which is also the number of the session and of the process
 * group, can't be given to anything else.
 *
 * After our death the next one looks through all processes, for control groups, for sessions noted in the journal and for the mark in the
 * environment. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fd-util.h"
#include "hashmap.h"
#include "process-table.h"
#include "process-tree.h"
#include "spawn.h"

#define CHILDREN_CHUNK 4096u
#define LOOKS_MAX 16u                                   /* for orphans, while they end under our eyes; then: ask again later */
#define WAIT_BATCH 256u                                 /* processes waited for at once by the clean-up */
#define WAIT_ROUND_MSEC 500                             /* then it looks again */
#define CLEAN_LOOKS 3u                                  /* that found nothing, one after the other, before the clean-up believes it */
#define WAIT_SHORT_MSEC 10                              /* where there is nothing to wait for by descriptor */

struct ProcessTree {
        char *mark_prefix;
        pid_t self, session;
        int children_fd;                                /* or -1: a kernel without CONFIG_PROC_CHILDREN */
        bool was_subreaper;
        IntMap *groups;                                 /* pid → ProcessGroup */
        unsigned n_launched;
};

struct ProcessKey {
        pid_t pid;
        uint64_t start;
};

typedef struct PidList {
        pid_t *items;
        size_t n, n_allocated;
} PidList;

static void pid_list_done(PidList *l) {
        free(l->items);
}

static int pid_list_add(PidList *l, pid_t pid) {
        if (!GREEDY_REALLOC(l->items, l->n_allocated, l->n + 1))
                return -ENOMEM;
        l->items[l->n++] = pid;
        return 0;
}

static int open_children(pid_t self) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/self/task/%ld/children", (long) self);
        return open(path, O_RDONLY | O_CLOEXEC);
}

int process_tree_new(const char *mark_prefix, ProcessTree **ret) {
        _cleanup_(process_tree_freep) ProcessTree *t = calloc(1, sizeof(*t));
        struct sigaction action;
        int was = 0;

        if (!t)
                return -ENOMEM;
        t->children_fd = -1;
        (void) prctl(PR_GET_CHILD_SUBREAPER, &was, 0, 0, 0);
        t->was_subreaper = was;
        t->self = getpid();
        t->session = getsid(0);
        t->groups = intmap_new();
        t->mark_prefix = strdup(mark_prefix);
        if (!t->groups || !t->mark_prefix)
                return -ENOMEM;
        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return -errno;
        /* Inherited from who started us, this would have the kernel reap our children, and their exit status with them. */
        if (sigaction(SIGCHLD, NULL, &action) >= 0 && action.sa_handler == SIG_IGN) {
                action = (struct sigaction) { .sa_handler = SIG_DFL };
                if (sigaction(SIGCHLD, &action, NULL) < 0)
                        return -errno;
        }
        t->children_fd = open_children(t->self);
        *ret = TAKE_PTR(t);
        return 0;
}

ProcessTree *process_tree_free(ProcessTree *t) {
        if (!t)
                return NULL;
        if (!t->was_subreaper)
                (void) prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
        safe_close(t->children_fd);
        intmap_free(t->groups);
        free(t->mark_prefix);
        free(t);
        return NULL;
}

int process_tree_add(ProcessTree *t, ProcessGroup *g) {
        g->launched = false;
        g->told = NULL;
        g->n_told = g->n_told_allocated = 0;
        return intmap_put(t->groups, (uint64_t) g->pid, g);
}

void process_tree_launched(ProcessTree *t, ProcessGroup *g) {
        g->launched = true;
        t->n_launched++;
}

void process_tree_remove(ProcessTree *t, ProcessGroup *g) {
        if (intmap_remove(t->groups, (uint64_t) g->pid) && g->launched)
                t->n_launched--;
        free(TAKE_PTR(g->told));
        g->n_told = g->n_told_allocated = 0;
}

/* ---- children of ours that are no main process --------------------------------------------------------------------------------------- */

static int parse_children(const char *text, PidList *ret) {
        for (const char *s = text;;) {
                char *end;
                long pid = strtol(s, &end, 10);

                if (end == s)
                        return 0;
                if (pid_list_add(ret, (pid_t) pid) < 0)
                        return -ENOMEM;
                s = end;
        }
}

/* The file is made anew by each read from its beginning; a read gives whole numbers. */
static int children_from_file(int fd, PidList *ret) {
        char buf[CHILDREN_CHUNK + 1];
        off_t at = 0;

        for (;;) {
                ssize_t n = pread(fd, buf, CHILDREN_CHUNK, at);

                if (n <= 0)
                        return n < 0 ? -errno : 0;
                if ((size_t) n == CHILDREN_CHUNK)       /* may be cut: the last number is read again */
                        while (n > 0 && buf[n - 1] != ' ')
                                n--;
                buf[n] = 0;
                at += n;
                if (n == 0 || parse_children(buf, ret) < 0)
                        return -ENOMEM;
        }
}

static int children_from_table(pid_t self, PidList *ret) {
        _cleanup_process_table_ ProcessTable table = { 0 };
        int r = process_table_read(&table);

        for (size_t i = 0; r >= 0 && i < table.n; i++)
                if (table.items[i].parent == self)
                        r = pid_list_add(ret, table.items[i].pid);
        return r;
}

/* Children in no group; for the most part there are none. */
static int unknown_children(ProcessTree *t, PidList *ret) {
        _cleanup_(pid_list_done) PidList all = { 0 };
        int r;

        r = t->children_fd >= 0 ? children_from_file(t->children_fd, &all) : children_from_table(t->self, &all);
        for (size_t i = 0; r >= 0 && i < all.n; i++)
                if (!intmap_get(t->groups, (uint64_t) all.items[i]))
                        r = pid_list_add(ret, all.items[i]);
        return r;
}

typedef enum ChildKind { CHILD_OTHER, CHILD_ORPHAN, CHILD_ENDED } ChildKind;

/* Is it a step's orphan, and still running? An ended one is reaped. */
static ChildKind look_at_child(const ProcessTree *t, pid_t pid, Process *ret) {
        if (process_read(pid, ret) < 0 || ret->parent != t->self || ret->session == t->session)
                return CHILD_OTHER;
        if (!ret->dead)
                return CHILD_ORPHAN;
        (void) waitpid(pid, NULL, WNOHANG);
        return CHILD_ENDED;
}

/* Yes, no, or -EAGAIN: can't be told now. */
static int orphan_is_of(ProcessTree *t, const Process *p, const ProcessGroup *g) {
        _cleanup_free_ char *mark = NULL;
        size_t i = 0;
        uint64_t pid;
        void *other;
        int r;

        if (p->session == g->pid)
                return true;
        if (intmap_get(t->groups, (uint64_t) p->session))
                return false;
        r = process_environment(p->pid, PROCESS_MARK_VARIABLE, &mark);
        if (r == -EAGAIN)
                return r;
        if (r >= 0) {
                if (streq(mark, g->mark))
                        return true;
                while (intmap_iterate(t->groups, &i, &pid, &other))
                        if (streq(mark, ((const ProcessGroup *) other)->mark))
                                return false;
        }
        /* The first process of a machine or container adopts everybody's orphans, not only ours. */
        return g->launched && t->n_launched == 1 && t->self != 1;
}

/* One look at our children; what can't be told counts as left. *ret_ended: some have ended since the list was made, and may have left us
 * theirs. */
static bool look_for_orphans(ProcessTree *t, const ProcessGroup *g, bool *ret_ended) {
        _cleanup_(pid_list_done) PidList children = { 0 };
        bool found = false, ended = false;

        if (unknown_children(t, &children) < 0)
                return true;
        for (size_t i = 0; i < children.n; i++) {
                Process p;

                switch (look_at_child(t, children.items[i], &p)) {
                case CHILD_ORPHAN:
                        found = found || orphan_is_of(t, &p, g) != 0;
                        break;
                case CHILD_ENDED:
                        ended = true;
                        break;
                case CHILD_OTHER:
                        break;
                }
        }
        *ret_ended = ended;
        return found;
}

bool process_tree_left(ProcessTree *t, const ProcessGroup *g) {
        bool ended = true;

        if (g->cgroup && step_cgroup_populated(g->cgroup))
                return true;
        for (unsigned i = 0; i < LOOKS_MAX && ended; i++)
                if (look_for_orphans(t, g, &ended))
                        return true;
        return ended;
}

void process_tree_reap(ProcessTree *t) {
        _cleanup_(pid_list_done) PidList children = { 0 };

        (void) unknown_children(t, &children);
        for (size_t i = 0; i < children.n; i++) {
                Process p;

                (void) look_at_child(t, children.items[i], &p);
        }
}

/* ---- signals ------------------------------------------------------------------------------------------------------------------------- */

static void mark_cgroup(ProcessTable *table, const StepCgroup *cgroup) {
        _cleanup_free_ pid_t *pids = NULL;
        size_t n = 0;

        if (!cgroup || step_cgroup_pids(cgroup, &pids, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                Process *p = process_table_find(table, pids[i]);

                if (p)
                        p->marked = true;
        }
}

static void mark_group(ProcessTree *t, ProcessTable *table, const ProcessGroup *g) {
        for (size_t i = 0; i < table->n; i++) {
                Process *p = table->items + i;

                if (p->session == g->pid || p->pid == g->pid)
                        p->marked = true;
                else if (p->parent == t->self && p->session != t->session && !p->dead && !intmap_get(t->groups, (uint64_t) p->pid))
                        p->marked = orphan_is_of(t, p, g) > 0;
        }
        mark_cgroup(table, g->cgroup);
        process_table_mark_descendants(table);
}

static bool was_told(const ProcessGroup *g, const Process *p) {
        for (size_t i = 0; i < g->n_told; i++)
                if (g->told[i].pid == p->pid && g->told[i].start == p->start)
                        return true;
        return false;
}

/* Without memory for the note it is told twice. */
static void note_told(ProcessGroup *g, const Process *p) {
        if (GREEDY_REALLOC(g->told, g->n_told_allocated, g->n_told + 1))
                g->told[g->n_told++] = (struct ProcessKey) { .pid = p->pid, .start = p->start };
}

/* A stopped process acts on a signal to end only when it goes on. */
static void signal_process(const Process *p, int sig) {
        if (process_signal(p, sig, NULL) >= 0 && sig == SIGTERM)
                (void) process_signal(p, SIGCONT, NULL);
}

void process_tree_signal(ProcessTree *t, ProcessGroup *g, int sig) {
        _cleanup_process_table_ ProcessTable table = { 0 };

        if (sig == SIGKILL && g->cgroup)
                (void) step_cgroup_kill(g->cgroup);
        /* One call for the whole process group, which nothing can fork its way out of. */
        if (kill(-g->pid, sig) < 0 && errno == ESRCH)
                (void) kill(g->pid, sig);               /* it has not made its session yet */
        else if (sig == SIGTERM)
                (void) kill(-g->pid, SIGCONT);
        if (process_table_read(&table) < 0)
                return;
        mark_group(t, &table, g);
        for (size_t i = 0; i < table.n; i++) {
                const Process *p = table.items + i;

                if (!p->marked || p->dead || p->pid == t->self)
                        continue;
                if (p->group != g->pid)
                        signal_process(p, sig);
                if (sig == SIGTERM)
                        note_told(g, p);
        }
}

void process_tree_remind(ProcessTree *t, ProcessGroup *g) {
        _cleanup_(pid_list_done) PidList children = { 0 };

        (void) unknown_children(t, &children);
        for (size_t i = 0; i < children.n; i++) {
                Process p;

                if (look_at_child(t, children.items[i], &p) != CHILD_ORPHAN || was_told(g, &p) || orphan_is_of(t, &p, g) <= 0)
                        continue;
                signal_process(&p, SIGTERM);
                note_told(g, &p);
        }
}

/* ---- after our death ----------------------------------------------------------------------------------------------------------------- */

int boot_id_read(char **ret) {
        _cleanup_free_ char *s = NULL;
        int r;

        r = read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, false, &s, NULL);
        if (r < 0)
                return r;
        s[strcspn(s, "\n")] = 0;
        *ret = TAKE_PTR(s);
        return 0;
}

/* Is this process in the session that the identity names? The number of a session isn't given away while anything is in it. So if a process
 * has that number now, the session is the recorded one exactly if it is the recorded process. */
static bool in_recorded_session(const ProcessTable *table, const Process *p, const Json *identity) {
        const int64_t pid = json_int(json_get(identity, "pid"));
        const uint64_t start = (uint64_t) json_int(json_get(identity, "start"));
        const Process *leader;

        if (pid <= 1 || p->session != (pid_t) pid || p->start < start)
                return false;
        leader = process_table_find(table, (pid_t) pid);
        return !leader || (leader->start >= start && leader->start - start <= SPAWN_START_SLACK);
}

/* Yes, no, or -EAGAIN. */
static int is_left_over(const char *mark_prefix, const ProcessTable *table, const Process *p, const Json *identities,
                        const char *boot_id) {
        _cleanup_free_ char *mark = NULL;
        int r;

        for (size_t i = 0; i < json_length(identities); i++) {
                const Json *identity = json_at(identities, i);

                if (streq_ptr(json_string(json_get(identity, "boot")), boot_id) && in_recorded_session(table, p, identity))
                        return true;
        }
        r = process_environment(p->pid, PROCESS_MARK_VARIABLE, &mark);
        return r == -EAGAIN ? r : r >= 0 && startswith(mark, mark_prefix);
}

/* Marks what is left. Returns how many others there are of which nothing can be told now. */
static unsigned mark_left_over(const char *mark_prefix, ProcessTable *table, const Json *identities, const char *boot_id) {
        const pid_t self = getpid(), session = getsid(0);
        unsigned n_unknown = 0;

        for (size_t i = 0; i < table->n; i++) {
                Process *p = table->items + i;
                int r;

                if (p->dead || p->kernel || p->pid == 1 || p->pid == self || p->session == session)
                        continue;
                r = is_left_over(mark_prefix, table, p, identities, boot_id);
                p->marked = r > 0;
                n_unknown += r < 0;
        }
        process_table_mark_descendants(table);
        return n_unknown;
}

/* Kills what is left. Fills `pidfds` up to WAIT_BATCH. Returns how many there are, those included of which nothing can be told now. */
static int kill_left_over(const char *mark_prefix, const Json *identities, const char *boot_id, struct pollfd *pidfds,
                          unsigned *ret_n_pidfds) {
        _cleanup_process_table_ ProcessTable table = { 0 };
        unsigned n, n_pidfds = 0;
        int r;

        r = process_table_read(&table);
        if (r < 0)
                return r;
        n = mark_left_over(mark_prefix, &table, identities, boot_id);
        for (size_t i = 0; i < table.n; i++) {
                const Process *p = table.items + i;
                int fd = -1;

                if (!p->marked || p->dead || p->pid == getpid() || process_signal(p, SIGKILL, &fd) == -ESRCH)
                        continue;
                n++;
                if (fd >= 0 && n_pidfds < WAIT_BATCH)
                        pidfds[n_pidfds++] = (struct pollfd) { .fd = fd, .events = POLLIN };
                else
                        safe_close(fd);
        }
        *ret_n_pidfds = n_pidfds;
        return (int) n;
}

static void wait_for(struct pollfd *pidfds, unsigned n) {
        const usec_t until = usec_add(now_usec(CLOCK_MONOTONIC), WAIT_ROUND_MSEC * USEC_PER_MSEC);

        for (unsigned left = n; left > 0;) {
                const usec_t now = now_usec(CLOCK_MONOTONIC);

                if (now >= until || (poll(pidfds, n, (int) ((until - now) / USEC_PER_MSEC) + 1) < 0 && errno != EINTR))
                        break;
                left = 0;
                for (unsigned i = 0; i < n; i++)
                        if (pidfds[i].fd >= 0 && (pidfds[i].revents & POLLIN))
                                pidfds[i].fd = safe_close(pidfds[i].fd);
                        else if (pidfds[i].fd >= 0)
                                left++;
        }
        for (unsigned i = 0; i < n; i++)
                pidfds[i].fd = safe_close(pidfds[i].fd);
}

int process_tree_clean_up(const char *mark_prefix, const char *store_id, const CgroupPool *cgroups, const Json *identities,
                          usec_t timeout) {
        const usec_t until = usec_add(now_usec(CLOCK_MONOTONIC), timeout);
        _cleanup_free_ struct pollfd *pidfds = calloc(WAIT_BATCH, sizeof(*pidfds));
        _cleanup_free_ char *boot_id = NULL;
        unsigned n_clean = 0;
        int r;

        if (!pidfds)
                return -ENOMEM;
        r = boot_id_read(&boot_id);
        if (r < 0)
                return r;
        for (;;) {
                unsigned n_pidfds = 0, n_groups = cgroup_kill_left(cgroups, store_id, identities);

                r = kill_left_over(mark_prefix, identities, boot_id, pidfds, &n_pidfds);
                if (r < 0)
                        return r;
                n_clean = r == 0 && n_groups == 0 ? n_clean + 1 : 0;
                /* One that forks and ends between the listing of the pids and the look at it is not seen, and nor is its child. */
                if (n_clean >= (json_length(identities) > 0 ? CLEAN_LOOKS : 1))
                        return 0;
                if (n_clean > 0)
                        continue;
                wait_for(pidfds, n_pidfds);
                if (n_pidfds == 0)
                        (void) poll(NULL, 0, WAIT_SHORT_MSEC);
                if (now_usec(CLOCK_MONOTONIC) >= until)
                        return -EBUSY;
        }
}
