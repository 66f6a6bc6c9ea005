/* logs: what steps wrote. One activity or step: its bytes. A whole run: the lines of all its steps in the order of the history, each with
 * the activity it is from. */
#include "attend.h"
#include "feed.h"
#include "i18n.h"
#include "pager.h"
#include "style.h"
#include "tail.h"
#include "utf8.h"

#define POLL (200 * USEC_PER_MSEC)

static void say_gone(uint64_t bytes) {
        err("%s", tone_on(TONE_DIM));
        err(P_("(%llu byte at the head of this log is no longer kept)", "(%llu bytes at the head of this log are no longer kept)",
               (unsigned long) bytes),
            (unsigned long long) bytes);
        err("%s\n", tone_off(TONE_DIM));
}

/* ---- one activity or step ---- */

typedef struct One {
        Ctl *ctl;
        const Target *target;
        LogSource *source;
        uint32_t attempt;                               /* that the source reads */
        StrBuf partial;                                 /* of a line, on a terminal */
} One;

/* A terminal gets clean whole lines, everything else the bytes. */
static int print_log(One *o, StrBuf *b, bool all) {
        if (b->failed)
                return ctl_oom(o->ctl);
        if (!style_is_terminal()) {
                out_raw(strempty(b->s), b->n);
                b->n = 0;
                return 0;
        }
        size_t from = 0;
        while (from < b->n) {
                const char *p = b->s + from, *e = memchr(p, '\n', b->n - from);
                if (!e && !all)
                        break;
                size_t k = e ? (size_t) (e - p) : b->n - from;
                _cleanup_free_ char *clean = text_log_line(p, k);
                if (!clean)
                        return ctl_oom(o->ctl);
                out("%s\n", clean);
                from += k + (e != NULL);
        }
        if (from > 0)
                memmove(b->s, b->s + from, b->n - from);
        b->n -= from;
        return 0;
}

static int open_one(One *o, uint32_t attempt) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        o->source = log_source_free(o->source);
        int r = log_source_new(o->ctl, o->target->activity_path, attempt, o->target->step, &error, &o->source);
        return r < 0 ? client_activity_error(o->ctl, o->target, &error, r) : 0;
}

static int print_once(One *o) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_strbuf_ StrBuf b = {};
        uint32_t lines = o->ctl->options.lines;
        uint64_t gone;

        int r = tail_read(o->source, lines == LINES_UNSET ? LINES_ALL : lines, &b, &gone, &error);
        if (r < 0)
                return client_activity_error(o->ctl, o->target, &error, r);
        if (gone > 0 && (lines == LINES_UNSET || lines == LINES_ALL))
                say_gone(gone);
        return print_log(o, &b, !o->ctl->options.follow);
}

static int read_more(One *o, sd_bus_error *error) {
        for (;;) {
                uint64_t gone;
                int n = log_source_read(o->source, UINT64_MAX, &o->partial, &gone, error);
                if (n < 0)
                        return n;
                if (gone > 0)
                        say_gone(gone);
                if (n == 0 && gone == 0)
                        break;
                n = print_log(o, &o->partial, false);
                if (n < 0)
                        return n;
        }
        (void) fflush(stdout);
        return 0;
}

static int get_attempt(const One *o, char **ret_state, uint32_t *ret_attempt, sd_bus_error *error) {
        int r = sd_bus_get_property_trivial(o->ctl->bus, BUS_NAME, o->target->activity_path, BUS_ACTIVITY, "Attempt", error, 'u',
                                            ret_attempt);
        return r < 0 ? r
                     : sd_bus_get_property_string(o->ctl->bus, BUS_NAME, o->target->activity_path, BUS_ACTIVITY, "State", error, ret_state);
}

/* The state is read before the log, so that nothing that was written before the end is missed. */
static int look_one(void *userdata, unsigned wake, sd_bus_error *error) {
        static const char *const ended[] = {"success", "failed", "ignored", "skipped", "cancelled"};
        _cleanup_free_ char *state = NULL;
        One *o = userdata;
        uint32_t newest = 0;
        bool over = false;

        int r = get_attempt(o, &state, &newest, error);
        if (r >= 0 && o->source)
                r = read_more(o, error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(ended); i++)
                over = over || streq(state, ended[i]);
        bool fixed = o->ctl->options.attempt > 0;
        if (!fixed && newest > o->attempt) {            /* the next attempt's log goes on where this one's ends */
                _cleanup_(log_source_freep) LogSource *next = NULL;
                if (log_source_new(o->ctl, o->target->activity_path, newest, o->target->step, error, &next) < 0) {
                        bool away = client_is_away(error);
                        if (!away)
                                sd_bus_error_free(error);       /* it has no log yet */
                        return away ? -EHOSTUNREACH : over;
                }
                log_source_free(o->source);
                o->source = TAKE_PTR(next);
                o->attempt = newest;
                return 0;
        }
        return over || (fixed && newest > o->attempt) || (o->target->step && log_source_ended(o->source) && fixed);
}

static usec_t poll_interval(void *userdata) {
        return POLL;
}

static int interrupted(void *userdata) {
        return ATTEND_INTERRUPTED;
}

