/* Does a step still say what it said? */
#pragma once

#include "runbook.h"

/* Sets the digest of each main step of a runbook that was made of this tree. */
void runbook_set_step_digests(Runbook *rb, const Node *root);
/* A step of this id that does the same under the same environment: which was done under `old`, and need not be done again under `new`. */
bool step_is_unchanged(const StepDef *old, const StepDef *new) _pure_;
