/* Nothing of a step is left behind: when it is stopped, when it ends, when the executor goes, and after the daemon was killed. */
#include "exec-test.h"

/* ---- nothing left behind ------------------------------------------------------------------------------------------------------------- */

/* Rule 9 of section 5: SIGTERM to all of it. */
static void test_stop(void **state) {
        World *w = *state;
        long child;
        ExecJob *job;
        Outcome o;

        job = world_launch(w, (StepCommand) { SCRIPT("sh -c 'echo $$ > child; exec sleep 1000' & wait") }, &o);
        child = world_await_number(w, "child");
        w->executor->ops->stop(job);
        assert_int_equal(o.n_done, 0);
        world_wait(w, &o);
        assert_int_equal(o.outcome, EXEC_SIGNALED);
        assert_int_equal(o.status, SIGTERM);
        assert_false(process_runs(child));
        outcome_free(&o);
}

static void test_stop_reaches_stopped_processes(void **state) {
        World *w = *state;
        ExecJob *job;
        Outcome o;

        job = world_launch(w, (StepCommand) { SCRIPT("sh -c 'echo $$ > child; kill -STOP $$' & setsid sh -c 'echo $$ > other; kill -STOP "
                        "$$' & wait") }, &o);
        (void) world_await_number(w, "child");
        (void) world_await_number(w, "other");
        w->executor->ops->stop(job);
        world_wait(w, &o);                              /* with a grace of an hour */
        assert_int_equal(o.status, SIGTERM);
        outcome_free(&o);
}

/* A step that cleans up on SIGTERM has its grace for that. */
static void test_stop_leaves_grace(void **state) {
        World *w = *state;
        ExecJob *job;
        Outcome o;

        job = world_launch(w, (StepCommand) { SCRIPT("trap 'echo 1 > cleaned; exit 3' TERM; echo 1 > ready; while :; do sleep 0.01; "
                        "done") }, &o);
        (void) world_await_number(w, "ready");
        w->executor->ops->stop(job);
        world_wait(w, &o);
        assert_int_equal(o.outcome, EXEC_EXITED);
        assert_int_equal(o.status, 3);
        assert_int_equal(world_await_number(w, "cleaned"), 1);
        outcome_free(&o);
}

#define STUBBORN                                                                                                                        \
        "trap '' TERM INT HUP; sh -c 'echo $$ > child; exec sleep 1000' & setsid sh -c 'echo $$ > other; exec sleep 1000' & "           \
        "echo 1 > ready; while :; do sleep 1000; done"

static void check_stubborn(World *w, unsigned n_stops) {
        long child, other;
        ExecJob *job;
        Outcome o;

        job = world_launch(w, (StepCommand) { SCRIPT(STUBBORN) }, &o);
        child = world_await_number(w, "child");
        other = world_await_number(w, "other");
        (void) world_await_number(w, "ready");
        while (n_stops-- > 0)
                w->executor->ops->stop(job);
        world_wait(w, &o);
        assert_int_equal(o.outcome, EXEC_SIGNALED);
        assert_int_equal(o.status, SIGKILL);
        assert_false(process_runs(child));
        assert_false(process_runs(other));
        outcome_free(&o);
}

static void test_stop_kills_a_tree_that_ignores_it(void **state) {
        check_stubborn(*state, 1);
}

static void test_second_stop_leaves_no_grace(void **state) {
        check_stubborn(*state, 2);                      /* the grace is an hour */
}

/* S5.2: a grandchild that left its parent and its session does not outlive the step, whose result is that of its main process. */
static void test_S5_2_double_forked_grandchild(void **state) {
        World *w = *state;
        long pid;
        Outcome o;

        run_script(w, "setsid -f sh -c 'setsid -f sh -c \"echo \\$\\$ > escaped; exec sleep 1000\"'; while ! test -s escaped; do sleep "
                        "0.01; done; exit 5", &o);
        assert_int_equal(o.outcome, EXEC_EXITED);
        assert_int_equal(o.status, 5);
        pid = world_await_number(w, "escaped");
        assert_false(process_runs(pid));
        outcome_free(&o);
}

