/* Any server will do, so nothing is taken for granted: it may not be there yet (the call for its capabilities lets the bus start it), it
 * may be replaced by another one that can do less, it may never answer.
 *
 * Notify has no timeout: what a stuck server was sent waits in its queue and is shown when it goes on, so sending it once more would show
 * it twice. It ends when the server answers or leaves the bus, and SENDING_MAX bounds how much can wait there. A note that is withdrawn
 * while it is on its way is closed when its number is known.
 *
 * What is on the screen is kept in a file, for the agent that comes after one that was killed: it puts its notifications in the place of
 * those, and closes the others. What the server had not yet answered when the agent was killed has no number, and stays. Who loses the
 * file, or can't write it, loses no more than that.
 *
 * Signals are believed only from the owner of the name. Some servers send them to us alone, so calls and signals share a connection. An
 * id is kept after its notification was closed, for some servers tell first that it closed and then which button did it. */
#include "notify.h"

#include "fd-util.h"
#include "i18n.h"
#include "kept.h"
#include "list.h"
#include "log.h"

#define SERVER "org.freedesktop.Notifications"
#define SERVER_PATH "/org/freedesktop/Notifications"
#define DRIVER "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"
#define DESKTOP_ENTRY "runbook-agent"

#define SENDING_MAX 64u
#define TOKEN_MAX 256u                                  /* bytes of an activation token */
#define CAPABILITIES_TIMEOUT (30 * USEC_PER_SEC)
#define RETRY_MIN USEC_PER_SEC
#define RETRY_MAX (5 * USEC_PER_MINUTE)
#define SETTLED (USEC_PER_MINUTE)                       /* a server that lived this long makes the next wait short again */

#define LAST_WAIT (500 * USEC_PER_MSEC)                 /* for answers, at the end */

#define EXPIRE_DEFAULT (-1)
#define EXPIRE_NEVER 0

typedef enum ServerState {
        SERVER_AWAY,                                    /* nobody there, or nobody that works */
        SERVER_ASKED,                                   /* what it can do; it may be starting */
        SERVER_READY,
} ServerState;

typedef enum ShownState {
        SHOWN_WAITING,                                  /* for a server */
        SHOWN_SENDING,
        SHOWN_THERE,
        SHOWN_CLOSED,                                   /* by the person or the server */
} ShownState;

struct Shown {
        Notifier *notifier;
        LIST_FIELDS(Shown, all);
        ShownState state;
        Note *note;
        void *userdata;
        sd_bus_slot *slot;                              /* Notify */
        char *key, *token;                              /* key: NULL, not kept */
        uint32_t id;                                    /* 0: never shown by this server */
        bool orphan;                                    /* nobody has it any more; goes when its number is known */
        bool stale;                                     /* changed while it was on its way */
        bool invoked;                                   /* a button was pressed, so the server is going to close it */
        bool again;                                     /* once it is closed, it comes back */
        bool adopted;                                   /* the number is that of an agent before us; the server has not confirmed it */
};

struct Notifier {
        sd_bus *bus;
        const NotifierOps *ops;
        void *userdata;
        Shown *all;
        sd_bus_slot *owner_slot, *signal_slot, *capabilities_slot;
        sd_event_source *retry, *keep;
        char *owner;                                    /* unique name; NULL: not known */
        char *directory, *file;                         /* NULL: nothing is kept */
        Kept left;                                      /* by an agent before us, with this server */
        ServerState state;
        unsigned capabilities, n_sending, n_transient;
        usec_t delay, ready_since;
        bool said;                                      /* that there is no server */
        bool closing;                                   /* nothing more is sent, nobody is told */
};

static void advance(Notifier *n);

/* ---- what is kept ---- */

/* An orphan's key may be somebody else's by now; by this one nobody takes it over. */
static int collect(Notifier *n, Kept *k) {
        int r = 0;
        k->server = strdup(n->owner);
        if (!k->server)
                return -ENOMEM;
        LIST_FOREACH(all, s, n->all)
                if (r >= 0 && s->key && s->id > 0 && s->state != SHOWN_CLOSED)
                        r = kept_add(k, s->orphan ? "" : s->key, s->id);
        for (size_t i = 0; r >= 0 && i < n->left.n; i++)
                r = kept_add(k, n->left.notes[i].key, n->left.notes[i].id);
        return r;
}

static int on_keep(sd_event_source *source, void *userdata) {
        Notifier *n = userdata;
        _cleanup_kept_ Kept k = {};
        int r = n->owner ? collect(n, &k) : 0;
        if (r >= 0)
                r = kept_write(n->directory, n->file, &k);
        if (r < 0)
                (void) log_debug_errno(r, "What is on the screen can't be kept in %s/%s: %m", n->directory, n->file);
        return 0;
}

