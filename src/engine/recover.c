/* Runs come back from the store as they came to be: by folding their events. At the start of the daemon that is followed by clearing
 * away what earlier steps left (all at once, before anything goes on), by the interruptions of what was running, and by deciding what
 * is next.
 *
 * One damaged run does not stop the others: it is parked as dlq, with what is wrong with it as the reason (park.c). */
#include "engine-private.h"

#include <stdio.h>

#include "fd-util.h"
#include "i18n.h"
#include "log.h"

/* ---- folding ---- */

typedef struct Folding {
        Engine *engine;
        Folded *to;
        bool track;                                     /* Activity.job holds the identity of the running step's process */
        int error;                                      /* -EBADMSG: the rest of the events is only counted */
        char hash[65];
        char *runbook;                                  /* its name */
        char *end_reason;                               /* of the last run-finished that was only counted */
        usec_t end_at;
} Folding;

void folded_done(Folded *f) {
        f->run = run_free(f->run);
        definition_list_done(&f->definitions);
        free(TAKE_PTR(f->reason));
}

static int on_row(void *userdata, const RunRow *row) {
        Folding *f = userdata;

        row_copy(row, &f->to->row);
        (void) snprintf(f->hash, sizeof f->hash, "%s", row->definition);
        f->runbook = strdup(row->runbook);
        return f->runbook ? 0 : -ENOMEM;
}

static void track(Folding *f, const Event *e) {
        Activity *a = e->activity >= 0 ? f->to->run->activities[e->activity] : NULL;

        if (!f->track || (e->type != EVENT_STEP_STARTED && e->type != EVENT_STEP_FINISHED) || !a)
                return;
        json_unref(a->job);
        a->job = e->type == EVENT_STEP_STARTED ? json_ref(json_get(e->data, "process")) : NULL;
}

/* The event has only the hash of the definition that its run goes on with. */
static int find_definition(Folding *f, Event *e) {
        const char *hash = json_string(json_get(e->data, "definition"));
        Definition *d;
        int r = hash ? definition_load(f->engine, hash, &d, &f->to->reason) : -EBADMSG;

        if (r < 0)
                return r;
        e->runbook = runbook_ref(d->runbook);
        return definition_list_add(&f->to->definitions, d);
}

static int fold_row(Folding *f, const EventRow *row) {
        const EventText text = {
                .seq = row->seq,
                .at = { .wall = row->at, .boottime = row->boot_at, .boot = row->boot },
                .uid = row->uid,
                .user = row->user,
                .type = row->type,
                .subject = row->activity,
                .attempt = row->attempt,
                .step = row->step,
                .data = row->data,
        };
        _cleanup_(event_freep) Event *e = NULL;
        Run *run = f->to->run;
        int r;

        if (row->seq != run->last_seq + 1)
                return -EBADMSG;
        r = event_decode(&text, run->runbook, &e);
        if (r >= 0 && e->type == EVENT_DEFINITION_CHANGED)
                r = find_definition(f, e);
        if (r >= 0)
                r = run_apply(run, e);
        if (r >= 0)
                track(f, e);
        return r;
}

/* Behind the damage only the end matters, which run_park may have written. */
static int skip_row(Folding *f, const EventRow *row) {
        _cleanup_json_ Json *data = NULL;

        if (!streq(row->type, event_type_to_string(EVENT_RUN_FINISHED)) || !row->data ||
            json_parse(row->data, strlen(row->data), &data) < 0)
                return 0;
        free(f->end_reason);
        f->end_reason = strdup(strempty(json_string(json_get(data, "reason"))));
        f->end_at = row->at;
        return f->end_reason ? 0 : -ENOMEM;
}

static int say_unreadable(Folded *f, uint32_t seq, const char *type) {
        f->reason = xasprintf(_("entry %u of its history (%s) can't be read or does not follow from those before it"), seq, type);
        return f->reason ? 0 : -ENOMEM;
}

static int on_event(void *userdata, const EventRow *row) {
        Folding *f = userdata;
        int r;

        f->to->last_seq = row->seq;
        if (f->error < 0)
                return skip_row(f, row);
        r = fold_row(f, row);
        if (r != -EBADMSG)
                return r;
        f->error = r;
        r = f->to->reason ? 0 : say_unreadable(f->to, row->seq, row->type);
        return r < 0 ? r : skip_row(f, row);
}

