/* Who calls. The other side of a socket pair plays the callers, the bus's driver and logind. */
#include "test.h"

#include <dlfcn.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "bus-peer.h"
#include "fd-util.h"
#include "hashmap.h"
#include "pair.h"
#include "utf8.h"

#define CALLS_MAX 4096

typedef struct World {
        Pair pair;
        Peers *peers;
        uint32_t uid;                                   /* what the driver says; UINT32_MAX: an error */
        size_t n_groups;                                /* more than two: so many */
        const char *driver;                             /* the name under which it answers */
        bool driver_is_slow;
        sd_bus_message *asked[16];                      /* questions that a slow driver has not answered */
        size_t n_asked, n_questions;
        unsigned admitted[CALLS_MAX];                   /* the numbers of calls, in the order in which they came through */
        size_t n_admitted, n_refused;
        uid_t last_uid;
        bool last_in_group;
        char last_error[128];
        bool hold_admitted;                             /* they stay open */
        unsigned login_every;                           /* each so manyth call wants to know from which login it comes; 0: none */
        uint32_t pid, login_uid;                        /* pid 0: the driver does not tell it; login_uid UINT32_MAX: logind knows of no session */
        bool logind_is_slow;
        sd_bus_message *login_asked[16];
        size_t n_login_asked, n_login_questions;        /* for a session; what is asked about it afterwards is answered at once */
        const Login *last_login;
} World;

static World *w;
static const char *odd_name;                            /* what the name service says of everybody */

struct passwd *getpwuid(uid_t uid) {
        static struct passwd odd;
        struct passwd *(*real)(uid_t uid);
        *(void **) &real = dlsym(RTLD_NEXT, "getpwuid");
        if (!odd_name)
                return real(uid);
        odd = (struct passwd) {.pw_name = (char *) odd_name, .pw_uid = uid};
        return &odd;
}

static void append_many_groups(sd_bus_message *reply) {
        uint32_t *groups = calloc(w->n_groups, sizeof(uint32_t));
        assert_non_null(groups);
        assert_true(sd_bus_message_open_container(reply, 'a', "{sv}") >= 0);
        assert_true(sd_bus_message_append(reply, "{sv}", "UnixUserID", "u", w->uid) >= 0);
        assert_true(sd_bus_message_open_container(reply, 'e', "sv") >= 0 && sd_bus_message_append(reply, "s", "UnixGroupIDs") >= 0);
        assert_true(sd_bus_message_open_container(reply, 'v', "au") >= 0);
        assert_true(sd_bus_message_append_array(reply, 'u', groups, w->n_groups * sizeof(uint32_t)) >= 0);
        for (unsigned i = 0; i < 3; i++)
                assert_true(sd_bus_message_close_container(reply) >= 0);
        free(groups);
}

static void answer(sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        if (w->uid == UINT32_MAX)
                assert_true(sd_bus_message_new_method_errorf(m, &reply, "org.freedesktop.DBus.Error.NameHasNoOwner", "gone") >= 0);
        else if (w->n_groups > 2) {
                assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
                append_many_groups(reply);
        } else {
                assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
                assert_true(sd_bus_message_append(reply, "a{sv}", 4, w->pid ? "ProcessID" : "NoProcessID", "u", w->pid, "UnixUserID", "u", w->uid, "UnixGroupIDs", "au",
                                                  2, 100u, 200u, "Other", "a{sv}", 1, "x", "ay", 0) >= 0);
        }
        assert_true(sd_bus_message_set_sender(reply, w->driver) >= 0);
        assert_true(sd_bus_send(w->pair.theirs, reply, NULL) >= 0);
}

static void answer_login(sd_bus_message *m) {
        if (w->login_uid == UINT32_MAX)
                assert_true(sd_bus_reply_method_errorf(m, "org.freedesktop.login1.Other", "no") >= 0);
        else
                assert_true(sd_bus_reply_method_return(m, "o", "/org/freedesktop/login1/session/_37") >= 0);
}

