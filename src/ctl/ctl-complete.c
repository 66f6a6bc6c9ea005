/* The hidden verb behind the shells' completion: gets the words of the command line and prints what the last one could become, one
 * candidate a line, with a description behind a tab. All of it comes from the tables that parsing and help use, and from the daemon where
 * there is one. A first line of "\tfiles" asks the shell for file names. Nothing is ever an error here. */
#include "answer.h"
#include "bus-json.h"
#include "client.h"
#include "fd-util.h"
#include "i18n.h"
#include "lists.h"
#include "style.h"

#define RUNS_OFFERED 50u

static void candidate(const char *word, const char *prefix, const char *description) {
        _cleanup_free_ char *clean = NULL, *safe = NULL;

        if (!startswith(word, prefix))
                return;
        clean = text_one_line(description);
        safe = text_one_line(word);
        out("%s\t%s\n", strempty(safe), strempty(clean));
}

static void complete_verbs(const char *prefix) {
        for (const Verb *v = verbs; v->name; v++)
                if (!(v->flags & VERB_HIDDEN))
                        candidate(v->name, prefix, _(v->summary));
}

static void complete_options(const Verb *v, const char *prefix) {
        OptionSet set = OPTIONS_GLOBAL | (v ? v->options : 0);

        for (unsigned i = 0; i < _OPTION_MAX; i++) {
                char buf[64];
                if (!(set & OPTION_BIT(i)))
                        continue;
                (void) snprintf(buf, sizeof(buf), "--%s%s", options_table[i].name, options_table[i].metavar ? "=" : "");
                candidate(buf, prefix, _(options_table[i].help));
        }
}

static Json *try_call(Ctl *c, const char *member) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        Json *j = NULL;

        if (client_new_call(c, BUS_PATH, BUS_MANAGER, member, &m) < 0 || sd_bus_message_set_allow_interactive_authorization(m, 0) < 0 ||
            client_try(c, m, &error, &reply) < 0)
                return NULL;
        return bus_read_json(reply, &j) < 0 ? NULL : j;
}

static Json *try_definition(Ctl *c, const char *runbook) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *text;
        Json *j = NULL;

        if (client_new_call(c, BUS_PATH, BUS_MANAGER, "GetRunbook", &m) < 0 || sd_bus_message_append(m, "s", runbook) < 0 ||
            client_try(c, m, &error, &reply) < 0 || sd_bus_message_read(reply, "s", &text) < 0 || json_parse(text, strlen(text), &j) < 0)
                return NULL;
        return j;
}

/* "12" as the path of run 12; NULL: it is no number. New string. */
static char *run_path(const char *run) {
        return *run && strspn(run, "0123456789") == strlen(run) ? xasprintf("%s%s", BUS_RUN_PREFIX, run) : NULL;
}

static Json *try_run_call(Ctl *c, const char *run, const char *member) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *path = run_path(run);
        Json *j = NULL;

        if (!path || client_new_call(c, path, BUS_RUN, member, &m) < 0 || client_try(c, m, &error, &reply) < 0)
                return NULL;
        return bus_read_json(reply, &j) < 0 ? NULL : j;
}

static Json *try_properties(Ctl *c, const char *run) {
        _cleanup_free_ char *path = run_path(run);
        Json *j = NULL;

        return path && client_get_properties(c, path, BUS_RUN, &j) >= 0 ? j : NULL;
}

static void complete_runbooks(Ctl *c, const char *prefix) {
        _cleanup_json_ Json *list = try_call(c, "ListRunbooks");

        for (size_t i = 0; i < json_length(list); i++)
                candidate(strempty(json_string(json_at(json_at(list, i), 0))), prefix, json_string(json_at(json_at(list, i), 1)));
}

static void complete_runs(Ctl *c, const char *const *states, const char *prefix) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *runs = NULL;

        if (lists_try_runs(c, states, RUNS_OFFERED, &runs, &error) < 0)
                return;
        for (size_t i = 0; i < json_length(runs); i++) {
                const Json *run = json_at(runs, i);
                _cleanup_strbuf_ StrBuf b = {};
                char id[16];
                (void) snprintf(id, sizeof(id), "%u", (unsigned) json_int(json_get(run, "id")));
                strbuf_appendf(&b, "%s: %s", strempty(json_string(json_get(run, "runbook"))),
                               strempty(json_string(json_get(run, "state"))));
                _cleanup_free_ char *text = strbuf_take(&b);
                candidate(id, prefix, text);
        }
}

