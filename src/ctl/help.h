/* --help and --version, made from the tables of verbs and options. No line is wider than 80 columns, in any language. */
#pragma once

#include "ctl.h"

int help_all(Ctl *c);
int help_verb(Ctl *c, const Verb *v);
int help_version(void);
