/* Whose orphans are whose. What the executor makes of it is tested with real steps in test-exec-process-left.c. */
#include "exec-test.h"

#include <poll.h>
#include <sys/prctl.h>

#include "process-tree.h"

static char mark_prefix[64], mark_a[80], mark_b[80];    /* of this process alone: others may run these tests too */

#define ALONE "echo"

/* A main process in a session of its own, with children as the script says; all is there when so many lines were written, and nothing else is
 * when the process has waited for what the script began in the foreground and says so too. */
static pid_t make_main_of(unsigned n_lines, const char *script, const char *mark) {
        char *env[] = { (char *) "PATH=/usr/bin:/bin", xasprintf("RUNBOOK_OUTPUT=%s", mark), NULL };
        char *argv[] = { (char *) "sh", (char *) "-c", xasprintf("%s; echo; exec sleep 1000", script), NULL };
        int ready[2];
        pid_t pid;
        char c;

        assert_ok(pipe2(ready, O_CLOEXEC));
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) setsid();
                (void) dup2(ready[1], 1);
                (void) execve("/bin/sh", argv, env);
                _exit(1);
        }
        (void) close(ready[1]);
        for (unsigned i = 0; i < n_lines + 1; i++)
                assert_int_equal(read(ready[0], &c, 1), 1);
        (void) close(ready[0]);
        free(env[1]);
        free(argv[2]);
        return pid;
}

static pid_t make_main(const char *script, const char *mark) {
        return make_main_of(1, script, mark);
}

static void end_main(pid_t pid) {
        siginfo_t info;

        assert_ok(kill(pid, SIGKILL));
        assert_ok(waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT));
}

static void kill_rest(ProcessTree *t, ProcessGroup *g) {
        while (process_tree_left(t, g)) {
                process_tree_signal(t, g, SIGKILL);
                (void) poll(NULL, 0, 1);
        }
}

static void remove_group(ProcessTree *t, ProcessGroup *g) {
        process_tree_remove(t, g);
        assert_int_equal(waitpid(g->pid, NULL, 0), g->pid);
}

static int setup_tree(void **state) {
        ProcessTree *t = NULL;

        assert_ok(process_tree_new(mark_prefix, &t));
        *state = t;
        return 0;
}

static int teardown_tree(void **state) {
        process_tree_free(*state);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        return 0;
}

static void test_nothing_left(void **state) {
        ProcessTree *t = *state;
        ProcessGroup g = { .mark = mark_a };

        g.pid = make_main(ALONE, g.mark);
        assert_ok(process_tree_add(t, &g));
        process_tree_launched(t, &g);
        assert_false(process_tree_left(t, &g));
        end_main(g.pid);
        assert_false(process_tree_left(t, &g));
        remove_group(t, &g);
}

/* It executes nothing else afterwards: while it does, nothing can be told of it. */
#define ORPHAN "sh -c 'echo; while :; do sleep 1000; done'"

/* One orphan of each kind, and one group that must not be blamed for it. */
static void check_orphan(ProcessTree *t, const char *script, bool known) {
        ProcessGroup g = { .mark = mark_a }, other = { .mark = mark_b };

        other.pid = make_main(ALONE, other.mark);
        assert_ok(process_tree_add(t, &other));
        process_tree_launched(t, &other);
        g.pid = make_main(script, g.mark);
        assert_ok(process_tree_add(t, &g));
        process_tree_launched(t, &g);
        end_main(g.pid);
        assert_int_equal(process_tree_left(t, &g), known);
        assert_false(process_tree_left(t, &other));
        kill_rest(t, &g);
        end_main(other.pid);
        remove_group(t, &g);
        kill_rest(t, &other);                           /* the only one now: what nobody knows is its */
        remove_group(t, &other);
}

static void test_orphan_in_the_session(void **state) {
        check_orphan(*state, "env -i sh -c 'echo; exec sleep 1000' & true", true);
}

static void test_orphan_with_the_mark(void **state) {
        check_orphan(*state, "setsid -f " ORPHAN, true);
}

static void test_orphan_with_neither(void **state) {
        check_orphan(*state, "env -i setsid -f " ORPHAN, false);
}

static void test_orphan_with_another_mark(void **state) {
        check_orphan(*state, "RUNBOOK_OUTPUT=${RUNBOOK_OUTPUT}x setsid -f " ORPHAN, false);
}

#define ECHO_FIRST "sh -c \"echo; exec sleep 1000\""

/* Below an orphan whatever it started is the step's too. */
static void test_signal_reaches_descendants(void **state) {
        ProcessTree *t = *state;
        ProcessGroup g = { .mark = mark_a };

        g.pid = make_main_of(4, "setsid -f sh -c 'env -i setsid " ECHO_FIRST " & echo; exec sleep 1000'; "
                              "setsid sh -c 'setsid " ECHO_FIRST " & echo; exec sleep 1000' & true", g.mark);
        assert_ok(process_tree_add(t, &g));
        process_tree_launched(t, &g);
        process_tree_signal(t, &g, SIGTERM);
        end_main(g.pid);
        while (process_tree_left(t, &g))                /* ends without SIGKILL */
                (void) poll(NULL, 0, 1);
        remove_group(t, &g);
}

