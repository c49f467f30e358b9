/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Operations that wait for a descriptor to become ready.
 *
 * They wait in the order in which they came, each direction for itself, and are
 * tried again when the descriptor is ready. The invariants are in epoll.h.
 *
 * Each wait arms its descriptor anew (EPOLLONESHOT), which costs a system call
 * but is the only way that is true to descriptors which the program closes with
 * close(2) and opens again: the kernel then knows nothing of the new one, and
 * says so. What was armed for an old one is good for a try in vain at most.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "io/epoll-ops.h"
#include "io/epoll.h"
#include "os/clock.h"

#define CHUNK 64		/* descriptors whose state is made at a time */
/* How long to wait where nothing tells. */
#define LATE_NS 1000000
/* Events in a row that bring nothing before their descriptor gets late. */
#define VAIN_MAX 4

/* --- descriptors ---------------------------------------------------------- */

struct tl__epoll_fd *tl__epoll_find(const struct tl__epoll *e, int fd)
{
	unsigned int chunk = (unsigned int)fd / CHUNK;

	if (fd < 0 || chunk >= e->nchunks || !e->chunks[chunk])
		return NULL;
	return &e->chunks[chunk][fd % CHUNK];
}

static int grow(struct tl__epoll *e, unsigned int chunk)
{
	unsigned int n = e->nchunks ? e->nchunks : 16, i;
	struct tl__epoll_fd **chunks;

	while (n <= chunk)
		n *= 2;
	chunks = tl__realloc(e->chunks, n * sizeof(*chunks));
	if (!chunks)
		return -ENOMEM;
	for (i = e->nchunks; i < n; i++)
		chunks[i] = NULL;
	e->chunks = chunks;
	e->nchunks = n;
	return 0;
}

static void descriptor_init(struct tl__epoll_fd *d, int fd)
{
	int i;

	for (i = 0; i < TL__EPOLL_DIRECTIONS; i++)
		tl__list_init(&d->waiting[i]);
	tl__list_init(&d->jobs);
	tl__list_init(&d->late);
	d->fd = fd;
}

int tl__epoll_get(struct tl__epoll *e, int fd, struct tl__epoll_fd **out)
{
	unsigned int chunk = (unsigned int)fd / CHUNK;
	struct tl__epoll_fd *d = tl__epoll_find(e, fd);
	int i;

	*out = d;
	if (likely(d))
		return 0;
	/* A number that is just wrong must not cost gigabytes. */
	if (fcntl(fd, F_GETFD) < 0)
		return -errno;
	if (chunk >= e->nchunks && grow(e, chunk))
		return -ENOMEM;
	d = tl__calloc(CHUNK, sizeof(*d));
	if (!d)
		return -ENOMEM;
	for (i = 0; i < CHUNK; i++)
		descriptor_init(&d[i], (int)(chunk * CHUNK) + i);
	e->chunks[chunk] = d;
	*out = &d[fd % CHUNK];
	return 0;
}

/* What the operations on @d wait for. */
static uint32_t interest(struct tl__epoll_fd *d)
{
	struct tl__list *pos = &d->waiting[TL__EPOLL_POLL];
	uint32_t events = 0;

	if (!tl__list_empty(&d->waiting[TL__EPOLL_IN]))
		events |= EPOLLIN;
	if (!tl__list_empty(&d->waiting[TL__EPOLL_OUT]))
		events |= EPOLLOUT;
	/* The bits of poll(2) and of epoll are the same. */
	while ((pos = pos->next) != &d->waiting[TL__EPOLL_POLL])
		events |= (uint16_t)tl__epoll_linked(pos)->flags | EPOLLERR;
	return events;
}

static int control(struct tl__epoll *e, struct tl__epoll_fd *d, int how,
		   uint32_t events)
{
	struct epoll_event event = {
		.events = events | EPOLLONESHOT,
		.data.fd = d->fd,
	};

	if (tl__fault())
		return -ENOMEM;
	return epoll_ctl(e->set, how, d->fd, &event) ? -errno : 0;
}

