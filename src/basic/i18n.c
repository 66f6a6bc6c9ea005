/* Translations. The directory can be set from the environment, so that programs that are not installed speak their languages in the
 * tests; never for a program that runs with more rights than its caller. */
#include "i18n.h"

#include <locale.h>

#include "macros.h"

void i18n_init(void) {
        const char *dir = secure_getenv("RUNBOOKD_LOCALEDIR");

        (void) setlocale(LC_ALL, "");
        (void) bindtextdomain(PACKAGE, isempty(dir) ? LOCALEDIR : dir);
        /* All text inside is UTF-8, also what goes over the bus from a daemon whose locale is C. */
        (void) bind_textdomain_codeset(PACKAGE, "UTF-8");
        (void) textdomain(PACKAGE);
}
