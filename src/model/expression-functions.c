/* The functions that expressions may call, and the rules for values that they share with the operators: equality, order, text.
 *
 * Values come from runs and may be private, so messages name types and the expression's own text, never a value. No result may grow past
 * EXPR_VALUE_MAX: each function that builds something checks while it builds. */
#include <stdio.h>
#include <strings.h>

#include "expression-internal.h"
#include "i18n.h"
#include "utf8.h"

const char *expr_type_name(const Json *v) {
        switch (json_type(v)) {
        case JSON_NULL:
                return _("null");
        case JSON_BOOL:
                return _("true or false");
        case JSON_INT:
        case JSON_DOUBLE:
                return _("a number");
        case JSON_STRING:
                return _("a text");
        case JSON_ARRAY:
                return _("a list");
        case JSON_OBJECT:
                return _("an object");
        }
        return "?";
}

/* --- text --- */

int expr_append_value(StrBuf *b, const Json *v) {
        switch (json_type(v)) {
        case JSON_NULL:
                break;
        case JSON_BOOL:
                strbuf_append(b, json_bool(v) ? "true" : "false");
                break;
        case JSON_STRING:
                if (json_string_length(v) > EXPR_VALUE_MAX)
                        return -E2BIG;
                strbuf_append_n(b, json_string(v), json_string_length(v));
                break;
        case JSON_INT:
        case JSON_DOUBLE:
        case JSON_ARRAY:
        case JSON_OBJECT: {
                if (json_size(v, EXPR_VALUE_MAX) > EXPR_VALUE_MAX)
                        return -E2BIG;
                _cleanup_free_ char *s = json_to_string(v, false);
                if (!s)
                        return -ENOMEM;
                strbuf_append(b, s);
                break;
        }
        }
        return b->failed ? -ENOMEM : b->n > EXPR_VALUE_MAX ? -E2BIG : 0;
}

char *expr_value_to_text(const Json *v) {
        _cleanup_strbuf_ StrBuf b = {0};
        return expr_append_value(&b, v) < 0 ? NULL : strbuf_take(&b);
}

bool expr_truthy(const Json *v) {
        switch (json_type(v)) {
        case JSON_NULL:
                return false;
        case JSON_BOOL:
                return json_bool(v);
        case JSON_INT:
        case JSON_DOUBLE:
                return json_double(v) != 0;
        case JSON_STRING:
                return json_string_length(v) > 0;
        case JSON_ARRAY:
        case JSON_OBJECT:
                return true;
        }
        return false;
}

/* --- order and equality --- */

static bool is_number(const Json *v) {
        JsonType t = json_type(v);
        return t == JSON_INT || t == JSON_DOUBLE;
}

/* A text equals a number when it is that number as JSON writes it: no blanks, no leading zeros. */
static bool text_equals_number(const Json *text, const Json *number) {
        const char *s = json_string(text);
        size_t n = json_string_length(text);
        Json *parsed = NULL;
        if (n == 0 || expr_number_span(s, n) != n || json_parse(s, n, &parsed) < 0)
                return false;
        bool equal = is_number(parsed) && json_compare_numbers(parsed, number) == 0;
        json_unref(parsed);
        return equal;
}

bool expr_equal(Json *a, Json *b) {
        if (is_number(a) && is_number(b))
                return json_compare_numbers(a, b) == 0;
        if (is_number(a) && json_type(b) == JSON_STRING)
                return text_equals_number(b, a);
        if (is_number(b) && json_type(a) == JSON_STRING)
                return text_equals_number(a, b);
        return json_type(a) == json_type(b) && json_equal(a, b);
}

/* --- functions --- */

static int want_text(ExprCall *c, const Json *v) {
        if (json_type(v) == JSON_STRING)
                return 0;
        return expr_call_error(c, _("%s() wants a text, not %s."), c->node->function->name, expr_type_name(v));
}

static int want_texts(ExprCall *c, Json *const *args) {
        int r = want_text(c, args[0]);
        return r < 0 ? r : want_text(c, args[1]);
}

static int give_bool(bool b, Json **ret) {
        Json *v = json_new_bool(b);
        if (!v)
                return -ENOMEM;
        *ret = v;
        return 0;
}

