/* What is in the file after the same things were said to it, and what comes of files that others have left. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd-util.h"
#include "log.h"
#include "told.h"

static char directory[64], path[128];

static int set_up(void **state) {
        (void) snprintf(directory, sizeof directory, "/tmp/runbookd-told-XXXXXX");
        if (!mkdtemp(directory))
                return -1;
        (void) snprintf(path, sizeof path, "%s/" TOLD_FILE, directory);
        log_set_max_level(LOG_ERR);
        return 0;
}

static int clean_up(void **state) {
        return remove_tree(AT_FDCWD, directory);
}

static Told *open_told(void) {
        Told *t;

        assert_ok(told_open(directory, &t));
        return t;
}

static char *content(void) {
        char *text;
        size_t size;

        assert_ok(read_file(AT_FDCWD, path, TOLD_FILE_MAX, true, &text, &size));
        return text;
}

#define assert_content(expected)                                \
        do {                                                    \
                _cleanup_free_ char *_text = content();         \
                assert_string_equal(_text, (expected));         \
        } while (false)

static void write_content(const char *text, size_t size) {
        assert_ok(write_file_atomic(AT_FDCWD, path, text, size, 0600));
}

static void test_remembers(void **state) {
        Told *t = open_told();

        assert_int_equal(access(path, F_OK), -1);       /* nothing is written where nothing is told */
        assert_int_equal(told_state(t, 7, "a", 5), TOLD_NOT);
        told_set(t, 7, "a", 5, TOLD_TAKEN);
        told_set(t, UINT32_MAX, "B.c_d-e", UINT64_MAX, TOLD_TAKEN);
        told_set(t, 7, "b", 6, TOLD_GIVEN_UP);
        assert_int_equal(told_state(t, 7, "b", 6), TOLD_GIVEN_UP);
        assert_content("7 5 a\n4294967295 18446744073709551615 B.c_d-e\n");
        told_free(t);
        t = open_told();
        assert_int_equal(told_state(t, 7, "a", 5), TOLD_TAKEN);
        assert_int_equal(told_state(t, UINT32_MAX, "B.c_d-e", UINT64_MAX), TOLD_TAKEN);
        assert_int_equal(told_state(t, 7, "b", 6), TOLD_NOT);
        assert_int_equal(told_state(t, 7, "a", 6), TOLD_NOT);   /* asked again */
        assert_int_equal(told_state(t, 8, "a", 5), TOLD_NOT);
        told_free(t);
}

/* The file is for us alone, and a link is not followed. */
static void test_file(void **state) {
        Told *t = open_told();
        char target[160];
        struct stat st;

        told_set(t, 1, "a", 1, TOLD_TAKEN);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        told_free(t);
        (void) snprintf(target, sizeof target, "%s.target", path);
        assert_int_equal(rename(path, target), 0);
        assert_int_equal(symlink(target, path), 0);
        t = open_told();
        assert_int_equal(told_state(t, 1, "a", 1), TOLD_NOT);
        told_set(t, 2, "b", 2, TOLD_TAKEN);             /* replaces it */
        told_free(t);
        assert_content("2 2 b\n");
        assert_int_equal(stat(target, &st), 0);
        assert_int_equal(st.st_size, strlen("1 1 a\n"));
}

static void test_forgets(void **state) {
        Told *t = open_told();

        told_set(t, 1, "a", 1, TOLD_TAKEN);
        told_set(t, 1, "b", 2, TOLD_GIVEN_UP);
        told_set(t, 1, "c", 3, TOLD_TAKEN);
        told_forget(t, 1, "a");
        told_forget(t, 1, "nothing");
        assert_int_equal(told_state(t, 1, "a", 1), TOLD_NOT);
        told_forget_given_up(t);
        assert_int_equal(told_state(t, 1, "b", 2), TOLD_NOT);
        assert_int_equal(told_state(t, 1, "c", 3), TOLD_TAKEN);
        told_free(t);
        t = open_told();                                /* the file is not written for that … */
        assert_int_equal(told_state(t, 1, "a", 1), TOLD_TAKEN);
        told_keep(t, 1, "a", 2);
        told_keep(t, 1, "c", 3);
        told_forget_others(t);                          /* … so a start looks what is still open */
        assert_int_equal(told_state(t, 1, "a", 1), TOLD_NOT);
        assert_int_equal(told_state(t, 1, "c", 3), TOLD_TAKEN);
        told_free(t);
}

/* A power cut: a piece of a line, zeros. What stands in front of it holds, and what comes behind it is not mixed with it. */
static void test_torn_end(void **state) {
        static const struct {
                const char *text;
                size_t size;
        } ends[] = {
                { "1 1 a\n2 2 b", 11 }, { "1 1 a\n2", 7 }, { "1 1 a\n\0\0\0", 9 }, { "1 1 a\n\0\0\n", 9 },
        };

        for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
                Told *t;

                write_content(ends[i].text, ends[i].size);
                t = open_told();
                assert_int_equal(told_state(t, 1, "a", 1), TOLD_TAKEN);
                assert_int_equal(told_state(t, 2, "b", 2), TOLD_NOT);
                told_set(t, 3, "c", 3, TOLD_TAKEN);
                told_free(t);
                t = open_told();
                assert_int_equal(told_state(t, 1, "a", 1), TOLD_TAKEN);
                assert_int_equal(told_state(t, 3, "c", 3), TOLD_TAKEN);
                told_free(t);
        }
}

