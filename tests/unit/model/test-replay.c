/* What a new run takes over from one that ended (S2.1, S2.2, S2.4–S2.11, S4.16, S4.17, S0.14; section 6 of the contract). */
#include "replay-fixture.h"

/* build → two checks at once → publish. */
static const char *const pipeline =
        FAIL
        "phases:\n"
        "  - name: build\n"
        "    activities:\n"
        "      - {name: dist, run: make dist}\n"
        "      - {name: docs, needs: [], run: make docs}\n"
        "      - {name: sums, needs: [dist], run: make sums}\n"
        "  - name: check\n"
        "    needs: [build]\n"
        "    activities:\n"
        "      - {name: unit, needs: [], run: make check}\n"
        "      - {name: lint, needs: [], run: make lint}\n"
        "  - name: audit\n"
        "    needs: [build]\n"
        "    activities: [{name: licences, run: make licences}]\n"
        "  - name: publish\n"
        "    activities: [{name: upload, run: make upload}]\n";

/* The usual one: unit fails, lint and the audit have succeeded, publish is skipped. */
static void begin_usual(Fixture *f) {
        begin_text(f, pipeline);
        fixture_end_outputs(f, "dist", "{\"tarball\": \"a.tar\"}");
        end_all(f, "docs sums lint licences", 0);
        end_all(f, "unit", 1);
        assert_run_state(f, RUN_FAILED);
        assert_state(f, "upload", ACTIVITY_SKIPPED);
}

static const char *const usual_plan = "dist:success{\"tarball\":\"a.tar\"} docs:success sums:success lint:success licences:success";

/* ---- what is carried over ---- */

/* S2.1, S4.16, S0.14: from what failed on; what was done is not done again. */
static void test_what_failed(void **state) {
        Fixture f;

        begin_usual(&f);
        expect_plan(&f, NULL, false, usual_plan);
        fixture_done(&f);
}

/* S2.4 of these states only. The others are named what to do instead. */
static void test_states(void **state) {
        static const struct {
                RunState state;
                int r;
                const char *says;
        } rows[] = {
                { RUN_FAILED, 0, NULL },
                { RUN_EXHAUSTED, 0, NULL },
                { RUN_DLQ, 0, NULL },
                { RUN_CANCELLED, 0, NULL },
                { RUN_TIMED_OUT, 0, NULL },
                { RUN_REJECTED, 0, NULL },
                { RUN_SUCCESS, -ESTALE, "runbookctl rerun 7" },
                { RUN_PARTIAL_SUCCESS, -ESTALE, "runbookctl rerun 7" },
                { RUN_SKIPPED, -ESTALE, "runbookctl rerun 7" },
                { RUN_SCHEDULED, -ESTALE, "still under way" },
                { RUN_QUEUED, -ESTALE, "still under way" },
                { RUN_RUNNING, -ESTALE, "still under way" },
                { RUN_ON_HOLD, -ESTALE, "still under way" },
                { RUN_PAUSED, -ESTALE, "still under way" },
        };
        Fixture f;

        assert_int_equal(ELEMENTSOF(rows), _RUN_STATE_MAX);
        begin_usual(&f);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                f.run->state = rows[i].state;
                if (rows[i].r == 0)
                        expect_plan(&f, NULL, false, usual_plan);
                else
                        expect_refused(&f, NULL, rows[i].r, rows[i].says);
        }
        fixture_done(&f);
}

/* Ignored counts as done, with what was given for its outputs. */
static void test_ignored(void **state) {
        _cleanup_json_ Json *given = parse_json("{\"ok\": \"by hand\"}");
        _cleanup_free_ char *error = NULL;
        Fixture f;

        begin_text(&f, "phases:\n"
                       "  - name: p\n"
                       "    activities:\n"
                       "      - {name: a, run: x, failurePolicy: hold}\n"
                       "      - {name: b, run: x, failurePolicy: fail}\n");
        end_all(&f, "a", 1);
        assert_ok(run_ignore(f.run, fixture_activity(&f, "a"), &f.now, &bob, given, NULL, &f.outcome, &error));
        fixture_turn(&f);
        end_all(&f, "b", 1);
        expect_plan(&f, NULL, false, "a:ignored{\"ok\":\"by hand\"}");
        fixture_done(&f);
}

/* What its `if` skipped is decided anew, and is no reason to do again what needs it; a failure that was tolerated is done again, and is
 * one. */
