/* Random runbooks, and what may happen to them: random [--seed N] [--runs M] [--verbose]. Each run is made up as a scenario (manual:
 * processes end by its script only), played under the invariants of invariants.c, and brought to its end. One that fails is made smaller
 * as long as it still fails, and printed as a scenario file for run-scenarios. The same seed makes the same runs on every machine. */
#include <getopt.h>
#include <stdio.h>

#include "fd-util.h"
#include "scenario.h"

/* ---- chance ---- */

static uint64_t chance_state;

/* splitmix64 */
static uint64_t chance(void) {
        uint64_t z = chance_state += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

static unsigned below(unsigned n) {
        return n > 0 ? (unsigned) (chance() % n) : 0;
}

static bool one_in(unsigned n) {
        return below(n) == 0;
}

#define PICK(table) table[below(ELEMENTSOF(table))]

/* ---- small JSON ---- */

static Json *text(const char *s) { return json_new_string(s); }
static Json *number(unsigned n) { return json_new_uint(n); }

static Json *put(Json *object, const char *key, Json *takes) {
        if (json_set(object, key, takes) < 0)
                abort();
        return object;
}

static Json *object(const char *key, Json *takes) {
        return put(json_new_object(), key, takes);
}

static void add(Json *array, Json *takes) {
        if (json_append(array, takes) < 0)
                abort();
}

/* ---- a runbook ---- */

#define PHASES_MAX 3u
#define ACTIVITIES_MAX 4u
#define STEPS_MAX 3u

static const char *const conditions[] = { "success()", "failure()", "always()", "inputs.yes", "!inputs.yes", "cancelled()",
                "success() || failure()", "!success()", "inputs.n < inputs.s",
                                          "failure() && inputs.yes", "always() && !inputs.yes", "inputs.w == 'given'" };
static const char *const commands[] = { "true", "true", "true", "echo ${{ inputs.n }} ${{ run.id }}", "echo ${{ inputs.n < inputs.s }}",
                "echo ${{ inputs.w }}" };
static const char *const hook_names[] = { "pre", "onSuccess", "onFailure", "post" };

static Json *make_request(void) {
        static const char *const ends[] = { "fail", "reject", "approve" };
        Json *q = object("message", text("Go on?"));

        if (one_in(3))
                put(q, "required", number(1 + below(3)));
        if (one_in(2)) {
                put(q, "timeout", number(1 + below(100)));
                put(q, "onTimeout", text(PICK(ends)));
        }
        return q;
}

/* Goes on, fails, or back to one of the n steps before it. */
static Json *make_gate(unsigned n) {
        static const char *const decisions[] = { "steps['step-1'].state", "inputs.yes", "run.attempt" };
        static const char *const ends[] = { "continue", "fail" };
        _cleanup_free_ char *to = xasprintf("step-%u", 1 + below(n));
        Json *routes = object("true", object("restartFrom", text(to))), *g = object("decision", text(PICK(decisions)));

        if (one_in(2))
                put(routes, "success", object("restartFrom", text("step-1")));
        if (one_in(2))
                put(g, "maxIterations", number(1 + below(4)));
        if (one_in(4))
                put(json_get(routes, "true"), "context", text("again ${{ inputs.n }}"));
        return put(put(g, "routes", routes), "default", text(PICK(ends)));
}

static Json *make_step(bool hook, unsigned before) {
        Json *s = json_new_object();

        if (!hook && before > 0 && one_in(5)) {
                put(s, "uses", text("builtin:gate"));
                return put(s, "with", make_gate(before));
        }
        if (one_in(12)) {
                put(s, "uses", text("builtin:input"));
                put(s, "with", object("fields", object("x", put(object("type", text("string")), "default", text("y")))));
        } else if (one_in(6)) {
                put(s, "uses", text("builtin:approval"));
                put(s, "with", make_request());
        } else if (one_in(8)) {
                put(s, "uses", text("builtin:shell"));
                put(s, "with", put(object("command", text("true")), "timeout", number(20)));
        } else
                put(s, "run", text(PICK(commands)));
        if (one_in(5))
                put(s, "continueOnError", json_new_bool(true));
        if (one_in(5))
                put(s, "timeout", number(1 + below(hook ? 400 : 60)));
        if (one_in(4))
                put(s, "if", text(PICK(conditions)));
        return s;
}

static Json *make_steps(unsigned max, bool hook) {
        Json *l = json_new_array();

        for (unsigned i = 0, n = 1 + below(max); i < n; i++)
                add(l, make_step(hook, i));
        return l;
}

static Json *make_hooks(void) {
        Json *h = json_new_object();

        for (size_t i = 0; i < ELEMENTSOF(hook_names); i++)
                if (one_in(2))
                        put(h, hook_names[i], make_steps(2, true));
        return h;
}

static Json *make_retries(void) {
        static const char *const backoffs[] = { "exp", "lin", "fixed" };
        Json *r = put(object("max", number(below(4))), "backoff", text(PICK(backoffs)));

        if (one_in(2))
                put(r, "initialInterval", number(1 + below(30)));
        if (one_in(4))
                put(r, "maxInterval", number(1 + below(40)));
        if (one_in(4)) {
                Json *codes = json_new_array();
                add(codes, text(one_in(2) ? "EXIT" : "TIMEOUT"));
                put(r, one_in(2) ? "on" : "notOn", codes);
        }
        return r;
}

/* Needs are among those written before, so that there is no cycle; order among them is chance enough. */
static void maybe_needs(Json *of, const char *prefix, unsigned first, unsigned n) {
        Json *needs;

        if (one_in(2))
                return;
        needs = json_new_array();
        for (unsigned i = 0; i < n; i++)
                if (one_in(3)) {
                        _cleanup_free_ char *name = xasprintf("%s%u", prefix, first + i);
                        add(needs, text(name));
                }
        put(of, "needs", needs);
}

static Json *make_activity(unsigned index, unsigned first) {
        static const char *const policies[] = { "fail", "continue", "hold" }, *const interruptions[] = { "resume", "hold", "fail" };
        _cleanup_free_ char *name = xasprintf("a%u", index);
        Json *a = object("name", text(name));

        maybe_needs(a, "a", first, index - first);
        if (one_in(4))
                put(a, "if", text(PICK(conditions)));
        if (one_in(3))
                put(a, "retries", make_retries());
        if (one_in(3))
                put(a, "timeout", number(1 + below(90)));
        if (one_in(3))
                put(a, "failurePolicy", text(PICK(policies)));
        if (one_in(3))
                put(a, "onInterrupt", text(PICK(interruptions)));
        if (one_in(3))
                put(a, "resume", text("step"));
        if (one_in(8))
                put(a, "approval", make_request());
        else
                put(a, "steps", make_steps(STEPS_MAX, false));
        if (one_in(2))
                put(a, "hooks", make_hooks());
        return a;
}

static Json *make_runbook(void) {
        static const char *const policies[] = { "fail", "continue", "hold" }, *const partial[] = { "success", "allow", "fail" };
        Json *phases = json_new_array(), *inputs = json_new_object(), *r = object("name", text("random"));
        unsigned activities = 0;

        put(inputs, "yes", put(object("type", text("boolean")), "default", json_new_bool(true)));
        put(inputs, "n", put(object("type", text("integer")), "default", number(1)));
        put(inputs, "s", put(object("type", text("string")), "default", text("x")));
        if (one_in(2))
                put(inputs, "w", put(object("type", text("string")), "required", json_new_bool(true)));
        else
                put(inputs, "w", object("type", text("string")));
        put(r, "inputs", inputs);
        if (one_in(4))
                put(r, "timeout", number(1 + below(300)));
        if (one_in(3))
                put(r, "retries", make_retries());
        if (one_in(3))
                put(r, "failurePolicy", text(PICK(policies)));
        if (one_in(2))
                put(r, "partialSuccess", text(PICK(partial)));
        for (unsigned i = 0, n = 1 + below(PHASES_MAX); i < n; i++) {
                _cleanup_free_ char *name = xasprintf("p%u", i);
                Json *p = object("name", text(name)), *list = json_new_array();
                unsigned first = activities;

                maybe_needs(p, "p", 0, i);
                if (one_in(5))
                        put(p, "if", text(PICK(conditions)));
                if (one_in(4))
                        put(p, "critical", json_new_bool(false));
                for (unsigned k = 0, m = 1 + below(ACTIVITIES_MAX); k < m; k++)
                        add(list, make_activity(activities++, first));
                add(phases, put(p, "activities", list));
        }
        return put(r, "phases", phases);
}

/* ---- another text of it ---- */

static Json *pick_member(const Json *list) {
        return json_at(list, below((unsigned) json_length(list)));
}

/* The last comes first, and needs nothing that was before it. */
static Json *last_first(const Json *list) {
        Json *copy = json_new_array();

        for (size_t i = 0, n = json_length(list); i < n; i++)
                add(copy, json_ref(json_at(list, i == 0 ? n - 1 : i - 1)));
        return copy;
}

/* Something else in one activity or phase, or one more, or one less. Whether a run may go on with that is for it to say. */
static Json *make_definition(const Json *runbook) {
        Json *copy = json_copy(runbook), *phase = pick_member(json_get(copy, "phases")), *list = json_get(phase, "activities"), *a = pick_member(list);

        switch (below(6)) {
        case 0:
        case 1:
                json_del(a, "approval");
                put(a, "steps", make_steps(STEPS_MAX, false));
                break;
        case 2:
                put(a, "hooks", make_hooks());
                break;
        case 3:
                put(a, "failurePolicy", text("fail"));
                break;
        case 4:
                add(list, put(object("name", text("new")), "run", text("true")));
                if (one_in(2))                          /* and before what is there */
                        put(phase, "activities", last_first(list));
                break;
        default:
                put(phase, "critical", json_new_bool(!json_has(phase, "critical")));
                break;
        }
        return copy;
}

/* ---- a script ---- */

#define SCRIPT_MAX 40u

static const char *const names[] = { "alice", "bob", "carol", "dave" };

static Json *make_end(void) {
        static const char *const codes[] = { "RATE_LIMIT", "FATAL", "APPROVAL_REJECTED" };
        Json *x = object("end", number(below(8)));

        if (one_in(2))
                return x;
        if (one_in(8))
                return put(x, "signal", text("SIGKILL"));
        if (one_in(8))
                put(x, "code", text(PICK(codes)));
        if (one_in(4))
                put(x, "outputs", object("x", number(1)));
        return put(x, "exit", number(below(3)));
}

static Json *make_answer(void) {
        if (one_in(4))
                return put(object("provide", number(below(4))), "fields", one_in(2) ? json_new_object() : object("w", text("given")));
        return put(object(one_in(4) ? "reject" : "approve", number(below(4))), "by", text(PICK(names)));
}

static Json *make_advance(void) {
        static const unsigned spans[] = { 0, 1, 2, 5, 20, 60, 299, 1000 };
        return object("advance", number(PICK(spans)));
}

static Json *make_crash(void) {
        static const char *const how[] = { "kill", "kill", "clean", "reboot" };
        Json *x = object("crash", text(PICK(how)));

        return one_in(2) ? put(x, "down", number(below(600))) : x;
}

static Json *make_bent_time(void) {
        static const char *const clocks[] = { "-1h", "1h", "-30s", "30s" };

        if (one_in(2))
                return object("clock", text(PICK(clocks)));
        return object(one_in(2) ? "sleep" : "late", number(below(100)));
}

static Json *make_inputs(void) {
        Json *j = json_new_object();

        if (one_in(2))
                put(j, "yes", json_new_bool(one_in(2)));
        if (one_in(2))
                put(j, "n", number(below(3)));
        if (one_in(3))
                put(j, "w", text("given"));
        return put(j, "s", text(one_in(4) ? "y" : "x"));
}

static Json *make_decision(const Json *runbook) {
        Json *x;

        if (one_in(4))
                return put(object("ignore", number(below(4))), "outputs", object("x", number(below(9))));
        if (one_in(6))
                return object("abort", number(below(4)));
        x = put(object("retry", number(below(4))), "by", text(PICK(names)));
        if (one_in(4))
                put(x, "inputs", make_inputs());
        return one_in(2) ? put(x, "definition", make_definition(runbook)) : x;
}

static Json *make_verb(void) {
        switch (below(8)) {
        case 0:
        case 1:
                return object("pause", json_new_bool(true));
        case 2:
        case 3:
        case 4:
                return object("unpause", json_new_bool(true));
        case 5:
                return object("setInputs", make_inputs());
        case 6:
                return object("startNow", json_new_bool(true));
        default:
                return object("reschedule", number(below(100)));
        }
}

static Json *make_item(const Json *runbook) {
        unsigned n = below(100);

        if (n < 46)
                return make_end();
        if (n < 55)
                return make_answer();
        if (n < 68)
                return make_decision(runbook);
        if (n < 75)
                return make_verb();
        if (n < 87)
                return make_advance();
        if (n < 93)
                return make_crash();
        if (n < 95)
                return make_bent_time();
        if (n < 97)
                return object("cancel", json_new_bool(true));
        return n < 99 ? object("slots", number(below(4))) : object("cannotStart", number(below(8)));
}

static Json *make_script(const Json *runbook, bool scheduled) {
        Json *script = json_new_array();

        if (scheduled && one_in(2))
                add(script, object(one_in(2) ? "reschedule" : "startNow", number(1 + below(100))));
        for (unsigned i = 0, n = below(SCRIPT_MAX + 1); i < n; i++)
                add(script, make_item(runbook));
        return script;
}

static Json *make_phase_names(const Json *runbook) {
        Json *list = json_new_array();

        for (size_t i = 0; i < json_length(json_get(runbook, "phases")); i++)
                if (one_in(2))
                        add(list, json_ref(json_get(json_at(json_get(runbook, "phases"), i), "name")));
        return list;
}

/* What is made of the run when it has ended. */
static Json *make_again(const Json *runbook) {
        Json *how = json_new_object(), *x;

        if (one_in(3))
                put(how, "inputs", make_inputs());
        if (one_in(3))
                put(how, "definition", make_definition(runbook));
        if (one_in(3)) {
                if (one_in(2))
                        put(how, "only", make_phase_names(runbook));
                x = object("rerun", how);
        } else {
                if (one_in(3)) {
                        const Json *phase = pick_member(json_get(runbook, "phases"));
                        put(how, "from", json_ref(json_get(one_in(2) ? phase : pick_member(json_get(phase, "activities")), "name")));
                }
                if (one_in(3))
                        put(how, "allParallel", json_new_bool(true));
                x = object("replay", how);
                if (one_in(4))
                        put(x, "workspace", text("later"));
        }
        return put(x, "script", make_script(runbook, false));
}

static Json *make_scenario(uint64_t seed) {
        _cleanup_free_ char *about = xasprintf("random seed %llu", (unsigned long long) seed);
        Json *s = object("about", text(about)), *runbook, *then = json_new_array();

        chance_state = seed;
        put(s, "rows", json_new_array());
        put(s, "manual", json_new_bool(true));
        put(s, "slots", number(one_in(3) ? 1 + below(3) : 64));
        if (one_in(4))
                put(s, "holdTimeout", number(1 + below(100)));
        if (one_in(10))
                put(s, "scheduled", number(1 + below(100)));
        runbook = make_runbook();
        put(s, "runbook", runbook);
        if (one_in(12)) {
                Json *only = make_phase_names(runbook);
                put(s, json_length(only) > 0 ? "only" : "unused", only);
                json_del(s, "unused");
        }
        put(s, "script", make_script(runbook, json_has(s, "scheduled")));
        for (unsigned i = 0, n = one_in(3) ? 1 + below(2) : 0; i < n; i++)
                add(then, make_again(runbook));
        return put(s, "then", then);
}

/* ---- playing and shrinking ---- */

static uint64_t happened[_EVENT_TYPE_MAX];              /* in all runs */

static void count_events(const Scenario *s) {
        for (size_t i = 0; i < s->world.n_stored; i++)
                happened[event_type_from_string(s->world.stored[i].type)]++;
        for (size_t i = 0; i < s->n_then; i++)
                count_events(s->then[i]);
}

/* Chance that never makes something happen proves nothing about it. */
#define RUNS_ENOUGH 1000u

static bool all_happened(bool verbose) {
        bool all = true;

        for (EventType t = 0; t < _EVENT_TYPE_MAX; t++) {
                if (verbose)
                        printf("%s %llu\n", event_type_to_string(t), (unsigned long long) happened[t]);
                if (happened[t] == 0)
                        printf("not ok: no %s in all these runs\n", event_type_to_string(t));
                all = all && happened[t] > 0;
        }
        return all;
}

/* 1: it holds; 0: it does not; -1: it is no scenario. */
static int try_scenario(Json *source, char **ret_complaints) {
        Scenario s;
        bool ok = scenario_run(&s, "random", source);
        if (ok)
                count_events(&s);
        int verdict = ok ? 1 : s.broken_definition ? -1 : 0;

        if (ret_complaints)
                *ret_complaints = strbuf_take(&s.complaints);
        scenario_done(&s);
        return verdict;
}

/* A copy without the k-th member or element below it, counted in order; *k is 0 afterwards when there was one. */
static Json *copy_without(const Json *j, unsigned *k) {
        Json *copy;

        if (json_type(j) == JSON_ARRAY) {
                copy = json_new_array();
                for (size_t i = 0; i < json_length(j); i++)
                        if (*k == 0 || --*k > 0)
                                add(copy, copy_without(json_at(j, i), k));
                return copy;
        }
        if (json_type(j) != JSON_OBJECT)
                return json_copy(j);
        copy = json_new_object();
        JSON_OBJECT_FOREACH(j, key, value)
                if (*k == 0 || --*k > 0)
                        put(copy, key, copy_without(value, k));
        return copy;
}

static Json *scenario_without(const Json *source, unsigned k) {
        static const char *const parts[] = { "then", "script", "runbook" };
        Json *copy = json_copy(source);

        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                put(copy, parts[i], copy_without(json_get(source, parts[i]), &k));
        if (k == 0)
                return copy;
        json_unref(copy);
        return NULL;
}

static Json *shrink(Json *takes) {
        Json *best = takes;
        bool smaller;

        do {
                smaller = false;
                for (unsigned k = 1;; k++) {
                        _cleanup_json_ Json *candidate = scenario_without(best, k);
                        if (!candidate)
                                break;
                        if (try_scenario(candidate, NULL) != 0)
                                continue;
                        json_unref(best);
                        best = json_ref(candidate);
                        smaller = true;
                        k--;
                }
        } while (smaller);
        return best;
}

static void report(uint64_t seed, Json *takes) {
        _cleanup_json_ Json *small = shrink(takes);
        _cleanup_free_ char *complaints = NULL, *file = json_to_string(small, true);

        (void) try_scenario(small, &complaints);
        printf("not ok: seed %llu\n%s\n%s\n", (unsigned long long) seed, strempty(complaints), strempty(file));
}

/* ---- main ---- */

static uint64_t to_number(const char *s) {
        char *end;
        uint64_t n = strtoull(s, &end, 10);

        if (*end || end == s) {
                fprintf(stderr, "%s is no number\n", s);
                exit(EXIT_FAILURE);
        }
        return n;
}

int main(int argc, char *argv[]) {
        static const struct option options[] = { { "seed", required_argument, NULL, 's' }, { "runs", required_argument, NULL, 'r' },
                        { "verbose", no_argument, NULL, 'v' }, { "print", no_argument, NULL, 'p' }, { 0 } };
        uint64_t seed = 1, runs = 1000;
        bool verbose = false, print = false;

        for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;)
                if (c == 's')
                        seed = to_number(optarg);
                else if (c == 'r')
                        runs = to_number(optarg);
                else if (c == 'v')
                        verbose = true;
                else if (c == 'p')
                        print = true;
                else
                        return EXIT_FAILURE;
        for (uint64_t i = 0; i < runs; i++) {
                Json *s = make_scenario(seed + i);
                int ok;

                if (print) {
                        _cleanup_free_ char *file = json_to_string(s, true);
                        printf("%s\n", strempty(file));
                }
                ok = try_scenario(s, NULL);
                if (verbose)
                        printf("%llu %d\n", (unsigned long long) (seed + i), ok);
                if (ok < 0)
                        fprintf(stderr, "seed %llu makes no scenario\n", (unsigned long long) (seed + i));
                if (ok != 1) {
                        report(seed + i, s);
                        return EXIT_FAILURE;
                }
                json_unref(s);
        }
        if (!all_happened(verbose) && runs >= RUNS_ENOUGH)
                return EXIT_FAILURE;
        printf("ok: %llu runs from seed %llu\n", (unsigned long long) runs, (unsigned long long) seed);
        return EXIT_SUCCESS;
}
