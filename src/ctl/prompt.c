/* A small machine that is fed lines, so that everything else goes on while somebody thinks. What the daemon refuses (a wrong field, say) is
 * printed and asked again, with what was typed before as the value that Enter takes; when the question has gone (somebody else answered),
 * our caller drops it. */
#include "prompt.h"

#include "answer.h"
#include "i18n.h"
#include "lists.h"
#include "style.h"
#include "values.h"
#include "view.h"
#include "waits.h"

typedef enum Stage { STAGE_CHOICE, STAGE_FIELD, STAGE_COMMENT } Stage;

/* What can be chosen, and which method carries it out; NULL: none, the question is put off. */
typedef struct Choice {
        const char *name, *member;
        enum { ASK_NOTHING, ASK_FIELDS, ASK_WHY } then;
} Choice;

static const struct Question {
        const char *kind, *headline, *choices_text;
        Choice choices[4];
} questions[] = {
        /* TRANSLATORS: the letters are typed, so keep them; a translated word may be typed as a whole. */
        {"approval", N_("%s wants an approval"), N_("[a]pprove, [r]eject, [s]kip?"),
         {{N_("approve"), "Approve", ASK_FIELDS}, {N_("reject"), "Reject", ASK_WHY}, {N_("skip"), NULL, ASK_NOTHING}}},
        {"input", N_("%s wants input"), N_("[p]rovide, [s]kip?"),
         {{N_("provide"), "Provide", ASK_FIELDS}, {N_("skip"), NULL, ASK_NOTHING}}},
        {"decision", N_("%s failed: what now?"), N_("[r]etry, [i]gnore, [a]bort, [l]ater?"),
         {{N_("retry"), "Retry", ASK_WHY}, {N_("ignore"), "Ignore", ASK_WHY}, {N_("abort"), "Abort", ASK_WHY},
          {N_("later"), NULL, ASK_NOTHING}}},
};

struct Prompt {
        Ctl *ctl;
        uint32_t run;
        char *activity, *path;
        Json *request, *fields;
        const struct Question *question;
        const Choice *choice;                           /* that was made */
        Stage stage;
        size_t field;                                   /* that is being asked for */
};

static void print_lines(const char *text) {
        _cleanup_free_ char *clean = text_lines(text);

        for (char *s = clean, *e; s && *s; s = e) {
                e = s + strcspn(s, "\n");
                out("    %.*s\n", (int) (e - s), s);
                e += *e == '\n';
        }
}

static void print_who(const Prompt *p) {
        bool named = json_length(json_get(p->request, "approvers")) > 0;
        _cleanup_free_ char *who = waits_who(p->request), *asked = who ? text_one_line(who) : NULL;
        _cleanup_free_ char *answers = waits_answers(p->request), *given = answers ? text_one_line(answers) : NULL;

        if (named)
                out("  %s %s\n", _("Who can act:"), strempty(asked));
        if (!isempty(given))
                out("  %s\n", given);
}

static void print_request(const Prompt *p, const char *place) {
        usec_t deadline = lists_time(p->request, "deadline");
        _cleanup_free_ char *title = text_one_line(json_string(json_get(p->request, "title"))),
                            *error = view_error(json_get(p->request, "error"), NULL);

        out("%s%s ", tone_on(TONE_WARN), symbol(SYMBOL_WAITING));
        out(_(p->question->headline), place);
        out("%s\n", tone_off(TONE_WARN));
        if (error)
                out("  %s%s%s\n", tone_on(TONE_BAD), error, tone_off(TONE_BAD));
        if (!isempty(title) && !streq(title, p->activity))
                out("  %s%s%s\n", tone_on(TONE_BOLD), title, tone_off(TONE_BOLD));
        print_lines(json_string(json_get(p->request, "message")));
        print_lines(json_string(json_get(p->request, "context")));
        print_who(p);
        if (deadline > 0) {
                _cleanup_free_ char *until = format_timestamp(deadline);
                out("  ");
                out(_("until %s"), strempty(until));
                out("\n");
        }
}

