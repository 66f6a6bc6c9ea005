/* run_apply: which events are possible in which state. Every type, with every subject, attempt, step and state that one could think of,
 * in every situation that a small run goes through: what is accepted is written down below, and what is refused must change nothing. */
#include "run-fixture.h"

static const char *const runbook_text =
        "phases:\n"
        "  - name: p\n"
        "    activities:\n"
        "      - name: a\n"
        "        timeout: 1h\n"
        "        retries: {max: 1}\n"
        "        steps: [{name: one, run: 'true'}, {name: ask, uses: 'builtin:approval'}]\n"
        "        hooks: {pre: [{run: 'true'}], post: [{run: 'true'}]}\n"
        "      - {name: b, run: 'true'}\n"
        "  - {name: q, activities: [{name: c, run: 'true'}]}\n";

enum { PRE, ONE, ASK, POST };                           /* the steps of a */

/* Drives one run through all of it: a fails, is retried, is interrupted, resumes, is approved. */
static void drive(Fixture *f) {
        fixture_init(f, runbook_text);
        fixture_turn(f);
        fixture_end(f, "a", 0);
        fixture_end(f, "a", 1);
        fixture_end(f, "a", 0);
        fixture_pass(f, USEC_PER_SEC);
        fixture_turn(f);
        fixture_end(f, "a", 0);
        assert_ok(run_recover(f->run, &f->now, &f->limits, &f->outcome));
        fixture_turn(f);
        fixture_end(f, "a", 0);
        fixture_end(f, "a", 0);
        fixture_end(f, "a", 0);
        assert_state(f, "a", ACTIVITY_ON_HOLD);
        char *error = NULL;
        assert_ok(run_answer(f->run, fixture_activity(f, "a"), &f->now, &bob, true, NULL, NULL, &f->outcome, &error));
        fixture_turn(f);
        fixture_end(f, "a", 0);
        fixture_end(f, "b", 0);
        fixture_end(f, "c", 0);
        assert_run_state(f, RUN_SUCCESS);
}

/* The number of events up to and with the n-th of a type (for its step or state where one is given). */
static size_t up_to(const Fixture *f, EventType type, int step, unsigned n) {
        for (size_t i = 0; i < f->n_history; i++)
                if (f->history[i]->type == type && (step < 0 || f->history[i]->step == step) && --n == 0)
                        return i + 1;
        fail();
        return 0;
}

#define T(type) (1u << EVENT_##type)
/* What has not ended can be cancelled, and its first activity given up; and a damaged run is parked as it is. */
#define ANY_TIME (T(RUN_CANCEL) | T(RUN_FINISHED) | T(RUN_GAVE_UP))

