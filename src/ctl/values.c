/* Which inputs there are and which values are right is the daemon's to say, when the run is created; here texts only become values of the
 * declared type. What isn't declared is sent as text, for the daemon's message names the nearest input. */
#include "values.h"

#include <fcntl.h>

#include "fd-util.h"
#include "i18n.h"
#include "style.h"
#include "tree.h"
#include "utf8.h"

const Json *declaration_find(const Json *declarations, const char *name) {
        for (size_t i = 0; i < json_length(declarations); i++)
                if (streq_ptr(json_string(json_get(json_at(declarations, i), "name")), name))
                        return json_at(declarations, i);
        return NULL;
}

static const char *const examples[][2] = {
        {"integer", "3"}, {"number", "0.5"}, {"boolean", "true"}, {"list", "'[\"a\", \"b\"]'"}, {"object", "'{\"key\": \"value\"}'"},
};

static const char *example_of(const char *type) {
        for (size_t i = 0; i < ELEMENTSOF(examples); i++)
                if (streq(examples[i][0], type))
                        return examples[i][1];
        return "null";
}

int value_from_text(const Json *declaration, const char *name, const char *text, Json **ret, char **ret_error) {
        const char *type = json_string(json_get(declaration, "type"));

        if (!utf8_is_valid(text, strlen(text))) {
                *ret_error = xasprintf(_("The value of \"%s\" isn't UTF-8 text."), name);
                return *ret_error ? -EINVAL : -ENOMEM;
        }
        if (!type || streq(type, "string") || streq(type, "choice")) {
                *ret = json_new_string(text);
                return *ret ? 0 : -ENOMEM;
        }
        Json *value = NULL;
        int r = json_parse(text, strlen(text), &value);
        if (r == -ENOMEM)
                return r;
        if (r >= 0 && value) {
                *ret = value;
                return 0;
        }
        *ret_error = xasprintf(_("\"%s\" wants a value of type %s, written as JSON, for example %s=%s."), name, type, name,
                               example_of(type));
        return *ret_error ? -EINVAL : -ENOMEM;
}

int values_check_words(Ctl *c, const StrList *words) {
        for (size_t i = 0; i < words->n; i++)
                if (!strchr(words->items[i], '=') || words->items[i][0] == '=')
                        return ctl_usage_error(c, _("\"%s\" is no input with its value: write NAME=VALUE."), words->items[i]);
        return 0;
}

int values_from_words(Ctl *c, const StrList *words, const Json *declarations, Json *object) {
        for (size_t i = 0; i < words->n; i++) {
                const char *eq = strchr(words->items[i], '=');
                _cleanup_free_ char *name = strndup(words->items[i], (size_t) (eq - words->items[i])), *error = NULL;
                _cleanup_json_ Json *value = NULL;
                if (!name)
                        return ctl_oom(c);
                int r = value_from_text(declaration_find(declarations, name), name, eq + 1, &value, &error);
                if (r < 0)
                        return error ? ctl_error(c, "%s", error) : ctl_oom(c);
                if (json_set(object, name, TAKE_PTR(value)) < 0)
                        return ctl_oom(c);
        }
        return 0;
}

static int say_diagnostics(Ctl *c, const char *file, const Diagnostics *d) {
        for (size_t i = 0; i < d->n_items; i++)
                (void) ctl_error(c, "%s:%u:%u: %s", file, d->items[i].line, d->items[i].column, d->items[i].message);
        return -EINVAL;
}

int values_from_file(Ctl *c, const char *file, Json *object) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(tree_freep) Tree *tree = NULL;
        _cleanup_json_ Json *all = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;

        int r = streq(file, "-") ? read_fd(STDIN_FILENO, TREE_FILE_MAX, &text, &n)
                                 : read_file(AT_FDCWD, file, TREE_FILE_MAX, false, &text, &n);
        if (r < 0)
                return ctl_error(c, _("%s can't be read: %s"), file, strerror(-r));
        r = tree_parse(text, n, endswith(file, ".json") ? TREE_JSON : TREE_YAML, &d, &tree);
        if (r < 0)
                return r == -ENOMEM ? ctl_oom(c) : say_diagnostics(c, file, &d);
        if (tree_root(tree)->type != NODE_MAP)
                return ctl_error(c, _("%s must hold one object: the inputs by their names."), file);
        if (node_to_json(tree_root(tree), &all) < 0)
                return ctl_oom(c);
        JSON_OBJECT_FOREACH(all, key, value)
                if (json_set(object, key, json_ref(value)) < 0)
                        return ctl_oom(c);
        return 0;
}

int values_for_run(Ctl *c, const StrList *words, Json **ret) {
        _cleanup_json_ Json *object = json_new_object();

        if (!object)
                return ctl_oom(c);
        int r = c->options.input_file ? values_from_file(c, c->options.input_file, object) : 0;
        if (r >= 0)
                r = values_from_words(c, words, NULL, object);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(object);
        return 0;
}
