/* What may change in a runbook of which something has already run (S0.13, S0.14; sections 5.6, 5.7 and 6 of the contract). */
#include "test.h"

#include "definition-change.h"
#include "runbook-fixture.h"

/* Three phases. In the usual case of these tests `build` has ended, `check` has begun (unit has run, lint is held, slow has not begun),
 * `publish` has not. */
#define HEAD                                                                                                                               \
        "name: ship\n"                                                                                                                     \
        "env: {LEVEL: 1.0}\n"                                                                                                              \
        "defaults: {timeout: 1h}\n"                                                                                                        \
        "phases:\n"
#define BUILD                                                                                                                              \
        "  - name: build\n"                                                                                                                \
        "    activities:\n"                                                                                                                \
        "      - name: dist\n"                                                                                                             \
        "        timeout: 30min\n"                                                                                                         \
        "        steps:\n"                                                                                                                 \
        "          - {name: pack, run: make dist}\n"                                                                                       \
        "          - run: make sums\n"                                                                                                     \
        "      - {name: docs, run: make docs}\n"
#define CHECK                                                                                                                              \
        "  - name: check\n"                                                                                                                \
        "    description: of all\n"                                                                                                        \
        "    activities:\n"                                                                                                                \
        "      - {name: unit, run: make check}\n"                                                                                          \
        "      - {name: lint, run: make lint, needs: []}\n"                                                                                \
        "      - {name: slow, run: make slow}\n"
#define PUBLISH                                                                                                                            \
        "  - name: publish\n"                                                                                                              \
        "    activities: [{name: upload, run: make upload}]\n"
#define TEXT HEAD BUILD CHECK PUBLISH

typedef struct Change {
        Runbook *old, *new;
        Frozen phases[16], activities[16];
        Freeze freeze;
        char *error;
} Change;

static void freeze_activity(Change *c, const char *name, Frozen f) {
        c->activities[runbook_activity(c->old, name)->index] = f;
}

static void freeze_phase(Change *c, const char *name, Frozen f) {
        c->phases[runbook_phase(c->old, name)->index] = f;
}

static int check(Change *c) {
        free(c->error);
        c->error = NULL;
        c->freeze.phases = c->phases;
        c->freeze.activities = c->activities;
        return definition_change_check(c->old, c->new, &c->freeze, &c->error);
}

static void change_done(Change *c) {
        runbook_unref(c->old);
        runbook_unref(c->new);
        free(c->error);
}
#define _cleanup_change_ _cleanup_(change_done)

static Change usual(const char *text) {
        Change c = { .old = must_parse(TEXT), .new = must_parse(text) };

        freeze_phase(&c, "build", FROZEN_ALL);
        freeze_activity(&c, "dist", FROZEN_ALL);
        freeze_activity(&c, "docs", FROZEN_ALL);
        freeze_phase(&c, "check", FROZEN_PLACE);
        freeze_activity(&c, "unit", FROZEN_ALL);
        freeze_activity(&c, "lint", FROZEN_PLACE);
        return c;
}

static void expect_allowed(const char *text) {
        _cleanup_change_ Change c = usual(text);

        if (check(&c) != 0)
                fail_msg("refused: %s", c.error);
        assert_null(c.error);
}

/* lines: all that is said after the sentence. */
static void expect_lines(Change *c, const char *lines) {
        const char *said;

        assert_int_equal(check(c), -EPROTO);
        said = strchr(c->error, '\n');
        assert_non_null(said);
        assert_string_equal(said + 1, lines);
}

static void expect_refused(const char *text, const char *lines) {
        _cleanup_change_ Change c = usual(text);

        expect_lines(&c, lines);
}

static void test_same_text(void **state) {
        expect_allowed(TEXT);
}

