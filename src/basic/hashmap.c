/* One open-addressing table under two faces, string keys and integer keys. Names come from files and from bus callers, so both are
 * hashed with SipHash-2-4 under a random key of the process. A removed entry leaves a mark behind instead of pulling its successors
 * forward: that is what makes removal safe during iteration. Marks are swept when the table is next rebuilt by a put. */
#include "hashmap.h"

#include <sys/auxv.h>
#include <sys/random.h>

#define HASH_EMPTY 0u
#define HASH_REMOVED 1u
#define HASH_FIRST 2u                                   /* hashes of entries start here */
#define CAPACITY_MIN 16u
#define CAPACITY_KEPT 64u                               /* of a table that has become empty; a larger one is given back */

typedef union Key {
        const char *string;
        uint64_t integer;
} Key;

typedef struct Entry {
        uint64_t hash;
        Key key;
        void *value;
} Entry;

typedef struct Table {
        bool strings;
        size_t capacity;                                /* a power of two, or 0 */
        size_t n_entries, n_removed;
        Entry *entries;
} Table;

struct Hashmap {
        Table table;
};

struct IntMap {
        Table table;
};

static inline uint64_t rotate(uint64_t v, unsigned bits) {
        return (v << bits) | (v >> (64 - bits));
}

static inline void sip_round(uint64_t v[static 4]) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[static 4], uint64_t word) {
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
}

