/* The heap keeps its order and the positions under puts, removals and changes. */
#include "test.h"

#include "prioq.h"

#define N_ITEMS 500u

typedef struct Item {
        unsigned key;
        size_t position;
} Item;

static int compare(const void *a, const void *b) {
        const Item *x = a, *y = b;
        return (x->key > y->key) - (x->key < y->key);
}

static void check(const Prioq *q) {
        for (size_t i = 0; i < q->n_items; i++) {
                assert_int_equal(((Item *) q->items[i])->position, i);
                if (i > 0)
                        assert_true(compare(q->items[(i - 1) / 2], q->items[i]) <= 0);
        }
}

static unsigned next_random(unsigned *seed) {
        *seed = *seed * 1664525u + 1013904223u;
        return *seed >> 8;
}

static void test_sorts(void **state) {
        static Item items[N_ITEMS];
        Prioq q;
        unsigned seed = 1, last = 0;

        prioq_init(&q, compare, offsetof(Item, position));
        assert_null(prioq_peek(&q));
        for (unsigned i = 0; i < N_ITEMS; i++) {
                items[i] = (Item) {.key = next_random(&seed) % 100, .position = PRIOQ_NONE};
                assert_ok(prioq_put(&q, items + i));
        }
        check(&q);
        for (unsigned i = 0; i < N_ITEMS; i++) {
                Item *item = prioq_peek(&q);
                assert_true(item->key >= last);
                last = item->key;
                prioq_remove(&q, item);
                assert_true(item->position == PRIOQ_NONE);
        }
        assert_null(prioq_peek(&q));
        prioq_done(&q);
}

static void test_change_and_remove(void **state) {
        static Item items[N_ITEMS];
        Prioq q;
        unsigned seed = 2;

        prioq_init(&q, compare, offsetof(Item, position));
        for (unsigned i = 0; i < N_ITEMS; i++) {
                items[i] = (Item) {.key = next_random(&seed), .position = PRIOQ_NONE};
                assert_ok(prioq_put(&q, items + i));
        }
        for (unsigned i = 0; i < N_ITEMS; i++) {
                Item *item = items + next_random(&seed) % N_ITEMS;
                item->key = next_random(&seed);
                prioq_reshuffle(&q, item);
                prioq_remove(&q, items + next_random(&seed) % N_ITEMS);
                check(&q);
        }
        assert_true(q.n_items < N_ITEMS);
        prioq_done(&q);
        for (unsigned i = 0; i < N_ITEMS; i++)
                assert_true(items[i].position == PRIOQ_NONE);
}

/* An element that is in no queue holds any position, 0 where its memory was zeroed. */
static void test_stranger(void **state) {
        Prioq q;
        Item in = {.key = 1}, stranger = {.key = 0};

        prioq_init(&q, compare, offsetof(Item, position));
        assert_ok(prioq_put(&q, &in));
        prioq_remove(&q, &stranger);
        prioq_reshuffle(&q, &stranger);
        assert_ptr_equal(prioq_peek(&q), &in);
        prioq_remove(&q, &in);
        prioq_remove(&q, &in);
        assert_null(prioq_peek(&q));
        prioq_done(&q);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorts),
        cmocka_unit_test(test_change_and_remove),
        cmocka_unit_test(test_stranger),
};
TEST_MAIN(tests)
