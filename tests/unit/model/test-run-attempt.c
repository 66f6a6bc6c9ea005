/* Attempts: which lists of steps run, what stops a process and how often it is told, and what follows the end of an attempt. The orders
 * that people see are told by the scenarios; here every combination of what can go wrong is gone through. */
#include "run-fixture.h"

static const char *const all_lists =
        "failurePolicy: fail\n"
        "phases:\n"
        "  - name: p\n"
        "    activities:\n"
        "      - name: a\n"
        "        retries: {max: 1}\n"
        "        steps: [{run: 'true'}, {run: 'true'}]\n"
        "        hooks: {pre: [{run: 'true'}], onSuccess: [{run: 'true'}], onFailure: [{run: 'true'}], post: [{run: 'true'}]}\n";

/* What ran in an attempt: a letter for each step. */
static char *letters(const Activity *a, const Attempt *t) {
        static const char list[] = { 'p', 'm', 's', 'f', 'o' };
        char *s = calloc(a->def->n_steps + 1, 1), *x = s;

        for (unsigned i = 0; i < a->def->n_steps; i++)
                if (t->steps[i].started_at > 0)
                        *x++ = list[a->def->steps[i].list];
        return s;
}

/* Runs attempts whose step number `bad` fails (in each), until the activity has ended. */
static void run_failing(Fixture *f, int bad) {
        fixture_init(f, all_lists);
        fixture_turn(f);
        for (unsigned guard = 0; !run_state_is_terminal(f->run->state); guard++) {
                Activity *a = fixture_activity(f, "a");
                int step = activity_running_step(a);

                assert_true(guard < 100);
                if (step >= 0)
                        fixture_end(f, "a", step == bad);
                else {
                        fixture_pass(f, USEC_PER_SEC);
                        fixture_turn(f);
                }
        }
}

/* S3.22, S3.23, S3.39: steps are pre, main, main, onSuccess, onFailure, post; -1: none fails. */
static void test_lists(void **state) {
        static const struct {
                int bad;
                const char *first, *second;             /* attempts */
                ActivityState end;
        } table[] = {
                { -1, "pmmso", NULL, ACTIVITY_SUCCESS }, { 0, "po", "pfo", ACTIVITY_FAILED }, { 1, "pmo", "pmfo", ACTIVITY_FAILED },
                                { 2, "pmmo", "pmmfo", ACTIVITY_FAILED },
                { 3, "pmmso", NULL, ACTIVITY_SUCCESS },  { 5, "pmmso", NULL, ACTIVITY_SUCCESS },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Fixture f;

                run_failing(&f, table[i].bad);
                const Activity *a = fixture_activity(&f, "a");
                _cleanup_free_ char *first = letters(a, &a->attempts[0]), *second = a->n_attempts > 1 ? letters(a, &a->attempts[1]) : NULL;
                assert_string_equal(first, table[i].first);
                assert_true(streq_ptr(second, table[i].second));
                assert_state(&f, "a", table[i].end);
                fixture_done(&f);
        }
}

/* Where a run is cancelled, or the activity's time passes, while step number i runs: what still runs in that attempt. */
static void test_stopped_at(void **state) {
        static const struct {
                int at;
                const char *after_cancel, *after_timeout;
        } table[] = { { 0, "pfo", "po" }, { 1, "pmfo", "pmo" }, { 2, "pmmfo", "pmmo" }, { 3, "pmmso", "pmmso" }, { 5, "pmmso", "pmmso" } };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                for (unsigned timeout = 0; timeout < 2; timeout++) {
                        char *error = NULL;
                        Fixture f;

                        fixture_init(&f, all_lists);
                        f.runbook->activities[0].timeout = timeout ? USEC_PER_MINUTE : USEC_INFINITY;
                        fixture_turn(&f);
                        while (activity_running_step(fixture_activity(&f, "a")) != table[i].at)
                                fixture_end(&f, "a", 0);
                        if (timeout)
                                fixture_pass(&f, USEC_PER_MINUTE);
                        else
                                assert_ok(run_cancel(f.run, &f.now, &bob, NULL, &f.outcome, &error));
                        fixture_turn(&f);
                        assert_int_equal(f.n_effects, table[i].at < 3 ? 1 : 0);
                        if (table[i].at < 3)
                                assert_int_equal(f.effects[0].type, EFFECT_STOP_STEP);
                        while (activity_running_step(fixture_activity(&f, "a")) >= 0)
                                fixture_end(&f, "a", activity_running_step(fixture_activity(&f, "a")) == table[i].at);
                        const Activity *a = fixture_activity(&f, "a");
                        _cleanup_free_ char *ran = letters(a, &a->attempts[0]);
                        assert_string_equal(ran, timeout ? table[i].after_timeout : table[i].after_cancel);
                        fixture_done(&f);
                }
}

static unsigned n_stops(const Fixture *f, bool again) {
        unsigned n = 0;

        for (size_t i = 0; i < f->n_effects; i++)
                n += f->effects[i].type == EFFECT_STOP_STEP && f->effects[i].again == again;
        return n;
}

