/* From what an executor saw to what it means for the step. An exit status of 0 is success, any other a failure, except for
 * builtin:shell without throwOnError, whose exit status is an answer like any other. A failing step may say by itself what went wrong
 * ($RUNBOOK_ERROR). Outputs that can't be taken fail a step that would have succeeded; where it failed anyway, its message says so. What
 * ends by a signal, or badly, while the daemon stops is an interruption and nobody's fault. */
#include "engine-private.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>

#include "fd-util.h"
#include "i18n.h"

static bool code_is_valid(const char *s) {
        if (!s || *s < 'A' || *s > 'Z' || strlen(s) > ERROR_CODE_LENGTH_MAX)
                return false;
        for (; *s; s++)
                if (!(*s >= 'A' && *s <= 'Z') && !(*s >= '0' && *s <= '9') && *s != '_')
                        return false;
        return true;
}

/* What persons did, or did not do in time, is not for a process to say: how the run ends and whether it is tried again hangs on it. */
static bool code_is_reserved(const char *s) {
        return streq(s, "APPROVAL_REJECTED") || streq(s, "APPROVAL_TIMEOUT") || streq(s, "INPUT_TIMEOUT");
}

/* The step's own words over the executor's: message, stack and details as they are, the code where it is one. */
static int own_error(const char *code, usec_t wall, const Json *own, Json **ret) {
        static const char *const members[] = { "stack", "details" };
        const char *own_code = json_string(json_get(own, "code"));
        bool takes = code_is_valid(own_code) && !code_is_reserved(own_code);
        _cleanup_json_ Json *j = error_new(takes ? own_code : code, wall, "%s", strempty(json_string(json_get(own, "message"))));

        if (!j)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                if (json_get(own, members[i]) && json_set(j, members[i], json_ref(json_get(own, members[i]))) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(j);
        return 0;
}

static Json *signal_error(int sig, usec_t wall) {
        const char *name = sigabbrev_np(sig);

        return name ? error_new("SIGNAL", wall, _("killed by SIG%s"), name) : error_new("SIGNAL", wall, _("killed by signal %d"), sig);
}

static Json *start_error(const ExecResult *r, usec_t wall) {
        return r->message ? error_new("START_FAILED", wall, "%s: %s", r->message, strerror(r->status))
                          : error_new("START_FAILED", wall, _("the step could not be started: %s"), strerror(r->status));
}

static Json *outcome_error(const ExecResult *r, usec_t wall) {
        switch (r->outcome) {
        case EXEC_EXITED:
                return error_new("EXIT", wall, _("exited with status %d"), r->status);
        case EXEC_SIGNALED:
                return signal_error(r->status, wall);
        case EXEC_OOM_KILLED:
                return error_new("OOM_KILL", wall, "%s", _("killed because memory ran out"));
        case EXEC_START_FAILED:
                return start_error(r, wall);
        case EXEC_LOST:
                return error_new("LOST", wall, "%s", _("how the step ended is not known"));
        case _EXEC_OUTCOME_MAX:
        case _EXEC_OUTCOME_INVALID:
                break;
        }
        return error_new("LOST", wall, "%s", _("how the step ended is not known"));
}

/* exitCode, ok and stdout are the engine's to say; a step's own outputs of these names are dropped. */
static int make_outputs(const ExecResult *r, bool ok, Json **ret) {
        _cleanup_json_ Json *j = json_new_object();
        int k;

        if (!j)
                return -ENOMEM;
        k = r->outcome == EXEC_EXITED ? json_set_int(j, "exitCode", r->status) : json_set(j, "exitCode", NULL);
        if (k >= 0)
                k = json_set_bool(j, "ok", ok);
        if (k >= 0 && r->stdout_tail)
                k = json_set_string(j, "stdout", r->stdout_tail);
        if (k < 0)
                return k;
        JSON_OBJECT_FOREACH(r->outputs, key, value)
                if (!streq(key, "exitCode") && !streq(key, "ok") && !streq(key, "stdout") && json_set(j, key, json_ref(value)) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(j);
        return 0;
}

/* What it wrote and nobody could take stays what it is, not the failure; but whoever looks for it has to learn why it isn't there. */
static int add_not_taken(const char *why, Json *error) {
        _cleanup_free_ char *both = xasprintf("%s. %s", strempty(json_string(json_get(error, "message"))), why);

        return both ? json_set_string(error, "message", both) : -ENOMEM;
}

static int make_error(const ExecResult *r, usec_t wall, Json **ret) {
        bool own = r->outcome == EXEC_EXITED || r->outcome == EXEC_SIGNALED;
        _cleanup_json_ Json *error = NULL;
        int k = 0;

        if (own && r->error)
                k = own_error(r->outcome == EXEC_EXITED ? "EXIT" : "SIGNAL", wall, r->error, &error);
        else
                error = outcome_error(r, wall);
        if (k >= 0 && !error)
                k = -ENOMEM;
        if (k >= 0 && own && r->outputs_error)
                k = add_not_taken(r->outputs_error, error);
        if (k >= 0)
                *ret = TAKE_PTR(error);
        return k;
}

static bool is_interruption(const ExecResult *r, bool stopping) {
        return r->outcome == EXEC_LOST || (stopping && (r->outcome == EXEC_SIGNALED || (r->outcome == EXEC_EXITED && r->status != 0)));
}

int step_end_interrupted(usec_t wall, StepEnd *ret) {
        Json *error = error_new("INTERRUPTED", wall, "%s", _("runbookd was stopped while the step ran"));

        if (!error)
                return -ENOMEM;
        *ret = (StepEnd) { .state = STEP_FAILED, .exit_code = -1, .error = error, .interrupted = true, .clean = true };
        return 0;
}

int step_end_from_result(const StepDef *def, const ExecResult *result, usec_t wall, bool stopping, StepEnd *ret) {
        bool answers = def->kind == STEP_SHELL && !def->shell.throw_on_error;
        bool ok = result->outcome == EXEC_EXITED && result->status == 0;
        _cleanup_(step_end_done) StepEnd end = { .state = STEP_FAILED, .exit_code = -1 };
        int r = 0;

        if (stopping && is_interruption(result, true))
                r = step_end_interrupted(wall, &end);
        else if (is_interruption(result, false)) {
                end.interrupted = true;
                r = make_error(result, wall, &end.error);
        } else if (ok || (answers && result->outcome == EXEC_EXITED)) {
                end.state = STEP_SUCCESS;
                if (result->outputs_error) {
                        end.state = STEP_FAILED;
                        end.error = error_new("OUTPUT_INVALID", wall, "%s", result->outputs_error);
                        r = end.error ? 0 : -ENOMEM;
                }
        } else
                r = make_error(result, wall, &end.error);
        if (r < 0)
                return r;
        if (!end.interrupted) {
                end.exit_code = result->outcome == EXEC_EXITED ? result->status : -1;
                r = make_outputs(result, ok, &end.outputs);
                if (r < 0)
                        return r;
        }
        end.log_end = result->log_end;
        *ret = end;
        end.error = end.outputs = NULL;
        return 0;
}

void step_end_done(StepEnd *end) {
        end->error = json_unref(end->error);
        end->outputs = json_unref(end->outputs);
}
