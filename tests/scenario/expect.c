/* What a scenario may expect: tables of names, each with the function that finds the value. A value is compared whole; the few that are
 * compared in part say so. */
#include "scenario.h"

#include <stdio.h>

#include "fd-util.h"

static void expect_equal(Scenario *s, const char *what, const Json *expected, Json *takes) {
        _cleanup_json_ Json *found = takes;

        if (json_equal(expected, found))
                return;
        _cleanup_free_ char *x = json_to_string(expected, false), *y = json_to_string(found, false);
        scenario_fail(s, "%s: expected %s, found %s", what, strempty(x), strempty(y));
}

static Json *string_or_null(const char *v) {
        return v ? json_new_string(v) : NULL;
}

static Json *seconds(usec_t t) {
        return t == USEC_INFINITY ? NULL : json_new_double((double) t / 1e6);
}

static Json *string_list(char *const *v, size_t n) {
        Json *j = json_new_array();

        for (size_t i = 0; i < n; i++)
                (void) json_append(j, json_new_string(v[i]));
        return j;
}

/* ---- of the run ---- */

static Json *run_state_value(const World *w) { return json_new_string(run_state_to_string(w->run->state)); }
static Json *had_errors(const World *w) { return json_new_bool(w->run->had_errors); }
static Json *pending_requests(const World *w) { return json_new_uint(run_pending_requests(w->run)); }
static Json *reason(const World *w) { return string_or_null(w->run->reason); }
static Json *order(const World *w) { return string_list(w->order, w->n_order); }
static Json *stopped(const World *w) { return string_list(w->stopped, w->n_stopped); }
static Json *running(const World *w) { return json_new_uint(w->n_processes); }
static Json *again(const World *w) { return json_ref(w->again); }
static Json *requests(const World *w) { return json_new_uint(w->n_requests); }
static Json *resolved(const World *w) { return json_ref(w->resolved); }
static Json *finished(const World *w) { return json_new_uint(w->n_finished); }
static Json *started(const World *w) { return json_new_bool(w->run->started_at > 0); }
static Json *elapsed(const World *w) { return seconds(w->now.wall - w->run->created_at); }
static Json *next(const World *w) { return seconds(world_next_deadline(w)); }
static Json *run_attempt(const World *w) { return json_new_uint(w->run->attempt); }
static Json *inputs(const World *w) { return json_ref(w->run->inputs); }
static Json *trigger(const World *w) { return string_or_null(w->run->trigger); }
static Json *number_of_run(uint32_t n) { return n > 0 ? json_new_uint(n) : NULL; }
static Json *replay_of(const World *w) { return number_of_run(w->run->replay_of); }
static Json *root_run(const World *w) { return number_of_run(w->run->root_run); }
/* From the creation of the run, on the wall clock; null where there is none. */
static Json *since_creation(const World *w, usec_t at) { return at > 0 ? seconds(at - w->run->created_at) : NULL; }
static Json *next_retry_of_run(const World *w) { return since_creation(w, w->run->next_retry_at); }
static Json *scheduled_for(const World *w) { return since_creation(w, w->run->scheduled_for); }
static Json *started_after(const World *w) { return since_creation(w, w->run->started_at); }

static Json *status_text(const World *w) {
        _cleanup_free_ char *text = run_status_text(w->run);
        return json_new_string(strempty(text));
}

static Json *events(const World *w) {
        Json *j = json_new_array();

        for (size_t i = 0; i < w->n_stored; i++)
                (void) json_append(j, json_new_string(w->stored[i].type));
        return j;
}

static Json *counts(const World *w) {
        Json *j = json_new_object();

        for (ActivityState i = 0; i < _ACTIVITY_STATE_MAX; i++)
                if (w->run->counts[i] > 0)
                        (void) json_set_uint(j, activity_state_to_string(i), w->run->counts[i]);
        return j;
}

