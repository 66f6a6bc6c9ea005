/* Control groups of steps, where this test may make one to stand in: as root, with a unified hierarchy. */
#include "exec-test.h"

#include <linux/magic.h>
#include <poll.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "step-cgroup.h"

typedef struct Ground {
        char *directory, *home;                         /* ours for the test, and where we came from */
        bool usable;
} Ground;

static const char *root_directory(void) {
        struct statfs s;

        if (statfs("/sys/fs/cgroup", &s) >= 0 && s.f_type == CGROUP2_SUPER_MAGIC)
                return "/sys/fs/cgroup";
        return "/sys/fs/cgroup/unified";
}

static int enter(const char *directory) {
        _cleanup_free_ char *path = path_join(directory, "cgroup.procs"), *pid = xasprintf("%d", getpid());
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        return fd < 0 ? -errno : write_all(fd, pid, strlen(pid));
}

static char *own_group(void) {
        _cleanup_free_ char *text = NULL;
        char *s;

        assert_ok(read_file(AT_FDCWD, "/proc/self/cgroup", 65536, false, &text, NULL));
        s = strstr(text, "0::/");
        return s ? strndup(s + 3, strcspn(s + 3, "\n")) : NULL;
}

static int setup_ground(void **state) {
        _cleanup_free_ char *own = own_group();
        Ground *g = calloc(1, sizeof(*g));

        assert_non_null(g);
        g->directory = xasprintf("%s%s/runbookd-test-%d", root_directory(), own && strlen(own) > 1 ? own : "", getpid());
        g->home = xasprintf("%s%s", root_directory(), own ? own : "");
        g->usable = own && mkdir(g->directory, 0755) >= 0 && setxattr(g->directory, "user.delegate", "1", 1, 0) >= 0 &&
                    enter(g->directory) >= 0;
        *state = g;
        return 0;
}

static int teardown_ground(void **state) {
        Ground *g = *state;

        (void) enter(g->home);
        if (rmdir(g->directory) < 0 && g->usable)
                fail_msg("something is left in %s", g->directory);
        free(g->directory);
        free(g->home);
        free(g);
        return 0;
}

static Ground *need(void **state) {
        Ground *g = *state;

        if (!g->usable)
                skip();
        return g;
}

static pid_t make_child(const StepCgroup *g) {
        _cleanup_free_ char *directory = xasprintf("%s%s", root_directory(), step_cgroup_path(g));
        int ready[2];
        pid_t pid;
        char c;

        assert_ok(pipe2(ready, O_CLOEXEC));
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) enter(directory);
                (void) execl("/bin/sleep", "sleep", "1000", NULL);
                _exit(1);
        }
        (void) close(ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 0);
        (void) close(ready[0]);
        return pid;
}

static void test_not_delegated(void **state) {
        Ground *g = need(state);
        CgroupPool *p = NULL;

        assert_ok(removexattr(g->directory, "user.delegate"));
        assert_int_equal(cgroup_pool_new("0123", &p), -EOPNOTSUPP);
        assert_ok(setxattr(g->directory, "user.delegate", "0", 1, 0));
        assert_int_equal(cgroup_pool_new("0123", &p), -EOPNOTSUPP);
        assert_null(p);
}

static void test_group(void **state) {
        CgroupPool *p = NULL;
        StepCgroup *a = NULL, *b = NULL;
        pid_t pid, *pids = NULL;
        size_t n = 0;

        need(state);
        assert_ok(cgroup_pool_new("0123", &p));
        assert_ok(cgroup_pool_take(p, &a));
        cgroup_pool_make_ahead(p);
        assert_ok(cgroup_pool_take(p, &b));
        assert_string_not_equal(step_cgroup_path(a), step_cgroup_path(b));
        assert_false(step_cgroup_populated(a));
        pid = make_child(a);
        assert_true(step_cgroup_populated(a));
        assert_false(step_cgroup_populated(b));
        assert_ok(step_cgroup_pids(a, &pids, &n));
        assert_int_equal(n, 1);
        assert_int_equal(pids[0], pid);
        free(pids);
        assert_ok(step_cgroup_kill(a));
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_false(step_cgroup_populated(a));
        cgroup_pool_remove(p, a);
        cgroup_pool_remove(p, b);
        cgroup_pool_remove(p, NULL);
        cgroup_pool_make_ahead(p);
        cgroup_pool_free(p);
}

/* A step made groups in its own. */
static void test_groups_below(void **state) {
        CgroupPool *p = NULL;
        StepCgroup *g = NULL;

        need(state);
        assert_ok(cgroup_pool_new("0123", &p));
        assert_ok(cgroup_pool_take(p, &g));
        assert_ok(mkdirat(step_cgroup_fd(g), "a", 0755));
        assert_ok(mkdirat(step_cgroup_fd(g), "a/b", 0755));
        assert_ok(mkdirat(step_cgroup_fd(g), ".c", 0755));
        cgroup_pool_remove(p, g);
        cgroup_pool_free(p);
}

