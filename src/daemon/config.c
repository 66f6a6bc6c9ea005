/* runbookd.conf. A key is one row here: parser, range, default, and whether a reload can change it. The defaults are parsed from the table
 * by the same parsers that read the file, so that there is one place for each. */
#include "config.h"

#include <dirent.h>
#include <sys/stat.h>

#include "fd-util.h"
#include "i18n.h"
#include "log.h"
#include "store.h"

#define SECTION "Runbookd"
#define FILE_NAME "runbookd.conf"
#define DROP_INS "runbookd.conf.d"
#define DROP_INS_MAX 1000u                              /* files; with more something is wrong */
#define MAX_STEPS_MAX 4096u
#define HOLD_TIMEOUT_MAX (53 * USEC_PER_WEEK)           /* as of a request */

static int parse_durability(const IniItem *item, const char *value, void *target) {
        Durability d = durability_from_string(value);
        if ((int) d < 0)
                return -EINVAL;
        *(int *) ((uint8_t *) target + item->offset) = (int) d;
        return 0;
}

static int parse_log_level(const IniItem *item, const char *value, void *target) {
        int level = log_level_from_string(value);
        if (level < 0)
                return -EINVAL;
        *(int *) ((uint8_t *) target + item->offset) = level;
        return 0;
}

const IniItem config_items[] = {
        {SECTION, "MaxSteps", ini_parse_unsigned, offsetof(Config, max_steps), 0, MAX_STEPS_MAX, N_("a number from 0 to 4096")},
        {SECTION, "Durability", parse_durability, offsetof(Config, durability), .hint = N_("full or normal")},
        {SECTION, "MaxResumes", ini_parse_unsigned, offsetof(Config, max_resumes), 0, 1000, N_("a number from 0 to 1000")},
        {SECTION, "KillGraceSec", ini_parse_sec, offsetof(Config, kill_grace), 0, USEC_PER_HOUR, N_("a time span of at most 1h")},
        {SECTION, "HookTimeoutSec", ini_parse_sec, offsetof(Config, hook_timeout), USEC_PER_SEC, USEC_PER_DAY,
         N_("a time span from 1s to 1d")},
        {SECTION, "HoldTimeoutSec", ini_parse_sec, offsetof(Config, hold_timeout), 0, HOLD_TIMEOUT_MAX, N_("a time span of at most 53w")},
        {SECTION, "RetryWindowSec", ini_parse_sec, offsetof(Config, retry_window), USEC_PER_SEC, USEC_INFINITY,
         N_("a time span from 1s, or infinity")},
        {SECTION, "LogMaxBytes", ini_parse_u64, offsetof(Config, log_max), 64u * 1024u, UINT64_C(1) << 40, N_("a size from 64K to 1T")},
        {SECTION, "LogLevel", parse_log_level, offsetof(Config, log_level),
         .hint = N_("one of emerg, alert, crit, err, warning, notice, info, debug")},
        {SECTION, "NotifyCommand", ini_parse_text, offsetof(Config, notify_command), .hint = N_("a command line")},
        {SECTION, "NotifyTimeoutSec", ini_parse_sec, offsetof(Config, notify_timeout), USEC_PER_SEC, USEC_PER_HOUR,
         N_("a time span from 1s to 1h")},
};

const ConfigKey config_keys[] = {
        {"MaxSteps", "0", offsetof(Config, max_steps), sizeof(unsigned), true},
        {"Durability", "full", offsetof(Config, durability), sizeof(int), false},
        {"MaxResumes", "3", offsetof(Config, max_resumes), sizeof(unsigned), false},
        {"KillGraceSec", "10", offsetof(Config, kill_grace), sizeof(usec_t), false},
        {"HookTimeoutSec", "5min", offsetof(Config, hook_timeout), sizeof(usec_t), false},
        {"HoldTimeoutSec", "0", offsetof(Config, hold_timeout), sizeof(usec_t), false},
        {"RetryWindowSec", "30d", offsetof(Config, retry_window), sizeof(usec_t), false},
        {"LogMaxBytes", "16M", offsetof(Config, log_max), sizeof(uint64_t), false},
        {"LogLevel", "info", offsetof(Config, log_level), sizeof(int), true},
        {"NotifyCommand", "", offsetof(Config, notify_command), sizeof(char *), true},
        {"NotifyTimeoutSec", "30", offsetof(Config, notify_timeout), sizeof(usec_t), true},
};
const size_t config_n_keys = ELEMENTSOF(config_keys);
static_assert(ELEMENTSOF(config_keys) == ELEMENTSOF(config_items), "one row each");

