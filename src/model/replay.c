/* What a new run takes over from one that ended. Three questions, in this order: what is to be done again for its own sake (it failed, or
 * somebody names it); what because of that (it needs such a thing, or its phase needs a phase with such a thing in it); and all else that
 * is done is carried over. They are answered in the definition of the original. With another definition the answers stay, and it is refused
 * where it does not fit them.
 *
 * What was skipped is neither carried over nor a reason to do again what needs it: its `if` is decided anew. Phases that were not selected
 * stay so. Costs are linear in the size of the definition. */
#include "replay.h"

#include <stdio.h>

#include "definition-change.h"
#include "fd-util.h"
#include "i18n.h"
#include "run-private.h"
#include "utf8.h"

#define SUGGESTION_CANDIDATES_MAX 2000u                 /* a "did you mean" costs an edit distance for each */

void replay_plan_done(ReplayPlan *p) {
        for (size_t i = 0; i < p->n_carried; i++) {
                json_unref(p->carried[i].outputs);
                json_unref(p->carried[i].steps);
        }
        free(p->carried);
        json_unref(p->inputs);
        strv_free(p->only);
        *p = (ReplayPlan) {};
}

/* ---- names ---- */

/* "; did you mean …" where there is something near; names is NULL-terminated. */
static char *hint(const char *name, const char *const *names, size_t n) {
        const char *nearest = n <= SUGGESTION_CANDIDATES_MAX ? nearest_name(name, names) : NULL;

        return nearest ? xasprintf(_("; did you mean \"%s\"?"), nearest) : strdup("");
}

static size_t put_phases(const Runbook *rb, const char **names) {
        for (unsigned i = 0; i < rb->n_phases; i++)
                names[i] = rb->phases[i].name;
        return rb->n_phases;
}

static int no_such_phase(const Runbook *rb, const char *name, char **ret_error) {
        _cleanup_free_ const char **names = calloc(rb->n_phases + 1, sizeof(char *));
        _cleanup_free_ char *near = names ? hint(name, names, put_phases(rb, names)) : NULL;

        if (!near)
                return -ENOMEM;
        return verb_refuse(ret_error, -EINVAL, _("The runbook %s has no phase \"%s\"%s"), rb->name, name, near);
}

int check_selection(const Runbook *runbook, char **only, char **ret_error) {
        if (!*only)
                return verb_refuse(ret_error, -EINVAL, _("No phase is selected: name at least one, or leave the selection out for all"));
        for (char **s = only; *s; s++)
                if (!runbook_phase(runbook, *s))
                        return no_such_phase(runbook, *s, ret_error);
        return 0;
}

static int no_such_name(const Runbook *rb, const char *name, char **ret_error) {
        _cleanup_free_ const char **names = calloc((size_t) rb->n_phases + rb->n_activities + 1, sizeof(char *));
        _cleanup_free_ char *near = NULL;
        size_t n;

        if (!names)
                return -ENOMEM;
        n = put_phases(rb, names);
        for (unsigned i = 0; i < rb->n_activities; i++)
                names[n++] = rb->activities[i].name;
        near = hint(name, names, n);
        if (!near)
                return -ENOMEM;
        return verb_refuse(ret_error, -ENOENT, _("The runbook %s has no activity and no phase \"%s\"%s"), rb->name, name, near);
}

/* ---- inputs ---- */

static int plan_inputs(const Run *original, const Runbook *runbook, const Json *changed, bool may_change_fixed, ReplayPlan *plan,
                       char **ret_error) {
        _cleanup_json_ Json *given = NULL;
        const char *fixed;
        int r = run_merge_inputs(original, runbook, changed, &given);

        if (r < 0)
                return r;
        r = inputs_check(runbook->inputs, runbook->n_inputs, given, &plan->inputs, NULL, ret_error);
        if (r < 0)
                return r;
        fixed = may_change_fixed ? NULL : run_changes_fixed_input(original, runbook, changed, plan->inputs);
        if (!fixed)
                return 0;
        return verb_refuse(ret_error, -EROFS,
                           _("The input \"%s\" is fixed: a replay has the value of run %u. For another value make a new run: "
                             "runbookctl rerun %u -i %s=VALUE"),
                           fixed, original->id, original->id, fixed);
}

