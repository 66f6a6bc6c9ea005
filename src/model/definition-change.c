/* Two texts of one runbook, compared as far as something has already run. What counts is what the texts say, not how: both are read into
 * trees, and the trees are compared, so that formats, comments, positions and the order of keys do not matter. The order of lists does.
 * Numbers are compared as written, because a text field (a variable of `env`) takes them as written.
 *
 * Needs are compared by what they come to: without `needs:` it is everything written before, so that a line which was put in may have
 * become one. Positions in the trees are the indices of the definition: the parser made it from the same lists. Costs are linear in the
 * texts. */
#include "definition-change.h"

#include "fd-util.h"
#include "i18n.h"
#include "strbuf.h"
#include "utf8.h"

#define DIFFERENCES_MAX 5u
#define VALUE_SHOWN_MAX 60u                             /* bytes of a value in a message */
#define MAP_PAIRWISE_MAX 16u                            /* larger maps are searched with a hash map */

typedef struct Path {
        const struct Path *up;
        const char *key;                                /* of a map's member, or the name of a list's element; NULL: only its number */
        size_t number;                                  /* of an element, from 1 */
} Path;

typedef struct Check {
        const Runbook *old, *new;
        const Freeze *freeze;
        const Node *old_root, *new_root;
        StrBuf lines;
        unsigned n_differences;
} Check;

/* ---- what is said ---- */

static bool is_full(const Check *c) {
        return c->n_differences >= DIFFERENCES_MAX;
}

/* Takes the line, which may be NULL for out of memory. */
static int add_difference(Check *c, char *takes) {
        _cleanup_free_ char *line = takes;

        if (!line)
                return -ENOMEM;
        if (is_full(c))
                return 0;
        strbuf_append_c(&c->lines, '\n');
        strbuf_append(&c->lines, line);
        c->n_differences++;
        return 0;
}

static void append_path(StrBuf *b, const Path *where) {
        if (!where)
                return;
        append_path(b, where->up);
        if (!where->key)
                strbuf_appendf(b, "[%zu]", where->number);
        else {
                strbuf_append(b, where->up ? "." : "");
                strbuf_append(b, where->key);
        }
}

/* As JSON, which has no line breaks; numbers as written, by which they are compared. */
static char *value_text(const Node *n) {
        _cleanup_json_ Json *j = NULL;

        if (n->type == NODE_INT || n->type == NODE_DOUBLE)
                return strndup(n->string, n->length);
        return node_to_json(n, &j) < 0 ? NULL : json_to_string(j, false);
}

/* A value as it may stand in a line: short. */
static char *shown(const Node *n) {
        _cleanup_free_ char *text = value_text(n), *cut = NULL;

        if (!text || strlen(text) <= VALUE_SHOWN_MAX)
                return TAKE_PTR(text);
        cut = utf8_make_valid(text, strlen(text), VALUE_SHOWN_MAX);
        return cut ? xasprintf("%s…", cut) : NULL;
}

/* NULL: was not there, is not there. */
static int differ(Check *c, const Node *a, const Node *b, const Path *where) {
        _cleanup_strbuf_ StrBuf path = {};
        _cleanup_free_ char *at = NULL, *was = NULL, *is = NULL;

        append_path(&path, where);
        at = strbuf_take(&path);
        was = a ? shown(a) : NULL;
        is = b ? shown(b) : NULL;
        if (!at || (a && !was) || (b && !is))
                return -ENOMEM;
        if (was && is)
                return add_difference(c, xasprintf(_("%s: was %s, is %s"), at, was, is));
        if (was)
                return add_difference(c, xasprintf(_("%s: was %s, is gone"), at, was));
        return add_difference(c, xasprintf(_("%s: was not there, is %s"), at, is));
}

/* ---- values ---- */

static int compare_values(Check *c, const Node *a, const Node *b, const Path *where);

typedef struct Members {
        const Node *map;
        Hashmap *by_key;                                /* of a large map */
} Members;

static void members_done(Members *m) {
        hashmap_free(m->by_key);
}

static int members_init(Members *m, const Node *map) {
        *m = (Members) { .map = map };
        if (map->n_children <= MAP_PAIRWISE_MAX)
                return 0;
        m->by_key = hashmap_new();
        for (size_t i = 0; m->by_key && i < map->n_children; i++)
                if (hashmap_put(m->by_key, map->children[i]->key, map->children[i]) == -ENOMEM)
                        return -ENOMEM;
        return m->by_key ? 0 : -ENOMEM;
}

static const Node *members_get(const Members *m, const char *key) {
        return m->by_key ? hashmap_get(m->by_key, key) : node_get(m->map, key);
}

static bool is_one_of(const char *key, const char *const *names) {
        for (; names && *names; names++)
                if (streq(*names, key))
                        return true;
        return false;
}

