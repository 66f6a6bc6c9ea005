/* What expressions may name, where, and what is marked on the way. What they may not name, with positions, is also in the corpus of malformed files. */
#include "test.h"

#include "runbook-fixture.h"

#define STEP(action) "phases: [{name: p, activities: [{name: a, steps: [{" action "}]}]}]\n"

static void good(const char *text) {
        runbook_unref(must_parse(text));
}

static void test_inputs(void **state) {
        good("inputs: {x: {}, x-y: {}}\n" STEP("run: 'echo ${{ inputs.x }} ${{ inputs.x-y }} ${{ toJSON(inputs) }}'"));
        good("inputs: {x: {}, which: {}}\n" STEP("run: 'echo ${{ inputs[inputs.which] }}'"));
        must_fail("inputs: {x: {}}\n" STEP("run: 'echo ${{ inputs[inputs.whch] }}'"), 2, 74, "there is no input \"whch\"");
}

static void test_run_and_trigger(void **state) {
        good(STEP("run: 'echo ${{ run.id }} ${{ run.name }} ${{ run.attempt }} ${{ run.startedBy }} ${{ toJSON(run) }}'"));
        good(STEP("run: 'echo ${{ trigger.runId }} ${{ trigger.type }} ${{ toJSON(trigger) }} ${{ trigger[run.name] }}'"));    /* S3.24 */
        good("env: {A: '${{ run.id }}', B: '${{ trigger.runId }}'}\n" STEP("run: x"));
}

/* S4.14: what a payload holds depends on what started the run, so anything may be asked for below it. */
static void test_trigger_payload(void **state) {
        good(STEP("run: 'echo ${{ trigger.payload.run }} ${{ trigger.payload.attempts[0].attempts[1].error.code }} ${{ toJSON(trigger.payload) }}'"));
        good(STEP("if: trigger.payload.state == 'exhausted' && trigger.type == 'failure', run: x"));
        good("env: {WHO: '${{ trigger.payload.runbook }}'}\nphases: [{name: p, if: trigger.payload, activities: [{name: a, if: '!trigger.payload.x', run: x}]}]");
        must_fail(STEP("run: 'echo ${{ trigger.failedRun.reason }}'"), 1, 67, "\"trigger\" has no member \"failedRun\"; it has runId, type and payload");
        must_fail(STEP("if: \"trigger['run']\", run: x"), 1, 57, "\"trigger\" has no member \"run\"");
}

static const char pipeline[] =
        "phases:\n"
        "  - name: p\n"
        "    activities:\n"
        "      - {name: a, run: x}\n"
        "      - {name: b, needs: [], run: x}\n"
        "      - {name: c, needs: [a], if: \"%1$s\", run: x}\n"
        "      - {name: d, needs: [c], run: x}\n"
        "  - {name: q, needs: [], activities: [{name: e, run: x}]}\n"
        "  - {name: r, needs: [q], activities: [{name: f, run: x}]}\n"
        "  - {name: s, needs: [p, r], if: \"%2$s\", activities: [{name: g, if: \"%3$s\", run: x}, {name: h, needs: [], run: x}]}\n";

static char *fill(const char *c, const char *s, const char *g) {
        char *text;

        assert_true(asprintf(&text, pipeline, c, s, g) > 0);
        return text;
}

