/* The directories and files of steps below the state directory, but for logs. */
#pragma once

#include <sys/types.h>

#include "executor.h"

/* Below step/: what a step writes its outputs and its error to. The name begins with the store's id, and no two steps have the same. */
char *step_file_prefix(const char *state_directory, const char *store_id); /* what the path of each of them begins with */
char *step_file_name(const char *store_id, const StepCommand *c, const char *suffix);
#define STEP_FILE_OUTPUT "output"
#define STEP_FILE_ERROR "error"

bool step_name_is_safe(const char *name);               /* fit to be part of a file name */
int step_directories_make(const char *state_directory, int *ret_logs_fd, int *ret_step_fd);
/* Reads and removes a file that a step wrote. 1; 0: there is none; -EFBIG; -EBADFD: not a regular file. */
int step_file_take(int step_fd, const char *name, size_t max, char **ret, size_t *ret_n);
void step_file_remove(int step_fd, const char *name);
void step_files_remove_all(int step_fd, const char *store_id); /* those of this store, when no step runs */
int step_capture_open(int step_fd, int *ret);           /* a file without a name for standard output, which appends */
