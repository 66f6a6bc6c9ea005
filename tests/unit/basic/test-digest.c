/* The digests against the published vectors. */
#include "test.h"

#include "digest.h"

static void test_vectors(void **state) {
        char hex[DIGEST_HEX_SIZE];
        digest_hex("", 0, hex);
        assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        digest_hex("abc", 3, hex);
        assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_quick(void **state) {
        assert_true(quick_digest(QUICK_DIGEST_START, "", 0) == UINT64_C(0xcbf29ce484222325));
        assert_true(quick_digest(QUICK_DIGEST_START, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
        assert_true(quick_digest(QUICK_DIGEST_START, "foobar", 6) == UINT64_C(0x85944171f73967e8));
        assert_true(quick_digest(quick_digest(QUICK_DIGEST_START, "foo", 3), "bar", 3) == UINT64_C(0x85944171f73967e8));
}

/* The order counts, and each of what is added. */
static void test_quick_add(void **state) {
        uint64_t a = quick_digest(QUICK_DIGEST_START, "a", 1), b = quick_digest(QUICK_DIGEST_START, "b", 1), h = QUICK_DIGEST_START;

        assert_true(quick_digest_add(h, a) != quick_digest_add(h, b));
        assert_true(quick_digest_add(quick_digest_add(h, a), b) != quick_digest_add(quick_digest_add(h, b), a));
        assert_true(quick_digest_add(quick_digest_add(h, a), 0) != quick_digest_add(h, a));
        assert_true(quick_digest_add(quick_digest_add(h, a), b) == quick_digest_add(quick_digest_add(h, a), b));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_quick),
        cmocka_unit_test(test_quick_add),
};
TEST_MAIN(tests)
