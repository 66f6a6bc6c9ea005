/* Patterns come from files that anybody may send for verification, and the C library's regular expressions trust their author: a{1,9}{1,9}{1,9}
 * becomes as many states as it says, a repeated group that can match nothing, (a|b|)*{99}, takes minutes to compile, back references make
 * matching exponential, and a compiled pattern keeps every state that any text has ever led it to. So a pattern is looked over before the library
 * sees it, what takes more than its share is refused, and none is kept compiled.
 *
 * The scan need not know what is valid, only what is dear: it must never skip a part that the library would read. */
#include "input-pattern.h"

#include <regex.h>

#include "i18n.h"

/* A group that is open, or the whole. */
typedef struct Level {
        unsigned states;
        bool alternative_empty;                         /* an alternative before the current one can match nothing */
        bool sequence_empty;                            /* so can all of the current one so far */
} Level;

typedef struct Scan {
        Level levels[INPUT_PATTERN_NESTING_MAX + 1];
        unsigned depth;
        unsigned last;                                  /* states of the last atom */
        bool last_empty;                                /* it can match nothing */
        bool before_empty;                              /* what stands before it in its sequence can */
} Scan;

static const char *add(Scan *s, unsigned states, bool empty) {
        Level *l = s->levels + s->depth;

        s->before_empty = l->sequence_empty;
        s->last = states;
        s->last_empty = empty;
        l->sequence_empty = l->sequence_empty && empty;
        l->states += states;
        return l->states > INPUT_PATTERN_STATES_MAX ? N_("its repetitions are too large") : NULL;
}

/* `times` is how often the last atom then stands there; from 0 on where it may also be missing. */
static const char *repeat(Scan *s, unsigned times, bool many, bool optional) {
        Level *l = s->levels + s->depth;

        if (many && s->last_empty)
                return N_("something that can be empty is repeated");
        if (times > INPUT_PATTERN_STATES_MAX || s->last * times > INPUT_PATTERN_STATES_MAX)
                return N_("its repetitions are too large");
        l->states += s->last * (MAX(times, 1u) - 1);
        s->last *= MAX(times, 1u);
        if (optional) {
                s->last_empty = true;
                l->sequence_empty = s->before_empty;
        }
        return l->states > INPUT_PATTERN_STATES_MAX ? N_("its repetitions are too large") : NULL;
}

static const char *open_group(Scan *s) {
        if (s->depth == INPUT_PATTERN_NESTING_MAX)
                return N_("groups are nested too deep");
        s->levels[++s->depth] = (Level) { .sequence_empty = true };
        return NULL;
}

static const char *close_group(Scan *s) {
        Level group = s->levels[s->depth];

        if (s->depth == 0)
                return add(s, 1, false);
        s->depth--;
        return add(s, group.states + 1, group.alternative_empty || group.sequence_empty);
}

static void next_alternative(Scan *s) {
        Level *l = s->levels + s->depth;

        l->alternative_empty = l->alternative_empty || l->sequence_empty;
        l->sequence_empty = true;
        l->states++;
}

/* Past a bracket expression: a ] right after [ or [^ is a member, and [:class:] holds brackets of its own. */
static const char *bracket_end(const char *p) {
        p++;
        if (*p == '^')
                p++;
        if (*p == ']')
                p++;
        for (; *p && *p != ']'; p++)
                if (*p == '[' && p[1] && strchr(":.=", p[1])) {
                        const char end[] = { p[1], ']', 0 }, *q = strstr(p + 2, end);
                        p = q ? q + 1 : p;
                }
        return *p ? p : p - 1;
}

static const char *read_number(const char *p, unsigned *ret) {
        for (*ret = 0; *p >= '0' && *p <= '9'; p++)
                *ret = MIN(*ret * 10 + (unsigned) (*p - '0'), INPUT_PATTERN_STATES_MAX + 1);
        return p;
}

/* {m}, {m,}, {,n}, {m,n}; anything else is taken by the library as it stands, or not at all. */
static const char *bound(Scan *s, const char **p) {
        unsigned low, high;
        const char *q = read_number(*p + 1, &low);
        bool open = false;

        high = low;
        if (*q == ',') {
                const char *digits = ++q;
                q = read_number(q, &high);
                open = q == digits;
        }
        if (*q != '}' || q == *p + 1)
                return add(s, 1, false);
        *p = q;
        return repeat(s, MAX(low, open ? 1u : high), open || MAX(low, high) > 1, low == 0);
}

static const char *escape(Scan *s, const char **p) {
        char c = (*p)[1];

        if (c >= '1' && c <= '9')
                return N_("back references are not supported");
        if (c)
                (*p)++;
        return add(s, 1, c && strchr("bB<>`'", c));
}

static const char *scan_one(Scan *s, const char **p) {
        switch (**p) {
        case '\\':
                return escape(s, p);
        case '[':
                *p = bracket_end(*p);
                return add(s, 1, false);
        case '(':
                return open_group(s);
        case ')':
                return close_group(s);
        case '|':
                next_alternative(s);
                return NULL;
        case '{':
                return bound(s, p);
        case '*':
                return repeat(s, 1, true, true);
        case '+':
                return repeat(s, 2, true, false);
        case '?':
                return repeat(s, 1, false, true);
        case '^':
        case '$':
                return add(s, 1, true);
        default:
                return add(s, 1, false);
        }
}

const char *input_pattern_trouble(const char *pattern, unsigned *ret_states) {
        Scan s = { .levels[0].sequence_empty = true };
        const char *trouble = strlen(pattern) > INPUT_PATTERN_MAX ? N_("it is too long") : NULL;
        unsigned states = 0;

        for (const char *p = pattern; *p && !trouble; p++)
                trouble = scan_one(&s, &p);
        for (unsigned i = 0; i <= s.depth; i++)
                states += s.levels[i].states;
        *ret_states = states;
        return trouble;
}

int input_pattern_match(const char *pattern, const char *text, char **ret_reason) {
        char reason[256];
        regex_t r;
        int k = regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB);

        if (k == REG_ESPACE)
                return -ENOMEM;
        if (k != 0) {
                (void) regerror(k, &r, reason, sizeof(reason));
                if (ret_reason && !(*ret_reason = strdup(reason)))
                        return -ENOMEM;
                return -EINVAL;
        }
        k = regexec(&r, text, 0, NULL, 0);
        regfree(&r);
        return k == REG_ESPACE ? -ENOMEM : k == 0;
}