/* Once for all that happens in this turn of the loop. */
static void keep(Notifier *n) {
        if (n->keep)
                (void) sd_event_source_set_enabled(n->keep, SD_EVENT_ONESHOT);
}

/* ---- one note ---- */

static void set_state(Shown *s, ShownState state) {
        Notifier *n = s->notifier;
        n->n_sending += (state == SHOWN_SENDING) - (s->state == SHOWN_SENDING);
        s->state = state;
        if (s->key)
                keep(n);
}

static Shown *shown_free(Shown *s) {
        Notifier *n = s->notifier;
        set_state(s, SHOWN_CLOSED);
        n->n_transient -= s->note->transient;
        LIST_REMOVE(all, n->all, s);
        sd_bus_slot_unref(s->slot);
        note_free(s->note);
        free(s->key);
        free(s->token);
        free(s);
        return NULL;
}

static void close_at_server(Notifier *n, uint32_t id) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(n->bus, &m, n->owner, SERVER_PATH, SERVER, "CloseNotification");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 'u', &id);
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, false);
        if (r >= 0)
                r = sd_bus_send(n->bus, m, NULL);
        if (r < 0)
                (void) log_debug_errno(r, "Notification %u can't be closed: %m", id);
}

/* ---- sending ---- */

/* No action is called "default", which is a click beside the buttons: some servers draw a button for it, too. */
static int append_actions(sd_bus_message *m, const Notifier *n, const Note *note) {
        int r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && n->capabilities & CAPABILITY_ACTIONS && i < note->n_buttons; i++)
                r = sd_bus_message_append(m, "ss", action_to_string(note->buttons[i]), action_label(note->buttons[i]));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_hints(sd_bus_message *m, const Note *note) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "urgency", "y", (int) note->urgency, "category", "s", note->category,
                                          "desktop-entry", "s", DESKTOP_ENTRY);
        if (r >= 0 && note->transient)
                r = sd_bus_message_append(m, "{sv}", "transient", "b", 1);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int new_notify(const Shown *s, sd_bus_message **ret) {
        const Notifier *n = s->notifier;
        _cleanup_free_ char *summary = note_render_summary(s->note, n->capabilities);
        _cleanup_free_ char *body = n->capabilities & CAPABILITY_BODY ? note_render_body(s->note, n->capabilities) : strdup("");
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        if (!summary || !body)
                return -ENOMEM;
        int r = sd_bus_message_new_method_call(n->bus, &m, n->owner, SERVER_PATH, SERVER, "Notify");
        if (r >= 0)
                r = sd_bus_message_append(m, "susss", _("Runbooks"), s->id, s->note->icon, summary, body);
        if (r >= 0)
                r = append_actions(m, n, s->note);
        if (r >= 0)
                r = append_hints(m, s->note);
        if (r >= 0)
                r = sd_bus_message_append(m, "i", s->note->transient ? EXPIRE_DEFAULT : EXPIRE_NEVER);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Notifier *n = userdata;
        n->retry = sd_event_source_disable_unref(n->retry);
        advance(n);
        return 0;
}

/* Something does not work with this server, or without one: wait, longer each time. */
static void retry_later(Notifier *n) {
        if (n->state == SERVER_READY && usec_sub(now_usec(CLOCK_MONOTONIC), n->ready_since) >= SETTLED)
                n->delay = RETRY_MIN;
        if (n->retry)
                return;
        int r = sd_event_add_time_relative(sd_bus_get_event(n->bus), &n->retry, CLOCK_MONOTONIC, n->delay, 0, on_retry, n);
        if (r < 0)
                (void) log_error_errno(r, _("Waiting for a notification server failed: %m"));
        n->delay = MIN(2 * n->delay, RETRY_MAX);
}

/* It may be the number of an agent before us that the server does not like. */
static void drop_adopted(Shown *s) {
        if (s->adopted)
                close_at_server(s->notifier, s->id);
        s->id = s->adopted ? 0 : s->id;
        s->adopted = false;
}

static void not_notified(Shown *s) {
        Notifier *n = s->notifier;
        drop_adopted(s);
        if (!s->orphan && !s->note->transient) {
                set_state(s, SHOWN_WAITING);
                retry_later(n);
                return;
        }
        if (s->id > 0)
                close_at_server(n, s->id);
        shown_free(s);
}