/* ---- what is carried over ---- */

static bool is_done(const Activity *a) {
        return a->state == ACTIVITY_SUCCESS || a->state == ACTIVITY_IGNORED;
}

static int carried_allocate(const Runbook *runbook, ReplayPlan *plan) {
        plan->carried = calloc(MAX(runbook->n_activities, 1u), sizeof(Carried));
        return plan->carried ? 0 : -ENOMEM;
}

static void carry(const Run *original, const Activity *a, unsigned index, ActivityState state, Json *takes_steps, ReplayPlan *plan) {
        plan->carried[plan->n_carried++] = (Carried) {
                .activity = index, .state = state, .run = a && a->reused_from > 0 ? a->reused_from : original->id,
                .outputs = a && state != ACTIVITY_PENDING ? json_ref(a->outputs) : NULL, .steps = takes_steps,
        };
}

/* ---- rerun ---- */

static int rerun_carry(const Run *original, const Runbook *runbook, char **only, ReplayPlan *plan) {
        _cleanup_free_ bool *selected = calloc(runbook->n_phases, sizeof(bool));
        int r = selected ? carried_allocate(runbook, plan) : -ENOMEM;

        if (r < 0)
                return r;
        for (char **s = only; *s; s++)
                selected[runbook_phase(runbook, *s)->index] = true;
        for (unsigned i = 0; i < runbook->n_activities; i++)
                if (!selected[runbook->activities[i].phase])
                        carry(original, run_activity(original, runbook->activities[i].name), i, ACTIVITY_SKIPPED, NULL, plan);
        return 0;
}

int rerun_plan(const Run *original, const Runbook *runbook, char **only, const Json *changed, ReplayPlan *ret, char **ret_error) {
        _cleanup_(replay_plan_done) ReplayPlan plan = {};
        int r;

        if (!run_state_is_terminal(original->state))
                return verb_refuse(ret_error, -ESTALE, _("Run %u is still under way (%s): it can be done again when it has ended"), original->id,
                              run_state_to_string(original->state));
        r = only ? check_selection(runbook, only, ret_error) : 0;
        if (r >= 0)
                r = plan_inputs(original, runbook, changed, true, &plan, ret_error);
        if (r >= 0 && only)
                r = rerun_carry(original, runbook, only, &plan);
        if (r < 0)
                return r;
        *ret = plan;
        plan = (ReplayPlan) {};
        return 0;
}

/* ---- replay: of what, and from where ---- */

typedef struct Replay {
        const Run *original;
        const Runbook *old, *runbook;                   /* the original's definition; the new run's */
        const ActivityDef *from_activity;               /* of the old one; at most one of the two */
        const PhaseDef *from_phase;
        uint8_t *again;                                 /* by index in the old definition: to be done again for its own sake */
        uint8_t *reached;                               /* … because of what it needs */
        bool partial;                                   /* the original was a run of some phases only */
} Replay;

static void replay_done(Replay *p) {
        free(p->again);
        free(p->reached);
}

static int check_state(const Run *r, char **ret_error) {
        switch (r->state) {
        case RUN_FAILED:
        case RUN_EXHAUSTED:
        case RUN_DLQ:
        case RUN_CANCELLED:
        case RUN_TIMED_OUT:
        case RUN_REJECTED:
                return 0;
        case RUN_SUCCESS:
        case RUN_PARTIAL_SUCCESS:
        case RUN_SKIPPED:
                return verb_refuse(ret_error, -ESTALE,
                              _("Run %u has ended as %s, so nothing of it is left to do. To do it again: runbookctl rerun %u"), r->id,
                              run_state_to_string(r->state), r->id);
        case RUN_SCHEDULED:
        case RUN_QUEUED:
        case RUN_RUNNING:
        case RUN_ON_HOLD:
        case RUN_PAUSED:
                return verb_refuse(ret_error, -ESTALE,
                              _("Run %u is still under way (%s): it can be replayed when it has ended. What it waits for: "
                                "runbookctl status %u"),
                              r->id, run_state_to_string(r->state), r->id);
        case _RUN_STATE_MAX:
        case _RUN_STATE_INVALID:
                break;
        }
        return -EINVAL;
}

