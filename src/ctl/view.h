/* A run as lines of text: a tree of phases, activities, attempts and steps. Made from what Run.Describe returns, for status (all of it) and
 * for watch (what moves). */
#pragma once

#include "ctl.h"
#include "style.h"

typedef struct Frame {
        char **lines;                                   /* with colour sequences, no newline */
        size_t *widths;                                 /* columns */
        size_t n, n_allocated, n_widths_allocated;
} Frame;

int frame_add(Frame *f, Line *takes);                   /* 0, -ENOMEM */
int frame_addf(Frame *f, size_t max, Tone tone, const char *fmt, ...) _printf_(4, 5);
void frame_done(Frame *f);
#define _cleanup_frame_ _cleanup_(frame_done)
void frame_print(const Frame *f);

/* Appends the last lines of a failed step's log to *b; what it can't have it leaves out. */
typedef void (*ViewLog)(void *userdata, const char *activity, uint32_t attempt, const char *step, StrBuf *b);

typedef struct ViewOptions {
        usec_t now;
        size_t width;                                   /* columns; SIZE_MAX: no limit */
        bool live;                                      /* only what moves or went wrong: done phases and steps have no children */
        size_t height; /* live: where it would be taller, what is done or not begun is left out; 0: no limit */
        ViewLog log;                                    /* NULL: none */
        void *log_userdata;
} ViewOptions;

int view_run(const ViewOptions *o, const Json *run, Frame *f);          /* the tree of a whole run */
int view_activity(const ViewOptions *o, const Json *activity, Frame *f);/* that of one activity */

/* How an error reads in one line: "exit status 1 (EXIT)"; NULL for none. New string. */
char *view_error(const Json *error, const Json *exit_code);
/* Activities by how far they are. */
typedef struct ViewCounts {
        unsigned total, done, running, waiting, failed;
} ViewCounts;
void view_count(const Json *run, ViewCounts *ret);
