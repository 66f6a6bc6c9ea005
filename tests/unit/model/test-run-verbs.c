/* Facts and decisions: what each becomes in the history, and what is refused, with a sentence that says why. */
#include "run-fixture.h"

static const char *const asking =
                "phases: [{name: p, activities: [{name: a, approval: {required: 2, fields: {n: {type: integer, required: true}, note: "
                "{type: string}}}}, {name: b, run: 'true'}]}]";

static void test_create(void **state) {
        _cleanup_json_ Json *inputs = json_new_object(), *labels = json_new_object();
        Runbook *rb = parse_runbook("name: ship\ninputs: {x: {type: integer}}\nphases: [{name: p, activities: [{name: a, run: 'true'}]}]");
        const Stamp now = { .wall = 123, .boot = 1 };
        Outcome o = { 0 };
        Run *r;

        assert_ok(json_set_int(inputs, "x", 4));
        assert_ok(json_set_string(labels, "team", "web"));
        assert_ok(run_new(1, rb, &r));
        assert_ok(run_create(r, &now, &bob, &(RunOptions) { .inputs = inputs, .labels = labels, .trigger = "cron", .dedup_key = "k" }, &o));
        assert_int_equal(r->created_at, 123);
        assert_int_equal(r->started_by, 1001);
        assert_string_equal(r->started_by_name, "bob");
        assert_string_equal(r->trigger, "cron");
        assert_string_equal(r->dedup_key, "k");
        assert_true(json_equal(r->inputs, inputs));
        assert_true(json_equal(r->labels, labels));
        assert_int_equal(o.n_events, 1);
        assert_string_equal(json_string(json_get(o.events[0]->data, "runbook")), "ship");
        assert_string_equal(json_string(json_get(o.events[0]->data, "definition")), rb->hash);
        /* Twice is not possible. */
        assert_int_equal(run_create(r, &now, &bob, &(RunOptions) { 0 }, &o), -EBADMSG);
        assert_int_equal(o.n_events, 1);
        outcome_done(&o);
        run_free(r);
        runbook_unref(rb);
}

static void test_create_defaults(void **state) {
        Fixture f;

        fixture_init(&f, asking);
        assert_string_equal(f.run->trigger, "manual");
        assert_null(f.run->labels);
        assert_null(f.run->dedup_key);
        assert_int_equal(json_length(f.run->inputs), 0);
        fixture_done(&f);
}

static void test_step_that_does_not_run(void **state) {
        const StepEnd end = { .state = STEP_SUCCESS };
        Fixture f;

        fixture_init(&f, asking);
        assert_int_equal(run_step_ended(f.run, fixture_activity(&f, "b"), &f.now, &end, &f.outcome), -EBADMSG);
        assert_int_equal(f.outcome.n_events, 0);
        fixture_done(&f);
}

/* S4.13: what the end of a step says is kept, with its time. */
static void test_step_end(void **state) {
        _cleanup_json_ Json *error = error_new("RATE_LIMIT", 5, "slow down"), *outputs = json_new_object();
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true'}]}]");
        fixture_turn(&f);
        fixture_pass(&f, USEC_PER_SEC);
        assert_ok(json_set_int(outputs, "x", 1));
        assert_ok(run_step_ended(f.run, fixture_activity(&f, "a"), &f.now,
                        &(StepEnd) { .state = STEP_FAILED, .exit_code = 7, .log_end = 99, .error = error, .outputs = outputs },
                        &f.outcome));
        const StepRun *s = &activity_attempt(fixture_activity(&f, "a"))->steps[0];
        assert_int_equal(s->state, STEP_FAILED);
        assert_int_equal(s->exit_code, 7);
        assert_int_equal(s->log_start, 0);
        assert_int_equal(s->log_end, 99);
        assert_int_equal(s->finished_at, f.now.wall);
        assert_true(json_equal(s->error, error));
        assert_true(json_equal(s->outputs, outputs));
        fixture_done(&f);
}

