/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A slot of the kernel module, kmod/slot.c: two threads that swap, each of which may be interrupted or time out a few
 * times and then waits again, or gives that wait up and goes on to the next; and one that wakes them late, with cookies
 * of long ago.
 *
 * Holds: no wake-up is lost (else all wait: an invalid end state); who is told that he was woken has been.
 *
 * MUTANT_EARLY_LOOK: the sleeper looks whether it was woken, and takes the lock only then to say that it sleeps.
 * MUTANT_LATE_STATE: the sleeper tells the scheduler that it sleeps after it has given the lock back.
 * MUTANT_LAST_COOKIE: the latest cookie counts, and not the highest: a late wake-up undoes a new one.
 * MUTANT_ANY_COOKIE: a wake-up is a token that any wait takes: one that comes late ends the next wait.
 * MUTANT_NO_LOOK: who has slept does not look whether it was for him that it was woken.
 */
#define WAITS 3
#define BREAKS 2		/* so many sleeps end by themselves */

bool locked[2];			/* slot->lock */
byte posted[2], wanted[2];
bool sleeping[2];		/* slot->sleeper is set */
bool interruptible[2];		/* the scheduler's: the thread is not to run */
byte sent[2];			/* the highest cookie that somebody wakes with */
byte breaks = BREAKS;

inline lock(s)
{
	atomic { !locked[s]; locked[s] = true }
}

inline unlock(s)
{
	locked[s] = false
}

/* handoff_wake() */
inline wake(s, cookie)
{
	lock(s);
	up = false;
	if
#ifdef MUTANT_LAST_COOKIE
	:: posted[s] != cookie ->
#else
	:: posted[s] < cookie ->
#endif
		posted[s] = cookie;
		if
		:: sleeping[s] && cookie >= wanted[s] ->
			sleeping[s] = false;
			up = true
		:: else
		fi
	:: else
	fi;
	unlock(s);
	if
	:: up -> interruptible[s] = false	/* default_wake_function() */
	:: else
	fi
}

/* Whether the cookie is there. */
inline look(s, cookie)
{
#ifdef MUTANT_ANY_COOKIE
	woken = posted[s] != 0;
#else
	woken = posted[s] >= cookie;
#endif
}

/* is_woken(slot, cookie, true): leaves what it finds in `woken` */
inline begin_sleep(s, cookie)
{
#ifdef MUTANT_EARLY_LOOK
	look(s, cookie);
	lock(s);
#else
	lock(s);
	look(s, cookie);
#endif
	if
	:: woken ->
		sleeping[s] = false;
#ifdef MUTANT_ANY_COOKIE
		posted[s] = 0;
#endif
	:: else ->
		wanted[s] = cookie;
		sleeping[s] = true;
#ifndef MUTANT_LATE_STATE
		interruptible[s] = true
#endif
	fi;
	unlock(s);
#ifdef MUTANT_LATE_STATE
	if
	:: !woken -> interruptible[s] = true
	:: else
	fi
#endif
}

/* is_woken(slot, cookie, false) */
inline end_sleep(s, cookie)
{
	lock(s);
	look(s, cookie);
	sleeping[s] = false;
	unlock(s)
}

/* handoff_wait(), after its wake-up; leaves whether it was woken in `woken` */
inline wait(s, cookie)
{
	over = false;
	do
	:: over -> break
	:: else ->
		begin_sleep(s, cookie);
		if
		:: woken -> over = true
		:: else ->
			if
			:: !interruptible[s]	/* schedule() returns */
#ifdef MUTANT_NO_LOOK
				-> over = true; woken = true
#endif
			:: atomic { breaks > 0 -> breaks-- };
				interruptible[s] = false;
				end_sleep(s, cookie);
				over = true
			fi
		fi
	od;
	if
	:: woken -> assert(sent[s] >= cookie)
	:: else
	fi
}

/* The same wait again, until it was woken. */
inline await(s, cookie)
{
	do
	:: wait(s, cookie);
		if
		:: woken -> break
		:: else
		fi
	od
}

proctype first()
{
	byte i;
	bool up, woken, over;

	for (i : 1 .. WAITS) {
		sent[1] = i;
		wake(1, i);
		await(0, i)
	}
}

proctype second()
{
	byte i;
	bool up, woken, over;

	for (i : 1 .. WAITS) {
		await(1, i);
		sent[0] = i;
		wake(0, i)
	}
}

/* One that read the first one's cookie long ago: it had been woken with that. */
proctype late()
{
	byte cookie;
	bool up;

	sent[0] > 0;
	cookie = sent[0];
	wake(0, cookie)
}

init {
	atomic {
		run first();
		run second();
		run late()
	}
}
