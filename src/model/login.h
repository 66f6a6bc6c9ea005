/* From where somebody acts: their session, and who has logged in to it, which behind su and sudo is not the user who acts. */
#pragma once

#include "json.h"
#include "macros.h"

#define LOGIN_SESSION_MAX 64u                           /* characters of a session's id */

typedef struct Login {
        char *session;                                  /* NULL: in none, or not known which */
        uint32_t uid;                                   /* who has logged in */
        char *user;                                     /* that user's name when it was looked up; NULL: it was not */
} Login;

int login_new(const char *session, uint32_t uid, const char *user, Login **ret);
Login *login_free(Login *l);
DEFINE_CLEANUP(Login *, login_free)
int login_copy(const Login *l, Login **ret);            /* NULL: of nothing, nothing */
/* 1 to 64 of A-Z a-z 0-9 _ and -. */
bool login_session_is_valid(const char *s);

/* As members of an object: session, loginUid, loginUser; those that are known. */
int login_encode(const Login *l, Json *to);
/* Takes them out again. *ret is NULL where they aren't there. -EBADMSG: they can't be so. */
int login_take(Json *from, Login **ret);
