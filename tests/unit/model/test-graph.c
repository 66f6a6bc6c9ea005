/* Order and progress, checked against a plain model: an edge for every need, also the default ones, and sets computed by closure. */
#include "test.h"

#include "graph.h"

#define MODEL_MAX 12u

typedef struct Model {
        unsigned n;
        bool needs[MODEL_MAX][MODEL_MAX];               /* [b][a]: b needs a */
} Model;

static unsigned random_below(uint64_t *seed, unsigned n) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        return (unsigned) (*seed >> 33) % n;
}

static void make_random(uint64_t *seed, bool forward_only, Graph *g, Model *m) {
        m->n = 1 + random_below(seed, MODEL_MAX);
        memset(m->needs, 0, sizeof(m->needs));
        assert_ok(graph_init(g, m->n));
        for (unsigned b = 0; b < m->n; b++) {
                unsigned needs[MODEL_MAX], n = 0;
                if (random_below(seed, 2) == 0) {
                        for (unsigned a = 0; a < b; a++)
                                m->needs[b][a] = true;
                        continue;
                }
                for (unsigned a = 0; a < m->n; a++)
                        if ((a < b || (!forward_only && random_below(seed, 4) == 0)) && random_below(seed, 3) == 0) {
                                m->needs[b][a] = true;
                                needs[n++] = a;
                        }
                assert_ok(graph_set_needs(g, b, needs, n));
        }
}

static void closure(const Model *m, bool reach[MODEL_MAX][MODEL_MAX]) {
        memcpy(reach, m->needs, sizeof(m->needs));
        for (unsigned k = 0; k < m->n; k++)
                for (unsigned i = 0; i < m->n; i++)
                        for (unsigned j = 0; j < m->n; j++)
                                reach[i][j] = reach[i][j] || (reach[i][k] && reach[k][j]);
}

static bool has_cycle(const Model *m) {
        bool reach[MODEL_MAX][MODEL_MAX];

        closure(m, reach);
        for (unsigned i = 0; i < m->n; i++)
                if (reach[i][i])
                        return true;
        return false;
}

static void check_cycle(const Model *m, const unsigned *cycle, unsigned n) {
        assert_true(n >= 1 && n <= m->n);
        for (unsigned i = 0; i < n; i++) {
                assert_true(m->needs[cycle[i]][cycle[(i + 1) % n]]);
                for (unsigned j = 0; j < i; j++)
                        assert_int_not_equal(cycle[i], cycle[j]);
        }
}

static void test_random_cycles(void **state) {
        uint64_t seed = 1;
        unsigned cyclic = 0;

        for (unsigned i = 0; i < 5000; i++) {
                unsigned *cycle = NULL, n = 0;
                Graph g;
                Model m;
                int r;

                make_random(&seed, false, &g, &m);
                r = graph_finish(&g, &cycle, &n);
                assert_int_equal(r, has_cycle(&m) ? -ELOOP : 0);
                if (r == -ELOOP) {
                        check_cycle(&m, cycle, n);
                        cyclic++;
                }
                free(cycle);
                graph_done(&g);
        }
        assert_in_range(cyclic, 500, 4500);             /* both kinds were there */
}

static void test_random_ancestors(void **state) {
        uint64_t seed = 2;

        for (unsigned i = 0; i < 2000; i++) {
                bool reach[MODEL_MAX][MODEL_MAX];
                uint8_t set[MODEL_MAX];
                Graph g;
                Model m;

                make_random(&seed, true, &g, &m);
                assert_ok(graph_finish(&g, NULL, NULL));
                closure(&m, reach);
                for (unsigned b = 0; b < m.n; b++) {
                        assert_ok(graph_ancestors(&g, b, m.n, set));
                        for (unsigned a = 0; a < m.n; a++)
                                assert_int_equal(set[a], reach[b][a]);
                }
                graph_done(&g);
        }
}

