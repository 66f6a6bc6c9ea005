/* runbookctl: the command line of runbookd. Here are the table of verbs, from which parsing, help and completion come, and main. */
#include "ctl.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>

#include "help.h"
#include "hint.h"
#include "i18n.h"
#include "pager.h"
#include "polkit-agent.h"
#include "style.h"
#include "utf8.h"

#define ANY UINT32_MAX
#define O(name) OPTION_BIT(OPTION_##name)

#define STATES(...) (const char *const[]) {__VA_ARGS__, NULL}
#define STATES_UNFINISHED STATES("scheduled", "queued", "running", "on-hold", "paused")
#define STATES_ENDED STATES("success", "partial-success", "failed", "exhausted", "timed-out", "rejected", "cancelled", "skipped", "dlq")
#define STATES_REPLAYABLE STATES("failed", "exhausted", "dlq", "cancelled", "timed-out", "rejected")

/* What stays with the run that it makes. */
#define O_STAY (O(FOLLOW) | O(WAIT) | O(CANCEL_ON_EXIT))
#define O_INPUTS (O(INPUT) | O(INPUT_FILE))

const Verb verbs[] = {
        {"list", NULL, 0, 0, OPERAND_NONE, 0, VERB_DEFAULT, N_("List runs, the newest first"), NULL, verb_list},
        {"status", N_("[RUN[/ACTIVITY]]"), 0, 1, OPERAND_RUN_ACTIVITY, O(ALL), 0, N_("Show a run, or what goes on"),
         N_("Shows a run as a tree of phases, activities, attempts and steps with states, times and errors, and what it waits for. "
            "Without a run: the daemon, the runs in progress and the open requests. Who may not read the run sees names, states and times, "
            "and needs no password for that; with --all it is asked for."),
         verb_status},
        {"explain", N_("RUN"), 1, 1, OPERAND_RUN, O(ALL), 0, N_("Say why a run does not move, and what can be done"),
         N_("Says what the run waits for, since when, who can act and which command does it; of a run that has ended: how, why, and how "
            "to do it again. Who may not read the run is told what everybody may know; with --all a password is asked for."),
         verb_explain},
        {"dead-letters", NULL, 0, 0, OPERAND_NONE, 0, 0, N_("List the runs that nothing more is tried for"),
         N_("Those are the runs that used up all their attempts, and those that runbookd itself had to give up."), verb_dead_letters},
        {"show", N_("[RUN[/ACTIVITY]]"), 0, 1, OPERAND_RUN_ACTIVITY, O(PROPERTY) | O(VALUE), 0, N_("Show properties, one a line"),
         N_("Prints the properties of a run, of an activity or, without argument, of the daemon, as NAME=VALUE."), verb_show},
        {"runbooks", NULL, 0, 0, OPERAND_NONE, 0, 0, N_("List the runbooks that can be started"), NULL, verb_runbooks},
        {"cat", N_("NAME"), 1, 1, OPERAND_RUNBOOK, 0, 0, N_("Show a runbook's definition"), NULL, verb_cat},
        {"start", N_("NAME"), 1, 1, OPERAND_RUNBOOK, O_INPUTS | O(AT) | O(ONLY) | O_STAY | O(STRICT) | O(LABEL), 0,
         N_("Start a run of a runbook"),
         N_("With --follow and --wait the exit status is 0 for success, 2 for partial success, 3 when the run waits for a person "
            "and --no-input is given, and 1 for a bad end. Ctrl-C leaves the run going unless --cancel-on-exit is given."),
         verb_start},
        {"start-now", N_("RUN"), 1, 1, OPERAND_RUN, O(MESSAGE), 0, N_("Do not wait for a run's time"),
         N_("Starts a run that is scheduled for later, or lets one that waits for its next try begin it at once."), verb_act,
         STATES("scheduled", "queued")},
        {"reschedule", N_("RUN TIME"), 2, 2, OPERAND_RUN, O(MESSAGE), 0, N_("Let a scheduled run start at another time"),
         N_("TIME is as in \"start --at\"."), verb_reschedule, STATES("scheduled")},
        {"watch", N_("[RUN]"), 0, 1, OPERAND_RUN, 0, 0, N_("Watch a run, or all, live"),
         N_("Ends with the run, with the exit status of \"start --wait\". Ctrl-C leaves the run going. Enter asks what to do about an "
            "activity that waits for you."),
         verb_watch},
        {"logs", N_("RUN[/ACTIVITY[/STEP]]"), 1, 1, OPERAND_RUN_ACTIVITY, O(FOLLOW) | O(ATTEMPT), VERB_NO_JSON,
         N_("Show what the steps wrote"),
         N_("STEP is a step's id or name, or its number from 1; hook steps are pre:1, onFailure:1 and so on. A terminal gets clean "
            "text; a file or a pipe gets the bytes of one activity or step as they are."),
         verb_logs},
        {"history", N_("[RUN]"), 0, 1, OPERAND_RUN, O(WHO), 0, N_("Show all that happened to a run, and who did it"),
         N_("With --who only what one person did; then RUN may be left out, and the newest 100 runs are looked through."), verb_history},
        {"inbox", NULL, 0, 0, OPERAND_NONE, O(ALL), 0, N_("List the requests that wait for you"),
         N_("Those are the requests whose approvers you are among, by your name or a group of yours, and have not answered yet, and those "
            "that name nobody."),
         verb_inbox},
        {"approve", N_("RUN/ACTIVITY"), 1, 1, OPERAND_REQUEST, O(MESSAGE) | O(INPUT) | O(OVERRIDE), 0,
         N_("Approve what an activity asks"), NULL, verb_answer},
        {"reject", N_("RUN/ACTIVITY"), 1, 1, OPERAND_REQUEST, O(MESSAGE) | O(OVERRIDE), 0, N_("Reject it"), NULL, verb_answer},
        {"provide", N_("RUN[/ACTIVITY] NAME=VALUE..."), 1, ANY, OPERAND_FIELD, O(INPUT_FILE) | O(MESSAGE) | O(OVERRIDE), 0,
         N_("Give an activity the input that it waits for"),
         N_("ACTIVITY may be left out where only one waits for input. For strings and choices the text is the value, other types are "
            "JSON."),
         verb_answer},
        {"retry", N_("RUN[/ACTIVITY]"), 1, 1, OPERAND_DECISION, O_INPUTS | O(RELOAD) | O(MESSAGE), 0,
         N_("Try an activity again that failed and is held"),
         N_("What is done stays done. With -i an input is changed first; with --reload the run goes on with the runbook as its file is "
            "now. ACTIVITY may be left out where only one waits for a decision."),
         verb_decide},
        {"ignore", N_("RUN[/ACTIVITY]"), 1, 1, OPERAND_DECISION, O(OUTPUT) | O(MESSAGE), 0, N_("Go on in spite of its failure"),
         N_("What needs the activity goes on as if it had succeeded. ACTIVITY may be left out where only one waits for a decision."),
         verb_decide},
        {"abort", N_("RUN[/ACTIVITY]"), 1, 1, OPERAND_DECISION, O(MESSAGE), 0, N_("Let its failure stand"),
         N_("The activity fails for good, and what needs it is skipped. ACTIVITY may be left out where only one waits for a decision."),
         verb_decide},
        {"set-input", N_("RUN NAME=VALUE..."), 2, ANY, OPERAND_INPUT, O(MESSAGE), 0, N_("Change inputs of a run"),
         N_("Activities that start from now on use the new values; those that wait for one of these inputs start."), verb_set_input,
         STATES_UNFINISHED},
        {"pause", N_("RUN"), 1, 1, OPERAND_RUN, O(MESSAGE), 0, N_("Let nothing new start in a run"),
         N_("Steps that run come to their end. Times to wait and deadlines move by the length of the pause."), verb_act,
         STATES("running", "on-hold")},
        {"resume", N_("RUN"), 1, 1, OPERAND_RUN, O(MESSAGE), 0, N_("Let a paused run go on"), NULL, verb_act, STATES("paused")},
        {"cancel", N_("RUN"), 1, 1, OPERAND_RUN, O(MESSAGE), 0, N_("Cancel a run"),
         N_("What runs is stopped and its hooks onFailure and post are run. A second cancel stops the hooks too. A run that runbookd gave "
            "up leaves the list of dead letters."),
         verb_cancel, STATES("scheduled", "queued", "running", "on-hold", "paused", "dlq")},
        {"replay", N_("RUN"), 1, 1, OPERAND_RUN,
         O(FROM) | O(ALL_PARALLEL) | O_INPUTS | O(RELOAD) | O(FRESH_WORKSPACE) | O(MESSAGE) | O_STAY, 0,
         N_("Do again what failed in a run that ended"),
         N_("Makes a new run that takes over what succeeded, with its outputs and the workspace, and does the rest. The old run stays as "
            "it is. --follow and --wait are as with \"start\"."),
         verb_again, STATES_REPLAYABLE},
        {"rerun", N_("RUN"), 1, 1, OPERAND_RUN, O(ONLY) | O_INPUTS | O(RELOAD) | O(MESSAGE) | O_STAY, 0,
         N_("Do a run once more, or some of its phases"),
         N_("Makes a new run with the inputs of an old one, in an empty workspace. What --only leaves out is skipped, and its outputs are "
            "those of the old run. --follow and --wait are as with \"start\"."),
         verb_again, STATES_ENDED},
        {"verify", N_("FILE..."), 1, ANY, OPERAND_FILE, 0, 0, N_("Check runbook files, without a daemon"),
         N_("Prints FILE:LINE:COLUMN: SEVERITY: MESSAGE and ends with status 1 where there is an error."), verb_verify},
        {"reload", NULL, 0, 0, OPERAND_NONE, 0, 0, N_("Let the daemon read its configuration and runbooks again"), NULL,
         verb_reload},
        {"help", N_("[VERB]"), 0, 1, OPERAND_VERB, 0, VERB_NO_JSON, N_("Show this help, or that of a verb"), NULL, verb_help},
        {"__complete", NULL, 1, ANY, OPERAND_NONE, 0, VERB_HIDDEN | VERB_NO_JSON, NULL, NULL, verb_complete},
        {},
};

