/* Notifications wait in one queue, in the order of their requests. Each is an object that is made when its request opens, because the
 * request may be answered, and its run be gone, before a command has its turn. The input is a file in memory, so that a command that does
 * not read it keeps nobody waiting.
 *
 * A command is a child in a process group of its own, so that all of it can be ended, but in our session: children in others are taken for
 * what a step left behind. When it is over, the rest of its group is ended too. That rest becomes ours (we adopt orphans), and nobody else
 * reaps children of our session, so the notice keeps its place until the group is gone; as long as one of it is not reaped, its number is
 * given to nobody else. Nothing is waited for here: what is not gone yet is looked at again later.
 *
 * A request that the command has taken is remembered over restarts (told.c). All others are told again when we start: those that it had not
 * been told of yet, and those that were given up, whose cause the administrator may have mended; a reload tells these again, too. Whatever
 * finds no place in the queue is found again when the queue is half empty, by a look at all open requests. */
#include "notify-command.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd-util.h"
#include "i18n.h"
#include "log.h"
#include "spawn.h"
#include "told.h"

#define LOOK_FIRST USEC_PER_MSEC                        /* after what is left of a group; doubles */
#define LOOKS_MAX 10u                                   /* then the rest is left alone: even SIGKILL does not end it */
#define STOP_WAIT_MSEC 1000                             /* for a command that was killed because we end */
#define ENV_MAX 8u

typedef struct Notice {
        NotifyCommand *owner;
        uint32_t run;
        char *activity;
        usec_t opened_at;                               /* its request */
        char *input;                                    /* the JSON, with a line feed */
        char *command;                                  /* of this try: the child reads it when it executes */
        char *argv[4];
        unsigned tries, looks;
        Spawn *spawn;                                   /* NULL: does not run */
        sd_event_source *exit, *timer;                  /* timer: its time limit, the next look, or the wait for its next try */
        int status;
        bool timed_out;
        bool resolved;                                  /* while it was under way */
        LIST_FIELDS(struct Notice, notices);
} Notice;

struct NotifyCommand {
        sd_event *event;
        Spawner *spawner;
        char *command;
        char *env[ENV_MAX + 1];
        size_t n_env;
        usec_t timeout, retry_first;
        bool user_mode;
        int (*look)(void *userdata);
        void *userdata;
        sd_event_source *look_source, *look_again;      /* one-shot; again: where it failed */
        Told *told;
        QUEUE_HEAD(Notice) notices;
        unsigned n, n_running;
        bool full;                                      /* it has been said that more wait than there are places for */
        bool missed;                                    /* there are requests without a notice: look again */
        bool recovering;                                /* there was no look yet, or not to the end */
};

/* ---- what is told ---- */

static int set_host(Json *j) {
        char host[256] = "";

        if (gethostname(host, sizeof host - 1) < 0)
                host[0] = 0;
        return json_set_string(j, "host", host);
}

/* What answers it, to be typed or put into a mail. */
static int set_command(Json *j, const Activity *a, bool user_mode) {
        static const char *const verbs[_WAITING_FOR_MAX] = {
                [WAITING_APPROVAL] = "approve", [WAITING_INPUT] = "provide", [WAITING_DECISION] = "retry",
        };
        _cleanup_free_ char *text = xasprintf("runbookctl %s%s %u/%s", user_mode ? "--user " : "", verbs[activity_waiting_for(a)],
                                              a->run->id, a->def->name);

        return text ? json_set_string(j, "command", text) : -ENOMEM;
}

/* Where nobody is named, the owners are who can be told. */
static int set_approvers(Json *j, const Runbook *rb) {
        _cleanup_json_ Json *owners = json_new_array();
        int r = owners ? 0 : -ENOMEM;

        if (json_length(json_get(j, "approvers")) > 0)
                return 0;
        for (size_t i = 0; r >= 0 && i < rb->n_owners; i++)
                r = json_append(owners, json_new_string(rb->owners[i].text));
        return r < 0 ? r : json_set(j, "approvers", TAKE_PTR(owners));
}