/* In this run or, where it was carried over, in an earlier one. A failure without an attempt is one of its `if`. */
static bool was_executed(const Activity *a) {
        return a->n_attempts > 0 || a->state == ACTIVITY_FAILED || (a->reused_from > 0 && a->state != ACTIVITY_SKIPPED);
}

static bool phase_was_executed(const Run *r, const PhaseDef *p) {
        for (unsigned i = 0; i < p->n_activities; i++)
                if (was_executed(r->activities[p->first_activity + i]))
                        return true;
        return false;
}

static int never_executed(const Replay *p, bool is_phase, const char *name, char **ret_error) {
        return verb_refuse(ret_error, -ESRCH,
                      is_phase ? _("Phase %s was never executed in run %u: name what was executed, or leave --from out for what failed and "
                                   "what follows")
                               : _("Activity %s was never executed in run %u: name what was executed, or leave --from out for what failed "
                                   "and what follows"),
                      name, p->original->id);
}

static int find_from(Replay *p, const char *name, char **ret_error) {
        const ActivityDef *a = runbook_activity(p->old, name);
        const PhaseDef *ph = a ? NULL : runbook_phase(p->old, name);

        /* What the new definition alone has was never executed, and what it does not have any more is nothing to begin with. */
        bool is_activity = a || (!ph && runbook_activity(p->runbook, name));

        if (is_activity ? !runbook_activity(p->runbook, name) : !runbook_phase(p->runbook, name))
                return no_such_name(p->runbook, name, ret_error);
        if (a ? !was_executed(p->original->activities[a->index]) : !ph || !phase_was_executed(p->original, ph))
                return never_executed(p, !is_activity, name, ret_error);
        p->from_activity = a;
        p->from_phase = ph;
        return 0;
}

/* ---- replay: what is done again ---- */

static void again_what_failed(Replay *p) {
        for (unsigned i = 0; i < p->old->n_activities; i++) {
                const Activity *a = p->original->activities[i];
                const Phase *ph = activity_phase(a);
                bool never_began = ph->state == PHASE_FAILED && ph->started_at == 0; /* its `if` failed */

                p->again[i] = !ph->not_selected && !is_done(a) && (a->state != ACTIVITY_SKIPPED || never_began);
        }
}

static void again_whole_phase(Replay *p, const PhaseDef *ph) {
        if (!p->original->phases[ph->index].not_selected)
                memset(p->again + ph->first_activity, 1, ph->n_activities);
}

static unsigned count_needs(const Graph *g, unsigned node) {
        return g->nodes[node].explicit_needs ? g->nodes[node].n_needs : node;
}

/* set: what another node needs, as many as this one does. */
static bool needs_are(const Graph *g, unsigned node, const uint8_t *set) {
        for (unsigned i = 0; i < count_needs(g, node); i++)
                if (!set[g->nodes[node].explicit_needs ? g->nodes[node].needs[i] : i])
                        return false;
        return true;
}

/* The whole phase, and whole the phases that need the same: whole[i] for those. */
static int again_parallel(Replay *p, const PhaseDef *ph, uint8_t *whole) {
        const Graph *g = &p->old->graph;
        _cleanup_free_ uint8_t *set = calloc(g->n_nodes, 1);
        unsigned n = count_needs(g, ph->index);

        if (!set)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++)
                set[g->nodes[ph->index].explicit_needs ? g->nodes[ph->index].needs[i] : i] = 1;
        for (unsigned i = 0; i < g->n_nodes; i++)
                if (count_needs(g, i) == n && needs_are(g, i, set)) {
                        again_whole_phase(p, &p->old->phases[i]);
                        whole[i] = 1;
                }
        return 0;
}

/* Those that failed, or the one that was named. */
static int again_all_parallel(Replay *p) {
        const PhaseDef *named = p->from_activity ? &p->old->phases[p->from_activity->phase] : p->from_phase;
        _cleanup_free_ uint8_t *whole = calloc(p->old->n_phases, 1);
        int r = 0;

        if (!whole)
                return -ENOMEM;
        if (named)
                return again_parallel(p, named, whole);
        for (unsigned i = 0; i < p->old->n_phases && r >= 0; i++) {
                PhaseState s = p->original->phases[i].state;

                if (!whole[i] && (s == PHASE_FAILED || s == PHASE_CANCELLED))
                        r = again_parallel(p, &p->old->phases[i], whole);
        }
        return r;
}

