/* What every cmocka program needs, in the order in which cmocka.h needs it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_ok(expr) assert_int_equal((expr), 0)
#define TEST_MAIN(tests) int main(void) { return cmocka_run_group_tests(tests, NULL, NULL); }