static int logind(sd_bus_message *m) {
        if (sd_bus_message_is_method_call(m, "org.freedesktop.login1.Manager", "GetSessionByPID") > 0) {
                uint32_t pid;
                assert_true(sd_bus_message_read(m, "u", &pid) >= 0);
                assert_int_equal(pid, w->pid);
                w->n_login_questions++;
                if (w->logind_is_slow) {
                        assert_true(w->n_login_asked < ELEMENTSOF(w->login_asked));
                        w->login_asked[w->n_login_asked++] = sd_bus_message_ref(m);
                } else
                        answer_login(m);
                return 1;
        }
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "GetAll") <= 0)
                return 0;
        assert_true(sd_bus_reply_method_return(m, "a{sv}", 2, "Id", "s", "7", "User", "(uo)", w->login_uid, "/user") >= 0);
        return 1;
}

static int driver(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (streq_ptr(sd_bus_message_get_destination(m), "org.freedesktop.login1"))
                return logind(m);
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "GetConnectionCredentials") <= 0)
                return 0;
        w->n_questions++;
        if (w->driver_is_slow) {
                assert_true(w->n_asked < ELEMENTSOF(w->asked));
                w->asked[w->n_asked++] = sd_bus_message_ref(m);
        } else
                answer(m);
        return 1;
}

static int incoming(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        uint32_t number;
        Peer *p = NULL;
        if (sd_bus_message_is_method_call(m, "a.b", "Call") <= 0)
                return 0;
        assert_true(sd_bus_message_rewind(m, true) >= 0 && sd_bus_message_read(m, "u", &number) >= 0);
        int r = peers_admit(w->peers, m, w->login_every > 0 && number % w->login_every == 0, &p, &e);
        if (r < 0) {
                w->n_refused++;
                (void) snprintf(w->last_error, sizeof(w->last_error), "%s", e.name);
        } else if (r > 0) {
                assert_ptr_equal(peers_find(w->peers, m), p);
                w->admitted[w->n_admitted++] = number;
                w->last_uid = peer_uid(p);
                const Login *unnamed = peer_login_unnamed(p);
                w->last_login = peer_login(p);
                assert_ptr_equal(unnamed, w->last_login);
                w->last_in_group = peer_in_group(p, 100) && peer_in_group(p, 200) && !peer_in_group(p, 300);
                if (w->hold_admitted)
                        peer_hold(p);
        }
        return 1;
}

static int setup(void **state) {
        w = calloc(1, sizeof(*w));
        assert_non_null(w);
        w->uid = 1000;
        w->pid = 4711;
        w->login_uid = 0;
        w->driver = "org.freedesktop.DBus";
        pair_init(&w->pair);
        assert_true(sd_bus_add_filter(w->pair.theirs, NULL, driver, NULL) >= 0);
        assert_true(sd_bus_add_filter(w->pair.ours, NULL, incoming, NULL) >= 0);
        assert_ok(peers_new(w->pair.ours, true, &w->peers));
        pair_settle(&w->pair);
        return 0;
}

static int teardown(void **state) {
        for (size_t i = 0; i < w->n_asked; i++)
                sd_bus_message_unref(w->asked[i]);
        for (size_t i = 0; i < w->n_login_asked; i++)
                sd_bus_message_unref(w->login_asked[i]);
        peers_free(w->peers);
        pair_done(&w->pair);
        free(w);
        return 0;
}

static void call(const char *sender, uint32_t number) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        assert_true(sd_bus_message_new_method_call(w->pair.theirs, &m, "a.b", "/", "a.b", "Call") >= 0);
        assert_true(sd_bus_message_append(m, "u", number) >= 0);
        assert_true(sd_bus_message_set_expect_reply(m, false) >= 0);
        if (sender)
                assert_true(sd_bus_message_set_sender(m, sender) >= 0);
        assert_true(sd_bus_send(w->pair.theirs, m, NULL) >= 0);
}

