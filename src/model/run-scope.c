/* What expressions see of a run: the contexts of section 3 of the contract, answered from the run's state when a name is asked for,
 * never built ahead. And what a step needs when it starts: its command, its environment, or its question, with all expressions carried
 * out. */
#include "run-private.h"

#include "fd-util.h"
#include "i18n.h"
#include "strbuf.h"
#include "utf8.h"

/* Whose `env` an expression may see: all levels up to this one. A value of one level sees those outside it. */
enum { ENV_NONE, ENV_RUNBOOK, ENV_ACTIVITY, ENV_STEP };

typedef struct Scope {
        Run *run;
        const Phase *phase;                             /* of a phase's `if`: then activity is NULL */
        Activity *activity;
        int step;                                       /* -1: the activity's own `if` */
        unsigned env;
        const Limits *limits;
} Scope;

static const Attempt *scope_attempt(const Scope *s) {
        return s->activity && s->step >= 0 ? activity_attempt(s->activity) : NULL;
}

/* ---- contexts ---- */

static int give(Json *j, Json **ret) {
        *ret = j;
        return j ? 0 : -ENOMEM;
}

static int lookup_inputs(const Scope *s, const char *key, Json **ret) {
        if (!key)
                return give(s->run->inputs ? json_ref(s->run->inputs) : json_new_object(), ret);
        if (!inputs_find(s->run->runbook->inputs, s->run->runbook->n_inputs, key))
                return -ENOENT;
        *ret = json_ref(json_get(s->run->inputs, key));
        return 0;
}

static const EnvVar *env_level(const Scope *s, unsigned level, size_t *ret_n) {
        const EnvVar *v = NULL;

        *ret_n = 0;
        if (level == ENV_RUNBOOK)
                v = s->run->runbook->env, *ret_n = s->run->runbook->n_env;
        else if (level == ENV_ACTIVITY && s->activity)
                v = s->activity->def->env, *ret_n = s->activity->def->n_env;
        else if (level == ENV_STEP && s->activity && s->step >= 0)
                v = s->activity->def->steps[s->step].env, *ret_n = s->activity->def->steps[s->step].n_env;
        return v;
}

static int scope_lookup(void *userdata, ExprRoot root, const char *key, Json **ret, bool *ret_lenient);
static bool scope_status(void *userdata, ExprStatus status);

static int eval_text(const Scope *s, const Template *t, char **ret, char **ret_error) {
        ExprScope x = { .lookup = scope_lookup, .status = scope_status, .userdata = (void *) s };
        return template_eval_text(t, &x, ret, ret_error);
}

static int eval_env(const Scope *s, unsigned level, const EnvVar *v, char **ret, char **ret_error) {
        Scope outer = *s;

        outer.env = level - 1;
        return eval_text(&outer, v->value, ret, ret_error);
}

static int lookup_env(const Scope *s, const char *key, Json **ret) {
        _cleanup_json_ Json *all = key ? NULL : json_new_object();

        if (!key && !all)
                return -ENOMEM;
        for (unsigned level = s->env; level > ENV_NONE; level--) {
                size_t n;
                const EnvVar *v = env_level(s, level, &n);

                for (size_t i = 0; i < n; i++) {
                        _cleanup_free_ char *value = NULL, *error = NULL;
                        if (key ? !streq(v[i].name, key) : json_has(all, v[i].name))
                                continue;
                        int r = eval_env(s, level, &v[i], &value, &error);
                        if (r < 0)
                                return r;
                        if (key)
                                return give(json_new_string(value), ret);
                        if ((r = json_set_string(all, v[i].name, value)) < 0)
                                return r;
                }
        }
        return key ? -ENOENT : give(TAKE_PTR(all), ret);
}

static int run_object(const Scope *s, bool trigger, Json **ret) {
        _cleanup_json_ Json *j = json_new_object();
        const Run *r = s->run;
        int k;

        if (!j)
                return -ENOMEM;
        if (trigger) {
                k = json_set_uint(j, "runId", r->id);
                if (k >= 0)
                        k = json_set_string(j, "type", r->trigger);
                if (k >= 0)
                        k = json_set(j, "payload", json_ref(r->payload));
        } else {
                k = json_set_uint(j, "id", r->id);
                if (k >= 0)
                        k = json_set_string(j, "name", r->runbook->name);
                if (k >= 0)
                        k = json_set_uint(j, "attempt", r->attempt);
                if (k >= 0)
                        k = json_set_string(j, "startedBy", r->started_by_name);
        }
        return k < 0 ? k : give(TAKE_PTR(j), ret);
}

