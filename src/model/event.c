/* Events and their stored form. One table says which members a type's `data` has; everything that only one type has (inputs, a request, an answer, the
 * identity of a process) travels in Event.data and is stored beside them. The stored form is what people see in the history, so members have the names of
 * the contract and are left out where they say nothing. */
#include "event.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "fd-util.h"

enum {
        F_CAUSE = 1 << 0,
        F_RUN_STATE = 1 << 1,
        F_PHASE_STATE = 1 << 2,
        F_ACTIVITY_STATE = 1 << 3,
        F_ATTEMPT_STATE = 1 << 4,
        F_STEP_STATE = 1 << 5,
        F_ERROR = 1 << 6,
        F_OUTPUTS = 1 << 7,
        F_EXIT = 1 << 8,
        F_UNTIL = 1 << 9,
        F_INTERRUPTED = 1 << 10,
        F_REASON = 1 << 11,
};

static const struct {
        const char *name;
        unsigned fields;
} types[_EVENT_TYPE_MAX] = {
        [EVENT_RUN_CREATED] = { "run-created", F_REASON | F_UNTIL },
        [EVENT_RUN_WORKSPACE] = { "run-workspace", F_ERROR },
        [EVENT_RUN_START_NOW] = { "run-start-now", F_REASON },
        [EVENT_RUN_RESCHEDULED] = { "run-rescheduled", F_UNTIL | F_REASON },
        [EVENT_RUN_STARTED] = { "run-started", 0 },
        [EVENT_RUN_STATE] = { "run-state", F_RUN_STATE },
        [EVENT_RUN_PAUSED] = { "run-paused", F_REASON },
        [EVENT_RUN_RESUMED] = { "run-resumed", F_REASON },
        [EVENT_RUN_BACKOFF] = { "run-backoff", F_UNTIL | F_REASON },
        [EVENT_RUN_CANCEL] = { "run-cancel", F_REASON },
        [EVENT_RUN_TIMED_OUT] = { "run-timed-out", 0 },
        [EVENT_RUN_GAVE_UP] = { "run-gave-up", F_REASON },
        [EVENT_RUN_FINISHED] = { "run-finished", F_RUN_STATE | F_REASON },
        [EVENT_INPUTS_CHANGED] = { "inputs-changed", F_REASON },
        [EVENT_DEFINITION_CHANGED] = { "definition-changed", F_REASON },
        [EVENT_PHASE_STARTED] = { "phase-started", 0 },
        [EVENT_PHASE_FINISHED] = { "phase-finished", F_PHASE_STATE | F_REASON },
        [EVENT_ATTEMPT_STARTED] = { "attempt-started", F_CAUSE },
        [EVENT_ATTEMPT_TIMED_OUT] = { "attempt-timed-out", F_ERROR },
        [EVENT_ATTEMPT_FINISHED] = { "attempt-finished", F_ATTEMPT_STATE | F_ERROR },
        [EVENT_HOOK_TIMED_OUT] = { "hook-timed-out", 0 },
        [EVENT_STEP_STARTED] = { "step-started", 0 },
        [EVENT_STEP_TIMED_OUT] = { "step-timed-out", 0 },
        [EVENT_STEP_FINISHED] = { "step-finished", F_STEP_STATE | F_ERROR | F_OUTPUTS | F_EXIT | F_INTERRUPTED },
        [EVENT_REQUEST_OPENED] = { "request-opened", F_UNTIL },
        [EVENT_REQUEST_ANSWERED] = { "request-answered", F_REASON },
        [EVENT_ACTIVITY_REUSED] = { "activity-reused", F_ACTIVITY_STATE | F_OUTPUTS },
        [EVENT_ACTIVITY_BACKOFF] = { "activity-backoff", F_UNTIL },
        [EVENT_INPUTS_WANTED] = { "inputs-wanted", 0 },
        [EVENT_ACTIVITY_HELD] = { "activity-held", F_UNTIL | F_ERROR },
        [EVENT_ACTIVITY_DECIDED] = { "activity-decided", F_REASON | F_OUTPUTS },
        [EVENT_ACTIVITY_FINISHED] = { "activity-finished", F_ACTIVITY_STATE | F_REASON | F_ERROR },
};