/* Two maps, but for these keys (NULL: all): in the order of the old one, then what is new. */
static int compare_maps(Check *c, const Node *a, const Node *b, const char *const *but, const Path *where) {
        _cleanup_(members_done) Members of_a = {}, of_b = {};
        int r = members_init(&of_a, a);

        if (r >= 0)
                r = members_init(&of_b, b);
        for (size_t i = 0; r >= 0 && i < a->n_children && !is_full(c); i++)
                if (!is_one_of(a->children[i]->key, but))
                        r = compare_values(c, a->children[i], members_get(&of_b, a->children[i]->key),
                                           &(Path) { .up = where, .key = a->children[i]->key });
        for (size_t i = 0; r >= 0 && i < b->n_children && !is_full(c); i++)
                if (!is_one_of(b->children[i]->key, but) && !members_get(&of_a, b->children[i]->key))
                        r = differ(c, NULL, b->children[i], &(Path) { .up = where, .key = b->children[i]->key });
        return r;
}

/* Steps are known by their names where they have any. */
static const char *element_name(const Node *a, const Node *b) {
        const Node *m = node_get(a, "name"), *n = node_get(b, "name");

        return m && n && m->type == NODE_STRING && n->type == NODE_STRING && streq(m->string, n->string) ? m->string : NULL;
}

/* An element that came or went moves all behind it: of lists of different lengths only the first difference says something. */
static int compare_lists(Check *c, const Node *a, const Node *b, const Path *where) {
        unsigned before = c->n_differences;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < MAX(a->n_children, b->n_children) && !is_full(c); i++) {
                const Node *x = i < a->n_children ? a->children[i] : NULL, *y = i < b->n_children ? b->children[i] : NULL;

                if (a->n_children != b->n_children && c->n_differences > before)
                        break;
                r = compare_values(c, x, y, &(Path) { .up = where, .key = x && y ? element_name(x, y) : NULL, .number = i + 1 });
        }
        return r;
}

static bool scalars_equal(const Node *a, const Node *b) {
        switch (a->type) {
        case NODE_NULL:
                return true;
        case NODE_BOOL:
                return a->boolean == b->boolean;
        case NODE_INT:
        case NODE_DOUBLE:
        case NODE_STRING:
                return a->length == b->length && memcmp(a->string, b->string, a->length) == 0;
        case NODE_LIST:
        case NODE_MAP:
                break;
        }
        return false;
}

/* NULL: not there. */
static int compare_values(Check *c, const Node *a, const Node *b, const Path *where) {
        if (is_full(c))
                return 0;
        if (!a || !b || a->type != b->type)
                return a || b ? differ(c, a, b, where) : 0;
        if (a->type == NODE_MAP)
                return compare_maps(c, a, b, NULL, where);
        if (a->type == NODE_LIST)
                return compare_lists(c, a, b, where);
        return scalars_equal(a, b) ? 0 : differ(c, a, b, where);
}

/* ---- needs ---- */

/* What runs in order: the phases of a runbook, or the activities of one phase. */
typedef struct Level {
        const Graph *old, *new;
        const char *const *old_names, *const *new_names; /* by node */
        const unsigned *old_to_new, *new_to_old;        /* NOWHERE: not there (or not in this phase) */
        const Frozen *frozen;                           /* by old node */
        Frozen from;                                    /* which of them may need nothing else */
} Level;

#define NOWHERE UINT32_MAX

/* Needs that came, and those that went or stand behind it now; that something frozen is gone has been said already. */
static int say_needs(Check *c, const Level *l, unsigned old_node, unsigned new_node) {
        int r = 0;

        for (unsigned i = 0; i < new_node && r >= 0 && !is_full(c); i++)
                if (l->new_to_old[i] == NOWHERE || l->new_to_old[i] >= old_node)
                        r = add_difference(c, xasprintf(_("%s would have to run before %s, which has begun"), l->new_names[i],
                                                        l->old_names[old_node]));
        for (unsigned i = 0; i < old_node && r >= 0 && !is_full(c); i++)
                if (l->old_to_new[i] == NOWHERE ? l->frozen[i] == FROZEN_NOT : l->old_to_new[i] >= new_node)
                        r = add_difference(c, xasprintf(_("%s, which has begun, needed %s and would not any more"), l->old_names[old_node],
                                                        l->old_names[i]));
        return r;
}

/* Written needs were compared as values: this is about those that need everything before them. Their needs are the same where that many
 * nodes stand before them, all of which stood there. Only the first that differs in a level is spoken of: those after it differ by the
 * same. */
