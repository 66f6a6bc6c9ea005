/* approve, reject: a person's answer. What fields there are is asked first, only to know their types. */
#include "answer.h"

#include "bus-json.h"
#include "i18n.h"
#include "style.h"
#include "values.h"

int answer_get_request(Ctl *c, const Target *t, Json **ret, sd_bus_error *error) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        const char *text;

        int r = client_new_call(c, t->activity_path, BUS_ACTIVITY, "GetRequest", &m);
        if (r >= 0)
                r = client_try(c, m, error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        return r < 0 ? r : json_parse(text, strlen(text), ret);
}

static int append_fields(sd_bus_message *m, const Json *fields) {
        int r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Fields");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{sv}");
        if (r >= 0)
                r = bus_append_json_object(m, fields);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int answer_send(Ctl *c, const char *activity_path, bool approve, const Json *fields, const char *comment, sd_bus_error *error) {
        _cleanup_message_ sd_bus_message *m = NULL;

        int r = client_new_call(c, activity_path, BUS_ACTIVITY, approve ? "Approve" : "Reject", &m);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && comment)
                r = bus_append_option(m, "Comment", comment);
        if (r >= 0 && json_length(fields) > 0)
                r = append_fields(m, fields);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : client_try(c, m, error, NULL);
}

static int gather_fields(Ctl *c, const Target *t, Json *fields) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *request = NULL;

        if (c->options.inputs.n == 0)
                return 0;
        int r = answer_get_request(c, t, &request, &error);
        if (r < 0)
                return client_activity_error(c, t, &error, r);
        return values_from_words(c, &c->options.inputs, json_get(request, "fields"), fields);
}

static int answer(Ctl *c, const char *arg, bool approve) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *fields = json_new_object();
        _cleanup_target_ Target t = {};

        if (!fields) {
                (void) ctl_oom(c);
                return ctl_failed(c);
        }
        if (target_parse(c, arg, 2, 2, &t) < 0 || gather_fields(c, &t, fields) < 0)
                return ctl_failed(c);
        int r = answer_send(c, t.activity_path, approve, fields, c->options.message, &error);
        if (r < 0) {
                (void) client_activity_error(c, &t, &error, r);
                return ctl_failed(c);
        }
        if (!c->options.quiet && !ctl_json(c))
                out(approve ? _("Approved %u/%s.\n") : _("Rejected %u/%s.\n"), t.run, t.activity);
        return STATUS_SUCCESS;
}

int verb_approve(Ctl *c, const char *const *args, size_t n) {
        return answer(c, args[0], true);
}

int verb_reject(Ctl *c, const char *const *args, size_t n) {
        return answer(c, args[0], false);
}
