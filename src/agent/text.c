/* The words of notifications. What comes from a run (titles, messages, errors) may be anything: it is cut and cleaned when it is taken
 * in, and escaped only when it is rendered for a server that reads markup, so nothing is escaped twice or cut inside an entity. A
 * notification always names its request as RUN/ACTIVITY, which is what one types to get there. */
#include "text.h"

#include <stdio.h>

#include "bus-names.h"
#include "fd-util.h"
#include "hint.h"
#include "i18n.h"
#include "strbuf.h"
#include "utf8.h"

#define ELLIPSIS "\xe2\x80\xa6"
#define URGENCY_NORMAL 1
#define URGENCY_CRITICAL 2

static const char *const request_kind_table[_KIND_MAX] = {
        [KIND_APPROVAL] = "approval",
        [KIND_INPUT] = "input",
        [KIND_DECISION] = "decision",
};
DEFINE_NAME_TABLE(RequestKind, request_kind, request_kind_table);

static const char *const action_table[_ACTION_MAX] = {
        [ACTION_APPROVE] = "approve",
        [ACTION_REJECT] = "reject",
        [ACTION_RETRY] = "retry",
        [ACTION_IGNORE] = "ignore",
        [ACTION_OPEN] = "open",
};
DEFINE_NAME_TABLE(Action, action, action_table);

const char *action_member(Action a) {
        static const char *const table[_ACTION_MAX] = {
                [ACTION_APPROVE] = "Approve",
                [ACTION_REJECT] = "Reject",
                [ACTION_RETRY] = "Retry",
                [ACTION_IGNORE] = "Ignore",
        };
        return table[a];
}

const char *action_label(Action a) {
        switch (a) {
        case ACTION_APPROVE:
                return _("Approve");
        case ACTION_REJECT:
                return _("Reject");
        case ACTION_RETRY:
                return _("Retry");
        case ACTION_IGNORE:
                return _("Ignore");
        case ACTION_OPEN:
                return _("Open");
        case _ACTION_MAX:
        case _ACTION_INVALID:
                break;
        }
        return "";
}

/* ---- text from outside ---- */

static void trim(char *s) {
        size_t start = strspn(s, " \n\t"), n = strlen(s);
        while (n > start && strchr(" \n\t", s[n - 1]))
                n--;
        memmove(s, s + start, n - start);
        s[n - start] = 0;
}

/* The length of what may stay of s: at most so many bytes and lines. */
static size_t fitting(const char *s, size_t max, unsigned lines) {
        size_t n = 0;
        for (const char *p = s; *p && (size_t) (p - s) <= max; p++) {
                if (*p == '\n' && --lines == 0)
                        return (size_t) (p - s);
                n = (size_t) (p - s) + 1;
        }
        return MIN(n, max);
}

char *text_clean(const char *s, size_t max, unsigned lines) {
        /* No more than this is even looked at: an escape sequence shrinks, one bad byte becomes three. */
        _cleanup_free_ char *valid = utf8_make_valid(s, strnlen(s, 16 * max), SIZE_MAX), *clean = valid ? text_for_terminal(valid) : NULL;
        _cleanup_strbuf_ StrBuf b = {};
        if (!clean)
                return NULL;
        if (lines == 1)
                for (char *p = clean; *p; p++)
                        if (*p == '\n' || *p == '\t')
                                *p = ' ';
        trim(clean);
        size_t n = fitting(clean, max, lines);
        if (!clean[n] && strnlen(s, 16 * max) < 16 * max)
                return TAKE_PTR(clean);
        strbuf_append_n(&b, clean, utf8_valid_prefix(clean, n));
        strbuf_append(&b, ELLIPSIS);
        return strbuf_take(&b);
}

char *text_escape_markup(const char *s) {
        static const struct {
                char c;
                const char *entity;
        } table[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}};
        _cleanup_strbuf_ StrBuf b = {};
        for (; *s; s++) {
                const char *entity = NULL;
                for (size_t i = 0; i < ELEMENTSOF(table); i++)
                        if (*s == table[i].c)
                                entity = table[i].entity;
                if (entity)
                        strbuf_append(&b, entity);
                else
                        strbuf_append_c(&b, *s);
        }
        return strbuf_take(&b);
}

void request_info_done(RequestInfo *i) {
        free(i->activity);
        free(i->runbook);
        free(i->title);
        free(i->message);
        free(i->context);
        *i = (RequestInfo) {};
}

/* ---- notes ---- */

Note *note_free(Note *n) {
        if (!n)
                return NULL;
        free(n->summary);
        free(n->body);
        free(n->reference);
        free(n->advice);
        free(n);
        return NULL;
}

bool note_equal(const Note *a, const Note *b) {
        return streq(a->summary, b->summary) && streq(a->body, b->body) && streq_ptr(a->advice, b->advice) &&
               a->n_buttons == b->n_buttons && memcmp(a->buttons, b->buttons, a->n_buttons * sizeof(a->buttons[0])) == 0;
}

