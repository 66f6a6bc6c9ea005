/* Rows are gathered first and laid out then, so that states, times and remarks stand in columns of their own. Everything in a row comes
 * from outside and is made clean when the row is made. */
#include "view.h"

#include <stdarg.h>

#include "fd-util.h"
#include "hashmap.h"
#include "i18n.h"
#include "lists.h"
#include "utf8.h"

#define NAME_WIDTH_MAX 48u
#define VIEW_LOGS_MAX 20u                               /* failed steps whose logs are asked for */

/* ---- frames ---- */

int frame_add(Frame *f, Line *takes) {
        size_t width = takes->width;
        _cleanup_free_ char *s = strbuf_take(&takes->text);

        if (!s || !GREEDY_REALLOC(f->lines, f->n_allocated, f->n + 1) || !GREEDY_REALLOC(f->widths, f->n_widths_allocated, f->n + 1))
                return -ENOMEM;
        f->widths[f->n] = width;
        f->lines[f->n++] = TAKE_PTR(s);
        return 0;
}

int frame_addf(Frame *f, size_t max, Tone tone, const char *fmt, ...) {
        _cleanup_free_ char *s = NULL;
        Line l = {.max = max};
        va_list ap;

        va_start(ap, fmt);
        int r = vasprintf(&s, fmt, ap);
        va_end(ap);
        if (r < 0) {
                s = NULL;
                return -ENOMEM;
        }
        line_add(&l, tone, s);
        return frame_add(f, &l);
}

void frame_done(Frame *f) {
        for (size_t i = 0; i < f->n; i++)
                free(f->lines[i]);
        free(f->lines);
        free(f->widths);
        *f = (Frame) {};
}

void frame_print(const Frame *f) {
        for (size_t i = 0; i < f->n; i++)
                out("%s\n", f->lines[i]);
}

/* ---- rows ---- */

typedef struct Row {
        char *prefix, *name, *state, *took, *detail;
        Tone tone, name_tone;
        Symbol symbol;
        bool is_text;                                   /* a line of a log: prefix and name only */
        bool idle;                                      /* nothing in it moves or went wrong */
} Row;

typedef struct Rows {
        const ViewOptions *options;
        Row *items;
        size_t n, n_allocated;
        unsigned n_logs;
        bool failed;                                    /* out of memory */
} Rows;

static void rows_done(Rows *r) {
        for (size_t i = 0; i < r->n; i++) {
                free(r->items[i].prefix);
                free(r->items[i].name);
                free(r->items[i].state);
                free(r->items[i].took);
                free(r->items[i].detail);
        }
        free(r->items);
}

static const char *string_of(const Json *j, const char *key) {
        return strempty(json_string(json_get(j, key)));
}

/* The parts are taken, also where there is no memory for the row. */
static void add_row(Rows *r, Row row) {
        bool complete = row.prefix && row.name && (row.is_text || (row.state && row.took && row.detail));

        if (complete && !r->failed && GREEDY_REALLOC(r->items, r->n_allocated, r->n + 1)) {
                r->items[r->n++] = row;
                return;
        }
        free(row.prefix);
        free(row.name);
        free(row.state);
        free(row.took);
        free(row.detail);
        r->failed = true;
}

/* "│ " or "  " below an element, then its own branch; the top level has none. */
static char *child_prefix(const char *parent, bool last) {
        _cleanup_strbuf_ StrBuf b = {};
        strbuf_appendf(&b, "%s%s", parent, symbol(last ? SYMBOL_LAST : SYMBOL_BRANCH));
        return strbuf_take(&b);
}

static char *below_prefix(const char *parent, bool last) {
        _cleanup_strbuf_ StrBuf b = {};
        strbuf_appendf(&b, "%s%s", parent, last ? "  " : symbol(SYMBOL_VERTICAL));
        return strbuf_take(&b);
}

