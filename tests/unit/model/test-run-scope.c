/* What expressions see of a run, and what a step is given when it starts. The values are told by the scenarios; here stand every member
 * of every context, the whole contexts, what is said of a name that isn't there, and the caps of requests. */
#include "run-fixture.h"

static const char *const runbook_text =
        "name: ship\n"
        "inputs: {x: {type: string}, n: {type: integer, default: 3}}\n"
        "env: {A: outer, B: '${{ inputs.n }}'}\n"
        "phases:\n"
        "  - {name: p, activities: [{name: first, run: 'true'}, {name: bad, failurePolicy: continue, run: 'true'}, {name: 'odd.name', "
        "run: 'true'}]}\n"
        "  - name: q\n"
        "    activities:\n"
        "      - name: main\n"
        "        env: {A: inner}\n"
        "        steps:\n"
        "          - {name: one, run: 'true', continueOnError: true}\n"
        "          - {name: two, run: 'true'}\n"
        "          - {name: eval, run: \"echo ${{ toJSON(%s) }}\"}\n"
        "        hooks: {post: [{run: \"echo ${{ toJSON(%s) }}\"}]}\n";

/* Runs to the step `eval`, or to post behind it, and gives what the expression came to there; NULL: it was an error. */
static char *eval_at(const char *expression, bool in_post, char **ret_error) {
        _cleanup_free_ char *text = NULL;
        char **argv = NULL, **env = NULL, *directory = NULL, *error = NULL, *value = NULL;
        Fixture f;

        assert_true(asprintf(&text, runbook_text, in_post ? "1" : expression, in_post ? expression : "1") > 0);
        fixture_init(&f, text);
        fixture_turn(&f);
        fixture_end_outputs(&f, "first", "{\"tag\": \"v1\", \"exitCode\": 0}");
        fixture_end(&f, "bad", 2);
        fixture_end(&f, "odd.name", 0);
        fixture_end(&f, "main", 9);
        fixture_end_outputs(&f, "main", "{\"m\": [1]}");
        Activity *a = fixture_activity(&f, "main");
        int step = in_post ? 3 : 2;
        int r = resolve_command(a, step, &f.limits, &argv, &env, &directory, &error);
        for (char **e = env; r >= 0 && *e; e++)
                if (startswith(*e, "RUNBOOK_EXPR_1="))
                        value = strdup(*e + strlen("RUNBOOK_EXPR_1="));
        for (char **v = argv; v && *v; v++)
                free(*v);
        for (char **v = env; v && *v; v++)
                free(*v);
        free(argv);
        free(env);
        free(directory);
        if (r < 0)
                assert_int_equal(r, -EINVAL);
        assert_true((r < 0) == (error != NULL));
        if (ret_error)
                *ret_error = error;
        else
                free(error);
        fixture_done(&f);
        return value;
}

static void assert_value(const char *expression, bool in_post, const char *expected) {
        _cleanup_free_ char *error = NULL, *value = eval_at(expression, in_post, &error);

        if (!value || !streq(value, expected))
                print_message("%s: %s %s\n", expression, strempty(value), strempty(error));
        assert_non_null(value);
        assert_string_equal(value, expected);
}

