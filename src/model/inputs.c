/* Values for inputs and for the fields of requests: what is right, said so that a person can put it right. Nothing here knows where a value
 * came from; a value of a secret input is never repeated in a message.
 *
 * Numbers: an integral double is as good as an integer for `integer` and is kept as one; anything finite will do for `number`. Bounds are
 * compared exactly: a double would lose digits of an integer beyond 2^53. Strings can't hold a NUL, because sooner or later they become
 * arguments and environment variables. */
#include "inputs.h"

#include <math.h>

#include "fd-util.h"
#include "i18n.h"
#include "input-pattern.h"
#include "name-table.h"
#include "strbuf.h"
#include "utf8.h"

#define SHOWN_MAX 64u                                   /* bytes of a value in a message */

static const char *const input_type_names[] = {
        [INPUT_STRING] = "string", [INPUT_NUMBER] = "number", [INPUT_INTEGER] = "integer", [INPUT_BOOLEAN] = "boolean",
        [INPUT_CHOICE] = "choice", [INPUT_LIST] = "list", [INPUT_OBJECT] = "object",
};

DEFINE_NAME_TABLE(InputType, input_type, input_type_names);

void input_spec_done(InputSpec *s) {
        free(s->name);
        free(s->description);
        json_unref(s->default_value);
        json_unref(s->minimum);
        json_unref(s->maximum);
        free(s->pattern_text);
        for (char **o = s->options; o && *o; o++)
                free(*o);
        free(s->options);
        *s = (InputSpec) {};
}

/* "input "x" <what is wrong>"; takes the detail, which may be NULL for out of memory. */
static int wrong(const InputSpec *s, char *takes, char **ret_error) {
        _cleanup_free_ char *detail = takes;

        if (!detail)
                return -ENOMEM;
        if (ret_error) {
                char *text = xasprintf(s->is_field ? _("field \"%s\" %s") : _("input \"%s\" %s"), s->name, detail);
                if (!text)
                        return -ENOMEM;
                *ret_error = text;
        }
        return -EINVAL;
}

/* The value as it may stand in a message: short, and not at all where it is secret. */
static char *shown(const InputSpec *s, const Json *value) {
        _cleanup_free_ char *text = NULL, *cut = NULL;

        if (s->secret)
                return strdup("***");
        text = json_to_string(value, false);
        if (!text || strlen(text) <= SHOWN_MAX)
                return TAKE_PTR(text);
        cut = utf8_make_valid(text, strlen(text), SHOWN_MAX);
        return cut ? xasprintf("%s…", cut) : NULL;
}

static int wrong_type(const InputSpec *s, const Json *value, const char *expected, char **ret_error) {
        _cleanup_free_ char *v = shown(s, value);

        return v ? wrong(s, xasprintf(_("must be %s, not %s"), expected, v), ret_error) : -ENOMEM;
}

static int check_bounds(const InputSpec *s, const Json *v, const char *what, char **ret_error) {
        _cleanup_free_ char *low = NULL, *high = NULL, *has = NULL;

        if ((!s->minimum || json_compare_numbers(v, s->minimum) >= 0) && (!s->maximum || json_compare_numbers(v, s->maximum) <= 0))
                return 0;
        low = json_to_string(s->minimum, false);
        high = json_to_string(s->maximum, false);
        has = shown(s, v);
        if (!low || !high || !has)
                return -ENOMEM;
        if (!s->maximum)
                return wrong(s, xasprintf(_("must have %s of at least %s, not %s"), what, low, has), ret_error);
        if (!s->minimum)
                return wrong(s, xasprintf(_("must have %s of at most %s, not %s"), what, high, has), ret_error);
        return wrong(s, xasprintf(_("must have %s from %s to %s, not %s"), what, low, high, has), ret_error);
}

static int check_length(const InputSpec *s, size_t n, char **ret_error) {
        _cleanup_json_ Json *length = json_new_uint(n);

        return length ? check_bounds(s, length, _("a length"), ret_error) : -ENOMEM;
}

static size_t count_characters(const char *t) {
        size_t n = 0;

        for (; *t; t++)
                n += ((unsigned char) *t & 0xc0) != 0x80;
        return n;
}

static int check_pattern(const InputSpec *s, const Json *value, char **ret_error) {
        _cleanup_free_ char *v = NULL;
        int k;

        if (json_string_length(value) > INPUT_PATTERN_TEXT_MAX)
                return wrong(s, xasprintf(_("has a pattern, and is longer than the %u bytes that can be matched"), INPUT_PATTERN_TEXT_MAX), ret_error);
        k = input_pattern_match(s->pattern_text, json_string(value), NULL);
        if (k != 0)
                return MIN(k, 0);
        v = shown(s, value);
        return v ? wrong(s, xasprintf(_("must match the pattern %s, and %s does not"), s->pattern_text, v), ret_error) : -ENOMEM;
}

