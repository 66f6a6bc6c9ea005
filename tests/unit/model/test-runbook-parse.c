/* What a definition file becomes: section 3 of the contract, field by field. What is wrong with files is in test-malformed. */
#include "test.h"

#include "runbook-fixture.h"
#include "runbook-parse.h"

#define ONE_STEP "phases: [{name: p, activities: [{name: a, run: x}]}]\n"
#define MINUTE USEC_PER_MINUTE

/* Must node a have ended before b starts? */
static bool precedes(const Graph *g, unsigned a, unsigned b) {
        _cleanup_free_ uint8_t *set = calloc(g->n_nodes, 1);

        assert_non_null(set);
        assert_ok(graph_ancestors(g, b, g->n_nodes, set));
        return set[a];
}

static const char ship[] =
        "name: ship                       # default: the file's name; [a-z0-9][a-z0-9._-]{0,63}\n"
        "description: Build, sign off and publish a tarball\n"
        "owners: [alice, group:release]   # told of requests; approvers where none are named\n"
        "inputs:\n"
        "  version: {type: string, pattern: '^[0-9]+\\.[0-9]+$', required: true}\n"
        "  channel: {type: choice, options: [beta, stable], default: beta}\n"
        "timeout: 2h\n"
        "phases:\n"
        "  - name: build                  # phases run in the order written, unless they say needs: [...]\n"
        "    activities:\n"
        "      - name: dist               # activities too; needs: [] starts at once\n"
        "        retries: {max: 2, backoff: exp, initialInterval: 5s, maxInterval: 1min}\n"
        "        timeout: 30min\n"
        "        steps:\n"
        "          - run: meson dist -C build --no-tests\n"
        "          - name: coverage\n"
        "            run: ./upload-coverage\n"
        "            continueOnError: true\n"
        "        hooks:\n"
        "          post: [{run: rm -rf build/scratch}]\n"
        "      - name: docs\n"
        "        needs: []                # starts at once, parallel with dist; what comes after waits for both\n"
        "        run: make docs           # shorthand for one step\n"
        "  - name: sign-off\n"
        "    activities:\n"
        "      - name: qa\n"
        "        approval: {approvers: ['group:qa'], message: 'Ship ${{ inputs.version }}?', timeout: 24h}\n"
        "  - name: publish\n"
        "    activities:\n"
        "      - name: upload\n"
        "        run: ./publish \"${{ inputs.channel }}\" \"${{ activities.dist.outputs.tarball }}\"\n";

static void test_example_runbook(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(ship);

        assert_string_equal(rb->name, "ship");
        assert_string_equal(rb->description, "Build, sign off and publish a tarball");
        assert_null(rb->version);
        assert_int_equal(rb->n_owners, 2);
        assert_false(rb->owners[0].is_group);
        assert_true(rb->owners[1].is_group);
        assert_string_equal(rb->owners[1].name, "release");
        assert_string_equal(rb->owners[1].text, "group:release");
        assert_int_equal(rb->n_inputs, 2);
        assert_int_equal(rb->timeout, 2 * USEC_PER_HOUR);
        assert_int_equal(rb->partial_success, PARTIAL_SUCCESS);
        assert_int_equal(rb->n_phases, 3);
        assert_int_equal(rb->n_activities, 4);
        assert_int_equal(rb->n_steps, 6);
        assert_string_equal(rb->text, ship);
        assert_int_equal(rb->text_size, strlen(ship));
        assert_int_equal(rb->format, TREE_YAML);
        assert_int_equal(strlen(rb->hash), 64);
}

static void test_example_activities(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(ship);
        const ActivityDef *dist = runbook_activity(rb, "dist"), *docs = runbook_activity(rb, "docs"),
                          *upload = runbook_activity(rb, "upload");

        assert_int_equal(dist->retry.max, 2);
        assert_int_equal(dist->retry.backoff, BACKOFF_EXP);
        assert_int_equal(dist->retry.initial, 5 * USEC_PER_SEC);
        assert_int_equal(dist->retry.maximum, MINUTE);
        assert_true(dist->retry_written);
        assert_int_equal(dist->timeout, 30 * MINUTE);
        assert_int_equal(dist->failure_policy, FAILURE_HOLD);
        assert_false(dist->failure_policy_written);
        assert_int_equal(dist->line, 11);
        assert_int_equal(dist->column, 9);
        assert_int_equal(dist->n_steps, 3);
        assert_string_equal(dist->steps[0].id, "step-1");
        assert_string_equal(dist->steps[1].id, "coverage");
        assert_true(dist->steps[1].continue_on_error);
        assert_string_equal(dist->steps[2].id, "post:1");
        assert_int_equal(docs->index, 1);
        assert_int_equal(docs->node, 1);
        assert_int_equal(docs->timeout, USEC_INFINITY);
        assert_int_equal(docs->retry.max, 0);                           /* S3.10 */
        assert_true(precedes(&rb->graph, 0, 2));
        assert_false(precedes(&rb->phases[0].graph, 0, 1));
        assert_int_equal(upload->phase, 2);
        assert_int_equal(upload->node, 0);
        assert_string_equal(shell_template_script(docs->steps[0].shell.command), "make docs");
}