/* Comments, line breaks, styles, the order of keys and the format say nothing. */
static void test_writing_is_free(void **state) {
        static const char json[] = "{\"phases\": [{\"activities\": [{\"steps\": [{\"run\": \"make dist\", \"name\": \"pack\"}, {\"run\": "
                                   "\"make sums\"}], \"name\": "
                                   "\"dist\", \"timeout\": \"30min\"}, {\"name\": \"docs\", \"run\": \"make docs\"}], \"name\": "
                                   "\"build\"}, {\"name\": \"check\", "
                                   "\"activities\": [{\"name\": \"unit\", \"run\": \"make check\"}, {\"name\": \"lint\", \"run\": \"make "
                                   "lint\", \"needs\": []}, {\"name\": "
                                   "\"slow\", \"run\": \"make slow\"}]}, {\"name\": \"publish\", \"activities\": [{\"name\": \"upload\", "
                                   "\"run\": \"make upload\"}]}], "
                                   "\"env\": {\"LEVEL\": 1.0}, \"defaults\": {\"timeout\": \"1h\"}, \"name\": \"ship\"}";
        _cleanup_change_ Change c = usual(TEXT);
        _cleanup_diag_ Diagnostics d = {};

        expect_allowed("# changed\n" HEAD "  - activities:\n"
                       "      - steps:\n"
                       "          - run: >-\n"
                       "              make\n"
                       "              dist\n"
                       "            name: 'pack'\n"
                       "          - {run: \"make sums\"}\n"
                       "        timeout: 30min   # enough\n"
                       "        name: dist\n"
                       "      - {run: make docs, name: docs}\n"
                       "    name: build\n" CHECK PUBLISH);
        c.new = runbook_unref(c.new);
        assert_ok(runbook_parse(json, strlen(json), TREE_JSON, NULL, &d, &c.new));
        c.freeze.defaults = true;
        assert_ok(check(&c));
}

/* S0.13, S0.14: the held one is put right, and what comes after it, while what has run stays. */
static void test_fix_and_continue(void **state) {
        expect_allowed(HEAD BUILD
                       "  - name: check\n"
                       "    description: of all that was built\n"
                       "    activities:\n"
                       "      - {name: unit, run: make check}\n"
                       "      - {name: lint, run: make lint -k, retries: {max: 1}}\n"
                       "      - {name: style, run: make style, needs: [lint]}\n"
                       "  - name: sign\n"
                       "    activities: [{name: sign-off, run: make sign}]\n");
        expect_allowed("inputs: {a: {type: string}}\ntimeout: 5h\n" TEXT);
        expect_allowed("name: ship\nphases:\n" BUILD CHECK PUBLISH); /* nothing is under way that follows `defaults` */
}

static void test_what_ran_has_changed(void **state) {
        expect_refused(HEAD "  - name: build\n"
                            "    activities:\n"
                            "      - name: dist\n"
                            "        retries: {max: 1}\n"
                            "        steps:\n"
                            "          - {name: pack, run: make -j2 dist}\n"
                            "          - {run: make sums, timeout: 90}\n"
                            "      - {name: docs, run: make docs, description: all}\n" CHECK PUBLISH,
                       "phases.build.activities.dist.timeout: was \"30min\", is gone\n"
                       "phases.build.activities.dist.steps.pack.run: was \"make dist\", is \"make -j2 dist\"\n"
                       "phases.build.activities.dist.steps[2].timeout: was not there, is 90\n"
                       "phases.build.activities.dist.retries: was not there, is {\"max\":1}\n"
                       "phases.build.activities.docs.description: was not there, is \"all\"");
}

/* One that came or went: the first difference, not all behind it. */
static void test_lists_of_other_lengths(void **state) {
        expect_refused(HEAD "  - name: build\n"
                            "    activities:\n"
                            "      - name: dist\n"
                            "        timeout: 30min\n"
                            "        steps:\n"
                            "          - run: make clean\n"
                            "          - {name: pack, run: make dist}\n"
                            "          - run: make sums\n"
                            "      - {name: docs, run: make docs}\n" CHECK PUBLISH,
                       "phases.build.activities.dist.steps[1].name: was \"pack\", is gone\n"
                       "phases.build.activities.dist.steps[1].run: was \"make dist\", is \"make clean\"");
        expect_refused(HEAD "  - name: build\n"
                            "    activities:\n"
                            "      - name: dist\n"
                            "        timeout: 30min\n"
                            "        steps: [{name: pack, run: make dist}]\n"
                            "      - {name: docs, run: make docs}\n" CHECK PUBLISH,
                       "phases.build.activities.dist.steps[2]: was {\"run\":\"make sums\"}, is gone");
}

