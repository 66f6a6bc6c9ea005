/* The steps of an attempt write one after the other into one log, and a step's end says how far the log reached then. So one source per
 * attempt is enough: up to that position what it holds is the step's, and is delivered before the step's end is told. While a step runs,
 * all there is is its. */
#include "feed.h"

#include "client.h"
#include "hashmap.h"
#include "history.h"
#include "log-source.h"

#define LINE_MAX_BYTES 65536u                           /* a longer line is cut into lines of this size */
#define OPEN_TRIES_MAX 20u                              /* while a step runs; what only asks a person never has a log */

typedef struct Stream {
        char *activity, *step;
        uint32_t attempt;
        LogSource *source;                              /* NULL: it has no log yet, or not any more */
        unsigned tries;                                 /* to open it */
        StrBuf partial;                                 /* of a line */
        bool running;                                   /* a step is */
} Stream;

struct Feed {
        Ctl *ctl;
        char *run_path;
        FeedHandlers handlers;
        void *userdata;
        uint32_t seq;                                   /* of the last event that was delivered */
        Hashmap *streams;                               /* by activity; of its newest attempt */
        bool ended;
};

static Stream *stream_free(Stream *s) {
        if (!s)
                return NULL;
        log_source_free(s->source);
        strbuf_done(&s->partial);
        free(s->activity);
        free(s->step);
        free(s);
        return NULL;
}
DEFINE_CLEANUP(Stream *, stream_free)

int feed_new(Ctl *c, const char *run_path, const FeedHandlers *handlers, void *userdata, Feed **ret) {
        _cleanup_(feed_freep) Feed *f = calloc(1, sizeof(Feed));

        if (!f)
                return ctl_oom(c);
        *f = (Feed) {.ctl = c, .run_path = strdup(run_path), .handlers = *handlers, .userdata = userdata, .streams = hashmap_new()};
        if (!f->run_path || !f->streams)
                return ctl_oom(c);
        *ret = TAKE_PTR(f);
        return 0;
}

Feed *feed_free(Feed *f) {
        if (!f)
                return NULL;
        void *s;
        for (size_t i = 0; hashmap_iterate(f->streams, &i, NULL, &s);)
                stream_free(s);
        hashmap_free(f->streams);
        free(f->run_path);
        free(f);
        return NULL;
}

/* ---- lines ---- */

static int deliver(Feed *f, Stream *s, const char *text, size_t n) {
        FeedPlace place = {.activity = s->activity, .step = s->step, .attempt = s->attempt};
        return f->handlers.line ? f->handlers.line(f->userdata, &place, text, n) : 0;
}

/* Whole lines go out, the rest waits. */
static int deliver_lines(Feed *f, Stream *s) {
        size_t from = 0;
        int r = 0;

        while (r >= 0 && from < s->partial.n) {
                const char *p = s->partial.s + from, *e = memchr(p, '\n', s->partial.n - from);
                size_t n = e ? (size_t) (e - p) : s->partial.n - from;
                if (!e && n < LINE_MAX_BYTES)
                        break;
                n = MIN(n, (size_t) LINE_MAX_BYTES);
                r = deliver(f, s, p, n);
                from += n + (e == p + n);
        }
        if (from > 0) {
                memmove(s->partial.s, s->partial.s + from, s->partial.n - from);
                s->partial.n -= from;
                s->partial.s[s->partial.n] = 0;
        }
        return r;
}

static int deliver_rest(Feed *f, Stream *s) {
        if (s->partial.n == 0)
                return 0;
        int r = deliver(f, s, s->partial.s, s->partial.n);
        s->partial.n = 0;
        return r;
}

/* ---- logs ---- */

/* A log that isn't there, or isn't ours to read, is no reason not to show the rest; a daemon that went away is. */
static int open_source(Feed *f, Stream *s, sd_bus_error *error) {
        _cleanup_error_ sd_bus_error mine = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *path = NULL;

        if (s->source || !f->handlers.line || s->tries++ >= OPEN_TRIES_MAX)
                return 0;
        int r = client_activity_path(f->ctl, f->run_path, s->activity, &path);
        if (r < 0)
                return r;
        r = log_source_new(f->ctl, path, s->attempt, NULL, &mine, &s->source);
        if (r < 0 && (client_is_away(&mine) || !mine.name)) {
                (void) sd_bus_error_move(error, &mine);
                return r;
        }
        return 0;
}

