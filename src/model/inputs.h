/* The inputs of a runbook, and the fields of an approval or an input request: declaration and checking of values (section 3). */
#pragma once

#include "tree.h"

typedef enum InputType {
        INPUT_STRING, INPUT_NUMBER, INPUT_INTEGER, INPUT_BOOLEAN, INPUT_CHOICE, INPUT_LIST, INPUT_OBJECT,
        _INPUT_TYPE_MAX, _INPUT_TYPE_INVALID = -EINVAL,
} InputType;
const char *input_type_to_string(InputType t);
InputType input_type_from_string(const char *s);

#define INPUTS_MAX 1000u
#define INPUTS_SIZE_MAX (1024u * 1024u)                 /* compact JSON of all values of a run */

typedef struct InputSpec {
        char *name, *description;
        InputType type;
        bool required, secret, fixed;
        bool is_field;                                  /* of a request, and called so in messages */
        bool has_default;
        Json *default_value;
        char *pattern_text;                             /* POSIX extended, searched (not anchored); NULL: none. Compiled where it is used */
        char **options;                                 /* choice, NULL-terminated */
        Json *minimum, *maximum;                        /* numbers, NULL: none. Of a number: the value; of a string or list: the length */
} InputSpec;

void input_spec_done(InputSpec *s);
const InputSpec *inputs_find(const InputSpec *specs, size_t n, const char *name); /* NULL: none of that name */
/* Checks one value: 0 and the value to keep (a new reference; an integral double becomes an integer where the type says so), or -EINVAL and a message that names the
 * input or field, what is wrong and what would be right. */
int input_check(const InputSpec *s, Json *value, Json **ret, char **ret_error);
/* A value typed by a person: text as it is for string and choice, JSON for other types. */
int input_from_text(const InputSpec *s, const char *text, Json **ret, char **ret_error);
/* All values for a start: unknown names refused (with the nearest), defaults filled in, required ones without a value left out and (optionally) their names in ret_missing
 * (NULL-terminated strv). *ret is a new object in the order of the declaration. -E2BIG over INPUTS_SIZE_MAX. */
int inputs_check(const InputSpec *specs, size_t n, const Json *given, Json **ret, char ***ret_missing, char **ret_error);
/* The same for the answer to a request. */
int request_fields_check(const InputSpec *specs, size_t n, const Json *given, Json **ret, char ***ret_missing, char **ret_error);
