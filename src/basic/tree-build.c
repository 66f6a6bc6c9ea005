/* Builds a tree from a stream of keys, scalars and containers, the same for both formats: keys are checked for duplicates here, and depth
 * and size are bounded here. An alias is a copy of one node whose children are shared, so its memory is small; its size is counted
 * in full nevertheless, because whoever walks the tree walks all of it. */
#include "i18n.h"
#include "tree-internal.h"

#define KEYS_SEARCHED_MAX 8u                            /* larger maps look their keys up in a hash map */

void tree_builder_done(TreeBuilder *b) {
        for (unsigned i = 0; i < b->depth; i++)
                hashmap_free(b->frames[i].keys);
        free(b->pending);
}

static TreeFrame *top(TreeBuilder *b) {
        return b->depth > 0 ? b->frames + b->depth - 1 : NULL;
}

bool tree_builder_wants_key(const TreeBuilder *b) {
        const TreeFrame *f = b->depth > 0 ? b->frames + b->depth - 1 : NULL;
        return f && f->node->type == NODE_MAP && !f->key;
}

static const Node *find_member(const TreeBuilder *b, const TreeFrame *f, const char *key) {
        if (f->keys)
                return hashmap_get(f->keys, key);
        for (size_t i = f->first_pending; i < b->n_pending; i++)
                if (streq(b->pending[i]->key, key))
                        return b->pending[i];
        return NULL;
}

void tree_builder_key(TreeBuilder *b, const char *key, unsigned line, unsigned column) {
        TreeFrame *f = top(b);
        f->key = key;
        f->key_line = line;
        f->key_column = column;
        const Node *first = find_member(b, f, f->key);
        f->key_is_duplicate = first;
        if (first)
                (void) diag_error(b->diagnostics, line, column, _("'%s' stands here twice; the first is in line %u"), f->key,
                                 first->key_line);
}

static int remember_key(TreeBuilder *b, TreeFrame *f, Node *n) {
        if (f->keys)
                return hashmap_put(f->keys, n->key, n);
        if (b->n_pending - f->first_pending <= KEYS_SEARCHED_MAX)
                return 0;
        f->keys = hashmap_new();
        if (!f->keys)
                return -ENOMEM;
        for (size_t i = f->first_pending; i < b->n_pending; i++) {
                int r = hashmap_put(f->keys, b->pending[i]->key, b->pending[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_child(TreeBuilder *b, TreeFrame *f, Node *n) {
        bool drop = false;
        if (f->node->type == NODE_MAP) {
                n->key = TAKE_PTR(f->key);
                n->key_line = f->key_line;
                n->key_column = f->key_column;
                drop = f->key_is_duplicate;
        }
        if (drop)
                return 0;
        if (!GREEDY_REALLOC(b->pending, b->n_allocated, b->n_pending + 1))
                return -ENOMEM;
        b->pending[b->n_pending++] = n;
        return f->node->type == NODE_MAP ? remember_key(b, f, n) : 0;
}

int tree_builder_add(TreeBuilder *b, Node *n, size_t n_nodes, unsigned height, unsigned line, unsigned column) {
        if (b->depth + height > TREE_DEPTH_MAX)
                return diag_error(b->diagnostics, line, column, _("nested deeper than %u levels"), TREE_DEPTH_MAX);
        if (n_nodes > TREE_NODES_MAX - b->n_nodes)
                return diag_error(b->diagnostics, line, column, _("with its aliases written out the file has more than %u values"),
                                  TREE_NODES_MAX);
        b->n_nodes += n_nodes;

        TreeFrame *f = top(b);
        if (!f) {
                b->tree->root = n;
                return 0;
        }
        f->height = MAX(f->height, height);
        return add_child(b, f, n);
}

int tree_builder_add_scalar(TreeBuilder *b, Node *n) {
        return tree_builder_add(b, n, 1, 0, n->line, n->column);
}

int tree_builder_open(TreeBuilder *b, NodeType type, unsigned line, unsigned column, Node **ret) {
        Node *n = tree_alloc(b->tree, sizeof(Node));
        if (!n)
                return -ENOMEM;
        n->type = type;
        n->line = line;
        n->column = column;

        size_t nodes_before = b->n_nodes;
        int r = tree_builder_add(b, n, 1, 1, line, column);
        if (r < 0)
                return r;
        b->frames[b->depth++] = (TreeFrame) {.node = n, .first_pending = b->n_pending, .nodes_before = nodes_before};
        if (ret)
                *ret = n;
        return 0;
}

int tree_builder_close(TreeBuilder *b, size_t *ret_nodes, unsigned *ret_height) {
        TreeFrame *f = b->frames + --b->depth;
        Node *n = f->node;

        f->keys = hashmap_free(f->keys);
        n->n_children = b->n_pending - f->first_pending;
        n->children = tree_alloc(b->tree, n->n_children * sizeof(Node *));
        if (!n->children)
                return -ENOMEM;
        if (n->n_children > 0)
                memcpy(n->children, b->pending + f->first_pending, n->n_children * sizeof(Node *));
        b->n_pending = f->first_pending;

        TreeFrame *parent = top(b);
        if (parent)
                parent->height = MAX(parent->height, f->height + 1);
        if (ret_nodes)
                *ret_nodes = b->n_nodes - f->nodes_before;
        if (ret_height)
                *ret_height = f->height + 1;
        return 0;
}