static const struct Question *question_of(const char *kind) {
        for (size_t i = 0; i < ELEMENTSOF(questions); i++)
                if (streq_ptr(questions[i].kind, kind))
                        return questions + i;
        return NULL;
}

bool prompt_knows(const char *kind) {
        return question_of(kind) != NULL;
}

int prompt_new(Ctl *c, uint32_t run, const char *run_path, const char *activity, const char *place, const Json *request, Prompt **ret) {
        _cleanup_(prompt_freep) Prompt *p = calloc(1, sizeof(Prompt));

        if (!p)
                return ctl_oom(c);
        *p = (Prompt){.ctl = c,
                      .run = run,
                      .activity = strdup(activity),
                      .request = json_ref((Json *)request),
                      .question = question_of(json_string(json_get(request, "kind"))),
                      .fields = json_new_object()};
        if (!p->activity || !p->fields || !p->question)
                return ctl_oom(c);
        int r = client_activity_path(c, run_path, activity, &p->path);
        if (r < 0)
                return r;
        print_request(p, place);
        *ret = TAKE_PTR(p);
        return 0;
}

Prompt *prompt_free(Prompt *p) {
        if (!p)
                return NULL;
        free(p->activity);
        free(p->path);
        json_unref(p->request);
        json_unref(p->fields);
        free(p);
        return NULL;
}

bool prompt_is_about_input(const Prompt *p) {
        return streq(p->question->kind, "input");
}

const char *prompt_activity(const Prompt *p) {
        return p->activity;
}

static const Json *current_field(const Prompt *p) {
        return json_at(json_get(p->request, "fields"), p->field);
}

/* "channel (choice: beta, stable) [beta]: " */
static void show_field(const Json *field, const Json *typed) {
        const char *name = strempty(json_string(json_get(field, "name")));
        const Json *options = json_get(field, "options");
        const Json *value = json_has(typed, name) ? json_get(typed, name) : json_get(field, "default");
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_appendf(&b, "%s (%s", name, strempty(json_string(json_get(field, "type"))));
        for (size_t i = 0; i < json_length(options); i++)
                strbuf_appendf(&b, "%s %s", i == 0 ? ":" : ",", strempty(json_string(json_at(options, i))));
        if (!isempty(json_string(json_get(field, "description"))))
                strbuf_appendf(&b, "; %s", json_string(json_get(field, "description")));
        strbuf_append(&b, ")");
        if (value) {
                _cleanup_free_ char *text = json_string(value) ? strdup(json_string(value)) : json_to_string(value, false);
                strbuf_appendf(&b, " [%s]", strempty(text));
        }
        _cleanup_free_ char *s = strbuf_take(&b), *clean = s ? text_one_line(s) : NULL;
        out("  %s: ", strempty(clean));
}

void prompt_show(const Prompt *p) {
        switch (p->stage) {
        case STAGE_CHOICE:
                out("  %s%s%s ", tone_on(TONE_BOLD), _(p->question->choices_text), tone_off(TONE_BOLD));
                break;
        case STAGE_FIELD:
                show_field(current_field(p), p->fields);
                break;
        case STAGE_COMMENT:
                out("  %s ", _("Why? (may be left empty)"));
                break;
        }
        (void) fflush(stdout);
}

void prompt_hide(void) {
        if (style_is_terminal())
                out("\r\033[K");
        else
                out("\n");
}

/* Sends the answer. A refusal starts the question anew; what was typed stays. */
static int send(Prompt *p, const char *comment) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        const Target t = {.run = p->run, .activity_path = p->path};

        const AnswerCall call = {
                .member = p->choice->member,
                .fields = p->fields,
                .comment = isempty(comment) ? NULL : comment,
                .opened_at = (uint64_t) json_int(json_get(p->request, "openedAt")),
        };
        int r = answer_send(p->ctl, p->path, &call, &error);
        if (r >= 0)
                return 1;
        bool gone = sd_bus_error_has_name(&error, BUS_ERROR_PREFIX "WrongState") ||
                    sd_bus_error_has_name(&error, BUS_ERROR_PREFIX "AlreadyAnswered") ||
                    sd_bus_error_has_name(&error, BUS_ERROR_PREFIX "NotApprover");
        (void) answer_error(p->ctl, &t, &error, r);
        if (client_is_away(&error))
                return 0;                               /* it may come back: the question stands */
        if (gone)
                return 1;
        p->stage = STAGE_CHOICE;
        p->field = 0;
        return 0;
}