static void test_nonsense(void **state) {
        static const char text[] = "\n \n1\n1 1\n1 1 \n1  1 a\n-1 1 a\n4294967296 1 a\n1 18446744073709551616 a\n1 1 a b\n1 1 a/b\n"
                                   "1 1 \0x\nx 1 a\n1 1x a\n1 1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
                                   "1 1 good\n1 2 again\n1 3 again\n";
        Told *t;

        write_content(text, sizeof text - 1);
        t = open_told();
        assert_int_equal(told_state(t, 1, "a", 1), TOLD_NOT);
        assert_int_equal(told_state(t, 1, "good", 1), TOLD_TAKEN);
        assert_int_equal(told_state(t, 1, "again", 2), TOLD_NOT);
        assert_int_equal(told_state(t, 1, "again", 3), TOLD_TAKEN);
        told_keep(t, 1, "good", 1);
        told_keep(t, 1, "again", 3);
        told_forget_others(t);
        assert_int_equal(told_state(t, 1, "good", 1), TOLD_TAKEN);
        told_free(t);
}

/* TOLD_FILE_MAX: the file counts as empty, and is written anew. */
static void test_too_large(void **state) {
        Told *t;

        write_content("1 1 a\n", 6);
        assert_int_equal(truncate(path, TOLD_FILE_MAX + 1), 0);
        t = open_told();
        assert_int_equal(told_state(t, 1, "a", 1), TOLD_NOT);
        told_set(t, 2, "b", 2, TOLD_TAKEN);
        assert_content("2 2 b\n");
        told_free(t);
}

/* TOLD_LINES_SLACK: requests come and go for ever, and the file does not grow for ever. */
static void test_bounded(void **state) {
        Told *t = open_told();
        struct stat st;

        told_set(t, 1, "stays", 1, TOLD_TAKEN);
        for (uint32_t i = 0; i < 5 * TOLD_LINES_SLACK; i++) {
                told_set(t, 2, "goes", 100000 + i, TOLD_TAKEN);
                told_forget(t, 2, "goes");
                assert_int_equal(stat(path, &st), 0);
                assert_true((size_t) st.st_size <= (TOLD_LINES_SLACK + 5) * strlen("2 100000 goes\n"));
        }
        told_free(t);
        t = open_told();
        assert_int_equal(told_state(t, 1, "stays", 1), TOLD_TAKEN);
        told_free(t);
}

/* The file can't be written: it is remembered as long as we are there, and written as soon as it can be. */
static void test_not_written(void **state) {
        char new_path[160];
        Told *t;

        (void) snprintf(new_path, sizeof new_path, "%s.new", path);
        assert_int_equal(mkdir(path, 0700), 0);         /* also root can't open that for writing */
        t = open_told();
        told_set(t, 1, "a", 1, TOLD_TAKEN);
        assert_int_equal(told_state(t, 1, "a", 1), TOLD_TAKEN);
        assert_int_equal(access(new_path, F_OK), -1);
        assert_int_equal(rmdir(path), 0);
        told_set(t, 2, "b", 2, TOLD_TAKEN);
        told_free(t);
        t = open_told();
        assert_int_equal(told_state(t, 1, "a", 1), TOLD_TAKEN);
        assert_int_equal(told_state(t, 2, "b", 2), TOLD_TAKEN);
        told_free(t);
}

/* The disk is full in the middle of a line: that one is written again with the next, and none is mixed with it. */
static void test_full_in_a_line(void **state) {
        Told *t = open_told();
        struct rlimit before, full;
        struct stat st;

        told_set(t, 1, "a", 1, TOLD_TAKEN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        full = (struct rlimit) { .rlim_cur = strlen("1 1 a\n2 2"), .rlim_max = before.rlim_max };
        assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
        told_set(t, 2, "b", 2, TOLD_TAKEN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, full.rlim_cur);
        told_set(t, 3, "c", 3, TOLD_TAKEN);
        told_free(t);
        t = open_told();
        for (uint32_t i = 1; i <= 3; i++)
                assert_int_equal(told_state(t, i, (const char *[]) { "a", "b", "c" }[i - 1], i), TOLD_TAKEN);
        told_free(t);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_remembers, set_up, clean_up),
                cmocka_unit_test_setup_teardown(test_full_in_a_line, set_up, clean_up),
                cmocka_unit_test_setup_teardown(test_file, set_up, clean_up),
                cmocka_unit_test_setup_teardown(test_forgets, set_up, clean_up),
                cmocka_unit_test_setup_teardown(test_torn_end, set_up, clean_up),
                cmocka_unit_test_setup_teardown(test_nonsense, set_up, clean_up),
                cmocka_unit_test_setup_teardown(test_too_large, set_up, clean_up),
                cmocka_unit_test_setup_teardown(test_bounded, set_up, clean_up),
                cmocka_unit_test_setup_teardown(test_not_written, set_up, clean_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
