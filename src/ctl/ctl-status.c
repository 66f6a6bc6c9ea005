/* status: a run at a glance: what state it is in, what it waits for and what to type, and its tree. Without a run: the daemon and what goes
 * on. */
#include "client.h"
#include "i18n.h"
#include "lists.h"
#include "pager.h"
#include "tail.h"
#include "utf8.h"
#include "view.h"

#define LOG_LINES_DEFAULT 10u
#define INPUT_SHOWN_MAX 120u                            /* columns of an input's value */

/* ---- the log of a failed step ---- */

typedef struct LogContext {
        Ctl *ctl;
        const char *run_path;
        uint32_t lines;
} LogContext;

/* What can't be had is left out: the state is what was asked for. */
static void append_log(void *userdata, const char *activity, uint32_t attempt, const char *step, StrBuf *b) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(log_source_freep) LogSource *s = NULL;
        _cleanup_free_ char *path = NULL;
        LogContext *x = userdata;
        uint64_t gone;

        if (client_activity_path(x->ctl, x->run_path, activity, &path) >= 0 && log_source_new(x->ctl, path, attempt, step, &error, &s) >= 0)
                (void) tail_read(s, x->lines, b, &gone, &error);
}

static ViewOptions view_options(Ctl *c, LogContext *x) {
        x->lines = c->options.lines == LINES_UNSET ? LOG_LINES_DEFAULT : c->options.lines;
        return (ViewOptions){.now = now_usec(CLOCK_REALTIME),
                             .width = style_width(),
                             .log = x->lines > 0 ? append_log : NULL,
                             .log_userdata = x};
}

/* ---- the head ---- */

#define LABEL_WIDTH 10

static void head_line(const char *label, const char *text) {
        size_t w = utf8_width(label);
        out("%*s%s%s%s %s\n", (int) (LABEL_WIDTH - MIN(w, (size_t) LABEL_WIDTH)), "", tone_on(TONE_DIM), label, tone_off(TONE_DIM), text);
}

static void head_time(const char *label, usec_t when, usec_t now, const char *who) {
        _cleanup_free_ char *at = format_timestamp(when), *ago = format_span(usec_sub(now, when));
        _cleanup_strbuf_ StrBuf b = {};

        if (when == 0)
                return;
        strbuf_append(&b, strempty(at));
        strbuf_append(&b, "; ");
        strbuf_appendf(&b, _("%s ago"), strempty(ago));
        if (!isempty(who)) {
                strbuf_append(&b, ", ");
                strbuf_appendf(&b, _("by %s"), who);
        }
        _cleanup_free_ char *s = strbuf_take(&b);
        head_line(label, strempty(s));
}

static char *who_started(const Json *run) {
        const char *name = json_string(json_get(run, "startedByName"));
        _cleanup_strbuf_ StrBuf b = {};

        if (name)
                return text_one_line(name);
        if (json_type(json_get(run, "startedBy")) == JSON_INT && json_int(json_get(run, "startedBy")) != UINT32_MAX)
                strbuf_appendf(&b, "%" PRIi64, json_int(json_get(run, "startedBy")));
        return strbuf_take(&b);
}

static void head_inputs(const Json *inputs) {
        const char *label = _("Inputs:");

        JSON_OBJECT_FOREACH(inputs, key, value) {
                _cleanup_free_ char *text = json_to_string(value, false), *clean = text ? text_one_line(text) : NULL,
                                    *name = text_one_line(key);
                _cleanup_free_ char *cut = clean ? text_ellipsize(clean, INPUT_SHOWN_MAX) : NULL;
                _cleanup_strbuf_ StrBuf b = {};
                strbuf_appendf(&b, "%s = %s", strempty(name), strempty(cut));
                _cleanup_free_ char *s = strbuf_take(&b);
                head_line(label, strempty(s));
                label = "";
        }
}

