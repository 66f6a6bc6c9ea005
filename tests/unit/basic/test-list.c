/* Intrusive lists and queues. */
#include "test.h"

#include "list.h"

typedef struct Item {
        int value;
        LIST_FIELDS(struct Item, items);
} Item;

static int sum_in_order(Item *head) {
        int sum = 0;
        LIST_FOREACH(items, i, head)
                sum = sum * 10 + i->value;
        return sum;
}

static void test_list(void **state) {
        Item a = {.value = 1}, b = {.value = 2}, c = {.value = 3}, *head = NULL;
        assert_int_equal(sum_in_order(head), 0);
        LIST_PREPEND(items, head, &a);
        LIST_PREPEND(items, head, &b);
        LIST_PREPEND(items, head, &c);
        assert_int_equal(sum_in_order(head), 321);
        LIST_REMOVE(items, head, &b);
        assert_int_equal(sum_in_order(head), 31);
        LIST_REMOVE(items, head, &c);
        LIST_REMOVE(items, head, &a);
        assert_null(head);
}

static void test_foreach_survives_removal(void **state) {
        Item a = {.value = 1}, b = {.value = 2}, *head = NULL;
        LIST_PREPEND(items, head, &b);
        LIST_PREPEND(items, head, &a);
        LIST_FOREACH(items, i, head)
                LIST_REMOVE(items, head, i);
        assert_null(head);
}

static void test_queue(void **state) {
        Item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};
        QUEUE_HEAD(Item) q = {};
        QUEUE_PUSH(items, &q, &a);
        QUEUE_PUSH(items, &q, &b);
        QUEUE_PUSH(items, &q, &c);
        assert_int_equal(sum_in_order(q.first), 123);
        QUEUE_REMOVE(items, &q, &c);
        assert_ptr_equal(q.last, &b);
        QUEUE_REMOVE(items, &q, &a);
        QUEUE_PUSH(items, &q, &a);
        assert_int_equal(sum_in_order(q.first), 21);
        QUEUE_REMOVE(items, &q, &b);
        QUEUE_REMOVE(items, &q, &a);
        assert_null(q.first);
        assert_null(q.last);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_foreach_survives_removal),
        cmocka_unit_test(test_queue),
};
TEST_MAIN(tests)
