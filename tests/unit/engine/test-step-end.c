/* What an executor's result means for a step. */
#include "engine-private.h"
#include "test.h"

#include <signal.h>

static const StepDef shell = { .kind = STEP_SHELL, .shell.throw_on_error = true };
static const StepDef tolerant = { .kind = STEP_SHELL, .shell.throw_on_error = false };

static StepEnd end_of(const StepDef *def, const ExecResult *result, bool stopping) {
        StepEnd end;

        assert_ok(step_end_from_result(def, result, 77, stopping, &end));
        return end;
}

static void assert_error(const StepEnd *end, const char *code, const char *message) {
        assert_int_equal(end->state, STEP_FAILED);
        assert_string_equal(error_code(end->error), code);
        assert_string_equal(json_string(json_get(end->error, "message")), message);
        assert_int_equal(json_int(json_get(end->error, "timestamp")), 77);
}

static void test_exit(void **state) {
        StepEnd end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .log_end = 12 }, false);

        assert_int_equal(end.state, STEP_SUCCESS);
        assert_int_equal(end.exit_code, 0);
        assert_int_equal(end.log_end, 12);
        assert_null(end.error);
        assert_true(json_bool(json_get(end.outputs, "ok")));
        assert_false(json_has(end.outputs, "stdout"));
        step_end_done(&end);

        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .status = 3 }, false);
        assert_error(&end, "EXIT", "exited with status 3");
        assert_int_equal(end.exit_code, 3);
        assert_int_equal(json_int(json_get(end.outputs, "exitCode")), 3);
        assert_false(json_bool(json_get(end.outputs, "ok")));
        step_end_done(&end);
}

/* S3.19: throwOnError false covers exit codes only. */
static void test_tolerant(void **state) {
        StepEnd end = end_of(&tolerant, &(ExecResult) { .outcome = EXEC_EXITED, .status = 3 }, false);

        assert_int_equal(end.state, STEP_SUCCESS);
        assert_int_equal(end.exit_code, 3);
        assert_true(json_has(end.outputs, "ok"));
        assert_false(json_bool(json_get(end.outputs, "ok")));
        step_end_done(&end);
        end = end_of(&tolerant, &(ExecResult) { .outcome = EXEC_SIGNALED, .status = SIGSEGV }, false);
        assert_error(&end, "SIGNAL", "killed by SIGSEGV");
        step_end_done(&end);
}

static void test_other_ends(void **state) {
        StepEnd end = end_of(&shell, &(ExecResult) { .outcome = EXEC_OOM_KILLED, .status = SIGKILL }, false);

        assert_error(&end, "OOM_KILL", "killed because memory ran out");
        assert_int_equal(end.exit_code, -1);
        assert_null(json_get(end.outputs, "exitCode"));
        step_end_done(&end);

        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_START_FAILED, .status = ENOENT, .message = "frobnicate" }, false);
        assert_error(&end, "START_FAILED", "frobnicate: No such file or directory");
        step_end_done(&end);
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_START_FAILED, .status = EACCES }, false);
        assert_error(&end, "START_FAILED", "the step could not be started: Permission denied");
        step_end_done(&end);

        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_SIGNALED, .status = SIGRTMIN + 3 }, false);
        assert_string_equal(error_code(end.error), "SIGNAL");
        step_end_done(&end);

        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_LOST }, false);
        assert_error(&end, "LOST", "how the step ended is not known");
        assert_true(end.interrupted);
        assert_false(end.clean);
        step_end_done(&end);
}

static Json *parse(const char *text) {
        Json *j;

        assert_ok(json_parse(text, strlen(text), &j));
        return j;
}

static void test_own_error(void **state) {
        _cleanup_json_ Json *own = parse("{\"message\":\"no disk\",\"code\":\"NO_DISK\",\"stack\":\"a\\nb\",\"details\":{\"n\":1}}");
        _cleanup_json_ Json *odd = parse("{\"message\":\"odd\",\"code\":\"not a code\"}");
        _cleanup_json_ Json *persons = parse("{\"message\":\"no\",\"code\":\"APPROVAL_REJECTED\"}"); /* no process is a person */
        StepEnd end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .status = 1, .error = own }, false);

        assert_error(&end, "NO_DISK", "no disk");
        assert_string_equal(json_string(json_get(end.error, "stack")), "a\nb");
        assert_int_equal(json_int(json_get(json_get(end.error, "details"), "n")), 1);
        step_end_done(&end);
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .status = 1, .error = odd }, false);
        assert_error(&end, "EXIT", "odd");
        step_end_done(&end);
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .status = 1, .error = persons }, false);
        assert_error(&end, "EXIT", "no");
        step_end_done(&end);
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_SIGNALED, .status = SIGABRT, .error = odd }, false);
        assert_error(&end, "SIGNAL", "odd");
        step_end_done(&end);
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_OOM_KILLED, .error = own }, false);
        assert_error(&end, "OOM_KILL", "killed because memory ran out");
        step_end_done(&end);
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .error = own }, false); /* it succeeded, whatever it wrote */
        assert_int_equal(end.state, STEP_SUCCESS);
        assert_null(end.error);
        step_end_done(&end);
}

