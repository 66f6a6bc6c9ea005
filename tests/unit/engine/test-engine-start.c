/* Starts at a date and time, and of some phases only. What is checked at every start is in test-engine-verbs.c. */
#include "engine-fixture.h"

#include <stdio.h>

static usec_t in(usec_t span) {
        return now_usec(CLOCK_REALTIME) + span;
}

static int start(World *w, const StartRequest *q, uint32_t *ret, char **ret_message) {
        Ticket ticket;
        int r = engine_start_run(w->engine, q, &world_actor, ret, &ticket, ret_message);

        world_turn(w);
        return r;
}

static int start_at(World *w, const char *runbook, usec_t at, char **ret_message) {
        uint32_t run;
        int r = start(w, &(StartRequest) { .runbook = runbook, .start_at = at }, &run, ret_message);

        world_turn(w);
        return r;
}

static uint32_t scheduled(World *w, usec_t at) {
        _cleanup_free_ char *message = NULL;

        assert_int_equal(start_at(w, "chain", at, &message), VERDICT_OK);
        return store_last_run(w->store);
}

/* S1.4: it begins by itself at that time, and not before. */
static void test_scheduled(void **state) {
        World *w = *state;
        uint32_t run = scheduled(w, in(40 * USEC_PER_MSEC));
        Run *r = world_run(w, run);

        assert_int_equal(world_events(w, run, "run-created"), 1);
        assert_true(world_traced(w, "counts 1 0 0"));
        world_wait(w, "launch 1/a/1");
        assert_int_equal(world_events(w, run, "run-started"), 1);
        assert_true(r->started_at >= r->scheduled_for);
}

static int take_row(void *userdata, const RunRow *row) {
        *(RowCopy *) userdata = (RowCopy) { .state = row->state, .scheduled_for = row->scheduled_for };
        return 0;
}

/* It waits over a restart. */
static void test_comes_back(void **state) {
        World *w = *state;
        usec_t at = in(USEC_PER_DAY);
        uint32_t run = scheduled(w, at);
        RowCopy row;

        world_again(w);
        world_turn(w);
        assert_ok(store_get_run(w->store, run, take_row, &row));
        assert_int_equal(row.state, RUN_SCHEDULED);
        assert_int_equal(row.scheduled_for, at);
        assert_int_equal(w->engine->counts.active, 1);
        assert_int_equal(timers_first(w->engine->timers, CLOCK_OF_DATES), at);
        assert_int_equal(fake_count(w->fake, run), 0);
}

/* Its time passed while nobody was there: it starts at once. */
static void test_time_passed(void **state) {
        World *w = *state;
        usec_t at = in(20 * USEC_PER_MSEC);
        uint32_t run = scheduled(w, at);

        world_close(w);
        while (now_usec(CLOCK_REALTIME) <= at)
                (void) usleep(1000);
        world_open(w);
        world_turn(w);
        assert_non_null(fake_find(w->fake, run, "a"));
}

