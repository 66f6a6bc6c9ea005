/* A file that was opened for us is read with pread: its offset is shared with the daemon's descriptor and is nobody's business. Where the
 * head of a log was thrown away the file has a hole, which is skipped and counted. A file that we follow is polled by our callers: the
 * kernel lets nobody watch a passed descriptor with inotify. */
#include "log-source.h"

#include <fcntl.h>

#include "client.h"

struct LogSource {
        Ctl *ctl;
        char *path, *step;
        uint32_t attempt;
        int fd;                                         /* -1: by ReadLog */
        uint64_t position;                              /* up to which the caller has read */
        StrBuf ahead;                                   /* by ReadLog: what was received from there on, for its pages end where they like */
        size_t taken;                                   /* of it */
        bool ended;
};

static int open_file(LogSource *s, sd_bus_error *error) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        int fd;

        int r = client_new_call(s->ctl, s->path, BUS_ACTIVITY, "OpenLog", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "us", s->attempt, strempty(s->step));
        if (r >= 0)
                r = client_try(s->ctl, m, error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return r;
        s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return s->fd < 0 ? -errno : 0;
}

int log_source_new(Ctl *c, const char *activity_path, uint32_t attempt, const char *step, sd_bus_error *error, LogSource **ret) {
        _cleanup_(log_source_freep) LogSource *s = calloc(1, sizeof(LogSource));

        if (!s)
                return -ENOMEM;
        *s = (LogSource) {.ctl = c, .path = strdup(activity_path), .step = step ? strdup(step) : NULL, .attempt = attempt, .fd = -1};
        if (!s->path || (step && !s->step))
                return -ENOMEM;
        int r = client_connect(c);
        if (r < 0)
                return r;
        /* A step is a part of its attempt's file whose end only the daemon knows. */
        if (!step && sd_bus_can_send(c->bus, 'h') > 0) {
                r = open_file(s, error);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(s);
        return 0;
}

LogSource *log_source_free(LogSource *s) {
        if (!s)
                return NULL;
        safe_close(s->fd);
        strbuf_done(&s->ahead);
        free(s->path);
        free(s->step);
        free(s);
        return NULL;
}

static int read_file_part(LogSource *s, uint64_t end, StrBuf *b, uint64_t *ret_gone) {
        char buf[16384];
        size_t total = 0;

        off_t data = lseek(s->fd, (off_t) s->position, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
                return 0;
        if (data > (off_t) s->position) {
                uint64_t to = MIN((uint64_t) data, end);
                *ret_gone = to - s->position;
                s->position = to;
        }
        while (s->position < end && total < LOG_READ_MAX) {
                ssize_t n = pread(s->fd, buf, (size_t) MIN((uint64_t) sizeof(buf), end - s->position), (off_t) s->position);
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                strbuf_append_n(b, buf, (size_t) n);
                s->position += (uint64_t) n;
                total += (size_t) n;
        }
        return (int) total;
}

static int call_read_log(LogSource *s, sd_bus_message **ret, sd_bus_error *error) {
        _cleanup_message_ sd_bus_message *m = NULL;

        int r = client_new_call(s->ctl, s->path, BUS_ACTIVITY, "ReadLog", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ust", s->attempt, strempty(s->step), s->position);
        return r < 0 ? r : client_try(s->ctl, m, error, ret);
}

/* Fetches the next page. What is gone lies between where we asked and where its data begins. */
static int fetch(LogSource *s, uint64_t *ret_gone, sd_bus_error *error) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const void *data;
        uint64_t next;
        size_t n;
        int end;

        int r = call_read_log(s, &reply, error);
        if (r >= 0)
                r = sd_bus_message_read(reply, "t", &next);
        if (r >= 0)
                r = sd_bus_message_read_array(reply, 'y', &data, &n);
        if (r >= 0)
                r = sd_bus_message_read(reply, "b", &end);
        if (r < 0)
                return r;
        if (next < s->position || next - s->position < n)
                return -EBADMSG;
        *ret_gone = next - s->position - n;
        s->position = next - n;
        s->ended = end;
        strbuf_done(&s->ahead);
        s->taken = 0;
        strbuf_append_n(&s->ahead, data, n);
        return s->ahead.failed ? -ENOMEM : 0;
}

static int read_by_bus(LogSource *s, uint64_t end, StrBuf *b, uint64_t *ret_gone, sd_bus_error *error) {
        if (s->taken == s->ahead.n) {
                int r = fetch(s, ret_gone, error);
                if (r < 0)
                        return r;
        }
        uint64_t room = s->position < end ? end - s->position : 0;
        size_t n = (size_t) MIN((uint64_t) (s->ahead.n - s->taken), room);
        if (n > 0)
                strbuf_append_n(b, s->ahead.s + s->taken, n);
        s->taken += n;
        s->position += n;
        return (int) n;
}

int log_source_read(LogSource *s, uint64_t end, StrBuf *b, uint64_t *ret_gone, sd_bus_error *error) {
        *ret_gone = 0;
        if (s->position >= end)
                return 0;
        return s->fd >= 0 ? read_file_part(s, end, b, ret_gone) : read_by_bus(s, end, b, ret_gone, error);
}

bool log_source_ended(const LogSource *s) {
        return s->ended && s->taken == s->ahead.n;
}
