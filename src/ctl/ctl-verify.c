/* verify: checks files as the daemon would read them, without one. Its lines are made to be read by editors as well: FILE:LINE:COLUMN:
 * SEVERITY: MESSAGE. What is wrong with a file as a whole stands at its beginning; in JSON it has no position. */
#include <fcntl.h>

#include "ctl.h"
#include "fd-util.h"
#include "i18n.h"
#include "runbook.h"
#include "style.h"
#include "utf8.h"

typedef struct Report {
        Json *list;                                     /* with --json */
        unsigned n_errors;
        bool failed;                                    /* out of memory */
} Report;

static int add_json(Report *r, const char *file, unsigned line, unsigned column, const char *severity, const char *message) {
        _cleanup_free_ char *name = utf8_make_valid(file, strlen(file), SIZE_MAX);
        _cleanup_json_ Json *j = json_new_object();

        int k = j && name ? json_set_string(j, "file", name) : -ENOMEM;
        if (k >= 0)
                k = json_set(j, "line", line > 0 ? json_new_uint(line) : NULL);
        if (k >= 0)
                k = json_set(j, "column", line > 0 ? json_new_uint(column) : NULL);
        if (k >= 0)
                k = json_set_string(j, "severity", severity);
        if (k >= 0)
                k = json_set_string(j, "message", message);
        return k < 0 ? k : json_append(r->list, TAKE_PTR(j));
}

static void add(Report *r, const char *file, unsigned line, unsigned column, Severity severity, const char *message) {
        _cleanup_free_ char *clean = text_one_line(message), *name = text_one_line(file);
        Tone tone = severity == SEVERITY_ERROR ? TONE_BAD : TONE_WARN;

        r->n_errors += severity == SEVERITY_ERROR;
        if (r->list) {
                r->failed = add_json(r, file, line, column, severity_to_string(severity), message) < 0 || r->failed;
                return;
        }
        out("%s%s:%u:%u:%s ", tone_on(TONE_BOLD), strempty(name), MAX(line, 1u), MAX(column, 1u), tone_off(TONE_BOLD));
        out("%s%s:%s %s\n", tone_on(tone), severity_to_string(severity), tone_off(tone), strempty(clean));
}

static void add_all(Report *r, const char *file, const Diagnostics *d) {
        for (size_t i = 0; i < d->n_items; i++)
                add(r, file, d->items[i].line, d->items[i].column, d->items[i].severity, d->items[i].message);
        unsigned dropped = d->n_errors + d->n_warnings - (unsigned) d->n_items;
        if (dropped > 0 && !r->list)
                out(P_("%s: and %u more\n", "%s: and %u more\n", dropped), file, dropped);
}

/* "release" of "conf/runbooks/release.yaml"; NULL where the name can't be a runbook file's. */
static char *stem(const char *file, TreeFormat *ret_format) {
        static const char *const endings[] = {".yaml", ".yml", ".json"};
        const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;

        *ret_format = endswith(file, ".json") ? TREE_JSON : TREE_YAML;
        for (size_t i = 0; i < ELEMENTSOF(endings); i++) {
                const char *e = endswith(base, endings[i]);
                if (e && e > base)
                        return strndup(base, (size_t) (e - base));
        }
        return NULL;
}

static int verify(Report *r, const char *file) {
        _cleanup_(runbook_unrefp) Runbook *runbook = NULL;
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_free_ char *text = NULL, *name = NULL;
        bool is_stdin = streq(file, "-");
        TreeFormat format;
        size_t n;

        name = stem(file, &format);
        if (!name && !is_stdin) {
                add(r, file, 0, 0, SEVERITY_ERROR, _("a runbook file's name ends in .yaml, .yml or .json"));
                return 0;
        }
        int k = is_stdin ? read_fd(STDIN_FILENO, TREE_FILE_MAX + 1, &text, &n)
                         : read_file(AT_FDCWD, file, TREE_FILE_MAX + 1, false, &text, &n);
        if (k < 0) {
                add(r, file, 0, 0, SEVERITY_ERROR, k == -EFBIG ? _("the file is over 1 MiB") : strerror(-k));
                return 0;
        }
        k = runbook_parse(text, n, format, name, &d, &runbook);
        if (k == -ENOMEM)
                return k;
        if (k >= 0)
                runbook_lint(runbook, &d);
        diag_sort(&d);
        add_all(r, file, &d);
        return 0;
}

int verb_verify(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *list = ctl_json(c) ? json_new_array() : NULL;
        Report r = {.list = list};
        int k = ctl_json(c) && !list ? -ENOMEM : 0;

        for (size_t i = 0; k >= 0 && i < n; i++)
                k = verify(&r, args[i]);
        if (k < 0 || r.failed) {
                (void) ctl_oom(c);
                return ctl_failed(c);
        }
        if (list)
                ctl_print_json(c, list);
        return r.n_errors > 0 ? STATUS_FAILURE : STATUS_SUCCESS;
}
