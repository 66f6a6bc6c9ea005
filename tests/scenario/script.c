/* What a script says, one function for each kind of item, and how processes end. */
#include "scenario.h"

#include "fd-util.h"

/* ---- processes ---- */

static Json *peek_exit(const Scenario *s, const char *key) {
        Json *list = json_get(s->exits, key);
        return json_type(list) == JSON_ARRAY ? json_at(list, 0) : list;
}

static Json *take_exit(Scenario *s, const char *key) {
        Json *list = json_get(s->exits, key), *first = json_ref(peek_exit(s, key));

        (void) json_set_bool(s->started, key, true);
        if (json_type(list) != JSON_ARRAY || json_length(list) == 0)
                return first;
        Json *rest = json_new_array();
        for (size_t i = 1; i < json_length(list); i++)
                (void) json_append(rest, json_ref(json_at(list, i)));
        (void) json_set(s->exits, key, rest);
        return first;
}

/* Builds what the engine would report: {exit, signal, code, message, outputs, log} or a plain exit code. */
static void build_end(const StepDef *d, const Json *x, usec_t at, StepEnd *ret, Json **ret_error, Json **ret_outputs) {
        int code = (int) (json_type(x) == JSON_OBJECT ? json_int(json_get(x, "exit")) : json_int(x));
        const char *signal = json_string(json_get(x, "signal")), *own = json_string(json_get(x, "code"));
        bool ok = code == 0 && !signal && !own, answers = d->kind == STEP_SHELL && !d->shell.throw_on_error && !signal;
        Json *outputs = json_new_object();

        if (signal)
                *ret_error = error_new("SIGNAL", at, "killed by %s", signal);
        else if (!ok && !answers)
                *ret_error = error_new(own ? own : "EXIT", at, "%s",
                                json_string(json_get(x, "message")) ? json_string(json_get(x, "message")) : "exited badly");
        (void) json_set(outputs, "exitCode", signal ? NULL : json_new_int(code));
        (void) json_set_bool(outputs, "ok", ok);
        JSON_OBJECT_FOREACH(json_get(x, "outputs"), k, v)
                (void) json_set(outputs, k, json_ref(v));
        *ret_outputs = outputs;
        *ret = (StepEnd) { .state = *ret_error ? STEP_FAILED : STEP_SUCCESS, .exit_code = signal ? -1 : code, .error = *ret_error,
                        .outputs = outputs,
                           .log_end = (uint64_t) json_int(json_get(x, "log")) };
}

static void end_process(Scenario *s, size_t i, const Json *x) {
        const Process *p = &s->world.processes[i];
        _cleanup_json_ Json *error = NULL, *outputs = NULL;
        StepEnd end;

        build_end(&p->activity->def->steps[p->step], x, s->world.now.wall, &end, &error, &outputs);
        scenario_check(s, "end of a step", world_end_process(&s->world, i, &end));
}

static Json *killed_by_sigterm(void) {
        Json *j = json_new_object();

        (void) json_set_string(j, "signal", "SIGTERM");
        return j;
}

/* Is this process due? `hangs`: it ends when it is told to stop; `stays`: when it is told again; {stopped: …}: when it is told to stop,
 * it ends like that. */
static bool process_is_due(const Process *p, const Json *x, Json **ret) {
        const char *how = json_string(x);

        if (json_has(x, "stopped")) {
                *ret = json_ref(json_get(x, "stopped"));
                return p->stops > 0;
        }
        if (streq_ptr(how, "hangs") || streq_ptr(how, "stays")) {
                *ret = killed_by_sigterm();
                return p->stops > (streq(how, "stays") ? 1u : 0u);
        }
        *ret = p->stops > 0 ? killed_by_sigterm() : json_ref((Json *) x);
        return true;
}

bool scenario_end_one(Scenario *s) {
        World *w = &s->world;

        for (size_t i = 0; !s->manual && i < w->n_processes; i++) {
                _cleanup_free_ char *key = world_process_key(w, i);
                _cleanup_json_ Json *how = NULL;

                (void) json_set_bool(s->started, key, true);
                if (!process_is_due(&w->processes[i], peek_exit(s, key), &how))
                        continue;
                json_unref(take_exit(s, key));
                end_process(s, i, how);
                return true;
        }
        return false;
}

