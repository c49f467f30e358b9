/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Ours: an echo server as anybody would write it, one tasklet a connection.
 */
#include <stdint.h>
#include <stdlib.h>

#include <tasklet/tasklet.h>

#include "net.h"

static int echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[4096];
	ssize_t n;

	while ((n = tl_recv(fd, buf, sizeof(buf), 0)) > 0)
		if (tl_send(fd, buf, (size_t)n, 0) != n)
			break;
	return tl_close(fd);
}

void net_tasklet_echo(int fd)
{
	struct tl_listener *listener;
	int conn;

	if (tl_listener_new(&listener, fd, SOCK_CLOEXEC))
		abort();
	while ((conn = tl_listener_accept(listener)) >= 0)
		if (tl_spawn(NULL, echo, (void *)(intptr_t)conn))
			abort();
	abort();
}
