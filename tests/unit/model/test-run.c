/* The run as an object: making and freeing it, its queues, what it says in one line, spans of time, and the outcome that decisions are
 * collected in. */
#include "run-fixture.h"

static const char *const two_phases =
        "phases:\n"
        "  - {name: p, activities: [{name: a, approval: {}}, {name: b, needs: [], approval: {}}]}\n"
        "  - {name: q, needs: [], activities: [{name: c, run: 'true'}]}\n";

static void test_new(void **state) {
        Runbook *rb = parse_runbook(two_phases);
        _cleanup_(run_freep) Run *r = NULL;

        assert_ok(run_new(9, rb, &r));
        assert_int_equal(r->id, 9);
        assert_int_equal(r->root_run, 9);
        assert_int_equal(r->replay_of, 0);
        assert_int_equal(r->attempt, 1);
        assert_int_equal(r->state, RUN_QUEUED);
        assert_int_equal(r->counts[ACTIVITY_PENDING], 3);
        assert_ptr_equal(run_activity(r, "b"), r->activities[1]);
        assert_null(run_activity(r, "none"));
        assert_null(activity_attempt(r->activities[0]));
        assert_int_equal(activity_running_step(r->activities[0]), -1);
        assert_int_equal(run_next_deadline(r, CLOCK_OF_STEPS), USEC_INFINITY);
        assert_int_equal(run_next_deadline(r, CLOCK_OF_WAITS), USEC_INFINITY);
        /* The runbook belongs to the run too now. */
        runbook_unref(rb);
        assert_string_equal(r->runbook->phases[1].name, "q");
        assert_null(run_free(NULL));
}

/* S1.13: how many activities require your input. */
static void test_status_text(void **state) {
        char *error = NULL;
        Fixture f;

        fixture_init(&f, two_phases);
        _cleanup_free_ char *queued = run_status_text(f.run);
        assert_string_equal(queued, "queued");
        fixture_turn(&f);
        _cleanup_free_ char *two = run_status_text(f.run);
        assert_string_equal(two, "2 activities require your input");
        assert_int_equal(run_pending_requests(f.run), 2);
        assert_ok(run_answer(f.run, fixture_activity(&f, "a"), &f.now, &bob, true, NULL, NULL, &f.outcome, &error));
        fixture_turn(&f);
        _cleanup_free_ char *one = run_status_text(f.run);
        assert_string_equal(one, "1 activity requires your input");
        assert_ok(run_cancel(f.run, &f.now, &bob, NULL, &f.outcome, &error));
        fixture_turn(&f);
        _cleanup_free_ char *cancelling = run_status_text(f.run);
        assert_string_equal(cancelling, "cancelling");
        fixture_end(&f, "c", 1);
        _cleanup_free_ char *ended = run_status_text(f.run);
        assert_string_equal(ended, "cancelled");
        fixture_done(&f);
}

/* S1.8: a phase is on hold where only people can move it; a process, a backoff and a wait for a slot move. */
static void test_phase_shown_state(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, approval: {}}, {name: b, needs: [], run: 'true', retries: {max: "
                        "1}}]}]");
        const Phase *p = &f.run->phases[0];
        f.slots = 0;
        assert_int_equal(phase_shown_state(p), PHASE_PENDING);
        fixture_turn(&f);
        assert_true(fixture_activity(&f, "b")->ready);
        assert_int_equal(phase_shown_state(p), PHASE_RUNNING);
        f.slots = 1;
        fixture_turn(&f);
        assert_int_equal(phase_shown_state(p), PHASE_RUNNING);
        fixture_end(&f, "b", 1);
        assert_state(&f, "b", ACTIVITY_BACKOFF);
        assert_int_equal(phase_shown_state(p), PHASE_RUNNING);
        fixture_pass(&f, USEC_PER_SEC);
        f.slots = 1;
        fixture_turn(&f);
        fixture_end(&f, "b", 0);
        assert_int_equal(phase_shown_state(p), PHASE_ON_HOLD);
        assert_int_equal(p->state, PHASE_RUNNING);
        assert_run_state(&f, RUN_ON_HOLD);
        fixture_done(&f);
}

