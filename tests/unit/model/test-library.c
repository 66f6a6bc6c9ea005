/* Directories of runbooks: which file a name means, when it is read again, and what is said about files that are no good. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fd-util.h"
#include "library.h"

#define GOOD "description: %s\nphases: [{name: p, activities: [{name: a, run: x}]}]\n"

/* Wrapped by the linker: the clock, since nobody can set the time of an inode's last change, and what a search of a directory calls. */
usec_t __real_now_usec(clockid_t clock);
usec_t __wrap_now_usec(clockid_t clock);
int __real_lstat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st);

static usec_t later;
static unsigned n_searches;

usec_t __wrap_now_usec(clockid_t clock) {
        return __real_now_usec(clock) + later;
}

int __wrap_lstat(const char *path, struct stat *st) {
        n_searches++;
        return __real_lstat(path, st);
}

typedef struct Place {
        char root[64], etc[80], missing[80], usr[80];
        Library *library;
} Place;

static int set_up(void **state) {
        Place *p = calloc(1, sizeof(Place));

        if (!p)
                return -1;
        strcpy(p->root, "/tmp/test-library-XXXXXX");
        if (!mkdtemp(p->root))
                return -1;
        snprintf(p->etc, sizeof(p->etc), "%s/etc", p->root);
        snprintf(p->missing, sizeof(p->missing), "%s/missing", p->root);
        snprintf(p->usr, sizeof(p->usr), "%s/usr", p->root);
        if (mkdir(p->etc, 0755) < 0 || mkdir(p->usr, 0755) < 0)
                return -1;
        const char *const directories[] = { p->etc, p->missing, p->usr, NULL };
        later = 0;
        *state = p;
        return library_new(directories, &p->library);
}

static int tear_down(void **state) {
        Place *p = *state;

        library_free(p->library);
        (void) remove_tree(AT_FDCWD, p->root);
        free(p);
        return 0;
}

static void put(const char *directory, const char *file, const char *text) {
        _cleanup_free_ char *path = path_join(directory, file);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_ok(write_all(fd, text, strlen(text)));
}

static void put_good(const char *directory, const char *file, const char *description) {
        _cleanup_free_ char *text = xasprintf(GOOD, description);

        put(directory, file, text);
}

static Runbook *get(Place *p, const char *name) {
        _cleanup_diag_ Diagnostics d = {};
        Runbook *rb = NULL;

        assert_ok(library_get(p->library, name, &d, &rb, NULL));
        assert_non_null(rb);
        return rb;
}

static void expect(Place *p, const char *name, const char *description) {
        _cleanup_(runbook_unrefp) Runbook *rb = get(p, name);

        assert_string_equal(rb->name, name);
        assert_string_equal(rb->description, description);
}

static void expect_error(Place *p, const char *name, const char *message) {
        _cleanup_diag_ Diagnostics d = {};
        const char *file = NULL;
        Runbook *rb = NULL;

        assert_int_equal(library_get(p->library, name, &d, &rb, &file), -EINVAL);
        assert_null(rb);
        assert_non_null(file);
        assert_true(d.n_errors > 0);
        if (!strstr(d.items[0].message, message))
                fail_msg("\"%s\", not \"%s\"", d.items[0].message, message);
}

static void test_first_directory_wins(void **state) {
        Place *p = *state;
        _cleanup_(runbook_unrefp) Runbook *rb = NULL;
        _cleanup_diag_ Diagnostics d = {};
        const char *file;

        put_good(p->usr, "ship.yaml", "usr");
        expect(p, "ship", "usr");
        put_good(p->etc, "ship.json.yaml", "other");
        put_good(p->etc, "ship.yml", "etc");
        assert_ok(library_get(p->library, "ship", &d, &rb, &file));
        assert_string_equal(rb->description, "etc");
        assert_non_null(endswith(file, "/etc/ship.yml"));
        expect(p, "ship.json", "other");
}

static void test_no_such(void **state) {
        Place *p = *state;
        static const char *const names[] = { "ship", "../etc/ship", "", ".ship", "Ship", "a/b" };

        put_good(p->usr, ".ship.yaml", "hidden");
        put_good(p->usr, "Ship.yaml", "no name");
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_diag_ Diagnostics d = {};
                Runbook *rb = NULL;
                assert_int_equal(library_get(p->library, names[i], &d, &rb, NULL), -ENOENT);
                assert_int_equal(d.n_items, 0);
        }
}

static void test_json_files(void **state) {
        Place *p = *state;

        put(p->etc, "j.json",
            "{\"description\": \"json\", \"phases\": [{\"name\": \"p\", \"activities\": [{\"name\": \"a\", \"run\": \"x\"}]}]}");
        expect(p, "j", "json");
}

