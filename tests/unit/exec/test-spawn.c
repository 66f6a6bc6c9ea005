/* Children that wait at a barrier. */
#include "exec-test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "spawn.h"

typedef struct Ground {
        Spawner *spawner;
        int null_fd, out_fd;                            /* out_fd: what children write */
} Ground;

static int setup_ground(void **state) {
        Ground *g = calloc(1, sizeof(*g));

        assert_non_null(g);
        assert_ok(spawner_new(&g->spawner));
        g->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        g->out_fd = memfd_create("out", MFD_CLOEXEC);
        assert_true(g->null_fd > 2 && g->out_fd > 2);
        *state = g;
        return 0;
}

static int teardown_ground(void **state) {
        Ground *g = *state;

        (void) close(g->null_fd);
        (void) close(g->out_fd);
        spawner_free(g->spawner);
        free(g);
        return 0;
}

static char *no_environment[] = { NULL };

static Spawn *spawn(Ground *g, char **argv, const char *directory) {
        const SpawnRequest request = {
                .path = argv[0],
                .argv = argv,
                .env = no_environment,
                .directory = directory,
                .input = g->null_fd,
                .output = g->out_fd,
                .errors = g->null_fd,
                .cgroup = -1,
        };
        Spawn *p = NULL;

        assert_ok(spawn_new(g->spawner, &request, &p));
        assert_true(spawn_pid(p) > 0);
        return p;
}

/* Its wait status. */
static int reap(const Spawn *p) {
        struct pollfd over = { .fd = spawn_pidfd(p), .events = POLLIN };
        int status = -1;

        assert_int_equal(poll(&over, 1, -1), 1);
        assert_int_equal(waitpid(spawn_pid(p), &status, 0), spawn_pid(p));
        return status;
}

static void test_launch(void **state) {
        char *argv[] = { (char *) "/bin/sh", (char *) "-c", (char *) "echo out; exit 3", NULL };
        Ground *g = *state;
        Spawn *p = spawn(g, argv, "/");
        SpawnStage stage = _SPAWN_STAGE_INVALID;
        char buf[8] = { 0 };
        int status;

        spawn_launch(p);
        status = reap(p);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 3);
        assert_int_equal(spawn_error(p, &stage), 0);
        assert_int_equal(stage, _SPAWN_STAGE_INVALID);
        assert_int_equal(pread(g->out_fd, buf, sizeof(buf), 0), 4);
        assert_string_equal(buf, "out\n");
        spawn_free(p);
}

static void on_signal(int number) {
}