/* What waits for whom, and what to type. */
static int head_request(Ctl *c, const Json *q) {
        const char *activity = strempty(json_string(json_get(q, "activity"))), *title = json_string(json_get(q, "title"));
        const Json *approvers = json_get(q, "approvers");
        usec_t deadline = lists_time(q, "deadline");
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_appendf(&b, "%s (%s)", activity, strempty(json_string(json_get(q, "kind"))));
        if (!isempty(title) && !streq(title, activity))
                strbuf_appendf(&b, ": %s", title);
        for (size_t i = 0; i < json_length(approvers); i++)
                strbuf_appendf(&b, "%s%s", i > 0 ? ", " : _("; from "), strempty(json_string(json_at(approvers, i))));
        if (deadline > 0) {
                _cleanup_free_ char *until = format_timestamp(deadline);
                strbuf_append(&b, "; ");
                strbuf_appendf(&b, _("until %s"), strempty(until));
        }
        _cleanup_free_ char *text = strbuf_take(&b), *clean = text ? text_one_line(text) : NULL, *command = ctl_command(c),
                            *name = text_one_line(activity);
        if (!clean || !command || !name)
                return ctl_oom(c);
        head_line(_("Waits:"), clean);
        if (streq_ptr(json_string(json_get(q, "kind")), "approval") && !c->options.quiet)
                out("%*s %s%s approve %" PRIi64 "/%s%s\n", LABEL_WIDTH, "", tone_on(TONE_BOLD), command, json_int(json_get(q, "run")), name,
                    tone_off(TONE_BOLD));
        return 0;
}

static int print_head(Ctl *c, const Json *run, const Json *requests) {
        const char *state = strempty(json_string(json_get(run, "state"))), *reason = json_string(json_get(run, "reason"));
        usec_t now = now_usec(CLOCK_REALTIME), started = lists_time(run, "startedAt"), finished = lists_time(run, "finishedAt");
        _cleanup_free_ char *runbook = text_one_line(json_string(json_get(run, "runbook"))),
                            *text = text_one_line(json_string(json_get(run, "statusText")));
        _cleanup_free_ char *who = who_started(run), *why = text_one_line(reason), *took = format_duration(started, finished, now);
        Tone tone = state_tone(state);

        if (!runbook || !text || !who || !why || !took)
                return ctl_oom(c);
        out("%s%s%s %s%s%s, ", tone_on(tone), symbol(SYMBOL_DOT), tone_off(tone), tone_on(TONE_BOLD), runbook, tone_off(TONE_BOLD));
        out(_("run %u"), (unsigned) json_int(json_get(run, "id")));
        out(": %s%s%s", tone_on(tone), state, tone_off(tone));
        if (*text && !streq(text, state))
                out(" %s %s", symbol(SYMBOL_DASH), text);
        out("\n");
        head_time(_("Created:"), lists_time(run, "createdAt"), now, who);
        head_time(_("Started:"), started, now, NULL);
        head_time(_("Ended:"), finished, now, NULL);
        if (started > 0)
                head_line(_("Took:"), took);
        if (*why && !streq(why, text))
                head_line(_("Reason:"), why);
        head_inputs(json_get(run, "inputs"));
        for (size_t i = 0; i < json_length(requests); i++)
                if (head_request(c, json_at(requests, i)) < 0)
                        return -ENOMEM;
        return 0;
}

/* ---- the three kinds ---- */

static int status_run(Ctl *c, const Target *t) {
        _cleanup_json_ Json *run = NULL, *requests = NULL;
        LogContext x = {.ctl = c, .run_path = t->run_path};
        _cleanup_frame_ Frame f = {};

        int r = client_call_json(c, t->run_path, BUS_RUN, "Describe", &run, NULL);
        if (r < 0)
                return r;
        if (ctl_json(c)) {
                ctl_print_json(c, run);
                return 0;
        }
        if (json_int(json_get(run, "pendingRequests")) > 0 && lists_get_requests(c, t->run, &requests) < 0)
                return -EIO;
        ViewOptions o = view_options(c, &x);
        r = view_run(&o, run, &f);
        if (r < 0)
                return ctl_oom(c);
        pager_open(c);
        r = print_head(c, run, requests);
        if (r < 0)
                return r;
        out("\n");
        frame_print(&f);
        return 0;
}

