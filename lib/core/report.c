/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The buffer that reports are formatted in; see report.h.
 */
#include "core/report.h"

#include <pthread.h>
#include <string.h>

#include "os/log.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tl__report only;	/* under lock */

/* Whoever held it is gone, with what it was writing. */
static void in_forked_child(void)
{
	pthread_mutex_init(&lock, NULL);
}

static void register_fork_handler(void)
{
	if (pthread_atfork(NULL, NULL, in_forked_child))
		tl__log_once("reports may wait for ever in forked children: "
			     "no memory for a fork handler");
}

struct tl__report *tl__report_begin(int fd)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_fork_handler);
	pthread_mutex_lock(&lock);
	tl__out_init(&only.out, fd);
	/* Libraries may have come and gone since the last report. */
	memset(&only.symbols, 0, sizeof(only.symbols));
	return &only;
}

int tl__report_end(struct tl__report *report)
{
	int r = tl__out_flush(&report->out);

	pthread_mutex_unlock(&lock);
	return r;
}

void tl__report_label(struct tl__report *report, uint64_t id, const char *name)
{
	tl__out_str(&report->out, " ");
	tl__out_u64(&report->out, id);
	if (!name || !*name)
		return;
	tl__out_str(&report->out, " (");
	tl__out_name(&report->out, name);
	tl__out_str(&report->out, ")");
}
