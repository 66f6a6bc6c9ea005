/* Doubles as text: shortest, exact, and without a say for the locale. */
#include "test.h"

#include <float.h>
#include <math.h>

#include "number.h"

static void test_format(void **state) {
        static const struct {
                double d;
                const char *text;
        } table[] = {
                {0, "0"},
                {-0.0, "0"},
                {1, "1"},
                {-1, "-1"},
                {0.1, "0.1"},
                {2.5, "2.5"},
                {1.0 / 3, "0.3333333333333333"},
                {0.1 + 0.2, "0.30000000000000004"},
                {999999999999999, "999999999999999"},
                {1e15, "1e15"},
                {1e100, "1e100"},
                {1.5e-10, "1.5e-10"},
                {1e22, "1e22"},
                {1e300, "1e300"},
                {5e-324, "5e-324"},
                {DBL_MAX, "1.7976931348623157e308"},
                {1e-7, "1e-7"},
                {NAN, "null"},
                {INFINITY, "null"},
                {-INFINITY, "null"},
        };
        char buf[NUMBER_BUFFER_SIZE];
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_string_equal(number_format_double(table[i].d, buf), table[i].text);
}

static void test_round_trip(void **state) {
        uint64_t bits = 1;
        char buf[NUMBER_BUFFER_SIZE];
        for (unsigned i = 0; i < 20000; i++) {
                double d, back;
                bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                memcpy(&d, &bits, sizeof(d));
                if (!isfinite(d))
                        continue;
                assert_true(strlen(number_format_double(d, buf)) < NUMBER_BUFFER_SIZE);
                assert_ok(number_parse_double(buf, &back));
                assert_true(d == back);
        }
}

static void test_parse(void **state) {
        static const char *const bad[] = {"", " 1", "1 ", "0x10", "inf", "nan", "infinity", "1,5", "1.5.", "--1", "e5", "."};
        double d = 7;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(number_parse_double(bad[i], &d), -EINVAL);
        assert_int_equal(number_parse_double("1e999", &d), -ERANGE);
        assert_int_equal(number_parse_double("-1e999", &d), -ERANGE);
        assert_true(d == 7);
        assert_ok(number_parse_double("1e-999", &d));
        assert_true(d == 0);
        assert_ok(number_parse_double("-12.5e1", &d));
        assert_true(d == -125);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_parse),
};
TEST_MAIN(tests)
