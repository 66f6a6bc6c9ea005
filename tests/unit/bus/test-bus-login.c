/* What logind says of a process. The other side of a socket pair plays logind, a good one and others. */
#include "test.h"

#include <stdio.h>

#include "bus-login.h"
#include "pair.h"

#define MANAGER_LOGIND "org.freedesktop.login1.Manager"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define SESSION_PATH "/org/freedesktop/login1/session/_31"
#define USER_PATH "/org/freedesktop/login1/user/_1000"

typedef struct World {
        Pair pair;
        Logins *logins;
        sd_bus_message *asked[64];                      /* questions that wait to be answered by hand */
        size_t n_asked;
        LoginCheck *checks[64];
        Login *found[64];
        size_t n_over, n_found;
} World;

static World *w;

static int logind(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (!streq_ptr(sd_bus_message_get_destination(m), "org.freedesktop.login1"))
                return 0;
        assert_int_equal(sd_bus_message_get_auto_start(m), 0);
        assert_true(w->n_asked < ELEMENTSOF(w->asked));
        w->asked[w->n_asked++] = sd_bus_message_ref(m);
        return 1;
}

static int setup(void **state) {
        w = calloc(1, sizeof(*w));
        assert_non_null(w);
        pair_init(&w->pair);
        assert_true(sd_bus_add_filter(w->pair.theirs, NULL, logind, NULL) >= 0);
        assert_ok(logins_new(w->pair.ours, &w->logins));
        pair_settle(&w->pair);
        return 0;
}

static int teardown(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(w->checks); i++) {
                login_check_free(w->checks[i]);
                login_free(w->found[i]);
        }
        for (size_t i = 0; i < w->n_asked; i++)
                sd_bus_message_unref(w->asked[i]);
        logins_free(w->logins);
        pair_done(&w->pair);
        free(w);
        return 0;
}

static void done(void *userdata, Login *takes) {
        size_t i = (size_t) ((LoginCheck **) userdata - w->checks);
        w->checks[i] = login_check_free(w->checks[i]);
        w->found[i] = takes;
        w->n_over++;
        w->n_found += takes != NULL;
}

static void ask(size_t i) {
        assert_ok(login_ask(w->logins, (uint32_t) (100 + i), done, &w->checks[i], &w->checks[i]));
        pair_settle(&w->pair);
}

/* The oldest question, taken; it must be this. */
static sd_bus_message *question(const char *interface, const char *member) {
        assert_true(w->n_asked > 0);
        sd_bus_message *m = w->asked[0];
        memmove(w->asked, w->asked + 1, --w->n_asked * sizeof(w->asked[0]));
        assert_true(sd_bus_message_is_method_call(m, interface, member) > 0);
        return m;
}

static void answered(sd_bus_message *m, int r) {
        assert_true(r >= 0);
        sd_bus_message_unref(m);
        pair_settle(&w->pair);
}

static void answer_error(const char *interface, const char *member, const char *name) {
        sd_bus_message *m = question(interface, member);
        answered(m, sd_bus_reply_method_errorf(m, name, "no"));
}

static void answer_path(const char *member, const char *path) {
        sd_bus_message *m = question(MANAGER_LOGIND, member);
        answered(m, sd_bus_reply_method_return(m, "o", path));
}

static void answer_session(const char *id, uint32_t uid) {
        sd_bus_message *m = question(PROPERTIES, "GetAll");
        const char *interface;
        assert_string_equal(sd_bus_message_get_path(m), SESSION_PATH);
        assert_true(sd_bus_message_read(m, "s", &interface) >= 0);
        assert_string_equal(interface, "org.freedesktop.login1.Session");
        answered(m, sd_bus_reply_method_return(m, "a{sv}", 4, "Name", "s", "alice", "Id", "s", id, "Seat", "(so)", "", "/", "User", "(uo)", uid, "/u"));
}

static void assert_nothing(size_t n_over) {
        assert_int_equal(w->n_over, n_over);
        assert_int_equal(w->n_found, 0);
        assert_int_equal(w->n_asked, 0);
}

static void test_session(void **state) {
        ask(0);
        sd_bus_message *m = question(MANAGER_LOGIND, "GetSessionByPID");
        uint32_t pid;
        assert_true(sd_bus_message_read(m, "u", &pid) >= 0);
        assert_int_equal(pid, 100);
        assert_string_equal(sd_bus_message_get_path(m), "/org/freedesktop/login1");
        answered(m, sd_bus_reply_method_return(m, "o", SESSION_PATH));
        answer_session("c12", 1000);
        assert_int_equal(w->n_over, 1);
        assert_non_null(w->found[0]);
        assert_string_equal(w->found[0]->session, "c12");
        assert_int_equal(w->found[0]->uid, 1000);
        assert_null(w->found[0]->user);
}

