/* Where runbooks live: an ordered list of directories, first wins. Finds, reads and caches; a changed file is read again at the next look (by its stat). */
#pragma once

#include "runbook.h"

typedef struct Library Library;

int library_new(const char *const *directories, Library **ret);        /* NULL-terminated, highest priority first; copies */
Library *library_free(Library *l);
DEFINE_CLEANUP(Library *, library_free)

/* The runbook NAME: 0 and a new reference; -ENOENT: no such file; -EINVAL: it has errors (in d), also where a directory holds two files of the name. *ret_file, if given: the path that was
 * read (borrowed, valid until the next call). */
int library_get(Library *l, const char *name, Diagnostics *d, Runbook **ret, const char **ret_file);
/* The nearest existing name, or NULL. New string. */
char *library_nearest(Library *l, const char *name);

typedef struct LibraryEntry {
        char *name, *description, *file, *error;        /* error: "line:column: message" of the first error, or NULL */
} LibraryEntry;
int library_list(Library *l, LibraryEntry **ret, size_t *ret_n);        /* sorted by name */
void library_entries_free(LibraryEntry *e, size_t n);
/* The runbooks that want to be started when a run of `failed` ends badly (triggers: onFailureOf), sorted by name: 0 and new references, possibly none. A runbook never
 * answers for itself, and files with errors are passed over. Unchanged files are not read again. What a start needs stands in them: name, on_failure_inputs. */
int library_on_failure(Library *l, const char *failed, Runbook ***ret, size_t *ret_n);
void library_runbooks_free(Runbook **l, size_t n);
void library_reload(Library *l);                        /* forgets all that is cached */
