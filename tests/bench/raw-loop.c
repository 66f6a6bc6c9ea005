/* What every engine is measured against: posix_spawn and waitpid of /bin/true, WIDTH at once, N in all. Prints the wall time in µs. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

static void spawn(void) {
        char *argv[] = { (char *) "/bin/true", NULL };
        pid_t pid;

        if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0)
                exit(1);
}

int main(int argc, char *argv[]) {
        int width = argc > 1 ? atoi(argv[1]) : 1, n = argc > 2 ? atoi(argv[2]) : 1000, started = 0;
        double begin = now();

        for (; started < width && started < n; started++)
                spawn();
        for (int ended = 0; ended < n; ended++) {
                if (waitpid(-1, NULL, 0) < 0)
                        return 1;
                if (started < n) {
                        spawn();
                        started++;
                }
        }
        printf("%.0f\n", now() - begin);
        return 0;
}
