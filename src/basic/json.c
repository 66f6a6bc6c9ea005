/* JSON values over json-c. json-c keeps the values; reading and writing text is done here, because its tokener takes more than JSON and
 * lets the last of two equal keys win, and its writer keeps a copy of the text in the value. Depth is bounded where values come from
 * (json_parse, the tree), so the recursions here are. */

/* json-c has types of these names; here they are the names of functions. */
#define json_type json_c_type
#define json_bool json_c_bool
#include <json-c/json.h>
#undef json_type
#undef json_bool

#include "json.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "json-reader.h"
#include "number.h"
#include "strbuf.h"

JsonType json_type(const Json *j) {
        switch (json_object_get_type(j)) {
        case json_type_boolean:
                return JSON_BOOL;
        case json_type_int:
                return JSON_INT;
        case json_type_double:
                return JSON_DOUBLE;
        case json_type_string:
                return JSON_STRING;
        case json_type_array:
                return JSON_ARRAY;
        case json_type_object:
                return JSON_OBJECT;
        case json_type_null:
                return JSON_NULL;
        }
        return JSON_NULL;
}

Json *json_ref(Json *j) {
        return json_object_get(j);
}

Json *json_unref(Json *j) {
        (void) json_object_put(j);
        return NULL;
}

Json *json_new_bool(bool b) {
        return json_object_new_boolean(b);
}

Json *json_new_int(int64_t i) {
        return json_object_new_int64(i);
}

Json *json_new_uint(uint64_t u) {
        return u <= INT64_MAX ? json_object_new_int64((int64_t) u) : json_object_new_uint64(u);
}

Json *json_new_double(double d) {
        return json_object_new_double(d);
}

Json *json_new_string(const char *s) {
        return json_new_string_n(s, strlen(s));
}

Json *json_new_string_n(const char *s, size_t n) {
        return n <= INT_MAX ? json_object_new_string_len(s, (int) n) : NULL;
}

Json *json_new_object(void) {
        return json_object_new_object();
}

Json *json_new_array(void) {
        return json_object_new_array();
}

bool json_bool(const Json *j) {
        return json_type(j) == JSON_BOOL && json_object_get_boolean(j);
}

int64_t json_int(const Json *j) {
        if (json_type(j) == JSON_INT)
                return json_object_get_int64(j);        /* saturates what is kept as uint64 */
        if (json_type(j) != JSON_DOUBLE)
                return 0;

        double d = json_object_get_double(j);
        if (isnan(d))
                return 0;
        if (d >= 0x1p63)
                return INT64_MAX;
        return d <= -0x1p63 ? INT64_MIN : (int64_t) d;
}

uint32_t json_u32(const Json *j) {
        int64_t n = json_int(j);

        return n > 0 && n <= UINT32_MAX ? (uint32_t) n : 0;
}

static bool is_big(const Json *j) {
        return json_object_get_int64(j) == INT64_MAX && json_object_get_uint64(j) > INT64_MAX;
}

double json_double(const Json *j) {
        if (json_type(j) == JSON_DOUBLE)
                return json_object_get_double(j);
        if (json_type(j) != JSON_INT)
                return 0;
        return is_big(j) ? (double) json_object_get_uint64(j) : (double) json_object_get_int64(j);
}

const char *json_string(const Json *j) {
        /* json-c isn't const here because it may make text of other types; of a string it doesn't. */
        return json_type(j) == JSON_STRING ? json_object_get_string((Json *) j) : NULL;
}

size_t json_string_length(const Json *j) {
        return json_type(j) == JSON_STRING ? (size_t) json_object_get_string_len(j) : 0;
}

size_t json_length(const Json *j) {
        if (json_type(j) == JSON_ARRAY)
                return json_object_array_length(j);
        return json_type(j) == JSON_OBJECT ? (size_t) json_object_object_length(j) : 0;
}

Json *json_at(const Json *j, size_t i) {
        return json_type(j) == JSON_ARRAY ? json_object_array_get_idx(j, i) : NULL;
}

Json *json_get(const Json *j, const char *key) {
        Json *v = NULL;
        return json_type(j) == JSON_OBJECT && json_object_object_get_ex(j, key, &v) ? v : NULL;
}

bool json_has(const Json *j, const char *key) {
        return json_type(j) == JSON_OBJECT && json_object_object_get_ex(j, key, NULL);
}

bool json_iterate(const Json *j, void **i, const char **ret_key, Json **ret_value) {
        if (json_type(j) != JSON_OBJECT)
                return false;

        const struct lh_entry *last = *i;
        struct lh_entry *e = last ? lh_entry_next(last) : lh_table_head(json_object_get_object(j));
        if (!e)
                return false;
        *i = e;
        *ret_key = lh_entry_k(e);
        *ret_value = lh_entry_v(e);
        return true;
}

