/* Where a button isn't enough: fields to fill in, a comment, the log. The command is OpenCommand= of agent.conf, which the shell carries
 * out with the request in its environment, never pasted into its text; or the first terminal that is installed, with runbookctl in it,
 * which waits for a key at the end so that the last words can be read. The file is read each time, so a change of it needs no restart.
 *
 * What is opened is a session of its own and outlives the agent. */
#include "open.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "fd-util.h"
#include "i18n.h"
#include "ini-file.h"
#include "log.h"

#define ARGUMENTS_MAX 16u
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND 127

typedef struct Child Child;
struct Child {
        Opener *opener;
        sd_event_source *source;
        char *typed;
        Child *next;
};

struct Opener {
        sd_event *event;
        OpenFailed failed;
        void *userdata;
        Child *children;
        unsigned n_children;
};

typedef struct AgentConfig {
        char *open_command;                             /* NULL: a terminal */
} AgentConfig;

static const IniItem config_items[] = {
        {"Agent", "OpenCommand", ini_parse_text, offsetof(AgentConfig, open_command), .hint = N_("a command for the shell")},
};

/* ---- agent.conf ---- */

static char *user_config_path(void) {
        const char *config = secure_getenv("XDG_CONFIG_HOME"), *home = secure_getenv("HOME");
        if (config && *config == '/')
                return path_join(config, "runbookd/agent.conf");
        return path_join(home && *home == '/' ? home : "/", ".config/runbookd/agent.conf");
}

static int read_config(const char *path, AgentConfig *config) {
        _cleanup_diag_ Diagnostics d = {};
        int r = ini_read_file(path, config_items, ELEMENTSOF(config_items), config, &d);
        if (r < 0 && r != -ENOENT)
                (void) log_warning_errno(r, _("%s can't be read: %m"), path);
        for (size_t i = 0; i < d.n_items; i++)
                log_warning("%s:%u: %s", path, d.items[i].line, d.items[i].message);
        return r;
}

/* The user's own file, or else the machine's. */
static void load_config(AgentConfig *config) {
        _cleanup_free_ char *own = user_config_path();
        if (!own || read_config(own, config) == -ENOENT)
                (void) read_config(SYSCONFDIR "/runbookd/agent.conf", config);
}

/* ---- children ---- */

static Child *child_free(Child *c) {
        sd_event_source_disable_unref(c->source);
        free(c->typed);
        free(c);
        return NULL;
}

static void forget_child(Child *child) {
        Opener *o = child->opener;
        for (Child **c = &o->children; *c; c = &(*c)->next)
                if (*c == child) {
                        *c = child->next;
                        break;
                }
        o->n_children--;
        child_free(child);
}

/* Other statuses may be those of what ran in it, which the person has seen. */
static int on_exit_of_child(sd_event_source *source, const siginfo_t *si, void *userdata) {
        Child *child = userdata;
        if (si->si_code == CLD_EXITED && (si->si_status == STATUS_NOT_FOUND || si->si_status == STATUS_NOT_EXECUTABLE))
                child->opener->failed(child->opener->userdata, child->typed, _("The command was not found."));
        forget_child(child);
        return 0;
}

static int set_attributes(posix_spawnattr_t *attributes) {
        sigset_t none, all;
        (void) sigemptyset(&none);
        (void) sigfillset(&all);
        int r = posix_spawnattr_setsigmask(attributes, &none);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(attributes, &all);
        return r != 0 ? r : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
}

static int spawn(const char *const *argv, char *const *environment, pid_t *ret) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (r != 0) {
                (void) posix_spawn_file_actions_destroy(&actions);
                return -r;
        }
        r = set_attributes(&attributes);
        if (r == 0)
                r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (r == 0)
                r = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
        if (r == 0)
                r = posix_spawnp(ret, argv[0], &actions, &attributes, (char *const *) argv, environment);
        (void) posix_spawnattr_destroy(&attributes);
        (void) posix_spawn_file_actions_destroy(&actions);
        return -r;
}

static int keep_child(Opener *o, pid_t pid, const char *typed) {
        Child *child = calloc(1, sizeof(*child));
        if (!child)
                return -ENOMEM;
        *child = (Child) {.opener = o, .typed = strdup(typed)};
        int r = child->typed ? sd_event_add_child(o->event, &child->source, pid, WEXITED, on_exit_of_child, child) : -ENOMEM;
        if (r < 0) {
                child_free(child);
                return r;
        }
        child->next = o->children;
        o->children = child;
        o->n_children++;
        return 0;
}

/* ---- what is started ---- */

/* Each puts what comes behind these words into its window. */
static const char *const terminals[][2] = {
        {"xdg-terminal-exec"},
        {"x-terminal-emulator", "-e"},
        {"gnome-terminal", "--"},
        {"konsole", "-e"},
        {"xfce4-terminal", "-x"},
        {"xterm", "-e"},
};