static void test_example_approval(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(ship);
        const StepDef *s = runbook_activity(rb, "qa")->steps;

        assert_int_equal(s->kind, STEP_APPROVAL);
        assert_string_equal(s->id, "step-1");
        assert_null(s->name);
        assert_int_equal(s->request.n_approvers, 1);
        assert_true(s->request.approvers[0].is_group);
        assert_int_equal(s->request.required, 1);
        assert_true(s->request.allow_starter);
        assert_int_equal(s->request.timeout, 24 * USEC_PER_HOUR);
        assert_int_equal(s->request.on_timeout, ON_TIMEOUT_FAIL);
        assert_null(s->request.title);
        assert_non_null(s->request.message);
        assert_false(template_is_constant(s->request.message));
}

static void test_request_fields(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "phases: [{name: p, activities: [{name: a, approval: {title: Ship it?, context: {ticket: 5}, approvers: [alice, user:bob], required: 2,\n"
                "  allowStarter: false, fields: {reason: {required: true}, count: {type: integer}}, timeoutMs: 1500, onTimeout: approve}}]}]\n");
        const RequestSpec *q = &rb->activities[0].steps[0].request;

        assert_true(template_is_constant(q->title));
        assert_non_null(q->context);
        assert_null(q->message);
        assert_int_equal(q->required, 2);
        assert_false(q->allow_starter);
        assert_string_equal(q->approvers[1].name, "bob");
        assert_int_equal(q->n_fields, 2);
        assert_string_equal(q->fields[1].name, "count");
        assert_int_equal(q->timeout, 1500 * USEC_PER_MSEC);
        assert_int_equal(q->on_timeout, ON_TIMEOUT_APPROVE);
}

/* Durations: spans, plain numbers (seconds) and milliseconds. S3.36, S4.7, S4.8 */
static void test_durations(void **state) {
        static const struct {
                const char *written;
                usec_t expected;
        } cases[] = {
                { "timeout: 90", 90 * USEC_PER_SEC }, { "timeout: '90'", 90 * USEC_PER_SEC }, { "timeout: 5min 20s", 320 * USEC_PER_SEC },
                { "timeout: 1.5", 1500 * USEC_PER_MSEC }, { "timeout: 0x10", 16 * USEC_PER_SEC }, { "timeoutMs: 300000", 5 * MINUTE },
                { "timeout: 1ms", USEC_PER_MSEC }, { "timeout: 24h", USEC_PER_DAY }, { "timeoutMs: 86400000", USEC_PER_DAY },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = NULL;
                assert_true(asprintf(&text, "phases: [{name: p, activities: [{name: a, %s, run: x}]}]", cases[i].written) > 0);
                _cleanup_runbook_ Runbook *rb = must_parse(text);
                assert_int_equal(rb->activities[0].timeout, cases[i].expected);
        }
}

static void test_run_timeout_is_unbounded(void **state) {
        _cleanup_runbook_ Runbook *year = must_parse("timeout: 1y\n" ONE_STEP), *never = must_parse("timeout: infinity\n" ONE_STEP),
                                  *none = must_parse(ONE_STEP);

        assert_true(year->timeout > 300 * USEC_PER_DAY && year->timeout < 400 * USEC_PER_DAY);
        assert_int_equal(never->timeout, USEC_INFINITY);
        assert_int_equal(none->timeout, USEC_INFINITY);
}

/* S3.2–S3.6, S4.3–S4.5 and their defaults */
static void test_retry_policies(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "phases:\n"
                "  - name: p\n"
                "    activities:\n"
                "      - {name: a, run: x, retries: {max: 3}}\n"
                "      - {name: b, run: x, retries: {max: 1000, backoff: lin, initialIntervalMs: 5000, maxIntervalMs: 60000, on: [EXIT, TIMEOUT], notOn: [OOM_KILL]}}\n"
                "      - {name: c, run: x, retry: {maxAttempts: 4}}\n"
                "      - {name: d, run: x, retry: {maxAttempts: 10, delayMs: 100, strategy: exponential, notOn: [EXIT]}}\n"
                "      - {name: e, run: x, retry: {maxAttempts: 1, delay: 60s}}\n"
                "      - {name: f, run: x, retries: {max: 0}}\n"
                "      - {name: g, run: x, retries: {max: 1, backoff: exponential}}\n");
        const ActivityDef *a = rb->activities;

        assert_int_equal(a[0].retry.initial, USEC_PER_SEC);
        assert_int_equal(a[0].retry.maximum, USEC_INFINITY);
        assert_int_equal(a[0].retry.backoff, BACKOFF_EXP);
        assert_int_equal(a[1].retry.max, RETRIES_MAX);
        assert_int_equal(a[1].retry.backoff, BACKOFF_LIN);
        assert_int_equal(a[1].retry.initial, 5 * USEC_PER_SEC);
        assert_int_equal(a[1].retry.maximum, 60 * USEC_PER_SEC);
        assert_string_equal(a[1].retry.on[1], "TIMEOUT");
        assert_string_equal(a[1].retry.not_on[0], "OOM_KILL");
        assert_int_equal(a[2].retry.max, 3);
        assert_int_equal(a[2].retry.backoff, BACKOFF_FIXED);
        assert_int_equal(a[2].retry.initial, USEC_PER_SEC);
        assert_int_equal(a[3].retry.max, 9);
        assert_int_equal(a[3].retry.backoff, BACKOFF_EXP);
        assert_int_equal(a[3].retry.initial, 100 * USEC_PER_MSEC);
        assert_int_equal(a[4].retry.max, 0);
        assert_int_equal(a[5].retry.max, 0);
        assert_int_equal(a[6].retry.backoff, BACKOFF_EXP);
}

