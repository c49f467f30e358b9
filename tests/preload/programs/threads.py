# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Python's threads and what they have to talk to each other with.
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

EACH = 3000


def queues():
    q, sums = queue.Queue(5), []

    def take():
        total = 0
        while True:
            n = q.get()
            if n is None:
                sums.append(total)
                return
            total += n

    takers = [threading.Thread(target=take) for _ in range(3)]
    givers = [threading.Thread(target=lambda: [q.put(n) for n in range(EACH)])
              for _ in range(3)]
    for t in takers + givers:
        t.start()
    for t in givers:
        t.join()
    for _ in takers:
        q.put(None)
    for t in takers:
        t.join()
    assert sum(sums) == 3 * EACH * (EACH - 1) // 2


def barriers():
    barrier, seen = threading.Barrier(4), []

    def go():
        for i in range(200):
            barrier.wait()
            seen.append(i)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(abs(a - b) <= 1 for a, b in zip(seen, seen[1:]))


def locks():
    lock, rlock, event = threading.Lock(), threading.RLock(), threading.Event()
    assert lock.acquire(timeout=1)
    assert not lock.acquire(timeout=0.02)
    lock.release()
    with rlock, rlock:
        pass
    assert not event.wait(0.02)
    threading.Timer(0.02, event.set).start()
    assert event.wait(10)
    condition = threading.Condition()
    with condition:
        assert not condition.wait(0.02)


def computing():
    """Threads that compute, beside some that sleep."""
    counts, stop = [0, 0], []

    def burn(i):
        while not stop:
            counts[i] += 1

    threads = [threading.Thread(target=burn, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for _ in range(100):
        time.sleep(0.001)
    stop.append(True)
    for t in threads:
        t.join()
    assert all(counts)


queues()
barriers()
locks()
computing()
with ThreadPoolExecutor(4) as pool:
    assert sum(pool.map(lambda n: n * n, range(2000))) == sum(n * n for n in range(2000))
