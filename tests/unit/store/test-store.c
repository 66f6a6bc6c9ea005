#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fixture.h"

static mode_t mode_of(const char *path) {
        struct stat st;

        assert_ok(stat(path, &st));
        return st.st_mode & 07777;
}

static char *in_directory(const Fixture *f, const char *name) {
        char *path = path_join(f->directory, name);

        assert_non_null(path);
        return path;
}

static void write_database(Fixture *f, const void *data, size_t n) {
        assert_ok(mkdir_parents(f->directory, 0700));
        assert_ok(write_file_atomic(AT_FDCWD, f->database, data, n, 0600));
}

static void test_files_and_modes(void **state) {
        static const mode_t umasks[] = { 0, 022, 077 };

        for (size_t i = 0; i < ELEMENTSOF(umasks); i++) {
                Fixture *f = *state;
                mode_t before = umask(umasks[i]);
                _cleanup_free_ char *lock = in_directory(f, STORE_LOCK), *wal = in_directory(f, STORE_FILE "-wal"), *shm = in_directory(f, STORE_FILE "-shm");

                fixture_open(f, DURABILITY_FULL, NULL);
                append_event(f->store, 1, 1);
                assert_int_equal(mode_of(f->directory), 0711);
                assert_int_equal(mode_of(f->database), 0600);
                assert_int_equal(mode_of(wal), 0600);
                assert_int_equal(mode_of(lock), 0600);
                assert_int_equal(access(shm, F_OK), -1);
                f->store = store_close(f->store);
                assert_int_equal(access(wal, F_OK), -1);
                (void) umask(before);
                assert_ok(remove_all(f->directory));
        }
}

static void test_modes_are_narrowed(void **state) {
        Fixture *f = *state;

        fixture_open(f, DURABILITY_FULL, NULL);
        f->store = store_close(f->store);
        assert_ok(chmod(f->database, 0666));
        assert_ok(chmod(f->directory, 0750));
        fixture_open(f, DURABILITY_FULL, NULL);
        assert_int_equal(mode_of(f->database), 0600);
        assert_int_equal(mode_of(f->directory), 0750);
}

static void test_identity(void **state) {
        Fixture *f = *state;
        char id[33];

        fixture_open(f, DURABILITY_FULL, NULL);
        assert_int_equal(strlen(store_id(f->store)), 32);
        assert_int_equal(strspn(store_id(f->store), "0123456789abcdef"), 32);
        strcpy(id, store_id(f->store));
        assert_string_equal(store_id(fixture_reopen(f)), id);
        f->store = store_close(f->store);
        assert_ok(remove_all(f->directory));
        assert_string_not_equal(store_id(fixture_open(f, DURABILITY_NORMAL, NULL)), id);
}

/* The same boot keeps its number, another one gets the next, also if the first is seen again behind it. */
static void test_boots(void **state) {
        Fixture *f = *state;

        fixture_open(f, DURABILITY_FULL, NULL);
        assert_int_equal(store_boot(f->store), 1);
        assert_int_equal(store_boot(fixture_reopen(f)), 1);
        append_event(f->store, 1, 1);
        assert_int_equal(store_boot(fixture_reopen(f)), 1);
        append_event(f->store, 1, 2);
        f->store = store_close(f->store);
        run_raw(f->database, "UPDATE boots SET boot_id = 'earlier'; CREATE TEMP TABLE t(x CHECK(x = 1)); INSERT INTO t SELECT count(*) FROM boots");
        assert_int_equal(store_boot(fixture_open(f, DURABILITY_FULL, NULL)), 2);
        append_event(f->store, 1, 3);
        assert_int_equal(store_boot(fixture_reopen(f)), 2);
}

/* A transaction that is taken back must not take the boot's number with it. */
static void test_boot_after_rollback(void **state) {
        Fixture *f = *state;

        fixture_open(f, DURABILITY_FULL, NULL);
        assert_ok(store_begin(f->store));
        store_rollback(f->store);
        append_event(f->store, 1, 1);
        f->store = store_close(f->store);
        run_raw(f->database, "CREATE TEMP TABLE t(x CHECK(x = 1)); INSERT INTO t SELECT count(*) FROM boots");
}

/* ---- the lock ---- */

