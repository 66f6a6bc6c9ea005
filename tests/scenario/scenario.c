/* Plays scenarios. First every process that may end does, the oldest first; when nothing moves, the next item of the script is done;
 * after the last one time passes, deadline by deadline, until the run has ended or waits for a person. In a `manual` scenario, which is
 * what the random suite makes up, processes end by the script only, items that do not fit are passed over, and at the end everything is
 * brought to its end. */
#include "scenario.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#include "fd-util.h"

#define TURNS_MAX 20000u
#define COMPLAINTS_MAX 20000u
#define SLOTS_DEFAULT 64u

void scenario_fail(Scenario *s, const char *fmt, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        s->failed = true;
        va_start(ap, fmt);
        if (vasprintf(&text, fmt, ap) < 0)
                text = NULL;
        va_end(ap);
        if (s->complaints.n < COMPLAINTS_MAX)
                strbuf_appendf(&s->complaints, "%s: %s\n", s->file, strempty(text));
}

static void check(Scenario *s, const char *what, int r) {
        if (r < 0)
                scenario_fail(s, "%s: %s", what, s->invariants.broken ? s->invariants.broken : strerror(-r));
}

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
        check(s, "end of a step", world_end_process(&s->world, i, &end));
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

static bool end_one(Scenario *s) {
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

/* ---- the script ---- */

static const Actor people[] = { { 1000, "alice" }, { 1001, "bob" }, { 1002, "carol" }, { 1003, "dave" }, { 0, "root" } };

static const Actor *person(const Json *item) {
        const char *name = json_string(json_get(item, "by"));

        for (size_t i = 0; name && i < ELEMENTSOF(people); i++)
                if (streq(people[i].user, name))
                        return &people[i];
        return &people[0];
}

/* A verb is refused where the item says so, and must not be otherwise. */
static void verb_done(Scenario *s, const Json *item, const char *verb, int r, char *takes_error) {
        static const struct { const char *name; int error; } errors[] = {
                { "WrongState", -ESTALE }, { "AlreadyAnswered", -EALREADY }, { "NotApprover", -EPERM }, { "InvalidInput", -EINVAL },
        };
        const char *refused = json_string(json_get(item, "refused"));
        _cleanup_free_ char *error = takes_error;
        int expected = 0;

        for (size_t i = 0; refused && i < ELEMENTSOF(errors); i++)
                if (streq(errors[i].name, refused))
                        expected = errors[i].error;
        if (r == 0)
                check(s, verb, world_turn(&s->world));
        if (s->manual)
                return;
        if (r != expected || (refused && expected == 0))
                scenario_fail(s, "%s: expected %s, got %s (%s)", verb, strempty(refused), strerror(-r), strempty(error));
        if (r < 0 && isempty(error))
                scenario_fail(s, "%s was refused without a word", verb);
}

/* By name; in a manual scenario by number, among those that wait. */
static Activity *find_waiting(Scenario *s, const Json *which) {
        const Run *r = s->world.run;
        unsigned n = r->n_waiting > 0 ? (unsigned) json_int(which) % r->n_waiting : 0;

        if (json_string(which))
                return run_activity(r, json_string(which));
        for (unsigned i = 0; i < r->runbook->n_activities; i++)
                if (r->activities[i].state == ACTIVITY_ON_HOLD && n-- == 0)
                        return &r->activities[i];
        return NULL;
}

static void answer(Scenario *s, const Json *item, bool approve, const Json *which) {
        World *w = &s->world;
        Activity *a = find_waiting(s, which);
        char *error = NULL;

        if (!a) {
                if (!s->manual)
                        scenario_fail(s, "there is no such activity to answer");
                return;
        }
        int r = run_answer(w->run, a, &w->now, person(item), approve, json_get(item, "fields"), json_string(json_get(item, "comment")),
                        &w->outcome, &error);
        verb_done(s, item, approve ? "approve" : "reject", r, error);
}

static void do_approve(Scenario *s, const Json *item, const Json *which) { answer(s, item, true, which); }
static void do_reject(Scenario *s, const Json *item, const Json *which) { answer(s, item, false, which); }

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
                check(s, "cannotStart", world_cannot_start(&s->world, i));
}

static void do_expect(Scenario *s, const Json *item, const Json *map) {
        scenario_expect(s, map);
}

static void do_cancel(Scenario *s, const Json *item, const Json *value) {
        World *w = &s->world;
        char *error = NULL;
        int r = run_cancel(w->run, &w->now, person(item), json_string(json_get(item, "comment")), &w->outcome, &error);

        verb_done(s, item, "cancel", r, error);
}

static usec_t span_of(Scenario *s, const Json *value) {
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
        check(s, "crash", world_crash(w, streq(how, "clean") ? CRASH_CLEAN : streq(how, "reboot") ? CRASH_REBOOT : CRASH_KILL,
                        span_of(s, json_get(item, "down"))));
}

