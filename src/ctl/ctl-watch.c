/* watch: a run, or all that are in progress, drawn again in place as they change. Where output is no terminal, a line per change. Enter
 * asks about the first request that waits for the one who sits here, and once more about the next: meanwhile nothing is drawn, and what was
 * drawn stays above the question. Who is asked but may not read the run needs no password for that: he sees names and states. */
#include "answer.h"
#include "attend.h"
#include "fd-util.h"
#include "i18n.h"
#include "lists.h"
#include "outline.h"
#include "progress.h"
#include "prompt.h"
#include "summary.h"
#include "waits.h"

#define TICK USEC_PER_SEC                               /* elapsed times move */
#define HEAD_LINES 3u

typedef struct Watch {
        Ctl *ctl;
        const Target *target;                           /* NULL: all runs */
        Painter painter;
        Json *seen;                                     /* what was shown last: the run, or the list */
        Json *requests, *not_mine;                      /* paths of those that are known to be for others, or NULL */
        Monitor *monitor;
        Prompt *prompt;                                 /* the question that is being asked */
        uint32_t prompt_run;
        char *asked_last;                               /* path of the activity */
        Typed typed;
        bool prompt_visible, input_ended, gave_up_hold, is_away;
        bool outline;                                   /* the run's details may not be read */
} Watch;

static const char *string_of(const Json *j, const char *key) {
        return strempty(json_string(json_get(j, key)));
}

static bool draws(const Watch *w) {
        return style_is_terminal() && !ctl_json(w->ctl);
}

/* ---- what is drawn ---- */

static int add_head(const Watch *w, const Json *run, size_t width, Frame *f) {
        const char *state = string_of(run, "state");
        _cleanup_free_ char *runbook = text_one_line(string_of(run, "runbook")), *text = text_one_line(string_of(run, "statusText"));
        Line l = {.max = width};

        line_addf(&l, state_tone(state), "%s ", symbol(SYMBOL_DOT));
        line_add(&l, TONE_BOLD, strempty(runbook));
        line_addf(&l, TONE_NONE, _(", run %u: "), w->target->run);
        line_add(&l, state_tone(state), state);
        if (!isempty(text) && !streq(text, state))
                line_addf(&l, TONE_NONE, " %s %s", symbol(SYMBOL_DASH), text);
        if (w->is_away)
                line_addf(&l, TONE_WARN, "  %s", _("(runbookd is away)"));
        return frame_add(f, &l);
}

static int add_bar(const Json *run, usec_t now, size_t width, Frame *f) {
        usec_t started = lists_time(run, "startedAt"), finished = lists_time(run, "finishedAt");
        Line l = {.max = width};
        ViewCounts n;

        view_count(run, &n);
        progress_bar(&l, &n, started > 0 ? usec_sub(finished > 0 ? finished : now, started) : 0);
        return frame_add(f, &l);
}

/* Is what is typed here ours to read? Not where another program has the terminal. */
static bool listens(const Watch *w) {
        return draws(w) && !w->input_ended && prompt_may_ask(w->ctl) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static bool can_be_asked(const Watch *w, const Json *q) {
        return prompt_knows(json_string(json_get(q, "kind"))) && !json_has(w->not_mine, string_of(q, "path")) &&
               waits_for_me(w->ctl, q, NULL);
}

/* The one behind that which was asked about last, so that what is put off doesn't stand before the others. */
static const Json *next_question(const Watch *w) {
        size_t n = json_length(w->requests), from = 0;

        for (size_t i = 0; w->asked_last && i < n; i++)
                if (streq(string_of(json_at(w->requests, i), "path"), w->asked_last))
                        from = i + 1;
        for (size_t i = 0; i < n; i++)
                if (can_be_asked(w, json_at(w->requests, (from + i) % n)))
                        return json_at(w->requests, (from + i) % n);
        return NULL;
}

/* The commands that answer what waits. */
static int add_requests(const Watch *w, size_t width, Frame *f) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < json_length(w->requests); i++) {
                const Json *q = json_at(w->requests, i);
                _cleanup_free_ char *activity = text_one_line(string_of(q, "activity")), *title = text_one_line(string_of(q, "title"));
                _cleanup_free_ char *hint =
                                waits_hint(w->ctl, (uint32_t)json_int(json_get(q, "run")), strempty(activity), string_of(q, "kind"));
                Line l = {.max = width};
                line_addf(&l, TONE_WARN, "%s %s", symbol(SYMBOL_WAITING), strempty(isempty(title) ? activity : title));
                line_addf(&l, TONE_NONE, "  %s", strempty(hint));
                r = frame_add(f, &l);
        }
        return r < 0 || !next_question(w) || !listens(w) ? r : frame_addf(f, width, TONE_DIM, "%s", _("Enter: answer here"));
}

