/* The pager is $SYSTEMD_PAGER, else $PAGER, else less, more, or none; empty or "cat" is none. A program that runs for somebody else (by
 * sudo) takes no command from the environment and puts less into its secure mode, unless $SYSTEMD_PAGERSECURE says otherwise: a pager can
 * start shells. */
#include "pager.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include <systemd/sd-login.h>

#include "i18n.h"
#include "style.h"

extern char **environ;

static pid_t pager_pid;

static bool env_true(const char *s) {
        return streq(s, "1") || strcasecmp(s, "yes") == 0 || strcasecmp(s, "true") == 0 || strcasecmp(s, "on") == 0;
}

static bool must_be_secure(bool *ret_explicit) {
        const char *e = getenv("SYSTEMD_PAGERSECURE");
        uid_t owner;

        *ret_explicit = !isempty(e);
        if (!isempty(e))
                return env_true(e);
        if (geteuid() != getuid() || !isempty(getenv("SUDO_UID")))
                return true;
        return sd_pid_get_owner_uid(0, &owner) >= 0 && owner != geteuid();
}

static void set_environment(bool secure) {
        const char *options = getenv("SYSTEMD_LESS"), *charset = getenv("SYSTEMD_LESSCHARSET");

        (void) setenv("LESS", options ? options : "FRSXMK", 1);
        if (charset)
                (void) setenv("LESSCHARSET", charset, 1);
        else if (*symbol(SYMBOL_DOT) != '*')
                (void) setenv("LESSCHARSET", "utf-8", 1);
        if (secure)
                (void) setenv("LESSSECURE", "1", 1);
        else
                (void) unsetenv("LESSSECURE");
}

static int spawn(const char *const argv[], int in) {
        posix_spawn_file_actions_t actions;
        pid_t pid;

        if (posix_spawn_file_actions_init(&actions) != 0)
                return -ENOMEM;
        int r = -posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        if (r == 0)
                r = -posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *) argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (r == 0)
                pager_pid = pid;
        return r;
}

static int spawn_any(const char *command, bool secure, int in) {
        static const char *const fallbacks[] = {"less", "pager", "more"};
        int r = -ENOENT;

        if (command) {
                const char *const argv[] = {"/bin/sh", "-c", command, NULL};
                return spawn(argv, in);
        }
        /* The others have no secure mode. */
        for (size_t i = 0; i < (secure ? 1 : ELEMENTSOF(fallbacks)) && r < 0; i++) {
                const char *const argv[] = {fallbacks[i], NULL};
                r = spawn(argv, in);
        }
        return r;
}

void pager_open(Ctl *c) {
        const char *command = getenv("SYSTEMD_PAGER");
        _cleanup_close_ int in = -1, out_fd = -1;
        bool explicit, secure;
        int fds[2];

        if (pager_pid > 0 || c->options.no_pager || ctl_json(c) || !style_is_terminal() || !isatty(STDOUT_FILENO))
                return;
        if (!command)
                command = getenv("PAGER");
        if (command && (!*command || streq(command, "cat")))
                return;
        secure = must_be_secure(&explicit);
        if (secure && !explicit)
                command = NULL;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        in = fds[0];
        out_fd = fds[1];
        set_environment(secure);
        (void) fflush(stdout);
        if (spawn_any(command, secure, in) < 0)
                return;
        if (dup2(out_fd, STDOUT_FILENO) < 0) {
                (void) kill(pager_pid, SIGTERM);
                pager_close();
        }
}

void pager_close(void) {
        if (pager_pid <= 0)
                return;
        (void) fclose(stdout);                          /* also the pipe's last writer: the pager sees the end */
        (void) kill(pager_pid, SIGCONT);
        while (waitpid(pager_pid, NULL, 0) < 0 && errno == EINTR)
                ;
        pager_pid = 0;
}
