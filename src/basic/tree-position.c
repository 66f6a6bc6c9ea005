/* Where in the file a byte of a scalar's text stands. The scalar is read again from its first character, by the rules of its style,
 * counting what each piece of source adds to the text. This is done only when a message needs a position, so nothing is remembered
 * while parsing. Between pieces (in the white space of a fold) the answer is where the fold begins. */
#include "tree-internal.h"
#include "utf8.h"

typedef struct Source {
        const Tree *tree;
        const char *p, *end;
} Source;

static size_t encoded_length(uint32_t c) {
        return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

static bool is_break(char c) {
        return c == '\n' || c == '\r';
}

static bool is_blank(char c) {
        return c == ' ' || c == '\t';
}

static size_t break_length(const char *p, const char *end) {
        return end - p >= 2 && p[0] == '\r' && p[1] == '\n' ? 2 : 1;
}

static uint32_t hex(const char *p, const char *end, unsigned n) {
        uint32_t v = 0;
        for (unsigned i = 0; i < n && p + i < end; i++) {
                char c = (char) (p[i] | 0x20);
                v = v << 4 | (uint32_t) (c >= 'a' ? c - 'a' + 10 : p[i] - '0');
        }
        return v;
}

/* White space and line breaks from here to the next text; returns how many breaks. */
static unsigned skip_breaks(Source *s) {
        unsigned n = 0;
        while (s->p < s->end && (is_blank(*s->p) || is_break(*s->p)))
                if (is_break(*s->p)) {
                        s->p += break_length(s->p, s->end);
                        n++;
                } else
                        s->p++;
        return n;
}

/* One character, or one fold of white space with line breaks in it. */
static size_t take_plain(Source *s) {
        const char *p = s->p;
        while (p < s->end && is_blank(*p))
                p++;
        if (p < s->end && is_break(*p)) {
                unsigned n = skip_breaks(s);
                return n > 1 ? n - 1 : 1;
        }
        uint32_t c;
        size_t n = utf8_decode(s->p, (size_t) (s->end - s->p), &c);
        n = MAX(n, (size_t) 1);
        s->p += n;
        return n;
}

static size_t take_single_quoted(Source *s) {
        if (s->end - s->p >= 2 && s->p[0] == '\'' && s->p[1] == '\'') {
                s->p += 2;
                return 1;
        }
        return take_plain(s);
}

static size_t take_hex_escape(Source *s, unsigned n_digits) {
        uint32_t c = hex(s->p, s->end, n_digits);
        s->p += MIN((size_t) n_digits, (size_t) (s->end - s->p));
        if (s->tree->format == TREE_JSON && c >= 0xd800 && c <= 0xdbff) {
                s->p += MIN((size_t) 6, (size_t) (s->end - s->p));      /* the other half of the pair */
                return 4;
        }
        return encoded_length(c);
}

static size_t take_double_quoted(Source *s) {
        if (*s->p != '\\' || s->end - s->p < 2)
                return take_plain(s);

        char c = s->p[1];
        s->p += 2;
        switch (c) {
        case 'x':
                return take_hex_escape(s, 2);
        case 'u':
                return take_hex_escape(s, 4);
        case 'U':
                return take_hex_escape(s, 8);
        case 'N':
        case '_':
                return 2;
        case 'L':
        case 'P':
                return 3;
        case '\r':
        case '\n':
                /* The break itself adds nothing; each empty line after it adds a newline. */
                s->p--;
                return skip_breaks(s) - 1;
        default:
                return 1;
        }
}

static const char *find_in_quoted(Source *s, size_t at, size_t (*take)(Source *s)) {
        while (s->p < s->end) {
                const char *piece = s->p;
                size_t n = take(s);
                if (at < n)
                        return piece;
                at -= n;
        }
        return s->p;
}

typedef struct Line {
        const char *start, *end;                        /* without the break */
        size_t spaces;
        bool is_blank;                                  /* nothing but spaces */
} Line;

/* The line at s->p, which moves on to the next. */
static bool next_line(Source *s, Line *ret) {
        if (s->p >= s->end)
                return false;
        Line l = {.start = s->p};
        while (s->p < s->end && !is_break(*s->p))
                s->p++;
        l.end = s->p;
        while (l.start + l.spaces < l.end && l.start[l.spaces] == ' ')
                l.spaces++;
        l.is_blank = l.start + l.spaces == l.end;
        if (s->p < s->end)
                s->p += break_length(s->p, s->end);
        *ret = l;
        return true;
}

/* By how much the block is indented: the first line with text has that many spaces more in the file than in the scalar. */
static size_t block_indentation(Source s, const Node *n) {
        Line l = {};
        while (next_line(&s, &l) && l.is_blank)
                ;
        const char *text = n->string, *end = n->string + n->length;
        Source resolved = {.p = text, .end = end};
        Line r = {};
        while (next_line(&resolved, &r) && r.is_blank)
                ;
        return l.spaces > r.spaces ? l.spaces - r.spaces : 0;
}

/* How many bytes of the text stand between the lines of a folded scalar at i. */
static size_t separator_length(const Node *n, size_t i, bool first) {
        size_t k = 0;
        while (i + k < n->length && n->string[i + k] == '\n')
                k++;
        return k > 0 || first ? k : i < n->length && n->string[i] == ' ';
}

static const char *find_in_block(Source *s, const Node *n, size_t at) {
        Line l;
        const char *last = s->p;
        size_t i = 0, indentation;
        bool first = true;

        (void) next_line(s, &l);                        /* the header */
        indentation = block_indentation(*s, n);
        while (next_line(s, &l)) {
                const char *content = l.start + MIN(l.spaces, indentation);
                size_t length = (size_t) (l.end - content);
                if (n->style == NODE_FOLDED) {
                        if (length == 0)
                                continue;
                        i += separator_length(n, i, first);
                        first = false;
                        if (at < i)
                                return last;
                }
                if (at <= i + length)
                        return content + MIN(at - i, length);
                last = l.end;
                i += length + (n->style == NODE_LITERAL);
        }
        return last;
}

static const char *find_byte(Source *s, const Node *n, size_t at) {
        switch (n->style) {
        case NODE_PLAIN:
                return find_in_quoted(s, at, take_plain);
        case NODE_SINGLE_QUOTED:
                s->p++;
                return find_in_quoted(s, at, take_single_quoted);
        case NODE_DOUBLE_QUOTED:
                s->p++;
                return find_in_quoted(s, at, take_double_quoted);
        case NODE_LITERAL:
        case NODE_FOLDED:
                return find_in_block(s, n, at);
        }
        return s->p;
}

void node_position(const Tree *t, const Node *n, size_t at, unsigned *ret_line, unsigned *ret_column) {
        if (n->type == NODE_LIST || n->type == NODE_MAP || n->length == 0) {
                *ret_line = n->line;
                *ret_column = n->column;
                return;
        }
        Source s = {.tree = t, .p = t->text + tree_offset(t, n->line, n->column), .end = t->text + t->n_text};
        const char *p = find_byte(&s, n, MIN(at, n->length));
        tree_locate(t, (size_t) (p - t->text), ret_line, ret_column);
}
