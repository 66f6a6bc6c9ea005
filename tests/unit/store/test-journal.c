#include "fixture.h"

static void compare_text(const char *a, const char *b) {
        if (!a || !b)
                assert_ptr_equal(a, b);
        else
                assert_string_equal(a, b);
}

static int compare_event(void *userdata, const EventRow *row) {
        const EventRow **next = userdata, *want = (*next)++;

        assert_int_equal(row->run, want->run);
        assert_int_equal(row->seq, want->seq);
        assert_true(row->at == want->at);
        assert_true(row->boot_at == want->boot_at);
        assert_int_equal(row->boot, want->boot);
        assert_int_equal(row->uid, want->uid);
        compare_text(row->user, want->user);
        compare_text(row->type, want->type);
        compare_text(row->activity, want->activity);
        assert_int_equal(row->attempt, want->attempt);
        compare_text(row->step, want->step);
        compare_text(row->data, want->data);
        return 0;
}

/* S1.10: the history is complete: every field comes back as it went in, also the absent, the largest, and text that would like to be SQL. */
static void test_event_round_trip(void **state) {
        Fixture *f = *state;
        const EventRow rows[] = {
                { .run = 7, .seq = 1, .at = 1, .boot_at = 2, .boot = 3, .uid = UINT32_MAX, .type = "run-created" },
                { .run = 7, .seq = 2, .at = USEC_INFINITY, .boot_at = USEC_INFINITY, .boot = UINT32_MAX, .uid = UINT32_MAX - 1, .user = "root", .type = "x",
                  .activity = "p/a", .attempt = UINT32_MAX, .step = "s", .data = "{\"a\":[1,2]}" },
                { .run = 7, .seq = 3, .uid = 0, .user = "", .type = "'); DROP TABLE events; --", .activity = "\"ä€😀", .step = "", .data = "" },
                { .run = 7, .seq = INT32_MAX, .uid = 1000, .type = "last" },
        };
        const EventRow *next = rows;

        assert_ok(store_begin(f->store));
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_ok(store_append_event(f->store, rows + i));
        assert_ok(store_commit(f->store));
        fixture_reopen(f);
        assert_ok(store_load_events(f->store, 7, 1, 0, compare_event, &next));
        assert_ptr_equal(next, rows + ELEMENTSOF(rows));
}

typedef struct Seen {
        uint32_t seqs[16];
        unsigned n, stop_after;
} Seen;

static int see(void *userdata, const EventRow *row) {
        Seen *seen = userdata;

        assert_true(seen->n < ELEMENTSOF(seen->seqs));
        seen->seqs[seen->n++] = row->seq;
        return seen->n == seen->stop_after ? 42 : 0;
}

static void test_event_ranges(void **state) {
        Fixture *f = *state;
        static const struct { uint32_t run, from, max, first; unsigned n, stop; } cases[] = {
                { 1, 0, 0, 1, 5, 0 }, { 1, 1, 0, 1, 5, 0 }, { 1, 3, 0, 3, 3, 0 }, { 1, 3, 2, 3, 2, 0 }, { 1, 6, 0, 0, 0, 0 }, { 1, 1, 100, 1, 5, 0 },
                { 1, 2, 1, 2, 1, 0 }, { 2, 1, 0, 1, 5, 0 }, { 3, 1, 0, 0, 0, 0 }, { 1, 1, 0, 1, 2, 2 }, { 1, UINT32_MAX, UINT32_MAX, 0, 0, 0 },
        };

        for (uint32_t seq = 1; seq <= 5; seq++) {
                append_event(f->store, 2, seq);
                append_event(f->store, 1, seq);
        }
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Seen seen = { .stop_after = cases[i].stop };

                assert_int_equal(store_load_events(f->store, cases[i].run, cases[i].from, cases[i].max, see, &seen), cases[i].stop ? 42 : 0);
                assert_int_equal(seen.n, cases[i].n);
                for (unsigned k = 0; k < seen.n; k++)
                        assert_int_equal(seen.seqs[k], cases[i].first + k);
        }
}

