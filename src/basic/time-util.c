/* Clocks, time spans in the grammar of systemd.time(7), and the few forms in which people write a date. Nothing here reads a clock but
 * now_usec: who parses a date says what time it is. */
#include "time-util.h"

#include <ctype.h>

#include "fd-util.h"
#include "strbuf.h"

#define USEC_PER_MONTH ((usec_t) 2629800 * USEC_PER_SEC)        /* 30.44 days, as in systemd */
#define USEC_PER_YEAR ((usec_t) 31557600 * USEC_PER_SEC)        /* 365.25 days */
#define YEAR_MAX 9999
#define TIMESTAMP_MAX 64u                               /* characters of a date and time before its zone */

usec_t now_usec(clockid_t clock) {
        struct timespec ts;
        if (clock_gettime(clock, &ts) < 0)
                return 0;
        return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000;
}

usec_t usec_add(usec_t a, usec_t b) {
        return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

usec_t usec_sub(usec_t a, usec_t b) {
        if (a == USEC_INFINITY)
                return a;
        return a > b ? a - b : 0;
}

/* Longer names stand before their own beginnings. */
static const struct TimeUnit {
        const char *name;
        usec_t usec;
} unit_table[] = {
        {"usec", 1},
        {"us", 1},
        {"µs", 1},
        {"μs", 1},
        {"msec", USEC_PER_MSEC},
        {"ms", USEC_PER_MSEC},
        {"seconds", USEC_PER_SEC},
        {"second", USEC_PER_SEC},
        {"sec", USEC_PER_SEC},
        {"s", USEC_PER_SEC},
        {"minutes", USEC_PER_MINUTE},
        {"minute", USEC_PER_MINUTE},
        {"months", USEC_PER_MONTH},
        {"month", USEC_PER_MONTH},
        {"min", USEC_PER_MINUTE},
        {"m", USEC_PER_MINUTE},
        {"hours", USEC_PER_HOUR},
        {"hour", USEC_PER_HOUR},
        {"hr", USEC_PER_HOUR},
        {"h", USEC_PER_HOUR},
        {"days", USEC_PER_DAY},
        {"day", USEC_PER_DAY},
        {"d", USEC_PER_DAY},
        {"weeks", USEC_PER_WEEK},
        {"week", USEC_PER_WEEK},
        {"w", USEC_PER_WEEK},
        {"M", USEC_PER_MONTH},
        {"years", USEC_PER_YEAR},
        {"year", USEC_PER_YEAR},
        {"y", USEC_PER_YEAR},
};

static const char *skip_spaces(const char *s) {
        return s + strspn(s, " \t\n\r");
}

static usec_t parse_unit(const char **p) {
        for (size_t i = 0; i < ELEMENTSOF(unit_table); i++) {
                const char *rest = startswith(*p, unit_table[i].name);
                if (rest) {
                        *p = rest;
                        return unit_table[i].usec;
                }
        }
        return USEC_PER_SEC;
}

/* One number with its unit, "1.5h". *p moves past it and the spaces behind it. */
static int parse_term(const char **p, usec_t *ret) {
        const char *s = *p;
        bool overflow = false;
        usec_t whole = 0;
        for (; isdigit((unsigned char) *s); s++)
                overflow = __builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, (usec_t) (*s - '0'), &whole) ||
                           overflow;
        const char *fraction = s + 1;
        size_t n = *s == '.' ? strspn(fraction, "0123456789") : 0;
        if ((*s == '.') != (n > 0) || (s == *p && n == 0))
                return -EINVAL;
        s = n > 0 ? fraction + n : s;
        s = skip_spaces(s);

        usec_t unit = parse_unit(&s), t;
        overflow = __builtin_mul_overflow(whole, unit, &t) || overflow;
        usec_t digit = unit / 10;
        for (size_t i = 0; i < n && digit > 0; i++, digit /= 10)
                overflow = __builtin_add_overflow(t, (usec_t) (fraction[i] - '0') * digit, &t) || overflow;
        if (overflow || t == USEC_INFINITY)
                return -ERANGE;
        *p = skip_spaces(s);
        *ret = t;
        return 0;
}