static void test_defaults(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "phases:\n"                                             /* before `defaults`: the order in the file does not matter */
                "  - name: p\n"
                "    activities:\n"
                "      - {name: a, run: x}\n"
                "      - {name: b, run: x, retry: {maxAttempts: 3}, timeout: 1min, failurePolicy: fail}\n"
                "      - {name: c, uses: builtin:shell, with: {command: x, shell: /bin/zsh}}\n"
                "      - {name: d, run: x, continueOnError: false}\n"
                "defaults: {retries: {max: 5, on: [EXIT]}, timeout: 10min, failurePolicy: continue, shell: bash, executor: process}\n");
        const ActivityDef *a = rb->activities;

        assert_int_equal(a[0].retry.max, 5);
        assert_string_equal(a[0].retry.on[0], "EXIT");
        assert_ptr_not_equal(a[0].retry.on, a[2].retry.on);
        assert_false(a[0].retry_written);
        assert_int_equal(a[0].timeout, 10 * MINUTE);
        assert_int_equal(a[0].failure_policy, FAILURE_CONTINUE);
        assert_false(a[0].failure_policy_written);
        assert_string_equal(a[0].steps[0].shell.shell, "/bin/bash");
        assert_int_equal(a[1].retry.max, 2);
        assert_int_equal(a[1].timeout, MINUTE);
        assert_int_equal(a[1].failure_policy, FAILURE_FAIL);
        assert_true(a[1].failure_policy_written);
        assert_string_equal(a[2].steps[0].shell.shell, "/bin/zsh");
        assert_int_equal(a[3].failure_policy, FAILURE_CONTINUE);        /* false is as good as not written */
}

static void test_default_retry_form(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse("defaults: {retry: {maxAttempts: 2}}\n" ONE_STEP);

        assert_int_equal(rb->activities[0].retry.max, 1);
}

static void test_failure_policy_of_the_runbook(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse("failurePolicy: continue\n" ONE_STEP);

        assert_int_equal(rb->activities[0].failure_policy, FAILURE_CONTINUE);
        assert_false(rb->activities[0].failure_policy_written);
}

/* What follows a failure, from the nearest that says it; where nothing does: hold, but not in phases that need not end well (S1.16, S1.17), nor before the
 * whole run is tried again (S4.2). */
