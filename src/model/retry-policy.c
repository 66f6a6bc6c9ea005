/* When a failed attempt is tried again. Waits are computed without overflow: whatever the numbers in a file are, the answer is at most
 * the policy's own maximum and RETRY_WAIT_MAX. */
#include "retry-policy.h"

#include "name-table.h"

static const char *const backoff_names[_BACKOFF_MAX] = {
        [BACKOFF_EXP] = "exp", [BACKOFF_LIN] = "lin", [BACKOFF_FIXED] = "fixed",
};

const char *backoff_to_string(Backoff b) {
        return (unsigned) b < _BACKOFF_MAX ? backoff_names[b] : NULL;
}

Backoff backoff_from_string(const char *s) {
        if (streq_ptr(s, "exponential"))
                return BACKOFF_EXP;
        for (unsigned i = 0; s && i < _BACKOFF_MAX; i++)
                if (streq(backoff_names[i], s))
                        return (Backoff) i;
        return _BACKOFF_INVALID;
}

static bool strv_contains(char *const *l, const char *s) {
        for (; s && l && *l; l++)
                if (streq(*l, s))
                        return true;
        return false;
}

void retry_policy_done(RetryPolicy *p) {
        p->on = strv_free(p->on);
        p->not_on = strv_free(p->not_on);
}

bool retry_policy_allows(const RetryPolicy *p, unsigned n, const char *error_code) {
        if (n < 1 || n > p->max)
                return false;
        if (p->on && !strv_contains(p->on, error_code))
                return false;
        return !strv_contains(p->not_on, error_code);
}

usec_t retry_policy_wait(const RetryPolicy *p, unsigned n) {
        usec_t cap = MIN(p->maximum, RETRY_WAIT_MAX);
        usec_t factor = 1;

        if (n < 1 || p->initial == 0)
                return 0;
        switch (p->backoff) {
        case BACKOFF_EXP:
                factor = n - 1 >= 63 ? USEC_INFINITY : (usec_t) 1 << (n - 1);
                break;
        case BACKOFF_LIN:
                factor = n;
                break;
        case BACKOFF_FIXED:
        case _BACKOFF_MAX:
        case _BACKOFF_INVALID:
                break;
        }
        return factor > cap / p->initial ? cap : MIN(p->initial * factor, cap);
}
