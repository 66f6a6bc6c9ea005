/* SHA-256, by libmd. */
#pragma once

#include "macros.h"

#define DIGEST_HEX_SIZE 65
void digest_hex(const void *data, size_t n, char ret[static DIGEST_HEX_SIZE]);
