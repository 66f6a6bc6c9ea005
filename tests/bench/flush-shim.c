/* Preloaded into the daemon: counts its flushes and fork() calls in the file $FLUSH_SHIM_COUNTS (two uint64), and makes each flush slower by
 * $FLUSH_SHIM_DELAY_US, as a slower disk would. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t *counts;
static long delay_us;

static void __attribute__((constructor)) begin(void) {
        static uint64_t none[2];
        const char *path = getenv("FLUSH_SHIM_COUNTS"), *delay = getenv("FLUSH_SHIM_DELAY_US");
        int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
        void *p = fd >= 0 && ftruncate(fd, sizeof none) == 0 ? mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

        counts = p != MAP_FAILED ? p : none;
        delay_us = delay ? atol(delay) : 0;
        if (fd >= 0)
                close(fd);
}

static void flushed(void) {
        struct timespec t = { .tv_nsec = delay_us * 1000 };

        counts[0]++;
        if (delay_us <= 0)
                return;
        (void) prctl(PR_SET_TIMERSLACK, 1);             /* else the kernel adds up to 50 µs to each delay */
        nanosleep(&t, NULL);
        (void) prctl(PR_SET_TIMERSLACK, 0);             /* as it was */
}

int fdatasync(int fd);
int fsync(int fd);

__attribute__((visibility("default"))) int fdatasync(int fd) {
        static int (*real)(int);

        if (!real)
                *(void **) &real = dlsym(RTLD_NEXT, "fdatasync");
        flushed();
        return real(fd);
}

__attribute__((visibility("default"))) int fsync(int fd) {
        static int (*real)(int);

        if (!real)
                *(void **) &real = dlsym(RTLD_NEXT, "fsync");
        flushed();
        return real(fd);
}

__attribute__((visibility("default"))) pid_t fork(void) {
        static pid_t (*real)(void);

        if (!real)
                *(void **) &real = dlsym(RTLD_NEXT, "fork");
        counts[1]++;
        return real();
}
