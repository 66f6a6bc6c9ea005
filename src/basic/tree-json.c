/* JSON files into trees: the tokens of the strict reader, handed to the builder. */
#include "i18n.h"
#include "json-reader.h"
#include "tree-internal.h"

static Node *new_scalar(TreeBuilder *b, const JsonToken *t, NodeType type) {
        Node *n = tree_alloc(b->tree, sizeof(Node));
        char *s = tree_strndup(b->tree, t->text, t->length);
        if (!n || !s)
                return NULL;
        *n = (Node) {
                .type = type,
                .style = type == NODE_STRING ? NODE_DOUBLE_QUOTED : NODE_PLAIN,
                .line = t->line,
                .column = t->column,
                .string = s,
                .length = t->length,
                .boolean = t->type == JSON_TOKEN_TRUE,
                .integer = t->integer,
                .number = t->number,
        };
        return n;
}

static int add_scalar(TreeBuilder *b, const JsonToken *t, NodeType type) {
        Node *n = new_scalar(b, t, type);
        return n ? tree_builder_add_scalar(b, n) : -ENOMEM;
}

static int take_key(TreeBuilder *b, const JsonToken *t) {
        const char *key = tree_strndup(b->tree, t->text, t->length);
        if (!key)
                return -ENOMEM;
        tree_builder_key(b, key, t->line, t->column);
        return 0;
}

static int take_token(TreeBuilder *b, const JsonToken *t) {
        switch (t->type) {
        case JSON_TOKEN_OBJECT_BEGIN:
        case JSON_TOKEN_ARRAY_BEGIN:
                return tree_builder_open(b, t->type == JSON_TOKEN_OBJECT_BEGIN ? NODE_MAP : NODE_LIST, t->line, t->column, NULL);
        case JSON_TOKEN_OBJECT_END:
        case JSON_TOKEN_ARRAY_END:
                return tree_builder_close(b, NULL, NULL);
        case JSON_TOKEN_KEY:
                return take_key(b, t);
        case JSON_TOKEN_STRING:
                return add_scalar(b, t, NODE_STRING);
        case JSON_TOKEN_INT:
                return add_scalar(b, t, NODE_INT);
        case JSON_TOKEN_DOUBLE:
                return add_scalar(b, t, NODE_DOUBLE);
        case JSON_TOKEN_UINT:
        case JSON_TOKEN_HUGE:
                return diag_error(b->diagnostics, t->line, t->column,
                                  _("this whole number does not fit in 64 bits; put it in quotes if it is text"));
        case JSON_TOKEN_TRUE:
        case JSON_TOKEN_FALSE:
                return add_scalar(b, t, NODE_BOOL);
        case JSON_TOKEN_NULL:
                return add_scalar(b, t, NODE_NULL);
        case JSON_TOKEN_END:
                break;
        }
        return 0;
}

int tree_read_json(TreeBuilder *b) {
        _cleanup_(json_reader_done) JsonReader reader;
        JsonToken t;

        json_reader_init(&reader, b->tree->text, b->tree->n_text, b->diagnostics);
        if (strspn(b->tree->text, " \t\r\n") == b->tree->n_text)
                return 0;       /* the caller says that it is empty */
        do {
                int r = json_reader_next(&reader, &t);
                if (r < 0)
                        return r;
                r = take_token(b, &t);
                if (r < 0)
                        return r;
        } while (t.type != JSON_TOKEN_END);
        return 0;
}