static void test_failure_policies(void **state) {
        static const struct {
                const char *head, *phase, *activity;
                FailurePolicy expected;
                bool written;
        } cases[] = {
                { "", "", "", FAILURE_HOLD, false },
                { "", "critical: true, ", "", FAILURE_HOLD, false },
                { "", "critical: false, ", "", FAILURE_FAIL, false },
                { "retries: {max: 1}\n", "", "", FAILURE_FAIL, false },
                { "retry: {maxAttempts: 2}\n", "", "", FAILURE_FAIL, false },
                { "retries: {max: 0}\n", "", "", FAILURE_HOLD, false },
                { "retry: {maxAttempts: 1}\n", "", "", FAILURE_HOLD, false },
                { "defaults: {retries: {max: 2}}\n", "", "", FAILURE_HOLD, false },
                { "failurePolicy: hold\n", "critical: false, ", "", FAILURE_HOLD, false },
                { "defaults: {failurePolicy: hold}\n", "critical: false, ", "", FAILURE_HOLD, false },
                { "retries: {max: 1}\nfailurePolicy: hold\n", "", "", FAILURE_HOLD, false },
                { "failurePolicy: fail\n", "", "", FAILURE_FAIL, false },
                { "failurePolicy: continue\n", "critical: false, ", "", FAILURE_CONTINUE, false },
                { "failurePolicy: fail\n", "", "failurePolicy: hold, ", FAILURE_HOLD, true },
                { "", "critical: false, ", "failurePolicy: hold, ", FAILURE_HOLD, true },
                { "retries: {max: 1}\n", "", "failurePolicy: hold, ", FAILURE_HOLD, true },
                { "", "", "failurePolicy: fail, ", FAILURE_FAIL, true },
                { "failurePolicy: fail\n", "", "continueOnError: true, ", FAILURE_CONTINUE, true },
                { "failurePolicy: fail\n", "", "continueOnError: false, ", FAILURE_FAIL, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = NULL;
                assert_true(asprintf(&text, "%sphases: [{name: p, %sactivities: [{name: a, %srun: x}]}]", cases[i].head, cases[i].phase,
                                     cases[i].activity) > 0);
                _cleanup_runbook_ Runbook *rb = must_parse(text);
                if (rb->activities[0].failure_policy != cases[i].expected || rb->activities[0].failure_policy_written != cases[i].written)
                        fail_msg("%s: %s", text, failure_policy_to_string(rb->activities[0].failure_policy));
        }
}

/* S4.2: the same policies at the level of the run; activities keep their own. S3.10: none is max 0. */
static void test_run_retry(void **state) {
        _cleanup_runbook_ Runbook *retries = must_parse(
                "description: x\nretries: {max: 2, backoff: lin, initialInterval: 1min, maxInterval: 5min, on: [EXIT]}\n"
                "phases: [{name: p, activities: [{name: a, run: x}, {name: b, run: x, retries: {max: 3}}]}]");
        _cleanup_runbook_ Runbook *retry = must_parse("retry: {maxAttempts: 10, delayMs: 60000, strategy: exponential}\n" ONE_STEP), *none = must_parse(ONE_STEP);

        assert_int_equal(retries->retry.max, 2);
        assert_int_equal(retries->retry.backoff, BACKOFF_LIN);
        assert_int_equal(retries->retry.initial, MINUTE);
        assert_int_equal(retries->retry.maximum, 5 * MINUTE);
        assert_string_equal(retries->retry.on[0], "EXIT");
        assert_int_equal(retries->retry_line, 2);
        assert_int_equal(retries->retry_column, 1);
        assert_int_equal(retries->activities[0].retry.max, 0);
        assert_int_equal(retries->activities[1].retry.max, 3);
        assert_int_equal(retry->retry.max, 9);
        assert_int_equal(retry->retry.backoff, BACKOFF_EXP);
        assert_int_equal(retry->retry.initial, MINUTE);
        assert_int_equal(none->retry.max, 0);
}

/* S1.16, S1.18, S3.34: how a run ends, and how an interruption does */
static void test_ways_on(void **state) {
        static const char *const partial[] = { "success", "allow", "fail" }, *const interrupt[] = { "resume", "hold", "fail" };

        for (unsigned i = 0; i < 3; i++) {
                _cleanup_free_ char *text = NULL;
                assert_true(asprintf(&text, "partialSuccess: %s\nphases: [{name: p, critical: false, activities: [{name: a, onInterrupt: %s, resume: step, run: x}]}]",
                                     partial[i], interrupt[i]) > 0);
                _cleanup_runbook_ Runbook *rb = must_parse(text);
                assert_int_equal(rb->partial_success, i);
                assert_int_equal(rb->activities[0].on_interrupt, i);
                assert_true(rb->activities[0].resume_step);
                assert_false(rb->phases[0].critical);
        }
}

static void expect_failures(const char *triggers, const char *expected) {
        _cleanup_free_ char *text = NULL;
        _cleanup_strbuf_ StrBuf b = {};

        assert_true(asprintf(&text, "name: tell\ninputs: {x: {type: integer}, y: {default: z}}\n%s\n" ONE_STEP, triggers) > 0);
        _cleanup_runbook_ Runbook *rb = must_parse(text);
        strbuf_append(&b, !rb->on_failure ? "none" : !rb->on_failure_of ? "any" : "");
        for (char **n = rb->on_failure_of; n && *n; n++)
                strbuf_appendf(&b, "%s ", *n);
        if (rb->on_failure_inputs) {
                _cleanup_free_ char *inputs = json_to_string(rb->on_failure_inputs, false);
                strbuf_append(&b, inputs);
        }
        assert_string_equal(b.s, expected);
}

/* S4.14: names of all entries together; none are all; the values as the declarations want them. */
static void test_on_failure(void **state) {
        expect_failures("", "none");
        expect_failures("triggers: []", "none");
        expect_failures("triggers: [{onFailureOf: [ship]}]", "ship ");
        expect_failures("triggers: [{onFailureOf: [ship, boat]}, {onFailureOf: [raft, ship]}]", "ship boat raft ");
        expect_failures("triggers: [{onFailureOf: }]", "any");
        expect_failures("triggers: [{onFailureOf: []}]", "any");
        expect_failures("triggers: [{onFailureOf: [ship]}, {onFailureOf: []}]", "any");
        expect_failures("triggers: [{onFailureOf: [ship], inputs: {x: 5.0}}]", "ship {\"x\":5}");
        expect_failures("triggers: [{onFailureOf: [ship], inputs: {x: 1, y: b}}, {onFailureOf: [boat], inputs: {y: b, x: 1}}]", "ship boat {\"x\":1,\"y\":\"b\"}");
        expect_failures("triggers: [{onFailureOf: [ship], inputs: {}}, {onFailureOf: [boat]}]", "ship boat {}");
}

static void test_on_failure_place(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse("triggers:\n  - onFailureOf: [runbook]\n" ONE_STEP);  /* without a name it may be any */

        assert_int_equal(rb->on_failure_line, 2);
        assert_int_equal(rb->on_failure_column, 5);
}

/* S3.14 and the activity's own form of it */
static void test_continue_on_error(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "phases: [{name: p, activities: [{name: a, continueOnError: true, steps: [{run: x}, {run: y, continueOnError: true}]}]}]");

        assert_int_equal(rb->activities[0].failure_policy, FAILURE_CONTINUE);
        assert_true(rb->activities[0].failure_policy_written);
        assert_false(rb->activities[0].steps[0].continue_on_error);
        assert_true(rb->activities[0].steps[1].continue_on_error);
}

