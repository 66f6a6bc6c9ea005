/* The YAML 1.2 core schema: which plain scalars are null, booleans and numbers. All others, `on`, `yes` and `no` among them, are text.
 * What is a number by the schema but has no exact place here (infinities, NaN, whole numbers beyond 64 bits) is an error rather than a
 * number that silently became another. */
#include <ctype.h>

#include "i18n.h"
#include "number.h"
#include "tree-internal.h"

#define WORD_LENGTH_MAX 5u

static const struct {
        const char *name;
        NodeType type;
        bool value;
} word_table[] = {
        {"", NODE_NULL, false},
        {"~", NODE_NULL, false},
        {"null", NODE_NULL, false},
        {"Null", NODE_NULL, false},
        {"NULL", NODE_NULL, false},
        {"true", NODE_BOOL, true},
        {"True", NODE_BOOL, true},
        {"TRUE", NODE_BOOL, true},
        {"false", NODE_BOOL, false},
        {"False", NODE_BOOL, false},
        {"FALSE", NODE_BOOL, false},
};

static bool is_infinity_or_nan(const char *s) {
        static const char *const infinities[] = {".inf", ".Inf", ".INF"}, *const nans[] = {".nan", ".NaN", ".NAN"};
        const char *unsigned_part = s + (*s == '-' || *s == '+');
        for (size_t i = 0; i < ELEMENTSOF(infinities); i++)
                if (streq(unsigned_part, infinities[i]) || streq(s, nans[i]))
                        return true;
        return false;
}

static size_t digits(const char *s) {
        return strspn(s, "0123456789");
}

/* The pattern [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_decimal(const char *s, bool *ret_whole) {
        s += *s == '-' || *s == '+';
        size_t before = digits(s), after = 0;
        s += before;
        *ret_whole = *s == 0;
        if (*s == '.') {
                after = digits(++s);
                s += after;
        }
        if (before + after == 0)
                return false;
        if (*s == 'e' || *s == 'E') {
                s++;
                s += *s == '-' || *s == '+';
                if (digits(s) == 0)
                        return false;
                s += digits(s);
        }
        return *s == 0;
}

static int resolve_integer(Node *n, const char *s, int base, const char **ret_reason) {
        errno = 0;
        n->integer = strtoll(s, NULL, base);
        if (errno != 0) {
                *ret_reason = _("this whole number does not fit in 64 bits; put it in quotes if it is text");
                return -EINVAL;
        }
        n->type = NODE_INT;
        n->number = (double) n->integer;
        return 0;
}

static int resolve_double(Node *n, const char **ret_reason) {
        if (number_parse_double(n->string, &n->number) < 0) {
                *ret_reason = _("this number is too large; put it in quotes if it is text");
                return -EINVAL;
        }
        n->type = NODE_DOUBLE;
        return 0;
}

static bool has_only(const char *s, const char *set) {
        return *s && strspn(s, set) == strlen(s);
}

int yaml_resolve_plain(Node *n, const char **ret_reason) {
        const char *s = n->string;
        bool whole;

        for (size_t i = 0; n->length <= WORD_LENGTH_MAX && i < ELEMENTSOF(word_table); i++)
                if (streq(s, word_table[i].name)) {
                        n->type = word_table[i].type;
                        n->boolean = word_table[i].value;
                        return 0;
                }
        n->type = NODE_STRING;
        if (!isdigit((unsigned char) *s) && !strchr("+-.", *s))
                return 0;
        if (is_infinity_or_nan(s)) {
                *ret_reason = _("infinity and NaN are no values here; put it in quotes if it is text");
                return -EINVAL;
        }
        const char *octal = startswith(s, "0o"), *hexadecimal = startswith(s, "0x");
        if (octal && has_only(octal, "01234567"))
                return resolve_integer(n, octal, 8, ret_reason);
        if (hexadecimal && has_only(hexadecimal, "0123456789abcdefABCDEF"))
                return resolve_integer(n, hexadecimal, 16, ret_reason);
        if (!is_decimal(s, &whole))
                return 0;
        return whole ? resolve_integer(n, s, 10, ret_reason) : resolve_double(n, ret_reason);
}