/* Reads the log up to a position. */
static int drain(Feed *f, Stream *s, uint64_t end, sd_bus_error *error) {
        int r = open_source(f, s, error);

        while (r >= 0 && s->source) {
                uint64_t gone;
                int n = log_source_read(s->source, end, &s->partial, &gone, error);
                if (n < 0 && error->name && !client_is_away(error)) {
                        sd_bus_error_free(error);               /* removed meanwhile */
                        s->source = log_source_free(s->source);
                        s->tries = OPEN_TRIES_MAX;
                        return 0;
                }
                if (n < 0 || s->partial.failed)
                        return n < 0 ? n : -ENOMEM;
                FeedPlace place = {.activity = s->activity, .step = s->step, .attempt = s->attempt};
                r = gone > 0 && f->handlers.gone ? f->handlers.gone(f->userdata, &place, gone) : 0;
                if (r >= 0)
                        r = deliver_lines(f, s);
                if (n == 0 && gone == 0)
                        break;
        }
        return r;
}

/* ---- events ---- */

static int attempt_started(Feed *f, const char *activity, uint32_t attempt) {
        _cleanup_(stream_freep) Stream *s = calloc(1, sizeof(Stream));

        if (!s)
                return -ENOMEM;
        s->attempt = attempt;
        s->activity = strdup(activity);
        if (!s->activity)
                return -ENOMEM;
        stream_free(hashmap_remove(f->streams, activity));
        int r = hashmap_put(f->streams, s->activity, s);
        if (r >= 0)
                TAKE_PTR(s);
        return r;
}

static int step_started(Stream *s, const char *step) {
        free(s->step);
        s->step = step ? strdup(step) : NULL;
        s->running = true;
        s->tries = 0;
        return step && !s->step ? -ENOMEM : 0;
}

static int step_finished(Feed *f, Stream *s, const Json *event, sd_bus_error *error) {
        const Json *data = json_get(event, "data");
        bool started = !json_has(data, "started") || json_bool(json_get(data, "started"));
        int64_t end = json_int(json_get(data, "logEnd"));

        s->running = false;
        s->tries = 0;
        /* Who was interrupted could not say how far its log reached. */
        bool interrupted = json_bool(json_get(data, "interrupted"));
        int r = started && (end > 0 || interrupted) ? drain(f, s, end > 0 ? (uint64_t) end : UINT64_MAX, error) : 0;
        return r < 0 ? r : deliver_rest(f, s);
}

/* The log's part of an event, before it is delivered. */
static int follow_event(Feed *f, const Json *event, sd_bus_error *error) {
        const char *type = strempty(json_string(json_get(event, "type"))), *activity = json_string(json_get(event, "activity"));
        Stream *s = activity ? hashmap_get(f->streams, activity) : NULL;

        if (streq(type, "attempt-started") && activity)
                return attempt_started(f, activity, (uint32_t) json_int(json_get(event, "attempt")));
        if (streq(type, "step-started") && s)
                return step_started(s, json_string(json_get(event, "step")));
        if (streq(type, "step-finished") && s)
                return step_finished(f, s, event, error);
        if (streq(type, "run-finished"))
                f->ended = true;
        return 0;
}

int feed_poll(Feed *f, sd_bus_error *error) {
        _cleanup_json_ Json *events = json_new_array();
        void *stream;

        if (!events)
                return -ENOMEM;
        int r = history_read(f->ctl, f->run_path, f->seq + 1, 0, events, error);
        for (size_t i = 0; r >= 0 && i < json_length(events); i++) {
                const Json *event = json_at(events, i);
                r = follow_event(f, event, error);
                if (r < 0)
                        break;
                f->seq = (uint32_t) json_int(json_get(event, "seq"));
                if (f->handlers.event)
                        r = f->handlers.event(f->userdata, event);
        }
        for (size_t i = 0; r >= 0 && hashmap_iterate(f->streams, &i, NULL, &stream);)
                if (((Stream *) stream)->running)
                        r = drain(f, stream, UINT64_MAX, error);
        return r;
}

bool feed_ended(const Feed *f) {
        return f->ended;
}

bool feed_is_busy(const Feed *f) {
        void *s;

        for (size_t i = 0; hashmap_iterate(f->streams, &i, NULL, &s);)
                if (((Stream *) s)->running)
                        return true;
        return false;
}
