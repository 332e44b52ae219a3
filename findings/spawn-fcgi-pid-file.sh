#!/usr/bin/env bash
# The pid file of spawn-fcgi with several processes, and start-stop-daemon.
#
# Guess:   stopping by the pid file of `spawn-fcgi -F 3 -P FILE` stops the three processes.
# True:    there is no parent, and the file has one line for each process. start-stop-daemon reads the first line,
#          stops that process and reports success. The other two keep the socket.
# Version: spawn-fcgi 1.6.4-2 (Debian 12), start-stop-daemon 1.21.22. Date: 2026-11-29.
# Matters: a restart leaves processes of the old version, and they hold the address. A pid file can name a pool only if
#          the pool has one supervisor.
source "$(dirname "$0")/support.bash"
need start-stop-daemon pgrep python3 sleep
unpack_deb spawn-fcgi=1.6.4-2
start-stop-daemon --version | head -1
port=$(free_port)
# Any program will do: spawn-fcgi runs it with the listening socket as descriptor 0.
cp "$(command -v sleep)" application
spawn-fcgi -a 127.0.0.1 -p "$port" -F 3 -P "$folder/pid" -- "$folder/application" 600 >log
printf '\n' >>pid
mapfile -t processes <pid
alive() {
    local pid count=0
    for pid in "${processes[@]}"; do
        if [ "$(readlink "/proc/$pid/exe")" = "$folder/application" ]; then count=$((count + 1)); fi
    done
    echo "$count"
}
three_alive() { [ "$(alive)" -eq 3 ]; }
fewer_alive() { [ "$(alive)" -lt 3 ]; }
eventually three_alive
expect "lines of the pid file" 3 "${#processes[@]}"
stop() { start-stop-daemon --stop --pidfile pid --exec "$folder/application"; }
expect "exit status of the stop" 0 "$(code stop)"
eventually fewer_alive
expect "processes left" 2 "$(alive)"
expect "a second stop (1: nothing to do)" 1 "$(code stop)"
expect "processes left" 2 "$(alive)"
finish
