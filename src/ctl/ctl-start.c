/* start: creates a run, and stays with it where that is asked for. */
#include "bus-json.h"
#include "client.h"
#include "follow.h"
#include "i18n.h"
#include "style.h"
#include "values.h"

/* The declared types are asked for only where a value was typed. */
static int gather_inputs(Ctl *c, const char *runbook, Json *inputs) {
        _cleanup_json_ Json *definition = NULL;
        const Options *o = &c->options;

        if (o->input_file) {
                int r = values_from_file(c, o->input_file, inputs);
                if (r < 0)
                        return r;
        }
        if (o->inputs.n == 0)
                return 0;
        int r = client_call_json(c, BUS_PATH, BUS_MANAGER, "GetRunbook", &definition, "s", runbook);
        return r < 0 ? r : values_from_words(c, &o->inputs, json_get(definition, "inputs"), inputs);
}

static int append_labels(sd_bus_message *m, const StrList *labels) {
        int r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Labels");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (size_t i = 0; r >= 0 && i < labels->n; i++) {
                const char *eq = strchr(labels->items[i], '=');
                _cleanup_free_ char *name = strndup(labels->items[i], (size_t) (eq - labels->items[i]));
                r = name ? sd_bus_message_append(m, "{ss}", name, eq + 1) : -ENOMEM;
        }
        for (unsigned i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_options(sd_bus_message *m, const Options *o) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && o->strict)
                r = sd_bus_message_append(m, "{sv}", "Strict", "b", 1);
        if (r >= 0 && o->labels.n > 0)
                r = append_labels(m, &o->labels);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int start(Ctl *c, const char *runbook, const Json *inputs, uint32_t *ret_run, char **ret_path) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        const char *path;

        int r = client_new_call(c, BUS_PATH, BUS_MANAGER, "StartRun", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", runbook);
        if (r >= 0)
                r = bus_append_json_object(m, inputs);
        if (r >= 0)
                r = append_options(m, &c->options);
        if (r == -EINVAL)
                return ctl_error(c, _("The inputs can't be sent: null is no value, and texts must be UTF-8 without NUL. Leave out an input "
                                      "that has no value."));
        if (r < 0)
                return ctl_error(c, _("The inputs can't be sent: %s"), strerror(-r));
        r = client_send(c, m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "uo", ret_run, &path);
        if (r < 0)
                return client_parse_error(c, r);
        *ret_path = strdup(path);
        return *ret_path ? 0 : ctl_oom(c);
}

static int print_json(Ctl *c, uint32_t run, const char *path) {
        _cleanup_json_ Json *j = json_new_object();

        if (!j || json_set_uint(j, "id", run) < 0 || json_set_string(j, "path", path) < 0)
                return ctl_oom(c);
        ctl_print_json(c, j);
        return 0;
}

static void say_started(Ctl *c, uint32_t run, const char *runbook) {
        _cleanup_free_ char *command = ctl_command(c);

        if (c->options.follow)
                out(_("Started run %u (%s).\n"), run, runbook);
        else
                out(_("Started run %u (%s). Follow it with: %s watch %u\n"), run, runbook, strempty(command), run);
}

int verb_start(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *inputs = json_new_object();
        _cleanup_free_ char *path = NULL;
        const char *runbook = args[0];
        const Options *o = &c->options;
        uint32_t run;

        if (!inputs) {
                (void) ctl_oom(c);
                return ctl_failed(c);
        }
        if (o->cancel_on_exit && !o->follow && !o->wait) {
                (void) ctl_usage_error(c, _("--cancel-on-exit needs --follow or --wait."));
                return ctl_failed(c);
        }
        if (gather_inputs(c, runbook, inputs) < 0 || start(c, runbook, inputs, &run, &path) < 0)
                return ctl_failed(c);
        if (ctl_json(c)) {
                if (print_json(c, run, path) < 0)
                        return ctl_failed(c);
                (void) fflush(stdout);
        } else if (!o->wait && !o->quiet)
                say_started(c, run, runbook);
        if (o->follow)
                return follow_run(c, run, path, runbook);
        return o->wait ? wait_run(c, run, path, runbook) : STATUS_SUCCESS;
}
