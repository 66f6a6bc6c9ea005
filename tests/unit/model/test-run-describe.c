/* What people see: the object of `status --json` and of Describe, member by member, and how it stays small. */
#include "run-fixture.h"

static const char *const small =
        "name: ship\n"
        "inputs: {version: {type: string}}\n"
        "phases:\n"
        "  - name: p\n"
        "    activities:\n"
        "      - {name: a, steps: [{name: Build it, run: 'true'}, {id: second, run: 'true'}], hooks: {pre: [{run: 'true'}], onFailure: "
        "[{run: 'true'}]}}\n"
        "      - {name: b, if: 'false', run: 'true'}\n";

/* The object of an ended run, whole: a new member, a lost one or one of another name shows here. */
static void test_run(void **state) {
        static const char *const expected =
                "{\"id\":7,\"runbook\":\"ship\",\"state\":\"success\",\"statusText\":\"success\",\"hadErrors\":false,\"pendingRequests\":0,\"inputs\":{\"version\":\"1.2\"},"
                "\"startedBy\":1000,\"startedByName\":\"alice\",\"replayOf\":null,\"rootRun\":7,\"trigger\":\"manual\",\"reason\":null,\"labels\":{},\"createdAt\":1800000000000000,\"startedAt\":1800000000000000,"
                "\"finishedAt\":1800000003000000,\"scheduledFor\":0,\"nextRetryAt\":0,\"pausedAt\":0,\"attempt\":1,"
                "\"phases\":[{\"name\":\"p\",\"state\":\"success\",\"reason\":null,\"startedAt\":1800000000000000,\"finishedAt\":1800000003000000}],"
                "\"activities\":[{\"name\":\"a\",\"phase\":\"p\",\"state\":\"success\",\"waitingFor\":null,\"reason\":null,\"reusedFrom\":null,\"error\":null,\"nextRetryAt\":0,"
                "\"outputs\":{\"x\":1},\"attempts\":[{\"number\":1,\"cause\":\"initial\",\"state\":\"success\",\"error\":null,\"startedAt\":1800000000000000,\"finishedAt\":1800000003000000,"
                "\"steps\":[{\"name\":\"pre:1\",\"id\":\"pre:1\",\"hook\":\"pre\",\"state\":\"success\",\"exitCode\":0,\"error\":null,\"outputs\":{},\"startedAt\":1800000000000000,"
                "\"finishedAt\":1800000001000000},"
                "{\"name\":\"Build it\",\"id\":\"step-1\",\"hook\":null,\"state\":\"success\",\"exitCode\":0,\"error\":null,\"outputs\":{\"x\":1},\"startedAt\":1800000001000000,"
                "\"finishedAt\":1800000002000000},"
                "{\"name\":\"second\",\"id\":\"second\",\"hook\":null,\"state\":\"success\",\"exitCode\":0,\"error\":null,\"outputs\":{},\"startedAt\":1800000002000000,"
                "\"finishedAt\":1800000003000000}]}]},"
                "{\"name\":\"b\",\"phase\":\"p\",\"state\":\"skipped\",\"waitingFor\":null,\"reason\":\"its `if` is "
                "false\",\"reusedFrom\":null,\"error\":null,\"nextRetryAt\":0,\"outputs\":{},"
                "\"attempts\":[]}]}";
        _cleanup_json_ Json *inputs = json_new_object(), *j = NULL;
        Fixture f;

        assert_ok(json_set_string(inputs, "version", "1.2"));
        fixture_init_inputs(&f, small, inputs);
        fixture_turn(&f);
        fixture_pass(&f, USEC_PER_SEC);
        fixture_end(&f, "a", 0);
        fixture_pass(&f, USEC_PER_SEC);
        fixture_end_outputs(&f, "a", "{\"x\": 1}");
        fixture_pass(&f, USEC_PER_SEC);
        fixture_end(&f, "a", 0);
        assert_ok(run_describe(f.run, &j));
        _cleanup_free_ char *text = json_to_string(j, false);
        assert_string_equal(text, expected);
        fixture_done(&f);
}

