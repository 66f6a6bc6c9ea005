/* A retry with the definition as it is read now: activities get other numbers under jobs that run, over failed commits and restarts. */
#include "engine-fixture.h"

#include <stdio.h>

#include "fd-util.h"

#define HEAD "phases:\n  - name: main\n    activities:\n"
#define HELD "      - {name: held, needs: [], run: 'false'}\n"
#define FIXED "      - {name: held, needs: [], run: 'true'}\n"
#define LONG "      - {name: long, needs: [], run: 'sleep 9'}\n"
#define ADDED "      - {name: added, needs: [], run: 'echo added'}\n"
#define LAST "      - {name: last, needs: [held, long], run: 'true'}\n"

/* held waits for a decision while long runs. */
static uint32_t start(World *w) {
        uint32_t run;

        world_write(w, "fix.yaml", HEAD HELD LONG LAST);
        run = world_start(w, "fix");
        fake_exit(w->fake, run, "held", 1);
        world_turn(w);
        assert_int_equal(run_activity(world_run(w, run), "held")->state, ACTIVITY_ON_HOLD);
        return run;
}

static int reload(World *w, uint32_t run, const char *activity, char **ret_message) {
        Ticket ticket;
        int r = engine_retry(w->engine, run, activity, &world_actor, &(RetryRequest) { .reload = true }, &ticket, ret_message);

        world_turn(w);
        return r;
}

static void assert_reloaded(World *w, uint32_t run) {
        _cleanup_free_ char *message = NULL;
        int r = reload(w, run, "held", &message);

        if (r != VERDICT_OK)
                fail_msg("%d %s", r, strempty(message));
}

static int take_hash(void *userdata, const RunRow *row) {
        (void) snprintf(userdata, 65, "%s", row->definition);
        return 0;
}

static void assert_changed(World *w, uint32_t run) {
        Run *r = world_run(w, run);
        char hash[65];

        assert_int_equal(r->n_definitions, 2);
        assert_string_equal(r->activities[0]->def->name, "added");
        assert_int_equal(run_activity(r, "held")->def->index, 1);
        assert_int_equal(run_activity(r, "long")->def->index, 2);
        assert_ok(store_get_run(w->store, run, take_hash, hash));
        assert_string_equal(hash, r->definitions[0]->hash); /* reading back begins with it */
        assert_string_not_equal(hash, r->runbook->hash);
        assert_int_equal(world_events(w, run, "definition-changed"), 1);
}

static void finish(World *w, uint32_t run) {
        while (fake_count(w->fake, run) > 0) {
                fake_exit(w->fake, run, NULL, 0);
                world_turn(w);
        }
        assert_int_equal(world_stored_state(w, run), RUN_SUCCESS);
}

/* S0.12, S0.13: fix and continue; what runs meanwhile is not disturbed. */
static void test_fix_and_continue(void **state) {
        World *w = *state;
        uint32_t run = start(w);
        FakeJob *j = fake_find(w->fake, run, "long");

        world_write(w, "fix.yaml", HEAD ADDED FIXED LONG LAST);
        world_trace_clear(w);
        assert_reloaded(w, run);
        assert_changed(w, run);
        assert_true(world_trace_find(w, "definition 1") < world_trace_find(w, "activity 1/held running"));
        assert_true(world_trace_find(w, "definition 1") < world_trace_find(w, "run 1 running"));
        assert_int_equal(engine_run(w->engine, run)->definitions.n_later, 1);
        assert_ptr_equal(fake_find(w->fake, run, "long"), j);
        assert_int_equal(j->n_stops, 0);
        assert_non_null(strstr(fake_find(w->fake, run, "held")->argv, "true"));
        fake_exit(w->fake, run, "long", 0);             /* prepared under the old number */
        world_turn(w);
        assert_int_equal(run_activity(world_run(w, run), "long")->state, ACTIVITY_SUCCESS);
        assert_int_equal(run_activity(world_run(w, run), "held")->state, ACTIVITY_RUNNING);
        fake_exit(w->fake, run, "added", 0);
        world_turn(w);
        finish(w, run);
        assert_int_equal(run_activity(world_run(w, run), "added")->state, ACTIVITY_SUCCESS);
        world_again(w);                                 /* read back to its end, from the store alone */
        assert_int_equal(world_run(w, run)->state, RUN_SUCCESS);
        assert_changed(w, run);
}

/* The end of the one that runs comes in the same turn as the change, before it and after it. */
static void test_end_in_the_same_turn(void **state) {
        World *w = *state;

        for (unsigned after = 0; after < 2; after++) {
                uint32_t run = start(w);
                _cleanup_free_ char *message = NULL;
                Ticket ticket;

                world_write(w, "fix.yaml", HEAD ADDED FIXED LONG LAST);
                if (!after)
                        fake_exit(w->fake, run, "long", 0);
                assert_int_equal(engine_retry(w->engine, run, "held", &world_actor, &(RetryRequest) { .reload = true }, &ticket, &message),
                                 VERDICT_OK);
                if (after)
                        fake_exit(w->fake, run, "long", 0);
                world_turn(w);
                assert_changed(w, run);
                world_again(w);
                world_turn(w);
                assert_int_equal(run_activity(world_run(w, run), "long")->state, ACTIVITY_SUCCESS);
                assert_int_equal(run_activity(world_run(w, run), "long")->n_attempts, 1);
                finish(w, run);
        }
}

