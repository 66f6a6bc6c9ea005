/* Colours, symbols and output. Whether there are colours is decided once, on what standard output was at the start: a pager that is
 * put in between shows them as well. */
#include "style.h"

#include <iconv.h>
#include <langinfo.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "i18n.h"
#include "utf8.h"

#define WIDTH_MIN 20u
#define HEIGHT_DEFAULT 24u

static struct {
        bool terminal, colours, utf8;
} style;

void style_init(void) {
        const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

        style.utf8 = streq(nl_langinfo(CODESET), "UTF-8");
        style.terminal = isatty(STDOUT_FILENO) && !isempty(term) && !streq(term, "dumb");
        style.colours = style.terminal && isempty(no_color);
}

bool style_is_terminal(void) {
        return style.terminal;
}

bool style_has_colours(void) {
        return style.colours;
}

/* Standard error serves where standard output has become the pager's pipe. */
static bool window_size(struct winsize *ret) {
        return (ioctl(STDOUT_FILENO, TIOCGWINSZ, ret) >= 0 || ioctl(STDERR_FILENO, TIOCGWINSZ, ret) >= 0) && ret->ws_col > 0;
}

size_t style_width(void) {
        struct winsize w = {};

        if (!style.terminal)
                return SIZE_MAX;
        return window_size(&w) ? MAX((size_t) w.ws_col, (size_t) WIDTH_MIN) : 80;
}

size_t style_height(void) {
        struct winsize w = {};

        if (!style.terminal)
                return SIZE_MAX;
        return window_size(&w) && w.ws_row > 0 ? w.ws_row : HEIGHT_DEFAULT;
}

static const char *const tones[_TONE_MAX] = {
        [TONE_NONE] = "", [TONE_BOLD] = "\033[1m", [TONE_DIM] = "\033[2m", [TONE_GOOD] = "\033[32m",
        [TONE_BAD] = "\033[1;31m", [TONE_WARN] = "\033[33m", [TONE_BUSY] = "\033[36m",
};

const char *tone_on(Tone t) {
        return style.colours ? tones[t] : "";
}

const char *tone_off(Tone t) {
        return style.colours && t != TONE_NONE ? "\033[0m" : "";
}

static const char *const symbols[_SYMBOL_MAX][2] = {
        [SYMBOL_DOT] = {"*", "●"},      [SYMBOL_GOOD] = {"+", "✔"},        [SYMBOL_BAD] = {"x", "✘"},
        [SYMBOL_BUSY] = {">", "▶"},     [SYMBOL_WAITING] = {"?", "◆"},     [SYMBOL_PENDING] = {".", "○"},
        [SYMBOL_SKIPPED] = {"-", "–"},  [SYMBOL_AGAIN] = {"~", "↻"},       [SYMBOL_ARROW] = {">", "▸"},
        [SYMBOL_DASH] = {"-", "–"},     [SYMBOL_ELLIPSIS] = {"...", "…"},  [SYMBOL_BRANCH] = {"|-", "├─"},
        [SYMBOL_LAST] = {"`-", "└─"},   [SYMBOL_VERTICAL] = {"| ", "│ "},  [SYMBOL_BAR_DONE] = {"#", "━"},
        [SYMBOL_BAR_LEFT] = {"-", "─"},    [SYMBOL_BECOMES] = {"->", "→"},
};

const char *symbol(Symbol s) {
        return symbols[s][style.utf8];
}

