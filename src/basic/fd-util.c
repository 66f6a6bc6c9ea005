/* Files and descriptors. Directories that steps write to are hostile ground: a name in them may be a link, a pipe, a mount or a tree a
 * hundred thousand levels deep, and may change while it is looked at. So what is opened is checked through the descriptor, removal never
 * follows a link or enters a mount, and its depth (hence the number of open descriptors) is bounded. */
#include "fd-util.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define READ_CHUNK 65536u
#define REMOVE_DEPTH_MAX 64u                            /* deeper directories are moved up before they are emptied */

DEFINE_CLEANUP(DIR *, closedir)

int read_fd(int fd, size_t max, char **ret, size_t *ret_size) {
        _cleanup_free_ char *buf = NULL;
        size_t n = 0, allocated = 0;

        for (;;) {
                /* One byte more than max is asked for, to tell a file that is too large from one that just fits. */
                size_t want = MIN((size_t) READ_CHUNK, max - n + (max < SIZE_MAX));
                if (n > SIZE_MAX - want - 1 || !GREEDY_REALLOC(buf, allocated, n + want + 1))
                        return -ENOMEM;
                ssize_t k = read(fd, buf + n, want);
                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (k == 0)
                        break;
                n += (size_t) k;
                if (n > max)
                        return -EFBIG;
        }

        buf[n] = 0;
        *ret = TAKE_PTR(buf);
        if (ret_size)
                *ret_size = n;
        return 0;
}

int open_regular(int dir_fd, const char *path, int flags, mode_t mode) {
        _cleanup_close_ int fd = openat(dir_fd, path, flags | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | O_NONBLOCK, mode);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADFD;
        if (fcntl(fd, F_SETFL, flags & O_APPEND) < 0)   /* without O_NONBLOCK, which children would inherit */
                return -errno;
        return TAKE_FD(fd);
}

int read_file(int dir_fd, const char *path, size_t max, bool nofollow, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        /* With nofollow the directory isn't trusted, and a pipe in it must not make the open wait for a writer. */
        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (nofollow ? O_NOFOLLOW | O_NONBLOCK : 0));
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (nofollow && !S_ISREG(st.st_mode))
                return -EBADFD;
        if (S_ISREG(st.st_mode) && (uint64_t) st.st_size > max)
                return -EFBIG;
        return read_fd(fd, max, ret, ret_size);
}

int write_all(int fd, const void *data, size_t size) {
        const char *p = data;
        while (size > 0) {
                ssize_t k = write(fd, p, size);
                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                p += k;
                size -= (size_t) k;
        }
        return 0;
}

/* "dir/.#name.RANDOM" beside "dir/name". */
static char *temporary_name(const char *path) {
        uint64_t id;
        const char *slash = strrchr(path, '/');
        int dir_length = slash ? (int) (slash + 1 - path) : 0;

        if (getrandom(&id, sizeof(id), 0) != (ssize_t) sizeof(id))
                return NULL;
        return xasprintf("%.*s.#%s.%016" PRIx64, dir_length, path, path + dir_length, id);
}

static int sync_directory_of(int dir_fd, const char *path) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *dir = slash ? strndup(path, (size_t) (slash + 1 - path)) : strdup(".");
        if (!dir)
                return -ENOMEM;
        _cleanup_close_ int fd = openat(dir_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return fsync(fd) < 0 ? -errno : 0;
}

