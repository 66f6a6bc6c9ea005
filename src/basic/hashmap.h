/* A string-keyed hash map (SipHash-2-4 with a per-process random key, so hostile names can't collide it). Keys are borrowed:
 * they must live as long as the entry. NULL is a valid empty map for lookups. */
#pragma once

#include "macros.h"

typedef struct Hashmap Hashmap;

Hashmap *hashmap_new(void);                             /* NULL: out of memory */
Hashmap *hashmap_free(Hashmap *m);                      /* keys and values stay */
int hashmap_put(Hashmap *m, const char *key, void *value); /* 0, -EEXIST (map unchanged), -ENOMEM */
int hashmap_replace(Hashmap *m, const char *key, void *value);
void *hashmap_get(const Hashmap *m, const char *key);   /* NULL: no such key (so don't store NULL) */
void *hashmap_remove(Hashmap *m, const char *key);      /* the value that was there, or NULL */
size_t hashmap_size(const Hashmap *m);
/* Iteration in insertion-independent order; *i starts at 0. Removing the current entry is allowed. */
bool hashmap_iterate(const Hashmap *m, size_t *i, const char **ret_key, void **ret_value);
DEFINE_CLEANUP(Hashmap *, hashmap_free)

/* The same with integer keys. */
typedef struct IntMap IntMap;
IntMap *intmap_new(void);
IntMap *intmap_free(IntMap *m);
int intmap_put(IntMap *m, uint64_t key, void *value);
void *intmap_get(const IntMap *m, uint64_t key);
void *intmap_remove(IntMap *m, uint64_t key);
size_t intmap_size(const IntMap *m);
bool intmap_iterate(const IntMap *m, size_t *i, uint64_t *ret_key, void **ret_value);
DEFINE_CLEANUP(IntMap *, intmap_free)
