/* The daemon. It owns everything and is the only place that knows the concrete parts; they know each other by tables of functions. Start-up
 * is a list of phases, each of which says itself what went wrong. The name on the bus is asked for after recovery: who finds the name finds
 * every run. */
#include "manager.h"

#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "bus.h"
#include "config.h"
#include "connection.h"
#include "fd-util.h"
#include "i18n.h"
#include "log-control.h"
#include "log.h"
#include "memory.h"
#include "notify-command.h"
#include "places.h"

#define MAX_STEPS_MIN 4u                                /* of the default */
#define STATUS_DELAY (250 * USEC_PER_MSEC) /* the service manager is told of counts at most once in this time */

struct Manager {
        ManagerOptions options;
        Places places;
        Config config;
        sd_event *event;
        Store *store;
        Library *library;
        Executor *executor;
        Engine *engine;
        NotifyCommand *notify;
        Bus *bus;
        Connection *connection;
        sd_bus_slot *log_control;
        sd_event_source *status;
        bool stopping;
        int exit_status;
};

/* ---- ending ---- */

static void on_stopped(void *userdata) {
        Manager *m = userdata;
        (void) sd_event_exit(m->event, m->exit_status);
}

/* A clean stop: steps that run are stopped with their grace and recorded as interrupted. Asked again, it ends at once. */
static void stop(Manager *m, int exit_status) {
        if (m->stopping) {
                (void) sd_event_exit(m->event, m->exit_status ? m->exit_status : exit_status);
                return;
        }
        m->stopping = true;
        m->exit_status = exit_status;
        (void) sd_notify(false, "STOPPING=1\nSTATUS=Stopping steps.");
        int r = engine_stop(m->engine, on_stopped, m);
        if (r < 0) {
                log_error_errno(r, _("Steps can't be stopped cleanly: %m"));
                (void) sd_event_exit(m->event, EXIT_FAILURE);
        }
}

static int reload(void *userdata, char **ret_error);

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *info, void *userdata) {
        Manager *m = userdata;
        _cleanup_free_ char *text = NULL;
        if (info->ssi_signo == SIGHUP && !m->options.user_mode) {
                (void) reload(m, &text);
                return 0;
        }
        log_info(m->stopping ? _("Told to stop again (%s): ending at once.") : _("Told to stop (%s)."), strsignal((int) info->ssi_signo));
        stop(m, EXIT_SUCCESS);
        return 0;
}

/* ---- what the engine tells: to the log here, and all of it to the bus ---- */

static void log_run(const Run *run, const char *message) {
        char number[11];
        (void) snprintf(number, sizeof(number), "%u", run->id);
        log_struct(LOG_INFO, message, "RUNBOOK_RUN", number, "RUNBOOK_NAME", run->runbook->name, "RUNBOOK_STATE",
                   run_state_to_string(run->state), NULL);
}

static void on_committed(void *userdata, Ticket ticket, int r) {
        Manager *m = userdata;
        bus_observer.committed(m->bus, ticket, r);
}

static void on_run_added(void *userdata, Run *run) {
        Manager *m = userdata;
        if (log_max_level() >= LOG_INFO) {
                _cleanup_free_ char *text = xasprintf(_("Run %u of %s started by %s."), run->id, run->runbook->name,
                                                      run->started_by_name ? run->started_by_name : PACKAGE);
                log_run(run, strempty(text));
        }
        bus_observer.run_added(m->bus, run);
}

static void on_run_changed(void *userdata, Run *run) {
        Manager *m = userdata;
        bus_observer.run_changed(m->bus, run);
}

static void on_definition_changed(void *userdata, Run *run) {
        Manager *m = userdata;
        if (log_max_level() >= LOG_INFO) {
                _cleanup_free_ char *text = xasprintf(_("Run %u of %s goes on with another definition."), run->id, run->runbook->name);
                log_run(run, strempty(text));
        }
        bus_observer.definition_changed(m->bus, run);
}

static void on_activity_changed(void *userdata, Activity *activity) {
        Manager *m = userdata;
        bus_observer.activity_changed(m->bus, activity);
}

static void on_request_opened(void *userdata, Activity *activity) {
        Manager *m = userdata;
        bus_observer.request_opened(m->bus, activity);
        notify_command_request(m->notify, activity);
}

static void on_request_resolved(void *userdata, Activity *activity, const char *how, uint32_t uid) {
        Manager *m = userdata;
        bus_observer.request_resolved(m->bus, activity, how, uid);
        notify_command_resolved(m->notify, activity);
}

