/* reload: the daemon reads its configuration and all runbooks again. */
#include "client.h"
#include "i18n.h"
#include "style.h"

int verb_reload(Ctl *c, const char *const *args, size_t n) {
        if (client_call(c, BUS_PATH, BUS_MANAGER, "Reload", NULL, "a{sv}", 0u) < 0)
                return ctl_failed(c);
        if (!c->options.quiet && !ctl_json(c))
                out(_("runbookd has read its configuration and its runbooks again.\n"));
        return STATUS_SUCCESS;
}
