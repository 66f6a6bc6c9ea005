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

static void add_row(Table *t, const Json *run, usec_t now) {
        usec_t started = lists_time(run, "startedAt"), finished = lists_time(run, "finishedAt");
        const char *state = json_string(json_get(run, "state"));
        _cleanup_free_ char *took = format_duration(started, finished, now);

        table_row(t);
        table_cellf(t, TONE_NONE, "%" PRIi64, json_int(json_get(run, "id")));
        table_cell(t, TONE_NONE, json_string(json_get(run, "runbook")));
        table_cellf(t, state_tone(state), "%s %s", symbol(state_symbol(state)), strempty(state));
        table_time(t, lists_time(run, "createdAt"));
        table_cell(t, TONE_NONE, took);
        table_cell(t, TONE_NONE, json_string(json_get(run, "statusText")));
}

int lists_print_runs(Ctl *c, const Json *runs) {
        _cleanup_table_ Table *t = NULL;
        usec_t now = now_usec(CLOCK_REALTIME);

        int r = table_new(c, columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_length(runs); i++)
                add_row(t, json_at(runs, i), now);
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
        if (k == 0)
                out(_("There are no runs yet. \"%s runbooks\" lists what can be started.\n"), "runbookctl");
        else if (c->options.lines == LINES_UNSET && k == limit)
                out(_("\nThe newest %zu runs. \"-n all\" lists all.\n"), k);
        else
                out(P_("\n%zu run listed.\n", "\n%zu runs listed.\n", k), k);
        return STATUS_SUCCESS;
}
