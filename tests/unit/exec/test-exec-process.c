/* The process executor as the engine sees it: real children, run to their end. What is left of them is the subject of
 * test-exec-process-left.c. */
#include "exec-test.h"

#include <sys/resource.h>

#include "step-env.h"
#include "strbuf.h"

#define N_PARALLEL 200

/* ---- how steps end ------------------------------------------------------------------------------------------------------------------- */

static void test_exit_codes(void **state) {
        static const int codes[] = { 0, 1, 7, 127, 255 };

        for (size_t i = 0; i < ELEMENTSOF(codes); i++) {
                _cleanup_free_ char *script = xasprintf("exit %d", codes[i]);
                Outcome o;

                run_script(*state, script, &o);
                assert_int_equal(o.outcome, EXEC_EXITED);
                assert_int_equal(o.status, codes[i]);
                assert_null(o.message);
                assert_null(o.outputs);
                assert_null(o.outputs_error);
                assert_null(o.stdout_tail);
                outcome_free(&o);
        }
}

static void test_signals(void **state) {
        static const int signals[] = { SIGTERM, SIGKILL, SIGSEGV, SIGPIPE };

        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                _cleanup_free_ char *script = xasprintf("ulimit -c 0; kill -%d $$", signals[i]);
                Outcome o;

                run_script(*state, script, &o);
                assert_int_equal(o.outcome, EXEC_SIGNALED);
                assert_int_equal(o.status, signals[i]);
                outcome_free(&o);
        }
}

