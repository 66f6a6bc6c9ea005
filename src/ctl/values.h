/* Inputs of a start and fields of an answer, as people write them. */
#pragma once

#include "ctl.h"

/* One typed text as the value of what is declared so ({name, type, …}; NULL: not declared, so a text): as it is for string and choice, JSON
 * for other types. -EINVAL and a translated sentence; -ENOMEM. */
int value_from_text(const Json *declaration, const char *name, const char *text, Json **ret, char **ret_error);
/* NAME=VALUE words into the object, by their declarations (an array). Prints what is wrong. */
int values_from_words(Ctl *c, const StrList *words, const Json *declarations, Json *object);
/* A file's members into the object: JSON where its name ends in .json, else YAML. "-" is standard input. Prints what is wrong. */
int values_from_file(Ctl *c, const char *file, Json *object);
const Json *declaration_find(const Json *declarations, const char *name);
