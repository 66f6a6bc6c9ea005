/* Opening, transactions, and what all statements have in common.
 *
 * One connection, held exclusively for the store's life: the index of the WAL is then in our memory and no lock is asked for again. A commit is one
 * write to the WAL and, with DURABILITY_FULL, one flush; every STORE_WAL_PAGES pages the commit that passes the mark also copies the WAL into the database. A
 * checkpoint that fails is nobody's failure: the commits stand in the WAL, and the next commit tries again.
 *
 * Rules. Nothing is written outside a transaction. The first failing write rolls everything back and leaves the transaction FAILED, so that
 * what the caller still has in hand is refused with the same error and commit can't store half of it. After any failure no statement is left half
 * stepped: SQLite drops the pages of a failed write only when nobody holds one. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "fd-util.h"
#include "i18n.h"
#include "store-internal.h"

/* A child of a daemon that was killed may hold its copy of the lock until it has got to its exec. */
#define LOCK_TRIES 50
#define LOCK_PAUSE_USEC (20 * USEC_PER_MSEC)
/* For somebody who looks into the database by hand while we start. */
#define BUSY_TIMEOUT_MSEC 1000

static const char *const durability_names[_DURABILITY_MAX] = {
        [DURABILITY_FULL] = "full", [DURABILITY_NORMAL] = "normal",
};
DEFINE_NAME_TABLE(Durability, durability, durability_names);

/* ---- errors ---- */

static const struct { int rc, error; } error_map[] = {
        { SQLITE_FULL, -ENOSPC }, { SQLITE_IOERR, -EIO }, { SQLITE_READONLY, -EROFS }, { SQLITE_CORRUPT, -EUCLEAN }, { SQLITE_NOTADB, -EUCLEAN },
        { SQLITE_NOMEM, -ENOMEM }, { SQLITE_BUSY, -EBUSY }, { SQLITE_LOCKED, -EBUSY }, { SQLITE_CONSTRAINT, -EEXIST }, { SQLITE_TOOBIG, -E2BIG },
        { SQLITE_ABORT, -ECANCELED }, { SQLITE_PERM, -EACCES }, { SQLITE_AUTH, -EACCES }, { SQLITE_MISMATCH, -EINVAL },
};

int store_errno(int rc, int system_errno) {
        rc &= 0xff;
        /* A quota, or a file system that finds out at the flush, comes as an I/O error. */
        if (rc == SQLITE_IOERR && (system_errno == ENOSPC || system_errno == EDQUOT))
                return -ENOSPC;
        for (size_t i = 0; i < ELEMENTSOF(error_map); i++)
                if (error_map[i].rc == rc)
                        return error_map[i].error;
        return -EIO;
}

/* The database's path and SQLite's own words go in, in this order. */
static const struct { int error; const char *text; } error_texts[] = {
        { -ENOSPC, N_("There is no space left for the database %s (%s). Free some space: work goes on by itself then.") },
        { -EIO, N_("The storage of the database %s fails (%s). Look into the kernel's log for the device: work goes on by itself once it is back.") },
        { -EROFS, N_("The database %s can't be written (%s). Make its file system and its files writable.") },
        { -EACCES, N_("The database %s may not be opened (%s). Give it back to the user that runbookd runs as.") },
        { -EUCLEAN, N_("The database %s is damaged or is not one of runbookd (%s). Move it away or restore it from a backup, then start again.") },
        { -EPROTO, N_("The database %s was written by a newer runbookd (%s). Install that version again, or move the file away to begin with an empty history.") },
        { -EBUSY, N_("The database %s is in use by another program (%s). End that program and try again.") },
        { -ENOMEM, N_("There is not enough memory to work with the database %s (%s). Free some, or raise the service's limit.") },
        { 0, N_("The database %s can't be used (%s). Check the file and its directory, or move it away to begin with an empty history.") },
};

static const char *error_text(int error) {
        size_t i = 0;

        while (error_texts[i].error != 0 && error_texts[i].error != error)
                i++;
        return _(error_texts[i].text);
}