/* What needs anything that is done again: in other phases all of it, in its own phase by that phase's order. */
static int reach(Replay *p) {
        _cleanup_free_ uint8_t *again = calloc(p->old->n_phases, 1), *reached = calloc(p->old->n_phases, 1);
        int r;

        if (!again || !reached)
                return -ENOMEM;
        for (unsigned i = 0; i < p->old->n_activities; i++)
                again[p->old->activities[i].phase] |= p->again[i];
        r = graph_descendants(&p->old->graph, again, reached);
        for (unsigned i = 0; i < p->old->n_phases && r >= 0; i++) {
                const PhaseDef *ph = &p->old->phases[i];

                if (reached[i])
                        memset(p->reached + ph->first_activity, 1, ph->n_activities);
                else if (again[i])
                        r = graph_descendants(&ph->graph, p->again + ph->first_activity, p->reached + ph->first_activity);
        }
        return r;
}

static int decide_again(Replay *p, bool all_parallel) {
        p->again = calloc(MAX(p->old->n_activities, 1u), 1);
        p->reached = calloc(MAX(p->old->n_activities, 1u), 1);
        if (!p->again || !p->reached)
                return -ENOMEM;
        again_what_failed(p);
        if (p->from_activity)
                p->again[p->from_activity->index] = 1;
        if (p->from_phase && p->original->phases[p->from_phase->index].state == PHASE_SUCCESS)
                again_whole_phase(p, p->from_phase);
        if (all_parallel) {
                int r = again_all_parallel(p);
                if (r < 0)
                        return r;
        }
        return reach(p);
}

static bool is_kept(const Replay *p, const Activity *a) {
        unsigned i = a->def->index;

        return is_done(a) && !p->again[i] && !p->reached[i] && !activity_phase(a)->not_selected;
}

/* ---- replay: with another definition ---- */

/* kept[i]: something of that phase is. Where something of a later phase is too, all of it counts as ended: what came to it would run after
 * what needs it. */
static int freeze_phases(const Replay *p, const uint8_t *kept, Frozen *phases) {
        const Graph *g = &p->old->graph;
        _cleanup_free_ uint8_t *before = calloc(g->n_nodes, 1);
        unsigned known = g->n_nodes;

        if (!before)
                return -ENOMEM;
        for (unsigned i = g->n_nodes; i-- > 0;) {
                /* What precedes one of these precedes it still: the set only grows. */
                int r = kept[i] && !before[i] ? graph_ancestors(g, i, known, before) : 0;
                if (r < 0)
                        return r;
                for (unsigned k = 0; known == g->n_nodes && k < g->n_nodes; k++)
                        if (before[k])
                                known = k;
        }
        for (unsigned i = 0; i < g->n_nodes; i++)
                phases[i] = !kept[i] ? FROZEN_NOT : before[i] ? FROZEN_ALL : FROZEN_PLACE;
        return 0;
}

static int check_definition(Replay *p, char **ret_error) {
        _cleanup_free_ Frozen *phases = calloc(p->old->n_phases, sizeof(Frozen)),
                              *activities = calloc(p->old->n_activities, sizeof(Frozen));
        _cleanup_free_ uint8_t *kept = calloc(p->old->n_phases, 1);
        int r;

        if (!phases || !activities || !kept)
                return -ENOMEM;
        for (unsigned i = 0; i < p->old->n_activities; i++)
                if (is_kept(p, p->original->activities[i])) {
                        activities[i] = FROZEN_ALL;
                        kept[p->old->activities[i].phase] = 1;
                }
        r = freeze_phases(p, kept, phases);
        return r < 0 ? r : definition_change_check(p->old, p->runbook, &(Freeze) { .phases = phases, .activities = activities }, ret_error);
}

/* ---- replay: what the new run gets ---- */

/* `resume: step`: what had succeeded of an activity that failed by itself. Where something that it needs is done again, it begins anew. An
 * attempt that never came to be in the original leaves it with what it had got itself. */
