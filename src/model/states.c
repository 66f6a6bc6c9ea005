/* The states of runs, phases, activities, attempts and steps: names, which of them are final, and which moves are legal. The tables below
 * are the only place that knows; whoever changes a state asks here, and the picture in the docs is made from them.
 *
 * A move from a state to itself is not a move. Final states are left only by a retry of the whole run, which starts its phases and
 * activities again from `pending`, and by the one move that a dead-lettered run has: cancelled. Pending becomes success or ignored
 * where another run's work is carried over; what a person decided about a held failure is pending until it is carried out. */
#include "states.h"

#define S(state) (1u << (state))

static const char *const run_state_names[_RUN_STATE_MAX] = {
        [RUN_SCHEDULED] = "scheduled", [RUN_QUEUED] = "queued", [RUN_RUNNING] = "running", [RUN_ON_HOLD] = "on-hold", [RUN_PAUSED] = "paused",
        [RUN_SUCCESS] = "success", [RUN_PARTIAL_SUCCESS] = "partial-success", [RUN_FAILED] = "failed", [RUN_EXHAUSTED] = "exhausted",
        [RUN_TIMED_OUT] = "timed-out", [RUN_REJECTED] = "rejected", [RUN_CANCELLED] = "cancelled", [RUN_SKIPPED] = "skipped", [RUN_DLQ] = "dlq",
};
static const char *const phase_state_names[_PHASE_STATE_MAX] = {
        [PHASE_PENDING] = "pending", [PHASE_RUNNING] = "running", [PHASE_ON_HOLD] = "on-hold", [PHASE_SUCCESS] = "success",
        [PHASE_FAILED] = "failed", [PHASE_SKIPPED] = "skipped", [PHASE_CANCELLED] = "cancelled",
};
static const char *const activity_state_names[_ACTIVITY_STATE_MAX] = {
        [ACTIVITY_PENDING] = "pending", [ACTIVITY_RUNNING] = "running", [ACTIVITY_BACKOFF] = "backoff", [ACTIVITY_ON_HOLD] = "on-hold",
        [ACTIVITY_INTERRUPTED] = "interrupted", [ACTIVITY_SUCCESS] = "success", [ACTIVITY_FAILED] = "failed", [ACTIVITY_IGNORED] = "ignored",
        [ACTIVITY_SKIPPED] = "skipped", [ACTIVITY_CANCELLED] = "cancelled",
};
static const char *const attempt_state_names[_ATTEMPT_STATE_MAX] = {
        [ATTEMPT_RUNNING] = "running", [ATTEMPT_SUCCESS] = "success", [ATTEMPT_FAILED] = "failed",
        [ATTEMPT_INTERRUPTED] = "interrupted", [ATTEMPT_CANCELLED] = "cancelled",
};
static const char *const step_state_names[_STEP_STATE_MAX] = {
        [STEP_PENDING] = "pending", [STEP_RUNNING] = "running", [STEP_WAITING_APPROVAL] = "waiting-approval",
        [STEP_WAITING_INPUT] = "waiting-input", [STEP_SUCCESS] = "success", [STEP_FAILED] = "failed", [STEP_SKIPPED] = "skipped",
        [STEP_CANCELLED] = "cancelled",
};
static const char *const waiting_for_names[_WAITING_FOR_MAX] = {
        [WAITING_APPROVAL] = "approval", [WAITING_INPUT] = "input", [WAITING_DECISION] = "decision",
};
static const char *const cause_names[_CAUSE_MAX] = {
        [CAUSE_INITIAL] = "initial", [CAUSE_RETRY] = "retry", [CAUSE_MANUAL] = "manual", [CAUSE_RESUME] = "resume", [CAUSE_RUN_RETRY] = "run-retry",
};
static const char *const resolution_names[_RESOLUTION_MAX] = {
        [RESOLUTION_RETRY] = "retry", [RESOLUTION_IGNORE] = "ignore", [RESOLUTION_ABORT] = "abort",
};
static const char *const step_list_names[_STEP_LIST_MAX] = {
        [LIST_PRE] = "pre", [LIST_ON_SUCCESS] = "onSuccess", [LIST_ON_FAILURE] = "onFailure", [LIST_POST] = "post",
};

