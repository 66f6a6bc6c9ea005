/* S2.3: the table of permissions. Every method of the interfaces has a line, which is the one that docs/security.md tells; an action that is needed is in polkit's file. What follows
 * from the lines is shown by tests/bus/test_polkit.py, with the daemon. */
#include "test.h"

#include <stdio.h>

#include "bus-private.h"

static char *read_file(const char *path) {
        FILE *f = fopen(path, "re");
        size_t n = 0, size = 1 << 20;
        char *text = malloc(size + 1);
        assert_non_null(text);
        if (!f)
                fail_msg("%s: %m", path);
        n = fread(text, 1, size, f);
        text[n] = 0;
        assert_true(n > 0 && n < size);
        (void) fclose(f);
        return text;
}

/* The next name="…" of such an element; NULL: there is none. */
static const char *next_name(const char *text, const char *element, char *ret, size_t size) {
        const char *s = strstr(text, element);
        if (!s)
                return NULL;
        s += strlen(element);
        (void) snprintf(ret, size, "%.*s", (int) strcspn(s, "\""), s);
        return s;
}

static unsigned each_method(const char *interface, void (*visit)(const char *interface, const char *method)) {
        char path[4096], method[128];
        unsigned n = 0;
        (void) snprintf(path, sizeof(path), "%s/dbus/%s.xml", SOURCE, interface);
        _cleanup_free_ char *text = read_file(path);
        for (const char *s = text; (s = next_name(s, "<method name=\"", method, sizeof(method)));) {
                visit(interface, method);
                n++;
        }
        return n;
}

static unsigned each(void (*visit)(const char *interface, const char *method)) {
        return each_method(BUS_MANAGER, visit) + each_method(BUS_RUN, visit) + each_method(BUS_ACTIVITY, visit);
}

static void has_line(const char *interface, const char *method) {
        if (!bus_method_permission(interface, method))
                fail_msg("%s.%s has no line in bus-authorize.c", interface, method);
}

static void test_every_method_has_a_line(void **state) {
        assert_true(each(has_line) > 25);
        assert_null(bus_method_permission(BUS_RUN, "NoSuchMethod"));
        assert_null(bus_method_permission(BUS_MANAGER, "Cancel"));
        assert_null(bus_method_permission(NULL, "Cancel"));
        assert_null(bus_method_permission(BUS_RUN, NULL));
}

/* A row is | `Run.Cancel`, `Run.Pause` | `org.runbookd1.operate` | … |: the last word in backquotes of the second column is the permission. */
static const char *documented(const char *docs, const char *interface, const char *method, char *ret, size_t size) {
        char word[128];
        (void) snprintf(word, sizeof(word), "`%s.%s`", strrchr(interface, '.') + 1, method);
        for (const char *line = docs; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                const char *end = line + strcspn(line, "\n"), *found = strstr(line, word);
                if (*line != '|' || !found || found > end)
                        continue;
                const char *cell = strchr(found, '|');
                assert_true(cell && cell < end && strchr(cell, '`'));
                cell = strchr(cell, '`') + 1;
                (void) snprintf(ret, size, "%.*s", (int) strcspn(cell, "`"), cell);
                return ret;
        }
        return NULL;
}

static char *docs;

static void is_documented(const char *interface, const char *method) {
        char said[128];
        if (!documented(docs, interface, method, said, sizeof(said)))
                fail_msg("%s.%s is not in the table of docs/security.md", interface, method);
        assert_string_equal(said, bus_method_permission(interface, method));
}

static void test_docs(void **state) {
        docs = read_file(SOURCE "/docs/security.md");
        (void) each(is_documented);
        free(docs);
}

static char *policy;

static void is_registered(const char *interface, const char *method) {
        char element[128];
        const char *action = bus_method_permission(interface, method);
        if (!startswith(action, BUS_NAME "."))
                return;
        (void) snprintf(element, sizeof(element), "<action id=\"%s\">", action);
        if (!strstr(policy, element))
                fail_msg("%s is no action of dbus/org.runbookd1.policy", action);
}

/* any, inactive, active */
static void test_policy(void **state) {
        static const struct {
                const char *action, *defaults[3];
        } wanted[] = {
                {"start", {"auth_admin", "auth_admin", "auth_admin_keep"}},
                {"operate", {"auth_admin", "auth_admin", "auth_admin_keep"}},
                {"answer", {"yes", "yes", "yes"}},
                {"read", {"auth_admin", "auth_admin", "auth_admin_keep"}},
                {"manage", {"auth_admin", "auth_admin", "auth_admin"}},
        };
        static const char *const elements[] = {"<allow_any>", "<allow_inactive>", "<allow_active>"};
        policy = read_file(SOURCE "/dbus/org.runbookd1.policy");
        (void) each(is_registered);
        for (size_t i = 0; i < ELEMENTSOF(wanted); i++) {
                char element[128];
                (void) snprintf(element, sizeof(element), "<action id=\"org.runbookd1.%s\">", wanted[i].action);
                const char *s = strstr(policy, element);
                assert_non_null(s);
                for (size_t k = 0; k < ELEMENTSOF(elements); k++) {
                        assert_non_null(s = strstr(s, elements[k]));
                        s += strlen(elements[k]);
                        (void) snprintf(element, sizeof(element), "%.*s", (int) strcspn(s, "<"), s);
                        assert_string_equal(element, wanted[i].defaults[k]);
                }
        }
        free(policy);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_method_has_a_line),
        cmocka_unit_test(test_docs),
        cmocka_unit_test(test_policy),
};
TEST_MAIN(tests)
