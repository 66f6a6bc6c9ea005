/* How a child comes to be.
 *
 * It is cloned without a copy of our memory (a fork costs more with every page that we have; this does not) and runs on a small stack of
 * its own beside us until it executes the command. Rules for the code that it runs, all of which stands under "in the child":
 *   - It touches nothing of ours but its own slot: no malloc, no stdio, no locks, no errno (thread-local memory is shared too). Hence raw
 *     system calls.
 *   - Signals are blocked while it is cloned, and it unblocks them only when all dispositions are the default, so that none of our handlers
 *     runs in it.
 *   - It is not traced by sanitizers, which keep their books in shared memory.
 * The slot (barrier, verdict, stack) is given back when the process is over, long after it left our memory.
 *
 * Where raw system calls are not known (other machines) or memory can't be shared (under valgrind), the child gets a copy of our memory
 * instead; the slot is a shared mapping for that reason. */

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fd-util.h"
#include "spawn.h"
#include "time-util.h"

#define STACK_SIZE (64u * 1024u)                        /* with the Spawn at its upper end; little of it is ever touched */
#define SLOTS_KEPT_MAX 32u                              /* unused ones */
#define CHILD_FAILED 127
#define N_SIGNALS 64

struct Spawn {
        Spawner *spawner;
        Spawn *next_free;
        SpawnRequest request;                           /* the child's from here … */
        struct rlimit nofile;
        bool reset_oom_score;
        uint64_t signals;                               /* whose dispositions it sets back to the default; bit 0 is signal 1 */
        pid_t parent;
        uint32_t barrier;                               /* 0: wait */
        int error;                                      /* … to here: what it could not do */
        SpawnStage stage;
        pid_t pid;
        int pidfd;
        uint64_t start;
};

struct Spawner {
        Spawn *free_slots;
        unsigned n_free;
        struct rlimit nofile;
        bool reset_oom_score;                           /* ours is lowered by the service manager, theirs is not to be */
        uint64_t ignored_signals;                       /* the kernel sets those back that have a handler, where there is clone3 */
        bool share_memory, has_clone3;
        size_t guard_size;                              /* a page that can't be touched below each stack */
};

/* ---- in the child -------------------------------------------------------------------------------------------------------------------- */

#define _child_ __attribute__((no_sanitize("address", "undefined"), noinline))

#if defined(__x86_64__)
#define HAVE_RAW_SYSCALL 1
_child_ static long raw(long n, long a, long b, long c, long d, long e) {
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        long r;

        __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
        return r;
}
#elif defined(__aarch64__)
#define HAVE_RAW_SYSCALL 1
_child_ static long raw(long n, long a, long b, long c, long d, long e) {
        register long x8 __asm__("x8") = n;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;

        __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory", "cc");
        return x0;
}
#else
#define HAVE_RAW_SYSCALL 0
static long raw(long n, long a, long b, long c, long d, long e) {
        long r = syscall(n, a, b, c, d, e);             /* the child has an errno of its own here: its memory is a copy */

        return r < 0 ? -errno : r;
}
#endif

_child_ __attribute__((noreturn)) static void child_fail(Spawn *p, SpawnStage stage, long r) {
        p->stage = stage;
        p->error = (int) -r;
        for (;;)
                (void) raw(SYS_exit_group, CHILD_FAILED, 0, 0, 0, 0);
}

static inline uint64_t signal_bit(int number) {
        return UINT64_C(1) << (number - 1);
}

/* The kernel's struct sigaction is all zeros for SIG_DFL, whatever its layout. SIGKILL and SIGSTOP don't mind. */
_child_ static void child_reset_signals(uint64_t signals) {
        static const uint64_t none[8];

        for (int i = 1; i <= N_SIGNALS; i++)
                if (signals & signal_bit(i))
                        (void) raw(SYS_rt_sigaction, i, (long) none, 0, 8, 0);
}

