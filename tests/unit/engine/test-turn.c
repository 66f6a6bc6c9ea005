/* Gathering: what happens when memory runs out in the middle, and facts that nobody waits for. */
#include "engine-fixture.h"

/* The turn ends like a failed commit: verbs are told, facts are fed again. */
static void test_spoilt(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        world_start(w, "chain");
        assert_int_equal(world_try_start(w, "chain", NULL, &ticket, &message), VERDICT_OK);
        fake_exit(w->fake, 1, "a", 0);
        assert_int_equal(turn_spoil(w->engine, -ENOMEM), -ENOMEM);
        world_turn(w);
        assert_int_equal(w->committed, ticket);
        assert_int_equal(w->committed_r, -ENOMEM);
        assert_false(engine_run_is_live(w->engine, 2));
        assert_int_equal(world_run(w, 1)->activities[0]->state, ACTIVITY_RUNNING);
        world_wait(w, "launch 1/b/1");
        assert_int_equal(world_trace_count(w, "prepare 1/b/1"), 1); /* nothing was even prepared for the spoilt one */
        assert_int_equal(w->engine->scheduler.used, 1);
        assert_int_equal(world_start(w, "chain"), 2);
}

/* An end that the run does not take is dropped, and the run is whole. */
static void test_refused_fact(void **state) {
        World *w = *state;
        Job *j;

        world_start(w, "chain");
        j = w->engine->jobs;
        j->activity = world_run(w, 1)->activities[2];   /* as if it belonged to an activity that does not run */
        fake_exit(w->fake, 1, "a", 0);
        world_turn(w);
        assert_null(w->engine->jobs);
        assert_int_equal(w->engine->scheduler.used, 0);
        assert_int_equal(world_events(w, 1, "step-finished"), 0);
        assert_int_equal(world_run(w, 1)->state, RUN_RUNNING);
}

/* A step whose run is gone: its end frees it. */
static void test_orphan(void **state) {
        World *w = *state;

        world_start(w, "chain");
        world_turn(w);
        engine_run_free(engine_run(w->engine, 1));
        assert_int_equal(fake_find(w->fake, 1, "a")->n_stops, 1);
        fake_exit(w->fake, 1, "a", 0);
        world_turn(w);
        assert_null(w->engine->jobs);
        assert_int_equal(w->engine->scheduler.used, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_spoilt),
                engine_test(test_refused_fact),
                engine_test(test_orphan),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