static void set_error(Store *s, int error, const char *detail) {
        (void) snprintf(s->error, sizeof(s->error), error_text(error), s->path, detail);
}

const char *store_error(const Store *s) {
        return s->error;
}

static void reset_statements(Store *s) {
        for (sqlite3_stmt *st = sqlite3_next_stmt(s->db, NULL); st; st = sqlite3_next_stmt(s->db, st))
                (void) sqlite3_reset(st);
}

static void roll_back(Store *s) {
        reset_statements(s);
        if (!sqlite3_get_autocommit(s->db))
                (void) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        s->last_run = s->last_run_stored;
        s->complete = s->complete_stored;
}

static void fail_transaction(Store *s, int r) {
        if (s->transaction != TRANSACTION_OPEN)
                return;
        roll_back(s);
        s->transaction = TRANSACTION_FAILED;
        s->failure = r;
}

int store_fail_read(Store *s) {
        int r = store_errno(sqlite3_errcode(s->db), sqlite3_system_errno(s->db));

        set_error(s, r, sqlite3_errmsg(s->db));
        /* Some failures of a read make SQLite itself give the transaction up; what is written after that must not stand alone. */
        if (sqlite3_get_autocommit(s->db))
                fail_transaction(s, r);
        return r;
}

int store_fail_write(Store *s, int r) {
        if (r == 0) {
                r = store_errno(sqlite3_errcode(s->db), sqlite3_system_errno(s->db));
                set_error(s, r, sqlite3_errmsg(s->db));
        } else
                set_error(s, r, strerror(-r));
        fail_transaction(s, r);
        return r;
}

/* ---- statements ---- */

int store_statement(Store *s, Sql which, const char *sql, sqlite3_stmt **ret) {
        sqlite3_stmt **st = s->statements + which;

        if (!*st && sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK)
                return store_fail_read(s);
        if (sqlite3_stmt_busy(*st))
                return -EBUSY;
        *ret = *st;
        return 0;
}

int store_execute(Store *s, sqlite3_stmt *st, int bound) {
        int r = 0;

        if (bound != SQLITE_OK || sqlite3_step(st) != SQLITE_DONE)
                r = store_fail_write(s, 0);
        (void) sqlite3_reset(st);
        return r;
}

int store_query(Store *s, sqlite3_stmt *st, int bound, RowHandler handler, void *userdata) {
        int r = 0, rc = bound;

        while (rc == SQLITE_OK || rc == SQLITE_ROW) {
                rc = sqlite3_step(st);
                if (rc != SQLITE_ROW)
                        break;
                r = handler(st, userdata);
                if (r != 0)
                        break;
                /* The handler lost a transaction, and this query with it; stepping again would begin it anew. */
                if (!sqlite3_stmt_busy(st))
                        return -ECANCELED;
        }
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                r = store_fail_read(s);
        (void) sqlite3_reset(st);
        return r;
}

typedef struct Number {
        uint32_t value;
        bool found;
} Number;

static int number_row(sqlite3_stmt *st, void *userdata) {
        Number *n = userdata;

        *n = (Number) { column_u32(st, 0), true };
        return 1;
}

int store_query_u32(Store *s, sqlite3_stmt *st, int bound, uint32_t *ret) {
        Number n = {};
        int r;

        r = store_query(s, st, bound, number_row, &n);
        if (r < 0)
                return r;
        if (!n.found)
                return -ENOENT;
        *ret = n.value;
        return 0;
}

/* ---- transactions ---- */

int store_writable(const Store *s) {
        switch (s->transaction) {
        case TRANSACTION_OPEN:
                return 0;
        case TRANSACTION_FAILED:
                return s->failure;
        case TRANSACTION_NONE:
                return -EINVAL;
        }
        return -EINVAL;
}

/* Runs with the first transaction of a boot, whatever it stores. */
static int put_boot(Store *s) {
        sqlite3_stmt *st = NULL;
        int r;

        r = store_statement(s, SQL_BOOT_PUT, "INSERT INTO boots VALUES(?1, ?2)", &st);
        if (r < 0)
                return store_fail_write(s, r);
        return store_execute(s, st, sqlite3_bind_int64(st, 1, s->boot) | bind_text(st, 2, s->boot_id));
}

