/* What people can ask of a run. All verbs go one way: what stands in the way of any (storage, comment, the run, the activity) is looked
 * at, the model makes its events or says why not, and a ticket is returned that may be answered when the commit of that ticket is told.
 * What can't be done is a verdict with a sentence that says what to do, and leaves no trace. Starts are in engine-start.c, replays and
 * reruns in engine-again.c. */
#include "engine-private.h"

#include <stdarg.h>
#include <stdio.h>

#include "i18n.h"

const char *verdict_to_string(Verdict v) {
        static const char *const names[_VERDICT_MAX] = {
                [VERDICT_OK] = "Ok",
                [VERDICT_NO_SUCH_RUNBOOK] = "NoSuchRunbook",
                [VERDICT_NO_SUCH_RUN] = "NoSuchRun",
                [VERDICT_NO_SUCH_ACTIVITY] = "NoSuchActivity",
                [VERDICT_NO_SUCH_STEP] = "NoSuchStep",
                [VERDICT_INVALID_RUNBOOK] = "InvalidRunbook",
                [VERDICT_INVALID_INPUT] = "InvalidInput",
                [VERDICT_INPUT_FIXED] = "InputFixed",
                [VERDICT_WRONG_STATE] = "WrongState",
                [VERDICT_ALREADY_SUCCEEDED] = "AlreadySucceeded",
                [VERDICT_ALREADY_ANSWERED] = "AlreadyAnswered",
                [VERDICT_NOT_APPROVER] = "NotApprover",
                [VERDICT_TOO_OLD] = "TooOld",
                [VERDICT_DEFINITION_CHANGED] = "DefinitionChanged",
                [VERDICT_TOO_MANY] = "TooMany",
                [VERDICT_TOO_LARGE] = "TooLarge",
                [VERDICT_STORAGE_UNAVAILABLE] = "StorageUnavailable",
        };

        return (size_t) v < ELEMENTSOF(names) ? names[v] : NULL;
}

int engine_refuse(Verdict v, char **ret_message, const char *fmt, ...) {
        va_list ap;
        int n;

        free(*ret_message);
        va_start(ap, fmt);
        n = vasprintf(ret_message, fmt, ap);
        va_end(ap);
        if (n < 0) {
                *ret_message = NULL;
                return -ENOMEM;
        }
        return v;
}

