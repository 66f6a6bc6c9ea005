/* Files: caps, links, atomic replacement, and removal of trees that were made to be hard to remove. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "fd-util.h"

static char directory[] = "/tmp/test-fd-util-XXXXXX";
static int dir_fd = -1;

static int make_directory(void **state) {
        if (!mkdtemp(directory))
                return -1;
        dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir_fd < 0 ? -1 : 0;
}

static int remove_directory(void **state) {
        dir_fd = safe_close(dir_fd);
        return remove_tree(AT_FDCWD, directory);
}

static void test_read_file(void **state) {
        _cleanup_free_ char *s = NULL;
        size_t n = 0;

        assert_ok(write_file_atomic(dir_fd, "file", "hello", 5, 0644));
        assert_ok(read_file(dir_fd, "file", 5, true, &s, &n));
        assert_string_equal(s, "hello");
        assert_int_equal(n, 5);

        char *t = NULL;
        assert_int_equal(read_file(dir_fd, "file", 4, true, &t, &n), -EFBIG);
        assert_int_equal(read_file(dir_fd, "missing", 4, true, &t, &n), -ENOENT);
        assert_int_equal(read_file(dir_fd, ".", 4, false, &t, &n), -EISDIR);
        assert_null(t);
}

static void test_read_file_nofollow(void **state) {
        _cleanup_free_ char *s = NULL;
        char *t = NULL;

        assert_ok(symlinkat("file", dir_fd, "link"));
        assert_int_equal(read_file(dir_fd, "link", 100, true, &t, NULL), -ELOOP);
        assert_ok(read_file(dir_fd, "link", 100, false, &s, NULL));
        assert_string_equal(s, "hello");
        /* A pipe without a writer: an open that waits would hang the test. */
        assert_ok(mkfifoat(dir_fd, "pipe", 0600));
        assert_int_equal(read_file(dir_fd, "pipe", 100, true, &t, NULL), -EBADFD);
        assert_null(t);
}