int store_begin(Store *s) {
        sqlite3_stmt *st = NULL;
        int r;

        if (s->transaction == TRANSACTION_OPEN)
                return -EALREADY;
        r = store_statement(s, SQL_BEGIN, "BEGIN IMMEDIATE", &st);
        if (r < 0)
                return r;
        s->transaction = TRANSACTION_NONE;
        r = store_execute(s, st, SQLITE_OK);
        if (r < 0)
                return r;
        s->transaction = TRANSACTION_OPEN;
        if (!s->boot_stored)
                r = put_boot(s);
        if (r < 0)
                s->transaction = TRANSACTION_NONE;
        return r;
}

static int commit(Store *s) {
        sqlite3_stmt *st = NULL;
        int r;

        r = store_statement(s, SQL_COMMIT, "COMMIT", &st);
        if (r < 0)
                return store_fail_write(s, r);
        r = store_execute(s, st, SQLITE_OK);
        if (r < 0)
                return r;
        s->last_run_stored = s->last_run;
        s->complete_stored = s->complete;
        s->boot_stored = true;
        return 0;
}

/* A transaction of next to nothing. */
static int begin_probe(Store *s) {
        sqlite3_stmt *st = NULL;
        int r;

        r = store_begin(s);
        if (r < 0)
                return r;
        r = store_statement(s, SQL_PROBE, "INSERT INTO meta VALUES('probe', 1) ON CONFLICT(key) DO UPDATE SET value = value + 1", &st);
        return r < 0 ? r : store_execute(s, st, SQLITE_OK);
}

/* A commit whose flush failed stands in the WAL all the same, whole, and our next start would take it for one. What is written now goes over it, flushed or
 * not. */
static void overwrite_refused(Store *s) {
        char error[sizeof(s->error)];

        memcpy(error, s->error, sizeof(error));
        s->transaction = TRANSACTION_NONE;
        if (begin_probe(s) < 0 || commit(s) < 0)
                store_rollback(s);
        memcpy(s->error, error, sizeof(error));
}

int store_commit(Store *s) {
        int r;

        r = store_writable(s);
        if (r >= 0) {
                r = commit(s);
                if (r < 0)
                        overwrite_refused(s);
        }
        s->transaction = TRANSACTION_NONE;
        return r;
}

void store_rollback(Store *s) {
        if (s->transaction == TRANSACTION_OPEN)
                roll_back(s);
        s->transaction = TRANSACTION_NONE;
}

/* A commit alone may fit into what the WAL has already got, and is not flushed with DURABILITY_NORMAL; the checkpoint flushes both files and grows the
 * database. */
int store_probe(Store *s) {
        int r;

        if (s->transaction == TRANSACTION_OPEN)
                return -EALREADY;
        r = begin_probe(s);
        if (r >= 0)
                r = store_commit(s);
        if (r < 0) {
                store_rollback(s);
                return r;
        }
        if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) != SQLITE_OK)
                return store_fail_read(s);
        return 0;
}

/* ---- opening ---- */

static int refuse(char **ret_error, int r, const char *fmt, ...) _printf_(3, 4);
static int refuse(char **ret_error, int r, const char *fmt, ...) {
        va_list ap;
        char *text;

        va_start(ap, fmt);
        if (vasprintf(&text, fmt, ap) >= 0)
                *ret_error = text;
        va_end(ap);
        return r;
}

static int make_directory(const char *path, char **ret_error) {
        struct stat st;
        int r;

        if (stat(path, &st) >= 0)
                return S_ISDIR(st.st_mode) ? 0 : refuse(ret_error, -ENOTDIR, _("%s is not a directory. Name another state directory, or move that file away."), path);
        r = mkdir_parents(path, 0711);
        if (r < 0)
                return refuse(ret_error, r, _("The state directory %s can't be made: %s. Make it, or name another one."), path, strerror(-r));
        return 0;
}