int engine_verdict(int r) {
        static const struct {
                int error;
                Verdict verdict;
        } table[] = {
                { -ESTALE, VERDICT_WRONG_STATE },
                { -ESRCH, VERDICT_WRONG_STATE },
                { -ENOENT, VERDICT_NO_SUCH_ACTIVITY },
                { -EALREADY, VERDICT_ALREADY_ANSWERED },
                { -EEXIST, VERDICT_ALREADY_SUCCEEDED },
                { -EPERM, VERDICT_NOT_APPROVER },
                { -EINVAL, VERDICT_INVALID_INPUT },
                { -EROFS, VERDICT_INPUT_FIXED },
                { -EPROTO, VERDICT_DEFINITION_CHANGED },
                { -E2BIG, VERDICT_TOO_LARGE },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (table[i].error == r)
                        return table[i].verdict;
        return r;
}

int engine_check_storage(const Engine *e, char **ret_message) {
        if (e->storage != STORAGE_FAILING)
                return VERDICT_OK;
        return engine_refuse(VERDICT_STORAGE_UNAVAILABLE, ret_message, _("Nothing was changed, because it could not be stored. %s"),
                           store_error(e->store));
}

int engine_check_comment(const char *comment, char **ret_message) {
        if (!comment || strlen(comment) <= EVENT_COMMENT_MAX)
                return VERDICT_OK;
        return engine_refuse(VERDICT_TOO_LARGE, ret_message, _("The comment is longer than %u bytes; shorten it"), EVENT_COMMENT_MAX);
}

/* ---- finding what it is about ---- */

static int row_state(void *userdata, const RunRow *row) {
        *(RunState *) userdata = row->state;
        return 0;
}

/* There is nothing to go on with; but there is another way. */
static int refuse_ended(uint32_t id, RunState state, char **ret_message) {
        if (state == RUN_SUCCESS || state == RUN_PARTIAL_SUCCESS || state == RUN_SKIPPED)
                return engine_refuse(VERDICT_WRONG_STATE, ret_message, _("Run %u has ended (%s); a new run of it: runbookctl rerun %u"), id,
                                     run_state_to_string(state), id);
        return engine_refuse(VERDICT_WRONG_STATE, ret_message, _("Run %u has ended (%s); a new run goes on where it failed: runbookctl replay %u"),
                             id, run_state_to_string(state), id);
}

/* The unfinished run of this number; where there is none, why not. */
int engine_find_run(Engine *e, uint32_t id, EngineRun **ret, char **ret_message) {
        EngineRun *er = engine_run(e, id);
        RunState state;
        int r;

        if (er && er->run) {
                *ret = er;
                return VERDICT_OK;
        }
        r = er ? -EIO : rows_get(e, id, row_state, &state);
        if (r == -ENOENT)
                return engine_refuse(VERDICT_NO_SUCH_RUN, ret_message,
                                   _("There is no run %u; “runbookctl list” shows which there are"), id);
        if (r < 0)
                return r;
        return run_state_is_terminal(state) ? refuse_ended(id, state, ret_message) : -EIO;      /* it was left alone at the start */
}

static int no_such_activity(uint32_t run, const char *name, char **ret_message) {
        return engine_refuse(VERDICT_NO_SUCH_ACTIVITY, ret_message,
                           _("Run %u has no activity “%s”; “runbookctl status %u” shows which it has"), run, name, run);
}

/* ---- the way of all verbs ---- */

typedef struct Verb {
        Engine *engine;
        EngineRun *run;
        Activity *activity;                             /* NULL: it is about the run */
        Stamp now;
        size_t n_events;                                /* in the turn, before the model's part */
} Verb;

static int begin(Engine *e, uint32_t run, const char *activity, const char *comment, Verb *ret, char **ret_message) {
        Verb v = { .engine = e, .now = engine_now(e), .n_events = e->turn->outcome.n_events };
        int r = engine_check_storage(e, ret_message);

        if (r == VERDICT_OK)
                r = engine_check_comment(comment, ret_message);
        if (r == VERDICT_OK)
                r = engine_find_run(e, run, &v.run, ret_message);
        if (r == VERDICT_OK && activity && !(v.activity = run_activity(v.run->run, activity)))
                r = no_such_activity(run, activity, ret_message);
        if (r == VERDICT_OK && (r = turn_reserve(e)) < 0)
                (void) turn_arm(e);
        if (r == VERDICT_OK)
                *ret = v;
        return r;
}

/* After the model's part: r is its result. Its events are part of the turn even when what follows fails: then the turn does. Where there
 * was nothing to change there is nothing to wait for, but what this turn has made of the run already. */
static int end(const Verb *v, int r, Ticket *ret) {
        Engine *e = v->engine;
        int verdict = engine_verdict(r);

        if (verdict > 0)
                return verdict;
        if (r == 0 && e->turn->outcome.n_events == v->n_events) {
                *ret = v->run->turn == e->turn->serial ? ++e->last_ticket : 0;
                return VERDICT_OK;
        }
        r = turn_book(e, v->run, r);
        if (r >= 0)
                r = turn_decide(e, v->run, &v->now, scheduler_grant(&e->scheduler));
        if (r < 0) {
                (void) turn_arm(e);
                return r;
        }
        *ret = ++e->last_ticket;
        return VERDICT_OK;
}

typedef int (*RunVerb)(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error);

static int do_plain(Engine *e, uint32_t run, const Actor *who, const char *comment, RunVerb verb, Ticket *ret, char **ret_message) {
        Verb v;
        int r = begin(e, run, NULL, comment, &v, ret_message);

        return r != VERDICT_OK ? r : end(&v, verb(v.run->run, &v.now, who, comment, &e->turn->outcome, ret_message), ret);
}

/* ---- verbs on a run ---- */

int engine_pause(Engine *e, uint32_t run, const Actor *who, const char *comment, Ticket *ret, char **ret_message) {
        return do_plain(e, run, who, comment, run_pause, ret, ret_message);
}

int engine_resume(Engine *e, uint32_t run, const Actor *who, const char *comment, Ticket *ret, char **ret_message) {
        return do_plain(e, run, who, comment, run_unpause, ret, ret_message);
}

int engine_start_now(Engine *e, uint32_t run, const Actor *who, const char *comment, Ticket *ret, char **ret_message) {
        return do_plain(e, run, who, comment, run_start_now, ret, ret_message);
}

int engine_reschedule(Engine *e, uint32_t run, const Actor *who, usec_t at, const char *comment, Ticket *ret, char **ret_message) {
        Verb v;
        int r = begin(e, run, NULL, comment, &v, ret_message);

        if (r == VERDICT_OK && at > START_AT_MAX)
                r = start_check_time(at, &v.now, ret_message);
        return r != VERDICT_OK ? r : end(&v, run_reschedule(v.run->run, &v.now, who, at, comment, &e->turn->outcome, ret_message), ret);
}

int engine_set_inputs(Engine *e, uint32_t run, const Actor *who, const Json *inputs, const char *comment, Ticket *ret, char **ret_message) {
        Verb v;
        int r = begin(e, run, NULL, comment, &v, ret_message);

        return r != VERDICT_OK ? r : end(&v, run_set_inputs(v.run->run, &v.now, who, inputs, comment, &e->turn->outcome, ret_message), ret);
}

/* ---- cancelling, also what was given up ---- */

static bool is_dead_letter(Engine *e, uint32_t id) {
        RunState state;

        return !engine_run(e, id) && store_get_run(e->store, id, row_state, &state) >= 0 && state == RUN_DLQ;
}

/* The model can't be asked about what can't be read. All is on disk when this returns. */
static int cancel_damaged(Engine *e, uint32_t id, const Folded *f, const Actor *who, const char *comment, Ticket *ret, char **ret_message) {
        int r = run_park_cancel(e, id, f->last_seq, who, comment);

        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return engine_refuse(VERDICT_STORAGE_UNAVAILABLE, ret_message,
                                   _("Nothing was changed, because it could not be stored. %s"), store_error(e->store));
        count_run(e, RUN_DLQ, -1);
        publish_end(e, id, false);
        *ret = 0;
        return VERDICT_OK;
}

/* It is among the unfinished ones until the commit of its end. */
static int cancel_folded(Engine *e, uint32_t id, Folded *f, const Actor *who, const char *comment, Ticket *ret, char **ret_message) {
        EngineRun *er;
        int r = engine_run_new(e, id, &f->definitions, &er);

        if (r < 0)
                return r;
        er->row = f->row;
        engine_run_attach(er, TAKE_PTR(f->run));
        r = do_plain(e, id, who, comment, run_cancel, ret, ret_message);
        if (r > 0)
                engine_run_free(er);
        return r;
}

static int cancel_dead_letter(Engine *e, uint32_t id, const Actor *who, const char *comment, Ticket *ret, char **ret_message) {
        _cleanup_(folded_done) Folded f = { 0 };
        int r = engine_check_storage(e, ret_message);

        if (r == VERDICT_OK)
                r = engine_check_comment(comment, ret_message);
        if (r != VERDICT_OK)
                return r;
        r = run_fold(e, id, false, NULL, &f);
        if (r == -EBADMSG || r == -EUCLEAN)
                return cancel_damaged(e, id, &f, who, comment, ret, ret_message);
        return r < 0 ? r : cancel_folded(e, id, &f, who, comment, ret, ret_message);
}

int engine_cancel(Engine *e, uint32_t run, const Actor *who, const char *comment, Ticket *ret, char **ret_message) {
        if (is_dead_letter(e, run))
                return cancel_dead_letter(e, run, who, comment, ret, ret_message);
        return do_plain(e, run, who, comment, run_cancel, ret, ret_message);
}

/* ---- verbs on an activity ---- */

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
        Verb v;
        int r = begin(e, run, activity, comment, &v, ret_message);

        if (r == VERDICT_WRONG_STATE)
                return late_answer(e, run, activity);
        return r != VERDICT_OK ? r
                               : end(&v, run_answer(v.run->run, v.activity, &v.now, who, approve, (Json *) fields, comment,
                                                    &e->turn->outcome, ret_message), ret);
}

