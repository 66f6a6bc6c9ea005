/* What the files of the tree share: the arena, the source text with its index of lines, and the builder that both formats drive. */
#pragma once

#include "hashmap.h"
#include "tree.h"

typedef struct ArenaChunk ArenaChunk;

struct Tree {
        ArenaChunk *chunks;                             /* all nodes, strings and child arrays */
        TreeFormat format;
        Node *root;
        char *text;                                     /* the source without byte order mark, NUL-terminated */
        size_t n_text;
        size_t *lines, n_lines, n_lines_allocated;      /* byte offset at which each line begins */
        uint32_t *chars;                                /* characters before each block of TREE_INDEX_BLOCK bytes */
};

#define TREE_INDEX_BLOCK 1024u

void *tree_alloc(Tree *t, size_t size);                 /* zeroed */
char *tree_strndup(Tree *t, const char *s, size_t n);
/* The byte offset of a position (from 1, in characters); the end of the text where there is none. */
size_t tree_offset(const Tree *t, unsigned line, unsigned column);
void tree_locate(const Tree *t, size_t offset, unsigned *ret_line, unsigned *ret_column);

typedef struct TreeFrame {
        Node *node;
        size_t first_pending;
        Hashmap *keys;                                  /* made once the map is large */
        const char *key;                                /* of the member whose value comes next; NULL: a key comes next */
        unsigned key_line, key_column;
        bool key_is_duplicate;
        size_t nodes_before;
        unsigned height;                                /* of the highest child */
} TreeFrame;

typedef struct TreeBuilder {
        Tree *tree;
        Diagnostics *diagnostics;
        TreeFrame frames[TREE_DEPTH_MAX];
        unsigned depth;
        Node **pending;                                 /* finished children of the open containers, innermost last */
        size_t n_pending, n_allocated;
        size_t n_nodes;
} TreeBuilder;

void tree_builder_done(TreeBuilder *b);
/* Does a key come next? */
bool tree_builder_wants_key(const TreeBuilder *b);
/* The key is the tree's. A duplicate is a diagnostic and goes on. */
void tree_builder_key(TreeBuilder *b, const char *key, unsigned line, unsigned column);
/* The others return 0, -ENOMEM, or -EINVAL with a diagnostic where it makes no sense to go on. */
/* Adds a finished node that stands for n_nodes nodes and is height containers high. */
int tree_builder_add(TreeBuilder *b, Node *n, size_t n_nodes, unsigned height, unsigned line, unsigned column);
int tree_builder_add_scalar(TreeBuilder *b, Node *n);
int tree_builder_open(TreeBuilder *b, NodeType type, unsigned line, unsigned column, Node **ret);
int tree_builder_close(TreeBuilder *b, size_t *ret_nodes, unsigned *ret_height);

int tree_read_yaml(TreeBuilder *b);
int tree_read_json(TreeBuilder *b);

/* Gives a plain scalar its type by the YAML 1.2 core schema; n->string and n->length are set. 0, or -EINVAL and the reason. */
int yaml_resolve_plain(Node *n, const char **ret_reason);