static void test_code_length(void **state) {
        _cleanup_json_ Json *j = json_new_object();
        char code[ERROR_CODE_LENGTH_MAX + 2];
        StepEnd end;

        assert_ok(json_set_string(j, "message", "m"));
        memset(code, 'A', sizeof code);
        code[ERROR_CODE_LENGTH_MAX] = 0;
        assert_ok(json_set_string(j, "code", code));
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .status = 1, .error = j }, false);
        assert_string_equal(error_code(end.error), code);
        step_end_done(&end);
        code[ERROR_CODE_LENGTH_MAX] = 'A';
        code[ERROR_CODE_LENGTH_MAX + 1] = 0;
        assert_ok(json_set_string(j, "code", code));
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .status = 1, .error = j }, false);
        assert_string_equal(error_code(end.error), "EXIT");
        step_end_done(&end);
}

static void test_outputs(void **state) {
        _cleanup_json_ Json *own = parse("{\"tarball\":\"x.tar\",\"ok\":\"mine\",\"exitCode\":9,\"stdout\":\"lie\"}");
        StepEnd end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .outputs = own, .stdout_tail = "said" }, false);

        assert_string_equal(json_string(json_get(end.outputs, "tarball")), "x.tar");
        assert_true(json_bool(json_get(end.outputs, "ok")));
        assert_int_equal(json_int(json_get(end.outputs, "exitCode")), 0);
        assert_string_equal(json_string(json_get(end.outputs, "stdout")), "said");
        assert_int_equal(json_length(end.outputs), 4);
        step_end_done(&end);
}

static void test_invalid_outputs(void **state) {
        StepEnd end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .outputs_error = "line 3: no =" }, false);

        assert_error(&end, "OUTPUT_INVALID", "line 3: no =");
        step_end_done(&end);
        end = end_of(&tolerant, &(ExecResult) { .outcome = EXEC_EXITED, .status = 2, .outputs_error = "line 3: no =" }, false);
        assert_error(&end, "OUTPUT_INVALID", "line 3: no =");
        step_end_done(&end);
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .status = 2, .outputs_error = "line 3: no =" }, false);
        assert_error(&end, "EXIT", "exited with status 2. line 3: no ="); /* it failed for another reason, and nothing is lost in silence */
        step_end_done(&end);
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_SIGNALED, .status = SIGSEGV, .outputs_error = "it has no message" }, false);
        assert_error(&end, "SIGNAL", "killed by SIGSEGV. it has no message");
        step_end_done(&end);
        _cleanup_json_ Json *own = error_new("NO_DISK", 1, "no disk");
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .status = 1, .error = own, .outputs_error = "line 3: no =" }, false);
        assert_error(&end, "NO_DISK", "no disk. line 3: no =");
        step_end_done(&end);
}

/* A death while the daemon stops is an interruption; a success is a success. */
static void test_stopping(void **state) {
        StepEnd end = end_of(&shell, &(ExecResult) { .outcome = EXEC_SIGNALED, .status = SIGTERM, .log_end = 5 }, true);

        assert_true(end.interrupted && end.clean);
        assert_string_equal(error_code(end.error), "INTERRUPTED");
        assert_int_equal(end.log_end, 5);
        assert_null(end.outputs);
        step_end_done(&end);
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED, .status = 143 }, true);
        assert_true(end.interrupted && end.clean);
        step_end_done(&end);
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_EXITED }, true);
        assert_int_equal(end.state, STEP_SUCCESS);
        assert_false(end.interrupted);
        step_end_done(&end);
        end = end_of(&shell, &(ExecResult) { .outcome = EXEC_START_FAILED, .status = ENOENT }, true);
        assert_false(end.interrupted);
        step_end_done(&end);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exit),
                cmocka_unit_test(test_tolerant),
                cmocka_unit_test(test_other_ends),
                cmocka_unit_test(test_own_error),
                cmocka_unit_test(test_code_length),
                cmocka_unit_test(test_outputs),
                cmocka_unit_test(test_invalid_outputs),
                cmocka_unit_test(test_stopping),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