int engine_provide(Engine *e, uint32_t run, const char *activity, const Actor *who, const Json *fields, const char *comment, Ticket *ret,
                   char **ret_message) {
        Verb v;
        int r = begin(e, run, activity, comment, &v, ret_message);

        if (r == VERDICT_WRONG_STATE)
                return late_answer(e, run, activity);
        return r != VERDICT_OK ? r
                               : end(&v, run_provide(v.run->run, v.activity, &v.now, who, (Json *) fields, comment, &e->turn->outcome,
                                                     ret_message), ret);
}

int engine_ignore(Engine *e, uint32_t run, const char *activity, const Actor *who, const Json *outputs, const char *comment, Ticket *ret,
                  char **ret_message) {
        Verb v;
        int r = begin(e, run, activity, comment, &v, ret_message);

        return r != VERDICT_OK ? r
                               : end(&v, run_ignore(v.run->run, v.activity, &v.now, who, (Json *) outputs, comment, &e->turn->outcome,
                                                    ret_message), ret);
}

int engine_abort(Engine *e, uint32_t run, const char *activity, const Actor *who, const char *comment, Ticket *ret, char **ret_message) {
        Verb v;
        int r = begin(e, run, activity, comment, &v, ret_message);

        return r != VERDICT_OK ? r : end(&v, run_abort(v.run->run, v.activity, &v.now, who, comment, &e->turn->outcome, ret_message), ret);
}

