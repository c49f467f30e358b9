# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Two interpreters with a GIL each (Python 3.12 and later), and threads in both.
import sys
import threading
import time

try:
    import _interpreters as interpreters
    create = interpreters.create
except ImportError:
    import _xxsubinterpreters as interpreters
    create = lambda: interpreters.create(isolated=True)

CODE = """
import threading, time
stop = []
def burn():
    while not stop:
        pass
t = threading.Thread(target=burn)
t.start()
for _ in range(50):
    time.sleep(0.001)
stop.append(True)
t.join()
"""


def run():
    i = create()
    interpreters.run_string(i, CODE)
    interpreters.destroy(i)


t = threading.Thread(target=run)
t.start()
exec(CODE)
t.join()
print("done", sys.version_info[:2])