static int status_activity(Ctl *c, const Target *t) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        LogContext x = {.ctl = c, .run_path = t->run_path};
        _cleanup_json_ Json *activity = NULL;
        _cleanup_frame_ Frame f = {};
        const char *text;

        int r = client_new_call(c, t->activity_path, BUS_ACTIVITY, "Describe", &m);
        if (r < 0)
                return r;
        r = client_try(c, m, &error, &reply);
        if (r < 0)
                return client_activity_error(c, t, &error, r);
        r = sd_bus_message_read(reply, "s", &text);
        if (r >= 0)
                r = json_parse(text, strlen(text), &activity);
        if (r < 0)
                return client_parse_error(c, r);
        if (ctl_json(c)) {
                ctl_print_json(c, activity);
                return 0;
        }
        ViewOptions o = view_options(c, &x);
        if (view_activity(&o, activity, &f) < 0)
                return ctl_oom(c);
        pager_open(c);
        frame_print(&f);
        return 0;
}

static int overview_json(Ctl *c, const Json *properties, const Json *runs, const Json *requests) {
        static const char *const names[][2] = {{"version", "Version"},
                                               {"runsActive", "RunsActive"},
                                               {"runsOnHold", "RunsOnHold"},
                                               {"runsDeadLetter", "RunsDeadLetter"}};
        _cleanup_json_ Json *j = json_new_object();

        int r = j ? 0 : -ENOMEM;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(names); i++)
                r = json_set(j, names[i][0], json_ref(json_get(properties, names[i][1])));
        if (r >= 0)
                r = json_set(j, "runs", json_ref((Json *) runs));
        if (r >= 0)
                r = json_set(j, "requests", json_ref((Json *) requests));
        if (r < 0)
                return ctl_oom(c);
        ctl_print_json(c, j);
        return 0;
}

static int status_overview(Ctl *c) {
        _cleanup_json_ Json *properties = NULL, *runs = NULL, *requests = NULL;

        if (client_get_properties(c, BUS_PATH, BUS_MANAGER, &properties) < 0 ||
            lists_get_runs(c, lists_states_in_progress, LINES_ALL, &runs) < 0 || lists_get_requests(c, 0, &requests) < 0)
                return -EIO;
        if (ctl_json(c))
                return overview_json(c, properties, runs, requests);
        _cleanup_free_ char *version = text_one_line(json_string(json_get(properties, "Version")));
        pager_open(c);
        out("%s%s%s runbookd %s\n", tone_on(TONE_GOOD), symbol(SYMBOL_DOT), tone_off(TONE_GOOD), strempty(version));
        unsigned active = (unsigned)json_int(json_get(properties, "RunsActive")),
                 hold = (unsigned)json_int(json_get(properties, "RunsOnHold"));
        unsigned dead = (unsigned) json_int(json_get(properties, "RunsDeadLetter"));
        out("  ");
        out(P_("%u run in progress", "%u runs in progress", active), active);
        out(_(", %u on hold, %u in the dead-letter list\n"), hold, dead);
        if (json_length(runs) > 0) {
                out("\n");
                if (lists_print_runs(c, runs) < 0)
                        return -EIO;
        }
        if (json_length(requests) == 0)
                return 0;
        out("\n");
        return lists_print_requests(c, requests);
}

int verb_status(Ctl *c, const char *const *args, size_t n) {
        _cleanup_target_ Target t = {};

        int r = n == 0 ? status_overview(c) : target_parse(c, args[0], 1, 2, &t);
        if (r >= 0 && n > 0)
                r = t.activity ? status_activity(c, &t) : status_run(c, &t);
        return r < 0 ? ctl_failed(c) : STATUS_SUCCESS;
}
