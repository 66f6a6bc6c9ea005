/* malloc_trim gives back the pages in which nothing is used. What keeps it from most of them after a burst of work is malloc's own cache:
 * glibc keeps up to seven freed chunks of each small size for the thread, takes them for used, and no call empties it. They lie wherever
 * the last ones were freed, each in a page of its own. So they are taken out of the cache, others that lie together are put in their place,
 * and only then they are freed. With another C library all of this does no more than allocate and free. */
#include "memory.h"

#include <malloc.h>
#include <stdlib.h>

#include "macros.h"

#define CHUNK_MIN 24u
#define CHUNK_STEP 16u
#define CHUNK_MAX 1032u                                 /* larger ones are not cached */
#define CACHED_MAX 7u                                   /* of each size */

typedef struct Chunk Chunk;
struct Chunk {
        Chunk *next;
};

/* As much of each size as the cache holds. Without memory it is less. */
static Chunk *take_all(void) {
        Chunk *all = NULL;

        for (size_t size = CHUNK_MIN; size <= CHUNK_MAX; size += CHUNK_STEP)
                for (unsigned i = 0; i < CACHED_MAX; i++) {
                        Chunk *c = malloc(size);
                        if (!c)
                                return all;
                        c->next = all;
                        all = c;
                }
        return all;
}

static void free_all(Chunk *all) {
        while (all) {
                Chunk *c = all;
                all = c->next;
                free(c);
        }
}

void memory_give_back(void) {
        Chunk *scattered = take_all(), *together = take_all();

        free_all(together);                             /* into the cache, which is full then */
        free_all(scattered);
        (void) malloc_trim(0);
}