const Verb *verb_find(const char *name) {
        for (const Verb *v = verbs; v->name; v++)
                if (streq(v->name, name))
                        return v;
        return NULL;
}

int verb_unknown(const char *name) {
        const char *candidates[ELEMENTSOF(verbs) + 1] = {};
        size_t n = 0;

        for (const Verb *v = verbs; v->name; v++)
                if (!(v->flags & VERB_HIDDEN))
                        candidates[n++] = v->name;
        const char *near = nearest_name(name, candidates);
        _cleanup_free_ char *shown = text_one_line(name);
        if (near)
                err(_("There is no command \"%s\". Did you mean \"%s\"?\n"), strempty(shown), near);
        else
                err(_("There is no command \"%s\". \"runbookctl --help\" lists them.\n"), strempty(shown));
        return STATUS_USAGE;
}

static const Verb *verb_default(void) {
        for (const Verb *v = verbs; v->name; v++)
                if (v->flags & VERB_DEFAULT)
                        return v;
        return NULL;
}

/* What it says to type, be it ours or the daemon's sentence, reaches the same daemon. */
static void say(const Ctl *c, const char *fmt, va_list ap) _printf_(2, 0);
static void say(const Ctl *c, const char *fmt, va_list ap) {
        _cleanup_free_ char *s = NULL;
        bool colours = style_has_colours() && isatty(STDERR_FILENO);

        if (vasprintf(&s, fmt, ap) < 0)
                return;
        _cleanup_free_ char *command = ctl_command(c), *filled = command ? hint_fill(s, command) : NULL, *t = text_lines(strempty(filled));
        err("%s%s%s\n", colours ? tone_on(TONE_BAD) : "", strempty(t), colours ? tone_off(TONE_BAD) : "");
}

