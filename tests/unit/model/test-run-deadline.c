/* Deadlines: which ones a state calls for, on which clock, and what is left of them after the daemon or the machine was away. */
#include "run-fixture.h"

static usec_t steps_in(const Fixture *f) {
        usec_t when = run_next_deadline(f->run, CLOCK_OF_STEPS);
        return when == USEC_INFINITY ? when : when - f->now.mono;
}

static usec_t waits_in(const Fixture *f) {
        usec_t when = run_next_deadline(f->run, CLOCK_OF_WAITS);
        return when == USEC_INFINITY ? when : when - f->now.boottime;
}

/* The daemon starts again: a new fold, on clocks that say what they say now. */
static void restart(Fixture *f, bool recover) {
        Run *again = fixture_fold(f, f->n_history);

        run_free(f->run);
        f->run = again;
        if (recover)
                assert_ok(run_recover(f->run, &f->now, &f->limits, &f->outcome));
        else
                assert_ok(run_resume(f->run, &f->now, &f->limits));
        fixture_turn(f);
}

static void reboot(Fixture *f, usec_t off) {
        f->now = (Stamp) { .wall = f->now.wall + off, .boottime = 3 * USEC_PER_SEC, .mono = 3 * USEC_PER_SEC, .boot = f->now.boot + 1 };
        restart(f, true);
}

static void test_of_a_step(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, timeout: 1min, steps: [{run: 'true', timeout: 10s}, {run: 'true'}, "
                        "{uses: 'builtin:shell', with: {command: 'true'}, timeout: 1h}]}]}]");
        fixture_turn(&f);
        assert_int_equal(steps_in(&f), 10 * USEC_PER_SEC);
        assert_int_equal(waits_in(&f), USEC_INFINITY);
        fixture_pass(&f, 4 * USEC_PER_SEC);
        fixture_end(&f, "a", 0);
        assert_int_equal(steps_in(&f), 56 * USEC_PER_SEC);
        assert_int_equal(fixture_activity(&f, "a")->step_deadline.when, USEC_INFINITY);
        fixture_end(&f, "a", 0);
        assert_int_equal(fixture_activity(&f, "a")->step_deadline.when, f.now.mono + SHELL_TIMEOUT_DEFAULT);
        fixture_end(&f, "a", 0);
        assert_int_equal(steps_in(&f), USEC_INFINITY);
        fixture_done(&f);
}

static void test_of_waits(void **state) {
        Fixture f;

        fixture_init(&f, "timeout: 2h\nphases: [{name: p, activities: [{name: a, run: 'true', retries: {max: 1, initialInterval: 10min}}, "
                        "{name: b, needs: [], approval: {timeout: 30min}}]}]");
        fixture_turn(&f);
        assert_int_equal(waits_in(&f), 30 * USEC_PER_MINUTE);
        fixture_end(&f, "a", 1);
        assert_int_equal(waits_in(&f), 10 * USEC_PER_MINUTE);
        assert_int_equal(fixture_activity(&f, "b")->wait_deadline.kind, DEADLINE_REQUEST);
        assert_int_equal(fixture_activity(&f, "a")->wait_deadline.kind, DEADLINE_BACKOFF);
        assert_int_equal(steps_in(&f), USEC_INFINITY);
        assert_int_equal(f.run->deadline.when, f.now.boottime + 2 * USEC_PER_HOUR);
        fixture_done(&f);
}

/* S0.22: the run's clock stands while it is on hold. */
static void test_of_the_run(void **state) {
        char *error = NULL;
        Fixture f;

        fixture_init(&f, "timeout: 1h\nphases: [{name: p, activities: [{name: a, run: 'true'}, {name: b, approval: {}}, {name: c, run: "
                        "'true'}]}]");
        assert_int_equal(waits_in(&f), USEC_INFINITY);
        fixture_turn(&f);
        fixture_pass(&f, 10 * USEC_PER_MINUTE);
        fixture_end(&f, "a", 0);
        assert_run_state(&f, RUN_ON_HOLD);
        assert_int_equal(waits_in(&f), USEC_INFINITY);
        fixture_pass(&f, USEC_PER_DAY);
        assert_ok(run_answer(f.run, fixture_activity(&f, "b"), &f.now, &bob, true, NULL, NULL, &f.outcome, &error));
        fixture_turn(&f);
        assert_int_equal(waits_in(&f), 50 * USEC_PER_MINUTE);
        fixture_pass(&f, 50 * USEC_PER_MINUTE - 1);
        fixture_turn(&f);
        assert_int_equal(f.run->stop, STOP_NOTHING);
        fixture_pass(&f, 1);
        fixture_turn(&f);
        assert_int_equal(f.run->stop, STOP_RUN_TIMEOUT);
        assert_int_equal(waits_in(&f), USEC_INFINITY);
        fixture_done(&f);
}

