/* The digest that names a runbook's frozen definition in the store. */
#include "digest.h"

#include <sha2.h>
#include <sys/types.h>

void digest_hex(const void *data, size_t n, char ret[static DIGEST_HEX_SIZE]) {
        (void) SHA256Data(data, n, ret);
}
