/* Where things are. On the system the service manager may say so (STATE_DIRECTORY and its like, systemd.exec(5)); for a user the XDG base
 * directories do, of which relative ones are ignored, as their specification wants it. Without XDG_RUNTIME_DIR, run/ in the state directory
 * serves. */
#include "places.h"

#include <pwd.h>
#include <stdio.h>

#include "fd-util.h"

#define PROGRAM "runbookd"

void places_done(Places *p) {
        free(p->state);
        strv_free(p->config);
        strv_free(p->runbooks);
        *p = (Places) {};
}

/* Appends parent/child; both lists are made with room for PLACES_MAX. */
static int add(char **list, const char *parent, const char *child) {
        size_t n = 0;
        while (list[n])
                n++;
        if (n == PLACES_MAX)
                return -E2BIG;
        list[n] = path_join(parent, child);
        return list[n] ? 0 : -ENOMEM;
}

/* A directory below which both kinds of files are. */
static int add_both(Places *p, const char *directory) {
        int r = add(p->config, directory, "");
        return r < 0 ? r : add(p->runbooks, directory, "runbooks");
}

/* The first of the colon-separated directories that the service manager names, or the fallback. New string. */
static char *from_manager(const char *variable, const char *fallback) {
        const char *e = secure_getenv(variable);
        if (e && *e == '/')
                return strndup(e, strcspn(e, ":"));
        return strdup(fallback);
}

static int init_system(Places *p) {
        _cleanup_free_ char *etc = from_manager("CONFIGURATION_DIRECTORY", SYSCONFDIR "/" PROGRAM);
        _cleanup_free_ char *run = from_manager("RUNTIME_DIRECTORY", RUNDIR);
        int r = etc && run ? 0 : -ENOMEM;
        if (r < 0 || (r = add_both(p, etc)) < 0 || (r = add_both(p, run)) < 0 || (r = add(p->config, VENDORDIR, "")) < 0 ||
            (r = add(p->runbooks, DATADIR "/" PROGRAM, "runbooks")) < 0)
                return r;
        if (!p->state)
                p->state = from_manager("STATE_DIRECTORY", STATEDIR);
        return p->state ? 0 : -ENOMEM;
}

/* ---- one user ---- */

static const char *home_directory(void) {
        const char *e = secure_getenv("HOME");
        if (e && *e == '/')
                return e;
        const struct passwd *u = getpwuid(getuid());
        return u && u->pw_dir && *u->pw_dir == '/' ? u->pw_dir : NULL;
}

/* $VARIABLE/runbookd, or HOME/fallback/runbookd. New string, or NULL. */
static char *xdg_directory(const char *variable, const char *home, const char *fallback) {
        const char *e = secure_getenv(variable);
        if (e && *e == '/')
                return path_join(e, PROGRAM);
        return xasprintf("%s/%s/" PROGRAM, home, fallback);
}

static int add_user_runtime(Places *p) {
        const char *e = secure_getenv("XDG_RUNTIME_DIR");
        _cleanup_free_ char *run = e && *e == '/' ? path_join(e, PROGRAM) : path_join(p->state, "run");
        return run ? add_both(p, run) : -ENOMEM;
}

static int add_data_directories(Places *p) {
        const char *e = secure_getenv("XDG_DATA_DIRS");
        _cleanup_free_ char *list = strdup(isempty(e) ? "/usr/local/share:/usr/share" : e);
        int r = list ? 0 : -ENOMEM;
        for (char *s = list, *t; r >= 0 && (t = strsep(&s, ":"));)
                if (*t == '/') {
                        _cleanup_free_ char *d = path_join(t, PROGRAM);
                        r = d ? add_both(p, d) : -ENOMEM;
                }
        return r == -E2BIG ? 0 : r;
}

static int init_user(Places *p) {
        const char *home = home_directory();
        if (!home)
                return -ENXIO;
        _cleanup_free_ char *config = xdg_directory("XDG_CONFIG_HOME", home, ".config");
        _cleanup_free_ char *data = xdg_directory("XDG_DATA_HOME", home, ".local/share");
        if (!p->state)
                p->state = xdg_directory("XDG_STATE_HOME", home, ".local/state");
        int r = config && data && p->state ? 0 : -ENOMEM;
        if (r < 0 || (r = add_both(p, config)) < 0 || (r = add_user_runtime(p)) < 0 || (r = add_both(p, data)) < 0)
                return r;
        return add_data_directories(p);
}

static char *absolute(const char *path) {
        _cleanup_free_ char *cwd = NULL;
        if (*path == '/')
                return strdup(path);
        cwd = getcwd(NULL, 0);
        return cwd ? path_join(cwd, path) : NULL;
}

int places_init(bool user_mode, const char *state_directory, Places *ret) {
        _cleanup_(places_done) Places p = {};
        p.config = calloc(PLACES_MAX + 1, sizeof(char *));
        p.runbooks = calloc(PLACES_MAX + 1, sizeof(char *));
        if (!p.config || !p.runbooks || (state_directory && !(p.state = absolute(state_directory))))
                return -ENOMEM;
        int r = user_mode ? init_user(&p) : init_system(&p);
        if (r < 0)
                return r;
        *ret = p;
        p = (Places) {};
        return 0;
}
