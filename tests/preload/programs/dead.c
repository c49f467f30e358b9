/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * dead WHAT: uses an object after having destroyed it; "none" doesn't.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "none";
	pthread_mutex_t m;
	pthread_cond_t c;
	sem_t s;

	memset(&m, 0x11, sizeof(m));
	memset(&c, 0x11, sizeof(c));
	memset(&s, 0x11, sizeof(s));
	for (int i = 0; i < 2; i++) {
		pthread_mutex_init(&m, NULL);
		pthread_mutex_lock(&m);
		pthread_mutex_unlock(&m);
		pthread_mutex_destroy(&m);
		pthread_cond_init(&c, NULL);
		pthread_cond_signal(&c);
		pthread_cond_destroy(&c);
		sem_init(&s, 0, 1);
		sem_wait(&s);
		sem_destroy(&s);
	}
	if (!strcmp(what, "mutex"))
		pthread_mutex_lock(&m);
	if (!strcmp(what, "condition"))
		pthread_cond_signal(&c);
	if (!strcmp(what, "semaphore"))
		sem_post(&s);
	puts("end");
	return 0;
}
