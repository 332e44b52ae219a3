#!/usr/bin/env bash
# The pid file of a master that uses the PyPI package "pid", after one of its workers ends.
#
# Guess:   the pid file, and the lock on it, belong to the process that created them until that process ends.
# True:    create() registers a clean-up with atexit, and a forked worker inherits it. The first worker that ends by
#          sys.exit() unlinks the master's file. The master still holds its lock, on a file without a name, and a
#          second master starts.
# Version: pid 3.0.4 on CPython 3.11.7. Date: 2026-11-29.
# Matters: the guard against a second instance is gone after the first recycled worker. Exit handlers must compare the
#          process ID, or workers must end by _exit.
source "$(dirname "$0")/support.bash"
install_pip pid==3.0.4
cat >master.py <<'PYTHON'
import os, subprocess, sys
from pid import PidFile

SECOND = """
from pid import PidFile, PidFileError
try:
    with PidFile("master", piddir="."):
        print("starts")
except PidFileError:
    print("refused")
"""

def second_master():
    return subprocess.run([sys.executable, "-c", SECOND], capture_output=True, text=True).stdout.strip()

with PidFile("master", piddir="."):
    print("before:", second_master(), flush=True)
    worker = os.fork()
    if worker == 0:
        os._exit(0)
    os.waitpid(worker, 0)
    print("_exit:", second_master(), flush=True)
    worker = os.fork()
    if worker == 0:
        sys.exit(0)
    os.waitpid(worker, 0)
    print("file:", "exists" if os.path.exists("master.pid") else "missing", flush=True)
    print("sys.exit:", second_master(), flush=True)
PYTHON
python3 master.py >seen
seen() { sed -n "s/^$1: //p" seen; }
expect "a second master beside the first" refused "$(seen before)"
expect "a second master after a worker's _exit" refused "$(seen _exit)"
expect "the master's pid file after a worker's sys.exit" missing "$(seen file)"
expect "a second master then" starts "$(seen sys.exit)"
finish
