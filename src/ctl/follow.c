/* A run as a log that grows: steps as they start and end, with what they write, and questions where a person is wanted and one sits here.
 */
#include "follow.h"

#include "answer.h"
#include "attend.h"
#include "cancel.h"
#include "fd-util.h"
#include "feed.h"
#include "hashmap.h"
#include "history.h"
#include "i18n.h"
#include "lists.h"
#include "prompt.h"
#include "style.h"
#include "summary.h"
#include "utf8.h"
#include "waits.h"

#define POLL_BUSY (200 * USEC_PER_MSEC)                 /* while steps run: their output grows without a signal */
#define POLL_IDLE (5 * USEC_PER_SEC)

typedef struct Request {
        char *activity;
        struct Request *next;
} Request;

typedef struct Follow {
        Ctl *ctl;
        uint32_t run;
        const char *run_path;
        Monitor *monitor;
        Feed *feed;
        Json *phase_of, *started;                       /* activity → its phase; activity → when its newest step started */
        char *shown;                                    /* "activity/step" whose lines were printed last */
        Request *requests;                              /* to be asked, in order */
        Prompt *prompt;
        Typed typed;
        bool prompt_visible, on_hold, gave_up_hold, cancelled;
} Follow;


/* ---- lines ---- */

static void hide_prompt(Follow *f) {
        if (f->prompt_visible)
                prompt_hide();
        f->prompt_visible = false;
}

/* "build ▸ dist ▸ step-1"; clean. New string. */
static char *place_text(const Follow *f, const char *activity, const char *step) {
        const char *phase = json_string(json_get(f->phase_of, strempty(activity)));
        _cleanup_strbuf_ StrBuf b = {};

        if (phase)
                strbuf_appendf(&b, "%s %s ", phase, symbol(SYMBOL_ARROW));
        strbuf_append(&b, strempty(activity));
        if (step)
                strbuf_appendf(&b, " %s %s", symbol(SYMBOL_ARROW), step);
        _cleanup_free_ char *s = strbuf_take(&b);
        return s ? text_one_line(s) : NULL;
}

static void set_shown(Follow *f, const char *activity, const char *step) {
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_appendf(&b, "%s/%s", strempty(activity), strempty(step));
        free(f->shown);
        f->shown = strbuf_take(&b);
}

static void print_place(Follow *f, const char *activity, const char *step) {
        _cleanup_free_ char *place = place_text(f, activity, step);

        hide_prompt(f);
        out("%s%s %s%s\n", tone_on(TONE_BUSY), symbol(SYMBOL_BUSY), strempty(place), tone_off(TONE_BUSY));
        set_shown(f, activity, step);
}

/* Lines of parallel steps: each change of the one who speaks is said. */
static int on_line(void *userdata, const FeedPlace *place, const char *s, size_t n) {
        _cleanup_strbuf_ StrBuf b = {};
        Follow *f = userdata;

        strbuf_appendf(&b, "%s/%s", place->activity, strempty(place->step));
        _cleanup_free_ char *who = strbuf_take(&b), *clean = text_log_line(s, n);
        if (!who || !clean)
                return ctl_oom(f->ctl);
        if (!streq_ptr(f->shown, who))
                print_place(f, place->activity, place->step);
        hide_prompt(f);
        out("  %s\n", clean);
        return 0;
}

static int on_gone(void *userdata, const FeedPlace *place, uint64_t bytes) {
        Follow *f = userdata;

        hide_prompt(f);
        out("%s", tone_on(TONE_DIM));
        out(P_("  (%llu byte of this log is no longer kept)", "  (%llu bytes of this log are no longer kept)", (unsigned long) bytes),
            (unsigned long long) bytes);
        out("%s\n", tone_off(TONE_DIM));
        return 0;
}

/* One line about an event: symbol, place, remark. */
static void print_event(Follow *f, const Json *event, Tone tone, Symbol mark, const char *remark) {
        const char *activity = json_string(json_get(event, "activity")), *phase = json_string(json_get(json_get(event, "data"), "phase"));
        _cleanup_free_ char *place = activity ? place_text(f, activity, json_string(json_get(event, "step"))) : text_one_line(phase);

        hide_prompt(f);
        out("%s%s %s%s%s%s\n", tone_on(tone), symbol(mark), strempty(place), isempty(place) || isempty(remark) ? "" : "  ", remark,
            tone_off(tone));
        free(f->shown);
        f->shown = NULL;
}

