/* What is allowed and seldom meant: the warnings of `verify`. Nothing here changes what a runbook does. */
#include "i18n.h"
#include "runbook.h"

#define RETRIES_USUAL_MAX 3u

static unsigned list_length(const ActivityDef *a, StepList l) {
        return a->list_start[l + 1] - a->list_start[l];
}

static void many_retries(const ActivityDef *a, Diagnostics *d) {
        if (a->retry_written && a->retry.max > RETRIES_USUAL_MAX)
                diag_warning(d, a->line, a->column,
                             P_("the activity \"%s\" is retried %u time: more than %u seldom heal what is broken, and delay the news",
                                "the activity \"%s\" is retried %u times: more than %u seldom heal what is broken, and delay the news",
                                a->retry.max),
                             a->name, a->retry.max, RETRIES_USUAL_MAX);
}

static void many_run_retries(const Runbook *r, Diagnostics *d) {
        if (r->retry.max > RETRIES_USUAL_MAX)
                diag_warning(d, r->retry_line, r->retry_column,
                             P_("the whole run is retried %u time: more than %u seldom heal what is broken, and delay the news",
                                "the whole run is retried %u times: more than %u seldom heal what is broken, and delay the news", r->retry.max),
                             r->retry.max, RETRIES_USUAL_MAX);
}

/* Said where it is written: in the activity, or once for all that follow the default. */
static void held_before_the_run_is_retried(const Runbook *r, Diagnostics *d) {
        bool said = false;

        for (unsigned i = 0; r->retry.max > 0 && i < r->n_activities; i++) {
                const ActivityDef *a = r->activities + i;
                if (a->failure_policy != FAILURE_HOLD)
                        continue;
                if (a->failure_policy_written)
                        diag_warning(d, a->line, a->column,
                                     _("a failure of \"%s\" waits for a person (failurePolicy: hold) before the run is retried"), a->name);
                else if (!said) {
                        diag_warning(d, r->retry_line, r->retry_column,
                                     _("failures wait for a person (failurePolicy: hold) before the run is retried: leave the policy out, or the retries"));
                        said = true;
                }
        }
}

static void inputs_of_a_failure(const Runbook *r, Diagnostics *d) {
        for (size_t i = 0; r->on_failure && i < r->n_inputs; i++) {
                const InputSpec *s = r->inputs + i;
                if (s->required && !s->has_default && !json_has(r->on_failure_inputs, s->name))
                        diag_warning(d, r->on_failure_line, r->on_failure_column,
                                     _("a run that a failure starts has no value for the required input \"%s\": give it one here under \"inputs\", or a default"),
                                     s->name);
        }
}

/* A command whose exit status is only an output. It may still be killed or time out, but that is not what retries are written for. */
static bool is_lenient(const StepDef *s) {
        return s->kind == STEP_SHELL && !s->shell.throw_on_error;
}

static bool can_fail(const ActivityDef *a) {
        for (unsigned i = a->list_start[LIST_PRE]; i < a->list_start[LIST_MAIN + 1]; i++)
                if (!a->steps[i].continue_on_error && !is_lenient(a->steps + i))
                        return true;
        return false;
}

static bool any_lenient(const ActivityDef *a) {
        for (unsigned i = a->list_start[LIST_PRE]; i < a->list_start[LIST_MAIN + 1]; i++)
                if (is_lenient(a->steps + i))
                        return true;
        return false;
}

static void retries_in_vain(const ActivityDef *a, Diagnostics *d) {
        const bool retries = a->retry_written && a->retry.max > 0, on_failure = list_length(a, LIST_ON_FAILURE) > 0;

        if ((!retries && !on_failure) || can_fail(a) || !any_lenient(a))
                return;
        diag_warning(d, a->line, a->column,
                     _("the activity \"%s\" has %s, but none of its steps fails by its exit status: write \"throwOnError: true\""), a->name,
                     retries ? "retries" : "onFailure");
}

