/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * leftovers.h: what a test left running, found in /proc and ended.
 *
 * Owns no process, only knows whose it is: one in the test's session is that test's, whatever group it is in; one that
 * left its session too comes to the runner (a child subreaper) when its parent dies, and then is the only running
 * test's. Without /proc the group is all that is ended.
 */
#ifndef LEFTOVERS_H
#define LEFTOVERS_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "tap-read.h"

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

struct proc {
	char comm[64], state;
	pid_t pid, parent, session;
};

static bool read_proc(pid_t pid, struct proc *p)
{
	char file[64], buf[512], *name, *end;
	ssize_t n;
	int fd;

	snprintf(file, sizeof(file), "/proc/%d/stat", pid);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	name = strchr(buf, '(');
	end = strrchr(buf, ')');	/* the name may hold parentheses itself */
	if (!name || !end || end - name > 15 + 1)
		return false;
	make_printable(p->comm, name + 1, (size_t)(end - name - 1));
	p->pid = pid;
	return sscanf(end + 1, " %c %d %*d %d", &p->state, &p->parent, &p->session) == 3;
}

/*
 * Counts the living processes of a session other than its leader and, with `orphans`, those that left their session
 * and came to us when their parent died. Names them in `names`, or else kills them. Reaps what of them is dead.
 */
static int sweep(pid_t leader, bool orphans, struct text *names)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	struct proc p;
	int n = 0;

	while (d && (e = readdir(d))) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (pid <= 0 || pid == leader || !read_proc(pid, &p))
			continue;
		if (p.session != leader && !(orphans && p.parent == getpid()))
			continue;
		if (p.state == 'Z' || p.state == 'X') {
			if (p.parent == getpid())
				waitpid(pid, NULL, WNOHANG);
			continue;
		}
		n++;
		if (names)
			text_add(names, " %s (%d)", p.comm, pid);
		else
			kill(pid, SIGKILL);
	}
	if (d)
		closedir(d);
	return n;
}

/* Ends all that a test left running, and says what it was. */
static void end_leftovers(pid_t leader, bool orphans, bool tell, struct text *extra)
{
	struct text names = { 0 };

	if (sweep(leader, orphans, &names)) {
		/* One that the test has killed or that is just ending is not worth a word. */
		sleep_ms(20);
		names.len = 0;
		if (sweep(leader, orphans, &names) && tell)
			text_add(extra, "#   left running, killed now:%s\n", names.s);
	}
	if (leader > 0)
		kill(-leader, SIGKILL);
	for (int i = 0; i < 100 && sweep(leader, orphans, NULL); i++)
		sleep_ms(2);
	free(names.s);
}

#endif /* LEFTOVERS_H */
