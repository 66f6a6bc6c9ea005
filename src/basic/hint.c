/* A word "runbookctl", one blank, and a word in small letters: that is a command. It may stand in quotes, but is not part of another
 * word. */
#include "hint.h"

#include <string.h>

#include "strbuf.h"

#define PROGRAM "runbookctl "
#define USER_OPTION "--user "

static bool is_small(char c) {
        return c >= 'a' && c <= 'z';
}

static bool is_of_word(char c) {
        return is_small(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '/';
}

/* The verb behind the program's name, or NULL. */
static const char *verb_of(const char *s) {
        size_t n;

        if (startswith(s, USER_OPTION))
                s += strlen(USER_OPTION);
        n = strspn(s, "abcdefghijklmnopqrstuvwxyz-");
        return is_small(*s) && !(n == strlen("help") && startswith(s, "help")) ? s : NULL;
}

char *hint_fill(const char *text, const char *command) {
        _cleanup_strbuf_ StrBuf b = { 0 };
        const char *s = text;

        for (const char *p; (p = strstr(s, PROGRAM));) {
                const char *rest = p + strlen(PROGRAM), *verb = p > text && is_of_word(p[-1]) ? NULL : verb_of(rest);

                strbuf_append_n(&b, s, (size_t) (p - s));
                strbuf_append_n(&b, verb ? command : p, verb ? strlen(command) : (size_t) (rest - p));
                if (verb)
                        strbuf_append_c(&b, ' ');
                s = verb ? verb : rest;
        }
        strbuf_append(&b, s);
        return strbuf_take(&b);
}