static const AttendOps one_ops = {.look = look_one, .interval = poll_interval, .interrupted = interrupted};

static int follow_one(One *o) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(monitor_freep) Monitor *m = NULL;
        _cleanup_free_ char *state = NULL;
        uint32_t newest;

        int r = get_attempt(o, &state, &newest, &error);
        if (r < 0)
                return client_activity_error(o->ctl, o->target, &error, r);
        o->attempt = o->ctl->options.attempt > 0 ? o->ctl->options.attempt : newest;
        r = monitor_new(o->ctl, o->target->run_path, &m);
        if (r >= 0)
                r = attend(o->ctl, m, &one_ops, o);
        return r < 0 ? r : print_log(o, &o->partial, true);
}

static void one_done(One *o) {
        log_source_free(o->source);
        strbuf_done(&o->partial);
}

static int logs_one(Ctl *c, const Target *t) {
        _cleanup_(one_done) One o = {.ctl = c, .target = t};

        int r = open_one(&o, c->options.attempt);
        if (r < 0)
                return r;
        if (!c->options.follow)
                pager_open(c);
        r = print_once(&o);
        return r < 0 || !c->options.follow ? r : follow_one(&o);
}

/* ---- a whole run ---- */

typedef struct All {
        Ctl *ctl;
        Feed *feed;
        size_t width;                                   /* of the longest name so far */
        char **tail;                                    /* with -n: a ring of the last lines */
        size_t n_tail, tail_max;
        bool printing;                                  /* what comes now is printed at once */
} All;

static void emit(All *a, char *takes) {
        if (a->printing)
                out("%s\n", takes);
        else if (a->tail_max > 0) {
                size_t i = a->n_tail++ % a->tail_max;
                free(a->tail[i]);
                a->tail[i] = takes;
                return;
        }
        free(takes);
}

static int on_line(void *userdata, const FeedPlace *place, const char *s, size_t n) {
        All *a = userdata;
        _cleanup_free_ char *name = text_one_line(place->activity), *clean = text_log_line(s, n);
        _cleanup_strbuf_ StrBuf b = {};

        if (!name || !clean)
                return ctl_oom(a->ctl);
        size_t w = utf8_width(name);
        a->width = MAX(a->width, w);
        strbuf_appendf(&b, "%s%s%*s |%s %s", tone_on(TONE_BUSY), name, (int) (a->width - w), "", tone_off(TONE_BUSY), clean);
        char *line = strbuf_take(&b);
        if (!line)
                return ctl_oom(a->ctl);
        emit(a, line);
        return 0;
}

static int on_gone(void *userdata, const FeedPlace *place, uint64_t bytes) {
        _cleanup_free_ char *name = text_one_line(place->activity);
        All *a = userdata;

        if (!a->printing)
                return 0;                               /* who wants the last lines asks for no more */
        err("%s: ", strempty(name));
        say_gone(bytes);
        return 0;
}

static int look_all(void *userdata, unsigned wake, sd_bus_error *error) {
        All *a = userdata;

        int r = feed_poll(a->feed, error);
        if (r < 0)
                return r;
        if (!a->printing) {
                size_t n = MIN(a->n_tail, a->tail_max);
                for (size_t i = a->n_tail - n; a->tail && i < a->n_tail; i++)
                        out("%s\n", a->tail[i % a->tail_max]);
                a->printing = true;
        }
        (void) fflush(stdout);
        return feed_ended(a->feed) || !a->ctl->options.follow;
}

static const AttendOps all_ops = {.look = look_all, .interval = poll_interval, .interrupted = interrupted};
static const FeedHandlers all_handlers = {.line = on_line, .gone = on_gone};

static void all_done(All *a) {
        feed_free(a->feed);
        for (size_t i = 0; a->tail && i < a->tail_max; i++)
                free(a->tail[i]);
        free(a->tail);
}

static int logs_all(Ctl *c, const Target *t) {
        _cleanup_(monitor_freep) Monitor *m = NULL;
        _cleanup_(all_done) All a = {.ctl = c};
        bool limited = c->options.lines < LINES_UNSET;

        if (c->options.attempt > 0)
                return ctl_usage_error(c, _("--attempt is about one activity: logs RUN/ACTIVITY --attempt %u"), c->options.attempt);
        a.printing = !limited;
        a.tail_max = limited ? c->options.lines : 0;
        a.tail = a.tail_max > 0 ? calloc(a.tail_max, sizeof(char *)) : NULL;
        if (a.tail_max > 0 && !a.tail)
                return ctl_oom(c);
        int r = feed_new(c, t->run_path, &all_handlers, &a, &a.feed);
        if (r >= 0)
                r = monitor_new(c, t->run_path, &m);
        if (r < 0)
                return r;
        if (!c->options.follow)
                pager_open(c);
        r = attend(c, m, &all_ops, &a);
        return r < 0 ? r : 0;
}

int verb_logs(Ctl *c, const char *const *args, size_t n) {
        _cleanup_target_ Target t = {};

        int r = target_parse(c, args[0], 1, 3, &t);
        if (r >= 0)
                r = t.activity ? logs_one(c, &t) : logs_all(c, &t);
        return r < 0 ? ctl_failed(c) : STATUS_SUCCESS;
}