/* Lets time pass, from deadline to deadline; processes end as they become due. */
static void do_advance(Scenario *s, const Json *item, const Json *value) {
        World *w = &s->world;
        usec_t left = span_of(s, value);

        for (;;) {
                usec_t next = world_next_deadline(w), span = MIN(next, left);

                world_pass(w, span);
                left -= span;
                check(s, "time", world_turn(w));
                while (!s->failed && end_one(s))
                        ;
                if (left == 0 || s->failed)
                        break;
        }
}

/* The daemon was busy: all of that time has passed when it looks again. */
static void do_late(Scenario *s, const Json *item, const Json *value) {
        world_pass(&s->world, span_of(s, value));
        if (!json_has(item, "blind"))
                check(s, "time", world_turn(&s->world));
}

static void do_sleep(Scenario *s, const Json *item, const Json *value) {
        world_sleep(&s->world, span_of(s, value));
        check(s, "time", world_turn(&s->world));
}

/* Somebody sets the wall clock, forward or back. */
static void do_clock(Scenario *s, const Json *item, const Json *value) {
        const char *text = strempty(json_string(value));
        usec_t t = 0;

        if (parse_timespan(text + (text[0] == '-'), &t) < 0)
                scenario_fail(s, "%s is no time span", text);
        s->world.now.wall = text[0] == '-' ? s->world.now.wall - t : s->world.now.wall + t;
        s->world.time_was_bent = true;
        check(s, "clock", world_turn(&s->world));
}

static void do_slots(Scenario *s, const Json *item, const Json *value) {
        check(s, "slots", world_set_slots(&s->world, (unsigned) json_int(value)));
}

static const struct {
        const char *name;
        void (*run)(Scenario *s, const Json *item, const Json *value);
} verbs[] = {
        { "approve", do_approve }, { "reject", do_reject }, { "end", do_end },     { "cannotStart", do_cannot_start },
                        { "expect", do_expect }, { "cancel", do_cancel },
        { "crash", do_crash },     { "advance", do_advance }, { "late", do_late }, { "sleep", do_sleep },
                        { "clock", do_clock },   { "slots", do_slots },
};

static void do_item(Scenario *s, const Json *item) {
        if (run_state_is_terminal(s->world.run->state) && s->manual)
                return;
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (json_has(item, verbs[i].name)) {
                        verbs[i].run(s, item, json_get(item, verbs[i].name));
                        return;
                }
        if (!s->manual)
                scenario_fail(s, "unknown item in the script");
}

static bool pass_time(Scenario *s) {
        usec_t span = world_next_deadline(&s->world);

        if (span == USEC_INFINITY || run_state_is_terminal(s->world.run->state))
                return false;
        world_pass(&s->world, span);
        check(s, "time", world_turn(&s->world));
        return true;
}

/* Everybody approves what is asked; false: nothing is, or nobody may. */
static bool approve_any(Scenario *s) {
        World *w = &s->world;
        Activity *a = find_waiting(s, NULL);

        for (size_t i = 0; a && i < ELEMENTSOF(people); i++) {
                _cleanup_free_ char *error = NULL;

                if (run_answer(w->run, a, &w->now, &people[i], true, NULL, NULL, &w->outcome, &error) < 0)
                        continue;
                check(s, "approve", world_turn(w));
                return true;
        }
        return false;
}

/* Brings a manual scenario to its end: who waits for a person waits longest. */
static bool drain_one(Scenario *s) {
        if (s->world.n_processes > 0) {
                _cleanup_json_ Json *killed = s->world.processes[0].stops > 0 ? killed_by_sigterm() : NULL;
                end_process(s, 0, killed);
                return true;
        }
        if (s->world.max_slots == 0) {
                check(s, "slots", world_set_slots(&s->world, 1));
                return true;
        }
        return pass_time(s) || approve_any(s);
}

/* Looked at now and then, because it folds the whole history. */
#define FOLD_EVERY 13u

static void check_fold(Scenario *s) {
        _cleanup_free_ char *difference = NULL;

        if (world_check_fold(&s->world, &difference) < 0)
                scenario_fail(s, "fold: %s", strempty(difference));
}

static void play(Scenario *s, const Json *script) {
        size_t next = 0;

        if (!json_bool(json_get(s->source, "held")))            /* not started: it waits in the queue */
                check(s, "start", world_turn(&s->world));
        for (unsigned turn = 0; !s->failed; turn++) {
                if (turn > TURNS_MAX)
                        scenario_fail(s, "does not end");
                else if (end_one(s))
                        continue;
                else if (next < json_length(script)) {
                        do_item(s, json_at(script, next++));
                        if (s->manual && !s->failed && next % FOLD_EVERY == 0)
                                check_fold(s);
                } else if (!(s->manual ? drain_one(s) : pass_time(s)))
                        break;
        }
        if (s->manual && !s->failed && !run_state_is_terminal(s->world.run->state))
                scenario_fail(s, "the run does not end: it is %s", run_state_to_string(s->world.run->state));
}

