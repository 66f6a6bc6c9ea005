/* INI files into tables of settings, by libinih with line numbers and long lines (libinih 55 gives neither by itself). Not called ini.h,
 * because that is libinih's name, as ini_parse_string is. */
#pragma once

#include "diagnostic.h"

typedef struct IniItem IniItem;
/* Reads `value` into target (the whole config struct); -EINVAL: wrong value, -ERANGE: out of range. */
typedef int (*IniParse)(const IniItem *item, const char *value, void *target);
struct IniItem {
        const char *section, *key;
        IniParse parse;
        size_t offset;                                  /* of the field in the target */
        uint64_t min, max;                              /* for the parsers that have a range; max 0: none */
        const char *hint;                               /* what a right value looks like, for the warning */
};
int ini_parse_unsigned(const IniItem *item, const char *value, void *target);   /* unsigned */
int ini_parse_u64(const IniItem *item, const char *value, void *target);        /* uint64_t; suffixes K M G T */
int ini_parse_sec(const IniItem *item, const char *value, void *target);        /* usec_t; bare numbers are seconds */
int ini_parse_text(const IniItem *item, const char *value, void *target);       /* char*, replaces and frees the old one; empty sets NULL */

#define INI_FILE_MAX (1024u * 1024u)

/* Reads one file; a wrong value, an unknown key or section is a warning in d (with line), and the field stays. -ENOENT where there is
 * none, -EFBIG above INI_FILE_MAX. */
int ini_read_file(const char *path, const IniItem *table, size_t n, void *target, Diagnostics *d);
/* The same from memory: 0 or -ENOMEM. */
int ini_read_text(const char *text, size_t n, const IniItem *table, size_t n_items, void *target, Diagnostics *d);
