/* One table says which option becomes which key; which options a command has is the verb table's business. */
#include "call.h"

#include "bus-json.h"
#include "i18n.h"

/* Each appends the value, as a variant. */
static int append_comment(sd_bus_message *m, const Options *o) {
        return sd_bus_message_append(m, "v", "s", o->message);
}

static int append_true(sd_bus_message *m, const Options *o) {
        return sd_bus_message_append(m, "v", "b", 1);
}

static int append_from(sd_bus_message *m, const Options *o) {
        return sd_bus_message_append(m, "v", "s", o->from);
}

static int append_at(sd_bus_message *m, const Options *o) {
        return sd_bus_message_append(m, "v", "t", o->at);
}

/* The names in "a,b". */
static int append_names(sd_bus_message *m, const char *list) {
        int r = 0;

        for (const char *s = list; r >= 0 && *s;) {
                size_t n = strcspn(s, ",");
                _cleanup_free_ char *name = strndup(s, n);
                if (!name)
                        return -ENOMEM;
                r = n > 0 ? sd_bus_message_append_basic(m, 's', name) : 0;
                s += n + (s[n] == ',');
        }
        return r;
}

static int append_only(sd_bus_message *m, const Options *o) {
        int r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && i < o->only.n; i++)
                r = append_names(m, o->only.items[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_labels(sd_bus_message *m, const Options *o) {
        int r = sd_bus_message_open_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (size_t i = 0; r >= 0 && i < o->labels.n; i++) {
                const char *eq = strchr(o->labels.items[i], '=');
                _cleanup_free_ char *name = strndup(o->labels.items[i], (size_t) (eq - o->labels.items[i]));
                r = name ? sd_bus_message_append(m, "{ss}", name, eq + 1) : -ENOMEM;
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_object(sd_bus_message *m, const Json *object) {
        int r = sd_bus_message_open_container(m, 'v', "a{sv}");
        if (r >= 0)
                r = bus_append_json_object(m, object);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* An output has no declared type: what is JSON is meant as such, all else is a text. */
static int append_outputs(sd_bus_message *m, const Options *o) {
        _cleanup_json_ Json *outputs = json_new_object();

        if (!outputs)
                return -ENOMEM;
        for (size_t i = 0; i < o->outputs.n; i++) {
                const char *eq = strchr(o->outputs.items[i], '=');
                _cleanup_free_ char *name = strndup(o->outputs.items[i], (size_t) (eq - o->outputs.items[i]));
                Json *value = NULL;
                int r = name ? json_parse(eq + 1, strlen(eq + 1), &value) : -ENOMEM;
                if (r != -ENOMEM && r < 0)
                        value = json_new_string(eq + 1);
                if (r == -ENOMEM || (r < 0 && !value) || json_set(outputs, name, value) < 0)
                        return -ENOMEM;
        }
        return append_object(m, outputs);
}

static const struct {
        OptionId option;
        const char *key;
        int (*append)(sd_bus_message *m, const Options *o);
} table[] = {
        {OPTION_MESSAGE, "Comment", append_comment},
        {OPTION_STRICT, "Strict", append_true},
        {OPTION_AT, "StartAt", append_at},
        {OPTION_ONLY, "Only", append_only},
        {OPTION_LABEL, "Labels", append_labels},
        {OPTION_FROM, "From", append_from},
        {OPTION_ALL_PARALLEL, "AllParallel", append_true},
        {OPTION_RELOAD, "Reload", append_true},
        {OPTION_FRESH_WORKSPACE, "FreshWorkspace", append_true},
        {OPTION_OUTPUT, "Outputs", append_outputs},
        {OPTION_OVERRIDE, "Override", append_true},
};

static int open_entry(sd_bus_message *m, const char *key) {
        int r = sd_bus_message_open_container(m, 'e', "sv");
        return r < 0 ? r : sd_bus_message_append_basic(m, 's', key);
}

int call_append_options(sd_bus_message *m, const Options *o, const char *values_key, const Json *values) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(table); i++) {
                if (!(o->given & OPTION_BIT(table[i].option)) || (table[i].option == OPTION_AT && o->at == 0))
                        continue;
                r = open_entry(m, table[i].key);
                if (r >= 0)
                        r = table[i].append(m, o);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        if (r >= 0 && json_length(values) > 0) {
                r = open_entry(m, values_key);
                if (r >= 0)
                        r = append_object(m, values);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int call_failed(Ctl *c, int r) {
        if (r == -EINVAL)
                return ctl_error(c, _("The inputs can't be sent: null is no value, and texts must be UTF-8 without NUL. Leave out an input "
                                      "that has no value."));
        return ctl_error(c, _("The inputs can't be sent: %s"), strerror(-r));
}

int call_send(Ctl *c, const char *path, const char *interface, const char *member, const char *values_key, const Json *values,
              sd_bus_message **ret, sd_bus_error *error) {
        _cleanup_message_ sd_bus_message *m = NULL;

        int r = client_new_call(c, path, interface, member, &m);
        if (r < 0)
                return r;
        r = call_append_options(m, &c->options, values_key, values);
        return r < 0 ? call_failed(c, r) : client_try(c, m, error, ret);
}
