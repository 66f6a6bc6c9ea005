/* Seeded random lives of an engine: starts, ends, cancels, answers, decisions, pauses, replays, failing storage, deaths, clean stops, in
 * any order. Whatever happens: nothing that has succeeded runs again, no history has a gap, everything ends, and nothing is left over. */
#include "engine-fixture.h"

#include <signal.h>
#include <stdio.h>

#define SEEDS 30u
#define STEPS 120u

static uint64_t seed;

static unsigned below(unsigned n) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (unsigned) (seed >> 11) % n;
}

static void on_stopped(void *userdata) {
        ((World *) userdata)->n_stopped++;
}

/* ---- what may happen ---- */

static void start(World *w) {
        static const char *const names[] = { "chain", "wide", "sign", "again", "hooks", "held", "held", "whole" };
        _cleanup_free_ char *message = NULL;
        Ticket ticket;
        int r = world_try_start(w, names[below(ELEMENTSOF(names))], NULL, &ticket, &message);

        assert_true(r == VERDICT_OK || r == VERDICT_STORAGE_UNAVAILABLE);
}

static FakeJob *any_job(World *w) {
        unsigned n = fake_count(w->fake, 0), k = n > 0 ? below(n) : 0;

        for (FakeJob *j = w->fake->jobs; j; j = j->next)
                if (j->launched && k-- == 0)
                        return j;
        return NULL;
}

static void end(World *w) {
        FakeJob *j = any_job(w);

        if (!j)
                return;
        if (j->n_stops > 0)
                fake_end(j, &(ExecResult) { .outcome = EXEC_SIGNALED, .status = SIGTERM });
        else
                fake_end(j, &(ExecResult) { .outcome = EXEC_EXITED,
                                            .status = below(streq(j->activity, "y") ? 2 : 6) == 0,
                                            .log_end = below(1000) });
}

static uint32_t any_run(World *w) {
        return 1 + below(MAX(store_last_run(w->store), 1u));
}

static void cancel(World *w) {
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        assert_true(engine_cancel(w->engine, any_run(w), &world_actor, NULL, &ticket, &message) >= 0);
}

static void answer(World *w) {
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        assert_true(engine_answer(w->engine, any_run(w), "qa", &world_actor, below(4) > 0, NULL, NULL, &ticket, &message) >= 0);
}

/* Retry, ignore or abort; most of the time nobody has asked. */
static int decide(World *w, uint32_t run, const char *activity, unsigned how) {
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        switch (how) {
        case 0:
                return engine_ignore(w->engine, run, activity, &world_actor, NULL, NULL, &ticket, &message);
        case 1:
                return engine_abort(w->engine, run, activity, &world_actor, NULL, &ticket, &message);
        default:
                return engine_retry(w->engine, run, activity, &world_actor, &(RetryRequest) { .reload = how % 2 }, &ticket, &message);
        }
}

/* One that waits for a decision, if there is any: each is as likely as the others. */
static Activity *any_held(World *w) {
        Activity *held = NULL;
        unsigned n = 0;
        Run *r;

        for (size_t i = 0; engine_iterate_live(w->engine, &i, &r);)
                for (unsigned k = 0; k < r->runbook->n_activities; k++)
                        if (activity_waiting_for(r->activities[k]) == WAITING_DECISION && below(++n) == 0)
                                held = r->activities[k];
        return held;
}

static void decide_something(World *w) {
        static const char *const names[] = { "x", "y", "z", "nothing" };
        const Activity *a = any_held(w);

        if (a && below(6) > 0)
                assert_true(decide(w, a->run->id, a->def->name, below(8)) >= 0);
        else
                assert_true(decide(w, any_run(w), names[below(ELEMENTSOF(names))], below(8)) >= 0);
}

/* Another text of it: y is what may be changed, z comes and goes. */
static void edit(World *w) {
        static const char *const texts[] = {
                "phases:\n  - name: main\n    activities:\n"
                "      - {name: x, needs: [], run: 'true'}\n"
                "      - {name: y, needs: [], run: one}\n",
                "phases:\n  - name: main\n    activities:\n"
                "      - {name: z, run: 'true'}\n"
                "      - {name: x, needs: [], run: 'true'}\n"
                "      - {name: y, needs: [], run: two}\n",
        };

        world_write(w, "held.yaml", texts[below(2)]);
}

