/* What a notification says, and which buttons it has: from a request to the words, without any bus. */
#pragma once

#include "name-table.h"
#include "time-util.h"

typedef enum RequestKind { KIND_APPROVAL, KIND_INPUT, KIND_DECISION, _KIND_MAX, _KIND_INVALID = -EINVAL } RequestKind;
DECLARE_NAME_TABLE(RequestKind, request_kind);

/* The names are the keys of the buttons, as the notification server sends them back. */
typedef enum Action {
        ACTION_APPROVE,
        ACTION_REJECT,
        ACTION_RETRY,
        ACTION_IGNORE,
        ACTION_OPEN,
        _ACTION_MAX,
        _ACTION_INVALID = -EINVAL,
} Action;
DECLARE_NAME_TABLE(Action, action);
const char *action_member(Action a);                    /* the method of org.runbookd1.Activity; NULL: none (Open) */

/* A request as far as it is shown; all text is cut and cleaned when it is taken in. */
typedef struct RequestInfo {
        uint32_t run;
        RequestKind kind;
        char *activity, *runbook;                       /* runbook: NULL where it isn't known */
        char *title, *message, *context;                /* NULL: none */
        usec_t deadline, opened_at;                     /* 0: none, not known */
        bool wants_fields;                              /* no answer without filling in something */
} RequestInfo;
void request_info_done(RequestInfo *i);

#define TEXT_MAX 1024u                                  /* bytes of a message that are kept and shown */
#define TEXT_LINES_MAX 12u
#define SUMMARY_MAX 160u
#define NAME_MAX_SHOWN 80u                              /* bytes of names: their own limit is 64 */

/* Text from outside, made fit to be shown: nothing that drives a terminal or turns the direction of reading around, at most max bytes and
 * so many lines (with one line, newlines become spaces), an ellipsis where something is missing, no space at the ends. New string. */
char *text_clean(const char *s, size_t max, unsigned lines);
char *text_escape_markup(const char *s);                /* new string */

#define BUTTONS_MAX 4u

/* One notification, in plain text. */
typedef struct Note {
        char *summary, *body, *reference;               /* reference: "12/qa", for servers that show no body; NULL: none */
        char *advice;                                   /* what to type, for servers without buttons; NULL: nothing */
        Action buttons[BUTTONS_MAX];
        size_t n_buttons;
        const char *icon, *category;
        uint8_t urgency;
        bool transient;                                 /* not worth keeping */
} Note;
Note *note_free(Note *n);
DEFINE_CLEANUP(Note *, note_free)
bool note_equal(const Note *a, const Note *b);

/* What the notification server can do. */
typedef enum Capability { CAPABILITY_ACTIONS = 1 << 0, CAPABILITY_BODY = 1 << 1, CAPABILITY_MARKUP = 1 << 2 } Capability;
unsigned capability_from_string(const char *s);         /* 0: one that we make no use of */

const char *action_label(Action a);                     /* translated */
char *note_render_summary(const Note *n, unsigned capabilities);
char *note_render_body(const Note *n, unsigned capabilities);

/* `command`: how runbookctl is called, "runbookctl" or "runbookctl --user". All four return 0 or -ENOMEM. */
int note_of_request(const RequestInfo *i, const char *command, Note **ret);
int note_of_more(size_t n, const char *command, Note **ret);            /* so many more requests than are shown */
/* An answer that did not take effect: the error's name and text as they came over the bus. */
int note_of_refusal(Action a, uint32_t run, const char *activity, const char *error, const char *message, const char *command, Note **ret);
int note_of_open_failure(const char *typed, const char *why, Note **ret);        /* typed: the command to type instead */
