/* Object paths: one spelling each, the one that sd_bus_path_encode gives. */
#include "test.h"

#include <stdio.h>
#include <systemd/sd-bus.h>

#include "bus-path.h"

static void test_run_paths(void **state) {
        char path[BUS_RUN_PATH_SIZE];
        uint32_t id = 7;
        bus_run_path(1, path);
        assert_string_equal(path, "/org/runbookd1/run/1");
        bus_run_path(UINT32_MAX, path);
        assert_string_equal(path, "/org/runbookd1/run/4294967295");
        assert_true(bus_parse_run_path(path, &id));
        assert_int_equal(id, UINT32_MAX);
        static const char *const wrong[] = {
                "",
                "/",
                "/org/runbookd1",
                "/org/runbookd1/run",
                "/org/runbookd1/run/",
                "/org/runbookd1/run/0",
                "/org/runbookd1/run/01",
                "/org/runbookd1/run/1x",
                "/org/runbookd1/run/1/",
                "/org/runbookd1/run/1/activity",
                "/org/runbookd1/run/4294967296",
                "/org/runbookd1/run/99999999999999999999",
                "/org/runbookd1/run/_312",
                "/org/runbookd1/run/-1",
                "/org/runbookd1/run/+1",
                "/org/runbookd1/runs/1",
                "/Org/runbookd1/run/1",
        };
        id = 7;
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                assert_false(bus_parse_run_path(wrong[i], &id));
        assert_int_equal(id, 7);
}

static void check_name(const char *name) {
        char path[BUS_ACTIVITY_PATH_SIZE], found[BUS_ACTIVITY_NAME_SIZE];
        _cleanup_free_ char *expected = NULL;
        uint32_t id;
        bus_activity_path(12, name, path);
        assert_true(sd_bus_path_encode("/org/runbookd1/run/12/activity", name, &expected) >= 0);
        assert_string_equal(path, expected);
        assert_true(sd_bus_object_path_is_valid(path));
        assert_true(bus_parse_activity_path(path, &id, found));
        assert_int_equal(id, 12);
        assert_string_equal(found, name);
}

static void test_activity_paths(void **state) {
        static const char *const names[] = {
                "a",       "Z",  "sign-off", "1st", "9",
                "a.b_c-d", "a0", "__",       "..",  "x123456789012345678901234567890123456789012345678901234567890123"};
        char all[2] = {};
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                check_name(names[i]);
        for (unsigned c = 1; c < 256; c++) {
                all[0] = (char) c;
                check_name(all);
        }
}

static void test_other_spellings(void **state) {
        char found[BUS_ACTIVITY_NAME_SIZE];
        uint32_t id;
        static const char *const wrong[] = {
                "", "_", "_2", "_2g", "_2D", "_61", "a_62", "1st", "a-b", "a.b", "a/b", "a_00", "_00", "a_", "a_2",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        };
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                char path[256];
                (void) snprintf(path, sizeof(path), "/org/runbookd1/run/12/activity/%s", wrong[i]);
                assert_false(bus_parse_activity_path(path, &id, found));
        }
        assert_false(bus_parse_activity_path("/org/runbookd1/run/012/activity/a", &id, found));
        assert_false(bus_parse_activity_path("/org/runbookd1/run/12/Activity/a", &id, found));
        assert_false(bus_parse_activity_path("/org/runbookd1/run/12", &id, found));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_paths),
        cmocka_unit_test(test_activity_paths),
        cmocka_unit_test(test_other_spellings),
};
TEST_MAIN(tests)
