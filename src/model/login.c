/* The note of a login that goes with what people do. It names no right: who somebody is is the uid, and what is known of a login can only
 * ever be a reason to refuse, or be read by people. */
#include "login.h"

int login_new(const char *session, uint32_t uid, const char *user, Login **ret) {
        _cleanup_(login_freep) Login *l = calloc(1, sizeof *l);

        if (!l)
                return -ENOMEM;
        l->uid = uid;
        if ((session && !(l->session = strdup(session))) || (user && !(l->user = strdup(user))))
                return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

Login *login_free(Login *l) {
        if (!l)
                return NULL;
        free(l->session);
        free(l->user);
        free(l);
        return NULL;
}

int login_copy(const Login *l, Login **ret) {
        if (l)
                return login_new(l->session, l->uid, l->user, ret);
        *ret = NULL;
        return 0;
}

bool login_session_is_valid(const char *s) {
        static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
        size_t n = s ? strnlen(s, LOGIN_SESSION_MAX + 1) : 0;

        return n > 0 && n <= LOGIN_SESSION_MAX && strspn(s, good) == n;
}

int login_encode(const Login *l, Json *to) {
        int r = 0;

        if (l && l->session)
                r = json_set_string(to, "session", l->session);
        if (r >= 0 && l)
                r = json_set_uint(to, "loginUid", l->uid);
        if (r >= 0 && l && l->user)
                r = json_set_string(to, "loginUser", l->user);
        return r;
}

static bool is_string_or_none(const Json *j) {
        return !j || json_type(j) == JSON_STRING;
}

/* A session or a name without the uid says nothing. */
static int read_members(const Json *session, const Json *uid, const Json *user, Login **ret) {
        if (!session && !uid && !user) {
                *ret = NULL;
                return 0;
        }
        if (!uid || json_type(uid) != JSON_INT || json_int(uid) < 0 || json_int(uid) >= UINT32_MAX || !is_string_or_none(session) ||
            !is_string_or_none(user) || (session && !login_session_is_valid(json_string(session))))
                return -EBADMSG;
        return login_new(json_string(session), (uint32_t) json_int(uid), json_string(user), ret);
}

int login_take(Json *from, Login **ret) {
        static const char *const members[] = { "session", "loginUid", "loginUser" };
        int r = read_members(json_get(from, members[0]), json_get(from, members[1]), json_get(from, members[2]), ret);

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(members); i++)
                json_del(from, members[i]);
        return r;
}