int json_append(Json *array, Json *takes) {
        if (json_object_array_add(array, takes) >= 0)
                return 0;
        json_unref(takes);
        return -ENOMEM;
}

int json_set(Json *object, const char *key, Json *takes) {
        if (json_object_object_add(object, key, takes) >= 0)
                return 0;
        json_unref(takes);
        return -ENOMEM;
}

/* For a value that was just made, where NULL means that it couldn't be. */
static int set_new(Json *object, const char *key, Json *value) {
        return value ? json_set(object, key, value) : -ENOMEM;
}

int json_set_string(Json *object, const char *key, const char *value) {
        return value ? set_new(object, key, json_new_string(value)) : json_set(object, key, NULL);
}

int json_set_int(Json *object, const char *key, int64_t value) {
        return set_new(object, key, json_new_int(value));
}

int json_set_uint(Json *object, const char *key, uint64_t value) {
        return set_new(object, key, json_new_uint(value));
}

int json_set_bool(Json *object, const char *key, bool value) {
        return set_new(object, key, json_new_bool(value));
}

void json_del(Json *object, const char *key) {
        if (json_type(object) == JSON_OBJECT)
                json_object_object_del(object, key);
}

static bool array_equal(const Json *a, const Json *b) {
        if (json_length(a) != json_length(b))
                return false;
        for (size_t i = 0; i < json_length(a); i++)
                if (!json_equal(json_at(a, i), json_at(b, i)))
                        return false;
        return true;
}

static bool object_equal(const Json *a, const Json *b) {
        if (json_length(a) != json_length(b))
                return false;
        JSON_OBJECT_FOREACH(a, k, v)
                if (!json_has(b, k) || !json_equal(v, json_get(b, k)))
                        return false;
        return true;
}

static int compare_doubles(double a, double b) {
        if (isnan(a) || isnan(b))
                return (isnan(a) != 0) - (isnan(b) != 0);
        return a < b ? -1 : a > b;
}

/* An integer of 64 bits may have more digits than a double: what decides between the two is the double's whole part. */
static int compare_int_double(int64_t a, double b) {
        if (b >= 0x1p63 || isnan(b))
                return -1;
        if (b < -0x1p63)
                return 1;
        int64_t whole = (int64_t) b;
        if (a != whole)
                return a < whole ? -1 : 1;
        return compare_doubles(0, b - (double) whole);
}

/* From 2^63 on, every double is whole. */
static int compare_big_double(uint64_t a, double b) {
        if (b >= 0x1p64 || isnan(b))
                return -1;
        if (b < 0x1p63)
                return 1;
        return a < (uint64_t) b ? -1 : a > (uint64_t) b;
}

static int compare_whole_double(const Json *a, double b) {
        return is_big(a) ? compare_big_double(json_object_get_uint64(a), b) : compare_int_double(json_object_get_int64(a), b);
}

static int compare_whole(const Json *a, const Json *b) {
        int64_t i = json_object_get_int64(a), k = json_object_get_int64(b);
        if (i != k)
                return i < k ? -1 : 1;
        uint64_t u = json_object_get_uint64(a), v = json_object_get_uint64(b);
        return u < v ? -1 : u > v;
}

int json_compare_numbers(const Json *a, const Json *b) {
        bool x = json_type(a) == JSON_INT, y = json_type(b) == JSON_INT;
        if (x && y)
                return compare_whole(a, b);
        if (x)
                return compare_whole_double(a, json_double(b));
        if (y)
                return -compare_whole_double(b, json_double(a));
        return compare_doubles(json_double(a), json_double(b));
}

bool json_equal(const Json *a, const Json *b) {
        JsonType ta = json_type(a), tb = json_type(b);
        if (a == b)
                return true;
        if ((ta == JSON_INT || ta == JSON_DOUBLE) && (tb == JSON_INT || tb == JSON_DOUBLE))
                return json_compare_numbers(a, b) == 0;
        if (ta != tb)
                return false;

        switch (ta) {
        case JSON_BOOL:
                return json_bool(a) == json_bool(b);
        case JSON_STRING:
                return json_string_length(a) == json_string_length(b) && memcmp(json_string(a), json_string(b), json_string_length(a)) == 0;
        case JSON_ARRAY:
                return array_equal(a, b);
        case JSON_OBJECT:
                return object_equal(a, b);
        case JSON_NULL:
        case JSON_INT:
        case JSON_DOUBLE:
                break;
        }
        return true;
}

Json *json_copy(const Json *j) {
        Json *copy = NULL;
        if (j && json_object_deep_copy((Json *) j, &copy, NULL) < 0)
                return NULL;
        return copy;
}

/* Where written text goes: kept, or only counted. Writing stops once more than max bytes are there. */
typedef struct Writer {
        StrBuf *text;                                   /* NULL: only counted */
        size_t n, max;
        bool pretty;
} Writer;

