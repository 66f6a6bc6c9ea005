/* Logs of attempts.
 *
 * A step's processes write to the file by themselves, with O_APPEND; we never see what they write. Making a file costs as much as a commit,
 * and several times that where many were removed a moment ago, so the steps of an attempt share one, which stays open between them, and the
 * next one is made ahead, under a name that no run has. A step's part is bounded by freeing its oldest blocks (punching a
 * hole), which a process that is just appending does not notice; offsets stay valid. Readers therefore begin where data begins.
 *
 * Only whole blocks can be freed, so a few bytes of the step's beginning may stay in front of the hole: readers skip them, as the hole
 * reads as zeros. */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/stat.h>

#include "executor.h"
#include "fd-util.h"
#include "hashmap.h"
#include "list.h"
#include "step-log.h"
#include "utf8.h"

#define COPY_CHUNK (64u * 1024u)
#define BLOCK_MAX (16u * 1024u * 1024u)
#define HOLES_MAX 1000u                                 /* looked for; ours is one */
#define LOG_FLAGS (O_WRONLY | O_CREAT | O_APPEND)
#define AHEAD_NAME "next.log"

struct StepLog {
        LIST_FIELDS(StepLog, unused);
        char *path;                                     /* below the directory of logs */
        int fd;
        unsigned n_users;
};

struct LogCache {
        int logs_fd;
        int ahead_fd;                                   /* of the file made ahead, or -1 */
        Hashmap *by_path;
        QUEUE_HEAD(StepLog) unused;                     /* the first is the longest unused */
        unsigned n_unused;
};

/* ---- which are open ------------------------------------------------------------------------------------------------------------------ */

int log_cache_new(int logs_fd, LogCache **ret) {
        LogCache *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->logs_fd = logs_fd;
        c->ahead_fd = -1;
        c->by_path = hashmap_new();
        if (!c->by_path) {
                free(c);
                return -ENOMEM;
        }
        *ret = c;
        return 0;
}

static void log_free(LogCache *c, StepLog *l) {
        (void) hashmap_remove(c->by_path, l->path);
        safe_close(l->fd);
        free(l->path);
        free(l);
}

static void drop_first_unused(LogCache *c) {
        StepLog *l = c->unused.first;

        QUEUE_REMOVE(unused, &c->unused, l);
        c->n_unused--;
        log_free(c, l);
}

void log_cache_drop_unused(LogCache *c) {
        while (c->unused.first)
                drop_first_unused(c);
        if (c->ahead_fd < 0)
                return;
        c->ahead_fd = safe_close(c->ahead_fd);
        (void) unlinkat(c->logs_fd, AHEAD_NAME, 0);
}

/* One that is there was left when the daemon died. */
void log_cache_make_ahead(LogCache *c) {
        if (c->ahead_fd >= 0)
                return;
        c->ahead_fd = open_regular(c->logs_fd, AHEAD_NAME, LOG_FLAGS | O_EXCL, 0600);
        if (c->ahead_fd == -EEXIST && unlinkat(c->logs_fd, AHEAD_NAME, 0) >= 0)
                c->ahead_fd = open_regular(c->logs_fd, AHEAD_NAME, LOG_FLAGS | O_EXCL, 0600);
}

LogCache *log_cache_free(LogCache *c) {
        if (!c)
                return NULL;
        log_cache_drop_unused(c);
        hashmap_free(c->by_path);
        free(c);
        return NULL;
}

static char *log_name(uint32_t run, const char *activity, uint32_t attempt) {
        return xasprintf("%" PRIu32 "/%s.a%" PRIu32 ".log", run, activity, attempt);
}

/* Something else of its name would get the log's name, and what the step says would be in no file. */
static bool ahead_is_there(const LogCache *c) {
        struct stat made, there;

        return fstat(c->ahead_fd, &made) >= 0 && fstatat(c->logs_fd, AHEAD_NAME, &there, AT_SYMLINK_NOFOLLOW) >= 0 &&
               made.st_ino == there.st_ino && made.st_dev == there.st_dev;
}

