/* Waits and limits of retries: S3.2–S3.10, S4.2–S4.5. */
#include "test.h"

#include "retry-policy.h"

#define SEC USEC_PER_SEC

/* S3.8, S3.9 */
static void test_exp(void **state) {
        const RetryPolicy p = { .max = 3, .backoff = BACKOFF_EXP, .initial = 5 * SEC, .maximum = 60 * SEC };

        assert_int_equal(retry_policy_wait(&p, 1), 5 * SEC);
        assert_int_equal(retry_policy_wait(&p, 2), 10 * SEC);
        assert_int_equal(retry_policy_wait(&p, 3), 20 * SEC);
        assert_int_equal(retry_policy_wait(&p, 4), 40 * SEC);
        assert_int_equal(retry_policy_wait(&p, 5), 60 * SEC);
        assert_int_equal(retry_policy_wait(&p, 6), 60 * SEC);
}

static void test_exp_of_a_second(void **state) {
        const RetryPolicy p = { .max = 9, .backoff = BACKOFF_EXP, .initial = SEC, .maximum = USEC_INFINITY };
        static const unsigned seconds[] = { 1, 2, 4, 8, 16 };

        for (unsigned i = 0; i < ELEMENTSOF(seconds); i++)
                assert_int_equal(retry_policy_wait(&p, i + 1), seconds[i] * SEC);
}

static void test_lin(void **state) {
        const RetryPolicy p = { .max = 9, .backoff = BACKOFF_LIN, .initial = SEC, .maximum = 3 * SEC };

        assert_int_equal(retry_policy_wait(&p, 1), SEC);
        assert_int_equal(retry_policy_wait(&p, 2), 2 * SEC);
        assert_int_equal(retry_policy_wait(&p, 3), 3 * SEC);
        assert_int_equal(retry_policy_wait(&p, 4), 3 * SEC);
}

/* S4.5 */
static void test_fixed(void **state) {
        const RetryPolicy p = { .max = 9, .backoff = BACKOFF_FIXED, .initial = 1500 * USEC_PER_MSEC, .maximum = USEC_INFINITY };

        for (unsigned n = 1; n < 10; n++)
                assert_int_equal(retry_policy_wait(&p, n), 1500 * USEC_PER_MSEC);
}

static void test_never_more_than_a_day(void **state) {
        static const unsigned numbers[] = { 20, 62, 63, 64, 65, 1000, UINT32_MAX };

        for (Backoff b = 0; b < _BACKOFF_MAX; b++)
                for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                        const RetryPolicy p = { .max = UINT32_MAX, .backoff = b, .initial = USEC_PER_DAY, .maximum = USEC_INFINITY };
                        const RetryPolicy q = { .max = UINT32_MAX, .backoff = b, .initial = USEC_INFINITY, .maximum = USEC_INFINITY };
                        assert_int_equal(retry_policy_wait(&p, numbers[i]), RETRY_WAIT_MAX);
                        assert_int_equal(retry_policy_wait(&q, numbers[i]), RETRY_WAIT_MAX);
                }
}

static void test_waits_never_shrink(void **state) {
        for (Backoff b = 0; b < _BACKOFF_MAX; b++) {
                const RetryPolicy p = { .max = 100, .backoff = b, .initial = 7, .maximum = USEC_INFINITY };
                for (unsigned n = 1; n < 100; n++)
                        assert_true(retry_policy_wait(&p, n) <= retry_policy_wait(&p, n + 1));
        }
}

static void test_no_wait_at_all(void **state) {
        const RetryPolicy p = { .max = 1, .backoff = BACKOFF_EXP, .initial = 0, .maximum = USEC_INFINITY };
        const RetryPolicy q = { .max = 1, .backoff = BACKOFF_EXP, .initial = SEC, .maximum = USEC_INFINITY };

        assert_int_equal(retry_policy_wait(&p, 1), 0);
        assert_int_equal(retry_policy_wait(&q, 0), 0);
}

/* S3.3, S3.10: max counts retries; 0 is none. */
static void test_allows(void **state) {
        const RetryPolicy none = {}, two = { .max = 2 };

        assert_false(retry_policy_allows(&none, 1, "EXIT"));
        assert_false(retry_policy_allows(&two, 0, "EXIT"));
        assert_true(retry_policy_allows(&two, 1, "EXIT"));
        assert_true(retry_policy_allows(&two, 2, NULL));
        assert_false(retry_policy_allows(&two, 3, "EXIT"));
}

static void test_allows_codes(void **state) {
        char *on[] = { (char *) "EXIT", (char *) "TIMEOUT", NULL }, *not_on[] = { (char *) "TIMEOUT", NULL };
        const RetryPolicy only = { .max = 1, .on = on }, but = { .max = 1, .not_on = not_on },
                          both = { .max = 1, .on = on, .not_on = not_on };

        assert_true(retry_policy_allows(&only, 1, "EXIT"));
        assert_false(retry_policy_allows(&only, 1, "SIGNAL"));
        assert_false(retry_policy_allows(&only, 1, NULL));
        assert_true(retry_policy_allows(&but, 1, "EXIT"));
        assert_true(retry_policy_allows(&but, 1, NULL));
        assert_false(retry_policy_allows(&but, 1, "TIMEOUT"));
        assert_true(retry_policy_allows(&both, 1, "EXIT"));
        assert_false(retry_policy_allows(&both, 1, "TIMEOUT"));
}

static void test_names(void **state) {
        for (Backoff b = 0; b < _BACKOFF_MAX; b++)
                assert_int_equal(backoff_from_string(backoff_to_string(b)), b);
        assert_int_equal(backoff_from_string("exponential"), BACKOFF_EXP);
        assert_true((int) backoff_from_string("quadratic") < 0);
        assert_true((int) backoff_from_string(NULL) < 0);
        assert_null(backoff_to_string(_BACKOFF_MAX));
        assert_null(backoff_to_string(_BACKOFF_INVALID));
}

static void test_done(void **state) {
        RetryPolicy p = { .on = calloc(2, sizeof(char *)) };

        assert_non_null(p.on);
        p.on[0] = strdup("EXIT");
        retry_policy_done(&p);
        assert_null(p.on);
        retry_policy_done(&p);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_exp_of_a_second),
        cmocka_unit_test(test_lin),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_never_more_than_a_day),
        cmocka_unit_test(test_waits_never_shrink),
        cmocka_unit_test(test_no_wait_at_all),
        cmocka_unit_test(test_allows),
        cmocka_unit_test(test_allows_codes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_done),
};
TEST_MAIN(tests)
