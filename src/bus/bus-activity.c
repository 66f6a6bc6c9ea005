/* /org/runbookd1/run/N/activity/NAME: requests and descriptions, and the logs of attempts.
 *
 * A log is one file per attempt, with the range of each step in the journal. Readers get bytes by their offset in the step's (or attempt's)
 * log; the head of a long one may be gone, a hole in the file, and a reader that comes too late is told by the offset where data begins. */
#include <fcntl.h>
#include <sys/stat.h>

#include "bus-convert.h"
#include "bus-private.h"
#include "fd-util.h"
#include "i18n.h"

#define LOG_CHUNK_MAX (256u * 1024u)                    /* of one ReadLog */
#define STEP_NAME_SIZE_MAX 256u

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        Bus *b = userdata;
        BusObject o = {.bus = b};
        Run *run;
        if (!bus_parse_activity_path(path, &o.run, o.activity))
                return 0;
        int r = engine_get_run(b->engine, o.run, &run);
        if (r != 0 || !run_activity(run, o.activity))
                return r < 0 ? r : 0;
        b->object = o;
        *ret = &b->object;
        return 1;
}

/* ---- properties ---- */

static int append_name(sd_bus_message *m, const void *object) {
        const Activity *a = object;
        return sd_bus_message_append_basic(m, 's', a->def->name);
}

static int append_phase(sd_bus_message *m, const void *object) {
        const Activity *a = object;
        return sd_bus_message_append_basic(m, 's', a->run->runbook->phases[a->def->phase].name);
}

static int append_state(sd_bus_message *m, const void *object) {
        const Activity *a = object;
        return sd_bus_message_append_basic(m, 's', activity_state_to_string(a->state));
}

static int append_waiting_for(sd_bus_message *m, const void *object) {
        return sd_bus_message_append_basic(m, 's', activity_request_kind(object));
}

static int append_title(sd_bus_message *m, const void *object) {
        const Activity *a = object;
        return bus_append_text(m, a->request ? a->request->title : "");
}

static int append_approver_names(sd_bus_message *m, const void *object) {
        return append_approvers(m, object);
}

static int append_deadline(sd_bus_message *m, const void *object) {
        const Activity *a = object;
        return sd_bus_message_append(m, "t", a->request ? a->request->deadline : UINT64_C(0));
}

static int append_attempt(sd_bus_message *m, const void *object) {
        const Attempt *t = activity_attempt(object);
        return sd_bus_message_append(m, "u", t ? t->number : 0);
}

static int append_next_retry_at(sd_bus_message *m, const void *object) {
        const Activity *a = object;
        return sd_bus_message_append_basic(m, 't', &a->next_retry_at);
}

const BusProperty activity_properties[] = {
        [ACTIVITY_CHANGE_STATE] = {"State", "s", append_state},
        [ACTIVITY_CHANGE_WAITING_FOR] = {"WaitingFor", "s", append_waiting_for},
        [ACTIVITY_CHANGE_TITLE] = {"Title", "s", append_title},
        [ACTIVITY_CHANGE_APPROVERS] = {"Approvers", "as", append_approver_names},
        [ACTIVITY_CHANGE_DEADLINE] = {"Deadline", "t", append_deadline},
        [ACTIVITY_CHANGE_ATTEMPT] = {"Attempt", "u", append_attempt},
        [ACTIVITY_CHANGE_NEXT_RETRY_AT] = {"NextRetryAt", "t", append_next_retry_at},
        {"Name", "s", append_name},
        {"Phase", "s", append_phase},
};

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                        sd_bus_error *error) {
        Activity *a;
        Run *run;
        int r = bus_read_object(userdata, &run, &a, error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(activity_properties); i++)
                if (streq(activity_properties[i].name, property))
                        return activity_properties[i].append(reply, a);
        return -ENOENT;
}

/* ---- reads ---- */

/* What is for the caller: whether it is to him that the question goes. */
static int add_to_request(Bus *b, sd_bus_message *m, const Activity *a, Json *j) {
        bool can = false;
        int r = bus_caller_can_answer(b, m, a, &can);
        if (r >= 0)
                r = json_set_bool(j, "canAnswer", can);
        if (r >= 0)
                r = json_set_uint(j, "startedBy", a->run->started_by);
        return r < 0 ? r : json_set_string(j, "startedByName", a->run->started_by_name);
}

static int method_get_request(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_json_ Json *j = NULL;
        BusObject *o = userdata;
        Activity *a;
        Run *run;
        int r = bus_read_object(o, &run, &a, error);
        if (r < 0)
                return r;
        r = activity_describe_request(a, &j);
        if (r == -ENOENT)
                return bus_refuse(error, VERDICT_WRONG_STATE, _("The activity “%s” of run %u waits for nobody."), a->def->name, run->id);
        if (r >= 0)
                r = add_to_request(o->bus, m, a, j);
        return r < 0 ? r : bus_reply_json(m, j, error);
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_json_ Json *j = NULL;
        Activity *a;
        Run *run;
        int r = bus_read_object(userdata, &run, &a, error);
        if (r >= 0)
                r = activity_describe(a, &j);
        return r < 0 ? r : bus_reply_json(m, j, error);
}

/* ---- logs ---- */

typedef struct Log {
        int fd;
        uint64_t start, end;                            /* end: UINT64_MAX while it grows */
        bool running;
} Log;

