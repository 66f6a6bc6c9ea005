/* history: all that happened to a run, one line an event. */
#include "client.h"
#include "history.h"
#include "i18n.h"
#include "lists.h"
#include "pager.h"
#include "table.h"

static const TableColumn columns[] = {{N_("TIME")},
                                      {N_("WHO")},
                                      {N_("WHAT"), .shrinks = true},
                                      {N_("SUBJECT"), .shrinks = true},
                                      {N_("ATTEMPT"), .right = true},
                                      {N_("WHY"), .shrinks = true}};

static int add_event(Ctl *c, Table *t, const Json *event) {
        _cleanup_free_ char *who = history_who(event), *subject = history_subject(event), *detail = history_detail(event);
        const Json *attempt = json_get(event, "attempt");
        const char *state = json_string(json_get(json_get(event, "data"), "state"));

        if (!who || !subject || !detail)
                return ctl_oom(c);
        table_row(t);
        table_time(t, lists_time(event, "at"));
        table_cell(t, TONE_NONE, who);
        table_cell(t, TONE_NONE, history_words(strempty(json_string(json_get(event, "type")))));
        table_cell(t, TONE_NONE, subject);
        if (attempt)
                table_cellf(t, TONE_NONE, "%" PRIi64, json_int(attempt));
        else
                table_cell(t, TONE_NONE, "");
        table_cell(t, state_tone(state), detail);
        return 0;
}

int verb_history(Ctl *c, const char *const *args, size_t n) {
        _cleanup_target_ Target target = {};
        _cleanup_json_ Json *events = json_new_array();
        _cleanup_table_ Table *t = NULL;

        if (!events) {
                (void) ctl_oom(c);
                return ctl_failed(c);
        }
        if (target_parse(c, args[0], 1, 1, &target) < 0 || history_read(c, target.run_path, 1, 0, events, NULL) < 0)
                return ctl_failed(c);
        if (ctl_json(c)) {
                ctl_print_json(c, events);
                return STATUS_SUCCESS;
        }
        if (table_new(c, columns, ELEMENTSOF(columns), &t) < 0)
                return ctl_failed(c);
        size_t k = json_length(events);
        for (size_t i = c->options.lines < k ? k - c->options.lines : 0; i < k; i++)
                if (add_event(c, t, json_at(events, i)) < 0)
                        return ctl_failed(c);
        pager_open(c);
        return table_print(c, t) < 0 ? ctl_failed(c) : STATUS_SUCCESS;
}