/* Moves what was tracked into the array. */
static int take_identities(Run *run, Json *identities) {
        int r = 0;

        for (unsigned i = 0; run && i < run->runbook->n_activities; i++) {
                Json *identity = TAKE_PTR(run->activities[i]->job);

                if (identity && r >= 0)
                        r = json_append(identities, identity);
                else
                        json_unref(identity);
        }
        return r;
}

/* What the entry that made the run would have told, had it been readable. */
static int take_row(void *userdata, const RunRow *row) {
        Run *run = userdata;

        if (run->created_at > 0)
                return 0;
        run->created_at = row->created_at;
        run->started_at = row->started_at;
        run->started_by = row->started_by;
        run->replay_of = row->replay_of;
        run->root_run = row->root_run;
        run->attempt = row->attempt;
        free(run->trigger);
        run->trigger = strdup(strempty(row->trigger));
        return run->trigger ? 0 : -ENOMEM;
}

/* An ended run whose history is damaged is shown as far as it goes, with the end that the store says. */
static int end_partly(Folding *f) {
        Run *run = f->to->run;
        int r;

        if (!run || !run_state_is_terminal(f->to->row.state))
                return -EBADMSG;
        r = store_get_run(f->engine->store, run->id, take_row, run);
        if (r < 0)
                return r;
        run->state = f->to->row.state;
        run->finished_at = f->to->row.finished_at;
        run->last_seq = f->to->last_seq;
        if (f->end_reason) {
                free(run->reason);
                run->reason = TAKE_PTR(f->end_reason);
        }
        return 0;
}

/* A run whose definition can't be read has no phases to show, but still its name, times, end and reason. */
static int stand_in(Folding *f, uint32_t id) {
        _cleanup_(runbook_unrefp) Runbook *rb = calloc(1, sizeof *rb);

        if (!rb)
                return -ENOMEM;
        rb->n_ref = 1;
        rb->timeout = USEC_INFINITY;
        rb->name = TAKE_PTR(f->runbook);
        (void) snprintf(rb->hash, sizeof rb->hash, "%s", f->hash);
        rb->text = strdup("");
        if (!rb->text)
                return -ENOMEM;
        f->error = -EBADMSG;
        return run_new(id, rb, &f->to->run);
}

static int fold_events(Folding *f, uint32_t id) {
        int r = store_load_events(f->engine->store, id, 1, 0, on_event, f);

        if (r < 0)
                return r;
        if (f->to->last_seq == 0) {
                f->to->reason = strdup(_("its history is empty"));
                return f->to->reason ? -EBADMSG : -ENOMEM;
        }
        return f->error;
}

int run_fold(Engine *e, uint32_t id, bool partly, Json *identities, Folded *ret) {
        Folding f = { .engine = e, .to = ret, .track = identities };
        int r = rows_get(e, id, on_row, &f), k;

        if (r >= 0 && !*f.hash)                         /* nothing says what it is a run of */
                r = say_unreadable(ret, 1, event_type_to_string(EVENT_RUN_CREATED)) < 0 ? -ENOMEM : -EBADMSG;
        if (r >= 0)
                r = definition_load(e, f.hash, &ret->definitions.first, &ret->reason);
        if (r >= 0)
                r = run_new(id, ret->definitions.first->runbook, &ret->run);
        else if (r == -EBADMSG && partly)
                r = stand_in(&f, id);
        if (r < 0) {
                free(f.runbook);
                return r;
        }
        r = fold_events(&f, id);
        if (identities && (k = take_identities(ret->run, identities)) < 0 && r >= 0)
                r = k;
        if (r == -EBADMSG && partly)
                r = end_partly(&f);
        free(f.end_reason);
        free(f.runbook);
        return r;
}

/* ---- the start of the daemon ---- */

typedef struct Unfinished {
        uint32_t run;
        bool row_owed;
} Unfinished;

typedef struct UnfinishedRuns {
        Unfinished *items;
        size_t n, allocated;
} UnfinishedRuns;

static void unfinished_runs_done(UnfinishedRuns *u) {
        free(u->items);
}

static int add_unfinished(UnfinishedRuns *u, uint32_t run, bool row_owed) {
        if (!GREEDY_REALLOC(u->items, u->allocated, u->n + 1))
                return -ENOMEM;
        u->items[u->n++] = (Unfinished) { .run = run, .row_owed = row_owed };
        return 0;
}

static int on_unfinished(void *userdata, const RunRow *row) {
        return add_unfinished(userdata, row->id, false);
}