unsigned capability_from_string(const char *s) {
        static const struct {
                const char *name;
                Capability bit;
        } table[] = {{"actions", CAPABILITY_ACTIONS}, {"body", CAPABILITY_BODY}, {"body-markup", CAPABILITY_MARKUP}};
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(table[i].name, s))
                        return table[i].bit;
        return 0;
}

char *note_render_summary(const Note *n, unsigned capabilities) {
        if (capabilities & CAPABILITY_BODY || !n->reference)
                return strdup(n->summary);
        return xasprintf("%s (%s)", n->summary, n->reference);
}

char *note_render_body(const Note *n, unsigned capabilities) {
        _cleanup_free_ char *plain = NULL;
        if (capabilities & CAPABILITY_ACTIONS || !n->advice)
                plain = strdup(n->body);
        else
                plain = xasprintf("%s%s%s", n->body, *n->body ? "\n" : "", n->advice);
        if (!plain || !(capabilities & CAPABILITY_MARKUP))
                return TAKE_PTR(plain);
        return text_escape_markup(plain);
}

static int finish(Note **n, Note **ret) {
        if (!(*n)->summary || !(*n)->body)
                return -ENOMEM;
        *ret = TAKE_PTR(*n);
        return 0;
}

/* ---- a request ---- */

/* Where a person has to fill in something, a button can't answer; to reject needs nothing. Abort is there through Open only. */
static void set_buttons(Note *n, const RequestInfo *i) {
        static const struct {
                size_t n;
                Action buttons[BUTTONS_MAX];
        } table[_KIND_MAX] = {
                [KIND_APPROVAL] = {3, {ACTION_APPROVE, ACTION_REJECT, ACTION_OPEN}},
                [KIND_INPUT] = {1, {ACTION_OPEN}},
                [KIND_DECISION] = {3, {ACTION_RETRY, ACTION_IGNORE, ACTION_OPEN}},
        };
        n->n_buttons = 0;
        for (size_t k = 0; k < table[i->kind].n; k++)
                if (table[i->kind].buttons[k] != ACTION_APPROVE || !i->wants_fields)
                        n->buttons[n->n_buttons++] = table[i->kind].buttons[k];
}

static char *summary_of(const RequestInfo *i) {
        if (!isempty(i->title))
                return strdup(i->title);
        switch (i->kind) {
        case KIND_APPROVAL:
                return xasprintf(_("%s needs your approval"), i->activity);
        case KIND_INPUT:
                return xasprintf(_("%s needs your input"), i->activity);
        case KIND_DECISION:
                return xasprintf(_("%s has failed. What now?"), i->activity);
        case _KIND_MAX:
        case _KIND_INVALID:
                break;
        }
        return NULL;
}

static void add_paragraph(StrBuf *b, const char *text) {
        if (isempty(text))
                return;
        strbuf_append_c(b, '\n');
        strbuf_append(b, text);
}

static char *body_of(const RequestInfo *i) {
        _cleanup_strbuf_ StrBuf b = {};
        if (isempty(i->runbook))
                strbuf_appendf(&b, _("Request %u/%s"), i->run, i->activity);
        else
                strbuf_appendf(&b, _("Request %u/%s of %s"), i->run, i->activity, i->runbook);
        add_paragraph(&b, i->message);
        add_paragraph(&b, i->context);
        if (i->deadline > 0 && i->deadline != USEC_INFINITY) {
                _cleanup_free_ char *when = format_timestamp(i->deadline), *line = when ? xasprintf(_("Until %s"), when) : NULL;
                if (!line)
                        return NULL;
                add_paragraph(&b, line);
        }
        return strbuf_take(&b);
}

static char *advice_of(const RequestInfo *i, const char *command) {
        switch (i->kind) {
        case KIND_APPROVAL:
                if (i->wants_fields)
                        return xasprintf(_("Answer with: %s watch %u"), command, i->run);
                return xasprintf(_("Answer with: %1$s approve %2$u/%3$s\nor: %1$s reject %2$u/%3$s -m WHY"), command, i->run, i->activity);
        case KIND_INPUT:
                return xasprintf(_("Answer with: %s provide %u/%s NAME=VALUE"), command, i->run, i->activity);
        case KIND_DECISION:
                return xasprintf(_("Decide with: %1$s retry %2$u/%3$s\nor: %1$s ignore %2$u/%3$s -m WHY\nor: %1$s abort %2$u/%3$s -m WHY"),
                                 command, i->run, i->activity);
        case _KIND_MAX:
        case _KIND_INVALID:
                break;
        }
        return NULL;
}

