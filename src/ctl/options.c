/* Parsing of the command line, driven by the one table of options. Options and other words may come in any order; "--" ends the
 * options. A long option may be shortened as far as it stays the only one. What an option may go with is the verb table's business. */
#include "options.h"

#include "i18n.h"
#include "style.h"
#include "utf8.h"

static int parse_flag(Options *o, const Option *self, const char *value) {
        *(bool *) ((uint8_t *) o + self->offset) = true;
        return 0;
}

static int parse_string(Options *o, const Option *self, const char *value) {
        *(const char **) ((uint8_t *) o + self->offset) = value;
        return isempty(value) ? -EINVAL : 0;
}

static int parse_text(Options *o, const Option *self, const char *value) {
        *(const char **) ((uint8_t *) o + self->offset) = value;
        return 0;
}

static int parse_list(Options *o, const Option *self, const char *value) {
        return isempty(value) ? -EINVAL : str_list_add((StrList *) ((uint8_t *) o + self->offset), value);
}

/* NAME=VALUE, with a name. */
static int parse_assignment(Options *o, const Option *self, const char *value) {
        const char *eq = strchr(value, '=');
        return !eq || eq == value ? -EINVAL : parse_list(o, self, value);
}

static int parse_system(Options *o, const Option *self, const char *value) {
        o->user = false;
        return 0;
}

static const char *const json_modes[] = {[JSON_OFF] = "off", [JSON_SHORT] = "short", [JSON_PRETTY] = "pretty", NULL};

static int parse_json(Options *o, const Option *self, const char *value) {
        for (unsigned i = 0; json_modes[i]; i++)
                if (streq(json_modes[i], value)) {
                        o->json = (JsonMode) i;
                        return 0;
                }
        return -EINVAL;
}

static int parse_number(const char *s, uint32_t max, uint32_t *ret) {
        uint32_t v = 0;

        if (!*s || strspn(s, "0123456789") != strlen(s))
                return -EINVAL;
        for (; *s; s++)
                if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint32_t) (*s - '0'), &v) || v > max)
                        return -EINVAL;
        *ret = v;
        return 0;
}

static int parse_lines(Options *o, const Option *self, const char *value) {
        if (streq(value, "all")) {
                o->lines = LINES_ALL;
                return 0;
        }
        return parse_number(value, LINES_UNSET - 1, &o->lines);
}

static int parse_attempt(Options *o, const Option *self, const char *value) {
        int r = parse_number(value, UINT32_MAX - 1, &o->attempt);
        return r < 0 ? r : o->attempt == 0 ? -EINVAL : 0;
}

static int parse_at(Options *o, const Option *self, const char *value) {
        usec_t now = now_usec(CLOCK_REALTIME);

        int r = parse_timestamp(value, now, &o->at);
        if (r >= 0)
                o->at = o->at == now ? 0 : MAX(o->at, (usec_t) 1);      /* 0 is at once: "@0" has passed like all of its kind */
        return r < 0 ? -EINVAL : 0;
}

#define FIELD(f) offsetof(Options, f)