static void test_skipped_and_tolerated(void **state) {
        Fixture f;

        begin_text(&f, FAIL "phases:\n"
                            "  - name: p\n"
                            "    activities:\n"
                            "      - {name: a, if: 'false', run: x}\n"
                            "      - {name: b, run: x}\n"
                            "      - {name: c, needs: [], run: x, failurePolicy: continue}\n"
                            "      - {name: d, needs: [c], run: x}\n"
                            "      - {name: e, needs: [b], run: x}\n");
        end_all(&f, "b", 0);
        end_all(&f, "c", 1);
        end_all(&f, "d", 0);
        end_all(&f, "e", 1);
        assert_run_state(&f, RUN_FAILED);
        assert_state(&f, "a", ACTIVITY_SKIPPED);
        assert_state(&f, "d", ACTIVITY_SUCCESS);
        expect_plan(&f, NULL, false, "b:success");
        fixture_done(&f);
}

/* What ran because something failed is done again with it, also across phases. */
static void test_what_needs_a_failure(void **state) {
        Fixture f;

        begin_text(&f, FAIL "phases:\n"
                            "  - name: p\n"
                            "    activities:\n"
                            "      - {name: a, run: x}\n"
                            "      - {name: never, run: x}\n"
                            "      - {name: tell, if: failure(), run: x}\n"
                            "  - name: q\n"
                            "    if: always()\n"
                            "    activities: [{name: clean, run: x}]\n"
                            "  - name: r\n"
                            "    needs: []\n"
                            "    activities: [{name: apart, run: x}]\n");
        end_all(&f, "apart", 0);
        end_all(&f, "a", 1);
        end_all(&f, "tell clean", 0);
        assert_run_state(&f, RUN_FAILED);
        assert_state(&f, "clean", ACTIVITY_SUCCESS);
        expect_plan(&f, NULL, false, "apart:success");
        fixture_done(&f);
}

/* Needs of what is written further down. */
static void test_needs_forwards(void **state) {
        Fixture f;

        begin_text(&f, FAIL "phases:\n"
                            "  - name: p\n"
                            "    activities:\n"
                            "      - {name: a, needs: [c], run: x, if: always()}\n"
                            "      - {name: b, needs: [], run: x}\n"
                            "      - {name: c, needs: [], run: x}\n");
        end_all(&f, "b", 0);
        end_all(&f, "c", 1);
        end_all(&f, "a", 0);
        expect_plan(&f, NULL, false, "b:success");
        fixture_done(&f);
}

/* A run that was cancelled goes on where it was stopped. */
static void test_cancelled(void **state) {
        _cleanup_free_ char *error = NULL;
        Fixture f;

        begin_text(&f, pipeline);
        end_all(&f, "dist docs sums unit", 0);
        assert_ok(run_cancel(f.run, &f.now, &bob, NULL, &f.outcome, &error));
        fixture_turn(&f);
        end_all(&f, "lint licences", 0);
        assert_run_state(&f, RUN_CANCELLED);
        expect_plan(&f, NULL, false, "dist:success docs:success sums:success unit:success");
        fixture_done(&f);
}

/* ---- from ---- */

/* S2.1, S2.7: an activity that has succeeded, and what needs it: by `needs` in its phase, and the phases that need its phase. */
static void test_from_activity(void **state) {
        Fixture f;

        begin_usual(&f);
        expect_plan(&f, "dist", false, "docs:success");
        expect_plan(&f, "docs", false, "dist:success{\"tarball\":\"a.tar\"} sums:success");
        expect_plan(&f, "lint", false, "dist:success{\"tarball\":\"a.tar\"} docs:success sums:success licences:success");
        expect_plan(&f, "unit", false, usual_plan);
        expect_plan(&f, "unit", true, "dist:success{\"tarball\":\"a.tar\"} docs:success sums:success"); /* its phase and those beside it */
        fixture_done(&f);
}

/* S2.10: a phase that failed: what of it did not succeed, or all of it and of those beside it. One that succeeded: all of it. */
static void test_from_phase(void **state) {
        const char *const all = "dist:success{\"tarball\":\"a.tar\"} docs:success sums:success";
        Fixture f;

        begin_usual(&f);
        expect_plan(&f, "check", false, usual_plan);
        expect_plan(&f, "check", true, all);
        expect_plan(&f, "audit", false, "dist:success{\"tarball\":\"a.tar\"} docs:success sums:success lint:success");
        expect_plan(&f, "audit", true, all);
        expect_plan(&f, "build", false, "");
        expect_plan(&f, NULL, true, all);               /* without a name: those that failed */
        fixture_done(&f);
}