/* Steps follow one another in the attempt's log; one that says less than before is not believed. */
static void test_log_offsets(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, steps: [{run: 'true'}, {run: 'true'}, {run: 'true'}]}]}]");
        fixture_turn(&f);
        Activity *a = fixture_activity(&f, "a");
        assert_ok(run_step_ended(f.run, a, &f.now, &(StepEnd) { .state = STEP_SUCCESS, .log_end = 100 }, &f.outcome));
        fixture_turn(&f);
        assert_ok(run_step_ended(f.run, a, &f.now, &(StepEnd) { .state = STEP_SUCCESS, .log_end = 50 }, &f.outcome));
        fixture_turn(&f);
        const Attempt *t = activity_attempt(a);
        assert_int_equal(t->steps[0].log_end, 100);
        assert_int_equal(t->steps[1].log_start, 100);
        assert_int_equal(t->steps[1].log_end, 100);
        assert_int_equal(t->steps[2].log_start, 100);
        fixture_done(&f);
}

/* What a step was told to stop for overrules how it ended; an interruption is one whatever it was told. */
static void test_stopped(void **state) {
        char *error = NULL;
        Fixture f;

        for (unsigned interrupted = 0; interrupted < 2; interrupted++) {
                fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true'}]}]");
                fixture_turn(&f);
                assert_ok(run_cancel(f.run, &f.now, &bob, "enough", &f.outcome, &error));
                fixture_turn(&f);
                Activity *a = fixture_activity(&f, "a");
                assert_int_equal(a->stopping, STOP_CANCEL);
                assert_ok(run_step_ended(f.run, a, &f.now,
                                &(StepEnd) { .state = interrupted ? STEP_FAILED : STEP_SUCCESS, .interrupted = interrupted }, &f.outcome));
                assert_int_equal(a->stopping, STOP_NOTHING);
                assert_int_equal(activity_attempt(a)->steps[0].state, interrupted ? STEP_FAILED : STEP_CANCELLED);
                assert_string_equal(error_code(activity_attempt(a)->steps[0].error), interrupted ? "" : "CANCELLED");
                fixture_done(&f);
        }
}

/* S4.18 */
static void test_cancel(void **state) {
        _cleanup_free_ char *error = NULL;
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, approval: {}}]}]");
        fixture_turn(&f);
        assert_ok(run_cancel(f.run, &f.now, &bob, "wrong version", &f.outcome, &error));
        const Event *e = f.outcome.events[0];
        assert_int_equal(e->type, EVENT_RUN_CANCEL);
        assert_int_equal(e->uid, 1001);
        assert_string_equal(e->user, "bob");
        assert_string_equal(e->reason, "wrong version");
        fixture_turn(&f);
        assert_run_state(&f, RUN_CANCELLED);
        assert_int_equal(run_cancel(f.run, &f.now, &bob, NULL, &f.outcome, &error), -ESTALE);
        assert_string_equal(error, "Run 7 has ended (cancelled); there is nothing to cancel");
        fixture_done(&f);
}

static int answer(Fixture *f, const char *activity, const Actor *who, bool approve, const char *fields, char **ret_error) {
        _cleanup_json_ Json *j = NULL;

        if (fields)
                assert_ok(json_parse(fields, strlen(fields), &j));
        free(*ret_error);
        *ret_error = NULL;
        return run_answer(f->run, fixture_activity(f, activity), &f->now, who, approve, j, "because", &f->outcome, ret_error);
}

static void assert_refused(Fixture *f, const char *activity, const Actor *who, const char *fields, int error, const char *sentence) {
        _cleanup_free_ char *text = NULL;
        size_t n = f->outcome.n_events;

        assert_int_equal(answer(f, activity, who, true, fields, &text), error);
        assert_non_null(text);
        if (!strstr(text, sentence))
                print_message("%s\n", text);
        assert_non_null(strstr(text, sentence));
        assert_int_equal(f->outcome.n_events, n);
}

