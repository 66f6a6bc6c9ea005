/* Where steps find their things.
 *
 *      work/N/workspace      the run's own directory       work/N/tmp   its TMPDIR
 *      work/N/trigger.json   what it was started with
 *      logs/N/…              logs of attempts              step/…       what steps hand back
 *
 * The state directory and work/ may be passed through by everybody, as steps of other users have their workspaces there; the rest is ours
 * alone. A file in step/ is made by the step that has something to say, not by us, since making a file costs as much as a commit. What a
 * step made there is hostile: it may be a link, a pipe, a directory, or huge. */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fd-util.h"
#include "step-files.h"

DEFINE_CLEANUP(DIR *, closedir)

char *exec_workspace_path(const char *state_directory, uint32_t run) {
        return xasprintf("%s/work/%" PRIu32 "/workspace", state_directory, run);
}

char *step_file_prefix(const char *state_directory, const char *store_id) {
        return xasprintf("%s/step/%s-", state_directory, store_id);
}

char *step_file_name(const char *store_id, const StepCommand *c, const char *suffix) {
        return xasprintf("%s-%" PRIu32 "-%s-a%" PRIu32 "-s%s.%s", store_id, c->run, c->activity, c->attempt, c->step_key, suffix);
}

bool step_name_is_safe(const char *name) {
        return !isempty(name) && name[0] != '.' && !strchr(name, '/') && strlen(name) <= 64;
}

static int make_directory(const char *state_directory, const char *name, mode_t mode, int *ret_fd) {
        _cleanup_free_ char *path = path_join(state_directory, name);
        int fd;

        if (!path)
                return -ENOMEM;
        if (mkdir(path, mode) >= 0) {
                if (chmod(path, mode) < 0)              /* whatever our umask is */
                        return -errno;
        } else if (errno != EEXIST)
                return -errno;
        if (!ret_fd)
                return 0;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

int step_directories_make(const char *state_directory, int *ret_logs_fd, int *ret_step_fd) {
        _cleanup_close_ int logs_fd = -1, step_fd = -1;
        int r;

        r = mkdir_parents(state_directory, 0711);
        if (r >= 0)
                r = make_directory(state_directory, "work", 0711, NULL);
        if (r >= 0)
                r = make_directory(state_directory, "logs", 0700, &logs_fd);
        if (r >= 0)
                r = make_directory(state_directory, "step", 0700, &step_fd);
        if (r < 0)
                return r;
        *ret_logs_fd = TAKE_FD(logs_fd);
        *ret_step_fd = TAKE_FD(step_fd);
        return 0;
}

int exec_make_workspace(const char *state_directory, uint32_t run) {
        static const char *const parts[] = { "", "/workspace", "/tmp" };
        int r;

        r = mkdir_parents(state_directory, 0711);
        if (r >= 0)
                r = make_directory(state_directory, "work", 0711, NULL);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(parts); i++) {
                _cleanup_free_ char *name = xasprintf("work/%" PRIu32 "%s", run, parts[i]);

                r = name ? make_directory(state_directory, name, 0700, NULL) : -ENOMEM;
        }
        return r;
}

int exec_write_trigger(const char *state_directory, uint32_t run, const Json *payload) {
        _cleanup_free_ char *path = xasprintf("%s/work/%" PRIu32 "/trigger.json", state_directory, run);
        _cleanup_free_ char *text = json_to_string(payload, false);

        return path && text ? write_file_atomic(AT_FDCWD, path, text, strlen(text), 0600) : -ENOMEM;
}

int step_file_take(int step_fd, const char *name, size_t max, char **ret, size_t *ret_n) {
        int r;

        r = read_file(step_fd, name, max, true, ret, ret_n);
        if (r == -ENOENT)
                return 0;
        step_file_remove(step_fd, name);
        if (r == -ELOOP || r == -EISDIR || r == -ENXIO) /* ENXIO: a socket */
                return -EBADFD;
        return r < 0 ? r : 1;
}

void step_file_remove(int step_fd, const char *name) {
        if (unlinkat(step_fd, name, 0) < 0 && errno == EISDIR)
                (void) remove_tree(step_fd, name);
}

/* Whether "STORE-RUN-…" is of this store. */
static bool file_is_of(const char *name, const char *store_id) {
        const char *dash = strchr(name, '-');

        return dash && strncmp(name, store_id, (size_t) (dash - name)) == 0 && store_id[dash - name] == 0;
}

void step_files_remove_all(int step_fd, const char *store_id) {
        _cleanup_(closedirp) DIR *d = NULL;
        int copy = openat(step_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent *e;

        if (copy < 0)
                return;
        d = fdopendir(copy);
        if (!d) {
                safe_close(copy);
                return;
        }
        while ((e = readdir(d)))
                if (file_is_of(e->d_name, store_id))
                        step_file_remove(step_fd, e->d_name);
}

/* Without a name there is nothing to clean up after a crash. */
int step_capture_open(int step_fd, int *ret) {
        static const char name[] = "capture";
        int fd = openat(step_fd, ".", O_RDWR | O_TMPFILE | O_APPEND | O_CLOEXEC, 0600);

        if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
                step_file_remove(step_fd, name);
                fd = openat(step_fd, name, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd >= 0)
                        step_file_remove(step_fd, name);
        }
        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}
