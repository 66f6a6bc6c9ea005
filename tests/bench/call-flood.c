/* Calls a method of the daemon N times with 64 calls in flight and prints calls a second: `ping` (an empty method) or `start RUNBOOK`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

#define IN_FLIGHT 64

static const char *runbook;
static int to_send, pending, failed;
static sd_bus *bus;

static int send_one(void);

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        pending--;
        if (sd_bus_message_is_method_error(m, NULL)) {
                failed++;
                fprintf(stderr, "%s\n", sd_bus_message_get_error(m)->message);
        }
        return to_send > 0 ? send_one() : 0;
}

static int send_one(void) {
        to_send--;
        pending++;
        if (!runbook)
                return sd_bus_call_method_async(bus, NULL, "org.runbookd1", "/org/runbookd1", "org.freedesktop.DBus.Peer", "Ping", on_reply, NULL, "");
        return sd_bus_call_method_async(bus, NULL, "org.runbookd1", "/org/runbookd1", "org.runbookd1.Manager", "StartRun", on_reply, NULL, "sa{sv}a{sv}", runbook, 0, 0);
}

static double now(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

int main(int argc, char *argv[]) {
        int n = argc > 1 ? atoi(argv[1]) : 1000;
        double begin;

        runbook = argc > 3 && strcmp(argv[2], "start") == 0 ? argv[3] : NULL;
        if (sd_bus_open_user(&bus) < 0)
                return 1;
        to_send = n;
        begin = now();
        while (pending < IN_FLIGHT && to_send > 0)
                if (send_one() < 0)
                        return 1;
        while (pending > 0) {
                int r = sd_bus_process(bus, NULL);
                if (r < 0 || (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0))
                        return 1;
        }
        printf("%.0f\n", n / (now() - begin));
        return failed > 0;
}
