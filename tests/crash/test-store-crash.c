/* Death and failure at every write and every flush of a run of twelve events.
 *
 * Death: a child works on the store through the fault VFS and dies at the n-th write or flush, for every n until it gets through, from the very first open to the
 * close. It says each commit that has returned 0 over a pipe. The parent opens what is left: what was said is there, nothing is there by half, and the
 * work goes on from there. Of what was not said, at most the one commit that was under way may be there too.
 *
 * Failure: the n-th write or flush fails, once or from then on. One call says so with the right errno, reads go on and see the commits before it, and after
 * the fault is gone a probe succeeds and the same commits go through.
 *
 * Both: after such a failure the process dies. The commit that failed was refused, and stays so. */
#include <sys/wait.h>

#include "fixture.h"

#define N_COMMITS 6
#define N_EVENTS (2 * N_COMMITS)
/* No run of the loop comes near it: it ends the test if the child never gets through. */
#define N_MAX 2000

typedef struct Scratch {
        char directory[64];
        char database[128];
} Scratch;

static void scratch_make(Scratch *s) {
        /* The death of a process is the same in memory, and the loops are many. */
        strcpy(s->directory, access("/dev/shm", W_OK) >= 0 ? "/dev/shm/test-crash-XXXXXX" : "/tmp/test-crash-XXXXXX");
        assert_non_null(mkdtemp(s->directory));
        (void) snprintf(s->database, sizeof(s->database), "%s/" STORE_FILE, s->directory);
}

static void scratch_done(Scratch *s) {
        assert_ok(remove_all(s->directory));
}

static int open_store(const Scratch *s, Durability durability, const char *vfs, Store **ret) {
        const StoreOptions o = { .directory = s->directory, .durability = durability, .vfs = vfs };
        _cleanup_free_ char *error = NULL;

        return store_open(&o, ret, &error);
}

static RunRow run_after(unsigned commits) {
        return (RunRow) { .id = 1, .runbook = "release", .definition = "hash", .state = commits == N_COMMITS ? RUN_DLQ : RUN_RUNNING, .created_at = 1,
                          .root_run = 1, .n_events = 2 * commits, .trigger = "manual", .dedup_key = "k" };
}

/* The c-th commit, from 1: two events and the row; the first one has the definition. Returns the first error, the transaction then being over. */
static int commit_nth(Store *s, unsigned c) {
        const RunRow run = run_after(c);
        int r;

        r = store_begin(s);
        if (r >= 0 && c == 1)
                r = store_put_definition(s, "hash", "release", "yaml", "name: release", 13);
        for (unsigned seq = 2 * c - 1; r >= 0 && seq <= 2 * c; seq++) {
                const EventRow e = { .run = 1, .seq = seq, .at = seq, .boot_at = seq, .boot = 1, .uid = UINT32_MAX, .type = "step-ended",
                                     .activity = "build/compile", .attempt = 1, .step = "1", .data = "{\"exit\":0}" };

                r = store_append_event(s, &e);
        }
        if (r >= 0)
                r = store_put_run(s, &run);
        if (r >= 0)
                return store_commit(s);
        store_rollback(s);
        return r;
}

/* ---- what must hold of a store, whatever happened to it ---- */

static int check_event(void *userdata, const EventRow *row) {
        unsigned *n = userdata;

        assert_int_equal(row->seq, ++*n);
        assert_int_equal(row->at, row->seq);
        assert_string_equal(row->type, "step-ended");
        assert_string_equal(row->data, "{\"exit\":0}");
        return 0;
}

static int check_run(void *userdata, const RunRow *row) {
        unsigned commits = *(unsigned *) userdata;
        const RunRow want = run_after(commits);

        assert_int_equal(row->n_events, want.n_events);
        assert_int_equal(row->state, want.state);
        return 0;
}

static void check_indexes(Store *s, unsigned commits) {
        uint32_t n, id;

        assert_ok(store_count_state(s, RUN_DLQ, &n));
        assert_int_equal(n, commits == N_COMMITS);
        assert_int_equal(store_find_dedup(s, "release", "k", 0, &id), commits > 0 ? 0 : -ENOENT);
        assert_int_equal(store_last_run(s), commits > 0);
}

