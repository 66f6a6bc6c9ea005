/* How runs come to be: what is checked before one is made, and the making, for starts by people, replays and triggers alike. What can't
 * be started is a verdict with a sentence that says what to do, and leaves no trace. */
#include "engine-private.h"

#include "i18n.h"
#include "replay.h"
#include "strbuf.h"

/* ---- checks ---- */

static int check_labels(const Json *labels, char **ret_message) {
        if (labels && json_type(labels) != JSON_OBJECT)
                return engine_refuse(VERDICT_INVALID_INPUT, ret_message, _("Labels are an object of strings"));
        if (json_length(labels) > ENGINE_LABELS_MAX)
                return engine_refuse(VERDICT_TOO_MANY, ret_message, _("A run has at most %u labels"), ENGINE_LABELS_MAX);
        JSON_OBJECT_FOREACH(labels, name, value) {
                if (json_type(value) != JSON_STRING)
                        return engine_refuse(VERDICT_INVALID_INPUT, ret_message, _("The label “%s” is no string"), name);
                if (strlen(name) > ENGINE_LABEL_SIZE_MAX || json_string_length(value) > ENGINE_LABEL_SIZE_MAX)
                        return engine_refuse(VERDICT_TOO_LARGE, ret_message, _("A label's name and value have at most %u bytes each"),
                                           ENGINE_LABEL_SIZE_MAX);
        }
        return VERDICT_OK;
}

int start_check_room(const Engine *e, char **ret_message) {
        if (intmap_size(e->runs) < ENGINE_RUNS_MAX && e->last_run < UINT32_MAX)
                return VERDICT_OK;
        return engine_refuse(VERDICT_TOO_MANY, ret_message,
                           _("There are %zu unfinished runs already; wait for some to end, or cancel some"), intmap_size(e->runs));
}

int start_check_time(usec_t at, const Stamp *now, char **ret_message) {
        _cleanup_free_ char *text = NULL;

        if (at > now->wall && at <= START_AT_MAX)
                return VERDICT_OK;
        if (at > START_AT_MAX)
                return engine_refuse(VERDICT_INVALID_INPUT, ret_message, _("The time of the start is after the year 9999"));
        text = format_timestamp(at);
        if (!text)
                return -ENOMEM;
        return engine_refuse(VERDICT_INVALID_INPUT, ret_message,
                           _("%s has passed already; give a time that is to come, or none to start at once"), text);
}

static int check_request(const Engine *e, const StartRequest *q, char **ret_message) {
        int r = engine_check_storage(e, ret_message);

        if (r == VERDICT_OK && q->dedup_key && strlen(q->dedup_key) > ENGINE_DEDUP_KEY_MAX)
                return engine_refuse(VERDICT_TOO_LARGE, ret_message, _("The dedup key is longer than %u bytes"), ENGINE_DEDUP_KEY_MAX);
        if (r == VERDICT_OK)
                r = engine_check_comment(q->comment, ret_message);
        if (r == VERDICT_OK)
                r = start_check_room(e, ret_message);
        if (r == VERDICT_OK && q->start_at > 0)
                r = start_check_time(q->start_at, &(Stamp) { .wall = now_usec(CLOCK_REALTIME) }, ret_message);
        return r == VERDICT_OK ? check_labels(q->labels, ret_message) : r;
}

static int no_such_runbook(Engine *e, const char *name, char **ret_message) {
        _cleanup_free_ char *nearest = library_nearest(e->library, name);

        if (nearest)
                return engine_refuse(VERDICT_NO_SUCH_RUNBOOK, ret_message, _("There is no runbook “%s”; did you mean “%s”?"), name,
                                     nearest);
        return engine_refuse(VERDICT_NO_SUCH_RUNBOOK, ret_message,
                           _("There is no runbook “%s”; “runbookctl runbooks” lists those there are"), name);
}

static int invalid_runbook(const Diagnostics *d, const char *file, char **ret_message) {
        const Diagnostic *first = NULL;

        for (size_t i = 0; i < d->n_items && !first; i++)
                if (d->items[i].severity == SEVERITY_ERROR)
                        first = &d->items[i];
        if (!first)
                return engine_refuse(VERDICT_INVALID_RUNBOOK, ret_message, _("%s can't be read"), strempty(file));
        if (first->line == 0)
                return engine_refuse(VERDICT_INVALID_RUNBOOK, ret_message, "%s: %s", strempty(file), first->message);
        return engine_refuse(VERDICT_INVALID_RUNBOOK, ret_message, "%s:%u:%u: %s", strempty(file), first->line, first->column,
                           first->message);
}

int start_get_runbook(Engine *e, const char *name, Runbook **ret, char **ret_message) {
        _cleanup_diag_ Diagnostics d = { 0 };
        const char *file = NULL;
        int r = runbook_name_is_valid(name) ? library_get(e->library, name, &d, ret, &file) : -ENOENT;

        if (r == -ENOENT)
                return no_such_runbook(e, name, ret_message);
        if (r == -EINVAL) {
                diag_sort(&d);
                return invalid_runbook(&d, file, ret_message);
        }
        return r;
}

