/* The one list of what is refused. When a feature starts to work, its line goes, and nothing else has to change here: the parser behind
 * reads and checks these fields already. */
#include "runbook-features.h"

#include "i18n.h"

static const struct {
        const char *what;                               /* as it is written in a file */
        const char *advice;
} unsupported[_FEATURE_MAX] = {
        [FEATURE_SECRETS] = { "secrets", N_("remove it and let the step read the value from a file that only its user may read") },
        [FEATURE_SECRET_INPUT] = { "secret: true", N_("remove it; do not pass a secret as an input, let the step read it from a file") },
        [FEATURE_CONCURRENCY] = { "concurrency", N_("remove it; runs of one runbook may then be under way at the same time") },
        [FEATURE_TIMED_TRIGGERS] = { "triggers: cron|calendar", N_("remove it and start the runbook from a systemd timer with \"runbookctl start\"") },
        [FEATURE_EXECUTOR_UNIT] = { "executor: unit", N_("remove it: steps are processes of the service") },
        [FEATURE_USER] = { "user", N_("remove it and use setpriv or runuser in the command") },
        [FEATURE_LIMITS] = { "limits", N_("remove it and use ulimit or prlimit in the command") },
        [FEATURE_SANDBOX] = { "sandbox", N_("remove it") },
        [FEATURE_WAIT] = { "builtin:wait", N_("use \"run: sleep …\"") },
        [FEATURE_HTTP] = { "builtin:http", N_("use \"run: curl …\"") },
        [FEATURE_RUNBOOK] = { "runbook:NAME", N_("use \"run: runbookctl start --wait NAME\"") },
        [FEATURE_PLUGIN] = { "plugin:ID:HANDLER", N_("use \"run\" or \"builtin:exec\"") },
};

int feature_check(Feature f, const Node *node, Diagnostics *d) {
        const char *what = (unsigned) f < _FEATURE_MAX ? unsupported[f].what : NULL;

        if (!what)
                return 0;
        return diag_error(d, node->key ? node->key_line : node->line, node->key ? node->key_column : node->column,
                          _("\"%s\" is not supported by this version of runbookd: %s"), what, _(unsupported[f].advice));
}
