/* Two runs compared in all that events say, and the fold of a world's history against its live run. What a fold can't know (queues, what
 * a running process was told) is left out; what follows from the state at the same moment is made anew and compared too. */
#include "world.h"

#include <stdio.h>

#include "fd-util.h"
#include "strbuf.h"

typedef struct Compare {
        const char *where;
        StrBuf text;
} Compare;

static void differ(Compare *c, const char *field, const char *a, const char *b) {
        strbuf_appendf(&c->text, "%s.%s: %s, folded %s\n", c->where, field, strempty(a), strempty(b));
}

static void same_number(Compare *c, const char *field, uint64_t a, uint64_t b) {
        char x[32], y[32];

        if (a == b)
                return;
        (void) snprintf(x, sizeof x, "%llu", (unsigned long long) a);
        (void) snprintf(y, sizeof y, "%llu", (unsigned long long) b);
        differ(c, field, x, y);
}

static void same_string(Compare *c, const char *field, const char *a, const char *b) {
        if (!streq_ptr(a, b))
                differ(c, field, a ? a : "(none)", b ? b : "(none)");
}

static void same_json(Compare *c, const char *field, const Json *a, const Json *b) {
        if (a == b || json_equal(a, b))
                return;
        _cleanup_free_ char *x = json_to_string(a, false), *y = json_to_string(b, false);
        differ(c, field, x, y);
}

#define NUMBER(field) same_number(c, #field, (uint64_t) a->field, (uint64_t) b->field)
#define STRING(field) same_string(c, #field, a->field, b->field)
#define JSON(field) same_json(c, #field, a->field, b->field)
#define STAMP(field) NUMBER(field.wall), NUMBER(field.boottime), NUMBER(field.boot)

static void compare_step(Compare *c, const StepRun *a, const StepRun *b) {
        NUMBER(state);
        NUMBER(exit_code);
        NUMBER(rerun);
        NUMBER(reused);
        NUMBER(iterations);
        NUMBER(started_at);
        NUMBER(finished_at);
        NUMBER(log_start);
        NUMBER(log_end);
        JSON(outputs);
        JSON(error);
}

static void compare_attempt(Compare *c, const Attempt *a, const Attempt *b) {
        if (a->def != b->def) {
                differ(c, "attempt.def", "another", "definition");
                return;
        }
        NUMBER(number);
        NUMBER(cause);
        NUMBER(state);
        NUMBER(started_at);
        NUMBER(finished_at);
        NUMBER(cursor);
        NUMBER(stop);
        NUMBER(pre_failed);
        NUMBER(failed);
        NUMBER(clean);
        NUMBER(step_timed_out);
        NUMBER(hooks_timed_out);
        NUMBER(hook_list);
        JSON(error);
        JSON(context);
        for (unsigned i = 0; i < a->def->n_steps; i++)
                compare_step(c, &a->steps[i], &b->steps[i]);
}

static void compare_request(Compare *c, const Request *a, const Request *b) {
        if (!a || !b) {
                same_number(c, "request", a != NULL, b != NULL);
                return;
        }
        NUMBER(kind);
        STRING(title);
        STRING(message);
        STRING(context);
        NUMBER(required);
        NUMBER(opened_at);
        JSON(wanted);
        NUMBER(deadline);
        NUMBER(n_answers);
        for (size_t i = 0; i < MIN(a->n_answers, b->n_answers); i++) {
                NUMBER(answers[i].uid);
                NUMBER(answers[i].approve);
                STRING(answers[i].user);
                STRING(answers[i].comment);
                JSON(answers[i].fields);
        }
}

static void compare_activity(Compare *c, const Activity *a, const Activity *b) {
        c->where = a->def->name;
        NUMBER(state);
        STRING(reason);
        NUMBER(series_retries);
        NUMBER(resumes);
        NUMBER(next_retry_at);
        NUMBER(log_end);
        NUMBER(tolerated);
        NUMBER(given_up);
        NUMBER(aborted);
        NUMBER(resolution);
        NUMBER(reused_from);
        JSON(outputs);
        JSON(given_outputs);
        JSON(reused_steps);
        JSON(error);
        compare_request(c, a->request, b->request);
        compare_request(c, a->answered, b->answered);
        NUMBER(n_attempts);
        NUMBER(n_earlier);
        for (size_t i = 0; i < MIN(a->n_attempts, b->n_attempts); i++)
                compare_attempt(c, &a->attempts[i], &b->attempts[i]);
}

