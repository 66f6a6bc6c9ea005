/* Who calls: uid and groups of each unique name, asked from the bus once; and from which login, asked from logind once. */
#pragma once

#include <systemd/sd-bus.h>

#include "login.h"
#include "macros.h"

#define PEERS_MAX 1024u                                 /* callers remembered; those with open calls are never forgotten */
#define PEER_OPEN_MAX 256u                              /* calls of one caller that wait for an answer */
#define PEER_GROUPS_MAX 65536u
#define PEER_NAMES_MAX 256u                             /* names whose meaning for the caller is remembered … */
#define PEER_NAMES_SEC 5u                               /* … for so long */
#define PEER_USER_MAX 256u                              /* bytes of the name of a user */

typedef struct Peers Peers;
typedef struct Peer Peer;

int peers_new(sd_bus *connection, bool with_logins, Peers **ret);
Peers *peers_free(Peers *p);
DEFINE_CLEANUP(Peers *, peers_free)
/* Those who wait for nothing are asked about anew when they call again; most are gone, for nobody tells of that. */
void peers_forget(Peers *p);
/* Admits a method call: 1 and its caller; 0: the call waits for the bus to say who it is, and with_login for logind to say from which
 * login, and will come again; negative: refused, *error is set. */
int peers_admit(Peers *p, sd_bus_message *m, bool with_login, Peer **ret, sd_bus_error *error);
/* The caller of a message that was admitted, or NULL. */
Peer *peers_find(Peers *p, sd_bus_message *m);

uid_t peer_uid(const Peer *p);
const char *peer_user(Peer *p);                         /* its name, or the number as text; NULL: out of memory */
const Login *peer_login(Peer *p);                       /* NULL: not known */
const Login *peer_login_unnamed(const Peer *p);         /* the same, but no name is looked up for it */
bool peer_in_group(const Peer *p, gid_t gid);
/* Is it the user of this name, or a member of the group of this name? */
bool peer_is(Peer *p, const char *name, bool is_group);
void peer_hold(Peer *p);                                /* a call of it waits for its answer */
void peer_release(Peer *p);
