/* A small machine that is fed lines, so that everything else goes on while somebody thinks. What the daemon refuses (a wrong field, say) is
 * printed and asked again; when the question has gone (somebody else answered), our caller drops it. */
#include "prompt.h"

#include "answer.h"
#include "i18n.h"
#include "lists.h"
#include "style.h"
#include "values.h"

typedef enum Stage { STAGE_CHOICE, STAGE_FIELD, STAGE_COMMENT } Stage;

struct Prompt {
        Ctl *ctl;
        uint32_t run;
        char *activity, *path;
        Json *request, *fields;
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

static void print_request(const Prompt *p, const char *place) {
        const Json *approvers = json_get(p->request, "approvers");
        const char *title = json_string(json_get(p->request, "title"));
        usec_t deadline = lists_time(p->request, "deadline");
        int64_t required = json_int(json_get(p->request, "required"));
        _cleanup_free_ char *clean = text_one_line(title);

        out("%s%s ", tone_on(TONE_WARN), symbol(SYMBOL_WAITING));
        out(_("%s wants an approval"), place);
        out("%s\n", tone_off(TONE_WARN));
        if (!isempty(clean) && !streq(clean, p->activity))
                out("  %s%s%s\n", tone_on(TONE_BOLD), clean, tone_off(TONE_BOLD));
        print_lines(json_string(json_get(p->request, "message")));
        print_lines(json_string(json_get(p->request, "context")));
        for (size_t i = 0; i < json_length(approvers); i++) {
                _cleanup_free_ char *who = text_one_line(json_string(json_at(approvers, i)));
                out(i == 0 ? "  %s %s" : "%s %s", i == 0 ? _("Approvers:") : ",", strempty(who));
        }
        if (required > 1)
                out(P_(" (%u is needed)", " (%u are needed)", (unsigned) required), (unsigned) required);
        out(json_length(approvers) > 0 || required > 1 ? "\n" : "%s", "");
        if (deadline > 0) {
                _cleanup_free_ char *until = format_timestamp(deadline);
                out("  ");
                out(_("until %s"), strempty(until));
                out("\n");
        }
}

int prompt_new(Ctl *c, uint32_t run, const char *run_path, const char *activity, const char *place, const Json *request, Prompt **ret) {
        _cleanup_(prompt_freep) Prompt *p = calloc(1, sizeof(Prompt));

        if (!p)
                return ctl_oom(c);
        *p = (Prompt){.ctl = c,
                      .run = run,
                      .activity = strdup(activity),
                      .request = json_ref((Json *)request),
                      .fields = json_new_object()};
        if (!p->activity || !p->fields)
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

const char *prompt_activity(const Prompt *p) {
        return p->activity;
}

static const Json *current_field(const Prompt *p) {
        return json_at(json_get(p->request, "fields"), p->field);
}

/* "channel (choice: beta, stable) [beta]: " */
static void show_field(const Json *field) {
        const Json *options = json_get(field, "options"), *value = json_get(field, "default");
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_appendf(&b, "%s (%s", strempty(json_string(json_get(field, "name"))), strempty(json_string(json_get(field, "type"))));
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
                /* TRANSLATORS: a, r and s are typed, so keep these letters. */
                out("  %s%s%s ", tone_on(TONE_BOLD), _("[a]pprove, [r]eject, [s]kip?"), tone_off(TONE_BOLD));
                break;
        case STAGE_FIELD:
                show_field(current_field(p));
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

/* Sends the answer. A refusal starts the question anew. */
static int send(Prompt *p, bool approve, const char *comment) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = answer_send(p->ctl, p->path, approve, p->fields, isempty(comment) ? NULL : comment, &error);
        if (r >= 0)
                return 1;
        bool gone = sd_bus_error_has_name(&error, BUS_ERROR_PREFIX "WrongState") ||
                    sd_bus_error_has_name(&error, BUS_ERROR_PREFIX "AlreadyAnswered") ||
                    sd_bus_error_has_name(&error, BUS_ERROR_PREFIX "NotApprover");
        (void) client_error(p->ctl, &error, r);
        if (client_is_away(&error))
                return 0;                               /* it may come back: the question stands */
        if (gone)
                return 1;
        p->stage = STAGE_CHOICE;
        p->field = 0;
        json_unref(p->fields);
        p->fields = json_new_object();
        return p->fields ? 0 : ctl_oom(p->ctl);
}

static int skip(const Prompt *p) {
        _cleanup_free_ char *command = ctl_command(p->ctl);

        out(_("  Skipped. Later: %s approve %u/%s\n"), strempty(command), p->run, p->activity);
        return 1;
}

static int next_field(Prompt *p) {
        return p->field < json_length(json_get(p->request, "fields")) ? 0 : send(p, true, NULL);
}

/* Does the line name the choice: its letter or its whole word, in the language of the question or in English. */
static bool is_choice(const char *line, const char *english, const char *translated) {
        return strcasecmp(line, english) == 0 || (line[0] && !line[1] && strncasecmp(line, english, 1) == 0) ||
               strcasecmp(line, translated) == 0;
}

static int feed_choice(Prompt *p, const char *line) {
        if (is_choice(line, "approve", _("approve"))) {
                p->stage = STAGE_FIELD;
                return next_field(p);
        }
        if (is_choice(line, "reject", _("reject")))
                p->stage = STAGE_COMMENT;
        else if (is_choice(line, "skip", _("skip")))
                return skip(p);
        return 0;
}

static int feed_field(Prompt *p, const char *line) {
        const Json *field = current_field(p);
        const char *name = strempty(json_string(json_get(field, "name")));
        bool has_default = json_has(field, "default");
        _cleanup_free_ char *error = NULL;
        Json *value = NULL;

        /* An empty line is the default, or nothing at all; whether that will do is the daemon's to say. */
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
        } else if (!has_default && json_bool(json_get(field, "required"))) {
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
                return send(p, false, line);
        }
        return 0;
}
