/* How verdicts of the engine and this layer's own refusals look on the bus. */
#pragma once

#include <systemd/sd-bus.h>

#include "engine.h"

/* All return a negative errno that fits, with *error set, for `return` from a handler. */
int bus_refuse(sd_bus_error *error, Verdict v, const char *fmt, ...) _printf_(3, 4);
int bus_invalid_args(sd_bus_error *error, const char *fmt, ...) _printf_(2, 3);
int bus_limits_exceeded(sd_bus_error *error, const char *fmt, ...) _printf_(2, 3);
int bus_access_denied(sd_bus_error *error, const char *fmt, ...) _printf_(2, 3);
int bus_authentication_required(sd_bus_error *error, const char *fmt, ...) _printf_(2, 3);
/* What a verb of the engine returned: a verdict (with its sentence) or a negative errno. 0 is returned as 0. */
int bus_verdict(sd_bus_error *error, int r, const char *message);
const char *bus_error_name(Verdict v);                  /* "org.runbookd1.Error.NoSuchRun"; NULL for VERDICT_OK */
