/* A turn gathers what facts, deadlines and people have made of runs until it is committed. Every change of a run goes through here in
 * three steps: turn_reserve, a function of the model that appends to the turn's outcome, turn_book. Each is followed by turn_decide,
 * which lets the run go as far as it can and then puts it where it belongs: into the queue for slots, into the heaps of deadlines.
 *
 * Out of memory in the middle of a change leaves a run that must be folded anew: the turn is spoilt, its commit takes the path of a
 * failed one, and no fact is lost. Nothing here looks at all runs or at all activities of one. */
#include "engine-private.h"

#include "i18n.h"
#include "log.h"

Stamp engine_now(const Engine *e) {
        return (Stamp) {
                .wall = now_usec(CLOCK_REALTIME),
                .boottime = now_usec(CLOCK_BOOTTIME),
                .mono = now_usec(CLOCK_MONOTONIC),
                .boot = store_boot(e->store),
        };
}

bool turn_is_empty(const Turn *t) {
        return t->outcome.n_events == 0 && t->error == 0;
}

int turn_spoil(Engine *e, int r) {
        e->turn->error = r;
        if (e->turn->began == 0)
                e->turn->began = now_usec(CLOCK_MONOTONIC);
        return r;
}

int turn_reserve(Engine *e) {
        Turn *t = e->turn;

        if (!GREEDY_REALLOC(t->runs, t->n_runs_allocated, t->n_runs + 1) ||
            !GREEDY_REALLOC(t->segments, t->n_segments_allocated, t->n_segments + 1) ||
            !GREEDY_REALLOC(t->ended, t->n_ended_allocated, t->n_ended + 1))
                return turn_spoil(e, -ENOMEM);
        return 0;
}

static void touch(Turn *t, EngineRun *er) {
        if (er->turn == t->serial)
                return;
        er->turn = t->serial;
        t->runs[t->n_runs++] = (Touched) { .run = er };
}

int turn_book(Engine *e, EngineRun *er, int r) {
        Turn *t = e->turn;
        Segment *last = t->n_segments > 0 ? &t->segments[t->n_segments - 1] : NULL;
        size_t end = t->outcome.n_events;

        if (r < 0 && r != -EBADMSG)
                (void) turn_spoil(e, r);
        if (end > (last ? last->end : 0)) {
                if (!last || last->run != er)
                        last = &t->segments[t->n_segments++];
                *last = (Segment) { .run = er, .end = end };
                if (t->began == 0)
                        t->began = now_usec(CLOCK_MONOTONIC);
        } else if (t->error == 0)
                return r;
        touch(t, er);
        return r;
}

static int turn_place(Engine *e, EngineRun *er) {
        scheduler_wait(&e->scheduler, &er->waiting, er->run->ready.first);
        for (DeadlineClock c = 0; c < _DEADLINE_CLOCK_MAX; c++)
                if (timers_set(e->timers, c, &er->timers[c], run_next_deadline(er->run, c)) < 0)
                        return turn_spoil(e, -ENOMEM);
        if (!er->is_new)                                /* else when it is stored */
                workspace_want(er);
        return 0;
}

/* Slots are taken for what starts. Did the run end? */
static bool take_effects(Engine *e, size_t first) {
        const Outcome *o = &e->turn->outcome;
        bool finished = false;

        for (size_t i = first; i < o->n_effects; i++) {
                if (o->effects[i].type == EFFECT_START_STEP)
                        scheduler_take(&e->scheduler, 1);
                finished = finished || o->effects[i].type == EFFECT_FINISHED;
        }
        return finished;
}

int turn_decide(Engine *e, EngineRun *er, const Stamp *now, unsigned slots) {
        Outcome *o = &e->turn->outcome;
        size_t n_effects = o->n_effects;
        bool finished;
        int r;

        r = turn_reserve(e);
        if (r < 0)
                return r;
        if (er->in_starts) {
                QUEUE_REMOVE(starts, &e->starts, er);
                er->in_starts = false;
        }
        r = turn_book(e, er, run_decide(er->run, now, &e->limits, &slots, o));
        finished = take_effects(e, n_effects);
        if (r >= 0 && finished)
                r = triggers_fire(e, er);
        if (r >= 0)
                r = turn_place(e, er);
        return r < 0 ? r : turn_arm(e);
}

/* The model does not take the fact: a bug, or memory that was damaged. It is said, and the fact is dropped; what is stored stays sound. */
static int refused(Job *j) {
        Engine *e = j->engine;

        log_error(_("Run %u: the end of step %d of activity %s is not possible in the state of the run, ignored"), j->run->id, j->step,
                  j->def->name);
        job_free(j);
        return turn_arm(e);
}

