/* Values between the bus and JSON, and dictionaries of options into structs. */
#pragma once

#include <systemd/sd-bus.h>

#include "inputs.h"
#include "json.h"
#include "time-util.h"

#define CONVERT_DEPTH_MAX 16u /* containers in each other; the bus itself allows 64 levels, of which one of ours takes up to three */
#define CONVERT_SIZE_MAX INPUTS_SIZE_MAX                /* bytes of all values of one dictionary, about as compact JSON */
#define LABELS_MAX 64u
#define LABEL_SIZE_MAX 1024u                            /* of a label's key and of its value */
#define STRINGS_ENTRY_MAX 256u                          /* bytes of a string in an array */

/* Reads the a{sv} at the read pointer into a new object. A failure has *error set. */
int bus_read_values(sd_bus_message *m, Json **ret, sd_bus_error *error);
int bus_read_values_if_any(sd_bus_message *m, Json **ret, sd_bus_error *error); /* NULL where it is empty */
/* Appends an object as a{sv}: strings s, integers x, other numbers d, booleans b, lists av, objects a{sv}; nulls are left out; what is
 * nested deeper than CONVERT_DEPTH_MAX is JSON text. */
int bus_append_values(sd_bus_message *m, const Json *object);
/* A string that is made valid UTF-8 where it isn't. */
int bus_append_text(sd_bus_message *m, const char *s);
/* Members that are strings, of inputs that are neither string nor choice, are read as JSON, in place; nulls are refused. 0, or -EINVAL and
 * a sentence. */
int bus_type_values(Json *values, const InputSpec *specs, size_t n_specs, char **ret_error);

typedef enum OptionType { OPTION_STRING /* const char*, borrowed */, OPTION_BOOL /* int */, OPTION_U32, OPTION_TIME /* usec_t */,
                          OPTION_STRINGS /* char**, owned; never NULL when given */, OPTION_VALUES /* Json*, owned */,
                          OPTION_LABELS /* Json*, owned */ } OptionType;
typedef struct BusOption {
        const char *name;
        OptionType type;
        size_t offset;                                  /* in the target */
        size_t max;                                     /* bytes of a string, or strings of an array */
} BusOption;
/* Reads an a{sv} of options by a table; the target is zeroed by the caller, who frees what is owned also after a failure. Unknown and
 * repeated keys and wrong types are InvalidArgs, what is too long is TooLarge. */
int bus_read_options(sd_bus_message *m, const BusOption *table, size_t n, void *target, sd_bus_error *error);
int bus_check_only(char *const *only, sd_bus_error *error); /* InvalidArgs where it is given and names nothing */
char **strings_free(char **s);
DEFINE_CLEANUP(char **, strings_free)
