/* A runbook after parsing: references, lookups, names, and its public form. */
#include "test.h"

#include "runbook-fixture.h"

#define ROUND_TRIP(type, prefix, max)                                                   \
        do {                                                                            \
                for (type v = 0; v < (max); v++)                                        \
                        assert_int_equal(prefix##_from_string(prefix##_to_string(v)), v); \
                assert_null(prefix##_to_string(max));                                   \
                assert_null(prefix##_to_string((type) -EINVAL));                        \
                assert_true((int) prefix##_from_string("nonsense") < 0);                \
        } while (0)

static void test_name_tables(void **state) {
        ROUND_TRIP(FailurePolicy, failure_policy, _FAILURE_POLICY_MAX);
        ROUND_TRIP(PartialSuccess, partial_success, _PARTIAL_MAX);
        ROUND_TRIP(OnInterrupt, on_interrupt, _INTERRUPT_MAX);
        ROUND_TRIP(OnTimeout, on_timeout, _ON_TIMEOUT_MAX);
        ROUND_TRIP(StepKind, step_kind, _STEP_KIND_MAX);
}

static void test_runbook_names(void **state) {
        char name[66];

        assert_true(runbook_name_is_valid("ship"));
        assert_true(runbook_name_is_valid("0-a_b.c"));
        assert_false(runbook_name_is_valid(""));
        assert_false(runbook_name_is_valid("Ship"));
        assert_false(runbook_name_is_valid(".ship"));
        assert_false(runbook_name_is_valid("-ship"));
        assert_false(runbook_name_is_valid("a/b"));
        assert_false(runbook_name_is_valid("a\n"));
        memset(name, 'n', sizeof(name));
        name[65] = 0;
        assert_false(runbook_name_is_valid(name));
        assert_false(object_name_is_valid(name));
        name[64] = 0;
        assert_true(runbook_name_is_valid(name));
        assert_true(object_name_is_valid(name));
}

static void test_object_names(void **state) {
        assert_true(object_name_is_valid("Build-1.2_x"));
        assert_false(object_name_is_valid(""));
        assert_false(object_name_is_valid("_x"));
        assert_false(object_name_is_valid("pre:1"));
        assert_false(object_name_is_valid("b\xc3\xa4u"));
}

#define HOOKED                                                                                                                                  \
        "name: hooked\n"                                                                                                                        \
        "description: With hooks\n"                                                                                                             \
        "version: 3\n"                                                                                                                          \
        "inputs: {v: {required: true, pattern: '^v', minimum: 2}, c: {type: choice, options: [a, b], default: a}, n: {type: number, maximum: 1.5}}\n" \
        "phases:\n"                                                                                                                             \
        "  - {name: one, activities: [{name: a, steps: [{name: Build it, run: x}, {name: test, run: x}, {id: three, run: x}],\n"                  \
        "      hooks: {pre: [{run: x}], post: [{run: x, name: clean}, {run: x, id: last}]}}]}\n"                                                 \
        "  - {name: two, description: Second, activities: [{name: b, approval: {}}]}\n"

static void test_references(void **state) {
        Runbook *rb = must_parse(HOOKED);

        assert_ptr_equal(runbook_ref(rb), rb);
        assert_null(runbook_unref(rb));
        assert_string_equal(rb->name, "hooked");        /* still there */
        assert_null(runbook_unref(rb));
        assert_null(runbook_ref(NULL));
        assert_null(runbook_unref(NULL));
}

static void test_lookups(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(HOOKED);

        assert_int_equal(runbook_activity(rb, "b")->index, 1);
        assert_null(runbook_activity(rb, "one"));
        assert_int_equal(runbook_phase(rb, "two")->index, 1);
        assert_null(runbook_phase(rb, "a"));
}

static void test_find_step(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(HOOKED);
        const ActivityDef *a = runbook_activity(rb, "a");
        static const struct {
                const char *what;
                int expected;
        } cases[] = {
                { "test", 2 },
                { "three", 3 },
                { "Build it", 1 },
                { "step-1", 1 },
                { "1", 1 },
                { "3", 3 },
                { "4", -ENOENT },
                { "0", -ENOENT },
                { "01", -ENOENT },
                { "pre:1", 0 },
                { "pre:2", -ENOENT },
                { "post:1", 4 },
                { "clean", 4 },
                { "post:2", 5 },
                { "last", 5 },
                { "onFailure:1", -ENOENT },
                { "main:1", -ENOENT },
                { ":1", -ENOENT },
                { "pre:", -ENOENT },
                { "pre:x", -ENOENT },
                { "", -ENOENT },
                { "999999999999999999999", -ENOENT },
                { "aVeryLongListName:1", -ENOENT },
                { "-1", -ENOENT },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (activity_def_find_step(a, cases[i].what) != cases[i].expected)
                        fail_msg("%s: %d", cases[i].what, activity_def_find_step(a, cases[i].what));
}

static Json *definition_of(const Runbook *rb, const char *file) {
        _cleanup_free_ char *text = runbook_to_json(rb, file);
        Json *j = NULL;

        assert_non_null(text);
        assert_ok(json_parse(text, strlen(text), &j));
        return j;
}

static void test_to_json(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(HOOKED);
        _cleanup_json_ Json *j = definition_of(rb, "/etc/a \"b\".yaml");
        Json *input, *phase, *activity, *step;

        assert_string_equal(json_string(json_get(j, "file")), "/etc/a \"b\".yaml");
        assert_string_equal(json_string(json_get(j, "name")), "hooked");
        assert_string_equal(json_string(json_get(j, "description")), "With hooks");
        assert_string_equal(json_string(json_get(j, "version")), "3");
        assert_string_equal(json_string(json_get(j, "text")), HOOKED);
        assert_string_equal(json_string(json_get(j, "format")), "yaml");
        assert_int_equal(json_length(json_get(j, "inputs")), 3);
        input = json_at(json_get(j, "inputs"), 0);
        assert_string_equal(json_string(json_get(input, "name")), "v");
        assert_string_equal(json_string(json_get(input, "type")), "string");
        assert_string_equal(json_string(json_get(input, "pattern")), "^v");
        assert_true(json_bool(json_get(input, "required")));
        assert_int_equal(json_type(json_get(input, "minimum")), JSON_INT);
        assert_false(json_has(input, "default"));
        input = json_at(json_get(j, "inputs"), 1);
        assert_int_equal(json_length(json_get(input, "options")), 2);
        assert_string_equal(json_string(json_get(input, "default")), "a");
        assert_true(json_double(json_get(json_at(json_get(j, "inputs"), 2), "maximum")) == 1.5);
        phase = json_at(json_get(j, "phases"), 1);
        assert_string_equal(json_string(json_get(phase, "description")), "Second");
        assert_true(json_bool(json_get(phase, "critical")));
        activity = json_at(json_get(json_at(json_get(j, "phases"), 0), "activities"), 0);
        assert_string_equal(json_string(json_get(activity, "name")), "a");
        assert_string_equal(json_string(json_get(activity, "failurePolicy")), "hold");
        assert_string_equal(json_string(json_get(activity, "onInterrupt")), "resume");
        assert_string_equal(json_string(json_get(activity, "resume")), "activity");
        assert_int_equal(json_length(json_get(activity, "steps")), 6);
        step = json_at(json_get(activity, "steps"), 4);
        assert_string_equal(json_string(json_get(step, "hook")), "post");
        assert_string_equal(json_string(json_get(step, "name")), "clean");
        assert_string_equal(json_string(json_get(step, "kind")), "shell");
}

/* What holds for the whole run: retries, how it ends, and what starts it. */
static void test_to_json_of_the_run(void **state) {
        _cleanup_runbook_ Runbook *plain = must_parse(HOOKED), *rb = must_parse(
                "inputs: {x: {}}\nretry: {maxAttempts: 3}\npartialSuccess: allow\ntriggers: [{onFailureOf: [ship], inputs: {x: y}}, {onFailureOf: [boat], inputs: {x: y}}]\n"
                "phases: [{name: p, critical: false, activities: [{name: a, onInterrupt: hold, resume: step, run: x}]}]");
        _cleanup_json_ Json *none = definition_of(plain, NULL), *j = definition_of(rb, NULL);
        Json *trigger, *phase, *activity;

        assert_false(json_has(none, "file"));
        assert_int_equal(json_int(json_get(none, "retries")), 0);
        assert_string_equal(json_string(json_get(none, "partialSuccess")), "success");
        assert_int_equal(json_type(json_get(none, "triggers")), JSON_ARRAY);
        assert_int_equal(json_length(json_get(none, "triggers")), 0);
        assert_int_equal(json_int(json_get(j, "retries")), 2);
        assert_string_equal(json_string(json_get(j, "partialSuccess")), "allow");
        assert_int_equal(json_length(json_get(j, "triggers")), 1);
        trigger = json_at(json_get(j, "triggers"), 0);
        assert_int_equal(json_length(json_get(trigger, "onFailureOf")), 2);
        assert_string_equal(json_string(json_at(json_get(trigger, "onFailureOf"), 1)), "boat");
        assert_string_equal(json_string(json_get(json_get(trigger, "inputs"), "x")), "y");
        phase = json_at(json_get(j, "phases"), 0);
        assert_false(json_bool(json_get(phase, "critical")));
        activity = json_at(json_get(phase, "activities"), 0);
        assert_string_equal(json_string(json_get(activity, "failurePolicy")), "fail");
        assert_string_equal(json_string(json_get(activity, "onInterrupt")), "hold");
        assert_string_equal(json_string(json_get(activity, "resume")), "step");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_tables),
        cmocka_unit_test(test_runbook_names),
        cmocka_unit_test(test_object_names),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_find_step),
        cmocka_unit_test(test_to_json),
        cmocka_unit_test(test_to_json_of_the_run),
};
TEST_MAIN(tests)
