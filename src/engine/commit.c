/* The commit of a turn, in the order that durability asks for:
 *
 *      slots are given out → children prepared, waiting → events and rows written, committed → children launched, others stopped → people told
 *
 * Preparing comes before writing so that a child sets itself up on one processor while the daemon writes on the other; it executes
 * nothing of the step before its intent is on disk. Launching comes before telling so that processes run while signals are composed.
 * While that is told, facts wait and are fed to the other of two turns, so that nothing is told that is not in this one. */
#include "engine-private.h"

/* ---- before ---- */

/* A slot for this run; false: nothing more can be given out. */
static bool give_slot(Engine *e, EngineRun *er, unsigned *n_unused) {
        unsigned used = e->scheduler.used;
        Stamp now = engine_now(e);

        if (turn_decide(e, er, &now, 1) < 0)
                return false;
        if (e->scheduler.used == used) {                /* it had no use for it */
                scheduler_wait(&e->scheduler, &er->waiting, false);
                ++*n_unused;
        }
        return true;
}

/* First those that are known to need a slot, then runs that were never decided: of these, which may turn out to need none, not many in
 * one turn. */
static void schedule(Engine *e) {
        SchedulerItem *item;
        unsigned unused = 0;

        while (e->turn->error == 0 && (item = scheduler_next(&e->scheduler)))
                if (!give_slot(e, container_of(item, EngineRun, waiting), &unused))
                        return;
        while (e->turn->error == 0 && e->starts.first && scheduler_free_slots(&e->scheduler) > 0 && e->turn->n_starts < STARTS_PER_TURN)
                if (!give_slot(e, e->starts.first, &e->turn->n_starts))
                        return;
}

static int prepare(Engine *e, Turn *t, size_t i) {
        Effect *f = &t->outcome.effects[i];
        Event *event = f->event;
        Job *j;
        int r;

        if (!GREEDY_REALLOC(t->started, t->n_started_allocated, t->n_started + 1))
                return -ENOMEM;
        r = job_new(e, f->activity->run->userdata, f, &j);
        if (r < 0)
                return r;
        t->started[t->n_started++] = j;
        t->n_effects_prepared = i + 1;
        r = job_prepare(j);                             /* may end the job, and let the array of effects grow */
        if (r < 0)
                job_fail_start(j, r);
        if (r != 0)
                return 0;
        if (!event->data && !(event->data = json_new_object()))
                return -ENOMEM;
        return json_set(event->data, "process", e->executor->ops->identify(j->exec));
}

static void prepare_all(Engine *e, Turn *t) {
        for (size_t i = t->n_effects_prepared; t->error == 0 && i < t->outcome.n_effects; i++) {
                int r = t->outcome.effects[i].type == EFFECT_START_STEP ? prepare(e, t, i) : 0;

                if (r < 0)
                        (void) turn_spoil(e, r);
                else
                        t->n_effects_prepared = i + 1;
        }
}

/* ---- writing ---- */

static int write_definition(Engine *e, const Definition *d) {
        return store_put_definition(e->store, d->hash, d->runbook->name, d->runbook->format == TREE_JSON ? "json" : "yaml",
                                    d->runbook->text, d->runbook->text_size);
}

static int put_definition(Engine *e, Definition *d) {
        int r;

        if (d->stored || d->put_in == e->turn->serial)
                return 0;
        r = write_definition(e, d);
        if (r < 0)
                return r;
        d->put_in = e->turn->serial;
        return 0;
}

static int put_definitions(Engine *e, const DefinitionList *l) {
        int r = put_definition(e, l->first);

        for (size_t i = 0; r >= 0 && i < l->n_later; i++)
                r = put_definition(e, l->later[i]);
        return r;
}

static int write_definitions(Engine *e, const Turn *t) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < t->n_runs; i++)
                r = put_definitions(e, &t->runs[i].run->definitions);
        return r;
}

/* Events on their way into the store, one after the other: the next of them, and the text of the one before. */
typedef struct EventsWriter {
        const Segment *segment;
        Event *const *events;
        size_t i, n;
        char *data;
} EventsWriter;

static void events_writer_done(EventsWriter *w) {
        free(w->data);
}

static int next_event(void *userdata, EventRow *ret) {
        EventsWriter *w = userdata;
        const Event *event;
        const Run *run;
        int r;

        free(TAKE_PTR(w->data));
        if (w->i == w->n)
                return 0;
        while (w->i == w->segment->end)
                w->segment++;
        event = w->events[w->i++];
        run = w->segment->run->run;
        r = event_encode(event, &w->data);
        if (r < 0)
                return r;
        *ret = (EventRow) {
                .run = run->id,
                .seq = event->seq,
                .at = event->at.wall,
                .boot_at = event->at.boottime,
                .boot = event->at.boot,
                .uid = event->uid,
                .user = event->user,
                .type = event_type_to_string(event->type),
                .activity = event_subject(event, run->runbook),
                .attempt = event->attempt,
                .step = event_step_id(event, run->runbook),
                .data = w->data,
        };
        return 1;
}

static int write_events(Engine *e, const Outcome *o, const Segment *segments) {
        _cleanup_(events_writer_done) EventsWriter w = { .segment = segments, .events = o->events, .n = o->n_events };

        return store_append_events(e->store, next_event, &w);
}

int commit_write_run(Engine *e, EngineRun *er, const Outcome *o, RowCopy *ret) {
        int r = write_definition(e, er->definitions.first);

        if (r >= 0)
                r = rows_write_first(e, er, ret);
        return r < 0 ? r : write_events(e, o, &(Segment) { .run = er, .end = o->n_events });
}