static void test_left_over_that_ignores_sigterm(void **state) {
        World *w = *state;
        Outcome o;

        run_script(w, "setsid -f sh -c 'trap \"\" TERM; echo $$ > escaped; while :; do sleep 1000; done'; while ! test -s escaped; do "
                        "sleep 0.01; done", &o);
        assert_int_equal(o.outcome, EXEC_EXITED);
        assert_false(process_runs(world_await_number(w, "escaped")));
        outcome_free(&o);
}

/* Left its session and its environment: known by being the only one's that is there. */
static void test_S5_2_grandchild_without_environment(void **state) {
        World *w = *state;
        Outcome o;

        run_script(w, "env -i setsid -f sh -c 'echo $$ > escaped; exec sleep 1000'; while ! test -s escaped; do sleep 0.01; done", &o);
        assert_int_equal(o.outcome, EXEC_EXITED);
        assert_false(process_runs(world_await_number(w, "escaped")));
        outcome_free(&o);
}

/* One that can't be told to be whose it is waits until the last step is over; one that can is left to the step that is running. */
static void test_parallel_steps_and_orphans(void **state) {
        World *w = *state;
        long unknown, others;
        Outcome o, other;
        ExecJob *job;

        job = world_launch(w, (StepCommand) { .activity = "other", SCRIPT("setsid -f sh -c 'echo $$ > others; exec sleep 1000'; exec "
                        "sleep 1000") }, &other);
        others = world_await_number(w, "others");
        run_script(w, "env -i setsid -f sh -c 'echo $$ > unknown; exec sleep 1000'; while ! test -s unknown; do sleep 0.01; done", &o);
        unknown = world_await_number(w, "unknown");
        assert_true(process_runs(unknown));
        assert_true(process_runs(others));
        w->executor->ops->stop(job);
        world_wait(w, &other);
        assert_false(process_runs(unknown));
        assert_false(process_runs(others));
        outcome_free(&o);
        outcome_free(&other);
}

/* Children that other parts of the program have are neither killed nor reaped. */
static void test_other_children_are_left_alone(void **state) {
        World *w = *state;
        pid_t sleeper, ended;
        Outcome o;
        int status;

        sleeper = fork();
        assert_true(sleeper >= 0);
        if (sleeper == 0) {
                (void) execl("/bin/sleep", "sleep", "1000", NULL);
                _exit(1);
        }
        ended = fork();
        assert_true(ended >= 0);
        if (ended == 0)
                _exit(9);
        run_script(w, "setsid -f sleep 1000", &o);
        assert_int_equal(waitpid(sleeper, &status, WNOHANG), 0);
        assert_int_equal(waitpid(ended, &status, 0), ended);
        assert_int_equal(WEXITSTATUS(status), 9);
        assert_ok(kill(sleeper, SIGKILL));
        assert_int_equal(waitpid(sleeper, &status, 0), sleeper);
        outcome_free(&o);
}

/* Orphans that end while their step goes on don't stay as zombies. */
static void test_orphans_are_reaped(void **state) {
        World *w = *state;
        Outcome o;
        ExecJob *job;
        long pid;

        job = world_launch(w, (StepCommand) { SCRIPT("setsid -f sh -c 'echo $$ > orphan'; exec sleep 1000") }, &o);
        pid = world_await_number(w, "orphan");
        while (kill((pid_t) pid, 0) >= 0)
                assert_true(sd_event_run(w->event, 10000) >= 0);
        w->executor->ops->stop(job);
        world_wait(w, &o);
        outcome_free(&o);
}

/* ---- the executor's own end ---------------------------------------------------------------------------------------------------------- */

