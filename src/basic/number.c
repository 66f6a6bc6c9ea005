/* Doubles to text and back, independent of the locale. The C locale is made once and kept; should that fail, the process is so short of
 * memory that its own locale, which is C in every service, is the best that is left. */
#include "number.h"

#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>

#define WHOLE_MAX 1e15

static locale_t c_locale(void) {
        static locale_t c = (locale_t) 0;
        if (!c)
                c = newlocale(LC_ALL_MASK, "C", (locale_t) 0);
        return c;
}

static double parse(const char *s, char **ret_end) {
        locale_t c = c_locale();
        return c ? strtod_l(s, ret_end, c) : strtod(s, ret_end);
}

int number_parse_double(const char *s, double *ret) {
        /* strtod would also take white space, hexadecimal numbers, "inf" and "nan". */
        if (!*s || strspn(s, "0123456789+-.eE") != strlen(s))
                return -EINVAL;

        char *end;
        double d = parse(s, &end);
        if (*end || end == s)
                return -EINVAL;
        if (!isfinite(d))
                return -ERANGE;
        *ret = d;
        return 0;
}

static void format(double d, char buf[static NUMBER_BUFFER_SIZE]) {
        /* 15 digits are always exact, so they are the shortest where they suffice; tiny numbers have fewer than 15 to begin with. */
        for (int digits = fabs(d) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
                (void) snprintf(buf, NUMBER_BUFFER_SIZE, "%.*g", digits, d);
                if (parse(buf, NULL) == d)
                        return;
        }
}

/* "1e+22" and "1e-07", as C prints them, to "1e22" and "1e-7". */
static void shorten_exponent(char *s) {
        char *to = strchr(s, 'e');
        if (!to)
                return;
        const char *from = ++to;
        if (*from == '-')
                to++;
        from += strspn(from, "+-0");
        memmove(to, from, strlen(from) + 1);
}

const char *number_format_double(double d, char buf[static NUMBER_BUFFER_SIZE]) {
        if (!isfinite(d))
                return strcpy(buf, "null");
        if (fabs(d) < WHOLE_MAX && d == (double) (int64_t) d) {
                (void) snprintf(buf, NUMBER_BUFFER_SIZE, "%" PRIi64, (int64_t) d);
                return buf;
        }

        locale_t c = c_locale(), old = c ? uselocale(c) : (locale_t) 0;
        format(d, buf);
        shorten_exponent(buf);
        if (c)
                (void) uselocale(old);
        return buf;
}
