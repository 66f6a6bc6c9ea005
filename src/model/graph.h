/* Order among the phases of a runbook or the activities of a phase: who waits for whom. Definition (Graph, immutable) and progress (GraphState)
 * apart. A node without `needs:` waits for everything written before it; that is kept as a flag, not as n² edges, so 10,000 nodes cost 10,000. */
#pragma once

#include "macros.h"

typedef struct GraphNode {
        bool explicit_needs;                            /* false: everything before it */
        unsigned *needs, n_needs;
        unsigned *dependents, n_dependents;             /* nodes that name this one; filled by graph_finish */
} GraphNode;

typedef struct Graph {
        GraphNode *nodes;
        unsigned n_nodes;
} Graph;

int graph_init(Graph *g, unsigned n);
void graph_done(Graph *g);
int graph_set_needs(Graph *g, unsigned node, const unsigned *needs, unsigned n); /* explicit, also for n = 0; no node twice */
/* Fills dependents and looks for a cycle: -ELOOP and one cycle's nodes in *ret_cycle (new array, first node not repeated). Default needs count as edges too. */
int graph_finish(Graph *g, unsigned **ret_cycle, unsigned *ret_n);
/* All that must have ended before `node` starts: set[i] becomes 1 for those and 0 for others (n_nodes bytes, the caller's). Where the set holds
 * what precedes a node that this one needs, that node as `known` spares walking it again; n_nodes: nothing is known. 0 or -ENOMEM. */
int graph_ancestors(const Graph *g, unsigned node, unsigned known, uint8_t *set);
/* All that wait, transitively, for one of the nodes in `from` (from[i] not 0): set[i] becomes 1 for those and 0 for others. One that is in
 * `from` is in the set only where it waits for another of them. Linear. 0 or -ENOMEM. */
int graph_descendants(const Graph *g, const uint8_t *from, uint8_t *set);

typedef struct GraphState {
        const Graph *graph;                             /* borrowed */
        unsigned *unmet;                                /* explicit needs that have not ended */
        uint8_t *flags;                                 /* ended, bad, told: private; behind the above in the same memory */
        unsigned prefix;                                /* nodes [0, prefix) have ended */
        unsigned first_bad;                             /* the lowest ended node whose chain failed; n_nodes: none */
        unsigned n_ended;
} GraphState;

int graph_state_init(GraphState *s, const Graph *g);
void graph_state_done(GraphState *s);
/* Node has ended. `bad`: it failed for good or was cancelled, or something that it needed did (its chain failed): what needs it must not start by success().
 * Calls ready(userdata, node) once for each node whose needs have now all ended. Cost: its dependents plus what the prefix moves over. */
void graph_end(GraphState *s, unsigned node, bool bad, void (*ready)(void *userdata, unsigned node), void *userdata);
bool graph_is_ready(const GraphState *s, unsigned node); /* all needs ended */
bool graph_has_ended(const GraphState *s, unsigned node);
/* Has any need of it a failed chain? If so *ret_need, if given, is one such direct need (the first). */
bool graph_chain_failed(const GraphState *s, unsigned node, unsigned *ret_need);
