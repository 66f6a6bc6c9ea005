/* The "process" executor: steps are children of the daemon.
 *
 *      PREPARED   cloned and set up, waiting at the barrier
 *      RUNNING    launched; stop() may have been called
 *      OVER       the main process has ended and is kept unreaped, while what is left of the step is being ended
 *
 * A step is over when its main process is; what is left of it is ended then, as stop() ends all of it: SIGTERM, and from `kill_at` on
 * SIGKILL, looked at again after a pause that doubles, since processes may go on forking. In the common case nothing is left, and the one
 * look costs a microsecond.
 *
 * Rules: an event source goes before the descriptor that it watches. done() may prepare and launch other jobs, but the job itself is
 * finished with when it is called. Nothing of a step is trusted: not its files, not its text. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "executor.h"
#include "fd-util.h"
#include "i18n.h"
#include "list.h"
#include "process-tree.h"
#include "spawn.h"
#include "step-cgroup.h"
#include "step-env.h"
#include "step-files.h"
#include "step-log.h"
#include "step-output.h"

#define TICK_USEC (1 * USEC_PER_SEC)                    /* logs are bounded and orphans reaped this often */
#define TICK_ACCURACY_USEC (100 * USEC_PER_MSEC)
#define TIMER_ACCURACY_USEC (1 * USEC_PER_MSEC)
#define PAUSE_MIN_USEC (1 * USEC_PER_MSEC)
#define PAUSE_MAX_USEC (100 * USEC_PER_MSEC)
#define CLEAN_UP_USEC (30 * USEC_PER_SEC)
#define FREE_USEC (10 * USEC_PER_SEC)                   /* then processes that can't be killed are left alone */

typedef enum JobState { JOB_PREPARED, JOB_RUNNING, JOB_OVER } JobState;

typedef struct ExecProcess {
        Executor executor;                              /* must be first */
        sd_event *event;
        char *state_directory, *store_id, *boot_id, *mark_prefix;
        usec_t kill_grace;
        uint64_t log_max;
        int null_fd, logs_fd, step_fd;
        int oom_fd;                                     /* a file that counts kills for lack of memory, or -1 */
        uint64_t oom_kills;                             /* what it said at the last tick */
        uint64_t oom_deaths;                            /* of steps since then */
        StepEnvBase *env_base;
        LogCache *logs;
        Spawner *spawner;
        ProcessTree *tree;
        CgroupPool *cgroups;                            /* or NULL */
        sd_event_source *tick;
        sd_event_source *idle;                          /* on when there is something to make ahead */
        ExecJob *jobs;
} ExecProcess;

struct ExecJob {
        LIST_FIELDS(ExecJob, jobs);
        ExecProcess *executor;
        JobState state;
        ExecDone done;
        void *userdata;
        char **argv, **env;
        char *program, *directory;
        char *output_path, *error_path;                 /* of the files that it may write; output_path is its mark */
        Spawn *spawn;
        ProcessGroup group;
        bool in_tree;
        StepCgroup *cgroup;
        StepLog *log;
        uint64_t log_start, log_punched;
        int capture_fd;                                 /* standard output, or -1 */
        uint64_t capture_punched;
        sd_event_source *exit_source, *timer;
        usec_t kill_at;                                 /* USEC_INFINITY: it is not being ended */
        usec_t pause;
        bool killed;                                    /* by our SIGKILL */
};

static const ExecutorOps process_ops;

/* ---- freeing ------------------------------------------------------------------------------------------------------------------------- */

static void job_leave_tree(ExecJob *job) {
        if (job->in_tree)
                process_tree_remove(job->executor->tree, &job->group);
        job->in_tree = false;
}