static int on_notified(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Shown *s = userdata;
        Notifier *n = s->notifier;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        uint32_t id = 0;
        s->slot = sd_bus_slot_unref(s->slot);
        if (e || sd_bus_message_read_basic(m, 'u', &id) < 0 || id == 0) {
                log_debug("The notification server refused a notification: %s", e ? strempty(e->message) : "the answer makes no sense");
                not_notified(s);
                return 1;
        }
        if (s->id != id)
                drop_adopted(s);
        s->id = id;
        s->invoked = s->again = s->adopted = false;
        set_state(s, s->stale ? SHOWN_WAITING : SHOWN_THERE);
        s->stale = false;
        if (s->orphan)
                close_at_server(n, id);
        if (s->orphan || s->note->transient)
                shown_free(s);
        advance(n);                                     /* there is room for one more */
        return 1;
}

static int send_note(Shown *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = new_notify(s, &m);
        if (r >= 0)
                r = sd_bus_call_async(s->notifier->bus, &s->slot, m, on_notified, s, UINT64_MAX);
        if (r >= 0)
                set_state(s, SHOWN_SENDING);
        return r;
}

/* New ones are put in at the head of the list, and the oldest is to be sent first. */
static void send_waiting(Notifier *n) {
        Shown *s = n->all;
        while (s && s->all_next)
                s = s->all_next;
        for (; s && n->n_sending < SENDING_MAX; s = s->all_prev) {
                if (s->state != SHOWN_WAITING)
                        continue;
                int r = send_note(s);
                if (r < 0) {
                        (void) log_warning_errno(r, _("A notification can't be sent: %m"));
                        retry_later(n);
                        return;
                }
        }
}

/* ---- the server ---- */

static int on_capabilities(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Notifier *n = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *name;
        n->capabilities_slot = sd_bus_slot_unref(n->capabilities_slot);
        int r = e ? -EIO : sd_bus_message_enter_container(m, 'a', "s");
        n->capabilities = 0;
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &name)) > 0)
                n->capabilities |= capability_from_string(name);
        char *owner = r >= 0 ? strdup(strempty(sd_bus_message_get_sender(m))) : NULL;
        if (!owner) {
                if (!n->said)
                        log_notice(_("There is no notification server that works (%s); waiting for one."), e ? strempty(e->message) : "");
                n->said = true;
                n->state = SERVER_AWAY;
                retry_later(n);
                return 1;
        }
        free(n->owner);
        n->owner = owner;
        n->state = SERVER_READY;
        n->ready_since = now_usec(CLOCK_MONOTONIC);
        n->said = false;
        advance(n);
        return 1;
}

static void ask(Notifier *n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(n->bus, &m, SERVER, SERVER_PATH, SERVER, "GetCapabilities");
        if (r >= 0)
                r = sd_bus_call_async(n->bus, &n->capabilities_slot, m, on_capabilities, n, CAPABILITIES_TIMEOUT);
        if (r < 0) {
                (void) log_warning_errno(r, _("The notification server can't be asked: %m"));
                retry_later(n);
        } else
                n->state = SERVER_ASKED;
}

static bool anything_waits(Notifier *n) {
        LIST_FOREACH(all, s, n->all)
                if (s->state == SHOWN_WAITING)
                        return true;
        return false;
}

static void advance(Notifier *n) {
        if (n->closing || n->retry || !anything_waits(n))
                return;
        switch (n->state) {
        case SERVER_AWAY:
                ask(n);
                break;
        case SERVER_ASKED:
                break;
        case SERVER_READY:
                send_waiting(n);
                break;
        }
}

/* What the old server showed is gone from the screen, and its numbers mean nothing to the next. */
static void forget_server(Notifier *n) {
        n->owner = (free(n->owner), NULL);
        n->capabilities_slot = sd_bus_slot_unref(n->capabilities_slot);
        kept_done(&n->left);
        keep(n);
        LIST_FOREACH(all, s, n->all) {
                s->slot = sd_bus_slot_unref(s->slot);
                s->id = 0;
                s->stale = s->invoked = s->again = s->adopted = false;
                if (s->orphan || (s->note->transient && s->state == SHOWN_SENDING))
                        shown_free(s);
                else
                        set_state(s, SHOWN_WAITING);
        }
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Notifier *n = userdata;
        const char *name, *owner;
        if (!streq_ptr(sd_bus_message_get_sender(m), DRIVER) || sd_bus_message_read(m, "sss", &name, NULL, &owner) < 0 ||
            !streq(name, SERVER))
                return 0;
        if (streq_ptr(n->owner, owner) || (!*owner && !n->owner && n->state == SERVER_ASKED))
                return 0;                               /* known; or it died while it started, which the answer says too */
        forget_server(n);
        if (*owner) {
                n->retry = sd_event_source_disable_unref(n->retry);
                n->owner = strdup(owner);
                n->state = SERVER_AWAY;
                advance(n);
        } else {
                retry_later(n);
                n->state = SERVER_AWAY;
        }
        return 0;
}

