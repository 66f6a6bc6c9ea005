/* Shared by the files of src/bus. */
#pragma once

#include "bus-error.h"
#include "bus-names.h"
#include "bus-path.h"
#include "bus-peer.h"
#include "bus-polkit.h"
#include "bus.h"
#include "hashmap.h"
#include "list.h"

#define REPLY_SIZE_MAX (8u * 1024u * 1024u)             /* of any message that we send */
#define PAGE_SIZE_MAX (4u * 1024u * 1024u)              /* of a list or a page of one */

typedef struct BusReply BusReply;
typedef struct AuthCall AuthCall;

/* What `find` has found, for the handler that is called next. Only names: the run is looked up by each handler, after it has committed what
 * waits. */
typedef struct BusObject {
        Bus *bus;
        uint32_t run;
        char activity[BUS_ACTIVITY_NAME_SIZE];          /* "" for a run */
} BusObject;

#define BUS_SLOTS_MAX 8

struct Bus {
        Engine *engine;
        Library *library;
        bool user_mode;
        int (*reload)(void *userdata, char **ret_error);
        void *reload_userdata;
        sd_bus *connection;                             /* NULL while there is none */
        sd_bus_slot *slots[BUS_SLOTS_MAX];
        size_t n_slots;
        Peers *peers;                                   /* of this connection */
        Polkit *polkit;                                 /* likewise */
        QUEUE_HEAD(AuthCall) asking;                    /* calls that wait for polkit */
        AuthCall *passed;                               /* what polkit has said of the call that is being handled; NULL: it was not asked */
        sd_bus_message *authorized;                     /* that call; only to be compared with */
        QUEUE_HEAD(BusReply) replies;
        Ticket committed;                               /* the last ticket that was decided … */
        int committed_result;                           /* … and how */
        BusObject object;
        IntMap *shots;                                  /* run number → RunShot */
        uint32_t n_active, n_on_hold, n_dead_letter;    /* as last told */
};

/* bus-authorize.c */
#define AUTH_UID_MAX 32u                                /* calls of one uid that wait for polkit */
#define AUTH_CALLS_MAX 256u                             /* of all */
typedef enum Permission {
        PERMISSION_NOT_NEEDED,                          /* nor is asked who calls */
        PERMISSION_EVERYBODY,
        PERMISSION_OWNER,                               /* root; the owner of the bus in user mode */
        PERMISSION_START, PERMISSION_OPERATE, PERMISSION_ANSWER, PERMISSION_READ, PERMISSION_MANAGE, /* actions of polkit */
        _PERMISSION_MAX,
} Permission;
/* May this method call be handled? 1: yes, now; 0: it waits, and will come again; negative: no, *error is set. */
int bus_authorize(Bus *b, sd_bus_message *m, sd_bus_error *error);
void bus_authorize_drop(Bus *b);                        /* what waits, when the connection goes */
/* For lists, whose rules have asked: may the caller do this with runs of that runbook? */
bool bus_caller_may(const Bus *b, sd_bus_message *m, Permission p, const char *runbook);
/* Would an answer of the caller of GetRequest be taken, or a decision? */
int bus_caller_can_answer(Bus *b, sd_bus_message *m, const Activity *a, bool *ret);
/* The action that a method needs, or "everybody" or "root"; NULL: there is no such method. For a test. */
const char *bus_method_permission(const char *interface, const char *member);

/* bus-reply.c */
/* The end of every acting method: a verdict becomes an error; a ticket makes the message wait for its commit; without one it is answered
 * now. run: the answer is (u o), else it is empty. Returns what the handler returns. */
int bus_finish(Bus *b, sd_bus_message *m, sd_bus_error *error, int r, const char *text, Ticket ticket, uint32_t run);
void bus_replies_decide(Bus *b, Ticket ticket, int result);
void bus_replies_drop(Bus *b);
int bus_append_run(sd_bus_message *m, uint32_t run);    /* u o */
int bus_reply_json(sd_bus_message *m, const Json *j, sd_bus_error *error);      /* as text; TooLarge over REPLY_SIZE_MAX */
int bus_reply_text(sd_bus_message *m, const char *text, sd_bus_error *error);   /* the same of what is text already; NULL: out of memory */

