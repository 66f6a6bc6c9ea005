/* The tree itself: memory, the index from positions to the source, access to members. Nodes, strings and arrays come from one arena and
 * go with it, so that a file of any shape is freed by a handful of calls. The source is kept, because only it can tell where in the
 * file a character of an escaped or folded text stands. */
#include "tree.h"

#include "digest.h"
#include "i18n.h"
#include "tree-internal.h"
#include "utf8.h"

#define ARENA_CHUNK_SIZE (64u * 1024u)
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct ArenaChunk {
        ArenaChunk *next;
        size_t used, size;
        max_align_t data[];
};

void *tree_alloc(Tree *t, size_t size) {
        size = (size + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
        ArenaChunk *c = t->chunks;
        if (!c || c->size - c->used < size) {
                size_t n = MAX(size, (size_t) ARENA_CHUNK_SIZE);
                ArenaChunk *new = calloc(1, sizeof(ArenaChunk) + n);
                if (!new)
                        return NULL;
                new->size = n;
                new->next = c;
                c = t->chunks = new;
        }
        void *p = (char *) c->data + c->used;
        c->used += size;
        return p;
}

char *tree_strndup(Tree *t, const char *s, size_t n) {
        char *p = tree_alloc(t, n + 1);
        if (p && n > 0)
                memcpy(p, s, n);
        return p;
}

Tree *tree_free(Tree *t) {
        if (!t)
                return NULL;
        while (t->chunks) {
                ArenaChunk *next = t->chunks->next;
                free(t->chunks);
                t->chunks = next;
        }
        free(t->text);
        free(t->lines);
        free(t->chars);
        free(t);
        return NULL;
}

const Node *tree_root(const Tree *t) {
        return t->root;
}

const Node *node_get(const Node *map, const char *key) {
        if (!map || map->type != NODE_MAP)
                return NULL;
        for (size_t i = 0; i < map->n_children; i++)
                if (streq(map->children[i]->key, key))
                        return map->children[i];
        return NULL;
}

const char *node_type_name(NodeType t) {
        switch (t) {
        case NODE_NULL:
                return _("null");
        case NODE_BOOL:
                return _("true or false");
        case NODE_INT:
                return _("a whole number");
        case NODE_DOUBLE:
                return _("a number");
        case NODE_STRING:
                return _("text");
        case NODE_LIST:
                return _("a list");
        case NODE_MAP:
                return _("a map");
        }
        return NULL;
}

static int add_line(Tree *t, size_t offset) {
        if (!GREEDY_REALLOC(t->lines, t->n_lines_allocated, t->n_lines + 1))
                return -ENOMEM;
        t->lines[t->n_lines++] = offset;
        return 0;
}

/* In YAML a carriage return alone ends a line too; in JSON it is a space. */
static bool ends_line(const Tree *t, size_t i) {
        if (t->text[i] == '\n')
                return true;
        return t->text[i] == '\r' && t->format == TREE_YAML && t->text[i + 1] != '\n';
}

static int index_source(Tree *t) {
        size_t n_blocks = t->n_text / TREE_INDEX_BLOCK + 1;
        t->chars = calloc(n_blocks, sizeof(uint32_t));
        if (!t->chars)
                return -ENOMEM;
        for (size_t k = 1; k < n_blocks; k++)
                t->chars[k] = t->chars[k - 1] + (uint32_t) utf8_count(t->text + (k - 1) * TREE_INDEX_BLOCK, TREE_INDEX_BLOCK);

        int r = add_line(t, 0);
        for (size_t i = 0; i < t->n_text && r >= 0; i++)
                if (ends_line(t, i))
                        r = add_line(t, i + 1);
        return r;
}

static size_t chars_before(const Tree *t, size_t offset) {
        size_t k = offset / TREE_INDEX_BLOCK;
        return t->chars[k] + utf8_count(t->text + k * TREE_INDEX_BLOCK, offset - k * TREE_INDEX_BLOCK);
}

static bool is_continuation(char c) {
        return ((uint8_t) c & 0xc0) == 0x80;
}

/* The last index of a sorted array whose value is at most v; the first value is. */
#define LAST_AT_MOST(array, n, v)                                       \
        __extension__({                                                 \
                size_t _low = 0, _high = (n);                           \
                while (_high - _low > 1) {                              \
                        size_t _middle = _low + (_high - _low) / 2;     \
                        if ((array)[_middle] <= (v))                    \
                                _low = _middle;                         \
                        else                                            \
                                _high = _middle;                        \
                }                                                       \
                _low;                                                   \
        })

size_t tree_offset(const Tree *t, unsigned line, unsigned column) {
        if (line < 1 || column < 1 || line > t->n_lines)
                return t->n_text;

        size_t start = t->lines[line - 1];
        size_t target = chars_before(t, start) + column - 1;
        size_t k = LAST_AT_MOST(t->chars, t->n_text / TREE_INDEX_BLOCK + 1, target);
        size_t i = MAX(k * TREE_INDEX_BLOCK, start);
        size_t n = chars_before(t, i);
        for (; i < t->n_text && (n < target || is_continuation(t->text[i])); i++)
                n += !is_continuation(t->text[i]);
        return i;
}

void tree_locate(const Tree *t, size_t offset, unsigned *ret_line, unsigned *ret_column) {
        size_t line = LAST_AT_MOST(t->lines, t->n_lines, offset);
        *ret_line = (unsigned) line + 1;
        *ret_column = (unsigned) (chars_before(t, offset) - chars_before(t, t->lines[line])) + 1;
}

static int list_to_json(const Node *n, Json **ret) {
        _cleanup_json_ Json *j = json_new_array();
        if (!j)
                return -ENOMEM;
        for (size_t i = 0; i < n->n_children; i++) {
                Json *v = NULL;
                int r = node_to_json(n->children[i], &v);
                if (r >= 0)
                        r = json_append(j, v);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(j);
        return 0;
}

static int map_to_json(const Node *n, Json **ret) {
        _cleanup_json_ Json *j = json_new_object();
        if (!j)
                return -ENOMEM;
        for (size_t i = 0; i < n->n_children; i++) {
                Json *v = NULL;
                int r = node_to_json(n->children[i], &v);
                if (r >= 0)
                        r = json_set(j, n->children[i]->key, v);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(j);
        return 0;
}

static int scalar_to_json(Json *j, Json **ret) {
        if (!j)
                return -ENOMEM;
        *ret = j;
        return 0;
}

int node_to_json(const Node *n, Json **ret) {
        switch (n->type) {
        case NODE_NULL:
                *ret = NULL;
                return 0;
        case NODE_BOOL:
                return scalar_to_json(json_new_bool(n->boolean), ret);
        case NODE_INT:
                return scalar_to_json(json_new_int(n->integer), ret);
        case NODE_DOUBLE:
                return scalar_to_json(json_new_double(n->number), ret);
        case NODE_STRING:
                return scalar_to_json(json_new_string_n(n->string, n->length), ret);
        case NODE_LIST:
                return list_to_json(n, ret);
        case NODE_MAP:
                return map_to_json(n, ret);
        }
        return -EINVAL;
}

static uint64_t digest_children(const Node *n) {
        uint64_t h = QUICK_DIGEST_START, sum = 0;

        for (size_t i = 0; i < n->n_children; i++) {
                uint64_t d = node_digest(n->children[i]);

                h = quick_digest_add(h, d);
                sum += n->type == NODE_MAP ? quick_digest(d, n->children[i]->key, strlen(n->children[i]->key)) : 0;
        }
        return n->type == NODE_MAP ? sum : h;
}

uint64_t node_digest(const Node *n) {
        uint8_t type = (uint8_t) n->type;
        uint64_t h = quick_digest(QUICK_DIGEST_START, &type, sizeof(type));

        switch (n->type) {
        case NODE_NULL:
                return h;
        case NODE_BOOL:
                return h + n->boolean;
        case NODE_INT:
        case NODE_DOUBLE:
        case NODE_STRING:
                return quick_digest(h, n->string, n->length);
        case NODE_LIST:
        case NODE_MAP:
                break;
        }
        return quick_digest_add(h, digest_children(n));
}

static int tree_new(const char *text, size_t n, TreeFormat format, Tree **ret) {
        _cleanup_(tree_freep) Tree *t = calloc(1, sizeof(Tree));
        if (!t)
                return -ENOMEM;
        t->format = format;
        t->text = malloc(n + 1);
        if (!t->text)
                return -ENOMEM;
        if (n > 0)
                memcpy(t->text, text, n);
        t->text[n] = 0;
        t->n_text = n;
        int r = index_source(t);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

static int check_encoding(const Tree *t, Diagnostics *d) {
        unsigned line, column;
        size_t valid = utf8_valid_prefix(t->text, t->n_text);
        if (valid == t->n_text)
                return 0;
        tree_locate(t, valid, &line, &column);
        if (t->text[valid] == 0)
                return diag_error(d, line, column, _("a NUL character may not stand here; remove it"));
        return diag_error(d, line, column, _("invalid UTF-8; save the file as UTF-8"));
}

static int read_tree(Tree *t, Diagnostics *d) {
        _cleanup_(tree_builder_done) TreeBuilder b = {.tree = t, .diagnostics = d};
        int r = 0;
        switch (t->format) {
        case TREE_YAML:
                r = tree_read_yaml(&b);
                break;
        case TREE_JSON:
                r = tree_read_json(&b);
                break;
        }
        if (r >= 0 && !t->root)
                r = diag_error(d, 1, 1, _("the file is empty"));
        return r;
}

int tree_parse(const char *text, size_t n, TreeFormat format, Diagnostics *d, Tree **ret) {
        _cleanup_(tree_freep) Tree *t = NULL;
        unsigned errors_before = d->n_errors;

        if (n > TREE_FILE_MAX)
                return diag_error(d, 0, 0, _("the file is larger than %u KiB; split it"), TREE_FILE_MAX / 1024);
        if (n >= strlen(BYTE_ORDER_MARK) && memcmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0) {
                text += strlen(BYTE_ORDER_MARK);
                n -= strlen(BYTE_ORDER_MARK);
        }
        int r = tree_new(text, n, format, &t);
        if (r < 0)
                return r;
        r = check_encoding(t, d);
        if (r < 0)
                return r;
        r = read_tree(t, d);
        if (r < 0)
                return r;
        if (d->n_errors > errors_before)
                return -EINVAL;
        *ret = TAKE_PTR(t);
        return 0;
}
