/* The tables of states: names there and back, final states, and the moves of section 4 of the contract. */
#include "test.h"

#include "states.h"

#define ROUND_TRIP(type, prefix, max)                                                   \
        do {                                                                            \
                for (type v = 0; v < (max); v++) {                                      \
                        const char *name = prefix##_to_string(v);                       \
                        assert_non_null(name);                                          \
                        assert_int_equal(prefix##_from_string(name), v);                \
                }                                                                       \
                assert_null(prefix##_to_string(max));                                   \
                assert_null(prefix##_to_string((type) -EINVAL));                        \
                assert_true((int) prefix##_from_string("nonsense") < 0);                \
                assert_true((int) prefix##_from_string(NULL) < 0);                      \
        } while (0)

static void test_names(void **state) {
        ROUND_TRIP(RunState, run_state, _RUN_STATE_MAX);
        ROUND_TRIP(PhaseState, phase_state, _PHASE_STATE_MAX);
        ROUND_TRIP(ActivityState, activity_state, _ACTIVITY_STATE_MAX);
        ROUND_TRIP(AttemptState, attempt_state, _ATTEMPT_STATE_MAX);
        ROUND_TRIP(StepState, step_state, _STEP_STATE_MAX);
        ROUND_TRIP(Cause, cause, _CAUSE_MAX);
}

/* Two tables have a value without a name: nothing to wait for, and the main list. */
static void test_names_with_a_gap(void **state) {
        assert_null(waiting_for_to_string(WAITING_NOTHING));
        for (WaitingFor w = WAITING_APPROVAL; w < _WAITING_FOR_MAX; w++)
                assert_int_equal(waiting_for_from_string(waiting_for_to_string(w)), w);
        assert_null(step_list_to_string(LIST_MAIN));
        for (StepList l = 0; l < _STEP_LIST_MAX; l++)
                if (l != LIST_MAIN)
                        assert_int_equal(step_list_from_string(step_list_to_string(l)), l);
        assert_string_equal(step_list_to_string(LIST_ON_FAILURE), "onFailure");
}

/* S3.28, S3.33, S3.35, S4.10, S4.12: the names that are asked for are there. */
static void test_names_of_the_requirements(void **state) {
        static const char *const run[] = { "queued",  "running", "success",   "failed",    "cancelled",
                                           "skipped", "dlq",     "exhausted", "timed-out", "rejected" };

        for (size_t i = 0; i < ELEMENTSOF(run); i++)
                assert_true((int) run_state_from_string(run[i]) >= 0);
        assert_int_equal(activity_state_from_string("interrupted"), ACTIVITY_INTERRUPTED);
        assert_int_equal(step_state_from_string("waiting-approval"), STEP_WAITING_APPROVAL);
        assert_true((int) activity_state_from_string("dlq") < 0);
        assert_true((int) run_state_from_string("waiting-approval") < 0);
}

static void test_terminal(void **state) {
        for (RunState s = 0; s < _RUN_STATE_MAX; s++)
                assert_int_equal(run_state_is_terminal(s), s >= RUN_SUCCESS);
        for (PhaseState s = 0; s < _PHASE_STATE_MAX; s++)
                assert_int_equal(phase_state_is_terminal(s), s >= PHASE_SUCCESS);
        for (ActivityState s = 0; s < _ACTIVITY_STATE_MAX; s++)
                assert_int_equal(activity_state_is_terminal(s), s >= ACTIVITY_SUCCESS);
        for (StepState s = 0; s < _STEP_STATE_MAX; s++)
                assert_int_equal(step_state_is_terminal(s), s >= STEP_SUCCESS);
        assert_false(run_state_is_terminal(_RUN_STATE_INVALID));
        assert_false(step_state_is_terminal(_STEP_STATE_INVALID));
}

static void test_no_move_to_itself_or_out_of_range(void **state) {
        for (unsigned s = 0; s < 40; s++) {
                assert_false(run_state_may_become(s, s));
                assert_false(phase_state_may_become(s, s));
                assert_false(activity_state_may_become(s, s));
                assert_false(attempt_state_may_become(s, s));
                assert_false(step_state_may_become(s, s));
                assert_false(run_state_may_become(_RUN_STATE_MAX, s));
                assert_false(run_state_may_become(RUN_RUNNING, _RUN_STATE_MAX + s));
                assert_false(activity_state_may_become(_ACTIVITY_STATE_INVALID, s));
        }
}

/* S3.31: the only move out of a final state of a run is dlq to cancelled. */
static void test_final_runs_stay(void **state) {
        for (RunState a = 0; a < _RUN_STATE_MAX; a++)
                for (RunState b = 0; b < _RUN_STATE_MAX; b++)
                        if (run_state_is_terminal(a))
                                assert_int_equal(run_state_may_become(a, b), a == RUN_DLQ && b == RUN_CANCELLED);
}

/* A retry of the whole run starts phases and activities again; nothing else leaves their final states. Attempts and steps never come back. */
static void test_other_final_states(void **state) {
        for (ActivityState a = ACTIVITY_SUCCESS; a < _ACTIVITY_STATE_MAX; a++)
                for (ActivityState b = 0; b < _ACTIVITY_STATE_MAX; b++)
                        assert_int_equal(activity_state_may_become(a, b), b == ACTIVITY_PENDING);
        for (PhaseState a = PHASE_SUCCESS; a < _PHASE_STATE_MAX; a++)
                for (PhaseState b = 0; b < _PHASE_STATE_MAX; b++)
                        assert_int_equal(phase_state_may_become(a, b), b == PHASE_PENDING);
        for (AttemptState a = ATTEMPT_SUCCESS; a < _ATTEMPT_STATE_MAX; a++)
                for (AttemptState b = 0; b < _ATTEMPT_STATE_MAX; b++)
                        assert_false(attempt_state_may_become(a, b));
        for (StepState a = STEP_SUCCESS; a < _STEP_STATE_MAX; a++)
                for (StepState b = 0; b < _STEP_STATE_MAX; b++)
                        assert_false(step_state_may_become(a, b));
}

static void test_moves(void **state) {
        assert_true(run_state_may_become(RUN_SCHEDULED, RUN_RUNNING));          /* S1.5 */
        assert_true(run_state_may_become(RUN_ON_HOLD, RUN_RUNNING));            /* S0.20 */
        assert_true(run_state_may_become(RUN_RUNNING, RUN_QUEUED));             /* a retry of the whole run waits */
        assert_false(run_state_may_become(RUN_SCHEDULED, RUN_SUCCESS));
        assert_false(run_state_may_become(RUN_QUEUED, RUN_FAILED));
        assert_true(activity_state_may_become(ACTIVITY_ON_HOLD, ACTIVITY_IGNORED));
        assert_false(activity_state_may_become(ACTIVITY_RUNNING, ACTIVITY_IGNORED));    /* only what is held can be waived */
        assert_false(activity_state_may_become(ACTIVITY_RUNNING, ACTIVITY_SKIPPED));    /* skipped: never ran */
        assert_true(activity_state_may_become(ACTIVITY_INTERRUPTED, ACTIVITY_RUNNING)); /* S3.34 */
        assert_false(activity_state_may_become(ACTIVITY_ON_HOLD, ACTIVITY_INTERRUPTED));        /* what waits is not interrupted */
        assert_true(step_state_may_become(STEP_RUNNING, STEP_PENDING));
        assert_false(step_state_may_become(STEP_WAITING_APPROVAL, STEP_RUNNING));
        assert_false(step_state_may_become(STEP_RUNNING, STEP_SKIPPED));
}

/* Every state but the first of its noun can be reached. */
static void test_all_reachable(void **state) {
        for (RunState b = RUN_QUEUED; b < _RUN_STATE_MAX; b++) {
                unsigned n = 0;
                for (RunState a = 0; a < _RUN_STATE_MAX; a++)
                        n += run_state_may_become(a, b);
                assert_true(n > 0);
        }
        for (ActivityState b = 0; b < _ACTIVITY_STATE_MAX; b++) {
                unsigned n = 0;
                for (ActivityState a = 0; a < _ACTIVITY_STATE_MAX; a++)
                        n += activity_state_may_become(a, b);
                assert_true(n > 0);
        }
        for (StepState b = STEP_RUNNING; b < _STEP_STATE_MAX; b++) {
                unsigned n = 0;
                for (StepState a = 0; a < _STEP_STATE_MAX; a++)
                        n += step_state_may_become(a, b);
                assert_true(n > 0);
        }
}

static void test_error_codes(void **state) {
        size_t n = 0;

        while (error_codes[n])
                n++;
        assert_int_equal(n, 17);
        assert_string_equal(error_codes[0], "EXIT");
        assert_string_equal(error_codes[3], "OOM_KILL");
        assert_string_equal(error_codes[16], "LOST");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_names_with_a_gap),
        cmocka_unit_test(test_names_of_the_requirements),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_no_move_to_itself_or_out_of_range),
        cmocka_unit_test(test_final_runs_stay),
        cmocka_unit_test(test_other_final_states),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_all_reachable),
        cmocka_unit_test(test_error_codes),
};
TEST_MAIN(tests)
