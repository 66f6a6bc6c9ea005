/* retry, ignore, abort: what a person decides about a failure that is held. Where a run holds only one activity, its name may be left out. */
#include "call.h"
#include "i18n.h"
#include "style.h"
#include "values.h"
#include "waits.h"

static const struct Decision {
        const char *verb, *member;
        const char *done;                               /* behind "12/deploy: " */
} decisions[] = {
        {"retry", "Retry", N_("a new attempt begins.")},
        {"ignore", "Ignore", N_("ignored; what needs it goes on.")},
        {"abort", "Abort", N_("aborted; it has failed for good.")},
};

static const struct Decision *decision_of(const Ctl *c) {
        for (size_t i = 0; i < ELEMENTSOF(decisions); i++)
                if (streq(decisions[i].verb, c->verb->name))
                        return decisions + i;
        return NULL;
}

int verb_decide(Ctl *c, const char *const *args, size_t n) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *inputs = NULL;
        _cleanup_target_ Target t = {};
        const struct Decision *d = decision_of(c);

        if (target_parse(c, args[0], 1, 2, &t) < 0 || waits_find(c, &t, "decision") < 0 || values_for_run(c, &c->options.inputs, &inputs) < 0)
                return ctl_failed(c);
        int r = call_send(c, t.activity_path, BUS_ACTIVITY, d->member, "Inputs", inputs, NULL, &error);
        if (r < 0) {
                if (error.name)
                        (void) client_activity_error(c, &t, &error, r);
                return ctl_failed(c);
        }
        _cleanup_free_ char *command = ctl_command(c), *name = text_one_line(t.activity);
        if (!c->options.quiet && !ctl_json(c)) {
                out("%u/%s: %s ", t.run, strempty(name), _(d->done));
                out(_("Watch it with: %s watch %u\n"), strempty(command), t.run);
        }
        return STATUS_SUCCESS;
}
