/* YAML files into trees, from libyaml's events. libyaml is a YAML 1.1 scanner; what 1.2 or this project sees differently is settled here:
 * types of plain scalars are ours, tags, further documents, keys that aren't text and the line breaks that only 1.1 knows are errors.
 * Its problems are English and say what it missed, not what the person did; the usual ones are put in other words. After an error
 * that leaves the structure intact reading goes on, so that one look shows them all. */
#include <stdio.h>
#include <yaml.h>

#include "fd-util.h"
#include "i18n.h"
#include "tree-internal.h"
#include "utf8.h"

#define ANCHOR_CHARACTERS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"        /* as libyaml has it */
#define TAG_TEXT_MAX 100u                               /* longer ones are not repeated in a message */

typedef struct Anchor {
        const char *name;
        Node *node;
        size_t n_nodes;                                 /* 0: still open, an alias to it would be endless */
        unsigned height;
} Anchor;

typedef struct YamlReader {
        TreeBuilder *builder;
        Tree *tree;
        Diagnostics *diagnostics;
        Hashmap *anchors;
        Anchor *open_anchors[TREE_DEPTH_MAX];           /* of the containers that are open */
        bool flow[TREE_DEPTH_MAX];                      /* are they in flow style? */
        unsigned n_documents;
        bool done;
} YamlReader;

static void yaml_reader_done(YamlReader *y) {
        hashmap_free(y->anchors);
}

static unsigned line_of(yaml_mark_t mark) {
        return (unsigned) mark.line + 1;
}

static unsigned column_of(yaml_mark_t mark) {
        return (unsigned) mark.column + 1;
}

/* What libyaml would refuse without a position, or take for a line break that no editor shows. */
static int check_characters(const Tree *t, Diagnostics *d) {
        for (size_t i = 0; i < t->n_text;) {
                uint32_t c = (uint8_t) t->text[i];
                if (c >= ' ' && c < 0x7f) {
                        i++;
                        continue;
                }
                size_t k = c < 0x80 ? 1 : utf8_decode(t->text + i, t->n_text - i, &c);
                bool is_break = c == 0x85 || c == 0x2028 || c == 0x2029;
                bool is_control = (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c >= 0x7f && c <= 0x9f) || c == 0xfeff ||
                                  c == 0xfffe || c == 0xffff;
                if (is_break || is_control) {
                        unsigned line, column;
                        tree_locate(t, i, &line, &column);
                        return diag_error(d, line, column,
                                          _("the character U+%04X may not stand here; write it as an escape in double quotes"), c);
                }
                i += k;
        }
        return 0;
}

/* The end of the expression that begins with '!' at i: the line's end without a comment; in flow style the end of the element. */
static size_t expression_end(const Tree *t, size_t i, bool flow) {
        unsigned parentheses = 0;
        char quote = 0;
        size_t start = i;
        for (; i < t->n_text && t->text[i] != '\n' && t->text[i] != '\r'; i++) {
                char c = t->text[i];
                if (quote || c == '\'' || c == '"')
                        quote = !quote ? c : c == quote ? 0 : quote;
                else if (c == '(')
                        parentheses++;
                else if (c == ')' && parentheses > 0)
                        parentheses--;
                else if (c == '#' && (t->text[i - 1] == ' ' || t->text[i - 1] == '\t'))
                        break;
                else if (flow && parentheses == 0 && strchr(",}]", c))
                        break;
        }
        while (i > start && (t->text[i - 1] == ' ' || t->text[i - 1] == '\t'))
                i--;
        return i;
}

/* A tag at this offset, or an expression that begins with "!" and was meant to be one. */
static int fail_tag(YamlReader *y, size_t offset, bool flow, bool scalar) {
        unsigned line, column;
        const char *s = y->tree->text + offset;
        tree_locate(y->tree, offset, &line, &column);
        if (!scalar || s[1] == '!' || s[1] == '<') {
                size_t n = s[1] == '<' ? strcspn(s, "> \r\n") : strcspn(s, " \t\r\n,]}");
                n += s[n] == '>';
                return diag_error(y->diagnostics, line, column, _("YAML tags are not taken here; remove '%.*s'"),
                                  (int) MIN(n, (size_t) TAG_TEXT_MAX), s);
        }

        size_t n = expression_end(y->tree, offset, flow) - offset;
        _cleanup_free_ char *quoted = NULL;
        if (n <= TAG_TEXT_MAX) {
                quoted = malloc(2 * n + 1);
                if (!quoted)
                        return -ENOMEM;
                char *q = quoted;
                for (size_t i = 0; i < n; i++) {
                        if (s[i] == '\'')
                                *q++ = '\'';
                        *q++ = s[i];
                }
                *q = 0;
        }
        return diag_error(y->diagnostics, line, column, _("YAML takes '!' for a tag; quote the expression: '%s'"), quoted ? quoted : "!…");
}

