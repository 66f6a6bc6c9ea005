/* The daemon's face on the bus: the objects of /org/runbookd1, answers after commits, and signals. The daemon makes one Bus, gives it a
 * connection whenever there is one, and hands the engine's observations to bus_observer. */
#pragma once

#include <systemd/sd-bus.h>

#include "engine.h"

typedef struct Bus Bus;

typedef struct BusOptions {
        Engine *engine;                                 /* borrowed, like all here */
        Library *library;
        bool user_mode;                                 /* the bus is the daemon's own user's, who alone may call; else polkit says who may what */
        /* Reads configuration and runbooks again. 0, or a negative errno and a sentence. */
        int (*reload)(void *userdata, char **ret_error);
        void *reload_userdata;
} BusOptions;

int bus_new(const BusOptions *o, Bus **ret);
Bus *bus_free(Bus *b);
DEFINE_CLEANUP(Bus *, bus_free)
/* Puts the objects onto a connection that is being opened; detach takes them off again and drops the calls that wait for an answer. */
int bus_attach(Bus *b, sd_bus *connection);
void bus_detach(Bus *b);
void bus_release_memory(Bus *b);                        /* what is kept for the next call */
/* After recovery: what is known of unfinished runs is what later changes are compared with. */
int bus_take_snapshots(Bus *b);

extern const Observer bus_observer;                     /* userdata: a Bus */
