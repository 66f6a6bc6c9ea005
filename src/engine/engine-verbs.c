/* What people can ask for. Each verb checks, lets the model make its event, and returns a ticket: it may be answered when the commit
 * of that ticket is told. What can't be done is a verdict with a sentence that says what to do, and leaves no trace. */
#include "engine-private.h"

#include <stdarg.h>
#include <stdio.h>

#include "i18n.h"
#include "strbuf.h"
#include "utf8.h"

const char *verdict_to_string(Verdict v) {
        static const char *const names[_VERDICT_MAX] = {
                [VERDICT_OK] = "Ok",
                [VERDICT_NO_SUCH_RUNBOOK] = "NoSuchRunbook",
                [VERDICT_NO_SUCH_RUN] = "NoSuchRun",
                [VERDICT_NO_SUCH_ACTIVITY] = "NoSuchActivity",
                [VERDICT_NO_SUCH_STEP] = "NoSuchStep",
                [VERDICT_INVALID_RUNBOOK] = "InvalidRunbook",
                [VERDICT_INVALID_INPUT] = "InvalidInput",
                [VERDICT_WRONG_STATE] = "WrongState",
                [VERDICT_ALREADY_ANSWERED] = "AlreadyAnswered",
                [VERDICT_NOT_APPROVER] = "NotApprover",
                [VERDICT_TOO_MANY] = "TooMany",
                [VERDICT_TOO_LARGE] = "TooLarge",
                [VERDICT_STORAGE_UNAVAILABLE] = "StorageUnavailable",
        };

        return (size_t) v < ELEMENTSOF(names) ? names[v] : NULL;
}

static int _printf_(3, 4) refuse(Verdict v, char **ret_message, const char *fmt, ...) {
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vasprintf(ret_message, fmt, ap);
        va_end(ap);
        if (n < 0) {
                *ret_message = NULL;
                return -ENOMEM;
        }
        return v;
}

/* ---- common ---- */

static int check_storage(const Engine *e, char **ret_message) {
        if (e->storage != STORAGE_FAILING)
                return VERDICT_OK;
        return refuse(VERDICT_STORAGE_UNAVAILABLE, ret_message, _("Nothing was changed, because it could not be stored. %s"),
                      store_error(e->store));
}

static int check_comment(const char *comment, char **ret_message) {
        if (!comment || strlen(comment) <= EVENT_COMMENT_MAX)
                return VERDICT_OK;
        return refuse(VERDICT_TOO_LARGE, ret_message, _("The comment is longer than %u bytes; shorten it"), EVENT_COMMENT_MAX);
}

static int verdict_of_model(int r) {
        switch (r) {
        case -ESTALE:
                return VERDICT_WRONG_STATE;
        case -EALREADY:
                return VERDICT_ALREADY_ANSWERED;
        case -EPERM:
                return VERDICT_NOT_APPROVER;
        case -EINVAL:
                return VERDICT_INVALID_INPUT;
        case -E2BIG:
                return VERDICT_TOO_LARGE;
        default:
                return r;
        }
}

/* After the model's part of a verb: r is its result. The event, if there is one, is part of the turn even when what follows fails:
 * then the turn does. */
static int finish(Engine *e, EngineRun *er, int r, const Stamp *now, Ticket *ret) {
        int verdict = verdict_of_model(r);

        if (verdict > 0)
                return verdict;
        r = turn_book(e, er, r);
        if (r >= 0)
                r = turn_decide(e, er, now, scheduler_grant(&e->scheduler));
        if (r < 0) {
                (void) turn_arm(e);
                return r;
        }
        *ret = ++e->last_ticket;
        return VERDICT_OK;
}

static int row_state(void *userdata, const RunRow *row) {
        *(RunState *) userdata = row->state;
        return 0;
}

/* The unfinished run of this number; where there is none, why not. */
static int find_run(Engine *e, uint32_t id, EngineRun **ret, char **ret_message) {
        EngineRun *er = engine_run(e, id);
        RunState state;
        int r;

        if (er && er->run) {
                *ret = er;
                return VERDICT_OK;
        }
        r = er ? -EIO : store_get_run(e->store, id, row_state, &state);
        if (r == -ENOENT)
                return refuse(VERDICT_NO_SUCH_RUN, ret_message, _("There is no run %u; “runbookctl list” shows which there are"), id);
        return r < 0 ? r : refuse(VERDICT_WRONG_STATE, ret_message, _("Run %u has ended (%s)"), id, run_state_to_string(state));
}

/* ---- start ---- */

