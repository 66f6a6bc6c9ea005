#include "fixture.h"

static sqlite3 *open_raw(Fixture *f) {
        sqlite3 *db;

        assert_ok(mkdir_parents(f->directory, 0700));
        assert_int_equal(sqlite3_open(f->database, &db), SQLITE_OK);
        return db;
}

static int number(sqlite3 *db, const char *sql) {
        int n = -1;

        assert_ok(schema_pragma_int(db, sql, &n));
        return n;
}

static void exec_ok(sqlite3 *db, const char *sql) {
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void test_from_scratch(void **state) {
        sqlite3 *db = open_raw(*state);
        unsigned version = 77;

        assert_ok(schema_check(db, schema_version, &version));
        assert_int_equal(version, 0);
        assert_ok(schema_migrate(db, schema_migrations, schema_version, 0));
        assert_int_equal(number(db, "PRAGMA user_version"), (int) schema_version);
        assert_int_equal(number(db, "PRAGMA application_id"), STORE_APPLICATION_ID);
        assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN"
                                    " ('meta', 'boots', 'definitions', 'runs', 'events', 'counts')"), 6);
        assert_ok(schema_check(db, schema_version, &version));
        assert_int_equal(version, schema_version);
        /* Nothing left to do, nothing done. */
        assert_ok(schema_migrate(db, schema_migrations, schema_version, schema_version));
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int expect_in_order(void *userdata, const EventRow *row) {
        static const EventRow expected[] = {
                { .run = 5, .seq = 1, .at = 10, .boot_at = 11, .uid = 0, .type = "first" },
                { .run = 5, .seq = 2, .at = 20, .boot_at = 21, .uid = UINT32_MAX, .type = "second", .attempt = 3 },
                { .run = UINT32_MAX, .seq = 1, .at = 30, .boot_at = 31, .uid = UINT32_MAX, .type = "far" },
        };
        unsigned *n = userdata;
        const EventRow *e = &expected[(*n)++];

        assert_int_equal(row->run, e->run);
        assert_int_equal(row->seq, e->seq);
        assert_int_equal(row->at, e->at);
        assert_int_equal(row->boot_at, e->boot_at);
        assert_int_equal(row->uid, e->uid);
        assert_int_equal(row->attempt, e->attempt);
        assert_string_equal(row->type, e->type);
        return 0;
}