static int frame_run(const Watch *w, Frame *f) {
        size_t width = style_width(), height = style_height(), extra = HEAD_LINES + 1 + w->outline + json_length(w->requests);
        ViewOptions o = {.now = now_usec(CLOCK_REALTIME), .width = width, .live = true, .height = height > extra ? height - extra : 1};

        int r = add_head(w, w->seen, width, f);
        if (r >= 0)
                r = add_bar(w->seen, o.now, width, f);
        if (r >= 0)
                r = view_run(&o, w->seen, f);
        if (r >= 0 && w->outline)
                r = frame_addf(f, width, TONE_DIM, "%s", _("Names and states only: you may not read what its steps do."));
        return r < 0 ? r : add_requests(w, width, f);
}

static int add_run_line(const Json *run, usec_t now, size_t width, Frame *f) {
        const char *state = string_of(run, "state");
        _cleanup_free_ char *took = format_duration(lists_time(run, "startedAt"), lists_time(run, "finishedAt"), now);
        _cleanup_free_ char *runbook = text_one_line(string_of(run, "runbook")), *text = text_one_line(string_of(run, "statusText"));
        Line l = {.max = width};

        line_addf(&l, state_tone(state), "%s ", symbol(state_symbol(state)));
        line_addf(&l, TONE_NONE, "%5u  ", (unsigned) json_int(json_get(run, "id")));
        line_add(&l, TONE_BOLD, strempty(runbook));
        line_pad(&l, 32);
        line_addf(&l, state_tone(state), "  %s", state);
        line_pad(&l, 46);
        line_addf(&l, TONE_NONE, "  %10s  %s", strempty(took), strempty(text));
        return frame_add(f, &l);
}

static int frame_list(const Watch *w, Frame *f) {
        size_t width = style_width(), n = json_length(w->seen);
        usec_t now = now_usec(CLOCK_REALTIME);

        int r = frame_addf(f, width, TONE_BOLD, P_("%zu run in progress", "%zu runs in progress", n), n);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = add_run_line(json_at(w->seen, i), now, width, f);
        return r < 0 ? r : add_requests(w, width, f);
}

static int draw(Watch *w) {
        _cleanup_frame_ Frame f = {};

        if (!w->seen || w->prompt)
                return 0;
        int r = w->target ? frame_run(w, &f) : frame_list(w, &f);
        if (r >= 0)
                r = painter_draw(&w->painter, &f);
        return r < 0 ? ctl_oom(w->ctl) : 0;
}

/* ---- a line per change ---- */

static void print_change(const char *what, const char *state, const char *detail) {
        _cleanup_free_ char *at = format_timestamp(now_usec(CLOCK_REALTIME)), *clean = text_one_line(detail), *name = text_one_line(what);

        out("%s  %s  %s%s%s\n", strempty(at), strempty(name), state, isempty(clean) ? "" : "  ", strempty(clean));
}

static const Json *find_by(const Json *list, const char *key, const Json *value) {
        for (size_t i = 0; i < json_length(list); i++)
                if (json_equal(json_get(json_at(list, i), key), value))
                        return json_at(list, i);
        return NULL;
}

static bool state_changed(const Json *was, const Json *is) {
        return !was || !json_equal(json_get(was, "state"), json_get(is, "state")) ||
               !json_equal(json_get(was, "waitingFor"), json_get(is, "waitingFor"));
}

