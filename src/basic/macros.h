/* Cleanup attributes, ownership moves and a few arithmetic helpers that every layer uses. */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_ __attribute__((unused))
#define _const_ __attribute__((const))
#define _pure_ __attribute__((pure))
#define _warn_unused_ __attribute__((warn_unused_result))
#define _sentinel_ __attribute__((sentinel))

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)                      /* the text of a macro's value */

/* Moves ownership out of a variable: the variable is NULL (or -1) afterwards. */
#define TAKE_PTR(p) __extension__({ __typeof__(p) *_pp = &(p); __typeof__(p) _v = *_pp; *_pp = NULL; _v; })

static inline int take_fd(int *fd) {
        int v = *fd;
        *fd = -1;
        return v;
}
#define TAKE_FD(fd) take_fd(&(fd))

#define DEFINE_CLEANUP(type, func)                      \
        static inline void func##p(type *p) {           \
                if (*p)                                 \
                        func(*p);                       \
        }

static inline void freep(void *p) {
        free(*(void **) p);
}
#define _cleanup_free_ _cleanup_(freep)

/* A NULL-terminated array of strings and the strings; NULL is fine. */
static inline char **strv_free(char **v) {
        for (char **s = v; s && *s; s++)
                free(*s);
        free(v);
        return NULL;
}

/* Closes and keeps errno; always returns -1, so `fd = safe_close(fd)` works. */
static inline int safe_close(int fd) {
        if (fd >= 0) {
                int e = errno;
                (void) close(fd);
                errno = e;
        }
        return -1;
}
static inline void closep(int *fd) {
        safe_close(*fd);
}
#define _cleanup_close_ _cleanup_(closep)

/* Most texts that differ differ in their first character, and that is seen without a call. */
static inline bool streq(const char *a, const char *b) {
        return *a == *b && strcmp(a, b) == 0;
}
static inline bool streq_ptr(const char *a, const char *b) {
        return a == b || (a && b && strcmp(a, b) == 0);
}
static inline bool isempty(const char *s) {
        return !s || !*s;
}
static inline const char *strempty(const char *s) {
        return s ? s : "";
}
/* The rest of s after the prefix, or NULL. */
static inline const char *startswith(const char *s, const char *prefix) {
        size_t n = strlen(prefix);
        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}
static inline const char *endswith(const char *s, const char *suffix) {
        size_t n = strlen(s), m = strlen(suffix);
        return n >= m && memcmp(s + n - m, suffix, m) == 0 ? s + n - m : NULL;
}

/* Makes room for at least `need` elements (amortised doubling); the pointer and the allocation count are updated. `need` is evaluated
 * twice. */
#define GREEDY_REALLOC(array, allocated, need) \
        ((need) <= (allocated) || greedy_realloc((void **) &(array), &(allocated), (need), sizeof((array)[0])))
/* The same, and the new memory is zeroed. Returns false on out of memory. */
bool greedy_realloc(void **p, size_t *allocated, size_t need, size_t size) _warn_unused_;
