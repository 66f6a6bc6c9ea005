/* The rows of runs, which lists are made from and unfinished runs are found by. The journal is the truth; a row says what the last commit
 * left.
 *
 * A run that was started and waits for its turn is nothing but its first event, and its row would say that once more. So it is owed one
 * until something happens to it, which is its first look in most cases, and a burst of starts is answered at the price of its events. Who
 * asks for the row meanwhile gets one that is made of the event, and after a death of the daemon the run is found by it. Nobody was told of
 * such a run but who has started it: it is announced when its row is written. */
#include "engine-private.h"

#include "digest.h"

void row_copy(const RunRow *row, RowCopy *ret) {
        memset(ret, 0, sizeof *ret);                    /* compared as a whole */
        ret->state = row->state;
        ret->had_errors = row->had_errors;
        ret->pending_requests = row->pending_requests;
        ret->attempt = row->attempt;
        ret->started_at = row->started_at;
        ret->finished_at = row->finished_at;
        ret->scheduled_for = row->scheduled_for;
        ret->status_text = quick_digest(QUICK_DIGEST_START, strempty(row->status_text), strlen(strempty(row->status_text)));
}

/* ---- of a run ---- */

/* The texts that a row has for itself. */
typedef struct RowTexts {
        char *status, *labels;
} RowTexts;

static void row_texts_done(RowTexts *t) {
        free(t->status);
        free(t->labels);
        *t = (RowTexts) { 0 };
}

/* All but the labels, which never change. The definition is the one that reading back begins with, whatever the run has gone over to. */
static int make_row(const EngineRun *er, RowTexts *text, RunRow *ret) {
        const Run *r = er->run;

        text->status = run_status_text(r);
        if (!text->status)
                return -ENOMEM;
        *ret = (RunRow) {
                .id = r->id,
                .runbook = r->runbook->name,
                .definition = er->definitions.first->hash,
                .state = r->state,
                .status_text = text->status,
                .created_at = r->created_at,
                .started_at = r->started_at,
                .finished_at = r->finished_at,
                .scheduled_for = r->scheduled_for,
                .started_by = r->started_by,
                .had_errors = r->had_errors,
                .pending_requests = run_pending_requests(r),
                .attempt = r->attempt,
                .replay_of = r->replay_of,
                .root_run = r->root_run,
                .n_events = r->last_seq,
                .trigger = r->trigger,
                .dedup_key = r->dedup_key,
        };
        return 0;
}

static int add_labels(const Json *labels, RowTexts *text, RunRow *row) {
        if (json_type(labels) != JSON_OBJECT)           /* none, or damaged */
                return 0;
        row->labels = text->labels = json_to_string(labels, false);
        return row->labels ? 0 : -ENOMEM;
}

static int make_whole_row(const EngineRun *er, RowTexts *text, RunRow *ret) {
        int r = make_row(er, text, ret);

        return r < 0 ? r : add_labels(er->run->labels, text, ret);
}

/* ---- of the event that made it ---- */

typedef struct FirstEvent {
        RunVisitor visit;
        void *userdata;
        bool found;
} FirstEvent;

static int read_first_event(const EventRow *event, Json **ret) {
        if (!streq(event->type, event_type_to_string(EVENT_RUN_CREATED)) || !event->data)
                return -EBADMSG;
        return json_parse(event->data, strlen(event->data), ret);
}

/* A row needs both; where one can't be read there is neither, and the run is damaged. */
static void take_names(const Json *data, RunRow *row) {
        const char *runbook = json_string(json_get(data, "runbook")), *definition = json_string(json_get(data, "definition"));

        row->runbook = runbook && definition ? runbook : "";
        row->definition = runbook && definition ? definition : "";
}