/* Tells the kernel what to wait for. 0 or -errno. */
static int arm(struct tl__epoll *e, struct tl__epoll_fd *d)
{
	uint32_t events = interest(d);
	int r;

	if (!events)
		return 0;
	r = control(e, d, d->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, events);
	if (r == -ENOENT)	/* closed and opened again */
		r = control(e, d, EPOLL_CTL_ADD, events);
	else if (r == -EEXIST)
		r = control(e, d, EPOLL_CTL_MOD, events);
	if (!r)
		d->known = true;
	return r;
}

static void be_late(struct tl__epoll *e, struct tl__epoll_fd *d)
{
	if (!tl__list_empty(&d->late))
		return;
	if (tl__list_empty(&e->late))
		e->late_at = tl__now() + LATE_NS;
	tl__list_add_tail(&e->late, &d->late);
}

/* --- the end of operations ------------------------------------------------ */

void tl__epoll_stop_waiting(struct tl__epoll *e, struct tl__io_op *op)
{
	tl__list_del(&op->link);
	e->waiting--;
}

/* Ends an operation that waits. */
static void give_up_waiting(struct tl__epoll *e, struct tl__io_op *op,
			    int result)
{
	tl__epoll_stop_waiting(e, op);
	tl__io_complete(op, tl__epoll_outcome(op, result), false);
}

static void give_up_direction(struct tl__epoll *e, struct tl__list *waiting,
			      int result)
{
	struct tl__list *link;

	while ((link = tl__list_first(waiting)))
		give_up_waiting(e, tl__epoll_linked(link), result);
}

void tl__epoll_give_up_all(struct tl__epoll *e, struct tl__epoll_fd *d,
			   int result)
{
	int i;

	for (i = 0; i < TL__EPOLL_DIRECTIONS; i++)
		give_up_direction(e, &d->waiting[i], result);
}

void tl__epoll_fds_free(struct tl__epoll *e)
{
	unsigned int i, k;

	for (i = 0; i < e->nchunks; i++) {
		for (k = 0; e->chunks[i] && k < CHUNK; k++)
			tl__epoll_give_up_all(e, &e->chunks[i][k], -ECANCELED);
		tl__free(e->chunks[i]);
	}
	tl__free(e->chunks);
}

/* --- waiting -------------------------------------------------------------- */

enum tl__epoll_place tl__epoll_direction_of(int tried)
{
	switch (tried) {
	case TL__TRY_IN:
		return TL__EPOLL_IN;
	case TL__TRY_POLL:
		return TL__EPOLL_POLL;
	default:
		return TL__EPOLL_OUT;
	}
}

/* @op waits for what its try came to. Returns 0 or -errno. */
static int wait_for(struct tl__epoll *e, struct tl__io_op *op, int tried)
{
	struct tl__epoll_fd *d;
	int r;

	r = tl__epoll_get(e, op->fd, &d);
	if (r)
		return r;
	op->state = (uint8_t)tl__epoll_direction_of(tried);
	tl__list_add_tail(&d->waiting[op->state], &op->link);
	e->waiting++;
	r = arm(e, d);
	if (!r || (r == -EPERM && op->state == TL__EPOLL_POLL))
		return 0;	/* a file is never ready for more than it is */
	tl__epoll_stop_waiting(e, op);
	return r == -EPERM ? tl__epoll_job_start(e, op) : r;
}

int tl__epoll_go_on(struct tl__epoll *e, struct tl__io_op *op, int tried)
{
	int r;

	if (likely(tl__epoll_is_result(tried))) {
		op->result = tried;
		return 1;
	}
	if (tried == TL__TRY_POOL)
		r = tl__epoll_job_start(e, op);
	else
		r = wait_for(e, op, tried);
	/* A part of it is done: that is a result. */
	return r && op->result > 0 ? 1 : r;
}

/* What came of another try. */
enum again { MOVED = 1, WAITS = 2 };

/* Tries the one that waits at @link. */
static unsigned int try_again(struct tl__epoll *e, struct tl__list *link)
{
	struct tl__io_op *op = tl__epoll_linked(link);
	int before = op->result;
	int tried, r;

	op->due |= TL__TRIED_READY;
	tried = tl__epoll_try(op);
	if (!tl__epoll_is_result(tried) && tried != TL__TRY_POOL)
		return WAITS | (op->result != before ? MOVED : 0);
	tl__epoll_stop_waiting(e, op);
	r = tl__epoll_go_on(e, op, tried);
	if (r)
		tl__io_complete(op, r < 0 ? r : op->result, false);
	return MOVED;
}

