/* run_apply: which events are possible in which state. Every type, with every subject, attempt, step and state that one could think of,
 * in every situation that a small run goes through: what is accepted is written down below, and what is refused must change nothing. */
#include "run-fixture.h"

#include "fd-util.h"

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

static const char *const fixed_text =
        "retries: {max: 1}\n"
        "inputs: {x: {type: string, default: one}}\n"
        "phases:\n"
        "  - name: p\n"
        "    activities:\n"
        "      - {name: a, failurePolicy: hold, run: 'true'}\n"
        "      - {name: b, run: 'true'}\n"
        "  - {name: q, activities: [{name: c, run: 'true'}]}\n";

/* And one that is scheduled, held, decided about in a pause, and tried again as a whole. */
static void drive_held(Fixture *f) {
        char *error = NULL;

        fixture_init_options(f, fixed_text, &(RunOptions) { .scheduled_for = 1800003600 * USEC_PER_SEC });
        fixture_pass(f, USEC_PER_HOUR);
        fixture_turn(f);
        fixture_end(f, "a", 1);
        assert_state(f, "a", ACTIVITY_ON_HOLD);
        assert_ok(run_pause(f->run, &f->now, &bob, NULL, &f->outcome, &error));
        fixture_turn(f);
        assert_ok(run_retry(f->run, fixture_activity(f, "a"), &f->now, &bob, NULL, NULL, NULL, &f->outcome, &error));
        fixture_turn(f);
        assert_ok(run_unpause(f->run, &f->now, &bob, NULL, &f->outcome, &error));
        fixture_turn(f);
        fixture_end(f, "a", 1);
        assert_ok(run_ignore(f->run, fixture_activity(f, "a"), &f->now, &bob, NULL, NULL, &f->outcome, &error));
        fixture_turn(f);
        fixture_end(f, "b", 1);
        assert_run_state(f, RUN_QUEUED);
        fixture_pass(f, USEC_PER_SEC);
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

#define T(type) (UINT64_C(1) << EVENT_##type)
/* Whatever has not ended can be cancelled, its first activity given up, its inputs and its definition changed; and a damaged run is parked
 * as it is. */
#define CHANGES (T(INPUTS_CHANGED) | T(DEFINITION_CHANGED))
#define ANY_TIME (T(RUN_CANCEL) | T(RUN_FINISHED) | T(RUN_GAVE_UP) | CHANGES)
/* While it runs, its timeout may pass, and it may be paused or turn out to be on hold. */
#define RUNS (ANY_TIME | T(RUN_TIMED_OUT) | T(RUN_STATE) | T(RUN_PAUSED))
/* Something in a phase that runs may be held (what comes after it, where the first may not), or end. */
#define IN_PHASE (RUNS | T(ACTIVITY_HELD) | T(INPUTS_WANTED) | T(ACTIVITY_FINISHED))

typedef struct Situation {
        const char *name;
        EventType after;
        int step;
        unsigned nth;
        uint64_t possible;
} Situation;

static const Situation situations[] = {
        { "nothing yet", _EVENT_TYPE_INVALID, -1, 0, T(RUN_CREATED) },
        { "queued", EVENT_RUN_CREATED, -1, 1, ANY_TIME | T(RUN_STARTED) | T(RUN_PAUSED) | T(ACTIVITY_REUSED) | T(ACTIVITY_FINISHED) },
        { "started", EVENT_RUN_STARTED, -1, 1, RUNS | T(PHASE_STARTED) | T(INPUTS_WANTED) | T(ACTIVITY_FINISHED) },
        { "phase started", EVENT_PHASE_STARTED, -1, 1, IN_PHASE | T(ATTEMPT_STARTED) },
        { "attempt started", EVENT_ATTEMPT_STARTED, -1, 1,
          IN_PHASE | T(ATTEMPT_TIMED_OUT) | T(ATTEMPT_FINISHED) | T(STEP_STARTED) | T(STEP_FINISHED) | T(REQUEST_OPENED) },
        { "step of pre runs", EVENT_STEP_STARTED, PRE, 1, IN_PHASE | T(ATTEMPT_TIMED_OUT) | T(STEP_TIMED_OUT) | T(STEP_FINISHED) },
        { "main step runs", EVENT_STEP_STARTED, ONE, 1, IN_PHASE | T(ATTEMPT_TIMED_OUT) | T(STEP_TIMED_OUT) | T(STEP_FINISHED) },
        { "hook runs", EVENT_STEP_STARTED, POST, 1, IN_PHASE | T(HOOK_TIMED_OUT) | T(STEP_TIMED_OUT) | T(STEP_FINISHED) },
        { "attempt failed", EVENT_ATTEMPT_FINISHED, -1, 1, IN_PHASE | T(ACTIVITY_BACKOFF) },
        { "backoff", EVENT_ACTIVITY_BACKOFF, -1, 1, IN_PHASE | T(ATTEMPT_STARTED) },
        { "interrupted", EVENT_ATTEMPT_FINISHED, -1, 2, IN_PHASE | T(ATTEMPT_STARTED) | T(ACTIVITY_BACKOFF) },
        { "waits for a person", EVENT_REQUEST_OPENED, -1, 1, IN_PHASE | T(ATTEMPT_TIMED_OUT) | T(STEP_FINISHED) | T(REQUEST_ANSWERED) },
        { "on hold", EVENT_RUN_STATE, -1, 1, (IN_PHASE & ~T(RUN_TIMED_OUT)) | T(ATTEMPT_TIMED_OUT) | T(STEP_FINISHED) | T(REQUEST_ANSWERED) },
        { "all activities of a phase ended", EVENT_ACTIVITY_FINISHED, -1, 2,
          (RUNS & ~T(RUN_GAVE_UP)) | T(PHASE_FINISHED) | T(INPUTS_WANTED) | T(ACTIVITY_FINISHED) },
        { "next phase", EVENT_PHASE_STARTED, -1, 2, (IN_PHASE & ~T(RUN_GAVE_UP)) | T(ATTEMPT_STARTED) },
        { "all phases ended", EVENT_PHASE_FINISHED, -1, 2, (RUNS & ~T(RUN_GAVE_UP)) | T(RUN_BACKOFF) },
        { "ended", EVENT_RUN_FINISHED, -1, 1, 0 },
};

static const Situation held_situations[] = {
        { "scheduled", EVENT_RUN_CREATED, -1, 1,
          ANY_TIME | T(RUN_START_NOW) | T(RUN_RESCHEDULED) | T(RUN_STARTED) | T(ACTIVITY_REUSED) | T(ACTIVITY_FINISHED) },
        { "held", EVENT_ACTIVITY_HELD, -1, 1, IN_PHASE | T(ACTIVITY_DECIDED) },
        { "held in a pause", EVENT_RUN_PAUSED, -1, 1,
          (IN_PHASE & ~(T(RUN_TIMED_OUT) | T(RUN_STATE) | T(RUN_PAUSED))) | T(RUN_RESUMED) | T(ACTIVITY_DECIDED) },
        { "decided in a pause", EVENT_ACTIVITY_DECIDED, -1, 1,
          (IN_PHASE & ~(T(RUN_TIMED_OUT) | T(RUN_STATE) | T(RUN_PAUSED))) | T(RUN_RESUMED) | T(ATTEMPT_STARTED) },
        { "paused no more", EVENT_RUN_RESUMED, -1, 1, (IN_PHASE & ~T(RUN_TIMED_OUT)) | T(ATTEMPT_STARTED) },
        { "ignored, still on hold", EVENT_ACTIVITY_FINISHED, -1, 1, (IN_PHASE & ~(T(RUN_GAVE_UP) | T(RUN_TIMED_OUT))) | T(ATTEMPT_STARTED) },
        { "waits to be tried again", EVENT_RUN_BACKOFF, -1, 1,
          (ANY_TIME & ~T(RUN_GAVE_UP)) | T(RUN_START_NOW) | T(RUN_STARTED) | T(RUN_PAUSED) | T(RUN_TIMED_OUT) },
        { "tried again", EVENT_RUN_STARTED, -1, 2, RUNS | T(PHASE_STARTED) | T(INPUTS_WANTED) | T(ACTIVITY_FINISHED) },
};

/* ---- all events that one could think of ---- */

typedef struct Try {
        Fixture *f;
        size_t n;                                       /* events of the situation */
        Run *run;                                       /* gets all of them, and is folded anew after each that it accepts */
        Run *untouched;                                 /* gets those that it must refuse */
        uint64_t accepted;
        Runbook *other;                                 /* another text of the runbook */
} Try;

static void check_move(const Try *t, const Event *e, const Run *after) {
        _cleanup_(run_freep) Run *before = fixture_fold(t->f, t->n);

        if (e->type == EVENT_RUN_CREATED)
                assert_int_equal(after->state, e->until > 0 ? RUN_SCHEDULED : RUN_QUEUED);
        else if (before->state != after->state)
                assert_true(run_state_may_become(before->state, after->state));
        for (unsigned i = 0; i < 2; i++)
                if (before->phases[i].state != after->phases[i].state)
                        assert_true(phase_state_may_become(before->phases[i].state, after->phases[i].state));
        for (unsigned i = 0; i < 3; i++)
                if (before->activities[i]->state != after->activities[i]->state)
                        assert_true(activity_state_may_become(before->activities[i]->state, after->activities[i]->state));
        assert_int_equal(after->last_seq, before->last_seq + 1);
}

static void try_event(Try *t, Event *e) {
        int r = run_apply(t->run, e);

        if (r == 0) {
                t->accepted |= UINT64_C(1) << e->type;
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

static Json *parse_data(const char *s) {
        Json *j = NULL;

        assert_ok(json_parse(s, strlen(s), &j));
        return j;
}

static void set_of_run(const Try *t, Event *e, unsigned v) {
        static const char *const changes[] = { "{}", "{\"changes\":7}", "{\"changes\":{\"x\":{\"old\":1}}}", "{\"changes\":{\"x\":{\"new\":2}}}" };

        e->run_state = (RunState) v;
        e->attempt = v;
        e->until = v;
        e->activity = e->type == EVENT_RUN_GAVE_UP ? 0 : -1;
        if (e->type == EVENT_INPUTS_CHANGED)
                e->data = parse_data(changes[v % ELEMENTSOF(changes)]);
        if (e->type != EVENT_DEFINITION_CHANGED || v == 0)
                return;
        e->runbook = v == 1 ? NULL : runbook_ref(t->other);
        e->data = json_new_object();
        assert_ok(json_set_string(e->data, "definition", v == 2 ? "0000" : t->other->hash));
}

static void try_of_run(Try *t, EventType type) {
        for (unsigned v = 0; v < _RUN_STATE_MAX; v++) {
                _cleanup_(event_freep) Event *e = new_event(t, type);
                set_of_run(t, e, v);
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

/* What only these types have, good and bad. */
static const struct {
        EventType type;
        const char *data[6];
} variants[] = {
        { EVENT_REQUEST_OPENED, { "{\"kind\":\"approval\"}", "{\"kind\":\"input\"}", "{\"kind\":\"decision\"}", "{}" } },
        { EVENT_REQUEST_ANSWERED, { "{\"action\":\"approve\"}", "{\"action\":\"reject\"}", "{\"action\":\"perhaps\"}", "{}" } },
        { EVENT_ACTIVITY_DECIDED, { "{\"action\":\"retry\"}", "{\"action\":\"ignore\"}", "{\"action\":\"abort\"}", "{\"action\":\"none\"}", "{}" } },
        { EVENT_INPUTS_WANTED, { "{\"inputs\":[\"x\"]}", "{\"inputs\":[]}", "{}" } },
};

static const char *variant_data(EventType type, unsigned v) {
        for (size_t i = 0; i < ELEMENTSOF(variants); i++)
                if (variants[i].type == type)
                        return v < ELEMENTSOF(variants[i].data) ? variants[i].data[v] : NULL;
        return NULL;
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
        case EVENT_ACTIVITY_REUSED:
                return _ACTIVITY_STATE_MAX;
        default:
                for (unsigned n = 0;; n++)
                        if (!variant_data(type, n))
                                return MAX(n, 1u);
        }
}

static void set_variant(Event *e, unsigned v) {
        e->cause = (Cause) v;
        e->attempt_state = (AttemptState) v;
        e->activity_state = (ActivityState) v;
        e->step_state = (StepState) (v / 2);
        e->started = v % 2;
        if (variant_data(e->type, v))
                e->data = parse_data(variant_data(e->type, v));
        if (e->type == EVENT_ACTIVITY_REUSED)
                e->data = parse_data("{\"run\":3}");
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

/* The same, with one activity more at its end. */
static Runbook *other_text(const Fixture *f) {
        _cleanup_free_ char *text = xasprintf("%.*s  - {name: r, activities: [{name: d, run: 'true'}]}\n", (int) f->runbook->text_size, f->runbook->text);

        return parse_runbook(text);
}

static uint64_t try_all(Fixture *f, size_t n, const char *situation) {
        Try t = { .f = f, .n = n, .run = fixture_fold(f, n), .untouched = fixture_fold(f, n), .other = other_text(f) };
        _cleanup_free_ char *before = run_snapshot(t.run);

        for (EventType type = 0; type < _EVENT_TYPE_MAX; type++) {
                if (type <= EVENT_DEFINITION_CHANGED)
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
        runbook_unref(t.other);
        return t.accepted;
}

static void print_types(const char *what, uint64_t types) {
        print_message("%s:", what);
        for (EventType t = 0; t < _EVENT_TYPE_MAX; t++)
                if (types & (UINT64_C(1) << t))
                        print_message(" %s", event_type_to_string(t));
        print_message("\n");
}

static bool try_situations(Fixture *f, const Situation *list, size_t n) {
        bool ok = true;

        for (size_t i = 0; i < n; i++) {
                size_t events = list[i].after < 0 ? 0 : up_to(f, list[i].after, list[i].step, list[i].nth);
                uint64_t accepted = try_all(f, events, list[i].name);

                if (accepted == list[i].possible)
                        continue;
                print_message("in the situation “%s”\n", list[i].name);
                print_types("accepted and should not be", accepted & ~list[i].possible);
                print_types("refused and should not be", list[i].possible & ~accepted);
                ok = false;
        }
        return ok;
}

static void test_every_event_in_every_state(void **state) {
        Fixture f;

        drive(&f);
        assert_true(try_situations(&f, situations, ELEMENTSOF(situations)));
        fixture_done(&f);
}

static void test_every_event_about_what_is_held(void **state) {
        Fixture f;

        drive_held(&f);
        assert_true(try_situations(&f, held_situations, ELEMENTSOF(held_situations)));
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
        e->attempt = 1;
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
                cmocka_unit_test(test_every_event_about_what_is_held),
                cmocka_unit_test(test_unknown_type),
                cmocka_unit_test(test_sequence),
                cmocka_unit_test(test_fold),
                cmocka_unit_test(test_created),
                cmocka_unit_test(test_hook_again),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
