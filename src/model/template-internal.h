/* What templates of values and of shell commands share: expressions in a node's text, with their places in the file. For template.c and
 * shell-*.c only. */
#pragma once

#include "template.h"

/* Finding a position walks over the node's text. A hostile file could ask for many: past this sum of bytes, positions are the node's own.
 */
#define TEMPLATE_WALK_MAX (16u * 1024u * 1024u)

typedef struct TemplateSource {
        const Tree *tree;
        const Node *node; /* the scalar that is read now */
        Diagnostics *d;
        size_t walked;
} TemplateSource;

typedef struct Place {
        unsigned line, column;
} Place;

/* An expression, and where in the file each of its references stands. */
typedef struct PlacedExpr {
        Expr *expr;
        Place *places;
} PlacedExpr;

Place template_place(TemplateSource *s, size_t at);
int template_error(TemplateSource *s, size_t at, const char *fmt, ...) _printf_(3, 4); /* -EINVAL, said at byte `at` of the text */

/* Text from start to end of the node is an expression without its braces. 0; -EINVAL (said); -ENOMEM. */
int placed_expr_parse(TemplateSource *s, size_t start, size_t end, PlacedExpr *ret);
void placed_expr_done(PlacedExpr *e);
void placed_expr_visit(const PlacedExpr *e, RefVisitor visit, void *userdata);

/* The end of the ${{ … }} that begins at `at`: after its }}. Quotes in the expression are respected. 0: never closed. */
size_t template_span_end(const char *text, size_t n, size_t at);
