/* The reader is a machine of four states over a stack of bits; each state says what may come next, which is also what an error message
 * says was expected. Positions are counted forward from the last one, never again from the start of a line, so that a file of one
 * long line costs no more than any other. */
#include "json-reader.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "i18n.h"
#include "number.h"
#include "utf8.h"

enum {
        STATE_VALUE,                                    /* a value must come */
        STATE_FIRST,                                    /* just inside a container: an element, or its end */
        STATE_MEMBER,                                   /* after a comma in an object: a key */
        STATE_AFTER,                                    /* after a value: comma, end of the container, or of the text */
};

void json_reader_init(JsonReader *r, const char *text, size_t n, Diagnostics *d) {
        *r = (JsonReader) {.start = text, .p = text, .end = text + n, .diagnostics = d, .position = text, .line = 1, .column = 1};
}

void json_reader_done(JsonReader *r) {
        strbuf_done(&r->text);
}

static void locate(JsonReader *r, const char *p) {
        for (; r->position < p; r->position++)
                if (*r->position == '\n') {
                        r->line++;
                        r->column = 1;
                } else if (((uint8_t) *r->position & 0xc0) != 0x80)
                        r->column++;
}

_printf_(3, 4) static int fail(JsonReader *r, const char *at, const char *fmt, ...) {
        if (!r->diagnostics)
                return -EINVAL;

        char *message;
        va_list ap;
        va_start(ap, fmt);
        int k = vasprintf(&message, fmt, ap);
        va_end(ap);
        if (k < 0)
                return -ENOMEM;
        locate(r, at);
        (void) diag_error(r->diagnostics, r->line, r->column, "%s", message);
        free(message);
        return -EINVAL;
}

static bool in_object(const JsonReader *r) {
        return r->depth > 0 && (r->objects >> (r->depth - 1) & 1);
}

static const char *expectation(const JsonReader *r) {
        switch (r->state) {
        case STATE_FIRST:
                return in_object(r) ? _("a key in double quotes or '}'") : _("a value or ']'");
        case STATE_MEMBER:
                return _("a key in double quotes");
        case STATE_AFTER:
                return r->depth == 0 ? _("the end of the file") : in_object(r) ? _("',' or '}'") : _("',' or ']'");
        default:
                return _("a value");
        }
}

/* What stands where something else was expected, for a message: a word, a character, or the end. */
static int fail_expected(JsonReader *r, const char *expected) {
        if (r->p >= r->end)
                return fail(r, r->p, _("the file ends where %s was expected"), expected);

        size_t n = 0;
        while (r->p + n < r->end && n < 20 && (isalnum((unsigned char) r->p[n]) || r->p[n] == '_'))
                n++;
        uint32_t c;
        n = n > 0 ? n : utf8_decode(r->p, (size_t) (r->end - r->p), &c);
        if (n == 0 || (unsigned char) *r->p < 0x20)
                return fail(r, r->p, _("a character that may not stand here; expected %s"), expected);
        return fail(r, r->p, _("'%.*s' where %s was expected"), (int) n, r->p, expected);
}

