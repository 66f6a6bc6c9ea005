/* Every call allows interactive authorization unless --no-ask-password, or it is one that looks again and again. Where it was wanted and
 * nobody was there to ask, the call is made once more with an agent on this terminal. An error is printed as the daemon wrote it, and where
 * something on this side can be done about it, that is said too; where there is no daemon: which bus was tried, and whether another one has
 * a daemon. */
#include "client.h"

#include <stdarg.h>

#include "bus-json.h"
#include "i18n.h"
#include "polkit-agent.h"
#include "style.h"
#include "utf8.h"

static int open_bus(const Ctl *c, sd_bus **ret) {
        if (c->options.host)
                return sd_bus_open_system_remote(ret, c->options.host);
        return c->options.user ? sd_bus_open_user(ret) : sd_bus_open_system(ret);
}

/* Is there a daemon on the other local bus? Without starting one. */
static bool other_bus_has_it(const Ctl *c) {
        sd_bus *bus = NULL;
        int r;

        if (c->options.host)
                return false;
        r = c->options.user ? sd_bus_open_system(&bus) : sd_bus_open_user(&bus);
        if (r < 0)
                return false;
        r = sd_bus_get_name_creds(bus, BUS_NAME, 0, NULL);
        sd_bus_flush_close_unref(bus);
        return r >= 0;
}

static void advise(const Ctl *c) {
        if (c->options.host)
                err(_("On that machine: systemctl status runbookd. And can you log in there by ssh?\n"));
        else if (other_bus_has_it(c))
                err("%s\n", c->options.user ? _("One runs on the system bus: leave out --user.")
                                            : _("One runs on your session bus: try \"runbookctl --user\"."));
        else if (c->options.user)
                err(_("Start it with \"systemctl --user start runbookd\", or run \"runbookd --user\".\n"));
        else
                err(_("Start it with \"systemctl start runbookd\"; its log: \"journalctl -u runbookd\". Your own daemon is reached with "
                      "--user.\n"));
}

static int unreachable(Ctl *c, const char *why) {
        if (c->options.host)
                (void) ctl_error(c, _("runbookd on %s can't be reached: %s"), c->options.host, why);
        else
                (void)ctl_error(c,
                                c->options.user ? _("runbookd can't be reached on the session bus: %s")
                                                : _("runbookd can't be reached on the system bus: %s"),
                                why);
        advise(c);
        c->status = STATUS_UNREACHABLE;
        return -EHOSTUNREACH;
}

int client_connect(Ctl *c) {
        sd_bus *bus = NULL;

        if (c->bus)
                return 0;
        int r = open_bus(c, &bus);
        if (r < 0)
                return unreachable(c, r == -ENOMEDIUM ? _("there is no session bus here (neither DBUS_SESSION_BUS_ADDRESS nor "
                                                          "XDG_RUNTIME_DIR is set)")
                                                      : strerror(-r));
        c->bus = bus;
        client_allow_questions(c, true);
        return 0;
}

void client_allow_questions(Ctl *c, bool allow) {
        if (c->bus)
                (void) sd_bus_set_allow_interactive_authorization(c->bus, allow && !c->options.no_ask_password);
}

void client_allow_question(const Ctl *c, sd_bus_message *m) {
        (void) sd_bus_message_set_allow_interactive_authorization(m, !c->options.no_ask_password);
}

bool client_is_refused(const sd_bus_error *error) {
        return sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
}

