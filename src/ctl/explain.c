/* One function for each reason to stand still; the first that speaks for the whole run (ended, paused, scheduled …) is said before what
 * its activities wait for. What finds no free place is told by the daemon, as all is: nothing here is concluded from what isn't said.
 * Least of all from an outline: where everybody may know less, the sentence says less. */
#include "explain.h"

#include "fd-util.h"
#include "history.h"
#include "i18n.h"
#include "lists.h"
#include "outline.h"
#include "view.h"
#include "waits.h"

#define FAILED_SHOWN_MAX 5u

typedef struct Explain {
        Ctl *ctl;
        unsigned id;
        const Target *target;
        const Json *run;
        Json *entries, *events;
        usec_t now;
        bool outline;                                   /* errors, reasons and the history are not known */
        bool failed;                                    /* out of memory */
} Explain;

static const char *string_of(const Json *j, const char *key) {
        return strempty(json_string(json_get(j, key)));
}

/* A command as people type it; takes nothing, appends to the array. */
static void add_command(Explain *x, Json *commands, const char *verb, const char *more) {
        _cleanup_free_ char *command = ctl_command(x->ctl), *s = command ? xasprintf("%s %s %u%s", command, verb, x->id, more) : NULL;
        x->failed = !s || !commands || json_append(commands, json_new_string(s)) < 0 || x->failed;
}

/* who and commands are borrowed and may be NULL; the text is taken. */
static void add(Explain *x, const char *waits_for, const char *activity, usec_t since, const Json *who, const Json *commands,
                char *takes_text) {
        _cleanup_json_ Json *j = json_new_object();
        _cleanup_free_ char *text = takes_text;

        if (!j || !text || json_set_string(j, "waitsFor", waits_for) < 0 || json_set_string(j, "activity", activity) < 0 ||
            json_set_uint(j, "since", since) < 0 || json_set(j, "who", json_ref((Json *) who)) < 0 ||
            json_set(j, "commands", commands ? json_ref((Json *) commands) : json_new_array()) < 0 ||
            json_set_string(j, "text", text) < 0 ||
            (x->outline && json_set(j, "outline", json_ref(json_get(x->run, "outline"))) < 0) || json_append(x->entries, TAKE_PTR(j)) < 0)
                x->failed = true;
}

/* The last event of a type; NULL: none, or the history can't be read. */
static const Json *last_event(Explain *x, const char *type) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        if (x->outline)
                return NULL;
        if (!x->events) {
                x->events = json_new_array();
                if (!x->events)
                        return NULL;
                (void) history_read(x->ctl, x->target->run_path, 1, 0, x->events, &error);
        }
        for (size_t i = json_length(x->events); i > 0; i--)
                if (streq(string_of(json_at(x->events, i - 1), "type"), type))
                        return json_at(x->events, i - 1);
        return NULL;
}

/* " by alice (not today)"; "" where nothing is known. */
static char *by_whom(const Json *event) {
        _cleanup_free_ char *who = event && json_get(event, "uid") ? history_who(event) : NULL;
        const char *why = string_of(json_get(event, "data"), "reason");
        _cleanup_strbuf_ StrBuf b = {};

        if (who) {
                strbuf_append_c(&b, ' ');
                strbuf_appendf(&b, _("by %s"), who);
        }
        if (*why)
                strbuf_appendf(&b, " (%s)", why);
        return strbuf_take(&b);
}

/* "2026-11-23 14:00:00 (in 3h)", "… (5min ago)". */
static char *moment(const Explain *x, usec_t when) {
        _cleanup_free_ char *at = format_timestamp(when), *span = format_span(when > x->now ? when - x->now : x->now - when),
                            *far = !span ? NULL : when > x->now ? xasprintf(_("in %s"), span) : xasprintf(_("%s ago"), span);
        return at && far ? xasprintf("%s (%s)", at, far) : NULL;
}

/* ---- the run as a whole ---- */

static bool one_of(const char *const *list, const char *s) {
        for (; *list; list++)
                if (streq(*list, s))
                        return true;
        return false;
}

static const char *const replayable[] = {"failed", "exhausted", "dlq", "cancelled", "timed-out", "rejected", NULL};

static bool has_state(const Json *list, const char *name, const char *state) {
        for (size_t i = 0; i < json_length(list); i++)
                if (streq(string_of(json_at(list, i), "name"), name))
                        return streq(string_of(json_at(list, i), "state"), state);
        return false;
}