static void pause_or_resume(World *w) {
        _cleanup_free_ char *message = NULL;
        Ticket ticket;

        assert_true((below(2) ? engine_pause : engine_resume)(w->engine, any_run(w), &world_actor, NULL, &ticket, &message) >= 0);
}

static void again(World *w) {
        _cleanup_free_ char *message = NULL;
        uint32_t run;
        Ticket ticket;

        const ReplayRequest replay = { .fresh_workspace = true };
        const RerunRequest rerun = { .reload = below(2) };

        assert_true(below(2) ? engine_replay(w->engine, any_run(w), &world_actor, &replay, &run, &ticket, &message) >= 0
                             : engine_rerun(w->engine, any_run(w), &world_actor, &rerun, &run, &ticket, &message) >= 0);
}

static void fail_storage(World *w) {
        fault_arm(&(FaultPlan){ .target = (FaultTarget)below(_FAULT_TARGET_MAX),
                                .action = below(2) ? FAULT_IOERR : FAULT_FULL,
                                .at = 1 + below(6),
                                .lasting = below(2) });
}

static void mend_storage(World *w) {
        fault_disarm();
        if (w->engine->storage == STORAGE_FAILING)
                assert_ok(storage_on_retry(NULL, 0, w->engine));
}

static void refuse_start(World *w) {
        w->fake->fail_with = below(2) ? -ENOENT : -EACCES;
        w->fake->fail_times = 1;
}

static void die(World *w) {
        world_again(w);
}

static void stop(World *w) {
        w->n_stopped = 0;
        assert_ok(engine_stop(w->engine, on_stopped, w));
        world_turn(w);
        while (any_job(w)) {
                end(w);
                if (below(2))
                        world_turn(w);
        }
        world_turn(w);
        assert_int_equal(w->n_stopped, 1);
        world_again(w);
}

static void turn(World *w) {
        world_turn(w);
}

static void read_some(World *w) {
        Run *run;

        assert_ok(engine_flush(w->engine));
        (void) engine_get_run(w->engine, any_run(w), &run);
}

static const struct {
        void (*what)(World *w);
        unsigned weight;
} happenings[] = {
        { start, 12 },       { end, 40 },         { turn, 30 }, { cancel, 3 }, { answer, 8 },    { fail_storage, 2 },
        { mend_storage, 4 }, { refuse_start, 2 }, { die, 1 },   { stop, 1 },   { read_some, 4 }, { decide_something, 10 },
        { edit, 6 },         { pause_or_resume, 4 },        { again, 3 },
};

static void happen(World *w) {
        unsigned sum = 0, k;

        for (size_t i = 0; i < ELEMENTSOF(happenings); i++)
                sum += happenings[i].weight;
        k = below(sum);
        for (size_t i = 0; i < ELEMENTSOF(happenings); i++) {
                if (k < happenings[i].weight) {
                        happenings[i].what(w);
                        return;
                }
                k -= happenings[i].weight;
        }
}

/* ---- what must hold ---- */

typedef struct Check {
        uint32_t last_seq, started;
        bool finished;
        Hashmap *done;                                  /* activities that have ended; the keys are theirs of the definition */
        const Runbook *runbook;
} Check;

static int check_event(void *userdata, const EventRow *row) {
        Check *c = userdata;
        const ActivityDef *a = row->activity && !startswith(row->type, "phase-") ? runbook_activity(c->runbook, row->activity) : NULL;

        assert_int_equal(row->seq, c->last_seq + 1);
        c->last_seq = row->seq;
        assert_false(c->finished);                      /* nothing follows the end */
        if (streq(row->type, "run-started")) {          /* the first time, or all of it again */
                hashmap_free(c->done);
                c->done = hashmap_new();
        }
        if (a && hashmap_get(c->done, a->name))
                fail_msg("%s of %s after its end", row->type, a->name);
        if (streq(row->type, "activity-finished"))
                assert_ok(hashmap_put(c->done, a->name, c));
        c->finished = streq(row->type, "run-finished");
        return 0;
}

