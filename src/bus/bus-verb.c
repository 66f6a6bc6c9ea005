/* What people do to runs and activities. All these methods are alike: read the arguments and the options by a table, see who calls, call
 * one verb of the engine, and be answered after the commit. So there is one handler, and a table with a row for each method; no two methods
 * of the two interfaces share a name. Whether the thing may be done now is the engine's business. */
#include "bus-convert.h"
#include "bus-private.h"
#include "i18n.h"

#define FROM_SIZE_MAX 256u                              /* of the name of an activity or a phase */

typedef struct VerbCall {
        BusObject *object;
        Actor who;
        Json *inputs, *outputs, *fields;                /* owned, like `only` */
        char **only;
        usec_t at, opened_at;
        const char *comment, *from;
        int all_parallel, reload, fresh_workspace, override;
        uint32_t run;                                   /* which was made; 0: none */
        Ticket ticket;
        char *text;                                     /* owned: why not */
} VerbCall;

typedef enum Argument { ARGUMENT_NOTHING, ARGUMENT_TIME /* t */, ARGUMENT_INPUTS /* a{sv} */ } Argument;
typedef struct Verb {
        const char *name;
        Argument argument;
        const BusOption *options;
        size_t n_options;
        int (*call)(Engine *e, VerbCall *c);
} Verb;

static void verb_call_done(VerbCall *c) {
        json_unref(c->inputs);
        json_unref(c->outputs);
        json_unref(c->fields);
        strings_free(c->only);
        free(c->text);
}

/* ---- values of inputs ---- */

static bool has_strings(const Json *values) {
        JSON_OBJECT_FOREACH(values, key, value)
                if (json_type(value) == JSON_STRING)
                        return true;
        return false;
}

static int type_values(Json *values, const InputSpec *specs, size_t n_specs, sd_bus_error *error) {
        _cleanup_free_ char *text = NULL;
        int r = bus_type_values(values, specs, n_specs, &text);
        return r == -EINVAL ? bus_refuse(error, VERDICT_INVALID_INPUT, "%s", strempty(text)) : r;
}

