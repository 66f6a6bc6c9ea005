/* runbook-agent: options, and what a process needs before anything else. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "agent.h"
#include "i18n.h"
#include "log.h"

#define EXIT_USAGE 64

static void help(void) {
        printf(_("Usage: runbook-agent [OPTION…]\n"
                 "Shows what runbooks ask of you, as notifications with buttons to answer.\n"
                 "\n"
                 "      --user               of your own runbookd, on the session bus\n"
                 "      --system             of the machine's, on the system bus (default)\n"
                 "      --log-level=LEVEL    from emerg (little) to debug (much), default info\n"
                 "  -h, --help               show this help\n"
                 "      --version            show the version\n"
                 "\n"
                 "It belongs into a desktop session and is started with it.\n"));
}

static int usage(const char *program) {
        fprintf(stderr, _("Try “%s --help” for the options.\n"), program);
        return EXIT_USAGE;
}

static int set_log_level(const char *program, const char *value) {
        int level = log_level_from_string(value);
        if (level >= 0) {
                log_set_max_level(level);
                return -1;
        }
        fprintf(stderr, _("“%s” is no log level.\n"), value);
        return usage(program);
}

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, AgentOptions *o) {
        enum { OPTION_SYSTEM = 256, OPTION_USER, OPTION_LOG_LEVEL, OPTION_VERSION };
        static const struct option options[] = {
                {"system", no_argument, NULL, OPTION_SYSTEM},
                {"user", no_argument, NULL, OPTION_USER},
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
                case OPTION_LOG_LEVEL:
                        c = set_log_level(argv[0], optarg);
                        if (c >= 0)
                                return c;
                        break;
                case 'h':
                        help();
                        return EXIT_SUCCESS;
                case OPTION_VERSION:
                        puts("runbook-agent " RUNBOOKD_VERSION);
                        return EXIT_SUCCESS;
                default:
                        return usage(argv[0]);
                }
        if (optind == argc)
                return -1;
        fprintf(stderr, _("runbook-agent takes no arguments, but “%s” is one.\n"), argv[optind]);
        return usage(argv[0]);
}

/* Signals come through the event loop; a reader of our output that goes away is no reason to die. */
static void prepare_process(void) {
        static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
        sigset_t set;
        (void) sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void) sigaddset(&set, signals[i]);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv) {
        _cleanup_(agent_freep) Agent *a = NULL;
        AgentOptions o = {};
        i18n_init();
        int r = parse_options(argc, argv, &o);
        if (r >= 0)
                return r;
        prepare_process();
        log_open();
        r = agent_new(&o, &a);
        if (r < 0)
                return r == -EEXIST ? EXIT_SERVED : EXIT_FAILURE;
        return agent_run(a);
}
