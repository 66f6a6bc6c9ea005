/* Values between the bus and JSON: types, caps, hostile shapes; and dictionaries of options. */
#include "test.h"

#include "bus-convert.h"
#include "bus-error.h"
#include "pair.h"
#include "tree.h"

static Pair pair;

static int setup(void **state) {
        pair = (Pair) {};
        pair_init(&pair);
        return 0;
}

static int teardown(void **state) {
        pair_done(&pair);
        return 0;
}

/* A sealed message with these arguments, ready to be read. */
static sd_bus_message *message_new(void) {
        sd_bus_message *m;
        assert_true(sd_bus_message_new_method_call(pair.ours, &m, "a.b", "/", "a.b", "C") >= 0);
        return m;
}

static void seal(sd_bus_message *m) {
        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        assert_true(sd_bus_message_rewind(m, true) >= 0);
}

static Json *parse(const char *text) {
        Json *j;
        assert_ok(json_parse(text, strlen(text), &j));
        return j;
}

static void check_read(sd_bus_message *m, const char *expected) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *j = NULL, *x = parse(expected);
        seal(m);
        assert_true(bus_read_values(m, &j, &error) >= 0);
        if (!json_equal(j, x))
                fail_msg("%s is not %s", json_to_string(j, false), expected);
        sd_bus_message_unref(m);
}

static void check_refused(sd_bus_message *m, const char *name) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *j = NULL;
        seal(m);
        assert_true(bus_read_values(m, &j, &error) < 0);
        assert_string_equal(error.name, name);
        assert_null(j);
        sd_bus_message_unref(m);
}

static void test_read_types(void **state) {
        sd_bus_message *m = message_new();
        assert_true(sd_bus_message_append(m, "a{sv}", 13, "s", "s", "Käse", "x", "x", INT64_MIN, "d", "d", 0.5, "b", "b", 1, "y", "y", 200,
                                          "n", "n", -3, "q", "q", 65535, "i", "i", -7, "u", "u", UINT32_MAX, "t", "t",
                                          UINT64_C(9007199254740993), "as", "as", 2, "a", "b", "ss", "a{ss}", 1, "k", "v", "av", "av", 2,
                                          "s", "z", "b", 0) >= 0);
        check_read(m, "{\"s\":\"Käse\",\"x\":-9223372036854775808,\"d\":0.5,\"b\":true,\"y\":200,\"n\":-3,\"q\":65535,\"i\":-7,\"u\":"
                      "4294967295,\"t\":9007199254740993,"
                      "\"as\":[\"a\",\"b\"],\"ss\":{\"k\":\"v\"},\"av\":[\"z\",false]}");
        m = message_new();
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        check_read(m, "{}");
        m = message_new();
        assert_true(sd_bus_message_append(m, "a{sv}", 2, "v", "v", "v", "i", 1, "o", "a{sv}", 1, "p", "a{sv}", 0) >= 0);
        check_read(m, "{\"v\":1,\"o\":{\"p\":{}}}");
        m = message_new();
        assert_true(sd_bus_message_append(m, "a{sv}", 2, "ai", "ai", 2, 1, 2, "as", "as", 0) >= 0);
        check_read(m, "{\"ai\":[1,2],\"as\":[]}");
}

static void test_if_any(void **state) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *none = NULL, *some = NULL;
        const char *behind;
        sd_bus_message *m = message_new();
        assert_true(sd_bus_message_append(m, "a{sv}a{sv}s", 0, 1, "a", "b", 1, "behind") >= 0);
        seal(m);
        assert_true(bus_read_values_if_any(m, &none, &error) >= 0);
        assert_null(none);
        assert_true(bus_read_values_if_any(m, &some, &error) >= 0);
        assert_true(json_bool(json_get(some, "a")));
        assert_true(sd_bus_message_read_basic(m, 's', &behind) > 0);
        assert_string_equal(behind, "behind");
        sd_bus_message_unref(m);
}

static void test_refused_types(void **state) {
        static const struct {
                const char *signature;
        } types[] = {{"o"}, {"g"}};
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                sd_bus_message *m = message_new();
                assert_true(sd_bus_message_append(m, "a{sv}", 1, "x", types[i].signature, i == 0 ? "/" : "s") >= 0);
                check_refused(m, SD_BUS_ERROR_INVALID_ARGS);
        }
        sd_bus_message *m = message_new();
        assert_true(sd_bus_message_append(m, "a{sv}", 1, "x", "(s)", "a") >= 0);
        check_refused(m, SD_BUS_ERROR_INVALID_ARGS);
        m = message_new();
        assert_true(sd_bus_message_append(m, "a{sv}", 1, "x", "a{is}", 1, 1, "a") >= 0);
        check_refused(m, SD_BUS_ERROR_INVALID_ARGS);
        m = message_new();
        assert_true(sd_bus_message_append(m, "a{sv}", 2, "x", "i", 1, "x", "i", 1) >= 0);
        check_refused(m, SD_BUS_ERROR_INVALID_ARGS);
        static const double numbers[] = {__builtin_nan(""), __builtin_inf(), -__builtin_inf()};
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                m = message_new();
                assert_true(sd_bus_message_append(m, "a{sv}", 1, "x", "d", numbers[i]) >= 0);
                check_refused(m, SD_BUS_ERROR_INVALID_ARGS);
        }
}