static int describe(const Activity *a, bool user_mode, char **ret) {
        _cleanup_json_ Json *j = NULL;
        _cleanup_free_ char *text = NULL, *line = NULL;
        int r = activity_describe_request(a, &j);

        if (r >= 0)
                r = json_set_uint(j, "run", a->run->id);
        if (r >= 0)
                r = json_set_string(j, "runbook", a->run->runbook->name);
        if (r >= 0)
                r = json_set_string(j, "activity", a->def->name);
        if (r >= 0)
                r = json_set_string(j, "startedBy", a->run->started_by_name);
        if (r >= 0)
                r = set_approvers(j, a->run->runbook);
        if (r >= 0 && !json_has(j, "error"))
                r = json_set(j, "error", NULL);
        if (r >= 0)
                r = set_host(j);
        if (r >= 0)
                r = set_command(j, a, user_mode);
        if (r < 0)
                return r;
        text = json_to_string(j, false);
        line = text ? xasprintf("%s\n", text) : NULL;
        if (!line)
                return -ENOMEM;
        *ret = TAKE_PTR(line);
        return 0;
}

/* ---- one notice ---- */

/* Also by itself, as it may have gone into another group. */
static void kill_all(const Notice *t) {
        (void) kill(-spawn_pid(t->spawn), SIGKILL);
        if (t->exit)
                (void) kill(spawn_pid(t->spawn), SIGKILL);
}

/* Only when we end. It is waited for, because it may not have left our memory yet, but not for ever, because it may not be ours to kill. */
static void notice_stop(Notice *t) {
        struct pollfd p = { .fd = spawn_pidfd(t->spawn), .events = POLLIN };

        kill_all(t);
        t->exit = sd_event_source_disable_unref(t->exit);       /* before its descriptor is closed */
        (void) poll(&p, 1, STOP_WAIT_MSEC);
        (void) waitpid(spawn_pid(t->spawn), NULL, WNOHANG);
        t->spawn = spawn_free(t->spawn);
        t->owner->n_running--;
}

static Notice *notice_free(Notice *t) {
        NotifyCommand *n = t->owner;

        QUEUE_REMOVE(notices, &n->notices, t);
        n->n--;
        if (t->spawn)
                notice_stop(t);
        sd_event_source_disable_unref(t->timer);
        free(t->activity);
        free(t->input);
        free(t->command);
        free(t);
        return NULL;
}

/* The child's standard ones replace ours. */
static int above_standard(int fd) {
        int above = fd < 0 || fd > 2 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (above != fd)
                safe_close(fd);
        return above;
}

static int input_fd(const char *text) {
        _cleanup_close_ int fd = above_standard(memfd_create("runbookd-request", MFD_CLOEXEC));
        int r;

        if (fd < 0)
                return -errno;
        r = write_all(fd, text, strlen(text));
        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static int spawn_command(Notice *t) {
        NotifyCommand *n = t->owner;
        _cleanup_close_ int in = input_fd(t->input), out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3),
                            errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

        if (in < 0)
                return in;
        if (out < 0 || errors < 0)
                return -errno;
        free(t->command);
        t->command = strdup(n->command);
        if (!t->command)
                return -ENOMEM;
        memcpy(t->argv, ((char *[]) { (char *) "sh", (char *) "-c", t->command, NULL }), sizeof t->argv);
        return spawn_new(n->spawner, &(SpawnRequest) { .path = "/bin/sh", .argv = t->argv, .env = n->env, .directory = "/", .input = in,
                                                       .output = out, .errors = errors, .cgroup = -1, .same_session = true }, &t->spawn);
}

static void run_next(NotifyCommand *n);

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        Notice *t = userdata;

        t->timer = sd_event_source_disable_unref(t->timer);
        run_next(t->owner);
        return 0;
}

static const char *command_name(const NotifyCommand *n) {
        return n->user_mode ? "runbookctl --user" : "runbookctl";
}

static void give_up(const Notice *t, const char *why) {
        NotifyCommand *n = t->owner;

        log_warning(_("NotifyCommand= could not tell of the request of run %u, activity %s, in %u tries (%s); it stays open (%s inbox), "
                      "and is told again after a reload or a restart"),
                    t->run, t->activity, t->tries, why, command_name(n));
        told_set(n->told, t->run, t->activity, t->opened_at, TOLD_GIVEN_UP);
}

