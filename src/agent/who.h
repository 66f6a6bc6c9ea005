/* Who this session belongs to, as approver lists see it. */
#pragma once

#include <sys/types.h>

#include "macros.h"

typedef struct Who {
        uid_t uid;
        gid_t *groups;
        size_t n_groups;
} Who;

int who_load(Who *ret);                                 /* of this process */
void who_done(Who *w);
/* Is this NAME, user:NAME or group:NAME the user, or a group that he is in? */
bool who_is(const Who *w, const char *principal);
