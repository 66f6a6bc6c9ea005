/* Definitions: shared by hash, stored once, given back when nobody uses them. */
#include "engine-fixture.h"

#include "digest.h"

static Runbook *parse(const char *text) {
        _cleanup_diag_ Diagnostics d = { 0 };
        Runbook *rb;

        assert_ok(runbook_parse(text, strlen(text), TREE_YAML, "chain", &d, &rb));
        return rb;
}

static void test_adopt(void **state) {
        World *w = *state;
        _cleanup_(runbook_unrefp) Runbook *a = parse(world_chain), *b = parse(world_chain), *c = parse(world_wide);
        Definition *x, *y, *z;

        assert_ok(definition_adopt(w->engine, a, &x));
        assert_ok(definition_adopt(w->engine, b, &y));
        assert_ok(definition_adopt(w->engine, c, &z));
        assert_ptr_equal(x, y);
        assert_ptr_equal(x->runbook, a);
        assert_int_equal(x->n_users, 2);
        assert_ptr_not_equal(x, z);
        assert_int_equal(a->n_ref, 2);
        definition_unuse(x);
        assert_int_equal(a->n_ref, 2);
        definition_unuse(y);
        assert_int_equal(a->n_ref, 1);
        assert_null(x->runbook);
        assert_ok(definition_adopt(w->engine, b, &y));
        assert_ptr_equal(y->runbook, b);
        definition_unuse(y);
        definition_unuse(z);
        definition_unuse(NULL);
}

static void test_load(void **state) {
        World *w = *state;
        _cleanup_free_ char *missing = NULL, *reason = NULL, *odd = NULL;
        Definition *x = NULL, *y = NULL;
        uint32_t run = world_start(w, "chain");
        char hash[DIGEST_HEX_SIZE];

        memcpy(hash, world_run(w, run)->runbook->hash, sizeof hash);
        world_again(w);
        w->engine->stopping = true;
        assert_ok(definition_load(w->engine, hash, &x, &reason));
        assert_int_equal(x->n_users, 2);                /* the unfinished run, and this */
        assert_true(x->stored);
        assert_string_equal(x->runbook->hash, hash);
        definition_unuse(x);
        assert_int_equal(definition_load(w->engine, "0123456789abcdef", &y, &missing), -EBADMSG);
        assert_non_null(strstr(missing, "0123456789ab"));
        assert_null(y);
        assert_int_equal(definition_load(w->engine, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefX", &y, &odd),
                         -EBADMSG);
}

/* One put for each hash in the life of the process; one that failed is made good. */
static void test_stored_once(void **state) {
        World *w = *state;
        _cleanup_free_ char *message = NULL;
        Definition *d;
        Ticket ticket;

        world_fail(w);
        assert_int_equal(world_try_start(w, "chain", NULL, &ticket, &message), VERDICT_OK);
        world_turn(w);
        fault_disarm();
        assert_ok(storage_on_retry(NULL, 0, w->engine));
        world_turn(w);
        uint32_t run = world_start(w, "chain");
        d = engine_run(w->engine, run)->definitions.first;
        assert_true(d->stored);
        uint64_t first = d->put_in;
        world_start(w, "chain");
        assert_int_equal(d->put_in, first);
        world_again(w);
        assert_true(engine_run_is_live(w->engine, run));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                engine_test(test_adopt),
                engine_test(test_load),
                engine_test(test_stored_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