bool client_is_away(const sd_bus_error *error) {
        static const char *const names[] = {
                        SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                        SD_BUS_ERROR_DISCONNECTED,    SD_BUS_ERROR_NO_REPLY,
                        SD_BUS_ERROR_NO_SERVER,       SD_BUS_ERROR_TIMEOUT,
                        SD_BUS_ERROR_IO_ERROR,        "org.freedesktop.DBus.Error.TimedOut",
                        "System.Error.ECONNRESET",    "System.Error.ENOTCONN",
                        "System.Error.EPIPE",         "System.Error.ECONNREFUSED",
                        "System.Error.ENOENT",        "System.Error.ETIMEDOUT",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (sd_bus_error_has_name(error, names[i]))
                        return true;
        return error->name && startswith(error->name, "org.freedesktop.DBus.Error.Spawn.");
}

/* ---- what can be done on this side about a refusal ---- */

static const char *advice_denied(const Ctl *c, const char *text) {
        if (startswith(text, "Rejected send message"))  /* so dbus-daemon begins it */
                return _("The bus lets only some users talk to runbookd: try it as root, or use your own daemon with --user.");
        if (c->options.user || geteuid() == 0)
                return NULL;
        return polkit_agent_is_there() ? NULL : _("Do it as root, or let a rule of polkit allow it: see polkit(8).");
}

static const char *advice_authentication(const Ctl *c, const char *text) {
        if (c->options.no_ask_password)
                return _("Leave out --no-ask-password, so that a password can be asked for.");
        if (c->options.host)
                return _("A password can only be asked for on that machine: do it there, or as its root.");
        if (!isatty(STDIN_FILENO))
                return _("Standard input is no terminal, so nobody can be asked for a password here.");
        return polkit_agent_is_there() ? NULL
                                       : _("There is no program that could ask for a password: install pkttyagent, a part of polkit, or do "
                                           "it as root.");
}

static const char *advice_not_approver(const Ctl *c, const char *text) {
        return c->options.override ? NULL : _("Whoever may manage runbookd can answer in their place: with --override.");
}

static const struct {
        const char *error;
        const char *(*advice)(const Ctl *c, const char *text);  /* NULL: the daemon has said it all */
} advices[] = {
        {SD_BUS_ERROR_ACCESS_DENIED, advice_denied},
        {SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, advice_authentication},
        {BUS_ERROR_PREFIX "NotApprover", advice_not_approver},
};

static void advise_about(const Ctl *c, const sd_bus_error *error, const char *text) {
        for (size_t i = 0; i < ELEMENTSOF(advices); i++) {
                const char *s = sd_bus_error_has_name(error, advices[i].error) ? advices[i].advice(c, text) : NULL;
                if (s)
                        err("%s\n", s);
        }
}

int client_error(Ctl *c, const sd_bus_error *error, int r) {
        const char *text = error->message ? error->message : error->name ? error->name : strerror(r < 0 ? -r : EIO);

        if (client_is_away(error) || (!error->name && (r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE || r == -ENOENT)))
                return unreachable(c, text);
        (void) ctl_error(c, "%s", text);
        advise_about(c, error, text);
        return r < 0 ? r : -EIO;
}

int client_parse_error(Ctl *c, int r) {
        return ctl_error(c, _("runbookd answered something that this runbookctl doesn't understand (%s). Are both of one version?"),
                         strerror(-r));
}

int client_new_call(Ctl *c, const char *path, const char *interface, const char *member, sd_bus_message **ret) {
        int r = client_connect(c);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(c->bus, ret, BUS_NAME, path, interface, member);
        return r < 0 ? ctl_error(c, _("%s can't be called: %s"), member, strerror(-r)) : 0;
}

/* A message can be sent once, so this is another one that says the same. */
static int copy_call(Ctl *c, sd_bus_message *m, sd_bus_message **ret) {
        _cleanup_message_ sd_bus_message *copy = NULL;

        int r = sd_bus_message_new_method_call(c->bus, &copy, sd_bus_message_get_destination(m), sd_bus_message_get_path(m),
                                               sd_bus_message_get_interface(m), sd_bus_message_get_member(m));
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(copy, 1);
        if (r >= 0)
                r = sd_bus_message_rewind(m, 1);
        if (r >= 0)
                r = sd_bus_message_copy(copy, m, 1);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(copy);
        return 0;
}

int client_try(Ctl *c, sd_bus_message *m, sd_bus_error *error, sd_bus_message **ret) {
        _cleanup_message_ sd_bus_message *again = NULL;

        int r = sd_bus_call(c->bus, m, CALL_TIMEOUT, error, ret);
        if (r < 0 && sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED) &&
            sd_bus_message_get_allow_interactive_authorization(m) > 0 && polkit_agent_open(c) > 0 && copy_call(c, m, &again) >= 0) {
                sd_bus_error_free(error);
                r = sd_bus_call(c->bus, again, CALL_TIMEOUT, error, ret);
        }
        return r < 0 ? r : 0;
}