/* The tag was seen, and said, before what follows it made libyaml stumble. */
static bool is_said(const YamlReader *y, size_t offset) {
        const Diagnostics *d = y->diagnostics;
        unsigned line, column;
        tree_locate(y->tree, offset, &line, &column);
        return d->n_items > 0 && d->items[d->n_items - 1].line == line && d->items[d->n_items - 1].column == column;
}

static bool in_flow(const YamlReader *y) {
        return y->builder->depth > 0 && y->flow[y->builder->depth - 1];
}

/* "if: !a && b" is no valid YAML at all: libyaml stumbles over what comes after the tag. */
static bool find_unquoted_expression(const YamlReader *y, yaml_mark_t mark, size_t *ret) {
        size_t start = tree_offset(y->tree, line_of(mark), 1), problem = tree_offset(y->tree, line_of(mark), column_of(mark));
        const char *text = y->tree->text;
        size_t i = start + strspn(text + start, " \t");
        for (; i <= problem && i < y->tree->n_text; i++)
                if (text[i] == '!' && (i == start || strchr(" \t[{,", text[i - 1]))) {
                        size_t before = i;
                        while (before > start && (text[before - 1] == ' ' || text[before - 1] == '\t'))
                                before--;
                        *ret = i;
                        return before == start || strchr(":-,{[", text[before - 1]);
                }
        return false;
}

static const struct {
        const char *problem, *message;
} problem_table[] = {
        {"mapping values are not allowed in this context",
         N_("a ':' may not stand here; quote the text if the colon belongs to it, else check the indentation")},
        {"mapping keys are not allowed in this context", N_("a key may not stand here; check the indentation")},
        {"block sequence entries are not allowed in this context",
         N_("a list element may not stand here; put it on a line of its own and check the indentation")},
        {"could not find expected ':'", N_("this line has no ':' after its key; check the indentation and the quotes")},
        {"did not find expected key", N_("a key was expected here; check the indentation and the quotes")},
        {"did not find expected '-' indicator", N_("a list element, '- …', was expected here; check the indentation")},
        {"did not find expected ',' or ']'", N_("',' or ']' was expected here")},
        {"did not find expected ',' or '}'", N_("',' or '}' was expected here")},
        {"did not find expected node content", N_("a value was expected here")},
        {"found character that cannot start any token",
         N_("a value can't begin with this character, nor a line with a tab; quote the text, indent with spaces")},
        {"found a tab character where an indentation space is expected", N_("a tab can't indent; use spaces")},
        {"found a tab character that violates indentation", N_("a tab can't indent; use spaces")},
        {"found unexpected end of stream", N_("the text that begins here has no closing quote")},
        {"found unexpected document indicator", N_("the text that begins here has no closing quote")},
        {"found unknown escape character", N_("YAML has no such escape; write \\\\ for a backslash, or use single quotes")},
        {"did not find expected hexdecimal number", N_("the escape needs more hexadecimal digits")},
        {"found invalid Unicode character escape code", N_("this escape stands for no character")},
        {"did not find expected alphabetic or numeric character",
         N_("'&' and '*' name anchors and aliases; quote the text if it begins with one of them")},
        {"did not find expected comment or line break", N_("nothing but a comment may follow '|' or '>' on its line")},
        {"did not find expected <document start>", N_("the file goes on after its end; check the indentation")},
        {"found incompatible YAML document", N_("this version of YAML is not known; remove the line or write %YAML 1.2")},
};

/* An unclosed quote is best shown where it opens; all other problems where they are. */
static yaml_mark_t problem_position(const yaml_parser_t *p) {
        bool quoted = p->context && streq(p->context, "while scanning a quoted scalar");
        return quoted && startswith(p->problem, "found unexpected") ? p->context_mark : p->problem_mark;
}

static int fail_syntax(YamlReader *y, const yaml_parser_t *p) {
        if (p->error == YAML_MEMORY_ERROR)
                return -ENOMEM;

        size_t offset;
        const char *problem = p->problem ? p->problem : "unknown problem";
        yaml_mark_t mark = problem_position(p);
        if (find_unquoted_expression(y, mark, &offset))
                return is_said(y, offset) ? -EINVAL : fail_tag(y, offset, in_flow(y), true);
        for (size_t i = 0; i < ELEMENTSOF(problem_table); i++)
                if (streq(problem_table[i].problem, problem))
                        return diag_error(y->diagnostics, line_of(mark), column_of(mark), "%s", _(problem_table[i].message));
        return diag_error(y->diagnostics, line_of(mark), column_of(mark), _("not valid YAML: %s"), problem);
}