static void test_answers(void **state) {
        _cleanup_free_ char *error = NULL;
        Fixture f;

        fixture_init(&f, asking);
        assert_refused(&f, "a", &bob, "{\"n\":1}", -ESTALE, "does not wait for an approval (it is pending); see: runbookctl status 7");
        fixture_turn(&f);
        assert_refused(&f, "b", &bob, NULL, -ESTALE, "does not wait");
        assert_refused(&f, "a", &bob, NULL, -EINVAL, "The field “n” needs a value; give it with -i n=VALUE");
        assert_refused(&f, "a", &bob, "{\"n\":\"x\"}", -EINVAL, "n");
        assert_refused(&f, "a", &bob, "{\"n\":1,\"none\":2}", -EINVAL, "none");
        assert_ok(answer(&f, "a", &bob, true, "{\"n\":1.0}", &error));
        assert_refused(&f, "a", &bob, "{\"n\":1}", -EALREADY, "You have answered this request already; it waits for others");
        const Event *e = f.outcome.events[0];
        assert_int_equal(e->type, EVENT_REQUEST_ANSWERED);
        assert_int_equal(e->uid, 1001);
        assert_string_equal(e->reason, "because");
        assert_string_equal(json_string(json_get(e->data, "action")), "approve");
        assert_int_equal(json_type(json_get(json_get(e->data, "fields"), "n")), JSON_INT);
        fixture_turn(&f);
        assert_state(&f, "a", ACTIVITY_ON_HOLD);
        assert_ok(answer(&f, "a", &carol, true, "{\"n\":3,\"note\":\"x\"}", &error));
        fixture_turn(&f);
        assert_state(&f, "a", ACTIVITY_SUCCESS);
        assert_refused(&f, "a", &alice, "{\"n\":1}", -EALREADY, "does not wait");
        const Json *outputs = fixture_activity(&f, "a")->outputs;
        assert_int_equal(json_int(json_get(outputs, "n")), 3);
        assert_int_equal(json_length(json_get(outputs, "by")), 2);
        fixture_done(&f);
}

/* An answer that says which request it is for is for no other. */
static void test_answer_to_an_earlier_request(void **state) {
        _cleanup_free_ char *error = NULL;
        Actor late = bob;
        Fixture f;

        fixture_init(&f, asking);
        fixture_turn(&f);
        late.opened_at = fixture_activity(&f, "a")->request->opened_at - 1;
        assert_refused(&f, "a", &late, "{\"n\":1}", -ESTALE, "activity a of run 7 asks again");
        late.opened_at++;
        assert_ok(answer(&f, "a", &late, true, "{\"n\":1}", &error));
        fixture_done(&f);
}

static void test_inputs_for_an_earlier_request(void **state) {
        _cleanup_free_ char *error = NULL;
        _cleanup_json_ Json *fields = json_new_object();
        Actor late = bob;
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, input: {fields: {n: {type: integer}}}}]}]");
        fixture_turn(&f);
        late.opened_at = fixture_activity(&f, "a")->request->opened_at + 1;
        assert_int_equal(run_provide(f.run, fixture_activity(&f, "a"), &f.now, &late, fields, NULL, &f.outcome, &error), -ESTALE);
        assert_non_null(strstr(error, "asks again"));
        assert_int_equal(f.outcome.n_events, 0);
        late.opened_at--;
        assert_ok(run_provide(f.run, fixture_activity(&f, "a"), &f.now, &late, fields, NULL, &f.outcome, &error));
        fixture_done(&f);
}

static void assert_may(const Fixture *f, const char *activity, const Actor *who, int expected) {
        _cleanup_free_ char *text = NULL;

        assert_int_equal(activity_check_answer(run_activity(f->run, activity), who, &text), expected);
        assert_int_equal(text != NULL, expected < 0);
}

/* S1.14: who is asked is who may answer: by the starter's rule, once each, as long as it is open. Of failures and inputs of the run, anybody. */
static void test_who_may_answer(void **state) {
        const Actor alice_overrides = { .uid = 1000, .user = "alice", .override = true };
        _cleanup_free_ char *error = NULL;
        Fixture f;

        fixture_init(&f, "inputs: {version: {type: string, required: true}}\n"
                         "phases: [{name: p, activities: [{name: a, needs: [], approval: {allowStarter: false, required: 2}},"
                         "{name: i, needs: [], input: {fields: {x: {type: string}}}}, {name: f, needs: [], run: 'false'},"
                         "{name: w, needs: [], run: 'echo ${{ inputs.version }}'}]}]");
        assert_may(&f, "a", &bob, 0);                   /* nothing is open */
        fixture_turn(&f);
        fixture_end(&f, "f", 1);
        assert_may(&f, "a", &alice, -EPERM);
        assert_may(&f, "a", &alice_overrides, 0);
        assert_may(&f, "a", &bob, 0);
        for (size_t i = 0; i < 3; i++)
                assert_may(&f, (const char *[]) { "i", "f", "w" }[i], &alice, 0);
        assert_ok(answer(&f, "a", &bob, true, NULL, &error));
        assert_may(&f, "a", &bob, -EALREADY);
        assert_may(&f, "a", &carol, 0);
        assert_ok(answer(&f, "a", &carol, false, NULL, &error));
        assert_may(&f, "a", &(Actor) { .uid = 1003, .user = "dave" }, -EALREADY);   /* somebody has rejected it */
        fixture_done(&f);
}

