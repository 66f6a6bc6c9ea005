/* Decisions about a held failure, and the fix that may come with them: other inputs, another definition. Each verb checks everything first
 * and then appends its events, the definition before the inputs, because those are checked against it. */
#include "run-private.h"

#include "definition-change.h"
#include "fd-util.h"
#include "i18n.h"

/* ---- is there a decision to take? ---- */

static int not_held(const Activity *a, char **ret_error) {
        const Run *r = a->run;
        const char *name = a->def->name;
        bool decided = a->resolution != RESOLUTION_NONE && !a->request; /* and not held up by an input since */

        if (a->state == ACTIVITY_SUCCESS)
                return verb_refuse(ret_error, -EEXIST, _("Activity %s of run %u has succeeded; to do it again: runbookctl rerun %u --only %s"), name,
                                   r->id, r->id, activity_phase(a)->def->name);
        if (decided)
                return verb_refuse(ret_error, -EALREADY, _("Somebody has decided about activity %s of run %u already (%s)"), name, r->id,
                                   resolution_to_string(a->resolution));
        if (run_state_is_terminal(r->state))
                return verb_refuse(ret_error, -ESTALE, _("Run %u has ended (%s); to go on from where it failed: runbookctl replay %u"), r->id,
                                   run_state_to_string(r->state), r->id);
        return verb_refuse(ret_error, -ESTALE, _("Activity %s of run %u does not wait for a decision about a failure (it is %s); see: runbookctl explain %u"),
                           name, r->id, activity_state_to_string(a->state), r->id);
}

static int check_held(const Activity *a, const Actor *who, char **ret_error) {
        return activity_waiting_for(a) == WAITING_DECISION ? check_same_request(a, who, ret_error) : not_held(a, ret_error);
}

static int decide(Activity *a, const Stamp *now, const Actor *who, Resolution what, Json *outputs, const char *comment, Outcome *o) {
        static const char *const hows[_RESOLUTION_MAX] = {
                [RESOLUTION_RETRY] = "retried", [RESOLUTION_IGNORE] = "ignored", [RESOLUTION_ABORT] = "aborted",
        };
        Event *e = outcome_event_by(o, a->run, EVENT_ACTIVITY_DECIDED, now, who);
        int k;

        if (!e)
                return -ENOMEM;
        e->activity = (int) a->def->index;
        e->attempt = (uint32_t) a->n_attempts;
        e->outputs = json_ref(outputs);
        e->data = json_new_object();
        if (!e->data || json_set_string(e->data, "action", resolution_to_string(what)) < 0 || event_set_comment(e, comment) < 0) {
                event_free(e);
                return -ENOMEM;
        }
        k = outcome_apply(o, a->run, e);
        return k < 0 ? k : outcome_resolved(o, a, hows[what], who->uid);
}

/* ---- inputs ---- */

static int check_not_fixed(const Run *r, const Runbook *rb, const Json *given, const Json *checked, char **ret_error) {
        const char *name = run_changes_fixed_input(r, rb, given, checked);

        if (!name)
                return 0;
        return verb_refuse(ret_error, -EROFS,
                           _("The input “%s” is fixed: it can't be changed once the run has begun; a new run may have another value: "
                             "runbookctl rerun %u -i %s=VALUE"), name, r->id, name);
}

static int check_inputs(const Run *r, const Runbook *rb, const Json *given, Json **ret, char **ret_error) {
        _cleanup_json_ Json *all = NULL, *checked = NULL;
        int k = run_merge_inputs(r, rb, given, &all);

        if (k >= 0)
                k = inputs_check(rb->inputs, rb->n_inputs, all, &checked, NULL, ret_error);
        if (k >= 0)
                k = check_not_fixed(r, rb, given, checked, ret_error);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(checked);
        return 0;
}

