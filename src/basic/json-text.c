/* Writing JSON piece by piece. Whether a comma is due is seen from the last character: only what follows an opening bracket needs none, and
 * a piece never ends within a string, where a character could look like one. */
#include "json-text.h"

static void start(StrBuf *b, const char *key) {
        char last = b->n > 0 ? b->s[b->n - 1] : '[';
        size_t n = key ? strlen(key) : 0;

        if (!strbuf_reserve(b, n + strlen(",\"\":")))
                return;
        if (last != '[' && last != '{')
                b->s[b->n++] = ',';
        if (key) {
                b->s[b->n++] = '"';
                memcpy(b->s + b->n, key, n);
                b->n += n;
                b->s[b->n++] = '"';
                b->s[b->n++] = ':';
        }
        b->s[b->n] = 0;
}

void json_text_open(StrBuf *b, const char *key, char bracket) {
        start(b, key);
        strbuf_append_c(b, bracket);
}

void json_text_close(StrBuf *b, char bracket) {
        strbuf_append_c(b, bracket);
}

void json_text_string(StrBuf *b, const char *key, const char *value) {
        start(b, key);
        if (value)
                json_write_string(b, value);
        else
                strbuf_append(b, "null");
}

void json_text_bool(StrBuf *b, const char *key, bool value) {
        start(b, key);
        strbuf_append(b, value ? "true" : "false");
}

void json_text_uint(StrBuf *b, const char *key, uint64_t value) {
        char digits[20];                                /* as many as the largest has */
        size_t first = sizeof(digits);

        start(b, key);
        do
                digits[--first] = (char) ('0' + value % 10);
        while ((value /= 10) > 0);
        strbuf_append_n(b, digits + first, sizeof(digits) - first);
}

void json_text_value(StrBuf *b, const char *key, const Json *value) {
        start(b, key);
        json_write(b, value);
}
