#include "engine-fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fd-util.h"

const Actor world_actor = { .uid = 1000, .user = "alice" };

const char world_chain[] = "failurePolicy: fail\nphases:\n"
                           "  - name: main\n"
                           "    activities:\n"
                           "      - {name: a, run: 'true'}\n"
                           "      - {name: b, run: 'true'}\n"
                           "      - {name: c, run: 'true'}\n";

const char world_wide[] = "failurePolicy: fail\nphases:\n"
                          "  - name: main\n"
                          "    activities:\n"
                          "      - {name: w1, needs: [], run: 'true'}\n"
                          "      - {name: w2, needs: [], run: 'true'}\n"
                          "      - {name: w3, needs: [], run: 'true'}\n"
                          "      - {name: w4, needs: [], run: 'true'}\n"
                          "      - {name: w5, needs: [], run: 'true'}\n"
                          "      - {name: w6, needs: [], run: 'true'}\n";

const char world_sign[] = "failurePolicy: fail\nphases:\n"
                          "  - name: main\n"
                          "    activities:\n"
                          "      - {name: qa, approval: {title: Ship it}}\n"
                          "      - {name: go, run: 'true'}\n";

/* ---- the observer ---- */

static void on_committed(void *userdata, Ticket ticket, int r) {
        World *w = userdata;

        w->committed = ticket;
        w->committed_r = r;
        strbuf_appendf(&w->trace, "committed %" PRIu64 " %d\n", ticket, r);
}

static void on_run_added(void *userdata, Run *run) {
        strbuf_appendf(&((World *) userdata)->trace, "added %u\n", run->id);
}

static void on_run_changed(void *userdata, Run *run) {
        strbuf_appendf(&((World *) userdata)->trace, "run %u %s\n", run->id, run_state_to_string(run->state));
}

static void on_definition_changed(void *userdata, Run *run) {
        strbuf_appendf(&((World *) userdata)->trace, "definition %u\n", run->id);
}

static void on_activity_changed(void *userdata, Activity *a) {
        strbuf_appendf(&((World *) userdata)->trace, "activity %u/%s %s\n", a->run->id, a->def->name, activity_state_to_string(a->state));
}

static void on_request_opened(void *userdata, Activity *a) {
        strbuf_appendf(&((World *) userdata)->trace, "opened %u/%s %s\n", a->run->id, a->def->name, a->request->title);
}

static void on_request_resolved(void *userdata, Activity *a, const char *how, uint32_t uid) {
        strbuf_appendf(&((World *) userdata)->trace, "resolved %u/%s %s %u\n", a->run->id, a->def->name, how, uid);
}

static void on_run_finished(void *userdata, Run *run) {
        strbuf_appendf(&((World *) userdata)->trace, "finished %u %s\n", run->id, run_state_to_string(run->state));
}

static void on_run_removed(void *userdata, Run *run, bool again) {
        strbuf_appendf(&((World *) userdata)->trace, "removed %u%s\n", run->id, again ? " again" : "");
}

static void on_counts_changed(void *userdata) {
        World *w = userdata;
        uint32_t active, on_hold, dead;

        engine_counts(w->engine, &active, &on_hold, &dead);
        strbuf_appendf(&w->trace, "counts %u %u %u\n", active, on_hold, dead);
}

