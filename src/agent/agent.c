/* What ListRequests names is what may be shown: the daemon leaves out what this person may neither read nor answer, and requests that name
 * approvers are left out here unless he is one of them. A signal is a reason to look at that list, no more; only the end of a request is
 * believed at once. One look is under way at a time, however many signals come. Whether he can answer a request that is to be shown, the
 * daemon says: not his own runs' where the starter may not, nor what he has answered already.
 *
 * After runbookd was away everything is asked anew, for what was answered and opened again meanwhile has the same path. A person who has
 * approved a request that needs others too isn't asked again. An answer lives on its own: it is told that it came too late also when its
 * request has gone by then. */
#include "agent.h"

#include <signal.h>
#include <stdio.h>

#include "bus-names.h"
#include "client.h"
#include "fd-util.h"
#include "i18n.h"
#include "log.h"
#include "open.h"
#include "requests.h"
#include "who.h"

#define AGENT_NAME BUS_NAME ".Agent"
#define USER_AGENT_NAME BUS_NAME ".UserAgent"
#define MORE_KEY "more"                                 /* the others' keys are the paths of their activities */
#define RETRY_MIN USEC_PER_SEC
#define RETRY_MAX USEC_PER_MINUTE
#define ANSWERS_MAX 64u                                 /* under way; a person doesn't press that many buttons */

typedef struct Answer {
        LIST_FIELDS(struct Answer, answers);
        Agent *agent;
        Action action;
        uint32_t run;
        char *path, *activity;
        sd_bus_slot *slot;
} Answer;

struct Agent {
        bool user_mode;
        sd_event *event;
        sd_bus *session;
        sd_bus_slot *lost_slot, *list_slot;
        sd_event_source *retry, *exit;
        Who who;
        Client *client;
        Notifier *notifier;
        Opener *opener;
        Requests requests;
        Answer *answers;
        unsigned n_answers;
        Shown *more;                                    /* counts what isn't shown */
        size_t n_more;
        usec_t delay;
        bool look_again;                                /* something happened while the list was on its way */
};

static void refresh(Agent *a);
static void promote(Agent *a);

static const char *command_of(const Agent *a) {
        return a->user_mode ? "runbookctl --user" : "runbookctl";
}

static void say_oom(int r) {
        if (r < 0)
                (void) log_error_errno(r, _("A notification can't be made: %m"));
}

/* ---- one request on the screen ---- */

static void show(Agent *a, Request *q) {
        Note *note;
        int r = note_of_request(&q->info, command_of(a), &note);
        if (r < 0) {
                say_oom(r);
                return;
        }
        q->state = REQUEST_SHOWN;
        if (!q->shown)
                say_oom(notifier_show(a->notifier, note, q->path, q, &q->shown));
        else if (!note_equal(shown_note(q->shown), note))
                shown_update(q->shown, note, !q->answering);
        else {
                note_free(note);
                if (!q->answering)                      /* else it comes back when the answer is refused */
                        shown_repeat(q->shown);
        }
}

static void hide(Request *q, RequestState state) {
        q->state = state;
        q->shown = shown_withdraw(q->shown);
}

/* Only when its number grows it comes back after it was closed. */
static void show_more(Agent *a, size_t n) {
        Note *note;
        if (n == a->n_more)
                return;
        bool again = n > a->n_more;
        a->n_more = n;
        if (n == 0) {
                a->more = shown_withdraw(a->more);
                return;
        }
        int r = note_of_more(n, command_of(a), &note);
        if (r < 0)
                say_oom(r);
        else if (a->more)
                shown_update(a->more, note, again);
        else
                say_oom(notifier_show(a->notifier, note, MORE_KEY, NULL, &a->more));
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Agent *a = userdata;
        a->retry = sd_event_source_disable_unref(a->retry);
        refresh(a);
        return 0;
}

static void retry_later(Agent *a) {
        if (a->retry)
                return;
        int r = sd_event_add_time_relative(a->event, &a->retry, CLOCK_MONOTONIC, a->delay, 0, on_retry, a);
        if (r < 0)
                (void) log_error_errno(r, _("runbookd can't be asked again later: %m"));
        a->delay = MIN(2 * a->delay, RETRY_MAX);
}

