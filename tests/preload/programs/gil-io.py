# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Threads that compute beside one that sleeps, or calls what doesn't wait: gil-io.py WHAT N.
# No figure of time is looked at: each waits for the others to have done something.
import sys
import threading
import time
import zlib

THREADS = 2
stop = False
counts = [0] * THREADS


def burn(i):
    while not stop:
        counts[i] += 1


def sleep(n):
    for _ in range(n):
        time.sleep(0.001)


def talk(n):
    """Calls that never wait, and give the GIL up all the same for some microseconds."""
    data, seen = bytes(8000), counts[:]
    while n > 0 or any(x == y for x, y in zip(seen, counts)):
        zlib.crc32(data)
        for _ in range(500):
            pass
        n -= 1


def main():
    global stop
    what, n = sys.argv[1], int(sys.argv[2])
    threads = [threading.Thread(target=burn, args=(i,)) for i in range(THREADS)]
    for t in threads:
        t.start()
    {"sleep": sleep, "talk": talk}[what](n)
    stop = True
    for t in threads:
        t.join()
    assert all(counts)
    print("done")


main()