static void test_kill_left(void **state) {
        _cleanup_json_ Json *identities = NULL, *outside = NULL;
        _cleanup_free_ char *text = NULL, *no_step = NULL;
        CgroupPool *dead = NULL, *other = NULL, *p = NULL;
        StepCgroup *left = NULL, *theirs = NULL;
        pid_t pid, their_pid;
        Ground *g = need(state);

        assert_ok(cgroup_pool_new("0123", &dead));
        assert_ok(cgroup_pool_new("4567", &other));
        assert_ok(cgroup_pool_take(dead, &left));
        assert_ok(cgroup_pool_take(other, &theirs));
        pid = make_child(left);
        their_pid = make_child(theirs);
        no_step = xasprintf("[{\"cgroup\": \"%s\"}]", strrchr(g->directory, '/'));
        assert_ok(json_parse(no_step, strlen(no_step), &outside));
        assert_ok(cgroup_pool_new("89ab", &p));
        assert_int_equal(cgroup_kill_left(p, "89ab", outside), 0); /* not a name that is given to a step's */
        assert_true(process_runs(pid));

        text = xasprintf("[{\"cgroup\": \"%s\"}]", step_cgroup_path(left));
        assert_ok(json_parse(text, strlen(text), &identities));
        while (cgroup_kill_left(NULL, "0123", identities) > 0) /* by its recorded path alone */
                (void) poll(NULL, 0, 1);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_true(process_runs(their_pid));
        assert_int_not_equal(faccessat(step_cgroup_fd(left), "cgroup.procs", F_OK, 0), 0);

        while (cgroup_kill_left(other, "4567", NULL) > 0) /* as one that stands beside ours */
                (void) poll(NULL, 0, 1);
        assert_int_equal(waitpid(their_pid, NULL, 0), their_pid);
        cgroup_pool_remove(dead, left);
        cgroup_pool_remove(other, theirs);
        cgroup_pool_free(dead);
        cgroup_pool_free(other);
        cgroup_pool_free(p);
}

/* The executor in a group that it may divide: what left its session and its environment, beside another step, is caught all the same. */
static void test_S5_2_executor_with_groups(void **state) {
        Outcome o, other;
        ExecJob *job;
        long pid;
        World w;

        need(state);
        world_open(&w, HOUR, LOG_MAX);
        job = world_launch(&w, (StepCommand) { .activity = "other", SCRIPT("exec sleep 1000") }, &other);
        run_script(&w, "env -i setsid -f sh -c 'echo $$ > escaped; exec sleep 1000'; grep -q step-[0-9a-f]*-[0-9] /proc/self/cgroup && "
                        "while ! test -s escaped; do sleep 0.01; done", &o);
        assert_int_equal(o.outcome, EXEC_EXITED);
        assert_int_equal(o.status, 0);
        pid = world_await_number(&w, "escaped");
        assert_false(process_runs(pid));
        w.executor->ops->stop(job);
        world_wait(&w, &other);
        outcome_free(&o);
        outcome_free(&other);
        for (unsigned i = 0; i < 20; i++) {
                run_script(&w, "exit 3", &o);
                assert_int_equal(o.status, 3);
                outcome_free(&o);
        }
        world_close(&w);
}

/* Frozen by itself, a step can still be ended, and the next one is not frozen with it. */
static void test_step_that_freezes_itself(void **state) {
        _cleanup_json_ Json *identity = NULL;
        _cleanup_free_ char *freeze = NULL, *script = NULL;
        Outcome o;
        ExecJob *job = NULL;
        World w;

        need(state);
        world_open(&w, 10 * USEC_PER_MSEC, LOG_MAX);
        script = xasprintf("echo 1 > freezing; echo 1 > %s$(sed -n s/^0:://p /proc/self/cgroup)/cgroup.freeze; sleep 1000",
                        root_directory());
        assert_ok(world_prepare(&w, (StepCommand) { SCRIPT(script) }, &o, &job));
        identity = w.executor->ops->identify(job);
        freeze = xasprintf("%s%s/cgroup.freeze", root_directory(), json_string(json_get(identity, "cgroup")));
        w.executor->ops->launch(job);
        for (_cleanup_free_ char *text = NULL; !text || text[0] != '1';) {
                free(text);
                text = NULL;
                assert_ok(read_file(AT_FDCWD, freeze, 64, false, &text, NULL));
                (void) poll(NULL, 0, 1);
        }
        w.executor->ops->stop(job);
        world_wait(&w, &o);
        assert_int_equal(o.outcome, EXEC_SIGNALED);
        outcome_free(&o);
        run_script(&w, "exit 3", &o);
        assert_int_equal(o.status, 3);
        outcome_free(&o);
        world_close(&w);
}

static void test_without_hierarchy_of_ours(void **state) {
        int fd = cgroup_open_memory_events();           /* there or not, never a crash */

        assert_true(fd >= 0 || fd == -ENOENT || fd == -EOPNOTSUPP);
        safe_close(fd);
        assert_int_equal(cgroup_kill_left(NULL, "0123", NULL), 0);
}

#define G(name) cmocka_unit_test_setup_teardown(name, setup_ground, teardown_ground)

static const struct CMUnitTest tests[] = {
        G(test_not_delegated), G(test_group), G(test_groups_below), G(test_kill_left), G(test_S5_2_executor_with_groups),
        G(test_step_that_freezes_itself),
        cmocka_unit_test(test_without_hierarchy_of_ours),
};

TEST_MAIN(tests)
