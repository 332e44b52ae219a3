#!/usr/bin/env bash
# A Swift program that imports the toolchain's Runtime module (backtraces), where memory must not be writable and
# executable: MemoryDenyWriteExecute=yes of systemd, PR_SET_MDWE, SELinux's execmem.
#
# Guess:   Swift code is compiled ahead of time and makes no code at run time, so that it runs there.
# True:    one object of libswiftRuntime has no .note.GNU-stack. The shared library asks for an executable stack, the
#          dynamic loader may not make it one, and the program ends with 127 before main. Linked statically the program
#          itself has the mark: the kernel gives it an executable stack at the start, which no later check sees.
# Version: Swift 6.3.1, glibc 2.36, Linux 6.18. Date: 2026-11-30.
# Matters: `systemd-analyze security` recommends the setting, and the same source runs under it or does not by
#          --static-swift-stdlib alone.
source "$(dirname "$0")/support.bash"
need swiftc python3 readelf
echo "$(swiftc --version 2>/dev/null | head -1), Linux $(uname -r)"
echo 'print("runs")' >plain.swift
printf 'import Glibc\nimport Runtime\nfor _ in try Backtrace.capture().frames.prefix(1) { print("runs") }\n' >backtrace.swift
swiftc plain.swift -o plain 2>compiler.log || unable "swiftc: $(head -1 compiler.log)"
swiftc backtrace.swift -o backtrace 2>compiler.log || unable "swiftc: $(head -1 compiler.log)"
swiftc -static-stdlib backtrace.swift -o static 2>compiler.log || unable "swiftc: $(head -1 compiler.log)"
cat >denied.py <<'PYTHON'
# Runs a program that may not make memory executable (prctl(2): PR_SET_MDWE, Linux 6.3).
import ctypes, os, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0:
    sys.exit(2)
os.execv(sys.argv[1], sys.argv[1:])
PYTHON
python3 denied.py /bin/true || unable "no PR_SET_MDWE"
stack() { readelf -lW "$1" 2>/dev/null | awk '/GNU_STACK/ { print $7 }'; }
expect "without the module" runs "$(python3 denied.py ./plain)"
expect "with it, and nothing denied" runs "$(./backtrace)"
expect "with it: exit code" 127 "$(code python3 denied.py ./backtrace)"
expect "the stack that the shared library wants" RWE "$(stack "$(ldd backtrace | awk '/libswiftRuntime/ { print $3 }')")"
expect "linked statically" runs "$(python3 denied.py ./static)"
expect "its stack" RWE "$(stack static)"
finish
