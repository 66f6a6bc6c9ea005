/* Where runbooks live. Nothing is watched: each look asks again, and what was parsed is used again while the file's identity (device, inode,
 * size, times) is the same, and that of the directories that were searched for it, in which names come and go. What was changed in the last
 * moments before it was looked at is looked at once more, since two changes within one tick of the clock look alike; a file that says the
 * same is not parsed once more.
 *
 * A name is looked for in one directory after the other; the first that has it decides, even if its file has errors: a broken file must
 * not bring back an older one from behind. */
#include "library.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fd-util.h"
#include "i18n.h"
#include "utf8.h"

#define RACY_SPAN (2 * USEC_PER_SEC)

DEFINE_CLEANUP(DIR *, closedir)

typedef struct FileId {
        dev_t device;
        ino_t inode;
        off_t size;
        struct timespec modified, changed;
        bool exists;
        bool usable;                                    /* false: never the same as another */
} FileId;

typedef struct Cached {
        char *name, *file;
        FileId id;
        TreeFormat format;
        Runbook *runbook;                               /* NULL: it has errors */
        Diagnostics d;
        size_t n_directories;                           /* those that were searched, up to the one that has it */
        FileId directories[];
} Cached;

struct Library {
        char **directories;
        Hashmap *cache;                                 /* name → Cached */
};

static const struct {
        const char *ending;
        TreeFormat format;
} formats[] = {
        { ".yaml", TREE_YAML }, { ".yml", TREE_YAML }, { ".json", TREE_JSON },
};