static void put_n(Writer *w, const char *s, size_t n) {
        w->n += n;
        if (w->text)
                strbuf_append_n(w->text, s, n);
}

static void put(Writer *w, const char *s) {
        put_n(w, s, strlen(s));
}

static void put_line(Writer *w, unsigned depth) {
        if (!w->pretty)
                return;
        put(w, "\n");
        while (depth-- > 0)
                put(w, "  ");
}

static void put_escape(Writer *w, unsigned char c) {
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *found = c ? strchr(from, c) : NULL;
        char buf[8];
        if (found)
                put_n(w, (const char[]) {'\\', to[found - from]}, 2);
        else
                put_n(w, buf, (size_t) snprintf(buf, sizeof(buf), "\\u%04x", c));
}

static bool is_plain(char c) {
        return (unsigned char) c >= 0x20 && c != '"' && c != '\\';
}

/* The same for eight at once: a byte is below b exactly if taking b away from it borrows its highest bit, which it hadn't itself. */
static bool are_plain(const char s[static 8]) {
        const uint64_t each = UINT64_C(0x0101010101010101);
        uint64_t v, quote, backslash;
        memcpy(&v, s, sizeof(v));
        quote = v ^ each * '"';
        backslash = v ^ each * '\\';
        return ((((v - each * 0x20) & ~v) | ((quote - each) & ~quote) | ((backslash - each) & ~backslash)) & each * 0x80) == 0;
}

/* How many bytes stand for themselves. */
static size_t plain_length(const char *s, size_t n) {
        size_t i = 0;
        while (i + 8 <= n && are_plain(s + i))
                i += 8;
        while (i < n && is_plain(s[i]))
                i++;
        return i;
}

static void put_string(Writer *w, const char *s, size_t n) {
        put_n(w, "\"", 1);
        for (size_t i = 0; i < n && w->n <= w->max;) {
                size_t run = plain_length(s + i, n - i);
                put_n(w, s + i, run);
                i += run;
                if (i < n)
                        put_escape(w, (unsigned char) s[i++]);
        }
        put_n(w, "\"", 1);
}

static void put_number(Writer *w, const Json *j) {
        char buf[NUMBER_BUFFER_SIZE];
        if (json_type(j) == JSON_DOUBLE)
                (void) number_format_double(json_object_get_double(j), buf);
        else if (is_big(j))
                (void) snprintf(buf, sizeof(buf), "%" PRIu64, json_object_get_uint64(j));
        else
                (void) snprintf(buf, sizeof(buf), "%" PRIi64, json_object_get_int64(j));
        put(w, buf);
}

static void put_value(Writer *w, const Json *j, unsigned depth);

static void put_array(Writer *w, const Json *j, unsigned depth) {
        size_t n = json_length(j);
        put(w, "[");
        for (size_t i = 0; i < n && w->n <= w->max; i++) {
                put(w, i > 0 ? "," : "");
                put_line(w, depth + 1);
                put_value(w, json_at(j, i), depth + 1);
        }
        if (n > 0)
                put_line(w, depth);
        put(w, "]");
}

/* *any: there are members before these, or these. */
static void put_members(Writer *w, const Json *j, unsigned depth, bool *any) {
        JSON_OBJECT_FOREACH(j, k, v) {
                if (w->n > w->max)
                        return;
                if (*any)
                        put_n(w, ",", 1);
                put_line(w, depth + 1);
                put_string(w, k, strlen(k));
                put(w, w->pretty ? ": " : ":");
                put_value(w, v, depth + 1);
                *any = true;
        }
}

static void put_object(Writer *w, const Json *j, unsigned depth) {
        bool any = false;
        put_n(w, "{", 1);
        put_members(w, j, depth, &any);
        if (any)
                put_line(w, depth);
        put_n(w, "}", 1);
}

static void put_value(Writer *w, const Json *j, unsigned depth) {
        switch (json_type(j)) {
        case JSON_NULL:
                put(w, "null");
                break;
        case JSON_BOOL:
                put(w, json_bool(j) ? "true" : "false");
                break;
        case JSON_INT:
        case JSON_DOUBLE:
                put_number(w, j);
                break;
        case JSON_STRING:
                put_string(w, json_string(j), json_string_length(j));
                break;
        case JSON_ARRAY:
                put_array(w, j, depth);
                break;
        case JSON_OBJECT:
                put_object(w, j, depth);
                break;
        }
}

void json_write(StrBuf *b, const Json *j) {
        put_value(&(Writer) {.text = b, .max = SIZE_MAX}, j, 0);
}

void json_write_string(StrBuf *b, const char *s) {
        put_string(&(Writer) {.text = b, .max = SIZE_MAX}, s, strlen(s));
}

