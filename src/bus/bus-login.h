/* Asks logind where a process belongs: to which session, and who has logged in to it. Without waiting for the answer. */
#pragma once

#include <systemd/sd-bus.h>

#include "login.h"

#define LOGIN_CHECKS_MAX 8u                             /* processes asked about at once: see bus-polkit.h; more wait for their turn */
#define LOGIN_SEC 2u                                    /* for all of one; what is not known by then is not known */

typedef struct Logins Logins;
typedef struct LoginCheck LoginCheck;
/* takes: whom it belongs to, without the user's name; NULL: it is not known. The check is over, and the callee's to free. */
typedef void (*LoginDone)(void *userdata, Login *takes);

int logins_new(sd_bus *connection, Logins **ret);
Logins *logins_free(Logins *l);                         /* after all its checks */
DEFINE_CLEANUP(Logins *, logins_free)
/* `done` is never called from here. */
int login_ask(Logins *l, uint32_t pid, LoginDone done, void *userdata, LoginCheck **ret);
LoginCheck *login_check_free(LoginCheck *c);
