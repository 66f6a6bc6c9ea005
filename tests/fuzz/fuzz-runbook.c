/* Any bytes as a definition file, once as YAML and once as JSON: no crash, no leak, errors exactly when there is no runbook, and what was accepted can
 * be linted, shown and found again by its own names. */
#include <stdlib.h>

#include "runbook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition) {
        if (!condition)
                abort();
}

static void look_up(const Runbook *rb) {
        for (unsigned i = 0; i < rb->n_activities; i++) {
                const ActivityDef *a = rb->activities + i;

                check(runbook_activity(rb, a->name) == a);
                check(a->list_start[_STEP_LIST_MAX] == a->n_steps);
                for (unsigned s = 0; s < MIN(a->n_steps, 64u); s++)
                        check(activity_def_find_step(a, a->steps[s].id) == (int) s);
        }
        for (unsigned i = 0; i < rb->n_phases; i++)
                check(runbook_phase(rb, rb->phases[i].name) == rb->phases + i);
}

static void parse(const uint8_t *data, size_t size, TreeFormat format) {
        _cleanup_diag_ Diagnostics d = {};
        _cleanup_(runbook_unrefp) Runbook *rb = NULL;
        _cleanup_free_ char *json = NULL;
        int r = runbook_parse((const char *) data, size, format, NULL, &d, &rb);

        check(r == 0 || r == -EINVAL || r == -ENOMEM);
        check((r == 0) == (rb != NULL));
        check(r != 0 || d.n_errors == 0);
        check(r != -EINVAL || d.n_errors > 0);
        if (!rb)
                return;
        runbook_lint(rb, &d);
        check(d.n_errors == 0);
        json = runbook_to_json(rb, NULL);
        check(json != NULL);
        look_up(rb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        parse(data, size, TREE_YAML);
        parse(data, size, TREE_JSON);
        return 0;
}