/* S3.20, S3.25: the lists in the order in which they run, whatever the order in the file; hook steps have all fields */
static void test_step_lists(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "phases:\n"
                "  - name: p\n"
                "    activities:\n"
                "      - name: a\n"
                "        hooks:\n"
                "          post: [{run: post1}]\n"
                "          onFailure: [{run: fail1, id: tell, if: always(), timeout: 5, continueOnError: true, env: {A: b}}, {run: fail2}]\n"
                "          onSuccess: []\n"
                "          pre: [{run: pre1, name: lock}]\n"
                "        steps: [{run: main1}, {run: main2}]\n");
        const ActivityDef *a = rb->activities;
        static const char *const ids[] = { "pre:1", "step-1", "step-2", "tell", "onFailure:2", "post:1" };
        static const unsigned starts[] = { 0, 1, 3, 3, 5, 6 };

        assert_int_equal(a->n_steps, 6);
        for (unsigned i = 0; i < ELEMENTSOF(ids); i++)
                assert_string_equal(a->steps[i].id, ids[i]);
        for (unsigned i = 0; i < ELEMENTSOF(starts); i++)
                assert_int_equal(a->list_start[i], starts[i]);
        assert_int_equal(a->steps[4].list, LIST_ON_FAILURE);
        assert_int_equal(a->steps[4].number, 2);
        assert_non_null(a->steps[3].condition);
        assert_int_equal(a->steps[3].timeout, 5 * USEC_PER_SEC);
        assert_true(a->steps[3].continue_on_error);
        assert_int_equal(a->steps[3].n_env, 1);
        assert_string_equal(a->steps[0].name, "lock");
}

static void test_step_ids(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "phases: [{name: p, activities: [{name: a, steps: [{name: Build it, run: x}, {name: build, run: x}, {name: Build, id: b2, run: x}]}]}]");
        const StepDef *s = rb->activities[0].steps;

        assert_string_equal(s[0].id, "step-1");
        assert_string_equal(s[1].id, "build");
        assert_string_equal(s[2].id, "b2");
        assert_string_equal(s[2].name, "Build");
}

/* S3.18, S3.19, S3.38 */
static void test_shell_handler(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "phases:\n"
                "  - name: p\n"
                "    activities:\n"
                "      - name: a\n"
                "        env: {A: outer}\n"
                "        steps:\n"
                "          - {uses: builtin:shell, with: {command: x}}\n"
                "          - {uses: builtin:shell, timeout: 9, env: {A: b}, with: {command: x, shell: dash, timeout: 7, throwOnError: true, env: {C: '${{ env.A }}'}}}\n"
                "          - {run: x}\n");
        const StepDef *s = rb->activities[0].steps;

        assert_int_equal(s[0].handler_timeout, SHELL_TIMEOUT_DEFAULT);
        assert_int_equal(s[0].timeout, USEC_INFINITY);
        assert_false(s[0].shell.throw_on_error);
        assert_string_equal(s[0].shell.shell, "/bin/sh");
        assert_int_equal(s[1].handler_timeout, 7 * USEC_PER_SEC);
        assert_int_equal(s[1].timeout, 9 * USEC_PER_SEC);
        assert_true(s[1].shell.throw_on_error);
        assert_string_equal(s[1].shell.shell, "/bin/dash");
        assert_int_equal(s[1].n_env, 2);
        assert_string_equal(s[1].env[1].name, "C");
        assert_true(s[2].shell.throw_on_error);
        assert_int_equal(s[2].handler_timeout, USEC_INFINITY);
}

static void test_exec_handler(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "inputs: {x: {}}\nphases: [{name: p, activities: [{name: a, uses: builtin:exec, with: {argv: [echo, '${{ inputs.x }}', 1.10, true]}}]}]");
        const StepDef *s = rb->activities[0].steps;
        _cleanup_free_ char *number = NULL;

        assert_int_equal(s->kind, STEP_EXEC);
        assert_int_equal(s->exec.n_argv, 4);
        assert_true(template_is_constant(s->exec.argv[0]));
        assert_false(template_is_constant(s->exec.argv[1]));
        assert_ok(template_eval_text(s->exec.argv[2], NULL, &number, NULL));
        assert_string_equal(number, "1.10");                    /* as it is written */
}