/* The activity that failed first in a phase that failed: what most likely decided how the run ended. */
static const Json *first_failure(const Explain *x) {
        const Json *activities = json_get(x->run, "activities"), *found = NULL;
        usec_t earliest = USEC_INFINITY;

        for (size_t i = 0; i < json_length(activities); i++) {
                const Json *a = json_at(activities, i), *attempts = json_get(a, "attempts");
                usec_t at = json_length(attempts) > 0 ? lists_time(json_at(attempts, json_length(attempts) - 1), "finishedAt") : 0;
                if (streq(string_of(a, "state"), "failed") && has_state(json_get(x->run, "phases"), string_of(a, "phase"), "failed") &&
                    at < earliest) {
                        earliest = at;
                        found = a;
                }
        }
        return found;
}

static const char *end_words(const char *state) {
        static const struct {
                const char *state, *words;
        } table[] = {
                {"success", N_("all went well")},
                {"partial-success", N_("it went well, but not in all its parts")},
                {"failed", N_("it failed")},
                {"exhausted", N_("it failed and has used up all its attempts")},
                {"timed-out", N_("its time ran out")},
                {"rejected", N_("it was rejected")},
                {"cancelled", N_("it was cancelled")},
                {"skipped", N_("there was nothing to do, all its phases were skipped")},
                {"dlq", N_("runbookd gave it up")},
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(table[i].state, state))
                        return _(table[i].words);
        return state;
}

/* Without times and errors all that is known is which have failed. */
static void append_failed(const Explain *x, StrBuf *b) {
        const Json *activities = json_get(x->run, "activities");
        _cleanup_strbuf_ StrBuf names = {};
        unsigned n = 0;

        for (size_t i = 0; i < json_length(activities); i++)
                if (streq(string_of(json_at(activities, i), "state"), "failed") && n++ < FAILED_SHOWN_MAX)
                        strbuf_appendf(&names, "%s%s", n > 1 ? ", " : "", string_of(json_at(activities, i), "name"));
        if (n == 0)
                return;
        _cleanup_free_ char *list = strbuf_take(&names);
        strbuf_append_c(b, ' ');
        strbuf_appendf(b, n > FAILED_SHOWN_MAX ? _("What failed: %s and others.") : _("What failed: %s."), strempty(list));
}

/* What decided it, behind the sentence that tells the end. */
static void append_cause(Explain *x, StrBuf *b, const char *state) {
        const Json *failure = first_failure(x);
        _cleanup_free_ char *error = view_error(json_get(failure, "error"), NULL),
                            *who = streq(state, "cancelled") ? by_whom(last_event(x, "run-cancel")) : NULL;
        const char *reason = string_of(x->run, "reason");

        if (who)
                strbuf_append(b, who);
        strbuf_append(b, ".");
        if (*reason) {
                strbuf_append_c(b, ' ');
                strbuf_appendf(b, _("The reason: %s."), reason);
        }
        if (x->outline)
                append_failed(x, b);
        if (!failure || !error || strstr(reason, string_of(failure, "name")) || !one_of(replayable, state))
                return;
        strbuf_append_c(b, ' ');
        strbuf_appendf(b, _("Activity %s failed first: %s."), string_of(failure, "name"), error);
}

/* Only as long as the first of the runs is young enough: the daemon says until when. */
static void append_replay(Explain *x, StrBuf *b, Json *commands) {
        unsigned root = (unsigned) json_int(json_get(x->run, "rootRun"));
        usec_t until = lists_time(x->run, "replayUntil");
        _cleanup_free_ char *when = until > 0 ? moment(x, until) : NULL;

        strbuf_append_c(b, ' ');
        if (until > 0 && until < x->now) {
                strbuf_appendf(b, _("It could be replayed until %s; now the first run of them all, run %u, is too old (RetryWindowSec=)."),
                               strempty(when), root > 0 ? root : x->id);
                return;
        }
        add_command(x, commands, "replay", "");
        strbuf_append(b, _("A replay makes a new run that takes over what succeeded and does the rest."));
        if (until > 0) {
                strbuf_append_c(b, ' ');
                strbuf_appendf(b, _("That can be done until %s."), strempty(when));
        }
}

static void append_ways_on(Explain *x, StrBuf *b, const char *state, Json *commands) {
        if (one_of(replayable, state))
                append_replay(x, b, commands);
        else {
                strbuf_append_c(b, ' ');
                strbuf_append(b, _("A rerun does it once more, whole or in some of its phases."));
        }
        add_command(x, commands, "rerun", "");
        if (streq(state, "dlq")) {
                add_command(x, commands, "cancel", "");
                strbuf_append_c(b, ' ');
                strbuf_append(b, _("Cancelling it takes it off the list of dead letters."));
        }
}

