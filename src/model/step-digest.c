/* What a main step says, and what is said around it about how it is carried out, as one number. With `resume: step` what has been done is
 * not done again; where the text of the runbook was changed meanwhile (fix and continue, or a replay with the text of today), that holds for
 * the steps that still say the same. As in definition-change.c it counts what the text says, not how: the order of keys, comments and
 * positions don't. */
#include "step-digest.h"

#include "digest.h"

static bool is_among(const char *key, const char *const *keys) {
        while (*keys && !streq(*keys, key))
                keys++;
        return *keys;
}

/* Of the members that have one of these keys, in any order. */
static uint64_t add_members(uint64_t h, const Node *map, const char *const *keys) {
        uint64_t sum = 0;

        for (size_t i = 0; map && map->type == NODE_MAP && i < map->n_children; i++) {
                const Node *n = map->children[i];

                if (is_among(n->key, keys))
                        sum += quick_digest(node_digest(n), n->key, strlen(n->key));
        }
        return quick_digest_add(h, sum);
}

/* An activity that says itself what it does is its own step. */
static uint64_t step_digest(uint64_t h, const Node *activity, const Node *list, unsigned i) {
        static const char *const action[] = { "run", "uses", "with", "approval", "input", NULL };
        return list ? quick_digest_add(h, node_digest(list->children[i])) : add_members(h, activity, action);
}

static void set_of_activity(uint64_t h, const Node *node, ActivityDef *a) {
        static const char *const around[] = { "env", "secrets", "user", "workingDirectory", "executor", "limits", "sandbox", NULL };
        const Node *list = node_get(node, "steps");

        h = add_members(h, node, around);
        for (unsigned i = a->list_start[LIST_MAIN]; i < a->list_start[LIST_MAIN + 1]; i++)
                a->steps[i].digest = step_digest(h, node, list, i - a->list_start[LIST_MAIN]);
}

void runbook_set_step_digests(Runbook *rb, const Node *root) {
        static const char *const around[] = { "env", "secrets", NULL }, *const defaults[] = { "user", "executor", "shell", NULL };
        const Node *phases = node_get(root, "phases");
        uint64_t h = add_members(add_members(QUICK_DIGEST_START, root, around), node_get(root, "defaults"), defaults);

        for (unsigned i = 0; i < rb->n_activities; i++) {
                ActivityDef *a = &rb->activities[i];

                set_of_activity(h, node_get(phases->children[a->phase], "activities")->children[a->node], a);
        }
}

bool step_is_unchanged(const StepDef *old, const StepDef *new) {
        return old->digest == new->digest && streq(old->id, new->id);
}
