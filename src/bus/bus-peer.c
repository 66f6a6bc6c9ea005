/* Who calls. The bus knows each caller's uid and groups from its socket; it is asked once per unique name, asynchronously, and the answer
 * is kept, for such names are never used again. Who does more than to read is asked about once more, of logind: from which login it calls.
 * Meanwhile the calls of that caller wait here and then go back into the connection's queue; whatever else of it has arrived behind them
 * goes back behind them, so that a caller's calls stay in order.
 *
 * Nothing that the caller says about itself counts, nor what /proc says about a pid that may belong to someone else by now. What logind
 * says of that pid may be wrong for the same reason, or missing: it is a note and a reason to refuse, and never says who a caller is.
 * Where the bus tells no groups (old ones don't) the caller is in none: the user database, which might tell, may be a server that does
 * not answer. A caller can't make us keep more than PEER_OPEN_MAX of its calls, nor more than PEERS_MAX callers. */
#include "bus-peer.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>

#include "bus-error.h"
#include "bus-login.h"
#include "fd-util.h"
#include "hashmap.h"
#include "i18n.h"
#include "list.h"
#include "log.h"
#include "time-util.h"
#include "utf8.h"

#define DRIVER "org.freedesktop.DBus"

typedef enum PeerState { PEER_ASKED, PEER_KNOWN, PEER_UNKNOWN } PeerState;

typedef struct Waiting Waiting;
struct Waiting {
        sd_bus_message *m;
        bool sent;                                      /* on its way back */
        LIST_FIELDS(Waiting, queue);
};

struct Peer {
        Peers *peers;
        char *name;
        PeerState state;
        uid_t uid;
        uint32_t pid;                                   /* that opened the connection; 0: not told */
        bool wants_login, login_asked;
        LoginCheck *check;
        Login *login;                                   /* NULL: not known */
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
        Logins *logins;                                 /* NULL: nobody is asked about logins */
        Hashmap *by_name;
        QUEUE_HEAD(Peer) recent;                        /* the one that called longest ago is first */
};

int peers_new(sd_bus *connection, bool with_logins, Peers **ret) {
        _cleanup_(peers_freep) Peers *p = calloc(1, sizeof(*p));
        if (!p || !(p->by_name = hashmap_new()))
                return -ENOMEM;
        p->connection = connection;
        int r = with_logins ? logins_new(connection, &p->logins) : 0;
        if (r >= 0)
                *ret = TAKE_PTR(p);
        return r;
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
        w->sent = true;
        if (r >= 0)
                return;
        (void) sd_bus_reply_method_errno(w->m, r, NULL);
        drop_waiting(p, w);
}

static void send_all_back(Peer *p) {
        LIST_FOREACH(queue, w, p->waiting.first)
                if (!w->sent)
                        send_back(p, w);
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
        login_check_free(p->check);
        login_free(p->login);
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
        logins_free(p->logins);
        hashmap_free(p->by_name);
        free(p);
        return NULL;
}

/* At most so many of those that wait for nothing, the one that called longest ago first. How many it were. */
static unsigned forget(Peers *p, unsigned n) {
        unsigned forgotten = 0;
        LIST_FOREACH(recent, i, p->recent.first) {
                if (forgotten == n)
                        break;
                if (i->n_open > 0)
                        continue;
                peer_free(i);
                forgotten++;
        }
        return forgotten;
}

void peers_forget(Peers *p) {
        (void) forget(p, UINT_MAX);
}

