/* Reading lists from the manager. Long lists are read in pages, for no message may be over 8 MiB. */
#include "lists.h"

#include "client.h"
#include "fd-util.h"

#define PAGE_RUNS 1000u

const char *const lists_states_in_progress[] = {"scheduled", "queued", "running", "on-hold", "paused", NULL};

static int run_to_json(uint32_t id, const char *const texts[static 3], const uint64_t times[static 3], const char *path, Json **ret) {
        static const char *const names[] = {"runbook", "state", "statusText"}, *const stamps[] = {"createdAt", "startedAt", "finishedAt"};
        _cleanup_json_ Json *j = json_new_object();

        int r = j ? json_set_uint(j, "id", id) : -ENOMEM;
        for (unsigned i = 0; r >= 0 && i < 3; i++)
                r = json_set_string(j, names[i], texts[i]);
        for (unsigned i = 0; r >= 0 && i < 3; i++)
                r = json_set_uint(j, stamps[i], times[i]);
        if (r >= 0)
                r = json_set_string(j, "path", path);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

/* Appends one page; *before becomes the smallest id of it. Returns the number of runs. */
static int read_page(sd_bus_message *reply, Json *runs, uint32_t *before) {
        const char *texts[3], *path;
        uint64_t times[3];
        uint32_t id;
        int n = 0;

        int r = sd_bus_message_enter_container(reply, 'a', "(usssttto)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(usssttto)", &id, &texts[0], &texts[1], &texts[2], &times[0], &times[1], &times[2],
                                        &path)) > 0) {
                Json *j = NULL;
                r = run_to_json(id, texts, times, path, &j);
                if (r >= 0)
                        r = json_append(runs, j);
                if (r < 0)
                        return r;
                *before = id;
                n++;
        }
        return r < 0 ? r : n;
}

static int append_filter(sd_bus_message *m, const char *const *states, uint32_t before, uint32_t limit) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && before > 0)
                r = sd_bus_message_append(m, "{sv}", "Before", "u", before);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "Limit", "u", limit);
        if (r < 0 || !states)
                return r < 0 ? r : sd_bus_message_close_container(m);
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "States");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) states);
        for (unsigned i = 0; r >= 0 && i < 3; i++)      /* the variant, the entry, the array */
                r = sd_bus_message_close_container(m);
        return r;
}

static int call_page(Ctl *c, const char *const *states, uint32_t before, uint32_t want, sd_bus_error *error, sd_bus_message **ret) {
        _cleanup_message_ sd_bus_message *m = NULL;

        int r = client_new_call(c, BUS_PATH, BUS_MANAGER, "ListRuns", &m);
        if (r >= 0)
                r = append_filter(m, states, before, want);
        return r < 0 ? r : client_try(c, m, error, ret);
}

int lists_try_runs(Ctl *c, const char *const *states, uint32_t limit, Json **ret, sd_bus_error *error) {
        _cleanup_json_ Json *runs = json_new_array();
        uint32_t before = 0;

        if (!runs)
                return ctl_oom(c);
        for (;;) {
                _cleanup_message_ sd_bus_message *reply = NULL;
                uint32_t got = (uint32_t) json_length(runs), want = MIN(limit - got, PAGE_RUNS);
                if (want == 0)
                        break;
                int r = call_page(c, states, before, want, error, &reply);
                if (r < 0)
                        return r;
                r = read_page(reply, runs, &before);
                if (r < 0)
                        return client_parse_error(c, r);
                if (r == 0 || before <= 1)              /* a page may be shorter than we asked for: only an empty one is the end */
                        break;
        }
        *ret = TAKE_PTR(runs);
        return 0;
}

int lists_get_runs(Ctl *c, const char *const *states, uint32_t limit, Json **ret) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = lists_try_runs(c, states, limit, ret, &error);
        return r < 0 && error.name ? client_error(c, &error, r) : r;
}

typedef struct RequestRow {
        uint32_t run;
        const char *path, *activity, *kind, *title, *message;
        char **approvers;
        uint64_t deadline;
} RequestRow;

static int request_to_json(const RequestRow *q, Json **ret) {
        _cleanup_json_ Json *j = json_new_object(), *approvers = json_new_array();

        int r = j && approvers ? json_set_uint(j, "run", q->run) : -ENOMEM;
        if (r >= 0)
                r = json_set_string(j, "activity", q->activity);
        if (r >= 0)
                r = json_set_string(j, "path", q->path);
        if (r >= 0)
                r = json_set_string(j, "kind", q->kind);
        if (r >= 0)
                r = json_set_string(j, "title", q->title);
        if (r >= 0)
                r = json_set_string(j, "message", q->message);
        for (char **s = q->approvers; r >= 0 && s && *s; s++)
                r = json_append(approvers, json_new_string(*s));
        if (r >= 0)
                r = json_set(j, "approvers", TAKE_PTR(approvers));
        if (r >= 0)
                r = json_set_uint(j, "deadline", q->deadline);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

static void free_strv(char **v) {
        for (char **s = v; s && *s; s++)
                free(*s);
        free(v);
}

/* 1: one was read; 0: the end. */
static int read_request(sd_bus_message *m, uint32_t only, Json *requests) {
        RequestRow q = {};

        int r = sd_bus_message_enter_container(m, 'r', "uossssast");
        if (r <= 0)
                return r;
        r = sd_bus_message_read(m, "uossss", &q.run, &q.path, &q.activity, &q.kind, &q.title, &q.message);
        if (r >= 0)
                r = sd_bus_message_read_strv(m, &q.approvers);
        if (r >= 0)
                r = sd_bus_message_read(m, "t", &q.deadline);
        Json *j = NULL;
        if (r >= 0 && (only == 0 || q.run == only)) {
                r = request_to_json(&q, &j);
                if (r >= 0)
                        r = json_append(requests, j);
        }
        free_strv(q.approvers);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 1;
}

int lists_try_requests(Ctl *c, uint32_t run, Json **ret, sd_bus_error *error) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_json_ Json *requests = json_new_array();

        if (!requests)
                return ctl_oom(c);
        int r = client_new_call(c, BUS_PATH, BUS_MANAGER, "ListRequests", &m);
        if (r >= 0)
                r = client_try(c, m, error, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(uossssast)");
        while (r >= 0) {
                r = read_request(reply, run, requests);
                if (r == 0)
                        break;
        }
        if (r < 0)
                return client_parse_error(c, r);
        *ret = TAKE_PTR(requests);
        return 0;
}

int lists_get_requests(Ctl *c, uint32_t run, Json **ret) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = lists_try_requests(c, run, ret, &error);
        return r < 0 && error.name ? client_error(c, &error, r) : r;
}

usec_t lists_time(const Json *object, const char *key) {
        return (usec_t) json_int(json_get(object, key));
}

/* Two units at most say enough. */
char *format_span(usec_t span) {
        usec_t tenths = span / (100 * USEC_PER_MSEC);

        if (span < USEC_PER_MINUTE)
                return xasprintf("%" PRIu64 ".%" PRIu64 "s", tenths / 10, tenths % 10);
        usec_t accuracy = span < USEC_PER_HOUR   ? USEC_PER_SEC
                          : span < USEC_PER_DAY  ? USEC_PER_MINUTE
                          : span < USEC_PER_WEEK ? USEC_PER_HOUR
                                                 : USEC_PER_DAY;
        return format_timespan(span, accuracy);
}

char *format_duration(usec_t started, usec_t finished, usec_t now) {
        return started == 0 ? strdup("-") : format_span(usec_sub(finished > 0 ? finished : MAX(now, started), started));
}