/* What somebody's own service manager has started is in no session, but somebody's. */
static void test_in_no_session(void **state) {
        ask(0);
        answer_error(MANAGER_LOGIND, "GetSessionByPID", "org.freedesktop.login1.NoSessionForPID");
        answer_path("GetUserByPID", USER_PATH);
        sd_bus_message *m = question(PROPERTIES, "GetAll");
        assert_string_equal(sd_bus_message_get_path(m), USER_PATH);
        answered(m, sd_bus_reply_method_return(m, "a{sv}", 3, "Id", "s", "no session's", "UID", "u", 1000u, "GID", "u", 7u));
        assert_int_equal(w->n_over, 1);
        assert_non_null(w->found[0]);
        assert_null(w->found[0]->session);
        assert_int_equal(w->found[0]->uid, 1000);
        ask(1);
        answer_error(MANAGER_LOGIND, "GetSessionByPID", "org.freedesktop.login1.NoSessionForPID");
        answer_error(MANAGER_LOGIND, "GetUserByPID", "org.freedesktop.login1.NoUserForPID");
        assert_int_equal(w->n_over, 2);
        assert_null(w->found[1]);
        assert_int_equal(w->n_asked, 0);
}

static void test_errors(void **state) {
        ask(0);
        answer_error(MANAGER_LOGIND, "GetSessionByPID", SD_BUS_ERROR_SERVICE_UNKNOWN);
        assert_nothing(1);
        ask(1);
        answer_error(MANAGER_LOGIND, "GetSessionByPID", SD_BUS_ERROR_ACCESS_DENIED);
        assert_nothing(2);
        ask(2);
        answer_path("GetSessionByPID", SESSION_PATH);
        answer_error(PROPERTIES, "GetAll", SD_BUS_ERROR_UNKNOWN_OBJECT);
        assert_nothing(3);
        ask(3);
        answer_path("GetSessionByPID", SESSION_PATH);
        answer_error(PROPERTIES, "GetAll", "org.freedesktop.login1.NoSessionForPID"); /* is no reason to ask for a user */
        assert_nothing(4);
}

/* Wrong types, other paths, ids that are none, no uid. */
static void test_garbage(void **state) {
        char huge[LOGIN_SESSION_MAX + 2];
        sd_bus_message *m;
        size_t n = 0;
        memset(huge, 'x', sizeof(huge) - 1);
        huge[sizeof(huge) - 1] = 0;
        ask(n++);
        m = question(MANAGER_LOGIND, "GetSessionByPID");
        answered(m, sd_bus_reply_method_return(m, "s", SESSION_PATH));
        assert_nothing(n);
        ask(n++);
        m = question(MANAGER_LOGIND, "GetSessionByPID");
        answered(m, sd_bus_reply_method_return(m, NULL));
        assert_nothing(n);
        ask(n++);
        answer_path("GetSessionByPID", "/org/freedesktop/login1/user/_1000");
        assert_nothing(n);
        static const char *const ids[] = {"", "a b", "../1", "1\n", "\xc3\xbc"};
        for (size_t i = 0; i <= ELEMENTSOF(ids); i++) {
                ask(n++);
                answer_path("GetSessionByPID", SESSION_PATH);
                answer_session(i < ELEMENTSOF(ids) ? ids[i] : huge, 1000);
                assert_nothing(n);
        }
        ask(n++);
        answer_path("GetSessionByPID", SESSION_PATH);
        answer_session("1", UINT32_MAX);
        assert_nothing(n);
        static const char *const types[] = {"(us)", "u", "s", "(xo)", "a{sv}"};
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                ask(n++);
                answer_path("GetSessionByPID", SESSION_PATH);
                m = question(PROPERTIES, "GetAll");
                assert_true(sd_bus_message_new_method_return(m, &reply) >= 0 && sd_bus_message_open_container(reply, 'a', "{sv}") >= 0);
                assert_true(sd_bus_message_append(reply, "{sv}", "Id", "s", "1") >= 0);
                assert_true((i == 0   ? sd_bus_message_append(reply, "{sv}", "User", types[i], 1000u, "/")
                             : i == 1 ? sd_bus_message_append(reply, "{sv}", "User", types[i], 1000u)
                             : i == 2 ? sd_bus_message_append(reply, "{sv}", "User", types[i], "1000")
                             : i == 3 ? sd_bus_message_append(reply, "{sv}", "User", types[i], (int64_t) -1, "/")
                                      : sd_bus_message_append(reply, "{sv}", "User", types[i], 0)) >= 0);
                assert_true(sd_bus_message_close_container(reply) >= 0);
                answered(m, sd_bus_send(w->pair.theirs, reply, NULL));
                assert_nothing(n);
        }
        ask(n++);
        answer_path("GetSessionByPID", SESSION_PATH);
        m = question(PROPERTIES, "GetAll");
        answered(m, sd_bus_reply_method_return(m, "a{sv}", 1, "Id", "s", "1"));
        assert_nothing(n);
        ask(n++);
        answer_path("GetSessionByPID", SESSION_PATH);
        m = question(PROPERTIES, "GetAll");
        answered(m, sd_bus_reply_method_return(m, "a{sv}", 1, "User", "(uo)", 1000u, "/"));
        assert_nothing(n);
        ask(n++);
        answer_path("GetSessionByPID", SESSION_PATH);
        m = question(PROPERTIES, "GetAll");
        answered(m, sd_bus_reply_method_return(m, "as", 2, "Id", "User"));
        assert_nothing(n);
}

