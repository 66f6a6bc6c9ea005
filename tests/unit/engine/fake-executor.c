#include "fake-executor.h"

#include <stdio.h>

#include "fault-vfs.h"
#include "test.h"

static void _printf_(2, 3) note(FakeExecutor *f, const char *fmt, ...) {
        char line[256];
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(line, sizeof line, fmt, ap);
        va_end(ap);
        if (f->trace)
                strbuf_appendf(f->trace, "%s\n", line);
}

static char *join(char *const *argv) {
        StrBuf b = { 0 };

        for (char *const *a = argv; a && *a; a++)
                strbuf_appendf(&b, "%s%s", a == argv ? "" : " ", *a);
        return strbuf_take(&b);
}

static void job_done(FakeJob *j) {
        FakeJob **p = &j->executor->jobs;

        while (*p && *p != j)
                p = &(*p)->next;
        assert_non_null(*p);
        *p = j->next;
        free(j->activity);
        free(j->step);
        free(j->key);
        free(j->argv);
        free(j);
}

static int prepare(Executor *e, const StepCommand *c, ExecDone done, void *userdata, ExecJob **ret) {
        FakeExecutor *f = (FakeExecutor *) e;
        FakeJob *j, **end = &f->jobs;

        if (f->fail_times > 0) {
                f->fail_times--;
                note(f, "refuse %u/%s/%s", c->run, c->activity, c->step_key);
                return f->fail_with;
        }
        j = calloc(1, sizeof *j);
        assert_non_null(j);
        *j = (FakeJob){
                .executor = f,
                .run = c->run,
                .attempt = c->attempt,
                .activity = strdup(c->activity),
                .step = strdup(c->step),
                .key = strdup(c->step_key),
                .argv = join(c->argv),
                .capture_stdout = c->capture_stdout,
                .done = done,
                .userdata = userdata,
                .flushes_at_prepare = fault_syncs(),
        };
        while (*end)
                end = &(*end)->next;
        *end = j;
        f->n_prepared++;
        note(f, "prepare %u/%s/%s", j->run, j->activity, j->key);
        *ret = (ExecJob *) j;
        return 0;
}

static void launch(ExecJob *job) {
        FakeJob *j = (FakeJob *) job;

        assert_false(j->launched);
        j->launched = true;
        j->flushes_at_launch = fault_syncs();
        j->executor->n_launched++;
        note(j->executor, "launch %u/%s/%s", j->run, j->activity, j->key);
}

static void abandon(ExecJob *job) {
        FakeJob *j = (FakeJob *) job;

        assert_false(j->launched);
        j->executor->n_abandoned++;
        note(j->executor, "abandon %u/%s/%s", j->run, j->activity, j->key);
        job_done(j);
}

static void stop(ExecJob *job) {
        FakeJob *j = (FakeJob *) job;

        assert_true(j->launched);
        j->n_stops++;
        note(j->executor, "stop %u/%s/%s", j->run, j->activity, j->key);
}

static Json *identify(const ExecJob *job) {
        const FakeJob *j = (const FakeJob *) job;
        Json *o = json_new_object();

        assert_ok(json_set_uint(o, "run", j->run));
        assert_ok(json_set_string(o, "activity", j->activity));
        assert_ok(json_set_string(o, "step", j->key));
        return o;
}

static int clean_up(Executor *e, const Json *identities) {
        FakeExecutor *f = (FakeExecutor *) e;

        f->n_clean_ups++;
        json_unref(f->cleaned);
        f->cleaned = json_copy(identities);
        note(f, "clean-up %zu", json_length(identities));
        return 0;
}

static Executor *free_executor(Executor *e) {
        fake_free((FakeExecutor *) e);
        return NULL;
}

static const ExecutorOps fake_ops = {
        .name = "fake",
        .prepare = prepare,
        .launch = launch,
        .abandon = abandon,
        .stop = stop,
        .identify = identify,
        .clean_up = clean_up,
        .free = free_executor,
};

FakeExecutor *fake_new(StrBuf *trace) {
        FakeExecutor *f = calloc(1, sizeof *f);

        assert_non_null(f);
        f->executor.ops = &fake_ops;
        f->trace = trace;
        return f;
}

FakeExecutor *fake_free(FakeExecutor *f) {
        if (!f)
                return NULL;
        while (f->jobs)
                job_done(f->jobs);
        json_unref(f->cleaned);
        free(f);
        return NULL;
}

FakeJob *fake_find(FakeExecutor *f, uint32_t run, const char *activity) {
        for (FakeJob *j = f->jobs; j; j = j->next)
                if (j->launched && j->run == run && (!activity || streq(j->activity, activity)))
                        return j;
        return NULL;
}

unsigned fake_count(const FakeExecutor *f, uint32_t run) {
        unsigned n = 0;

        for (const FakeJob *j = f->jobs; j; j = j->next)
                n += j->launched && (run == 0 || j->run == run);
        return n;
}

void fake_end(FakeJob *j, const ExecResult *result) {
        assert_true(j->launched);
        j->executor->n_ended++;
        note(j->executor, "end %u/%s/%s", j->run, j->activity, j->key);
        j->done(j->userdata, (ExecJob *) j, result);
        job_done(j);
}

void fake_exit(FakeExecutor *f, uint32_t run, const char *activity, int status) {
        FakeJob *j = fake_find(f, run, activity);

        if (!j)
                fail_msg("nothing of %u/%s runs", run, activity ? activity : "*");
        fake_end(j, &(ExecResult) { .outcome = EXEC_EXITED, .status = status });
}

void fake_signal(FakeExecutor *f, uint32_t run, const char *activity, int sig) {
        FakeJob *j = fake_find(f, run, activity);

        assert_non_null(j);
        fake_end(j, &(ExecResult) { .outcome = EXEC_SIGNALED, .status = sig });
}