static int missing_inputs(char **missing, char **ret_message) {
        _cleanup_strbuf_ StrBuf names = { 0 };
        unsigned long n = missing[1] ? 2 : 1;

        for (char **m = missing; *m; m++)
                strbuf_appendf(&names, "%s%s", m == missing ? "" : ", ", *m);
        if (names.failed)
                return -ENOMEM;
        return engine_refuse(VERDICT_INVALID_INPUT, ret_message,
                           P_("A required input has no value: %s; give it with -i NAME=VALUE",
                              "Required inputs have no value: %s; give them with -i NAME=VALUE", n), names.s);
}

int start_check_inputs(const Runbook *rb, const Json *given, bool strict, Json **ret, char **ret_message) {
        char **missing = NULL;
        int r = inputs_check(rb->inputs, rb->n_inputs, given, ret, &missing, ret_message);

        if (r >= 0 && strict && missing && missing[0]) {
                *ret = json_unref(*ret);
                r = missing_inputs(missing, ret_message);
        } else if (r < 0)
                r = engine_verdict(r);
        for (char **m = missing; m && *m; m++)
                free(*m);
        free(missing);
        return r;
}

/* 1: a run with this key is there. Those that are created in this turn are not in the store yet; there are few, and a key is rare. */
static int find_dedup(Engine *e, const Runbook *rb, const char *key, uint32_t *ret_run, Ticket *ret) {
        usec_t now = now_usec(CLOCK_REALTIME);
        int r;

        for (size_t i = e->turn->n_runs; i > 0; i--) {
                const EngineRun *er = e->turn->runs[i - 1].run;

                if (er->is_new && streq_ptr(er->run->dedup_key, key) && streq(er->run->runbook->name, rb->name)) {
                        *ret_run = er->id;
                        *ret = e->last_ticket;
                        return 1;
                }
        }
        r = store_find_dedup(e->store, rb->name, key, usec_sub(now, ENGINE_DEDUP_WINDOW), ret_run);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        *ret = 0;
        return 1;
}

/* ---- making ---- */

int start_new(Engine *e, Runbook *rb, EngineRun **ret) {
        DefinitionList l = { 0 };
        EngineRun *er;
        Run *run;
        int r = definition_adopt(e, rb, &l.first);

        if (r >= 0)
                r = engine_run_new(e, e->last_run + 1, &l, &er);
        if (r < 0)
                return r;
        er->is_new = true;
        r = run_new(er->id, er->definitions.first->runbook, &run);
        if (r < 0) {
                engine_run_free(er);
                return r;
        }
        engine_run_attach(er, run);
        *ret = er;
        return 0;
}

/* Now, if there is a free slot; else, or after others in this turn had no use for theirs, it waits for a slot that nobody else wants,
 * or a quiet moment. */
static int start(Engine *e, EngineRun *er, const Stamp *now, bool deferred) {
        unsigned slots = scheduler_grant(&e->scheduler), used = e->scheduler.used;
        int r;

        if (!deferred && slots > 0 && !e->starts.first && e->turn->n_starts < STARTS_PER_TURN) {
                r = turn_decide(e, er, now, slots);
                e->turn->n_starts += e->scheduler.used == used;
                return r;
        }
        engine_defer_start(e, er);
        return turn_arm(e);
}

int start_create(Engine *e, Runbook *rb, const RunOptions *options, const Actor *who, bool deferred, uint32_t *ret_run) {
        Stamp now = engine_now(e);
        EngineRun *er;
        int r = turn_reserve(e);

        if (r >= 0)
                r = start_new(e, rb, &er);
        if (r < 0)
                return r;
        r = turn_book(e, er, run_create(er->run, &now, who, options, &e->turn->outcome));
        if (r < 0)
                return r;
        e->last_run = er->id;
        r = start(e, er, &now, deferred);
        if (r < 0)
                return r;
        *ret_run = er->id;
        return 0;
}

static int start_checked(Engine *e, Runbook *rb, const StartRequest *q, Json *inputs, const Actor *who, uint32_t *ret_run, Ticket *ret) {
        const RunOptions options = {
                .inputs = inputs,
                .labels = (Json *) q->labels,
                .trigger = "manual",
                .dedup_key = q->dedup_key,
                .comment = q->comment,
                .scheduled_for = q->start_at,
                .only = q->only,
        };
        int r = start_create(e, rb, &options, who, false, ret_run);

        if (r < 0)
                return r;
        *ret = ++e->last_ticket;
        return VERDICT_OK;
}

int engine_start_run(Engine *e, const StartRequest *q, const Actor *who, uint32_t *ret_run, Ticket *ret, char **ret_message) {
        _cleanup_(runbook_unrefp) Runbook *rb = NULL;
        _cleanup_json_ Json *inputs = NULL;
        int r = check_request(e, q, ret_message);

        if (r == VERDICT_OK)
                r = start_get_runbook(e, q->runbook, &rb, ret_message);
        if (r != VERDICT_OK)
                return r;
        if (q->dedup_key) {
                r = find_dedup(e, rb, q->dedup_key, ret_run, ret);
                if (r != 0)
                        return r < 0 ? r : VERDICT_OK;
        }
        if (q->only)
                r = engine_verdict(check_selection(rb, q->only, ret_message));
        if (r == VERDICT_OK)
                r = start_check_inputs(rb, q->inputs, q->strict, &inputs, ret_message);
        if (r == VERDICT_OK)
                r = start_checked(e, rb, q, inputs, who, ret_run, ret);
        if (e->turn->error < 0)
                (void) turn_arm(e);
        return r;
}