/* "The same needs" is the same set, however it is written. */
static void test_parallel_by_set(void **state) {
        Fixture f;

        begin_text(&f, FAIL "phases:\n"
                            "  - {name: p, activities: [{name: a, run: x}]}\n"
                            "  - {name: q, needs: [], activities: [{name: b, run: x}]}\n"
                            "  - {name: r, activities: [{name: c, run: x}]}\n"
                            "  - {name: s, needs: [q, p], activities: [{name: d, run: x}]}\n"
                            "  - {name: t, needs: [p], activities: [{name: e, run: x}]}\n"
                            "  - {name: u, needs: [p, t], activities: [{name: f, run: x}]}\n");
        end_all(&f, "a b", 0);
        end_all(&f, "d e f", 0);
        end_all(&f, "c", 1);
        expect_plan(&f, "r", false, "a:success b:success d:success e:success f:success");
        expect_plan(&f, NULL, true, "a:success b:success e:success f:success");
        expect_plan(&f, "a", true, "");                 /* q, which needs nothing either, stands beside p */
        fixture_done(&f);
}

static void test_activity_wins_over_phase(void **state) {
        Fixture f;

        begin_text(&f, FAIL "phases:\n"
                            "  - name: p\n"
                            "    activities: [{name: q, run: x}, {name: b, needs: [], run: x}]\n"
                            "  - name: q\n"
                            "    activities: [{name: c, run: x}]\n"
                            "  - name: r\n"
                            "    activities: [{name: d, run: x}]\n");
        end_all(&f, "q b c", 0);
        end_all(&f, "d", 1);
        expect_plan(&f, "q", false, "b:success");
        fixture_done(&f);
}

static void test_from_what_there_is_not(void **state) {
        Fixture f;

        begin_usual(&f);
        expect_refused(&f, "chek", -ENOENT, "did you mean \"check\"?");
        expect_refused(&f, "something-else", -ENOENT, "no activity and no phase \"something-else\"");
        expect_refused(&f, "upload", -ESRCH, "Activity upload was never executed in run 7");
        expect_refused(&f, "publish", -ESRCH, "Phase publish was never executed in run 7");
        fixture_done(&f);
}

/* A failure that its `if` made is one of an activity that was come to. */
static void test_from_failed_condition(void **state) {
        Fixture f;

        begin_text(&f, FAIL "inputs: {n: {type: string, default: x}}\n"
                            "phases:\n"
                            "  - name: p\n"
                            "    activities: [{name: a, run: x}, {name: b, if: 'inputs.n < 3', run: x}]\n");
        end_all(&f, "a", 0);
        assert_state(&f, "b", ACTIVITY_FAILED);
        assert_int_equal(fixture_activity(&f, "b")->n_attempts, 0);
        expect_plan(&f, "b", false, "a:success");
        fixture_done(&f);
}

/* ---- again and again ---- */

/* Run 8, of run 7; workspace_from: whose workspace is to be copied first. */
static void begin_replay(Fixture *g, Runbook *rb, const ReplayPlan *plan, uint32_t workspace_from) {
        begin(g, 8, rb,
              &(RunOptions) { .inputs = plan->inputs, .replay_of = 7, .root_run = 7, .workspace_from = workspace_from, .carried = plan->carried,
                              .n_carried = plan->n_carried });
}

/* What a replay had taken over keeps the number of the run that did it; S2.1: "any executed" is also what was executed there. */
static void test_replay_of_replay(void **state) {
        _cleanup_(replay_plan_done) ReplayPlan plan = {};
        _cleanup_free_ char *error = NULL;
        Fixture f, g;

        begin_usual(&f);
        assert_ok(replay_plan(f.run, f.runbook, "lint", false, NULL, &plan, &error));
        begin_replay(&g, f.runbook, &plan, 0);
        end_all(&g, "lint", 0);
        end_all(&g, "unit", 1);
        assert_run_state(&g, RUN_FAILED);
        expect_plan(&g, NULL, false, "dist:success#7{\"tarball\":\"a.tar\"} docs:success#7 sums:success#7 lint:success licences:success#7");
        expect_plan(&g, "licences", false, "dist:success#7{\"tarball\":\"a.tar\"} docs:success#7 sums:success#7 lint:success");
        expect_plan(&g, "build", false, "");
        fixture_done(&f);
        fixture_done(&g);
}