DEFINE_NAME_TABLE(RunState, run_state, run_state_names);
DEFINE_NAME_TABLE(PhaseState, phase_state, phase_state_names);
DEFINE_NAME_TABLE(ActivityState, activity_state, activity_state_names);
DEFINE_NAME_TABLE(AttemptState, attempt_state, attempt_state_names);
DEFINE_NAME_TABLE(StepState, step_state, step_state_names);
DEFINE_NAME_TABLE(WaitingFor, waiting_for, waiting_for_names);
DEFINE_NAME_TABLE(Cause, cause, cause_names);
DEFINE_NAME_TABLE(StepList, step_list, step_list_names);
DEFINE_NAME_TABLE(Resolution, resolution, resolution_names);

/* The ends that a run may come to once it has started; `skipped` too, because a phase's `if` may have waited for an input. */
#define RUN_ENDS (S(RUN_SUCCESS) | S(RUN_PARTIAL_SUCCESS) | S(RUN_FAILED) | S(RUN_EXHAUSTED) | S(RUN_TIMED_OUT) | S(RUN_REJECTED) | \
                  S(RUN_CANCELLED) | S(RUN_SKIPPED) | S(RUN_DLQ))

static const uint32_t run_moves[_RUN_STATE_MAX] = {
        [RUN_SCHEDULED] = S(RUN_QUEUED) | S(RUN_RUNNING) | S(RUN_CANCELLED) | S(RUN_SKIPPED) | S(RUN_DLQ),
        [RUN_QUEUED] = S(RUN_RUNNING) | S(RUN_ON_HOLD) | S(RUN_PAUSED) | S(RUN_CANCELLED) | S(RUN_SKIPPED) | S(RUN_TIMED_OUT) | S(RUN_DLQ),
        [RUN_RUNNING] = S(RUN_QUEUED) | S(RUN_ON_HOLD) | S(RUN_PAUSED) | RUN_ENDS,
        [RUN_ON_HOLD] = S(RUN_QUEUED) | S(RUN_RUNNING) | S(RUN_PAUSED) | RUN_ENDS,
        [RUN_PAUSED] = S(RUN_QUEUED) | S(RUN_RUNNING) | S(RUN_ON_HOLD) | RUN_ENDS,
        [RUN_DLQ] = S(RUN_CANCELLED),
};

static const uint32_t phase_moves[_PHASE_STATE_MAX] = {
        [PHASE_PENDING] = S(PHASE_RUNNING) | S(PHASE_ON_HOLD) | S(PHASE_FAILED) | S(PHASE_SKIPPED) | S(PHASE_CANCELLED),
        [PHASE_RUNNING] = S(PHASE_ON_HOLD) | S(PHASE_SUCCESS) | S(PHASE_FAILED) | S(PHASE_SKIPPED) | S(PHASE_CANCELLED),
        [PHASE_ON_HOLD] = S(PHASE_RUNNING) | S(PHASE_SUCCESS) | S(PHASE_FAILED) | S(PHASE_SKIPPED) | S(PHASE_CANCELLED),
        [PHASE_SUCCESS] = S(PHASE_PENDING), [PHASE_FAILED] = S(PHASE_PENDING),
        [PHASE_SKIPPED] = S(PHASE_PENDING), [PHASE_CANCELLED] = S(PHASE_PENDING),
};

static const uint32_t activity_moves[_ACTIVITY_STATE_MAX] = {
        [ACTIVITY_PENDING] = S(ACTIVITY_RUNNING) | S(ACTIVITY_ON_HOLD) | S(ACTIVITY_SUCCESS) | S(ACTIVITY_FAILED) | S(ACTIVITY_IGNORED) |
                             S(ACTIVITY_SKIPPED) | S(ACTIVITY_CANCELLED),
        [ACTIVITY_RUNNING] = S(ACTIVITY_BACKOFF) | S(ACTIVITY_ON_HOLD) | S(ACTIVITY_INTERRUPTED) | S(ACTIVITY_SUCCESS) | S(ACTIVITY_FAILED) |
                             S(ACTIVITY_CANCELLED),
        [ACTIVITY_BACKOFF] = S(ACTIVITY_RUNNING) | S(ACTIVITY_FAILED) | S(ACTIVITY_CANCELLED),
        [ACTIVITY_ON_HOLD] = S(ACTIVITY_PENDING) | S(ACTIVITY_RUNNING) | S(ACTIVITY_SUCCESS) | S(ACTIVITY_FAILED) | S(ACTIVITY_IGNORED) |
                             S(ACTIVITY_SKIPPED) | S(ACTIVITY_CANCELLED),
        [ACTIVITY_INTERRUPTED] = S(ACTIVITY_RUNNING) | S(ACTIVITY_BACKOFF) | S(ACTIVITY_ON_HOLD) | S(ACTIVITY_FAILED) | S(ACTIVITY_CANCELLED),
        [ACTIVITY_SUCCESS] = S(ACTIVITY_PENDING), [ACTIVITY_FAILED] = S(ACTIVITY_PENDING), [ACTIVITY_IGNORED] = S(ACTIVITY_PENDING),
        [ACTIVITY_SKIPPED] = S(ACTIVITY_PENDING), [ACTIVITY_CANCELLED] = S(ACTIVITY_PENDING),
};