static void test_longest_id(void **state) {
        char id[LOGIN_SESSION_MAX + 1];
        memset(id, 'x', sizeof(id) - 1);
        id[sizeof(id) - 1] = 0;
        ask(0);
        answer_path("GetSessionByPID", SESSION_PATH);
        answer_session(id, 0);
        assert_non_null(w->found[0]);
        assert_string_equal(w->found[0]->session, id);
        assert_int_equal(w->found[0]->uid, 0);
}

/* More than may be asked at once wait for their turn, in order. */
static void test_turns(void **state) {
        for (size_t i = 0; i < LOGIN_CHECKS_MAX + 3; i++)
                ask(i);
        assert_int_equal(w->n_asked, LOGIN_CHECKS_MAX);
        answer_error(MANAGER_LOGIND, "GetSessionByPID", SD_BUS_ERROR_FAILED);
        assert_int_equal(w->n_asked, LOGIN_CHECKS_MAX);
        assert_int_equal(w->n_over, 1);
        w->checks[3] = login_check_free(w->checks[3]);  /* nobody wants to know any more: one that is asked … */
        w->checks[LOGIN_CHECKS_MAX + 2] = login_check_free(w->checks[LOGIN_CHECKS_MAX + 2]); /* … and one that waits */
        pair_settle(&w->pair);
        assert_int_equal(w->n_asked, LOGIN_CHECKS_MAX + 1);
        while (w->n_asked > 0)
                answer_error(MANAGER_LOGIND, "GetSessionByPID", SD_BUS_ERROR_FAILED);
        assert_int_equal(w->n_over, LOGIN_CHECKS_MAX + 1); /* neither of these two */
        ask(0);
        answer_path("GetSessionByPID", SESSION_PATH);
        answer_session("1", 1);
        assert_int_equal(w->n_found, 1);
}

/* No answer in time, as sd-bus says it: those that wait for their turn are not made to wait as long. */
static void test_hangs(void **state) {
        for (size_t i = 0; i < 2 * LOGIN_CHECKS_MAX; i++)
                ask(i);
        assert_int_equal(w->n_over, 0);
        answer_error(MANAGER_LOGIND, "GetSessionByPID", SD_BUS_ERROR_NO_REPLY);
        assert_int_equal(w->n_over, 1 + LOGIN_CHECKS_MAX);
        assert_int_equal(w->n_asked, LOGIN_CHECKS_MAX - 1);
        assert_int_equal(w->n_found, 0);
        ask(0);                                         /* the next is asked again */
        assert_int_equal(w->n_asked, LOGIN_CHECKS_MAX);
}

/* Each question knows how long it may take. */
static void test_has_an_end(void **state) {
        uint64_t when, now;
        struct timespec t;
        ask(0);
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
        now = (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
        assert_true(sd_bus_get_timeout(w->pair.ours, &when) > 0);
        assert_true(when <= now + LOGIN_SEC * 1000000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
static const struct CMUnitTest tests[] = {
        TEST(test_session), TEST(test_in_no_session), TEST(test_errors), TEST(test_garbage),    TEST(test_longest_id),
        TEST(test_turns),   TEST(test_hangs),         TEST(test_has_an_end),
};
TEST_MAIN(tests)
