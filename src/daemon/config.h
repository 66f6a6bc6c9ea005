/* runbookd.conf: every setting with its default. conf/runbookd.conf ships the same, commented out; a test holds one against the other. */
#pragma once

#include "ini-file.h"
#include "time-util.h"

typedef struct Config {
        unsigned max_steps;                             /* processes at once; 0: twice the CPUs, at least 4 */
        int durability;                                 /* Durability */
        unsigned max_resumes;
        usec_t kill_grace, hook_timeout;
        usec_t hold_timeout;                            /* 0: never */
        usec_t retry_window;
        uint64_t log_max;                               /* bytes per step */
        int log_level;
        char *notify_command;                           /* NULL: none */
        usec_t notify_timeout;
} Config;

typedef struct ConfigKey {
        const char *key, *default_value;                /* the default as it stands in the file */
        size_t offset, size;                            /* of the field */
        bool at_run_time;                               /* a reload makes it take effect; else a restart */
} ConfigKey;
extern const ConfigKey config_keys[];
extern const size_t config_n_keys;
extern const IniItem config_items[];                    /* as many, in the same order */

void config_defaults(Config *ret);
void config_done(Config *c);
/* `only`: that file and no other, or NULL: runbookd.conf of the first of the directories that has one, and then the drop-ins
 * runbookd.conf.d/NAME.conf of all, ordered by name, the first directory winning for each name. What is wrong is a warning in the log, and
 * the default holds. Negative errno: a file can't be read (said in the log). */
int config_load(char *const *directories, const char *only, Config *ret);