/* S1.5: begun before its time, it does not begin again at it. */
static void test_start_now(void **state) {
        World *w = *state;
        usec_t at = in(60 * USEC_PER_MSEC);
        uint32_t run = scheduled(w, at);
        _cleanup_free_ char *message = NULL, *again = NULL;
        Ticket ticket;

        assert_int_equal(engine_start_now(w->engine, run, &world_actor, "early", &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_non_null(fake_find(w->fake, run, "a"));
        assert_int_equal(engine_run(w->engine, run)->timers[CLOCK_OF_DATES].when, USEC_INFINITY);
        assert_int_equal(engine_start_now(w->engine, run, &world_actor, NULL, &ticket, &again), VERDICT_WRONG_STATE);
        while (now_usec(CLOCK_REALTIME) <= at)
                (void) sd_event_run(w->event, 10 * USEC_PER_MSEC);
        world_turn(w);
        assert_int_equal(world_events(w, run, "run-started"), 1);
}

static void test_reschedule(void **state) {
        World *w = *state;
        uint32_t run = scheduled(w, in(USEC_PER_DAY));
        _cleanup_free_ char *past = NULL, *far = NULL, *message = NULL, *running = NULL;
        Ticket ticket = 0;

        assert_int_equal(engine_reschedule(w->engine, run, &world_actor, 1, NULL, &ticket, &past), VERDICT_INVALID_INPUT);
        assert_int_equal(engine_reschedule(w->engine, run, &world_actor, START_AT_MAX + 1, NULL, &ticket, &far), VERDICT_INVALID_INPUT);
        assert_int_equal(engine_reschedule(w->engine, run, &world_actor, in(40 * USEC_PER_MSEC), NULL, &ticket, &message), VERDICT_OK);
        world_wait(w, "launch 1/a/1");
        assert_int_equal(world_events(w, run, "run-rescheduled"), 1);
        assert_int_equal(engine_reschedule(w->engine, run, &world_actor, in(USEC_PER_DAY), NULL, &ticket, &running), VERDICT_WRONG_STATE);
}

/* Cancelled before it starts, it ends at once. */
static void test_cancel_scheduled(void **state) {
        World *w = *state;
        uint32_t run = scheduled(w, in(USEC_PER_DAY));
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        assert_int_equal(engine_cancel(w->engine, run, &world_actor, NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_CANCELLED);
        assert_int_equal(timers_first(w->engine->timers, CLOCK_OF_DATES), USEC_INFINITY);
}

/* A time that has passed is a mistake, and not a start at once. */
static void test_bad_times(void **state) {
        World *w = *state;
        const usec_t times[] = { 1, now_usec(CLOCK_REALTIME) - 1, START_AT_MAX + 1, USEC_INFINITY };

        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
                _cleanup_free_ char *message = NULL;
                assert_int_equal(start_at(w, "chain", times[i], &message), VERDICT_INVALID_INPUT);
                assert_non_null(message);
        }
        assert_int_equal(store_last_run(w->store), 0);
        _cleanup_free_ char *latest = NULL;
        assert_int_equal(start_at(w, "chain", START_AT_MAX, &latest), VERDICT_OK);
}

/* A clock that is set back while the start waits: the deadline is asked again, and nothing starts early. Here the item is told to be due
 * when it is not. */
static void test_told_too_early(void **state) {
        World *w = *state;
        uint32_t run = scheduled(w, in(USEC_PER_DAY));
        EngineRun *er = engine_run(w->engine, run);

        assert_ok(turn_on_deadline(w->engine, &er->timers[CLOCK_OF_DATES], CLOCK_OF_DATES));
        world_turn(w);
        assert_int_equal(world_run(w, run)->state, RUN_SCHEDULED);
        assert_true(er->timers[CLOCK_OF_DATES].when != USEC_INFINITY);
}

/* The storage fails when the time comes: it starts when the storage is back. */
static void test_storage_fails(void **state) {
        World *w = *state;
        uint32_t run = scheduled(w, in(30 * USEC_PER_MSEC));

        world_fail(w);
        while (w->engine->storage != STORAGE_FAILING)
                assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_SCHEDULED);
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        world_turn(w);
        assert_non_null(fake_find(w->fake, run, "a"));
        assert_int_equal(w->fake->n_launched, 1);
}

static void test_only(void **state) {
        World *w = *state;
        char *second[] = { (char *) "two", NULL }, *wrong[] = { (char *) "tow", NULL };
        _cleanup_free_ char *message = NULL, *refused = NULL;
        uint32_t run;

        world_write(w, "parts.yaml",
                    "phases:\n  - name: one\n    activities: [{name: a, run: 'true'}]\n"
                    "  - name: two\n    activities: [{name: b, run: 'true'}]\n");
        assert_int_equal(start(w, &(StartRequest) { .runbook = "parts", .only = wrong }, &run, &refused), VERDICT_INVALID_INPUT);
        assert_non_null(strstr(refused, "two"));
        assert_int_equal(start(w, &(StartRequest) { .runbook = "parts", .only = second }, &run, &message), VERDICT_OK);
        assert_non_null(fake_find(w->fake, run, "b"));
        assert_int_equal(run_activity(world_run(w, run), "a")->state, ACTIVITY_SKIPPED);
        world_again(w);
        world_turn(w);
        fake_exit(w->fake, run, "b", 0);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_SUCCESS);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_scheduled),
                engine_test(test_comes_back),
                engine_test(test_time_passed),
                engine_test(test_start_now),
                engine_test(test_reschedule),
                engine_test(test_cancel_scheduled),
                engine_test(test_bad_times),
                engine_test(test_told_too_early),
                engine_test(test_storage_fails),
                engine_test(test_only),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
