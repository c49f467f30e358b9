#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# server.py SECONDS: a thread that answers datagrams and one that computes, and a client in a process of its own that asks
# them all the time. What convoys are made of. Prints "ready" when all of it runs.
import os, socket, sys, threading, time

seconds = float(sys.argv[1])
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))

parent = os.getpid()
pid = os.fork()
if pid == 0:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(server.getsockname())
    client.settimeout(1)
    end = time.monotonic() + seconds
    while time.monotonic() < end and os.getppid() == parent:
        try:
            client.send(b"x")
            client.recv(16)
        except OSError:
            pass
    os._exit(0)


def answers():
    while True:
        data, address = server.recvfrom(16)
        server.sendto(data, address)


def computes():
    x = 0
    while True:
        x += 1


threading.Thread(target=answers, daemon=True).start()
threading.Thread(target=computes, daemon=True).start()
print("ready", flush=True)
time.sleep(seconds)
os._exit(0)
