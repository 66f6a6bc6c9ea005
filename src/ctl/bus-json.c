/* The bus side of JSON values. Depth needs no bound of its own here: the bus refuses messages that nest more than 64 levels. */
#include "bus-json.h"

static int read_basic(sd_bus_message *m, char type, Json **ret) {
        union {
                uint8_t y;
                int b;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
                const char *s;
        } v;

        int r = sd_bus_message_read_basic(m, type, &v);
        if (r < 0)
                return r;
        switch (type) {
        case 'y': *ret = json_new_uint(v.y); break;
        case 'b': *ret = json_new_bool(v.b); break;
        case 'n': *ret = json_new_int(v.n); break;
        case 'q': *ret = json_new_uint(v.q); break;
        case 'i': *ret = json_new_int(v.i); break;
        case 'u': *ret = json_new_uint(v.u); break;
        case 'x': *ret = json_new_int(v.x); break;
        case 't': *ret = json_new_uint(v.t); break;
        case 'd': *ret = json_new_double(v.d); return 0;        /* a number that JSON doesn't know is null */
        case 's': case 'o': case 'g': *ret = json_new_string(v.s); break;
        default: return -EBADMSG;
        }
        return *ret ? 0 : -ENOMEM;
}

static int read_entries(sd_bus_message *m, Json *object) {
        for (;;) {
                _cleanup_json_ Json *value = NULL;
                const char *key, *contents;
                char type;
                int r = sd_bus_message_peek_type(m, &type, &contents);
                if (r <= 0)
                        return r;
                r = sd_bus_message_enter_container(m, type, contents);
                if (r < 0)
                        return r;
                r = sd_bus_message_read_basic(m, 's', &key);
                if (r >= 0)
                        r = bus_read_json(m, &value);
                if (r >= 0)
                        r = json_set(object, key, TAKE_PTR(value));
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
}

static int read_elements(sd_bus_message *m, Json *array) {
        for (;;) {
                _cleanup_json_ Json *value = NULL;
                int r = sd_bus_message_at_end(m, false);
                if (r != 0)
                        return r < 0 ? r : 0;
                r = bus_read_json(m, &value);
                if (r >= 0)
                        r = json_append(array, TAKE_PTR(value));
                if (r < 0)
                        return r;
        }
}

int bus_read_json(sd_bus_message *m, Json **ret) {
        _cleanup_json_ Json *j = NULL;
        const char *contents;
        char type;

        int r = sd_bus_message_peek_type(m, &type, &contents);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (!strchr("avr", type))
                return read_basic(m, type, ret);
        bool dictionary = type == 'a' && contents[0] == '{';
        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        if (type == 'v')
                r = bus_read_json(m, &j);
        else {
                j = dictionary ? json_new_object() : json_new_array();
                r = !j ? -ENOMEM : dictionary ? read_entries(m, j) : read_elements(m, j);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

static int append_variant(sd_bus_message *m, const Json *j);

static int append_list(sd_bus_message *m, const Json *j) {
        int r = sd_bus_message_open_container(m, 'v', "av");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "v");
        for (size_t i = 0; r >= 0 && i < json_length(j); i++)
                r = append_variant(m, json_at(j, i));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_variant(sd_bus_message *m, const Json *j) {
        switch (json_type(j)) {
        case JSON_BOOL:
                return sd_bus_message_append(m, "v", "b", (int) json_bool(j));
        case JSON_INT:
                return sd_bus_message_append(m, "v", "x", json_int(j));
        case JSON_DOUBLE:
                return sd_bus_message_append(m, "v", "d", json_double(j));
        case JSON_STRING:
                return strlen(json_string(j)) == json_string_length(j) ? sd_bus_message_append(m, "v", "s", json_string(j)) : -EINVAL;
        case JSON_ARRAY:
                return append_list(m, j);
        case JSON_OBJECT: {
                int r = sd_bus_message_open_container(m, 'v', "a{sv}");
                if (r >= 0)
                        r = bus_append_json_object(m, j);
                return r < 0 ? r : sd_bus_message_close_container(m);
        }
        case JSON_NULL:
                break;
        }
        return -EINVAL;
}

int bus_append_json_object(sd_bus_message *m, const Json *object) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        JSON_OBJECT_FOREACH(object, key, value) {
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append_basic(m, 's', key);
                if (r >= 0)
                        r = append_variant(m, value);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

int bus_append_option(sd_bus_message *m, const char *key, const char *value) {
        return sd_bus_message_append(m, "{sv}", key, "s", value);
}
