/* /org/runbookd1: the runbooks, the runs, what waits for people, and how a run begins. */
#include "bus-convert.h"
#include "bus-private.h"
#include "i18n.h"
#include "log.h"
#include "tree.h"

#define DEDUP_KEY_MAX 256u
#define NAME_SIZE_MAX 256u                              /* of a runbook, in a filter */
#define STATES_FILTER_MAX 64u                           /* in a filter */

/* Adds what a string takes in a message; lists stop when their page is full. */
static size_t text_size(const char *s) {
        return strlen(strempty(s)) + 8;
}

/* ---- StartRun ---- */

typedef struct StartOptions {
        const char *dedup_key, *comment;
        usec_t start_at;
        char **only;
        int strict;
        Json *labels;
} StartOptions;

static const BusOption start_options[] = {
        {"StartAt", OPTION_TIME, offsetof(StartOptions, start_at)},
        {"Only", OPTION_STRINGS, offsetof(StartOptions, only), RUNBOOK_PHASES_MAX},
        {"DedupKey", OPTION_STRING, offsetof(StartOptions, dedup_key), DEDUP_KEY_MAX},
        {"Strict", OPTION_BOOL, offsetof(StartOptions, strict)},
        {"Labels", OPTION_LABELS, offsetof(StartOptions, labels)},
        {"Comment", OPTION_STRING, offsetof(StartOptions, comment), EVENT_COMMENT_MAX},
};

static int start(Bus *b, sd_bus_message *m, const char *runbook, Json *inputs, const StartOptions *o, sd_bus_error *error) {
        _cleanup_free_ char *text = NULL;
        Ticket ticket = 0;
        uint32_t run = 0;
        Actor who;
        int r = bus_actor(b, m, &who, error);
        if (r < 0)
                return r;
        if (o->dedup_key && !*o->dedup_key)
                return bus_invalid_args(error, _("DedupKey is empty."));
        if ((r = bus_check_only(o->only, error)) < 0 || (r = bus_type_inputs(b, inputs, NULL, runbook, error)) < 0)
                return r;
        StartRequest q = {
                .runbook = runbook,
                .inputs = inputs,
                .labels = o->labels,
                .dedup_key = o->dedup_key,
                .comment = o->comment,
                .start_at = o->start_at,
                .only = o->only,
                .strict = o->strict,
        };
        r = engine_start_run(b->engine, &q, &who, &run, &ticket, &text);
        return bus_finish(b, m, error, r, text, ticket, run);
}

static int method_start_run(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_json_ Json *inputs = NULL;
        StartOptions o = {};
        const char *runbook;
        int r = sd_bus_message_read_basic(m, 's', &runbook);
        if (r >= 0)
                r = bus_read_values_if_any(m, &inputs, error);
        if (r >= 0)
                r = bus_read_options(m, start_options, ELEMENTSOF(start_options), &o, error);
        if (r >= 0)
                r = start(userdata, m, runbook, inputs, &o, error);
        json_unref(o.labels);
        strings_free(o.only);
        return r;
}

/* ---- runbooks ---- */

/* Everybody may know what runbooks there are and what they are for; where a file is wrong, that it is, for an error quotes the file. */
static int append_entry(sd_bus_message *reply, const LibraryEntry *e, bool all) {
        const char *wrong = isempty(e->error) || all ? e->error : _("it has errors; who may read it sees them with GetRunbook");
        int r = sd_bus_message_open_container(reply, 'r', "ssss");
        if (r < 0 || (r = bus_append_text(reply, e->name)) < 0 || (r = bus_append_text(reply, e->description)) < 0 ||
            (r = bus_append_text(reply, e->file)) < 0 || (r = bus_append_text(reply, wrong)) < 0)
                return r;
        return sd_bus_message_close_container(reply);
}

