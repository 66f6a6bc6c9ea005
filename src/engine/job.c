/* A job is one running step as the engine sees it: prepared with the executor while its intent is written, launched when that is on
 * disk, stopped when the run says so, and then the fact of its end, which is kept until it is on disk too. A run may be dropped and
 * folded anew under it at any time.
 *
 * When the machine can't start a process now (EAGAIN, ENOMEM, EMFILE, ENFILE) the step stays as it is, started, and is tried again
 * after 100 ms, doubling, five times in all; then the engine gives the activity up. What stands in the journal of such a step names no
 * process: after a death of the daemon the executor finds what is left of it by its environment only. */
#include "engine-private.h"

#include <stdio.h>

#include "fd-util.h"
#include "i18n.h"

bool errno_is_transient(int error) {
        return error == -EAGAIN || error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

static void command_done(Job *j) {
        strv_free(TAKE_PTR(j->argv));
        strv_free(TAKE_PTR(j->env));
        free(TAKE_PTR(j->working_directory));
}

/* Which of the run's definitions this stands in: it may go on with another one than its attempt was started with. */
static Runbook *runbook_of(const Run *run, const ActivityDef *def) {
        for (size_t i = run->n_definitions; i > 0; i--) {
                Runbook *rb = run->definitions[i - 1];

                if (runbook_activity(rb, def->name) == def)
                        return rb;
        }
        return run->runbook;
}

int job_new(Engine *e, EngineRun *er, Effect *f, Job **ret) {
        const Attempt *t = activity_attempt(f->activity);
        Job *j = calloc(1, sizeof *j);

        if (!j)
                return -ENOMEM;
        *j = (Job) {
                .engine = e,
                .run = er,
                .activity = f->activity,
                .runbook = runbook_ref(runbook_of(er->run, t->def)),
                .def = t->def,
                .step = f->step,
                .attempt = t->number,
                .argv = TAKE_PTR(f->argv),
                .env = TAKE_PTR(f->env),
                .working_directory = TAKE_PTR(f->working_directory),
        };
        LIST_PREPEND(jobs, er->jobs, j);
        LIST_PREPEND(all, e->jobs, j);
        f->activity->job = j;
        *ret = j;
        return 0;
}

Job *job_free(Job *j) {
        if (!j)
                return NULL;
        if (j->activity && j->activity->job == j)
                j->activity->job = NULL;
        if (j->run)
                LIST_REMOVE(jobs, j->run->jobs, j);
        LIST_REMOVE(all, j->engine->jobs, j);
        sd_event_source_disable_unref(j->retry);
        command_done(j);
        step_end_done(&j->end);
        free(j->given_up_reason);
        runbook_unref(j->runbook);
        free(j);
        return NULL;
}

/* The fact is there: apply it now, or keep it for when facts may be fed again. */
static void job_ended(Job *j, JobState state) {
        Engine *e = j->engine;

        j->state = state;
        j->retry = sd_event_source_disable_unref(j->retry);
        command_done(j);
        j->ended_at = engine_now(e);
        scheduler_release(&e->scheduler);
        if (!j->run) {
                job_free(j);
                engine_check_stopped(e);
                return;
        }
        /* A list of many steps none of which can be executed is spread over turns. */
        if (e->storage == STORAGE_FAILING || !j->run->run || e->settling || e->turn->outcome.n_events >= 2 * TURN_EVENTS_MAX) {
                engine_mark_stale(e, j->run);
                engine_check_stopped(e);
                return;
        }
        (void) turn_feed_end(e, j);
}

static void on_done(void *userdata, ExecJob *exec, const ExecResult *result) {
        Job *j = userdata;
        Engine *e = j->engine;
        const StepDef *def = j->run ? &j->def->steps[j->step] : NULL;
        bool stopping = e->stopping && !j->stop_wanted;

        j->exec = NULL;
        e->n_running--;
        if (j->activity)
                pace_step_ended(&e->pace, now_usec(CLOCK_MONOTONIC));
        /* Out of memory here loses the details, not the end. */
        if (def && step_end_from_result(def, result, now_usec(CLOCK_REALTIME), stopping, &j->end) < 0)
                j->end = (StepEnd) { .state = STEP_FAILED, .exit_code = -1, .log_end = result->log_end };
        job_ended(j, JOB_ENDED);
}

static void step_key(const StepDef *d, char *buf, size_t size) {
        (void) snprintf(buf, size, "%s%u", strempty(step_list_to_string(d->list)), d->number);
}

/* Once while the daemon lives: what was there before it may have been changed by a step. */
static int make_workspace(Engine *e, EngineRun *er) {
        int r = er->workspace_made ? 0 : exec_make_workspace(e->state_directory, er->id);

        if (r == -EEXIST)
                r = 0;
        if (r >= 0 && !er->workspace_made && er->run && er->run->payload)
                r = exec_write_trigger(e->state_directory, er->id, er->run->payload);
        er->workspace_made = r >= 0;
        return r;
}

static int executor_prepare(Job *j) {
        Engine *e = j->engine;
        const StepDef *d = &j->def->steps[j->step];
        char key[32];
        StepCommand c = {
                .run = j->run->id,
                .runbook = j->runbook->name,
                .activity = j->def->name,
                .step = d->id,
                .step_key = key,
                .attempt = j->attempt,
                .argv = j->argv,
                .env = j->env,
                .working_directory = j->working_directory,
                .capture_stdout = d->needs_stdout,
        };
        int r;

        step_key(d, key, sizeof key);
        r = make_workspace(e, j->run);
        return r < 0 ? r : e->executor->ops->prepare(e->executor, &c, on_done, j, &j->exec);
}

static int arm_retry(Job *j);

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        Job *j = userdata;
        int r;

        j->retry = sd_event_source_disable_unref(j->retry);
        if (j->engine->storage == STORAGE_FAILING)      /* nothing starts now */
                return arm_retry(j);
        r = job_prepare(j);
        if (r == 0)
                job_launch(j);                          /* the intent is on disk since the first try */
        else if (r < 0)
                job_fail_start(j, r);
        return turn_arm(j->engine);
}