/* ---- people ---- */

static const Actor people[] = { { 1000, "alice" }, { 1001, "bob" }, { 1002, "carol" }, { 1003, "dave" }, { 0, "root" } };

static const Actor *find_person(const char *name) {
        for (size_t i = 0; name && i < ELEMENTSOF(people); i++)
                if (streq(people[i].user, name))
                        return &people[i];
        return &people[0];
}

const Actor *scenario_person(const Json *item) {
        static char session[] = "c1";
        static Login login;
        static Actor logged_in;
        const Actor *who = find_person(json_string(json_get(item, "by"))), *from = find_person(json_string(json_get(item, "login")));

        if (!json_has(item, "login"))
                return who;
        login = (Login) { .session = session, .uid = from->uid, .user = (char *) from->user };
        logged_in = (Actor) { .uid = who->uid, .user = who->user, .login = &login };
        return &logged_in;
}

static const char *comment_of(const Json *item) {
        return json_string(json_get(item, "comment"));
}

/* A verb is refused where the item says so, and must not be otherwise; it says why. */
void scenario_refused(Scenario *s, const Json *item, const char *verb, int r, const char *error) {
        static const struct { const char *name; int error; } errors[] = {
                { "WrongState", -ESTALE },  { "AlreadyAnswered", -EALREADY }, { "NotApprover", -EPERM },
                { "InvalidInput", -EINVAL }, { "AlreadySucceeded", -EEXIST },  { "InputFixed", -EROFS },
                { "DefinitionChanged", -EPROTO }, { "NoSuchActivity", -ENOENT }, { "NeverExecuted", -ESRCH },
        };
        const char *refused = json_string(json_get(item, "refused")), *says = json_string(json_get(item, "says"));
        int expected = 0;

        for (size_t i = 0; refused && i < ELEMENTSOF(errors); i++)
                if (streq(errors[i].name, refused))
                        expected = errors[i].error;
        if (r < 0 && isempty(error))
                scenario_fail(s, "%s was refused without a word: %s", verb, strerror(-r));
        if (s->manual)
                return;
        if (r != expected || (refused && expected == 0))
                scenario_fail(s, "%s: expected %s, got %s (%s)", verb, strempty(refused), strerror(-r), strempty(error));
        if (says && !strstr(strempty(error), says))
                scenario_fail(s, "%s: expected it to say \"%s\": %s", verb, says, strempty(error));
}

static void verb_done(Scenario *s, const Json *item, const char *verb, int r, char *takes_error) {
        _cleanup_free_ char *error = takes_error;

        scenario_refused(s, item, verb, r, error);
        if (r == 0)
                scenario_check(s, verb, world_turn(&s->world));
}

/* By name; in a manual scenario by number, among those that wait for this. */
static Activity *find_waiting(Scenario *s, const Json *which, WaitingFor what) {
        const Run *r = s->world.run;
        unsigned n = 0, k;

        if (json_string(which)) {
                if (!run_activity(r, json_string(which)))
                        scenario_fail(s, "there is no activity %s", json_string(which));
                return run_activity(r, json_string(which));
        }
        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                n += activity_waiting_for(r->activities[i]) == what;
        k = n > 0 ? (unsigned) json_int(which) % n : 0;
        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                if (activity_waiting_for(r->activities[i]) == what && k-- == 0)
                        return r->activities[i];
        return NULL;
}

static void answer(Scenario *s, const Json *item, bool approve, const Json *which) {
        World *w = &s->world;
        Activity *a = find_waiting(s, which, WAITING_APPROVAL);
        char *error = NULL;

        if (!a)
                return;
        int r = run_answer(w->run, a, &w->now, scenario_person(item), approve, json_get(item, "fields"), comment_of(item), &w->outcome, &error);
        verb_done(s, item, approve ? "approve" : "reject", r, error);
}

static void do_approve(Scenario *s, const Json *item, const Json *which) { answer(s, item, true, which); }
static void do_reject(Scenario *s, const Json *item, const Json *which) { answer(s, item, false, which); }

