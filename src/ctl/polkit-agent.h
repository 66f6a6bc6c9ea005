/* Somebody on this terminal who can be asked for a password. */
#pragma once

#include "ctl.h"

/* Starts an agent where there is none yet and one is of use: for a user other than root, who sits at a terminal and talks to the system's
 * daemon on this machine. 1: there is a new one; 0: not, without a word. */
int polkit_agent_open(const Ctl *c);
bool polkit_agent_is_there(void);                       /* one was started */
void polkit_agent_close(void);
