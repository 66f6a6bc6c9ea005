/* Questions to logind about a process: its session, and where it is in none (what a user's own service manager has started is not) the user
 * whose it is; then who that is. logind is not started for this, and not waited for: whatever is not the answer that is wanted, and in
 * time, means that nothing is known. A reply can only come from whom the bus has given the question to; what stands in it is looked at all
 * the same.
 *
 * A question waits for its turn where too many are open. Where logind hangs, those that wait are not asked any more: it would hang for
 * each. Nothing that is learnt here may grant anything: the process is the one that had opened the connection, and its number may be
 * another's by the time that logind looks. */
#include "bus-login.h"

#include <stdio.h>

#include "list.h"
#include "log.h"
#include "time-util.h"

#define LOGIND "org.freedesktop.login1"
#define LOGIND_PATH "/org/freedesktop/login1"

struct LoginCheck {
        Logins *logins;
        uint32_t pid;
        size_t source;                                  /* which is being asked … */
        bool has_object;                                /* … and about its object, not for it */
        bool waits;                                     /* for its turn */
        usec_t until;                                   /* CLOCK_MONOTONIC */
        sd_bus_slot *slot;                              /* NULL: nothing is asked now */
        LoginDone done;
        void *userdata;
        LIST_FIELDS(LoginCheck, queue);
};

struct Logins {
        sd_bus *connection;
        QUEUE_HEAD(LoginCheck) waiting;
        unsigned n_open;
};

int logins_new(sd_bus *connection, Logins **ret) {
        Logins *l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->connection = connection;
        *ret = l;
        return 0;
}

Logins *logins_free(Logins *l) {
        assert(!l || (!l->waiting.first && l->n_open == 0));
        free(l);
        return NULL;
}

/* ---- what is asked, and what of the answer is wanted ---- */

typedef struct Found {
        char session[LOGIN_SESSION_MAX + 1];            /* "": none */
        uint32_t uid;                                   /* UINT32_MAX: not found */
} Found;

static int read_session(sd_bus_message *m, Found *f) {
        const char *id;
        int r = sd_bus_message_read(m, "v", "s", &id);
        if (r < 0)
                return r;
        if (!login_session_is_valid(id))
                return -EBADMSG;
        (void) snprintf(f->session, sizeof(f->session), "%s", id);
        return 0;
}

static int read_owner(sd_bus_message *m, Found *f) {
        const char *path;
        return sd_bus_message_read(m, "v", "(uo)", &f->uid, &path);
}

static int read_uid(sd_bus_message *m, Found *f) {
        return sd_bus_message_read(m, "v", "u", &f->uid);
}

typedef struct Property {
        const char *name, *contents;
        int (*read)(sd_bus_message *m, Found *f);
} Property;

typedef struct Source {
        const char *method, *prefix, *interface;        /* from a pid to a path, which begins so, and what is looked at there */
        Property properties[2];
} Source;

static const Source sources[] = {
        {"GetSessionByPID", LOGIND_PATH "/session/", LOGIND ".Session", {{"Id", "s", read_session}, {"User", "(uo)", read_owner}}},
        {"GetUserByPID", LOGIND_PATH "/user/", LOGIND ".User", {{"UID", "u", read_uid}}},
};

static const Property *find_property(const Source *s, const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(s->properties) && s->properties[i].name; i++)
                if (streq(s->properties[i].name, name))
                        return &s->properties[i];
        return NULL;
}

static int read_property(const Source *s, sd_bus_message *m, Found *f) {
        const char *name, *contents;
        int r = sd_bus_message_read_basic(m, 's', &name);
        if (r >= 0)
                r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        const Property *p = find_property(s, name);
        if (!p)
                return sd_bus_message_skip(m, "v");
        return streq(contents, p->contents) ? p->read(m, f) : -EBADMSG;
}

static int read_properties(const Source *s, sd_bus_message *m, Found *f) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_property(s, m, f);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static int read_login(const Source *s, sd_bus_message *m, Login **ret) {
        Found f = {.uid = UINT32_MAX};
        int r = read_properties(s, m, &f);
        if (r < 0)
                return r;
        bool wants_session = s->properties[0].read == read_session;
        if (f.uid == UINT32_MAX || (wants_session && !*f.session))
                return -EBADMSG;
        return login_new(wants_session ? f.session : NULL, f.uid, NULL, ret);
}

