/* Replay and rerun: a new run of one that has ended. The original is only read: what it did, what it was given and what its workspace
 * holds; which of that the new run takes over is the model's to say (replay.c). */
#include "engine-private.h"

#include <sys/stat.h>

#include "i18n.h"
#include "replay.h"

/* ---- the original ---- */

/* An ended run; valid until control returns to the event loop. */
static int find_original(Engine *e, uint32_t id, Run **ret, char **ret_message) {
        EngineRun *er = engine_run(e, id);
        int r;

        if (er && (!er->run || !run_state_is_terminal(er->run->state)))
                return engine_refuse(VERDICT_WRONG_STATE, ret_message,
                                   _("Run %u has not ended; see what it waits for with: runbookctl status %u"), id, id);
        r = engine_get_run(e, id, ret);
        return r != VERDICT_NO_SUCH_RUN
                       ? r
                       : engine_refuse(r, ret_message, _("There is no run %u; “runbookctl list” shows which there are"), id);
}

static int take_created(void *userdata, const RunRow *row) {
        *(usec_t *) userdata = row->created_at;
        return 0;
}

/* When was the first of the runs made that this one is a replay of? One that is gone can't be asked: then the original itself. */
static int first_created(Engine *e, const Run *original, usec_t *ret) {
        usec_t at = original->created_at;
        int r = original->root_run != original->id ? store_get_run(e->store, original->root_run, take_created, &at) : 0;

        if (r < 0 && r != -ENOENT)
                return r;
        *ret = at;
        return 0;
}

int engine_replay_until(Engine *e, const Run *original, usec_t *ret) {
        usec_t at;
        int r = e->retry_window == USEC_INFINITY ? 0 : first_created(e, original, &at);

        if (r >= 0)
                *ret = e->retry_window == USEC_INFINITY ? USEC_INFINITY : usec_add(at, e->retry_window);
        return r;
}

static int check_age(Engine *e, const Run *original, char **ret_message) {
        _cleanup_free_ char *window = NULL, *created = NULL;
        usec_t until;
        int r = engine_replay_until(e, original, &until);

        if (r < 0)
                return r;
        if (until >= now_usec(CLOCK_REALTIME))
                return VERDICT_OK;
        window = format_timespan(e->retry_window, USEC_PER_SEC);
        created = format_timestamp(until - e->retry_window);     /* it has passed, so nothing was cut off in the sum */
        if (!window || !created)
                return -ENOMEM;
        return engine_refuse(VERDICT_TOO_OLD, ret_message,
                           _("Run %u is replayed no more: its first run was made at %s, more than %s ago (RetryWindowSec=); "
                             "a new run of all of it: runbookctl rerun %u"),
                           original->id, created, window, original->id);
}

/* What the new run follows: the definition that the original ended with, or what is read now. */
static int find_definition(Engine *e, const Run *original, bool reload, Runbook **ret, char **ret_message) {
        if (reload)
                return start_get_runbook(e, original->runbook->name, ret, ret_message);
        if (original->runbook->n_phases == 0)           /* it could not be read, and stands in for itself */
                return engine_refuse(VERDICT_INVALID_RUNBOOK, ret_message,
                                   _("The definition of run %u can't be read; use the one of today: --reload"), original->id);
        *ret = runbook_ref(original->runbook);
        return VERDICT_OK;
}

/* Whose workspace the new run's begins as: the original's, or, where that never started, what its own was to be a copy of. 0: there is
 * none. */
static int find_workspace(const Engine *e, const Run *original, uint32_t *ret) {
        uint32_t from = original->workspace_from > 0 && original->started_at == 0 ? original->workspace_from : original->id;
        _cleanup_free_ char *path = exec_workspace_path(e->state_directory, from);
        struct stat st;

        if (!path)
                return -ENOMEM;
        *ret = from > 0 && lstat(path, &st) >= 0 && S_ISDIR(st.st_mode) ? from : 0;
        return 0;
}

/* ---- the new run ---- */

typedef struct Again {
        const char *trigger;
        const char *comment;
        bool reload, copies_workspace;
        char **only;
} Again;

static int begin(Engine *e, uint32_t id, const Again *a, Run **ret_original, Runbook **ret_runbook, char **ret_message) {
        int r = engine_check_storage(e, ret_message);

        if (r == VERDICT_OK)
                r = engine_check_comment(a->comment, ret_message);
        if (r == VERDICT_OK)
                r = start_check_room(e, ret_message);
        if (r == VERDICT_OK)
                r = find_original(e, id, ret_original, ret_message);
        return r == VERDICT_OK ? find_definition(e, *ret_original, a->reload, ret_runbook, ret_message) : r;
}

static int create(Engine *e, const Run *original, Runbook *rb, const ReplayPlan *p, const Again *a, const Actor *who, uint32_t *ret_run,
                  Ticket *ret) {
        RunOptions options = {
                .inputs = p->inputs,
                .labels = original->labels,
                .trigger = a->trigger,
                .payload = original->payload,
                .comment = a->comment,
                .only = p->only ? p->only : a->only,
                .replay_of = original->id,
                .root_run = original->root_run,
                .carried = p->carried,
                .n_carried = p->n_carried,
        };
        int r = a->copies_workspace ? find_workspace(e, original, &options.workspace_from) : 0;

        if (r >= 0)
                r = start_create(e, rb, &options, who, false, ret_run);
        if (e->turn->error < 0)
                (void) turn_arm(e);
        if (r < 0)
                return r;
        *ret = ++e->last_ticket;
        return VERDICT_OK;
}

int engine_replay(Engine *e, uint32_t run, const Actor *who, const ReplayRequest *q, uint32_t *ret_run, Ticket *ret, char **ret_message) {
        const Again a = { .trigger = "replay", .comment = q->comment, .reload = q->reload, .copies_workspace = !q->fresh_workspace };
        _cleanup_(replay_plan_done) ReplayPlan p = { 0 };
        _cleanup_(runbook_unrefp) Runbook *rb = NULL;
        Run *original;
        int r = begin(e, run, &a, &original, &rb, ret_message);

        if (r == VERDICT_OK)
                r = check_age(e, original, ret_message);
        if (r == VERDICT_OK)
                r = engine_verdict(replay_plan(original, rb, q->from, q->all_parallel, q->inputs, &p, ret_message));
        return r == VERDICT_OK ? create(e, original, rb, &p, &a, who, ret_run, ret) : r;
}

int engine_rerun(Engine *e, uint32_t run, const Actor *who, const RerunRequest *q, uint32_t *ret_run, Ticket *ret, char **ret_message) {
        const Again a = { .trigger = "rerun", .comment = q->comment, .reload = q->reload, .only = q->only };
        _cleanup_(replay_plan_done) ReplayPlan p = { 0 };
        _cleanup_(runbook_unrefp) Runbook *rb = NULL;
        Run *original;
        int r = begin(e, run, &a, &original, &rb, ret_message);

        if (r == VERDICT_OK)
                r = engine_verdict(rerun_plan(original, rb, q->only, q->inputs, &p, ret_message));
        return r == VERDICT_OK ? create(e, original, rb, &p, &a, who, ret_run, ret) : r;
}
