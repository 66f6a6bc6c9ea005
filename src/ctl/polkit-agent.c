/* polkit asks for a password through an agent of the session; on a plain terminal there is none, so we bring one of our own: pkttyagent,
 * which talks to the controlling terminal. It is a fallback, so a desktop's own agent goes first, and it is only started when an
 * authorization was refused for want of one. (Outside of a session of logind polkit passes fallbacks over, and no desktop can be
 * there.) Where it is not installed nothing is said here: the refusal says it. */
#include "polkit-agent.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <systemd/sd-login.h>

#include "fd-util.h"

#define AGENT "pkttyagent"
#define READY_MAX_MS 10000                              /* a polkit that takes longer than this to know it will not */

static pid_t agent_pid;
static bool tried;

bool polkit_agent_is_there(void) {
        return agent_pid > 0;
}

static bool is_of_use(const Ctl *c) {
        return !tried && !c->options.no_ask_password && !c->options.user && !c->options.host && geteuid() != 0 &&
               isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* In the child. We may have blocked signals for ourselves; the agent must hear that it is to end, also when we are killed. */
static _Noreturn void run_agent(pid_t parent, int ready) {
        char process[24], notify[24];
        sigset_t none;

        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
                _exit(EXIT_FAILURE);
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0 || fcntl(ready, F_SETFD, 0) < 0)   /* who reads our output waits for its end */
                _exit(EXIT_FAILURE);
        (void) snprintf(process, sizeof(process), "%d", (int) parent);
        (void) snprintf(notify, sizeof(notify), "%d", ready);
        _cleanup_free_ char *session = NULL;
        const char *fallback = sd_pid_get_session(0, &session) >= 0 ? "--fallback" : NULL;
        (void) execlp(AGENT, AGENT, "--process", process, "--notify-fd", notify, fallback, (char *) NULL);
        (void) !write(ready, "", 1);
        _exit(EXIT_FAILURE);
}

/* It closes the pipe when polkit knows it; a byte says that there is no such program. */
static bool wait_until_ready(int fd) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char byte;

        while (poll(&p, 1, READY_MAX_MS) < 0)
                if (errno != EINTR)
                        return false;
        return p.revents && read(fd, &byte, 1) == 0;
}

int polkit_agent_open(const Ctl *c) {
        _cleanup_close_ int ready = -1, ours = -1;
        pid_t parent = getpid();
        int fds[2];

        if (!is_of_use(c) || pipe2(fds, O_CLOEXEC) < 0)
                return 0;
        ours = fds[0];
        ready = fds[1];
        tried = true;
        (void) fflush(stdout);
        agent_pid = fork();
        if (agent_pid == 0)
                run_agent(parent, ready);
        if (agent_pid < 0) {
                agent_pid = 0;
                return 0;
        }
        ready = safe_close(ready);
        if (wait_until_ready(ours))
                return 1;
        polkit_agent_close();
        return 0;
}

void polkit_agent_close(void) {
        if (agent_pid <= 0)
                return;
        (void) kill(agent_pid, SIGTERM);
        (void) kill(agent_pid, SIGCONT);
        while (waitpid(agent_pid, NULL, 0) < 0 && errno == EINTR)
                ;
        agent_pid = 0;
}