static void do_provide(Scenario *s, const Json *item, const Json *which) {
        World *w = &s->world;
        Activity *a = find_waiting(s, which, WAITING_INPUT);
        char *error = NULL;

        if (!a)
                return;
        int r = run_provide(w->run, a, &w->now, scenario_person(item), json_get(item, "fields"), comment_of(item), &w->outcome, &error);
        verb_done(s, item, "provide", r, error);
}

static void do_retry(Scenario *s, const Json *item, const Json *which) {
        World *w = &s->world;
        Activity *a = find_waiting(s, which, WAITING_DECISION);
        Runbook *definition = a && json_has(item, "definition") ? scenario_definition(s, json_get(item, "definition")) : NULL;
        char *error = NULL;

        if (!a || (json_has(item, "definition") && !definition))
                return;
        int r = run_retry(w->run, a, &w->now, scenario_person(item), definition, json_get(item, "inputs"), comment_of(item), &w->outcome, &error);
        verb_done(s, item, "retry", r, error);
}

static void do_ignore(Scenario *s, const Json *item, const Json *which) {
        World *w = &s->world;
        Activity *a = find_waiting(s, which, WAITING_DECISION);
        char *error = NULL;

        if (!a)
                return;
        int r = run_ignore(w->run, a, &w->now, scenario_person(item), json_get(item, "outputs"), comment_of(item), &w->outcome, &error);
        verb_done(s, item, "ignore", r, error);
}

static void do_abort(Scenario *s, const Json *item, const Json *which) {
        World *w = &s->world;
        Activity *a = find_waiting(s, which, WAITING_DECISION);
        char *error = NULL;

        if (!a)
                return;
        int r = run_abort(w->run, a, &w->now, scenario_person(item), comment_of(item), &w->outcome, &error);
        verb_done(s, item, "abort", r, error);
}

static void do_set_inputs(Scenario *s, const Json *item, const Json *inputs) {
        World *w = &s->world;
        char *error = NULL;
        int r = run_set_inputs(w->run, &w->now, scenario_person(item), inputs, comment_of(item), &w->outcome, &error);

        verb_done(s, item, "setInputs", r, error);
}

/* Verbs that need nothing but who it is. */
static void of_the_run(Scenario *s, const Json *item, const char *name,
                       int (*verb)(Run *r, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error)) {
        World *w = &s->world;
        char *error = NULL;
        int r = verb(w->run, &w->now, scenario_person(item), comment_of(item), &w->outcome, &error);

        verb_done(s, item, name, r, error);
}

static void do_cancel(Scenario *s, const Json *item, const Json *value) { of_the_run(s, item, "cancel", run_cancel); }
static void do_pause(Scenario *s, const Json *item, const Json *value) { of_the_run(s, item, "pause", run_pause); }
static void do_unpause(Scenario *s, const Json *item, const Json *value) { of_the_run(s, item, "unpause", run_unpause); }
static void do_start_now(Scenario *s, const Json *item, const Json *value) { of_the_run(s, item, "startNow", run_start_now); }

/* So long after now, or, with a minus, before it. */
static void do_reschedule(Scenario *s, const Json *item, const Json *value) {
        World *w = &s->world;
        const char *text = json_string(value);
        bool before = text && text[0] == '-';
        usec_t span = (usec_t) json_int(value) * USEC_PER_SEC;
        char *error = NULL;

        if (text && parse_timespan(text + before, &span) < 0)
                scenario_fail(s, "%s is no time span", text);
        int r = run_reschedule(w->run, &w->now, scenario_person(item), before ? w->now.wall - span : w->now.wall + span, comment_of(item),
                               &w->outcome, &error);
        verb_done(s, item, "reschedule", r, error);
}

/* The copy of the workspace is made, or it can't be. */
static void do_workspace(Scenario *s, const Json *item, const Json *value) {
        World *w = &s->world;
        const char *how = json_string(value);

        if (!w->run->workspace_wanted && s->manual)
                return;
        scenario_check(s, "workspace", run_workspace_ready(w->run, &w->now, !how || streq(how, "ok") ? NULL : how, &w->outcome));
        scenario_check(s, "workspace", world_turn(w));
}

/* ---- what happens by itself ---- */

