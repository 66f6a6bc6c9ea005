/* Questions to polkit. The other side of a socket pair plays it. */
#include "test.h"

#include <stdio.h>

#include "bus-polkit.h"
#include "pair.h"

#define CHECKS_MAX 64

typedef struct Asked {
        sd_bus_message *m;
        char details[256];
        char action[64], caller[32], id[64];
        uint32_t flags;
} Asked;

typedef struct World {
        Pair pair;
        Polkit *polkit;
        Asked asked[CHECKS_MAX];
        size_t n_asked;
        char cancelled[CHECKS_MAX][64];
        size_t n_cancelled;
        PolkitCheck *checks[CHECKS_MAX];
        PolkitAnswer answers[CHECKS_MAX];               /* in the order of their arrival */
        char text[256];
        size_t n_answers;
} World;

static World *w;

static void read_question(sd_bus_message *m, Asked *a) {
        const char *kind, *key, *value, *caller, *action, *id;
        assert_true(sd_bus_message_read(m, "(sa{sv})s", &kind, 1, &key, "s", &caller, &action) >= 0);
        assert_string_equal(kind, "system-bus-name");
        assert_string_equal(key, "name");
        assert_true(sd_bus_message_enter_container(m, 'a', "{ss}") > 0);
        while (sd_bus_message_read(m, "{ss}", &key, &value) > 0) {
                size_t n = strlen(a->details);
                (void) snprintf(a->details + n, sizeof(a->details) - n, "%s=%s;", key, value);
        }
        assert_true(sd_bus_message_exit_container(m) >= 0 && sd_bus_message_read(m, "us", &a->flags, &id) >= 0);
        (void) snprintf(a->action, sizeof(a->action), "%s", action);
        (void) snprintf(a->caller, sizeof(a->caller), "%s", caller);
        (void) snprintf(a->id, sizeof(a->id), "%s", id);
}

static int authority(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *id;
        if (sd_bus_message_is_method_call(m, "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization") > 0) {
                Asked *a = &w->asked[w->n_asked++];
                assert_true(w->n_asked <= CHECKS_MAX);
                a->m = sd_bus_message_ref(m);
                read_question(m, a);
                return 1;
        }
        if (sd_bus_message_is_method_call(m, "org.freedesktop.PolicyKit1.Authority", "CancelCheckAuthorization") > 0) {
                assert_true(sd_bus_message_read(m, "s", &id) >= 0);
                (void) snprintf(w->cancelled[w->n_cancelled++], 64, "%s", id);
                return 1;
        }
        return 0;
}

static int setup(void **state) {
        w = calloc(1, sizeof(*w));
        assert_non_null(w);
        pair_init(&w->pair);
        assert_true(sd_bus_add_filter(w->pair.theirs, NULL, authority, NULL) >= 0);
        assert_ok(polkit_new(w->pair.ours, &w->polkit));
        pair_settle(&w->pair);
        return 0;
}

static int teardown(void **state) {
        for (size_t i = 0; i < CHECKS_MAX; i++)
                polkit_check_free(w->checks[i]);
        for (size_t i = 0; i < w->n_asked; i++)
                sd_bus_message_unref(w->asked[i].m);
        polkit_free(w->polkit);
        pair_done(&w->pair);
        free(w);
        return 0;
}

static void done(void *userdata, PolkitAnswer answer, const char *text) {
        PolkitCheck **c = userdata;
        *c = polkit_check_free(*c);
        w->answers[w->n_answers++] = answer;
        (void) snprintf(w->text, sizeof(w->text), "%s", strempty(text));
}

static int ask(size_t i, bool prompt) {
        const PolkitQuestion q = {.caller = ":1.5", .action = "a.b", .message = "May $(runbook)?", .prompt = prompt, .runbook = "book", .run = 12};
        return polkit_ask(w->polkit, &q, done, &w->checks[i], &w->checks[i]);
}

static void reply(size_t i, bool yes, bool challenge, const char *detail) {
        assert_true(sd_bus_reply_method_return(w->asked[i].m, "(bba{ss})", yes, challenge, 2, "polkit.retains", "x", detail, "true") >= 0);
        pair_settle(&w->pair);
}

static void test_question(void **state) {
        const PolkitQuestion q = {.caller = ":1.7", .action = "c.d", .message = "m", .runbook = "k", .activity = "a", .phase = "p"};
        assert_ok(ask(0, true));
        assert_ok(polkit_ask(w->polkit, &q, done, &w->checks[1], &w->checks[1]));
        pair_settle(&w->pair);
        assert_int_equal(w->n_asked, 2);
        assert_string_equal(w->asked[0].caller, ":1.5");
        assert_string_equal(w->asked[0].action, "a.b");
        assert_string_equal(w->asked[0].details, "runbook=book;run=12;polkit.message=May $(runbook)?;polkit.gettext_domain=runbookd;");
        assert_int_equal(w->asked[0].flags, 1);
        assert_string_equal(w->asked[1].details, "runbook=k;activity=a;phase=p;");
        assert_int_equal(w->asked[1].flags, 0);
        assert_string_not_equal(w->asked[0].id, w->asked[1].id);
}