/* Returns how many commits there are, each of them whole. */
static unsigned check_whole(Store *s) {
        _cleanup_free_ char *name = NULL, *format = NULL, *text = NULL;
        unsigned events = 0, commits;
        size_t n;

        assert_ok(store_load_events(s, 1, 1, 0, check_event, &events));
        assert_int_equal(events % 2, 0);
        commits = events / 2;
        assert_int_equal(store_get_run(s, 1, check_run, &commits), commits > 0 ? 0 : -ENOENT);
        assert_int_equal(store_get_definition(s, "hash", &name, &format, &text, &n), commits > 0 ? 0 : -ENOENT);
        check_indexes(s, commits);
        return commits;
}

static int check_ok(void *userdata, int n, char **values, char **names) {
        assert_string_equal(values[0], "ok");
        return 0;
}

static void check_integrity(const Scratch *s) {
        sqlite3 *db;

        assert_int_equal(sqlite3_open(s->database, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "PRAGMA integrity_check", check_ok, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void go_on(Store *s, unsigned commits) {
        for (unsigned c = commits + 1; c <= N_COMMITS; c++)
                assert_ok(commit_nth(s, c));
        assert_int_equal(check_whole(s), N_COMMITS);
}

/* ---- death ---- */

typedef struct Death {
        FaultTarget target;
        bool torn;
        Durability durability;
} Death;

static void child(const Scratch *scratch, const Death *d, unsigned at, int fd) {
        const FaultPlan plan = { .target = d->target, .action = FAULT_DIE, .at = at, .torn = d->torn };
        Store *s = NULL;

        fault_arm(&plan);
        if (open_store(scratch, d->durability, FAULT_VFS, &s) < 0)
                _exit(1);
        for (unsigned c = 1; c <= N_COMMITS; c++)
                if (commit_nth(s, c) < 0 || write(fd, "c", 1) != 1)
                        _exit(1);
        store_close(s);
        _exit(0);
}

static unsigned count_bytes(int fd) {
        char buf[64];
        unsigned n = 0;
        ssize_t k;

        while ((k = read(fd, buf, sizeof(buf))) > 0)
                n += (unsigned) k;
        assert_int_equal(k, 0);
        return n;
}

/* Returns the exit status. */
static int die_at(const Scratch *scratch, const Death *d, unsigned at, unsigned *ret_said) {
        int pipes[2], status;
        pid_t pid;

        assert_ok(pipe2(pipes, O_CLOEXEC));
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                child(scratch, d, at, pipes[1]);
        safe_close(pipes[1]);
        *ret_said = count_bytes(pipes[0]);
        safe_close(pipes[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* False: the child got through. */
static bool survives_death(const Death *d, unsigned at) {
        unsigned said = 0, found;
        Scratch scratch;
        Store *s = NULL;
        int status;

        scratch_make(&scratch);
        status = die_at(&scratch, d, at, &said);
        assert_true(status == 0 || status == FAULT_EXIT_STATUS);
        assert_ok(open_store(&scratch, d->durability, NULL, &s));
        found = check_whole(s);
        assert_in_range(found, said, said + (status != 0));
        go_on(s, found);
        s = store_close(s);
        check_integrity(&scratch);
        scratch_done(&scratch);
        return status != 0;
}

static void die_everywhere(const Death *d, unsigned at_least) {
        unsigned n = 1;

        while (n < N_MAX && survives_death(d, n))
                n++;
        assert_in_range(n, at_least, N_MAX - 1);
}

/* Every write of the schema, the ready-made WAL, the commits (a frame is two writes) and the checkpoint of the close. */
static void test_death_at_every_write(void **state) {
        die_everywhere(&(Death) { FAULT_WRITE, false, DURABILITY_FULL }, 4 * N_COMMITS);
}
static void test_death_within_every_write(void **state) {
        die_everywhere(&(Death) { FAULT_WRITE, true, DURABILITY_FULL }, 4 * N_COMMITS);
}
static void test_death_at_every_flush(void **state) {
        die_everywhere(&(Death) { FAULT_SYNC, false, DURABILITY_FULL }, N_COMMITS);
}
/* Without flushes a death of the process still loses nothing. */
static void test_death_at_every_write_normal(void **state) {
        die_everywhere(&(Death) { FAULT_WRITE, true, DURABILITY_NORMAL }, 4 * N_COMMITS);
}

/* ---- failure ---- */

typedef struct Failure {
        FaultPlan plan;
        int want;
        Durability durability;
} Failure;

/* The first commit that failed, or N_COMMITS + 1. */
static unsigned run_until_failure(Store *s, int want) {
        for (unsigned c = 1; c <= N_COMMITS; c++) {
                int r = commit_nth(s, c);

                if (r < 0) {
                        assert_int_equal(r, want);
                        assert_true(strlen(store_error(s)) > 0);
                        return c;
                }
        }
        return N_COMMITS + 1;
}

static void check_while_failing(Store *s, const Failure *f, unsigned commits) {
        int r;

        assert_int_equal(check_whole(s), commits);
        r = store_probe(s);
        assert_int_equal(r, f->plan.lasting ? f->want : 0);
        assert_int_equal(check_whole(s), commits);
}

/* False: the plan never struck. */
static bool survives_failure(const Failure *f, unsigned at) {
        FaultPlan plan = f->plan;
        unsigned failed, hits;
        Scratch scratch;
        Store *s = NULL;

        plan.at = at;
        scratch_make(&scratch);
        assert_ok(open_store(&scratch, f->durability, FAULT_VFS, &s));
        fault_arm(&plan);
        failed = run_until_failure(s, f->want);
        hits = fault_hits();
        assert_int_equal(failed <= N_COMMITS, hits > 0);
        if (hits > 0)
                check_while_failing(s, f, failed - 1);
        fault_disarm();
        assert_ok(store_probe(s));
        assert_int_equal(check_whole(s), failed - 1);
        go_on(s, failed - 1);
        s = store_close(s);
        assert_ok(open_store(&scratch, f->durability, NULL, &s));
        assert_int_equal(check_whole(s), N_COMMITS);
        s = store_close(s);
        check_integrity(&scratch);
        scratch_done(&scratch);
        return hits > 0;
}

static void fail_everywhere(const Failure *f, unsigned at_least) {
        unsigned n = 1;

        while (n < N_MAX && survives_failure(f, n))
                n++;
        assert_in_range(n, at_least, N_MAX - 1);
}

static void fail_with(FaultTarget target, FaultAction action, int want, Durability durability, unsigned at_least) {
        for (unsigned i = 0; i < 4; i++)
                fail_everywhere(&(Failure) { { .target = target, .action = action, .lasting = i & 1, .torn = i & 2 }, want, durability }, at_least);
}

static void test_full_disk_at_every_write(void **state) {
        fail_with(FAULT_WRITE, FAULT_FULL, -ENOSPC, DURABILITY_FULL, 4 * N_COMMITS);
}
static void test_error_at_every_write(void **state) {
        fail_with(FAULT_WRITE, FAULT_IOERR, -EIO, DURABILITY_FULL, 4 * N_COMMITS);
}
static void test_error_at_every_flush(void **state) {
        fail_with(FAULT_SYNC, FAULT_IOERR, -EIO, DURABILITY_FULL, N_COMMITS);
}
static void test_full_disk_at_every_flush(void **state) {
        fail_with(FAULT_SYNC, FAULT_FULL, -ENOSPC, DURABILITY_FULL, N_COMMITS);
}
static void test_full_disk_at_every_write_normal(void **state) {
        fail_with(FAULT_WRITE, FAULT_FULL, -ENOSPC, DURABILITY_NORMAL, 4 * N_COMMITS);
}

/* ---- failure and death ---- */

typedef struct Refusal {
        FaultPlan plan;
        int want;
} Refusal;

/* Dies with the number of the commit that was refused; 0: the plan never struck. */
static void refused_child(const Scratch *scratch, const Refusal *f, unsigned at) {
        FaultPlan plan = f->plan;
        unsigned failed;
        Store *s = NULL;

        plan.at = at;
        if (open_store(scratch, DURABILITY_FULL, FAULT_VFS, &s) < 0)
                _exit(FAULT_EXIT_STATUS);
        fault_arm(&plan);
        failed = run_until_failure(s, f->want);
        _exit(failed <= N_COMMITS ? (int) failed : 0);
}

static bool stays_refused(const Refusal *f, unsigned at) {
        Scratch scratch;
        Store *s = NULL;
        int status;
        pid_t pid;

        scratch_make(&scratch);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                refused_child(&scratch, f, at);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= N_COMMITS);
        if (WEXITSTATUS(status) > 0) {
                assert_ok(open_store(&scratch, DURABILITY_FULL, NULL, &s));
                assert_int_equal(check_whole(s), WEXITSTATUS(status) - 1);
                go_on(s, (unsigned) WEXITSTATUS(status) - 1);
                s = store_close(s);
                check_integrity(&scratch);
        }
        scratch_done(&scratch);
        return WEXITSTATUS(status) > 0;
}

static void test_refused_commits_stay_refused(void **state) {
        static const Refusal cases[] = {
                { { .target = FAULT_SYNC, .action = FAULT_IOERR }, -EIO }, { { .target = FAULT_SYNC, .action = FAULT_FULL, .lasting = true }, -ENOSPC },
                { { .target = FAULT_WRITE, .action = FAULT_FULL, .torn = true }, -ENOSPC }, { { .target = FAULT_WRITE, .action = FAULT_IOERR, .lasting = true }, -EIO },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unsigned n = 1;

                while (n < N_MAX && stays_refused(&cases[i], n))
                        n++;
                assert_in_range(n, N_COMMITS, N_MAX - 1);
        }
}

/* An open that fails says so and leaves nothing behind that a later one trips over. */
static bool survives_failing_open(const FaultPlan *p, int want, unsigned at) {
        FaultPlan plan = *p;
        Scratch scratch;
        Store *s = NULL;
        unsigned hits;
        int r;

        plan.at = at;
        scratch_make(&scratch);
        fault_arm(&plan);
        r = open_store(&scratch, DURABILITY_FULL, FAULT_VFS, &s);
        hits = fault_hits();
        fault_disarm();
        /* Room that is only made ready may be missing. */
        if (r < 0)
                assert_int_equal(r, want);
        else
                s = store_close(s);
        assert_ok(open_store(&scratch, DURABILITY_FULL, NULL, &s));
        go_on(s, 0);
        s = store_close(s);
        check_integrity(&scratch);
        scratch_done(&scratch);
        return hits > 0;
}

static void test_failing_open(void **state) {
        static const struct { FaultPlan plan; int want; } cases[] = {
                { { .target = FAULT_WRITE, .action = FAULT_FULL }, -ENOSPC }, { { .target = FAULT_WRITE, .action = FAULT_IOERR, .lasting = true }, -EIO },
                { { .target = FAULT_SYNC, .action = FAULT_IOERR }, -EIO }, { { .target = FAULT_SYNC, .action = FAULT_FULL, .lasting = true }, -ENOSPC },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unsigned n = 1;

                while (n < N_MAX && survives_failing_open(&cases[i].plan, cases[i].want, n))
                        n++;
                assert_in_range(n, 3, N_MAX - 1);
        }
}

/* A store that exists opens without a write that must succeed: with a full disk the past can still be read, and work goes on when there is space. */
static void test_open_on_a_full_disk(void **state) {
        const FaultPlan plan = { .target = FAULT_WRITE, .action = FAULT_FULL, .at = 1, .lasting = true };
        Scratch scratch;
        Store *s = NULL;

        scratch_make(&scratch);
        assert_ok(open_store(&scratch, DURABILITY_FULL, NULL, &s));
        assert_ok(commit_nth(s, 1));
        s = store_close(s);
        fault_arm(&plan);
        assert_ok(open_store(&scratch, DURABILITY_FULL, FAULT_VFS, &s));
        assert_int_equal(check_whole(s), 1);
        assert_int_equal(commit_nth(s, 2), -ENOSPC);
        fault_disarm();
        go_on(s, 1);
        s = store_close(s);
        scratch_done(&scratch);
}

/* ---- checkpoints ---- */

static off_t wal_size(const Scratch *s) {
        _cleanup_free_ char *path = xasprintf("%s-wal", s->database);
        struct stat st;

        assert_non_null(path);
        assert_ok(stat(path, &st));
        return st.st_size;
}

static void append_one(Store *s, uint32_t seq) {
        const EventRow e = { .run = 2, .seq = seq, .at = seq, .type = "step-ended", .data = "{\"exit\":0}" };

        assert_ok(store_begin(s));
        assert_ok(store_append_event(s, &e));
        assert_ok(store_commit(s));
}

/* A checkpoint that fails is not a commit that fails: with DURABILITY_NORMAL every flush is a checkpoint's. The commits go on into a longer WAL, and after the
 * fault the next one takes it back to its beginning. */
static void test_failing_checkpoints(void **state) {
        const FaultPlan plan = { .target = FAULT_SYNC, .action = FAULT_IOERR, .at = 1, .lasting = true };
        uint32_t seq = 0, n = 0;
        Scratch scratch;
        Store *s = NULL;
        off_t grown;

        scratch_make(&scratch);
        assert_ok(open_store(&scratch, DURABILITY_NORMAL, FAULT_VFS, &s));
        fault_arm(&plan);
        while (fault_hits() < 100)
                append_one(s, ++seq);
        fault_disarm();
        append_one(s, ++seq);
        grown = wal_size(&scratch);
        for (unsigned i = 0; i < 2 * STORE_WAL_PAGES; i++)
                append_one(s, ++seq);
        assert_int_equal(wal_size(&scratch), grown);
        s = store_close(s);
        check_integrity(&scratch);
        assert_ok(open_store(&scratch, DURABILITY_NORMAL, NULL, &s));
        assert_ok(store_load_events(s, 2, 1, 0, check_event, &n));
        assert_int_equal(n, seq);
        s = store_close(s);
        scratch_done(&scratch);
}

/* The fault is one that a probe must see: the database itself can't grow, though the WAL has room. */
static void test_probe_sees_the_database(void **state) {
        FaultPlan plan = { .target = FAULT_WRITE, .action = FAULT_FULL, .at = 3, .lasting = true };
        Scratch scratch;
        Store *s = NULL;

        scratch_make(&scratch);
        assert_ok(open_store(&scratch, DURABILITY_FULL, FAULT_VFS, &s));
        assert_ok(store_probe(s));
        /* Two writes are the frame of the commit, the third is the checkpoint's. */
        fault_arm(&plan);
        assert_int_equal(store_probe(s), -ENOSPC);
        fault_disarm();
        assert_ok(store_probe(s));
        s = store_close(s);
        scratch_done(&scratch);
}

static int register_vfs(void **state) {
        return fault_vfs_register();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_death_at_every_write),
                cmocka_unit_test(test_death_within_every_write),
                cmocka_unit_test(test_death_at_every_flush),
                cmocka_unit_test(test_death_at_every_write_normal),
                cmocka_unit_test(test_full_disk_at_every_write),
                cmocka_unit_test(test_error_at_every_write),
                cmocka_unit_test(test_error_at_every_flush),
                cmocka_unit_test(test_full_disk_at_every_flush),
                cmocka_unit_test(test_full_disk_at_every_write_normal),
                cmocka_unit_test(test_refused_commits_stay_refused),
                cmocka_unit_test(test_failing_open),
                cmocka_unit_test(test_open_on_a_full_disk),
                cmocka_unit_test(test_failing_checkpoints),
                cmocka_unit_test(test_probe_sees_the_database),
        };

        return cmocka_run_group_tests(tests, register_vfs, NULL);
}