static int method_list_runbooks(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Bus *b = userdata;
        LibraryEntry *entries = NULL;
        bool all = bus_caller_may(b, m, PERMISSION_OWNER, NULL);
        size_t n = 0, size = 0;
        int r = library_list(b->library, &entries, &n);
        if (r >= 0 && (r = sd_bus_message_new_method_return(m, &reply)) >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ssss)");
        for (size_t i = 0; r >= 0 && i < n && size < PAGE_SIZE_MAX; i++) {
                size += text_size(entries[i].name) + text_size(entries[i].description) + text_size(entries[i].file) +
                        text_size(entries[i].error);
                r = append_entry(reply, &entries[i], all);
        }
        library_entries_free(entries, n);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int no_such_runbook(Bus *b, const char *name, sd_bus_error *error) {
        _cleanup_free_ char *near = library_nearest(b->library, name);
        if (near)
                return bus_refuse(error, VERDICT_NO_SUCH_RUNBOOK, _("There is no runbook “%s”; did you mean “%s”?"), name, near);
        return bus_refuse(error, VERDICT_NO_SUCH_RUNBOOK, _("There is no runbook “%s”."), name);
}

static int invalid_runbook(const char *name, const char *file, const Diagnostics *d, sd_bus_error *error) {
        for (size_t i = 0; i < d->n_items; i++)
                if (d->items[i].severity == SEVERITY_ERROR)
                        return bus_refuse(error, VERDICT_INVALID_RUNBOOK, "%s:%u:%u: %s", file ? file : name, d->items[i].line,
                                          d->items[i].column, d->items[i].message);
        return bus_refuse(error, VERDICT_INVALID_RUNBOOK, _("The runbook “%s” has errors."), name);
}

static int method_get_runbook(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(runbook_unrefp) Runbook *k = NULL;
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_free_ char *text = NULL;
        Bus *b = userdata;
        const char *name, *file = NULL;
        int r = sd_bus_message_read_basic(m, 's', &name);
        if (r < 0)
                return r;
        r = library_get(b->library, name, &d, &k, &file);
        if (r == -ENOENT)
                return no_such_runbook(b, name, error);
        if (r == -EINVAL)
                return invalid_runbook(name, file, &d, error);
        if (r < 0)
                return r;
        text = runbook_to_json(k, file);
        return bus_reply_text(m, text, error);
}

/* ---- runs ---- */

typedef struct ListOptions {
        char **states;
        const char *runbook;
        uint32_t before, limit;
} ListOptions;

static const BusOption list_options[] = {
        {"States", OPTION_STRINGS, offsetof(ListOptions, states), STATES_FILTER_MAX},
        {"Runbook", OPTION_STRING, offsetof(ListOptions, runbook), NAME_SIZE_MAX},
        {"Before", OPTION_U32, offsetof(ListOptions, before)},
        {"Limit", OPTION_U32, offsetof(ListOptions, limit)},
};

typedef struct Lister {
        sd_bus_message *reply;
        size_t size;
} Lister;

static int append_run(void *userdata, const RunRow *row) {
        Lister *l = userdata;
        char path[BUS_RUN_PATH_SIZE];
        l->size += text_size(row->runbook) + text_size(row->status_text) + 96;
        if (l->size > PAGE_SIZE_MAX)
                return 1;
        bus_run_path(row->id, path);
        int r = sd_bus_message_open_container(l->reply, 'r', "usssttto");
        if (r < 0 || (r = sd_bus_message_append(l->reply, "uss", row->id, row->runbook, run_state_to_string(row->state))) < 0 ||
            (r = bus_append_text(l->reply, row->status_text)) < 0 ||
            (r = sd_bus_message_append(l->reply, "ttto", row->created_at, row->started_at, row->finished_at, path)) < 0)
                return r;
        return sd_bus_message_close_container(l->reply);
}

static int parse_states(char *const *states, uint32_t *ret, sd_bus_error *error) {
        uint32_t bits = 0;
        for (; states && *states; states++) {
                RunState s = run_state_from_string(*states);
                if ((int) s < 0)
                        return bus_invalid_args(error, _("There is no state “%s” of a run."), *states);
                bits |= UINT32_C(1) << s;
        }
        *ret = bits;
        return 0;
}

static int list_runs(Bus *b, sd_bus_message *m, const ListOptions *o, sd_bus_error *error) {
        Lister l = {};
        RunFilter f = {
                .runbook = o->runbook, .before = o->before, .limit = o->limit};
        int r = parse_states(o->states, &f.states, error);
        if (r < 0)
                return r;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        (void) engine_flush(b->engine);
        if ((r = sd_bus_message_new_method_return(m, &reply)) < 0 || (r = sd_bus_message_open_container(reply, 'a', "(usssttto)")) < 0)
                return r;
        l.reply = reply;
        r = engine_list_runs(b->engine, &f, append_run, &l);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int method_list_runs(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ListOptions o = {};
        int r = bus_read_options(m, list_options, ELEMENTSOF(list_options), &o, error);
        if (r >= 0)
                r = list_runs(userdata, m, &o, error);
        strings_free(o.states);
        return r;
}

static int method_get_run(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        char path[BUS_RUN_PATH_SIZE];
        uint32_t id;
        Run *run;
        int r = sd_bus_message_read_basic(m, 'u', &id);
        if (r >= 0)
                r = bus_read_run(userdata, id, &run, error);
        if (r < 0)
                return r;
        bus_run_path(id, path);
        return sd_bus_reply_method_return(m, "o", path);
}

/* ---- requests ---- */

static int append_request(sd_bus_message *reply, const Activity *a) {
        char path[BUS_ACTIVITY_PATH_SIZE];
        bus_activity_path(a->run->id, a->def->name, path);
        int r = sd_bus_message_open_container(reply, 'r', "uossssast");
        if (r < 0 || (r = sd_bus_message_append(reply, "uoss", a->run->id, path, a->def->name, activity_request_kind(a))) < 0 ||
            (r = bus_append_text(reply, a->request->title)) < 0 || (r = bus_append_text(reply, activity_request_message(a))) < 0 ||
            (r = append_approvers(reply, a)) < 0 || (r = sd_bus_message_append_basic(reply, 't', &a->request->deadline)) < 0)
                return r;
        return sd_bus_message_close_container(reply);
}

/* Is it the caller's to read or to answer? */
static bool is_shown(Bus *b, sd_bus_message *m, const Activity *a) {
        Peer *peer = peers_find(b->peers, m);
        const char *runbook = a->run->runbook->name;
        if (!peer)
                return false;
        if (a->run->started_by == peer_uid(peer) || bus_caller_may(b, m, PERMISSION_READ, runbook))
                return true;
        if (activity_approvers(a).n == 0 && bus_caller_may(b, m, PERMISSION_OPERATE, runbook))
                return true;
        return bus_caller_may(b, m, PERMISSION_ANSWER, runbook) && peer_is_told(peer, a);
}

static int append_requests_of_run(Bus *b, sd_bus_message *m, sd_bus_message *reply, const Run *run, size_t *size) {
        int r = 0;
        for (unsigned i = 0; r >= 0 && i < run->runbook->n_activities && *size < PAGE_SIZE_MAX; i++) {
                const Activity *a = run->activities[i];
                if (!a->request || !is_shown(b, m, a))
                        continue;
                *size += text_size(a->def->name) + text_size(a->request->title) + text_size(activity_request_message(a)) + 256;
                r = append_request(reply, a);
        }
        return r;
}

static int compare_runs(const void *a, const void *b) {
        const Run *x = *(Run *const *) a, *y = *(Run *const *) b;
        return (x->id > y->id) - (x->id < y->id);
}

/* By their numbers: the engine has them in no order that a person could follow from one look to the next. The array is the caller's. */
static int find_waiting(Bus *b, Run ***ret, size_t *ret_n) {
        _cleanup_free_ Run **runs = NULL;
        size_t n = 0, allocated = 0;
        Run *run;
        for (size_t i = 0; engine_iterate_live(b->engine, &i, &run);) {
                if (run_pending_requests(run) == 0)
                        continue;
                if (!GREEDY_REALLOC(runs, allocated, n + 1))
                        return -ENOMEM;
                runs[n++] = run;
        }
        if (n > 1)
                qsort(runs, n, sizeof runs[0], compare_runs);
        *ret = TAKE_PTR(runs);
        *ret_n = n;
        return 0;
}

static int method_list_requests(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ Run **runs = NULL;
        Bus *b = userdata;
        size_t size = 0, n = 0;
        (void) engine_flush(b->engine);
        int r = find_waiting(b, &runs, &n);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(uossssast)");
        for (size_t i = 0; r >= 0 && size < PAGE_SIZE_MAX && i < n; i++)
                r = append_requests_of_run(b, m, reply, runs[i], &size);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* ---- the rest ---- */

/* YAML takes nearly all JSON, but only the JSON reader has its exact positions: what begins like JSON is tried as JSON first. */
static int check_text(const char *text, Diagnostics *d) {
        _cleanup_(runbook_unrefp) Runbook *k = NULL;
        _cleanup_diag_ Diagnostics other = {};
        bool like_json = text[strspn(text, " \t\r\n")] == '{';
        int r = runbook_parse(text, strlen(text), like_json ? TREE_JSON : TREE_YAML, NULL, d, &k);
        if (r == -EINVAL && like_json && runbook_parse(text, strlen(text), TREE_YAML, NULL, &other, &k) >= 0) {
                Diagnostics t = *d;
                *d = other;
                other = t;
                r = 0;
        }
        if (r >= 0)
                runbook_lint(k, d);
        diag_sort(d);
        return r == -EINVAL ? 0 : r;
}

static int method_verify(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_diag_ Diagnostics d = {};
        const char *text;
        int r = sd_bus_message_read_basic(m, 's', &text);
        if (r < 0)
                return r;
        if (strlen(text) > TREE_FILE_MAX)
                return bus_refuse(error, VERDICT_TOO_LARGE, _("The runbook is larger than %u bytes."), TREE_FILE_MAX);
        r = check_text(text, &d);
        if (r >= 0 && (r = sd_bus_message_new_method_return(m, &reply)) >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(suus)");
        for (size_t i = 0; r >= 0 && i < d.n_items; i++)
                if ((r = sd_bus_message_open_container(reply, 'r', "suus")) >= 0 &&
                    (r = sd_bus_message_append(reply, "suu", severity_to_string(d.items[i].severity), d.items[i].line,
                                               d.items[i].column)) >= 0 &&
                    (r = bus_append_text(reply, d.items[i].message)) >= 0)
                        r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

typedef struct ReloadOptions {
        const char *comment;
} ReloadOptions;

static const BusOption reload_options[] = {
        {"Comment", OPTION_STRING, offsetof(ReloadOptions, comment), EVENT_COMMENT_MAX},
};

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *text = NULL;
        Bus *b = userdata;
        ReloadOptions o = {};
        Actor who;
        int r = bus_actor(b, m, &who, error);
        if (r >= 0)
                r = bus_read_options(m, reload_options, ELEMENTSOF(reload_options), &o, error);
        if (r < 0)
                return r;
        log_info(_("%s asks for a reload%s%s."), who.user, o.comment ? ": " : "", strempty(o.comment));
        r = b->reload(b->reload_userdata, &text);
        return r < 0 ? bus_verdict(error, r, text) : sd_bus_reply_method_return(m, NULL);
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                       sd_bus_error *error) {
        return sd_bus_message_append_basic(reply, 's', RUNBOOKD_VERSION);
}

static int get_count(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                     sd_bus_error *error) {
        Bus *b = userdata;
        uint32_t active, on_hold, dead_letter;
        (void) engine_flush(b->engine);
        engine_counts(b->engine, &active, &on_hold, &dead_letter);
        uint32_t v = streq(property, "RunsActive") ? active : streq(property, "RunsOnHold") ? on_hold : dead_letter;
        return sd_bus_message_append_basic(reply, 'u', &v);
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("StartRun", SD_BUS_ARGS("s", runbook, "a{sv}", inputs, "a{sv}", options), SD_BUS_RESULT("u", id, "o", run),
                                method_start_run, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListRunbooks", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ssss)", runbooks), method_list_runbooks,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetRunbook", SD_BUS_ARGS("s", name), SD_BUS_RESULT("s", definition), method_get_runbook,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListRuns", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("a(usssttto)", runs), method_list_runs,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetRun", SD_BUS_ARGS("u", id), SD_BUS_RESULT("o", run), method_get_run, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListRequests", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(uossssast)", requests), method_list_requests,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Verify", SD_BUS_ARGS("s", text), SD_BUS_RESULT("a(suus)", diagnostics), method_verify,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, method_reload, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("RunsActive", "u", get_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("RunsOnHold", "u", get_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("RunsDeadLetter", "u", get_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_SIGNAL_WITH_ARGS("RunAdded", SD_BUS_ARGS("u", run, "o", path), 0),
        SD_BUS_SIGNAL_WITH_ARGS("RunFinished", SD_BUS_ARGS("u", run, "o", path, "s", runbook, "s", state), 0),
        SD_BUS_SIGNAL_WITH_ARGS(
                "InputRequired",
                SD_BUS_ARGS("u", run, "o", path, "s", runbook, "s", activity, "s", kind, "s", title, "as", approvers, "t", deadline), 0),
        SD_BUS_SIGNAL_WITH_ARGS("RequestResolved", SD_BUS_ARGS("o", path, "s", how, "u", uid), 0),
        SD_BUS_VTABLE_END,
};

int bus_add_manager(Bus *b) {
        sd_bus_slot *slot = NULL;
        int r = sd_bus_add_object_vtable(b->connection, &slot, BUS_PATH, BUS_MANAGER, manager_vtable, b);
        return bus_keep_slot(b, r, slot);
}
