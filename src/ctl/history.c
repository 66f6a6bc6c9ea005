/* On the bus an event's data is one JSON object in which its place (activity, attempt, step) and the user's name stand beside what the type
 * has; here they get members of their own. */
#include "history.h"

#include "client.h"
#include "fd-util.h"
#include "i18n.h"
#include "lists.h"
#include "style.h"

#define PAGE_EVENTS 1000u
#define UID_NONE UINT32_MAX

typedef struct EventRow {
        uint32_t seq, uid;
        uint64_t at;
        const char *type, *subject, *data;
} EventRow;

/* Takes a member out of data into the event; null where it isn't there. */
static int move_member(Json *data, const char *key, Json *event) {
        Json *v = json_ref(json_get(data, key));

        json_del(data, key);
        return json_set(event, key, v);
}

static int event_to_json(const EventRow *e, Json **ret) {
        _cleanup_json_ Json *j = json_new_object(), *data = NULL;
        static const char *const place[] = {"activity", "attempt", "step"};

        if (!j)
                return -ENOMEM;
        int r = json_parse(e->data, strlen(e->data), &data);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        if (json_type(data) != JSON_OBJECT)
                return -EBADMSG;
        r = json_set_uint(j, "seq", e->seq);
        if (r >= 0)
                r = json_set_uint(j, "at", e->at);
        if (r >= 0)
                r = json_set_string(j, "type", e->type);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(place); i++)
                r = move_member(data, place[i], j);
        if (r >= 0)
                r = json_set(j, "uid", e->uid == UID_NONE ? NULL : json_new_uint(e->uid));
        if (r >= 0)
                r = move_member(data, "user", j);
        if (r >= 0)
                r = json_set(j, "data", TAKE_PTR(data));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

/* Returns how many there were; *last is the last one's number. */
static int read_page(sd_bus_message *reply, Json *events, uint32_t *last) {
        EventRow e;
        int n = 0;

        int r = sd_bus_message_enter_container(reply, 'a', "(utusss)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(utusss)", &e.seq, &e.at, &e.uid, &e.type, &e.subject, &e.data)) > 0) {
                Json *j = NULL;
                r = event_to_json(&e, &j);
                if (r >= 0)
                        r = json_append(events, j);
                if (r < 0)
                        return r;
                *last = e.seq;
                n++;
        }
        return r < 0 ? r : n;
}

static int call_page(Ctl *c, const char *run_path, uint32_t from, uint32_t max, sd_bus_error *error, sd_bus_message **ret) {
        _cleanup_message_ sd_bus_message *m = NULL;

        if (!error)
                return client_call(c, run_path, BUS_RUN, "GetHistory", ret, "uu", from, max);
        int r = client_new_call(c, run_path, BUS_RUN, "GetHistory", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "uu", from, max);
        return r < 0 ? r : client_try(c, m, error, ret);
}

int history_read(Ctl *c, const char *run_path, uint32_t from, uint32_t max, Json *events, sd_bus_error *error) {
        uint32_t left = max > 0 ? max : UINT32_MAX, last = 0;

        while (left > 0) {
                _cleanup_message_ sd_bus_message *reply = NULL;
                uint32_t want = MIN(left, PAGE_EVENTS);
                int r = call_page(c, run_path, from, want, error, &reply);
                if (r < 0)
                        return r;
                r = read_page(reply, events, &last);
                if (r < 0)
                        return error ? r : client_parse_error(c, r);
                /* A page may be shorter than we asked for: only an empty one is the end. */
                if (r == 0 || last < from)
                        break;
                from = last + 1;
                left -= MIN(left, (uint32_t) r);
        }
        return 0;
}

static const struct {
        const char *type, *words;
} words_table[] = {
        {"run-created", N_("run created")},
        {"run-workspace", N_("workspace copied")},
        {"run-start-now", N_("early start asked for")},
        {"run-rescheduled", N_("start moved")},
        {"run-started", N_("run started")},
        {"run-state", N_("run is now")},
        {"run-paused", N_("run paused")},
        {"run-resumed", N_("run goes on")},
        {"run-backoff", N_("run waits for its next try")},
        {"run-cancel", N_("cancel asked for")},
        {"run-timed-out", N_("the run's time is over")},
        {"run-gave-up", N_("runbookd gave up")},
        {"run-finished", N_("run ended")},
        {"inputs-changed", N_("inputs changed")},
        {"definition-changed", N_("runbook read again")},
        {"phase-started", N_("phase started")},
        {"phase-finished", N_("phase ended")},
        {"attempt-started", N_("attempt started")},
        {"attempt-timed-out", N_("the activity's time is over")},
        {"attempt-finished", N_("attempt ended")},
        {"hook-timed-out", N_("the hooks' time is over")},
        {"step-started", N_("step started")},
        {"step-timed-out", N_("the step's time is over")},
        {"step-finished", N_("step ended")},
        {"request-opened", N_("asks for a person")},
        {"request-answered", N_("answered")},
        {"inputs-wanted", N_("waits for input")},
        {"activity-reused", N_("taken over")},
        {"activity-backoff", N_("waits for its next attempt")},
        {"activity-held", N_("waits for a decision")},
        {"activity-decided", N_("decided")},
        {"activity-finished", N_("activity ended")},
};

