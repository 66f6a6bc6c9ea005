/* Gives a fuzz target its corpus without libFuzzer, so that it runs with every compiler: each file whole, cut off at many places, and with bytes
 * changed by a generator with a fixed seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macros.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CUTS 200u
#define CHANGES 200u

static uint64_t state = 88172645463325252u;

static uint64_t next(void) {                            /* xorshift64 */
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
}

/* A copy of exactly this size, so that AddressSanitizer sees every byte read beyond it. */
static void try(const uint8_t *data, size_t n) {
        uint8_t *copy = malloc(n + (n == 0));

        if (!copy)
                abort();
        memcpy(copy, data, n);
        (void) LLVMFuzzerTestOneInput(copy, n);
        free(copy);
}

static void try_changed(const uint8_t *data, size_t n) {
        static const char alphabet[] = "\0\n\t '\"`$#&*!%{}[]():;,-<>|\\/0aZ\x80\xff";
        uint8_t *copy = malloc(n);

        if (!copy)
                abort();
        memcpy(copy, data, n);
        for (unsigned k = 0; k < 1 + next() % 4; k++)
                copy[next() % n] = (uint8_t) alphabet[next() % (sizeof alphabet - 1)];
        try(copy, n);
        free(copy);
}

static int run_file(const char *path) {
        static uint8_t data[1 << 20];
        FILE *f = fopen(path, "re");
        size_t n;

        if (!f)
                return -errno;
        n = fread(data, 1, sizeof data, f);
        (void) fclose(f);
        try(data, n);
        for (size_t i = 0; i < n; i += MAX(n / CUTS, (size_t) 1))
                try(data, i);
        for (unsigned i = 0; n > 0 && i < CHANGES; i++)
                try_changed(data, n);
        return 0;
}

int main(int argc, char *argv[]) {
        int passed = 0;

        for (int i = 1; i < argc; i++) {
                int r = run_file(argv[i]);
                if (r < 0) {
                        fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
                        return 1;
                }
                passed++;
        }
        printf("%d passed, 0 failed\n", passed);
        return passed == 0;
}