static void test_handlers_in_an_activity(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "phases: [{name: p, activities: [{name: a, uses: builtin:shell, with: {command: x}}, {name: b, uses: builtin:approval}]}]");

        assert_int_equal(rb->activities[0].steps[0].handler_timeout, SHELL_TIMEOUT_DEFAULT);
        assert_int_equal(rb->activities[1].steps[0].kind, STEP_APPROVAL);
        assert_int_equal(rb->activities[1].steps[0].request.required, 1);
        assert_int_equal(rb->activities[1].list_start[LIST_MAIN + 1], 1);
}

static void test_env(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "env: {A: x, VERSION: 1.10, ON: true, _x9: ''}\n"
                "phases: [{name: p, activities: [{name: a, env: {B: '${{ env.A }}'}, run: x}]}]\n");
        static const char *const values[] = { "x", "1.10", "true", "" };

        assert_int_equal(rb->n_env, 4);
        for (unsigned i = 0; i < 4; i++) {
                _cleanup_free_ char *v = NULL;
                assert_ok(template_eval_text(rb->env[i].value, NULL, &v, NULL));
                assert_string_equal(v, values[i]);
        }
        assert_string_equal(rb->activities[0].env[0].name, "B");
}

static void test_other_fields(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "version: 1.0\ndescription: 42\npartialSuccess: success\n"
                "phases:\n"
                "  - name: p\n"
                "    description: First\n"
                "    critical: true\n"
                "    if: \"true\"\n"
                "    activities:\n"
                "      - {name: a, description: Only, if: always(), workingDirectory: '/srv/${{ run.id }}', onInterrupt: resume, resume: activity, executor: process, run: x}\n");
        const ActivityDef *a = rb->activities;

        assert_string_equal(rb->version, "1.0");
        assert_string_equal(rb->description, "42");
        assert_string_equal(rb->phases[0].description, "First");
        assert_true(rb->phases[0].critical);
        assert_non_null(rb->phases[0].condition);
        assert_string_equal(a->description, "Only");
        assert_non_null(a->condition);
        assert_string_equal(a->working_directory_text, "/srv/${{ run.id }}");
        assert_non_null(a->working_directory);
        assert_int_equal(a->on_interrupt, INTERRUPT_RESUME);
        assert_false(a->resume_step);
        assert_null(a->user);
}

static void test_needs(void **state) {
        _cleanup_runbook_ Runbook *rb = must_parse(
                "phases:\n"
                "  - {name: p, activities: [{name: a, run: x}, {name: b, needs: [], run: x}, {name: c, needs: [a], run: x}, {name: d, run: x}]}\n"
                "  - {name: q, needs: [], activities: [{name: e, run: x}]}\n"
                "  - {name: r, needs: [q], activities: [{name: f, run: x}]}\n");
        const Graph *g = &rb->phases[0].graph;

        assert_false(precedes(g, 0, 1));
        assert_true(precedes(g, 0, 2));
        assert_false(precedes(g, 1, 2));
        assert_true(precedes(g, 1, 3));
        assert_false(precedes(&rb->graph, 0, 1));
        assert_true(precedes(&rb->graph, 1, 2));
        assert_false(precedes(&rb->graph, 0, 2));
}

/* Needs may name what comes later in the file. */
static void test_needs_forward(void **state) {
        _cleanup_runbook_ Runbook *rb =
                must_parse("phases: [{name: p, activities: [{name: a, needs: [b], run: x}, {name: b, needs: [], run: x}]}]");

        assert_true(precedes(&rb->phases[0].graph, 1, 0));
}

static void test_json(void **state) {
        static const char text[] =
                "{\"name\": \"j\", \"phases\": [{\"name\": \"p\", \"activities\": [{\"name\": \"a\", \"run\": \"echo \\\"\\u00e4\\\"\"}]}]}";
        _cleanup_runbook_ Runbook *rb = NULL;
        _cleanup_diag_ Diagnostics d = {};

        assert_ok(runbook_parse(text, strlen(text), TREE_JSON, "j", &d, &rb));
        assert_int_equal(rb->format, TREE_JSON);
        assert_string_equal(shell_template_script(rb->activities[0].steps[0].shell.command), "echo \"ä\"");
}

static int parse_named(const char *text, const char *name, Runbook **ret, char **ret_error) {
        _cleanup_diag_ Diagnostics d = {};
        int r = runbook_parse(text, strlen(text), TREE_YAML, name, &d, ret);

        *ret_error = d.n_items > 0 ? strdup(d.items[0].message) : NULL;
        return r;
}

static void test_names(void **state) {
        _cleanup_runbook_ Runbook *file = NULL, *same = NULL, *none = NULL, *other = NULL;
        _cleanup_free_ char *a = NULL, *b = NULL, *c = NULL, *e = NULL, *f = NULL;

        assert_ok(parse_named(ONE_STEP, "ship", &file, &a));
        assert_string_equal(file->name, "ship");
        assert_ok(parse_named("name: ship\n" ONE_STEP, "ship", &same, &b));
        assert_ok(parse_named(ONE_STEP, NULL, &none, &c));
        assert_string_equal(none->name, "runbook");
        assert_int_equal(parse_named("name: ship\n" ONE_STEP, "boat", &other, &e), -EINVAL);
        assert_string_equal(e, "the runbook is named \"ship\" and its file \"boat\": they must be the same");
        assert_int_equal(parse_named(ONE_STEP, "My Ship", &other, &f), -EINVAL);
        assert_non_null(strstr(f, "the file's name \"My Ship\" is not"));
        assert_null(other);
}