/* The commit fails: the run is folded without the change, and the job that runs belongs to it all the same. */
static void test_commit_fails(void **state) {
        World *w = *state;
        uint32_t run = start(w);

        world_write(w, "fix.yaml", HEAD ADDED FIXED LONG LAST);
        world_fail(w);
        assert_reloaded(w, run);
        assert_int_equal(w->committed_r, -EIO);
        assert_int_equal(world_run(w, run)->n_definitions, 1);
        assert_int_equal(engine_run(w->engine, run)->definitions.n_later, 0);
        assert_int_equal(run_activity(world_run(w, run), "held")->state, ACTIVITY_ON_HOLD);
        assert_int_equal(run_activity(world_run(w, run), "long")->def->index, 1);
        assert_int_equal(fake_count(w->fake, run), 1);
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        fake_exit(w->fake, run, "long", 0);
        world_turn(w);
        assert_int_equal(run_activity(world_run(w, run), "long")->state, ACTIVITY_SUCCESS);
        assert_reloaded(w, run);
        assert_changed(w, run);
        finish(w, run);
}

/* A commit fails after the change was stored: the run is folded with it, and its jobs are found by their names. */
static void test_later_commit_fails(void **state) {
        World *w = *state;
        uint32_t run = start(w);

        world_write(w, "fix.yaml", HEAD ADDED FIXED LONG LAST);
        assert_reloaded(w, run);
        world_fail(w);
        fake_exit(w->fake, run, "added", 0);
        world_turn(w);
        assert_int_equal(w->engine->storage, STORAGE_FAILING);
        assert_int_equal(world_run(w, run)->n_definitions, 2);
        assert_int_equal(engine_run(w->engine, run)->definitions.n_later, 1);
        fake_exit(w->fake, run, "long", 3);
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        world_turn(w);
        assert_int_equal(run_activity(world_run(w, run), "added")->state, ACTIVITY_SUCCESS);
        assert_int_equal(run_activity(world_run(w, run), "long")->state, ACTIVITY_ON_HOLD);
        assert_int_equal(run_activity(world_run(w, run), "held")->state, ACTIVITY_RUNNING);
        fake_exit(w->fake, run, "held", 0);
        world_turn(w);
        assert_int_equal(run_activity(world_run(w, run), "held")->state, ACTIVITY_SUCCESS);
}

/* The flush before the change fails: nothing is changed, and who asked is told so. */
static void test_flush_fails(void **state) {
        World *w = *state;
        uint32_t run = start(w);
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        world_write(w, "fix.yaml", HEAD ADDED FIXED LONG LAST);
        fake_exit(w->fake, run, "long", 0);
        world_fail(w);
        assert_int_equal(engine_retry(w->engine, run, "held", &world_actor, &(RetryRequest) { .reload = true }, &ticket, &message),
                         VERDICT_STORAGE_UNAVAILABLE);
        assert_non_null(message);
        assert_int_equal(engine_run(w->engine, run)->definitions.n_later, 0);
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        world_turn(w);
        assert_int_equal(run_activity(world_run(w, run), "long")->state, ACTIVITY_SUCCESS);
}

/* Changed, and died in the middle of it: what runs is found by its new name and interrupted, what is over is not done again. */
static void test_restart(void **state) {
        World *w = *state;
        uint32_t run = start(w);

        world_write(w, "fix.yaml", HEAD ADDED FIXED LONG LAST);
        assert_reloaded(w, run);
        fake_exit(w->fake, run, "added", 0);
        world_turn(w);
        world_again(w);
        world_turn(w);
        assert_changed(w, run);
        assert_int_equal(json_length(w->fake->cleaned), 2);
        assert_int_equal(fake_find(w->fake, run, "long")->attempt, 2);
        assert_int_equal(fake_find(w->fake, run, "held")->attempt, 3);
        assert_int_equal(run_activity(world_run(w, run), "added")->n_attempts, 1);
        finish(w, run);
}

/* Twice changed, back to the first text. */
static void test_there_and_back(void **state) {
        World *w = *state;
        uint32_t run = start(w);

        world_write(w, "fix.yaml", HEAD FIXED LONG LAST);
        assert_reloaded(w, run);
        fake_exit(w->fake, run, "held", 1);
        world_turn(w);
        world_write(w, "fix.yaml", HEAD HELD LONG LAST);
        assert_reloaded(w, run);
        assert_int_equal(world_run(w, run)->n_definitions, 3);
        assert_int_equal(world_events(w, run, "definition-changed"), 2);
        world_again(w);
        world_turn(w);
        assert_int_equal(world_run(w, run)->n_definitions, 3);
        assert_string_equal(world_run(w, run)->runbook->hash, world_run(w, run)->definitions[0]->hash);
        assert_non_null(strstr(fake_find(w->fake, run, "held")->argv, "false"));
        finish(w, run);
}

