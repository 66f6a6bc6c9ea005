/* Who is asked for an approval need not be allowed to read the run, but wants to see where it stands. What properties and the list of
 * activities say is for everybody, so no password is needed for it. Members that can't be known are absent: null means "there is none". */
#include "outline.h"

#include "bus-json.h"
#include "fd-util.h"
#include "i18n.h"

typedef struct Member {
        const char *property, *key;
        bool nullable;                                  /* 0 and "" stand for null */
} Member;

static const Member run_members[] = {
        {"Id", "id"},
        {"Runbook", "runbook"},
        {"State", "state"},
        {"StatusText", "statusText"},
        {"PendingRequests", "pendingRequests"},
        {"HadErrors", "hadErrors"},
        {"StartedBy", "startedBy"},
        {"Trigger", "trigger"},
        {"ReplayOf", "replayOf", true},
        {"RootRun", "rootRun"},
        {"Labels", "labels"},
        {"Attempt", "attempt"},
        {"CreatedAt", "createdAt"},
        {"StartedAt", "startedAt"},
        {"FinishedAt", "finishedAt"},
        {"ScheduledFor", "scheduledFor"},
        {"NextRetryAt", "nextRetryAt"},
};

static const Member activity_members[] = {
        {"WaitingFor", "waitingFor", true},
        {"Title", "title", true},
        {"Approvers", "approvers"},
        {"Deadline", "deadline"},
        {"NextRetryAt", "nextRetryAt"},
};

static const Member activity_head[] = {
        {"Name", "name"},
        {"Phase", "phase"},
        {"State", "state"},
        {"Attempt", "attempt"},
};

static bool stands_for_null(const Json *value) {
        return json_type(value) == JSON_STRING ? isempty(json_string(value)) : json_type(value) == JSON_INT && json_int(value) == 0;
}

static int take_members(const Json *properties, const Member *members, size_t n, Json *object) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                Json *value = json_get(properties, members[i].property);
                r = json_set(object, members[i].key, members[i].nullable && stands_for_null(value) ? NULL : json_ref(value));
        }
        return r;
}

static int get_all(Ctl *c, const char *path, const char *interface, Json **ret, sd_bus_error *error) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;

        int r = client_new_call(c, path, "org.freedesktop.DBus.Properties", "GetAll", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", interface);
        if (r >= 0)
                r = client_try(c, m, error, &reply);
        return r < 0 ? r : bus_read_json(reply, ret);
}

/* [name, state, reason] */
static int add_phases(Json *run, const Json *phases) {
        static const char *const keys[] = {"name", "state", "reason"};
        Json *list = json_new_array();
        int r = list ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < json_length(phases); i++) {
                _cleanup_json_ Json *phase = json_new_object();
                r = phase ? 0 : -ENOMEM;
                for (size_t k = 0; r >= 0 && k < ELEMENTSOF(keys); k++) {
                        Json *value = json_at(json_at(phases, i), k);
                        r = json_set(phase, keys[k], stands_for_null(value) ? NULL : json_ref(value));
                }
                if (r >= 0)
                        r = json_append(list, TAKE_PTR(phase));
        }
        if (r >= 0)
                return json_set(run, "phases", list);
        json_unref(list);
        return r;
}

static int read_properties(Ctl *c, const char *run_path, Json *run, sd_bus_error *error) {
        _cleanup_json_ Json *properties = NULL;

        int r = get_all(c, run_path, BUS_RUN, &properties, error);
        if (r >= 0)
                r = take_members(properties, run_members, ELEMENTSOF(run_members), run);
        return r < 0 ? r : add_phases(run, json_get(properties, "Phases"));
}

static int add_activity(Json *list, const char *name, const char *phase, const char *state, uint32_t attempt) {
        _cleanup_json_ Json *a = json_new_object();

        int r = a ? json_set_string(a, "name", name) : -ENOMEM;
        if (r >= 0)
                r = json_set_string(a, "phase", phase);
        if (r >= 0)
                r = json_set_string(a, "state", state);
        if (r >= 0)
                r = json_set_uint(a, "attempt", attempt);
        return r < 0 ? r : json_append(list, TAKE_PTR(a));
}

static int read_activities(Ctl *c, const char *run_path, Json *run, sd_bus_error *error) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_json_ Json *list = json_new_array();
        const char *name, *phase, *state;
        uint32_t attempt;

        int r = list ? client_new_call(c, run_path, BUS_RUN, "ListActivities", &m) : -ENOMEM;
        if (r >= 0)
                r = client_try(c, m, error, &reply);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(sssuo)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(sssuo)", &name, &phase, &state, &attempt, NULL)) > 0)
                r = add_activity(list, name, phase, state, attempt);
        return r < 0 ? r : json_set(run, "activities", TAKE_PTR(list));
}