static void test_open_regular(void **state) {
        static const char *const others[] = { "r-link", "r-pipe", "." };
        int fd = open_regular(dir_fd, "regular", O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        (void) close(fd);
        assert_int_equal(open_regular(dir_fd, "regular", O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST);
        assert_int_equal(open_regular(dir_fd, "no-such", O_RDONLY, 0), -ENOENT);
        assert_ok(symlinkat("regular", dir_fd, "r-link"));
        assert_ok(mkfifoat(dir_fd, "r-pipe", 0600));
        for (size_t i = 0; i < ELEMENTSOF(others); i++) { /* an open that waits would hang the test */
                assert_true(open_regular(dir_fd, others[i], O_RDONLY, 0) < 0);
                assert_true(open_regular(dir_fd, others[i], O_WRONLY, 0) < 0);
        }
        assert_int_equal(open_regular(dir_fd, "r-pipe", O_RDONLY, 0), -EBADFD);
}

static void test_read_fd(void **state) {
        int p[2];
        _cleanup_free_ char *s = NULL;
        size_t n;
        char *t = NULL;

        assert_ok(pipe2(p, O_CLOEXEC));
        assert_ok(write_all(p[1], "a\0b", 3));
        safe_close(p[1]);
        assert_ok(read_fd(p[0], 3, &s, &n));
        safe_close(p[0]);
        assert_int_equal(n, 3);
        assert_memory_equal(s, "a\0b", 4);

        assert_ok(pipe2(p, O_CLOEXEC));
        assert_ok(write_all(p[1], "abcd", 4));
        safe_close(p[1]);
        assert_int_equal(read_fd(p[0], 3, &t, &n), -EFBIG);
        safe_close(p[0]);
        assert_null(t);

        /* No size of its own, and longer than one read. */
        _cleanup_close_ int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        assert_int_equal(read_fd(zero, 1000000, &t, &n), -EFBIG);
        assert_int_equal(read_fd(-1, 3, &t, &n), -EBADF);
}

static size_t count_entries(const char *path) {
        size_t n = 0;
        DIR *d = opendir(path);
        assert_non_null(d);
        for (struct dirent *e; (e = readdir(d));)
                n += e->d_name[0] != '.' || (e->d_name[1] && e->d_name[1] != '.') || (e->d_name[1] && e->d_name[2]);
        closedir(d);
        return n;
}

static void test_write_file_atomic(void **state) {
        _cleanup_free_ char *s = NULL;
        struct stat st;
        _cleanup_free_ char *sub = path_join(directory, "sub");
        mode_t umask_before = umask(077);

        assert_ok(mkdirat(dir_fd, "sub", 0755));
        assert_ok(write_file_atomic(dir_fd, "sub/f", "one", 3, 0600));
        assert_ok(write_file_atomic(dir_fd, "sub/f", "second", 6, 0644));
        umask(umask_before);
        assert_ok(read_file(dir_fd, "sub/f", 100, true, &s, NULL));
        assert_string_equal(s, "second");
        assert_ok(fstatat(dir_fd, "sub/f", &st, 0));
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(write_file_atomic(dir_fd, "none/f", "x", 1, 0600), -ENOENT);
        /* A directory of that name can't be replaced; nothing is left behind. */
        assert_ok(mkdirat(dir_fd, "sub/d", 0755));
        assert_int_equal(write_file_atomic(dir_fd, "sub/d", "x", 1, 0600), -EISDIR);
        assert_int_equal(count_entries(sub), 2);
}

static void test_mkdir_parents(void **state) {
        _cleanup_free_ char *deep = path_join(directory, "a//b/c/"), *through = path_join(directory, "file/x"),
                            *b = path_join(directory, "a/b");
        struct stat st;
        mode_t umask_before = umask(077);

        assert_ok(mkdir_parents(deep, 0751));
        umask(umask_before);
        assert_ok(stat(b, &st));
        assert_int_equal(st.st_mode & 07777, 0751);
        assert_ok(chmod(b, 0700));
        assert_ok(mkdir_parents(deep, 0751));
        assert_ok(stat(b, &st));
        assert_int_equal(st.st_mode & 07777, 0700);     /* it was there, so it stays as it was */
        assert_int_equal(mkdir_parents(through, 0755), -ENOTDIR);
        assert_int_equal(mkdir_parents("", 0755), -ENOENT);
}

static void test_remove_tree(void **state) {
        struct stat st;
        assert_ok(mkdirat(dir_fd, "t", 0755));
        assert_ok(mkdirat(dir_fd, "t/locked", 0755));
        assert_ok(mkdirat(dir_fd, "t/locked/inner", 0755));
        assert_ok(write_file_atomic(dir_fd, "t/locked/inner/f", "x", 1, 0400));
        assert_ok(write_file_atomic(dir_fd, "precious", "x", 1, 0600));
        assert_ok(symlinkat("../precious", dir_fd, "t/link"));
        assert_ok(symlinkat("..", dir_fd, "t/up"));
        assert_ok(fchmodat(dir_fd, "t/locked/inner", 0500, 0));
        assert_ok(fchmodat(dir_fd, "t/locked", 0, 0));

        assert_ok(remove_tree(dir_fd, "t"));
        assert_int_equal(fstatat(dir_fd, "t", &st, AT_SYMLINK_NOFOLLOW), -1);
        assert_ok(fstatat(dir_fd, "precious", &st, 0));
        assert_ok(remove_tree(dir_fd, "t"));            /* -ENOENT is success */
}

static void test_remove_tree_not_a_directory(void **state) {
        struct stat st;
        assert_ok(mkdirat(dir_fd, "kept", 0755));
        assert_ok(write_file_atomic(dir_fd, "kept/f", "x", 1, 0600));
        assert_ok(symlinkat("kept", dir_fd, "to-kept"));
        assert_ok(remove_tree(dir_fd, "to-kept"));
        assert_int_equal(fstatat(dir_fd, "to-kept", &st, AT_SYMLINK_NOFOLLOW), -1);
        assert_ok(fstatat(dir_fd, "kept/f", &st, 0));
}

/* Deeper than the cap on open descriptors, with a branch at every level. */
static void test_remove_tree_depth_cap(void **state) {
        _cleanup_close_ int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
        struct stat st;

        assert_ok(mkdirat(fd, "deep", 0755));
        fd = safe_close(fd);
        fd = openat(dir_fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned i = 0; i < 500; i++) {
                assert_ok(mkdirat(fd, "d", 0755));
                assert_ok(mkdirat(fd, "e", 0755));
                assert_ok(write_file_atomic(fd, "e/f", "x", 1, 0600));
                int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(next >= 0);
                safe_close(fd);
                fd = next;
        }
        assert_ok(remove_tree(dir_fd, "deep"));
        assert_int_equal(fstatat(dir_fd, "deep", &st, AT_SYMLINK_NOFOLLOW), -1);
}

/* A mount of the same file system, which a comparison of devices would not notice. */
static void test_remove_tree_keeps_mounts(void **state) {
        _cleanup_free_ char *from = path_join(directory, "mounted"), *to = path_join(directory, "m/n");
        struct stat st;

        if ((unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                skip();         /* not allowed to mount here */
        assert_ok(mkdirat(dir_fd, "mounted", 0755));
        assert_ok(write_file_atomic(dir_fd, "mounted/f", "x", 1, 0600));
        assert_ok(mkdir_parents(to, 0755));
        assert_ok(write_file_atomic(dir_fd, "m/f", "x", 1, 0600));
        assert_ok(mount(from, to, NULL, MS_BIND, NULL));
        assert_true(remove_tree(dir_fd, "m") < 0);
        assert_ok(fstatat(dir_fd, "mounted/f", &st, 0));
        assert_int_equal(fstatat(dir_fd, "m/f", &st, 0), -1);   /* the rest is gone */
        assert_ok(umount(to));
        assert_ok(remove_tree(dir_fd, "m"));
}

static void test_path_join(void **state) {
        static const struct {
                const char *a, *b, *joined;
        } table[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a//", "//b", "a/b"}, {"/", "b", "/b"},
                     {"", "b", "b"},    {"a", "", "a"},     {NULL, "b", "b"},      {"a", NULL, "a"}};
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *s = path_join(table[i].a, table[i].b);
                assert_string_equal(s, table[i].joined);
        }
        _cleanup_free_ char *s = xasprintf("%s-%d", "x", 1);
        assert_string_equal(s, "x-1");
}

static void test_fd_is_journal(void **state) {
        struct stat st;
        assert_ok(fstat(dir_fd, &st));
        _cleanup_free_ char *own = xasprintf("%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino);
        assert_ok(unsetenv("JOURNAL_STREAM"));
        assert_false(fd_is_journal(dir_fd));
        assert_ok(setenv("JOURNAL_STREAM", own, 1));
        assert_true(fd_is_journal(dir_fd));
        assert_ok(setenv("JOURNAL_STREAM", "1:2", 1));
        assert_false(fd_is_journal(dir_fd));
        assert_ok(setenv("JOURNAL_STREAM", own, 1));
        assert_false(fd_is_journal(-1));
        assert_ok(unsetenv("JOURNAL_STREAM"));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_file),
        cmocka_unit_test(test_read_file_nofollow),
        cmocka_unit_test(test_open_regular),
        cmocka_unit_test(test_read_fd),
        cmocka_unit_test(test_write_file_atomic),
        cmocka_unit_test(test_mkdir_parents),
        cmocka_unit_test(test_remove_tree),
        cmocka_unit_test(test_remove_tree_not_a_directory),
        cmocka_unit_test(test_remove_tree_depth_cap),
        cmocka_unit_test(test_path_join),
        cmocka_unit_test(test_fd_is_journal),
        cmocka_unit_test(test_remove_tree_keeps_mounts),        /* last: it changes the process's namespace */
};

int main(void) {
        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
