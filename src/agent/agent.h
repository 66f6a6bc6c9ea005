/* The agent of one session: requests that this person can answer become notifications with buttons. */
#pragma once

#include "macros.h"

typedef struct Agent Agent;

#define NOTES_MAX 20u                                   /* requests that are shown at a time; one more notification counts the others */
#define EXIT_SERVED 78                                  /* another agent serves this session */

typedef struct AgentOptions {
        bool user_mode;                                 /* runbookd is on the session bus */
} AgentOptions;

/* 0, or negative errno after the reason was logged; -EEXIST: another agent is there. */
int agent_new(const AgentOptions *o, Agent **ret);
Agent *agent_free(Agent *a);
DEFINE_CLEANUP(Agent *, agent_free)
int agent_run(Agent *a);                                /* until a signal or the end of the session; the exit status */