static NodeStyle style_of(yaml_scalar_style_t style) {
        switch (style) {
        case YAML_SINGLE_QUOTED_SCALAR_STYLE:
                return NODE_SINGLE_QUOTED;
        case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
                return NODE_DOUBLE_QUOTED;
        case YAML_LITERAL_SCALAR_STYLE:
                return NODE_LITERAL;
        case YAML_FOLDED_SCALAR_STYLE:
                return NODE_FOLDED;
        case YAML_ANY_SCALAR_STYLE:
        case YAML_PLAIN_SCALAR_STYLE:
                break;
        }
        return NODE_PLAIN;
}

/* An event begins at its anchor; the scalar proper begins behind it. */
static void skip_anchor(const YamlReader *y, unsigned *line, unsigned *column) {
        const char *text = y->tree->text;
        size_t i = tree_offset(y->tree, *line, *column);
        if (text[i] != '&')
                return;
        i += 1 + strspn(text + i + 1, ANCHOR_CHARACTERS);
        for (;;) {
                i += strspn(text + i, " \t\r\n");
                if (text[i] != '#')
                        break;
                i += strcspn(text + i, "\r\n");
        }
        tree_locate(y->tree, i, line, column);
}

static int fail_event_tag(YamlReader *y, unsigned line, unsigned column, bool scalar) {
        skip_anchor(y, &line, &column);
        return fail_tag(y, tree_offset(y->tree, line, column), in_flow(y), scalar);
}

static int new_anchor(YamlReader *y, const yaml_char_t *name, Node *n, Anchor **ret) {
        if (!name) {
                *ret = NULL;
                return 0;
        }
        Anchor *a = tree_alloc(y->tree, sizeof(Anchor));
        const char *copy = tree_strndup(y->tree, (const char *) name, strlen((const char *) name));
        if (!a || !copy)
                return -ENOMEM;
        *a = (Anchor) {.name = copy, .node = n};
        int r = hashmap_replace(y->anchors, a->name, a);
        if (r < 0)
                return r;
        *ret = a;
        return 0;
}

static void add_key(YamlReader *y, const Node *n) {
        if (n->type != NODE_STRING) {
                if (n->length == 0)
                        (void) diag_error(y->diagnostics, n->line, n->column, _("there is no key before this ':'"));
                else
                        (void) diag_error(y->diagnostics, n->line, n->column, _("a key must be text; put it in quotes: '%s'"), n->string);
        } else if (strlen(n->string) != n->length)
                (void) diag_error(y->diagnostics, n->line, n->column, _("a key can't hold a NUL character"));
        tree_builder_key(y->builder, n->string, n->line, n->column);
}

static int read_scalar(YamlReader *y, const yaml_event_t *e, Node *n) {
        const char *value = (const char *) e->data.scalar.value, *reason;
        char *s = tree_strndup(y->tree, value, e->data.scalar.length);
        if (!s)
                return -ENOMEM;
        *n = (Node) {
                .type = NODE_STRING,
                .style = style_of(e->data.scalar.style),
                .line = line_of(e->start_mark),
                .column = column_of(e->start_mark),
                .string = s,
                .length = e->data.scalar.length,
        };
        if (e->data.scalar.tag)
                (void) fail_event_tag(y, n->line, n->column, true);
        if (e->data.scalar.anchor && (n->length > 0 || n->style != NODE_PLAIN))
                skip_anchor(y, &n->line, &n->column);
        if (n->style == NODE_PLAIN && !e->data.scalar.tag && yaml_resolve_plain(n, &reason) < 0)
                (void) diag_error(y->diagnostics, n->line, n->column, "%s", reason);
        return 0;
}

/* Of a key only its text and position stay, unless an alias may ask for more. */
static int take_scalar(YamlReader *y, const yaml_event_t *e) {
        bool is_key = tree_builder_wants_key(y->builder);
        Node key, *n = is_key && !e->data.scalar.anchor ? &key : tree_alloc(y->tree, sizeof(Node));
        Anchor *a;
        int r = n ? read_scalar(y, e, n) : -ENOMEM;
        if (r < 0)
                return r;
        r = new_anchor(y, e->data.scalar.anchor, n, &a);
        if (r < 0)
                return r;
        if (a)
                a->n_nodes = 1;
        if (!is_key)
                return tree_builder_add_scalar(y->builder, n);
        add_key(y, n);
        return 0;
}