static int call_contains(ExprCall *c, Json *const *args, size_t n_args, Json **ret) {
        if (json_type(args[0]) != JSON_ARRAY) {
                if (json_type(args[0]) != JSON_STRING)
                        return expr_call_error(c, _("contains() wants a list or a text to look into, not %s."), expr_type_name(args[0]));
                int r = want_text(c, args[1]);
                return r < 0 ? r
                             : give_bool(memmem(json_string(args[0]), json_string_length(args[0]), json_string(args[1]),
                                                json_string_length(args[1])),
                                         ret);
        }
        bool found = false;
        for (size_t i = 0; i < json_length(args[0]) && !found; i++)
                found = expr_equal(json_at(args[0], i), args[1]);
        return give_bool(found, ret);
}

static int call_starts_with(ExprCall *c, Json *const *args, size_t n_args, Json **ret) {
        int r = want_texts(c, args);
        if (r < 0)
                return r;
        size_t n = json_string_length(args[0]), m = json_string_length(args[1]);
        return give_bool(n >= m && memcmp(json_string(args[0]), json_string(args[1]), m) == 0, ret);
}

static int call_ends_with(ExprCall *c, Json *const *args, size_t n_args, Json **ret) {
        int r = want_texts(c, args);
        if (r < 0)
                return r;
        size_t n = json_string_length(args[0]), m = json_string_length(args[1]);
        return give_bool(n >= m && memcmp(json_string(args[0]) + (n - m), json_string(args[1]), m) == 0, ret);
}

typedef enum FormatPart { FORMAT_END, FORMAT_TEXT, FORMAT_ARGUMENT, FORMAT_BAD, FORMAT_NO_ARGUMENT } FormatPart;

/* The number in {N}, at the brace. */
static FormatPart format_argument(const char *s, size_t n, size_t *at, size_t n_args, size_t *ret_index) {
        size_t i = *at + 1, index = 0;
        for (; i < n && s[i] >= '0' && s[i] <= '9'; i++)
                index = MIN(index * 10 + (size_t)(s[i] - '0'), EXPR_TEXT_MAX);
        if (i >= n || s[i] != '}' || i == *at + 1)
                return FORMAT_BAD;
        *at = i + 1;
        *ret_index = index;
        return index < n_args ? FORMAT_ARGUMENT : FORMAT_NO_ARGUMENT;
}

/* Goes over one piece of format()'s text: literal text at *ret_start (*ret_n bytes) or an argument. */
static FormatPart format_next(const char *s, size_t n, size_t *at, size_t n_args, size_t *ret_start, size_t *ret_n) {
        size_t i = *at;
        *ret_start = i;
        if (i >= n)
                return FORMAT_END;
        while (i < n && s[i] != '{' && s[i] != '}')
                i++;
        if (i == *at) {
                if (i + 1 >= n || s[i + 1] != s[i])
                        return s[i] == '{' ? format_argument(s, n, at, n_args, ret_start) : FORMAT_BAD;
                *at = i + 2;
                *ret_n = 1;
                return FORMAT_TEXT;
        }
        *ret_n = i - *at;
        *at = i;
        return FORMAT_TEXT;
}

static char *format_error(FormatPart part, size_t index, size_t n_args) {
        char *s = NULL;
        int r;
        if (part == FORMAT_BAD)
                r = asprintf(&s, "%s",
                             _("In the text of format(), '{' and '}' stand around an argument's number; write {{ and }} for the "
                               "characters."));
        else
                r = asprintf(&s,
                             P_("The text of format() names {%zu}, but %zu argument follows it; they are counted from {0}.",
                                "The text of format() names {%zu}, but %zu arguments follow it; they are counted from {0}.", n_args),
                             index, n_args);
        return r < 0 ? NULL : s;
}

int expr_format_check(const char *s, size_t n, size_t n_args, char **ret_error) {
        size_t at = 0, start = 0, length = 0;
        for (;;) {
                FormatPart part = format_next(s, n, &at, n_args, &start, &length);
                if (part == FORMAT_END)
                        return 0;
                if (part == FORMAT_TEXT || part == FORMAT_ARGUMENT)
                        continue;
                *ret_error = format_error(part, start, n_args);
                return *ret_error ? -EINVAL : -ENOMEM;
        }
}

