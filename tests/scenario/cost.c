/* What a transition costs: how often the state machine looks at an activity, arms its deadlines or looks at a phase, for each thing that
 * happens, in a run of ten activities and in one of ten thousand. The linker puts the counters in between (--wrap), so that nothing but
 * the calls themselves is counted. */
#include <stdio.h>

#include "run-private.h"
#include "strbuf.h"

#define MANY 10000u
#define PHASES_MANY 1000u
#define SLOTS 4u

static uint64_t looks;

int __real_decide_activity(const Decision *d, Activity *a);
int __wrap_decide_activity(const Decision *d, Activity *a);
int __wrap_decide_activity(const Decision *d, Activity *a) {
        looks++;
        return __real_decide_activity(d, a);
}

Phase *__real_run_next_marked_phase(Run *r);
Phase *__wrap_run_next_marked_phase(Run *r);
Phase *__wrap_run_next_marked_phase(Run *r) {
        Phase *p = __real_run_next_marked_phase(r);

        looks += p != NULL;
        return p;
}

int __real_activity_arm(Activity *a, const Stamp *now, const Limits *limits);
int __wrap_activity_arm(Activity *a, const Stamp *now, const Limits *limits);
int __wrap_activity_arm(Activity *a, const Stamp *now, const Limits *limits) {
        looks++;
        return __real_activity_arm(a, now, limits);
}

/* ---- runbooks ---- */

typedef enum Shape { CHAIN, WIDE, PHASES, _SHAPE_MAX } Shape;
static const char *const shape_names[] = { "a chain", "all at once", "a phase each" };

static Runbook *make_runbook(Shape shape, unsigned n) {
        _cleanup_strbuf_ StrBuf b = { 0 };
        _cleanup_diag_ Diagnostics d = { 0 };
        Runbook *rb = NULL;

        strbuf_append(&b, "{\"phases\":[");
        for (unsigned i = 0; i < n; i++) {
                if (shape == PHASES || i == 0)
                        strbuf_appendf(&b, "%s{\"name\":\"p%u\",\"activities\":[", i > 0 ? "]}," : "", i);
                else
                        strbuf_append(&b, ",");
                strbuf_appendf(&b, "{\"name\":\"a%u\",\"run\":\"true\",\"timeout\":60%s}", i, shape == WIDE ? ",\"needs\":[]" : "");
        }
        strbuf_append(&b, "]}]}");
        _cleanup_free_ char *text = strbuf_take(&b);
        return text && runbook_parse(text, strlen(text), TREE_JSON, NULL, &d, &rb) >= 0 ? rb : NULL;
}

/* ---- one run ---- */

typedef struct Course {
        Run *run;
        Stamp now;
        Limits limits;
        Outcome outcome;
        unsigned slots;
        Activity *running[SLOTS];
        unsigned n_running;
        uint64_t worst;                                 /* looks of the dearest transition but the first and the last */
} Course;

static int turn(Course *c) {
        int r = run_decide(c->run, &c->now, &c->limits, &c->slots, &c->outcome);

        for (size_t i = 0; i < c->outcome.n_effects; i++)
                if (c->outcome.effects[i].type == EFFECT_START_STEP)
                        c->running[c->n_running++] = c->outcome.effects[i].activity;
        outcome_clear(&c->outcome);
        return r;
}

static int end_oldest(Course *c) {
        Activity *a = c->running[0];
        int r;

        memmove(c->running, c->running + 1, --c->n_running * sizeof c->running[0]);
        c->slots++;
        looks = 0;
        r = run_step_ended(c->run, a, &c->now, &(StepEnd) { .state = STEP_SUCCESS }, &c->outcome);
        if (r >= 0)
                r = turn(c);
        if (!run_state_is_terminal(c->run->state))
                c->worst = MAX(c->worst, looks);
        return r;
}

static int go(Shape shape, unsigned n, uint64_t *ret_worst) {
        static const Actor nobody = { .uid = 1 };
        _cleanup_(runbook_unrefp) Runbook *rb = make_runbook(shape, n);
        Course c = { .now = { .wall = 1, .boottime = 1, .mono = 1, .boot = 1 }, .limits = { .max_resumes = 3, .hook_timeout = 1 },
                        .slots = SLOTS };
        int r = rb ? run_new(1, rb, &c.run) : -EINVAL;

        if (r >= 0)
                r = run_create(c.run, &c.now, &nobody, &(RunOptions) { 0 }, &c.outcome);
        if (r >= 0)
                r = turn(&c);
        while (r >= 0 && c.n_running > 0)
                r = end_oldest(&c);
        if (r >= 0 && c.run->state != RUN_SUCCESS)
                r = -EBADMSG;
        *ret_worst = c.worst;
        outcome_done(&c.outcome);
        run_free(c.run);
        return r;
}

int main(void) {
        bool ok = true;

        for (Shape s = 0; s < _SHAPE_MAX; s++) {
                uint64_t few = 0, many = 0;
                unsigned n = s == PHASES ? PHASES_MANY : MANY;

                if (go(s, 10, &few) < 0 || go(s, n, &many) < 0) {
                        printf("not ok: %s does not run\n", shape_names[s]);
                        return EXIT_FAILURE;
                }
                /* Zero would mean that the counters are not in between. */
                bool fine = few > 0 && many <= few;
                printf("%s %s: at most %llu looks at a transition with 10, %llu with %u\n", fine ? "ok" : "not ok", shape_names[s],
                                (unsigned long long) few, (unsigned long long) many, n);
                ok = ok && fine;
        }
        return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
