/* Any text as a shell command: the first byte chooses the shell. What is accepted has a reference for each expression and nothing of their
 * texts; what is refused says where; a text without expressions is accepted and left alone. */
#include <assert.h>

#include "template.h"

static void check_accepted(const ShellTemplate *t, const char *text, size_t n) {
        const char *script = shell_template_script(t);
        bool plain = !memmem(text, n, "${{", 3);
        assert(plain == (shell_template_n_variables(t) == 0));
        if (plain)
                assert(strlen(script) == n && memcmp(script, text, n) == 0);
        else
                assert(!strstr(script, "${{"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(tree_freep) Tree *tree = NULL;
        _cleanup_(shell_template_freep) ShellTemplate *t = NULL;
        if (size == 0)
                return 0;

        _cleanup_json_ Json *string = json_new_string_n((const char *)data + 1, size - 1);
        _cleanup_free_ char *json = json_to_string(string, false);
        if (!json || tree_parse(json, strlen(json), TREE_JSON, &d, &tree) < 0)
                return 0;
        const Node *node = tree_root(tree);
        int r = shell_template_compile(tree, node, (ShellKind)(data[0] % _SHELL_MAX), &d, &t);
        if (r >= 0)
                check_accepted(t, node->string, node->length);
        else
                assert(r == -EINVAL && d.n_errors > 0 && !t);
        return 0;
}