/* A run of some phases: the others stay out, with the outputs that they had, and phases that have come since too. */
static void test_replay_of_selection(void **state) {
        char *only[] = { (char *) "build", (char *) "publish", NULL };
        _cleanup_(replay_plan_done) ReplayPlan plan = {}, again = {}, none = {};
        _cleanup_free_ char *error = NULL, *text = NULL;
        _cleanup_(runbook_unrefp) Runbook *rb = NULL, *other = NULL;
        Fixture f, g;

        begin_usual(&f);
        assert_ok(rerun_plan(f.run, f.runbook, only, NULL, &plan, &error));
        begin(&g, 8, f.runbook,
              &(RunOptions) { .inputs = plan.inputs, .only = only, .carried = plan.carried, .n_carried = plan.n_carried });
        end_all(&g, "dist docs sums", 0);
        end_all(&g, "upload", 1);
        assert_run_state(&g, RUN_FAILED);
        expect_plan(&g, NULL, false, "dist:success docs:success sums:success unit:skipped#7 lint:skipped#7 licences:skipped#7");
        expect_plan(&g, NULL, true, "dist:success docs:success sums:success unit:skipped#7 lint:skipped#7 licences:skipped#7");
        expect_refused(&g, "lint", -ESRCH, "never executed");
        expect_refused(&g, "audit", -ESRCH, "never executed");

        rb = parse_runbook(FAIL "phases:\n"
                                "  - name: build\n"
                                "    activities:\n"
                                "      - {name: dist, run: make dist}\n"
                                "      - {name: docs, needs: [], run: make docs}\n"
                                "      - {name: sums, needs: [dist], run: make sums}\n"
                                "  - name: audit\n"
                                "    activities: [{name: fresh, run: x}, {name: licences, run: x}]\n"
                                "  - name: sign\n"
                                "    needs: []\n"
                                "    activities: [{name: seal, run: x}]\n"
                                "  - name: publish\n"
                                "    activities: [{name: upload, run: x}]\n");
        assert_ok(replay_plan(g.run, rb, NULL, false, NULL, &again, &error));
        text = plan_text(g.run, rb, &again);
        assert_string_equal(text, "dist:success docs:success sums:success fresh:skipped licences:skipped#7 seal:skipped");
        assert_string_equal(again.only[0], "build");
        assert_string_equal(again.only[1], "publish");
        assert_null(again.only[2]);

        other = parse_runbook(FAIL "phases: [{name: else, activities: [{name: z, run: x}]}]\n");
        f.run->phases[0].not_selected = true;           /* as if it had been a run of `check` alone */
        f.run->phases[2].not_selected = f.run->phases[3].not_selected = true;
        assert_int_equal(replay_plan(f.run, other, NULL, false, NULL, &none, &error), -EPROTO);
        fixture_done(&f);
        fixture_done(&g);
}

/* ---- with another definition ---- */

/* S0.13: the numbers are those of the new one; what is done again may change, what is carried over may not. */
static void test_other_definition(void **state) {
        _cleanup_(runbook_unrefp) Runbook *rb = parse_runbook(FAIL "phases:\n"
                                                                   "  - {name: early, needs: [], activities: [{name: first, run: x}]}\n"
                                                                   "  - name: build\n"
                                                                   "    needs: []\n"
                                                                   "    activities:\n"
                                                                   "      - {name: dist, run: make dist}\n"
                                                                   "      - {name: docs, needs: [], run: make docs}\n"
                                                                   "  - name: check\n"
                                                                   "    needs: [build]\n"
                                                                   "    activities:\n"
                                                                   "      - {name: lint, needs: [], run: make lint}\n"
                                                                   "      - {name: style, needs: [], run: make style}\n"
                                                                   "      - {name: unit, needs: [], run: make check -k}\n");
        _cleanup_(runbook_unrefp) Runbook *wrong = parse_runbook(FAIL "phases:\n"
                                                                      "  - name: build\n"
                                                                      "    needs: []\n"
                                                                      "    activities:\n"
                                                                      "      - {name: dist, run: make -j dist}\n"
                                                                      "      - {name: docs, needs: [], run: make docs}\n");
        Fixture f;

        begin_text(&f, FAIL "phases:\n"
                            "  - name: build\n"
                            "    needs: []\n"
                            "    activities:\n"
                            "      - {name: dist, run: make dist}\n"
                            "      - {name: docs, needs: [], run: make docs}\n"
                            "  - name: check\n"
                            "    needs: [build]\n"
                            "    activities:\n"
                            "      - {name: unit, needs: [], run: make check}\n"
                            "      - {name: lint, needs: [], run: make lint}\n");
        end_all(&f, "dist docs lint", 0);
        end_all(&f, "unit", 1);
        expect_plan_of(f.run, rb, NULL, false, "dist:success docs:success lint:success");
        expect_refused_of(f.run, wrong, NULL, -EPROTO, "phases.build.activities.dist.run: was \"make dist\", is \"make -j dist\"");
        expect_refused_of(f.run, wrong, NULL, -EPROTO, "phase check is gone");
        /* It is done again, and with it check: they may be other than they were. */
        expect_plan_of(f.run, wrong, "dist", false, "docs:success");
        expect_refused_of(f.run, wrong, "unit", -ENOENT, "no activity and no phase \"unit\"");
        expect_refused_of(f.run, wrong, "check", -ENOENT, "no activity and no phase \"check\"");
        expect_refused_of(f.run, rb, "first", -ESRCH, "Activity first was never executed");
        expect_refused_of(f.run, rb, "early", -ESRCH, "Phase early was never executed");
        fixture_done(&f);
}

