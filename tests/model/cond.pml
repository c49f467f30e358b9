/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Conditions (lib/sync/cond.c): a notification is a claim, so that it belongs to one waiter from the moment it is made.
 * A consumer without a deadline, one that may time out or be killed, a producer that makes two items, one notification
 * each. The mutex (its own model: mutex.pml) is one step here; so is the queue's short lock, where nothing else is done.
 *
 * Holds: each item is consumed, or nobody who could take it still waits; the notifier is told of as many as were woken
 * with success; nothing is left over for one that comes later; the length that is looked at without a lock tells whoever
 * has the mutex that somebody waits.
 *
 * MUTANT_UNLOCK_FIRST: the waiter gives the mutex up before it queues itself: the lost signal.
 * MUTANT_TOKEN: a notification is counted when nobody waits, and ends a later wait: the stale token.
 * MUTANT_LOST_CLAIM: one that was notified and times out at that moment says that it timed out.
 */
#define WAITERS 2
#define ITEMS 2

mtype = { NONE, OK, GIVEN_UP };

bool locked;			/* the user's mutex */
byte owner;
bool queued[WAITERS];
bool mail[WAITERS];		/* a wake-up is under way or there */
byte order[WAITERS];		/* the queue: who waits, oldest first */
byte waiting;			/* cond->tl__waiters */
byte items, made, told, woken, over;
bool tokens;

inline lock(me) { atomic { !locked -> locked = true; owner = me } }
inline unlock(me) { assert(locked && owner == me); locked = false }

inline unqueue(who)
{
	queued[who] = false;
	if
	:: order[0] == who -> order[0] = order[1]
	:: else
	fi;
	waiting--
}

/* cond.c:wait(); with the mutex. @leaves: it may time out, or be killed: once. */
inline cond_wait(me, leaves)
{
	result = NONE;
#ifdef MUTANT_UNLOCK_FIRST
	unlock(me);
#endif
	atomic {
		order[waiting] = me;
		waiting++;
		queued[me] = true;
#ifdef MUTANT_TOKEN
		if
		:: tokens -> tokens = false; unqueue(me); mail[me] = true
		:: else
		fi
#endif
	}
#ifndef MUTANT_UNLOCK_FIRST
	unlock(me);
#endif
end_parked:
	do
	:: mail[me] -> mail[me] = false; result = OK; break
	:: leaves && may_leave ->	/* cond.c:abandon() */
		may_leave = false;
		atomic {
			if
			:: queued[me] -> unqueue(me); result = GIVEN_UP
			:: else		/* claimed: the message is under way */
			fi
		}
#ifdef MUTANT_LOST_CLAIM
		if
		:: result == NONE -> mail[me]; mail[me] = false; result = GIVEN_UP
		:: else
		fi;
#endif
		if
		:: result == GIVEN_UP -> break
		:: else
		fi
	od;
	lock(me);
	if
	:: result == OK -> woken++
	:: else
	fi
}

/* while (!items) wait; take one */
proctype consumer(byte me; bool leaves)
{
	mtype result = OK;
	bool may_leave = true;

	lock(me);
	do
	:: items == 0 && result == OK -> cond_wait(me, leaves)
	:: else -> break
	od;
	if
	:: items > 0 -> items--
	:: else
	fi;
	unlock(me);
	over++
}

/* cond.c:tl_cond_notify(cond, 1) */
proctype producer()
{
	byte i, claimed;

	for (i : 1 .. ITEMS) {
		lock(WAITERS);
		items++;
		made++;
		claimed = WAITERS;
		if
		:: waiting > 0 ->	/* without the queue's lock */
			atomic {
				if
				:: waiting > 0 ->
					claimed = order[0];
					unqueue(claimed)
				:: else
				fi
			}
		:: else ->
#ifdef MUTANT_TOKEN
			tokens = true
#endif
		fi;
		unlock(WAITERS);
		if
		:: claimed < WAITERS ->
			told++;
			assert(!mail[claimed]);
			mail[claimed] = true
		:: else
		fi
	}
}

proctype monitor()
{
end_monitor:
	timeout;
	assert(!locked && !tokens);
	/* As many notifications arrived as the notifier was told. */
	assert(told == woken);
	/* Nobody waits while there is something for him: each item is taken, for there is one for each. */
	assert(made == ITEMS && over == WAITERS && waiting == 0);
}

init {
	atomic {
		run consumer(0, false);
		run consumer(1, true);
		run producer();
		run monitor()
	}
}
