/* The inputs of a run when they are to be others: on the way, by those who fix it, and in a replay of it. */
#include "run-private.h"

static const InputSpec *find_input(const Runbook *rb, const char *name) {
        return inputs_find(rb->inputs, rb->n_inputs, name);
}

bool input_is_missing(const Run *r, const char *name) {
        return name && !json_get(r->inputs, name);
}

int run_merge_inputs(const Run *r, const Runbook *rb, const Json *given, Json **ret) {
        _cleanup_json_ Json *all = json_new_object();

        if (!all)
                return -ENOMEM;
        JSON_OBJECT_FOREACH(r->inputs, name, value)
                if (find_input(rb, name) && json_set(all, name, json_ref(value)) < 0)
                        return -ENOMEM;
        JSON_OBJECT_FOREACH(given, key, v)
                if (json_set(all, key, json_ref(v)) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(all);
        return 0;
}

/* In the definition that is to come, or in any that the run has had: another text does not free what was fixed at the start. */
static bool is_fixed(const Run *r, const Runbook *rb, const char *name) {
        const InputSpec *s = find_input(rb, name);
        bool fixed = s && s->fixed;

        for (size_t i = 0; i < r->n_definitions && !fixed; i++) {
                s = find_input(r->definitions[i], name);
                fixed = s && s->fixed;
        }
        return fixed;
}

/* That a value is given where there was none changes nothing that anything has relied on. */
const char *run_changes_fixed_input(const Run *r, const Runbook *rb, const Json *given, const Json *checked) {
        JSON_OBJECT_FOREACH(given, name, value) {
                (void) value;
                if (is_fixed(r, rb, name) && json_has(r->inputs, name) && !json_equal(json_get(r->inputs, name), json_get(checked, name)))
                        return name;
        }
        return NULL;
}
