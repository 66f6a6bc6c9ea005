/* org.freedesktop.LogControl1: the log level while the daemon runs, for `systemctl service-log-level`. */
#pragma once

#include <systemd/sd-bus.h>

int log_control_attach(sd_bus *connection, sd_bus_slot **ret);