/* ---- what the server tells ---- */

static Shown *find_id(Notifier *n, uint32_t id) {
        LIST_FOREACH(all, s, n->all)
                if (id > 0 && s->id == id && !s->orphan)
                        return s;
        return NULL;
}

/* What is on its way to that place may ask something else than what he has read there: then he presses once more. */
static void on_invoked(Notifier *n, Shown *s, const char *key) {
        _cleanup_free_ char *token = TAKE_PTR(s->token);
        if (s->state != SHOWN_THERE && s->state != SHOWN_CLOSED)
                return;
        s->invoked = true;
        Action action = action_from_string(key);
        for (size_t i = 0; i < s->note->n_buttons; i++)
                if (s->note->buttons[i] == action && !n->closing) {
                        n->ops->invoked(n->userdata, s, action, token);
                        return;
                }
}

static void on_closed(Shown *s) {
        if (s->state != SHOWN_THERE)
                return;
        set_state(s, SHOWN_CLOSED);
        if (s->again)
                shown_repeat(s);
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Notifier *n = userdata;
        const char *text;
        uint32_t id, reason;
        if (!n->owner || !streq_ptr(sd_bus_message_get_sender(m), n->owner))
                return 0;
        if (sd_bus_message_is_signal(m, SERVER, "ActionInvoked") && sd_bus_message_read(m, "us", &id, &text) >= 0) {
                Shown *s = find_id(n, id);
                if (s)
                        on_invoked(n, s, text);
        } else if (sd_bus_message_is_signal(m, SERVER, "NotificationClosed") && sd_bus_message_read(m, "uu", &id, &reason) >= 0) {
                Shown *s = find_id(n, id);
                if (s)
                        on_closed(s);
        } else if (sd_bus_message_is_signal(m, SERVER, "ActivationToken") && sd_bus_message_read(m, "us", &id, &text) >= 0) {
                Shown *s = find_id(n, id);
                if (s && strlen(text) <= TOKEN_MAX) {
                        free(s->token);
                        s->token = strdup(text);
                }
        }
        return 0;
}

/* ---- what an agent before us has left ---- */

/* It counts only while the server is there that it was left with; nobody is started for it. */
static int take_left(Notifier *n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *owner;
        int r = kept_read(n->directory, n->file, &n->left);
        if (r >= 0)
                r = sd_bus_call_method(n->bus, DRIVER, DRIVER_PATH, DRIVER, "GetNameOwner", NULL, &m, "s", SERVER);
        if (r >= 0)
                r = sd_bus_message_read_basic(m, 's', &owner);
        if (r >= 0 && !streq(owner, n->left.server))
                r = -ENXIO;
        if (r < 0) {
                kept_done(&n->left);
                return r;
        }
        n->owner = strdup(owner);
        return n->owner ? 0 : -ENOMEM;
}

