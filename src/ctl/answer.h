/* Answering a request: for the verbs approve and reject, and for the question that start --follow asks. */
#pragma once

#include "client.h"

int answer_get_request(Ctl *c, const Target *t, Json **ret, sd_bus_error *error);   /* GetRequest; the error is the caller's */
/* Sends Approve or Reject. fields: an object or NULL; comment may be NULL. The error is the caller's. */
int answer_send(Ctl *c, const char *activity_path, bool approve, const Json *fields, const char *comment, sd_bus_error *error);
