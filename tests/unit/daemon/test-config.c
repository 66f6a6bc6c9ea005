/* runbookd.conf: the table, the file that ships, and reading. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "config.h"
#include "fd-util.h"
#include "log.h"
#include "store.h"

static char directory[] = "/tmp/runbookd-config-XXXXXX";

static int setup(void **state) {
        log_set_max_level(LOG_EMERG);
        strcpy(directory, "/tmp/runbookd-config-XXXXXX");
        return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state) {
        return remove_tree(AT_FDCWD, directory);
}

static void write_text(const char *name, const char *text) {
        _cleanup_free_ char *path = path_join(directory, name), *parent = strdup(path);
        assert_non_null(parent);
        *strrchr(parent, '/') = 0;
        assert_ok(mkdir_parents(parent, 0755));
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static void test_defaults(void **state) {
        Config c;
        config_defaults(&c);
        assert_int_equal(c.max_steps, 0);
        assert_int_equal(c.durability, DURABILITY_FULL);
        assert_int_equal(c.max_resumes, 3);
        assert_int_equal(c.kill_grace, 10 * USEC_PER_SEC);
        assert_int_equal(c.hook_timeout, 5 * USEC_PER_MINUTE);
        assert_int_equal(c.hold_timeout, 0);
        assert_int_equal(c.retry_window, 30 * USEC_PER_DAY);
        assert_int_equal(c.log_max, 16 * 1024 * 1024);
        assert_int_equal(c.log_level, LOG_INFO);
}

static void test_table(void **state) {
        for (size_t i = 0; i < config_n_keys; i++) {
                assert_string_equal(config_items[i].key, config_keys[i].key);
                assert_int_equal(config_items[i].offset, config_keys[i].offset);
                assert_true(config_keys[i].offset + config_keys[i].size <= sizeof(Config));
                assert_non_null(config_items[i].hint);
        }
}

/* The file that ships names every key once, in the order of the table, commented out, with its default, and no other
 * (S5.4). */
static void test_shipped_file(void **state) {
        _cleanup_free_ char *text = NULL;
        size_t size, found = 0;
        bool section = false;
        assert_ok(read_file(AT_FDCWD, CONF_DIR "/runbookd.conf", 1024 * 1024, false, &text, &size));
        for (char *s = text, *line; (line = strsep(&s, "\n"));) {
                assert_true(strlen(line) <= 160);
                if (streq(line, "[Runbookd]"))
                        section = true;
                if (*line && *line != '#' && *line != '[')
                        fail_msg("not commented out: %s", line);
                if (line[0] != '#' || line[1] == ' ' || !line[1])
                        continue;
                char *value = strchr(line, '=');
                assert_non_null(value);
                *value++ = 0;
                assert_true(section && found < config_n_keys);
                assert_string_equal(line + 1, config_keys[found].key);
                assert_string_equal(value, config_keys[found].default_value);
                found++;
        }
        assert_int_equal(found, config_n_keys);
}

static void test_reading(void **state) {
        char *directories[] = {directory, NULL};
        Config c;
        write_text("runbookd.conf", "[Runbookd]\nMaxSteps=7\nDurability=normal\nMaxResumes=0\nKillGraceSec=500ms\nHookTimeoutSec="
                                    "1h\nHoldTimeoutSec=2d\nRetryWindowSec=infinity\nLogMaxBytes=1G\nLogLevel=debug\n");
        assert_ok(config_load(directories, NULL, &c));
        assert_int_equal(c.max_steps, 7);
        assert_int_equal(c.durability, DURABILITY_NORMAL);
        assert_int_equal(c.max_resumes, 0);
        assert_int_equal(c.kill_grace, 500 * USEC_PER_MSEC);
        assert_int_equal(c.hook_timeout, USEC_PER_HOUR);
        assert_int_equal(c.hold_timeout, 2 * USEC_PER_DAY);
        assert_int_equal(c.retry_window, USEC_INFINITY);
        assert_int_equal(c.log_max, UINT64_C(1) << 30);
        assert_int_equal(c.log_level, LOG_DEBUG);
}