/* From what precedes one of its needs to what precedes a node. */
static void test_random_ancestors_from_known(void **state) {
        uint64_t seed = 5;

        for (unsigned i = 0; i < 2000; i++) {
                uint8_t all[MODEL_MAX], set[MODEL_MAX];
                Graph g;
                Model m;

                make_random(&seed, true, &g, &m);
                assert_ok(graph_finish(&g, NULL, NULL));
                for (unsigned b = 0; b < m.n; b++)
                        for (unsigned need = 0; need < m.n; need++) {
                                if (!m.needs[b][need])
                                        continue;
                                assert_ok(graph_ancestors(&g, b, m.n, all));
                                assert_ok(graph_ancestors(&g, need, m.n, set));
                                assert_ok(graph_ancestors(&g, b, need, set));
                                assert_memory_equal(set, all, m.n);
                        }
                graph_done(&g);
        }
}

/* From a set to all that wait for one of it. */
static void test_random_descendants(void **state) {
        uint64_t seed = 6;

        for (unsigned i = 0; i < 2000; i++) {
                bool reach[MODEL_MAX][MODEL_MAX];
                uint8_t from[MODEL_MAX] = {}, set[MODEL_MAX];
                Graph g;
                Model m;

                make_random(&seed, true, &g, &m);
                assert_ok(graph_finish(&g, NULL, NULL));
                closure(&m, reach);
                for (unsigned a = 0; a < m.n; a++)
                        from[a] = random_below(&seed, 4) == 0;
                assert_ok(graph_descendants(&g, from, set));
                for (unsigned b = 0; b < m.n; b++) {
                        bool expected = false;
                        for (unsigned a = 0; a < m.n; a++)
                                expected = expected || (from[a] && reach[b][a]);
                        assert_int_equal(set[b], expected);
                }
                graph_done(&g);
        }
}

typedef struct Told {
        unsigned times[MODEL_MAX];
} Told;

static void tell(void *userdata, unsigned node) {
        ((Told *) userdata)->times[node]++;
}

static void check_state(const Model *m, const GraphState *s, const bool *ended, const bool *bad) {
        for (unsigned b = 0; b < m->n; b++) {
                unsigned need = UINT32_MAX, first_bad = UINT32_MAX;
                bool ready = true, chain = false;
                for (unsigned a = 0; a < m->n; a++)
                        if (m->needs[b][a]) {
                                ready = ready && ended[a];
                                if (ended[a] && bad[a] && !chain) {
                                        chain = true;
                                        first_bad = a;
                                }
                        }
                assert_int_equal(graph_is_ready(s, b), ready);
                assert_int_equal(graph_has_ended(s, b), ended[b]);
                assert_int_equal(graph_chain_failed(s, b, &need), chain);
                assert_int_equal(need, first_bad);
        }
}

/* Nodes end in any order that is possible, some bad. */
static void test_random_progress(void **state) {
        uint64_t seed = 3;

        for (unsigned i = 0; i < 2000; i++) {
                bool ended[MODEL_MAX] = {}, bad[MODEL_MAX] = {};
                Told told = {};
                GraphState s;
                Graph g;
                Model m;

                make_random(&seed, true, &g, &m);
                assert_ok(graph_finish(&g, NULL, NULL));
                assert_ok(graph_state_init(&s, &g));
                check_state(&m, &s, ended, bad);
                for (unsigned step = 0; step < 4 * m.n; step++) {
                        unsigned node = random_below(&seed, m.n);
                        bool before[MODEL_MAX];

                        for (unsigned b = 0; b < m.n; b++)
                                before[b] = graph_is_ready(&s, b);
                        memset(&told, 0, sizeof(told));
                        if (!ended[node] && graph_is_ready(&s, node)) {
                                ended[node] = true;
                                bad[node] = random_below(&seed, 4) == 0;
                                graph_end(&s, node, bad[node], tell, &told);
                                for (unsigned b = 0; b < m.n; b++)
                                        assert_int_equal(told.times[b], !before[b] && graph_is_ready(&s, b));
                        }
                        check_state(&m, &s, ended, bad);
                }
                graph_state_done(&s);
                graph_done(&g);
        }
}

