/* Ownership moves, string helpers and growing arrays. */
#include "test.h"

#include <fcntl.h>

#include "macros.h"

static void test_take(void **state) {
        char *p = strdup("x"), *q = TAKE_PTR(p);
        assert_null(p);
        assert_string_equal(q, "x");
        free(q);

        int fd = 7, other = TAKE_FD(fd);
        assert_int_equal(fd, -1);
        assert_int_equal(other, 7);
}

static void test_safe_close_keeps_errno(void **state) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        errno = EXDEV;
        assert_int_equal(safe_close(fd), -1);
        assert_int_equal(errno, EXDEV);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_int_equal(safe_close(-1), -1);
}

static void test_strings(void **state) {
        assert_true(streq_ptr(NULL, NULL));
        assert_false(streq_ptr("a", NULL));
        assert_true(isempty(NULL) && isempty("") && !isempty("a"));
        assert_string_equal(strempty(NULL), "");
        assert_string_equal(startswith("phase-1", "phase-"), "1");
        assert_null(startswith("pha", "phase"));
        assert_string_equal(endswith("a.yaml", ".yaml"), ".yaml");
        assert_null(endswith("yaml", ".yaml"));
}

static void test_greedy_realloc(void **state) {
        _cleanup_free_ int *a = NULL;
        size_t allocated = 0;

        assert_true(GREEDY_REALLOC(a, allocated, 1));
        assert_true(allocated >= 1);
        for (size_t i = 0; i < allocated; i++)
                assert_int_equal(a[i], 0);
        for (size_t i = 0; i < allocated; i++)
                a[i] = -1;

        size_t before = allocated;
        assert_true(GREEDY_REALLOC(a, allocated, before + 1));
        assert_true(allocated >= 2 * before);
        assert_int_equal(a[before - 1], -1);
        assert_int_equal(a[before], 0);         /* the new part is zeroed */
        assert_int_equal(a[allocated - 1], 0);

        before = allocated;
        assert_false(GREEDY_REALLOC(a, allocated, SIZE_MAX / 2));
        assert_int_equal(allocated, before);
        assert_int_equal(a[0], -1);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_safe_close_keeps_errno),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_greedy_realloc),
};
TEST_MAIN(tests)