static void pre_not_undone(const ActivityDef *a, Diagnostics *d) {
        if (list_length(a, LIST_PRE) > 0 && list_length(a, LIST_ON_FAILURE) > 0 && list_length(a, LIST_POST) == 0)
                diag_warning(
                        d, a->line, a->column,
                        _("the activity \"%s\" has pre and onFailure without post: what pre did is undone in post only, which runs after every attempt"),
                        a->name);
}

/* A gate behind it goes back to the steps that the question is about, in the same attempt. */
static void asks_again(const ActivityDef *a, Diagnostics *d) {
        const bool retries = a->retry_written && a->retry.max > 0;

        if (!retries && list_length(a, LIST_MAIN) < 2)
                return;
        for (unsigned i = a->list_start[LIST_MAIN]; i < a->list_start[LIST_MAIN + 1]; i++)
                if (a->steps[i].kind == STEP_APPROVAL && !a->steps[i].gated) {
                        diag_warning(d, a->steps[i].line, a->steps[i].column,
                                     _("every new attempt of \"%s\" asks for this approval again: put it into an activity of its own"),
                                     a->name);
                        return;
                }
}

typedef struct Reading {
        const StepDef *step;
        Hashmap *tolerated;                             /* steps with continueOnError, by id */
        Diagnostics *d;
} Reading;

static void reads_output(void *userdata, const ExprRef *ref, unsigned line, unsigned column) {
        Reading *r = userdata;
        const StepDef *other;

        if (ref->root != EXPR_STEPS || ref->n_path < 2 || !streq(ref->path[1], "outputs"))
                return;
        other = hashmap_get(r->tolerated, ref->path[0]);
        if (other && other != r->step)
                diag_warning(r->d, line, column,
                             _("the step \"%s\" may fail and leave this output empty (continueOnError): guard this step with \"if\""),
                             other->id);
}

static void visit_step(const StepDef *s, Reading *r) {
        r->step = s;
        for (size_t i = 0; i < s->n_env; i++)
                template_visit(s->env[i].value, reads_output, r);
        switch (s->kind) {
        case STEP_SHELL:
                shell_template_visit(s->shell.command, reads_output, r);
                break;
        case STEP_EXEC:
                for (size_t i = 0; i < s->exec.n_argv; i++)
                        template_visit(s->exec.argv[i], reads_output, r);
                break;
        case STEP_APPROVAL:
        case STEP_INPUT:
                if (s->request.message)
                        template_visit(s->request.message, reads_output, r);
                if (s->request.context)
                        template_visit(s->request.context, reads_output, r);
                break;
        case STEP_GATE:
        case STEP_WAIT:
        case STEP_HTTP:
        case STEP_RUNBOOK:
        case STEP_PLUGIN:
        case _STEP_KIND_MAX:
        case _STEP_KIND_INVALID:
                break;
        }
}

/* Out of memory costs a warning, nothing else. */
static void tolerated_outputs(const ActivityDef *a, Diagnostics *d) {
        Reading r = { .d = d };

        for (unsigned i = 0; i < a->n_steps; i++)
                if (a->steps[i].continue_on_error && (r.tolerated || (r.tolerated = hashmap_new())))
                        (void) hashmap_put(r.tolerated, a->steps[i].id, a->steps + i);
        for (unsigned i = 0; r.tolerated && i < a->n_steps; i++)
                if (!a->steps[i].condition)
                        visit_step(a->steps + i, &r);
        hashmap_free(r.tolerated);
}

void runbook_lint(const Runbook *r, Diagnostics *d) {
        static void (*const rules[])(const ActivityDef *, Diagnostics *) = {
                many_retries, retries_in_vain, pre_not_undone, asks_again, tolerated_outputs,
        };

        many_run_retries(r, d);
        held_before_the_run_is_retried(r, d);
        inputs_of_a_failure(r, d);
        for (unsigned i = 0; i < r->n_activities; i++)
                for (size_t k = 0; k < ELEMENTSOF(rules); k++)
                        rules[k](r->activities + i, d);
}