/* Two of one name in a directory are an error, in two directories they are not. */
static void test_two_of_a_name(void **state) {
        Place *p = *state;

        put_good(p->usr, "ship.yaml", "usr");
        put_good(p->etc, "ship.yaml", "etc");
        expect(p, "ship", "etc");
        put_good(p->etc, "ship.yml", "etc too");
        expect_error(p, "ship", "there are two files of this name");
        expect_error(p, "ship", "remove one");
}

/* A broken file hides what is behind it. */
static void test_broken_file(void **state) {
        Place *p = *state;

        put_good(p->usr, "ship.yaml", "usr");
        put(p->etc, "ship.yaml", "phases: []\n");
        expect_error(p, "ship", "needs at least one phase");
        expect_error(p, "ship", "needs at least one phase");    /* also from the cache */
}

static void test_other_name_inside(void **state) {
        Place *p = *state;

        put(p->etc, "ship.yaml", "name: boat\nphases: [{name: p, activities: [{name: a, run: x}]}]\n");
        expect_error(p, "ship", "the runbook is named \"boat\" and its file \"ship\"");
}

static void test_changed_file(void **state) {
        Place *p = *state;

        put_good(p->etc, "ship.yaml", "one");
        expect(p, "ship", "one");
        put_good(p->etc, "ship.yaml", "two");                   /* the same size, perhaps within the same tick */
        expect(p, "ship", "two");
        put_good(p->etc, "ship.yaml", "three");
        expect(p, "ship", "three");
}

static void test_removed_file(void **state) {
        Place *p = *state;
        _cleanup_free_ char *path = path_join(p->etc, "ship.yaml");
        _cleanup_diag_ Diagnostics d = {};
        Runbook *rb = NULL;

        put_good(p->etc, "ship.yaml", "etc");
        put_good(p->usr, "ship.yaml", "usr");
        expect(p, "ship", "etc");
        assert_ok(unlink(path));
        expect(p, "ship", "usr");
        assert_ok(remove_tree(AT_FDCWD, p->usr));
        assert_int_equal(library_get(p->library, "ship", &d, &rb, NULL), -ENOENT);
}

/* Who holds a runbook keeps it, whatever happens to its file. */
static void test_held_runbook(void **state) {
        Place *p = *state;
        put_good(p->etc, "ship.yaml", "one");
        _cleanup_(runbook_unrefp) Runbook *old = get(p, "ship");

        put_good(p->etc, "ship.yaml", "a longer one");
        expect(p, "ship", "a longer one");
        library_reload(p->library);
        assert_string_equal(old->description, "one");
}

/* A file that says the same is parsed once: the same object comes back, until Reload. */
static void test_cache(void **state) {
        Place *p = *state;

        put_good(p->etc, "ship.yaml", "one");
        _cleanup_(runbook_unrefp) Runbook *a = get(p, "ship"), *b = get(p, "ship");
        assert_ptr_equal(a, b);
        library_reload(p->library);
        _cleanup_(runbook_unrefp) Runbook *c = get(p, "ship");
        assert_ptr_not_equal(a, c);
        assert_string_equal(a->hash, c->hash);
}

/* Until the clock of the file system has moved on: what is changed from now on has another time than `path` has. */
static void next_tick(Place *p, const char *path) {
        _cleanup_free_ char *probe = path_join(p->root, "probe");
        struct stat was, st;

        assert_ok(__real_lstat(path, &was));
        do {
                put(p->root, "probe", "");
                assert_ok(unlink(probe));
                put(p->root, "probe", "");
                assert_ok(__real_lstat(probe, &st));
        } while (st.st_ctim.tv_sec == was.st_ctim.tv_sec && st.st_ctim.tv_nsec == was.st_ctim.tv_nsec);
}

/* Everything is old enough to be known by its times. */
static void settle(Place *p, const char *name, const char *description) {
        later = USEC_PER_MINUTE;
        expect(p, name, description);
        n_searches = 0;
        expect(p, name, description);
        assert_int_equal(n_searches, 0);
        next_tick(p, p->etc);
        next_tick(p, p->usr);
}

