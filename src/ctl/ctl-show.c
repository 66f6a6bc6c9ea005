/* show: properties, one a line, for scripts and the curious. */
#include "bus-json.h"
#include "client.h"
#include "i18n.h"
#include "pager.h"
#include "style.h"

/* Which properties are times (µs, 0: never), so that they are shown as such; all others are shown by their type. */
static const char *const times[] = {"CreatedAt", "StartedAt", "FinishedAt", "ScheduledFor", "NextRetryAt", "Deadline"};

static bool is_time(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(times); i++)
                if (streq(times[i], name))
                        return true;
        return false;
}

/* A list of strings is shown as its words, anything deeper as JSON. */
static char *list_text(const Json *value) {
        _cleanup_strbuf_ StrBuf b = {};

        for (size_t i = 0; i < json_length(value); i++) {
                const char *s = json_string(json_at(value, i));
                if (!s)
                        return json_to_string(value, false);
                strbuf_appendf(&b, "%s%s", i > 0 ? " " : "", s);
        }
        return strbuf_take(&b);
}

static char *value_text(const char *name, const Json *value) {
        switch (json_type(value)) {
        case JSON_NULL:
                return strdup("");
        case JSON_STRING:
                return text_one_line(json_string(value));
        case JSON_BOOL:
                return strdup(json_bool(value) ? "yes" : "no");
        case JSON_INT:
                if (is_time(name))
                        return json_int(value) == 0 ? strdup("") : format_timestamp((usec_t) json_int(value));
                return json_to_string(value, false);
        case JSON_DOUBLE:
                return json_to_string(value, false);
        case JSON_ARRAY:
        case JSON_OBJECT:
                break;
        }
        _cleanup_free_ char *s = json_type(value) == JSON_ARRAY ? list_text(value) : json_to_string(value, false);
        return s ? text_one_line(s) : NULL;
}

static int print_property(Ctl *c, const char *name, const Json *value) {
        _cleanup_free_ char *text = value_text(name, value);

        if (!text)
                return ctl_oom(c);
        if (c->options.value)
                out("%s\n", text);
        else
                out("%s=%s\n", name, text);
        return 0;
}

/* Those that were asked for, in that order; all where none was. */
static int select_properties(Ctl *c, const Json *all, Json **ret) {
        _cleanup_json_ Json *some = json_new_object();
        const StrList *wanted = &c->options.properties;

        if (!some)
                return ctl_oom(c);
        for (size_t i = 0; i < wanted->n; i++) {
                if (!json_has(all, wanted->items[i]))
                        return ctl_error(c, _("There is no property \"%s\". Without -p all are shown."), wanted->items[i]);
                if (json_set(some, wanted->items[i], json_ref(json_get(all, wanted->items[i]))) < 0)
                        return ctl_oom(c);
        }
        *ret = wanted->n > 0 ? TAKE_PTR(some) : json_ref((Json *) all);
        return 0;
}

static int get(Ctl *c, const char *const *args, size_t n, Json **ret) {
        _cleanup_target_ Target t = {};
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        if (n == 0)
                return client_get_properties(c, BUS_PATH, BUS_MANAGER, ret);
        int r = target_parse(c, args[0], 1, 2, &t);
        if (r < 0)
                return r;
        if (!t.activity)
                return client_get_properties(c, t.run_path, BUS_RUN, ret);
        r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, t.activity_path, "org.freedesktop.DBus.Properties", "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", BUS_ACTIVITY);
        if (r < 0)
                return ctl_oom(c);
        r = client_try(c, m, &error, &reply);
        if (r < 0)
                return client_activity_error(c, &t, &error, r);
        r = bus_read_json(reply, ret);
        return r < 0 ? client_parse_error(c, r) : 0;
}

int verb_show(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *all = NULL, *some = NULL;

        if (get(c, args, n, &all) < 0 || select_properties(c, all, &some) < 0)
                return ctl_failed(c);
        if (ctl_json(c)) {
                ctl_print_json(c, some);
                return STATUS_SUCCESS;
        }
        pager_open(c);
        JSON_OBJECT_FOREACH(some, name, value)
                if (print_property(c, name, value) < 0)
                        return ctl_failed(c);
        return STATUS_SUCCESS;
}