/* The logs of an attempt are found by what it ran, whatever the activity has become. */
static void test_logs_of_attempts(void **state) {
        World *w = *state;
        _cleanup_free_ char *first = NULL, *second = NULL, *none = NULL;
        uint64_t begin, end;
        uint32_t run = 0;
        bool running;

        world_write(w, "fix.yaml", HEAD "      - {name: held, needs: [], steps: [{run: one}, {run: two}]}\n" LONG LAST);
        run = world_start(w, "fix");
        fake_end(fake_find(w->fake, run, "held"), &(ExecResult) { .outcome = EXEC_EXITED, .log_end = 10 });
        world_turn(w);
        fake_end(fake_find(w->fake, run, "held"), &(ExecResult) { .outcome = EXEC_EXITED, .status = 1, .log_end = 25 });
        world_turn(w);
        world_write(w, "fix.yaml", HEAD FIXED LONG LAST);
        assert_reloaded(w, run);
        assert_int_equal(engine_log_location(w->engine, run, "held", 1, 1, &first, &begin, &end, &running), VERDICT_OK);
        assert_int_equal(begin, 10);
        assert_int_equal(end, 25);
        assert_int_equal(engine_log_location(w->engine, run, "held", 2, 0, &second, &begin, &end, &running), VERDICT_OK);
        assert_true(running);
        assert_int_equal(engine_log_location(w->engine, run, "held", 2, 1, &none, &begin, &end, &running), VERDICT_NO_SUCH_STEP);
}

/* The same text is no change. */
static void test_unchanged(void **state) {
        World *w = *state;
        uint32_t run = start(w);

        assert_reloaded(w, run);
        assert_int_equal(world_events(w, run, "definition-changed"), 0);
        assert_int_equal(engine_run(w->engine, run)->definitions.n_later, 0);
        assert_int_equal(fake_find(w->fake, run, "held")->attempt, 2);
}

/* What has run stays as it was; a file with errors says where. Nothing is left of what was refused. */
static void test_refused(void **state) {
        static const struct {
                const char *text, *activity, *part;
                Verdict verdict;
        } cases[] = {
                { HEAD FIXED "      - {name: long, needs: [], run: 'sleep 1'}\n" LAST, "held", "long", VERDICT_DEFINITION_CHANGED },
                { HEAD FIXED LAST, "held", "", VERDICT_INVALID_RUNBOOK },
                { HEAD "      - {name: held, needs: [], rnu: 'true'}\n", "held", "/fix.yaml:4:", VERDICT_INVALID_RUNBOOK },
                { HEAD ADDED FIXED LONG LAST, "long", "running", VERDICT_WRONG_STATE },
                { HEAD ADDED FIXED LONG LAST, "nothing", "status", VERDICT_NO_SUCH_ACTIVITY },
        };
        World *w = *state;
        uint32_t run = start(w);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *message = NULL;
                int r;

                world_write(w, "fix.yaml", cases[i].text);
                r = reload(w, run, cases[i].activity, &message);
                if (r != (int) cases[i].verdict || !strstr(strempty(message), cases[i].part))
                        fail_msg("%zu: %d %s", i, r, strempty(message));
                assert_int_equal(engine_run(w->engine, run)->definitions.n_later, 0);
                assert_int_equal(world_run(w, run)->n_definitions, 1);
        }
        _cleanup_free_ char *path = path_join(w->runbooks, "fix.yaml"), *message = NULL;
        assert_ok(unlink(path));
        assert_int_equal(reload(w, run, "held", &message), VERDICT_NO_SUCH_RUNBOOK);
}

/* Without the changed definition in the store the run can't be read back: it is parked, with the reason. */
static void test_definition_is_lost(void **state) {
        World *w = *state;
        uint32_t run = start(w);
        const char *data = "{\"definition\":\"beef\",\"previous\":\"dead\"}";

        assert_ok(store_begin(w->store));
        assert_ok(store_append_event(w->store, &(EventRow) { .run = run, .seq = world_run(w, run)->last_seq + 1, .at = 1, .boot_at = 1,
                                                             .boot = store_boot(w->store), .uid = UINT32_MAX, .type = "definition-changed",
                                                             .data = data }));
        assert_ok(store_commit(w->store));
        world_again(w);
        assert_int_equal(world_stored_state(w, run), RUN_DLQ);
        assert_non_null(strstr(world_run(w, run)->reason, "beef"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_fix_and_continue),
                engine_test(test_end_in_the_same_turn),
                engine_test(test_commit_fails),
                engine_test(test_later_commit_fails),
                engine_test(test_flush_fails),
                engine_test(test_restart),
                engine_test(test_there_and_back),
                engine_test(test_logs_of_attempts),
                engine_test(test_unchanged),
                engine_test(test_refused),
                engine_test(test_definition_is_lost),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
