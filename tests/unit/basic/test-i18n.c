/* Without a catalogue texts come back as they are, plurals by the English rule. */
#include "test.h"

#include "i18n.h"
#include "macros.h"

static void test_untranslated(void **state) {
        assert_ok(setenv("LC_ALL", "C.UTF-8", 1));
        assert_ok(setenv("RUNBOOKD_LOCALEDIR", "/nonexistent", 1));
        i18n_init();
        assert_string_equal(_("no such text"), "no such text");
        assert_string_equal(N_("x"), "x");
        assert_string_equal(P_("one", "many", 1), "one");
        assert_string_equal(P_("one", "many", 2), "many");
        assert_string_equal(textdomain(NULL), PACKAGE);
        assert_string_equal(bindtextdomain(PACKAGE, NULL), "/nonexistent");
        assert_string_equal(bind_textdomain_codeset(PACKAGE, NULL), "UTF-8");
}

static void test_installed_directory(void **state) {
        assert_ok(setenv("RUNBOOKD_LOCALEDIR", "", 1));
        i18n_init();
        assert_string_equal(bindtextdomain(PACKAGE, NULL), LOCALEDIR);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_untranslated),
        cmocka_unit_test(test_installed_directory),
};
TEST_MAIN(tests)
