/* INI files by libinih, which has a line buffer of fixed size (200 bytes unless a distribution says otherwise), takes " ;" for the start
 * of a comment in a value, joins indented lines to the one before, and tells its handler no line number. None of that is wanted, and what
 * of it can be switched differs between distributions. So libinih is fed line by line: it says which section and key a line sets; the value
 * is then taken from the line itself, whole. A line it has nothing to say about is a warning, never passed over in silence. */
#include "ini-file.h"

#include <fcntl.h>
#include <ini.h>

#include "fd-util.h"
#include "i18n.h"
#include "time-util.h"
#include "utf8.h"

#define SECTION_MARK "."                                /* a key fed behind each section line, to hear of sections without keys */
#define SHOWN_MAX 80                                    /* of a line, in a warning */

typedef enum SectionState { SECTION_NONE, SECTION_UNKNOWN, SECTION_KNOWN } SectionState;

typedef struct IniReader {
        const char *p, *end;
        char *line;                                     /* the current one, trimmed; owned */
        unsigned n_lines;                               /* its number */
        bool mark_due;                                  /* the mark is to be fed next */
        bool unheard;                                   /* a key line was fed, the handler not yet called */
        SectionState section;                           /* where the lines stand; libinih keeps the old one where it can't read a new */
        int error;

        const IniItem *table;
        size_t n_items;
        void *target;
        Diagnostics *diagnostics;
} IniReader;

static void ini_reader_done(IniReader *r) {
        free(r->line);
}

static bool has_section(const IniReader *r, const char *section) {
        for (size_t i = 0; i < r->n_items; i++)
                if (streq(r->table[i].section, section))
                        return true;
        return false;
}

static const char *nearest_key(const IniReader *r, const char *section, const char *key) {
        const char **names = calloc(r->n_items + 1, sizeof(char *));
        if (!names)
                return NULL;
        size_t n = 0;
        for (size_t i = 0; i < r->n_items; i++)
                if (streq(r->table[i].section, section))
                        names[n++] = r->table[i].key;
        const char *nearest = nearest_name(key, names);
        free(names);
        return nearest;
}

static void warn_unknown_key(IniReader *r, const char *section, const char *key) {
        const char *nearest = nearest_key(r, section, key);
        if (nearest)
                (void) diag_warning(r->diagnostics, r->n_lines, 1, _("[%s] has no setting '%s'; did you mean '%s'?"), section, key,
                                    nearest);
        else
                (void) diag_warning(r->diagnostics, r->n_lines, 1, _("[%s] has no setting '%s'; the line has no effect"), section, key);
}

static void apply(IniReader *r, const IniItem *item, const char *value) {
        int k = item->parse(item, value, r->target);
        if (k == -ENOMEM)
                r->error = k;
        else if (k == -ERANGE)
                (void) diag_warning(r->diagnostics, r->n_lines, 1, _("%s=%.*s is out of range; expected %s; the setting stays as it was"),
                                   item->key, SHOWN_MAX, value, _(item->hint));
        else if (k < 0)
                (void) diag_warning(r->diagnostics, r->n_lines, 1, _("%s=%.*s is no right value; expected %s; the setting stays as it was"),
                                   item->key, SHOWN_MAX, value, _(item->hint));
}

static void take_section(IniReader *r) {
        /* The name from the line: libinih would cut a long one. */
        int n = (int) strcspn(r->line + 1, "]");
        _cleanup_free_ char *name = strndup(r->line + 1, (size_t) n);
        if (!name) {
                r->error = -ENOMEM;
                return;
        }
        r->section = has_section(r, name) ? SECTION_KNOWN : SECTION_UNKNOWN;
        if (r->section == SECTION_UNKNOWN)
                (void) diag_warning(r->diagnostics, r->n_lines, 1, _("there is no section [%.*s]; its lines have no effect"), SHOWN_MAX,
                                   name);
}

static void take_key(IniReader *r, const char *section, const char *key) {
        if (r->section == SECTION_NONE) {
                (void) diag_warning(r->diagnostics, r->n_lines, 1, _("'%s' stands before the first section; the line has no effect"), key);
                return;
        }
        if (r->section == SECTION_UNKNOWN)
                return;
        for (size_t i = 0; i < r->n_items; i++)
                if (streq(r->table[i].section, section) && streq(r->table[i].key, key)) {
                        const char *value = r->line + strcspn(r->line, "=:") + 1;
                        apply(r, r->table + i, value + strspn(value, " \t"));
                        return;
                }
        warn_unknown_key(r, section, key);
}

static int on_setting(void *user, const char *section, const char *key, _unused_ const char *value) {
        IniReader *r = user;
        if (r->unheard)         /* else it is the mark */
                take_key(r, section, key);
        else
                take_section(r);
        r->unheard = false;
        return 1;
}