static int on_first_event(void *userdata, const EventRow *event) {
        FirstEvent *f = userdata;
        _cleanup_(row_texts_done) RowTexts text = { 0 };
        _cleanup_json_ Json *data = NULL;
        RunRow row = {
                .id = event->run,
                .state = RUN_QUEUED,
                .status_text = run_state_to_string(RUN_QUEUED),
                .created_at = event->at,
                .started_by = event->uid,
                .attempt = 1,
                .n_events = 1,
        };
        int r = read_first_event(event, &data);

        if (r == -ENOMEM)
                return r;
        f->found = true;
        take_names(data, &row);
        row.trigger = json_string(json_get(data, "trigger"));
        row.replay_of = json_u32(json_get(data, "replayOf"));
        row.root_run = row.replay_of > 0 ? json_u32(json_get(data, "rootRun")) : row.id;
        r = add_labels(json_get(data, "labels"), &text, &row);
        return r < 0 ? r : f->visit(f->userdata, &row);
}

int rows_get(Engine *e, uint32_t id, RunVisitor visit, void *userdata) {
        FirstEvent f = { .visit = visit, .userdata = userdata };
        int r = store_get_run(e->store, id, visit, userdata);

        if (r != -ENOENT)
                return r;
        r = store_load_events(e->store, id, 1, 1, on_first_event, &f);
        return r == 0 && !f.found ? -ENOENT : r;
}

/* ---- writing ---- */

/* Its first look, which is not far, has something to tell. One that was made with parts of another run, for a later time, or with a
 * workspace that must be copied first does not look like that. A key is found by the row, so who gives one has it at once, and is announced
 * at once. */
static bool can_wait(const EngineRun *er) {
        const Run *r = er->run;

        return er->is_new && er->in_starts && r->state == RUN_QUEUED && r->last_seq == 1 && !r->workspace_wanted && !r->dedup_key;
}

static RowFate fate_of(const EngineRun *er) {
        if (can_wait(er))
                return ROW_OWED;
        return er->is_new || er->row_owed ? ROW_ADDED : ROW_KEPT;
}

/* It is written only when it says something new. The number of events alone isn't: it is right when the run has ended. */
static int update_row(Engine *e, EngineRun *er, RowCopy *ret) {
        _cleanup_(row_texts_done) RowTexts text = { 0 };
        RunRow row;
        int r = make_row(er, &text, &row);

        if (r < 0)
                return r;
        row_copy(&row, ret);
        if (memcmp(ret, &er->row, sizeof er->row) == 0)
                return 0;
        r = add_labels(er->run->labels, &text, &row);
        return r < 0 ? r : store_put_run(e->store, &row);
}

/* The turn's runs that get their first row, on their way into the store. */
typedef struct RowsWriter {
        Touched *runs;
        size_t i, n;
        RowTexts text;
} RowsWriter;

static void rows_writer_done(RowsWriter *w) {
        row_texts_done(&w->text);
}

static int next_row(void *userdata, RunRow *ret) {
        RowsWriter *w = userdata;
        Touched *t;
        int r;

        row_texts_done(&w->text);
        while (w->i < w->n && w->runs[w->i].fate != ROW_ADDED)
                w->i++;
        if (w->i == w->n)
                return 0;
        t = &w->runs[w->i++];
        r = make_whole_row(t->run, &w->text, ret);
        if (r < 0)
                return r;
        row_copy(ret, &t->row);
        return 1;
}

static int add_rows(Engine *e, Touched *runs, size_t n) {
        _cleanup_(rows_writer_done) RowsWriter w = { .runs = runs, .n = n };

        return store_add_runs(e->store, next_row, &w);
}

/* The last run before the first that has no row when this turn is stored, but for those that could not be read back. */
static uint32_t complete_after(Engine *e, const Turn *t) {
        LIST_FOREACH(owed, er, e->owed.first)
                if (er->turn != t->serial)
                        return er->id - 1;
        for (size_t i = 0; i < t->n_runs; i++)
                if (t->runs[i].fate == ROW_OWED)
                        return t->runs[i].run->id - 1;
        return e->last_run;
}

