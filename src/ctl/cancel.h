/* Cancelling a run: for the verb, and for --cancel-on-exit. */
#pragma once

#include "client.h"

int cancel_send(Ctl *c, const char *run_path, const char *comment);     /* prints what is wrong */
