/* run_decide: the work queues come to their end, phases and the run end as section 4 says, and the state of the run follows what can
 * move. Most of it is told by the scenarios; here stand the ends of partial runs side by side, what is counted, and the caps. */
#include "run-fixture.h"

#include "fd-util.h"

#define AFTER ", {name: q, activities: [{name: b, run: 'true'}]}]"

/* A failed step in a phase and a fine one in the next. */
static RunState end_with(const char *head, const char *phase, bool fails) {
        _cleanup_free_ char *yaml = xasprintf("%s\nphases: [%s" AFTER, head, phase);
        RunState end;
        Fixture f;

        fixture_init(&f, yaml);
        fixture_turn(&f);
        fixture_end(&f, "a", fails);
        if (fixture_activity(&f, "b")->state == ACTIVITY_RUNNING)
                fixture_end(&f, "b", 0);
        assert_true(run_state_is_terminal(f.run->state));
        end = f.run->state;
        fixture_done(&f);
        return end;
}

/* S1.18: partial success only where the runbook models it. */
static void test_partial_success(void **state) {
        static const char *const tolerated = "{name: p, activities: [{name: a, failurePolicy: continue, run: 'true'}]}";
        static const char *const plain = "{name: p, activities: [{name: a, failurePolicy: fail, run: 'true'}]}";
        static const char *const not_critical = "{name: p, critical: false, activities: [{name: a, run: 'true'}]}";
        static const char *const step = "{name: p, activities: [{name: a, steps: [{run: 'true', continueOnError: true}]}]}";
        static const char *const as_success = "", *const allow = "partialSuccess: allow", *const fail_it = "partialSuccess: fail";

        assert_int_equal(end_with(as_success, tolerated, true), RUN_SUCCESS);
        assert_int_equal(end_with(allow, tolerated, true), RUN_PARTIAL_SUCCESS);
        assert_int_equal(end_with(fail_it, tolerated, true), RUN_FAILED);
        assert_int_equal(end_with(fail_it, tolerated, false), RUN_SUCCESS);
        /* A phase that is not critical may fail, and what comes after it goes on. */
        assert_int_equal(end_with(as_success, not_critical, true), RUN_SUCCESS);
        assert_int_equal(end_with(allow, not_critical, true), RUN_PARTIAL_SUCCESS);
        assert_int_equal(end_with(fail_it, not_critical, true), RUN_FAILED);
        assert_int_equal(end_with(allow, plain, true), RUN_FAILED);
        /* S3.16 over S4.11: a tolerated step makes no run partial. */
        assert_int_equal(end_with(fail_it, step, true), RUN_SUCCESS);
        assert_int_equal(end_with(allow, step, true), RUN_SUCCESS);
}

static void test_not_critical_had_errors(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, critical: false, activities: [{name: a, run: 'true'}]}]");
        fixture_turn(&f);
        fixture_end(&f, "a", 1);
        assert_run_state(&f, RUN_SUCCESS);
        assert_true(f.run->had_errors);
        assert_null(f.run->deciding);
        fixture_done(&f);
}

/* S1.17: of several failures the first one decides. */
static void test_deciding(void **state) {
        Fixture f;

        fixture_init(&f, "failurePolicy: fail\nphases: [{name: p, activities: [{name: a, run: 'true', retries: {max: 1}}, {name: b, needs: [], "
                        "run: 'true'}, {name: c, needs: [], run: 'true'}]}]");
        fixture_turn(&f);
        fixture_end(&f, "a", 1);
        fixture_end(&f, "c", 1);
        fixture_pass(&f, USEC_PER_SEC);
        fixture_turn(&f);
        fixture_end(&f, "a", 1);
        fixture_end(&f, "b", 1);
        assert_run_state(&f, RUN_FAILED);
        assert_ptr_equal(f.run->deciding, fixture_activity(&f, "c"));
        assert_string_equal(f.run->reason, "activity c failed: exited with status 1");
        fixture_done(&f);
}