static int on_owed(void *userdata, uint32_t run) {
        return add_unfinished(userdata, run, true);
}

static int compare_unfinished(const void *a, const void *b) {
        const Unfinished *x = a, *y = b;

        return x->run < y->run ? -1 : x->run > y->run;
}

static int find_owed(Engine *e, UnfinishedRuns *u) {
        int r = store_runs_without_row(e->store, on_owed, u);

        if (r >= 0 || r == -ENOMEM)
                return r;
        log_error_errno(r, _("Runs that waited for their start can't be looked for and are left alone until the next start: %m"));
        e->unread = store_complete(e->store) + 1;
        return 0;
}

static int find_unfinished(Engine *e, UnfinishedRuns *u) {
        int r = store_unfinished_runs(e->store, on_unfinished, u);

        if (r >= 0)
                r = find_owed(e, u);
        if (r >= 0 && u->n > 0)
                qsort(u->items, u->n, sizeof u->items[0], compare_unfinished);
        return r;
}

static int load_run(Engine *e, const Unfinished *u, Json *identities) {
        _cleanup_(folded_done) Folded f = { 0 };
        EngineRun *er;
        int r = run_fold(e, u->run, false, identities, &f);

        if (r == -EBADMSG || r == -EUCLEAN)
                return run_park(e, u->run, &f);
        if (r < 0)
                return r;
        r = engine_run_new(e, u->run, &f.definitions, &er);
        if (r < 0)
                return r;
        er->row = f.row;
        er->recovering = true;
        if (u->row_owed)
                rows_owe(er);
        count_run(e, er->row.state, 1);
        engine_run_attach(er, TAKE_PTR(f.run));
        return 0;
}

static int load_runs(Engine *e, const UnfinishedRuns *u, Json *identities) {
        for (size_t i = 0; i < u->n; i++) {
                int r = load_run(e, &u->items[i], identities);

                if (r == -ENOMEM)
                        return r;
                if (r >= 0)
                        continue;
                log_error_errno(r, _("Run %u can't be read and is left alone until the next start: %m"), u->items[i].run);
                if (u->items[i].row_owed && e->unread == 0)
                        e->unread = u->items[i].run;
        }
        return 0;
}

/* What was created and not started waits its turn like at any other time; all else goes on at once. */
int run_go_on(Engine *e, EngineRun *er) {
        Stamp now = engine_now(e);
        size_t n_events = e->turn->outcome.n_events;
        int r = turn_reserve(e);

        if (r >= 0)
                r = turn_book(e, er, run_recover(er->run, &now, &e->limits, &e->turn->outcome));
        if (r < 0)
                return r;
        er->recovering = e->turn->outcome.n_events > n_events;
        if (!er->run->start_wanted)
                return turn_decide(e, er, &now, scheduler_grant(&e->scheduler));
        engine_defer_start(e, er);
        return 0;
}

/* A commit that fails in the middle leaves the rest for when the storage is back. */
static int go_on(Engine *e, EngineRun *er) {
        if (e->storage == STORAGE_FAILING) {
                engine_mark_stale(e, er);
                return 0;
        }
        return run_go_on(e, er);
}

static int go_on_all(Engine *e, const UnfinishedRuns *u) {
        for (size_t i = 0; i < u->n; i++) {
                EngineRun *er = engine_run(e, u->items[i].run);
                int r = er ? go_on(e, er) : 0;

                if (r >= 0 && e->turn->outcome.n_events >= TURN_EVENTS_MAX)
                        r = engine_commit(e);
                if (r < 0)
                        return r;
        }
        return engine_commit(e);
}

int engine_recover(Engine *e) {
        _cleanup_(unfinished_runs_done) UnfinishedRuns unfinished = { 0 };
        _cleanup_json_ Json *identities = json_new_array();
        int r;

        if (!identities)
                return -ENOMEM;
        r = find_unfinished(e, &unfinished);
        if (r >= 0)
                r = load_runs(e, &unfinished, identities);
        if (r >= 0)
                r = e->executor->ops->clean_up(e->executor, identities);
        if (r < 0)
                return r;
        count_dead_letters(e);
        e->counts_told = e->counts;
        if (unfinished.n > 0)
                log_info(P_("%zu unfinished run was read back", "%zu unfinished runs were read back", unfinished.n), unfinished.n);
        return go_on_all(e, &unfinished);
}
