/* The engine as an object: making, stopping and freeing it, and its table of unfinished runs. What happens to runs is in turn.c and
 * commit.c.
 *
 * A run that is created while slots are free is decided within the same turn, so that one commit holds its creation and its first
 * step. When many are created at once, or all slots are taken, only their creation is stored at first: they are decided when nobody was
 * answered for some moments, or when a slot becomes free, or after half a second in any case. */
#include "engine-private.h"

#include <sched.h>
#include <sys/stat.h>

#include "log.h"

/* ---- runs ---- */

EngineRun *engine_run(const Engine *e, uint32_t id) {
        return intmap_get(e->runs, id);
}

int engine_run_new(Engine *e, uint32_t id, DefinitionList *takes, EngineRun **ret) {
        EngineRun *er = calloc(1, sizeof *er);
        int r = er ? intmap_put(e->runs, id, er) : -ENOMEM;

        if (r < 0) {
                free(er);
                definition_list_done(takes);
                return r;
        }
        er->engine = e;
        er->id = id;
        er->definitions = *takes;
        *takes = (DefinitionList) { 0 };
        for (DeadlineClock c = 0; c < _DEADLINE_CLOCK_MAX; c++)
                timer_item_init(&er->timers[c]);
        *ret = er;
        return 0;
}

void engine_run_attach(EngineRun *er, Run *takes) {
        er->run = takes;
        er->run->userdata = er;
        LIST_FOREACH(jobs, j, er->jobs) {
                j->activity = run_activity(takes, j->def->name);
                if (j->state >= JOB_ENDED || !j->activity)
                        continue;
                j->activity->job = j;
                if (j->state == JOB_STARTING)
                        job_await_retry(j);
        }
}

void engine_run_detach(EngineRun *er) {
        Engine *e = er->engine;

        for (DeadlineClock c = 0; c < _DEADLINE_CLOCK_MAX; c++)
                (void) timers_set(e->timers, c, &er->timers[c], USEC_INFINITY);
        scheduler_wait(&e->scheduler, &er->waiting, false);
        if (er->in_starts)
                QUEUE_REMOVE(starts, &e->starts, er);
        er->in_starts = false;
        LIST_FOREACH(jobs, j, er->jobs)
                j->activity = NULL;
        er->run = run_free(er->run);
}

static void orphan_jobs(EngineRun *er) {
        LIST_FOREACH(jobs, j, er->jobs) {
                LIST_REMOVE(jobs, er->jobs, j);
                j->run = NULL;
                if (j->state >= JOB_ENDED)
                        job_free(j);
                else
                        job_stop(j, false);
        }
}

EngineRun *engine_run_free(EngineRun *er) {
        if (!er)
                return NULL;
        engine_run_detach(er);
        if (er->in_stale)
                QUEUE_REMOVE(stale, &er->engine->stale, er);
        rows_forget(er);
        workspace_forget(er);
        orphan_jobs(er);
        (void) intmap_remove(er->engine->runs, er->id);
        definition_list_done(&er->definitions);
        free(er);
        return NULL;
}

void engine_run_retire(EngineRun *er) {
        Engine *e = er->engine;
        Run *run = TAKE_PTR(er->run);

        run->userdata = NULL;
        engine_run_free(er);
        cache_drop(e, run->id);                         /* how it was before a dead letter was cancelled */
        cache_take(e, run);                             /* who followed it will read it once more */
}

/* ---- starts that wait ---- */

/* While people ask for starts, answering them goes first: those that wait are looked at when nobody was answered for some moments. Once
 * the first has waited too long they go before I/O, until none is left. */
void engine_arm_starts(Engine *e) {
        usec_t quiet = usec_add(e->last_answer, STARTS_QUIET), aged = usec_add(e->starts_since, STARTS_AGE_MAX);

        if (!e->starts.first || e->storage == STORAGE_FAILING || e->stopping)
                return;
        (void) sd_event_source_set_priority(e->starts_source, aged < quiet ? 0 : PRIORITY_STARTS);
        (void) sd_event_source_set_time(e->starts_source, MIN(quiet, aged));
        (void) sd_event_source_set_enabled(e->starts_source, SD_EVENT_ONESHOT);
}