/* A service that the kernel should spare must not hand that down. Failure changes nothing for the command. */
_child_ static void child_reset_oom_score(void) {
        long fd = raw(SYS_openat, AT_FDCWD, (long) "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0, 0);

        if (fd < 0)
                return;
        (void) raw(SYS_write, fd, (long) "0", 1, 0, 0);
        (void) raw(SYS_close, fd, 0, 0, 0, 0);
}

_child_ static void child_set_up(Spawn *p) {
        const int fds[] = { p->request.input, p->request.output, p->request.errors };
        long r;

        r = p->request.same_session ? 0 : raw(SYS_setsid, 0, 0, 0, 0, 0);
        if (r < 0)
                child_fail(p, SPAWN_STAGE_SETUP, r);
        /* It dies with us, also when we are gone before this line is reached. */
        r = raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (r < 0)
                child_fail(p, SPAWN_STAGE_SETUP, r);
        if (raw(SYS_getppid, 0, 0, 0, 0, 0) != p->parent)
                child_fail(p, SPAWN_STAGE_SETUP, -ESRCH);
        child_reset_signals(p->signals);
        (void) raw(SYS_umask, 022, 0, 0, 0, 0);
        (void) raw(SYS_prlimit64, 0, RLIMIT_NOFILE, (long) &p->nofile, 0, 0);
        if (p->reset_oom_score)
                child_reset_oom_score();
        r = raw(SYS_chdir, (long) p->request.directory, 0, 0, 0, 0);
        if (r < 0)
                child_fail(p, SPAWN_STAGE_DIRECTORY, r);
        for (long i = 0; i < 3; i++) {
                r = raw(SYS_dup3, fds[i], i, 0, 0, 0);
                if (r < 0)
                        child_fail(p, SPAWN_STAGE_SETUP, r);
        }
        /* A kernel without it leaves close-on-exec to do the work, which all our descriptors have. */
        (void) raw(SYS_close_range, 3, (long) UINT32_MAX, 0, 0, 0);
}

_child_ static int child_main(void *userdata) {
        static const uint64_t none;
        Spawn *p = userdata;
        long r;

        child_set_up(p);
        while (__atomic_load_n(&p->barrier, __ATOMIC_ACQUIRE) == 0)
                (void) raw(SYS_futex, (long) &p->barrier, FUTEX_WAIT, 0, 0, 0);
        (void) raw(SYS_rt_sigprocmask, SIG_SETMASK, (long) &none, 0, 8, 0);
        r = raw(SYS_execve, (long) p->request.path, (long) p->request.argv, (long) p->request.env, 0, 0);
        child_fail(p, SPAWN_STAGE_EXECUTE, r);
}

/* clone3 with a new stack can't come back through a C function, as that stack has nothing to return to. */
#if defined(__x86_64__)
_child_ static long clone3_call(struct clone_args *args, int (*function)(void *), void *userdata) {
        long r;

        __asm__ volatile("movq %[f], %%r12\n\t"
                         "movq %[u], %%r13\n\t"
                         "syscall\n\t"
                         "testq %%rax, %%rax\n\t"
                         "jnz 1f\n\t"
                         "xorl %%ebp, %%ebp\n\t"
                         "movq %%r13, %%rdi\n\t"
                         "callq *%%r12\n\t"
                         "hlt\n"
                         "1:"
                         : "=a"(r)
                         : "a"((long) SYS_clone3), "D"(args), "S"(sizeof(*args)), [f] "r"(function), [u] "r"(userdata)
                         : "rcx", "r11", "r12", "r13", "cc", "memory");
        return r;
}
#elif defined(__aarch64__)
_child_ static long clone3_call(struct clone_args *args, int (*function)(void *), void *userdata) {
        register long x8 __asm__("x8") = SYS_clone3;
        register long x0 __asm__("x0") = (long) args;
        register long x1 __asm__("x1") = sizeof(*args);
        register long x9 __asm__("x9") = (long) function;
        register long x10 __asm__("x10") = (long) userdata;

        __asm__ volatile("svc #0\n\t"
                         "cbnz x0, 1f\n\t"
                         "mov x29, xzr\n\t"
                         "mov x30, xzr\n\t"
                         "mov x0, x10\n\t"
                         "blr x9\n\t"
                         "brk #0\n"
                         "1:"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), "r"(x9), "r"(x10)
                         : "cc", "memory");
        return x0;
}
#else
static long clone3_call(struct clone_args *args, int (*function)(void *), void *userdata) {
        long r;

        args->flags &= ~(uint64_t) CLONE_VM;            /* a copy, on the stack that we are on */
        args->stack = args->stack_size = 0;
        r = syscall(SYS_clone3, args, sizeof(*args));
        if (r == 0)
                function(userdata);
        return r < 0 ? -errno : r;
}
#endif

/* ---- in the parent ------------------------------------------------------------------------------------------------------------------- */

static bool under_valgrind(void) {
        const char *s = getenv("LD_PRELOAD");

        return s && strstr(s, "/vgpreload_");
}

/* A set-up of 64 system calls would be half of what a step waits for when nothing is flushed. SIGPIPE is what libraries ignore when they
 * please. */
static uint64_t ignored_signals(void) {
        uint64_t set = signal_bit(SIGPIPE);
        struct sigaction a;

        for (int i = 1; i <= N_SIGNALS; i++)
                if (sigaction(i, NULL, &a) >= 0 && a.sa_handler == SIG_IGN)
                        set |= signal_bit(i);
        return set;
}

static bool oom_score_is_lowered(void) {
        _cleanup_free_ char *s = NULL;

        return read_file(AT_FDCWD, "/proc/self/oom_score_adj", 64, false, &s, NULL) >= 0 && s[0] == '-';
}

int spawner_new(Spawner **ret) {
        Spawner *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        if (getrlimit(RLIMIT_NOFILE, &s->nofile) < 0) {
                int r = -errno;

                free(s);
                return r;
        }
        s->guard_size = (size_t) sysconf(_SC_PAGESIZE);
        s->reset_oom_score = oom_score_is_lowered();
        s->ignored_signals = ignored_signals();
        s->share_memory = HAVE_RAW_SYSCALL && !under_valgrind();
        s->has_clone3 = !under_valgrind() && syscall(SYS_clone3, NULL, 0) < 0 && errno != ENOSYS;
        *ret = s;
        return 0;
}