static Cached *cached_free(Cached *c) {
        if (!c)
                return NULL;
        free(c->name);
        free(c->file);
        runbook_unref(c->runbook);
        diag_done(&c->d);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(Cached *, cached_free)

int library_new(const char *const *directories, Library **ret) {
        _cleanup_(library_freep) Library *l = calloc(1, sizeof(Library));
        size_t n = 0;

        if (!l)
                return -ENOMEM;
        while (directories[n])
                n++;
        l->directories = calloc(n + 1, sizeof(char *));
        l->cache = hashmap_new();
        if (!l->directories || !l->cache)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                if (!(l->directories[i] = strdup(directories[i])))
                        return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

void library_reload(Library *l) {
        size_t i = 0;
        const char *name;
        void *c;

        while (hashmap_iterate(l->cache, &i, &name, &c)) {
                hashmap_remove(l->cache, name);
                cached_free(c);
        }
}

Library *library_free(Library *l) {
        if (!l)
                return NULL;
        library_reload(l);
        hashmap_free(l->cache);
        for (char **d = l->directories; d && *d; d++)
                free(*d);
        free(l->directories);
        free(l);
        return NULL;
}

/* The runbook's name in a file's name, and its format. New string; NULL with *ret_r 0: not a runbook's file. */
static char *name_of_file(const char *file, int *ret_r) {
        char *name = NULL;

        *ret_r = 0;
        if (file[0] == '.')
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
                const char *end = endswith(file, formats[i].ending);
                if (!end || end == file)
                        continue;
                name = strndup(file, end - file);
                *ret_r = name ? 0 : -ENOMEM;
                break;
        }
        return name;
}

static FileId file_id(const struct stat *st) {
        usec_t changed = (usec_t) st->st_ctim.tv_sec * USEC_PER_SEC + (usec_t) st->st_ctim.tv_nsec / 1000;

        return (FileId) {
                .device = st->st_dev, .inode = st->st_ino, .size = st->st_size, .modified = st->st_mtim, .changed = st->st_ctim,
                .exists = true,
                .usable = usec_add(changed, RACY_SPAN) < now_usec(CLOCK_REALTIME),
        };
}

static FileId id_of(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return (FileId) { .usable = errno == ENOENT };
        return file_id(&st);
}

static bool same_time(struct timespec a, struct timespec b) {
        return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_file(const FileId *a, const FileId *b) {
        return a->usable && b->usable && a->exists == b->exists && a->device == b->device && a->inode == b->inode && a->size == b->size &&
               same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

static int say_unreadable(Cached *c, int error) {
        if (error == -EFBIG)
                return diag_error(&c->d, 0, 0, _("the file is larger than %u bytes"), TREE_FILE_MAX);
        return diag_error(&c->d, 0, 0, _("cannot read the file: %s"), strerror(-error));
}

/* Opens without waiting for the writer of a pipe; devices and pipes are refused by the descriptor, not by the name. */
static int read_runbook_file(Cached *c, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = open(c->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat st;
        int k;

        if (fd < 0 || fstat(fd, &st) < 0)
                return say_unreadable(c, -errno);
        if (!S_ISREG(st.st_mode))
                return diag_error(&c->d, 0, 0, _("this is not a regular file"));
        c->id = file_id(&st);
        k = st.st_size > (off_t) TREE_FILE_MAX ? -EFBIG : read_fd(fd, TREE_FILE_MAX, ret, ret_size);
        return k < 0 && k != -ENOMEM ? say_unreadable(c, k) : k;
}

static bool says_the_same(const Cached *old, const Cached *c, const char *text, size_t size) {
        return old && old->runbook && old->format == c->format && streq(old->file, c->file) && old->runbook->text_size == size &&
               memcmp(old->runbook->text, text, size) == 0;
}

/* 0 also for a file with errors: they are in c->d. */
static int cached_fill(Cached *c, Cached *old) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int k;

        k = read_runbook_file(c, &text, &size);
        if (k >= 0 && says_the_same(old, c, text, size)) {
                c->runbook = runbook_ref(old->runbook);
                c->d = old->d;
                old->d = (Diagnostics) { 0 };
        } else if (k >= 0)
                k = runbook_parse(text, size, c->format, c->name, &c->d, &c->runbook);
        return k == -ENOMEM ? k : 0;
}

/* The file of a name in one directory: 0 and its path, -ENOENT, -EEXIST (two of the name, *ret is one and *ret_other the other). */
static int find_in_directory(const char *directory, const char *name, char **ret, char **ret_other, TreeFormat *ret_format) {
        struct stat st;

        for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
                _cleanup_free_ char *path = xasprintf("%s/%s%s", directory, name, formats[i].ending);
                if (!path)
                        return -ENOMEM;
                if (lstat(path, &st) < 0)
                        continue;
                if (*ret) {
                        *ret_other = TAKE_PTR(path);
                        return -EEXIST;
                }
                *ret = TAKE_PTR(path);
                *ret_format = formats[i].format;
        }
        return *ret ? 0 : -ENOENT;
}

static bool file_is_same(const Cached *c) {
        FileId id = id_of(c->file);

        return id.exists && same_file(&c->id, &id);
}

static bool directories_are_same(const Library *l, const Cached *c) {
        for (size_t i = 0; i < c->n_directories; i++) {
                FileId id = id_of(l->directories[i]);
                if (!same_file(c->directories + i, &id))
                        return false;
        }
        return true;
}

static void forget(Library *l, const char *name) {
        cached_free(hashmap_remove(l->cache, name));
}

/* A new entry for a name, with its file, not read yet. 0, -ENOENT, -EEXIST (*ret_other is the other file), -ENOMEM. */
static int look_for(const Library *l, const char *name, Cached **ret, char **ret_other) {
        _cleanup_(cached_freep) Cached *c = NULL;
        size_t n = 0;
        int k = -ENOENT;

        while (l->directories[n])
                n++;
        c = calloc(1, sizeof(Cached) + n * sizeof(FileId));
        if (!c || !(c->name = strdup(name)))            /* `name` may belong to an entry that goes */
                return -ENOMEM;
        for (n = 0; l->directories[n] && k == -ENOENT; n++) {
                c->directories[n] = id_of(l->directories[n]);   /* before it is searched: what comes later makes it another */
                k = find_in_directory(l->directories[n], name, &c->file, ret_other, &c->format);
        }
        c->n_directories = n;
        if (k == -ENOENT || k == -ENOMEM)
                return k;
        *ret = TAKE_PTR(c);
        return k;
}

static int refresh(Library *l, const char *name, const Cached **ret) {
        _cleanup_(cached_freep) Cached *c = NULL;
        _cleanup_free_ char *other = NULL;
        Cached *old = hashmap_get(l->cache, name);
        int k = look_for(l, name, &c, &other);

        if (k == -ENOENT)
                forget(l, name);
        if (k < 0 && k != -EEXIST)
                return k;
        if (k == -EEXIST)
                diag_error(&c->d, 0, 0, _("there are two files of this name, %s and %s: remove one"), c->file, other);
        else if ((k = cached_fill(c, old)) < 0)
                return k;
        forget(l, c->name);
        k = hashmap_put(l->cache, c->name, c);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(c);
        return 0;
}

/* The entry of a name, looked at anew where that is needed. 0, -ENOENT, -ENOMEM. */
static int library_load(Library *l, const char *name, const Cached **ret) {
        const Cached *c = hashmap_get(l->cache, name);

        if (!c || !directories_are_same(l, c) || !file_is_same(c))
                return refresh(l, name, ret);
        *ret = c;
        return 0;
}

static void copy_diagnostics(const Diagnostics *from, Diagnostics *to) {
        for (size_t i = 0; i < from->n_items; i++) {
                const Diagnostic *x = from->items + i;
                if (x->severity == SEVERITY_ERROR)
                        diag_error(to, x->line, x->column, "%s", x->message);
                else
                        diag_warning(to, x->line, x->column, "%s", x->message);
        }
}

int library_get(Library *l, const char *name, Diagnostics *d, Runbook **ret, const char **ret_file) {
        const Cached *c;
        int k;

        if (!runbook_name_is_valid(name))
                return -ENOENT;
        k = library_load(l, name, &c);
        if (k < 0)
                return k;
        if (ret_file)
                *ret_file = c->file;
        copy_diagnostics(&c->d, d);
        if (!c->runbook)
                return -EINVAL;
        *ret = runbook_ref(c->runbook);
        return 0;
}

static char **names_free(char **names) {
        for (char **n = names; n && *n; n++)
                free(*n);
        free(names);
        return NULL;
}
DEFINE_CLEANUP(char **, names_free)

typedef struct Names {
        char **items;                                   /* NULL-terminated */
        size_t n, allocated;
} Names;

static int names_add(Names *l, char *takes) {
        _cleanup_free_ char *name = takes;

        if (!GREEDY_REALLOC(l->items, l->allocated, l->n + 2))
                return -ENOMEM;
        l->items[l->n++] = TAKE_PTR(name);
        l->items[l->n] = NULL;
        return 0;
}

static int names_of_directory(const char *directory, Names *l) {
        _cleanup_(closedirp) DIR *dir = opendir(directory);
        struct dirent *e;
        int k = 0;

        /* Directories that aren't there hold no runbooks; of the others nothing can be said either. */
        while (dir && k >= 0 && (e = readdir(dir))) {
                char *name = name_of_file(e->d_name, &k);
                if (name)
                        k = names_add(l, name);
        }
        return k;
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* All names, sorted, each once. NULL-terminated. */
static int all_names(Library *l, char ***ret, size_t *ret_n) {
        Names names = {};
        size_t n = 0;
        int k = GREEDY_REALLOC(names.items, names.allocated, 1) ? 0 : -ENOMEM;

        for (char **d = l->directories; *d && k >= 0; d++)
                k = names_of_directory(*d, &names);
        if (k < 0) {
                names_free(names.items);
                return k;
        }
        if (names.n > 0)
                qsort(names.items, names.n, sizeof(char *), compare_names);
        for (size_t i = 0; i < names.n; i++)
                if (n > 0 && streq(names.items[n - 1], names.items[i]))
                        free(names.items[i]);
                else
                        names.items[n++] = names.items[i];
        names.items[n] = NULL;
        *ret = names.items;
        *ret_n = n;
        return 0;
}

char *library_nearest(Library *l, const char *name) {
        _cleanup_(names_freep) char **names = NULL;
        const char *nearest;
        size_t n;

        if (all_names(l, &names, &n) < 0)
                return NULL;
        nearest = nearest_name(name, (const char *const *) names);
        return nearest ? strdup(nearest) : NULL;
}

/* The first error of a file, as "line:column: message". New string. */
static char *first_error(const Diagnostics *d) {
        for (size_t i = 0; i < d->n_items; i++) {
                const Diagnostic *x = d->items + i;
                if (x->severity == SEVERITY_ERROR)
                        return x->line > 0 ? xasprintf("%u:%u: %s", x->line, x->column, x->message) : strdup(x->message);
        }
        return strdup(_("the file has errors"));
}

static int entry_fill(const Cached *c, LibraryEntry *e) {
        const char *description = c->runbook ? c->runbook->description : NULL;

        e->name = strdup(c->name);
        e->file = strdup(c->file);
        e->description = strdup(strempty(description));
        if (!e->name || !e->file || !e->description)
                return -ENOMEM;
        if (!c->runbook && !(e->error = first_error(&c->d)))
                return -ENOMEM;
        return 0;
}

int library_list(Library *l, LibraryEntry **ret, size_t *ret_n) {
        _cleanup_(names_freep) char **names = NULL;
        LibraryEntry *entries;
        size_t n_names, n = 0;
        int k = all_names(l, &names, &n_names);

        if (k < 0)
                return k;
        entries = calloc(n_names + 1, sizeof(LibraryEntry));
        if (!entries)
                return -ENOMEM;
        for (size_t i = 0; i < n_names && k >= 0; i++) {
                const Cached *c;
                k = library_load(l, names[i], &c);
                if (k >= 0)
                        k = entry_fill(c, entries + n++);
                else if (k == -ENOENT)                  /* it went away meanwhile */
                        k = 0;
        }
        if (k < 0) {
                library_entries_free(entries, n);
                return k;
        }
        *ret = entries;
        *ret_n = n;
        return 0;
}

static bool follows_failure_of(const Runbook *rb, const char *failed) {
        if (!rb->on_failure || streq(rb->name, failed))
                return false;
        for (char **n = rb->on_failure_of; n && *n; n++)
                if (streq(*n, failed))
                        return true;
        return !rb->on_failure_of;
}

int library_on_failure(Library *l, const char *failed, Runbook ***ret, size_t *ret_n) {
        _cleanup_(names_freep) char **names = NULL;
        Runbook **found;
        size_t n_names, n = 0;
        int k = all_names(l, &names, &n_names);

        if (k < 0)
                return k;
        found = calloc(n_names + 1, sizeof(Runbook *));
        if (!found)
                return -ENOMEM;
        for (size_t i = 0; i < n_names; i++) {
                const Cached *c;
                k = library_load(l, names[i], &c);
                if (k == -ENOMEM) {
                        library_runbooks_free(found, n);
                        return k;
                }
                if (k >= 0 && c->runbook && follows_failure_of(c->runbook, failed))
                        found[n++] = runbook_ref(c->runbook);
        }
        *ret = found;
        *ret_n = n;
        return 0;
}

void library_runbooks_free(Runbook **l, size_t n) {
        for (size_t i = 0; i < n; i++)
                runbook_unref(l[i]);
        free(l);
}

void library_entries_free(LibraryEntry *e, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(e[i].name);
                free(e[i].description);
                free(e[i].file);
                free(e[i].error);
        }
        free(e);
}
