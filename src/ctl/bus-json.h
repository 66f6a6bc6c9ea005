/* Values between the bus and JSON, as section 10 of the contract maps them. */
#pragma once

#include <systemd/sd-bus.h>

#include "json.h"

/* Reads the next complete value. Variants are looked through; arrays of dictionary entries with string keys become objects, structs become
 * lists. */
int bus_read_json(sd_bus_message *m, Json **ret);
/* Appends a{sv}: strings s, integers x, other numbers d, booleans b, lists av, objects a{sv}. NULL: an empty one. A null anywhere is
 * -EINVAL. */
int bus_append_json_object(sd_bus_message *m, const Json *object);
/* Appends one dictionary entry "{sv}" whose value is a text, within an open a{sv}. */
int bus_append_option(sd_bus_message *m, const char *key, const char *value);
