/* The open requests that this person can answer, as runbookd lists them. */
#pragma once

#include <systemd/sd-bus.h>

#include "list.h"
#include "notify.h"
#include "text.h"

#define REQUESTS_MAX 1000u                              /* that are kept; more are only counted */

typedef enum RequestState {
        REQUEST_LISTED,                                 /* nothing more is known of it; not shown */
        REQUEST_ASKED,                                  /* for its details */
        REQUEST_SHOWN,
        REQUEST_ANSWERED,                               /* by this person; others have to, too */
        REQUEST_REFUSED,                                /* this person can't answer it after all */
} RequestState;

typedef struct Request {
        LIST_FIELDS(struct Request, requests);
        void *owner;                                    /* for callbacks */
        char *path;
        RequestInfo info;
        RequestState state;
        sd_bus_slot *details_slot, *name_slot;          /* calls that are being waited for */
        Shown *shown;                                   /* may still be there while details are asked for anew */
        bool listed;                                    /* seen in the list that is being read */
        bool answering;
} Request;

typedef struct Requests {
        Request *first;
        unsigned n;
        size_t n_more;                                  /* of the last list, beyond REQUESTS_MAX */
} Requests;

Request *requests_find(Requests *rs, const char *path);
void requests_drop(Requests *rs, Request *r);           /* takes it off the screen, too */
void requests_done(Requests *rs);

/* One entry of ListRequests, borrowed from the message. */
typedef struct Entry {
        uint32_t run;
        const char *path, *activity, *kind, *title, *message;
        uint64_t deadline;
} Entry;
/* Reads a(uossssast) and calls `take` for each entry whose approvers, if it names any, this person is among. 0 or negative errno. */
typedef struct Who Who;
int requests_read(sd_bus_message *m, const Who *who, int (*take)(void *userdata, const Entry *e), void *userdata);
/* Reads the arguments of InputRequired up to its approvers. 1: this person is among them, or none are named; 0: not; or negative errno. */
int requests_read_signal(sd_bus_message *m, const Who *who, const char **ret_path);
/* Puts a new one in, or takes over what has changed. -ENOSPC: there are too many; -EINVAL: of a kind that isn't known. *ret_changed: it
 * is another request than the one of this path that was known. */
int requests_take(Requests *rs, const Entry *e, void *owner, Request **ret, bool *ret_changed);
/* Takes in what GetRequest said. -EBADMSG: it makes no sense. *ret_mine: the daemon would take an answer of this person, as far as it
 * says. */
int request_take_details(Request *r, const char *json, bool *ret_mine);
