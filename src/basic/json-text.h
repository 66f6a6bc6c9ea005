/* JSON written straight into a text, for what is too large to make a tree of values of first. Commas are put where they belong; that what
 * is opened is closed, and that members have keys and elements none, is the caller's to see to. Keys are names of ours: nothing in them is
 * escaped. */
#pragma once

#include "json.h"
#include "strbuf.h"

/* key NULL: an element of an array, or the whole text. */
void json_text_open(StrBuf *b, const char *key, char bracket);          /* '{' or '[' */
void json_text_close(StrBuf *b, char bracket);                          /* '}' or ']' */
void json_text_string(StrBuf *b, const char *key, const char *value);   /* NULL: a null */
void json_text_bool(StrBuf *b, const char *key, bool value);
void json_text_uint(StrBuf *b, const char *key, uint64_t value);
void json_text_value(StrBuf *b, const char *key, const Json *value);
