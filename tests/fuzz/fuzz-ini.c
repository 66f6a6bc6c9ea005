/* Any bytes as a configuration file: every parser of settings is in the table, and whatever happens, a field holds a value in its range. */
#include <assert.h>

#include "ini-file.h"
#include "time-util.h"

typedef struct Settings {
        unsigned small;
        uint64_t large;
        usec_t span;
        char *text;
} Settings;

static const IniItem table[] = {
        {"Manager", "Small", ini_parse_unsigned, offsetof(Settings, small), 1, 100, "1 to 100"},
        {"Manager", "Large", ini_parse_u64, offsetof(Settings, large), 0, 0, "a size"},
        {"Manager", "Span", ini_parse_sec, offsetof(Settings, span), 10, USEC_PER_HOUR, "a time span"},
        {"Other", "Text", ini_parse_text, offsetof(Settings, text), 0, 0, "text"},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_diag_ Diagnostics d = {};
        Settings s = {.small = 1, .span = 10};

        int r = ini_read_text((const char *) data, size, table, ELEMENTSOF(table), &s, &d);
        assert(r == 0);
        assert(s.small >= 1 && s.small <= 100);
        assert(s.span >= 10 && s.span <= USEC_PER_HOUR);
        assert(d.n_errors == 0);
        free(s.text);
        return 0;
}