/* ---- a whole scenario ---- */

static int print_diagnostics(const char *file, const Diagnostics *d) {
        for (size_t i = 0; i < d->n_items; i++)
                fprintf(stderr, "%s:%u:%u: %s\n", file, d->items[i].line, d->items[i].column, d->items[i].message);
        return -EINVAL;
}

int scenario_load(const char *file, Json **ret) {
        _cleanup_free_ char *text = NULL;
        _cleanup_diag_ Diagnostics d = { 0 };
        _cleanup_(tree_freep) Tree *tree = NULL;
        size_t n;
        int r = read_file(AT_FDCWD, file, TREE_FILE_MAX, false, &text, &n);

        if (r < 0) {
                fprintf(stderr, "%s: %s\n", file, strerror(-r));
                return r;
        }
        r = tree_parse(text, n, TREE_YAML, &d, &tree);
        if (r >= 0)
                r = node_to_json(tree_root(tree), ret);
        return r < 0 ? print_diagnostics(file, &d) : 0;
}

static int parse_runbook(Scenario *s) {
        _cleanup_free_ char *text = json_to_string(json_get(s->source, "runbook"), false);
        _cleanup_diag_ Diagnostics d = { 0 };
        int r = text ? runbook_parse(text, strlen(text), TREE_JSON, NULL, &d, &s->runbook) : -ENOMEM;

        for (size_t i = 0; r < 0 && i < d.n_items; i++)
                scenario_fail(s, "runbook: %s", d.items[i].message);
        return r;
}

static void check_members(Scenario *s) {
        static const char *const known[] = { "about", "rows", "runbook", "inputs", "slots", "manual", "held", "world", "script", "expect" };

        JSON_OBJECT_FOREACH(s->source, key, value) {
                bool found = false;
                for (size_t i = 0; i < ELEMENTSOF(known); i++)
                        found = found || streq(known[i], key);
                if (!found)
                        scenario_fail(s, "unknown member %s", key);
        }
        if (!json_string(json_get(s->source, "about")) || json_type(json_get(s->source, "rows")) != JSON_ARRAY)
                scenario_fail(s, "\"about\" and \"rows\" are missing");
        if (!s->manual && json_length(json_get(s->source, "expect")) == 0)
                scenario_fail(s, "nothing is expected");
}

/* What a world says of a step that never starts, or starts less often, is an expectation too. */
static void check_world(Scenario *s) {
        JSON_OBJECT_FOREACH(s->exits, key, value) {
                if (json_type(value) == JSON_ARRAY && json_length(value) > 0)
                        scenario_fail(s, "%s did not start as often as the world says", key);
                if (!json_has(s->started, key))
                        scenario_fail(s, "%s never started", key);
        }
}

static int prepare(Scenario *s) {
        const Json *slots = json_get(s->source, "slots");
        _cleanup_json_ Json *inputs = NULL;
        _cleanup_free_ char *error = NULL;
        int r = parse_runbook(s);

        if (r < 0)
                return r;
        r = inputs_check(s->runbook->inputs, s->runbook->n_inputs, json_get(s->source, "inputs"), &inputs, NULL, &error);
        if (r < 0) {
                scenario_fail(s, "%s", strempty(error));
                return r;
        }
        r = invariants_init(&s->invariants, s->runbook);
        if (r >= 0)
                r = world_init(&s->world, s->runbook, inputs, slots ? (unsigned) json_int(slots) : SLOTS_DEFAULT);
        invariants_watch(&s->invariants, &s->world);
        return r;
}

bool scenario_run(Scenario *s, const char *file, Json *source) {
        *s = (Scenario) { .file = file, .source = json_ref(source), .started = json_new_object(),
                        .manual = json_bool(json_get(source, "manual")) };
        s->exits = json_has(source, "world") ? json_copy(json_get(source, "world")) : json_new_object();
        check_members(s);
        if (prepare(s) < 0)
                s->failed = true;
        if (s->failed)
                return false;
        play(s, json_get(source, "script"));
        scenario_expect(s, json_get(source, "expect"));
        if (s->failed)
                return false;
        if (!s->manual)                                 /* there the shadow of the invariants is as good, and cheap */
                check_fold(s);
        check_world(s);
        return !s->failed;
}

void scenario_done(Scenario *s) {
        world_done(&s->world);
        invariants_done(&s->invariants);
        runbook_unref(s->runbook);
        json_unref(s->source);
        json_unref(s->exits);
        json_unref(s->started);
        strbuf_done(&s->complaints);
}
