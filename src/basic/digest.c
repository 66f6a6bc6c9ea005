/* The digest that names a runbook's frozen definition in the store, and the quick one by which changes are noticed. */
#include "digest.h"

#include <sha2.h>
#include <sys/types.h>

#define FNV_PRIME UINT64_C(0x100000001b3)

void digest_hex(const void *data, size_t n, char ret[static DIGEST_HEX_SIZE]) {
        (void) SHA256Data(data, n, ret);
}

uint64_t quick_digest(uint64_t h, const void *data, size_t n) {
        for (const uint8_t *p = data; n > 0; n--)
                h = (h ^ *p++) * FNV_PRIME;
        return h;
}

uint64_t quick_digest_add(uint64_t h, uint64_t digest) {
        return (h ^ digest) * FNV_PRIME;
}
