/* A step that tells how it was started: exec-helper WHAT. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int show_descriptors(void) {
        DIR *d = opendir("/proc/self/fd");
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d))
                        printf("fd %s\n", e->d_name);
        return d ? closedir(d) : 1;
}

static int show_state(void) {
        sigset_t blocked;
        struct rlimit files;
        int n_blocked = 0, n_changed = 0, death = 0;
        mode_t mask = umask(0);

        (void) sigprocmask(SIG_SETMASK, NULL, &blocked);
        for (int i = 1; i < NSIG; i++) {
                struct sigaction a;

                n_blocked += sigismember(&blocked, i) == 1;
                n_changed += sigaction(i, NULL, &a) == 0 && a.sa_handler != SIG_DFL;
        }
        (void) getrlimit(RLIMIT_NOFILE, &files);
        (void) prctl(PR_GET_PDEATHSIG, &death);
        printf("blocked %d changed %d umask %03o leader %d group %d nofile %lu death %d\n", n_blocked, n_changed, (unsigned) mask,
               getsid(0) == getpid(),
               getpgid(0) == getpid(), (unsigned long) files.rlim_cur, death);
        return 0;
}

int main(int argc, char **argv) {
        if (argc == 2 && strcmp(argv[1], "descriptors") == 0)
                return show_descriptors();
        if (argc == 2 && strcmp(argv[1], "state") == 0)
                return show_state();
        return 64;
}