/* Frees it, unless there is another try. */
static void try_again_or_not(Notice *t, const char *why) {
        NotifyCommand *n = t->owner;

        if (!t->resolved && n->command && t->tries < NOTIFY_TRIES_MAX &&
            sd_event_add_time_relative(n->event, &t->timer, CLOCK_BOOTTIME, n->retry_first << (t->tries - 1), USEC_PER_MSEC, on_retry,
                                       t) >= 0)
                return;
        if (!t->resolved)
                give_up(t, why);
        notice_free(t);
}

static void take(Notice *t) {
        if (!t->resolved)
                told_set(t->owner->told, t->run, t->activity, t->opened_at, TOLD_TAKEN);
        notice_free(t);
}

static char *what_failed(const Notice *t, int error) {
        if (error != 0)
                return strdup(strerror(error));
        if (t->timed_out)
                return strdup(_("it took too long"));
        return WIFEXITED(t->status) ? xasprintf(_("exit status %d"), WEXITSTATUS(t->status))
                                    : xasprintf(_("signal %d"), WTERMSIG(t->status));
}

/* A look may want a commit, so it waits for the event loop. */
static void look_if_missed(NotifyCommand *n) {
        if (n->missed && n->command && n->n <= NOTIFY_WAITING_MAX / 2)
                (void) sd_event_source_set_enabled(n->look_source, SD_EVENT_ONESHOT);
}

/* Where the storage fails nothing else may happen after which to look, so it is tried by the clock. */
static void look_later(NotifyCommand *n) {
        n->missed = true;
        if (sd_event_source_set_time_relative(n->look_again, n->retry_first) >= 0)
                (void) sd_event_source_set_enabled(n->look_again, SD_EVENT_ONESHOT);
}

static int on_look_again(sd_event_source *s, uint64_t usec, void *userdata) {
        look_if_missed(userdata);
        return 0;
}

static void look(NotifyCommand *n) {
        n->missed = n->full = false;
        if (n->look(n->userdata) < 0) {
                look_later(n);
                return;
        }
        if (n->recovering)
                told_forget_others(n->told);
        n->recovering = false;
}

static int on_look_for_missed(sd_event_source *s, void *userdata) {
        NotifyCommand *n = userdata;

        if (n->command)
                look(n);
        return 0;
}

/* It and its group are gone. Ended well just as its time was up is ended well. */
static void notice_ended(Notice *t) {
        NotifyCommand *n = t->owner;
        _cleanup_free_ char *why = NULL;
        int error = spawn_error(t->spawn, NULL);

        t->spawn = spawn_free(t->spawn);
        n->n_running--;
        if (WIFEXITED(t->status) && WEXITSTATUS(t->status) == 0)
                take(t);
        else {
                why = what_failed(t, error);
                try_again_or_not(t, strempty(why));
        }
        look_if_missed(n);
        run_next(n);
}

static int on_look(sd_event_source *s, uint64_t usec, void *userdata);

/* Reaps what there is of its group, which was killed, and looks again later where that has not ended yet. */
static void look_for_rest(Notice *t) {
        pid_t r;

        do
                r = waitpid(-spawn_pid(t->spawn), NULL, WNOHANG);
        while (r > 0 || (r < 0 && errno == EINTR));
        if (r == 0 && t->looks < LOOKS_MAX &&
            sd_event_add_time_relative(t->owner->event, &t->timer, CLOCK_MONOTONIC, LOOK_FIRST << t->looks, USEC_PER_MSEC, on_look, t) >= 0)
                t->looks++;
        else
                notice_ended(t);
}

static int on_look(sd_event_source *s, uint64_t usec, void *userdata) {
        Notice *t = userdata;

        t->timer = sd_event_source_disable_unref(t->timer);
        look_for_rest(t);
        return 0;
}

