/* The files that steps write, read by both parsers: whatever comes out is an object that can be written as JSON and read again, and never
 * invalid text. */
#include <assert.h>

#include "step-output.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int (*parse)(const char *, size_t, Json **, char **), const char *text, size_t n) {
        _cleanup_free_ char *error = NULL, *written = NULL;
        _cleanup_json_ Json *j = NULL, *again = NULL;
        int r = parse(text, n, &j, &error);

        if (r < 0) {
                assert(r == -ENOMEM || (r == -EINVAL && error && utf8_is_valid(error, strlen(error))));
                assert(!j);
                return;
        }
        assert(!error);
        if (!j)
                return;
        assert(json_type(j) == JSON_OBJECT);
        written = json_to_string(j, false);
        assert(written && utf8_is_valid(written, strlen(written)));
        assert(json_parse(written, strlen(written), &again) == 0);
        assert(json_equal(j, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        check(step_output_parse, (const char *) data, size);
        check(step_error_parse, (const char *) data, size);
        return 0;
}
