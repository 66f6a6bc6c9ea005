/* Inputs of a start and fields of an answer, as people write them. */
#pragma once

#include "ctl.h"

/* One typed text as the value of what is declared so ({name, type, …}; NULL: not declared, so a text): as it is for string and choice, JSON
 * for other types. -EINVAL and a translated sentence; -ENOMEM. */
int value_from_text(const Json *declaration, const char *name, const char *text, Json **ret, char **ret_error);
/* NAME=VALUE words into the object, by their declarations (an array). Prints what is wrong. */
int values_from_words(Ctl *c, const StrList *words, const Json *declarations, Json *object);
/* Words of the command line are NAME=VALUE, or it is said that they aren't. */
int values_check_words(Ctl *c, const StrList *words);
/* A file's members into the object: JSON where its name ends in .json, else YAML. "-" is standard input. Prints what is wrong. */
int values_from_file(Ctl *c, const char *file, Json *object);
/* Inputs of a run that there is already: the file's (where --input-file is given) and the words, which stay texts, for the daemon knows the
 * types and reads them by those. A new object. Prints what is wrong. */
int values_for_run(Ctl *c, const StrList *words, Json **ret);
const Json *declaration_find(const Json *declarations, const char *name);
