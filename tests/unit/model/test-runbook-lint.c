/* The warnings of `verify` (section 11 of the contract; S3.17, S3.41): what each says, where, and what is left alone. */
#include "test.h"

#include "runbook-fixture.h"

static Diagnostics lint(const char *activity) {
        _cleanup_free_ char *text = NULL;
        Diagnostics d = {};

        assert_true(asprintf(&text, "inputs: {x: {}}\nphases:\n- name: p\n  activities:\n  - {name: a, %s}\n", activity) > 0);
        _cleanup_runbook_ Runbook *rb = must_parse(text);
        runbook_lint(rb, &d);
        assert_int_equal(d.n_errors, 0);
        return d;
}

static void clean(const char *activity) {
        _cleanup_diag_ Diagnostics d = lint(activity);

        print_diagnostics(&d);
        assert_int_equal(d.n_warnings, 0);
}

static void warns(const char *activity, unsigned column, const char *message) {
        _cleanup_diag_ Diagnostics d = lint(activity);

        if (d.n_items != 1 || d.items[0].severity != SEVERITY_WARNING || d.items[0].line != 5 || d.items[0].column != column ||
            !strstr(d.items[0].message, message)) {
                print_diagnostics(&d);
                fail_msg("%s: expected 5:%u: %s", activity, column, message);
        }
}

/* "Three retries is usually the ceiling." */
static void test_many_retries(void **state) {
        clean("run: x, retries: {max: 3}");
        warns("run: x, retries: {max: 4}", 5, "\"a\" is retried 4 times");
        warns("run: x, retry: {maxAttempts: 5}", 5, "\"a\" is retried 4 times");
}

static void expect_of(const char *text, unsigned line, unsigned column, const char *message) {
        _cleanup_runbook_ Runbook *rb = must_parse(text);
        _cleanup_diag_ Diagnostics d = {};

        runbook_lint(rb, &d);
        if (d.n_items != (message ? 1 : 0) || (message && (d.items[0].severity != SEVERITY_WARNING || d.items[0].line != line ||
                                                           d.items[0].column != column || !strstr(d.items[0].message, message)))) {
                print_diagnostics(&d);
                fail_msg("%s: expected %u:%u: %s", text, line, column, strempty(message));
        }
}

#define ONE_STEP "phases: [{name: p, activities: [{name: a, run: x}]}]\n"
#define HELD "phases: [{name: p, activities: [{name: a, run: x}, {name: b, failurePolicy: hold, run: x}]}]\n"

/* S4.2 of S3.41: the run's own retries count as well. */
static void test_many_run_retries(void **state) {
        expect_of("description: x\nretries: {max: 3}\n" ONE_STEP, 0, 0, NULL);
        expect_of("description: x\nretries: {max: 4}\n" ONE_STEP, 2, 1, "the whole run is retried 4 times");
        expect_of("retry: {maxAttempts: 5}\n" ONE_STEP, 1, 1, "the whole run is retried 4 times");
}

/* A run is retried when it is about to end, and a held failure keeps it from that. */
static void test_held_before_the_run_is_retried(void **state) {
        expect_of("retries: {max: 1}\n" ONE_STEP, 0, 0, NULL);
        expect_of("failurePolicy: hold\n" ONE_STEP, 0, 0, NULL);
        expect_of(HELD, 0, 0, NULL);
        expect_of("retries: {max: 0}\n" HELD, 0, 0, NULL);
        expect_of("retries: {max: 1}\n" HELD, 2, 52, "a failure of \"b\" waits for a person (failurePolicy: hold) before the run is retried");
        expect_of("retries: {max: 1}\ndefaults: {failurePolicy: hold}\nphases: [{name: p, activities: [{name: a, run: x}, {name: b, run: x}]}]\n", 1, 1,
                  "failures wait for a person");
}

/* S4.14: nobody is there to give the inputs of a run that a failure starts. */
static void test_inputs_of_a_failure(void **state) {
        expect_of("inputs: {x: {required: true}}\n" ONE_STEP, 0, 0, NULL);
        expect_of("inputs: {x: {required: true}}\ntriggers:\n  - {onFailureOf: [ship], inputs: {x: y}}\n" ONE_STEP, 0, 0, NULL);
        expect_of("inputs: {x: {required: true, default: y}, z: {}}\ntriggers:\n  - onFailureOf: [ship]\n" ONE_STEP, 0, 0, NULL);
        expect_of("inputs: {x: {required: true}}\ntriggers:\n  - onFailureOf: [ship]\n" ONE_STEP, 3, 5, "no value for the required input \"x\"");
}