static const struct StateLook {
        const char *state;
        Tone tone;
        Symbol symbol;
} state_looks[] = {
        {"scheduled", TONE_DIM, SYMBOL_PENDING},      {"queued", TONE_DIM, SYMBOL_PENDING},
        {"pending", TONE_DIM, SYMBOL_PENDING},        {"running", TONE_BUSY, SYMBOL_BUSY},
        {"backoff", TONE_WARN, SYMBOL_AGAIN},         {"on-hold", TONE_WARN, SYMBOL_WAITING},
        {"paused", TONE_WARN, SYMBOL_WAITING},        {"waiting-approval", TONE_WARN, SYMBOL_WAITING},
        {"waiting-input", TONE_WARN, SYMBOL_WAITING}, {"interrupted", TONE_WARN, SYMBOL_AGAIN},
        {"success", TONE_GOOD, SYMBOL_GOOD},          {"partial-success", TONE_WARN, SYMBOL_GOOD},
        {"ignored", TONE_WARN, SYMBOL_SKIPPED},       {"skipped", TONE_DIM, SYMBOL_SKIPPED},
        {"cancelled", TONE_WARN, SYMBOL_BAD},         {"failed", TONE_BAD, SYMBOL_BAD},
        {"exhausted", TONE_BAD, SYMBOL_BAD},          {"timed-out", TONE_BAD, SYMBOL_BAD},
        {"rejected", TONE_BAD, SYMBOL_BAD},           {"dlq", TONE_BAD, SYMBOL_BAD},
};

static const struct StateLook *state_look(const char *state) {
        static const struct StateLook plain = {"", TONE_NONE, SYMBOL_DOT};

        for (size_t i = 0; state && i < ELEMENTSOF(state_looks); i++)
                if (streq(state_looks[i].state, state))
                        return state_looks + i;
        return &plain;
}

Tone state_tone(const char *state) {
        return state_look(state)->tone;
}

Symbol state_symbol(const char *state) {
        return state_look(state)->symbol;
}

char *text_lines(const char *s) {
        return text_for_terminal(strempty(s));
}

char *text_one_line(const char *s) {
        char *t = text_for_terminal(strempty(s));

        for (char *p = t; p && *p; p++)
                if (*p == '\n' || *p == '\t')
                        *p = ' ';
        return t;
}

/* The length of a colour sequence (ESC [ … m) at the start of s, 0: it is none. */
static size_t colour_length(const char *s, size_t n) {
        size_t i = 2;

        if (n < 3 || s[0] != 0x1b || s[1] != '[')
                return 0;
        while (i < n && ((s[i] >= '0' && s[i] <= '9') || s[i] == ';' || s[i] == ':'))
                i++;
        return i < n && s[i] == 'm' ? i + 1 : 0;
}

char *text_log_line(const char *s, size_t n) {
        _cleanup_strbuf_ StrBuf b = {};

        for (size_t i = 0; i < n;) {
                size_t k = colour_length(s + i, n - i);
                if (k == 0)
                        strbuf_append_c(&b, s[i] ? s[i] : '\x01'); /* a NUL ends no line; it is replaced as any other control character */
                i += k > 0 ? k : 1;
        }
        _cleanup_free_ char *plain = strbuf_take(&b);
        return plain ? text_for_terminal(plain) : NULL;
}

static size_t char_length(const char *s) {
        size_t k = 1;

        while (((unsigned char) s[k] & 0xc0) == 0x80)
                k++;
        return k;
}

/* Bytes of the longest beginning that is at most `width` columns wide, and its width. */
static size_t prefix_of_width(const char *s, size_t width, size_t *ret_width) {
        size_t i = 0, w = 0;

        while (s[i]) {
                char one[8] = {};
                size_t k = char_length(s + i);
                memcpy(one, s + i, MIN(k, sizeof(one) - 1));
                size_t v = utf8_width(one);
                if (w + v > width)
                        break;
                w += v;
                i += k;
        }
        *ret_width = w;
        return i;
}

char *text_ellipsize(const char *s, size_t width) {
        size_t w, e = utf8_width(symbol(SYMBOL_ELLIPSIS));

        if (width == SIZE_MAX || utf8_width(s) <= width)
                return strdup(s);
        if (width <= e)
                return strdup(width < e ? "" : symbol(SYMBOL_ELLIPSIS));
        _cleanup_strbuf_ StrBuf b = {};
        strbuf_append_n(&b, s, prefix_of_width(s, width - e, &w));
        strbuf_append(&b, symbol(SYMBOL_ELLIPSIS));
        return strbuf_take(&b);
}