static void test_ended_run_decides_nothing(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true'}]}]");
        fixture_turn(&f);
        fixture_end(&f, "a", 0);
        assert_run_state(&f, RUN_SUCCESS);
        size_t n = f.n_history;
        fixture_pass(&f, USEC_PER_DAY);
        fixture_turn(&f);
        assert_int_equal(f.n_history, n);
        assert_int_equal(f.n_effects, 0);
        fixture_done(&f);
}

/* Deciding again without anything new says nothing. */
static void test_settled(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true'}, {name: b, needs: [], approval: {}}, {name: c, needs: "
                        "[], run: 'true'}]}]");
        f.slots = 1;
        for (unsigned i = 0; i < 3; i++) {
                size_t n;
                fixture_turn(&f);
                n = f.n_history;
                fixture_turn(&f);
                assert_int_equal(f.n_history, n);
                assert_int_equal(f.n_effects, 0);
        }
        fixture_done(&f);
}

static void test_slots(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true'}, {name: b, needs: [], run: 'true'}, {name: c, needs: [], "
                        "run: 'true'}]}]");
        f.slots = 2;
        fixture_turn(&f);
        assert_int_equal(f.slots, 0);
        assert_int_equal(f.n_effects, 2);
        assert_ptr_equal(f.run->ready.first, fixture_activity(&f, "c"));
        assert_state(&f, "c", ACTIVITY_PENDING);
        /* A process that ended gives its slot back; that is the caller's to count. */
        f.slots = 1;
        fixture_end(&f, "a", 0);
        assert_int_equal(f.slots, 0);
        assert_state(&f, "c", ACTIVITY_RUNNING);
        assert_null(f.run->ready.first);
        fixture_done(&f);
}

/* The reason of the end is for people: it is cut before it gets out of hand, and never inside a character. */
static void test_reason_is_cut(void **state) {
        _cleanup_free_ char *message = malloc(2 * EVENT_REASON_MAX + 3);
        Fixture f;

        for (size_t i = 0; i < EVENT_REASON_MAX; i++)
                memcpy(message + 2 * i, "ü", 3);
        fixture_init(&f, "failurePolicy: fail\nphases: [{name: p, activities: [{name: a, run: 'true'}]}]");
        fixture_turn(&f);
        _cleanup_json_ Json *error = error_new("EXIT", 0, "%s", message);
        assert_ok(run_step_ended(f.run, fixture_activity(&f, "a"), &f.now,
                        &(StepEnd) { .state = STEP_FAILED, .error = error, .exit_code = 1 }, &f.outcome));
        fixture_turn(&f);
        assert_true(strlen(f.run->reason) <= EVENT_REASON_MAX);
        assert_true(strlen(f.run->reason) >= EVENT_REASON_MAX - 1);
        assert_int_equal((unsigned char) f.run->reason[strlen(f.run->reason) - 1], 0xbc);
        assert_string_equal(json_string(json_get(activity_error(fixture_activity(&f, "a")), "message")), message);
        fixture_done(&f);
}

/* What a run goes through is in order in its history. */
static void test_order_of_events(void **state) {
        static const EventType expected[] = {
                EVENT_RUN_CREATED, EVENT_RUN_STARTED, EVENT_PHASE_STARTED, EVENT_ATTEMPT_STARTED, EVENT_STEP_STARTED,
                EVENT_STEP_FINISHED, EVENT_ATTEMPT_FINISHED, EVENT_ACTIVITY_FINISHED, EVENT_PHASE_FINISHED, EVENT_RUN_FINISHED,
        };
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true'}]}]");
        fixture_turn(&f);
        fixture_end(&f, "a", 0);
        assert_int_equal(f.n_history, ELEMENTSOF(expected));
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                assert_int_equal(f.history[i]->type, expected[i]);
                assert_int_equal(f.history[i]->seq, i + 1);
        }
        assert_int_equal(f.history[0]->uid, 1000);
        assert_int_equal(f.history[1]->uid, UID_ENGINE);
        fixture_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_partial_success),
                cmocka_unit_test(test_not_critical_had_errors),
                cmocka_unit_test(test_deciding),
                cmocka_unit_test(test_ended_run_decides_nothing),
                cmocka_unit_test(test_settled),
                cmocka_unit_test(test_slots),
                cmocka_unit_test(test_reason_is_cut),
                cmocka_unit_test(test_order_of_events),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