static void explain_end(Explain *x, const char *state) {
        usec_t started = lists_time(x->run, "startedAt"), finished = lists_time(x->run, "finishedAt");
        _cleanup_free_ char *when = moment(x, finished), *took = format_duration(started, finished, x->now);
        _cleanup_json_ Json *commands = json_new_array();
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_appendf(&b, _("Run %u (%s) ended at %s"), x->id, string_of(x->run, "runbook"), strempty(when));
        if (started > 0) {
                strbuf_append(&b, ", ");
                strbuf_appendf(&b, _("after %s"), strempty(took));
        }
        strbuf_appendf(&b, ": %s", end_words(state));
        append_cause(x, &b, state);
        append_ways_on(x, &b, state, commands);
        add(x, NULL, NULL, finished, NULL, commands, strbuf_take(&b));
}

static void explain_scheduled(Explain *x) {
        usec_t at = lists_time(x->run, "scheduledFor");
        _cleanup_free_ char *when = moment(x, at);
        _cleanup_json_ Json *commands = json_new_array();

        add_command(x, commands, "start-now", "");
        add_command(x, commands, "reschedule", " TIME");
        add_command(x, commands, "cancel", "");
        add(x, "scheduled", NULL, lists_time(x->run, "createdAt"), NULL, commands,
            xasprintf(_("Run %u (%s) is scheduled and starts at %s."), x->id, string_of(x->run, "runbook"), strempty(when)));
}

static void explain_turn(Explain *x) {
        unsigned of = (unsigned) json_int(json_get(x->run, "copiesWorkspaceOf"));
        usec_t since = lists_time(x->run, "createdAt");

        if (x->outline && json_int(json_get(x->run, "replayOf")) > 0)
                add(x, "turn", NULL, since, NULL, NULL,
                    xasprintf(_("Run %u (%s) has not begun: a workspace is copied for it, or other runs have to make room."), x->id,
                              string_of(x->run, "runbook")));
        else if (of > 0)
                add(x, "workspace", NULL, since, NULL, NULL,
                    xasprintf(_("Run %u (%s) starts as soon as the workspace of run %u is copied."), x->id, string_of(x->run, "runbook"),
                              of));
        else
                add(x, "turn", NULL, since, NULL, NULL,
                    xasprintf(_("Run %u (%s) waits for its turn: it starts as soon as other runs make room for it."), x->id,
                              string_of(x->run, "runbook")));
}

static void explain_queued(Explain *x) {
        usec_t retry = lists_time(x->run, "nextRetryAt");
        unsigned attempt = (unsigned) json_int(json_get(x->run, "attempt"));
        const Json *failed = retry > 0 ? last_event(x, "run-backoff") : NULL;
        _cleanup_free_ char *when = moment(x, retry);
        _cleanup_json_ Json *commands = json_new_array();

        if (retry == 0) {
                explain_turn(x);
                return;
        }
        add_command(x, commands, "start-now", "");
        add_command(x, commands, "cancel", "");
        add(x, "run-retry", NULL, lists_time(failed, "at"), NULL, commands,
            xasprintf(_("Run %u (%s) failed in attempt %u and starts all its phases again, as attempt %u, at %s."), x->id,
                      string_of(x->run, "runbook"), attempt, attempt + 1, strempty(when)));
}

static void explain_paused(Explain *x) {
        const Json *event = last_event(x, "run-paused");
        usec_t since = lists_time(x->run, "pausedAt") > 0 ? lists_time(x->run, "pausedAt") : lists_time(event, "at");
        _cleanup_free_ char *when = since > 0 ? moment(x, since) : NULL, *who = by_whom(event);
        _cleanup_json_ Json *commands = json_new_array();

        add_command(x, commands, "resume", "");
        add(x, "paused", NULL, since, NULL, commands,
            when ? xasprintf(_("Run %u (%s) was paused at %s%s: nothing new starts in it until it is resumed."), x->id,
                             string_of(x->run, "runbook"), when, strempty(who))
                 : xasprintf(_("Run %u (%s) is paused: nothing new starts in it until it is resumed."), x->id,
                             string_of(x->run, "runbook")));
}