static const struct {
        const char *name;
        Json *(*value)(const World *w);
} run_values[] = {
        { "run", run_state_value }, { "statusText", status_text }, { "hadErrors", had_errors }, { "pendingRequests", pending_requests },
                        { "reason", reason },
        { "order", order },         { "stopped", stopped },        { "running", running },      { "again", again },
                        { "requests", requests },
        { "resolved", resolved },   { "finished", finished },      { "started", started },      { "elapsed", elapsed },
                        { "next", next },
        { "events", events },       { "counts", counts },          { "attempt", run_attempt },  { "inputs", inputs },
        { "trigger", trigger },     { "replayOf", replay_of },     { "rootRun", root_run },
        { "nextRetryAt", next_retry_of_run }, { "scheduledFor", scheduled_for }, { "startedAfter", started_after },
};

/* ---- of an activity ---- */

static Json *activity_state(const World *w, const Activity *a) { return json_new_string(activity_state_to_string(a->state)); }
static Json *activity_outputs(const World *w, const Activity *a) { return json_ref(a->outputs); }
static Json *activity_reason(const World *w, const Activity *a) { return string_or_null(a->reason); }
static Json *error(const World *w, const Activity *a) { return string_or_null(json_string(json_get(activity_error(a), "code"))); }
static Json *message(const World *w, const Activity *a) { return string_or_null(json_string(json_get(activity_error(a), "message"))); }
static Json *waiting_for(const World *w, const Activity *a) {
        return string_or_null(a->request ? waiting_for_to_string(a->request->kind) : NULL);
}
/* From the creation of the run, on the wall clock. */
static Json *next_retry(const World *w, const Activity *a) {
        return since_creation(w, a->next_retry_at);
}
static Json *deadline(const World *w, const Activity *a) {
        return since_creation(w, a->request ? a->request->deadline : 0);
}
static Json *reused_from(const World *w, const Activity *a) { return number_of_run(a->reused_from); }

static Json *attempts(const World *w, const Activity *a) {
        Json *j = json_new_array();

        for (size_t i = 0; i < a->n_attempts; i++)
                (void) json_append(j, json_new_string(attempt_state_to_string(a->attempts[i].state)));
        return j;
}

static Json *causes(const World *w, const Activity *a) {
        Json *j = json_new_array();

        for (size_t i = 0; i < a->n_attempts; i++)
                (void) json_append(j, json_new_string(cause_to_string(a->attempts[i].cause)));
        return j;
}

static Json *attempt_errors(const World *w, const Activity *a) {
        Json *j = json_new_array();

        for (size_t i = 0; i < a->n_attempts; i++)
                (void) json_append(j, string_or_null(json_string(json_get(a->attempts[i].error, "code"))));
        return j;
}

/* "pre:1=success step-1=failed": what an attempt shows. */
static char *steps_text(const Attempt *t) {
        StrBuf b = { 0 };

        for (unsigned i = 0; t && i < t->def->n_steps; i++)
                if (t->steps[i].state != STEP_PENDING || t->def->steps[i].list <= LIST_MAIN)
                        strbuf_appendf(&b, "%s%s=%s", b.n > 0 ? " " : "", t->def->steps[i].id, step_state_to_string(t->steps[i].state));
        return strbuf_take(&b);
}

static Json *steps(const World *w, const Activity *a) {
        _cleanup_free_ char *text = steps_text(activity_attempt(a));
        return json_new_string(strempty(text));
}

static Json *all_steps(const World *w, const Activity *a) {
        Json *j = json_new_array();

        for (size_t i = 0; i < a->n_attempts; i++) {
                _cleanup_free_ char *text = steps_text(&a->attempts[i]);
                (void) json_append(j, json_new_string(strempty(text)));
        }
        return j;
}

/* Error codes of the newest attempt's steps, where they have one. */
static Json *step_errors(const World *w, const Activity *a) {
        const Attempt *t = activity_attempt(a);
        Json *j = json_new_object();

        for (unsigned i = 0; t && i < t->def->n_steps; i++)
                if (t->steps[i].error)
                        (void) json_set_string(j, t->def->steps[i].id, error_code(t->steps[i].error));
        return j;
}

