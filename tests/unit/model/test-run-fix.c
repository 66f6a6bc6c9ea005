/* Decisions about a held failure: what each verb refuses, with which word, and that a refusal leaves no trace; the caps; and what a retry
 * with another text of the runbook holds the old one to. What follows from the decisions is told by the scenarios. */
#include "run-fixture.h"

#include "fd-util.h"

#define OUTPUTS_MAX (256u * 1024u)

static const char *const text =
        "inputs: {x: {type: string, default: one}, f: {type: integer, fixed: true, default: 1}}\n"
        "env: {E: e}\n"
        "phases:\n"
        "  - name: p\n"
        "    activities:\n"
        "      - {name: done, run: 'true'}\n"
        "      - {name: a, run: 'echo ${{ inputs.x }}'}\n"
        "      - {name: later, run: 'true'}\n";

static void init_held(Fixture *f) {
        fixture_init(f, text);
        fixture_turn(f);
        fixture_end(f, "done", 0);
        fixture_end(f, "a", 1);
        assert_state(f, "a", ACTIVITY_ON_HOLD);
        assert_int_equal(activity_waiting_for(fixture_activity(f, "a")), WAITING_DECISION);
}

/* The verb has said why, and nothing has happened. */
static void assert_refused(Fixture *f, int r, int expected, char *takes_error) {
        _cleanup_free_ char *error = takes_error;

        assert_int_equal(r, expected);
        assert_non_null(error);
        assert_true(strlen(error) > 20);
        assert_int_equal(f->outcome.n_events, 0);
        assert_int_equal(f->outcome.n_effects, 0);
}

static Json *parse(const char *s) {
        Json *j = NULL;

        assert_ok(json_parse(s, strlen(s), &j));
        return j;
}

/* S2.5: AlreadySucceeded; else WrongState; after a decision AlreadyAnswered. */
static void test_not_held(void **state) {
        static const struct {
                const char *activity;
                int error;
        } table[] = { { "done", -EEXIST }, { "later", -ESTALE } };
        Fixture f;

        init_held(&f);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Activity *a = fixture_activity(&f, table[i].activity);
                char *retry = NULL, *ignore = NULL, *abort_ = NULL;
                int r = run_retry(f.run, a, &f.now, &bob, NULL, NULL, NULL, &f.outcome, &retry);

                assert_refused(&f, r, table[i].error, retry);
                r = run_ignore(f.run, a, &f.now, &bob, NULL, NULL, &f.outcome, &ignore);
                assert_refused(&f, r, table[i].error, ignore);
                r = run_abort(f.run, a, &f.now, &bob, NULL, &f.outcome, &abort_);
                assert_refused(&f, r, table[i].error, abort_);
        }
        fixture_done(&f);
}

/* The failure that somebody has read is not the one that is held now. */
static void test_earlier_failure(void **state) {
        Actor late = bob;
        char *retry = NULL, *ignore = NULL, *abort_ = NULL;
        Activity *a;
        Fixture f;
        int r;

        init_held(&f);
        a = fixture_activity(&f, "a");
        late.opened_at = a->request->opened_at - 1;
        r = run_retry(f.run, a, &f.now, &late, NULL, NULL, NULL, &f.outcome, &retry);
        assert_refused(&f, r, -ESTALE, retry);
        r = run_ignore(f.run, a, &f.now, &late, NULL, NULL, &f.outcome, &ignore);
        assert_refused(&f, r, -ESTALE, ignore);
        r = run_abort(f.run, a, &f.now, &late, NULL, &f.outcome, &abort_);
        assert_refused(&f, r, -ESTALE, abort_);
        late.opened_at++;
        abort_ = NULL;
        assert_ok(run_abort(f.run, a, &f.now, &late, NULL, &f.outcome, &abort_));
        fixture_done(&f);
}

static void test_decided(void **state) {
        char *error = NULL;
        Fixture f;

        init_held(&f);
        assert_ok(run_pause(f.run, &f.now, &bob, NULL, &f.outcome, &error));
        fixture_turn(&f);
        assert_ok(run_abort(f.run, fixture_activity(&f, "a"), &f.now, &bob, "no", &f.outcome, &error));
        fixture_turn(&f);
        assert_int_equal(f.n_effects, 1);
        assert_int_equal(f.effects[0].type, EFFECT_REQUEST_RESOLVED);
        assert_string_equal(f.effects[0].how, "aborted");
        assert_int_equal(f.effects[0].uid, bob.uid);
        int r = run_retry(f.run, fixture_activity(&f, "a"), &f.now, &carol, NULL, NULL, NULL, &f.outcome, &error);
        assert_refused(&f, r, -EALREADY, error);
        fixture_done(&f);
}

