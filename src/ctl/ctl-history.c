/* history: all that happened to a run, one line an event; or what one person did, in one run or in all of the newest. */
#include "client.h"
#include "fd-util.h"
#include "history.h"
#include "i18n.h"
#include "lists.h"
#include "pager.h"
#include "style.h"
#include "table.h"

#define HISTORY_RUNS_MAX 100u                           /* that are looked through for a person */

enum { COLUMN_RUN, COLUMN_TIME, COLUMN_WHO, COLUMN_SESSION, COLUMN_WHAT, COLUMN_SUBJECT, COLUMN_ATTEMPT, COLUMN_WHY, _COLUMN_MAX };

static const TableColumn columns[_COLUMN_MAX] = {
        [COLUMN_RUN] = {N_("RUN"), .right = true},
        [COLUMN_TIME] = {N_("TIME")},
        [COLUMN_WHO] = {N_("WHO")},
        [COLUMN_SESSION] = {N_("SESSION")},
        [COLUMN_WHAT] = {N_("WHAT"), .shrinks = true},
        [COLUMN_SUBJECT] = {N_("SUBJECT"), .shrinks = true},
        [COLUMN_ATTEMPT] = {N_("ATTEMPT"), .right = true},
        [COLUMN_WHY] = {N_("WHY"), .shrinks = true},
};

/* Which are shown: the run where there are several, the session where one is known. */
typedef struct Shown {
        bool run, session;
} Shown;

static int new_table(Ctl *c, Shown shown, Table **ret) {
        TableColumn some[_COLUMN_MAX];
        size_t n = 0;

        for (size_t i = 0; i < _COLUMN_MAX; i++)
                if ((i != COLUMN_RUN || shown.run) && (i != COLUMN_SESSION || shown.session))
                        some[n++] = columns[i];
        return table_new(c, some, n, ret);
}

static int add_event(Ctl *c, Table *t, const Json *event, Shown shown) {
        _cleanup_free_ char *who = history_who_uid(event), *subject = history_subject(event), *detail = history_detail(event);
        const Json *run = json_get(event, "run"), *attempt = json_get(event, "attempt");
        const char *state = json_string(json_get(json_get(event, "data"), "state"));

        if (!who || !subject || !detail)
                return ctl_oom(c);
        table_row(t);
        if (shown.run)
                table_cellf(t, TONE_NONE, "%" PRIi64, json_int(run));
        table_time(t, lists_time(event, "at"));
        table_cell(t, TONE_NONE, who);
        if (shown.session)
                table_cell(t, TONE_NONE, strempty(history_session(event)));
        table_cell(t, TONE_NONE, history_words(strempty(json_string(json_get(event, "type")))));
        table_cell(t, TONE_NONE, subject);
        if (attempt)
                table_cellf(t, TONE_NONE, "%" PRIi64, json_int(attempt));
        else
                table_cell(t, TONE_NONE, "");
        table_cell(t, state_tone(state), detail);
        return 0;
}

/* Moves what the person did (NULL: all) to the end of another list. run 0: it isn't said which. */
static int pick(Ctl *c, const Json *from, const char *who, uint32_t run, Json *to) {
        for (size_t i = 0; i < json_length(from); i++) {
                Json *event = json_at(from, i);
                if (who && !history_is_by(event, who))
                        continue;
                if ((run > 0 && json_set_uint(event, "run", run) < 0) || json_append(to, json_ref(event)) < 0)
                        return ctl_oom(c);
        }
        return 0;
}

static int of_run(Ctl *c, const char *arg, Json *events) {
        _cleanup_json_ Json *all = json_new_array();
        _cleanup_target_ Target t = {};

        if (!all)
                return ctl_oom(c);
        if (target_parse(c, arg, 1, 1, &t) < 0 || history_read(c, t.run_path, 1, 0, all, NULL) < 0)
                return -EIO;
        return pick(c, all, c->options.who, 0, events);
}

/* ---- of a person ---- */

static int by_time(const void *a, const void *b) {
        static const char *const keys[] = {"at", "run", "seq"};
        const Json *x = *(Json *const *) a, *y = *(Json *const *) b;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                int64_t t = json_int(json_get(x, keys[i])), u = json_int(json_get(y, keys[i]));
                if (t != u)
                        return t > u ? 1 : -1;
        }
        return 0;
}

/* As things happened, whichever run they happened to. */
static int sorted(Ctl *c, const Json *events, Json **ret) {
        _cleanup_json_ Json *result = json_new_array();
        size_t n = json_length(events);
        _cleanup_free_ Json **items = calloc(n + 1, sizeof(Json *));

        if (!items || !result)
                return ctl_oom(c);
        for (size_t i = 0; i < n; i++)
                items[i] = json_at(events, i);
        qsort(items, n, sizeof(Json *), by_time);
        for (size_t i = 0; i < n; i++)
                if (json_append(result, json_ref(items[i])) < 0)
                        return ctl_oom(c);
        *ret = TAKE_PTR(result);
        return 0;
}

/* A run whose history the caller may not read is counted, not the end; and a password is asked for once, not for each. */
static int of_person(Ctl *c, Json **events) {
        _cleanup_json_ Json *runs = NULL, *found = json_new_array();
        size_t hidden = 0;

        if (!found)
                return ctl_oom(c);
        int r = lists_get_runs(c, NULL, HISTORY_RUNS_MAX, &runs);
        for (size_t i = 0; r >= 0 && i < json_length(runs); i++) {
                _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
                _cleanup_json_ Json *all = json_new_array();
                const Json *run = json_at(runs, i);
                if (!all)
                        return ctl_oom(c);
                r = history_read(c, strempty(json_string(json_get(run, "path"))), 1, 0, all, &error);
                client_allow_questions(c, false);
                if (r < 0 && (!error.name || client_is_away(&error)))
                        return client_error(c, &error, r);
                hidden += r < 0;
                r = r < 0 ? 0 : pick(c, all, c->options.who, (uint32_t) json_int(json_get(run, "id")), found);
        }
        if (r < 0)
                return r;
        if (hidden > 0 && !c->options.quiet)
                err(P_("The history of %zu run can't be read by you and is left out.\n",
                       "The histories of %zu runs can't be read by you and are left out.\n", hidden), hidden);
        json_unref(*events);
        *events = NULL;
        return sorted(c, found, events);
}

static int print_events(Ctl *c, const Json *events, bool of_one_run) {
        _cleanup_table_ Table *t = NULL;
        size_t k = json_length(events), first = c->options.lines < k ? k - c->options.lines : 0;
        Shown shown = {.run = !of_one_run};

        for (size_t i = first; i < k; i++)
                shown.session = shown.session || history_session(json_at(events, i));
        int r = new_table(c, shown, &t);
        for (size_t i = first; r >= 0 && i < k; i++)
                r = add_event(c, t, json_at(events, i), shown);
        if (r < 0)
                return r;
        pager_open(c);
        return table_print(c, t);
}

int verb_history(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *events = json_new_array();

        if (!events) {
                (void) ctl_oom(c);
                return ctl_failed(c);
        }
        if (n == 0 && !c->options.who) {
                (void) ctl_usage_error(c, _("Which run? Write its number; or --who=NAME for what a person did in all of them."));
                return ctl_failed(c);
        }
        if ((n > 0 ? of_run(c, args[0], events) : of_person(c, &events)) < 0)
                return ctl_failed(c);
        if (ctl_json(c)) {
                ctl_print_json(c, events);
                return STATUS_SUCCESS;
        }
        return print_events(c, events, n > 0) < 0 ? ctl_failed(c) : STATUS_SUCCESS;
}
