/* Rows that are made while they are written. */
#include "fixture.h"

typedef struct Source {
        uint32_t first, n, made;                        /* numbers of runs */
        uint32_t fails_at;                              /* the how-manieth can't be made; 0: none */
        RunState state;
        char text[32];                                  /* of one row at a time, as a caller may do it */
} Source;

/* 1, 0, or what it fails with. */
static int make_next(Source *s) {
        if (s->made == s->n)
                return 0;
        if (s->made + 1 == s->fails_at)
                return -ENOMEM;
        s->made++;
        (void) snprintf(s->text, sizeof(s->text), "text %u", s->first + s->made - 1);
        return 1;
}

static int next_event(void *userdata, EventRow *ret) {
        Source *s = userdata;
        int r = make_next(s);

        if (r <= 0)
                return r;
        *ret = event_of(s->first + s->made - 1, 1);
        ret->step = s->text;
        return 1;
}

static int next_run(void *userdata, RunRow *ret) {
        Source *s = userdata;
        int r = make_next(s);

        if (r <= 0)
                return r;
        *ret = run_of(s->first + s->made - 1, s->state);
        ret->status_text = s->text;
        return 1;
}

static int check_step(void *userdata, const EventRow *row) {
        assert_string_equal(row->step, userdata);
        return 0;
}

static int check_run(void *userdata, const RunRow *row) {
        char text[32];
        uint32_t *id = userdata;

        (void) snprintf(text, sizeof(text), "text %u", --*id);
        assert_int_equal(row->id, *id);
        assert_string_equal(row->runbook, "release");
        assert_string_equal(row->status_text, text);
        return 0;
}

#define MANY 5000u                                      /* more than fit into the cache of pages */

static void test_many(void **state) {
        Fixture *f = *state;
        Source events = { .first = 1, .n = MANY }, runs = { .first = 1, .n = MANY, .state = RUN_QUEUED };
        uint32_t id = MANY + 1;

        assert_ok(store_begin(f->store));
        assert_ok(store_add_runs(f->store, next_run, &runs));
        assert_ok(store_append_events(f->store, next_event, &events));
        assert_int_equal(store_last_run(f->store), MANY);
        assert_ok(store_commit(f->store));
        fixture_reopen(f);
        assert_int_equal(store_last_run(f->store), MANY);
        assert_ok(store_list_runs(f->store, &(RunFilter) { .states = 1u << RUN_QUEUED }, check_run, &id));
        assert_int_equal(id, 1);
        for (uint32_t run = 1; run <= MANY; run += 499) {
                char text[32];

                (void) snprintf(text, sizeof(text), "text %u", run);
                assert_int_equal(count_events(f->store, run), 1);
                assert_ok(store_load_events(f->store, run, 1, 0, check_step, text));
        }
}

static void test_none(void **state) {
        Fixture *f = *state;
        Source none = { .first = 1 };

        assert_int_equal(store_add_runs(f->store, next_run, &none), -EINVAL);   /* outside of a transaction */
        assert_ok(store_begin(f->store));
        assert_ok(store_add_runs(f->store, next_run, &none));
        assert_ok(store_append_events(f->store, next_event, &none));
        assert_ok(store_commit(f->store));
        assert_int_equal(store_last_run(f->store), 0);
}

static void expect_nothing(Fixture *f, int error) {
        uint32_t n = 7;

        assert_int_equal(store_commit(f->store), error);
        assert_int_equal(store_last_run(f->store), 0);
        assert_int_equal(count_events(f->store, 1), 0);
        assert_ok(store_count_state(f->store, RUN_DLQ, &n));
        assert_int_equal(n, 0);
        put_run(f->store, &(RunRow) { .id = 9, .runbook = "r", .definition = "d", .state = RUN_RUNNING });      /* it goes on */
        assert_int_equal(store_last_run(f->store), 9);
}

/* One that can't be made fails the transaction with its own error, whatever was written before it. */
static void test_failing_source(void **state) {
        Fixture *f = *state;
        Source runs = { .first = 1, .n = 3, .state = RUN_DLQ }, events = { .first = 1, .n = 3, .fails_at = 3 };

        assert_ok(store_begin(f->store));
        assert_ok(store_add_runs(f->store, next_run, &runs));
        assert_int_equal(store_append_events(f->store, next_event, &events), -ENOMEM);
        assert_int_equal(events.made, 2);
        assert_int_equal(store_append_events(f->store, next_event, &events), -ENOMEM);  /* refused before the source is asked */
        assert_int_equal(events.made, 2);
        expect_nothing(f, -ENOMEM);
}

static void test_same_number(void **state) {
        Fixture *f = *state;
        Source first = { .first = 2, .n = 1, .state = RUN_DLQ }, second = { .first = 1, .n = 3, .state = RUN_DLQ };

        assert_ok(store_begin(f->store));
        assert_ok(store_add_runs(f->store, next_run, &first));
        assert_int_equal(store_add_runs(f->store, next_run, &second), -EEXIST);
        expect_nothing(f, -EEXIST);
}

static int next_nobody(void *userdata, RunRow *ret) {
        *ret = run_of(1, RUN_QUEUED);
        ret->runbook = NULL;
        return 1;
}

static void test_invalid(void **state) {
        Fixture *f = *state;

        assert_ok(store_begin(f->store));
        assert_int_equal(store_add_runs(f->store, next_nobody, NULL), -EINVAL);
        expect_nothing(f, -EINVAL);
}

/* New dead letters are counted, others aren't. */
static void test_counts(void **state) {
        static const RunState states[] = { RUN_DLQ, RUN_QUEUED, RUN_EXHAUSTED };
        Fixture *f = *state;
        uint32_t exhausted, dlq;

        assert_ok(store_begin(f->store));
        for (uint32_t i = 0; i < ELEMENTSOF(states); i++)
                assert_ok(store_add_runs(f->store, next_run, &(Source) { .first = 10 * i + 1, .n = i + 2, .state = states[i] }));
        assert_ok(store_commit(f->store));
        assert_ok(store_count_state(f->store, RUN_DLQ, &dlq));
        assert_ok(store_count_state(f->store, RUN_EXHAUSTED, &exhausted));
        assert_int_equal(dlq, 2);
        assert_int_equal(exhausted, 4);
}

/* What is kept for the next write may be given back at any time. */
static void test_release(void **state) {
        Fixture *f = *state;

        for (uint32_t i = 1; i <= 3; i++) {
                Source s = { .first = i, .n = 1 };

                assert_ok(store_begin(f->store));
                assert_ok(store_append_events(f->store, next_event, &s));
                assert_ok(store_commit(f->store));
                store_release_memory(f->store);
                assert_int_equal(count_events(f->store, i), 1);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                open_store_test(test_many),
                open_store_test(test_none),
                open_store_test(test_failing_source),
                open_store_test(test_same_number),
                open_store_test(test_invalid),
                open_store_test(test_counts),
                open_store_test(test_release),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
