/* /org/runbookd1/run/N. Objects of unfinished runs and of old ones alike are looked up when they are called. */
#include "bus-convert.h"
#include "bus-private.h"
#include "i18n.h"
#include "strbuf.h"

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        Bus *b = userdata;
        uint32_t id;
        Run *run;
        if (!bus_parse_run_path(path, &id))
                return 0;
        int r = engine_get_run(b->engine, id, &run);
        if (r != 0)
                return r < 0 ? r : 0;
        b->object = (BusObject) {.bus = b, .run = id};
        *ret = &b->object;
        return 1;
}

/* ---- properties ---- */

static int append_state(sd_bus_message *m, const void *object) {
        const Run *r = object;
        return sd_bus_message_append_basic(m, 's', run_state_to_string(r->state));
}

static int append_status_text(sd_bus_message *m, const void *object) {
        _cleanup_free_ char *text = run_status_text(object);
        return text ? bus_append_text(m, text) : -ENOMEM;
}

static int append_pending_requests(sd_bus_message *m, const void *object) {
        uint32_t n = run_pending_requests(object);
        return sd_bus_message_append_basic(m, 'u', &n);
}

static int append_had_errors(sd_bus_message *m, const void *object) {
        int b = ((const Run *) object)->had_errors;
        return sd_bus_message_append_basic(m, 'b', &b);
}

static int append_runbook(sd_bus_message *m, const void *object) {
        const Run *r = object;
        return bus_append_text(m, r->runbook->name);
}

static int append_trigger(sd_bus_message *m, const void *object) {
        return bus_append_text(m, ((const Run *) object)->trigger);
}

