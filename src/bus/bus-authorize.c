/* Who may call what. The table below has a line for every method that anybody can reach, and every call of a method passes bus_authorize(),
 * before sd-bus looks for the method's handler: what has no line is refused, so a method can't be forgotten. A line says which permission
 * (an action of polkit) the method needs and, where that is not all, which rule decides: the lists of approvers and owners, who has
 * started the run, an override.
 *
 * A rule looks at the state of this moment and says yes, no, or what polkit has to be asked first. Then the message waits here, with
 * names only and no pointer into a run. With the answer it goes back into the connection's queue and everything begins anew: the rule
 * looks at the state as it is then, and the handler's object may be gone. So no answer is ever used for another state than the one
 * that it is acted upon. polkit is asked first without people; only where it wants one, and the caller allows it, a person is asked.
 *
 * Root passes every question to polkit, as it would by polkit itself, and so does whoever owns the bus in user mode. Neither is an
 * approver by that. */
#include "bus-convert.h"
#include "bus-private.h"
#include "i18n.h"
#include "log.h"

#define LIST_RUNBOOKS_MAX 64u                           /* for which polkit is asked before a list */

/* ---- the table ---- */

typedef struct AuthCase AuthCase;
/* 1: yes; 0: polkit is to be asked what the case says now; negative: no, with an error. */
typedef int (*Rule)(AuthCase *k);

typedef struct MethodRule {
        const char *interface, *member;                 /* member NULL: all of the interface */
        Permission permission;
        Rule rule;                                      /* NULL: the permission is all */
} MethodRule;

static int rule_start_run(AuthCase *k);
static int rule_get_runbook(AuthCase *k);
static int rule_list_requests(AuthCase *k);
static int rule_read(AuthCase *k);
static int rule_cancel(AuthCase *k);
static int rule_answer(AuthCase *k);
static int rule_request(AuthCase *k);

static const MethodRule method_rules[] = {
        {"org.freedesktop.DBus.Introspectable", NULL, PERMISSION_NOT_NEEDED, NULL},
        {"org.freedesktop.DBus.Peer", NULL, PERMISSION_NOT_NEEDED, NULL},
        {"org.freedesktop.DBus.Properties", "Get", PERMISSION_NOT_NEEDED, NULL},        /* for every local user; and a getter can't wait */
        {"org.freedesktop.DBus.Properties", "GetAll", PERMISSION_NOT_NEEDED, NULL},
        {"org.freedesktop.DBus.Properties", "Set", PERMISSION_OWNER, NULL},             /* the log's level; of ours none can be set */
        {BUS_MANAGER, "StartRun", PERMISSION_START, rule_start_run},
        {BUS_MANAGER, "ListRunbooks", PERMISSION_EVERYBODY, NULL},
        {BUS_MANAGER, "GetRunbook", PERMISSION_READ, rule_get_runbook},
        {BUS_MANAGER, "ListRuns", PERMISSION_EVERYBODY, NULL},
        {BUS_MANAGER, "GetRun", PERMISSION_EVERYBODY, NULL},
        {BUS_MANAGER, "ListRequests", PERMISSION_EVERYBODY, rule_list_requests},
        {BUS_MANAGER, "Verify", PERMISSION_EVERYBODY, NULL},
        {BUS_MANAGER, "Reload", PERMISSION_MANAGE, NULL},
        {BUS_RUN, "StartNow", PERMISSION_START, NULL},
        {BUS_RUN, "Reschedule", PERMISSION_START, NULL},
        {BUS_RUN, "Rerun", PERMISSION_START, NULL},
        {BUS_RUN, "Cancel", PERMISSION_OPERATE, rule_cancel},
        {BUS_RUN, "Pause", PERMISSION_OPERATE, NULL},
        {BUS_RUN, "Resume", PERMISSION_OPERATE, NULL},
        {BUS_RUN, "SetInputs", PERMISSION_OPERATE, NULL},
        {BUS_RUN, "Replay", PERMISSION_OPERATE, NULL},
        {BUS_RUN, "GetInputs", PERMISSION_READ, rule_read},
        {BUS_RUN, "ListActivities", PERMISSION_EVERYBODY, NULL},
        {BUS_RUN, "GetHistory", PERMISSION_READ, rule_read},
        {BUS_RUN, "GetDefinition", PERMISSION_READ, rule_read},
        {BUS_RUN, "Describe", PERMISSION_READ, rule_read},
        {BUS_ACTIVITY, "Retry", PERMISSION_OPERATE, NULL},
        {BUS_ACTIVITY, "Ignore", PERMISSION_OPERATE, NULL},
        {BUS_ACTIVITY, "Abort", PERMISSION_OPERATE, NULL},
        {BUS_ACTIVITY, "Approve", PERMISSION_ANSWER, rule_answer},
        {BUS_ACTIVITY, "Reject", PERMISSION_ANSWER, rule_answer},
        {BUS_ACTIVITY, "Provide", PERMISSION_ANSWER, rule_answer},
        {BUS_ACTIVITY, "GetRequest", PERMISSION_READ, rule_request},
        {BUS_ACTIVITY, "Describe", PERMISSION_READ, rule_read},
        {BUS_ACTIVITY, "OpenLog", PERMISSION_READ, rule_read},
        {BUS_ACTIVITY, "ReadLog", PERMISSION_READ, rule_read},
};

