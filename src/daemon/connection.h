/* The daemon's connection to its bus, for its life: opened, named, and on the system bus opened again whenever it is lost. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "macros.h"

typedef struct Connection Connection;

typedef struct ConnectionOptions {
        sd_event *event;
        bool user_mode;                                 /* the session bus; its end is ours */
        int (*attach)(void *userdata, sd_bus *bus);     /* puts the objects on */
        void (*detach)(void *userdata);
        void (*named)(void *userdata);                  /* the name is ours */
        void (*lost)(void *userdata, int error);        /* for good: 0, the session bus ended; else what is wrong, which has been said */
        void *userdata;
} ConnectionOptions;

int connection_new(const ConnectionOptions *o, Connection **ret);
Connection *connection_free(Connection *c);             /* sends what waits first */
DEFINE_CLEANUP(Connection *, connection_free)
/* In user mode a bus that isn't there is an error, which has been said; on the system it is tried again. */
int connection_open(Connection *c);
/* From now on the name is asked for, on this connection and on later ones. */
int connection_request_name(Connection *c);
