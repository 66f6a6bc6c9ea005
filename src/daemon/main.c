/* runbookd: options, and what a process needs before anything else. */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>

#include "i18n.h"
#include "log.h"
#include "manager.h"

#define EXIT_USAGE 64

static void help(void) {
        printf(_("Usage: runbookd [OPTION…]\n"
                 "Carries out runbooks.\n"
                 "\n"
                 "      --system                 serve the system, on the system bus (default)\n"
                 "      --user                   serve one user, on the session bus\n"
                 "      --state-directory=DIR    keep runs, logs and workspaces in DIR\n"
                 "      --config=FILE            read FILE and no other configuration\n"
                 "      --log-level=LEVEL        from emerg (little) to debug (much); default info\n"
                 "  -h, --help                   show this help\n"
                 "      --version                show the version\n"
                 "\n"
                 "Runs are started and looked at with runbookctl.\n"));
}

static int usage(const char *program) {
        fprintf(stderr, _("Try “%s --help” for the options.\n"), program);
        return EXIT_USAGE;
}

static int set_log_level(ManagerOptions *o, const char *program, const char *value) {
        o->log_level = log_level_from_string(value);
        if (o->log_level >= 0)
                return -1;
        fprintf(stderr, _("“%s” is no log level.\n"), value);
        return usage(program);
}

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, ManagerOptions *o) {
        enum { OPTION_SYSTEM = 256, OPTION_USER, OPTION_STATE_DIRECTORY, OPTION_CONFIG, OPTION_LOG_LEVEL, OPTION_VERSION };
        static const struct option options[] = {
                {"system", no_argument, NULL, OPTION_SYSTEM},
                {"user", no_argument, NULL, OPTION_USER},
                {"state-directory", required_argument, NULL, OPTION_STATE_DIRECTORY},
                {"config", required_argument, NULL, OPTION_CONFIG},
                {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
                {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, OPTION_VERSION},
                {},
        };
        for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) >= 0;)
                switch (c) {
                case OPTION_SYSTEM:
                        o->user_mode = false;
                        break;
                case OPTION_USER:
                        o->user_mode = true;
                        break;
                case OPTION_STATE_DIRECTORY:
                        o->state_directory = optarg;
                        break;
                case OPTION_CONFIG:
                        o->config_file = optarg;
                        break;
                case OPTION_LOG_LEVEL:
                        c = set_log_level(o, argv[0], optarg);
                        if (c >= 0)
                                return c;
                        break;
                case 'h':
                        help();
                        return EXIT_SUCCESS;
                case OPTION_VERSION:
                        puts(PACKAGE " " RUNBOOKD_VERSION);
                        return EXIT_SUCCESS;
                default:
                        return usage(argv[0]);
                }
        if (optind == argc)
                return -1;
        fprintf(stderr, _("runbookd takes no arguments, but “%s” is one.\n"), argv[optind]);
        return usage(argv[0]);
}

/* Signals come through the event loop; a reader of our output that goes away is no reason to die; one thread needs one arena. */
static void prepare_process(void) {
        sigset_t set;
        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGINT);
        (void) sigaddset(&set, SIGHUP);
        (void) sigaddset(&set, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) mallopt(M_ARENA_MAX, 1);
}

int main(int argc, char **argv) {
        _cleanup_(manager_freep) Manager *m = NULL;
        ManagerOptions o = {.log_level = -1};
        i18n_init();
        int r = parse_options(argc, argv, &o);
        if (r >= 0)
                return r;
        prepare_process();
        log_open();
        r = manager_new(&o, &m);
        return r < 0 ? EXIT_FAILURE : manager_run(m);
}
