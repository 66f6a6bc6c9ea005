/* Asks polkit whether a caller may do something, without waiting for the answer. */
#pragma once

#include <systemd/sd-bus.h>

#include "macros.h"

/* The bus lets a connection wait for 128 answers, of which the service manager may take 64. */
#define POLKIT_CHECKS_MAX 16u                           /* questions at once that no person has to answer; more wait for their turn */
#define POLKIT_PROMPTS_MAX 40u                          /* questions at once for which a person is asked; more are refused */
#define POLKIT_CHECK_SEC 25u
#define POLKIT_PROMPT_SEC 300u                          /* somebody looks for a password */

typedef enum PolkitAnswer {
        POLKIT_YES, POLKIT_NO,
        POLKIT_CHALLENGE,                               /* if a person authenticates */
        POLKIT_UNPROVEN,                                /* a person was asked, and has given no right password */
        POLKIT_DISMISSED,                               /* a person was asked, and has closed the dialog */
        POLKIT_ABSENT,                                  /* there is no polkit */
        POLKIT_FAILED,                                  /* it did not answer, or with an error */
} PolkitAnswer;

typedef struct PolkitQuestion {
        const char *caller;                             /* unique name */
        const char *action;
        const char *message;                            /* what a person reads who is asked; untranslated; "$(runbook)" is the detail */
        bool prompt;                                    /* a person may be asked */
        const char *runbook, *activity, *phase;         /* details; NULL: none */
        uint32_t run;                                   /* 0: none */
} PolkitQuestion;

typedef struct Polkit Polkit;
typedef struct PolkitCheck PolkitCheck;
/* text: of the error of POLKIT_FAILED, else NULL; borrowed. The check is over, and the callee's to free. */
typedef void (*PolkitDone)(void *userdata, PolkitAnswer answer, const char *text);

int polkit_new(sd_bus *connection, Polkit **ret);
Polkit *polkit_free(Polkit *p);                         /* after all its checks */
DEFINE_CLEANUP(Polkit *, polkit_free)
/* -EBUSY: too many people are being asked. `done` is never called from here. */
int polkit_ask(Polkit *p, const PolkitQuestion *q, PolkitDone done, void *userdata, PolkitCheck **ret);
PolkitCheck *polkit_check_free(PolkitCheck *c);         /* one that is not over is cancelled: who is being asked is asked no more */
