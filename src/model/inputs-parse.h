/* Declarations of inputs, for the parser of runbooks and for the test that holds its tables against the JSON Schema. */
#pragma once

#include "fields.h"
#include "inputs.h"

#define INPUT_NAME_MAX 64u
#define INPUT_OPTIONS_MAX 1000u

extern const FieldTable input_table;

bool input_name_is_valid(const char *s) _pure_;
/* A map of declarations. *ret and *ret_n are set as soon as there is memory, also on errors: the caller frees all with input_spec_done. */
int input_specs_parse(Reader *r, const Node *node, InputSpec **ret, size_t *ret_n);
/* The same for the fields of a request. */
int field_specs_parse(Reader *r, const Node *node, InputSpec **ret, size_t *ret_n);
