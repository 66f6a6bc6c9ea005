/* What is kept of the screen: what goes in comes out, and nothing else (S5.5). */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd-util.h"
#include "kept.h"
#include "strbuf.h"

static char directory[] = "/tmp/test-kept-XXXXXX";

static int make_directory(void **state) {
        return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
        return remove_tree(AT_FDCWD, directory);
}

static void put(const char *text) {
        _cleanup_free_ char *path = path_join(directory, "f");
        assert_ok(write_file_atomic(AT_FDCWD, path, text, strlen(text), 0600));
}

static int get(const char *text) {
        _cleanup_kept_ Kept k = {};
        put(text);
        int r = kept_read(directory, "f", &k);
        assert_true(r >= 0 || (k.n == 0 && !k.server));
        return r;
}

static void test_there_and_back(void **state) {
        _cleanup_kept_ Kept k = {.server = strdup(":1.5")}, back = {};
        assert_ok(kept_add(&k, "/a \"b\"\n", 1));
        assert_ok(kept_add(&k, "", UINT32_MAX));
        assert_ok(kept_add(&k, "twice", 3));
        assert_ok(kept_add(&k, "twice", 4));
        assert_ok(kept_write(directory, "f", &k));
        assert_ok(kept_read(directory, "f", &back));
        assert_string_equal(back.server, ":1.5");
        assert_int_equal(back.n, 4);
        assert_int_equal(kept_take(&back, "/a \"b\"\n"), 1);
        assert_int_equal(kept_take(&back, "/a \"b\"\n"), 0);
        assert_int_equal(kept_take(&back, ""), UINT32_MAX);
        assert_int_equal(kept_take(&back, "twice") + kept_take(&back, "twice"), 7);
        assert_int_equal(back.n, 0);
        assert_ok(kept_write(directory, "f", &back));   /* empty: no file */
        assert_int_equal(kept_read(directory, "f", &back), -ENOENT);
        assert_ok(kept_write(directory, "f", &back));
}

static void test_KEPT_MAX(void **state) {
        _cleanup_kept_ Kept k = {.server = strdup(":1.5")}, back = {};
        for (unsigned i = 0; i < KEPT_MAX; i++)
                assert_ok(kept_add(&k, "x", i + 1));
        assert_int_equal(kept_add(&k, "x", 1), -ENOSPC);
        assert_ok(kept_write(directory, "f", &k));
        assert_ok(kept_read(directory, "f", &back));
        assert_int_equal(back.n, KEPT_MAX);

        _cleanup_strbuf_ StrBuf b = {};
        strbuf_append(&b, "{\"server\": \":1.5\", \"notes\": [{\"key\": \"x\", \"id\": 1}");
        for (unsigned i = 0; i < KEPT_MAX; i++)
                strbuf_append(&b, ", {\"key\": \"x\", \"id\": 1}");
        strbuf_append(&b, "]}");
        assert_int_equal(get(b.s), -EBADMSG);
}

static void test_KEPT_KEY_MAX(void **state) {
        _cleanup_kept_ Kept k = {};
        char key[KEPT_KEY_MAX + 2] = "";
        memset(key, 'k', KEPT_KEY_MAX + 1);
        assert_int_equal(kept_add(&k, key, 1), -E2BIG);
        _cleanup_free_ char *text = xasprintf("{\"server\": \":1.5\", \"notes\": [{\"key\": \"%s\", \"id\": 1}]}", key);
        assert_int_equal(get(text), -EBADMSG);
        key[KEPT_KEY_MAX] = 0;
        assert_ok(kept_add(&k, key, 1));
}

static void test_KEPT_SIZE_MAX(void **state) {
        static const char good[] = "{\"server\": \":1.5\", \"notes\": []}";
        char text[KEPT_SIZE_MAX + 2] = "";
        memset(text, ' ', KEPT_SIZE_MAX + 1);
        memcpy(text, good, strlen(good));
        assert_int_equal(get(text), -EFBIG);
        text[KEPT_SIZE_MAX] = 0;
        assert_ok(get(text));
}

