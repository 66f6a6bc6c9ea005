/* Answers after commits. A method that changed something has a ticket of the engine; its message waits here, in ticket order, until the
 * engine says how the commit went. The calls that a caller has open are counted with the caller, who is refused past a limit. */
#include "bus-convert.h"
#include "bus-private.h"
#include "i18n.h"
#include "log.h"

struct BusReply {
        Ticket ticket;
        sd_bus_message *m;
        Peer *peer;                                     /* held */
        uint32_t run;
        LIST_FIELDS(BusReply, queue);
};

static int answer(sd_bus_message *m, uint32_t run, int result) {
        if (result < 0) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                (void) bus_refuse(
                        &error, VERDICT_STORAGE_UNAVAILABLE,
                        _("This could not be stored (%s), so it was not done. See that the disk is not full or broken, then try again."),
                        strerror(-result));
                return sd_bus_reply_method_error(m, &error);
        }
        if (!run)
                return sd_bus_reply_method_return(m, NULL);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = bus_append_run(reply, run);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int bus_append_run(sd_bus_message *m, uint32_t run) {
        char path[BUS_RUN_PATH_SIZE];
        bus_run_path(run, path);
        int r = sd_bus_message_append_basic(m, 'u', &run);
        return r < 0 ? r : sd_bus_message_append_basic(m, 'o', path);
}

static void drop_first(Bus *b) {
        BusReply *y = b->replies.first;
        QUEUE_REMOVE(queue, &b->replies, y);
        peer_release(y->peer);
        sd_bus_message_unref(y->m);
        free(y);
}

int bus_finish(Bus *b, sd_bus_message *m, sd_bus_error *error, int r, const char *text, Ticket ticket, uint32_t run) {
        if (r != 0)
                return bus_verdict(error, r, text);
        if (ticket <= b->committed) {                   /* nothing was changed, or it was committed before the verb returned */
                r = answer(m, run, ticket == 0 ? 0 : b->committed_result);
                return r < 0 ? r : 1;
        }
        Peer *peer = peers_find(b->peers, m);
        BusReply *y = peer ? calloc(1, sizeof(*y)) : NULL;
        if (!y)
                return -ENOMEM;
        *y = (BusReply) {.ticket = ticket, .m = sd_bus_message_ref(m), .peer = peer, .run = run};
        peer_hold(peer);
        QUEUE_PUSH(queue, &b->replies, y);
        return 1;
}

void bus_replies_decide(Bus *b, Ticket ticket, int result) {
        b->committed = ticket;
        b->committed_result = result;
        while (b->replies.first && b->replies.first->ticket <= ticket) {
                int r = answer(b->replies.first->m, b->replies.first->run, result);
                if (r < 0)
                        log_debug_errno(r, "An answer could not be sent: %m");
                drop_first(b);
        }
}

void bus_replies_drop(Bus *b) {
        while (b->replies.first)
                drop_first(b);
}

int bus_reply_json(sd_bus_message *m, const Json *j, sd_bus_error *error) {
        _cleanup_free_ char *text = json_to_string(j, false);
        return bus_reply_text(m, text, error);
}

int bus_reply_text(sd_bus_message *m, const char *text, sd_bus_error *error) {
        if (!text)
                return -ENOMEM;
        if (strlen(text) > REPLY_SIZE_MAX)
                return bus_refuse(error, VERDICT_TOO_LARGE,
                                  _("The description is larger than %u bytes; ask for the activities one by one."), REPLY_SIZE_MAX);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = bus_append_text(reply, text);
        return r < 0 ? r : sd_bus_message_send(reply);
}