void config_defaults(Config *ret) {
        *ret = (Config) {};
        for (size_t i = 0; i < ELEMENTSOF(config_items); i++) {
                int r = config_items[i].parse(&config_items[i], config_keys[i].default_value, ret);
                assert(r >= 0);
                (void) r;
        }
}

void config_done(Config *c) {
        free(TAKE_PTR(c->notify_command));
}

static int read_one(const char *path, Config *c) {
        _cleanup_diag_ Diagnostics d = {};
        int r = ini_read_file(path, config_items, ELEMENTSOF(config_items), c, &d);
        for (size_t i = 0; i < d.n_items; i++)
                log_warning("%s:%u: %s", path, d.items[i].line, d.items[i].message);
        if (r == -ENOENT || r == -ENOTDIR)
                return -ENOENT;
        return r < 0 ? log_error_errno(r, _("%s can't be read: %m"), path) : r;
}

/* ---- drop-ins ---- */

typedef struct DropIn {
        char *name, *path;
} DropIn;

typedef struct DropIns {
        DropIn *items;
        size_t n, n_allocated;
} DropIns;

static void drop_ins_done(DropIns *d) {
        for (size_t i = 0; i < d->n; i++) {
                free(d->items[i].name);
                free(d->items[i].path);
        }
        free(d->items);
}

static bool has(const DropIns *d, const char *name) {
        for (size_t i = 0; i < d->n; i++)
                if (streq(d->items[i].name, name))
                        return true;
        return false;
}

static int add_drop_in(DropIns *d, const char *directory, const char *name) {
        if (!endswith(name, ".conf") || name[0] == '.' || has(d, name))
                return 0;
        if (d->n >= DROP_INS_MAX)
                return log_error_errno(-E2BIG, _("%s holds more than %u files."), directory, DROP_INS_MAX);
        if (!GREEDY_REALLOC(d->items, d->n_allocated, d->n + 1))
                return -ENOMEM;
        DropIn *i = &d->items[d->n];
        *i = (DropIn) {.name = strdup(name), .path = path_join(directory, name)};
        d->n++;
        return i->name && i->path ? 0 : -ENOMEM;
}

static void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

static int collect(DropIns *d, const char *directory) {
        _cleanup_free_ char *path = path_join(directory, DROP_INS);
        if (!path)
                return -ENOMEM;
        _cleanup_(closedirp) DIR *dir = opendir(path);
        if (!dir)
                return errno == ENOENT || errno == ENOTDIR ? 0 : log_error_errno(errno, _("%s can't be read: %m"), path);
        int r = 0;
        for (struct dirent *e; r >= 0 && (e = readdir(dir));)
                r = add_drop_in(d, path, e->d_name);
        return r;
}

static int compare_names(const void *a, const void *b) {
        return strcmp(((const DropIn *) a)->name, ((const DropIn *) b)->name);
}

static int read_drop_ins(char *const *directories, Config *c) {
        _cleanup_(drop_ins_done) DropIns d = {};
        int r = 0;
        for (char *const *i = directories; r >= 0 && *i; i++)
                r = collect(&d, *i);
        if (d.n > 0)
                qsort(d.items, d.n, sizeof(DropIn), compare_names);
        for (size_t i = 0; r >= 0 && i < d.n; i++)
                if ((r = read_one(d.items[i].path, c)) == -ENOENT)
                        r = 0;
        return r;
}

static int read_main(char *const *directories, Config *c) {
        for (char *const *i = directories; *i; i++) {
                _cleanup_free_ char *path = path_join(*i, FILE_NAME);
                int r = path ? read_one(path, c) : -ENOMEM;
                if (r != -ENOENT)
                        return r;
        }
        return 0;
}

int config_load(char *const *directories, const char *only, Config *ret) {
        Config c;
        config_defaults(&c);
        int r = only ? read_one(only, &c) : read_main(directories, &c);
        if (r == -ENOENT)
                log_error(_("There is no file %s."), only);
        if (r >= 0 && !only)
                r = read_drop_ins(directories, &c);
        if (r >= 0)
                *ret = c;
        else
                config_done(&c);
        return r;
}