static const MethodRule *find_rule(const char *interface, const char *member) {
        for (size_t i = 0; interface && member && i < ELEMENTSOF(method_rules); i++)
                if (streq(method_rules[i].interface, interface) && (!method_rules[i].member || streq(method_rules[i].member, member)))
                        return &method_rules[i];
        return NULL;
}

static const struct {
        const char *action;
        const char *message;                            /* for who is asked for a password */
        const char *message_of_run;                     /* the same, where it is about one run; NULL: no other */
} permissions[_PERMISSION_MAX] = {
        [PERMISSION_START] = {"org.runbookd1.start", N_("Authentication is required to start a run of “$(runbook)”")},
        [PERMISSION_OPERATE] = {"org.runbookd1.operate", N_("Authentication is required to operate a run of “$(runbook)”")},
        [PERMISSION_ANSWER] = {"org.runbookd1.answer", N_("Authentication is required to answer a request of “$(runbook)”")},
        [PERMISSION_READ] = {"org.runbookd1.read", N_("Authentication is required to read the definition of “$(runbook)”"),
                             N_("Authentication is required to read inputs, errors, history and logs of run $(run) of “$(runbook)”")},
        [PERMISSION_MANAGE] = {"org.runbookd1.manage", N_("Authentication is required to manage runbookd")},
};

const char *bus_method_permission(const char *interface, const char *member) {
        static const char *const others[_PERMISSION_MAX] = {
                [PERMISSION_NOT_NEEDED] = "everybody",
                [PERMISSION_EVERYBODY] = "everybody",
                [PERMISSION_OWNER] = "root",
        };
        const MethodRule *t = find_rule(interface, member);
        return !t ? NULL : permissions[t->permission].action ? permissions[t->permission].action : others[t->permission];
}

/* ---- a call that waits for polkit ---- */

typedef struct Result {
        Permission permission;
        char *runbook;                                  /* NULL: none in particular */
        bool prompted;
        PolkitAnswer answer;
        char *text;
} Result;

struct AuthCall {
        Bus *bus;
        sd_bus_message *m;
        Peer *peer;                                     /* held */
        PolkitCheck *check;                             /* NULL: answered, and on its way back */
        Result *results;                                /* the last one is being asked for while there is a check */
        size_t n_results, n_results_allocated;
        char **runbooks;                                /* of a list; owned, terminated by NULL */
        sd_bus_slot *leaving;
        LIST_FIELDS(AuthCall, queue);
};

static void results_free(AuthCall *c) {
        for (size_t i = 0; i < c->n_results; i++) {
                free(c->results[i].runbook);
                free(c->results[i].text);
        }
        free(c->results);
}

static AuthCall *auth_call_free(AuthCall *c) {
        if (!c)
                return NULL;
        polkit_check_free(c->check);
        sd_bus_slot_unref(c->leaving);
        peer_release(c->peer);
        sd_bus_message_unref(c->m);
        results_free(c);
        strings_free(c->runbooks);
        free(c);
        return NULL;
}

