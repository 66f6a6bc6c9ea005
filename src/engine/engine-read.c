/* What people can read. Unfinished runs are in memory; an ended one is folded from the store when somebody asks for it, and a few of
 * those are kept, since who asks once asks again. Lists and histories come straight from the store, which holds only what is
 * committed. */
#include "engine-private.h"

/* ---- ended runs ---- */

static uint64_t iteration(const Engine *e) {
        uint64_t i = 0;

        (void) sd_event_get_iteration(e->event, &i);
        return i;
}

/* Those asked for in this round of the event loop stay, however many they are: somebody may hold them. */
void cache_trim(Engine *e, size_t keep) {
        while (e->n_cache > keep) {
                size_t oldest = 0;

                for (size_t i = 1; i < e->n_cache; i++)
                        if (e->cache[i].iteration < e->cache[oldest].iteration)
                                oldest = i;
                if (e->cache[oldest].iteration >= iteration(e))
                        return;
                run_free(e->cache[oldest].run);
                e->cache[oldest] = e->cache[--e->n_cache];
        }
}

void cache_take(Engine *e, Run *takes) {
        cache_trim(e, ENGINE_FINISHED_CACHE - 1);
        if (!GREEDY_REALLOC(e->cache, e->n_cache_allocated, e->n_cache + 1)) {
                run_free(takes);
                return;
        }
        e->cache[e->n_cache++] = (CachedRun) { .run = takes, .iteration = iteration(e) };
}

static Run *cache_find(Engine *e, uint32_t id) {
        for (size_t i = 0; i < e->n_cache; i++)
                if (e->cache[i].run->id == id && !e->cache[i].outdated) {
                        e->cache[i].iteration = iteration(e);
                        return e->cache[i].run;
                }
        return NULL;
}

void cache_drop(Engine *e, uint32_t id) {
        for (size_t i = 0; i < e->n_cache; i++)
                if (e->cache[i].run->id == id)
                        e->cache[i].outdated = true;
}

void cache_free(Engine *e) {
        for (size_t i = 0; i < e->n_cache; i++)
                run_free(e->cache[i].run);
        free(e->cache);
        e->cache = NULL;
        e->n_cache = 0;
}

static int read_ended(Engine *e, uint32_t id, Run **ret) {
        _cleanup_(folded_done) Folded f = { 0 };
        int r = run_fold(e, id, true, NULL, &f);

        if (r < 0)
                return r;
        *ret = f.run;
        cache_take(e, TAKE_PTR(f.run));
        *ret = cache_find(e, id);
        return *ret ? 0 : -ENOMEM;
}

int engine_get_run(Engine *e, uint32_t id, Run **ret) {
        EngineRun *er = engine_run(e, id);
        Run *run = er ? er->run : cache_find(e, id);
        int r;

        if (run) {
                *ret = run;
                return VERDICT_OK;
        }
        r = er ? -EIO : read_ended(e, id, ret);
        return r == -ENOENT ? VERDICT_NO_SUCH_RUN : r;
}

/* ---- lists ---- */

bool engine_run_is_live(Engine *e, uint32_t id) {
        return engine_run(e, id);
}

bool engine_iterate_live(Engine *e, size_t *i, Run **ret) {
        void *value;

        while (intmap_iterate(e->runs, i, NULL, &value)) {
                EngineRun *er = value;

                if (!er->run || er->is_new)             /* nobody has been told of it */
                        continue;
                *ret = er->run;
                return true;
        }
        return false;
}

int engine_list_runs(Engine *e, const RunFilter *f, RunVisitor visit, void *userdata) {
        return rows_list(e, f, visit, userdata);
}

static int found(void *userdata, const RunRow *row) {
        return 0;
}

int engine_history(Engine *e, uint32_t run, uint32_t from, uint32_t max, EventVisitor visit, void *userdata) {
        int r = rows_get(e, run, found, NULL);

        if (r == -ENOENT)
                return VERDICT_NO_SUCH_RUN;
        return r < 0 ? r : store_load_events(e->store, run, from, max, visit, userdata);
}

/* ---- logs ---- */

static const Attempt *find_attempt(const Activity *a, uint32_t number) {
        if (number == 0)
                return activity_attempt(a);
        for (size_t i = 0; i < a->n_attempts; i++)
                if (a->attempts[i].number == number)
                        return &a->attempts[i];
        return NULL;
}

static void attempt_range(const Attempt *t, uint64_t *ret_end) {
        *ret_end = 0;
        if (t->state == ATTEMPT_RUNNING)
                *ret_end = UINT64_MAX;
        else
                for (unsigned i = 0; i < t->def->n_steps; i++)
                        *ret_end = MAX(*ret_end, t->steps[i].log_end);
}

int engine_log_location(Engine *e, uint32_t id, const char *activity, uint32_t attempt, int step, char **ret_path, uint64_t *ret_start,
                        uint64_t *ret_end, bool *ret_running) {
        const Attempt *t;
        const StepRun *s;
        Activity *a;
        Run *run;
        char *path;
        int r = engine_get_run(e, id, &run);

        if (r != VERDICT_OK)
                return r;
        a = run_activity(run, activity);
        if (!a)
                return VERDICT_NO_SUCH_ACTIVITY;
        t = find_attempt(a, attempt);
        if (!t || step < -1 || step >= (int) t->def->n_steps)
                return VERDICT_NO_SUCH_STEP;
        path = exec_log_path(e->state_directory, id, activity, t->number);
        if (!path)
                return -ENOMEM;
        s = step >= 0 ? &t->steps[step] : NULL;
        bool to_come = s && s->state == STEP_PENDING && t->state == ATTEMPT_RUNNING;
        *ret_path = path;
        *ret_running = s ? s->state == STEP_RUNNING || to_come : t->state == ATTEMPT_RUNNING;
        *ret_start = s ? s->log_start : 0;
        if (!s)
                attempt_range(t, ret_end);
        else
                *ret_end = s->state == STEP_RUNNING ? UINT64_MAX : s->log_end;
        return VERDICT_OK;
}
