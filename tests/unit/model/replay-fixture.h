/* Runs that end in some way, and what a replay of them would take over, as a line of text. */
#pragma once

#include "run-fixture.h"

#include "replay.h"
#include "strbuf.h"

#define FAIL "defaults: {failurePolicy: fail}\n"

/* A run as fixture_init makes it, but with these options. */
static _unused_ void begin(Fixture *f, uint32_t id, Runbook *rb, const RunOptions *options) {
        *f = (Fixture) {
                .now = { .wall = 1800000000 * USEC_PER_SEC, .boottime = 1000 * USEC_PER_SEC, .mono = 900 * USEC_PER_SEC, .boot = 1 },
                .limits = { .max_resumes = 3, .hook_timeout = 5 * USEC_PER_MINUTE, .hold_timeout = USEC_INFINITY },
                .slots = 64,
                .runbook = runbook_ref(rb),
        };
        assert_ok(run_new(id, rb, &f->run));
        assert_ok(run_create(f->run, &f->now, &alice, options, &f->outcome));
        fixture_keep(f);
        fixture_turn(f);
}

static _unused_ void begin_text(Fixture *f, const char *yaml) {
        Runbook *rb = parse_runbook(yaml);

        begin(f, 7, rb, &(RunOptions) {});
        runbook_unref(rb);
}

/* names: of activities whose running step ends so, in this order. */
static _unused_ void end_all(Fixture *f, const char *names, int status) {
        _cleanup_free_ char *copy = strdup(names);
        char *rest = NULL;

        for (char *s = strtok_r(copy, " ", &rest); s; s = strtok_r(NULL, " ", &rest))
                fixture_end(f, s, status);
}

static _unused_ Json *parse_json(const char *text) {
        Json *j = NULL;

        assert_ok(json_parse(text, strlen(text), &j));
        return j;
}

/* "name:state", with #RUN where another than the original did it, its outputs if it has any, and +steps; in the order of the plan. */
static _unused_ char *plan_text(const Run *original, const Runbook *rb, const ReplayPlan *p) {
        _cleanup_strbuf_ StrBuf b = {};

        for (size_t i = 0; i < p->n_carried; i++) {
                const Carried *c = &p->carried[i];
                _cleanup_free_ char *outputs = json_length(c->outputs) ? json_to_string(c->outputs, false) : NULL;
                _cleanup_free_ char *steps = c->steps ? json_to_string(c->steps, false) : NULL;

                strbuf_appendf(&b, "%s%s:%s", i ? " " : "", rb->activities[c->activity].name, activity_state_to_string(c->state));
                if (c->run != original->id)
                        strbuf_appendf(&b, "#%u", c->run);
                strbuf_append(&b, outputs ? outputs : "");
                strbuf_append(&b, steps ? "+" : "");
                strbuf_append(&b, steps ? steps : "");
        }
        return strbuf_take(&b);
}

static _unused_ void expect_plan_of(const Run *original, Runbook *rb, const char *from, bool all_parallel, const char *expected) {
        _cleanup_(replay_plan_done) ReplayPlan plan = {};
        _cleanup_free_ char *error = NULL, *text = NULL, *before = run_snapshot(original), *after = NULL;
        int r = replay_plan(original, rb, from, all_parallel, NULL, &plan, &error);

        if (r < 0)
                fail_msg("%d: %s", r, error);
        text = plan_text(original, rb, &plan);
        assert_string_equal(text, expected);
        after = run_snapshot(original);                 /* S4.17: the original is never touched */
        assert_string_equal(before, after);
}

static _unused_ void expect_plan(const Fixture *f, const char *from, bool all_parallel, const char *expected) {
        expect_plan_of(f->run, f->runbook, from, all_parallel, expected);
}

static _unused_ void expect_refused_of(const Run *original, Runbook *rb, const char *from, int expected, const char *says) {
        ReplayPlan plan = {};
        _cleanup_free_ char *error = NULL;

        assert_int_equal(replay_plan(original, rb, from, false, NULL, &plan, &error), expected);
        assert_non_null(error);
        if (!strstr(error, says))
                fail_msg("\"%s\" does not say \"%s\"", error, says);
        assert_null(plan.carried);
        assert_null(plan.inputs);
}

static _unused_ void expect_refused(const Fixture *f, const char *from, int expected, const char *says) {
        expect_refused_of(f->run, f->runbook, from, expected, says);
}
