/* Enum tables, also those with gaps. */
#include "test.h"

#include "name-table.h"

typedef enum Color { COLOR_RED, COLOR_SECRET, COLOR_BLUE, _COLOR_MAX, _COLOR_INVALID = -EINVAL } Color;
DECLARE_NAME_TABLE(Color, color);
static const char *const color_table[_COLOR_MAX] = {[COLOR_RED] = "red", [COLOR_BLUE] = "blue"};
DEFINE_NAME_TABLE(Color, color, color_table);

static void test_round_trip(void **state) {
        assert_string_equal(color_to_string(COLOR_RED), "red");
        assert_int_equal(color_from_string("blue"), COLOR_BLUE);
        assert_null(color_to_string(COLOR_SECRET));
}

static void test_unknown(void **state) {
        assert_null(color_to_string(_COLOR_MAX));
        assert_null(color_to_string(_COLOR_INVALID));
        assert_int_equal(color_from_string("Red"), _COLOR_INVALID);
        assert_int_equal(color_from_string(""), _COLOR_INVALID);
        assert_int_equal(color_from_string(NULL), _COLOR_INVALID);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_unknown),
};
TEST_MAIN(tests)
