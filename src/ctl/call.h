/* The a{sv} with which every acting method ends, made from the options of the command line. */
#pragma once

#include "client.h"

/* Appends it: what was given of the options, and an object of values under a key of its own ("Inputs", "Fields"; NULL or empty: none). 0 or
 * negative errno, for call_failed. */
int call_append_options(sd_bus_message *m, const Options *o, const char *values_key, const Json *values);
/* Calls a method whose only argument that is. */
int call_send(Ctl *c, const char *path, const char *interface, const char *member, const char *values_key, const Json *values,
              sd_bus_message **ret, sd_bus_error *error);
/* Says why the arguments could not be put into the message. */
int call_failed(Ctl *c, int r);
