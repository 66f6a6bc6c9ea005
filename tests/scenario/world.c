/* See world.h. Nothing here asserts: every function returns an error and the suite says which scenario it was. */
#include "world.h"

#include <stdio.h>

#include "fd-util.h"

static char *test_log_tail(void *userdata, const Activity *a, const Attempt *t, uint64_t start, uint64_t end) {
        return xasprintf("log of %s attempt %u", a->def->name, t->number);
}

int world_know_definition(World *w, Runbook *runbook) {
        if (!GREEDY_REALLOC(w->definitions, w->n_definitions_allocated, w->n_definitions + 1))
                return -ENOMEM;
        w->definitions[w->n_definitions++] = runbook_ref(runbook);
        return 0;
}

Runbook *world_definition(const World *w, const char *hash) {
        for (size_t i = 0; i < w->n_definitions; i++)
                if (streq_ptr(w->definitions[i]->hash, hash))
                        return w->definitions[i];
        return NULL;
}

int world_init(World *w, const WorldStart *start) {
        static const Actor alice = { .uid = 1000, .user = "alice" };
        static const Stamp some_time = { .wall = 1800000000 * USEC_PER_SEC, .boottime = 1000 * USEC_PER_SEC, .mono = 900 * USEC_PER_SEC, .boot = 1 };
        RunOptions options = start->options;
        int r;

        *w = (World) {
                .runbook = runbook_ref(start->runbook), .now = start->now.wall > 0 ? start->now : some_time,
                .limits = { .max_resumes = 3, .hook_timeout = 5 * USEC_PER_MINUTE, .log_tail = test_log_tail },
                .max_slots = start->slots, .slots = start->slots, .env = json_new_object(), .argv = json_new_object(),
                .directory = json_new_object(), .resolved = json_new_array(), .again = json_new_array(),
        };
        if (options.scheduled_for > 0)                  /* a span until here */
                options.scheduled_for += w->now.wall;
        r = world_know_definition(w, start->runbook);
        if (r >= 0)
                r = run_new(start->id, w->runbook, &w->run);
        return r < 0 ? r : run_create(w->run, &w->now, start->who ? start->who : &alice, &options, &w->outcome);
}

static void stored_done(Stored *s) {
        free(s->type);
        free(s->subject);
        free(s->step);
        free(s->user);
        free(s->data);
}

static void strings_done(char **v, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(v[i]);
        free(v);
}

void world_done(World *w) {
        for (size_t i = 0; i < w->n_stored; i++)
                stored_done(&w->stored[i]);
        free(w->stored);
        strings_done(w->order, w->n_order);
        strings_done(w->stopped, w->n_stopped);
        free(w->processes);
        outcome_done(&w->outcome);
        json_unref(w->env);
        json_unref(w->argv);
        json_unref(w->directory);
        json_unref(w->resolved);
        json_unref(w->again);
        run_free(w->run);
        for (size_t i = 0; i < w->n_definitions; i++)
                runbook_unref(w->definitions[i]);
        free(w->definitions);
        runbook_unref(w->runbook);
        *w = (World) { 0 };
}

/* ---- the store ---- */

static char *dup_or_null(const char *s) {
        return s ? strdup(s) : NULL;
}

/* A turn that changes the definition begins with that, so that all its events speak of the new one. */
static int store_event(World *w, const Event *e) {
        const Runbook *rb = w->run->runbook;
        Stored *s;
        int r;

        if (!GREEDY_REALLOC(w->stored, w->n_stored_allocated, w->n_stored + 1))
                return -ENOMEM;
        s = &w->stored[w->n_stored];
        *s = (Stored) { .type = strdup(event_type_to_string(e->type)), .subject = dup_or_null(event_subject(e, rb)),
                        .step = dup_or_null(event_step_id(e, rb)), .user = dup_or_null(e->user) };
        w->n_stored++;
        r = event_encode(e, &s->data);
        if (r < 0)
                return r;
        s->row = (EventText) { .seq = e->seq, .at = e->at, .uid = e->uid, .attempt = e->attempt, .user = s->user, .type = s->type,
                        .subject = s->subject, .step = s->step, .data = s->data };
        s->row.at.mono = 0;
        return w->watcher.event ? w->watcher.event(w->watcher.userdata, w, &s->row) : 0;
}

