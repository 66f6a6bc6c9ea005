/* The engine as a whole: fair slots, stopping, counts, what is told. */
#include "engine-fixture.h"

#include <signal.h>
#include <stdio.h>

static void on_stopped(void *userdata) {
        ((World *) userdata)->n_stopped++;
}

static void end_oldest(World *w) {
        fake_exit(w->fake, w->fake->jobs->run, w->fake->jobs->activity, 0);
        world_turn(w);
}

/* At most MaxSteps at once. */
static void test_max_steps(void **state) {
        World *w = *state;

        world_start(w, "wide");
        assert_int_equal(fake_count(w->fake, 0), 4);
        assert_ok(engine_set_max_steps(w->engine, 5));
        world_turn(w);
        assert_int_equal(fake_count(w->fake, 0), 5);
        assert_ok(engine_set_max_steps(w->engine, 2));
        for (unsigned left = 4; left >= 2; left--) {
                end_oldest(w);
                assert_int_equal(fake_count(w->fake, 0), left);
        }
        end_oldest(w);
        assert_int_equal(fake_count(w->fake, 0), 2);
}

/* In fair order between runs: with two slots and two wide runs each gets one slot in turn. */
static void test_fair(void **state) {
        World *w = *state;
        unsigned launched[3] = { 0 };

        assert_ok(engine_set_max_steps(w->engine, 2));
        world_start(w, "wide");
        assert_int_equal(fake_count(w->fake, 1), 2);    /* nobody else wanted one */
        world_start(w, "wide");
        for (unsigned i = 0; i < 6; i++) {
                end_oldest(w);
                assert_int_equal(fake_count(w->fake, 0), 2);
                FakeJob *newest = w->fake->jobs->next;
                launched[newest->run]++;
        }
        assert_in_range(launched[1], 2, 4);
        assert_int_equal(launched[1] + launched[2], 6);
}

/* A chain does not keep its slot while others wait: three chains share one slot step by step. */
static void test_chains_take_turns(void **state) {
        World *w = *state;
        static const uint32_t order[] = { 1, 2, 3, 1, 2, 3, 1, 2, 3 };

        assert_ok(engine_set_max_steps(w->engine, 1));
        for (unsigned i = 0; i < 3; i++)
                world_start(w, "chain");
        for (size_t i = 0; i < ELEMENTSOF(order); i++) {
                assert_int_equal(fake_count(w->fake, 0), 1);
                assert_int_equal(w->fake->jobs->run, order[i]);
                end_oldest(w);
        }
        assert_int_equal(fake_count(w->fake, 0), 0);
        assert_true(world_traced(w, "finished 3 success"));
}

/* ---- stopping ---- */

/* A clean stop: steps are stopped, recorded as interrupted, and go on at the next start without counting towards MaxResumes. */
static void test_stop(void **state) {
        World *w = *state;

        world_start(w, "chain");
        for (unsigned i = 0; i < 6; i++) {
                assert_ok(engine_stop(w->engine, on_stopped, w));
                world_turn(w);
                assert_int_equal(w->n_stopped, i);
                assert_int_equal(fake_find(w->fake, 1, "a")->n_stops, 1);
                fake_signal(w->fake, 1, "a", SIGTERM);
                world_turn(w);
                assert_int_equal(w->n_stopped, i + 1);
                assert_int_equal(fake_count(w->fake, 0), 0);
                world_again(w);
                world_turn(w);
                assert_int_equal(json_length(w->fake->cleaned), 0);
                assert_int_equal(fake_find(w->fake, 1, "a")->attempt, i + 2);
        }
        assert_int_equal(world_run(w, 1)->activities[0]->resumes, 0);
}

static void test_stop_with_nothing_running(void **state) {
        World *w = *state;

        assert_ok(engine_stop(w->engine, on_stopped, w));
        assert_int_equal(w->n_stopped, 0);
        world_turn(w);
        assert_int_equal(w->n_stopped, 1);
        assert_int_equal(engine_stop(w->engine, on_stopped, w), -EALREADY);
}