static int open_file(Notifier *n, const char *name) {
        const char *directory = secure_getenv("XDG_RUNTIME_DIR");
        sd_id128_t id;
        if (!directory || *directory != '/')
                return 0;
        int r = sd_bus_get_bus_id(n->bus, &id);
        if (r < 0)
                return r;
        n->directory = strdup(directory);
        n->file = xasprintf("%s-" SD_ID128_FORMAT_STR ".json", name, SD_ID128_FORMAT_VAL(id));
        if (!n->directory || !n->file)
                return -ENOMEM;
        r = sd_event_add_defer(sd_bus_get_event(n->bus), &n->keep, on_keep, n);
        if (r >= 0)
                r = sd_event_source_set_enabled(n->keep, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = take_left(n);
        if (r < 0 && r != -ENOENT) {
                (void) log_debug_errno(r, "Nothing is taken over from %s/%s: %m", n->directory, n->file);
                keep(n);
        }
        return r == -ENOMEM ? r : 0;
}

void notifier_close_left(Notifier *n, bool (*wanted)(void *userdata, const char *key), void *userdata) {
        for (size_t i = n->left.n; i-- > 0;) {
                KeptNote *k = &n->left.notes[i];
                if (wanted && wanted(userdata, k->key))
                        continue;
                close_at_server(n, k->id);
                free(k->key);
                *k = n->left.notes[--n->left.n];
                keep(n);
        }
}

int notifier_new(sd_bus *bus, const char *name, const NotifierOps *ops, void *userdata, Notifier **ret) {
        _cleanup_(notifier_freep) Notifier *n = calloc(1, sizeof(*n));
        if (!n)
                return -ENOMEM;
        *n = (Notifier) {.bus = sd_bus_ref(bus), .ops = ops, .userdata = userdata, .delay = RETRY_MIN};
        int r = sd_bus_add_match(bus, &n->owner_slot,
                                 "type='signal',sender='" DRIVER "',path='" DRIVER_PATH "',interface='" DRIVER
                                 "',member='NameOwnerChanged',arg0='" SERVER "'",
                                 on_owner_changed, n);
        if (r >= 0)
                r = sd_bus_add_match(bus, &n->signal_slot,
                                     "type='signal',sender='" SERVER "',path='" SERVER_PATH "',interface='" SERVER "'", on_signal, n);
        if (r >= 0)
                r = open_file(n, name);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(n);
        return 0;
}

/* What is on its way now has no number yet by which it could be closed: its answer is waited for, but no longer than nobody minds. */
static void wait_for_answers(Notifier *n) {
        usec_t until = usec_add(now_usec(CLOCK_MONOTONIC), LAST_WAIT);
        while (n->n_sending > 0) {
                int r = sd_bus_process(n->bus, NULL);
                usec_t left = usec_sub(until, now_usec(CLOCK_MONOTONIC));
                if (r == 0 && left > 0)
                        r = sd_bus_wait(n->bus, left);
                if (r < 0 || left == 0)
                        return;
        }
}

Notifier *notifier_free(Notifier *n) {
        if (!n)
                return NULL;
        n->closing = true;
        wait_for_answers(n);
        notifier_close_left(n, NULL, NULL);
        LIST_FOREACH(all, s, n->all) {
                if (s->id > 0 && s->state != SHOWN_CLOSED)
                        close_at_server(n, s->id);
                shown_free(s);
        }
        if (n->keep)
                (void) on_keep(NULL, n);                /* nothing is left, so the file goes */
        kept_done(&n->left);
        sd_event_source_disable_unref(n->keep);
        free(n->directory);
        free(n->file);
        sd_bus_slot_unref(n->owner_slot);
        sd_bus_slot_unref(n->signal_slot);
        sd_bus_slot_unref(n->capabilities_slot);
        sd_event_source_disable_unref(n->retry);
        sd_bus_unref(n->bus);
        free(n->owner);
        free(n);
        return NULL;
}

/* ---- notes from outside ---- */

int notifier_show(Notifier *n, Note *note, const char *key, void *userdata, Shown **ret) {
        Shown *s = calloc(1, sizeof(*s));
        char *copy = key ? strdup(key) : NULL;
        if (!s || (key && !copy)) {
                note_free(note);
                free(copy);
                free(s);
                return -ENOMEM;
        }
        uint32_t left = key ? kept_take(&n->left, key) : 0;
        *s = (Shown) {.notifier = n, .note = note, .userdata = userdata, .key = copy, .id = left, .adopted = left > 0};
        n->n_transient += note->transient;
        LIST_PREPEND(all, n->all, s);
        if (ret)
                *ret = s;
        advance(n);
        return 0;
}

int notifier_tell(Notifier *n, Note *note) {
        if (n->n_transient < TRANSIENT_MAX)
                return notifier_show(n, note, NULL, NULL, NULL);
        note_free(note);
        return 0;
}

void shown_update(Shown *s, Note *note, bool again) {
        note_free(s->note);
        s->note = note;
        if (s->state == SHOWN_SENDING)
                s->stale = true;
        else if (s->state == SHOWN_CLOSED && again)
                shown_repeat(s);
        else if (s->state == SHOWN_THERE)
                set_state(s, SHOWN_WAITING);
        advance(s->notifier);
}

void shown_repeat(Shown *s) {
        s->again = s->state == SHOWN_THERE && s->invoked;
        if (s->state != SHOWN_CLOSED)
                return;
        s->id = 0;
        set_state(s, SHOWN_WAITING);
        advance(s->notifier);
}

const Note *shown_note(const Shown *s) {
        return s->note;
}

void *shown_userdata(const Shown *s) {
        return s->userdata;
}

Shown *shown_withdraw(Shown *s) {
        if (!s)
                return NULL;
        if (s->state == SHOWN_SENDING) {
                s->orphan = true;
                s->userdata = NULL;
                keep(s->notifier);
                return NULL;
        }
        if (s->state == SHOWN_THERE || (s->state == SHOWN_WAITING && s->id > 0))
                close_at_server(s->notifier, s->id);
        return shown_free(s);
}
