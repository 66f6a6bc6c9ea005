/* JSON written piece by piece: commas, keys, escapes, and that all of it is read back as what was written. */
#include "test.h"

#include "json-text.h"

static void test_pieces(void **state) {
        _cleanup_strbuf_ StrBuf b = {};
        _cleanup_json_ Json *one = json_new_int(1), *list = json_new_array();

        assert_ok(json_append(list, json_ref(one)));
        json_text_open(&b, NULL, '{');
        json_text_string(&b, "s", "x");
        json_text_string(&b, "none", NULL);
        json_text_bool(&b, "yes", true);
        json_text_bool(&b, "no", false);
        json_text_uint(&b, "most", UINT64_MAX);
        json_text_open(&b, "empty", '{');
        json_text_close(&b, '}');
        json_text_open(&b, "list", '[');
        json_text_open(&b, NULL, '[');
        json_text_close(&b, ']');
        json_text_string(&b, NULL, "[");
        json_text_string(&b, NULL, "{");
        json_text_uint(&b, NULL, 0);
        json_text_value(&b, NULL, list);
        json_text_value(&b, NULL, NULL);
        json_text_close(&b, ']');
        json_text_value(&b, "value", one);
        json_text_close(&b, '}');
        assert_string_equal(b.s, "{\"s\":\"x\",\"none\":null,\"yes\":true,\"no\":false,\"most\":18446744073709551615,\"empty\":{},"
                                 "\"list\":[[],\"[\",\"{\",0,[1],null],\"value\":1}");
}

/* A text with all that has to be escaped, against the writer of values. */
static void test_escapes(void **state) {
        static const char text[] = "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f ü €";
        _cleanup_strbuf_ StrBuf b = {};
        _cleanup_json_ Json *j = json_new_string(text), *back = NULL;
        _cleanup_free_ char *expected = json_to_string(j, false);

        json_text_string(&b, NULL, text);
        assert_string_equal(b.s, expected);
        assert_ok(json_parse(b.s, b.n, &back));
        assert_string_equal(json_string(back), text);
}

static void test_out_of_memory(void **state) {
        _cleanup_strbuf_ StrBuf b = { .failed = true };

        json_text_open(&b, NULL, '[');
        json_text_string(&b, NULL, "x");
        json_text_value(&b, NULL, NULL);
        json_text_close(&b, ']');
        assert_null(strbuf_take(&b));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_out_of_memory),
};
TEST_MAIN(tests)