/* Something new in a phase: fine, unless what is carried over in a later one would then have run before it. */
static void test_new_in_phases(void **state) {
#define TWO(early, late)                                                              \
        FAIL "phases:\n"                                                              \
             "  - {name: p, activities: [{name: a, run: x}" early "]}\n"               \
             "  - {name: q, activities: [{name: b, run: x}, {name: c, run: x}" late "]}\n"
        _cleanup_(runbook_unrefp) Runbook *early = parse_runbook(TWO(", {name: n, run: x}", "")),
                                          *late = parse_runbook(TWO("", ", {name: n, run: x}"));
        Fixture f;

        begin_text(&f, TWO("", ""));
        end_all(&f, "a b", 0);
        end_all(&f, "c", 1);
        expect_plan_of(f.run, late, NULL, false, "a:success b:success");
        expect_refused_of(f.run, early, NULL, -EPROTO, "activity n is new in phase p, which has ended");
        expect_plan_of(f.run, early, "b", false, "a:success");
        fixture_done(&f);
}

/* A run whose definition can't be read any more: all is done again, by the definition of today. */
static void test_lost_definition(void **state) {
        _cleanup_(runbook_unrefp) Runbook *stands_in = calloc(1, sizeof *stands_in), *rb = parse_runbook(pipeline);
        _cleanup_(run_freep) Run *r = NULL;

        stands_in->n_ref = 1;
        stands_in->name = strdup("runbook");
        stands_in->text = strdup("");
        assert_ok(run_new(7, stands_in, &r));
        r->state = RUN_DLQ;
        expect_plan_of(r, rb, NULL, true, "");
        expect_refused_of(r, rb, "build", -ESRCH, "never executed");
}

/* ---- inputs ---- */

#define WITH_INPUTS                                                                                    \
        FAIL "inputs:\n"                                                                               \
             "  version: {type: string, required: true}\n"                                             \
             "  count: {type: integer, default: 3, fixed: true}\n"                                     \
             "  target: {type: string, fixed: true}\n"
#define ONE_PHASE "phases: [{name: p, activities: [{name: a, run: x}]}]\n"

static void begin_inputs(Fixture *f, const char *given) {
        _cleanup_json_ Json *inputs = parse_json(given);
        Runbook *rb = parse_runbook(WITH_INPUTS ONE_PHASE);

        begin(f, 7, rb, &(RunOptions) { .inputs = inputs });
        runbook_unref(rb);
        end_all(f, "a", 1);
        assert_run_state(f, RUN_FAILED);
}

/* rerun: plan that instead. expected: the inputs, or NULL and what is said. */
static void expect_inputs(const Run *original, Runbook *rb, bool rerun, const char *changed, const char *expected, int r,
                          const char *says) {
        _cleanup_json_ Json *j = changed ? parse_json(changed) : NULL;
        _cleanup_(replay_plan_done) ReplayPlan plan = {};
        _cleanup_free_ char *error = NULL, *text = NULL;
        int k = rerun ? rerun_plan(original, rb, NULL, j, &plan, &error) : replay_plan(original, rb, NULL, false, j, &plan, &error);

        assert_int_equal(k, r);
        if (expected) {
                text = json_to_string(plan.inputs, false);
                assert_string_equal(text, expected);
        } else if (!strstr(error, says))
                fail_msg("\"%s\" does not say \"%s\"", error, says);
}

/* S2.8, S2.9, S2.11: the old values, but those that are changed; S2.6: not those that are fixed. */
static void test_inputs(void **state) {
        const char *const old = "{\"version\":\"1.2\",\"count\":3,\"target\":\"x\"}";
        Fixture f;

        begin_inputs(&f, old);
        expect_inputs(f.run, f.runbook, false, NULL, old, 0, NULL);
        expect_inputs(f.run, f.runbook, false, "{\"version\": \"1.3\"}", "{\"version\":\"1.3\",\"count\":3,\"target\":\"x\"}", 0, NULL);
        expect_inputs(f.run, f.runbook, false, "{\"count\": 3.0}", old, 0, NULL);
        expect_inputs(f.run, f.runbook, false, "{\"count\": 4}", NULL, -EROFS, "runbookctl rerun 7 -i count=VALUE");
        expect_inputs(f.run, f.runbook, false, "{\"verison\": \"1.3\"}", NULL, -EINVAL, "did you mean \"version\"?");
        expect_inputs(f.run, f.runbook, false, "{\"version\": 1}", NULL, -EINVAL, "must be text");
        expect_inputs(f.run, f.runbook, false, "{\"version\": null}", NULL, -EINVAL, "must be text");
        fixture_done(&f);
}

