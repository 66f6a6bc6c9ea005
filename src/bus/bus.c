/* The Bus object: what it takes to put the daemon's objects onto a connection and off again, the filter that every call passes, and what
 * reads share.
 *
 * Nothing is registered per run: each path is parsed and looked up when it is called. No handler blocks. Every method call goes through
 * the filter, which lets through what bus-authorize.c allows; until that is known the call waits. Reads commit first what waits, so that
 * nobody sees what may not be on disk. */
#include "bus-convert.h"
#include "bus-private.h"
#include "i18n.h"
#include "log.h"

int bus_new(const BusOptions *o, Bus **ret) {
        _cleanup_(bus_freep) Bus *b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        b->engine = o->engine;
        b->library = o->library;
        b->user_mode = o->user_mode;
        b->reload = o->reload;
        b->reload_userdata = o->reload_userdata;
        int r = bus_shots_new(b);
        if (r >= 0)
                *ret = TAKE_PTR(b);
        return r;
}

Bus *bus_free(Bus *b) {
        if (!b)
                return NULL;
        bus_detach(b);
        bus_shots_free(b);
        free(b);
        return NULL;
}

int bus_take_snapshots(Bus *b) {
        Run *run;
        int r = 0;
        for (size_t i = 0; r >= 0 && engine_iterate_live(b->engine, &i, &run);)
                r = bus_shot_run(b, run);
        engine_counts(b->engine, &b->n_active, &b->n_on_hold, &b->n_dead_letter);
        return r;
}

/* ---- who calls ---- */

static int filter(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint8_t type;
        if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
                return 0;
        int r = bus_authorize(userdata, m, error);
        return r > 0 ? 0 : r == 0 ? 1 : r;
}

int bus_actor(Bus *b, sd_bus_message *m, Actor *ret, sd_bus_error *error) {
        Peer *p = b->authorized == m ? peers_find(b->peers, m) : NULL;
        if (!p)
                return bus_access_denied(error, _("You may not do this."));
        *ret = (Actor) {.uid = peer_uid(p), .user = peer_user(p), .login = peer_login(p)};
        return ret->user ? 0 : -ENOMEM;
}

/* ---- reads ---- */

int bus_read_run(Bus *b, uint32_t id, Run **ret, sd_bus_error *error) {
        int r = engine_flush(b->engine);
        if (r < 0) /* what could not be stored is dropped from memory too: what is read is what is stored */
                log_debug_errno(r, "What waited could not be stored before a read: %m");
        r = engine_get_run(b->engine, id, ret);
        return r == VERDICT_NO_SUCH_RUN ? bus_refuse(error, VERDICT_NO_SUCH_RUN, _("There is no run %u."), id)
                                        : bus_verdict(error, r, NULL);
}

int bus_read_object(BusObject *o, Run **ret_run, Activity **ret_activity, sd_bus_error *error) {
        int r = bus_read_run(o->bus, o->run, ret_run, error);
        if (r < 0)
                return r;
        bus_note_read(o->bus, *ret_run);
        if (!ret_activity)
                return r;
        *ret_activity = run_activity(*ret_run, o->activity);
        return *ret_activity ? 0 : bus_refuse(error, VERDICT_NO_SUCH_ACTIVITY, _("Run %u has no activity “%s”."), o->run, o->activity);
}

/* ---- the connection ---- */

int bus_keep_slot(Bus *b, int r, sd_bus_slot *slot) {
        assert(b->n_slots < BUS_SLOTS_MAX);
        if (r >= 0)
                b->slots[b->n_slots++] = slot;
        return r;
}

static int add_filter(Bus *b) {
        sd_bus_slot *slot = NULL;
        int r = sd_bus_add_filter(b->connection, &slot, filter, b);
        return bus_keep_slot(b, r, slot);
}

int bus_attach(Bus *b, sd_bus *connection) {
        static int (*const parts[])(Bus *b) = {add_filter, bus_add_manager, bus_add_runs, bus_add_activities};
        assert(!b->connection);
        b->connection = sd_bus_ref(connection);
        int r = peers_new(connection, !b->user_mode, &b->peers); /* a user's own bus is one login's */
        if (r >= 0)
                r = polkit_new(connection, &b->polkit);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(parts); i++)
                r = parts[i](b);
        if (r < 0)
                bus_detach(b);
        return r;
}

void bus_detach(Bus *b) {
        bus_replies_drop(b);
        bus_authorize_drop(b);
        while (b->n_slots > 0)
                sd_bus_slot_unref(b->slots[--b->n_slots]);
        b->polkit = polkit_free(b->polkit);
        b->peers = peers_free(b->peers);
        b->connection = sd_bus_unref(b->connection);
}

void bus_release_memory(Bus *b) {
        if (b->peers)
                peers_forget(b->peers);
}