/* ---- events ---- */

static int event_step_started(Follow *f, const Json *event) {
        const char *activity = strempty(json_string(json_get(event, "activity")));

        if (json_set(f->started, activity, json_ref(json_get(event, "at"))) < 0)
                return ctl_oom(f->ctl);
        print_place(f, activity, json_string(json_get(event, "step")));
        return 0;
}

static void drop_request(Follow *f, const char *activity) {
        for (Request **i = &f->requests; *i; i = &(*i)->next)
                if (streq((*i)->activity, activity)) {
                        Request *q = *i;
                        *i = q->next;
                        free(q->activity);
                        free(q);
                        return;
                }
}

/* The question of an activity has been settled by somebody else, or by the clock. */
static void close_prompt(Follow *f, const char *activity) {
        drop_request(f, activity);
        if (!f->prompt || !streq(prompt_activity(f->prompt), activity))
                return;
        hide_prompt(f);
        f->prompt = prompt_free(f->prompt);
        out("%s", tone_on(TONE_DIM));
        out(_("  (That is settled.)"));
        out("%s\n", tone_off(TONE_DIM));
}

static int event_step_finished(Follow *f, const Json *event) {
        const char *activity = strempty(json_string(json_get(event, "activity"))),
                   *state = strempty(json_string(json_get(json_get(event, "data"), "state")));
        bool started = json_get(f->started, activity) && !(json_has(json_get(event, "data"), "started"));
        _cleanup_free_ char *took = format_duration(started ? lists_time(f->started, activity) : 0, lists_time(event, "at"), 0),
                            *detail = history_detail(event);
        _cleanup_strbuf_ StrBuf b = {};

        if (!detail || !took)
                return ctl_oom(f->ctl);
        close_prompt(f, activity);
        const char *why = startswith(detail, state);    /* the state begins it; a good one is said by its colour */
        strbuf_append(&b, streq(state, "success") ? (why && startswith(why, "; ") ? why + 2 : "") : detail);
        if (started)
                strbuf_appendf(&b, "%s%s", b.n > 0 ? "  " : "", took);
        _cleanup_free_ char *remark = strbuf_take(&b);
        print_event(f, event, state_tone(state), state_symbol(state), strempty(remark));
        return 0;
}

/* The commands that answer it, for those who are not asked here. fields: of an input, or NULL. */
static int print_commands(Follow *f, const char *activity, const char *kind, const Json *fields) {
        _cleanup_json_ Json *commands = json_new_array();

        if (!commands || waits_commands(f->ctl, f->run, activity, kind, fields, commands) < 0)
                return ctl_oom(f->ctl);
        for (size_t i = 0; i < json_length(commands); i++) {
                _cleanup_free_ char *clean = text_one_line(json_string(json_at(commands, i)));
                out("    %s\n", strempty(clean));
        }
        return 0;
}

static int queue_request(Follow *f, const char *activity) {
        Request **last = &f->requests, *q = calloc(1, sizeof(Request));

        if (q)
                q->activity = strdup(activity);
        if (!q || !q->activity) {
                free(q);
                return ctl_oom(f->ctl);
        }
        while (*last)
                last = &(*last)->next;
        *last = q;
        return 0;
}

/* A person is wanted: asked here where one can be, else told what to type. */
static int event_request(Follow *f, const Json *event, const char *kind, const char *remark) {
        const char *activity = strempty(json_string(json_get(event, "activity")));

        if (prompt_may_ask(f->ctl) && prompt_knows(kind))
                return queue_request(f, activity);
        print_event(f, event, TONE_WARN, SYMBOL_WAITING, remark);
        return print_commands(f, activity, kind, NULL);
}

static int event_request_opened(Follow *f, const Json *event) {
        const char *kind = json_string(json_get(json_get(event, "data"), "kind"));
        _cleanup_free_ char *detail = history_detail(event);

        return detail ? event_request(f, event, kind ? kind : "approval", detail) : ctl_oom(f->ctl);
}