/* What has settled is not searched for once more, and yet no change goes unseen. */
static void test_settled(void **state) {
        Place *p = *state;
        _cleanup_free_ char *first = path_join(p->etc, "ship.yml"), *second = path_join(p->usr, "ship.yaml"), *old = path_join(p->root, "old");

        put_good(p->usr, "ship.yaml", "usr");
        settle(p, "ship", "usr");
        put_good(p->etc, "ship.yml", "etc");
        expect(p, "ship", "etc");
        settle(p, "ship", "etc");
        put_good(p->etc, "ship.json", "x");
        expect_error(p, "ship", "two files of this name");
        assert_ok(unlinkat(AT_FDCWD, first, 0));
        put(p->etc, "ship.json", "{}");
        expect_error(p, "ship", "");
        put_good(p->etc, "ship.yml", "etc");
        _cleanup_free_ char *json = path_join(p->etc, "ship.json");
        assert_ok(unlink(json));
        settle(p, "ship", "etc");
        put_good(p->etc, "ship.yml", "cte");            /* of the same size */
        expect(p, "ship", "cte");
        settle(p, "ship", "cte");
        assert_ok(rename(p->etc, old));
        expect(p, "ship", "usr");
        assert_ok(rename(old, p->etc));
        expect(p, "ship", "cte");
        settle(p, "ship", "cte");
        assert_ok(unlink(first));
        settle(p, "ship", "usr");
        assert_ok(mkdir(p->missing, 0755));
        put_good(p->missing, "ship.yaml", "new");
        expect(p, "ship", "new");
        settle(p, "ship", "new");
        put_good(p->missing, "ship.yaml", "broken: [");
        expect_error(p, "ship", "");
        assert_ok(unlink(second));
        assert_ok(remove_tree(AT_FDCWD, p->missing));
        _cleanup_diag_ Diagnostics d = {};
        Runbook *none = NULL;
        assert_int_equal(library_get(p->library, "ship", &d, &none, NULL), -ENOENT);
}

static void test_symlinks_and_other_files(void **state) {
        Place *p = *state;
        _cleanup_free_ char *target = path_join(p->usr, "real.yaml"), *link = path_join(p->etc, "linked.yaml"),
                            *dangling = path_join(p->etc, "gone.yaml"), *directory = path_join(p->etc, "dir.yaml"),
                            *fifo = path_join(p->etc, "fifo.yaml"), *nothing = path_join(p->root, "nothing");

        put_good(p->usr, "real.yaml", "real");
        assert_ok(symlink(target, link));
        assert_ok(symlink(nothing, dangling));
        assert_ok(mkdir(directory, 0755));
        assert_ok(mkfifo(fifo, 0644));
        expect(p, "linked", "real");
        expect_error(p, "gone", "cannot read the file: No such file or directory");
        expect_error(p, "dir", "this is not a regular file");
        expect_error(p, "fifo", "this is not a regular file");  /* and nobody waits for its writer */
}

/* Cap: TREE_FILE_MAX */
static void test_large_file(void **state) {
        Place *p = *state;
        _cleanup_free_ char *text = malloc(TREE_FILE_MAX + 2);

        assert_non_null(text);
        memset(text, '\n', TREE_FILE_MAX + 1);
        memcpy(text, "phases: [{name: p, activities: [{name: a, run: x}]}]",
               strlen("phases: [{name: p, activities: [{name: a, run: x}]}]"));
        text[TREE_FILE_MAX] = 0;
        put(p->etc, "fits.yaml", text);
        text[TREE_FILE_MAX] = '\n';
        text[TREE_FILE_MAX + 1] = 0;
        put(p->etc, "large.yaml", text);
        runbook_unref(get(p, "fits"));
        expect_error(p, "large", "the file is larger than 1048576 bytes");
}

static void test_list(void **state) {
        Place *p = *state;
        LibraryEntry *e;
        size_t n;

        put_good(p->etc, "ship.yaml", "etc");
        put_good(p->usr, "ship.yaml", "usr");
        put_good(p->usr, "boat.yml", "boat");
        put(p->usr, "bad.yaml", "phases:\n  - nme: x\n");
        put_good(p->usr, "Not A Name.yaml", "x");
        put_good(p->usr, "notes.txt", "x");
        put_good(p->usr, "ship.yaml~", "x");
        put_good(p->usr, ".hidden.yaml", "x");
        put_good(p->usr, ".yaml", "x");
        assert_ok(library_list(p->library, &e, &n));
        assert_int_equal(n, 4);
        assert_string_equal(e[0].name, "Not A Name");
        assert_non_null(strstr(e[0].error, "the file's name \"Not A Name\" is not"));
        assert_string_equal(e[1].name, "bad");
        assert_string_equal(e[1].description, "");
        assert_non_null(startswith(e[1].error, "2:5: "));
        assert_string_equal(e[2].name, "boat");
        assert_null(e[2].error);
        assert_string_equal(e[3].name, "ship");
        assert_string_equal(e[3].description, "etc");
        assert_non_null(endswith(e[3].file, "/etc/ship.yaml"));
        library_entries_free(e, n);
}