int parse_timespan(const char *s, usec_t *ret) {
        usec_t sum = 0;
        s = skip_spaces(s);
        const char *rest = startswith(s, "infinity");
        if (rest) {
                if (*skip_spaces(rest))
                        return -EINVAL;
                *ret = USEC_INFINITY;
                return 0;
        }

        bool overflow = false;
        do {
                usec_t t;
                int r = parse_term(&s, &t);
                if (r < 0)
                        return r;
                sum = usec_add(sum, t);
                overflow = overflow || sum == USEC_INFINITY;
        } while (*s);
        if (overflow)
                return -ERANGE;
        *ret = sum;
        return 0;
}

static const struct TimeUnit format_table[] = {
        {"y", USEC_PER_YEAR},
        {"month", USEC_PER_MONTH},
        {"w", USEC_PER_WEEK},
        {"d", USEC_PER_DAY},
        {"h", USEC_PER_HOUR},
        {"min", USEC_PER_MINUTE},
        {"s", USEC_PER_SEC},
        {"ms", USEC_PER_MSEC},
        {"us", 1},
};

/* How many decimal digits of a unit are worth showing at this accuracy. */
static int fraction_digits(usec_t unit, usec_t accuracy) {
        int digits = 0;
        for (usec_t u = unit; u > accuracy && u > 1; u /= 10)
                digits++;
        return digits;
}

static bool append_decimal(StrBuf *b, usec_t t, const struct TimeUnit *unit, usec_t accuracy) {
        int digits = fraction_digits(unit->usec, accuracy);
        usec_t fraction = t % unit->usec, step = unit->usec;
        for (int i = 0; i < digits; i++)
                step /= 10;
        if (digits == 0 || fraction / step == 0)
                return false;
        strbuf_appendf(b, "%s%" PRIu64 ".%0*" PRIu64 "%s", b->n > 0 ? " " : "", t / unit->usec, digits, fraction / step, unit->name);
        return true;
}

char *format_timespan(usec_t t, usec_t accuracy) {
        _cleanup_strbuf_ StrBuf b = {};
        if (t == USEC_INFINITY)
                return strdup("infinity");
        if (t == 0)
                return strdup("0");

        accuracy = MAX(accuracy, (usec_t) 1);
        for (size_t i = 0; i < ELEMENTSOF(format_table) && t > 0; i++) {
                const struct TimeUnit *unit = format_table + i;
                if (t < accuracy && b.n > 0)
                        break;
                if (t < unit->usec)
                        continue;
                /* From a minute on, each unit has its own number; below, one number with a fraction reads better. */
                if (t < USEC_PER_MINUTE && append_decimal(&b, t, unit, accuracy))
                        break;
                strbuf_appendf(&b, "%s%" PRIu64 "%s", b.n > 0 ? " " : "", t / unit->usec, unit->name);
                t %= unit->usec;
        }
        return strbuf_take(&b);
}