static void complete_requests(Ctl *c, const char *kind, const char *prefix) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *requests = NULL;

        if (lists_try_requests(c, 0, &requests, &error) < 0)
                return;
        for (size_t i = 0; i < json_length(requests); i++) {
                const Json *q = json_at(requests, i);
                _cleanup_strbuf_ StrBuf b = {};
                if (!streq_ptr(json_string(json_get(q, "kind")), kind))
                        continue;
                strbuf_appendf(&b, "%u/%s", (unsigned) json_int(json_get(q, "run")), strempty(json_string(json_get(q, "activity"))));
                _cleanup_free_ char *word = strbuf_take(&b);
                candidate(strempty(word), prefix, json_string(json_get(q, "title")));
        }
}

/* "12/": its activities. */
static void complete_activities(Ctl *c, const char *prefix) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        const char *name, *state;
        size_t n = strcspn(prefix, "/");
        _cleanup_strbuf_ StrBuf b = {};

        if (n == 0 || strspn(prefix, "0123456789") != n)
                return;
        strbuf_appendf(&b, "%s%.*s", BUS_RUN_PREFIX, (int) n, prefix);
        path = strbuf_take(&b);
        if (!path || client_new_call(c, path, BUS_RUN, "ListActivities", &m) < 0 || client_try(c, m, &error, &reply) < 0 ||
            sd_bus_message_enter_container(reply, 'a', "(sssuo)") < 0)
                return;
        while (sd_bus_message_read(reply, "(sssuo)", &name, NULL, &state, NULL, NULL) > 0) {
                _cleanup_strbuf_ StrBuf w = {};
                strbuf_appendf(&w, "%.*s/%s", (int) n, prefix, name);
                _cleanup_free_ char *word = strbuf_take(&w);
                candidate(strempty(word), prefix, state);
        }
}

/* "version=", for the inputs that the run has. */
static void complete_inputs(Ctl *c, const char *run, const char *prefix) {
        _cleanup_json_ Json *inputs = NULL;

        inputs = try_run_call(c, run, "GetInputs");
        JSON_OBJECT_FOREACH(inputs, name, value) {
                _cleanup_free_ char *text = json_to_string(value, false), *word = xasprintf("%s=", name);
                candidate(strempty(word), prefix, text);
        }
}

/* "note=", for what the request of "12/qa" asks for. */
static void complete_fields(Ctl *c, const char *request, const char *prefix) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        size_t n = strcspn(request, "/");
        _cleanup_free_ char *number = strndup(request, n), *run = number ? run_path(number) : NULL, *path = NULL;
        _cleanup_json_ Json *q = NULL;

        if (!run || !request[n] || client_activity_path(c, run, request + n + 1, &path) < 0)
                return;
        const Target t = {.activity_path = path};
        if (answer_get_request(c, &t, &q, &error) < 0)
                return;
        for (size_t i = 0; i < json_length(json_get(q, "fields")); i++) {
                const Json *f = json_at(json_get(q, "fields"), i);
                const char *description = json_string(json_get(f, "description"));
                _cleanup_free_ char *word = xasprintf("%s=", strempty(json_string(json_get(f, "name"))));
                candidate(strempty(word), prefix, description ? description : json_string(json_get(f, "type")));
        }
}

static void complete_operand(Ctl *c, const Verb *v, const char *run, const char *prefix) {
        switch (v->operand) {
        case OPERAND_NONE:
                break;
        case OPERAND_RUN_ACTIVITY:
                if (strchr(prefix, '/')) {
                        complete_activities(c, prefix);
                        break;
                }
                complete_runs(c, v->states, prefix);
                break;
        case OPERAND_INPUT:
                if (run) {
                        complete_inputs(c, run, prefix);
                        break;
                }
                complete_runs(c, v->states, prefix);
                break;
        case OPERAND_RUN:
                if (!run)                               /* what comes behind it is no run */
                        complete_runs(c, v->states, prefix);
                break;
        case OPERAND_RUNBOOK:
                complete_runbooks(c, prefix);
                break;
        case OPERAND_FILE:
                out("\tfiles\n");
                break;
        case OPERAND_REQUEST:
                complete_requests(c, "approval", prefix);
                break;
        case OPERAND_FIELD:
                if (run)
                        complete_fields(c, run, prefix);
                else
                        complete_requests(c, "input", prefix);
                break;
        case OPERAND_DECISION:
                complete_requests(c, "decision", prefix);
                break;
        case OPERAND_VERB:
                complete_verbs(prefix);
                break;
        }
}

/* ---- names of phases and activities, for --only and --from ---- */

static void name_candidate(const char *name, const char *head, const char *prefix, const char *description) {
        _cleanup_free_ char *word = xasprintf("%s%s", head, name);
        candidate(strempty(word), prefix, description);
}