const Option options_table[_OPTION_MAX] = {
        [OPTION_USER] = {"user", 0, NULL, NULL, N_("Talk to your own daemon, on the session bus"), parse_flag, FIELD(user)},
        [OPTION_SYSTEM] = {"system", 0, NULL, NULL, N_("Talk to the system's daemon (the default)"), parse_system},
        [OPTION_HOST] = {"host", 'H', N_("[USER@]HOST"), NULL, N_("Talk to another machine's daemon, over ssh"), parse_string,
                         FIELD(host)},
        [OPTION_JSON] = {"json", 0, N_("FORM"), json_modes, N_("Print JSON: pretty, short, or off"), parse_json},
        [OPTION_NO_PAGER] = {"no-pager", 0, NULL, NULL, N_("Do not pipe output into a pager"), parse_flag, FIELD(no_pager)},
        [OPTION_NO_LEGEND] = {"no-legend", 0, NULL, NULL, N_("Do not print column headings and closing hints"), parse_flag,
                              FIELD(no_legend)},
        [OPTION_NO_ASK_PASSWORD] = {"no-ask-password", 0, NULL, NULL, N_("Do not let the system ask for a password"), parse_flag,
                                    FIELD(no_ask_password)},
        [OPTION_NO_INPUT] = {"no-input", 0, NULL, NULL,
                             N_("Do not ask on the terminal; end with status 3 when a run waits for a person"), parse_flag,
                             FIELD(no_input)},
        [OPTION_LINES] = {"lines", 'n', N_("LINES"), NULL,
                          N_("How much to show: runs (50), lines of a failed step's log (10), of logs and history (all); or "
                             "\"all\""),
                          parse_lines},
        [OPTION_QUIET] = {"quiet", 'q', NULL, NULL, N_("Say nothing but results and errors"), parse_flag, FIELD(quiet)},
        [OPTION_HELP] = {"help", 'h', NULL, NULL, N_("Show this help"), NULL},
        [OPTION_VERSION] = {"version", 0, NULL, NULL, N_("Show the version"), NULL},
        [OPTION_INPUT] =
                        {"input", 'i', N_("NAME=VALUE"), NULL,
                         N_("Give an input, or a field of the answer: text as it is for strings and choices, JSON for other types"),
                         parse_assignment, FIELD(inputs)},
        [OPTION_INPUT_FILE] = {"input-file", 'I', N_("FILE"), NULL,
                               N_("Read inputs from a JSON or YAML file (\"-\": standard input)"), parse_string, FIELD(input_file)},
        [OPTION_FOLLOW] = {"follow", 'f', NULL, NULL, N_("Show what happens as it happens, until the end"), parse_flag,
                           FIELD(follow)},
        [OPTION_WAIT] = {"wait", 0, NULL, NULL, N_("Wait for the end, print only how it ended"), parse_flag, FIELD(wait)},
        [OPTION_STRICT] = {"strict", 0, NULL, NULL, N_("Refuse to start where a required input has no value"), parse_flag,
                           FIELD(strict)},
        [OPTION_LABEL] = {"label", 0, N_("NAME=VALUE"), NULL, N_("Put a label on the run"), parse_assignment, FIELD(labels)},
        [OPTION_CANCEL_ON_EXIT] = {"cancel-on-exit", 0, NULL, NULL, N_("With --follow or --wait: Ctrl-C cancels the run"),
                                   parse_flag, FIELD(cancel_on_exit)},
        [OPTION_PROPERTY] = {"property", 'p', N_("NAME"), NULL, N_("Show only this property (may be repeated)"), parse_list,
                             FIELD(properties)},
        [OPTION_VALUE] = {"value", 0, NULL, NULL, N_("Print values without their names"), parse_flag, FIELD(value)},
        [OPTION_ATTEMPT] = {"attempt", 0, N_("N"), NULL, N_("The log of this attempt (the newest)"), parse_attempt},
        [OPTION_MESSAGE] = {"message", 'm', N_("TEXT"), NULL, N_("Why, for the history"), parse_text, FIELD(message)},
        [OPTION_AT] = {"at", 0, N_("TIME"), NULL,
                       N_("Start it then: \"2026-11-23 14:00\", \"tomorrow 02:00\", \"14:00\", \"+2h\"; local time, or UTC with "
                          "\" UTC\" behind it"),
                       parse_at},
        [OPTION_ONLY] = {"only", 0, N_("PHASE,..."), NULL, N_("Only these phases; the others are skipped"), parse_list, FIELD(only)},
        [OPTION_FROM] = {"from", 0, N_("NAME"), NULL,
                         N_("Begin at this activity or phase again; what needs it is done again too"), parse_string, FIELD(from)},
        [OPTION_ALL_PARALLEL] = {"all-parallel", 0, NULL, NULL,
                                 N_("With --from=PHASE: the whole phase again, and those that run beside it"), parse_flag,
                                 FIELD(all_parallel)},
        [OPTION_RELOAD] = {"reload", 0, NULL, NULL, N_("Go on with the runbook as its file is now"), parse_flag, FIELD(reload)},
        [OPTION_FRESH_WORKSPACE] = {"fresh-workspace", 0, NULL, NULL,
                                    N_("Start in an empty workspace, not in a copy of the other run's"), parse_flag,
                                    FIELD(fresh_workspace)},
        [OPTION_OUTPUT] = {"output", 0, N_("NAME=VALUE"), NULL,
                           N_("Give an output for what comes later: JSON where it can be read so, else text"), parse_assignment,
                           FIELD(outputs)},
        [OPTION_OVERRIDE] = {"override", 0, NULL, NULL,
                             N_("Answer although you are not asked, which takes the right to manage runbookd and stays in the history"),
                             parse_flag, FIELD(override)},
        [OPTION_ALL] = {"all", 0, NULL, NULL,
                        N_("Requests: everybody's, as far as you may see them. A run: also what you may only read with a password"),
                        parse_flag, FIELD(all)},
        [OPTION_WHO] = {"who", 0, N_("NAME|UID"), NULL, N_("Only what this person did"), parse_string, FIELD(who)},
};

int str_list_add(StrList *l, const char *s) {
        if (!GREEDY_REALLOC(l->items, l->n_allocated, l->n + 1))
                return -ENOMEM;
        l->items[l->n++] = s;
        return 0;
}

void options_done(Options *o) {
        free(o->inputs.items);
        free(o->labels.items);
        free(o->properties.items);
        free(o->outputs.items);
        free(o->only.items);
        free(o->arguments.items);
        *o = (Options) {};
}

/* By its first n characters: exactly, else as the only one that begins so. *ret_ambiguous: more than one does. */
static const Option *find_long(const char *name, size_t n, bool *ret_ambiguous) {
        const Option *found = NULL;
        unsigned k = 0;

        *ret_ambiguous = false;
        for (size_t i = 0; i < _OPTION_MAX; i++) {
                const Option *p = options_table + i;
                if (strncmp(p->name, name, n) != 0)
                        continue;
                if (!p->name[n])
                        return p;
                found = p;
                k++;
        }
        *ret_ambiguous = k > 1;
        return k == 1 && n > 0 ? found : NULL;
}

