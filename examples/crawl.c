/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A crawler: many connections at once, against a server of our own that has
 * three kinds of pages. Most come at once. Some never come: a deadline for each
 * fetch ends those. Some trickle in forever, always just before the deadline
 * for the next byte: the crawler's own deadline ends those, by a kill.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <tasklet/tasklet.h>

#define MS UINT64_C(1000000)
#define PAGES 100

static struct sockaddr_in address;
static int fetched, timed_out, killed;

static int serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	unsigned char page;
	char junk;

	if (tl_read_full(fd, &page, 1, NULL) == 1) {
		if (page % 10 == 3)
			tl_read(fd, &junk, 1);	/* until the client is gone */
		while (page % 10 == 7 && tl_write(fd, "trickle ", 1) == 1)
			tl_sleep(5 * MS);
		if (page % 10 != 3 && page % 10 != 7)
			tl_write_full(fd, "the page", 8, NULL);
	}
	return tl_close(fd);
}

static int server(void *arg)
{
	int fd;

	while ((fd = tl_listener_accept(arg)) >= 0)
		if (tl_spawn(NULL, serve, (void *)(intptr_t)fd))
			tl_close(fd);
	return fd;
}

/* Reads to the end of the page; each byte has two seconds to come. */
static int fetch(int fd, unsigned char page)
{
	uint64_t deadline = tl_after(2000 * MS);
	char buf[64];
	ssize_t r;

	r = tl_connect_until(fd, (struct sockaddr *)&address, sizeof(address),
			     deadline);
	if (!r)
		r = tl_write_until(fd, &page, 1, deadline);
	while (r > 0)
		r = tl_read_until(fd, buf, sizeof(buf),
				  page % 10 == 3 ? tl_after(100 * MS) :
						   tl_after(2000 * MS));
	return (int)r;
}

static int crawl(void *arg)
{
	int fd, r;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = fetch(fd, (unsigned char)(intptr_t)arg);
	tl_close(fd);		/* works while we are being killed, too */
	if (r == -ETIMEDOUT) {
		timed_out++;
		return 0;
	}
	fetched += r == 0;
	killed += r == -ECANCELED;
	return r;
}

static int listen_somewhere(void)
{
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) ||
	    listen(fd, PAGES) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		return -1;
	return fd;
}

int main(void)
{
	int fd = listen_somewhere(), i;
	struct tl_task *tasks[PAGES], *server_task;
	struct tl_listener *listener;
	uint64_t give_up;

	if (fd < 0 || tl_listener_new(&listener, fd, SOCK_CLOEXEC) ||
	    tl_spawn(&server_task, server, listener))
		return 1;
	for (i = 0; i < PAGES; i++)
		if (tl_spawn(&tasks[i], crawl, (void *)(intptr_t)i))
			return 1;

	give_up = tl_after(5000 * MS);
	while (fetched + timed_out < PAGES * 9 / 10 && tl_now() < give_up)
		tl_sleep(10 * MS);
	for (i = 0; i < PAGES; i++) {
		tl_task_kill(tasks[i]);		/* no effect on the dead */
		tl_task_unref(tasks[i]);
	}
	tl_task_kill(server_task);
	tl_task_unref(server_task);
	tl_run();
	tl_listener_free(listener);
	tl_close(fd);
	printf("%d pages fetched, %d timed out, %d killed\n", fetched,
	       timed_out, killed);
	return fetched != 80 || timed_out != 10 || killed != 10 ||
	       tl_sched_end();
}