/* Its process has been reaped, or was never made. */
static ExecJob *job_free(ExecJob *job) {
        if (!job)
                return NULL;
        sd_event_source_disable_unref(job->exit_source);
        sd_event_source_disable_unref(job->timer);
        job_leave_tree(job);
        spawn_free(job->spawn);
        if (job->cgroup)
                cgroup_pool_remove(job->executor->cgroups, job->cgroup);
        if (job->jobs_next || job->jobs_prev || job->executor->jobs == job)
                LIST_REMOVE(jobs, job->executor->jobs, job);
        log_cache_give_back(job->executor->logs, job->log);
        safe_close(job->capture_fd);
        free(job->argv);
        free(job->env);
        free(job->program);
        free(job->directory);
        free(job->output_path);
        free(job->error_path);
        free(job);
        return NULL;
}
DEFINE_CLEANUP(ExecJob *, job_free)

/* ---- deaths for lack of memory ------------------------------------------------------------------------------------------------------- */

/* Both memory.events and /proc/vmstat have a line "oom_kill N". */
static uint64_t count_oom_kills(const ExecProcess *e) {
        _cleanup_free_ char *text = NULL;
        const char *s;

        if (e->oom_fd < 0 || lseek(e->oom_fd, 0, SEEK_SET) < 0 || read_fd(e->oom_fd, 256 * 1024, &text, NULL) < 0)
                return 0;
        s = startswith(text, "oom_kill ") ? text : strstr(text, "\noom_kill ");
        return s ? strtoull(s + strcspn(s, " "), NULL, 10) : 0;
}

static void note_oom_kills(ExecProcess *e) {
        e->oom_kills = count_oom_kills(e);
        e->oom_deaths = 0;
}

/* A SIGKILL that is not ours, and since the last tick the kernel has killed something here for lack of memory. */
static bool died_for_lack_of_memory(ExecProcess *e, const ExecJob *job, int status) {
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL || job->killed)
                return false;
        if (count_oom_kills(e) <= e->oom_kills + e->oom_deaths)
                return false;
        e->oom_deaths++;
        return true;
}

/* ---- how it ended -------------------------------------------------------------------------------------------------------------------- */

typedef struct Ending {
        ExecResult result;
        char *message, *outputs_error, *stdout_tail;
} Ending;

static void ending_done(Ending *n) {
        json_unref(n->result.outputs);
        json_unref(n->result.error);
        free(n->message);
        free(n->outputs_error);
        free(n->stdout_tail);
}

static usec_t timeval_usec(const struct timeval *tv) {
        return (usec_t) tv->tv_sec * USEC_PER_SEC + (usec_t) tv->tv_usec;
}

static void take_usage(ExecResult *result, const struct rusage *usage) {
        struct rusage own;

        result->cpu = timeval_usec(&usage->ru_utime) + timeval_usec(&usage->ru_stime);
        /* Until it executed the command it had our memory, and the kernel counts that. Below our own peak nothing is known of its. */
        if (getrusage(RUSAGE_SELF, &own) >= 0 && usage->ru_maxrss > own.ru_maxrss)
                result->memory_peak = (uint64_t) usage->ru_maxrss * 1024;
}

static char *start_failure_message(const ExecJob *job, SpawnStage stage) {
        switch (stage) {
        case SPAWN_STAGE_DIRECTORY:
                return xasprintf(_("cannot enter the directory %s"), job->directory);
        case SPAWN_STAGE_EXECUTE:
                return xasprintf(_("cannot execute %s"), job->program);
        case SPAWN_STAGE_SETUP:
        case _SPAWN_STAGE_MAX:
        case _SPAWN_STAGE_INVALID:
                break;
        }
        return xasprintf(_("cannot set up a process for %s"), job->program);
}

/* Reaps the main process. */
static void reap_main(ExecProcess *e, ExecJob *job, Ending *n) {
        ExecResult *result = &n->result;
        struct rusage usage;
        SpawnStage stage = SPAWN_STAGE_SETUP;
        int status = 0, error = spawn_error(job->spawn, &stage);

        if (wait4(spawn_pid(job->spawn), &status, WNOHANG, &usage) <= 0) {
                result->outcome = EXEC_LOST;            /* somebody else has reaped it */
                return;
        }
        take_usage(result, &usage);
        if (error != 0) {
                result->outcome = EXEC_START_FAILED;
                result->status = error;
                result->message = n->message = start_failure_message(job, stage);
        } else if (WIFEXITED(status)) {
                result->outcome = EXEC_EXITED;
                result->status = WEXITSTATUS(status);
        } else {
                result->outcome = died_for_lack_of_memory(e, job, status) ? EXEC_OOM_KILLED : EXEC_SIGNALED;
                result->status = WTERMSIG(status);
        }
}