static void test_waiting(void **state) {
        _cleanup_json_ Json *j = NULL;
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, approval: {timeout: 1h}}, {name: b, needs: [], run: 'true', retries: "
                        "{max: 1}}]}]");
        fixture_turn(&f);
        fixture_end(&f, "b", 3);
        assert_ok(run_describe(f.run, &j));
        const Json *a = json_at(json_get(j, "activities"), 0), *b = json_at(json_get(j, "activities"), 1);
        assert_string_equal(json_string(json_get(a, "waitingFor")), "approval");
        assert_string_equal(json_string(json_get(a, "state")), "on-hold");
        assert_string_equal(json_string(json_get(b, "state")), "backoff");
        assert_int_equal(json_int(json_get(b, "nextRetryAt")), f.now.wall + USEC_PER_SEC);
        assert_string_equal(json_string(json_get(json_get(b, "error"), "code")), "EXIT");
        assert_int_equal(json_int(json_get(j, "pendingRequests")), 1);
        assert_string_equal(json_string(json_get(j, "statusText")), "1 activity requires your input");
        fixture_done(&f);
}

/* S3.13: every attempt stays visible, with its own error and steps. */
static void test_attempts(void **state) {
        _cleanup_json_ Json *j = NULL;
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true', retries: {max: 2}}]}]");
        fixture_turn(&f);
        for (int i = 0; i < 3; i++) {
                fixture_end(&f, "a", i < 2 ? i + 1 : 0);
                fixture_pass(&f, 2 * USEC_PER_SEC);
                fixture_turn(&f);
        }
        assert_ok(activity_describe(fixture_activity(&f, "a"), &j));
        const Json *attempts = json_get(j, "attempts");
        assert_int_equal(json_length(attempts), 3);
        for (size_t i = 0; i < 3; i++) {
                const Json *t = json_at(attempts, i);
                assert_int_equal(json_int(json_get(t, "number")), i + 1);
                assert_string_equal(json_string(json_get(t, "state")), i < 2 ? "failed" : "success");
                assert_string_equal(json_string(json_get(t, "cause")), i == 0 ? "initial" : "retry");
                assert_int_equal(json_int(json_get(json_at(json_get(t, "steps"), 0), "exitCode")), i < 2 ? i + 1 : 0);
        }
        fixture_done(&f);
}

/* stdout is for expressions; an output of more than 4 KiB is cut, with a mark, and one of exactly that is not. */
static void test_outputs_are_cut(void **state) {
        static const struct {
                size_t n;
                bool cut;
        } table[] = { { 4094, false }, { 4095, true }, { 100000, true } };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = malloc(table[i].n + 1);
                _cleanup_json_ Json *outputs = json_new_object(), *list = json_new_array(), *j = NULL;
                Fixture f;

                memset(text, 'x', table[i].n);
                text[table[i].n] = 0;
                assert_ok(json_set_string(outputs, "text", text));
                assert_ok(json_set_string(outputs, "stdout", text));
                assert_ok(json_append(list, json_new_string(text)));
                assert_ok(json_set(outputs, "list", json_ref(list)));
                assert_ok(json_set_int(outputs, "n", 5));
                fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true'}]}]");
                fixture_turn(&f);
                assert_ok(run_step_ended(f.run, fixture_activity(&f, "a"), &f.now,
                                &(StepEnd) { .state = STEP_SUCCESS, .outputs = outputs }, &f.outcome));
                fixture_turn(&f);
                assert_ok(activity_describe(fixture_activity(&f, "a"), &j));
                const Json *shown = json_get(json_at(json_get(json_at(json_get(j, "attempts"), 0), "steps"), 0), "outputs");
                assert_false(json_has(shown, "stdout"));
                assert_int_equal(json_int(json_get(shown, "n")), 5);
                assert_int_equal(json_string_length(json_get(shown, "text")),
                                table[i].cut ? 4096 - (table[i].n < 4096 ? 4096 - table[i].n : 0) + strlen("… (cut)") : table[i].n);
                /* A list that is too long becomes text. */
                assert_int_equal(json_type(json_get(shown, "list")), table[i].n + 4 > 4096 ? JSON_STRING : JSON_ARRAY);
                assert_true(json_size(shown, 20000) < 10000);
                fixture_done(&f);
        }
}