static void expect_busy(Fixture *f, pid_t holder) {
        const StoreOptions o = { .directory = f->directory };
        _cleanup_free_ char *error = NULL;
        char pid[32];
        Store *s = NULL;

        assert_int_equal(store_open(&o, &s, &error), -EBUSY);
        assert_null(s);
        assert_non_null(error);
        (void) snprintf(pid, sizeof(pid), "%d (test-store", (int) holder);
        assert_non_null(strstr(error, pid));
        assert_non_null(strstr(error, f->directory));
}

static void test_lock_in_one_process(void **state) {
        Fixture *f = *state;

        fixture_open(f, DURABILITY_FULL, NULL);
        expect_busy(f, getpid());
        append_event(f->store, 1, 1);
        fixture_reopen(f);
        assert_int_equal(count_events(f->store, 1), 1);
}

/* The descriptor is closed at exec, so no child keeps a dead daemon's lock. */
static void test_lock_is_not_inherited(void **state) {
        Fixture *f = *state;

        fixture_open(f, DURABILITY_FULL, NULL);
        assert_true(f->store->lock_fd >= 0);
        assert_true(fcntl(f->store->lock_fd, F_GETFD) & FD_CLOEXEC);
}

/* In the child: opens, says so, and waits to be killed. */
static void hold(Fixture *f, int fd) {
        const StoreOptions o = { .directory = f->directory };
        char *error = NULL;
        Store *s = NULL;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || store_open(&o, &s, &error) < 0 || write(fd, "x", 1) != 1)
                _exit(1);
        for (;;)
                (void) pause();
}

static void test_lock_between_processes(void **state) {
        Fixture *f = *state;
        int pipes[2], status;
        pid_t pid;
        char c;

        assert_ok(pipe2(pipes, O_CLOEXEC));
        pid = fork();
        if (pid == 0)
                hold(f, pipes[1]);
        assert_true(pid > 0);
        assert_int_equal(read(pipes[0], &c, 1), 1);
        expect_busy(f, pid);
        assert_ok(kill(pid, SIGKILL));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        fixture_open(f, DURABILITY_FULL, NULL);
        safe_close(pipes[0]);
        safe_close(pipes[1]);
}

static void leave_pid_of_nobody(const Fixture *f) {
        _cleanup_free_ char *path = in_directory(f, STORE_LOCK);
        pid_t pid = fork();
        char text[16];

        if (pid == 0)
                _exit(0);
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        (void) snprintf(text, sizeof(text), "%d\n", (int) pid);
        assert_ok(mkdir_parents(f->directory, 0711));
        assert_ok(write_file_atomic(AT_FDCWD, path, text, strlen(text), 0600));
}

static int lock_by_hand(const Fixture *f) {
        _cleanup_free_ char *path = in_directory(f, STORE_LOCK);
        int fd = open(path, O_RDWR | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_ok(flock(fd, LOCK_EX | LOCK_NB));
        return fd;
}

/* The holder is dead, a child of it still has the lock for a moment: we wait for it. */
static void test_lock_left_by_the_dead(void **state) {
        Fixture *f = *state;
        pid_t pid;
        int fd;

        leave_pid_of_nobody(f);
        fd = lock_by_hand(f);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) usleep(100 * USEC_PER_MSEC);
                _exit(0);
        }
        safe_close(fd);
        fixture_open(f, DURABILITY_FULL, NULL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* … but not for ever. */
static void test_lock_wait_ends(void **state) {
        Fixture *f = *state;
        _cleanup_free_ char *error = NULL;
        int fd;

        leave_pid_of_nobody(f);
        fd = lock_by_hand(f);
        assert_int_equal(fixture_try(f, DURABILITY_FULL, NULL, &error), -EBUSY);
        assert_non_null(strstr(error, f->directory));
        safe_close(fd);
}

/* ---- what can't be opened ---- */

static void expect_refused(Fixture *f, int r, const char *path) {
        _cleanup_free_ char *error = NULL;

        assert_int_equal(fixture_try(f, DURABILITY_FULL, NULL, &error), r);
        assert_null(f->store);
        assert_non_null(error);
        assert_non_null(strstr(error, path));
}

static void test_not_a_database(void **state) {
        Fixture *f = *state;
        _cleanup_free_ char *kept = NULL;
        char junk[8192];
        size_t n;

        memset(junk, 'j', sizeof(junk));
        write_database(f, junk, sizeof(junk));
        expect_refused(f, -EUCLEAN, f->database);
        assert_ok(read_file(AT_FDCWD, f->database, sizeof(junk), false, &kept, &n));
        assert_int_equal(n, sizeof(junk));
        assert_memory_equal(kept, junk, n);
}

static void test_damaged_header(void **state) {
        Fixture *f = *state;
        int fd;

        fixture_open(f, DURABILITY_FULL, NULL);
        f->store = store_close(f->store);
        fd = open(f->database, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 100), 8);
        safe_close(fd);
        expect_refused(f, -EUCLEAN, f->database);
}