static void drop_call(AuthCall *c) {
        QUEUE_REMOVE(queue, &c->bus->asking, c);
        auth_call_free(c);
}

void bus_authorize_drop(Bus *b) {
        b->passed = auth_call_free(b->passed);
        b->authorized = NULL;
        while (b->asking.first)
                drop_call(b->asking.first);
}

static const Result *find_result(const AuthCall *c, Permission p, const char *runbook) {
        for (size_t i = c ? c->n_results : 0; i > 0; i--)  /* the newest: with a person */
                if (c->results[i - 1].permission == p && streq_ptr(c->results[i - 1].runbook, runbook))
                        return &c->results[i - 1];
        return NULL;
}

/* The own check is done before polkit is asked for permission to answer: without polkit it is enough. */
static bool is_granted(const Result *q) {
        return q->answer == POLKIT_YES || (q->answer == POLKIT_ABSENT && q->permission == PERMISSION_ANSWER);
}

static bool is_privileged(const Bus *b, const Peer *p) {
        return peer_uid(p) == 0 || (b->user_mode && peer_uid(p) == getuid());
}

/* ---- what a rule looks at ---- */

struct AuthCase {
        Bus *bus;
        sd_bus_message *m;
        Peer *peer;
        const MethodRule *method;
        const AuthCall *call;                           /* what polkit has said so far; NULL: nothing */
        char **runbooks;                                /* of a list that has no call yet; owned */
        Run *run;                                       /* these three where the path names them */
        Activity *activity;
        const char *runbook;
        Permission ask;                                 /* the question */
        const char *ask_runbook;
        bool prompt;
        bool allowed;                                   /* whatever becomes of the question */
        sd_bus_error *error;
};

static bool asks_people(const AuthCase *k) {
        return sd_bus_message_get_allow_interactive_authorization(k->m) > 0;
}

static int ask(AuthCase *k, Permission p, const char *runbook, bool prompt) {
        k->ask = p;
        k->ask_runbook = runbook;
        k->prompt = prompt;
        return 0;
}

static int refuse(const AuthCase *k, const Result *q) {
        const char *action = permissions[q->permission].action;
        switch (q->answer) {
        case POLKIT_CHALLENGE:
                return bus_authentication_required(k->error, _("This needs authentication (polkit action %s): do it where a polkit agent "
                                                               "can ask for a password, or as root."), action);
        case POLKIT_ABSENT:
                return bus_access_denied(k->error, _("Only root may do this: polkit, which could allow it to others (action %s), is not "
                                                     "there."), action);
        case POLKIT_UNPROVEN:
                return bus_access_denied(k->error, _("Nobody has authenticated for this (polkit action %s): the password was wrong, or "
                                                     "not given. Try again."), action);
        case POLKIT_DISMISSED:
                return bus_access_denied(k->error, _("This was not done: it needs authentication (polkit action %s), and whoever was "
                                                     "asked for a password has closed the question."), action);
        case POLKIT_FAILED:
                return bus_access_denied(k->error, _("polkit could not say whether you may do this (action %s): %s"), action,
                                         strempty(q->text));
        case POLKIT_YES:
        case POLKIT_NO:
                break;
        }
        return bus_access_denied(k->error, _("You may not do this; polkit's rules would have to allow it (action %s)."), action);
}

/* Has polkit allowed it? Asks a person where that helps. */
static int need(AuthCase *k, Permission p) {
        if (is_privileged(k->bus, k->peer))
                return 1;
        const Result *q = find_result(k->call, p, k->runbook);
        if (!q)
                return ask(k, p, k->runbook, false);
        if (q->answer == POLKIT_CHALLENGE && !q->prompted && asks_people(k))
                return ask(k, p, k->runbook, true);
        return is_granted(q) ? 1 : refuse(k, q);
}

/* The same for one of several ways: no person is asked, and a no is -1 without an error. */
static int may(AuthCase *k, Permission p) {
        if (is_privileged(k->bus, k->peer))
                return 1;
        const Result *q = find_result(k->call, p, k->runbook);
        return !q ? ask(k, p, k->runbook, false) : is_granted(q) ? 1 : -1;
}

static bool has_started(const AuthCase *k) {
        return k->run->started_by == peer_uid(k->peer);
}

/* ---- the rules ---- */