/* {"x": [[…]]}, depth arrays in each other. */
static sd_bus_message *nested(unsigned depth) {
        sd_bus_message *m = message_new();
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0 && sd_bus_message_open_container(m, 'e', "sv") >= 0 &&
                    sd_bus_message_append(m, "s", "x") >= 0);
        for (unsigned i = 0; i < depth; i++)
                assert_true(sd_bus_message_open_container(m, 'v', "av") >= 0 && sd_bus_message_open_container(m, 'a', "v") >= 0);
        for (unsigned i = 0; i < 2 * depth + 2; i++)
                assert_true(sd_bus_message_close_container(m) >= 0);
        return m;
}

static void test_depth(void **state) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *j = NULL;
        sd_bus_message *m = nested(CONVERT_DEPTH_MAX - 1);
        seal(m);
        assert_true(bus_read_values(m, &j, &error) >= 0);
        sd_bus_message_unref(m);
        check_refused(nested(CONVERT_DEPTH_MAX), "org.runbookd1.Error.TooLarge");
        check_refused(nested(40), "org.runbookd1.Error.TooLarge");
}

static void test_size(void **state) {
        _cleanup_free_ char *text = malloc(CONVERT_SIZE_MAX + 1);
        assert_non_null(text);
        memset(text, 'x', CONVERT_SIZE_MAX);
        text[CONVERT_SIZE_MAX] = 0;
        sd_bus_message *m = message_new();
        assert_true(sd_bus_message_append(m, "a{sv}", 1, "x", "s", text) >= 0);
        check_refused(m, "org.runbookd1.Error.TooLarge");
        text[CONVERT_SIZE_MAX - 100] = 0;
        m = message_new();
        assert_true(sd_bus_message_append(m, "a{sv}", 1, "x", "s", text) >= 0);
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ Json *j = NULL;
        seal(m);
        assert_true(bus_read_values(m, &j, &error) >= 0);
        sd_bus_message_unref(m);
}

/* Many small values count too. */
static void test_number_of_values(void **state) {
        size_t n = CONVERT_SIZE_MAX / 2;
        uint8_t *bytes = calloc(n, 1);
        sd_bus_message *m = message_new();
        assert_non_null(bytes);
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0 && sd_bus_message_open_container(m, 'e', "sv") >= 0 &&
                    sd_bus_message_append(m, "s", "x") >= 0 && sd_bus_message_open_container(m, 'v', "ay") >= 0 &&
                    sd_bus_message_append_array(m, 'y', bytes, n) >= 0);
        for (unsigned i = 0; i < 3; i++)
                assert_true(sd_bus_message_close_container(m) >= 0);
        check_refused(m, "org.runbookd1.Error.TooLarge");
        free(bytes);
}

static void check_round_trip(const char *text, const char *expected) {
        _cleanup_json_ Json *j = parse(text);
        sd_bus_message *m = message_new();
        assert_true(bus_append_values(m, j) >= 0);
        check_read(m, expected);
}

static void test_append(void **state) {
        static const char text[] = "{\"s\":\"a\",\"x\":-5,\"d\":1.5,\"b\":false,\"l\":[1,[2,{}],\"x\"],\"o\":{\"p\":{\"q\":[]}}}";
        check_round_trip(text, text);
        check_round_trip("{\"a\":null,\"l\":[null,1,null],\"o\":{\"n\":null}}", "{\"l\":[1],\"o\":{}}");
        check_round_trip("{\"nul\":\"a\\u0000b\"}", "{\"nul\":\"a\\ufffdb\"}");
        check_round_trip("{\"k\\ufffe\":\"a\\uffffb\"}", "{\"k\\ufffd\":\"a\\ufffdb\"}");
}