const char *event_type_to_string(EventType t) {
        return (size_t) t < ELEMENTSOF(types) ? types[t].name : NULL;
}

EventType event_type_from_string(const char *s) {
        for (size_t i = 0; s && i < ELEMENTSOF(types); i++)
                if (streq(types[i].name, s))
                        return (EventType) i;
        return _EVENT_TYPE_INVALID;
}

Event *event_new(EventType type, const Stamp *at, uint32_t uid, const char *user) {
        Event *e = malloc(sizeof *e);

        if (!e)
                return NULL;
        *e = (Event) { .type = type, .at = *at, .uid = uid, .phase = -1, .activity = -1, .step = -1, .exit_code = -1, .started = true };
        return user && !(e->user = strdup(user)) ? event_free(e) : e;
}

Event *event_free(Event *e) {
        if (!e)
                return NULL;
        free(e->user);
        login_free(e->login);
        free(e->reason);
        json_unref(e->error);
        json_unref(e->outputs);
        json_unref(e->data);
        runbook_unref(e->runbook);
        free(e);
        return NULL;
}

static const char *state_name(const Event *e, unsigned f) {
        return f & F_RUN_STATE        ? run_state_to_string(e->run_state)
                : f & F_PHASE_STATE    ? phase_state_to_string(e->phase_state)
                : f & F_ACTIVITY_STATE ? activity_state_to_string(e->activity_state)
                : f & F_ATTEMPT_STATE  ? attempt_state_to_string(e->attempt_state)
                : f & F_STEP_STATE     ? step_state_to_string(e->step_state)
                                       : NULL;
}

/* Those of the type's fields that this one has. */
static unsigned fields_of(const Event *e) {
        unsigned f = types[e->type].fields;

        f &= ~(e->reason ? 0 : F_REASON);
        f &= ~(e->error ? 0 : F_ERROR);
        f &= ~(e->outputs ? 0 : F_OUTPUTS);
        f &= ~(e->until > 0 || e->span > 0 ? 0 : F_UNTIL);
        f &= ~(e->interrupted || e->clean ? 0 : F_INTERRUPTED);
        return f;
}

static int encode_fields(const Event *e, unsigned f, Json *j) {
        const char *state = state_name(e, f);
        int r = 0;

        if (state)
                r = json_set_string(j, "state", state);
        if (r >= 0 && f & F_CAUSE)
                r = json_set_string(j, "cause", cause_to_string(e->cause));
        if (r >= 0 && f & F_REASON)
                r = json_set_string(j, "reason", e->reason);
        if (r >= 0 && f & F_EXIT && e->exit_code >= 0)
                r = json_set_int(j, "exitCode", e->exit_code);
        if (r >= 0 && f & F_EXIT && !e->started)
                r = json_set_bool(j, "started", false);
        if (r >= 0 && f & F_EXIT && e->log_end > 0)
                r = json_set_uint(j, "logEnd", e->log_end);
        if (r >= 0 && f & F_ERROR)
                r = json_set(j, "error", json_ref(e->error));
        if (r >= 0 && f & F_OUTPUTS)
                r = json_set(j, "outputs", json_ref(e->outputs));
        if (r >= 0 && f & F_UNTIL && e->until > 0)
                r = json_set_uint(j, "until", e->until);
        if (r >= 0 && f & F_UNTIL && e->span > 0)
                r = json_set_uint(j, "span", e->span);
        if (r >= 0 && f & F_INTERRUPTED && e->interrupted)
                r = json_set_bool(j, "interrupted", true);
        if (r >= 0 && f & F_INTERRUPTED && e->clean)
                r = json_set_bool(j, "clean", true);
        return r;
}