/* Converts until something can't be shown; that becomes '?'. */
static void convert(iconv_t cd, const char *s, StrBuf *b) {
        char *in = (char *) s;
        size_t left = strlen(s);

        while (left > 0 && !b->failed) {
                char buf[512], *to = buf;
                size_t room = sizeof(buf);
                size_t k = iconv(cd, &in, &left, &to, &room);
                int e = errno;
                strbuf_append_n(b, buf, (size_t) (to - buf));
                if (k != (size_t) -1 || e == E2BIG)
                        continue;
                strbuf_append_c(b, '?');
                size_t skip = MIN(char_length(in), left);
                in += skip;
                left -= skip;
        }
}

char *text_for_locale(const char *s) {
        _cleanup_strbuf_ StrBuf b = {}, name = {};

        if (style.utf8)
                return strdup(s);
        strbuf_appendf(&name, "%s//TRANSLIT", nl_langinfo(CODESET));
        _cleanup_free_ char *to = strbuf_take(&name);
        iconv_t cd = to ? iconv_open(to, "UTF-8") : (iconv_t) -1;
        if (cd == (iconv_t) -1)
                return strdup(s);
        convert(cd, s, &b);
        (void) iconv_close(cd);
        return strbuf_take(&b);
}

static void put(FILE *f, const char *fmt, va_list ap) _printf_(2, 0);
static void put(FILE *f, const char *fmt, va_list ap) {
        _cleanup_free_ char *s = NULL, *t = NULL;

        if (vasprintf(&s, fmt, ap) < 0)
                s = NULL;
        t = s ? text_for_locale(s) : NULL;
        (void) fputs(t ? t : "out of memory\n", f);
}

void out(const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        put(stdout, fmt, ap);
        va_end(ap);
}

void err(const char *fmt, ...) {
        va_list ap;
        (void) fflush(stdout);
        va_start(ap, fmt);
        put(stderr, fmt, ap);
        va_end(ap);
}

void out_wrapped(const char *text, size_t at, size_t indent, size_t width) {
        bool first = true;

        for (const char *s = text; *s;) {
                size_t n = strcspn(s, " ");
                _cleanup_free_ char *word = strndup(s, n);
                size_t w = word ? utf8_width(word) : 0;
                if (!first && at + 1 + w > width) {
                        out("\n%*s", (int) indent, "");
                        at = indent;
                        first = true;
                }
                out("%s%s", first ? "" : " ", strempty(word));
                at += w + !first;
                first = false;
                s += n;
                s += strspn(s, " ");
        }
        out("\n");
}

void out_raw(const void *p, size_t n) {
        (void) fwrite(p, 1, n, stdout);
}

int out_finish(void) {
        if (fflush(stdout) == 0 && !ferror(stdout))
                return 0;
        int r = errno > 0 ? -errno : -EIO;
        if (r != -EPIPE)
                err(_("Standard output can't be written: %s\n"), strerror(-r));
        return r;
}

void line_add(Line *l, Tone tone, const char *text) {
        size_t room = l->max > l->width ? l->max - l->width : 0, w;
        if (room == 0 || !*text)
                return;
        _cleanup_free_ char *t = text_ellipsize(text, room);
        if (!t) {
                l->text.failed = true;
                return;
        }
        w = utf8_width(t);
        strbuf_append(&l->text, tone_on(tone));
        strbuf_append(&l->text, t);
        strbuf_append(&l->text, tone_off(tone));
        l->width += w;
}

void line_addf(Line *l, Tone tone, const char *fmt, ...) {
        _cleanup_free_ char *s = NULL;
        va_list ap;

        va_start(ap, fmt);
        if (vasprintf(&s, fmt, ap) < 0)
                s = NULL;
        va_end(ap);
        if (s)
                line_add(l, tone, s);
        else
                l->text.failed = true;
}

void line_pad(Line *l, size_t width) {
        for (; l->width < MIN(width, l->max); l->width++)
                strbuf_append_c(&l->text, ' ');
}
