/* org.freedesktop.LogControl1. Who may set the level is checked before, by the filter that every call passes. The target is where stderr
 * goes and can't be changed. */
#include "log-control.h"

#include <unistd.h>

#include "fd-util.h"
#include "i18n.h"
#include "log.h"

static int get_level(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                     sd_bus_error *error) {
        return sd_bus_message_append_basic(reply, 's', log_level_to_string(log_max_level()));
}

static int set_level(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *value, void *userdata,
                     sd_bus_error *error) {
        const char *s;
        int r = sd_bus_message_read_basic(value, 's', &s);
        if (r < 0)
                return r;
        int level = log_level_from_string(s);
        if (level < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         _("“%s” is no log level; levels are emerg, alert, crit, err, warning, notice, info, debug."), s);
        log_set_max_level(level);
        return 0;
}

static int get_target(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                      sd_bus_error *error) {
        return sd_bus_message_append_basic(reply, 's', fd_is_journal(STDERR_FILENO) ? "journal" : "console");
}

static int get_identifier(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                          sd_bus_error *error) {
        return sd_bus_message_append_basic(reply, 's', PACKAGE);
}

static const sd_bus_vtable log_control_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_level, 0, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("LogTarget", "s", get_target, 0, 0),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

int log_control_attach(sd_bus *connection, sd_bus_slot **ret) {
        return sd_bus_add_object_vtable(connection, ret, "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1", log_control_vtable,
                                        NULL);
}