int event_encode(const Event *e, char **ret) {
        _cleanup_json_ Json *fields = NULL;
        unsigned f = fields_of(e);
        int r;

        if (f != 0 || e->login) {
                fields = json_new_object();
                r = fields ? encode_fields(e, f, fields) : -ENOMEM;
                if (r >= 0)
                        r = login_encode(e->login, fields);
                if (r < 0)
                        return r;
        }
        if (json_length(fields) == 0 && json_length(e->data) == 0) {
                *ret = NULL;
                return 0;
        }
        *ret = json_members_to_string(fields, e->data);
        return *ret ? 0 : -ENOMEM;
}

/* A member that the type has is taken out of the object; what stays is Event.data. */
static Json *take_member(Json *j, const char *key) {
        Json *v = json_ref(json_get(j, key));

        json_del(j, key);
        return v;
}

static int take_name(Json *j, const char *key, int (*from_string)(const char *s)) {
        _cleanup_json_ Json *v = take_member(j, key);
        return v ? from_string(json_string(v)) : -EINVAL;
}

static int decode_run_state(const char *s) { return run_state_from_string(s); }
static int decode_phase_state(const char *s) { return phase_state_from_string(s); }
static int decode_activity_state(const char *s) { return activity_state_from_string(s); }
static int decode_attempt_state(const char *s) { return attempt_state_from_string(s); }
static int decode_step_state(const char *s) { return step_state_from_string(s); }
static int decode_cause(const char *s) { return cause_from_string(s); }

static int decode_states(Event *e, unsigned f, Json *j) {
        static const struct {
                unsigned field;
                const char *key;
                int (*from_string)(const char *s);
                size_t offset;
        } names[] = {
                { F_RUN_STATE, "state", decode_run_state, offsetof(Event, run_state) },
                { F_PHASE_STATE, "state", decode_phase_state, offsetof(Event, phase_state) },
                { F_ACTIVITY_STATE, "state", decode_activity_state, offsetof(Event, activity_state) },
                { F_ATTEMPT_STATE, "state", decode_attempt_state, offsetof(Event, attempt_state) },
                { F_STEP_STATE, "state", decode_step_state, offsetof(Event, step_state) },
                { F_CAUSE, "cause", decode_cause, offsetof(Event, cause) },
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                if (!(f & names[i].field))
                        continue;
                int v = take_name(j, names[i].key, names[i].from_string);
                if (v < 0)
                        return -EBADMSG;
                memcpy((uint8_t *) e + names[i].offset, &v, sizeof v);
        }
        return 0;
}

/* Takes a member that must be of this type where it is there at all. */
static int take_typed(Json *j, const char *key, JsonType type, Json **ret) {
        Json *v = take_member(j, key);

        if (v && json_type(v) != type) {
                json_unref(v);
                return -EBADMSG;
        }
        *ret = v;
        return 0;
}

static int take_bool(Json *j, const char *key, bool *ret) {
        _cleanup_json_ Json *v = NULL;
        int r = take_typed(j, key, JSON_BOOL, &v);

        if (r >= 0 && v)
                *ret = json_bool(v);
        return r;
}

static int take_uint(Json *j, const char *key, uint64_t max, uint64_t *ret) {
        _cleanup_json_ Json *v = NULL;
        int r = take_typed(j, key, JSON_INT, &v);

        if (r < 0 || !v)
                return r;
        if (json_int(v) < 0 || (uint64_t) json_int(v) > max)
                return -EBADMSG;
        *ret = (uint64_t) json_int(v);
        return 0;
}

static int take_reason(Event *e, Json *j) {
        _cleanup_json_ Json *v = NULL;
        int r = take_typed(j, "reason", JSON_STRING, &v);

        if (r >= 0 && v && !(e->reason = strdup(json_string(v))))
                return -ENOMEM;
        return r;
}

static int take_exit(Event *e, Json *j) {
        uint64_t code = UINT64_MAX;
        int r = take_uint(j, "exitCode", INT_MAX, &code);

        if (r >= 0 && code != UINT64_MAX)
                e->exit_code = (int) code;
        if (r >= 0)
                r = take_bool(j, "started", &e->started);
        return r < 0 ? r : take_uint(j, "logEnd", INT64_MAX, &e->log_end);
}