/* "decision: runbookctl retry 12/deploy (or ignore, abort)" */
static char *waiting_detail(const Watch *w, const Json *activity, const char *kind) {
        _cleanup_free_ char *hint = waits_hint(w->ctl, w->target->run, string_of(activity, "name"), kind);
        return xasprintf("%s%s%s", kind, isempty(hint) ? "" : ": ", strempty(hint));
}

static void print_activity_changes(const Watch *w, const Json *was, const Json *is) {
        for (size_t i = 0; i < json_length(is); i++) {
                const Json *e = json_at(is, i), *same = json_at(was, i);
                bool in_place = json_equal(json_get(same, "name"), json_get(e, "name"));        /* only a changed definition moves them */
                const Json *before = in_place ? same : find_by(was, "name", json_get(e, "name"));
                const char *waiting = json_string(json_get(e, "waitingFor"));
                if (!state_changed(before, e) || (!before && streq(string_of(e, "state"), "pending")))
                        continue;
                _cleanup_free_ char *detail = waiting ? waiting_detail(w, e, waiting) : strdup(string_of(e, "reason"));
                print_change(string_of(e, "name"), string_of(e, "state"), strempty(detail));
        }
}

static void print_run_changes(const Watch *w, const Json *is) {
        const Json *was = w->seen;

        print_activity_changes(w, json_get(was, "activities"), json_get(is, "activities"));
        if (state_changed(was, is) || !json_equal(json_get(was, "statusText"), json_get(is, "statusText")))
                print_change(string_of(is, "runbook"), string_of(is, "state"), string_of(is, "statusText"));
}

static void print_list_changes(const Watch *w, const Json *is) {
        for (size_t i = 0; i < json_length(is); i++) {
                const Json *run = json_at(is, i), *was = find_by(w->seen, "id", json_get(run, "id"));
                _cleanup_strbuf_ StrBuf b = {};
                if (was && !state_changed(was, run) && json_equal(json_get(was, "statusText"), json_get(run, "statusText")))
                        continue;
                strbuf_appendf(&b, "%u (%s)", (unsigned) json_int(json_get(run, "id")), string_of(run, "runbook"));
                _cleanup_free_ char *what = strbuf_take(&b);
                print_change(strempty(what), string_of(run, "state"), string_of(run, "statusText"));
        }
        for (size_t i = 0; i < json_length(w->seen); i++) {
                const Json *run = json_at(w->seen, i);
                if (find_by(is, "id", json_get(run, "id")))
                        continue;
                _cleanup_strbuf_ StrBuf b = {};
                strbuf_appendf(&b, "%u (%s)", (unsigned) json_int(json_get(run, "id")), string_of(run, "runbook"));
                _cleanup_free_ char *what = strbuf_take(&b);
                print_change(strempty(what), _("ended"), "");
        }
}

static void print_changes(const Watch *w, const Json *is) {
        if (ctl_json(w->ctl)) {
                if (!w->seen || !json_equal(w->seen, is))
                        ctl_print_json(w->ctl, is);
        } else if (w->target)
                print_run_changes(w, is);
        else
                print_list_changes(w, is);
        (void) fflush(stdout);
}

/* ---- the loop ---- */

static int call_describe(Watch *w, Json **ret, sd_bus_error *error) {
        return client_try_json(w->ctl, w->target->run_path, BUS_RUN, "Describe", ret, error);
}

/* Without a password. */
static bool is_asked(const Watch *w) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *requests = NULL;
        bool found = false;

        if (lists_try_requests(w->ctl, w->target->run, &requests, &error) < 0)
                return false;
        for (size_t i = 0; !found && i < json_length(requests); i++)
                found = waits_for_me(w->ctl, json_at(requests, i), NULL);
        return found;
}

/* The first look: a password is only asked for where the one who sits here isn't asked anything. */
static int read_first(Watch *w, Json **ret, sd_bus_error *error) {
        client_allow_questions(w->ctl, false);
        int r = call_describe(w, ret, error);
        if (r < 0 && client_is_refused(error)) {
                sd_bus_error_free(error);
                w->outline = is_asked(w);
                client_allow_questions(w->ctl, true);
                r = w->outline ? outline_read(w->ctl, w->target->run_path, ret, error) : call_describe(w, ret, error);
        }
        return r;
}

