/* A daemon that restarts is no end: the run goes on when it is back, so we wait for it, but not for ever. */
#include "attend.h"

#include "i18n.h"
#include "style.h"

typedef struct Patience {
        usec_t since;                                   /* the first look that failed; 0: the last one didn't */
        bool said;
} Patience;

static int lost(Ctl *c, const sd_bus_error *error, int r) {
        (void) client_error(c, error, r);
        return -EHOSTUNREACH;
}

/* 0: try again later. */
static int look_failed(Ctl *c, const AttendOps *ops, void *userdata, Patience *p, const sd_bus_error *error, int r) {
        usec_t now = now_usec(CLOCK_MONOTONIC);

        if (!error->name)
                return r;
        if (!client_is_away(error))
                return client_error(c, error, r);
        if (p->since == 0)
                p->since = now;
        if (now - p->since >= AWAY_MAX || sd_bus_is_open(c->bus) <= 0)
                return lost(c, error, r);
        if (!p->said && ops->away)
                ops->away(userdata, true);
        p->said = true;
        return 0;
}

static void look_worked(const AttendOps *ops, void *userdata, Patience *p) {
        if (p->said && ops->away)
                ops->away(userdata, false);
        *p = (Patience) {};
}

static int attend_loop(Ctl *c, Monitor *m, const AttendOps *ops, void *userdata) {
        unsigned wake = WAKE_CHANGED;
        Patience patience = {};

        for (;;) {
                _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
                int r = ops->look(userdata, wake, &error);
                client_allow_questions(c, false);
                if (r > 0)
                        return 0;
                if (r < 0) {
                        r = look_failed(c, ops, userdata, &patience, &error, r);
                        if (r < 0)
                                return r;
                } else
                        look_worked(ops, userdata, &patience);

                r = monitor_wait(m, patience.since > 0 ? USEC_PER_SEC : ops->interval(userdata));
                if (r < 0)
                        return r;
                wake = (unsigned) r;
                if (wake & WAKE_BUS_GONE) {
                        (void) sd_bus_error_set(&error, SD_BUS_ERROR_DISCONNECTED, _("the bus has ended the connection"));
                        return lost(c, &error, -ECONNRESET);
                }
                r = wake & WAKE_INTERRUPTED ? ops->interrupted(userdata) : 0;
                if (r != 0)
                        return r;
        }
}

/* The first look may ask for a password; each further one would ask again. */
int attend(Ctl *c, Monitor *m, const AttendOps *ops, void *userdata) {
        int r = attend_loop(c, m, ops, userdata);

        client_allow_questions(c, true);
        return r;
}

ExitStatus status_of_state(const char *state) {
        static const struct {
                const char *state;
                ExitStatus status;
        } table[] = {
                {"success", STATUS_SUCCESS},
                {"skipped", STATUS_SUCCESS},            /* there was nothing to do, which is no bad end */
                {"partial-success", STATUS_PARTIAL},
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq_ptr(table[i].state, state))
                        return table[i].status;
        return STATUS_FAILURE;
}

bool state_is_terminal(const char *state) {
        static const char *const in_progress[] = {"scheduled", "queued", "running", "on-hold", "paused"};

        for (size_t i = 0; i < ELEMENTSOF(in_progress); i++)
                if (streq_ptr(in_progress[i], state))
                        return false;
        return true;
}

void attend_say_come_back(Ctl *c, uint32_t run) {
        _cleanup_free_ char *command = ctl_command(c);

        err(_("\nRun %u goes on. Come back with: %s watch %u\n"), run, strempty(command), run);
}

int attend_on_hold(Ctl *c, uint32_t run) {
        _cleanup_free_ char *command = ctl_command(c);

        err(_("Run %u waits for a person. What it wants: %s status %u\n"), run, strempty(command), run);
        return STATUS_ON_HOLD;
}

void attend_say_away(Ctl *c, bool away) {
        if (!c->options.quiet)
                err("%s\n", away ? _("runbookd is away; waiting for it to come back...") : _("runbookd is back."));
}