static int phase_object(const Phase *p, Json **ret) {
        _cleanup_json_ Json *j = json_new_object();
        int r = j ? json_set_string(j, "state", phase_state_to_string(phase_shown_state(p))) : -ENOMEM;
        return r < 0 ? r : give(TAKE_PTR(j), ret);
}

static Json *or_empty(Json *j) {
        return j ? json_ref(j) : json_new_object();
}

static int activity_object(const Activity *a, Json **ret) {
        _cleanup_json_ Json *j = json_new_object();
        int r = j ? json_set_string(j, "state", activity_state_to_string(a->state)) : -ENOMEM;

        if (r >= 0)
                r = json_set_uint(j, "attempt", a->n_attempts);
        if (r >= 0)
                r = json_set(j, "outputs", or_empty(a->outputs));
        if (r >= 0)
                r = json_set(j, "error", json_ref((Json *) activity_error(a)));
        return r < 0 ? r : give(TAKE_PTR(j), ret);
}

/* What was passed over, as something before it failed, is on record as skipped when the attempt ends; who comes later in it sees it so now. */
static StepState state_seen(const Scope *s, const Attempt *t, unsigned step) {
        return (int) step < s->step && t->steps[step].state == STEP_PENDING ? STEP_SKIPPED : t->steps[step].state;
}

static int step_object(const StepRun *s, StepState seen, Json **ret) {
        _cleanup_json_ Json *j = json_new_object();
        int r = j ? json_set_string(j, "state", step_state_to_string(seen)) : -ENOMEM;

        if (r >= 0)
                r = json_set(j, "outputs", or_empty(s->outputs));
        if (r >= 0)
                r = json_set(j, "error", json_ref(s->error));
        return r < 0 ? r : give(TAKE_PTR(j), ret);
}

static int lookup_phases(const Scope *s, const char *key, Json **ret) {
        const PhaseDef *d = key ? runbook_phase(s->run->runbook, key) : NULL;
        _cleanup_json_ Json *all = NULL;

        if (key)
                return d ? phase_object(&s->run->phases[d->index], ret) : -ENOENT;
        if (!(all = json_new_object()))
                return -ENOMEM;
        for (unsigned i = 0; i < s->run->runbook->n_phases; i++) {
                Json *j = NULL;
                int r = phase_object(&s->run->phases[i], &j);
                if (r < 0 || (r = json_set(all, s->run->phases[i].def->name, j)) < 0)
                        return r;
        }
        return give(TAKE_PTR(all), ret);
}

/* A missing output is null where its owner did not get to write it. */
static bool activity_is_lenient(const Activity *a) {
        return a->state != ACTIVITY_SUCCESS;
}

static int lookup_activities(const Scope *s, const char *key, Json **ret, bool *ret_lenient) {
        const Activity *a = key ? run_activity(s->run, key) : NULL;
        _cleanup_json_ Json *all = NULL;

        if (key) {
                *ret_lenient = a && activity_is_lenient(a);
                return a ? activity_object(a, ret) : -ENOENT;
        }
        if (!(all = json_new_object()))
                return -ENOMEM;
        for (unsigned i = 0; i < s->run->runbook->n_activities; i++) {
                Json *j = NULL;
                int r = activity_object(s->run->activities[i], &j);
                if (r < 0 || (r = json_set(all, s->run->activities[i]->def->name, j)) < 0)
                        return r;
        }
        return give(TAKE_PTR(all), ret);
}

static int lookup_steps(const Scope *s, const char *key, Json **ret, bool *ret_lenient) {
        const Attempt *t = scope_attempt(s);
        _cleanup_json_ Json *all = NULL;

        if (!t)
                return -ENOENT;
        if (key) {
                int i = activity_def_find_step(s->activity->def, key);
                if (i < 0)
                        return -ENOENT;
                *ret_lenient = t->steps[i].state != STEP_SUCCESS;
                return step_object(&t->steps[i], state_seen(s, t, (unsigned) i), ret);
        }
        if (!(all = json_new_object()))
                return -ENOMEM;
        for (unsigned i = 0; i < s->activity->def->n_steps; i++) {
                Json *j = NULL;
                int r = step_object(&t->steps[i], state_seen(s, t, i), &j);
                if (r < 0 || (r = json_set(all, s->activity->def->steps[i].id, j)) < 0)
                        return r;
        }
        return give(TAKE_PTR(all), ret);
}

