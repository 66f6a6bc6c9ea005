/* The last lines of --follow and watch: the state, how long it took, what went wrong and where to look. */
#include "summary.h"

#include "client.h"
#include "i18n.h"
#include "lists.h"
#include "style.h"
#include "view.h"

#define FAILURES_SHOWN_MAX 10u

/* The error of the newest attempt, or the reason. */
static char *failure_text(const Json *activity) {
        const Json *attempts = json_get(activity, "attempts");
        const Json *last = json_at(attempts, json_length(attempts) > 0 ? json_length(attempts) - 1 : 0);
        char *s = view_error(json_get(last, "error"), NULL);
        return s ? s : text_one_line(json_string(json_get(activity, "reason")));
}

static void print_failures(const Json *run) {
        const Json *activities = json_get(run, "activities");
        unsigned n = 0;

        for (size_t i = 0; i < json_length(activities) && n < FAILURES_SHOWN_MAX; i++) {
                const Json *a = json_at(activities, i);
                if (!streq_ptr(json_string(json_get(a, "state")), "failed"))
                        continue;
                _cleanup_free_ char *name = text_one_line(json_string(json_get(a, "name"))), *why = failure_text(a);
                out("  %s%s %s%s%s%s\n", tone_on(TONE_BAD), symbol(SYMBOL_BAD), strempty(name), tone_off(TONE_BAD),
                    isempty(why) ? "" : "  ", strempty(why));
                n++;
        }
}

static void print(Ctl *c, const Json *run, const char *state) {
        usec_t now = now_usec(CLOCK_REALTIME);
        _cleanup_free_ char *runbook = text_one_line(json_string(json_get(run, "runbook"))), *command = ctl_command(c);
        _cleanup_free_ char *took = format_duration(lists_time(run, "startedAt"), lists_time(run, "finishedAt"), now);
        _cleanup_free_ char *reason = text_one_line(json_string(json_get(run, "reason")));
        unsigned id = (unsigned) json_int(json_get(run, "id"));
        ViewCounts n;

        view_count(run, &n);
        out("\n%s%s ", tone_on(state_tone(state)), symbol(state_symbol(state)));
        out(_("Run %u (%s) ended: %s"), id, strempty(runbook), state);
        out("%s", tone_off(state_tone(state)));
        out("  %s, ", strempty(took));
        out(P_("%u of %u activity done\n", "%u of %u activities done\n", n.total), n.done, n.total);
        if (!isempty(reason))
                out("  %s\n", reason);
        print_failures(run);
        if (!streq(state, "success"))
                out(_("  More: %s status %u, %s logs %u\n"), strempty(command), id, strempty(command), id);
}

int summary_print(Ctl *c, const char *run_path, char **ret_state) {
        _cleanup_json_ Json *run = NULL;

        int r = client_call_json(c, run_path, BUS_RUN, "Describe", &run, NULL);
        if (r < 0)
                return r;
        _cleanup_free_ char *state = text_one_line(json_string(json_get(run, "state")));
        if (!state)
                return ctl_oom(c);
        if (!c->options.quiet)
                print(c, run, state);
        *ret_state = TAKE_PTR(state);
        return 0;
}