static int event_held(Follow *f, const Json *event) {
        _cleanup_free_ char *detail = history_detail(event);
        _cleanup_strbuf_ StrBuf b = {};

        if (!detail)
                return ctl_oom(f->ctl);
        strbuf_append(&b, history_words("activity-held"));
        if (*detail)
                strbuf_appendf(&b, ": %s", detail);
        _cleanup_free_ char *remark = strbuf_take(&b);
        return event_request(f, event, "decision", strempty(remark));
}

/* A value is missing. What the daemon knows of it is asked for with the question. */
static int event_inputs_wanted(Follow *f, const Json *event) {
        const char *activity = strempty(json_string(json_get(event, "activity")));
        const Json *names = json_get(json_get(event, "data"), "inputs");
        _cleanup_json_ Json *fields = json_new_array();
        int r = fields ? 0 : -ENOMEM;

        if (prompt_may_ask(f->ctl))
                return queue_request(f, activity);
        for (size_t i = 0; r >= 0 && i < json_length(names); i++) {
                _cleanup_json_ Json *field = json_new_object();
                r = !field || json_set(field, "name", json_ref(json_at(names, i))) < 0 ? -ENOMEM : json_append(fields, TAKE_PTR(field));
        }
        if (r < 0)
                return ctl_oom(f->ctl);
        _cleanup_free_ char *detail = history_detail(event),
                            *remark = detail ? xasprintf("%s: %s", history_words("inputs-wanted"), detail) : NULL;
        print_event(f, event, TONE_WARN, SYMBOL_WAITING, strempty(remark));
        return print_commands(f, activity, "input", fields);
}

static int event_attempt_started(Follow *f, const Json *event) {
        unsigned number = (unsigned) json_int(json_get(event, "attempt"));
        _cleanup_free_ char *detail = history_detail(event);
        _cleanup_strbuf_ StrBuf b = {};

        if (number <= 1)
                return 0;
        strbuf_appendf(&b, _("attempt %u"), number);
        strbuf_appendf(&b, " (%s)", strempty(detail));
        _cleanup_free_ char *remark = strbuf_take(&b);
        print_event(f, event, TONE_WARN, SYMBOL_AGAIN, strempty(remark));
        return 0;
}

static int event_run_state(Follow *f, const Json *event) {
        f->on_hold = streq_ptr(json_string(json_get(json_get(event, "data"), "state")), "on-hold");
        return 0;
}

/* What went well needs no line of its own: its steps had theirs. */
static int event_ended(Follow *f, const Json *event) {
        const char *state = strempty(json_string(json_get(json_get(event, "data"), "state")));
        _cleanup_free_ char *detail = history_detail(event);

        if (!detail)
                return ctl_oom(f->ctl);
        if (!streq(state, "success"))
                print_event(f, event, state_tone(state), state_symbol(state), detail);
        return 0;
}

/* A decision that nobody took in time, or that a cancel took. */
static int event_activity_finished(Follow *f, const Json *event) {
        close_prompt(f, strempty(json_string(json_get(event, "activity"))));
        return event_ended(f, event);
}

/* A failed one has said so by its step, or by what comes next. */
static int event_attempt_finished(Follow *f, const Json *event) {
        return streq_ptr(json_string(json_get(json_get(event, "data"), "state")), "failed") ? 0 : event_ended(f, event);
}

/* In words, with who did it. */
static int event_in_words(Follow *f, const Json *event) {
        _cleanup_free_ char *detail = history_detail(event), *who = history_who(event);
        const char *type = strempty(json_string(json_get(event, "type")));
        _cleanup_strbuf_ StrBuf b = {};

        if (!detail || !who)
                return ctl_oom(f->ctl);
        strbuf_append(&b, history_words(type));
        if (*detail)
                strbuf_appendf(&b, ": %s", detail);
        if (json_get(event, "uid")) {
                strbuf_append(&b, ", ");
                strbuf_appendf(&b, _("by %s"), who);
        }
        _cleanup_free_ char *remark = strbuf_take(&b);
        print_event(f, event, TONE_WARN, SYMBOL_DOT, strempty(remark));
        return 0;
}