int bus_type_inputs(Bus *b, Json *inputs, const Runbook *runbook, const char *name, sd_bus_error *error) {
        _cleanup_(runbook_unrefp) Runbook *read = NULL;
        _cleanup_diag_ Diagnostics d = {};
        if (!inputs || !has_strings(inputs))
                return 0;
        int r = runbook ? 0 : library_get(b->library, name, &d, &read, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : 0;            /* the engine says it better */
        if (!runbook)
                runbook = read;
        return type_values(inputs, runbook->inputs, runbook->n_inputs, error);
}

/* As the run's runbook declares them, or the one that it is going to follow. */
static int type_inputs(const VerbCall *c, sd_bus_error *error) {
        Run *run;
        int r = engine_get_run(c->object->bus->engine, c->object->run, &run);
        if (r != 0)
                return r < 0 ? r : 0;                   /* the engine says it */
        return bus_type_inputs(c->object->bus, c->inputs, c->reload ? NULL : run->runbook, run->runbook->name, error);
}

/* As the request asks for them: its own fields, or inputs of the run that have no value. */
static int type_fields(const VerbCall *c, sd_bus_error *error) {
        Run *run;
        int r = engine_get_run(c->object->bus->engine, c->object->run, &run);
        const Activity *a = r == 0 ? run_activity(run, c->object->activity) : NULL;
        if (!a || !activity_takes_answer(a))
                return r < 0 ? r : 0;                   /* the engine says it */
        const RequestSpec *spec = activity_request_spec(a);
        return spec ? type_values(c->fields, spec->fields, spec->n_fields, error)
                    : type_values(c->fields, run->runbook->inputs, run->runbook->n_inputs, error);
}

/* ---- the verbs ---- */

#define OPTION_COMMENT {"Comment", OPTION_STRING, offsetof(VerbCall, comment), EVENT_COMMENT_MAX}
#define OPTION_INPUTS {"Inputs", OPTION_VALUES, offsetof(VerbCall, inputs)}
#define OPTION_OVERRIDE {"Override", OPTION_BOOL, offsetof(VerbCall, override)}
#define OPTION_OPENED_AT {"OpenedAt", OPTION_TIME, offsetof(VerbCall, opened_at)}
#define OPTION_RELOAD {"Reload", OPTION_BOOL, offsetof(VerbCall, reload)}

static const BusOption plain_options[] = {OPTION_COMMENT};
static const BusOption retry_options[] = {OPTION_INPUTS, OPTION_RELOAD, OPTION_OPENED_AT, OPTION_COMMENT};
static const BusOption ignore_options[] = {{"Outputs", OPTION_VALUES, offsetof(VerbCall, outputs)}, OPTION_OPENED_AT, OPTION_COMMENT};
static const BusOption abort_options[] = {OPTION_OPENED_AT, OPTION_COMMENT};
static const BusOption approve_options[] = {
        {"Fields", OPTION_VALUES, offsetof(VerbCall, fields)}, OPTION_OVERRIDE, OPTION_OPENED_AT, OPTION_COMMENT,
};
static const BusOption reject_options[] = {OPTION_OVERRIDE, OPTION_OPENED_AT, OPTION_COMMENT};
static const BusOption replay_options[] = {
        {"From", OPTION_STRING, offsetof(VerbCall, from), FROM_SIZE_MAX},
        {"AllParallel", OPTION_BOOL, offsetof(VerbCall, all_parallel)},
        {"FreshWorkspace", OPTION_BOOL, offsetof(VerbCall, fresh_workspace)},
        OPTION_INPUTS, OPTION_RELOAD, OPTION_COMMENT,
};
static const BusOption rerun_options[] = {
        {"Only", OPTION_STRINGS, offsetof(VerbCall, only), RUNBOOK_PHASES_MAX}, OPTION_INPUTS, OPTION_RELOAD, OPTION_COMMENT,
};

#define DEFINE_PLAIN_CALL(verb)                                         \
        static int call_##verb(Engine *e, VerbCall *c) {                \
                return engine_##verb(e, c->object->run, &c->who, c->comment, &c->ticket, &c->text); \
        }
DEFINE_PLAIN_CALL(cancel)
DEFINE_PLAIN_CALL(pause)
DEFINE_PLAIN_CALL(resume)
DEFINE_PLAIN_CALL(start_now)

static int call_reschedule(Engine *e, VerbCall *c) {
        return engine_reschedule(e, c->object->run, &c->who, c->at, c->comment, &c->ticket, &c->text);
}

static int call_set_inputs(Engine *e, VerbCall *c) {
        return engine_set_inputs(e, c->object->run, &c->who, c->inputs, c->comment, &c->ticket, &c->text);
}

static int call_replay(Engine *e, VerbCall *c) {
        ReplayRequest q = {
                .from = c->from,
                .all_parallel = c->all_parallel,
                .reload = c->reload,
                .fresh_workspace = c->fresh_workspace,
                .inputs = c->inputs,
                .comment = c->comment,
        };
        return engine_replay(e, c->object->run, &c->who, &q, &c->run, &c->ticket, &c->text);
}

static int call_rerun(Engine *e, VerbCall *c) {
        RerunRequest q = {.only = c->only, .reload = c->reload, .inputs = c->inputs, .comment = c->comment};
        return engine_rerun(e, c->object->run, &c->who, &q, &c->run, &c->ticket, &c->text);
}

static int call_retry(Engine *e, VerbCall *c) {
        RetryRequest q = {.inputs = c->inputs, .reload = c->reload, .comment = c->comment};
        return engine_retry(e, c->object->run, c->object->activity, &c->who, &q, &c->ticket, &c->text);
}

static int call_ignore(Engine *e, VerbCall *c) {
        return engine_ignore(e, c->object->run, c->object->activity, &c->who, c->outputs, c->comment, &c->ticket, &c->text);
}