const char *history_words(const char *type) {
        for (size_t i = 0; i < ELEMENTSOF(words_table); i++)
                if (streq(words_table[i].type, type))
                        return _(words_table[i].words);
        return type;
}

static void append_part(StrBuf *b, const char *text) {
        if (!isempty(text))
                strbuf_appendf(b, "%s%s", b->n > 0 ? "; " : "", text);
}

static void append_error(StrBuf *b, const Json *error) {
        const char *message = json_string(json_get(error, "message")), *code = json_string(json_get(error, "code"));

        append_part(b, isempty(message) ? code : message);
        if (!isempty(message) && !isempty(code))
                strbuf_appendf(b, " (%s)", code);
}

/* Members whose text speaks for itself, in the order in which they are said. */
static const char *const text_members[] = {"action", "state", "cause", "runbook", "title", "reason", "comment"};

#define HASH_SHOWN 12                                   /* characters of a definition's hash, enough to tell it from others */
#define VALUE_SHOWN_MAX 60u                             /* columns of an input's value */

static char *value_text(const Json *value) {
        _cleanup_free_ char *text = value ? json_to_string(value, false) : strdup(_("nothing")), *clean = text ? text_one_line(text) : NULL;
        return clean ? text_ellipsize(clean, VALUE_SHOWN_MAX) : NULL;
}

/* "version: "1.2" → "1.3"" for each. */
static void append_changes(StrBuf *b, const Json *data) {
        JSON_OBJECT_FOREACH(json_get(data, "changes"), name, change) {
                _cleanup_free_ char *old = value_text(json_get(change, "old")), *new = value_text(json_get(change, "new"));
                _cleanup_free_ char *s = xasprintf("%s: %s %s %s", name, strempty(old), symbol(SYMBOL_BECOMES), strempty(new));
                append_part(b, s);
        }
}

/* "note: "fine"; level: 3": what was answered. */
static void append_answer(StrBuf *b, const Json *data) {
        if (json_bool(json_get(data, "override")))
                append_part(b, _("although not asked"));
        JSON_OBJECT_FOREACH(json_get(data, "fields"), name, value) {
                _cleanup_free_ char *text = value_text(value), *s = xasprintf("%s: %s", name, strempty(text));
                append_part(b, s);
        }
}

static void append_wanted(StrBuf *b, const Json *data) {
        const Json *inputs = json_get(data, "inputs");

        for (size_t i = 0; i < json_length(inputs); i++)
                strbuf_appendf(b, "%s%s", i > 0 ? ", " : b->n > 0 ? "; " : "", strempty(json_string(json_at(inputs, i))));
}

static void append_definition(StrBuf *b, const Json *data) {
        const char *old = json_string(json_get(data, "previous")), *new = json_string(json_get(data, "definition"));
        _cleanup_free_ char *s = xasprintf("%.*s %s %.*s", HASH_SHOWN, strempty(old), symbol(SYMBOL_BECOMES), HASH_SHOWN, strempty(new));
        append_part(b, s);
}

static void append_from_run(StrBuf *b, const Json *data) {
        unsigned run = (unsigned) json_int(json_get(data, "run"));
        _cleanup_free_ char *s = run > 0 ? xasprintf(_("from run %u"), run) : NULL;
        append_part(b, s);
}

static void append_replay_of(StrBuf *b, const Json *data) {
        unsigned run = (unsigned) json_int(json_get(data, "replayOf"));
        bool rerun = streq_ptr(json_string(json_get(data, "trigger")), "rerun");
        _cleanup_free_ char *s = run == 0 ? NULL : rerun ? xasprintf(_("rerun of run %u"), run) : xasprintf(_("replay of run %u"), run);
        append_part(b, s);
}