char *view_error(const Json *error, const Json *exit_code) {
        _cleanup_strbuf_ StrBuf b = {};
        const char *message = json_string(json_get(error, "message")), *code = json_string(json_get(error, "code"));

        if (!isempty(message))
                strbuf_append(&b, message);
        else if (exit_code && json_int(exit_code) != 0)
                strbuf_appendf(&b, _("exit status %d"), (int) json_int(exit_code));
        if (!isempty(code))
                strbuf_appendf(&b, b.n > 0 ? " (%s)" : "%s", code);
        _cleanup_free_ char *s = b.n > 0 ? strbuf_take(&b) : NULL;
        return s ? text_one_line(s) : NULL;
}

static char *detail_or_empty(char *s) {
        return s ? s : strdup("");
}

static char *took_of(const Rows *r, const Json *j) {
        usec_t started = lists_time(j, "startedAt");
        return started > 0 ? format_duration(started, lists_time(j, "finishedAt"), r->options->now) : strdup("");
}

/* ---- steps ---- */

static void add_log(Rows *r, const char *activity, uint32_t attempt, const char *step, const char *prefix) {
        _cleanup_strbuf_ StrBuf b = {};

        if (!r->options->log || r->n_logs++ >= VIEW_LOGS_MAX)
                return;
        r->options->log(r->options->log_userdata, activity, attempt, step, &b);
        _cleanup_free_ char *text = strbuf_take(&b);
        for (char *s = text, *e; s && *s; s = e) {
                e = s + strcspn(s, "\n");
                _cleanup_free_ char *clean = text_log_line(s, (size_t) (e - s)), *line = clean ? text_one_line(clean) : NULL;
                add_row(r, (Row) {.prefix = strdup(prefix), .name = TAKE_PTR(line), .is_text = true});
                e += *e == '\n';
        }
}

static void add_step(Rows *r, const char *activity, uint32_t attempt, const Json *step, const char *prefix, bool last, bool with_log) {
        const char *state = string_of(step, "state"), *hook = json_string(json_get(step, "hook"));
        const char *name = json_string(json_get(step, "name")), *id = string_of(step, "id");
        _cleanup_strbuf_ StrBuf b = {};

        if (hook && !startswith(id, hook))
                strbuf_appendf(&b, "%s: ", hook);
        strbuf_append(&b, isempty(name) ? id : name);
        _cleanup_free_ char *shown = strbuf_take(&b);
        bool failed = streq(state, "failed");
        char *detail = failed || json_get(step, "error")    ? view_error(json_get(step, "error"), json_get(step, "exitCode"))
                       : json_bool(json_get(step, "reused")) ? strdup(_("done before, not again"))
                                                             : NULL;
        add_row(r, (Row){.prefix = child_prefix(prefix, last),
                         .name = text_one_line(shown),
                         .state = text_one_line(state),
                         .took = took_of(r, step),
                         .detail = detail_or_empty(detail),
                         .tone = state_tone(state),
                         .symbol = state_symbol(state)});
        if (!failed || !with_log)
                return;
        _cleanup_free_ char *below = below_prefix(prefix, last);
        if (below)
                add_log(r, activity, attempt, id, below);
}

static bool step_is_shown(const Rows *r, const Json *step) {
        static const char *const quiet[] = {"success", "pending", "skipped"};
        const char *state = string_of(step, "state");

        for (size_t i = 0; r->options->live && i < ELEMENTSOF(quiet); i++)
                if (streq(quiet[i], state))
                        return false;
        return true;
}

static void add_steps(Rows *r, const char *activity, const Json *attempt, const char *prefix, bool with_log) {
        const Json *steps = json_get(attempt, "steps");
        size_t n = json_length(steps), last = n;

        for (size_t i = 0; i < n; i++)
                if (step_is_shown(r, json_at(steps, i)))
                        last = i;
        for (size_t i = 0; i < n; i++)
                if (step_is_shown(r, json_at(steps, i)))
                        add_step(r, activity, (uint32_t)json_int(json_get(attempt, "number")), json_at(steps, i), prefix, i == last,
                                 with_log);
}

/* ---- attempts and activities ---- */

