/* Configuration files: each parser, each kind of mistake with its line, and the lines that libinih alone would cut. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>

#include "fd-util.h"
#include "ini-file.h"
#include "time-util.h"

typedef struct Settings {
        unsigned slots;
        uint64_t size;
        usec_t wait;
        unsigned quiet;
        char *name;
} Settings;

static const IniItem table[] = {
        {"Manager", "Slots", ini_parse_unsigned, offsetof(Settings, slots), 1, 1000, "1 to 1000"},
        {"Manager", "Size", ini_parse_u64, offsetof(Settings, size), 0, 0, "a size such as 64K"},
        {"Manager", "Wait", ini_parse_sec, offsetof(Settings, wait), USEC_PER_SEC, USEC_PER_DAY, "1s to 1d"},
        {"Log", "Quiet", ini_parse_unsigned, offsetof(Settings, quiet), 0, 1, "0 or 1"},
        {"Log", "Name", ini_parse_text, offsetof(Settings, name), 0, 0, "text"},
};

static void read_text(const char *text, Settings *s, Diagnostics *d) {
        assert_ok(ini_read_text(text, strlen(text), table, ELEMENTSOF(table), s, d));
        assert_int_equal(d->n_errors, 0);
}

static void settings_done(Settings *s) {
        free(s->name);
}

static void test_values(void **state) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(settings_done) Settings s = {};
        read_text("\xef\xbb\xbf# comment\n[Manager]\nSlots=5\r\n Size = 64K\n\n; more\nWait: 1min 30s\n[Log]\nQuiet=1\nName=one\nName=a "
                  "; b # c\n",
                  &s, &d);
        assert_int_equal(d.n_warnings, 0);
        assert_int_equal(s.slots, 5);
        assert_int_equal(s.size, 65536);
        assert_int_equal(s.wait, 90 * USEC_PER_SEC);
        assert_true(s.quiet);
        assert_string_equal(s.name, "a ; b # c");       /* no comments inside of lines; the last one holds */
        read_text("[Log]\nName=\nQuiet=0", &s, &d);
        assert_null(s.name);
        assert_false(s.quiet);
}

/* An indented line is a line of its own, where libinih would join it to the one before. */
static void test_indented(void **state) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(settings_done) Settings s = {};
        read_text("[Manager]\nSlots=5\n   Size=7\n  # Wait=2s\n", &s, &d);
        assert_int_equal(d.n_warnings, 0);
        assert_int_equal(s.slots, 5);
        assert_int_equal(s.size, 7);
}

static void test_long_lines(void **state) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(settings_done) Settings s = {};
        _cleanup_free_ char *value = malloc(100001);
        memset(value, 'v', 100000);
        value[100000] = 0;
        _cleanup_free_ char *text = xasprintf("[Log]\nName=%s\nQuiet=1\n", value);
        read_text(text, &s, &d);
        assert_int_equal(d.n_warnings, 0);
        assert_string_equal(s.name, value);
        assert_true(s.quiet);

        _cleanup_free_ char *key = xasprintf("[Log]\n%s=1\nQuiet=0\n", value), *section = xasprintf("[%s]\nQuiet=1\n", value);
        read_text(key, &s, &d);
        assert_int_equal(d.n_warnings, 1);
        assert_int_equal(d.items[0].line, 2);
        assert_false(s.quiet);
        read_text(section, &s, &d);
        assert_int_equal(d.n_warnings, 2);
        assert_int_equal(d.items[1].line, 1);
        assert_false(s.quiet);
}

static void check_warning(const char *text, unsigned line, const char *part) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(settings_done) Settings s = {.slots = 3, .size = 4, .wait = 5};
        read_text(text, &s, &d);
        if (d.n_warnings != 1 || d.items[0].line != line || !strstr(d.items[0].message, part))
                fail_msg("%s: %u warnings: %u: %s", text, d.n_warnings, d.n_items > 0 ? d.items[0].line : 0,
                         d.n_items > 0 ? d.items[0].message : "");
        assert_int_equal(s.slots, 3);
        assert_int_equal(s.size, 4);
        assert_int_equal(s.wait, 5);
        assert_false(s.quiet);
        assert_null(s.name);
}

static void test_warnings(void **state) {
        check_warning("[Manager]\n\nSlots=x\n", 3, "1 to 1000");
        check_warning("[Manager]\nSlots=0\n", 2, "out of range");
        check_warning("[Manager]\nSlots=1001\n", 2, "out of range");
        check_warning("[Manager]\nSlots=4294967297\n", 2, "out of range");
        check_warning("[Manager]\nSlots=\n", 2, "no right value");
        check_warning("[Manager]\nSlots=-1\n", 2, "no right value");
        check_warning("[Manager]\nSlots=1K\n", 2, "no right value");
        check_warning("[Manager]\nSize=1KB\n", 2, "64K");
        check_warning("[Manager]\nSize=99999999T\n", 2, "out of range");
        check_warning("[Manager]\nSize=99999999999999999999\n", 2, "out of range");
        check_warning("[Manager]\nWait=10ms\n", 2, "out of range");
        check_warning("[Manager]\nWait=infinity\n", 2, "out of range");
        check_warning("[Manager]\nWait=soon\n", 2, "no right value");
        check_warning("[Log]\nQuiet=maybe\n", 2, "0 or 1");
        check_warning("[Manager]\nSlot=5\n", 2, "did you mean 'Slots'");
        check_warning("[Manager]\nQuiet=1\n", 2, "no setting 'Quiet'");
        check_warning("[Manger]\nSlots=9\nSize=9\n", 1, "no section [Manger]");
        check_warning("# x\n[Empty]\n", 2, "no section [Empty]");
        check_warning("Slots=5\n", 1, "before the first section");
        check_warning("[Manager]\nSlots\n", 2, "'Slots' is no setting");
        check_warning("[Manager\n", 1, "no ']'");
        check_warning("[Manager]\n\n=5\n", 3, "no setting ''");
        check_warning("[Manager]\nSlots=\xff\n", 2, "UTF-8");
}

static void test_bad_section_hides_its_keys(void **state) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(settings_done) Settings s = {};
        read_text("[Manager]\nSlots=2\n[Other]\nSlots=5\n[Manager]\nSize=1G\n[Manager\nSize=2G\n", &s, &d);
        assert_int_equal(d.n_warnings, 2);
        assert_int_equal(s.slots, 2);
        assert_int_equal(s.size, UINT64_C(1) << 30);
}

static void test_file(void **state) {
        char path[] = "/tmp/test-ini-file-XXXXXX";
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(settings_done) Settings s = {};
        _cleanup_close_ int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_ok(write_all(fd, "[Manager]\nSlots=7\n", 18));
        assert_ok(ini_read_file(path, table, ELEMENTSOF(table), &s, &d));
        assert_int_equal(s.slots, 7);
        assert_ok(ftruncate(fd, INI_FILE_MAX + 1));
        assert_int_equal(ini_read_file(path, table, ELEMENTSOF(table), &s, &d), -EFBIG);
        assert_ok(unlink(path));
        assert_int_equal(ini_read_file(path, table, ELEMENTSOF(table), &s, &d), -ENOENT);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_indented),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_bad_section_hides_its_keys),
        cmocka_unit_test(test_file),
};
TEST_MAIN(tests)
