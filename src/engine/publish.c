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
                [EVENT_ACTIVITY_BACKOFF] = true,
                [EVENT_ACTIVITY_FINISHED] = true,
        };
        StepKind kind;

        if (event->activity < 0)
                return false;
        if (event->type != EVENT_STEP_FINISHED || event->step < 0)
                return always[event->type];
        kind = run->runbook->activities[event->activity].steps[event->step].kind;
        return kind == STEP_APPROVAL || kind == STEP_INPUT;
}

static int compare_pointers(const void *a, const void *b) {
        const Activity *x = *(Activity *const *) a, *y = *(Activity *const *) b;

        return x < y ? -1 : x > y;
}

static void tell_activities(Engine *e, const Turn *t) {
        _cleanup_free_ Activity **changed = NULL;
        size_t n = 0, allocated = 0, i = 0;

        if (!e->observer || !e->observer->activity_changed)
                return;
        for (size_t s = 0; s < t->n_segments; s++)
                for (; i < t->segments[s].end; i++) {
                        Run *run = t->segments[s].run->run;

                        if (!changes_activity(t->outcome.events[i], run))
                                continue;
                        if (!GREEDY_REALLOC(changed, allocated, n + 1)) {
                                log_warning(_("Out of memory: changes of activities were not signalled"));
                                return;
                        }
                        changed[n++] = &run->activities[t->outcome.events[i]->activity];
                }
        if (n > 0)
                qsort(changed, n, sizeof changed[0], compare_pointers);
        for (i = 0; i < n; i++)
                if (i == 0 || changed[i] != changed[i - 1])
                        e->observer->activity_changed(e->observer_userdata, changed[i]);
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

static void tell_runs(Engine *e, Turn *t) {
        for (size_t i = 0; i < t->n_runs; i++)
                if (t->runs[i].run->is_new) {
                        t->runs[i].run->is_new = false;
                        TELL(e, run_added, e->observer_userdata, t->runs[i].run->run);
                }
        tell_activities(e, t);
        for (size_t i = 0; i < t->n_runs; i++)
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

void publish_turn(Engine *e, Turn *t) {
        if (t->ticket > e->decided_ticket) {
                e->decided_ticket = t->ticket;
                TELL(e, committed, e->observer_userdata, t->ticket, 0);
        }
        tell_runs(e, t);
        tell_counts(e);
}
