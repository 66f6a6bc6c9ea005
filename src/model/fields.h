/* Reading maps of a definition file by tables: one table per kind of object, one row per key. The reader checks types and ranges, refuses unknown keys
 * (naming the nearest), keys that exclude each other and what this version does not support, and stores the values into a struct.
 * The tables are also what the JSON Schema is held against. */
#pragma once

#include "runbook-features.h"
#include "time-util.h"

typedef struct Reader {
        const Tree *tree;
        Diagnostics *d;
        void *userdata;
        unsigned pattern_states;                        /* of the patterns of inputs so far */
} Reader;

typedef struct Field Field;
/* Stores the value of `node` in *target (NULL: check it only). 0, -EINVAL (d says why), -ENOMEM. */
typedef int (*FieldRead)(Reader *r, const Field *f, const Node *node, void *target);

#define FIELD_CHECK_ONLY SIZE_MAX

struct Field {
        const char *key;
        FieldRead read;
        size_t offset;                                  /* of the target in the object, or FIELD_CHECK_ONLY */
        bool required;
        unsigned group;                                 /* of the keys of one group only one may be written; 0: none */
        Feature feature;                                /* what using it takes */
        unsigned feature_values;                        /* bits: only these values of an enum or a bool (1 << value) take it; 0: any */
        uint64_t min, max;                              /* of numbers and spans (µs); max 0: no bound */
        const char *const *names;                       /* of an enum: NULL-terminated, the index is the value */
        bool (*valid)(const char *s);                   /* of a text, or of each text of a list */
        const char *form;                               /* what `valid` wants, for people: "a name ([a-z0-9]…)" */
};

typedef struct FieldTable {
        const char *name;                               /* of the object in the JSON Schema */
        const char *what;                               /* for people: "a phase" */
        const Field *fields;
        size_t n_fields;
} FieldTable;

#define FIELD(key_, read_, type, member, ...) { .key = (key_), .read = (read_), .offset = offsetof(type, member), __VA_ARGS__ }
#define FIELD_CHECKED(key_, read_, ...) { .key = (key_), .read = (read_), .offset = FIELD_CHECK_ONLY, __VA_ARGS__ }

#define FIELDS_MAX 32                                   /* rows of a table */

#define DEFINE_FIELD_TABLE(symbol, name_, what_, rows)                                                          \
        const FieldTable symbol = { .name = (name_), .what = (what_), .fields = (rows), .n_fields = ELEMENTSOF(rows) };  \
        _Static_assert(ELEMENTSOF(rows) <= FIELDS_MAX, "FIELDS_MAX is too small")

/* All keys are looked at first, then values are read in the order of the table. */
int fields_read(Reader *r, const FieldTable *t, const Node *node, void *object);

/* Errors at a node's value, and at its key. */
#define node_error(r, n, ...) diag_error((r)->d, (n)->line, (n)->column, __VA_ARGS__)
#define node_key_error(r, n, ...) diag_error((r)->d, (n)->key ? (n)->key_line : (n)->line, (n)->key ? (n)->key_column : (n)->column, __VA_ARGS__)
/* How a node is called in messages: its key, or "this" for an element of a list. */
const char *node_label(const Node *n);
/* "a", "b" … of candidates: `, did you mean "x"?` or "". New string, NULL on out of memory. The cost is bounded: nothing is
 * looked for once enough errors stand in d, nor among very many candidates. */
char *did_you_mean(const Diagnostics *d, const char *s, const char *const *candidates);

int expect_type(Reader *r, const Node *n, NodeType type);
int expect_text(Reader *r, const Node *n);              /* a string or another scalar but null and bool, as written */

/* A list of texts: types, form (`valid`), number (max), no text twice. */
int names_check(Reader *r, const Field *f, const Node *node);

/* Targets: char*, char* (any scalar as written), bool, unsigned, enums (as unsigned), usec_t (span; a bare number is seconds), usec_t (integer of
 * milliseconds), char** (NULL-terminated), const Node*. */
int field_string(Reader *r, const Field *f, const Node *node, void *target);
int field_text(Reader *r, const Field *f, const Node *node, void *target);
int field_bool(Reader *r, const Field *f, const Node *node, void *target);
int field_unsigned(Reader *r, const Field *f, const Node *node, void *target);
int field_enum(Reader *r, const Field *f, const Node *node, void *target);
int field_timespan(Reader *r, const Field *f, const Node *node, void *target);
int field_milliseconds(Reader *r, const Field *f, const Node *node, void *target);
int field_names(Reader *r, const Field *f, const Node *node, void *target);
int field_map(Reader *r, const Field *f, const Node *node, void *target);
int field_list(Reader *r, const Field *f, const Node *node, void *target);
int field_string_node(Reader *r, const Field *f, const Node *node, void *target);
int field_names_node(Reader *r, const Field *f, const Node *node, void *target);
int field_any(Reader *r, const Field *f, const Node *node, void *target);