static int take_alias(YamlReader *y, const yaml_event_t *e) {
        const char *name = (const char *) e->data.alias.anchor;
        unsigned line = line_of(e->start_mark), column = column_of(e->start_mark);
        const Anchor *a = hashmap_get(y->anchors, name);

        if (!a)
                return diag_error(y->diagnostics, line, column,
                                  _("there is no anchor '&%s' before this alias; quote the text if it is none"), name);
        if (a->n_nodes == 0)
                return diag_error(y->diagnostics, line, column, _("the alias '*%s' stands inside of what it stands for"), name);
        if (tree_builder_wants_key(y->builder))
                return diag_error(y->diagnostics, line, column, _("an alias can't be a key; write the key out"));

        Node *n = tree_alloc(y->tree, sizeof(Node));
        if (!n)
                return -ENOMEM;
        *n = *a->node;          /* shares the children; the key, if any, is that of the place it now stands at */
        n->key = NULL;
        n->key_line = n->key_column = 0;
        return tree_builder_add(y->builder, n, a->n_nodes, a->height, line, column);
}

static int take_open(YamlReader *y, const yaml_event_t *e, NodeType type, const yaml_char_t *anchor, const yaml_char_t *tag, bool flow) {
        Node *n;
        Anchor *a;
        unsigned line = line_of(e->start_mark), column = column_of(e->start_mark);

        if (tree_builder_wants_key(y->builder))
                return diag_error(y->diagnostics, line, column, _("a key must be text, not a list or a map"));
        if (tag)
                (void) fail_event_tag(y, line, column, false);
        int r = tree_builder_open(y->builder, type, line, column, &n);
        if (r < 0)
                return r;
        r = new_anchor(y, anchor, n, &a);
        if (r < 0)
                return r;
        y->open_anchors[y->builder->depth - 1] = a;
        y->flow[y->builder->depth - 1] = flow;
        return 0;
}

static int take_close(YamlReader *y) {
        Anchor *a = y->open_anchors[y->builder->depth - 1];
        size_t n_nodes;
        unsigned height;
        int r = tree_builder_close(y->builder, &n_nodes, &height);
        if (r < 0)
                return r;
        if (a) {
                a->n_nodes = n_nodes;
                a->height = height;
        }
        return 0;
}

static int take_document(YamlReader *y, const yaml_event_t *e) {
        if (++y->n_documents > 1)
                return diag_error(y->diagnostics, line_of(e->start_mark), column_of(e->start_mark),
                                  _("a second document begins here; a file holds one"));
        return 0;
}

static int take_event(YamlReader *y, const yaml_event_t *e) {
        switch (e->type) {
        case YAML_DOCUMENT_START_EVENT:
                return take_document(y, e);
        case YAML_ALIAS_EVENT:
                return take_alias(y, e);
        case YAML_SCALAR_EVENT:
                return take_scalar(y, e);
        case YAML_SEQUENCE_START_EVENT:
                return take_open(y, e, NODE_LIST, e->data.sequence_start.anchor, e->data.sequence_start.tag,
                                 e->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE);
        case YAML_MAPPING_START_EVENT:
                return take_open(y, e, NODE_MAP, e->data.mapping_start.anchor, e->data.mapping_start.tag,
                                 e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE);
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
                return take_close(y);
        case YAML_STREAM_END_EVENT:
                y->done = true;
                return 0;
        case YAML_NO_EVENT:
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
                break;
        }
        return 0;
}

static int read_events(YamlReader *y, yaml_parser_t *p) {
        while (!y->done) {
                yaml_event_t e;
                if (!yaml_parser_parse(p, &e))
                        return fail_syntax(y, p);
                int r = take_event(y, &e);
                yaml_event_delete(&e);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A document of nothing but comments or "---". */
static bool is_empty_document(const Node *root) {
        return root && root->type == NODE_NULL && root->length == 0;
}

int tree_read_yaml(TreeBuilder *b) {
        _cleanup_(yaml_parser_delete) yaml_parser_t parser = {};
        _cleanup_(yaml_reader_done) YamlReader y = {.builder = b, .tree = b->tree, .diagnostics = b->diagnostics};

        int r = check_characters(b->tree, b->diagnostics);
        if (r < 0)
                return r;
        y.anchors = hashmap_new();
        if (!y.anchors || !yaml_parser_initialize(&parser))
                return -ENOMEM;
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser, (const unsigned char *) b->tree->text, b->tree->n_text);
        r = read_events(&y, &parser);
        if (r >= 0 && is_empty_document(b->tree->root))
                b->tree->root = NULL;
        return r;
}
