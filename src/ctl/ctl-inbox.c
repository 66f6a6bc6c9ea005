/* inbox: what waits for the one who asks. */
#include "client.h"
#include "i18n.h"
#include "lists.h"
#include "pager.h"
#include "table.h"

static const TableColumn columns[] = {
                {N_("REQUEST")}, {N_("KIND")}, {N_("TITLE"), .shrinks = true}, {N_("APPROVERS"), .shrinks = true}, {N_("UNTIL")}};

static int add_row(Ctl *c, Table *t, const Json *request) {
        const Json *approvers = json_get(request, "approvers");
        const char *title = json_string(json_get(request, "title")), *message = json_string(json_get(request, "message"));
        _cleanup_strbuf_ StrBuf b = {};

        for (size_t i = 0; i < json_length(approvers); i++)
                strbuf_appendf(&b, "%s%s", i > 0 ? ", " : "", strempty(json_string(json_at(approvers, i))));
        _cleanup_free_ char *names = strbuf_take(&b);
        if (!names)
                return ctl_oom(c);
        table_row(t);
        table_cellf(t, TONE_BOLD, "%" PRIi64 "/%s", json_int(json_get(request, "run")),
                    strempty(json_string(json_get(request, "activity"))));
        table_cell(t, TONE_NONE, json_string(json_get(request, "kind")));
        table_cell(t, TONE_NONE, isempty(title) ? message : title);
        table_cell(t, TONE_NONE, names);
        table_time(t, lists_time(request, "deadline"));
        return 0;
}

int lists_print_requests(Ctl *c, const Json *requests) {
        _cleanup_table_ Table *t = NULL;

        int r = table_new(c, columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_length(requests); i++) {
                r = add_row(c, t, json_at(requests, i));
                if (r < 0)
                        return r;
        }
        return table_print(c, t);
}

int verb_inbox(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *requests = NULL;

        if (lists_get_requests(c, 0, &requests) < 0)
                return ctl_failed(c);
        if (ctl_json(c)) {
                ctl_print_json(c, requests);
                return STATUS_SUCCESS;
        }
        pager_open(c);
        if (lists_print_requests(c, requests) < 0)
                return ctl_failed(c);
        if (c->options.no_legend || c->options.quiet)
                return STATUS_SUCCESS;
        size_t k = json_length(requests);
        _cleanup_free_ char *command = ctl_command(c);
        if (k == 0)
                out(_("Nothing waits for you.\n"));
        else
                out(P_("\n%zu request. Answer with: %s approve REQUEST, or reject REQUEST -m WHY\n",
                       "\n%zu requests. Answer with: %s approve REQUEST, or reject REQUEST -m WHY\n", k), k, strempty(command));
        return STATUS_SUCCESS;
}
