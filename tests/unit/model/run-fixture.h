/* A run for the tests of the state machine: a runbook from text, a clock that stands until it is told to pass, processes that end when
 * the test says so. */
#pragma once

#include <stdio.h>

#include "test.h"

#include "run-private.h"

typedef struct Fixture {
        Runbook *runbook;
        Run *run;
        Stamp now;
        Limits limits;
        unsigned slots;
        Outcome outcome;
        Event **history;                                /* all events so far, owned */
        size_t n_history, n_allocated;
        Effect *effects;                                /* of the last turn; their strings are gone */
        size_t n_effects, n_effects_allocated;
} Fixture;

static const Actor alice = { 1000, "alice" }, bob = { 1001, "bob" }, carol = { 1002, "carol" };

static _unused_ Runbook *parse_runbook(const char *yaml) {
        _cleanup_diag_ Diagnostics d = { 0 };
        Runbook *rb = NULL;
        int r = runbook_parse(yaml, strlen(yaml), TREE_YAML, NULL, &d, &rb);

        for (size_t i = 0; i < d.n_items; i++)
                print_message("%u:%u: %s\n", d.items[i].line, d.items[i].column, d.items[i].message);
        assert_ok(r);
        return rb;
}

/* What is in the outcome is history now. */
static void fixture_keep(Fixture *f) {
        assert_true(GREEDY_REALLOC(f->history, f->n_allocated, f->n_history + f->outcome.n_events + 1));
        assert_true(GREEDY_REALLOC(f->effects, f->n_effects_allocated, f->outcome.n_effects + 1));
        for (size_t i = 0; i < f->outcome.n_events; i++)
                f->history[f->n_history++] = f->outcome.events[i];
        f->outcome.n_events = 0;
        f->n_effects = f->outcome.n_effects;
        for (size_t i = 0; i < f->n_effects; i++) {
                f->effects[i] = f->outcome.effects[i];
                f->effects[i].argv = f->effects[i].env = NULL;
                f->effects[i].working_directory = NULL;
        }
        outcome_clear(&f->outcome);
}

static _unused_ void fixture_turn(Fixture *f) {
        assert_ok(run_decide(f->run, &f->now, &f->limits, &f->slots, &f->outcome));
        fixture_keep(f);
}

/* options: inputs as they are given, not checked yet; who starts the run is alice. */
static _unused_ void fixture_init_options(Fixture *f, const char *yaml, const RunOptions *options) {
        _cleanup_json_ Json *inputs = NULL;
        RunOptions checked = *options;

        *f = (Fixture) {
                .now = { .wall = 1800000000 * USEC_PER_SEC, .boottime = 1000 * USEC_PER_SEC, .mono = 900 * USEC_PER_SEC, .boot = 1 },
                .limits = { .max_resumes = 3, .hook_timeout = 5 * USEC_PER_MINUTE },
                .slots = 64,
        };
        f->runbook = parse_runbook(yaml);
        assert_ok(inputs_check(f->runbook->inputs, f->runbook->n_inputs, options->inputs, &inputs, NULL, NULL));
        checked.inputs = inputs;
        assert_ok(run_new(7, f->runbook, &f->run));
        assert_ok(run_create(f->run, &f->now, &alice, &checked, &f->outcome));
        fixture_keep(f);
}

static _unused_ void fixture_init_inputs(Fixture *f, const char *yaml, Json *given) {
        fixture_init_options(f, yaml, &(RunOptions) { .inputs = given });
}

static _unused_ void fixture_init(Fixture *f, const char *yaml) {
        fixture_init_inputs(f, yaml, NULL);
}

static _unused_ void fixture_done(Fixture *f) {
        for (size_t i = 0; i < f->n_history; i++)
                event_free(f->history[i]);
        free(f->history);
        free(f->effects);
        outcome_done(&f->outcome);
        run_free(f->run);
        runbook_unref(f->runbook);
        *f = (Fixture) { 0 };
}

static _unused_ void fixture_pass(Fixture *f, usec_t span) {
        f->now.wall += span;
        f->now.boottime += span;
        f->now.mono += span;
}

