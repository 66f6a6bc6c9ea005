/* A heap and a timer for each clock. Nothing here looks at how long something took, only at what happened in which order and never too
 * early. */
#include "test.h"
#include "timers.h"

typedef struct Item {
        TimerItem timer;
        unsigned n;
        usec_t when, at;                                /* asked for, and when it came; on its clock */
} Item;

typedef struct Fixture {
        sd_event *event;
        Timers *timers;
        Item items[8];
        unsigned n_expired;
        int order[64];
        bool again;                                     /* an expired item asks for a moment that has passed */
        unsigned n_again;
} Fixture;

static const clockid_t ids[_DEADLINE_CLOCK_MAX] = { [CLOCK_OF_STEPS] = CLOCK_MONOTONIC, [CLOCK_OF_WAITS] = CLOCK_BOOTTIME,
                                                       [CLOCK_OF_DATES] = CLOCK_REALTIME };

static int expired(void *userdata, TimerItem *timer, DeadlineClock clock) {
        Fixture *f = userdata;
        Item *i = (Item *) timer;

        assert_int_equal(timer->when, USEC_INFINITY);
        assert_int_equal(timer->position, PRIOQ_NONE);
        i->n++;
        i->at = now_usec(ids[clock]);
        if (f->n_expired < 64)
                f->order[f->n_expired] = (int) (i - f->items);
        f->n_expired++;
        if (f->again && f->n_again < 5) {
                f->n_again++;
                return timers_set(f->timers, clock, timer, 1);
        }
        return 0;
}

