#!/usr/bin/env bash
# The children of `fcgiwrap -c N`.
#
# Guess:   the parent replaces a killed child, and ends its children when it receives TERM.
# True:    the parent forks again only after all children have ended. If one child of two is left, the pool stays at
#          one. TERM ends only the parent. The child keeps the port and keeps serving.
# Version: fcgiwrap 1.1.0-14+deb12u1 (Debian 12). Date: 2026-11-29.
# Matters: a pool can shrink to its last process unnoticed, and a restart without a cgroup finds the address in use.
source "$(dirname "$0")/support.bash"
need pgrep python3 ss
unpack_deb fcgiwrap=1.1.0-14+deb12u1 libfcgi0ldbl
port=$(free_port)
fcgiwrap -c 2 -s "tcp:127.0.0.1:$port" >log 2>&1 &
parent=$!
has() { [ "$(count_children "$parent")" -eq "$1" ]; }
eventually has 2
kill -KILL "$(children "$parent" | head -1)"
eventually has 1
# Nothing will happen: the wait is for a replacement, and it is expected to end without one.
expect "a replacement within 5 seconds (1: none)" 1 "$(code within 5 has 2)"
kill -KILL "$(children "$parent")"
expect "children again once both are gone (0: yes)" 0 "$(code eventually has 2)"
left=$(children "$parent" | head -1)
kill -TERM "$parent"
wait "$parent" || true
expect "a child after TERM to the parent (0: lives)" 0 "$(code kill -0 "$left")"
expect "listeners on the port" 1 "$(ss -Hltn "sport = :$port" | wc -l)"
finish