typedef struct ResultFile {
        const char *variable;                           /* for the message */
        size_t max;
        int (*parse)(const char *text, size_t n, Json **ret, char **ret_error);
} ResultFile;

static const ResultFile output_file = { "$RUNBOOK_OUTPUT", STEP_OUTPUT_MAX, step_output_parse };
static const ResultFile error_file = { "$RUNBOOK_ERROR", STEP_ERROR_MAX, step_error_parse };

static void take_file(ExecProcess *e, const ResultFile *f, const char *path, Json **ret, Ending *n) {
        _cleanup_free_ char *text = NULL, *error = NULL;
        size_t size = 0;
        int r;

        r = step_file_take(e->step_fd, strrchr(path, '/') + 1, f->max, &text, &size);
        if (r == 0)
                return;
        if (r > 0)
                r = f->parse(text, size, ret, &error);
        if (r >= 0 || n->outputs_error)
                return;
        if (r == -EFBIG)
                error = xasprintf(_("it is larger than %zu KiB"), f->max / 1024);
        else if (r == -EBADFD)
                error = xasprintf(_("it is not a regular file"));
        n->outputs_error = xasprintf(_("What the step wrote to %s cannot be taken: %s"), f->variable, error ? error : strerror(-r));
        /* Out of memory for the message: there has to be one, as NULL means fine. */
        n->result.outputs_error = n->outputs_error ? n->outputs_error : f->variable;
}

static void bound_files(ExecProcess *e, ExecJob *job) {
        /* File systems that can't free a part of a file keep it whole. */
        (void) log_punch(step_log_fd(job->log), job->log_start, e->log_max, &job->log_punched);
        if (job->capture_fd >= 0)
                (void) log_punch(job->capture_fd, 0, MAX(e->log_max, (uint64_t) STEP_STDOUT_MAX), &job->capture_punched);
}

/* Captured standard output goes to the log too, after what the step wrote to standard error. */
static void take_stdout(ExecProcess *e, ExecJob *job, Ending *n) {
        if (job->capture_fd < 0)
                return;
        (void) log_append_file(step_log_fd(job->log), job->capture_fd, e->log_max);
        if (log_read_tail(job->capture_fd, 0, UINT64_MAX, STEP_STDOUT_MAX, false, &n->stdout_tail) < 0)
                n->stdout_tail = strdup("");
        n->result.stdout_tail = n->stdout_tail;
}

/* Nothing is left of it. */
static void job_finish(ExecJob *job) {
        _cleanup_(ending_done) Ending n = { 0 };
        ExecProcess *e = job->executor;

        job_leave_tree(job);
        reap_main(e, job, &n);
        /* Its descriptor goes first, so that there is one for what it has written, however many others are in use. */
        job->exit_source = sd_event_source_disable_unref(job->exit_source);
        job->spawn = spawn_free(job->spawn);
        take_stdout(e, job, &n);
        bound_files(e, job);
        (void) file_size(step_log_fd(job->log), &n.result.log_end);
        take_file(e, &output_file, job->output_path, &n.result.outputs, &n);
        take_file(e, &error_file, job->error_path, &n.result.error, &n);
        LIST_REMOVE(jobs, e->jobs, job);
        job->done(job->userdata, job, &n.result);
        job_free(job);                                  /* afterwards, as whoever is told may have something to start */
}

/* ---- running and ending -------------------------------------------------------------------------------------------------------------- */

static void job_signal(ExecJob *job, int sig) {
        if (sig == SIGKILL && job->state == JOB_RUNNING)
                job->killed = true;
        process_tree_signal(job->executor->tree, &job->group, sig);
}