int client_send(Ctl *c, sd_bus_message *m, sd_bus_message **ret) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = client_try(c, m, &error, ret);
        return r < 0 ? client_error(c, &error, r) : 0;
}

static int vcall(Ctl *c, const char *path, const char *interface, const char *member, sd_bus_message **ret, const char *types, va_list ap) {
        _cleanup_message_ sd_bus_message *m = NULL;

        int r = client_new_call(c, path, interface, member, &m);
        if (r < 0)
                return r;
        if (!isempty(types)) {
                r = sd_bus_message_appendv(m, types, ap);
                if (r < 0)
                        return ctl_error(c, _("%s can't be called: %s"), member, strerror(-r));
        }
        return client_send(c, m, ret);
}

int client_call(Ctl *c, const char *path, const char *interface, const char *member, sd_bus_message **ret, const char *types, ...) {
        va_list ap;

        va_start(ap, types);
        int r = vcall(c, path, interface, member, ret, types, ap);
        va_end(ap);
        return r;
}

int client_call_json(Ctl *c, const char *path, const char *interface, const char *member, Json **ret, const char *types, ...) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *text;
        va_list ap;

        va_start(ap, types);
        int r = vcall(c, path, interface, member, &reply, types, ap);
        va_end(ap);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "s", &text);
        if (r >= 0)
                r = json_parse(text, strlen(text), ret);
        return r < 0 ? client_parse_error(c, r) : 0;
}

int client_try_json(Ctl *c, const char *path, const char *interface, const char *member, Json **ret, sd_bus_error *error) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        const char *text;

        int r = client_new_call(c, path, interface, member, &m);
        if (r >= 0)
                r = client_try(c, m, error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        return r < 0 ? r : json_parse(text, strlen(text), ret);
}

int client_get_text(Ctl *c, const char *path, const char *interface, const char *property, char **ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *s;

        int r = client_call(c, path, "org.freedesktop.DBus.Properties", "Get", &reply, "ss", interface, property);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "s", &s);
        if (r < 0)
                return client_parse_error(c, r);
        *ret = strdup(s);
        return *ret ? 0 : ctl_oom(c);
}

int client_get_properties(Ctl *c, const char *path, const char *interface, Json **ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;

        int r = client_call(c, path, "org.freedesktop.DBus.Properties", "GetAll", &reply, "s", interface);
        if (r < 0)
                return r;
        r = bus_read_json(reply, ret);
        return r < 0 ? client_parse_error(c, r) : 0;
}

/* Decimal, without leading zeros or anything else. */
static int parse_run(const char *s, size_t n, uint32_t *ret) {
        uint32_t v = 0;

        if (n == 0 || s[0] == '0')
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                if (s[i] < '0' || s[i] > '9' || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint32_t)(s[i] - '0'), &v))
                        return -EINVAL;
        *ret = v;
        return 0;
}

