/* Where expressions stand in a shell command, and whether a value is safe there. For shell-*.c only; the public face is template.h. */
#pragma once

#include "template-internal.h"

#define SHELL_NESTING_MAX 64u  /* of quotes, substitutions, subshells in each other */
#define SHELL_HEREDOCS_MAX 16u /* that begin on one line */

typedef struct ShellSpot {
        size_t start, end;   /* of ${{ … }}, in bytes */
        bool quoted;         /* write ${NAME}: it stands in double quotes, a here-document or a comment; else "${NAME}" */
        const char *refusal; /* why it may not stand there, translated; NULL: it may */
        size_t because;      /* where the reason is, when that is another place; else SIZE_MAX */
} ShellSpot;

typedef struct ShellSpots {
        ShellSpot *items;
        size_t n_items, n_allocated;
} ShellSpots;

/* 0 or -ENOMEM. Text with no expression has no spots, whatever it is. Bytes from an unclosed `${{` on are one refused spot. */
int shell_scan(const char *text, size_t n, ShellKind shell, ShellSpots *ret);