static void on_run_finished(void *userdata, Run *run) {
        Manager *m = userdata;
        if (log_max_level() >= LOG_INFO) {
                _cleanup_free_ char *text = xasprintf(_("Run %u of %s ended: %s%s%s"), run->id, run->runbook->name,
                                                      run_state_to_string(run->state), run->reason ? ": " : "", strempty(run->reason));
                log_run(run, strempty(text));
        }
        bus_observer.run_finished(m->bus, run);
}

static void on_run_removed(void *userdata, Run *run, bool again) {
        Manager *m = userdata;
        bus_observer.run_removed(m->bus, run, again);
}

static void on_counts_changed(void *userdata) {
        Manager *m = userdata;
        bus_observer.counts_changed(m->bus);
        if (m->status)
                (void) sd_event_source_set_enabled(m->status, SD_EVENT_ONESHOT);
}

static const Observer observer = {
        .committed = on_committed,
        .run_added = on_run_added,
        .run_changed = on_run_changed,
        .definition_changed = on_definition_changed,
        .activity_changed = on_activity_changed,
        .request_opened = on_request_opened,
        .request_resolved = on_request_resolved,
        .run_finished = on_run_finished,
        .run_removed = on_run_removed,
        .counts_changed = on_counts_changed,
};

static void notify_status(Manager *m, const char *prefix) {
        uint32_t active, on_hold, dead_letter;
        engine_counts(m->engine, &active, &on_hold, &dead_letter);
        _cleanup_free_ char *text =
                xasprintf(_("Runs in progress: %u, waiting for people: %u, dead letters: %u"), active, on_hold, dead_letter);
        (void) sd_notifyf(false, "%sSTATUS=%s", prefix, strempty(text));
}

/* What runs have left behind. What the daemon keeps to be quick lies among it, so that goes as well. */
static void release_memory(Manager *m) {
        engine_release_memory(m->engine);
        bus_release_memory(m->bus);
        store_release_memory(m->store);
        memory_give_back();
}

static int on_status(sd_event_source *s, uint64_t usec, void *userdata) {
        Manager *m = userdata;
        (void) sd_event_source_set_time_relative(s, STATUS_DELAY);
        uint32_t active, on_hold, dead_letter;
        engine_counts(m->engine, &active, &on_hold, &dead_letter);
        if (active == 0)
                release_memory(m);
        if (!m->stopping)
                notify_status(m, "");
        return 0;
}

/* ---- configuration ---- */

static unsigned max_steps(const Config *c) {
        cpu_set_t set;
        if (c->max_steps)
                return c->max_steps;
        unsigned cpus = sched_getaffinity(0, sizeof(set), &set) >= 0 ? (unsigned) CPU_COUNT(&set) : 1;
        return MAX(2 * cpus, MAX_STEPS_MIN);
}

static void apply_config(Manager *m) {
        log_set_max_level(m->options.log_level >= 0 ? m->options.log_level : m->config.log_level);
        if (m->engine && engine_set_max_steps(m->engine, max_steps(&m->config)) < 0)
                log_warning(_("Out of memory: MaxSteps= stays as it was."));
        if (m->notify && notify_command_change(m->notify, m->config.notify_command, m->config.notify_timeout) < 0)
                log_warning(_("Out of memory: NotifyCommand= stays as it was."));
}

/* What can't change now keeps its value, so that a second reload says so again. */
static void take_config(Manager *m, Config *new) {
        for (size_t i = 0; i < config_n_keys; i++) {
                const ConfigKey *k = &config_keys[i];
                uint8_t *now = (uint8_t *) &m->config + k->offset, *then = (uint8_t *) new + k->offset;
                if (memcmp(now, then, k->size) == 0)
                        continue;
                if (!k->at_run_time) {
                        log_notice(_("%s= has changed; it takes effect when runbookd is started again."), k->key);
                        memcpy(then, now, k->size);
                }
        }
        config_done(&m->config);
        m->config = *new;
        apply_config(m);
}

static int reload(void *userdata, char **ret_error) {
        Manager *m = userdata;
        Config c;
        library_reload(m->library);
        int r = config_load(m->places.config, m->options.config_file, &c);
        if (r < 0) {
                *ret_error = strdup(_("The configuration can't be read, and stays as it was; the log says why."));
                return r;
        }
        take_config(m, &c);
        log_info(_("Configuration and runbooks are read again."));
        return 0;
}

/* ---- start-up, phase by phase: each returns 0 or what to exit with ---- */

