/* Ends of runs whose history can't be read: the model can't be asked, so the event and the row are written as they are. A run that is
 * parked so (dlq) triggers what a failure triggers, in the same transaction: there is no turn of the loop that could hold both. It can
 * be cancelled later, likewise without the model. */
#include "engine-private.h"

#include "fd-util.h"
#include "i18n.h"
#include "log.h"
#include "utf8.h"

/* ---- the run's own row and last event ---- */

typedef struct RowText {
        RunRow row;
        char *runbook, *definition, *trigger, *labels, *dedup_key;
} RowText;

static void row_text_done(RowText *t) {
        free(t->runbook);
        free(t->definition);
        free(t->trigger);
        free(t->labels);
        free(t->dedup_key);
}

static int copy_text(const char *s, const char **ret, char **own) {
        *own = s ? strdup(s) : NULL;
        *ret = *own;
        return s && !*own ? -ENOMEM : 0;
}

static int keep_row(void *userdata, const RunRow *row) {
        RowText *t = userdata;

        t->row = *row;
        t->row.status_text = NULL;
        if (copy_text(row->runbook, &t->row.runbook, &t->runbook) < 0 ||
            copy_text(row->definition, &t->row.definition, &t->definition) < 0 ||
            copy_text(row->trigger, &t->row.trigger, &t->trigger) < 0 || copy_text(row->labels, &t->row.labels, &t->labels) < 0 ||
            copy_text(row->dedup_key, &t->row.dedup_key, &t->dedup_key) < 0)
                return -ENOMEM;
        return 0;
}

typedef struct End {
        RunState state;
        const char *reason;
        uint32_t seq;                                   /* of the last event that there is */
        const Actor *who;                               /* asked for it; NULL: nobody, it is the engine's */
        const char *comment;                            /* theirs, or NULL */
} End;

static int append(Engine *e, uint32_t id, uint32_t seq, const Stamp *now, const Actor *who, EventType type, RunState state,
                  const char *reason) {
        _cleanup_(event_freep) Event *event = event_new(type, now, who->uid, who->user);
        _cleanup_free_ char *data = NULL;
        int r;

        if (!event || login_copy(who->login, &event->login) < 0 ||
            (reason && !(event->reason = utf8_make_valid(reason, strlen(reason), EVENT_REASON_MAX))))
                return -ENOMEM;
        event->run_state = state;
        r = event_encode(event, &data);
        return r < 0 ? r : store_append_event(e->store, &(EventRow) {
                .run = id,
                .seq = seq,
                .at = now->wall,
                .boot_at = now->boottime,
                .boot = now->boot,
                .uid = event->uid,
                .user = event->user,
                .type = event_type_to_string(type),
                .data = data,
        });
}

static int write_end(Engine *e, RowText *t, const End *end) {
        uint32_t id = t->row.id, seq = end->seq;
        Stamp now = engine_now(e);
        int r = end->who ? append(e, id, ++seq, &now, end->who, EVENT_RUN_CANCEL, end->state, end->comment) : 0;

        if (r >= 0)
                r = append(e, id, ++seq, &now, &engine_actor, EVENT_RUN_FINISHED, end->state, end->reason);
        if (r < 0)
                return r;
        t->row.state = end->state;
        t->row.status_text = run_state_to_string(end->state);
        t->row.finished_at = now.wall;
        t->row.pending_requests = 0;
        t->row.n_events = seq;
        return store_put_run(e->store, &t->row);
}

/* ---- the runs that it triggers ---- */

typedef struct NewRun {
        EngineRun *run;
        Outcome outcome;
        RowCopy row;
} NewRun;

static int new_run(Engine *e, const TriggeredRuns *l, const TriggeredRun *t, NewRun *ret) {
        const RunOptions options = trigger_options(l, t);
        Stamp now = engine_now(e);
        int r = start_new(e, t->runbook, &ret->run);

        if (r < 0)
                return r;
        r = run_create(ret->run->run, &now, &engine_actor, &options, &ret->outcome);
        if (r >= 0)
                e->last_run = ret->run->id;
        return r;
}

static int new_runs(Engine *e, const TriggeredRuns *l, NewRun *ret) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < l->n; i++)
                r = new_run(e, l, &l->items[i], &ret[i]);
        return r;
}

static int write_parked(Engine *e, RowText *t, const End *end, NewRun *new, size_t n) {
        int r = store_begin(e->store);

        if (r < 0)
                return r;
        r = write_end(e, t, end);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = commit_write_run(e, new[i].run, &new[i].outcome, &new[i].row);
        if (r < 0) {
                store_rollback(e->store);
                return r;
        }
        return store_commit(e->store);
}

static void take_new_run(Engine *e, NewRun *n) {
        n->run->row = n->row;
        n->run->definitions.first->stored = true;
        count_run(e, n->row.state, 1);
        publish_new_run(e, n->run);
        engine_defer_start(e, n->run);
}

static int park_with(Engine *e, RowText *t, const End *end, const TriggeredRuns *l) {
        NewRun *new = calloc(l->n + 1, sizeof *new);
        int r = new ? new_runs(e, l, new) : -ENOMEM;

        if (r >= 0)
                r = write_parked(e, t, end, new, l->n);
        for (size_t i = 0; new && i < l->n; i++) {
                if (r >= 0)
                        take_new_run(e, &new[i]);
                else
                        engine_run_free(new[i].run);
                outcome_done(&new[i].outcome);
        }
        if (r < 0)
                e->last_run = store_last_run(e->store);
        free(new);
        return r;
}

int run_park(Engine *e, uint32_t id, const Folded *f) {
        _cleanup_(row_text_done) RowText t = { 0 };
        _cleanup_(triggered_runs_done) TriggeredRuns l = { 0 };
        const char *reason = f->reason ? f->reason : strerror(EUCLEAN);
        End end = { .state = RUN_DLQ, .reason = reason };
        int r = rows_get(e, id, keep_row, &t);

        if (r < 0)
                return r;
        end.seq = MAX(f->last_seq, t.row.n_events);
        r = triggers_find(e, &(Failure) { .run = id, .runbook = t.runbook, .trigger = t.trigger, .reason = reason, .state = RUN_DLQ,
                                          .known = f->run }, &l);
        if (r >= 0)
                r = park_with(e, &t, &end, &l);
        if (r < 0)
                return r;
        log_error(_("Run %u is damaged and was parked (dlq): %s"), id, reason);
        return 0;
}

int run_park_cancel(Engine *e, uint32_t id, uint32_t last_seq, const Actor *who, const char *comment) {
        _cleanup_(row_text_done) RowText t = { 0 };
        End end = { .state = RUN_CANCELLED, .reason = _("cancelled on request"), .who = who, .comment = comment };
        int r = store_get_run(e->store, id, keep_row, &t);

        if (r < 0)
                return r;
        end.seq = MAX(last_seq, t.row.n_events);
        return write_parked(e, &t, &end, NULL, 0);
}
