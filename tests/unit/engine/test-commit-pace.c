/* The decision whether a commit waits for more ends. */
#include "commit-pace.h"
#include "test.h"

static const Pace frequent = { .last_end = 1000000, .gap = 400 };

static PaceInput sixteen(unsigned ended, usec_t age) {
        return (PaceInput) { .now = 1000000 + age, .began = 1000000, .running = 16 - ended, .ended = ended, .cpus = 2 };
}

static void test_chain_is_never_held(void **state) {
        for (unsigned running = 0; running < PACE_RUNNING_MIN; running++)
                assert_int_equal(pace_decide(&frequent,
                                             &(PaceInput){ .now = 1000000, .began = 1000000, .running = running, .ended = 1, .cpus = 1 }),
                                 0);
}

static void test_processors_come_first(void **state) {
        PaceInput in = sixteen(1, 0);

        assert_true(pace_decide(&frequent, &in) > 0);
        in.cpus = 16;
        assert_int_equal(pace_decide(&frequent, &in), 0);
}

static void test_held_until_enough_ended(void **state) {
        for (unsigned ended = 1; ended < 10; ended++)
                assert_int_equal(pace_decide(&frequent, &(PaceInput){ .now = 1000000,
                                                                      .began = 1000000,
                                                                      .running = 16 - ended,
                                                                      .ended = ended,
                                                                      .cpus = 2 }),
                                 1000000 + 2 * 400 * 10);
        assert_int_equal(pace_decide(&frequent, &(PaceInput){ .now = 1000000, .began = 1000000, .running = 6, .ended = 10, .cpus = 2 }), 0);
}

static void test_nothing_ended(void **state) {
        const PaceInput in = sixteen(0, 0);

        assert_int_equal(pace_decide(&frequent, &in), 0);
}

static void test_urgent(void **state) {
        PaceInput in = sixteen(3, 0);

        in.urgent = true;
        assert_int_equal(pace_decide(&frequent, &in), 0);
}

static void test_bounds(void **state) {
        const Pace slow = { .last_end = 1000000, .gap = PACE_GAP_MAX }, slower = { .last_end = 1000000, .gap = PACE_GAP_MAX + 1 };
        const PaceInput in = sixteen(1, 0), late = sixteen(1, 2 * 400 * 10), later = sixteen(1, PACE_HOLD_MAX);

        assert_int_equal(pace_decide(&slow, &in), 1000000 + PACE_HOLD_MAX);
        assert_int_equal(pace_decide(&slower, &in), 0);
        assert_int_equal(pace_decide(&frequent, &late), 0);
        assert_int_equal(pace_decide(&slow, &later), 0);
}

static void test_rate(void **state) {
        Pace p = { 0 };
        const PaceInput in = sixteen(1, 0);

        pace_step_ended(&p, 5000);
        assert_int_equal(pace_decide(&p, &in), 0);      /* one end says nothing about a rate */
        for (unsigned i = 1; i <= 8; i++)
                pace_step_ended(&p, 5000 + i * 400);
        assert_true(p.gap < PACE_GAP_MAX);
        assert_true(pace_decide(&p, &in) > 0);
        pace_step_ended(&p, 10 * USEC_PER_SEC);         /* a long pause is soon forgotten … */
        assert_true(p.gap > PACE_GAP_MAX);
        for (unsigned i = 1; i <= 8; i++)
                pace_step_ended(&p, 10 * USEC_PER_SEC + i * 400);
        assert_true(p.gap < PACE_GAP_MAX);
        for (unsigned i = 1; i <= 8; i++)               /* … and so is a fast time */
                pace_step_ended(&p, 20 * USEC_PER_SEC + i * USEC_PER_SEC);
        assert_int_equal(pace_decide(&p, &in), 0);
}

/* One chain of short steps beside fifteen long ones: each failed guess doubles the number of turns that go without a hold. */
static void test_penalty(void **state) {
        Pace p = frequent;
        const PaceInput alone = sixteen(1, PACE_HOLD_MAX), enough = sixteen(5, PACE_HOLD_MAX);
        unsigned held = 0;

        for (unsigned turn = 0; turn < 1000; turn++) {
                const PaceInput in = sixteen(1, 0);
                bool hold = pace_decide(&p, &in) > 0;

                held += hold;
                pace_committed(&p, &alone, hold);
        }
        assert_true(held < 25);
        assert_int_equal(p.penalty, PACE_PENALTY_MAX);
        while (p.skip > 0)
                pace_committed(&p, &alone, false);
        pace_committed(&p, &enough, true);
        assert_int_equal(p.penalty, 0);
        assert_int_equal(p.skip, 0);
}

/* Turns that would not be held anyway don't pay the penalty off, and a hold that a person cut short is no failure. */
static void test_penalty_is_not_paid_by_others(void **state) {
        Pace p = { .gap = 400, .penalty = 4, .skip = 4 };
        PaceInput in = { .now = 1000000, .began = 1000000, .running = 1, .ended = 1, .cpus = 2 };

        pace_committed(&p, &in, false);
        assert_int_equal(p.skip, 4);
        in = sixteen(1, 0);
        in.urgent = true;
        pace_committed(&p, &in, true);
        assert_int_equal(p.penalty, 4);
}

/* S-speed: 16 short steps in flight, ends 400 µs apart: ten ends a flush. */
static void test_share_of_flushes(void **state) {
        Pace p = { 0 };
        usec_t now = 1000000, began = 0;
        unsigned flushes = 0, ended = 0, steps = 0;

        for (; steps < 1000; steps++) {
                now += 400;
                pace_step_ended(&p, now);
                if (ended++ == 0)
                        began = now;
                PaceInput in = { .now = now, .began = began, .running = 16 - ended, .ended = ended, .cpus = 2 };
                if (pace_decide(&p, &in) > 0)
                        continue;
                pace_committed(&p, &in, ended > 1);
                flushes++;
                ended = 0;
        }
        assert_true(flushes * 100 <= steps * 15);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_chain_is_never_held),
                cmocka_unit_test(test_processors_come_first),
                cmocka_unit_test(test_held_until_enough_ended),
                cmocka_unit_test(test_nothing_ended),
                cmocka_unit_test(test_urgent),
                cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_rate),
                cmocka_unit_test(test_penalty),
                cmocka_unit_test(test_penalty_is_not_paid_by_others),
                cmocka_unit_test(test_share_of_flushes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
