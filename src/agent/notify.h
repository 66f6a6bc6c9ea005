/* The notification server of the session, whichever it is: org.freedesktop.Notifications as a client. */
#pragma once

#include <systemd/sd-bus.h>

#include "text.h"

typedef struct Notifier Notifier;
typedef struct Shown Shown;                             /* a note on its way to the server, or there */

typedef struct NotifierOps {
        /* A button was pressed. `key`: the action's name; `token`: for the window that this may open, or NULL. */
        void (*invoked)(void *userdata, Shown *s, Action action, const char *token);
} NotifierOps;

/* name: of the file in the session's runtime directory in which it is kept what is on the screen. */
int notifier_new(sd_bus *bus, const char *name, const NotifierOps *ops, void *userdata, Notifier **ret);
Notifier *notifier_free(Notifier *n);                   /* takes off the screen what is there */
DEFINE_CLEANUP(Notifier *, notifier_free)

#define TRANSIENT_MAX 8u                                /* waiting for a server; further ones are dropped */

/* All take the note, also on failure. A note without a server waits for one; when the server restarts, it is shown again. The key says
 * which of our notifications it is: it takes the place of the one that an agent before us has left there under that key. */
int notifier_show(Notifier *n, Note *note, const char *key, void *userdata, Shown **ret);
int notifier_tell(Notifier *n, Note *note);             /* shown once, and not kept */
/* Another text in its place. again: also where the person has closed it. */
void shown_update(Shown *s, Note *note, bool again);
void shown_repeat(Shown *s);                            /* shown again if the person, or the server, has closed it */
const Note *shown_note(const Shown *s);
void *shown_userdata(const Shown *s);
Shown *shown_withdraw(Shown *s);                        /* takes it off the screen and frees it; returns NULL */

/* Takes off the screen what an agent before us has left there, but for what is still to be shown. wanted: NULL, nothing is. */
void notifier_close_left(Notifier *n, bool (*wanted)(void *userdata, const char *key), void *userdata);