static int compare_needs(Check *c, const Level *l) {
        unsigned last = 0;                              /* one past the furthest place that a node of the old prefix has now */
        bool gone = false;

        for (unsigned i = 0; i < l->old->n_nodes; i++) {
                unsigned now = l->old_to_new[i];

                if (l->frozen[i] >= l->from && now != NOWHERE && !l->old->nodes[i].explicit_needs && !l->new->nodes[now].explicit_needs &&
                    (gone || now != i || last > now))
                        return say_needs(c, l, i, now);
                if (now == NOWHERE)
                        gone = true;
                else
                        last = MAX(last, now + 1);
        }
        return 0;
}

/* Room for the names and places of a level. */
typedef struct LevelRoom {
        const char **old_names, **new_names;
        unsigned *old_to_new, *new_to_old;
} LevelRoom;

static void room_done(LevelRoom *r) {
        free(r->old_names);
        free(r->new_names);
        free(r->old_to_new);
        free(r->new_to_old);
}

static int room_init(LevelRoom *r, size_t n_old, size_t n_new) {
        *r = (LevelRoom) { calloc(n_old + 1, sizeof(char *)), calloc(n_new + 1, sizeof(char *)), calloc(n_old + 1, sizeof(unsigned)),
                           calloc(n_new + 1, sizeof(unsigned)) };
        return r->old_names && r->new_names && r->old_to_new && r->new_to_old ? 0 : -ENOMEM;
}

/* ---- activities ---- */

static const Node *phase_node(const Node *root, const PhaseDef *p) {
        return node_get(root, "phases")->children[p->index];
}

static const Node *activity_node(const Node *root, const Runbook *rb, const ActivityDef *a) {
        return node_get(phase_node(root, &rb->phases[a->phase]), "activities")->children[a->node];
}

static int compare_activity(Check *c, const ActivityDef *a, const ActivityDef *b, const Path *of_phase) {
        const Path list = { .up = of_phase, .key = "activities" }, where = { .up = &list, .key = a->name };

        return compare_values(c, activity_node(c->old_root, c->old, a), activity_node(c->new_root, c->new, b), &where);
}

static int check_activity(Check *c, const ActivityDef *a, const Path *of_phase) {
        const PhaseDef *p = &c->old->phases[a->phase];
        const ActivityDef *b = runbook_activity(c->new, a->name);
        Frozen f = c->freeze->activities[a->index];

        if (f == FROZEN_NOT && c->freeze->phases[p->index] != FROZEN_ALL)
                return 0;
        if (!b)
                return add_difference(c, xasprintf(_("activity %s is gone"), a->name));
        if (!streq(c->new->phases[b->phase].name, p->name))
                return add_difference(c, xasprintf(_("activity %s was in phase %s, is in phase %s"), a->name, p->name,
                                                   c->new->phases[b->phase].name));
        return f == FROZEN_ALL ? compare_activity(c, a, b, of_phase) : 0;
}

static unsigned node_in_phase(const Runbook *rb, const PhaseDef *p, const char *name) {
        const ActivityDef *a = runbook_activity(rb, name);

        return a && a->phase == p->index ? a->node : NOWHERE;
}

static int check_order_in_phase(Check *c, const PhaseDef *p, const PhaseDef *q) {
        _cleanup_(room_done) LevelRoom room = {};
        int r = room_init(&room, p->n_activities, q->n_activities);

        if (r < 0)
                return r;
        for (unsigned i = 0; i < p->n_activities; i++) {
                room.old_names[i] = c->old->activities[p->first_activity + i].name;
                room.old_to_new[i] = node_in_phase(c->new, q, room.old_names[i]);
        }
        for (unsigned i = 0; i < q->n_activities; i++) {
                room.new_names[i] = c->new->activities[q->first_activity + i].name;
                room.new_to_old[i] = node_in_phase(c->old, p, room.new_names[i]);
        }
        return compare_needs(c, &(Level) { .old = &p->graph, .new = &q->graph, .old_names = room.old_names, .new_names = room.new_names,
                                           .old_to_new = room.old_to_new, .new_to_old = room.new_to_old,
                                           .frozen = c->freeze->activities + p->first_activity, .from = FROZEN_ALL });
}

static int check_new_activities(Check *c, const PhaseDef *p, const PhaseDef *q) {
        int r = 0;

        for (unsigned i = 0; i < q->n_activities && r >= 0 && !is_full(c); i++) {
                const char *name = c->new->activities[q->first_activity + i].name;

                if (node_in_phase(c->old, p, name) == NOWHERE)
                        r = add_difference(c, xasprintf(_("activity %s is new in phase %s, which has ended"), name, q->name));
        }
        return r;
}

/* ---- phases ---- */

static int check_header(Check *c, const PhaseDef *p, const PhaseDef *q, const Path *where) {
        static const char *const but[] = { "activities", "description", NULL };

        return compare_maps(c, phase_node(c->old_root, p), phase_node(c->new_root, q), but, where);
}

