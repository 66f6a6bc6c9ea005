/* start: creates a run, and stays with it where that is asked for. */
#include "bus-json.h"
#include "call.h"
#include "started.h"
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

static int start(Ctl *c, const char *runbook, const Json *inputs, uint32_t *ret_run, char **ret_path) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;

        int r = client_new_call(c, BUS_PATH, BUS_MANAGER, "StartRun", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", runbook);
        if (r >= 0)
                r = bus_append_json_object(m, inputs);
        if (r >= 0)
                r = call_append_options(m, &c->options, NULL, NULL);
        if (r < 0)
                return call_failed(c, r);
        r = client_send(c, m, &reply);
        return r < 0 ? r : started_read(c, reply, ret_run, ret_path);
}

int verb_start(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *inputs = json_new_object();
        _cleanup_free_ char *path = NULL;
        uint32_t run;

        if (!inputs) {
                (void) ctl_oom(c);
                return ctl_failed(c);
        }
        if (gather_inputs(c, args[0], inputs) < 0 || start(c, args[0], inputs, &run, &path) < 0)
                return ctl_failed(c);
        return started(c, run, path, args[0], BEGINNING_START, 0);
}