/* A fixed one that had no value yet gets one: nothing has relied on another. */
static void test_inputs_without_value(void **state) {
        Fixture f;

        begin_inputs(&f, "{\"count\":3}");
        expect_inputs(f.run, f.runbook, false, NULL, "{\"count\":3}", 0, NULL);
        expect_inputs(f.run, f.runbook, false, "{\"target\": \"y\"}", "{\"count\":3,\"target\":\"y\"}", 0, NULL);
        fixture_done(&f);
}

/* What the definition of today does not know is dropped, new defaults come in, and what it has fixed or had fixed is fixed. */
static void test_inputs_of_other_definition(void **state) {
        _cleanup_(runbook_unrefp) Runbook *rb = parse_runbook(FAIL "inputs:\n"
                                                                   "  version: {type: string, fixed: true}\n"
                                                                   "  count: {type: integer, default: 5}\n"
                                                                   "  level: {type: string, default: high}\n" ONE_PHASE);
        Fixture f;

        begin_inputs(&f, "{\"version\":\"1.2\",\"count\":3,\"target\":\"x\"}");
        expect_inputs(f.run, rb, false, NULL, "{\"version\":\"1.2\",\"count\":3,\"level\":\"high\"}", 0, NULL);
        expect_inputs(f.run, rb, false, "{\"version\": \"1.3\"}", NULL, -EROFS, "\"version\" is fixed");
        expect_inputs(f.run, rb, false, "{\"count\": 4}", NULL, -EROFS, "\"count\" is fixed");
        expect_inputs(f.run, rb, false, "{\"target\": \"y\"}", NULL, -EINVAL, "no input \"target\"");
        fixture_done(&f);
}

/* ---- resume: step ---- */

#define STEPS                                                                                                                              \
        "      - name: a\n"                                                                                                                \
        "        resume: step\n"                                                                                                           \
        "        steps:\n"                                                                                                                 \
        "          - {name: one, run: x}\n"                                                                                                \
        "          - {name: two, run: x, continueOnError: true}\n"                                                                         \
        "          - {name: three, run: x}\n"                                                                                              \
        "          - {name: four, run: x}\n"                                                                                               \
        "        hooks: {pre: [{run: x}], post: [{run: x}]}\n"
static const char *const with_steps = FAIL "phases:\n  - name: p\n    activities:\n" STEPS "      - {name: b, needs: [], run: x}\n";

/* The run fails; its main steps end so, one a character, the first with outputs where it succeeds. */
static void begin_steps(Fixture *f, const char *statuses) {
        begin_text(f, with_steps);
        end_all(f, "b a", 0);                           /* b, pre */
        for (const char *s = statuses; *s; s++)
                if (s == statuses && *s == '0')
                        fixture_end_outputs(f, "a", "{\"k\": 1}");
                else
                        end_all(f, "a", *s - '0');
        end_all(f, "a", 0);                             /* post */
        assert_run_state(f, RUN_FAILED);
}

/* S4.16: the main steps that had succeeded, with what they wrote, up to the first that had not. */
static void test_steps(void **state) {
        Fixture f;

        begin_steps(&f, "001");
        expect_plan(&f, NULL, false, "a:pending+{\"one\":{\"k\":1},\"two\":null} b:success");
        expect_plan(&f, "a", false, "a:pending+{\"one\":{\"k\":1},\"two\":null} b:success"); /* it did not succeed: as without --from */
        fixture_done(&f);

        begin_steps(&f, "0101");                        /* a failure that was tolerated ends it too */
        expect_plan(&f, NULL, false, "a:pending+{\"one\":{\"k\":1}} b:success");
        fixture_done(&f);

        begin_steps(&f, "1");                           /* none: it is not in the plan */
        expect_plan(&f, NULL, false, "b:success");
        fixture_done(&f);
}

/* Not without `resume: step`, and only as far as they say what they said. */
static void test_steps_that_changed(void **state) {
        _cleanup_(runbook_unrefp) Runbook *more = parse_runbook(FAIL "phases:\n  - name: p\n    activities:\n" STEPS
                                                                     "      - {name: b, needs: [], run: x}\n      - {name: c, run: y}\n");
#define OTHER(how, steps)                                                                                                               \
        FAIL "phases:\n  - name: p\n    activities:\n      - {name: a, " how "steps: [" steps "]}\n      - {name: b, needs: [], run: x}\n"
        _cleanup_(runbook_unrefp) Runbook *other = parse_runbook(OTHER("resume: step, ", "{name: one, run: y}, {run: x}")),
                                          *shorter = parse_runbook(OTHER("resume: step, ", "{name: one, run: x}, {name: three, run: x}, {run: x}")),
                                          *whole = parse_runbook(OTHER("", "{name: one, run: x}"));
        Fixture f;

        begin_steps(&f, "0001");
        expect_plan_of(f.run, more, NULL, false, "a:pending+{\"one\":{\"k\":1},\"two\":null,\"three\":null} b:success");
        expect_plan_of(f.run, other, NULL, false, "b:success");
        expect_plan_of(f.run, shorter, NULL, false, "a:pending+{\"one\":{\"k\":1},\"three\":null} b:success");
        expect_plan_of(f.run, whole, NULL, false, "b:success");
        fixture_done(&f);

        begin_text(&f, FAIL "phases: [{name: p, activities: [{name: a, steps: [{name: one, run: x}, {run: x}]}]}]\n");
        end_all(&f, "a", 0);
        end_all(&f, "a", 1);
        expect_plan(&f, NULL, false, "");
        fixture_done(&f);
}