static int read_run(Watch *w, Json **ret, sd_bus_error *error) {
        if (w->outline)
                return outline_read(w->ctl, w->target->run_path, ret, error);
        return draws(w) && !w->seen ? read_first(w, ret, error) : call_describe(w, ret, error);
}

static int read_again(Watch *w, sd_bus_error *error) {
        _cleanup_json_ Json *is = NULL, *requests = NULL;

        int r = w->target ? read_run(w, &is, error) : lists_try_runs(w->ctl, lists_states_in_progress, LINES_ALL, &is, error);
        if (r >= 0 && draws(w) && (!w->target || json_int(json_get(is, "pendingRequests")) > 0))
                r = lists_try_requests(w->ctl, w->target ? w->target->run : 0, &requests, error);
        if (r < 0)
                return r;
        if (!draws(w))
                print_changes(w, is);
        json_unref(w->seen);
        w->seen = TAKE_PTR(is);
        if (!json_equal(w->requests, requests))
                w->not_mine = json_unref(w->not_mine);
        json_unref(w->requests);
        w->requests = TAKE_PTR(requests);
        return 0;
}

/* ---- questions ---- */

static void end_question(Watch *w) {
        w->prompt = prompt_free(w->prompt);
        w->prompt_visible = false;
}

/* The list doesn't say that he can't answer it: it is found out when he wants to. */
static int note_not_mine(Watch *w, const char *path) {
        if (!w->not_mine)
                w->not_mine = json_new_object();
        return !w->not_mine || json_set_bool(w->not_mine, path, true) < 0 ? ctl_oom(w->ctl) : 1;
}

/* 1: it is not for him. */
static int begin_question(Watch *w, const Json *q) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *run_path = NULL, *path = NULL, *place = NULL;
        const char *activity = string_of(q, "activity");
        _cleanup_json_ Json *request = NULL;

        w->prompt_run = (uint32_t) json_int(json_get(q, "run"));
        run_path = xasprintf("%s%u", BUS_RUN_PREFIX, w->prompt_run);
        if (!run_path)
                return ctl_oom(w->ctl);
        int r = client_activity_path(w->ctl, run_path, activity, &path);
        if (r < 0)
                return r;
        free(w->asked_last);
        w->asked_last = strdup(path);
        Target t = {.run = w->prompt_run, .activity_path = path};
        if (answer_get_request(w->ctl, &t, &request, &error) < 0)
                return 0;                               /* settled by now; the next look shows it */
        if (!waits_for_me(w->ctl, q, request))
                return note_not_mine(w, path);
        _cleanup_free_ char *name = text_one_line(activity);
        place = xasprintf("%u/%s", w->prompt_run, strempty(name));
        painter_done(&w->painter);
        return place ? prompt_new(w->ctl, w->prompt_run, run_path, activity, place, request, &w->prompt) : ctl_oom(w->ctl);
}

/* 1: there is nothing to ask. */
static int ask_next(Watch *w) {
        const Json *q;
        int r = 1;

        while (r > 0 && (q = next_question(w)))
                r = begin_question(w, q);
        return r;
}

/* A line without a question asks one, or else is taken off the screen again: the cursor has gone down a row. */
static int take_line(Watch *w, const char *line) {
        int r;

        if (!w->prompt) {
                r = ask_next(w);
                if (r > 0)
                        out_raw("\033[A", 3);
                return MIN(r, 0);
        }
        w->prompt_visible = false;                      /* the terminal has moved on to the next line */
        r = prompt_feed(w->prompt, line);
        if (r > 0)
                end_question(w);
        return r < 0 ? r : 0;
}

static int read_input(Watch *w) {
        int r = typed_read(w->ctl, &w->typed);

        if (r > 0) {
                w->input_ended = true;
                if (w->prompt)
                        end_question(w);
                return 0;
        }
        for (char *line; r >= 0 && (line = typed_line(&w->typed));) {
                r = take_line(w, line);
                free(line);
        }
        return r;
}