/* Each wrong value leaves its own default, and the others are taken. */
static void test_wrong_values(void **state) {
        char *directories[] = {directory, NULL};
        Config c, defaults;
        config_defaults(&defaults);
        write_text("runbookd.conf", "[Runbookd]\nMaxSteps=5000\nDurability=maybe\nMaxResumes=-1\nKillGraceSec=2h\nHookTimeoutSec="
                                    "0\nHoldTimeoutSec=54w\nRetryWindowSec=0\nLogMaxBytes=1K\nLogLevel=9\nFoo=1\n[Other]\nMaxSteps=3\n");
        assert_ok(config_load(directories, NULL, &c));
        assert_memory_equal(&c, &defaults, sizeof(c));
        write_text("runbookd.conf", "[Runbookd]\nMaxSteps=x\nMaxResumes=9\n");
        assert_ok(config_load(directories, NULL, &c));
        assert_int_equal(c.max_steps, 0);
        assert_int_equal(c.max_resumes, 9);
}

static void test_order(void **state) {
        _cleanup_free_ char *a = path_join(directory, "a"), *b = path_join(directory, "b");
        char *directories[] = {a, b, NULL};
        Config c;
        write_text("a/x", "");
        write_text("b/runbookd.conf", "[Runbookd]\nMaxSteps=1\nMaxResumes=1\nKillGraceSec=1\n");
        assert_ok(config_load(directories, NULL, &c));
        assert_int_equal(c.max_steps, 1);
        write_text("a/runbookd.conf", "[Runbookd]\nMaxResumes=2\n");
        assert_ok(config_load(directories, NULL, &c));
        assert_int_equal(c.max_steps, 0);               /* the first file alone */
        assert_int_equal(c.max_resumes, 2);
        write_text("b/runbookd.conf.d/50.conf", "[Runbookd]\nMaxResumes=50\nMaxSteps=50\n");
        write_text("a/runbookd.conf.d/40.conf", "[Runbookd]\nMaxResumes=40\nKillGraceSec=40\n");
        assert_ok(config_load(directories, NULL, &c));
        assert_int_equal(c.max_resumes, 50);            /* by name, not by directory */
        assert_int_equal(c.kill_grace, 40 * USEC_PER_SEC);
        write_text("a/runbookd.conf.d/50.conf", "");
        assert_ok(config_load(directories, NULL, &c));
        assert_int_equal(c.max_resumes, 40);            /* an empty one hides the other of its name */
        assert_int_equal(c.max_steps, 0);
}

static void test_not_a_directory(void **state) {
        _cleanup_free_ char *a = path_join(directory, "file/below"), *b = path_join(directory, "b");
        char *directories[] = {a, b, NULL};
        Config c;
        write_text("file", "");
        write_text("b/runbookd.conf", "[Runbookd]\nMaxSteps=1\n");
        assert_ok(config_load(directories, NULL, &c));
        assert_int_equal(c.max_steps, 1);
}

static void test_only(void **state) {
        _cleanup_free_ char *path = path_join(directory, "mine"), *missing = path_join(directory, "missing");
        char *directories[] = {directory, NULL};
        Config c;
        write_text("runbookd.conf", "[Runbookd]\nMaxSteps=1\n");
        write_text("runbookd.conf.d/1.conf", "[Runbookd]\nMaxSteps=2\n");
        write_text("mine", "[Runbookd]\nMaxResumes=5\n");
        assert_ok(config_load(directories, path, &c));
        assert_int_equal(c.max_steps, 0);
        assert_int_equal(c.max_resumes, 5);
        c.max_steps = 77;
        assert_int_equal(config_load(directories, missing, &c), -ENOENT);
        assert_int_equal(c.max_steps, 77);              /* as it was */
}

static void test_too_many_drop_ins(void **state) {
        char *directories[] = {directory, NULL};
        Config c;
        for (unsigned i = 0; i < 1000; i++) {
                char name[64];
                (void) snprintf(name, sizeof(name), "runbookd.conf.d/%04u.conf", i);
                write_text(name, i == 999 ? "[Runbookd]\nMaxSteps=9\n" : "");
        }
        write_text("runbookd.conf.d/other.txt", "[Runbookd]\nMaxSteps=5\n");
        assert_ok(config_load(directories, NULL, &c));
        assert_int_equal(c.max_steps, 9);
        write_text("runbookd.conf.d/1000.conf", "");
        assert_int_equal(config_load(directories, NULL, &c), -E2BIG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
static const struct CMUnitTest tests[] = {
        TEST(test_defaults),     TEST(test_table), TEST(test_shipped_file), TEST(test_reading),
        TEST(test_wrong_values), TEST(test_order), TEST(test_not_a_directory), TEST(test_only), TEST(test_too_many_drop_ins),
};
TEST_MAIN(tests)