static int check_long(void *userdata, const EventRow *row) {
        const char *data = userdata;

        assert_string_equal(row->data, data);
        return 1;
}

/* Larger than a page, than the cache and than what a cell may hold. */
static void test_event_long(void **state) {
        Fixture *f = *state;
        _cleanup_free_ char *data = malloc(1024 * 1024);
        EventRow e = event_of(1, 1);

        assert_non_null(data);
        memset(data, 'x', 1024 * 1024 - 1);
        data[1024 * 1024 - 1] = 0;
        e.data = data;
        assert_ok(store_begin(f->store));
        assert_ok(store_append_event(f->store, &e));
        assert_ok(store_commit(f->store));
        fixture_reopen(f);
        assert_int_equal(store_load_events(f->store, 1, 1, 0, check_long, data), 1);
}

static void test_event_refused(void **state) {
        Fixture *f = *state;
        EventRow bad[] = { event_of(0, 1), event_of(1, 0), event_of(1, 1), event_of(1, (uint32_t) INT32_MAX + 1) };
        const EventRow good = event_of(1, 1);

        bad[2].type = NULL;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_ok(store_begin(f->store));
                assert_ok(store_append_event(f->store, &good));
                assert_int_equal(store_append_event(f->store, bad + i), -EINVAL);
                assert_int_equal(store_commit(f->store), -EINVAL);
                assert_int_equal(count_events(f->store, 1), 0);
        }
}

/* A number in a run's history is given once. */
static void test_event_twice(void **state) {
        Fixture *f = *state;
        const EventRow e = event_of(1, 1);

        append_event(f->store, 1, 1);
        assert_ok(store_begin(f->store));
        assert_int_equal(store_append_event(f->store, &e), -EEXIST);
        assert_int_equal(store_commit(f->store), -EEXIST);
        assert_int_equal(count_events(f->store, 1), 1);
}

static void check_definition(Store *s, const char *hash, const char *name, const char *format, const void *text, size_t n) {
        _cleanup_free_ char *got_name = NULL, *got_format = NULL, *got_text = NULL;
        size_t got_n = 4711;

        assert_ok(store_get_definition(s, hash, &got_name, &got_format, &got_text, &got_n));
        assert_string_equal(got_name, name);
        assert_string_equal(got_format, format);
        assert_int_equal(got_n, n);
        assert_memory_equal(got_text, text, n);
        assert_int_equal(got_text[n], 0);
}

static void test_definitions(void **state) {
        Fixture *f = *state;
        static const char binary[] = "a\0b\n";
        char *name = NULL, *format = NULL, *text = NULL;
        size_t n = 0;

        assert_ok(store_begin(f->store));
        assert_ok(store_put_definition(f->store, "h1", "release", "yaml", "name: release\n", 14));
        assert_ok(store_put_definition(f->store, "h2", "zeros", "json", binary, sizeof(binary) - 1));
        assert_ok(store_put_definition(f->store, "h3", "empty", "yaml", NULL, 0));
        /* The same hash is the same text: the first one stays. */
        assert_ok(store_put_definition(f->store, "h1", "other", "json", "{}", 2));
        assert_ok(store_commit(f->store));
        fixture_reopen(f);
        check_definition(f->store, "h1", "release", "yaml", "name: release\n", 14);
        check_definition(f->store, "h2", "zeros", "json", binary, sizeof(binary) - 1);
        check_definition(f->store, "h3", "empty", "yaml", "", 0);
        assert_int_equal(store_get_definition(f->store, "h4", &name, &format, &text, &n), -ENOENT);
        assert_null(name);
        assert_null(format);
        assert_null(text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                open_store_test(test_event_round_trip),
                open_store_test(test_event_ranges),
                open_store_test(test_event_long),
                open_store_test(test_event_refused),
                open_store_test(test_event_twice),
                open_store_test(test_definitions),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