static int decode_fields(Event *e, unsigned f, Json *j) {
        int r = decode_states(e, f, j);

        if (r >= 0 && f & F_REASON)
                r = take_reason(e, j);
        if (r >= 0 && f & F_EXIT)
                r = take_exit(e, j);
        if (r >= 0 && f & F_ERROR)
                r = take_typed(j, "error", JSON_OBJECT, &e->error);
        if (r >= 0 && f & F_OUTPUTS)
                r = take_typed(j, "outputs", JSON_OBJECT, &e->outputs);
        if (r >= 0 && f & F_UNTIL)
                r = take_uint(j, "until", INT64_MAX, &e->until);
        if (r >= 0 && f & F_UNTIL)
                r = take_uint(j, "span", INT64_MAX, &e->span);
        if (r >= 0 && f & F_INTERRUPTED)
                r = take_bool(j, "interrupted", &e->interrupted);
        if (r >= 0 && f & F_INTERRUPTED)
                r = take_bool(j, "clean", &e->clean);
        return r;
}

/* The names of the row become places in the definition; a name that isn't there is a damaged or foreign row. */
static int decode_place(Event *e, const EventText *row, const Runbook *runbook) {
        if (!isempty(row->subject) && startswith(row->type, "phase-")) {
                const PhaseDef *p = runbook_phase(runbook, row->subject);
                if (!p)
                        return -EBADMSG;
                e->phase = (int) p->index;
        } else if (!isempty(row->subject)) {
                const ActivityDef *a = runbook_activity(runbook, row->subject);
                if (!a)
                        return -EBADMSG;
                e->activity = (int) a->index;
                if (!isempty(row->step)) {
                        e->step = activity_def_find_step(a, row->step);
                        if (e->step < 0)
                                return -EBADMSG;
                }
        }
        e->attempt = row->attempt;
        return 0;
}

int event_decode(const EventText *row, const Runbook *runbook, Event **ret) {
        _cleanup_(event_freep) Event *e = NULL;
        _cleanup_json_ Json *j = NULL;
        EventType type = event_type_from_string(row->type);
        int r;

        if (type < 0)
                return -EBADMSG;
        e = event_new(type, &row->at, row->uid, row->user);
        if (!e)
                return -ENOMEM;
        e->seq = row->seq;
        r = decode_place(e, row, runbook);
        if (r < 0)
                return r;
        if (!isempty(row->data)) {
                r = json_parse(row->data, strlen(row->data), &j);
                if (r < 0 || json_type(j) != JSON_OBJECT)
                        return r == -ENOMEM ? r : -EBADMSG;
        } else if (!(j = json_new_object()))
                return -ENOMEM;
        r = decode_fields(e, types[type].fields, j);
        if (r >= 0)
                r = login_take(j, &e->login);
        if (r < 0)
                return r;
        if (json_length(j) > 0)
                e->data = TAKE_PTR(j);
        *ret = TAKE_PTR(e);
        return 0;
}

const char *event_subject(const Event *e, const Runbook *runbook) {
        return e->activity >= 0 ? runbook->activities[e->activity].name : e->phase >= 0 ? runbook->phases[e->phase].name : NULL;
}

const char *event_step_id(const Event *e, const Runbook *runbook) {
        return e->activity >= 0 && e->step >= 0 ? runbook->activities[e->activity].steps[e->step].id : NULL;
}

Json *error_new(const char *code, usec_t timestamp, const char *fmt, ...) {
        _cleanup_json_ Json *j = json_new_object();
        _cleanup_free_ char *message = NULL;
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vasprintf(&message, fmt, ap);
        va_end(ap);
        if (n < 0) {
                message = NULL;
                return NULL;
        }
        if (!j || json_set_string(j, "message", message) < 0 || json_set_string(j, "code", code) < 0 || json_set_uint(j, "timestamp", timestamp) < 0)
                return NULL;
        return TAKE_PTR(j);
}

const char *error_code(const Json *error) {
        return strempty(json_string(json_get(error, "code")));
}