/* The step that decided the failure of the attempt: the first untolerated one, or, where the attempt was stopped, the one that was. */
static int failing_step(const Activity *a, const Attempt *t) {
        int last = -1;

        for (unsigned i = 0; i < a->def->list_start[LIST_ON_SUCCESS]; i++) {
                if ((t->steps[i].state == STEP_FAILED && !a->def->steps[i].continue_on_error) || t->steps[i].state == STEP_CANCELLED)
                        return (int) i;
                if (t->steps[i].state == STEP_FAILED)
                        last = (int) i;
        }
        return t->stop != STOP_NOTHING ? last : -1;
}

static int failure_object(const Scope *s, Json **ret) {
        const Attempt *t = scope_attempt(s);
        _cleanup_json_ Json *j = json_new_object();
        _cleanup_free_ char *log = NULL;
        int step = t ? failing_step(s->activity, t) : -1, r;

        if (!t)
                return -ENOENT;
        if (step >= 0 && s->limits->log_tail)
                log = s->limits->log_tail(s->limits->userdata, s->activity, t, t->steps[step].log_start, t->steps[step].log_end);
        r = j ? json_set_string(j, "step", step >= 0 ? s->activity->def->steps[step].id : NULL) : -ENOMEM;
        if (r >= 0)
                r = json_set_uint(j, "attempt", t->number);
        if (r >= 0)
                r = json_set(j, "error", json_ref(t->error ? t->error : step >= 0 ? t->steps[step].error : NULL));
        if (r >= 0)
                r = json_set_string(j, "log", strempty(log));
        return r < 0 ? r : give(TAKE_PTR(j), ret);
}

static int member(int r, Json *object, const char *key, Json **ret) {
        _cleanup_json_ Json *j = object;

        if (r < 0)
                return r;
        if (!key) {
                *ret = TAKE_PTR(j);
                return 0;
        }
        if (!json_has(j, key))
                return -ENOENT;
        *ret = json_ref(json_get(j, key));
        return 0;
}

static int scope_lookup(void *userdata, ExprRoot root, const char *key, Json **ret, bool *ret_lenient) {
        const Scope *s = userdata;
        Json *j = NULL;
        int r;

        *ret_lenient = false;
        switch (root) {
        case EXPR_INPUTS:
                return lookup_inputs(s, key, ret);
        case EXPR_ENV:
                return lookup_env(s, key, ret);
        case EXPR_PHASES:
                return lookup_phases(s, key, ret);
        case EXPR_ACTIVITIES:
                return lookup_activities(s, key, ret, ret_lenient);
        case EXPR_STEPS:
                return lookup_steps(s, key, ret, ret_lenient);
        case EXPR_RUN:
        case EXPR_TRIGGER:
                r = run_object(s, root == EXPR_TRIGGER, &j);
                return member(r, j, key, ret);
        case EXPR_FAILURE:
                r = failure_object(s, &j);
                *ret_lenient = true;
                return member(r, j, key, ret);
        case _EXPR_ROOT_MAX:
        case _EXPR_ROOT_INVALID:
                break;
        }
        return -ENOENT;
}

/* success() and failure() of a phase or an activity speak of its needs and theirs; of a main step, of the steps before it in this
 * attempt; of a hook step, of the main steps. */
static bool scope_failed(const Scope *s) {
        const Attempt *t = scope_attempt(s);

        if (s->phase)
                return graph_chain_failed(&s->run->graph, s->phase->def->index, NULL);
        if (!t)
                return graph_chain_failed(&activity_phase(s->activity)->graph, s->activity->def->node, NULL);
        return t->failed || t->stop != STOP_NOTHING;
}

static bool scope_status(void *userdata, ExprStatus status) {
        const Scope *s = userdata;
        const Attempt *t = scope_attempt(s);

        switch (status) {
        case EXPR_STATUS_SUCCESS:
                return !scope_failed(s);
        case EXPR_STATUS_FAILURE:
                return scope_failed(s);
        case EXPR_STATUS_ALWAYS:
                return true;
        case EXPR_STATUS_CANCELLED:
                return t && !step_list_is_main(activity_step_list(s->activity, s->step)) && s->run->stop >= STOP_RUN_TIMEOUT;
        }
        return false;
}

