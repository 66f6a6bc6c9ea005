/* The help texts are laid out here, not in the strings, so that a translation can't make a line too wide. */
#include "help.h"

#include "i18n.h"
#include "pager.h"
#include "style.h"
#include "utf8.h"

#define HELP_WIDTH 80u
#define TERM_WIDTH 28u                                  /* of the left column */

/* One row of two columns; a left part that is too wide has the line to itself. */
static void row(const char *term, const char *text) {
        size_t w = 2 + utf8_width(term);

        out("  %s", term);
        if (w + 1 > TERM_WIDTH)
                out("\n%*s", (int) TERM_WIDTH, "");
        else
                out("%*s", (int) (TERM_WIDTH - w), "");
        out_wrapped(text, TERM_WIDTH, TERM_WIDTH, HELP_WIDTH);
}

static void heading(const char *text) {
        out("\n%s%s%s\n", tone_on(TONE_BOLD), text, tone_off(TONE_BOLD));
}

static void option_row(const Option *p) {
        _cleanup_strbuf_ StrBuf b = {};

        if (p->letter)
                strbuf_appendf(&b, "-%c ", p->letter);
        else
                strbuf_append(&b, "   ");
        strbuf_appendf(&b, "--%s", p->name);
        if (p->metavar)
                strbuf_appendf(&b, "=%s", _(p->metavar));
        _cleanup_free_ char *term = strbuf_take(&b);
        row(strempty(term), _(p->help));
}

static void option_rows(OptionSet set) {
        for (unsigned i = 0; i < _OPTION_MAX; i++)
                if (set & OPTION_BIT(i))
                        option_row(options_table + i);
}

static void verb_rows(void) {
        for (const Verb *v = verbs; v->name; v++) {
                if (v->flags & VERB_HIDDEN)
                        continue;
                _cleanup_strbuf_ StrBuf b = {};
                strbuf_appendf(&b, "%s %s", v->name, v->arguments ? _(v->arguments) : "");
                _cleanup_free_ char *term = strbuf_take(&b);
                row(strempty(term), _(v->summary));
        }
}

int help_all(Ctl *c) {
        pager_open(c);
        out("%s\n\n", _("runbookctl [OPTION...] COMMAND ..."));
        out_wrapped(_("Start runbooks and look after their runs. Without a command: list runs."), 0, 0, HELP_WIDTH);
        heading(_("Commands:"));
        verb_rows();
        heading(_("Options:"));
        option_rows(OPTIONS_GLOBAL);
        out("\n");
        out_wrapped(_("\"runbookctl help COMMAND\" shows a command's own options. See runbookctl(1)."), 0, 0, HELP_WIDTH);
        return STATUS_SUCCESS;
}

int help_verb(Ctl *c, const Verb *v) {
        if (v->flags & VERB_HIDDEN || v->run == verb_help)
                return help_all(c);
        pager_open(c);
        out("runbookctl %s%s%s%s\n\n", v->options ? _("[OPTION...] ") : "", v->name, v->arguments ? " " : "",
            v->arguments ? _(v->arguments) : "");
        _cleanup_strbuf_ StrBuf b = {};
        strbuf_appendf(&b, "%s.", _(v->summary));
        if (v->description)
                strbuf_appendf(&b, " %s", _(v->description));
        _cleanup_free_ char *text = strbuf_take(&b);
        out_wrapped(strempty(text), 0, 0, HELP_WIDTH);
        if (v->options) {
                heading(_("Options:"));
                option_rows(v->options);
        }
        out("\n");
        out_wrapped(_("\"runbookctl --help\" lists the options that every command has."), 0, 0, HELP_WIDTH);
        return STATUS_SUCCESS;
}

int help_version(void) {
        out("runbookctl (runbookd) %s\n", RUNBOOKD_VERSION);
        return STATUS_SUCCESS;
}

int verb_help(Ctl *c, const char *const *args, size_t n) {
        const Verb *v = n > 0 ? verb_find(args[0]) : NULL;

        if (n == 0)
                return help_all(c);
        return v ? help_verb(c, v) : verb_unknown(args[0]);
}