static int rule_start_run(AuthCase *k) {
        if (!runbook_name_is_valid(k->runbook))
                return bus_refuse(k->error, VERDICT_NO_SUCH_RUNBOOK, _("That is no name of a runbook."));
        return need(k, PERMISSION_START);
}

static int rule_get_runbook(AuthCase *k) {
        if (!runbook_name_is_valid(k->runbook))
                return bus_refuse(k->error, VERDICT_NO_SUCH_RUNBOOK, _("That is no name of a runbook."));
        return need(k, PERMISSION_READ);
}

static int rule_read(AuthCase *k) {
        return has_started(k) ? 1 : need(k, PERMISSION_READ);
}

static int rule_cancel(AuthCase *k) {
        return has_started(k) ? 1 : need(k, PERMISSION_OPERATE);
}

/* Is "Override" among the options? What is wrong with them is the handler's to say. */
static bool overrides(sd_bus_message *m) {
        bool found = false;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *name, *contents;
                int yes = false;
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0)
                        r = sd_bus_message_peek_type(m, NULL, &contents);
                if (r >= 0)
                        r = streq(name, "Override") && streq(contents, "b") ? sd_bus_message_read(m, "v", "b", &yes)
                                                                            : sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                found = found || yes;
        }
        (void) sd_bus_message_rewind(m, true);
        return found;
}

/* Our own check. An answer to nothing is the engine's to refuse. */
static int rule_answer(AuthCase *k) {
        if (overrides(k->m))
                return need(k, PERMISSION_MANAGE);
        if (!activity_takes_answer(k->activity))
                return need(k, PERMISSION_ANSWER);
        switch (peer_right(k->peer, k->activity)) {
        case RIGHT_OF_OPERATORS: {
                int r = need(k, PERMISSION_OPERATE);
                return r <= 0 ? r : need(k, PERMISSION_ANSWER);
        }
        case RIGHT_NONE:
                return bus_refuse(k->error, VERDICT_NOT_APPROVER, _("You are not among the approvers of “%s”; ask one of them to answer."),
                                  k->activity->def->name);
        case RIGHT_OF_APPROVERS:
                break;
        }
        return need(k, PERMISSION_ANSWER);
}

/* Who is told of a request may read it: its approvers; of a failure, the owners. */
static int may_read_request(AuthCase *k) {
        int r = -1;
        if (has_started(k))
                return 1;
        if (k->activity->request && peer_is_told(k->peer, k->activity))
                r = may(k, PERMISSION_ANSWER);
        else if (k->activity->request && activity_approvers(k->activity).n == 0)
                r = may(k, PERMISSION_OPERATE);
        return r >= 0 ? r : need(k, PERMISSION_READ);
}

/* It also tells who reads it whether he can answer it (bus_caller_can_answer), for which polkit is asked, but no person. */
static int rule_request(AuthCase *k) {
        int r = may_read_request(k);
        if (r <= 0 || !k->activity->request || peer_right(k->peer, k->activity) == RIGHT_NONE)
                return r;
        k->allowed = true;
        r = peer_right(k->peer, k->activity) == RIGHT_OF_OPERATORS ? may(k, PERMISSION_OPERATE) : 1;
        if (r > 0 && activity_takes_answer(k->activity))
                r = may(k, PERMISSION_ANSWER);
        return r != 0;
}

/* ---- the rule of a list: what can be found out without people, for each runbook, is found out first ---- */

static bool has_name(char *const *names, const char *name) {
        for (; *names; names++)
                if (streq(*names, name))
                        return true;
        return false;
}

static int collect_runbooks(Bus *b, char ***ret) {
        _cleanup_(strings_freep) char **names = calloc(LIST_RUNBOOKS_MAX + 1, sizeof(char *));
        size_t n = 0;
        Run *run;
        if (!names)
                return -ENOMEM;
        for (size_t i = 0; n < LIST_RUNBOOKS_MAX && engine_iterate_live(b->engine, &i, &run);)
                if (run_pending_requests(run) > 0 && !has_name(names, run->runbook->name) && !(names[n++] = strdup(run->runbook->name)))
                        return -ENOMEM;
        *ret = TAKE_PTR(names);
        return 0;
}