static void test_tolerated_output(void **state) {
        clean("steps: [{id: s, run: x}, {run: 'echo ${{ steps.s.outputs.y }}'}]");
        warns("steps: [{id: s, run: x, continueOnError: true}, {run: 'echo ${{ steps.s.outputs.y }}'}]", 79,
              "the step \"s\" may fail and leave this output empty");
        clean("steps: [{id: s, run: x, continueOnError: true}, {if: steps.s.state == 'success', run: 'echo ${{ steps.s.outputs.y }}'}]");
        clean("steps: [{id: s, run: x, continueOnError: true}, {run: 'echo ${{ steps.s.state }}'}]");
        warns("steps: [{id: s, run: x, continueOnError: true}, {run: y, env: {A: '${{ steps.s.outputs.y }}'}}]", 86, "the step \"s\"");
        warns("steps: [{id: s, run: x, continueOnError: true}, {uses: builtin:exec, with: {argv: ['${{ steps.s.outputs.y }}']}}]", 103,
              "the step \"s\"");
        warns("run: x, hooks: {pre: [{id: s, run: x, continueOnError: true}], post: [{run: 'echo ${{ steps.s.outputs.y }}'}]}", 101,
              "the step \"s\"");
}

static void test_tolerated_output_in_a_request(void **state) {
        _cleanup_diag_ Diagnostics d = lint(
                "steps: [{id: s, run: x, continueOnError: true}, {uses: builtin:approval, with: {message: '${{ steps.s.outputs.y }}', context: ['${{ steps.s.outputs.z }}']}}]");

        assert_int_equal(d.n_warnings, 3);              /* both, and that it asks again */
}

static void test_retries_in_vain(void **state) {
        warns("uses: builtin:shell, with: {command: x}, retries: {max: 1}", 5, "has retries, but none of its steps fails");
        warns("uses: builtin:shell, with: {command: x}, hooks: {onFailure: [{run: x}]}", 5, "has onFailure, but none of its steps fails");
        warns("steps: [{run: x, continueOnError: true}, {uses: builtin:shell, with: {command: x}}], retries: {max: 1}", 5,
              "none of its steps fails");
        clean("uses: builtin:shell, with: {command: x, throwOnError: true}, retries: {max: 1}");
        clean("steps: [{run: x}, {uses: builtin:shell, with: {command: x}}], retries: {max: 1}");
        clean("uses: builtin:exec, with: {argv: [x]}, retries: {max: 1}");
        clean("uses: builtin:shell, with: {command: x}, hooks: {pre: [{run: x}], onFailure: [{run: x}], post: [{run: x}]}");
        clean("uses: builtin:shell, with: {command: x}, retries: {max: 0}");
}

static void test_pre_not_undone(void **state) {
        warns("run: x, hooks: {pre: [{run: x}], onFailure: [{run: x}]}", 5, "\"a\" has pre and onFailure without post");
        clean("run: x, hooks: {pre: [{run: x}], onFailure: [{run: x}], post: [{run: x}]}");
        clean("run: x, hooks: {onFailure: [{run: x}]}");
        clean("run: x, hooks: {pre: [{run: x}]}");
}

static void test_asks_again(void **state) {
        clean("approval: {}");
        warns("approval: {}, retries: {max: 1}", 5, "every new attempt of \"a\" asks for this approval again");
        warns("steps: [{run: x}, {uses: builtin:approval}]", 33, "every new attempt of \"a\" asks for this approval again");
}

/* The defaults of all activities are not this one's doing. */
static void test_defaults_are_left_alone(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "defaults: {retries: {max: 9}}\nphases: [{name: p, activities: [{name: a, approval: {}}, {name: b, uses: builtin:shell, with: {command: x}}]}]");
        _cleanup_diag_ Diagnostics d = {};

        runbook_lint(rb, &d);
        assert_int_equal(d.n_items, 0);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_retries),
        cmocka_unit_test(test_many_run_retries),
        cmocka_unit_test(test_held_before_the_run_is_retried),
        cmocka_unit_test(test_inputs_of_a_failure),
        cmocka_unit_test(test_tolerated_output),
        cmocka_unit_test(test_tolerated_output_in_a_request),
        cmocka_unit_test(test_retries_in_vain),
        cmocka_unit_test(test_pre_not_undone),
        cmocka_unit_test(test_asks_again),
        cmocka_unit_test(test_defaults_are_left_alone),
};
TEST_MAIN(tests)