/* Which references hold, at three places of one runbook: needs, needs of needs, phases before, and nothing else. */
static void test_order(void **state) {
        static const struct {
                unsigned place;
                const char *expression;
                bool good;
        } cases[] = {
                { 0, "activities.a.state == 'success'", true },
                { 0, "activities.b.state == 'success'", false },
                { 0, "activities.c.state == 'success'", false },
                { 0, "activities.d.state == 'success'", false },
                { 0, "activities.e.state == 'success'", false },
                { 0, "phases.p.state == 'success'", false },
                { 1, "phases.p.state == 'success'", true },
                { 1, "phases.q.state == 'success'", true },
                { 1, "phases.r.state == 'success'", true },
                { 1, "phases.s.state == 'success'", false },
                { 1, "activities.d.outputs.x && activities.e.error && activities.f.attempt", true },
                { 1, "activities.h.state == 'success'", false },
                { 2, "activities.a.state == 'success'", true },
                { 2, "activities.h.state == 'success'", false },
                { 2, "phases.q.state == 'success'", true },
                { 2, "phases.s.state == 'success'", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *at[] = { "true", "true", "true" };
                _cleanup_free_ char *text = NULL;
                _cleanup_diag_ Diagnostics d = {};
                Runbook *rb = NULL;

                at[cases[i].place] = cases[i].expression;
                text = fill(at[0], at[1], at[2]);
                if (runbook_parse(text, strlen(text), TREE_YAML, NULL, &d, &rb) != (cases[i].good ? 0 : -EINVAL))
                        fail_msg("%u: %s", cases[i].place, cases[i].expression);
                runbook_unref(rb);
        }
}

static void test_computed_activities(void **state) {
        good("inputs: {x: {}}\nphases: [{name: p, activities: [{name: a, run: x}, {name: b, run: 'echo ${{ activities[inputs.x].outputs.y }} ${{ toJSON(activities) }} "
             "${{ toJSON(phases) }}'}]}]");
}

static void test_env_levels(void **state) {
        good("env: {A: x}\nphases: [{name: p, if: env.A == 'x', activities: [{name: a, env: {B: '${{ env.A }}'}, if: env.B == 'x', steps: [{\n"
             "  env: {C: '${{ env.A }}${{ env.B }}'}, if: env.C == 'x', run: 'echo ${{ env.A }} ${{ env.B }} ${{ env.C }} ${{ toJSON(env) }}'}]}]}]");
        must_fail("phases: [{name: p, activities: [{name: a, env: {B: x}, steps: [{env: {C: x, D: '${{ env.C }}'}, run: x}]}]}]", 1, 85,
                  "no \"env\" around this place sets \"C\"");
        must_fail("phases: [{name: p, activities: [{name: a, env: {B: x}, run: x}, {name: b, run: 'echo ${{ env.B }}'}]}]", 1, 90,
                  "no \"env\" around this place sets \"B\"");
}

/* pre is known to all that follows, the main steps to the other hooks, and of its own list a step knows what is before it. */
static void test_steps(void **state) {
        good("phases:\n"
             "  - name: p\n"
             "    activities:\n"
             "      - name: a\n"
             "        hooks:\n"
             "          pre: [{id: lock, run: x}, {run: 'echo ${{ steps.lock.outputs.x }}'}]\n"
             "          onSuccess: [{run: 'echo ${{ steps.two.state }} ${{ steps.lock.outputs.x }}'}]\n"
             "          onFailure: [{id: tell, run: 'echo ${{ failure.step }} ${{ failure.log }}'}, {run: 'echo ${{ steps.tell.error.message }}'}]\n"
             "          post: [{run: 'echo ${{ failure.attempt }} ${{ steps.one.outputs.x }} ${{ steps[''pre:2''].outputs.x }}'}]\n"
             "        steps:\n"
             "          - {id: one, run: 'echo ${{ steps.lock.outputs.x }}'}\n"
             "          - {id: two, if: steps.one.state == 'success', run: 'echo ${{ steps.one.outputs.x }}'}\n");
        must_fail(
                "phases: [{name: p, activities: [{name: a, run: x, hooks: {onFailure: [{id: t, run: x}], post: [{run: 'echo ${{ steps.t.state }}'}]}}]}]",
                1, 112, "the step \"t\" has not run yet at this place");
}

/* By a name that only looks like an id, or by number, a step can't be named in an expression. */
static void test_steps_by_id_only(void **state) {
        must_fail(
                "phases: [{name: p, activities: [{name: a, steps: [{name: one, id: first, run: x}, {run: 'echo ${{ steps.one.state }}'}]}]}]",
                1, 99, "there is no step \"one\" in this activity");
}

static void test_request_outputs(void **state) {
        good("phases: [{name: p, activities: [{name: a, steps: [{id: q, uses: builtin:approval, with: {fields: {note: {}}}}, {run: 'echo ${{ steps.q.outputs.note }}\n"
             "  ${{ steps.q.outputs.approved }} ${{ steps.q.outputs.action }} ${{ steps.q.outputs.comment }} ${{ steps.q.outputs.by }}'}]}]}]");
        /* An activity's outputs may be given by hand, so any key may be there. */
        good("phases: [{name: p, activities: [{name: a, approval: {}}, {name: b, run: 'echo ${{ activities.a.outputs.anything }}'}]}]");
}

static void expect_stdout(const char *reference, unsigned expected) {
        _cleanup_free_ char *text = NULL;
        unsigned marked = 0;

        assert_true(
                asprintf(
                        &text,
                        "phases: [{name: p, activities: [{name: a, steps: [{id: one, run: x}, {id: two, run: x}, {run: \"echo ${{ %s }}\"}]}]}]",
                        reference) > 0);
        _cleanup_runbook_ Runbook *rb = must_parse(text);
        for (unsigned i = 0; i < 3; i++)
                if (rb->activities[0].steps[i].needs_stdout)
                        marked |= 1u << i;
        if (marked != expected)
                fail_msg("%s: %u, not %u", reference, marked, expected);
}

/* Standard output is captured only where it may be read. */
static void test_stdout(void **state) {
        expect_stdout("steps.one.outputs.x", 0);
        expect_stdout("steps.one.state", 0);
        expect_stdout("steps.one.error.message", 0);
        expect_stdout("steps.one.outputs.stdout", 1);
        expect_stdout("steps.two.outputs['stdout']", 2);
        expect_stdout("steps.one.outputs[run.name]", 1);
        expect_stdout("toJSON(steps.two.outputs)", 2);
        expect_stdout("toJSON(steps.one)", 1);
        expect_stdout("steps.one[run.name]", 1);
        expect_stdout("toJSON(steps)", 7);
        expect_stdout("steps[run.name].outputs.x", 7);
}

static void test_stdout_for_hooks(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "phases: [{name: p, activities: [{name: a, run: x, hooks: {post: [{run: 'echo ${{ steps.step-1.outputs.stdout }}'}]}}]}]");

        assert_true(rb->activities[0].steps[0].needs_stdout);
}