/* The file made ahead gets its name only where no other has it. */
static int open_file(LogCache *c, const char *path) {
        if (c->ahead_fd >= 0 && !ahead_is_there(c))
                c->ahead_fd = safe_close(c->ahead_fd);
        if (c->ahead_fd >= 0 && renameat2(c->logs_fd, AHEAD_NAME, c->logs_fd, path, RENAME_NOREPLACE) >= 0)
                return TAKE_FD(c->ahead_fd);
        return open_regular(c->logs_fd, path, LOG_FLAGS, 0600);
}

static int open_log(LogCache *c, const char *path) {
        _cleanup_free_ char *directory = NULL;
        int fd = open_file(c, path);

        if (fd != -ENOENT)
                return fd;
        directory = strndup(path, strcspn(path, "/"));
        if (!directory)
                return -ENOMEM;
        if (mkdirat(c->logs_fd, directory, 0700) < 0 && errno != EEXIST)
                return -errno;
        return open_file(c, path);
}

static int log_new(LogCache *c, char *path, StepLog **ret) {
        StepLog *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->fd = open_log(c, path);
        r = l->fd < 0 ? l->fd : hashmap_put(c->by_path, path, l);
        if (r < 0) {
                safe_close(l->fd);
                free(l);
                return r;
        }
        l->path = path;
        *ret = l;
        return 0;
}

/* A log whose file was removed with its run must not be written to for another one of that name. */
static bool log_is_stale(const StepLog *l) {
        struct stat st;

        return fstat(l->fd, &st) < 0 || st.st_nlink == 0;
}

int log_cache_take(LogCache *c, uint32_t run, const char *activity, uint32_t attempt, StepLog **ret) {
        _cleanup_free_ char *path = log_name(run, activity, attempt);
        StepLog *l;
        int r;

        if (!path)
                return -ENOMEM;
        l = hashmap_get(c->by_path, path);
        if (l && l->n_users == 0) {
                QUEUE_REMOVE(unused, &c->unused, l);
                c->n_unused--;
                if (log_is_stale(l)) {
                        log_free(c, l);
                        l = NULL;
                }
        }
        if (!l) {
                r = log_new(c, path, &l);
                if (r < 0)
                        return r;
                (void) TAKE_PTR(path);
        }
        l->n_users++;
        *ret = l;
        return 0;
}

void log_cache_give_back(LogCache *c, StepLog *l) {
        if (!l || --l->n_users > 0)
                return;
        QUEUE_PUSH(unused, &c->unused, l);
        if (++c->n_unused > LOG_CACHE_UNUSED_MAX)
                drop_first_unused(c);
}

int step_log_fd(const StepLog *l) {
        return l->fd;
}

/* ---- bounds -------------------------------------------------------------------------------------------------------------------------- */

int file_size(int fd, uint64_t *ret) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        *ret = (uint64_t) st.st_size;
        return 0;
}

static uint64_t block_size(const struct stat *st) {
        const uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE), block = (uint64_t) st->st_blksize;

        return block > page && block <= BLOCK_MAX && (block & (block - 1)) == 0 ? block : page;
}

int log_punch(int fd, uint64_t start, uint64_t max, uint64_t *done) {
        uint64_t block, size, from, to;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        size = (uint64_t) st.st_size;
        if (size <= start || size - start <= max)
                return 0;
        block = block_size(&st);
        from = MAX((start + block - 1) / block * block, *done);
        to = (size - max) / block * block;
        if (to <= from)
                return 0;
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) from, (off_t) (to - from)) < 0)
                return -errno;
        *done = to;
        return 0;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------- */

int step_log_data_start(int fd, uint64_t start, uint64_t end, uint64_t *ret) {
        uint64_t at = start;

        for (unsigned i = 0; i < HOLES_MAX && at < end; i++) {
                off_t hole = lseek(fd, (off_t) at, SEEK_HOLE), data;

                if (hole < 0 && errno != ENXIO)
                        return -errno;
                if (hole < 0 || (uint64_t) hole >= end)
                        break;
                data = lseek(fd, hole, SEEK_DATA);
                if (data < 0 && errno != ENXIO)
                        return -errno;
                if (data < 0) {                         /* the file ends in a hole, or just ends */
                        uint64_t size;
                        int r = file_size(fd, &size);

                        if (r < 0)
                                return r;
                        if ((uint64_t) hole < size)
                                at = end;
                        break;
                }
                at = MIN((uint64_t) data, end);
        }
        *ret = at;
        return 0;
}

