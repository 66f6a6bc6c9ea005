/* Copies of workspaces, by real children. A cp of our own, first in PATH, waits or fails when a test wants it to. */
#include "engine-fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fd-util.h"

typedef struct Copying {
        World *w;
        char bin[128], *path;                           /* where that cp is; PATH as it was */
} Copying;

static int setup(void **state) {
        Copying *c = calloc(1, sizeof *c);
        const char *path = getenv("PATH");

        if (!c || world_setup((void **) &c->w) < 0)
                return -1;
        (void) snprintf(c->bin, sizeof c->bin, "%s/bin", c->w->top);
        c->path = strdup(strempty(path));
        *state = c;
        return c->path && mkdir(c->bin, 0700) >= 0 ? 0 : -1;
}

static int teardown(void **state) {
        Copying *c = *state;
        int r = setenv("PATH", c->path, 1) >= 0 ? world_teardown((void **) &c->w) : -1;

        free(c->path);
        free(c);
        return r;
}

static void write_file(const char *path, const char *text, mode_t mode) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

        assert_true(fd >= 0);
        assert_ok(write_all(fd, text, strlen(text)));
}

/* From now on this is what copies. */
static void replace_cp(Copying *c, const char *script) {
        _cleanup_free_ char *cp = path_join(c->bin, "cp"), *path = xasprintf("%s:%s", c->bin, c->path);

        write_file(cp, script, 0700);
        assert_int_equal(setenv("PATH", path, 1), 0);
}

static void true_cp(Copying *c) {
        assert_int_equal(setenv("PATH", c->path, 1), 0);
}

static char *in_work(World *w, uint32_t run, const char *name) {
        return xasprintf("%s/work/%u/%s", w->state, run, name);
}

static bool has_file(World *w, uint32_t run, const char *name, const char *text) {
        _cleanup_free_ char *path = in_work(w, run, name), *found = NULL;

        return read_file(AT_FDCWD, path, 1024, true, &found, NULL) >= 0 && streq(found, text);
}

/* A run that left something in its workspace, and failed. */
static uint32_t start_failed(World *w) {
        uint32_t run = world_start(w, "chain");
        _cleanup_free_ char *directory = in_work(w, run, "workspace/sub"), *file = in_work(w, run, "workspace/sub/left"),
                            *link = in_work(w, run, "workspace/link"), *tool = in_work(w, run, "workspace/tool");

        fake_exit(w->fake, run, "a", 0);
        world_turn(w);
        assert_int_equal(mkdir(directory, 0755), 0);
        write_file(file, "here\n", 0600);
        write_file(tool, "#!/bin/sh\n", 0750);
        assert_int_equal(symlink("sub/left", link), 0);
        assert_int_equal(chmod(directory, 0555), 0);
        fake_exit(w->fake, run, "b", 1);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_FAILED);
        return run;
}

/* Asked for and stored; its child has begun where there is room for it. */
static uint32_t replay(World *w, uint32_t run, bool fresh) {
        _cleanup_free_ char *message = NULL;
        const ReplayRequest q = { .fresh_workspace = fresh };
        Ticket ticket;
        uint32_t new;

        assert_int_equal(engine_replay(w->engine, run, &world_actor, &q, &new, &ticket, &message), VERDICT_OK);
        assert_ok(engine_flush(w->engine));
        return new;
}

static void wait_for_launch(World *w, uint32_t run) {
        char line[64];

        (void) snprintf(line, sizeof line, "launch %u/b/1", run);
        world_wait(w, line);
}

static void wait_until_reaped(World *w) {
        while (w->engine->copies)
                assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
}

static pid_t child_of(World *w, uint32_t run) {
        const EngineRun *er = engine_run(w->engine, run);

        assert_non_null(er->copy);
        assert_non_null(er->copy->spawn);
        return spawn_pid(er->copy->spawn);
}

static int count_entries(World *w, uint32_t run) {
        _cleanup_free_ char *path = in_work(w, run, "");
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, NULL);

        for (int i = 0; i < n; i++)
                free(entries[i]);
        free(entries);
        return n - 2;                                   /* . and .. */
}

