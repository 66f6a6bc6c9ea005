/* JSON values for all layers, over json-c: the one header that others may include for it. A Json is reference counted; functions that
 * take one borrow it unless their comment says "takes". A JSON null is the NULL pointer, as in json-c. Integers are int64, other numbers double. */
#pragma once

#include "strbuf.h"

typedef struct json_object Json;

typedef enum JsonType { JSON_NULL, JSON_BOOL, JSON_INT, JSON_DOUBLE, JSON_STRING, JSON_ARRAY, JSON_OBJECT } JsonType;

JsonType json_type(const Json *j);
Json *json_ref(Json *j);
Json *json_unref(Json *j);                              /* returns NULL */
DEFINE_CLEANUP(Json *, json_unref)
#define _cleanup_json_ _cleanup_(json_unrefp)

Json *json_new_bool(bool b);                            /* constructors: NULL on out of memory */
Json *json_new_int(int64_t i);
Json *json_new_uint(uint64_t u);                        /* above INT64_MAX: kept as uint64 by json-c, printed in full */
Json *json_new_double(double d);                        /* printed as the shortest text that reads back the same; whole numbers below 1e15 without a point; NaN and infinities become null */
Json *json_new_string(const char *s);
Json *json_new_string_n(const char *s, size_t n);
Json *json_new_object(void);
Json *json_new_array(void);

bool json_bool(const Json *j);                          /* false unless a true boolean */
int64_t json_int(const Json *j);                        /* 0 unless a number; doubles are truncated, saturated */
uint32_t json_u32(const Json *j);                       /* 0 unless a number that fits, as numbers of runs do */
double json_double(const Json *j);
const char *json_string(const Json *j);                 /* NULL unless a string; borrowed */
size_t json_string_length(const Json *j);

size_t json_length(const Json *j);                      /* elements of an array, members of an object, else 0 */
Json *json_at(const Json *j, size_t i);                 /* borrowed */
Json *json_get(const Json *j, const char *key);         /* borrowed; NULL where absent or not an object */
bool json_has(const Json *j, const char *key);          /* present, even as null */
/* Members in insertion order; *i starts at NULL. */
bool json_iterate(const Json *j, void **i, const char **ret_key, Json **ret_value);
#define JSON_OBJECT_FOREACH(j, k, v) const char *k = NULL; Json *v = NULL; for (void *_i_##k = NULL; json_iterate((j), &_i_##k, &k, &v);)

int json_append(Json *array, Json *takes);              /* takes the value, also on failure; 0 or -ENOMEM */
int json_set(Json *object, const char *key, Json *takes); /* likewise; NULL sets a null */
int json_set_string(Json *object, const char *key, const char *value); /* NULL sets a null */
int json_set_int(Json *object, const char *key, int64_t value);
int json_set_uint(Json *object, const char *key, uint64_t value);
int json_set_bool(Json *object, const char *key, bool value);
void json_del(Json *object, const char *key);

bool json_equal(const Json *a, const Json *b);          /* deep; 1 and 1.0 are equal; member order does not matter */
int json_compare_numbers(const Json *a, const Json *b); /* <0, 0, >0; exact, whatever they are kept as; NaN is above all others */
Json *json_copy(const Json *j);                         /* deep */
/* Compact, and with `pretty` two-space indented; new string; slashes not escaped. */
char *json_to_string(const Json *j, bool pretty);
void json_write(StrBuf *b, const Json *j);              /* appends the compact form */
void json_write_string(StrBuf *b, const char *s);       /* the same of a string */
char *json_members_to_string(const Json *a, const Json *b); /* one object of the members of both; they have none in common, either may be NULL */
/* Strict JSON text of n bytes, nesting at most 64. -EINVAL: not JSON; duplicate keys refused. */
int json_parse(const char *text, size_t n, Json **ret);
/* Bytes of the compact form, counting stops past max. */
size_t json_size(const Json *j, size_t max);
