/* The corpus of malformed definition files: each case of malformed/NAME.txt is a whole file and all of its errors, in order, with exact
 * positions. A case is `=== TITLE`, the text, and for each error `>>> LINE:COLUMN: MESSAGE`, where MESSAGE is a part of what is said
 * (0:0 where the error is of the file as a whole). Titles that begin with JSON are read as JSON. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>

#include "fd-util.h"
#include "runbook.h"

#define CASES_MIN 200u
#define EXPECTED_MAX 8u

typedef struct Expected {
        unsigned line, column;
        const char *message;
} Expected;

typedef struct Case {
        const char *title, *text;
        size_t size;
        Expected expected[EXPECTED_MAX];
        unsigned n_expected;
} Case;

static unsigned n_cases, n_failures;

static void report(const char *file, const Case *c, const Diagnostics *d) {
        n_failures++;
        print_error("%s: %s: is\n", file, c->title);
        for (size_t i = 0; i < d->n_items; i++)
                print_error("        %u:%u: %s\n", d->items[i].line, d->items[i].column, d->items[i].message);
}

static bool matches(const Diagnostic *d, const Expected *e) {
        return d->severity == SEVERITY_ERROR && d->line == e->line && d->column == e->column && strstr(d->message, e->message);
}

static void run_case(const char *file, const Case *c) {
        _cleanup_(runbook_unrefp) Runbook *rb = NULL;
        _cleanup_diag_ Diagnostics d = {};
        bool good;

        n_cases++;
        good = runbook_parse(c->text, c->size, startswith(c->title, "JSON") ? TREE_JSON : TREE_YAML, NULL, &d, &rb) == -EINVAL && !rb;
        diag_sort(&d);
        good = good && c->n_expected > 0 && d.n_items == c->n_expected && d.n_errors == c->n_expected;
        for (unsigned i = 0; good && i < c->n_expected; i++)
                good = matches(d.items + i, c->expected + i);
        if (!good)
                report(file, c, &d);
}

/* ">>> 3:5: message" */
static void read_expected(char *line, Case *c) {
        int used = 0;

        assert_in_range(c->n_expected, 0, EXPECTED_MAX - 1);
        Expected *e = c->expected + c->n_expected++;
        assert_int_equal(sscanf(line, ">>> %u:%u: %n", &e->line, &e->column, &used), 2);
        e->message = line + used;
        assert_true(used > 0 && *e->message);
}

static void run_file(const char *file, char *text, size_t size) {
        Case c = {};

        for (char *line = text, *next; line < text + size; line = next) {
                char *end = memchr(line, '\n', text + size - line);
                assert_non_null(end);
                next = end + 1;
                if (startswith(line, "=== ") || startswith(line, ">>> ")) {
                        *end = 0;
                        if (c.title && line[0] == '=') {
                                run_case(file, &c);
                                c = (Case) {};
                        }
                        if (line[0] == '=') {
                                c.title = line + 4;
                                c.text = next;
                        } else
                                read_expected(line, &c);
                } else {
                        assert_int_equal(c.n_expected, 0);      /* text behind an expectation: a separator is missing */
                        c.size = next - c.text;
                }
        }
        if (c.title)
                run_case(file, &c);
}

static void test_malformed(void **state) {
        struct dirent *e;
        DIR *dir = opendir(TEST_DATA "/malformed");

        assert_non_null(dir);
        while ((e = readdir(dir))) {
                _cleanup_free_ char *path = NULL, *text = NULL;
                size_t size;

                if (!endswith(e->d_name, ".txt"))
                        continue;
                assert_true(asprintf(&path, TEST_DATA "/malformed/%s", e->d_name) > 0);
                assert_ok(read_file(AT_FDCWD, path, TREE_FILE_MAX, false, &text, &size));
                run_file(e->d_name, text, size);
        }
        closedir(dir);
        assert_int_equal(n_failures, 0);
        assert_true(n_cases >= CASES_MIN);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed),
};

int main(void) {
        (void) setlocale(LC_ALL, "C");                  /* messages as they are written in the sources */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