/* Where something that it needs is done again, it begins anew: its steps were made with what that had made. */
static void test_steps_behind_what_is_redone(void **state) {
        Fixture f;

        begin_text(&f, FAIL "phases:\n"
                            "  - name: p\n"
                            "    activities:\n"
                            "      - {name: a, run: x}\n"
                            "      - {name: b, resume: step, steps: [{name: one, run: x}, {run: x}]}\n");
        end_all(&f, "a b", 0);
        end_all(&f, "b", 1);
        expect_plan(&f, NULL, false, "a:success b:pending+{\"one\":null}");
        expect_plan(&f, "a", false, "");
        fixture_done(&f);
}

/* What had succeeded twice over: in the replay that failed too, and in one that never came to it. */
static void test_steps_of_replay(void **state) {
        _cleanup_(replay_plan_done) ReplayPlan plan = {};
        _cleanup_free_ char *error = NULL;
        Fixture f, g;

        begin_steps(&f, "001");
        assert_ok(replay_plan(f.run, f.runbook, NULL, false, NULL, &plan, &error));
        begin_replay(&g, f.runbook, &plan, 0);
        end_all(&g, "a a", 0);                          /* pre, three */
        end_all(&g, "a", 1);
        end_all(&g, "a", 0);
        assert_run_state(&g, RUN_FAILED);
        expect_plan(&g, NULL, false, "a:pending+{\"one\":{\"k\":1},\"two\":null,\"three\":null} b:success#7");
        fixture_done(&g);

        begin_replay(&g, f.runbook, &plan, 7);
        assert_ok(run_cancel(g.run, &g.now, &bob, NULL, &g.outcome, &error)); /* before it began */
        fixture_turn(&g);
        assert_run_state(&g, RUN_CANCELLED);
        expect_plan(&g, NULL, false, "a:pending+{\"one\":{\"k\":1},\"two\":null} b:success#7");
        fixture_done(&g);
        fixture_done(&f);
}

/* ---- rerun ---- */

static char *rerun_text(const Run *original, Runbook *rb, char **only) {
        _cleanup_(replay_plan_done) ReplayPlan plan = {};
        _cleanup_free_ char *error = NULL;

        assert_ok(rerun_plan(original, rb, only, NULL, &plan, &error));
        assert_null(plan.only);
        return plan_text(original, rb, &plan);
}

/* S2.2, S2.5: of any run that ended, whole, or some phases with the outputs that the others had. */
static void test_rerun(void **state) {
        char *check[] = { (char *) "check", (char *) "check", NULL }, *nope[] = { (char *) "chek", NULL };
        _cleanup_free_ char *whole = NULL, *some = NULL, *error = NULL;
        ReplayPlan plan = {};
        Fixture f;

        begin_text(&f, pipeline);
        fixture_end_outputs(&f, "dist", "{\"tarball\": \"a.tar\"}");
        assert_int_equal(rerun_plan(f.run, f.runbook, NULL, NULL, &plan, &error), -ESTALE);
        assert_non_null(strstr(error, "Run 7 is still under way"));
        free(TAKE_PTR(error));
        fixture_done(&f);

        begin_usual(&f);
        f.run->state = RUN_SUCCESS;
        whole = rerun_text(f.run, f.runbook, NULL);
        assert_string_equal(whole, "");
        some = rerun_text(f.run, f.runbook, check);
        assert_string_equal(some, "dist:skipped{\"tarball\":\"a.tar\"} docs:skipped sums:skipped licences:skipped upload:skipped");
        assert_int_equal(rerun_plan(f.run, f.runbook, nope, NULL, &plan, &error), -EINVAL);
        assert_non_null(strstr(error, "did you mean \"check\"?"));
        fixture_done(&f);
}

/* S2.2, S2.6: it is a new run: also what is fixed may be another. */
static void test_rerun_inputs(void **state) {
        Fixture f;

        begin_inputs(&f, "{\"version\":\"1.2\",\"count\":3}");
        expect_inputs(f.run, f.runbook, true, NULL, "{\"version\":\"1.2\",\"count\":3}", 0, NULL);
        expect_inputs(f.run, f.runbook, true, "{\"count\": 4}", "{\"version\":\"1.2\",\"count\":4}", 0, NULL);
        expect_inputs(f.run, f.runbook, true, "{\"cont\": 4}", NULL, -EINVAL, "did you mean \"count\"?");
        fixture_done(&f);
}

