/* Logs of attempts: one file each, appended to by the steps' processes themselves. */
#pragma once

#include <sys/types.h>

#include "macros.h"

typedef struct LogCache LogCache;                       /* logs that are open */
typedef struct StepLog StepLog;

#define LOG_CACHE_UNUSED_MAX 64u                        /* open logs that no step writes to at the moment */

int log_cache_new(int logs_fd, LogCache **ret);         /* the directory of logs; borrowed */
LogCache *log_cache_free(LogCache *c);                  /* all logs must have been given back */
DEFINE_CLEANUP(LogCache *, log_cache_free)
void log_cache_drop_unused(LogCache *c);                /* and the one made ahead */
void log_cache_make_ahead(LogCache *c);                 /* the file of the next new log, when there is time */

/* Makes it where it is missing. */
int log_cache_take(LogCache *c, uint32_t run, const char *activity, uint32_t attempt, StepLog **ret);
void log_cache_give_back(LogCache *c, StepLog *l);
int step_log_fd(const StepLog *l);                      /* write-only, appends; borrowed */

int file_size(int fd, uint64_t *ret);
/* Frees the oldest bytes of [start, end of file) so that about max of the newest stay. *done: what was freed up to, 0 at first. For logs
 * and captured output. */
int log_punch(int fd, uint64_t start, uint64_t max, uint64_t *done);
/* Where what is left of [start, end) begins; end where nothing is. The bytes before it are gone (they read as zeros). */
int step_log_data_start(int fd, uint64_t start, uint64_t end, uint64_t *ret);
/* The last max bytes of [start, end): valid UTF-8 of at most max bytes; whole_lines: from the start of a line, if there is one. */
int log_read_tail(int fd, uint64_t start, uint64_t end, size_t max, bool whole_lines, char **ret);
/* Appends the newest max bytes of one file to another that is open for appending. */
int log_append_file(int to_fd, int from_fd, uint64_t max);
