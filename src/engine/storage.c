/* When the storage fails. The commit that failed never happened: its verbs are answered so, children that waited for it are dismissed
 * without having executed anything, and each run that it touched is dropped and folded again from what is stored. Facts (ends of
 * steps) are kept by their jobs; deadlines come back with the fold. Until a probe succeeds (after 1 s, 2 s … 30 s) nothing is fed, no
 * deadline passes and verbs are refused; processes run on and reads go on. It is said once when that begins and once when it is over. */
#include "engine-private.h"

#include "i18n.h"
#include "log.h"

void engine_mark_stale(Engine *e, EngineRun *er) {
        if (er->in_stale)
                return;
        er->in_stale = true;
        QUEUE_PUSH(stale, &e->stale, er);
}

/* ---- taking a turn back ---- */

static void take_back_facts(Engine *e, Turn *t) {
        for (size_t i = 0; i < t->n_ended; i++) {
                t->ended[i]->applied = false;
                engine_mark_stale(e, t->ended[i]->run);
        }
}

/* A step that was started in this turn was never started. */
static void take_back_starts(Engine *e, Turn *t) {
        for (size_t i = 0; i < t->n_started; i++) {
                Job *j = t->started[i];

                if (j->state == JOB_PREPARED)
                        e->executor->ops->abandon(TAKE_PTR(j->exec));
                if (j->state < JOB_ENDED)
                        scheduler_release(&e->scheduler);
                job_free(j);
        }
        for (size_t i = t->n_effects_prepared; i < t->outcome.n_effects; i++)
                if (t->outcome.effects[i].type == EFFECT_START_STEP)
                        scheduler_release(&e->scheduler);
}

/* A run that is damaged is parked, as at a start of the daemon. */
static int park(Engine *e, EngineRun *er, const Folded *f) {
        uint32_t id = er->id;
        bool unannounced = er->row_owed;
        int r = run_park(e, id, f);

        if (r < 0)
                return r;
        count_run(e, er->row.state, -1);
        count_run(e, RUN_DLQ, 1);
        engine_run_free(er);
        publish_end(e, id, unannounced);
        return 0;
}

static int fold_again(Engine *e, EngineRun *er, bool may_write) {
        _cleanup_(folded_done) Folded f = { 0 };
        Stamp now = engine_now(e);
        int r = run_fold(e, er->id, false, NULL, &f);

        if (r == -EBADMSG && may_write)
                return park(e, er, &f);
        if (r >= 0 && !er->recovering)
                r = run_resume(f.run, &now, &e->limits);
        if (r < 0)
                return log_debug_errno(r, "Run %u can't be folded again: %m", er->id);
        definition_list_done(&er->definitions);
        er->definitions = f.definitions;
        f.definitions = (DefinitionList) { 0 };
        er->row = f.row;
        engine_run_attach(er, TAKE_PTR(f.run));
        return 0;
}

static void drop_run(Engine *e, EngineRun *er) {
        bool ended = run_state_is_terminal(er->row.state); /* a dead letter that was to be cancelled, and still is one */

        if (er->is_new) {                               /* nobody was ever told of it */
                engine_run_free(er);
                return;
        }
        if (er->run && e->observer && e->observer->run_removed)
                e->observer->run_removed(e->observer_userdata, er->run, !ended);
        if (ended) {
                engine_run_free(er);
                return;
        }
        engine_run_detach(er);
        engine_mark_stale(e, er);
        (void) fold_again(e, er, false);                /* else with the next probe */
}

static void drop_runs(Engine *e, Turn *t) {
        for (size_t i = 0; i < t->n_runs; i++)
                drop_run(e, t->runs[i].run);
        e->last_run = store_last_run(e->store);
}

/* ---- waiting ---- */

static int arm(Engine *e) {
        int r = sd_event_source_set_time_relative(e->storage_source, e->storage_delay);

        return r < 0 ? r : sd_event_source_set_enabled(e->storage_source, SD_EVENT_ONESHOT);
}

static void wait_longer(Engine *e) {
        e->storage_delay = e->storage_delay == 0 ? STORAGE_RETRY_MIN : MIN(2 * e->storage_delay, STORAGE_RETRY_MAX);
        if (arm(e) < 0)
                (void) sd_event_exit(e->event, -EIO);   /* the loop itself is broken */
}

void storage_failed(Engine *e, Turn *t, int error) {
        if (e->storage == STORAGE_FINE)
                log_error_errno(error, _("The journal can't be written. %s Nothing new is started until it can; what runs goes on."),
                                error == -ENOMEM ? strerror(ENOMEM) : store_error(e->store));
        e->storage = STORAGE_FAILING;
        e->scheduler.closed = true;
        (void) timers_suspend(e->timers, true);
        take_back_facts(e, t);
        take_back_starts(e, t);
        if (t->ticket > e->decided_ticket) {
                e->decided_ticket = t->ticket;
                if (e->observer && e->observer->committed)
                        e->observer->committed(e->observer_userdata, t->ticket, error);
        }
        drop_runs(e, t);
        wait_longer(e);
}

/* ---- and again ---- */

void storage_succeeded(Engine *e) {
        if (e->storage == STORAGE_FINE)
                return;
        e->storage = STORAGE_FINE;
        e->storage_delay = 0;
        log_notice(_("The journal can be written again; everything goes on"));
}

static int fold_missing(Engine *e) {
        LIST_FOREACH(stale, er, e->stale.first) {
                int r = er->run ? 0 : fold_again(e, er, true);
                if (r < 0)
                        return r;
        }
        return 0;
}

int storage_on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        Engine *e = userdata;
        int r = store_probe(e->store);

        if (r >= 0)
                r = fold_missing(e);
        if (r < 0) {
                log_debug_errno(r, "The journal still can't be written: %m");
                wait_longer(e);
                return 0;
        }
        e->storage = STORAGE_TRIED;
        e->scheduler.closed = e->stopping;
        r = timers_suspend(e->timers, e->stopping);
        if (r < 0)
                return r;
        engine_arm_starts(e);
        return engine_commit(e);
}