static const struct {
        const char *name;
        EventType after;
        int step;
        unsigned nth;
        unsigned possible;
} situations[] = {
        { "nothing yet", _EVENT_TYPE_INVALID, -1, 0, T(RUN_CREATED) },
        { "queued", EVENT_RUN_CREATED, -1, 1, ANY_TIME | T(RUN_STARTED) | T(ACTIVITY_FINISHED) },
        { "started", EVENT_RUN_STARTED, -1, 1, ANY_TIME | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(PHASE_STARTED) | T(ACTIVITY_FINISHED) },
        { "phase started", EVENT_PHASE_STARTED, -1, 1,
                        ANY_TIME | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(ATTEMPT_STARTED) | T(ACTIVITY_FINISHED) },
        { "attempt started", EVENT_ATTEMPT_STARTED, -1, 1,
          ANY_TIME | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(ATTEMPT_TIMED_OUT) | T(ATTEMPT_FINISHED) | T(STEP_STARTED) | T(STEP_FINISHED) | T(REQUEST_OPENED) |
                  T(ACTIVITY_FINISHED) },
        { "step of pre runs", EVENT_STEP_STARTED, PRE, 1,
          ANY_TIME | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(ATTEMPT_TIMED_OUT) | T(STEP_TIMED_OUT) | T(STEP_FINISHED) | T(ACTIVITY_FINISHED) },
        { "main step runs", EVENT_STEP_STARTED, ONE, 1,
          ANY_TIME | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(ATTEMPT_TIMED_OUT) | T(STEP_TIMED_OUT) | T(STEP_FINISHED) | T(ACTIVITY_FINISHED) },
        { "hook runs", EVENT_STEP_STARTED, POST, 1,
          ANY_TIME | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(HOOK_TIMED_OUT) | T(STEP_TIMED_OUT) | T(STEP_FINISHED) | T(ACTIVITY_FINISHED) },
        { "attempt failed", EVENT_ATTEMPT_FINISHED, -1, 1,
                        ANY_TIME | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(ACTIVITY_BACKOFF) | T(ACTIVITY_FINISHED) },
        { "backoff", EVENT_ACTIVITY_BACKOFF, -1, 1,
                        ANY_TIME | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(ATTEMPT_STARTED) | T(ACTIVITY_FINISHED) },
        { "interrupted", EVENT_ATTEMPT_FINISHED, -1, 2,
                        ANY_TIME | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(ATTEMPT_STARTED) | T(ACTIVITY_BACKOFF) | T(ACTIVITY_FINISHED) },
        { "waits for a person", EVENT_REQUEST_OPENED, -1, 1,
          ANY_TIME | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(ATTEMPT_TIMED_OUT) | T(STEP_FINISHED) | T(REQUEST_ANSWERED) | T(ACTIVITY_FINISHED) },
        { "on hold", EVENT_RUN_STATE, -1, 1,
          ANY_TIME | T(RUN_STATE) | T(ATTEMPT_TIMED_OUT) | T(STEP_FINISHED) | T(REQUEST_ANSWERED) | T(ACTIVITY_FINISHED) },
        { "all activities of a phase ended", EVENT_ACTIVITY_FINISHED, -1, 2,
                        T(RUN_CANCEL) | T(RUN_FINISHED) | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(PHASE_FINISHED) | T(ACTIVITY_FINISHED) },
        { "next phase", EVENT_PHASE_STARTED, -1, 2,
                        T(RUN_CANCEL) | T(RUN_FINISHED) | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(ATTEMPT_STARTED) | T(ACTIVITY_FINISHED) },
        { "all phases ended", EVENT_PHASE_FINISHED, -1, 2, T(RUN_CANCEL) | T(RUN_FINISHED) | T(RUN_TIMED_OUT) | T(RUN_STATE) },
        { "ended", EVENT_RUN_FINISHED, -1, 1, 0 },
};

/* ---- all events that one could think of ---- */

typedef struct Try {
        Fixture *f;
        size_t n;                                       /* events of the situation */
        Run *run;                                       /* gets all of them, and is folded anew after each that it accepts */
        Run *untouched;                                 /* gets those that it must refuse */
        unsigned accepted;
} Try;

static void check_move(const Try *t, const Event *e, const Run *after) {
        _cleanup_(run_freep) Run *before = fixture_fold(t->f, t->n);

        if (before->state != after->state)
                assert_true(run_state_may_become(before->state, after->state));
        for (unsigned i = 0; i < 2; i++)
                if (before->phases[i].state != after->phases[i].state)
                        assert_true(phase_state_may_become(before->phases[i].state, after->phases[i].state));
        for (unsigned i = 0; i < 3; i++)
                if (before->activities[i].state != after->activities[i].state)
                        assert_true(activity_state_may_become(before->activities[i].state, after->activities[i].state));
        assert_int_equal(after->last_seq, before->last_seq + 1);
}

static void try_event(Try *t, Event *e) {
        int r = run_apply(t->run, e);

        if (r == 0) {
                t->accepted |= 1u << e->type;
                check_move(t, e, t->run);
                run_free(t->run);
                t->run = fixture_fold(t->f, t->n);
                return;
        }
        assert_int_equal(r, -EBADMSG);
        assert_int_equal(run_apply(t->untouched, e), -EBADMSG);
}

static Event *new_event(const Try *t, EventType type) {
        Event *e = event_new(type, &t->f->now, UID_ENGINE, NULL);
        assert_non_null(e);
        return e;
}

static void try_of_run(Try *t, EventType type) {
        for (RunState s = 0; s < (type == EVENT_RUN_STATE || type == EVENT_RUN_FINISHED ? _RUN_STATE_MAX : 1); s++) {
                _cleanup_(event_freep) Event *e = new_event(t, type);
                e->run_state = s;
                e->activity = type == EVENT_RUN_GAVE_UP ? 0 : -1;
                try_event(t, e);
        }
}

