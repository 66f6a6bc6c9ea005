/* gettext for all programs: _() translates, N_() marks. */
#pragma once

#include <libintl.h>

#define _(s) gettext(s)
#define N_(s) (s)
#define P_(one, many, n) ngettext((one), (many), (n))

void i18n_init(void);                                   /* setlocale, text domain; the build tree's po when RUNBOOKD_LOCALEDIR is set */
