/* Shell templates for tests: a script in a file, compiled, and values for its expressions: inputs.v is the one that is set, any other input
 * its own name. */
#pragma once

#include "template.h"
#include "test.h"

#define ON_SH (1u << SHELL_SH)
#define ON_DASH (1u << SHELL_DASH)
#define ON_BASH (1u << SHELL_BASH)
#define ON_ALL (ON_SH | ON_DASH | ON_BASH)

static const char *value; /* of inputs.v */
static size_t value_length;

static inline int give_value(void *userdata, ExprRoot root, const char *key, Json **ret, bool *ret_lenient) {
        if (!key)
                return -ENOENT;
        *ret = streq(key, "v") ? json_new_string_n(value, value_length) : json_new_string(key);
        return *ret ? 0 : -ENOMEM;
}

static const ExprScope scope = {.lookup = give_value};

/* --- compiling --- */

typedef struct Compiled {
        Diagnostics d;
        Tree *tree;
        ShellTemplate *template;
        int result;
} Compiled;

static inline void compiled_done(Compiled *c) {
        shell_template_free(c->template);
        tree_free(c->tree);
        diag_done(&c->d);
}
#define _cleanup_compiled_ _cleanup_(compiled_done)

/* The script as a literal block of a YAML file: its first byte is at line 2, column 3. */
static inline void compile_yaml(Compiled *c, const char *script, ShellKind kind) {
        _cleanup_strbuf_ StrBuf b = {0};
        strbuf_append(&b, "run: |2+\n");
        for (const char *p = script; *p;) {
                size_t n = strcspn(p, "\n");
                strbuf_append(&b, n > 0 ? "  " : "");
                strbuf_append_n(&b, p, n);
                strbuf_append_c(&b, '\n');
                p += n + (p[n] == '\n');
        }
        *c = (Compiled){0};
        assert_ok(tree_parse(b.s, b.n, TREE_YAML, &c->d, &c->tree));
        c->result = shell_template_compile(c->tree, node_get(tree_root(c->tree), "run"), kind, &c->d, &c->template);
}

static inline void compile_json(Compiled *c, const char *script, size_t n, ShellKind kind) {
        _cleanup_json_ Json *v = json_new_string_n(script, n);
        _cleanup_free_ char *text = json_to_string(v, false);
        *c = (Compiled){0};
        assert_ok(tree_parse(text, strlen(text), TREE_JSON, &c->d, &c->tree));
        c->result = shell_template_compile(c->tree, tree_root(c->tree), kind, &c->d, &c->template);
}

static inline void set_value(const char *s, size_t n) {
        value = s;
        value_length = n;
}