static pid_t read_holder(int fd) {
        char buf[16] = "";
        long pid;

        if (pread(fd, buf, sizeof(buf) - 1, 0) <= 0)
                return 0;
        pid = strtol(buf, NULL, 10);
        return pid > 0 && pid <= INT32_MAX ? (pid_t) pid : 0;
}

static bool process_exists(pid_t pid) {
        return pid > 0 && (kill(pid, 0) >= 0 || errno == EPERM);
}

static char *program_of(pid_t pid) {
        _cleanup_free_ char *path = NULL, *comm = NULL;
        size_t n;

        path = xasprintf("/proc/%d/comm", (int) pid);
        if (!path || read_file(AT_FDCWD, path, 64, false, &comm, &n) < 0)
                return NULL;
        for (char *p = comm; *p; p++)
                if (*p == '\n')
                        *p = 0;
                else if ((unsigned char) *p < ' ' || *p == 0x7f)
                        *p = '?';
        return TAKE_PTR(comm);
}

static int refuse_locked(const char *directory, pid_t pid, char **ret_error) {
        _cleanup_free_ char *program = program_of(pid);

        if (pid == 0)
                return refuse(ret_error, -EBUSY, _("The state directory %s is in use by another process. End it first, or name another directory."), directory);
        return refuse(ret_error, -EBUSY, _("The state directory %s is in use by process %d (%s). End it first, or name another directory."), directory,
                      (int) pid, program ?: "?");
}

static int wait_for_lock(const char *directory, int fd, char **ret_error) {
        for (unsigned i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
                pid_t pid;

                if (errno != EWOULDBLOCK)
                        return refuse(ret_error, -errno, _("The state directory %s can't be locked: %s. It must be on a file system that has locks."), directory,
                                      strerror(errno));
                pid = read_holder(fd);
                if (i >= LOCK_TRIES || process_exists(pid))
                        return refuse_locked(directory, pid, ret_error);
                (void) usleep(LOCK_PAUSE_USEC);
        }
        return 0;
}

static int take_lock(Store *s, const char *directory, char **ret_error) {
        _cleanup_free_ char *path = path_join(directory, STORE_LOCK);
        _cleanup_close_ int fd = -1;
        char pid[16];
        int r, n;

        if (!path)
                return -ENOMEM;
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        if (fd < 0)
                return refuse(ret_error, -errno, _("The lock file %s can't be opened: %s. Check who owns the directory, and its free space."), path, strerror(errno));
        r = wait_for_lock(directory, fd, ret_error);
        if (r < 0)
                return r;
        /* Only for the message above, so a full disk may lose it; one length, so that it overwrites what stands there. */
        n = snprintf(pid, sizeof(pid), "%-11d\n", (int) getpid());
        if (pwrite(fd, pid, (size_t) n, 0) < 0)
                errno = 0;
        s->lock_fd = TAKE_FD(fd);
        return 0;
}

/* Before SQLite does it, with its own idea of a mode; its other files take over this one's. */
static int make_file(const char *path, const char *directory) {
        _cleanup_close_ int fd = -1, dir_fd = -1;
        struct stat st;

        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EUCLEAN;
        if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
                return -errno;
        if (st.st_size > 0)
                return 0;
        dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir_fd < 0 || fsync(dir_fd) < 0 ? -errno : 0;
}

/* The connection is only ever used by one thread, and nobody asks how much memory there is. Too late where SQLite is in use already, which is fine. */
static int connect_database(Store *s, const StoreOptions *o) {
        int r;

        (void) sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        r = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, o->vfs);
        if (r != SQLITE_OK)
                return s->db ? store_errno(r, sqlite3_system_errno(s->db)) : -ENOMEM;
        (void) sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MSEC);
        return store_prepare_rows(s);
}

static int run_sql(Store *s, const char *sql) {
        if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
                return store_errno(sqlite3_errcode(s->db), sqlite3_system_errno(s->db));
        return 0;
}