static int reusable_steps(const Replay *p, const Activity *a, const ActivityDef *d, Json **ret) {
        const Attempt *t = activity_current_attempt(a);
        DoneSteps done = done_steps(a, t);
        _cleanup_json_ Json *steps = NULL;
        unsigned n = a->def->index;
        int k, r = 0;

        if (!d->resume_step || is_done(a) || !p->again[n] || p->reached[n] || (t && t->state == ATTEMPT_SUCCESS))
                return 0;
        steps = json_new_object();
        if (!steps)
                return -ENOMEM;
        for (unsigned i = d->list_start[LIST_MAIN]; r >= 0 && i < d->list_start[LIST_MAIN + 1]; i++) {
                k = done_steps_find(&done, &d->steps[i]);
                if (k < 0)
                        break;
                r = json_set(steps, d->steps[i].id, json_ref(done_steps_outputs(&done, k)));
        }
        if (r >= 0 && json_length(steps) > 0)
                *ret = TAKE_PTR(steps);
        return r;
}

static bool is_selected(const Replay *p, const char *phase) {
        const PhaseDef *ph = runbook_phase(p->old, phase);

        return !p->partial || (ph && !p->original->phases[ph->index].not_selected);
}

static int replay_carry_one(const Replay *p, const ActivityDef *d, ReplayPlan *plan) {
        const Activity *a = run_activity(p->original, d->name);
        Json *steps = NULL;
        int r;

        if (!is_selected(p, p->runbook->phases[d->phase].name)) {
                carry(p->original, a, d->index, ACTIVITY_SKIPPED, NULL, plan);
                return 0;
        }
        if (!a)
                return 0;
        if (is_kept(p, a)) {
                carry(p->original, a, d->index, a->state, NULL, plan);
                return 0;
        }
        r = reusable_steps(p, a, d, &steps);
        if (steps)
                carry(p->original, a, d->index, ACTIVITY_PENDING, steps, plan);
        return r;
}

/* What was not selected stays so, and so do phases that have come since. */
static int plan_selection(const Replay *p, ReplayPlan *plan, char **ret_error) {
        size_t n = 0;

        if (!p->partial)
                return 0;
        plan->only = calloc(p->runbook->n_phases + 1, sizeof(char *));
        if (!plan->only)
                return -ENOMEM;
        for (unsigned i = 0; i < p->runbook->n_phases; i++)
                if (is_selected(p, p->runbook->phases[i].name) && !(plan->only[n++] = strdup(p->runbook->phases[i].name)))
                        return -ENOMEM;
        if (n == 0)
                return verb_refuse(ret_error, -EPROTO,
                              _("The runbook %s has none of the phases any more that run %u was of. To run others: "
                                "runbookctl rerun %u --only PHASE"),
                              p->runbook->name, p->original->id, p->original->id);
        return 0;
}

static int replay_carry(const Replay *p, ReplayPlan *plan) {
        int r = carried_allocate(p->runbook, plan);

        for (unsigned i = 0; i < p->runbook->n_activities && r >= 0; i++)
                r = replay_carry_one(p, &p->runbook->activities[i], plan);
        return r;
}

static int replay_init(Replay *p, const char *from, bool all_parallel, char **ret_error) {
        int r = check_state(p->original, ret_error);

        if (r >= 0 && from)
                r = find_from(p, from, ret_error);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < p->old->n_phases; i++)
                p->partial = p->partial || p->original->phases[i].not_selected;
        r = decide_again(p, all_parallel);
        /* One without phases stands in for a definition that can't be read: nothing of it can be carried over, so nothing has to fit. */
        if (r >= 0 && p->old->n_phases > 0 && !streq(p->old->hash, p->runbook->hash))
                r = check_definition(p, ret_error);
        return r;
}

int replay_plan(const Run *original, const Runbook *runbook, const char *from, bool all_parallel, const Json *changed, ReplayPlan *ret,
                char **ret_error) {
        _cleanup_(replay_done) Replay p = { .original = original, .old = original->runbook, .runbook = runbook };
        _cleanup_(replay_plan_done) ReplayPlan plan = {};
        int r = replay_init(&p, from, all_parallel, ret_error);

        if (r >= 0)
                r = plan_selection(&p, &plan, ret_error);
        if (r >= 0)
                r = plan_inputs(original, runbook, changed, false, &plan, ret_error);
        if (r >= 0)
                r = replay_carry(&p, &plan);
        if (r < 0)
                return r;
        *ret = plan;
        plan = (ReplayPlan) {};
        return 0;
}
