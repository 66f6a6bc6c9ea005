/* The log of one attempt, or of one of its steps, read bit by bit: from the file that the daemon opens for us, or through the daemon where
 * the connection can't pass descriptors. */
#pragma once

#include "ctl.h"

typedef struct LogSource LogSource;

/* attempt 0: the newest. step NULL: the whole attempt. 0; errors are the daemon's and not printed: they are left in *error. */
int log_source_new(Ctl *c, const char *activity_path, uint32_t attempt, const char *step, sd_bus_error *error, LogSource **ret);
LogSource *log_source_free(LogSource *s);
DEFINE_CLEANUP(LogSource *, log_source_free)
/* Appends what there is up to the position `end` (UINT64_MAX: all there is), at most about LOG_READ_MAX bytes; *ret_gone: how many bytes
 * are no longer kept, just before what was appended. Returns the number of bytes appended, 0 when there is nothing for now, negative errno.
 */
#define LOG_READ_MAX (256u * 1024u)
int log_source_read(LogSource *s, uint64_t end, StrBuf *b, uint64_t *ret_gone, sd_bus_error *error);
bool log_source_ended(const LogSource *s);              /* nothing more will come, as far as the daemon says; false when it can't say */