int world_decode(const World *w, const EventText *row, const Runbook *runbook, Event **ret) {
        _cleanup_(event_freep) Event *e = NULL;
        int r = event_decode(row, runbook, &e);

        if (r < 0)
                return r;
        if (e->type == EVENT_DEFINITION_CHANGED) {
                e->runbook = runbook_ref(world_definition(w, json_string(json_get(e->data, "definition"))));
                if (!e->runbook)
                        return -ENOENT;
        }
        *ret = TAKE_PTR(e);
        return 0;
}

int world_fold(const World *w, Run **ret) {
        _cleanup_(run_freep) Run *r = NULL;
        int k = run_new(w->run->id, w->runbook, &r);

        for (size_t i = 0; k >= 0 && i < w->n_stored; i++) {
                _cleanup_(event_freep) Event *e = NULL;
                k = world_decode(w, &w->stored[i].row, r->runbook, &e);
                if (k >= 0)
                        k = run_apply(r, e);
                if (k < 0)
                        fprintf(stderr, "event %zu (%s %s) does not fold: %s\n", i + 1, w->stored[i].type, strempty(w->stored[i].subject),
                                        strerror(-k));
        }
        if (k < 0)
                return k;
        *ret = TAKE_PTR(r);
        return 0;
}

/* ---- effects ---- */

static Json *strings_to_json(char **v) {
        Json *j = json_new_array();

        for (; v && *v; v++)
                (void) json_append(j, json_new_string(*v));
        return j;
}

static char *step_key(const Activity *a, int step) {
        return xasprintf("%s/%s", a->def->name, a->def->steps[step].id);
}

char *world_process_key(const World *w, size_t i) {
        return step_key(w->processes[i].activity, w->processes[i].step);
}

/* Each name once: which of two a program gets is up to the program. */
static bool env_is_unambiguous(char *const *env) {
        for (char *const *a = env; a && *a; a++)
                for (char *const *b = env; b != a; b++)
                        if (strncmp(*a, *b, strcspn(*a, "=") + 1) == 0)
                                return false;
        return true;
}

static int note_start(World *w, const Effect *f) {
        _cleanup_free_ char *key = step_key(f->activity, f->step);

        /* The event to which the engine adds the process. */
        if (!f->event || f->event->type != EVENT_STEP_STARTED || f->event->activity != (int) f->activity->def->index ||
                        f->event->step != f->step)
                return -EBADMSG;
        if (!env_is_unambiguous(f->env))
                return -EEXIST;
        if (!key || !GREEDY_REALLOC(w->order, w->n_order_allocated, w->n_order + 1) ||
                        !GREEDY_REALLOC(w->processes, w->n_processes_allocated, w->n_processes + 1))
                return -ENOMEM;
        (void) json_set(w->env, key, strings_to_json(f->env));
        (void) json_set(w->argv, key, strings_to_json(f->argv));
        (void) json_set_string(w->directory, key, f->working_directory);
        w->order[w->n_order++] = TAKE_PTR(key);
        w->processes[w->n_processes++] = (Process) { .activity = f->activity, .step = f->step };
        return 0;
}

static int note_stop(World *w, const Effect *f) {
        for (size_t i = 0; i < w->n_processes; i++) {
                if (w->processes[i].activity != f->activity)
                        continue;
                if (w->processes[i].step != f->step || !GREEDY_REALLOC(w->stopped, w->n_stopped_allocated, w->n_stopped + 1))
                        return -EBADMSG;
                w->stopped[w->n_stopped++] = step_key(f->activity, f->step);
                w->processes[i].stops++;
                return f->again ? json_append(w->again, json_new_string(w->stopped[w->n_stopped - 1])) : 0;
        }
        return -ESRCH;
}

static int note_effect(World *w, const Effect *f) {
        switch (f->type) {
        case EFFECT_START_STEP:
                return note_start(w, f);
        case EFFECT_STOP_STEP:
                return note_stop(w, f);
        case EFFECT_REQUEST:
                w->n_requests++;
                return 0;
        case EFFECT_REQUEST_RESOLVED:
                return json_append(w->resolved, json_new_string(f->how));
        case EFFECT_FINISHED:
                w->n_finished++;
                return 0;
        }
        return 0;
}