/* An orphan that was not there, or could not be told, gets its SIGTERM later; one that has had it no second one. */
static void test_remind(void **state) {
        ProcessTree *t = *state;
        ProcessGroup g = { .mark = mark_a };

        g.pid = make_main("setsid -f sh -c 'trap \"n=\\$((n+1)); test \\$n -lt 2 || exit\" TERM; echo; while :; do sleep 0.001; done'",
                        g.mark);
        assert_ok(process_tree_add(t, &g));
        process_tree_launched(t, &g);
        end_main(g.pid);
        for (unsigned i = 0; i < 50; i++) {
                process_tree_remind(t, &g);
                assert_true(process_tree_left(t, &g));
                (void) poll(NULL, 0, 1);
        }
        assert_int_equal(g.n_told, 1);
        process_tree_signal(t, &g, SIGTERM);            /* the second one */
        while (process_tree_left(t, &g))
                (void) poll(NULL, 0, 1);
        remove_group(t, &g);
}

/* One that leaves its parent and its session again and again is never out of sight, and is caught. */
static void test_hopping_orphan(void **state) {
        ProcessTree *t = *state;
        ProcessGroup g = { .mark = mark_a };

        g.pid = make_main("export n=0 HOP='n=$((n+1)); test $n -gt 9999 || setsid -f sh -c \"$HOP\"'; setsid -f sh -c \"$HOP\"; echo",
                        g.mark);
        assert_ok(process_tree_add(t, &g));
        process_tree_launched(t, &g);
        end_main(g.pid);
        for (unsigned i = 0; i < 500; i++)
                assert_true(process_tree_left(t, &g));
        kill_rest(t, &g);
        assert_false(process_tree_left(t, &g));
        remove_group(t, &g);
}

/* Before the group is launched nothing can be its. */
static void test_prepared_group_has_no_orphans(void **state) {
        ProcessTree *t = *state;
        ProcessGroup g = { .mark = mark_a }, prepared = { .mark = mark_b };

        g.pid = make_main("env -i setsid -f " ORPHAN, g.mark);
        prepared.pid = make_main(ALONE, prepared.mark);
        assert_ok(process_tree_add(t, &g));
        assert_ok(process_tree_add(t, &prepared));
        process_tree_launched(t, &g);
        assert_false(process_tree_left(t, &prepared));
        end_main(g.pid);
        assert_true(process_tree_left(t, &g));
        kill_rest(t, &g);
        remove_group(t, &g);
        end_main(prepared.pid);
        remove_group(t, &prepared);
}

/* More children than one read of the list gives. */
static void test_many_children(void **state) {
        ProcessTree *t = *state;
        ProcessGroup g = { .mark = mark_a };

        g.pid = make_main("i=0; while [ $i -lt 1500 ]; do sleep 1000 & i=$((i+1)); done; echo", g.mark);
        assert_ok(process_tree_add(t, &g));
        process_tree_launched(t, &g);
        end_main(g.pid);
        assert_true(process_tree_left(t, &g));
        kill_rest(t, &g);
        assert_false(process_tree_left(t, &g));
        remove_group(t, &g);
}

static void test_subreaper_is_given_back(void **state) {
        ProcessTree *t = NULL;
        int is = -1;

        assert_ok(process_tree_new(mark_prefix, &t));
        assert_ok(prctl(PR_GET_CHILD_SUBREAPER, &is));
        assert_int_equal(is, 1);
        process_tree_free(t);
        assert_ok(prctl(PR_GET_CHILD_SUBREAPER, &is));
        assert_int_equal(is, 0);
}

/* Who started us ignored SIGCHLD: exit status would be lost. */
static void test_ignored_sigchld(void **state) {
        ProcessTree *t = NULL;
        pid_t pid;

        assert_true(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
        assert_ok(process_tree_new(mark_prefix, &t));
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(7);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        process_tree_free(t);
}

/* The time for a clean-up is bounded: with none at all it says that something was left. */
static void test_clean_up_is_bounded(void **state) {
        pid_t pid = make_main(ALONE, mark_a);

        assert_int_equal(process_tree_clean_up(mark_prefix, "0123", NULL, NULL, 0), -EBUSY);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_ok(process_tree_clean_up(mark_prefix, "0123", NULL, NULL, 0));
}

static void test_boot_id(void **state) {
        _cleanup_free_ char *a = NULL, *b = NULL;

        assert_ok(boot_id_read(&a));
        assert_ok(boot_id_read(&b));
        assert_string_equal(a, b);
        assert_int_equal(strlen(a), 36);
}

#define P(name) cmocka_unit_test_setup_teardown(name, setup_tree, teardown_tree)

static const struct CMUnitTest tests[] = {
        P(test_nothing_left), P(test_orphan_in_the_session), P(test_orphan_with_the_mark), P(test_orphan_with_neither),
        P(test_orphan_with_another_mark),
        P(test_signal_reaches_descendants), P(test_remind), P(test_hopping_orphan), P(test_prepared_group_has_no_orphans),
        P(test_many_children), cmocka_unit_test(test_subreaper_is_given_back),
        cmocka_unit_test(test_ignored_sigchld), cmocka_unit_test(test_clean_up_is_bounded), cmocka_unit_test(test_boot_id),
};

int main(void) {
        (void) snprintf(mark_prefix, sizeof(mark_prefix), "/state/step/%d-", getpid());
        (void) snprintf(mark_a, sizeof(mark_a), "%sa", mark_prefix);
        (void) snprintf(mark_b, sizeof(mark_b), "%sb", mark_prefix);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