int condition_holds(Run *r, const Phase *p, Activity *a, int step, const Expr *e, const Limits *limits, bool *ret, char **ret_error) {
        Scope s = { .run = r, .phase = p, .activity = a, .step = step, .env = step >= 0 ? ENV_STEP : a ? ENV_ACTIVITY : ENV_RUNBOOK,
                        .limits = limits };
        ExprScope x = { .lookup = scope_lookup, .status = scope_status, .userdata = &s };
        _cleanup_json_ Json *v = NULL;
        int k = expr_eval(e, &x, &v, ret_error);

        if (k < 0)
                return k;
        *ret = expr_truthy(v);
        return 0;
}

/* ---- commands ---- */

typedef struct StrList {
        char **items;
        size_t n, allocated;
} StrList;

static void str_list_done(StrList *l) {
        for (size_t i = 0; i < l->n; i++)
                free(l->items[i]);
        free(l->items);
}

/* Takes the string, also on failure; keeps the list NULL-terminated. */
static int str_list_add(StrList *l, char *takes) {
        _cleanup_free_ char *s = takes;

        if (!s || !GREEDY_REALLOC(l->items, l->allocated, l->n + 2))
                return -ENOMEM;
        l->items[l->n++] = TAKE_PTR(s);
        l->items[l->n] = NULL;
        return 0;
}

static char **str_list_take(StrList *l) {
        char **v = l->items;

        if (!v)
                return calloc(1, sizeof *v);
        *l = (StrList) { 0 };
        return v;
}

static bool has_variable(const StrList *l, const char *name) {
        size_t n = strlen(name);

        for (size_t i = 0; i < l->n; i++)
                if (strncmp(l->items[i], name, n) == 0 && l->items[i][n] == '=')
                        return true;
        return false;
}

static int add_variable(StrList *l, const char *name, const char *value) {
        _cleanup_strbuf_ StrBuf b = { 0 };

        strbuf_append(&b, name);
        strbuf_append_c(&b, '=');
        strbuf_append(&b, value);
        return str_list_add(l, strbuf_take(&b));
}