static void answer_all(void) {
        for (size_t i = 0; i < w->n_asked; i++) {
                answer(w->asked[i]);
                sd_bus_message_unref(w->asked[i]);
        }
        w->n_asked = 0;
        w->driver_is_slow = false;
}

static void answer_logins(void) {
        for (size_t i = 0; i < w->n_login_asked; i++) {
                answer_login(w->login_asked[i]);
                sd_bus_message_unref(w->login_asked[i]);
        }
        w->n_login_asked = 0;
        w->logind_is_slow = false;
}

static void test_asked_once(void **state) {
        for (uint32_t i = 0; i < 10; i++) {
                call(":1.5", i);
                pair_settle(&w->pair);
        }
        assert_int_equal(w->n_admitted, 10);
        assert_int_equal(w->n_questions, 1);
        assert_int_equal(w->last_uid, 1000);
        assert_true(w->last_in_group);
        call(":1.6", 10);
        pair_settle(&w->pair);
        assert_int_equal(w->n_questions, 2);
}

/* Calls that wait, calls that come while those are on their way back, and later ones: all in order. */
static void test_order(void **state) {
        w->driver_is_slow = true;
        for (uint32_t i = 0; i < 50; i++)
                call(":1.5", i);
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, 0);
        assert_int_equal(w->n_questions, 1);
        answer_all();
        for (uint32_t i = 50; i < 100; i++)
                call(":1.5", i);
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, 100);
        for (uint32_t i = 0; i < 100; i++)
                assert_int_equal(w->admitted[i], i);
        assert_int_equal(w->n_refused, 0);
}

static void test_too_many_calls(void **state) {
        w->driver_is_slow = true;
        for (uint32_t i = 0; i < PEER_OPEN_MAX + 10; i++)
                call(":1.5", i);
        pair_settle(&w->pair);
        assert_int_equal(w->n_refused, 10);
        assert_string_equal(w->last_error, SD_BUS_ERROR_LIMITS_EXCEEDED);
        answer_all();
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, PEER_OPEN_MAX);
        call(":1.5", 1);
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, PEER_OPEN_MAX + 1);
}

static void test_too_many_unanswered(void **state) {
        w->hold_admitted = true;
        for (uint32_t i = 0; i < PEER_OPEN_MAX + 10; i++) {
                call(":1.5", i);
                pair_settle(&w->pair);
        }
        assert_int_equal(w->n_admitted, PEER_OPEN_MAX);
        assert_int_equal(w->n_refused, 10);
        call(":1.6", 0);                                /* another caller is not concerned */
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, PEER_OPEN_MAX + 1);
}

/* The one that called longest ago is forgotten, and asked for again; whoever has open calls is not. */
static void test_too_many_callers(void **state) {
        char name[32];
        for (uint32_t i = 0; i < PEERS_MAX + 5; i++) {
                (void) snprintf(name, sizeof(name), ":1.%u", i);
                call(name, i);
                pair_settle(&w->pair);
                call(":1.0", i);
                pair_settle(&w->pair);
        }
        assert_int_equal(w->n_refused, 0);
        assert_int_equal(w->n_questions, PEERS_MAX + 5);
        call(":1.0", 0);
        pair_settle(&w->pair);
        assert_int_equal(w->n_questions, PEERS_MAX + 5);
        call(":1.1", 0);
        pair_settle(&w->pair);
        assert_int_equal(w->n_questions, PEERS_MAX + 6);
}

static void test_only_busy_callers(void **state) {
        char name[32];
        w->hold_admitted = true;
        for (uint32_t i = 0; i < PEERS_MAX; i++) {
                (void) snprintf(name, sizeof(name), ":1.%u", i);
                call(name, i);
                pair_settle(&w->pair);
        }
        call(":2.1", 0);
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, PEERS_MAX);
        assert_int_equal(w->n_refused, 1);
        assert_string_equal(w->last_error, SD_BUS_ERROR_LIMITS_EXCEEDED);
}