static int is_wal(Store *s) {
        sqlite3_stmt *st = NULL;
        int r = 0;

        if (sqlite3_prepare_v2(s->db, "PRAGMA journal_mode = WAL", -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
                r = store_errno(sqlite3_errcode(s->db), sqlite3_system_errno(s->db));
        else if (!streq_ptr((const char *) sqlite3_column_text(st, 0), "wal"))
                r = -EIO;
        (void) sqlite3_finalize(st);
        return r;
}

/* Exclusive locking first: set before the WAL is first touched, it keeps the WAL's index in our memory. Nothing is written before the check. */
static int prepare_database(Store *s, const StoreOptions *o) {
        _cleanup_free_ char *pragmas = NULL;
        unsigned version = 0;
        int r;

        pragmas = xasprintf("PRAGMA synchronous = %s; PRAGMA cache_size = -%d; PRAGMA journal_size_limit = %d; PRAGMA wal_autocheckpoint = %d;"
                            "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF",
                            o->durability == DURABILITY_FULL ? "FULL" : "NORMAL", STORE_CACHE_KIB, STORE_WAL_FILE_MAX, STORE_WAL_PAGES);
        if (!pragmas)
                return -ENOMEM;
        r = run_sql(s, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = 4096");
        if (r >= 0)
                r = schema_check(s->db, schema_version, &version);
        if (r >= 0)
                r = is_wal(s);
        if (r >= 0)
                r = run_sql(s, pragmas);
        if (r >= 0)
                r = schema_migrate(s->db, schema_migrations, schema_version, version);
        return r;
}

/* SQLite takes zeros behind the last frame for what they are. No room for them is no reason not to start. */
static void prepare_wal(Store *s) {
        static uint8_t zeros[64 * 1024];                /* not const: as it is, it takes no room in the program nor in memory */
        sqlite3_file *wal = NULL;
        sqlite3_int64 size = 0;

        if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK || !wal || !wal->pMethods)
                return;
        if (wal->pMethods->xFileSize(wal, &size) != SQLITE_OK)
                return;
        for (; size < STORE_WAL_READY; size += sizeof(zeros))
                if (wal->pMethods->xWrite(wal, zeros, sizeof(zeros), size) != SQLITE_OK)
                        return;
}

static int make_id(Store *s) {
        _cleanup_free_ char *sql = NULL;
        uint8_t random[16];

        if (getrandom(random, sizeof(random), 0) != sizeof(random))
                return -errno;
        for (size_t i = 0; i < sizeof(random); i++)
                (void) snprintf(s->id + 2 * i, 3, "%02x", random[i]);
        sql = xasprintf("INSERT INTO meta VALUES('id', '%s')", s->id);
        return sql ? run_sql(s, sql) : -ENOMEM;
}

static int read_text(Store *s, const char *sql, char *buf, size_t size) {
        sqlite3_stmt *st = NULL;
        int r = 0, rc;

        rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(st);
        if (rc == SQLITE_ROW)
                (void) snprintf(buf, size, "%s", strempty(column_text(st, 0)));
        else
                r = rc == SQLITE_DONE ? -ENOENT : store_errno(rc, sqlite3_system_errno(s->db));
        (void) sqlite3_finalize(st);
        return r;
}

static int load_identity(Store *s) {
        int r;

        r = read_text(s, "SELECT value FROM meta WHERE key = 'id'", s->id, sizeof(s->id));
        if (r == -ENOENT)
                return make_id(s);
        if (r >= 0 && strlen(s->id) != sizeof(s->id) - 1)
                return -EUCLEAN;
        return r;
}

static int load_boot(Store *s) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        char newest[37] = "";
        int r, id = 0;

        r = read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, false, &text, &n);
        if (r < 0)
                return r;
        (void) snprintf(s->boot_id, sizeof(s->boot_id), "%.36s", text);
        r = schema_pragma_int(s->db, "SELECT ifnull(max(id), 0) FROM boots", &id);
        if (r >= 0)
                r = read_text(s, "SELECT boot_id FROM boots ORDER BY id DESC LIMIT 1", newest, sizeof(newest));
        if (r < 0 && r != -ENOENT)
                return r;
        s->boot_stored = streq(newest, s->boot_id);
        s->boot = (uint32_t) id + !s->boot_stored;
        return 0;
}