static int check_labels(const Json *labels, char **ret_message) {
        if (labels && json_type(labels) != JSON_OBJECT)
                return refuse(VERDICT_INVALID_INPUT, ret_message, _("Labels are an object of strings"));
        if (json_length(labels) > ENGINE_LABELS_MAX)
                return refuse(VERDICT_TOO_MANY, ret_message, _("A run has at most %u labels"), ENGINE_LABELS_MAX);
        JSON_OBJECT_FOREACH(labels, name, value) {
                if (json_type(value) != JSON_STRING)
                        return refuse(VERDICT_INVALID_INPUT, ret_message, _("The label “%s” is no string"), name);
                if (strlen(name) > ENGINE_LABEL_SIZE_MAX || json_string_length(value) > ENGINE_LABEL_SIZE_MAX)
                        return refuse(VERDICT_TOO_LARGE, ret_message, _("A label's name and value have at most %u bytes each"),
                                      ENGINE_LABEL_SIZE_MAX);
        }
        return VERDICT_OK;
}

static int check_request(const Engine *e, const StartRequest *q, char **ret_message) {
        int r = check_storage(e, ret_message);

        if (r == VERDICT_OK && q->dedup_key && strlen(q->dedup_key) > ENGINE_DEDUP_KEY_MAX)
                return refuse(VERDICT_TOO_LARGE, ret_message, _("The dedup key is longer than %u bytes"), ENGINE_DEDUP_KEY_MAX);
        if (r == VERDICT_OK && (intmap_size(e->runs) >= ENGINE_RUNS_MAX || e->last_run == UINT32_MAX))
                return refuse(VERDICT_TOO_MANY, ret_message,
                              _("There are %zu unfinished runs already; wait for some to end, or cancel some"), intmap_size(e->runs));
        return r == VERDICT_OK ? check_labels(q->labels, ret_message) : r;
}

static int no_such_runbook(Engine *e, const char *name, char **ret_message) {
        _cleanup_free_ char *nearest = library_nearest(e->library, name);

        if (nearest)
                return refuse(VERDICT_NO_SUCH_RUNBOOK, ret_message, _("There is no runbook “%s”; did you mean “%s”?"), name, nearest);
        return refuse(VERDICT_NO_SUCH_RUNBOOK, ret_message, _("There is no runbook “%s”; “runbookctl runbooks” lists those there are"),
                      name);
}

static int invalid_runbook(const Diagnostics *d, const char *file, char **ret_message) {
        const Diagnostic *first = NULL;

        for (size_t i = 0; i < d->n_items && !first; i++)
                if (d->items[i].severity == SEVERITY_ERROR)
                        first = &d->items[i];
        if (!first)
                return refuse(VERDICT_INVALID_RUNBOOK, ret_message, _("%s can't be read"), strempty(file));
        if (first->line == 0)
                return refuse(VERDICT_INVALID_RUNBOOK, ret_message, "%s: %s", strempty(file), first->message);
        return refuse(VERDICT_INVALID_RUNBOOK, ret_message, "%s:%u:%u: %s", strempty(file), first->line, first->column, first->message);
}

