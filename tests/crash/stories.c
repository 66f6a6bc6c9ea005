/* The stories: which runbooks there are, what the operator does about them, and what must have come of it. */
#include "story.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fd-util.h"

/* ---- what an operator does ---- */

static uint32_t last(World *w) {
        return store_last_run(w->store);
}

static Activity *activity_of(World *w, uint32_t run, const char *name) {
        return run_activity(world_run(w, run), name);
}

static bool is_held(World *w, uint32_t run, const char *name) {
        return engine_run_is_live(w->engine, run) && activity_waiting_for(activity_of(w, run, name)) == WAITING_DECISION;
}

static unsigned decisions(World *w, uint32_t run, const char *name) {
        return count_events(w, run, "activity-decided", name);
}

static bool done(int r, const char *message, uint32_t run, const char *type, const char *activity, Ticket ticket) {
        if (r != VERDICT_OK)
                fail_msg("%s of run %u/%s: %d %s", type, run, strempty(activity), r, strempty(message));
        said(run, type, activity, ticket);
        return true;
}

static bool start(World *w, const char *runbook) {
        _cleanup_free_ char *message = NULL;
        uint32_t run = 0;
        Ticket ticket = 0;
        int r = engine_start_run(w->engine, &(StartRequest) { .runbook = runbook }, &world_actor, &run, &ticket, &message);

        return done(r, message, run, "run-created", NULL, ticket);
}

static bool retry(World *w, uint32_t run, const char *name, const char *inputs, bool reload) {
        _cleanup_free_ char *message = NULL;
        _cleanup_json_ Json *j = NULL;
        Ticket ticket = 0;
        int r;

        if (inputs)
                assert_ok(json_parse(inputs, strlen(inputs), &j));
        r = engine_retry(w->engine, run, name, &world_actor, &(RetryRequest) { .inputs = j, .reload = reload }, &ticket, &message);
        if (inputs)
                said(run, "inputs-changed", NULL, ticket);
        if (reload)
                said(run, "definition-changed", NULL, ticket);
        return done(r, message, run, "activity-decided", name, ticket);
}

static bool ignore(World *w, uint32_t run, const char *name) {
        _cleanup_free_ char *message = NULL;
        _cleanup_json_ Json *outputs = json_new_object();
        Ticket ticket = 0;
        int r;

        assert_ok(json_set_string(outputs, "given", "yes"));
        r = engine_ignore(w->engine, run, name, &world_actor, outputs, "known", &ticket, &message);
        return done(r, message, run, "activity-decided", name, ticket);
}

static bool abort_it(World *w, uint32_t run, const char *name) {
        _cleanup_free_ char *message = NULL;
        Ticket ticket = 0;
        int r = engine_abort(w->engine, run, name, &world_actor, "no more", &ticket, &message);

        return done(r, message, run, "activity-decided", name, ticket);
}

static bool pause_it(World *w, uint32_t run) {
        _cleanup_free_ char *message = NULL;
        Ticket ticket = 0;
        int r = engine_pause(w->engine, run, &world_actor, NULL, &ticket, &message);

        return done(r, message, run, "run-paused", NULL, ticket);
}

static bool resume(World *w, uint32_t run) {
        _cleanup_free_ char *message = NULL;
        Ticket ticket = 0;
        int r = engine_resume(w->engine, run, &world_actor, NULL, &ticket, &message);

        return done(r, message, run, "run-resumed", NULL, ticket);
}

static bool set_inputs(World *w, uint32_t run, const char *inputs) {
        _cleanup_free_ char *message = NULL;
        _cleanup_json_ Json *j = NULL;
        Ticket ticket = 0;
        int r;

        assert_ok(json_parse(inputs, strlen(inputs), &j));
        r = engine_set_inputs(w->engine, run, &world_actor, j, NULL, &ticket, &message);
        return done(r, message, run, "inputs-changed", NULL, ticket);
}

static bool cancel(World *w, uint32_t run) {
        _cleanup_free_ char *message = NULL;
        Ticket ticket = 0;
        int r = engine_cancel(w->engine, run, &world_actor, "enough", &ticket, &message);

        return done(r, message, run, "run-cancel", NULL, ticket);
}

