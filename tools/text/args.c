/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See args.h. */
#include "text/args.h"

#include <argp.h>
#include <stdio.h>

#include <tasklet/base.h>

static const char *name;

static void print_version(FILE *f, struct argp_state *state)
{
	(void)state;
	fprintf(f, "%s (libtasklet) %s\n", name, tl_version());
}

void args_begin(const char *tool)
{
	name = tool;
	argp_program_version_hook = print_version;
	argp_err_exit_status = EXIT_USAGE;
}
