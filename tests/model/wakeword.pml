/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The sleep/wake word of lib/core/inbox.c: Vyukov's queue whose last link also says that the consumer sleeps, and the
 * end of a scheduler. Two producers with two messages each, one consumer that sleeps with and without a deadline.
 *
 * Holds: no wake-up is lost (else all wait: an invalid end state); each message arrives once; nobody touches a message
 * after its delivery, nor the scheduler after its end.
 *
 * MUTANT_TWO_STEPS: the sleeper looks whether the queue is empty, and then says that it sleeps: the lost wake-up.
 * MUTANT_BLIND_PUSH: the producer does not look whether the consumer sleeps.
 * MUTANT_NO_SETTLE: the scheduler ends while a producer is still about to wake it.
 * MUTANT_LATE_WORD: the word that is slept on is set after the bit, so that a wake-up in between is overwritten.
 */
#define PRODUCERS 2
#define EACH 2
#define MESSAGES (PRODUCERS * EACH)
#define STUB MESSAGES		/* the place of the stub among the messages */
#define NIL (MESSAGES + 1)
#define DEADLINES 2		/* so many sleeps may end by themselves */

#define ASLEEP 8		/* TL__INBOX_ASLEEP, in the word `tail` */
#define LINK(word) ((word) & 7)

byte tail = STUB;		/* inbox->tail */
byte next[NIL];			/* message->next */
bool asleep;			/* inbox->asleep, the futex word */
bool in_futex;			/* the consumer is in the kernel */
byte claimed, released;		/* of the inbox */
bool alive = true;		/* the scheduler's memory is there */
bool gone[NIL];			/* a message was delivered, and perhaps freed */
byte arrived[MESSAGES];

/* inbox.c:link_message(), its two steps. */
inline link_message(m, was)
{
	next[m] = NIL;
	atomic {
		assert(alive);
		was = tail;		/* the exchange */
		tail = m;
	}
	atomic {
		assert(!gone[LINK(was)] && (LINK(was) != STUB || alive));
		next[LINK(was)] = m;
	}
}

proctype producer(byte id)
{
	byte i, was;

	for (i : 0 .. EACH - 1) {
		link_message(id * EACH + i, was);
#ifdef MUTANT_BLIND_PUSH
		was = LINK(was);
#endif
		if
		:: was & ASLEEP ->	/* inbox.c:wake(); each step may find it gone */
			assert(alive);
			asleep = false;
			in_futex = false;	/* by address: no access */
			atomic { assert(alive); released++ }
		:: else
		fi
	}
}

/* inbox.c:pop(): leaves what it takes in `got`, or NIL. */
inline pop()
{
	got = NIL;
	n = next[head];
	if
	:: head == STUB && n == NIL -> skip
	:: else ->
		if
		:: head == STUB -> head = n; n = next[head]
		:: else
		fi;
		if
		:: n != NIL -> got = head; head = n
		:: else ->
			if
			:: tail != head -> skip		/* a producer is between its two steps */
			:: else ->
				link_message(STUB, was);
				n = next[head];
				if
				:: n != NIL -> got = head; head = n
				:: else
				fi
			fi
		fi
	fi
}

/* inbox.c:tl__inbox_sleep(): doze, wait, rouse. */
inline sleep()
{
	ok = false;
#ifndef MUTANT_LATE_WORD
	asleep = true;
#endif
#ifdef MUTANT_TWO_STEPS
	if
	:: head == STUB && tail == STUB -> tail = STUB | ASLEEP; ok = true
	:: else
	fi;
#else
	atomic {		/* fall_asleep()'s compare-and-exchange */
		if
		:: head == STUB && tail == STUB -> tail = STUB | ASLEEP; ok = true
		:: else
		fi
	}
#endif
#ifdef MUTANT_LATE_WORD
	if
	:: ok -> asleep = true
	:: else
	fi;
#endif
	if
	:: ok ->
		in_futex = asleep;	/* futex wait: only while the word is 1 */
		if
		:: !in_futex
		:: deadlines > 0 -> deadlines--; in_futex = false
		fi;
		atomic {	/* tl__inbox_rouse() */
			if
			:: tail == (STUB | ASLEEP) -> tail = STUB
			:: else -> claimed++
			fi
		}
	:: else
	fi
}

proctype consumer()
{
	byte head = STUB, got, n, was, deadlines = DEADLINES, awaited = MESSAGES;
	bool ok;

	do
	:: awaited == 0 -> break
	:: else ->
		pop();
		if
		:: got != NIL ->	/* message->deliver() */
			arrived[got]++;
			assert(arrived[got] == 1);
			/* in order, of one producer */
			assert(got % EACH == 0 || arrived[got - 1] == 1);
			gone[got] = true;
			awaited--
		:: else -> sleep()
		fi
	od;
#ifndef MUTANT_NO_SETTLE
	released == claimed;		/* tl__inbox_settle() */
#endif
	alive = false
}

init {
	byte i;

	atomic {
		for (i : 0 .. STUB) {
			next[i] = NIL
		}
		run consumer();
		for (i : 0 .. PRODUCERS - 1) {
			run producer(i)
		}
	}
}
