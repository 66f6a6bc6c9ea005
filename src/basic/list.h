/* Intrusive doubly linked lists: LIST_FIELDS in the element, a plain pointer as the head. */
#pragma once

#include "macros.h"

#define LIST_FIELDS(type, name) type *name##_next, *name##_prev

#define LIST_PREPEND(name, head, item)                                  \
        do {                                                            \
                (item)->name##_prev = NULL;                             \
                (item)->name##_next = (head);                           \
                if (head)                                               \
                        (head)->name##_prev = (item);                   \
                (head) = (item);                                        \
        } while (false)

#define LIST_REMOVE(name, head, item)                                   \
        do {                                                            \
                if ((item)->name##_next)                                \
                        (item)->name##_next->name##_prev = (item)->name##_prev; \
                if ((item)->name##_prev)                                \
                        (item)->name##_prev->name##_next = (item)->name##_next; \
                else                                                    \
                        (head) = (item)->name##_next;                   \
                (item)->name##_next = (item)->name##_prev = NULL;       \
        } while (false)

#define LIST_FOREACH(name, i, head) for (__typeof__(head) i = (head), i##_n = i ? i->name##_next : NULL; i; i = i##_n, i##_n = i ? i->name##_next : NULL)

/* FIFO queue: QUEUE_HEAD in the owner, LIST_FIELDS in the element. */
#define QUEUE_HEAD(type) struct { type *first, *last; }
#define QUEUE_PUSH(name, q, item)                                       \
        do {                                                            \
                (item)->name##_next = NULL;                             \
                (item)->name##_prev = (q)->last;                        \
                if ((q)->last)                                          \
                        (q)->last->name##_next = (item);                \
                else                                                    \
                        (q)->first = (item);                            \
                (q)->last = (item);                                     \
        } while (false)
#define QUEUE_REMOVE(name, q, item)                                     \
        do {                                                            \
                if ((q)->last == (item))                                \
                        (q)->last = (item)->name##_prev;                \
                LIST_REMOVE(name, (q)->first, item);                    \
        } while (false)
