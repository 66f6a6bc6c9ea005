/* Definitions by their hash: runs that were started from the same text share one Runbook, whether it came from the library or back
 * from the store. The table keeps a reference while at least one run uses it, and remembers for the life of the process what is in the
 * store already. */
#include "engine-private.h"

#include <stdio.h>

#include "fd-util.h"
#include "i18n.h"

static int definition_get(Engine *e, const char *hash, Definition **ret) {
        _cleanup_free_ Definition *new = NULL;
        Definition *d = hashmap_get(e->definitions, hash);
        int r;

        if (!d) {
                new = calloc(1, sizeof *new);
                if (!new)
                        return -ENOMEM;
                (void) snprintf(new->hash, sizeof new->hash, "%s", hash);
                r = hashmap_put(e->definitions, new->hash, new);
                if (r < 0)
                        return r;
                d = TAKE_PTR(new);
        }
        *ret = d;
        return 0;
}

int definition_adopt(Engine *e, Runbook *runbook, Definition **ret) {
        int r = definition_get(e, runbook->hash, ret);

        if (r < 0)
                return r;
        if (!(*ret)->runbook)
                (*ret)->runbook = runbook_ref(runbook);
        (*ret)->n_users++;
        return 0;
}

static int parse(const char *name, const char *format, const char *text, size_t n, Runbook **ret, char **ret_reason) {
        _cleanup_diag_ Diagnostics d = { 0 };
        int r = runbook_parse(text, n, streq(format, "json") ? TREE_JSON : TREE_YAML, name, &d, ret);

        if (r != -EINVAL)
                return r;
        diag_sort(&d);
        *ret_reason = d.n_items > 0 ? xasprintf(_("its definition can't be read: %u:%u: %s"), d.items[0].line, d.items[0].column,
                                                d.items[0].message)
                                    : xasprintf(_("its definition can't be read"));
        return *ret_reason ? -EBADMSG : -ENOMEM;
}

static int load(Engine *e, const char *hash, Runbook **ret, char **ret_reason) {
        _cleanup_free_ char *name = NULL, *format = NULL, *text = NULL;
        size_t n = 0;
        int r = store_get_definition(e->store, hash, &name, &format, &text, &n);

        if (r == -ENOENT) {
                *ret_reason = xasprintf(_("its definition %.12s… is not in the journal"), hash);
                return *ret_reason ? -EBADMSG : -ENOMEM;
        }
        return r < 0 ? r : parse(name, format, text, n, ret, ret_reason);
}

int definition_load(Engine *e, const char *hash, Definition **ret, char **ret_reason) {
        Definition *d;
        int r = strlen(hash) < sizeof d->hash ? definition_get(e, hash, &d) : -EBADMSG;

        if (r < 0)
                return r;
        if (!d->runbook) {
                r = load(e, hash, &d->runbook, ret_reason);
                if (r < 0)
                        return r;
                d->stored = true;
        }
        d->n_users++;
        *ret = d;
        return 0;
}

void definition_unuse(Definition *d) {
        if (d && --d->n_users == 0)
                d->runbook = runbook_unref(d->runbook);
}

int definition_list_add(DefinitionList *l, Definition *takes) {
        if (!l->first) {
                l->first = takes;
                return 0;
        }
        if (!GREEDY_REALLOC(l->later, l->n_later_allocated, l->n_later + 1)) {
                definition_unuse(takes);
                return -ENOMEM;
        }
        l->later[l->n_later++] = takes;
        return 0;
}

void definition_list_pop(DefinitionList *l) {
        if (l->n_later > 0)
                definition_unuse(l->later[--l->n_later]);
}

void definition_list_done(DefinitionList *l) {
        while (l->n_later > 0)
                definition_list_pop(l);
        free(l->later);
        definition_unuse(l->first);
        *l = (DefinitionList) { 0 };
}

void definitions_free(Engine *e) {
        const char *hash;
        void *value;

        for (size_t i = 0; hashmap_iterate(e->definitions, &i, &hash, &value);) {
                Definition *d = value;

                (void) hashmap_remove(e->definitions, hash);
                runbook_unref(d->runbook);
                free(d);
        }
        e->definitions = hashmap_free(e->definitions);
}