static int spawn_terminal(const Place *place, char *const *environment, pid_t *ret) {
        static const char script[] = "words=$1; shift; \"$@\"; printf '\\n%s' \"$words\"; read -r _";
        char run[sizeof("4294967295")];
        int r = -ENOENT;
        (void) snprintf(run, sizeof(run), "%u", place->run);
        for (size_t i = 0; i < ELEMENTSOF(terminals) && r < 0; i++) {
                const char *argv[ARGUMENTS_MAX];
                size_t n = 0;
                argv[n++] = terminals[i][0];
                if (terminals[i][1])
                        argv[n++] = terminals[i][1];
                argv[n++] = "/bin/sh";
                argv[n++] = "-c";
                argv[n++] = script;
                argv[n++] = "sh";
                argv[n++] = _("Press Enter to close.");
                argv[n++] = "runbookctl";
                if (place->user_mode)
                        argv[n++] = "--user";
                argv[n++] = place->run > 0 ? "watch" : "inbox";
                if (place->run > 0)
                        argv[n++] = run;
                argv[n] = NULL;
                r = spawn(argv, environment, ret);
        }
        return r;
}

char *place_command(const Place *p) {
        if (p->run == 0)
                return xasprintf("runbookctl%s inbox", p->user_mode ? " --user" : "");
        return xasprintf("runbookctl%s watch %u", p->user_mode ? " --user" : "", p->run);
}

typedef struct Environment {
        char **words;                                   /* NULL-terminated; those from n_kept on are owned */
        size_t n, n_kept, allocated;
} Environment;

static void environment_done(Environment *e) {
        for (size_t i = e->n_kept; i < e->n; i++)
                free(e->words[i]);
        free(e->words);
}

static int environment_set(Environment *e, const char *name, const char *value) {
        if (!GREEDY_REALLOC(e->words, e->allocated, e->n + 2))
                return -ENOMEM;
        e->words[e->n] = xasprintf("%s=%s", name, strempty(value));
        if (!e->words[e->n])
                return -ENOMEM;
        e->n++;
        return 0;
}

/* Ours, without what is set anew: of two words with one name a program may take either. */
static int environment_keep(Environment *e) {
        static const char *const names[] = {"RUNBOOK_", "XDG_ACTIVATION_TOKEN=", "DESKTOP_STARTUP_ID=", "NOTIFY_SOCKET="};
        for (char **word = environ; *word; word++) {
                bool keep = true;
                for (size_t i = 0; i < ELEMENTSOF(names); i++)
                        keep = keep && !startswith(*word, names[i]);
                if (!keep)
                        continue;
                if (!GREEDY_REALLOC(e->words, e->allocated, e->n + 2))
                        return -ENOMEM;
                e->words[e->n++] = *word;
                e->n_kept = e->n;
        }
        return 0;
}

static int environment_make(const Place *p, const char *typed, const char *token, Environment *e) {
        char run[sizeof("4294967295")] = "";
        if (p->run > 0)
                (void) snprintf(run, sizeof(run), "%u", p->run);
        int r = environment_keep(e);
        if (r >= 0)
                r = environment_set(e, "RUNBOOK_RUN", run);
        if (r >= 0)
                r = environment_set(e, "RUNBOOK_ACTIVITY", p->activity);
        if (r >= 0)
                r = environment_set(e, "RUNBOOK_NAME", p->runbook);
        if (r >= 0)
                r = environment_set(e, "RUNBOOK_KIND", p->kind);
        if (r >= 0)
                r = environment_set(e, "RUNBOOK_COMMAND", typed);
        if (r >= 0 && token)
                r = environment_set(e, "XDG_ACTIVATION_TOKEN", token);
        if (r >= 0 && token)
                r = environment_set(e, "DESKTOP_STARTUP_ID", token);
        if (r < 0)
                return r;
        e->words[e->n] = NULL;
        return 0;
}

static int open_place(Opener *o, const Place *place, const char *typed, const char *token, AgentConfig *config) {
        _cleanup_(environment_done) Environment e = {};
        pid_t pid;
        int r = environment_make(place, typed, token, &e);
        if (r < 0)
                return r;
        load_config(config);
        if (config->open_command) {
                const char *const argv[] = {"/bin/sh", "-c", config->open_command, NULL};
                r = spawn(argv, e.words, &pid);
        } else
                r = spawn_terminal(place, e.words, &pid);
        return r < 0 ? r : keep_child(o, pid, typed);
}

void opener_open(Opener *o, const Place *place, const char *token) {
        _cleanup_free_ char *typed = place_command(place);
        AgentConfig config = {};
        int r = !typed ? -ENOMEM : o->n_children >= OPEN_MAX_CHILDREN ? -EBUSY : open_place(o, place, typed, token, &config);
        if (r == -EBUSY)
                o->failed(o->userdata, strempty(typed), _("Too many are open."));
        else if (r == -ENOENT && !config.open_command)
                o->failed(o->userdata, strempty(typed), _("No terminal program is installed that is known here."));
        else if (r < 0)
                o->failed(o->userdata, strempty(typed), strerror(-r));
        free(config.open_command);
}

int opener_new(sd_event *event, OpenFailed failed, void *userdata, Opener **ret) {
        Opener *o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        *o = (Opener) {.event = sd_event_ref(event), .failed = failed, .userdata = userdata};
        *ret = o;
        return 0;
}

Opener *opener_free(Opener *o) {
        if (!o)
                return NULL;
        while (o->children) {
                Child *c = o->children;
                (void) sd_event_source_set_child_process_own(c->source, false);
                forget_child(c);
        }
        sd_event_unref(o->event);
        free(o);
        return NULL;
}
