/* Children that are made ready ahead of time: a spawned process has done all of its set-up and waits at a barrier, so that the parent can
 * write its intent to disk meanwhile; only spawn_launch lets it execute the command. */
#pragma once

#include <sys/types.h>

#include "macros.h"

typedef struct Spawner Spawner;                         /* what children are made from: stacks, and the limits they get back */
typedef struct Spawn Spawn;

/* Borrowed until the process is over (the child reads it when it executes), but for the descriptors, which may be closed after
 * spawn_new. */
typedef struct SpawnRequest {
        const char *path;                               /* to execute; relative ones are below `directory` */
        char *const *argv, *const *env;
        const char *directory;
        int input, output, errors;                      /* all above 2 */
        int cgroup;                                     /* directory of the control group to start in, or -1 */
        bool same_session;                              /* it is a helper of ours and no step: it stays in our session, by which it is known */
} SpawnRequest;

typedef enum SpawnStage {
        SPAWN_STAGE_SETUP,
        SPAWN_STAGE_DIRECTORY,
        SPAWN_STAGE_EXECUTE,
        _SPAWN_STAGE_MAX,
        _SPAWN_STAGE_INVALID = -EINVAL,
} SpawnStage;

/* Notes the limit of open files that children get back, so make it before raising it, and which signals are ignored, so make it after
 * ignoring them. Children come from the thread that calls spawn_new:
 * it must outlive them, as its end kills them. */
int spawner_new(Spawner **ret);
Spawner *spawner_free(Spawner *s);                      /* all of its children must be freed */
DEFINE_CLEANUP(Spawner *, spawner_free)
bool spawner_can_enter_cgroup(const Spawner *s);

int spawn_new(Spawner *s, const SpawnRequest *request, Spawn **ret);
void spawn_launch(Spawn *p);
void spawn_abandon(Spawn *p);                           /* kills it at the barrier, reaps it and frees it: the command never ran */
Spawn *spawn_free(Spawn *p);                            /* after it has been reaped */

pid_t spawn_pid(const Spawn *p);                        /* also its session and process group, unless it stays in ours */
int spawn_pidfd(const Spawn *p);                        /* borrowed; readable when it is over */
/* When it began, as field 22 of /proc/PID/stat has it, or up to SPAWN_START_SLACK less. */
uint64_t spawn_start(const Spawn *p);
int spawn_error(const Spawn *p, SpawnStage *ret_stage); /* once it is over: the errno for which it never ran the command, or 0 */

#define SPAWN_START_SLACK 100u                          /* in clock ticks; a pid is not used again that soon */