/* The index of a process: by key, or in a manual scenario by number. */
static size_t find_process(Scenario *s, const Json *which) {
        const World *w = &s->world;
        const char *key = json_string(which);

        if (!key)
                return w->n_processes > 0 ? (size_t) json_int(which) % w->n_processes : 0;
        for (size_t i = 0; i < w->n_processes; i++) {
                _cleanup_free_ char *k = world_process_key(w, i);
                if (streq(k, key)) {
                        json_unref(take_exit(s, key));
                        return i;
                }
        }
        scenario_fail(s, "%s does not run", key);
        return w->n_processes;
}

static void do_end(Scenario *s, const Json *item, const Json *which) {
        size_t i = find_process(s, which);

        if (i < s->world.n_processes)
                end_process(s, i, item);
}

static void do_cannot_start(Scenario *s, const Json *item, const Json *which) {
        size_t i = find_process(s, which);

        if (i < s->world.n_processes)
                scenario_check(s, "cannotStart", world_cannot_start(&s->world, i));
}

static void do_expect(Scenario *s, const Json *item, const Json *map) {
        scenario_expect(s, map);
}

usec_t scenario_span(Scenario *s, const Json *value) {
        const char *text = json_string(value);
        usec_t t = (usec_t) json_int(value) * USEC_PER_SEC;

        if (text && parse_timespan(text, &t) < 0)
                scenario_fail(s, "%s is no time span", text);
        return t;
}

static void do_crash(Scenario *s, const Json *item, const Json *value) {
        World *w = &s->world;
        const char *how = strempty(json_string(value));

        /* What ran is gone with the daemon: its entry is used up. */
        for (size_t i = 0; i < w->n_processes; i++) {
                _cleanup_free_ char *key = world_process_key(w, i);
                json_unref(take_exit(s, key));
        }
        scenario_check(s, "crash", world_crash(w, streq(how, "clean") ? CRASH_CLEAN : streq(how, "reboot") ? CRASH_REBOOT : CRASH_KILL,
                        scenario_span(s, json_get(item, "down"))));
}

/* Lets time pass, from deadline to deadline; processes end as they become due. */
static void do_advance(Scenario *s, const Json *item, const Json *value) {
        World *w = &s->world;
        usec_t left = scenario_span(s, value);

        for (;;) {
                usec_t next = world_next_deadline(w), span = MIN(next, left);

                world_pass(w, span);
                left -= span;
                scenario_check(s, "time", world_turn(w));
                while (!s->failed && scenario_end_one(s))
                        ;
                if (left == 0 || s->failed)
                        break;
        }
}

/* The daemon was busy: all of that time has passed when it looks again. */
static void do_late(Scenario *s, const Json *item, const Json *value) {
        world_pass(&s->world, scenario_span(s, value));
        if (!json_has(item, "blind"))
                scenario_check(s, "time", world_turn(&s->world));
}

static void do_sleep(Scenario *s, const Json *item, const Json *value) {
        world_sleep(&s->world, scenario_span(s, value));
        scenario_check(s, "time", world_turn(&s->world));
}

/* Somebody sets the wall clock, forward or back. */
static void do_clock(Scenario *s, const Json *item, const Json *value) {
        const char *text = strempty(json_string(value));
        usec_t t = 0;

        if (parse_timespan(text + (text[0] == '-'), &t) < 0)
                scenario_fail(s, "%s is no time span", text);
        world_set_clock(&s->world, text[0] == '-' ? s->world.now.wall - t : s->world.now.wall + t);
        scenario_check(s, "clock", world_turn(&s->world));
}

static void do_slots(Scenario *s, const Json *item, const Json *value) {
        scenario_check(s, "slots", world_set_slots(&s->world, (unsigned) json_int(value)));
}

static const struct {
        const char *name;
        void (*run)(Scenario *s, const Json *item, const Json *value);
} verbs[] = {
        { "approve", do_approve },   { "reject", do_reject },     { "provide", do_provide }, { "retry", do_retry },           { "ignore", do_ignore },
        { "abort", do_abort },       { "setInputs", do_set_inputs }, { "cancel", do_cancel },      { "pause", do_pause },
        { "unpause", do_unpause },   { "startNow", do_start_now }, { "reschedule", do_reschedule }, { "workspace", do_workspace },
        { "end", do_end },           { "cannotStart", do_cannot_start }, { "crash", do_crash },    { "advance", do_advance },
        { "late", do_late },         { "sleep", do_sleep },       { "clock", do_clock },           { "slots", do_slots },
        { "expect", do_expect },
};