int world_turn(World *w) {
        int r = run_decide(w->run, &w->now, &w->limits, &w->slots, &w->outcome);

        for (size_t i = 0; r >= 0 && i < w->outcome.n_events; i++)
                r = store_event(w, w->outcome.events[i]);
        for (size_t i = 0; r >= 0 && i < w->outcome.n_effects; i++)
                r = note_effect(w, &w->outcome.effects[i]);
        outcome_clear(&w->outcome);
        return r >= 0 && w->watcher.turn ? w->watcher.turn(w->watcher.userdata, w) : r;
}

static Activity *take_process(World *w, size_t i) {
        Activity *a = w->processes[i].activity;

        memmove(&w->processes[i], &w->processes[i + 1], (w->n_processes - i - 1) * sizeof w->processes[0]);
        w->n_processes--;
        if (w->slots + w->n_processes < w->max_slots)
                w->slots++;
        return a;
}

int world_end_process(World *w, size_t i, const StepEnd *end) {
        int r = run_step_ended(w->run, take_process(w, i), &w->now, end, &w->outcome);

        return r < 0 ? r : world_turn(w);
}

int world_cannot_start(World *w, size_t i) {
        _cleanup_json_ Json *error = error_new("START_FAILED", w->now.wall, "it could not be started");
        StepEnd end = { .state = STEP_FAILED, .exit_code = -1, .error = error };
        Activity *a = take_process(w, i);
        int r = run_give_up(w->run, a, &w->now, "no more processes", &w->outcome);

        if (r >= 0)
                r = run_step_ended(w->run, a, &w->now, &end, &w->outcome);
        return r < 0 ? r : world_turn(w);
}

int world_set_slots(World *w, unsigned slots) {
        w->max_slots = slots;
        w->slots = slots > w->n_processes ? slots - (unsigned) w->n_processes : 0;
        return world_turn(w);
}

/* ---- death ---- */

/* A clean stop ends what runs while nothing new may start. */
static int interrupt_clean(World *w) {
        unsigned slots = w->max_slots;
        int r = 0;

        w->max_slots = w->slots = 0;
        while (r >= 0 && w->n_processes > 0) {
                _cleanup_json_ Json *error = error_new("INTERRUPTED", w->now.wall, "stopped");
                StepEnd end = { .state = STEP_FAILED, .exit_code = -1, .error = error, .interrupted = true, .clean = true };
                r = world_end_process(w, w->n_processes - 1, &end);
        }
        w->max_slots = slots;
        return r;
}

static void reboot(World *w) {
        w->now.boot++;
        w->now.wall += USEC_PER_MINUTE;
        w->now.mono = w->now.boottime = 5 * USEC_PER_SEC;
}

int world_crash(World *w, Crash how, usec_t down) {
        Run *again = NULL;
        int r = how == CRASH_CLEAN ? interrupt_clean(w) : 0;

        if (r >= 0)
                r = world_fold(w, &again);
        if (r < 0)
                return r;
        run_free(w->run);
        w->run = again;
        w->n_processes = 0;
        w->slots = w->max_slots;
        world_pass(w, down);
        if (how == CRASH_REBOOT)
                reboot(w);
        /* An ended run is not loaded again. */
        if (run_state_is_terminal(w->run->state))
                return 0;
        r = run_recover(w->run, &w->now, &w->limits, &w->outcome);
        return r < 0 ? r : world_turn(w);
}

/* ---- time ---- */

void world_pass(World *w, usec_t span) {
        w->now.wall += span;
        w->now.boottime += span;
        w->now.mono += span;
}

void world_sleep(World *w, usec_t span) {
        w->now.wall += span;
        w->now.boottime += span;
        w->time_was_bent = true;
}

void world_set_clock(World *w, usec_t wall) {
        w->now.wall = wall;
        w->time_was_bent = true;
}

usec_t world_next_deadline(const World *w) {
        const usec_t now[_DEADLINE_CLOCK_MAX] = {
                [CLOCK_OF_STEPS] = w->now.mono, [CLOCK_OF_WAITS] = w->now.boottime, [CLOCK_OF_DATES] = w->now.wall,
        };
        usec_t next = USEC_INFINITY;

        for (DeadlineClock c = 0; c < _DEADLINE_CLOCK_MAX; c++) {
                usec_t when = run_next_deadline(w->run, c);
                if (when != USEC_INFINITY)
                        next = MIN(next, usec_sub(when, now[c]));
        }
        return next;
}