/* Deeper than the bus can take: JSON text from there on. */
static void test_append_deep(void **state) {
        char text[128] = "{\"x\":", expected[128] = "{\"x\":";
        for (unsigned i = 0; i < 30; i++)
                strcat(text, "[");
        for (unsigned i = 0; i < 30; i++)
                strcat(text, "]");
        strcat(text, "}");
        for (unsigned i = 0; i < CONVERT_DEPTH_MAX - 1; i++)
                strcat(expected, "[");
        strcat(expected, "\"");
        for (unsigned i = 0; i < 30 - (CONVERT_DEPTH_MAX - 1); i++)
                strcat(expected, "[");
        for (unsigned i = 0; i < 30 - (CONVERT_DEPTH_MAX - 1); i++)
                strcat(expected, "]");
        strcat(expected, "\"");
        for (unsigned i = 0; i < CONVERT_DEPTH_MAX - 1; i++)
                strcat(expected, "]");
        strcat(expected, "}");
        check_round_trip(text, expected);
}

static void test_append_text(void **state) {
        sd_bus_message *m = message_new();
        const char *a, *b, *c;
        assert_true(bus_append_text(m, "Käse") >= 0 && bus_append_text(m, "a\xff\xfe" "b") >= 0 && bus_append_text(m, NULL) >= 0);
        seal(m);
        assert_true(sd_bus_message_read(m, "sss", &a, &b, &c) >= 0);
        assert_string_equal(a, "Käse");
        assert_string_equal(b, "a\xef\xbf\xbd\xef\xbf\xbd" "b");
        assert_string_equal(c, "");
        sd_bus_message_unref(m);
        m = message_new();
        assert_true(bus_append_text(m, "a\xef\xbf\xbe" "b") >= 0);
        seal(m);
        assert_true(sd_bus_message_read(m, "s", &a) >= 0);
        assert_string_equal(a, "a\xef\xbf\xbd" "b");
        sd_bus_message_unref(m);
}

static void test_type_values(void **state) {
        InputSpec specs[] = {{.name = (char[]){"i"}, .type = INPUT_INTEGER},
                             {.name = (char[]){"s"}, .type = INPUT_STRING},
                             {.name = (char[]){"c"}, .type = INPUT_CHOICE},
                             {.name = (char[]){"l"}, .type = INPUT_LIST}};
        _cleanup_json_ Json *j = parse("{\"i\":\"12\",\"s\":\"12\",\"c\":\"[]\",\"l\":\"[1]\",\"other\":\"1\"}"),
                            *x = parse("{\"i\":12,\"s\":\"12\",\"c\":\"[]\",\"l\":[1],\"other\":\"1\"}");
        char *text = NULL;
        assert_ok(bus_type_values(j, specs, ELEMENTSOF(specs), &text));
        assert_true(json_equal(j, x));
        static const char *const wrong[] = {"{\"i\":\"x\"}", "{\"l\":\"[\"}", "{\"l\":\"null\"}", "{\"i\":\"\"}"};
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                _cleanup_json_ Json *w = parse(wrong[i]);
                assert_int_equal(bus_type_values(w, specs, ELEMENTSOF(specs), &text), -EINVAL);
                assert_non_null(text);
                free(text);
                text = NULL;
        }
}

/* ---- options ---- */

typedef struct Target {
        const char *text;
        int flag;
        uint32_t number;
        usec_t time;
        char **list;
        Json *values, *labels;
} Target;

#define LIST_MAX 64u

static const BusOption table[] = {
        {"Text", OPTION_STRING, offsetof(Target, text), 4},  {"Flag", OPTION_BOOL, offsetof(Target, flag)},
        {"Number", OPTION_U32, offsetof(Target, number)},    {"List", OPTION_STRINGS, offsetof(Target, list), LIST_MAX},
        {"Time", OPTION_TIME, offsetof(Target, time)},
        {"Values", OPTION_VALUES, offsetof(Target, values)}, {"Labels", OPTION_LABELS, offsetof(Target, labels)},
};

static void target_done(Target *t) {
        strings_free(t->list);
        json_unref(t->values);
        json_unref(t->labels);
}

static void test_options(void **state) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(target_done) Target t = {};
        sd_bus_message *m = message_new();
        assert_true(sd_bus_message_append(m, "a{sv}", 7, "Text", "s", "abcd", "Flag", "b", 1, "Number", "u", 7u, "List", "as", 2, "x", "y",
                                          "Values", "a{sv}", 1, "k", "i", 1, "Labels", "a{ss}", 1, "k", "v", "Time", "t",
                                          UINT64_C(1) << 60) >= 0);
        seal(m);
        assert_true(bus_read_options(m, table, ELEMENTSOF(table), &t, &error) >= 0);
        assert_string_equal(t.text, "abcd");
        assert_true(t.flag);
        assert_int_equal(t.number, 7);
        assert_int_equal(t.time, UINT64_C(1) << 60);
        assert_string_equal(t.list[1], "y");
        assert_int_equal(json_int(json_get(t.values, "k")), 1);
        assert_string_equal(json_string(json_get(t.labels, "k")), "v");
        sd_bus_message_unref(m);
}