static int start_config(Manager *m) {
        int r = places_init(m->options.user_mode, m->options.state_directory, &m->places);
        if (r < 0)
                log_error_errno(r, _("It is not known where files are: %m. Set HOME, or give --state-directory=."));
        else
                r = config_load(m->places.config, m->options.config_file, &m->config);
        if (r < 0)
                return EXIT_CONFIGURATION;
        apply_config(m);
        return 0;
}

static int start_state_directory(Manager *m) {
        int r = mkdir_parents(m->places.state, 0711);
        if (r >= 0)
                return 0;
        log_error_errno(r, _("The state directory %s can't be made: %m"), m->places.state);
        return EXIT_CONFIGURATION;
}

static int start_event_loop(Manager *m) {
        static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
        int r = sd_event_new(&m->event);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                r = sd_event_add_signal(m->event, NULL, signals[i], on_signal, m);
        if (r >= 0)
                r = sd_event_set_watchdog(m->event, true);
        if (r >= 0)
                r = sd_event_add_time_relative(m->event, &m->status, CLOCK_MONOTONIC, STATUS_DELAY, 0, on_status, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->status, SD_EVENT_OFF);
        if (r < 0)
                log_error_errno(r, _("The event loop can't be made: %m"));
        return r < 0 ? EXIT_FAILURE : 0;
}

static int start_store(Manager *m) {
        _cleanup_free_ char *text = NULL;
        StoreOptions o = {.directory = m->places.state, .durability = (Durability) m->config.durability};
        int r = store_open(&o, &m->store, &text);
        if (r >= 0)
                return 0;
        if (text)
                log_error("%s", text);
        else
                log_error_errno(r, _("The store in %s can't be opened: %m"), m->places.state);
        /* Held by another, of a newer version, damaged: starting again changes nothing. A full disk may get better. */
        return r == -EBUSY || r == -EPROTO || r == -EUCLEAN ? EXIT_CONFIGURATION : EXIT_FAILURE;
}

static int start_library(Manager *m) {
        int r = library_new((const char *const *) m->places.runbooks, &m->library);
        if (r < 0)
                log_error_errno(r, _("The runbooks can't be looked for: %m"));
        return r < 0 ? EXIT_FAILURE : 0;
}

/* The executor gives its children the limits that it was made with; after that we may have as many descriptors as we can get. */
static int start_executor(Manager *m) {
        struct rlimit l;
        ExecutorOptions o = {.event = m->event,
                             .state_directory = m->places.state,
                             .store_id = store_id(m->store),
                             .kill_grace = m->config.kill_grace,
                             .log_max = m->config.log_max};
        int r = exec_process_new(&o, &m->executor);
        if (r < 0) {
                log_error_errno(r, _("Steps can't be executed here: %m"));
                return EXIT_FAILURE;
        }
        if (getrlimit(RLIMIT_NOFILE, &l) >= 0 && l.rlim_cur < l.rlim_max) {
                l.rlim_cur = l.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &l);
        }
        return 0;
}

typedef struct Open {
        Activity **items;
        size_t n, allocated;
} Open;

static void open_done(Open *o) {
        free(o->items);
}

static int add_open(Open *o, const Run *run) {
        for (unsigned i = 0; run_pending_requests(run) > 0 && i < run->runbook->n_activities; i++) {
                if (!run->activities[i]->request)
                        continue;
                if (!GREEDY_REALLOC(o->items, o->allocated, o->n + 1))
                        return -ENOMEM;
                o->items[o->n++] = run->activities[i];
        }
        return 0;
}

static int compare_opening(const void *a, const void *b) {
        const Activity *x = *(Activity *const *) a, *y = *(Activity *const *) b;
        return x->request->opened_at < y->request->opened_at ? -1 : x->request->opened_at > y->request->opened_at;
}

/* What is not on disk yet is told after its commit, as always. */
static int look_at_requests(void *userdata) {
        _cleanup_(open_done) Open open = {};
        Manager *m = userdata;
        Run *run;
        int r = engine_flush(m->engine);
        for (size_t i = 0; r >= 0 && engine_iterate_live(m->engine, &i, &run);)
                r = add_open(&open, run);
        if (r < 0)
                return r;
        if (open.n > 0)
                qsort(open.items, open.n, sizeof(open.items[0]), compare_opening);
        for (size_t i = 0; i < open.n; i++)
                notify_command_request(m->notify, open.items[i]);
        return 0;
}

