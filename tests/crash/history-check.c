/* The rules that every history keeps, however often the engine died: no gap, nothing after the end, nothing again that has succeeded, hooks
 * as section HOOKS of runbook(5) has them. */
#include "story.h"

#include <stdio.h>
#include <unistd.h>

#include "fd-util.h"

#define ATTEMPTS_MAX 24
#define ACTIVITIES_MAX 8

/* The steps that the stories have. */
static const char *const slots[] = { "pre:1", "step-1", "step-2", "onSuccess:1", "onFailure:1", "post:1" };
enum { PRE, FIRST, SECOND, ON_SUCCESS, ON_FAILURE, POST, N_SLOTS };

typedef struct Tried {
        unsigned begun[N_SLOTS], ended[N_SLOTS];        /* ended: having begun, and not by an interruption that is made good */
        bool interrupted[N_SLOTS];
} Tried;

typedef struct Lived {
        char name[16];
        unsigned n;                                     /* attempts */
        bool over;
        Tried tried[ATTEMPTS_MAX + 1];
} Lived;

typedef struct Walk {
        uint32_t last_seq;
        bool finished;
        unsigned deaths;
        Lived activities[ACTIVITIES_MAX];
        bool bracketed[ACTIVITIES_MAX];                 /* has hooks */
        const Runbook *runbook;
} Walk;

static Lived *lived(Walk *k, const char *name) {
        for (size_t i = 0; i < ACTIVITIES_MAX; i++) {
                Lived *a = &k->activities[i];

                if (!a->name[0]) {
                        const ActivityDef *def = runbook_activity(k->runbook, name);

                        (void) snprintf(a->name, sizeof a->name, "%s", name);
                        assert_non_null(def);
                        k->bracketed[i] = def->n_steps > 2;
                }
                if (streq(a->name, name))
                        return a;
        }
        fail_msg("too many activities");
        return NULL;
}

static unsigned slot_of(const char *step) {
        for (unsigned i = 0; i < N_SLOTS; i++)
                if (streq(slots[i], step))
                        return i;
        fail_msg("a step %s", step);
        return 0;
}

static void on_step(Walk *k, Lived *a, const EventRow *row) {
        unsigned s = slot_of(row->step);
        _cleanup_json_ Json *data = NULL;
        Tried *t = &a->tried[row->attempt];

        assert_int_equal(row->attempt, a->n);
        if (streq(row->type, "step-started")) {
                t->begun[s]++;
                /* A hook after the main steps goes on where a death hit it, once. */
                if (t->begun[s] > 1 && (s < ON_SUCCESS || t->begun[s] > 2 || !t->interrupted[s] || k->deaths == 0))
                        fail_msg("%s/%s of attempt %u begins again", a->name, row->step, row->attempt);
                return;
        }
        if (row->data)
                assert_ok(json_parse(row->data, strlen(row->data), &data));
        if (json_has(data, "started"))
                return;
        if (json_bool(json_get(data, "interrupted")) && s >= ON_SUCCESS && t->begun[s] == 1)
                t->interrupted[s] = true;
        else
                t->ended[s]++;
        assert_true(t->ended[s] <= 1);
}

/* What an attempt must have done when its activity goes on to something else. good: it succeeded; deciding: no automatic retry is left. */
static void check_hooks(const Lived *a, bool good, bool deciding) {
        const Tried *t = &a->tried[a->n];

        assert_int_equal(t->ended[PRE], 1);
        assert_int_equal(t->ended[ON_SUCCESS], deciding && good);
        assert_int_equal(t->ended[ON_FAILURE], deciding && !good);
        assert_int_equal(t->ended[POST], 1);
}

static void check_post(const Lived *a) {
        for (unsigned n = 1; n <= a->n; n++) {
                const Tried *t = &a->tried[n];

                if (t->ended[POST] != (t->begun[PRE] > 0))
                        fail_msg("%s: post of attempt %u ran %u times, pre began %u times", a->name, n, t->ended[POST], t->begun[PRE]);
        }
}

static bool says(const EventRow *row, const char *state) {
        return row->data && strstr(row->data, state);
}

static void on_activity(Walk *k, const EventRow *row) {
        Lived *a = lived(k, row->activity);
        bool hooked = k->bracketed[a - k->activities];

        if (a->over)
                fail_msg("%s of %s after its end", row->type, a->name);
        if (streq(row->type, "attempt-started")) {
                assert_int_equal(row->attempt, ++a->n);
                assert_true(a->n <= ATTEMPTS_MAX);
        } else if (startswith(row->type, "step-"))
                on_step(k, a, row);
        else if (streq(row->type, "activity-backoff") && hooked)
                check_hooks(a, false, false);
        else if (streq(row->type, "activity-held") && hooked)
                check_hooks(a, false, true);
        else if (streq(row->type, "activity-finished") && hooked && says(row, "\"success\""))
                check_hooks(a, true, true);
        a->over = streq(row->type, "activity-finished") || (streq(row->type, "activity-reused") && says(row, "\"success\""));
}

static int on_event(void *userdata, const EventRow *row) {
        Walk *k = userdata;

        assert_int_equal(row->seq, ++k->last_seq);
        assert_false(k->finished);
        if (streq(row->type, "run-backoff"))            /* all of it again */
                for (size_t i = 0; i < ACTIVITIES_MAX; i++)
                        k->activities[i].over = false;
        if (row->activity && !startswith(row->type, "phase-"))
                on_activity(k, row);
        k->finished = streq(row->type, "run-finished");
        return 0;
}

void check_history(World *w, uint32_t run, unsigned deaths) {
        Walk k = { .deaths = deaths, .runbook = world_run(w, run)->runbook };

        assert_ok(store_load_events(w->store, run, 1, 0, on_event, &k));
        assert_int_equal(k.last_seq, world_run(w, run)->last_seq);
        assert_true(k.finished);
        for (size_t i = 0; i < ACTIVITIES_MAX; i++)
                if (k.bracketed[i])
                        check_post(&k.activities[i]);
}

/* ---- counting ---- */

typedef struct Counting {
        const char *type, *activity;
        unsigned n;
} Counting;

static int count_event(void *userdata, const EventRow *row) {
        Counting *c = userdata;

        c->n += streq(row->type, c->type) && (!c->activity || streq_ptr(row->activity, c->activity));
        return 0;
}

unsigned count_events(World *w, uint32_t run, const char *type, const char *activity) {
        Counting c = { .type = type, .activity = activity };

        assert_ok(store_load_events(w->store, run, 1, 0, count_event, &c));
        return c.n;
}

unsigned count_failure_runs(World *w, uint32_t run) {
        unsigned n = 0;

        for (uint32_t id = 1; id <= store_last_run(w->store); id++) {
                const Run *r = world_run(w, id);

                n += streq_ptr(r->trigger, "failure") && json_int(json_get(r->payload, "run")) == run;
        }
        return n;
}

void check_failure_runs(World *w) {
        _cleanup_free_ char *report = path_join(w->runbooks, "report.yaml");
        bool follows = access(report, F_OK) >= 0;

        for (uint32_t id = 1; id <= store_last_run(w->store); id++) {
                RunState s = world_stored_state(w, id);
                bool badly = s == RUN_FAILED || s == RUN_EXHAUSTED;

                assert_int_equal(count_failure_runs(w, id), follows && badly && !streq_ptr(world_run(w, id)->trigger, "failure"));
        }
}