static void explain_cancelling(Explain *x) {
        const Json *event = last_event(x, "run-cancel");
        _cleanup_free_ char *who = by_whom(event);
        _cleanup_json_ Json *commands = json_new_array();

        add_command(x, commands, "cancel", "");
        add(x, "cancel", NULL, lists_time(event, "at"), NULL, commands,
            xasprintf(_("Run %u (%s) is being cancelled%s: its hooks onFailure and post still run. Cancelling it once more stops them "
                        "too."),
                      x->id, string_of(x->run, "runbook"), strempty(who)));
}

/* ---- activities ---- */

static void append_who_can(StrBuf *b, const Json *q) {
        _cleanup_free_ char *who = waits_who(q), *answers = waits_answers(q);

        strbuf_append_c(b, ' ');
        strbuf_appendf(b, _("Who can act: %s."), strempty(who));
        if (!isempty(answers))
                strbuf_appendf(b, " %s.", answers);
}

static void append_deadline(Explain *x, StrBuf *b, const Json *q) {
        usec_t deadline = lists_time(q, "deadline");
        _cleanup_free_ char *when = moment(x, deadline);

        if (deadline == 0)
                return;
        strbuf_append_c(b, ' ');
        strbuf_appendf(b, _("There is time until %s."), strempty(when));
}

static char *wanted_names(const Json *fields) {
        _cleanup_strbuf_ StrBuf b = {};

        for (size_t i = 0; i < json_length(fields); i++)
                strbuf_appendf(&b, "%s%s", i > 0 ? ", " : "", string_of(json_at(fields, i), "name"));
        return strbuf_take(&b);
}

/* What it waits for, in brackets: the title of an approval, the names of inputs. */
static char *subject(const Json *q, const char *kind) {
        const char *title = string_of(q, "title");
        _cleanup_free_ char *names = wanted_names(json_get(q, "fields"));

        if (streq(kind, "input") && !isempty(names))
                return TAKE_PTR(names);
        return isempty(title) || streq(title, string_of(q, "activity")) ? strdup("") : xasprintf("\"%s\"", title);
}

static void append_what(const Explain *x, StrBuf *b, const Json *q, const char *kind) {
        const char *activity = string_of(q, "activity");
        usec_t since = lists_time(q, "openedAt");
        _cleanup_free_ char *when = since > 0 ? moment(x, since) : NULL, *error = view_error(json_get(q, "error"), NULL),
                            *what = subject(q, kind);

        if (streq(kind, "decision"))
                strbuf_appendf(b, _("Activity %s failed and waits for a decision"), activity);
        else if (streq(kind, "input"))
                strbuf_appendf(b, _("Activity %s waits for input"), activity);
        else
                strbuf_appendf(b, _("Activity %s waits for an approval"), activity);
        if (when) {
                strbuf_append(b, ", ");
                strbuf_appendf(b, _("since %s"), when);
        }
        if (error || !isempty(what))
                strbuf_appendf(b, ": %s", error ? error : what);
        strbuf_append_c(b, '.');
}

static void explain_request(Explain *x, const Json *q) {
        const char *kind = string_of(q, "kind");
        _cleanup_strbuf_ StrBuf b = {};

        append_what(x, &b, q, kind);
        append_who_can(&b, q);
        append_deadline(x, &b, q);
        add(x, kind, string_of(q, "activity"), lists_time(q, "openedAt"), json_get(q, "approvers"), json_get(q, "commands"),
            strbuf_take(&b));
}

static void explain_backoff(Explain *x, const Json *a) {
        const Json *attempts = json_get(a, "attempts"), *last = json_at(attempts, MAX(json_length(attempts), (size_t) 1) - 1);
        _cleanup_free_ char *when = moment(x, lists_time(a, "nextRetryAt")), *error = view_error(json_get(last, "error"), NULL);

        if (x->outline)
                add(x, "backoff", string_of(a, "name"), 0, NULL, NULL,
                    xasprintf(_("Activity %s failed and is tried again, as attempt %u, at %s."), string_of(a, "name"),
                              (unsigned) json_int(json_get(a, "attempt")) + 1, strempty(when)));
        else
                add(x, "backoff", string_of(a, "name"), lists_time(last, "finishedAt"), NULL, NULL,
                    xasprintf(_("Activity %s failed (%s) and is tried again, as attempt %zu, at %s."), string_of(a, "name"),
                              strempty(error), json_length(attempts) + 1, strempty(when)));
}

static const Json *running_step(const Json *attempt) {
        const Json *steps = json_get(attempt, "steps");

        for (size_t i = 0; i < json_length(steps); i++)
                if (streq(string_of(json_at(steps, i), "state"), "running"))
                        return json_at(steps, i);
        return NULL;
}

