/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The report of a deadlock: what tl_dump() says of the thread, kept for
 * tl_deadlock_report().
 */
#include "core/deadlock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tasklet/dump.h>

#include "base/alloc.h"
#include "core/report.h"

/* A report that somebody is to read; a million tasklets are not listed. */
#define TASKLETS_MAX	50
#define TEXT_MAX	32768

static bool wants_stderr(void)
{
	const char *wish = getenv("TL_DEADLOCK");

	return wish && !strcmp(wish, "report");
}

static void show(const char *text)
{
	/* One write: reports of several threads do not mix. */
	ssize_t written = write(STDERR_FILENO, text, strlen(text));

	(void)written;	/* nobody to tell */
}

/* What was written to @fd; NULL: no memory. */
static char *text_from(int fd)
{
	char *text = tl__malloc(TEXT_MAX);
	ssize_t len = text ? pread(fd, text, TEXT_MAX - 1, 0) : -1;

	if (len < 0) {
		tl__free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

tl__cold void tl__deadlock_note(struct tl_sched *s)
{
	int saved = errno;
	int fd = tl__fault() ? -1 : memfd_create("deadlock", MFD_CLOEXEC);

	tl__free(s->deadlock_text);
	s->deadlock_text = NULL;
	if (fd >= 0) {
		if (!tl__dump_own(s, fd, TASKLETS_MAX))
			s->deadlock_text = text_from(fd);
		close(fd);
	}
	if (s->deadlock_text && wants_stderr())
		show(s->deadlock_text);
	errno = saved;
}

const char *tl_deadlock_report(void)
{
	const struct tl_sched *s = tl__sched_self;

	return s && s->deadlock_text ? s->deadlock_text : "";
}
