/* What acts on a whole run: pause, resume, start-now, set-input, and reschedule. */
#include "call.h"

#include "bus-json.h"
#include "fd-util.h"
#include "i18n.h"
#include "style.h"
#include "values.h"

static int act(Ctl *c, const char *path, const char *member, const char *values_key, const Json *values) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = call_send(c, path, BUS_RUN, member, values_key, values, NULL, &error);
        return r < 0 && error.name ? client_error(c, &error, r) : r;
}

/* "Run 12: … Watch it with: runbookctl watch 12" */
static void say_done(Ctl *c, const Target *t, const char *done) {
        _cleanup_free_ char *command = ctl_command(c);

        if (c->options.quiet || ctl_json(c))
                return;
        out(_("Run %u: %s "), t->run, done);
        out(_("Watch it with: %s watch %u\n"), strempty(command), t->run);
}

static const struct RunAction {
        const char *verb, *member;
        const char *done;                               /* behind "Run 12: " */
} actions[] = {
        {"pause", "Pause", N_("paused; what runs comes to its end, nothing new starts.")},
        {"resume", "Resume", N_("it goes on.")},
        {"start-now", "StartNow", N_("it starts now.")},
};

static const struct RunAction *action_of(const Ctl *c) {
        for (size_t i = 0; i < ELEMENTSOF(actions); i++)
                if (streq(actions[i].verb, c->verb->name))
                        return actions + i;
        return NULL;
}

int verb_act(Ctl *c, const char *const *args, size_t n) {
        const struct RunAction *a = action_of(c);
        _cleanup_target_ Target t = {};

        if (target_parse(c, args[0], 1, 1, &t) < 0 || act(c, t.run_path, a->member, NULL, NULL) < 0)
                return ctl_failed(c);
        say_done(c, &t, _(a->done));
        return STATUS_SUCCESS;
}


int verb_set_input(Ctl *c, const char *const *args, size_t n) {
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_json_ Json *inputs = NULL;
        _cleanup_target_ Target t = {};
        StrList words = {.items = (const char **) args + 1, .n = n - 1};

        if (values_check_words(c, &words) < 0 || values_for_run(c, &words, &inputs) < 0 || target_parse(c, args[0], 1, 1, &t) < 0 ||
            client_new_call(c, t.run_path, BUS_RUN, "SetInputs", &m) < 0)
                return ctl_failed(c);
        int r = bus_append_json_object(m, inputs);
        if (r >= 0)
                r = call_append_options(m, &c->options, NULL, NULL);
        if (r < 0 ? call_failed(c, r) < 0 : client_send(c, m, NULL) < 0)
                return ctl_failed(c);
        _cleanup_free_ char *done = xasprintf(P_("%zu input changed.", "%zu inputs changed.", json_length(inputs)), json_length(inputs));
        say_done(c, &t, strempty(done));
        return STATUS_SUCCESS;
}

static int reschedule(Ctl *c, const Target *t, usec_t at) {
        _cleanup_message_ sd_bus_message *m = NULL;

        int r = client_new_call(c, t->run_path, BUS_RUN, "Reschedule", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "t", at);
        if (r >= 0)
                r = call_append_options(m, &c->options, NULL, NULL);
        return r < 0 ? call_failed(c, r) : client_send(c, m, NULL);
}

int verb_reschedule(Ctl *c, const char *const *args, size_t n) {
        usec_t now = now_usec(CLOCK_REALTIME), at = 0;
        _cleanup_target_ Target t = {};

        if (parse_timestamp(args[1], now, &at) < 0) {
                (void)ctl_usage_error(c,
                                      _("\"%s\" is no time: write it as \"2026-11-23 14:00\", \"tomorrow 02:00\", \"14:00\" or \"+2h\"."),
                                      args[1]);
                return ctl_failed(c);
        }
        if (target_parse(c, args[0], 1, 1, &t) < 0)
                return ctl_failed(c);
        /* A moment that is now would be past when it arrives. */
        if ((at == now ? act(c, t.run_path, "StartNow", NULL, NULL) : reschedule(c, &t, at)) < 0)
                return ctl_failed(c);
        _cleanup_free_ char *when = format_timestamp(at), *done = xasprintf(_("it starts at %s."), strempty(when));
        say_done(c, &t, at == now ? _("it starts now.") : strempty(done));
        return STATUS_SUCCESS;
}