static int write_turn(Engine *e, Turn *t) {
        int r;

        if (t->error < 0)
                return t->error;
        r = store_begin(e->store);
        if (r < 0)
                return r;
        r = write_definitions(e, t);
        if (r >= 0)
                r = rows_write(e, t);
        if (r >= 0)
                r = write_events(e, &t->outcome, t->segments);
        if (r < 0) {
                store_rollback(e->store);
                return r;
        }
        return store_commit(e->store);
}

/* ---- after ---- */

static void launch_all(const Turn *t) {
        for (size_t i = 0; i < t->n_started; i++)
                if (t->started[i]->state == JOB_PREPARED)
                        job_launch(t->started[i]);
}

static void stop_all(const Turn *t) {
        for (size_t i = 0; i < t->outcome.n_effects; i++) {
                const Effect *f = &t->outcome.effects[i];

                if (f->type == EFFECT_STOP_STEP && f->activity->job)
                        job_stop(f->activity->job, f->again);
        }
}

static void note_definition(Definition *d, const Turn *t) {
        d->stored = d->stored || d->put_in == t->serial;
}

static void note_stored(Engine *e, Turn *t) {
        for (size_t i = 0; i < t->n_ended; i++)
                job_free(t->ended[i]);
        for (size_t i = 0; i < t->n_runs; i++) {
                EngineRun *er = t->runs[i].run;

                note_definition(er->definitions.first, t);
                for (size_t k = 0; k < er->definitions.n_later; k++)
                        note_definition(er->definitions.later[k], t);
                if (!er->is_new)
                        count_run(e, er->row.state, -1);
                count_run(e, t->runs[i].row.state, 1);
                er->row = t->runs[i].row;
                er->recovering = false;
        }
        rows_stored(t);
}

static void retire(Engine *e, EngineRun *er) {
        Run *run = er->run;

        if (e->observer && e->observer->run_removed)
                e->observer->run_removed(e->observer_userdata, run, false);
        engine_run_retire(er);
}

static void retire_all(Engine *e, Turn *t) {
        for (size_t i = 0; i < t->n_runs; i++)
                if (run_state_is_terminal(t->runs[i].run->run->state))
                        retire(e, t->runs[i].run);
}

static void copy_all(const Turn *t) {
        for (size_t i = 0; i < t->n_runs; i++)
                workspace_want(t->runs[i].run);
}

static void succeed(Engine *e, Turn *t) {
        bool answers = t->ticket > e->decided_ticket;

        launch_all(t);
        note_stored(e, t);
        stop_all(t);
        storage_succeeded(e);
        publish_turn(e, t);
        if (answers)
                e->last_answer = now_usec(CLOCK_MONOTONIC);
        copy_all(t);
        retire_all(e, t);
}

static PaceInput pace_input(const Engine *e) {
        const Turn *t = e->turn;

        return (PaceInput){
                .now = now_usec(CLOCK_MONOTONIC),
                .began = t->began,
                .running = e->n_running,
                .ended = t->n_processes,
                .cpus = e->cpus,
                .urgent = e->commit_hurried || t->error < 0 || e->last_ticket > e->decided_ticket || e->storage != STORAGE_FINE ||
                          e->stopping,
        };
}

static Turn *next_turn(Engine *e, Turn *t) {
        Turn *next = t == &e->turns[0] ? &e->turns[1] : &e->turns[0];

        next->serial = ++e->last_serial;
        return next;
}

static void commit_turn(Engine *e) {
        Turn *t = e->turn;
        PaceInput in = pace_input(e);
        int r;

        if (e->storage != STORAGE_FAILING)
                turn_feed_stale(e);
        schedule(e);
        if (turn_is_empty(t)) {
                if (e->storage == STORAGE_TRIED)        /* the probe was all there was to write */
                        storage_succeeded(e);
                return;
        }
        pace_committed(&e->pace, &in, e->held);
        prepare_all(e, t);
        r = write_turn(e, t);
        e->settling = true;
        t->ticket = e->last_ticket;
        e->turn = next_turn(e, t);
        if (r < 0)
                storage_failed(e, t, r);
        else
                succeed(e, t);
        turn_clear(t);
        e->settling = false;
}

static int disarm(Engine *e) {
        int r = sd_event_source_set_enabled(e->commit_source, SD_EVENT_OFF);

        if (r >= 0 && e->held)
                r = sd_event_source_set_enabled(e->hold_source, SD_EVENT_OFF);
        if (r >= 0 && e->commit_hurried)
                r = sd_event_source_set_priority(e->commit_source, PRIORITY_COMMIT);
        return r;
}

int engine_commit(Engine *e) {
        int r;

        if (e->committing)
                return 0;
        r = disarm(e);
        if (r < 0)
                return r;
        e->committing = true;
        commit_turn(e);
        e->committing = e->commit_hurried = e->held = false;
        r = timers_arm(e->timers);
        if (r < 0)
                return r;
        engine_check_stopped(e);
        return turn_arm(e);
}

int commit_on_event(sd_event_source *s, void *userdata) {
        Engine *e = userdata;
        PaceInput in = pace_input(e);
        usec_t until = turn_is_empty(e->turn) ? 0 : pace_decide(&e->pace, &in);
        int r;

        if (until == 0)
                return engine_commit(e);
        e->held = true;
        r = sd_event_source_set_time(e->hold_source, until);
        return r < 0 ? r : sd_event_source_set_enabled(e->hold_source, SD_EVENT_ONESHOT);
}

int commit_on_time(sd_event_source *s, uint64_t usec, void *userdata) {
        return engine_commit(userdata);
}

int engine_flush(Engine *e) {
        return turn_is_empty(e->turn) && !e->stale.first ? 0 : engine_commit(e);
}