static void test_other_programs_database(void **state) {
        Fixture *f = *state;

        assert_ok(mkdir_parents(f->directory, 0700));
        run_raw(f->database, "CREATE TABLE t(x)");
        expect_refused(f, -EUCLEAN, f->database);
}

static void test_newer_schema(void **state) {
        Fixture *f = *state;

        fixture_open(f, DURABILITY_FULL, NULL);
        f->store = store_close(f->store);
        run_raw(f->database, "PRAGMA user_version = 1000");
        expect_refused(f, -EPROTO, f->database);
        expect_refused(f, -EPROTO, "1000");
        /* The lock is free again, and so is the file. */
        _cleanup_free_ char *back = xasprintf("PRAGMA user_version = %u", schema_version);
        run_raw(f->database, back);
        fixture_open(f, DURABILITY_FULL, NULL);
}

static void test_in_the_way(void **state) {
        Fixture *f = *state;

        assert_ok(write_file_atomic(AT_FDCWD, f->directory, "x", 1, 0600));
        expect_refused(f, -ENOTDIR, f->directory);
        assert_ok(unlink(f->directory));
        assert_ok(mkdir_parents(f->database, 0700));
        expect_refused(f, -EISDIR, f->database);
}

/* ---- transactions ---- */

static void test_rollback(void **state) {
        Fixture *f = *state;
        const EventRow e = event_of(1, 1);
        const RunRow run = run_of(1, RUN_DLQ);
        uint32_t n = 7;

        assert_ok(store_begin(f->store));
        assert_ok(store_append_event(f->store, &e));
        assert_ok(store_put_run(f->store, &run));
        store_rollback(f->store);
        assert_int_equal(count_events(f->store, 1), 0);
        assert_ok(store_count_state(f->store, RUN_DLQ, &n));
        assert_int_equal(n, 0);
        assert_int_equal(store_commit(f->store), -EINVAL);
        store_rollback(f->store);
}

static void test_nothing_outside_a_transaction(void **state) {
        Fixture *f = *state;
        const EventRow e = event_of(1, 1);
        const RunRow run = run_of(1, RUN_RUNNING);

        assert_int_equal(store_append_event(f->store, &e), -EINVAL);
        assert_int_equal(store_put_run(f->store, &run), -EINVAL);
        assert_int_equal(store_put_definition(f->store, "h", "n", "yaml", "x", 1), -EINVAL);
        assert_int_equal(store_commit(f->store), -EINVAL);
        assert_ok(store_begin(f->store));
        assert_int_equal(store_begin(f->store), -EALREADY);
        assert_ok(store_append_event(f->store, &e));
        assert_ok(store_commit(f->store));
        assert_int_equal(count_events(f->store, 1), 1);
}

/* After one write has failed the rest of the batch is refused with the same error, and a commit can't keep half of it. */
static void test_failed_transaction(void **state) {
        Fixture *f = *state;
        const EventRow e = event_of(1, 1), next = event_of(1, 2);
        const RunRow run = run_of(1, RUN_RUNNING);

        assert_ok(store_begin(f->store));
        assert_ok(store_append_event(f->store, &e));
        assert_int_equal(store_append_event(f->store, &e), -EEXIST);
        assert_true(strlen(store_error(f->store)) > 0);
        assert_int_equal(store_append_event(f->store, &next), -EEXIST);
        assert_int_equal(store_put_run(f->store, &run), -EEXIST);
        assert_int_equal(store_commit(f->store), -EEXIST);
        assert_int_equal(count_events(f->store, 1), 0);
        assert_int_equal(store_last_run(f->store), 0);

        /* Another begin after a failure, without asking for the outcome, starts clean. */
        assert_ok(store_begin(f->store));
        assert_ok(store_append_event(f->store, &e));
        assert_int_equal(store_append_event(f->store, &e), -EEXIST);
        assert_ok(store_begin(f->store));
        assert_ok(store_append_event(f->store, &e));
        assert_ok(store_commit(f->store));
        assert_int_equal(count_events(f->store, 1), 1);
}

