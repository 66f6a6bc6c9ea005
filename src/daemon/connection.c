/* The connection to the bus. Nothing here blocks once the daemon runs: connecting, Hello and the request for the name are asynchronous.
 * Signals can be forged by anybody who may send to us, so the loss of the connection is believed only from the connection itself, and an
 * answer to the request for the name only from the bus. */
#include "connection.h"

#include "bus-names.h"
#include "i18n.h"
#include "log.h"
#include "time-util.h"

#define RETRY_MIN (100 * USEC_PER_MSEC)
#define RETRY_MAX (10 * USEC_PER_SEC)
#define MESSAGES_MAX 64u                                /* taken at once */
#define NAME_OWNED 1                                    /* answers to RequestName */
#define NAME_ALREADY_OWNED 4

struct Connection {
        ConnectionOptions options;
        sd_bus *bus;
        sd_bus_slot *lost_slot, *name_slot, *any_slot;
        sd_event_source *retry, *more;
        usec_t delay;
        bool attached, want_name;
};

int connection_new(const ConnectionOptions *o, Connection **ret) {
        Connection *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->options = *o;
        c->delay = RETRY_MIN;
        *ret = c;
        return 0;
}

static void drop(Connection *c) {
        if (c->attached)
                c->options.detach(c->options.userdata);
        c->attached = false;
        c->lost_slot = sd_bus_slot_unref(c->lost_slot);
        c->name_slot = sd_bus_slot_unref(c->name_slot);
        c->any_slot = sd_bus_slot_unref(c->any_slot);
        if (c->bus)
                (void) sd_bus_detach_event(c->bus);
        c->bus = sd_bus_close_unref(c->bus);
}

Connection *connection_free(Connection *c) {
        if (!c)
                return NULL;
        if (c->bus)
                (void) sd_bus_flush(c->bus);
        drop(c);
        sd_event_source_disable_unref(c->retry);
        sd_event_source_disable_unref(c->more);
        free(c);
        return NULL;
}

/* ---- the name ---- */

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Connection *c = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        uint32_t answer = 0;
        c->name_slot = sd_bus_slot_unref(c->name_slot);
        if (e) {
                if (!sd_bus_is_open(c->bus))
                        return 1;                       /* the connection is lost; that comes by itself */
                log_error(_("The bus does not let us be %s: %s"), BUS_NAME, e->message);
        } else if (streq_ptr(sd_bus_message_get_sender(m), "org.freedesktop.DBus") && sd_bus_message_read_basic(m, 'u', &answer) >= 0 &&
                   (answer == NAME_OWNED || answer == NAME_ALREADY_OWNED)) {
                c->delay = RETRY_MIN;
                c->options.named(c->options.userdata);
                return 1;
        } else
                log_error(_("Someone else is %s on this bus; stop that one first."), BUS_NAME);
        c->options.lost(c->options.userdata, -EEXIST);
        return 1;
}

static int request_name(Connection *c) {
        return sd_bus_request_name_async(c->bus, &c->name_slot, BUS_NAME, 0, on_name, c);
}

int connection_request_name(Connection *c) {
        c->want_name = true;
        return c->bus ? request_name(c) : 0;
}

/* ---- what comes in ---- */

/* The event loop takes one message in each of its rounds. Where one has come there may be more: they are taken in one. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Connection *c = userdata;
        (void) sd_event_source_set_enabled(c->more, SD_EVENT_ONESHOT);
        return 0;
}

/* What goes wrong here goes wrong once more where the loop asks the connection. */
static int on_more(sd_event_source *s, void *userdata) {
        Connection *c = userdata;
        _cleanup_(sd_bus_unrefp) sd_bus *bus = sd_bus_ref(c->bus);
        for (unsigned n = 0; n < MESSAGES_MAX && bus && bus == c->bus && sd_bus_process(bus, NULL) > 0; n++)
                ;
        return 0;
}

static int take_many(Connection *c) {
        int r = c->more ? 0 : sd_event_add_defer(c->options.event, &c->more, on_more, c);
        if (r >= 0)
                r = sd_event_source_set_enabled(c->more, SD_EVENT_OFF);
        return r < 0 ? r : sd_bus_add_filter(c->bus, &c->any_slot, on_message, c);
}

/* ---- the connection ---- */

static int arm_retry(Connection *c);

static int on_lost(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Connection *c = userdata;
        if (!streq_ptr(sd_bus_message_get_sender(m), "org.freedesktop.DBus.Local") || sd_bus_is_open(c->bus) > 0)
                return 0;
        log_notice(c->options.user_mode ? _("The bus has ended.") : _("The bus has ended; runs go on, and it is tried again."));
        drop(c);
        int r = c->options.user_mode ? 0 : arm_retry(c);
        if (c->options.user_mode || r < 0)
                c->options.lost(c->options.userdata, r);
        return 1;
}

static int open_bus(Connection *c) {
        int r = c->options.user_mode ? sd_bus_open_user(&c->bus) : sd_bus_open_system(&c->bus);
        if (r < 0)
                return r;
        (void) sd_bus_set_exit_on_disconnect(c->bus, false);
        r = sd_bus_match_signal_async(c->bus, &c->lost_slot, "org.freedesktop.DBus.Local", NULL, "org.freedesktop.DBus.Local",
                                      "Disconnected", on_lost, NULL, c);
        if (r >= 0)
                r = take_many(c);
        if (r >= 0)
                r = c->options.attach(c->options.userdata, c->bus);
        c->attached = r >= 0;
        if (r >= 0 && c->want_name)
                r = request_name(c);
        return r < 0 ? r : sd_bus_attach_event(c->bus, c->options.event, SD_EVENT_PRIORITY_NORMAL);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        Connection *c = userdata;
        c->retry = sd_event_source_disable_unref(c->retry);
        int r = open_bus(c);
        if (r < 0) {
                drop(c);
                log_debug_errno(r, "The bus can't be reached: %m");
                r = arm_retry(c);
        }
        if (r < 0)
                c->options.lost(c->options.userdata, r);
        return 0;
}

static int arm_retry(Connection *c) {
        int r = sd_event_add_time_relative(c->options.event, &c->retry, CLOCK_MONOTONIC, c->delay, 0, on_retry, c);
        c->delay = MIN(2 * c->delay, RETRY_MAX);
        return r;
}

int connection_open(Connection *c) {
        int r = open_bus(c);
        if (r >= 0)
                return 0;
        drop(c);
        if (c->options.user_mode)
                return log_error_errno(r, _("The session bus can't be reached: %m. See that DBUS_SESSION_BUS_ADDRESS or XDG_RUNTIME_DIR is "
                                            "right, or start one with dbus-run-session."));
        log_warning_errno(r, _("The system bus can't be reached: %m. It is tried again."));
        return arm_retry(c);
}