static void explain_running(Explain *x, const Json *a) {
        const Json *attempts = json_get(a, "attempts"), *last = json_at(attempts, MAX(json_length(attempts), (size_t) 1) - 1);
        const Json *step = running_step(last);
        usec_t since = lists_time(step ? step : last, "startedAt");
        _cleanup_free_ char *when = since > 0 ? moment(x, since) : NULL;

        /* In a pause only a step runs on; what is between two, or has its answer, waits for the end of it, of which is told already. */
        if (!x->outline && !step && streq(string_of(x->run, "state"), "paused"))
                return;
        if (!when)
                add(x, "step", string_of(a, "name"), since, NULL, NULL, xasprintf(_("Activity %s runs."), string_of(a, "name")));
        else
                add(x, "step", string_of(a, "name"), since, NULL, NULL,
                    step ? xasprintf(_("Activity %s runs its step %s since %s."), string_of(a, "name"), string_of(step, "name"), when)
                         : xasprintf(_("Activity %s runs since %s."), string_of(a, "name"), when));
}

static void explain_activities(Explain *x, const Json *requests) {
        const Json *activities = json_get(x->run, "activities");

        for (size_t i = 0; i < json_length(requests); i++)
                explain_request(x, json_at(requests, i));
        for (size_t i = 0; i < json_length(activities); i++) {
                const Json *a = json_at(activities, i);
                if (json_bool(json_get(a, "waitsForSlot")))
                        continue;
                if (streq(string_of(a, "state"), "backoff"))
                        explain_backoff(x, a);
                else if (streq(string_of(a, "state"), "running"))
                        explain_running(x, a);
        }
}

/* They can be very many, and there is nothing else to say of each. */
static void explain_slots(Explain *x) {
        const Json *activities = json_get(x->run, "activities"), *first = NULL;
        unsigned n = 0;

        for (size_t i = 0; i < json_length(activities); i++) {
                const Json *a = json_at(activities, i);
                if (!json_bool(json_get(a, "waitsForSlot")))
                        continue;
                first = first ? first : a;
                n++;
        }
        if (n == 1)
                add(x, "slot", string_of(first, "name"), 0, NULL, NULL,
                    xasprintf(_("Activity %s waits for a free place: as many steps run on this machine as MaxSteps= allows."),
                              string_of(first, "name")));
        else if (n > 1)
                add(x, "slot", string_of(first, "name"), 0, NULL, NULL,
                    xasprintf(_("Activity %s and %u more wait for a free place: as many steps run on this machine as MaxSteps= allows."),
                              string_of(first, "name"), n - 1));
}

/* Its next step is about to start, or to end. */
static void explain_motion(Explain *x) {
        const char *runbook = string_of(x->run, "runbook");

        add(x, NULL, NULL, 0, NULL, NULL,
            x->outline ? xasprintf(_("Run %u (%s) waits for no person and for no time: it is about to go on, or other runs have to make "
                                     "room."),
                                   x->id, runbook)
                       : xasprintf(_("Run %u (%s) waits for nothing: it is about to go on."), x->id, runbook));
}

static const struct {
        const char *state;
        void (*explain)(Explain *x);
} states[] = {
        {"scheduled", explain_scheduled},
        {"queued", explain_queued},
        {"paused", explain_paused},
};

static void explain(Explain *x, const Json *requests) {
        const char *state = string_of(x->run, "state");

        if (one_of(lists_states_in_progress, state)) {
                for (size_t i = 0; i < ELEMENTSOF(states); i++)
                        if (streq(states[i].state, state))
                                states[i].explain(x);
                if (streq(state, "running") && streq(string_of(x->run, "statusText"), "cancelling"))
                        explain_cancelling(x);
                explain_activities(x, requests);
                if (streq(state, "running"))
                        explain_slots(x);
                if (json_length(x->entries) == 0)
                        explain_motion(x);
        } else
                explain_end(x, state);
}

int explain_run(Ctl *c, const Target *t, const Json *run, const Json *requests, Json **ret) {
        Explain x = {.ctl = c, .id = t->run, .target = t, .run = run, .entries = json_new_array(),
                     .now = now_usec(CLOCK_REALTIME), .outline = is_outline(run)};

        x.failed = !x.entries;
        if (!x.failed)
                explain(&x, requests);
        json_unref(x.events);
        if (x.failed) {
                json_unref(x.entries);
                return ctl_oom(c);
        }
        *ret = x.entries;
        return 0;
}