/* The nearest level wins: step, activity, runbook. */
static int resolve_env(const Scope *s, StrList *l, char **ret_error) {
        for (unsigned level = ENV_STEP; level > ENV_NONE; level--) {
                size_t n, before = l->n;
                const EnvVar *v = env_level(s, level, &n);

                for (size_t i = 0; i < n; i++) {
                        _cleanup_free_ char *value = NULL;
                        if (before > 0 && has_variable(l, v[i].name))
                                continue;
                        int r = eval_env(s, level, &v[i], &value, ret_error);
                        if (r >= 0)
                                r = add_variable(l, v[i].name, value);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int resolve_shell(const Scope *s, const StepDef *d, StrList *argv, StrList *env, char **ret_error) {
        ExprScope x = { .lookup = scope_lookup, .status = scope_status, .userdata = (void *) s };
        int r = str_list_add(argv, strdup(d->shell.shell));

        if (r >= 0)
                r = str_list_add(argv, strdup("-c"));
        if (r >= 0)
                r = str_list_add(argv, strdup(shell_template_script(d->shell.command)));
        for (size_t i = 0; r >= 0 && i < shell_template_n_variables(d->shell.command); i++) {
                char *v = NULL;
                r = shell_template_eval(d->shell.command, i, &x, &v, ret_error);
                if (r >= 0)
                        r = str_list_add(env, v);
        }
        return r;
}

static int resolve_exec(const Scope *s, const StepDef *d, StrList *argv, char **ret_error) {
        for (size_t i = 0; i < d->exec.n_argv; i++) {
                char *v = NULL;
                int r = eval_text(s, d->exec.argv[i], &v, ret_error);
                if (r >= 0)
                        r = str_list_add(argv, v);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What the gate said that sent the attempt back. */
static int resolve_gate_context(const Attempt *t, StrList *env, char **ret_error) {
        _cleanup_free_ char *text = t->context ? json_to_string(t->context, false) : NULL;

        if (!t->context)
                return 0;
        if (!text)
                return -ENOMEM;
        if (strlen(text) < SHELL_VALUE_MAX)
                return add_variable(env, "RUNBOOK_CONTEXT", text);
        *ret_error = strdup(_("the context that the gate gave is 128 KiB or more: write it to a file in the workspace"));
        return *ret_error ? -EINVAL : -ENOMEM;
}

int resolve_command(Activity *a, int step, const Limits *limits, char ***ret_argv, char ***ret_env, char **ret_directory,
                char **ret_error) {
        const StepDef *d = &a->def->steps[step];
        Scope s = { .run = a->run, .activity = a, .step = step, .env = ENV_STEP, .limits = limits };
        _cleanup_(str_list_done) StrList argv = { 0 }, env = { 0 };
        _cleanup_free_ char *directory = NULL;
        int r = resolve_env(&s, &env, ret_error);

        if (r >= 0)
                r = d->kind == STEP_SHELL ? resolve_shell(&s, d, &argv, &env, ret_error) : resolve_exec(&s, d, &argv, ret_error);
        if (r >= 0)
                r = resolve_gate_context(activity_attempt(a), &env, ret_error);
        if (r >= 0 && a->def->working_directory)
                r = eval_text(&s, a->def->working_directory, &directory, ret_error);
        if (r < 0)
                return r;
        *ret_argv = str_list_take(&argv);
        *ret_env = str_list_take(&env);
        *ret_directory = TAKE_PTR(directory);
        return *ret_argv && *ret_env ? 0 : -ENOMEM;
}

/* ---- requests ---- */

/* What is too long to be read and sent keeps its head and says so, within the same limit. */
static char *cut_text(const char *text) {
        size_t mark = strlen(_("%s… (cut)")) - strlen("%s");
        _cleanup_free_ char *head = utf8_make_valid(text, strlen(text), REQUEST_TEXT_MAX - mark);
        return head ? xasprintf(_("%s… (cut)"), head) : NULL;
}

static int set_text(const Scope *s, Json *j, const char *key, const Template *t, char **ret_error) {
        _cleanup_free_ char *text = NULL, *cut = NULL;
        int r;

        if (!t)
                return 0;
        r = eval_text(s, t, &text, ret_error);
        if (r < 0)
                return r;
        if (strlen(text) > REQUEST_TEXT_MAX && !(cut = cut_text(text)))
                return -ENOMEM;
        return json_set_string(j, key, cut ? cut : text);
}

int resolve_decision(Activity *a, int step, const Limits *limits, char **ret, char **ret_error) {
        Scope s = { .run = a->run, .activity = a, .step = step, .env = ENV_STEP, .limits = limits };
        ExprScope x = { .lookup = scope_lookup, .status = scope_status, .userdata = &s };
        _cleanup_json_ Json *v = NULL;
        int r = expr_eval(a->def->steps[step].gate.decision, &x, &v, ret_error);

        if (r < 0)
                return r;
        *ret = expr_value_to_text(v);
        return *ret ? 0 : -ENOMEM;
}

int resolve_context(Activity *a, int step, const GateRoute *route, const Limits *limits, Json **ret, char **ret_error) {
        Scope s = { .run = a->run, .activity = a, .step = step, .env = ENV_STEP, .limits = limits };
        ExprScope x = { .lookup = scope_lookup, .status = scope_status, .userdata = &s };

        *ret = NULL;
        return route->context ? template_eval(route->context, &x, ret, ret_error) : 0;
}

int resolve_request(Activity *a, int step, const Limits *limits, Json **ret, char **ret_error) {
        const RequestSpec *q = &a->def->steps[step].request;
        Scope s = { .run = a->run, .activity = a, .step = step, .env = ENV_STEP, .limits = limits };
        _cleanup_json_ Json *j = json_new_object();
        int r;

        if (!j)
                return -ENOMEM;
        r = json_set_string(j, "kind", waiting_for_to_string(a->def->steps[step].kind == STEP_INPUT ? WAITING_INPUT : WAITING_APPROVAL));
        if (r >= 0)
                r = q->title ? set_text(&s, j, "title", q->title, ret_error) : json_set_string(j, "title", a->def->name);
        if (r >= 0)
                r = set_text(&s, j, "message", q->message, ret_error);
        if (r >= 0)
                r = set_text(&s, j, "context", q->context, ret_error);
        if (r >= 0)
                r = json_set_uint(j, "required", q->required);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}