/* An activity that is held may change, but not go; one that has run may do neither. */
static void test_gone_and_moved(void **state) {
        expect_refused(HEAD BUILD "  - name: check\n"
                                  "    activities: [{name: unit, run: make check}]\n"
                                  "  - name: publish\n"
                                  "    activities: [{name: upload, run: make upload}, {name: lint, run: make lint}]\n",
                       "activity lint was in phase check, is in phase publish");
        expect_refused(HEAD BUILD "  - name: check\n"
                                  "    activities: [{name: other, needs: [], run: make other}]\n",
                       "activity unit is gone\nactivity lint is gone");
        expect_refused(HEAD "  - name: build\n"
                            "    activities: [{name: lint, needs: [], run: make lint}]\n",
                       "activity dist is gone\nactivity docs is gone\nactivity lint is new in phase build, which has ended\nphase check is "
                       "gone");
}

/* A phase that has ended: nothing comes or goes, also of what has not run in it. */
static void test_ended_phase(void **state) {
        _cleanup_change_ Change c = usual(HEAD "  - name: build\n"
                                               "    activities:\n"
                                               "      - name: dist\n"
                                               "        timeout: 30min\n"
                                               "        steps:\n"
                                               "          - {name: pack, run: make dist}\n"
                                               "          - run: make sums\n"
                                               "      - {name: slow, run: make slow}\n"
                                               "  - name: check\n"
                                               "    activities:\n"
                                               "      - {name: unit, run: make check}\n"
                                               "      - {name: lint, run: make lint}\n" PUBLISH);

        freeze_activity(&c, "docs", FROZEN_NOT);
        expect_lines(&c, "activity docs is gone\nactivity slow is new in phase build, which has ended");
        freeze_phase(&c, "build", FROZEN_PLACE);        /* one that has begun, and whose others may come and go */
        assert_ok(check(&c));
}

/* needs, if, critical of a phase that has begun; its description may change (test_fix_and_continue). */
static void test_begun_phase(void **state) {
        expect_refused(HEAD BUILD "  - name: check\n"
                                  "    if: always()\n"
                                  "    critical: false\n"
                                  "    needs: []\n"
                                  "    activities:\n"
                                  "      - {name: unit, run: make check}\n"
                                  "      - {name: lint, run: make lint}\n" PUBLISH,
                       "phases.check.if: was not there, is \"always()\"\n"
                       "phases.check.critical: was not there, is false\n"
                       "phases.check.needs: was not there, is []");
}

/* What is put before a thing that needs everything before it becomes one of its needs. */
static void test_new_needs(void **state) {
        expect_refused(HEAD "  - name: prep\n"
                            "    activities: [{name: fetch, run: make fetch}]\n" BUILD CHECK PUBLISH,
                       "prep would have to run before build, which has begun");
        expect_refused(HEAD BUILD "  - name: check\n"
                                  "    activities:\n"
                                  "      - {name: first, run: make first}\n"
                                  "      - {name: second, run: make second}\n"
                                  "      - {name: unit, run: make check}\n"
                                  "      - {name: lint, run: make lint}\n" PUBLISH,
                       "first would have to run before unit, which has begun\nsecond would have to run before unit, which has begun");
        /* The order of what has run itself. */
        expect_refused(HEAD "  - name: build\n"
                            "    activities:\n"
                            "      - {name: docs, run: make docs}\n"
                            "      - name: dist\n"
                            "        timeout: 30min\n"
                            "        steps:\n"
                            "          - {name: pack, run: make dist}\n"
                            "          - run: make sums\n" CHECK PUBLISH,
                       "docs would have to run before dist, which has begun");
        expect_refused(HEAD CHECK BUILD PUBLISH, "check would have to run before build, which has begun");
}

