/* What is made of a run that has ended: replays and reruns, each a scenario of its own that begins where the plan says. The original
 * must not feel it. */
#include "scenario.h"

#include "fd-util.h"
#include "replay.h"

/* The run with this number; none is named: the newest. */
static Scenario *find_original(Scenario *s, const Json *entry) {
        uint32_t id = (uint32_t) json_int(json_get(entry, "of"));

        if (id == 0)
                return s->n_then > 0 ? s->then[s->n_then - 1] : s;
        if (s->world.run->id == id)
                return s;
        for (size_t i = 0; i < s->n_then; i++)
                if (s->then[i]->world.run->id == id)
                        return s->then[i];
        return NULL;
}

static int plan_it(const Json *how, bool rerun, const Run *r, const Runbook *rb, char **only, ReplayPlan *ret, char **ret_error) {
        const Json *inputs = json_get(how, "inputs");

        if (rerun)
                return rerun_plan(r, rb, only, inputs, ret, ret_error);
        return replay_plan(r, rb, json_string(json_get(how, "from")), json_bool(json_get(how, "allParallel")), inputs, ret, ret_error);
}

/* Unless the entry says that it comes later, the copy of the workspace is there at once. */
static void make_workspace(Scenario *s) {
        World *w = &s->world;

        if (w->run->workspace_wanted && !json_has(s->source, "workspace"))
                scenario_check(s, "workspace", run_workspace_ready(w->run, &w->now, NULL, &w->outcome));
}

static void play_again(Scenario *s, Scenario *original, const Stamp *now, uint32_t id, const Json *how, bool rerun, Runbook *rb, char **only,
                       const ReplayPlan *plan) {
        static const char *const known[] = { "replay", "rerun", "of", "by", "refused", "says", "workspace", "held", "slots", "holdTimeout", "world",
                                             "script", "expect", NULL };
        const Run *r = original->world.run;
        WorldStart start = {
                .id = id, .runbook = rb, .now = *now,
                .options = { .inputs = plan->inputs, .trigger = rerun ? "rerun" : "replay", .only = rerun ? only : plan->only,
                             .replay_of = r->id, .root_run = r->root_run,
                             .workspace_from = rerun || json_bool(json_get(how, "freshWorkspace")) ? 0 : r->id,
                             .carried = plan->carried, .n_carried = plan->n_carried },
        };

        scenario_check_members(s, known);
        scenario_check(s, "new run", scenario_begin(s, &start));
        if (s->failed)
                return;
        make_workspace(s);
        scenario_play(s);
}

static Scenario *add_scenario(Scenario *s, Json *entry) {
        Scenario *n = calloc(1, sizeof *n);

        if (!n || !GREEDY_REALLOC(s->then, s->n_then_allocated, s->n_then + 1)) {
                free(n);
                return NULL;
        }
        scenario_init(n, s->file, entry, s->manual);
        s->then[s->n_then++] = n;
        return n;
}

static char *described(const Scenario *s) {
        _cleanup_json_ Json *j = NULL;

        return run_describe(s->world.run, &j) < 0 ? NULL : json_to_string(j, false);
}

/* The original is what it was, and so is its history. */
static void check_original(Scenario *s, Scenario *original, const char *before) {
        _cleanup_free_ char *after = described(original);

        if (!streq_ptr(before, after))
                scenario_fail(s, "run %u was changed by what was made of it", original->world.run->id);
        scenario_check_fold(original);
        s->failed = s->failed || original->failed;
}

static void take_complaints(Scenario *s, Scenario *of) {
        _cleanup_free_ char *text = of->complaints.n > 0 ? strbuf_take(&of->complaints) : NULL;

        s->failed = s->failed || of->failed;
        if (of != s && text)
                scenario_fail(s, "run %u: %s", of->world.run ? of->world.run->id : 0, text);
        s->broken_definition = s->broken_definition || of->broken_definition;
}

static void do_entry(Scenario *s, Json *entry) {
        bool rerun = json_has(entry, "rerun");
        const Json *how = json_get(entry, rerun ? "rerun" : "replay");
        Scenario *original = find_original(s, entry), *newest = s->n_then > 0 ? s->then[s->n_then - 1] : s, *n;
        _cleanup_free_ char *before = original ? described(original) : NULL, *error = NULL;
        _cleanup_(replay_plan_done) ReplayPlan plan = { 0 };
        Runbook *rb = original ? original->world.run->runbook : NULL;
        char **only = scenario_list(json_get(how, "only"));
        int r;

        if (rb && json_has(how, "definition"))
                rb = scenario_definition(original, json_get(how, "definition"));
        if (!rb)
                scenario_fail(s, "there is no such run, or no such definition");
        r = rb ? plan_it(how, rerun, original->world.run, rb, only, &plan, &error) : -EINVAL;
        if (rb)
                scenario_refused(s, entry, rerun ? "rerun" : "replay", r, error);
        if (rb && r >= 0 && (n = add_scenario(s, entry))) {
                play_again(n, original, &newest->world.now, (uint32_t) (s->world.run->id + s->n_then), how, rerun, rb, only, &plan);
                take_complaints(s, n);
        }
        if (original)
                check_original(s, original, before);
        scenario_free_list(only);
}

void scenario_then(Scenario *s) {
        const Json *list = json_get(s->source, "then");

        for (size_t i = 0; i < json_length(list) && !s->failed; i++)
                do_entry(s, json_at(list, i));
}
