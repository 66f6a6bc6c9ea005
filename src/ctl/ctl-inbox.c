/* inbox: what waits for the one who asks, or for everybody, with what to type. The daemon lists what the caller may read or answer; of that
 * only what he himself is asked for is shown, by what the daemon says of each: his own requests that others have to answer, and those that
 * he has answered already, are not. */
#include "answer.h"
#include "i18n.h"
#include "lists.h"
#include "pager.h"
#include "table.h"
#include "waits.h"

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

/* Answered since it was listed, or its run has ended. */
static bool is_gone(const sd_bus_error *error) {
        return sd_bus_error_has_name(error, BUS_ERROR_PREFIX "WrongState") || sd_bus_error_has_name(error, BUS_ERROR_PREFIX "NoSuchRun") ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT);
}

/* What the list doesn't say: whether he can answer it, and what is asked for. Those who may not see it see the list's row alone. 1: there
 * is nothing any more. */
static int look_closer(Ctl *c, const Json *q, Json **ret) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *path = strdup(strempty(json_string(json_get(q, "path"))));
        const Target t = {.run = (uint32_t) json_int(json_get(q, "run")), .activity_path = path};

        if (!path)
                return ctl_oom(c);
        int r = answer_get_request(c, &t, ret, &error);
        if (r < 0 && (!error.name || client_is_away(&error)))
                return client_error(c, &error, r);
        return r < 0 && is_gone(&error);
}

/* Adds it to the list, with the commands that answer it, unless it waits for others only. 1: it waits for nobody. */
static int take_request(Ctl *c, Json *q, Json *list) {
        _cleanup_json_ Json *more = NULL, *commands = json_new_array();
        const char *kind = strempty(json_string(json_get(q, "kind")));

        if (!commands)
                return ctl_oom(c);
        int r = look_closer(c, q, &more);
        if (r != 0)
                return r;
        if (!c->options.all && !waits_for_me(c, q, more))
                return 0;
        r = waits_commands(c, (uint32_t) json_int(json_get(q, "run")), strempty(json_string(json_get(q, "activity"))), kind,
                           json_get(more, "fields"), commands);
        if (r >= 0)
                r = json_set(q, "commands", TAKE_PTR(commands));
        if (r >= 0)
                r = json_append(list, json_ref(q));
        return r < 0 ? ctl_oom(c) : 0;
}

static int take_requests(Ctl *c, const Json *all, Json *list, size_t *ret_n_gone) {
        size_t n_gone = 0;

        for (size_t i = 0; i < json_length(all); i++) {
                int r = take_request(c, json_at(all, i), list);
                if (r < 0)
                        return r;
                n_gone += r > 0;
        }
        *ret_n_gone = n_gone;
        return 0;
}

/* Of input the names are known here. */
static char *hint_of(const Ctl *c, const Json *q) {
        const char *kind = strempty(json_string(json_get(q, "kind"))), *activity = strempty(json_string(json_get(q, "activity")));

        if (streq(kind, "input"))
                return strdup(strempty(json_string(json_at(json_get(q, "commands"), 0))));
        return waits_hint(c, (uint32_t) json_int(json_get(q, "run")), activity, kind);
}

static void say_how(Ctl *c, const Json *requests) {
        for (size_t i = 0; i < json_length(requests); i++) {
                _cleanup_free_ char *hint = hint_of(c, json_at(requests, i)), *clean = hint ? text_one_line(hint) : NULL;
                out("  %s%s%s\n", tone_on(TONE_BOLD), strempty(clean), tone_off(TONE_BOLD));
        }
}

static void say_nothing_waits(const Ctl *c, size_t others) {
        if (c->options.all)
                out(_("Nobody is waited for.\n"));
        else
                out(_("Nothing waits for you.\n"));
        _cleanup_free_ char *command = ctl_command(c);
        if (others > 0)
                out(P_("%zu request waits for others: %s inbox --all\n", "%zu requests wait for others: %s inbox --all\n", others), others,
                    strempty(command));
}

/* Nobody types a password for a look at a list. */
int verb_inbox(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *all = NULL, *requests = json_new_array();
        size_t n_gone;

        if (!requests) {
                (void) ctl_oom(c);
                return ctl_failed(c);
        }
        if (lists_get_requests(c, 0, &all) < 0)
                return ctl_failed(c);
        client_allow_questions(c, false);
        if (take_requests(c, all, requests, &n_gone) < 0)
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
        if (k == 0) {
                say_nothing_waits(c, json_length(all) - n_gone);
                return STATUS_SUCCESS;
        }
        out("\n");
        out(P_("%zu request.\n", "%zu requests.\n", k), k);
        say_how(c, requests);
        return STATUS_SUCCESS;
}