/* What that attempt ran; 0: the newest. The definition may have been changed since. */
static const ActivityDef *definition_of(const Activity *a, uint32_t attempt) {
        for (size_t i = a->n_attempts; i > 0; i--)
                if (attempt == 0 || a->attempts[i - 1].number == attempt)
                        return a->attempts[i - 1].def;
        return a->def;
}

static int find_step(const Activity *a, uint32_t attempt, const char *step, int *ret, sd_bus_error *error) {
        if (!*step) {
                *ret = -1;
                return 0;
        }
        int i = activity_def_find_step(definition_of(a, attempt), step);
        if (i < 0)
                return bus_refuse(error, VERDICT_NO_SUCH_STEP, _("The activity “%s” has no step “%.*s”."), a->def->name,
                                  (int) STEP_NAME_SIZE_MAX, step);
        *ret = i;
        return 0;
}

static int no_log(const BusObject *o, sd_bus_error *error) {
        return bus_refuse(error, VERDICT_WRONG_STATE,
                          _("There is no log of this: the attempt or step of “%s” has not started, or its log was removed."), o->activity);
}

static int open_log(BusObject *o, uint32_t attempt, const char *step, Log *ret, sd_bus_error *error) {
        _cleanup_free_ char *path = NULL;
        Log l = {.fd = -1};
        int number = -1;
        Activity *a;
        Run *run;
        int r = bus_read_object(o, &run, &a, error);
        if (r >= 0)
                r = find_step(a, attempt, step, &number, error);
        if (r < 0)
                return r;
        r = engine_log_location(o->bus->engine, o->run, o->activity, attempt, number, &path, &l.start, &l.end, &l.running);
        if (r == -ENOENT || r == VERDICT_NO_SUCH_STEP || r == VERDICT_WRONG_STATE)
                return no_log(o, error);
        if (r != 0)
                return bus_verdict(error, r, NULL);
        l.fd = open_regular(AT_FDCWD, path, O_RDONLY, 0);
        if (l.fd == -ENOENT || l.fd == -EBADFD || l.fd == -ELOOP) /* a step may have put something else in its place */
                return no_log(o, error);
        if (l.fd < 0)
                return l.fd;
        *ret = l;
        return 0;
}

static int method_open_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_close_ int fd = -1;
        const char *step;
        uint32_t attempt;
        Log l;
        int r = sd_bus_message_read(m, "us", &attempt, &step);
        if (r >= 0)
                r = open_log(userdata, attempt, step, &l, error);
        if (r < 0)
                return r;
        fd = l.fd;
        if (lseek(fd, (off_t) l.start, SEEK_SET) < 0)
                return -errno;
        return sd_bus_reply_method_return(m, "h", fd);
}

/* Reads at *at, which moves on to where data begins if the head of the file is gone. Returns the number of bytes; *ret_end: that was the
 * last. */
static ssize_t read_data(const Log *l, uint64_t *at, void *buffer, bool *ret_end) {
        struct stat st;
        if (fstat(l->fd, &st) < 0)
                return -errno;
        uint64_t end = MIN(l->end, (uint64_t) st.st_size);
        *ret_end = !l->running;
        if (*at >= end)
                return 0;
        off_t data = lseek(l->fd, (off_t) *at, SEEK_DATA);
        if (data < 0 && errno != ENXIO)
                return -errno;
        *at = data < 0 ? end : MIN((uint64_t) data, end);
        ssize_t n = pread(l->fd, buffer, MIN(end - *at, (uint64_t) LOG_CHUNK_MAX), (off_t) *at);
        if (n < 0)
                return -errno;
        *ret_end = !l->running && *at + (uint64_t) n >= end;
        return n;
}

static int method_read_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_close_ int fd = -1;
        _cleanup_free_ void *buffer = NULL;
        const char *step;
        uint32_t attempt;
        uint64_t offset;
        bool end = false;
        Log l;
        int r = sd_bus_message_read(m, "ust", &attempt, &step, &offset);
        if (r >= 0)
                r = open_log(userdata, attempt, step, &l, error);
        if (r < 0)
                return r;
        fd = l.fd;
        buffer = malloc(LOG_CHUNK_MAX);
        if (!buffer)
                return -ENOMEM;
        if (offset > INT64_MAX - l.start)
                return bus_invalid_args(error, _("The offset is too large."));
        uint64_t at = l.start + offset;
        ssize_t n = read_data(&l, &at, buffer, &end);
        if (n < 0)
                return (int) n;
        uint64_t next = at + (uint64_t) n - l.start;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 't', &next);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', buffer, (size_t) n);
        if (r >= 0)
                r = sd_bus_message_append(reply, "b", end);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static const sd_bus_vtable activity_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Retry", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Ignore", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Abort", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Approve", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reject", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Provide", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method_verb, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetRequest", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", request), method_get_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", description), method_describe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenLog", SD_BUS_ARGS("u", attempt, "s", step), SD_BUS_RESULT("h", log), method_open_log,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReadLog", SD_BUS_ARGS("u", attempt, "s", step, "t", offset),
                                SD_BUS_RESULT("t", next, "ay", data, "b", end), method_read_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Name", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Phase", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("WaitingFor", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Title", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Approvers", "as", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Deadline", "t", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Attempt", "u", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("NextRetryAt", "t", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

int bus_add_activities(Bus *b) {
        sd_bus_slot *slot = NULL;
        int r = sd_bus_add_fallback_vtable(b->connection, &slot, BUS_PATH "/run", BUS_ACTIVITY, activity_vtable, find, b);
        return bus_keep_slot(b, r, slot);
}