/* Who may read all need not be asked more. */
static int ask_about(AuthCase *k, const char *runbook) {
        static const Permission order[] = {PERMISSION_READ, PERMISSION_OPERATE, PERMISSION_ANSWER};
        for (size_t i = 0; i < ELEMENTSOF(order); i++) {
                const Result *q = find_result(k->call, order[i], runbook);
                if (!q)
                        return ask(k, order[i], runbook, false);
                if (is_granted(q) && order[i] == PERMISSION_READ)
                        return 1;
        }
        return 1;
}

static int rule_list_requests(AuthCase *k) {
        int r = 1;
        if (is_privileged(k->bus, k->peer))
                return 1;
        if (!k->call && (r = collect_runbooks(k->bus, &k->runbooks)) < 0)
                return r;
        r = 1;
        for (char *const *s = k->call ? k->call->runbooks : k->runbooks; r > 0 && *s; s++)
                r = ask_about(k, *s);
        return r;
}

/* ---- what the call is about ---- */

static int unknown_object(const AuthCase *k) {
        return sd_bus_error_setf(k->error, SD_BUS_ERROR_UNKNOWN_OBJECT, _("There is no object “%s” of this kind."),
                                 sd_bus_message_get_path(k->m));
}

static int find_object(AuthCase *k, bool is_activity) {
        const char *path = sd_bus_message_get_path(k->m);
        char name[BUS_ACTIVITY_NAME_SIZE];
        uint32_t id;
        if (is_activity ? !bus_parse_activity_path(path, &id, name) : !bus_parse_run_path(path, &id))
                return unknown_object(k);
        int r = engine_get_run(k->bus->engine, id, &k->run);
        if (r < 0)
                return r;
        if (r > 0 || (is_activity && !(k->activity = run_activity(k->run, name))))
                return unknown_object(k);
        k->runbook = k->run->runbook->name;
        return 0;
}

/* The name of a runbook is the first argument where a method of the manager needs a rule for it. */
static int read_runbook(AuthCase *k) {
        if (k->method->rule != rule_start_run && k->method->rule != rule_get_runbook)
                return 0;
        int r = sd_bus_message_read_basic(k->m, 's', &k->runbook);
        if (r < 0)
                return bus_invalid_args(k->error, _("The arguments are of a wrong type."));
        return sd_bus_message_rewind(k->m, true);
}

static int find_subject(AuthCase *k) {
        if (streq(k->method->interface, BUS_RUN) || streq(k->method->interface, BUS_ACTIVITY))
                return find_object(k, streq(k->method->interface, BUS_ACTIVITY));
        if (streq(k->method->interface, BUS_MANAGER) && !streq(sd_bus_message_get_path(k->m), BUS_PATH))
                return unknown_object(k);
        return read_runbook(k);
}

static int judge_owner(const AuthCase *k) {
        return is_privileged(k->bus, k->peer) ? 1 : bus_access_denied(k->error, _("Only root may do this."));
}

static int judge(AuthCase *k) {
        const MethodRule *t = k->method;
        if (k->bus->user_mode && !is_privileged(k->bus, k->peer))
                return bus_access_denied(k->error, _("Only the owner of this bus may call."));
        if (t->permission == PERMISSION_OWNER)
                return judge_owner(k);
        if (!t->rule && (t->permission == PERMISSION_EVERYBODY || is_privileged(k->bus, k->peer)))
                return 1;
        int r = find_subject(k);
        if (r < 0)
                return r;
        return t->rule ? t->rule(k) : need(k, t->permission);
}

/* ---- asking polkit ---- */

static void come_again(AuthCall *c) {
        int r = sd_bus_enqueue_for_read(c->bus->connection, c->m);
        if (r >= 0)
                return;
        (void) sd_bus_reply_method_errno(c->m, r, NULL);
        drop_call(c);
}

static void on_polkit(void *userdata, PolkitAnswer answer, const char *text) {
        AuthCall *c = userdata;
        Result *q = &c->results[c->n_results - 1];
        c->check = polkit_check_free(c->check);
        q->answer = answer;
        if (text && !(q->text = strdup(text)))
                log_debug("There is no memory for what polkit said.");
        come_again(c);
}