/*
 * Tries those that wait in one direction, first come first served, up to the
 * first that has to go on waiting, unless that waits for something of its own.
 * A completion may call anything, so no link is held across it. Returns whether
 * any got further.
 */
static bool try_direction(struct tl__epoll *e, struct tl__list *waiting)
{
	struct tl__list apart, *link;
	unsigned int all = 0, r;

	tl__list_init(&apart);
	while ((link = tl__list_first(waiting))) {
		r = try_again(e, link);
		all |= r;
		if (!(r & WAITS))
			continue;
		if (!(tl__epoll_linked(link)->due & TL__TRIED_APART))
			break;
		tl__list_del(link);
		tl__list_add_tail(&apart, link);
	}
	while (!tl__list_empty(&apart)) {
		link = apart.prev;
		tl__list_del(link);
		tl__list_add_head(waiting, link);
	}
	return all & MOVED;
}

/* The same for polls: each one waits for what it was told to. */
static bool try_polls(struct tl__epoll *e, struct tl__epoll_fd *d)
{
	struct tl__list still, *link;
	bool any = false;

	tl__list_init(&still);
	while ((link = tl__list_first(&d->waiting[TL__EPOLL_POLL]))) {
		if (!(try_again(e, link) & WAITS)) {
			any = true;
			continue;
		}
		tl__list_del(link);
		tl__list_add_tail(&still, link);
	}
	while ((link = tl__list_first(&still))) {
		tl__list_del(link);
		tl__list_add_tail(&d->waiting[TL__EPOLL_POLL], link);
	}
	return any;
}

static void arm_again(struct tl__epoll *e, struct tl__epoll_fd *d)
{
	int r = arm(e, d);

	if (r == -ENOMEM)
		be_late(e, d);
	else if (r) /* as a rule, closed by close(2) under those that wait */
		tl__epoll_give_up_all(e, d, r == -EPERM ? -EBADF : r);
}

/*
 * @d is ready for @events, or may be. Usually something comes of it. If nothing
 * does, time after time, the descriptor stays ready for a reason that is not
 * ours (an error queue that nobody reads; a datagram socket that could send,
 * but not where we want to): then it is armed after a pause only, or this would
 * spin.
 */
static void on_ready(struct tl__epoll *e, struct tl__epoll_fd *d,
		     uint32_t events)
{
	const uint32_t any_way = EPOLLERR | EPOLLHUP;
	bool done = false;

	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLPRI | any_way))
		done |= try_direction(e, &d->waiting[TL__EPOLL_IN]);
	if (events & (EPOLLOUT | any_way))
		done |= try_direction(e, &d->waiting[TL__EPOLL_OUT]);
	done |= try_polls(e, d);
	if (!interest(d)) {
		d->vain = 0;
		return;
	}
	d->vain = done ? 0 : d->vain + 1;
	if (d->vain >= VAIN_MAX) {
		d->vain = VAIN_MAX;	/* the next one in vain is enough */
		be_late(e, d);
		return;
	}
	arm_again(e, d);
}

static void try_late(struct tl__epoll *e)
{
	struct tl__list now, *link;
	struct tl__epoll_fd *d;

	tl__list_init(&now);
	while ((link = tl__list_first(&e->late))) {
		tl__list_del(link);
		tl__list_add_tail(&now, link);
	}
	while ((link = tl__list_first(&now))) {
		tl__list_del_init(link);
		d = tl__container_of(link, struct tl__epoll_fd, late);
		if (try_direction(e, &d->waiting[TL__EPOLL_IN]) |
		    try_direction(e, &d->waiting[TL__EPOLL_OUT]) |
		    try_polls(e, d))
			d->vain = 0;
		arm_again(e, d);
	}
}

void tl__epoll_on_events(struct tl__epoll *e, int n)
{
	struct tl__epoll_fd *d;
	int i;

	for (i = 0; i < n; i++) {
		/* The bell is none of ours to read: it was an edge. */
		d = tl__epoll_find(e, e->events[i].data.fd);
		if (d && e->events[i].data.fd != e->bell)
			on_ready(e, d, e->events[i].events);
	}
	if (!tl__list_empty(&e->late) && e->late_at <= tl__now())
		try_late(e);
}