static uint64_t siphash(const void *data, size_t n, const uint64_t key[static 2]) {
        const uint8_t *p = data;
        uint64_t v[4] = {
                key[0] ^ UINT64_C(0x736f6d6570736575),
                key[1] ^ UINT64_C(0x646f72616e646f6d),
                key[0] ^ UINT64_C(0x6c7967656e657261),
                key[1] ^ UINT64_C(0x7465646279746573),
        };
        uint64_t last = (uint64_t) n << 56;

        for (size_t left = n / 8; left > 0; left--, p += 8) {
                uint64_t word = 0;
                for (unsigned i = 0; i < 8; i++)
                        word |= (uint64_t) p[i] << (8 * i);
                sip_word(v, word);
        }
        for (unsigned i = 0; i < n % 8; i++)
                last |= (uint64_t) p[i] << (8 * i);
        sip_word(v, last);
        v[2] ^= 0xff;
        for (unsigned i = 0; i < 4; i++)
                sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static const uint64_t *hash_key(void) {
        static uint64_t key[2];
        static bool initialized = false;

        if (!initialized) {
                if (getrandom(key, sizeof(key), GRND_NONBLOCK) != (ssize_t) sizeof(key)) {
                        /* So early in the boot that there is no entropy yet: the kernel gave every process 16 bytes. */
                        const void *auxv = (const void *) (uintptr_t) getauxval(AT_RANDOM);
                        if (auxv)
                                memcpy(key, auxv, sizeof(key));
                }
                initialized = true;
        }
        return key;
}

static uint64_t table_hash(const Table *t, Key key) {
        uint64_t h = t->strings ? siphash(key.string, strlen(key.string), hash_key())
                                : siphash(&key.integer, sizeof(key.integer), hash_key());
        return h < HASH_FIRST ? h + HASH_FIRST : h;
}

static bool key_equal(const Table *t, Key a, Key b) {
        return t->strings ? streq(a.string, b.string) : a.integer == b.integer;
}

/* In a table that has entries. */
static Entry *table_find_hashed(const Table *t, Key key, uint64_t h) {
        for (size_t i = h & (t->capacity - 1);; i = (i + 1) & (t->capacity - 1)) {
                Entry *e = t->entries + i;
                if (e->hash == HASH_EMPTY)
                        return NULL;
                if (e->hash == h && key_equal(t, e->key, key))
                        return e;
        }
}

static Entry *table_find(const Table *t, Key key) {
        return t->n_entries > 0 ? table_find_hashed(t, key, table_hash(t, key)) : NULL;
}

/* For an entry known not to be there, in a table known to have room. */
static void table_insert(Table *t, Entry entry) {
        size_t i = entry.hash & (t->capacity - 1);
        while (t->entries[i].hash >= HASH_FIRST)
                i = (i + 1) & (t->capacity - 1);
        if (t->entries[i].hash == HASH_REMOVED)
                t->n_removed--;
        t->entries[i] = entry;
        t->n_entries++;
}

static int table_make_room(Table *t) {
        if ((t->n_entries + t->n_removed + 1) * 4 <= t->capacity * 3)
                return 0;

        Table new = {.strings = t->strings, .capacity = MAX((size_t) CAPACITY_MIN, t->capacity)};
        while ((t->n_entries + 1) * 2 > new.capacity)
                new.capacity *= 2;
        new.entries = calloc(new.capacity, sizeof(Entry));
        if (!new.entries)
                return -ENOMEM;
        for (size_t i = 0; i < t->capacity; i++)
                if (t->entries[i].hash >= HASH_FIRST)
                        table_insert(&new, t->entries[i]);
        free(t->entries);
        *t = new;
        return 0;
}

static int table_put(Table *t, Key key, void *value) {
        uint64_t h = table_hash(t, key);
        if (t->n_entries > 0 && table_find_hashed(t, key, h))
                return -EEXIST;
        int r = table_make_room(t);
        if (r < 0)
                return r;
        table_insert(t, (Entry) {.hash = h, .key = key, .value = value});
        return 0;
}

static void *table_remove(Table *t, Key key) {
        Entry *e = table_find(t, key);
        if (!e)
                return NULL;

        void *value = e->value;
        *e = (Entry) {.hash = HASH_REMOVED};
        t->n_entries--;
        t->n_removed++;
        if (t->n_entries == 0 && t->capacity > CAPACITY_KEPT) {
                free(t->entries);
                *t = (Table) {.strings = t->strings};
        }
        return value;
}

static Entry *table_next(const Table *t, size_t *i) {
        while (*i < t->capacity) {
                Entry *e = t->entries + (*i)++;
                if (e->hash >= HASH_FIRST)
                        return e;
        }
        return NULL;
}

Hashmap *hashmap_new(void) {
        Hashmap *m = calloc(1, sizeof(Hashmap));
        if (m)
                m->table.strings = true;
        return m;
}

Hashmap *hashmap_free(Hashmap *m) {
        if (m)
                free(m->table.entries);
        free(m);
        return NULL;
}

int hashmap_put(Hashmap *m, const char *key, void *value) {
        return table_put(&m->table, (Key) {.string = key}, value);
}

int hashmap_replace(Hashmap *m, const char *key, void *value) {
        Entry *e = table_find(&m->table, (Key) {.string = key});
        if (!e)
                return hashmap_put(m, key, value);
        e->key.string = key;            /* the old key may go away with the old value */
        e->value = value;
        return 0;
}

void *hashmap_get(const Hashmap *m, const char *key) {
        Entry *e = m ? table_find(&m->table, (Key) {.string = key}) : NULL;
        return e ? e->value : NULL;
}

void *hashmap_remove(Hashmap *m, const char *key) {
        return m ? table_remove(&m->table, (Key) {.string = key}) : NULL;
}

size_t hashmap_size(const Hashmap *m) {
        return m ? m->table.n_entries : 0;
}

bool hashmap_iterate(const Hashmap *m, size_t *i, const char **ret_key, void **ret_value) {
        Entry *e = m ? table_next(&m->table, i) : NULL;
        if (!e)
                return false;
        if (ret_key)
                *ret_key = e->key.string;
        if (ret_value)
                *ret_value = e->value;
        return true;
}

IntMap *intmap_new(void) {
        return calloc(1, sizeof(IntMap));
}

IntMap *intmap_free(IntMap *m) {
        if (m)
                free(m->table.entries);
        free(m);
        return NULL;
}

int intmap_put(IntMap *m, uint64_t key, void *value) {
        return table_put(&m->table, (Key) {.integer = key}, value);
}

void *intmap_get(const IntMap *m, uint64_t key) {
        Entry *e = m ? table_find(&m->table, (Key) {.integer = key}) : NULL;
        return e ? e->value : NULL;
}

void *intmap_remove(IntMap *m, uint64_t key) {
        return m ? table_remove(&m->table, (Key) {.integer = key}) : NULL;
}

size_t intmap_size(const IntMap *m) {
        return m ? m->table.n_entries : 0;
}

bool intmap_iterate(const IntMap *m, size_t *i, uint64_t *ret_key, void **ret_value) {
        Entry *e = m ? table_next(&m->table, i) : NULL;
        if (!e)
                return false;
        if (ret_key)
                *ret_key = e->key.integer;
        if (ret_value)
                *ret_value = e->value;
        return true;
}
