/* Every file that is opened through this VFS is a FaultFile with the default VFS's file right behind it in memory; all methods but the three that can fail pass on.
 * One plan at a time, for the process: the tests have one database open. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "fault-vfs.h"

typedef struct FaultFile {
        sqlite3_file base;
        sqlite3_file *real;
} FaultFile;

static sqlite3_vfs fault_vfs;
static FaultPlan plan;
static unsigned seen, hits;
static uint64_t counts[_FAULT_TARGET_MAX];

static sqlite3_file *real_of(sqlite3_file *f) {
        return ((FaultFile *) f)->real;
}

static sqlite3_vfs *base_of(sqlite3_vfs *v) {
        return v->pAppData;
}

static bool strikes(FaultTarget target) {
        counts[target]++;
        if (plan.action == FAULT_NONE || plan.target != target)
                return false;
        seen++;
        if (seen != plan.at && !(plan.lasting && seen > plan.at))
                return false;
        hits++;
        return true;
}

static int strike(int io_error) {
        switch (plan.action) {
        case FAULT_FULL:
                return SQLITE_FULL;
        case FAULT_DIE:
                if (plan.die)
                        plan.die(plan.userdata);
                else
                        _exit(FAULT_EXIT_STATUS);
                return io_error;
        case FAULT_IOERR:
        case FAULT_NONE:
        case _FAULT_ACTION_MAX:
                break;
        }
        return io_error;
}

static int fault_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at) {
        if (!strikes(FAULT_WRITE))
                return real_of(f)->pMethods->xWrite(real_of(f), data, n, at);
        if (plan.torn)
                (void) real_of(f)->pMethods->xWrite(real_of(f), data, n / 2, at);
        return strike(SQLITE_IOERR_WRITE);
}

static int fault_truncate(sqlite3_file *f, sqlite3_int64 size) {
        return strikes(FAULT_WRITE) ? strike(SQLITE_IOERR_TRUNCATE) : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int fault_sync(sqlite3_file *f, int flags) {
        return strikes(FAULT_SYNC) ? strike(SQLITE_IOERR_FSYNC) : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int fault_close(sqlite3_file *f) {
        return real_of(f)->pMethods->xClose(real_of(f));
}
static int fault_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at) {
        return real_of(f)->pMethods->xRead(real_of(f), data, n, at);
}
static int fault_file_size(sqlite3_file *f, sqlite3_int64 *ret) {
        return real_of(f)->pMethods->xFileSize(real_of(f), ret);
}
static int fault_lock(sqlite3_file *f, int level) {
        return real_of(f)->pMethods->xLock(real_of(f), level);
}
static int fault_unlock(sqlite3_file *f, int level) {
        return real_of(f)->pMethods->xUnlock(real_of(f), level);
}
static int fault_check_reserved(sqlite3_file *f, int *ret) {
        return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}
static int fault_file_control(sqlite3_file *f, int op, void *arg) {
        return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}
static int fault_sector_size(sqlite3_file *f) {
        return real_of(f)->pMethods->xSectorSize(real_of(f));
}
static int fault_characteristics(sqlite3_file *f) {
        return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static const sqlite3_io_methods fault_methods = {
        .iVersion = 1,
        .xClose = fault_close,
        .xRead = fault_read,
        .xWrite = fault_write,
        .xTruncate = fault_truncate,
        .xSync = fault_sync,
        .xFileSize = fault_file_size,
        .xLock = fault_lock,
        .xUnlock = fault_unlock,
        .xCheckReservedLock = fault_check_reserved,
        .xFileControl = fault_file_control,
        .xSectorSize = fault_sector_size,
        .xDeviceCharacteristics = fault_characteristics,
};

static int fault_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags) {
        FaultFile *file = (FaultFile *) f;
        int rc;

        file->real = (sqlite3_file *) (file + 1);
        rc = base_of(v)->xOpen(base_of(v), name, file->real, flags, ret_flags);
        file->base.pMethods = file->real->pMethods ? &fault_methods : NULL;
        return rc;
}
static int fault_delete(sqlite3_vfs *v, const char *name, int sync_directory) {
        return base_of(v)->xDelete(base_of(v), name, sync_directory);
}
static int fault_access(sqlite3_vfs *v, const char *name, int flags, int *ret) {
        return base_of(v)->xAccess(base_of(v), name, flags, ret);
}
static int fault_full_pathname(sqlite3_vfs *v, const char *name, int n, char *ret) {
        return base_of(v)->xFullPathname(base_of(v), name, n, ret);
}
static int fault_randomness(sqlite3_vfs *v, int n, char *ret) {
        return base_of(v)->xRandomness(base_of(v), n, ret);
}
static int fault_sleep(sqlite3_vfs *v, int usec) {
        return base_of(v)->xSleep(base_of(v), usec);
}
static int fault_current_time(sqlite3_vfs *v, sqlite3_int64 *ret) {
        return base_of(v)->xCurrentTimeInt64(base_of(v), ret);
}
/* The default VFS would answer with the errno of something else that failed earlier. */
static int fault_last_error(sqlite3_vfs *v, int n, char *ret) {
        return hits > 0 ? 0 : base_of(v)->xGetLastError(base_of(v), n, ret);
}

int fault_vfs_register(void) {
        sqlite3_vfs *base;

        if (fault_vfs.zName)
                return 0;
        base = sqlite3_vfs_find(NULL);
        if (!base)
                return -ENODEV;
        fault_vfs = (sqlite3_vfs) {
                .iVersion = 2,
                .szOsFile = (int) sizeof(FaultFile) + base->szOsFile,
                .mxPathname = base->mxPathname,
                .zName = FAULT_VFS,
                .pAppData = base,
                .xOpen = fault_open,
                .xDelete = fault_delete,
                .xAccess = fault_access,
                .xFullPathname = fault_full_pathname,
                .xRandomness = fault_randomness,
                .xSleep = fault_sleep,
                .xGetLastError = fault_last_error,
                .xCurrentTimeInt64 = fault_current_time,
        };
        return sqlite3_vfs_register(&fault_vfs, 0) == SQLITE_OK ? 0 : -EIO;
}

void fault_arm(const FaultPlan *p) {
        plan = *p;
        seen = hits = 0;
}

void fault_disarm(void) {
        plan = (FaultPlan) {};
}

unsigned fault_hits(void) {
        return hits;
}

uint64_t fault_writes(void) {
        return counts[FAULT_WRITE];
}

uint64_t fault_syncs(void) {
        return counts[FAULT_SYNC];
}

void fault_reset_counts(void) {
        memset(counts, 0, sizeof(counts));
}