/* Hooks of a list that did not run are not part of the attempt; of one that was cut, the rest is skipped. */
static void test_hooks(void **state) {
        _cleanup_json_ Json *j = NULL;
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true', hooks: {onSuccess: [{run: 'true'}, {run: 'true'}], "
                        "onFailure: [{run: 'true'}], post: [{run: 'true'}]}}]}]");
        fixture_turn(&f);
        fixture_end(&f, "a", 0);
        fixture_pass(&f, f.limits.hook_timeout);
        fixture_turn(&f);
        fixture_end(&f, "a", 1);
        fixture_end(&f, "a", 0);
        assert_ok(activity_describe(fixture_activity(&f, "a"), &j));
        const Json *steps = json_get(json_at(json_get(j, "attempts"), 0), "steps");
        static const char *const expected[][2] = { { "step-1", "success" }, { "onSuccess:1", "failed" }, { "onSuccess:2", "skipped" },
                        { "post:1", "success" } };
        assert_int_equal(json_length(steps), ELEMENTSOF(expected));
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                assert_string_equal(json_string(json_get(json_at(steps, i), "id")), expected[i][0]);
                assert_string_equal(json_string(json_get(json_at(steps, i), "state")), expected[i][1]);
        }
        fixture_done(&f);
}

/* Said of those that wait for a free place, and of no others. */
static void test_slots(void **state) {
        static const char *const names[] = { "a", "b", "c", "d" };
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true', needs: []}, {name: b, run: 'true', needs: []},"
                         "{name: c, run: 'true', needs: []}, {name: d, needs: [c], run: 'true'}]}]");
        f.slots = 1;
        fixture_turn(&f);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_json_ Json *j = NULL;

                assert_ok(activity_describe(fixture_activity(&f, names[i]), &j));
                assert_int_equal(json_has(j, "waitsForSlot"), i == 1 || i == 2);
                assert_int_equal(json_bool(json_get(j, "waitsForSlot")), i == 1 || i == 2);
        }
        fixture_done(&f);
}

/* A copy of another run's workspace that is not there yet. */
static void test_workspace(void **state) {
        _cleanup_json_ Json *j = NULL, *later = NULL;
        Fixture f;

        fixture_init_options(&f, "phases: [{name: p, activities: [{name: a, run: 'true'}]}]", &(RunOptions) { .workspace_from = 3, .replay_of = 3, .root_run = 3 });
        assert_ok(run_describe(f.run, &j));
        assert_int_equal(json_int(json_get(j, "copiesWorkspaceOf")), 3);
        assert_ok(run_workspace_ready(f.run, &f.now, NULL, &f.outcome));
        assert_ok(run_describe(f.run, &later));
        assert_false(json_has(later, "copiesWorkspaceOf"));
        fixture_done(&f);
}

/* S0.19: what is needed, from whom, until when. */
static void test_request(void **state) {
        static const char *const expected =
                "{\"kind\":\"approval\",\"title\":\"Sign "
                "off\",\"message\":\"Ship?\",\"context\":null,\"required\":2,\"openedAt\":1800000000000000,\"deadline\":1800003600000000,"
                "\"answers\":[{\"user\":\"bob\",\"uid\":1001,\"action\":\"approve\",\"comment\":\"yes\"}],\"approvers\":[\"alice\",\"group:qa\"],"
                "\"allowStarter\":true,\"fields\":[{\"name\":\"kind\",\"type\":\"choice\",\"description\":\"how "
                "big\",\"required\":false,\"default\":\"small\",\"options\":[\"big\",\"small\"]},"
                "{\"name\":\"n\",\"type\":\"integer\",\"description\":null,\"required\":true}]}";
        _cleanup_json_ Json *j = NULL, *fields = json_new_object();
        char *error = NULL;
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, approval: {title: Sign off, message: 'Ship?', required: 2, timeout: "
                        "1h, approvers: [alice, 'group:qa'],"
                         "fields: {kind: {type: choice, options: [big, small], default: small, description: how big}, n: {type: integer, "
                         "required: true}}}}, {name: b, run: 'true'}]}]");
        assert_int_equal(activity_describe_request(fixture_activity(&f, "a"), &j), -ENOENT);
        fixture_turn(&f);
        assert_ok(json_set_int(fields, "n", 1));
        assert_ok(run_answer(f.run, fixture_activity(&f, "a"), &f.now, &bob, true, fields, "yes", &f.outcome, &error));
        fixture_turn(&f);
        assert_ok(activity_describe_request(fixture_activity(&f, "a"), &j));
        _cleanup_free_ char *text = json_to_string(j, false);
        assert_string_equal(text, expected);
        assert_int_equal(activity_describe_request(fixture_activity(&f, "b"), &j), -ENOENT);
        fixture_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_run),
                cmocka_unit_test(test_waiting),
                cmocka_unit_test(test_attempts),
                cmocka_unit_test(test_outputs_are_cut),
                cmocka_unit_test(test_hooks),
                cmocka_unit_test(test_slots),
                cmocka_unit_test(test_workspace),
                cmocka_unit_test(test_request),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
