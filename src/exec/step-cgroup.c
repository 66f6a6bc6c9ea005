/* Control groups of steps.
 *
 * A group is made only below our own one in the unified hierarchy, and only when that one is ours to divide: the service manager marks it
 * with the attribute user.delegate (or trusted.delegate), and the group of a process of an ordinary user that belongs to that user is
 * theirs anyway. No controller is switched on below it, so our own group may go on holding processes, us among them.
 *
 * Each step gets a new one, as a step may freeze or limit its own; one is made ahead while there is time. Their names hold the store's id:
 * another daemon in the same group, with another store, must not take them for what it left behind. */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "fd-util.h"
#include "step-cgroup.h"

#define DEPTH_MAX 64u                                   /* of groups that a step made below its own; deeper ones stay */
#define PIDS_FILE_MAX (1024u * 1024u)

struct StepCgroup {
        char *path;
        int fd, events_fd;
};

struct CgroupPool {
        char *name_prefix;                              /* "step-STORE-" */
        char *own_path;
        int own_fd;
        uint64_t last_number;
        StepCgroup *ahead;
};

DEFINE_CLEANUP(DIR *, closedir)

static const char *hierarchy_root(void) {
        static const char *const candidates[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs s;

        for (size_t i = 0; i < ELEMENTSOF(candidates); i++)
                if (statfs(candidates[i], &s) >= 0 && s.f_type == CGROUP2_SUPER_MAGIC)
                        return candidates[i];
        return NULL;
}

/* The line "0::PATH" of /proc/self/cgroup. */
static int own_cgroup(char **ret) {
        _cleanup_free_ char *s = NULL;
        int r;

        r = read_file(AT_FDCWD, "/proc/self/cgroup", 64 * 1024, false, &s, NULL);
        if (r < 0)
                return r;
        for (char *line = s, *end; line && *line; line = end) {
                const char *path = startswith(line, "0::/");

                end = strchr(line, '\n');
                if (end)
                        *end++ = 0;
                if (!path)
                        continue;
                if (strstr(path - 1, "/..") || endswith(path, " (deleted)"))
                        return -EOPNOTSUPP;             /* outside of what is mounted here */
                *ret = strdup(path - 1);
                return *ret ? 0 : -ENOMEM;
        }
        return -EOPNOTSUPP;
}

static int open_group(const char *path) {
        const char *root = hierarchy_root();
        _cleanup_free_ char *p = root ? path_join(root, path + 1) : NULL;
        int fd;

        if (!root)
                return -EOPNOTSUPP;
        if (!p)
                return -ENOMEM;
        fd = open(p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static bool is_delegated(int fd) {
        static const char *const attributes[] = { "user.delegate", "trusted.delegate" };
        struct stat st;
        char value;

        for (size_t i = 0; i < ELEMENTSOF(attributes); i++)
                if (fgetxattr(fd, attributes[i], &value, 1) == 1 && value == '1')
                        return true;
        return geteuid() != 0 && fstat(fd, &st) >= 0 && st.st_uid == geteuid();
}

static char *name_prefix(const char *store_id) {
        return xasprintf("step-%s-", store_id);
}

int cgroup_pool_new(const char *store_id, CgroupPool **ret) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -1;
        CgroupPool *p;
        int r;

        r = own_cgroup(&path);
        if (r < 0)
                return r;
        fd = open_group(path);
        if (fd < 0)
                return fd;
        if (!is_delegated(fd))
                return -EOPNOTSUPP;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->name_prefix = name_prefix(store_id);
        if (!p->name_prefix) {
                free(p);
                return -ENOMEM;
        }
        p->own_path = TAKE_PTR(path);
        p->own_fd = TAKE_FD(fd);
        *ret = p;
        return 0;
}

static const char *group_name(const StepCgroup *g) {
        return strrchr(g->path, '/') + 1;
}

static void group_free(StepCgroup *g) {
        safe_close(g->events_fd);
        safe_close(g->fd);
        free(g->path);
        free(g);
}

CgroupPool *cgroup_pool_free(CgroupPool *p) {
        if (!p)
                return NULL;
        cgroup_pool_remove(p, p->ahead);
        safe_close(p->own_fd);
        free(p->own_path);
        free(p->name_prefix);
        free(p);
        return NULL;
}

static int group_new(CgroupPool *p, StepCgroup **ret) {
        StepCgroup *g;
        int r = -ENOMEM;

        g = calloc(1, sizeof(*g));
        if (!g)
                return -ENOMEM;
        g->fd = g->events_fd = -1;
        do {
                free(g->path);
                g->path = xasprintf("%s%s%s%" PRIu64, p->own_path, endswith(p->own_path, "/") ? "" : "/", p->name_prefix, ++p->last_number);
                r = !g->path ? -ENOMEM : mkdirat(p->own_fd, group_name(g), 0755) < 0 ? -errno : 0;
        } while (r == -EEXIST);                         /* one that could not be emptied */
        if (r < 0) {
                group_free(g);
                return r;
        }
        g->fd = openat(p->own_fd, group_name(g), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (g->fd >= 0)
                g->events_fd = openat(g->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        if (g->events_fd < 0) {
                r = -errno;
                (void) unlinkat(p->own_fd, group_name(g), AT_REMOVEDIR);
                group_free(g);
                return r;
        }
        *ret = g;
        return 0;
}

int cgroup_pool_take(CgroupPool *p, StepCgroup **ret) {
        if (!p->ahead)
                return group_new(p, ret);
        *ret = TAKE_PTR(p->ahead);
        return 0;
}

void cgroup_pool_make_ahead(CgroupPool *p) {
        if (!p->ahead)
                (void) group_new(p, &p->ahead);
}

/* A step may have made groups below its own; only when they are gone can its own go. */
static void remove_groups_below(int fd, unsigned depth) {
        _cleanup_(closedirp) DIR *d = NULL;
        int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent *e;

        d = copy >= 0 ? fdopendir(copy) : NULL;
        if (!d) {
                safe_close(copy);
                return;
        }
        while ((e = readdir(d))) {
                _cleanup_close_ int below = -1;

                if (e->d_type != DT_DIR || streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                below = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (below >= 0 && depth < DEPTH_MAX)
                        remove_groups_below(below, depth + 1);
                (void) unlinkat(fd, e->d_name, AT_REMOVEDIR);
        }
}

static void remove_group(int parent_fd, const char *name, int fd) {
        if (unlinkat(parent_fd, name, AT_REMOVEDIR) >= 0 || errno != EBUSY)
                return;
        remove_groups_below(fd, 0);
        (void) unlinkat(parent_fd, name, AT_REMOVEDIR);
}

void cgroup_pool_remove(CgroupPool *p, StepCgroup *g) {
        if (!g)
                return;
        remove_group(p->own_fd, group_name(g), g->fd);
        group_free(g);
}

int step_cgroup_fd(const StepCgroup *g) {
        return g->fd;
}

const char *step_cgroup_path(const StepCgroup *g) {
        return g->path;
}

int cgroup_open_memory_events(void) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int group = -1;
        int r, fd;

        r = own_cgroup(&path);
        if (r < 0)
                return r;
        group = open_group(path);
        if (group < 0)
                return group;
        fd = openat(group, "memory.events", O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static bool events_say_populated(int fd) {
        char buf[256];
        ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

        if (n < 0)
                return errno != ENODEV;                 /* ENODEV: the group is gone */
        buf[n] = 0;
        return strstr(buf, "populated 1");
}

bool step_cgroup_populated(const StepCgroup *g) {
        return events_say_populated(g->events_fd);
}

static int group_kill(int fd) {
        _cleanup_close_ int kill_fd = openat(fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);

        if (kill_fd < 0)
                return errno == ENOENT ? -EOPNOTSUPP : -errno;
        return write_all(kill_fd, "1", 1);
}

int step_cgroup_kill(const StepCgroup *g) {
        return group_kill(g->fd);
}

static int group_pids(int fd, pid_t **ret, size_t *ret_n) {
        _cleanup_free_ char *text = NULL;
        _cleanup_free_ pid_t *pids = NULL;
        size_t n = 0, allocated = 0;
        int r;

        r = read_file(fd, "cgroup.procs", PIDS_FILE_MAX, false, &text, NULL);
        if (r < 0)
                return r;
        for (char *s = text, *end; *s; s = end) {
                long pid = strtol(s, &end, 10);

                if (end == s)
                        break;
                if (pid <= 1)
                        continue;                       /* 0: of another pid namespace */
                if (!GREEDY_REALLOC(pids, allocated, n + 1))
                        return -ENOMEM;
                pids[n++] = (pid_t) pid;
        }
        *ret = TAKE_PTR(pids);
        *ret_n = n;
        return 0;
}

int step_cgroup_pids(const StepCgroup *g, pid_t **ret, size_t *ret_n) {
        return group_pids(g->fd, ret, ret_n);
}

/* Returns whether it still holds processes. */
static bool kill_and_remove(int parent_fd, const char *name) {
        _cleanup_close_ int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_close_ int events_fd = fd >= 0 ? openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC) : -1;

        if (events_fd < 0)
                return false;
        if (events_say_populated(events_fd) && group_kill(fd) == -EOPNOTSUPP) {
                _cleanup_free_ pid_t *pids = NULL;
                size_t n = 0;

                (void) group_pids(fd, &pids, &n);
                for (size_t i = 0; i < n; i++)
                        (void) kill(pids[i], SIGKILL);
        }
        if (events_say_populated(events_fd))
                return true;
        remove_group(parent_fd, name, fd);
        return false;
}

static unsigned kill_in_own(const CgroupPool *p) {
        _cleanup_(closedirp) DIR *d = NULL;
        int copy = openat(p->own_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent *e;
        unsigned n = 0;

        d = copy >= 0 ? fdopendir(copy) : NULL;
        if (!d) {
                safe_close(copy);
                return 0;
        }
        while ((e = readdir(d)))
                if (e->d_type == DT_DIR && startswith(e->d_name, p->name_prefix))
                        n += kill_and_remove(p->own_fd, e->d_name);
        return n;
}

/* A path from the journal: believed only where its last part is a name that this store gives. */
static bool kill_recorded(const char *path, const char *prefix) {
        const char *slash = path ? strrchr(path, '/') : NULL;
        _cleanup_free_ char *parent = NULL;
        _cleanup_close_ int fd = -1;

        if (!slash || path[0] != '/' || strstr(path, "/../") || !startswith(slash + 1, prefix))
                return false;
        parent = strndup(path, MAX((size_t) (slash - path), 1u));
        fd = parent ? open_group(parent) : -ENOMEM;
        return fd >= 0 && kill_and_remove(fd, slash + 1);
}

unsigned cgroup_kill_left(const CgroupPool *p, const char *store_id, const Json *identities) {
        _cleanup_free_ char *prefix = name_prefix(store_id);
        unsigned n = p ? kill_in_own(p) : 0;

        for (size_t i = 0; prefix && i < json_length(identities); i++)
                n += kill_recorded(json_string(json_get(json_at(identities, i), "cgroup")), prefix);
        return n;
}
