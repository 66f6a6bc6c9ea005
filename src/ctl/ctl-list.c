/* list: runs, newest first. */
#include "lists.h"

#include "client.h"
#include "i18n.h"
#include "pager.h"
#include "table.h"

#define LIST_DEFAULT 50u

static const TableColumn columns[] = {
                {N_("RUN"), .right = true},     {N_("RUNBOOK")}, {N_("STATE")}, {N_("CREATED")}, {N_("TOOK"), .right = true},
                {N_("STATUS"), .shrinks = true}};

/* When a run that waits for a time will go on; 0: it doesn't, or that can't be had. */
static usec_t time_to_come(Ctl *c, const Json *run, const char *property) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        uint64_t when = 0;

        int r = sd_bus_get_property_trivial(c->bus, BUS_NAME, strempty(json_string(json_get(run, "path"))), BUS_RUN, property, &error, 't',
                                            &when);
        return r < 0 ? 0 : when;
}

/* The status text is for everybody and knows no local time: for what waits for one, it is said here. */
static char *status_text(Ctl *c, const Json *run, usec_t now) {
        static const struct {
                const char *state, *property, *words;
        } table[] = {
                {"scheduled", "ScheduledFor", N_("starts")},
                {"queued", "NextRetryAt", N_("next try")},
        };
        const char *state = strempty(json_string(json_get(run, "state"))), *text = strempty(json_string(json_get(run, "statusText")));

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                usec_t when = streq(table[i].state, state) ? time_to_come(c, run, table[i].property) : 0;
                if (when == 0)
                        continue;
                _cleanup_free_ char *at = format_timestamp(when), *left = format_span(usec_sub(when, now));
                _cleanup_strbuf_ StrBuf b = {};
                strbuf_appendf(&b, "%s %s; ", _(table[i].words), strempty(at));
                if (when > now)
                        strbuf_appendf(&b, _("in %s"), strempty(left));
                else
                        strbuf_append(&b, _("now"));
                return strbuf_take(&b);
        }
        return strdup(text);
}

static void add_row(Ctl *c, Table *t, const Json *run, usec_t now) {
        usec_t started = lists_time(run, "startedAt"), finished = lists_time(run, "finishedAt");
        const char *state = json_string(json_get(run, "state"));
        _cleanup_free_ char *took = format_duration(started, finished, now), *text = status_text(c, run, now);

        table_row(t);
        table_cellf(t, TONE_NONE, "%" PRIi64, json_int(json_get(run, "id")));
        table_cell(t, TONE_NONE, json_string(json_get(run, "runbook")));
        table_cellf(t, state_tone(state), "%s %s", symbol(state_symbol(state)), strempty(state));
        table_time(t, lists_time(run, "createdAt"));
        table_cell(t, TONE_NONE, took);
        table_cell(t, TONE_NONE, strempty(text));
}

int lists_print_runs(Ctl *c, const Json *runs) {
        _cleanup_table_ Table *t = NULL;
        usec_t now = now_usec(CLOCK_REALTIME);

        int r = table_new(c, columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_length(runs); i++)
                add_row(c, t, json_at(runs, i), now);
        return table_print(c, t);
}

int verb_list(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *runs = NULL;
        uint32_t limit = c->options.lines == LINES_UNSET ? LIST_DEFAULT : c->options.lines;

        int r = lists_get_runs(c, NULL, limit, &runs);
        if (r < 0)
                return ctl_failed(c);
        if (ctl_json(c)) {
                ctl_print_json(c, runs);
                return STATUS_SUCCESS;
        }
        pager_open(c);
        if (lists_print_runs(c, runs) < 0)
                return ctl_failed(c);
        size_t k = json_length(runs);
        if (c->options.no_legend || c->options.quiet)
                return STATUS_SUCCESS;
        _cleanup_free_ char *command = ctl_command(c);
        if (k == 0 && limit > 0)
                out(_("There are no runs yet. \"%s runbooks\" lists what can be started.\n"), strempty(command));
        else if (c->options.lines == LINES_UNSET && k == limit)
                out(_("\nThe newest %zu runs. \"-n all\" lists all.\n"), k);
        else
                out(P_("\n%zu run listed.\n", "\n%zu runs listed.\n", k), k);
        return STATUS_SUCCESS;
}
