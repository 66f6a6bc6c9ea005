/* What a commit tells: first that its verbs may be answered, then, once for each object, what is new, changed or gone. Nothing is told
 * that is not on disk. */
#include "engine-private.h"

#include "i18n.h"
#include "log.h"

#define TELL(e, member, ...)                                            \
        do {                                                            \
                if ((e)->observer && (e)->observer->member)             \
                        (e)->observer->member(__VA_ARGS__);             \
        } while (false)

/* Does this event change what an activity shows: state, attempt, request, deadline? Steps of processes come and go without. */
static bool changes_activity(const Event *event, const Run *run) {
        static const bool always[_EVENT_TYPE_MAX] = {
                [EVENT_RUN_GAVE_UP] = true,
                [EVENT_ATTEMPT_STARTED] = true,
                [EVENT_ATTEMPT_FINISHED] = true,
                [EVENT_REQUEST_OPENED] = true,
                [EVENT_REQUEST_ANSWERED] = true,
                [EVENT_ACTIVITY_REUSED] = true,
                [EVENT_ACTIVITY_BACKOFF] = true,
                [EVENT_INPUTS_WANTED] = true,
                [EVENT_ACTIVITY_HELD] = true,
                [EVENT_ACTIVITY_DECIDED] = true,
                [EVENT_ACTIVITY_FINISHED] = true,
        };
        StepKind kind;

        if (event->activity < 0)
                return false;
        if (event->type != EVENT_STEP_FINISHED || event->step < 0)
                return always[event->type];
        kind = run->activities[event->activity]->def->steps[event->step].kind;
        return kind == STEP_APPROVAL || kind == STEP_INPUT;
}

/* Or what all of them show? A pause moves deadlines, another try of the whole run begins them all again, inputs release who waits for them. */
static bool changes_all(const Event *event) {
        return event->type == EVENT_RUN_RESUMED || event->type == EVENT_DEFINITION_CHANGED || event->type == EVENT_INPUTS_CHANGED ||
               (event->type == EVENT_RUN_STARTED && event->attempt > 1);
}

typedef struct Changed {
        Activity **items;
        size_t n, allocated;
} Changed;

static void changed_done(Changed *c) {
        free(c->items);
}

static int note_changed(Changed *c, const Event *event, const Run *run) {
        bool all = changes_all(event);
        size_t n = all ? run->runbook->n_activities : changes_activity(event, run);

        if (n > 0 && !GREEDY_REALLOC(c->items, c->allocated, c->n + n))
                return -ENOMEM;
        if (n > 0)
                memcpy(c->items + c->n, run->activities + (all ? 0 : event->activity), n * sizeof c->items[0]);
        c->n += n;
        return 0;
}

static int compare_pointers(const void *a, const void *b) {
        const Activity *x = *(Activity *const *) a, *y = *(Activity *const *) b;

        return x < y ? -1 : x > y;
}

static void tell_activities(Engine *e, const Turn *t) {
        _cleanup_(changed_done) Changed c = { 0 };
        size_t i = 0;

        if (!e->observer || !e->observer->activity_changed)
                return;
        for (size_t s = 0; s < t->n_segments; s++)
                for (; i < t->segments[s].end; i++)
                        if (note_changed(&c, t->outcome.events[i], t->segments[s].run->run) < 0) {
                                log_warning(_("Out of memory: changes of activities were not signalled"));
                                return;
                        }
        if (c.n > 0)
                qsort(c.items, c.n, sizeof c.items[0], compare_pointers);
        for (i = 0; i < c.n; i++)
                if (i == 0 || c.items[i] != c.items[i - 1])
                        e->observer->activity_changed(e->observer_userdata, c.items[i]);
}

