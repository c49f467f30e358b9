/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A service that is torn down as a whole: its tasklets are a group, which is
 * killed and waited for. Each one's deferred handler runs whatever it was doing;
 * one of them takes its time, which a shield gives it.
 */
#include <errno.h>
#include <stdio.h>
#include <tasklet/tasklet.h>

#define MS 1000000ull

static struct tl_group *service;
static struct tl_chan *requests;
static int cleaned_up;

static void clean_up(void *arg)
{
	(void)arg;
	cleaned_up++;
}

static int session(void *arg)
{
	tl_defer(clean_up, NULL);
	for (;;) {
		if (tl_sleep(3600000 * MS))
			break;		/* killed */
	}
	if (arg) {
		bool was = tl_shield(true);

		tl_sleep(5 * MS);	/* says good-bye to its client */
		tl_shield(was);
	}
	return -ECANCELED;
}

/* Each request becomes a session, a member as well. */
static int dispatcher(void *arg)
{
	long n;

	(void)arg;
	tl_defer(clean_up, NULL);
	while (tl_chan_next(requests, &n) > 0)
		if (tl_group_spawn(service, NULL, NULL, session,
				   n % 2 ? &cleaned_up : NULL))
			break;
	return 0;
}

int main(void)
{
	long i;

	if (tl_group_new(&service) || tl_chan_new(&requests, sizeof(long), 0))
		return 1;
	tl_group_spawn(service, NULL, NULL, dispatcher, NULL);
	for (i = 0; i < 10; i++)
		tl_chan_send(requests, &i);
	tl_schedule();
	printf("members: %d\n", tl_group_count(service));

	tl_group_kill(service);
	if (tl_group_wait_until(service, tl_after(1000 * MS)))
		printf("%d are left\n", tl_group_count(service));
	printf("cleaned up: %d\n", cleaned_up);
	tl_group_unref(service);
	tl_chan_unref(requests);
	return cleaned_up == 11 ? 0 : 1;
}
