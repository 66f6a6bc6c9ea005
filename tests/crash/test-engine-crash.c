/* The engine dies at every write and every flush of runs that go through hooks, retries of activities and of runs, decisions with inputs
 * and with another definition, a pause, a cancel, a replay, a rerun, and the run that follows a failure (stories.c).
 *
 * A child lives the story on the store through the fault VFS and dies at the n-th write or flush, for every n until it gets through; at
 * times what it leaves is taken up by a second one that dies soon after; the last life is the test's own, and ends. What each of them told
 * anybody before it died is there in the last one; in the end the history keeps the rules (history-check.c) and all has come as if nobody
 * had died. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fd-util.h"
#include "log.h"
#include "story.h"

/* No story comes near them: they end a test that never gets through. */
#define N_MAX 3000
#define ROUNDS_MAX 400
#define SAID_MAX 64
#define TRACE_MAX (64 * 1024)

/* An event that must be there. */
typedef struct Item {
        uint32_t run;
        char type[24], activity[8];
} Item;

/* What a life has told: verbs that were taken up, and the trace of the executor and the observer. Shared with the child. */
typedef struct Said {
        unsigned n;
        Item items[SAID_MAX];
        char trace[2 * TRACE_MAX];                      /* of both lives */
} Said;

static Said *shared;

/* The verbs of this life. */
static struct {
        uint32_t run;
        const char *type, *activity;
        Ticket ticket;
} verbs[SAID_MAX];
static unsigned n_verbs;

void said(uint32_t run, const char *type, const char *activity, Ticket ticket) {
        assert_true(n_verbs < SAID_MAX);
        verbs[n_verbs].run = run;
        verbs[n_verbs].type = type;
        verbs[n_verbs].activity = activity;
        verbs[n_verbs++].ticket = ticket;
}

/* ---- a life ---- */

static const char *scratch_parent(void) {
        return access("/dev/shm", W_OK) >= 0 ? "/dev/shm" : "/tmp";
}

static void life_begin(World *w, const char *top) {
        const char *directories[2] = { w->runbooks, NULL };

        *w = (World) { .max_steps = 4, .max_resumes = 3, .retry_window = 30 * USEC_PER_DAY };
        (void) snprintf(w->top, sizeof w->top, "%s", top);
        (void) snprintf(w->state, sizeof w->state, "%s/state", top);
        (void) snprintf(w->runbooks, sizeof w->runbooks, "%s/runbooks", top);
        (void) mkdir(w->runbooks, 0700);
        assert_true(sd_event_new(&w->event) >= 0);
        assert_ok(library_new(directories, &w->library));
        n_verbs = 0;
}

static void life_end(World *w) {
        world_close(w);
        library_free(w->library);
        sd_event_unref(w->event);
        strbuf_done(&w->trace);
}

static FakeJob *launched(World *w) {
        for (FakeJob *j = w->fake->jobs; j; j = j->next)
                if (j->launched)
                        return j;
        return NULL;
}

static void end_step(World *w, const Story *s, FakeJob *j) {
        if (j->n_stops > 0)
                fake_end(j, &(ExecResult) { .outcome = EXEC_SIGNALED, .status = SIGTERM });
        else
                fake_end(j, &(ExecResult) { .outcome = EXEC_EXITED, .status = !strchr(j->step, ':') && !s->succeeds(w, j) });
}

static void live(World *w, const Story *s) {
        for (unsigned i = 0; i < ROUNDS_MAX; i++) {
                world_turn(w);
                if (s->act(w))
                        continue;
                if (launched(w))
                        end_step(w, s, launched(w));
                else if (w->engine->counts.active > 0)  /* in a backoff, or a workspace is copied */
                        assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
                else
                        return;
        }
        fail_msg("%s has no end:\n%s", s->name, strempty(w->trace.s));
}

/* ---- death ---- */