/* ---- asking ---- */

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* path: of the object that is asked for its properties; NULL: it is asked for. */
static int send(LoginCheck *c, const char *path) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *connection = c->logins->connection;
        const Source *s = &sources[c->source];
        usec_t now = now_usec(CLOCK_MONOTONIC);
        if (now >= c->until)
                return -ETIMEDOUT;
        int r = path ? sd_bus_message_new_method_call(connection, &m, LOGIND, path, "org.freedesktop.DBus.Properties", "GetAll")
                     : sd_bus_message_new_method_call(connection, &m, LOGIND, LOGIND_PATH, LOGIND ".Manager", s->method);
        if (r >= 0)
                r = path ? sd_bus_message_append(m, "s", s->interface) : sd_bus_message_append(m, "u", c->pid);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_call_async(connection, &c->slot, m, on_answer, c, c->until - now);
        if (r < 0)
                return r;
        c->has_object = path;
        c->logins->n_open++;
        return 0;
}

static void landed(LoginCheck *c) {
        assert(c->logins->n_open > 0);
        c->logins->n_open--;
        c->slot = sd_bus_slot_unref(c->slot);
}

static LoginCheck *first_waiting(Logins *l) {
        LoginCheck *c = l->waiting.first;
        if (c) {
                QUEUE_REMOVE(queue, &l->waiting, c);
                c->waits = false;
        }
        return c;
}

static void send_next(Logins *l) {
        while (l->waiting.first && l->n_open < LOGIN_CHECKS_MAX) {
                LoginCheck *c = first_waiting(l);
                if (send(c, NULL) < 0)
                        c->done(c->userdata, NULL);
        }
}

static void give_up_waiting(Logins *l) {
        for (LoginCheck *c = first_waiting(l); c; c = first_waiting(l))
                c->done(c->userdata, NULL);
}

/* ---- answers ---- */

/* 1: something else has been asked. */
static int ask_on(LoginCheck *c, sd_bus_message *m) {
        const char *path;
        if (sd_bus_message_get_error(m)) {
                bool in_none = !c->has_object && sd_bus_message_is_method_error(m, LOGIND ".NoSessionForPID") > 0;
                if (!in_none || c->source + 1 >= ELEMENTSOF(sources))
                        return -sd_bus_message_get_errno(m);
                c->source++;
                path = NULL;
        } else {
                int r = sd_bus_message_read(m, "o", &path);
                if (r < 0)
                        return r;
                if (!startswith(path, sources[c->source].prefix))
                        return -EBADMSG;
        }
        int r = send(c, path);
        return r < 0 ? r : 1;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        LoginCheck *c = userdata;
        Logins *l = c->logins;
        Login *login = NULL;
        bool hangs = sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) > 0;
        landed(c);
        int r = c->has_object && !sd_bus_message_get_error(m) ? read_login(&sources[c->source], m, &login) : ask_on(c, m);
        if (r > 0 && !login)
                return 1;
        if (r < 0)
                log_debug_errno(r, "Nothing is known of a login for process %u: %m", c->pid);
        c->done(c->userdata, login);
        if (hangs)
                give_up_waiting(l);
        send_next(l);
        return 1;
}

int login_ask(Logins *l, uint32_t pid, LoginDone done, void *userdata, LoginCheck **ret) {
        LoginCheck *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (LoginCheck) {.logins = l, .pid = pid, .done = done, .userdata = userdata};
        c->until = now_usec(CLOCK_MONOTONIC) + LOGIN_SEC * USEC_PER_SEC;
        if (l->n_open >= LOGIN_CHECKS_MAX) {
                c->waits = true;
                QUEUE_PUSH(queue, &l->waiting, c);
        } else {
                int r = send(c, NULL);
                if (r < 0) {
                        free(c);
                        return r;
                }
        }
        *ret = c;
        return 0;
}

LoginCheck *login_check_free(LoginCheck *c) {
        if (!c)
                return NULL;
        Logins *l = c->logins;
        bool open = c->slot;
        if (c->waits)
                QUEUE_REMOVE(queue, &l->waiting, c);
        if (open)
                landed(c);
        free(c);
        if (open)
                send_next(l);
        return NULL;
}