static bool replay(World *w, uint32_t run) {
        _cleanup_free_ char *message = NULL;
        uint32_t new = 0;
        Ticket ticket = 0;
        int r = engine_replay(w->engine, run, &world_actor, &(ReplayRequest) { .comment = "again" }, &new, &ticket, &message);

        said(new, "activity-reused", "a", ticket);
        return done(r, message, new, "run-created", NULL, ticket);
}

static bool rerun(World *w, uint32_t run, const char *phase) {
        _cleanup_free_ char *message = NULL;
        char *only[] = { (char *) phase, NULL };
        uint32_t new = 0;
        Ticket ticket = 0;
        int r = engine_rerun(w->engine, run, &world_actor, &(RerunRequest) { .only = only }, &new, &ticket, &message);

        return done(r, message, new, "run-created", NULL, ticket);
}

/* ---- hooks, retries of both kinds, a changed input, a pause ---- */

#define HOOKS "        hooks: {pre: [{run: p}], onSuccess: [{run: s}], onFailure: [{run: f}], post: [{run: q}]}\n"

static const char hooks[] = "inputs: {x: {default: bad}, y: {default: '1'}}\n"
                            "phases:\n"
                            "  - name: one\n"
                            "    activities:\n"
                            "      - name: a\n"
                            "        run: first\n" HOOKS
                            "      - name: b\n"
                            "        retries: {max: 1, initialIntervalMs: 1}\n"
                            "        steps: [{run: one}, {run: 'two ${{ inputs.x }}'}]\n" HOOKS
                            "      - name: c\n"
                            "        needs: [a]\n"
                            "        run: beside\n"
                            "  - name: two\n"
                            "    activities:\n"
                            "      - name: d\n"
                            "        run: 'last ${{ inputs.y }}'\n" HOOKS;

static void hooks_prepare(World *w) {
        world_write(w, "hooks.yaml", hooks);
}

static bool hooks_act(World *w) {
        if (last(w) == 0)
                return start(w, "hooks");
        if (!engine_run_is_live(w->engine, 1))
                return false;
        if (count_events(w, 1, "run-paused", NULL) == 0 && activity_of(w, 1, "a")->state == ACTIVITY_SUCCESS)
                return pause_it(w, 1);
        if (world_run(w, 1)->state == RUN_PAUSED && fake_count(w->fake, 0) == 0)
                return count_events(w, 1, "inputs-changed", NULL) == 0 ? set_inputs(w, 1, "{\"y\": \"2\"}") : resume(w, 1);
        if (is_held(w, 1, "b"))
                return retry(w, 1, "b", decisions(w, 1, "b") > 0 ? "{\"x\": \"good\"}" : NULL, false);
        return false;
}

static bool hooks_succeeds(World *w, const FakeJob *j) {
        return !streq(j->step, "step-2") || streq_ptr(json_string(json_get(world_run(w, j->run)->inputs, "x")), "good");
}

static void hooks_check(World *w) {
        assert_int_equal(last(w), 1);
        assert_int_equal(world_stored_state(w, 1), RUN_SUCCESS);
        assert_int_equal(decisions(w, 1, "b"), 2);
        assert_int_equal(count_events(w, 1, "activity-held", "b"), 2);
        assert_int_equal(count_events(w, 1, "inputs-changed", NULL), 2);
        assert_int_equal(count_events(w, 1, "run-paused", NULL), 1);
        assert_int_equal(count_events(w, 1, "run-resumed", NULL), 1);
        assert_false(world_run(w, 1)->had_errors);
}

/* ---- all decisions, a corrected definition, and the run that follows the failure ---- */

static const char train[] = "phases:\n"
                            "  - name: one\n"
                            "    activities:\n"
                            "      - name: a\n"
                            "        run: first\n"
                            "      - name: b\n"
                            "        needs: []\n"
                            "        run: %s\n" HOOKS
                            "      - name: c\n"
                            "        needs: [a]\n"
                            "        run: fails\n"
                            "  - name: two\n"
                            "    activities:\n"
                            "%s"
                            "      - name: e\n"
                            "        run: 'fails ${{ activities.c.outputs.given }}'\n" HOOKS
                            "      - name: f\n"
                            "        run: last\n";

