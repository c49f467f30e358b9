# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# A UDP echo server beside threads that compute: echo-server.py CPU_THREADS [INTERVAL_US]
#
# Prints its port. A datagram "count" is answered with how far the threads have counted,
# in all; "quit" ends it. INTERVAL_US is for sys.setswitchinterval().
import socket
import sys
import threading

counts = []
stop = False


def burn(i):
    n = 0
    while not stop:
        n += 1
        counts[i] = n


def main():
    global stop
    threads = int(sys.argv[1])
    if len(sys.argv) > 2:
        sys.setswitchinterval(float(sys.argv[2]) / 1e6)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    print(sock.getsockname()[1], flush=True)
    for i in range(threads):
        counts.append(0)
        threading.Thread(target=burn, args=(i,)).start()
    while not stop:
        data, peer = sock.recvfrom(64)
        if data == b"count":
            data = b" ".join(b"%d" % n for n in counts)
        elif data == b"quit":
            stop = True
        sock.sendto(data, peer)


main()
