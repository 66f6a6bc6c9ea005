/* Where files are, for the system and for a user. */
#include "test.h"

#include "places.h"

static int setup(void **state) {
        static const char *const variables[] = {"XDG_CONFIG_HOME", "XDG_STATE_HOME",  "XDG_DATA_HOME",           "XDG_DATA_DIRS",
                                                "XDG_RUNTIME_DIR", "STATE_DIRECTORY", "CONFIGURATION_DIRECTORY", "RUNTIME_DIRECTORY"};
        for (size_t i = 0; i < ELEMENTSOF(variables); i++)
                (void) unsetenv(variables[i]);
        return setenv("HOME", "/home/ada", 1);
}

static void check_list(char **list, const char *const *expected) {
        size_t i = 0;
        for (; expected[i]; i++) {
                assert_non_null(list[i]);
                size_t n = strlen(list[i]);
                while (n > 1 && list[i][n - 1] == '/')
                        n--;
                assert_int_equal(n, strlen(expected[i]));
                assert_memory_equal(list[i], expected[i], n);
        }
        assert_null(list[i]);
}
#define CHECK_LIST(list, ...) check_list(list, (const char *const[]) {__VA_ARGS__, NULL})

static void test_system(void **state) {
        _cleanup_(places_done) Places p = {};
        assert_ok(places_init(false, NULL, &p));
        assert_string_equal(p.state, STATEDIR);
        CHECK_LIST(p.config, SYSCONFDIR "/runbookd", RUNDIR, VENDORDIR);
        CHECK_LIST(p.runbooks, SYSCONFDIR "/runbookd/runbooks", RUNDIR "/runbooks", DATADIR "/runbookd/runbooks");
}

static void test_told_by_the_manager(void **state) {
        _cleanup_(places_done) Places p = {};
        (void) setenv("STATE_DIRECTORY", "/s/a:/s/b", 1);
        (void) setenv("CONFIGURATION_DIRECTORY", "/c", 1);
        (void) setenv("RUNTIME_DIRECTORY", "relative", 1);
        assert_ok(places_init(false, NULL, &p));
        assert_string_equal(p.state, "/s/a");
        CHECK_LIST(p.config, "/c", RUNDIR, VENDORDIR);
}

static void test_user(void **state) {
        _cleanup_(places_done) Places p = {}, q = {};
        assert_ok(places_init(true, NULL, &p));
        assert_string_equal(p.state, "/home/ada/.local/state/runbookd");
        CHECK_LIST(p.config, "/home/ada/.config/runbookd", "/home/ada/.local/state/runbookd/run", "/home/ada/.local/share/runbookd",
                   "/usr/local/share/runbookd", "/usr/share/runbookd");
        CHECK_LIST(p.runbooks, "/home/ada/.config/runbookd/runbooks", "/home/ada/.local/state/runbookd/run/runbooks",
                   "/home/ada/.local/share/runbookd/runbooks", "/usr/local/share/runbookd/runbooks", "/usr/share/runbookd/runbooks");
        (void) setenv("XDG_CONFIG_HOME", "/c", 1);
        (void) setenv("XDG_STATE_HOME", "/s", 1);
        (void) setenv("XDG_DATA_HOME", "relative/is/ignored", 1);
        (void) setenv("XDG_DATA_DIRS", "/d1:relative::/d2", 1);
        (void) setenv("XDG_RUNTIME_DIR", "/r", 1);
        assert_ok(places_init(true, NULL, &q));
        assert_string_equal(q.state, "/s/runbookd");
        CHECK_LIST(q.config, "/c/runbookd", "/r/runbookd", "/home/ada/.local/share/runbookd", "/d1/runbookd", "/d2/runbookd");
}

static void test_given(void **state) {
        _cleanup_(places_done) Places p = {}, q = {};
        _cleanup_free_ char *cwd = getcwd(NULL, 0);
        assert_ok(places_init(true, "/given", &p));
        assert_string_equal(p.state, "/given");
        CHECK_LIST(p.config, "/home/ada/.config/runbookd", "/given/run", "/home/ada/.local/share/runbookd", "/usr/local/share/runbookd",
                   "/usr/share/runbookd");
        assert_ok(places_init(false, "relative/one", &q));
        assert_memory_equal(q.state, cwd, strlen(cwd));
        assert_string_equal(q.state + strlen(cwd), "/relative/one");
}

/* More than anyone has: the rest is left out. */
static void test_many(void **state) {
        _cleanup_(places_done) Places p = {};
        char list[1024] = "";
        for (unsigned i = 0; i < 2 * PLACES_MAX; i++)
                strcat(list, "/d:");
        (void) setenv("XDG_DATA_DIRS", list, 1);
        assert_ok(places_init(true, NULL, &p));
        size_t n = 0;
        while (p.config[n])
                n++;
        assert_int_equal(n, PLACES_MAX);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)
static const struct CMUnitTest tests[] = {TEST(test_system), TEST(test_told_by_the_manager), TEST(test_user), TEST(test_given),
                                          TEST(test_many)};
TEST_MAIN(tests)
