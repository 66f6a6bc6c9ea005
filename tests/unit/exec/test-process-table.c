/* What /proc says. */
#include "exec-test.h"

#include <sys/prctl.h>

static void test_read_self(void **state) {
        Process p;

        assert_ok(process_read(getpid(), &p));
        assert_int_equal(p.pid, getpid());
        assert_int_equal(p.parent, getppid());
        assert_int_equal(p.group, getpgrp());
        assert_int_equal(p.session, getsid(0));
        assert_true(p.start > 0);
        assert_false(p.dead);
        assert_false(p.kernel);
        assert_false(p.marked);
}

static void test_names_with_parentheses(void **state) {
        char name[16];
        Process p;

        assert_ok(prctl(PR_GET_NAME, name));
        assert_ok(prctl(PR_SET_NAME, "a) Z 1 (\n x"));
        assert_ok(process_read(getpid(), &p));
        assert_int_equal(p.parent, getppid());
        assert_false(p.dead);
        assert_ok(prctl(PR_SET_NAME, name));
}

static pid_t make_child(void) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                (void) setsid();
                (void) execl("/bin/sleep", "sleep", "1000", NULL);
                _exit(1);
        }
        return pid;
}

static void test_dead(void **state) {
        pid_t pid = make_child();
        siginfo_t info;
        Process p;

        assert_ok(process_read(pid, &p));
        assert_false(p.dead);
        assert_ok(kill(pid, SIGKILL));
        assert_ok(waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT));
        assert_ok(process_read(pid, &p));
        assert_true(p.dead);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(process_read(pid, &p), -ESRCH);
}

static void test_table(void **state) {
        _cleanup_process_table_ ProcessTable t = { 0 };
        pid_t pid = make_child();
        const Process *p;

        assert_ok(process_table_read(&t));
        for (size_t i = 1; i < t.n; i++)
                assert_true(t.items[i - 1].pid < t.items[i].pid);
        p = process_table_find(&t, pid);
        assert_non_null(p);
        assert_int_equal(p->parent, getpid());
        assert_non_null(process_table_find(&t, 1));
        assert_null(process_table_find(&t, 0));
        assert_ok(kill(pid, SIGKILL));
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A table whose pids have wrapped: children before parents. */
static void test_mark_descendants(void **state) {
        Process items[] = {
                { .pid = 2, .parent = 9 }, { .pid = 3, .parent = 2 }, { .pid = 4, .parent = 1 }, { .pid = 9, .parent = 20 }, 
                { .pid = 20, .parent = 1, .marked = true },
                { .pid = 21, .parent = 4 }, { .pid = 30, .parent = 3 },
        };
        const ProcessTable none = { 0 };
        ProcessTable t = { .items = items, .n = ELEMENTSOF(items) }, empty = none;

        process_table_mark_descendants(&t);
        assert_true(items[0].marked && items[1].marked && items[3].marked && items[4].marked && items[6].marked);
        assert_false(items[2].marked || items[5].marked);
        process_table_mark_descendants(&empty);
        assert_null(process_table_find(&empty, 1));
}

static void test_signal(void **state) {
        pid_t pid = make_child();
        Process p, other;
        int fd = -1, status;

        assert_ok(process_read(pid, &p));
        other = p;
        other.start++;                                  /* one that had the pid before */
        assert_int_equal(process_signal(&other, SIGKILL, &fd), -ESRCH);
        assert_int_equal(fd, -1);
        assert_true(process_runs(pid));
        assert_ok(process_signal(&p, SIGTERM, &fd));
        assert_true(fd >= 0);
        (void) close(fd);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WTERMSIG(status), SIGTERM);
        assert_int_equal(process_signal(&p, SIGKILL, NULL), -ESRCH);
}

static void test_environment(void **state) {
        char *argv[] = { (char *) "sleep", (char *) "1000", NULL }, *env[] = { (char *) "AB=1", (char *) "A=x=y", (char *) "EMPTY=", NULL };
        char *value = NULL;
        int pipe_fds[2];
        pid_t pid;
        char c;

        assert_ok(pipe2(pipe_fds, O_CLOEXEC));
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) execve("/bin/sleep", argv, env);
                _exit(1);
        }
        (void) close(pipe_fds[1]);
        assert_int_equal(read(pipe_fds[0], &c, 1), 0);  /* closed by the exec */
        (void) close(pipe_fds[0]);
        assert_ok(process_environment(pid, "A", &value));
        assert_string_equal(value, "x=y");
        free(value);
        assert_ok(process_environment(pid, "EMPTY", &value));
        assert_string_equal(value, "");
        free(value);
        assert_int_equal(process_environment(pid, "B", &value), -ENXIO);
        assert_ok(kill(pid, SIGKILL));
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(process_environment(pid, "A", &value), -ESRCH);
}

/* In the middle of an exec there is no environment to be seen, which is not the same as one without the variable. */
static void test_environment_while_executing(void **state) {
        char *argv[] = { (char *) "sh", (char *) "-c", (char *) "exec sh -c \"$0\" \"$0\"", (char *) "exec sh -c \"$0\" \"$0\"", NULL };
        char *env[] = { (char *) "MARK=x", NULL };
        unsigned n_found = 0;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) execve("/bin/sh", argv, env);
                _exit(1);
        }
        while (n_found < 2000) {
                char *value = NULL;
                int r = process_environment(pid, "MARK", &value);

                if (n_found == 0 && r == -ENXIO)
                        continue;                       /* before its first exec it has ours */
                assert_true(r == 0 || r == -EAGAIN);
                n_found += r == 0;
                free(value);
        }
        assert_ok(kill(pid, SIGKILL));
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_self), cmocka_unit_test(test_names_with_parentheses), cmocka_unit_test(test_dead),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_mark_descendants), cmocka_unit_test(test_signal), cmocka_unit_test(test_environment),
        cmocka_unit_test(test_environment_while_executing),
};

TEST_MAIN(tests)
