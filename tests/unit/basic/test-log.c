/* What goes to stderr and what doesn't. What arrives in the journal is seen by the tests in a booted system. */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "fd-util.h"
#include "log.h"

/* Runs with stderr in a pipe; returns what was written. */
static char *capture(void (*f)(void)) {
        int p[2], saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        char *s = NULL;
        assert_ok(pipe2(p, O_CLOEXEC));
        assert_true(dup2(p[1], STDERR_FILENO) >= 0);
        log_open();
        f();
        assert_true(dup2(saved, STDERR_FILENO) >= 0);
        safe_close(saved);
        safe_close(p[1]);
        assert_ok(read_fd(p[0], 10000, &s, NULL));
        safe_close(p[0]);
        return s;
}

static void say_levels(void) {
        log_debug("too quiet");
        log_info("one %d", 1);
        log_error("two");
        log_set_max_level(LOG_DEBUG);
        log_debug("three");
        log_set_max_level(LOG_ERR);
        log_warning("too quiet");
        log_struct(LOG_WARNING, "too quiet", "A", "b", NULL);
        log_struct(LOG_ERR, "four", "RUN", "17", "STEP", NULL, NULL);
        log_set_max_level(LOG_INFO);
}

static void test_levels(void **state) {
        _cleanup_free_ char *s = capture(say_levels);
        assert_string_equal(s, "one 1\ntwo\nthree\nfour\n");
}

static void say_errors(void) {
        errno = EXDEV;
        assert_int_equal(log_error_errno(-ENOENT, "can't open: %m"), -ENOENT);
        assert_int_equal(log_warning_errno(EACCES, "nor this: %m"), -EACCES);
        assert_int_equal(log_debug_errno(-EPERM, "unseen"), -EPERM);
        assert_int_equal(errno, EXDEV);
}

static void test_errors(void **state) {
        _cleanup_free_ char *s = capture(say_errors);
        assert_string_equal(s, "can't open: No such file or directory\nnor this: Permission denied\n");
}

static void say_hostile(void) {
        log_info("name '%s'", "\033[2J\xff");
}

static void test_hostile_text(void **state) {
        _cleanup_free_ char *s = capture(say_hostile);
        assert_string_equal(s, "name '\xef\xbf\xbd\xef\xbf\xbd'\n");
}

static void open_as_journal_and_say(void) {
        struct stat st;
        assert_ok(fstat(STDERR_FILENO, &st));
        _cleanup_free_ char *stream = xasprintf("%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino);
        assert_ok(setenv("JOURNAL_STREAM", stream, 1));
        log_open();
        assert_int_equal(log_warning_errno(-EPERM, "test-log: to the journal"), -EPERM);
        log_struct(LOG_INFO, "test-log: to the journal", "RUNBOOK", "x", "STEP", NULL, NULL);
        assert_ok(unsetenv("JOURNAL_STREAM"));
}

static void test_journal(void **state) {
        _cleanup_free_ char *s = capture(open_as_journal_and_say);
        assert_string_equal(s, "");
}

static void test_level_names(void **state) {
        for (int i = LOG_EMERG; i <= LOG_DEBUG; i++) {
                char digit[] = {(char) ('0' + i), 0};
                assert_int_equal(log_level_from_string(log_level_to_string(i)), i);
                assert_int_equal(log_level_from_string(digit), i);
        }
        assert_int_equal(log_level_from_string("8"), -EINVAL);
        assert_int_equal(log_level_from_string("77"), -EINVAL);
        assert_int_equal(log_level_from_string(""), -EINVAL);
        assert_int_equal(log_level_from_string("loud"), -EINVAL);
        assert_null(log_level_to_string(8));
        assert_null(log_level_to_string(-1));
        assert_int_equal(log_max_level(), LOG_INFO);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_journal),
        cmocka_unit_test(test_level_names),
};
TEST_MAIN(tests)
