/* Enum ↔ string by table: every enum has _X_MAX and _X_INVALID = -EINVAL, and a table with a name for each value. A unit
 * test round-trips every table. */
#pragma once

#include "macros.h"

#define DECLARE_NAME_TABLE(type, prefix)                                \
        const char *prefix##_to_string(type v) _const_;                 \
        type prefix##_from_string(const char *s) _pure_

#define DEFINE_NAME_TABLE(type, prefix, table)                          \
        const char *prefix##_to_string(type v) {                        \
                return (size_t) v < ELEMENTSOF(table) ? table[v] : NULL;\
        }                                                               \
        type prefix##_from_string(const char *s) {                      \
                for (size_t i = 0; s && i < ELEMENTSOF(table); i++)     \
                        if (table[i] && streq(table[i], s))             \
                                return (type) i;                        \
                return (type) -EINVAL;                                  \
        }                                                               \
        struct _name_table_semicolon_