/* ---- retry ---- */

/* Where the activity itself has succeeded, that is said. */
static int retry_of_ended(Engine *e, uint32_t id, const char *activity, char **ret_message) {
        const Activity *a;
        Run *run;
        int r = engine_get_run(e, id, &run);

        if (r != VERDICT_OK)
                return r;
        a = run_activity(run, activity);
        if (!a)
                return no_such_activity(id, activity, ret_message);
        if (a->state == ACTIVITY_SUCCESS)
                return engine_refuse(VERDICT_ALREADY_SUCCEEDED, ret_message,
                                   _("Activity %s of run %u has succeeded; to do it again, with its phase, in a new run: "
                                     "runbookctl rerun %u --only %s"),
                                   activity, id, id, run->runbook->phases[a->def->phase].name);
        return refuse_ended(id, run->state, ret_message);
}

/* The definition as it is read now, and adopted; NULL where it is the one that the run follows anyway. The model is given it when all
 * earlier events of the run are stored, as activities get other numbers. */
static int reload_definition(Engine *e, uint32_t id, Definition **ret, char **ret_message) {
        _cleanup_(runbook_unrefp) Runbook *rb = NULL;
        EngineRun *er = engine_run(e, id);
        int r;

        if (!er || !er->run || e->storage == STORAGE_FAILING) /* which begin() will say */
                return VERDICT_OK;
        r = start_get_runbook(e, er->run->runbook->name, &rb, ret_message);
        if (r == VERDICT_OK)
                r = engine_flush(e);
        er = engine_run(e, id);
        if (r != VERDICT_OK || !er || !er->run || streq(rb->hash, er->run->runbook->hash))
                return r;
        return definition_adopt(e, rb, ret);
}

static int do_retry(Engine *e, uint32_t run, const char *activity, const Actor *who, const RetryRequest *q, Definition *takes, Ticket *ret,
                    char **ret_message) {
        Runbook *rb = takes ? takes->runbook : NULL;
        DefinitionList *l;
        Verb v;
        int r = begin(e, run, activity, q->comment, &v, ret_message);

        if (r != VERDICT_OK) {
                definition_unuse(takes);
                return r;
        }
        l = &v.run->definitions;
        r = takes ? definition_list_add(l, takes) : 0;
        if (r < 0)
                return r;
        r = end(&v, run_retry(v.run->run, v.activity, &v.now, who, rb, q->inputs, q->comment, &e->turn->outcome, ret_message), ret);
        if (rb && r > 0)
                definition_list_pop(l);
        return r;
}

int engine_retry(Engine *e, uint32_t run, const char *activity, const Actor *who, const RetryRequest *q, Ticket *ret, char **ret_message) {
        Definition *d = NULL;
        int r = q->reload ? reload_definition(e, run, &d, ret_message) : VERDICT_OK;

        if (r != VERDICT_OK)
                return r;
        r = do_retry(e, run, activity, who, q, d, ret, ret_message);
        return r == VERDICT_WRONG_STATE && !engine_run(e, run) ? retry_of_ended(e, run, activity, ret_message) : r;
}
