/* A scratch state directory per test, and rows that differ in what a test says. */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fault-vfs.h"
#include "fd-util.h"
#include "store-internal.h"
#include "test.h"

typedef struct Fixture {
        char top[64];
        char directory[80];                             /* does not exist at first */
        char database[128];
        Store *store;
} Fixture;

/* remove_tree stays on the file system of the directory that it starts from, so that must be the parent. */
static inline int remove_all(const char *path) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *parent = xasprintf("%.*s", (int) (slash - path), path);
        _cleanup_close_ int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

        return fd < 0 ? -errno : remove_tree(fd, slash + 1);
}

static inline int fixture_setup(void **state) {
        Fixture *f = calloc(1, sizeof(Fixture));

        if (!f || fault_vfs_register() < 0)
                return -1;
        strcpy(f->top, "/tmp/test-store-XXXXXX");
        if (!mkdtemp(f->top))
                return -1;
        (void) snprintf(f->directory, sizeof(f->directory), "%s/state", f->top);
        (void) snprintf(f->database, sizeof(f->database), "%s/" STORE_FILE, f->directory);
        *state = f;
        return 0;
}

static inline int fixture_teardown(void **state) {
        Fixture *f = *state;

        fault_disarm();
        store_close(f->store);
        (void) remove_all(f->top);
        free(f);
        return 0;
}

static inline int fixture_try(Fixture *f, Durability durability, const char *vfs, char **ret_error) {
        const StoreOptions o = { .directory = f->directory, .durability = durability, .vfs = vfs };

        assert_null(f->store);
        return store_open(&o, &f->store, ret_error);
}

static inline Store *fixture_open(Fixture *f, Durability durability, const char *vfs) {
        _cleanup_free_ char *error = NULL;
        int r = fixture_try(f, durability, vfs, &error);

        if (r < 0)
                fail_msg("%s", error ?: strerror(-r));
        assert_null(error);
        return f->store;
}

static inline Store *fixture_reopen(Fixture *f) {
        f->store = store_close(f->store);
        return fixture_open(f, DURABILITY_FULL, NULL);
}

/* Fixture for tests that only need an open store. */
static inline int fixture_setup_open(void **state) {
        if (fixture_setup(state) < 0)
                return -1;
        return fixture_open(*state, DURABILITY_FULL, FAULT_VFS) ? 0 : -1;
}

#define store_test(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
#define open_store_test(f) cmocka_unit_test_setup_teardown(f, fixture_setup_open, fixture_teardown)

static inline EventRow event_of(uint32_t run, uint32_t seq) {
        return (EventRow) { .run = run, .seq = seq, .at = 1700000000000000 + seq, .boot_at = 5000000 + seq, .boot = 1, .uid = UINT32_MAX,
                            .type = "step-started", .activity = "build/compile", .attempt = 1, .step = "1", .data = "{\"pid\":4711}" };
}

static inline RunRow run_of(uint32_t id, RunState state) {
        return (RunRow) { .id = id, .runbook = "release", .definition = "d0", .state = state, .created_at = 1700000000000000 + id, .attempt = 1, .root_run = id,
                          .trigger = "manual" };
}

static inline void put_run(Store *s, const RunRow *row) {
        assert_ok(store_begin(s));
        assert_ok(store_put_run(s, row));
        assert_ok(store_commit(s));
}

static inline void append_event(Store *s, uint32_t run, uint32_t seq) {
        const EventRow e = event_of(run, seq);

        assert_ok(store_begin(s));
        assert_ok(store_append_event(s, &e));
        assert_ok(store_commit(s));
}

static inline int count_event(void *userdata, const EventRow *row) {
        unsigned *n = userdata;

        assert_int_equal(row->seq, ++*n);
        return 0;
}

static inline unsigned count_events(Store *s, uint32_t run) {
        unsigned n = 0;

        assert_ok(store_load_events(s, run, 1, 0, count_event, &n));
        return n;
}

/* SQL on the closed or open database from outside of the store. */
static inline void run_raw(const char *path, const char *sql) {
        sqlite3 *db;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s", sqlite3_errmsg(db));
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}