static void tell_definitions(Engine *e, const Turn *t) {
        size_t i = 0;

        for (size_t s = 0; s < t->n_segments; s++)
                for (; i < t->segments[s].end; i++)
                        if (t->outcome.events[i]->type == EVENT_DEFINITION_CHANGED)
                                TELL(e, definition_changed, e->observer_userdata, t->segments[s].run->run);
}

static void tell_requests(Engine *e, const Turn *t) {
        for (size_t i = 0; i < t->outcome.n_effects; i++) {
                const Effect *f = &t->outcome.effects[i];

                if (f->type == EFFECT_REQUEST && f->activity->request)
                        TELL(e, request_opened, e->observer_userdata, f->activity);
                else if (f->type == EFFECT_REQUEST_RESOLVED)
                        TELL(e, request_resolved, e->observer_userdata, f->activity, f->how, f->uid);
        }
}

/* A run whose start waits is announced with what it does first, so that a burst of starts is answered before the rest of the world hears
 * of it, and one signal tells what else would take two. */
static void tell_new_runs(Engine *e, Turn *t) {
        for (size_t i = 0; i < t->n_runs; i++) {
                t->runs[i].run->is_new = false;
                if (t->runs[i].fate == ROW_ADDED)
                        TELL(e, run_added, e->observer_userdata, t->runs[i].run->run);
        }
}

static void tell_runs(Engine *e, Turn *t) {
        tell_new_runs(e, t);
        tell_definitions(e, t);
        tell_activities(e, t);
        for (size_t i = 0; i < t->n_runs; i++)
                if (t->runs[i].fate != ROW_OWED)
                        TELL(e, run_changed, e->observer_userdata, t->runs[i].run->run);
        tell_requests(e, t);
        for (size_t i = 0; i < t->n_runs; i++)
                if (run_state_is_terminal(t->runs[i].run->run->state))
                        TELL(e, run_finished, e->observer_userdata, t->runs[i].run->run);
}

/* Counts follow the rows of the store: active is what is neither ended nor on hold. */
void count_run(Engine *e, RunState state, int change) {
        if (state == RUN_ON_HOLD)
                e->counts.on_hold += (uint32_t) change;
        else if (!run_state_is_terminal(state))
                e->counts.active += (uint32_t) change;
        else if (state == RUN_EXHAUSTED || state == RUN_DLQ)
                e->dead_letters_dirty = true;
}

/* The store keeps them by triggers; after a failed read the old number stays. */
void count_dead_letters(Engine *e) {
        uint32_t exhausted, dlq;

        e->dead_letters_dirty = false;
        if (store_count_state(e->store, RUN_EXHAUSTED, &exhausted) >= 0 && store_count_state(e->store, RUN_DLQ, &dlq) >= 0)
                e->counts.dead_letter = exhausted + dlq;
}

static void tell_counts(Engine *e) {
        if (e->dead_letters_dirty)
                count_dead_letters(e);
        if (memcmp(&e->counts, &e->counts_told, sizeof e->counts) == 0)
                return;
        e->counts_told = e->counts;
        TELL(e, counts_changed, e->observer_userdata);
}

void publish_new_run(Engine *e, EngineRun *er) {
        er->is_new = false;
        TELL(e, run_added, e->observer_userdata, er->run);
}

void publish_end(Engine *e, uint32_t id, bool unannounced) {
        Run *run;

        cache_drop(e, id);
        if (engine_get_run(e, id, &run) == VERDICT_OK) {
                if (unannounced)
                        TELL(e, run_added, e->observer_userdata, run);
                TELL(e, run_changed, e->observer_userdata, run);
                TELL(e, run_finished, e->observer_userdata, run);
                TELL(e, run_removed, e->observer_userdata, run, false);
        }
        tell_counts(e);
}

void publish_turn(Engine *e, Turn *t) {
        if (t->ticket > e->decided_ticket) {
                e->decided_ticket = t->ticket;
                TELL(e, committed, e->observer_userdata, t->ticket, 0);
        }
        tell_runs(e, t);
        tell_counts(e);
}