static void test_members(void **state) {
        static const struct {
                const char *expression, *value;
        } table[] = {
                { "inputs.n", "3" }, { "inputs.x", "null" }, { "inputs", "{\"n\":3}" },
                { "env.A", "\"inner\"" }, { "env.B", "\"3\"" }, { "env", "{\"A\":\"inner\",\"B\":\"3\"}" },
                { "run.id", "7" }, { "run.name", "\"ship\"" }, { "run.attempt", "1" }, { "run.startedBy", "\"alice\"" },
                                { "trigger.runId", "7" },
                { "phases.p.state", "\"success\"" }, { "phases.p", "{\"state\":\"success\"}" },
                { "activities.first.state", "\"success\"" }, { "activities.first.attempt", "1" },
                                { "activities.first.outputs", "{\"tag\":\"v1\"}" }, { "activities.first.error", "null" },
                { "activities.bad.error.code", "\"EXIT\"" }, { "activities.bad.outputs", "{}" },
                                { "activities['odd.name'].state", "\"success\"" },
                { "activities['first']['outputs']['tag']", "\"v1\"" }, { "activities.bad.outputs.a.b", "null" },
                { "steps.two.outputs.m[0]", "1" }, { "steps.two.state", "\"success\"" }, { "steps.one.error.code", "\"EXIT\"" },
                                { "steps.one.outputs.none", "null" },
                { "steps['o' == 'o' && 'two'].outputs.m", "[1]" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_value(table[i].expression, false, table[i].value);
}

static void test_whole_contexts(void **state) {
        static const char *const roots[] = { "run", "trigger", "phases", "activities", "steps" };

        for (size_t i = 0; i < ELEMENTSOF(roots); i++) {
                _cleanup_free_ char *value = eval_at(roots[i], false, NULL);
                _cleanup_json_ Json *j = NULL;
                assert_non_null(value);
                assert_ok(json_parse(value, strlen(value), &j));
                assert_int_equal(json_type(j), JSON_OBJECT);
                assert_true(json_length(j) > 0);
        }
        _cleanup_free_ char *steps = eval_at("steps", false, NULL);
        assert_non_null(strstr(steps, "\"eval\":{\"state\":"));
}

/* `failure` in the post of an attempt in which nothing failed. */
static void test_failure(void **state) {
        assert_value("failure", true, "{\"step\":null,\"attempt\":1,\"error\":null,\"log\":\"\"}");
        assert_value("failure.error.code", true, "null");
        assert_value("failure.attempt", true, "1");
}

static void test_errors(void **state) {
        static const struct {
                const char *expression, *sentence;
        } table[] = {
                { "inputs['no' == 'no' && 'nothing']", "nothing" },
                { "env['no' == 'no' && 'nothing']", "nothing" },
                { "phases['no' == 'no' && 'nothing'].state", "nothing" },
                { "activities['no' == 'no' && 'nothing'].state", "nothing" },
                { "steps['no' == 'no' && 'nothing'].state", "nothing" },
                { "run['no' == 'no' && 'nothing']", "nothing" },
                { "activities.first.outputs.none", "none" },
                { "steps.two.outputs.none", "none" },
                { "inputs.n < 'x'", "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *error = NULL, *value = eval_at(table[i].expression, false, &error);
                if (value || !error || !strstr(error, table[i].sentence))
                        print_message("%s: %s %s\n", table[i].expression, strempty(value), strempty(error));
                assert_null(value);
                assert_non_null(error);
                assert_non_null(strstr(error, table[i].sentence));
        }
}

static void test_condition(void **state) {
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, run: 'true'}, {name: b, if: activities.a.outputs.x == 1, run: "
                        "'true'}]}]");
        fixture_turn(&f);
        fixture_end_outputs(&f, "a", "{\"x\": 1}");
        assert_state(&f, "b", ACTIVITY_RUNNING);
        fixture_done(&f);
}

/* A text of 64 KiB is asked as it is; one byte more and it is cut, with a mark. */
static void test_request_text(void **state) {
        for (size_t more = 0; more < 2; more++) {
                _cleanup_free_ char *text = malloc(REQUEST_TEXT_MAX + more + 1);
                _cleanup_json_ Json *inputs = json_new_object();
                Fixture f;

                memset(text, 'x', REQUEST_TEXT_MAX + more);
                text[REQUEST_TEXT_MAX + more] = 0;
                assert_ok(json_set_string(inputs, "x", text));
                fixture_init_inputs(&f,
                                "inputs: {x: {type: string}}\nphases: [{name: p, activities: [{name: a, approval: {message: '${{ inputs.x "
                                "}}', context: '${{ inputs.x }}'}}]}]", inputs);
                fixture_turn(&f);
                const Request *q = fixture_activity(&f, "a")->request;
                assert_non_null(q);
                size_t n = strlen(q->message);
                assert_in_range(n, REQUEST_TEXT_MAX - 16, REQUEST_TEXT_MAX);
                assert_memory_equal(q->message, text, REQUEST_TEXT_MAX - 32);
                assert_string_equal(q->message + n - strlen("… (cut)"), more ? "… (cut)" : "xxxxxxxxx");
                assert_string_equal(q->context, q->message);
                fixture_done(&f);
        }
}

/* A value that a command can't be given. */
static void test_value_too_long(void **state) {
        for (size_t more = 0; more < 2; more++) {
                size_t n = SHELL_VALUE_MAX - 1 + more;
                _cleanup_free_ char *text = malloc(n + 1);
                _cleanup_json_ Json *inputs = json_new_object();
                Fixture f;

                memset(text, 'x', n);
                text[n] = 0;
                assert_ok(json_set_string(inputs, "x", text));
                fixture_init_inputs(&f,
                                "inputs: {x: {type: string}}\nphases: [{name: p, activities: [{name: a, run: 'echo ${{ inputs.x }}'}]}]",
                                inputs);
                fixture_turn(&f);
                assert_state(&f, "a", more ? ACTIVITY_ON_HOLD : ACTIVITY_RUNNING);
                assert_string_equal(error_code(activity_error(fixture_activity(&f, "a"))), more ? "EXPRESSION" : "");
                fixture_done(&f);
        }
}

static void test_nul(void **state) {
        _cleanup_json_ Json *outputs = json_new_object();
        Fixture f;

        assert_ok(json_set(outputs, "x", json_new_string_n("a\0b", 3)));
        fixture_init(&f, "phases: [{name: p, activities: [{name: first, run: 'true'}, {name: a, needs: [first], run: 'echo ${{ "
                        "activities.first.outputs.x }}'},"
                         "{name: b, needs: [first], approval: {message: '${{ activities.first.outputs.x }}'}}]}]");
        fixture_turn(&f);
        assert_ok(run_step_ended(f.run, fixture_activity(&f, "first"), &f.now, &(StepEnd) { .state = STEP_SUCCESS, .outputs = outputs },
                        &f.outcome));
        fixture_turn(&f);
        assert_string_equal(error_code(activity_error(fixture_activity(&f, "a"))), "EXPRESSION");
        assert_string_equal(error_code(activity_error(fixture_activity(&f, "b"))), "EXPRESSION");
        fixture_done(&f);
}

static char *tail(void *userdata, const Activity *a, const Attempt *t, uint64_t start, uint64_t end) {
        uint64_t *seen = userdata;

        seen[0] = start;
        seen[1] = end;
        return strdup("the end of it");
}

/* S0.2: a hook gets the part of the log that the failed step wrote. */
static void test_log_tail(void **state) {
        uint64_t seen[2] = { 0 };
        Fixture f;

        fixture_init(&f, "phases: [{name: p, activities: [{name: a, steps: [{run: 'true'}, {run: 'true'}], hooks: {onFailure: [{run: "
                        "'echo \"${{ failure.log }}\"'}]}}]}]");
        f.limits.log_tail = tail;
        f.limits.userdata = seen;
        fixture_turn(&f);
        _cleanup_json_ Json *error = error_new("EXIT", 0, "no");
        assert_ok(run_step_ended(f.run, fixture_activity(&f, "a"), &f.now, &(StepEnd) { .state = STEP_SUCCESS, .log_end = 10 },
                        &f.outcome));
        fixture_turn(&f);
        assert_ok(run_step_ended(f.run, fixture_activity(&f, "a"), &f.now,
                        &(StepEnd) { .state = STEP_FAILED, .exit_code = 1, .log_end = 30, .error = error }, &f.outcome));
        assert_ok(run_decide(f.run, &f.now, &f.limits, &f.slots, &f.outcome));
        assert_int_equal(seen[0], 10);
        assert_int_equal(seen[1], 30);
        assert_string_equal(f.outcome.effects[0].env[0], "RUNBOOK_EXPR_1=the end of it");
        fixture_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_members),
                cmocka_unit_test(test_whole_contexts),
                cmocka_unit_test(test_failure),
                cmocka_unit_test(test_errors),
                cmocka_unit_test(test_condition),
                cmocka_unit_test(test_request_text),
                cmocka_unit_test(test_value_too_long),
                cmocka_unit_test(test_nul),
                cmocka_unit_test(test_log_tail),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