int note_of_request(const RequestInfo *i, const char *command, Note **ret) {
        static const struct {
                const char *icon, *category;
                uint8_t urgency;
        } table[_KIND_MAX] = {
                [KIND_APPROVAL] = {"dialog-question", "x-runbookd.approval", URGENCY_NORMAL},
                [KIND_INPUT] = {"dialog-question", "x-runbookd.input", URGENCY_NORMAL},
                [KIND_DECISION] = {"dialog-warning", "x-runbookd.decision", URGENCY_CRITICAL},
        };
        _cleanup_(note_freep) Note *n = calloc(1, sizeof(*n));
        if (!n)
                return -ENOMEM;
        *n = (Note) {
                .summary = summary_of(i),
                .body = body_of(i),
                .reference = xasprintf("%u/%s", i->run, i->activity),
                .advice = advice_of(i, command),
                .icon = table[i->kind].icon,
                .category = table[i->kind].category,
                .urgency = table[i->kind].urgency,
        };
        set_buttons(n, i);
        if (!n->reference || !n->advice)
                return -ENOMEM;
        return finish(&n, ret);
}

int note_of_more(size_t count, const char *command, Note **ret) {
        _cleanup_(note_freep) Note *n = calloc(1, sizeof(*n));
        if (!n)
                return -ENOMEM;
        *n = (Note) {
                .summary = xasprintf(P_("%zu more request waits for you", "%zu more requests wait for you", count), count),
                .body = xasprintf(_("All are listed by: %s inbox"), command),
                .icon = "dialog-question",
                .category = "x-runbookd.more",
                .urgency = URGENCY_NORMAL,
                .buttons = {ACTION_OPEN},
                .n_buttons = 1,
        };
        return finish(&n, ret);
}

/* ---- what went wrong ---- */

static char *refusal_body(Action a, const char *error, const char *message, uint32_t run, const char *activity, const char *command) {
        if (streq(error, BUS_ERROR_PREFIX "AlreadyAnswered"))
                return strdup(_("It was answered before. Nothing has been changed."));
        if (streq(error, BUS_ERROR_PREFIX "WrongState") || streq(error, BUS_ERROR_PREFIX "NoSuchRun") ||
            streq(error, "org.freedesktop.DBus.Error.UnknownObject"))
                return xasprintf(_("It no longer waits for an answer. See what goes on with: %s status %u"), command, run);
        if (streq(error, BUS_ERROR_PREFIX "NotApprover"))
                return xasprintf(_("You are not among those who may answer it. See who is with: %s status %u/%s"), command, run, activity);
        if (streq(error, "org.freedesktop.DBus.Error.AccessDenied"))
                return strdup(_("You are not allowed to, or the password was not accepted. Try again, or ask an administrator."));
        if (streq(error, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"))
                return xasprintf(_("It takes a password, and no program of this session asks for one. In a terminal you are asked: "
                                   "%s %s %u/%s"), command, strempty(action_to_string(a)), run, activity);
        if (streq(error, BUS_ERROR_PREFIX "InvalidInput"))
                return strdup(_("It asks for more than yes or no. Press Open to fill it in."));
        if (streq(error, "org.freedesktop.DBus.Error.ServiceUnknown") || streq(error, "org.freedesktop.DBus.Error.NameHasNoOwner") ||
            streq(error, "org.freedesktop.DBus.Error.NoReply") || streq(error, "org.freedesktop.DBus.Error.Disconnected") ||
            streq(error, "org.freedesktop.DBus.Error.Timeout"))
                return strdup(_("runbookd can't be reached, or it does not answer. Try again when it is back."));
        _cleanup_free_ char *filled = hint_fill(message, command);
        return filled ? text_clean(filled, TEXT_MAX, TEXT_LINES_MAX) : NULL;
}

static char *refusal_summary(Action a, uint32_t run, const char *activity) {
        switch (a) {
        case ACTION_APPROVE:
                return xasprintf(_("%u/%s was not approved"), run, activity);
        case ACTION_REJECT:
                return xasprintf(_("%u/%s was not rejected"), run, activity);
        case ACTION_RETRY:
                return xasprintf(_("%u/%s was not tried again"), run, activity);
        case ACTION_IGNORE:
                return xasprintf(_("The failure of %u/%s was not ignored"), run, activity);
        case ACTION_OPEN:
        case _ACTION_MAX:
        case _ACTION_INVALID:
                break;
        }
        return NULL;
}

static int note_of_error(char *summary, char *body, Note **ret) {
        _cleanup_(note_freep) Note *n = calloc(1, sizeof(*n));
        if (!n) {
                free(summary);
                free(body);
                return -ENOMEM;
        }
        *n = (Note) {
                .summary = summary,
                .body = body,
                .icon = "dialog-error",
                .category = "x-runbookd.error",
                .urgency = URGENCY_NORMAL,
                .transient = true,
        };
        return finish(&n, ret);
}

int note_of_refusal(Action a, uint32_t run, const char *activity, const char *error, const char *message, const char *command, Note **ret) {
        return note_of_error(refusal_summary(a, run, activity), refusal_body(a, error, strempty(message), run, activity, command), ret);
}

int note_of_open_failure(const char *typed, const char *why, Note **ret) {
        char *body = xasprintf(_("%s Type it yourself: %s\nOr say in agent.conf, as OpenCommand=, what is to be started."), why, typed);
        return note_of_error(strdup(_("No terminal could be opened")), body, ret);
}
