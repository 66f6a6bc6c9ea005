/* Values between the bus and JSON, and dictionaries of options into structs.
 *
 * What comes in is hostile: depth and size are capped while it is read, before anything is kept; a type that has no JSON counterpart is
 * refused. sd-bus has checked that strings are UTF-8. What goes out may hold text that a step wrote, which was made valid when it was taken
 * in; it is looked at once more here, because one character that sd-bus refuses would break the whole reply. */
#include "bus-convert.h"

#include <math.h>

#include "bus-error.h"
#include "fd-util.h"
#include "i18n.h"
#include "utf8.h"

typedef struct Reader {
        sd_bus_message *m;
        sd_bus_error *error;
        size_t used;
        unsigned depth;
} Reader;

static int reader_charge(Reader *d, size_t n) {
        d->used += n + 1;                               /* its text and a comma */
        if (d->used > CONVERT_SIZE_MAX)
                return bus_refuse(d->error, VERDICT_TOO_LARGE, _("The values are larger than %u bytes."), CONVERT_SIZE_MAX);
        return 0;
}

static int bad_type(Reader *d, const char *type) {
        return bus_invalid_args(d->error, _("A value has the type “%s”, which can't be taken; use s, x, d, b, av or a{sv}."), type);
}

static int read_value(Reader *d, Json **ret);

static int make(Json *j, Json **ret) {
        if (!j)
                return -ENOMEM;
        *ret = j;
        return 0;
}

static int read_text(Reader *d, Json **ret) {
        const char *s;
        int r = sd_bus_message_read_basic(d->m, 's', &s);
        if (r < 0)
                return r;
        r = reader_charge(d, strlen(s) + 2);
        return r < 0 ? r : make(json_new_string(s), ret);
}

static int read_double(Reader *d, Json **ret) {
        double v;
        int r = sd_bus_message_read_basic(d->m, 'd', &v);
        if (r < 0)
                return r;
        if (!isfinite(v))
                return bus_invalid_args(d->error, _("A number is infinite or not a number."));
        r = reader_charge(d, sizeof(v));
        return r < 0 ? r : make(json_new_double(v), ret);
}

static int read_integer(Reader *d, char type, Json **ret) {
        union {
                uint8_t y;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                int b;
        } v;
        int r = sd_bus_message_read_basic(d->m, type, &v);
        if (r >= 0)
                r = reader_charge(d, 1);
        if (r < 0)
                return r;
        switch (type) {
        case 'y':
                return make(json_new_int(v.y), ret);
        case 'n':
                return make(json_new_int(v.n), ret);
        case 'q':
                return make(json_new_int(v.q), ret);
        case 'i':
                return make(json_new_int(v.i), ret);
        case 'u':
                return make(json_new_int(v.u), ret);
        case 'x':
                return make(json_new_int(v.x), ret);
        case 'b':
                return make(json_new_bool(v.b), ret);
        default:
                return make(json_new_uint(v.t), ret);
        }
}

static int read_variant(Reader *d, const char *contents, Json **ret) {
        int r = sd_bus_message_enter_container(d->m, 'v', contents);
        if (r >= 0)
                r = read_value(d, ret);
        return r < 0 ? r : sd_bus_message_exit_container(d->m);
}