/* Has the question been answered by that? Another value may be wanted still, or it is another one that was changed. */
static int event_inputs_changed(Follow *f, const Json *event) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *activity = NULL, *path = NULL;
        _cleanup_json_ Json *request = NULL;

        int r = event_in_words(f, event);
        if (r < 0 || !f->prompt || !prompt_is_about_input(f->prompt))
                return r;
        activity = strdup(prompt_activity(f->prompt));
        if (!activity)
                return ctl_oom(f->ctl);
        r = client_activity_path(f->ctl, f->run_path, activity, &path);
        if (r < 0)
                return r;
        const Target t = {.run = f->run, .activity_path = path};
        r = answer_get_request(f->ctl, &t, &request, &error);
        if (r < 0 ? !client_is_away(&error) : !streq_ptr(json_string(json_get(request, "kind")), "input"))
                close_prompt(f, activity);
        return 0;
}

static int event_decided(Follow *f, const Json *event) {
        close_prompt(f, strempty(json_string(json_get(event, "activity"))));
        return event_in_words(f, event);
}

/* That it starts later is all that a new run has to say. */
static int event_run_created(Follow *f, const Json *event) {
        return lists_time(json_get(event, "data"), "until") > 0 ? event_in_words(f, event) : 0;
}

/* The first start is no news. */
static int event_run_started(Follow *f, const Json *event) {
        return json_int(json_get(event, "attempt")) > 1 ? event_in_words(f, event) : 0;
}

/* What only lends its outputs is done again, or skipped, which is said then. */
static int event_reused(Follow *f, const Json *event) {
        const char *state = strempty(json_string(json_get(json_get(event, "data"), "state")));
        return streq(state, "success") || streq(state, "ignored") ? event_in_words(f, event) : 0;
}

static int event_workspace(Follow *f, const Json *event) {
        return json_get(json_get(event, "data"), "error") ? event_in_words(f, event) : 0;
}

static const struct {
        const char *type;
        int (*handle)(Follow *f, const Json *event);
} event_table[] = {
        {"step-started", event_step_started},
        {"step-finished", event_step_finished},
        {"request-opened", event_request_opened},
        {"attempt-started", event_attempt_started},
        {"run-state", event_run_state},
        {"attempt-finished", event_attempt_finished},
        {"activity-finished", event_activity_finished},
        {"phase-finished", event_ended},
        {"activity-held", event_held},
        {"activity-decided", event_decided},
        {"activity-reused", event_reused},
        {"inputs-wanted", event_inputs_wanted},
        {"run-created", event_run_created},
        {"run-started", event_run_started},
        {"run-workspace", event_workspace},
        {"run-start-now", event_in_words},
        {"run-rescheduled", event_in_words},
        {"run-paused", event_in_words},
        {"run-resumed", event_in_words},
        {"run-backoff", event_in_words},
        {"inputs-changed", event_inputs_changed},
        {"definition-changed", event_in_words},
        {"request-answered", event_in_words},
        {"activity-backoff", event_in_words},
        {"run-cancel", event_in_words},
        {"run-timed-out", event_in_words},
        {"run-gave-up", event_in_words},
        {"attempt-timed-out", event_in_words},
        {"hook-timed-out", event_in_words},
        {"step-timed-out", event_in_words},
};

static int on_event(void *userdata, const Json *event) {
        const char *type = strempty(json_string(json_get(event, "type")));

        for (size_t i = 0; i < ELEMENTSOF(event_table); i++)
                if (streq(event_table[i].type, type))
                        return event_table[i].handle(userdata, event);
        return 0;
}

/* ---- questions ---- */

/* For others: who can act, and what they type. */
static int print_for_others(Follow *f, const char *activity, const Json *request) {
        const char *kind = strempty(json_string(json_get(request, "kind")));
        _cleanup_free_ char *place = place_text(f, activity, NULL), *who = waits_who(request), *clean = who ? text_one_line(who) : NULL;

        if (!place || !clean)
                return ctl_oom(f->ctl);
        hide_prompt(f);
        out("%s%s %s  ", tone_on(TONE_WARN), symbol(SYMBOL_WAITING), place);
        out(_("waits for %s (%s)"), clean, kind);
        out("%s\n", tone_off(TONE_WARN));
        return print_commands(f, activity, kind, json_get(request, "fields"));
}