static int write_and_sync(int fd, const void *data, size_t size, mode_t mode) {
        if (fchmod(fd, mode) < 0)       /* the umask has no say */
                return -errno;
        int r = write_all(fd, data, size);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

int write_file_atomic(int dir_fd, const char *path, const void *data, size_t size, mode_t mode) {
        _cleanup_free_ char *temporary = temporary_name(path);
        if (!temporary)
                return -ENOMEM;
        _cleanup_close_ int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
        if (fd < 0)
                return -errno;

        int r = write_and_sync(fd, data, size, mode);
        if (r >= 0 && renameat(dir_fd, temporary, dir_fd, path) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(dir_fd, temporary, 0);
                return r;
        }
        return sync_directory_of(dir_fd, path);
}

static int make_directory(const char *path, mode_t mode) {
        struct stat st;
        if (mkdir(path, mode) >= 0)
                return chmod(path, mode) < 0 ? -errno : 0;      /* the umask has no say */
        if (errno != EEXIST)
                return -errno;
        if (stat(path, &st) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int mkdir_parents(const char *path, mode_t mode) {
        _cleanup_free_ char *copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        if (!*copy)
                return -ENOENT;

        for (char *p = copy + 1; *p; p++) {
                if (*p != '/' || p[-1] == '/')
                        continue;
                *p = 0;
                int r = make_directory(copy, mode);
                if (r < 0)
                        return r;
                *p = '/';
        }
        return make_directory(copy, mode);
}

/* Opens a directory that is no link and no mount. -EXDEV: it is a mount. */
static int open_child_directory(int dir_fd, const char *name) {
        struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
                .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
        };
        int fd = (int) syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
        if (fd >= 0)
                return fd;
        if (errno != ENOSYS && errno != EPERM)
                return -errno;

        /* A container that doesn't let openat2 through: mounts of other file systems can still be told by their device. */
        struct stat parent, st;
        fd = openat(dir_fd, name, (int) how.flags);
        if (fd < 0)
                return -errno;
        if (fstat(dir_fd, &parent) < 0 || fstat(fd, &st) < 0 || parent.st_dev != st.st_dev) {
                safe_close(fd);
                return -EXDEV;
        }
        return fd;
}

/* As open_child_directory, and gives itself the rights to empty it: programs leave directories behind that even their owner can't enter. */
static int open_to_empty(int dir_fd, const char *name) {
        struct stat st;
        int fd = open_child_directory(dir_fd, name);
        if (fd == -EACCES) {
                char proc[sizeof("/proc/self/fd/") + 10];
                _cleanup_close_ int path_fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (path_fd < 0)
                        return -errno;
                (void) snprintf(proc, sizeof(proc), "/proc/self/fd/%i", path_fd);
                if (chmod(proc, 0700) < 0)
                        return -EACCES;
                fd = open_child_directory(dir_fd, name);
        }
        if (fd >= 0 && fstat(fd, &st) >= 0 && (st.st_mode & 0700) != 0700)
                (void) fchmod(fd, 0700);
        return fd;
}

typedef struct Removal {
        int top_fd;                                     /* where directories that lie too deep are moved to */
        uint64_t next_name;                             /* starts at random: the tree's owner must not be able to guess names */
        uint64_t n_moved;
        int error;                                      /* the first */
} Removal;

static void removal_failed(Removal *rm, int error) {
        if (rm->error == 0 && error != -ENOENT)
                rm->error = error;
}

static void move_up(Removal *rm, int dir_fd, const char *name) {
        char new_name[sizeof("..moved-") + 20];
        (void) snprintf(new_name, sizeof(new_name), "..moved-%" PRIu64, rm->next_name++);
        rm->n_moved++;
        if (renameat2(dir_fd, name, rm->top_fd, new_name, RENAME_NOREPLACE) < 0)
                removal_failed(rm, -errno);
}

static void remove_entry(Removal *rm, int dir_fd, const char *name, unsigned depth);

static void empty_directory(Removal *rm, int fd, unsigned depth) {
        _cleanup_(closedirp) DIR *dir = fdopendir(fd);
        if (!dir) {
                removal_failed(rm, -errno);
                safe_close(fd);
                return;
        }
        for (;;) {
                errno = 0;
                struct dirent *e = readdir(dir);
                if (!e) {
                        removal_failed(rm, -errno);
                        return;
                }
                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        remove_entry(rm, dirfd(dir), e->d_name, depth);
        }
}

static void remove_entry(Removal *rm, int dir_fd, const char *name, unsigned depth) {
        if (unlinkat(dir_fd, name, 0) >= 0)
                return;
        int r = -errno;
        if (unlinkat(dir_fd, name, AT_REMOVEDIR) >= 0)
                return;
        if (errno == ENOTDIR || errno == ENOENT) {
                removal_failed(rm, r);
                return;
        }
        if (depth >= REMOVE_DEPTH_MAX) {
                move_up(rm, dir_fd, name);
                return;
        }
        int fd = open_to_empty(dir_fd, name);
        if (fd < 0) {
                removal_failed(rm, fd);
                return;
        }
        empty_directory(rm, fd, depth + 1);
        if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY && errno != EEXIST)
                removal_failed(rm, -errno);
}

int remove_tree(int dir_fd, const char *path) {
        struct stat st;
        if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISDIR(st.st_mode))
                return unlinkat(dir_fd, path, 0) < 0 && errno != ENOENT ? -errno : 0;

        _cleanup_close_ int top = open_to_empty(dir_fd, path);
        if (top < 0)
                return top == -ENOENT ? 0 : top;
        Removal rm = {.top_fd = top};
        if (getrandom(&rm.next_name, sizeof(rm.next_name), 0) < 0)
                return -errno;
        for (;;) {
                rm.n_moved = 0;
                int fd = fcntl(top, F_DUPFD_CLOEXEC, 3);
                if (fd < 0)
                        return -errno;
                if (lseek(fd, 0, SEEK_SET) < 0) {       /* the copy shares the position of the last pass */
                        safe_close(fd);
                        return -errno;
                }
                empty_directory(&rm, fd, 0);
                if (rm.error < 0)
                        return rm.error;
                if (unlinkat(dir_fd, path, AT_REMOVEDIR) >= 0 || errno == ENOENT)
                        return 0;
                if (rm.n_moved == 0)
                        return -errno;
        }
}

char *path_join(const char *a, const char *b) {
        if (isempty(a))
                return strdup(strempty(b));
        if (isempty(b))
                return strdup(a);

        size_t n = strlen(a);
        while (n > 0 && a[n - 1] == '/')
                n--;
        b += strspn(b, "/");
        return xasprintf("%.*s/%s", (int) n, a, b);
}

char *xasprintf(const char *fmt, ...) {
        char *s;
        va_list ap;
        va_start(ap, fmt);
        int n = vasprintf(&s, fmt, ap);
        va_end(ap);
        return n < 0 ? NULL : s;
}

bool fd_is_journal(int fd) {
        const char *stream = getenv("JOURNAL_STREAM");
        struct stat st;
        if (isempty(stream) || fstat(fd, &st) < 0)
                return false;
        _cleanup_free_ char *own = xasprintf("%" PRIu64 ":%" PRIu64, (uint64_t) st.st_dev, (uint64_t) st.st_ino);
        return own && streq(own, stream);
}