static void check_run(World *w, uint32_t id) {
        Check c = { .done = hashmap_new(), .runbook = world_run(w, id)->runbook };

        assert_ok(store_load_events(w->store, id, 1, 0, check_event, &c));
        assert_true(c.finished);
        assert_true(run_state_is_terminal(world_stored_state(w, id)));
        assert_int_not_equal(world_stored_state(w, id), RUN_DLQ);
        assert_int_equal(world_run(w, id)->state, world_stored_state(w, id));
        hashmap_free(c.done);
}

static void push_on(World *w, uint32_t run) {
        _cleanup_free_ char *paused = NULL, *asked = NULL;
        Run *r = world_run(w, run);
        Ticket ticket;

        assert_true(engine_resume(w->engine, run, &world_actor, NULL, &ticket, &paused) >= 0);
        assert_true(engine_answer(w->engine, run, "qa", &world_actor, true, NULL, NULL, &ticket, &asked) >= 0);
        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                if (activity_waiting_for(r->activities[i]) == WAITING_DECISION)
                        assert_true(decide(w, run, r->activities[i]->def->name, below(2)) >= 0);
}

static void drain(World *w) {
        uint32_t last;

        mend_storage(w);
        w->fake->fail_times = 0;
        world_turn(w);
        while (fake_count(w->fake, 0) > 0 || w->engine->counts.active > 0 || w->engine->counts.on_hold > 0) {
                for (uint32_t run = 1; run <= store_last_run(w->store); run++)
                        if (engine_run_is_live(w->engine, run))
                                push_on(w, run);
                world_turn(w);
                if (any_job(w))
                        end(w);
                else if (w->engine->counts.active > 0)  /* in a backoff */
                        assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
                world_turn(w);
        }
        last = store_last_run(w->store);
        for (uint32_t run = 1; run <= last; run++)
                check_run(w, run);
        assert_int_equal(w->engine->scheduler.used, 0);
        assert_null(w->engine->jobs);
        assert_null(w->engine->scheduler.queue.first);
        assert_null(w->engine->starts.first);
        assert_null(w->engine->stale.first);
        assert_int_equal(intmap_size(w->engine->runs), 0);
        assert_int_equal(w->fake->n_launched, w->fake->n_ended);
        assert_int_equal(w->fake->n_prepared, w->fake->n_launched + w->fake->n_abandoned);
}

static void live(World *w, uint64_t s) {
        w->max_resumes = UINT32_MAX;                    /* however often it dies */
        world_again(w);
        seed = s * 0x9e3779b97f4a7c15 + 1;
        world_write(w, "again.yaml",
                    "phases:\n  - name: main\n    activities:\n      - {name: r1, retries: {max: 3, initialIntervalMs: 1}, run: 'true'}\n  "
                    "    - {name: r2, run: 'true'}\n");
        world_write(w, "hooks.yaml",
                    "phases:\n  - name: main\n    activities:\n      - name: h\n        hooks: {pre: [{run: p}], onSuccess: [{run: s}], "
                    "onFailure: [{run: f}], post: [{run: q}]}\n"
                    "        steps: [{run: one}, {run: two, continueOnError: true}]\n");
        world_write(w, "whole.yaml",
                    "retries: {max: 2, initialIntervalMs: 1}\nphases:\n  - name: main\n    activities:\n      - {name: r1, run: 'true'}\n"
                    "      - {name: r2, run: 'true'}\n");
        edit(w);
        for (unsigned i = 0; i < STEPS; i++)
                happen(w);
        drain(w);
}

static void test_random_lives(void **state) {
        for (uint64_t s = 1; s <= SEEDS; s++) {
                World *w;

                assert_ok(world_setup((void **) &w));
                print_message("seed %" PRIu64 "\n", s);
                live(w, s);
                assert_ok(world_teardown((void **) &w));
        }
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_lives) };

        if (argc > 1) {                                 /* one seed, to look at it */
                World *w;
                assert_ok(world_setup((void **) &w));
                live(w, strtoull(argv[1], NULL, 10));
                (void) fputs(strempty(w->trace.s), stdout);
                return world_teardown((void **) &w);
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