/* A step that ends by itself and well meanwhile has ended well; nothing follows it before the next start. */
static void test_success_while_stopping(void **state) {
        World *w = *state;

        world_start(w, "chain");
        assert_ok(engine_stop(w->engine, on_stopped, w));
        fake_exit(w->fake, 1, "a", 0);
        world_turn(w);
        assert_int_equal(w->n_stopped, 1);
        assert_int_equal(w->fake->n_launched, 1);
        assert_int_equal(world_run(w, 1)->activities[0]->state, ACTIVITY_SUCCESS);
        world_again(w);
        world_turn(w);
        assert_non_null(fake_find(w->fake, 1, "b"));
        assert_int_equal(fake_find(w->fake, 1, "b")->attempt, 1);
}

/* What was cancelled before the stop stays cancelled. */
static void test_cancelled_while_stopping(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        world_start(w, "chain");
        assert_int_equal(engine_cancel(w->engine, 1, &world_actor, NULL, &ticket, &message), VERDICT_OK);
        assert_ok(engine_stop(w->engine, on_stopped, w));
        fake_signal(w->fake, 1, "a", SIGTERM);
        world_turn(w);
        assert_int_equal(w->n_stopped, 1);
        assert_int_equal(world_stored_state(w, 1), RUN_CANCELLED);
}

/* A step that was not started yet, since the machine could not: interrupted as well. */
static void test_stop_while_starting(void **state) {
        World *w = *state;

        w->fake->fail_with = -EAGAIN;
        w->fake->fail_times = 1;
        world_start(w, "chain");
        assert_ok(engine_stop(w->engine, on_stopped, w));
        world_turn(w);
        assert_int_equal(w->n_stopped, 1);
        assert_int_equal(w->fake->n_launched, 0);
        world_again(w);
        world_turn(w);
        assert_int_equal(fake_find(w->fake, 1, "a")->attempt, 2);
}

/* Starts are accepted, stored, and wait for the next life. */
static void test_start_while_stopping(void **state) {
        World *w = *state;

        world_start(w, "chain");
        assert_ok(engine_stop(w->engine, on_stopped, w));
        world_start(w, "chain");
        assert_int_equal(world_stored_state(w, 2), RUN_QUEUED);
        fake_signal(w->fake, 1, "a", SIGTERM);
        world_turn(w);
        assert_int_equal(w->n_stopped, 1);
        world_again(w);
        world_turn(w);
        assert_non_null(fake_find(w->fake, 2, "a"));
}

/* Freeing kills what runs. */
static void test_free_kills(void **state) {
        World *w = *state;

        world_start(w, "chain");
        w->engine = engine_free(w->engine);
        assert_int_equal(w->fake->jobs->n_stops, 2);
}

/* ---- memory ---- */

static void test_ended_runs_leave(void **state) {
        World *w = *state;

        for (unsigned i = 0; i < 20; i++) {
                uint32_t run = world_start(w, "chain");
                while (fake_count(w->fake, run) > 0)
                        end_oldest(w);
                assert_true(world_traced(w, "counts 1 0 0"));
                world_trace_clear(w);
        }
        assert_int_equal(intmap_size(w->engine->runs), 0);
        assert_in_range(w->engine->n_cache, 1, ENGINE_FINISHED_CACHE);
        assert_int_equal(w->engine->scheduler.used, 0);
        assert_null(w->engine->scheduler.queue.first);
        assert_int_equal(timers_first(w->engine->timers, CLOCK_OF_STEPS), USEC_INFINITY);
        assert_int_equal(timers_first(w->engine->timers, CLOCK_OF_WAITS), USEC_INFINITY);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_max_steps),
                engine_test(test_fair),
                engine_test(test_chains_take_turns),
                engine_test(test_stop),
                engine_test(test_stop_with_nothing_running),
                engine_test(test_success_while_stopping),
                engine_test(test_cancelled_while_stopping),
                engine_test(test_stop_while_starting),
                engine_test(test_start_while_stopping),
                engine_test(test_free_kills),
                engine_test(test_ended_runs_leave),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