/* A process is told each reason once, a stronger one again, and a second cancel without grace. */
static void test_stop_once(void **state) {
        char *error = NULL;
        Fixture f;

        fixture_init(&f, "timeout: 1h\nphases: [{name: p, activities: [{name: a, timeout: 1min, steps: [{run: 'true', timeout: 10s}]}]}]");
        fixture_turn(&f);
        fixture_pass(&f, 10 * USEC_PER_SEC);
        fixture_turn(&f);
        assert_int_equal(n_stops(&f, false), 1);
        fixture_turn(&f);
        assert_int_equal(n_stops(&f, false), 0);
        fixture_pass(&f, USEC_PER_MINUTE);              /* the activity's timeout adds nothing to the step's */
        fixture_turn(&f);
        assert_int_equal(n_stops(&f, false), 0);
        fixture_pass(&f, USEC_PER_HOUR);
        fixture_turn(&f);
        assert_int_equal(n_stops(&f, false), 1);
        assert_ok(run_cancel(f.run, &f.now, &bob, NULL, &f.outcome, &error));
        fixture_turn(&f);
        assert_int_equal(n_stops(&f, false), 1);
        assert_ok(run_cancel(f.run, &f.now, &bob, NULL, &f.outcome, &error));
        fixture_turn(&f);
        assert_int_equal(n_stops(&f, true), 1);
        assert_int_equal(n_stops(&f, false), 0);
        fixture_end(&f, "a", 1);
        assert_run_state(&f, RUN_CANCELLED);
        fixture_done(&f);
}

static void test_stop_error(void **state) {
        static const struct {
                StopReason why;
                bool step_timed_out;
                int step;
                const char *code, *message;
        } table[] = {
                { STOP_CANCEL_HOOKS, true, 0, "CANCELLED", "the run was cancelled" },
                { STOP_CANCEL, false, 0, "CANCELLED", "the run was cancelled" },
                { STOP_RUN_TIMEOUT, true, 0, "TIMEOUT", "the run's timeout passed" },
                { STOP_TIMEOUT, true, 0, "TIMEOUT", "the step's timeout passed" },
                { STOP_TIMEOUT, false, 1, "TIMEOUT", "the activity's timeout passed" },
                { STOP_TIMEOUT, false, 5, "TIMEOUT", "the time for this list of hooks (HookTimeoutSec) passed" },
                { STOP_TIMEOUT, true, 5, "TIMEOUT", "the step's timeout passed" },
        };
        Fixture f;

        fixture_init(&f, all_lists);
        fixture_turn(&f);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Activity *a = fixture_activity(&f, "a");
                activity_attempt(a)->step_timed_out = table[i].step_timed_out;
                _cleanup_json_ Json *e = stop_error(a, table[i].step, table[i].why, 5);
                assert_string_equal(error_code(e), table[i].code);
                assert_string_equal(json_string(json_get(e, "message")), table[i].message);
        }
        activity_attempt(fixture_activity(&f, "a"))->step_timed_out = false;
        fixture_done(&f);
}

static void test_main_is_over(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, steps: [{run: 'true'}, {run: 'true'}, {run: 'true', if: always()}], "
                        "hooks: {post: [{run: 'true'}]}},"
                         "{name: b, needs: [], steps: [{run: 'true'}, {run: 'true'}], hooks: {post: [{run: 'true'}]}}]}]");
        fixture_turn(&f);
        Activity *a = fixture_activity(&f, "a"), *b = fixture_activity(&f, "b");
        assert_false(attempt_main_is_over(a, activity_attempt(a)));
        f.slots = 0;
        /* A step for failures is still to come in a; in b nothing is. */
        fixture_end(&f, "a", 1);
        fixture_end(&f, "b", 1);
        assert_int_equal(attempt_next_step(a, activity_attempt(a)), 2);
        assert_false(attempt_main_is_over(a, activity_attempt(a)));
        assert_int_equal(attempt_next_step(b, activity_attempt(b)), 2);
        assert_true(attempt_main_is_over(b, activity_attempt(b)));
        fixture_done(&f);
}

/* S3.34: MaxResumes is the number of new attempts, not of interruptions. */
static void test_max_resumes(void **state) {
        for (unsigned max = 0; max < 3; max++) {
                Fixture f;

                fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true'}]}]");
                f.limits.max_resumes = max;
                fixture_turn(&f);
                for (unsigned i = 0; i <= max; i++) {
                        assert_state(&f, "a", ACTIVITY_RUNNING);
                        assert_ok(run_recover(f.run, &f.now, &f.limits, &f.outcome));
                        fixture_turn(&f);
                }
                assert_run_state(&f, RUN_DLQ);
                assert_int_equal(fixture_activity(&f, "a")->n_attempts, max + 1);
                fixture_done(&f);
        }
}

/* A backoff is counted from the end of the attempt, and the event says both when and how long. */
static void test_backoff(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, failurePolicy: fail, run: 'true', retries: {max: 3, initialInterval: 10s}}]}]");
        fixture_turn(&f);
        for (unsigned i = 0; i < 3; i++) {
                usec_t span = (10 * USEC_PER_SEC) << i;
                fixture_pass(&f, 3 * USEC_PER_SEC);
                fixture_end(&f, "a", 1);
                const Event *e = f.history[f.n_history - 1];
                assert_int_equal(e->type, EVENT_ACTIVITY_BACKOFF);
                assert_int_equal(e->span, span);
                assert_int_equal(e->until, f.now.wall + span);
                assert_int_equal(fixture_activity(&f, "a")->next_retry_at, f.now.wall + span);
                fixture_pass(&f, span - 1);
                fixture_turn(&f);
                assert_state(&f, "a", ACTIVITY_BACKOFF);
                fixture_pass(&f, 1);
                fixture_turn(&f);
                assert_state(&f, "a", ACTIVITY_RUNNING);
                assert_int_equal(fixture_activity(&f, "a")->next_retry_at, 0);
        }
        fixture_end(&f, "a", 1);
        assert_run_state(&f, RUN_EXHAUSTED);
        fixture_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_stopped_at),
                cmocka_unit_test(test_stop_once),
                cmocka_unit_test(test_stop_error),
                cmocka_unit_test(test_main_is_over),
                cmocka_unit_test(test_max_resumes),
                cmocka_unit_test(test_backoff),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