static const char report[] = "triggers: [{onFailureOf: []}]\n"
                             "failurePolicy: fail\n"
                             "phases: [{name: main, activities: [{name: r, run: tell}]}]\n";

static void write_train(World *w, const char *b, const char *new) {
        _cleanup_free_ char *text = NULL;

        assert_true(asprintf(&text, train, b, new) > 0);
        world_write(w, "train.yaml", text);
}

static void train_prepare(World *w) {
        write_train(w, "fails", "");
        world_write(w, "report.yaml", report);
}

static bool train_act(World *w) {
        if (last(w) == 0)
                return start(w, "train");
        if (is_held(w, 1, "c"))
                return ignore(w, 1, "c");
        if (is_held(w, 1, "e"))
                return decisions(w, 1, "e") > 0 ? abort_it(w, 1, "e") : retry(w, 1, "e", NULL, false);
        if (!is_held(w, 1, "b"))
                return false;
        write_train(w, "mended", "      - {name: d, run: new}\n");
        return retry(w, 1, "b", NULL, true);
}

static bool train_succeeds(World *w, const FakeJob *j) {
        return !strstr(j->argv, "fails") && !streq(j->activity, "r");
}

static void train_check(World *w) {
        assert_int_equal(last(w), 2);
        assert_int_equal(world_stored_state(w, 1), RUN_FAILED);
        assert_int_equal(decisions(w, 1, "b"), 1);
        assert_int_equal(decisions(w, 1, "c"), 1);
        assert_int_equal(decisions(w, 1, "e"), 2);
        assert_int_equal(count_events(w, 1, "definition-changed", NULL), 1);
        assert_int_equal(activity_of(w, 1, "b")->state, ACTIVITY_SUCCESS);
        assert_int_equal(activity_of(w, 1, "c")->state, ACTIVITY_IGNORED);
        assert_int_equal(activity_of(w, 1, "d")->state, ACTIVITY_SUCCESS);
        assert_int_equal(activity_of(w, 1, "e")->state, ACTIVITY_FAILED);
        assert_int_equal(activity_of(w, 1, "f")->state, ACTIVITY_SKIPPED);
        assert_int_equal(world_stored_state(w, 2), RUN_FAILED);         /* and nothing followed that */
}

/* ---- the whole run again, until it is exhausted ---- */

static const char whole[] = "retries: {max: 2, initialIntervalMs: 1}\n"
                            "phases:\n"
                            "  - name: one\n"
                            "    activities:\n"
                            "      - name: a\n"
                            "        run: first\n" HOOKS
                            "      - name: b\n"
                            "        run: fails\n" HOOKS;

static void whole_prepare(World *w) {
        world_write(w, "whole.yaml", whole);
        world_write(w, "report.yaml", report);
}

static bool whole_act(World *w) {
        return last(w) == 0 && start(w, "whole");
}

static bool fails_by_name(World *w, const FakeJob *j) {
        return !strstr(j->argv, "fails");
}

static void whole_check(World *w) {
        const Json *told;

        assert_int_equal(last(w), 2);
        assert_int_equal(world_stored_state(w, 1), RUN_EXHAUSTED);
        assert_int_equal(count_events(w, 1, "run-started", NULL), 3);
        assert_int_equal(count_events(w, 1, "run-backoff", NULL), 2);
        assert_int_equal(world_stored_state(w, 2), RUN_SUCCESS);
        assert_int_equal(json_int(json_get(world_run(w, 2)->payload, "run")), 1);
        told = json_get(json_at(json_get(world_run(w, 2)->payload, "attempts"), 1), "attempts");
        assert_int_equal(json_length(told), activity_of(w, 1, "b")->n_attempts);
}

/* ---- replay with a copy of the workspace, and a rerun of one phase ---- */

