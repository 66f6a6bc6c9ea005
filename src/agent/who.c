/* Approver lists name users and groups. The daemon has the last word, by the credentials of the connection; this look only saves asking it
 * about the requests that are for others and that one may read all the same. The groups are those of the process, as
 * the daemon sees them, not those of the user database of this moment. */
#include "who.h"

#include <grp.h>
#include <pwd.h>

int who_load(Who *ret) {
        _cleanup_free_ gid_t *groups = NULL;
        int n = getgroups(0, NULL);
        if (n < 0)
                return -errno;
        groups = calloc((size_t) n + 1, sizeof(gid_t));
        if (!groups)
                return -ENOMEM;
        n = getgroups(n, groups);
        if (n < 0)
                return -errno;
        groups[n++] = getegid();
        *ret = (Who) {.uid = getuid(), .groups = TAKE_PTR(groups), .n_groups = (size_t) n};
        return 0;
}

void who_done(Who *w) {
        free(w->groups);
        *w = (Who) {};
}

static bool in_group(const Who *w, const char *name) {
        const struct group *g = getgrnam(name);
        for (size_t i = 0; g && i < w->n_groups; i++)
                if (w->groups[i] == g->gr_gid)
                        return true;
        return false;
}

bool who_is(const Who *w, const char *principal) {
        const char *group = startswith(principal, "group:"), *user = startswith(principal, "user:");
        if (group)
                return in_group(w, group);
        const struct passwd *u = getpwnam(user ? user : principal);
        return u && u->pw_uid == w->uid;
}
