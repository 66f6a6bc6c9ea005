/* A strict reader of JSON text (RFC 8259), token by token and with positions. Inside this layer only: json_parse and the tree of JSON
 * files are built on it. Stricter than json-c's own: control characters, NaN, leading zeros, lone surrogates and invalid UTF-8 are
 * refused. */
#pragma once

#include "diagnostic.h"
#include "strbuf.h"

#define JSON_DEPTH_MAX 64u                              /* the containers on the way down are bits of one word */

typedef enum JsonTokenType {
        JSON_TOKEN_END,
        JSON_TOKEN_OBJECT_BEGIN,
        JSON_TOKEN_OBJECT_END,
        JSON_TOKEN_ARRAY_BEGIN,
        JSON_TOKEN_ARRAY_END,
        JSON_TOKEN_KEY,
        JSON_TOKEN_STRING,
        JSON_TOKEN_INT,                                 /* fits int64 */
        JSON_TOKEN_UINT,                                /* a whole number between INT64_MAX and UINT64_MAX */
        JSON_TOKEN_DOUBLE,
        JSON_TOKEN_HUGE,                                /* a whole number beyond; number has the nearest double */
        JSON_TOKEN_TRUE,
        JSON_TOKEN_FALSE,
        JSON_TOKEN_NULL,
} JsonTokenType;

typedef struct JsonToken {
        JsonTokenType type;
        unsigned line, column;
        const char *text;                               /* string or key resolved, else as written; valid until the next token */
        size_t length;
        int64_t integer;
        uint64_t uinteger;
        double number;
} JsonToken;

typedef struct JsonReader {
        const char *start, *p, *end;
        Diagnostics *diagnostics;                       /* NULL: errors are only returned */
        StrBuf text;
        unsigned depth;
        uint64_t objects;                               /* bit n: the container at depth n is an object */
        unsigned state;
        const char *position;                           /* line and column belong to it; it only moves forward */
        unsigned line, column;
} JsonReader;

/* The text is borrowed. */
void json_reader_init(JsonReader *r, const char *text, size_t n, Diagnostics *d);
void json_reader_done(JsonReader *r);
/* 0, -EINVAL (with a diagnostic), -ENOMEM. After JSON_TOKEN_END or an error it may not be called again. */
int json_reader_next(JsonReader *r, JsonToken *ret);
