/* Time spans as in systemd.time(7), and dates as people type them. */
#include "test.h"

#include "time-util.h"

#define NOW ((usec_t) 1795270000 * USEC_PER_SEC)        /* 2026-11-21 14:06:40 UTC */

static int use_utc(void **state) {
        setenv("TZ", "UTC", 1);
        tzset();
        return 0;
}

static void test_arithmetic(void **state) {
        assert_int_equal(usec_add(1, 2), 3);
        assert_true(usec_add(USEC_INFINITY, 1) == USEC_INFINITY);
        assert_true(usec_add(USEC_INFINITY - 1, 2) == USEC_INFINITY);
        assert_int_equal(usec_sub(3, 1), 2);
        assert_int_equal(usec_sub(1, 3), 0);
        assert_true(usec_sub(USEC_INFINITY, 5) == USEC_INFINITY);
        assert_true(now_usec(CLOCK_REALTIME) > 0);
        usec_t a = now_usec(CLOCK_MONOTONIC);
        assert_true(now_usec(CLOCK_MONOTONIC) >= a);
}

static void test_parse_timespan(void **state) {
        static const struct {
                const char *text;
                usec_t usec;
        } table[] = {
                {"90", 90 * USEC_PER_SEC},
                {"0", 0},
                {"5min 20s", 320 * USEC_PER_SEC},
                {"5min20s", 320 * USEC_PER_SEC},
                {" 1 h  30 minutes ", 90 * USEC_PER_MINUTE},
                {"1.5h", 90 * USEC_PER_MINUTE},
                {".5", 500 * USEC_PER_MSEC},
                {"0.000001", 1},
                {"0.0000001", 0},
                {"2 20ms", 2 * USEC_PER_SEC + 20 * USEC_PER_MSEC},
                {"1usec 1us 1µs 1μs", 4},
                {"1ms 1msec", 2 * USEC_PER_MSEC},
                {"1s 1sec 1second 2seconds", 5 * USEC_PER_SEC},
                {"1m 1min 1minute 2minutes", 5 * USEC_PER_MINUTE},
                {"1h 1hr 1hour 2hours", 5 * USEC_PER_HOUR},
                {"1d 1day 2days", 4 * USEC_PER_DAY},
                {"1w 1week 2weeks", 4 * USEC_PER_WEEK},
                {"1M 1month 2months", 4 * 2629800 * USEC_PER_SEC},
                {"1y 1year 2years", 4 * 31557600 * USEC_PER_SEC},
                {"infinity", USEC_INFINITY},
                {" infinity ", USEC_INFINITY},
        };
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                usec_t t = 1;
                assert_ok(parse_timespan(table[i].text, &t));
                assert_true(t == table[i].usec);
        }
}

static void test_parse_timespan_refuses(void **state) {
        static const char *const bad[] = {"",     " ",   "s",     "-1",        "+1",          "1.",          "1.s",       ".",
                                          "1,5s", "1e3", "5minx", "5 parsecs", "infinity 1s", "1s infinity", "infinitys", "1..5"};
        static const char *const large[] = {"18446744073709551616", "18446744073709551615us", "999999999y", "584000y 900y 9000000y",
                                            "99999999999999999999999us"};
        usec_t t = 7;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(parse_timespan(bad[i], &t), -EINVAL);
        for (size_t i = 0; i < ELEMENTSOF(large); i++)
                assert_int_equal(parse_timespan(large[i], &t), -ERANGE);
        assert_int_equal(t, 7);
}

static void test_format_timespan(void **state) {
        static const struct {
                usec_t t, accuracy;
                const char *text;
        } table[] = {
                {0, 1, "0"},
                {USEC_INFINITY, 1, "infinity"},
                {320 * USEC_PER_SEC, USEC_PER_SEC, "5min 20s"},
                {90 * USEC_PER_MINUTE, 1, "1h 30min"},
                {USEC_PER_DAY + 1, USEC_PER_SEC, "1d"},
                {1500 * USEC_PER_MSEC, USEC_PER_MSEC, "1.500s"},
                {1500 * USEC_PER_MSEC, USEC_PER_SEC, "1s"},
                {1000001, 1, "1.000001s"},
                {USEC_PER_SEC, 1, "1s"},
                {1500, 1, "1.500ms"},
                {2000, 1, "2ms"},
                {7, 1, "7us"},
                {7, 0, "7us"},
                {61 * USEC_PER_SEC + 500 * USEC_PER_MSEC, USEC_PER_MSEC, "1min 1.500s"},
                {(usec_t) 31557600 * USEC_PER_SEC + USEC_PER_WEEK, USEC_PER_SEC, "1y 1w"},
        };
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *s = format_timespan(table[i].t, table[i].accuracy);
                assert_string_equal(s, table[i].text);
        }
}

static void test_timespan_round_trip(void **state) {
        for (usec_t t = 1; t < USEC_INFINITY / 7; t = t * 7 + 3) {
                usec_t back;
                _cleanup_free_ char *s = format_timespan(t, 1);
                assert_ok(parse_timespan(s, &back));
                assert_true(t == back);
        }
}

