/* The environment of steps, and where their programs are. */
#include "exec-test.h"

#include <pwd.h>

#include "step-env.h"

static char **make(const StepEnvBase *b, char *const *given) {
        const StepCommand c = { .run = 12, .runbook = "ship", .activity = "dist", .step = "s", .step_key = "1", .attempt = 3,
                        .env = given };
        char **env = NULL;

        assert_ok(step_env_make(b, &c, "/state/step/o", "/state/step/e", &env));
        return env;
}

static size_t count(char *const *env) {
        size_t n = 0;

        while (env[n])
                n++;
        return n;
}

static void test_basic(void **state) {
        const struct passwd *pw = getpwuid(geteuid());
        StepEnvBase *b = NULL;
        char **env;

        assert_ok(step_env_base_new("/state", &b));
        env = make(b, NULL);
        assert_int_equal(count(env), 15);
        assert_string_equal(step_env_get(env, "PATH"), STEP_DEFAULT_PATH);
        assert_string_equal(step_env_get(env, "HOME"), pw ? pw->pw_dir : "/");
        assert_string_equal(step_env_get(env, "USER"), step_env_get(env, "LOGNAME"));
        assert_non_null(step_env_get(env, "SHELL"));
        assert_string_equal(step_env_get(env, "LANG"), "C.UTF-8");
        assert_string_equal(step_env_get(env, "TMPDIR"), "/state/work/12/tmp");
        assert_string_equal(step_env_get(env, "RUNBOOK_WORKSPACE"), "/state/work/12/workspace");
        assert_string_equal(step_env_get(env, "RUNBOOK_ATTEMPT"), "3");
        assert_null(step_env_get(env, "RUNBOOK"));
        assert_null(step_env_get(env, "NONE"));
        assert_null(step_env_get(NULL, "NONE"));
        free(env);
        step_env_base_free(b);
}

/* What is given wins, but for what tells a step from others. */
static void test_given(void **state) {
        static const char *const reserved[] = { "RUN", "NAME", "ACTIVITY", "STEP", "ATTEMPT", "WORKSPACE", "OUTPUT", "ERROR" };
        char *given[] = { (char *) "PATH=/x", (char *) "TMPDIR=/y", (char *) "RUNBOOK_EXPR_0=v", (char *) "RUNBOOK_OUTPUT_DIR=z",
                        (char *) "EMPTY=", NULL };
        StepEnvBase *b = NULL;
        char **env;

        assert_ok(step_env_base_new("/state", &b));
        env = make(b, given);
        assert_int_equal(count(env), 15 + 3);
        assert_string_equal(step_env_get(env, "PATH"), "/x");
        assert_string_equal(step_env_get(env, "TMPDIR"), "/y");
        assert_string_equal(step_env_get(env, "RUNBOOK_EXPR_0"), "v");
        assert_string_equal(step_env_get(env, "RUNBOOK_OUTPUT_DIR"), "z");
        assert_string_equal(step_env_get(env, "EMPTY"), "");
        free(env);
        for (size_t i = 0; i < ELEMENTSOF(reserved); i++) {
                _cleanup_free_ char *setting = xasprintf("RUNBOOK_%s=forged", reserved[i]);
                char *one[] = { setting, NULL };

                env = make(b, one);
                assert_int_equal(count(env), 15);
                for (size_t k = 0; env[k]; k++)
                        assert_null(strstr(env[k], "forged"));
                free(env);
        }
        step_env_base_free(b);
}

static void touch(const char *directory, const char *name, mode_t mode) {
        _cleanup_free_ char *path = path_join(directory, name);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);

        assert_true(fd >= 0);
        (void) close(fd);
}

static void check_found(const char *name, const char *path, const char *directory, const char *expected) {
        _cleanup_free_ char *found = NULL;

        assert_ok(step_find_program(name, path, directory, &found));
        assert_string_equal(found, expected);
}

static void test_find_program(void **state) {
        char base[] = "/tmp/runbookd-env-XXXXXX";
        _cleanup_free_ char *path = NULL, *later = NULL, *here = NULL, *below = NULL, *one = NULL;
        char *found = NULL;

        assert_non_null(mkdtemp(base));
        path = xasprintf("/none:%s/a:%s/b", base, base);
        later = xasprintf("%s/b/tool", base);
        here = xasprintf("%s/b/tool", base);
        below = xasprintf("%s/b/tool", base);
        one = xasprintf("%s/b", base);
        assert_ok(mkdir(one, 0755));
        one[strlen(one) - 1] = 'a';
        assert_ok(mkdir(one, 0755));
        touch(base, "a/tool", 0644);                    /* passed over, as execvp does */
        touch(base, "a/denied", 0644);
        touch(base, "b/tool", 0755);
        assert_ok(mkdirat(AT_FDCWD, strcat(strcpy((char[128]) { 0 }, base), "/a/dir"), 0755));
        check_found("tool", path, "/", later);
        one[strlen(one) - 1] = 'b';
        check_found("tool", "", one, here);             /* relative directories are below where the step runs */
        check_found("tool", "x::y", one, here);
        check_found("tool", "b", base, below);
        check_found("/anything/with/slash", path, "/", "/anything/with/slash");
        check_found("./relative", path, "/", "./relative");
        assert_int_equal(step_find_program("none", path, "/", &found), -ENOENT);
        assert_int_equal(step_find_program("denied", path, "/", &found), -EACCES);
        assert_int_equal(step_find_program("dir", path, "/", &found), -EACCES);
        assert_int_equal(step_find_program("", path, "/", &found), -ENOENT);
        assert_int_equal(step_find_program("tool", NULL, "/none", &found), -ENOENT);
        assert_null(found);
        assert_ok(remove_tree(AT_FDCWD, base));
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(test_basic), cmocka_unit_test(test_given),
                cmocka_unit_test(test_find_program) };

TEST_MAIN(tests)
