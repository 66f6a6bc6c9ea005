/* dead-letters: the runs that nothing more is tried for, and why. */
#include "client.h"
#include "i18n.h"
#include "lists.h"
#include "pager.h"
#include "table.h"

#define LIST_DEFAULT 50u

static const char *const states[] = {"exhausted", "dlq", NULL};

static const TableColumn columns[] = {
                {N_("RUN"), .right = true}, {N_("RUNBOOK")}, {N_("STATE")}, {N_("ENDED")}, {N_("WHY"), .shrinks = true}};

/* The reason is not for everybody: who may not read it gets none, without being asked for a password for each run. */
static int add_reason(Ctl *c, Json *run) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *described = NULL;
        const char *text;

        int r = client_new_call(c, strempty(json_string(json_get(run, "path"))), BUS_RUN, "Describe", &m);
        if (r < 0)
                return r;
        if (sd_bus_message_set_allow_interactive_authorization(m, 0) >= 0 && client_try(c, m, &error, &reply) >= 0 &&
            sd_bus_message_read(reply, "s", &text) >= 0)
                (void) json_parse(text, strlen(text), &described);
        return json_set(run, "reason", json_ref(json_get(described, "reason"))) < 0 ? ctl_oom(c) : 0;
}

static int print(Ctl *c, const Json *runs) {
        _cleanup_table_ Table *t = NULL;

        int r = table_new(c, columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_length(runs); i++) {
                const Json *run = json_at(runs, i);
                const char *state = strempty(json_string(json_get(run, "state")));
                table_row(t);
                table_cellf(t, TONE_NONE, "%" PRIi64, json_int(json_get(run, "id")));
                table_cell(t, TONE_NONE, json_string(json_get(run, "runbook")));
                table_cellf(t, state_tone(state), "%s %s", symbol(state_symbol(state)), state);
                table_time(t, lists_time(run, "finishedAt"));
                table_cell(t, TONE_NONE, strempty(json_string(json_get(run, "reason"))));
        }
        return table_print(c, t);
}

static void say_what_can_be_done(Ctl *c, const Json *runs) {
        _cleanup_free_ char *command = ctl_command(c);
        size_t n = json_length(runs);

        if (n == 0) {
                out(_("There are no dead letters.\n"));
                return;
        }
        out("\n");
        out(P_("%zu run. Do again what failed: %s replay RUN", "%zu runs. Do again what failed: %s replay RUN", n), n, strempty(command));
        for (size_t i = 0; i < n; i++)
                if (streq_ptr(json_string(json_get(json_at(runs, i), "state")), "dlq")) {
                        out("; ");
                        out(_("take one that runbookd gave up off this list: %s cancel RUN"), strempty(command));
                        break;
                }
        out("\n");
}

int verb_dead_letters(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *runs = NULL;

        int r = lists_get_runs(c, states, c->options.lines == LINES_UNSET ? LIST_DEFAULT : c->options.lines, &runs);
        for (size_t i = 0; r >= 0 && i < json_length(runs); i++)
                r = add_reason(c, json_at(runs, i));
        if (r < 0)
                return ctl_failed(c);
        if (ctl_json(c)) {
                ctl_print_json(c, runs);
                return STATUS_SUCCESS;
        }
        pager_open(c);
        if (print(c, runs) < 0)
                return ctl_failed(c);
        if (!c->options.no_legend && !c->options.quiet)
                say_what_can_be_done(c, runs);
        return STATUS_SUCCESS;
}
