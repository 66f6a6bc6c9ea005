/* Sentences that say what to type. Whoever writes one says "runbookctl VERB …", which is all that the daemon can know: with which options
 * it is reached from where the sentence is read (--user, -H) knows only who shows it, and fills them in. */
#pragma once

#include "macros.h"

/* The text with every "runbookctl VERB" (or "runbookctl --user VERB") as `command` and VERB: "runbookctl --user -H host". What is no
 * command, as "runbookctl --help", or needs no daemon, as "runbookctl help", stays. New string; NULL: out of memory. */
char *hint_fill(const char *text, const char *command);
