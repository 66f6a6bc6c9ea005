/* Lists of mistakes: order, and the cap that does not touch the counts. */
#include "test.h"

#include "diagnostic.h"

static void test_add(void **state) {
        _cleanup_diag_ Diagnostics d = {};
        assert_int_equal(diag_error(&d, 3, 7, "no %s here", "step"), -EINVAL);
        assert_ok(diag_warning(&d, 0, 0, "odd"));
        assert_int_equal(d.n_errors, 1);
        assert_int_equal(d.n_warnings, 1);
        assert_int_equal(d.n_items, 2);
        assert_string_equal(d.items[0].message, "no step here");
        assert_int_equal(d.items[0].line, 3);
        assert_int_equal(d.items[0].column, 7);
        assert_int_equal(d.items[1].severity, SEVERITY_WARNING);
}

static void test_cap(void **state) {
        _cleanup_diag_ Diagnostics d = {};
        for (unsigned i = 0; i < DIAGNOSTICS_MAX + 5; i++)
                (void) diag_error(&d, i + 1, 1, "wrong");
        assert_int_equal(d.n_items, DIAGNOSTICS_MAX);
        assert_int_equal(d.n_errors, DIAGNOSTICS_MAX + 5);
}

static void test_sort_is_stable(void **state) {
        _cleanup_diag_ Diagnostics d = {};
        static const struct {
                unsigned line, column;
                const char *message;
        } table[] = {{5, 1, "f"}, {1, 9, "c"}, {1, 2, "a"}, {5, 0, "e"}, {1, 2, "b"}, {2, 1, "d"}};
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                (void) diag_error(&d, table[i].line, table[i].column, "%s", table[i].message);
        diag_sort(&d);
        for (size_t i = 0; i < d.n_items; i++)
                assert_int_equal(d.items[i].message[0], 'a' + (int) i);
}

static void test_severity_names(void **state) {
        assert_string_equal(severity_to_string(SEVERITY_ERROR), "error");
        assert_string_equal(severity_to_string(SEVERITY_WARNING), "warning");
        assert_null(severity_to_string(_SEVERITY_MAX));
        assert_null(severity_to_string(_SEVERITY_INVALID));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_sort_is_stable),
        cmocka_unit_test(test_severity_names),
};
TEST_MAIN(tests)
