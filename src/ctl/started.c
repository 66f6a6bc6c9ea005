/* A run that was made just now. */
#include "started.h"

#include "follow.h"
#include "i18n.h"
#include "style.h"

int started_read(Ctl *c, sd_bus_message *reply, uint32_t *ret_run, char **ret_path) {
        const char *path;

        int r = sd_bus_message_read(reply, "uo", ret_run, &path);
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

static void say_begun(Ctl *c, uint32_t run, const char *runbook, Beginning how, uint32_t of) {
        _cleanup_free_ char *when = format_timestamp(c->options.at);

        switch (how) {
        case BEGINNING_START:
                if (c->options.at > 0)
                        out(_("Run %u (%s) starts at %s."), run, runbook, strempty(when));
                else
                        out(_("Started run %u (%s)."), run, runbook);
                break;
        case BEGINNING_REPLAY:
                out(_("Run %u (%s) replays run %u."), run, runbook, of);
                break;
        case BEGINNING_RERUN:
                out(_("Run %u (%s) is run %u once more."), run, runbook, of);
                break;
        }
}

static void say(Ctl *c, uint32_t run, const char *runbook, Beginning how, uint32_t of) {
        _cleanup_free_ char *command = ctl_command(c), *name = text_one_line(runbook);

        say_begun(c, run, strempty(name), how, of);
        if (!c->options.follow) {
                out(" ");
                out(_("Follow it with: %s watch %u"), strempty(command), run);
        }
        out("\n");
}

int started(Ctl *c, uint32_t run, const char *path, const char *runbook, Beginning how, uint32_t of) {
        const Options *o = &c->options;

        if (ctl_json(c)) {
                if (print_json(c, run, path) < 0)
                        return ctl_failed(c);
                (void) fflush(stdout);
        } else if (!o->wait && !o->quiet)
                say(c, run, runbook, how, of);
        if (o->follow)
                return follow_run(c, run, path, runbook);
        return o->wait ? wait_run(c, run, path, runbook) : STATUS_SUCCESS;
}