static void test_queues(void **state) {
        Runbook *rb = parse_runbook(two_phases);
        _cleanup_(run_freep) Run *r = NULL;

        assert_ok(run_new(1, rb, &r));
        runbook_unref(rb);
        activity_mark(r->activities[2]);
        activity_mark(r->activities[0]);
        activity_mark(r->activities[2]);
        assert_ptr_equal(run_next_marked_activity(r), r->activities[2]);
        assert_ptr_equal(run_next_marked_activity(r), r->activities[0]);
        assert_null(run_next_marked_activity(r));
        phase_mark(&r->phases[1]);
        phase_mark(&r->phases[1]);
        assert_ptr_equal(run_next_marked_phase(r), &r->phases[1]);
        assert_null(run_next_marked_phase(r));
        activity_set_ready(r->activities[1], true);
        activity_set_ready(r->activities[0], true);
        activity_set_ready(r->activities[1], true);
        assert_int_equal(r->phases[0].n_ready, 2);
        assert_ptr_equal(r->ready.first, r->activities[1]);
        activity_set_ready(r->activities[1], false);
        assert_ptr_equal(r->ready.first, r->activities[0]);
        assert_int_equal(r->phases[0].n_ready, 1);
        activity_set_ready(r->activities[0], false);
        assert_null(r->ready.first);
}

static void test_mark_all(void **state) {
        Runbook *rb = parse_runbook(two_phases);
        _cleanup_(run_freep) Run *r = NULL;

        assert_ok(run_new(1, rb, &r));
        runbook_unref(rb);
        r->phases[0].state = PHASE_SUCCESS;
        r->phases[1].state = PHASE_RUNNING;
        r->activities[0]->state = ACTIVITY_SUCCESS;
        run_mark_all(r);
        assert_ptr_equal(run_next_marked_phase(r), &r->phases[1]);
        assert_null(run_next_marked_phase(r));
        assert_ptr_equal(run_next_marked_activity(r), r->activities[1]);
        assert_ptr_equal(run_next_marked_activity(r), r->activities[2]);
        assert_null(run_next_marked_activity(r));
}

static void test_elapsed(void **state) {
        const Stamp a = { .wall = 1000, .boottime = 50, .mono = 40, .boot = 1 }, b = { .wall = 100, .boottime = 80, .mono = 45, .boot = 1 };
        const Stamp later_boot = { .wall = 1600, .boottime = 5, .mono = 5, .boot = 2 },
                        earlier_wall = { .wall = 900, .boottime = 5, .boot = 2 };
        const Stamp stored = { .wall = 1000, .boottime = 50, .boot = 1 };

        /* The wall clock was set back: within a boot it does not matter. */
        assert_int_equal(stamp_elapsed(&a, &b), 30);
        assert_int_equal(stamp_elapsed_awake(&a, &b), 5);
        assert_int_equal(stamp_elapsed_awake(&stored, &b), 30);
        assert_int_equal(stamp_elapsed(&a, &later_boot), 600);
        assert_int_equal(stamp_elapsed_awake(&a, &later_boot), 600);
        assert_int_equal(stamp_elapsed(&a, &earlier_wall), 0);
}

static void test_exhausted(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true', retries: {max: 2}}, {name: b, run: 'true'}]}]");
        Activity *a = fixture_activity(&f, "a");
        assert_false(run_attempts_exhausted(a));
        a->series_retries = 1;
        assert_false(run_attempts_exhausted(a));
        a->series_retries = 2;
        assert_true(run_attempts_exhausted(a));
        assert_false(run_attempts_exhausted(fixture_activity(&f, "b")));
        fixture_done(&f);
}

static void test_outcome(void **state) {
        Outcome o = { 0 };
        Fixture f;

        fixture_init(&f, two_phases);
        _cleanup_(event_freep) Event *e = outcome_event(&o, f.run, EVENT_RUN_STARTED, &f.now);
        assert_int_equal(e->uid, UID_ENGINE);
        assert_null(e->user);
        _cleanup_(event_freep) Event *by = outcome_event_by(&o, f.run, EVENT_RUN_CANCEL, &f.now, &bob);
        assert_int_equal(by->uid, 1001);
        assert_string_equal(by->user, "bob");
        /* What can't be applied is not kept. */
        Event *wrong = outcome_event(&o, f.run, EVENT_PHASE_STARTED, &f.now);
        assert_int_equal(outcome_apply(&o, f.run, wrong), -EBADMSG);
        assert_int_equal(o.n_events, 0);
        for (int i = 0; i < 20; i++) {
                Effect *x = outcome_effect(&o, EFFECT_FINISHED, NULL, i);
                assert_non_null(x);
                assert_int_equal(x->step, i);
                assert_int_equal(x->uid, UID_ENGINE);
        }
        assert_int_equal(o.n_effects, 20);
        outcome_clear(&o);
        assert_int_equal(o.n_effects, 0);
        assert_true(o.n_effects_allocated >= 20);
        outcome_done(&o);
        assert_null(o.effects);
        fixture_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_new),
                cmocka_unit_test(test_status_text),
                cmocka_unit_test(test_phase_shown_state),
                cmocka_unit_test(test_queues),
                cmocka_unit_test(test_mark_all),
                cmocka_unit_test(test_elapsed),
                cmocka_unit_test(test_exhausted),
                cmocka_unit_test(test_outcome),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