/* bus-verb.c */
/* Every method that moves a run or an activity and is in the table there. */
int bus_method_verb(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* Text for inputs of other types becomes what it stands for. runbook: NULL: the one of this name, as it is read now. A failure has *error
 * set. */
int bus_type_inputs(Bus *b, Json *inputs, const Runbook *runbook, const char *name, sd_bus_error *error);

/* bus.c */
/* For reads: commits what waits, then looks the object up. Both are valid until control returns to the event loop. */
int bus_read_run(Bus *b, uint32_t id, Run **ret, sd_bus_error *error);
int bus_read_object(BusObject *o, Run **ret_run, Activity **ret_activity, sd_bus_error *error);
/* Who sent the call that is being handled, as the engine wants it. */
int bus_actor(Bus *b, sd_bus_message *m, Actor *ret, sd_bus_error *error);

/* bus-queue.c */
int bus_shots_new(Bus *b);
void bus_shots_free(Bus *b);
int bus_shot_run(Bus *b, const Run *run);
void bus_note_read(Bus *b, const Run *run);
extern const Observer bus_observer;

/* One row per property, for getters and for PropertiesChanged. `append` appends the value, without a variant around it. */
typedef struct BusProperty {
        const char *name, *signature;
        int (*append)(sd_bus_message *m, const void *object);   /* a Run, or an Activity */
} BusProperty;

/* The changing ones come first, in this order, so that a bit set can name them. */
typedef enum RunChange {
        RUN_CHANGE_STATE,
        RUN_CHANGE_STATUS_TEXT,
        RUN_CHANGE_PENDING_REQUESTS,
        RUN_CHANGE_HAD_ERRORS,
        RUN_CHANGE_SCHEDULED_FOR,
        RUN_CHANGE_STARTED_AT,
        RUN_CHANGE_FINISHED_AT,
        RUN_CHANGE_NEXT_RETRY_AT,
        RUN_CHANGE_ATTEMPT,
        RUN_CHANGE_PHASES,
        _RUN_CHANGE_MAX
} RunChange;
typedef enum ActivityChange {
        ACTIVITY_CHANGE_STATE,
        ACTIVITY_CHANGE_WAITING_FOR,
        ACTIVITY_CHANGE_TITLE,
        ACTIVITY_CHANGE_APPROVERS,
        ACTIVITY_CHANGE_DEADLINE,
        ACTIVITY_CHANGE_ATTEMPT,
        ACTIVITY_CHANGE_NEXT_RETRY_AT,
        _ACTIVITY_CHANGE_MAX
} ActivityChange;

/* bus-manager.c, bus-run.c, bus-activity.c: the tables, and what adds them to a connection. */
extern const BusProperty run_properties[], activity_properties[];
int bus_add_manager(Bus *b);
int bus_add_runs(Bus *b);
int bus_add_activities(Bus *b);
int bus_keep_slot(Bus *b, int r, sd_bus_slot *slot);    /* remembers the slot of an sd_bus_add_… that returned r */

/* bus-request.c: who may answer, and what a request says in public. */
const RequestSpec *activity_request_spec(const Activity *a); /* of the open request, or NULL */
const char *activity_request_kind(const Activity *a);   /* "" where none is open */
const char *activity_request_message(const Activity *a); /* for those who may read: of a decision, the error's; NULL: none */
bool activity_takes_answer(const Activity *a);          /* an approval or an input is open, not a decision */
typedef struct Principals {
        const Principal *items;
        size_t n;
} Principals;
Principals activity_approvers(const Activity *a);       /* of what is open: its own, or the owners of the runbook; of a decision none */
int append_approvers(sd_bus_message *m, const Activity *a);
typedef enum PeerRight {
        RIGHT_NONE,
        RIGHT_OF_APPROVERS,                             /* he is named as one */
        RIGHT_OF_OPERATORS,                             /* nobody is named, or it is a decision: whoever may operate */
} PeerRight;
PeerRight peer_right(Peer *p, const Activity *a);       /* to answer what is open, before polkit and the run have a say */
bool peer_is_told(Peer *p, const Activity *a);          /* is named as an approver; of a decision as an owner */
