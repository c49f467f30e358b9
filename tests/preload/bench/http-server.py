# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# A threaded HTTP server beside threads that compute: http-server.py CPU_THREADS
# [INTERVAL_US]. Prints its port. /count says how far they have counted, /quit ends it.
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

counts = []
stop = False


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        global stop
        body = b"Hello, world!"
        if self.path == "/count":
            body = b" ".join(b"%d" % n for n in counts)
        elif self.path == "/quit":
            stop = True
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/quit":
            threading.Thread(target=self.server.shutdown).start()

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 100

    def handle_error(self, request, client_address):
        pass    # clients that are gone when ab's time is over


def burn(i):
    while not stop:
        counts[i] += 1


if len(sys.argv) > 2:
    sys.setswitchinterval(float(sys.argv[2]) / 1e6)
server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
for i in range(int(sys.argv[1])):
    counts.append(0)
    threading.Thread(target=burn, args=(i,)).start()
server.serve_forever()