static int no_event(void *userdata, const EventRow *row) {
        return 0;
}

static int load_within(void *userdata, const RunRow *row) {
        Store *s = userdata;

        assert_int_equal(count_events(s, row->id), 2);
        return 0;
}

static int list_within(void *userdata, const RunRow *row) {
        return store_unfinished_runs(userdata, list_within, userdata);
}

static int lose_within(void *userdata, const EventRow *row) {
        Store *s = userdata;
        const EventRow e = event_of(1, 1);

        assert_ok(store_begin(s));
        assert_int_equal(store_append_event(s, &e), -EEXIST);
        assert_int_equal(store_commit(s), -EEXIST);
        return 0;
}

static int commit_within(void *userdata, const EventRow *row) {
        Store *s = userdata;

        append_event(s, 100 + row->seq, 1);
        return 0;
}

static void test_visitors_may_call(void **state) {
        Fixture *f = *state;
        Store *s = f->store;

        for (uint32_t id = 1; id <= 3; id++) {
                const RunRow run = run_of(id, RUN_RUNNING);

                put_run(s, &run);
                append_event(s, id, 1);
                append_event(s, id, 2);
        }
        assert_ok(store_unfinished_runs(s, load_within, s));
        assert_ok(store_list_runs(s, &(RunFilter) {}, load_within, s));
        assert_ok(store_load_events(s, 1, 1, 0, commit_within, s));
        assert_int_equal(count_events(s, 102), 1);
        /* The same query again, or the loss of a transaction under it, is an error and not a loop. */
        assert_int_equal(store_unfinished_runs(s, list_within, s), -EBUSY);
        assert_int_equal(store_load_events(s, 1, 1, 0, lose_within, s), -ECANCELED);
        assert_ok(store_load_events(s, 1, 1, 0, no_event, NULL));
}

static void test_error_map(void **state) {
        static const struct { int rc, system, want; } cases[] = {
                { SQLITE_FULL, 0, -ENOSPC }, { SQLITE_IOERR, 0, -EIO }, { SQLITE_IOERR_FSYNC, EIO, -EIO }, { SQLITE_IOERR_WRITE, EDQUOT, -ENOSPC },
                { SQLITE_IOERR_FSYNC, ENOSPC, -ENOSPC }, { SQLITE_READONLY, 0, -EROFS }, { SQLITE_READONLY_DBMOVED, 0, -EROFS }, { SQLITE_CORRUPT, 0, -EUCLEAN },
                { SQLITE_NOTADB, 0, -EUCLEAN }, { SQLITE_NOMEM, 0, -ENOMEM }, { SQLITE_BUSY, 0, -EBUSY }, { SQLITE_CONSTRAINT_PRIMARYKEY, 0, -EEXIST },
                { SQLITE_MISUSE, 0, -EIO }, { SQLITE_CANTOPEN, EACCES, -EIO },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(store_errno(cases[i].rc, cases[i].system), cases[i].want);
}

static void test_durability_names(void **state) {
        for (Durability d = 0; d < _DURABILITY_MAX; d++)
                assert_int_equal(durability_from_string(durability_to_string(d)), d);
        assert_int_equal(durability_from_string("sometimes"), _DURABILITY_INVALID);
        assert_null(durability_to_string(_DURABILITY_MAX));
}

/* ---- how often the disk is asked ---- */

#define N_COMMITS 1000

static void chain(Store *s, uint32_t run, unsigned n) {
        RunRow row = run_of(run, RUN_RUNNING);

        for (unsigned i = 0; i < n; i++) {
                const EventRow a = event_of(run, 2 * i + 1), b = event_of(run, 2 * i + 2);

                row.n_events = b.seq;
                assert_ok(store_begin(s));
                assert_ok(store_append_event(s, &a));
                assert_ok(store_append_event(s, &b));
                assert_ok(store_put_run(s, &row));
                assert_ok(store_commit(s));
        }
}

static off_t wal_size(const Fixture *f) {
        _cleanup_free_ char *wal = in_directory(f, STORE_FILE "-wal");
        struct stat st;

        assert_ok(stat(wal, &st));
        return st.st_size;
}

/* At most 1.05 flushes a commit, checkpoints included, and the WAL stays within what was made ready for it. */
static void test_flushes(void **state) {
        Fixture *f = *state;
        off_t ready;

        fixture_open(f, DURABILITY_FULL, FAULT_VFS);
        ready = wal_size(f);
        assert_true(ready >= STORE_WAL_READY);
        fault_reset_counts();
        chain(f->store, 1, N_COMMITS);
        assert_in_range(fault_syncs(), N_COMMITS, N_COMMITS * 105 / 100);
        assert_in_range(fault_writes(), N_COMMITS, N_COMMITS * 8);
        assert_int_equal(wal_size(f), ready);
        assert_int_equal(count_events(f->store, 1), 2 * N_COMMITS);
}

/* None for a commit as such. */
static void test_flushes_normal(void **state) {
        Fixture *f = *state;

        fixture_open(f, DURABILITY_NORMAL, FAULT_VFS);
        fault_reset_counts();
        chain(f->store, 1, N_COMMITS);
        assert_in_range(fault_syncs(), 1, N_COMMITS * 5 / 100);
        assert_true(wal_size(f) <= STORE_WAL_READY + 64 * 1024);
}

/* A commit of nothing, and reads, are free. */
static void test_no_flushes_for_nothing(void **state) {
        Fixture *f = *state;

        append_event(f->store, 1, 1);
        fault_reset_counts();
        assert_ok(store_begin(f->store));
        assert_ok(store_commit(f->store));
        assert_int_equal(count_events(f->store, 1), 1);
        assert_int_equal(fault_writes(), 0);
        assert_int_equal(fault_syncs(), 0);
}

static void test_probe_is_durable(void **state) {
        static const Durability modes[] = { DURABILITY_FULL, DURABILITY_NORMAL };
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                fixture_open(f, modes[i], FAULT_VFS);
                fault_reset_counts();
                assert_ok(store_probe(f->store));
                assert_true(fault_writes() > 0);
                assert_true(fault_syncs() > 0);
                assert_ok(store_begin(f->store));
                assert_int_equal(store_probe(f->store), -EALREADY);
                f->store = store_close(f->store);
        }
}

