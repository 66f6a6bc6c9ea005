/* Slots: how many, and whose turn it is. */
#include "scheduler.h"
#include "test.h"

static void test_slots(void **state) {
        Scheduler s = { .max = 2 };

        assert_int_equal(scheduler_free_slots(&s), 2);
        scheduler_take(&s, 1);
        scheduler_take(&s, 1);
        assert_int_equal(scheduler_free_slots(&s), 0);
        scheduler_release(&s);
        assert_int_equal(scheduler_free_slots(&s), 1);
        s.max = 1;                                      /* lowered while more run */
        scheduler_take(&s, 1);
        assert_int_equal(scheduler_free_slots(&s), 0);
        s.max = 8;
        s.closed = true;
        assert_int_equal(scheduler_free_slots(&s), 0);
}

/* A run that is looked at anyway takes what is free, but not what others wait for. */
static void test_grant(void **state) {
        Scheduler s = { .max = 4 };
        SchedulerItem a = { 0 };

        assert_int_equal(scheduler_grant(&s), 4);
        scheduler_wait(&s, &a, true);
        assert_int_equal(scheduler_grant(&s), 0);
        assert_ptr_equal(scheduler_next(&s), &a);
        assert_int_equal(scheduler_grant(&s), 4);
}

static void test_order(void **state) {
        Scheduler s = { .max = 1 };
        SchedulerItem a = { 0 }, b = { 0 }, c = { 0 };

        assert_null(scheduler_next(&s));
        scheduler_wait(&s, &a, true);
        scheduler_wait(&s, &b, true);
        scheduler_wait(&s, &a, true);                   /* keeps its place */
        scheduler_wait(&s, &c, true);
        assert_ptr_equal(scheduler_next(&s), &a);
        scheduler_wait(&s, &a, true);                   /* has more: to the end */
        scheduler_wait(&s, &b, false);
        assert_ptr_equal(scheduler_next(&s), &c);
        assert_ptr_equal(scheduler_next(&s), &a);
        assert_null(scheduler_next(&s));
        scheduler_wait(&s, &b, true);
        scheduler_take(&s, 1);
        assert_null(scheduler_next(&s));                /* no slot */
        assert_true(b.queued);
        scheduler_release(&s);
        assert_ptr_equal(scheduler_next(&s), &b);
}

/* One run with many parts and one with few get slots in turn. */
static void test_fair(void **state) {
        Scheduler s = { .max = 1 };
        SchedulerItem items[2] = { 0 };
        unsigned wants[2] = { 100, 3 }, given[2] = { 0 };

        scheduler_wait(&s, &items[0], true);
        scheduler_wait(&s, &items[1], true);
        for (unsigned i = 0; i < 6; i++) {
                SchedulerItem *next = scheduler_next(&s);
                size_t k = (size_t) (next - items);

                given[k]++;
                scheduler_wait(&s, next, --wants[k] > 0);
        }
        assert_int_equal(given[0], 3);
        assert_int_equal(given[1], 3);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_slots),
                cmocka_unit_test(test_grant),
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_fair),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
