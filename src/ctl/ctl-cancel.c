/* cancel: stops a run. */
#include "cancel.h"

#include "bus-json.h"
#include "i18n.h"
#include "style.h"

int cancel_send(Ctl *c, const char *run_path, const char *comment) {
        _cleanup_message_ sd_bus_message *m = NULL;

        int r = client_new_call(c, run_path, BUS_RUN, "Cancel", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && comment)
                r = bus_append_option(m, "Comment", comment);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r < 0)
                return client_parse_error(c, r);
        client_allow_question(c, m);
        return client_send(c, m, NULL);
}

int verb_cancel(Ctl *c, const char *const *args, size_t n) {
        _cleanup_target_ Target t = {};

        if (target_parse(c, args[0], 1, 1, &t) < 0 || cancel_send(c, t.run_path, c->options.message) < 0)
                return ctl_failed(c);
        if (!c->options.quiet && !ctl_json(c))
                out(_("Run %u is being cancelled.\n"), t.run);
        return STATUS_SUCCESS;
}