/* Of an ended run only that which is parked is left to do. */
static bool nothing_is_left(const Scenario *s, const Json *item) {
        RunState state = s->world.run->state;

        return s->manual && run_state_is_terminal(state) && !(state == RUN_DLQ && json_has(item, "cancel"));
}

void scenario_do(Scenario *s, const Json *item) {
        if (nothing_is_left(s, item))
                return;
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (json_has(item, verbs[i].name)) {
                        verbs[i].run(s, item, json_get(item, verbs[i].name));
                        return;
                }
        if (!s->manual)
                scenario_fail(s, "unknown item in the script");
}

/* ---- to the end ---- */

bool scenario_pass_time(Scenario *s) {
        usec_t span = world_next_deadline(&s->world);

        if (span == USEC_INFINITY || run_state_is_terminal(s->world.run->state))
                return false;
        world_pass(&s->world, span);
        scenario_check(s, "time", world_turn(&s->world));
        return true;
}

/* Everybody approves what is asked; false: nothing is, or nobody may. */
static bool approve_any(Scenario *s) {
        World *w = &s->world;
        Activity *a = find_waiting(s, NULL, WAITING_APPROVAL);

        for (size_t i = 0; a && i < ELEMENTSOF(people); i++) {
                _cleanup_free_ char *error = NULL;

                if (run_answer(w->run, a, &w->now, &people[i], true, NULL, NULL, &w->outcome, &error) < 0)
                        continue;
                scenario_check(s, "approve", world_turn(w));
                return true;
        }
        return false;
}

#define ATTEMPTS_ENOUGH 6u

/* A value for what is asked: those of the random suite are strings, and so are their fields. */
static bool provide_any(Scenario *s) {
        World *w = &s->world;
        Activity *a = find_waiting(s, NULL, WAITING_INPUT);
        _cleanup_json_ Json *fields = json_new_object();
        _cleanup_free_ char *error = NULL;

        for (size_t i = 0; a && i < json_length(a->request->wanted); i++)
                (void) json_set_string(fields, json_string(json_at(a->request->wanted, i)), "given");
        if (!a)
                return false;
        int r = run_provide(w->run, a, &w->now, &people[0], fields, NULL, &w->outcome, &error);
        scenario_check(s, "provide", r < 0 ? r : world_turn(w));
        return true;
}

/* What failed is tried once more, and waived or given up when that was often enough. */
static bool decide_any(Scenario *s) {
        World *w = &s->world;
        Activity *a = find_waiting(s, NULL, WAITING_DECISION);
        _cleanup_free_ char *error = NULL;
        int r;

        if (!a)
                return false;
        if (a->n_attempts > 0 && a->n_attempts < ATTEMPTS_ENOUGH)
                r = run_retry(w->run, a, &w->now, &people[0], NULL, NULL, NULL, &w->outcome, &error);
        else if (a->n_attempts % 2 == 0)
                r = run_ignore(w->run, a, &w->now, &people[0], NULL, NULL, &w->outcome, &error);
        else
                r = run_abort(w->run, a, &w->now, &people[0], NULL, &w->outcome, &error);
        scenario_check(s, "decision", r < 0 ? r : world_turn(w));
        return true;
}

static bool unpause_it(Scenario *s) {
        static const Json *nothing = NULL;

        if (s->world.run->state == RUN_PAUSED)
                do_unpause(s, nothing, nothing);
        else if (s->world.run->workspace_wanted)
                do_workspace(s, nothing, nothing);
        else
                return false;
        return true;
}

bool scenario_drain_one(Scenario *s) {
        if (s->world.n_processes > 0) {
                _cleanup_json_ Json *killed = s->world.processes[0].stops > 0 ? killed_by_sigterm() : NULL;
                end_process(s, 0, killed);
                return true;
        }
        if (s->world.max_slots == 0) {
                scenario_check(s, "slots", world_set_slots(&s->world, 1));
                return true;
        }
        return unpause_it(s) || scenario_pass_time(s) || approve_any(s) || provide_any(s) || decide_any(s);
}