/* The hash says that two definitions are the same: name, format and every byte count. */
static void test_hash(void **state) {
        _cleanup_runbook_ Runbook *a = NULL, *b = NULL, *c = NULL, *e = NULL;
        _cleanup_free_ char *error = NULL;

        assert_ok(parse_named(ONE_STEP, "a", &a, &error));
        assert_ok(parse_named(ONE_STEP, "a", &b, &error));
        assert_ok(parse_named(ONE_STEP, "c", &c, &error));
        assert_ok(parse_named(ONE_STEP "# \n", "a", &e, &error));
        assert_string_equal(a->hash, b->hash);
        assert_string_not_equal(a->hash, c->hash);
        assert_string_not_equal(a->hash, e->hash);
}

/* Errors that were there before don't count against a good file. */
static void test_earlier_errors(void **state) {
        _cleanup_runbook_ Runbook *rb = NULL;
        _cleanup_diag_ Diagnostics d = {};

        diag_error(&d, 1, 1, "something else");
        assert_ok(runbook_parse(ONE_STEP, strlen(ONE_STEP), TREE_YAML, NULL, &d, &rb));
}

static void append_activities(StrBuf *b, unsigned n, const char *action) {
        for (unsigned i = 0; i < n; i++)
                strbuf_appendf(b, "  - {name: a%u, %s}\n", i, action);
}

/* Cap: RUNBOOK_PHASES_MAX */
static void test_cap_phases(void **state) {
        for (unsigned n = RUNBOOK_PHASES_MAX; n <= RUNBOOK_PHASES_MAX + 1; n++) {
                _cleanup_strbuf_ StrBuf b = {};
                strbuf_append(&b, "phases:\n");
                for (unsigned i = 0; i < n; i++)
                        strbuf_appendf(&b, "- {name: p%u, activities: [{name: a%u, run: x}]}\n", i, i);
                if (n <= RUNBOOK_PHASES_MAX)
                        runbook_unref(must_parse(b.s));
                else
                        must_fail(b.s, 2, 1, "1001 phases; at most 1000 are allowed");
        }
}

/* Cap: RUNBOOK_ACTIVITIES_MAX */
static void test_cap_activities(void **state) {
        for (unsigned n = RUNBOOK_ACTIVITIES_MAX; n <= RUNBOOK_ACTIVITIES_MAX + 1; n++) {
                _cleanup_strbuf_ StrBuf b = {};
                strbuf_append(&b, "phases:\n- name: p\n  activities:\n");
                append_activities(&b, n, "run: x");
                if (n <= RUNBOOK_ACTIVITIES_MAX)
                        runbook_unref(must_parse(b.s));
                else
                        must_fail(b.s, 2, 1, "10001 activities; at most 10000 are allowed");
        }
}

/* Cap: RUNBOOK_STEPS_MAX, hooks included. Aliases make the file small. */
static void test_cap_steps(void **state) {
        for (unsigned extra = 0; extra <= 1; extra++) {
                _cleanup_strbuf_ StrBuf b = {};
                strbuf_append(&b, "phases:\n- name: p\n  activities:\n  - name: first\n    hooks: {post: [{run: x}]}\n    steps: &s\n");
                for (unsigned i = 0; i < 999; i++)
                        strbuf_append(&b, "    - {run: x}\n");
                append_activities(&b, 99, "hooks: {pre: [{run: x}]}, steps: *s");
                if (extra)
                        strbuf_append(&b, "  - {name: last, run: x}\n");
                if (extra)
                        must_fail(b.s, 1105, 5, "more than 100000 steps");
                else
                        runbook_unref(must_parse(b.s));
        }
}

/* Cap: RUNBOOK_EXPANDED_MAX. A text that aliases repeat would be copied each time. */
static void test_cap_expanded(void **state) {
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_append(&b, "description: &d ");
        for (unsigned i = 0; i < 1024; i++)
                strbuf_append(&b, "0123456789abcdefghijklmnopqrstuvwxyz");
        strbuf_append(&b, "\nphases:\n- name: p\n  activities:\n");
        append_activities(&b, 200, "run: x, description: *d");
        must_fail(b.s, 1, 17, "with its aliases expanded the file is larger than 4194304 bytes");
}

