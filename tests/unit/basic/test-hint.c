/* What a person copies from a sentence reaches the daemon that said it. */
#include "test.h"

#include "hint.h"

static void test_fill(void **state) {
        static const struct {
                const char *text, *command, *filled;
        } cases[] = {
                { "", "runbookctl --user", "" },
                { "Run 3 is over.", "runbookctl --user", "Run 3 is over." },
                { "again: runbookctl rerun 3", "runbookctl", "again: runbookctl rerun 3" },
                { "again: runbookctl rerun 3", "runbookctl --user", "again: runbookctl --user rerun 3" },
                { "runbookctl set-input 3 a=b", "runbookctl -H ops@web", "runbookctl -H ops@web set-input 3 a=b" },
                { "There is no run 3; “runbookctl list” shows which", "runbookctl --user",
                  "There is no run 3; “runbookctl --user list” shows which" },
                { "(\"runbookctl replay --from\", or \"runbookctl rerun\")", "runbookctl -H h",
                  "(\"runbookctl -H h replay --from\", or \"runbookctl -H h rerun\")" },
                { "runbookctl --user rerun 3", "runbookctl --user -H h", "runbookctl --user -H h rerun 3" }, /* one that knew the mode */
                { "runbookctl --user rerun 3", "runbookctl --user", "runbookctl --user rerun 3" },
                { "runbookctl --help, runbookctl help start, runbookctl -H x list", "runbookctl --user",
                  "runbookctl --help, runbookctl help start, runbookctl -H x list" },
                { "runbookctl helper", "runbookctl --user", "runbookctl --user helper" },
                { "/usr/bin/runbookctl list, my-runbookctl list, xrunbookctl list", "runbookctl --user",
                  "/usr/bin/runbookctl list, my-runbookctl list, xrunbookctl list" },
                { "this runbookctl", "runbookctl --user", "this runbookctl" },
                { "runbookctl ", "runbookctl --user", "runbookctl " },
                { "runbookctl  list", "runbookctl --user", "runbookctl  list" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *s = hint_fill(cases[i].text, cases[i].command);

                assert_string_equal(s, cases[i].filled);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_fill) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
