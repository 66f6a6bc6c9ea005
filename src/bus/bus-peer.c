/* Who calls. The bus knows each caller's uid and groups from its socket; it is asked once per unique name, asynchronously, and the answer
 * is kept, for such names are never used again. Meanwhile the calls of that caller wait here and then go back into the connection's queue;
 * whatever else of it has arrived behind them goes back behind them, so that a caller's calls stay in order.
 *
 * Nothing that the caller says about itself counts, nor what /proc says about a pid that may belong to someone else by now. Where the bus
 * tells no groups (old ones don't) the caller is in none: the user database, which might tell, may be a server that does not answer. A
 * caller can't make us keep more than PEER_OPEN_MAX of its calls, nor more than PEERS_MAX callers. */
#include "bus-peer.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>

#include "bus-error.h"
#include "hashmap.h"
#include "i18n.h"
#include "list.h"
#include "log.h"
#include "time-util.h"

#define DRIVER "org.freedesktop.DBus"

typedef enum PeerState { PEER_ASKED, PEER_KNOWN, PEER_UNKNOWN } PeerState;

typedef struct Waiting Waiting;
struct Waiting {
        sd_bus_message *m;
        LIST_FIELDS(Waiting, queue);
};

struct Peer {
        Peers *peers;
        char *name;
        PeerState state;
        uid_t uid;
        gid_t *groups;
        size_t n_groups;
        char *user;                                     /* looked up when it is first wanted */
        Hashmap *names;                                 /* "u" or "g" and a name → is_yes or is_no */
        usec_t names_since;
        sd_bus_slot *slot;
        QUEUE_HEAD(Waiting) waiting;                    /* calls that are to come again, in this order */
        unsigned n_open;                                /* those, and calls that wait for their answer */
        LIST_FIELDS(Peer, recent);
};

struct Peers {
        sd_bus *connection;
        Hashmap *by_name;
        QUEUE_HEAD(Peer) recent;                        /* the one that called longest ago is first */
};

int peers_new(sd_bus *connection, Peers **ret) {
        _cleanup_(peers_freep) Peers *p = calloc(1, sizeof(*p));
        if (!p || !(p->by_name = hashmap_new()))
                return -ENOMEM;
        p->connection = connection;
        *ret = TAKE_PTR(p);
        return 0;
}

static void drop_waiting(Peer *p, Waiting *w) {
        QUEUE_REMOVE(queue, &p->waiting, w);
        sd_bus_message_unref(w->m);
        free(w);
        p->n_open--;
}

/* The call comes again, behind what the connection has read by now; where its queue is full it is answered with that. */
static void send_back(Peer *p, Waiting *w) {
        int r = sd_bus_enqueue_for_read(p->peers->connection, w->m);
        if (r >= 0)
                return;
        (void) sd_bus_reply_method_errno(w->m, r, NULL);
        drop_waiting(p, w);
}

static void forget_names(Peer *p) {
        const char *key;
        void *value;
        for (size_t i = 0; p->names && hashmap_iterate(p->names, &i, &key, &value);) {
                (void) hashmap_remove(p->names, key);
                free((char *) key);
        }
        p->names = hashmap_free(p->names);
}

static Peer *peer_free(Peer *p) {
        if (!p)
                return NULL;
        while (p->waiting.first)
                drop_waiting(p, p->waiting.first);
        if (p->peers) {
                (void) hashmap_remove(p->peers->by_name, p->name);
                QUEUE_REMOVE(recent, &p->peers->recent, p);
        }
        sd_bus_slot_unref(p->slot);
        free(p->name);
        free(p->groups);
        free(p->user);
        forget_names(p);
        free(p);
        return NULL;
}
DEFINE_CLEANUP(Peer *, peer_free)

Peers *peers_free(Peers *p) {
        if (!p)
                return NULL;
        while (p->recent.first)
                peer_free(p->recent.first);
        hashmap_free(p->by_name);
        free(p);
        return NULL;
}