/* Nobody waits for the answer any more. One that is on its way back is on its own: polkit refuses who is gone. */
static int on_leaving(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        AuthCall *c = userdata;
        const char *name, *old, *new;
        if (!streq_ptr(sd_bus_message_get_sender(m), "org.freedesktop.DBus") || sd_bus_message_read(m, "sss", &name, &old, &new) < 0)
                return 0;
        if (streq(name, sd_bus_message_get_sender(c->m)) && !*new && c->check)
                drop_call(c);
        return 0;
}

static int watch(AuthCall *c) {
        char match[512];
        int n = snprintf(match, sizeof(match),
                         "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
                         "member='NameOwnerChanged',arg0='%s'", sd_bus_message_get_sender(c->m));
        if (n < 0 || (size_t) n >= sizeof(match))
                return -E2BIG;
        return sd_bus_add_match_async(c->bus->connection, &c->leaving, match, on_leaving, NULL, c);
}

static int check_limits(const AuthCase *k) {
        unsigned n = 0, mine = 0;
        LIST_FOREACH(queue, c, k->bus->asking.first) {
                n++;
                mine += peer_uid(c->peer) == peer_uid(k->peer);
        }
        if (mine >= AUTH_UID_MAX)
                return bus_limits_exceeded(k->error, _("%u of your calls wait for polkit; wait for an answer, or for a password dialog "
                                                       "to be closed, then try again."), mine);
        if (n >= AUTH_CALLS_MAX)
                return bus_limits_exceeded(k->error, _("Too many calls wait for polkit; try again later."));
        return 0;
}

static int new_call(AuthCase *k, Peer *peer, AuthCall **ret) {
        int r = check_limits(k);
        if (r < 0)
                return r;
        AuthCall *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->bus = k->bus;
        c->peer = peer;
        peer_hold(peer);
        c->m = sd_bus_message_ref(k->m);
        c->runbooks = TAKE_PTR(k->runbooks);
        QUEUE_PUSH(queue, &k->bus->asking, c);
        r = watch(c);
        if (r < 0) {
                drop_call(c);
                return r;
        }
        *ret = c;
        return 0;
}

/* A question is put once, or once more with people: there can't be many. */
static int add_result(AuthCall *c, const AuthCase *k) {
        if (!GREEDY_REALLOC(c->results, c->n_results_allocated, c->n_results + 1))
                return -ENOMEM;
        Result q = {.permission = k->ask, .prompted = k->prompt, .answer = POLKIT_FAILED};
        if (k->ask_runbook && !(q.runbook = strdup(k->ask_runbook)))
                return -ENOMEM;
        c->results[c->n_results++] = q;
        return 0;
}

static int put_question(AuthCase *k, AuthCall *c) {
        const PolkitQuestion q = {
                .caller = sd_bus_message_get_sender(k->m),
                .action = permissions[k->ask].action,
                .message = k->run && permissions[k->ask].message_of_run ? permissions[k->ask].message_of_run : permissions[k->ask].message,
                .prompt = k->prompt,
                .runbook = k->ask_runbook,
                .run = k->run ? k->run->id : 0,
                .activity = k->activity ? k->activity->def->name : NULL,
                .phase = k->activity ? k->run->runbook->phases[k->activity->def->phase].name : NULL,
        };
        int r = add_result(c, k);
        if (r < 0)
                return r;
        r = polkit_ask(k->bus->polkit, &q, on_polkit, c, &c->check);
        return r == -EBUSY ? bus_limits_exceeded(k->error, _("Too many people are being asked for passwords; try again later.")) : r;
}

/* ---- all calls ---- */

/* What stands in the history with who did it: from which login it came is asked then too. (And by who asks whether he can answer.) */
static bool is_recorded(const MethodRule *t) {
        switch (t->permission) {
        case PERMISSION_START:
        case PERMISSION_OPERATE:
        case PERMISSION_ANSWER:
                return true;
        case PERMISSION_NOT_NEEDED:
        case PERMISSION_EVERYBODY:
        case PERMISSION_OWNER:
        case PERMISSION_READ:
        case PERMISSION_MANAGE:
        case _PERMISSION_MAX:
                break;
        }
        return false;
}

