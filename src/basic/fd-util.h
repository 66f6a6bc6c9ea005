/* Files and descriptors. All return negative errno on failure; nothing logs. */
#pragma once

#include <sys/types.h>

#include "macros.h"

/* A file that others may have put something else in place of: no link is followed, a pipe isn't waited for, and only a regular file is opened (-EBADFD, or
 * what the kernel says of the thing). The descriptor, or a negative error. */
int open_regular(int dir_fd, const char *path, int flags, mode_t mode);
/* Reads a whole file (NUL-terminated beyond *ret_size). -EFBIG past max bytes, -EISDIR, -ELOOP for a link with nofollow. */
int read_file(int dir_fd, const char *path, size_t max, bool nofollow, char **ret, size_t *ret_size);
int read_fd(int fd, size_t max, char **ret, size_t *ret_size);
/* Writes to a temporary file beside it, fsyncs, renames, fsyncs the directory. */
int write_file_atomic(int dir_fd, const char *path, const void *data, size_t size, mode_t mode);
int write_all(int fd, const void *data, size_t size);
/* Makes the directory and its parents; existing ones are left as they are. The mode is that of what is newly made. */
int mkdir_parents(const char *path, mode_t mode);
/* Removes a tree below dir_fd without following links and without crossing into other file systems. -ENOENT is success. */
int remove_tree(int dir_fd, const char *path);
/* Joins with one slash. New string or NULL. */
char *path_join(const char *a, const char *b);
/* asprintf that returns the string, NULL on out of memory. */
char *xasprintf(const char *fmt, ...) _printf_(1, 2);
bool fd_is_journal(int fd);                             /* is this descriptor connected to the journal, by $JOURNAL_STREAM? */