static int load_numbers(Store *s) {
        int r, last = 0, complete = 0;

        r = schema_pragma_int(s->db, "SELECT max(ifnull((SELECT max(id) FROM runs), 0),"
                                     " ifnull((SELECT max(id) >> " STRINGIFY(SEQ_BITS) " FROM events), 0),"
                                     " (SELECT value FROM meta WHERE key = 'last_deleted_run'))", &last);
        if (r >= 0)
                r = schema_pragma_int(s->db, "SELECT value FROM meta WHERE key = 'rows_complete'", &complete);
        if (r < 0)
                return r;
        s->last_run = s->last_run_stored = (uint32_t) last;
        s->complete = s->complete_stored = (uint32_t) complete;
        return 0;
}

static int open_database(Store *s, const StoreOptions *o) {
        int r;

        r = make_file(s->path, o->directory);
        if (r >= 0)
                r = connect_database(s, o);
        if (r >= 0)
                r = prepare_database(s, o);
        if (r >= 0)
                r = load_identity(s);
        if (r >= 0)
                r = load_boot(s);
        if (r >= 0)
                r = load_numbers(s);
        if (r >= 0 && o->durability == DURABILITY_FULL)
                prepare_wal(s);
        return r;
}

/* What of this kind of failure a person can't guess. Uses the store's own buffer, which nobody else reads any more. */
static const char *open_detail(Store *s, int r) {
        int version = 0, rc = s->db ? sqlite3_errcode(s->db) : SQLITE_OK;

        if (rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
                return sqlite3_errmsg(s->db);
        if (r == -EUCLEAN)
                return _("another program made it");
        if (r != -EPROTO || schema_pragma_int(s->db, "PRAGMA user_version", &version) < 0)
                return strerror(-r);
        (void) snprintf(s->error, sizeof(s->error), _("its schema is %d, this program knows those up to %u"), version, schema_version);
        return s->error;
}

int store_open(const StoreOptions *o, Store **ret, char **ret_error) {
        _cleanup_(store_closep) Store *s = NULL;
        int r;

        *ret_error = NULL;
        s = calloc(1, sizeof(Store));
        if (!s)
                return -ENOMEM;
        s->lock_fd = -1;
        s->path = path_join(o->directory, STORE_FILE);
        if (!s->path)
                return -ENOMEM;
        r = make_directory(o->directory, ret_error);
        if (r >= 0)
                r = take_lock(s, o->directory, ret_error);
        if (r < 0)
                return r;
        r = open_database(s, o);
        if (r < 0)
                return refuse(ret_error, r, error_text(r), s->path, open_detail(s, r));
        *ret = TAKE_PTR(s);
        return 0;
}

Store *store_close(Store *s) {
        if (!s)
                return NULL;
        store_rollback(s);
        for (size_t i = 0; i < _SQL_MAX; i++)
                (void) sqlite3_finalize(s->statements[i]);
        (void) sqlite3_close(s->db);
        s->lock_fd = safe_close(s->lock_fd);
        free(s->path);
        free(s);
        return NULL;
}

const char *store_id(const Store *s) {
        return s->id;
}

uint32_t store_boot(const Store *s) {
        return s->boot;
}

/* Statements hold what they were last bound to and their way through the tables; the next use makes them anew. */
void store_release_memory(Store *s) {
        for (size_t i = 0; i < _SQL_MAX; i++)
                if (s->statements[i] && !sqlite3_stmt_busy(s->statements[i])) {
                        (void) sqlite3_finalize(s->statements[i]);
                        s->statements[i] = NULL;
                }
        (void) sqlite3_db_release_memory(s->db);
}

uint32_t store_last_run(const Store *s) {
        return s->last_run;
}

uint32_t store_complete(const Store *s) {
        return s->complete;
}