static void test_answers(void **state) {
        static const struct {
                bool yes, challenge, prompt;
                const char *detail;
                PolkitAnswer want;
        } cases[] = {
                {true, false, false, "x", POLKIT_YES},
                {true, true, false, "x", POLKIT_YES},
                {false, true, false, "x", POLKIT_CHALLENGE},
                {false, false, false, "x", POLKIT_NO},
                {false, false, false, "polkit.dismissed", POLKIT_NO},
                {true, false, true, "x", POLKIT_YES},
                {false, true, true, "x", POLKIT_CHALLENGE},             /* there was nobody to ask */
                {false, false, true, "x", POLKIT_UNPROVEN},
                {false, false, true, "polkit.dismissed", POLKIT_DISMISSED},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_ok(ask(i, cases[i].prompt));
                pair_settle(&w->pair);
                reply(i, cases[i].yes, cases[i].challenge, cases[i].detail);
                assert_int_equal(w->n_answers, i + 1);
                assert_int_equal(w->answers[i], cases[i].want);
        }
}

/* Only where there is no such service is there no polkit; whatever else goes wrong is a no. */
static void test_errors(void **state) {
        static const struct {
                const char *name;
                PolkitAnswer want;
        } cases[] = {
                {SD_BUS_ERROR_SERVICE_UNKNOWN, POLKIT_ABSENT},
                {SD_BUS_ERROR_NAME_HAS_NO_OWNER, POLKIT_ABSENT},
                {"org.freedesktop.systemd1.UnitMasked", POLKIT_ABSENT},
                {SD_BUS_ERROR_NO_REPLY, POLKIT_FAILED},
                {SD_BUS_ERROR_TIMEOUT, POLKIT_FAILED},
                {SD_BUS_ERROR_DISCONNECTED, POLKIT_FAILED},
                {SD_BUS_ERROR_ACCESS_DENIED, POLKIT_FAILED},
                {"org.freedesktop.DBus.Error.Spawn.ChildExited", POLKIT_FAILED},
                {"org.freedesktop.PolicyKit1.Error.Cancelled", POLKIT_FAILED},
                {"org.freedesktop.PolicyKit1.Error.Failed", POLKIT_FAILED},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_ok(ask(i, false));
                pair_settle(&w->pair);
                assert_true(sd_bus_reply_method_errorf(w->asked[i].m, cases[i].name, "why %zu", i) >= 0);
                pair_settle(&w->pair);
                assert_int_equal(w->n_answers, i + 1);
                assert_int_equal(w->answers[i], cases[i].want);
                assert_non_null(strstr(w->text, "why"));
        }
}

static void test_answer_that_is_none(void **state) {
        assert_ok(ask(0, false));
        pair_settle(&w->pair);
        assert_true(sd_bus_reply_method_return(w->asked[0].m, "s", "yes") >= 0);
        pair_settle(&w->pair);
        assert_int_equal(w->n_answers, 1);
        assert_int_equal(w->answers[0], POLKIT_FAILED);
}

/* Those that wait are asked in their order, one for each that is answered or given up. */
static void test_turns(void **state) {
        for (size_t i = 0; i < POLKIT_CHECKS_MAX + 3; i++)
                assert_ok(ask(i, false));
        pair_settle(&w->pair);
        assert_int_equal(w->n_asked, POLKIT_CHECKS_MAX);
        w->checks[POLKIT_CHECKS_MAX] = polkit_check_free(w->checks[POLKIT_CHECKS_MAX]); /* was never asked */
        reply(0, true, false, "x");
        assert_int_equal(w->n_asked, POLKIT_CHECKS_MAX + 1);
        w->checks[1] = polkit_check_free(w->checks[1]);
        pair_settle(&w->pair);
        assert_int_equal(w->n_asked, POLKIT_CHECKS_MAX + 2);
        assert_int_equal(w->n_cancelled, 1);
        assert_string_equal(w->cancelled[0], w->asked[1].id);
        reply(1, true, false, "x");                     /* nobody waits for it */
        assert_int_equal(w->n_answers, 1);
}

/* People who think don't keep others waiting, and are not asked without end. */
static void test_prompts(void **state) {
        for (size_t i = 0; i < POLKIT_PROMPTS_MAX; i++)
                assert_ok(ask(i, true));
        assert_int_equal(ask(POLKIT_PROMPTS_MAX, true), -EBUSY);
        assert_ok(ask(POLKIT_PROMPTS_MAX, false));
        pair_settle(&w->pair);
        assert_int_equal(w->n_asked, POLKIT_PROMPTS_MAX + 1);
        reply(0, false, false, "x");
        assert_ok(ask(0, true));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
static const struct CMUnitTest tests[] = {
        TEST(test_question), TEST(test_answers), TEST(test_errors), TEST(test_answer_that_is_none), TEST(test_turns), TEST(test_prompts),
};
TEST_MAIN(tests)
