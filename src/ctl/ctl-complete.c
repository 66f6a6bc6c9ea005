/* The hidden verb behind the shells' completion: gets the words of the command line and prints what the last one could become, one
 * candidate a line, with a description behind a tab. All of it comes from the tables that parsing and help use, and from the daemon where
 * there is one. A first line of "\tfiles" asks the shell for file names. Nothing is ever an error here. */
#include "bus-json.h"
#include "client.h"
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

static void complete_runbooks(Ctl *c, const char *prefix) {
        _cleanup_json_ Json *list = try_call(c, "ListRunbooks");

        for (size_t i = 0; i < json_length(list); i++)
                candidate(strempty(json_string(json_at(json_at(list, i), 0))), prefix, json_string(json_at(json_at(list, i), 1)));
}

static void complete_runs(Ctl *c, const char *prefix) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *runs = NULL;

        if (lists_try_runs(c, NULL, RUNS_OFFERED, &runs, &error) < 0)
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

static void complete_requests(Ctl *c, const char *prefix) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *requests = NULL;

        if (lists_try_requests(c, 0, &requests, &error) < 0)
                return;
        for (size_t i = 0; i < json_length(requests); i++) {
                const Json *q = json_at(requests, i);
                _cleanup_strbuf_ StrBuf b = {};
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

static void complete_operand(Ctl *c, Operand operand, const char *prefix) {
        switch (operand) {
        case OPERAND_NONE:
                break;
        case OPERAND_RUN_ACTIVITY:
                if (strchr(prefix, '/')) {
                        complete_activities(c, prefix);
                        break;
                }
                complete_runs(c, prefix);
                break;
        case OPERAND_RUN:
                complete_runs(c, prefix);
                break;
        case OPERAND_RUNBOOK:
                complete_runbooks(c, prefix);
                break;
        case OPERAND_FILE:
                out("\tfiles\n");
                break;
        case OPERAND_REQUEST:
                complete_requests(c, prefix);
                break;
        case OPERAND_VERB:
                complete_verbs(prefix);
                break;
        }
}

/* "--json=sh", or "sh" behind "--json". */
static bool complete_value(const Option *p, const char *head, const char *prefix) {
        if (!p || !p->metavar)
                return false;
        if (p == options_table + OPTION_INPUT_FILE)
                out("\tfiles\n");
        for (size_t i = 0; p->choices && p->choices[i]; i++) {
                char buf[64];
                (void) snprintf(buf, sizeof(buf), "%s%s", head, p->choices[i]);
                candidate(buf, prefix, "");
        }
        return true;
}

static bool complete_attached(const char *word) {
        size_t n = strcspn(word, "=");
        char head[64];

        if (!startswith(word, "--") || !word[n] || n + 2 > sizeof(head))
                return false;
        memcpy(head, word, n + 1);
        head[n + 1] = 0;
        return complete_value(option_find(head), head, word);
}

/* The words before the one that is completed: which verb, how many of its arguments, and what reaches the daemon. */
static const Verb *scan(Ctl *c, const char *const *words, size_t n, size_t *ret_arguments) {
        const Verb *v = NULL;

        *ret_arguments = 0;
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
                if (v)
                        ++*ret_arguments;
                else
                        v = verb_find(words[i]);
        }
        return v;
}

int verb_complete(Ctl *c, const char *const *args, size_t n) {
        const char *word = args[n - 1], *before = n > 1 ? args[n - 2] : "";
        size_t arguments;
        const Verb *v = scan(c, args, n - 1, &arguments);
        const Option *p = option_find(before);

        /* What goes wrong on the way to the daemon must not be written over the command line. */
        if (!freopen("/dev/null", "w", stderr))
                return STATUS_SUCCESS;
        c->options.no_ask_password = true;
        if (complete_attached(word) || (p && !strchr(before, '=') && complete_value(p, "", word)))
                return STATUS_SUCCESS;
        if (word[0] == '-')
                complete_options(v, word);
        else if (!v)
                complete_verbs(word);
        else if (arguments < v->max)
                complete_operand(c, v->operand, word);
        return STATUS_SUCCESS;
}