static void append_large(Store *s, uint32_t run, size_t size) {
        char data[1024];

        memset(data, 'x', sizeof(data) - 1);
        data[sizeof(data) - 1] = 0;
        assert_ok(store_begin(s));
        for (size_t i = 0; i * sizeof(data) < size; i++) {
                EventRow e = event_of(run, (uint32_t) i + 1);

                e.data = data;
                assert_ok(store_append_event(s, &e));
        }
}

/* A transaction larger than the cache is spilled, and still is one; what it made of the WAL beyond STORE_WAL_FILE_MAX is given back. */
static void test_huge_transaction(void **state) {
        Fixture *f = *state;
        const size_t size = STORE_WAL_FILE_MAX + STORE_WAL_FILE_MAX / 8;

        append_large(f->store, 1, size);
        store_rollback(f->store);
        assert_int_equal(count_events(f->store, 1), 0);

        append_large(f->store, 1, size);
        assert_ok(store_commit(f->store));
        assert_true(wal_size(f) > STORE_WAL_FILE_MAX);
        append_event(f->store, 2, 1);
        assert_true(wal_size(f) <= STORE_WAL_FILE_MAX);
        assert_int_equal(count_events(f->store, 1), size / 1024);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                store_test(test_files_and_modes),
                store_test(test_modes_are_narrowed),
                store_test(test_identity),
                store_test(test_boots),
                store_test(test_boot_after_rollback),
                store_test(test_lock_in_one_process),
                store_test(test_lock_is_not_inherited),
                store_test(test_lock_between_processes),
                store_test(test_lock_left_by_the_dead),
                store_test(test_lock_wait_ends),
                store_test(test_not_a_database),
                store_test(test_damaged_header),
                store_test(test_other_programs_database),
                store_test(test_newer_schema),
                store_test(test_in_the_way),
                open_store_test(test_rollback),
                open_store_test(test_nothing_outside_a_transaction),
                open_store_test(test_failed_transaction),
                open_store_test(test_visitors_may_call),
                cmocka_unit_test(test_error_map),
                cmocka_unit_test(test_durability_names),
                store_test(test_flushes),
                store_test(test_flushes_normal),
                open_store_test(test_no_flushes_for_nothing),
                store_test(test_probe_is_durable),
                open_store_test(test_huge_transaction),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