/* Whoever waits for nothing is forgotten, and asked about anew; whoever waits for the bus or for an answer is not. */
static void test_forget(void **state) {
        call(":1.5", 0);
        pair_settle(&w->pair);
        w->hold_admitted = true;
        call(":1.6", 1);
        pair_settle(&w->pair);
        w->driver_is_slow = true;
        call(":1.7", 2);
        pair_settle(&w->pair);
        assert_int_equal(w->n_questions, 3);
        peers_forget(w->peers);
        answer_all();
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, 3);
        w->driver_is_slow = false;
        call(":1.6", 3);
        call(":1.7", 4);
        pair_settle(&w->pair);
        assert_int_equal(w->n_questions, 3);
        call(":1.5", 5);
        pair_settle(&w->pair);
        assert_int_equal(w->n_questions, 4);
        assert_int_equal(w->n_admitted, 6);
        assert_int_equal(w->n_refused, 0);
}

static void test_unknown_to_the_bus(void **state) {
        w->uid = UINT32_MAX;
        call(":1.5", 0);
        call(":1.5", 1);
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, 0);
        assert_int_equal(w->n_refused, 2);
        assert_string_equal(w->last_error, SD_BUS_ERROR_ACCESS_DENIED);
}

/* Only the bus's own word counts. */
static void test_forged_answer(void **state) {
        w->driver = ":1.99";
        w->uid = 0;
        call(":1.5", 0);
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, 0);
        assert_int_equal(w->n_refused, 1);
        assert_string_equal(w->last_error, SD_BUS_ERROR_ACCESS_DENIED);
}

static void test_too_many_groups(void **state) {
        w->n_groups = PEER_GROUPS_MAX;
        call(":1.5", 0);
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, 1);
        w->n_groups = PEER_GROUPS_MAX + 1;
        call(":1.6", 0);
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, 1);
        assert_int_equal(w->n_refused, 1);
}

static void test_no_sender(void **state) {
        call(NULL, 0);
        pair_settle(&w->pair);
        assert_int_equal(w->n_refused, 1);
        assert_string_equal(w->last_error, SD_BUS_ERROR_ACCESS_DENIED);
}

static void new_call(const char *sender, sd_bus_message **ret) {
        assert_true(sd_bus_message_new_method_call(w->pair.theirs, ret, "a.b", "/", "a.b", "Call") >= 0);
        assert_true(sd_bus_message_set_sender(*ret, sender) >= 0);
}

static void test_user_name(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        w->uid = 0;
        call(":1.5", 0);
        pair_settle(&w->pair);
        assert_true(sd_bus_message_new_method_call(w->pair.theirs, &m, "a.b", "/", "a.b", "Call") >= 0 &&
                    sd_bus_message_set_sender(m, ":1.5") >= 0);
        assert_string_equal(peer_user(peers_find(w->peers, m)), "root");
        w->uid = 4000000000;
        call(":1.6", 0);
        pair_settle(&w->pair);
        m = sd_bus_message_unref(m);
        assert_true(sd_bus_message_new_method_call(w->pair.theirs, &m, "a.b", "/", "a.b", "Call") >= 0 &&
                    sd_bus_message_set_sender(m, ":1.6") >= 0);
        assert_string_equal(peer_user(peers_find(w->peers, m)), "4000000000");
        m = sd_bus_message_unref(m);
        assert_true(sd_bus_message_new_method_call(w->pair.theirs, &m, "a.b", "/", "a.b", "Call") >= 0 &&
                    sd_bus_message_set_sender(m, ":1.7") >= 0);
        assert_null(peers_find(w->peers, m));
}

/* Names of users and groups, and that more of them than are remembered mean the same. */
static void test_names(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char name[600];
        w->uid = 0;
        call(":1.5", 0);
        pair_settle(&w->pair);
        assert_true(sd_bus_message_new_method_call(w->pair.theirs, &m, "a.b", "/", "a.b", "Call") >= 0 &&
                    sd_bus_message_set_sender(m, ":1.5") >= 0);
        Peer *p = peers_find(w->peers, m);
        const struct group *g = getgrgid(100);
        for (uint32_t i = 0; i < 2 * PEER_NAMES_MAX; i++) {
                (void) snprintf(name, sizeof(name), "no-such-%u", i);
                assert_false(peer_is(p, name, i % 2));
                assert_true(peer_is(p, "root", false));
                assert_false(peer_is(p, "root", true)); /* the bus did not say so */
                assert_true(!g || peer_is(p, g->gr_name, true));
        }
        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = 0;
        assert_false(peer_is(p, name, false));
}

