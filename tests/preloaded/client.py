"""Asks the server to run a program with our files, environment and folder; ends as the program ends.

Imports as little as it can: it is started for every command.
"""

import json
import os
import signal
import socket
import sys
import time

WAIT_S = 120  # for the server's imports, on a busy machine


def connect(address: str) -> socket.socket:
    """The server, once it is there."""
    until_s = time.monotonic() + WAIT_S
    while True:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            server.close()
            if time.monotonic() > until_s:
                raise
            time.sleep(0.02)
        else:
            return server


server = connect(sys.argv[1])
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda given, _: server.send(bytes([given])))
asked = {"words": sys.argv[2:], "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109
message = json.dumps(asked).encode() + b"\n"
sent = socket.send_fds(server, [message], [0, 1, 2])
server.sendall(message[sent:])
answer = server.recv(64)
if not answer:
    sys.exit("the server of preloaded programs is gone")
code = int(answer)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
