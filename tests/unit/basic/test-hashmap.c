/* Both faces of the table: growth, removal during iteration, and that long use does not fill it with marks. */
#include "test.h"

#include <stdio.h>

#include "hashmap.h"

#define MANY 5000

static char names[MANY][16];

static int make_names(void **state) {
        for (int i = 0; i < MANY; i++)
                (void) snprintf(names[i], sizeof(names[i]), "name-%d", i);
        return 0;
}

static void test_put_get_remove(void **state) {
        _cleanup_(hashmap_freep) Hashmap *m = hashmap_new();
        int one = 1, two = 2;

        assert_ok(hashmap_put(m, "a", &one));
        assert_int_equal(hashmap_put(m, "a", &two), -EEXIST);
        assert_ptr_equal(hashmap_get(m, "a"), &one);
        assert_ok(hashmap_replace(m, "a", &two));
        assert_ok(hashmap_replace(m, "b", &one));
        assert_ptr_equal(hashmap_get(m, "a"), &two);
        assert_int_equal(hashmap_size(m), 2);
        assert_ptr_equal(hashmap_remove(m, "a"), &two);
        assert_null(hashmap_remove(m, "a"));
        assert_null(hashmap_get(m, "a"));
        assert_int_equal(hashmap_size(m), 1);
}

static void test_null_is_empty(void **state) {
        size_t i = 0;
        assert_null(hashmap_get(NULL, "a"));
        assert_null(hashmap_remove(NULL, "a"));
        assert_int_equal(hashmap_size(NULL), 0);
        assert_false(hashmap_iterate(NULL, &i, NULL, NULL));
        assert_null(hashmap_free(NULL));
        assert_null(intmap_get(NULL, 1));
        assert_int_equal(intmap_size(NULL), 0);
        assert_null(intmap_free(NULL));
}

static void test_replace_takes_the_new_key(void **state) {
        _cleanup_(hashmap_freep) Hashmap *m = hashmap_new();
        int v = 0;
        char *first = strdup("key"), *second = strdup("key");
        assert_ok(hashmap_put(m, first, &v));
        assert_ok(hashmap_replace(m, second, &v));
        free(first);
        assert_ptr_equal(hashmap_get(m, "key"), &v);
        assert_non_null(hashmap_remove(m, "key"));
        free(second);
}

static void test_many(void **state) {
        _cleanup_(hashmap_freep) Hashmap *m = hashmap_new();
        for (int i = 0; i < MANY; i++)
                assert_ok(hashmap_put(m, names[i], names[i]));
        assert_int_equal(hashmap_size(m), MANY);
        for (int i = 0; i < MANY; i += 2)
                assert_ptr_equal(hashmap_remove(m, names[i]), names[i]);
        for (int i = 0; i < MANY; i++) {
                char copy[16];
                strcpy(copy, names[i]);
                assert_ptr_equal(hashmap_get(m, copy), i % 2 == 0 ? NULL : names[i]);
        }
}

static void test_iterate_and_remove(void **state) {
        _cleanup_(hashmap_freep) Hashmap *m = hashmap_new();
        const char *key;
        void *value;
        size_t i = 0, seen = 0;

        for (int k = 0; k < 1000; k++)
                assert_ok(hashmap_put(m, names[k], names[k]));
        while (hashmap_iterate(m, &i, &key, &value)) {
                assert_ptr_equal(key, value);
                assert_ptr_equal(hashmap_remove(m, key), value);
                seen++;
        }
        assert_int_equal(seen, 1000);
        assert_int_equal(hashmap_size(m), 0);
}

/* Every removed entry leaves a mark; were they never swept, a lookup of a missing key would not end. */
static void test_churn(void **state) {
        _cleanup_(hashmap_freep) Hashmap *m = hashmap_new();
        for (int round = 0; round < 20; round++)
                for (int i = 0; i < MANY; i++) {
                        assert_ok(hashmap_put(m, names[i], names[i]));
                        assert_null(hashmap_get(m, "missing"));
                        assert_non_null(hashmap_remove(m, names[i]));
                }
        assert_int_equal(hashmap_size(m), 0);
}

static void test_integers(void **state) {
        _cleanup_(intmap_freep) IntMap *m = intmap_new();
        uint64_t key;
        void *value;
        size_t i = 0, sum = 0;

        for (uint64_t k = 0; k < 100; k++)
                assert_ok(intmap_put(m, k, names[k]));
        assert_ok(intmap_put(m, UINT64_MAX, names[100]));
        assert_int_equal(intmap_put(m, 0, names[0]), -EEXIST);
        assert_int_equal(intmap_size(m), 101);
        assert_ptr_equal(intmap_get(m, UINT64_MAX), names[100]);
        assert_null(intmap_get(m, 100));
        assert_ptr_equal(intmap_remove(m, UINT64_MAX), names[100]);
        while (intmap_iterate(m, &i, &key, &value)) {
                assert_ptr_equal(value, names[key]);
                sum += key;
        }
        assert_int_equal(sum, 99 * 100 / 2);
}

/* A large table that has become empty starts anew, also under who walks through it. */
static void test_emptied(void **state) {
        _cleanup_(intmap_freep) IntMap *m = intmap_new();
        _cleanup_(hashmap_freep) Hashmap *h = hashmap_new();
        size_t i = 0, n = 0;
        const char *name;
        uint64_t key;

        for (unsigned round = 0; round < 3; round++, i = 0) {
                for (uint64_t k = 0; k < MANY; k++) {
                        assert_ok(intmap_put(m, k, names[k]));
                        assert_ok(hashmap_put(h, names[k], names[k]));
                }
                for (n = 0; intmap_iterate(m, &i, &key, NULL); n++)
                        assert_ptr_equal(intmap_remove(m, key), names[key]);
                assert_int_equal(n, MANY);
                assert_null(intmap_get(m, 1));
                for (i = n = 0; hashmap_iterate(h, &i, &name, NULL); n++)
                        assert_ptr_equal(hashmap_remove(h, name), name);
                assert_int_equal(n, MANY);
                assert_int_equal(hashmap_size(h) + intmap_size(m), 0);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_put_get_remove, make_names),
        cmocka_unit_test(test_null_is_empty),
        cmocka_unit_test(test_replace_takes_the_new_key),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_iterate_and_remove),
        cmocka_unit_test(test_churn),
        cmocka_unit_test(test_integers),
        cmocka_unit_test_setup(test_emptied, make_names),
};
TEST_MAIN(tests)