/* Fields become outputs, which have a cap: as many bytes as a step may write. */
static void test_cap_of_fields(void **state) {
        static const size_t max = 256 * 1024;
        _cleanup_free_ char *text = calloc(max + 1, 1), *error = NULL;
        _cleanup_json_ Json *fields = json_new_object();
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, input: {fields: {s: {type: string}}}}]}]");
        fixture_turn(&f);
        assert_true(text && fields);
        memset(text, 'x', max - strlen("{\"s\":\"\"}") + 1);
        assert_ok(json_set_string(fields, "s", text));
        assert_int_equal(run_provide(f.run, fixture_activity(&f, "a"), &f.now, &bob, fields, NULL, &f.outcome, &error), -EINVAL);
        assert_non_null(strstr(error, "256 KiB"));
        text[strlen(text) - 1] = 0;
        assert_ok(json_set_string(fields, "s", text));
        assert_ok(run_provide(f.run, fixture_activity(&f, "a"), &f.now, &bob, fields, NULL, &f.outcome, &error));
        fixture_done(&f);
}

static void test_rejection_needs_no_fields(void **state) {
        _cleanup_free_ char *error = NULL;
        Fixture f;

        fixture_init(&f, asking);
        fixture_turn(&f);
        assert_ok(answer(&f, "a", &bob, false, NULL, &error));
        fixture_turn(&f);
        assert_run_state(&f, RUN_REJECTED);
        assert_string_equal(f.run->reason, "activity a failed: rejected by bob: because");
        fixture_done(&f);
}

/* A comment is cut at its cap, and what is no text is made one. */
static void test_comment_is_cut(void **state) {
        _cleanup_free_ char *comment = malloc(EVENT_COMMENT_MAX + 10), *error = NULL;
        Fixture f;

        memset(comment, 'x', EVENT_COMMENT_MAX + 9);
        comment[EVENT_COMMENT_MAX + 9] = 0;
        comment[0] = (char) 0xff;
        fixture_init(&f, asking);
        fixture_turn(&f);
        assert_ok(run_cancel(f.run, &f.now, &bob, comment, &f.outcome, &error));
        assert_true(strlen(f.outcome.events[0]->reason) <= EVENT_COMMENT_MAX);
        assert_true(strlen(f.outcome.events[0]->reason) > EVENT_COMMENT_MAX - 4);
        assert_memory_equal(f.outcome.events[0]->reason, "\xef\xbf\xbdx", 4);
        fixture_turn(&f);
        fixture_done(&f);
}

static void test_give_up(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true', hooks: {post: [{run: 'true'}]}}]}]");
        fixture_turn(&f);
        _cleanup_json_ Json *error = error_new("START_FAILED", 0, "no");
        assert_ok(run_give_up(f.run, fixture_activity(&f, "a"), &f.now, "no processes", &f.outcome));
        assert_ok(run_step_ended(f.run, fixture_activity(&f, "a"), &f.now,
                        &(StepEnd) { .state = STEP_FAILED, .exit_code = -1, .error = error }, &f.outcome));
        fixture_turn(&f);
        assert_run_state(&f, RUN_DLQ);
        assert_string_equal(f.run->reason, "no processes");
        assert_int_equal(run_give_up(f.run, fixture_activity(&f, "a"), &f.now, "again", &f.outcome), -EBADMSG);
        fixture_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_create),
                cmocka_unit_test(test_create_defaults),
                cmocka_unit_test(test_step_that_does_not_run),
                cmocka_unit_test(test_step_end),
                cmocka_unit_test(test_log_offsets),
                cmocka_unit_test(test_stopped),
                cmocka_unit_test(test_cancel),
                cmocka_unit_test(test_answers),
                cmocka_unit_test(test_answer_to_an_earlier_request),
                cmocka_unit_test(test_inputs_for_an_earlier_request),
                cmocka_unit_test(test_who_may_answer),
                cmocka_unit_test(test_cap_of_fields),
                cmocka_unit_test(test_rejection_needs_no_fields),
                cmocka_unit_test(test_comment_is_cut),
                cmocka_unit_test(test_give_up),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