static int note_complete(Engine *e, const Turn *t) {
        uint64_t due = (uint64_t) store_complete(e->store) + COMPLETE_STEP;
        uint32_t complete;

        if (e->last_run < due)
                return 0;
        complete = complete_after(e, t);
        if (e->unread > 0)                              /* the next start tries again, and must find it */
                complete = MIN(complete, e->unread - 1);
        return complete < due ? 0 : store_set_complete(e->store, complete);
}

int rows_write(Engine *e, Turn *t) {
        bool any_added = false;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < t->n_runs; i++) {
                Touched *x = &t->runs[i];

                x->fate = fate_of(x->run);
                any_added = any_added || x->fate == ROW_ADDED;
                if (x->fate == ROW_KEPT)
                        r = update_row(e, x->run, &x->row);
                else if (x->fate == ROW_OWED)
                        x->row = (RowCopy) { .state = RUN_QUEUED };
        }
        if (r >= 0 && any_added)
                r = add_rows(e, t->runs, t->n_runs);
        return r < 0 ? r : note_complete(e, t);
}

int rows_write_first(Engine *e, EngineRun *er, RowCopy *ret) {
        Touched t = { .run = er, .fate = ROW_ADDED };
        int r = add_rows(e, &t, 1);

        if (r >= 0)
                *ret = t.row;
        return r;
}

/* ---- what is owed ---- */

void rows_owe(EngineRun *er) {
        Engine *e = er->engine;

        er->row_owed = true;
        QUEUE_PUSH(owed, &e->owed, er);
}

void rows_forget(EngineRun *er) {
        if (!er->row_owed)
                return;
        er->row_owed = false;
        QUEUE_REMOVE(owed, &er->engine->owed, er);
}

void rows_stored(const Turn *t) {
        for (size_t i = 0; i < t->n_runs; i++)
                if (t->runs[i].fate == ROW_OWED)
                        rows_owe(t->runs[i].run);
                else
                        rows_forget(t->runs[i].run);
}

/* ---- lists ---- */

/* Rows of the store, newest first, with those between them that are owed. */
typedef struct Merge {
        Engine *engine;
        const RunFilter *filter;
        const EngineRun *next;                          /* the newest that is owed and was not shown yet */
        uint32_t n;                                     /* shown */
        bool full;                                      /* as many as are wanted */
        RunVisitor visit;
        void *userdata;
} Merge;

static int show(void *userdata, const RunRow *row) {
        Merge *m = userdata;
        int r = m->visit(m->userdata, row);

        if (r != 0)
                return r;
        m->full = ++m->n == m->filter->limit;
        return m->full;
}

static bool is_wanted(const RunFilter *f, const EngineRun *er) {
        return (f->states == 0 || (f->states & (1u << RUN_QUEUED))) && (f->before == 0 || er->id < f->before) &&
               (!f->runbook || streq(f->runbook, er->definitions.first->runbook->name));
}

/* Of what is stored, not of what a turn has made of it since. */
static int show_run(Merge *m, const EngineRun *er) {
        _cleanup_(row_texts_done) RowTexts text = { 0 };
        RunRow row;
        int r;

        if (!er->run || er->turn == m->engine->turn->serial)
                return rows_get(m->engine, er->id, show, m);
        r = make_whole_row(er, &text, &row);
        return r < 0 ? r : show(m, &row);
}

/* Those with higher numbers than this one. */
static int show_owed(Merge *m, uint32_t number) {
        int r = 0;

        for (; r == 0 && m->next && m->next->id > number; m->next = m->next->owed_prev)
                if (is_wanted(m->filter, m->next))
                        r = show_run(m, m->next);
        return r;
}

static int on_stored(void *userdata, const RunRow *row) {
        int r = show_owed(userdata, row->id);

        return r != 0 ? r : show(userdata, row);
}

int rows_list(Engine *e, const RunFilter *f, RunVisitor visit, void *userdata) {
        Merge m = { .engine = e, .filter = f, .next = e->owed.last, .visit = visit, .userdata = userdata };
        int r = store_list_runs(e->store, f, on_stored, &m);

        if (r == 0)
                r = show_owed(&m, 0);
        return m.full ? 0 : r;
}
