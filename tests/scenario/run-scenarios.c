/* Runs scenario files, or all those of a directory: run-scenarios [FILE|DIRECTORY…]. README.md beside this file has the format. After
 * each turn of each scenario the invariants of invariants.c must hold, and at its end the fold of the stored events must equal the live
 * run, whatever the scenario is about. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fd-util.h"
#include "scenario.h"

static unsigned passed, failed;

static void run_file(const char *file) {
        _cleanup_json_ Json *source = NULL;
        Scenario s = { 0 };
        bool ok = scenario_load(file, &source) >= 0 && scenario_run(&s, file, source);
        _cleanup_free_ char *complaints = s.complaints.n > 0 ? strbuf_take(&s.complaints) : NULL;

        printf("%s %s\n", ok ? "ok" : "not ok", file);
        fputs(strempty(complaints), stderr);
        *(ok ? &passed : &failed) += 1;
        scenario_done(&s);
}

static int is_scenario(const struct dirent *d) {
        size_t n = strlen(d->d_name);
        return n > 5 && streq(d->d_name + n - 5, ".yaml");
}

static void run_directory(const char *directory) {
        struct dirent **entries;
        int n = scandir(directory, &entries, is_scenario, alphasort);

        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *file = path_join(directory, entries[i]->d_name);
                run_file(strempty(file));
                free(entries[i]);
        }
        if (n >= 0)
                free(entries);
}

int main(int argc, char *argv[]) {
        for (int i = 1; i < argc; i++) {
                struct stat st;
                if (stat(argv[i], &st) >= 0 && S_ISDIR(st.st_mode))
                        run_directory(argv[i]);
                else
                        run_file(argv[i]);
        }
        printf("%u passed, %u failed\n", passed, failed);
        return failed > 0 || passed == 0;
}