/* Caps: RETRY_CODES_MAX, OWNERS_MAX, PRINCIPAL_NAME_MAX, STEP_NAME_MAX; SHELL_PATH_MAX is in the corpus. */
static void test_cap_lists(void **state) {
        _cleanup_strbuf_ StrBuf codes = {}, owners = {}, long_owner = {};

        strbuf_append(&codes, "defaults: {retries: {max: 1, on: [");
        for (unsigned i = 0; i <= RETRY_CODES_MAX; i++)
                strbuf_appendf(&codes, "C%u,", i);
        strbuf_append(&codes, "]}}\n" ONE_STEP);
        must_fail(codes.s, 1, 34, "\"on\" has 65 entries; at most 64 are allowed");
        strbuf_append(&owners, "owners: [");
        for (unsigned i = 0; i <= OWNERS_MAX; i++)
                strbuf_appendf(&owners, "u%u,", i);
        strbuf_append(&owners, "]\n" ONE_STEP);
        must_fail(owners.s, 1, 9, "\"owners\" has 1001 entries; at most 1000 are allowed");
        strbuf_append(&long_owner, "owners: [u");
        for (unsigned i = 0; i < PRINCIPAL_NAME_MAX; i++)
                strbuf_append(&long_owner, "s");
        strbuf_append(&long_owner, "]\n" ONE_STEP);
        must_fail(long_owner.s, 1, 10, "is not a person or a group");
}

static void append_trigger(StrBuf *b, unsigned i) {
        strbuf_appendf(b, "- onFailureOf: [r%u]\n", i);
}

static void append_value(StrBuf *b, unsigned i) {
        strbuf_appendf(b, "    i%u: x\n", i);
}

static void append_many(StrBuf *b, const char *head, unsigned n, void (*append)(StrBuf *b, unsigned i)) {
        strbuf_append(b, head);
        for (unsigned i = 0; i < n; i++)
                append(b, i);
        strbuf_append(b, ONE_STEP);
}

/* Caps: TRIGGERS_MAX (100), and INPUTS_MAX for a trigger's values, INPUTS_SIZE_MAX for all of them together. */
static void test_cap_triggers(void **state) {
        _cleanup_strbuf_ StrBuf fits = {}, many = {}, inputs = {}, large = {};

        append_many(&fits, "triggers:\n", 100, append_trigger);
        runbook_unref(must_parse(fits.s));
        append_many(&many, "triggers:\n", 101, append_trigger);
        must_fail(many.s, 2, 1, "\"triggers\" has 101 entries; at most 100 are allowed");
        append_many(&inputs, "triggers:\n- onFailureOf: []\n  inputs:\n", INPUTS_MAX + 1, append_value);
        must_fail(inputs.s, 4, 5, "\"inputs\" has 1001 entries; at most 1000 are allowed");
        strbuf_append(&large, "inputs: {a: {}, b: {}}\ntriggers:\n- onFailureOf: []\n  inputs:\n    a: &x ");
        for (unsigned i = 0; i < INPUTS_SIZE_MAX / 18; i++)
                strbuf_append(&large, "abcdefghij");
        strbuf_append(&large, "\n    b: *x\n" ONE_STEP);
        must_fail(large.s, 5, 5, "the inputs are larger than 1048576 bytes");
}

/* DIAGNOSTICS_MAX bounds what is listed; the file is bad all the same, and suggestions don't make it slow. */
static void test_very_many_errors(void **state) {
        _cleanup_strbuf_ StrBuf b = {};
        _cleanup_diag_ Diagnostics d = {};
        Runbook *rb = NULL;

        strbuf_append(&b, "phases:\n- name: p\n  activities:\n");
        append_activities(&b, 5000, "run: x, needs: [nothing], timeuot: 5");
        assert_int_equal(runbook_parse(b.s, b.n, TREE_YAML, NULL, &d, &rb), -EINVAL);
        assert_int_equal(d.n_items, DIAGNOSTICS_MAX);
        assert_int_equal(d.n_errors, 10000);
        assert_null(rb);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_runbook),
        cmocka_unit_test(test_example_activities),
        cmocka_unit_test(test_example_approval),
        cmocka_unit_test(test_request_fields),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_run_timeout_is_unbounded),
        cmocka_unit_test(test_retry_policies),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_default_retry_form),
        cmocka_unit_test(test_failure_policy_of_the_runbook),
        cmocka_unit_test(test_failure_policies),
        cmocka_unit_test(test_run_retry),
        cmocka_unit_test(test_ways_on),
        cmocka_unit_test(test_on_failure),
        cmocka_unit_test(test_on_failure_place),
        cmocka_unit_test(test_continue_on_error),
        cmocka_unit_test(test_step_lists),
        cmocka_unit_test(test_step_ids),
        cmocka_unit_test(test_shell_handler),
        cmocka_unit_test(test_exec_handler),
        cmocka_unit_test(test_handlers_in_an_activity),
        cmocka_unit_test(test_env),
        cmocka_unit_test(test_other_fields),
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_needs_forward),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_earlier_errors),
        cmocka_unit_test(test_cap_phases),
        cmocka_unit_test(test_cap_activities),
        cmocka_unit_test(test_cap_steps),
        cmocka_unit_test(test_cap_expanded),
        cmocka_unit_test(test_cap_lists),
        cmocka_unit_test(test_cap_triggers),
        cmocka_unit_test(test_very_many_errors),
};
TEST_MAIN(tests)