static AuthCall *find_returning(Bus *b, sd_bus_message *m) {
        LIST_FOREACH(queue, c, b->asking.first)
                if (c->m == m && !c->check)
                        return c;
        return NULL;
}

/* What polkit has said is kept for the handler, which a list needs; it is called next, or nobody is. */
static void pass(Bus *b, sd_bus_message *m, AuthCall *c) {
        b->authorized = m;
        if (!c)
                return;
        QUEUE_REMOVE(queue, &b->asking, c);
        b->passed = c;
}

/* 0: it is asked. */
static int put(AuthCase *k, Peer *peer, AuthCall **c) {
        int r = *c ? 0 : new_call(k, peer, c);
        return r < 0 ? r : put_question(k, *c);
}

static int decide(AuthCase *k, Peer *peer, AuthCall *c) {
        int r = judge(k);
        if (r == 0)
                r = put(k, peer, &c);
        if (r < 0 && k->allowed) {                      /* too much is being asked */
                sd_bus_error_free(k->error);
                r = 1;
        }
        if (r > 0)
                pass(k->bus, k->m, c);
        if (r < 0 && c)
                drop_call(c);
        return r;
}

int bus_authorize(Bus *b, sd_bus_message *m, sd_bus_error *error) {
        const MethodRule *t = find_rule(sd_bus_message_get_interface(m), sd_bus_message_get_member(m));
        Peer *peer;
        b->passed = auth_call_free(b->passed);
        b->authorized = NULL;
        if (!t)
                return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_METHOD, _("There is no method “%s” here."),
                                         sd_bus_message_get_member(m));
        if (t->permission == PERMISSION_NOT_NEEDED)
                return 1;
        AuthCall *c = find_returning(b, m);
        if (c)
                peer = c->peer;
        else {
                int r = peers_admit(b->peers, m, is_recorded(t) || t->rule == rule_request, &peer, error);
                if (r <= 0)
                        return r;
        }
        AuthCase k = {.bus = b, .m = m, .peer = peer, .method = t, .call = c, .error = error};
        int r = decide(&k, peer, c);
        strings_free(k.runbooks);
        return r;
}

bool bus_caller_may(const Bus *b, sd_bus_message *m, Permission p, const char *runbook) {
        const Peer *peer = b->authorized == m ? peers_find(b->peers, m) : NULL;
        if (!peer)
                return false;
        if (is_privileged(b, peer))
                return true;
        const Result *q = find_result(b->passed, p, runbook);
        return q && is_granted(q);
}

/* As far as it is known without a person. Who would have to give a password for it counts where it is his business. */
static bool may_act(const Bus *b, const Peer *peer, const Activity *a, Permission p, bool is_his) {
        const Result *q = find_result(b->passed, p, a->run->runbook->name);
        if (is_privileged(b, peer))
                return true;
        if (!q)
                return is_his;
        switch (q->answer) {
        case POLKIT_YES:
        case POLKIT_NO:
        case POLKIT_ABSENT:
                return is_granted(q);
        case POLKIT_CHALLENGE:
        case POLKIT_UNPROVEN:
        case POLKIT_DISMISSED:
        case POLKIT_FAILED:
                break;
        }
        return is_his;
}

int bus_caller_can_answer(Bus *b, sd_bus_message *m, const Activity *a, bool *ret) {
        _cleanup_free_ char *text = NULL;
        Peer *peer = b->authorized == m ? peers_find(b->peers, m) : NULL;
        PeerRight right = peer ? peer_right(peer, a) : RIGHT_NONE;
        if (right == RIGHT_NONE) {
                *ret = false;
                return 0;
        }
        const Actor who = {.uid = peer_uid(peer), .login = peer_login_unnamed(peer)};
        bool is_his = a->run->started_by == who.uid || peer_is_told(peer, a) || a->run->runbook->n_owners == 0;
        bool yes = right != RIGHT_OF_OPERATORS || may_act(b, peer, a, PERMISSION_OPERATE, is_his);
        if (activity_takes_answer(a))
                yes = yes && may_act(b, peer, a, PERMISSION_ANSWER, true);
        int r = yes ? activity_check_answer(a, &who, &text) : 0;
        if (r == -ENOMEM)
                return r;
        *ret = yes && r >= 0;
        return 0;
}