static int append_labels(sd_bus_message *m, const void *object) {
        const Run *run = object;
        int r = sd_bus_message_open_container(m, 'a', "{ss}");
        JSON_OBJECT_FOREACH(run->labels, key, value)
                if (r < 0 || (r = sd_bus_message_open_container(m, 'e', "ss")) < 0 || (r = bus_append_text(m, key)) < 0 ||
                    (r = bus_append_text(m, json_string(value))) < 0 || (r = sd_bus_message_close_container(m)) < 0)
                        return r;
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Everybody may see why a phase did not run, which is told in names and states. Why one failed is an error, and tells of values and of the
 * definition, as does what ended a run that gave up before it began: who may read them has them from Describe(). */
static const char *public_reason(const Run *run, const Phase *p) {
        return p->state == PHASE_SKIPPED || (p->state == PHASE_CANCELLED && !run->gave_up) ? p->reason : NULL;
}

static int append_phases(sd_bus_message *m, const void *object) {
        const Run *run = object;
        int r = sd_bus_message_open_container(m, 'a', "(sss)");
        for (unsigned i = 0; r >= 0 && i < run->runbook->n_phases; i++) {
                const Phase *p = &run->phases[i];
                if ((r = sd_bus_message_open_container(m, 'r', "sss")) >= 0 &&
                    (r = sd_bus_message_append(m, "ss", p->def->name, phase_state_to_string(phase_shown_state(p)))) >= 0 &&
                    (r = bus_append_text(m, public_reason(run, p))) >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

#define DEFINE_APPEND_FIELD(field, type)                                                \
        static int append_##field(sd_bus_message *m, const void *object) {              \
                return sd_bus_message_append_basic(m, type, &((const Run *) object)->field); \
        }
DEFINE_APPEND_FIELD(id, 'u')
DEFINE_APPEND_FIELD(created_at, 't')
DEFINE_APPEND_FIELD(started_by, 'u')
DEFINE_APPEND_FIELD(replay_of, 'u')
DEFINE_APPEND_FIELD(root_run, 'u')
DEFINE_APPEND_FIELD(scheduled_for, 't')
DEFINE_APPEND_FIELD(started_at, 't')
DEFINE_APPEND_FIELD(finished_at, 't')
DEFINE_APPEND_FIELD(next_retry_at, 't')
DEFINE_APPEND_FIELD(attempt, 'u')

const BusProperty run_properties[] = {
        [RUN_CHANGE_STATE] = {"State", "s", append_state},
        [RUN_CHANGE_STATUS_TEXT] = {"StatusText", "s", append_status_text},
        [RUN_CHANGE_PENDING_REQUESTS] = {"PendingRequests", "u", append_pending_requests},
        [RUN_CHANGE_HAD_ERRORS] = {"HadErrors", "b", append_had_errors},
        [RUN_CHANGE_SCHEDULED_FOR] = {"ScheduledFor", "t", append_scheduled_for},
        [RUN_CHANGE_STARTED_AT] = {"StartedAt", "t", append_started_at},
        [RUN_CHANGE_FINISHED_AT] = {"FinishedAt", "t", append_finished_at},
        [RUN_CHANGE_NEXT_RETRY_AT] = {"NextRetryAt", "t", append_next_retry_at},
        [RUN_CHANGE_ATTEMPT] = {"Attempt", "u", append_attempt},
        [RUN_CHANGE_PHASES] = {"Phases", "a(sss)", append_phases},
        {"Id", "u", append_id},
        {"Runbook", "s", append_runbook},
        {"CreatedAt", "t", append_created_at},
        {"StartedBy", "u", append_started_by},
        {"Trigger", "s", append_trigger},
        {"ReplayOf", "u", append_replay_of},
        {"RootRun", "u", append_root_run},
        {"Labels", "a{ss}", append_labels},
};

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                        sd_bus_error *error) {
        Run *run;
        int r = bus_read_object(userdata, &run, NULL, error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(run_properties); i++)
                if (streq(run_properties[i].name, property))
                        return run_properties[i].append(reply, run);
        return -ENOENT;
}

/* ---- reads ---- */

static int method_get_inputs(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Run *run;
        int r = bus_read_object(userdata, &run, NULL, error);
        if (r >= 0 && json_size(run->inputs, PAGE_SIZE_MAX) > PAGE_SIZE_MAX)
                r = bus_refuse(error, VERDICT_TOO_LARGE, _("The inputs are too large for one message."));
        if (r >= 0 && (r = sd_bus_message_new_method_return(m, &reply)) >= 0)
                r = bus_append_values(reply, run->inputs);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int append_activity(sd_bus_message *reply, const Activity *a) {
        char path[BUS_ACTIVITY_PATH_SIZE];
        const Attempt *t = activity_attempt(a);
        bus_activity_path(a->run->id, a->def->name, path);
        return sd_bus_message_append(reply, "(sssuo)", a->def->name, a->run->runbook->phases[a->def->phase].name,
                                     activity_state_to_string(a->state), t ? t->number : 0, path);
}

static int method_list_activities(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Run *run;
        int r = bus_read_object(userdata, &run, NULL, error);
        if (r >= 0 && (r = sd_bus_message_new_method_return(m, &reply)) >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sssuo)");
        for (unsigned i = 0; r >= 0 && i < run->runbook->n_activities; i++)
                r = append_activity(reply, run->activities[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* ---- history ---- */

typedef struct HistoryPage {
        sd_bus_message *reply;
        size_t size;
        StrBuf text;                                    /* reused from entry to entry */
} HistoryPage;

static void text_member(StrBuf *b, const char *key, const char *value) {
        if (!value)
                return;
        Json *j = json_new_string(value);
        char *quoted = j ? json_to_string(j, false) : NULL;
        if (quoted)
                strbuf_appendf(b, "\"%s\":%s,", key, quoted);
        b->failed = b->failed || !quoted;
        free(quoted);
        json_unref(j);
}

/* One object: what places the event, then what its type has, which is stored as the text of an object. */
static const char *history_data(StrBuf *b, const EventRow *row) {
        const char *data = row->data && *row->data == '{' ? row->data + 1 : "}";
        b->n = 0;
        strbuf_append_c(b, '{');
        text_member(b, startswith(row->type, "phase-") ? "phase" : "activity", row->activity);
        if (row->attempt)
                strbuf_appendf(b, "\"attempt\":%u,", row->attempt);
        text_member(b, "step", row->step);
        text_member(b, "user", row->user);
        if (*data == '}' && b->n > 1)
                b->n--;                                 /* the comma */
        strbuf_append(b, data);
        return b->failed ? NULL : b->s;
}

static int append_history(void *userdata, const EventRow *row) {
        HistoryPage *p = userdata;
        const char *data = history_data(&p->text, row);
        if (!data)
                return -ENOMEM;
        p->size += p->text.n + strlen(row->type) + strlen(strempty(row->activity)) + 64;
        if (p->size > PAGE_SIZE_MAX)
                return 1;
        int r = sd_bus_message_open_container(p->reply, 'r', "utusss");
        if (r < 0 || (r = sd_bus_message_append(p->reply, "utuss", row->seq, row->at, row->uid, row->type, strempty(row->activity))) < 0 ||
            (r = bus_append_text(p->reply, data)) < 0)
                return r;
        return sd_bus_message_close_container(p->reply);
}

static int method_get_history(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        BusObject *o = userdata;
        HistoryPage page = {};
        uint32_t from, max;
        Run *run;
        int r = sd_bus_message_read(m, "uu", &from, &max);
        if (r >= 0)
                r = bus_read_object(o, &run, NULL, error);
        if (r >= 0 && (r = sd_bus_message_new_method_return(m, &reply)) >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(utusss)");
        if (r < 0)
                return r;
        page.reply = reply;
        r = engine_history(o->bus->engine, o->run, from, max, append_history, &page);
        strbuf_done(&page.text);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int method_get_definition(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Run *run;
        int r = bus_read_object(userdata, &run, NULL, error);
        if (r >= 0 && (r = sd_bus_message_new_method_return(m, &reply)) >= 0)
                r = bus_append_text(reply, run->runbook->text);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* Of a run that has ended: until when it can be replayed; 0: for ever. */
static int add_replay_until(Bus *b, const Run *run, Json *j) {
        usec_t until = 0;
        int r = run_state_is_terminal(run->state) ? engine_replay_until(b->engine, run, &until) : -ENODATA;
        if (r < 0)
                return r == -ENODATA ? 0 : r;
        return json_set_uint(j, "replayUntil", until == USEC_INFINITY ? 0 : until);
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_json_ Json *j = NULL;
        BusObject *o = userdata;
        Run *run;
        int r = bus_read_object(o, &run, NULL, error);
        if (r >= 0)
                r = run_describe(run, &j);
        if (r >= 0)
                r = add_replay_until(o->bus, run, j);
        return r < 0 ? r : bus_reply_json(m, j, error);
}

static const sd_bus_vtable run_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("StartNow", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reschedule", SD_BUS_ARGS("t", at, "a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetInputs", SD_BUS_ARGS("a{sv}", inputs, "a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Replay", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("u", id, "o", run), bus_method_verb,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Rerun", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("u", id, "o", run), bus_method_verb,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetInputs", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", inputs), method_get_inputs, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListActivities", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sssuo)", activities), method_list_activities,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetHistory", SD_BUS_ARGS("u", from, "u", max), SD_BUS_RESULT("a(utusss)", history), method_get_history,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetDefinition", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", text), method_get_definition,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", description), method_describe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Id", "u", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Runbook", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("CreatedAt", "t", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("StartedBy", "u", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Trigger", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ReplayOf", "u", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("RootRun", "u", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Labels", "a{ss}", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("StatusText", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("PendingRequests", "u", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("HadErrors", "b", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ScheduledFor", "t", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("StartedAt", "t", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("FinishedAt", "t", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("NextRetryAt", "t", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Attempt", "u", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Phases", "a(sss)", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
        SD_BUS_VTABLE_END,
};

/* ---- introspection: the unfinished runs below /org/runbookd1, the activities below a run ---- */

typedef struct Paths {
        char **paths;
        size_t n, n_allocated;
} Paths;

static int add_path(Paths *p, const char *path) {
        if (!GREEDY_REALLOC(p->paths, p->n_allocated, p->n + 2) || !(p->paths[p->n] = strdup(path)))
                return -ENOMEM;
        p->n++;
        return 0;
}

static int add_activities(Bus *b, uint32_t id, Paths *p) {
        char path[BUS_ACTIVITY_PATH_SIZE];
        Run *run;
        int r = engine_get_run(b->engine, id, &run);
        if (r != 0)
                return r < 0 ? r : 0;
        for (unsigned i = 0; r >= 0 && i < run->runbook->n_activities; i++) {
                bus_activity_path(id, run->activities[i]->def->name, path);
                r = add_path(p, path);
        }
        return r;
}

static int add_live_runs(Bus *b, Paths *p) {
        char path[BUS_RUN_PATH_SIZE];
        Run *run;
        int r = 0;
        for (size_t i = 0; r >= 0 && engine_iterate_live(b->engine, &i, &run);) {
                bus_run_path(run->id, path);
                r = add_path(p, path);
        }
        return r;
}

/* The run whose path, or whose /activity below it, this is; 0: another path. */
static uint32_t run_of_prefix(const char *prefix) {
        _cleanup_free_ char *copy = strdup(prefix);
        uint32_t id;
        if (!copy)
                return 0;
        const char *end = endswith(copy, "/activity");
        if (end)
                copy[end - copy] = 0;
        return bus_parse_run_path(copy, &id) ? id : 0;
}

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        Bus *b = userdata;
        Paths p = {};
        uint32_t id = run_of_prefix(prefix);
        int r = id ? add_activities(b, id, &p) : add_live_runs(b, &p);
        if (r < 0) {
                strings_free(p.paths);
                return r;
        }
        *ret = p.paths;
        return 0;
}

int bus_add_runs(Bus *b) {
        sd_bus_slot *slot = NULL;
        int r = sd_bus_add_fallback_vtable(b->connection, &slot, BUS_PATH "/run", BUS_RUN, run_vtable, find, b);
        r = bus_keep_slot(b, r, slot);
        if (r < 0)
                return r;
        r = sd_bus_add_node_enumerator(b->connection, &slot, BUS_PATH "/run", enumerate, b);
        return bus_keep_slot(b, r, slot);
}
