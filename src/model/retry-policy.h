/* When a failed attempt is tried again, and after how long (section 5, rule 4; S3.2–S3.10, S4.2–S4.5). */
#pragma once

#include "time-util.h"

typedef enum Backoff { BACKOFF_EXP, BACKOFF_LIN, BACKOFF_FIXED, _BACKOFF_MAX, _BACKOFF_INVALID = -EINVAL } Backoff;
const char *backoff_to_string(Backoff b);
Backoff backoff_from_string(const char *s);             /* exp lin fixed, and `exponential` */

#define RETRY_WAIT_MAX USEC_PER_DAY

typedef struct RetryPolicy {
        unsigned max;                                   /* retries, not attempts; 0: none */
        Backoff backoff;
        usec_t initial, maximum;                        /* maximum: USEC_INFINITY where not given */
        char **on, **not_on;                            /* error codes, NULL-terminated or NULL */
} RetryPolicy;

void retry_policy_done(RetryPolicy *p);
/* May retry number n (from 1) follow a failure with this code? */
bool retry_policy_allows(const RetryPolicy *p, unsigned n, const char *error_code);
/* The wait before retry n: initial·2^(n−1), initial·n or initial, at most maximum and 24h; never overflows. */
usec_t retry_policy_wait(const RetryPolicy *p, unsigned n) _pure_;
