/* The states of section 4 of the contract, their names, and the one table of legal moves per noun. `docs/states.md` is made from
 * the same tables by tools/states. */
#pragma once

#include "name-table.h"

typedef enum RunState {
        RUN_SCHEDULED, RUN_QUEUED, RUN_RUNNING, RUN_ON_HOLD, RUN_PAUSED,
        RUN_SUCCESS, RUN_PARTIAL_SUCCESS, RUN_FAILED, RUN_EXHAUSTED, RUN_TIMED_OUT, RUN_REJECTED, RUN_CANCELLED, RUN_SKIPPED, RUN_DLQ,
        _RUN_STATE_MAX, _RUN_STATE_INVALID = -EINVAL,
} RunState;

typedef enum PhaseState {
        PHASE_PENDING, PHASE_RUNNING, PHASE_ON_HOLD, PHASE_SUCCESS, PHASE_FAILED, PHASE_SKIPPED, PHASE_CANCELLED,
        _PHASE_STATE_MAX, _PHASE_STATE_INVALID = -EINVAL,
} PhaseState;

typedef enum ActivityState {
        ACTIVITY_PENDING, ACTIVITY_RUNNING, ACTIVITY_BACKOFF, ACTIVITY_ON_HOLD, ACTIVITY_INTERRUPTED,
        ACTIVITY_SUCCESS, ACTIVITY_FAILED, ACTIVITY_IGNORED, ACTIVITY_SKIPPED, ACTIVITY_CANCELLED,
        _ACTIVITY_STATE_MAX, _ACTIVITY_STATE_INVALID = -EINVAL,
} ActivityState;

typedef enum AttemptState {
        ATTEMPT_RUNNING, ATTEMPT_SUCCESS, ATTEMPT_FAILED, ATTEMPT_INTERRUPTED, ATTEMPT_CANCELLED,
        _ATTEMPT_STATE_MAX, _ATTEMPT_STATE_INVALID = -EINVAL,
} AttemptState;

typedef enum StepState {
        STEP_PENDING, STEP_RUNNING, STEP_WAITING_APPROVAL, STEP_WAITING_INPUT, STEP_SUCCESS, STEP_FAILED, STEP_SKIPPED, STEP_CANCELLED,
        _STEP_STATE_MAX, _STEP_STATE_INVALID = -EINVAL,
} StepState;

typedef enum WaitingFor { WAITING_NOTHING, WAITING_APPROVAL, WAITING_INPUT, WAITING_DECISION, _WAITING_FOR_MAX, _WAITING_FOR_INVALID = -EINVAL } WaitingFor;
typedef enum Cause { CAUSE_INITIAL, CAUSE_RETRY, CAUSE_MANUAL, CAUSE_RESUME, CAUSE_RUN_RETRY, _CAUSE_MAX, _CAUSE_INVALID = -EINVAL } Cause;
/* What a person decides about a held failure. */
typedef enum Resolution {
        RESOLUTION_NONE, RESOLUTION_RETRY, RESOLUTION_IGNORE, RESOLUTION_ABORT, _RESOLUTION_MAX, _RESOLUTION_INVALID = -EINVAL,
} Resolution;
/* The lists of steps of an activity, in the order in which they run. */
typedef enum StepList { LIST_PRE, LIST_MAIN, LIST_ON_SUCCESS, LIST_ON_FAILURE, LIST_POST, _STEP_LIST_MAX, _STEP_LIST_INVALID = -EINVAL } StepList;

DECLARE_NAME_TABLE(RunState, run_state);
DECLARE_NAME_TABLE(PhaseState, phase_state);
DECLARE_NAME_TABLE(ActivityState, activity_state);
DECLARE_NAME_TABLE(AttemptState, attempt_state);
DECLARE_NAME_TABLE(StepState, step_state);
DECLARE_NAME_TABLE(WaitingFor, waiting_for);
DECLARE_NAME_TABLE(Cause, cause);
DECLARE_NAME_TABLE(Resolution, resolution);             /* retry ignore abort */
DECLARE_NAME_TABLE(StepList, step_list);                /* "pre", NULL for main, "onSuccess", "onFailure", "post" */

bool run_state_is_terminal(RunState s) _const_;
bool phase_state_is_terminal(PhaseState s) _const_;
bool activity_state_is_terminal(ActivityState s) _const_;
bool step_state_is_terminal(StepState s) _const_;

bool run_state_may_become(RunState from, RunState to) _const_;
bool phase_state_may_become(PhaseState from, PhaseState to) _const_;
bool activity_state_may_become(ActivityState from, ActivityState to) _const_;
bool attempt_state_may_become(AttemptState from, AttemptState to) _const_;
bool step_state_may_become(StepState from, StepState to) _const_;

/* The closed list of error codes; a plugin may give others. */
#define ERROR_CODES EXIT, SIGNAL, TIMEOUT, OOM_KILL, START_FAILED, CANCELLED, INTERRUPTED, APPROVAL_REJECTED, APPROVAL_TIMEOUT, INPUT_TIMEOUT, \
                    INPUT_MISSING, EXPRESSION, OUTPUT_INVALID, GATE, HTTP, CHILD_FAILED, LOST
extern const char *const error_codes[];                 /* NULL-terminated, the names above */