static void add_attempt(Rows *r, const char *activity, const Json *attempt, const char *prefix, bool last) {
        const char *state = string_of(attempt, "state"), *cause = string_of(attempt, "cause");
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_appendf(&b, _("attempt %u"), (unsigned) json_int(json_get(attempt, "number")));
        if (!isempty(cause) && !streq(cause, "initial"))
                strbuf_appendf(&b, " (%s)", cause);
        _cleanup_free_ char *name = strbuf_take(&b);
        add_row(r, (Row){.prefix = child_prefix(prefix, last),
                         .name = text_one_line(name),
                         .state = text_one_line(state),
                         .took = took_of(r, attempt),
                         .detail = detail_or_empty(view_error(json_get(attempt, "error"), NULL)),
                         .tone = state_tone(state),
                         .symbol = state_symbol(state)});
        _cleanup_free_ char *below = below_prefix(prefix, last);
        if (below)
                add_steps(r, activity, attempt, below, last);
}

static bool attempt_failed(const Json *attempt) {
        const char *state = string_of(attempt, "state");
        return streq(state, "failed") || streq(state, "interrupted");
}

static void add_attempts(Rows *r, const Json *activity, const char *prefix) {
        const Json *attempts = json_get(activity, "attempts");
        size_t n = json_length(attempts);

        if (n == 1 && !attempt_failed(json_at(attempts, 0)))
                return add_steps(r, string_of(activity, "name"), json_at(attempts, 0), prefix, true);
        for (size_t i = r->options->live && n > 0 ? n - 1 : 0; i < n; i++)
                add_attempt(r, string_of(activity, "name"), json_at(attempts, i), prefix, i + 1 == n);
}

/* From the first attempt's start to the last one's end. */
static void activity_span(const Json *activity, usec_t *started, usec_t *finished) {
        const Json *attempts = json_get(activity, "attempts");
        size_t n = json_length(attempts);

        *started = n > 0 ? lists_time(json_at(attempts, 0), "startedAt") : 0;
        *finished = n > 0 ? lists_time(json_at(attempts, n - 1), "finishedAt") : 0;
}

static char *activity_state(const Json *activity) {
        const char *state = string_of(activity, "state"), *waiting = json_string(json_get(activity, "waitingFor"));
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_append(&b, state);
        if (waiting)
                strbuf_appendf(&b, " (%s)", waiting);
        _cleanup_free_ char *s = strbuf_take(&b);
        return s ? text_one_line(s) : NULL;
}

static void append_part(StrBuf *b, const char *text) {
        if (!isempty(text))
                strbuf_appendf(b, "%s%s", b->n > 0 ? "; " : "", text);
}

/* What its attempts don't say: an error without an attempt. */
static bool error_is_shown(const Json *activity) {
        const Json *attempts = json_get(activity, "attempts");
        return json_equal(json_get(activity, "error"),
                          json_get(json_at(attempts, json_length(attempts) > 0 ? json_length(attempts) - 1 : 0), "error"));
}

static char *activity_detail(const Json *activity) {
        usec_t retry = lists_time(activity, "nextRetryAt");
        unsigned reused = (unsigned) json_int(json_get(activity, "reusedFrom"));
        bool done = streq(string_of(activity, "state"), "success") || streq(string_of(activity, "state"), "ignored");
        const Json *attempts = json_get(activity, "attempts"), *attempt = json_get(activity, "attempt"); /* the number alone: an outline */
        size_t n = attempt ? (size_t) json_int(attempt) : json_length(attempts);
        _cleanup_free_ char *count = n > 1 ? xasprintf(P_("%zu attempt", "%zu attempts", n), n) : NULL,
                            *from = reused == 0 ? NULL
                                    : done      ? xasprintf(_("reused from run %u"), reused)
                                                : xasprintf(_("outputs of run %u"), reused),
                            *error = error_is_shown(activity) ? NULL : view_error(json_get(activity, "error"), NULL),
                            *when = retry > 0 ? format_timestamp(retry) : NULL,
                            *next = when ? xasprintf(_("next try %s, attempt %zu"), when, n + 1) : NULL;
        _cleanup_strbuf_ StrBuf b = {};

        append_part(&b, count);
        append_part(&b, from);
        append_part(&b, next);
        append_part(&b, error);
        append_part(&b, json_string(json_get(activity, "reason")));
        _cleanup_free_ char *s = strbuf_take(&b);
        return s ? text_one_line(s) : NULL;
}

