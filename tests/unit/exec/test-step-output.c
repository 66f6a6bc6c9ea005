/* What steps hand back. */
#include "test.h"

#include <stdio.h>

#include "fd-util.h"
#include "step-output.h"

typedef struct Case {
        const char *text;
        const char *json;                               /* NULL: nothing; or what the message holds */
        bool bad;
        size_t n;                                       /* 0: strlen */
} Case;

typedef int (*Parse)(const char *text, size_t n, Json **ret, char **ret_error);

static void check(Parse parse, const Case *c) {
        _cleanup_free_ char *error = NULL, *text = NULL;
        _cleanup_json_ Json *j = NULL;
        int r = parse(c->text, c->n ? c->n : strlen(c->text), &j, &error);

        if (c->bad) {
                assert_int_equal(r, -EINVAL);
                assert_null(j);
                assert_non_null(error);
                if (!strstr(error, c->json))
                        fail_msg("'%s' is not in '%s', for '%s'", c->json, error, c->text);
                return;
        }
        if (r != 0)
                fail_msg("%d %s for '%s'", r, error, c->text);
        assert_null(error);
        text = j ? json_to_string(j, false) : NULL;
        if (!c->json)
                assert_null(text);
        else
                assert_string_equal(text, c->json);
}

static const Case output_cases[] = {
        { "", NULL },
        { "\n", NULL },
        { " \t\r\n\n", NULL },
        { "a=1", "{\"a\":\"1\"}" },
        { "a=1\n", "{\"a\":\"1\"}" },
        { "a=1\r\nb=2\r\n", "{\"a\":\"1\",\"b\":\"2\"}" },
        { "a=\n", "{\"a\":\"\"}" },
        { "a= x = y \n", "{\"a\":\" x = y \"}" },
        { "a=b<<c\n", "{\"a\":\"b<<c\"}" },
        { "\n\na=1\n\n", "{\"a\":\"1\"}" },
        { "a=1\nb=2\na=3\n", "{\"b\":\"2\",\"a\":\"3\"}" },
        { "_A-9=x", "{\"_A-9\":\"x\"}" },
        { "a<<E\nE\n", "{\"a\":\"\"}" },
        { "a<<E\n\nE\n", "{\"a\":\"\"}" },
        { "a<<E\nx\nE", "{\"a\":\"x\"}" },
        { "a<<E\nx=1\n\n  y\nE \n{\nE\nb=2", "{\"a\":\"x=1\\n\\n  y\\nE \\n{\",\"b\":\"2\"}" },
        { "a<<E\r\nx\r\ny\r\nE\r\n", "{\"a\":\"x\\ny\"}" },
        { "a<<E O F\nx\nE O F\n", "{\"a\":\"x\"}" },
        { "a=\377\n", "{\"a\":\"\357\277\275\"}" },
        { "a=x\0y\n", "{\"a\":\"x\357\277\275y\"}", .n = 6 },
        { "{}", "{}" },
        { " \n {\"a\": [1, 2.5, true, null, {\"b\": \"c\"}], \"not-a-key!\": 1}\n",
                        "{\"a\":[1,2.5,true,null,{\"b\":\"c\"}],\"not-a-key!\":1}" },
        { "{\"a\": \"x\\u0000y\"}", "{\"a\":\"x\357\277\275y\"}" },
        { "{\"a\": [\"x\\u0000y\"]}", "{\"a\":[\"x\357\277\275y\"]}" },
        { "x", "line 1", .bad = true },
        { "a=1\n=2\n", "line 2", .bad = true },
        { "a=1\n\n b=2\n", "line 3", .bad = true },
        { "1a=2", "line 1", .bad = true },
        { "a.b=2", "line 1", .bad = true },
        { "a:=2", "line 1", .bad = true },
        { "a<=2", "line 1", .bad = true },
        { "a =2", "line 1", .bad = true },
        { "# remark\n", "line 1", .bad = true },
        { "\357\273\277a=1", "line 1", .bad = true },
        { "a<<\nx\n", "line 1", .bad = true },
        { "a<< \nx\n \n", "line 1", .bad = true },
        { "b=1\na<<E\nx\ny\n", "line 2", .bad = true },
        { "a<<E\nx\n E\n", "\"E\"", .bad = true },
        { "{\"a\": 1", "JSON", .bad = true },
        { "{\"a\": 1} {\"b\": 1}", "JSON", .bad = true },
        { "{\"a\": 1}\nb=2", "JSON", .bad = true },
        { "{\"a\": 1, \"a\": 2}", "JSON", .bad = true },
        { "[1]", "line 1", .bad = true },
};