/* The last moment of a life: what it has told stays. */
static void tell(const World *w) {
        size_t n = strlen(shared->trace);

        for (unsigned i = 0; i < n_verbs; i++)
                if (verbs[i].ticket <= w->committed && shared->n < SAID_MAX) {
                        Item *item = &shared->items[shared->n++];

                        item->run = verbs[i].run;
                        (void) snprintf(item->type, sizeof item->type, "%s", verbs[i].type);
                        (void) snprintf(item->activity, sizeof item->activity, "%s", strempty(verbs[i].activity));
                }
        (void) snprintf(shared->trace + n, sizeof shared->trace - n, "%s", strempty(w->trace.s));
}

static void die(void *userdata) {
        tell(userdata);
        _exit(FAULT_EXIT_STATUS);
}

/* In the first life the store is there already: its making has a test of its own. */
static void child(const Story *s, const char *top, FaultTarget target, unsigned at, bool first) {
        World w;
        const FaultPlan plan = { .target = target, .action = FAULT_DIE, .at = at, .torn = !first, .die = die, .userdata = &w };

        (void) setenv("CMOCKA_TEST_ABORT", "1", 1);
        life_begin(&w, top);
        if (first) {
                world_open(&w);
                fault_arm(&plan);
        } else {
                fault_arm(&plan);
                world_open(&w);
        }
        live(&w, s);
        tell(&w);
        _exit(0);
}

/* Whether it died. */
static bool die_at(const Story *s, const char *top, FaultTarget target, unsigned at, bool first) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                child(s, top, target, at, first);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != FAULT_EXIT_STATUS))
                fail_msg("%s: the life that was to die at %u ended with %d", s->name, at, status);
        return WEXITSTATUS(status) == FAULT_EXIT_STATUS;
}

/* ---- what was told is there ---- */

static unsigned told(uint32_t run, const char *type, const char *activity) {
        unsigned n = 0;

        for (unsigned i = 0; i < shared->n; i++)
                n += shared->items[i].run == run && streq(shared->items[i].type, type) && streq(shared->items[i].activity, activity);
        return n;
}

static void check_verbs(World *w) {
        for (unsigned i = 0; i < shared->n; i++) {
                const char *type = shared->items[i].type, *activity = shared->items[i].activity;
                uint32_t run = shared->items[i].run;
                unsigned there = count_events(w, run, type, isempty(activity) ? NULL : activity), wanted = told(run, type, activity);

                if (there < wanted)
                        fail_msg("%u %s of run %u/%s were told, there are %u:\n%s", wanted, type, run, activity, there, shared->trace);
        }
}

static unsigned count_lines(const char *start) {
        unsigned n = 0;

        for (const char *p = shared->trace; (p = strstr(p, start)); p++)
                n += p == shared->trace || p[-1] == '\n';
        return n;
}

/* Whatever was launched, held or ended is in the history. */
static void check_activity(World *w, uint32_t run, const char *name) {
        char line[64];

        (void) snprintf(line, sizeof line, "launch %u/%s/", run, name);
        assert_true(count_events(w, run, "step-started", name) >= count_lines(line));
        (void) snprintf(line, sizeof line, "opened %u/%s ", run, name);
        assert_true(count_events(w, run, "activity-held", name) >= count_lines(line));
        (void) snprintf(line, sizeof line, "activity %u/%s success\n", run, name);
        if (count_lines(line) > 0)
                assert_true(count_events(w, run, "activity-finished", name) + count_events(w, run, "activity-reused", name) > 0);
}

static void check_told(World *w) {
        char line[64];

        check_verbs(w);
        for (uint32_t run = 1; run <= store_last_run(w->store); run++) {
                const Run *r = world_run(w, run);

                for (unsigned i = 0; i < r->runbook->n_activities; i++)
                        check_activity(w, run, r->activities[i]->def->name);
                (void) snprintf(line, sizeof line, "finished %u ", run);
                if (count_lines(line) == 0)
                        continue;
                (void) snprintf(line, sizeof line, "finished %u %s\n", run, run_state_to_string(world_stored_state(w, run)));
                assert_true(count_lines(line) > 0);
        }
        (void) snprintf(line, sizeof line, "added %u\n", store_last_run(w->store) + 1);
        assert_int_equal(count_lines(line), 0);
}

