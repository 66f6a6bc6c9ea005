/* One scenario: a runbook, a world that follows a script, and what must come of it. README.md has the format. */
#pragma once

#include "invariants.h"
#include "strbuf.h"

typedef struct Scenario Scenario;
struct Scenario {
        const char *file;
        Json *source;                                   /* the whole file */
        World world;
        Invariants invariants;
        Json *exits;                                    /* "activity/step" -> what its starts come to; lists are taken from the front */
        Json *started;                                  /* entries of `world` that were asked for */
        bool manual;                                    /* processes end by the script only */
        bool broken_definition;                         /* one of its runbooks is none */
        bool failed;
        StrBuf complaints;
        Scenario **then;                                /* the runs that were made of its run, and of theirs */
        size_t n_then, n_then_allocated;
};

void scenario_fail(Scenario *s, const char *fmt, ...) _printf_(2, 3);
int scenario_load(const char *file, Json **ret);        /* complaints go to stderr */
/* Plays the scenario and checks what it expects; false: complaints say what is wrong. */
bool scenario_run(Scenario *s, const char *file, Json *source);
void scenario_done(Scenario *s);

/* For the files of the runner. */
void scenario_init(Scenario *s, const char *file, Json *source, bool manual);
void scenario_check(Scenario *s, const char *what, int r);      /* r below 0 fails the scenario */
void scenario_check_fold(Scenario *s);
void scenario_check_members(Scenario *s, const char *const *known);     /* NULL-terminated */
int scenario_begin(Scenario *s, const WorldStart *start);       /* the run is made, and nothing has happened yet */
void scenario_play(Scenario *s);                        /* to the end of its script, and what must hold then */
/* A definition in a script: a map as it stands in a runbook file, or text. Borrowed; NULL: it is none, and the scenario has failed. */
Runbook *scenario_definition(Scenario *s, const Json *definition);
char **scenario_list(const Json *list);                 /* NULL: it is none */
void scenario_free_list(char **v);

/* script.c */
void scenario_do(Scenario *s, const Json *item);
bool scenario_end_one(Scenario *s);                     /* ends the oldest process that may end; false: none may */
bool scenario_pass_time(Scenario *s);                   /* to the next deadline; false: there is none */
bool scenario_drain_one(Scenario *s);                   /* brings a manual scenario on; false: nothing is left to do */
const Actor *scenario_person(const Json *item);         /* `by`, and `login`: until the next call */
usec_t scenario_span(Scenario *s, const Json *value);
/* Was that right? error: what was said to the one who was refused. */
void scenario_refused(Scenario *s, const Json *item, const char *verb, int r, const char *error);

/* then.c */
void scenario_then(Scenario *s);

/* expect.c */
void scenario_expect(Scenario *s, const Json *map);
