/* The file has a line for each request that the command took: run, when it was opened, activity. A line is written behind the others when
 * the command has ended well, without waiting for the disk, and the request is gone from memory when it is answered. So it costs the engine
 * nothing, kill -9 loses nothing, and after a power cut, which may lose the last lines, some people are told twice. Lines of requests that
 * are gone stay until they are the larger part of the file; then it is written anew, beside the old one, which it replaces. Whatever makes
 * no sense in it is passed over: what is not known to be told is told.
 *
 * There is an entry for each request that is open, and the store has more of each of them than we: they have no limit of their own. */
#include "told.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fd-util.h"
#include "hashmap.h"
#include "i18n.h"
#include "log.h"
#include "strbuf.h"

#define ACTIVITY_MAX 64u                                /* characters of its name, as the runbook allows them */
#define KEY_SIZE (sizeof "4294967295/" + ACTIVITY_MAX)

typedef struct Entry {
        usec_t opened_at;
        ToldState state;
        bool kept;
        uint32_t run;
        const char *activity;                           /* in the key */
        char key[];
} Entry;

struct Told {
        char *path, *new_path;
        Hashmap *entries;                               /* an activity asks one thing at a time */
        int fd;                                         /* to append; -1: not opened yet */
        size_t n_taken, n_lines;                        /* entries that have a line, and lines */
        bool broken;                                    /* the file's end: it is written anew first */
        bool said;                                      /* that it can't be written */
};

/* ---- entries ---- */

static const char *make_key(char buffer[static KEY_SIZE], uint32_t run, const char *activity) {
        return snprintf(buffer, KEY_SIZE, "%" PRIu32 "/%s", run, activity) < (int) KEY_SIZE ? buffer : NULL;
}

static Entry *find(const Told *t, uint32_t run, const char *activity) {
        char buffer[KEY_SIZE];
        const char *key = make_key(buffer, run, activity);

        return key ? hashmap_get(t->entries, key) : NULL;
}

static void drop(Told *t, Entry *e) {
        (void) hashmap_remove(t->entries, e->key);
        t->n_taken -= e->state == TOLD_TAKEN;
        free(e);
}

static Entry *add(Told *t, uint32_t run, const char *activity) {
        char buffer[KEY_SIZE];
        const char *key = make_key(buffer, run, activity);
        size_t size = key ? strlen(key) + 1 : 0;
        Entry *e = key ? calloc(1, sizeof *e + size) : NULL;

        if (!e)
                return NULL;
        memcpy(e->key, key, size);
        e->run = run;
        e->activity = strchr(e->key, '/') + 1;
        if (hashmap_put(t->entries, e->key, e) < 0) {
                free(e);
                return NULL;
        }
        return e;
}

static Entry *note(Told *t, uint32_t run, const char *activity, usec_t opened_at, ToldState state) {
        Entry *e = find(t, run, activity);

        if (!e)
                e = add(t, run, activity);
        if (!e)
                return NULL;
        t->n_taken += (size_t) (state == TOLD_TAKEN) - (size_t) (e->state == TOLD_TAKEN);
        e->opened_at = opened_at;
        e->state = state;
        return e;
}

/* ---- the file ---- */

static bool parse_number(const char **p, uint64_t max, char end, uint64_t *ret) {
        uint64_t n = 0;
        const char *s = *p;

        for (; *s >= '0' && *s <= '9'; s++) {
                if (n > (max - (uint64_t) (*s - '0')) / 10)
                        return false;
                n = n * 10 + (uint64_t) (*s - '0');
        }
        if (s == *p || *s != end)
                return false;
        *p = s + 1;
        *ret = n;
        return true;
}

/* "12 1700000000000000 sign-off" */
static int read_line(Told *t, const char *line) {
        uint64_t run, opened_at;

        if (!parse_number(&line, UINT32_MAX, ' ', &run) || !parse_number(&line, UINT64_MAX, ' ', &opened_at) || isempty(line) ||
            strlen(line) > ACTIVITY_MAX || strpbrk(line, "/ "))
                return 0;
        return note(t, (uint32_t) run, line, opened_at, TOLD_TAKEN) ? 0 : -ENOMEM;
}

static int read_lines(Told *t, char *text, size_t size) {
        int r = 0;

        for (char *line = text, *end; r >= 0 && line < text + size; line = end + 1) {
                end = memchr(line, '\n', (size_t) (text + size - line));
                t->n_lines++;
                if (!end) {
                        t->broken = true;
                        break;
                }
                *end = 0;
                r = read_line(t, line);
        }
        return r;
}

