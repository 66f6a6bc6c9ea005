/* Signals. The engine says after each commit which runs and activities it touched; what goes out is one PropertiesChanged per object with
 * the properties that really have another value than when they were last told, and nothing where none has: a chain of steps within an
 * activity is silent. For that a small picture of each unfinished run is kept (RunShot), by number, not by pointer: a run whose commit
 * failed comes back as another object. It holds the definition that it was made by: where the run follows another now, the picture is made
 * anew, and what is known of the activities goes along by their names.
 *
 * All of it carries only what every local user may know. Nobody may be listening, or the bus may be away: then only the pictures are
 * updated. */
#include <limits.h>

#include "bus-convert.h"
#include "bus-private.h"
#include "digest.h"
#include "log.h"

/* What an activity's open request shows; only activities that wait have one. */
typedef struct RequestShot {
        char *title;
        uint64_t approvers;                             /* digest of the list */
        usec_t deadline;
} RequestShot;

typedef struct ActivityShot {
        uint8_t state, waiting;
        uint32_t attempt;
        usec_t next_retry_at;
        RequestShot *request;
} ActivityShot;

typedef struct RunShot {
        RunState state;
        bool had_errors;
        uint32_t pending, attempt;
        usec_t scheduled_for, started_at, finished_at, next_retry_at;
        char *status_text;
        Runbook *definition;                            /* a reference */
        uint8_t *phases;                                /* their states; behind the activities */
        ActivityShot activities[];
} RunShot;

/* ---- pictures ---- */

static RequestShot *request_shot_free(RequestShot *s) {
        if (s)
                free(s->title);
        free(s);
        return NULL;
}
DEFINE_CLEANUP(RequestShot *, request_shot_free)

static RunShot *run_shot_free(RunShot *s) {
        if (!s)
                return NULL;
        for (unsigned i = 0; i < s->definition->n_activities; i++)
                request_shot_free(s->activities[i].request);
        runbook_unref(s->definition);
        free(s->status_text);
        free(s);
        return NULL;
}
DEFINE_CLEANUP(RunShot *, run_shot_free)

static uint64_t digest_approvers(const Activity *a) {
        Principals approvers = activity_approvers(a);
        uint64_t h = QUICK_DIGEST_START;
        for (size_t i = 0; i < approvers.n; i++)
                h = quick_digest(h, approvers.items[i].text, strlen(approvers.items[i].text) + 1);
        return h;
}

static int request_shot_new(const Activity *a, RequestShot **ret) {
        *ret = NULL;
        if (!a->request)
                return 0;
        _cleanup_(request_shot_freep) RequestShot *s = calloc(1, sizeof(*s));
        if (!s || !(s->title = strdup(strempty(a->request->title))))
                return -ENOMEM;
        s->approvers = digest_approvers(a);
        s->deadline = a->request->deadline;
        *ret = TAKE_PTR(s);
        return 0;
}

static unsigned changed(bool differs, unsigned bit) {
        return differs ? 1u << bit : 0;
}

static unsigned request_differs(const RequestShot *old, const RequestShot *new) {
        return changed(!streq(old ? old->title : "", new ? new->title : ""), ACTIVITY_CHANGE_TITLE) |
               changed((old ? old->approvers : 0) != (new ? new->approvers : 0), ACTIVITY_CHANGE_APPROVERS) |
               changed((old ? old->deadline : 0) != (new ? new->deadline : 0), ACTIVITY_CHANGE_DEADLINE);
}

/* Brings the picture up to date; *ret says what was different. */
static int activity_shot_update(ActivityShot *s, const Activity *a, unsigned *ret) {
        unsigned bits = 0;
        const Attempt *t = activity_attempt(a);
        ActivityShot new = {
                .state = (uint8_t) a->state,
                .waiting = (uint8_t) activity_waiting_for(a),
                .attempt = t ? t->number : 0,
                .next_retry_at = a->next_retry_at,
        };
        if (s->request || a->request) {
                int r = request_shot_new(a, &new.request);
                if (r < 0)
                        return r;
                bits = request_differs(s->request, new.request);
        }
        *ret = bits | changed(s->state != new.state, ACTIVITY_CHANGE_STATE) |
               changed(s->waiting != new.waiting, ACTIVITY_CHANGE_WAITING_FOR) |
               changed(s->attempt != new.attempt, ACTIVITY_CHANGE_ATTEMPT) |
               changed(s->next_retry_at != new.next_retry_at, ACTIVITY_CHANGE_NEXT_RETRY_AT);
        request_shot_free(s->request);
        *s = new;
        return 0;
}

