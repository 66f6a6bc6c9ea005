/* replay and rerun: a new run of one that has ended. */
#include "call.h"
#include "i18n.h"
#include "started.h"
#include "values.h"

static const struct Again {
        const char *verb, *member;
        Beginning how;
} kinds[] = {
        {"replay", "Replay", BEGINNING_REPLAY},
        {"rerun", "Rerun", BEGINNING_RERUN},
};

static const struct Again *kind_of(const Ctl *c) {
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (streq(kinds[i].verb, c->verb->name))
                        return kinds + i;
        return NULL;
}

static int make(Ctl *c, const Target *t, const char *member, uint32_t *ret_run, char **ret_path) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ Json *inputs = NULL;

        int r = values_for_run(c, &c->options.inputs, &inputs);
        if (r < 0)
                return r;
        r = call_send(c, t->run_path, BUS_RUN, member, "Inputs", inputs, &reply, &error);
        if (r < 0)
                return error.name ? client_error(c, &error, r) : r;
        return started_read(c, reply, ret_run, ret_path);
}

int verb_again(Ctl *c, const char *const *args, size_t n) {
        _cleanup_free_ char *path = NULL, *runbook = NULL;
        const struct Again *k = kind_of(c);
        _cleanup_target_ Target t = {};
        uint32_t run;

        if (target_parse(c, args[0], 1, 1, &t) < 0 || client_get_text(c, t.run_path, BUS_RUN, "Runbook", &runbook) < 0 || make(c, &t, k->member, &run, &path) < 0)
                return ctl_failed(c);
        return started(c, run, path, runbook, k->how, t.run);
}
