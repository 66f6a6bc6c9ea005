/* Every verdict of the engine is an error of its own name on the bus. */
#include "test.h"

#include "bus-error.h"
#include "bus-names.h"

static void test_names(void **state) {
        assert_null(bus_error_name(VERDICT_OK));
        assert_null(bus_error_name(_VERDICT_MAX));
        for (Verdict v = VERDICT_OK + 1; v < _VERDICT_MAX; v++) {
                const char *name = startswith(bus_error_name(v), BUS_ERROR_PREFIX);
                assert_non_null(name);
                assert_string_equal(name, verdict_to_string(v));
                assert_true(sd_bus_interface_name_is_valid(bus_error_name(v)));
        }
}

static void test_verdicts(void **state) {
        for (Verdict v = VERDICT_OK + 1; v < _VERDICT_MAX; v++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                assert_true(bus_verdict(&error, (int) v, "because 100%") < 0);
                assert_true(sd_bus_error_has_name(&error, bus_error_name(v)));
                assert_string_equal(error.message, "because 100%");
        }
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        assert_int_equal(bus_verdict(&error, 0, NULL), 0);
        assert_int_equal(bus_verdict(&error, -ENOMEM, NULL), -ENOMEM);
        assert_false(sd_bus_error_is_set(&error));
        assert_true(bus_verdict(&error, VERDICT_WRONG_STATE, NULL) < 0);
        assert_string_equal(error.message, "WrongState");
}

static void test_refusals(void **state) {
        _cleanup_(sd_bus_error_free) sd_bus_error a = SD_BUS_ERROR_NULL, b = SD_BUS_ERROR_NULL, c = SD_BUS_ERROR_NULL,
                                                  d = SD_BUS_ERROR_NULL;
        assert_int_equal(bus_invalid_args(&a, "%d", 1), -EINVAL);
        assert_string_equal(a.name, SD_BUS_ERROR_INVALID_ARGS);
        assert_string_equal(a.message, "1");
        assert_true(bus_limits_exceeded(&b, "x") < 0);
        assert_string_equal(b.name, SD_BUS_ERROR_LIMITS_EXCEEDED);
        assert_int_equal(bus_access_denied(&c, "x"), -EACCES);
        assert_string_equal(c.name, SD_BUS_ERROR_ACCESS_DENIED);
        assert_int_equal(bus_refuse(&d, VERDICT_NO_SUCH_RUN, "run %u", 5u), -ENOENT);
        assert_string_equal(d.name, "org.runbookd1.Error.NoSuchRun");
        assert_string_equal(d.message, "run 5");
}

/* What sd-bus would refuse to send is replaced, and what is endless cut. */
static void test_texts_are_sendable(void **state) {
        _cleanup_(sd_bus_error_free) sd_bus_error a = SD_BUS_ERROR_NULL, b = SD_BUS_ERROR_NULL, c = SD_BUS_ERROR_NULL;
        size_t n = 8u * 1024 * 1024;
        _cleanup_free_ char *large = calloc(n + 1, 1);
        assert_int_equal(bus_refuse(&a, VERDICT_NO_SUCH_STEP, "step %.*s", 2, "a\xc3\xa9"), -ENOENT);
        assert_string_equal(a.message, "step a\xef\xbf\xbd");
        assert_int_equal(bus_verdict(&b, -EIO, "k\xef\xbf\xbe"), -EIO);
        assert_true(sd_bus_error_has_name(&b, SD_BUS_ERROR_FAILED));
        assert_string_equal(b.message, "k\xef\xbf\xbd");
        assert_non_null(large);
        memset(large, 'x', n);
        assert_int_equal(bus_invalid_args(&c, "no %s", large), -EINVAL);
        assert_int_equal(strlen(c.message), 64 * 1024);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_texts_are_sendable),
};
TEST_MAIN(tests)
