/* When a step still says what it said (S0.14, S3.11): what has to run again after the text of a runbook was changed. */
#include "test.h"

#include <stdio.h>

#include "runbook-fixture.h"
#include "step-digest.h"

#define HEAD "env: {LEVEL: 1}\n"
#define STEPS "steps: [{name: one, run: x, env: {A: 'a', B: b}}, {name: two, run: y}]"
#define AROUND(activity) "phases: [{name: p, activities: [{name: a, " activity "}]}]\n"
static const char *const text = HEAD AROUND(STEPS);

static unsigned count_unchanged(const char *old, const char *new) {
        _cleanup_(runbook_unrefp) Runbook *a = must_parse(old), *b = must_parse(new);
        const ActivityDef *x = runbook_activity(a, "a"), *y = runbook_activity(b, "a");
        unsigned n = 0;

        for (unsigned i = 0; i < x->n_steps; i++)
                for (unsigned k = 0; k < y->n_steps; k++)
                        n += x->steps[i].list == LIST_MAIN && step_is_unchanged(&x->steps[i], &y->steps[k]);
        return n;
}

static void test_what_counts(void **state) {
        static const struct {
                unsigned unchanged;                     /* of two */
                const char *text;
        } rows[] = {
                { 2, HEAD AROUND(STEPS) },
                { 2, "# another\n" AROUND(STEPS) HEAD },
                { 2, HEAD AROUND("steps: [{env: {B: \"b\", A: a}, run: 'x', name: one}, {run: y, name: two}]") },
                { 2, HEAD AROUND("timeout: 1h, retries: {max: 1}, failurePolicy: fail, description: d, if: always(), " STEPS) },
                { 2, HEAD "timeout: 1h\ndefaults: {timeout: 2h, failurePolicy: fail}\ninputs: {x: {}}\n" AROUND(STEPS) },
                { 2, HEAD AROUND("hooks: {pre: [{run: z}]}, " STEPS) },
                { 2, HEAD AROUND("steps: [{name: new, run: x}, {name: two, run: y}, {name: one, run: x, env: {A: 'a', B: b}}]") },
                { 1, HEAD AROUND("steps: [{name: one, run: x, env: {A: 'a', B: b}}, {name: two, run: z}]") },
                { 1, HEAD AROUND("steps: [{name: one, run: x, env: {A: 'b', B: a}}, {name: two, run: y}]") },
                { 1, HEAD AROUND("steps: [{name: one, run: x, env: {A: 'a'}}, {name: two, run: y}]") },
                { 1, HEAD AROUND("steps: [{name: one, run: x, env: {A: 'a', B: b}}, {name: two, run: y, timeout: 1h}]") },
                { 1, HEAD AROUND("steps: [{name: one, run: x, env: {A: 'a', B: b}}, {name: two, id: deux, run: y}]") },
                { 0, HEAD AROUND("steps: [{name: one, run: y, env: {A: 'a', B: b}}, {name: two, run: x}]") },
                { 0, "env: {LEVEL: 1.0}\n" AROUND(STEPS) },
                { 0, AROUND(STEPS) },
                { 0, HEAD "defaults: {shell: bash}\n" AROUND(STEPS) },
                { 0, HEAD AROUND("env: {C: c}, " STEPS) },
                { 0, HEAD AROUND("workingDirectory: w, " STEPS) },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                unsigned n = count_unchanged(text, rows[i].text);

                if (n != rows[i].unchanged)
                        fail_msg("%u of its steps are unchanged, not %u: %s", n, rows[i].unchanged, rows[i].text);
        }
}

/* An activity that says itself what it does has one step, step-1. */
static void test_the_only_step(void **state) {
        const char *run = AROUND("run: x"), *exec = AROUND("uses: builtin:exec, with: {argv: [x, y]}"), *ask = AROUND("approval: {title: t}");

        assert_int_equal(count_unchanged(run, AROUND("timeout: 1h, run: 'x'")), 1);
        assert_int_equal(count_unchanged(run, AROUND("run: y")), 0);
        assert_int_equal(count_unchanged(run, AROUND("env: {A: b}, run: x")), 0);
        assert_int_equal(count_unchanged(AROUND("workingDirectory: process, run: x"), AROUND("executor: process, run: x")), 0);
        assert_int_equal(count_unchanged(exec, exec), 1);
        assert_int_equal(count_unchanged(exec, AROUND("uses: builtin:exec, with: {argv: [y, x]}")), 0);
        assert_int_equal(count_unchanged(ask, AROUND("approval: {title: t, required: 1}")), 0);
        assert_int_equal(count_unchanged(ask, ask), 1);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_the_only_step),
};
TEST_MAIN(tests)