static int make_room(Peers *p, sd_bus_error *error) {
        if (hashmap_size(p->by_name) < PEERS_MAX)
                return 0;
        LIST_FOREACH(recent, i, p->recent.first)
                if (i->n_open == 0) {
                        peer_free(i);
                        return 0;
                }
        return bus_limits_exceeded(error, _("Too many callers wait for an answer; try again later."));
}

/* ---- asking ---- */

static int read_groups(Peer *p, sd_bus_message *m) {
        const void *groups;
        size_t size;
        int r = sd_bus_message_read_array(m, 'u', &groups, &size);
        if (r < 0)
                return r;
        if (size / sizeof(uint32_t) > PEER_GROUPS_MAX)
                return -E2BIG;
        gid_t *copy = malloc(size ? size : 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, groups, size);
        free(p->groups);
        p->groups = copy;
        p->n_groups = size / sizeof(gid_t);
        return 0;
}
static_assert(sizeof(gid_t) == sizeof(uint32_t), "groups are copied as they come");

static int read_credential(Peer *p, sd_bus_message *m, bool *ret_has_uid) {
        const char *key, *contents;
        int r = sd_bus_message_read_basic(m, 's', &key);
        if (r >= 0)
                r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (streq(key, "UnixUserID") && streq(contents, "u")) {
                uint32_t uid;
                *ret_has_uid = true;
                r = sd_bus_message_read(m, "v", "u", &uid);
                p->uid = uid;
                return r;
        }
        if (streq(key, "UnixGroupIDs") && streq(contents, "au")) {
                if ((r = sd_bus_message_enter_container(m, 'v', "au")) < 0 || (r = read_groups(p, m)) < 0)
                        return r;
                return sd_bus_message_exit_container(m);
        }
        return sd_bus_message_skip(m, "v");
}

static int read_credentials(Peer *p, sd_bus_message *m) {
        bool has_uid = false;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_credential(p, m, &has_uid);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : has_uid ? 0 : -ENODATA;
}

/* Only the bus itself may say who someone is. */
static bool is_from_driver(sd_bus_message *m) {
        return streq_ptr(sd_bus_message_get_sender(m), DRIVER);
}

static int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        p->slot = sd_bus_slot_unref(p->slot);
        const sd_bus_error *e = sd_bus_message_get_error(m);
        int r = e ? -sd_bus_error_get_errno(e) : is_from_driver(m) ? read_credentials(p, m) : -EPERM;
        if (r < 0)
                log_debug_errno(r, "The bus does not say who %s is: %m", p->name);
        p->state = r < 0 ? PEER_UNKNOWN : PEER_KNOWN;
        LIST_FOREACH(queue, w, p->waiting.first)
                send_back(p, w);
        return 1;
}

static int ask(Peer *p) {
        return sd_bus_call_method_async(p->peers->connection, &p->slot, DRIVER, "/org/freedesktop/DBus", DRIVER, "GetConnectionCredentials",
                                        on_credentials, p, "s", p->name);
}