static int make_room(Peers *p, sd_bus_error *error) {
        if (hashmap_size(p->by_name) < PEERS_MAX || forget(p, 1) > 0)
                return 0;
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
        if (streq(key, "ProcessID") && streq(contents, "u"))
                return sd_bus_message_read(m, "v", "u", &p->pid);
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

static void on_login(void *userdata, Login *takes) {
        Peer *p = userdata;
        p->check = login_check_free(p->check);
        p->login = takes;
        p->state = PEER_KNOWN;
        send_all_back(p);
}

/* From here its calls wait again, unless there is nothing to ask. */
static void ask_login(Peer *p) {
        p->login_asked = true;
        int r = p->pid > 0 ? login_ask(p->peers->logins, p->pid, on_login, p, &p->check) : -ENODATA;
        if (r >= 0)
                p->state = PEER_ASKED;
        else
                log_debug_errno(r, "logind can't be asked about %s: %m", p->name);
}

static int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        p->slot = sd_bus_slot_unref(p->slot);
        const sd_bus_error *e = sd_bus_message_get_error(m);
        int r = e ? -sd_bus_error_get_errno(e) : is_from_driver(m) ? read_credentials(p, m) : -EPERM;
        if (r < 0)
                log_debug_errno(r, "The bus does not say who %s is: %m", p->name);
        p->state = r < 0 ? PEER_UNKNOWN : PEER_KNOWN;
        if (p->state == PEER_KNOWN && p->wants_login)
                ask_login(p);
        if (p->state != PEER_ASKED)
                send_all_back(p);
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

static Waiting *find_waiting(Peer *p, const sd_bus_message *m) {
        LIST_FOREACH(queue, w, p->waiting.first)
                if (w->m == m)
                        return w;
        return NULL;
}

/* The caller is known. Others of its calls may still be on their way back in front of this one. w: NULL: it has not waited yet. */
static int admit(Peer *p, sd_bus_message *m, Waiting *w, sd_bus_error *error) {
        if (p->waiting.first != w) {
                int r = w ? 0 : hold(p, m, &w);
                if (r >= 0)
                        send_back(p, w);
                return r;
        }
        if (w)
                drop_waiting(p, w);
        if (p->state == PEER_UNKNOWN)
                return bus_access_denied(error, _("The bus does not say who you are."));
        return 1;
}

/* Most calls come from who has called before. */
static Peer *find_peer(const Peers *p, const char *name) {
        Peer *last = p->recent.last;
        return last && streq(last->name, name) ? last : hashmap_get(p->by_name, name);
}

static int get_peer(Peers *peers, sd_bus_message *m, bool with_login, Peer **ret, sd_bus_error *error) {
        const char *name = sd_bus_message_get_sender(m);
        if (!name)
                return bus_access_denied(error, _("The message has no sender."));
        Peer *p = find_peer(peers, name);
        int r = p ? 0 : peer_new(peers, name, &p, error);
        if (r < 0)
                return r;
        p->wants_login = p->wants_login || (with_login && peers->logins);
        *ret = p;
        return 0;
}

int peers_admit(Peers *peers, sd_bus_message *m, bool with_login, Peer **ret, sd_bus_error *error) {
        Peer *p = NULL;
        int r = get_peer(peers, m, with_login, &p, error);
        if (r < 0)
                return r;
        Waiting *w = find_waiting(p, m);
        if (!w && p->n_open >= PEER_OPEN_MAX)
                return bus_limits_exceeded(error, _("%u of your calls wait for an answer; wait for one, then try again."), p->n_open);
        if (w)
                w->sent = false;
        if (p->state == PEER_KNOWN && p->wants_login && !p->login_asked)
                ask_login(p);
        if (p->state == PEER_ASKED)
                return w ? 0 : hold(p, m, &w);
        r = admit(p, m, w, error);
        if (r <= 0)
                return r;
        if (peers->recent.last != p) {
                QUEUE_REMOVE(recent, &peers->recent, p);
                QUEUE_PUSH(recent, &peers->recent, p);
        }
        *ret = p;
        return 1;
}

/* Also while only logind is still asked: an earlier call may wait for polkit meanwhile, and go on before. */
static bool is_known(const Peer *p) {
        return p->state == PEER_KNOWN || p->check;
}

Peer *peers_find(Peers *p, sd_bus_message *m) {
        const char *name = sd_bus_message_get_sender(m);
        Peer *found = name && p ? find_peer(p, name) : NULL;
        return found && is_known(found) ? found : NULL;
}

/* ---- what is known ---- */

uid_t peer_uid(const Peer *p) {
        return p->uid;
}

/* What the name service says may be anything, and goes into the history, which is text. */
static char *name_of(uid_t uid) {
        const struct passwd *u = getpwuid(uid);         /* one thread */
        return u ? utf8_make_valid(u->pw_name, strlen(u->pw_name), PEER_USER_MAX) : xasprintf("%u", (unsigned) uid);
}

const char *peer_user(Peer *p) {
        if (!p->user)
                p->user = name_of(p->uid);
        return p->user;
}

/* Nearly everybody acts as who has logged in. */
const Login *peer_login(Peer *p) {
        Login *l = p->login;
        if (l && !l->user) {
                const char *own = l->uid == p->uid ? peer_user(p) : NULL;
                l->user = own ? strdup(own) : name_of(l->uid);
        }
        return l;
}

const Login *peer_login_unnamed(const Peer *p) {
        return p->login;
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
