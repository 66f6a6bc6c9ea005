/* One scenario: a runbook, a world that follows a script, and what must come of it. README.md has the format. */
#pragma once

#include "invariants.h"
#include "strbuf.h"

typedef struct Scenario {
        const char *file;
        Json *source;                                   /* the whole file */
        Runbook *runbook;
        World world;
        Invariants invariants;
        Json *exits;                                    /* "activity/step" -> what its starts come to; lists are taken from the front */
        Json *started;                                  /* entries of `world` that were asked for */
        bool manual;                                    /* processes end by the script only */
        bool failed;
        StrBuf complaints;
} Scenario;

void scenario_fail(Scenario *s, const char *fmt, ...) _printf_(2, 3);
int scenario_load(const char *file, Json **ret);        /* complaints go to stderr */
/* Plays the scenario and checks what it expects; false: complaints say what is wrong. */
bool scenario_run(Scenario *s, const char *file, Json *source);
void scenario_done(Scenario *s);

/* expect.c */
void scenario_expect(Scenario *s, const Json *map);