static bool still_asked(const Watch *w) {
        for (size_t i = 0; i < json_length(w->requests); i++) {
                const Json *q = json_at(w->requests, i);
                if ((uint32_t) json_int(json_get(q, "run")) == w->prompt_run && streq(string_of(q, "activity"), prompt_activity(w->prompt)))
                        return true;
        }
        return false;
}

static void show_question(Watch *w) {
        if (w->prompt && !still_asked(w)) {
                if (w->prompt_visible)
                        prompt_hide();
                end_question(w);
        }
        if (w->prompt && !w->prompt_visible) {
                prompt_show(w->prompt);
                w->prompt_visible = true;
        }
        monitor_watch_input(w->monitor, listens(w));
}

/* A step that starts or ends inside an activity changes no property, so the tick looks too. A terminal that was resized only wants drawing.
 */
static int look(void *userdata, unsigned wake, sd_bus_error *error) {
        Watch *w = userdata;
        int r = wake & WAKE_INPUT ? read_input(w) : 0;

        if (r < 0)
                return r;
        if (wake & ~(unsigned) WAKE_RESIZED) {
                r = read_again(w, error);
                if (r < 0) {
                        if (draws(w))
                                (void) draw(w);
                        return r;
                }
        }
        if (draws(w)) {
                show_question(w);
                r = draw(w);
                if (r < 0)
                        return r;
        }
        w->gave_up_hold = w->target && w->ctl->options.no_input && streq(string_of(w->seen, "state"), "on-hold");
        return w->gave_up_hold || (w->target && state_is_terminal(string_of(w->seen, "state")));
}

static usec_t interval(void *userdata) {
        return TICK;
}

static int interrupted(void *userdata) {
        return ATTEND_INTERRUPTED;
}

static void away(void *userdata, bool is_away) {
        Watch *w = userdata;

        w->is_away = is_away;
        if (!draws(w))
                attend_say_away(w->ctl, is_away);
        else if (is_away)
                (void) draw(w);
}

static const AttendOps watch_ops = {.look = look, .interval = interval, .interrupted = interrupted, .away = away};

static void watch_done(Watch *w) {
        painter_done(&w->painter);
        json_unref(w->seen);
        json_unref(w->requests);
        json_unref(w->not_mine);
        prompt_free(w->prompt);
        free(w->asked_last);
        free(w->typed.text);
        monitor_free(w->monitor);
}

/* How a run ended, for people; the exit status is that of start --wait. */
static int ended(Ctl *c, const Target *t, const char *state) {
        _cleanup_free_ char *again = NULL;

        if (!ctl_json(c) && style_is_terminal() && summary_print(c, t->run_path, &again) < 0)
                return ctl_failed(c);
        return status_of_state(state);
}

int verb_watch(Ctl *c, const char *const *args, size_t n) {
        _cleanup_target_ Target t = {};
        _cleanup_(watch_done) Watch w = {.ctl = c, .target = n > 0 ? &t : NULL};

        /* Patience is for a daemon that goes away, not for one that was never there: so there is one plain call first. */
        int r = n > 0 ? target_parse(c, args[0], 1, 1, &t) : lists_get_runs(c, lists_states_in_progress, 1, &w.seen);
        if (r < 0 || monitor_new(c, n > 0 ? t.run_path : BUS_PATH, &w.monitor) < 0)
                return ctl_failed(c);
        w.seen = json_unref(w.seen);
        r = attend(c, w.monitor, &watch_ops, &w);
        painter_done(&w.painter);
        if (r == ATTEND_INTERRUPTED) {
                if (w.target)
                        attend_say_come_back(c, t.run);
                return monitor_interrupted_status(w.monitor);
        }
        if (r >= 0 && w.gave_up_hold)
                return attend_on_hold(c, t.run);
        if (r >= 0 && w.outline)                        /* it was drawn, and a summary may not be read either */
                return status_of_state(string_of(w.seen, "state"));
        return r < 0 ? ctl_failed(c) : ended(c, &t, string_of(w.seen, "state"));
}