static int read_range(int fd, uint64_t start, size_t n, char **ret, size_t *ret_n) {
        _cleanup_free_ char *buf = malloc(n + 1);
        size_t done = 0;

        if (!buf)
                return -ENOMEM;
        while (done < n) {
                ssize_t k = pread(fd, buf + done, n - done, (off_t) (start + done));

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                done += (size_t) k;
        }
        *ret = TAKE_PTR(buf);
        *ret_n = done;
        return 0;
}

static bool is_continuation(char c) {
        return ((unsigned char) c & 0xc0) == 0x80;
}

/* Text that began earlier than here: from the next line, if there is one, else from the next character. */
static size_t skip_partial(const char *s, size_t n, bool whole_lines) {
        const char *newline = whole_lines && n > 0 ? memchr(s, '\n', n) : NULL;
        size_t i = 0;

        if (newline && newline + 1 < s + n)
                return (size_t) (newline + 1 - s);
        while (i < n && i < 3 && is_continuation(s[i]))
                i++;
        return i;
}

int log_read_tail(int fd, uint64_t start, uint64_t end, size_t max, bool whole_lines, char **ret) {
        _cleanup_free_ char *raw = NULL, *text = NULL;
        uint64_t size = 0, from = start;
        size_t n = 0, skip = 0, length;
        char before;
        int r;

        r = file_size(fd, &size);
        if (r < 0)
                return r;
        end = MIN(end, size);
        r = step_log_data_start(fd, MIN(start, end), end, &from);
        if (r < 0)
                return r;
        from = MAX(from, end - MIN(end, (uint64_t) max));
        r = read_range(fd, from, (size_t) (end - from), &raw, &n);
        if (r < 0)
                return r;
        if (from > start && !(pread(fd, &before, 1, (off_t) from - 1) == 1 && before == '\n'))
                skip = skip_partial(raw, n, whole_lines);
        text = utf8_make_valid(raw + skip, n - skip, SIZE_MAX);
        if (!text)
                return -ENOMEM;
        /* What was not valid has grown. */
        length = strlen(text);
        if (length > max) {
                skip = length - max;
                memmove(text, text + skip, max + 1);
                skip = skip_partial(text, max, whole_lines);
                memmove(text, text + skip, max + 1 - skip);
        }
        *ret = TAKE_PTR(text);
        return 0;
}

int log_append_file(int to_fd, int from_fd, uint64_t max) {
        _cleanup_free_ char *buf = malloc(COPY_CHUNK);
        uint64_t size, at;
        int r;

        if (!buf)
                return -ENOMEM;
        r = file_size(from_fd, &size);
        if (r < 0)
                return r;
        r = step_log_data_start(from_fd, 0, size, &at);
        if (r < 0)
                return r;
        for (at = MAX(at, size - MIN(size, max)); at < size;) {
                ssize_t n = pread(from_fd, buf, (size_t) MIN(size - at, (uint64_t) COPY_CHUNK), (off_t) at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                r = write_all(to_fd, buf, (size_t) n);
                if (r < 0)
                        return r;
                at += (uint64_t) n;
        }
        return 0;
}

char *exec_log_path(const char *state_directory, uint32_t run, const char *activity, uint32_t attempt) {
        _cleanup_free_ char *name = log_name(run, activity, attempt);

        return name ? xasprintf("%s/logs/%s", state_directory, name) : NULL;
}

int exec_log_tail(const char *state_directory, uint32_t run, const char *activity, uint32_t attempt, uint64_t start, uint64_t end,
                  size_t max, char **ret) {
        _cleanup_free_ char *path = exec_log_path(state_directory, run, activity, attempt);
        _cleanup_close_ int fd = -1;

        if (!path)
                return -ENOMEM;
        fd = open_regular(AT_FDCWD, path, O_RDONLY, 0);
        return fd < 0 ? fd : log_read_tail(fd, start, end, max, true, ret);
}
