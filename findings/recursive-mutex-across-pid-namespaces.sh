#!/usr/bin/env bash
# A process-shared recursive mutex in memory that two containers share.
#
# Guess:   a pthread mutex in shared memory excludes every process that maps it, robust or not.
# True:    glibc stores the owner's thread ID in a recursive mutex, and thread IDs belong to a PID namespace. The main
#          processes of two containers both have ID 1, so each takes the other's lock for its own and enters. A robust
#          error-checking mutex reports EDEADLK to the process that does not hold it.
# Version: glibc 2.36, kernel 6.18. Date: 2026-11-29.
# Matters: workers in several containers with a common /dev/shm volume corrupt what the mutex guards, while tests on
#          one host pass. A lock across PID namespaces must not identify its owner by thread ID.
source "$(dirname "$0")/support.bash"
need python3 unshare
if [ "$(id -u)" -eq 0 ]; then container=(unshare --pid --fork); else container=(unshare --user --pid --fork); fi
"${container[@]}" true || unable "no new PID namespace"
python3 -c 'import os; print(os.confstr("CS_GNU_LIBC_VERSION") + ", Linux " + os.uname().release)'
cat >process.py <<'PYTHON'
# usage: process.py hold|try TYPE ROBUST. Both map the file "memory"; "hold" holds the mutex while "try" tries it.
import ctypes, errno, mmap, os, sys, time
libc = ctypes.CDLL("libc.so.6")
role, kind, robust = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
RECURSIVE, ERRORCHECK = 1, 2
descriptor = os.open("memory", os.O_RDWR | os.O_CREAT)
os.ftruncate(descriptor, 4096)
memory = mmap.mmap(descriptor, 4096)
mutex = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))

def wait_for(name):
    deadline = time.monotonic() + 20
    while not os.path.exists(name):
        assert time.monotonic() < deadline, name
        time.sleep(0.02)

if role == "hold":
    attributes = ctypes.create_string_buffer(64)
    libc.pthread_mutexattr_init(attributes)
    libc.pthread_mutexattr_setpshared(attributes, 1)
    libc.pthread_mutexattr_settype(attributes, kind)
    libc.pthread_mutexattr_setrobust(attributes, robust)
    assert libc.pthread_mutex_init(mutex, attributes) == 0 and libc.pthread_mutex_lock(mutex) == 0
    open("held", "w").close()
    wait_for("tried")
else:
    wait_for("held")
    result = libc.pthread_mutex_trylock(mutex)
    print({0: "locked", errno.EBUSY: "EBUSY", errno.EDEADLK: "EDEADLK"}.get(result, result))
    open("tried", "w").close()
PYTHON
second_lock() { # TYPE ROBUST COMMAND ...
    rm -f memory held tried
    "${@:3}" python3 process.py hold "$1" "$2" &
    "${@:3}" python3 process.py try "$1" "$2"
    wait
}
recursive=1 checking=2
for robust in 0 1; do
    expect "recursive, robust $robust, two processes of one host" EBUSY "$(second_lock $recursive $robust env)"
    expect "recursive, robust $robust, two containers" locked "$(second_lock $recursive $robust "${container[@]}")"
done
expect "error-checking, robust, two processes of one host" EBUSY "$(second_lock $checking 1 env)"
expect "error-checking, robust, two containers" EDEADLK "$(second_lock $checking 1 "${container[@]}")"
finish