/* The next step in ending it: waits for the end of the grace, or kills and looks again. */
static void job_press(ExecJob *job) {
        const usec_t now = now_usec(CLOCK_MONOTONIC);
        usec_t at = usec_add(now, job->pause);

        if (now >= job->kill_at)
                job_signal(job, SIGKILL);
        else {
                process_tree_remind(job->executor->tree, &job->group);
                at = MIN(at, job->kill_at);
        }
        (void) sd_event_source_set_time(job->timer, at);
        (void) sd_event_source_set_enabled(job->timer, SD_EVENT_ONESHOT);
        job->pause = MIN(2 * job->pause, PAUSE_MAX_USEC);
}

static void job_begin_end(ExecJob *job) {
        job->kill_at = usec_add(now_usec(CLOCK_MONOTONIC), job->executor->kill_grace);
        job->pause = PAUSE_MIN_USEC;
        job_signal(job, SIGTERM);
}

/* The main process is over; is that all? */
static void job_settle(ExecJob *job) {
        if (!process_tree_left(job->executor->tree, &job->group)) {
                job_finish(job);
                return;
        }
        if (job->kill_at == USEC_INFINITY)
                job_begin_end(job);
        job_press(job);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        ExecJob *job = userdata;

        if (job->state == JOB_OVER)
                job_settle(job);
        else
                job_press(job);
        return 1;
}

