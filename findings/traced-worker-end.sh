#!/usr/bin/env bash
# The end of a worker that another process traces.
#
# Guess:   if a child's pidfd is readable, waitid(P_PIDFD, WEXITED) collects the child.
# True:    while a tracer (strace, gdb) other than the parent has not collected the end itself, the pidfd is readable
#          and waitid(WNOHANG) returns no child. A level-triggered event loop wakes up continuously. The end of the
#          tracer gives the child back, exit status included.
# Version: kernel 6.18, CPython's os.waitid. Date: 2026-11-29.
# Matters: an operator's stopped strace on one worker must not make the supervisor spin. The supervisor needs a limit,
#          and must not take a readable pidfd for a child that it can collect.
source "$(dirname "$0")/support.bash"
need python3
echo "Linux $(uname -r)"
cat >parent.py <<'PYTHON'
import ctypes, os, select, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE = 0x4206
go_read, go_write = os.pipe()
worker = os.fork()
if worker == 0:
    os.read(go_read, 1)
    os._exit(7)
seized_read, seized_write = os.pipe()
tracer = os.fork()
if tracer == 0:
    failed = libc.ptrace(PTRACE_SEIZE, worker, None, None)
    os.write(seized_write, b"1" if failed else b"0")
    signal.pause()  # Never collects the end: as a tracer that is stopped, or busy.
if os.read(seized_read, 1) != b"0":
    os.kill(tracer, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    sys.exit("ptrace is not allowed here")
descriptor = os.pidfd_open(worker)
poll = select.poll()
poll.register(descriptor, select.POLLIN)

def collected():
    end = os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG)
    return end.si_status if end else "nothing"

os.write(go_write, b"x")
print("pidfd", "readable" if poll.poll(20_000) else "silent")
print("waitid", collected())
print("still", "readable" if poll.poll(0) else "silent")
os.kill(tracer, signal.SIGKILL)
os.waitpid(tracer, 0)
print("untraced", collected())
PYTHON
python3 parent.py >seen || unable "see above"
seen() { sed -n "s/^$1 //p" seen; }
expect "pidfd of the worker that has ended" readable "$(seen pidfd)"
expect "waitid(WNOHANG) finds" nothing "$(seen waitid)"
expect "the pidfd after that" readable "$(seen still)"
expect "exit status that waitid finds once the tracer is gone" 7 "$(seen untraced)"
finish