static int on_exit_of_command(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Notice *t = userdata;
        pid_t pid;

        (void) kill(-spawn_pid(t->spawn), SIGKILL);     /* first: until it is reaped, the number of its group is its own */
        pid = waitpid(spawn_pid(t->spawn), &t->status, WNOHANG);
        if (pid == 0 || (pid < 0 && errno == EINTR))
                return 0;
        if (pid < 0)
                t->status = W_EXITCODE(EXIT_FAILURE, 0);
        t->exit = sd_event_source_disable_unref(t->exit);       /* before the descriptor */
        t->timer = sd_event_source_disable_unref(t->timer);
        look_for_rest(t);
        return 0;
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata) {
        Notice *t = userdata;

        t->timed_out = true;
        kill_all(t);
        return 0;
}

/* All that may fail is done before it executes anything. */
static int prepare_command(Notice *t) {
        NotifyCommand *n = t->owner;
        pid_t pid = spawn_pid(t->spawn);
        int r = setpgid(pid, pid) < 0 ? -errno : 0;

        if (r >= 0)
                r = sd_event_add_io(n->event, &t->exit, spawn_pidfd(t->spawn), EPOLLIN, on_exit_of_command, t);
        if (r >= 0)
                r = sd_event_add_time_relative(n->event, &t->timer, CLOCK_MONOTONIC, n->timeout, USEC_PER_MSEC, on_timeout, t);
        if (r >= 0)
                return 0;
        t->exit = sd_event_source_disable_unref(t->exit);
        spawn_abandon(TAKE_PTR(t->spawn));
        return r;
}

static void notice_start(Notice *t) {
        int r;

        t->tries++;
        t->looks = 0;
        t->timed_out = false;
        r = spawn_command(t);
        if (r >= 0)
                r = prepare_command(t);
        if (r < 0) {
                try_again_or_not(t, strerror(-r));
                return;
        }
        t->owner->n_running++;
        spawn_launch(t->spawn);
}

static bool is_idle(const Notice *t) {
        return !t->spawn && !t->timer;
}

static Notice *next_idle(NotifyCommand *n) {
        LIST_FOREACH(notices, t, n->notices.first)
                if (is_idle(t))
                        return t;
        return NULL;
}

static void run_next(NotifyCommand *n) {
        Notice *t;

        while (n->n_running < NOTIFY_AT_ONCE && (t = next_idle(n)))
                notice_start(t);
}

/* ---- all ---- */

static int add_variable(NotifyCommand *n, const char *name, const char *value) {
        if (!value)
                return 0;
        n->env[n->n_env] = xasprintf("%s=%s", name, value);
        if (!n->env[n->n_env])
                return -ENOMEM;
        n->n_env++;
        return 0;
}

/* What programs need that send mail or talk to a desktop, and nothing else of ours. */
static int make_environment(NotifyCommand *n) {
        static const char *const passed_on[] = { "USER", "LOGNAME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS" };
        const struct passwd *pw = getenv("HOME") ? NULL : getpwuid(geteuid());
        int r = add_variable(n, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");

        static_assert(ELEMENTSOF(passed_on) + 3 <= ENV_MAX, "room for each");
        if (r >= 0)
                r = add_variable(n, "LANG", "C.UTF-8");
        if (r >= 0)
                r = add_variable(n, "HOME", pw ? pw->pw_dir : getenv("HOME"));
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(passed_on); i++)
                r = add_variable(n, passed_on[i], getenv(passed_on[i]));
        return r;
}

static int set_command_line(NotifyCommand *n, const char *command, usec_t timeout) {
        char *s = isempty(command) ? NULL : strdup(command);

        if (!isempty(command) && !s)
                return -ENOMEM;
        free(n->command);
        n->command = s;
        n->timeout = timeout;
        return 0;
}