/* The held one may get new needs, and one with `needs` of its own gets none by its place. */
static void test_places_that_matter_to_nobody(void **state) {
        _cleanup_change_ Change c = usual(HEAD BUILD "  - name: check\n"
                                                     "    activities:\n"
                                                     "      - {name: unit, run: make check}\n"
                                                     "      - {name: early, run: make early}\n"
                                                     "      - {name: lint, run: make lint, needs: []}\n" PUBLISH);

        assert_ok(check(&c));
        freeze_activity(&c, "lint", FROZEN_ALL);
        assert_ok(check(&c));
        c.new = runbook_unref(c.new);
        c.new = must_parse(HEAD BUILD "  - name: check\n"
                                      "    activities:\n"
                                      "      - {name: unit, run: make check}\n"
                                      "      - {name: lint, run: make lint, needs: [unit]}\n" PUBLISH);
        expect_lines(&c, "phases.check.activities.lint.needs[1]: was not there, is \"unit\"");
}

/* A need that is not one any more: gone, or behind it. */
static void test_lost_needs(void **state) {
        Change c = { .old = must_parse(HEAD CHECK), .new = must_parse(HEAD "  - name: check\n"
                                                                           "    activities:\n"
                                                                           "      - {name: lint, run: make lint, needs: []}\n"
                                                                           "      - {name: slow, run: make slow}\n") };

        freeze_activity(&c, "slow", FROZEN_ALL);
        expect_lines(&c, "slow, which has begun, needed unit and would not any more");
        runbook_unref(c.new);
        c.new = must_parse(HEAD "  - name: check\n"
                                "    activities:\n"
                                "      - {name: lint, run: make lint, needs: []}\n"
                                "      - {name: slow, run: make slow}\n"
                                "      - {name: unit, run: make check}\n");
        expect_lines(&c, "slow, which has begun, needed unit and would not any more");
        change_done(&c);
}

/* `defaults` and `env` hold for what is under way. Numbers are texts where they are variables. */
static void test_defaults(void **state) {
        _cleanup_change_ Change c = usual("name: ship\n"
                                          "env: {LEVEL: 1.00}\n"
                                          "defaults: {timeout: 2h}\n"
                                          "phases:\n" BUILD CHECK PUBLISH);

        assert_ok(check(&c));
        c.freeze.defaults = true;
        expect_lines(&c, "defaults.timeout: was \"1h\", is \"2h\"\nenv.LEVEL: was 1.0, is 1.00");
}

static void test_name(void **state) {
        expect_refused("name: boat\nphases:\n" BUILD CHECK PUBLISH, "name: was ship, is boat");
}

/* ---- caps ---- */

#define ACTIVITY(name, run) "      - {name: " name ", run: " run "}\n"
#define PHASE(activities) "phases:\n  - name: p\n    activities:\n" activities

static Change all_frozen(const char *old, const char *new) {
        Change c = { .old = must_parse(old), .new = must_parse(new) };

        for (unsigned i = 0; i < c.old->n_activities; i++)
                c.activities[i] = FROZEN_ALL;
        c.phases[0] = FROZEN_PLACE;
        return c;
}

/* No more than five, however many there are and of whatever kind. */
static void test_five_differences(void **state) {
        _cleanup_change_ Change c = all_frozen(PHASE(ACTIVITY("a", "x") ACTIVITY("b", "x") ACTIVITY("c", "x") ACTIVITY("d", "x")
                                                                     ACTIVITY("e", "x") ACTIVITY("f", "x")),
                                               PHASE(ACTIVITY("n", "y") ACTIVITY("a", "y") ACTIVITY("b", "y") ACTIVITY("c", "y")
                                                                     ACTIVITY("d", "y") ACTIVITY("e", "y") ACTIVITY("f", "y")));

        expect_lines(&c, "phases.p.activities.a.run: was \"x\", is \"y\"\n"
                         "phases.p.activities.b.run: was \"x\", is \"y\"\n"
                         "phases.p.activities.c.run: was \"x\", is \"y\"\n"
                         "phases.p.activities.d.run: was \"x\", is \"y\"\n"
                         "phases.p.activities.e.run: was \"x\", is \"y\"");
        assert_non_null(strstr(c.error, "runbookctl rerun"));
}