static void try_of_phase(Try *t, EventType type) {
        for (int phase = -1; phase <= 2; phase++)
                for (PhaseState s = 0; s < (type == EVENT_PHASE_FINISHED ? _PHASE_STATE_MAX : 1); s++) {
                        _cleanup_(event_freep) Event *e = new_event(t, type);
                        e->phase = phase;
                        e->phase_state = s;
                        try_event(t, e);
                }
}

static Json *request_data(EventType type, unsigned variant) {
        static const char *const opened[] = { "{\"kind\":\"approval\"}", "{\"kind\":\"input\"}", "{\"kind\":\"decision\"}", "{}" };
        static const char *const answered[] = { "{\"action\":\"approve\"}", "{\"action\":\"reject\"}", "{\"action\":\"perhaps\"}", "{}" };
        const char *s = type == EVENT_REQUEST_OPENED ? opened[variant] : answered[variant];
        Json *j = NULL;

        assert_ok(json_parse(s, strlen(s), &j));
        return j;
}

static unsigned n_variants(EventType type) {
        switch (type) {
        case EVENT_ATTEMPT_STARTED:
                return _CAUSE_MAX;
        case EVENT_ATTEMPT_FINISHED:
                return _ATTEMPT_STATE_MAX;
        case EVENT_STEP_FINISHED:
                return 2 * _STEP_STATE_MAX;
        case EVENT_ACTIVITY_FINISHED:
                return _ACTIVITY_STATE_MAX;
        case EVENT_REQUEST_OPENED:
        case EVENT_REQUEST_ANSWERED:
                return 4;
        default:
                return 1;
        }
}

static void set_variant(Event *e, unsigned v) {
        e->cause = (Cause) v;
        e->attempt_state = (AttemptState) v;
        e->activity_state = (ActivityState) v;
        e->step_state = (StepState) (v / 2);
        e->started = v % 2;
        if (e->type == EVENT_REQUEST_OPENED || e->type == EVENT_REQUEST_ANSWERED)
                e->data = request_data(e->type, v);
}

static void try_of_activity(Try *t, EventType type) {
        bool of_step = type >= EVENT_STEP_STARTED && type <= EVENT_REQUEST_ANSWERED;

        for (int activity = -1; activity <= 3; activity++)
                for (uint32_t attempt = 0; attempt <= 4; attempt++)
                        for (int step = -1; step <= (of_step ? 4 : -1); step++)
                                for (unsigned v = 0; v < n_variants(type); v++) {
                                        _cleanup_(event_freep) Event *e = new_event(t, type);
                                        e->activity = activity;
                                        e->attempt = attempt;
                                        e->step = step;
                                        set_variant(e, v);
                                        try_event(t, e);
                                }
}

static unsigned try_all(Fixture *f, size_t n, const char *situation) {
        Try t = { .f = f, .n = n, .run = fixture_fold(f, n), .untouched = fixture_fold(f, n) };
        _cleanup_free_ char *before = run_snapshot(t.run);

        for (EventType type = 0; type < _EVENT_TYPE_MAX; type++) {
                if (type <= EVENT_RUN_FINISHED)
                        try_of_run(&t, type);
                else if (type <= EVENT_PHASE_FINISHED)
                        try_of_phase(&t, type);
                else
                        try_of_activity(&t, type);
                _cleanup_free_ char *after = run_snapshot(t.untouched);
                if (!streq(before, after))
                        print_message("%s: a refused %s changed the run\n", situation, event_type_to_string(type));
                assert_string_equal(before, after);
        }
        run_free(t.run);
        run_free(t.untouched);
        return t.accepted;
}

static void print_types(const char *what, unsigned types) {
        print_message("%s:", what);
        for (EventType t = 0; t < _EVENT_TYPE_MAX; t++)
                if (types & (1u << t))
                        print_message(" %s", event_type_to_string(t));
        print_message("\n");
}

