/* The one table of what answers what. Everything that shows a request (status, watch, inbox, explain, start --follow) takes its commands
 * from here, with the options that reach the same daemon. */
#include "waits.h"

#include <grp.h>
#include <pwd.h>

#include "answer.h"
#include "i18n.h"

static const struct Answers {
        const char *kind;
        struct {
                const char *verb, *more;                /* more: behind RUN/ACTIVITY */
        } commands[3];
} table[] = {
        {"approval", {{"approve", ""}, {"reject", " -m WHY"}}},
        {"decision", {{"retry", ""}, {"ignore", " -m WHY"}, {"abort", " -m WHY"}}},
};

static const struct Answers *answers_of(const char *kind) {
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq_ptr(table[i].kind, kind))
                        return table + i;
        return NULL;
}

static int append_text(Json *array, StrBuf *b) {
        _cleanup_free_ char *s = strbuf_take(b);
        return s ? json_append(array, json_new_string(s)) : -ENOMEM;
}

/* "runbookctl provide 12/build version=VALUE channel=VALUE" */
static int append_provide(const char *command, uint32_t run, const char *activity, const Json *fields, Json *commands) {
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_appendf(&b, "%s provide %u/%s", command, run, activity);
        for (size_t i = 0; i < json_length(fields); i++)
                strbuf_appendf(&b, " %s=VALUE", strempty(json_string(json_get(json_at(fields, i), "name"))));
        if (json_length(fields) == 0)
                strbuf_append(&b, " NAME=VALUE");
        return append_text(commands, &b);
}

int waits_commands(const Ctl *c, uint32_t run, const char *activity, const char *kind, const Json *fields, Json *commands) {
        _cleanup_free_ char *command = ctl_command(c);
        const struct Answers *a = answers_of(kind);
        int r = 0;

        if (!command)
                return -ENOMEM;
        if (streq_ptr(kind, "input"))
                return append_provide(command, run, activity, fields, commands);
        for (size_t i = 0; r >= 0 && a && i < ELEMENTSOF(a->commands) && a->commands[i].verb; i++) {
                _cleanup_strbuf_ StrBuf b = {};
                strbuf_appendf(&b, "%s %s %u/%s%s", command, a->commands[i].verb, run, activity, a->commands[i].more);
                r = append_text(commands, &b);
        }
        return r;
}

char *waits_hint(const Ctl *c, uint32_t run, const char *activity, const char *kind) {
        _cleanup_json_ Json *commands = json_new_array();
        const struct Answers *a = answers_of(kind);
        _cleanup_strbuf_ StrBuf b = {}, others = {};

        if (!commands || waits_commands(c, run, activity, kind, NULL, commands) < 0)
                return NULL;
        strbuf_append(&b, strempty(json_string(json_at(commands, 0))));
        for (size_t i = 1; i < json_length(commands); i++)
                strbuf_appendf(&others, "%s%s", i > 1 ? ", " : "", a->commands[i].verb);
        _cleanup_free_ char *names = strbuf_take(&others);
        if (!isempty(names)) {
                strbuf_append_c(&b, ' ');
                strbuf_appendf(&b, _("(or %s)"), names);
        }
        return strbuf_take(&b);
}

/* What the description says, for those who may not see more; an outline has the last three. */
static Json *from_description(const Json *activity) {
        static const char *const keys[][2] = {
                {"waitingFor", "kind"}, {"error", "error"}, {"title", "title"}, {"approvers", "approvers"}, {"deadline", "deadline"}};
        _cleanup_json_ Json *q = json_new_object();

        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (!q || json_set(q, keys[i][1], json_ref(json_get(activity, keys[i][0]))) < 0)
                        return NULL;
        return TAKE_PTR(q);
}

static int read_one(Ctl *c, const Target *run, const Json *activity, Json *requests) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *name = strempty(json_string(json_get(activity, "name")));
        _cleanup_json_ Json *q = NULL, *commands = json_new_array();
        _cleanup_free_ char *path = NULL;

        int r = client_activity_path(c, run->run_path, name, &path);
        if (r < 0)
                return r;
        Target t = {.run = run->run, .activity_path = path};
        r = answer_get_request(c, &t, &q, &error);
        if (r < 0 && (!error.name || client_is_away(&error)))
                return client_error(c, &error, r);
        if (r < 0)
                q = from_description(activity);
        if (r < 0 && q && answer_add_approvers(c, &t, q) < 0)
                return ctl_oom(c);
        if (!q || !commands || json_set_string(q, "activity", name) < 0 ||
            waits_commands(c, run->run, name, json_string(json_get(q, "kind")), json_get(q, "fields"), commands) < 0 ||
            json_set(q, "commands", TAKE_PTR(commands)) < 0 || json_append(requests, TAKE_PTR(q)) < 0)
                return ctl_oom(c);
        return 0;
}