static int too_large(ExprCall *c) {
        return expr_call_error(c, _("The result of %s() would be larger than %u MiB."), c->node->function->name,
                               EXPR_VALUE_MAX / (1024u * 1024u));
}

/* The text is checked; args are those after it. */
static int format_append(ExprCall *c, StrBuf *b, const char *s, size_t n, Json *const *args, size_t n_args) {
        size_t at = 0, start = 0, length = 0;
        for (;;) {
                FormatPart part = format_next(s, n, &at, n_args, &start, &length);
                if (part == FORMAT_END)
                        return b->failed ? -ENOMEM : 0;
                int r = 0;
                if (part == FORMAT_ARGUMENT)
                        r = expr_append_value(b, args[start]);
                else
                        strbuf_append_n(b, s + start, length);
                if (r == -E2BIG || b->n > EXPR_VALUE_MAX)
                        return too_large(c);
                if (r < 0)
                        return r;
        }
}

static int call_format(ExprCall *c, Json *const *args, size_t n_args, Json **ret) {
        int r = want_text(c, args[0]);
        if (r < 0)
                return r;
        const char *s = json_string(args[0]);
        size_t n = json_string_length(args[0]);
        _cleanup_free_ char *error = NULL;
        r = expr_format_check(s, n, n_args - 1, &error);
        if (r < 0)
                return r == -EINVAL ? expr_call_error(c, "%s", error) : r;
        _cleanup_strbuf_ StrBuf b = {0};
        r = format_append(c, &b, s, n, args + 1, n_args - 1);
        if (r < 0)
                return r;
        Json *v = json_new_string_n(strempty(b.s), b.n);
        if (!v)
                return -ENOMEM;
        *ret = v;
        return 0;
}

static int call_to_json(ExprCall *c, Json *const *args, size_t n_args, Json **ret) {
        if (json_size(args[0], EXPR_VALUE_MAX) > EXPR_VALUE_MAX)
                return too_large(c);
        _cleanup_free_ char *s = json_to_string(args[0], false);
        Json *v = s ? json_new_string(s) : NULL;
        if (!v)
                return -ENOMEM;
        *ret = v;
        return 0;
}

static int call_from_json(ExprCall *c, Json *const *args, size_t n_args, Json **ret) {
        int r = want_text(c, args[0]);
        if (r < 0)
                return r;
        if (json_string_length(args[0]) > EXPR_VALUE_MAX)
                return too_large(c);
        r = json_parse(json_string(args[0]), json_string_length(args[0]), ret);
        return r == -EINVAL ? expr_call_error(c, _("The text given to fromJSON() is not JSON.")) : r;
}

static int call_status(ExprCall *c, Json *const *args, size_t n_args, Json **ret) {
        ExprStatus s = c->node->function->status;
        return give_bool(s == EXPR_STATUS_ALWAYS || c->scope->status(c->scope->userdata, s), ret);
}

static const ExprFunction functions[] = {
                {"contains", 2, 2, 0, call_contains},
                {"startsWith", 2, 2, 0, call_starts_with},
                {"endsWith", 2, 2, 0, call_ends_with},
                {"format", 1, SIZE_MAX, 0, call_format},
                {"toJSON", 1, 1, 0, call_to_json},
                {"fromJSON", 1, 1, 0, call_from_json},
                {"success", 0, 0, EXPR_STATUS_SUCCESS, call_status},
                {"failure", 0, 0, EXPR_STATUS_FAILURE, call_status},
                {"always", 0, 0, EXPR_STATUS_ALWAYS, call_status},
                {"cancelled", 0, 0, EXPR_STATUS_CANCELLED, call_status},
};

const ExprFunction *expr_function_find(const char *name, size_t n) {
        for (size_t i = 0; i < ELEMENTSOF(functions); i++)
                if (strlen(functions[i].name) == n && memcmp(functions[i].name, name, n) == 0)
                        return functions + i;
        return NULL;
}

const char *expr_function_nearest(const char *name) {
        const char *names[ELEMENTSOF(functions) + 1] = {0};
        for (size_t i = 0; i < ELEMENTSOF(functions); i++) {
                if (strcasecmp(functions[i].name, name) == 0)
                        return functions[i].name;
                names[i] = functions[i].name;
        }
        return nearest_name(name, names);
}