/* The definition of today: its phases and its numbers; what nobody has done has no outputs. */
static void test_rerun_other_definition(void **state) {
        _cleanup_(runbook_unrefp) Runbook *rb =
                        parse_runbook(FAIL "phases:\n"
                                           "  - {name: new, activities: [{name: fresh, run: x}, {name: dist, run: y}]}\n"
                                           "  - {name: check, activities: [{name: unit, run: x}]}\n");
        char *only[] = { (char *) "check", NULL };
        _cleanup_free_ char *text = NULL;
        Fixture f;

        begin_usual(&f);
        text = rerun_text(f.run, rb, only);
        assert_string_equal(text, "fresh:skipped dist:skipped{\"tarball\":\"a.tar\"}");
        fixture_done(&f);
}

static void test_selection(void **state) {
        char *good[] = { (char *) "publish", (char *) "build", (char *) "publish", NULL }, *none[] = { NULL };
        char *bad[] = { (char *) "build", (char *) "audti", NULL }, *activity[] = { (char *) "dist", NULL };
        _cleanup_(runbook_unrefp) Runbook *rb = parse_runbook(pipeline);
        _cleanup_free_ char *empty = NULL, *unknown = NULL, *no_phase = NULL;

        assert_ok(check_selection(rb, good, &empty));
        assert_null(empty);
        assert_int_equal(check_selection(rb, none, &empty), -EINVAL);
        assert_non_null(strstr(empty, "No phase is selected"));
        assert_int_equal(check_selection(rb, bad, &unknown), -EINVAL);
        assert_non_null(strstr(unknown, "did you mean \"audit\"?"));
        assert_int_equal(check_selection(rb, activity, &no_phase), -EINVAL);
        assert_non_null(strstr(no_phase, "has no phase \"dist\""));
}

/* ---- caps ---- */

/* The largest runbook, where each activity needs all before it and the last has failed: linear, or this would take minutes. So many names
 * are not searched for the nearest. */
static void test_ten_thousand(void **state) {
        _cleanup_strbuf_ StrBuf b = {};
        _cleanup_(replay_plan_done) ReplayPlan plan = {}, from = {};
        _cleanup_free_ char *error = NULL;
        Fixture f;

        strbuf_append(&b, FAIL "phases:\n  - name: p\n    activities:\n");
        for (unsigned i = 0; i < RUNBOOK_ACTIVITIES_MAX; i++)
                strbuf_appendf(&b, "      - {name: a%u, run: x}\n", i);
        begin_text(&f, b.s);
        for (unsigned i = 0; i < RUNBOOK_ACTIVITIES_MAX; i++)
                f.run->activities[i]->state = i + 1 < RUNBOOK_ACTIVITIES_MAX ? ACTIVITY_SUCCESS : ACTIVITY_FAILED;
        f.run->state = RUN_FAILED;
        f.run->phases[0].state = PHASE_FAILED;
        assert_ok(replay_plan(f.run, f.runbook, NULL, false, NULL, &plan, &error));
        assert_int_equal(plan.n_carried, RUNBOOK_ACTIVITIES_MAX - 1);
        assert_ok(replay_plan(f.run, f.runbook, "a0", false, NULL, &from, &error));
        assert_int_equal(from.n_carried, 0);
        expect_refused(&f, "a00", -ENOENT, "no activity and no phase \"a00\"");
        fixture_done(&f);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_failed),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_skipped_and_tolerated),
        cmocka_unit_test(test_what_needs_a_failure),
        cmocka_unit_test(test_needs_forwards),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_from_activity),
        cmocka_unit_test(test_from_phase),
        cmocka_unit_test(test_parallel_by_set),
        cmocka_unit_test(test_activity_wins_over_phase),
        cmocka_unit_test(test_from_what_there_is_not),
        cmocka_unit_test(test_from_failed_condition),
        cmocka_unit_test(test_replay_of_replay),
        cmocka_unit_test(test_replay_of_selection),
        cmocka_unit_test(test_other_definition),
        cmocka_unit_test(test_new_in_phases),
        cmocka_unit_test(test_lost_definition),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_inputs_without_value),
        cmocka_unit_test(test_inputs_of_other_definition),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_steps_that_changed),
        cmocka_unit_test(test_steps_behind_what_is_redone),
        cmocka_unit_test(test_steps_of_replay),
        cmocka_unit_test(test_rerun),
        cmocka_unit_test(test_rerun_inputs),
        cmocka_unit_test(test_rerun_other_definition),
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_ten_thousand),
};
TEST_MAIN(tests)