int notify_command_new(const NotifyOptions *o, NotifyCommand **ret) {
        _cleanup_(notify_command_freep) NotifyCommand *n = calloc(1, sizeof *n);
        int r;

        if (!n)
                return -ENOMEM;
        n->event = sd_event_ref(o->event);
        n->retry_first = o->retry_first;
        n->user_mode = o->user_mode;
        n->look = o->look;
        n->userdata = o->userdata;
        r = told_open(o->state_directory, &n->told);
        if (r >= 0)
                r = sd_event_add_defer(n->event, &n->look_source, on_look_for_missed, n);
        if (r >= 0)
                r = sd_event_source_set_enabled(n->look_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(n->event, &n->look_again, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_look_again, n);
        if (r >= 0)
                r = sd_event_source_set_enabled(n->look_again, SD_EVENT_OFF);
        if (r >= 0)
                r = spawner_new(&n->spawner);
        if (r >= 0)
                r = make_environment(n);
        if (r >= 0)
                r = set_command_line(n, o->command, o->timeout);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(n);
        return 0;
}

NotifyCommand *notify_command_free(NotifyCommand *n) {
        if (!n)
                return NULL;
        if (n->n > 0)
                log_warning(_("Requests that NotifyCommand= has not told of: %u; they stay open (%s inbox), and are told at the next "
                              "start"), n->n, command_name(n));
        while (n->notices.first)
                notice_free(n->notices.first);
        spawner_free(n->spawner);
        told_free(n->told);
        sd_event_source_disable_unref(n->look_source);
        sd_event_source_disable_unref(n->look_again);
        sd_event_unref(n->event);
        for (size_t i = 0; i < n->n_env; i++)
                free(n->env[i]);
        free(n->command);
        free(n);
        return NULL;
}

int notify_command_change(NotifyCommand *n, const char *command, usec_t timeout) {
        int r = set_command_line(n, command, timeout);

        if (r < 0)
                return r;
        if (!n->command)
                LIST_FOREACH(notices, t, n->notices.first)
                        if (!t->spawn)
                                notice_free(t);
        told_forget_given_up(n->told);
        n->missed = true;                               /* what nobody was there to be told of */
        look_if_missed(n);
        return 0;
}

void notify_command_recover(NotifyCommand *n) {
        n->recovering = true;
        look(n);
}

static int add(NotifyCommand *n, const Activity *a) {
        Notice *t = calloc(1, sizeof *t);
        int r;

        if (!t)
                return -ENOMEM;
        t->owner = n;
        QUEUE_PUSH(notices, &n->notices, t);
        n->n++;
        t->run = a->run->id;
        t->opened_at = a->request->opened_at;
        t->activity = strdup(a->def->name);
        r = t->activity ? describe(a, n->user_mode, &t->input) : -ENOMEM;
        if (r < 0)
                notice_free(t);
        return r;
}

static void miss(NotifyCommand *n) {
        if (!n->full)
                log_warning(_("More than %u requests wait for NotifyCommand=; people are told of the others when it has caught up"),
                            NOTIFY_WAITING_MAX);
        n->full = n->missed = true;
}

static bool is_told(NotifyCommand *n, const Activity *a) {
        if (told_state(n->told, a->run->id, a->def->name, a->request->opened_at) != TOLD_NOT)
                return true;
        LIST_FOREACH(notices, t, n->notices.first)
                if (t->run == a->run->id && t->opened_at == a->request->opened_at && streq(t->activity, a->def->name))
                        return true;
        return false;
}

void notify_command_request(NotifyCommand *n, const Activity *a) {
        int r;

        if (activity_waiting_for(a) == WAITING_NOTHING)
                return;
        if (n->recovering)
                told_keep(n->told, a->run->id, a->def->name, a->request->opened_at);
        if (!n->command || (n->full && n->n >= NOTIFY_WAITING_MAX) || is_told(n, a))
                return;                                 /* where it is full, all are looked at again anyway */
        if (n->n >= NOTIFY_WAITING_MAX) {
                miss(n);
                return;
        }
        r = add(n, a);
        if (r < 0) {
                n->missed = true;
                log_error_errno(r, _("NotifyCommand= can't be told of a request: %m"));
        }
        run_next(n);
}

void notify_command_resolved(NotifyCommand *n, const Activity *a) {
        told_forget(n->told, a->run->id, a->def->name);
        LIST_FOREACH(notices, t, n->notices.first)
                if (t->run == a->run->id && streq(t->activity, a->def->name)) {
                        t->resolved = true;     /* one that is under way is not tried again */
                        if (!t->spawn)
                                notice_free(t);
                }
        look_if_missed(n);
}