static int on_exit_event(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        ExecJob *job = userdata;

        (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
        if (job->state == JOB_PREPARED)
                return 1;                               /* killed at the barrier, not by us: told after launch */
        job->state = JOB_OVER;
        job->pause = PAUSE_MIN_USEC;
        job_settle(job);
        return 1;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        ExecProcess *e = userdata;

        if (!e->jobs) {
                log_cache_drop_unused(e->logs);
                (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
                return 1;
        }
        LIST_FOREACH(jobs, job, e->jobs)
                bound_files(e, job);
        process_tree_reap(e->tree);
        note_oom_kills(e);
        (void) sd_event_source_set_time_relative(s, TICK_USEC);
        return 1;
}

/* What the next step needs, made while there is nothing else to do. */
static int on_idle(sd_event_source *s, void *userdata) {
        ExecProcess *e = userdata;

        if (!e->jobs)
                return 1;                               /* the last tick, which clears away, may be over */
        log_cache_make_ahead(e->logs);
        if (e->cgroups)
                cgroup_pool_make_ahead(e->cgroups);
        return 1;
}

static int start_ticking(ExecProcess *e) {
        int enabled = SD_EVENT_OFF, r;

        (void) sd_event_source_get_enabled(e->tick, &enabled);
        if (enabled != SD_EVENT_OFF)
                return 0;
        note_oom_kills(e);
        r = sd_event_source_set_time_relative(e->tick, TICK_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(e->tick, SD_EVENT_ON);
}

/* ---- preparing ----------------------------------------------------------------------------------------------------------------------- */

/* The array and its strings in one allocation. */
static char **copy_argv(char *const *argv) {
        size_t n = 0, size = 0;
        char **copy, *s;

        for (; argv[n]; n++)
                size += strlen(argv[n]) + 1;
        copy = malloc((n + 1) * sizeof(copy[0]) + size);
        if (!copy)
                return NULL;
        s = (char *) (copy + n + 1);
        for (size_t i = 0; i < n; i++) {
                copy[i] = s;
                s = stpcpy(s, argv[i]) + 1;
        }
        copy[n] = NULL;
        return copy;
}

static char *step_directory(const char *state_directory, const StepCommand *c) {
        _cleanup_free_ char *workspace = NULL;

        if (c->working_directory && c->working_directory[0] == '/')
                return strdup(c->working_directory);
        workspace = exec_workspace_path(state_directory, c->run);
        if (!workspace || isempty(c->working_directory))
                return TAKE_PTR(workspace);
        return path_join(workspace, c->working_directory);
}

/* Path of a file that the step may write; what a step of this name left before the daemon died must not be read. */
static int make_file_path(ExecProcess *e, const StepCommand *c, const char *suffix, char **ret) {
        _cleanup_free_ char *name = step_file_name(e->store_id, c, suffix);

        if (!name)
                return -ENOMEM;
        step_file_remove(e->step_fd, name);
        *ret = xasprintf("%s/step/%s", e->state_directory, name);
        return *ret ? 0 : -ENOMEM;
}

static int job_set_command(ExecJob *job, const StepCommand *c) {
        ExecProcess *e = job->executor;
        int r;

        job->directory = step_directory(e->state_directory, c);
        job->argv = copy_argv(c->argv);
        if (!job->directory || !job->argv)
                return -ENOMEM;
        r = make_file_path(e, c, STEP_FILE_OUTPUT, &job->output_path);
        if (r >= 0)
                r = make_file_path(e, c, STEP_FILE_ERROR, &job->error_path);
        if (r >= 0)
                r = step_env_make(e->env_base, c, job->output_path, job->error_path, &job->env);
        if (r < 0)
                return r;
        return step_find_program(job->argv[0], step_env_get(job->env, "PATH"), job->directory, &job->program);
}

static int job_open_files(ExecJob *job, const StepCommand *c) {
        ExecProcess *e = job->executor;
        int r;

        r = log_cache_take(e->logs, c->run, c->activity, c->attempt, &job->log);
        if (r >= 0)
                r = file_size(step_log_fd(job->log), &job->log_start);
        if (r >= 0 && c->capture_stdout)
                r = step_capture_open(e->step_fd, &job->capture_fd);
        return r;
}

static bool is_shortage(int r) {
        return r == -EAGAIN || r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

static int job_spawn(ExecJob *job) {
        ExecProcess *e = job->executor;
        SpawnRequest request = {
                .path = job->program,
                .argv = job->argv,
                .env = job->env,
                .directory = job->directory,
                .input = e->null_fd,
                .output = job->capture_fd >= 0 ? job->capture_fd : step_log_fd(job->log),
                .errors = step_log_fd(job->log),
                .cgroup = -1,
        };
        int r;

        if (e->cgroups && cgroup_pool_take(e->cgroups, &job->cgroup) >= 0) {
                request.cgroup = step_cgroup_fd(job->cgroup);
                r = spawn_new(e->spawner, &request, &job->spawn);
                if (r >= 0 || is_shortage(r))
                        return r;
                cgroup_pool_remove(e->cgroups, TAKE_PTR(job->cgroup)); /* the group does not take it: the rest does without */
                request.cgroup = -1;
        }
        return spawn_new(e->spawner, &request, &job->spawn);
}

static int job_watch(ExecJob *job) {
        ExecProcess *e = job->executor;
        int r;

        job->group = (ProcessGroup) { .pid = spawn_pid(job->spawn), .mark = job->output_path, .cgroup = job->cgroup };
        r = process_tree_add(e->tree, &job->group);
        if (r < 0)
                return r;
        job->in_tree = true;
        r = sd_event_add_io(e->event, &job->exit_source, spawn_pidfd(job->spawn), EPOLLIN, on_exit_event, job);
        /* Now, as there must be one when it is needed. */
        if (r >= 0)
                r = sd_event_add_time(e->event, &job->timer, CLOCK_MONOTONIC, USEC_INFINITY, TIMER_ACCURACY_USEC, on_timer, job);
        if (r >= 0)
                r = sd_event_source_set_enabled(job->timer, SD_EVENT_OFF);
        return r < 0 ? r : start_ticking(e);
}

/* Kills the process at the barrier. */
static void job_abandon(ExecJob *job) {
        job->exit_source = sd_event_source_disable_unref(job->exit_source);
        job->timer = sd_event_source_disable_unref(job->timer);
        job_leave_tree(job);
        spawn_abandon(TAKE_PTR(job->spawn));
}

static int process_prepare(Executor *executor, const StepCommand *c, ExecDone done, void *userdata, ExecJob **ret) {
        _cleanup_(job_freep) ExecJob *job = NULL;
        int r;

        if (!c->argv || !c->argv[0] || !step_name_is_safe(c->activity) || !step_name_is_safe(c->step_key))
                return -EINVAL;
        job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;
        *job = (ExecJob) {
                .executor = (ExecProcess *) executor,
                .done = done,
                .userdata = userdata,
                .capture_fd = -1,
                .kill_at = USEC_INFINITY,
        };
        r = job_set_command(job, c);
        if (r >= 0)
                r = job_open_files(job, c);
        if (r >= 0)
                r = job_spawn(job);
        if (r < 0)
                return r;
        r = job_watch(job);
        if (r < 0) {
                job_abandon(job);
                return r;
        }
        LIST_PREPEND(jobs, job->executor->jobs, job);
        *ret = TAKE_PTR(job);
        return 0;
}

static void process_launch(ExecJob *job) {
        assert(job->state == JOB_PREPARED);
        spawn_launch(job->spawn);
        job->state = JOB_RUNNING;
        process_tree_launched(job->executor->tree, &job->group);
        (void) sd_event_source_set_enabled(job->exit_source, SD_EVENT_ON);
        (void) sd_event_source_set_enabled(job->executor->idle, SD_EVENT_ONESHOT);
}

static void process_abandon(ExecJob *job) {
        assert(job->state == JOB_PREPARED);
        job_abandon(job);
        job_free(job);
}

static void process_stop(ExecJob *job) {
        assert(job->state != JOB_PREPARED);
        if (job->kill_at == USEC_INFINITY)
                job_begin_end(job);
        else
                job->kill_at = 0;
        job_press(job);
}

/* ---- for recovery -------------------------------------------------------------------------------------------------------------------- */

static Json *process_identify(const ExecJob *job) {
        _cleanup_json_ Json *j = json_new_object();

        if (!j || json_set_int(j, "pid", spawn_pid(job->spawn)) < 0 || json_set_uint(j, "start", spawn_start(job->spawn)) < 0 ||
            json_set_string(j, "boot", job->executor->boot_id) < 0)
                return NULL;
        if (job->cgroup && json_set_string(j, "cgroup", step_cgroup_path(job->cgroup)) < 0)
                return NULL;
        return TAKE_PTR(j);
}

static int process_clean_up(Executor *executor, const Json *identities) {
        ExecProcess *e = (ExecProcess *) executor;
        int r;

        r = process_tree_clean_up(e->mark_prefix, e->store_id, e->cgroups, identities, CLEAN_UP_USEC);
        if (r >= 0)
                step_files_remove_all(e->step_fd, e->store_id);
        return r;
}

/* ---- the executor itself ------------------------------------------------------------------------------------------------------------- */

/* Kills the job's processes and waits for them; at last they are left to the kernel. */
static void job_kill(ExecJob *job, usec_t until) {
        usec_t pause = PAUSE_MIN_USEC;

        job->exit_source = sd_event_source_disable_unref(job->exit_source);
        while (now_usec(CLOCK_MONOTONIC) < until) {
                siginfo_t info = { 0 };

                job_signal(job, SIGKILL);
                if (waitid(P_PID, (id_t) spawn_pid(job->spawn), &info, WEXITED | WNOWAIT | WNOHANG) < 0)
                        break;
                if (info.si_pid != 0 && !process_tree_left(job->executor->tree, &job->group))
                        break;
                (void) usleep((useconds_t) pause);
                pause = MIN(2 * pause, PAUSE_MAX_USEC);
        }
        (void) waitpid(spawn_pid(job->spawn), NULL, WNOHANG);
}

static Executor *process_free(Executor *executor) {
        ExecProcess *e = (ExecProcess *) executor;
        const usec_t until = usec_add(now_usec(CLOCK_MONOTONIC), FREE_USEC);

        if (!e)
                return NULL;
        LIST_FOREACH(jobs, job, e->jobs)
                if (job->state == JOB_PREPARED)
                        process_abandon(job);
        LIST_FOREACH(jobs, job, e->jobs)
                job_signal(job, SIGKILL);               /* all at once, then one after the other */
        LIST_FOREACH(jobs, job, e->jobs) {
                job_kill(job, until);
                job_free(job);
        }
        e->idle = sd_event_source_disable_unref(e->idle);
        e->tick = sd_event_source_disable_unref(e->tick);
        log_cache_free(e->logs);
        process_tree_free(e->tree);
        cgroup_pool_free(e->cgroups);
        spawner_free(e->spawner);
        step_env_base_free(e->env_base);
        safe_close(e->oom_fd);
        safe_close(e->null_fd);
        safe_close(e->logs_fd);
        safe_close(e->step_fd);
        sd_event_unref(e->event);
        free(e->state_directory);
        free(e->store_id);
        free(e->boot_id);
        free(e->mark_prefix);
        free(e);
        return NULL;
}

static void process_freep(ExecProcess **e) {
        if (*e)
                process_free(&(*e)->executor);
}

/* The descriptors 0, 1 and 2 are taken afterwards, so that nothing opened later is one of them, which children replace. */
static int open_null(int *ret) {
        for (;;) {
                int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

                if (fd < 0)
                        return -errno;
                if (fd > 2) {
                        *ret = fd;
                        return 0;
                }
        }
}

static int copy_options(ExecProcess *e, const ExecutorOptions *o) {
        if (isempty(o->state_directory) || o->state_directory[0] != '/' || isempty(o->store_id) || strpbrk(o->store_id, "/-"))
                return -EINVAL;
        e->event = sd_event_ref(o->event);
        e->kill_grace = o->kill_grace;
        e->log_max = o->log_max;
        e->state_directory = strdup(o->state_directory);
        e->store_id = strdup(o->store_id);
        e->mark_prefix = step_file_prefix(o->state_directory, o->store_id);
        return e->state_directory && e->store_id && e->mark_prefix ? 0 : -ENOMEM;
}

static int make_parts(ExecProcess *e) {
        int r;

        r = open_null(&e->null_fd);
        if (r >= 0)
                r = boot_id_read(&e->boot_id);
        if (r >= 0)
                r = step_directories_make(e->state_directory, &e->logs_fd, &e->step_fd);
        if (r >= 0)
                r = step_env_base_new(e->state_directory, &e->env_base);
        if (r >= 0)
                r = log_cache_new(e->logs_fd, &e->logs);
        if (r >= 0)
                r = spawner_new(&e->spawner);
        if (r >= 0)
                r = process_tree_new(e->mark_prefix, &e->tree);
        if (r < 0)
                return r;
        if (spawner_can_enter_cgroup(e->spawner))
                (void) cgroup_pool_new(e->store_id, &e->cgroups);
        e->oom_fd = cgroup_open_memory_events();
        if (e->oom_fd < 0)
                e->oom_fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
        return 0;
}

static int make_sources(ExecProcess *e) {
        int r;

        r = sd_event_add_time_relative(e->event, &e->tick, CLOCK_MONOTONIC, TICK_USEC, TICK_ACCURACY_USEC, on_tick, e);
        if (r >= 0)
                r = sd_event_source_set_enabled(e->tick, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(e->event, &e->idle, on_idle, e);
        if (r >= 0)
                r = sd_event_source_set_enabled(e->idle, SD_EVENT_OFF);
        return r < 0 ? r : sd_event_source_set_priority(e->idle, SD_EVENT_PRIORITY_IDLE);
}

int exec_process_new(const ExecutorOptions *o, Executor **ret) {
        _cleanup_(process_freep) ExecProcess *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return -ENOMEM;
        *e = (ExecProcess) { .executor.ops = &process_ops, .null_fd = -1, .logs_fd = -1, .step_fd = -1, .oom_fd = -1 };
        r = copy_options(e, o);
        if (r >= 0)
                r = make_parts(e);
        if (r >= 0)
                r = make_sources(e);
        if (r < 0)
                return r;
        *ret = &TAKE_PTR(e)->executor;
        return 0;
}

static const ExecutorOps process_ops = {
        .name = "process",
        .prepare = process_prepare,
        .launch = process_launch,
        .abandon = process_abandon,
        .stop = process_stop,
        .identify = process_identify,
        .clean_up = process_clean_up,
        .free = process_free,
};