/* What only these types have to say. */
static const struct {
        const char *type;
        void (*append)(StrBuf *b, const Json *data);
} special_table[] = {
        {"run-created", append_replay_of},
        {"inputs-changed", append_changes},
        {"request-answered", append_answer},
        {"inputs-wanted", append_wanted},
        {"definition-changed", append_definition},
        {"activity-reused", append_from_run},
        {"run-workspace", append_from_run},
};

/* What a time means where it is not the end of a wait. */
static char *until_text(const char *type, usec_t until) {
        _cleanup_free_ char *when = format_timestamp(until);

        if (until == 0)
                return NULL;
        if (streq(type, "run-created") || streq(type, "run-rescheduled"))
                return xasprintf(_("starts at %s"), strempty(when));
        return xasprintf(_("until %s"), strempty(when));
}

char *history_detail(const Json *event) {
        _cleanup_strbuf_ StrBuf b = {};
        const char *type = strempty(json_string(json_get(event, "type")));
        const Json *data = json_get(event, "data");
        _cleanup_free_ char *until = until_text(type, lists_time(data, "until"));

        for (size_t i = 0; i < ELEMENTSOF(text_members); i++)
                append_part(&b, json_string(json_get(data, text_members[i])));
        for (size_t i = 0; i < ELEMENTSOF(special_table); i++)
                if (streq(special_table[i].type, type))
                        special_table[i].append(&b, data);
        if (json_get(data, "error"))
                append_error(&b, json_get(data, "error"));
        else if (json_int(json_get(data, "exitCode")) != 0) {
                _cleanup_free_ char *s = xasprintf(_("exit status %d"), (int) json_int(json_get(data, "exitCode")));
                append_part(&b, s);
        }
        append_part(&b, until);
        if (json_bool(json_get(data, "interrupted")))
                append_part(&b, _("interrupted"));
        _cleanup_free_ char *s = strbuf_take(&b);
        return s ? text_one_line(s) : NULL;
}

char *history_subject(const Json *event) {
        const char *activity = json_string(json_get(event, "activity")), *step = json_string(json_get(event, "step"));
        const char *phase = json_string(json_get(json_get(event, "data"), "phase"));
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_append(&b, activity ? activity : strempty(phase));
        if (activity && step)
                strbuf_appendf(&b, "/%s", step);
        _cleanup_free_ char *s = strbuf_take(&b);
        return s ? text_one_line(s) : NULL;
}

/* The name, else the number. */
static char *person(const char *name, const Json *uid) {
        return isempty(name) ? xasprintf("%" PRIi64, json_int(uid)) : text_one_line(name);
}

/* Who had logged in, where that was somebody else; NULL: it wasn't, or isn't known. */
static const Json *other_login(const Json *event) {
        const Json *login = json_get(json_get(event, "data"), "loginUid"), *uid = json_get(event, "uid");
        return login && uid && json_int(login) != json_int(uid) ? login : NULL;
}

/* as: whom the event names. */
static char *with_login(const Json *event, const char *as) {
        const Json *login = other_login(event);
        _cleanup_free_ char *name = login ? person(json_string(json_get(json_get(event, "data"), "loginUser")), login) : NULL;

        return !login ? strdup(as) : name ? xasprintf(_("%s (as %s)"), name, as) : NULL;
}

char *history_who(const Json *event) {
        const Json *uid = json_get(event, "uid");
        _cleanup_free_ char *user = uid ? person(json_string(json_get(event, "user")), uid) : strdup("runbookd");

        return user ? with_login(event, user) : NULL;
}

char *history_who_uid(const Json *event) {
        const Json *uid = json_get(event, "uid");
        const char *user = json_string(json_get(event, "user"));
        _cleanup_free_ char *name = NULL, *text = NULL;

        if (!uid || isempty(user))
                return history_who(event);
        name = person(user, uid);
        if (name)
                text = xasprintf(other_login(event) ? "%s, %" PRIi64 : "%s (%" PRIi64 ")", name, json_int(uid));
        return text ? with_login(event, text) : NULL;
}

const char *history_session(const Json *event) {
        return json_string(json_get(json_get(event, "data"), "session"));
}

static bool is_person(const Json *uid, const Json *user, const char *name_or_uid) {
        char number[24];

        (void) snprintf(number, sizeof(number), "%" PRIi64, json_int(uid));
        return uid && (streq(number, name_or_uid) || streq_ptr(json_string(user), name_or_uid));
}

bool history_is_by(const Json *event, const char *name_or_uid) {
        const Json *data = json_get(event, "data");

        return is_person(json_get(event, "uid"), json_get(event, "user"), name_or_uid) ||
               is_person(json_get(data, "loginUid"), json_get(data, "loginUser"), name_or_uid);
}
