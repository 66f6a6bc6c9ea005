/* Answering a request: for the verbs approve, reject and provide, and for the questions that start --follow and watch ask. */
#pragma once

#include "client.h"

/* GetRequest, with those in `approvers` who are asked where the activity itself names nobody. The error is the caller's. */
int answer_get_request(Ctl *c, const Target *t, Json **ret, sd_bus_error *error);
/* Sets them, from the property that everybody may read, where a request names nobody. 0 or -ENOMEM. */
int answer_add_approvers(Ctl *c, const Target *t, Json *request);
typedef struct AnswerCall {
        const char *member;                             /* of the activity: Approve, Reject, Retry … */
        const Json *fields;                             /* an object or NULL */
        const char *comment;                            /* or NULL */
        uint64_t opened_at;                             /* of the request that was read; 0: not known */
} AnswerCall;

/* The error is the caller's. */
int answer_send(Ctl *c, const char *activity_path, const AnswerCall *call, sd_bus_error *error);
/* Prints the error of an answer, and whom to ask where the caller isn't asked. Returns a negative errno. */
int answer_error(Ctl *c, const Target *t, const sd_bus_error *error, int r);
