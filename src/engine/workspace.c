/* Copies of workspaces. A replay whose workspace begins as its original's was left waits for the copy, which a child process makes: cp,
 * sharing blocks where the file system can. It copies into a name that is used once and is renamed when it is whole; nothing of the run
 * goes on before that is in the journal. A copy is begun only when the run that wants it is stored; whatever a death leaves of it is
 * removed, by another child, before it is begun anew.
 *
 * The children stay in our session, so that nobody takes them for a step, and die with us. A few run at once, in the order in which they
 * were asked for. */
#include "engine-private.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fd-util.h"
#include "i18n.h"
#include "utf8.h"

static void go(Engine *e);

static Copy *copy_free(Copy *c) {
        Engine *e;

        if (!c)
                return NULL;
        e = c->engine;
        if (c->run)
                c->run->copy = NULL;
        LIST_REMOVE(copies, e->copies, c);
        if (c->state != COPY_MADE)
                e->n_copies--;
        sd_event_source_disable_unref(c->event_source);
        spawn_free(c->spawn);
        safe_close(c->output);
        free(c->directory);
        free(c->source);
        free(c->target);
        free(c->workspace);
        free(c->env[0]);
        free(c->error);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(Copy *, copy_free)

static int set_paths(Copy *c, uint32_t run) {
        const char *path = getenv("PATH");
        uint64_t nonce;

        if (getrandom(&nonce, sizeof nonce, 0) < 0)
                return -errno;
        c->source = exec_workspace_path(c->engine->state_directory, c->from);
        c->workspace = exec_workspace_path(c->engine->state_directory, run);
        c->directory = xasprintf("%s/work/%" PRIu32, c->engine->state_directory, run);
        c->target = xasprintf("%s/work/%" PRIu32 "/copy-%016" PRIx64, c->engine->state_directory, run, nonce);
        c->env[0] = xasprintf("PATH=%s", isempty(path) ? "/usr/local/bin:/usr/bin:/bin" : path);
        c->env[1] = (char *) "LC_ALL=C.UTF-8";
        return c->source && c->workspace && c->directory && c->target && c->env[0] ? 0 : -ENOMEM;
}

static int copy_new(EngineRun *er, Copy **ret) {
        _cleanup_(copy_freep) Copy *c = calloc(1, sizeof *c);
        int r;

        if (!c)
                return -ENOMEM;
        *c = (Copy) { .engine = er->engine, .from = er->run->workspace_from, .output = -1 };
        LIST_PREPEND(copies, er->engine->copies, c);
        er->engine->n_copies++;
        r = set_paths(c, er->id);
        if (r < 0)
                return r;
        c->run = er;
        er->copy = c;
        *ret = TAKE_PTR(c);
        return 0;
}

/* ---- the end of a copy ---- */

/* There is a copy, or `why` (taken) there is none. */
static int copy_made(Copy *c, char *why) {
        Engine *e = c->engine;
        EngineRun *er = c->run;

        if (why) {
                c->error = xasprintf(_("The workspace of run %u could not be copied: %s"), c->from, why);
                free(why);
        }
        c->state = COPY_MADE;
        e->n_copies--;
        if (!er)
                copy_free(c);
        else if (e->storage == STORAGE_FAILING || !er->run || e->settling)
                engine_mark_stale(e, er);
        else
                workspace_feed(er);
        go(e);
        return turn_arm(e);
}

static char *why_errno(int error) {
        return strdup(strerror(-error));
}

void workspace_feed(EngineRun *er) {
        Engine *e = er->engine;
        Copy *c = er->copy;
        Stamp now = engine_now(e);
        int r;

        if (!c || c->state != COPY_MADE)
                return;
        r = turn_reserve(e);
        if (r >= 0 && er->run->workspace_wanted)
                r = turn_book(e, er, run_workspace_ready(er->run, &now, c->error, &e->turn->outcome));
        if (r < 0 && r != -EBADMSG) {
                engine_mark_stale(e, er);
                return;
        }
        copy_free(c);                                   /* a failed commit wants it anew */
        (void) turn_decide(e, er, &now, scheduler_grant(&e->scheduler));
}

/* ---- children ---- */

static int copy_next(Copy *c);

static char *first_line(int fd) {
        char buf[COPY_ERROR_MAX + 1];
        ssize_t n = read(fd, buf, COPY_ERROR_MAX);

        if (n <= 0)
                return NULL;
        buf[n] = 0;
        return utf8_make_valid(buf, strcspn(buf, "\n"), COPY_ERROR_MAX);
}

/* NULL: it did what it was to do. */
static char *child_failure(Copy *c, int status, int error) {
        char *said;

        if (error != 0)
                return why_errno(-abs(error));
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return NULL;
        said = first_line(c->output);
        if (said)
                return said;
        return WIFSIGNALED(status) ? xasprintf(_("cp was killed by signal %d"), WTERMSIG(status))
                                   : xasprintf(_("cp ended with status %d"), WEXITSTATUS(status));
}

static int on_exit_of_child(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Copy *c = userdata;
        char *why;
        int status = 0, error;
        pid_t pid = waitpid(spawn_pid(c->spawn), &status, WNOHANG);

        if (pid == 0)
                return 0;
        if (pid < 0)
                status = W_EXITCODE(EXIT_FAILURE, 0);
        c->event_source = sd_event_source_disable_unref(c->event_source);       /* before the descriptor */
        error = spawn_error(c->spawn, NULL);
        c->spawn = spawn_free(c->spawn);
        why = c->run ? child_failure(c, status, error) : NULL;
        c->output = safe_close(c->output);
        if (!c->run || why)
                return copy_made(c, why);
        return copy_next(c);
}

/* The child's standard ones replace ours. */
static int above_standard(int fd) {
        int above = fd < 0 || fd > 2 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (above != fd)
                safe_close(fd);
        return above;
}

/* What the child says is bounded by the pipe: more is lost, and does not stop it. */
static int open_pipes(int *ret_null, int *ret_read, int *ret_write) {
        _cleanup_close_ int null = -1, in = -1, out = -1;
        int fds[2];

        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        in = above_standard(fds[0]);
        out = above_standard(fds[1]);
        if (in < 0 || out < 0)
                return -errno;
        null = above_standard(open("/dev/null", O_RDWR | O_CLOEXEC));
        if (null < 0)
                return -errno;
        *ret_null = TAKE_FD(null);
        *ret_read = TAKE_FD(in);
        *ret_write = TAKE_FD(out);
        return 0;
}

static int watch_child(Copy *c) {
        int r = sd_event_add_io(c->engine->event, &c->event_source, spawn_pidfd(c->spawn), EPOLLIN, on_exit_of_child, c);

        if (r < 0)
                return r;
        (void) sd_event_source_set_description(c->event_source, "workspace-copy");
        return sd_event_source_set_exit_on_failure(c->event_source, true);
}

static int start_child(Copy *c) {
        _cleanup_close_ int null = -1, in = -1, out = -1;
        int r = c->engine->spawner ? 0 : spawner_new(&c->engine->spawner);

        if (r >= 0)
                r = open_pipes(&null, &in, &out);
        if (r >= 0)
                r = spawn_new(c->engine->spawner, &(SpawnRequest) { .path = "/bin/sh", .argv = c->argv, .env = c->env, .directory = "/",
                                                                    .input = null, .output = null, .errors = out, .cgroup = -1,
                                                                    .same_session = true }, &c->spawn);
        if (r < 0)
                return r;
        r = watch_child(c);
        if (r < 0) {
                c->event_source = sd_event_source_disable_unref(c->event_source);
                spawn_abandon(TAKE_PTR(c->spawn));
                return r;
        }
        c->output = TAKE_FD(in);
        spawn_launch(c->spawn);
        return 0;
}

static int start_removing(Copy *c) {
        const char *const argv[] = { "sh", "-c", "chmod -R u+rwx -- \"$1\"; exec rm -rf -- \"$1\"", "sh", c->directory, NULL };

        c->state = COPY_REMOVING;
        memcpy(c->argv, argv, sizeof argv);
        return start_child(c);
}

/* -x: what a step has mounted in its workspace is not a part of it. */
static int start_copying(Copy *c) {
        const char *const argv[] = { "sh", "-c", "exec cp -axT --reflink=auto -- \"$1\" \"$2\"", "sh", c->source, c->target, NULL };
        int r = exec_make_workspace(c->engine->state_directory, c->run->id);

        c->state = COPY_COPYING;
        if (r < 0 && r != -EEXIST)
                return r;
        memcpy(c->argv, argv, sizeof argv);
        return start_child(c);
}

/* ---- step by step ---- */

static int try_again(sd_event_source *s, uint64_t usec, void *userdata) {
        Copy *c = userdata;

        c->event_source = sd_event_source_disable_unref(c->event_source);
        return copy_next(c);
}

/* When the machine can't start a process now, it may be able to later. */
static int failed(Copy *c, CopyState state, int error) {
        usec_t wait = PREPARE_BACKOFF << c->n_tries;
        int r;

        if (!errno_is_transient(error) || ++c->n_tries >= PREPARE_TRIES_MAX)
                return copy_made(c, why_errno(error));
        c->state = state;
        r = sd_event_add_time_relative(c->engine->event, &c->event_source, CLOCK_MONOTONIC, wait, USEC_PER_MSEC, try_again, c);
        if (r < 0)
                return copy_made(c, why_errno(error));
        (void) sd_event_source_set_description(c->event_source, "workspace-again");
        return sd_event_source_set_exit_on_failure(c->event_source, true);
}

static int copy_next(Copy *c) {
        CopyState was = c->state;
        struct stat st;
        int r = 0;

        switch (was) {
        case COPY_STARTING:
                r = lstat(c->directory, &st) >= 0 ? start_removing(c) : start_copying(c);
                break;
        case COPY_REMOVING:
                r = start_copying(c);
                break;
        case COPY_COPYING:
                return copy_made(c, rename(c->target, c->workspace) < 0 ? why_errno(-errno) : NULL);
        case COPY_MADE:
                return 0;
        }
        return r < 0 ? failed(c, was, r) : 0;
}

static void go(Engine *e) {
        if (e->starting_copies)                         /* one that can't be made at once comes back here */
                return;
        e->starting_copies = true;
        while (!e->stopping && e->n_copies < COPIES_MAX && e->copies_wanted.first) {
                EngineRun *er = e->copies_wanted.first;
                Copy *c;

                if (copy_new(er, &c) < 0)
                        break;                          /* out of memory: with the next one that is asked for, or that ends */
                QUEUE_REMOVE(copies, &e->copies_wanted, er);
                er->in_copies = false;
                (void) copy_next(c);
        }
        e->starting_copies = false;
}

void workspace_want(EngineRun *er) {
        Engine *e = er->engine;

        if (!er->run || !er->run->workspace_wanted || run_state_is_terminal(er->run->state) || er->copy || er->in_copies)
                return;
        er->in_copies = true;
        QUEUE_PUSH(copies, &e->copies_wanted, er);
        go(e);
}

static void dismiss(Copy *c) {
        if (c->run)
                c->run->copy = NULL;
        c->run = NULL;
        if (c->spawn)
                (void) kill(spawn_pid(c->spawn), SIGKILL);
        else
                copy_free(c);                           /* no child, or not yet */
}

void workspace_forget(EngineRun *er) {
        if (er->in_copies)
                QUEUE_REMOVE(copies, &er->engine->copies_wanted, er);
        er->in_copies = false;
        if (er->copy)
                dismiss(er->copy);
}

void workspace_stop(Engine *e) {
        LIST_FOREACH(copies, c, e->copies)
                dismiss(c);
}

void workspace_free(Engine *e) {
        workspace_stop(e);
        LIST_FOREACH(copies, c, e->copies) {
                while (waitpid(spawn_pid(c->spawn), NULL, 0) < 0 && errno == EINTR)
                        ;
                copy_free(c);
        }
        e->spawner = spawner_free(e->spawner);
}