static int get_runbook(Engine *e, const char *name, Runbook **ret, char **ret_message) {
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

static int missing_inputs(char **missing, char **ret_message) {
        _cleanup_strbuf_ StrBuf names = { 0 };

        for (char **m = missing; *m; m++)
                strbuf_appendf(&names, "%s%s", m == missing ? "" : ", ", *m);
        if (names.failed)
                return -ENOMEM;
        return refuse(VERDICT_INVALID_INPUT, ret_message,
                      P_("A required input has no value: %s; give it with -i NAME=VALUE",
                         "Required inputs have no value: %s; give them with -i NAME=VALUE", missing[1] ? 2ul : 1ul),
                      names.s);
}

static int check_inputs(const Runbook *rb, const Json *given, Json **ret, char **ret_message) {
        char **missing = NULL;
        int r = inputs_check(rb->inputs, rb->n_inputs, given, ret, &missing, ret_message);

        if (r >= 0 && missing && missing[0]) {
                *ret = json_unref(*ret);
                r = missing_inputs(missing, ret_message);
        } else if (r < 0)
                r = verdict_of_model(r);
        for (char **m = missing; m && *m; m++)
                free(*m);
        free(missing);
        return r;
}

static int new_run(Engine *e, Runbook *rb, EngineRun **ret) {
        Definition *d;
        EngineRun *er;
        Run *run;
        int r = turn_reserve(e);

        if (r >= 0)
                r = definition_adopt(e, rb, &d);
        if (r >= 0)
                r = engine_run_new(e, e->last_run + 1, d, &er);
        if (r < 0)
                return r;
        er->is_new = true;
        r = run_new(er->id, d->runbook, &run);
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
static int start(Engine *e, EngineRun *er, const Stamp *now) {
        unsigned slots = scheduler_grant(&e->scheduler), used = e->scheduler.used;
        int r;

        if (slots > 0 && !e->starts.first && e->turn->n_starts < STARTS_PER_TURN) {
                r = turn_decide(e, er, now, slots);
                e->turn->n_starts += e->scheduler.used == used;
                return r;
        }
        if (!e->starts.first)
                e->starts_since = now->mono;
        else if (usec_sub(now->mono, e->starts_since) > STARTS_AGE_MAX)
                (void) sd_event_source_set_priority(e->starts_source, 0);
        engine_defer_start(e, er);
        return turn_arm(e);
}

static int create(Engine *e, Runbook *rb, const StartRequest *q, Json *inputs, const Actor *who, uint32_t *ret_run, Ticket *ret) {
        Stamp now = engine_now(e);
        const RunOptions options = { .inputs = inputs, .labels = (Json *) q->labels, .trigger = "manual", .dedup_key = q->dedup_key, .comment = q->comment };
        EngineRun *er;
        int r = new_run(e, rb, &er);

        if (r < 0)
                return r;
        r = turn_book(e, er, run_create(er->run, &now, who, &options, &e->turn->outcome));
        if (r < 0)
                return r;
        e->last_run = er->id;
        r = start(e, er, &now);
        if (r < 0)
                return r;
        *ret_run = er->id;
        *ret = ++e->last_ticket;
        return VERDICT_OK;
}

int engine_start_run(Engine *e, const StartRequest *q, const Actor *who, uint32_t *ret_run, Ticket *ret, char **ret_message) {
        _cleanup_(runbook_unrefp) Runbook *rb = NULL;
        _cleanup_json_ Json *inputs = NULL;
        int r = check_request(e, q, ret_message);

        if (r == VERDICT_OK)
                r = get_runbook(e, q->runbook, &rb, ret_message);
        if (r != VERDICT_OK)
                return r;
        if (q->dedup_key) {
                r = find_dedup(e, rb, q->dedup_key, ret_run, ret);
                if (r != 0)
                        return r < 0 ? r : VERDICT_OK;
        }
        r = check_inputs(rb, q->inputs, &inputs, ret_message);
        if (r == VERDICT_OK)
                r = create(e, rb, q, inputs, who, ret_run, ret);
        if (e->turn->error < 0)
                (void) turn_arm(e);
        return r;
}

/* ---- cancel, answer ---- */

int engine_cancel(Engine *e, uint32_t run, const Actor *who, const char *comment, Ticket *ret, char **ret_message) {
        Stamp now = engine_now(e);
        EngineRun *er;
        int r = check_storage(e, ret_message);

        if (r == VERDICT_OK)
                r = check_comment(comment, ret_message);
        if (r == VERDICT_OK)
                r = find_run(e, run, &er, ret_message);
        if (r == VERDICT_OK)
                r = turn_reserve(e);
        if (r != VERDICT_OK)
                return r;
        return finish(e, er, run_cancel(er->run, &now, who, comment, &e->turn->outcome, ret_message), &now, ret);
}

static int find_activity(const EngineRun *er, const char *name, Activity **ret, char **ret_message) {
        *ret = run_activity(er->run, name);
        if (*ret)
                return VERDICT_OK;
        return refuse(VERDICT_NO_SUCH_ACTIVITY, ret_message, _("Run %u has no activity “%s”; “runbookctl status %u” shows which it has"),
                      er->id, name, er->id);
}

/* Who comes second learns that somebody has answered, also when that was the end of the run. */
static int late_answer(Engine *e, uint32_t id, const char *activity) {
        const Activity *a;
        Run *run;

        if (engine_get_run(e, id, &run) != VERDICT_OK)
                return VERDICT_WRONG_STATE;
        a = run_activity(run, activity);
        return a && activity_was_answered(a) ? VERDICT_ALREADY_ANSWERED : VERDICT_WRONG_STATE;
}

int engine_answer(Engine *e, uint32_t run, const char *activity, const Actor *who, bool approve, const Json *fields, const char *comment,
                  Ticket *ret, char **ret_message) {
        Stamp now = engine_now(e);
        EngineRun *er;
        Activity *a;
        int r = check_storage(e, ret_message);

        if (r == VERDICT_OK)
                r = check_comment(comment, ret_message);
        if (r == VERDICT_OK)
                r = find_run(e, run, &er, ret_message);
        if (r == VERDICT_WRONG_STATE)
                r = late_answer(e, run, activity);
        if (r == VERDICT_OK)
                r = find_activity(er, activity, &a, ret_message);
        if (r == VERDICT_OK)
                r = turn_reserve(e);
        if (r != VERDICT_OK)
                return r;
        return finish(e, er, run_answer(er->run, a, &now, who, approve, (Json *)fields, comment, &e->turn->outcome, ret_message), &now,
                      ret);
}
