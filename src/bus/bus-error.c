/* Verdicts as bus errors: one table gives each its name and the errno that a C client sees. The names are a part of the contract; a test
 * holds the table against the engine's verdict_to_string(). */
#include "bus-error.h"

#include <stdarg.h>
#include <stdio.h>

#include "bus-names.h"
#include "fd-util.h"
#include "i18n.h"
#include "utf8.h"

#define ERROR_TEXT_MAX (64u * 1024u)

static const sd_bus_error_map verdict_map[] = {
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "NoSuchRunbook", ENOENT),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "NoSuchRun", ENOENT),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "NoSuchActivity", ENOENT),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "NoSuchStep", ENOENT),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "InvalidRunbook", EBADMSG),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "InvalidInput", EINVAL),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "InputFixed", EROFS),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "WrongState", ESTALE),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "AlreadySucceeded", EEXIST),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "AlreadyAnswered", EALREADY),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "NotApprover", EACCES),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "TooOld", ETIME),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "DefinitionChanged", EPROTO),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "TooMany", EUSERS),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "TooLarge", EMSGSIZE),
        SD_BUS_ERROR_MAP(BUS_ERROR_PREFIX "StorageUnavailable", EIO),
        SD_BUS_ERROR_MAP_END,
};

/* The entries stand in the order of the enum, without VERDICT_OK. */
static const sd_bus_error_map *find(Verdict v) {
        if (v <= VERDICT_OK || v >= _VERDICT_MAX)
                return NULL;
        return &verdict_map[v - 1];
}

const char *bus_error_name(Verdict v) {
        const sd_bus_error_map *e = find(v);
        return e ? e->name : NULL;
}

/* The text may quote what a caller or a step wrote, and cut it anywhere: an error that sd-bus can't send is an answer that never comes. */
static int set_text(sd_bus_error *error, const char *name, int code, const char *text) {
        size_t n = strlen(text);
        _cleanup_free_ char *fit = NULL;
        if ((n > ERROR_TEXT_MAX || !utf8_is_sendable(text, n)) && !(fit = utf8_make_sendable(text, n, ERROR_TEXT_MAX)))
                return -ENOMEM;
        (void) sd_bus_error_set(error, name, fit ? fit : text);
        return -code;
}

static int set_formatted(sd_bus_error *error, const char *name, int code, const char *fmt, va_list ap) {
        _cleanup_free_ char *text = NULL;
        if (vasprintf(&text, fmt, ap) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return set_text(error, name, code, text);
}

int bus_refuse(sd_bus_error *error, Verdict v, const char *fmt, ...) {
        const sd_bus_error_map *e = find(v);
        assert(e);
        va_list ap;
        va_start(ap, fmt);
        int r = set_formatted(error, e->name, e->code, fmt, ap);
        va_end(ap);
        return r;
}

#define DEFINE_REFUSAL(function, name, code)                            \
        int function(sd_bus_error *error, const char *fmt, ...) {       \
                va_list ap;                                             \
                va_start(ap, fmt);                                      \
                int r = set_formatted(error, name, code, fmt, ap);      \
                va_end(ap);                                             \
                return r;                                               \
        }
DEFINE_REFUSAL(bus_invalid_args, SD_BUS_ERROR_INVALID_ARGS, EINVAL)
DEFINE_REFUSAL(bus_limits_exceeded, SD_BUS_ERROR_LIMITS_EXCEEDED, ENOBUFS)
DEFINE_REFUSAL(bus_access_denied, SD_BUS_ERROR_ACCESS_DENIED, EACCES)
DEFINE_REFUSAL(bus_authentication_required, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, EACCES)

int bus_verdict(sd_bus_error *error, int r, const char *message) {
        if (r <= 0)
                return r < 0 && message ? set_text(error, SD_BUS_ERROR_FAILED, -r, message) : r;
        const sd_bus_error_map *e = find((Verdict) r);
        if (!e)
                return -EINVAL;
        return bus_refuse(error, (Verdict) r, "%s", message ? message : verdict_to_string((Verdict) r));
}