static void test_end_twice(void **state) {
        GraphState s;
        Told told = {};
        Graph g;

        assert_ok(graph_init(&g, 2));
        assert_ok(graph_finish(&g, NULL, NULL));
        assert_ok(graph_state_init(&s, &g));
        graph_end(&s, 0, false, tell, &told);
        graph_end(&s, 0, true, tell, &told);
        assert_int_equal(s.n_ended, 1);
        assert_int_equal(told.times[1], 1);
        assert_false(graph_chain_failed(&s, 1, NULL));
        graph_state_done(&s);
        graph_done(&g);
}

typedef struct Cascade {
        GraphState state;
        Told told;
} Cascade;

static void end_at_once(void *userdata, unsigned node) {
        Cascade *c = userdata;

        tell(&c->told, node);
        graph_end(&c->state, node, true, end_at_once, c);
}

/* A callback that ends what it is told of (a skipped chain): each node is told once. */
static void test_cascade(void **state) {
        uint64_t seed = 4;

        for (unsigned i = 0; i < 500; i++) {
                Cascade c = {};
                Graph g;
                Model m;

                make_random(&seed, true, &g, &m);
                assert_ok(graph_finish(&g, NULL, NULL));
                assert_ok(graph_state_init(&c.state, &g));
                for (unsigned k = 0; k < m.n; k++)
                        if (graph_is_ready(&c.state, k) && !graph_has_ended(&c.state, k))
                                end_at_once(&c, k);
                assert_int_equal(c.state.n_ended, m.n);
                for (unsigned k = 0; k < m.n; k++)
                        assert_int_equal(c.told.times[k], 1);
                graph_state_done(&c.state);
                graph_done(&g);
        }
}

static void count(void *userdata, unsigned node) {
        (*(unsigned *) userdata)++;
}

/* Default needs cost no edges: the cap of activities runs through at once. */
static void test_large(void **state) {
        const unsigned n = 10000;
        unsigned ready = 0;
        GraphState s;
        Graph g;

        assert_ok(graph_init(&g, n));
        assert_ok(graph_finish(&g, NULL, NULL));
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(g.nodes[i].n_needs + g.nodes[i].n_dependents, 0);
        assert_ok(graph_state_init(&s, &g));
        for (unsigned i = 0; i < n; i++) {
                assert_true(graph_is_ready(&s, i));
                graph_end(&s, i, false, count, &ready);
        }
        assert_int_equal(ready, n - 1);
        graph_state_done(&s);
        graph_done(&g);
}

static void test_cycle_through_default_needs(void **state) {
        unsigned *cycle = NULL, n = 0, needs = 2;
        Graph g;

        assert_ok(graph_init(&g, 3));
        assert_ok(graph_set_needs(&g, 0, &needs, 1));   /* 0 needs 2, which by default needs 0 and 1 */
        assert_int_equal(graph_finish(&g, &cycle, &n), -ELOOP);
        assert_int_equal(n, 2);
        assert_int_equal(cycle[0] + cycle[1], 2);
        free(cycle);
        graph_done(&g);
}

static void test_self_and_empty(void **state) {
        unsigned *cycle = NULL, n = 0, self = 0;
        GraphState s;
        Graph g;

        assert_ok(graph_init(&g, 1));
        assert_ok(graph_set_needs(&g, 0, &self, 1));
        assert_int_equal(graph_finish(&g, &cycle, &n), -ELOOP);
        assert_int_equal(n, 1);
        assert_int_equal(cycle[0], 0);
        free(cycle);
        assert_ok(graph_set_needs(&g, 0, NULL, 0));     /* again, without: it replaces */
        assert_ok(graph_finish(&g, NULL, NULL));
        graph_done(&g);

        assert_ok(graph_init(&g, 0));
        assert_ok(graph_finish(&g, NULL, NULL));
        assert_ok(graph_state_init(&s, &g));
        graph_state_done(&s);
        graph_done(&g);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_cycles),
        cmocka_unit_test(test_random_ancestors),
        cmocka_unit_test(test_random_ancestors_from_known),
        cmocka_unit_test(test_random_descendants),
        cmocka_unit_test(test_random_progress),
        cmocka_unit_test(test_end_twice),
        cmocka_unit_test(test_cascade),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_cycle_through_default_needs),
        cmocka_unit_test(test_self_and_empty),
};
TEST_MAIN(tests)