/* Whatever we ignore, handle and block, the command gets it all as it is by default. */
static void test_signals(void **state) {
        char *argv[] = { (char *) "/bin/grep", (char *) "-E", (char *) "^Sig(Blk|Ign)", (char *) "/proc/self/status", NULL };
        Ground *g = *state;
        char buf[128] = { 0 };
        sigset_t blocked, before;
        Spawn *p;

        assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
        assert_true(signal(SIGRTMAX, SIG_IGN) != SIG_ERR);
        assert_true(signal(SIGUSR1, on_signal) != SIG_ERR);
        (void) sigemptyset(&blocked);
        (void) sigaddset(&blocked, SIGTERM);
        (void) sigprocmask(SIG_BLOCK, &blocked, &before);
        spawner_free(g->spawner);
        assert_ok(spawner_new(&g->spawner));            /* it notes what is ignored */
        p = spawn(g, argv, "/");
        spawn_launch(p);
        assert_int_equal(reap(p), 0);
        spawn_free(p);
        assert_true(pread(g->out_fd, buf, sizeof(buf) - 1, 0) > 0);
        assert_string_equal(buf, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        (void) signal(SIGPIPE, SIG_DFL);
        (void) signal(SIGRTMAX, SIG_DFL);
        (void) signal(SIGUSR1, SIG_DFL);
}

static void test_waits_at_the_barrier(void **state) {
        char *argv[] = { (char *) "/bin/true", NULL };
        Spawn *p = spawn(*state, argv, "/");
        struct pollfd over = { .fd = spawn_pidfd(p), .events = POLLIN };

        assert_int_equal(poll(&over, 1, 20), 0);
        spawn_launch(p);
        assert_int_equal(reap(p), 0);
        spawn_free(p);
}

static void test_abandon(void **state) {
        char *argv[] = { (char *) "/bin/sh", (char *) "-c", (char *) "echo ran", NULL };
        Ground *g = *state;

        for (unsigned i = 0; i < 100; i++) {            /* at every point of its set-up */
                spawn_abandon(spawn(g, argv, "/"));
                assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
                assert_int_equal(errno, ECHILD);
        }
        assert_int_equal(lseek(g->out_fd, 0, SEEK_END), 0);
}

static void check_failure(Ground *g, const char *program, const char *directory, int error, SpawnStage expected) {
        char *argv[] = { (char *) program, NULL };
        SpawnStage stage = _SPAWN_STAGE_INVALID;
        Spawn *p = spawn(g, argv, directory);

        spawn_launch(p);
        (void) reap(p);
        assert_int_equal(spawn_error(p, &stage), error);
        assert_int_equal(stage, expected);
        spawn_free(p);
}

static void test_failures(void **state) {
        check_failure(*state, "/no/such/program", "/", ENOENT, SPAWN_STAGE_EXECUTE);
        check_failure(*state, "/etc/passwd", "/", EACCES, SPAWN_STAGE_EXECUTE);
        check_failure(*state, "/bin/true", "/no/such/directory", ENOENT, SPAWN_STAGE_DIRECTORY);
}

/* The child shares our memory, but not our errno. */
static void test_errno_is_ours(void **state) {
        char *argv[] = { (char *) "/no/such/program", NULL };

        for (unsigned i = 0; i < 100; i++) {
                Spawn *p = spawn(*state, argv, "/no/such/directory");

                errno = EXFULL;
                spawn_launch(p);
                for (unsigned k = 0; k < 1000 && spawn_error(p, NULL) == 0; k++)
                        assert_int_equal(errno, EXFULL);
                (void) reap(p);
                spawn_free(p);
        }
}

static void test_start_time(void **state) {
        char *argv[] = { (char *) "/bin/true", NULL };
        Spawn *p = spawn(*state, argv, "/");
        Process process;

        assert_ok(process_read(spawn_pid(p), &process));
        assert_true(spawn_start(p) <= process.start);
        assert_true(process.start - spawn_start(p) <= SPAWN_START_SLACK);
        spawn_abandon(p);
}

/* clone3 is there, and refuses what it is asked for. */
static void make_an_old_kernel(void) {
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = { .len = ELEMENTSOF(code), .filter = code };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                _exit(77);
}

static void test_old_kernel(void **state) {
        char *argv[] = { (char *) "/bin/grep", (char *) "-E", (char *) "^SigIgn", (char *) "/proc/self/status", NULL };
        Ground *g = *state;
        char buf[128] = { 0 };
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                make_an_old_kernel();
                for (unsigned i = 0; i < 2; i++) {      /* also when it is known */
                        Spawn *p;

                        (void) signal(SIGUSR2, SIG_IGN);
                        p = spawn(g, argv, "/");
                        spawn_launch(p);
                        if (reap(p) != 0)
                                _exit(1);
                        spawn_free(p);
                }
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_true(pread(g->out_fd, buf, sizeof(buf) - 1, 0) > 0);
        assert_string_equal(buf, "SigIgn:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

/* More at once than slots are kept for, again and again. */
static void test_many(void **state) {
        char *argv[] = { (char *) "/bin/true", NULL };
        Spawn *p[100];

        for (unsigned round = 0; round < 3; round++) {
                for (size_t i = 0; i < ELEMENTSOF(p); i++)
                        p[i] = spawn(*state, argv, "/");
                for (size_t i = 0; i < ELEMENTSOF(p); i++)
                        spawn_launch(p[i]);
                for (size_t i = 0; i < ELEMENTSOF(p); i++) {
                        assert_int_equal(reap(p[i]), 0);
                        spawn_free(p[i]);
                }
        }
}

/* Who made it is killed while it waits: it never runs, and does not stay. */
static void test_dies_with_its_parent(void **state) {
        char *argv[] = { (char *) "/bin/sh", (char *) "-c", (char *) "echo ran", NULL };
        Ground *g = *state;
        pid_t parent, *child = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        assert_true(child != MAP_FAILED);
        parent = fork();
        assert_true(parent >= 0);
        if (parent == 0) {
                *child = spawn_pid(spawn(g, argv, "/"));
                (void) kill(getpid(), SIGKILL);
        }
        assert_int_equal(waitpid(parent, NULL, 0), parent);
        assert_true(*child > 0);
        while (process_runs(*child))
                (void) poll(NULL, 0, 1);
        assert_int_equal(lseek(g->out_fd, 0, SEEK_END), 0);
        (void) munmap(child, 4096);
}

#define G(name) cmocka_unit_test_setup_teardown(name, setup_ground, teardown_ground)

static const struct CMUnitTest tests[] = {
        G(test_launch), G(test_signals), G(test_waits_at_the_barrier), G(test_abandon), G(test_failures), G(test_errno_is_ours), G(test_start_time),
        G(test_old_kernel), G(test_many),
        G(test_dies_with_its_parent),
};

TEST_MAIN(tests)
