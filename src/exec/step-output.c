/* What a step wrote to $RUNBOOK_OUTPUT and $RUNBOOK_ERROR. It may be anything; what comes out of here is valid UTF-8 without NUL, and no
 * larger than the cap. */

#include "i18n.h"
#include "fd-util.h"
#include "step-output.h"
#include "strbuf.h"
#include "utf8.h"

#define KEY_MAX 64u
#define CODE_MAX 64u

typedef struct Reader {
        char *at;                                       /* the next line; NUL-terminated text that lines are cut out of */
        unsigned line;                                  /* number of the last line read */
} Reader;

/* Cuts the next line out, without LF and CR. NULL: the end. */
static char *next_line(Reader *r) {
        char *line = r->at, *end;
        size_t n;

        if (!*line)
                return NULL;
        end = strchr(line, '\n');
        n = end ? (size_t) (end - line) : strlen(line);
        r->at = end ? end + 1 : line + n;
        if (n > 0 && line[n - 1] == '\r')
                n--;
        line[n] = 0;
        r->line++;
        return line;
}

static size_t key_length(const char *s) {
        static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
        static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789-";

        return strspn(s, first) > 0 ? strspn(s, rest) : 0;
}

static bool is_blank(const char *s) {
        return s[strspn(s, " \t\r\n")] == 0;
}

/* The lines up to the one that is the delimiter. */
static int parse_block(Reader *r, const char *delimiter, char **ret, char **ret_error) {
        _cleanup_strbuf_ StrBuf b = { 0 };
        const unsigned begin = r->line;

        for (bool first = true;; first = false) {
                const char *line = next_line(r);

                if (!line) {
                        *ret_error = xasprintf(_("line %u: the block that begins here has no line \"%s\" at its end"), begin, delimiter);
                        return -EINVAL;
                }
                if (streq(line, delimiter))
                        break;
                if (!first)
                        strbuf_append_c(&b, '\n');
                strbuf_append(&b, line);
        }
        *ret = strbuf_take(&b);
        return *ret ? 0 : -ENOMEM;
}

static int set_string(Json *object, const char *key, const char *value) {
        json_del(object, key);                          /* the last writer also has the last place */
        return json_set_string(object, key, value);
}

static int parse_line(Reader *r, char *line, Json *object, char **ret_error) {
        _cleanup_free_ char *block = NULL;
        size_t n = key_length(line);
        char *rest = line + n;
        int q;

        if (n == 0 || (rest[0] != '=' && !startswith(rest, "<<"))) {
                *ret_error = xasprintf(_("line %u: expected KEY=VALUE or KEY<<END; a key is letters, digits, \"_\" and \"-\""), r->line);
                return -EINVAL;
        }
        if (n > KEY_MAX) {
                *ret_error = xasprintf(_("line %u: the key is longer than %u characters"), r->line, KEY_MAX);
                return -EINVAL;
        }
        if (rest[0] == '=') {
                *rest = 0;
                return set_string(object, line, rest + 1);
        }
        *rest = 0;
        rest += 2;
        if (is_blank(rest)) {
                *ret_error = xasprintf(_("line %u: nothing after \"<<\"; write the word that ends the block there"), r->line);
                return -EINVAL;
        }
        q = parse_block(r, rest, &block, ret_error);
        return q < 0 ? q : set_string(object, line, block);
}

static int parse_lines(char *text, Json **ret, char **ret_error) {
        _cleanup_json_ Json *object = json_new_object();
        Reader r = { .at = text };
        char *line;

        if (!object)
                return -ENOMEM;
        while ((line = next_line(&r))) {
                int q = is_blank(line) ? 0 : parse_line(&r, line, object, ret_error);

                if (q < 0)
                        return q;
        }
        *ret = TAKE_PTR(object);
        return 0;
}

/* JSON text may spell a NUL or half a surrogate pair with escapes. */
static int make_valid(const Json *j, Json **ret);

