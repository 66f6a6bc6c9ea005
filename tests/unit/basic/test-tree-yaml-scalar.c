/* The core schema of YAML 1.2, each row of it. */
#include "test.h"

#include "tree-internal.h"

static void test_types(void **state) {
        static const struct {
                const char *text;
                NodeType type;
                double number;
        } table[] = {
                {"", NODE_NULL, 0},
                {"~", NODE_NULL, 0},
                {"null", NODE_NULL, 0},
                {"Null", NODE_NULL, 0},
                {"NULL", NODE_NULL, 0},
                {"true", NODE_BOOL, 1},
                {"True", NODE_BOOL, 1},
                {"TRUE", NODE_BOOL, 1},
                {"false", NODE_BOOL, 0},
                {"False", NODE_BOOL, 0},
                {"FALSE", NODE_BOOL, 0},
                {"0", NODE_INT, 0},
                {"-19", NODE_INT, -19},
                {"+12", NODE_INT, 12},
                {"0755", NODE_INT, 755},
                {"0o17", NODE_INT, 15},
                {"0x1fF", NODE_INT, 511},
                {"9223372036854775807", NODE_INT, 9223372036854775807.0},
                {"-9223372036854775808", NODE_INT, -9223372036854775808.0},
                {"1.5", NODE_DOUBLE, 1.5},
                {"-1.5e3", NODE_DOUBLE, -1500},
                {".5", NODE_DOUBLE, 0.5},
                {"5.", NODE_DOUBLE, 5},
                {"+.5E+1", NODE_DOUBLE, 5},
                {"1e3", NODE_DOUBLE, 1000},
                {"0.", NODE_DOUBLE, 0},
                        /* booleans and numbers of YAML 1.1, and what merely looks alike */
                {"on", NODE_STRING, 0},
                {"off", NODE_STRING, 0},
                {"yes", NODE_STRING, 0},
                {"no", NODE_STRING, 0},
                {"y", NODE_STRING, 0},
                {"N", NODE_STRING, 0},
                {"tRue", NODE_STRING, 0},
                {"nULL", NODE_STRING, 0},
                {"1_000", NODE_STRING, 0},
                {"0b11", NODE_STRING, 0},
                {"190:20:30", NODE_STRING, 0},
                {"2026-11-21", NODE_STRING, 0},
                {"-0x1", NODE_STRING, 0},
                {"0o8", NODE_STRING, 0},
                {"0o", NODE_STRING, 0},
                {"0x", NODE_STRING, 0},
                {"0xg", NODE_STRING, 0},
                {".", NODE_STRING, 0},
                {"-", NODE_STRING, 0},
                {"+", NODE_STRING, 0},
                {"e5", NODE_STRING, 0},
                {"1e", NODE_STRING, 0},
                {"1e+", NODE_STRING, 0},
                {"1.5.2", NODE_STRING, 0},
                {"--1", NODE_STRING, 0},
                {".e5", NODE_STRING, 0},
                {"1 ", NODE_STRING, 0},
                {"inf", NODE_STRING, 0},
                {"nan", NODE_STRING, 0},
                {".Nan", NODE_STRING, 0},
                {"-.nan", NODE_STRING, 0},
                {"5min", NODE_STRING, 0},
        };
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Node n = {.string = table[i].text, .length = strlen(table[i].text)};
                const char *reason = NULL;
                if (yaml_resolve_plain(&n, &reason) < 0 || n.type != table[i].type)
                        fail_msg("'%s': type %d, %s", table[i].text, (int) n.type, strempty(reason));
                assert_true((n.type == NODE_BOOL ? n.boolean : n.number) == table[i].number);
        }
}

static void test_refused(void **state) {
        static const struct {
                const char *text, *part;
        } table[] = {
                {".inf", "infinity"},
                {"-.inf", "infinity"},
                {"+.INF", "infinity"},
                {".Inf", "infinity"},
                {".nan", "NaN"},
                {".NaN", "NaN"},
                {".NAN", "NaN"},
                {"9223372036854775808", "64 bits"},
                {"-9223372036854775809", "64 bits"},
                {"0xffffffffffffffff", "64 bits"},
                {"0o7777777777777777777777", "64 bits"},
                {"1e999", "too large"},
                {"-1e999", "too large"},
        };
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Node n = {.string = table[i].text, .length = strlen(table[i].text)};
                const char *reason = NULL;
                assert_int_equal(yaml_resolve_plain(&n, &reason), -EINVAL);
                assert_non_null(strstr(reason, table[i].part));
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_refused),
};
TEST_MAIN(tests)
