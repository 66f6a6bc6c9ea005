/* What a request says in public, and who may answer it: the approvers that it names, else the owners of the runbook, else everybody who may
 * operate. Being root is not being an approver. Whether the one who started the run may (allowStarter), and whether someone has answered
 * already, is the model's business. */
#include <grp.h>
#include <pwd.h>

#include "bus-private.h"

const RequestSpec *activity_request_spec(const Activity *a) {
        int step = a->request ? activity_running_step(a) : -1;
        return step < 0 ? NULL : &a->def->steps[step].request;
}

const char *activity_request_kind(const Activity *a) {
        return a->request ? strempty(waiting_for_to_string(a->request->kind)) : "";
}

void activity_approvers(const Activity *a, const Principal **ret, size_t *ret_n) {
        const RequestSpec *spec = activity_request_spec(a);
        bool named = spec && spec->n_approvers > 0;
        *ret = named ? spec->approvers : spec ? a->run->runbook->owners : NULL;
        *ret_n = named ? spec->n_approvers : spec ? a->run->runbook->n_owners : 0;
}

int append_approvers(sd_bus_message *m, const Activity *a) {
        const Principal *approvers;
        size_t n;
        activity_approvers(a, &approvers, &n);
        int r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append_basic(m, 's', approvers[i].text);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The daemon has one thread: the plain look-ups, which have no limit on the length of an entry, are fine. */
static bool is_group_member(const Peer *p, const char *name) {
        const struct group *g = getgrnam(name);
        return g && peer_in_group(p, g->gr_gid);
}

static bool is_user(const Peer *p, const char *name) {
        const struct passwd *u = getpwnam(name);
        return u && u->pw_uid == peer_uid(p);
}

bool peer_may_answer(const Peer *p, const Activity *a) {
        const Principal *approvers;
        size_t n;
        activity_approvers(a, &approvers, &n);
        for (size_t i = 0; i < n; i++)
                if ((approvers[i].is_group ? is_group_member : is_user)(p, approvers[i].name))
                        return true;
        return n == 0;
}
