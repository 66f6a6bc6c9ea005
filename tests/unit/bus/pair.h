/* Two sd-bus connections that talk to each other without a bus: what one sends the other reads. */
#pragma once

#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "macros.h"

typedef struct Pair {
        sd_bus *ours, *theirs;
} Pair;

static inline void pair_done(Pair *p) {
        sd_bus_close_unref(p->ours);
        sd_bus_close_unref(p->theirs);
}

static inline void pair_init(Pair *p) {
        int fds[2];
        sd_id128_t id = {};
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        assert_true(sd_id128_randomize(&id) >= 0);
        assert_true(sd_bus_new(&p->ours) >= 0 && sd_bus_new(&p->theirs) >= 0);
        assert_true(sd_bus_set_fd(p->ours, fds[0], fds[0]) >= 0 && sd_bus_set_fd(p->theirs, fds[1], fds[1]) >= 0);
        assert_true(sd_bus_set_server(p->ours, true, id) >= 0);
        assert_true(sd_bus_set_anonymous(p->ours, true) >= 0 && sd_bus_set_anonymous(p->theirs, true) >= 0);
        assert_true(sd_bus_start(p->ours) >= 0 && sd_bus_start(p->theirs) >= 0);
}

/* Lets both sides read what there is, until there is no more. */
static inline void pair_settle(Pair *p) {
        for (int quiet = 0; quiet < 3;) {
                int a = sd_bus_process(p->ours, NULL), b = sd_bus_process(p->theirs, NULL);
                assert_true(a >= 0 && b >= 0);
                quiet = a > 0 || b > 0 ? 0 : quiet + 1;
        }
}