static void check_options_refused(sd_bus_message *m, const char *name) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(target_done) Target t = {};
        seal(m);
        assert_true(bus_read_options(m, table, ELEMENTSOF(table), &t, &error) < 0);
        assert_string_equal(error.name, name);
        sd_bus_message_unref(m);
}

static void test_wrong_options(void **state) {
        sd_bus_message *m;
#define CHECK(name, ...)                                                \
        m = message_new();                                              \
        assert_true(sd_bus_message_append(m, "a{sv}", __VA_ARGS__) >= 0); \
        check_options_refused(m, name)
        CHECK(SD_BUS_ERROR_INVALID_ARGS, 1, "text", "s", "a");
        CHECK(SD_BUS_ERROR_INVALID_ARGS, 1, "", "s", "a");
        CHECK(SD_BUS_ERROR_INVALID_ARGS, 2, "Text", "s", "a", "Text", "s", "a");
        CHECK(SD_BUS_ERROR_INVALID_ARGS, 1, "Text", "i", 1);
        CHECK(SD_BUS_ERROR_INVALID_ARGS, 1, "Number", "i", 1);
        CHECK(SD_BUS_ERROR_INVALID_ARGS, 1, "Flag", "s", "true");
        CHECK(SD_BUS_ERROR_INVALID_ARGS, 1, "Labels", "a{sv}", 0);
        CHECK(SD_BUS_ERROR_INVALID_ARGS, 1, "Time", "x", INT64_C(1));
        CHECK("org.runbookd1.Error.TooLarge", 1, "Text", "s", "abcde");
        /* After what owns memory: it is freed. */
        CHECK(SD_BUS_ERROR_INVALID_ARGS, 3, "List", "as", 1, "x", "Values", "a{sv}", 0, "Nosuch", "b", 1);
#undef CHECK
}

/* An option List of n strings of this size. */
static sd_bus_message *list_new(unsigned n, size_t size) {
        _cleanup_free_ char *text = calloc(size + 1, 1);
        sd_bus_message *m = message_new();
        assert_non_null(text);
        memset(text, 'x', size);
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0 && sd_bus_message_open_container(m, 'e', "sv") >= 0 &&
                    sd_bus_message_append(m, "s", "List") >= 0 && sd_bus_message_open_container(m, 'v', "as") >= 0 &&
                    sd_bus_message_open_container(m, 'a', "s") >= 0);
        for (unsigned i = 0; i < n; i++)
                assert_true(sd_bus_message_append(m, "s", text) >= 0);
        for (unsigned i = 0; i < 4; i++)
                assert_true(sd_bus_message_close_container(m) >= 0);
        return m;
}

static void check_list_taken(unsigned n, size_t size) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(target_done) Target t = {};
        sd_bus_message *m = list_new(n, size);
        seal(m);
        assert_true(bus_read_options(m, table, ELEMENTSOF(table), &t, &error) >= 0);
        assert_non_null(t.list);                        /* given, if empty */
        assert_null(t.list[n]);
        assert_int_equal(bus_check_only(t.list, &error), n == 0 ? -EINVAL : 0);
        sd_bus_message_unref(m);
}

/* What is too long is refused where the cap is, and not after a list of any length was read: everybody may send one. */
static void test_long_list(void **state) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(target_done) Target t = {};
        const char *next;
        sd_bus_message *m = list_new(LIST_MAX + 2, 1);
        seal(m);
        assert_true(bus_read_options(m, table, ELEMENTSOF(table), &t, &error) < 0);
        assert_string_equal(error.name, "org.runbookd1.Error.TooLarge");
        assert_int_equal(sd_bus_message_at_end(m, false), 0);
        assert_true(sd_bus_message_read_basic(m, 's', &next) > 0);
        assert_string_equal(next, "x");
        sd_bus_message_unref(m);
}

static void test_caps_of_options(void **state) {
        check_options_refused(list_new(LIST_MAX + 1, 1), "org.runbookd1.Error.TooLarge");
        check_options_refused(list_new(1, STRINGS_ENTRY_MAX + 1), "org.runbookd1.Error.TooLarge");
        check_list_taken(LIST_MAX, STRINGS_ENTRY_MAX);
        check_list_taken(0, 0);
        assert_int_equal(bus_check_only(NULL, NULL), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
static const struct CMUnitTest tests[] = {
        TEST(test_read_types),       TEST(test_refused_types), TEST(test_depth),         TEST(test_size),
        TEST(test_number_of_values), TEST(test_append),        TEST(test_append_deep),   TEST(test_append_text),
        TEST(test_type_values),      TEST(test_options),       TEST(test_wrong_options), TEST(test_caps_of_options),
        TEST(test_if_any),           TEST(test_long_list),
};
TEST_MAIN(tests)