/* q: what it is now, NULL: gone. */
static int check_phase(Check *c, const PhaseDef *p, const PhaseDef *q) {
        const Path phases = { .key = "phases" }, where = { .up = &phases, .key = p->name };
        Frozen f = c->freeze->phases[p->index];
        int r = 0;

        if (f != FROZEN_NOT && !q)
                return add_difference(c, xasprintf(_("phase %s is gone"), p->name));
        if (f != FROZEN_NOT)
                r = check_header(c, p, q, &where);
        for (unsigned i = 0; i < p->n_activities && r >= 0 && !is_full(c); i++)
                r = check_activity(c, &c->old->activities[p->first_activity + i], &where);
        if (r >= 0 && q && f == FROZEN_ALL)
                r = check_new_activities(c, p, q);
        if (r >= 0 && q && !is_full(c))
                r = check_order_in_phase(c, p, q);
        return r;
}

static int check_order_of_phases(Check *c) {
        _cleanup_(room_done) LevelRoom room = {};
        int r = room_init(&room, c->old->n_phases, c->new->n_phases);

        if (r < 0)
                return r;
        for (unsigned i = 0; i < c->old->n_phases; i++) {
                const PhaseDef *q = runbook_phase(c->new, c->old->phases[i].name);

                room.old_names[i] = c->old->phases[i].name;
                room.old_to_new[i] = q ? q->index : NOWHERE;
        }
        for (unsigned i = 0; i < c->new->n_phases; i++) {
                const PhaseDef *p = runbook_phase(c->old, c->new->phases[i].name);

                room.new_names[i] = c->new->phases[i].name;
                room.new_to_old[i] = p ? p->index : NOWHERE;
        }
        return compare_needs(c, &(Level) { .old = &c->old->graph, .new = &c->new->graph, .old_names = room.old_names,
                                           .new_names = room.new_names, .old_to_new = room.old_to_new, .new_to_old = room.new_to_old,
                                           .frozen = c->freeze->phases, .from = FROZEN_PLACE });
}

/* ---- the whole ---- */

static int check_defaults(Check *c) {
        static const char *const keys[] = { "defaults", "env" };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(keys) && r >= 0; i++)
                r = compare_values(c, node_get(c->old_root, keys[i]), node_get(c->new_root, keys[i]), &(Path) { .key = keys[i] });
        return r;
}

static int check_all(Check *c) {
        int r = 0;

        if (!streq(c->old->name, c->new->name))
                r = add_difference(c, xasprintf(_("%s: was %s, is %s"), "name", c->old->name, c->new->name));
        if (r >= 0 && c->freeze->defaults)
                r = check_defaults(c);
        for (unsigned i = 0; i < c->old->n_phases && r >= 0 && !is_full(c); i++)
                r = check_phase(c, &c->old->phases[i], runbook_phase(c->new, c->old->phases[i].name));
        if (r >= 0 && !is_full(c))
                r = check_order_of_phases(c);
        return r;
}

static int say_all(Check *c, char **ret_error) {
        _cleanup_free_ char *lines = strbuf_take(&c->lines), *text = NULL;

        if (!lines)
                return -ENOMEM;
        text = xasprintf(_("The new text of the runbook %s changes what has already run. Undo these changes, or do that part again in a "
                           "new run "
                           "(\"runbookctl replay --from\", or \"runbookctl rerun\" for all of it):%s"),
                         c->old->name, lines);
        if (!text)
                return -ENOMEM;
        *ret_error = TAKE_PTR(text);
        return -EPROTO;
}

/* It was parsed before, when the runbook was made of it. */
static int parse(const Runbook *rb, Tree **ret) {
        _cleanup_diag_ Diagnostics d = {};
        int r = tree_parse(rb->text, rb->text_size, rb->format, &d, ret);

        return r == -EINVAL ? -EBADMSG : r;
}

static int check_init(Check *c, Tree **ret_old, Tree **ret_new) {
        int r = parse(c->old, ret_old);

        if (r >= 0)
                r = parse(c->new, ret_new);
        if (r < 0)
                return r;
        c->old_root = tree_root(*ret_old);
        c->new_root = tree_root(*ret_new);
        return 0;
}

int definition_change_check(const Runbook *old, const Runbook *new, const Freeze *f, char **ret_error) {
        _cleanup_(tree_freep) Tree *old_tree = NULL, *new_tree = NULL;
        Check c = { .old = old, .new = new, .freeze = f };
        int r;

        if (streq(old->hash, new->hash))
                return 0;
        r = check_init(&c, &old_tree, &new_tree);
        if (r >= 0)
                r = check_all(&c);
        if (r >= 0 && c.n_differences > 0)
                r = say_all(&c, ret_error);
        strbuf_done(&c.lines);
        return r;
}