/* cancelled() and failure() are legal everywhere, if only true in some places. */
static void test_status_functions(void **state) {
        good(STEP("if: 'cancelled() || failure() || always()', run: 'echo ${{ success() }}'"));
}

static void test_all_values_are_checked(void **state) {
        static const char *const places[] = {
                "run: '${{ inputs.n }}'",
                "uses: builtin:exec, with: {argv: ['${{ inputs.n }}']}",
                "uses: builtin:shell, with: {command: '${{ inputs.n }}'}",
                "uses: builtin:shell, with: {command: x, env: {A: '${{ inputs.n }}'}}",
                "run: x, env: {A: '${{ inputs.n }}'}",
                "run: x, if: inputs.n",
                "uses: builtin:approval, with: {message: '${{ inputs.n }}'}",
                "uses: builtin:approval, with: {context: {deep: ['${{ inputs.n }}']}}",
        };

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *text = NULL;
                _cleanup_diag_ Diagnostics d = {};
                Runbook *rb = NULL;

                assert_true(asprintf(&text, "phases: [{name: p, activities: [{name: a, steps: [{%s}]}]}]", places[i]) > 0);
                assert_int_equal(runbook_parse(text, strlen(text), TREE_YAML, NULL, &d, &rb), -EINVAL);
                assert_string_equal(d.items[0].message, "there is no input \"n\"");
                assert_int_equal(d.n_errors, 1);
        }
}

/* Long chains with references at every link cost no more than they must. */
static void test_long_chains(void **state) {
        _cleanup_strbuf_ StrBuf b = {};
        const unsigned n = 3000;

        strbuf_append(&b, "phases:\n- name: p\n  activities:\n  - {name: a0, run: x}\n");
        for (unsigned i = 1; i < n; i++)
                strbuf_appendf(&b, "  - {name: a%u, needs: [a%u], run: '${{ activities.a0.outputs.x }} ${{ activities.a%u.outputs.x }}'}\n",
                               i, i - 1, i - 1);
        good(b.s);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_run_and_trigger),
        cmocka_unit_test(test_trigger_payload),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_computed_activities),
        cmocka_unit_test(test_env_levels),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_steps_by_id_only),
        cmocka_unit_test(test_request_outputs),
        cmocka_unit_test(test_stdout),
        cmocka_unit_test(test_stdout_for_hooks),
        cmocka_unit_test(test_status_functions),
        cmocka_unit_test(test_all_values_are_checked),
        cmocka_unit_test(test_long_chains),
};
TEST_MAIN(tests)
