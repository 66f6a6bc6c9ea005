/* Object paths. A number has no leading zeros; a name is encoded as sd_bus_path_encode does it (checked against it by a test), but without
 * an allocation per call: every signal needs a path. Decoding takes only what encoding would give, so that each object has one path. */
#include "bus-path.h"

static bool is_alpha(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static char *encode_label(const char *name, char *p) {
        static const char hex[16] = {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
        for (const char *s = name; *s; s++)
                if (is_alpha(*s) || (s > name && is_digit(*s)))
                        *p++ = *s;
                else {
                        *p++ = '_';
                        *p++ = hex[(unsigned char) *s >> 4];
                        *p++ = hex[(unsigned char) *s & 15];
                }
        *p = 0;
        return p;
}

/* Without a NUL at its end; returns where that is. Not printf, which costs more than the rest of a signal's head. */
static char *put_run_path(uint32_t run, char *p) {
        char digits[10], *d = digits + sizeof(digits);
        do
                *--d = (char) ('0' + run % 10);
        while ((run /= 10) > 0);
        p = mempcpy(p, BUS_RUN_PREFIX, strlen(BUS_RUN_PREFIX));
        return mempcpy(p, d, (size_t) (digits + sizeof(digits) - d));
}

void bus_run_path(uint32_t run, char ret[static BUS_RUN_PATH_SIZE]) {
        *put_run_path(run, ret) = 0;
}

void bus_activity_path(uint32_t run, const char *name, char ret[static BUS_ACTIVITY_PATH_SIZE]) {
        assert(strlen(name) < BUS_ACTIVITY_NAME_SIZE);
        encode_label(name, mempcpy(put_run_path(run, ret), "/activity/", strlen("/activity/")));
}

/* Reads a number at s; returns what follows it, or NULL. */
static const char *parse_number(const char *s, uint32_t *ret) {
        uint64_t n = 0;
        if (*s < '1' || *s > '9')
                return NULL;
        for (; is_digit(*s); s++) {
                n = n * 10 + (uint64_t) (*s - '0');
                if (n > UINT32_MAX)
                        return NULL;
        }
        *ret = (uint32_t) n;
        return s;
}

bool bus_parse_run_path(const char *path, uint32_t *ret) {
        uint32_t run;
        const char *s = startswith(path, BUS_RUN_PREFIX);
        if (!s || !(s = parse_number(s, &run)) || *s)
                return false;
        *ret = run;
        return true;
}

static int hex_digit(char c) {
        return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode_label(const char *s, char ret[static BUS_ACTIVITY_NAME_SIZE]) {
        size_t n = 0;
        for (; *s; s++) {
                if (n + 1 >= BUS_ACTIVITY_NAME_SIZE)
                        return false;
                if (*s != '_') {
                        ret[n++] = *s;
                        continue;
                }
                int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);
                if (low < 0 || (high == 0 && low == 0))
                        return false;
                ret[n++] = (char) (high << 4 | low);
                s += 2;
        }
        ret[n] = 0;
        return n > 0;
}

bool bus_parse_activity_path(const char *path, uint32_t *ret_run, char ret_name[static BUS_ACTIVITY_NAME_SIZE]) {
        char encoded[3 * BUS_ACTIVITY_NAME_SIZE];
        uint32_t run;
        const char *s = startswith(path, BUS_RUN_PREFIX);
        if (!s || !(s = parse_number(s, &run)) || !(s = startswith(s, "/activity/")) || !decode_label(s, ret_name))
                return false;
        encode_label(ret_name, encoded);
        if (!streq(encoded, s))
                return false;
        *ret_run = run;
        return true;
}
