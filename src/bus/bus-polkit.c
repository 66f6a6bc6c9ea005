/* Questions to polkit. A question is a message that waits for its turn, is sent, and is answered, or is cancelled because the caller has
 * left the bus. Two kinds are counted apart, so that people who leave a password dialog open don't keep those waiting whom polkit's rules
 * alone can answer. Every way that ends in no clear yes ends in no yes: only where nobody owns polkit's name and nobody can be started for
 * it is polkit absent; one that crashes or hangs is not. */
#include "bus-polkit.h"

#include <stdio.h>

#include "i18n.h"
#include "list.h"
#include "log.h"
#include "time-util.h"

#define AUTHORITY "org.freedesktop.PolicyKit1"
#define AUTHORITY_PATH "/org/freedesktop/PolicyKit1/Authority"
#define AUTHORITY_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define FLAG_INTERACTIVE 1u

struct PolkitCheck {
        Polkit *polkit;
        sd_bus_message *m;                              /* NULL: it is sent */
        sd_bus_slot *slot;                              /* NULL: not sent, or over */
        char id[32];
        bool prompt;
        PolkitDone done;
        void *userdata;
        LIST_FIELDS(PolkitCheck, queue);
};

struct Polkit {
        sd_bus *connection;
        QUEUE_HEAD(PolkitCheck) waiting;                /* only those that no person has to answer */
        unsigned n_checks, n_prompts;                   /* sent and not answered */
        uint64_t last_id;
};

int polkit_new(sd_bus *connection, Polkit **ret) {
        Polkit *p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->connection = connection;
        *ret = p;
        return 0;
}

Polkit *polkit_free(Polkit *p) {
        assert(!p || (!p->waiting.first && p->n_checks + p->n_prompts == 0));
        free(p);
        return NULL;
}

/* ---- the question ---- */

static int append_detail(sd_bus_message *m, const char *key, const char *value) {
        return value ? sd_bus_message_append(m, "{ss}", key, value) : 0;
}

static int append_details(sd_bus_message *m, const PolkitQuestion *q) {
        char run[16];
        (void) snprintf(run, sizeof(run), "%u", q->run);
        const char *const details[][2] = {
                {"runbook", q->runbook},
                {"run", q->run ? run : NULL},
                {"activity", q->activity},
                {"phase", q->phase},
                {"polkit.message", q->prompt ? q->message : NULL},
                {"polkit.gettext_domain", q->prompt && q->message ? PACKAGE : NULL},
        };
        int r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(details); i++)
                r = append_detail(m, details[i][0], details[i][1]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int question_new(Polkit *p, const PolkitQuestion *q, const char *id, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(p->connection, &m, AUTHORITY, AUTHORITY_PATH, AUTHORITY_INTERFACE, "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", q->caller, q->action);
        if (r >= 0)
                r = append_details(m, q);
        if (r >= 0)
                r = sd_bus_message_append(m, "us", q->prompt ? FLAG_INTERACTIVE : 0, id);
        if (r >= 0)
                *ret = TAKE_PTR(m);
        return r;
}

/* ---- the answer ---- */

static int read_details(sd_bus_message *m, bool *ret_dismissed) {
        const char *key, *value;
        int r = sd_bus_message_enter_container(m, 'a', "{ss}");
        while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0)
                if (streq(key, "polkit.dismissed") && *value)
                        *ret_dismissed = true;
        return r;
}

