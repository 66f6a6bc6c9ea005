/* What a burst of small objects leaves behind. */
#include "test.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#ifdef __SANITIZE_ADDRESS__                             /* it brings a malloc of its own */
#define OTHER_MALLOC 1
#else
#define OTHER_MALLOC __has_feature(address_sanitizer)
#endif

#define OBJECTS 65536
#define GAIN_MIN (1024 * 1024)                          /* bytes that the cache keeps from malloc_trim */

static size_t resident(void) {
        FILE *f = fopen("/proc/self/statm", "re");
        unsigned long all, pages;

        assert_non_null(f);
        assert_int_equal(fscanf(f, "%lu %lu", &all, &pages), 2);
        (void) fclose(f);
        return pages * (size_t) sysconf(_SC_PAGESIZE);
}

/* The last that are freed of each size lie far from each other. */
static void burst(void) {
        static void *objects[OBJECTS];
        uint32_t seed = 1;

        for (size_t i = 0; i < OBJECTS; i++) {
                size_t size = 24 + (seed >> 16) % 1000;
                seed = seed * 1664525 + 1013904223;
                assert_non_null(objects[i] = malloc(size));
                memset(objects[i], 1, size);
        }
        for (size_t i = 0, k = 0; i < OBJECTS; i++, k = (k + 40503) % OBJECTS)
                free(objects[k]);
}

static void test_burst(void **state) {
        if (OTHER_MALLOC)
                skip();
        burst();
        (void) malloc_trim(0);
        size_t trimmed = resident();
        memory_give_back();
        size_t after = resident();
        print_message("trimmed %zu, given back %zu\n", trimmed, after);
        assert_true(after + GAIN_MIN <= trimmed);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst),
};
TEST_MAIN(tests)
