/* The environment of a step.
 *
 * It is put together anew for each step from three sources: who we are (HOME, USER …), where and what the step is (TMPDIR, RUNBOOK_…), and
 * what the caller gives, which wins; only the RUNBOOK_ variables listed here can't be given, as they are how a step is told from others
 * (its processes are found by RUNBOOK_OUTPUT). */

#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fd-util.h"
#include "step-env.h"
#include "strbuf.h"

struct StepEnvBase {
        char *state_directory;
        char *home, *user, *shell;
};

typedef struct StepPlace {
        const StepEnvBase *base;
        const StepCommand *command;
        const char *output, *error;
} StepPlace;

typedef struct Variable {
        const char *name;
        bool reserved;
        void (*append)(StrBuf *b, const StepPlace *p);
} Variable;

static void append_path(StrBuf *b, const StepPlace *p) {
        strbuf_append(b, STEP_DEFAULT_PATH);
}
static void append_home(StrBuf *b, const StepPlace *p) {
        strbuf_append(b, p->base->home);
}
static void append_user(StrBuf *b, const StepPlace *p) {
        strbuf_append(b, p->base->user);
}
static void append_shell(StrBuf *b, const StepPlace *p) {
        strbuf_append(b, p->base->shell);
}
static void append_lang(StrBuf *b, const StepPlace *p) {
        strbuf_append(b, "C.UTF-8");
}
static void append_tmpdir(StrBuf *b, const StepPlace *p) {
        strbuf_appendf(b, "%s/work/%" PRIu32 "/tmp", p->base->state_directory, p->command->run);
}
static void append_run(StrBuf *b, const StepPlace *p) {
        strbuf_appendf(b, "%" PRIu32, p->command->run);
}
static void append_name(StrBuf *b, const StepPlace *p) {
        strbuf_append(b, strempty(p->command->runbook));
}
static void append_activity(StrBuf *b, const StepPlace *p) {
        strbuf_append(b, p->command->activity);
}
static void append_step(StrBuf *b, const StepPlace *p) {
        strbuf_append(b, strempty(p->command->step));
}
static void append_attempt(StrBuf *b, const StepPlace *p) {
        strbuf_appendf(b, "%" PRIu32, p->command->attempt);
}
static void append_workspace(StrBuf *b, const StepPlace *p) {
        strbuf_appendf(b, "%s/work/%" PRIu32 "/workspace", p->base->state_directory, p->command->run);
}
static void append_output(StrBuf *b, const StepPlace *p) {
        strbuf_append(b, p->output);
}
static void append_error(StrBuf *b, const StepPlace *p) {
        strbuf_append(b, p->error);
}

static const Variable variables[] = {
        { "PATH", false, append_path },
        { "HOME", false, append_home },
        { "USER", false, append_user },
        { "LOGNAME", false, append_user },
        { "SHELL", false, append_shell },
        { "LANG", false, append_lang },
        { "TMPDIR", false, append_tmpdir },
        { "RUNBOOK_RUN", true, append_run },
        { "RUNBOOK_NAME", true, append_name },
        { "RUNBOOK_ACTIVITY", true, append_activity },
        { "RUNBOOK_STEP", true, append_step },
        { "RUNBOOK_ATTEMPT", true, append_attempt },
        { "RUNBOOK_WORKSPACE", true, append_workspace },
        { "RUNBOOK_OUTPUT", true, append_output },
        { "RUNBOOK_ERROR", true, append_error },
};

int step_env_base_new(const char *state_directory, StepEnvBase **ret) {
        _cleanup_(step_env_base_freep) StepEnvBase *b = calloc(1, sizeof(*b));
        const struct passwd *pw = getpwuid(geteuid());

        if (!b)
                return -ENOMEM;
        b->state_directory = strdup(state_directory);
        b->home = strdup(pw && !isempty(pw->pw_dir) ? pw->pw_dir : "/");
        b->user = pw ? strdup(pw->pw_name) : xasprintf("%lu", (unsigned long) geteuid());
        b->shell = strdup(pw && !isempty(pw->pw_shell) ? pw->pw_shell : "/bin/sh");
        if (!b->state_directory || !b->home || !b->user || !b->shell)
                return -ENOMEM;
        *ret = TAKE_PTR(b);
        return 0;
}

StepEnvBase *step_env_base_free(StepEnvBase *b) {
        if (!b)
                return NULL;
        free(b->state_directory);
        free(b->home);
        free(b->user);
        free(b->shell);
        free(b);
        return NULL;
}

static bool is_setting_of(const char *setting, const char *name) {
        const char *rest = startswith(setting, name);

        return rest && *rest == '=';
}

const char *step_env_get(char *const *env, const char *name) {
        for (size_t i = 0; env && env[i]; i++)
                if (is_setting_of(env[i], name))
                        return env[i] + strlen(name) + 1;
        return NULL;
}

static bool is_reserved(const char *setting) {
        if (!startswith(setting, "RUNBOOK_"))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(variables); i++)
                if (variables[i].reserved && is_setting_of(setting, variables[i].name))
                        return true;
        return false;
}

/* Appends all settings, each with its NUL. */
static size_t append_settings(StrBuf *b, const StepPlace *p) {
        char *const *given = p->command->env;
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
                const Variable *v = variables + i;

                if (!v->reserved && step_env_get(given, v->name))
                        continue;
                strbuf_append(b, v->name);
                strbuf_append_c(b, '=');
                v->append(b, p);
                strbuf_append_n(b, "", 1);
                n++;
        }
        for (size_t i = 0; given && given[i]; i++)
                if (!is_reserved(given[i])) {
                        strbuf_append_n(b, given[i], strlen(given[i]) + 1);
                        n++;
                }
        return n;
}

int step_env_make(const StepEnvBase *b, const StepCommand *c, const char *output, const char *error, char ***ret) {
        const StepPlace place = { .base = b, .command = c, .output = output, .error = error };
        _cleanup_strbuf_ StrBuf text = { 0 };
        size_t n = append_settings(&text, &place);
        char **env, *s;

        if (text.failed)
                return -ENOMEM;
        env = malloc((n + 1) * sizeof(env[0]) + text.n);
        if (!env)
                return -ENOMEM;
        s = (char *) (env + n + 1);
        memcpy(s, text.s, text.n);
        for (size_t i = 0; i < n; i++) {
                env[i] = s;
                s += strlen(s) + 1;
        }
        env[n] = NULL;
        *ret = env;
        return 0;
}

/* 0: it can be executed. */
static int try_program(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EACCES;
        return access(path, X_OK) < 0 ? -errno : 0;
}

int step_find_program(const char *name, const char *path, const char *directory, char **ret) {
        bool denied = false;

        if (isempty(name))
                return -ENOENT;
        if (strchr(name, '/')) {
                *ret = strdup(name);
                return *ret ? 0 : -ENOMEM;
        }
        for (const char *s = strempty(path), *end;; s = end + 1) {
                _cleanup_free_ char *candidate = NULL;
                int n, r;

                end = s + strcspn(s, ":");
                n = (int) (end - s);
                /* Relative directories, the empty one too, are relative to where the step will be. */
                candidate = *s == '/' ? xasprintf("%.*s/%s", n, s, name)
                                      : xasprintf("%s/%.*s%s%s", directory, n, s, n > 0 ? "/" : "", name);
                if (!candidate)
                        return -ENOMEM;
                r = try_program(candidate);
                if (r == 0) {
                        *ret = TAKE_PTR(candidate);
                        return 0;
                }
                denied = denied || r == -EACCES;
                if (!*end)
                        return denied ? -EACCES : -ENOENT;
        }
}
