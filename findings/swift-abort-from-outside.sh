#!/usr/bin/env bash
# SIGABRT from outside, as systemd's watchdog or another supervisor sends it, and the Swift runtime's crash handler.
#
# Guess:   a Swift program that another process sends SIGABRT prints a backtrace and ends by that signal.
# True:    it prints the backtrace and goes on. The runtime's handler puts the default action back and returns, which
#          ends a program at a fault because the instruction is tried again. A signal that was sent has nothing to try
#          again, so only the second one ends it. Without the backtracer (SWIFT_BACKTRACE=enable=no, or a static program,
#          which finds none) the first one does.
# Version: Swift 6.3.1, Linux. Date: 2026-11-30.
# Matters: systemd sends SIGABRT when a watchdog runs out (WatchdogSignal=), gunicorn's master to workers that are silent,
#          and operators to get a stack. Whoever waits for the end of such a Swift process waits for SIGKILL, and a worker
#          that was told to abort still serves. A change of the runtime was proposed on 2026-05-27 (swiftlang/swift
#          #89461) and is in no release yet. Prefork's own handler ends the process by the signal in both cases.
source "$(dirname "$0")/support.bash"
need swiftc
echo "$(swiftc --version 2>/dev/null | head -1), Linux $(uname -r)"
cat >program.swift <<'SWIFT'
import Glibc
print("begun")
fflush(stdout)
while true { sleep(1) }
SWIFT
swiftc -O program.swift -o program 2>compiler.log || unable "swiftc: $(head -1 compiler.log)"

state() { if kill -0 "$1" 2>/dev/null; then echo "still runs"; else echo "has ended"; fi; }

sends() { # HOW
    SWIFT_BACKTRACE=enable=$1 ./program >"$1.out" 2>&1 &
    local process=$!
    for _ in {1..100}; do grep -q begun "$1.out" && break; sleep 0.05; done
    kill -ABRT "$process"
    # A backtrace takes as long as the machine needs; without one the process ends at once.
    for _ in {1..100}; do
        grep -q "Backtrace took" "$1.out" && break
        kill -0 "$process" 2>/dev/null || break
        sleep 0.1
    done
    sleep 0.5
    first=$(state "$process")
    kill -ABRT "$process" 2>/dev/null || true
    code=0
    wait "$process" 2>/dev/null || code=$?
}

sends yes
expect "after one SIGABRT, with the backtracer" "still runs" "$first"
expect "after the second one: exit code of the shell" 134 "$code"
sends no
expect "after one SIGABRT, without the backtracer" "has ended" "$first"
expect "exit code of the shell" 134 "$code"
finish