/* Steps of the newest attempt that were taken over from an earlier one. */
static Json *reused(const World *w, const Activity *a) {
        const Attempt *t = activity_attempt(a);
        Json *j = json_new_array();

        for (unsigned i = 0; t && i < t->def->n_steps; i++)
                if (t->steps[i].reused)
                        (void) json_append(j, json_new_string(t->def->steps[i].id));
        return j;
}

/* Waits before retries, in seconds. */
static Json *waits(const World *w, const Activity *a) {
        Json *j = json_new_array();

        for (size_t i = 0; i < w->n_stored; i++) {
                const Stored *e = &w->stored[i];
                _cleanup_json_ Json *data = NULL;

                if (streq(e->type, "activity-backoff") && streq(e->subject, a->def->name) &&
                                json_parse(e->data, strlen(e->data), &data) >= 0)
                        (void) json_append(j, json_new_double((double) json_int(json_get(data, "span")) / 1e6));
        }
        return j;
}

static Json *history(const World *w, const Activity *a) {
        Json *j = json_new_array();

        for (size_t i = 0; i < w->n_stored; i++)
                if (streq_ptr(w->stored[i].subject, a->def->name))
                        (void) json_append(j, json_new_string(w->stored[i].type));
        return j;
}

static const struct {
        const char *name;
        Json *(*value)(const World *w, const Activity *a);
} activity_values[] = {
        { "activities", activity_state }, { "outputs", activity_outputs }, { "reasons", activity_reason }, { "errors", error },
                        { "messages", message },
        { "waitingFor", waiting_for },    { "nextRetry", next_retry },     { "deadlines", deadline },      { "attempts", attempts },
                        { "causes", causes },
        { "attemptErrors", attempt_errors }, { "steps", steps },           { "allSteps", all_steps },      { "stepErrors", step_errors },
                        { "waits", waits },
        { "history", history },           { "reusedFrom", reused_from },   { "reused", reused },
};

static void expect_activities(Scenario *s, size_t k, const Json *map) {
        JSON_OBJECT_FOREACH(map, name, value) {
                const Activity *a = run_activity(s->world.run, name);
                _cleanup_free_ char *label = xasprintf("%s of %s", activity_values[k].name, name);
                if (!a)
                        scenario_fail(s, "no activity %s", name);
                else
                        expect_equal(s, label, value, activity_values[k].value(&s->world, a));
        }
}

/* ---- the others ---- */

static void expect_phases(Scenario *s, const Json *map, bool reasons) {
        JSON_OBJECT_FOREACH(map, name, value) {
                const PhaseDef *d = runbook_phase(s->world.run->runbook, name);
                const Phase *p = d ? &s->world.run->phases[d->index] : NULL;
                if (!p)
                        scenario_fail(s, "no phase %s", name);
                else
                        expect_equal(s, name, value, reasons ? string_or_null(p->reason)
                                        : json_new_string(phase_state_to_string(phase_shown_state(p))));
        }
}

static void phase_states(Scenario *s, const Json *map) { expect_phases(s, map, false); }
static void phase_reasons(Scenario *s, const Json *map) { expect_phases(s, map, true); }

static bool list_has(const Json *list, const Json *value) {
        for (size_t k = 0; k < json_length(list); k++)
                if (json_equal(value, json_at(list, k)))
                        return true;
        return false;
}

/* Each expected "K=V" is there; "K" alone: there is no such variable. */
static void expect_env(Scenario *s, const Json *map) {
        JSON_OBJECT_FOREACH(map, key, list) {
                const Json *found = json_get(s->world.env, key);
                _cleanup_free_ char *all = json_to_string(found, false);

                for (size_t i = 0; i < json_length(list); i++) {
                        const char *v = strempty(json_string(json_at(list, i)));
                        bool there = strchr(v, '=') && list_has(found, json_at(list, i));
                        for (size_t k = 0; !strchr(v, '=') && k < json_length(found); k++)
                                there = there || (startswith(json_string(json_at(found, k)), v) &&
                                                json_string(json_at(found, k))[strlen(v)] == '=');
                        if (!found || there == !strchr(v, '='))
                                scenario_fail(s, "environment of %s: %s%s in %s", key, v, strchr(v, '=') ? " is not" : " is",
                                                strempty(all));
                }
        }
}

