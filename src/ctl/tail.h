/* The end of a log. */
#pragma once

#include "log-source.h"

/* Appends the last `lines` lines (LINES_ALL: all) of what the source still has. Logs are bounded, so reading one through is cheap enough.
 * *ret_gone: bytes no longer kept. */
int tail_read(LogSource *s, uint32_t lines, StrBuf *b, uint64_t *ret_gone, sd_bus_error *error);