static int start_notify(Manager *m) {
        NotifyOptions o = {.event = m->event,
                           .command = m->config.notify_command,
                           .timeout = m->config.notify_timeout,
                           .retry_first = NOTIFY_RETRY_FIRST,
                           .user_mode = m->options.user_mode,
                           .state_directory = m->places.state,
                           .look = look_at_requests,
                           .userdata = m};
        int r = notify_command_new(&o, &m->notify);
        if (r < 0)
                log_error_errno(r, _("Out of memory."));
        return r < 0 ? EXIT_FAILURE : 0;
}

static int start_engine(Manager *m) {
        EngineOptions o = {
                .event = m->event,
                .store = m->store,
                .executor = m->executor,
                .library = m->library,
                .state_directory = m->places.state,
                .max_steps = max_steps(&m->config),
                .limits = {.max_resumes = m->config.max_resumes,
                           .hook_timeout = m->config.hook_timeout,
                           .hold_timeout = m->config.hold_timeout},
                .retry_window = m->config.retry_window,
                .observer = &observer,
                .observer_userdata = m,
        };
        int r = engine_new(&o, &m->engine);
        if (r < 0)
                log_error_errno(r, _("The engine can't be made: %m"));
        return r < 0 ? EXIT_FAILURE : 0;
}

static int attach(void *userdata, sd_bus *bus) {
        Manager *m = userdata;
        int r = bus_attach(m->bus, bus);
        if (r < 0)
                return r;
        r = log_control_attach(bus, &m->log_control);
        if (r < 0)
                bus_detach(m->bus);
        return r;
}

static void detach(void *userdata) {
        Manager *m = userdata;
        m->log_control = sd_bus_slot_unref(m->log_control);
        bus_detach(m->bus);
}

static void named(void *userdata) {
        Manager *m = userdata;
        log_debug("The name on the bus is ours.");
        if (!m->stopping)
                notify_status(m, "READY=1\n");
}

static void lost(void *userdata, int error) {
        stop(userdata, error < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int start_bus(Manager *m) {
        BusOptions o = {
                .engine = m->engine, .library = m->library, .user_mode = m->options.user_mode, .reload = reload, .reload_userdata = m};
        ConnectionOptions c = {.event = m->event,
                               .user_mode = m->options.user_mode,
                               .attach = attach,
                               .detach = detach,
                               .named = named,
                               .lost = lost,
                               .userdata = m};
        int r = bus_new(&o, &m->bus);
        if (r >= 0)
                r = connection_new(&c, &m->connection);
        if (r < 0)
                log_error_errno(r, _("Out of memory."));
        if (r >= 0)
                r = connection_open(m->connection);
        return r < 0 ? EXIT_FAILURE : 0;
}

static int start_recovery(Manager *m) {
        int r = engine_recover(m->engine);
        if (r >= 0)
                r = bus_take_snapshots(m->bus);
        if (r < 0)
                log_error_errno(r, _("The unfinished runs can't be taken up again: %m"));
        (void) malloc_trim(0);
        return r < 0 ? EXIT_FAILURE : 0;
}

static int start_name(Manager *m) {
        int r = connection_request_name(m->connection);
        if (r < 0)
                log_error_errno(r, _("The name on the bus can't be asked for: %m"));
        return r < 0 ? EXIT_FAILURE : 0;
}

/* With what the engine said in the recovery, all is known that is open. */
static int start_telling(Manager *m) {
        notify_command_recover(m->notify);
        return 0;
}

static int (*const phases[])(Manager *m) = {
        start_config,   start_state_directory, start_event_loop, start_store,    start_library,
        start_notify,   start_executor,        start_engine,     start_bus,        start_recovery, start_name, start_telling,
};

int manager_new(const ManagerOptions *o, Manager **ret) {
        Manager *m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->options = *o;
        *ret = m;
        return 0;
}

int manager_run(Manager *m) {
        for (size_t i = 0; i < ELEMENTSOF(phases); i++) {
                int r = phases[i](m);
                if (r != 0)
                        return r;
        }
        int r = sd_event_loop(m->event);
        if (r < 0)
                log_error_errno(r, _("The event loop failed: %m"));
        return r < 0 ? EXIT_FAILURE : r;
}

/* The engine may still tell things while it ends; the bus goes after it, the store last. */
Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;
        m->status = sd_event_source_disable_unref(m->status);
        engine_free(m->engine);
        notify_command_free(m->notify);
        connection_free(m->connection);
        bus_free(m->bus);
        if (m->executor)
                m->executor->ops->free(m->executor);
        library_free(m->library);
        store_close(m->store);
        sd_event_unref(m->event);
        places_done(&m->places);
        config_done(&m->config);
        free(m);
        return NULL;
}