static const Option *find_short(char letter) {
        for (size_t i = 0; letter && i < _OPTION_MAX; i++)
                if (options_table[i].letter == letter)
                        return options_table + i;
        return NULL;
}

const Option *option_find(const char *word) {
        bool ambiguous;

        if (word[0] != '-' || !word[1])
                return NULL;
        return word[1] == '-' ? find_long(word + 2, strcspn(word + 2, "="), &ambiguous) : find_short(word[1]);
}

static int unknown_option(const char *name) {
        const char *candidates[_OPTION_MAX + 1] = {};

        for (size_t i = 0; i < _OPTION_MAX; i++)
                candidates[i] = options_table[i].name;
        _cleanup_free_ char *shown = text_one_line(name);
        const char *near = nearest_name(name, candidates);
        if (near)
                err(_("There is no option --%s. Did you mean --%s?\n"), strempty(shown), near);
        else
                err(_("There is no option --%s. \"runbookctl --help\" lists them.\n"), strempty(shown));
        return -EINVAL;
}

/* What is sent, or printed as JSON, must be UTF-8; the names of files are the system's. */
static bool is_text(const Option *p, const char *value) {
        return !value || p == options_table + OPTION_INPUT_FILE || utf8_is_valid(value, strlen(value));
}

static int apply(Options *o, const Option *p, const char *value) {
        o->given |= OPTION_BIT(p - options_table);
        if (!is_text(p, value)) {
                err(_("The value of --%s isn't UTF-8 text.\n"), p->name);
                return -EINVAL;
        }
        int r = p->parse ? p->parse(o, p, value) : 0;
        if (r == -EINVAL) {
                _cleanup_free_ char *shown = text_one_line(value);
                err(_("\"%s\" is no value for --%s, which wants %s.\n"), strempty(shown), p->name, _(p->metavar));
        }
        return r;
}

/* Takes the value behind "=", else the next word. */
static int apply_with_value(Options *o, const Option *p, const char *attached, int argc, char **argv, int *i) {
        if (!p->metavar) {
                if (!attached)
                        return apply(o, p, NULL);
                err(_("The option --%s takes no value.\n"), p->name);
                return -EINVAL;
        }
        if (attached)
                return apply(o, p, attached);
        if (*i + 1 < argc)
                return apply(o, p, argv[++*i]);
        err(_("The option --%s wants a value: %s.\n"), p->name, _(p->metavar));
        return -EINVAL;
}

static int parse_long(Options *o, int argc, char **argv, int *i) {
        const char *name = argv[*i] + 2;
        size_t n = strcspn(name, "=");
        bool ambiguous;
        const Option *p = find_long(name, n, &ambiguous);

        if (p)
                return apply_with_value(o, p, name[n] ? name + n + 1 : NULL, argc, argv, i);
        if (ambiguous) {
                err(_("--%.*s could be more than one option. \"runbookctl --help\" lists them.\n"), (int) n, name);
                return -EINVAL;
        }
        _cleanup_free_ char *bare = strndup(name, n);
        return bare ? unknown_option(bare) : -ENOMEM;
}

/* "-qn5": letters without values may be joined; the rest of the word is a letter's value. */
static int parse_letters(Options *o, int argc, char **argv, int *i) {
        for (const char *s = argv[*i] + 1; *s; s++) {
                const Option *p = find_short(*s);
                if (!p) {
                        char letter[] = {*s, 0};
                        _cleanup_free_ char *shown = text_one_line(letter);
                        err(_("There is no option -%s. \"runbookctl --help\" lists them.\n"), strempty(shown));
                        return -EINVAL;
                }
                if (p->metavar)
                        return apply_with_value(o, p, s[1] ? s + 1 + (s[1] == '=') : NULL, argc, argv, i);
                int r = apply(o, p, NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_together(const Options *o) {
        if (o->host && o->user)
                err(_("--host and --user don't go together: the daemon of another machine is reached on its system bus.\n"));
        else if (o->follow && o->wait)
                err(_("--follow and --wait don't go together: one shows everything, the other nothing.\n"));
        else if (o->all_parallel && !o->from)
                err(_("--all-parallel needs --from with the name of a phase.\n"));
        else if (o->cancel_on_exit && !o->follow && !o->wait)
                err("%s\n", _("--cancel-on-exit needs --follow or --wait."));
        else
                return 0;
        return -EINVAL;
}

int options_parse(Options *o, int argc, char **argv) {
        int r = 0;

        o->lines = LINES_UNSET;
        for (int i = 1; i < argc; i++) {
                const char *s = argv[i];
                if (streq(s, "--")) {
                        while (++i < argc && r >= 0)
                                r = str_list_add(&o->arguments, argv[i]);
                } else if (s[0] != '-' || !s[1])
                        r = str_list_add(&o->arguments, s);
                else
                        r = s[1] == '-' ? parse_long(o, argc, argv, &i) : parse_letters(o, argc, argv, &i);
                if (r < 0)
                        return r;
        }
        return check_together(o);
}
