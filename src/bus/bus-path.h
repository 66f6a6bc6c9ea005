/* Object paths: /org/runbookd1/run/N and /org/runbookd1/run/N/activity/NAME, each with exactly one spelling. */
#pragma once

#include "bus-names.h"
#include "macros.h"

#define BUS_RUN_PATH_SIZE (sizeof(BUS_RUN_PREFIX) + 10)
#define BUS_ACTIVITY_NAME_SIZE 65                       /* object_name_is_valid */
#define BUS_ACTIVITY_PATH_SIZE (BUS_RUN_PATH_SIZE + sizeof("/activity/") + 3 * BUS_ACTIVITY_NAME_SIZE)

void bus_run_path(uint32_t run, char ret[static BUS_RUN_PATH_SIZE]);
void bus_activity_path(uint32_t run, const char *name, char ret[static BUS_ACTIVITY_PATH_SIZE]);
/* True only for the canonical spelling. */
bool bus_parse_run_path(const char *path, uint32_t *ret);
bool bus_parse_activity_path(const char *path, uint32_t *ret_run, char ret_name[static BUS_ACTIVITY_NAME_SIZE]);