static int check_string(const InputSpec *s, Json *value, Json **ret, char **ret_error) {
        const char *t = json_string(value);
        int k;

        if (json_type(value) != JSON_STRING)
                return wrong_type(s, value, _("text"), ret_error);
        if (strlen(t) != json_string_length(value) || !utf8_is_valid(t, strlen(t)))
                return wrong(s, strdup(_("must be UTF-8 text without NUL characters")), ret_error);
        k = check_length(s, count_characters(t), ret_error);
        if (k < 0)
                return k;
        k = s->pattern_text ? check_pattern(s, value, ret_error) : 0;
        if (k < 0)
                return k;
        *ret = json_ref(value);
        return 0;
}

static int check_number(const InputSpec *s, Json *value, Json **ret, char **ret_error) {
        JsonType t = json_type(value);
        int k;

        if ((t != JSON_INT && t != JSON_DOUBLE) || !isfinite(json_double(value)))
                return wrong_type(s, value, _("a number"), ret_error);
        k = check_bounds(s, value, _("a value"), ret_error);
        if (k < 0)
                return k;
        *ret = json_ref(value);
        return 0;
}

/* A whole number of more digits than fit was read as a double, which is why the double that equals INT64_MIN is none: it may have been less. */
static int check_integer(const InputSpec *s, Json *value, Json **ret, char **ret_error) {
        _cleanup_json_ Json *whole = json_new_int(json_int(value));
        JsonType t = json_type(value);
        double d = json_double(value);
        int k;

        if (!whole)
                return -ENOMEM;
        if ((t != JSON_INT && t != JSON_DOUBLE) || d != trunc(d))
                return wrong_type(s, value, _("a whole number"), ret_error);
        if (json_compare_numbers(whole, value) != 0 || (t == JSON_DOUBLE && d <= -0x1p63))
                return wrong_type(s, value, _("a whole number from -9223372036854775808 to 9223372036854775807"), ret_error);
        k = check_bounds(s, whole, _("a value"), ret_error);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(whole);
        return 0;
}

static int check_boolean(const InputSpec *s, Json *value, Json **ret, char **ret_error) {
        if (json_type(value) != JSON_BOOL)
                return wrong_type(s, value, _("true or false"), ret_error);
        *ret = json_ref(value);
        return 0;
}

static char *list_options(const InputSpec *s) {
        _cleanup_strbuf_ StrBuf b = {};

        for (char **o = s->options; o && *o; o++) {
                strbuf_append(&b, o == s->options ? "" : ", ");
                strbuf_append(&b, *o);
        }
        return strbuf_take(&b);
}

static int check_choice(const InputSpec *s, Json *value, Json **ret, char **ret_error) {
        _cleanup_free_ char *all = NULL, *v = NULL;
        const char *t = json_string(value);

        for (char **o = s->options; t && o && *o; o++)
                if (streq(*o, t) && strlen(t) == json_string_length(value)) {
                        *ret = json_ref(value);
                        return 0;
                }
        all = list_options(s);
        v = shown(s, value);
        return all && v ? wrong(s, xasprintf(_("must be one of %s, not %s"), all, v), ret_error) : -ENOMEM;
}

static int check_list(const InputSpec *s, Json *value, Json **ret, char **ret_error) {
        int k;

        if (json_type(value) != JSON_ARRAY)
                return wrong_type(s, value, _("a list"), ret_error);
        k = check_length(s, json_length(value), ret_error);
        if (k < 0)
                return k;
        *ret = json_ref(value);
        return 0;
}

static int check_object(const InputSpec *s, Json *value, Json **ret, char **ret_error) {
        if (json_type(value) != JSON_OBJECT)
                return wrong_type(s, value, _("an object"), ret_error);
        *ret = json_ref(value);
        return 0;
}

static int (*const checks[_INPUT_TYPE_MAX])(const InputSpec *, Json *, Json **, char **) = {
        [INPUT_STRING] = check_string, [INPUT_NUMBER] = check_number, [INPUT_INTEGER] = check_integer, [INPUT_BOOLEAN] = check_boolean,
        [INPUT_CHOICE] = check_choice, [INPUT_LIST] = check_list, [INPUT_OBJECT] = check_object,
};

/* The bus has no null: it would be left out, and what stands behind it in a list would move up. */
static bool has_null(const Json *j) {
        for (size_t i = 0; json_type(j) == JSON_ARRAY && i < json_length(j); i++)
                if (!json_at(j, i) || has_null(json_at(j, i)))
                        return true;
        JSON_OBJECT_FOREACH(j, key, value)
                if (!value || has_null(value))
                        return true;
        return false;
}