static bool phases_update(RunShot *s, const Run *run) {
        bool differs = false;
        for (unsigned i = 0; i < s->definition->n_phases; i++) {
                PhaseState state = phase_shown_state(&run->phases[i]);
                differs = differs || s->phases[i] != state;
                s->phases[i] = (uint8_t) state;
        }
        return differs;
}

static int status_text_update(RunShot *s, const Run *run, bool *ret_differs) {
        char *text = run_status_text(run);
        if (!text)
                return -ENOMEM;
        *ret_differs = !streq_ptr(text, s->status_text);
        free(s->status_text);
        s->status_text = text;
        return 0;
}

static int run_shot_update(RunShot *s, const Run *run, unsigned *ret) {
        bool text_differs;
        int r = status_text_update(s, run, &text_differs);
        if (r < 0)
                return r;
        uint32_t pending = run_pending_requests(run);
        *ret = changed(text_differs, RUN_CHANGE_STATUS_TEXT) | changed(phases_update(s, run), RUN_CHANGE_PHASES) |
               changed(s->state != run->state, RUN_CHANGE_STATE) | changed(s->pending != pending, RUN_CHANGE_PENDING_REQUESTS) |
               changed(s->had_errors != run->had_errors, RUN_CHANGE_HAD_ERRORS) |
               changed(s->scheduled_for != run->scheduled_for, RUN_CHANGE_SCHEDULED_FOR) |
               changed(s->started_at != run->started_at, RUN_CHANGE_STARTED_AT) |
               changed(s->finished_at != run->finished_at, RUN_CHANGE_FINISHED_AT) |
               changed(s->next_retry_at != run->next_retry_at, RUN_CHANGE_NEXT_RETRY_AT) |
               changed(s->attempt != run->attempt, RUN_CHANGE_ATTEMPT);
        s->state = run->state;
        s->pending = pending;
        s->had_errors = run->had_errors;
        s->scheduled_for = run->scheduled_for;
        s->started_at = run->started_at;
        s->finished_at = run->finished_at;
        s->next_retry_at = run->next_retry_at;
        s->attempt = run->attempt;
        return 0;
}

/* An empty picture: everything differs from it. */
static int run_shot_new(const Run *run, RunShot **ret) {
        RunShot *s = calloc(1, sizeof(*s) + run->runbook->n_activities * sizeof(ActivityShot) + run->runbook->n_phases);
        if (!s)
                return -ENOMEM;
        s->state = _RUN_STATE_INVALID;
        s->phases = (uint8_t *) (s->activities + run->runbook->n_activities);
        s->definition = runbook_ref(run->runbook);
        *ret = s;
        return 0;
}

/* What is known goes over to a picture by another definition; an activity that is new there is as if it had just been made. */
static void shot_move(RunShot *old, RunShot *new) {
        const Runbook *d = new->definition;
        for (unsigned i = 0; i < d->n_activities; i++) {
                const ActivityDef *was = runbook_activity(old->definition, d->activities[i].name);
                if (!was)
                        continue;
                new->activities[i] = old->activities[was->index];
                old->activities[was->index].request = NULL;
        }
        memset(new->phases, UINT8_MAX, d->n_phases);    /* no state: the list of phases is told to be another */
        new->state = old->state;
        new->had_errors = old->had_errors;
        new->pending = old->pending;
        new->attempt = old->attempt;
        new->scheduled_for = old->scheduled_for;
        new->started_at = old->started_at;
        new->finished_at = old->finished_at;
        new->next_retry_at = old->next_retry_at;
        new->status_text = TAKE_PTR(old->status_text);
}

static bool is_current(const RunShot *s, const Run *run) {
        return s->definition == run->runbook || streq(s->definition->hash, run->runbook->hash);
}

/* What a run is compared with. One that is told of for the first time without having been added (a cancelled dlq run) is told in full. */
static RunShot *shot_of(Bus *b, const Run *run) {
        _cleanup_(run_shot_freep) RunShot *s = NULL;
        _cleanup_(run_shot_freep) RunShot *old = NULL;
        RunShot *known = intmap_get(b->shots, run->id);
        if (known && is_current(known, run))
                return known;
        old = intmap_remove(b->shots, run->id);
        if (run_shot_new(run, &s) < 0)
                return NULL;
        if (old)
                shot_move(old, s);
        return intmap_put(b->shots, run->id, s) < 0 ? NULL : TAKE_PTR(s);
}