static int apply_end(Engine *e, Job *j, Activity *a) {
        Run *run = j->run->run;
        Outcome *o = &e->turn->outcome;
        int r = 0;

        if (j->state == JOB_GIVEN_UP)                   /* first, so that nothing follows from the end but the end */
                r = run_give_up(run, a, &j->ended_at, strempty(j->given_up_reason), o);
        return r < 0 ? r : run_step_ended(run, a, &j->ended_at, &j->end, o);
}

int turn_feed_end(Engine *e, Job *j) {
        EngineRun *er = j->run;
        Activity *a = j->activity;
        int r = turn_reserve(e);

        if (r < 0) {
                engine_mark_stale(e, er);
                return turn_arm(e);
        }
        if (!a)
                return refused(j);
        if (a->job == j)
                a->job = NULL;
        r = turn_book(e, er, apply_end(e, j, a));
        if (r == -EBADMSG)
                return refused(j);
        if (r < 0) {
                engine_mark_stale(e, er);
                return turn_arm(e);
        }
        j->applied = true;
        e->turn->ended[e->turn->n_ended++] = j;
        if (j->state == JOB_ENDED)
                e->turn->n_processes++;
        return turn_decide(e, er, &j->ended_at, scheduler_grant(&e->scheduler));
}

static Job *earliest_fact(EngineRun *er) {
        Job *first = NULL;

        LIST_FOREACH(jobs, j, er->jobs)
                if (j->state >= JOB_ENDED && !j->applied && (!first || j->ended_at.mono < first->ended_at.mono))
                        first = j;
        return first;
}

/* Facts that had to wait are fed as if it were the moment when they happened: a deadline that passed after it did not pass before it. */
static void feed_stale_run(Engine *e, EngineRun *er) {
        Stamp now;

        for (Job *j; e->turn->error == 0 && (j = earliest_fact(er));) {
                if (turn_decide(e, er, &j->ended_at, 0) < 0)
                        return;
                (void) turn_feed_end(e, j);
        }
        if (e->turn->error == 0)
                workspace_feed(er);
        if (e->turn->error != 0)
                return;
        now = engine_now(e);
        if (er->recovering)
                (void) run_go_on(e, er);
        else
                (void) turn_decide(e, er, &now, scheduler_grant(&e->scheduler));
}

void turn_feed_stale(Engine *e) {
        while (e->stale.first && e->turn->error == 0) {
                EngineRun *er = e->stale.first;

                QUEUE_REMOVE(stale, &e->stale, er);
                er->in_stale = false;
                feed_stale_run(e, er);
                if (e->turn->error != 0)
                        engine_mark_stale(e, er);
        }
}

int turn_on_deadline(void *userdata, TimerItem *item, DeadlineClock clock) {
        EngineRun *er = container_of(item, EngineRun, timers[clock]);
        Engine *e = userdata;
        Stamp now = engine_now(e);
        int r = turn_decide(e, er, &now, scheduler_grant(&e->scheduler));

        return r == -ENOMEM ? turn_arm(e) : r;
}

/* The commit comes when no other source has anything to do, but not later than TURN_AGE_MAX or TURN_EVENTS_MAX. */
static int hurry(Engine *e) {
        const Turn *t = e->turn;

        if (e->commit_hurried || t->began == 0)
                return 0;
        if (t->outcome.n_events < TURN_EVENTS_MAX && (e->held || usec_sub(now_usec(CLOCK_MONOTONIC), t->began) < TURN_AGE_MAX))
                return 0;
        e->commit_hurried = true;
        return sd_event_source_set_priority(e->commit_source, PRIORITY_COMMIT_NOW);
}

static bool has_work(const Engine *e) {
        return !turn_is_empty(e->turn) || (e->scheduler.queue.first && scheduler_free_slots(&e->scheduler) > 0) ||
               (e->stale.first && e->storage != STORAGE_FAILING);
}

int turn_arm(Engine *e) {
        int r;

        if (e->committing || !has_work(e))
                return 0;
        r = hurry(e);
        return r < 0 ? r : sd_event_source_set_enabled(e->commit_source, SD_EVENT_ONESHOT);
}

void turn_clear(Turn *t) {
        outcome_clear(&t->outcome);
        t->n_segments = t->n_runs = t->n_ended = t->n_started = t->n_effects_prepared = 0;
        t->n_starts = t->n_processes = 0;
        t->began = 0;
        t->ticket = 0;
        t->error = 0;
}

void turn_done(Turn *t) {
        outcome_done(&t->outcome);
        free(t->segments);
        free(t->runs);
        free(t->ended);
        free(t->started);
        *t = (Turn) { 0 };
}
