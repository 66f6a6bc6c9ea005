/* Any bytes as YAML and as JSON. What is accepted must become JSON text that the strict parser takes back as the same value, and every
 * byte of every scalar must have a position inside the file. */
#include <assert.h>

#include "json.h"
#include "tree-internal.h"

#define POSITIONS_MAX 64u                               /* a position costs a walk through its scalar */
#define NODES_MAX 20000u                                /* aliases make trees whose JSON takes long to write */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const Tree *t, const Node *n, size_t budget) {
        for (size_t at = 0; n->type != NODE_LIST && n->type != NODE_MAP && at <= n->length && at < POSITIONS_MAX; at++) {
                unsigned line = 0, column = 0;
                node_position(t, n, at, &line, &column);
                assert(line >= n->line && column >= 1);
                /* A letter stands for itself, but in an escape. */
                char c = at < n->length ? n->string[at] : 0, source = t->text[tree_offset(t, line, column)];
                if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
                        assert(source == c || (n->style == NODE_DOUBLE_QUOTED && source == '\\'));
        }
        for (size_t i = 0; i < n->n_children && budget > 0; i++)
                budget = walk(t, n->children[i], budget - 1);
        return budget;
}

static void round_trip(const Node *root) {
        _cleanup_json_ Json *j = NULL, *again = NULL;
        assert(node_to_json(root, &j) == 0);
        _cleanup_free_ char *text = json_to_string(j, false);
        assert(text);
        assert(json_parse(text, strlen(text), &again) == 0);
        assert(json_equal(j, again));
        assert(json_size(j, SIZE_MAX) == strlen(text));
}

static void try_format(const uint8_t *data, size_t size, TreeFormat format) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(tree_freep) Tree *t = NULL;
        int r = tree_parse((const char *) data, size, format, &d, &t);
        assert((r == 0) == (t != NULL));
        assert((r == 0) == (d.n_errors == 0));
        if (t && walk(t, tree_root(t), NODES_MAX) > 0)
                round_trip(tree_root(t));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        try_format(data, size, TREE_YAML);
        try_format(data, size, TREE_JSON);
        return 0;
}