static void test_empty_list(void **state) {
        Place *p = *state;
        LibraryEntry *e;
        size_t n;

        assert_ok(library_list(p->library, &e, &n));
        assert_int_equal(n, 0);
        library_entries_free(e, n);
}

static void test_nearest(void **state) {
        Place *p = *state;
        _cleanup_free_ char *near = NULL;

        put_good(p->usr, "release.yaml", "x");
        put_good(p->etc, "deploy.yaml", "x");
        near = library_nearest(p->library, "relaese");
        assert_string_equal(near, "release");
        assert_null(library_nearest(p->library, "zzzzzz"));
}

static void test_warnings_come_along(void **state) {
        Place *p = *state;
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(runbook_unrefp) Runbook *rb = NULL;

        put_good(p->etc, "ship.yaml", "x");
        diag_warning(&d, 1, 1, "from before");
        assert_ok(library_get(p->library, "ship", &d, &rb, NULL));
        assert_int_equal(d.n_warnings, 1);
        assert_int_equal(d.n_errors, 0);
}

static void expect_followers(Place *p, const char *failed, const char *expected) {
        char names[256] = "";
        Runbook **l = NULL;
        size_t n = 0;

        assert_ok(library_on_failure(p->library, failed, &l, &n));
        for (size_t i = 0; i < n; i++) {
                strcat(names, l[i]->name);
                strcat(names, " ");
        }
        library_runbooks_free(l, n);
        assert_string_equal(names, expected);
}

#define FOLLOWER(what) "triggers: [{onFailureOf: " what "}]\nphases: [{name: p, activities: [{name: a, run: x}]}]\n"

/* S4.14: by name, all of them, never itself; what can't be read stands in nobody's way. */
static void test_on_failure(void **state) {
        Place *p = *state;

        expect_followers(p, "ship", "");
        put_good(p->etc, "ship.yaml", "x");
        put(p->usr, "zeal.yaml", FOLLOWER("[]"));
        put(p->etc, "mail.yaml", FOLLOWER("[ship, boat]"));
        put(p->etc, "broken.yaml", "triggers: [{onFailureOf: [ship]}]\nphases: []\n");
        put(p->etc, "cron.yaml", FOLLOWER("[ship]}, {cron: x"));
        put(p->usr, "mail.yaml", FOLLOWER("[raft]"));           /* hidden by the other */
        expect_followers(p, "ship", "mail zeal ");
        expect_followers(p, "boat", "mail zeal ");
        expect_followers(p, "raft", "zeal ");
        expect_followers(p, "zeal", "");
        expect_followers(p, "mail", "zeal ");
        expect_followers(p, "no longer there", "zeal ");
        put(p->etc, "mail.yaml", FOLLOWER("[raft]"));
        expect_followers(p, "ship", "zeal ");
}

/* Each failure asks; files that did not change are not read again for it. */
static void test_on_failure_cache(void **state) {
        Place *p = *state;
        _cleanup_free_ char *link = path_join(p->etc, "follow.yaml");
        Runbook **a = NULL, **b = NULL;
        size_t n_a = 0, n_b = 0;
        struct stat st;

        assert_ok(stat(TEST_DATA "/follow.yaml", &st));
        if (st.st_ctime + 3 > time(NULL))
                skip();
        assert_ok(symlink(TEST_DATA "/follow.yaml", link));
        assert_ok(library_on_failure(p->library, "ship", &a, &n_a));
        assert_ok(library_on_failure(p->library, "ship", &b, &n_b));
        assert_int_equal(n_a, 1);
        assert_int_equal(n_b, 1);
        assert_ptr_equal(a[0], b[0]);
        assert_string_equal(json_string(json_get(a[0]->on_failure_inputs, "to")), "ops");
        library_runbooks_free(a, n_a);
        library_runbooks_free(b, n_b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static const struct CMUnitTest tests[] = {
        TEST(test_first_directory_wins),
        TEST(test_no_such),
        TEST(test_json_files),
        TEST(test_two_of_a_name),
        TEST(test_broken_file),
        TEST(test_other_name_inside),
        TEST(test_changed_file),
        TEST(test_removed_file),
        TEST(test_held_runbook),
        TEST(test_cache),
        TEST(test_settled),
        TEST(test_symlinks_and_other_files),
        TEST(test_large_file),
        TEST(test_list),
        TEST(test_empty_list),
        TEST(test_nearest),
        TEST(test_warnings_come_along),
        TEST(test_on_failure),
        TEST(test_on_failure_cache),
};
TEST_MAIN(tests)