/* {NAME: {old, new}} of those that differ. */
static int input_changes(const Run *r, const Json *inputs, Json **ret) {
        _cleanup_json_ Json *changes = json_new_object();

        if (!changes)
                return -ENOMEM;
        JSON_OBJECT_FOREACH(inputs, name, value) {
                Json *old = json_get(r->inputs, name);
                _cleanup_json_ Json *change = NULL;

                if (json_has(r->inputs, name) && json_equal(old, value))
                        continue;
                change = json_new_object();
                if (!change || json_set(change, "old", json_ref(old)) < 0 || json_set(change, "new", json_ref(value)) < 0 ||
                    json_set(changes, name, TAKE_PTR(change)) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(changes);
        return 0;
}

static bool request_wants_more(const Request *q, const Run *r, const Json *changes) {
        for (size_t i = 0; i < json_length(q->wanted); i++) {
                const char *name = json_string(json_at(q->wanted, i));

                if (input_is_missing(r, name) && !json_has(changes, name))
                        return true;
        }
        return false;
}

/* Who waited for what has a value now waits no more. */
static int note_released(Run *r, const Json *changes, const Actor *who, Outcome *o) {
        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                Activity *a = r->activities[i];
                int k;

                if (!a->request || !a->request->wanted || request_wants_more(a->request, r, changes))
                        continue;
                k = outcome_resolved(o, a, "provided", who->uid);
                if (k < 0)
                        return k;
        }
        return 0;
}

static int change_inputs(Run *r, const Stamp *now, const Actor *who, const Json *inputs, const char *comment, Outcome *o) {
        _cleanup_json_ Json *changes = NULL;
        Event *e;
        int k = input_changes(r, inputs, &changes);

        if (k < 0 || json_length(changes) == 0)
                return k;
        k = note_released(r, changes, who, o);
        if (k < 0)
                return k;
        e = outcome_event_by(o, r, EVENT_INPUTS_CHANGED, now, who);
        if (!e)
                return -ENOMEM;
        e->data = json_new_object();
        if (!e->data || json_set(e->data, "changes", TAKE_PTR(changes)) < 0 || event_set_comment(e, comment) < 0 ||
            (who->override && json_set_bool(e->data, "override", true) < 0)) {
                event_free(e);
                return -ENOMEM;
        }
        return outcome_apply(o, r, e);
}

/* ---- the definition ---- */

static Frozen phase_frozen(const Phase *p) {
        return phase_state_is_terminal(p->state) ? FROZEN_ALL : p->state == PHASE_PENDING && !p->not_selected ? FROZEN_NOT : FROZEN_PLACE;
}

/* What waits for a decision may do something else from now on; what has begun in any other way may not. */
static Frozen activity_frozen(const Activity *a) {
        if (activity_waiting_for(a) == WAITING_DECISION || (a->state == ACTIVITY_PENDING && a->resolution != RESOLUTION_NONE))
                return FROZEN_PLACE;
        if (a->state == ACTIVITY_PENDING)
                return a->n_attempts > 0 || a->reused_from > 0 || a->reused_steps ? FROZEN_PLACE : FROZEN_NOT;
        return FROZEN_ALL;
}

static int check_definition(const Run *r, const Runbook *rb, char **ret_error) {
        _cleanup_free_ Frozen *phases = calloc(MAX(r->runbook->n_phases, 1u), sizeof *phases);
        _cleanup_free_ Frozen *activities = calloc(MAX(r->runbook->n_activities, 1u), sizeof *activities);
        Freeze f = { .phases = phases, .activities = activities };

        if (!phases || !activities)
                return -ENOMEM;
        for (unsigned i = 0; i < r->runbook->n_phases; i++)
                phases[i] = phase_frozen(&r->phases[i]);
        for (unsigned i = 0; i < r->runbook->n_activities; i++) {
                const Activity *a = r->activities[i];

                activities[i] = activity_frozen(a);
                f.defaults = f.defaults || (activities[i] == FROZEN_ALL && !activity_state_is_terminal(a->state));
        }
        return definition_change_check(r->runbook, rb, &f, ret_error);
}

static int change_definition(Run *r, const Stamp *now, const Actor *who, Runbook *rb, const char *comment, Outcome *o) {
        Event *e = outcome_event_by(o, r, EVENT_DEFINITION_CHANGED, now, who);

        if (!e)
                return -ENOMEM;
        e->runbook = runbook_ref(rb);
        e->data = json_new_object();
        if (!e->data || json_set_string(e->data, "definition", rb->hash) < 0 || json_set_string(e->data, "previous", r->runbook->hash) < 0 ||
            event_set_comment(e, comment) < 0) {
                event_free(e);
                return -ENOMEM;
        }
        return outcome_apply(o, r, e);
}

/* ---- verbs ---- */

int run_retry(Run *r, Activity *a, const Stamp *now, const Actor *who, Runbook *definition, const Json *inputs, const char *comment, Outcome *o,
              char **ret_error) {
        bool changed = definition && !streq(definition->hash, r->runbook->hash);
        const Runbook *rb = changed ? definition : r->runbook;
        _cleanup_json_ Json *checked = NULL;
        int k = check_held(a, who, ret_error);

        if (k >= 0 && changed)
                k = check_definition(r, rb, ret_error);
        if (k >= 0 && (changed || json_length(inputs) > 0))
                k = check_inputs(r, rb, inputs, &checked, ret_error);
        if (k >= 0 && changed)
                k = change_definition(r, now, who, definition, comment, o);
        if (k >= 0 && checked)
                k = change_inputs(r, now, who, checked, comment, o);
        return k < 0 ? k : decide(a, now, who, RESOLUTION_RETRY, NULL, comment, o);
}

int run_ignore(Run *r, Activity *a, const Stamp *now, const Actor *who, Json *outputs, const char *comment, Outcome *o, char **ret_error) {
        int k = check_held(a, who, ret_error);

        if (k < 0)
                return k;
        if (outputs && json_type(outputs) != JSON_OBJECT)
                return verb_refuse(ret_error, -EINVAL, _("Outputs are names with values; give them with --output NAME=VALUE"));
        if (json_size(outputs, GIVEN_OUTPUTS_MAX + 1) > GIVEN_OUTPUTS_MAX)
                return verb_refuse(ret_error, -EINVAL, _("These outputs are larger than 256 KiB; give shorter ones"));
        return decide(a, now, who, RESOLUTION_IGNORE, outputs, comment, o);
}

int run_abort(Run *r, Activity *a, const Stamp *now, const Actor *who, const char *comment, Outcome *o, char **ret_error) {
        int k = check_held(a, who, ret_error);

        return k < 0 ? k : decide(a, now, who, RESOLUTION_ABORT, NULL, comment, o);
}

int run_set_inputs(Run *r, const Stamp *now, const Actor *who, const Json *inputs, const char *comment, Outcome *o, char **ret_error) {
        _cleanup_json_ Json *checked = NULL;
        int k;

        if (run_state_is_terminal(r->state))
                return verb_refuse(ret_error, -ESTALE, _("Run %u has ended (%s); a new run may have other inputs: runbookctl replay %u -i NAME=VALUE"),
                                   r->id, run_state_to_string(r->state), r->id);
        k = check_inputs(r, r->runbook, inputs, &checked, ret_error);
        return k < 0 ? k : change_inputs(r, now, who, checked, comment, o);
}

/* What an activity asks for and what it is given are the same names: a slip of the pen changes no other input. */
static int check_wanted(const Activity *a, const Json *given, char **ret_error) {
        if (json_length(given) == 0)
                return verb_refuse(ret_error, -EINVAL, _("Activity %s needs a value for %s; give it as NAME=VALUE"), a->def->name,
                                   json_string(json_at(a->request->wanted, 0)));
        JSON_OBJECT_FOREACH(given, name, value) {
                bool wanted = false;

                (void) value;
                for (size_t i = 0; i < json_length(a->request->wanted); i++)
                        wanted = wanted || streq(json_string(json_at(a->request->wanted, i)), name);
                if (wanted)
                        continue;
                return verb_refuse(ret_error, -EINVAL, _("Activity %s does not wait for the input “%s”; to change it: runbookctl set-input %u %s=VALUE"),
                                       a->def->name, name, a->run->id, name);
        }
        return 0;
}

int provide_wanted(Run *r, Activity *a, const Stamp *now, const Actor *who, const Json *given, const char *comment, Outcome *o, char **ret_error) {
        _cleanup_json_ Json *checked = NULL;
        int k = check_wanted(a, given, ret_error);

        if (k >= 0)
                k = check_inputs(r, r->runbook, given, &checked, ret_error);
        return k < 0 ? k : change_inputs(r, now, who, checked, comment, o);
}