static void test_what_makes_no_sense(void **state) {
        static const char *const bad[] = {
                "",
                "x",
                "7",
                "[]",
                "{}",
                "null",
                "{\"server\": \":1.5\"}",
                "{\"server\": 1, \"notes\": []}",
                "{\"server\": \":1.5\", \"notes\": {}}",
        };
        static const char *const bad_notes[] = {
                "1",
                "null",
                "{\"key\": \"x\"}",
                "{\"id\": 1}",
                "{\"key\": 1, \"id\": 1}",
                "{\"key\": \"x\", \"id\": 0}",
                "{\"key\": \"x\", \"id\": -1}",
                "{\"key\": \"x\", \"id\": 4294967296}",
                "{\"key\": \"x\", \"id\": 18446744073709551615}",
                "{\"key\": \"x\", \"id\": 1.0}",
                "{\"key\": \"x\", \"id\": \"1\"}",
                "{\"key\": \"x\", \"id\": 1}, 1",
        };
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(get(bad[i]), -EBADMSG);
        for (size_t i = 0; i < ELEMENTSOF(bad_notes); i++) {
                _cleanup_free_ char *text = xasprintf("{\"server\": \":1.5\", \"notes\": [%s]}", bad_notes[i]);
                assert_int_equal(get(text), -EBADMSG);
        }
        assert_ok(get("{\"server\": \":1.5\", \"notes\": [], \"of a later agent\": 1}"));
}

static void test_links_and_others(void **state) {
        _cleanup_kept_ Kept k = {.server = strdup(":1.5")}, back = {};
        _cleanup_free_ char *link = path_join(directory, "link"), *fifo = path_join(directory, "fifo"), *d = path_join(directory, "d");
        struct stat st;
        put("{\"server\": \":1.5\", \"notes\": []}");
        assert_ok(symlink("f", link));
        assert_ok(mkfifo(fifo, 0600));
        assert_ok(mkdir(d, 0700));
        assert_int_equal(kept_read(directory, "link", &back), -ELOOP);
        assert_int_equal(kept_read(directory, "fifo", &back), -EBADFD);
        assert_int_equal(kept_read(directory, "d", &back), -EISDIR);
        assert_ok(kept_add(&k, "x", 1));
        assert_ok(kept_write(directory, "link", &k));   /* takes the link's place */
        assert_ok(lstat(link, &st));
        assert_int_equal(st.st_mode, S_IFREG | 0600);
        assert_int_equal(kept_write(directory, "d", &k), -EISDIR);
        assert_ok(get("{\"server\": \":1.5\", \"notes\": []}"));
}

static void test_the_directory(void **state) {
        _cleanup_kept_ Kept k = {};
        _cleanup_free_ char *d = path_join(directory, "open"), *file = path_join(directory, "file");
        assert_int_equal(kept_read(d, "f", &k), -ENOENT);
        assert_ok(mkdir(d, 0700));
        assert_ok(chmod(d, 0720));
        assert_int_equal(kept_read(d, "f", &k), -EPERM);
        assert_ok(chmod(d, 0702));
        assert_int_equal(kept_write(d, "f", &k), -EPERM);
        assert_ok(chmod(d, 0755));
        assert_int_equal(kept_read(d, "f", &k), -ENOENT);
        assert_ok(write_file_atomic(AT_FDCWD, file, "", 0, 0600));
        assert_int_equal(kept_read(file, "f", &k), -ENOTDIR);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_there_and_back),
                cmocka_unit_test(test_KEPT_MAX),
                cmocka_unit_test(test_KEPT_KEY_MAX),
                cmocka_unit_test(test_KEPT_SIZE_MAX),
                cmocka_unit_test(test_what_makes_no_sense),
                cmocka_unit_test(test_links_and_others),
                cmocka_unit_test(test_the_directory),
        };
        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