static int make_valid_object(const Json *j, Json **ret) {
        _cleanup_json_ Json *copy = json_new_object();

        if (!copy)
                return -ENOMEM;
        JSON_OBJECT_FOREACH(j, key, value) {
                _cleanup_free_ char *k = utf8_make_valid(key, strlen(key), SIZE_MAX);
                Json *v = NULL;
                int r = k ? make_valid(value, &v) : -ENOMEM;

                if (r < 0 || json_set(copy, k, v) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(copy);
        return 0;
}

static int make_valid_array(const Json *j, Json **ret) {
        _cleanup_json_ Json *copy = json_new_array();

        if (!copy)
                return -ENOMEM;
        for (size_t i = 0; i < json_length(j); i++) {
                Json *v = NULL;

                if (make_valid(json_at(j, i), &v) < 0 || json_append(copy, v) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(copy);
        return 0;
}

static int make_valid_string(const Json *j, Json **ret) {
        _cleanup_free_ char *s = utf8_make_valid(json_string(j), json_string_length(j), SIZE_MAX);

        *ret = s ? json_new_string(s) : NULL;
        return *ret ? 0 : -ENOMEM;
}

static int make_valid(const Json *j, Json **ret) {
        switch (json_type(j)) {
        case JSON_OBJECT:
                return make_valid_object(j, ret);
        case JSON_ARRAY:
                return make_valid_array(j, ret);
        case JSON_STRING:
                return make_valid_string(j, ret);
        case JSON_NULL:
        case JSON_BOOL:
        case JSON_INT:
        case JSON_DOUBLE:
                *ret = json_copy(j);
                return 0;
        }
        return -EINVAL;
}

static int parse_object(const char *text, Json **ret, char **ret_error) {
        _cleanup_json_ Json *j = NULL;
        int r;

        r = json_parse(text, strlen(text), &j);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || json_type(j) != JSON_OBJECT) {
                *ret_error = xasprintf(_("it begins with \"{\" but is not one JSON object"));
                return -EINVAL;
        }
        return make_valid(j, ret);
}

/* Text that can be worked on: within the cap, valid, a new string. NULL where there is nothing in it. */
static int take_in(const char *text, size_t n, size_t max, char **ret, char **ret_error) {
        _cleanup_free_ char *s = NULL;

        *ret = NULL;
        if (n == 0)
                return 0;
        s = utf8_make_valid(text, n, SIZE_MAX);
        if (!s)
                return -ENOMEM;
        if (n > max || strlen(s) > max) {
                *ret_error = xasprintf(_("it is larger than %zu KiB"), max / 1024);
                return -EINVAL;
        }
        if (!is_blank(s))
                *ret = TAKE_PTR(s);
        return 0;
}

/* An error always comes with a message, or is that there was no memory for one. */
static int finish(int r, char *error, char **ret_error) {
        if (r == -EINVAL && !error)
                return -ENOMEM;
        if (r == -EINVAL)
                *ret_error = error;
        return r;
}

int step_output_parse(const char *text, size_t n, Json **ret, char **ret_error) {
        _cleanup_free_ char *s = NULL;
        char *error = NULL;
        Json *j = NULL;
        int r;

        r = take_in(text, n, STEP_OUTPUT_MAX, &s, &error);
        if (r >= 0 && s)
                r = s[strspn(s, " \t\r\n")] == '{' ? parse_object(s, &j, &error) : parse_lines(s, &j, &error);
        if (r < 0)
                return finish(r, error, ret_error);
        *ret = j;
        return 0;
}

typedef struct ErrorMember {
        const char *name;
        bool any_type, required;
        size_t max;
} ErrorMember;

static const ErrorMember error_members[] = {
        { "message", .required = true, .max = STEP_ERROR_MAX },
        { "code", .max = CODE_MAX },
        { "stack", .max = STEP_ERROR_MAX },
        { "details", .any_type = true },
};

static int check_member(const ErrorMember *m, const Json *value, char **ret_error) {
        if (m->required && isempty(json_string(value))) {
                *ret_error = xasprintf(_("it has no \"%s\", which must be a text"), m->name);
                return -EINVAL;
        }
        if (!value || m->any_type)
                return 0;
        if (json_type(value) != JSON_STRING || json_string_length(value) > m->max) {
                *ret_error = xasprintf(_("its \"%s\" must be a text of at most %zu bytes"), m->name, m->max);
                return -EINVAL;
        }
        return 0;
}

static int choose_members(const Json *j, Json **ret, char **ret_error) {
        _cleanup_json_ Json *error = json_new_object();

        if (!error)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(error_members); i++) {
                Json *value = json_get(j, error_members[i].name);
                int r = check_member(error_members + i, value, ret_error);

                if (r < 0)
                        return r;
                if (value && json_set(error, error_members[i].name, json_ref(value)) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(error);
        return 0;
}

int step_error_parse(const char *text, size_t n, Json **ret, char **ret_error) {
        _cleanup_free_ char *s = NULL;
        _cleanup_json_ Json *j = NULL;
        char *error = NULL;
        Json *checked = NULL;
        int r;

        r = take_in(text, n, STEP_ERROR_MAX, &s, &error);
        if (r >= 0 && s && s[strspn(s, " \t\r\n")] != '{') {
                error = xasprintf(_("it is not a JSON object {message, code, stack, details}"));
                r = -EINVAL;
        } else if (r >= 0 && s)
                r = parse_object(s, &j, &error);
        if (r >= 0 && j)
                r = choose_members(j, &checked, &error);
        if (r < 0)
                return finish(r, error, ret_error);
        *ret = checked;
        return 0;
}