static const uint32_t attempt_moves[_ATTEMPT_STATE_MAX] = {
        [ATTEMPT_RUNNING] = S(ATTEMPT_SUCCESS) | S(ATTEMPT_FAILED) | S(ATTEMPT_INTERRUPTED) | S(ATTEMPT_CANCELLED),
};

/* Back to pending: a step of onSuccess, onFailure or post that was interrupted runs once more in the same attempt. A gate takes no time: it goes
 * from pending to its end. */
static const uint32_t step_moves[_STEP_STATE_MAX] = {
        [STEP_PENDING] = S(STEP_RUNNING) | S(STEP_WAITING_APPROVAL) | S(STEP_WAITING_INPUT) | S(STEP_SUCCESS) | S(STEP_FAILED) | S(STEP_SKIPPED) |
                         S(STEP_CANCELLED),
        [STEP_RUNNING] = S(STEP_PENDING) | S(STEP_WAITING_APPROVAL) | S(STEP_WAITING_INPUT) | S(STEP_SUCCESS) | S(STEP_FAILED) | S(STEP_CANCELLED),
        [STEP_WAITING_APPROVAL] = S(STEP_SUCCESS) | S(STEP_FAILED) | S(STEP_CANCELLED),
        [STEP_WAITING_INPUT] = S(STEP_SUCCESS) | S(STEP_FAILED) | S(STEP_CANCELLED),
};

static bool in_set(uint32_t set, unsigned state) {
        return state < 32 && (set & S(state));
}

static bool may_become(const uint32_t *moves, size_t n, unsigned from, unsigned to) {
        return from < n && in_set(moves[from], to);
}

bool run_state_is_terminal(RunState s) {
        return in_set(RUN_ENDS, s);
}

bool phase_state_is_terminal(PhaseState s) {
        return in_set(S(PHASE_SUCCESS) | S(PHASE_FAILED) | S(PHASE_SKIPPED) | S(PHASE_CANCELLED), s);
}

bool activity_state_is_terminal(ActivityState s) {
        return in_set(S(ACTIVITY_SUCCESS) | S(ACTIVITY_FAILED) | S(ACTIVITY_IGNORED) | S(ACTIVITY_SKIPPED) | S(ACTIVITY_CANCELLED), s);
}

bool step_state_is_terminal(StepState s) {
        return in_set(S(STEP_SUCCESS) | S(STEP_FAILED) | S(STEP_SKIPPED) | S(STEP_CANCELLED), s);
}

bool run_state_may_become(RunState from, RunState to) {
        return may_become(run_moves, ELEMENTSOF(run_moves), from, to);
}

bool phase_state_may_become(PhaseState from, PhaseState to) {
        return may_become(phase_moves, ELEMENTSOF(phase_moves), from, to);
}

bool activity_state_may_become(ActivityState from, ActivityState to) {
        return may_become(activity_moves, ELEMENTSOF(activity_moves), from, to);
}

bool attempt_state_may_become(AttemptState from, AttemptState to) {
        return may_become(attempt_moves, ELEMENTSOF(attempt_moves), from, to);
}

bool step_state_may_become(StepState from, StepState to) {
        return may_become(step_moves, ELEMENTSOF(step_moves), from, to);
}

#define QUOTE_CODES(...) QUOTE_CODES_(__VA_ARGS__)
#define QUOTE_CODES_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q) #a, #b, #c, #d, #e, #f, #g, #h, #i, #j, #k, #l, #m, #n, #o, #p, #q

const char *const error_codes[] = { QUOTE_CODES(ERROR_CODES), NULL };
