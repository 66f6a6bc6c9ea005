/* The connection to runbookd's bus. On the system bus it may be lost (the bus is restarted) and is then made again; a session bus that
 * ends ends the agent. Nobody is started by our looking: only what a person does may do that.
 *
 * sd-bus lets through a match whatever is sent to this connection directly, so every signal's sender is compared with the owner of the
 * name, which is learnt from the bus driver alone; nobody else can have its sender. */
#include "client.h"

#include "bus-names.h"
#include "i18n.h"
#include "log.h"

#define DRIVER "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"
#define RETRY_MIN (100 * USEC_PER_MSEC)
#define RETRY_MAX (10 * USEC_PER_SEC)

struct Client {
        sd_event *event;
        bool user_mode;
        const ClientOps *ops;
        void *userdata;
        sd_bus *bus;                                    /* NULL: being waited for */
        sd_bus_slot *lost_slot, *owner_slot, *signal_slot, *who_slot;
        sd_event_source *retry;
        usec_t delay;
        char *owner;                                    /* unique name; NULL: runbookd is away */
};

static int connect_bus(Client *c);

static void drop(Client *c) {
        c->lost_slot = sd_bus_slot_unref(c->lost_slot);
        c->owner_slot = sd_bus_slot_unref(c->owner_slot);
        c->signal_slot = sd_bus_slot_unref(c->signal_slot);
        c->who_slot = sd_bus_slot_unref(c->who_slot);
        c->owner = (free(c->owner), NULL);
        if (c->bus)
                (void) sd_bus_detach_event(c->bus);
        c->bus = sd_bus_close_unref(c->bus);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata);

static int arm_retry(Client *c) {
        c->ops->away(c->userdata);
        int r = sd_event_add_time_relative(c->event, &c->retry, CLOCK_MONOTONIC, c->delay, 0, on_retry, c);
        c->delay = MIN(2 * c->delay, RETRY_MAX);
        return r < 0 ? log_error_errno(r, _("Waiting for the system bus failed: %m")) : 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Client *c = userdata;
        c->retry = sd_event_source_disable_unref(c->retry);
        int r = connect_bus(c);
        if (r >= 0)
                return 0;
        (void) log_debug_errno(r, "The system bus can't be reached: %m");
        drop(c);
        if (arm_retry(c) < 0)
                c->ops->ended(c->userdata);
        return 0;
}

static int on_lost(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Client *c = userdata;
        if (!streq_ptr(sd_bus_message_get_sender(m), "org.freedesktop.DBus.Local") || sd_bus_is_open(c->bus) > 0)
                return 0;
        drop(c);
        if (!c->user_mode)
                log_notice(_("The system bus has ended; it is tried again."));
        if (c->user_mode || arm_retry(c) < 0)
                c->ops->ended(c->userdata);
        return 1;
}

static void set_owner(Client *c, const char *owner) {
        if (streq_ptr(c->owner, *owner ? owner : NULL))
                return;
        free(c->owner);
        c->owner = *owner ? strdup(owner) : NULL;
        c->delay = RETRY_MIN;
        if (c->owner)
                c->ops->there(c->userdata);
        else
                c->ops->away(c->userdata);
}

static bool from_driver(sd_bus_message *m) {
        return streq_ptr(sd_bus_message_get_sender(m), DRIVER);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *owner;
        if (from_driver(m) && sd_bus_message_read(m, "sss", &name, NULL, &owner) >= 0 && streq(name, BUS_NAME))
                set_owner(userdata, owner);
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Client *c = userdata;
        const char *owner;
        c->who_slot = sd_bus_slot_unref(c->who_slot);
        if (!sd_bus_message_get_error(m) && from_driver(m) && sd_bus_message_read_basic(m, 's', &owner) >= 0)
                set_owner(c, owner);
        else if (!c->owner)
                c->ops->away(c->userdata);              /* NameOwnerChanged will tell of the next one */
        return 1;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Client *c = userdata;
        const char *path;
        if (!c->owner || !streq_ptr(sd_bus_message_get_sender(m), c->owner))
                return 0;
        if (sd_bus_message_is_signal(m, BUS_MANAGER, "InputRequired"))
                c->ops->required(c->userdata, m);
        else if (sd_bus_message_is_signal(m, BUS_MANAGER, "RequestResolved") && sd_bus_message_read_basic(m, 'o', &path) >= 0)
                c->ops->resolved(c->userdata, path);
        return 0;
}

/* The matches go out before the question, so no change can fall between them. */
static int subscribe(Client *c) {
        int r = sd_bus_match_signal_async(c->bus, &c->lost_slot, "org.freedesktop.DBus.Local", NULL, "org.freedesktop.DBus.Local",
                                          "Disconnected", on_lost, NULL, c);
        if (r >= 0)
                r = sd_bus_add_match_async(c->bus, &c->owner_slot,
                                           "type='signal',sender='" DRIVER "',path='" DRIVER_PATH "',interface='" DRIVER
                                           "',member='NameOwnerChanged',arg0='" BUS_NAME "'",
                                           on_owner_changed, NULL, c);
        if (r >= 0)
                r = sd_bus_add_match_async(c->bus, &c->signal_slot,
                                           "type='signal',sender='" BUS_NAME "',path='" BUS_PATH "',interface='" BUS_MANAGER "'", on_signal,
                                           NULL, c);
        if (r >= 0)
                r = sd_bus_call_method_async(c->bus, &c->who_slot, DRIVER, DRIVER_PATH, DRIVER, "GetNameOwner", on_owner, c, "s", BUS_NAME);
        return r;
}

static int connect_bus(Client *c) {
        int r = c->user_mode ? sd_bus_open_user(&c->bus) : sd_bus_open_system(&c->bus);
        if (r < 0)
                return r;
        (void) sd_bus_set_exit_on_disconnect(c->bus, false);
        r = subscribe(c);
        return r < 0 ? r : sd_bus_attach_event(c->bus, c->event, SD_EVENT_PRIORITY_NORMAL);
}

int client_new(sd_event *event, bool user_mode, const ClientOps *ops, void *userdata, Client **ret) {
        _cleanup_(client_freep) Client *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (Client) {.event = sd_event_ref(event), .user_mode = user_mode, .ops = ops, .userdata = userdata, .delay = RETRY_MIN};
        int r = connect_bus(c);
        if (r < 0 && user_mode)
                return r;
        if (r < 0) {
                drop(c);
                (void) log_warning_errno(r, _("The system bus can't be reached: %m. It is tried again."));
                r = arm_retry(c);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(c);
        return 0;
}

Client *client_free(Client *c) {
        if (!c)
                return NULL;
        drop(c);
        sd_event_source_disable_unref(c->retry);
        sd_event_unref(c->event);
        free(c);
        return NULL;
}

int client_call(Client *c, unsigned flags, const char *path, const char *interface, const char *member, sd_bus_message_handler_t callback,
                void *userdata, sd_bus_slot **ret, const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        if (!c->bus)
                return -ENOTCONN;
        int r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, path, interface, member);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = *types ? sd_bus_message_appendv(m, types, ap) : 0;
        va_end(ap);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, flags & CALL_ASKS);
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(m, flags & CALL_ASKS);
        return r < 0 ? r : sd_bus_call_async(c->bus, ret, m, callback, userdata, flags & CALL_ASKS ? CALL_ASKS_TIMEOUT : CALL_TIMEOUT);
}
