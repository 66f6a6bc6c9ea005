/* What the format knows and this version does not do yet. A file that writes such a thing is checked like any other and then refused with a message that
 * says so: nothing is accepted and ignored. */
#pragma once

#include "tree.h"

typedef enum Feature {
        FEATURE_NONE,                                   /* works */
        FEATURE_SECRETS, FEATURE_SECRET_INPUT, FEATURE_CONCURRENCY, FEATURE_TIMED_TRIGGERS,
        FEATURE_EXECUTOR_UNIT, FEATURE_USER, FEATURE_LIMITS, FEATURE_SANDBOX,
        FEATURE_WAIT, FEATURE_HTTP, FEATURE_RUNBOOK, FEATURE_PLUGIN,
        _FEATURE_MAX,
} Feature;

/* 0 where it works; else -EINVAL and an error in d at the node's key (at the node itself where it has none). */
int feature_check(Feature f, const Node *node, Diagnostics *d);