int waits_read(Ctl *c, const Target *t, const Json *activities, Json **ret) {
        _cleanup_json_ Json *requests = json_new_array();

        if (!requests)
                return ctl_oom(c);
        for (size_t i = 0; i < json_length(activities); i++) {
                const Json *a = json_at(activities, i);
                int r = json_get(a, "waitingFor") ? read_one(c, t, a, requests) : 0;
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(requests);
        return 0;
}

/* A failure is no question to approvers: the owners are only told of it. */
char *waits_who(const Json *request) {
        const Json *approvers = json_get(request, "approvers");
        bool decision = streq_ptr(json_string(json_get(request, "kind")), "decision");
        _cleanup_strbuf_ StrBuf b = {};

        if (decision || json_length(approvers) == 0)
                strbuf_append(&b, _("whoever may operate runs"));
        if (decision && json_length(approvers) > 0)
                strbuf_appendf(&b, " (%s ", _("owners:"));
        for (size_t i = 0; i < json_length(approvers); i++)
                strbuf_appendf(&b, "%s%s", i > 0 ? ", " : "", strempty(json_string(json_at(approvers, i))));
        strbuf_append(&b, decision && json_length(approvers) > 0 ? ")" : "");
        return strbuf_take(&b);
}

char *waits_answers(const Json *request) {
        const Json *answers = json_get(request, "answers");
        unsigned required = (unsigned) json_int(json_get(request, "required")), given = (unsigned) json_length(answers);
        _cleanup_strbuf_ StrBuf b = {};

        if (required <= 1)
                return strdup("");
        strbuf_appendf(&b, P_("%u of %u has approved", "%u of %u have approved", required), given, required);
        for (size_t i = 0; i < given; i++) {
                const char *user = json_string(json_get(json_at(answers, i), "user"));
                strbuf_append(&b, i == 0 ? ": " : ", ");
                if (user)
                        strbuf_append(&b, user);
                else
                        strbuf_appendf(&b, "%" PRIi64, json_int(json_get(json_at(answers, i), "uid")));
        }
        return strbuf_take(&b);
}

/* ---- who is meant ---- */

static bool in_group(const char *name) {
        const struct group *g = getgrnam(name);
        gid_t *groups;
        int n;

        if (!g)
                return false;
        gid_t gid = g->gr_gid;
        if (gid == getegid())
                return true;
        n = getgroups(0, NULL);
        groups = n > 0 ? calloc((size_t) n, sizeof(gid_t)) : NULL;
        n = groups ? getgroups(n, groups) : 0;
        bool found = false;
        for (int i = 0; i < n; i++)
                found = found || groups[i] == gid;
        free(groups);
        return found;
}

/* NAME, user:NAME or group:NAME, as the daemon reads it. */
static bool is_me(const char *principal) {
        const char *group = startswith(principal, "group:"), *user = startswith(principal, "user:");

        if (group)
                return in_group(group);
        const struct passwd *u = getpwnam(user ? user : principal);
        return u && u->pw_uid == getuid();
}

bool waits_for_me(const Ctl *c, const Json *row, const Json *request) {
        const Json *approvers = json_get(row, "approvers");

        if (json_has(request, "canAnswer"))
                return json_bool(json_get(request, "canAnswer"));
        if (c->options.host || streq_ptr(json_string(json_get(row, "kind")), "decision"))
                return true;
        for (size_t i = 0; i < json_length(approvers); i++)
                if (is_me(strempty(json_string(json_at(approvers, i)))))
                        return true;
        return json_length(approvers) == 0;
}

/* ---- the one that waits ---- */

/* Does this activity wait for that? The property is for everybody to read. */
static int waits_for(Ctl *c, const char *path, const char *kind, bool *ret) {
        _cleanup_free_ char *s = NULL;

        int r = client_get_text(c, path, BUS_ACTIVITY, "WaitingFor", &s);
        if (r >= 0)
                *ret = streq(s, kind);
        return r;
}

/* Names of the activities that wait for that. */
static int list_waiting(Ctl *c, const char *run_path, const char *kind, Json **ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ Json *names = json_new_array();
        const char *name, *state, *path;

        if (!names)
                return ctl_oom(c);
        int r = client_call(c, run_path, BUS_RUN, "ListActivities", &reply, NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sssuo)");
        if (r < 0)
                return client_parse_error(c, r);
        while ((r = sd_bus_message_read(reply, "(sssuo)", &name, NULL, &state, NULL, &path)) > 0) {
                bool waits = false;
                if (!streq(state, "on-hold"))
                        continue;
                r = waits_for(c, path, kind, &waits);
                if (r < 0)
                        return r;
                if (waits && json_append(names, json_new_string(name)) < 0)
                        return ctl_oom(c);
        }
        if (r < 0)
                return client_parse_error(c, r);
        *ret = TAKE_PTR(names);
        return 0;
}

static int say_which(Ctl *c, const Target *t, const char *kind, const Json *names) {
        bool input = streq(kind, "input");
        _cleanup_strbuf_ StrBuf b = {};
        size_t n = json_length(names);

        if (n == 0)
                return ctl_error(c,
                                 input ? _("No activity of run %u waits for input. What it does: runbookctl status %u")
                                       : _("No activity of run %u waits for a decision. What it does: runbookctl status %u"),
                                 t->run, t->run);
        for (size_t i = 0; i < n; i++)
                strbuf_appendf(&b, "%s%u/%s", i > 0 ? ", " : "", t->run, json_string(json_at(names, i)));
        _cleanup_free_ char *list = strbuf_take(&b);
        return ctl_usage_error(c,
                               input ? P_("Which activity? %zu waits for input: %s", "Which activity? %zu wait for input: %s", n)
                                     : P_("Which activity? %zu waits for a decision: %s", "Which activity? %zu wait for a decision: %s", n),
                               n, strempty(list));
}

int waits_find(Ctl *c, Target *t, const char *kind) {
        _cleanup_json_ Json *names = NULL;

        if (t->activity)
                return 0;
        int r = list_waiting(c, t->run_path, kind, &names);
        if (r < 0)
                return r;
        if (json_length(names) != 1)
                return say_which(c, t, kind, names);
        t->activity = strdup(json_string(json_at(names, 0)));
        return t->activity ? client_activity_path(c, t->run_path, t->activity, &t->activity_path) : ctl_oom(c);
}
