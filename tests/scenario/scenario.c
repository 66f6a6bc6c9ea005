/* Plays scenarios. First every process that may end does, the oldest first; when nothing moves, the next item of the script is done;
 * after the last one time passes, deadline by deadline, until the run has ended or waits for a person. In a `manual` scenario, which is
 * what the random suite makes up, processes end by the script only, items that do not fit are passed over, and at the end everything is
 * brought to its end. */
#include "scenario.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#include "fd-util.h"

#define TURNS_MAX 5000u
#define COMPLAINTS_MAX 20000u
#define SLOTS_DEFAULT 64u
#define FIRST_RUN 7u

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

void scenario_check(Scenario *s, const char *what, int r) {
        if (r < 0)
                scenario_fail(s, "%s: %s", what, s->invariants.broken ? s->invariants.broken : strerror(-r));
}

/* Looked at now and then, because it folds the whole history. */
#define FOLD_EVERY 13u

void scenario_check_fold(Scenario *s) {
        _cleanup_free_ char *difference = NULL;

        if (world_check_fold(&s->world, &difference) < 0)
                scenario_fail(s, "fold: %s", strempty(difference));
}

static void play(Scenario *s, const Json *script) {
        size_t next = 0;

        if (!json_bool(json_get(s->source, "held")))            /* not started: it waits in the queue */
                scenario_check(s, "start", world_turn(&s->world));
        for (unsigned turn = 0; !s->failed; turn++) {
                if (turn > TURNS_MAX)
                        scenario_fail(s, "does not end");
                else if (!s->manual && scenario_end_one(s))
                        continue;
                else if (next < json_length(script)) {
                        scenario_do(s, json_at(script, next++));
                        if (s->manual && !s->failed && next % FOLD_EVERY == 0)
                                scenario_check_fold(s);
                } else if (!(s->manual ? scenario_drain_one(s) : scenario_pass_time(s)))
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

/* A map as it stands in a runbook file, or text. */
static Runbook *parse_definition(Scenario *s, const Json *definition) {
        _cleanup_free_ char *json = json_string(definition) ? NULL : json_to_string(definition, false);
        const char *text = json ? json : json_string(definition);
        _cleanup_diag_ Diagnostics d = { 0 };
        Runbook *rb = NULL;
        int r = text ? runbook_parse(text, strlen(text), json ? TREE_JSON : TREE_YAML, NULL, &d, &rb) : -ENOMEM;

        for (size_t i = 0; r < 0 && i < d.n_items; i++)
                scenario_fail(s, "runbook: %s", d.items[i].message);
        return r < 0 ? NULL : rb;
}

Runbook *scenario_definition(Scenario *s, const Json *definition) {
        _cleanup_(runbook_unrefp) Runbook *rb = parse_definition(s, definition);
        Runbook *known = rb ? world_definition(&s->world, rb->hash) : NULL;

        if (!rb)
                s->broken_definition = true;
        if (!rb || known)
                return known;
        return world_know_definition(&s->world, rb) < 0 ? NULL : rb;
}

void scenario_check_members(Scenario *s, const char *const *known) {
        JSON_OBJECT_FOREACH(s->source, key, value) {
                bool found = false;
                for (const char *const *k = known; *k; k++)
                        found = found || streq(*k, key);
                if (!found)
                        scenario_fail(s, "unknown member %s", key);
        }
}

static void check_members(Scenario *s) {
        static const char *const known[] = { "about", "rows", "runbook", "inputs", "slots", "manual", "held", "scheduled", "only", "payload", "by", "login",
                                             "holdTimeout", "world", "script", "expect", "then", NULL };

        scenario_check_members(s, known);
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

int scenario_begin(Scenario *s, const WorldStart *given) {
        const Json *slots = json_get(s->source, "slots");
        WorldStart start = *given;
        int r = invariants_init(&s->invariants, start.id, start.runbook);

        start.slots = slots ? (unsigned) json_int(slots) : SLOTS_DEFAULT;
        if (r >= 0)
                r = world_init(&s->world, &start);
        s->world.limits.hold_timeout = scenario_span(s, json_get(s->source, "holdTimeout"));
        invariants_watch(&s->invariants, &s->world);
        return r;
}

static char **string_list(const Json *list) {
        char **v = calloc(json_length(list) + 1, sizeof *v);

        for (size_t i = 0; v && i < json_length(list); i++)
                v[i] = strdup(strempty(json_string(json_at(list, i))));
        return v;
}

void scenario_free_list(char **v) {
        for (char **i = v; v && *i; i++)
                free(*i);
        free(v);
}

char **scenario_list(const Json *list) {
        return json_type(list) == JSON_ARRAY ? string_list(list) : NULL;
}

static int prepare(Scenario *s) {
        _cleanup_(runbook_unrefp) Runbook *rb = parse_definition(s, json_get(s->source, "runbook"));
        _cleanup_json_ Json *inputs = NULL;
        _cleanup_free_ char *error = NULL;
        char **only = scenario_list(json_get(s->source, "only"));
        int r = rb ? inputs_check(rb->inputs, rb->n_inputs, json_get(s->source, "inputs"), &inputs, NULL, &error) : -EINVAL;

        s->broken_definition = !rb;
        if (error)
                scenario_fail(s, "%s", error);
        if (r >= 0)
                r = scenario_begin(s, &(WorldStart) { .id = FIRST_RUN, .runbook = rb, .who = scenario_person(s->source),
                        .options = { .inputs = inputs, .only = only, .payload = json_get(s->source, "payload"),
                                     .trigger = json_has(s->source, "payload") ? "failure" : "manual",
                                     .scheduled_for = scenario_span(s, json_get(s->source, "scheduled")) } });
        scenario_free_list(only);
        return r;
}

void scenario_play(Scenario *s) {
        play(s, json_get(s->source, "script"));
        if (!s->failed)
                scenario_expect(s, json_get(s->source, "expect"));
        if (!s->failed && !s->manual)                   /* there the shadow of the invariants is as good, and cheap */
                scenario_check_fold(s);
        if (!s->failed)
                check_world(s);
}

void scenario_init(Scenario *s, const char *file, Json *source, bool manual) {
        *s = (Scenario) { .file = file, .source = json_ref(source), .started = json_new_object(), .manual = manual };
        s->exits = json_has(source, "world") ? json_copy(json_get(source, "world")) : json_new_object();
}

bool scenario_run(Scenario *s, const char *file, Json *source) {
        scenario_init(s, file, source, json_bool(json_get(source, "manual")));
        check_members(s);
        if (prepare(s) < 0)
                s->failed = true;
        if (!s->failed)
                scenario_play(s);
        if (!s->failed)
                scenario_then(s);
        return !s->failed;
}

void scenario_done(Scenario *s) {
        for (size_t i = 0; i < s->n_then; i++) {
                scenario_done(s->then[i]);
                free(s->then[i]);
        }
        free(s->then);
        world_done(&s->world);
        invariants_done(&s->invariants);
        json_unref(s->source);
        json_unref(s->exits);
        json_unref(s->started);
        strbuf_done(&s->complaints);
}