static int skip(const Prompt *p) {
        _cleanup_free_ char *hint = waits_hint(p->ctl, p->run, p->activity, p->question->kind);

        out(_("  Later: %s\n"), strempty(hint));
        return 1;
}

static int next_field(Prompt *p) {
        return p->field < json_length(json_get(p->request, "fields")) ? 0 : send(p, NULL);
}

/* Does the line name the choice: its letter or its whole word, in the language of the question or in English. */
static bool is_choice(const char *line, const char *name) {
        return strcasecmp(line, name) == 0 || (line[0] && !line[1] && strncasecmp(line, name, 1) == 0) || strcasecmp(line, _(name)) == 0;
}

static int feed_choice(Prompt *p, const char *line) {
        const Choice *c = NULL;

        for (size_t i = 0; i < ELEMENTSOF(p->question->choices) && p->question->choices[i].name && !c; i++)
                if (is_choice(line, p->question->choices[i].name))
                        c = p->question->choices + i;
        if (!c)
                return 0;                               /* asked again */
        p->choice = c;
        switch (c->then) {
        case ASK_NOTHING:
                return skip(p);
        case ASK_FIELDS:
                p->stage = STAGE_FIELD;
                return next_field(p);
        case ASK_WHY:
                p->stage = STAGE_COMMENT;
                break;
        }
        return 0;
}

static int feed_field(Prompt *p, const char *line) {
        const Json *field = current_field(p);
        const char *name = strempty(json_string(json_get(field, "name")));
        bool has_value = json_has(field, "default") || json_has(p->fields, name);
        _cleanup_free_ char *error = NULL;
        Json *value = NULL;

        /* An empty line is what stands in the brackets, or nothing at all; whether that will do is the daemon's to say. */
        if (*line) {
                int r = value_from_text(field, name, line, &value, &error);
                if (r == -ENOMEM)
                        return ctl_oom(p->ctl);
                if (r < 0) {
                        out("  %s\n", strempty(error));
                        return 0;
                }
                if (json_set(p->fields, name, value) < 0)
                        return ctl_oom(p->ctl);
        } else if (!has_value && json_bool(json_get(field, "required"))) {
                out(_("  \"%s\" is required.\n"), name);
                return 0;
        }
        p->field++;
        return next_field(p);
}

int prompt_feed(Prompt *p, const char *line) {
        if (!line) {
                out("\n");
                return skip(p);
        }
        switch (p->stage) {
        case STAGE_CHOICE:
                return feed_choice(p, line);
        case STAGE_FIELD:
                return feed_field(p, line);
        case STAGE_COMMENT:
                return send(p, line);
        }
        return 0;
}

bool prompt_may_ask(const Ctl *c) {
        return !c->options.no_input && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

int typed_read(Ctl *c, Typed *t) {
        char buf[4096];
        ssize_t n = read(STDIN_FILENO, buf, sizeof(buf) - 1);

        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : 1;
        if (n == 0)
                return 1;
        buf[n] = 0;
        _cleanup_strbuf_ StrBuf b = {};
        strbuf_append(&b, strempty(t->text));
        strbuf_append(&b, buf);
        free(t->text);
        t->text = strbuf_take(&b);
        return t->text ? 0 : ctl_oom(c);
}

char *typed_line(Typed *t) {
        char *e = t->text ? strchr(t->text, '\n') : NULL;

        if (!e)
                return NULL;
        _cleanup_free_ char *all = TAKE_PTR(t->text);
        *e = 0;
        t->text = strdup(e + 1);
        return strdup(all);
}
