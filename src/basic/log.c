/* Logging. To the journal's own socket where stderr is connected to the journal (then fields and levels survive), else as plain lines to
 * stderr. A message is one write, so that lines of several processes don't mix. What comes from outside may be in a message, so text
 * for stderr goes through the terminal filter. This is the only file of the layer that needs libsystemd: who logs links it. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/uio.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "fd-util.h"
#include "utf8.h"

#define LOG_FIELDS_MAX 32u

static int max_level = LOG_INFO;
static bool to_journal = false;

static const char *const level_table[] = {
        [LOG_EMERG] = "emerg",
        [LOG_ALERT] = "alert",
        [LOG_CRIT] = "crit",
        [LOG_ERR] = "err",
        [LOG_WARNING] = "warning",
        [LOG_NOTICE] = "notice",
        [LOG_INFO] = "info",
        [LOG_DEBUG] = "debug",
};

void log_set_max_level(int level) {
        max_level = level;
}

int log_max_level(void) {
        return max_level;
}

int log_level_from_string(const char *s) {
        for (size_t i = 0; i < ELEMENTSOF(level_table); i++)
                if (streq(s, level_table[i]) || (s[0] == (char) ('0' + i) && !s[1]))
                        return (int) i;
        return -EINVAL;
}

const char *log_level_to_string(int level) {
        return level >= 0 && (size_t) level < ELEMENTSOF(level_table) ? level_table[level] : NULL;
}

void log_open(void) {
        to_journal = fd_is_journal(STDERR_FILENO);
}

typedef struct Fields {
        struct iovec vec[LOG_FIELDS_MAX];
        size_t n;
} Fields;

static void fields_done(Fields *f) {
        for (size_t i = 0; i < f->n; i++)
                free(f->vec[i].iov_base);
}

static void add_field(Fields *f, const char *name, const char *value) {
        if (f->n >= LOG_FIELDS_MAX)
                return;
        char *s = xasprintf("%s=%s", name, value);
        if (s)
                f->vec[f->n++] = (struct iovec) {.iov_base = s, .iov_len = strlen(s)};
}

static void add_number(Fields *f, const char *name, int value) {
        char buf[16];
        (void) snprintf(buf, sizeof(buf), "%i", value);
        add_field(f, name, buf);
}

static void add_message(Fields *f, int level, const char *message) {
        add_field(f, "MESSAGE", message);
        add_number(f, "PRIORITY", LOG_PRI(level));
        add_field(f, "SYSLOG_IDENTIFIER", program_invocation_short_name);
}

static void write_line(const char *message) {
        _cleanup_free_ char *safe = text_for_terminal(message);
        _cleanup_free_ char *line = xasprintf("%s\n", safe ? safe : message);
        if (line)
                (void) write_all(STDERR_FILENO, line, strlen(line));
}

int log_full_at(int level, int error, const char *file, int line, const char *function, const char *fmt, ...) {
        error = error < 0 ? error : -error;
        if (LOG_PRI(level) > max_level)
                return error;

        int saved_errno = errno;
        va_list ap;
        va_start(ap, fmt);
        errno = -error;
        char *formatted;
        if (vasprintf(&formatted, fmt, ap) < 0)
                formatted = NULL;
        va_end(ap);
        const char *message = formatted ? formatted : fmt;      /* out of memory: the format says most of it */

        if (to_journal) {
                _cleanup_(fields_done) Fields f = {};
                add_message(&f, level, message);
                add_field(&f, "CODE_FILE", file);
                add_number(&f, "CODE_LINE", line);
                add_field(&f, "CODE_FUNC", function);
                if (error < 0)
                        add_number(&f, "ERRNO", -error);
                (void) sd_journal_sendv(f.vec, (int) f.n);
        } else
                write_line(message);
        free(formatted);
        errno = saved_errno;
        return error;
}

void log_struct(int level, const char *message, ...) {
        if (LOG_PRI(level) > max_level)
                return;
        if (!to_journal) {
                write_line(message);
                return;
        }

        _cleanup_(fields_done) Fields f = {};
        va_list ap;
        add_message(&f, level, message);
        va_start(ap, message);
        for (const char *name; (name = va_arg(ap, const char *));)
                add_field(&f, name, strempty(va_arg(ap, const char *)));
        va_end(ap);
        (void) sd_journal_sendv(f.vec, (int) f.n);
}
