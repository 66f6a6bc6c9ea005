/* Which notifications are on the screen, in a file of the runtime directory: for the agent that comes after one that was killed. */
#pragma once

#include "macros.h"

#define KEPT_MAX 128u                                   /* notifications; more than are ever shown at a time */
#define KEPT_KEY_MAX 256u                               /* bytes */
#define KEPT_SIZE_MAX (64u * 1024u)                     /* bytes of the file */

typedef struct KeptNote {
        char *key;                                      /* which notification this is for us */
        uint32_t id;                                    /* and for the server */
} KeptNote;

typedef struct Kept {
        char *server;                                   /* unique name on the session's bus; nobody else ever gets it there */
        KeptNote *notes;
        size_t n, allocated;
} Kept;
void kept_done(Kept *k);
#define _cleanup_kept_ _cleanup_(kept_done)

int kept_add(Kept *k, const char *key, uint32_t id);    /* -E2BIG: the key is too long; -ENOSPC: there are too many */
uint32_t kept_take(Kept *k, const char *key);           /* its number, which is forgotten then; 0: there is none */

/* Both want a directory that belongs to us, and to which nobody else may write: -EPERM otherwise. */
int kept_read(const char *directory, const char *name, Kept *ret);      /* -EBADMSG: something else stands in it */
int kept_write(const char *directory, const char *name, const Kept *k); /* without notifications the file goes */