static void skip_white_space(JsonReader *r) {
        while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
                r->p++;
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at p; -1 where there aren't four. */
static int32_t hex4(const JsonReader *r, const char *p) {
        int32_t v = 0;
        if (r->end - p < 4)
                return -1;
        for (unsigned i = 0; i < 4; i++) {
                int d = hex_digit(p[i]);
                if (d < 0)
                        return -1;
                v = v << 4 | d;
        }
        return v;
}

/* "\uXXXX", where the high half of a pair must be followed by its low half. */
static int read_unicode_escape(JsonReader *r) {
        const char *escape = r->p;
        int32_t c = hex4(r, r->p + 2);
        if (c < 0)
                return fail(r, escape, _("\\u must be followed by four hexadecimal digits"));
        r->p += 6;
        if (c >= 0xd800 && c <= 0xdbff) {
                int32_t low = r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u' ? hex4(r, r->p + 2) : -1;
                if (low < 0xdc00 || low > 0xdfff)
                        return fail(r, escape, _("this half of a surrogate pair must be followed by the other half, \\uDC00 to \\uDFFF"));
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                r->p += 6;
        } else if (c >= 0xdc00 && c <= 0xdfff)
                return fail(r, escape, _("the second half of a surrogate pair stands here without the first"));

        char buf[4];
        strbuf_append_n(&r->text, buf, utf8_encode((uint32_t) c, buf));
        return 0;
}

static int read_escape(JsonReader *r) {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        char c = r->end - r->p >= 2 ? r->p[1] : 0;
        if (c == 'u')
                return read_unicode_escape(r);
        const char *found = c ? strchr(from, c) : NULL;
        if (!found)
                return fail(r, r->p, _("JSON has no such escape; write \\\\ for a backslash"));
        strbuf_append_c(&r->text, to[found - from]);
        r->p += 2;
        return 0;
}

/* The opening quote is at r->p; the resolved text goes to r->text. */
static int read_string(JsonReader *r) {
        const char *start = r->p++;
        r->text.n = 0;
        for (;;) {
                const char *run = r->p;
                while (r->p < r->end && *r->p != '"' && *r->p != '\\' && (unsigned char) *r->p >= 0x20)
                        r->p++;
                strbuf_append_n(&r->text, run, (size_t) (r->p - run));
                if (r->text.failed)
                        return -ENOMEM;
                if (r->p >= r->end || *r->p == '\n')
                        return fail(r, start, _("this string has no closing quote"));
                if (*r->p == '"') {
                        r->p++;
                        return 0;
                }
                if (*r->p != '\\')
                        return fail(r, r->p, _("a control character in a string must be written as an escape, such as \\t"));
                int k = read_escape(r);
                if (k < 0)
                        return k;
        }
}

static size_t count_digits(const JsonReader *r, const char *p) {
        size_t n = 0;
        while (p + n < r->end && isdigit((unsigned char) p[n]))
                n++;
        return n;
}

/* The length of the number at r->p by the grammar; *ret_whole: it has neither fraction nor exponent. */
static int scan_number(JsonReader *r, size_t *ret, bool *ret_whole) {
        const char *p = r->p + (*r->p == '-');
        size_t n = count_digits(r, p);
        if (n == 0)
                return fail(r, r->p, _("'-' must be followed by digits"));
        if (n > 1 && *p == '0')
                return fail(r, r->p, _("a number can't begin with 0; put it in quotes if it is text"));
        p += n;
        const char *whole_end = p;
        if (p < r->end && *p == '.') {
                n = count_digits(r, p + 1);
                if (n == 0)
                        return fail(r, r->p, _("the decimal point must be followed by digits"));
                p += 1 + n;
        }
        if (p < r->end && (*p == 'e' || *p == 'E')) {
                const char *digits = p + 1 + (p + 1 < r->end && (p[1] == '+' || p[1] == '-'));
                n = count_digits(r, digits);
                if (n == 0)
                        return fail(r, r->p, _("the exponent must have digits"));
                p = digits + n;
        }
        *ret = (size_t) (p - r->p);
        *ret_whole = p == whole_end;
        return 0;
}

static JsonTokenType classify_whole(const char *s, JsonToken *t) {
        errno = 0;
        if (*s != '-') {
                t->uinteger = strtoull(s, NULL, 10);
                if (errno != 0)
                        return JSON_TOKEN_HUGE;
                if (t->uinteger > INT64_MAX)
                        return JSON_TOKEN_UINT;
                t->integer = (int64_t) t->uinteger;
                return JSON_TOKEN_INT;
        }
        t->integer = strtoll(s, NULL, 10);
        return errno != 0 ? JSON_TOKEN_HUGE : JSON_TOKEN_INT;
}

static int read_number(JsonReader *r, JsonToken *t) {
        size_t n = 0;
        bool whole = false;
        int k = scan_number(r, &n, &whole);
        if (k < 0)
                return k;

        r->text.n = 0;
        strbuf_append_n(&r->text, r->p, n);
        if (r->text.failed)
                return -ENOMEM;
        k = number_parse_double(r->text.s, &t->number);
        if (k < 0)
                return fail(r, r->p, _("this number is too large; put it in quotes if it is text"));
        t->type = whole ? classify_whole(r->text.s, t) : JSON_TOKEN_DOUBLE;
        r->p += n;
        return 0;
}

static int read_literal(JsonReader *r, JsonToken *t) {
        static const struct {
                const char *name;
                JsonTokenType type;
        } literals[] = {{"true", JSON_TOKEN_TRUE}, {"false", JSON_TOKEN_FALSE}, {"null", JSON_TOKEN_NULL}};

        for (size_t i = 0; i < ELEMENTSOF(literals); i++) {
                size_t n = strlen(literals[i].name);
                if ((size_t) (r->end - r->p) < n || memcmp(r->p, literals[i].name, n) != 0)
                        continue;
                if ((size_t) (r->end - r->p) > n && (isalnum((unsigned char) r->p[n]) || r->p[n] == '_'))
                        break;
                r->text.n = 0;
                strbuf_append_n(&r->text, r->p, n);
                r->p += n;
                t->type = literals[i].type;
                return r->text.failed ? -ENOMEM : 0;
        }
        return fail_expected(r, expectation(r));
}

static int open_container(JsonReader *r, JsonToken *t, bool object) {
        if (r->depth >= JSON_DEPTH_MAX)
                return fail(r, r->p, _("nested deeper than %u levels"), JSON_DEPTH_MAX);
        r->objects = (r->objects & ~(UINT64_C(1) << r->depth)) | (uint64_t) object << r->depth;
        r->depth++;
        r->p++;
        r->state = STATE_FIRST;
        t->type = object ? JSON_TOKEN_OBJECT_BEGIN : JSON_TOKEN_ARRAY_BEGIN;
        return 0;
}

static int close_container(JsonReader *r, JsonToken *t) {
        t->type = in_object(r) ? JSON_TOKEN_OBJECT_END : JSON_TOKEN_ARRAY_END;
        r->depth--;
        r->p++;
        r->state = STATE_AFTER;
        return 0;
}

static int read_value(JsonReader *r, JsonToken *t) {
        int k;
        char c = r->p < r->end ? *r->p : 0;
        if (c == '{' || c == '[')
                return open_container(r, t, c == '{');
        if (c == '"') {
                k = read_string(r);
                t->type = JSON_TOKEN_STRING;
        } else if (c == '-' || isdigit((unsigned char) c))
                k = read_number(r, t);
        else if (c == '\'')
                k = fail(r, r->p, _("strings stand in double quotes in JSON"));
        else
                k = read_literal(r, t);
        r->state = STATE_AFTER;
        return k;
}

static int read_key(JsonReader *r, JsonToken *t) {
        if (r->p >= r->end || *r->p != '"')
                return fail_expected(r, expectation(r));
        const char *start = r->p;
        int k = read_string(r);
        if (k < 0)
                return k;
        if (memchr(r->text.s, 0, r->text.n))
                return fail(r, start, _("a key can't hold a NUL character"));
        skip_white_space(r);
        if (r->p >= r->end || *r->p != ':')
                return fail_expected(r, _("':' after the key"));
        r->p++;
        r->state = STATE_VALUE;
        t->type = JSON_TOKEN_KEY;
        return 0;
}

/* After a value: takes the comma, if there is one, and says by the state what must follow it. */
static int read_separator(JsonReader *r, bool *ret_closed) {
        char c = r->p < r->end ? *r->p : 0;
        *ret_closed = c && c == (in_object(r) ? '}' : ']');
        if (*ret_closed)
                return 0;
        if (c != ',')
                return fail_expected(r, expectation(r));
        const char *comma = r->p++;
        skip_white_space(r);
        if (r->p < r->end && (*r->p == '}' || *r->p == ']'))
                return fail(r, comma, _("JSON allows no comma after the last element; remove it"));
        r->state = in_object(r) ? STATE_MEMBER : STATE_VALUE;
        return 0;
}

static int read_token(JsonReader *r, JsonToken *t) {
        if (r->state == STATE_AFTER) {
                if (r->depth == 0) {
                        t->type = JSON_TOKEN_END;
                        return r->p < r->end ? fail_expected(r, expectation(r)) : 0;
                }
                bool closed;
                int k = read_separator(r, &closed);
                if (k < 0)
                        return k;
                if (closed)
                        return close_container(r, t);
        }
        locate(r, r->p);
        t->line = r->line;
        t->column = r->column;
        if (r->state == STATE_FIRST && r->p < r->end && *r->p == (in_object(r) ? '}' : ']'))
                return close_container(r, t);
        if (r->state == STATE_MEMBER || (r->state == STATE_FIRST && in_object(r)))
                return read_key(r, t);
        return read_value(r, t);
}

int json_reader_next(JsonReader *r, JsonToken *ret) {
        if (r->p == r->start) {
                size_t n = (size_t) (r->end - r->start), valid = utf8_valid_prefix(r->start, n);
                if (valid < n)
                        return fail(r, r->start + valid, "%s",
                                    r->start[valid] ? _("invalid UTF-8; save the file as UTF-8")
                                                    : _("a NUL character may not stand here; remove it"));
        }

        *ret = (JsonToken) {};
        skip_white_space(r);
        int k = read_token(r, ret);
        if (k < 0)
                return k;
        ret->text = r->text.s;
        ret->length = r->text.n;
        return 0;
}
