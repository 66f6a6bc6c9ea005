/* Is it for me? (S1.14) */
#include "test.h"

#include <grp.h>
#include <pwd.h>

#include "fd-util.h"
#include "who.h"

static bool is(const Who *w, const char *prefix, const char *name) {
        _cleanup_free_ char *principal = xasprintf("%s%s", prefix, name);
        return who_is(w, principal);
}

static void test_this_process(void **state) {
        _cleanup_(who_done) Who w = {};
        assert_ok(who_load(&w));
        assert_int_equal(w.uid, getuid());
        assert_true(w.n_groups > 0);
        const struct group *g = getgrgid(getegid());
        if (g)
                assert_true(is(&w, "group:", g->gr_name));
        const struct passwd *u = getpwuid(getuid());
        if (u) {
                assert_true(is(&w, "", u->pw_name));
                assert_true(is(&w, "user:", u->pw_name));
                assert_false(is(&w, "group:no-such-", u->pw_name));
        }
}

/* root and its group are on every machine; the user here is another one. */
static void test_others(void **state) {
        gid_t groups[] = {4000000000u, 0};
        Who w = {.uid = 4000000001u, .groups = groups, .n_groups = 1};
        assert_false(who_is(&w, "root"));
        assert_false(who_is(&w, "user:root"));
        assert_false(who_is(&w, "group:root"));
        w.n_groups = 2;
        assert_true(who_is(&w, "group:root"));
        assert_false(who_is(&w, "root"));               /* a group is no user of the same name */
        w.uid = 0;
        assert_true(who_is(&w, "root"));
        static const char *const nobody[] = {"", "user:", "group:", "no-such-user", "group:no-such-group", "user:group:root", "0"};
        for (size_t i = 0; i < ELEMENTSOF(nobody); i++)
                assert_false(who_is(&w, nobody[i]));
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_this_process), cmocka_unit_test(test_others)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
