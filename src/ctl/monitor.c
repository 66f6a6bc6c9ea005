/* sd-bus lets through a match whatever is sent to this connection directly, whoever it says it is. So nothing is believed by its name:
 * every signal's sender is compared with the unique name of the owner of org.runbookd1, which is learnt from the bus driver alone, whose
 * own messages are recognised by a sender that nobody else can have. A signal is only a reason to look; what is shown is asked for. */
#include "monitor.h"

#include <signal.h>
#include <sys/epoll.h>

#include "client.h"
#include "i18n.h"

#define DRIVER "org.freedesktop.DBus"

struct Monitor {
        Ctl *ctl;
        sd_event *event;
        sd_bus_slot *owner_slot, *signal_slot, *disconnect_slot;
        sd_event_source *signals[4], *input;
        char *owner;                                    /* unique name; NULL: away */
        usec_t away_since;
        unsigned wake;
        int signal;                                     /* that told us to end; 0: none */
};

static bool from_driver(sd_bus_message *m) {
        return streq_ptr(sd_bus_message_get_sender(m), DRIVER);
}

static void set_owner(Monitor *m, const char *owner) {
        free(m->owner);
        m->owner = isempty(owner) ? NULL : strdup(owner);
        m->away_since = m->owner ? 0 : now_usec(CLOCK_MONOTONIC);
        m->wake |= m->owner ? WAKE_CHANGED : WAKE_AWAY;
}

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Monitor *m = userdata;
        const char *name, *new_owner;

        if (!from_driver(message) || sd_bus_message_read(message, "sss", &name, NULL, &new_owner) < 0 || !streq(name, BUS_NAME))
                return 0;
        set_owner(m, new_owner);
        return 0;
}

static int on_signal(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Monitor *m = userdata;

        if (m->owner && streq_ptr(sd_bus_message_get_sender(message), m->owner))
                m->wake |= WAKE_CHANGED;
        return 0;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Monitor *m = userdata;

        m->wake |= WAKE_BUS_GONE;
        return 0;
}

static int on_process_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        Monitor *m = userdata;

        m->wake |= si->ssi_signo == SIGWINCH ? WAKE_RESIZED : WAKE_INTERRUPTED;
        if (si->ssi_signo != SIGWINCH)
                m->signal = (int) si->ssi_signo;
        return 0;
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Monitor *m = userdata;

        m->wake |= WAKE_INPUT;
        return 0;
}

static int add_process_signals(Monitor *m) {
        static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
        sigset_t set;

        (void) sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                (void) sigaddset(&set, numbers[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                int r = sd_event_add_signal(m->event, &m->signals[i], numbers[i], on_process_signal, m);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The match on the owner comes first, so that no change of it is missed between the question and the match. */
static int subscribe(Monitor *m, const char *path) {
        _cleanup_strbuf_ StrBuf b = {};

        int r = sd_bus_add_match(m->ctl->bus, &m->owner_slot,
                                 "type='signal',sender='" DRIVER "',path='/org/freedesktop/DBus',interface='" DRIVER
                                 "',member='NameOwnerChanged',arg0='" BUS_NAME "'",
                                 on_owner_changed, m);
        if (r < 0)
                return r;
        strbuf_appendf(&b, "type='signal',sender='" BUS_NAME "',path_namespace='%s'", path);
        _cleanup_free_ char *match = strbuf_take(&b);
        if (!match)
                return -ENOMEM;
        r = sd_bus_add_match(m->ctl->bus, &m->signal_slot, match, on_signal, m);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(m->ctl->bus, &m->disconnect_slot, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                "Disconnected", on_disconnected, m);
        return r < 0 ? r : sd_bus_attach_event(m->ctl->bus, m->event, SD_EVENT_PRIORITY_NORMAL);
}

static int learn_owner(Monitor *m) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *owner;

        int r = sd_bus_call_method(m->ctl->bus, DRIVER, "/org/freedesktop/DBus", DRIVER, "GetNameOwner", &error, &reply, "s", BUS_NAME);
        if (r < 0 && !sd_bus_error_has_name(&error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                return r;
        r = reply ? sd_bus_message_read(reply, "s", &owner) : 0;
        if (r < 0)
                return r;
        set_owner(m, reply ? owner : NULL);
        return 0;
}

int monitor_new(Ctl *c, const char *path, Monitor **ret) {
        _cleanup_(monitor_freep) Monitor *m = calloc(1, sizeof(Monitor));

        if (!m)
                return ctl_oom(c);
        m->ctl = c;
        int r = client_connect(c);
        if (r < 0)
                return r;
        r = sd_event_new(&m->event);
        if (r >= 0)
                r = add_process_signals(m);
        if (r >= 0)
                r = subscribe(m, path);
        if (r >= 0)
                r = learn_owner(m);
        if (r < 0) {
                _cleanup_error_ sd_bus_error none = SD_BUS_ERROR_NULL;
                return client_error(c, &none, r);
        }
        *ret = TAKE_PTR(m);
        return 0;
}

Monitor *monitor_free(Monitor *m) {
        if (!m)
                return NULL;
        sd_bus_slot_unref(m->owner_slot);
        sd_bus_slot_unref(m->signal_slot);
        sd_bus_slot_unref(m->disconnect_slot);
        for (size_t i = 0; i < ELEMENTSOF(m->signals); i++)
                sd_event_source_disable_unref(m->signals[i]);
        sd_event_source_disable_unref(m->input);
        if (m->ctl->bus)
                (void) sd_bus_detach_event(m->ctl->bus);
        sd_event_unref(m->event);
        free(m->owner);
        free(m);
        return NULL;
}

/* After a reason to look, whatever else is ready is taken too: many signals, one look. But no more of it than this, or somebody who sends
 * without end would keep us from looking; what isn't believed doesn't keep us past the time either. */
#define COALESCED_MAX 256u

int monitor_wait(Monitor *m, usec_t usec) {
        usec_t until = usec_add(now_usec(CLOCK_MONOTONIC), usec);
        unsigned n = 0;

        while (!(m->wake & (WAKE_BUS_GONE | WAKE_INPUT)) && n < COALESCED_MAX) {
                usec_t left = usec_sub(until, now_usec(CLOCK_MONOTONIC));
                int r = sd_event_run(m->event, m->wake ? 0 : left);
                if (r < 0)
                        return ctl_error(m->ctl, _("Waiting for events failed: %s"), strerror(-r));
                if (r == 0 || (!m->wake && left == 0))
                        break;
                n += m->wake != 0;
        }
        int wake = m->wake ? (int) m->wake : WAKE_TICK;
        m->wake = 0;
        return wake;
}

int monitor_interrupted_status(const Monitor *m) {
        return STATUS_SIGNAL + (m->signal > 0 ? m->signal : SIGINT);
}

void monitor_watch_input(Monitor *m, bool on) {
        if (!on)
                m->input = sd_event_source_disable_unref(m->input);
        else if (!m->input && sd_event_add_io(m->event, &m->input, STDIN_FILENO, EPOLLIN, on_input, m) < 0)
                m->input = NULL;
}
