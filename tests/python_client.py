"""What stands for `python` in a test: it asks the test to fork a process that has its imports (python_forks.py).

Its first argument is the socket on which the test listens, the others are those of Python. It has no packages, so it
starts at once. The process that is forked has its streams and gets its signals, and ends with it; it ends as that ends.
"""

import json
import os
import signal
import socket
import sys

place, *arguments = sys.argv[1:]
test = socket.socket(socket.AF_UNIX)
test.connect(place)
lines = test.makefile("rw")
print(json.dumps([os.getpid(), arguments, os.getcwd(), dict(os.environ)]), file=lines, flush=True)
forked = int(lines.readline())
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os.kill(forked, number))
status = int(lines.readline())
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
