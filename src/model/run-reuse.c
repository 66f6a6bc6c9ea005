/* `resume: step`: which main steps an activity need not do again. Those that had succeeded, up to the first that had not; and where the text of
 * the runbook was changed meanwhile, only as far as they still say the same. What has been done is known by the newest attempt, or in a run
 * that replays another, by what it was given on its way. */
#include "run-private.h"
#include "step-digest.h"

static bool had_succeeded(const DoneSteps *s, unsigned i) {
        return s->attempt ? s->attempt->steps[i].state == STEP_SUCCESS : json_has(s->carried, s->def->steps[i].id);
}

DoneSteps done_steps(const Activity *a, const Attempt *t) {
        DoneSteps s = { .attempt = t, .def = t ? t->def : a->reused_def, .carried = a->reused_steps };

        if (!s.def)
                return s;
        s.begin = s.end = s.next = s.def->list_start[LIST_MAIN];
        while (s.end < s.def->list_start[LIST_MAIN + 1] && had_succeeded(&s, s.end))
                s.end++;
        return s;
}

/* Steps mostly keep their order, so that the search begins behind the one that was found last. */
int done_steps_find(DoneSteps *s, const StepDef *d) {
        for (unsigned k = 0; k < s->end - s->begin; k++) {
                unsigned i = s->begin + (s->next - s->begin + k) % (s->end - s->begin);

                if (step_is_unchanged(&s->def->steps[i], d)) {
                        s->next = i + 1;
                        return (int) i;
                }
        }
        return -1;
}

Json *done_steps_outputs(const DoneSteps *s, int i) {
        return s->attempt ? s->attempt->steps[i].outputs : json_get(s->carried, s->def->steps[i].id);
}