/* Who only reads does not pay; who does more does once. */
static void test_login_asked_once(void **state) {
        for (uint32_t i = 0; i < 3; i++)
                call(":1.5", i);
        pair_settle(&w->pair);
        assert_int_equal(w->n_login_questions, 0);
        assert_null(w->last_login);
        w->login_every = 1;
        for (uint32_t i = 3; i < 6; i++) {
                call(":1.5", i);
                pair_settle(&w->pair);
                assert_non_null(w->last_login);
        }
        assert_int_equal(w->n_login_questions, 1);
        assert_int_equal(w->n_admitted, 6);
        assert_string_equal(w->last_login->session, "7");
        assert_int_equal(w->last_login->uid, 0);
        assert_string_equal(w->last_login->user, "root");
        call(":1.6", 6);
        pair_settle(&w->pair);
        assert_int_equal(w->n_login_questions, 2);
        assert_int_equal(w->n_questions, 2);
}

/* A login that is not known refuses nobody, and is not asked for again. */
static void test_login_not_known(void **state) {
        w->login_every = 1;
        w->login_uid = UINT32_MAX;
        call(":1.5", 0);
        pair_settle(&w->pair);
        call(":1.5", 1);
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, 2);
        assert_int_equal(w->n_login_questions, 1);
        assert_null(w->last_login);
        w->pid = 0;                                     /* the bus does not tell it: there is nothing to ask */
        call(":1.6", 2);
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, 3);
        assert_int_equal(w->n_login_questions, 1);
}

static void test_login_not_wanted_at_all(void **state) {
        peers_free(w->peers);
        assert_ok(peers_new(w->pair.ours, false, &w->peers));
        w->login_every = 1;
        call(":1.5", 0);
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, 1);
        assert_int_equal(w->n_login_questions, 0);
        assert_null(w->last_login);
}

static void test_login_name(void **state) {
        w->login_every = 1;
        w->login_uid = 1000;                            /* the caller's own */
        call(":1.5", 0);
        pair_settle(&w->pair);
        assert_non_null(w->last_login->user);
        w->login_uid = 4000000000;
        call(":1.6", 0);
        pair_settle(&w->pair);
        assert_string_equal(w->last_login->user, "4000000000");
}

/* Names go into the history, which is JSON: one that is no text would make it unreadable. */
static void test_odd_names(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char longest[100001];
        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = 0;
        const char *const names[] = {"J\xf6rg", longest};
        w->login_every = 1;
        w->login_uid = 1001;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char *caller = xasprintf(":1.%zu", i + 5);
                odd_name = names[i];
                call(caller, (uint32_t) i);
                pair_settle(&w->pair);
                odd_name = NULL;
                new_call(caller, &m);
                const char *both[] = {w->last_login->user, peer_user(peers_find(w->peers, m))};
                for (size_t k = 0; k < ELEMENTSOF(both); k++) {
                        assert_true(utf8_is_valid(both[k], strlen(both[k])));
                        assert_in_range(strlen(both[k]), 1, PEER_USER_MAX);
                }
                m = sd_bus_message_unref(m);
                free(caller);
        }
}

/* Its uid doesn't become unknown when logind is asked: others of its calls may have been admitted before, and wait for polkit. */
static void test_known_while_logind_is_asked(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        w->login_every = 2;
        w->logind_is_slow = true;
        new_call(":1.5", &m);
        call(":1.5", 1);
        pair_settle(&w->pair);
        Peer *p = peers_find(w->peers, m);
        assert_non_null(p);
        call(":1.5", 2);
        pair_settle(&w->pair);
        assert_int_equal(w->n_login_asked, 1);
        assert_int_equal(w->n_admitted, 1);
        assert_ptr_equal(peers_find(w->peers, m), p);
        assert_int_equal(peer_uid(p), 1000);
}

