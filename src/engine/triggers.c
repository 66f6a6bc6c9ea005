/* Runs that are started because another one failed. They are made in the turn that ends the other, so that one commit holds both:
 * whatever dies and whenever, there is exactly one of them or the failure has not happened yet. A run that was started so never triggers
 * another. What can't be started is said in the log, and does not hold up the end of the run that failed. */
#include "engine-private.h"

#include "i18n.h"
#include "log.h"

#define TRIGGER_FAILURE "failure"

const Actor engine_actor = { .uid = UID_ENGINE };

void triggered_runs_done(TriggeredRuns *l) {
        for (size_t i = 0; i < l->n; i++) {
                runbook_unref(l->items[i].runbook);
                json_unref(l->items[i].inputs);
        }
        free(l->items);
        json_unref(l->payload);
        *l = (TriggeredRuns) { 0 };
}

static bool state_triggers(RunState s) {
        return s == RUN_FAILED || s == RUN_EXHAUSTED || s == RUN_TIMED_OUT || s == RUN_REJECTED || s == RUN_DLQ;
}

RunOptions trigger_options(const TriggeredRuns *l, const TriggeredRun *run) {
        return (RunOptions) { .inputs = run->inputs, .trigger = TRIGGER_FAILURE, .payload = l->payload };
}

/* ---- what the new runs are told ---- */

/* An activity with its last `keep` attempts only. */
static int append_cut(Json *to, const Json *activity, size_t keep) {
        _cleanup_json_ Json *j = json_new_object();
        const Json *attempts = json_get(activity, "attempts");
        Json *kept = json_new_array();
        size_t n = json_length(attempts);
        int r = j && kept ? 0 : -ENOMEM;

        JSON_OBJECT_FOREACH(activity, name, value)
                if (r >= 0 && !streq(name, "attempts"))
                        r = json_set(j, name, json_ref(value));
        for (size_t i = n > keep ? n - keep : 0; r >= 0 && i < n; i++)
                r = json_append(kept, json_ref(json_at(attempts, i)));
        if (r < 0)
                json_unref(kept);
        else
                r = json_set(j, "attempts", kept);
        return r < 0 ? r : json_append(to, TAKE_PTR(j));
}

static size_t most_attempts(const Json *activities) {
        size_t most = 0;

        for (size_t i = 0; i < json_length(activities); i++)
                most = MAX(most, json_length(json_get(json_at(activities, i), "attempts")));
        return most;
}

static int set_cut(Json *payload, const Json *activities, size_t keep, bool any) {
        _cleanup_json_ Json *cut = json_new_array();
        int r = cut ? json_set_bool(payload, "cut", true) : -ENOMEM;

        for (size_t i = 0; r >= 0 && any && i < json_length(activities); i++)
                r = append_cut(cut, json_at(activities, i), keep);
        return r < 0 ? r : json_set(payload, "attempts", TAKE_PTR(cut));
}

/* Too much to hand on: of each activity half as many attempts, the last ones, until it fits. */
static int cut_attempts(Json *payload) {
        _cleanup_json_ Json *activities = json_ref(json_get(payload, "attempts"));
        size_t keep = most_attempts(activities);
        int r = 0;

        while (r >= 0 && keep > 0 && json_size(payload, TRIGGER_PAYLOAD_MAX + 1) > TRIGGER_PAYLOAD_MAX) {
                keep /= 2;
                r = set_cut(payload, activities, keep, true);
        }
        if (r >= 0 && json_size(payload, TRIGGER_PAYLOAD_MAX + 1) > TRIGGER_PAYLOAD_MAX)
                r = set_cut(payload, activities, 0, false);
        return r;
}

static int make_payload(const Failure *f, Json **ret) {
        _cleanup_json_ Json *j = json_new_object();
        Json *attempts = NULL;
        int r = j ? json_set_uint(j, "run", f->run) : -ENOMEM;

        if (r >= 0)
                r = json_set_string(j, "runbook", f->runbook);
        if (r >= 0)
                r = json_set_string(j, "state", run_state_to_string(f->state));
        if (r >= 0)
                r = json_set_string(j, "reason", f->reason);
        if (r >= 0)
                r = f->known ? run_describe_attempts(f->known, &attempts) : (attempts = json_new_array()) ? 0 : -ENOMEM;
        if (r >= 0)
                r = json_set(j, "attempts", attempts);
        if (r >= 0)
                r = cut_attempts(j);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

/* ---- which there are ---- */

static int add(Engine *e, const Failure *f, Runbook *rb, TriggeredRuns *l) {
        _cleanup_free_ char *message = NULL;
        _cleanup_json_ Json *inputs = NULL;
        int r = start_check_room(e, &message);

        if (r == VERDICT_OK)
                r = start_check_inputs(rb, rb->on_failure_inputs, false, &inputs, &message);
        if (r < 0)
                return r;
        if (r != VERDICT_OK) {
                log_warning(_("Run %u of %s ended (%s), but %s can't be started after it: %s"), f->run, f->runbook,
                            run_state_to_string(f->state), rb->name, strempty(message));
                return 0;
        }
        l->items[l->n++] = (TriggeredRun) { .runbook = runbook_ref(rb), .inputs = TAKE_PTR(inputs) };
        return 0;
}

int triggers_find(Engine *e, const Failure *f, TriggeredRuns *ret) {
        _cleanup_(triggered_runs_done) TriggeredRuns l = { 0 };
        Runbook **found;
        size_t n;
        int r;

        /* A replay or rerun of what a failure started has that failure's payload, and triggers as little. */
        if (!state_triggers(f->state) || streq_ptr(f->trigger, TRIGGER_FAILURE) || (f->known && f->known->payload))
                return 0;
        r = library_on_failure(e->library, f->runbook, &found, &n);
        if (r < 0)
                return r;
        l.items = calloc(n + 1, sizeof l.items[0]);
        if (!l.items)
                r = -ENOMEM;
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = add(e, f, found[i], &l);
        library_runbooks_free(found, n);
        if (r >= 0 && l.n > 0)
                r = make_payload(f, &l.payload);
        if (r < 0)
                return r;
        *ret = l;
        l = (TriggeredRuns) { 0 };
        return 0;
}

int triggers_fire(Engine *e, EngineRun *er) {
        _cleanup_(triggered_runs_done) TriggeredRuns l = { 0 };
        const Run *run = er->run;
        uint32_t id;
        int r = triggers_find(e, &(Failure) { .run = run->id, .runbook = run->runbook->name, .trigger = run->trigger,
                                              .reason = run->reason, .state = run->state, .known = run }, &l);

        if (r < 0 && r != -ENOMEM) {
                log_warning_errno(r, _("Run %u of %s ended, but what is to be started after it can't be found: %m"), run->id,
                                  run->runbook->name);
                return 0;
        }
        for (size_t i = 0; r >= 0 && i < l.n; i++) {
                const RunOptions options = trigger_options(&l, &l.items[i]);

                r = start_create(e, l.items[i].runbook, &options, &engine_actor, true, &id);
        }
        return r < 0 ? turn_spoil(e, r) : 0;
}