static int arm_retry(Job *j) {
        Engine *e = j->engine;
        usec_t wait = PREPARE_BACKOFF << (MAX(j->n_tries, 1u) - 1);
        int r;

        r = sd_event_add_time_relative(e->event, &j->retry, CLOCK_MONOTONIC, wait, USEC_PER_MSEC, on_retry, j);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(j->retry, "prepare-again");
        return sd_event_source_set_exit_on_failure(j->retry, true);
}

static void fail_start(Job *j, int error) {
        _cleanup_free_ char *message = xasprintf(_("%s could not be started"), j->argv && j->argv[0] ? j->argv[0] : "?");
        const ExecResult result = { .outcome = EXEC_START_FAILED, .status = -error, .message = message };
        const StepDef *def = &j->def->steps[j->step];

        if (step_end_from_result(def, &result, now_usec(CLOCK_REALTIME), false, &j->end) < 0)
                j->end = (StepEnd) { .state = STEP_FAILED, .exit_code = -1 };
}

static void give_up(Job *j, int error) {
        fail_start(j, error);
        j->given_up_reason = xasprintf(_("no process could be started for activity %s, tried %u times: %s"),
                                       j->def->name, j->n_tries, strerror(-error));
        job_ended(j, JOB_GIVEN_UP);
}

int job_prepare(Job *j) {
        int r = executor_prepare(j);

        j->n_tries++;
        if (r >= 0) {
                j->state = JOB_PREPARED;
                command_done(j);
                return 0;
        }
        if (!errno_is_transient(r))
                return r;
        if (j->n_tries < PREPARE_TRIES_MAX && arm_retry(j) >= 0)
                return 1;
        give_up(j, r);
        return 1;
}

void job_await_retry(Job *j) {
        int r;

        if (j->retry)
                return;
        r = arm_retry(j);
        if (r < 0)
                give_up(j, r);
}

/* What can't be executed is the step's own fault. */
void job_fail_start(Job *j, int error) {
        fail_start(j, error);
        job_ended(j, JOB_ENDED);
}

void job_launch(Job *j) {
        j->state = JOB_RUNNING;
        j->engine->n_running++;
        j->engine->executor->ops->launch(j->exec);
}

/* After a fold the run may ask again for what it had asked before: only its second wish, or a first one, reaches the executor. */
void job_stop(Job *j, bool again) {
        unsigned wanted = again ? 2 : 1;

        j->stop_wanted = true;
        if (j->state == JOB_STARTING) {
                if (step_end_interrupted(now_usec(CLOCK_REALTIME), &j->end) >= 0)
                        j->end.interrupted = j->end.clean = false;
                job_ended(j, JOB_ENDED);
                return;
        }
        for (; j->exec && j->n_stops < wanted; j->n_stops++)
                j->engine->executor->ops->stop(j->exec);
}

void job_stop_for_shutdown(Job *j) {
        if (j->state == JOB_STARTING) {
                (void) step_end_interrupted(now_usec(CLOCK_REALTIME), &j->end);
                job_ended(j, JOB_ENDED);
        } else if (j->state == JOB_RUNNING && j->n_stops == 0) {
                j->n_stops = 1;
                j->engine->executor->ops->stop(j->exec);
        }
}
