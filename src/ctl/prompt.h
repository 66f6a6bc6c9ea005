/* The questions that start --follow and watch ask: about an approval (approve, reject or skip, then the fields), about input (its fields
 * one by one) and about a failure that is held (retry, ignore, abort or later), then why. */
#pragma once

#include "client.h"

typedef struct Prompt Prompt;

/* place: how the activity is shown; request: what GetRequest says. Prints what is asked for. */
int prompt_new(Ctl *c, uint32_t run, const char *run_path, const char *activity, const char *place, const Json *request, Prompt **ret);
bool prompt_knows(const char *kind);                     /* is there a question for requests of this kind? */
bool prompt_is_about_input(const Prompt *p);
Prompt *prompt_free(Prompt *p);
DEFINE_CLEANUP(Prompt *, prompt_free)
const char *prompt_activity(const Prompt *p);
void prompt_show(const Prompt *p);                      /* the line where the answer is typed, without newline */
void prompt_hide(void);                                 /* takes it off the screen, for other output */
/* One typed line; NULL: the end of input. 1: the question is done with (answered or skipped); 0: it goes on; negative after it was said. */
int prompt_feed(Prompt *p, const char *line);

/* Somebody sits here and may be asked. */
bool prompt_may_ask(const Ctl *c);
/* What was typed and is not yet used; the text is the owner's. */
typedef struct Typed {
        char *text;
} Typed;
int typed_read(Ctl *c, Typed *t);                       /* reads what there is: 0; 1 at the end of input; negative after it was said */
char *typed_line(Typed *t);                             /* takes the next whole line, without its newline; NULL: there is none */
