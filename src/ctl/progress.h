/* Progress on a terminal: a bar, and a block of lines that is drawn again in place. */
#pragma once

#include "view.h"

/* "━━━━────  5/12 activities, 1 running, 1 waiting  1min 20s", in the line. */
void progress_bar(Line *l, const ViewCounts *n, usec_t elapsed);

typedef struct Painter {
        size_t *widths;                                 /* of the lines that stand on the screen */
        size_t n;
        bool cursor_hidden;
} Painter;

/* Draws the frame over the one that was drawn before. Lines beyond the terminal's height are left out, with a line that says how many. */
int painter_draw(Painter *p, const Frame *f);
void painter_done(Painter *p);                          /* leaves the last frame standing, the cursor below it */