void engine_defer_start(Engine *e, EngineRun *er) {
        bool first = !e->starts.first;

        if (er->in_starts)
                return;
        er->in_starts = true;
        QUEUE_PUSH(starts, &e->starts, er);
        if (!first)
                return;                                 /* the timer asks again when it was not quiet long enough */
        e->starts_since = now_usec(CLOCK_MONOTONIC);
        engine_arm_starts(e);
}

static bool starts_are_due(const Engine *e) {
        usec_t now = now_usec(CLOCK_MONOTONIC);

        return now >= usec_add(e->last_answer, STARTS_QUIET) || now >= usec_add(e->starts_since, STARTS_AGE_MAX);
}

static int on_starts(sd_event_source *s, uint64_t usec, void *userdata) {
        Engine *e = userdata;
        int r = 0;

        for (unsigned n = starts_are_due(e) ? STARTS_BATCH : 0; r >= 0 && n > 0 && e->starts.first && e->storage != STORAGE_FAILING; n--) {
                Stamp now = engine_now(e);
                r = turn_decide(e, e->starts.first, &now, scheduler_grant(&e->scheduler));
        }
        engine_arm_starts(e);
        if (r >= 0)                                     /* one that is for later has a deadline now, and no commit that arms it */
                r = timers_arm(e->timers);
        return r == -ENOMEM ? turn_arm(e) : r;
}

/* ---- the engine ---- */

static int add_defer(Engine *e, sd_event_source **ret, sd_event_handler_t handler, int64_t priority, const char *name) {
        int r = sd_event_add_defer(e->event, ret, handler, e);

        if (r < 0)
                return r;
        (void) sd_event_source_set_description(*ret, name);
        r = sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(*ret, true);
        return r < 0 ? r : sd_event_source_set_priority(*ret, priority);
}

static int add_timer(Engine *e, sd_event_source **ret, usec_t accuracy, sd_event_time_handler_t handler, int64_t priority,
                     const char *name) {
        int r = sd_event_add_time(e->event, ret, CLOCK_MONOTONIC, USEC_INFINITY, accuracy, handler, e);

        if (r < 0)
                return r;
        (void) sd_event_source_set_description(*ret, name);
        r = sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(*ret, true);
        return r < 0 ? r : sd_event_source_set_priority(*ret, priority);
}

static int add_sources(Engine *e) {
        int r = add_defer(e, &e->commit_source, commit_on_event, PRIORITY_COMMIT, "commit");

        if (r >= 0)
                r = add_timer(e, &e->hold_source, 1, commit_on_time, PRIORITY_COMMIT, "commit-held");
        if (r >= 0)
                r = add_timer(e, &e->starts_source, 1, on_starts, PRIORITY_STARTS, "starts");
        if (r >= 0)
                r = add_timer(e, &e->storage_source, USEC_PER_MSEC, storage_on_retry, 0, "storage-retry");
        return r < 0 ? r : timers_new(e->event, PRIORITY_DEADLINES, turn_on_deadline, e, &e->timers);
}

static unsigned count_cpus(void) {
        cpu_set_t set;
        int n = sched_getaffinity(0, sizeof set, &set) >= 0 ? CPU_COUNT(&set) : 1;

        return (unsigned) MAX(n, 1);
}

/* The log of a failed attempt for the steps of its hooks (failure.log). */
static char *log_tail(void *userdata, const Activity *a, const Attempt *t, uint64_t start, uint64_t end) {
        const Engine *e = userdata;
        char *text = NULL;

        return exec_log_tail(e->state_directory, a->run->id, a->def->name, t->number, start, end, FAILURE_LOG_MAX, &text) >= 0 ? text
                                                                                                                               : NULL;
}

/* How far a log goes, for a step whose end nobody saw. */
static uint64_t log_size(void *userdata, const Activity *a, const Attempt *t) {
        const Engine *e = userdata;
        _cleanup_free_ char *path = exec_log_path(e->state_directory, a->run->id, a->def->name, t->number);
        struct stat st;

        return path && stat(path, &st) >= 0 ? (uint64_t) st.st_size : 0;
}