static void test_free_kills(void **state) {
        Outcome running, prepared, over;
        World *w = *state;
        ExecJob *job;
        long child, other;

        (void) world_launch(w, (StepCommand) { SCRIPT(STUBBORN), .activity = "a" }, &running);
        child = world_await_number(w, "child");
        other = world_await_number(w, "other");
        assert_ok(world_prepare(w, (StepCommand) { SCRIPT("echo 1 > made"), .activity = "b" }, &prepared, &job));
        (void) world_launch(w, (StepCommand) { SCRIPT("setsid -f sleep 1000"), .activity = "c" }, &over);
        w->executor = w->executor->ops->free(w->executor);
        assert_null(w->executor);
        assert_int_equal(running.n_done + prepared.n_done + over.n_done, 0);
        assert_false(process_runs(child));
        assert_false(process_runs(other));
        assert_null(workspace_read(w, "made"));
}

static void test_no_descriptors_leak(void **state) {
        unsigned before = count_fds(), between;
        World w;
        Outcome o;

        world_open(&w, HOUR, LOG_MAX);
        run_script(&w, "true", &o);
        between = count_fds();
        for (unsigned i = 0; i < 30; i++) {
                char *no_such[] = { (char *) "no-such-program", NULL };
                ExecJob *job;

                outcome_free(&o);
                world_run(&w, (StepCommand) { SCRIPT("echo a=1 > $RUNBOOK_OUTPUT; echo x; setsid -f sleep 1000"), .capture_stdout = true },
                                &o);
                outcome_free(&o);
                assert_int_equal(world_prepare(&w, (StepCommand) { .argv = no_such }, &o, &job), -ENOENT);
        }
        assert_int_equal(count_fds(), between);
        world_close(&w);
        assert_int_equal(count_fds(), before);
}

/* ---- after the daemon was killed ----------------------------------------------------------------------------------------------------- */

typedef struct Remains {
        long main, marked, in_session;
        char identity[256];
} Remains;

#define REMAINS                                                                                                                         \
        "setsid -f sh -c 'trap \"\" TERM; echo $$ > marked; while :; do sleep 1000; done'; "                                            \
        "env -i sh -c 'echo $$ > session; exec sleep 1000' & echo $$ > main; wait"

/* A daemon that is killed while its step runs. */
static void doomed_daemon(World *w) {
        _cleanup_json_ Json *identity = NULL;
        _cleanup_free_ char *text = NULL;
        ExecJob *job = NULL;
        Outcome o;

        assert_ok(sd_event_new(&w->event));
        world_open_executor(w);
        assert_ok(world_prepare(w, (StepCommand) { SCRIPT(REMAINS) }, &o, &job));
        identity = w->executor->ops->identify(job);
        text = json_to_string(identity, false);
        make_file(w, "identity", text, 0600);
        w->executor->ops->launch(job);
        (void) world_await_number(w, "marked");
        (void) world_await_number(w, "session");
        (void) world_await_number(w, "main");
        (void) kill(getpid(), SIGKILL);
}

