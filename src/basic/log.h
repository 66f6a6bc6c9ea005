/* Logging of the daemon and the agent: to stderr with a level, or to the journal where stderr is connected to it. Programs for people print by themselves. */
#pragma once

#include <syslog.h>

#include "macros.h"

void log_set_max_level(int level);                      /* LOG_DEBUG … LOG_EMERG; default LOG_INFO */
int log_max_level(void);
int log_level_from_string(const char *s);               /* "debug" … "emerg", or "0" … "7"; -EINVAL */
const char *log_level_to_string(int level);
void log_open(void);                                    /* looks at stderr; call once at start */
/* Returns -abs(error), so that `return log_error_errno(r, …)` reads well; %m is the error's text. */
int log_full_at(int level, int error, const char *file, int line, const char *function, const char *fmt, ...) _printf_(6, 7);
#define log_full(level, error, ...) log_full_at((level), (error), __FILE__, __LINE__, __func__, __VA_ARGS__)
/* With journal fields: key, value pairs of strings, ended by NULL, after the message. */
void log_struct(int level, const char *message, ...) _sentinel_;
#define log_debug(...) ((void) log_full(LOG_DEBUG, 0, __VA_ARGS__))
#define log_info(...) ((void) log_full(LOG_INFO, 0, __VA_ARGS__))
#define log_notice(...) ((void) log_full(LOG_NOTICE, 0, __VA_ARGS__))
#define log_warning(...) ((void) log_full(LOG_WARNING, 0, __VA_ARGS__))
#define log_error(...) ((void) log_full(LOG_ERR, 0, __VA_ARGS__))
#define log_debug_errno(e, ...) log_full(LOG_DEBUG, (e), __VA_ARGS__)
#define log_warning_errno(e, ...) log_full(LOG_WARNING, (e), __VA_ARGS__)
#define log_error_errno(e, ...) log_full(LOG_ERR, (e), __VA_ARGS__)