/* The cap of outputs that are given with ignore, at its edge and over it. */
static void test_ignore_outputs(void **state) {
        _cleanup_json_ Json *list = parse("[1]");
        char *error = NULL;
        Fixture f;

        init_held(&f);
        Activity *a = fixture_activity(&f, "a");
        int r = run_ignore(f.run, a, &f.now, &bob, list, NULL, &f.outcome, &error);
        assert_refused(&f, r, -EINVAL, TAKE_PTR(error));
        for (unsigned more = 2; more-- > 0;) {
                size_t n = OUTPUTS_MAX - strlen("{\"x\":\"\"}") + more;
                _cleanup_free_ char *value = malloc(n + 1);
                _cleanup_json_ Json *outputs = json_new_object();

                memset(value, 'x', n);
                value[n] = 0;
                assert_ok(json_set_string(outputs, "x", value));
                r = run_ignore(f.run, a, &f.now, &bob, outputs, NULL, &f.outcome, &error);
                if (more) {
                        assert_refused(&f, r, -EINVAL, TAKE_PTR(error));
                        continue;
                }
                assert_ok(r);
                fixture_turn(&f);
                assert_state(&f, "a", ACTIVITY_IGNORED);
                assert_true(json_equal(a->outputs, outputs));
        }
        fixture_done(&f);
}

/* A comment is cut, never inside a character. S0.10. */
static void test_comment_is_cut(void **state) {
        _cleanup_free_ char *comment = malloc(EVENT_COMMENT_MAX + 4);
        char *error = NULL;
        Fixture f;

        memset(comment, 'x', EVENT_COMMENT_MAX - 1);
        memcpy(comment + EVENT_COMMENT_MAX - 1, "ü", 3);
        init_held(&f);
        assert_ok(run_ignore(f.run, fixture_activity(&f, "a"), &f.now, &bob, NULL, comment, &f.outcome, &error));
        fixture_turn(&f);
        const char *reason = fixture_activity(&f, "a")->reason;
        assert_true(strlen(reason) <= EVENT_COMMENT_MAX);
        assert_int_equal(strncmp(reason, comment, EVENT_COMMENT_MAX - 1), 0);
        fixture_done(&f);
}

/* S2.6, S2.9: unknown, wrong, fixed. */
static void test_inputs(void **state) {
        static const struct {
                const char *inputs;
                int error;
        } table[] = { { "{\"y\":1}", -EINVAL }, { "{\"x\":1}", -EINVAL }, { "{\"f\":2}", -EROFS }, { "{\"x\":\"two\",\"f\":2}", -EROFS } };
        Fixture f;

        init_held(&f);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_json_ Json *inputs = parse(table[i].inputs);
                char *retry = NULL, *set = NULL;
                int r = run_retry(f.run, fixture_activity(&f, "a"), &f.now, &bob, NULL, inputs, NULL, &f.outcome, &retry);

                assert_refused(&f, r, table[i].error, retry);
                r = run_set_inputs(f.run, &f.now, &bob, inputs, NULL, &f.outcome, &set);
                assert_refused(&f, r, table[i].error, set);
        }
        _cleanup_json_ Json *same = parse("{\"x\":\"one\",\"f\":1}");
        char *error = NULL;
        assert_ok(run_set_inputs(f.run, &f.now, &bob, same, NULL, &f.outcome, &error));
        assert_int_equal(f.outcome.n_events, 0);        /* no change, no entry */
        fixture_done(&f);
}