static int read_entries(Told *t) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = read_file(AT_FDCWD, t->path, TOLD_FILE_MAX, true, &text, &size);

        if (r == -ENOENT)
                return 0;
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                t->broken = true;
                log_warning_errno(r, _("Which requests NotifyCommand= was told of can't be read from %s, so it is told of all again: %m"),
                                  t->path);
                return 0;
        }
        return read_lines(t, text, size);
}

static void append_line(StrBuf *b, const Entry *e) {
        strbuf_appendf(b, "%" PRIu32 " %" PRIu64 " %s\n", e->run, (uint64_t) e->opened_at, e->activity);
}

static int open_file(const char *path, int flags) {
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | flags, 0600);

        return fd < 0 ? -errno : fd;
}

static int write_anew(Told *t) {
        _cleanup_strbuf_ StrBuf b = { 0 };
        _cleanup_close_ int fd = -1;
        _cleanup_free_ char *text = NULL;
        void *value;
        int r;

        for (size_t i = 0; hashmap_iterate(t->entries, &i, NULL, &value);)
                if (((Entry *) value)->state == TOLD_TAKEN)
                        append_line(&b, value);
        text = strbuf_take(&b);
        if (!text)
                return -ENOMEM;
        fd = open_file(t->new_path, O_TRUNC);
        if (fd < 0)
                return fd;
        r = write_all(fd, text, strlen(text));
        if (r >= 0 && rename(t->new_path, t->path) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlink(t->new_path);
                return r;
        }
        safe_close(t->fd);
        t->fd = TAKE_FD(fd);
        t->n_lines = t->n_taken;
        t->broken = false;
        return 0;
}

static int append(Told *t, const Entry *e) {
        _cleanup_strbuf_ StrBuf b = { 0 };
        _cleanup_free_ char *text = NULL;
        int r;

        append_line(&b, e);
        text = strbuf_take(&b);
        if (!text)
                return -ENOMEM;
        if (t->fd < 0 && (t->fd = open_file(t->path, 0)) < 0) {
                r = t->fd;
                t->fd = -1;
                return r;
        }
        r = write_all(t->fd, text, strlen(text));
        t->broken = r < 0;                              /* a part may stand there */
        t->n_lines++;
        return r;
}

static void write_entry(Told *t, const Entry *e) {
        bool anew = t->broken || t->n_lines >= 2 * t->n_taken + TOLD_LINES_SLACK;
        int r = anew ? write_anew(t) : append(t, e);

        if (r < 0 && !t->said)
                log_warning_errno(r, _("That NotifyCommand= was told of a request can't be noted in %s, so it is told again after a restart: "
                                       "%m"), t->path);
        t->said = r < 0;
}

/* ---- all ---- */

int told_open(const char *directory, Told **ret) {
        _cleanup_(told_freep) Told *t = calloc(1, sizeof *t);
        int r;

        if (!t)
                return -ENOMEM;
        t->fd = -1;
        t->path = path_join(directory, TOLD_FILE);
        t->new_path = path_join(directory, TOLD_FILE ".new");
        t->entries = hashmap_new();
        if (!t->path || !t->new_path || !t->entries)
                return -ENOMEM;
        r = read_entries(t);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

Told *told_free(Told *t) {
        void *value;

        if (!t)
                return NULL;
        for (size_t i = 0; t->entries && hashmap_iterate(t->entries, &i, NULL, &value);)
                drop(t, value);
        hashmap_free(t->entries);
        safe_close(t->fd);
        free(t->path);
        free(t->new_path);
        free(t);
        return NULL;
}

ToldState told_state(const Told *t, uint32_t run, const char *activity, usec_t opened_at) {
        const Entry *e = find(t, run, activity);

        return e && e->opened_at == opened_at ? e->state : TOLD_NOT;
}

void told_set(Told *t, uint32_t run, const char *activity, usec_t opened_at, ToldState state) {
        const Entry *e = note(t, run, activity, opened_at, state);

        if (e && state == TOLD_TAKEN)
                write_entry(t, e);
}

void told_forget(Told *t, uint32_t run, const char *activity) {
        Entry *e = find(t, run, activity);

        if (e)
                drop(t, e);
}

void told_forget_given_up(Told *t) {
        void *value;

        for (size_t i = 0; hashmap_iterate(t->entries, &i, NULL, &value);)
                if (((Entry *) value)->state == TOLD_GIVEN_UP)
                        drop(t, value);
}

void told_keep(Told *t, uint32_t run, const char *activity, usec_t opened_at) {
        Entry *e = find(t, run, activity);

        if (e && e->opened_at == opened_at)
                e->kept = true;
}

void told_forget_others(Told *t) {
        void *value;

        for (size_t i = 0; hashmap_iterate(t->entries, &i, NULL, &value);) {
                Entry *e = value;

                if (!e->kept)
                        drop(t, e);
        }
}
