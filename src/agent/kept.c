/* An agent that is killed leaves its notifications on the screen, with buttons that nobody answers to. The next one has to know their
 * numbers to put its own in their place and to close those that were answered meanwhile. Numbers are those of one server on one bus: the
 * file is named after the bus, and says which server.
 *
 * The file is somebody's word like any other. All that it can do is to have notifications replaced or closed, and only where it is read
 * whole and everything in it is what it should be. Where it can't be written we do without: then a killed agent's notifications stay. */
#include "kept.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd-util.h"
#include "json.h"

#define MODE 0600

void kept_done(Kept *k) {
        for (size_t i = 0; i < k->n; i++)
                free(k->notes[i].key);
        free(k->notes);
        free(k->server);
        *k = (Kept) {};
}

int kept_add(Kept *k, const char *key, uint32_t id) {
        if (strnlen(key, KEPT_KEY_MAX + 1) > KEPT_KEY_MAX)
                return -E2BIG;
        if (k->n >= KEPT_MAX)
                return -ENOSPC;
        char *copy = strdup(key);
        if (!copy || !GREEDY_REALLOC(k->notes, k->allocated, k->n + 1)) {
                free(copy);
                return -ENOMEM;
        }
        k->notes[k->n++] = (KeptNote) {.key = copy, .id = id};
        return 0;
}

uint32_t kept_take(Kept *k, const char *key) {
        for (size_t i = 0; i < k->n; i++)
                if (streq(k->notes[i].key, key)) {
                        uint32_t id = k->notes[i].id;
                        free(k->notes[i].key);
                        k->notes[i] = k->notes[--k->n];
                        return id;
                }
        return 0;
}

static int open_directory(const char *path) {
        struct stat st;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        return st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH) ? -EPERM : TAKE_FD(fd);
}

/* ---- {"server": ":1.5", "notes": [{"key": "…", "id": 7}, …]} ---- */

static int take_note(Kept *k, const Json *j) {
        const char *key = json_string(json_get(j, "key"));
        const Json *id = json_get(j, "id");
        if (!key || json_type(id) != JSON_INT || json_int(id) <= 0 || json_int(id) > (int64_t) UINT32_MAX)
                return -EBADMSG;
        return kept_add(k, key, (uint32_t) json_int(id));
}

static int parse(const char *text, size_t n, Kept *ret) {
        _cleanup_json_ Json *j = NULL;
        _cleanup_kept_ Kept k = {};
        int r = json_parse(text, n, &j);
        const char *server = json_string(json_get(j, "server"));
        const Json *notes = json_get(j, "notes");
        if (r == -ENOMEM)
                return r;
        if (r < 0 || !server || json_type(notes) != JSON_ARRAY)
                return -EBADMSG;
        k.server = strdup(server);
        if (!k.server)
                return -ENOMEM;
        for (size_t i = 0; i < json_length(notes); i++) {
                r = take_note(&k, json_at(notes, i));
                if (r < 0)
                        return r == -ENOMEM ? r : -EBADMSG;
        }
        *ret = k;
        k = (Kept) {};
        return 0;
}

int kept_read(const char *directory, const char *name, Kept *ret) {
        _cleanup_close_ int fd = open_directory(directory);
        _cleanup_free_ char *text = NULL;
        size_t n;
        if (fd < 0)
                return fd;
        int r = read_file(fd, name, KEPT_SIZE_MAX, true, &text, &n);
        return r < 0 ? r : parse(text, n, ret);
}

static int format(const Kept *k, char **ret) {
        _cleanup_json_ Json *j = json_new_object();
        Json *notes = json_new_array();
        int r = j && notes ? json_set_string(j, "server", k->server) : -ENOMEM;
        for (size_t i = 0; r >= 0 && i < k->n; i++) {
                Json *note = json_new_object();
                r = note ? json_set_string(note, "key", k->notes[i].key) : -ENOMEM;
                if (r >= 0)
                        r = json_set_uint(note, "id", k->notes[i].id);
                if (r >= 0)
                        r = json_append(notes, TAKE_PTR(note));
                json_unref(note);
        }
        if (r >= 0)
                r = json_set(j, "notes", TAKE_PTR(notes));
        json_unref(notes);
        if (r < 0)
                return r;
        *ret = json_to_string(j, false);
        return *ret ? 0 : -ENOMEM;
}

int kept_write(const char *directory, const char *name, const Kept *k) {
        _cleanup_close_ int fd = open_directory(directory);
        _cleanup_free_ char *text = NULL;
        if (fd < 0)
                return fd;
        if (k->n == 0)
                return unlinkat(fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
        int r = format(k, &text);
        return r < 0 ? r : write_file_atomic(fd, name, text, strlen(text), MODE);
}