/* S1.15: who was not asked and gives a value all the same is known by the history. */
static void test_override(void **state) {
        const Actor root = { .uid = 0, .user = "root", .override = true };
        for (unsigned i = 0; i < 2; i++) {
                _cleanup_json_ Json *value = parse("{\"x\": \"v\"}");
                _cleanup_free_ char *error = NULL;
                Fixture f;

                fixture_init(&f, "inputs: {x: {type: string, required: true}}\n"
                                 "phases: [{name: p, activities: [{name: a, run: 'echo ${{ inputs.x }}'}]}]\n");
                fixture_turn(&f);
                assert_int_equal(activity_waiting_for(fixture_activity(&f, "a")), WAITING_INPUT);
                assert_ok(run_provide(f.run, fixture_activity(&f, "a"), &f.now, i == 0 ? &bob : &root, value, NULL, &f.outcome, &error));
                assert_int_equal(f.outcome.events[0]->type, EVENT_INPUTS_CHANGED);
                assert_int_equal(json_bool(json_get(f.outcome.events[0]->data, "override")), i == 1);
                fixture_done(&f);
        }
}

/* What the text of today may say otherwise: replace, in the order of the phase's lines. S0.13, S2.6. */
static void test_definition(void **state) {
        static const struct {
                const char *activities;
                int error;
        } table[] = {
                { "- {name: done, run: 'true'}\n      - {name: a, run: 'fixed'}\n      - {name: later, run: 'other'}\n", 0 },
                { "- {name: done, run: 'true'}\n      - {name: a, run: 'fixed'}\n", 0 },
                { "- {name: done, run: 'true'}\n      - {name: a, run: 'fixed'}\n      - {name: new, run: 'true'}\n", 0 },
                { "- {name: done, run: 'false'}\n      - {name: a, run: 'fixed'}\n", -EPROTO },
                { "- {name: a, run: 'fixed'}\n", -EPROTO },
                { "- {name: done, run: 'true'}\n", -EPROTO },
                { "- {name: done, run: 'true'}\n      - {name: a, needs: [], run: 'fixed'}\n      - {name: done2, needs: [a], run: 'true'}\n", 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *yaml = xasprintf("%.*s      %s", (int) (strstr(text, "      - ") - text), text, table[i].activities);
                _cleanup_(runbook_unrefp) Runbook *rb = parse_runbook(yaml);
                char *error = NULL;
                Fixture f;

                init_held(&f);
                int r = run_retry(f.run, fixture_activity(&f, "a"), &f.now, &bob, rb, NULL, NULL, &f.outcome, &error);
                if (table[i].error)
                        assert_refused(&f, r, table[i].error, error);
                else {
                        assert_ok(r);
                        assert_int_equal(f.outcome.events[0]->type, EVENT_DEFINITION_CHANGED);
                        assert_int_equal(f.outcome.events[f.outcome.n_events - 1]->type, EVENT_ACTIVITY_DECIDED);
                        assert_ptr_equal(f.run->runbook, rb);
                        fixture_turn(&f);
                        assert_state(&f, "a", ACTIVITY_RUNNING);
                }
                fixture_done(&f);
        }
}

/* An activity keeps its address when the definition is changed, and its attempts what they ran. */
static void test_definition_keeps_activities(void **state) {
        _cleanup_free_ char *yaml = xasprintf("%s  - {name: q, needs: [], activities: [{name: first, run: 'true'}]}\n", text);
        _cleanup_(runbook_unrefp) Runbook *rb = parse_runbook(yaml);
        char *error = NULL;
        Fixture f;

        init_held(&f);
        Activity *a = fixture_activity(&f, "a"), *done = fixture_activity(&f, "done");
        const ActivityDef *was = a->def;
        assert_ok(run_retry(f.run, a, &f.now, &bob, rb, NULL, NULL, &f.outcome, &error));
        fixture_turn(&f);
        assert_ptr_equal(fixture_activity(&f, "a"), a);
        assert_ptr_equal(fixture_activity(&f, "done"), done);
        assert_ptr_equal(a->attempts[0].def, was);
        assert_ptr_equal(a->attempts[1].def, a->def);
        assert_ptr_not_equal(a->def, was);
        assert_state(&f, "first", ACTIVITY_RUNNING);
        _cleanup_(run_freep) Run *folded = fixture_fold(&f, f.n_history);
        _cleanup_free_ char *x = run_snapshot(f.run), *y = run_snapshot(folded);
        assert_string_equal(x, y);
        fixture_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_not_held), cmocka_unit_test(test_earlier_failure),
                cmocka_unit_test(test_decided),
                cmocka_unit_test(test_ignore_outputs),
                cmocka_unit_test(test_comment_is_cut),
                cmocka_unit_test(test_inputs),
                cmocka_unit_test(test_override),
                cmocka_unit_test(test_definition),
                cmocka_unit_test(test_definition_keeps_activities),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
