/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Links over descriptors: two eventfds as semaphores, or a pipe that carries the
 * values themselves.
 *
 * Invariant: a bounded pipe is one of packets, in which each value takes a page
 * of its own, so that its size in pages is its capacity in values.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "link.h"

static int read_value(int fd, uint64_t *value)
{
	ssize_t n;

	do
		n = read(fd, value, sizeof(*value));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(*value) ? 0 : -EIO;
}

static int write_value(int fd, uint64_t value)
{
	ssize_t n;

	do
		n = write(fd, &value, sizeof(value));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(value) ? 0 : -EIO;
}

/* --- eventfd ---------------------------------------------------------------- */

static int new_eventfd(unsigned int count)
{
	int fd;

	if (tl__fault())
		return -EMFILE;
	fd = eventfd(count, EFD_CLOEXEC | EFD_SEMAPHORE);
	return fd < 0 ? -errno : fd;
}

static int eventfd_open(struct link *link)
{
	int items = new_eventfd(0), room;

	if (items < 0)
		return items;
	room = new_eventfd(link->capacity);
	if (room < 0) {
		close(items);
		return room;
	}
	link->u.eventfd.items = items;
	link->u.eventfd.room = room;
	return 0;
}

static void eventfd_close(struct link *link)
{
	close(link->u.eventfd.items);
	close(link->u.eventfd.room);
}

static int eventfd_put(struct link *link, uint64_t value)
{
	uint64_t one;
	int r = link->capacity ? read_value(link->u.eventfd.room, &one) : 0;

	if (r)
		return r;
	link_push(&link->slots, value);
	return write_value(link->u.eventfd.items, 1);
}

static int eventfd_get(struct link *link, uint64_t *value)
{
	uint64_t one;
	int r = read_value(link->u.eventfd.items, &one);

	if (r)
		return r;
	*value = link_pop(&link->slots);
	return link->capacity ? write_value(link->u.eventfd.room, 1) : 0;
}

const struct primitive link_eventfd = {
	.name = "eventfd",
	.what = "eventfd(2) as a semaphore",
	.open = eventfd_open,
	.close = eventfd_close,
	.put = eventfd_put,
	.get = eventfd_get,
};

/* --- pipe ------------------------------------------------------------------- */

static void pipe_close(struct link *link)
{
	close(link->u.pipe[0]);
	close(link->u.pipe[1]);
}

static int pipe_open(struct link *link)
{
	int flags = O_CLOEXEC | (link->capacity ? O_DIRECT : 0);
	int bytes = (int)link->capacity * (int)sysconf(_SC_PAGESIZE);

	if (tl__fault())
		return -EMFILE;
	if (pipe2(link->u.pipe, flags))
		return -errno;
	if (bytes && fcntl(link->u.pipe[1], F_SETPIPE_SZ, bytes) != bytes) {
		int r = errno ? -errno : -EINVAL;

		pipe_close(link);
		return r;
	}
	return 0;
}

static int pipe_put(struct link *link, uint64_t value)
{
	return write_value(link->u.pipe[1], value);
}

static int pipe_get(struct link *link, uint64_t *value)
{
	return read_value(link->u.pipe[0], value);
}

const struct primitive link_pipe = {
	.name = "pipe",
	.what = "a pipe with the values in it",
	.open = pipe_open,
	.close = pipe_close,
	.put = pipe_put,
	.get = pipe_get,
};