static void test_output(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(output_cases); i++)
                check(step_output_parse, output_cases + i);
}

/* Cap: keys of 64 bytes. */
static void test_key_length(void **state) {
        char line[80];

        memset(line, 'k', sizeof(line));
        strcpy(line + 64, "=1");
        _cleanup_free_ char *expected = xasprintf("{\"%.64s\":\"1\"}", line);
        check(step_output_parse, &(Case) { line, expected });
        strcpy(line + 64, "k=1");
        check(step_output_parse, &(Case) { line, "64", .bad = true });
}

/* Caps STEP_OUTPUT_MAX and STEP_ERROR_MAX, also of what text is once it was made valid. */
static void test_sizes(void **state) {
        _cleanup_free_ char *text = malloc(STEP_OUTPUT_MAX + 2);
        _cleanup_json_ Json *j = NULL;
        char *error = NULL;

        memset(text, 'x', STEP_OUTPUT_MAX + 2);
        memcpy(text, "a=", 2);
        assert_ok(step_output_parse(text, STEP_OUTPUT_MAX, &j, &error));
        assert_int_equal(json_string_length(json_get(j, "a")), STEP_OUTPUT_MAX - 2);
        check(step_output_parse, &(Case) { text, "256 KiB", .bad = true, .n = STEP_OUTPUT_MAX + 1 });
        memset(text + 2, 0, STEP_OUTPUT_MAX - 2);
        check(step_output_parse, &(Case) { text, "256 KiB", .bad = true, .n = STEP_OUTPUT_MAX / 2 });
        check(step_error_parse, &(Case) { text, "64 KiB", .bad = true, .n = STEP_ERROR_MAX + 1 });
}

static void test_nesting(void **state) {
        char text[2 * 80 + 10];
        size_t n = (size_t) snprintf(text, sizeof(text), "{\"a\":");

        memset(text + n, '[', 80);
        memset(text + n + 80, ']', 80);
        text[n + 160] = '}';
        check(step_output_parse, &(Case) { text, "JSON", .bad = true, .n = n + 161 });
}

static const Case error_cases[] = {
        { "", NULL },
        { "\n", NULL },
        { "{\"message\":\"m\"}", "{\"message\":\"m\"}" },
        { "{\"details\":{\"a\":[1]},\"x\":1,\"code\":\"C\",\"message\":\"m\",\"stack\":\"s\",\"timestamp\":5}\n",
          "{\"message\":\"m\",\"code\":\"C\",\"stack\":\"s\",\"details\":{\"a\":[1]}}" },
        { "{\"message\":\"m\",\"details\":3,\"code\":null}", "{\"message\":\"m\",\"details\":3}" },
        { "{\"message\":\"\\u0000\"}", "{\"message\":\"\357\277\275\"}" },
        { "{}", "message", .bad = true },
        { "{\"message\":\"\"}", "message", .bad = true },
        { "{\"message\":1}", "message", .bad = true },
        { "{\"message\":null}", "message", .bad = true },
        { "{\"message\":\"m\",\"code\":1}", "code", .bad = true },
        { "{\"message\":\"m\",\"code\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}", "code", .bad = true },
        { "{\"message\":\"m\",\"stack\":[]}", "stack", .bad = true },
        { "message=x", "JSON", .bad = true },
        { "[]", "JSON", .bad = true },
        { "{", "JSON", .bad = true },
};

/* S3.27: message, code, stack, details. */
static void test_S3_27_error(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(error_cases); i++)
                check(step_error_parse, error_cases + i);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output), cmocka_unit_test(test_key_length), cmocka_unit_test(test_sizes), cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_S3_27_error),
};

TEST_MAIN(tests)
