/* The table of requests, without what is done about them. Their text is cut when it comes in, so a table is small however long the
 * messages are. A request is known by the path of its activity: an activity waits for one thing at a time. */
#include "requests.h"

#include "json.h"
#include "who.h"

Request *requests_find(Requests *rs, const char *path) {
        LIST_FOREACH(requests, r, rs->first)
                if (streq(r->path, path))
                        return r;
        return NULL;
}

static Request *request_free(Request *r) {
        sd_bus_slot_unref(r->details_slot);
        sd_bus_slot_unref(r->name_slot);
        shown_withdraw(r->shown);
        request_info_done(&r->info);
        free(r->path);
        free(r);
        return NULL;
}

void requests_drop(Requests *rs, Request *r) {
        LIST_REMOVE(requests, rs->first, r);
        rs->n--;
        request_free(r);
}

void requests_done(Requests *rs) {
        while (rs->first)
                requests_drop(rs, rs->first);
}

/* ---- the list ---- */

static int read_approvers(sd_bus_message *m, const Who *who, bool *ret_mine) {
        bool any = false, mine = false;
        const char *principal;
        int r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &principal)) > 0) {
                any = true;
                mine = mine || who_is(who, principal);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        *ret_mine = mine || !any;
        return r;
}

int requests_read(sd_bus_message *m, const Who *who, int (*take)(void *userdata, const Entry *e), void *userdata) {
        int r = sd_bus_message_enter_container(m, 'a', "(uossssast)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "uossssast")) > 0) {
                bool mine = false;
                Entry e;
                r = sd_bus_message_read(m, "uossss", &e.run, &e.path, &e.activity, &e.kind, &e.title, &e.message);
                if (r >= 0)
                        r = read_approvers(m, who, &mine);
                if (r >= 0)
                        r = sd_bus_message_read_basic(m, 't', &e.deadline);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r >= 0 && mine)
                        r = take(userdata, &e);
        }
        return r < 0 ? r : 0;
}

int requests_read_signal(sd_bus_message *m, const Who *who, const char **ret_path) {
        bool mine;
        int r = sd_bus_message_read(m, "uossss", NULL, ret_path, NULL, NULL, NULL, NULL);
        if (r >= 0)
                r = read_approvers(m, who, &mine);
        return r < 0 ? r : mine;
}

/* ---- one request ---- */

static bool same_text(const char *a, const char *b) {
        return streq(strempty(a), strempty(b));
}

static int fill(const Entry *e, RequestInfo *ret) {
        RequestInfo i = {
                .run = e->run,
                .kind = request_kind_from_string(e->kind),
                .activity = text_clean(e->activity, NAME_MAX_SHOWN, 1),
                .title = text_clean(e->title, SUMMARY_MAX, 1),
                .message = text_clean(e->message, TEXT_MAX, TEXT_LINES_MAX),
                .deadline = e->deadline,
        };
        int r = i.kind < 0 ? -EINVAL : i.activity && i.title && i.message ? 0 : -ENOMEM;
        if (r < 0) {
                request_info_done(&i);
                return r;
        }
        *ret = i;
        return 0;
}

static int add(Requests *rs, const Entry *e, RequestInfo *takes, void *owner, Request **ret) {
        Request *r = rs->n < REQUESTS_MAX ? calloc(1, sizeof(*r)) : NULL;
        char *path = r ? strdup(e->path) : NULL;
        if (!path) {
                request_info_done(takes);
                free(r);
                return rs->n < REQUESTS_MAX ? -ENOMEM : -ENOSPC;
        }
        *r = (Request) {.owner = owner, .path = path, .info = *takes, .listed = true};
        LIST_PREPEND(requests, rs->first, r);
        rs->n++;
        *ret = r;
        return 0;
}

int requests_take(Requests *rs, const Entry *e, void *owner, Request **ret, bool *ret_changed) {
        Request *known = requests_find(rs, e->path);
        RequestInfo i;
        int r = fill(e, &i);
        if (r < 0)
                return r;
        *ret_changed = !known || known->info.kind != i.kind || known->info.deadline != i.deadline ||
                       !same_text(known->info.title, i.title) || !same_text(known->info.message, i.message);
        if (!known)
                return add(rs, e, &i, owner, ret);
        known->listed = true;
        i.runbook = TAKE_PTR(known->info.runbook);
        i.context = TAKE_PTR(known->info.context);
        i.opened_at = known->info.opened_at;
        i.wants_fields = known->info.wants_fields;
        request_info_done(&known->info);
        known->info = i;
        *ret = known;
        return 0;
}

static bool wants_fields(const Json *request) {
        const Json *fields = json_get(request, "fields");
        for (size_t i = 0; i < json_length(fields); i++)
                if (json_bool(json_get(json_at(fields, i), "required")) && !json_has(json_at(fields, i), "default"))
                        return true;
        return false;
}

int request_take_details(Request *r, const char *json, bool *ret_mine) {
        _cleanup_json_ Json *j = NULL;
        if (json_parse(json, strlen(json), &j) < 0 || json_type(j) != JSON_OBJECT)
                return -EBADMSG;
        const char *context = json_string(json_get(j, "context"));
        char *clean = context ? text_clean(context, TEXT_MAX, TEXT_LINES_MAX) : NULL;
        if (context && !clean)
                return -ENOMEM;
        free(r->info.context);
        r->info.context = clean;
        r->info.opened_at = (usec_t) json_int(json_get(j, "openedAt"));
        r->info.wants_fields = wants_fields(j);
        *ret_mine = !json_has(j, "canAnswer") || json_bool(json_get(j, "canAnswer"));
        return 0;
}
