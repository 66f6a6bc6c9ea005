/* status: a run at a glance: what state it is in, what it waits for and what to type, and its tree. Without a run: the daemon and what goes
 * on. Where a run stands is for everybody to know, so who may not read more sees that, with a line about what is left out. */
#include <pwd.h>

#include "client.h"
#include "fd-util.h"
#include "history.h"
#include "i18n.h"
#include "lists.h"
#include "outline.h"
#include "pager.h"
#include "tail.h"
#include "utf8.h"
#include "view.h"
#include "waits.h"

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

/* An outline has the uid alone, which has a name on its own machine. */
static char *who_started(const Ctl *c, const Json *run) {
        const char *name = json_string(json_get(run, "startedByName"));
        const Json *uid = json_get(run, "startedBy");
        const struct passwd *u;

        if (name)
                return text_one_line(name);
        if (json_type(uid) != JSON_INT || json_int(uid) == UINT32_MAX)
                return strdup("");
        u = c->options.host ? NULL : getpwuid((uid_t) json_int(uid));
        return u ? text_one_line(u->pw_name) : xasprintf("%" PRIi64, json_int(uid));
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

static void head_command(const char *text) {
        _cleanup_free_ char *clean = text_one_line(text);
        out("%*s %s%s%s\n", LABEL_WIDTH, "", tone_on(TONE_BOLD), strempty(clean), tone_off(TONE_BOLD));
}

/* "runbookctl replay 12", where hints are wanted. */
static void head_hint(Ctl *c, const char *verb, const Json *run, const char *more) {
        _cleanup_free_ char *command = ctl_command(c);
        _cleanup_strbuf_ StrBuf b = {};

        if (c->options.quiet)
                return;
        strbuf_appendf(&b, "%s %s %" PRIi64 "%s", strempty(command), verb, json_int(json_get(run, "id")), more);
        _cleanup_free_ char *s = strbuf_take(&b);
        head_command(s);
}

static void append_who(StrBuf *b, const Json *q) {
        _cleanup_free_ char *who = waits_who(q), *answers = waits_answers(q);

        strbuf_append(b, "; ");
        strbuf_appendf(b, _("from %s"), strempty(who));
        if (!isempty(answers))
                strbuf_appendf(b, "; %s", answers);
}

static void append_moment(StrBuf *b, bool until, usec_t when) {
        _cleanup_free_ char *at = format_timestamp(when);

        if (when == 0)
                return;
        strbuf_append(b, "; ");
        strbuf_appendf(b, until ? _("until %s") : _("since %s"), strempty(at));
}

/* What waits for whom, and what to type. */
static int head_request(Ctl *c, const Json *q) {
        const char *activity = strempty(json_string(json_get(q, "activity"))), *title = json_string(json_get(q, "title"));
        const char *kind = strempty(json_string(json_get(q, "kind")));
        _cleanup_free_ char *error = view_error(json_get(q, "error"), NULL);
        const Json *commands = json_get(q, "commands");
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_appendf(&b, "%s (%s)", activity, kind);
        if (!isempty(title) && !streq(title, activity))
                strbuf_appendf(&b, ": %s", title);
        if (error)
                strbuf_appendf(&b, ": %s", error);
        append_who(&b, q);
        if (streq(kind, "decision"))
                append_moment(&b, false, lists_time(q, "openedAt"));
        append_moment(&b, true, lists_time(q, "deadline"));
        _cleanup_free_ char *text = strbuf_take(&b), *clean = text ? text_one_line(text) : NULL;
        if (!clean)
                return ctl_oom(c);
        head_line(_("Waits:"), clean);
        for (size_t i = 0; !c->options.quiet && i < json_length(commands); i++)
                head_command(json_string(json_at(commands, i)));
        return 0;
}

/* What is not for everybody, and how it is seen. */
static int head_left_out(Ctl *c, const Target *t, const Json *description) {
        _cleanup_free_ char *text = NULL, *command = NULL;

        if (!is_outline(description))
                return 0;
        if (outline_note(c, t, description, &text, &command) < 0)
                return ctl_oom(c);
        head_line(_("Not shown:"), text);
        if (command && !c->options.quiet)
                head_command(command);
        return 0;
}

/* ---- why it does not move, and what it comes from ---- */

/* "2026-11-23 14:00:00; in 3h 5min" */
static void head_future(const char *label, usec_t when, usec_t now, const char *more) {
        _cleanup_free_ char *at = format_timestamp(when), *left = format_span(usec_sub(when, now));
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_appendf(&b, "%s; ", strempty(at));
        if (when > now)
                strbuf_appendf(&b, _("in %s"), strempty(left));
        else
                strbuf_append(&b, _("now"));
        strbuf_append(&b, more);
        _cleanup_free_ char *s = strbuf_take(&b);
        head_line(label, strempty(s));
}

static void head_origin(const Json *run) {
        unsigned of = (unsigned) json_int(json_get(run, "replayOf")), root = (unsigned) json_int(json_get(run, "rootRun"));
        const char *trigger = json_string(json_get(run, "trigger"));

        if (of == 0)
                return;
        _cleanup_free_ char *s =
                        root > 0 && root != of ? xasprintf(_("run %u; the first was run %u"), of, root) : xasprintf(_("run %u"), of);
        head_line(streq_ptr(trigger, "rerun") ? _("Rerun of:") : _("Replay of:"), strempty(s));
}

static void head_waiting(Ctl *c, const Json *run, const char *state, usec_t now) {
        usec_t scheduled = lists_time(run, "scheduledFor"), retry = lists_time(run, "nextRetryAt"), paused = lists_time(run, "pausedAt");
        _cleanup_free_ char *attempt = xasprintf(_(", attempt %u"), (unsigned) json_int(json_get(run, "attempt")) + 1);

        if (streq(state, "scheduled") && scheduled > 0) {
                head_future(_("Starts:"), scheduled, now, "");
                head_hint(c, "start-now", run, "");
                head_hint(c, "reschedule", run, " TIME");
        } else if (streq(state, "queued") && retry > 0) {
                head_future(_("Next try:"), retry, now, strempty(attempt));
                head_hint(c, "start-now", run, "");
        } else if (streq(state, "paused")) {
                head_time(_("Paused:"), paused, now, NULL);
                head_hint(c, "resume", run, "");
        }
}

/* What can be done about a run that has ended. */
static void head_after(Ctl *c, const Json *run, const char *state) {
        static const char *const again[] = {"failed", "exhausted", "dlq", "cancelled", "timed-out", "rejected"};
        usec_t until = lists_time(run, "replayUntil");
        bool too_old = until > 0 && until < now_usec(CLOCK_REALTIME);

        if (c->options.quiet)
                return;
        for (size_t i = 0; !too_old && i < ELEMENTSOF(again); i++)
                if (streq(again[i], state)) {
                        head_line(_("Again:"), _("what failed can be done once more, in a new run"));
                        head_hint(c, "replay", run, "");
                }
        if (streq(state, "dlq"))
                head_hint(c, "cancel", run, "");
}

static void head_errors(const Json *run, const char *state) {
        static const char *const good[] = {"success", "partial-success", "running", "on-hold", "paused"};

        for (size_t i = 0; json_bool(json_get(run, "hadErrors")) && i < ELEMENTSOF(good); i++)
                if (streq(good[i], state))
                        head_line(_("Errors:"), _("something failed that was tolerated or ignored"));
}

static void head_attempt(const Json *run) {
        int64_t n = json_int(json_get(run, "attempt"));
        char text[24];

        (void) snprintf(text, sizeof(text), "%" PRIi64, n);
        if (n > 1)
                head_line(_("Attempt:"), text);
}

static void head_times(const Json *run, const char *who, usec_t now) {
        usec_t started = lists_time(run, "startedAt"), finished = lists_time(run, "finishedAt");
        _cleanup_free_ char *took = format_duration(started, finished, now);

        head_time(_("Created:"), lists_time(run, "createdAt"), now, who);
        head_time(_("Started:"), started, now, NULL);
        head_time(_("Ended:"), finished, now, NULL);
        if (started > 0)
                head_line(_("Took:"), strempty(took));
}

static int head_title(Ctl *c, const Json *run, const char *state) {
        _cleanup_free_ char *runbook = text_one_line(json_string(json_get(run, "runbook"))),
                            *text = text_one_line(json_string(json_get(run, "statusText")));
        Tone tone = state_tone(state);

        if (!runbook || !text)
                return ctl_oom(c);
        out("%s%s%s %s%s%s, ", tone_on(tone), symbol(SYMBOL_DOT), tone_off(tone), tone_on(TONE_BOLD), runbook, tone_off(TONE_BOLD));
        out(_("run %u"), (unsigned) json_int(json_get(run, "id")));
        out(": %s%s%s", tone_on(tone), state, tone_off(tone));
        if (*text && !streq(text, state))
                out(" %s %s", symbol(SYMBOL_DASH), text);
        out("\n");
        return 0;
}

static int print_head(Ctl *c, const Target *t, const Json *run, const Json *requests) {
        const char *reason = json_string(json_get(run, "reason")), *text = strempty(json_string(json_get(run, "statusText")));
        _cleanup_free_ char *who = who_started(c, run), *why = text_one_line(reason),
                            *state = text_one_line(json_string(json_get(run, "state")));
        usec_t now = now_usec(CLOCK_REALTIME);

        if (!who || !why || !state)
                return ctl_oom(c);
        int r = head_title(c, run, state);
        if (r < 0)
                return r;
        head_origin(run);
        head_times(run, who, now);
        head_attempt(run);
        head_waiting(c, run, state, now);
        if (*why && !streq(strempty(reason), text))
                head_line(_("Reason:"), why);
        head_errors(run, state);
        head_after(c, run, state);
        head_inputs(json_get(run, "inputs"));
        for (size_t i = 0; i < json_length(requests); i++)
                if (head_request(c, json_at(requests, i)) < 0)
                        return -ENOMEM;
        return head_left_out(c, t, run);
}

/* ---- who decided ---- */

/* "ignored by alice: known", for the last decision about an activity; NULL: there was none. */
static char *decision_text(const Json *events, const char *activity) {
        static const char *const words[][2] = {{"ignore", N_("ignored by %s")}, {"abort", N_("aborted by %s")}};

        for (size_t i = json_length(events); i > 0; i--) {
                const Json *e = json_at(events, i - 1), *data = json_get(e, "data");
                const char *action = json_string(json_get(data, "action")), *why = json_string(json_get(data, "reason"));
                if (!streq_ptr(json_string(json_get(e, "type")), "activity-decided") ||
                    !streq_ptr(json_string(json_get(e, "activity")), activity))
                        continue;
                for (size_t k = 0; k < ELEMENTSOF(words); k++) {
                        _cleanup_free_ char *who = history_who(e),
                                            *by = streq_ptr(action, words[k][0]) ? xasprintf(_(words[k][1]), strempty(who)) : NULL;
                        if (by)
                                return xasprintf("%s%s%s", by, isempty(why) ? "" : ": ", strempty(why));
                }
                return NULL;
        }
        return NULL;
}

/* A waived or aborted failure is shown with who decided so, and why: that stands in the history alone. */
static int add_decisions(Ctl *c, const Target *t, const Json *activities) {
        static const char *const decided[] = {"ignored", "failed"};
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *events = NULL;

        for (size_t i = 0; i < json_length(activities); i++) {
                Json *a = json_at(activities, i);
                const char *state = strempty(json_string(json_get(a, "state")));
                if ((!streq(state, decided[0]) && !streq(state, decided[1])) || json_get(a, "reusedFrom"))
                        continue;
                if (!events) {
                        events = json_new_array();
                        if (!events)
                                return ctl_oom(c);
                        (void) history_read(c, t->run_path, 1, 0, events, &error);      /* who may not read it sees the state alone */
                }
                _cleanup_free_ char *text = decision_text(events, strempty(json_string(json_get(a, "name"))));
                if (text && json_set_string(a, "reason", text) < 0)
                        return ctl_oom(c);
        }
        return 0;
}

/* ---- the three kinds ---- */

static int status_run(Ctl *c, const Target *t) {
        _cleanup_json_ Json *run = NULL, *requests = NULL;
        LogContext x = {.ctl = c, .run_path = t->run_path};
        _cleanup_frame_ Frame f = {};

        int r = outline_describe(c, t, &run);
        if (r < 0)
                return r;
        if (ctl_json(c)) {
                ctl_print_json(c, run);
                return 0;
        }
        r = waits_read(c, t, json_get(run, "activities"), &requests);
        if (r >= 0 && !is_outline(run))
                r = add_decisions(c, t, json_get(run, "activities"));
        if (r < 0)
                return r;
        ViewOptions o = view_options(c, &x);
        r = view_run(&o, run, &f);
        if (r < 0)
                return ctl_oom(c);
        pager_open(c);
        r = print_head(c, t, run, requests);
        if (r < 0)
                return r;
        out("\n");
        frame_print(&f);
        return 0;
}

static int status_activity(Ctl *c, const Target *t) {
        LogContext x = {.ctl = c, .run_path = t->run_path};
        _cleanup_json_ Json *activity = NULL, *all = json_new_array(), *requests = NULL;
        _cleanup_frame_ Frame f = {};

        int r = outline_describe(c, t, &activity);
        if (r < 0)
                return r;
        if (ctl_json(c)) {
                ctl_print_json(c, activity);
                return 0;
        }
        ViewOptions o = view_options(c, &x);
        if (!all || json_append(all, json_ref(activity)) < 0)
                return ctl_oom(c);
        r = waits_read(c, t, all, &requests);
        if (r >= 0 && !is_outline(activity))
                r = add_decisions(c, t, all);
        if (r >= 0 && view_activity(&o, activity, &f) < 0)
                r = ctl_oom(c);
        if (r < 0)
                return r;
        pager_open(c);
        for (size_t i = 0; r >= 0 && i < json_length(requests); i++)
                r = head_request(c, json_at(requests, i));
        if (r >= 0)
                r = head_left_out(c, t, activity);
        frame_print(&f);
        return r;
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

        if (n == 0 && c->options.all) {
                (void) ctl_usage_error(c, _("--all is about a run: status RUN --all"));
                return ctl_failed(c);
        }
        int r = n == 0 ? status_overview(c) : target_parse(c, args[0], 1, 2, &t);
        if (r >= 0 && n > 0)
                r = t.activity ? status_activity(c, &t) : status_run(c, &t);
        return r < 0 ? ctl_failed(c) : STATUS_SUCCESS;
}