static bool activity_is_open(const Rows *r, const Json *activity) {
        static const char *const closed[] = {"success", "pending", "skipped", "ignored"};
        const char *state = string_of(activity, "state");

        for (size_t i = 0; r->options->live && i < ELEMENTSOF(closed); i++)
                if (streq(closed[i], state))
                        return false;
        return true;
}

static void add_activity(Rows *r, const Json *activity, char *takes_prefix, const char *below) {
        const char *state = string_of(activity, "state");
        bool open = activity_is_open(r, activity);
        usec_t started, finished;

        activity_span(activity, &started, &finished);
        add_row(r, (Row){.prefix = takes_prefix,
                         .name = text_one_line(string_of(activity, "name")),
                         .state = activity_state(activity),
                         .took = started > 0 ? format_duration(started, finished, r->options->now) : strdup(""),
                         .detail = detail_or_empty(activity_detail(activity)),
                         .tone = state_tone(state),
                         .symbol = state_symbol(state),
                         .idle = !open});
        if (below && open)
                add_attempts(r, activity, below);
}

/* ---- phases ---- */

#define NONE SIZE_MAX

/* A phase's activities, as a chain of indices, and the time that they took together. */
typedef struct Group {
        usec_t started, finished;
        size_t first, last;
        bool open;                                      /* one of them has not ended */
} Group;

typedef struct Groups {
        Group *items;                                   /* one a phase */
        size_t *next;                                   /* of each activity: the next one of its phase */
        Hashmap *by_name;
} Groups;

static void groups_done(Groups *g) {
        free(g->items);
        free(g->next);
        hashmap_free(g->by_name);
}

static void group_add(Groups *g, Group *p, const Json *activity, size_t i) {
        usec_t started, finished;

        activity_span(activity, &started, &finished);
        g->next[i] = NONE;
        if (p->first == NONE)
                p->first = i;
        else
                g->next[p->last] = i;
        p->last = i;
        if (started > 0 && (p->started == 0 || started < p->started))
                p->started = started;
        p->finished = MAX(p->finished, finished);
        p->open = p->open || (started > 0 && finished == 0);
}

static int groups_init(Groups *g, const Json *run) {
        const Json *phases = json_get(run, "phases"), *activities = json_get(run, "activities");
        size_t n = json_length(phases), m = json_length(activities);

        g->items = calloc(n + 1, sizeof(Group));
        g->next = calloc(m + 1, sizeof(size_t));
        g->by_name = hashmap_new();
        if (!g->items || !g->next || !g->by_name)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                g->items[i].first = g->items[i].last = NONE;
                int r = hashmap_put(g->by_name, string_of(json_at(phases, i), "name"), g->items + i);
                if (r == -ENOMEM)
                        return r;
        }
        for (size_t i = 0; i < m; i++) {
                Group *p = hashmap_get(g->by_name, string_of(json_at(activities, i), "phase"));
                if (p)
                        group_add(g, p, json_at(activities, i), i);
        }
        return 0;
}

static bool phase_is_open(const Rows *r, const char *state) {
        static const char *const closed[] = {"success", "pending", "skipped"};

        for (size_t i = 0; r->options->live && i < ELEMENTSOF(closed); i++)
                if (streq(closed[i], state))
                        return false;
        return true;
}

static void add_phase(Rows *r, const Json *run, const Json *phase, const Groups *g, const Group *p) {
        const char *name = string_of(phase, "name"), *state = string_of(phase, "state");
        const Json *activities = json_get(run, "activities");
        usec_t started = lists_time(phase, "startedAt"), finished = lists_time(phase, "finishedAt");
        bool open = phase_is_open(r, state);

        if (started == 0) {                             /* a phase without times of its own has those of its activities */
                started = p->started;
                finished = p->open ? 0 : p->finished;
        }
        add_row(r, (Row){.prefix = strdup(""),
                         .name = text_one_line(name),
                         .state = text_one_line(state),
                         .took = started > 0 ? format_duration(started, finished, r->options->now) : strdup(""),
                         .detail = text_one_line(string_of(phase, "reason")),
                         .tone = state_tone(state),
                         .name_tone = TONE_BOLD,
                         .symbol = state_symbol(state),
                         .idle = !open});
        if (!open)
                return;
        for (size_t i = p->first; i != NONE; i = g->next[i]) {
                _cleanup_free_ char *below = below_prefix("", i == p->last);
                add_activity(r, json_at(activities, i), child_prefix("", i == p->last), below);
        }
}