static void test_usage(void **state) {
        Outcome o;

        run_script(*state, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done", &o);
        assert_true(o.cpu > 0);
        assert_true(o.cpu < HOUR);
        outcome_free(&o);
}

static void test_program_not_found(void **state) {
        char *no_such[] = { (char *) "no-such-program-anywhere", NULL };
        ExecJob *job = NULL;
        Outcome o;

        assert_int_equal(world_prepare(*state, (StepCommand) { .argv = no_such }, &o, &job), -ENOENT);
        assert_null(job);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child was made */
}

static void check_start_failure(World *w, const char *program, const char *directory, int error, const char *named) {
        char *argv[] = { (char *) program, NULL };
        Outcome o;

        world_run(w, (StepCommand) { .argv = argv, .working_directory = directory }, &o);
        assert_int_equal(o.outcome, EXEC_START_FAILED);
        assert_int_equal(o.status, error);
        assert_non_null(o.message);
        assert_non_null(strstr(o.message, named));
        outcome_free(&o);
}

static void test_start_failures(void **state) {
        World *w = *state;

        make_file(w, "not-executable", "#!/bin/sh\n", 0644);
        make_file(w, "no-format", "echo\n", 0755);
        make_file(w, "no-interpreter", "#!/no/such/interpreter\n", 0755);
        check_start_failure(w, "./none", NULL, ENOENT, "./none");
        check_start_failure(w, "/no/such/program", NULL, ENOENT, "/no/such/program");
        check_start_failure(w, "./not-executable", NULL, EACCES, "./not-executable");
        check_start_failure(w, "./no-format", NULL, ENOEXEC, "./no-format");
        check_start_failure(w, "./no-interpreter", NULL, ENOENT, "./no-interpreter");
        check_start_failure(w, "/bin/true", "missing/directory", ENOENT, "missing/directory");
        check_start_failure(w, "/bin/true", "no-format", ENOTDIR, "no-format");
}

static void test_argument_too_long(void **state) {
        _cleanup_free_ char *big = malloc(140 * 1024);
        char *argv[] = { (char *) "/bin/true", big, NULL };
        Outcome o;

        memset(big, 'x', 140 * 1024);
        big[140 * 1024 - 1] = 0;
        world_run(*state, (StepCommand) { .argv = argv }, &o);
        assert_int_equal(o.outcome, EXEC_START_FAILED);
        assert_int_equal(o.status, E2BIG);
        outcome_free(&o);
}

static void test_bad_commands(void **state) {
        static const char *const bad_names[] = { "", ".", "..", "a/b", "../x" };
        char *none[] = { NULL };
        ExecJob *job;
        Outcome o;

        assert_int_equal(world_prepare(*state, (StepCommand) { 0 }, &o, &job), -EINVAL);
        assert_int_equal(world_prepare(*state, (StepCommand) { .argv = none }, &o, &job), -EINVAL);
        for (size_t i = 0; i < ELEMENTSOF(bad_names); i++) {
                assert_int_equal(world_prepare(*state, (StepCommand) { SCRIPT("true"), .activity = bad_names[i] }, &o, &job), -EINVAL);
                assert_int_equal(world_prepare(*state, (StepCommand) { SCRIPT("true"), .step_key = bad_names[i] }, &o, &job), -EINVAL);
        }
}

/* ---- what steps get ------------------------------------------------------------------------------------------------------------------ */

static int compare_lines(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static char *sorted_lines(char *text) {
        char *lines[64], *saved = NULL;
        StrBuf b = { 0 };
        size_t n = 0;

        for (char *s = strtok_r(text, "\n", &saved); s && n < ELEMENTSOF(lines); s = strtok_r(NULL, "\n", &saved))
                lines[n++] = s;
        qsort(lines, n, sizeof(lines[0]), compare_lines);
        for (size_t i = 0; i < n; i++)
                strbuf_appendf(&b, "%s\n", lines[i]);
        return strbuf_take(&b);
}

/* Exactly this and nothing of ours. */
static void test_environment(void **state) {
        char *argv[] = { (char *) "env", NULL };
        char *env[] = { (char *) "GREETING=hello", (char *) "LANG=de_DE.UTF-8", (char *) "RUNBOOK_RUN=99",
                        (char *) "RUNBOOK_EXPR_0=; rm -rf /",
                        (char *) "HOME=/home/x", (char *) "USER=x", (char *) "LOGNAME=x", (char *) "SHELL=/bin/x", NULL };
        _cleanup_free_ char *log = NULL, *got = NULL, *expected = NULL;
        World *w = *state;
        Outcome o;

        (void) setenv("OURS", "must not be inherited", 1);
        world_run(w, (StepCommand) { .argv = argv, .env = env, .runbook = "ship", .step = "pre:1", .step_key = "pre1" }, &o);
        assert_int_equal(o.outcome, EXEC_EXITED);
        assert_int_equal(o.status, 0);
        log = world_log(w);
        got = sorted_lines(log);
        expected = xasprintf("GREETING=hello\nHOME=/home/x\nLANG=de_DE.UTF-8\nLOGNAME=x\nPATH=" STEP_DEFAULT_PATH "\n"
                             "RUNBOOK_ACTIVITY=act\nRUNBOOK_ATTEMPT=1\n"
                             "RUNBOOK_ERROR=%s/step/%s-1-act-a1-spre1.error\nRUNBOOK_EXPR_0=; rm -rf /\nRUNBOOK_NAME=ship\n"
                             "RUNBOOK_OUTPUT=%s/step/%s-1-act-a1-spre1.output\nRUNBOOK_RUN=1\nRUNBOOK_STEP=pre:1\n"
                             "RUNBOOK_WORKSPACE=%s/work/1/workspace\n"
                             "SHELL=/bin/x\nTMPDIR=%s/work/1/tmp\nUSER=x\n",
                             w->state, w->store_id, w->state, w->store_id, w->state, w->state);
        assert_string_equal(got, expected);
        outcome_free(&o);
}

static void test_nothing_inherited(void **state) {
        char *argv[] = { (char *) HELPER, (char *) "descriptors", NULL };
        _cleanup_free_ char *log = NULL;
        int leak = open("/dev/null", O_RDONLY);         /* not even one without close-on-exec */
        World *w = *state;
        Outcome o;

        assert_true(leak > 2);
        world_run(w, (StepCommand) { .argv = argv }, &o);
        log = world_log(w);
        assert_string_equal(log, "fd 0\nfd 1\nfd 2\n");
        (void) close(leak);
        outcome_free(&o);
}

static void on_signal(int sig) {
}

static void test_process_state(void **state) {
        char *argv[] = { (char *) HELPER, (char *) "state", NULL };
        _cleanup_free_ char *log = NULL, *expected = NULL;
        struct sigaction handler = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN }, old_usr1, old_pipe;
        struct rlimit original, raised;
        World *w = *state;
        mode_t mask = umask(077);
        sigset_t block, old;
        Outcome o;

        assert_ok(sigaction(SIGUSR1, &handler, &old_usr1));
        assert_ok(sigaction(SIGPIPE, &ignore, &old_pipe));
        (void) sigemptyset(&block);
        (void) sigaddset(&block, SIGTERM);
        (void) sigaddset(&block, SIGRTMIN);
        assert_ok(sigprocmask(SIG_BLOCK, &block, &old));
        assert_ok(getrlimit(RLIMIT_NOFILE, &original));
        raised = original;
        raised.rlim_cur = original.rlim_cur / 2;        /* changed after the executor was made */
        assert_ok(setrlimit(RLIMIT_NOFILE, &raised));

        world_run(w, (StepCommand) { .argv = argv }, &o);
        log = world_log(w);
        expected = xasprintf("blocked 0 changed 0 umask 022 leader 1 group 1 nofile %lu death %d\n", (unsigned long) original.rlim_cur,
                        SIGKILL);
        assert_string_equal(log, expected);

        assert_ok(setrlimit(RLIMIT_NOFILE, &original));
        assert_ok(sigprocmask(SIG_SETMASK, &old, NULL));
        assert_ok(sigaction(SIGUSR1, &old_usr1, NULL));
        assert_ok(sigaction(SIGPIPE, &old_pipe, NULL));
        (void) umask(mask);
        outcome_free(&o);
}

static void test_standard_input_is_empty(void **state) {
        Outcome o;

        run_script(*state, "test -z \"$(cat)\"", &o);
        assert_int_equal(o.status, 0);
        outcome_free(&o);
}

static void test_working_directory(void **state) {
        World *w = *state;
        Outcome o;

        run_script(w, "test \"$PWD\" = \"$RUNBOOK_WORKSPACE\" && test \"$(stat -c %a .)\" = 700 && mkdir sub && touch \"$TMPDIR/t\"", &o);
        assert_int_equal(o.status, 0);
        outcome_free(&o);
        world_run(w, (StepCommand) { SCRIPT("test \"$PWD\" = \"$RUNBOOK_WORKSPACE/sub\""), .working_directory = "sub" }, &o);
        assert_int_equal(o.status, 0);
        outcome_free(&o);
        world_run(w, (StepCommand) { SCRIPT("test \"$PWD\" = /usr"), .working_directory = "/usr" }, &o);
        assert_int_equal(o.status, 0);
        outcome_free(&o);
}

/* ---- what steps give ----------------------------------------------------------------------------------------------------------------- */

static void test_outputs(void **state) {
        World *w = *state;
        Outcome o;

        run_script(w, "echo a=1 > $RUNBOOK_OUTPUT; printf 'b<<E\\nx\\ny\\nE\\n' >> $RUNBOOK_OUTPUT; echo "
                        "'{\"message\":\"oops\",\"code\":\"MINE\",\"more\":1}' > $RUNBOOK_ERROR", &o);
        assert_string_equal(json_string(json_get(o.outputs, "a")), "1");
        assert_string_equal(json_string(json_get(o.outputs, "b")), "x\ny");
        assert_string_equal(json_string(json_get(o.error, "message")), "oops");
        assert_string_equal(json_string(json_get(o.error, "code")), "MINE");
        assert_false(json_has(o.error, "more"));
        assert_null(o.outputs_error);
        outcome_free(&o);
        run_script(w, "test -z \"$(ls $(dirname $RUNBOOK_OUTPUT))\"", &o); /* they are gone */
        assert_int_equal(o.status, 0);
        outcome_free(&o);
}

static void check_bad_output(World *w, const char *script, const char *expected) {
        Outcome o;

        run_script(w, script, &o);
        assert_int_equal(o.outcome, EXEC_EXITED);
        assert_int_equal(o.status, 0);
        assert_null(o.outputs);
        assert_null(o.error);
        assert_non_null(o.outputs_error);
        assert_non_null(strstr(o.outputs_error, expected));
        outcome_free(&o);
}

static void test_bad_outputs(void **state) {
        World *w = *state;

        check_bad_output(w, "printf 'a=1\\nnonsense\\n' > $RUNBOOK_OUTPUT", "line 2");
        check_bad_output(w, "head -c 262145 /dev/zero > $RUNBOOK_OUTPUT", "256 KiB");
        check_bad_output(w, "truncate -s 100G $RUNBOOK_OUTPUT", "256 KiB");
        check_bad_output(w, "ln -s /etc/hostname $RUNBOOK_OUTPUT", "regular file");
        check_bad_output(w, "mkdir $RUNBOOK_OUTPUT; touch $RUNBOOK_OUTPUT/x", "regular file");
        check_bad_output(w, "mkfifo $RUNBOOK_OUTPUT", "regular file");
        check_bad_output(w, "echo plain > $RUNBOOK_ERROR", "$RUNBOOK_ERROR");
        check_bad_output(w, "head -c 65537 /dev/zero > $RUNBOOK_ERROR", "64 KiB");
        check_bad_output(w, "echo '{\"code\":\"X\"}' > $RUNBOOK_ERROR", "message");
}

/* Whoever could be started is also read from, however many descriptors are in use meanwhile. */
static void test_outputs_without_descriptors(void **state) {
        struct rlimit original, lowered;
        int others[256];
        World *w = *state;
        size_t n = 0;
        Outcome o;

        (void) world_launch(w, (StepCommand) { SCRIPT("echo a=1 > $RUNBOOK_OUTPUT") }, &o);
        assert_ok(getrlimit(RLIMIT_NOFILE, &original));
        lowered = original;
        lowered.rlim_cur = MIN(original.rlim_cur, (rlim_t) ELEMENTSOF(others));
        assert_ok(setrlimit(RLIMIT_NOFILE, &lowered));
        while (n < ELEMENTSOF(others) && (others[n] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
                n++;
        world_wait(w, &o);
        while (n > 0)
                (void) close(others[--n]);
        assert_ok(setrlimit(RLIMIT_NOFILE, &original));
        assert_null(o.outputs_error);
        assert_string_equal(json_string(json_get(o.outputs, "a")), "1");
        outcome_free(&o);
}

/* What a step of the same name left before is not this one's. */
static void test_old_outputs_are_not_read(void **state) {
        World *w = *state;
        Outcome o;

        run_script(w, "echo stolen=1 > ${RUNBOOK_OUTPUT%s1.output}s2.output", &o);
        outcome_free(&o);
        run_script(w, "case $RUNBOOK_OUTPUT in *s2.output) ;; *) exit 1;; esac", &o);
        assert_int_equal(o.status, 0);
        assert_null(o.outputs);
        outcome_free(&o);
}

static void test_both_streams_share_the_log(void **state) {
        _cleanup_free_ char *log = NULL, *tail = NULL;
        World *w = *state;
        Outcome first, second;

        run_script(w, "echo one; echo two >&2; echo three", &first);
        assert_int_equal(first.log_end, 14);
        run_script(w, "echo four", &second);            /* the same attempt, so the same file */
        assert_int_equal(second.log_end, 19);
        log = world_log(w);
        assert_string_equal(log, "one\ntwo\nthree\nfour\n");
        assert_ok(exec_log_tail(w->state, 1, "act", 1, first.log_end, second.log_end, 100, &tail));
        assert_string_equal(tail, "four\n");
        outcome_free(&first);
        outcome_free(&second);
}

static void test_log_is_private(void **state) {
        _cleanup_free_ char *path = NULL;
        World *w = *state;
        struct stat st;
        Outcome o;

        run_script(w, "echo", &o);
        path = exec_log_path(w->state, 1, "act", 1);
        assert_ok(stat(path, &st));
        assert_int_equal(st.st_mode & 07777, 0600);
        outcome_free(&o);
}

static void test_captured_output(void **state) {
        _cleanup_free_ char *log = NULL;
        World *w = *state;
        Outcome o;

        world_run(w, (StepCommand) { SCRIPT("echo out; echo err >&2; printf 'bad \\377'"), .capture_stdout = true }, &o);
        assert_string_equal(o.stdout_tail, "out\nbad \xef\xbf\xbd");
        log = world_log(w);
        assert_string_equal(log, "err\nout\nbad \xef\xbf\xbd"); /* the log has all of it, standard output last */
        assert_int_equal(o.log_end, 4 + 4 + 5);
        outcome_free(&o);

        world_run(w, (StepCommand) { SCRIPT("true"), .capture_stdout = true }, &o);
        assert_string_equal(o.stdout_tail, "");
        outcome_free(&o);
}

/* Cap STEP_STDOUT_MAX: the last 64 KiB. */
static void test_captured_output_is_bounded(void **state) {
        Outcome o;

        world_run(*state, (StepCommand) { SCRIPT("seq 100000; echo end"), .capture_stdout = true }, &o);
        assert_int_equal(strlen(o.stdout_tail), 64 * 1024);
        assert_non_null(strstr(o.stdout_tail, "\n99999\n100000\nend\n"));
        outcome_free(&o);
}

static blkcnt_t log_blocks(const World *w) {
        _cleanup_free_ char *path = exec_log_path(w->state, 1, "act", 1);
        struct stat st;

        assert_ok(stat(path, &st));
        return st.st_blocks * 512;
}

/* S0.2: what is kept of a log that is too large is the newest. */
static void test_log_is_bounded_at_the_end(void **state) {
        _cleanup_free_ char *tail = NULL, *first = NULL;
        World *w = *state;
        Outcome before, o;

        run_script(w, "echo of another step", &before);
        run_script(w, "seq 500000; echo the end", &o);
        assert_true(o.log_end > 3 * 1024 * 1024);
        assert_true(log_blocks(w) <= LOG_MAX + 16 * 1024);
        assert_ok(exec_log_tail(w->state, 1, "act", 1, before.log_end, o.log_end, 1024 * 1024, &tail));
        assert_true(strlen(tail) >= LOG_MAX - 16);
        assert_true(strlen(tail) <= LOG_MAX + 16 * 1024);
        assert_int_equal(strtol(strchr(tail, '\n'), NULL, 10), strtol(tail, NULL, 10) + 1); /* it begins with a whole line */
        assert_non_null(strstr(tail, "\n500000\nthe end\n"));
        assert_ok(exec_log_tail(w->state, 1, "act", 1, 0, before.log_end, 1024, &first));
        assert_string_equal(first, "of another step\n"); /* not cut by its neighbour */
        outcome_free(&before);
        outcome_free(&o);
}

static void test_log_is_bounded_while_it_runs(void **state) {
        World *w = *state;
        ExecJob *job;
        Outcome o;

        job = world_launch(w, (StepCommand) { SCRIPT("seq 500000; echo 1 > written; exec sleep 1000") }, &o);
        assert_int_equal(world_await_number(w, "written"), 1);
        while (log_blocks(w) > LOG_MAX + 16 * 1024)     /* ends when the tick has come */
                assert_true(sd_event_run(w->event, UINT64_MAX) >= 0);
        assert_int_equal(o.n_done, 0);
        w->executor->ops->stop(job);
        world_wait(w, &o);
        outcome_free(&o);
}

/* ---- the barrier --------------------------------------------------------------------------------------------------------------------- */

static void test_abandon_never_runs(void **state) {
        World *w = *state;

        for (unsigned i = 0; i < 50; i++) {
                _cleanup_free_ char *made = NULL;
                ExecJob *job = NULL;
                Outcome o;

                assert_ok(world_prepare(w, (StepCommand) { SCRIPT("echo 1 > made") }, &o, &job));
                w->executor->ops->abandon(job);
                assert_int_equal(o.n_done, 0);
                made = workspace_read(w, "made");
                assert_null(made);
                assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie either */
        }
}

static void test_nothing_runs_before_launch(void **state) {
        _cleanup_free_ char *made = NULL;
        World *w = *state;
        ExecJob *job = NULL;
        Outcome o;

        assert_ok(world_prepare(w, (StepCommand) { SCRIPT("echo 1 > made") }, &o, &job));
        for (unsigned i = 0; i < 20; i++)
                assert_true(sd_event_run(w->event, 1000) >= 0);
        made = workspace_read(w, "made");
        assert_null(made);
        w->executor->ops->launch(job);
        world_wait(w, &o);
        assert_int_equal(world_await_number(w, "made"), 1);
        outcome_free(&o);
}

/* Killed at the barrier by somebody else: told after the launch, not before. */
static void test_death_at_the_barrier(void **state) {
        _cleanup_json_ Json *identity = NULL;
        World *w = *state;
        ExecJob *job = NULL;
        Outcome o;

        assert_ok(world_prepare(w, (StepCommand) { SCRIPT("true") }, &o, &job));
        identity = w->executor->ops->identify(job);
        assert_ok(kill((pid_t) json_int(json_get(identity, "pid")), SIGKILL));
        for (unsigned i = 0; i < 20; i++)
                assert_true(sd_event_run(w->event, 1000) >= 0);
        assert_int_equal(o.n_done, 0);
        w->executor->ops->launch(job);
        world_wait(w, &o);
        assert_int_equal(o.outcome, EXEC_SIGNALED);
        assert_int_equal(o.status, SIGKILL);
        outcome_free(&o);
}

static void test_identify(void **state) {
        _cleanup_json_ Json *identity = NULL;
        World *w = *state;
        ExecJob *job = NULL;
        Process p;
        Outcome o;

        assert_ok(world_prepare(w, (StepCommand) { SCRIPT("true") }, &o, &job));
        identity = w->executor->ops->identify(job);
        assert_ok(process_read((pid_t) json_int(json_get(identity, "pid")), &p));
        assert_true((uint64_t) json_int(json_get(identity, "start")) <= p.start);
        assert_true((uint64_t) json_int(json_get(identity, "start")) + 100 >= p.start);
        assert_int_equal(json_string_length(json_get(identity, "boot")), 36);
        w->executor->ops->abandon(job);
}

/* ---- many at once -------------------------------------------------------------------------------------------------------------------- */

static void test_parallel(void **state) {
        _cleanup_free_ Outcome *outcomes = calloc(N_PARALLEL, sizeof(*outcomes));
        World *w = *state;

        assert_non_null(outcomes);
        for (unsigned i = 0; i < N_PARALLEL; i++) {
                _cleanup_free_ char *activity = xasprintf("a%u", i), *script = xasprintf("echo %u; echo n=%u > $RUNBOOK_OUTPUT; exit %u",
                                i, i, i % 7);

                (void) world_launch(w, (StepCommand) { SCRIPT(script), .activity = activity }, outcomes + i);
        }
        for (unsigned i = 0; i < N_PARALLEL; i++) {
                _cleanup_free_ char *activity = xasprintf("a%u", i), *expected = xasprintf("%u\n", i), *log = NULL;

                world_wait(w, outcomes + i);
                assert_int_equal(outcomes[i].outcome, EXEC_EXITED);
                assert_int_equal(outcomes[i].status, i % 7);
                assert_int_equal(strtoul(json_string(json_get(outcomes[i].outputs, "n")), NULL, 10), i);
                assert_ok(exec_log_tail(w->state, 1, activity, 1, 0, UINT64_MAX, 100, &log));
                assert_string_equal(log, expected);
                outcome_free(outcomes + i);
        }
}

typedef struct Chain {
        World *world;
        unsigned left;
        bool over;
} Chain;

static void on_chain_done(void *userdata, ExecJob *job, const ExecResult *r) {
        static char *argv[] = { (char *) "true", NULL };
        Chain *chain = userdata;
        ExecJob *next = NULL;

        assert_int_equal(r->status, 0);
        chain->over = chain->left == 0;
        if (chain->over)
                return;
        chain->left--;
        StepCommand c = { .run = 1, .runbook = "b", .activity = "chain", .step = "s", .step_key = "1", .attempt = 1, .argv = argv };
        assert_ok(chain->world->executor->ops->prepare(chain->world->executor, &c, on_chain_done, chain, &next));
        chain->world->executor->ops->launch(next);
}

/* done may start the next step, of the same name even. */
static void test_chain(void **state) {
        Chain chain = { .world = *state, .left = 20 };
        const ExecResult none = { 0 };

        on_chain_done(&chain, NULL, &none);
        while (!chain.over)
                assert_true(sd_event_run(chain.world->event, UINT64_MAX) >= 0);
}

static void test_bad_options(void **state) {
        World *w = *state;
        static const char *const bad_ids[] = { "", "a-b", "a/b" };
        ExecutorOptions o = w->options;
        Executor *e = NULL;

        o.state_directory = "relative";
        assert_int_equal(exec_process_new(&o, &e), -EINVAL);
        o.state_directory = w->state;
        for (size_t i = 0; i < ELEMENTSOF(bad_ids); i++) {
                o.store_id = bad_ids[i];
                assert_int_equal(exec_process_new(&o, &e), -EINVAL);
        }
        assert_null(e);
}

/* ---- memory -------------------------------------------------------------------------------------------------------------------------- */

static uint64_t kills_on_this_machine(void) {
        _cleanup_free_ char *text = NULL;
        const char *s;

        assert_ok(read_file(AT_FDCWD, "/proc/vmstat", 1024 * 1024, false, &text, NULL));
        s = strstr(text, "\noom_kill ");
        return s ? strtoull(s + 10, NULL, 10) : 0;
}

/* A step that puts itself where memory is short; skipped where this test may make no such place. */
static void test_killed_for_lack_of_memory(void **state) {
        _cleanup_free_ char *group = xasprintf("/sys/fs/cgroup/memory/runbookd-test-%d", getpid());
        _cleanup_free_ char *limit = path_join(group, "memory.limit_in_bytes");
        _cleanup_free_ char *script = xasprintf("echo $$ > %s/tasks && exec tail /dev/zero", group);
        World *w = *state;
        uint64_t kills;
        Outcome o;
        int fd;

        (void) mkdir(group, 0755);
        fd = open(limit, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write_all(fd, "20000000", 8) < 0) {
                safe_close(fd);
                (void) rmdir(group);
                skip();
        }
        (void) close(fd);
        kills = kills_on_this_machine();
        run_script(w, script, &o);
        assert_int_equal(o.outcome, EXEC_OOM_KILLED);
        assert_int_equal(o.status, SIGKILL);
        outcome_free(&o);
        run_script(w, "kill -KILL $$", &o);             /* the death above is not counted again */
        if (kills_on_this_machine() == kills + 1)       /* unless the kernel killed something of somebody else meanwhile */
                assert_int_equal(o.outcome, EXEC_SIGNALED);
        outcome_free(&o);
        (void) rmdir(group);
}

static const struct CMUnitTest tests[] = {
        T(test_exit_codes), T(test_signals), T(test_usage), T(test_program_not_found), T(test_start_failures), T(test_argument_too_long),
        T(test_bad_commands), T(test_environment), T(test_nothing_inherited), T(test_process_state), T(test_standard_input_is_empty),
        T(test_working_directory), T(test_outputs), T(test_bad_outputs), T(test_outputs_without_descriptors), T(test_old_outputs_are_not_read),
        T(test_both_streams_share_the_log),
        T(test_log_is_private), T(test_captured_output), T(test_captured_output_is_bounded), T(test_log_is_bounded_at_the_end),
        T(test_log_is_bounded_while_it_runs), T(test_abandon_never_runs), T(test_nothing_runs_before_launch), T(test_death_at_the_barrier),
        T(test_identify), T(test_parallel), T(test_chain), T(test_bad_options), T(test_killed_for_lack_of_memory),
};

TEST_MAIN(tests)
