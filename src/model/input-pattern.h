/* Patterns of inputs: POSIX extended regular expressions, searched and not anchored, within bounds that make them harmless. */
#pragma once

#include "macros.h"

#define INPUT_PATTERN_MAX 1024u                         /* bytes */
#define INPUT_PATTERN_NESTING_MAX 32u                   /* groups in groups */
#define INPUT_PATTERN_STATES_MAX 10000u                 /* of one pattern, after the expansion of {m,n} */
#define INPUT_PATTERNS_STATES_MAX 20000u                /* of all patterns of a file */
#define INPUT_PATTERN_TEXT_MAX 4096u                    /* bytes of a text that is matched */

/* What is wrong with a pattern, as untranslated text, or NULL; *ret_states is what it costs to compile, by estimate. */
const char *input_pattern_trouble(const char *pattern, unsigned *ret_states);
/* 1: matches, 0: doesn't, -EINVAL: not a pattern, and *ret_reason, if given, says why (new string); -ENOMEM. */
int input_pattern_match(const char *pattern, const char *text, char **ret_reason);