/* Of a runbook, or of a run: of the first word behind the verb. */
static void complete_phases(Ctl *c, const Verb *v, const char *of, const char *head, const char *prefix) {
        _cleanup_json_ Json *definition = NULL, *properties = NULL;
        const Json *phases;

        if (v->operand == OPERAND_RUNBOOK)
                definition = try_definition(c, of);
        else
                properties = try_properties(c, of);
        phases = definition ? json_get(definition, "phases") : json_get(properties, "Phases");
        for (size_t i = 0; i < json_length(phases); i++) {
                const Json *p = json_at(phases, i);
                const char *name = json_string(definition ? json_get(p, "name") : json_at(p, 0));
                name_candidate(strempty(name), head, prefix, _("phase"));
        }
}

static void complete_from(Ctl *c, const char *run, const char *head, const char *prefix) {
        _cleanup_json_ Json *activities = try_run_call(c, run, "ListActivities");

        for (size_t i = 0; i < json_length(activities); i++)
                name_candidate(strempty(json_string(json_at(json_at(activities, i), 0))), head, prefix,
                               json_string(json_at(json_at(activities, i), 2)));
}

/* The word is the value of one of these options: true. `head`: what of the word stays as it is, as "--only=a,". */
static bool complete_names(Ctl *c, const Verb *v, const Option *p, const char *of, const char *head, const char *word) {
        bool only = p == options_table + OPTION_ONLY, from = p == options_table + OPTION_FROM;
        const char *comma = only ? strrchr(word, ',') : NULL;

        if ((!only && !from) || !v || !of)
                return false;
        _cleanup_free_ char *kept = comma ? strndup(word, (size_t) (comma + 1 - word)) : strdup(head);
        if (!kept)
                return true;
        complete_phases(c, v, of, kept, word);
        if (from)
                complete_from(c, of, kept, word);
        return true;
}

/* What the words before the one that is completed say. */
typedef struct Scanned {
        const Verb *verb;
        const char *first;                              /* word behind it; NULL: none yet */
        size_t n;                                       /* of words behind it */
} Scanned;

/* "--json=sh", or "sh" behind "--json". */
static bool complete_value(Ctl *c, const Scanned *l, const Option *p, const char *head, const char *prefix) {
        if (!p || !p->metavar)
                return false;
        if (complete_names(c, l->verb, p, l->first, head, prefix))
                return true;
        if (p == options_table + OPTION_INPUT_FILE)
                out("\tfiles\n");
        for (size_t i = 0; p->choices && p->choices[i]; i++) {
                char buf[64];
                (void) snprintf(buf, sizeof(buf), "%s%s", head, p->choices[i]);
                candidate(buf, prefix, "");
        }
        return true;
}

static bool complete_attached(Ctl *c, const Scanned *l, const char *word) {
        size_t n = strcspn(word, "=");
        char head[64];

        if (!startswith(word, "--") || !word[n] || n + 2 > sizeof(head))
                return false;
        memcpy(head, word, n + 1);
        head[n + 1] = 0;
        return complete_value(c, l, option_find(head), head, word);
}

/* The words before the one that is completed; what reaches the daemon is taken from them too. */
static Scanned scan(Ctl *c, const char *const *words, size_t n) {
        Scanned l = {};

        for (size_t i = 0; i < n; i++) {
                const Option *p = option_find(words[i]);
                bool takes_next = p && p->metavar && (words[i][1] == '-' ? !strchr(words[i], '=') : !words[i][2]);
                if (p == options_table + OPTION_USER)
                        c->options.user = true;
                if (p == options_table + OPTION_HOST)
                        c->options.host = takes_next && i + 1 < n ? words[i + 1]
                                          : strchr(words[i], '=') ? strchr(words[i], '=') + 1
                                                                  : words[i] + 2;
                i += takes_next;
                if (p || words[i][0] == '-')
                        continue;
                if (!l.verb)
                        l.verb = verb_find(words[i]);
                else if (l.n++ == 0)
                        l.first = words[i];
        }
        return l;
}

int verb_complete(Ctl *c, const char *const *args, size_t n) {
        const char *word = args[n - 1], *before = n > 1 ? args[n - 2] : "";
        Scanned l = scan(c, args, n - 1);
        const Option *p = option_find(before);

        /* What goes wrong on the way to the daemon must not be written over the command line. */
        if (!freopen("/dev/null", "w", stderr))
                return STATUS_SUCCESS;
        c->options.no_ask_password = true;
        if (complete_attached(c, &l, word) || (p && !strchr(before, '=') && complete_value(c, &l, p, "", word)))
                return STATUS_SUCCESS;
        if (word[0] == '-')
                complete_options(l.verb, word);
        else if (!l.verb)
                complete_verbs(word);
        else if (l.n < l.verb->max)
                complete_operand(c, l.verb, l.first, word);
        return STATUS_SUCCESS;
}