static int ask(Follow *f, const char *activity, const Json *request) {
        if (!waits_for_me(f->ctl, request, request))
                return print_for_others(f, activity, request);
        _cleanup_free_ char *place = place_text(f, activity, NULL);
        return place ? prompt_new(f->ctl, f->run, f->run_path, activity, place, request, &f->prompt) : ctl_oom(f->ctl);
}

static int ask_next(Follow *f) {
        while (!f->prompt && f->requests) {
                _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
                _cleanup_free_ char *activity = strdup(f->requests->activity);
                _cleanup_json_ Json *request = NULL;
                Target t = {.run = f->run, .activity = activity};
                if (!activity)
                        return ctl_oom(f->ctl);
                int r = client_activity_path(f->ctl, f->run_path, activity, &t.activity_path);
                if (r >= 0)
                        r = answer_get_request(f->ctl, &t, &request, &error);
                free(t.activity_path);
                if (r < 0 && client_is_away(&error))
                        return 0;                       /* asked again when it is back */
                drop_request(f, activity);
                if (r < 0 || !prompt_knows(json_string(json_get(request, "kind"))))
                        continue;                       /* settled by now, or not for us to see */
                r = ask(f, activity, request);
                if (r < 0)
                        return r;
        }
        monitor_watch_input(f->monitor, f->prompt != NULL);
        return 0;
}

static int feed_line(Follow *f, const char *line) {
        if (!f->prompt)
                return 0;
        f->prompt_visible = false;                      /* the terminal has moved on to the next line */
        int r = prompt_feed(f->prompt, line);
        if (r > 0)
                f->prompt = prompt_free(f->prompt);
        return r < 0 ? r : 0;
}