/* ---- details ---- */

static bool is_refusal(const sd_bus_error *e) {
        return sd_bus_error_has_name(e, SD_BUS_ERROR_ACCESS_DENIED) || sd_bus_error_has_name(e, BUS_ERROR_PREFIX "NotApprover") ||
               sd_bus_error_has_name(e, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
}

static bool is_gone(const sd_bus_error *e) {
        return sd_bus_error_has_name(e, BUS_ERROR_PREFIX "WrongState") || sd_bus_error_has_name(e, BUS_ERROR_PREFIX "NoSuchRun") ||
               sd_bus_error_has_name(e, SD_BUS_ERROR_UNKNOWN_OBJECT);
}

static void show_when_known(Agent *a, Request *q) {
        if (q->state == REQUEST_ASKED && !q->details_slot && !q->name_slot)
                show(a, q);
}

static void details_failed(Agent *a, Request *q, const sd_bus_error *e) {
        if (is_refusal(e))
                hide(q, REQUEST_REFUSED);
        else if (is_gone(e))
                requests_drop(&a->requests, q);
        else {
                q->state = REQUEST_LISTED;
                retry_later(a);
                return;
        }
        promote(a);
}

static int on_details(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Request *q = userdata;
        Agent *a = q->owner;
        const char *json;
        bool mine = true;
        q->details_slot = sd_bus_slot_unref(q->details_slot);
        if (sd_bus_message_get_error(m)) {
                details_failed(a, q, sd_bus_message_get_error(m));
                return 1;
        }
        int r = sd_bus_message_read_basic(m, 's', &json);
        if (r >= 0)
                r = request_take_details(q, json, &mine);
        if (r < 0)
                (void) log_debug_errno(r, "The details of %s make no sense: %m", q->path);
        if (!mine) {
                hide(q, REQUEST_REFUSED);
                promote(a);
        } else
                show_when_known(a, q);
        return 1;
}

/* Without the runbook's name it goes, too. */
static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Request *q = userdata;
        const char *name;
        q->name_slot = sd_bus_slot_unref(q->name_slot);
        if (!sd_bus_message_get_error(m) && sd_bus_message_read(m, "v", "s", &name) >= 0) {
                free(q->info.runbook);
                q->info.runbook = text_clean(name, NAME_MAX_SHOWN, 1);
        }
        show_when_known(q->owner, q);
        return 1;
}

static void ask_details(Agent *a, Request *q) {
        char run_path[sizeof(BUS_RUN_PREFIX "4294967295")];
        (void) snprintf(run_path, sizeof(run_path), BUS_RUN_PREFIX "%u", q->info.run);
        q->details_slot = sd_bus_slot_unref(q->details_slot);
        q->state = REQUEST_ASKED;
        int r = client_call(a->client, 0, q->path, BUS_ACTIVITY, "GetRequest", on_details, q, &q->details_slot, "");
        if (r >= 0 && !q->info.runbook && !q->name_slot)
                r = client_call(a->client, 0, run_path, "org.freedesktop.DBus.Properties", "Get", on_name, q, &q->name_slot, "ss", BUS_RUN,
                                "Runbook");
        if (r >= 0)
                return;
        (void) log_debug_errno(r, "%s can't be asked about: %m", q->path);
        q->state = REQUEST_LISTED;
        if (r != -ENOTCONN)                             /* else it is asked when the bus is back */
                retry_later(a);
}

static bool is_to_be_shown(void *userdata, const char *key) {
        Agent *a = userdata;
        const Request *q = requests_find(&a->requests, key);
        return q && q->state == REQUEST_ASKED;
}

/* As many as may be shown, the oldest first; new ones are at the head of the list. */
static void promote(Agent *a) {
        size_t n_shown = 0, n_waiting = 0;
        Request *last = NULL;
        LIST_FOREACH(requests, q, a->requests.first) {
                n_shown += q->shown || q->state == REQUEST_ASKED || q->state == REQUEST_SHOWN;
                last = q;
        }
        for (Request *q = last; q; q = q->requests_prev) {
                if (q->state != REQUEST_LISTED)
                        continue;
                if (!q->shown && n_shown >= NOTES_MAX) {
                        n_waiting++;
                        continue;
                }
                n_shown += !q->shown;
                ask_details(a, q);
        }
        show_more(a, n_waiting + a->requests.n_more);
        notifier_close_left(a->notifier, is_to_be_shown, a);
}

