/* The question that start --follow asks when an approval is wanted: approve, reject or skip, then the fields. */
#pragma once

#include "client.h"

typedef struct Prompt Prompt;

/* place: how the activity is shown; request: what GetRequest says. Prints what is asked for. */
int prompt_new(Ctl *c, uint32_t run, const char *run_path, const char *activity, const char *place, const Json *request, Prompt **ret);
Prompt *prompt_free(Prompt *p);
DEFINE_CLEANUP(Prompt *, prompt_free)
const char *prompt_activity(const Prompt *p);
void prompt_show(const Prompt *p);                      /* the line where the answer is typed, without newline */
void prompt_hide(void);                                 /* takes it off the screen, for other output */
/* One typed line; NULL: the end of input. 1: the question is done with (answered or skipped); 0: it goes on; negative after it was said. */
int prompt_feed(Prompt *p, const char *line);
