/* Numbers as text, the same in every locale: printf and strtod follow LC_NUMERIC, files and the bus don't. */
#pragma once

#include "macros.h"

#define NUMBER_BUFFER_SIZE 32

/* The whole of s must be one decimal number, without white space. 0, -EINVAL, -ERANGE (too large; too small becomes 0). */
int number_parse_double(const char *s, double *ret);
/* The shortest text that reads back the same; whole numbers below 1e15 without point or exponent. NaN and infinities: "null". Returns
 * buf. */
const char *number_format_double(double d, char buf[static NUMBER_BUFFER_SIZE]);