int ctl_error(Ctl *c, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        say(c, fmt, ap);
        va_end(ap);
        c->status = STATUS_FAILURE;
        return -EIO;
}

int ctl_usage_error(Ctl *c, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        say(c, fmt, ap);
        va_end(ap);
        c->status = STATUS_USAGE;
        return -EINVAL;
}

int ctl_oom(Ctl *c) {
        (void) ctl_error(c, _("Out of memory."));
        return -ENOMEM;
}

char *ctl_command(const Ctl *c) {
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_append(&b, "runbookctl");
        if (c->options.user)
                strbuf_append(&b, " --user");
        if (c->options.host)
                strbuf_appendf(&b, " -H %s", c->options.host);
        return strbuf_take(&b);
}

/* DEL and the control characters above it are legal in JSON and drive terminals all the same: they are written as escapes. They can only
 * stand inside strings. */
static char *escape_controls(const char *s) {
        _cleanup_strbuf_ StrBuf b = {};

        for (size_t i = 0; s[i]; i++) {
                unsigned char c = (unsigned char) s[i], d = (unsigned char) s[i + 1];
                if (c == 0x7f)
                        strbuf_append(&b, "\\u007f");
                else if (c == 0xc2 && d >= 0x80 && d <= 0x9f) {
                        strbuf_appendf(&b, "\\u00%02x", d);
                        i++;
                } else
                        strbuf_append_c(&b, s[i]);
        }
        return strbuf_take(&b);
}