int bus_shot_run(Bus *b, const Run *run) {
        unsigned ignored;
        RunShot *s = shot_of(b, run);
        int r = s ? run_shot_update(s, run, &ignored) : -ENOMEM;
        for (unsigned i = 0; r >= 0 && i < run->runbook->n_activities; i++)
                r = activity_shot_update(&s->activities[i], run->activities[i], &ignored);
        return r;
}

/* A start that waits is announced with what it does first. What has been read of it before that has changed then, and is told. */
void bus_note_read(Bus *b, const Run *run) {
        bool waits = run->state == RUN_QUEUED && run->last_seq == 1;
        if (waits && !intmap_get(b->shots, run->id) && bus_shot_run(b, run) < 0)
                log_debug("Out of memory: the first change of run %u will not be told.", run->id);
}

int bus_shots_new(Bus *b) {
        b->shots = intmap_new();
        return b->shots ? 0 : -ENOMEM;
}

void bus_shots_free(Bus *b) {
        size_t i = 0;
        uint64_t id;
        void *s;
        while (intmap_iterate(b->shots, &i, &id, &s))
                run_shot_free(s);
        b->shots = intmap_free(b->shots);
}

/* ---- signals ---- */

/* Sends it, unless making it failed. A signal that can't be sent is lost; who listens reads the object anew. */
static void send_signal(Bus *b, int r, sd_bus_message *m) {
        if (r >= 0)
                r = sd_bus_send(b->connection, m, NULL);
        if (r < 0)
                log_debug_errno(r, "A signal could not be sent: %m");
}

static int manager_signal_new(Bus *b, const char *name, sd_bus_message **ret) {
        return sd_bus_message_new_signal(b->connection, ret, BUS_PATH, BUS_MANAGER, name);
}

static int properties_changed_new(Bus *b, const char *path, const char *interface, sd_bus_message **ret) {
        int r = sd_bus_message_new_signal(b->connection, ret, path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
        if (r >= 0)
                r = sd_bus_message_append_basic(*ret, 's', interface);
        return r < 0 ? r : sd_bus_message_open_container(*ret, 'a', "{sv}");
}

static int open_property(sd_bus_message *m, const char *name, const char *signature) {
        int r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', name);
        return r < 0 ? r : sd_bus_message_open_container(m, 'v', signature);
}

static int close_property(sd_bus_message *m) {
        int r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int properties_changed_end(sd_bus_message *m, const char *invalidated) {
        int r = sd_bus_message_close_container(m);
        return r < 0 ? r : invalidated ? sd_bus_message_append(m, "as", 1, invalidated) : sd_bus_message_append(m, "as", 0);
}

/* The properties of the table whose bit is set; the one with the number `invalidated` goes without its value. */
static void emit_properties(Bus *b, const char *path, const char *interface, const BusProperty *table, unsigned bits, unsigned invalidated,
                            const void *object) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = properties_changed_new(b, path, interface, &m);
        for (unsigned i = 0; r >= 0 && bits >> i; i++)
                if ((bits & 1u << i) && i != invalidated && (r = open_property(m, table[i].name, table[i].signature)) >= 0 &&
                    (r = table[i].append(m, object)) >= 0)
                        r = close_property(m);
        if (r >= 0)
                r = properties_changed_end(m, invalidated < 32 && bits & 1u << invalidated ? table[invalidated].name : NULL);
        send_signal(b, r, m);
}

static void emit_counts(Bus *b, const uint32_t old[static 3]) {
        static const char *const names[] = {"RunsActive", "RunsOnHold", "RunsDeadLetter"};
        const uint32_t new[] = {b->n_active, b->n_on_hold, b->n_dead_letter};
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = properties_changed_new(b, BUS_PATH, BUS_MANAGER, &m);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(names); i++)
                if (old[i] != new[i])
                        r = sd_bus_message_append(m, "{sv}", names[i], "u", new[i]);
        if (r >= 0)
                r = properties_changed_end(m, NULL);
        send_signal(b, r, m);
}

/* ---- what the engine tells ---- */