/* A plain no behind a question that was worth putting to a person is that person's: a rule's no would have come before it. */
static int read_answer(sd_bus_message *m, bool prompted, PolkitAnswer *ret) {
        bool dismissed = false;
        int yes, challenge, r = sd_bus_message_enter_container(m, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(m, "bb", &yes, &challenge);
        if (r >= 0)
                r = read_details(m, &dismissed);
        if (r < 0)
                return r;
        if (yes)
                *ret = POLKIT_YES;
        else if (challenge)
                *ret = POLKIT_CHALLENGE;
        else
                *ret = !prompted ? POLKIT_NO : dismissed ? POLKIT_DISMISSED : POLKIT_UNPROVEN;
        return 0;
}

static bool means_absent(const sd_bus_error *e) {
        static const char *const names[] = {
                SD_BUS_ERROR_SERVICE_UNKNOWN,
                SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
                "org.freedesktop.systemd1.NoSuchUnit",
                "org.freedesktop.systemd1.UnitMasked",
        };
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (sd_bus_error_has_name(e, names[i]))
                        return true;
        return false;
}

static void send_next(Polkit *p);

/* It is no longer in flight. */
static void landed(PolkitCheck *c) {
        unsigned *n = c->prompt ? &c->polkit->n_prompts : &c->polkit->n_checks;
        assert(*n > 0);
        (*n)--;
        c->slot = sd_bus_slot_unref(c->slot);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        PolkitCheck *c = userdata;
        Polkit *p = c->polkit;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        PolkitAnswer answer = POLKIT_FAILED;
        const char *text = NULL;
        landed(c);
        if (e) {
                answer = means_absent(e) ? POLKIT_ABSENT : POLKIT_FAILED;
                text = e->message ? e->message : e->name;
        } else if (read_answer(m, c->prompt, &answer) < 0) {
                answer = POLKIT_FAILED;
                text = _("its answer can't be read");
        }
        c->done(c->userdata, answer, text);
        send_next(p);
        return 1;
}

/* ---- sending ---- */

static int send(PolkitCheck *c) {
        usec_t limit = (c->prompt ? POLKIT_PROMPT_SEC : POLKIT_CHECK_SEC) * USEC_PER_SEC;
        int r = sd_bus_call_async(c->polkit->connection, &c->slot, c->m, on_answer, c, limit);
        c->m = sd_bus_message_unref(c->m);
        if (r >= 0)
                (*(c->prompt ? &c->polkit->n_prompts : &c->polkit->n_checks))++;
        return r;
}

static void send_next(Polkit *p) {
        while (p->waiting.first && p->n_checks < POLKIT_CHECKS_MAX) {
                PolkitCheck *c = p->waiting.first;
                QUEUE_REMOVE(queue, &p->waiting, c);
                int r = send(c);
                if (r < 0)
                        c->done(c->userdata, POLKIT_FAILED, strerror(-r));
        }
}

int polkit_ask(Polkit *p, const PolkitQuestion *q, PolkitDone done, void *userdata, PolkitCheck **ret) {
        if (q->prompt && p->n_prompts >= POLKIT_PROMPTS_MAX)
                return -EBUSY;
        PolkitCheck *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->prompt = q->prompt;
        c->done = done;
        c->userdata = userdata;
        (void) snprintf(c->id, sizeof(c->id), PACKAGE "-%llu", (unsigned long long) ++p->last_id);
        int r = question_new(p, q, c->id, &c->m);
        if (r >= 0) {
                c->polkit = p;
                if (!q->prompt && p->n_checks >= POLKIT_CHECKS_MAX)
                        QUEUE_PUSH(queue, &p->waiting, c);
                else
                        r = send(c);
        }
        if (r < 0) {
                sd_bus_message_unref(c->m);
                free(c);
                return r;
        }
        *ret = c;
        return 0;
}

static void cancel(PolkitCheck *c) {
        int r = sd_bus_call_method_async(c->polkit->connection, NULL, AUTHORITY, AUTHORITY_PATH, AUTHORITY_INTERFACE,
                                         "CancelCheckAuthorization", NULL, NULL, "s", c->id);
        if (r < 0)
                log_debug_errno(r, "A question to polkit can't be cancelled: %m");
}

PolkitCheck *polkit_check_free(PolkitCheck *c) {
        if (!c)
                return NULL;
        Polkit *p = c->polkit;
        bool sent = c->slot;
        if (c->m) {
                QUEUE_REMOVE(queue, &p->waiting, c);
                sd_bus_message_unref(c->m);
        } else if (sent) {
                cancel(c);
                landed(c);
        }
        free(c);
        if (sent)
                send_next(p);
        return NULL;
}
