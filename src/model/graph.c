/* Who waits for whom, among the phases of a runbook or the activities of a phase.
 *
 * Two kinds of nodes: those with written needs, which carry them as edges both ways, and those without, which wait for everything before
 * them. The second kind has no edges at all: since such a node waits for a whole prefix, one number (how long a prefix has ended) answers
 * for all of them, and at any time at most one of them can become ready. So definition and progress stay linear in the size of the file.
 *
 * "Bad" is contagious by the caller's word: a node that is skipped because something that it needed failed is ended as bad too. */
#include "graph.h"

enum {
        NODE_ENDED = 1,
        NODE_BAD = 2,
        NODE_TOLD = 4,                                  /* ready() was called: the callback may itself end nodes, and still nobody is told twice */
};

int graph_init(Graph *g, unsigned n) {
        GraphNode *nodes = calloc(n ? n : 1, sizeof(GraphNode));

        if (!nodes)
                return -ENOMEM;
        *g = (Graph) { .nodes = nodes, .n_nodes = n };
        return 0;
}

void graph_done(Graph *g) {
        for (unsigned i = 0; i < g->n_nodes; i++) {
                free(g->nodes[i].needs);
                free(g->nodes[i].dependents);
        }
        free(g->nodes);
        *g = (Graph) {};
}

int graph_set_needs(Graph *g, unsigned node, const unsigned *needs, unsigned n) {
        GraphNode *v = g->nodes + node;
        unsigned *copy;

        assert(node < g->n_nodes);
        copy = malloc((n ? n : 1) * sizeof(unsigned));
        if (!copy)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) {
                assert(needs[i] < g->n_nodes);
                copy[i] = needs[i];
        }
        free(v->needs);
        v->needs = copy;
        v->n_needs = n;
        v->explicit_needs = true;
        return 0;
}

static int fill_dependents(Graph *g) {
        for (unsigned i = 0; i < g->n_nodes; i++) {
                free(g->nodes[i].dependents);
                g->nodes[i].dependents = NULL;
                g->nodes[i].n_dependents = 0;
        }
        for (unsigned i = 0; i < g->n_nodes; i++)
                for (unsigned k = 0; k < g->nodes[i].n_needs; k++)
                        g->nodes[g->nodes[i].needs[k]].n_dependents++;
        for (unsigned i = 0; i < g->n_nodes; i++) {
                GraphNode *v = g->nodes + i;

                if (v->n_dependents > 0 && !(v->dependents = calloc(v->n_dependents, sizeof(unsigned)))) {
                        v->n_dependents = 0;
                        return -ENOMEM;
                }
                v->n_dependents = 0;
        }
        for (unsigned i = 0; i < g->n_nodes; i++)
                for (unsigned k = 0; k < g->nodes[i].n_needs; k++) {
                        GraphNode *need = g->nodes + g->nodes[i].needs[k];
                        need->dependents[need->n_dependents++] = i;
                }
        return 0;
}

/* Plays the whole graph through: what can't end is on a cycle or behind one. */
typedef struct Play {
        GraphState state;
        unsigned *queue, n_queue;
} Play;

static void play_ready(void *userdata, unsigned node) {
        Play *p = userdata;

        p->queue[p->n_queue++] = node;
}

static void play_all(Play *p) {
        const Graph *g = p->state.graph;

        for (unsigned i = 0; i < g->n_nodes; i++)
                if (graph_is_ready(&p->state, i))
                        play_ready(p, i);
        for (unsigned done = 0; done < p->n_queue; done++)
                graph_end(&p->state, p->queue[done], false, play_ready, p);
}

static unsigned an_unended_need(const GraphState *s, unsigned node) {
        const GraphNode *v = s->graph->nodes + node;

        if (!v->explicit_needs)
                return s->prefix;
        for (unsigned k = 0; k < v->n_needs; k++)
                if (!graph_has_ended(s, v->needs[k]))
                        return v->needs[k];
        return node;
}

/* From any node that can't end, going from need to need must come back to where it has been: there the cycle begins. */
static int find_cycle(const GraphState *s, unsigned **ret_cycle, unsigned *ret_n) {
        _cleanup_free_ unsigned *seen_at = calloc(s->graph->n_nodes, sizeof(unsigned)), *path = calloc(s->graph->n_nodes, sizeof(unsigned));
        unsigned n = 0, node = s->prefix, first;

        if (!seen_at || !path)
                return -ENOMEM;
        while (seen_at[node] == 0) {
                path[n++] = node;
                seen_at[node] = n;
                node = an_unended_need(s, node);
        }
        first = seen_at[node] - 1;
        memmove(path, path + first, (n - first) * sizeof(unsigned));
        if (ret_n)
                *ret_n = n - first;
        if (ret_cycle)
                *ret_cycle = TAKE_PTR(path);
        return -ELOOP;
}

int graph_finish(Graph *g, unsigned **ret_cycle, unsigned *ret_n) {
        Play p = {};
        int r;

        r = fill_dependents(g);
        if (r < 0)
                return r;
        r = graph_state_init(&p.state, g);
        if (r < 0)
                return r;
        p.queue = calloc(g->n_nodes ? g->n_nodes : 1, sizeof(unsigned));
        if (!p.queue)
                r = -ENOMEM;
        else {
                play_all(&p);
                if (p.state.n_ended < g->n_nodes)
                        r = find_cycle(&p.state, ret_cycle, ret_n);
        }
        free(p.queue);
        graph_state_done(&p.state);
        return r;
}

