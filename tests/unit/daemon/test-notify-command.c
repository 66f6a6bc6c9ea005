/* Real commands of the shell, on an event loop that the test turns. Commands work in a directory of the test (they begin with a cd to it):
 * what they say in files there is what is checked, and files there are what holds them up. What is logged goes to a file too. */
#include "../model/run-fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fd-util.h"
#include "log.h"
#include "notify-command.h"
#include "process-table.h"
#include "strbuf.h"

#define GIVE_UP (60 * USEC_PER_SEC)
#define TURN (5 * USEC_PER_MSEC)                        /* files don't wake the loop */
#define FILE_MAX (4u * 1024u * 1024u)

static const char asks[] =
        "owners: [olga, 'group:ops']\n"
        "inputs: {version: {type: string, required: true, description: Which one?}}\n"
        "phases:\n"
        "  - name: p\n"
        "    activities:\n"
        "      - {name: sign-off, needs: [], approval: {title: Ship it?, message: 'Now, \"really\"', context: tests passed,\n"
        "         approvers: [bob, 'group:qa'], required: 1, timeout: 1h, fields: {ticket: {type: string, required: true}}}}\n"
        "      - {name: nobody, needs: [], approval: {}}\n"
        "      - {name: ask, needs: [], input: {title: Which host?, fields: {host: {type: string, required: true}}}}\n"
        "      - {name: lacks, needs: [], run: 'echo ${{ inputs.version }}'}\n"
        "      - {name: fails, needs: [], run: 'exit 3'}\n";

typedef struct World {
        Fixture f;
        sd_event *event;
        NotifyCommand *n;
        char directory[64];
        int stderr_fd;
        unsigned n_looks;
        int look_error;
} World;

static World world;                                     /* outlives a test that fails */

/* ---- files ---- */

static void in_directory(const World *w, const char *name, char path[static 128]) {
        assert_true(snprintf(path, 128, "%s/%s", w->directory, name) < 128);
}

static char *content(const World *w, const char *name) {
        char path[128], *text = NULL;
        size_t size;
        int r;

        in_directory(w, name, path);
        r = read_file(AT_FDCWD, path, FILE_MAX, false, &text, &size);
        if (r == -ENOENT)
                text = strdup("");
        else
                assert_ok(r);
        assert_non_null(text);
        return text;
}

static size_t count_in(const World *w, const char *name, const char *what) {
        _cleanup_free_ char *text = content(w, name);
        size_t n = 0;

        for (const char *p = text; (p = strstr(p, what)); p++)
                n++;
        return n;
}

static size_t count_lines(const World *w, const char *name) {
        return count_in(w, name, "\n");
}

static size_t count_in_log(const World *w, const char *what) {
        return count_in(w, "log", what);
}

static void touch(const World *w, const char *name) {
        _cleanup_close_ int fd = -1;
        char path[128];

        in_directory(w, name, path);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
}

/* ---- the world ---- */

static char *in_shell(const World *w, const char *command) {
        char *s = xasprintf("cd '%s' && %s", w->directory, command);

        assert_non_null(s);
        return s;
}

/* As the daemon looks: at all that is open, in the order of the runbook here. */
static int look(void *userdata) {
        World *w = userdata;

        w->n_looks++;
        if (w->look_error < 0)
                return w->look_error;
        for (unsigned i = 0; w->f.run && i < w->f.run->runbook->n_activities; i++)
                if (w->f.run->activities[i]->request)
                        notify_command_request(w->n, w->f.run->activities[i]);
        return 0;
}

static void start(World *w, const char *command, usec_t timeout, usec_t retry_first, bool user_mode) {
        _cleanup_free_ char *text = isempty(command) ? NULL : in_shell(w, command);

        assert_ok(notify_command_new(&(NotifyOptions) { .event = w->event, .command = text ? text : command, .timeout = timeout,
                                                        .retry_first = retry_first, .user_mode = user_mode,
                                                        .state_directory = w->directory, .look = look, .userdata = w }, &w->n));
}

static void change(World *w, const char *command, usec_t timeout) {
        _cleanup_free_ char *text = isempty(command) ? NULL : in_shell(w, command);

        assert_ok(notify_command_change(w->n, text, timeout));
}

static void world_init(World *w, const char *yaml) {
        char path[128];
        int fd;

        *w = (World) { .directory = "/tmp/runbookd-notify-XXXXXX" };
        assert_non_null(mkdtemp(w->directory));
        in_directory(w, "log", path);
        w->stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        assert_true(w->stderr_fd >= 0 && fd >= 0);
        assert_true(dup2(fd, STDERR_FILENO) >= 0);
        close(fd);
        assert_ok(sd_event_new(&w->event));
        fixture_init(&w->f, yaml);
        fixture_turn(&w->f);
}

