#!/usr/bin/env bash
# shutdown(2) on a listener that a pool shares.
#
# Guess:   shutdown() on a listening socket fails (ENOTCONN), or ends accepting for the process that calls it.
# True:    it ends listening in every process that shares the socket, and each kind of socket fails differently. TCP:
#          pollers get POLLHUP and accept fails with EINVAL. listen() on any copy revives the listener, on the same
#          port only if bind() asked for a specific port. Unix: clients are refused, yet the socket claims to listen,
#          stays readable permanently, and accept fails with EAGAIN, so a level-triggered worker spins. listen()
#          succeeds and repairs nothing.
# Version: kernel 6.18. Date: 2026-11-29.
# Matters: one library that shuts sockets down before it closes them takes the whole pool off the network.
#          SO_ACCEPTCONN does not reveal it on Unix sockets. A supervisor must check the events and bind a new socket.
source "$(dirname "$0")/support.bash"
need python3
echo "Linux $(uname -r)"
cat >pool.py <<'PYTHON'
import errno, os, select, socket, sys
family = socket.AF_UNIX if sys.argv[1] == "unix" else socket.AF_INET
listener = socket.socket(family)
listener.bind("listener" if family == socket.AF_UNIX else ("127.0.0.1", int(sys.argv[2])))
listener.listen(8)
listener.setblocking(False)

def attempt(action):
    try:
        action()
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]

def connect():
    with socket.socket(family) as client:
        client.settimeout(5)
        client.connect(listener.getsockname())

def events():
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    found = dict(poll.poll(0)).get(listener.fileno(), 0)
    return "+".join(name for name in ("POLLIN", "POLLHUP") if found & getattr(select, name)) or "none"

name = listener.getsockname()
worker = os.fork()
if worker == 0:
    listener.shutdown(socket.SHUT_RDWR)
    os._exit(0)
os.waitpid(worker, 0)
print("connect", attempt(connect))
print("events", events())
print("accept", attempt(listener.accept))
print("listens", listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
print("events-after", events())
print("listen", attempt(lambda: listener.listen(8)))
print("revived", attempt(connect))
print("name", "kept" if listener.getsockname() == name else "lost")
PYTHON
seen() { sed -n "s/^$1 //p" seen; }
check() { # KIND EVENTS ACCEPT LISTENS EVENTS-AFTER REVIVED
    python3 pool.py "$1" "$(free_port)" >seen
    expect "$1, connect after a worker's shutdown" ECONNREFUSED "$(seen connect)"
    expect "$1, poll in another process" "$2" "$(seen events)"
    expect "$1, accept in another process" "$3" "$(seen accept)"
    expect "$1, SO_ACCEPTCONN" "$4" "$(seen listens)"
    expect "$1, poll after that accept" "$5" "$(seen events-after)"
    expect "$1, listen again" "done" "$(seen listen)"
    expect "$1, connect after that" "$6" "$(seen revived)"
}
check tcp POLLHUP EINVAL 0 POLLHUP "done"
check unix POLLIN+POLLHUP EAGAIN 1 POLLIN+POLLHUP ECONNREFUSED
expect "tcp, name of a listener with its own port" kept "$(python3 pool.py tcp "$(free_port)" | sed -n 's/^name //p')"
expect "tcp, name of a listener bound to port 0" lost "$(python3 pool.py tcp 0 | sed -n 's/^name //p')"
finish