static _unused_ Activity *fixture_activity(const Fixture *f, const char *name) {
        Activity *a = run_activity(f->run, name);
        assert_non_null(a);
        return a;
}

/* Ends the step that runs in this activity, successfully or with EXIT, and decides. */
static _unused_ void fixture_end(Fixture *f, const char *activity, int status) {
        _cleanup_json_ Json *error = status ? error_new("EXIT", f->now.wall, "exited with status %d", status) : NULL;
        StepEnd end = { .state = status ? STEP_FAILED : STEP_SUCCESS, .exit_code = status, .error = error };

        assert_ok(run_step_ended(f->run, fixture_activity(f, activity), &f->now, &end, &f->outcome));
        fixture_turn(f);
}

static _unused_ void fixture_end_outputs(Fixture *f, const char *activity, const char *outputs) {
        _cleanup_json_ Json *j = NULL;

        assert_ok(json_parse(outputs, strlen(outputs), &j));
        assert_ok(run_step_ended(f->run, fixture_activity(f, activity), &f->now, &(StepEnd) { .state = STEP_SUCCESS, .outputs = j },
                        &f->outcome));
        fixture_turn(f);
}

static _unused_ unsigned fixture_count(const Fixture *f, EventType type) {
        unsigned n = 0;

        for (size_t i = 0; i < f->n_history; i++)
                n += f->history[i]->type == type;
        return n;
}

/* The same run, folded from the first n events of the history, as they come from the store. */
static _unused_ Run *fixture_fold(const Fixture *f, size_t n) {
        Run *r = NULL;

        assert_ok(run_new(f->run->id, f->runbook, &r));
        for (size_t i = 0; i < n; i++) {
                const Event *e = f->history[i];
                _cleanup_(event_freep) Event *again = NULL;
                _cleanup_free_ char *data = NULL;

                assert_ok(event_encode(e, &data));
                const EventText row = { .seq = e->seq, .at = { .wall = e->at.wall, .boottime = e->at.boottime, .boot = e->at.boot },
                                .uid = e->uid, .user = e->user,
                                        .type = event_type_to_string(e->type), .subject = event_subject(e, r->runbook),
                                                        .attempt = e->attempt,
                                        .step = event_step_id(e, r->runbook), .data = data };
                assert_ok(event_decode(&row, r->runbook, &again));
                again->runbook = runbook_ref(e->runbook);
                assert_ok(run_apply(r, again));
        }
        return r;
}

/* Everything that people see of the run, and some that they do not. */
static _unused_ char *run_snapshot(const Run *r) {
        _cleanup_json_ Json *j = NULL;

        assert_ok(run_describe(r, &j));
        assert_ok(json_set_uint(j, "lastSeq", r->last_seq));
        assert_ok(json_set_uint(j, "moving", r->n_moving));
        assert_ok(json_set_uint(j, "waiting", r->n_waiting));
        assert_ok(json_set_uint(j, "stop", r->stop));
        assert_ok(json_set_bool(j, "startWanted", r->start_wanted));
        assert_ok(json_set_bool(j, "gaveUp", r->gave_up));
        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                const Activity *a = r->activities[i];
                const Attempt *t = activity_attempt(a);
                _cleanup_free_ char *key = NULL, *text = NULL;

                assert_true(asprintf(&key, "#%u", i) > 0);
                assert_true(asprintf(&text, "%u %u %d %d %u %d %u %u %u %d %d %llu", a->series_retries, a->resumes, a->tolerated, a->given_up,
                                (unsigned) a->resolution, a->aborted,
                                t ? t->cursor : 0, t ? t->stop : 0,
                                     t ? t->hooks_timed_out : 0, t ? t->failed : 0, t ? t->step_timed_out : 0,
                                                     a->request ? (unsigned long long) a->request->n_answers : 0) > 0);
                assert_ok(json_set_string(j, key, text));
        }
        return json_to_string(j, true);
}

#define assert_state(f, activity, expected)                                                                                     \
        assert_string_equal(activity_state_to_string(fixture_activity(f, activity)->state), activity_state_to_string(expected))
#define assert_run_state(f, expected) assert_string_equal(run_state_to_string((f)->run->state), run_state_to_string(expected))