static const Observer observer = {
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

/* ---- setting up ---- */

int world_setup(void **state) {
        World *w = calloc(1, sizeof *w);
        const char *directories[2] = { 0 };

        if (!w || fault_vfs_register() < 0)
                return -1;
        strcpy(w->top, "/tmp/test-engine-XXXXXX");
        if (!mkdtemp(w->top))
                return -1;
        (void) snprintf(w->state, sizeof w->state, "%s/state", w->top);
        (void) snprintf(w->runbooks, sizeof w->runbooks, "%s/runbooks", w->top);
        directories[0] = w->runbooks;
        w->max_steps = 4;
        w->max_resumes = 3;
        w->retry_window = 30 * USEC_PER_DAY;
        if (mkdir(w->runbooks, 0700) < 0 || sd_event_new(&w->event) < 0 || library_new(directories, &w->library) < 0)
                return -1;
        *state = w;
        world_write(w, "chain.yaml", world_chain);
        world_write(w, "wide.yaml", world_wide);
        world_write(w, "sign.yaml", world_sign);
        world_open(w);
        return 0;
}

int world_teardown(void **state) {
        World *w = *state;
        _cleanup_close_ int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        world_close(w);
        library_free(w->library);
        sd_event_unref(w->event);
        strbuf_done(&w->trace);
        (void) remove_tree(fd, w->top + strlen("/tmp/"));
        free(w);
        return 0;
}

void world_open_store(World *w) {
        const StoreOptions store_options = { .directory = w->state, .durability = DURABILITY_FULL, .vfs = FAULT_VFS };
        _cleanup_free_ char *error = NULL;
        int r = store_open(&store_options, &w->store, &error);

        if (r < 0)
                fail_msg("%s", error ? error : strerror(-r));
}

void world_open_engine(World *w) {
        w->fake = fake_new(&w->trace);
        const EngineOptions options = {
                .event = w->event,
                .store = w->store,
                .executor = &w->fake->executor,
                .library = w->library,
                .state_directory = w->state,
                .max_steps = w->max_steps,
                .limits = { .max_resumes = w->max_resumes, .hook_timeout = 5 * USEC_PER_MINUTE },
                .retry_window = w->retry_window,
                .observer = &observer,
                .observer_userdata = w,
        };
        assert_ok(engine_new(&options, &w->engine));
        assert_ok(engine_recover(w->engine));
}

void world_open(World *w) {
        world_open_store(w);
        world_open_engine(w);
}

void world_close(World *w) {
        fault_disarm();
        w->engine = engine_free(w->engine);
        w->fake = fake_free(w->fake);
        w->store = store_close(w->store);
}

void world_again(World *w) {
        world_close(w);
        world_open(w);
}

void world_write(World *w, const char *name, const char *text) {
        _cleanup_free_ char *path = path_join(w->runbooks, name);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_ok(write_all(fd, text, strlen(text)));
}

/* ---- driving ---- */

/* The quiet that starts wait for has come. False: none waits for it. */
static bool pass_quiet(World *w) {
        if (!w->engine->starts.first || w->engine->last_answer == 0)
                return false;
        w->engine->last_answer = 0;
        engine_arm_starts(w->engine);
        return true;
}

void world_turn(World *w) {
        while (sd_event_run(w->event, 0) > 0 || pass_quiet(w))
                ;
}

void world_wait(World *w, const char *line) {
        world_turn(w);
        while (!world_traced(w, line))
                assert_true(sd_event_run(w->event, 20 * USEC_PER_SEC) > 0);
        world_turn(w);
}

static const char *find(const World *w, const char *line, const char *from) {
        size_t n = strlen(line);

        for (const char *p = from; p && (p = strstr(p, line)); p++)
                if ((p == w->trace.s || p[-1] == '\n') && p[n] == '\n')
                        return p;
        return NULL;
}

bool world_traced(const World *w, const char *line) {
        return w->trace.n > 0 && find(w, line, w->trace.s);
}

unsigned world_trace_count(const World *w, const char *line) {
        unsigned n = 0;

        for (const char *p = w->trace.n > 0 ? find(w, line, w->trace.s) : NULL; p; p = find(w, line, p + 1))
                n++;
        return n;
}

size_t world_trace_find(const World *w, const char *line) {
        const char *p = w->trace.n > 0 ? find(w, line, w->trace.s) : NULL;

        if (!p)
                fail_msg("no “%s” in:\n%s", line, strempty(w->trace.s));
        return (size_t) (p - w->trace.s);
}

void world_trace_clear(World *w) {
        strbuf_done(&w->trace);
        w->trace = (StrBuf) { 0 };
}

int world_try_start(World *w, const char *runbook, const char *inputs, Ticket *ret, char **ret_message) {
        _cleanup_json_ Json *j = NULL;
        uint32_t run;

        if (inputs)
                assert_ok(json_parse(inputs, strlen(inputs), &j));
        return engine_start_run(w->engine, &(StartRequest) { .runbook = runbook, .inputs = j }, &world_actor, &run, ret, ret_message);
}

uint32_t world_start_with(World *w, const StartRequest *q) {
        _cleanup_free_ char *message = NULL;
        uint32_t run = 0;
        Ticket ticket = 0;
        int r = engine_start_run(w->engine, q, &world_actor, &run, &ticket, &message);

        if (r != VERDICT_OK)
                fail_msg("%d %s", r, strempty(message));
        assert_true(ticket > 0 || q->dedup_key);
        return run;
}

uint32_t world_start(World *w, const char *runbook) {
        uint32_t run = world_start_with(w, &(StartRequest) { .runbook = runbook });

        world_turn(w);
        return run;
}

Run *world_run(World *w, uint32_t id) {
        Run *run;

        assert_int_equal(engine_get_run(w->engine, id, &run), VERDICT_OK);
        return run;
}

static int take_state(void *userdata, const RunRow *row) {
        *(RunState *) userdata = row->state;
        return 0;
}

RunState world_stored_state(World *w, uint32_t id) {
        RunState state;

        assert_ok(rows_get(w->engine, id, take_state, &state));
        return state;
}

typedef struct Counting {
        const char *type;
        unsigned n;
} Counting;

static int count_row(void *userdata, const EventRow *row) {
        Counting *c = userdata;

        if (!c->type || streq(row->type, c->type))
                c->n++;
        return 0;
}

unsigned world_events(World *w, uint32_t run, const char *type) {
        Counting c = { .type = type };

        assert_ok(store_load_events(w->store, run, 1, 0, count_row, &c));
        return c.n;
}

void world_fail(World *w) {
        fault_arm(&(FaultPlan) { .target = FAULT_SYNC, .action = FAULT_IOERR, .at = 1, .lasting = true });
}

/* ---- runs without a row ---- */

uint32_t world_start_waiting(World *w, const char *runbook) {
        uint32_t run;

        assert_ok(engine_set_max_steps(w->engine, 0));
        run = world_start_with(w, &(StartRequest) { .runbook = runbook });
        assert_ok(engine_flush(w->engine));
        assert_int_equal(w->committed_r, 0);
        return run;
}

static int append_number(void *userdata, const RunRow *row) {
        strbuf_appendf(userdata, "%u:%s ", row->id, row->status_text);
        return 0;
}

void world_assert_list(World *w, const char *expected) {
        _cleanup_strbuf_ StrBuf b = { 0 };

        assert_ok(engine_list_runs(w->engine, &(RunFilter) { 0 }, append_number, &b));
        assert_string_equal(b.n > 0 ? b.s : "", expected);
}

static int ignore_row(void *userdata, const RunRow *row) {
        return 0;
}

bool world_has_row(World *w, uint32_t run) {
        int r = store_get_run(w->store, run, ignore_row, NULL);

        assert_true(r == 0 || r == -ENOENT);
        return r == 0;
}

unsigned world_added(World *w, uint32_t run) {
        char line[32];

        (void) snprintf(line, sizeof line, "added %u", run);
        return world_trace_count(w, line);
}

void world_assert_complete(World *w) {
        LIST_FOREACH(owed, er, w->engine->owed.first) {
                assert_false(world_has_row(w, er->id));
                assert_true(er->id > store_complete(w->store));
                assert_true(!er->owed_next || er->owed_next->id > er->id);
        }
        assert_true(store_complete(w->store) <= store_last_run(w->store));
}

uint32_t world_active(World *w) {
        uint32_t active, on_hold, dead;

        engine_counts(w->engine, &active, &on_hold, &dead);
        return active;
}

void world_again_with(World *w, unsigned max_steps) {
        w->max_steps = max_steps;
        world_trace_clear(w);
        world_again(w);
}

void world_finish_all(World *w) {
        assert_ok(engine_set_max_steps(w->engine, 4));
        world_turn(w);
        while (fake_count(w->fake, 0) > 0) {
                fake_exit(w->fake, w->fake->jobs->run, NULL, 0);
                world_turn(w);
        }
}
