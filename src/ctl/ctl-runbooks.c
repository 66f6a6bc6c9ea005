/* runbooks: what can be started, and which files have errors. */
#include "client.h"
#include "i18n.h"
#include "pager.h"
#include "table.h"

static const TableColumn columns[] = {{N_("NAME")}, {N_("DESCRIPTION"), .shrinks = true}, {N_("FILE"), .shrinks = true}};

static int add_json(Json *list, const char *const texts[static 4]) {
        static const char *const names[] = {"name", "description", "file", "error"};
        _cleanup_json_ Json *j = json_new_object();

        int r = j ? 0 : -ENOMEM;
        for (size_t i = 0; r >= 0 && i < 4; i++)
                r = json_set_string(j, names[i], isempty(texts[i]) && i != 0 ? NULL : texts[i]);
        return r < 0 ? r : json_append(list, TAKE_PTR(j));
}

static int get(Ctl *c, Json **ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ Json *list = json_new_array();
        const char *texts[4];

        if (!list)
                return ctl_oom(c);
        int r = client_call(c, BUS_PATH, BUS_MANAGER, "ListRunbooks", &reply, NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(ssss)");
        if (r < 0)
                return client_parse_error(c, r);
        while ((r = sd_bus_message_read(reply, "(ssss)", &texts[0], &texts[1], &texts[2], &texts[3])) > 0)
                if (add_json(list, texts) < 0)
                        return ctl_oom(c);
        if (r < 0)
                return client_parse_error(c, r);
        *ret = TAKE_PTR(list);
        return 0;
}

static void add_row(Table *t, const Json *runbook) {
        const char *error = json_string(json_get(runbook, "error"));

        table_row(t);
        table_cell(t, error ? TONE_BAD : TONE_NONE, json_string(json_get(runbook, "name")));
        table_cell(t, error ? TONE_BAD : TONE_NONE, error ? error : json_string(json_get(runbook, "description")));
        table_cell(t, TONE_DIM, json_string(json_get(runbook, "file")));
}

int verb_runbooks(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *list = NULL;
        _cleanup_table_ Table *t = NULL;

        if (get(c, &list) < 0)
                return ctl_failed(c);
        if (ctl_json(c)) {
                ctl_print_json(c, list);
                return STATUS_SUCCESS;
        }
        if (table_new(c, columns, ELEMENTSOF(columns), &t) < 0)
                return ctl_failed(c);
        size_t k = json_length(list);
        for (size_t i = 0; i < k; i++)
                add_row(t, json_at(list, i));
        pager_open(c);
        if (table_print(c, t) < 0)
                return ctl_failed(c);
        if (!c->options.no_legend && !c->options.quiet) {
                if (k == 0)
                        out(_("There are no runbooks. They are files NAME.yaml in the runbooks directory, see runbook(5).\n"));
                else
                        out(P_("\n%zu runbook listed.\n", "\n%zu runbooks listed.\n", k), k);
        }
        return STATUS_SUCCESS;
}
