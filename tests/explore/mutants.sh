# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The bugs that explore.sh puts into copies of the library's sources, each the kind of mistake that the code is made to
# exclude: mutant SCENARIO SOURCE SED WORDS

mutant inbox_sleep lib/core/inbox.c \
	's/atomic_compare_exchange_strong_explicit\(\s*&inbox->tail, &stub, stub \| TL__INBOX_ASLEEP,/(atomic_load_explicit(\&inbox->tail, 0) == stub) \&\& (atomic_exchange_explicit(\&inbox->tail, stub | TL__INBOX_ASLEEP, 0), 1) + (0 */; s/(TL__INBOX_ASLEEP, 0\), 1\) \+ \(0 \*)\s*memory_order_release, memory_order_relaxed/\1 0/' \
	"the sleeper looks whether the inbox is empty and says that it sleeps in two steps"
mutant inbox_sleep lib/core/inbox.c \
	's/if \(link_message\(&s->inbox, message\)\)/if (link_message(\&s->inbox, message) \&\& 0)/' \
	"a push does not look whether the scheduler sleeps"
mutant inbox_order lib/core/inbox.c \
	's/link_message\(inbox, &inbox->stub\);\s*next = /next = /' \
	"the consumer takes the last message without putting the stub behind it"
mutant inbox_end lib/core/inbox.c \
	's/while \(atomic_load_explicit\(&inbox->released, memory_order_acquire\) !=\s*inbox->claimed\)/while (0)/' \
	"a scheduler ends without waiting for those that are waking it"
mutant lock_two lib/os/lock.c \
	's/atomic_exchange_explicit\(&lock->word, 2,/atomic_exchange_explicit(\&lock->word, 1,/' \
	"a thread sleeps for the short lock without saying so in its word"
mutant chan_deadline lib/chan/channel.c \
	's/if \(!queued\)\s*return tl__wake_awaited\(t\);/(void)queued;/' \
	"a deadline ends a wait that a sender has claimed already"
mutant chan_local lib/core/local.c \
	's/for \(i = 0; atomic_load_explicit\(&s->in_local, memory_order_acquire\);/for (i = 0; 0;/' \
	"a thread comes to another one's channel while that one is in it"
mutant mutex_kill lib/sync/word.c \
	's/settle\(m, how, clear\);\s*return r;/return r;/' \
	"one that waits for a mutex is woken and killed, and does not pass the wake-up on"
mutant mutex_two lib/sync/word.c \
	's/if \(!\(old & TL__WAITERS\) \|\| \(old & TL__WOKEN\)/if (1 || (old \& TL__WOKEN)/' \
	"an unlock does not look whether somebody waits"
mutant mutex_two lib/sync/word.c \
	's/queued = old & busy;\s*while \(queued/queued = true; while (queued/' \
	"one queues itself for a mutex without looking again whether it is free"
mutant cond lib/sync/cond.c \
	's/if \(m\)\s*tl__word_give\(m\);//; s/(tl__lock\(tl__lock_of\(&cond->tl__lock\)\);\s*tl__queue_add)/if (m) tl__word_give(m); \1/' \
	"one gives the mutex up before it queues itself at the condition"