static int read_list(Reader *d, const char *contents, Json **ret) {
        _cleanup_json_ Json *list = json_new_array();
        int r = list ? sd_bus_message_enter_container(d->m, 'a', contents) : -ENOMEM;
        if (r < 0)
                return r;
        while ((r = sd_bus_message_at_end(d->m, false)) == 0) {
                Json *item = NULL;
                r = read_value(d, &item);
                if (r >= 0)
                        r = json_append(list, item);
                if (r < 0)
                        return r;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(d->m);
        if (r >= 0)
                *ret = TAKE_PTR(list);
        return r;
}

static int read_member(Reader *d, Json *object) {
        Json *value = NULL;
        const char *key;
        int r = sd_bus_message_read_basic(d->m, 's', &key);
        if (r >= 0)
                r = reader_charge(d, strlen(key) + 2);
        if (r >= 0 && json_has(object, key))
                r = bus_invalid_args(d->error, _("“%s” is given twice."), key);
        if (r >= 0)
                r = read_value(d, &value);
        return r < 0 ? r : json_set(object, key, value);
}

static int read_members(Reader *d, const char *entry, Json *object) {
        int r;
        while ((r = sd_bus_message_at_end(d->m, false)) == 0) {
                r = sd_bus_message_enter_container(d->m, 'e', entry);
                if (r >= 0)
                        r = read_member(d, object);
                if (r >= 0)
                        r = sd_bus_message_exit_container(d->m);
                if (r < 0)
                        break;
        }
        return r;
}

/* contents: "{s…}". NULL where there are no members. */
static int read_object_if_any(Reader *d, const char *contents, Json **ret) {
        _cleanup_json_ Json *object = NULL;
        int r = sd_bus_message_enter_container(d->m, 'a', contents);
        if (r >= 0)
                r = sd_bus_message_at_end(d->m, false);
        if (r == 0) {
                _cleanup_free_ char *entry = strndup(contents + 1, strlen(contents) - 2);
                object = json_new_object();
                r = entry && object ? read_members(d, entry, object) : -ENOMEM;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(d->m);
        if (r >= 0)
                *ret = TAKE_PTR(object);
        return r;
}

static int read_object(Reader *d, const char *contents, Json **ret) {
        Json *object = NULL;
        int r = read_object_if_any(d, contents, &object);
        return r < 0 ? r : make(object ? object : json_new_object(), ret);
}

static int read_container(Reader *d, char type, const char *contents, Json **ret) {
        if (type == 'v')
                return read_variant(d, contents, ret);
        if (++d->depth > CONVERT_DEPTH_MAX)
                return bus_refuse(d->error, VERDICT_TOO_LARGE,
                                  _("The values are nested more than %u levels deep; give what is inside as JSON text."),
                                  CONVERT_DEPTH_MAX);
        int r = reader_charge(d, 1);
        if (r >= 0) {
                if (startswith(contents, "{s"))
                        r = read_object(d, contents, ret);
                else if (*contents == '{')
                        r = bad_type(d, contents);
                else
                        r = read_list(d, contents, ret);
        }
        d->depth--;
        return r;
}

static int read_value(Reader *d, Json **ret) {
        const char *contents;
        char type;
        int r = sd_bus_message_peek_type(d->m, &type, &contents);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        switch (type) {
        case 's':
                return read_text(d, ret);
        case 'd':
                return read_double(d, ret);
        case 'y': case 'n': case 'q': case 'i': case 'u': case 'x': case 't': case 'b':
                return read_integer(d, type, ret);
        case 'a': case 'v':
                return read_container(d, type, contents, ret);
        default:
                return bad_type(d, (char[2]) {type});
        }
}

int bus_read_values(sd_bus_message *m, Json **ret, sd_bus_error *error) {
        Reader d = {.m = m, .error = error, .depth = 1};
        return read_object(&d, "{sv}", ret);
}

int bus_read_values_if_any(sd_bus_message *m, Json **ret, sd_bus_error *error) {
        Reader d = {.m = m, .error = error, .depth = 1};
        return read_object_if_any(&d, "{sv}", ret);
}

/* ---- out ---- */

static int append_text(sd_bus_message *m, const char *s, size_t n) {
        if (utf8_is_sendable(s, n))
                return sd_bus_message_append_basic(m, 's', s);
        _cleanup_free_ char *valid = utf8_make_sendable(s, n, SIZE_MAX);
        return valid ? sd_bus_message_append_basic(m, 's', valid) : -ENOMEM;
}

int bus_append_text(sd_bus_message *m, const char *s) {
        s = strempty(s);
        return append_text(m, s, strlen(s));
}

static int append_variant(sd_bus_message *m, const char *s, size_t n) {
        int r = sd_bus_message_open_container(m, 'v', "s");
        if (r >= 0)
                r = append_text(m, s, n);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_as_json_text(sd_bus_message *m, const Json *j) {
        _cleanup_free_ char *text = json_to_string(j, false);
        return text ? append_variant(m, text, strlen(text)) : -ENOMEM;
}

static int append_value(sd_bus_message *m, const Json *j, unsigned depth);

static int append_members(sd_bus_message *m, const Json *object, unsigned depth) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        JSON_OBJECT_FOREACH(object, key, value) {
                if (!value)
                        continue;
                if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 || (r = bus_append_text(m, key)) < 0 ||
                    (r = append_value(m, value, depth)) < 0 || (r = sd_bus_message_close_container(m)) < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

static int append_elements(sd_bus_message *m, const Json *array, unsigned depth) {
        int r = sd_bus_message_open_container(m, 'a', "v");
        for (size_t i = 0; r >= 0 && i < json_length(array); i++)
                if (json_at(array, i))
                        r = append_value(m, json_at(array, i), depth);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_container(sd_bus_message *m, const Json *j, unsigned depth) {
        bool is_array = json_type(j) == JSON_ARRAY;
        int r = sd_bus_message_open_container(m, 'v', is_array ? "av" : "a{sv}");
        if (r >= 0)
                r = is_array ? append_elements(m, j, depth) : append_members(m, j, depth);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_value(sd_bus_message *m, const Json *j, unsigned depth) {
        switch (json_type(j)) {
        case JSON_NULL:
                return 0;
        case JSON_BOOL:
                return sd_bus_message_append(m, "v", "b", json_bool(j));
        case JSON_INT:
                return sd_bus_message_append(m, "v", "x", json_int(j));
        case JSON_DOUBLE:
                return sd_bus_message_append(m, "v", "d", json_double(j));
        case JSON_STRING:
                return append_variant(m, json_string(j), json_string_length(j));
        case JSON_ARRAY:
        case JSON_OBJECT:
                return depth < CONVERT_DEPTH_MAX ? append_container(m, j, depth + 1) : append_as_json_text(m, j);
        }
        return -EINVAL;
}

int bus_append_values(sd_bus_message *m, const Json *object) {
        return append_members(m, object, 1);
}

int bus_type_values(Json *values, const InputSpec *specs, size_t n_specs, char **ret_error) {
        for (const InputSpec *s = specs; s < specs + n_specs; s++) {
                Json *given = json_get(values, s->name), *value = NULL;
                if (json_type(given) != JSON_STRING || s->type == INPUT_STRING || s->type == INPUT_CHOICE)
                        continue;
                int r = input_from_text(s, json_string(given), &value, ret_error);
                if (r < 0)
                        return r;
                if (!value) {
                        *ret_error = xasprintf(_("Input “%s”: null is no value; leave it out instead."), s->name);
                        return -EINVAL;
                }
                r = json_set(values, s->name, value);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- options ---- */

char **strings_free(char **s) {
        for (char **i = s; i && *i; i++)
                free(*i);
        free(s);
        return NULL;
}

#define OPTIONS_MAX 64u                                 /* of one method: bits of a word */

static const char *const option_signatures[] = {
        [OPTION_STRING] = "s",   [OPTION_BOOL] = "b",       [OPTION_U32] = "u",        [OPTION_TIME] = "t",
        [OPTION_STRINGS] = "as", [OPTION_VALUES] = "a{sv}", [OPTION_LABELS] = "a{ss}",
};

static int read_string_option(sd_bus_message *m, const BusOption *o, void *field, sd_bus_error *error) {
        const char *s;
        int r = sd_bus_message_read_basic(m, 's', &s);
        if (r < 0)
                return r;
        if (strlen(s) > o->max)
                return bus_refuse(error, VERDICT_TOO_LARGE, _("%s is longer than %zu bytes."), o->name, o->max);
        *(const char **) field = s;
        return 0;
}

/* One by one: sd_bus_message_read_strv() has read all of a list, in quadratic time, before anything could be said about its length. */
static int read_strings(sd_bus_message *m, const BusOption *o, char **strings, sd_bus_error *error) {
        const char *s;
        int r;
        for (size_t n = 0; (r = sd_bus_message_at_end(m, false)) == 0; n++) {
                if (n == o->max)
                        return bus_refuse(error, VERDICT_TOO_LARGE, _("%s has more than %zu entries."), o->name, o->max);
                r = sd_bus_message_read_basic(m, 's', &s);
                if (r < 0)
                        return r;
                if (strlen(s) > STRINGS_ENTRY_MAX)
                        return bus_refuse(error, VERDICT_TOO_LARGE, _("An entry of %s is longer than %u bytes."), o->name,
                                          STRINGS_ENTRY_MAX);
                if (!(strings[n] = strdup(s)))
                        return -ENOMEM;
        }
        return r;
}

/* Empty is not the same as not given. */
static int read_strings_option(sd_bus_message *m, const BusOption *o, void *field, sd_bus_error *error) {
        _cleanup_(strings_freep) char **strings = calloc(o->max + 1, sizeof(char *));
        int r = strings ? sd_bus_message_enter_container(m, 'a', "s") : -ENOMEM;
        if (r >= 0)
                r = read_strings(m, o, strings, error);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                *(char ***) field = TAKE_PTR(strings);
        return r;
}

int bus_check_only(char *const *only, sd_bus_error *error) {
        return only && !*only ? bus_invalid_args(error, _("Only is empty; name at least one phase, or leave it out.")) : 0;
}

static int read_values_option(sd_bus_message *m, void *field, sd_bus_error *error) {
        return bus_read_values(m, (Json **) field, error);
}

static int read_labels_option(sd_bus_message *m, void *field, sd_bus_error *error) {
        _cleanup_json_ Json *labels = NULL;
        Reader d = {.m = m, .error = error};
        int r = read_object(&d, "{ss}", &labels);
        if (r < 0)
                return r;
        if (json_length(labels) > LABELS_MAX)
                return bus_refuse(error, VERDICT_TOO_LARGE, _("There are more than %u labels."), LABELS_MAX);
        JSON_OBJECT_FOREACH(labels, key, value)
                if (strlen(key) > LABEL_SIZE_MAX || json_string_length(value) > LABEL_SIZE_MAX)
                        return bus_refuse(error, VERDICT_TOO_LARGE, _("A label is longer than %u bytes."), LABEL_SIZE_MAX);
        *(Json **) field = TAKE_PTR(labels);
        return 0;
}

static int read_option(sd_bus_message *m, const BusOption *o, void *field, sd_bus_error *error) {
        switch (o->type) {
        case OPTION_STRING:
                return read_string_option(m, o, field, error);
        case OPTION_BOOL:
                return sd_bus_message_read_basic(m, 'b', field);
        case OPTION_U32:
                return sd_bus_message_read_basic(m, 'u', field);
        case OPTION_TIME:
                return sd_bus_message_read_basic(m, 't', field);
        case OPTION_STRINGS:
                return read_strings_option(m, o, field, error);
        case OPTION_VALUES:
                return read_values_option(m, field, error);
        case OPTION_LABELS:
                return read_labels_option(m, field, error);
        }
        return -EINVAL;
}

static int unknown_option(const char *name, const BusOption *table, size_t n, sd_bus_error *error) {
        const char *names[OPTIONS_MAX + 1];
        for (size_t i = 0; i < n; i++)
                names[i] = table[i].name;
        names[n] = NULL;
        const char *near = nearest_name(name, names);
        if (near)
                return bus_invalid_args(error, _("There is no option “%s” here; did you mean “%s”?"), name, near);
        return bus_invalid_args(error, _("There is no option “%s” here."), name);
}

static int read_entry(sd_bus_message *m, const BusOption *table, size_t n, uint64_t *seen, void *target, sd_bus_error *error) {
        const char *name, *contents;
        size_t i = 0;
        char type;
        int r = sd_bus_message_read_basic(m, 's', &name);
        if (r < 0)
                return r;
        while (i < n && !streq(table[i].name, name))
                i++;
        if (i == n)
                return unknown_option(name, table, n, error);
        if (*seen & UINT64_C(1) << i)
                return bus_invalid_args(error, _("“%s” is given twice."), name);
        *seen |= UINT64_C(1) << i;
        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        const char *signature = option_signatures[table[i].type];
        if (!streq(contents, signature))
                return bus_invalid_args(error, _("%s has the type “%s”; it must be “%s”."), name, contents, signature);
        if ((r = sd_bus_message_enter_container(m, 'v', signature)) < 0 ||
            (r = read_option(m, &table[i], (uint8_t *) target + table[i].offset, error)) < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int bus_read_options(sd_bus_message *m, const BusOption *table, size_t n, void *target, sd_bus_error *error) {
        uint64_t seen = 0;
        assert(n <= OPTIONS_MAX);
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                r = sd_bus_message_enter_container(m, 'e', "sv");
                if (r >= 0)
                        r = read_entry(m, table, n, &seen, target, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}
