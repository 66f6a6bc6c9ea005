/* SHA-256, by libmd, and a quick one that only says whether something is still the same. */
#pragma once

#include "macros.h"

#define DIGEST_HEX_SIZE 65
void digest_hex(const void *data, size_t n, char ret[static DIGEST_HEX_SIZE]);

#define QUICK_DIGEST_START UINT64_C(0xcbf29ce484222325)
/* FNV-1a, 64 bits: goes on from h. Nothing may hang on it that somebody would forge. */
uint64_t quick_digest(uint64_t h, const void *data, size_t n) _pure_;
/* Goes on with a digest, which is mixed already, in one step. */
uint64_t quick_digest_add(uint64_t h, uint64_t digest) _const_;