/* A commit failed and the run was folded again while its step runs: nothing is interrupted, and the clocks go on. */
static void test_resume(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, timeout: 1min, steps: [{run: 'true', timeout: 50s}], hooks: {post: "
                        "[{run: 'true', timeout: 1h}]}}]}]");
        fixture_turn(&f);
        fixture_pass(&f, 20 * USEC_PER_SEC);
        restart(&f, false);
        assert_state(&f, "a", ACTIVITY_RUNNING);
        assert_int_equal(steps_in(&f), 30 * USEC_PER_SEC);
        assert_int_equal(fixture_activity(&f, "a")->attempt_deadline.when, f.now.mono + 40 * USEC_PER_SEC);
        fixture_end(&f, "a", 0);
        fixture_pass(&f, USEC_PER_MINUTE);
        restart(&f, false);
        assert_int_equal(steps_in(&f), 4 * USEC_PER_MINUTE);
        assert_int_equal(fixture_activity(&f, "a")->step_deadline.when, f.now.mono + 59 * USEC_PER_MINUTE);
        assert_int_equal(fixture_count(&f, EVENT_STEP_STARTED), 2);
        fixture_done(&f);
}

/* S3.34: over a reboot the wall clock says what is left, once. */
static void test_reboot(void **state) {
        Fixture f;

        fixture_init(&f, "timeout: 4h\nphases: [{name: p, activities: [{name: a, run: 'true', retries: {max: 1, initialInterval: 1h}}, "
                        "{name: b, needs: [], approval: {timeout: 2h, required: 2}}]}]");
        fixture_turn(&f);
        fixture_end(&f, "a", 1);
        fixture_pass(&f, 10 * USEC_PER_MINUTE);
        reboot(&f, 20 * USEC_PER_MINUTE);
        assert_int_equal(waits_in(&f), 30 * USEC_PER_MINUTE);
        assert_int_equal(fixture_activity(&f, "b")->wait_deadline.when, f.now.boottime + 90 * USEC_PER_MINUTE);
        assert_int_equal(f.run->deadline.when, f.now.boottime + 210 * USEC_PER_MINUTE);
        /* The clock is set after that: nothing moves, also when the activity is looked at again. */
        f.now.wall -= USEC_PER_DAY;
        activity_mark(fixture_activity(&f, "a"));
        activity_mark(fixture_activity(&f, "b"));
        fixture_turn(&f);
        assert_int_equal(waits_in(&f), 30 * USEC_PER_MINUTE);
        assert_int_equal(fixture_activity(&f, "b")->wait_deadline.when, f.now.boottime + 90 * USEC_PER_MINUTE);
        assert_int_equal(f.run->deadline.when, f.now.boottime + 210 * USEC_PER_MINUTE);
        fixture_done(&f);
}

static void test_passed_while_away(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, approval: {timeout: 1h}}]}]");
        fixture_turn(&f);
        reboot(&f, 2 * USEC_PER_HOUR);
        assert_run_state(&f, RUN_TIMED_OUT);
        fixture_done(&f);
}

/* A wall clock that went back over the reboot leaves the whole span, never more. */
static void test_clock_went_back(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, approval: {timeout: 1h}}]}]");
        fixture_turn(&f);
        f.now.wall -= USEC_PER_DAY;
        reboot(&f, 0);
        assert_true(waits_in(&f) <= USEC_PER_HOUR);
        assert_true(waits_in(&f) >= USEC_PER_HOUR - 1);
        fixture_done(&f);
}

static void test_step_comes_too_late(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, timeout: 1min, steps: [{run: 'true'}, {run: 'true'}], hooks: {post: "
                        "[{run: 'true'}, {run: 'true'}]}}]}]");
        fixture_turn(&f);
        const Activity *a = fixture_activity(&f, "a");
        f.slots = 0;
        fixture_end(&f, "a", 0);
        assert_false(step_comes_too_late(a, 1, &f.now, &f.limits));
        fixture_pass(&f, USEC_PER_MINUTE - 1);
        assert_false(step_comes_too_late(a, 1, &f.now, &f.limits));
        fixture_pass(&f, 1);
        assert_true(step_comes_too_late(a, 1, &f.now, &f.limits));
        assert_false(step_comes_too_late(a, 2, &f.now, &f.limits));
        f.slots = 64;
        fixture_turn(&f);
        assert_string_equal(error_code(activity_attempt(a)->error), "TIMEOUT");
        assert_int_equal(activity_running_step(a), 2);
        fixture_pass(&f, f.limits.hook_timeout);
        f.slots = 0;
        assert_ok(run_step_ended(f.run, fixture_activity(&f, "a"), &f.now, &(StepEnd) { .state = STEP_SUCCESS }, &f.outcome));
        assert_true(step_comes_too_late(a, 3, &f.now, &f.limits));
        fixture_done(&f);
}

/* What is over is armed for nothing. */
static void test_ended(void **state) {
        Fixture f;

        fixture_init(&f, "timeout: 1h\nphases: [{name: p, activities: [{name: a, timeout: 1min, steps: [{run: 'true', timeout: 1s}]}]}]");
        fixture_turn(&f);
        fixture_end(&f, "a", 0);
        assert_run_state(&f, RUN_SUCCESS);
        assert_int_equal(steps_in(&f), USEC_INFINITY);
        assert_int_equal(waits_in(&f), USEC_INFINITY);
        fixture_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_of_a_step),
                cmocka_unit_test(test_of_waits),
                cmocka_unit_test(test_of_the_run),
                cmocka_unit_test(test_resume),
                cmocka_unit_test(test_reboot),
                cmocka_unit_test(test_passed_while_away),
                cmocka_unit_test(test_clock_went_back),
                cmocka_unit_test(test_step_comes_too_late),
                cmocka_unit_test(test_ended),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