static void expect_argv(Scenario *s, const Json *map) {
        JSON_OBJECT_FOREACH(map, key, value)
                expect_equal(s, key, value, json_ref(json_get(s->world.argv, key)));
}

static void expect_directory(Scenario *s, const Json *map) {
        JSON_OBJECT_FOREACH(map, key, value)
                expect_equal(s, key, value, json_ref(json_get(s->world.directory, key)));
}

/* Objects may have more members than are named; all else must be the same. */
static bool json_holds(const Json *found, const Json *named) {
        if (json_type(named) != JSON_OBJECT)
                return json_equal(found, named);
        JSON_OBJECT_FOREACH(named, key, value)
                if (!json_holds(json_get(found, key), value))
                        return false;
        return json_type(found) == JSON_OBJECT;
}

/* The members that are named, of the open request as people see it. */
static void expect_request(Scenario *s, const Json *map) {
        JSON_OBJECT_FOREACH(map, name, members) {
                const Activity *a = run_activity(s->world.run, name);
                _cleanup_json_ Json *found = NULL;

                if (!a || activity_describe_request(a, &found) < 0) {
                        scenario_fail(s, "%s has no open request", name);
                        continue;
                }
                JSON_OBJECT_FOREACH(members, key, value)
                        if (!json_holds(json_get(found, key), value))
                                expect_equal(s, key, value, json_ref(json_get(found, key)));
        }
}

/* ---- the history ---- */

static Json *entry_of(const Stored *e) {
        Json *j = json_new_object(), *data = NULL;

        if (e->data)
                (void) json_parse(e->data, strlen(e->data), &data);
        (void) json_set_string(j, "type", e->type);
        (void) json_set_string(j, "subject", e->subject);
        (void) json_set_string(j, "step", e->step);
        (void) json_set_string(j, "user", e->user);
        (void) json_set_uint(j, "attempt", e->row.attempt);
        (void) json_set(j, "data", data);
        return j;
}

/* Each is found after the one before it. */
static void expect_entries(Scenario *s, const Json *list) {
        size_t next = 0;

        for (size_t i = 0; i < json_length(list); i++) {
                bool found = false;

                while (!found && next < s->world.n_stored) {
                        _cleanup_json_ Json *entry = entry_of(&s->world.stored[next++]);
                        found = json_holds(entry, json_at(list, i));
                }
                if (found)
                        continue;
                _cleanup_free_ char *text = json_to_string(json_at(list, i), false);
                scenario_fail(s, "the history has no such entry, or not there: %s", strempty(text));
                return;
        }
}

static const struct {
        const char *name;
        void (*check)(Scenario *s, const Json *map);
} other_values[] = {
        { "phases", phase_states }, { "phaseReasons", phase_reasons }, { "env", expect_env }, { "argv", expect_argv },
                        { "directory", expect_directory }, { "request", expect_request }, { "entries", expect_entries },
};

static void expect_one(Scenario *s, const char *key, const Json *value) {
        for (size_t i = 0; i < ELEMENTSOF(run_values); i++)
                if (streq(run_values[i].name, key)) {
                        expect_equal(s, key, value, run_values[i].value(&s->world));
                        return;
                }
        for (size_t i = 0; i < ELEMENTSOF(activity_values); i++)
                if (streq(activity_values[i].name, key)) {
                        expect_activities(s, i, value);
                        return;
                }
        for (size_t i = 0; i < ELEMENTSOF(other_values); i++)
                if (streq(other_values[i].name, key)) {
                        other_values[i].check(s, value);
                        return;
                }
        scenario_fail(s, "unknown expectation %s", key);
}

void scenario_expect(Scenario *s, const Json *map) {
        JSON_OBJECT_FOREACH(map, key, value)
                expect_one(s, key, value);
}