/* ---- the list ---- */

static int take_entry(void *userdata, const Entry *e) {
        Agent *a = userdata;
        Request *q;
        bool changed;
        int r = requests_take(&a->requests, e, a, &q, &changed);
        if (r == -ENOSPC) {
                a->requests.n_more++;
                return 0;
        }
        if (r == -EINVAL)
                return 0;                               /* of a later daemon */
        if (r >= 0 && changed && !q->answering)
                q->state = REQUEST_LISTED;
        return r;
}

static int read_list(Agent *a, sd_bus_message *m) {
        LIST_FOREACH(requests, q, a->requests.first)
                q->listed = false;
        a->requests.n_more = 0;
        int r = requests_read(m, &a->who, take_entry, a);
        if (r < 0)
                return r;
        LIST_FOREACH(requests, q, a->requests.first)
                if (!q->listed)
                        requests_drop(&a->requests, q);
        return 0;
}

static bool is_away(const sd_bus_error *e) {
        return sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) || sd_bus_error_has_name(e, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

static int on_list(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Agent *a = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        bool again = a->look_again;
        a->list_slot = sd_bus_slot_unref(a->list_slot);
        a->look_again = false;
        int r = e ? 0 : read_list(a, m);
        if (r < 0)
                (void) log_warning_errno(r, _("What runbookd says about its requests can't be read: %m"));
        else if (e && is_refusal(e)) {
                log_info(_("runbookd does not let us see requests: %s"), strempty(e->message));
                notifier_close_left(a->notifier, NULL, NULL);
        } else if (e && !is_away(e)) {
                log_debug("The requests can't be listed: %s", strempty(e->message));
                retry_later(a);
        } else if (!e) {
                a->delay = RETRY_MIN;
                promote(a);
        }
        if (again)
                refresh(a);
        return 1;
}

static void refresh(Agent *a) {
        if (a->list_slot) {
                a->look_again = true;
                return;
        }
        a->look_again = false;
        int r = client_call(a->client, 0, BUS_PATH, BUS_MANAGER, "ListRequests", on_list, a, &a->list_slot, "");
        if (r < 0 && r != -ENOTCONN)
                (void) log_warning_errno(r, _("runbookd can't be asked: %m"));
}

/* ---- answers ---- */

static Answer *answer_free(Answer *w) {
        sd_bus_slot_unref(w->slot);
        free(w->path);
        free(w->activity);
        free(w);
        return NULL;
}

static void forget_answer(Answer *w) {
        LIST_REMOVE(answers, w->agent->answers, w);
        w->agent->n_answers--;
        answer_free(w);
}

static void tell_refusal(const Answer *w, const char *error, const char *message) {
        Note *note;
        int r = note_of_refusal(w->action, w->run, w->activity, error, message, command_of(w->agent), &note);
        if (r >= 0)
                r = notifier_tell(w->agent->notifier, note);
        say_oom(r);
}

/* The request is still there: does it come back to the screen? */
static void answer_refused(Agent *a, Request *q, const char *error) {
        if (streq(error, BUS_ERROR_PREFIX "NotApprover"))
                hide(q, REQUEST_REFUSED);
        else if (streq(error, BUS_ERROR_PREFIX "AlreadyAnswered"))
                hide(q, REQUEST_ANSWERED);
        else if (streq(error, BUS_ERROR_PREFIX "WrongState"))
                q->state = REQUEST_LISTED;              /* another one is open, which he has not read */
        else if (q->shown)
                shown_repeat(q->shown);
        refresh(a);
}

static int on_answered(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Answer *w = userdata;
        Agent *a = w->agent;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        Request *q = requests_find(&a->requests, w->path);
        if (q)
                q->answering = false;
        if (e) {
                tell_refusal(w, strempty(e->name), e->message);
                if (q)
                        answer_refused(a, q, strempty(e->name));
        } else if (q) {
                hide(q, REQUEST_ANSWERED);
                promote(a);
        }
        forget_answer(w);
        return 1;
}

static int new_answer(Agent *a, const Request *q, Action action, Answer **ret) {
        Answer *w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        *w = (Answer) {.agent = a, .action = action, .run = q->info.run, .path = strdup(q->path), .activity = strdup(q->info.activity)};
        if (!w->path || !w->activity) {
                answer_free(w);
                return -ENOMEM;
        }
        LIST_PREPEND(answers, a->answers, w);
        a->n_answers++;
        *ret = w;
        return 0;
}

static void answer(Agent *a, Request *q, Action action) {
        Answer *w;
        if (q->answering || a->n_answers >= ANSWERS_MAX)
                return;
        int r = new_answer(a, q, action, &w);
        if (r < 0) {
                say_oom(r);
                return;
        }
        r = client_call(a->client, CALL_ASKS, q->path, BUS_ACTIVITY, action_member(action), on_answered, w, &w->slot, "a{sv}",
                        q->info.opened_at > 0 ? 1 : 0, "OpenedAt", "t", (uint64_t) q->info.opened_at);
        if (r < 0) {
                tell_refusal(w, SD_BUS_ERROR_DISCONNECTED, NULL);
                shown_repeat(q->shown);
                forget_answer(w);
                return;
        }
        q->answering = true;
}

static void on_invoked(void *userdata, Shown *s, Action action, const char *token) {
        Agent *a = userdata;
        Request *q = shown_userdata(s);
        Place place = {.user_mode = a->user_mode};
        if (action != ACTION_OPEN) {
                if (q)
                        answer(a, q, action);
                return;
        }
        if (q) {
                place.run = q->info.run;
                place.activity = q->info.activity;
                place.runbook = q->info.runbook;
                place.kind = request_kind_to_string(q->info.kind);
        }
        opener_open(a->opener, &place, token);
}

static void on_open_failed(void *userdata, const char *typed, const char *why) {
        Agent *a = userdata;
        Note *note;
        int r = note_of_open_failure(typed, why, &note);
        if (r >= 0)
                r = notifier_tell(a->notifier, note);
        say_oom(r);
}

/* ---- runbookd ---- */

static void on_there(void *userdata) {
        Agent *a = userdata;
        LIST_FOREACH(requests, q, a->requests.first) {
                q->details_slot = sd_bus_slot_unref(q->details_slot);
                q->name_slot = sd_bus_slot_unref(q->name_slot);
                q->state = REQUEST_LISTED;
        }
        a->list_slot = sd_bus_slot_unref(a->list_slot);
        a->delay = RETRY_MIN;
        refresh(a);
}

/* What an agent before us has shown may be answered by now, and nobody can say. What is open comes back with runbookd. */
static void on_away(void *userdata) {
        Agent *a = userdata;
        notifier_close_left(a->notifier, NULL, NULL);
}

static void on_required(void *userdata, sd_bus_message *m) {
        Agent *a = userdata;
        const char *path;
        if (requests_read_signal(m, &a->who, &path) <= 0)
                return;
        Request *q = requests_find(&a->requests, path);
        if (q && q->state != REQUEST_ASKED && !q->answering)
                q->state = REQUEST_LISTED;
        refresh(a);
}

static void on_resolved(void *userdata, const char *path) {
        Agent *a = userdata;
        Request *q = requests_find(&a->requests, path);
        if (q)
                requests_drop(&a->requests, q);
        if (a->requests.n_more > 0)
                refresh(a);
        else if (q)
                promote(a);
}

static void on_ended(void *userdata) {
        Agent *a = userdata;
        (void) sd_event_exit(a->event, EXIT_SUCCESS);
}

/* ---- the session ---- */

static int on_session_lost(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Agent *a = userdata;
        if (!streq_ptr(sd_bus_message_get_sender(m), "org.freedesktop.DBus.Local") || sd_bus_is_open(a->session) > 0)
                return 0;
        log_info(_("The session has ended."));
        (void) sd_event_exit(a->event, EXIT_SUCCESS);
        return 0;
}

static int open_session(Agent *a) {
        int r = sd_bus_open_user(&a->session);
        if (r < 0)
                return log_error_errno(r, _("The session bus can't be reached: %m. The agent belongs into a desktop session; see that "
                                            "DBUS_SESSION_BUS_ADDRESS or XDG_RUNTIME_DIR is right."));
        (void) sd_bus_set_exit_on_disconnect(a->session, false);
        r = sd_bus_request_name(a->session, a->user_mode ? USER_AGENT_NAME : AGENT_NAME, 0);
        if (r == -EEXIST) {
                log_notice(_("Another agent serves this session."));
                return r;
        }
        if (r >= 0)
                r = sd_bus_match_signal(a->session, &a->lost_slot, "org.freedesktop.DBus.Local", NULL, "org.freedesktop.DBus.Local",
                                        "Disconnected", on_session_lost, a);
        if (r >= 0)
                r = sd_bus_attach_event(a->session, a->event, SD_EVENT_PRIORITY_NORMAL);
        return r < 0 ? log_error_errno(r, _("The session bus does not let us work: %m")) : 0;
}

/* Buttons that nobody answers to are taken off the screen: now, for the end of the loop closes the connections. */
static int on_exit_of_loop(sd_event_source *source, void *userdata) {
        Agent *a = userdata;
        LIST_FOREACH(requests, q, a->requests.first)
                q->shown = NULL;                        /* goes with the notifier, like this: */
        a->more = NULL;
        a->notifier = notifier_free(a->notifier);
        return 0;
}

static int open_event(Agent *a) {
        static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
        int r = sd_event_new(&a->event);
        if (r >= 0)
                r = sd_event_add_exit(a->event, &a->exit, on_exit_of_loop, a);
        if (r >= 0)
                r = sd_event_source_set_priority(a->exit, SD_EVENT_PRIORITY_IMPORTANT);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                r = sd_event_add_signal(a->event, NULL, signals[i], NULL, NULL);
        return r;
}

int agent_new(const AgentOptions *o, Agent **ret) {
        static const NotifierOps notifier_ops = {.invoked = on_invoked};
        static const ClientOps client_ops = {
                .there = on_there, .away = on_away, .required = on_required, .resolved = on_resolved, .ended = on_ended};
        _cleanup_(agent_freep) Agent *a = calloc(1, sizeof(*a));
        if (!a)
                return log_error_errno(-ENOMEM, _("The agent can't start: %m"));
        a->user_mode = o->user_mode;
        a->delay = RETRY_MIN;
        int r = open_event(a);
        if (r >= 0)
                r = who_load(&a->who);
        if (r >= 0)
                r = opener_new(a->event, on_open_failed, a, &a->opener);
        if (r < 0)
                return log_error_errno(r, _("The agent can't start: %m"));
        r = open_session(a);
        if (r < 0)
                return r;
        r = notifier_new(a->session, a->user_mode ? "runbook-agent-user" : "runbook-agent", &notifier_ops, a, &a->notifier);
        if (r >= 0)
                r = client_new(a->event, a->user_mode, &client_ops, a, &a->client);
        if (r < 0)
                return log_error_errno(r, _("The agent can't start: %m"));
        *ret = TAKE_PTR(a);
        return 0;
}

Agent *agent_free(Agent *a) {
        if (!a)
                return NULL;
        requests_done(&a->requests);
        while (a->answers)
                forget_answer(a->answers);
        sd_bus_slot_unref(a->list_slot);
        sd_bus_slot_unref(a->lost_slot);
        sd_event_source_disable_unref(a->retry);
        sd_event_source_disable_unref(a->exit);
        opener_free(a->opener);
        notifier_free(a->notifier);
        client_free(a->client);
        sd_bus_flush_close_unref(a->session);
        who_done(&a->who);
        sd_event_unref(a->event);
        free(a);
        return NULL;
}

int agent_run(Agent *a) {
        int r = sd_event_loop(a->event);
        return r < 0 ? (log_error_errno(r, _("Waiting for events failed: %m")), EXIT_FAILURE) : r;
}