void ctl_print_json(const Ctl *c, const Json *j) {
        _cleanup_free_ char *s = json_to_string(j, c->options.json == JSON_PRETTY), *t = s ? escape_controls(s) : NULL;

        if (!t) {
                err(_("Out of memory.\n"));
                return;
        }
        out_raw(t, strlen(t));                          /* JSON is UTF-8 in every locale */
        out_raw("\n", 1);
}

/* Words that can't be sent. Names of files aren't; and completion gets what has been typed so far. */
static int check_text(Ctl *c, const Verb *v) {
        const StrList *a = &c->options.arguments;

        if (v->operand == OPERAND_FILE || v->flags & VERB_HIDDEN)
                return 0;
        for (size_t i = 0; i < a->n; i++)
                if (!utf8_is_valid(a->items[i], strlen(a->items[i])))
                        return ctl_usage_error(c, _("\"%s\" isn't UTF-8 text."), a->items[i]);
        return 0;
}

/* Options that the verb doesn't know, and numbers of arguments that it can't use. */
static int check_usage(Ctl *c, const Verb *v, size_t n) {
        OptionSet wrong = c->options.given & ~(OPTIONS_GLOBAL | v->options);

        if (wrong)
                return ctl_usage_error(c, _("\"%s\" has no option --%s. See: runbookctl help %s"), v->name,
                                       options_table[__builtin_ctzll(wrong)].name, v->name);
        if (n < v->min)
                return ctl_usage_error(c, _("Something is missing: runbookctl %s %s"), v->name, v->arguments ? _(v->arguments) : "");
        if (n > v->max)
                return ctl_usage_error(c, _("That is too much: runbookctl %s %s"), v->name, v->arguments ? _(v->arguments) : "");
        if (ctl_json(c) && v->flags & VERB_NO_JSON)
                return ctl_usage_error(c, _("\"%s\" has no JSON form; leave out --json."), v->name);
        if (ctl_json(c) && c->options.follow)
                return ctl_usage_error(c, _("\"%s --follow\" has no JSON form; leave out --json."), v->name);
        return 0;
}

static int dispatch(Ctl *c) {
        const StrList *a = &c->options.arguments;
        const Verb *v = a->n > 0 ? verb_find(a->items[0]) : verb_default();

        if (c->options.given & O(VERSION))
                return help_version();
        if (!v)
                return verb_unknown(a->items[0]);
        if (c->options.given & O(HELP))
                return a->n > 0 ? help_verb(c, v) : help_all(c);
        size_t n = a->n > 0 ? a->n - 1 : 0;
        if (check_usage(c, v, n) < 0 || check_text(c, v) < 0)
                return ctl_failed(c);
        c->verb = v;
        return v->run(c, a->n > 0 ? a->items + 1 : NULL, n);
}

int main(int argc, char **argv) {
        Ctl c = {};

        i18n_init();
        style_init();
        int r = options_parse(&c.options, argc, argv);
        int status = r == -EINVAL ? STATUS_USAGE : r < 0 ? STATUS_FAILURE : dispatch(&c);
        polkit_agent_close();
        if (out_finish() < 0 && status == STATUS_SUCCESS)
                status = STATUS_FAILURE;
        pager_close();
        options_done(&c.options);
        sd_bus_flush_close_unref(c.bus);
        return status;
}
