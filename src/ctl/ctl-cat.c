/* cat: a runbook's definition, as its file has it. */
#include "client.h"
#include "i18n.h"
#include "pager.h"
#include "style.h"

/* The text, clean where a terminal shows it and to the byte where it goes elsewhere. */
static int print_text(Ctl *c, const char *text) {
        if (!style_is_terminal()) {
                out_raw(text, strlen(text));
                return 0;
        }
        _cleanup_free_ char *clean = text_lines(text);
        if (!clean)
                return ctl_oom(c);
        out("%s", clean);
        if (*clean && clean[strlen(clean) - 1] != '\n')
                out("\n");
        return 0;
}

int verb_cat(Ctl *c, const char *const *args, size_t n) {
        _cleanup_json_ Json *j = NULL;

        if (client_call_json(c, BUS_PATH, BUS_MANAGER, "GetRunbook", &j, "s", args[0]) < 0)
                return ctl_failed(c);
        if (ctl_json(c)) {
                ctl_print_json(c, j);
                return STATUS_SUCCESS;
        }
        const char *file = json_string(json_get(j, "file"));
        pager_open(c);
        if (!isempty(file) && style_is_terminal()) {
                _cleanup_free_ char *clean = text_one_line(file);
                out("%s# %s%s\n", tone_on(TONE_DIM), strempty(clean), tone_off(TONE_DIM));
        }
        return print_text(c, strempty(json_string(json_get(j, "text")))) < 0 ? ctl_failed(c) : STATUS_SUCCESS;
}