/* What was in the groups of commands that were under way is left to who adopts it: here, us. It was killed, so it ends. */
static void stop(World *w) {
        w->n = notify_command_free(w->n);
        while (waitpid(-1, NULL, 0) > 0)
                ;
}

static void world_done(World *w) {
        stop(w);
        if (w->f.run)
                fixture_done(&w->f);
        sd_event_unref(w->event);
        assert_true(dup2(w->stderr_fd, STDERR_FILENO) >= 0);
        close(w->stderr_fd);
        assert_ok(remove_tree(AT_FDCWD, w->directory));
        *w = (World) { 0 };
}

/* Of a test that failed: what it and the commands said, which cmocka's words are among. */
static int clean_up(void **state) {
        _cleanup_free_ char *text = NULL;
        World *w = &world;

        if (!w->event)
                return 0;
        text = content(w, "log");
        world_done(w);
        print_error("%s\n", text);
        return 0;
}

static void turn(World *w) {
        assert_true(sd_event_run(w->event, TURN) >= 0);
}

#define turn_until(w, condition)                                                                                \
        do                                                                                                      \
                for (usec_t end = now_usec(CLOCK_MONOTONIC) + GIVE_UP; !(condition);) {                         \
                        if (now_usec(CLOCK_MONOTONIC) > end)                                                    \
                                fail_msg("waited in vain for %s", #condition);         \
                        turn(w);                                                                                \
                }                                                                                               \
        while (false)

static void request(World *w, const char *activity) {
        notify_command_request(w->n, fixture_activity(&w->f, activity));
}

static void resolved(World *w, const char *activity) {
        notify_command_resolved(w->n, fixture_activity(&w->f, activity));
}

/* Commands that have been started and not been reaped. */
static size_t count_children(void) {
        _cleanup_process_table_ ProcessTable table = { 0 };
        size_t n = 0;

        assert_ok(process_table_read(&table));
        for (size_t i = 0; i < table.n; i++)
                n += table.items[i].parent == getpid();
        return n;
}

/* Each line of the file is a pid; are all of them gone, and reaped? */
static bool all_gone(const World *w, const char *name) {
        _cleanup_free_ char *text = content(w, name);
        char *rest = text;

        for (char *line; (line = strsep(&rest, " \n"));)
                if (*line && kill(atoi(line), 0) >= 0)
                        return false;
        return true;
}

/* ---- what is told ---- */

static Json *told(World *w, const char *activity) {
        _cleanup_free_ char *text = NULL;
        Json *j;

        request(w, activity);
        turn_until(w, count_children() == 0);
        text = content(w, "told");
        assert_int_equal(count_lines(w, "told"), 1);    /* one object on one line, and nothing else */
        assert_ok(json_parse(text, strlen(text) - 1, &j));
        return j;
}

#define assert_text(j, key, expected) assert_string_equal(strempty(json_string(json_get((j), (key)))), (expected))
#define assert_json(j, key, expected)                                                                   \
        do {                                                                                            \
                _cleanup_free_ char *_text = json_get((j), (key)) ? json_to_string(json_get((j), (key)), false) : strdup("null"); \
                assert_true(json_has((j), (key)));                                                      \
                assert_string_equal(_text, (expected));                                                 \
        } while (false)

static void assert_frame(const Json *j, const char *activity, const char *kind, const char *command) {
        char host[256] = "";

        assert_int_equal(gethostname(host, sizeof host - 1), 0);
        assert_int_equal(json_int(json_get(j, "run")), 7);
        assert_text(j, "runbook", "runbook");
        assert_text(j, "activity", activity);
        assert_text(j, "kind", kind);
        assert_text(j, "startedBy", "alice");
        assert_text(j, "host", host);
        assert_text(j, "command", command);
}

/* S0.18, S0.19, S1.14: the approvers, what is needed, and what to type at which activity. */
static void test_approval(void **state) {
        World *w = &world;
        _cleanup_json_ Json *j = NULL;

        world_init(w, asks);
        start(w, "cat >>told", USEC_PER_MINUTE, USEC_PER_HOUR, false);
        j = told(w, "sign-off");
        assert_frame(j, "sign-off", "approval", "runbookctl approve 7/sign-off");
        assert_text(j, "title", "Ship it?");
        assert_text(j, "message", "Now, \"really\"");
        assert_text(j, "context", "tests passed");
        assert_json(j, "approvers", "[\"bob\",\"group:qa\"]");
        assert_json(j, "error", "null");
        assert_text(json_at(json_get(j, "fields"), 0), "name", "ticket");
        assert_true(json_has(j, "deadline") && json_get(j, "deadline"));
        world_done(w);
}

/* S0.18: nobody is named, so the owners are told; in user mode the daemon is found on the session bus. */
static void test_owners(void **state) {
        World *w = &world;
        _cleanup_json_ Json *j = NULL;

        world_init(w, asks);
        start(w, "cat >>told", USEC_PER_MINUTE, USEC_PER_HOUR, true);
        j = told(w, "nobody");
        assert_frame(j, "nobody", "approval", "runbookctl --user approve 7/nobody");
        assert_json(j, "approvers", "[\"olga\",\"group:ops\"]");
        world_done(w);
}

static void test_input(void **state) {
        World *w = &world;
        _cleanup_json_ Json *j = NULL;

        world_init(w, asks);
        start(w, "cat >>told", USEC_PER_MINUTE, USEC_PER_HOUR, false);
        j = told(w, "ask");
        assert_frame(j, "ask", "input", "runbookctl provide 7/ask");
        assert_text(j, "title", "Which host?");
        assert_int_equal(json_length(json_get(j, "fields")), 1);
        assert_text(json_at(json_get(j, "fields"), 0), "name", "host");
        world_done(w);
}

/* S0.17, S0.19: an input of the run that has no value. */
static void test_missing_input(void **state) {
        World *w = &world;
        _cleanup_json_ Json *j = NULL;

        world_init(w, asks);
        start(w, "cat >>told", USEC_PER_MINUTE, USEC_PER_HOUR, false);
        j = told(w, "lacks");
        assert_frame(j, "lacks", "input", "runbookctl provide 7/lacks");
        assert_json(j, "approvers", "[\"olga\",\"group:ops\"]");
        assert_int_equal(json_length(json_get(j, "fields")), 1);
        assert_text(json_at(json_get(j, "fields"), 0), "name", "version");
        assert_text(json_at(json_get(j, "fields"), 0), "description", "Which one?");
        world_done(w);
}

static void test_decision(void **state) {
        World *w = &world;
        _cleanup_json_ Json *j = NULL;

        world_init(w, asks);
        fixture_end(&w->f, "fails", 3);
        start(w, "cat >>told", USEC_PER_MINUTE, USEC_PER_HOUR, false);
        j = told(w, "fails");
        assert_frame(j, "fails", "decision", "runbookctl retry 7/fails");
        assert_text(json_get(j, "error"), "code", "EXIT");
        assert_text(json_get(j, "error"), "message", "exited with status 3");
        assert_json(j, "approvers", "[\"olga\",\"group:ops\"]");
        world_done(w);
}

/* ---- how it is told ---- */

static void test_none_configured(void **state) {
        World *w = &world;

        world_init(w, asks);
        for (unsigned i = 0; i < 2; i++) {
                start(w, i ? "" : NULL, USEC_PER_MINUTE, USEC_PER_HOUR, false);
                request(w, "sign-off");
                resolved(w, "sign-off");
                assert_int_equal(count_children(), 0);
                stop(w);
        }
        assert_int_equal(count_in_log(w, "NotifyCommand="), 0);
        world_done(w);
}

/* Who does not wait for a person is nothing to tell of. */
static void test_no_request(void **state) {
        World *w = &world;

        world_init(w, asks);
        start(w, "cat >>told", USEC_PER_MINUTE, USEC_PER_HOUR, false);
        request(w, "fails");
        assert_int_equal(count_children(), 0);
        world_done(w);
}

/* It gets nothing of ours but what is meant for it, and the limits of before. */
static void test_surroundings(void **state) {
        World *w = &world;
        struct rlimit limit, low;
        _cleanup_free_ char *env = NULL, *rest = NULL;

        world_init(w, asks);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        low = limit;
        low.rlim_cur = 200;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        assert_int_equal(setenv("SECRET", "of-ours", true), 0);
        start(w, "env >env; { pwd -P; ulimit -n; umask; ls /proc/self/fd | wc -l; } >rest", USEC_PER_MINUTE, USEC_PER_HOUR, false);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        request(w, "nobody");
        turn_until(w, count_children() == 0);
        env = content(w, "env");
        rest = content(w, "rest");
        assert_null(strstr(env, "SECRET"));
        assert_null(strstr(env, "RUNBOOK"));
        assert_non_null(strstr(env, "HOME=/"));
        assert_non_null(strstr(env, "PATH=/"));
        assert_non_null(strstr(rest, "\n200\n0022\n4\n")); /* the fourth is the directory that ls reads */
        unsetenv("SECRET");
        world_done(w);
}

/* It reads nothing of more than a pipe holds, and writes as much: nobody waits for anybody. */
static void test_reads_nothing_writes_much(void **state) {
        StrBuf yaml = { 0 };
        _cleanup_free_ char *text = NULL, *said = NULL;
        World *w = &world;

        strbuf_append(&yaml, "phases: [{name: p, activities: [{name: a, approval: {message: '");
        for (unsigned i = 0; i < 2000; i++)
                strbuf_append(&yaml, "0123456789012345678901234567890123456789");
        strbuf_append(&yaml, "'}}]}]");
        text = strbuf_take(&yaml);
        world_init(w, text);
        start(w, "exec <&-; head -c 300000 /dev/zero | tr '\\0' x >&2; echo >>told", USEC_PER_MINUTE, USEC_PER_HOUR, false);
        request(w, "a");
        turn_until(w, count_lines(w, "told") == 1 && count_children() == 0);
        said = content(w, "log");
        assert_int_equal(strspn(said, "x"), 300000);
        stop(w);
        assert_int_equal(count_in_log(w, "NotifyCommand="), 0);
        world_done(w);
}

/* ---- failures ---- */

static void test_gives_up(void **state) {
        World *w = &world;

        world_init(w, asks);
        start(w, "echo >>tries; exit 3", USEC_PER_MINUTE, USEC_PER_MSEC, false);
        request(w, "sign-off");
        turn_until(w, count_in_log(w, "could not tell") > 0);
        assert_int_equal(count_lines(w, "tries"), NOTIFY_TRIES_MAX);
        assert_int_equal(count_in_log(w, "run 7, activity sign-off, in 3 tries (exit status 3)"), 1);
        assert_int_equal(count_children(), 0);
        stop(w);
        assert_int_equal(count_in_log(w, "has not told"), 0);
        world_done(w);
}

static void test_tries_again(void **state) {
        World *w = &world;

        world_init(w, asks);
        start(w, "cat >>told; echo >>tries; test $(wc -l <tries) = 3 || kill -USR1 $$", USEC_PER_MINUTE, USEC_PER_MSEC, false);
        request(w, "sign-off");
        turn_until(w, count_lines(w, "tries") == 3 && count_children() == 0);
        assert_int_equal(count_lines(w, "told"), 3);   /* each try has its whole input */
        stop(w);
        assert_int_equal(count_in_log(w, "NotifyCommand="), 0);
        world_done(w);
}

/* Both of its processes, though they don't listen, and nothing of them is left to be reaped. */
static void test_timeout(void **state) {
        World *w = &world;

        world_init(w, asks);
        start(w, "trap '' TERM INT; sleep 100 & echo $$ $! >>pids; wait", 300 * USEC_PER_MSEC, USEC_PER_MSEC, false);
        request(w, "sign-off");
        turn_until(w, count_in_log(w, "in 3 tries (it took too long)") == 1);
        assert_true(count_lines(w, "pids") > 0 && all_gone(w, "pids"));
        assert_int_equal(count_children(), 0);
        world_done(w);
}

/* The command is over, what it has left behind is ended with it and reaped. */
static void test_left_behind(void **state) {
        World *w = &world;

        world_init(w, asks);
        start(w, "{ sleep 100 & echo $! >>pids; }; { (sleep 100 & echo $! >>pids); } ; echo $$ >>pids", USEC_PER_MINUTE, USEC_PER_HOUR,
              false);
        request(w, "sign-off");
        turn_until(w, count_lines(w, "pids") == 3 && all_gone(w, "pids"));
        assert_int_equal(count_children(), 0);
        stop(w);
        assert_int_equal(count_in_log(w, "NotifyCommand="), 0);
        world_done(w);
}

/* No descriptors: it can't be started, which is a try like others. Where not even the wait is possible, it is lost. */
static void test_not_started(void **state) {
        World *w = &world;
        struct rlimit limit, none;
        sd_event_source *clock = NULL;

        world_init(w, asks);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        none = limit;
        none.rlim_cur = 3;
        start(w, "echo >>told", USEC_PER_MINUTE, USEC_PER_MSEC, false);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        request(w, "sign-off");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(count_in_log(w, "activity sign-off, in 1 tries (Too many open files)"), 1);

        assert_ok(sd_event_add_time_relative(w->event, &clock, CLOCK_BOOTTIME, USEC_PER_HOUR, 0, NULL, NULL)); /* has its descriptor */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        request(w, "nobody");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(count_lines(w, "told"), 0);
        turn_until(w, count_lines(w, "told") == 1);
        assert_int_equal(count_in_log(w, "could not tell"), 1);
        sd_event_source_disable_unref(clock);
        world_done(w);
}

/* ---- many ---- */

/* Activities a1 … aN that wait for approval. */
static void world_init_many(World *w, unsigned n) {
        StrBuf yaml = { 0 };
        _cleanup_free_ char *text = NULL;

        strbuf_append(&yaml, "phases: [{name: p, activities: [");
        for (unsigned i = 1; i <= n; i++)
                strbuf_appendf(&yaml, "{name: a%u, needs: [], approval: {}},", i);
        strbuf_append(&yaml, "]}]");
        text = strbuf_take(&yaml);
        world_init(w, text);
}

/* $a is the activity; a1, a2 and a3 wait for a file of that name, so that the others come one after the other. */
#define ONE_PLACE "a=$(sed 's/.*\"activity\":\"\\([^\"]*\\)\".*/\\1/'); case $a in a[123]) until [ -e $a ]; do sleep 0.01; done;; esac; "

static void request_many(World *w, unsigned first, unsigned last) {
        for (unsigned i = first; i <= last; i++) {
                char name[16];

                (void) snprintf(name, sizeof name, "a%u", i);
                request(w, name);
        }
}

static void test_four_in_order(void **state) {
        World *w = &world;
        _cleanup_free_ char *text = NULL;

        world_init_many(w, 11);
        start(w, "{ " ONE_PLACE "test $a != a4 || until [ -e go ]; do sleep 0.01; done; echo $a >>told; }", USEC_PER_HOUR,
              USEC_PER_HOUR, false);
        request_many(w, 1, 9);
        assert_int_equal(count_children(), NOTIFY_AT_ONCE);
        touch(w, "go");
        turn_until(w, count_lines(w, "told") == 6 && count_children() == 3);
        text = content(w, "told");
        assert_string_equal(text, "a4\na5\na6\na7\na8\na9\n");
        request_many(w, 1, 11);                        /* there is one place, and who was told is not told again */
        assert_int_equal(count_children(), NOTIFY_AT_ONCE);
        touch(w, "a1");
        touch(w, "a2");
        touch(w, "a3");
        turn_until(w, count_lines(w, "told") == 11 && count_children() == 0);
        stop(w);
        assert_int_equal(count_in_log(w, "NotifyCommand="), 0);
        world_done(w);
}

/* What waits for its next try holds up nobody. */
static void test_retry_holds_up_nobody(void **state) {
        World *w = &world;
        _cleanup_free_ char *text = NULL;

        world_init_many(w, 6);
        start(w, "{ " ONE_PLACE "echo $a >>told; test $a != a4 || [ -e fine ]; }", USEC_PER_HOUR, USEC_PER_HOUR, false);
        request_many(w, 1, 6);
        turn_until(w, count_lines(w, "told") == 3 && count_children() == 3);
        text = content(w, "told");
        assert_string_equal(text, "a4\na5\na6\n");
        stop(w);
        assert_int_equal(count_in_log(w, "has not told of: 4"), 1); /* the three, and a4 */
        world_done(w);
}

static void test_resolved_before_its_turn(void **state) {
        World *w = &world;
        _cleanup_free_ char *text = NULL;

        world_init_many(w, 7);
        start(w, "{ " ONE_PLACE "test $a != a4 || until [ -e go ]; do sleep 0.01; done; echo $a >>told; }", USEC_PER_HOUR,
              USEC_PER_HOUR, false);
        request_many(w, 1, 7);
        resolved(w, "a5");
        resolved(w, "a7");
        touch(w, "go");
        turn_until(w, count_lines(w, "told") == 2 && count_children() == 3);
        text = content(w, "told");
        assert_string_equal(text, "a4\na6\n");
        stop(w);
        assert_int_equal(count_in_log(w, "has not told of: 3"), 1);
        world_done(w);
}

/* Answered while the command runs, or while it waits for its next try: it is not tried again, and nothing was lost. */
static void test_resolved_between_tries(void **state) {
        World *w = &world;

        world_init(w, asks);
        start(w, "until [ -e go ]; do sleep 0.01; done; exit 1", USEC_PER_HOUR, USEC_PER_HOUR, false);
        request(w, "sign-off");
        request(w, "ask");
        resolved(w, "sign-off");
        assert_int_equal(count_children(), 2);
        touch(w, "go");
        turn_until(w, count_children() == 0);
        resolved(w, "ask");
        stop(w);
        assert_int_equal(count_in_log(w, "NotifyCommand="), 0);
        world_done(w);
}

static void test_run_is_gone(void **state) {
        World *w = &world;

        world_init_many(w, 6);
        start(w, "{ until [ -e go ]; do sleep 0.01; done; cat >>told; }", USEC_PER_HOUR, USEC_PER_HOUR, false);
        request_many(w, 1, 6);
        fixture_done(&w->f);
        touch(w, "go");
        turn_until(w, count_lines(w, "told") == 6);
        for (unsigned i = 1; i <= 6; i++) {
                _cleanup_free_ char *text = content(w, "told"), *member = xasprintf("\"activity\":\"a%u\"", i);

                assert_non_null(strstr(text, member));
        }
        world_done(w);
}

static void resolved_many(World *w, unsigned first, unsigned last) {
        for (unsigned i = first; i <= last; i++) {
                char name[16];

                (void) snprintf(name, sizeof name, "a%u", i);
                resolved(w, name);
        }
}

/* NOTIFY_WAITING_MAX: what comes beyond is said once, until it has caught up, and told then. */
static void test_cap(void **state) {
        World *w = &world;
        const unsigned n = NOTIFY_WAITING_MAX + 3;
        char path[128];

        world_init_many(w, n);
        start(w, "{ until [ -e go ]; do sleep 0.01; done; echo >>told; }", USEC_PER_HOUR, USEC_PER_HOUR, false);
        request_many(w, 1, n);
        assert_int_equal(count_children(), NOTIFY_AT_ONCE);
        assert_int_equal(count_in_log(w, "More than 1000 requests"), 1);
        touch(w, "go");
        turn_until(w, count_lines(w, "told") == n && count_children() == 0);
        assert_int_equal(w->n_looks, 1);
        turn(w);
        assert_int_equal(count_lines(w, "told"), n);

        in_directory(w, "go", path);
        assert_int_equal(unlink(path), 0);
        resolved_many(w, 1, n);
        request_many(w, 1, n);
        assert_int_equal(count_in_log(w, "More than 1000 requests"), 2);
        stop(w);
        assert_int_equal(count_in_log(w, "has not told of: 1000"), 1);
        assert_int_equal(count_children(), 0);
        world_done(w);
}

/* All that waits is answered, and no command is under way that could end: those beyond the limit are found all the same, as soon as it can
 * be looked. */
static void test_missed_and_the_rest_resolved(void **state) {
        World *w = &world;
        const unsigned n = NOTIFY_WAITING_MAX + 1;

        world_init_many(w, n);
        start(w, "{ [ -e fine ] && echo >>told; }", USEC_PER_HOUR, USEC_PER_HOUR, false);
        request_many(w, 1, n);
        turn_until(w, count_children() == 0);           /* each waits for its next try */
        touch(w, "fine");
        w->look_error = -EIO;
        for (unsigned i = 0; i < NOTIFY_WAITING_MAX; i++)
                activity_close_request(w->f.run->activities[i]);
        resolved_many(w, 1, NOTIFY_WAITING_MAX - 1);
        turn_until(w, w->n_looks == 1);
        assert_int_equal(count_lines(w, "told"), 0);
        w->look_error = 0;
        resolved_many(w, NOTIFY_WAITING_MAX, NOTIFY_WAITING_MAX);
        turn_until(w, count_lines(w, "told") == 1 && count_children() == 0);
        assert_int_equal(w->n_looks, 2);
        stop(w);
        assert_int_equal(count_in_log(w, "has not told"), 0);
        world_done(w);
}

/* ---- restarts ---- */

static void start_again(World *w, const char *command) {
        start(w, command, USEC_PER_HOUR, USEC_PER_MSEC, false);
        notify_command_recover(w->n);
}

/* Only what the command had taken is not told again. */
static void test_restart(void **state) {
        World *w = &world;
        _cleanup_free_ char *text = NULL;

        world_init_many(w, 7);
        start(w, "{ " ONE_PLACE "echo $a >>told; }", USEC_PER_HOUR, USEC_PER_HOUR, false);
        request_many(w, 1, 6);
        turn_until(w, count_lines(w, "told") == 3 && count_children() == 3);
        stop(w);
        assert_int_equal(count_in_log(w, "has not told of: 3; they stay open (runbookctl inbox), and are told at the next start"), 1);
        touch(w, "a1");
        touch(w, "a2");
        touch(w, "a3");
        start_again(w, "{ " ONE_PLACE "echo $a >>again; }");
        turn_until(w, count_lines(w, "again") == 4 && count_children() == 0);
        text = content(w, "again");
        for (const char *s = text; *s; s += strcspn(s, "\n") + 1)
                assert_true(s[1] != '4' && s[1] != '5' && s[1] != '6');
        stop(w);
        start_again(w, "echo >>again");
        turn(w);
        assert_int_equal(count_children(), 0);
        assert_int_equal(count_lines(w, "again"), 4);
        world_done(w);
}

/* A full disk: what is open can't be looked at when we start, and nothing happens afterwards but that there is room again. */
static void test_look_fails_at_the_start(void **state) {
        World *w = &world;

        world_init_many(w, 2);
        w->look_error = -EIO;
        start_again(w, "echo >>told");
        turn_until(w, w->n_looks >= 3);
        assert_int_equal(count_lines(w, "told"), 0);
        w->look_error = 0;
        turn_until(w, count_lines(w, "told") == 2 && count_children() == 0);
        stop(w);
        world_done(w);
}

/* A request that is answered or gone while nothing looked is forgotten; one that is asked again is another one. */
static void test_asked_again(void **state) {
        World *w = &world;

        world_init_many(w, 2);
        start(w, "echo >>told", USEC_PER_HOUR, USEC_PER_HOUR, false);
        request_many(w, 1, 2);
        turn_until(w, count_lines(w, "told") == 2 && count_children() == 0);
        stop(w);
        fixture_activity(&w->f, "a1")->request->opened_at++;
        start_again(w, "echo >>told");
        turn_until(w, count_lines(w, "told") == 3 && count_children() == 0);
        resolved(w, "a2");
        fixture_activity(&w->f, "a2")->request->opened_at++;
        request(w, "a2");
        turn_until(w, count_lines(w, "told") == 4 && count_children() == 0);
        stop(w);
        start_again(w, "echo >>told");
        turn(w);
        assert_int_equal(count_children(), 0);
        world_done(w);
}

/* The administrator may have mended what it failed by: a start and a reload tell what was given up. */
static void test_given_up_is_told_again(void **state) {
        World *w = &world;

        world_init(w, asks);
        start(w, "echo >>tries; exit 3", USEC_PER_MINUTE, USEC_PER_MSEC, true);
        request(w, "sign-off");
        turn_until(w, count_in_log(w, "could not tell") == 1);
        assert_int_equal(count_in_log(w, "it stays open (runbookctl --user inbox), and is told again after a reload or a restart"), 1);
        request(w, "sign-off");
        turn(w);
        assert_int_equal(count_lines(w, "tries"), NOTIFY_TRIES_MAX);
        activity_close_request(fixture_activity(&w->f, "nobody"));
        activity_close_request(fixture_activity(&w->f, "ask"));
        activity_close_request(fixture_activity(&w->f, "lacks"));
        change(w, "echo >>tries; exit 3", USEC_PER_MINUTE);
        turn_until(w, count_in_log(w, "could not tell") == 2);
        stop(w);
        start_again(w, "echo >>told");
        turn_until(w, count_lines(w, "told") == 1 && count_children() == 0);
        stop(w);
        start_again(w, "echo >>told");
        turn(w);
        assert_int_equal(count_children(), 0);
        world_done(w);
}

/* None was set when it opened, nor at the start. What another one was told of stays told meanwhile. */
static void test_set_later(void **state) {
        World *w = &world;

        world_init_many(w, 3);
        start(w, "echo >>told", USEC_PER_HOUR, USEC_PER_HOUR, false);
        request(w, "a1");
        turn_until(w, count_lines(w, "told") == 1 && count_children() == 0);
        change(w, NULL, USEC_PER_HOUR);
        request(w, "a2");
        stop(w);
        start_again(w, NULL);
        change(w, "echo >>later", USEC_PER_HOUR);
        turn_until(w, count_lines(w, "later") == 2 && count_children() == 0);
        assert_int_equal(count_lines(w, "told"), 1);
        world_done(w);
}

/* ---- another command, none any more, the end ---- */

static void test_change(void **state) {
        World *w = &world;

        world_init_many(w, 5);
        start(w, "{ until [ -e go ]; do sleep 0.01; done; echo one >>told; }", USEC_PER_HOUR, USEC_PER_HOUR, false);
        request_many(w, 1, 5);
        change(w, "echo two >>told", USEC_PER_HOUR);
        assert_int_equal(count_children(), NOTIFY_AT_ONCE);
        touch(w, "go");
        turn_until(w, count_lines(w, "told") == 5 && count_children() == 0);
        assert_int_equal(count_in(w, "told", "one\n"), NOTIFY_AT_ONCE);
        assert_int_equal(count_in(w, "told", "two\n"), 1);
        world_done(w);
}

/* What runs ends in its own time, and is not tried again; what waits, or waits for its next try, is forgotten. */
static void test_change_to_none(void **state) {
        World *w = &world;

        world_init_many(w, 6);
        start(w, "echo >>tries; exit 1", USEC_PER_HOUR, USEC_PER_HOUR, false);
        request(w, "a1");
        turn_until(w, count_children() == 0);
        change(w, "until [ -e go ]; do sleep 0.01; done; echo >>tries; exit 2", USEC_PER_HOUR);
        request_many(w, 2, 6);
        change(w, NULL, USEC_PER_HOUR);
        request_many(w, 1, 6);
        assert_int_equal(count_children(), NOTIFY_AT_ONCE);
        touch(w, "go");
        turn_until(w, count_children() == 0);
        assert_int_equal(count_lines(w, "tries"), 1 + NOTIFY_AT_ONCE);
        assert_int_equal(count_in_log(w, "in 1 tries (exit status 2)"), NOTIFY_AT_ONCE);
        stop(w);
        assert_int_equal(count_in_log(w, "has not told"), 0);
        world_done(w);
}

/* All of them and of their groups, at once. */
static void test_free_kills(void **state) {
        World *w = &world;

        world_init_many(w, 6);
        start(w, "{ sleep 100 & echo $! >>pids; echo $$ >>pids; wait; }", USEC_PER_HOUR, USEC_PER_HOUR, false);
        request_many(w, 1, 6);
        turn_until(w, count_lines(w, "pids") == 2 * NOTIFY_AT_ONCE);
        stop(w);
        assert_true(all_gone(w, "pids"));
        assert_int_equal(count_in_log(w, "has not told of: 6"), 1);
        world_done(w);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_approval, clean_up),
                cmocka_unit_test_teardown(test_owners, clean_up),
                cmocka_unit_test_teardown(test_input, clean_up),
                cmocka_unit_test_teardown(test_missing_input, clean_up),
                cmocka_unit_test_teardown(test_decision, clean_up),
                cmocka_unit_test_teardown(test_none_configured, clean_up),
                cmocka_unit_test_teardown(test_no_request, clean_up),
                cmocka_unit_test_teardown(test_surroundings, clean_up),
                cmocka_unit_test_teardown(test_reads_nothing_writes_much, clean_up),
                cmocka_unit_test_teardown(test_gives_up, clean_up),
                cmocka_unit_test_teardown(test_tries_again, clean_up),
                cmocka_unit_test_teardown(test_timeout, clean_up),
                cmocka_unit_test_teardown(test_left_behind, clean_up),
                cmocka_unit_test_teardown(test_not_started, clean_up),
                cmocka_unit_test_teardown(test_four_in_order, clean_up),
                cmocka_unit_test_teardown(test_retry_holds_up_nobody, clean_up),
                cmocka_unit_test_teardown(test_resolved_before_its_turn, clean_up),
                cmocka_unit_test_teardown(test_resolved_between_tries, clean_up),
                cmocka_unit_test_teardown(test_run_is_gone, clean_up),
                cmocka_unit_test_teardown(test_cap, clean_up),
                cmocka_unit_test_teardown(test_missed_and_the_rest_resolved, clean_up),
                cmocka_unit_test_teardown(test_restart, clean_up),
                cmocka_unit_test_teardown(test_look_fails_at_the_start, clean_up),
                cmocka_unit_test_teardown(test_asked_again, clean_up),
                cmocka_unit_test_teardown(test_given_up_is_told_again, clean_up),
                cmocka_unit_test_teardown(test_set_later, clean_up),
                cmocka_unit_test_teardown(test_change, clean_up),
                cmocka_unit_test_teardown(test_change_to_none, clean_up),
                cmocka_unit_test_teardown(test_free_kills, clean_up),
        };

        (void) umask(022);
        (void) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* as the executor makes the daemon */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