/* ---- the last life ---- */

static void check_end(World *w, const Story *s, unsigned deaths) {
        s->check(w);
        check_failure_runs(w);
        for (uint32_t run = 1; run <= store_last_run(w->store); run++)
                check_history(w, run, deaths);
        assert_int_equal(w->engine->scheduler.used, 0);
        assert_null(w->engine->jobs);
}

static void last_life(const Story *s, const char *top, unsigned deaths) {
        World w;

        life_begin(&w, top);
        world_open(&w);
        check_told(&w);
        check_failure_runs(&w);
        live(&w, s);
        check_end(&w, s, deaths);
        life_end(&w);
}

static void prepare(const Story *s, const char *top) {
        World w;

        memset(shared, 0, sizeof *shared);
        life_begin(&w, top);
        s->prepare(&w);
        world_open(&w);
        life_end(&w);
}

/* False: the first life got through. */
static bool survives(const Story *s, FaultTarget target, unsigned at) {
        _cleanup_free_ char *top = xasprintf("%s/test-engine-crash-XXXXXX", scratch_parent());
        _cleanup_close_ int parent = open(scratch_parent(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        unsigned deaths;
        bool died;

        assert_non_null(mkdtemp(top));
        prepare(s, top);
        died = die_at(s, top, target, at, true);
        deaths = died;
        if (died && target == FAULT_WRITE && at % 3 == 0)
                deaths += die_at(s, top, FAULT_WRITE, 1 + at * 7 % 29, false);
        last_life(s, top, deaths);
        (void) remove_tree(parent, strrchr(top, '/') + 1);
        return died;
}

static void die_everywhere(const Story *s, FaultTarget target, unsigned at_least) {
        unsigned n = 1;

        while (n < N_MAX && survives(s, target, n))
                n++;
        print_message("%s: %u %s\n", s->name, n - 1, target == FAULT_WRITE ? "writes" : "flushes");
        assert_in_range(n, at_least, N_MAX - 1);
}

static void die_at_every_write(const char *name) {
        for (size_t i = 0; i < n_stories; i++)
                if (streq(stories[i].name, name))
                        die_everywhere(&stories[i], FAULT_WRITE, stories[i].writes);
}

static void die_at_every_flush(void **state) {
        for (size_t i = 0; i < n_stories; i++)
                die_everywhere(&stories[i], FAULT_SYNC, stories[i].writes / 8);
}

/* S3.22, S3.23, S3.34, S3.39: hooks run as they must; S0.4, S0.12: decisions and inputs are there; a pause stays a pause */
static void test_hooks(void **state) {
        die_at_every_write("hooks");
}
/* S0.3, S0.13, S0.14, S4.14: retry, ignore, abort, another definition; one run follows the failure, and none follows that */
static void test_decisions(void **state) {
        die_at_every_write("decisions");
}
/* S4.1, S4.12, S4.14 */
static void test_whole_run(void **state) {
        die_at_every_write("whole run");
}
/* S4.16, S4.17: one replay for each that was asked for, and its workspace is whole */
static void test_again(void **state) {
        die_at_every_write("again");
}
static void test_cancel(void **state) {
        die_at_every_write("cancel");
}
/* Dying after a commit is on its way to the disk, and before anybody is told of it. */
static void test_flushes(void **state) {
        die_at_every_flush(state);
}

static int setup(void **state) {
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        log_set_max_level(LOG_ERR);
        return shared == MAP_FAILED ? -1 : fault_vfs_register();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hooks), cmocka_unit_test(test_decisions), cmocka_unit_test(test_whole_run),
                cmocka_unit_test(test_again), cmocka_unit_test(test_cancel),    cmocka_unit_test(test_flushes),
        };

        return cmocka_run_group_tests(tests, setup, NULL);
}