static const char parts[] = "failurePolicy: fail\n"
                            "phases:\n"
                            "  - name: one\n"
                            "    activities:\n"
                            "      - name: a\n"
                            "        run: first\n" HOOKS
                            "      - name: b\n"
                            "        run: second\n" HOOKS
                            "  - name: two\n"
                            "    activities:\n"
                            "      - name: c\n"
                            "        run: third\n";

static char *left(World *w, uint32_t run, const char *name) {
        return xasprintf("%s/work/%u%s", w->state, run, name);
}

static void again_prepare(World *w) {
        world_write(w, "parts.yaml", parts);
}

/* What steps would have left there. */
static void fill_workspace(World *w, uint32_t run) {
        _cleanup_free_ char *work = path_join(w->state, "work"), *top = left(w, run, ""), *workspace = left(w, run, "/workspace"),
                            *file = left(w, run, "/workspace/made");
        _cleanup_close_ int fd = -1;

        (void) mkdir(work, 0700);
        (void) mkdir(top, 0700);
        (void) mkdir(workspace, 0700);
        fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
}

static bool again_act(World *w) {
        if (last(w) == 0)
                return start(w, "parts");
        if (fake_count(w->fake, 0) > 0 || engine_run_is_live(w->engine, last(w)))
                return false;
        if (last(w) == 1) {
                fill_workspace(w, 1);
                return replay(w, 1);
        }
        return last(w) == 2 && rerun(w, 2, "two");
}

static bool again_succeeds(World *w, const FakeJob *j) {
        return j->run > 1 || streq(j->activity, "a");
}

static void again_check(World *w) {
        _cleanup_free_ char *file = left(w, 2, "/workspace/made"), *none = left(w, 3, "/workspace/made");

        assert_int_equal(last(w), 3);
        assert_int_equal(world_stored_state(w, 1), RUN_FAILED);
        assert_int_equal(world_stored_state(w, 2), RUN_SUCCESS);
        assert_int_equal(world_stored_state(w, 3), RUN_SUCCESS);
        assert_int_equal(world_run(w, 2)->replay_of, 1);
        assert_int_equal(activity_of(w, 2, "a")->reused_from, 1);
        assert_int_equal(activity_of(w, 2, "a")->n_attempts, 0);
        assert_int_equal(count_events(w, 2, "run-workspace", NULL), 1);
        assert_int_equal(access(file, F_OK), 0);
        assert_int_equal(activity_of(w, 3, "b")->state, ACTIVITY_SKIPPED);
        assert_int_not_equal(access(none, F_OK), 0);
}

/* ---- a cancel in the middle ---- */

static bool cancel_act(World *w) {
        if (last(w) == 0)
                return start(w, "hooks");
        if (!engine_run_is_live(w->engine, 1) || count_events(w, 1, "run-cancel", NULL) > 0)
                return false;
        return fake_find(w->fake, 1, "b") && streq(fake_find(w->fake, 1, "b")->step, "step-1") && cancel(w, 1);
}

static void cancel_check(World *w) {
        assert_int_equal(last(w), 1);
        assert_int_equal(world_stored_state(w, 1), RUN_CANCELLED);
        assert_int_equal(count_events(w, 1, "run-cancel", NULL), 1);
        assert_int_equal(activity_of(w, 1, "a")->state, ACTIVITY_SUCCESS);
        assert_int_equal(activity_of(w, 1, "b")->state, ACTIVITY_CANCELLED);
        assert_int_equal(activity_of(w, 1, "d")->n_attempts, 0);
}

const Story stories[] = {
        { "hooks", hooks_prepare, hooks_act, hooks_succeeds, hooks_check, 100 },
        { "decisions", train_prepare, train_act, train_succeeds, train_check, 100 },
        { "whole run", whole_prepare, whole_act, fails_by_name, whole_check, 100 },
        { "again", again_prepare, again_act, again_succeeds, again_check, 60 },
        { "cancel", hooks_prepare, cancel_act, fails_by_name, cancel_check, 40 },
};
const size_t n_stories = ELEMENTSOF(stories);