static void compare_phase(Compare *c, const Phase *a, const Phase *b) {
        c->where = a->def->name;
        NUMBER(state);
        STRING(reason);
        NUMBER(not_selected);
        NUMBER(started_at);
        NUMBER(finished_at);
        NUMBER(n_moving);
        NUMBER(n_waiting);
        NUMBER(n_ended);
        NUMBER(n_bad);
        NUMBER(n_skipped);
        NUMBER(n_cancelled);
}

static void compare_run(Compare *c, const Run *a, const Run *b) {
        c->where = "run";
        NUMBER(state);
        STRING(trigger);
        STRING(dedup_key);
        NUMBER(started_by);
        STRING(started_by_name);
        NUMBER(created_at);
        NUMBER(started_at);
        NUMBER(finished_at);
        NUMBER(scheduled_for);
        NUMBER(next_retry_at);
        NUMBER(attempt);
        NUMBER(replay_of);
        NUMBER(root_run);
        NUMBER(workspace_from);
        NUMBER(workspace_wanted);
        NUMBER(aborted);
        NUMBER(paused_from);
        NUMBER(last_seq);
        STRING(reason);
        NUMBER(n_moving);
        NUMBER(n_waiting);
        NUMBER(n_phases_ended);
        NUMBER(had_errors);
        NUMBER(stop);
        NUMBER(gave_up);
        NUMBER(phase_failed);
        NUMBER(start_wanted);
        JSON(inputs);
        JSON(labels);
        JSON(payload);
        same_number(c, "deciding", a->deciding ? a->deciding->def->index + 1 : 0, b->deciding ? b->deciding->def->index + 1 : 0);
        for (unsigned i = 0; i < _ACTIVITY_STATE_MAX; i++)
                NUMBER(counts[i]);
}

char *run_difference(const Run *a, const Run *b) {
        Compare c = { 0 };

        if (a->runbook != b->runbook)
                return strdup("they follow different definitions\n");
        compare_run(&c, a, b);
        for (unsigned i = 0; i < a->runbook->n_phases; i++)
                compare_phase(&c, &a->phases[i], &b->phases[i]);
        for (unsigned i = 0; i < a->runbook->n_activities; i++)
                compare_activity(&c, a->activities[i], b->activities[i]);
        if (c.text.n == 0) {
                strbuf_done(&c.text);
                return NULL;
        }
        return strbuf_take(&c.text);
}

/* The fold, brought up to the same moment, must have nothing to say that the live run has not said. */
static int check_settled(const World *w, Run *again, char **ret_difference) {
        Outcome o = { 0 };
        unsigned slots = 0;
        int r = run_resume(again, &w->now, &w->limits);

        if (r >= 0)
                r = run_decide(again, &w->now, &w->limits, &slots, &o);
        if (r >= 0 && o.n_events > 0) {
                *ret_difference = xasprintf("the folded run goes on by itself: %s %s", event_type_to_string(o.events[0]->type),
                                strempty(event_subject(o.events[0], again->runbook)));
                r = -EBADMSG;
        }
        for (DeadlineClock c = 0; r >= 0 && c < _DEADLINE_CLOCK_MAX; c++)
                if (run_next_deadline(again, c) != run_next_deadline(w->run, c)) {
                        *ret_difference = xasprintf("next deadline on clock %u: %llu, folded %llu", (unsigned) c,
                                        (unsigned long long) run_next_deadline(w->run, c),
                                                    (unsigned long long) run_next_deadline(again, c));
                        r = -EBADMSG;
                }
        outcome_done(&o);
        return r;
}

static int check_described(const World *w, const Run *again, char **ret_difference) {
        _cleanup_json_ Json *a = NULL, *b = NULL;
        int r = run_describe(w->run, &a);

        if (r >= 0)
                r = run_describe(again, &b);
        if (r < 0 || json_equal(a, b))
                return r;
        _cleanup_free_ char *x = json_to_string(a, true), *y = json_to_string(b, true);
        *ret_difference = xasprintf("live:\n%s\nfolded:\n%s", strempty(x), strempty(y));
        return -EBADMSG;
}

int world_check_fold(const World *w, char **ret_difference) {
        _cleanup_(run_freep) Run *again = NULL;
        int r = world_fold(w, &again);

        if (r < 0)
                return r;
        *ret_difference = run_difference(w->run, again);
        if (*ret_difference)
                return -EBADMSG;
        if (run_state_is_terminal(w->run->state))
                return check_described(w, again, ret_difference);
        if (w->time_was_bent)
                return 0;
        r = check_settled(w, again, ret_difference);
        return r < 0 ? r : check_described(w, again, ret_difference);
}
