/* A pager for long output, chosen as systemd's tools choose it. */
#pragma once

#include "ctl.h"

/* Puts a pager behind standard output where that is a terminal and nobody said otherwise. No pager is no error. */
void pager_open(Ctl *c);
void pager_close(void);                                 /* waits until the reader has had enough; no-op without a pager */
