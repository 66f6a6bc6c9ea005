/* The one function of macros.h that is too long to be inlined: growing an array. Sizes are checked for overflow, because a caller
 * may have computed `need` from something that came from outside. */
#include "macros.h"

#define GREEDY_MIN 8u

bool greedy_realloc(void **p, size_t *allocated, size_t need, size_t size) {
        if (*allocated >= need)
                return true;

        size_t n = MAX(need, (size_t) GREEDY_MIN);
        if (*allocated <= SIZE_MAX / 2)
                n = MAX(n, *allocated * 2);
        size_t bytes;
        if (__builtin_mul_overflow(n, size, &bytes))
                return false;

        char *q = realloc(*p, bytes);
        if (!q)
                return false;
        memset(q + *allocated * size, 0, (n - *allocated) * size);
        *p = q;
        *allocated = n;
        return true;
}
