/* What a step hands back in files: outputs and an error. Hostile input: capped, checked, made valid UTF-8 without NUL. */
#pragma once

#include "json.h"

#define STEP_OUTPUT_MAX (256u * 1024u)
#define STEP_ERROR_MAX (64u * 1024u)
#define STEP_STDOUT_MAX (64u * 1024u)

/* Lines `key=value`, `key<<EOF` blocks, or one JSON object. 0; -EINVAL and a translated message (with the line). Empty text: *ret is NULL. */
int step_output_parse(const char *text, size_t n, Json **ret, char **ret_error);
/* One JSON object {message, code, stack, details}: unknown members dropped, message required. */
int step_error_parse(const char *text, size_t n, Json **ret, char **ret_error);
