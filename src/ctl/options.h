/* The options of runbookctl: one table, from which parsing, help and completion come. */
#pragma once

#include "time-util.h"

typedef enum JsonMode { JSON_OFF, JSON_SHORT, JSON_PRETTY } JsonMode;

typedef enum OptionId {
        OPTION_USER,
        OPTION_SYSTEM,
        OPTION_HOST,
        OPTION_JSON,
        OPTION_NO_PAGER,
        OPTION_NO_LEGEND,
        OPTION_NO_ASK_PASSWORD,
        OPTION_NO_INPUT,
        OPTION_LINES,
        OPTION_QUIET,
        OPTION_HELP,
        OPTION_VERSION,
        _OPTION_GLOBAL_MAX,
        OPTION_INPUT = _OPTION_GLOBAL_MAX,
        OPTION_INPUT_FILE,
        OPTION_FOLLOW,
        OPTION_WAIT,
        OPTION_STRICT,
        OPTION_LABEL,
        OPTION_CANCEL_ON_EXIT,
        OPTION_PROPERTY,
        OPTION_VALUE,
        OPTION_ATTEMPT,
        OPTION_MESSAGE,
        OPTION_AT,
        OPTION_ONLY,
        OPTION_FROM,
        OPTION_ALL_PARALLEL,
        OPTION_RELOAD,
        OPTION_FRESH_WORKSPACE,
        OPTION_OUTPUT,
        OPTION_OVERRIDE,
        OPTION_ALL,
        OPTION_WHO,
        _OPTION_MAX,
} OptionId;

typedef uint64_t OptionSet;
#define OPTION_BIT(id) (UINT64_C(1) << (id))
#define OPTIONS_GLOBAL (OPTION_BIT(_OPTION_GLOBAL_MAX) - 1)

#define LINES_UNSET (UINT32_MAX - 1)
#define LINES_ALL UINT32_MAX

typedef struct StrList {
        const char **items;                             /* borrowed from argv */
        size_t n, n_allocated;
} StrList;

typedef struct Options {
        OptionSet given;
        bool user;
        const char *host;
        JsonMode json;
        bool no_pager, no_legend, no_ask_password, no_input, quiet;
        uint32_t lines;                                 /* LINES_UNSET, LINES_ALL, or a number */
        StrList inputs, labels, properties, outputs;
        StrList only;                                   /* each may hold several names, with commas between */
        const char *input_file, *message, *from, *who;
        bool follow, wait, strict, cancel_on_exit, value, all_parallel, reload, fresh_workspace, override, all;
        usec_t at;                                      /* wall clock; 0: not given, or now */
        uint32_t attempt;                               /* 0: not given */
        StrList arguments;                              /* what is no option: the verb and its arguments */
} Options;

typedef struct Option {
        const char *name;
        char letter;                                    /* 0: none */
        const char *metavar;                            /* NULL: takes no value */
        const char *const *choices;                     /* NULL-terminated; NULL: any value */
        const char *help;
        int (*parse)(Options *o, const struct Option *self, const char *value); /* -EINVAL: wrong value */
        size_t offset;
} Option;

extern const Option options_table[_OPTION_MAX];

/* Parses all words. 0; -EINVAL after it has said what is wrong; -ENOMEM. */
int options_parse(Options *o, int argc, char **argv);
/* The option to which this word ("--host", "--host=x", "-H") is spelt, or NULL. */
const Option *option_find(const char *word);
void options_done(Options *o);
int str_list_add(StrList *l, const char *s);
