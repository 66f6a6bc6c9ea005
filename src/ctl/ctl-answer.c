/* approve, reject, provide: a person's answer. What fields there are is asked first, only to know their types. */
#include "answer.h"

#include "bus-json.h"
#include "call.h"
#include "i18n.h"
#include "style.h"
#include "values.h"
#include "waits.h"

int answer_add_approvers(Ctl *c, const Target *t, Json *request) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *approvers = json_new_array();
        const char *name;

        if (!approvers)
                return -ENOMEM;
        if (json_length(json_get(request, "approvers")) > 0 || streq_ptr(json_string(json_get(request, "kind")), "decision"))
                return 0;
        if (client_new_call(c, t->activity_path, "org.freedesktop.DBus.Properties", "Get", &m) < 0 ||
            sd_bus_message_append(m, "ss", BUS_ACTIVITY, "Approvers") < 0 || client_try(c, m, &error, &reply) < 0 ||
            sd_bus_message_enter_container(reply, 'v', "as") < 0 || sd_bus_message_enter_container(reply, 'a', "s") < 0)
                return 0;
        while (sd_bus_message_read(reply, "s", &name) > 0)
                if (json_append(approvers, json_new_string(name)) < 0)
                        return -ENOMEM;
        return json_set(request, "approvers", TAKE_PTR(approvers));
}

int answer_get_request(Ctl *c, const Target *t, Json **ret, sd_bus_error *error) {
        _cleanup_json_ Json *request = NULL;

        int r = client_try_json(c, t->activity_path, BUS_ACTIVITY, "GetRequest", &request, error);
        if (r >= 0)
                r = answer_add_approvers(c, t, request);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(request);
        return 0;
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

int answer_send(Ctl *c, const char *activity_path, const AnswerCall *call, sd_bus_error *error) {
        _cleanup_message_ sd_bus_message *m = NULL;

        int r = client_new_call(c, activity_path, BUS_ACTIVITY, call->member, &m);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && call->comment)
                r = bus_append_option(m, "Comment", call->comment);
        if (r >= 0 && call->opened_at > 0)
                r = sd_bus_message_append(m, "{sv}", "OpenedAt", "t", call->opened_at);
        if (r >= 0 && json_length(call->fields) > 0)
                r = append_fields(m, call->fields);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        client_allow_question(c, m);                    /* somebody sits here and has just typed the answer */
        return client_try(c, m, error, NULL);
}

int answer_error(Ctl *c, const Target *t, const sd_bus_error *error, int r) {
        _cleanup_json_ Json *request = json_new_object();

        r = client_activity_error(c, t, error, r);
        if (!sd_bus_error_has_name(error, BUS_ERROR_PREFIX "NotApprover") || !request || answer_add_approvers(c, t, request) < 0 ||
            json_length(json_get(request, "approvers")) == 0)
                return r;
        _cleanup_free_ char *who = waits_who(request), *clean = who ? text_one_line(who) : NULL;
        err(_("Who is asked: %s\n"), strempty(clean));
        return r;
}

static bool is_about_the_object(const sd_bus_error *error) {
        return client_is_away(error) || sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
               sd_bus_error_has_name(error, BUS_ERROR_PREFIX "NoSuchActivity");
}

/* Who may answer but not read sends texts, which the daemon reads by their types; and nobody types a password for a look. What else is
 * wrong the answer itself is told. */
static int gather_fields(Ctl *c, const Target *t, const StrList *words, Json *fields) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *request = NULL;

        int r = c->options.input_file ? values_from_file(c, c->options.input_file, fields) : 0;
        if (r < 0 || words->n == 0)
                return r;
        client_allow_questions(c, false);
        r = answer_get_request(c, t, &request, &error);
        client_allow_questions(c, true);
        if (r < 0 && (!error.name || is_about_the_object(&error)))
                return client_activity_error(c, t, &error, r);
        return values_from_words(c, words, json_get(request, "fields"), fields);
}

static const struct Answer {
        const char *verb, *member;
        const char *done;
} answers[] = {
        {"approve", "Approve", N_("Approved %u/%s.\n")},
        {"reject", "Reject", N_("Rejected %u/%s.\n")},
        {"provide", "Provide", N_("%u/%s has got its input.\n")},
};

static const struct Answer *answer_of(const Ctl *c) {
        for (size_t i = 0; i < ELEMENTSOF(answers); i++)
                if (streq(answers[i].verb, c->verb->name))
                        return answers + i;
        return NULL;
}

static int answer(Ctl *c, const struct Answer *a, Target *t, const StrList *words) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *fields = json_new_object();

        if (!fields)
                return ctl_oom(c);
        int r = waits_find(c, t, "input");
        if (r >= 0)
                r = gather_fields(c, t, words, fields);
        if (r < 0)
                return r;
        r = call_send(c, t->activity_path, BUS_ACTIVITY, a->member, "Fields", fields, NULL, &error);
        if (r < 0)
                return error.name ? answer_error(c, t, &error, r) : r;
        _cleanup_free_ char *name = text_one_line(t->activity);
        if (!c->options.quiet && !ctl_json(c))
                out(_(a->done), t->run, strempty(name));
        return 0;
}

int verb_answer(Ctl *c, const char *const *args, size_t n) {
        const struct Answer *a = answer_of(c);
        bool provides = streq(a->verb, "provide");
        StrList words = provides ? (StrList){.items = (const char **) args + 1, .n = n - 1} : c->options.inputs;
        _cleanup_target_ Target t = {};

        if (values_check_words(c, &words) < 0 || target_parse(c, args[0], provides ? 1 : 2, 2, &t) < 0 || answer(c, a, &t, &words) < 0)
                return ctl_failed(c);
        return STATUS_SUCCESS;
}