char *format_timestamp(usec_t realtime) {
        time_t sec = (time_t) (realtime / USEC_PER_SEC);
        struct tm tm;
        if (realtime == 0 || realtime == USEC_INFINITY || !localtime_r(&sec, &tm))
                return strdup("-");
        return xasprintf("%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* Exactly `digits` digits, then the separator (0: anything). */
static bool take_number(const char **p, size_t digits, char separator, int max, int *ret) {
        int v = 0;
        for (size_t i = 0; i < digits; i++) {
                if (!isdigit((unsigned char) (*p)[i]))
                        return false;
                v = v * 10 + (*p)[i] - '0';
        }
        if (v > max || (separator && (*p)[digits] != separator))
                return false;
        *p += digits + (separator ? 1 : 0);
        *ret = v;
        return true;
}

static int days_in_month(int year, int month) {
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        return days[month - 1] + (month == 2 && leap);
}

static bool parse_date(const char **p, struct tm *tm) {
        int year, month, day;
        if (!take_number(p, 4, '-', YEAR_MAX, &year) || !take_number(p, 2, '-', 12, &month) || !take_number(p, 2, 0, 31, &day))
                return false;
        if (month < 1 || day < 1 || day > days_in_month(year, month))
                return false;
        tm->tm_year = year - 1900;
        tm->tm_mon = month - 1;
        tm->tm_mday = day;
        return true;
}

/* "14:03" or "14:03:07", and nothing behind it. */
static bool parse_clock(const char *p, struct tm *tm) {
        tm->tm_sec = 0;
        if (!take_number(&p, 2, ':', 23, &tm->tm_hour) || !take_number(&p, 2, 0, 59, &tm->tm_min))
                return false;
        if (*p == ':') {
                p++;
                if (!take_number(&p, 2, 0, 59, &tm->tm_sec))
                        return false;
        }
        return !*p;
}

static int tm_to_usec(struct tm *tm, bool utc, usec_t *ret) {
        tm->tm_isdst = utc ? 0 : -1;
        time_t t = utc ? timegm(tm) : mktime(tm);
        if (t < 0)
                return -ERANGE;
        *ret = (usec_t) t * USEC_PER_SEC;
        return 0;
}

/* Where the day is given, the time of day may be left out: midnight. */
static int parse_day_and_clock(const char *rest, struct tm *tm, bool utc, usec_t *ret) {
        tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
        if (*rest && (*rest != ' ' || !parse_clock(skip_spaces(rest), tm)))
                return -EINVAL;
        return tm_to_usec(tm, utc, ret);
}

static int parse_next_clock(const char *s, struct tm *tm, bool utc, usec_t now, usec_t *ret) {
        if (!parse_clock(s, tm))
                return -EINVAL;
        struct tm tomorrow = *tm;
        usec_t t;
        int r = tm_to_usec(tm, utc, &t);
        if (r < 0)
                return r;
        if (t <= now) {
                tomorrow.tm_mday++;
                r = tm_to_usec(&tomorrow, utc, &t);
                if (r < 0)
                        return r;
        }
        *ret = t;
        return 0;
}

static int parse_unix(const char *s, usec_t *ret) {
        usec_t v = 0;
        if (!*s || strspn(s, "0123456789") != strlen(s))
                return -EINVAL;
        for (; *s; s++)
                if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (usec_t) (*s - '0'), &v))
                        return -ERANGE;
        if (v >= USEC_INFINITY / USEC_PER_SEC)
                return -ERANGE;
        *ret = v * USEC_PER_SEC;
        return 0;
}

static int parse_relative(const char *s, usec_t now, usec_t *ret) {
        usec_t span;
        int r = parse_timespan(s, &span);
        if (r < 0)
                return r;
        usec_t t = usec_add(now, span);
        if (t == USEC_INFINITY)
                return -ERANGE;
        *ret = t;
        return 0;
}

/* A day, a time of day, or both: local time, or UTC. */
static int parse_date_and_clock(const char *s, bool utc, usec_t now, usec_t *ret) {
        time_t sec = (time_t) (now / USEC_PER_SEC);
        struct tm tm;

        if (!(utc ? gmtime_r(&sec, &tm) : localtime_r(&sec, &tm)))
                return -ERANGE;
        const char *rest = startswith(s, "today");
        if (rest)
                return parse_day_and_clock(rest, &tm, utc, ret);
        rest = startswith(s, "tomorrow");
        if (rest) {
                tm.tm_mday++;
                return parse_day_and_clock(rest, &tm, utc, ret);
        }
        rest = s;
        if (parse_date(&rest, &tm))
                return parse_day_and_clock(rest, &tm, utc, ret);
        return parse_next_clock(s, &tm, utc, now, ret);
}

int parse_timestamp(const char *s, usec_t now, usec_t *ret) {
        s = skip_spaces(s);
        if (streq(s, "now")) {
                *ret = now;
                return 0;
        }
        if (*s == '+')
                return parse_relative(s + 1, now, ret);
        if (*s == '@')
                return parse_unix(s + 1, ret);

        const char *zone = endswith(s, " UTC");
        if (!zone)
                return parse_date_and_clock(s, false, now, ret);
        char local[TIMESTAMP_MAX + 1] = {};
        if ((size_t) (zone - s) > TIMESTAMP_MAX)
                return -EINVAL;
        memcpy(local, s, (size_t) (zone - s));
        return parse_date_and_clock(local, true, now, ret);
}