static int call_abort(Engine *e, VerbCall *c) {
        return engine_abort(e, c->object->run, c->object->activity, &c->who, c->comment, &c->ticket, &c->text);
}

static int call_approve(Engine *e, VerbCall *c) {
        return engine_answer(e, c->object->run, c->object->activity, &c->who, true, c->fields, c->comment, &c->ticket, &c->text);
}

static int call_reject(Engine *e, VerbCall *c) {
        return engine_answer(e, c->object->run, c->object->activity, &c->who, false, NULL, c->comment, &c->ticket, &c->text);
}

static int call_provide(Engine *e, VerbCall *c) {
        return engine_provide(e, c->object->run, c->object->activity, &c->who, c->fields, c->comment, &c->ticket, &c->text);
}

#define WITH(table) table, ELEMENTSOF(table)
static const Verb verbs[] = {
        {"Cancel", ARGUMENT_NOTHING, WITH(plain_options), call_cancel},
        {"Pause", ARGUMENT_NOTHING, WITH(plain_options), call_pause},
        {"Resume", ARGUMENT_NOTHING, WITH(plain_options), call_resume},
        {"StartNow", ARGUMENT_NOTHING, WITH(plain_options), call_start_now},
        {"Reschedule", ARGUMENT_TIME, WITH(plain_options), call_reschedule},
        {"SetInputs", ARGUMENT_INPUTS, WITH(plain_options), call_set_inputs},
        {"Replay", ARGUMENT_NOTHING, WITH(replay_options), call_replay},
        {"Rerun", ARGUMENT_NOTHING, WITH(rerun_options), call_rerun},
        {"Retry", ARGUMENT_NOTHING, WITH(retry_options), call_retry},
        {"Ignore", ARGUMENT_NOTHING, WITH(ignore_options), call_ignore},
        {"Abort", ARGUMENT_NOTHING, WITH(abort_options), call_abort},
        {"Approve", ARGUMENT_NOTHING, WITH(approve_options), call_approve},
        {"Reject", ARGUMENT_NOTHING, WITH(reject_options), call_reject},
        {"Provide", ARGUMENT_NOTHING, WITH(approve_options), call_provide},
};

static const Verb *find_verb(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, name))
                        return &verbs[i];
        return NULL;
}

/* ---- the handler ---- */

/* What stands before the options. */
static int read_argument(sd_bus_message *m, const Verb *verb, VerbCall *c, sd_bus_error *error) {
        switch (verb->argument) {
        case ARGUMENT_NOTHING:
                return 0;
        case ARGUMENT_TIME:
                return sd_bus_message_read_basic(m, 't', &c->at);
        case ARGUMENT_INPUTS:
                return bus_read_values(m, &c->inputs, error);
        }
        return -EINVAL;
}

static int read_call(sd_bus_message *m, const Verb *verb, VerbCall *c, sd_bus_error *error) {
        int r = read_argument(m, verb, c, error);
        if (r >= 0)
                r = bus_read_options(m, verb->options, verb->n_options, c, error);
        if (r >= 0)
                r = bus_check_only(c->only, error);
        if (r >= 0)
                r = bus_actor(c->object->bus, m, &c->who, error);
        if (r < 0)
                return r;
        c->who.override = c->override;                  /* which bus-authorize.c has seen */
        c->who.opened_at = c->opened_at;
        if (c->fields)
                r = type_fields(c, error);
        return r < 0 || !c->inputs ? r : type_inputs(c, error);
}

int bus_method_verb(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(verb_call_done) VerbCall c = {.object = userdata};
        const Verb *verb = find_verb(sd_bus_message_get_member(m));
        assert(verb);
        int r = read_call(m, verb, &c, error);
        if (r < 0)
                return r;
        r = verb->call(c.object->bus->engine, &c);
        return bus_finish(c.object->bus, m, error, r, c.text, c.ticket, c.run);
}