static void leave_remains(World *w, Remains *ret) {
        _cleanup_free_ char *identity = NULL;
        pid_t pid;
        int status;

        *w = (World) { .options = { .kill_grace = HOUR, .log_max = LOG_MAX } };
        make_state(w->state, w->store_id);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                doomed_daemon(w);
                _exit(1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_ok(sd_event_new(&w->event));
        world_open_executor(w);
        identity = workspace_read(w, "identity");
        *ret = (Remains) {
                .main = world_await_number(w, "main"),
                .marked = world_await_number(w, "marked"),
                .in_session = world_await_number(w, "session"),
        };
        (void) snprintf(ret->identity, sizeof(ret->identity), "[%s]", identity);
}

/* Section 13: what is left of earlier steps is killed, by the mark in its environment and by its session; the main process dies with the
 * daemon. */
static void test_S5_2_clean_up(void **state) {
        _cleanup_json_ Json *identities = NULL;
        Remains r;
        Outcome o;
        World w;

        leave_remains(&w, &r);
        assert_true(process_runs(r.marked));
        assert_true(process_runs(r.in_session));
        assert_ok(json_parse(r.identity, strlen(r.identity), &identities));
        assert_ok(w.executor->ops->clean_up(w.executor, identities));
        assert_false(process_runs(r.main));
        assert_false(process_runs(r.marked));
        assert_false(process_runs(r.in_session));
        assert_ok(w.executor->ops->clean_up(w.executor, identities));
        run_script(&w, "exit 4", &o);                   /* and it goes on */
        assert_int_equal(o.status, 4);
        outcome_free(&o);
        world_close(&w);
}

/* Another store's processes are not touched, nor is a session whose number was noted in another life of the machine. */
static void test_clean_up_leaves_others_alone(void **state) {
        static const char *const forged[] = {
                "[{\"pid\": 1, \"start\": 0}]",
                "[{\"pid\": 0}, {\"pid\": -1}, {}, null, 7, \"x\"]",
                "[{\"cgroup\": \"/\"}, {\"cgroup\": \"/../step-x\"}, {\"cgroup\": \"relative\"}, {\"cgroup\": \"\"}]",
        };
        _cleanup_free_ char *other_boot = NULL, *later = NULL;
        _cleanup_json_ Json *identity = NULL;
        World ours, theirs;
        Remains r;

        leave_remains(&theirs, &r);
        world_open(&ours, HOUR, LOG_MAX);
        assert_ok(json_parse(r.identity, strlen(r.identity), &identity));
        other_boot = xasprintf("[{\"pid\": %" PRId64 ", \"start\": 0, \"boot\": \"00000000-0000-0000-0000-000000000000\"}]",
                        json_int(json_get(json_at(identity, 0), "pid")));
        later = xasprintf("[{\"pid\": %" PRId64 ", \"start\": %" PRId64 ", \"boot\": \"%s\"}]",
                          json_int(json_get(json_at(identity, 0), "pid")),
                          json_int(json_get(json_at(identity, 0), "start")) + 100000, json_string(json_get(json_at(identity, 0), "boot")));
        const char *const all[] = { forged[0], forged[1], forged[2], other_boot, later };
        for (size_t i = 0; i < ELEMENTSOF(all); i++) {
                _cleanup_json_ Json *j = NULL;

                assert_ok(json_parse(all[i], strlen(all[i]), &j));
                assert_ok(ours.executor->ops->clean_up(ours.executor, j));
                assert_true(process_runs(r.marked));
                assert_true(process_runs(r.in_session));
        }
        assert_ok(theirs.executor->ops->clean_up(theirs.executor, identity));
        assert_false(process_runs(r.marked));
        world_close(&theirs);
        world_close(&ours);
}

/* Files that a dead step left are removed with it. */
static void test_clean_up_removes_files(void **state) {
        _cleanup_free_ char *mine = NULL, *others = NULL;
        World *w = *state;

        mine = xasprintf("../../../step/%s-1-act-a1-s1.output", w->store_id);
        others = strdup("../../../step/0123-1-act-a1-s1.output");
        make_file(w, mine, "x", 0600);
        make_file(w, others, "x", 0600);
        assert_ok(w->executor->ops->clean_up(w->executor, NULL));
        assert_null(workspace_read(w, mine));
        char *left = workspace_read(w, others);
        assert_non_null(left);
        free(left);
}


static const struct CMUnitTest tests[] = {
        T(test_stop), T(test_stop_reaches_stopped_processes), T(test_stop_leaves_grace), T_SHORT(test_stop_kills_a_tree_that_ignores_it),
        T(test_second_stop_leaves_no_grace), T(test_S5_2_double_forked_grandchild), T_SHORT(test_left_over_that_ignores_sigterm),
        T(test_S5_2_grandchild_without_environment), T(test_parallel_steps_and_orphans), T(test_other_children_are_left_alone),
        T(test_orphans_are_reaped), T(test_free_kills), cmocka_unit_test(test_no_descriptors_leak), cmocka_unit_test(test_S5_2_clean_up),
        cmocka_unit_test(test_clean_up_leaves_others_alone), T(test_clean_up_removes_files),
};

TEST_MAIN(tests)