static int target_split(Ctl *c, const char *s, unsigned min_parts, unsigned max_parts, Target *t) {
        size_t n = strcspn(s, "/");
        const char *activity = s[n] ? s + n + 1 : NULL;
        const char *step = activity && strchr(activity, '/') ? strchr(activity, '/') + 1 : NULL;
        unsigned parts = 1 + !!activity + !!step;
        _cleanup_free_ char *shown = text_one_line(s);

        if (parse_run(s, n, &t->run) < 0)
                return ctl_usage_error(c, _("\"%s\" names no run: a run is a number, as \"runbookctl list\" shows it."), strempty(shown));
        if ((activity && (!*activity || *activity == '/')) || (step && (!*step || strchr(step, '/'))) || parts > max_parts)
                return ctl_usage_error(c, _("\"%s\" can't be read: it wants %s."), strempty(shown),
                                       max_parts == 1 ? _("RUN") : max_parts == 2 ? _("RUN/ACTIVITY") : _("RUN[/ACTIVITY[/STEP]]"));
        if (parts < min_parts)
                return ctl_usage_error(c, _("Which activity? Write RUN/ACTIVITY, as \"runbookctl inbox\" shows it."));
        t->activity = activity ? strndup(activity, strcspn(activity, "/")) : NULL;
        t->step = step ? strdup(step) : NULL;
        return (activity && !t->activity) || (step && !t->step) ? ctl_oom(c) : 0;
}

int target_parse(Ctl *c, const char *s, unsigned min_parts, unsigned max_parts, Target *ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *path;

        int r = target_split(c, s, min_parts, max_parts, ret);
        if (r < 0)
                return r;
        r = client_call(c, BUS_PATH, BUS_MANAGER, "GetRun", &reply, "u", ret->run);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return client_parse_error(c, r);
        ret->run_path = strdup(path);
        if (!ret->run_path)
                return ctl_oom(c);
        return ret->activity ? client_activity_path(c, path, ret->activity, &ret->activity_path) : 0;
}

void target_done(Target *t) {
        free(t->activity);
        free(t->step);
        free(t->run_path);
        free(t->activity_path);
        *t = (Target) {};
}

int client_activity_path(Ctl *c, const char *run_path, const char *activity, char **ret) {
        _cleanup_strbuf_ StrBuf b = {};

        strbuf_appendf(&b, "%s/activity", run_path);
        _cleanup_free_ char *prefix = strbuf_take(&b);
        int r = prefix ? sd_bus_path_encode(prefix, activity, ret) : -ENOMEM;
        return r < 0 ? ctl_oom(c) : 0;
}

/* NULL-terminated names of the run's activities; NULL where they can't be had. */
static char **activity_names(Ctl *c, const char *run_path) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        char **names = NULL;
        size_t n = 0, allocated = 0;
        const char *name;

        if (client_new_call(c, run_path, BUS_RUN, "ListActivities", &m) < 0 || client_try(c, m, &error, &reply) < 0 ||
            sd_bus_message_enter_container(reply, 'a', "(sssuo)") < 0)
                return NULL;
        while (sd_bus_message_read(reply, "(sssuo)", &name, NULL, NULL, NULL, NULL) > 0) {
                if (!GREEDY_REALLOC(names, allocated, n + 2))
                        break;
                names[n++] = strdup(name);
                names[n] = NULL;
                if (!names[n - 1])
                        break;
        }
        return names;
}

int client_activity_error(Ctl *c, const Target *t, const sd_bus_error *error, int r) {
        if (!t->activity ||
            !(sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT) || sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_METHOD) ||
              sd_bus_error_has_name(error, BUS_ERROR_PREFIX "NoSuchActivity")))
                return client_error(c, error, r);
        char **names = activity_names(c, t->run_path);
        const char *near = names ? nearest_name(t->activity, (const char *const *) names) : NULL;
        if (near)
                r = ctl_error(c, _("Run %u has no activity \"%s\". Did you mean \"%s\"?"), t->run, t->activity, near);
        else
                r = ctl_error(c, _("Run %u has no activity \"%s\". \"runbookctl status %u\" shows them."), t->run, t->activity, t->run);
        for (size_t i = 0; names && names[i]; i++)
                free(names[i]);
        free(names);
        return r;
}