int engine_new(const EngineOptions *o, Engine **ret) {
        _cleanup_(engine_freep) Engine *e = calloc(1, sizeof *e);
        int r;

        if (!e)
                return -ENOMEM;
        *e = (Engine) {
                .event = sd_event_ref(o->event),
                .store = o->store,
                .executor = o->executor,
                .library = o->library,
                .limits = o->limits,
                .retry_window = o->retry_window,
                .observer = o->observer,
                .observer_userdata = o->observer_userdata,
                .cpus = count_cpus(),
                .scheduler.max = o->max_steps,
                .last_run = store_last_run(o->store),
        };
        e->turn = &e->turns[0];
        e->turn->serial = ++e->last_serial;
        if (!e->limits.log_tail) {
                e->limits.log_tail = log_tail;
                e->limits.log_size = log_size;
                e->limits.userdata = e;
        }
        if (e->retry_window == 0)                       /* no limit */
                e->retry_window = USEC_INFINITY;
        e->state_directory = strdup(o->state_directory);
        e->runs = intmap_new();
        e->definitions = hashmap_new();
        if (!e->state_directory || !e->runs || !e->definitions)
                return -ENOMEM;
        r = add_sources(e);
        if (r < 0)
                return r;
        count_dead_letters(e);
        e->counts_told = e->counts;
        *ret = TAKE_PTR(e);
        return 0;
}

static void free_jobs(Engine *e) {
        while (e->jobs) {
                Job *j = e->jobs;

                for (unsigned i = j->n_stops; j->exec && i < 2; i++)
                        e->executor->ops->stop(j->exec);
                job_free(j);
        }
}

static void free_runs(Engine *e) {
        void *value;

        for (size_t i = 0; intmap_iterate(e->runs, &i, NULL, &value);)
                engine_run_free(value);
        intmap_free(e->runs);
}

Engine *engine_free(Engine *e) {
        if (!e)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(e->turns); i++)
                turn_done(&e->turns[i]);
        free_jobs(e);
        free_runs(e);
        workspace_free(e);
        cache_free(e);
        definitions_free(e);
        timers_free(e->timers);
        sd_event_source_disable_unref(e->commit_source);
        sd_event_source_disable_unref(e->hold_source);
        sd_event_source_disable_unref(e->starts_source);
        sd_event_source_disable_unref(e->storage_source);
        sd_event_unref(e->event);
        free(e->state_directory);
        free(e);
        return NULL;
}

/* ---- stopping ---- */

void engine_check_stopped(Engine *e) {
        void (*stopped)(void *userdata) = e->stopped;

        if (!stopped || e->committing || e->scheduler.used > 0)
                return;
        if (e->storage != STORAGE_FAILING && (!turn_is_empty(e->turn) || e->stale.first))
                return;
        e->stopped = NULL;
        stopped(e->stopped_userdata);
}

int engine_stop(Engine *e, void (*done)(void *userdata), void *userdata) {
        int r;

        if (e->stopping)
                return -EALREADY;
        e->scheduler.closed = e->stopping = true;
        r = engine_commit(e);                           /* what has happened so far is no part of the stop */
        if (r < 0)
                return r;
        r = timers_suspend(e->timers, true);
        if (r >= 0)
                r = sd_event_source_set_enabled(e->starts_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        LIST_FOREACH(all, j, e->jobs)
                job_stop_for_shutdown(j);
        workspace_stop(e);                              /* the next daemon makes the copies anew */
        e->stopped = done;
        e->stopped_userdata = userdata;
        return sd_event_source_set_enabled(e->commit_source, SD_EVENT_ONESHOT);
}

int engine_set_max_steps(Engine *e, unsigned n) {
        e->scheduler.max = n;
        return turn_arm(e);
}

static void turn_release_memory(Turn *t) {
        uint64_t serial = t->serial;

        if (!turn_is_empty(t))
                return;
        turn_done(t);
        t->serial = serial;
}

void engine_release_memory(Engine *e) {
        if (e->committing)
                return;
        cache_trim(e, 0);
        for (size_t i = 0; i < ELEMENTSOF(e->turns); i++)
                turn_release_memory(&e->turns[i]);
}

void engine_counts(Engine *e, uint32_t *ret_active, uint32_t *ret_on_hold, uint32_t *ret_dead_letter) {
        *ret_active = e->counts.active;
        *ret_on_hold = e->counts.on_hold;
        *ret_dead_letter = e->counts.dead_letter;
}
