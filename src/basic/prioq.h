/* A binary heap of pointers whose elements carry their own position, so that change and removal are O(log n). */
#pragma once

#include "macros.h"

#define PRIOQ_NONE ((size_t) -1)                        /* the position of an element that is in no queue */

typedef int (*PrioqCompare)(const void *a, const void *b);
typedef struct Prioq {
        PrioqCompare compare;
        size_t index_offset;                            /* offsetof(element, its size_t position field) */
        void **items;
        size_t n_items, n_allocated;
} Prioq;

void prioq_init(Prioq *q, PrioqCompare compare, size_t index_offset);
void prioq_done(Prioq *q);                              /* frees the array; elements stay, their positions are reset */
int prioq_put(Prioq *q, void *item);                    /* 0 or -ENOMEM; the item must be in no queue */
void prioq_remove(Prioq *q, void *item);                /* no-op when the item is in no queue */
void prioq_reshuffle(Prioq *q, void *item);             /* after the item's key changed */
void *prioq_peek(const Prioq *q);                       /* the smallest, or NULL */
