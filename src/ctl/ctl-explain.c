/* explain: why a run does not move, in words. Each thing that it waits for is one entry: {waitsFor, activity, since, who, commands, text};
 * people get the texts as one paragraph and the commands below it, programs the array. What is known comes from Describe and GetRequest;
 * who paused or cancelled a run, from its history. Who may not read the run is told as much as everybody may know, and that it is not all;
 * programs find `outline` in the entries then. */
#include "explain.h"

#include "fd-util.h"
#include "i18n.h"
#include "outline.h"
#include "pager.h"
#include "style.h"
#include "waits.h"

#define TEXT_WIDTH 80u
#define COMMAND_INDENT 4

static int print(Ctl *c, const Json *run, const Json *entries) {
        _cleanup_strbuf_ StrBuf b = {};

        if (json_get(json_at(entries, 0), "activity")) { /* else the first entry begins with the run */
                strbuf_appendf(&b, _("Run %u (%s) is %s."), (unsigned)json_int(json_get(run, "id")),
                               strempty(json_string(json_get(run, "runbook"))), strempty(json_string(json_get(run, "state"))));
                strbuf_append_c(&b, ' ');
        }
        for (size_t i = 0; i < json_length(entries); i++)
                strbuf_appendf(&b, "%s%s", i > 0 ? " " : "", strempty(json_string(json_get(json_at(entries, i), "text"))));
        _cleanup_free_ char *text = strbuf_take(&b), *clean = text ? text_one_line(text) : NULL;
        if (!clean)
                return ctl_oom(c);
        pager_open(c);
        out_wrapped(clean, 0, 0, MIN(style_width(), (size_t) TEXT_WIDTH));
        for (size_t i = 0, any = 0; !c->options.quiet && i < json_length(entries); i++) {
                const Json *commands = json_get(json_at(entries, i), "commands");
                for (size_t k = 0; k < json_length(commands); k++) {
                        _cleanup_free_ char *command = text_one_line(json_string(json_at(commands, k)));
                        out("%s%*s%s%s%s\n", any++ == 0 ? "\n" : "", COMMAND_INDENT, "", tone_on(TONE_BOLD), strempty(command),
                            tone_off(TONE_BOLD));
                }
        }
        return 0;
}

/* What was left out, below the rest. */
static int print_left_out(Ctl *c, const Target *t, const Json *run) {
        _cleanup_free_ char *text = NULL, *command = NULL;

        if (!is_outline(run))
                return 0;
        if (outline_note(c, t, run, &text, &command) < 0)
                return ctl_oom(c);
        _cleanup_free_ char *sentence = xasprintf(_("Not known here: %s."), text);
        out("\n");
        out_wrapped(strempty(sentence), 0, 0, MIN(style_width(), (size_t) TEXT_WIDTH));
        if (command && !c->options.quiet)
                out("\n%*s%s%s%s\n", COMMAND_INDENT, "", tone_on(TONE_BOLD), command, tone_off(TONE_BOLD));
        return 0;
}

int verb_explain(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *run = NULL, *requests = NULL, *entries = NULL;
        _cleanup_target_ Target t = {};

        if (target_parse(c, args[0], 1, 1, &t) < 0 || outline_describe(c, &t, &run) < 0 ||
            waits_read(c, &t, json_get(run, "activities"), &requests) < 0 || explain_run(c, &t, run, requests, &entries) < 0)
                return ctl_failed(c);
        if (ctl_json(c)) {
                ctl_print_json(c, entries);
                return STATUS_SUCCESS;
        }
        return print(c, run, entries) < 0 || print_left_out(c, &t, run) < 0 ? ctl_failed(c) : STATUS_SUCCESS;
}