static void test_copy(void **state) {
        World *w = ((Copying *) *state)->w;
        uint32_t run = start_failed(w), new = replay(w, run, false);
        _cleanup_free_ char *directory = in_work(w, new, "workspace"), *sub = in_work(w, new, "workspace/sub"),
                            *tool = in_work(w, new, "workspace/tool"), *link = in_work(w, new, "workspace/link");
        char target[16] = { 0 };
        struct stat st;

        assert_true(world_run(w, new)->workspace_wanted);
        assert_int_equal(world_stored_state(w, new), RUN_QUEUED);
        assert_int_equal(w->engine->n_copies, 1);
        wait_for_launch(w, new);
        assert_int_equal(world_events(w, new, "run-workspace"), 1);
        assert_true(has_file(w, new, "workspace/sub/left", "here\n"));
        assert_int_equal(stat(directory, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_int_equal(stat(sub, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0555);
        assert_int_equal(stat(tool, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0750);
        assert_int_equal(readlink(link, target, sizeof target - 1), 8);
        assert_string_equal(target, "sub/left");
        assert_int_equal(count_entries(w, new), 2);     /* workspace and tmp, and nothing else */
        assert_true(has_file(w, run, "workspace/sub/left", "here\n"));
        assert_null(w->engine->copies);
        assert_int_equal(w->engine->n_copies, 0);
}

static void test_fresh(void **state) {
        World *w = ((Copying *) *state)->w;
        uint32_t new = replay(w, start_failed(w), true);

        world_turn(w);
        assert_non_null(fake_find(w->fake, new, "b"));
        assert_int_equal(world_events(w, new, "run-workspace"), 0);
        assert_false(has_file(w, new, "workspace/sub/left", "here\n"));
}

/* An original without a workspace (it never ran a step) has nothing to copy. */
static void test_nothing_to_copy(void **state) {
        World *w = ((Copying *) *state)->w;
        _cleanup_free_ char *message = NULL;
        uint32_t run = world_start(w, "sign"), new;
        Ticket ticket;

        assert_int_equal(engine_answer(w->engine, run, "qa", &world_actor, false, NULL, NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_int_equal(world_stored_state(w, run), RUN_REJECTED);
        new = replay(w, run, false);
        assert_false(world_run(w, new)->workspace_wanted);
        assert_int_equal(world_run(w, new)->state, RUN_ON_HOLD);
}

/* Killed half-way: the child dies with the daemon, what it left is removed, and the copy is made anew. */
static void test_death(void **state) {
        Copying *c = *state;
        World *w = c->w;
        uint32_t run = start_failed(w), new;
        _cleanup_free_ char *half = NULL, *inner = NULL;
        pid_t child;

        replace_cp(c, "#!/bin/sh\nexec sleep 1000\n");
        new = replay(w, run, false);
        half = in_work(w, new, "copy-0123456789abcdef");
        inner = in_work(w, new, "copy-0123456789abcdef/locked");
        child = child_of(w, new);
        assert_int_equal(getsid(child), getsid(0));     /* nobody takes it for a step */
        world_close(w);
        assert_int_equal(kill(child, 0), -1);
        assert_int_equal(errno, ESRCH);
        assert_int_equal(mkdir(half, 0700), 0);
        write_file(inner, "half", 0400);
        assert_int_equal(chmod(half, 0500), 0);
        true_cp(c);
        world_open(w);
        world_trace_clear(w);
        wait_for_launch(w, new);
        assert_true(has_file(w, new, "workspace/sub/left", "here\n"));
        assert_int_equal(access(half, F_OK), -1);
        assert_int_equal(world_events(w, new, "run-workspace"), 1);
}

/* It can't be copied: the run is parked with the reason, and can be replayed: from the workspace that it was to have. */
static void test_failure(void **state) {
        Copying *c = *state;
        World *w = c->w;
        uint32_t run = start_failed(w), new;

        replace_cp(c, "#!/bin/sh\necho 'cp: no room at all' >&2\nexit 1\n");
        new = replay(w, run, false);
        world_wait(w, "finished 2 dlq");
        assert_non_null(strstr(world_run(w, new)->reason, "workspace of run 1 could not be copied: cp: no room at all"));
        assert_int_equal(world_events(w, new, "run-started"), 0);
        true_cp(c);
        new = replay(w, new, false);
        assert_int_equal(world_run(w, new)->workspace_from, run);
        wait_for_launch(w, new);
        assert_true(has_file(w, new, "workspace/sub/left", "here\n"));
}

/* However much it says: more than fits is lost, and does not stop it. */
static void test_talkative(void **state) {
        Copying *c = *state;
        World *w = c->w;
        uint32_t run = start_failed(w), new;

        replace_cp(c, "#!/bin/sh\nhead -c 300000 /dev/zero | tr '\\0' x >&2\nexit 1\n");
        new = replay(w, run, false);
        world_wait(w, "finished 2 dlq");
        assert_true(strlen(world_run(w, new)->reason) < COPY_ERROR_MAX + 256);
}

static void test_killed(void **state) {
        Copying *c = *state;
        World *w = c->w;
        uint32_t run = start_failed(w), new;

        replace_cp(c, "#!/bin/sh\nkill -9 $$\n");
        new = replay(w, run, false);
        world_wait(w, "finished 2 dlq");
        assert_non_null(strstr(world_run(w, new)->reason, "signal 9"));
}

/* Cancelled while it is copied: the run ends at once, the child is killed and reaped. */
static void test_cancel(void **state) {
        Copying *c = *state;
        World *w = c->w;
        uint32_t run = start_failed(w), new;
        _cleanup_free_ char *message = NULL;
        Ticket ticket;
        pid_t child;

        replace_cp(c, "#!/bin/sh\nexec sleep 1000\n");
        new = replay(w, run, false);
        child = child_of(w, new);
        assert_int_equal(engine_cancel(w->engine, new, &world_actor, NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        assert_int_equal(world_stored_state(w, new), RUN_CANCELLED);
        wait_until_reaped(w);
        assert_int_equal(kill(child, 0), -1);
        assert_int_equal(w->engine->n_copies, 0);
}

/* A few at once; the others follow. */
static void test_limit(void **state) {
        Copying *c = *state;
        World *w = c->w;
        uint32_t run = start_failed(w), last = 0;
        _cleanup_free_ char *gate = path_join(w->top, "gate"),
                            *script = xasprintf("#!/bin/sh\nwhile [ ! -e %s ]; do sleep 0.01; done\nPATH=%s\nexec cp \"$@\"\n", gate,
                                                c->path);

        replace_cp(c, script);
        w->engine->scheduler.max = 20;
        for (unsigned i = 0; i < COPIES_MAX + 3; i++)
                last = replay(w, run, false);
        world_turn(w);
        assert_int_equal(w->engine->n_copies, COPIES_MAX);
        assert_non_null(w->engine->copies_wanted.first);
        assert_int_equal(w->fake->n_launched, 2);
        write_file(gate, "", 0600);
        while (fake_count(w->fake, 0) < COPIES_MAX + 3)
                assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
        assert_null(w->engine->copies_wanted.first);
        assert_true(has_file(w, last, "workspace/sub/left", "here\n"));
        assert_int_equal(w->engine->n_copies, 0);
}

/* Many that can't even be begun. */
static void test_none_can_begin(void **state) {
        Copying *c = *state;
        World *w = c->w;
        uint32_t run = start_failed(w);

        replace_cp(c, "#!/bin/sh\nexec sleep 1000\n");
        for (unsigned i = 0; i < 40; i++)
                replay(w, run, false);
        _cleanup_free_ char *work = path_join(w->state, "work"), *away = path_join(w->state, "away");
        assert_int_equal(rename(work, away), 0);
        write_file(work, "no directory", 0600);
        for (uint32_t i = 0; i < COPIES_MAX; i++)
                assert_int_equal(kill(child_of(w, run + 1 + i), SIGKILL), 0);
        while (intmap_size(w->engine->runs) > 0)
                assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
        assert_int_equal(world_stored_state(w, run + 40), RUN_DLQ);
        assert_int_equal(unlink(work), 0);
        assert_int_equal(rename(away, work), 0);
}

/* The storage fails when the copy is made: it is kept in mind, and the run goes on when the storage is back. */
static void test_storage_fails(void **state) {
        Copying *c = *state;
        World *w = c->w;
        uint32_t run = start_failed(w), new, other = world_start(w, "wide");

        w->engine->scheduler.max = 20;
        new = replay(w, run, false);
        world_fail(w);
        fake_exit(w->fake, other, NULL, 0);
        while (w->engine->storage != STORAGE_FAILING || w->engine->n_copies > 0)
                assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
        world_turn(w);
        assert_int_equal(world_events(w, new, "run-workspace"), 0);
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        wait_for_launch(w, new);
        assert_int_equal(world_events(w, new, "run-workspace"), 1);
        assert_true(has_file(w, new, "workspace/sub/left", "here\n"));
}

/* The very commit that says that it is made fails: it is made once more. */
static void test_its_commit_fails(void **state) {
        Copying *c = *state;
        World *w = c->w;
        uint32_t run = start_failed(w), new = replay(w, run, false);

        world_fail(w);
        while (w->engine->storage != STORAGE_FAILING)
                assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
        assert_true(world_run(w, new)->workspace_wanted);
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        wait_for_launch(w, new);
        assert_true(has_file(w, new, "workspace/sub/left", "here\n"));
        assert_int_equal(world_trace_count(w, "launch 2/b/1"), 1);
}

static void on_stopped(void *userdata) {
        ((World *) userdata)->n_stopped++;
}

/* A clean stop does not wait for it. */
static void test_stop(void **state) {
        Copying *c = *state;
        World *w = c->w;
        uint32_t run = start_failed(w), new;
        pid_t child;

        replace_cp(c, "#!/bin/sh\nexec sleep 1000\n");
        new = replay(w, run, false);
        child = child_of(w, new);
        assert_ok(engine_stop(w->engine, on_stopped, w));
        world_turn(w);
        assert_int_equal(w->n_stopped, 1);
        world_close(w);
        assert_int_equal(kill(child, 0), -1);
        true_cp(c);
        world_open(w);
        world_trace_clear(w);
        wait_for_launch(w, new);
}

#define copy_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                copy_test(test_copy),
                copy_test(test_fresh),
                copy_test(test_nothing_to_copy),
                copy_test(test_death),
                copy_test(test_failure),
                copy_test(test_talkative),
                copy_test(test_killed),
                copy_test(test_cancel),
                copy_test(test_limit),
                copy_test(test_none_can_begin),
                copy_test(test_storage_fails),
                copy_test(test_its_commit_fails),
                copy_test(test_stop),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
