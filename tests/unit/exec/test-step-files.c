/* Directories and files of steps. */
#include "exec-test.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "step-files.h"

typedef struct Ground {
        char state[64], store_id[40];
        int logs_fd, step_fd;
} Ground;

static int setup_ground(void **state) {
        Ground *g = calloc(1, sizeof(*g));

        assert_non_null(g);
        make_state(g->state, g->store_id);
        assert_ok(step_directories_make(g->state, &g->logs_fd, &g->step_fd));
        *state = g;
        return 0;
}

static int teardown_ground(void **state) {
        Ground *g = *state;

        (void) close(g->logs_fd);
        (void) close(g->step_fd);
        assert_ok(remove_tree(AT_FDCWD, g->state));
        free(g);
        return 0;
}

static mode_t mode_of(const Ground *g, const char *name) {
        _cleanup_free_ char *path = path_join(g->state, name);
        struct stat st;

        return stat(path, &st) < 0 ? 0 : st.st_mode & 07777;
}

static void put(const Ground *g, const char *name, const char *text) {
        int fd = openat(g->step_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_ok(write_all(fd, text, strlen(text)));
        (void) close(fd);
}

static void test_modes(void **state) {
        mode_t mask = umask(077);
        Ground *g = *state;
        int a, b;

        assert_ok(exec_make_workspace(g->state, 7));
        assert_ok(exec_make_workspace(g->state, 7));    /* existing is success */
        assert_int_equal(mode_of(g, "work"), 0711);
        assert_int_equal(mode_of(g, "logs"), 0700);
        assert_int_equal(mode_of(g, "step"), 0700);
        assert_int_equal(mode_of(g, "work/7"), 0700);
        assert_int_equal(mode_of(g, "work/7/workspace"), 0700);
        assert_int_equal(mode_of(g, "work/7/tmp"), 0700);
        assert_ok(step_directories_make(g->state, &a, &b));
        (void) close(a);
        (void) close(b);
        (void) umask(mask);
}

static void test_names(void **state) {
        static const char *const bad[] = { "", ".", "..", ".x", "a/b", "/", NULL };
        const StepCommand c = { .run = 3, .activity = "act.1", .attempt = 2, .step_key = "pre1" };
        _cleanup_free_ char *name = step_file_name("0123", &c, STEP_FILE_OUTPUT), *prefix = step_file_prefix("/s", "0123"), *full = NULL;
        char long_name[66];

        assert_string_equal(name, "0123-3-act.1-a2-spre1.output");
        full = xasprintf("/s/step/%s", name);
        assert_int_equal(strncmp(full, prefix, strlen(prefix)), 0);
        for (size_t i = 0; bad[i]; i++)
                assert_false(step_name_is_safe(bad[i]));
        assert_false(step_name_is_safe(NULL));
        memset(long_name, 'a', 65);
        long_name[65] = 0;
        assert_false(step_name_is_safe(long_name));
        long_name[64] = 0;
        assert_true(step_name_is_safe(long_name));
}

static void test_take(void **state) {
        Ground *g = *state;
        char *text = NULL;
        size_t n = 0;

        assert_int_equal(step_file_take(g->step_fd, "f", 10, &text, &n), 0);
        put(g, "f", "0123456789");
        assert_int_equal(step_file_take(g->step_fd, "f", 10, &text, &n), 1);
        assert_int_equal(n, 10);
        assert_string_equal(text, "0123456789");
        free(text);
        assert_int_equal(step_file_take(g->step_fd, "f", 10, &text, &n), 0); /* it was removed */
        put(g, "f", "0123456789a");
        assert_int_equal(step_file_take(g->step_fd, "f", 10, &text, &n), -EFBIG);
        assert_int_equal(step_file_take(g->step_fd, "f", 10, &text, &n), 0);
}

static void make_socket(const Ground *g) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s/step/socket", g->state);
        assert_true(fd >= 0);
        assert_ok(bind(fd, (const struct sockaddr *) &a, sizeof(a)));
        (void) close(fd);
}

static void test_take_hostile(void **state) {
        static const char *const names[] = { "link", "dangling", "fifo", "directory", "socket" };
        Ground *g = *state;
        char *text = NULL;
        size_t n;

        assert_ok(symlinkat("/etc/passwd", g->step_fd, "link"));
        assert_ok(symlinkat("/none", g->step_fd, "dangling"));
        assert_ok(mkfifoat(g->step_fd, "fifo", 0600));
        assert_ok(mkdirat(g->step_fd, "directory", 0700));
        put(g, "directory/file", "x");
        make_socket(g);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                assert_int_equal(step_file_take(g->step_fd, names[i], 1024, &text, &n), -EBADFD);
                assert_int_equal(faccessat(g->step_fd, names[i], F_OK, AT_SYMLINK_NOFOLLOW), -1);
        }
        assert_null(text);
}

static void test_remove_all(void **state) {
        Ground *g = *state;

        put(g, "0123-1-a-a1-s1.output", "");
        put(g, "01234-1-a-a1-s1.output", "");
        put(g, "012-1-a-a1-s1.output", "");
        step_files_remove_all(g->step_fd, "0123");
        assert_int_equal(mode_of(g, "step/0123-1-a-a1-s1.output"), 0);
        assert_int_not_equal(mode_of(g, "step/01234-1-a-a1-s1.output"), 0);
        assert_int_not_equal(mode_of(g, "step/012-1-a-a1-s1.output"), 0);
}

/* Only for the run's own steps to read; what a step made of it gives way. */
static void test_trigger(void **state) {
        _cleanup_json_ Json *payload = json_new_object();
        _cleanup_free_ char *text = NULL, *path = NULL;
        Ground *g = *state;
        size_t n;

        assert_ok(json_set_int(payload, "run", 7));
        assert_true(exec_write_trigger(g->state, 1, payload) < 0); /* no workspace */
        assert_ok(exec_make_workspace(g->state, 1));
        path = xasprintf("%s/work/1/trigger.json", g->state);
        assert_ok(symlink("/etc/passwd", path));
        for (unsigned i = 0; i < 2; i++) {
                assert_ok(exec_write_trigger(g->state, 1, payload));
                assert_int_equal(mode_of(g, "work/1/trigger.json"), 0600);
        }
        assert_ok(read_file(AT_FDCWD, path, 100, true, &text, &n));
        assert_string_equal(text, "{\"run\":7}");
}

static void test_capture(void **state) {
        Ground *g = *state;
        char buf[8] = { 0 };
        int fd = -1;

        assert_ok(step_capture_open(g->step_fd, &fd));
        assert_ok(write_all(fd, "abc", 3));
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_ok(write_all(fd, "def", 3));             /* appends all the same */
        assert_int_equal(pread(fd, buf, sizeof(buf), 0), 6);
        assert_string_equal(buf, "abcdef");
        assert_int_equal(rmdir(strcat(strcpy((char[128]) { 0 }, g->state), "/step")), 0); /* it has no name there */
        assert_ok(mkdir(strcat(strcpy((char[128]) { 0 }, g->state), "/step"), 0700));
        (void) close(fd);
}

#define G(name) cmocka_unit_test_setup_teardown(name, setup_ground, teardown_ground)

static const struct CMUnitTest tests[] = {
        G(test_modes), cmocka_unit_test(test_names), G(test_take), G(test_take_hostile), G(test_remove_all), G(test_trigger), G(test_capture),
};

TEST_MAIN(tests)