static void on_committed(void *userdata, Ticket ticket, int r) {
        bus_replies_decide(userdata, ticket, r);
}

static void on_run_added(void *userdata, Run *run) {
        Bus *b = userdata;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        if (!intmap_get(b->shots, run->id) && bus_shot_run(b, run) < 0)
                log_debug("Out of memory: the first change of run %u will be told in full.", run->id);
        if (!b->connection)
                return;
        int r = manager_signal_new(b, "RunAdded", &m);
        if (r >= 0)
                r = bus_append_run(m, run->id);
        send_signal(b, r, m);
}

static void on_run_changed(void *userdata, Run *run) {
        Bus *b = userdata;
        unsigned bits = 0;
        RunShot *s = shot_of(b, run);
        if (s && run_shot_update(s, run, &bits) >= 0 && bits != 0 && b->connection) {
                char path[BUS_RUN_PATH_SIZE];
                bus_run_path(run->id, path);
                emit_properties(b, path, BUS_RUN, run_properties, bits, RUN_CHANGE_PHASES, run);
        }
}

static void on_definition_changed(void *userdata, Run *run) {
        if (!shot_of(userdata, run))
                log_debug("Out of memory: the next change of run %u will be told in full.", run->id);
}

static void on_activity_changed(void *userdata, Activity *a) {
        Bus *b = userdata;
        unsigned bits = 0;
        RunShot *s = shot_of(b, a->run);
        if (s && a->def->index < s->definition->n_activities && activity_shot_update(&s->activities[a->def->index], a, &bits) >= 0 &&
            bits != 0 && b->connection) {
                char path[BUS_ACTIVITY_PATH_SIZE];
                bus_activity_path(a->run->id, a->def->name, path);
                emit_properties(b, path, BUS_ACTIVITY, activity_properties, bits, UINT_MAX, a);
        }
}

static void on_request_opened(void *userdata, Activity *a) {
        Bus *b = userdata;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char path[BUS_ACTIVITY_PATH_SIZE];
        if (!b->connection || !a->request)              /* answered within the same commit */
                return;
        bus_activity_path(a->run->id, a->def->name, path);
        int r = manager_signal_new(b, "InputRequired", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "uosss", a->run->id, path, a->run->runbook->name, a->def->name, activity_request_kind(a));
        if (r >= 0)
                r = bus_append_text(m, a->request->title);
        if (r >= 0)
                r = append_approvers(m, a);
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 't', &a->request->deadline);
        send_signal(b, r, m);
}

static void on_request_resolved(void *userdata, Activity *a, const char *how, uint32_t uid) {
        Bus *b = userdata;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char path[BUS_ACTIVITY_PATH_SIZE];
        if (!b->connection)
                return;
        bus_activity_path(a->run->id, a->def->name, path);
        int r = manager_signal_new(b, "RequestResolved", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "osu", path, strempty(how), uid);
        send_signal(b, r, m);
}

static void on_run_finished(void *userdata, Run *run) {
        Bus *b = userdata;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        if (!b->connection)
                return;
        int r = manager_signal_new(b, "RunFinished", &m);
        if (r >= 0)
                r = bus_append_run(m, run->id);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", run->runbook->name, run_state_to_string(run->state));
        send_signal(b, r, m);
}

static void on_run_removed(void *userdata, Run *run, bool again) {
        Bus *b = userdata;
        if (!again)                                     /* else it comes back, and what then differs is told */
                run_shot_free(intmap_remove(b->shots, run->id));
}

static void on_counts_changed(void *userdata) {
        Bus *b = userdata;
        const uint32_t old[] = {b->n_active, b->n_on_hold, b->n_dead_letter};
        engine_counts(b->engine, &b->n_active, &b->n_on_hold, &b->n_dead_letter);
        if (b->connection && (old[0] != b->n_active || old[1] != b->n_on_hold || old[2] != b->n_dead_letter))
                emit_counts(b, old);
}

const Observer bus_observer = {
        .committed = on_committed,
        .run_added = on_run_added,
        .run_changed = on_run_changed,
        .definition_changed = on_definition_changed,
        .activity_changed = on_activity_changed,
        .request_opened = on_request_opened,
        .request_resolved = on_request_resolved,
        .run_finished = on_run_finished,
        .run_removed = on_run_removed,
        .counts_changed = on_counts_changed,
};