/* What is pasted for later questions waits for them. */
static int take_lines(Follow *f) {
        while (f->prompt) {
                _cleanup_free_ char *line = typed_line(&f->typed);
                if (!line)
                        break;
                int r = feed_line(f, line);
                if (r >= 0 && !f->prompt)
                        r = ask_next(f);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_input(Follow *f) {
        int r = typed_read(f->ctl, &f->typed);
        return r > 0 ? feed_line(f, NULL) : r;
}

/* ---- the loop ---- */

static int look(void *userdata, unsigned wake, sd_bus_error *error) {
        Follow *f = userdata;

        int r = wake & WAKE_INPUT ? read_input(f) : 0;
        if (r >= 0)
                r = feed_poll(f->feed, error);
        if (r < 0)
                return r;
        if (feed_ended(f->feed))
                return 1;
        r = ask_next(f);
        if (r >= 0)
                r = take_lines(f);
        if (r >= 0)
                r = ask_next(f);
        if (r < 0)
                return r;
        if (f->prompt && !f->prompt_visible) {
                prompt_show(f->prompt);
                f->prompt_visible = true;
        }
        (void) fflush(stdout);
        f->gave_up_hold = f->on_hold && f->ctl->options.no_input;
        return f->gave_up_hold;
}

static usec_t interval(void *userdata) {
        Follow *f = userdata;
        return feed_is_busy(f->feed) ? POLL_BUSY : POLL_IDLE;
}

static int interrupted(void *userdata) {
        Follow *f = userdata;

        hide_prompt(f);
        if (!f->ctl->options.cancel_on_exit || f->cancelled) {
                attend_say_come_back(f->ctl, f->run);
                return ATTEND_INTERRUPTED;
        }
        f->cancelled = true;
        err(_("\nCancelling run %u. Once more to leave it to itself.\n"), f->run);
        int r = cancel_send(f->ctl, f->run_path, NULL);
        return r < 0 ? r : 0;
}

static void away(void *userdata, bool away) {
        Follow *f = userdata;
        hide_prompt(f);
        attend_say_away(f->ctl, away);
}

static const AttendOps follow_ops = {.look = look, .interval = interval, .interrupted = interrupted, .away = away};
static const FeedHandlers feed_handlers = {.event = on_event, .line = on_line, .gone = on_gone};

static int read_phases(Follow *f) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *name, *phase;

        int r = client_call(f->ctl, f->run_path, BUS_RUN, "ListActivities", &reply, NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sssuo)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(sssuo)", &name, &phase, NULL, NULL, NULL)) > 0)
                if (json_set_string(f->phase_of, name, phase) < 0)
                        return ctl_oom(f->ctl);
        return r < 0 ? client_parse_error(f->ctl, r) : 0;
}

static void follow_done(Follow *f) {
        while (f->requests)
                drop_request(f, f->requests->activity);
        prompt_free(f->prompt);
        feed_free(f->feed);
        monitor_free(f->monitor);
        json_unref(f->phase_of);
        json_unref(f->started);
        free(f->shown);
        free(f->typed.text);
}

int follow_run(Ctl *c, uint32_t run, const char *run_path, const char *runbook) {
        _cleanup_(follow_done) Follow f = {
                        .ctl = c, .run = run, .run_path = run_path, .phase_of = json_new_object(), .started = json_new_object()};
        _cleanup_free_ char *state = NULL;

        if (!f.phase_of || !f.started) {
                (void) ctl_oom(c);
                return ctl_failed(c);
        }
        if (monitor_new(c, run_path, &f.monitor) < 0 || feed_new(c, run_path, &feed_handlers, &f, &f.feed) < 0 || read_phases(&f) < 0)
                return ctl_failed(c);
        int r = attend(c, f.monitor, &follow_ops, &f);
        hide_prompt(&f);
        if (r == ATTEND_INTERRUPTED)
                return monitor_interrupted_status(f.monitor);
        if (r < 0)
                return ctl_failed(c);
        if (f.gave_up_hold)
                return attend_on_hold(c, run);
        return summary_print(c, run_path, &state) < 0 ? ctl_failed(c) : (int) status_of_state(state);
}

/* ---- --wait ---- */

typedef struct Wait {
        Ctl *ctl;
        uint32_t run;
        const char *run_path;
        char *state;
        bool gave_up_hold, cancelled;
} Wait;

static int wait_look(void *userdata, unsigned wake, sd_bus_error *error) {
        Wait *w = userdata;
        char *state = NULL;

        int r = sd_bus_get_property_string(w->ctl->bus, BUS_NAME, w->run_path, BUS_RUN, "State", error, &state);
        if (r < 0)
                return r;
        free(w->state);
        w->state = state;
        w->gave_up_hold = streq(state, "on-hold") && w->ctl->options.no_input;
        return state_is_terminal(state) || w->gave_up_hold;
}

static usec_t wait_interval(void *userdata) {
        return POLL_IDLE;
}

static int wait_interrupted(void *userdata) {
        Wait *w = userdata;

        if (!w->ctl->options.cancel_on_exit || w->cancelled) {
                attend_say_come_back(w->ctl, w->run);
                return ATTEND_INTERRUPTED;
        }
        w->cancelled = true;
        int r = cancel_send(w->ctl, w->run_path, NULL);
        return r < 0 ? r : 0;
}

static const AttendOps wait_ops = {.look = wait_look, .interval = wait_interval, .interrupted = wait_interrupted};

int wait_run(Ctl *c, uint32_t run, const char *run_path, const char *runbook) {
        _cleanup_(monitor_freep) Monitor *m = NULL;
        Wait w = {.ctl = c, .run = run, .run_path = run_path};

        int r = monitor_new(c, run_path, &m);
        if (r >= 0)
                r = attend(c, m, &wait_ops, &w);
        _cleanup_free_ char *state = w.state;
        if (r == ATTEND_INTERRUPTED)
                return monitor_interrupted_status(m);
        if (r < 0)
                return ctl_failed(c);
        if (w.gave_up_hold)
                return attend_on_hold(c, run);
        if (!c->options.quiet && !ctl_json(c))
                out(_("Run %u (%s) ended: %s\n"), run, runbook, state);
        return status_of_state(state);
}