/* ---- layout ---- */

typedef struct Layout {
        size_t name, state, took;
} Layout;

static Layout measure(const Rows *r) {
        Layout l = {};

        for (size_t i = 0; i < r->n; i++) {
                const Row *w = r->items + i;
                if (w->is_text)
                        continue;
                l.name = MAX(l.name, utf8_width(w->prefix) + 2 + utf8_width(w->name));
                l.state = MAX(l.state, utf8_width(w->state));
                l.took = MAX(l.took, utf8_width(w->took));
        }
        l.name = MIN(l.name, (size_t) NAME_WIDTH_MAX);
        return l;
}

static int lay_out(const Row *w, const Layout *m, size_t max, Frame *f) {
        Line l = {.max = max};

        line_add(&l, TONE_DIM, w->prefix);
        if (w->is_text) {
                line_add(&l, TONE_DIM, "    ");
                line_add(&l, TONE_NONE, w->name);
                return frame_add(f, &l);
        }
        line_addf(&l, w->tone, "%s ", symbol(w->symbol));
        line_add(&l, w->name_tone, w->name);
        line_pad(&l, m->name);
        line_addf(&l, w->tone, "  %s", w->state);
        line_pad(&l, m->name + 2 + m->state);
        if (*w->took || *w->detail)
                line_addf(&l, TONE_NONE, "  %*s%s", (int) (m->took - MIN(m->took, utf8_width(w->took))), "", w->took);
        if (*w->detail)
                line_addf(&l, w->tone == TONE_BAD ? TONE_BAD : TONE_DIM, "  %s", w->detail);
        while (l.text.n > 0 && l.text.s[l.text.n - 1] == ' ' && !style_has_colours())
                l.text.s[--l.text.n] = 0;
        return frame_add(f, &l);
}

static int rows_to_frame(const Rows *r, Frame *f) {
        bool crowded = r->options->live && r->options->height > 0 && r->n > r->options->height;
        Layout m = measure(r);
        int k = r->failed ? -ENOMEM : 0;

        for (size_t i = 0; k >= 0 && i < r->n; i++)
                if (!crowded || !r->items[i].idle)
                        k = lay_out(r->items + i, &m, r->options->width, f);
        return k;
}

int view_run(const ViewOptions *o, const Json *run, Frame *f) {
        _cleanup_(rows_done) Rows rows = {.options = o};
        _cleanup_(groups_done) Groups groups = {};
        const Json *phases = json_get(run, "phases");

        int r = groups_init(&groups, run);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_length(phases); i++)
                add_phase(&rows, run, json_at(phases, i), &groups, groups.items + i);
        return rows_to_frame(&rows, f);
}

int view_activity(const ViewOptions *o, const Json *activity, Frame *f) {
        _cleanup_(rows_done) Rows rows = {.options = o};

        add_activity(&rows, activity, strdup(""), "");
        return rows_to_frame(&rows, f);
}

void view_count(const Json *run, ViewCounts *ret) {
        static const char *const done[] = {"success", "failed", "ignored", "skipped", "cancelled"}, *const running[] = {"running",
                                                                                                                        "backoff",
                                                                                                                        "interrupted"};
        const Json *activities = json_get(run, "activities");

        *ret = (ViewCounts) {.total = (unsigned) json_length(activities)};
        for (size_t i = 0; i < json_length(activities); i++) {
                const char *state = string_of(json_at(activities, i), "state");
                for (size_t k = 0; k < ELEMENTSOF(done); k++)
                        ret->done += streq(done[k], state);
                for (size_t k = 0; k < ELEMENTSOF(running); k++)
                        ret->running += streq(running[k], state);
                ret->waiting += streq("on-hold", state);
                ret->failed += streq("failed", state);
        }
}