typedef struct Walk {
        const Graph *g;
        uint8_t *seen;
        unsigned *queue, n_queue;
        unsigned prefix;                                /* of needs: all below were reached; of dependents: all from here on that have no
                                                         * written needs */
} Walk;

static void walk_add(Walk *w, unsigned node) {
        if (!w->seen[node]) {
                w->seen[node] = 1;
                w->queue[w->n_queue++] = node;
        }
}

static void walk_needs(Walk *w, unsigned node) {
        const GraphNode *v = w->g->nodes + node;

        if (v->explicit_needs)
                for (unsigned k = 0; k < v->n_needs; k++)
                        walk_add(w, v->needs[k]);
        else
                for (; w->prefix < node; w->prefix++)
                        walk_add(w, w->prefix);
}

int graph_ancestors(const Graph *g, unsigned node, unsigned known, uint8_t *set) {
        _cleanup_free_ unsigned *queue = malloc((g->n_nodes + 1) * sizeof(unsigned));
        Walk w = { .g = g, .seen = set, .queue = queue };

        assert(node < g->n_nodes);
        if (!queue)
                return -ENOMEM;
        if (known < g->n_nodes)
                set[known] = 1;
        else
                memset(set, 0, g->n_nodes);
        walk_needs(&w, node);
        for (unsigned i = 0; i < w.n_queue; i++)
                walk_needs(&w, queue[i]);
        return 0;
}

/* Those without written needs stand behind it; w->prefix: from there on they have been reached. */
static void walk_dependents(Walk *w, unsigned node) {
        const GraphNode *v = w->g->nodes + node;

        for (unsigned k = 0; k < v->n_dependents; k++)
                walk_add(w, v->dependents[k]);
        while (w->prefix > node + 1)
                if (!w->g->nodes[--w->prefix].explicit_needs)
                        walk_add(w, w->prefix);
}

int graph_descendants(const Graph *g, const uint8_t *from, uint8_t *set) {
        _cleanup_free_ unsigned *queue = malloc((g->n_nodes + 1) * sizeof(unsigned));
        Walk w = { .g = g, .seen = set, .queue = queue, .prefix = g->n_nodes };

        if (!queue)
                return -ENOMEM;
        memset(set, 0, g->n_nodes);
        for (unsigned i = 0; i < g->n_nodes; i++)
                if (from[i])
                        walk_dependents(&w, i);
        for (unsigned i = 0; i < w.n_queue; i++)
                walk_dependents(&w, queue[i]);
        return 0;
}

int graph_state_init(GraphState *s, const Graph *g) {
        unsigned *unmet = calloc(MAX(g->n_nodes, 1u), sizeof(unsigned) + sizeof(uint8_t));

        if (!unmet)
                return -ENOMEM;
        for (unsigned i = 0; i < g->n_nodes; i++)
                unmet[i] = g->nodes[i].n_needs;
        *s = (GraphState) { .graph = g, .unmet = unmet, .flags = (uint8_t *) (unmet + g->n_nodes), .first_bad = g->n_nodes };
        return 0;
}

void graph_state_done(GraphState *s) {
        free(s->unmet);
        *s = (GraphState) {};
}

bool graph_is_ready(const GraphState *s, unsigned node) {
        return s->graph->nodes[node].explicit_needs ? s->unmet[node] == 0 : s->prefix >= node;
}

bool graph_has_ended(const GraphState *s, unsigned node) {
        return s->flags[node] & NODE_ENDED;
}

static void tell_ready(GraphState *s, unsigned node, void (*ready)(void *userdata, unsigned node), void *userdata) {
        if (!ready || s->flags[node] & (NODE_ENDED | NODE_TOLD))
                return;
        s->flags[node] |= NODE_TOLD;
        ready(userdata, node);
}

void graph_end(GraphState *s, unsigned node, bool bad, void (*ready)(void *userdata, unsigned node), void *userdata) {
        const GraphNode *v = s->graph->nodes + node;
        unsigned before = s->prefix;

        if (graph_has_ended(s, node))
                return;
        s->flags[node] |= NODE_ENDED | (bad ? NODE_BAD : 0);
        s->n_ended++;
        if (bad && node < s->first_bad)
                s->first_bad = node;
        while (s->prefix < s->graph->n_nodes && graph_has_ended(s, s->prefix))
                s->prefix++;
        for (unsigned i = 0; i < v->n_dependents; i++)
                s->unmet[v->dependents[i]]--;

        /* All counts first, then the calls, so that a callback that looks at the state sees all of it. */
        for (unsigned i = 0; i < v->n_dependents; i++)
                if (s->unmet[v->dependents[i]] == 0)
                        tell_ready(s, v->dependents[i], ready, userdata);
        if (s->prefix != before && s->prefix < s->graph->n_nodes && !s->graph->nodes[s->prefix].explicit_needs)
                tell_ready(s, s->prefix, ready, userdata);
}

bool graph_chain_failed(const GraphState *s, unsigned node, unsigned *ret_need) {
        const GraphNode *v = s->graph->nodes + node;
        unsigned found = s->graph->n_nodes;

        if (!v->explicit_needs)
                found = s->first_bad < node ? s->first_bad : found;
        else
                for (unsigned k = 0; k < v->n_needs && found == s->graph->n_nodes; k++)
                        if (s->flags[v->needs[k]] & NODE_BAD)
                                found = v->needs[k];
        if (found == s->graph->n_nodes)
                return false;
        if (ret_need)
                *ret_need = found;
        return true;
}
