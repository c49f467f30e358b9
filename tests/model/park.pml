/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Park and unpark: a tasklet that receives from an object of several threads, claimed under that object's lock, as
 * lib/core/remote.h has it. Its own thread (home) may kill it, time it out or close the object; a sender and a closer
 * are other threads, whose wake-ups come by the inbox (its own model: wakeword.pml). Two receives, one after the other,
 * two sends; the object holds one value that nobody waits for.
 *
 * Holds: each wait ends exactly once and with one outcome; a receiver has a value if and only if the sender was told of
 * success, whatever else happens at that moment; nobody waits while there is a value; a message finds its scheduler.
 *
 * MUTANT_PUBLISH_LATE: the receiver looks for a value and queues itself in two sections: the lost wake-up.
 * MUTANT_NO_CLAIM: a kill or deadline ends the wait without looking whether somebody has claimed it.
 * MUTANT_NOT_AWAITED: the scheduler ends although the wake-up of one of its tasklets is under way.
 * MUTANT_EARLY_PUSH: the waker lets others see the value before it has taken the waiter off the queue.
 */
#define ROUNDS 2
#define SENDS 2

mtype = { NONE, OK, EPIPE, ECANCELED, ETIMEDOUT };

bool locked;		/* the object's lock (os/lock.h) */
bool queued;		/* the tasklet's waiter is in the object's queue */
bool closed;
bool buffered;		/* a value that nobody has received */
bool slot;		/* the waiter's: a value was copied there */
byte sent, got;

bool mail;		/* t->wake_message is in the inbox */
mtype mail_result = NONE; /* t->remote_result */
bool alive = true;	/* the scheduler of home */
bool blocked;

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

/* remote.h:tl__wake_any(), from another thread. The caller has claimed the tasklet. */
inline wake_any(result)
{
	mail_result = result;
	atomic {
		assert(alive && !mail);
		mail = true
	}
}

/* channel.c:do_send(), that of try_send. */
proctype sender()
{
	byte i;
	bool claimed;

	for (i : 1 .. SENDS) {
		claimed = false;
		lock();
		if
		:: closed
		:: !closed && queued ->
			claimed = true;
#ifdef MUTANT_EARLY_PUSH
			unlock();
			slot = true;
			sent++;
			wake_any(OK);
			lock();
			queued = false
#else
			queued = false;
			slot = true;
			sent++
#endif
		:: !closed && !queued && !buffered -> buffered = true; sent++
		:: else			/* full: -EAGAIN */
		fi;
		unlock();
#ifndef MUTANT_EARLY_PUSH
		if
		:: claimed -> wake_any(OK)
		:: else
		fi
#endif
	}
}

/* manage.c: tl_chan_close() of another thread. */
proctype closer()
{
	bool claimed;

	lock();
	closed = true;
	claimed = queued;
	queued = false;
	unlock();
	if
	:: claimed -> wake_any(EPIPE)
	:: else
	fi
}

/* park.h:tl__wake(): on the tasklet's own thread. */
inline wake(r)
{
	assert(blocked);	/* at most once a wait */
	blocked = false;
	deadline = false;
	result = r
}

/* An ops->abandon(), as remote.h asks for it. */
inline abandon(r)
{
	lock();
#ifdef MUTANT_NO_CLAIM
	queued = false;
	unlock();
	wake(r);
#else
	if
	:: queued ->
		queued = false;
		unlock();
		wake(r)
	:: else ->
		unlock();
#ifndef MUTANT_NOT_AWAITED
		awaited = true		/* tl__wake_awaited() */
#endif
	fi
#endif
}

/* channel.c:do_recv(), up to tl__park(); what its thread does meanwhile is the loop. */
inline receive()
{
	result = NONE;
	slot = false;
	lock();
	if
	:: buffered -> buffered = false; got++; result = OK; unlock()
	:: !buffered && closed -> result = EPIPE; unlock()
	:: else ->
#ifdef MUTANT_PUBLISH_LATE
		unlock();
		lock();
#endif
		queued = true;
		blocked = true;
		unlock();
		if
		:: deadline = true
		:: deadline = false
		fi;
end_parked:	do
		:: !blocked -> break
		:: blocked && mail ->		/* remote.c:tl__wake_delivered() */
			atomic { mail = false; awaited = false };
			wake(mail_result);
			if
			:: mail_result == OK -> assert(slot); got++
			:: else -> assert(!slot)
			fi
		:: blocked && deadline ->	/* park.c:expire_timers() */
			deadline = false;
			abandon(ETIMEDOUT)
		:: blocked && may_kill ->	/* kill.c:tl__throw_at() */
			may_kill = false;
			killed = true;
			abandon(ECANCELED)
		:: blocked && may_close ->	/* by a tasklet of the same thread */
			may_close = false;
			lock();
			closed = true;
			if
			:: queued -> queued = false; unlock(); wake(EPIPE)
			:: else -> unlock()
			fi
		:: blocked && killed && !awaited ->
			/* tl_sched_end(): nothing to wait for (never so) */
			goto over
		od
	fi;
	assert(result != NONE && !queued)
}

proctype home()
{
	byte i = 0;
	mtype result = NONE;
	bool deadline, awaited, killed, may_kill, may_close;

	if
	:: may_kill = true
	:: may_close = true
	:: skip
	fi;
	do
	:: i == ROUNDS || killed -> break
	:: else ->
		receive();
		i++
	od;
over:
	/* sched.c:tl_sched_end(); nothing is awaited, for the tasklet is done. */
	alive = false
}

/* When nothing can go on any more. */
proctype monitor()
{
end_monitor:
	timeout;
	assert(!locked && !mail);
	assert(!(blocked && (buffered || closed || !queued)));
	assert(sent == got + buffered)
}

init {
	atomic {
		run home();
		run sender();
		run closer();
		run monitor()
	}
}