static void test_every_event_in_every_state(void **state) {
        Fixture f;
        bool ok = true;

        drive(&f);
        for (size_t i = 0; i < ELEMENTSOF(situations); i++) {
                size_t n = situations[i].after < 0 ? 0 : up_to(&f, situations[i].after, situations[i].step, situations[i].nth);
                unsigned accepted = try_all(&f, n, situations[i].name);

                if (accepted == situations[i].possible)
                        continue;
                print_message("in the situation “%s”\n", situations[i].name);
                print_types("accepted and should not be", accepted & ~situations[i].possible);
                print_types("refused and should not be", situations[i].possible & ~accepted);
                ok = false;
        }
        assert_true(ok);
        fixture_done(&f);
}

static void test_unknown_type(void **state) {
        Fixture f;

        fixture_init(&f, runbook_text);
        _cleanup_(event_freep) Event *e = event_new(EVENT_RUN_STARTED, &f.now, UID_ENGINE, NULL);
        e->type = _EVENT_TYPE_MAX;
        assert_int_equal(run_apply(f.run, e), -EBADMSG);
        e->type = _EVENT_TYPE_INVALID;
        assert_int_equal(run_apply(f.run, e), -EBADMSG);
        fixture_done(&f);
}

/* A hole in the history, or an event twice, is damage. */
static void test_sequence(void **state) {
        Fixture f;

        fixture_init(&f, runbook_text);
        _cleanup_(event_freep) Event *e = event_new(EVENT_RUN_STARTED, &f.now, UID_ENGINE, NULL);
        e->seq = 3;
        assert_int_equal(run_apply(f.run, e), -EBADMSG);
        e->seq = 1;
        assert_int_equal(run_apply(f.run, e), -EBADMSG);
        e->seq = 2;
        assert_ok(run_apply(f.run, e));
        assert_int_equal(f.run->last_seq, 2);
        fixture_done(&f);
}

/* The fold of any beginning of the history is the state at that time. */
static void test_fold(void **state) {
        _cleanup_free_ char *live = NULL, *folded = NULL;
        Fixture f;

        drive(&f);
        for (size_t n = 1; n < f.n_history; n++) {
                _cleanup_(run_freep) Run *r = fixture_fold(&f, n);
                assert_int_equal(r->last_seq, n);
        }
        _cleanup_(run_freep) Run *r = fixture_fold(&f, f.n_history);
        live = run_snapshot(f.run);
        folded = run_snapshot(r);
        assert_string_equal(live, folded);
        fixture_done(&f);
}

static void test_created(void **state) {
        static const char *const bad[] = { "{\"inputs\":[1]}", "{\"inputs\":\"x\"}", "{\"labels\":7}" };
        Runbook *rb = parse_runbook(runbook_text);
        const Stamp now = { .wall = 5, .boot = 1 };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_(run_freep) Run *r = NULL;
                _cleanup_(event_freep) Event *e = event_new(EVENT_RUN_CREATED, &now, 1000, "alice");
                assert_ok(json_parse(bad[i], strlen(bad[i]), &e->data));
                assert_ok(run_new(1, rb, &r));
                assert_int_equal(run_apply(r, e), -EBADMSG);
                assert_int_equal(r->last_seq, 0);
                assert_int_equal(r->created_at, 0);
        }
        runbook_unref(rb);
}

/* A hook that runs once more begins as if nothing had been. */
static void test_hook_again(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true', hooks: {post: [{run: 'true'}]}}]}]");
        fixture_turn(&f);
        fixture_end(&f, "a", 0);
        assert_ok(run_recover(f.run, &f.now, &f.limits, &f.outcome));
        const StepRun *s = &activity_attempt(fixture_activity(&f, "a"))->steps[1];
        assert_int_equal(s->state, STEP_PENDING);
        assert_true(s->rerun);
        assert_int_equal(s->started_at, 0);
        assert_int_equal(s->finished_at, 0);
        assert_int_equal(s->exit_code, -1);
        assert_null(s->error);
        assert_null(s->outputs);
        fixture_turn(&f);
        fixture_end(&f, "a", 0);
        assert_run_state(&f, RUN_SUCCESS);
        fixture_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_event_in_every_state),
                cmocka_unit_test(test_unknown_type),
                cmocka_unit_test(test_sequence),
                cmocka_unit_test(test_fold),
                cmocka_unit_test(test_created),
                cmocka_unit_test(test_hook_again),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
