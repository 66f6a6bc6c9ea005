/* runbookd as the agent sees it: whether it is there, what it signals, and calls that don't wait. */
#pragma once

#include <systemd/sd-bus.h>

#include "time-util.h"

typedef struct Client Client;

typedef struct ClientOps {
        void (*there)(void *userdata);                  /* runbookd has come, or is another one than before */
        void (*away)(void *userdata);                   /* it isn't there now, or its bus isn't */
        void (*required)(void *userdata, sd_bus_message *m);            /* InputRequired; the arguments are still to be read */
        void (*resolved)(void *userdata, const char *path);
        void (*ended)(void *userdata);                  /* the session bus is gone; the system bus is waited for */
} ClientOps;

int client_new(sd_event *event, bool user_mode, const ClientOps *ops, void *userdata, Client **ret);
Client *client_free(Client *c);
DEFINE_CLEANUP(Client *, client_free)

typedef enum CallFlag {
        CALL_ASKS = 1 << 0,                             /* a person did this: a password may be asked for, and runbookd be started */
} CallFlag;

#define CALL_TIMEOUT USEC_PER_MINUTE
#define CALL_ASKS_TIMEOUT (10 * USEC_PER_MINUTE)        /* somebody types a password */

/* The callback comes once, also when the connection is lost, unless the slot is let go before. -ENOTCONN: there is no bus now. */
int client_call(Client *c, unsigned flags, const char *path, const char *interface, const char *member, sd_bus_message_handler_t callback,
                void *userdata, sd_bus_slot **ret, const char *types, ...);