int input_check(const InputSpec *s, Json *value, Json **ret, char **ret_error) {
        _cleanup_json_ Json *kept = NULL;
        int k;

        k = checks[s->type](s, value, &kept, ret_error);
        if (k < 0)
                return k;
        if (has_null(value))
                return wrong(s, strdup(_("must not hold null; leave the member out")), ret_error);
        *ret = TAKE_PTR(kept);
        return 0;
}

int input_from_text(const InputSpec *s, const char *text, Json **ret, char **ret_error) {
        _cleanup_json_ Json *value = NULL;
        int k;

        if (s->type == INPUT_STRING || s->type == INPUT_CHOICE) {
                value = json_new_string(text);
                if (!value)
                        return -ENOMEM;
        } else {
                k = json_parse(text, strlen(text), &value);
                if (k == -ENOMEM)
                        return k;
                if (k < 0)
                        return wrong(s, xasprintf(_("must be of type %s, written as JSON"), input_type_names[s->type]), ret_error);
        }
        return input_check(s, value, ret, ret_error);
}

const InputSpec *inputs_find(const InputSpec *specs, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (streq(specs[i].name, name))
                        return specs + i;
        return NULL;
}

static char *unknown_message(bool field, const char *name, const char *nearest) {
        if (field)
                return nearest ? xasprintf(_("there is no field \"%s\"; did you mean \"%s\"?"), name, nearest) :
                                 xasprintf(_("there is no field \"%s\""), name);
        return nearest ? xasprintf(_("there is no input \"%s\"; did you mean \"%s\"?"), name, nearest) :
                         xasprintf(_("there is no input \"%s\""), name);
}

static int unknown_input(const InputSpec *specs, size_t n, bool fields, const char *name, char **ret_error) {
        _cleanup_free_ const char **names = calloc(n + 1, sizeof(char *));
        char *text;

        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                names[i] = specs[i].name;
        text = unknown_message(fields, name, nearest_name(name, names));
        if (!text)
                return -ENOMEM;
        if (ret_error)
                *ret_error = text;
        else
                free(text);
        return -EINVAL;
}

static int refuse_unknown(const InputSpec *specs, size_t n, bool fields, const Json *given, char **ret_error) {
        JSON_OBJECT_FOREACH(given, name, value) {
                if (!inputs_find(specs, n, name))
                        return unknown_input(specs, n, fields, name, ret_error);
        }
        return 0;
}

static int take_value(const InputSpec *s, const Json *given, Json *values, char **ret_error) {
        _cleanup_json_ Json *v = NULL;
        int k;

        if (json_has(given, s->name)) {
                k = input_check(s, json_get(given, s->name), &v, ret_error);
                if (k < 0)
                        return k;
        } else if (s->has_default)
                v = json_ref(s->default_value);
        else
                return 0;
        k = json_set(values, s->name, TAKE_PTR(v));
        return k < 0 ? k : 1;
}

/* Memory for the worst case: the list is short, and there is one place that can fail. */
static int collect_missing(const InputSpec *specs, size_t n, const Json *values, char ***ret) {
        char **l = calloc(n + 1, sizeof(char *));
        size_t k = 0;

        if (!l)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                if (specs[i].required && !json_has(values, specs[i].name) && !(l[k++] = strdup(specs[i].name))) {
                        for (size_t j = 0; j < k; j++)
                                free(l[j]);
                        free(l);
                        return -ENOMEM;
                }
        *ret = l;
        return 0;
}

static int check_all(const InputSpec *specs, size_t n, bool fields, const Json *given, Json **ret, char ***ret_missing, char **ret_error) {
        _cleanup_json_ Json *values = json_new_object();
        int k;

        if (!values)
                return -ENOMEM;
        k = refuse_unknown(specs, n, fields, given, ret_error);
        for (size_t i = 0; i < n && k >= 0; i++)
                k = take_value(specs + i, given, values, ret_error);
        if (k < 0)
                return k;
        if (json_size(values, INPUTS_SIZE_MAX) > INPUTS_SIZE_MAX) {
                if (ret_error && !(*ret_error = xasprintf(fields ? _("the fields are larger than %u bytes") : _("the inputs are larger than %u bytes"),
                                                            INPUTS_SIZE_MAX)))
                        return -ENOMEM;
                return -E2BIG;
        }
        k = ret_missing ? collect_missing(specs, n, values, ret_missing) : 0;
        if (k < 0)
                return k;
        *ret = TAKE_PTR(values);
        return 0;
}

int inputs_check(const InputSpec *specs, size_t n, const Json *given, Json **ret, char ***ret_missing, char **ret_error) {
        return check_all(specs, n, false, given, ret, ret_missing, ret_error);
}

int request_fields_check(const InputSpec *specs, size_t n, const Json *given, Json **ret, char ***ret_missing, char **ret_error) {
        return check_all(specs, n, true, given, ret, ret_missing, ret_error);
}
