/* UTF-8: checking, repairing, and making text from outside safe to show. Steps, plugins and callers write what they like; nothing of it
 * reaches the bus unless it is valid (dbus-daemon disconnects who sends other text), nor a terminal with anything in it that moves the
 * cursor, changes the title or reorders what is read. */
#include "utf8.h"

#include <wchar.h>

#include "strbuf.h"

#define REPLACEMENT "\xef\xbf\xbd"                      /* U+FFFD */
#define NEAREST_LENGTH_MAX 64u

/* Decodes one character of at most n bytes. Returns its length, or 0: not valid. Refuses surrogates, overlong forms and what is above
 * U+10FFFF. */
size_t utf8_decode(const char *s, size_t n, uint32_t *ret) {
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        uint8_t c = n > 0 ? (uint8_t) s[0] : 0xff;
        size_t len = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;
        if (len == 0 || len > n)
                return 0;

        uint32_t v = len == 1 ? c : c & (0x7fu >> len);
        for (size_t i = 1; i < len; i++) {
                if (((uint8_t) s[i] & 0xc0) != 0x80)
                        return 0;
                v = v << 6 | ((uint8_t) s[i] & 0x3f);
        }
        if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
                return 0;
        *ret = v;
        return len;
}

size_t utf8_encode(uint32_t c, char buf[static 4]) {
        size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = len - 1; i > 0; i--, c >>= 6)
                buf[i] = (char) (0x80 | (c & 0x3f));
        buf[0] = (char) (lead[len] | c);
        return len;
}

static bool is_storable(uint32_t c) {
        return c != 0;
}

static bool is_sendable(uint32_t c) {
        return c != 0 && (c & 0xfffe) != 0xfffe && !(c >= 0xfdd0 && c <= 0xfdef);
}

static size_t good_prefix(const char *s, size_t n, bool (*is_good)(uint32_t)) {
        size_t i = 0;
        while (i < n) {
                uint32_t c;
                if ((uint8_t) s[i] < 0x80 && s[i] != 0) {
                        i++;
                        continue;
                }
                size_t k = utf8_decode(s + i, n - i, &c);
                if (k == 0 || !is_good(c))
                        break;
                i += k;
        }
        return i;
}

size_t utf8_valid_prefix(const char *s, size_t n) {
        return good_prefix(s, n, is_storable);
}

bool utf8_is_valid(const char *s, size_t n) {
        return utf8_valid_prefix(s, n) == n;
}

bool utf8_is_sendable(const char *s, size_t n) {
        return good_prefix(s, n, is_sendable) == n;
}

size_t utf8_count(const char *s, size_t n) {
        size_t k = 0;
        for (size_t i = 0; i < n; i++)
                k += ((uint8_t) s[i] & 0xc0) != 0x80;
        return k;
}

static char *repair(const char *s, size_t n, size_t max, bool (*is_good)(uint32_t)) {
        _cleanup_strbuf_ StrBuf b = {};
        for (size_t i = 0; i < n && !b.failed;) {
                uint32_t c;
                size_t k = utf8_decode(s + i, n - i, &c);
                bool good = k > 0 && is_good(c);
                const char *out = good ? s + i : REPLACEMENT;
                size_t len = good ? k : strlen(REPLACEMENT);
                if (len > max - b.n)
                        break;
                strbuf_append_n(&b, out, len);
                i += k > 0 ? k : 1;
        }
        return strbuf_take(&b);
}

char *utf8_make_valid(const char *s, size_t n, size_t max) {
        return repair(s, n, max, is_storable);
}

char *utf8_make_sendable(const char *s, size_t n, size_t max) {
        return repair(s, n, max, is_sendable);
}

/* The length of the terminal sequence that starts with the ESC at s: CSI, or a string sequence (OSC, DCS, …) that ends on this line;
 * 1 where it is neither, for then only the ESC is known to be harmful. */
static size_t escape_length(const char *s) {
        size_t i = 2;
        if (s[1] == '[') {
                while (s[i] >= 0x20 && s[i] <= 0x3f)
                        i++;
                return s[i] >= 0x40 && s[i] <= 0x7e ? i + 1 : 1;
        }
        if (s[1] && strchr("]PX^_", s[1]))
                for (; s[i] && s[i] != '\n'; i++) {
                        if (s[i] == '\a')
                                return i + 1;
                        if (s[i] == 0x1b)
                                return s[i + 1] == '\\' ? i + 2 : 1;
                }
        return 1;
}

static bool is_harmless(uint32_t c) {
        if (c < 0x20)
                return c == '\n' || c == '\t';
        if (c >= 0x7f && c <= 0x9f)
                return false;
        /* Marks, embeddings, overrides and isolates make text read in another order than it is stored in. */
        return c != 0x61c && c != 0x200e && c != 0x200f && !(c >= 0x202a && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
}

char *text_for_terminal(const char *s) {
        _cleanup_strbuf_ StrBuf b = {};
        size_t n = strlen(s);
        for (size_t i = 0; i < n && !b.failed;) {
                uint32_t c;
                size_t k = utf8_decode(s + i, n - i, &c);
                if (k > 0 && is_harmless(c))
                        strbuf_append_n(&b, s + i, k);
                else if (!(s[i] == '\r' && s[i + 1] == '\n'))   /* a line that ends as in DOS just loses that */
                        strbuf_append(&b, REPLACEMENT);
                i += k == 0 ? 1 : c == 0x1b ? escape_length(s + i) : k;
        }
        return strbuf_take(&b);
}

size_t utf8_width(const char *s) {
        size_t width = 0, n = strlen(s);
        for (size_t i = 0; i < n;) {
                uint32_t c;
                size_t k = utf8_decode(s + i, n - i, &c);
                if (k == 0)
                        break;
                int w = wcwidth((wchar_t) c);
                width += w >= 0 ? (size_t) w : c >= 0xa0;       /* the C locale knows no width outside ASCII */
                i += k;
        }
        return width;
}

/* Optimal string alignment distance by three rows of the usual matrix. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m) {
        size_t rows[3][NEAREST_LENGTH_MAX + 1];
        size_t *before = rows[0], *last = rows[1], *row = rows[2];

        for (size_t j = 0; j <= m; j++)
                last[j] = j;
        for (size_t i = 1; i <= n; i++) {
                row[0] = i;
                for (size_t j = 1; j <= m; j++) {
                        row[j] = MIN(MIN(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                row[j] = MIN(row[j], before[j - 2] + 1);
                }
                size_t *spare = before;
                before = last;
                last = row;
                row = spare;
        }
        return last[m];
}

const char *nearest_name(const char *s, const char *const *candidates) {
        size_t n = strlen(s);
        if (n > NEAREST_LENGTH_MAX)
                return NULL;

        const char *best = NULL;
        size_t best_distance = MAX(n / 3, (size_t) 1) + 1;
        for (; *candidates; candidates++) {
                size_t m = strlen(*candidates);
                if (m > NEAREST_LENGTH_MAX)
                        continue;
                size_t d = edit_distance(s, n, *candidates, m);
                if (d < best_distance && d < MIN(n, m)) {       /* something of it must be left to call it near */
                        best_distance = d;
                        best = *candidates;
                }
        }
        return best;
}