char *json_to_string(const Json *j, bool pretty) {
        _cleanup_strbuf_ StrBuf b = {};
        Writer w = {.text = &b, .max = SIZE_MAX, .pretty = pretty};
        put_value(&w, j, 0);
        return strbuf_take(&b);
}

#define MEMBERS_TEXT_USUAL 256                          /* bytes; more is a matter of growing */

char *json_members_to_string(const Json *a, const Json *b) {
        _cleanup_strbuf_ StrBuf text = {};
        Writer w = {.text = &text, .max = SIZE_MAX};
        bool any = false;
        (void) strbuf_reserve(&text, MEMBERS_TEXT_USUAL);
        put_n(&w, "{", 1);
        put_members(&w, a, 0, &any);
        put_members(&w, b, 0, &any);
        put_n(&w, "}", 1);
        return strbuf_take(&text);
}

size_t json_size(const Json *j, size_t max) {
        Writer w = {.max = max};
        put_value(&w, j, 0);
        return w.n;
}

/* Parsing: the containers that are open, and the key that waits for its value. */
typedef struct Builder {
        Json *root;
        Json *open[JSON_DEPTH_MAX];                     /* borrowed, all below root */
        unsigned depth;
        bool done;
        char *key;
} Builder;

static void builder_done(Builder *b) {
        json_unref(b->root);
        free(b->key);
}

/* Takes the value; NULL is a JSON null. */
static int builder_add(Builder *b, Json *takes) {
        if (b->depth == 0) {
                b->root = takes;
                return 0;
        }
        Json *parent = b->open[b->depth - 1];
        if (!b->key)
                return json_append(parent, takes);
        int r = json_set(parent, b->key, takes);
        free(TAKE_PTR(b->key));
        return r;
}

static int builder_key(Builder *b, const JsonToken *t) {
        if (json_has(b->open[b->depth - 1], t->text))
                return -EINVAL;
        b->key = strdup(t->text);
        return b->key ? 0 : -ENOMEM;
}

static int builder_open(Builder *b, Json *container) {
        if (!container)
                return -ENOMEM;
        int r = builder_add(b, container);
        if (r < 0)
                return r;
        b->open[b->depth++] = container;
        return 0;
}

static Json *scalar_of(const JsonToken *t) {
        switch (t->type) {
        case JSON_TOKEN_STRING:
                return json_new_string_n(t->text, t->length);
        case JSON_TOKEN_INT:
                return json_new_int(t->integer);
        case JSON_TOKEN_UINT:
                return json_new_uint(t->uinteger);
        case JSON_TOKEN_DOUBLE:
        case JSON_TOKEN_HUGE:
                return json_new_double(t->number);
        case JSON_TOKEN_TRUE:
        case JSON_TOKEN_FALSE:
                return json_new_bool(t->type == JSON_TOKEN_TRUE);
        case JSON_TOKEN_NULL:
        case JSON_TOKEN_END:
        case JSON_TOKEN_OBJECT_BEGIN:
        case JSON_TOKEN_OBJECT_END:
        case JSON_TOKEN_ARRAY_BEGIN:
        case JSON_TOKEN_ARRAY_END:
        case JSON_TOKEN_KEY:
                break;
        }
        return NULL;
}

static int builder_scalar(Builder *b, const JsonToken *t) {
        Json *j = scalar_of(t);
        return !j && t->type != JSON_TOKEN_NULL ? -ENOMEM : builder_add(b, j);
}

static int builder_token(Builder *b, const JsonToken *t) {
        switch (t->type) {
        case JSON_TOKEN_END:
                b->done = true;
                return 0;
        case JSON_TOKEN_OBJECT_BEGIN:
                return builder_open(b, json_new_object());
        case JSON_TOKEN_ARRAY_BEGIN:
                return builder_open(b, json_new_array());
        case JSON_TOKEN_OBJECT_END:
        case JSON_TOKEN_ARRAY_END:
                b->depth--;
                return 0;
        case JSON_TOKEN_KEY:
                return builder_key(b, t);
        case JSON_TOKEN_STRING:
        case JSON_TOKEN_INT:
        case JSON_TOKEN_UINT:
        case JSON_TOKEN_DOUBLE:
        case JSON_TOKEN_HUGE:
        case JSON_TOKEN_TRUE:
        case JSON_TOKEN_FALSE:
        case JSON_TOKEN_NULL:
                return builder_scalar(b, t);
        }
        return -EINVAL;
}

int json_parse(const char *text, size_t n, Json **ret) {
        _cleanup_(builder_done) Builder b = {};
        _cleanup_(json_reader_done) JsonReader reader;
        JsonToken t;

        json_reader_init(&reader, text, n, NULL);
        while (!b.done) {
                int r = json_reader_next(&reader, &t);
                if (r < 0)
                        return r;
                r = builder_token(&b, &t);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(b.root);
        return 0;
}
