# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Children of a process with threads, by fork and by exec, and locks between them.
import multiprocessing
import os
import subprocess
import sys
import threading


def square(n):
    return n * n


def child():
    """Threads of its own, in a child that was forked beside threads."""
    results = []
    threads = [threading.Thread(target=results.append, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return 0 if sorted(results) == [0, 1, 2, 3] else 1


def main():
    stop = []

    def burn():
        while not stop:
            pass

    threads = [threading.Thread(target=burn) for _ in range(2)]
    for t in threads:
        t.start()
    for _ in range(10):
        pid = os.fork()
        if pid == 0:
            os._exit(child())
        assert os.waitpid(pid, 0)[1] == 0
    assert subprocess.run([sys.executable, "-c", "print(6 * 7)"],
                          stdout=subprocess.PIPE).stdout == b"42\n"
    stop.append(True)
    for t in threads:
        t.join()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(square, range(100)) == [n * n for n in range(100)]


main()