static int peer_new(Peers *peers, const char *name, Peer **ret, sd_bus_error *error) {
        int r = make_room(peers, error);
        if (r < 0)
                return r;
        _cleanup_(peer_freep) Peer *p = calloc(1, sizeof(*p));
        if (!p || !(p->name = strdup(name)))
                return -ENOMEM;
        r = hashmap_put(peers->by_name, p->name, p);
        if (r < 0)
                return r;
        p->peers = peers;
        QUEUE_PUSH(recent, &peers->recent, p);
        r = ask(p);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

/* ---- admitting ---- */

static int hold(Peer *p, sd_bus_message *m, Waiting **ret) {
        Waiting *w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->m = sd_bus_message_ref(m);
        QUEUE_PUSH(queue, &p->waiting, w);
        p->n_open++;
        *ret = w;
        return 0;
}

/* The caller is known. Others of its calls may still be on their way back in front of this one. */
static int admit(Peer *p, sd_bus_message *m, sd_bus_error *error) {
        Waiting *w = p->waiting.first;
        if (w && w->m == m)
                drop_waiting(p, w);
        else if (w) {
                int r = hold(p, m, &w);
                if (r >= 0)
                        send_back(p, w);
                return r;
        }
        if (p->state == PEER_UNKNOWN)
                return bus_access_denied(error, _("The bus does not say who you are."));
        return 1;
}

int peers_admit(Peers *peers, sd_bus_message *m, Peer **ret, sd_bus_error *error) {
        const char *name = sd_bus_message_get_sender(m);
        if (!name)
                return bus_access_denied(error, _("The message has no sender."));
        Peer *p = hashmap_get(peers->by_name, name);
        int r = p ? 0 : peer_new(peers, name, &p, error);
        if (r < 0)
                return r;
        Waiting *w = p->waiting.first;
        bool again = w && w->m == m;
        if (!again && p->n_open >= PEER_OPEN_MAX)
                return bus_limits_exceeded(error, _("%u of your calls wait for an answer; wait for one, then try again."), p->n_open);
        if (p->state == PEER_ASKED)
                return hold(p, m, &w);
        r = admit(p, m, error);
        if (r <= 0)
                return r;
        if (peers->recent.last != p) {
                QUEUE_REMOVE(recent, &peers->recent, p);
                QUEUE_PUSH(recent, &peers->recent, p);
        }
        *ret = p;
        return 1;
}

Peer *peers_find(Peers *p, sd_bus_message *m) {
        const char *name = sd_bus_message_get_sender(m);
        Peer *found = name && p ? hashmap_get(p->by_name, name) : NULL;
        return found && found->state == PEER_KNOWN ? found : NULL;
}

/* ---- what is known ---- */

uid_t peer_uid(const Peer *p) {
        return p->uid;
}

const char *peer_user(Peer *p) {
        if (p->user)
                return p->user;
        const struct passwd *u = getpwuid(p->uid);      /* one thread */
        if (u)
                p->user = strdup(u->pw_name);
        else if (asprintf(&p->user, "%u", (unsigned) p->uid) < 0)
                p->user = NULL;
        return p->user;
}

bool peer_in_group(const Peer *p, gid_t gid) {
        for (size_t i = 0; i < p->n_groups; i++)
                if (p->groups[i] == gid)
                        return true;
        return false;
}

/* The daemon has one thread: the plain look-ups, which have no limit on the length of an entry, are fine. */
static bool look_up(const Peer *p, const char *name, bool is_group) {
        const struct group *g = is_group ? getgrnam(name) : NULL;
        const struct passwd *u = is_group ? NULL : getpwnam(name);
        return g ? peer_in_group(p, g->gr_gid) : u && u->pw_uid == p->uid;
}

/* A list of requests looks the same few names up again and again, and each look may be a question to a server. */
bool peer_is(Peer *p, const char *name, bool is_group) {
        static char is_yes, is_no;
        usec_t now = now_usec(CLOCK_MONOTONIC);
        char key[LOGIN_NAME_MAX + 2];
        bool fits = snprintf(key, sizeof(key), "%c%s", is_group ? 'g' : 'u', name) < (int) sizeof(key);
        if (hashmap_size(p->names) >= PEER_NAMES_MAX || usec_sub(now, p->names_since) > PEER_NAMES_SEC * USEC_PER_SEC)
                forget_names(p);
        const char *known = fits ? hashmap_get(p->names, key) : NULL;
        if (known)
                return known == &is_yes;
        bool yes = look_up(p, name, is_group);
        if (!p->names) {
                p->names = hashmap_new();
                p->names_since = now;
        }
        char *copy = fits && p->names ? strdup(key) : NULL;
        if (copy && hashmap_put(p->names, copy, yes ? &is_yes : &is_no) < 0)
                free(copy);
        return yes;
}

void peer_hold(Peer *p) {
        p->n_open++;
}

void peer_release(Peer *p) {
        assert(p->n_open > 0);
        p->n_open--;
}
