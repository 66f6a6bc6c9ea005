/* What a request says in public, and who is named to answer it: its approvers, else the owners of the runbook. Where nobody is, those
 * answer who may operate (bus-authorize.c). Decisions about failures are for those who may operate; the owners are told of them. Being root is not
 * being an approver. Whether the one who started the run may (allowStarter), and whether someone has answered
 * already, is the model's business. */
#include "bus-convert.h"
#include "bus-private.h"

const RequestSpec *activity_request_spec(const Activity *a) {
        const Attempt *t = activity_attempt(a);
        int step = a->request && t ? activity_running_step(a) : -1; /* a decision has none */
        return step < 0 ? NULL : &t->def->steps[step].request;
}

const char *activity_request_kind(const Activity *a) {
        WaitingFor w = activity_waiting_for(a);
        return w == WAITING_NOTHING ? "" : waiting_for_to_string(w);
}

const char *activity_request_message(const Activity *a) {
        if (a->request && a->request->kind == WAITING_DECISION)
                return json_string(json_get(activity_error(a), "message"));
        return a->request ? a->request->message : NULL;
}

bool activity_takes_answer(const Activity *a) {
        return a->request && a->request->kind != WAITING_DECISION;
}

static Principals owners(const Activity *a) {
        return (Principals) {a->run->runbook->owners, a->run->runbook->n_owners};
}

/* Of the values without which an activity can't begin, the owners. */
Principals activity_approvers(const Activity *a) {
        const RequestSpec *spec = activity_request_spec(a);
        if (!activity_takes_answer(a))
                return (Principals) {};
        return spec && spec->n_approvers > 0 ? (Principals) {spec->approvers, spec->n_approvers} : owners(a);
}

int append_approvers(sd_bus_message *m, const Activity *a) {
        Principals approvers = activity_approvers(a);
        int r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && i < approvers.n; i++)
                r = bus_append_text(m, approvers.items[i].text);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static bool is_among(Peer *p, Principals who) {
        for (size_t i = 0; i < who.n; i++)
                if (peer_is(p, who.items[i].name, who.items[i].is_group))
                        return true;
        return false;
}

PeerRight peer_right(Peer *p, const Activity *a) {
        Principals approvers = activity_approvers(a);
        if (!a->request)
                return RIGHT_NONE;
        if (approvers.n == 0)
                return RIGHT_OF_OPERATORS;
        return is_among(p, approvers) ? RIGHT_OF_APPROVERS : RIGHT_NONE;
}

bool peer_is_told(Peer *p, const Activity *a) {
        return is_among(p, a->request && a->request->kind == WAITING_DECISION ? owners(a) : activity_approvers(a));
}