static void assert_in_order(size_t n) {
        assert_int_equal(w->n_refused, 0);
        assert_int_equal(w->n_admitted, n);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(w->admitted[i], i);
}

/* The first that wants to know comes while others are on their way back, or wait already; whatever is asked meanwhile, all come in order. */
static void test_login_order(void **state) {
        for (unsigned slow = 0; slow < 4; slow++)
                for (uint32_t first = 1; first < 60; first++) {
                        char name[32];
                        (void) snprintf(name, sizeof(name), ":%u.%u", slow + 1, first);
                        w->n_admitted = 0;
                        w->login_every = 100 + first;   /* of 100 to 199 one wants to know … */
                        w->driver_is_slow = slow & 1;
                        w->logind_is_slow = slow & 2;
                        for (uint32_t i = 0; i < 30; i++)
                                call(name, 100 + i);
                        if (slow & 1) {
                                pair_settle(&w->pair);
                                answer_all();
                        }
                        for (uint32_t i = 30; i < 60; i++)
                                call(name, 100 + i);
                        if (slow & 2) {
                                pair_settle(&w->pair);
                                assert_int_equal(w->n_login_asked, 1);
                                answer_logins();
                                for (uint32_t i = 60; i < 70; i++)
                                        call(name, 100 + i);
                        }
                        pair_settle(&w->pair);
                        for (size_t i = 0; i < w->n_admitted; i++)
                                w->admitted[i] -= 100;
                        assert_in_order(slow & 2 ? 70 : 60);
                }
        assert_int_equal(w->n_login_questions, 4 * 59);
}

static void test_login_too_many_calls(void **state) {
        w->login_every = 1;
        w->logind_is_slow = true;
        for (uint32_t i = 0; i < PEER_OPEN_MAX + 10; i++)
                call(":1.5", i);
        pair_settle(&w->pair);
        assert_int_equal(w->n_refused, 10);
        assert_int_equal(w->n_login_questions, 1);
        answer_logins();
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, PEER_OPEN_MAX);
}

/* The connection goes while logind is being asked. */
static void test_login_asked_at_the_end(void **state) {
        w->login_every = 1;
        w->logind_is_slow = true;
        for (uint32_t i = 0; i < 12; i++) {
                char name[32];
                (void) snprintf(name, sizeof(name), ":1.%u", i);
                call(name, i);
        }
        pair_settle(&w->pair);
        assert_int_equal(w->n_admitted, 0);
        assert_true(w->n_login_questions > 0);
        w->peers = peers_free(w->peers);
        answer_logins();
        sd_bus_message *m;
        for (int i = 0; i < 100; i++) {
                (void) sd_bus_process(w->pair.theirs, NULL);
                assert_true(sd_bus_process(w->pair.ours, &m) >= 0);
                sd_bus_message_unref(m);
        }
        assert_int_equal(w->n_admitted, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
static const struct CMUnitTest tests[] = {
        TEST(test_asked_once),         TEST(test_order),
        TEST(test_too_many_calls),     TEST(test_too_many_unanswered),
        TEST(test_too_many_callers),   TEST(test_only_busy_callers),
        TEST(test_forget),
        TEST(test_unknown_to_the_bus), TEST(test_forged_answer),
        TEST(test_too_many_groups),
        TEST(test_no_sender),          TEST(test_user_name),
        TEST(test_names),              TEST(test_login_asked_once),
        TEST(test_login_not_known),    TEST(test_login_not_wanted_at_all),
        TEST(test_login_name),         TEST(test_login_order),
        TEST(test_login_too_many_calls), TEST(test_login_asked_at_the_end),
        TEST(test_odd_names),          TEST(test_known_while_logind_is_asked),
};
TEST_MAIN(tests)
