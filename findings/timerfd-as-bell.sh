#!/usr/bin/env bash
# A timerfd that rings without a timer.
#
# Guess:   only eventfd(2) is a counter that can wake another process. A timerfd becomes readable when its timer
#          expires.
# True:    ioctl(TFD_IOC_SET_TICKS), made for checkpoint and restore, sets the number of expirations and wakes pollers.
#          It replaces the number instead of adding to it, and write(2) is refused. No process that shares the
#          descriptor can fill it, whereas one write of 2^64-2 to a shared eventfd makes every other writer block or
#          fail with EAGAIN.
# Version: kernel 6.18 (timerfd_create(2): since 3.17, with CONFIG_CHECKPOINT_RESTORE). Date: 2026-11-29.
# Matters: workers that wake a supervisor through a shared eventfd can be jammed by one faulty worker.
source "$(dirname "$0")/support.bash"
need python3
echo "Linux $(uname -r)"
cat >bell.py <<'PYTHON'
import ctypes, errno, fcntl, os, select, struct
libc = ctypes.CDLL("libc.so.6", use_errno=True)
CLOCK_MONOTONIC, NONBLOCK = 1, os.O_NONBLOCK
TFD_IOC_SET_TICKS = 0x40085400  # _IOW('T', 0, u64)
FULL = 2**64 - 2

def readable(descriptor):
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))

def attempt(action):
    try:
        action()
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]

def word(value):
    return struct.pack("=Q", value)

bell = libc.timerfd_create(CLOCK_MONOTONIC, NONBLOCK)
print("before", readable(bell))
print("set", attempt(lambda: fcntl.ioctl(bell, TFD_IOC_SET_TICKS, word(1))))
print("after", readable(bell))
fcntl.ioctl(bell, TFD_IOC_SET_TICKS, word(FULL))
print("again", attempt(lambda: fcntl.ioctl(bell, TFD_IOC_SET_TICKS, word(1))))
print("count", struct.unpack("=Q", os.read(bell, 8))[0])
print("emptied", readable(bell))
print("write", attempt(lambda: os.write(bell, word(1))))
counter = libc.eventfd(0, NONBLOCK)
os.write(counter, word(FULL))
print("eventfd", attempt(lambda: os.write(counter, word(1))))
PYTHON
python3 bell.py >seen
seen() { sed -n "s/^$1 //p" seen; }
expect "readable without a timer" False "$(seen before)"
expect "count set by ioctl" "done" "$(seen "set")"
expect "readable" True "$(seen after)"
expect "set again over the largest count" "done" "$(seen again)"
expect "count read: the last one, not the sum" 1 "$(seen count)"
expect "readable once read" False "$(seen emptied)"
expect "write(2) to the timerfd" EINVAL "$(seen write)"
expect "write(2) to an eventfd that another process has filled" EAGAIN "$(seen eventfd)"
finish
