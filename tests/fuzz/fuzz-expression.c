/* Any text as an expression: it parses or says where it doesn't, and what parses gives a value or an error, within its caps. The text that
 * a value stands for can be written for every value. */
#include <assert.h>

#include "expression.h"

static int lookup(void *userdata, ExprRoot root, const char *key, Json **ret, bool *ret_lenient) {
        static const char text[] =
                        "{\"a\": {\"outputs\": {\"x\": [1, 2.5, \"s\", null, true]}, \"state\": \"success\"}, \"s\": \"text\", \"n\": 7}";
        *ret_lenient = root == EXPR_STEPS;
        _cleanup_json_ Json *all = NULL;
        int r = json_parse(text, strlen(text), &all);
        if (r < 0 || !key) {
                *ret = json_ref(all);
                return r;
        }
        if (!json_has(all, key))
                return -ENOENT;
        *ret = json_ref(json_get(all, key));
        return 0;
}

static bool status(void *userdata, ExprStatus s) {
        return s == EXPR_STATUS_FAILURE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const ExprScope scope = {.lookup = lookup, .status = status};
        _cleanup_(expr_freep) Expr *e = NULL;
        _cleanup_free_ char *error = NULL;
        _cleanup_json_ Json *value = NULL;
        size_t offset = 0, n_refs = 0;

        int r = expr_parse((const char *)data, size, &e, &error, &offset);
        if (r < 0) {
                assert(r == -EINVAL && error && offset <= size);
                return 0;
        }
        const ExprRef *refs = expr_refs(e, &n_refs);
        for (size_t i = 0; i < n_refs; i++)
                assert(refs[i].offset < size && refs[i].n_path <= ELEMENTSOF(refs[i].path));
        r = expr_eval(e, &scope, &value, &error);
        if (r < 0) {
                assert(r == -EINVAL && error && !value);
                return 0;
        }
        _cleanup_free_ char *text = expr_value_to_text(value);
        assert(text);
        return 0;
}