static bool is_space(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* The next line that isn't blank or a comment, trimmed, into r->line. */
static bool next_line(IniReader *r) {
        while (r->p < r->end) {
                const char *start = r->p, *newline = memchr(start, '\n', (size_t) (r->end - start));
                const char *stop = newline ? newline : r->end;
                r->p = newline ? newline + 1 : r->end;
                r->n_lines++;
                while (start < stop && is_space(*start))
                        start++;
                while (stop > start && is_space(stop[-1]))
                        stop--;
                if (start == stop || *start == '#' || *start == ';')
                        continue;
                if (!utf8_is_valid(start, (size_t) (stop - start))) {
                        (void) diag_warning(r->diagnostics, r->n_lines, 1, _("the line is not UTF-8; it has no effect"));
                        continue;
                }
                free(r->line);
                r->line = malloc((size_t) (stop - start) + 1);  /* strndup may look one further: the text has no end */
                if (!r->line) {
                        r->error = -ENOMEM;
                        return false;
                }
                *(char *) mempcpy(r->line, start, (size_t) (stop - start)) = 0;
                return true;
        }
        return false;
}

/* libinih's fgets: gives it what it needs to find section and key, however long the line. */
static char *feed(char *buf, int size, void *stream) {
        IniReader *r = stream;
        if (r->unheard)
                (void) diag_warning(r->diagnostics, r->n_lines, 1, _("'%.*s' is no setting; it needs a key, '=' and a value"), SHOWN_MAX,
                                   r->line);
        r->unheard = false;
        if (r->mark_due) {
                r->mark_due = false;
                return strcpy(buf, SECTION_MARK "=\n");
        }

        while (next_line(r)) {
                if (*r->line == '[') {
                        if (!strchr(r->line, ']')) {
                                (void) diag_warning(r->diagnostics, r->n_lines, 1,
                                                   _("the section's name has no ']'; its lines have no effect"));
                                r->section = SECTION_UNKNOWN;
                                continue;
                        }
                        r->mark_due = true;
                } else
                        r->unheard = true;
                size_t n = MIN(strlen(r->line), (size_t) size - 2);
                memcpy(buf, r->line, n);
                strcpy(buf + n, "\n");
                return buf;
        }
        return NULL;
}

int ini_read_text(const char *text, size_t n, const IniItem *table, size_t n_items, void *target, Diagnostics *d) {
        static const char byte_order_mark[] = "\xef\xbb\xbf";
        if (n >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
                text += 3;
                n -= 3;
        }

        _cleanup_(ini_reader_done) IniReader r = {
                .p = text,
                .end = text + n,
                .table = table,
                .n_items = n_items,
                .target = target,
                .diagnostics = d,
        };
        /* The positive result is the first line libinih could make nothing of; the reader has said that by itself. */
        if (ini_parse_stream(feed, &r, on_setting, &r) < 0)
                return -ENOMEM;
        return r.error;
}

int ini_read_file(const char *path, const IniItem *table, size_t n, void *target, Diagnostics *d) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = read_file(AT_FDCWD, path, INI_FILE_MAX, false, &text, &size);
        if (r < 0)
                return r;
        return ini_read_text(text, size, table, n, target, d);
}

static int check_range(const IniItem *item, uint64_t v) {
        return v < item->min || (item->max > 0 && v > item->max) ? -ERANGE : 0;
}

/* Digits, then at most one of the letters in suffixes, each worth 1024 times the one before. */
static int parse_number(const char *s, const char *suffixes, uint64_t *ret) {
        uint64_t v = 0;
        size_t n = strspn(s, "0123456789");
        bool overflow = false;
        if (n == 0)
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                overflow = __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t) (s[i] - '0'), &v) || overflow;
        s += n;
        const char *suffix = *s ? strchr(suffixes, *s) : NULL;
        if (*s && (!suffix || s[1]))
                return -EINVAL;
        for (const char *c = suffixes; suffix && c <= suffix; c++)
                overflow = __builtin_mul_overflow(v, 1024, &v) || overflow;
        if (overflow)
                return -ERANGE;
        *ret = v;
        return 0;
}

int ini_parse_u64(const IniItem *item, const char *value, void *target) {
        uint64_t v;
        int r = parse_number(value, "KMGT", &v);
        if (r >= 0)
                r = check_range(item, v);
        if (r < 0)
                return r;
        *(uint64_t *) (void *) ((char *) target + item->offset) = v;
        return 0;
}

int ini_parse_unsigned(const IniItem *item, const char *value, void *target) {
        uint64_t v;
        int r = parse_number(value, "", &v);
        if (r >= 0)
                r = v > UINT32_MAX ? -ERANGE : check_range(item, v);
        if (r < 0)
                return r;
        *(unsigned *) (void *) ((char *) target + item->offset) = (unsigned) v;
        return 0;
}

int ini_parse_sec(const IniItem *item, const char *value, void *target) {
        usec_t v;
        int r = parse_timespan(value, &v);
        if (r >= 0)
                r = check_range(item, v);
        if (r < 0)
                return r;
        *(usec_t *) (void *) ((char *) target + item->offset) = v;
        return 0;
}

int ini_parse_text(const IniItem *item, const char *value, void *target) {
        char **field = (char **) (void *) ((char *) target + item->offset);
        char *copy = *value ? strdup(value) : NULL;
        if (*value && !copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}