static int setup(void **state) {
        Fixture *f = calloc(1, sizeof *f);

        if (!f || sd_event_new(&f->event) < 0 || timers_new(f->event, 0, expired, f, &f->timers) < 0)
                return -1;
        for (size_t i = 0; i < ELEMENTSOF(f->items); i++)
                timer_item_init(&f->items[i].timer);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        timers_free(f->timers);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static void set(Fixture *f, unsigned i, DeadlineClock clock, usec_t in) {
        f->items[i].when = now_usec(ids[clock]) + in;
        assert_ok(timers_set(f->timers, clock, &f->items[i].timer, f->items[i].when));
}

static void run_until(Fixture *f, unsigned n) {
        assert_ok(timers_arm(f->timers));
        while (f->n_expired < n)
                assert_true(sd_event_run(f->event, 20 * USEC_PER_SEC) > 0);
}

static void test_order(void **state) {
        Fixture *f = *state;

        set(f, 0, CLOCK_OF_STEPS, 6000);
        set(f, 1, CLOCK_OF_STEPS, 2000);
        set(f, 2, CLOCK_OF_STEPS, 4000);
        run_until(f, 3);
        assert_int_equal(f->order[0], 1);
        assert_int_equal(f->order[1], 2);
        assert_int_equal(f->order[2], 0);
        for (unsigned i = 0; i < 3; i++)
                assert_true(f->items[i].at >= f->items[i].when);
}

static void test_both_clocks(void **state) {
        Fixture *f = *state;

        set(f, 0, CLOCK_OF_STEPS, 2000);
        set(f, 1, CLOCK_OF_WAITS, 2000);
        run_until(f, 2);
        assert_int_equal(f->items[0].n, 1);
        assert_int_equal(f->items[1].n, 1);
        assert_true(f->items[1].at >= f->items[1].when);
}

/* S1.4: a date is a moment of the wall clock. */
static void test_date(void **state) {
        Fixture *f = *state;

        set(f, 0, CLOCK_OF_DATES, 3000);
        set(f, 1, CLOCK_OF_DATES, 1000);
        set(f, 2, CLOCK_OF_DATES, 1000 * USEC_PER_DAY);
        assert_int_equal(timers_first(f->timers, CLOCK_OF_DATES), f->items[1].when);
        run_until(f, 2);
        assert_int_equal(f->order[0], 1);
        assert_true(f->items[0].at >= f->items[0].when);
        assert_int_equal(f->items[2].n, 0);
}

/* What one clock shows says nothing about another: a deadline set while dates expire is due in its own time. */
static int set_other(void *userdata, TimerItem *timer, DeadlineClock clock) {
        Fixture *f = userdata;

        f->n_expired++;
        if (clock == CLOCK_OF_DATES)
                set(f, 1, CLOCK_OF_STEPS, 2000);
        return 0;
}

static void test_clocks_are_apart(void **state) {
        Fixture *f = *state;

        timers_free(f->timers);
        assert_ok(timers_new(f->event, 0, set_other, f, &f->timers));
        set(f, 0, CLOCK_OF_DATES, 1000);
        run_until(f, 1);
        assert_int_equal(timers_first(f->timers, CLOCK_OF_STEPS), f->items[1].when);
        run_until(f, 2);
}

static void test_change_and_removal(void **state) {
        Fixture *f = *state;

        set(f, 0, CLOCK_OF_STEPS, 1000);
        set(f, 1, CLOCK_OF_STEPS, 2000);
        set(f, 2, CLOCK_OF_STEPS, 60 * USEC_PER_SEC);
        assert_ok(timers_arm(f->timers));
        assert_ok(timers_set(f->timers, CLOCK_OF_STEPS, &f->items[0].timer, USEC_INFINITY));
        set(f, 2, CLOCK_OF_STEPS, 500);
        run_until(f, 2);
        assert_int_equal(f->items[0].n, 0);
        assert_int_equal(f->items[1].n, 1);
        assert_int_equal(f->items[2].n, 1);
        assert_int_equal(f->order[0], 2);
        assert_ok(timers_set(f->timers, CLOCK_OF_STEPS, &f->items[0].timer, USEC_INFINITY)); /* twice is fine */
}

static void test_suspended(void **state) {
        Fixture *f = *state;

        set(f, 0, CLOCK_OF_STEPS, 0);
        assert_ok(timers_suspend(f->timers, true));
        while (sd_event_run(f->event, 3000) > 0)
                ;
        assert_int_equal(f->n_expired, 0);
        assert_ok(timers_suspend(f->timers, false));
        run_until(f, 1);
}

/* Whoever answers an expired deadline with one that has passed is asked again in a next round, not for ever in this one. */
static void test_no_lock_up(void **state) {
        Fixture *f = *state;
        unsigned rounds = 0;

        f->again = true;
        set(f, 0, CLOCK_OF_STEPS, 0);
        assert_ok(timers_arm(f->timers));
        while (f->n_expired < 6) {
                assert_true(sd_event_run(f->event, 20 * USEC_PER_SEC) > 0);
                rounds++;
        }
        assert_int_equal(rounds, 6);
}

/* All that are due at once are served, many in one round. */
static void test_many(void **state) {
        Fixture *f = *state;
        enum { N = 1000 };
        static Item many[N];

        for (unsigned i = 0; i < N; i++) {
                timer_item_init(&many[i].timer);
                assert_ok(timers_set(f->timers, CLOCK_OF_WAITS, &many[i].timer, 1 + i % 7));
        }
        run_until(f, N);
        for (unsigned i = 0; i < N; i++)
                assert_int_equal(many[i].n, 1);
}

/* Exact to 1 ms below 10 s, else to 1 %. */
static void test_accuracy(void **state) {
        assert_true(timers_accuracy(0) < USEC_PER_MSEC);
        assert_true(timers_accuracy(10 * USEC_PER_SEC - 1) < USEC_PER_MSEC);
        for (usec_t span = 10 * USEC_PER_SEC; span < 400 * USEC_PER_DAY; span *= 3)
                assert_true(timers_accuracy(span) <= span / 100);
}

#define timers_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                timers_test(test_order),
                timers_test(test_both_clocks),
                timers_test(test_date),
                timers_test(test_clocks_are_apart),
                timers_test(test_change_and_removal),
                timers_test(test_suspended),
                timers_test(test_no_lock_up),
                timers_test(test_many),
                cmocka_unit_test(test_accuracy),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
