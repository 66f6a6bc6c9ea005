/* A state directory, an event loop and an executor for the tests of this layer, and steps that are run to their end in it. */
#pragma once

#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "executor.h"
#include "fd-util.h"
#include "process-table.h"

typedef struct World {
        sd_event *event;
        Executor *executor;
        ExecutorOptions options;
        char state[64], store_id[40];
        unsigned n_steps;                               /* gives each step a key of its own */
} World;

typedef struct Outcome {
        unsigned n_done;
        ExecOutcome outcome;
        int status;
        char *message, *stdout_tail, *outputs_error;
        Json *outputs, *error;
        uint64_t log_end, memory_peak;
        usec_t cpu;
} Outcome;

static inline void make_state(char state[static 64], char store_id[static 40]) {
        uint64_t id[2];

        assert_int_equal(getrandom(id, sizeof(id), 0), sizeof(id));
        (void) snprintf(store_id, 40, "%016" PRIx64 "%016" PRIx64, id[0], id[1]);
        strcpy(state, "/tmp/runbookd-exec-XXXXXX");
        assert_non_null(mkdtemp(state));
}

static inline void world_open_executor(World *w) {
        w->options = (ExecutorOptions) {
                .event = w->event,
                .state_directory = w->state,
                .store_id = w->store_id,
                .kill_grace = w->options.kill_grace,
                .log_max = w->options.log_max,
        };
        assert_ok(exec_process_new(&w->options, &w->executor));
        assert_ok(exec_make_workspace(w->state, 1));
}

static inline void world_open(World *w, usec_t kill_grace, uint64_t log_max) {
        *w = (World) { .options = { .kill_grace = kill_grace, .log_max = log_max } };
        make_state(w->state, w->store_id);
        assert_ok(sd_event_new(&w->event));
        world_open_executor(w);
}

static inline void world_close(World *w) {
        if (w->executor)
                w->executor->ops->free(w->executor);
        sd_event_unref(w->event);
        assert_ok(remove_tree(AT_FDCWD, w->state));
}

static inline void outcome_free(Outcome *o) {
        free(o->message);
        free(o->stdout_tail);
        free(o->outputs_error);
        json_unref(o->outputs);
        json_unref(o->error);
        *o = (Outcome) { 0 };
}

static inline void on_done(void *userdata, ExecJob *job, const ExecResult *r) {
        Outcome *o = userdata;

        o->n_done++;
        o->outcome = r->outcome;
        o->status = r->status;
        o->message = r->message ? strdup(r->message) : NULL;
        o->stdout_tail = r->stdout_tail ? strdup(r->stdout_tail) : NULL;
        o->outputs_error = r->outputs_error ? strdup(r->outputs_error) : NULL;
        o->outputs = json_ref(r->outputs);
        o->error = json_ref(r->error);
        o->log_end = r->log_end;
        o->memory_peak = r->memory_peak;
        o->cpu = r->cpu;
}

static inline int world_prepare(World *w, StepCommand c, Outcome *o, ExecJob **ret) {
        char key[16];

        (void) snprintf(key, sizeof(key), "%u", ++w->n_steps);
        *o = (Outcome) { 0 };
        c.run = c.run ? c.run : 1;
        c.runbook = c.runbook ? c.runbook : "book";
        c.activity = c.activity ? c.activity : "act";
        c.step = c.step ? c.step : "step-1";
        c.step_key = c.step_key ? c.step_key : key;
        c.attempt = c.attempt ? c.attempt : 1;
        return w->executor->ops->prepare(w->executor, &c, on_done, o, ret);
}

static inline ExecJob *world_launch(World *w, StepCommand c, Outcome *o) {
        ExecJob *job = NULL;

        assert_ok(world_prepare(w, c, o, &job));
        w->executor->ops->launch(job);
        assert_int_equal(o->n_done, 0);                 /* never from inside launch */
        return job;
}

static inline void world_wait(World *w, const Outcome *o) {
        while (o->n_done == 0)
                assert_true(sd_event_run(w->event, UINT64_MAX) >= 0);
        assert_int_equal(o->n_done, 1);
}

static inline void world_run(World *w, StepCommand c, Outcome *o) {
        (void) world_launch(w, c, o);
        world_wait(w, o);
}

/* argv of a shell script; valid until the end of the enclosing block. */
#define SCRIPT(text) .argv = (char *[]) { (char *) "/bin/sh", (char *) "-c", (char *) (text), NULL }

static inline void run_script(World *w, const char *script, Outcome *o) {
        world_run(w, (StepCommand) { SCRIPT(script) }, o);
}

static inline char *in_workspace(const World *w, const char *name) {
        char *s = xasprintf("%s/work/1/workspace/%s", w->state, name);

        assert_non_null(s);
        return s;
}

/* Content of a file that a step made; NULL: there is none. */
static inline char *workspace_read(const World *w, const char *name) {
        _cleanup_free_ char *path = in_workspace(w, name);
        char *text = NULL;

        return read_file(AT_FDCWD, path, 1024 * 1024, false, &text, NULL) < 0 ? NULL : text;
}

/* Waits, in the event loop, until a step has written a whole line to the file; returns the number in it. */
static inline long world_await_number(World *w, const char *name) {
        for (;;) {
                _cleanup_free_ char *text = workspace_read(w, name);

                if (text && strchr(text, '\n'))
                        return strtol(text, NULL, 10);
                assert_true(sd_event_run(w->event, 1000) >= 0);
        }
}

/* For cmocka: a world per test, with a grace that nothing waits for, and with a short one. */
#define HOUR (3600 * USEC_PER_SEC)
#define LOG_MAX (256u * 1024u)

static inline int setup_world(void **state, usec_t kill_grace) {
        World *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        world_open(w, kill_grace, LOG_MAX);
        *state = w;
        return 0;
}

static inline int setup(void **state) {
        return setup_world(state, HOUR);
}

static inline int setup_short_grace(void **state) {
        return setup_world(state, 50 * USEC_PER_MSEC);
}

static inline int teardown(void **state) {
        World *w = *state;

        world_close(w);
        free(w);
        return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define T_SHORT(name) cmocka_unit_test_setup_teardown(name, setup_short_grace, teardown)

static inline char *world_log(const World *w) {
        char *text = NULL;

        assert_ok(exec_log_tail(w->state, 1, "act", 1, 0, UINT64_MAX, 1024 * 1024, &text));
        return text;
}

static inline bool process_runs(long pid) {
        Process p;

        return process_read((pid_t) pid, &p) >= 0 && !p.dead;
}

static inline unsigned count_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        unsigned n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

static inline void make_file(World *w, const char *name, const char *text, mode_t mode) {
        _cleanup_free_ char *path = in_workspace(w, name);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);

        assert_true(fd >= 0);
        assert_ok(write_all(fd, text, strlen(text)));
        (void) close(fd);
}