/* Sixty bytes of a value, on one line, and no half a character. */
static void test_long_values(void **state) {
        _cleanup_change_ Change c = all_frozen(
                PHASE(ACTIVITY("a", "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefgh")), /* 58 and the quotes */
                PHASE(ACTIVITY("a", "\"abcdefghijabcdefghijabcdefghijabcdefghijabcdefghija\\n12345\xc3\xa4 and more\"")));

        expect_lines(&c, "phases.p.activities.a.run: was \"abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefgh\", "
                         "is \"abcdefghijabcdefghijabcdefghijabcdefghijabcdefghija\\n12345…");
}

/* More keys than are searched one by one. */
static void test_large_maps(void **state) {
        _cleanup_strbuf_ StrBuf old = {}, new = {};

        strbuf_append(&old, "env:\n");
        strbuf_append(&new, "env:\n");
        for (unsigned i = 0; i < 40; i++) {
                strbuf_appendf(&old, "  V%u: a\n", i);
                strbuf_appendf(&new, "  V%u: %s\n", i == 0 ? 77 : 40 - i, i == 5 ? "b" : "a"); /* V35; V0 is V77 */
        }
        strbuf_append(&old, PHASE(ACTIVITY("a", "x")));
        strbuf_append(&new, PHASE(ACTIVITY("a", "x")));
        {
                _cleanup_change_ Change c = all_frozen(old.s, new.s);
                c.freeze.defaults = true;
                expect_lines(&c, "env.V0: was \"a\", is gone\nenv.V35: was \"a\", is \"b\"\nenv.V77: was not there, is \"a\"");
        }
}

/* The largest runbook, all of it frozen and needing all before it, and one more at the front: linear, or this would take minutes. */
static void test_ten_thousand(void **state) {
        const unsigned n = RUNBOOK_ACTIVITIES_MAX - 1;
        _cleanup_strbuf_ StrBuf old = {}, new = {};
        _cleanup_free_ Frozen *activities = calloc(n, sizeof(Frozen));
        Frozen phase = FROZEN_PLACE;
        _cleanup_runbook_ Runbook *a = NULL, *b = NULL;
        _cleanup_free_ char *error = NULL;

        strbuf_append(&old, PHASE(""));
        strbuf_append(&new, PHASE(ACTIVITY("first", "x")));
        for (unsigned i = 0; i < n; i++) {
                strbuf_appendf(&old, ACTIVITY("a%u", "x"), i);
                strbuf_appendf(&new, ACTIVITY("a%u", "x"), i);
                activities[i] = FROZEN_ALL;
        }
        a = must_parse(old.s);
        b = must_parse(new.s);
        assert_int_equal(definition_change_check(a, b, &(Freeze) { .phases = &phase, .activities = activities }, &error), -EPROTO);
        assert_string_equal(strchr(error, '\n') + 1, "first would have to run before a0, which has begun");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_text),
        cmocka_unit_test(test_writing_is_free),
        cmocka_unit_test(test_fix_and_continue),
        cmocka_unit_test(test_what_ran_has_changed),
        cmocka_unit_test(test_lists_of_other_lengths),
        cmocka_unit_test(test_gone_and_moved),
        cmocka_unit_test(test_ended_phase),
        cmocka_unit_test(test_begun_phase),
        cmocka_unit_test(test_new_needs),
        cmocka_unit_test(test_places_that_matter_to_nobody),
        cmocka_unit_test(test_lost_needs),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_five_differences),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_large_maps),
        cmocka_unit_test(test_ten_thousand),
};
TEST_MAIN(tests)