int outline_read(Ctl *c, const char *run_path, Json **ret, sd_bus_error *error) {
        _cleanup_json_ Json *run = json_new_object();

        int r = run ? read_properties(c, run_path, run, error) : -ENOMEM;
        if (r >= 0)
                r = read_activities(c, run_path, run, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(run);
        return 0;
}

/* ---- in place of a description ---- */

/* What waits, for whom and until when. The list doesn't say it, and of all other activities there is nothing to ask. */
static int read_waiting(Ctl *c, const char *run_path, const Json *activities, sd_bus_error *error) {
        static const char *const waiting[] = {"on-hold", "backoff"};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < json_length(activities); i++) {
                Json *a = json_at(activities, i);
                const char *state = strempty(json_string(json_get(a, "state")));
                _cleanup_json_ Json *properties = NULL;
                _cleanup_free_ char *path = NULL;
                if (!streq(state, waiting[0]) && !streq(state, waiting[1])) {
                        r = json_set(a, "waitingFor", NULL);
                        continue;
                }
                r = client_activity_path(c, run_path, strempty(json_string(json_get(a, "name"))), &path);
                if (r >= 0)
                        r = get_all(c, path, BUS_ACTIVITY, &properties, error);
                if (r >= 0)
                        r = take_members(properties, activity_members, ELEMENTSOF(activity_members), a);
        }
        return r;
}

static int read_run(Ctl *c, const Target *t, Json **ret, sd_bus_error *error) {
        _cleanup_json_ Json *run = NULL;

        int r = outline_read(c, t->run_path, &run, error);
        if (r >= 0)
                r = read_waiting(c, t->run_path, json_get(run, "activities"), error);
        if (r >= 0)
                *ret = TAKE_PTR(run);
        return r;
}

static int read_activity(Ctl *c, const Target *t, Json **ret, sd_bus_error *error) {
        _cleanup_json_ Json *properties = NULL, *a = json_new_object();

        int r = a ? get_all(c, t->activity_path, BUS_ACTIVITY, &properties, error) : -ENOMEM;
        if (r >= 0)
                r = take_members(properties, activity_head, ELEMENTSOF(activity_head), a);
        if (r >= 0)
                r = take_members(properties, activity_members, ELEMENTSOF(activity_members), a);
        if (r >= 0)
                *ret = TAKE_PTR(a);
        return r;
}

static int call_describe(Ctl *c, const Target *t, Json **ret, sd_bus_error *error) {
        return t->activity ? client_try_json(c, t->activity_path, BUS_ACTIVITY, "Describe", ret, error)
                           : client_try_json(c, t->run_path, BUS_RUN, "Describe", ret, error);
}

/* The mark says whether a password helps. */
static int read_outline(Ctl *c, const Target *t, Json **ret, sd_bus_error *error) {
        bool password = sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        _cleanup_json_ Json *j = NULL;

        sd_bus_error_free(error);
        int r = t->activity ? read_activity(c, t, &j, error) : read_run(c, t, &j, error);
        if (r >= 0)
                r = json_set_string(j, "outline", password ? "password" : "denied");
        if (r >= 0)
                *ret = TAKE_PTR(j);
        return r;
}

int outline_describe(Ctl *c, const Target *t, Json **ret) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        client_allow_questions(c, c->options.all);
        int r = call_describe(c, t, ret, &error);
        client_allow_questions(c, false);
        if (r < 0 && !c->options.all && client_is_refused(&error))
                r = read_outline(c, t, ret, &error);
        if (r >= 0)
                return 0;
        return error.name ? client_activity_error(c, t, &error, r) : r == -ENOMEM ? ctl_oom(c) : client_parse_error(c, r);
}

static const char *why_left_out(const Ctl *c, bool denied) {
        if (denied)
                return _("inputs, outputs, errors and logs: a rule of polkit would have to allow it (org.runbookd1.read)");
        if (c->options.host)
                return _("inputs, outputs, errors and logs: they take a password, which is only asked for on that machine");
        return _("inputs, outputs, errors and logs, which you may not read without a password");
}

int outline_note(const Ctl *c, const Target *t, const Json *outline, char **ret_text, char **ret_command) {
        bool denied = streq_ptr(json_string(json_get(outline, "outline")), "denied"), helps = !denied && !c->options.host;
        _cleanup_free_ char *program = ctl_command(c), *text = strdup(why_left_out(c, denied)), *command = NULL;

        if (program && helps)
                command = xasprintf("%s %s %u%s%s --all", program, c->verb->name, t->run, t->activity ? "/" : "", strempty(t->activity));
        if (!text || (helps && !command))
                return -ENOMEM;
        *ret_text = TAKE_PTR(text);
        *ret_command = TAKE_PTR(command);
        return 0;
}
