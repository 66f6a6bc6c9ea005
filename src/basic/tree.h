/* A parsed file as one tree that remembers where each node stood: YAML (1.2 core schema, by libyaml) or JSON. Duplicate keys, tags, more
 * than one document, non-string keys, nesting over 64, aliases that would grow the tree past its cap, invalid UTF-8 and files over 1 MiB
 * are errors with positions. JSON takes every legal escape (surrogate pairs too) and refuses what isn't JSON. */
#pragma once

#include "diagnostic.h"
#include "json.h"

#define TREE_FILE_MAX (1024u * 1024u)
#define TREE_DEPTH_MAX 64u
#define TREE_NODES_MAX 2000000u                         /* after aliases are expanded */

typedef enum TreeFormat { TREE_YAML, TREE_JSON } TreeFormat;
typedef enum NodeType { NODE_NULL, NODE_BOOL, NODE_INT, NODE_DOUBLE, NODE_STRING, NODE_LIST, NODE_MAP } NodeType;
typedef enum NodeStyle { NODE_PLAIN, NODE_SINGLE_QUOTED, NODE_DOUBLE_QUOTED, NODE_LITERAL, NODE_FOLDED } NodeStyle;

typedef struct Node Node;
struct Node {
        NodeType type;
        NodeStyle style;                                /* of a scalar; JSON strings are NODE_DOUBLE_QUOTED */
        unsigned line, column;                          /* of its first character, from 1, in characters */
        unsigned key_line, key_column;                  /* of its key, where it is a map's member */
        const char *key;                                /* likewise; NULL otherwise */
        bool boolean;
        int64_t integer;
        double number;                                  /* also set for NODE_INT */
        const char *string;                             /* the text of any scalar as written (quotes and escapes resolved) */
        size_t length;                                  /* of string, which may hold NULs in JSON */
        Node **children;                                /* list elements, or members in file order */
        size_t n_children;
};

typedef struct Tree Tree;                               /* owns all nodes and strings */

/* Returns 0; -EINVAL with at least one error in d; -ENOMEM. *ret is set only on success. */
int tree_parse(const char *text, size_t n, TreeFormat format, Diagnostics *d, Tree **ret);
Tree *tree_free(Tree *t);
DEFINE_CLEANUP(Tree *, tree_free)
const Node *tree_root(const Tree *t);
const Node *node_get(const Node *map, const char *key); /* NULL: no such member, or not a map */
const char *node_type_name(NodeType t);                 /* translated, with an article where a sentence wants one: "a list" */
int node_to_json(const Node *n, Json **ret);            /* 0 or -ENOMEM */
/* Of what it says: not of positions, styles and the order of keys. Numbers count as they are written. */
uint64_t node_digest(const Node *n) _pure_;
/* Where the character at byte offset `at` of a scalar's text stands in the file: exact for plain, quoted (escapes counted) and block scalars. */
void node_position(const Tree *t, const Node *n, size_t at, unsigned *ret_line, unsigned *ret_column);
