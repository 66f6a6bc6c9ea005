/* Clocks and time spans. usec_t is microseconds; USEC_INFINITY means never. */
#pragma once

#include <inttypes.h>
#include <time.h>

#include "macros.h"

typedef uint64_t usec_t;
#define USEC_INFINITY ((usec_t) UINT64_MAX)
#define USEC_PER_MSEC ((usec_t) 1000)
#define USEC_PER_SEC ((usec_t) 1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)
#define USEC_PER_WEEK (7 * USEC_PER_DAY)

usec_t now_usec(clockid_t clock);
usec_t usec_add(usec_t a, usec_t b);                    /* saturates at USEC_INFINITY */
usec_t usec_sub(usec_t a, usec_t b);                    /* never below 0; infinity stays */

/* A systemd time span as systemd.time(7) has it: "90" (seconds), "5min 20s", "1.5h", "infinity". Returns 0, -EINVAL (not one), -ERANGE. */
int parse_timespan(const char *s, usec_t *ret);
/* "5min 20s", as systemd prints it, the smallest unit being `accuracy`; "0" for zero, "infinity" for USEC_INFINITY. Returns a new string.
 */
char *format_timespan(usec_t t, usec_t accuracy);
/* Local time, "2026-11-21 14:03:07"; new string; "-" for 0 and infinity. */
char *format_timestamp(usec_t realtime);
/* A date and time: "2026-11-21 14:03[:07]", "@UNIX", "now", "+5min", "14:03" (next), "tomorrow 02:00"; local time, or UTC where it ends in
 * " UTC"; `now` is the wall clock. Returns 0 or -EINVAL, -ERANGE. */
int parse_timestamp(const char *s, usec_t now, usec_t *ret);