static void test_second_migration(void **state) {
        const Migration table[] = {
                schema_migrations[0],
                { "owner of a run", "ALTER TABLE runs ADD COLUMN owner TEXT NOT NULL DEFAULT 'nobody'; CREATE TABLE extra(x INTEGER) STRICT" },
        };
        sqlite3 *db = open_raw(*state);
        unsigned version = 0;

        assert_ok(schema_migrate(db, table, 1, 0));
        exec_ok(db, "INSERT INTO runs VALUES(5,'r','d','queued',NULL,1,2,3,4,5,6,7,8,9,10,11,NULL,NULL,NULL)");
        assert_ok(schema_migrate(db, table, 2, 1));
        assert_int_equal(number(db, "PRAGMA user_version"), 2);
        assert_int_equal(number(db, "SELECT count(*) FROM runs WHERE id = 5 AND owner = 'nobody'"), 1);
        assert_int_equal(number(db, "SELECT count(*) FROM extra"), 0);
        /* The program of before does not touch it. */
        assert_int_equal(schema_check(db, 1, &version), -EPROTO);
        assert_int_equal(version, 0);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* What the first version has written is read by this one. */
static void test_events_by_one_number(void **state) {
        Fixture *f = *state;
        sqlite3 *db = open_raw(f);
        unsigned n = 0;

        assert_ok(schema_migrate(db, schema_migrations, 1, 0));
        exec_ok(db, "INSERT INTO runs VALUES(5,'r','d','dlq',NULL,1,2,3,4,5,6,7,8,9,10,11,NULL,NULL,NULL);"
                    "INSERT INTO events VALUES(5,2,20,21,1,NULL,NULL,'second','a',3,'s','{}'), (5,1,10,11,1,0,'root','first',NULL,0,NULL,NULL),"
                    " (4294967295,1,30,31,1,NULL,NULL,'far',NULL,0,NULL,NULL)");
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        (void) fixture_open(f, DURABILITY_FULL, NULL);
        assert_ok(store_load_events(f->store, 5, 1, 0, expect_in_order, &n));
        assert_int_equal(n, 2);
        assert_ok(store_load_events(f->store, UINT32_MAX, 1, 0, expect_in_order, &n));
        assert_int_equal(n, 3);
        assert_ok(store_count_state(f->store, RUN_DLQ, &n));
        assert_int_equal(n, 1);
}

/* All runs of before have rows, up to the highest number there ever was. */
static void test_rows_complete(void **state) {
        static const struct { const char *sql; uint32_t complete, last; } cases[] = {
                { "", 0, 0 },
                { "INSERT INTO runs VALUES(5,'r','d','queued',NULL,1,2,3,4,5,6,7,8,9,10,11,NULL,NULL,NULL)", 5, 5 },
                { "INSERT INTO runs VALUES(5,'r','d','queued',NULL,1,2,3,4,5,6,7,8,9,10,11,NULL,NULL,NULL),"
                  " (9,'r','d','dlq',NULL,1,2,3,4,5,6,7,8,9,10,11,NULL,NULL,NULL);"
                  "INSERT INTO events VALUES((5 << 31) | 1,10,11,1,0,'root','run-created',NULL,0,NULL,'{}');"
                  "DELETE FROM runs WHERE id = 9", 9, 9 },
                { "INSERT INTO runs VALUES(4294967295,'r','d','queued',NULL,1,2,3,4,5,6,7,8,9,10,11,NULL,NULL,NULL)", UINT32_MAX, UINT32_MAX },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                sqlite3 *db = open_raw(f);

                assert_ok(schema_migrate(db, schema_migrations, 2, 0));
                exec_ok(db, cases[i].sql);
                assert_int_equal(sqlite3_close(db), SQLITE_OK);
                (void) fixture_open(f, DURABILITY_FULL, NULL);
                assert_int_equal(store_complete(f->store), cases[i].complete);
                assert_int_equal(store_last_run(f->store), cases[i].last);
                assert_int_equal(store_complete(fixture_reopen(f)), cases[i].complete);
                f->store = store_close(f->store);
                assert_ok(remove_all(f->directory));
        }
}

static void test_failing_migration(void **state) {
        const Migration table[] = {
                schema_migrations[0],
                { "half of it works", "CREATE TABLE half(x); UPDATE meta SET value = 0; INSERT INTO nowhere VALUES(1)" },
                { "never reached", "CREATE TABLE beyond(x)" },
        };
        sqlite3 *db = open_raw(*state);

        assert_ok(schema_migrate(db, table, 1, 0));
        exec_ok(db, "INSERT INTO meta VALUES('id', 'kept')");
        assert_true(schema_migrate(db, table, 3, 1) < 0);
        assert_true(sqlite3_get_autocommit(db));
        assert_int_equal(number(db, "PRAGMA user_version"), 1);
        assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE name IN ('half', 'beyond')"), 0);
        assert_int_equal(number(db, "SELECT count(*) FROM meta WHERE value = 'kept'"), 1);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_foreign(void **state) {
        static const char *const made_by_others[] = {
                "CREATE TABLE t(x)", "PRAGMA application_id = 42", "PRAGMA user_version = 1", "PRAGMA user_version = 1; CREATE TABLE runs(id)",
                "PRAGMA application_id = 1920298594; PRAGMA user_version = -1",
        };
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(made_by_others); i++) {
                sqlite3 *db = open_raw(f);
                unsigned version = 0;

                exec_ok(db, made_by_others[i]);
                assert_int_equal(schema_check(db, schema_version, &version), -EUCLEAN);
                assert_int_equal(sqlite3_close(db), SQLITE_OK);
                assert_int_equal(unlink(f->database), 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                store_test(test_from_scratch),
                store_test(test_second_migration),
                store_test(test_events_by_one_number),
                store_test(test_rows_complete),
                store_test(test_failing_migration),
                store_test(test_foreign),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
