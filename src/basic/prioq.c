/* A binary min-heap. Each element stores its own index in the heap, so an element can be moved or removed without a search. An
 * index is only believed when the heap has that very element there: an element in no queue may hold any index. */
#include "prioq.h"

static size_t *position_of(const Prioq *q, void *item) {
        return (size_t *) (void *) ((char *) item + q->index_offset);
}

static void place(Prioq *q, size_t i, void *item) {
        q->items[i] = item;
        *position_of(q, item) = i;
}

static size_t sift_up(Prioq *q, size_t i) {
        void *item = q->items[i];
        while (i > 0) {
                size_t parent = (i - 1) / 2;
                if (q->compare(q->items[parent], item) <= 0)
                        break;
                place(q, i, q->items[parent]);
                i = parent;
        }
        place(q, i, item);
        return i;
}

static void sift_down(Prioq *q, size_t i) {
        void *item = q->items[i];
        for (;;) {
                size_t child = 2 * i + 1;
                if (child >= q->n_items)
                        break;
                if (child + 1 < q->n_items && q->compare(q->items[child + 1], q->items[child]) < 0)
                        child++;
                if (q->compare(item, q->items[child]) <= 0)
                        break;
                place(q, i, q->items[child]);
                i = child;
        }
        place(q, i, item);
}

static bool contains(const Prioq *q, void *item) {
        size_t i = *position_of(q, item);
        return i < q->n_items && q->items[i] == item;
}

void prioq_init(Prioq *q, PrioqCompare compare, size_t index_offset) {
        *q = (Prioq) {.compare = compare, .index_offset = index_offset};
}

void prioq_done(Prioq *q) {
        for (size_t i = 0; i < q->n_items; i++)
                *position_of(q, q->items[i]) = PRIOQ_NONE;
        free(q->items);
        prioq_init(q, q->compare, q->index_offset);
}

int prioq_put(Prioq *q, void *item) {
        if (!GREEDY_REALLOC(q->items, q->n_allocated, q->n_items + 1))
                return -ENOMEM;
        place(q, q->n_items++, item);
        (void) sift_up(q, q->n_items - 1);
        return 0;
}

void prioq_remove(Prioq *q, void *item) {
        if (!contains(q, item))
                return;

        size_t i = *position_of(q, item);
        void *last = q->items[--q->n_items];
        *position_of(q, item) = PRIOQ_NONE;
        if (last == item)
                return;
        place(q, i, last);
        sift_down(q, sift_up(q, i));
}

void prioq_reshuffle(Prioq *q, void *item) {
        if (contains(q, item))
                sift_down(q, sift_up(q, *position_of(q, item)));
}

void *prioq_peek(const Prioq *q) {
        return q->n_items > 0 ? q->items[0] : NULL;
}
