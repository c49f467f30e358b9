/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the tools' command lines have in common.
 */
#ifndef TEXT_ARGS_H
#define TEXT_ARGS_H

enum { EXIT_USAGE = 2 };

/*
 * Tells argp what --version prints of @tool, and to end with EXIT_USAGE where it is asked
 * for something that makes no sense.
 */
void args_begin(const char *tool);

#endif
