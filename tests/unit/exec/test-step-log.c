/* Logs: which are open, what of them is kept, and reading what is left. */
#include "exec-test.h"

#include <sys/mman.h>

#include "step-log.h"
#include "utf8.h"

typedef struct Ground {
        char state[64], store_id[40];
        int logs_fd;
        LogCache *cache;
} Ground;

static int setup_ground(void **state) {
        Ground *g = calloc(1, sizeof(*g));
        _cleanup_free_ char *logs = NULL;

        assert_non_null(g);
        make_state(g->state, g->store_id);
        logs = path_join(g->state, "logs");
        assert_ok(mkdir(logs, 0700));
        g->logs_fd = open(logs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(g->logs_fd >= 0);
        assert_ok(log_cache_new(g->logs_fd, &g->cache));
        *state = g;
        return 0;
}

static int teardown_ground(void **state) {
        Ground *g = *state;

        log_cache_free(g->cache);
        (void) close(g->logs_fd);
        assert_ok(remove_tree(AT_FDCWD, g->state));
        free(g);
        return 0;
}

static void test_take(void **state) {
        Ground *g = *state;
        StepLog *a = NULL, *b = NULL, *again = NULL;
        char *text = NULL;

        assert_ok(log_cache_take(g->cache, 1, "act", 1, &a));
        assert_ok(log_cache_take(g->cache, 1, "act", 2, &b));
        assert_ptr_not_equal(a, b);
        assert_ok(write_all(step_log_fd(a), "one\n", 4));
        log_cache_give_back(g->cache, a);
        assert_ok(log_cache_take(g->cache, 1, "act", 1, &again));
        assert_ptr_equal(a, again);                     /* it was kept open */
        assert_ok(write_all(step_log_fd(again), "two\n", 4));
        assert_ok(exec_log_tail(g->state, 1, "act", 1, 0, UINT64_MAX, 100, &text));
        assert_string_equal(text, "one\ntwo\n");
        free(text);
        log_cache_give_back(g->cache, again);
        log_cache_give_back(g->cache, b);
        log_cache_give_back(g->cache, NULL);
        assert_int_equal(exec_log_tail(g->state, 1, "act", 3, 0, UINT64_MAX, 100, &text), -ENOENT);
}

/* Two steps of one attempt at once: one file. */
static void test_take_twice(void **state) {
        Ground *g = *state;
        StepLog *a = NULL, *b = NULL;

        assert_ok(log_cache_take(g->cache, 1, "act", 1, &a));
        assert_ok(log_cache_take(g->cache, 1, "act", 1, &b));
        assert_ptr_equal(a, b);
        log_cache_give_back(g->cache, a);
        assert_ok(write_all(step_log_fd(b), "x", 1));
        log_cache_give_back(g->cache, b);
}

/* Cap LOG_CACHE_UNUSED_MAX: unused ones are closed, the longest unused first; used ones never are. */
static void test_cache_is_bounded(void **state) {
        StepLog *logs[2 * LOG_CACHE_UNUSED_MAX];
        unsigned before = count_fds();
        Ground *g = *state;

        for (unsigned i = 0; i < ELEMENTSOF(logs); i++)
                assert_ok(log_cache_take(g->cache, 1, "act", i + 1, logs + i));
        assert_int_equal(count_fds(), before + ELEMENTSOF(logs));
        for (unsigned i = 0; i < ELEMENTSOF(logs); i++)
                log_cache_give_back(g->cache, logs[i]);
        assert_int_equal(count_fds(), before + LOG_CACHE_UNUSED_MAX);
        for (unsigned i = LOG_CACHE_UNUSED_MAX; i < ELEMENTSOF(logs); i++) {
                StepLog *l = NULL;

                assert_ok(log_cache_take(g->cache, 1, "act", i + 1, &l));
                assert_ptr_equal(l, logs[i]);
                log_cache_give_back(g->cache, l);
        }
        log_cache_drop_unused(g->cache);
        assert_int_equal(count_fds(), before);
}

/* Its run was removed, and its number is in use again. */
static void test_removed_log(void **state) {
        Ground *g = *state;
        StepLog *l = NULL;
        char *text = NULL;

        assert_ok(log_cache_take(g->cache, 1, "act", 1, &l));
        assert_ok(write_all(step_log_fd(l), "old", 3));
        log_cache_give_back(g->cache, l);
        assert_ok(remove_tree(g->logs_fd, "1"));
        assert_ok(log_cache_take(g->cache, 1, "act", 1, &l));
        assert_ok(write_all(step_log_fd(l), "new", 3));
        log_cache_give_back(g->cache, l);
        assert_ok(exec_log_tail(g->state, 1, "act", 1, 0, UINT64_MAX, 100, &text));
        assert_string_equal(text, "new");
        free(text);
}

static void test_link_is_not_followed(void **state) {
        Ground *g = *state;
        StepLog *l = NULL;
        char *text = NULL;

        assert_ok(mkdirat(g->logs_fd, "1", 0700));
        assert_ok(symlinkat("/tmp/runbookd-should-not-be-made", g->logs_fd, "1/act.a1.log"));
        assert_int_equal(log_cache_take(g->cache, 1, "act", 1, &l), -ELOOP);
        assert_int_equal(exec_log_tail(g->state, 1, "act", 1, 0, UINT64_MAX, 100, &text), -ELOOP);
        assert_int_equal(access("/tmp/runbookd-should-not-be-made", F_OK), -1);
}

/* Nobody is at its other end: an open that waits for one would hang the test, and the daemon. */
static void test_pipe_is_not_waited_for(void **state) {
        Ground *g = *state;
        StepLog *l = NULL;
        char *text = NULL;

        assert_ok(mkdirat(g->logs_fd, "1", 0700));
        assert_ok(mkfifoat(g->logs_fd, "1/act.a1.log", 0600));
        assert_true(log_cache_take(g->cache, 1, "act", 1, &l) < 0);
        assert_int_equal(exec_log_tail(g->state, 1, "act", 1, 0, UINT64_MAX, 100, &text), -EBADFD);
}

/* ---- the file made ahead ------------------------------------------------------------------------------------------------------------- */

static ino_t inode_of(const Ground *g, const char *name) {
        struct stat st;

        return fstatat(g->logs_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_ino;
}

static void take_and_say(Ground *g, uint32_t run, const char *text) {
        StepLog *l = NULL;

        assert_ok(log_cache_take(g->cache, run, "act", 1, &l));
        assert_ok(write_all(step_log_fd(l), text, strlen(text)));
        log_cache_give_back(g->cache, l);
}

static void assert_says(const Ground *g, uint32_t run, const char *expected) {
        char *text = NULL;

        assert_ok(exec_log_tail(g->state, run, "act", 1, 0, UINT64_MAX, 100, &text));
        assert_string_equal(text, expected);
        free(text);
}

/* Also where the directory of the run has to be made. */
static void test_made_ahead(void **state) {
        Ground *g = *state;
        ino_t ahead;

        log_cache_make_ahead(g->cache);
        ahead = inode_of(g, "next.log");
        assert_true(ahead != 0);
        log_cache_make_ahead(g->cache);
        assert_int_equal(inode_of(g, "next.log"), ahead);
        take_and_say(g, 1, "one");
        assert_int_equal(inode_of(g, "next.log"), 0);
        assert_int_equal(inode_of(g, "1/act.a1.log"), ahead);
        take_and_say(g, 2, "two");                      /* there is none: made as it is needed */
        assert_says(g, 1, "one");
        assert_says(g, 2, "two");
}

static void test_made_ahead_replaces_nothing(void **state) {
        Ground *g = *state;

        take_and_say(g, 1, "before");
        log_cache_drop_unused(g->cache);
        log_cache_make_ahead(g->cache);
        take_and_say(g, 1, " and after");
        assert_says(g, 1, "before and after");
        assert_true(inode_of(g, "next.log") != 0);      /* for the next that is new */
        take_and_say(g, 2, "new");
        assert_says(g, 2, "new");
        assert_int_equal(inode_of(g, "next.log"), 0);
}

/* A daemon that was killed left one; what it holds is nobody's. */
static void test_left_over(void **state) {
        Ground *g = *state;
        int fd = openat(g->logs_fd, "next.log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_ok(write_all(fd, "stale", 5));
        (void) close(fd);
        log_cache_make_ahead(g->cache);
        take_and_say(g, 1, "fresh");
        assert_says(g, 1, "fresh");
}

static void test_made_ahead_and_removed(void **state) {
        Ground *g = *state;

        log_cache_make_ahead(g->cache);
        assert_ok(unlinkat(g->logs_fd, "next.log", 0));
        take_and_say(g, 1, "text");
        assert_says(g, 1, "text");
        log_cache_drop_unused(g->cache);
        log_cache_make_ahead(g->cache);
        log_cache_drop_unused(g->cache);
        assert_int_equal(inode_of(g, "next.log"), 0);
}

/* What somebody has put in its place is no log. */
static void test_made_ahead_and_replaced(void **state) {
        Ground *g = *state;

        log_cache_make_ahead(g->cache);
        assert_ok(unlinkat(g->logs_fd, "next.log", 0));
        assert_ok(symlinkat("/dev/null", g->logs_fd, "next.log"));
        take_and_say(g, 1, "one");
        assert_says(g, 1, "one");
        log_cache_make_ahead(g->cache);                 /* in place of the link */
        assert_ok(unlinkat(g->logs_fd, "next.log", 0));
        assert_ok(mkdirat(g->logs_fd, "next.log", 0700));
        take_and_say(g, 2, "two");
        assert_says(g, 2, "two");
        log_cache_make_ahead(g->cache);                 /* can't be */
        take_and_say(g, 3, "three");
        assert_says(g, 3, "three");
}

/* ---- files in memory ----------------------------------------------------------------------------------------------------------------- */

static int make_file_of(const char *text, size_t n) {
        int fd = memfd_create("log", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_ok(write_all(fd, text, n));
        return fd;
}

static int make_lines(unsigned n) {
        int fd = memfd_create("log", MFD_CLOEXEC);

        assert_true(fd >= 0);
        for (unsigned i = 0; i < n; i++)
                assert_true(dprintf(fd, "line %9u\n", i) == 15);
        return fd;
}

static uint64_t data_start(int fd, uint64_t start, uint64_t end) {
        uint64_t at = UINT64_MAX;

        assert_ok(step_log_data_start(fd, start, end, &at));
        return at;
}

static void test_punch(void **state) {
        const uint64_t start = 5000, max = 20000, page = (uint64_t) sysconf(_SC_PAGESIZE);
        int fd = make_lines(10000);                     /* 150000 bytes */
        uint64_t done = 0, at;
        char c;

        assert_int_equal(data_start(fd, start, 150000), start);
        assert_ok(log_punch(fd, start, max, &done));
        at = data_start(fd, start, 150000);
        assert_int_equal(at, done);
        assert_true(at <= 150000 - max);                /* at least max is kept, and less than a page more */
        assert_true(at > 150000 - max - page);
        assert_int_equal(data_start(fd, 0, start), 0);  /* what was before it is not touched */
        assert_int_equal(pread(fd, &c, 1, (off_t) start - 1), 1);
        assert_int_not_equal(c, 0);

        assert_ok(log_punch(fd, start, max, &done));    /* again: nothing to do */
        assert_int_equal(data_start(fd, start, 150000), at);
        assert_int_equal(lseek(fd, 0, SEEK_END), 150000);
        assert_ok(write_all(fd, (char[50000]) { 'x' }, 50000));
        assert_ok(log_punch(fd, start, max, &done));
        assert_true(data_start(fd, start, 200000) > at);
        assert_int_equal(data_start(fd, start, 200000), done);
        (void) close(fd);
}

static void test_punch_leaves_small_ones(void **state) {
        int fd = make_lines(1000);
        uint64_t done = 0;

        assert_ok(log_punch(fd, 0, 15000, &done));
        assert_int_equal(done, 0);
        assert_ok(log_punch(fd, 15000, 0, &done));      /* nothing was written */
        assert_ok(log_punch(fd, 99999, 0, &done));
        assert_int_equal(done, 0);
        assert_int_equal(data_start(fd, 0, 15000), 0);
        (void) close(fd);
}

static void test_data_start(void **state) {
        int fd = make_lines(10000);
        uint64_t done = 0;

        assert_ok(log_punch(fd, 0, 1, &done));
        assert_int_equal(data_start(fd, 0, 1000), 1000); /* all of it is gone */
        assert_int_equal(data_start(fd, 0, UINT64_MAX), done);
        assert_int_equal(data_start(fd, 150000, UINT64_MAX), 150000);
        assert_int_equal(data_start(fd, 500000, UINT64_MAX), 500000);
        assert_int_equal(data_start(fd, 7, 7), 7);
        assert_ok(ftruncate(fd, 1000000));              /* ends in a hole */
        assert_int_equal(data_start(fd, 0, 1000000), 1000000);
        (void) close(fd);
}

static void check_tail(const char *text, size_t n, uint64_t start, uint64_t end, size_t max, bool lines, const char *expected) {
        int fd = make_file_of(text, n);
        char *tail = NULL;

        assert_ok(log_read_tail(fd, start, end, max, lines, &tail));
        assert_string_equal(tail, expected);
        assert_true(utf8_is_valid(tail, strlen(tail)));
        assert_true(strlen(tail) <= max);
        free(tail);
        (void) close(fd);
}

static void test_tail(void **state) {
        static const char text[] = "one\ntwo\nthree\n";

        check_tail(text, 14, 0, UINT64_MAX, 100, true, text);
        check_tail(text, 14, 0, 8, 100, true, "one\ntwo\n");
        check_tail(text, 14, 4, 8, 100, true, "two\n");
        check_tail(text, 14, 0, UINT64_MAX, 10, true, "two\nthree\n"); /* exactly at a line's start */
        check_tail(text, 14, 0, UINT64_MAX, 9, true, "three\n");
        check_tail(text, 14, 0, UINT64_MAX, 9, false, "wo\nthree\n");
        check_tail(text, 14, 0, UINT64_MAX, 3, true, "ee\n"); /* no whole line fits: what there is */
        check_tail(text, 14, 0, UINT64_MAX, 0, true, "");
        check_tail(text, 14, 14, UINT64_MAX, 100, true, "");
        check_tail(text, 14, 100, 200, 100, true, "");
        check_tail(text, 14, 8, 4, 100, true, "");
        check_tail("", 0, 0, UINT64_MAX, 100, true, "");
}

static void test_tail_is_valid(void **state) {
        check_tail("a\377b\0c", 5, 0, UINT64_MAX, 100, true, "a\xef\xbf\xbd" "b\xef\xbf\xbd" "c");
        check_tail("\xe2\x82\xac\xe2\x82\xac", 6, 0, UINT64_MAX, 5, true, "\xe2\x82\xac"); /* not cut inside a character */
        /* repaired text is no longer than asked for either */
        check_tail("\377\377\377\377", 4, 0, UINT64_MAX, 4, true, "\xef\xbf\xbd");
}

static void test_tail_after_a_hole(void **state) {
        int fd = make_lines(10000);
        uint64_t done = 0;
        char *tail = NULL;

        assert_ok(log_punch(fd, 100, 30000, &done));
        assert_ok(log_read_tail(fd, 100, UINT64_MAX, 1000000, true, &tail));
        assert_int_equal(strncmp(tail, "line ", 5), 0);
        assert_true(strlen(tail) >= 30000 - 15);
        assert_int_equal(strlen(tail) % 15, 0);
        free(tail);
        (void) close(fd);
}

static void check_append(int from, uint64_t max, uint64_t expected_size) {
        int to = memfd_create("to", MFD_CLOEXEC);
        char *tail = NULL;

        assert_true(to >= 0);
        assert_ok(log_append_file(to, from, max));
        assert_int_equal(lseek(to, 0, SEEK_END), expected_size);
        assert_ok(log_read_tail(to, 0, UINT64_MAX, 15, true, &tail));
        assert_string_equal(tail, "line      9999\n");
        free(tail);
        (void) close(to);
}

static void test_append_file(void **state) {
        int from = make_lines(10000), empty = make_file_of("", 0);
        uint64_t done = 0;

        check_append(from, UINT64_MAX, 150000);
        check_append(from, 70000, 70000);
        assert_ok(log_punch(from, 0, 30000, &done));
        check_append(from, UINT64_MAX, 150000 - done);  /* without the zeros of what is gone */
        assert_ok(log_append_file(from, empty, 100));
        (void) close(from);
        (void) close(empty);
}

static void test_path(void **state) {
        _cleanup_free_ char *path = exec_log_path("/var/lib/x", 4294967295u, "a.b-c", 3);

        assert_string_equal(path, "/var/lib/x/logs/4294967295/a.b-c.a3.log");
}

#define G(name) cmocka_unit_test_setup_teardown(name, setup_ground, teardown_ground)

static const struct CMUnitTest tests[] = {
        G(test_take), G(test_take_twice), G(test_cache_is_bounded), G(test_removed_log), G(test_link_is_not_followed),
        G(test_pipe_is_not_waited_for),
        G(test_made_ahead), G(test_made_ahead_replaces_nothing), G(test_left_over), G(test_made_ahead_and_removed),
        G(test_made_ahead_and_replaced),
        cmocka_unit_test(test_punch),
        cmocka_unit_test(test_punch_leaves_small_ones), cmocka_unit_test(test_data_start), cmocka_unit_test(test_tail),
        cmocka_unit_test(test_tail_is_valid),
        cmocka_unit_test(test_tail_after_a_hole), cmocka_unit_test(test_append_file), cmocka_unit_test(test_path),
};

TEST_MAIN(tests)