static void test_timestamp(void **state) {
        static const struct {
                const char *text, *expected;
        } table[] = {
                {"2026-11-21 14:03", "2026-11-21 14:03:00"},
                {"2026-11-21 14:03:07", "2026-11-21 14:03:07"},
                {" 2026-11-21   14:03", "2026-11-21 14:03:00"},
                {"2028-02-29", "2028-02-29 00:00:00"},
                {"@1234567890", "2009-02-13 23:31:30"},
                {"now", "2026-11-21 14:06:40"},
                {"+5min", "2026-11-21 14:11:40"},
                {"+1d 2h", "2026-11-22 16:06:40"},
                {"14:07", "2026-11-21 14:07:00"},
                {"14:06:40", "2026-11-22 14:06:40"},    /* just passed: the next one */
                {"14:03", "2026-11-22 14:03:00"},
                {"today", "2026-11-21 00:00:00"},
                {"today 23:59:59", "2026-11-21 23:59:59"},
                {"tomorrow", "2026-11-22 00:00:00"},
                {"tomorrow 02:00", "2026-11-22 02:00:00"},
        };
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                usec_t t;
                assert_ok(parse_timestamp(table[i].text, NOW, &t));
                _cleanup_free_ char *s = format_timestamp(t);
                assert_string_equal(s, table[i].expected);
        }
}

static void test_timestamp_refuses(void **state) {
        static const char *const bad[] = {"",
                                          "2026-02-29",
                                          "2026-13-01",
                                          "2026-00-01",
                                          "2026-01-00",
                                          "2026-1-1",
                                          "2026-11-21T14:03",
                                          "2026-11-21 24:00",
                                          "2026-11-21 14:60",
                                          "2026-11-21 14:03:60",
                                          "2026-11-21 14",
                                          "2026-11-21 14:03 x",
                                          "14:3",
                                          "tomorrow02:00",
                                          "nowx",
                                          "yesterday",
                                          "@",
                                          "@-1",
                                          "@1x",
                                          "+",
                                          "+x",
                                          "UTC",
                                          " UTC",
                                          "2026-11-21 14:03UTC",
                                          "2026-11-21 14:03 utc",
                                          "2026-11-21 14:03 CET",
                                          "2026-11-21 14:03 UTC UTC",
                                          "2026-11-21 14:03 UTC x",
                                          "+5min UTC",
                                          "@1 UTC",
                                          "2026-11-21                                                           14:03 UTC"};
        static const char *const range[] = {"@99999999999999999999", "@18446744073709", "+infinity", "1960-01-01 00:00"};
        usec_t t = 7;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(parse_timestamp(bad[i], NOW, &t), -EINVAL);
        for (size_t i = 0; i < ELEMENTSOF(range); i++)
                assert_int_equal(parse_timestamp(range[i], NOW, &t), -ERANGE);
        assert_int_equal(t, 7);
}

static void test_timestamp_dash(void **state) {
        _cleanup_free_ char *zero = format_timestamp(0), *never = format_timestamp(USEC_INFINITY);
        assert_string_equal(zero, "-");
        assert_string_equal(never, "-");
}

/* Where the clock is put forward at 02:00, 02:30 is no time: it becomes the moment that many minutes after the change. */
static void test_timestamp_daylight_saving(void **state) {
        usec_t t, u;
        setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        tzset();
        assert_ok(parse_timestamp("2026-07-01 12:00", NOW, &t));
        assert_ok(parse_timestamp("2026-12-01 12:00", NOW, &u));
        assert_int_equal(t / USEC_PER_SEC % 86400, 10 * 3600);
        assert_int_equal(u / USEC_PER_SEC % 86400, 11 * 3600);
        assert_ok(parse_timestamp("2026-03-29 02:30", NOW, &t));
        assert_ok(use_utc(state));
}

/* "UTC" behind a date or a time of day counts from there, not from the local day. */
static void test_timestamp_utc(void **state) {
        static const struct {
                const char *text;
                usec_t expected;
        } table[] = {
                {"2026-11-21 14:03 UTC", 1795269780},
                {"2026-11-21 14:03:07 UTC", 1795269787},
                {"2026-07-01 UTC", 1782864000},
                {"14:07 UTC", 1795270020},
                {"14:03 UTC", 1795356180},
                {"today UTC", 1795219200},
                {"tomorrow 02:00 UTC", 1795312800},
                {"2026-11-21  14:03  UTC", 0},
        };
        setenv("TZ", "XXX-11", 1);                      /* where it is the next day already */
        tzset();
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                usec_t t = 0;
                assert_int_equal(parse_timestamp(table[i].text, NOW, &t), table[i].expected > 0 ? 0 : -EINVAL);
                assert_int_equal(t, table[i].expected * USEC_PER_SEC);
        }
        assert_ok(use_utc(state));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_parse_timespan),
        cmocka_unit_test(test_parse_timespan_refuses),
        cmocka_unit_test(test_format_timespan),
        cmocka_unit_test(test_timespan_round_trip),
        cmocka_unit_test_setup(test_timestamp, use_utc),
        cmocka_unit_test_setup(test_timestamp_refuses, use_utc),
        cmocka_unit_test(test_timestamp_dash),
        cmocka_unit_test(test_timestamp_daylight_saving),
        cmocka_unit_test(test_timestamp_utc),
};
TEST_MAIN(tests)