static char *stack_base(Spawn *p) {
        return (char *) (p + 1) - STACK_SIZE;
}

static void slot_unmap(Spawn *p, size_t guard_size) {
        (void) munmap(stack_base(p) - guard_size, guard_size + STACK_SIZE);
}

Spawner *spawner_free(Spawner *s) {
        if (!s)
                return NULL;
        while (s->free_slots) {
                Spawn *p = s->free_slots;

                s->free_slots = p->next_free;
                slot_unmap(p, s->guard_size);
        }
        free(s);
        return NULL;
}

bool spawner_can_enter_cgroup(const Spawner *s) {
        return s->has_clone3;
}

static Spawn *slot_new(Spawner *s) {
        Spawn *p = s->free_slots;
        char *m;

        if (p) {
                s->free_slots = p->next_free;
                s->n_free--;
        } else {
                m = mmap(NULL, s->guard_size + STACK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
                if (m == MAP_FAILED)
                        return NULL;
                p = (Spawn *) (void *) (m + s->guard_size + STACK_SIZE) - 1;
                if (mprotect(m, s->guard_size, PROT_NONE) < 0) {
                        slot_unmap(p, s->guard_size);
                        return NULL;
                }
        }
        *p = (Spawn) { .spawner = s, .pidfd = -1 };
        return p;
}

static void slot_free(Spawn *p) {
        Spawner *s = p->spawner;

        if (s->n_free >= SLOTS_KEPT_MAX) {
                slot_unmap(p, s->guard_size);
                return;
        }
        p->next_free = s->free_slots;
        s->free_slots = p;
        s->n_free++;
}

static int clone_without_clone3(Spawn *p, char *stack_top) {
        long r;

        if (p->request.cgroup >= 0)
                return -EOPNOTSUPP;
        if (p->spawner->share_memory)
                r = clone(child_main, stack_top, CLONE_VM | CLONE_PIDFD | SIGCHLD, p, &p->pidfd);
        else {
                r = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &p->pidfd, NULL, NULL);
                if (r == 0)
                        child_main(p);
        }
        return r < 0 ? -errno : (int) r;
}

static int clone_child(Spawn *p) {
        char *stack_top = (char *) ((uintptr_t) p & ~(uintptr_t) 63);
        struct clone_args args = {
                .flags = CLONE_VM | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | (p->request.cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
                .pidfd = (uintptr_t) &p->pidfd,
                .exit_signal = SIGCHLD,
                .stack = (uintptr_t) stack_base(p),
                .stack_size = (uintptr_t) stack_top - (uintptr_t) stack_base(p),
                .cgroup = p->request.cgroup >= 0 ? (uint64_t) p->request.cgroup : 0,
        };

        return p->spawner->has_clone3 ? (int) clone3_call(&args, child_main, p) : clone_without_clone3(p, stack_top);
}

static uint64_t boot_ticks(void) {
        return now_usec(CLOCK_BOOTTIME) / (USEC_PER_SEC / (usec_t) sysconf(_SC_CLK_TCK));
}

int spawn_new(Spawner *s, const SpawnRequest *request, Spawn **ret) {
        sigset_t all, old;
        Spawn *p = slot_new(s);
        int r;

        if (!p)
                return -ENOMEM;
        p->request = *request;
        p->nofile = s->nofile;
        p->reset_oom_score = s->reset_oom_score;
        p->signals = s->has_clone3 ? s->ignored_signals : UINT64_MAX;
        p->parent = getpid();
        p->start = boot_ticks();
        (void) sigfillset(&all);
        (void) sigprocmask(SIG_SETMASK, &all, &old);
        r = clone_child(p);
        if (r == -EINVAL && s->has_clone3) {            /* Linux 5.3 and 5.4 have it, but not all that is asked of it */
                s->has_clone3 = false;
                p->signals = UINT64_MAX;
                r = clone_child(p);
        }
        (void) sigprocmask(SIG_SETMASK, &old, NULL);
        if (r < 0) {
                slot_free(p);
                return r;
        }
        p->pid = r;
        *ret = p;
        return 0;
}

void spawn_launch(Spawn *p) {
        __atomic_store_n(&p->barrier, 1, __ATOMIC_RELEASE);
        (void) syscall(SYS_futex, &p->barrier, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void spawn_abandon(Spawn *p) {
        (void) kill(p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        spawn_free(p);
}

Spawn *spawn_free(Spawn *p) {
        if (!p)
                return NULL;
        p->pidfd = safe_close(p->pidfd);
        slot_free(p);
        return NULL;
}

pid_t spawn_pid(const Spawn *p) {
        return p->pid;
}

int spawn_pidfd(const Spawn *p) {
        return p->pidfd;
}

uint64_t spawn_start(const Spawn *p) {
        return p->start;
}

int spawn_error(const Spawn *p, SpawnStage *ret_stage) {
        if (p->error != 0 && ret_stage)
                *ret_stage = p->stage;
        return p->error;
}
